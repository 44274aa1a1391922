/* Fault: thousands of submitters wait at the limit. First come, first served, also when
 * newcomers try their luck. */
#define _GNU_SOURCE
#include "faults.h"

#include <sched.h>

enum { THOUSANDS = UNDER_TSAN || UNDER_ASAN ? 300 : 2000 };

static atomic_int turn;

/* One of thousands; notes when its task ran. */
typedef struct one {
    pthread_t thread;
    pool_t *pool;
    int ran_as;
    pool_err answer;
} one_t;

static void take_turn(void *arg)
{
    ((one_t *)arg)->ran_as = atomic_fetch_add(&turn, 1);
}

static void *submit_turn(void *arg)
{
    one_t *o = arg;
    o->answer = pool_submit(o->pool, take_turn, o);
    return NULL;
}

static bool waits_within_patience(pool_t *pool, int n)
{
    for (int64_t end = now_ms() + PATIENCE_MS; pool_waiting(pool) != n; sched_yield())
        if (now_ms() > end)
            return false;
    return true;
}

static void start_one_after_the_other(one_t *all, pool_t *pool)
{
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, POOL_STACK_DEFAULT);
    for (int i = 0; i < THOUSANDS; i++) {
        all[i].pool = pool;
        assert_int_equal(pthread_create(&all[i].thread, &small, submit_turn, &all[i]), 0);
        assert_true(waits_within_patience(pool, i + 1));
    }
    pthread_attr_destroy(&small);
}

/* First come, first served, whoever is admitted by whom. */
static void thousands_wait_for(int cap, int queue)
{
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    one_t *all = calloc(THOUSANDS, sizeof *all);
    atomic_store(&turn, 0);
    assert_non_null(all);
    assert_ok(pool_new_with(&pool, cap, pool_with_queue(queue)));
    for (int i = 0; i < cap + queue; i++)
        assert_ok(pool_submit(pool, gate_task, &gate));
    start_one_after_the_other(all, pool);
    gate_open(&gate);
    for (int i = 0; i < THOUSANDS; i++) {
        pthread_join(all[i].thread, NULL);
        assert_ok(all[i].answer);
    }
    assert_ok(pool_destroy(pool));
    for (int i = 0; i < THOUSANDS; i++)
        if (all[i].ran_as != i)
            fail_msg("submitter %d of %d ran as number %d", i, THOUSANDS, all[i].ran_as);
    free(all);
    gate_fini(&gate);
}

static void test_thousands_of_blocked_submitters_are_served_in_order(void **state)
{
    (void)state;
    thousands_wait_for(1, 0);
    thousands_wait_for(1, 16);
}

/* A newcomer that never blocks is refused as long as anybody waits; one that may, queues. */
static void test_newcomer_does_not_overtake_a_waiter(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS(400); round++) {
        pool_t *pool;
        gate_t gate = GATE_CLOSED;
        one_t waiter = {0}, newcomer = {0};
        atomic_store(&turn, 0);
        assert_ok(pool_new_with(&pool, 1, pool_with_queue(round % 3)));
        for (int i = 0; i <= round % 3; i++)
            assert_ok(pool_submit(pool, gate_task, &gate));
        waiter.pool = pool;
        waiter.thread = thread_start(submit_turn, &waiter);
        assert_true(waits_within_patience(pool, 1));
        gate_open(&gate);
        pool_err (*submit)(pool_t *, pool_task_fn, void *) = round % 2 ? pool_submit : pool_try_submit;
        while ((newcomer.answer = submit(pool, take_turn, &newcomer)) == POOL_ERR_OVERLOAD) {}
        pthread_join(waiter.thread, NULL);
        assert_ok(pool_destroy(pool));
        assert_ok(waiter.answer);
        assert_ok(newcomer.answer);
        assert_int_equal(waiter.ran_as, 0);
        assert_int_equal(newcomer.ran_as, 1);
        gate_fini(&gate);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_thousands_of_blocked_submitters_are_served_in_order),
        checked(test_newcomer_does_not_overtake_a_waiter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
