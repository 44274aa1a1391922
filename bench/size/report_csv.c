#include <math.h>

#include "report.h"

static void put_number(FILE *to, double value)
{
    if (isfinite(value))
        fprintf(to, ",%.17g", value);
    else
        fputs(isinf(value) ? ",inf" : ",", to);
}

/* A line for each cap and way: what is not known stays empty. */
void report_study_csv(FILE *to, const struct study *study)
{
    fputs("cap,source", to);
    for (enum metric m = 0; m < METRIC_COUNT; m++)
        fprintf(to, ",%s%s", metric_word(m), metric_is_time(m) ? "_ms" : "");
    putc('\n', to);
    for (int i = 0; i < study->rows_n; i++)
        for (enum source s = 0; s < SOURCE_COUNT; s++) {
            const struct outcome *o = row_outcome(&study->rows[i], s);
            if (o == NULL)
                continue;
            fprintf(to, "%ld,%s", study->rows[i].cap, source_words[s]);
            for (enum metric m = 0; m < METRIC_COUNT; m++)
                put_number(to, metric_is_time(m) ? 1000 * o->of[m] : o->of[m]);
            putc('\n', to);
        }
}
