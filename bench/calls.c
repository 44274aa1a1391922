/*
 * What does the submit call itself take?
 *
 *     calls [--n N] [--cap C] [--queue Q]
 *
 * One thread calls; tasks are empty, and each must have run once. A line for each call:
 *
 *     call          nothing: an empty function, what measuring itself takes; clock: reading
 *                   the clock; many256: pool_submit_many with 256 tasks, whose figures are
 *                   for one task; running and after it: the gauges
 *     n             calls timed: N (200000), of many256 a sixteenth
 *     p50 p99 p999  ns of a call, with a reading of the clock on either side, on a pool of
 *                   C (1000) tasks at once and no queue; when the pool is full, submit waits
 *                   within the call, and try_submit is tried again after pool_wait: refused
 *                   calls are not counted
 *     amortised     ns of a task, or of a call without one: median of batches of 512, with
 *                   the clock read around the batch. The pool's only worker is held, and its
 *                   queue of Q (1048575) has room, so this is the submitter's side alone
 *     ops           tasks, or calls, a second, without reading the clock in between, until
 *                   the last task has ended; on the pool of the quantiles
 *     refused       try_submit: calls that found the pool full during the quantiles
 */
#define _GNU_SOURCE
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "antpool.h"
#include "common.h"

enum { MANY = 256, MANY_SHARE = 16, BATCH = 512, COPY_BYTES = 32 };

static int n = 200000, cap = 1000, queue = (1 << 20) - 1;
static pool_t *pool;
static unsigned char *ran; /* a byte a task */
static void **args;        /* pointers to them */
static int64_t *samples;

static void check(pool_err err)
{
    if (err != POOL_OK)
        bench_die("%s", pool_strerror(err));
}

static void task(void *arg)
{
    unsigned char *mine = arg;
    (*mine)++;
}

static void copied_task(void *copy)
{
    void *arg;
    memcpy(&arg, copy, sizeof arg);
    task(arg);
}

/* ---- The calls, for the tasks from `first` on; false: refused -------------------------- */

static bool call_nothing(long first)
{
    __asm__ volatile("" : : "r"(first));
    return true;
}

static bool call_clock(long first)
{
    (void)first;
    (void)bench_now();
    return true;
}

static bool call_submit(long first)
{
    check(pool_submit(pool, task, &ran[first]));
    return true;
}

static bool call_try_submit(long first)
{
    pool_err err = pool_try_submit(pool, task, &ran[first]);
    if (err == POOL_ERR_OVERLOAD)
        return false;
    check(err);
    return true;
}

static bool call_invoke(long first)
{
    check(pool_invoke(pool, &ran[first]));
    return true;
}

static bool call_copy(long first)
{
    unsigned char data[COPY_BYTES] = {0};
    void *arg = &ran[first];
    memcpy(data, &arg, sizeof arg);
    check(pool_submit_copy(pool, copied_task, data, sizeof data));
    return true;
}

static bool call_many(long first)
{
    size_t accepted;
    check(pool_submit_many(pool, task, &args[first], MANY, &accepted));
    return true;
}

#define GAUGE(gauge)                           \
    static bool call_##gauge(long first)       \
    {                                          \
        (void)first;                           \
        return pool_##gauge(pool) >= INT_MIN;  \
    }
GAUGE(running)
GAUGE(queued)
GAUGE(free_slots)
GAUGE(waiting)
GAUGE(workers)
GAUGE(idle)

struct call {
    const char *name;
    bool (*once)(long first);
    int tasks; /* of one call */
};

static const struct call calls[] = {
    {"nothing", call_nothing, 0},   {"clock", call_clock, 0},
    {"submit", call_submit, 1},     {"try_submit", call_try_submit, 1},
    {"invoke", call_invoke, 1},     {"copy32", call_copy, 1},
    {"many256", call_many, MANY},   {"running", call_running, 0},
    {"queued", call_queued, 0},     {"free_slots", call_free_slots, 0},
    {"waiting", call_waiting, 0},   {"workers", call_workers, 0},
    {"idle", call_idle, 0},
};

static int per(const struct call *call)
{
    return call->tasks > 1 ? call->tasks : 1;
}

static long count(const struct call *call)
{
    return call->tasks > 1 ? (n + MANY_SHARE - 1) / MANY_SHARE : n;
}

/* ---- Pools ----------------------------------------------------------------------------- */

static void start(int tasks_at_once, int places)
{
    check(pool_new_with(&pool, tasks_at_once, pool_with_queue(places), pool_with_func(task),
                        pool_with_disable_purge(true)));
}

