/* Breakages 5 to 7, 10 and 11 of other pools: what release and destroy leave behind, and
 * whom they stop. */
#define _GNU_SOURCE
#include "faults.h"

#include <sched.h>

static bool threads_are(void *count)
{
    return count_threads() == *(int *)count;
}

static void run_one(pool_t *pool)
{
    atomic_int ran = 0;
    assert_ok(pool_submit(pool, count_task, &ran));
    assert_true(reaches(&ran, 1));
}

/* 5, ants: the purging goroutine goes on after Release. */
static void test_5_janitor_ends_with_the_last_pool_to_close(void **state)
{
    (void)state;
    run_one(pool_default()); /* a sanitizer's own thread may start with the first of ours */
    assert_ok(pool_release_timeout(pool_default(), PATIENCE_MS));
    assert_int_equal(no_thread_left(NULL), 0);
    int before = count_threads();
    pool_t *pools[3];
    for (int i = 0; i < 3; i++) {
        assert_ok(pool_new(&pools[i], 2));
        run_one(pools[i]);
    }
    for (int i = 0; i < 3; i++)
        assert_ok(pool_release_timeout(pools[i], PATIENCE_MS));
    assert_true(eventually(threads_are, &before, PATIENCE_MS)); /* nothing destroyed yet */
    for (int i = 0; i < 3; i++)
        assert_ok(pool_destroy(pools[i]));
}

/* 5: the other way round, it must not end while anybody needs it. */
static void test_5_janitor_stays_for_the_pools_that_are_open(void **state)
{
    (void)state;
    pool_t *closing, *staying;
    assert_ok(pool_new_with(&closing, 1, pool_with_expiry_ms(5)));
    assert_ok(pool_new_with(&staying, 1, pool_with_expiry_ms(5)));
    run_one(closing);
    assert_ok(pool_release_timeout(closing, PATIENCE_MS));
    run_one(staying);
    assert_true(eventually_equals(pool_workers, staying, 0));
    assert_ok(pool_destroy(closing));
    run_one(staying);
    assert_true(eventually_equals(pool_workers, staying, 0));
    assert_ok(pool_destroy(staying));
}

/* 6, ants: ReleaseTimeout counts idle workers as running, and times out. */
static void test_6_release_timeout_returns_when_idle_workers_are_gone(void **state)
{
    (void)state;
    pool_t *pool;
    assert_ok(pool_new_with(&pool, 4, pool_with_disable_purge(true), pool_with_prestart(4)));
    run_one(pool);
    int64_t start = now_ms();
    assert_ok(pool_release_timeout(pool, 4 * PATIENCE_MS));
    assert_true(now_ms() - start < 2 * PATIENCE_MS); /* not after all of the time given */
    assert_int_equal(pool_workers(pool), 0);
    assert_ok(pool_release_timeout(pool, 0)); /* done is done */
    assert_ok(pool_destroy(pool));
}

static void *release_with_time_to_spare(void *arg)
{
    submitter_t *s = arg;
    s->answer = pool_release_timeout(s->pool, 4 * PATIENCE_MS);
    return NULL;
}

/* 6: the last task ends while somebody waits; after a timeout one can wait again. */
static void test_6_release_timeout_returns_when_the_last_task_ends(void **state)
{
    (void)state;
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    assert_ok(pool_new(&pool, 2));
    assert_ok(pool_submit(pool, gate_task, &gate));
    assert_true(gate_await(&gate, 1));
    assert_int_equal(pool_release_timeout(pool, 0), POOL_ERR_TIMEOUT);
    assert_int_equal(pool_release_timeout(pool, 5), POOL_ERR_TIMEOUT);
    assert_true(pool_is_closed(pool));
    submitter_t s = {.pool = pool};
    s.thread = thread_start(release_with_time_to_spare, &s);
    int64_t start = now_ms();
    gate_open(&gate);
    assert_ok(submitter_join(&s));
    assert_true(now_ms() - start < 2 * PATIENCE_MS);
    assert_ok(pool_destroy(pool));
    gate_fini(&gate);
}

typedef struct rebooter {
    pool_t *pool;
    int rounds;
    pool_err failed;
} rebooter_t;

static bool has_no_worker(void *pool)
{
    return pool_workers(pool) == 0;
}

