/* Tasks that give up: what the handler is told, and that nothing else is lost. */
#include "faults.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

/* What the last panic handler was told. */
static struct {
    atomic_int calls;
    void *value;
    char message[512];
    bool has_message;
    pool_task_fn task;
    void *arg;
    int copied;
    char pool_name[64];
    int worker;
    int backtrace_size;
    bool backtrace_has_null;
    pthread_t thread;
    void *user;
} told;

static void note_panic(void *user, const pool_panic_info_t *info)
{
    told.value = info->value;
    told.has_message = info->message != NULL;
    snprintf(told.message, sizeof told.message, "%s", told.has_message ? info->message : "");
    told.task = info->task;
    told.arg = info->arg;
    snprintf(told.pool_name, sizeof told.pool_name, "%s", info->pool_name);
    told.worker = info->worker;
    told.backtrace_size = info->backtrace_size;
    told.backtrace_has_null = false;
    for (int i = 0; i < info->backtrace_size; i++)
        told.backtrace_has_null |= info->backtrace[i] == NULL;
    told.thread = pthread_self();
    told.user = user;
    atomic_fetch_add(&told.calls, 1);
}

static void forget(void)
{
    memset(&told, 0, sizeof told);
}

static void panic_task(void *value)
{
    pool_panic(value);
}

static void panicf_task(void *number)
{
    pool_panicf("order %d of %s failed", *(int *)number, "ants");
}

static void test_handler_gets_the_value(void **state)
{
    (void)state;
    int value, user;
    forget();
    pool_t *pool = make_pool_with(10, pool_with_panic_handler(note_panic, &user), pool_with_name("risky"));
    assert_ok(pool_submit(pool, panic_task, &value));
    assert_ok(pool_wait(pool));
    assert_int_equal(told.calls, 1);
    assert_ptr_equal(told.value, &value);
    assert_false(told.has_message);
    assert_true(told.task == panic_task);
    assert_ptr_equal(told.arg, &value);
    assert_string_equal(told.pool_name, "risky");
    assert_true(told.worker >= 0);
    assert_ptr_equal(told.user, &user);
    assert_int_equal(pool_running(pool), 0);
    assert_ok(pool_destroy(pool));
}

static void test_handler_gets_the_message(void **state)
{
    (void)state;
    int number = 41;
    forget();
    pool_t *pool = make_pool_with(1, pool_with_panic_handler(note_panic, NULL));
    assert_ok(pool_submit(pool, panicf_task, &number));
    assert_ok(pool_wait(pool));
    assert_true(told.has_message);
    assert_string_equal(told.message, "order 41 of ants failed");
    assert_null(told.value);
    assert_ok(pool_destroy(pool));
}

static void panic_at_length(void *text)
{
    pool_panicf("%s", (char *)text);
}