static void stop(void)
{
    check(pool_destroy(pool));
}

/* Waits until `tasks` tasks have run, and forgets that they did. */
static void finish(long tasks)
{
    check(pool_wait(pool));
    for (long i = 0; i < tasks; i++) {
        if (ran[i] != 1)
            bench_die("task %ld ran %d times", i, ran[i]);
        ran[i] = 0;
    }
}

/* ---- With the clock read around each ---------------------------------------------------- */

/* Returns how many were refused. */
static long time_each(const struct call *call)
{
    long refused = 0;
    for (long i = 0; i < count(call);) {
        int64_t begin = bench_now();
        bool done = call->once(i * call->tasks);
        samples[i] = bench_now() - begin;
        if (done) {
            i++;
        } else {
            refused++;
            check(pool_wait(pool));
        }
    }
    finish(count(call) * call->tasks);
    return refused;
}

static double ops(const struct call *call)
{
    int64_t begin = bench_now();
    for (long i = 0; i < count(call);) {
        if (call->once(i * call->tasks))
            i++;
        else
            check(pool_wait(pool));
    }
    check(pool_wait(pool));
    double rate = (double)count(call) * per(call) * 1e9 / (double)(bench_now() - begin);
    finish(count(call) * call->tasks);
    return rate;
}

/* ---- In batches, with the worker held --------------------------------------------------- */

static pthread_barrier_t gate; /* the worker and the main thread: begun, and may end */

static void hold(void *unused)
{
    (void)unused;
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
}

static int64_t time_batch(const struct call *call, long first)
{
    int64_t begin = bench_now();
    for (int i = 0; i < BATCH; i += per(call))
        if (!call->once(first + i))
            bench_die("%s: refused", call->name);
    return bench_now() - begin;
}

/* Returns how many batches there were: at most as many as the queue has room for. */
static long fill(const struct call *call, int64_t *into, long most)
{
    long batches = queue / BATCH < most ? queue / BATCH : most;
    check(pool_submit(pool, hold, NULL));
    pthread_barrier_wait(&gate);
    for (long i = 0; i < batches; i++)
        into[i] = time_batch(call, i * BATCH);
    pthread_barrier_wait(&gate);
    finish(call->tasks > 0 ? batches * BATCH : 0);
    return batches;
}

/* The queue is filled once before: its memory has been touched. */
static double amortised(const struct call *call)
{
    long want = n / BATCH > 0 ? n / BATCH : 1, done = 0;
    start(1, queue);
    fill(call, samples, LONG_MAX);
    while (done < want)
        done += fill(call, samples + done, want - done);
    stop();
    return (double)bench_quantile(samples, done, 0.5) / BATCH;
}

/* ---- Lines ------------------------------------------------------------------------------ */

static double quantile(const struct call *call, double share)
{
    return (double)bench_quantile(samples, count(call), share) / per(call);
}

static void measure(const struct call *call)
{
    start(cap, 0);
    double rate = ops(call);
    long refused = time_each(call);
    stop();
    printf("call=%s n=%ld p50=%.1f p99=%.1f p999=%.1f", call->name, count(call), quantile(call, 0.5),
           quantile(call, 0.99), quantile(call, 0.999));
    printf(" amortised=%.2f ops=%.0f refused=%ld\n", amortised(call), rate, refused);
}

/* Written to, so that no page is missing when it is measured. */
static void *room(size_t items, size_t size)
{
    void *memory = malloc(items * size);
    if (memory == NULL)
        bench_die("out of memory");
    memset(memory, 0, items * size);
    return memory;
}

int main(int argc, char **argv)
{
    bench_parse(argc, argv, (struct bench_option[]){
        {"--n", &n, NULL, NULL, 1, 10000000},
        {"--cap", &cap, NULL, NULL, 1, INT_MAX},
        {"--queue", &queue, NULL, NULL, BATCH, (1 << 24) - 1},
        {NULL, NULL, NULL, NULL, 0, 0},
    });
    size_t tasks = (size_t)n / MANY_SHARE * MANY + MANY + (size_t)queue;
    ran = room(tasks, 1);
    args = room(tasks, sizeof *args);
    samples = room((size_t)n + (size_t)queue / BATCH, sizeof *samples);
    for (size_t i = 0; i < tasks; i++)
        args[i] = &ran[i];
    pthread_barrier_init(&gate, NULL, 2);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        measure(&calls[i]);
    return 0;
}
