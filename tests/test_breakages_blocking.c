/* Breakages 1 to 3 of other pools: submitters that hang, and more tasks at once than the
 * cap allows. */
#define _GNU_SOURCE
#include "faults.h"

#include <sched.h>

/* A task that submits to its own pool, first waiting at its gate if it has one. */
typedef struct nested {
    pool_t *pool;
    gate_t *gate;
    int64_t timeout_ms; /* negative: none */
    atomic_int *ran;    /* counts the nested tasks */
    pool_err answer;
} nested_t;

static void submit_nested(void *arg)
{
    nested_t *n = arg;
    if (n->gate != NULL)
        gate_pass(n->gate);
    n->answer = n->timeout_ms < 0
                    ? pool_submit(n->pool, count_task, n->ran)
                    : pool_submit_timeout(n->pool, count_task, n->ran, n->timeout_ms);
}

/* 1, libuv, Jetty, tokio and others: every worker blocks in a submit to its own pool. */
static void test_1_nested_submit_at_cap_1_is_deadlock(void **state)
{
    (void)state;
    pool_t *pool;
    atomic_int ran = 0;
    assert_ok(pool_new(&pool, 1));
    nested_t n = {pool, NULL, -1, &ran, POOL_OK};
    assert_ok(pool_submit(pool, submit_nested, &n));
    assert_ok(pool_wait(pool));
    assert_int_equal(n.answer, POOL_ERR_DEADLOCK);
    assert_int_equal(ran, 0);
    assert_ok(pool_submit(pool, count_task, &ran));
    assert_ok(pool_wait(pool));
    assert_ok(pool_destroy(pool));
    assert_int_equal(ran, 1);
}

/* 1: only the newest of three gets the error; its end lets the others through. */
static void test_1_nested_submits_at_cap_3_one_is_deadlock(void **state)
{
    (void)state;
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    atomic_int ran = 0;
    assert_ok(pool_new(&pool, 3));
    nested_t n[3];
    for (int i = 0; i < 3; i++) {
        n[i] = (nested_t){pool, &gate, -1, &ran, POOL_OK};
        assert_ok(pool_submit(pool, submit_nested, &n[i]));
    }
    assert_true(gate_await(&gate, 3));
    gate_open(&gate);
    assert_ok(pool_wait(pool));
    assert_ok(pool_destroy(pool));
    int deadlocks = 0;
    for (int i = 0; i < 3; i++) {
        assert_true(n[i].answer == POOL_OK || n[i].answer == POOL_ERR_DEADLOCK);
        deadlocks += n[i].answer == POOL_ERR_DEADLOCK;
    }
    assert_int_equal(deadlocks, 1);
    assert_int_equal(ran, 2);
    gate_fini(&gate);
}

typedef struct filler {
    pool_t *pool;
    atomic_int *ran;
    pool_err answers[3];
    pool_err many;
    size_t accepted;
} filler_t;

static void fill_own_queue(void *arg)
{
    filler_t *f = arg;
    for (int i = 0; i < 3; i++)
        f->answers[i] = pool_submit(f->pool, count_task, f->ran);
    void *const args[] = {f->ran, f->ran};
    f->many = pool_submit_many(f->pool, count_task, args, 2, &f->accepted);
}

/* 1: the queue is no way out, only a delay. */
static void test_1_nested_submit_fills_the_queue_then_is_deadlock(void **state)
{
    (void)state;
    pool_t *pool;
    atomic_int ran = 0;
    assert_ok(pool_new_with(&pool, 1, pool_with_queue(2)));
    filler_t f = {.pool = pool, .ran = &ran, .accepted = 7};
    assert_ok(pool_submit(pool, fill_own_queue, &f));
    assert_ok(pool_wait(pool));
    assert_ok(pool_destroy(pool));
    assert_ok(f.answers[0]);
    assert_ok(f.answers[1]);
    assert_int_equal(f.answers[2], POOL_ERR_DEADLOCK);
    assert_int_equal(f.many, POOL_ERR_DEADLOCK);
    assert_int_equal(f.accepted, 0);
    assert_int_equal(ran, 2);
}

/* 1: a submitter from outside that waits first can be served only after the error. */
static void test_1_nested_submit_behind_an_outside_waiter_is_deadlock(void **state)
{
    (void)state;
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    atomic_int ran = 0, outside = 0;
    assert_ok(pool_new(&pool, 1));
    nested_t n = {pool, &gate, -1, &ran, POOL_OK};
    assert_ok(pool_submit(pool, submit_nested, &n));
    submitter_t s;
    submitter_start(&s, pool, count_task, &outside);
    assert_true(eventually_equals(pool_waiting, pool, 1));
    gate_open(&gate);
    assert_ok(submitter_join(&s));
    assert_ok(pool_wait(pool));
    assert_ok(pool_destroy(pool));
    assert_int_equal(n.answer, POOL_ERR_DEADLOCK);
    assert_int_equal(ran, 0);
    assert_int_equal(outside, 1);
    gate_fini(&gate);
}

/* 1: two block while a third runs; the end of the third, under a smaller cap, completes
 * the circle. */
