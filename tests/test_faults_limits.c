/* Faults at the edges of what can be asked for: times, caps, arguments, and a cap that never
 * stays the same. */
#define _GNU_SOURCE
#include "faults.h"

#include <limits.h>
#include <sched.h>

/* ---- Times --------------------------------------------------------------------------------- */

static void start_busy(pool_t **pool, gate_t *gate)
{
    assert_ok(pool_new(pool, 1));
    assert_ok(pool_submit(*pool, gate_task, gate));
    assert_true(gate_await(gate, 1));
}

static void test_huge_times_do_not_overflow(void **state)
{
    (void)state;
    const int64_t huge[] = {POOL_FOREVER, POOL_FOREVER - 1, POOL_FOREVER / 1000,
                            POOL_FOREVER / 1000000, POOL_FOREVER / 1000000 + 1,
                            18446744073710 /* half a millisecond, if nanoseconds wrap */};
    for (size_t i = 0; i < sizeof huge / sizeof huge[0]; i++) {
        pool_t *pool;
        gate_t gate = GATE_CLOSED;
        atomic_int ran = 0;
        submitter_t s;
        start_busy(&pool, &gate);
        submitter_start_timeout(&s, pool, count_task, &ran, huge[i]);
        assert_true(eventually_equals(pool_waiting, pool, 1));
        linger_us(2000); /* a sum that wrapped would be in the past */
        assert_int_equal(pool_waiting(pool), 1);
        gate_open(&gate);
        assert_ok(submitter_join(&s));
        assert_ok(pool_wait_timeout(pool, huge[i]));
        assert_ok(pool_release_timeout(pool, huge[i]));
        assert_int_equal(ran, 1);
        assert_ok(pool_destroy(pool));
        gate_fini(&gate);
    }
}

static void test_huge_expiry_is_never(void **state)
{
    (void)state;
    const int64_t wraps = 18446744073710; /* 2^64 ns and 0.4 ms */
    const int64_t huge[] = {POOL_FOREVER, POOL_FOREVER - 1, POOL_FOREVER / 1000000, wraps};
    for (size_t i = 0; i < sizeof huge / sizeof huge[0]; i++) {
        pool_t *pool, *quick;
        atomic_int ran = 0;
        assert_ok(pool_new_with(&pool, 2, pool_with_prestart(2), pool_with_expiry_ms(huge[i])));
        assert_ok(pool_new_with(&quick, 1, pool_with_prestart(1), pool_with_expiry_ms(1)));
        assert_true(eventually_equals(pool_workers, quick, 0)); /* the janitor has been there */
        assert_int_equal(pool_workers(pool), 2);
        assert_ok(pool_submit(pool, count_task, &ran));
        assert_ok(pool_destroy(pool));
        assert_ok(pool_destroy(quick));
        assert_int_equal(ran, 1);
    }
}

static void test_no_time_at_all_is_enough_to_look(void **state)
{
    (void)state;
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    start_busy(&pool, &gate);
    assert_int_equal(pool_submit_timeout(pool, empty_task, NULL, 0), POOL_ERR_TIMEOUT);
    assert_int_equal(pool_wait_timeout(pool, 0), POOL_ERR_TIMEOUT);
    assert_int_equal(pool_waiting(pool), 0);
    gate_open(&gate);
    assert_ok(pool_wait(pool));
    assert_ok(pool_wait_timeout(pool, 0));
    assert_ok(pool_submit_timeout(pool, empty_task, NULL, 0));
    assert_ok(pool_destroy(pool));
    gate_fini(&gate);
}

static void test_negative_times_are_invalid_without_side_effect(void **state)
{
    (void)state;
    const int64_t negative[] = {-1, INT64_MIN, INT64_MIN + 1};
    pool_t *pool, *none = NULL;
    atomic_int ran = 0;
    assert_ok(pool_new(&pool, 1));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pool_submit_timeout(pool, count_task, &ran, negative[i]), POOL_ERR_INVALID);
        assert_int_equal(pool_wait_timeout(pool, negative[i]), POOL_ERR_INVALID);
        assert_int_equal(pool_release_timeout(pool, negative[i]), POOL_ERR_INVALID);
        assert_false(pool_is_closed(pool));
        assert_int_equal(pool_new_with(&none, 1, pool_with_expiry_ms(negative[i])),
                         POOL_ERR_INVALID_EXPIRY);
        assert_null(none);
    }
    assert_ok(pool_destroy(pool));
    assert_int_equal(ran, 0);
}

/* ---- Caps ---------------------------------------------------------------------------------- */

static void test_cap_1_does_everything_in_order(void **state)
{
    (void)state;
    pool_t *pool;
    atomic_int ran = 0;
    assert_ok(pool_new(&pool, 1));
    for (int i = 0; i < ROUNDS(2000); i++)
        assert_ok(pool_submit(pool, count_task, &ran));
    assert_ok(pool_wait(pool));
    assert_int_equal(ran, ROUNDS(2000));
    assert_true(pool_workers(pool) <= 1);
    assert_ok(pool_destroy(pool));
}

