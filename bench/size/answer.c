#include "answer.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fail.h"
#include "formulas.h"
#include "model.h"
#include "units.h"

/* ---- The cap ----------------------------------------------------------------------------- */

bool answer_is_unstable(const struct request *request, long cap)
{
    return request->queue < 0 && request->rate * request->service.mean >= (double)cap;
}

/* What each goal alone needs, and the most of it. */
static long cap_of_goals(struct answer *answer, const struct request *request)
{
    struct scenario scenario = request_scenario(request, 1);
    double load = request->rate * request->service.mean;
    long cap = 0;
    for (int i = 0; i < request->goals_n; i++) {
        const struct goal *goal = &request->goals[i];
        long needs = answer->goal_caps[i] = model_least_cap(&scenario, goal, CAP_MOST, request->simulated);
        if (needs == 0)
            fail(EXIT_NOT_MET, "no cap up to %d meets %s; it asks for more than %s", CAP_MOST, goal->text,
                 load < CAP_MOST ? "the service time allows" : "so many workers can do");
        if (needs > cap)
            answer->decided_by = goal;
        cap = needs > cap ? needs : cap;
    }
    return cap;
}

static bool meets_all(const struct request *request, const struct outcome *outcome, bool *met)
{
    bool all = true;
    for (int i = 0; i < request->goals_n; i++) {
        bool one = goal_is_met(&request->goals[i], outcome);
        all = all && one;
        if (met != NULL)
            met[i] = one;
    }
    return all;
}

/* ---- The prediction, and the last step to the cap ------------------------------------------------------------------ */

#define LONGER 8          /* how many times as long a simulation is that is to tell what a first one does not */
#define LONGEST 100000000 /* tasks, or it would not fit into memory */

static bool is_resolved(const struct request *request, const struct estimate *estimate)
{
    for (int i = 0; i < request->goals_n; i++) {
        enum metric m = request->goals[i].metric;
        if (fabs(estimate->outcome.of[m] - request->goals[i].bound) <= estimate->error.of[m])
            return false;
    }
    return true;
}

static struct estimate prediction(const struct request *request, long cap)
{
    if (cap < 1)
        return (struct estimate){outcome_unknown(), outcome_unknown(), 0};
    struct scenario scenario = request_scenario(request, cap);
    struct estimate estimate = model_predict(&scenario, request->simulated);
    long longer = request->simulated < LONGEST / LONGER ? LONGER * request->simulated : LONGEST;
    return is_resolved(request, &estimate) ? estimate : model_predict(&scenario, longer);
}

struct settling {
    const struct request *request;
    struct estimate met, missed; /* of the caps that were looked at last */
};

static bool meets_goals(long cap, void *arg)
{
    struct settling *settling = arg;
    struct estimate estimate = prediction(settling->request, cap);
    bool met = meets_all(settling->request, &estimate.outcome, NULL);
    *(met ? &settling->met : &settling->missed) = estimate;
    return met;
}

/* A longer simulation can find the cap to be short, or more than needed, by a little; or that what seemed
 * to meet the goals did so by chance, with any cap. */
static void settle_cap(struct answer *answer, const struct request *request)
{
    char goals[512];
    struct estimate unknown = {outcome_unknown(), outcome_unknown(), 0};
    struct settling settling = {request, unknown, unknown};
    long found = cap_of_goals(answer, request), most = 2 * found + 16;
    answer->cap = least_cap(found, most < CAP_MOST ? most : CAP_MOST, meets_goals, &settling);
    if (answer->cap == 0)
        fail(EXIT_NOT_MET, "no cap meets %s: a simulation of %ld tasks found %ld, but a longer one finds none",
             request_goals(request, goals, sizeof goals), request->simulated / SEARCH_SHARE, found);
    answer->predicted = settling.met;
    answer->below = settling.missed;
    for (int i = 0; i < request->goals_n; i++)
        if (answer->decided_by == &request->goals[i] || answer->goal_caps[i] > answer->cap)
            answer->goal_caps[i] = answer->cap;
}

static void take_cap(struct answer *answer, const struct request *request, long cap)
{
    answer->cap = cap;
    answer->decided_by = NULL;
    answer->predicted = prediction(request, cap);
    answer->below = prediction(request, cap - 1);
}