static void test_1_deadlock_that_a_tune_and_the_end_of_a_task_complete(void **state)
{
    (void)state;
    pool_t *pool;
    gate_t older_gate = GATE_CLOSED, newer_gate = GATE_CLOSED, third = GATE_CLOSED;
    atomic_int ran = 0;
    assert_ok(pool_new(&pool, 3));
    nested_t older = {pool, &older_gate, -1, &ran, POOL_OK};
    nested_t newer = {pool, &newer_gate, -1, &ran, POOL_OK};
    assert_ok(pool_submit(pool, submit_nested, &older));
    assert_ok(pool_submit(pool, submit_nested, &newer));
    assert_ok(pool_submit(pool, gate_task, &third));
    gate_open(&older_gate);
    assert_true(eventually_equals(pool_waiting, pool, 1));
    gate_open(&newer_gate);
    assert_true(eventually_equals(pool_waiting, pool, 2));
    assert_ok(pool_tune(pool, 2));
    assert_int_equal(pool_waiting(pool), 2);
    gate_open(&third);
    assert_ok(pool_wait(pool));
    assert_ok(pool_destroy(pool));
    assert_int_equal(newer.answer, POOL_ERR_DEADLOCK);
    assert_ok(older.answer);
    assert_int_equal(ran, 1);
    gate_fini(&older_gate);
    gate_fini(&newer_gate);
    gate_fini(&third);
}

/* 1: who brought a timeout gets that, and is no reason to refuse the others. */
static void test_1_nested_submit_with_a_timeout_times_out(void **state)
{
    (void)state;
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    atomic_int ran = 0;
    assert_ok(pool_new(&pool, 2));
    nested_t patient = {pool, &gate, -1, &ran, POOL_OK};
    nested_t timed = {pool, &gate, 30, &ran, POOL_OK};
    assert_ok(pool_submit(pool, submit_nested, &patient));
    assert_ok(pool_submit(pool, submit_nested, &timed));
    assert_true(gate_await(&gate, 2));
    gate_open(&gate);
    assert_ok(pool_wait(pool));
    assert_ok(pool_destroy(pool));
    assert_int_equal(timed.answer, POOL_ERR_TIMEOUT);
    assert_ok(patient.answer);
    assert_int_equal(ran, 1);
    gate_fini(&gate);
}

/* 1: caller-runs has no need to wait. */
static void test_1_nested_submit_runs_inline_under_caller_runs(void **state)
{
    (void)state;
    pool_t *pool;
    atomic_int ran = 0;
    assert_ok(pool_new_with(&pool, 1, pool_with_policy(POOL_CALLER_RUNS)));
    nested_t n = {pool, NULL, -1, &ran, POOL_ERR_BUSY};
    assert_ok(pool_submit(pool, submit_nested, &n));
    assert_ok(pool_wait(pool));
    assert_ok(pool_destroy(pool));
    assert_ok(n.answer);
    assert_int_equal(ran, 1);
}

/* 2, ants: Release forgets the submitters that wait. */
static void test_2_blocked_submitter_is_woken_by_release(void **state)
{
    (void)state;
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    atomic_int ran = 0;
    assert_ok(pool_new(&pool, 1));
    assert_ok(pool_submit(pool, gate_task, &gate));
    submitter_t s[2];
    for (int i = 0; i < 2; i++)
        submitter_start(&s[i], pool, count_task, &ran);
    assert_true(eventually_equals(pool_waiting, pool, 2));
    assert_ok(pool_release(pool));
    for (int i = 0; i < 2; i++)
        assert_int_equal(submitter_join(&s[i]), POOL_ERR_CLOSED);
    gate_open(&gate);
    assert_ok(pool_destroy(pool));
    assert_int_equal(ran, 0);
    gate_fini(&gate);
}

static void panic_after_gate(void *gate)
{
    gate_pass(gate);
    pool_panic(NULL);
}

static void exit_after_gate(void *gate)
{
    gate_pass(gate);
    pthread_exit(NULL);
}

static void blocked_submitter_outlives(pool_task_fn end_of_worker)
{
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    atomic_int ran = 0;
    assert_ok(pool_new_with(&pool, 1, pool_with_logger(count_logger, NULL)));
    assert_ok(pool_submit(pool, end_of_worker, &gate));
    submitter_t s[2];
    for (int i = 0; i < 2; i++)
        submitter_start(&s[i], pool, count_task, &ran);
    assert_true(eventually_equals(pool_waiting, pool, 2));
    gate_open(&gate);
    for (int i = 0; i < 2; i++)
        assert_ok(submitter_join(&s[i]));
    assert_ok(pool_destroy(pool));
    assert_int_equal(ran, 2);
    gate_fini(&gate);
}

/* 2, ants: a worker that a panic ended wakes nobody. */
static void test_2_blocked_submitter_is_served_after_a_panic(void **state)
{
    (void)state;
    blocked_submitter_outlives(panic_after_gate);
}

/* 2, the same with a thread that really ends. */
static void test_2_blocked_submitter_is_served_after_pthread_exit(void **state)
{
    (void)state;
    blocked_submitter_outlives(exit_after_gate);
}

