/* Faults: a task panics, and so does the panic handler; panics where they are least
 * expected. */
#define _GNU_SOURCE
#include "faults.h"

#include <signal.h>
#include <string.h>

/* What the handler was told last; read after pool_wait. */
typedef struct report {
    atomic_int calls;
    void *value, *arg;
    pool_task_fn task;
    char message[300];
    char pool_name[32];
    int worker;
    bool panic_again;
    pool_t *pool; /* to call from the handler */
    pool_err wait, destroy, submit;
} report_t;

static void note_panic(void *user, const pool_panic_info_t *info)
{
    report_t *r = user;
    count_task(&r->calls);
    r->value = info->value;
    r->arg = info->arg;
    r->task = info->task;
    r->worker = info->worker;
    strncpy(r->message, info->message == NULL ? "" : info->message, sizeof r->message - 1);
    strncpy(r->pool_name, info->pool_name, sizeof r->pool_name - 1);
    if (r->panic_again && r->calls % 2 == 0)
        pool_panic(r);
    if (r->panic_again)
        pool_panicf("in the handler");
}

static void panic_task(void *value)
{
    pool_panic(value);
}

static void panicf_task(void *number)
{
    pool_panicf("number %d", *(int *)number);
}

static void test_panic_is_reported_and_the_worker_lives(void **state)
{
    (void)state;
    pool_t *pool;
    report_t r = {0};
    int number = 7;
    atomic_int started = 0;
    assert_ok(pool_new_with(&pool, 1, pool_with_queue(1), pool_with_name("mail"),
                            pool_with_thread_hooks(count_task, NULL, &started),
                            pool_with_panic_handler(note_panic, &r)));
    assert_ok(pool_submit(pool, panic_task, &number));
    assert_ok(pool_wait(pool));
    assert_ptr_equal(r.value, &number);
    assert_string_equal(r.message, "");
    assert_ok(pool_submit(pool, panicf_task, &number));
    assert_ok(pool_wait(pool));
    assert_null(r.value);
    assert_string_equal(r.message, "number 7");
    assert_true(r.task == panicf_task && r.arg == &number);
    assert_string_equal(r.pool_name, "mail");
    assert_true(r.worker >= 0);
    assert_int_equal(r.calls, 2);
    assert_int_equal(started, 1); /* the same thread all along */
    assert_ok(pool_destroy(pool));
}

static void test_panic_in_the_panic_handler_is_swallowed(void **state)
{
    (void)state;
    pool_t *pool;
    report_t r = {.panic_again = true};
    atomic_int ran = 0, started = 0;
    assert_ok(pool_new_with(&pool, 1, pool_with_queue(2), pool_with_logger(count_logger, NULL),
                            pool_with_thread_hooks(count_task, NULL, &started),
                            pool_with_panic_handler(note_panic, &r)));
    for (int i = 0; i < 10; i++) {
        assert_ok(pool_submit(pool, panic_task, NULL));
        assert_ok(pool_submit(pool, count_task, &ran));
    }
    assert_ok(pool_wait(pool));
    assert_int_equal(r.calls, 10); /* once for each task, not for its own panics */
    assert_int_equal(ran, 10);
    assert_int_equal(started, 1);
    assert_int_equal(pool_running(pool), 0);
    assert_int_equal(pool_free_slots(pool), 3);
    assert_ok(pool_destroy(pool));
}

static void test_panic_without_a_handler_gives_a_line_each(void **state)
{
    (void)state;
    pool_t *pool;
    atomic_int lines = 0;
    assert_ok(pool_new_with(&pool, 1, pool_with_logger(count_logger, &lines)));
    for (int i = 0; i < 3; i++)
        assert_ok(pool_submit(pool, panic_task, NULL));
    assert_ok(pool_destroy(pool));
    assert_int_equal(lines, 3);
}

static void long_message(void *unused)
{
    (void)unused;
    pool_panicf("%0400d", 1);
}

static void test_long_panic_message_is_cut(void **state)
{
    (void)state;
    pool_t *pool;
    report_t r = {0};
    assert_ok(pool_new_with(&pool, 1, pool_with_panic_handler(note_panic, &r)));
    assert_ok(pool_submit(pool, long_message, NULL));
    assert_ok(pool_destroy(pool));
    assert_int_equal(strlen(r.message), 255);
}

typedef struct spoiler {
    bool signal_was_blocked;
    int cancel_state;
} spoiler_t;

static void spoil_thread_and_panic(void *unused)
{
    (void)unused;
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    pool_panic(NULL);
}

static void look_at_thread(void *arg)
{
    spoiler_t *s = arg;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    s->signal_was_blocked = sigismember(&mask, SIGTERM);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &s->cancel_state);
}