static void test_first_255_bytes_of_the_message_are_kept(void **state)
{
    (void)state;
    char text[1000];
    memset(text, 'm', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    forget();
    pool_t *pool = make_pool_with(1, pool_with_panic_handler(note_panic, NULL));
    assert_ok(pool_submit(pool, panic_at_length, text));
    assert_ok(pool_wait(pool));
    assert_int_equal(strlen(told.message), 255);
    assert_memory_equal(told.message, text, 255);
    assert_ok(pool_destroy(pool));
}

static void test_handler_gets_a_backtrace(void **state)
{
    (void)state;
    forget();
    pool_t *pool = make_pool_with(1, pool_with_panic_handler(note_panic, NULL));
    assert_ok(pool_submit(pool, panic_task, NULL));
    assert_ok(pool_wait(pool));
#ifdef __GLIBC__
    assert_true(told.backtrace_size > 0);
#endif
    assert_false(told.backtrace_has_null);
    assert_ok(pool_destroy(pool));
}

static void test_handler_of_a_bound_function(void **state)
{
    (void)state;
    int value;
    forget();
    pool_t *pool = make_pool_with(10, pool_with_func(panic_task), pool_with_panic_handler(note_panic, NULL));
    assert_ok(pool_invoke(pool, &value));
    assert_ok(pool_wait(pool));
    assert_int_equal(told.calls, 1);
    assert_ptr_equal(told.value, &value);
    assert_ok(pool_destroy(pool));
}

static void test_handler_of_a_preallocated_pool(void **state)
{
    (void)state;
    forget();
    pool_t *pool = make_pool_with(10, pool_with_prealloc(true), pool_with_panic_handler(note_panic, NULL));
    assert_ok(pool_submit(pool, panic_task, NULL));
    assert_ok(pool_wait(pool));
    assert_int_equal(told.calls, 1);
    assert_int_equal(pool_running(pool), 0);
    assert_ok(pool_destroy(pool));
}

static void read_copied_argument(void *user, const pool_panic_info_t *info)
{
    note_panic(user, info);
    memcpy(&told.copied, info->arg, sizeof told.copied);
}

static void test_handler_reads_the_private_copy(void **state)
{
    (void)state;
    int number = 77;
    forget();
    pool_t *pool = make_pool_with(1, pool_with_panic_handler(read_copied_argument, NULL));
    assert_ok(pool_submit_copy(pool, panicf_task, &number, sizeof number));
    assert_ok(pool_wait(pool));
    assert_int_equal(told.copied, 77);
    assert_ptr_not_equal(told.arg, &number);
    assert_ok(pool_destroy(pool));
}

static void note_thread(void *thread)
{
    *(pthread_t *)thread = pthread_self();
}

static void test_handler_runs_in_the_worker_which_lives_on(void **state)
{
    (void)state;
    atomic_int threads = 0;
    pthread_t next;
    forget();
    pool_t *pool = make_pool_with(1, pool_with_panic_handler(note_panic, NULL),
                                  pool_with_thread_hooks(count_task, NULL, &threads));
    assert_ok(pool_submit(pool, panic_task, NULL));
    assert_ok(pool_wait(pool));
    assert_true(eventually_equals(pool_idle, pool, 1));
    assert_ok(pool_submit(pool, note_thread, &next));
    assert_ok(pool_wait(pool));
    assert_true(pthread_equal(told.thread, next));
    assert_int_equal(threads, 1);
    assert_ok(pool_destroy(pool));
}

static void test_every_panic_is_told(void **state)
{
    (void)state;
    int n = scaled(5000);
    atomic_int runs = 0;
    forget();
    pool_t *pool = make_pool_with(1, pool_with_queue(10), pool_with_panic_handler(note_panic, NULL));
    for (int i = 0; i < n; i++) {
        assert_ok(pool_submit(pool, panic_task, NULL));
        assert_ok(pool_submit(pool, count_task, &runs));
    }
    assert_ok(pool_destroy(pool));
    assert_int_equal(told.calls, n);
    assert_int_equal(runs, n);
}

static void panic_again(void *user, const pool_panic_info_t *info)
{
    note_panic(user, info);
    pool_panicf("and the handler as well");
}

static void test_panic_inside_the_handler_is_swallowed(void **state)
{
    (void)state;
    atomic_int runs = 0, threads = 0;
    forget();
    pool_t *pool = make_pool_with(1, pool_with_queue(30), pool_with_panic_handler(panic_again, NULL),
                                  pool_with_logger(count_logger, NULL),
                                  pool_with_thread_hooks(count_task, NULL, &threads));
    for (int i = 0; i < 10; i++) {
        assert_ok(pool_submit(pool, panic_task, NULL));
        assert_ok(pool_submit(pool, count_task, &runs));
    }
    assert_ok(pool_destroy(pool));
    assert_int_equal(told.calls, 10);
    assert_int_equal(runs, 10);
    assert_int_equal(threads, 1);
}

static void test_panic_of_a_caller_run_task_is_told_in_the_submitter(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    int value;
    forget();
    pool_t *pool = make_pool_with(1, pool_with_policy(POOL_CALLER_RUNS),
                                  pool_with_panic_handler(note_panic, NULL));
    occupy(pool, &gate, 1);
    assert_ok(pool_submit(pool, panic_task, &value));
    assert_int_equal(told.calls, 1);
    assert_int_equal(told.worker, -1);
    assert_ptr_equal(told.value, &value);
    assert_true(pthread_equal(told.thread, pthread_self()));
    assert_null(pool_current());
    assert_int_equal(pool_running(pool), 1);
    open_and_destroy(pool, &gate);
}

struct outer {
    pool_t *inner_pool;
    pool_err answer;
    pool_t *current_after;
    bool finished;
};

static void run_an_inner_task_that_panics(void *arg)
{
    struct outer *outer = arg;
    outer->answer = pool_submit(outer->inner_pool, panic_task, NULL);
    outer->current_after = pool_current();
    outer->finished = true;
}

static void test_panic_of_a_caller_run_task_leaves_the_outer_task_alone(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    forget();
    struct outer outer = {.inner_pool = make_pool_with(1, pool_with_policy(POOL_CALLER_RUNS),
                                                       pool_with_panic_handler(note_panic, NULL))};
    pool_t *pool = make_pool(1);
    occupy(outer.inner_pool, &gate, 1);
    assert_ok(pool_submit(pool, run_an_inner_task_that_panics, &outer));
    assert_ok(pool_wait(pool));
    assert_true(outer.finished);
    assert_int_equal(outer.answer, POOL_OK);
    assert_ptr_equal(outer.current_after, pool);
    assert_int_equal(told.calls, 1);
    assert_ok(pool_destroy(pool));
    open_and_destroy(outer.inner_pool, &gate);
}

/* ---- Outside a task ---- */

static void panic_here(void *unused)
{
    (void)unused;
    pool_panicf("not %s", "here");
}

static void test_panic_outside_a_task_aborts_with_a_message(void **state)
{
    (void)state;
    child_t child = child_run(panic_here, NULL);
    assert_true(child_died_of(&child, SIGABRT));
    assert_non_null(strstr(child.output, "pool_panic"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_handler_gets_the_value),
        checked(test_handler_gets_the_message),
        checked(test_first_255_bytes_of_the_message_are_kept),
        checked(test_handler_gets_a_backtrace),
        checked(test_handler_of_a_bound_function),
        checked(test_handler_of_a_preallocated_pool),
        checked(test_handler_reads_the_private_copy),
        checked(test_handler_runs_in_the_worker_which_lives_on),
        checked(test_every_panic_is_told),
        checked(test_panic_inside_the_handler_is_swallowed),
        checked(test_panic_of_a_caller_run_task_is_told_in_the_submitter),
        checked(test_panic_of_a_caller_run_task_leaves_the_outer_task_alone),
        checked(test_panic_outside_a_task_aborts_with_a_message),
    };
    return cmocka_run_group_tests_name("panic", tests, NULL, NULL);
}
