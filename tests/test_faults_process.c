/* Faults that end the process, each tried in a child: a crash in a task is as it would be
 * without the pool, a panic outside a task aborts, exit with a live pool just ends. */
#define _GNU_SOURCE
#include "faults.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if UNDER_TSAN
/* A worker that has expired is joined by whoever needs it next. At exit there may be nobody,
 * and this sanitizer calls that a leak. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "report_thread_leaks=0:atexit_sleep_ms=0";
}
#endif

#define child_ok(call) child_assert((call) == POOL_OK)

/* Reachable until the process has ended. */
static pool_t *pool;
static gate_t gate = GATE_CLOSED;

static void run_in_worker(void *task)
{
    child_ok(pool_new(&pool, 2));
    child_ok(pool_submit(pool, *(pool_task_fn *)task, NULL));
    pool_wait(pool); /* the process must end meanwhile */
    dprintf(STDERR_FILENO, "the task did not end the process\n");
}

static child_t child_with_task(pool_task_fn task)
{
    return child_run(run_in_worker, &task);
}

/* A page without rights, so that no sanitizer takes the access for a bug of its own field. */
static void touch_forbidden_page(void *unused)
{
    (void)unused;
    volatile char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *page = 1;
}

static void abort_task(void *unused)
{
    (void)unused;
    abort();
}

static void test_segmentation_fault_in_a_task_kills_the_process(void **state)
{
    (void)state;
    child_t child = child_with_task(touch_forbidden_page);
    assert_true(child_died_of(&child, SIGSEGV));
}

static void test_abort_in_a_task_kills_the_process(void **state)
{
    (void)state;
    child_t child = child_with_task(abort_task);
    assert_true(child_died_of(&child, SIGABRT));
}

static void exit_42(int signal)
{
    (void)signal;
    _exit(42);
}

static void crash_with_a_handler(void *unused)
{
    (void)unused;
    pool_task_fn task = touch_forbidden_page;
    signal(SIGSEGV, exit_42);
    run_in_worker(&task);
}

static void test_crash_in_a_task_runs_the_handler_of_the_application(void **state)
{
    (void)state;
    child_t child = child_run(crash_with_a_handler, NULL);
    assert_true(child_exited(&child, 42));
}

/* Small frames, each used before and after the call, so that none can be left out. */
static unsigned dig(unsigned depth)
{
    volatile char frame[1024];
    memset((char *)(uintptr_t)frame, (int)depth, sizeof frame);
    unsigned below = depth == 0 ? 0 : dig(depth - 1);
    return below + (unsigned char)frame[depth % sizeof frame];
}

static void overflow_stack(void *unused)
{
    (void)unused;
    volatile unsigned sink = dig(100000); /* 100 MB: no stack of a worker holds that */
    (void)sink;
}

static void test_stack_overflow_in_a_task_is_caught_by_the_guard_page(void **state)
{
    (void)state;
    child_t child = child_with_task(overflow_stack);
    assert_true(child_died_of(&child, SIGSEGV));
}

static void look_for_guard(void *size)
{
    pthread_attr_t mine;
    if (pthread_getattr_np(pthread_self(), &mine) != 0)
        return;
    pthread_attr_getguardsize(&mine, size);
    pthread_attr_destroy(&mine);
}

/* Without one the overflow may still end in a crash, or in another thread's stack. */
static void test_worker_has_a_guard_page(void **state)
{
    (void)state;
    size_t guard = 0;
    assert_ok(pool_new(&pool, 1));
    assert_ok(pool_submit(pool, look_for_guard, &guard));
    assert_ok(pool_destroy(pool));
    assert_true(guard >= 4096);
}

/* ---- Panic outside a task ------------------------------------------------------------------ */

static void panic_outside(void *unused)
{
    pool_panic(unused);
}

static void panicf_outside(void *unused)
{
    (void)unused;
    child_ok(pool_new(&pool, 1));
    pool_panicf("no task in sight");
}

static void panic_in_discard(void *unused, pool_task_fn fn, void *arg)
{
    (void)unused, (void)fn, (void)arg;
    pool_panicf("no task in sight");
}

