/* The header in C++17: both forms of pool_new_with, options, submits, a panic, exceptions. */
#include "antpool.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <atomic>
#include <exception>
#include <stdexcept>
#include <string>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
#include <cmocka.h>
int no_thread_left(void **state);
int nothing_left_over(void **state);
}

static void add_one(void *counter)
{
    static_cast<std::atomic<int> *>(counter)->fetch_add(1);
}

static void test_new_with_options_one_by_one(void **)
{
    pool_t *pool = nullptr;
    assert_int_equal(pool_new_with(&pool, 2, pool_with_queue(5), pool_with_name("mail")), POOL_OK);
    assert_int_equal(pool_free_slots(pool), 7);
    assert_string_equal(pool_name(pool), "mail");
    assert_int_equal(pool_destroy(pool), POOL_OK);
}

static void test_new_with_a_single_option(void **)
{
    pool_t *pool = nullptr;
    assert_int_equal(pool_new_with(&pool, 2, pool_with_queue(3)), POOL_OK);
    assert_int_equal(pool_free_slots(pool), 5);
    assert_int_equal(pool_destroy(pool), POOL_OK);
}

static void test_new_with_options_in_braces(void **)
{
    pool_t *pool = nullptr;
    assert_int_equal(pool_new_with(&pool, 2, {pool_with_queue(5), pool_with_name("mail")}), POOL_OK);
    assert_int_equal(pool_free_slots(pool), 7);
    assert_string_equal(pool_name(pool), "mail");
    assert_int_equal(pool_destroy(pool), POOL_OK);
}

static void test_new_with_stored_options(void **)
{
    const pool_option_t queue = pool_with_queue(1);
    pool_option_t name = pool_with_name("kept");
    pool_t *pool = nullptr;
    assert_int_equal(pool_new_with(&pool, 1, queue, name), POOL_OK);
    assert_int_equal(pool_free_slots(pool), 2);
    assert_string_equal(pool_name(pool), "kept");
    assert_int_equal(pool_destroy(pool), POOL_OK);
}

static void test_new_from_an_array(void **)
{
    const pool_option_t options[] = {pool_with_queue(1), POOL_OPTIONS_END};
    pool_t *pool = nullptr;
    assert_int_equal(pool_new_from(&pool, 1, options), POOL_OK);
    assert_int_equal(pool_free_slots(pool), 2);
    assert_int_equal(pool_destroy(pool), POOL_OK);
}

static void test_multipool_in_both_forms(void **)
{
    multipool_t *multi = nullptr;
    assert_int_equal(multipool_new_with(&multi, 2, 3, MULTIPOOL_ROUND_ROBIN, pool_with_queue(1), pool_with_name("a")),
                     POOL_OK);
    assert_int_equal(multipool_free_slots(multi), 8);
    assert_int_equal(multipool_destroy(multi), POOL_OK);
    assert_int_equal(multipool_new_with(&multi, 2, 3, MULTIPOOL_STICKY, {pool_with_queue(2)}), POOL_OK);
    assert_int_equal(multipool_free_slots(multi), 10);
    assert_int_equal(multipool_destroy(multi), POOL_OK);
}

static void test_new_with_an_option_that_is_refused(void **)
{
    pool_t *pool = nullptr;
    assert_int_equal(pool_new_with(&pool, 1, pool_with_queue(-1)), POOL_ERR_INVALID);
    assert_int_equal(pool_new_with(&pool, 1, {pool_with_expiry_ms(-1)}), POOL_ERR_INVALID_EXPIRY);
    assert_null(pool);
}

