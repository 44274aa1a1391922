/* Faults that meet a thread blocked in a submit: the pool is released or destroyed, the
 * thread is cancelled. */
#define _GNU_SOURCE
#include "faults.h"

enum { CROWD = 8 };

static void start_blocked(submitter_t *s, int n, pool_t *pool, atomic_int *ran)
{
    for (int i = 0; i < n; i++)
        submitter_start(&s[i], pool, count_task, ran);
    assert_true(eventually_equals(pool_waiting, pool, n));
}

static void start_busy(pool_t **pool, gate_t *gate)
{
    assert_ok(pool_new(pool, 1));
    assert_ok(pool_submit(*pool, gate_task, gate));
    assert_true(gate_await(gate, 1));
}

static void test_release_refuses_all_blocked_at_once(void **state)
{
    (void)state;
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    atomic_int ran = 0;
    submitter_t s[CROWD];
    start_busy(&pool, &gate);
    start_blocked(s, CROWD, pool, &ran);
    assert_ok(pool_release(pool));
    assert_int_equal(pool_waiting(pool), 0);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(submitter_join(&s[i]), POOL_ERR_CLOSED); /* the gate is still shut */
    assert_int_equal(pool_running(pool), 1);
    gate_open(&gate);
    assert_ok(pool_destroy(pool));
    assert_int_equal(ran, 0);
    gate_fini(&gate);
}

static void count_unstarted(void *user, pool_task_fn fn, void *arg)
{
    (void)fn, (void)arg;
    count_task(user);
}

/* Those that were not accepted are not handed back either. */
static void test_release_now_refuses_the_blocked(void **state)
{
    (void)state;
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    atomic_int ran = 0, unstarted = 0;
    submitter_t s[CROWD];
    start_busy(&pool, &gate);
    start_blocked(s, CROWD, pool, &ran);
    assert_ok(pool_release_now(pool, count_unstarted, &unstarted));
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(submitter_join(&s[i]), POOL_ERR_CLOSED);
    assert_int_equal(unstarted, 0);
    gate_open(&gate);
    assert_ok(pool_destroy(pool));
    assert_int_equal(ran, 0);
    gate_fini(&gate);
}

static void *destroy_pool(void *pool)
{
    return pool_destroy(pool) == POOL_OK ? pool : NULL;
}

static void test_destroy_while_others_are_blocked(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS(60); round++) {
        pool_t *pool;
        gate_t gate = GATE_CLOSED;
        atomic_int ran = 0;
        submitter_t s[CROWD];
        void *destroyed = NULL;
        start_busy(&pool, &gate);
        start_blocked(s, CROWD, pool, &ran);
        pthread_t destroyer = thread_start(destroy_pool, pool);
        if (round % 2 == 0) /* the task ends before or after they are refused */
            gate_open(&gate);
        int accepted = 0;
        for (int i = 0; i < CROWD; i++) {
            pool_err answer = submitter_join(&s[i]);
            assert_true(answer == POOL_ERR_CLOSED || (answer == POOL_OK && round % 2 == 0));
            accepted += answer == POOL_OK;
        }
        gate_open(&gate);
        pthread_join(destroyer, &destroyed);
        assert_ptr_equal(destroyed, pool);
        assert_int_equal(ran, accepted);
        gate_fini(&gate);
    }
}

/* The task runs, and its owner destroys the pool, before the submitter is out of its call. */
static void destroy_as_soon_as_it_ran(bool blocked, int round)
{
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    atomic_int ran = 0;
    submitter_t s;
    assert_ok(pool_new_with(&pool, 1, pool_with_spin_us(round % 2 - 1)));
    if (blocked) {
        assert_ok(pool_submit(pool, gate_task, &gate));
        start_blocked(&s, 1, pool, &ran);
        gate_open(&gate);
    } else {
        submitter_start(&s, pool, count_task, &ran);
    }
    assert_true(reaches(&ran, 1));
    assert_ok(pool_destroy(pool));
    assert_ok(submitter_join(&s));
    gate_fini(&gate);
}

static void test_destroy_while_a_submitter_is_on_its_way_out(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS(300); round++)
        destroy_as_soon_as_it_ran(false, round);
}

static void test_destroy_while_an_admitted_waiter_is_on_its_way_out(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS(200); round++)
        destroy_as_soon_as_it_ran(true, round);
}

static void *wait_for_quiet(void *pool)
{
    return pool_wait(pool) == POOL_OK ? pool : NULL;
}

/* What is handed back is as finished as what has run. */
static void test_release_now_while_others_wait_for_quiet(void **state)
{
    (void)state;
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    atomic_int unstarted = 0;
    void *quiet = NULL;
    assert_ok(pool_new_with(&pool, 1, pool_with_queue(CROWD)));
    assert_ok(pool_submit(pool, gate_task, &gate));
    assert_true(gate_await(&gate, 1));
    for (int i = 0; i < CROWD; i++)
        assert_ok(pool_submit(pool, empty_task, NULL));
    pthread_t waiter = thread_start(wait_for_quiet, pool);
    linger_us(2000); /* there is no gauge of those in pool_wait */
    assert_ok(pool_release_now(pool, count_unstarted, &unstarted));
    assert_int_equal(unstarted, CROWD);
    gate_open(&gate);
    pthread_join(waiter, &quiet);
    assert_ptr_equal(quiet, pool);
    assert_ok(pool_destroy(pool));
    gate_fini(&gate);
}

