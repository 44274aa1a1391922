/* Closing a pool, with and without waiting for it. */
#include "support.h"

#include <sched.h>

/* ---- pool_release ---- */

static void test_release_returns_while_tasks_run(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    pool_t *pool = make_pool_with(2, pool_with_queue(5));
    occupy(pool, &gate, 2);
    for (int i = 0; i < 5; i++)
        assert_ok(pool_submit(pool, count_task, &runs));

    assert_ok(pool_release(pool));

    assert_true(pool_is_closed(pool));
    assert_int_equal(pool_running(pool), 2);
    assert_int_equal(pool_queued(pool), 5);
    assert_int_equal(pool_submit(pool, count_task, &runs), POOL_ERR_CLOSED);
    gate_open(&gate);
    assert_ok(pool_release_timeout(pool, POOL_FOREVER));
    assert_int_equal(runs, 5); /* what was accepted has run */
    open_and_destroy(pool, &gate);
    assert_int_equal(runs, 5);
}

static void test_release_turns_blocked_submitters_away(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    submitter_t blocked[5];
    pool_t *pool = make_pool(2);
    occupy(pool, &gate, 2);
    for (int i = 0; i < 5; i++)
        submitter_start(&blocked[i], pool, count_task, &runs);
    assert_true(eventually_equals(pool_waiting, pool, 5));

    assert_ok(pool_release(pool));

    for (int i = 0; i < 5; i++) /* though no task has ended */
        assert_int_equal(submitter_join(&blocked[i]), POOL_ERR_CLOSED);
    assert_int_equal(pool_waiting(pool), 0);
    assert_int_equal(pool_running(pool), 2);
    open_and_destroy(pool, &gate);
    assert_int_equal(runs, 0);
}

static void test_release_lets_idle_workers_go(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(4, pool_with_disable_purge(true));
    occupy(pool, &gate, 4);
    gate_open(&gate);
    assert_true(eventually_equals(pool_idle, pool, 4));
    assert_ok(pool_release(pool));
    assert_true(eventually_equals(pool_workers, pool, 0));
    open_and_destroy(pool, &gate);
}

static void test_release_of_a_closed_pool_does_nothing(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool(1);
    occupy(pool, &gate, 1);
    assert_ok(pool_release(pool));
    sight_t before = see(pool);
    assert_ok(pool_release(pool));
    assert_unchanged(pool, before);
    open_and_destroy(pool, &gate);
}

static void test_closed_pool_has_no_free_slots(void **state)
{
    (void)state;
    pool_t *pool = make_pool_with(3, pool_with_queue(3));
    assert_ok(pool_release(pool));
    assert_int_equal(pool_free_slots(pool), 0);
    assert_int_equal(pool_cap(pool), 3);
    assert_ok(pool_destroy(pool));
}

static void release_own_pool(void *pool)
{
    (void)pool_release(pool);
}

static void test_task_releases_its_own_pool(void **state)
{
    (void)state;
    pool_t *pool = make_pool(2);
    assert_ok(pool_submit(pool, release_own_pool, pool));
    assert_ok(pool_wait(pool));
    assert_true(pool_is_closed(pool));
    assert_int_equal(pool_submit(pool, empty_task, NULL), POOL_ERR_CLOSED);
    assert_ok(pool_destroy(pool));
}

/* Two threads submit and submit; the release comes in between. */
struct stream {
    pthread_t thread;
    pool_t *pool;
    bool bound;
    int accepted;
    pool_err last;
    atomic_int *runs;
};

static void *submit_until_refused(void *arg)
{
    struct stream *stream = arg;
    while ((stream->last = stream->bound ? pool_invoke(stream->pool, stream->runs)
                                         : pool_submit(stream->pool, count_task, stream->runs)) == POOL_OK)
        stream->accepted++;
    return NULL;
}

static void release_while_running(pool_t *pool, bool bound)
{
    atomic_int runs = 0;
    struct stream streams[2];
    for (int i = 0; i < 2; i++) {
        streams[i] = (struct stream){.pool = pool, .bound = bound, .runs = &runs};
        assert_int_equal(pthread_create(&streams[i].thread, NULL, submit_until_refused, &streams[i]), 0);
    }
    while (atomic_load(&runs) < 1000)
        sched_yield();
    assert_ok(pool_release(pool));
    for (int i = 0; i < 2; i++) {
        pthread_join(streams[i].thread, NULL);
        assert_int_equal(streams[i].last, POOL_ERR_CLOSED);
    }
    assert_ok(pool_destroy(pool));
    assert_int_equal(runs, streams[0].accepted + streams[1].accepted);
}

