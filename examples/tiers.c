/*
 * tiers: how do customers of unequal worth share a service, and none the loss of another?
 *
 * A pool for each customer, made from the template of its tier: free ones have little and
 * are refused beyond it, paid ones have more and wait a short time, enterprise ones have
 * much and wait their turn. So a free customer that floods is refused, which no other free
 * one notices. At the end tiers are drained in an order, enterprise first, in one time.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "antpool.h"

enum { FREE_CAP = 2, PAID_CAP = 4, ENTERPRISE_CAP = 8, PATIENCE_MS = 20, DRAIN_MS = 30000 };

static void need(bool so, const char *what)
{
    if (so)
        return;
    fprintf(stderr, "tiers: not so: %s\n", what);
    exit(EXIT_FAILURE);
}

static void need_ok(pool_err err, const char *call)
{
    if (err == POOL_OK)
        return;
    fprintf(stderr, "tiers: %s: %s\n", call, pool_strerror(err));
    exit(EXIT_FAILURE);
}

/* ---- The tiers --------------------------------------------------------------------- */

static void add_tiers(pool_registry_t *tenants)
{
    pool_option_t refuse[] = {pool_with_nonblocking(true), POOL_OPTIONS_END};
    pool_option_t queue[] = {pool_with_queue(100), POOL_OPTIONS_END};
    need_ok(pool_registry_add_tier(tenants, "free", FREE_CAP, refuse), "add free");
    need_ok(pool_registry_add_tier(tenants, "paid", PAID_CAP, NULL), "add paid");
    need_ok(pool_registry_add_tier(tenants, "enterprise", ENTERPRISE_CAP, queue),
            "add enterprise");
}

/* ---- The work ---------------------------------------------------------------------- */

/* Renders nothing until the gate opens: the busiest moment lasts as long as it is looked at. */
typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opened; /* open */
    bool open;
    atomic_int rendered;
} gate_t;

static void open_gate(gate_t *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->opened);
    pthread_mutex_unlock(&gate->lock);
}

static void render(void *arg)
{
    gate_t *gate = arg;
    pthread_mutex_lock(&gate->lock);
    while (!gate->open)
        pthread_cond_wait(&gate->opened, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    atomic_fetch_add(&gate->rendered, 1);
}

/* How many of `requests` are accepted; the first that is not ends it, with `refusal`. */
static int send(pool_registry_t *tenants, const char *tier, const char *name, int requests,
                gate_t *gate, pool_err refusal)
{
    for (int accepted = 0; accepted < requests; accepted++) {
        pool_err err = pool_registry_submit_timeout(tenants, tier, name, render, gate, PATIENCE_MS);
        if (err != POOL_OK) {
            need(err == refusal, pool_strerror(err));
            printf("%-10s %-8s %2d of %2d accepted, then: %s\n", tier, name, accepted, requests,
                   pool_strerror(err));
            return accepted;
        }
    }
    printf("%-10s %-8s %2d of %2d accepted\n", tier, name, requests, requests);
    return requests;
}

/* ---- What there is ----------------------------------------------------------------- */

typedef struct census {
    int pools;
    int unfinished;
} census_t;

static void count_pool(void *user, pool_t *pool, const char *tier, const char *name)
{
    census_t *census = user;
    census->pools++;
    census->unfinished += pool_queued(pool) + pool_running(pool);
    need(strcmp(pool_name(pool), name) == 0 && tier != NULL, "a pool has the tenant's name");
}

int main(void)
{
    static const char *const order[] = {"enterprise", "paid", NULL};
    gate_t gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};
    pool_registry_t *tenants;
    need_ok(pool_registry_new(&tenants, NULL), "pool_registry_new");
    add_tiers(tenants);

    int flood = send(tenants, "free", "mallory", 50, &gate, POOL_ERR_OVERLOAD);
    int other = send(tenants, "free", "alice", FREE_CAP, &gate, POOL_OK);
    int paid = send(tenants, "paid", "acme", 50, &gate, POOL_ERR_TIMEOUT);
    int enterprise = send(tenants, "enterprise", "globex", 50, &gate, POOL_OK);
    int accepted = flood + other + paid + enterprise;
    need(flood == FREE_CAP && other == FREE_CAP, "a flood is refused, its neighbour is not");
    need(paid == PAID_CAP && enterprise == 50, "who pays more gets more");

    census_t census = {0, 0};
    need_ok(pool_registry_each(tenants, count_pool, &census), "each");
    need(census.pools == 4 && census.unfinished == accepted, "what was accepted is there");

    need(pool_registry_release_timeout(tenants, order, 0) == POOL_ERR_TIMEOUT, "tasks still run");
    need(pool_registry_submit(tenants, "paid", "acme", render, &gate) == POOL_ERR_CLOSED,
         "a drained registry takes nothing");
    open_gate(&gate);
    need_ok(pool_registry_release_timeout(tenants, order, DRAIN_MS), "drain");
    printf("drained: %d pools, %d requests rendered\n", census.pools, atomic_load(&gate.rendered));
    need(atomic_load(&gate.rendered) == accepted, "nothing accepted is lost");
    need_ok(pool_registry_destroy(tenants), "destroy");
    return EXIT_SUCCESS;
}