static void *submit_around_the_purge(void *arg)
{
    submitter_t *s = arg;
    unsigned seed = (unsigned)(uintptr_t)s;
    for (int i = 0; i < ROUNDS(150); i++) {
        if ((s->answer = pool_submit(s->pool, s->fn, s->arg)) != POOL_OK)
            break;
        linger_us(900 + rand_r(&seed) % 900);
    }
    return NULL;
}

/* 2, ants: the purge empties the pool just as somebody starts to wait. */
static void test_2_blocked_submitter_is_served_though_the_purge_empties_the_pool(void **state)
{
    (void)state;
    pool_t *pool;
    atomic_int ran = 0;
    assert_ok(pool_new_with(&pool, 1, pool_with_expiry_ms(1), pool_with_spin_us(-1)));
    submitter_t s[3];
    for (int i = 0; i < 3; i++) {
        s[i] = (submitter_t){.pool = pool, .fn = count_task, .arg = &ran};
        s[i].thread = thread_start(submit_around_the_purge, &s[i]);
    }
    for (int i = 0; i < 3; i++)
        assert_ok(submitter_join(&s[i]));
    assert_ok(pool_destroy(pool));
    assert_int_equal(ran, 3 * ROUNDS(150));
}

/* 2, ants: Tune stores the capacity and signals, both outside the lock. */
static void test_2_blocked_submitters_enter_when_tune_raises_the_cap(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS(400); round++) {
        pool_t *pool;
        gate_t gate = GATE_CLOSED;
        atomic_int ran = 0;
        assert_ok(pool_new(&pool, 1));
        assert_ok(pool_submit(pool, gate_task, &gate));
        submitter_t s;
        submitter_start(&s, pool, count_task, &ran);
        linger_us(round % 100);
        assert_ok(pool_tune(pool, 2)); /* before, while or after it starts to wait */
        assert_ok(submitter_join(&s));
        assert_true(reaches(&ran, 1));
        gate_open(&gate);
        assert_ok(pool_destroy(pool));
        gate_fini(&gate);
    }
}

typedef struct load {
    pool_t *pool;
    atomic_int inside, most_inside, most_sampled, done;
    atomic_bool over;
} load_t;

static void loaded_task(void *arg)
{
    load_t *load = arg;
    raise_to(&load->most_inside, atomic_fetch_add(&load->inside, 1) + 1);
    sched_yield();
    atomic_fetch_sub(&load->inside, 1);
    atomic_fetch_add(&load->done, 1);
}

static void *submit_load(void *arg)
{
    load_t *load = arg;
    for (int i = 0; i < ROUNDS(4000); i++)
        if (pool_submit(load->pool, loaded_task, load) != POOL_OK)
            break;
    return NULL;
}

static void *sample_running(void *arg)
{
    load_t *load = arg;
    while (!atomic_load(&load->over)) {
        raise_to(&load->most_sampled, pool_running(load->pool));
        sched_yield();
    }
    return NULL;
}

static void running_stays_within(int cap, pool_option_t queue)
{
    load_t load = {0};
    assert_ok(pool_new_with(&load.pool, cap, queue));
    pthread_t monitor = thread_start(sample_running, &load), submitters[4];
    for (int i = 0; i < 4; i++)
        submitters[i] = thread_start(submit_load, &load);
    for (int i = 0; i < 4; i++)
        pthread_join(submitters[i], NULL);
    assert_ok(pool_wait(load.pool));
    atomic_store(&load.over, true);
    pthread_join(monitor, NULL);
    assert_ok(pool_destroy(load.pool));
    assert_int_equal(load.done, 4 * ROUNDS(4000));
    assert_true(load.most_inside <= cap);
    assert_true(load.most_sampled <= cap);
}

/* 3, ants: the check and the increment of running are two steps. */
static void test_3_never_more_tasks_at_once_than_the_cap(void **state)
{
    (void)state;
    running_stays_within(1, pool_with_queue(0));
    running_stays_within(3, pool_with_queue(0));
    running_stays_within(2, pool_with_queue(64));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_1_nested_submit_at_cap_1_is_deadlock),
        checked(test_1_nested_submits_at_cap_3_one_is_deadlock),
        checked(test_1_nested_submit_fills_the_queue_then_is_deadlock),
        checked(test_1_nested_submit_behind_an_outside_waiter_is_deadlock),
        checked(test_1_deadlock_that_a_tune_and_the_end_of_a_task_complete),
        checked(test_1_nested_submit_with_a_timeout_times_out),
        checked(test_1_nested_submit_runs_inline_under_caller_runs),
        checked(test_2_blocked_submitter_is_woken_by_release),
        checked(test_2_blocked_submitter_is_served_after_a_panic),
        checked(test_2_blocked_submitter_is_served_after_pthread_exit),
        checked(test_2_blocked_submitter_is_served_though_the_purge_empties_the_pool),
        checked(test_2_blocked_submitters_enter_when_tune_raises_the_cap),
        checked(test_3_never_more_tasks_at_once_than_the_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
