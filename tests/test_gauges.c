/* What can be seen of a pool at every stage of its life. */
#include "support.h"

static void test_gauges_of_a_new_pool(void **state)
{
    (void)state;
    pool_t *pool = make_pool_with(3, pool_with_queue(4));
    sight_t expected = {.cap = 3, .free_slots = 7};
    assert_unchanged(pool, expected);
    assert_ok(pool_destroy(pool));
}

static void test_gauges_of_a_busy_pool(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(4, pool_with_queue(2));
    for (int running = 1; running <= 4; running++) {
        occupy(pool, &gate, 1);
        assert_int_equal(pool_running(pool), running);
        assert_int_equal(pool_queued(pool), 0);
        assert_int_equal(pool_free_slots(pool), 6 - running);
        assert_int_equal(pool_workers(pool), running);
        assert_int_equal(pool_idle(pool), 0);
    }
    open_and_destroy(pool, &gate);
}

static void test_gauges_of_a_pool_with_a_queue_and_waiters(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    submitter_t blocked[3];
    pool_t *pool = make_pool_with(2, pool_with_queue(2));
    occupy(pool, &gate, 2);
    for (int queued = 1; queued <= 2; queued++) {
        assert_ok(pool_submit(pool, empty_task, NULL));
        assert_int_equal(pool_queued(pool), queued);
        assert_int_equal(pool_free_slots(pool), 2 - queued);
    }
    for (int waiting = 1; waiting <= 3; waiting++) {
        submitter_start(&blocked[waiting - 1], pool, empty_task, NULL);
        assert_true(eventually_equals(pool_waiting, pool, waiting));
    }
    sight_t expected = {.cap = 2, .running = 2, .queued = 2, .waiting = 3, .workers = 2};
    assert_unchanged(pool, expected);
    gate_open(&gate);
    for (int i = 0; i < 3; i++)
        assert_ok(submitter_join(&blocked[i]));
    open_and_destroy(pool, &gate);
}

static void test_gauges_of_a_pool_at_rest(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(4, pool_with_queue(1), pool_with_expiry_ms(POOL_FOREVER));
    occupy(pool, &gate, 3);
    gate_open(&gate);
    assert_true(eventually_equals(pool_idle, pool, 3));
    sight_t expected = {.cap = 4, .free_slots = 5, .workers = 3, .idle = 3};
    assert_unchanged(pool, expected);
    open_and_destroy(pool, &gate);
}

/* Unlike in ants, an idle worker is not running. */
static void test_idle_worker_is_not_running(void **state)
{
    (void)state;
    pool_t *pool = make_pool_with(1, pool_with_expiry_ms(POOL_FOREVER));
    assert_ok(pool_submit(pool, empty_task, NULL));
    assert_ok(pool_wait(pool));
    assert_int_equal(pool_running(pool), 0);
    assert_int_equal(pool_free_slots(pool), 1);
    assert_int_equal(pool_workers(pool), 1);
    assert_true(eventually_equals(pool_idle, pool, 1));
    assert_ok(pool_destroy(pool));
}

static void test_gauges_of_a_draining_pool(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(1, pool_with_queue(3));
    occupy(pool, &gate, 1);
    assert_ok(pool_submit(pool, empty_task, NULL));
    assert_ok(pool_release(pool));
    sight_t expected = {.cap = 1, .running = 1, .queued = 1, .workers = 1, .closed = 1};
    assert_unchanged(pool, expected);
    open_and_destroy(pool, &gate);
}

static void test_gauges_of_a_released_pool(void **state)
{
    (void)state;
    pool_t *pool = make_pool_with(2, pool_with_queue(3));
    assert_ok(pool_submit(pool, empty_task, NULL));
    assert_ok(pool_release_timeout(pool, POOL_FOREVER));
    sight_t expected = {.cap = 2, .closed = 1};
    assert_unchanged(pool, expected);
    assert_ok(pool_destroy(pool));
}

static void test_gauges_of_an_unlimited_pool(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool(POOL_UNLIMITED);
    sight_t fresh = {.cap = POOL_UNLIMITED, .free_slots = POOL_UNLIMITED};
    assert_unchanged(pool, fresh);
    occupy(pool, &gate, 5);
    sight_t busy = {.cap = POOL_UNLIMITED, .running = 5, .free_slots = POOL_UNLIMITED, .workers = 5};
    assert_unchanged(pool, busy);
    open_and_destroy(pool, &gate);
}

