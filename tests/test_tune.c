/* Changing the cap of a live pool. */
#include "faults.h"

enum { MOST = 8 };

static void submit_and_expect_running(pool_t *pool, gate_t *gate, int running)
{
    assert_ok(pool_submit(pool, gate_task, gate));
    assert_true(gate_await(gate, running));
    assert_int_equal(pool_running(pool), running);
}

static void test_tune_up_by_one_makes_room_for_one_more(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(1, pool_with_nonblocking(true));
    submit_and_expect_running(pool, &gate, 1);
    assert_int_equal(pool_submit(pool, gate_task, &gate), POOL_ERR_OVERLOAD);

    assert_ok(pool_tune(pool, 2));
    assert_int_equal(pool_cap(pool), 2);
    assert_int_equal(pool_free_slots(pool), 1);
    submit_and_expect_running(pool, &gate, 2);
    assert_int_equal(pool_submit(pool, gate_task, &gate), POOL_ERR_OVERLOAD);
    open_and_destroy(pool, &gate);
}

/* None of the running tasks ends meanwhile: it is the tune that lets the others in. */
static void blocked_enter_at_once(pool_t *pool)
{
    gate_t gate = GATE_CLOSED;
    submitter_t blocked[MOST];
    occupy(pool, &gate, 2);
    for (int i = 2; i < MOST; i++)
        submitter_start(&blocked[i], pool, gate_task, &gate);
    assert_true(eventually_equals(pool_waiting, pool, MOST - 2));

    assert_ok(pool_tune(pool, 3));
    assert_true(gate_await(&gate, 3));
    assert_true(eventually_equals(pool_waiting, pool, MOST - 3));
    assert_int_equal(pool_running(pool), 3);

    assert_ok(pool_tune(pool, MOST));
    for (int i = 2; i < MOST; i++)
        assert_ok(submitter_join(&blocked[i]));
    assert_true(gate_await(&gate, MOST));
    assert_int_equal(pool_running(pool), MOST);
    assert_int_equal(pool_waiting(pool), 0);
    open_and_destroy(pool, &gate);
}

static void test_tune_up_lets_blocked_submitters_in_at_once(void **state)
{
    (void)state;
    blocked_enter_at_once(make_pool(2));
}

static void test_tune_up_beyond_what_was_preallocated(void **state)
{
    (void)state;
    blocked_enter_at_once(make_pool_with(2, pool_with_prealloc(true)));
}

static void test_tune_up_lets_invokes_in(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(2, pool_with_func(gate_task), pool_with_nonblocking(true));
    for (int running = 0; running < MOST; running++) {
        if (running >= 2) {
            assert_int_equal(pool_invoke(pool, &gate), POOL_ERR_OVERLOAD);
            assert_ok(pool_tune(pool, running + 1));
        }
        assert_ok(pool_invoke(pool, &gate));
        assert_true(gate_await(&gate, running + 1));
    }
    open_and_destroy(pool, &gate);
    assert_int_equal(gate.passed, MOST);
}

static void test_tune_up_starts_queued_tasks_at_once(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(1, pool_with_queue(10));
    occupy(pool, &gate, 1);
    for (int i = 0; i < 5; i++)
        assert_ok(pool_submit(pool, gate_task, &gate));
    assert_int_equal(pool_queued(pool), 5);

    assert_ok(pool_tune(pool, 6));
    assert_true(gate_await(&gate, 6));
    assert_int_equal(pool_queued(pool), 0);
    open_and_destroy(pool, &gate);
}

static void test_tune_from_one_to_many(void **state)
{
    (void)state;
    enum { MANY = 300 };
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool(1);
    assert_ok(pool_tune(pool, MANY));
    occupy(pool, &gate, MANY);
    assert_int_equal(pool_running(pool), MANY);
    assert_int_equal(pool_free_slots(pool), 0);
    open_and_destroy(pool, &gate);
}

static void test_tune_changes_the_limit_and_keeps_the_queue(void **state)
{
    (void)state;
    pool_t *pool = make_pool_with(2, pool_with_queue(10));
    assert_ok(pool_tune(pool, 5));
    assert_int_equal(pool_free_slots(pool), 15);
    assert_ok(pool_tune(pool, 1));
    assert_int_equal(pool_free_slots(pool), 11);
    assert_ok(pool_tune(pool, 1));
    assert_int_equal(pool_free_slots(pool), 11);
    assert_ok(pool_destroy(pool));
}

