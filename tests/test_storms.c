/* The same flow while the pool is released, rebooted, tuned or left by its workers: nothing
 * that was accepted is lost, nothing runs twice. */
#include "flow.h"

#include <sched.h>

enum { ROUNDS = 30, TICKETS = 20000 };

/* Another place to interrupt in every round. */
static int threshold(int round, int n)
{
    return 1 + (int)((int64_t)round * round * n / (2 * ROUNDS * ROUNDS));
}

/* ---- Released in mid-flight ---- */

static void release_plainly(pool_t *pool)
{
    assert_ok(pool_release(pool));
}

static void release_and_wait(pool_t *pool)
{
    assert_ok(pool_release_timeout(pool, POOL_FOREVER));
}

static void release_and_take_back(pool_t *pool)
{
    assert_ok(pool_release_now(pool, flow_take_back, NULL));
}

static void release_then_take_back(pool_t *pool)
{
    assert_ok(pool_release(pool));
    assert_ok(pool_release_now(pool, flow_take_back, NULL));
}

static void release_in_flight(int cap, int queue, flow_call_t call, void (*release)(pool_t *))
{
    int n = scaled(TICKETS);
    for (int round = 0; round < ROUNDS; round++) {
        pool_t *pool = make_pool_with(cap, pool_with_queue(queue), pool_with_func(flow_task));
        flow_t *flow = flow_start(pool, call, n, 0);
        flow_await(flow, threshold(round, n));
        release(pool);
        flow_join(flow);
        assert_ok(pool_destroy(pool));
        assert_int_equal(flow->finished, flow->accepted);
        flow_check(flow, cap, cap == POOL_UNLIMITED ? -1 : cap + queue);
    }
}

static void test_release_in_flight_loses_nothing(void **state)
{
    (void)state;
    release_in_flight(1, 0, FLOW_SUBMIT, release_plainly);
    release_in_flight(7, 100, FLOW_SUBMIT, release_plainly);
    release_in_flight(POOL_UNLIMITED, 0, FLOW_SUBMIT, release_plainly);
}

static void test_release_timeout_in_flight_loses_nothing(void **state)
{
    (void)state;
    release_in_flight(2, 0, FLOW_COPY, release_and_wait);
    release_in_flight(64, 100, FLOW_INVOKE, release_and_wait);
    release_in_flight(1000, 0, FLOW_MANY, release_and_wait);
}

static void test_release_now_in_flight_runs_or_hands_back_each(void **state)
{
    (void)state;
    release_in_flight(1, 100, FLOW_SUBMIT, release_and_take_back);
    release_in_flight(7, 0, FLOW_SUBMIT, release_and_take_back);
    release_in_flight(2, 100, FLOW_COPY, release_and_take_back);
    release_in_flight(7, 100, FLOW_MANY, release_and_take_back);
    release_in_flight(POOL_UNLIMITED, 0, FLOW_SUBMIT, release_and_take_back);
    release_in_flight(2, 100, FLOW_SUBMIT, release_then_take_back);
}

static void test_release_in_flight_of_a_discarding_pool(void **state)
{
    (void)state;
    int n = scaled(TICKETS);
    for (int round = 0; round < ROUNDS; round++) {
        pool_t *pool = make_pool_with(2, pool_with_queue(20), pool_with_policy(POOL_DISCARD_OLDEST),
                                      pool_with_discard_handler(flow_take_back, NULL));
        flow_t *flow = flow_start(pool, round % 2 == 0 ? FLOW_SUBMIT : FLOW_COPY, n, 0);
        flow_await(flow, threshold(round, n));
        release_and_take_back(pool);
        flow_join(flow);
        assert_ok(pool_destroy(pool));
        flow_check(flow, 2, -1);
    }
}

/* ---- Released and rebooted, again and again; the submitters come back ---- */

