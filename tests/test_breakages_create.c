/* Breakage 13 of other pools, and the fault behind it: pthread_create fails. A task that
 * was accepted runs; one that could not be run by anybody is not accepted. */
#define _GNU_SOURCE
#include "inject.h"

#include "faults.h"

#include <sched.h>
#include <signal.h>

static void no_threads_from_now_on(void)
{
    inject_start(INJECT_THREAD, 1, true);
}

/* 13, GLib and libuv: nobody is alive, so nobody would ever run it. */
static void test_13_no_worker_alive_is_no_thread(void **state)
{
    (void)state;
    pool_t *pool;
    atomic_int ran = 0;
    void *const args[] = {&ran, &ran};
    size_t accepted = 7;
    assert_ok(pool_new_with(&pool, 2, pool_with_queue(4), pool_with_logger(count_logger, NULL)));
    no_threads_from_now_on();
    assert_int_equal(pool_submit(pool, count_task, &ran), POOL_ERR_NO_THREAD);
    assert_int_equal(pool_try_submit(pool, count_task, &ran), POOL_ERR_NO_THREAD);
    assert_int_equal(pool_submit_timeout(pool, count_task, &ran, 10), POOL_ERR_NO_THREAD);
    assert_int_equal(pool_submit_many(pool, count_task, args, 2, &accepted), POOL_ERR_NO_THREAD);
    assert_int_equal(accepted, 0);
    inject_stop();
    assert_int_equal(pool_queued(pool), 0);
    assert_int_equal(pool_free_slots(pool), 6);
    assert_int_equal(pool_workers(pool), 0);
    assert_ok(pool_submit(pool, count_task, &ran));
    assert_ok(pool_destroy(pool));
    assert_int_equal(ran, 1);
}

/* 13: the same after the workers that there were have expired. */
static void test_13_all_workers_expired_is_no_thread(void **state)
{
    (void)state;
    pool_t *pool;
    atomic_int ran = 0;
    assert_ok(pool_new_with(&pool, 2, pool_with_expiry_ms(1), pool_with_logger(count_logger, NULL)));
    assert_ok(pool_submit(pool, count_task, &ran));
    assert_true(reaches(&ran, 1));
    assert_true(eventually_equals(pool_workers, pool, 0));
    no_threads_from_now_on();
    assert_int_equal(pool_submit(pool, count_task, &ran), POOL_ERR_NO_THREAD);
    inject_stop();
    assert_ok(pool_submit(pool, count_task, &ran));
    assert_ok(pool_destroy(pool));
    assert_int_equal(ran, 2);
}

/* 13: with one alive the tasks wait for it, and the failure is logged. */
static void test_13_one_worker_alive_runs_what_was_accepted(void **state)
{
    (void)state;
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    atomic_int ran = 0, lines = 0;
    assert_ok(pool_new_with(&pool, 3, pool_with_queue(4), pool_with_logger(count_logger, &lines)));
    assert_ok(pool_submit(pool, gate_task, &gate));
    assert_true(gate_await(&gate, 1));
    no_threads_from_now_on();
    for (int i = 0; i < 6; i++)
        assert_ok(pool_submit(pool, count_task, &ran));
    assert_int_equal(pool_try_submit(pool, count_task, &ran), POOL_ERR_OVERLOAD);
    assert_int_equal(pool_queued(pool), 6);
    assert_true(lines >= 1);
    gate_open(&gate);
    assert_ok(pool_wait(pool));
    assert_true(inject_stop() > 0);
    assert_int_equal(ran, 6);
    assert_ok(pool_destroy(pool));
    gate_fini(&gate);
}

/* What fails for each task is said once, and takes no memory for each. */
static void test_13_row_of_failures_is_one_line_and_leaves_no_memory_behind(void **state)
{
    (void)state;
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    atomic_int ran = 0, lines = 0;
    assert_ok(pool_new_with(&pool, 3, pool_with_queue(50), pool_with_logger(count_logger, &lines)));
    assert_ok(pool_submit(pool, gate_task, &gate));
    assert_true(gate_await(&gate, 1));
    no_threads_from_now_on();
    assert_ok(pool_submit(pool, count_task, &ran));
    int blocks = inject_live_blocks();
    for (int i = 1; i < 50; i++)
        assert_ok(pool_submit(pool, count_task, &ran));
    assert_int_equal(inject_live_blocks(), blocks);
    assert_true(inject_stop() >= 50);
    assert_int_equal(lines, 1);
    gate_open(&gate);
    assert_ok(pool_destroy(pool));
    assert_int_equal(ran, 50);
    gate_fini(&gate);
}

