/* The end of a pool: pool_destroy and the scope that calls it. */
#include "support.h"

#include <sched.h>

static void test_destroy_runs_what_was_accepted(void **state)
{
    (void)state;
    atomic_int runs = 0;
    pool_t *pool = make_pool_with(2, pool_with_queue(100));
    for (int i = 0; i < 100; i++)
        assert_ok(pool_submit(pool, count_task, &runs));
    assert_ok(pool_destroy(pool));
    assert_int_equal(runs, 100);
}

static void test_destroy_of_an_unused_pool(void **state)
{
    (void)state;
    assert_ok(pool_destroy(make_pool(3)));
    assert_ok(pool_destroy(make_pool_with(3, pool_with_prealloc(true))));
    assert_ok(pool_destroy(make_pool(POOL_UNLIMITED)));
}

static void test_destroy_of_a_released_pool(void **state)
{
    (void)state;
    pool_t *pool = make_pool(3);
    assert_ok(pool_submit(pool, empty_task, NULL));
    assert_ok(pool_release(pool));
    assert_ok(pool_destroy(pool));
}

enum { BLOCKED = 3 };

struct opener {
    pthread_t thread;
    submitter_t *blocked;
    gate_t *gate;
};

static bool all_returned(void *user)
{
    submitter_t *blocked = user;
    for (int i = 0; i < BLOCKED; i++)
        if (!blocked[i].returned)
            return false;
    return true;
}

/* The submitters return when destroy has turned them away; it cannot end before the gate opens. */
static void *open_when_all_returned(void *arg)
{
    struct opener *opener = arg;
    (void)eventually(all_returned, opener->blocked, PATIENCE_MS);
    gate_open(opener->gate);
    return NULL;
}

static void test_destroy_waits_for_running_tasks_and_turns_blocked_submitters_away(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int runs = 0;
    submitter_t blocked[BLOCKED];
    pool_t *pool = make_pool(2);
    occupy(pool, &gate, 2);
    for (int i = 0; i < BLOCKED; i++)
        submitter_start(&blocked[i], pool, count_task, &runs);
    assert_true(eventually_equals(pool_waiting, pool, BLOCKED));
    struct opener opener = {.blocked = blocked, .gate = &gate};
    assert_int_equal(pthread_create(&opener.thread, NULL, open_when_all_returned, &opener), 0);

    assert_ok(pool_destroy(pool));

    assert_int_equal(gate.passed, 2);
    for (int i = 0; i < BLOCKED; i++)
        assert_int_equal(submitter_join(&blocked[i]), POOL_ERR_CLOSED);
    pthread_join(opener.thread, NULL);
    assert_int_equal(runs, 0);
    gate_fini(&gate);
}

static pthread_key_t key;
static atomic_int destructors;

static void count_destructor(void *value)
{
    (void)value;
    for (int i = 0; i < 50; i++)
        sched_yield();
    atomic_fetch_add(&destructors, 1);
}

static void set_thread_local(void *gate)
{
    pthread_setspecific(key, &key);
    gate_pass(gate);
}

static void test_thread_local_destructors_have_run_after_destroy(void **state)
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
        open_and_destroy(pool, &gate);
        assert_int_equal(destructors, 3);
    }
    pthread_key_delete(key);
}

/* ---- Inside ---- */

struct inside {
    pool_t *pool;
    pool_err answer;
    bool closed;
};

static void destroy_inside(void *arg)
{
    struct inside *inside = arg;
    inside->answer = pool_destroy(inside->pool);
    inside->closed = pool_is_closed(inside->pool);
}

static void test_destroy_inside_a_task_is_deadlock_and_touches_nothing(void **state)
{
    (void)state;
    atomic_int runs = 0;
    struct inside inside = {.pool = make_pool(2)};
    assert_ok(pool_submit(inside.pool, destroy_inside, &inside));
    assert_ok(pool_wait(inside.pool));
    assert_int_equal(inside.answer, POOL_ERR_DEADLOCK);
    assert_false(inside.closed);
    assert_ok(pool_submit(inside.pool, count_task, &runs));
    assert_ok(pool_destroy(inside.pool));
    assert_int_equal(runs, 1);
}

static void test_destroy_inside_a_caller_run_task_is_deadlock(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    struct inside inside = {.pool = make_pool_with(1, pool_with_policy(POOL_CALLER_RUNS))};
    occupy(inside.pool, &gate, 1);
    assert_ok(pool_submit(inside.pool, destroy_inside, &inside));
    assert_int_equal(inside.answer, POOL_ERR_DEADLOCK);
    assert_false(inside.closed);
    open_and_destroy(inside.pool, &gate);
}

static void destroy_in_callback(void *user, pool_task_fn task, void *arg)
{
    (void)task;
    (void)arg;
    destroy_inside(user);
}

