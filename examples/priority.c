/*
 * priority: how does urgent work get through while a flood of bulk work is on?
 *
 * A pool for each priority, and one function that chooses. A queue with priorities would
 * not do: once every worker runs something slow, the most urgent task waits as well. What
 * is done at the limit differs too: bulk waits, normal is refused and may be tried again,
 * urgent runs in its caller, since it must be done in any case.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "antpool.h"

typedef enum priority { URGENT, NORMAL, BULK, PRIORITIES } priority_t;

enum { PATIENCE_MS = 10000, EACH = 40, BULK_CAP = 8, BULK_QUEUE = 400 };

static void need(bool so, const char *what)
{
    if (so)
        return;
    fprintf(stderr, "priority: not so: %s\n", what);
    exit(EXIT_FAILURE);
}

static void need_ok(pool_err err, const char *call)
{
    if (err == POOL_OK)
        return;
    fprintf(stderr, "priority: %s: %s\n", call, pool_strerror(err));
    exit(EXIT_FAILURE);
}

/* ---- The pools --------------------------------------------------------------------- */

static void make_pools(pool_t *pools[PRIORITIES])
{
    need_ok(pool_new_with(&pools[URGENT], 4, pool_with_name("urgent"), pool_with_prestart(1),
                          pool_with_policy(POOL_CALLER_RUNS)),
            "urgent");
    need_ok(pool_new_with(&pools[NORMAL], 4, pool_with_name("normal"), pool_with_queue(100),
                          pool_with_policy(POOL_REFUSE)),
            "normal");
    need_ok(pool_new_with(&pools[BULK], BULK_CAP, pool_with_name("bulk"),
                          pool_with_queue(BULK_QUEUE)),
            "bulk");
}

static pool_err submit(pool_t *pools[PRIORITIES], priority_t priority, pool_task_fn fn, void *arg)
{
    if (priority < URGENT || priority >= PRIORITIES)
        return POOL_ERR_INVALID;
    return pool_submit(pools[priority], fn, arg);
}

/* ---- The work ---------------------------------------------------------------------- */

/* Bulk tasks are slow: as slow as it takes until the gate opens. */
typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opened; /* open */
    bool open;
    atomic_int passed;
} gate_t;

static void open_gate(gate_t *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->opened);
    pthread_mutex_unlock(&gate->lock);
}

static void reindex(void *arg)
{
    gate_t *gate = arg;
    pthread_mutex_lock(&gate->lock);
    while (!gate->open)
        pthread_cond_wait(&gate->opened, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    atomic_fetch_add(&gate->passed, 1);
}

static void count(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

/* Bulk to the limit: the next such task would wait. */
static void flood(pool_t *pools[PRIORITIES], gate_t *gate)
{
    for (int i = 0; i < BULK_CAP + BULK_QUEUE; i++)
        need_ok(submit(pools, BULK, reindex, gate), "submit bulk");
    need(pool_try_submit(pools[BULK], reindex, gate) == POOL_ERR_OVERLOAD, "bulk is full");
}

int main(void)
{
    pool_t *pools[PRIORITIES];
    gate_t gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};
    atomic_int urgent_done = 0;
    atomic_int normal_done = 0;
    make_pools(pools);

    flood(pools, &gate);
    for (int i = 0; i < EACH; i++) {
        need_ok(submit(pools, URGENT, count, &urgent_done), "submit urgent");
        need_ok(submit(pools, NORMAL, count, &normal_done), "submit normal");
    }
    need_ok(pool_wait_timeout(pools[URGENT], PATIENCE_MS), "wait for urgent");
    need_ok(pool_wait_timeout(pools[NORMAL], PATIENCE_MS), "wait for normal");
    int bulk_before = atomic_load(&gate.passed);
    printf("bulk at its limit: %d tasks; meanwhile done: %d urgent, %d normal, %d bulk\n",
           BULK_CAP + BULK_QUEUE, atomic_load(&urgent_done), atomic_load(&normal_done),
           bulk_before);

    open_gate(&gate);
    for (int i = 0; i < PRIORITIES; i++)
        need_ok(pool_destroy(pools[i]), "destroy");
    printf("in the end: %d bulk\n", atomic_load(&gate.passed));
    need(atomic_load(&urgent_done) == EACH, "all of urgent was done");
    need(atomic_load(&normal_done) == EACH, "all of normal was done");
    need(bulk_before == 0, "urgent and normal passed the flood");
    need(atomic_load(&gate.passed) == BULK_CAP + BULK_QUEUE, "all of bulk was done");
    return EXIT_SUCCESS;
}