/* When the system has threads again, the next submit starts them for what is queued too. */
static void test_pool_grows_again_after_failed_creates(void **state)
{
    (void)state;
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    assert_ok(pool_new_with(&pool, 3, pool_with_queue(4), pool_with_logger(count_logger, NULL)));
    assert_ok(pool_submit(pool, gate_task, &gate));
    assert_true(gate_await(&gate, 1));
    no_threads_from_now_on();
    assert_ok(pool_submit(pool, gate_task, &gate));
    inject_stop();
    assert_ok(pool_submit(pool, gate_task, &gate));
    assert_true(gate_await(&gate, 3));
    gate_open(&gate);
    assert_ok(pool_destroy(pool));
    gate_fini(&gate);
}

/* Idle workers are woken though no thread can be made beside them. */
static void test_idle_workers_are_woken_though_creates_fail(void **state)
{
    (void)state;
    pool_t *pool;
    assert_ok(pool_new_with(&pool, 4, pool_with_prestart(2), pool_with_queue(4),
                            pool_with_logger(count_logger, NULL)));
    assert_true(eventually_equals(pool_idle, pool, 2));
    no_threads_from_now_on();
    for (int round = 0; round < ROUNDS(300); round++) {
        gate_t gate = GATE_CLOSED;
        atomic_int ran = 0;
        assert_ok(pool_submit(pool, gate_task, &gate));
        assert_ok(pool_submit(pool, gate_task, &gate));
        assert_ok(pool_submit(pool, count_task, &ran));
        assert_true(gate_await(&gate, 2));
        gate_open(&gate);
        assert_ok(pool_wait(pool));
        assert_int_equal(ran, 1);
        gate_fini(&gate);
    }
    inject_stop();
    assert_ok(pool_destroy(pool));
}

static void test_new_without_a_janitor_is_no_thread(void **state)
{
    (void)state;
    pool_t *pool = NULL;
    no_threads_from_now_on();
    assert_int_equal(pool_new(&pool, 2), POOL_ERR_NO_THREAD);
    assert_null(pool);
    assert_ok(pool_new_with(&pool, 2, pool_with_disable_purge(true))); /* it needs none */
    inject_stop();
    assert_ok(pool_destroy(pool));
}

static void test_new_without_all_of_prestart_is_no_thread(void **state)
{
    (void)state;
    pool_t *pool = NULL;
    for (int nth = 1; nth <= 3; nth++) {
        inject_start(INJECT_THREAD, nth, false);
        assert_int_equal(pool_new_with(&pool, 3, pool_with_disable_purge(true), pool_with_prestart(3)),
                         POOL_ERR_NO_THREAD);
        assert_int_equal(inject_stop(), 1);
        assert_null(pool);
        assert_int_equal(no_thread_left(NULL), 0);
    }
}

static void test_mask_is_restored_after_a_failed_create(void **state)
{
    (void)state;
    pool_t *pool;
    sigset_t before, after;
    assert_ok(pool_new_with(&pool, 1, pool_with_logger(count_logger, NULL)));
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    no_threads_from_now_on();
    assert_int_equal(pool_submit(pool, empty_task, NULL), POOL_ERR_NO_THREAD);
    inject_stop();
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int signal = 1; signal < SIGRTMIN; signal++)
        assert_int_equal(sigismember(&before, signal), sigismember(&after, signal));
    assert_ok(pool_destroy(pool));
}

/* ---- Workers lost to pthread_exit that cannot be replaced ---------------------------------- */

static void exit_after_gate(void *gate)
{
    gate_pass(gate);
    pthread_exit(NULL);
}

static void count_and_exit(void *counter)
{
    count_task(counter);
    pthread_exit(NULL);
}

static void panic_and_count(void *counter)
{
    count_task(counter);
    pool_panic(NULL);
}

/* The only worker ends with tasks queued behind it and nobody to replace it. */
static void lost_last_worker_leaves(pool_task_fn queued)
{
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    atomic_int ran = 0;
    assert_ok(pool_new_with(&pool, 1, pool_with_queue(6), pool_with_logger(count_logger, NULL)));
    assert_ok(pool_submit(pool, exit_after_gate, &gate));
    assert_true(gate_await(&gate, 1));
    for (int i = 0; i < 6; i++)
        assert_ok(pool_submit(pool, queued, &ran));
    no_threads_from_now_on();
    gate_open(&gate);
    assert_true(reaches(&ran, 6));
    assert_ok(pool_wait_timeout(pool, PATIENCE_MS));
    inject_stop();
    assert_ok(pool_submit(pool, queued, &ran));
    assert_ok(pool_destroy(pool));
    assert_int_equal(ran, 7);
    gate_fini(&gate);
}

static void test_queued_tasks_run_though_the_lost_worker_has_no_successor(void **state)
{
    (void)state;
    lost_last_worker_leaves(count_task);
}