/* Every eighth round lets the (new) janitor prove that it is at work. */
static pool_err reboot_once(pool_t *pool, int round)
{
    atomic_int ran = 0;
    pool_err err = pool_submit(pool, count_task, &ran);
    if (err != POOL_OK)
        return err;
    if (!reaches(&ran, 1) || (round % 8 == 0 && !eventually(has_no_worker, pool, PATIENCE_MS)))
        return POOL_ERR_TIMEOUT;
    pool_release(pool);
    while ((err = pool_reboot(pool)) == POOL_ERR_BUSY)
        sched_yield();
    return err;
}

static void *reboot_again_and_again(void *arg)
{
    rebooter_t *r = arg;
    for (int i = 0; i < r->rounds && r->failed == POOL_OK; i++)
        r->failed = reboot_once(r->pool, i);
    return NULL;
}

/* 7, ants: after Reboot the old purging goroutine goes on beside the new one, or takes the
 * stop that was meant for it along. */
static void test_7_reboot_races_with_the_old_janitor(void **state)
{
    (void)state;
    rebooter_t r[2] = {{.rounds = ROUNDS(300)}, {.rounds = ROUNDS(300)}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        assert_ok(pool_new_with(&r[i].pool, 2, pool_with_expiry_ms(1 + i)));
        threads[i] = thread_start(reboot_again_and_again, &r[i]);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_ok(r[i].failed);
        assert_ok(pool_destroy(r[i].pool));
    }
}

/* 7: one pool alone, so that the janitor ends and starts each time. */
static void test_7_reboot_starts_a_janitor_of_its_own(void **state)
{
    (void)state;
    rebooter_t r = {.rounds = ROUNDS(400)};
    assert_ok(pool_new_with(&r.pool, 2, pool_with_expiry_ms(1)));
    reboot_again_and_again(&r);
    assert_ok(r.failed);
    run_one(r.pool);
    assert_true(eventually_equals(pool_workers, r.pool, 0));
    assert_ok(pool_destroy(r.pool));
}

/* 10, C-Thread-Pool: the flag that keeps the threads alive is a global of the file. */
static void test_10_destroying_one_pool_stops_no_other(void **state)
{
    (void)state;
    pool_t *doomed, *other;
    gate_t gate = GATE_CLOSED;
    atomic_int ran = 0;
    assert_ok(pool_new(&doomed, 2));
    assert_ok(pool_new_with(&other, 2, pool_with_queue(4), pool_with_expiry_ms(5)));
    run_one(doomed);
    assert_ok(pool_submit(other, gate_task, &gate));
    assert_ok(pool_submit(other, gate_task, &gate));
    assert_ok(pool_submit(other, count_task, &ran));
    assert_true(gate_await(&gate, 2));
    assert_ok(pool_destroy(doomed));
    assert_false(pool_is_closed(other));
    assert_int_equal(pool_running(other), 2);
    assert_ok(pool_submit(other, count_task, &ran));
    gate_open(&gate);
    assert_ok(pool_wait(other));
    assert_int_equal(ran, 2);
    assert_true(eventually_equals(pool_workers, other, 0)); /* the janitor too is alive */
    run_one(other);
    assert_ok(pool_destroy(other));
    gate_fini(&gate);
}

static int64_t time_to_destroy(bool busy)
{
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    assert_ok(pool_new_with(&pool, 3, pool_with_prestart(3), pool_with_disable_purge(true)));
    if (busy) {
        assert_ok(pool_submit(pool, gate_task, &gate));
        assert_true(gate_await(&gate, 1));
        gate_open(&gate);
    }
    int64_t start = now_ms();
    assert_ok(pool_destroy(pool));
    int64_t took = now_ms() - start;
    gate_fini(&gate);
    return took;
}

/* 11, C-Thread-Pool: destroy looks once a second whether the threads are gone. The best of
 * many is taken: a busy machine delays some, a polling destroy all. */
static void test_11_destroy_does_not_poll(void **state)
{
    (void)state;
    for (int busy = 0; busy <= 1; busy++) {
        int64_t best = INT64_MAX;
        for (int round = 0; round < 20; round++) {
            int64_t took = time_to_destroy(busy);
            best = took < best ? took : best;
        }
        assert_true(best < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_5_janitor_ends_with_the_last_pool_to_close),
        checked(test_5_janitor_stays_for_the_pools_that_are_open),
        checked(test_6_release_timeout_returns_when_idle_workers_are_gone),
        checked(test_6_release_timeout_returns_when_the_last_task_ends),
        checked(test_7_reboot_races_with_the_old_janitor),
        checked(test_7_reboot_starts_a_janitor_of_its_own),
        checked(test_10_destroying_one_pool_stops_no_other),
        checked(test_11_destroy_does_not_poll),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
