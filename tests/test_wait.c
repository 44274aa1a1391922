/* Waiting until nothing is queued or running. */
#include "support.h"

static void test_wait_of_an_idle_pool_returns_at_once(void **state)
{
    (void)state;
    pool_t *pool = make_pool(2);
    assert_ok(pool_wait(pool));
    assert_ok(pool_wait_timeout(pool, 0));
    assert_ok(pool_destroy(pool));
}

static void test_wait_covers_running_and_queued_tasks(void **state)
{
    (void)state;
    atomic_int runs = 0;
    pool_t *pool = make_pool_with(3, pool_with_queue(500));
    for (int round = 1; round <= 20; round++) {
        for (int i = 0; i < 100; i++)
            assert_ok(pool_submit(pool, count_task, &runs));
        assert_ok(pool_wait(pool));
        assert_int_equal(runs, 100 * round);
        assert_int_equal(pool_running(pool), 0);
        assert_int_equal(pool_queued(pool), 0);
    }
    assert_ok(pool_destroy(pool));
}

static void test_wait_does_not_close_the_pool(void **state)
{
    (void)state;
    pool_t *pool = make_pool(1);
    assert_ok(pool_submit(pool, empty_task, NULL));
    assert_ok(pool_wait(pool));
    assert_false(pool_is_closed(pool));
    assert_ok(pool_submit(pool, empty_task, NULL));
    assert_ok(pool_destroy(pool));
}

static void test_wait_timeout_gives_up_but_not_early(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool(1);
    occupy(pool, &gate, 1);
    sight_t before = see(pool);
    int64_t start = now_ms();
    assert_int_equal(pool_wait_timeout(pool, 40), POOL_ERR_TIMEOUT);
    assert_true(now_ms() - start >= 40);
    assert_int_equal(pool_wait_timeout(pool, 0), POOL_ERR_TIMEOUT);
    assert_unchanged(pool, before);
    open_and_destroy(pool, &gate);
}

static void test_wait_timeout_succeeds_in_time(void **state)
{
    (void)state;
    const int64_t times[] = {PATIENCE_MS, POOL_FOREVER, POOL_FOREVER - 1, INT64_MAX / 1000};
    pool_t *pool = make_pool(1);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        atomic_int runs = 0;
        assert_ok(pool_submit(pool, count_task, &runs));
        assert_ok(pool_wait_timeout(pool, times[i]));
        assert_int_equal(runs, 1);
    }
    assert_ok(pool_destroy(pool));
}

struct waiting {
    pthread_t thread;
    pool_t *pool;
    atomic_int *runs;
    int seen;
    pool_err answer;
    atomic_bool returned;
};

static void *wait_in_thread(void *arg)
{
    struct waiting *waiting = arg;
    waiting->answer = pool_wait(waiting->pool);
    waiting->seen = atomic_load(waiting->runs);
    atomic_store(&waiting->returned, true);
    return NULL;
}

static void test_many_threads_wait(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    struct waiting waiting[5];
    pool_t *pool = make_pool_with(2, pool_with_queue(10));
    occupy(pool, &gate, 2);
    for (int i = 0; i < 10; i++)
        assert_ok(pool_submit(pool, count_task, &runs));
    for (int i = 0; i < 5; i++) {
        waiting[i] = (struct waiting){.pool = pool, .runs = &runs, .answer = POOL_ERR_INVALID};
        assert_int_equal(pthread_create(&waiting[i].thread, NULL, wait_in_thread, &waiting[i]), 0);
    }
    assert_int_equal(pool_wait_timeout(pool, 10), POOL_ERR_TIMEOUT);
    for (int i = 0; i < 5; i++)
        assert_false(waiting[i].returned);
    gate_open(&gate);
    for (int i = 0; i < 5; i++) {
        pthread_join(waiting[i].thread, NULL);
        assert_int_equal(waiting[i].answer, POOL_OK);
        assert_int_equal(waiting[i].seen, 10);
    }
    open_and_destroy(pool, &gate);
}

static void test_wait_of_a_closed_pool_waits_for_the_rest(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    pool_t *pool = make_pool_with(1, pool_with_queue(3));
    occupy(pool, &gate, 1);
    for (int i = 0; i < 3; i++)
        assert_ok(pool_submit(pool, count_task, &runs));
    assert_ok(pool_release(pool));
    assert_int_equal(pool_wait_timeout(pool, 5), POOL_ERR_TIMEOUT);
    gate_open(&gate);
    assert_ok(pool_wait(pool));
    assert_int_equal(runs, 3);
    open_and_destroy(pool, &gate);
}

