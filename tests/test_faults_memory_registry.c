/* A lack of memory or threads in every call of the registry. */
#include "scenario.h"


static pool_registry_t *registry;
static pool_registry_limits_t limits;

static pool_err make_registry(void)
{
    const pool_option_t quiet[] = {pool_with_logger(count_logger, NULL), POOL_OPTIONS_END};
    pool_err err = pool_registry_new(&registry, &limits);
    if (err == POOL_OK)
        err = pool_registry_add_tier(registry, "free", 1, quiet);
    return err;
}

static void arrange_registry(void)
{
    const pool_option_t prestart[] = {pool_with_prestart(2), pool_with_logger(count_logger, NULL),
                                      POOL_OPTIONS_END};
    registry = NULL;
    assert_ok(make_registry());
    assert_ok(pool_registry_add_tier(registry, "started", 2, prestart));
}

static void destroy_registry(pool_err unused)
{
    (void)unused;
    assert_ok(pool_registry_destroy(registry));
    registry = NULL;
}

/* A call that failed counts for nothing; the registry works. */
static void check_works_and_destroy(pool_err answer)
{
    assert_int_equal(pool_registry_pools(registry), answer == POOL_OK);
    int before = ran;
    assert_ok(pool_registry_submit(registry, "free", "acme", count_task, &ran));
    assert_ok(pool_registry_submit(registry, "started", "acme", count_task, &ran));
    assert_true(reaches(&ran, before + 2));
    destroy_registry(answer);
}

static void with_limits(int64_t idle_ms, int max_pools)
{
    limits = (pool_registry_limits_t){.idle_ms = idle_ms, .max_pools = max_pools};
}

/* ---- Making ---- */

static void forget(void)
{
    registry = NULL;
}

static void test_new_and_add_tier(void **state)
{
    (void)state;
    with_limits(1000, 0);
    survive(forget, make_registry, destroy_registry);
}

static pool_err act_add_tier(void)
{
    return pool_registry_add_tier(registry, "late", 1, NULL);
}

static void check_tier_is_there_or_not(pool_err answer)
{
    pool_err again = pool_registry_add_tier(registry, "late", 1, NULL);
    assert_int_equal(again, answer == POOL_OK ? POOL_ERR_INVALID : POOL_OK);
    destroy_registry(answer);
}

static void test_add_tier(void **state)
{
    (void)state;
    with_limits(0, 0);
    survive(arrange_registry, act_add_tier, check_tier_is_there_or_not);
}

static const char *tier;

static pool_err act_acquire(void)
{
    pool_t *mine = NULL;
    pool_err answer = pool_registry_acquire(registry, tier, "acme", &mine);
    if ((answer == POOL_OK) != (mine != NULL))
        return POOL_ERR_INVALID;
    return answer == POOL_OK ? pool_registry_put(registry, mine) : answer;
}

static void test_acquire(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        with_limits(i % 2 == 0 ? 0 : 60000, 0);
        tier = i / 2 == 0 ? "free" : "started";
        survive(arrange_registry, act_acquire, check_works_and_destroy);
    }
}

/* The pool may be made, and its worker not. */
static void check_ran_and_destroy(pool_err answer)
{
    assert_true(pool_registry_pools(registry) <= 1);
    assert_int_equal(ran, answer == POOL_OK);
    check_works_and_destroy(pool_registry_pools(registry) == 1 ? POOL_OK : answer);
}

static pool_err act_submit(void)
{
    pool_err answer = pool_registry_submit(registry, tier, "acme", count_task, &ran);
    return answer == POOL_OK && !reaches(&ran, 1) ? POOL_ERR_TIMEOUT : answer;
}

static void test_submit(void **state)
{
    (void)state;
    with_limits(60000, 0);
    tier = "free";
    survive(arrange_registry, act_submit, check_ran_and_destroy);
}

static pool_err act_submit_quickly(void)
{
    return pool_registry_submit(registry, "free", "acme", count_task, &ran);
}

/* To a pool that is there, with a worker alive. */
static void test_submit_to_a_pool_that_exists_asks_for_nothing(void **state)
{
    (void)state;
    with_limits(60000, 0);
    atomic_store(&ran, 0);
    arrange_registry();
    assert_ok(act_submit_quickly());
    assert_true(reaches(&ran, 1));
    inject_start(INJECT_ALL, 1, true);
    pool_err answer = act_submit_quickly();
    int calls = inject_calls();
    inject_stop();
    assert_ok(answer);
    assert_int_equal(calls, 0);
    destroy_registry(POOL_OK);
    assert_int_equal(ran, 2);
}

/* ---- Ceilings and ends ---- */

static void arrange_full(void)
{
    arrange_registry();
    assert_ok(pool_registry_acquire(registry, "free", "idle", &pool));
    assert_ok(pool_registry_put(registry, pool));
    pool = NULL;
}

static void check_full(pool_err answer)
{
    (void)answer;
    assert_true(pool_registry_pools(registry) <= 1);
    assert_ok(pool_registry_submit(registry, "free", "another", count_task, &ran));
    destroy_registry(answer);
}

static void test_making_room(void **state)
{
    (void)state;
    with_limits(0, 1);
    tier = "started";
    survive(arrange_full, act_acquire, check_full);
}

static pool_err act_drain(void)
{
    return pool_registry_release_timeout(registry, NULL, PATIENCE_MS);
}

static void check_drained_or_not(pool_err answer)
{
    pool_err after = pool_registry_submit(registry, "free", "idle", count_task, &ran);
    assert_int_equal(after, answer == POOL_OK ? POOL_ERR_CLOSED : POOL_OK);
    destroy_registry(answer);
}

static void test_drain(void **state)
{
    (void)state;
    with_limits(60000, 0);
    survive(arrange_full, act_drain, check_drained_or_not);
}

static pool_err act_destroy(void)
{
    pool_err answer = pool_registry_destroy(registry);
    registry = NULL;
    return answer;
}

static void check_never_failed(pool_err answer)
{
    assert_ok(answer);
}

/* Ending needs nothing that can be refused. */
static void test_destroy(void **state)
{
    (void)state;
    with_limits(60000, 0);
    survive(arrange_full, act_destroy, check_never_failed);
}

static bool none_left(void *unused)
{
    (void)unused;
    return pool_registry_pools(registry) == 0;
}


/* While all fails, the reaper takes down what it must. */
static pool_err act_reap(void)
{
    pool_err answer = act_submit_quickly();
    return answer == POOL_OK && !eventually(none_left, NULL, PATIENCE_MS) ? POOL_ERR_TIMEOUT : answer;
}

static void check_reaped(pool_err answer)
{
    assert_true(eventually(none_left, NULL, PATIENCE_MS));
    destroy_registry(answer);
    assert_int_equal(ran, answer == POOL_OK);
}

static void test_taking_down(void **state)
{
    (void)state;
    with_limits(1, 0);
    survive(arrange_registry, act_reap, check_reaped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_new_and_add_tier),
        checked(test_add_tier),
        checked(test_acquire),
        checked(test_submit),
        checked(test_submit_to_a_pool_that_exists_asks_for_nothing),
        checked(test_making_room),
        checked(test_drain),
        checked(test_destroy),
        checked(test_taking_down),
    };
    return cmocka_run_group_tests_name("faults_memory_registry", tests, NULL, NULL);
}