static void panic_in_callback(void *unused)
{
    (void)unused;
    child_ok(pool_new_with(&pool, 1, pool_with_queue(1)));
    child_ok(pool_submit(pool, gate_task, &gate));
    child_assert(gate_await(&gate, 1));
    child_ok(pool_submit(pool, empty_task, NULL));
    pool_release_now(pool, panic_in_discard, NULL);
}

static void test_panic_outside_a_task_aborts_with_a_message(void **state)
{
    (void)state;
    child_t child = child_run(panic_outside, NULL);
    assert_true(child_died_of(&child, SIGABRT));
    assert_non_null(strstr(child.output, "pool_panic"));
    child = child_run(panicf_outside, NULL);
    assert_true(child_died_of(&child, SIGABRT));
    assert_non_null(strstr(child.output, "no task in sight"));
    child = child_run(panic_in_callback, NULL);
    assert_true(child_died_of(&child, SIGABRT));
    assert_non_null(strstr(child.output, "pool_panic"));
}

/* ---- exit() ---------------------------------------------------------------------------------- */

static void exit_idle(void *unused)
{
    (void)unused;
    child_ok(pool_new_with(&pool, 4, pool_with_prestart(4)));
    child_assert(eventually_equals(pool_idle, pool, 4));
    exit(0);
}

static void exit_untouched(void *unused)
{
    (void)unused;
    child_ok(pool_new(&pool, 4));
    exit(0);
}

/* A task that runs, one that is queued, and the default pool beside them. */
static void exit_busy(void *unused)
{
    (void)unused;
    child_ok(pool_new_with(&pool, 1, pool_with_queue(1)));
    child_ok(pool_submit(pool, gate_task, &gate));
    child_assert(gate_await(&gate, 1));
    child_ok(pool_submit(pool, empty_task, NULL));
    child_ok(pool_submit(pool_default(), empty_task, NULL));
    exit(0);
}

static void exit_with_blocked_submitter(void *unused)
{
    static submitter_t s; /* as reachable as the pool */
    (void)unused;
    child_ok(pool_new(&pool, 1));
    child_ok(pool_submit(pool, gate_task, &gate));
    submitter_start(&s, pool, empty_task, NULL);
    child_assert(eventually_equals(pool_waiting, pool, 1));
    exit(0);
}

static void exit_task(void *unused)
{
    (void)unused;
    exit(0);
}

static void exit_inside_a_task(void *unused)
{
    (void)unused;
    pool_task_fn task = exit_task;
    run_in_worker(&task);
    _exit(4);
}

static void exit_after_expiry(void *unused)
{
    (void)unused;
    child_ok(pool_new_with(&pool, 2, pool_with_prestart(2), pool_with_expiry_ms(1)));
    child_assert(eventually_equals(pool_workers, pool, 0));
    exit(0);
}

static void exits_in_silence(void (*body)(void *))
{
    child_t child = child_run(body, NULL);
    assert_true(child_exited(&child, 0));
    assert_string_equal(child.output, "");
}

static void test_exit_with_an_idle_pool(void **state)
{
    (void)state;
    exits_in_silence(exit_idle);
    exits_in_silence(exit_untouched);
}

static void test_exit_with_a_busy_pool(void **state)
{
    (void)state;
    exits_in_silence(exit_busy);
}

static void test_exit_with_a_blocked_submitter(void **state)
{
    (void)state;
    exits_in_silence(exit_with_blocked_submitter);
}

static void test_exit_inside_a_task(void **state)
{
    (void)state;
    exits_in_silence(exit_inside_a_task);
}

static void test_exit_after_workers_have_expired(void **state)
{
    (void)state;
    exits_in_silence(exit_after_expiry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_segmentation_fault_in_a_task_kills_the_process),
        checked(test_abort_in_a_task_kills_the_process),
        checked(test_crash_in_a_task_runs_the_handler_of_the_application),
        checked(test_stack_overflow_in_a_task_is_caught_by_the_guard_page),
        checked(test_worker_has_a_guard_page),
        checked(test_panic_outside_a_task_aborts_with_a_message),
        checked(test_exit_with_an_idle_pool),
        checked(test_exit_with_a_busy_pool),
        checked(test_exit_with_a_blocked_submitter),
        checked(test_exit_inside_a_task),
        checked(test_exit_after_workers_have_expired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