static void test_tune_down_sends_idle_surplus_workers_away_at_once(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(MOST, pool_with_disable_purge(true));
    occupy(pool, &gate, MOST);
    gate_open(&gate);
    assert_true(eventually_equals(pool_idle, pool, MOST));

    assert_ok(pool_tune(pool, 3));
    assert_true(eventually_equals(pool_workers, pool, 3));
    assert_int_equal(pool_idle(pool), 3);
    open_and_destroy(pool, &gate);
}

static void test_tune_down_sends_busy_surplus_workers_away_after_their_task(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(MOST, pool_with_disable_purge(true));
    occupy(pool, &gate, MOST);

    assert_ok(pool_tune(pool, 2));
    assert_int_equal(pool_cap(pool), 2);
    assert_int_equal(pool_running(pool), MOST);
    assert_int_equal(pool_workers(pool), MOST);
    assert_int_equal(pool_free_slots(pool), 0);

    gate_open(&gate);
    assert_true(eventually_equals(pool_workers, pool, 2));
    assert_ok(pool_wait(pool));
    assert_int_equal(pool_free_slots(pool), 2);
    open_and_destroy(pool, &gate);
    assert_int_equal(gate.passed, MOST);
}

/* Three run, the cap is lowered to one: a submitter enters when all three have ended. */
static void test_tune_down_admits_nobody_while_too_many_run(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    submitter_t blocked;
    pool_t *pool = make_pool(3);
    occupy(pool, &gate, 3);
    assert_ok(pool_tune(pool, 1));
    submitter_start(&blocked, pool, count_task, &runs);
    assert_true(eventually_equals(pool_waiting, pool, 1));

    for (int running = 2; running >= 1; running--) {
        gate_let(&gate, 1);
        assert_true(eventually_equals(pool_running, pool, running));
        assert_int_equal(pool_submit_timeout(pool, empty_task, NULL, 20), POOL_ERR_TIMEOUT);
        assert_false(blocked.returned);
        assert_int_equal(pool_running(pool), running);
    }
    gate_let(&gate, 1);
    assert_ok(submitter_join(&blocked));
    open_and_destroy(pool, &gate);
    assert_int_equal(runs, 1);
}

static void test_tune_down_loses_no_accepted_task(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    pool_t *pool = make_pool_with(MOST, pool_with_queue(100));
    occupy(pool, &gate, MOST);
    for (int i = 0; i < 100; i++)
        assert_ok(pool_submit(pool, count_task, &runs));
    assert_ok(pool_tune(pool, 1));
    open_and_destroy(pool, &gate);
    assert_int_equal(runs, 100);
}

static struct {
    atomic_int now, most;
} at_once;

static void measure_overlap(void *gate)
{
    raise_to(&at_once.most, atomic_fetch_add(&at_once.now, 1) + 1);
    if (gate != NULL)
        gate_pass(gate);
    atomic_fetch_sub(&at_once.now, 1);
}

static void test_lowered_cap_is_kept(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(MOST, pool_with_queue(1000), pool_with_disable_purge(true));
    occupy(pool, &gate, MOST);
    gate_open(&gate);
    assert_ok(pool_wait(pool));
    assert_ok(pool_tune(pool, 2));

    at_once.now = at_once.most = 0;
    gate_t second = GATE_CLOSED;
    for (int i = 0; i < 20; i++)
        assert_ok(pool_submit(pool, measure_overlap, &second));
    assert_true(gate_await(&second, 2));
    assert_int_equal(pool_running(pool), 2);
    assert_int_equal(pool_queued(pool), 18);
    gate_open(&second);
    assert_ok(pool_wait(pool));
    assert_int_equal(at_once.most, 2);
    open_and_destroy(pool, &gate);
    gate_fini(&second);
}

static void test_tune_down_and_up_again(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool(4);
    for (int round = 1; round <= 10; round++) {
        occupy(pool, &gate, 4);
        gate_let(&gate, 4);
        assert_ok(pool_wait(pool));
        assert_ok(pool_tune(pool, 1));
        assert_ok(pool_tune(pool, 4));
    }
    open_and_destroy(pool, &gate);
}

