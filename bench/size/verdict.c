#include "verdict.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "model.h"
#include "units.h"

#define LATE_SHARE 0.1 /* of the tightest time asked for that a submit may come late, 99 % of them */
#define TAIL_TASKS 10  /* that a figure must rest on */
#define MEAN_TASKS 100
#define COUNTED_SHARE 0.9     /* of a simulation */
#define RELAXATIONS 300       /* that a simulation must last, or it tells where it began */
#define SIMULATE_MOST 1e8     /* what --simulate takes */
#define SLOWER 0.1            /* so much longer than it was timed a plugin or command may take */

static void worsen(struct study *study, enum verdict verdict)
{
    if (study->verdict != VERDICT_NOT_MET)
        study->verdict = verdict;
}

__attribute__((format(printf, 3, 4))) static void reason(struct study *study, enum verdict verdict, const char *format, ...)
{
    va_list arguments;
    worsen(study, verdict);
    if (study->reasons_n == REASONS_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(study->reasons[study->reasons_n++], REASON_CHARS, format, arguments);
    va_end(arguments);
}

/* ---- The prediction ------------------------------------------------------------------------- */

static void judge_limit(struct study *study)
{
    const struct limit *limit = study->answer.limited_by;
    if (limit != NULL)
        reason(study, VERDICT_NOT_MET, "%s allows a cap of %ld: %s", limit->name, limit->cap, limit->why);
}

static void judge_prediction(struct study *study, const struct goal *goal)
{
    char value[UNITS_TEXT_MAX], error[UNITS_TEXT_MAX];
    double predicted = study->answer.predicted.outcome.of[goal->metric];
    double unsure = study->answer.predicted.error.of[goal->metric];
    bool is_known = !isnan(predicted) && !isnan(unsure);
    if (!is_known || (unsure > 0 && fabs(predicted - goal->bound) <= unsure))
        reason(study, VERDICT_NOT_CERTIFIABLE, "%s: the simulation says %s within %s, which does not tell; a longer one "
               "(--simulate) or a cap one higher may", goal->text, metric_text(goal->metric, predicted, value),
               metric_text(goal->metric, unsure, error));
    else if (!goal_is_met(goal, &study->answer.predicted.outcome))
        reason(study, VERDICT_NOT_MET, "%s: cap %ld gives %s", goal->text, study->answer.cap,
               metric_text_beside(goal->metric, predicted, goal->bound, value));
}

/* How many tasks the figure needs to rest on TAIL_TASKS of them. */
static double tasks_needed(const struct goal *goal)
{
    double share = metric_share(goal->metric);
    if (!isnan(share))
        return TAIL_TASKS / (1 - share);
    return goal->metric == P_WAIT || goal->metric == REJECT ? TAIL_TASKS / goal->bound : MEAN_TASKS;
}

/* How many tasks come while busy and idle times follow each other often enough. The closer the load is
 * to the cap, the longer they last (the relaxation time of heavy traffic). */
static double tasks_to_settle(const struct study *study)
{
    const struct request *request = study->request;
    double mean = request->service.mean, cap = (double)study->answer.cap, spare = 1 - request->rate * mean / cap;
    if (request->queue >= 0 || spare <= 0)
        return 0;
    return RELAXATIONS * request->rate * (1 + request->service.cv2) / 2 * mean / (cap * spare * spare);
}

static void judge_simulation(struct study *study, const struct goal *goal)
{
    long tasks = study->answer.predicted.tasks;
    double needed = ceil(fmax(tasks_needed(goal), tasks_to_settle(study)) / COUNTED_SHARE);
    if (goal->metric == DRAIN || tasks == 0 || (double)tasks >= needed)
        return;
    if (needed <= SIMULATE_MOST)
        reason(study, VERDICT_NOT_CERTIFIABLE, "%s: a simulation of %ld tasks cannot show it, one of %.0f can: --simulate %.0f",
               goal->text, tasks, needed, needed);
    else
        reason(study, VERDICT_NOT_CERTIFIABLE, "%s: no simulation is long enough to show it; take a cap with more room", goal->text);
}

/* ---- The run ---------------------------------------------------------------------------------- */

static void judge_lateness(struct study *study, const struct run *run)
{
    char late[UNITS_TEXT_MAX], limit[UNITS_TEXT_MAX];
    double tightest = request_tightest_time(study->request);
    double allowed = LATE_SHARE * (isinf(tightest) ? study->request->service.mean : tightest);
    if (run->late_p99 > allowed)
        reason(study, VERDICT_NOT_CERTIFIABLE, "the generator was late: 1 %% of the tasks came %s or more after their time, "
               "more than %s; run it on a calmer machine, or with a smaller rate and cap",
               duration_text(run->late_p99, late), duration_text(allowed, limit));
}

/* Of those that were refused only a share of refusals tells. */
static void judge_sample(struct study *study, const struct run *run, const struct goal *goal)
{
    long n = goal->metric == REJECT ? run->counted : run->waits.n;
    double needed = ceil(tasks_needed(goal) - 1e-9);
    double seconds = ceil(1.1 * run->seconds * needed / (double)(n > 0 ? n : 1));
    if ((double)n < needed)
        reason(study, VERDICT_NOT_CERTIFIABLE, "%s: %ld tasks cannot show it, %.0f can: --duration %.0fs", goal->text, n,
               needed, seconds);
}

/* What the pool and the machine add to what c workers must take, by waking late or by making the tasks
 * themselves longer, is in the difference to the ideal. */
static void judge_excess(struct study *study, const struct run *run, const struct goal *goal)
{
    double excess = run->measured.of[goal->metric] - run->ideal.of[goal->metric];
    double expected = study->answer.predicted.outcome.of[goal->metric] + (excess > 0 ? excess : 0);
    char measured[UNITS_TEXT_MAX], ideal[UNITS_TEXT_MAX];
    if (goal_is_met(goal, &study->answer.predicted.outcome) && !(expected < goal->bound))
        reason(study, VERDICT_NOT_CERTIFIABLE, "%s: measured %s where the tasks alone explain %s, so this machine adds too much "
               "to tell; measure where the service will run, or take a cap with more room", goal->text,
               metric_text(goal->metric, run->measured.of[goal->metric], measured),
               metric_text(goal->metric, run->ideal.of[goal->metric], ideal));
}

/* A plugin or command has no drawn times: the prediction rests on those that it was timed with. */
static void judge_services(struct study *study, const struct run *run)
{
    const struct service *service = &study->request->service;
    char timed[UNITS_TEXT_MAX], took[UNITS_TEXT_MAX];
    double chance = 3 * sqrt(service->cv2 / (double)(run->services_n > 0 ? run->services_n : 1));
    if (!service_is_program(service))
        return;
    if (run->service_mean > service->mean * (1 + fmax(SLOWER, chance)))
        reason(study, VERDICT_NOT_CERTIFIABLE, "the tasks took %s, but %s when they were timed, which the cap was found for; "
               "run it on a calmer machine", duration_text(run->service_mean, took), duration_text(service->mean, timed));
}

static void judge_run(struct study *study, const struct run *run)
{
    const struct request *request = study->request;
    if (run->failed > 0)
        reason(study, VERDICT_NOT_CERTIFIABLE, "%ld of %ld commands failed", run->failed, run->tasks);
    judge_lateness(study, run);
    judge_services(study, run);
    for (int i = 0; i < request->goals_n; i++) {
        if (request->goals[i].metric == DRAIN)
            continue;
        judge_sample(study, run, &request->goals[i]);
        judge_excess(study, run, &request->goals[i]);
    }
}

static void judge_drain(struct study *study)
{
    const struct request *request = study->request;
    char text[UNITS_TEXT_MAX];
    for (int i = 0; i < request->goals_n; i++) {
        if (request->goals[i].metric != DRAIN)
            continue;
        if (isnan(study->drain))
            reason(study, VERDICT_NOT_CERTIFIABLE, "%s: a drain of this length is not measured", request->goals[i].text);
        else if (!(study->drain < request->goals[i].bound))
            reason(study, VERDICT_NOT_CERTIFIABLE, "%s: it was met by reckoning, but measured it took %s", request->goals[i].text,
                   duration_text(study->drain, text));
    }
}

/* ------------------------------------------------------------------------------------------------ */

/* Chance strays by one over the root of the length. */
static void find_enough_seconds(struct study *study)
{
    study->enough_seconds = NAN;
    if (study->request->goals_n == 0 || study->request->rate == 0)
        return;
    enum metric metric = answer_metric(&study->answer, study->request);
    for (int i = 0; i < study->request->goals_n; i++) {
        const struct goal *goal = &study->request->goals[i];
        double gap = fabs(goal->bound - study->answer.predicted.outcome.of[metric]);
        if (goal->metric == metric && gap > 0 && study->spread.of[metric] > 0)
            study->enough_seconds = study->request->seconds * pow(study->spread.of[metric] / gap, 2);
    }
}

void study_judge(struct study *study)
{
    study->verdict = VERDICT_MET;
    study->reasons_n = 0;
    judge_limit(study);
    for (int i = 0; i < study->request->goals_n; i++) {
        judge_prediction(study, &study->request->goals[i]);
        judge_simulation(study, &study->request->goals[i]);
    }
    if (study->rows[study->chosen].measured)
        judge_run(study, &study->rows[study->chosen].run);
    else if (study->request->rate > 0)
        reason(study, VERDICT_NOT_CERTIFIABLE, "not measured: cap %ld would be busy for long after the last task has come",
               study->answer.cap);
    if (study->verdict != VERDICT_NOT_MET)
        judge_drain(study);
    find_enough_seconds(study);
}
