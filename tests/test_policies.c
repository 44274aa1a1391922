/* What a submit does at the limit: the four policies and max_blocking. */
#include "support.h"

/* ---- POOL_REFUSE ---- */

static void refuse_then_accept(const pool_option_t *options)
{
    gate_t gate = GATE_CLOSED, last = GATE_CLOSED;
    pool_t *pool = make_pool_from(10, options);
    occupy(pool, &gate, 9);
    occupy(pool, &last, 1);
    sight_t before = see(pool);

    assert_int_equal(pool_submit(pool, empty_task, NULL), POOL_ERR_OVERLOAD);
    assert_unchanged(pool, before);

    gate_open(&last);
    assert_true(eventually_equals(pool_running, pool, 9));
    assert_ok(pool_submit(pool, empty_task, NULL));
    open_and_destroy(pool, &gate);
    gate_fini(&last);
}

static void test_nonblocking_refuses_at_the_cap_and_accepts_after_a_slot_frees(void **state)
{
    (void)state;
    refuse_then_accept((pool_option_t[]){pool_with_nonblocking(true), POOL_OPTIONS_END});
}

static void test_refuse_policy_is_nonblocking(void **state)
{
    (void)state;
    refuse_then_accept((pool_option_t[]){pool_with_policy(POOL_REFUSE), POOL_OPTIONS_END});
}

static void test_refuse_counts_the_queue(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    pool_t *pool = make_pool_with(1, pool_with_queue(2), pool_with_nonblocking(true));
    occupy(pool, &gate, 1);
    assert_ok(pool_submit(pool, count_task, &runs));
    assert_ok(pool_submit(pool, count_task, &runs));
    assert_int_equal(pool_submit(pool, count_task, &runs), POOL_ERR_OVERLOAD);
    open_and_destroy(pool, &gate);
    assert_int_equal(runs, 2);
}

static void test_invoke_of_a_nonblocking_pool_refuses_at_the_cap(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(10, pool_with_func(gate_task), pool_with_nonblocking(true));
    for (int i = 0; i < 10; i++)
        assert_ok(pool_invoke(pool, &gate));
    assert_int_equal(pool_invoke(pool, &gate), POOL_ERR_OVERLOAD);
    gate_open(&gate);
    assert_ok(pool_wait(pool));
    assert_ok(pool_invoke(pool, &gate));
    open_and_destroy(pool, &gate);
    assert_int_equal(gate.passed, 11);
}

/* ---- POOL_BLOCK with max_blocking ---- */

static void wait_bounded(int bound)
{
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    submitter_t blocked[4];
    pool_t *pool = make_pool_with(2, pool_with_max_blocking(bound));
    occupy(pool, &gate, 2);
    for (int i = 0; i < bound; i++)
        submitter_start(&blocked[i], pool, count_task, &runs);
    assert_true(eventually_equals(pool_waiting, pool, bound));
    sight_t before = see(pool);

    assert_int_equal(pool_submit_timeout(pool, count_task, &runs, 100), POOL_ERR_OVERLOAD);
    assert_int_equal(pool_submit(pool, count_task, &runs), POOL_ERR_OVERLOAD);
    assert_unchanged(pool, before);

    gate_open(&gate);
    for (int i = 0; i < bound; i++)
        assert_ok(submitter_join(&blocked[i]));
    open_and_destroy(pool, &gate);
    assert_int_equal(runs, bound);
}

static void test_max_blocking_lets_exactly_one_wait(void **state)
{
    (void)state;
    wait_bounded(1);
}

static void test_max_blocking_lets_exactly_four_wait(void **state)
{
    (void)state;
    wait_bounded(4);
}

static void test_max_blocking_place_is_free_again_after_a_waiter_left(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    submitter_t blocked;
    pool_t *pool = make_pool_with(1, pool_with_max_blocking(1));
    occupy(pool, &gate, 1);
    assert_int_equal(pool_submit_timeout(pool, empty_task, NULL, 1), POOL_ERR_TIMEOUT);
    submitter_start(&blocked, pool, empty_task, NULL);
    assert_true(eventually_equals(pool_waiting, pool, 1));
    gate_open(&gate);
    assert_ok(submitter_join(&blocked));
    open_and_destroy(pool, &gate);
}

struct invoker {
    pthread_t thread;
    pool_t *pool;
    void *arg;
    pool_err answer;
};

static void *invoke_one(void *arg)
{
    struct invoker *invoker = arg;
    invoker->answer = pool_invoke(invoker->pool, invoker->arg);
    return NULL;
}