static void test_tune_of_a_closed_pool_is_kept_for_its_reboot(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool(1);
    assert_ok(pool_release_timeout(pool, POOL_FOREVER));
    assert_ok(pool_tune(pool, 3));
    assert_int_equal(pool_cap(pool), 3);
    assert_ok(pool_reboot(pool));
    occupy(pool, &gate, 3);
    assert_int_equal(pool_try_submit(pool, empty_task, NULL), POOL_ERR_OVERLOAD);
    open_and_destroy(pool, &gate);
}

struct tuner {
    pool_t *pool;
    int cap;
    pool_err answer;
    gate_t *gate;
};

static void tune_inside(void *arg)
{
    struct tuner *tuner = arg;
    tuner->answer = pool_tune(tuner->pool, tuner->cap);
    gate_pass(tuner->gate);
}

static void test_task_tunes_its_own_pool(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    struct tuner up = {make_pool(1), 2, POOL_ERR_INVALID, &gate};
    assert_ok(pool_submit(up.pool, tune_inside, &up));
    struct tuner down = {up.pool, 1, POOL_ERR_INVALID, &gate};
    assert_ok(pool_submit(up.pool, tune_inside, &down));
    assert_true(gate_await(&gate, 2));
    assert_int_equal(pool_cap(up.pool), 1);
    open_and_destroy(up.pool, &gate);
    assert_int_equal(up.answer, POOL_OK);
    assert_int_equal(down.answer, POOL_OK);
}

/* ---- Tuned down under POOL_DISCARD_OLDEST ---- */

static void count_discarded(void *counter, pool_task_fn task, void *arg)
{
    (void)task;
    (void)arg;
    count_task(counter);
}

/* The cap went down: two tasks more than the limit are accepted. */
static void test_discard_after_a_tune_down_goes_on_until_there_is_room(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs[4] = {0};
    atomic_int discarded = 0;
    pool_t *pool = make_pool_with(3, pool_with_queue(3), pool_with_policy(POOL_DISCARD_OLDEST),
                                  pool_with_discard_handler(count_discarded, &discarded));
    occupy(pool, &gate, 3);
    for (int i = 0; i < 3; i++)
        assert_ok(pool_submit(pool, count_task, &runs[i]));
    assert_ok(pool_tune(pool, 1));
    assert_ok(pool_submit(pool, count_task, &runs[3]));
    assert_int_equal(discarded, 3);
    assert_int_equal(pool_queued(pool), 1);
    open_and_destroy(pool, &gate);
    assert_int_equal(runs[3], 1);
}

static void test_discard_throws_nothing_out_where_that_makes_no_room(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    atomic_int discarded = 0;
    pool_t *pool = make_pool_with(3, pool_with_queue(1), pool_with_policy(POOL_DISCARD_OLDEST),
                                  pool_with_discard_handler(count_discarded, &discarded));
    occupy(pool, &gate, 3);
    assert_ok(pool_submit(pool, count_task, &runs));
    assert_ok(pool_tune(pool, 1));
    assert_int_equal(pool_submit(pool, count_task, &runs), POOL_ERR_OVERLOAD);
    assert_int_equal(discarded, 0);
    assert_int_equal(pool_queued(pool), 1);
    open_and_destroy(pool, &gate);
    assert_int_equal(runs, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_tune_up_by_one_makes_room_for_one_more),
        checked(test_tune_up_lets_blocked_submitters_in_at_once),
        checked(test_tune_up_beyond_what_was_preallocated),
        checked(test_tune_up_lets_invokes_in),
        checked(test_tune_up_starts_queued_tasks_at_once),
        checked(test_tune_from_one_to_many),
        checked(test_tune_changes_the_limit_and_keeps_the_queue),
        checked(test_tune_down_sends_idle_surplus_workers_away_at_once),
        checked(test_tune_down_sends_busy_surplus_workers_away_after_their_task),
        checked(test_tune_down_admits_nobody_while_too_many_run),
        checked(test_tune_down_loses_no_accepted_task),
        checked(test_lowered_cap_is_kept),
        checked(test_tune_down_and_up_again),
        checked(test_tune_of_a_closed_pool_is_kept_for_its_reboot),
        checked(test_task_tunes_its_own_pool),
        checked(test_discard_after_a_tune_down_goes_on_until_there_is_room),
        checked(test_discard_throws_nothing_out_where_that_makes_no_room),
    };
    return cmocka_run_group_tests_name("tune", tests, NULL, NULL);
}
