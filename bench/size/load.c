#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "antpool.h"

#define QUEUE_MOST ((1L << 24) - 1)
#define PROGRESS_SECONDS 0.1
#define LEAD_SECONDS 0.01 /* before the first task is due */

enum { STREAM_GAPS = 101, STREAM_SERVICES };

/* Seconds since the run's beginning. */
struct item {
    struct flight *flight;
    double due, drawn;
    double submitted, start, end;
    bool accepted, waited, failed;
};

/* A run while it goes on; written by the generator, but for the items' ends. */
struct flight {
    struct run *run;
    pool_t *pool;
    double base; /* of the monotonic clock */
    struct item *items;
    long n;
    double shown;
    double rss_most;
};

static char message[256];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double load_resident(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* ---- The tasks ---------------------------------------------------------------------------------------- */

static void run_item(void *arg)
{
    struct item *item = arg;
    struct flight *flight = item->flight;
    item->start = now() - flight->base;
    item->failed = !task_run(flight->run->task, item->drawn);
    item->end = now() - flight->base;
}

static bool is_drawn(const struct service *service)
{
    return service->kind != SERVICE_PLUGIN && service->kind != SERVICE_EXEC;
}

static long count_due(const struct run *run)
{
    const struct scenario *scenario = &run->scenario;
    struct random random = random_of(scenario->seed, STREAM_GAPS);
    long n = 0;
    for (double at = 0; (at += arrivals_gap(scenario->arrivals, scenario->rate, &random)) < run->seconds;)
        n++;
    return n;
}

static const char *plan(struct flight *flight)
{
    const struct run *run = flight->run;
    const struct scenario *scenario = &run->scenario;
    if (scenario->rate * run->seconds > QUEUE_MOST / 2.0)
        return "too many tasks: a shorter --duration, please";
    flight->n = count_due(run);
    if (flight->n == 0)
        return "no task is due within the run: a longer --duration, please";
    flight->items = calloc((size_t)flight->n, sizeof *flight->items);
    if (flight->items == NULL)
        return "no memory for the tasks: a shorter --duration, please";
    struct random gaps = random_of(scenario->seed, STREAM_GAPS), services = random_of(scenario->seed, STREAM_SERVICES);
    double at = 0;
    for (long i = 0; i < flight->n; i++) {
        at += arrivals_gap(scenario->arrivals, scenario->rate, &gaps);
        double drawn = is_drawn(scenario->service) ? service_draw(scenario->service, &services) : 0;
        flight->items[i] = (struct item){.flight = flight, .due = at, .drawn = drawn};
    }
    return NULL;
}

/* ---- The pool -------------------------------------------------------------------------------------------- */

static const char *make_pool(pool_t **pool, long cap, long queue)
{
    pool_err err = pool_new_with(pool, (int)cap, pool_with_queue((int)queue), pool_with_nonblocking(true),
                                 pool_with_prestart((int)cap), pool_with_disable_purge(true));
    if (err == POOL_OK)
        return NULL;
    snprintf(message, sizeof message, "a pool of %ld workers: %s", cap, pool_strerror(err));
    return message;
}

/* ---- The generator ------------------------------------------------------------------------------------------ */

static void sleep_until(double instant)
{
    struct timespec t = {.tv_sec = (time_t)instant};
    t.tv_nsec = (long)((instant - (double)t.tv_sec) * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {}
}

/* False: the caller wants to stop. */
static bool show(struct flight *flight, double share)
{
    double instant = now();
    if (instant - flight->shown < PROGRESS_SECONDS)
        return true;
    flight->shown = instant;
    flight->rss_most = fmax(flight->rss_most, load_resident());
    return flight->run->progress == NULL || flight->run->progress(share, flight->run->arg);
}

static bool wait_for(struct flight *flight, double due)
{
    double instant, end = flight->base + due;
    while ((instant = now()) < end) {
        if (!show(flight, due / flight->run->seconds))
            return false;
        sleep_until(fmin(end, instant + PROGRESS_SECONDS));
    }
    return true;
}

static pool_err submit(struct flight *flight, struct item *item)
{
    item->submitted = now() - flight->base;
    item->waited = pool_running(flight->pool) + pool_queued(flight->pool) >= flight->run->scenario.cap;
    pool_err err = pool_try_submit(flight->pool, run_item, item);
    item->accepted = err == POOL_OK;
    return err == POOL_ERR_OVERLOAD ? POOL_OK : err;
}

static const char *generate(struct flight *flight)
{
    for (long i = 0; i < flight->n; i++) {
        if (!wait_for(flight, flight->items[i].due))
            return "interrupted";
        pool_err err = submit(flight, &flight->items[i]);
        if (err != POOL_OK)
            return pool_strerror(err);
    }
    while (pool_wait_timeout(flight->pool, (int)(1000 * PROGRESS_SECONDS)) == POOL_ERR_TIMEOUT)
        if (!show(flight, 1))
            return "interrupted";
    return NULL;
}

static void forget(void *user, pool_task_fn task, void *arg)
{
    (void)user, (void)task;
    ((struct item *)arg)->accepted = false;
}

/* Workers inherit the timer slack of who starts them: with the usual 50 µs every sleep would be late. */
static unsigned long sharpen_sleeps(void)
{
    int slack = prctl(PR_GET_TIMERSLACK);
    prctl(PR_SET_TIMERSLACK, 1UL);
    return slack > 0 ? (unsigned long)slack : 0;
}

static const char *fly(struct flight *flight)
{
    const struct scenario *scenario = &flight->run->scenario;
    unsigned long slack = sharpen_sleeps();
    const char *wrong = make_pool(&flight->pool, scenario->cap, scenario->queue >= 0 ? scenario->queue : flight->n);
    if (wrong == NULL) {
        flight->base = now() + LEAD_SECONDS;
        wrong = generate(flight);
        if (wrong != NULL)
            pool_release_now(flight->pool, forget, NULL);
        flight->rss_most = fmax(flight->rss_most, load_resident());
        pool_destroy(flight->pool);
    }
    prctl(PR_SET_TIMERSLACK, slack);
    return wrong;
}

/* ---- Figures ------------------------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, long n, double share)
{
    long i = (long)ceil(share * (double)n) - 1;
    return sorted[i < 0 ? 0 : i];
}

static bool set_lateness(struct run *run, const struct flight *flight)
{
    double *late = malloc((size_t)flight->n * sizeof *late);
    if (late == NULL)
        return false;
    for (long i = 0; i < flight->n; i++)
        late[i] = fmax(0, flight->items[i].submitted - flight->items[i].due);
    qsort(late, (size_t)flight->n, sizeof *late, by_size);
    run->late_p50 = quantile(late, flight->n, 0.5);
    run->late_p99 = quantile(late, flight->n, 0.99);
    run->late_max = late[flight->n - 1];
    free(late);
    return true;
}

static bool set_services(struct run *run, const struct flight *flight)
{
    double sum = 0;
    run->services = malloc((size_t)flight->n * sizeof *run->services);
    if (run->services == NULL)
        return false;
    for (long i = 0; i < flight->n; i++) {
        const struct item *item = &flight->items[i];
        run->failed += item->failed;
        if (!item->accepted)
            continue;
        sum += item->end - item->start;
        run->services[run->services_n++] = item->end - item->start;
    }
    run->service_mean = run->services_n > 0 ? sum / (double)run->services_n : NAN;
    return true;
}

/* Only tasks that are due after the warmup count. */
static void set_measured(struct run *run, const struct flight *flight)
{
    for (long i = 0; i < flight->n; i++) {
        const struct item *item = &flight->items[i];
        if (item->due < run->warmup)
            continue;
        run->counted++;
        sample_add(&run->waits, item->accepted ? fmax(0, item->start - item->due) : -1, item->end - item->start,
                   item->waited);
    }
    run->measured = sample_outcome(&run->waits, (double)run->scenario.cap * (run->seconds - run->warmup));
}

/* What a refused task would have taken nobody knows but who drew it. */
static double service_of(const struct run *run, const struct item *item)
{
    if (item->accepted)
        return item->end - item->start;
    return is_drawn(run->scenario.service) ? item->drawn : run->service_mean;
}

static double drawn_of(const struct run *run, const struct item *item)
{
    return is_drawn(run->scenario.service) ? item->drawn : service_of(run, item);
}

/* False: no memory. */
static bool set_simulated(const struct run *run, const struct flight *flight, struct outcome *outcome,
                          double (*length)(const struct run *run, const struct item *item))
{
    struct sample sample;
    struct workers *workers = workers_new(run->scenario.cap, run->scenario.queue);
    bool has = workers != NULL && sample_init(&sample, flight->n);
    for (long i = 0; has && i < flight->n; i++) {
        const struct item *item = &flight->items[i];
        double service = length(run, item), wait = workers_take(workers, item->due, service);
        if (item->due >= run->warmup)
            sample_add(&sample, wait, service, wait > 0);
    }
    if (has) {
        *outcome = sample_outcome(&sample, (double)run->scenario.cap * (run->seconds - run->warmup));
        sample_fini(&sample);
    }
    workers_free(workers);
    return has;
}

static const char *set_figures(struct run *run, const struct flight *flight)
{
    double own = (double)flight->n * sizeof *flight->items, grown = flight->rss_most - run->rss_before - own;
    run->tasks = flight->n;
    run->counted = run->failed = run->services_n = 0;
    run->rss_per_worker = grown > 0 ? grown / (double)run->scenario.cap : 0;
    if (!sample_init(&run->waits, flight->n))
        return "no memory for the waits";
    if (set_lateness(run, flight) && set_services(run, flight)) {
        set_measured(run, flight);
        if (set_simulated(run, flight, &run->twin, service_of) && set_simulated(run, flight, &run->ideal, drawn_of))
            return NULL;
    }
    run_fini(run);
    return "no memory for the figures";
}

/* ---------------------------------------------------------------------------------------------------------------- */

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

const char *load_run(struct run *run)
{
    struct flight flight = {.run = run};
    run->rss_before = run->rss_before > 0 ? run->rss_before : load_resident();
    const char *wrong = plan(&flight);
    double began = now(), cpu = processor_seconds();
    if (wrong == NULL)
        wrong = fly(&flight);
    run->cpu = (processor_seconds() - cpu) / (now() - began);
    if (wrong == NULL)
        wrong = set_figures(run, &flight);
    free(flight.items);
    return wrong;
}

void run_fini(struct run *run)
{
    sample_fini(&run->waits);
    free(run->services);
    run->services = NULL;
}

/* ---- A backlog ----------------------------------------------------------------------------------------------------- */

static pool_err drain(pool_t *pool, struct flight *flight, double *seconds)
{
    pool_err err = POOL_OK;
    double began = flight->base = now();
    for (long i = 0; i < flight->n && err == POOL_OK; i++)
        err = pool_submit(pool, run_item, &flight->items[i]);
    pool_wait(pool);
    *seconds = now() - began;
    return err;
}

static void draw_backlog(struct flight *flight)
{
    const struct scenario *scenario = &flight->run->scenario;
    struct random services = random_of(scenario->seed, STREAM_SERVICES);
    for (long i = 0; i < flight->n; i++)
        flight->items[i] = (struct item){.flight = flight,
                                         .drawn = is_drawn(scenario->service) ? service_draw(scenario->service, &services) : 0};
}

static const char *all_done(const struct flight *flight)
{
    long failed = 0;
    for (long i = 0; i < flight->n; i++)
        failed += flight->items[i].failed;
    if (failed == 0)
        return NULL;
    snprintf(message, sizeof message, "%ld of %ld commands failed", failed, flight->n);
    return message;
}

const char *load_drain(const struct task *task, const struct scenario *scenario, double *seconds)
{
    struct run run = {.task = task, .scenario = *scenario};
    struct flight flight = {.run = &run, .n = scenario->backlog};
    flight.items = calloc((size_t)flight.n, sizeof *flight.items);
    if (flight.items == NULL)
        return "no memory for the backlog";
    draw_backlog(&flight);
    unsigned long slack = sharpen_sleeps();
    const char *wrong = make_pool(&flight.pool, scenario->cap, flight.n);
    if (wrong == NULL) {
        pool_err err = drain(flight.pool, &flight, seconds);
        pool_destroy(flight.pool);
        wrong = err != POOL_OK ? pool_strerror(err) : all_done(&flight);
    }
    prctl(PR_SET_TIMERSLACK, slack);
    free(flight.items);
    return wrong;
}