/* ---- Cancelled while blocked --------------------------------------------------------------- */

typedef struct victim {
    pthread_t thread;
    pool_t *pool;
    atomic_int *ran;
    pool_err (*call)(struct victim *);
    pool_err answer;
    atomic_bool called, returned;
} victim_t;

static pool_err call_submit(victim_t *v)
{
    return pool_submit(v->pool, count_task, v->ran);
}

static pool_err call_submit_timeout(victim_t *v)
{
    return pool_submit_timeout(v->pool, count_task, v->ran, PATIENCE_MS);
}

static pool_err call_wait(victim_t *v)
{
    return pool_wait(v->pool);
}

static pool_err call_release_timeout(victim_t *v)
{
    return pool_release_timeout(v->pool, PATIENCE_MS);
}

static void *call_and_be_cancelled(void *arg)
{
    victim_t *v = arg;
    atomic_store(&v->called, true);
    v->answer = v->call(v);
    atomic_store(&v->returned, true);
    pthread_testcancel();
    return NULL;
}

static bool victim_called(void *arg)
{
    return atomic_load(&((victim_t *)arg)->called);
}

/* The call ends as if nothing had happened; the thread is cancelled at its own next point. */
static void cancelled_while_blocked_in(pool_err (*call)(victim_t *), int waiting, int runs)
{
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    atomic_int ran = 0;
    void *result = NULL;
    start_busy(&pool, &gate);
    victim_t v = {.pool = pool, .ran = &ran, .call = call};
    v.thread = thread_start(call_and_be_cancelled, &v);
    assert_true(eventually(victim_called, &v, PATIENCE_MS));
    assert_true(eventually_equals(pool_waiting, pool, waiting));
    linger_us(2000); /* well into the wait, where there is no gauge of it */
    assert_int_equal(pthread_cancel(v.thread), 0);
    linger_us(2000);
    assert_int_equal(pool_waiting(pool), waiting);
    assert_false(v.returned);
    gate_open(&gate);
    pthread_join(v.thread, &result);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    assert_true(v.returned);
    assert_ok(v.answer);
    assert_ok(pool_destroy(pool));
    assert_int_equal(ran, runs);
    gate_fini(&gate);
}

static void test_cancelled_in_a_blocked_submit(void **state)
{
    (void)state;
    cancelled_while_blocked_in(call_submit, 1, 1);
    cancelled_while_blocked_in(call_submit_timeout, 1, 1);
}

static void test_cancelled_in_wait_and_release_timeout(void **state)
{
    (void)state;
    cancelled_while_blocked_in(call_wait, 0, 0);
    cancelled_while_blocked_in(call_release_timeout, 0, 0);
}

static void slow_task(void *counter)
{
    linger_us(300);
    count_task(counter);
}

/* Each call that may wait for anything: for a slot, a task, a thread, the janitor. */
static pool_err live_a_life(victim_t *v)
{
    pool_err errs[] = {
        pool_new_with(&v->pool, 1, pool_with_prestart(1)),
        pool_submit(v->pool, slow_task, v->ran),
        pool_submit(v->pool, slow_task, v->ran), /* waits for the first */
        pool_submit_timeout(v->pool, slow_task, v->ran, PATIENCE_MS),
        pool_wait(v->pool),
        pool_submit(v->pool, slow_task, v->ran),
        pool_tune(v->pool, 2),
        pool_release_timeout(v->pool, PATIENCE_MS),
        pool_reboot(v->pool),
        pool_submit(v->pool, slow_task, v->ran),
        pool_destroy(v->pool),
    };
    for (size_t i = 0; i < sizeof errs / sizeof errs[0]; i++)
        if (errs[i] != POOL_OK)
            return errs[i];
    return POOL_OK;
}

static void *live_under_sentence(void *arg)
{
    pthread_cancel(pthread_self()); /* pending from now on */
    return call_and_be_cancelled(arg);
}

static void test_no_call_is_a_cancellation_point(void **state)
{
    (void)state;
    atomic_int ran = 0;
    void *result = NULL;
    victim_t v = {.ran = &ran, .call = live_a_life};
    pthread_join(thread_start(live_under_sentence, &v), &result);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    assert_true(v.returned);
    assert_ok(v.answer);
    assert_int_equal(ran, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_release_refuses_all_blocked_at_once),
        checked(test_release_now_refuses_the_blocked),
        checked(test_destroy_while_others_are_blocked),
        checked(test_destroy_while_a_submitter_is_on_its_way_out),
        checked(test_destroy_while_an_admitted_waiter_is_on_its_way_out),
        checked(test_release_now_while_others_wait_for_quiet),
        checked(test_cancelled_in_a_blocked_submit),
        checked(test_cancelled_in_wait_and_release_timeout),
        checked(test_no_call_is_a_cancellation_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
