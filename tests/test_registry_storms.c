/* Many threads, many names, pools that come and go: each accepted task runs once, and no
 * submit is refused as closed before the drain. */
#include "support.h"

#include <stdio.h>

enum { THREADS = 8, NAMES = 24, TICKETS = 4000 };

static pool_registry_t *registry;
static char names[NAMES][16];
static const char *const tiers[] = {"free", "paid"};

/* One for each thread of a storm; the tasks count in its own cells. */
static struct thread {
    pthread_t thread;
    int n, accepted, overloads, closed, others;
    unsigned random;
    atomic_int *ran; /* a cell for each ticket */
} threads[THREADS];

static atomic_int finished;
static atomic_bool draining;

static void tick(void *cell)
{
    atomic_fetch_add((atomic_int *)cell, 1);
    atomic_fetch_add(&finished, 1);
}

static unsigned random_of(struct thread *t, unsigned n)
{
    t->random = t->random * 1664525 + 1013904223;
    return (t->random >> 8) % n;
}

static pool_err submit_acquired(const char *tier, const char *name, void *cell)
{
    pool_t *pool;
    pool_err err = pool_registry_acquire(registry, tier, name, &pool);
    if (err != POOL_OK)
        return err;
    err = pool_submit(pool, tick, cell);
    return pool_registry_put(registry, pool) == POOL_OK ? err : POOL_ERR_INVALID;
}

static pool_err submit_one(struct thread *t, void *cell)
{
    const char *tier = tiers[random_of(t, 2)], *name = names[random_of(t, NAMES)];
    switch (random_of(t, 4)) {
    case 0: return pool_registry_try_submit(registry, tier, name, tick, cell);
    case 1: return pool_registry_submit_timeout(registry, tier, name, tick, cell, POOL_FOREVER);
    case 2: return submit_acquired(tier, name, cell);
    default: return pool_registry_submit(registry, tier, name, tick, cell);
    }
}

static void note(struct thread *t, pool_err err)
{
    t->accepted += err == POOL_OK;
    t->overloads += err == POOL_ERR_OVERLOAD;
    t->closed += err == POOL_ERR_CLOSED;
    t->others += err != POOL_OK && err != POOL_ERR_OVERLOAD && err != POOL_ERR_CLOSED;
}

/* A ticket that is refused is a cell that stays 0. Until it is drained, too. */
static void *submit_all(void *arg)
{
    struct thread *t = arg;
    for (int i = 0; i < t->n && t->closed == 0; i++) {
        bool drained = atomic_load(&draining);
        pool_err err = submit_one(t, &t->ran[i]);
        if (err == POOL_ERR_CLOSED && !drained && !atomic_load(&draining))
            err = POOL_ERR_INVALID; /* refused by a pool that was taken down */
        note(t, err);
    }
    return NULL;
}

static void storm_start(int n, pool_registry_limits_t limits)
{
    const pool_option_t options[] = {pool_with_queue(2), pool_with_expiry_ms(1), POOL_OPTIONS_END};
    assert_ok(pool_registry_new(&registry, &limits));
    assert_ok(pool_registry_add_tier(registry, "free", 1, options));
    assert_ok(pool_registry_add_tier(registry, "paid", 3, options));
    atomic_store(&finished, 0);
    atomic_store(&draining, false);
    for (int i = 0; i < NAMES; i++)
        snprintf(names[i], sizeof names[i], "tenant %d", i);
    for (int i = 0; i < THREADS; i++) {
        threads[i] = (struct thread){.n = n, .random = (unsigned)i + 1};
        threads[i].ran = calloc((size_t)n, sizeof *threads[i].ran);
        assert_non_null(threads[i].ran);
        assert_int_equal(pthread_create(&threads[i].thread, NULL, submit_all, &threads[i]), 0);
    }
}

static int sum_accepted;

static void storm_join(void)
{
    sum_accepted = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i].thread, NULL);
        sum_accepted += threads[i].accepted;
        assert_int_equal(threads[i].others, 0);
    }
}