static void test_wait_of_a_closed_and_drained_pool(void **state)
{
    (void)state;
    pool_t *pool = make_pool(1);
    assert_ok(pool_submit(pool, empty_task, NULL));
    assert_ok(pool_release_timeout(pool, POOL_FOREVER));
    assert_ok(pool_wait(pool));
    assert_ok(pool_wait_timeout(pool, 0));
    assert_ok(pool_destroy(pool));
}

struct inside {
    pool_t *pool;
    pool_err wait, wait_timeout, negative;
};

static void wait_inside(void *arg)
{
    struct inside *inside = arg;
    inside->wait = pool_wait(inside->pool);
    inside->wait_timeout = pool_wait_timeout(inside->pool, 5);
    inside->negative = pool_wait_timeout(inside->pool, -1);
}

static void test_wait_inside_a_task_is_deadlock(void **state)
{
    (void)state;
    struct inside inside = {.pool = make_pool(2)};
    assert_ok(pool_submit(inside.pool, wait_inside, &inside));
    assert_ok(pool_wait(inside.pool));
    assert_int_equal(inside.wait, POOL_ERR_DEADLOCK);
    assert_int_equal(inside.wait_timeout, POOL_ERR_DEADLOCK);
    assert_int_not_equal(inside.negative, POOL_OK);
    assert_ok(pool_destroy(inside.pool));
}

static void test_wait_inside_a_caller_run_task_is_deadlock(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    struct inside inside = {.pool = make_pool_with(1, pool_with_policy(POOL_CALLER_RUNS))};
    occupy(inside.pool, &gate, 1);
    assert_ok(pool_submit(inside.pool, wait_inside, &inside));
    assert_int_equal(inside.wait, POOL_ERR_DEADLOCK);
    open_and_destroy(inside.pool, &gate);
}

static void test_task_waits_for_another_pool(void **state)
{
    (void)state;
    atomic_int runs = 0;
    struct inside inside = {.pool = make_pool(1), .wait = POOL_ERR_INVALID};
    pool_t *other = make_pool(1);
    assert_ok(pool_submit(inside.pool, count_task, &runs));
    assert_ok(pool_submit(other, wait_inside, &inside));
    assert_ok(pool_destroy(other));
    assert_int_equal(inside.wait, POOL_OK);
    assert_int_equal(inside.wait_timeout, POOL_OK);
    assert_int_equal(runs, 1);
    assert_ok(pool_destroy(inside.pool));
}

/* Tasks that submit the next one: the pool is quiet only after the last of the chain. */
struct chain {
    pool_t *pool;
    atomic_int left;
    atomic_int failed;
};

static void submit_next(void *arg)
{
    struct chain *chain = arg;
    if (atomic_fetch_sub(&chain->left, 1) > 1 && pool_submit(chain->pool, submit_next, chain) != POOL_OK)
        atomic_fetch_add(&chain->failed, 1);
}

static void test_wait_covers_tasks_that_tasks_submit(void **state)
{
    (void)state;
    struct chain chain = {.pool = make_pool(2)};
    for (int round = 0; round < 20; round++) {
        atomic_store(&chain.left, 50);
        assert_ok(pool_submit(chain.pool, submit_next, &chain));
        assert_ok(pool_wait(chain.pool));
        assert_int_equal(chain.left, 0);
    }
    assert_int_equal(chain.failed, 0);
    assert_ok(pool_destroy(chain.pool));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_wait_of_an_idle_pool_returns_at_once),
        checked(test_wait_covers_running_and_queued_tasks),
        checked(test_wait_does_not_close_the_pool),
        checked(test_wait_timeout_gives_up_but_not_early),
        checked(test_wait_timeout_succeeds_in_time),
        checked(test_many_threads_wait),
        checked(test_wait_of_a_closed_pool_waits_for_the_rest),
        checked(test_wait_of_a_closed_and_drained_pool),
        checked(test_wait_inside_a_task_is_deadlock),
        checked(test_wait_inside_a_caller_run_task_is_deadlock),
        checked(test_task_waits_for_another_pool),
        checked(test_wait_covers_tasks_that_tasks_submit),
    };
    return cmocka_run_group_tests_name("wait", tests, NULL, NULL);
}
