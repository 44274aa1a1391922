/* Fault: malloc, pthread_create or the making of a lock fails, anywhere, in each call of a
 * multipool that asks the system for something. */
#include "multi.h"
#include "scenario.h"

#include <sched.h>

static multipool_t *multi;

static void arrange_multi(void)
{
    multi = NULL;
    assert_ok(multipool_new_with(&multi, 2, 1, MULTIPOOL_LEAST_TASKS, pool_with_logger(count_logger, NULL),
                                 pool_with_func(count_task)));
}

static void arrange_none(void)
{
    multi = NULL;
}

/* One shard busy, the other without a worker. */
static void arrange_half_busy(void)
{
    arrange_multi();
    occupy(multipool_shard(multi, 0), &gate, 1);
}

static void arrange_full(void)
{
    arrange_multi();
    for (int i = 0; i < 2; i++)
        assert_ok(pool_submit(multipool_shard(multi, i), gate_task, &gate));
    assert_true(gate_await(&gate, 2));
}

static void arrange_closed(void)
{
    arrange_multi();
    assert_ok(multipool_release_timeout(multi, POOL_FOREVER));
}

static void end_it(void)
{
    gate_open(&gate);
    assert_ok(multipool_destroy(multi));
}

/* Accepted or not, a task runs once or never, and the multipool serves the next one. */
static void check_submitted(pool_err answer)
{
    gate_open(&gate);
    assert_ok(multipool_wait_timeout(multi, PATIENCE_MS));
    assert_int_equal(ran, answer == POOL_OK);
    assert_ok(multipool_submit(multi, count_task, &ran));
    assert_ok(multipool_wait_timeout(multi, PATIENCE_MS));
    assert_int_equal(ran, (answer == POOL_OK) + 1);
    assert_int_equal(multipool_waiting(multi), 0);
    end_it();
}

/* ---- Making and ending ---- */

static pool_err act_new(void)
{
    return multipool_new_with(&multi, 3, 2, MULTIPOOL_ROUND_ROBIN, pool_with_prestart(1), pool_with_name("mail"),
                              pool_with_prealloc(true));
}

static void check_new(pool_err answer)
{
    assert_true((multi != NULL) == (answer == POOL_OK));
    assert_ok(multipool_destroy(multi));
}

static void test_new_leaves_nothing_behind(void **state)
{
    (void)state;
    survive(arrange_none, act_new, check_new);
}

static pool_err act_destroy(void)
{
    return multipool_destroy(multi);
}

static void check_destroy(pool_err answer)
{
    if (answer != POOL_OK) { /* nothing was changed */
        assert_false(multipool_is_closed(multi));
        end_it();
    }
}

static void test_destroy(void **state)
{
    (void)state;
    survive(arrange_multi, act_destroy, check_destroy);
}

static pool_err act_release_timeout(void)
{
    return multipool_release_timeout(multi, PATIENCE_MS);
}

static void check_release_timeout(pool_err answer)
{
    assert_int_equal(multipool_is_closed(multi), answer == POOL_OK);
    end_it();
}

static void test_release_timeout(void **state)
{
    (void)state;
    survive(arrange_multi, act_release_timeout, check_release_timeout);
}

static pool_err act_reboot(void)
{
    return multipool_reboot(multi);
}

/* All are open or none, and what failed can be tried again. */
static void check_reboot(pool_err answer)
{
    for (int i = 0; i < 2; i++)
        assert_int_equal(pool_is_closed(multipool_shard(multi, i)), answer != POOL_OK);
    assert_ok(multipool_release_timeout(multi, POOL_FOREVER));
    assert_ok(multipool_reboot(multi));
    check_submitted(POOL_ERR_CLOSED);
}

static void test_reboot(void **state)
{
    (void)state;
    survive(arrange_closed, act_reboot, check_reboot);
}

/* ---- Submitting ---- */

static pool_err act_submit(void)
{
    return multipool_submit(multi, count_task, &ran);
}

static pool_err act_submit_timeout(void)
{
    return multipool_submit_timeout(multi, count_task, &ran, PATIENCE_MS);
}

static pool_err act_try_submit(void)
{
    return multipool_try_submit(multi, count_task, &ran);
}

static pool_err act_submit_key(void)
{
    return multipool_submit_key(multi, 7, count_task, &ran);
}

static pool_err act_invoke(void)
{
    return multipool_invoke(multi, &ran);
}

static void test_submit_to_an_idle_one(void **state)
{
    (void)state;
    survive(arrange_multi, act_submit, check_submitted);
    survive(arrange_multi, act_submit_timeout, check_submitted);
    survive(arrange_multi, act_try_submit, check_submitted);
    survive(arrange_multi, act_submit_key, check_submitted);
    survive(arrange_multi, act_invoke, check_submitted);
}

/* With no thread to be had for the free shard, who may wait waits for the busy one. */
static void *open_when_waited_for(void *over)
{
    inject_spare_me(true);
    while (multipool_waiting(multi) == 0 && !atomic_load((atomic_bool *)over))
        sched_yield();
    gate_open(&gate);
    return NULL;
}