static void test_tasks_run(void **)
{
    std::atomic<int> runs{0};
    pool_t *pool = nullptr;
    assert_int_equal(pool_new_with(&pool, 4, pool_with_func(add_one), pool_with_queue(10)), POOL_OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(i % 2 ? pool_submit(pool, add_one, &runs) : pool_invoke(pool, &runs), POOL_OK);
    assert_int_equal(pool_wait(pool), POOL_OK);
    assert_int_equal(runs.load(), 100);
    assert_int_equal(pool_destroy(pool), POOL_OK);
}

static void test_lambda_is_a_task(void **)
{
    int number = 20;
    pool_t *pool = nullptr;
    assert_int_equal(pool_new(&pool, 1), POOL_OK);
    assert_int_equal(pool_submit(pool, [](void *n) { *static_cast<int *>(n) += 1; }, &number), POOL_OK);
    assert_int_equal(pool_destroy(pool), POOL_OK);
    assert_int_equal(number, 21);
}

static int use_a_scoped_pool(std::atomic<int> *runs)
{
    POOL_SCOPED(pool);
    if (pool_new(&pool, 1) != POOL_OK)
        return -1;
    return pool_submit(pool, add_one, runs) == POOL_OK ? 1 : -1;
}

static void test_scoped_pool(void **)
{
    std::atomic<int> runs{0};
    assert_int_equal(use_a_scoped_pool(&runs), 1);
    assert_int_equal(runs.load(), 1);
}

static void test_panic_reaches_the_handler(void **)
{
    std::atomic<int> panics{0};
    pool_t *pool = nullptr;
    pool_panic_fn count = [](void *user, const pool_panic_info_t *info) {
        if (std::strcmp(info->message, "no 7") == 0)
            add_one(user);
    };
    assert_int_equal(pool_new_with(&pool, 1, pool_with_panic_handler(count, &panics)), POOL_OK);
    assert_int_equal(pool_submit(pool, [](void *) { pool_panicf("no %d", 7); }, nullptr), POOL_OK);
    assert_int_equal(pool_destroy(pool), POOL_OK);
    assert_int_equal(panics.load(), 1);
}

/* ---- Exceptions ---------------------------------------------------------------------------- */

struct heard {
    std::string message;
    std::atomic<int> panics{0}, destroyed{0};
};

static void hear_panic(void *user, const pool_panic_info_t *info)
{
    heard *h = static_cast<heard *>(user);
    h->message = info->message;
    h->panics++;
}

struct guard {
    heard *h;
    ~guard() { h->destroyed++; }
};

static void throw_error(void *user)
{
    guard g{static_cast<heard *>(user)};
    throw std::runtime_error("no paper in tray 2");
}

static void throw_number(void *user)
{
    guard g{static_cast<heard *>(user)};
    throw 7;
}

static void throw_nothing(void *user)
{
    guard g{static_cast<heard *>(user)};
}

static void end_thread(void *user)
{
    guard g{static_cast<heard *>(user)};
    pthread_exit(nullptr);
}

static void run_one(pool_task_fn task, heard *h)
{
    pool_t *pool = nullptr;
    assert_int_equal(pool_new_with(&pool, 1, pool_with_panic_handler(hear_panic, h),
                                   pool_with_logger([](void *, const char *) {}, nullptr)),
                     POOL_OK);
    assert_int_equal(pool_submit(pool, task, h), POOL_OK);
    assert_int_equal(pool_wait(pool), POOL_OK);
    std::atomic<int> after{0};
    assert_int_equal(pool_submit(pool, add_one, &after), POOL_OK);
    assert_int_equal(pool_destroy(pool), POOL_OK);
    assert_int_equal(after.load(), 1);
    assert_int_equal(h->destroyed.load(), 1);
}

static void test_exception_becomes_a_panic(void **)
{
    heard error, number, nothing;
    run_one(pool_catching<throw_error>, &error);
    assert_int_equal(error.panics.load(), 1);
    assert_string_equal(error.message.c_str(), "no paper in tray 2");
    run_one(pool_catching<throw_number>, &number);
    assert_int_equal(number.panics.load(), 1);
    run_one(pool_catching<throw_nothing>, &nothing);
    assert_int_equal(nothing.panics.load(), 0);
}

static void test_pthread_exit_passes_what_catches_exceptions(void **)
{
    heard h;
    run_one(pool_catching<end_thread>, &h);
    assert_int_equal(h.panics.load(), 0);
}

static void throw_through_c(void)
{
    pool_t *pool = nullptr;
    heard h;
    std::set_terminate([] { _exit(42); });
    if (pool_new(&pool, 1) == POOL_OK && pool_submit(pool, throw_error, &h) == POOL_OK)
        (void)pool_wait(pool);
    _exit(0);
}

static void test_exception_that_leaves_a_task_is_terminate(void **)
{
    pid_t child = fork();
    if (child == 0)
        throw_through_c();
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
}

static void set_queue(pool_options_t *options, const pool_option_t *self)
{
    options->queue = self->value.number;
}

static void test_an_option_that_the_user_wrote(void **)
{
    pool_option_t option = {};
    option.apply = set_queue;
    option.value.number = 8;
    pool_t *pool = nullptr;
    assert_int_equal(pool_new_with(&pool, 1, {option}), POOL_OK);
    assert_int_equal(pool_free_slots(pool), 9);
    assert_int_equal(pool_destroy(pool), POOL_OK);
}

#define checked(test) cmocka_unit_test_setup_teardown(test, nothing_left_over, no_thread_left)

int main()
{
    const CMUnitTest tests[] = {
        checked(test_new_with_options_one_by_one),
        checked(test_new_with_a_single_option),
        checked(test_new_with_options_in_braces),
        checked(test_new_with_stored_options),
        checked(test_new_from_an_array),
        checked(test_multipool_in_both_forms),
        checked(test_new_with_an_option_that_is_refused),
        checked(test_tasks_run),
        checked(test_lambda_is_a_task),
        checked(test_scoped_pool),
        checked(test_panic_reaches_the_handler),
        checked(test_exception_becomes_a_panic),
        checked(test_pthread_exit_passes_what_catches_exceptions),
        checked(test_exception_that_leaves_a_task_is_terminate),
        checked(test_an_option_that_the_user_wrote),
    };
    return cmocka_run_group_tests_name("cxx", tests, nullptr, nullptr);
}
