/* Fault: malloc, pthread_create or the making of a lock fails, anywhere, at the limit of a
 * pool, while it ends, and when it is opened again. */
#include "scenario.h"

static submitter_t blocked;

/* ---- At the limit --------------------------------------------------------------------- */

static void arrange_blocked(void)
{
    assert_ok(pool_new_with(&pool, 1, pool_with_logger(count_logger, NULL)));
    assert_ok(pool_submit(pool, gate_task, &gate));
    assert_true(gate_await(&gate, 1));
    submitter_start(&blocked, pool, count_task, &ran);
    assert_true(eventually_equals(pool_waiting, pool, 1));
}

/* Admitted, whether a second worker can be had for it or not. */
static pool_err act_tune_up(void)
{
    pool_err answer = pool_tune(pool, 2), admitted = submitter_join(&blocked);
    return answer == POOL_OK ? admitted : answer;
}

static void check_one_ran(pool_err answer)
{
    assert_ok(answer);
    gate_open(&gate);
    assert_true(reaches(&ran, 1));
    check_works(answer);
}

static void test_tune_up_with_a_blocked_submitter(void **state)
{
    (void)state;
    survive(arrange_blocked, act_tune_up, check_one_ran);
}

static void arrange_full(void)
{
    assert_ok(pool_new(&pool, 1));
    assert_ok(pool_submit(pool, gate_task, &gate));
    assert_true(gate_await(&gate, 1));
}

/* A submitter that has to wait may need memory for it; then it is not accepted. */
static pool_err act_wait_at_the_limit(void)
{
    pool_err answer = pool_submit_timeout(pool, count_task, &ran, 1);
    return answer == POOL_ERR_TIMEOUT ? POOL_OK : answer;
}

static void check_none_ran(pool_err answer)
{
    gate_open(&gate);
    assert_ok(pool_wait_timeout(pool, PATIENCE_MS));
    assert_int_equal(ran, 0);
    assert_int_equal(pool_waiting(pool), 0);
    check_works(answer);
}

static void test_submit_at_the_limit(void **state)
{
    (void)state;
    survive(arrange_full, act_wait_at_the_limit, check_none_ran);
}

/* ---- Ending and starting again ----------------------------------------------------------- */

static void arrange_draining(void)
{
    arrange_one_busy();
    for (int i = 0; i < 5; i++)
        assert_ok(pool_submit(pool, count_task, &ran));
}

/* A call that could not even begin to wait has changed nothing, and can be repeated. */
static void check_all_five_ran(pool_err answer)
{
    if (answer != POOL_OK) {
        assert_false(pool_is_closed(pool));
        assert_ok(pool_wait_timeout(pool, PATIENCE_MS));
    }
    assert_int_equal(ran, 5);
    if (pool != NULL)
        destroy_and_forget();
}

static pool_err act_wait(void)
{
    gate_open(&gate);
    return pool_wait(pool);
}

static void test_wait(void **state)
{
    (void)state;
    survive(arrange_draining, act_wait, check_all_five_ran);
}

static pool_err act_release(void)
{
    gate_open(&gate);
    return pool_release_timeout(pool, PATIENCE_MS);
}

static void test_release_timeout(void **state)
{
    (void)state;
    survive(arrange_draining, act_release, check_all_five_ran);
}

static pool_err act_destroy(void)
{
    gate_open(&gate);
    pool_err answer = pool_destroy(pool);
    pool = answer == POOL_OK ? NULL : pool;
    return answer;
}

static void test_destroy(void **state)
{
    (void)state;
    survive(arrange_draining, act_destroy, check_all_five_ran);
}

static void run_unstarted(void *user, pool_task_fn fn, void *arg)
{
    (void)user;
    fn(arg);
}

static pool_err act_release_now(void)
{
    pool_err answer = pool_release_now(pool, run_unstarted, NULL);
    gate_open(&gate);
    return answer == POOL_OK && atomic_load(&ran) != 5 ? POOL_ERR_INVALID : answer;
}

static void arrange_queued(void)
{
    assert_ok(pool_new_with(&pool, 1, pool_with_queue(8)));
    assert_ok(pool_submit(pool, gate_task, &gate));
    assert_true(gate_await(&gate, 1));
    for (int i = 0; i < 5; i++)
        assert_ok(pool_submit(pool, count_task, &ran));
}

static void test_release_now(void **state)
{
    (void)state;
    survive(arrange_queued, act_release_now, check_all_five_ran);
}

static void arrange_released(void)
{
    assert_ok(pool_new_with(&pool, 3, pool_with_prestart(2)));
    assert_pool_works();
    assert_ok(pool_release_timeout(pool, PATIENCE_MS));
}

static pool_err act_reboot(void)
{
    return pool_reboot(pool);
}

static void check_closed_or_open(pool_err answer)
{
    assert_true(pool_is_closed(pool) == (answer != POOL_OK));
    if (answer != POOL_OK) {
        assert_int_equal(pool_submit(pool, count_task, &ran), POOL_ERR_CLOSED);
        assert_ok(pool_release_timeout(pool, PATIENCE_MS)); /* of a prestart half done */
        assert_int_equal(pool_workers(pool), 0);
        assert_ok(pool_reboot(pool));
    }
    assert_int_equal(pool_workers(pool), 2);
    assert_pool_works();
    destroy_and_forget();
}

static void test_reboot(void **state)
{
    (void)state;
    survive(arrange_released, act_reboot, check_closed_or_open);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_tune_up_with_a_blocked_submitter),
        checked(test_submit_at_the_limit),
        checked(test_wait),
        checked(test_release_timeout),
        checked(test_destroy),
        checked(test_release_now),
        checked(test_reboot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
