/* Faults: what the system refuses beyond memory and threads, and what it answers when it
 * is large. */
#define _GNU_SOURCE
#include "scenario.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY_PROCESSORS = 64, OTHERS = 20 };

/* ---- Frills: a name, the scheduling, the affinity ----------------------------------------- */

static void test_frills_that_fail_are_done_without(void **state)
{
    (void)state;
    for (int nth = 1, failures = 1; failures > 0; nth++) {
        inject_start(INJECT_FRILLS, nth, nth % 2 == 0);
        assert_ok(pool_new_with(&pool, 2, pool_with_prestart(2)));
        assert_pool_works();
        destroy_and_forget();
        failures = inject_stop();
    }
}

/* ---- What pool_new needs ------------------------------------------------------------------- */

static void test_stack_size_that_the_system_refuses_is_invalid(void **state)
{
    (void)state;
    int blocks = inject_live_blocks();
    inject_start(INJECT_STACK, 1, false);
    assert_int_equal(pool_new(&pool, 2), POOL_ERR_INVALID);
    assert_int_equal(inject_stop(), 1);
    assert_null(pool);
    assert_int_equal(inject_live_blocks(), blocks);
}

/* The janitor's list has grown for the others, and has to once more. */
static void test_new_beside_many_others(void **state)
{
    (void)state;
    pool_t *others[OTHERS];
    int n = 0, no_memory = 0;
    for (; n < OTHERS; n++) {
        assert_ok(pool_new_with(&others[n], 1, pool_with_expiry_ms(1)));
        for (int nth = 1, failures = 1; failures > 0; nth++) {
            inject_start(INJECT_ALL, nth, false);
            pool_err answer = pool_new(&pool, 2);
            failures = inject_stop();
            no_memory += answer == POOL_ERR_NO_MEMORY;
            assert_true(answer == POOL_OK || (failures > 0 && is_want_of_something(answer)));
            if (answer == POOL_OK)
                destroy_and_forget();
        }
    }
    assert_true(no_memory > OTHERS);
    while (n-- > 0) { /* the janitor is still there for them */
        assert_ok(pool_submit(others[n], empty_task, NULL));
        assert_true(eventually_equals(pool_workers, others[n], 0));
        assert_ok(pool_destroy(others[n]));
    }
}

static void test_many_processors(void **state)
{
    (void)state;
    const int caps[] = {1, 3, 1000, POOL_UNLIMITED};
    inject_processors(MANY_PROCESSORS);
    for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++) {
        assert_ok(pool_new(&pool, caps[i]));
        for (int round = 0; round < 100; round++)
            assert_ok(pool_submit(pool, count_task, &ran));
        assert_ok(pool_wait(pool));
        assert_pool_works();
        destroy_and_forget();
    }
    inject_processors(0);
}

/* ---- The default pool, asked for twice ------------------------------------------------------- */

static pthread_t second_asks;

static void *ask_for_default(void *unused)
{
    (void)unused;
    return pool_default();
}

/* Called while the first makes it. */
static void meanwhile_a_second_asks(void)
{
    second_asks = thread_start(ask_for_default, NULL);
    linger_us(5000); /* until it waits for the first, of which there is no sign */
}

static void test_default_pool_is_made_once(void **state)
{
    (void)state;
    void *second = NULL;
    inject_before_cond(meanwhile_a_second_asks);
    pool_t *first = pool_default();
    pthread_join(second_asks, &second);
    assert_non_null(first);
    assert_ptr_equal(second, first);
    assert_ok(pool_release_timeout(first, PATIENCE_MS));
}

/* ---- pthread_atfork is called before main: so in a program of its own ----------------------- */

static void run_again(void *unused)
{
    (void)unused;
    char self[] = "test_faults_memory_system";
    char *const argv[] = {self, NULL}, variable[] = INJECT_NO_ATFORK "=1";
    char *const env[] = {(char *)(uintptr_t)variable, NULL};
    execve("/proc/self/exe", argv, env);
    perror("execve");
    child_end(4);
}

