/* What every function answers to arguments that make no sense, with nothing changed; and
 * the words for errors. */
#include "support.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static void ignore_discarded(void *user, pool_task_fn task, void *arg)
{
    (void)task;
    (void)arg;
    ++*(int *)user;
}

/* ---- No pool ---- */

static void test_calls_without_a_pool(void **state)
{
    (void)state;
    atomic_int runs = 0;
    int discarded = 0;
    assert_int_equal(pool_submit(NULL, count_task, &runs), POOL_ERR_INVALID);
    assert_int_equal(pool_try_submit(NULL, count_task, &runs), POOL_ERR_INVALID);
    assert_int_equal(pool_submit_timeout(NULL, count_task, &runs, 1), POOL_ERR_INVALID);
    assert_int_equal(pool_submit_copy(NULL, count_task, "x", 1), POOL_ERR_INVALID);
    assert_int_equal(pool_invoke(NULL, &runs), POOL_ERR_INVALID);
    assert_int_equal(pool_tune(NULL, 1), POOL_ERR_INVALID);
    assert_int_equal(pool_wait(NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_wait_timeout(NULL, 1), POOL_ERR_INVALID);
    assert_int_equal(pool_release(NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_release_timeout(NULL, 1), POOL_ERR_INVALID);
    assert_int_equal(pool_release_now(NULL, ignore_discarded, &discarded), POOL_ERR_INVALID);
    assert_int_equal(pool_reboot(NULL), POOL_ERR_INVALID);
    assert_int_equal(runs, 0);
    assert_int_equal(discarded, 0);
}

static void test_submit_many_without_a_pool_sets_accepted(void **state)
{
    (void)state;
    void *args[1] = {NULL};
    size_t accepted = 9;
    assert_int_equal(pool_submit_many(NULL, empty_task, args, 1, &accepted), POOL_ERR_INVALID);
    assert_int_equal(accepted, 0);
}

static void test_gauges_without_a_pool(void **state)
{
    (void)state;
    sight_t nothing = {.closed = 1};
    assert_unchanged(NULL, nothing);
    assert_string_equal(pool_name(NULL), "");
    assert_true(pool_is_closed(NULL));
}

static void test_destroying_no_pool_is_fine(void **state)
{
    (void)state;
    assert_ok(pool_destroy(NULL));
}

/* ---- Arguments of an open pool ---- */

static void test_calls_without_a_task(void **state)
{
    (void)state;
    void *args[2] = {NULL, NULL};
    size_t accepted = 9;
    pool_t *pool = make_pool_with(2, pool_with_queue(5));
    sight_t before = see(pool);
    assert_int_equal(pool_submit(pool, NULL, args), POOL_ERR_INVALID);
    assert_int_equal(pool_try_submit(pool, NULL, args), POOL_ERR_INVALID);
    assert_int_equal(pool_submit_timeout(pool, NULL, args, 1), POOL_ERR_INVALID);
    assert_int_equal(pool_submit_copy(pool, NULL, "x", 1), POOL_ERR_INVALID);
    assert_int_equal(pool_submit_many(pool, NULL, args, 2, &accepted), POOL_ERR_INVALID);
    assert_int_equal(accepted, 0);
    assert_unchanged(pool, before);
    assert_ok(pool_destroy(pool));
}

static void test_invoke_without_a_bound_function(void **state)
{
    (void)state;
    pool_t *pool = make_pool(2);
    sight_t before = see(pool);
    assert_int_equal(pool_invoke(pool, NULL), POOL_ERR_NO_FUNC);
    assert_unchanged(pool, before);
    assert_ok(pool_destroy(pool));
}

static void test_copies_that_are_refused(void **state)
{
    (void)state;
    char data[POOL_COPY_MAX + 1] = {0};
    pool_t *pool = make_pool(2);
    sight_t before = see(pool);
    assert_int_equal(pool_submit_copy(pool, empty_task, data, sizeof data), POOL_ERR_INVALID);
    assert_int_equal(pool_submit_copy(pool, empty_task, data, SIZE_MAX), POOL_ERR_INVALID);
    assert_int_equal(pool_submit_copy(pool, empty_task, NULL, 1), POOL_ERR_INVALID);
    assert_unchanged(pool, before);
    assert_ok(pool_destroy(pool));
}

static void test_many_arguments_that_are_refused(void **state)
{
    (void)state;
    atomic_int runs = 0;
    void *args[2] = {&runs, &runs};
    size_t accepted = 9;
    pool_t *pool = make_pool(2);
    sight_t before = see(pool);
    assert_int_equal(pool_submit_many(pool, count_task, args, 2, NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_submit_many(pool, count_task, NULL, 2, &accepted), POOL_ERR_INVALID);
    assert_int_equal(accepted, 0);
    assert_unchanged(pool, before);
    assert_ok(pool_destroy(pool));
    assert_int_equal(runs, 0);
}

static void test_negative_times(void **state)
{
    (void)state;
    const int64_t times[] = {-1, -1000, INT64_MIN};
    atomic_int runs = 0;
    pool_t *pool = make_pool(2);
    sight_t before = see(pool);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        assert_int_equal(pool_submit_timeout(pool, count_task, &runs, times[i]), POOL_ERR_INVALID);
        assert_int_equal(pool_wait_timeout(pool, times[i]), POOL_ERR_INVALID);
        assert_int_equal(pool_release_timeout(pool, times[i]), POOL_ERR_INVALID);
    }
    assert_unchanged(pool, before);
    assert_ok(pool_destroy(pool));
    assert_int_equal(runs, 0);
}

static void test_negative_time_is_refused_under_every_policy(void **state)
{
    (void)state;
    for (pool_policy policy = POOL_BLOCK; policy <= POOL_DISCARD_OLDEST; policy++) {
        atomic_int runs = 0;
        pool_t *pool = make_pool_with(1, pool_with_policy(policy));
        assert_int_equal(pool_submit_timeout(pool, count_task, &runs, -1), POOL_ERR_INVALID);
        assert_ok(pool_destroy(pool));
        assert_int_equal(runs, 0);
    }
}

static void test_release_now_without_a_callback(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(1, pool_with_queue(2));
    occupy(pool, &gate, 1);
    assert_ok(pool_submit(pool, empty_task, NULL));
    sight_t before = see(pool);
    assert_int_equal(pool_release_now(pool, NULL, NULL), POOL_ERR_INVALID);
    assert_unchanged(pool, before);
    open_and_destroy(pool, &gate);
}

static void test_caps_that_tune_refuses(void **state)
{
    (void)state;
    const int caps[] = {0, -2, INT_MIN, POOL_UNLIMITED};
    pool_t *pool = make_pool_with(2, pool_with_queue(1));
    sight_t before = see(pool);
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++)
        assert_int_equal(pool_tune(pool, caps[i]), POOL_ERR_INVALID_CAP);
    assert_unchanged(pool, before);
    assert_ok(pool_destroy(pool));
}

static void test_caps_that_tune_of_an_unlimited_pool_refuses(void **state)
{
    (void)state;
    pool_t *pool = make_pool(POOL_UNLIMITED);
    assert_int_equal(pool_tune(pool, 10), POOL_ERR_INVALID_CAP);
    assert_int_equal(pool_tune(pool, 0), POOL_ERR_INVALID_CAP);
    assert_int_equal(pool_cap(pool), POOL_UNLIMITED);
    assert_int_equal(pool_free_slots(pool), POOL_UNLIMITED);
    assert_ok(pool_destroy(pool));
}

/* ---- Calls on a closed pool ---- */

static void test_submits_to_a_closed_pool(void **state)
{
    (void)state;
    atomic_int runs = 0;
    void *args[1] = {&runs};
    size_t accepted = 9;
    pool_t *pool = make_pool_with(2, pool_with_func(count_task), pool_with_queue(5));
    assert_ok(pool_release_timeout(pool, POOL_FOREVER));
    assert_int_equal(pool_submit(pool, count_task, &runs), POOL_ERR_CLOSED);
    assert_int_equal(pool_try_submit(pool, count_task, &runs), POOL_ERR_CLOSED);
    assert_int_equal(pool_submit_timeout(pool, count_task, &runs, 10), POOL_ERR_CLOSED);
    assert_int_equal(pool_submit_copy(pool, count_task, "x", 1), POOL_ERR_CLOSED);
    assert_int_equal(pool_submit_many(pool, count_task, args, 1, &accepted), POOL_ERR_CLOSED);
    assert_int_equal(accepted, 0);
    assert_int_equal(pool_invoke(pool, &runs), POOL_ERR_CLOSED);
    assert_int_equal(pool_workers(pool), 0);
    assert_ok(pool_destroy(pool));
    assert_int_equal(runs, 0);
}

/* ---- Words ---- */

static void test_every_error_has_words_of_its_own(void **state)
{
    (void)state;
    for (int a = POOL_OK; a <= POOL_ERR_FORKED; a++) {
        const char *words = pool_strerror((pool_err)a);
        assert_non_null(words);
        assert_true(strlen(words) > 0);
        assert_string_not_equal(words, "unknown error");
        for (int b = POOL_OK; b < a; b++)
            assert_string_not_equal(words, pool_strerror((pool_err)b));
    }
}

static void test_a_number_that_is_no_error(void **state)
{
    (void)state;
    const int numbers[] = {POOL_ERR_FORKED + 1, 1000, -1, INT_MAX, INT_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        assert_string_equal(pool_strerror((pool_err)numbers[i]), "unknown error");
}

/* Programs are compiled with these numbers. */
static void test_errors_keep_their_numbers(void **state)
{
    (void)state;
    const pool_err in_order[] = {
        POOL_OK, POOL_ERR_CLOSED, POOL_ERR_OVERLOAD, POOL_ERR_TIMEOUT, POOL_ERR_CANCELED,
        POOL_ERR_NO_FUNC, POOL_ERR_INVALID, POOL_ERR_INVALID_CAP, POOL_ERR_INVALID_EXPIRY,
        POOL_ERR_INVALID_PREALLOC, POOL_ERR_INVALID_INDEX, POOL_ERR_INVALID_STRATEGY,
        POOL_ERR_INVALID_SHARDS, POOL_ERR_NO_MEMORY, POOL_ERR_NO_THREAD, POOL_ERR_DEADLOCK,
        POOL_ERR_BUSY, POOL_ERR_FORKED,
    };
    for (size_t i = 0; i < sizeof in_order / sizeof *in_order; i++)
        assert_int_equal(in_order[i], i);
}

static void test_version_of_the_library_is_that_of_the_header(void **state)
{
    (void)state;
    char version[64];
    snprintf(version, sizeof version, "%d.%d.%d", POOL_VERSION_MAJOR, POOL_VERSION_MINOR,
             POOL_VERSION_PATCH);
    assert_string_equal(pool_version(), version);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_calls_without_a_pool),
        checked(test_submit_many_without_a_pool_sets_accepted),
        checked(test_gauges_without_a_pool),
        checked(test_destroying_no_pool_is_fine),
        checked(test_calls_without_a_task),
        checked(test_invoke_without_a_bound_function),
        checked(test_copies_that_are_refused),
        checked(test_many_arguments_that_are_refused),
        checked(test_negative_times),
        checked(test_negative_time_is_refused_under_every_policy),
        checked(test_release_now_without_a_callback),
        checked(test_caps_that_tune_refuses),
        checked(test_caps_that_tune_of_an_unlimited_pool_refuses),
        checked(test_submits_to_a_closed_pool),
        checked(test_every_error_has_words_of_its_own),
        checked(test_a_number_that_is_no_error),
        checked(test_errors_keep_their_numbers),
        checked(test_version_of_the_library_is_that_of_the_header),
    };
    return cmocka_run_group_tests_name("errors", tests, NULL, NULL);
}
