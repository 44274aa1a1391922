#include <limits.h>
#include <math.h>

#include "json.h"
#include "report.h"

/* ---- Figures ---------------------------------------------------------------------------------- */

static const char *const keys[METRIC_COUNT] = {
    [P_WAIT] = "p_wait",
    [MEAN_WAIT] = "mean_wait_ms",
    [P50_WAIT] = "p50_wait_ms",
    [P95_WAIT] = "p95_wait_ms",
    [P99_WAIT] = "p99_wait_ms",
    [P999_WAIT] = "p999_wait_ms",
    [P99_TOTAL] = "p99_total_ms",
    [REJECT] = "reject",
    [DRAIN] = "drain_ms",
    [UTILISATION] = "utilisation",
};

static void put_outcome(struct json *json, const struct outcome *outcome)
{
    for (enum metric m = 0; m < METRIC_COUNT; m++)
        json_number(json, keys[m], metric_is_time(m) ? 1000 * outcome->of[m] : outcome->of[m]);
}

static void put_outcome_of(struct json *json, const char *key, const struct outcome *outcome)
{
    json_open(json, key, '{');
    put_outcome(json, outcome);
    json_close(json, '}');
}

/* ---- The answer --------------------------------------------------------------------------------- */

static void put_goals(struct json *json, const struct request *request, const struct answer *answer)
{
    char text[1024];
    json_text(json, "goal", request->goals_n > 0 ? request_goals(request, text, sizeof text) : NULL);
    json_text(json, "decided_by", answer_decided_by(answer));
    json_open(json, "goals", '[');
    for (int i = 0; i < request->goals_n; i++) {
        json_open(json, NULL, '{');
        json_text(json, "goal", request->goals[i].text);
        if (request->cap == 0)
            json_count(json, "cap", answer->goal_caps[i]);
        json_bool(json, "met", answer->met[i]);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void put_warning(const char *warning, void *arg)
{
    json_text(arg, NULL, warning);
}

static void put_limits(struct json *json, const struct request *request, const struct answer *answer)
{
    const struct limit *hardest = limits_hardest(&answer->limits);
    if (hardest != NULL)
        json_count(json, "allowed_cap", hardest->cap);
    json_text(json, "allowed_by", hardest != NULL ? hardest->name : NULL);
    json_open(json, "limits", '[');
    for (int i = 0; i < answer->limits.n; i++) {
        const struct limit *limit = &answer->limits.of[i];
        json_open(json, NULL, '{');
        json_text(json, "name", limit->name);
        json_number(json, "cap", limit->cap == LONG_MAX ? NAN : (double)limit->cap);
        json_bool(json, "hard", limit->hard);
        json_text(json, "why", limit->why);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_open(json, "warnings", '[');
    report_warnings(request, answer, put_warning, json);
    json_close(json, ']');
}

static void put_changes(struct json *json, const struct request *request, const struct answer *answer)
{
    if (request->rate == 0)
        return;
    json_open(json, "sensitivity", '[');
    for (int i = 0; i < answer->changes_n; i++) {
        const struct change *change = &answer->changes[i];
        json_open(json, NULL, '{');
        json_text(json, "change", change->name);
        json_count(json, "cap", change->cap);
        put_outcome(json, &change->outcome);
        if (request->goals_n > 0) {
            json_bool(json, "met", change->met);
            json_number(json, "needs_cap", change->needs > 0 ? (double)change->needs : NAN);
        }
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void put_downstream(struct json *json, const struct request *request, const struct answer *answer)
{
    if (request->downstream == 0)
        return;
    json_open(json, "downstream", '{');
    json_count(json, "allows", request->downstream);
    json_count(json, "instances", request->instances);
    json_count(json, "wanted", request->instances * answer->cap);
    json_bool(json, "exceeded", answer->downstream_exceeded);
    json_count(json, "cap", answer->downstream_cap);
    json_number(json, "reject", answer->downstream_outcome.of[REJECT]);
    json_close(json, '}');
}

static void put_answer(struct json *json, const struct request *request, const struct answer *answer)
{
    char line[LINE_MAX_CHARS];
    json_count(json, "cap", answer->cap);
    json_number(json, "offered_load", request->rate * request->service.mean);
    put_outcome(json, &answer->predicted.outcome);
    json_bool(json, "stable", !answer_is_unstable(request, answer->cap));
    json_number(json, "rate", request->rate);
    json_number(json, "service_ms", 1000 * request->service.mean);
    json_number(json, "queue", request->queue < 0 ? NAN : (double)request->queue);
    put_goals(json, request, answer);
    json_bool(json, "met", answer->all_met);
    json_text(json, "line", answer_line(answer, request, line));
    put_limits(json, request, answer);
    put_changes(json, request, answer);
    put_downstream(json, request, answer);
}

void report_answer_json(FILE *to, const struct request *request, const struct answer *answer)
{
    struct json json = {.to = to};
    json_open(&json, NULL, '{');
    put_answer(&json, request, answer);
    json_close(&json, '}');
}

/* ---- The study ------------------------------------------------------------------------------------ */

static void put_run(struct json *json, const struct run *run)
{
    json_open(json, "run", '{');
    json_number(json, "seconds", run->seconds);
    json_number(json, "warmup_seconds", run->warmup);
    json_count(json, "tasks", run->tasks);
    json_count(json, "counted", run->counted);
    json_count(json, "failed", run->failed);
    json_number(json, "late_p50_ms", 1000 * run->late_p50);
    json_number(json, "late_p99_ms", 1000 * run->late_p99);
    json_number(json, "late_max_ms", 1000 * run->late_max);
    json_number(json, "service_ms", 1000 * run->service_mean);
    json_number(json, "rss_per_worker", run->rss_per_worker);
    json_number(json, "cpu", run->cpu);
    json_close(json, '}');
}

static void put_row(struct json *json, const struct row *row, bool chosen)
{
    json_open(json, NULL, '{');
    json_count(json, "cap", row->cap);
    json_bool(json, "chosen", chosen);
    for (enum source s = 0; s < SOURCE_COUNT; s++)
        if (row_outcome(row, s) != NULL)
            put_outcome_of(json, source_words[s], row_outcome(row, s));
    put_outcome_of(json, "simulation_error", &row->simulation.error);
    if (row->measured)
        put_run(json, &row->run);
    json_close(json, '}');
}

static void put_verdict(struct json *json, const struct study *study)
{
    static const char *const verdicts[] = {"met", "not met", "not certifiable"};
    json_text(json, "verdict", verdicts[study->verdict]);
    json_open(json, "reasons", '[');
    for (int i = 0; i < study->reasons_n; i++)
        json_text(json, NULL, study->reasons[i]);
    json_close(json, ']');
    put_outcome_of(json, "spread", &study->spread);
    json_number(json, "enough_seconds", study->enough_seconds);
    json_number(json, "drain_measured_ms", 1000 * study->drain);
}

void report_study_json(FILE *to, const struct study *study)
{
    struct json json = {.to = to};
    json_open(&json, NULL, '{');
    put_answer(&json, study->request, &study->answer);
    put_verdict(&json, study);
    json_count(&json, "seed", (long)study->request->seed);
    json_open(&json, "sweep", '[');
    for (int i = 0; i < study->rows_n; i++)
        put_row(&json, &study->rows[i], i == study->chosen);
    json_close(&json, ']');
    json_close(&json, '}');
}