/* Without it no fork would be noticed, so there is no pool. */
static int try_without_atfork(void)
{
    pool_t *made = NULL;
    child_assert(pool_new(&made, 1) == POOL_ERR_NO_MEMORY);
    child_assert(made == NULL);
    child_assert(pool_default() == NULL);
    return 0;
}

static void test_no_pool_without_atfork(void **state)
{
    (void)state;
    child_t child = child_run(run_again, NULL);
    assert_true(child_exited(&child, 0));
}

/* ---- A waiter finds nobody alive ------------------------------------------------------------ */

static void exit_after_gate(void *arg)
{
    gate_pass(arg);
    pthread_exit(NULL);
}

/* Called by a submit that found the pool full and is about to line up. */
static void meanwhile_the_last_worker_ends(void)
{
    gate_open(&gate);
    eventually_equals(pool_workers, pool, 0);
}

static pool_err line_up_as_the_last_worker_ends(bool threads)
{
    gate_init(&gate);
    atomic_store(&ran, 0);
    assert_ok(pool_new_with(&pool, 1, pool_with_spin_us(-1), pool_with_logger(count_logger, NULL)));
    assert_ok(pool_submit(pool, exit_after_gate, &gate));
    assert_true(gate_await(&gate, 1));
    inject_start(INJECT_THREAD, threads ? 0 : 1, true);
    inject_before_cond(meanwhile_the_last_worker_ends);
    pool_err answer = pool_submit(pool, count_task, &ran);
    inject_stop();
    return answer;
}

static void test_waiter_that_finds_nobody_alive_starts_a_worker(void **state)
{
    (void)state;
    assert_ok(line_up_as_the_last_worker_ends(true));
    assert_true(reaches(&ran, 1));
    check_works(POOL_OK);
    gate_fini(&gate);
}

static void test_waiter_that_finds_nobody_alive_and_no_thread_is_told(void **state)
{
    (void)state;
    assert_int_equal(line_up_as_the_last_worker_ends(false), POOL_ERR_NO_THREAD);
    assert_int_equal(pool_waiting(pool), 0);
    assert_int_equal(ran, 0);
    check_works(POOL_OK);
    gate_fini(&gate);
}

/* ---- A task blocked in a submit, and threads again ------------------------------------------- */

/* At the limit, the only worker: it would wait for itself. */
static void submit_inside(void *answer)
{
    gate_pass(&gate);
    *(pool_err *)answer = pool_submit(pool, count_task, &ran);
}

/* The second worker could not be had when its task came; now it can, which is a way out. */
static void test_stuck_task_starts_the_worker_that_failed_before(void **state)
{
    (void)state;
    pool_err answer = POOL_ERR_INVALID;
    gate_init(&gate);
    atomic_store(&ran, 0);
    assert_ok(pool_new_with(&pool, 2, pool_with_spin_us(-1), pool_with_logger(count_logger, NULL)));
    assert_ok(pool_submit(pool, submit_inside, &answer));
    assert_true(gate_await(&gate, 1));
    inject_start(INJECT_THREAD, 1, true);
    assert_ok(pool_submit(pool, count_task, &ran));
    assert_true(inject_stop() > 0);
    assert_int_equal(pool_workers(pool), 1);
    gate_open(&gate);
    assert_ok(pool_wait_timeout(pool, PATIENCE_MS));
    assert_ok(answer);
    assert_int_equal(ran, 2);
    check_works(POOL_OK);
    gate_fini(&gate);
}

int main(void)
{
    if (getenv(INJECT_NO_ATFORK) != NULL)
        return try_without_atfork();
    const struct CMUnitTest tests[] = {
        checked(test_frills_that_fail_are_done_without),
        checked(test_stack_size_that_the_system_refuses_is_invalid),
        checked(test_new_beside_many_others),
        checked(test_many_processors),
        checked(test_default_pool_is_made_once),
        checked(test_no_pool_without_atfork),
        checked(test_waiter_that_finds_nobody_alive_starts_a_worker),
        checked(test_waiter_that_finds_nobody_alive_and_no_thread_is_told),
        checked(test_stuck_task_starts_the_worker_that_failed_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
