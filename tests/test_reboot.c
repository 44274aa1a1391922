/* Opening a released pool again. */
#include "support.h"

/* A released pool refuses, a rebooted one works as on its first day. */
static void close_and_reboot(pool_t *pool, bool bound)
{
    atomic_int runs = 0;
    for (int day = 1; day <= 3; day++) {
        for (int i = 0; i < 100; i++)
            assert_ok(bound ? pool_invoke(pool, &runs) : pool_submit(pool, count_task, &runs));
        assert_ok(pool_release_timeout(pool, PATIENCE_MS));
        assert_int_equal(runs, 100 * day);
        assert_true(pool_is_closed(pool));
        assert_int_equal(pool_workers(pool), 0);
        assert_int_equal(bound ? pool_invoke(pool, &runs) : pool_submit(pool, count_task, &runs),
                         POOL_ERR_CLOSED);
        assert_ok(pool_reboot(pool));
        assert_false(pool_is_closed(pool));
    }
    assert_ok(pool_destroy(pool));
    assert_int_equal(runs, 300);
}

static void test_rebooted_pool_takes_tasks_again(void **state)
{
    (void)state;
    close_and_reboot(make_pool(10), false);
}

static void test_rebooted_pool_is_invoked_again(void **state)
{
    (void)state;
    close_and_reboot(make_pool_with(10, pool_with_func(count_task)), true);
}

static void test_rebooted_preallocated_pool_takes_tasks_again(void **state)
{
    (void)state;
    close_and_reboot(make_pool_with(10, pool_with_prealloc(true)), false);
}

static void test_rebooted_unlimited_pool_takes_tasks_again(void **state)
{
    (void)state;
    close_and_reboot(make_pool(POOL_UNLIMITED), false);
}

static void test_pool_without_purge_is_rebooted(void **state)
{
    (void)state;
    close_and_reboot(make_pool_with(10, pool_with_disable_purge(true)), false);
}

struct addend {
    atomic_int *sum;
    int number;
};

static void add(void *arg)
{
    const struct addend *addend = arg;
    atomic_fetch_add(addend->sum, addend->number);
}

static void add_up(pool_t *pool)
{
    atomic_int sum = 0;
    struct addend addends[1000];
    for (int i = 0; i < 1000; i++) {
        addends[i] = (struct addend){&sum, i};
        assert_ok(pool_submit(pool, add, &addends[i]));
    }
    assert_ok(pool_wait(pool));
    assert_int_equal(sum, 499500);
}

static void sums_before_and_after(pool_t *pool)
{
    add_up(pool);
    assert_ok(pool_release_timeout(pool, PATIENCE_MS));
    assert_ok(pool_reboot(pool));
    add_up(pool);
    assert_ok(pool_destroy(pool));
}

static void test_sums_are_right_before_and_after_a_reboot(void **state)
{
    (void)state;
    sums_before_and_after(make_pool(10));
}

static void test_sums_are_right_before_and_after_a_reboot_with_prealloc(void **state)
{
    (void)state;
    sums_before_and_after(make_pool_with(10, pool_with_prealloc(true)));
}

static void test_reboot_of_an_open_pool_does_nothing(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(1, pool_with_queue(3));
    assert_ok(pool_reboot(pool));
    occupy(pool, &gate, 1);
    assert_ok(pool_submit(pool, empty_task, NULL));
    sight_t before = see(pool);
    assert_ok(pool_reboot(pool));
    assert_unchanged(pool, before);
    open_and_destroy(pool, &gate);
}

static void test_reboot_is_busy_until_the_release_is_complete(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    pool_t *pool = make_pool_with(1, pool_with_queue(3));
    occupy(pool, &gate, 1);
    assert_ok(pool_submit(pool, count_task, &runs));
    assert_ok(pool_release(pool));
    sight_t before = see(pool);

    assert_int_equal(pool_reboot(pool), POOL_ERR_BUSY);
    assert_unchanged(pool, before);
    assert_int_equal(pool_submit(pool, count_task, &runs), POOL_ERR_CLOSED);

    gate_open(&gate);
    assert_ok(pool_release_timeout(pool, POOL_FOREVER));
    assert_ok(pool_reboot(pool));
    open_and_destroy(pool, &gate);
    assert_int_equal(runs, 1);
}

