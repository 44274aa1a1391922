#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "clock.h"
#include "flight.h"
#include "sentence.h"

#define TASKS_MOST (1L << 24) /* a pool queues no more */
#define PROGRESS_SECONDS 0.1
#define PROGRESS_LATEST 0.3   /* even if tasks are due meanwhile */
#define PROGRESS_ROOM 1e-4    /* what it takes, with a good margin */
#define LEAD_SECONDS 0.01     /* before the first task can be due: the workers come to rest */

/* Other ones than those of the simulations, or a run would repeat the very tasks that it is to check. */
enum { STREAM_GAPS = 101, STREAM_SERVICES = 102 };

double load_resident(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re"); /* e: not for commands */
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
    item->start = clock_now() - flight->base;
    item->failed = !task_run(flight->run->task, item->drawn);
    item->end = clock_now() - flight->base;
}

static double draw(const struct service *service, struct random *random)
{
    return service_is_program(service) ? 0 : service_draw(service, random);
}

/* Stops counting beyond TASKS_MOST. */
static long count_due(const struct run *run)
{
    const struct scenario *scenario = &run->scenario;
    struct random random = random_of(scenario->seed, STREAM_GAPS);
    long n = 0;
    for (double at = 0; n <= TASKS_MOST; n++)
        if ((at += arrivals_gap(scenario->arrivals, scenario->rate, &random)) >= run->seconds)
            break;
    return n;
}

static const char *not_countable(const struct run *run, long n)
{
    if (n == 0)
        return sentence("no task is due within %g s at %g a second: a longer --duration, please", run->seconds,
                        run->scenario.rate);
    return sentence("more than %ld tasks are due within %g s, too many: a shorter --duration, please", TASKS_MOST,
                    run->seconds);
}

static const char *plan(struct flight *flight)
{
    const struct scenario *scenario = &flight->run->scenario;
    flight->n = count_due(flight->run);
    if (flight->n == 0 || flight->n > TASKS_MOST)
        return not_countable(flight->run, flight->n);
    flight->items = calloc((size_t)flight->n, sizeof *flight->items);
    if (flight->items == NULL)
        return "no memory for the tasks: a shorter --duration, please";
    struct random gaps = random_of(scenario->seed, STREAM_GAPS), services = random_of(scenario->seed, STREAM_SERVICES);
    double at = 0;
    for (long i = 0; i < flight->n; i++) {
        at += arrivals_gap(scenario->arrivals, scenario->rate, &gaps);
        flight->items[i] = (struct item){.flight = flight, .due = at, .drawn = draw(scenario->service, &services)};
    }
    return NULL;
}

/* ---- The pool -------------------------------------------------------------------------------------------- */

static const char *no_pool(long cap, pool_err err)
{
    const char *remedy = err == POOL_ERR_NO_THREAD
        ? "; raise ulimit -u, pids.max of the cgroup, vm.max_map_count (two a thread) or kernel.threads-max" : "";
    return sentence("a pool of %ld workers: %s%s", cap, pool_strerror(err), remedy);
}

/* A queue with room for all tasks of a run is one without a limit. */
long flight_queue(const struct flight *flight)
{
    long queue = flight->run->scenario.queue;
    return queue < 0 || queue > flight->n ? flight->n : queue;
}

/* All workers are there before the first task and stay: what is measured is waiting for them, not starting
 * them. */
static const char *make_pool(pool_t **pool, long cap, long queue)
{
    if (cap > INT_MAX)
        return no_pool(cap, POOL_ERR_INVALID_CAP);
    pool_err err = pool_new_with(pool, (int)cap, pool_with_queue((int)queue), pool_with_nonblocking(true),
                                 pool_with_prestart((int)cap), pool_with_disable_purge(true));
    return err == POOL_OK ? NULL : no_pool(cap, err);
}

/* With the usual 50 µs every sleep would be late by so much; workers inherit it from who starts them. */
static int set_timer_slack(int ns)
{
#ifdef __linux__
    int before = prctl(PR_GET_TIMERSLACK);
    prctl(PR_SET_TIMERSLACK, (unsigned long)(ns > 0 ? ns : 0));
    return before;
#else
    return ns;
#endif
}

static const char *not_submitted(pool_err err)
{
    return sentence("a task could not be submitted: %s", pool_strerror(err));
}

/* ---- The generator ------------------------------------------------------------------------------------------ */