static void test_max_blocking_bounds_invoke_too(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(2, pool_with_func(gate_task), pool_with_max_blocking(1));
    assert_ok(pool_invoke(pool, &gate));
    assert_ok(pool_invoke(pool, &gate));
    struct invoker blocked = {.pool = pool, .arg = &gate};
    assert_int_equal(pthread_create(&blocked.thread, NULL, invoke_one, &blocked), 0);
    assert_true(eventually_equals(pool_waiting, pool, 1));

    assert_int_equal(pool_invoke(pool, &gate), POOL_ERR_OVERLOAD);

    gate_open(&gate);
    pthread_join(blocked.thread, NULL);
    assert_int_equal(blocked.answer, POOL_OK);
    open_and_destroy(pool, &gate);
    assert_int_equal(gate.passed, 3);
}

static void test_max_blocking_of_zero_bounds_nothing(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    submitter_t blocked[20];
    pool_t *pool = make_pool_with(1, pool_with_max_blocking(0));
    occupy(pool, &gate, 1);
    for (int i = 0; i < 20; i++)
        submitter_start(&blocked[i], pool, empty_task, NULL);
    assert_true(eventually_equals(pool_waiting, pool, 20));
    gate_open(&gate);
    for (int i = 0; i < 20; i++)
        assert_ok(submitter_join(&blocked[i]));
    open_and_destroy(pool, &gate);
}

/* ---- POOL_CALLER_RUNS ---- */

struct witness {
    pool_t *pool;
    pthread_t thread;
    pool_t *current;
    int running, free_slots, calls;
};

static void bear_witness(void *arg)
{
    struct witness *witness = arg;
    witness->thread = pthread_self();
    witness->current = pool_current();
    witness->running = pool_running(witness->pool);
    witness->free_slots = pool_free_slots(witness->pool);
    witness->calls++;
}

static void test_caller_runs_the_task_before_submit_returns(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(1, pool_with_policy(POOL_CALLER_RUNS));
    struct witness witness = {.pool = pool};
    occupy(pool, &gate, 1);

    assert_ok(pool_submit(pool, bear_witness, &witness));

    assert_int_equal(witness.calls, 1);
    assert_true(pthread_equal(witness.thread, pthread_self()));
    assert_ptr_equal(witness.current, pool);
    assert_null(pool_current());
    open_and_destroy(pool, &gate);
}

static void test_caller_run_task_is_running_but_holds_no_slot(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(1, pool_with_queue(1), pool_with_policy(POOL_CALLER_RUNS));
    struct witness witness = {.pool = pool};
    occupy(pool, &gate, 1);
    assert_ok(pool_submit(pool, empty_task, NULL));

    assert_ok(pool_submit(pool, bear_witness, &witness));

    assert_int_equal(witness.running, 2);
    assert_int_equal(witness.free_slots, 0);
    assert_int_equal(pool_running(pool), 1);
    assert_int_equal(pool_queued(pool), 1);
    open_and_destroy(pool, &gate);
}

static void test_worker_runs_the_task_while_there_is_room(void **state)
{
    (void)state;
    pool_t *pool = make_pool_with(1, pool_with_policy(POOL_CALLER_RUNS));
    struct witness witness = {.pool = pool};
    assert_ok(pool_submit(pool, bear_witness, &witness));
    assert_ok(pool_wait(pool));
    assert_int_equal(witness.calls, 1);
    assert_false(pthread_equal(witness.thread, pthread_self()));
    assert_ok(pool_destroy(pool));
}

static void test_wait_waits_for_a_caller_run_task(void **state)
{
    (void)state;
    gate_t in_worker = GATE_CLOSED, in_caller = GATE_CLOSED;
    submitter_t caller;
    pool_t *pool = make_pool_with(1, pool_with_policy(POOL_CALLER_RUNS));
    occupy(pool, &in_worker, 1);
    submitter_start(&caller, pool, gate_task, &in_caller);
    assert_true(gate_await(&in_caller, 1));
    gate_open(&in_worker);
    assert_true(eventually_equals(pool_running, pool, 1));
    assert_int_equal(pool_wait_timeout(pool, 20), POOL_ERR_TIMEOUT);
    gate_open(&in_caller);
    assert_ok(pool_wait(pool));
    assert_ok(submitter_join(&caller));
    open_and_destroy(pool, &in_worker);
    gate_fini(&in_caller);
}

static void test_caller_runs_nothing_on_a_closed_pool(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    pool_t *pool = make_pool_with(1, pool_with_policy(POOL_CALLER_RUNS));
    occupy(pool, &gate, 1);
    assert_ok(pool_release(pool));
    assert_int_equal(pool_submit(pool, count_task, &runs), POOL_ERR_CLOSED);
    open_and_destroy(pool, &gate);
    assert_int_equal(runs, 0);
}

/* ---- POOL_DISCARD_OLDEST ---- */

struct thrown_out {
    int n;
    void *args[8];
    pool_task_fn task;
    pthread_t thread;
};

static void keep_discarded(void *user, pool_task_fn task, void *arg)
{
    struct thrown_out *out = user;
    out->task = task;
    out->thread = pthread_self();
    out->args[out->n++] = arg;
}