static void reboot_in_flight(int cap, int queue, int prestart)
{
    int n = scaled(TICKETS);
    pool_t *pool = make_pool_with(cap, pool_with_queue(queue), pool_with_prestart(prestart));
    flow_t *flow = flow_start(pool, FLOW_ANEW, n, 0);
    for (int round = 0; round < ROUNDS; round++) {
        flow_await(flow, threshold(round, n));
        assert_ok(pool_release_timeout(pool, POOL_FOREVER));
        assert_int_equal(pool_workers(pool), 0);
        assert_ok(pool_reboot(pool));
    }
    flow_join(flow);
    assert_ok(pool_destroy(pool));
    assert_int_equal(flow->accepted, n);
    flow_check(flow, cap, cap + queue);
}

static void test_reboot_in_flight_loses_nothing(void **state)
{
    (void)state;
    reboot_in_flight(1, 0, 0);
    reboot_in_flight(7, 100, 0);
    reboot_in_flight(7, 0, 3);
}

/* ---- Tuned up and down ---- */

static struct {
    pthread_t thread;
    pool_t *pool;
    atomic_bool stop;
    atomic_int failed, tunes;
} tuner;

enum { LARGEST = 16 };

static void *tune_up_and_down(void *unused)
{
    static const int caps[] = {1, LARGEST, 2, 7, 1, 3, LARGEST - 1, 4};
    for (unsigned i = 0; !atomic_load(&tuner.stop); i++) {
        if (pool_tune(tuner.pool, caps[i % (sizeof caps / sizeof *caps)]) != POOL_OK)
            atomic_fetch_add(&tuner.failed, 1);
        atomic_fetch_add(&tuner.tunes, 1);
        if (i % 8 == 0)
            sched_yield();
    }
    return unused;
}

static void tune_in_flight(int queue, flow_call_t call)
{
    pool_t *pool = make_pool_with(LARGEST, pool_with_queue(queue), pool_with_func(flow_task));
    tuner.pool = pool;
    tuner.stop = false;
    tuner.failed = tuner.tunes = 0;
    assert_int_equal(pthread_create(&tuner.thread, NULL, tune_up_and_down, NULL), 0);
    flow_t *flow = flow_start(pool, call, scaled(100000), 0);
    flow_join(flow);
    assert_ok(pool_wait(pool));
    tuner.stop = true;
    pthread_join(tuner.thread, NULL);
    assert_true(pool_cap(pool) >= 1 && pool_cap(pool) <= LARGEST);
    assert_true(eventually_equals(pool_waiting, pool, 0));
    assert_ok(pool_destroy(pool));
    assert_int_equal(tuner.failed, 0);
    assert_true(tuner.tunes > 0);
    assert_int_equal(flow->accepted, flow->n);
    flow_check(flow, LARGEST, LARGEST + queue);
}

static void test_tune_storm_loses_nothing(void **state)
{
    (void)state;
    tune_in_flight(0, FLOW_SUBMIT);
    tune_in_flight(100, FLOW_SUBMIT);
    tune_in_flight(10, FLOW_COPY);
    tune_in_flight(0, FLOW_MANY);
}

/* ---- Lulls in which workers park and leave ---- */

static void flow_with_lulls(int cap, int queue, int64_t expiry_ms)
{
    pool_t *pool = make_pool_with(cap, pool_with_queue(queue), pool_with_expiry_ms(expiry_ms));
    flow_t *flow = flow_start(pool, FLOW_SUBMIT, scaled(20000), 20);
    flow_join(flow);
    assert_ok(pool_wait(pool));
    assert_int_equal(flow->finished, flow->n);
    assert_ok(pool_destroy(pool));
    flow_check(flow, cap, cap == POOL_UNLIMITED ? -1 : cap + queue);
}

static void test_workers_that_come_and_go_lose_nothing(void **state)
{
    (void)state;
    flow_with_lulls(1, 0, 1);
    flow_with_lulls(3, 10, 1);
    flow_with_lulls(7, 0, 2);
    flow_with_lulls(POOL_UNLIMITED, 0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_release_in_flight_loses_nothing),
        checked(test_release_timeout_in_flight_loses_nothing),
        checked(test_release_now_in_flight_runs_or_hands_back_each),
        checked(test_release_in_flight_of_a_discarding_pool),
        checked(test_reboot_in_flight_loses_nothing),
        checked(test_tune_storm_loses_nothing),
        checked(test_workers_that_come_and_go_lose_nothing),
    };
    return cmocka_run_group_tests_name("storms", tests, NULL, NULL);
}