static void sleep_until(double instant)
{
    struct timespec t = {.tv_sec = (time_t)instant};
    t.tv_nsec = (long)((instant - (double)t.tv_sec) * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {}
}

/* Not just before a task is due, which it would make late, unless there was no better moment for
 * long. False: the caller wants to stop. */
static bool show(struct flight *flight, double share, double room)
{
    double instant = clock_now(), since = instant - flight->shown;
    if (since < (room > PROGRESS_ROOM ? PROGRESS_SECONDS : PROGRESS_LATEST))
        return true;
    flight->shown = instant;
    flight->rss_most = fmax(flight->rss_most, load_resident());
    return flight->run->progress == NULL || flight->run->progress(share, flight->run->arg);
}

/* Not at all for a task that is due already: late as it is, it is submitted. */
static bool wait_for(struct flight *flight, double due)
{
    double instant = clock_now(), at = flight->base + due;
    if (!show(flight, due / flight->run->seconds, at - instant))
        return false;
    while ((instant = clock_now()) < at) {
        sleep_until(fmin(at, instant + PROGRESS_SECONDS));
        if (!show(flight, due / flight->run->seconds, at - clock_now()))
            return false;
    }
    return true;
}

/* Whether it waits is seen by the gauges: after any wake-up an idle worker is some µs late, which is no queueing. */
static pool_err submit(struct flight *flight, struct item *item)
{
    item->submitted = clock_now() - flight->base;
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
            return not_submitted(err);
    }
    while (pool_wait_timeout(flight->pool, (int)(1000 * PROGRESS_SECONDS)) == POOL_ERR_TIMEOUT)
        if (!show(flight, 1, PROGRESS_SECONDS))
            return "interrupted";
    return NULL;
}

static void forget(void *user, pool_task_fn task, void *arg)
{
    (void)user, (void)task, (void)arg;
}

static const char *generate_on_pool(struct flight *flight)
{
    const char *wrong = make_pool(&flight->pool, flight->run->scenario.cap, flight_queue(flight));
    if (wrong != NULL)
        return wrong;
    double began = clock_now(), cpu = clock_process_cpu();
    flight->base = began + LEAD_SECONDS;
    wrong = generate(flight);
    flight->cpu = (clock_process_cpu() - cpu) / (clock_now() - began);
    if (wrong != NULL)
        pool_release_now(flight->pool, forget, NULL);
    flight->rss_most = fmax(flight->rss_most, load_resident());
    pool_destroy(flight->pool);
    return wrong;
}

static const char *fly(struct flight *flight)
{
    int slack = set_timer_slack(1);
    const char *wrong = generate_on_pool(flight);
    set_timer_slack(slack);
    return wrong;
}

/* ---------------------------------------------------------------------------------------------------------------- */

const char *load_run(struct run *run)
{
    struct flight flight = {.run = run};
    run->services = NULL;
    run->rss_before = run->rss_before > 0 ? run->rss_before : load_resident();
    const char *wrong = plan(&flight);
    if (wrong == NULL && flight.items != NULL)
        wrong = fly(&flight);
    if (wrong == NULL)
        wrong = flight_figures(&flight);
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

static const char *plan_backlog(struct flight *flight)
{
    const struct scenario *scenario = &flight->run->scenario;
    struct random services = random_of(scenario->seed, STREAM_SERVICES);
    flight->n = scenario->backlog;
    if (flight->n < 1 || flight->n > TASKS_MOST)
        return sentence("a backlog of %ld tasks: 1 to %ld can be drained", flight->n, TASKS_MOST);
    flight->items = calloc((size_t)flight->n, sizeof *flight->items);
    if (flight->items == NULL)
        return "no memory for the backlog";
    for (long i = 0; i < flight->n; i++)
        flight->items[i] = (struct item){.flight = flight, .drawn = draw(scenario->service, &services)};
    return NULL;
}

static const char *not_drained(const struct flight *flight, pool_err err)
{
    long failed = 0;
    for (long i = 0; i < flight->n; i++)
        failed += flight->items[i].failed;
    if (err != POOL_OK)
        return not_submitted(err);
    return failed == 0 ? NULL : sentence("%ld of %ld commands failed: they must exit with 0", failed, flight->n);
}

/* All of them are accepted at once: the queue has room for the backlog. */
static const char *drain(struct flight *flight, double *seconds)
{
    pool_err err = POOL_OK;
    const char *wrong = make_pool(&flight->pool, flight->run->scenario.cap, flight->n);
    if (wrong != NULL)
        return wrong;
    flight->base = clock_now();
    for (long i = 0; i < flight->n && err == POOL_OK; i++)
        err = pool_submit(flight->pool, run_item, &flight->items[i]);
    pool_wait(flight->pool);
    double took = clock_now() - flight->base;
    pool_destroy(flight->pool);
    wrong = not_drained(flight, err);
    if (wrong == NULL)
        *seconds = took;
    return wrong;
}

const char *load_drain(const struct task *task, const struct scenario *scenario, double *seconds)
{
    struct run run = {.task = task, .scenario = *scenario};
    struct flight flight = {.run = &run};
    int slack = set_timer_slack(1);
    const char *wrong = plan_backlog(&flight);
    if (wrong == NULL && flight.items != NULL)
        wrong = drain(&flight, seconds);
    set_timer_slack(slack);
    free(flight.items);
    return wrong;
}
