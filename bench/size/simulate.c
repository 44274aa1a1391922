/*
 * The long simulation. The streams of a seed: each has one use, whatever the cap is, so that the
 * k-th task is the same for every cap.
 */
#include "simulate.h"

#include <math.h>
#include <stdlib.h>

#include "moments.h"

enum stream { STREAM_GAPS, STREAM_SERVICES, STREAM_DRAINS, STREAMS };

/* ---- Tasks ---------------------------------------------------------------------------------- */

struct feed {
    const struct scenario *scenario;
    struct workers *workers;
    struct random gaps, services;
    double at;
};

/* run: 0 for the long simulation, others for the runs of a spread. A limit of the queue that so
 * many tasks cannot reach is none, and takes no memory. False: no memory. */
static bool feed_init(struct feed *feed, const struct scenario *scenario, uint64_t run, long tasks)
{
    uint64_t seed = scenario->seed, stream = run * STREAMS;
    long queue = scenario->queue < tasks ? scenario->queue : -1;
    *feed = (struct feed){scenario, workers_new(scenario->cap, queue), random_of(seed, stream + STREAM_GAPS),
                          random_of(seed, stream + STREAM_SERVICES), 0};
    return feed->workers != NULL;
}

static void feed_fini(struct feed *feed)
{
    workers_free(feed->workers);
}

static double feed_one(struct feed *feed, double *service)
{
    const struct scenario *scenario = feed->scenario;
    feed->at += arrivals_gap(scenario->arrivals, scenario->rate, &feed->gaps);
    *service = service_draw(scenario->service, &feed->services);
    return workers_take(feed->workers, feed->at, *service);
}

static void feed_uncounted(struct feed *feed, long n)
{
    double service;
    for (long i = 0; i < n; i++)
        feed_one(feed, &service);
}

static void feed_counted(struct feed *feed, long n, struct sample *sample)
{
    double service;
    for (long i = 0; i < n; i++) {
        double wait = feed_one(feed, &service);
        sample_add(sample, wait, service, wait > 0);
    }
}

static struct outcome outcome_since(double begin, const struct feed *feed, struct sample *sample)
{
    struct outcome outcome = sample_outcome(sample, (double)feed->scenario->cap * (feed->at - begin));
    if (feed->scenario->queue < 0)
        outcome.of[REJECT] = NAN;
    return outcome;
}

/* ---- Precision ------------------------------------------------------------------------------ */

/* The 97.5 % quantile of Student's distribution: the expansion of Fisher and Cornish, within
 * 0.3 % for 4 degrees of freedom and better for more. */
