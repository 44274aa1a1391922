/* Submitting a task: that it runs, waits for its turn at the cap, and reuses idle workers. */
#include "faults.h"

static void test_submit_runs_the_task_with_its_argument(void **state)
{
    (void)state;
    atomic_int runs = 0;
    pool_t *pool = make_pool(1);
    assert_ok(pool_submit(pool, count_task, &runs));
    assert_ok(pool_wait(pool));
    assert_int_equal(runs, 1);
    assert_ok(pool_destroy(pool));
}

static void add_one(void *number)
{
    ++*(int *)number;
}

/* The number is no atomic: the two orders the header promises have to hold. */
static void test_what_was_written_is_seen_by_task_and_waiter(void **state)
{
    (void)state;
    int number = 0;
    pool_t *pool = make_pool(4);
    for (int i = 1; i <= 100; i++) {
        number++;
        assert_ok(pool_submit(pool, add_one, &number));
        assert_ok(pool_wait(pool));
        assert_int_equal(number, 2 * i);
    }
    assert_ok(pool_destroy(pool));
}

static void test_submit_blocks_when_full(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    submitter_t blocked;
    pool_t *pool = make_pool(2);
    occupy(pool, &gate, 2);

    submitter_start(&blocked, pool, count_task, &runs);
    assert_true(eventually_equals(pool_waiting, pool, 1));
    assert_false(blocked.returned);
    assert_int_equal(pool_running(pool), 2);
    assert_int_equal(pool_queued(pool), 0);

    gate_let(&gate, 1);
    assert_ok(submitter_join(&blocked));
    assert_int_equal(pool_waiting(pool), 0);
    open_and_destroy(pool, &gate);
    assert_int_equal(runs, 1);
}

static void test_queue_takes_tasks_beyond_the_cap_before_it_blocks(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    submitter_t blocked;
    pool_t *pool = make_pool_with(1, pool_with_queue(3));
    occupy(pool, &gate, 1);
    for (int i = 0; i < 3; i++)
        assert_ok(pool_submit(pool, count_task, &runs));
    assert_int_equal(pool_queued(pool), 3);

    submitter_start(&blocked, pool, count_task, &runs);
    assert_true(eventually_equals(pool_waiting, pool, 1));
    assert_false(blocked.returned);

    gate_open(&gate);
    assert_ok(submitter_join(&blocked));
    open_and_destroy(pool, &gate);
    assert_int_equal(runs, 4);
}

enum { IN_ORDER = 6 };

static struct {
    atomic_int next;
    int order[IN_ORDER];
} served;

static void take_a_number(void *arg)
{
    int place = atomic_fetch_add(&served.next, 1);
    served.order[place] = (int)(intptr_t)arg;
}

static void test_blocked_submitters_enter_in_the_order_they_came(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    submitter_t blocked[IN_ORDER];
    served.next = 0;
    pool_t *pool = make_pool(1);
    occupy(pool, &gate, 1);
    for (int i = 0; i < IN_ORDER; i++) {
        submitter_start(&blocked[i], pool, take_a_number, (void *)(intptr_t)i);
        assert_true(eventually_equals(pool_waiting, pool, i + 1));
    }

    gate_open(&gate);
    for (int i = 0; i < IN_ORDER; i++)
        assert_ok(submitter_join(&blocked[i]));
    open_and_destroy(pool, &gate);
    assert_int_equal(served.next, IN_ORDER);
    for (int i = 0; i < IN_ORDER; i++)
        assert_int_equal(served.order[i], i);
}

static void test_queued_tasks_start_in_order_of_acceptance(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    served.next = 0;
    pool_t *pool = make_pool_with(1, pool_with_queue(IN_ORDER));
    occupy(pool, &gate, 1);
    for (int i = 0; i < IN_ORDER; i++)
        assert_ok(pool_submit(pool, take_a_number, (void *)(intptr_t)i));
    open_and_destroy(pool, &gate);
    for (int i = 0; i < IN_ORDER; i++)
        assert_int_equal(served.order[i], i);
}

/* Far more than any ring of a power of two that comes to mind. */
static void test_long_queue_holds_what_it_was_made_for(void **state)
{
    (void)state;
    enum { LONG = 150000 };
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    pool_t *pool = make_pool_with(1, pool_with_queue(LONG), pool_with_nonblocking(true));
    occupy(pool, &gate, 1);
    for (int i = 0; i < LONG; i++)
        assert_ok(pool_submit(pool, count_task, &runs));
    assert_int_equal(pool_queued(pool), LONG);
    assert_int_equal(pool_submit(pool, count_task, &runs), POOL_ERR_OVERLOAD);
    open_and_destroy(pool, &gate);
    assert_int_equal(runs, LONG);
}

