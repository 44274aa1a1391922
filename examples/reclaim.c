/*
 * reclaim: how does each of very many tenants have a pool, when few are there at a time?
 *
 * A registry makes the pool of a tenant when it sends something, and takes it down when it
 * has been idle for a while. A ceiling bounds what there is at once: at it the pool that
 * was idle longest makes room for a new one. A tenant that comes back never notices. Who
 * needs the pool for more than a submit acquires it, and it stays until it is given back.
 */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "antpool.h"

enum { TENANTS = 200, CEILING = 16, CAP = 2, IDLE_MS = 50, PATIENCE_ROUNDS = 20000 };

static void need(bool so, const char *what)
{
    if (so)
        return;
    fprintf(stderr, "reclaim: not so: %s\n", what);
    exit(EXIT_FAILURE);
}

static void need_ok(pool_err err, const char *call)
{
    if (err == POOL_OK)
        return;
    fprintf(stderr, "reclaim: %s: %s\n", call, pool_strerror(err));
    exit(EXIT_FAILURE);
}

static void count(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

/* ---- A tenant that cannot be reclaimed --------------------------------------------- */

typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opened; /* open */
    bool open;
} gate_t;

static void pass(void *arg)
{
    gate_t *gate = arg;
    pthread_mutex_lock(&gate->lock);
    while (!gate->open)
        pthread_cond_wait(&gate->opened, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static void open_gate(gate_t *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->opened);
    pthread_mutex_unlock(&gate->lock);
}

/* ---- The operator, who looks at the number of pools --------------------------------- */

/* Looks every millisecond until there are so many, which is up to the clock. */
static void expect(const pool_registry_t *tenants, int pools, const char *when)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    int there = pool_registry_pools(tenants);
    for (int i = 0; i < PATIENCE_ROUNDS && there != pools; i++) {
        nanosleep(&pause, NULL);
        there = pool_registry_pools(tenants);
    }
    printf("%-34s %2d pools\n", when, there);
    need(there == pools, when);
}

/* Each waits for its own task, so at the ceiling all pools of those before are idle, and the
 * oldest makes room. */
static void send_from_all(pool_registry_t *tenants, atomic_int *done, int *peak)
{
    char name[32];
    for (int i = 0; i < TENANTS; i++) {
        pool_t *pool;
        snprintf(name, sizeof(name), "tenant-%d", i);
        need_ok(pool_registry_acquire(tenants, "small", name, &pool), "acquire");
        need_ok(pool_submit(pool, count, done), "submit");
        need_ok(pool_wait(pool), "wait");
        need_ok(pool_registry_put(tenants, pool), "put");
        int there = pool_registry_pools(tenants);
        *peak = there > *peak ? there : *peak;
    }
}

int main(void)
{
    gate_t gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    const pool_registry_limits_t limits = {.idle_ms = IDLE_MS, .max_pools = CEILING};
    pool_registry_t *tenants;
    atomic_int done = 0;
    int peak = 0;
    need_ok(pool_registry_new(&tenants, &limits), "pool_registry_new");
    need_ok(pool_registry_add_tier(tenants, "small", CAP, NULL), "add small");
    expect(tenants, 0, "nobody was there yet:");

    send_from_all(tenants, &done, &peak);
    printf("%d tenants, one after the other:  %2d pools at the peak\n", TENANTS, peak);
    need(atomic_load(&done) == TENANTS, "every tenant was served");
    need(peak <= CEILING, "the ceiling holds");

    need_ok(pool_registry_submit(tenants, "small", "busy", pass, &gate), "submit");
    pool_t *held;
    need_ok(pool_registry_acquire(tenants, "small", "held", &held), "acquire");
    expect(tenants, 2, "one at work, one held, rest idle:");
    open_gate(&gate);
    expect(tenants, 1, "the work is done:");
    need_ok(pool_registry_put(tenants, held), "put");
    expect(tenants, 0, "and the other given back:");

    need_ok(pool_registry_submit(tenants, "small", "tenant-7", count, &done), "submit");
    need_ok(pool_registry_release_timeout(tenants, NULL, POOL_FOREVER), "drain");
    printf("tenant-7 is back:                   served %d\n", atomic_load(&done));
    need(atomic_load(&done) == TENANTS + 1, "who comes back is served");
    need_ok(pool_registry_destroy(tenants), "destroy");
    return EXIT_SUCCESS;
}