static void use_briefly(pool_t *pool)
{
    atomic_int ran = 0;
    for (int i = 0; i < 1000; i++)
        assert_ok(pool_submit(pool, count_task, &ran));
    assert_ok(pool_wait(pool));
    assert_int_equal(ran, 1000);
}

static void test_cap_of_int_max_works(void **state)
{
    (void)state;
    pool_t *pool;
    assert_ok(pool_new(&pool, INT_MAX));
    assert_int_equal(pool_cap(pool), INT_MAX);
    assert_true(pool_free_slots(pool) > 1000); /* as many as could be accepted at once */
    use_briefly(pool);
    assert_ok(pool_tune(pool, 1));
    use_briefly(pool);
    assert_ok(pool_tune(pool, INT_MAX));
    assert_int_equal(pool_cap(pool), INT_MAX);
    assert_ok(pool_destroy(pool));
    assert_ok(pool_new_with(&pool, INT_MAX, pool_with_queue(1000))); /* beyond an int */
    assert_true(pool_free_slots(pool) > 1000);
    use_briefly(pool);
    assert_ok(pool_destroy(pool));
}

static void test_wrong_caps_are_invalid_without_side_effect(void **state)
{
    (void)state;
    const int wrong[] = {0, -2, INT_MIN, INT_MIN + 1};
    pool_t *pool, *none = NULL;
    assert_ok(pool_new(&pool, 3));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pool_new(&none, wrong[i]), POOL_ERR_INVALID_CAP);
        assert_null(none);
        assert_int_equal(pool_tune(pool, wrong[i]), POOL_ERR_INVALID_CAP);
        assert_int_equal(pool_cap(pool), 3);
    }
    assert_int_equal(pool_tune(pool, POOL_UNLIMITED), POOL_ERR_INVALID_CAP);
    use_briefly(pool);
    assert_ok(pool_destroy(pool));
}

/* ---- Arguments ------------------------------------------------------------------------------ */