/* One slot that a long task holds does not keep blocked submitters from the others. */
static void test_blocked_submitter_enters_beside_a_long_task(void **state)
{
    (void)state;
    gate_t longer = GATE_CLOSED, shorter = GATE_CLOSED;
    atomic_int runs = 0;
    submitter_t blocked[3];
    pool_t *pool = make_pool(2);
    occupy(pool, &longer, 1);
    occupy(pool, &shorter, 1);
    for (int i = 0; i < 3; i++)
        submitter_start(&blocked[i], pool, count_task, &runs);
    assert_true(eventually_equals(pool_waiting, pool, 3));

    gate_open(&shorter);
    for (int i = 0; i < 3; i++)
        assert_ok(submitter_join(&blocked[i]));
    assert_true(reaches(&runs, 3));
    open_and_destroy(pool, &longer);
    gate_fini(&shorter);
}

/* ---- Waiting for a worker: far more tasks than slots, all through one submitter ---- */

static void run_many(pool_t *pool, bool bound, atomic_int *runs)
{
    int n = scaled(100000);
    for (int i = 0; i < n; i++)
        assert_ok(bound ? pool_invoke(pool, runs) : pool_submit(pool, count_task, runs));
    assert_ok(pool_wait(pool));
    assert_int_equal(*runs, n);
    assert_true(pool_workers(pool) <= pool_cap(pool));
    assert_ok(pool_destroy(pool));
}

static void test_submit_waits_for_a_worker(void **state)
{
    (void)state;
    atomic_int runs = 0;
    run_many(make_pool(1000), false, &runs);
}

static void test_submit_waits_for_a_worker_of_a_preallocated_pool(void **state)
{
    (void)state;
    atomic_int runs = 0;
    run_many(make_pool_with(1000, pool_with_prealloc(true)), false, &runs);
}

static void test_invoke_waits_for_a_worker(void **state)
{
    (void)state;
    atomic_int runs = 0;
    run_many(make_pool_with(1000, pool_with_func(count_task)), true, &runs);
}

static void test_invoke_waits_for_a_worker_of_a_preallocated_pool(void **state)
{
    (void)state;
    atomic_int runs = 0;
    run_many(make_pool_with(1000, pool_with_func(count_task), pool_with_prealloc(true)), true, &runs);
}

/* ---- Reuse: an idle worker takes the next task, no thread is made for it ---- */

static void run_one_by_one(pool_t *pool, atomic_int *runs, atomic_int *threads)
{
    for (int i = 1; i <= 20; i++) {
        assert_ok(pool_invoke(pool, runs));
        assert_ok(pool_wait(pool));
        assert_true(eventually_equals(pool_idle, pool, 1));
        assert_int_equal(*runs, i);
    }
    assert_int_equal(*threads, 1);
    assert_int_equal(pool_workers(pool), 1);
    assert_ok(pool_destroy(pool));
}

static void test_idle_worker_is_reused(void **state)
{
    (void)state;
    atomic_int runs = 0, threads = 0;
    run_one_by_one(make_pool_with(10, pool_with_func(count_task), pool_with_expiry_ms(POOL_FOREVER),
                                  pool_with_thread_hooks(count_task, NULL, &threads)),
                   &runs, &threads);
}

static void test_idle_worker_is_reused_in_a_preallocated_pool(void **state)
{
    (void)state;
    atomic_int runs = 0, threads = 0;
    run_one_by_one(make_pool_with(10, pool_with_func(count_task), pool_with_expiry_ms(POOL_FOREVER),
                                  pool_with_prealloc(true),
                                  pool_with_thread_hooks(count_task, NULL, &threads)),
                   &runs, &threads);
}

/* Not one wake-up is forgotten: each task finds the only worker asleep. */
static void test_sleeping_worker_wakes_for_every_task(void **state)
{
    (void)state;
    atomic_int runs = 0;
    int n = scaled(3000);
    pool_t *pool = make_pool_with(1, pool_with_spin_us(-1), pool_with_expiry_ms(POOL_FOREVER));
    for (int i = 0; i < n; i++) {
        assert_ok(pool_submit(pool, count_task, &runs));
        assert_ok(pool_wait_timeout(pool, PATIENCE_MS));
        assert_true(eventually_equals(pool_idle, pool, 1));
    }
    assert_ok(pool_destroy(pool));
    assert_int_equal(runs, n);
}

/* ---- The bound function ---- */

static void test_invoke_runs_the_bound_function(void **state)
{
    (void)state;
    atomic_int runs = 0;
    pool_t *pool = make_pool_with(2, pool_with_func(count_task));
    assert_ok(pool_invoke(pool, &runs));
    assert_ok(pool_wait(pool));
    assert_int_equal(runs, 1);
    assert_ok(pool_destroy(pool));
}

