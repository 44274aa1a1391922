/* Eight submitters, one pool: every task runs exactly once, never more at once than the
 * cap, never more accepted and unfinished than the limit. */
#include "flow.h"

static void pass_through(int cap, int queue, flow_call_t call, pool_option_t more)
{
    pool_t *pool = make_pool_with(cap, pool_with_queue(queue), pool_with_func(flow_task), more);
    flow_t *flow = flow_start(pool, call, scaled(100000), 0);
    flow_join(flow);
    assert_ok(pool_wait(pool));
    assert_int_equal(flow->finished, flow->n);
    assert_int_equal(flow->accepted, flow->n);
    assert_int_equal(pool_running(pool), 0);
    assert_int_equal(pool_waiting(pool), 0);
    assert_ok(pool_destroy(pool));
    flow_check(flow, cap, cap == POOL_UNLIMITED ? -1 : cap + queue);
}

static void with_and_without_queue(int cap, flow_call_t call)
{
    pass_through(cap, 0, call, pool_with_policy(POOL_BLOCK));
    pass_through(cap, 100, call, pool_with_policy(POOL_BLOCK));
}

#define through(name, call, cap) \
    static void test_##name(void **state) \
    { \
        (void)state; \
        with_and_without_queue(cap, call); \
    }

through(submit_at_cap_1, FLOW_SUBMIT, 1)
through(submit_at_cap_2, FLOW_SUBMIT, 2)
through(submit_at_cap_7, FLOW_SUBMIT, 7)
through(submit_at_cap_64, FLOW_SUBMIT, 64)
through(submit_at_cap_1000, FLOW_SUBMIT, 1000)
through(submit_at_no_cap, FLOW_SUBMIT, POOL_UNLIMITED)
through(timeout_at_cap_2, FLOW_TIMEOUT, 2)
through(try_at_cap_7, FLOW_TRY, 7)
through(copy_at_cap_1, FLOW_COPY, 1)
through(copy_at_cap_7, FLOW_COPY, 7)
through(copy_at_no_cap, FLOW_COPY, POOL_UNLIMITED)
through(invoke_at_cap_2, FLOW_INVOKE, 2)
through(invoke_at_cap_64, FLOW_INVOKE, 64)
through(many_at_cap_1, FLOW_MANY, 1)
through(many_at_cap_7, FLOW_MANY, 7)
through(many_at_cap_1000, FLOW_MANY, 1000)
through(many_at_no_cap, FLOW_MANY, POOL_UNLIMITED)

static void test_preallocated(void **state)
{
    (void)state;
    pass_through(7, 0, FLOW_SUBMIT, pool_with_prealloc(true));
    pass_through(7, 100, FLOW_COPY, pool_with_prealloc(true));
}

static void test_without_spinning(void **state)
{
    (void)state;
    pass_through(2, 0, FLOW_SUBMIT, pool_with_spin_us(-1));
    pass_through(7, 100, FLOW_SUBMIT, pool_with_spin_us(-1));
}

/* Refused tasks never run; what was accepted runs. */
static void test_refused_tasks_never_run(void **state)
{
    (void)state;
    pool_t *pool = make_pool_with(2, pool_with_queue(10), pool_with_nonblocking(true));
    flow_t *flow = flow_start(pool, FLOW_SUBMIT, scaled(100000), 0);
    flow_join(flow);
    assert_ok(pool_destroy(pool));
    assert_true(flow->accepted > 0);
    flow_check(flow, 2, 12);
}

static void test_max_blocking_refusals_never_run(void **state)
{
    (void)state;
    pool_t *pool = make_pool_with(2, pool_with_max_blocking(3));
    flow_t *flow = flow_start(pool, FLOW_SUBMIT, scaled(100000), 0);
    flow_join(flow);
    assert_ok(pool_destroy(pool));
    flow_check(flow, 2, 2);
}

/* Each submitter runs at most one beside the workers. */
static void test_caller_run_tasks_run_once(void **state)
{
    (void)state;
    pool_t *pool = make_pool_with(2, pool_with_queue(10), pool_with_policy(POOL_CALLER_RUNS));
    flow_t *flow = flow_start(pool, FLOW_SUBMIT, scaled(100000), 0);
    flow_join(flow);
    assert_ok(pool_destroy(pool));
    assert_int_equal(flow->accepted, flow->n);
    flow_check(flow, 2 + FLOW_SUBMITTERS, 12 + FLOW_SUBMITTERS);
}

static void discard(flow_call_t call)
{
    pool_t *pool = make_pool_with(2, pool_with_queue(10), pool_with_policy(POOL_DISCARD_OLDEST),
                                  pool_with_discard_handler(flow_take_back, NULL));
    flow_t *flow = flow_start(pool, call, scaled(100000), 0);
    flow_join(flow);
    assert_ok(pool_destroy(pool));
    flow_check(flow, 2, -1);
}

static void test_discarded_tasks_come_back_once_and_do_not_run(void **state)
{
    (void)state;
    discard(FLOW_SUBMIT);
    discard(FLOW_COPY);
    discard(FLOW_MANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_submit_at_cap_1),
        checked(test_submit_at_cap_2),
        checked(test_submit_at_cap_7),
        checked(test_submit_at_cap_64),
        checked(test_submit_at_cap_1000),
        checked(test_submit_at_no_cap),
        checked(test_timeout_at_cap_2),
        checked(test_try_at_cap_7),
        checked(test_copy_at_cap_1),
        checked(test_copy_at_cap_7),
        checked(test_copy_at_no_cap),
        checked(test_invoke_at_cap_2),
        checked(test_invoke_at_cap_64),
        checked(test_many_at_cap_1),
        checked(test_many_at_cap_7),
        checked(test_many_at_cap_1000),
        checked(test_many_at_no_cap),
        checked(test_preallocated),
        checked(test_without_spinning),
        checked(test_refused_tasks_never_run),
        checked(test_max_blocking_refusals_never_run),
        checked(test_caller_run_tasks_run_once),
        checked(test_discarded_tasks_come_back_once_and_do_not_run),
    };
    return cmocka_run_group_tests_name("exactly_once", tests, NULL, NULL);
}
