/* What nobody else is told: the lines of the logger, or on stderr. */
#define _GNU_SOURCE
#include "support.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void panicf_task(void *number)
{
    pool_panicf("order %d of %s failed", *(int *)number, "ants");
}

static void count_panic(void *counter, const pool_panic_info_t *info)
{
    (void)info;
    count_task(counter);
}

static struct {
    atomic_int lines;
    char line[1024];
    void *user;
} logged;

static void note_line(void *user, const char *message)
{
    snprintf(logged.line, sizeof logged.line, "%s", message);
    logged.user = user;
    atomic_fetch_add(&logged.lines, 1);
}

static void panic_into_the_log(pool_t *pool)
{
    int number = 5;
    memset(&logged, 0, sizeof logged);
    assert_ok(pool_submit(pool, panicf_task, &number));
    assert_ok(pool_wait(pool));
    assert_int_equal(logged.lines, 1);
    assert_null(strchr(logged.line, '\n'));
    assert_non_null(strstr(logged.line, "risky"));
    assert_non_null(strstr(logged.line, "order 5 of ants failed"));
    assert_ptr_equal(logged.user, &logged);
    assert_ok(pool_destroy(pool));
    assert_int_equal(logged.lines, 1);
}

static void test_panic_without_a_handler_is_a_line_of_the_logger(void **state)
{
    (void)state;
    panic_into_the_log(make_pool_with(10, pool_with_logger(note_line, &logged), pool_with_name("risky")));
}

static void test_long_names_leave_room_for_the_message(void **state)
{
    (void)state;
    char name[1000];
    memset(name, 'n', sizeof name);
    memcpy(name, "risky", 5);
    name[sizeof name - 1] = '\0';
    panic_into_the_log(make_pool_with(1, pool_with_logger(note_line, &logged), pool_with_name(name)));
}

static void test_panic_without_a_handler_in_a_preallocated_pool(void **state)
{
    (void)state;
    panic_into_the_log(make_pool_with(10, pool_with_logger(note_line, &logged), pool_with_name("risky"),
                                      pool_with_prealloc(true)));
}

static void test_no_handler_is_none(void **state)
{
    (void)state;
    panic_into_the_log(make_pool_with(10, pool_with_logger(note_line, &logged), pool_with_name("risky"),
                                      pool_with_panic_handler(count_panic, NULL),
                                      pool_with_panic_handler(NULL, NULL)));
}

static void test_handler_is_told_instead_of_the_logger(void **state)
{
    (void)state;
    int number = 7;
    atomic_int panics = 0;
    memset(&logged, 0, sizeof logged);
    pool_t *pool = make_pool_with(1, pool_with_logger(note_line, &logged),
                                  pool_with_panic_handler(count_panic, &panics));
    assert_ok(pool_submit(pool, panicf_task, &number));
    assert_ok(pool_destroy(pool));
    assert_int_equal(panics, 1);
    assert_int_equal(logged.lines, 0);
}

/* Runs `act` with stderr going to a file; what was written there comes back. */
static void with_stderr_kept(void (*act)(void), char *text, size_t size)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    int kept = dup(STDERR_FILENO);
    assert_true(kept >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    act();
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

static void panic_in_a_plain_pool(void)
{
    int number = 6;
    pool_t *pool = NULL;
    (void)!pool_new_with(&pool, 1, pool_with_name("risky"));
    (void)!pool_submit(pool, panicf_task, &number);
    (void)pool_destroy(pool);
}

static void test_panic_without_handler_and_logger_is_a_line_on_stderr(void **state)
{
    (void)state;
    char text[4096];
    with_stderr_kept(panic_in_a_plain_pool, text, sizeof text);
    char *end = strchr(text, '\n');
    assert_non_null(strstr(text, "risky"));
    assert_non_null(strstr(text, "order 6 of ants failed"));
    assert_non_null(end);
    assert_string_equal(end, "\n");
}

static void end_the_thread(void *unused)
{
    (void)unused;
    pthread_exit(NULL);
}

static void test_task_that_ends_its_thread_is_a_line(void **state)
{
    (void)state;
    memset(&logged, 0, sizeof logged);
    pool_t *pool = make_pool_with(2, pool_with_logger(note_line, &logged), pool_with_name("risky"));
    assert_ok(pool_submit(pool, end_the_thread, NULL));
    assert_ok(pool_destroy(pool));
    assert_int_equal(logged.lines, 1);
    assert_non_null(strstr(logged.line, "risky"));
    assert_null(strchr(logged.line, '\n'));
}

static void test_pool_in_good_order_logs_nothing(void **state)
{
    (void)state;
    memset(&logged, 0, sizeof logged);
    pool_t *pool = make_pool_with(2, pool_with_queue(5), pool_with_logger(note_line, &logged),
                                  pool_with_expiry_ms(1));
    for (int i = 0; i < 100; i++)
        assert_ok(pool_submit(pool, empty_task, NULL));
    assert_true(eventually_equals(pool_workers, pool, 0));
    assert_ok(pool_tune(pool, 1));
    assert_ok(pool_release_timeout(pool, POOL_FOREVER));
    assert_ok(pool_reboot(pool));
    assert_ok(pool_destroy(pool));
    assert_int_equal(logged.lines, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_panic_without_a_handler_is_a_line_of_the_logger),
        checked(test_long_names_leave_room_for_the_message),
        checked(test_panic_without_a_handler_in_a_preallocated_pool),
        checked(test_no_handler_is_none),
        checked(test_handler_is_told_instead_of_the_logger),
        checked(test_panic_without_handler_and_logger_is_a_line_on_stderr),
        checked(test_task_that_ends_its_thread_is_a_line),
        checked(test_pool_in_good_order_logs_nothing),
    };
    return cmocka_run_group_tests_name("logger", tests, NULL, NULL);
}