static bool reboots(void *pool)
{
    return pool_reboot(pool) == POOL_OK;
}

/* Nobody waits for the release: it gets complete by itself. */
static void test_reboot_after_a_release_that_nobody_waited_for(void **state)
{
    (void)state;
    atomic_int runs = 0;
    pool_t *pool = make_pool_with(3, pool_with_queue(10));
    for (int round = 1; round <= scaled(200); round++) {
        for (int i = 0; i < 5; i++)
            assert_ok(pool_submit(pool, count_task, &runs));
        assert_ok(pool_release(pool));
        assert_true(eventually(reboots, pool, PATIENCE_MS));
        assert_int_equal(runs, 5 * round);
    }
    assert_ok(pool_destroy(pool));
}

static void test_reboot_keeps_the_options(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(2, pool_with_queue(3), pool_with_nonblocking(true),
                                  pool_with_name("phoenix"), pool_with_func(gate_task));
    assert_ok(pool_release_timeout(pool, POOL_FOREVER));
    assert_ok(pool_reboot(pool));
    assert_string_equal(pool_name(pool), "phoenix");
    assert_int_equal(pool_cap(pool), 2);
    assert_int_equal(pool_free_slots(pool), 5);
    for (int i = 0; i < 5; i++)
        assert_ok(pool_invoke(pool, &gate));
    assert_int_equal(pool_invoke(pool, &gate), POOL_ERR_OVERLOAD);
    open_and_destroy(pool, &gate);
    assert_int_equal(gate.passed, 5);
}

static void test_idle_workers_of_a_rebooted_pool_leave_after_the_expiry(void **state)
{
    (void)state;
    pool_t *pool = make_pool_with(4, pool_with_expiry_ms(20));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 10; i++)
            assert_ok(pool_submit(pool, empty_task, NULL));
        assert_true(eventually_equals(pool_workers, pool, 0));
        assert_ok(pool_release_timeout(pool, POOL_FOREVER));
        assert_ok(pool_reboot(pool));
    }
    assert_ok(pool_destroy(pool));
}

static void test_blocked_submitters_of_a_rebooted_pool_enter(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    submitter_t blocked;
    pool_t *pool = make_pool(1);
    for (int round = 0; round < 3; round++) {
        occupy(pool, &gate, 1);
        submitter_start(&blocked, pool, empty_task, NULL);
        assert_true(eventually_equals(pool_waiting, pool, 1));
        gate_let(&gate, 1);
        assert_ok(submitter_join(&blocked));
        assert_ok(pool_release_timeout(pool, POOL_FOREVER));
        assert_ok(pool_reboot(pool));
    }
    open_and_destroy(pool, &gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_rebooted_pool_takes_tasks_again),
        checked(test_rebooted_pool_is_invoked_again),
        checked(test_rebooted_preallocated_pool_takes_tasks_again),
        checked(test_rebooted_unlimited_pool_takes_tasks_again),
        checked(test_pool_without_purge_is_rebooted),
        checked(test_sums_are_right_before_and_after_a_reboot),
        checked(test_sums_are_right_before_and_after_a_reboot_with_prealloc),
        checked(test_reboot_of_an_open_pool_does_nothing),
        checked(test_reboot_is_busy_until_the_release_is_complete),
        checked(test_reboot_after_a_release_that_nobody_waited_for),
        checked(test_reboot_keeps_the_options),
        checked(test_idle_workers_of_a_rebooted_pool_leave_after_the_expiry),
        checked(test_blocked_submitters_of_a_rebooted_pool_enter),
    };
    return cmocka_run_group_tests_name("reboot", tests, NULL, NULL);
}