static void test_destroy_inside_the_discard_handler_is_deadlock(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    struct inside inside = {0};
    pool_t *pool = make_pool_with(1, pool_with_queue(1), pool_with_policy(POOL_DISCARD_OLDEST),
                                  pool_with_discard_handler(destroy_in_callback, &inside));
    inside.pool = pool;
    occupy(pool, &gate, 1);
    assert_ok(pool_submit(pool, empty_task, NULL));
    assert_ok(pool_submit(pool, empty_task, NULL));
    assert_int_equal(inside.answer, POOL_ERR_DEADLOCK);
    assert_false(inside.closed);
    open_and_destroy(pool, &gate);
}

static void test_destroy_inside_the_callback_of_release_now_is_deadlock(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    struct inside inside = {.pool = make_pool_with(1, pool_with_queue(1))};
    occupy(inside.pool, &gate, 1);
    assert_ok(pool_submit(inside.pool, empty_task, NULL));
    assert_ok(pool_release_now(inside.pool, destroy_in_callback, &inside));
    assert_int_equal(inside.answer, POOL_ERR_DEADLOCK);
    open_and_destroy(inside.pool, &gate);
}

static void destroy_in_hook(void *user)
{
    struct inside *inside = user;
    if (inside->pool != NULL)
        inside->answer = pool_destroy(inside->pool);
}

static void test_destroy_inside_a_thread_hook_is_deadlock(void **state)
{
    (void)state;
    struct inside inside = {0};
    inside.pool = make_pool_with(1, pool_with_thread_hooks(destroy_in_hook, NULL, &inside));
    assert_ok(pool_submit(inside.pool, empty_task, NULL));
    assert_ok(pool_wait(inside.pool));
    assert_int_equal(inside.answer, POOL_ERR_DEADLOCK);
    assert_false(pool_is_closed(inside.pool));
    assert_ok(pool_destroy(inside.pool));
}

static void destroy_after_panic(void *user, const pool_panic_info_t *info)
{
    (void)info;
    destroy_inside(user);
}

static void panic_task(void *value)
{
    pool_panic(value);
}

static void test_destroy_inside_the_panic_handler_is_deadlock(void **state)
{
    (void)state;
    struct inside inside = {0};
    inside.pool = make_pool_with(1, pool_with_panic_handler(destroy_after_panic, &inside));
    assert_ok(pool_submit(inside.pool, panic_task, NULL));
    assert_ok(pool_wait(inside.pool));
    assert_int_equal(inside.answer, POOL_ERR_DEADLOCK);
    assert_false(inside.closed);
    assert_ok(pool_destroy(inside.pool));
}

static void test_task_destroys_another_pool(void **state)
{
    (void)state;
    atomic_int runs = 0;
    struct inside inside = {.pool = make_pool(2), .answer = POOL_ERR_INVALID};
    pool_t *other = make_pool(1);
    assert_ok(pool_submit(inside.pool, count_task, &runs));
    assert_ok(pool_submit(other, destroy_in_hook, &inside));
    assert_ok(pool_destroy(other));
    assert_int_equal(inside.answer, POOL_OK);
    assert_int_equal(runs, 1);
}

/* ---- POOL_SCOPED ---- */

static int use_a_scoped_pool(atomic_int *runs, bool early)
{
    POOL_SCOPED(pool);
    if (pool != NULL || pool_new_with(&pool, 2, pool_with_queue(10)) != POOL_OK)
        return -1;
    for (int i = 0; i < 10; i++)
        if (pool_submit(pool, count_task, runs) != POOL_OK)
            return -1;
    if (early)
        return 1;
    return pool_submit(pool, count_task, runs) == POOL_OK ? 2 : -1;
}

static void test_scoped_pool_is_destroyed_on_every_way_out(void **state)
{
    (void)state;
    atomic_int runs = 0;
    assert_int_equal(use_a_scoped_pool(&runs, true), 1);
    assert_int_equal(runs, 10);
    assert_int_equal(use_a_scoped_pool(&runs, false), 2);
    assert_int_equal(runs, 21);
}

static int never_make_a_scoped_pool(void)
{
    POOL_SCOPED(pool);
    return pool_new(&pool, 0) == POOL_ERR_INVALID_CAP && pool == NULL;
}

static void test_scoped_pool_that_was_never_made(void **state)
{
    (void)state;
    assert_true(never_make_a_scoped_pool());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_destroy_runs_what_was_accepted),
        checked(test_destroy_of_an_unused_pool),
        checked(test_destroy_of_a_released_pool),
        checked(test_destroy_waits_for_running_tasks_and_turns_blocked_submitters_away),
        checked(test_thread_local_destructors_have_run_after_destroy),
        checked(test_destroy_inside_a_task_is_deadlock_and_touches_nothing),
        checked(test_destroy_inside_a_caller_run_task_is_deadlock),
        checked(test_destroy_inside_the_discard_handler_is_deadlock),
        checked(test_destroy_inside_the_callback_of_release_now_is_deadlock),
        checked(test_destroy_inside_a_thread_hook_is_deadlock),
        checked(test_destroy_inside_the_panic_handler_is_deadlock),
        checked(test_task_destroys_another_pool),
        checked(test_scoped_pool_is_destroyed_on_every_way_out),
        checked(test_scoped_pool_that_was_never_made),
    };
    return cmocka_run_group_tests_name("destroy", tests, NULL, NULL);
}