static void test_release_while_others_submit(void **state)
{
    (void)state;
    release_while_running(make_pool(1), false);
}

static void test_release_while_others_invoke(void **state)
{
    (void)state;
    release_while_running(make_pool_with(1, pool_with_func(count_task)), true);
}

/* ---- pool_release_timeout ---- */

struct hooks {
    atomic_int starts, exits;
};

static void count_start(void *hooks)
{
    atomic_fetch_add(&((struct hooks *)hooks)->starts, 1);
}

static void count_exit(void *hooks)
{
    atomic_fetch_add(&((struct hooks *)hooks)->exits, 1);
}

/* A worker that never had a task sees neither hook; each that saw the first sees the other. */
static void test_release_timeout_waits_for_every_worker(void **state)
{
    (void)state;
    atomic_int runs = 0;
    struct hooks hooks = {0, 0};
    pool_t *pool = make_pool_with(3, pool_with_queue(50), pool_with_thread_hooks(count_start, count_exit, &hooks));
    for (int i = 0; i < 50; i++)
        assert_ok(pool_submit(pool, count_task, &runs));

    assert_ok(pool_release_timeout(pool, PATIENCE_MS));

    assert_true(hooks.starts >= 1);
    assert_int_equal(hooks.exits, hooks.starts);
    assert_int_equal(runs, 50);
    assert_int_equal(pool_workers(pool), 0);
    assert_int_equal(pool_running(pool), 0);
    assert_int_equal(pool_idle(pool), 0);
    assert_ok(pool_destroy(pool));
}

static void test_release_timeout_of_an_unused_pool(void **state)
{
    (void)state;
    pool_t *pool = make_pool(3);
    assert_ok(pool_release_timeout(pool, 0));
    assert_true(pool_is_closed(pool));
    assert_ok(pool_destroy(pool));
}

static void test_release_timeout_gives_up_but_not_early_and_can_be_continued(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool(2);
    occupy(pool, &gate, 1);

    int64_t start = now_ms();
    assert_int_equal(pool_release_timeout(pool, 40), POOL_ERR_TIMEOUT);
    assert_true(now_ms() - start >= 40);
    assert_true(pool_is_closed(pool));
    assert_int_equal(pool_running(pool), 1);
    assert_int_equal(pool_release_timeout(pool, 0), POOL_ERR_TIMEOUT);

    gate_open(&gate);
    assert_ok(pool_release_timeout(pool, POOL_FOREVER));
    assert_int_equal(pool_workers(pool), 0);
    open_and_destroy(pool, &gate);
}

static void test_release_timeout_after_release_waits(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool(2);
    occupy(pool, &gate, 2);
    assert_ok(pool_release(pool));
    assert_int_equal(pool_release_timeout(pool, 1), POOL_ERR_TIMEOUT);
    gate_open(&gate);
    assert_ok(pool_release_timeout(pool, PATIENCE_MS));
    assert_ok(pool_release_timeout(pool, 0)); /* it is complete */
    open_and_destroy(pool, &gate);
}

struct releaser {
    pthread_t thread;
    pool_t *pool;
    pool_err answer;
};

static void *release_and_wait(void *arg)
{
    struct releaser *releaser = arg;
    releaser->answer = pool_release_timeout(releaser->pool, POOL_FOREVER);
    return NULL;
}

static void test_many_threads_wait_for_the_same_release(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    struct releaser releasers[4];
    pool_t *pool = make_pool(2);
    occupy(pool, &gate, 2);
    for (int i = 0; i < 4; i++) {
        releasers[i] = (struct releaser){.pool = pool, .answer = POOL_ERR_INVALID};
        assert_int_equal(pthread_create(&releasers[i].thread, NULL, release_and_wait, &releasers[i]), 0);
    }
    gate_open(&gate);
    for (int i = 0; i < 4; i++) {
        pthread_join(releasers[i].thread, NULL);
        assert_int_equal(releasers[i].answer, POOL_OK);
    }
    open_and_destroy(pool, &gate);
}