static void test_queued_tasks_that_exit_as_well_run_without_a_successor(void **state)
{
    (void)state;
    lost_last_worker_leaves(count_and_exit);
}

static void test_queued_tasks_that_panic_run_without_a_successor(void **state)
{
    (void)state;
    lost_last_worker_leaves(panic_and_count);
}

/* Whoever waits for a slot then is either served or told. */
static void test_blocked_submitter_is_answered_though_the_lost_worker_has_no_successor(void **state)
{
    (void)state;
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    atomic_int ran = 0;
    assert_ok(pool_new_with(&pool, 1, pool_with_logger(count_logger, NULL)));
    assert_ok(pool_submit(pool, exit_after_gate, &gate));
    submitter_t s[3];
    for (int i = 0; i < 3; i++)
        submitter_start(&s[i], pool, count_task, &ran);
    assert_true(eventually_equals(pool_waiting, pool, 3));
    no_threads_from_now_on();
    gate_open(&gate);
    int accepted = 0;
    for (int i = 0; i < 3; i++) {
        pool_err answer = submitter_join(&s[i]);
        assert_true(answer == POOL_OK || answer == POOL_ERR_NO_THREAD);
        accepted += answer == POOL_OK;
    }
    inject_stop();
    assert_ok(pool_destroy(pool));
    assert_int_equal(ran, accepted);
    gate_fini(&gate);
}

/* 17: a submitter that still saw the last worker alive accepts just as it expires, and then
 * nobody can be started: so the worker must not leave. */
static void test_17_last_worker_expires_when_no_other_can_be_started(void **state)
{
    (void)state;
    pool_t *pool;
    atomic_int ran = 0;
    int accepted = 0;
    assert_ok(pool_new_with(&pool, 1, pool_with_queue(1), pool_with_expiry_ms(1),
                            pool_with_logger(count_logger, NULL)));
    for (int round = 0; round < ROUNDS(300); round++) {
        assert_ok(pool_submit(pool, count_task, &ran));
        assert_true(reaches(&ran, ++accepted));
        no_threads_from_now_on();
        linger_us(1000 + round * 7 % 600);
        pool_err answer = pool_submit(pool, count_task, &ran);
        assert_true(answer == POOL_OK || answer == POOL_ERR_NO_THREAD);
        accepted += answer == POOL_OK;
        assert_true(reaches(&ran, accepted));
        inject_stop();
    }
    assert_ok(pool_destroy(pool));
}

/* ---- Now and then ---------------------------------------------------------------------------- */

static atomic_bool stop_failing;

static void *fail_now_and_then(void *unused)
{
    while (!atomic_load(&stop_failing)) {
        inject_start(INJECT_ALL, 2, false);
        sched_yield();
    }
    inject_stop();
    return unused;
}

/* Every task that was accepted runs, whatever fails meanwhile. */
static void test_accepted_tasks_run_while_creates_fail_now_and_then(void **state)
{
    (void)state;
    pool_t *pool;
    atomic_int ran = 0;
    assert_ok(pool_new_with(&pool, 3, pool_with_queue(2), pool_with_expiry_ms(1),
                            pool_with_logger(count_logger, NULL)));
    atomic_store(&stop_failing, false);
    pthread_t saboteur = thread_start(fail_now_and_then, NULL);
    int accepted = 0;
    for (int round = 0; round < ROUNDS(400); round++) {
        for (int i = 0; i < 5; i++)
            accepted += pool_submit(pool, i == 4 ? count_and_exit : count_task, &ran) == POOL_OK;
        if (round % 4 == 0)
            linger_us(1500); /* until the workers begin to expire */
    }
    atomic_store(&stop_failing, true);
    pthread_join(saboteur, NULL);
    assert_true(reaches(&ran, accepted));
    assert_ok(pool_destroy(pool));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_13_no_worker_alive_is_no_thread),
        checked(test_13_all_workers_expired_is_no_thread),
        checked(test_13_one_worker_alive_runs_what_was_accepted),
        checked(test_13_row_of_failures_is_one_line_and_leaves_no_memory_behind),
        checked(test_pool_grows_again_after_failed_creates),
        checked(test_idle_workers_are_woken_though_creates_fail),
        checked(test_new_without_a_janitor_is_no_thread),
        checked(test_new_without_all_of_prestart_is_no_thread),
        checked(test_mask_is_restored_after_a_failed_create),
        checked(test_queued_tasks_run_though_the_lost_worker_has_no_successor),
        checked(test_queued_tasks_that_exit_as_well_run_without_a_successor),
        checked(test_queued_tasks_that_panic_run_without_a_successor),
        checked(test_blocked_submitter_is_answered_though_the_lost_worker_has_no_successor),
        checked(test_17_last_worker_expires_when_no_other_can_be_started),
        checked(test_accepted_tasks_run_while_creates_fail_now_and_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
