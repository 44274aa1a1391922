/* Faults: a task is blocked in a submit, to its own pool or to another, beside others that
 * wait and while the cap changes. (The plain circles: test_breakages_blocking.c.) */
#include "faults.h"

typedef struct nested {
    pool_t *pool;
    gate_t gate;
    pool_err answer;
    pool_t *current; /* where it was asked for */
} nested_t;

static void submit_nested(void *arg)
{
    nested_t *n = arg;
    gate_pass(&n->gate);
    n->answer = pool_submit(n->pool, empty_task, NULL);
}

/* A full pool of cap 2: one task stands at a gate, the other is blocked in a submit. */
static void start_stuck(nested_t *n, gate_t *gate)
{
    gate_init(&n->gate);
    assert_ok(pool_new_with(&n->pool, 2, pool_with_spin_us(-1)));
    assert_ok(pool_submit(n->pool, gate_task, gate));
    assert_ok(pool_submit(n->pool, submit_nested, n));
    assert_true(gate_await(gate, 1) && gate_await(&n->gate, 1));
    gate_open(&n->gate);
    assert_true(eventually_equals(pool_waiting, n->pool, 1));
}

/* The newest that waits is an outsider: not it, but the task is the circle. */
static void test_deadlock_spares_the_outsider_that_came_later(void **state)
{
    (void)state;
    nested_t n;
    gate_t gate = GATE_CLOSED;
    submitter_t outsider;
    atomic_int ran = 0;
    start_stuck(&n, &gate);
    submitter_start(&outsider, n.pool, count_task, &ran);
    assert_true(eventually_equals(pool_waiting, n.pool, 2));
    assert_ok(pool_tune(n.pool, 1));
    gate_open(&gate); /* its worker is the one too many, and leaves only the stuck one */
    assert_ok(submitter_join(&outsider));
    assert_ok(pool_destroy(n.pool));
    assert_int_equal(n.answer, POOL_ERR_DEADLOCK);
    assert_int_equal(ran, 1);
    gate_fini(&n.gate);
    gate_fini(&gate);
}

static void test_tune_up_lets_a_stuck_task_go_on(void **state)
{
    (void)state;
    nested_t n;
    gate_t gate = GATE_CLOSED;
    start_stuck(&n, &gate);
    assert_ok(pool_tune(n.pool, 3));
    assert_true(eventually_equals(pool_waiting, n.pool, 0));
    gate_open(&gate);
    assert_ok(pool_destroy(n.pool));
    assert_ok(n.answer);
    gate_fini(&n.gate);
    gate_fini(&gate);
}

/* It waits for another pool, which will go on by itself. */
static void test_task_blocked_in_a_submit_to_another_pool_waits(void **state)
{
    (void)state;
    nested_t n = {.answer = POOL_ERR_INVALID};
    pool_t *other;
    gate_t gate = GATE_CLOSED;
    gate_init(&n.gate);
    gate_open(&n.gate);
    assert_ok(pool_new(&other, 1));
    assert_ok(pool_new(&n.pool, 1));
    assert_ok(pool_submit(n.pool, gate_task, &gate));
    assert_ok(pool_submit(other, submit_nested, &n));
    assert_true(eventually_equals(pool_waiting, n.pool, 1));
    gate_open(&gate);
    assert_ok(pool_destroy(other));
    assert_ok(n.answer);
    assert_ok(pool_destroy(n.pool));
    gate_fini(&n.gate);
    gate_fini(&gate);
}

static void panic_task(void *unused)
{
    pool_panic(unused);
}

static void submit_in_logger(void *arg, const char *message)
{
    (void)message;
    nested_t *n = arg;
    n->current = pool_current();
    n->answer = pool_submit(n->pool, empty_task, NULL);
}

/* The callback stands on the task, which is what runs there. */
static void test_logger_of_a_task_that_submits_at_the_limit_is_deadlock(void **state)
{
    (void)state;
    nested_t n = {.answer = POOL_OK};
    assert_ok(pool_new_with(&n.pool, 1, pool_with_logger(submit_in_logger, &n)));
    assert_ok(pool_submit(n.pool, panic_task, NULL));
    assert_ok(pool_wait(n.pool));
    assert_int_equal(n.answer, POOL_ERR_DEADLOCK);
    assert_ptr_equal(n.current, n.pool);
    assert_ok(pool_destroy(n.pool));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_deadlock_spares_the_outsider_that_came_later),
        checked(test_tune_up_lets_a_stuck_task_go_on),
        checked(test_task_blocked_in_a_submit_to_another_pool_waits),
        checked(test_logger_of_a_task_that_submits_at_the_limit_is_deadlock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
