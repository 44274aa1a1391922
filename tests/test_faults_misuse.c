/* Faults of the caller that cannot all be seen, and are told where they are: a pool is used
 * after its end; a start hook ends its thread. */
#include "faults.h"

#include <signal.h>
#include <string.h>

/* ---- After the end -------------------------------------------------------------------------- */

static void give_back(void *user, pool_task_fn fn, void *arg)
{
    (void)user, (void)fn, (void)arg;
}

static pool_err submit(pool_t *pool)
{
    return pool_submit(pool, empty_task, NULL);
}

static pool_err submit_copy(pool_t *pool)
{
    return pool_submit_copy(pool, empty_task, "c", 1);
}

static pool_err tune(pool_t *pool)
{
    return pool_tune(pool, 2);
}

static pool_err release_now(pool_t *pool)
{
    return pool_release_now(pool, give_back, NULL);
}

struct misuse {
    pool_err (*call)(pool_t *);
};

static void call_after_destroy(void *misuse)
{
    pool_t *pool;
    child_assert(pool_new(&pool, 1) == POOL_OK);
    child_assert(pool_submit(pool, empty_task, NULL) == POOL_OK);
    child_assert(pool_destroy(pool) == POOL_OK);
    ((struct misuse *)misuse)->call(pool);
}

/* It dies, and says why: the library by itself, or a sanitizer that was faster. */
static void dies_with_a_message(pool_err (*call)(pool_t *))
{
    struct misuse misuse = {call};
    child_t child = child_run(call_after_destroy, &misuse);
    assert_int_not_equal(child.status, 0);
    if (UNDER_ASAN) {
        assert_non_null(strstr(child.output, "heap-use-after-free"));
    } else if (!UNDER_TSAN) { /* whose report may be all that fits in the output */
        assert_true(child_died_of(&child, SIGABRT));
        assert_non_null(strstr(child.output, "is a destroyed pool in use?"));
    }
}

static void test_double_destroy_aborts_with_a_message(void **state)
{
    (void)state;
    dies_with_a_message(pool_destroy);
}

static void test_use_after_destroy_aborts_with_a_message(void **state)
{
    (void)state;
    dies_with_a_message(submit);
    dies_with_a_message(submit_copy);
    dies_with_a_message(pool_wait);
    dies_with_a_message(tune);
    dies_with_a_message(release_now);
    dies_with_a_message(pool_reboot);
}

/* ---- A start hook that ends its thread ------------------------------------------------------ */

static void end_thread(void *started)
{
    count_task(started);
    pthread_exit(NULL);
}

/* The task that the worker had taken still runs, in what is left of the thread. */
static void test_start_hook_that_ends_its_thread_loses_no_task(void **state)
{
    (void)state;
    pool_t *pool;
    atomic_int started = 0, ran = 0, lines = 0;
    assert_ok(pool_new_with(&pool, 2, pool_with_queue(10), pool_with_thread_hooks(end_thread, NULL, &started),
                            pool_with_logger(count_logger, &lines)));
    for (int i = 0; i < 10; i++)
        assert_ok(pool_submit(pool, count_task, &ran));
    assert_ok(pool_wait_timeout(pool, PATIENCE_MS));
    assert_ok(pool_destroy(pool));
    assert_int_equal(ran, 10);
    assert_true(started >= 1);
}

static void test_start_hook_that_ends_a_prestarted_thread(void **state)
{
    (void)state;
    pool_t *pool;
    atomic_int started = 0, ran = 0, lines = 0;
    assert_ok(pool_new_with(&pool, 2, pool_with_prestart(2),
                            pool_with_thread_hooks(end_thread, NULL, &started),
                            pool_with_logger(count_logger, &lines)));
    assert_true(reaches(&lines, 2)); /* both are reported */
    assert_true(eventually_equals(pool_workers, pool, 0));
    assert_ok(pool_submit(pool, count_task, &ran));
    assert_ok(pool_destroy(pool));
    assert_int_equal(ran, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_double_destroy_aborts_with_a_message),
        checked(test_use_after_destroy_aborts_with_a_message),
        checked(test_start_hook_that_ends_its_thread_loses_no_task),
        checked(test_start_hook_that_ends_a_prestarted_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
