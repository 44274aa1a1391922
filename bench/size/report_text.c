#include <math.h>
#include <string.h>

#include "model.h"
#include "report.h"
#include "units.h"

/* ---- The answer --------------------------------------------------------------------------------- */

static void put_warning(const char *warning, void *arg)
{
    fprintf(arg, "warning: %s\n", warning);
}

static void put_goals(FILE *to, const struct request *request, const struct answer *answer)
{
    char value[UNITS_TEXT_MAX];
    for (int i = 0; i < request->goals_n; i++) {
        const struct goal *goal = &request->goals[i];
        fprintf(to, "goal %-20s %-8s %10s at cap %ld", goal->text, answer->met[i] ? "met" : "NOT met",
                metric_text_beside(goal->metric, answer->predicted.outcome.of[goal->metric], goal->bound, value), answer->cap);
        if (request->cap == 0)
            fprintf(to, "; alone needs %ld%s", answer->goal_caps[i], goal == answer->decided_by ? ", which decides" : "");
        putc('\n', to);
    }
}

static void put_figures(FILE *to, const struct answer *answer)
{
    char value[UNITS_TEXT_MAX];
    for (enum metric m = 0; m < METRIC_COUNT; m++)
        if (!isnan(answer->predicted.outcome.of[m]))
            fprintf(to, "  %-12s %10s\n", metric_word(m), metric_text(m, answer->predicted.outcome.of[m], value));
}

static void put_changes(FILE *to, const struct request *request, const struct answer *answer, enum metric metric)
{
    char value[UNITS_TEXT_MAX], used[UNITS_TEXT_MAX];
    if (request->rate == 0)
        return;
    fprintf(to, "\n%-24s %8s %12s %12s%s\n", "if", "cap", metric_word(metric), "utilisation",
            request->goals_n > 0 ? "    needs cap" : "");
    for (int i = 0; i < answer->changes_n; i++) {
        const struct change *change = &answer->changes[i];
        fprintf(to, "%-24s %8ld %12s %12s", change->name, change->cap, metric_text(metric, change->outcome.of[metric], value),
                share_text(change->outcome.of[UTILISATION], used));
        if (request->goals_n > 0 && change->needs > 0)
            fprintf(to, " %12ld", change->needs);
        putc('\n', to);
    }
}

static void put_line(FILE *to, const struct request *request, const struct answer *answer)
{
    char line[LINE_MAX_CHARS];
    fprintf(to, "\n%s\n", answer_line(answer, request, line));
}

void report_answer_text(FILE *to, const struct request *request, const struct answer *answer)
{
    if (request->rate > 0)
        fprintf(to, "cap %ld, offered load %.6g, %s\n", answer->cap, request->rate * request->service.mean,
                answer_is_unstable(request, answer->cap) ? "UNSTABLE" : "stable");
    else
        fprintf(to, "cap %ld\n", answer->cap);
    put_figures(to, answer);
    if (request->queue < 0 && request->rate > 0)
        fprintf(to, "  (reject: of a pool that refuses at once; the waits: of one that lets all wait)\n");
    put_goals(to, request, answer);
    put_changes(to, request, answer, answer_metric(answer, request));
    report_warnings(request, answer, put_warning, to);
    put_line(to, request, answer);
}

/* ---- The table -------------------------------------------------------------------------------------- */

static void put_cell(FILE *to, const struct row *row, enum source source, enum metric metric)
{
    char text[UNITS_TEXT_MAX];
    const struct outcome *o = row_outcome(row, source);
    fprintf(to, " %11s", o == NULL ? "-" : metric_text(metric, o->of[metric], text));
}

static void put_row(FILE *to, const struct study *study, const struct row *row, enum metric metric)
{
    char text[UNITS_TEXT_MAX];
    const struct outcome *o = &row->simulation.outcome;
    fprintf(to, "%c%7ld", row == &study->rows[study->chosen] ? '>' : ' ', row->cap);
    for (enum source s = 0; s < SOURCE_COUNT; s++)
        put_cell(to, row, s, metric);
    fprintf(to, " %11s", share_text(o->of[UTILISATION], text));
    put_cell(to, row, row->measured ? SOURCE_MEASURED : SOURCE_SIMULATION, REJECT);
    fprintf(to, " %11s\n", row->measured && row->run.rss_per_worker > 0 ? bytes_text(row->run.rss_per_worker, text) : "-");
}

static bool is_exact(const struct study *study)
{
    struct scenario scenario = request_scenario(study->request, study->answer.cap);
    return model_is_exact(&scenario);
}

