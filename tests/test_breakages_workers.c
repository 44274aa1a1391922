/* Breakages 4, 8, 9, 12, 16 and 17 of other pools: workers that leak, never expire, are not
 * woken, or expire with a task in hand. */
#define _GNU_SOURCE
#include "faults.h"

#include <sched.h>

/* 4, ants and C-Thread-Pool: a release looks at the idle workers just before another goes
 * idle, which then waits for ever. */
static void test_4_release_against_a_worker_that_goes_idle(void **state)
{
    (void)state;
    pool_t *pool;
    assert_ok(pool_new_with(&pool, 2, pool_with_spin_us(-1), pool_with_disable_purge(true)));
    for (int round = 0; round < ROUNDS(600); round++) {
        atomic_int ran = 0;
        assert_ok(pool_submit(pool, count_task, &ran));
        assert_ok(pool_submit(pool, count_task, &ran));
        assert_true(reaches(&ran, 2));
        linger_us(round % 30);
        assert_ok(pool_release_timeout(pool, PATIENCE_MS));
        assert_int_equal(pool_workers(pool), 0);
        assert_int_equal(pool_idle(pool), 0);
        assert_ok(pool_reboot(pool));
    }
    assert_ok(pool_destroy(pool));
}

/* 4: the same race when the pool ends for good. */
static void test_4_destroy_against_a_worker_that_goes_idle(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS(400); round++) {
        pool_t *pool;
        atomic_int ran = 0;
        assert_ok(pool_new_with(&pool, 1, pool_with_spin_us(round % 2 - 1)));
        assert_ok(pool_submit(pool, count_task, &ran));
        assert_true(reaches(&ran, 1));
        linger_us(round % 30);
        assert_ok(pool_destroy(pool));
    }
}

static void start_idle_workers(pool_t *pool, int workers)
{
    gate_t gate = GATE_CLOSED;
    for (int i = 0; i < workers; i++)
        assert_ok(pool_submit(pool, gate_task, &gate));
    assert_true(gate_await(&gate, workers));
    gate_open(&gate);
    assert_true(eventually_equals(pool_idle, pool, workers));
    gate_fini(&gate);
}

/* One task at a time, each given to a pool in which everybody is idle. */
static bool feeding_one_task_leaves_one_worker(void *user)
{
    pool_t *pool = user;
    atomic_int ran = 0;
    assert_ok(pool_submit(pool, count_task, &ran));
    assert_true(reaches(&ran, 1));
    for (int64_t end = now_ms() + PATIENCE_MS; pool_idle(pool) != pool_workers(pool);)
        assert_true(now_ms() < end);
    return pool_workers(pool) == 1;
}

/* 8, ThreadPoolExecutor and others: taking turns keeps every idle worker fresh. */
static void test_8_surplus_workers_expire_though_one_is_kept_busy(void **state)
{
    (void)state;
    pool_t *pool;
    assert_ok(pool_new_with(&pool, 4, pool_with_expiry_ms(100)));
    start_idle_workers(pool, 4);
    assert_true(eventually(feeding_one_task_leaves_one_worker, pool, PATIENCE_MS));
    assert_ok(pool_destroy(pool));
}

typedef struct lonely {
    pool_t *pool;
    int rounds;
    bool lost;
} lonely_t;

/* Without a pause at first: what it aims at is over within a microsecond. */
static bool reaches_soon(atomic_int *counter, int value)
{
    for (int i = 0; i < 5000; i++)
        if (atomic_load(counter) == value)
            return true;
    return reaches(counter, value);
}

/* So many steps on from the end of the last task, a few nanoseconds each, the worker looks
 * for more, goes to sleep, or sleeps; each round aims a little later. */
static void aim(int round)
{
    if (round % 16 == 0)
        linger_us(round / 16 % 20);
    for (volatile int step = round % 300; step > 0; step--)
        ;
}

static void *submit_one_by_one(void *arg)
{
    lonely_t *l = arg;
    atomic_int ran = 0;
    for (int i = 1; i <= l->rounds && !l->lost; i++) {
        aim(i);
        l->lost = pool_submit(l->pool, count_task, &ran) != POOL_OK || !reaches_soon(&ran, i);
    }
    return NULL;
}