static double student(long freedom)
{
    double z = 1.959963984540054, v = (double)freedom, z2 = z * z;
    double a = (z2 + 1) / 4;
    double b = ((5 * z2 + 16) * z2 + 3) / 96;
    double c = (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384;
    return z * (1 + (a + (b + c / v) / v) / v);
}

/* Half of the 95 % confidence interval of what they vary about. */
static double half_interval(const double *figures, long n, double about)
{
    return student(n - 1) * sqrt(squares_about(figures, n, about) / (double)(n - 1) / (double)n);
}

/* ---- Draining ------------------------------------------------------------------------------- */

#define DRAINS_MOST 200
#define DRAINS_LEAST 10
#define DRAIN_TASKS 1000000 /* together; the more tasks, the less a drain varies */

static bool drain_is_exact(const struct service *service)
{
    return service->kind == SERVICE_FIXED && service->trace == NULL;
}

/* False: no memory. */
static bool drain_once(const struct scenario *scenario, struct random *random, double *seconds)
{
    struct workers *workers = workers_new(scenario->cap, -1);
    if (workers == NULL)
        return false;
    for (long i = 0; i < scenario->backlog; i++)
        workers_take(workers, 0, service_draw(scenario->service, random));
    *seconds = workers_done_at(workers);
    workers_free(workers);
    return true;
}

static long drains_wanted(long backlog)
{
    long n = DRAIN_TASKS / backlog;
    return n < DRAINS_LEAST ? DRAINS_LEAST : n > DRAINS_MOST ? DRAINS_MOST : n;
}

static double drain_exactly(const struct scenario *scenario)
{
    long rounds = scenario->backlog / scenario->cap + (scenario->backlog % scenario->cap != 0);
    return (double)rounds * scenario->service->mean;
}

static bool estimate_drain(const struct scenario *scenario, struct estimate *estimate)
{
    if (drain_is_exact(scenario->service)) {
        estimate->outcome.of[DRAIN] = drain_exactly(scenario);
        estimate->error.of[DRAIN] = 0;
        return true;
    }
    double drains[DRAINS_MOST];
    long n = drains_wanted(scenario->backlog);
    struct random random = random_of(scenario->seed, STREAM_DRAINS);
    for (long i = 0; i < n; i++)
        if (!drain_once(scenario, &random, &drains[i]))
            return false;
    estimate->outcome.of[DRAIN] = mean_of(drains, n);
    estimate->error.of[DRAIN] = half_interval(drains, n, estimate->outcome.of[DRAIN]);
    return true;
}

/* ---- The long simulation -------------------------------------------------------------------- */

/* Few and long ones: waits of a busy system are alike for long, and short batches would hide how far
 * all of them stray together. */
#define BATCHES 5

static bool is_unstable(const struct scenario *scenario)
{
    return scenario->queue < 0 && scenario->rate * scenario->service->mean >= (double)scenario->cap;
}

static void set_unstable(struct estimate *estimate)
{
    for (enum metric metric = MEAN_WAIT; metric <= P99_TOTAL; metric++)
        estimate->outcome.of[metric] = INFINITY;
    estimate->outcome.of[P_WAIT] = 1;
    estimate->outcome.of[UTILISATION] = 1;
    for (int metric = 0; metric < METRIC_COUNT; metric++)
        if (!isnan(estimate->outcome.of[metric]))
            estimate->error.of[metric] = 0;
}

/* A view of what was added to the sample since it looked like `before`. Its figures sort only
 * that part. */
static struct sample added_since(const struct sample *before, const struct sample *now)
{
    return (struct sample){.waits = now->waits + before->n,
                           .totals = now->totals + before->n,
                           .n = now->n - before->n,
                           .room = now->n - before->n,
                           .refused = now->refused - before->refused,
                           .waited = now->waited - before->waited,
                           .wait_sum = now->wait_sum - before->wait_sum,
                           .busy = now->busy - before->busy};
}

static struct outcome batch_outcome(struct feed *feed, long n, struct sample *sample)
{
    struct sample before = *sample;
    double begin = feed->at;
    feed_counted(feed, n, sample);
    struct sample batch = added_since(&before, sample);
    return outcome_since(begin, feed, &batch);
}

/* Deviations are from the figure of the whole, not from the batches' mean: a tail comes from the worst
 * of them, which the mean of their tails forgets (sectioning: Asmussen, Glynn, Stochastic Simulation). */
static struct outcome errors_of(const struct outcome *batches, const struct outcome *whole)
{
    struct outcome error;
    double figures[BATCHES];
    for (int metric = 0; metric < METRIC_COUNT; metric++) {
        for (int i = 0; i < BATCHES; i++)
            figures[i] = batches[i].of[metric];
        error.of[metric] = half_interval(figures, BATCHES, whole->of[metric]);
    }
    return error;
}

static void feed_batches(struct feed *feed, long counted, struct sample *sample, struct estimate *estimate)
{
    struct outcome batches[BATCHES];
    double begin = feed->at;
    for (long i = 0; i < BATCHES; i++) {
        long from = counted / BATCHES * i + counted % BATCHES * i / BATCHES;
        long to = counted / BATCHES * (i + 1) + counted % BATCHES * (i + 1) / BATCHES;
        batches[i] = batch_outcome(feed, to - from, sample);
    }
    estimate->outcome = outcome_since(begin, feed, sample);
    estimate->error = errors_of(batches, &estimate->outcome);
}

static bool estimate_tasks(const struct scenario *scenario, long tasks, struct estimate *estimate)
{
    struct feed feed;
    struct sample sample;
    long uncounted = tasks / 10;
    if (!sample_init(&sample, tasks - uncounted))
        return false;
    bool fed = feed_init(&feed, scenario, 0, tasks);
    if (fed) {
        feed_uncounted(&feed, uncounted);
        feed_batches(&feed, tasks - uncounted, &sample, estimate);
        estimate->tasks = tasks;
        feed_fini(&feed);
    }
    sample_fini(&sample);
    return fed;
}

bool simulate(const struct scenario *scenario, long tasks, struct estimate *estimate)
{
    *estimate = (struct estimate){outcome_unknown(), outcome_unknown(), 0};
    if (is_unstable(scenario))
        set_unstable(estimate);
    else if (scenario->rate > 0 && !estimate_tasks(scenario, tasks, estimate))
        return false;
    return scenario->backlog <= 0 || estimate_drain(scenario, estimate);
}

/* ---- The spread of short runs --------------------------------------------------------------- */

struct spreading {
    const struct scenario *scenario;
    long tasks, warmup;
    struct sample sample;  /* the tasks of a run */
    struct sample figures; /* what the runs show of a metric, as its waits */
    struct outcome *shown; /* by each run */
};

static void spreading_fini(struct spreading *spreading)
{
    sample_fini(&spreading->sample);
    sample_fini(&spreading->figures);
    free(spreading->shown);
}

static bool spreading_init(struct spreading *spreading, int runs)
{
    spreading->shown = malloc((size_t)runs * sizeof *spreading->shown);
    bool has = spreading->shown != NULL && sample_init(&spreading->figures, runs) &&
               sample_init(&spreading->sample, spreading->tasks - spreading->warmup);
    if (!has)
        spreading_fini(spreading);
    return has;
}

static bool run_once(struct spreading *spreading, uint64_t run, struct outcome *shown)
{
    struct feed feed;
    const struct scenario *scenario = spreading->scenario;
    if (!feed_init(&feed, scenario, run, spreading->tasks))
        return false;
    feed_uncounted(&feed, spreading->warmup);
    sample_clear(&spreading->sample);
    *shown = batch_outcome(&feed, spreading->tasks - spreading->warmup, &spreading->sample);
    feed_fini(&feed);
    struct random random = random_of(scenario->seed, run * STREAMS + STREAM_DRAINS);
    return scenario->backlog <= 0 || drain_once(scenario, &random, &shown->of[DRAIN]);
}

static double spread_of(struct spreading *spreading, int runs, int metric)
{
    sample_clear(&spreading->figures);
    for (int i = 0; i < runs; i++) {
        double figure = spreading->shown[i].of[metric];
        if (isnan(figure))
            return NAN;
        sample_add(&spreading->figures, figure, 0, false);
    }
    double low = sample_wait_quantile(&spreading->figures, 0.025);
    return (sample_wait_quantile(&spreading->figures, 0.975) - low) / 2;
}

bool simulate_spread(const struct scenario *scenario, long tasks, long warmup, int runs,
                     struct outcome *spread)
{
    long uncounted = warmup < tasks ? warmup : tasks;
    struct spreading spreading = {.scenario = scenario, .tasks = tasks, .warmup = uncounted};
    if (!spreading_init(&spreading, runs))
        return false;
    bool ran = true;
    for (int i = 0; i < runs && ran; i++)
        ran = run_once(&spreading, (uint64_t)i + 1, &spreading.shown[i]);
    for (int metric = 0; metric < METRIC_COUNT && ran; metric++)
        spread->of[metric] = spread_of(&spreading, runs, metric);
    spreading_fini(&spreading);
    return ran;
}