static void test_release_timeout_turns_blocked_submitters_away(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    submitter_t blocked;
    pool_t *pool = make_pool(1);
    occupy(pool, &gate, 1);
    submitter_start(&blocked, pool, count_task, &runs);
    assert_true(eventually_equals(pool_waiting, pool, 1));
    assert_int_equal(pool_release_timeout(pool, 0), POOL_ERR_TIMEOUT);
    assert_int_equal(submitter_join(&blocked), POOL_ERR_CLOSED);
    open_and_destroy(pool, &gate);
    assert_int_equal(runs, 0);
}

struct inside {
    pool_t *pool;
    pool_err answer;
};

static void release_timeout_inside(void *arg)
{
    struct inside *inside = arg;
    inside->answer = pool_release_timeout(inside->pool, POOL_FOREVER);
}

static void test_release_timeout_inside_a_task_is_deadlock_and_closes_nothing(void **state)
{
    (void)state;
    struct inside inside = {.pool = make_pool(2)};
    assert_ok(pool_submit(inside.pool, release_timeout_inside, &inside));
    assert_ok(pool_wait(inside.pool));
    assert_int_equal(inside.answer, POOL_ERR_DEADLOCK);
    assert_false(pool_is_closed(inside.pool));
    assert_ok(pool_destroy(inside.pool));
}

static void test_task_of_another_pool_may_wait_for_the_release(void **state)
{
    (void)state;
    atomic_int runs = 0;
    struct inside inside = {.pool = make_pool(2), .answer = POOL_ERR_INVALID};
    pool_t *other = make_pool(1);
    assert_ok(pool_submit(inside.pool, count_task, &runs));
    assert_ok(pool_submit(other, release_timeout_inside, &inside));
    assert_ok(pool_destroy(other));
    assert_int_equal(inside.answer, POOL_OK);
    assert_int_equal(runs, 1);
    assert_ok(pool_destroy(inside.pool));
}

/* ---- Thread-local destructors have run when the wait is over ---- */

static pthread_key_t key;
static atomic_int destructors;

static void count_destructor(void *value)
{
    (void)value;
    for (int i = 0; i < 50; i++)
        sched_yield(); /* a slow one */
    atomic_fetch_add(&destructors, 1);
}

static void set_thread_local(void *gate)
{
    pthread_setspecific(key, &key);
    gate_pass(gate);
}

static void test_thread_local_destructors_have_run_after_release_timeout(void **state)
{
    (void)state;
    assert_int_equal(pthread_key_create(&key, count_destructor), 0);
    for (int round = 0; round < scaled(50); round++) {
        gate_t gate = GATE_CLOSED;
        destructors = 0;
        pool_t *pool = make_pool(3);
        for (int i = 0; i < 3; i++)
            assert_ok(pool_submit(pool, set_thread_local, &gate));
        assert_true(gate_await(&gate, 3));
        gate_open(&gate);
        assert_ok(pool_release_timeout(pool, POOL_FOREVER));
        assert_int_equal(destructors, 3);
        open_and_destroy(pool, &gate);
    }
    pthread_key_delete(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_release_returns_while_tasks_run),
        checked(test_release_turns_blocked_submitters_away),
        checked(test_release_lets_idle_workers_go),
        checked(test_release_of_a_closed_pool_does_nothing),
        checked(test_closed_pool_has_no_free_slots),
        checked(test_task_releases_its_own_pool),
        checked(test_release_while_others_submit),
        checked(test_release_while_others_invoke),
        checked(test_release_timeout_waits_for_every_worker),
        checked(test_release_timeout_of_an_unused_pool),
        checked(test_release_timeout_gives_up_but_not_early_and_can_be_continued),
        checked(test_release_timeout_after_release_waits),
        checked(test_many_threads_wait_for_the_same_release),
        checked(test_release_timeout_turns_blocked_submitters_away),
        checked(test_release_timeout_inside_a_task_is_deadlock_and_closes_nothing),
        checked(test_task_of_another_pool_may_wait_for_the_release),
        checked(test_thread_local_destructors_have_run_after_release_timeout),
    };
    return cmocka_run_group_tests_name("release", tests, NULL, NULL);
}