static void test_null_pools_are_invalid(void **state)
{
    (void)state;
    int (*const gauges[])(const pool_t *) = {pool_cap,     pool_running, pool_queued, pool_free_slots,
                                             pool_waiting, pool_workers, pool_idle};
    void *const args[] = {NULL};
    size_t accepted = 9;
    assert_int_equal(pool_submit(NULL, empty_task, NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_try_submit(NULL, empty_task, NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_submit_timeout(NULL, empty_task, NULL, 1), POOL_ERR_INVALID);
    assert_int_equal(pool_submit_copy(NULL, empty_task, "", 1), POOL_ERR_INVALID);
    assert_int_equal(pool_submit_many(NULL, empty_task, args, 1, &accepted), POOL_ERR_INVALID);
    assert_int_equal(accepted, 0);
    assert_int_equal(pool_invoke(NULL, NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_tune(NULL, 1), POOL_ERR_INVALID);
    assert_int_equal(pool_wait(NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_wait_timeout(NULL, 1), POOL_ERR_INVALID);
    assert_int_equal(pool_release(NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_release_timeout(NULL, 1), POOL_ERR_INVALID);
    assert_int_equal(pool_reboot(NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_new(NULL, 1), POOL_ERR_INVALID);
    assert_ok(pool_destroy(NULL));
    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0]; i++)
        assert_int_equal(gauges[i](NULL), 0);
    assert_true(pool_is_closed(NULL));
    assert_string_equal(pool_name(NULL), "");
}

static void test_other_null_arguments_are_invalid_without_side_effect(void **state)
{
    (void)state;
    pool_t *pool;
    void *const args[] = {NULL};
    size_t accepted = 9;
    char data[POOL_COPY_MAX + 1] = {0};
    assert_ok(pool_new(&pool, 1));
    assert_int_equal(pool_submit(pool, NULL, NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_try_submit(pool, NULL, NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_submit_timeout(pool, NULL, NULL, 1), POOL_ERR_INVALID);
    assert_int_equal(pool_submit_copy(pool, NULL, data, 1), POOL_ERR_INVALID);
    assert_int_equal(pool_submit_copy(pool, empty_task, NULL, 1), POOL_ERR_INVALID);
    assert_int_equal(pool_submit_copy(pool, empty_task, data, sizeof data), POOL_ERR_INVALID);
    assert_int_equal(pool_submit_many(pool, NULL, args, 1, &accepted), POOL_ERR_INVALID);
    assert_int_equal(accepted, 0);
    assert_int_equal(pool_submit_many(pool, empty_task, NULL, 1, &accepted), POOL_ERR_INVALID);
    assert_int_equal(pool_submit_many(pool, empty_task, args, 1, NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_release_now(pool, NULL, NULL), POOL_ERR_INVALID);
    assert_false(pool_is_closed(pool));
    assert_int_equal(pool_queued(pool) + pool_running(pool) + pool_workers(pool), 0);
    use_briefly(pool);
    assert_ok(pool_destroy(pool));
}

/* ---- Gauges ---------------------------------------------------------------------------------- */

/* Whoever learned from a task that it has started finds it running, though the submit that
 * started a thread for it has not returned yet. */
static void test_started_task_is_seen_running(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS(300); round++) {
        pool_t *pool;
        gate_t gate = GATE_CLOSED;
        submitter_t s[2];
        assert_ok(pool_new(&pool, 2));
        for (int i = 0; i < 2; i++)
            submitter_start(&s[i], pool, gate_task, &gate);
        assert_true(gate_await(&gate, 2));
        int running = pool_running(pool), workers = pool_workers(pool);
        gate_open(&gate);
        for (int i = 0; i < 2; i++)
            assert_ok(submitter_join(&s[i]));
        assert_ok(pool_destroy(pool));
        assert_int_equal(running, 2);
        assert_int_equal(workers, 2);
        gate_fini(&gate);
    }
}

/* ---- Tune storms ----------------------------------------------------------------------------- */

enum { LARGEST = 8 };

typedef struct storm {
    pool_t *pool;
    atomic_int inside, most, ran;
    atomic_bool over;
} storm_t;

static void stormy_task(void *arg)
{
    storm_t *s = arg;
    raise_to(&s->most, atomic_fetch_add(&s->inside, 1) + 1);
    sched_yield();
    atomic_fetch_sub(&s->inside, 1);
    count_task(&s->ran);
}

static void *submit_in_the_storm(void *arg)
{
    storm_t *s = arg;
    for (int i = 0; i < ROUNDS(5000); i++)
        if (pool_submit(s->pool, stormy_task, s) != POOL_OK)
            break;
    return NULL;
}

static void *tune_wildly(void *arg)
{
    storm_t *s = arg;
    unsigned seed = (unsigned)now_ms();
    while (!atomic_load(&s->over)) {
        pool_tune(s->pool, 1 + rand_r(&seed) % LARGEST);
        linger_us(rand_r(&seed) % 50);
    }
    return NULL;
}

static void storm_over(pool_option_t queue, pool_option_t expiry)
{
    storm_t s = {0};
    pthread_t submitters[3], tuners[2];
    assert_ok(pool_new_with(&s.pool, 2, queue, expiry));
    for (int i = 0; i < 2; i++)
        tuners[i] = thread_start(tune_wildly, &s);
    for (int i = 0; i < 3; i++)
        submitters[i] = thread_start(submit_in_the_storm, &s);
    for (int i = 0; i < 3; i++)
        pthread_join(submitters[i], NULL);
    atomic_store(&s.over, true);
    for (int i = 0; i < 2; i++)
        pthread_join(tuners[i], NULL);
    assert_ok(pool_wait(s.pool));
    assert_int_equal(s.ran, 3 * ROUNDS(5000));
    assert_true(s.most <= LARGEST);
    assert_ok(pool_destroy(s.pool));
}

static void test_tune_storm_leaves_nobody_behind(void **state)
{
    (void)state;
    storm_over(pool_with_queue(0), pool_with_expiry_ms(1000));
    storm_over(pool_with_queue(5), pool_with_expiry_ms(1));
}

/* Once the surplus has left, the smaller cap is kept to. */
static void test_cap_in_force_after_tune_down_is_kept(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS(40); round++) {
        storm_t s = {0};
        gate_t gate = GATE_CLOSED;
        assert_ok(pool_new_with(&s.pool, LARGEST, pool_with_queue(200), pool_with_disable_purge(true)));
        for (int i = 0; i < LARGEST; i++)
            assert_ok(pool_submit(s.pool, gate_task, &gate));
        assert_true(gate_await(&gate, LARGEST));
        assert_ok(pool_tune(s.pool, 2));
        gate_open(&gate);
        assert_true(eventually_equals(pool_workers, s.pool, 2));
        for (int i = 0; i < 100; i++)
            assert_ok(pool_submit(s.pool, stormy_task, &s));
        assert_ok(pool_wait(s.pool));
        assert_int_equal(s.ran, 100);
        assert_true(s.most <= 2);
        assert_ok(pool_destroy(s.pool));
        gate_fini(&gate);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_huge_times_do_not_overflow),
        checked(test_huge_expiry_is_never),
        checked(test_no_time_at_all_is_enough_to_look),
        checked(test_negative_times_are_invalid_without_side_effect),
        checked(test_cap_1_does_everything_in_order),
        checked(test_cap_of_int_max_works),
        checked(test_wrong_caps_are_invalid_without_side_effect),
        checked(test_null_pools_are_invalid),
        checked(test_other_null_arguments_are_invalid_without_side_effect),
        checked(test_started_task_is_seen_running),
        checked(test_tune_storm_leaves_nobody_behind),
        checked(test_cap_in_force_after_tune_down_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