/* A cap that was given is looked at even where a limit forbids it. */
static void limit_cap(struct answer *answer, const struct request *request)
{
    const struct limit *hardest = limits_hardest(&answer->limits);
    if (hardest == NULL || hardest->cap >= answer->cap)
        return;
    if (hardest->cap < 1)
        fail(EXIT_NOT_MET, "%s allows no worker at all: %s", hardest->name, hardest->why);
    answer->limited_by = hardest;
    if (request->cap == 0)
        take_cap(answer, request, hardest->cap);
}

static void find_cap(struct answer *answer, const struct request *request)
{
    if (request->cap > 0)
        take_cap(answer, request, request->cap);
    else
        settle_cap(answer, request);
    answer->wanted = answer->cap;
    limit_cap(answer, request);
    answer->all_met = meets_all(request, &answer->predicted.outcome, answer->met) && answer->limited_by == NULL;
}

/* ---- Other loads -------------------------------------------------------------------------- */

/* Tasks that take `slower` times as long are, on a clock that goes as much slower, tasks of the
 * old length that come `slower` times as often. */
static struct outcome stretched(struct outcome outcome, double slower)
{
    for (enum metric m = 0; m < METRIC_COUNT; m++)
        if (metric_is_time(m))
            outcome.of[m] *= slower;
    return outcome;
}

static long cap_needed(const struct request *request, double load, double slower)
{
    struct scenario scenario = request_scenario(request, 1);
    scenario.rate *= load * slower;
    long cap = 0;
    for (int i = 0; i < request->goals_n; i++) {
        struct goal goal = request->goals[i];
        if (metric_is_time(goal.metric))
            goal.bound /= slower;
        long needs = model_least_cap(&scenario, &goal, CAP_MOST, request->simulated);
        if (needs == 0)
            return 0;
        cap = needs > cap ? needs : cap;
    }
    return cap;
}

static struct change change(const struct request *request, long cap, double load, double slower)
{
    struct change change = {.cap = cap, .needs = cap_needed(request, load, slower)};
    struct scenario scenario = request_scenario(request, cap);
    scenario.rate *= load * slower;
    change.outcome = stretched(cap < 1 ? outcome_unknown() : model_predict(&scenario, request->simulated).outcome, slower);
    change.met = meets_all(request, &change.outcome, NULL);
    return change;
}

static void add_change(struct answer *answer, const char *name, struct change change)
{
    struct change *added = &answer->changes[answer->changes_n++];
    *added = change;
    snprintf(added->name, sizeof added->name, "%s", name);
}

/* The shards that are left carry all of the load; what they need is for all shards again. */
static void lose_shard(struct answer *answer, const struct request *request)
{
    char name[32];
    long left = answer->cap - (answer->cap + request->shards - 1) / request->shards;
    struct change lost = change(request, left, 1, 1);
    lost.needs = (lost.needs * request->shards + request->shards - 2) / (request->shards - 1);
    snprintf(name, sizeof name, "1 of %ld shards lost", request->shards);
    add_change(answer, name, lost);
}

static void find_changes(struct answer *answer, const struct request *request)
{
    add_change(answer, "+20 % load", change(request, answer->cap, 1.2, 1));
    add_change(answer, "tasks twice as slow", change(request, answer->cap, 1, 2));
    if (answer->cap > 1)
        lose_shard(answer, request);
}

/* ---- The system behind --------------------------------------------------------------------- */

static struct outcome outcome_at(const struct request *request, long cap)
{
    struct scenario scenario = request_scenario(request, cap);
    return cap < 1 ? outcome_unknown() : model_predict(&scenario, request->simulated).outcome;
}

static void look_downstream(struct answer *answer, const struct request *request)
{
    answer->downstream_outcome = outcome_unknown();
    if (request->downstream == 0)
        return;
    answer->downstream_cap = request->downstream / request->instances;
    answer->downstream_exceeded = answer->downstream_cap < answer->cap;
    if (!answer->downstream_exceeded || answer->downstream_cap < 1)
        return;
    answer->downstream_outcome = outcome_at(request, answer->downstream_cap);
    /* What a pool refuses does not depend on how its service times are distributed. */
    if (request->queue < 0 && request->rate > 0)
        answer->downstream_outcome.of[REJECT] =
            erlang_b(request->rate * request->service.mean, answer->downstream_cap);
}

