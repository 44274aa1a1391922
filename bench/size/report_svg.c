#include <math.h>

#include "report.h"

#define WIDTH 760
#define HEIGHT 420
#define LEFT 90
#define RIGHT 150
#define TOP 40
#define BOTTOM 50

struct axes {
    double x0, x1, y1; /* caps; figures go from 0 to y1 */
};

static const char *const colours[SOURCE_COUNT] = {"#555555", "#1f77b4", "#d62728", "#2ca02c"};

static double x_of(const struct axes *axes, double cap)
{
    double span = axes->x1 > axes->x0 ? axes->x1 - axes->x0 : 1;
    return LEFT + (WIDTH - LEFT - RIGHT) * (cap - axes->x0) / span;
}

static double y_of(const struct axes *axes, double value)
{
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / axes->y1;
}

static struct axes axes_of(const struct study *study, enum metric metric)
{
    struct axes axes = {(double)study->rows[0].cap, (double)study->rows[study->rows_n - 1].cap, request_bound(study->request, metric)};
    for (int i = 0; i < study->rows_n; i++)
        for (enum source s = 0; s < SOURCE_COUNT; s++) {
            const struct outcome *o = row_outcome(&study->rows[i], s);
            if (o != NULL && isfinite(o->of[metric]) && !(o->of[metric] <= axes.y1))
                axes.y1 = o->of[metric];
        }
    axes.y1 = axes.y1 > 0 ? 1.05 * axes.y1 : 1;
    return axes;
}

static void put_frame(FILE *to, const struct study *study, const struct axes *axes, enum metric metric)
{
    char text[UNITS_TEXT_MAX];
    fprintf(to, "<text x=\"%d\" y=\"24\" font-size=\"15\">%s by cap</text>\n", LEFT, metric_word(metric));
    fprintf(to, "<path d=\"M%d %dV%dH%d\" fill=\"none\" stroke=\"black\"/>\n", LEFT, TOP, HEIGHT - BOTTOM, WIDTH - RIGHT);
    for (int i = 0; i < study->rows_n; i++)
        fprintf(to, "<text x=\"%.2f\" y=\"%d\" text-anchor=\"middle\">%ld</text>\n",
                x_of(axes, (double)study->rows[i].cap), HEIGHT - BOTTOM + 18 + 14 * (i % 2), study->rows[i].cap);
    for (int i = 0; i <= 4; i++)
        fprintf(to, "<text x=\"%d\" y=\"%.2f\" text-anchor=\"end\">%s</text>\n", LEFT - 8,
                y_of(axes, axes->y1 * i / 4) + 4, metric_text(metric, axes->y1 * i / 4, text));
}

static void put_goal(FILE *to, const struct axes *axes, enum metric metric, double bound)
{
    char text[UNITS_TEXT_MAX];
    double y = y_of(axes, bound);
    if (isnan(bound))
        return;
    fprintf(to, "<line class=\"goal\" data-value=\"%.17g\" x1=\"%d\" y1=\"%.4f\" x2=\"%d\" y2=\"%.4f\" stroke=\"#d68910\" "
                "stroke-dasharray=\"6 4\"/>\n", bound, LEFT, y, WIDTH - RIGHT, y);
    fprintf(to, "<text x=\"%d\" y=\"%.2f\" fill=\"#d68910\">goal %s</text>\n", WIDTH - RIGHT + 6, y + 4,
            metric_text(metric, bound, text));
}

/* data-value is the figure itself, in seconds or as a share; what is unknown or endless is left out. */
static void put_series(FILE *to, const struct study *study, const struct axes *axes, enum metric metric, enum source source)
{
    char path = 'M';
    fprintf(to, "<path fill=\"none\" stroke=\"%s\" d=\"", colours[source]);
    for (int i = 0; i < study->rows_n; i++) {
        const struct outcome *o = row_outcome(&study->rows[i], source);
        if (o == NULL || !isfinite(o->of[metric]))
            continue;
        fprintf(to, "%c%.4f %.4f", path, x_of(axes, (double)study->rows[i].cap), y_of(axes, o->of[metric]));
        path = 'L';
    }
    fprintf(to, path == 'M' ? "M0 0\"/>\n" : "\"/>\n");
    for (int i = 0; i < study->rows_n; i++) {
        const struct outcome *o = row_outcome(&study->rows[i], source);
        if (o != NULL && isfinite(o->of[metric]))
            fprintf(to, "<circle class=\"%s\" data-cap=\"%ld\" data-value=\"%.17g\" cx=\"%.4f\" cy=\"%.4f\" r=\"3\" fill=\"%s\"/>\n",
                    source_words[source], study->rows[i].cap, o->of[metric], x_of(axes, (double)study->rows[i].cap),
                    y_of(axes, o->of[metric]), colours[source]);
    }
}

static void put_legend(FILE *to)
{
    for (enum source s = 0; s < SOURCE_COUNT; s++)
        fprintf(to, "<text x=\"%d\" y=\"%d\" fill=\"%s\">%s</text>\n", WIDTH - RIGHT + 6, TOP + 16 * (int)s, colours[s],
                source_words[s]);
}

void report_study_svg(FILE *to, const struct study *study)
{
    enum metric metric = answer_metric(&study->answer, study->request);
    struct axes axes = axes_of(study, metric);
    fprintf(to, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
                "font-family=\"sans-serif\" font-size=\"12\">\n", WIDTH, HEIGHT, WIDTH, HEIGHT);
    fprintf(to, "<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n", WIDTH, HEIGHT);
    put_frame(to, study, &axes, metric);
    put_goal(to, &axes, metric, request_bound(study->request, metric));
    for (enum source s = 0; s < SOURCE_COUNT; s++)
        put_series(to, study, &axes, metric, s);
    put_legend(to);
    fprintf(to, "</svg>\n");
}