static void every_single_submit_runs(int cap, int submitters, pool_option_t spin)
{
    pool_t *pool;
    assert_ok(pool_new_with(&pool, cap, spin, pool_with_queue(4))); /* none waits for its slot */
    lonely_t lonely[3];
    pthread_t threads[3];
    for (int i = 0; i < submitters; i++) {
        lonely[i] = (lonely_t){pool, ROUNDS(20000) / submitters, false};
        threads[i] = thread_start(submit_one_by_one, &lonely[i]);
    }
    for (int i = 0; i < submitters; i++) {
        pthread_join(threads[i], NULL);
        assert_false(lonely[i].lost);
    }
    assert_ok(pool_destroy(pool));
}

/* 9, several pools: a flag changed outside the mutex of its condition variable. */
static void test_9_no_wakeup_is_lost_going_idle(void **state)
{
    (void)state;
    every_single_submit_runs(1, 1, pool_with_spin_us(-1));
    every_single_submit_runs(2, 1, pool_with_spin_us(-1));
}

/* 16, lock-free queues: the look at the idle workers overtakes the push of the task. */
static void test_16_no_wakeup_is_lost_between_submitters(void **state)
{
    (void)state;
    every_single_submit_runs(3, 3, pool_with_spin_us(-1));
    every_single_submit_runs(2, 3, pool_with_spin_us(0));
}

/* 12, C-Thread-Pool and others: a signal only for the first task of the queue leaves a
 * second idle worker asleep beside the second task. */
static void test_12_second_worker_gets_the_second_task(void **state)
{
    (void)state;
    pool_t *pool;
    assert_ok(pool_new_with(&pool, 3, pool_with_queue(8), pool_with_spin_us(-1)));
    start_idle_workers(pool, 3);
    for (int round = 0; round < ROUNDS(600); round++) {
        gate_t gate = GATE_CLOSED;
        for (int i = 0; i < 3; i++)
            assert_ok(pool_submit(pool, gate_task, &gate));
        assert_true(gate_await(&gate, 3)); /* all at once, none behind another */
        gate_open(&gate);
        assert_ok(pool_wait(pool));
        gate_fini(&gate);
    }
    assert_ok(pool_destroy(pool));
}

/* 12: the same with workers that have to be started first. */
static void test_12_second_worker_is_started_for_the_second_task(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS(100); round++) {
        pool_t *pool;
        gate_t gate = GATE_CLOSED;
        assert_ok(pool_new_with(&pool, 4, pool_with_queue(8)));
        for (int i = 0; i < 6; i++)
            assert_ok(pool_submit(pool, gate_task, &gate));
        assert_true(gate_await(&gate, 4));
        assert_int_equal(pool_queued(pool), 2);
        gate_open(&gate);
        assert_ok(pool_destroy(pool));
        gate_fini(&gate);
    }
}

static void run_around_the_expiry(pool_t *pool, int rounds)
{
    for (int round = 0; round < rounds; round++) {
        atomic_int ran = 0;
        assert_ok(pool_submit(pool, count_task, &ran));
        assert_ok(pool_submit(pool, count_task, &ran));
        assert_true(reaches(&ran, 2));
        linger_us(900 + round * 7 % 800); /* expiry is 1 ms, and half of it later at most */
    }
}

/* 17, ants: the purge takes a worker that a submitter has just picked. */
static void test_17_expiring_worker_loses_no_task(void **state)
{
    (void)state;
    for (int cap = 2; cap <= 4; cap += 2) {
        pool_t *pool;
        assert_ok(pool_new_with(&pool, cap, pool_with_expiry_ms(1)));
        run_around_the_expiry(pool, ROUNDS(250));
        assert_true(eventually_equals(pool_workers, pool, 0));
        assert_ok(pool_destroy(pool));
    }
}

/* 17: the last worker is the one with nobody to step in. */
static void test_17_last_worker_expires_beside_the_queue(void **state)
{
    (void)state;
    pool_t *pool;
    assert_ok(pool_new_with(&pool, 1, pool_with_expiry_ms(1), pool_with_queue(4),
                            pool_with_spin_us(-1)));
    run_around_the_expiry(pool, ROUNDS(400));
    assert_true(eventually_equals(pool_workers, pool, 0));
    assert_ok(pool_destroy(pool));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_4_release_against_a_worker_that_goes_idle),
        checked(test_4_destroy_against_a_worker_that_goes_idle),
        checked(test_8_surplus_workers_expire_though_one_is_kept_busy),
        checked(test_9_no_wakeup_is_lost_going_idle),
        checked(test_16_no_wakeup_is_lost_between_submitters),
        checked(test_12_second_worker_gets_the_second_task),
        checked(test_12_second_worker_is_started_for_the_second_task),
        checked(test_17_expiring_worker_loses_no_task),
        checked(test_17_last_worker_expires_beside_the_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
