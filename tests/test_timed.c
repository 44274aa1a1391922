/* The submits that do not wait, or not for ever: pool_try_submit, pool_submit_timeout. */
#include "support.h"

/* ---- pool_try_submit ---- */

static void test_try_submit_is_accepted_while_there_is_room(void **state)
{
    (void)state;
    atomic_int runs = 0;
    pool_t *pool = make_pool_with(2, pool_with_queue(1));
    assert_ok(pool_try_submit(pool, count_task, &runs));
    assert_ok(pool_wait(pool));
    assert_int_equal(runs, 1);
    assert_ok(pool_destroy(pool));
}

static void test_try_submit_refuses_when_full_and_accepts_after_a_task_ends(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    pool_t *pool = make_pool_with(2, pool_with_queue(1));
    occupy(pool, &gate, 2);
    assert_ok(pool_try_submit(pool, count_task, &runs));
    sight_t before = see(pool);

    assert_int_equal(pool_try_submit(pool, count_task, &runs), POOL_ERR_OVERLOAD);
    assert_unchanged(pool, before);

    gate_let(&gate, 1);
    assert_true(eventually_equals(pool_free_slots, pool, 2));
    assert_ok(pool_try_submit(pool, count_task, &runs));
    open_and_destroy(pool, &gate);
    assert_int_equal(runs, 2);
}

static void test_try_submit_refuses_while_anyone_waits(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    submitter_t blocked;
    pool_t *pool = make_pool(1);
    occupy(pool, &gate, 1);
    submitter_start(&blocked, pool, empty_task, NULL);
    assert_true(eventually_equals(pool_waiting, pool, 1));
    assert_int_equal(pool_try_submit(pool, empty_task, NULL), POOL_ERR_OVERLOAD);
    gate_open(&gate);
    assert_ok(submitter_join(&blocked));
    open_and_destroy(pool, &gate);
}

static void refuse_under(pool_policy policy)
{
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0, discarded = 0;
    pool_t *pool = make_pool_with(1, pool_with_queue(1), pool_with_policy(policy));
    occupy(pool, &gate, 1);
    assert_ok(pool_try_submit(pool, count_task, &runs));
    sight_t before = see(pool);
    assert_int_equal(pool_try_submit(pool, count_task, &discarded), POOL_ERR_OVERLOAD);
    assert_unchanged(pool, before);
    assert_int_equal(runs, 0);
    open_and_destroy(pool, &gate);
    assert_int_equal(runs, 1);
    assert_int_equal(discarded, 0);
}

static void test_try_submit_never_runs_the_task_in_the_caller(void **state)
{
    (void)state;
    refuse_under(POOL_CALLER_RUNS);
}

static void test_try_submit_never_discards(void **state)
{
    (void)state;
    refuse_under(POOL_DISCARD_OLDEST);
}

static void test_try_submit_on_a_closed_pool(void **state)
{
    (void)state;
    pool_t *pool = make_pool(1);
    assert_ok(pool_release(pool));
    assert_int_equal(pool_try_submit(pool, empty_task, NULL), POOL_ERR_CLOSED);
    assert_ok(pool_destroy(pool));
}

/* ---- pool_submit_timeout ---- */

static void test_submit_timeout_is_accepted_at_once_while_there_is_room(void **state)
{
    (void)state;
    atomic_int runs = 0;
    pool_t *pool = make_pool(1);
    assert_ok(pool_submit_timeout(pool, count_task, &runs, 0));
    assert_ok(pool_wait(pool));
    assert_int_equal(runs, 1);
    assert_ok(pool_destroy(pool));
}

static void test_submit_timeout_gives_up_but_not_early(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    pool_t *pool = make_pool(1);
    occupy(pool, &gate, 1);
    sight_t before = see(pool);

    int64_t start = now_ms();
    assert_int_equal(pool_submit_timeout(pool, count_task, &runs, 40), POOL_ERR_TIMEOUT);
    assert_true(now_ms() - start >= 40);
    assert_unchanged(pool, before);

    open_and_destroy(pool, &gate);
    assert_int_equal(runs, 0);
}