static void test_queue_of_an_unlimited_pool_means_nothing(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(POOL_UNLIMITED, pool_with_queue(1), pool_with_nonblocking(true));
    occupy(pool, &gate, 20);
    assert_int_equal(pool_free_slots(pool), POOL_UNLIMITED);
    open_and_destroy(pool, &gate);
}

/* The task whose end lets pool_wait return is not counted as running after it. */
static void test_running_is_zero_after_wait(void **state)
{
    (void)state;
    pool_t *pool = make_pool(4);
    for (int round = 0; round < scaled(2000); round++) {
        for (int i = 0; i < 3; i++)
            assert_ok(pool_submit(pool, empty_task, NULL));
        assert_ok(pool_wait(pool));
        assert_int_equal(pool_running(pool), 0);
        assert_int_equal(pool_queued(pool), 0);
        assert_int_equal(pool_free_slots(pool), 4);
    }
    assert_ok(pool_destroy(pool));
}

/* ---- Read while everything moves: never out of range ---- */

static struct {
    pool_t *pool;
    atomic_bool stop;
    atomic_int out_of_range;
} moving;

enum { CAP = 3, QUEUE = 5 };

static bool in_range(int gauge, int most)
{
    return gauge >= 0 && gauge <= most;
}

static void *watch(void *unused)
{
    while (!atomic_load(&moving.stop)) {
        bool good = in_range(pool_running(moving.pool), CAP) &&
                    in_range(pool_queued(moving.pool), CAP + QUEUE) &&
                    in_range(pool_free_slots(moving.pool), CAP + QUEUE) &&
                    in_range(pool_waiting(moving.pool), 2) && in_range(pool_workers(moving.pool), CAP) &&
                    in_range(pool_idle(moving.pool), CAP);
        if (!good)
            atomic_fetch_add(&moving.out_of_range, 1);
    }
    return unused;
}

static void *submit_all(void *runs)
{
    int n = scaled(50000);
    for (int i = 0; i < n; i++)
        (void)!pool_submit(moving.pool, count_task, runs);
    return NULL;
}

static void test_gauges_stay_in_range_while_tasks_flow(void **state)
{
    (void)state;
    atomic_int runs = 0;
    pthread_t watcher, submitters[2];
    moving.pool = make_pool_with(CAP, pool_with_queue(QUEUE), pool_with_expiry_ms(1));
    moving.stop = false;
    moving.out_of_range = 0;
    assert_int_equal(pthread_create(&watcher, NULL, watch, NULL), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&submitters[i], NULL, submit_all, &runs), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(submitters[i], NULL);
    moving.stop = true;
    pthread_join(watcher, NULL);
    assert_ok(pool_destroy(moving.pool));
    assert_int_equal(runs, 2 * scaled(50000));
    assert_int_equal(moving.out_of_range, 0);
}

/* ---- pool_current ---- */

struct currents {
    pool_t *inner_pool;
    pool_t *before, *inside, *after;
};

static void note_inner_current(void *arg)
{
    ((struct currents *)arg)->inside = pool_current();
}

static void note_currents(void *arg)
{
    struct currents *currents = arg;
    currents->before = pool_current();
    (void)!pool_submit(currents->inner_pool, note_inner_current, currents);
    currents->after = pool_current();
}

static void test_current_is_the_pool_of_the_innermost_task(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    struct currents currents = {.inner_pool = make_pool_with(1, pool_with_policy(POOL_CALLER_RUNS))};
    pool_t *pool = make_pool(1);
    occupy(currents.inner_pool, &gate, 1);
    assert_null(pool_current());
    assert_ok(pool_submit(pool, note_currents, &currents));
    assert_ok(pool_wait(pool));
    assert_ptr_equal(currents.before, pool);
    assert_ptr_equal(currents.inside, currents.inner_pool);
    assert_ptr_equal(currents.after, pool);
    assert_null(pool_current());
    assert_ok(pool_destroy(pool));
    open_and_destroy(currents.inner_pool, &gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_gauges_of_a_new_pool),
        checked(test_gauges_of_a_busy_pool),
        checked(test_gauges_of_a_pool_with_a_queue_and_waiters),
        checked(test_gauges_of_a_pool_at_rest),
        checked(test_idle_worker_is_not_running),
        checked(test_gauges_of_a_draining_pool),
        checked(test_gauges_of_a_released_pool),
        checked(test_gauges_of_an_unlimited_pool),
        checked(test_queue_of_an_unlimited_pool_means_nothing),
        checked(test_running_is_zero_after_wait),
        checked(test_gauges_stay_in_range_while_tasks_flow),
        checked(test_current_is_the_pool_of_the_innermost_task),
    };
    return cmocka_run_group_tests_name("gauges", tests, NULL, NULL);
}
