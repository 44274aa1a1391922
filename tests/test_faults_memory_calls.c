/* Fault: malloc, pthread_create or the making of a lock fails, anywhere, in each call.
 *
 *   what a call may ask the system for            where it fails
 *   pool_new, pool_new_from, pool_new_with        faults_memory: test_pool_new*
 *   pool_default                                  faults_memory: test_pool_default
 *   pool_submit, pool_try_submit,                 here: test_every_submit_to_an_idle_pool,
 *   pool_submit_timeout, pool_submit_copy,        test_every_submit_at_the_limit, the policies;
 *   pool_submit_many, pool_invoke                 faults_memory: test_submit_*
 *   pool_tune                                     faults_memory_end: test_tune_up_*
 *   pool_wait, pool_wait_timeout                  faults_memory_end: test_wait; here
 *   pool_release                                  here
 *   pool_release_timeout, pool_release_now,       faults_memory_end: test_release_*,
 *   pool_destroy, pool_reboot                     test_destroy, test_reboot
 *   a task that calls pthread_exit, expiry        here
 *   atfork, attributes, names, affinity           faults_memory_system
 *
 * All other functions of the header ask for nothing. */
#include "scenario.h"

static void count_copied(void *copy)
{
    count_task(*(atomic_int **)copy);
}

static pool_err call_submit(void)
{
    return pool_submit(pool, count_task, &ran);
}

static pool_err call_submit_timeout(void)
{
    return pool_submit_timeout(pool, count_task, &ran, PATIENCE_MS);
}

static pool_err call_submit_copy(void)
{
    atomic_int *counter = &ran;
    return pool_submit_copy(pool, count_copied, &counter, sizeof counter);
}

static pool_err call_submit_many(void)
{
    void *const args[] = {&ran};
    size_t accepted;
    pool_err err = pool_submit_many(pool, count_task, args, 1, &accepted);
    return accepted == (err == POOL_OK ? 1 : 0) ? err : POOL_ERR_INVALID;
}

static pool_err call_invoke(void)
{
    return pool_invoke(pool, &ran);
}

static pool_err call_try_submit(void)
{
    return pool_try_submit(pool, count_task, &ran);
}

/* The last never waits. */
static pool_err (*const calls[])(void) = {call_submit,      call_submit_timeout, call_submit_copy,
                                          call_submit_many, call_invoke,         call_try_submit};
enum { CALLS = sizeof calls / sizeof calls[0], CALLS_THAT_WAIT = CALLS - 1 };

static pool_err (*call)(void);

static bool ran_once(pool_err answer)
{
    return answer != POOL_OK || reaches(&ran, 1);
}

/* Accepted and run, or neither. */
static void check_one_or_none_ran(pool_err answer)
{
    gate_open(&gate);
    assert_ok(pool_wait_timeout(pool, PATIENCE_MS));
    assert_int_equal(ran, answer == POOL_OK ? 1 : 0);
    assert_int_equal(pool_queued(pool), 0);
    assert_int_equal(pool_waiting(pool), 0);
    check_works(answer);
}

/* ---- Room ----------------------------------------------------------------------------- */

static void arrange(int queue, pool_option_t option)
{
    assert_ok(pool_new_with(&pool, 1, pool_with_queue(queue), pool_with_func(count_task), option,
                            pool_with_logger(count_logger, NULL)));
}

static void arrange_unused(void)
{
    arrange(1, pool_with_policy(POOL_BLOCK));
}

static pool_err act_call(void)
{
    pool_err answer = call();
    return ran_once(answer) ? answer : POOL_ERR_TIMEOUT;
}

static void test_every_submit_to_an_idle_pool(void **state)
{
    (void)state;
    for (int i = 0; i < CALLS; i++) {
        call = calls[i];
        survive(arrange_unused, act_call, check_one_or_none_ran);
    }
}

/* ---- The limit ------------------------------------------------------------------------ */

static atomic_bool call_over;

static void start_one_at_the_gate(void)
{
    assert_ok(pool_submit(pool, gate_task, &gate));
    assert_true(gate_await(&gate, 1));
}

static void arrange_full(void)
{
    arrange(0, pool_with_policy(POOL_BLOCK));
    start_one_at_the_gate();
    atomic_store(&call_over, false);
}

static bool waits_or_gave_up(void *unused)
{
    (void)unused;
    return pool_waiting(pool) == 1 || atomic_load(&call_over);
}

static void *open_when_it_waits(void *unused)
{
    eventually(waits_or_gave_up, NULL, PATIENCE_MS);
    gate_open(&gate);
    return unused;
}

static pool_err act_call_that_waits(void)
{
    inject_spare_me(true);
    pthread_t opener = thread_start(open_when_it_waits, NULL);
    inject_spare_me(false);
    pool_err answer = act_call();
    atomic_store(&call_over, true);
    pthread_join(opener, NULL);
    return answer;
}

static void test_every_submit_at_the_limit(void **state)
{
    (void)state;
    for (int i = 0; i < CALLS_THAT_WAIT; i++) {
        call = calls[i];
        survive(arrange_full, act_call_that_waits, check_one_or_none_ran);
    }
}

