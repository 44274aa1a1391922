/*
 * regions: how does a service that calls several regions outlive one of them?
 *
 * A pool for each region, sized to what the region takes. A region that hangs fills its
 * own pool and nothing else. The caller's patience is bounded too: it waits for a slot of
 * the region a short time (pool_submit_timeout), and once that has failed a few times in a
 * row it only tries (pool_try_submit), which costs nothing, until a try is accepted again.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "antpool.h"

enum { REGIONS = 3, CALLS = 50, PATIENCE_MS = 250, FAILING_AFTER = 3, LIMIT = 8 };

typedef struct region {
    const char *name;
    pool_t *pool;
    pthread_mutex_t lock;
    pthread_cond_t answered; /* !hangs */
    bool hangs;
    atomic_int served;
    int timeouts_in_a_row; /* these are the dispatcher's own */
    int accepted, timed_out, refused;
} region_t;

static void need(bool so, const char *what)
{
    if (so)
        return;
    fprintf(stderr, "regions: not so: %s\n", what);
    exit(EXIT_FAILURE);
}

static void need_ok(pool_err err, const char *call)
{
    if (err == POOL_OK)
        return;
    fprintf(stderr, "regions: %s: %s\n", call, pool_strerror(err));
    exit(EXIT_FAILURE);
}

/* ---- A region ---------------------------------------------------------------------- */

static void set_hanging(region_t *region, bool hangs)
{
    pthread_mutex_lock(&region->lock);
    region->hangs = hangs;
    pthread_cond_broadcast(&region->answered);
    pthread_mutex_unlock(&region->lock);
}

/* A call to the region: returns when that answers. */
static void call(void *arg)
{
    region_t *region = arg;
    pthread_mutex_lock(&region->lock);
    while (region->hangs)
        pthread_cond_wait(&region->answered, &region->lock);
    pthread_mutex_unlock(&region->lock);
    atomic_fetch_add(&region->served, 1);
}

static bool is_failing(const region_t *region)
{
    return region->timeouts_in_a_row >= FAILING_AFTER;
}

/* ---- The dispatcher ---------------------------------------------------------------- */

static pool_err dispatch(region_t *region)
{
    pool_err err = is_failing(region)
                       ? pool_try_submit(region->pool, call, region)
                       : pool_submit_timeout(region->pool, call, region, PATIENCE_MS);
    if (err == POOL_OK)
        region->timeouts_in_a_row = 0;
    else if (err == POOL_ERR_TIMEOUT)
        region->timeouts_in_a_row++;
    region->accepted += err == POOL_OK;
    region->timed_out += err == POOL_ERR_TIMEOUT;
    region->refused += err == POOL_ERR_OVERLOAD;
    return err;
}

static void dispatch_to_all(region_t regions[REGIONS])
{
    for (int call = 0; call < CALLS; call++) {
        for (int i = 0; i < REGIONS; i++) {
            pool_err err = dispatch(&regions[i]);
            need(err == POOL_OK || err == POOL_ERR_TIMEOUT || err == POOL_ERR_OVERLOAD,
                 pool_strerror(err));
        }
    }
}

static void report(const region_t *region)
{
    printf("%-8s accepted %2d, timed out %d, refused %2d; served %2d\n", region->name,
           region->accepted, region->timed_out, region->refused, atomic_load(&region->served));
}

int main(void)
{
    static const char *const names[REGIONS] = {"us-east", "us-west", "eu-west"};
    region_t regions[REGIONS];
    for (int i = 0; i < REGIONS; i++) {
        regions[i] = (region_t){.name = names[i],
                                .lock = PTHREAD_MUTEX_INITIALIZER,
                                .answered = PTHREAD_COND_INITIALIZER};
        need_ok(pool_new_with(&regions[i].pool, LIMIT / 2, pool_with_name(names[i]),
                              pool_with_queue(LIMIT / 2)),
                "pool_new");
    }
    region_t *failing = &regions[0];
    set_hanging(failing, true);
    dispatch_to_all(regions);
    for (int i = 1; i < REGIONS; i++)
        need_ok(pool_wait(regions[i].pool), "wait for a good region");
    for (int i = 0; i < REGIONS; i++)
        report(&regions[i]);
    need(failing->accepted == LIMIT, "the failing region takes its limit");
    need(failing->timed_out == FAILING_AFTER, "it holds the dispatcher up three times");
    need(failing->refused == CALLS - LIMIT - FAILING_AFTER, "then it is refused at once");
    need(atomic_load(&failing->served) == 0, "it serves nothing");
    for (int i = 1; i < REGIONS; i++)
        need(atomic_load(&regions[i].served) == CALLS, "the others serve everything");

    set_hanging(failing, false);
    need_ok(pool_wait(failing->pool), "wait for the region that is back");
    need_ok(dispatch(failing), "the next try is accepted");
    need(!is_failing(failing), "the region counts as good again");
    for (int i = 0; i < REGIONS; i++)
        need_ok(pool_destroy(regions[i].pool), "destroy");
    printf("%s is back: served %d\n", failing->name, atomic_load(&failing->served));
    need(atomic_load(&failing->served) == LIMIT + 1, "nothing accepted is lost");
    return EXIT_SUCCESS;
}
