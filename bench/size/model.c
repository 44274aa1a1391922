#include "model.h"

#include <math.h>

#include "formulas.h"
#include "fail.h"

/* ---- Formulas --------------------------------------------------------------------------- */

bool model_is_exact(const struct scenario *scenario)
{
    return scenario->service->kind == SERVICE_EXP && scenario->arrivals == ARRIVALS_POISSON;
}

/* Quantiles take a while with a long queue, so only those that are asked for. */
#define ALL METRIC_COUNT

static bool is_asked(enum metric metric, enum metric only)
{
    return only == ALL || only == metric;
}

static void set_endless(struct outcome *o, double a, long c, double s)
{
    o->of[P_WAIT] = erlang_c(a, c);
    o->of[MEAN_WAIT] = wait_mean(a, c, s);
    for (enum metric m = P50_WAIT; m <= P999_WAIT; m++)
        o->of[m] = wait_quantile(a, c, s, metric_share(m));
    o->of[P99_TOTAL] = total_quantile(a, c, s, metric_share(P99_TOTAL));
    o->of[REJECT] = erlang_b(a, c);
    o->of[UTILISATION] = fmin(a / (double)c, 1);
}

static void set_finite(struct outcome *o, double a, long c, long queue, double s, enum metric only)
{
    struct finite f = finite_system(a, c, queue, s);
    o->of[P_WAIT] = f.p_wait;
    o->of[MEAN_WAIT] = f.mean_wait;
    for (enum metric m = P50_WAIT; m <= P999_WAIT; m++)
        if (is_asked(m, only))
            o->of[m] = finite_wait_quantile(a, c, queue, s, metric_share(m));
    if (is_asked(P99_TOTAL, only))
        o->of[P99_TOTAL] = finite_total_quantile(a, c, queue, s, metric_share(P99_TOTAL));
    o->of[REJECT] = f.reject;
    o->of[UTILISATION] = f.utilisation;
}

/* A total holds the service itself, whose quantile for other distributions is not known here. */
static void approximate(struct outcome *o, const struct scenario *scenario)
{
    double gaps = scenario->arrivals == ARRIVALS_POISSON ? 1 : 0;
    for (enum metric m = MEAN_WAIT; m <= P999_WAIT; m++)
        o->of[m] *= (gaps + scenario->service->cv2) / 2;
    o->of[P99_TOTAL] = NAN;
}

static struct outcome formula(const struct scenario *scenario, enum metric only)
{
    struct outcome o = outcome_unknown();
    double s = scenario->service->mean, a = scenario->rate * s;
    if (a > 0) {
        if (scenario->queue < 0)
            set_endless(&o, a, scenario->cap, s);
        else
            set_finite(&o, a, scenario->cap, scenario->queue, s, only);
        if (!model_is_exact(scenario))
            approximate(&o, scenario);
    }
    if (scenario->backlog > 0 && scenario->service->kind == SERVICE_EXP)
        o.of[DRAIN] = drain_mean(scenario->backlog, scenario->cap, s);
    return o;
}

struct outcome model_formula(const struct scenario *scenario)
{
    return formula(scenario, ALL);
}

/* ---- Predictions ------------------------------------------------------------------------- */

struct estimate model_predict(const struct scenario *scenario, long tasks)
{
    struct estimate estimate = {0};
    if (model_is_exact(scenario))
        estimate.outcome = model_formula(scenario);
    else if (!simulate(scenario, tasks, &estimate))
        fail(EXIT_UNABLE, "no memory to simulate %ld tasks", tasks);
    return estimate;
}

struct wanted {
    struct scenario scenario;
    const struct goal *goal;
    long tasks;
};

static bool meets(long cap, void *arg)
{
    struct wanted *wanted = arg;
    wanted->scenario.cap = cap;
    struct outcome outcome = model_is_exact(&wanted->scenario)
                                 ? formula(&wanted->scenario, wanted->goal->metric)
                                 : model_predict(&wanted->scenario, wanted->tasks).outcome;
    return goal_is_met(wanted->goal, &outcome);
}

/* What is asked of one metric need not be simulated for the others. */
static struct scenario narrowed(const struct scenario *scenario, enum metric metric)
{
    struct scenario narrow = *scenario;
    if (metric == DRAIN)
        narrow.rate = 0;
    else
        narrow.backlog = 0;
    return narrow;
}

long model_least_cap(const struct scenario *scenario, const struct goal *goal, long most, long tasks)
{
    struct wanted wanted = {narrowed(scenario, goal->metric), goal, tasks / SEARCH_SHARE};
    double work = goal->metric == DRAIN ? (double)scenario->backlog / goal->bound : scenario->rate;
    double from = fmin(ceil(work * scenario->service->mean), (double)most); /* workers that are busy all the time */
    return least_cap(from > 1 ? (long)from : 1, most, meets, &wanted);
}
