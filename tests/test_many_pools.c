/* Thousands of pools in one process: one janitor for all, and nothing left of those that came
 * and went. */
#include "inject.h"
#include "support.h"

#include <sys/resource.h>

enum { POOLS = 10000, STORM_THREADS = 4, STORM_POOLS = 500 };

static pool_t *pools[POOLS];

static void make_all(int n)
{
    for (int i = 0; i < n; i++)
        pools[i] = make_pool(8);
}

static void destroy_all(int n)
{
    for (int i = 0; i < n; i++)
        assert_ok(pool_destroy(pools[i]));
}

static void test_ten_thousand_idle_pools_have_one_thread(void **state)
{
    (void)state;
    int n = scaled(POOLS), before = count_threads();
    make_all(n);
    assert_int_equal(count_threads(), before + 1);
    destroy_all(n);
    assert_int_equal(count_threads(), before);
}

/* Each has run something, and its worker has expired: again there is the janitor alone. */
static void test_used_pools_come_to_rest(void **state)
{
    (void)state;
    atomic_int runs = 0;
    int n = scaled(POOLS) / 10, before = count_threads();
    for (int i = 0; i < n; i++)
        pools[i] = make_pool_with(8, pool_with_expiry_ms(20));
    for (int i = 0; i < n; i++)
        assert_ok(pool_submit(pools[i], count_task, &runs));
    for (int i = 0; i < n; i++)
        assert_ok(pool_wait(pools[i]));
    assert_int_equal(runs, n);
    for (int i = 0; i < n; i++)
        assert_true(eventually_equals(pool_workers, pools[i], 0));
    for (int i = 0; i < n; i++) /* and they serve again */
        assert_ok(pool_submit(pools[i], count_task, &runs));
    destroy_all(n);
    assert_int_equal(runs, 2 * n);
    assert_int_equal(count_threads(), before);
}

static long most_kib(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

/* Rings of a megabyte each. */
static void test_large_queue_takes_no_memory_until_it_is_used(void **state)
{
    (void)state;
    enum { RINGS = 200, KIB_EACH = 1024 };
    long before = most_kib();
    for (int i = 0; i < RINGS; i++)
        pools[i] = make_pool_with(4, pool_with_queue(60000));
    assert_true(most_kib() - before < RINGS * KIB_EACH / 4);
    destroy_all(RINGS);
}

static void *come_and_go(void *counter)
{
    for (int i = 0; i < scaled(STORM_POOLS); i++) {
        pool_t *pool = NULL;
        multipool_t *multi = NULL;
        if (pool_new_with(&pool, 2, pool_with_expiry_ms(1), pool_with_prestart(i % 2)) != POOL_OK ||
            pool_submit(pool, count_task, counter) != POOL_OK || pool_destroy(pool) != POOL_OK ||
            multipool_new(&multi, 3, 1, MULTIPOOL_ROUND_ROBIN) != POOL_OK ||
            multipool_submit(multi, count_task, counter) != POOL_OK || multipool_destroy(multi) != POOL_OK)
            return counter;
    }
    return NULL;
}

static void rage(atomic_int *counter)
{
    pthread_t threads[STORM_THREADS];
    for (int i = 0; i < STORM_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, counter), 0);
    for (int i = 0; i < STORM_THREADS; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
}

static void test_storm_of_pools_leaks_nothing(void **state)
{
    (void)state;
    atomic_int runs = 0;
    int blocks = inject_live_blocks();
    rage(&runs);
    assert_int_equal(runs, STORM_THREADS * scaled(STORM_POOLS) * 2);
    assert_int_equal(inject_live_blocks(), blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_ten_thousand_idle_pools_have_one_thread),
        checked(test_used_pools_come_to_rest),
        checked(test_large_queue_takes_no_memory_until_it_is_used),
        checked(test_storm_of_pools_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