static void test_submit_timeout_of_zero_does_not_wait(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    pool_t *pool = make_pool(1);
    occupy(pool, &gate, 1);
    assert_int_equal(pool_submit_timeout(pool, count_task, &runs, 0), POOL_ERR_TIMEOUT);
    open_and_destroy(pool, &gate);
    assert_int_equal(runs, 0);
}

static void enters_in_time(int64_t ms)
{
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    submitter_t blocked;
    pool_t *pool = make_pool(1);
    occupy(pool, &gate, 1);
    submitter_start_timeout(&blocked, pool, count_task, &runs, ms);
    assert_true(eventually_equals(pool_waiting, pool, 1));
    assert_false(blocked.returned);
    gate_open(&gate);
    assert_ok(submitter_join(&blocked));
    open_and_destroy(pool, &gate);
    assert_int_equal(runs, 1);
}

static void test_submit_timeout_enters_when_a_slot_frees_in_time(void **state)
{
    (void)state;
    enters_in_time(2 * PATIENCE_MS);
}

/* True if the submit had to wait and then got the slot of a task that ended meanwhile. */
static bool waits_and_enters(pool_t *pool, gate_t *gate)
{
    submitter_t blocked;
    bool waited = false;
    while (pool_try_submit(pool, gate_task, gate) == POOL_OK) {}
    submitter_start_timeout(&blocked, pool, gate_task, gate, 1);
    while (!waited && !blocked.returned)
        waited = pool_waiting(pool) == 1;
    gate_let(gate, 1);
    return submitter_join(&blocked) == POOL_OK && waited;
}

/* With much in the queue nobody hurries to let waiters in; the end of their time is soon
 * enough, but not too late. A millisecond may pass before the slot comes free, hence often. */
static void test_submit_timeout_enters_at_its_end_though_the_queue_is_not_low(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    bool entered = false;
    pool_t *pool = make_pool_with(1, pool_with_queue(9));
    occupy(pool, &gate, 1);
    gate_let(&gate, 1); /* one has ended: from now on the pool has a pace, and it is slow */
    assert_true(eventually_equals(pool_running, pool, 0));
    for (int i = 0; i < 200 && !entered; i++)
        entered = waits_and_enters(pool, &gate);
    assert_true(entered);
    open_and_destroy(pool, &gate);
}

static void test_submit_timeout_of_forever_waits(void **state)
{
    (void)state;
    enters_in_time(POOL_FOREVER);
}

static void test_submit_timeout_close_to_forever_does_not_overflow(void **state)
{
    (void)state;
    enters_in_time(POOL_FOREVER - 1);
    enters_in_time(INT64_MAX / 1000);
    enters_in_time(INT64_MAX / 1000000 + 1);
}

struct in_line {
    pool_t *pool;
    submitter_t *submitter;
};

static bool waits_or_gave_up(void *user)
{
    struct in_line *in_line = user;
    return pool_waiting(in_line->pool) == 2 || in_line->submitter->returned;
}

/* The one in the middle leaves the line; its neighbours keep their places. */
static void test_submitter_that_gives_up_leaves_the_line_to_the_others(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0, given_up = 0;
    submitter_t first, impatient, last;
    pool_t *pool = make_pool(1);
    occupy(pool, &gate, 1);
    submitter_start(&first, pool, count_task, &runs);
    assert_true(eventually_equals(pool_waiting, pool, 1));
    submitter_start_timeout(&impatient, pool, count_task, &given_up, 100);
    struct in_line in_line = {pool, &impatient};
    assert_true(eventually(waits_or_gave_up, &in_line, PATIENCE_MS));
    submitter_start(&last, pool, count_task, &runs);

    assert_int_equal(submitter_join(&impatient), POOL_ERR_TIMEOUT);
    assert_true(eventually_equals(pool_waiting, pool, 2));
    gate_open(&gate);
    assert_ok(submitter_join(&first));
    assert_ok(submitter_join(&last));
    open_and_destroy(pool, &gate);
    assert_int_equal(runs, 2);
    assert_int_equal(given_up, 0);
}

