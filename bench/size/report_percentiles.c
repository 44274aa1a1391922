#include <math.h>

#include "moments.h"
#include "report.h"

/* The lines of HdrHistogram's percentile distribution, which its plotters read: five steps in each
 * half of what is left to 100 %. */
#define TICKS_PER_HALF 5

static double step_from(double share)
{
    return 1 / (TICKS_PER_HALF * exp2(floor(log2(1 / (1 - share))) + 1));
}

static double deviation(const struct sample *waits)
{
    double mean = waits->wait_sum / (double)waits->n;
    return sqrt(squares_about(waits->waits, waits->n, mean) / (double)waits->n);
}

static void put_line(FILE *to, struct sample *waits, double share)
{
    double value = 1000 * sample_wait_quantile(waits, fmax(share, 0.5 / (double)waits->n));
    double count = fmax(1, ceil(share * (double)waits->n));
    if (share < 1)
        fprintf(to, "%12.3f %2.12f %10.0f %14.2f\n", value, share, count, 1 / (1 - share));
    else
        fprintf(to, "%12.3f %2.12f %10.0f\n", value, share, count);
}

void report_percentiles(FILE *to, struct sample *waits)
{
    fprintf(to, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    if (waits->n == 0)
        return;
    double share = 0;
    while (1 - share > 0.5 / (double)waits->n) {
        put_line(to, waits, share);
        share += step_from(share);
    }
    put_line(to, waits, 1);
    fprintf(to, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", 1000 * waits->wait_sum / (double)waits->n,
            1000 * deviation(waits));
    fprintf(to, "#[Max     = %12.3f, Total count    = %12ld]\n", 1000 * sample_wait_quantile(waits, 1), waits->n);
}
