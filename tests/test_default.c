/* The process-wide pool. Every test leaves it released, so that no thread stays. */
#include "faults.h"

#include <sched.h>

enum { RACERS = 8 };

static struct {
    pthread_t thread;
    pool_t *pool;
} racers[RACERS];
static gate_t start = GATE_CLOSED;

static void *get_the_default(void *arg)
{
    gate_pass(&start);
    *(pool_t **)arg = pool_default();
    return NULL;
}

/* The first test: it makes the pool. */
static void test_all_who_ask_first_get_the_same_pool(void **state)
{
    (void)state;
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&racers[i].thread, NULL, get_the_default, &racers[i].pool), 0);
    assert_true(gate_await(&start, RACERS));
    gate_open(&start);
    for (int i = 0; i < RACERS; i++)
        pthread_join(racers[i].thread, NULL);
    assert_non_null(racers[0].pool);
    for (int i = 1; i < RACERS; i++)
        assert_ptr_equal(racers[i].pool, racers[0].pool);
    assert_ptr_equal(pool_default(), racers[0].pool);
    assert_ok(pool_release_timeout(pool_default(), POOL_FOREVER));
}

/* They meet without a lock, so that they ask at the same instant. */
static atomic_int met;

static void *meet_and_get_the_default(void *arg)
{
    atomic_fetch_add(&met, 1);
    while (atomic_load(&met) < 2)
        sched_yield();
    *(pool_t **)arg = pool_default();
    return NULL;
}

static int two_get_the_same(void *unused)
{
    (void)unused;
    for (int i = 0; i < 2; i++)
        racers[i].thread = thread_start(meet_and_get_the_default, &racers[i].pool);
    for (int i = 0; i < 2; i++)
        pthread_join(racers[i].thread, NULL);
    return racers[0].pool == NULL || racers[0].pool != racers[1].pool;
}

/* It is made once in a process, so each round has a child of its own. */
static void test_two_who_ask_first_get_the_same_pool(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS(60); round++)
        assert_int_equal(exit_code_of(fork_into(two_get_the_same, NULL)), 0);
}

static pool_t *opened_default(void)
{
    pool_t *pool = pool_default();
    assert_non_null(pool);
    assert_ok(pool_reboot(pool));
    return pool;
}

static void test_default_pool_is_unlimited_with_default_options(void **state)
{
    (void)state;
    pool_t *pool = opened_default();
    assert_int_equal(pool_cap(pool), POOL_UNLIMITED);
    assert_int_equal(pool_free_slots(pool), POOL_UNLIMITED);
    assert_string_equal(pool_name(pool), "default");
    assert_int_equal(pool_invoke(pool, NULL), POOL_ERR_NO_FUNC);
    assert_int_equal(pool_tune(pool, 10), POOL_ERR_INVALID_CAP);
    assert_ok(pool_release_timeout(pool, POOL_FOREVER));
}

static void test_default_pool_runs_tasks(void **state)
{
    (void)state;
    atomic_int runs = 0;
    pool_t *pool = opened_default();
    int n = scaled(100000);
    for (int i = 0; i < n; i++)
        assert_ok(pool_submit(pool, count_task, &runs));
    assert_ok(pool_wait(pool));
    assert_int_equal(runs, n);
    assert_ok(pool_release_timeout(pool, POOL_FOREVER));
}

static void test_default_pool_is_released_and_rebooted(void **state)
{
    (void)state;
    atomic_int runs = 0;
    pool_t *pool = opened_default();
    assert_ok(pool_reboot(pool)); /* open: nothing done */
    for (int round = 1; round <= 3; round++) {
        assert_ok(pool_submit(pool, count_task, &runs));
        assert_ok(pool_release_timeout(pool, PATIENCE_MS));
        assert_int_equal(runs, round);
        assert_int_equal(pool_submit(pool, count_task, &runs), POOL_ERR_CLOSED);
        assert_ptr_equal(pool_default(), pool); /* the closed one, not a new one */
        assert_true(pool_is_closed(pool));
        assert_ok(pool_reboot(pool));
    }
    assert_ok(pool_release_timeout(pool, POOL_FOREVER));
}

static void test_release_timeout_of_the_default_pool_waits_for_its_tasks(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = opened_default();
    occupy(pool, &gate, 5);
    assert_int_equal(pool_running(pool), 5);
    assert_int_equal(pool_release_timeout(pool, 5), POOL_ERR_TIMEOUT);
    gate_open(&gate);
    assert_ok(pool_release_timeout(pool, PATIENCE_MS));
    assert_int_equal(pool_running(pool), 0);
    gate_fini(&gate);
}

static void test_default_pool_is_not_destroyed(void **state)
{
    (void)state;
    atomic_int runs = 0;
    pool_t *pool = opened_default();
    assert_int_equal(pool_destroy(pool), POOL_ERR_INVALID);
    assert_false(pool_is_closed(pool));
    assert_ok(pool_submit(pool, count_task, &runs));
    assert_ok(pool_release_timeout(pool, POOL_FOREVER));
    assert_int_equal(runs, 1);
    assert_int_equal(pool_destroy(pool), POOL_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_all_who_ask_first_get_the_same_pool),
        checked(test_two_who_ask_first_get_the_same_pool),
        checked(test_default_pool_is_unlimited_with_default_options),
        checked(test_default_pool_runs_tasks),
        checked(test_default_pool_is_released_and_rebooted),
        checked(test_release_timeout_of_the_default_pool_waits_for_its_tasks),
        checked(test_default_pool_is_not_destroyed),
    };
    return cmocka_run_group_tests_name("default", tests, NULL, NULL);
}