/* Each accepted one once, and no other: the sum of the cells is that of the accepted. */
static void check_each_ran_once(void)
{
    int ran = 0;
    for (int i = 0; i < THREADS; i++) {
        for (int ticket = 0; ticket < threads[i].n; ticket++) {
            assert_true(threads[i].ran[ticket] <= 1);
            ran += threads[i].ran[ticket];
        }
        free(threads[i].ran);
    }
    assert_int_equal(ran, sum_accepted);
    assert_int_equal(finished, sum_accepted);
}

static void storm_end(void)
{
    storm_join();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(threads[i].closed, 0);
    assert_ok(pool_registry_destroy(registry));
    check_each_ran_once();
}

/* ---- Storms ---- */

static void test_pools_that_come_and_go_lose_nothing(void **state)
{
    (void)state;
    storm_start(scaled(TICKETS), (pool_registry_limits_t){.idle_ms = 1});
    storm_end();
    assert_true(sum_accepted > 0);
}

static void test_ceilings_hold_and_lose_nothing(void **state)
{
    (void)state;
    enum { MAX_POOLS = 6, MAX_TOTAL_CAP = 10 };
    storm_start(scaled(TICKETS), (pool_registry_limits_t){0, MAX_POOLS, MAX_TOTAL_CAP});
    int looks = 0, most_pools = 0, most_cap = 0;
    for (; looks < 1000; looks++) {
        int pools = pool_registry_pools(registry), cap = pool_registry_total_cap(registry);
        most_pools = pools > most_pools ? pools : most_pools;
        most_cap = cap > most_cap ? cap : most_cap;
    }
    assert_true(most_pools <= MAX_POOLS);
    assert_true(most_cap <= MAX_TOTAL_CAP);
    storm_end();
    assert_true(sum_accepted > 0);
}

static void test_ceilings_and_an_idle_time_together(void **state)
{
    (void)state;
    storm_start(scaled(TICKETS), (pool_registry_limits_t){1, 8, 16});
    storm_end();
}

static void count_visit(void *user, pool_t *pool, const char *tier, const char *name)
{
    (void)tier;
    int *wrong = user;
    *wrong += pool_cap(pool) != 1 && pool_cap(pool) != 3;
    *wrong += pool_name(pool)[0] != 't' || name[0] != 't';
}

static void test_walks_amid_a_storm(void **state)
{
    (void)state;
    int wrong = 0;
    storm_start(scaled(TICKETS), (pool_registry_limits_t){1, 12, 0});
    for (int i = 0; i < scaled(500); i++)
        assert_ok(pool_registry_each(registry, count_visit, &wrong));
    storm_end();
    assert_int_equal(wrong, 0);
}

static bool enough_finished(void *n)
{
    return atomic_load(&finished) >= *(int *)n;
}

/* Who is refused was refused by the drain, and what was accepted before has run. */
static void test_drain_amid_a_storm(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        int n = scaled(TICKETS), some = n * round / 20;
        storm_start(n, (pool_registry_limits_t){round % 2, round % 3 == 0 ? 6 : 0, 0});
        assert_true(eventually(enough_finished, &some, PATIENCE_MS));
        atomic_store(&draining, true);
        assert_ok(pool_registry_release_timeout(registry, (const char *const[]){"paid", NULL}, PATIENCE_MS));
        int at_drain = atomic_load(&finished);
        storm_join();
        assert_int_equal(atomic_load(&finished), at_drain);
        assert_ok(pool_registry_destroy(registry));
        check_each_ran_once();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_pools_that_come_and_go_lose_nothing),
        checked(test_ceilings_hold_and_lose_nothing),
        checked(test_ceilings_and_an_idle_time_together),
        checked(test_walks_amid_a_storm),
        checked(test_drain_amid_a_storm),
    };
    return cmocka_run_group_tests_name("registry_storms", tests, NULL, NULL);
}