/* At the limit these need nothing of the system, but for the first copy. */
static void check_one_ran(pool_err answer)
{
    assert_true(answer == POOL_OK || call == call_submit_copy);
    check_one_or_none_ran(answer);
}

static void arrange_caller_runs(void)
{
    arrange(0, pool_with_policy(POOL_CALLER_RUNS));
}

static void arrange_full_caller_runs(void)
{
    arrange_caller_runs();
    start_one_at_the_gate();
}

/* Nobody alive is no reason to run a task in the caller. */
static void test_submit_under_caller_runs(void **state)
{
    (void)state;
    for (int i = 0; i < CALLS_THAT_WAIT; i++) {
        call = calls[i];
        survive(arrange_caller_runs, act_call, check_one_or_none_ran);
        survive(arrange_full_caller_runs, act_call, check_one_ran);
    }
}

static atomic_int discarded;

static void count_discarded(void *unused, pool_task_fn fn, void *arg)
{
    (void)unused, (void)fn, (void)arg;
    count_task(&discarded);
}

static void arrange_full_discard(void)
{
    atomic_store(&discarded, 0);
    assert_ok(pool_new_with(&pool, 1, pool_with_queue(1), pool_with_policy(POOL_DISCARD_OLDEST),
                            pool_with_func(count_task),
                            pool_with_discard_handler(count_discarded, NULL)));
    start_one_at_the_gate();
    assert_ok(pool_submit(pool, count_task, &ran));
}

static pool_err act_discard(void)
{
    pool_err answer = call();
    return answer == POOL_OK && atomic_load(&discarded) != 1 ? POOL_ERR_INVALID : answer;
}

/* The copies of a pool are made before anything is thrown out. */
static void check_discarded_or_kept(pool_err answer)
{
    assert_int_equal(discarded, answer == POOL_OK ? 1 : 0);
    check_one_or_none_ran(POOL_OK);
}

static void test_submit_under_discard_oldest(void **state)
{
    (void)state;
    for (int i = 0; i < CALLS_THAT_WAIT; i++) {
        call = calls[i];
        survive(arrange_full_discard, act_discard, check_discarded_or_kept);
    }
}

/* ---- Waiting and closing --------------------------------------------------------------- */

static void arrange_one_at_the_gate_and_one_behind(void)
{
    arrange(1, pool_with_policy(POOL_BLOCK));
    start_one_at_the_gate();
    assert_ok(pool_submit(pool, count_task, &ran));
}

static pool_err act_wait_timeout(void)
{
    gate_open(&gate);
    pool_err answer = pool_wait_timeout(pool, PATIENCE_MS);
    return answer == POOL_OK && atomic_load(&ran) != 1 ? POOL_ERR_INVALID : answer;
}

static void check_open_and_ran(pool_err answer)
{
    assert_false(pool_is_closed(pool));
    check_one_or_none_ran(POOL_OK);
    (void)answer;
}

static void test_wait_timeout(void **state)
{
    (void)state;
    survive(arrange_one_at_the_gate_and_one_behind, act_wait_timeout, check_open_and_ran);
}

static pool_err act_release(void)
{
    pool_err answer = pool_release(pool);
    gate_open(&gate);
    return ran_once(answer) ? answer : POOL_ERR_TIMEOUT;
}

static void check_released(pool_err answer)
{
    assert_ok(answer);
    assert_ok(pool_release_timeout(pool, PATIENCE_MS));
    assert_int_equal(ran, 1);
    assert_ok(pool_reboot(pool));
    check_works(answer);
}

static void test_release(void **state)
{
    (void)state;
    survive(arrange_one_at_the_gate_and_one_behind, act_release, check_released);
}

/* ---- Workers that come and go ------------------------------------------------------------ */

static void count_and_exit(void *counter)
{
    count_task(counter);
    pthread_exit(NULL);
}

static pool_err act_exit_with_one_behind(void)
{
    pool_err answer = pool_submit(pool, count_and_exit, &ran);
    if (answer == POOL_OK)
        answer = pool_submit(pool, count_task, &ran);
    return answer == POOL_OK && !reaches(&ran, 2) ? POOL_ERR_TIMEOUT : answer;
}

static void test_task_that_ends_its_worker(void **state)
{
    (void)state;
    survive(arrange_unused, act_exit_with_one_behind, check_works);
}

static void arrange_expired(void)
{
    assert_ok(pool_new_with(&pool, 2, pool_with_prestart(2), pool_with_expiry_ms(1),
                            pool_with_func(count_task), pool_with_logger(count_logger, NULL)));
    assert_true(eventually_equals(pool_workers, pool, 0));
}

static void test_submit_after_all_have_expired(void **state)
{
    (void)state;
    for (int i = 0; i < CALLS; i++) {
        call = calls[i];
        survive(arrange_expired, act_call, check_one_or_none_ran);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_every_submit_to_an_idle_pool),
        checked(test_every_submit_at_the_limit),
        checked(test_submit_under_caller_runs),
        checked(test_submit_under_discard_oldest),
        checked(test_wait_timeout),
        checked(test_release),
        checked(test_task_that_ends_its_worker),
        checked(test_submit_after_all_have_expired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