static pool_err act_submit_and_open(void)
{
    static atomic_bool over;
    pthread_t opener;
    atomic_store(&over, false);
    inject_spare_me(true);
    assert_int_equal(pthread_create(&opener, NULL, open_when_waited_for, &over), 0);
    inject_spare_me(false);
    pool_err answer = multipool_submit(multi, count_task, &ran);
    atomic_store(&over, true);
    pthread_join(opener, NULL);
    return answer;
}

static void test_submit_beside_a_busy_shard(void **state)
{
    (void)state;
    survive(arrange_half_busy, act_submit_and_open, check_submitted);
}

static void test_submit_at_the_limit(void **state)
{
    (void)state;
    survive(arrange_full, act_submit_and_open, check_submitted);
}

/* ---- The rest ---- */

static int pick_first(void *unused, multipool_t *unused_too, uint64_t key)
{
    (void)unused;
    (void)unused_too;
    (void)key;
    return 0;
}

static pool_err act_set_picker(void)
{
    return multipool_set_picker(multi, pick_first, NULL);
}

static void check_idle(pool_err answer)
{
    (void)answer;
    check_submitted(POOL_ERR_INVALID);
}

static void test_set_picker(void **state)
{
    (void)state;
    survive(arrange_multi, act_set_picker, check_idle);
}

static pool_err act_wait(void)
{
    return multipool_wait_timeout(multi, PATIENCE_MS);
}

static void test_wait(void **state)
{
    (void)state;
    survive(arrange_multi, act_wait, check_idle);
}

static pool_err act_tune(void)
{
    return multipool_tune(multi, 3);
}

static void test_tune(void **state)
{
    (void)state;
    survive(arrange_multi, act_tune, check_idle);
}

/* ---- One shard of several ---- */

static void test_shard_that_cannot_be_made_is_named(void **state)
{
    (void)state;
    multi = NULL;
    inject_start(INJECT_THREAD, 2, false);
    pool_err answer = multipool_new_with(&multi, 3, 1, MULTIPOOL_ROUND_ROBIN, pool_with_prestart(1),
                                          pool_with_disable_purge(true));
    inject_stop();
    assert_int_equal(answer, POOL_ERR_NO_THREAD);
    assert_int_equal(multipool_error_shard(), 1);
    assert_null(multi);
}

/* Only what the call itself has opened is released again. */
static void test_failed_reboot_leaves_open_what_was_open(void **state)
{
    (void)state;
    assert_ok(multipool_new_with(&multi, 3, 1, MULTIPOOL_ROUND_ROBIN, pool_with_prestart(1),
                                 pool_with_disable_purge(true)));
    assert_ok(pool_release_timeout(multipool_shard(multi, 1), POOL_FOREVER));
    assert_ok(pool_release_timeout(multipool_shard(multi, 2), POOL_FOREVER));
    inject_start(INJECT_THREAD, 2, false);
    pool_err answer = multipool_reboot(multi);
    inject_stop();
    assert_int_equal(answer, POOL_ERR_NO_THREAD);
    assert_int_equal(multipool_error_shard(), 2);
    assert_false(pool_is_closed(multipool_shard(multi, 0)));
    assert_true(pool_is_closed(multipool_shard(multi, 1)));
    assert_true(pool_is_closed(multipool_shard(multi, 2)));
    assert_ok(multipool_destroy(multi));
}

/* The shard without a worker cannot get one; the other is at work, so the blocked one waits. */
static void test_blocked_submit_outlasts_a_shard_without_threads(void **state)
{
    (void)state;
    multi_submitter_t blocked;
    gate_init(&gate);
    arrange_half_busy();
    inject_start(INJECT_THREAD, 1, true);
    inject_spare_me(true);
    multi_submitter_start(&blocked, multi, empty_task, NULL);
    inject_spare_me(false);
    assert_true(multi_eventually_equals(multipool_waiting, multi, 1));
    assert_int_equal(pool_try_submit(multipool_shard(multi, 1), empty_task, NULL), POOL_ERR_OVERLOAD);
    assert_ok(multipool_tune(multi, 1));
    assert_int_equal(multipool_waiting(multi), 1);
    gate_open(&gate);
    assert_ok(multi_submitter_join(&blocked));
    assert_true(inject_stop() > 0);
    end_it();
    gate_fini(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_new_leaves_nothing_behind),
        checked(test_destroy),
        checked(test_release_timeout),
        checked(test_reboot),
        checked(test_submit_to_an_idle_one),
        checked(test_submit_beside_a_busy_shard),
        checked(test_submit_at_the_limit),
        checked(test_set_picker),
        checked(test_wait),
        checked(test_tune),
        checked(test_shard_that_cannot_be_made_is_named),
        checked(test_failed_reboot_leaves_open_what_was_open),
        checked(test_blocked_submit_outlasts_a_shard_without_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