static void test_pool_with_a_bound_function_takes_other_tasks_too(void **state)
{
    (void)state;
    atomic_int runs = 0;
    pool_t *pool = make_pool_with(2, pool_with_func(empty_task));
    assert_ok(pool_submit(pool, count_task, &runs));
    assert_ok(pool_wait(pool));
    assert_int_equal(runs, 1);
    assert_ok(pool_destroy(pool));
}

static void test_invoke_blocks_when_full(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(2, pool_with_func(gate_task), pool_with_nonblocking(true));
    assert_ok(pool_invoke(pool, &gate));
    assert_ok(pool_invoke(pool, &gate));
    assert_true(gate_await(&gate, 2));
    assert_int_equal(pool_invoke(pool, &gate), POOL_ERR_OVERLOAD);
    gate_open(&gate);
    assert_ok(pool_wait(pool));
    assert_ok(pool_invoke(pool, &gate));
    open_and_destroy(pool, &gate);
}

/* ---- Unlimited ---- */

static void test_unlimited_pool_runs_everything_at_once(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool(POOL_UNLIMITED);
    occupy(pool, &gate, 100);
    assert_int_equal(pool_running(pool), 100);
    assert_true(pool_workers(pool) >= 100);
    assert_int_equal(pool_free_slots(pool), POOL_UNLIMITED);
    open_and_destroy(pool, &gate);
}

struct nest {
    pool_t *pool;
    gate_t *gate;
    pool_err answer;
};

static void submit_inner_and_wait(void *arg)
{
    struct nest *nest = arg;
    nest->answer = pool_submit(nest->pool, gate_task, nest->gate);
    gate_pass(nest->gate);
}

static void test_task_of_an_unlimited_pool_submits_to_it(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    struct nest nest = {make_pool(POOL_UNLIMITED), &gate, POOL_ERR_INVALID};
    assert_ok(pool_submit(nest.pool, submit_inner_and_wait, &nest));
    assert_true(gate_await(&gate, 2));
    assert_int_equal(pool_running(nest.pool), 2);
    open_and_destroy(nest.pool, &gate);
    assert_int_equal(nest.answer, POOL_OK);
}

static void test_task_submits_to_its_own_pool_while_there_is_room(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    struct nest nest = {make_pool(2), &gate, POOL_ERR_INVALID};
    assert_ok(pool_submit(nest.pool, submit_inner_and_wait, &nest));
    assert_true(gate_await(&gate, 2));
    open_and_destroy(nest.pool, &gate);
    assert_int_equal(nest.answer, POOL_OK);
}

static void submit_inner(void *arg)
{
    struct nest *nest = arg;
    nest->answer = pool_submit(nest->pool, empty_task, NULL);
}

static void test_only_task_gets_deadlock_in_place_of_waiting_for_itself(void **state)
{
    (void)state;
    atomic_int runs = 0;
    struct nest nest = {make_pool(1), NULL, POOL_OK};
    assert_ok(pool_submit(nest.pool, submit_inner, &nest));
    assert_ok(pool_wait(nest.pool));
    assert_int_equal(nest.answer, POOL_ERR_DEADLOCK);
    assert_ok(pool_submit(nest.pool, count_task, &runs));
    assert_ok(pool_destroy(nest.pool));
    assert_int_equal(runs, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_submit_runs_the_task_with_its_argument),
        checked(test_what_was_written_is_seen_by_task_and_waiter),
        checked(test_submit_blocks_when_full),
        checked(test_queue_takes_tasks_beyond_the_cap_before_it_blocks),
        checked(test_blocked_submitters_enter_in_the_order_they_came),
        checked(test_queued_tasks_start_in_order_of_acceptance),
        checked(test_long_queue_holds_what_it_was_made_for),
        checked(test_blocked_submitter_enters_beside_a_long_task),
        checked(test_submit_waits_for_a_worker),
        checked(test_submit_waits_for_a_worker_of_a_preallocated_pool),
        checked(test_invoke_waits_for_a_worker),
        checked(test_invoke_waits_for_a_worker_of_a_preallocated_pool),
        checked(test_idle_worker_is_reused),
        checked(test_idle_worker_is_reused_in_a_preallocated_pool),
        checked(test_sleeping_worker_wakes_for_every_task),
        checked(test_invoke_runs_the_bound_function),
        checked(test_pool_with_a_bound_function_takes_other_tasks_too),
        checked(test_invoke_blocks_when_full),
        checked(test_unlimited_pool_runs_everything_at_once),
        checked(test_task_of_an_unlimited_pool_submits_to_it),
        checked(test_task_submits_to_its_own_pool_while_there_is_room),
        checked(test_only_task_gets_deadlock_in_place_of_waiting_for_itself),
    };
    return cmocka_run_group_tests_name("submit", tests, NULL, NULL);
}