static void test_discard_hands_the_oldest_queued_task_to_the_handler(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs[5] = {0};
    struct thrown_out out = {0};
    pool_t *pool = make_pool_with(1, pool_with_queue(3), pool_with_policy(POOL_DISCARD_OLDEST),
                                  pool_with_discard_handler(keep_discarded, &out));
    occupy(pool, &gate, 1);
    for (int i = 0; i < 5; i++)
        assert_ok(pool_submit(pool, count_task, &runs[i]));

    assert_int_equal(out.n, 2);
    assert_ptr_equal(out.args[0], &runs[0]);
    assert_ptr_equal(out.args[1], &runs[1]);
    assert_true(out.task == count_task);
    assert_true(pthread_equal(out.thread, pthread_self()));
    assert_int_equal(pool_queued(pool), 3);

    open_and_destroy(pool, &gate);
    for (int i = 0; i < 5; i++)
        assert_int_equal(runs[i], i < 2 ? 0 : 1);
    assert_int_equal(out.n, 2);
}

static void test_discard_with_nothing_queued_is_overload(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    struct thrown_out out = {0};
    pool_t *pool = make_pool_with(1, pool_with_policy(POOL_DISCARD_OLDEST),
                                  pool_with_discard_handler(keep_discarded, &out));
    occupy(pool, &gate, 1);
    assert_int_equal(pool_submit(pool, empty_task, NULL), POOL_ERR_OVERLOAD);
    assert_int_equal(out.n, 0);
    open_and_destroy(pool, &gate);
}

static void test_discard_without_a_handler_tells_nobody(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int oldest = 0, newest = 0;
    pool_t *pool = make_pool_with(1, pool_with_queue(1), pool_with_policy(POOL_DISCARD_OLDEST),
                                  pool_with_discard_handler(NULL, NULL));
    occupy(pool, &gate, 1);
    assert_ok(pool_submit(pool, count_task, &oldest));
    assert_ok(pool_submit(pool, count_task, &newest));
    open_and_destroy(pool, &gate);
    assert_int_equal(oldest, 0);
    assert_int_equal(newest, 1);
}

static void test_discard_nothing_while_there_is_room(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    struct thrown_out out = {0};
    pool_t *pool = make_pool_with(1, pool_with_queue(2), pool_with_policy(POOL_DISCARD_OLDEST),
                                  pool_with_discard_handler(keep_discarded, &out));
    occupy(pool, &gate, 1);
    assert_ok(pool_submit(pool, empty_task, NULL));
    assert_ok(pool_submit(pool, empty_task, NULL));
    assert_int_equal(out.n, 0);
    open_and_destroy(pool, &gate);
}

struct copied_out {
    int value;
    int n;
};

static void read_discarded_copy(void *user, pool_task_fn task, void *arg)
{
    (void)task;
    struct copied_out *out = user;
    out->value = *(int *)arg;
    out->n++;
}

static void test_discarded_copy_is_readable_in_the_handler(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    struct copied_out out = {0};
    pool_t *pool = make_pool_with(1, pool_with_queue(1), pool_with_policy(POOL_DISCARD_OLDEST),
                                  pool_with_discard_handler(read_discarded_copy, &out));
    occupy(pool, &gate, 1);
    int data = 41;
    assert_ok(pool_submit_copy(pool, empty_task, &data, sizeof data));
    data = 0;
    assert_ok(pool_submit_copy(pool, empty_task, &data, sizeof data));
    assert_int_equal(out.n, 1);
    assert_int_equal(out.value, 41);
    open_and_destroy(pool, &gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_nonblocking_refuses_at_the_cap_and_accepts_after_a_slot_frees),
        checked(test_refuse_policy_is_nonblocking),
        checked(test_refuse_counts_the_queue),
        checked(test_invoke_of_a_nonblocking_pool_refuses_at_the_cap),
        checked(test_max_blocking_lets_exactly_one_wait),
        checked(test_max_blocking_lets_exactly_four_wait),
        checked(test_max_blocking_place_is_free_again_after_a_waiter_left),
        checked(test_max_blocking_bounds_invoke_too),
        checked(test_max_blocking_of_zero_bounds_nothing),
        checked(test_caller_runs_the_task_before_submit_returns),
        checked(test_caller_run_task_is_running_but_holds_no_slot),
        checked(test_worker_runs_the_task_while_there_is_room),
        checked(test_wait_waits_for_a_caller_run_task),
        checked(test_caller_runs_nothing_on_a_closed_pool),
        checked(test_discard_hands_the_oldest_queued_task_to_the_handler),
        checked(test_discard_with_nothing_queued_is_overload),
        checked(test_discard_without_a_handler_tells_nobody),
        checked(test_discard_nothing_while_there_is_room),
        checked(test_discarded_copy_is_readable_in_the_handler),
    };
    return cmocka_run_group_tests_name("policies", tests, NULL, NULL);
}
