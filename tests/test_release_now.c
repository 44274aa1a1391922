/* Closing a pool and taking back what has not started. */
#include "support.h"

#include <string.h>

struct returned {
    pool_t *pool;
    int n;
    void *args[16];
    pool_task_fn task;
    pthread_t thread;
    pool_err submit_inside, reboot_inside, release_inside;
    int running_inside;
};

static void keep_returned(void *user, pool_task_fn task, void *arg)
{
    struct returned *returned = user;
    returned->task = task;
    returned->thread = pthread_self();
    returned->args[returned->n++] = arg;
}

static void test_release_now_hands_back_in_order_what_has_not_started(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs[6] = {0};
    struct returned returned = {0};
    pool_t *pool = make_pool_with(2, pool_with_queue(6));
    occupy(pool, &gate, 2);
    for (int i = 0; i < 6; i++)
        assert_ok(pool_submit(pool, count_task, &runs[i]));

    assert_ok(pool_release_now(pool, keep_returned, &returned));

    assert_int_equal(returned.n, 6);
    for (int i = 0; i < 6; i++)
        assert_ptr_equal(returned.args[i], &runs[i]);
    assert_true(returned.task == count_task);
    assert_true(pthread_equal(returned.thread, pthread_self()));
    assert_true(pool_is_closed(pool));
    assert_int_equal(pool_queued(pool), 0);
    assert_int_equal(pool_running(pool), 2); /* they go on */
    open_and_destroy(pool, &gate);
    assert_int_equal(gate.passed, 2);
    for (int i = 0; i < 6; i++)
        assert_int_equal(runs[i], 0);
}

static void test_release_now_after_release_hands_back_the_rest(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    struct returned returned = {0};
    pool_t *pool = make_pool_with(1, pool_with_queue(4));
    occupy(pool, &gate, 1);
    for (int i = 0; i < 4; i++)
        assert_ok(pool_submit(pool, count_task, &runs));
    assert_ok(pool_release(pool));
    assert_ok(pool_release_now(pool, keep_returned, &returned));
    assert_int_equal(returned.n, 4);
    assert_ok(pool_release_now(pool, keep_returned, &returned)); /* nothing is left */
    assert_int_equal(returned.n, 4);
    open_and_destroy(pool, &gate);
    assert_int_equal(runs, 0);
}

static void test_release_now_of_an_idle_pool_calls_nobody(void **state)
{
    (void)state;
    struct returned returned = {0};
    pool_t *pool = make_pool_with(2, pool_with_queue(4));
    assert_ok(pool_submit(pool, empty_task, NULL));
    assert_ok(pool_wait(pool));
    assert_ok(pool_release_now(pool, keep_returned, &returned));
    assert_int_equal(returned.n, 0);
    assert_true(pool_is_closed(pool));
    assert_ok(pool_destroy(pool));
}

static void test_release_now_turns_blocked_submitters_away(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    struct returned returned = {0};
    submitter_t blocked[3];
    pool_t *pool = make_pool_with(1, pool_with_queue(1));
    occupy(pool, &gate, 1);
    assert_ok(pool_submit(pool, count_task, &runs));
    for (int i = 0; i < 3; i++)
        submitter_start(&blocked[i], pool, count_task, &runs);
    assert_true(eventually_equals(pool_waiting, pool, 3));

    assert_ok(pool_release_now(pool, keep_returned, &returned));

    for (int i = 0; i < 3; i++)
        assert_int_equal(submitter_join(&blocked[i]), POOL_ERR_CLOSED);
    assert_int_equal(returned.n, 1); /* what was never accepted is not handed back */
    open_and_destroy(pool, &gate);
    assert_int_equal(runs, 0);
}

static int copied[8], copies;

static void read_copy(void *user, pool_task_fn task, void *arg)
{
    (void)user;
    (void)task;
    memcpy(&copied[copies++], arg, sizeof copied[0]);
}

static void test_release_now_hands_back_the_copies(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    copies = 0;
    pool_t *pool = make_pool_with(1, pool_with_queue(8));
    occupy(pool, &gate, 1);
    for (int i = 0; i < 8; i++) {
        int data = 100 + i;
        assert_ok(pool_submit_copy(pool, empty_task, &data, sizeof data));
    }
    assert_ok(pool_release_now(pool, read_copy, NULL));
    assert_int_equal(copies, 8);
    for (int i = 0; i < 8; i++)
        assert_int_equal(copied[i], 100 + i);
    open_and_destroy(pool, &gate);
}

