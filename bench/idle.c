/*
 * What does a pool cost that has nothing to do?
 *
 *     idle [--seconds T] [--workers K]
 *
 * Runs a burst of tasks, lets the idle workers expire, and looks at what the process does
 * during T (10) seconds of rest: once with no worker left, once with K (8) kept by
 * pool_with_min_idle. The main thread sleeps through it and is not counted. A line each:
 *
 *     workers     idle workers of the pool during the rest
 *     threads     they and the janitor
 *     seconds     length of the rest
 *     switches    context switches of these threads, voluntary or not
 *     cpu         processor time of these threads, seconds
 */
#include <stdio.h>

#include "antpool.h"
#include "common.h"
#include "proc.h"

enum { CAP = 100, BURST = 1000, EXPIRY_MS = 200 };

static int seconds = 10, workers = 8;

static void task(void *unused)
{
    (void)unused;
    bench_sleep(2000000);
}

static void check(pool_err err)
{
    if (err != POOL_OK)
        bench_die("%s", pool_strerror(err));
}

/* Five times the expiry: who is to leave has left, and the rest has begun. */
static pool_t *rested_pool(int keep)
{
    pool_t *pool;
    check(pool_new_with(&pool, CAP, pool_with_min_idle(keep), pool_with_expiry_ms(EXPIRY_MS)));
    for (int i = 0; i < BURST; i++)
        check(pool_submit(pool, task, NULL));
    check(pool_wait(pool));
    bench_sleep(5 * (int64_t)EXPIRY_MS * 1000000);
    if (pool_idle(pool) != keep)
        bench_die("%d idle workers are left, not %d", pool_idle(pool), keep);
    return pool;
}

static void measure(int keep)
{
    pool_t *pool = rested_pool(keep);
    struct bench_others rest = bench_rest((int64_t)seconds * 1000000000);
    printf("workers=%d threads=%d seconds=%d switches=%ld cpu=%.9f\n", keep, rest.threads, seconds,
           rest.switches, (double)rest.cpu / 1e9);
    check(pool_destroy(pool));
}

int main(int argc, char **argv)
{
    bench_parse(argc, argv, (struct bench_option[]){
        {"--seconds", &seconds, NULL, NULL, 1, 86400},
        {"--workers", &workers, NULL, NULL, 0, CAP},
        {NULL, NULL, NULL, NULL, 0, 0},
    });
    measure(0);
    measure(workers);
    return 0;
}