static void test_panic_restores_mask_and_cancel_state(void **state)
{
    (void)state;
    pool_t *pool;
    spoiler_t s = {false, -1};
    assert_ok(pool_new_with(&pool, 1, pool_with_logger(count_logger, NULL)));
    assert_ok(pool_submit(pool, spoil_thread_and_panic, NULL));
    assert_ok(pool_submit(pool, look_at_thread, &s));
    assert_ok(pool_destroy(pool));
    assert_true(s.signal_was_blocked);
    assert_int_equal(s.cancel_state, PTHREAD_CANCEL_DISABLE);
}

/* ---- Panics in the submitter -------------------------------------------------------------- */

static void test_panic_of_a_caller_runs_task_returns_to_the_submitter(void **state)
{
    (void)state;
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    report_t r = {.worker = 99, .panic_again = true};
    sigset_t before, after;
    assert_ok(pool_new_with(&pool, 1, pool_with_policy(POOL_CALLER_RUNS),
                            pool_with_logger(count_logger, NULL),
                            pool_with_panic_handler(note_panic, &r)));
    assert_ok(pool_submit(pool, gate_task, &gate));
    assert_true(gate_await(&gate, 1));
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    for (int i = 0; i < 3; i++)
        assert_ok(pool_submit(pool, panic_task, &r));
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(r.calls, 3);
    assert_ptr_equal(r.value, &r);
    assert_int_equal(r.worker, -1);
    assert_null(pool_current());
    assert_int_equal(pool_running(pool), 1);
    assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
    gate_open(&gate);
    assert_ok(pool_destroy(pool));
    gate_fini(&gate);
}

typedef struct outer {
    pool_t *pool;
    atomic_int went_on;
} outer_t;

static void submit_a_panic_inline(void *arg)
{
    outer_t *o = arg;
    if (pool_submit(o->pool, panic_task, NULL) == POOL_OK && pool_current() == o->pool)
        count_task(&o->went_on);
}

/* The inner task panics inside the outer one, on a worker; only the inner one gives up. */
static void test_panic_of_a_caller_runs_task_restores_mask_and_cancel_state(void **state)
{
    (void)state;
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    sigset_t term, before, after;
    int cancel_state;
    assert_ok(pool_new_with(&pool, 1, pool_with_policy(POOL_CALLER_RUNS),
                            pool_with_logger(count_logger, NULL)));
    assert_ok(pool_submit(pool, gate_task, &gate));
    assert_true(gate_await(&gate, 1));
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, &before);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    assert_ok(pool_submit(pool, spoil_thread_and_panic, NULL));
    pthread_setcancelstate(cancel_state, &cancel_state);
    pthread_sigmask(SIG_SETMASK, &before, &after);
    assert_true(sigismember(&after, SIGTERM));
    assert_int_equal(cancel_state, PTHREAD_CANCEL_DISABLE);
    gate_open(&gate);
    assert_ok(pool_destroy(pool));
    gate_fini(&gate);
}

static void test_panic_inside_an_inline_task_spares_the_outer_one(void **state)
{
    (void)state;
    report_t r = {0};
    outer_t o = {0};
    assert_ok(pool_new_with(&o.pool, 1, pool_with_policy(POOL_CALLER_RUNS),
                            pool_with_panic_handler(note_panic, &r)));
    assert_ok(pool_submit(o.pool, submit_a_panic_inline, &o));
    assert_ok(pool_wait(o.pool));
    assert_ok(pool_destroy(o.pool));
    assert_int_equal(o.went_on, 1);
    assert_int_equal(r.calls, 1);
}

/* ---- What the handler may call -------------------------------------------------------------- */

static void call_from_handler(void *user, const pool_panic_info_t *info)
{
    (void)info;
    report_t *r = user;
    r->wait = pool_wait(r->pool);
    r->destroy = pool_destroy(r->pool);
    r->submit = pool_submit(r->pool, count_task, &r->calls);
}

static void test_panic_handler_may_submit_but_not_wait(void **state)
{
    (void)state;
    report_t r = {0};
    assert_ok(pool_new_with(&r.pool, 1, pool_with_queue(1),
                            pool_with_panic_handler(call_from_handler, &r)));
    assert_ok(pool_submit(r.pool, panic_task, NULL));
    assert_ok(pool_wait(r.pool));
    assert_false(pool_is_closed(r.pool));
    assert_ok(pool_destroy(r.pool));
    assert_int_equal(r.wait, POOL_ERR_DEADLOCK);
    assert_int_equal(r.destroy, POOL_ERR_DEADLOCK);
    assert_ok(r.submit);
    assert_int_equal(r.calls, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_panic_is_reported_and_the_worker_lives),
        checked(test_panic_in_the_panic_handler_is_swallowed),
        checked(test_panic_without_a_handler_gives_a_line_each),
        checked(test_long_panic_message_is_cut),
        checked(test_panic_restores_mask_and_cancel_state),
        checked(test_panic_of_a_caller_runs_task_returns_to_the_submitter),
        checked(test_panic_of_a_caller_runs_task_restores_mask_and_cancel_state),
        checked(test_panic_inside_an_inline_task_spares_the_outer_one),
        checked(test_panic_handler_may_submit_but_not_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