static void call_the_pool(void *user, pool_task_fn task, void *arg)
{
    struct returned *returned = user;
    keep_returned(user, task, arg);
    returned->submit_inside = pool_submit(returned->pool, task, arg);
    returned->reboot_inside = pool_reboot(returned->pool);
    returned->release_inside = pool_release(returned->pool);
    returned->running_inside = pool_running(returned->pool);
}

static void test_callback_of_release_now_may_call_the_pool(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    struct returned returned = {.pool = make_pool_with(1, pool_with_queue(1))};
    occupy(returned.pool, &gate, 1);
    assert_ok(pool_submit(returned.pool, empty_task, NULL));
    assert_ok(pool_release_now(returned.pool, call_the_pool, &returned));
    assert_int_equal(returned.n, 1);
    assert_int_equal(returned.submit_inside, POOL_ERR_CLOSED);
    assert_int_equal(returned.reboot_inside, POOL_ERR_BUSY);
    assert_int_equal(returned.release_inside, POOL_OK);
    assert_int_equal(returned.running_inside, 1);
    open_and_destroy(returned.pool, &gate);
}

static void test_wait_is_over_when_the_running_tasks_end_after_release_now(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    struct returned returned = {0};
    pool_t *pool = make_pool_with(1, pool_with_queue(3));
    occupy(pool, &gate, 1);
    for (int i = 0; i < 3; i++)
        assert_ok(pool_submit(pool, empty_task, NULL));
    assert_ok(pool_release_now(pool, keep_returned, &returned));
    assert_int_equal(pool_wait_timeout(pool, 5), POOL_ERR_TIMEOUT);
    gate_open(&gate);
    assert_ok(pool_wait(pool));
    assert_ok(pool_release_timeout(pool, POOL_FOREVER));
    open_and_destroy(pool, &gate);
}

static void release_now_inside(void *user)
{
    struct returned *returned = user;
    returned->release_inside = pool_release_now(returned->pool, keep_returned, returned);
}

static void test_task_calls_release_now_on_its_own_pool(void **state)
{
    (void)state;
    atomic_int runs = 0;
    gate_t gate = GATE_CLOSED;
    struct returned returned = {.pool = make_pool_with(1, pool_with_queue(4)),
                                .release_inside = POOL_ERR_INVALID};
    occupy(returned.pool, &gate, 1);
    assert_ok(pool_submit(returned.pool, release_now_inside, &returned));
    assert_ok(pool_submit(returned.pool, count_task, &runs));
    assert_ok(pool_submit(returned.pool, count_task, &runs));
    open_and_destroy(returned.pool, &gate);
    assert_int_equal(returned.release_inside, POOL_OK);
    assert_int_equal(returned.n, 2);
    assert_int_equal(runs, 0);
}

static void test_pool_works_again_after_release_now_and_reboot(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    struct returned returned = {0};
    pool_t *pool = make_pool_with(2, pool_with_queue(3));
    occupy(pool, &gate, 2);
    for (int i = 0; i < 3; i++)
        assert_ok(pool_submit(pool, count_task, &runs));
    assert_ok(pool_release_now(pool, keep_returned, &returned));
    gate_open(&gate);
    assert_ok(pool_release_timeout(pool, POOL_FOREVER));
    assert_ok(pool_reboot(pool));
    assert_int_equal(pool_free_slots(pool), 5);
    for (int i = 0; i < 100; i++)
        assert_ok(pool_submit(pool, count_task, &runs));
    open_and_destroy(pool, &gate);
    assert_int_equal(runs, 100);
    assert_int_equal(returned.n, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_release_now_hands_back_in_order_what_has_not_started),
        checked(test_release_now_after_release_hands_back_the_rest),
        checked(test_release_now_of_an_idle_pool_calls_nobody),
        checked(test_release_now_turns_blocked_submitters_away),
        checked(test_release_now_hands_back_the_copies),
        checked(test_callback_of_release_now_may_call_the_pool),
        checked(test_wait_is_over_when_the_running_tasks_end_after_release_now),
        checked(test_task_calls_release_now_on_its_own_pool),
        checked(test_pool_works_again_after_release_now_and_reboot),
    };
    return cmocka_run_group_tests_name("release_now", tests, NULL, NULL);
}