static void test_submit_timeout_gets_closed_when_the_pool_is_released(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    submitter_t blocked;
    pool_t *pool = make_pool(1);
    occupy(pool, &gate, 1);
    submitter_start_timeout(&blocked, pool, count_task, &runs, POOL_FOREVER);
    assert_true(eventually_equals(pool_waiting, pool, 1));
    assert_ok(pool_release(pool));
    assert_int_equal(submitter_join(&blocked), POOL_ERR_CLOSED);
    open_and_destroy(pool, &gate);
    assert_int_equal(runs, 0);
}

static void test_submit_timeout_under_refuse_is_submit(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(1, pool_with_policy(POOL_REFUSE));
    occupy(pool, &gate, 1);
    assert_int_equal(pool_submit_timeout(pool, empty_task, NULL, POOL_FOREVER), POOL_ERR_OVERLOAD);
    open_and_destroy(pool, &gate);
}

static void test_submit_timeout_under_caller_runs_is_submit(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    pool_t *pool = make_pool_with(1, pool_with_policy(POOL_CALLER_RUNS));
    occupy(pool, &gate, 1);
    assert_ok(pool_submit_timeout(pool, count_task, &runs, 0));
    assert_int_equal(runs, 1);
    open_and_destroy(pool, &gate);
}

static void test_submit_timeout_under_discard_oldest_is_submit(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int oldest = 0, newest = 0;
    pool_t *pool = make_pool_with(1, pool_with_queue(1), pool_with_policy(POOL_DISCARD_OLDEST));
    occupy(pool, &gate, 1);
    assert_ok(pool_submit(pool, count_task, &oldest));
    assert_ok(pool_submit_timeout(pool, count_task, &newest, 0));
    open_and_destroy(pool, &gate);
    assert_int_equal(oldest, 0);
    assert_int_equal(newest, 1);
}

struct timed_nest {
    pool_t *pool;
    pool_err answer;
};

static void submit_with_timeout(void *arg)
{
    struct timed_nest *nest = arg;
    nest->answer = pool_submit_timeout(nest->pool, empty_task, NULL, 10);
}

/* With a time there is no deadlock: the wait ends by itself. */
static void test_task_that_submits_with_a_timeout_gets_timeout(void **state)
{
    (void)state;
    struct timed_nest nest = {make_pool(1), POOL_OK};
    assert_ok(pool_submit(nest.pool, submit_with_timeout, &nest));
    assert_ok(pool_wait(nest.pool));
    assert_ok(pool_destroy(nest.pool));
    assert_int_equal(nest.answer, POOL_ERR_TIMEOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_try_submit_is_accepted_while_there_is_room),
        checked(test_try_submit_refuses_when_full_and_accepts_after_a_task_ends),
        checked(test_try_submit_refuses_while_anyone_waits),
        checked(test_try_submit_never_runs_the_task_in_the_caller),
        checked(test_try_submit_never_discards),
        checked(test_try_submit_on_a_closed_pool),
        checked(test_submit_timeout_is_accepted_at_once_while_there_is_room),
        checked(test_submit_timeout_gives_up_but_not_early),
        checked(test_submit_timeout_of_zero_does_not_wait),
        checked(test_submit_timeout_enters_when_a_slot_frees_in_time),
        checked(test_submit_timeout_enters_at_its_end_though_the_queue_is_not_low),
        checked(test_submit_timeout_of_forever_waits),
        checked(test_submit_timeout_close_to_forever_does_not_overflow),
        checked(test_submitter_that_gives_up_leaves_the_line_to_the_others),
        checked(test_submit_timeout_gets_closed_when_the_pool_is_released),
        checked(test_submit_timeout_under_refuse_is_submit),
        checked(test_submit_timeout_under_caller_runs_is_submit),
        checked(test_submit_timeout_under_discard_oldest_is_submit),
        checked(test_task_that_submits_with_a_timeout_gets_timeout),
    };
    return cmocka_run_group_tests_name("timed", tests, NULL, NULL);
}
