/* Faults that no test can cause, only look for: the wall clock jumps, a condition variable
 * with two waiters loses a signal, a wait returns for no reason, a destroy polls. */
#include "watch.h"

#include "faults.h"

enum { TASKS = 300 };

typedef struct traffic {
    pool_t *pool;
    atomic_int ran;
    int accepted, timed_out;
} traffic_t;

static void count_slowly(void *arg)
{
    linger_us(20);
    count_task(arg);
}

/* Blocked submits, and timed ones some of which give up. */
static void *submit_both_ways(void *arg)
{
    traffic_t *t = arg;
    for (int i = 0; i < ROUNDS(TASKS); i++) {
        pool_err err = i % 3 == 0 ? pool_submit_timeout(t->pool, count_slowly, &t->ran, i % 2)
                                  : pool_submit(t->pool, count_slowly, &t->ran);
        t->accepted += err == POOL_OK;
        t->timed_out += err == POOL_ERR_TIMEOUT;
    }
    return NULL;
}

/* Every wait that the library has: idle workers, janitor, blocked and timed submits, wait,
 * release_timeout, destroy, reboot. Polls nowhere, so that it can be watched. */
static void whole_life(void)
{
    traffic_t t[3] = {{0}, {0}, {0}};
    pthread_t threads[3];
    pool_t *pool;
    assert_ok(pool_new_with(&pool, 2, pool_with_queue(1), pool_with_expiry_ms(1)));
    for (int i = 0; i < 3; i++) {
        t[i].pool = pool;
        threads[i] = thread_start(submit_both_ways, &t[i]);
    }
    for (int i = 0; i < 20; i++)
        assert_true(pool_wait_timeout(pool, 1) != POOL_ERR_INVALID);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(t[i].accepted + t[i].timed_out, ROUNDS(TASKS));
    }
    assert_ok(pool_wait(pool));
    for (int i = 0; i < 3; i++)
        assert_int_equal(t[i].ran, t[i].accepted);
    linger_us(3000); /* the janitor comes by */
    assert_ok(pool_release_timeout(pool, POOL_FOREVER - 1));
    assert_ok(pool_reboot(pool));
    assert_ok(pool_submit(pool, count_slowly, &t[0].ran));
    assert_ok(pool_destroy(pool));
    assert_int_equal(t[0].ran, t[0].accepted + 1);
}

static void test_wall_clock_is_never_read(void **state)
{
    (void)state;
    watch_start();
    whole_life();
    watch_stop();
    assert_int_equal(watch_wall_clock(), 0);
}

static void test_11_nothing_polls_with_sleep(void **state)
{
    (void)state;
    watch_start();
    whole_life();
    watch_stop();
    assert_int_equal(watch_sleeps(), 0);
}

static void test_condition_variables_have_one_waiter_at_most(void **state)
{
    (void)state;
    watch_start();
    whole_life();
    watch_stop();
    assert_int_equal(watch_most_waiters(), 1);
}

/* glibc would not mind; elsewhere they hold resources. */
static void test_every_condition_variable_and_semaphore_is_destroyed(void **state)
{
    (void)state;
    int before = watch_conditions();
    whole_life();
    assert_int_equal(watch_conditions(), before);
}

static void test_spurious_wakeups_are_harmless(void **state)
{
    (void)state;
    for (int nth = 1; nth <= 3; nth++) {
        watch_wake_spuriously(nth + 1);
        whole_life();
        assert_true(watch_spurious_wakes() > 0);
    }
    watch_wake_spuriously(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_wall_clock_is_never_read),
        checked(test_11_nothing_polls_with_sleep),
        checked(test_condition_variables_have_one_waiter_at_most),
        checked(test_every_condition_variable_and_semaphore_is_destroyed),
        checked(test_spurious_wakeups_are_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