/* --------------------------------------------------------------------------------------------- */

void answer_find(struct answer *answer, const struct request *request)
{
    *answer = (struct answer){.machine = machine_look("")};
    answer->limits = limits_of(&answer->machine, &request->needs);
    find_cap(answer, request);
    if (request->rate > 0)
        find_changes(answer, request);
    look_downstream(answer, request);
}

const char *answer_decided_by(const struct answer *answer)
{
    if (answer->limited_by != NULL && answer->cap == answer->limited_by->cap)
        return answer->limited_by->name;
    return answer->decided_by != NULL ? answer->decided_by->text : NULL;
}

enum metric answer_metric(const struct answer *answer, const struct request *request)
{
    if (answer->decided_by != NULL)
        return answer->decided_by->metric;
    if (request->goals_n > 0)
        return request->goals[0].metric;
    return request->rate == 0 ? DRAIN : request->queue == 0 ? REJECT : P99_WAIT;
}

/* ---- The line to paste -------------------------------------------------------------------------- */

/* "200ms (exp)" */
static const char *service_words(const struct service *service, char *text, size_t room)
{
    static const char *const kinds[] = {
        [SERVICE_EXP] = "exp",         [SERVICE_FIXED] = "fixed", [SERVICE_LOGNORMAL] = "lognormal",
        [SERVICE_BIMODAL] = "bimodal", [SERVICE_TRACE] = "trace", [SERVICE_PLUGIN] = "plugin",
        [SERVICE_EXEC] = "exec",
    };
    char mean[UNITS_TEXT_MAX];
    snprintf(text, room, "%s (%s)", duration_text(service->mean, mean), kinds[service->kind]);
    return text;
}

struct words {
    char *text;
    int at;
};

__attribute__((format(printf, 2, 3))) static void say(struct words *words, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int room = LINE_MAX_CHARS - words->at;
    int n = vsnprintf(words->text + words->at, (size_t)room, format, arguments);
    va_end(arguments);
    words->at += n < room ? n : room - 1;
}

static void say_goal(struct words *words, const struct request *request, const struct answer *answer,
                     const struct goal *goal)
{
    char name[METRIC_WORD_MAX], here[UNITS_TEXT_MAX], below[UNITS_TEXT_MAX];
    snprintf(name, sizeof name, "%s", metric_word(goal->metric));
    for (char *c = name; *c != '\0'; c++)
        if (*c == '-')
            *c = ' ';
    say(words, "; goal %s < %s; predicted %s", name, strchr(goal->text, '=') + 1,
        metric_text_beside(goal->metric, answer->predicted.outcome.of[goal->metric], goal->bound, here));
    if (goal->metric != UTILISATION && request->rate > 0)
        say(words, ", utilisation %.0f%%", 100 * answer->predicted.outcome.of[UTILISATION]);
    if (answer->cap > 1)
        say(words, "; %ld gives %s", answer->cap - 1, metric_text_beside(goal->metric, answer->below.outcome.of[goal->metric], goal->bound, below));
}

/* The goal that decided; where a limit did, the first that is missed. */
static const struct goal *goal_to_say(const struct answer *answer, const struct request *request)
{
    if (answer->decided_by != NULL)
        return answer->decided_by;
    for (int i = 0; i < request->goals_n; i++)
        if (!answer->met[i])
            return &request->goals[i];
    return request->goals_n > 0 ? &request->goals[0] : NULL;
}

const char *answer_line(const struct answer *answer, const struct request *request, char text[LINE_MAX_CHARS])
{
    char service[64];
    struct words words = {text, 0};
    const struct goal *goal = goal_to_say(answer, request);
    say(&words, "/* cap %ld: ", answer->cap);
    if (request->rate > 0)
        say(&words, "%g/s x %s, a=%.4g", request->rate, service_words(&request->service, service, sizeof service),
            request->rate * request->service.mean);
    else
        say(&words, "%ld x %s", request->backlog, service_words(&request->service, service, sizeof service));
    if (answer->limited_by != NULL)
        say(&words, "; limited by %s", answer->limited_by->name);
    if (goal != NULL)
        say_goal(&words, request, answer, goal);
    say(&words, " */");
    return text;
}