static void put_table(FILE *to, const struct study *study, enum metric metric)
{
    fprintf(to, "%8s %47s\n", "", metric_word(metric));
    bool exact = is_exact(study);
    fprintf(to, "%8s %11s %11s %11s %11s %11s %11s %11s\n", "cap", exact ? source_words[0] : "formula ~", source_words[1], source_words[2],
            source_words[3], "utilisation", "refused", "RSS/worker");
    for (int i = 0; i < study->rows_n; i++)
        put_row(to, study, &study->rows[i], metric);
}

/* ---- The chart -------------------------------------------------------------------------------------- */

#define CHART_WIDTH 56

static double prediction(const struct study *study, const struct row *row, enum metric metric)
{
    return is_exact(study) ? row->formula.of[metric] : row->simulation.outcome.of[metric];
}

/* Unstable rows have no place on an axis. */
static double chart_end(const struct study *study, enum metric metric)
{
    double end = request_bound(study->request, metric);
    for (int i = 0; i < study->rows_n; i++) {
        double value = prediction(study, &study->rows[i], metric);
        if (isfinite(value) && !(value <= end))
            end = value;
    }
    return end;
}

static void put_bar(FILE *to, double value, double bound, double end)
{
    char bar[CHART_WIDTH + 2];
    int length = isfinite(value) ? (int)(CHART_WIDTH * value / end + 0.5) : CHART_WIDTH;
    memset(bar, ' ', sizeof bar);
    memset(bar, isfinite(value) ? '=' : '>', (size_t)length);
    if (isfinite(bound))
        bar[(int)(CHART_WIDTH * bound / end + 0.5)] = '|';
    int end_of_bar = CHART_WIDTH + 1;
    while (end_of_bar > 0 && bar[end_of_bar - 1] == ' ')
        end_of_bar--;
    bar[end_of_bar] = '\0';
    fprintf(to, "%s\n", bar);
}

static void put_chart(FILE *to, const struct study *study, enum metric metric)
{
    char text[UNITS_TEXT_MAX];
    double end = chart_end(study, metric), bound = request_bound(study->request, metric);
    if (!(end > 0))
        return;
    fprintf(to, "\n%s by cap%s\n", metric_word(metric), isfinite(bound) ? ", | the goal" : "");
    for (int i = 0; i < study->rows_n; i++) {
        double value = prediction(study, &study->rows[i], metric);
        fprintf(to, "%7ld %9s ", study->rows[i].cap, metric_text(metric, value, text));
        put_bar(to, value, bound, end);
    }
}

/* ---- What the run shows ------------------------------------------------------------------------------- */

static void put_confidence(FILE *to, const struct study *study, enum metric metric)
{
    char a[UNITS_TEXT_MAX], b[UNITS_TEXT_MAX], c[UNITS_TEXT_MAX];
    const struct row *row = &study->rows[study->chosen];
    if (!row->measured)
        return;
    const struct run *run = &row->run;
    fprintf(to, "\nruns of %s, the first %s not counted: %ld tasks each; the generator came late by %s (p50), ",
            duration_text(run->seconds, a), duration_text(run->warmup, b), run->counted, duration_text(run->late_p50, c));
    fprintf(to, "%s (p99), %s at most\n", duration_text(run->late_p99, a), duration_text(run->late_max, b));
    fprintf(to, "by chance alone a run of this length shows %s within %s of the true one (95 %% of the runs)\n",
            metric_word(metric), metric_text(metric, study->spread.of[metric], a));
    if (isfinite(study->enough_seconds))
        fprintf(to, "to tell %s from the goal without a twin it would take %s\n",
                metric_text(metric, study->answer.predicted.outcome.of[metric], a), duration_text(study->enough_seconds, b));
}

static void put_verdict(FILE *to, const struct study *study)
{
    static const char *const words[] = {"met", "not met", "this run cannot tell"};
    char text[UNITS_TEXT_MAX];
    if (!isnan(study->drain))
        fprintf(to, "drain of %ld tasks, measured: %s\n", study->request->backlog, duration_text(study->drain, text));
    if (study->request->goals_n > 0)
        fprintf(to, "\nverdict: %s\n", words[study->verdict]);
    else if (study->reasons_n > 0)
        fprintf(to, "\nwhat is wrong with this run:\n");
    for (int i = 0; i < study->reasons_n; i++)
        fprintf(to, "  %s\n", study->reasons[i]);
}

void report_study_text(FILE *to, const struct study *study)
{
    enum metric metric = answer_metric(&study->answer, study->request);
    put_table(to, study, metric);
    put_chart(to, study, metric);
    putc('\n', to);
    put_goals(to, study->request, &study->answer);
    put_confidence(to, study, metric);
    put_changes(to, study->request, &study->answer, metric);
    report_warnings(study->request, &study->answer, put_warning, to);
    put_verdict(to, study);
    put_line(to, study->request, &study->answer);
}
