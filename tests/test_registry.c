/* The registry: named pools that are made on first use and taken down when idle. */
#define _GNU_SOURCE
#include "faults.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { IDLE_MS = 20 };

static pool_registry_t *registry;

/* Tiers "free" of cap 1, "paid" of cap 4. */
static void make_registry(pool_registry_limits_t limits)
{
    assert_ok(pool_registry_new(&registry, &limits));
    assert_ok(pool_registry_add_tier(registry, "free", 1, NULL));
    assert_ok(pool_registry_add_tier(registry, "paid", 4, NULL));
}

static void make_registry_idle(int64_t idle_ms)
{
    make_registry((pool_registry_limits_t){.idle_ms = idle_ms});
}

static void destroy_registry(void)
{
    assert_ok(pool_registry_destroy(registry));
    registry = NULL;
}

static pool_t *acquire(const char *tier, const char *name)
{
    pool_t *pool = NULL;
    assert_ok(pool_registry_acquire(registry, tier, name, &pool));
    assert_non_null(pool);
    return pool;
}

static void put(pool_t *pool)
{
    assert_ok(pool_registry_put(registry, pool));
}

/* A pool of that name is made, if need be, used, and quiet. */
static pool_t *use(const char *tier, const char *name)
{
    pool_t *pool = acquire(tier, name);
    assert_ok(pool_submit(pool, empty_task, NULL));
    assert_ok(pool_wait(pool));
    put(pool);
    return pool;
}

static bool so_many_pools(void *n)
{
    return pool_registry_pools(registry) == *(int *)n;
}

static void await_pools(int n)
{
    assert_true(eventually(so_many_pools, &n, PATIENCE_MS));
}

/* Returns after more than the idle time, times over: pools of another registry were taken down. */
static void outlast(int64_t idle_ms, int times)
{
    pool_registry_t *mine = registry;
    make_registry_idle(idle_ms);
    for (int i = 0; i < times; i++) {
        use("free", "twin");
        await_pools(0);
    }
    destroy_registry();
    registry = mine;
}

/* ---- Making ---- */

static void test_pool_is_made_on_first_use_from_its_tier(void **state)
{
    (void)state;
    make_registry((pool_registry_limits_t){0});
    assert_int_equal(pool_registry_pools(registry), 0);
    pool_t *pool = acquire("paid", "acme");
    assert_int_equal(pool_cap(pool), 4);
    assert_string_equal(pool_name(pool), "acme");
    assert_int_equal(pool_registry_pools(registry), 1);
    assert_int_equal(pool_registry_total_cap(registry), 4);
    put(pool);
    destroy_registry();
}

static void test_a_name_is_one_pool_in_each_tier(void **state)
{
    (void)state;
    make_registry((pool_registry_limits_t){0});
    pool_t *one = acquire("free", "acme"), *again = acquire("free", "acme"), *paid = acquire("paid", "acme");
    assert_ptr_equal(one, again);
    assert_ptr_not_equal(one, paid);
    assert_int_equal(pool_cap(paid), 4);
    assert_int_equal(pool_registry_pools(registry), 2);
    assert_int_equal(pool_registry_total_cap(registry), 5);
    put(one);
    put(again);
    put(paid);
    destroy_registry();
}

static void test_many_names_are_as_many_pools(void **state)
{
    (void)state;
    enum { NAMES = 300 };
    static pool_t *pools[NAMES];
    char name[16];
    make_registry((pool_registry_limits_t){0});
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < NAMES; i++) {
            snprintf(name, sizeof name, "%d", i);
            pool_t *pool = use("free", name);
            assert_true(round == 0 || pool == pools[i]);
            pools[i] = pool;
        }
    assert_int_equal(pool_registry_pools(registry), NAMES);
    destroy_registry();
}

static void test_what_a_tier_is_made_from_is_copied(void **state)
{
    (void)state;
    char tier[] = "odd", name[] = "acme", option_name[] = "ignored";
    pool_options_t options = {.queue = 7, .name = option_name};
    assert_ok(pool_registry_new(&registry, NULL));
    assert_ok(pool_registry_add_tier(registry, tier, 3,
                                     (pool_option_t[]){pool_with_options(&options), POOL_OPTIONS_END}));
    options.queue = 1;
    memset(tier, 'x', 3);
    memset(option_name, 'x', 3);
    pool_t *pool = acquire("odd", name);
    memset(name, 'x', 3);
    assert_int_equal(pool_free_slots(pool), 10);
    assert_string_equal(pool_name(pool), "acme");
    assert_ptr_equal(acquire("odd", "acme"), pool);
    put(pool);
    put(pool);
    destroy_registry();
}

static void test_tiers_are_checked_when_they_are_added(void **state)
{
    (void)state;
    make_registry((pool_registry_limits_t){.max_total_cap = 8});
    const pool_option_t negative[] = {pool_with_queue(-1), POOL_OPTIONS_END};
    const pool_option_t expiry[] = {pool_with_expiry_ms(-1), POOL_OPTIONS_END};
    assert_int_equal(pool_registry_add_tier(NULL, "x", 1, NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_registry_add_tier(registry, NULL, 1, NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_registry_add_tier(registry, "free", 1, NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_registry_add_tier(registry, "x", 0, NULL), POOL_ERR_INVALID_CAP);
    assert_int_equal(pool_registry_add_tier(registry, "x", 9, NULL), POOL_ERR_INVALID_CAP);
    assert_int_equal(pool_registry_add_tier(registry, "x", POOL_UNLIMITED, NULL), POOL_ERR_INVALID_CAP);
    assert_int_equal(pool_registry_add_tier(registry, "x", 1, negative), POOL_ERR_INVALID);
    assert_int_equal(pool_registry_add_tier(registry, "x", 1, expiry), POOL_ERR_INVALID_EXPIRY);
    assert_int_equal(pool_registry_submit(registry, "x", "acme", empty_task, NULL), POOL_ERR_INVALID);
    assert_ok(pool_registry_add_tier(registry, "x", 8, NULL));
    assert_ok(pool_registry_submit(registry, "x", "acme", empty_task, NULL));
    destroy_registry();
}

static void test_unlimited_tiers_do_not_count(void **state)
{
    (void)state;
    make_registry((pool_registry_limits_t){0});
    assert_ok(pool_registry_add_tier(registry, "any", POOL_UNLIMITED, NULL));
    assert_ok(pool_registry_add_tier(registry, "huge", INT_MAX, NULL));
    use("any", "acme");
    assert_int_equal(pool_registry_total_cap(registry), 0);
    use("huge", "one");
    use("huge", "two");
    assert_int_equal(pool_registry_total_cap(registry), INT_MAX);
    assert_int_equal(pool_registry_pools(registry), 3);
    destroy_registry();
}

static void test_wrong_arguments_make_nothing(void **state)
{
    (void)state;
    pool_t *pool;
    assert_int_equal(pool_registry_new(NULL, NULL), POOL_ERR_INVALID);
    const pool_registry_limits_t negative[] = {{-1, 0, 0}, {0, -1, 0}, {0, 0, -1}};
    for (int i = 0; i < 3; i++)
        assert_int_equal(pool_registry_new(&registry, &negative[i]), POOL_ERR_INVALID);
    make_registry((pool_registry_limits_t){0});
    assert_int_equal(pool_registry_submit(NULL, "free", "a", empty_task, NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_registry_submit(registry, NULL, "a", empty_task, NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_registry_submit(registry, "free", NULL, empty_task, NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_registry_submit(registry, "free", "a", NULL, NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_registry_submit(registry, "none", "a", empty_task, NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_registry_try_submit(registry, "free", "a", NULL, NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_registry_submit_timeout(registry, "free", "a", empty_task, NULL, -1), POOL_ERR_INVALID);
    assert_int_equal(pool_registry_acquire(registry, "free", "a", NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_registry_acquire(registry, "none", "a", &pool), POOL_ERR_INVALID);
    assert_int_equal(pool_registry_put(registry, NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_registry_put(NULL, NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_registry_each(registry, NULL, NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_registry_each(NULL, NULL, NULL), POOL_ERR_INVALID);
    assert_int_equal(pool_registry_release_timeout(NULL, NULL, 0), POOL_ERR_INVALID);
    assert_int_equal(pool_registry_pools(registry), 0);
    assert_int_equal(pool_registry_pools(NULL), 0);
    assert_int_equal(pool_registry_total_cap(NULL), 0);
    destroy_registry();
    assert_ok(pool_registry_destroy(NULL));
}

enum { MAKERS = 8 };

static struct {
    pthread_barrier_t start;
    pool_t *pools[MAKERS];
    pool_err answers[MAKERS];
} makers;

static void *acquire_at_once(void *arg)
{
    int i = *(int *)arg;
    pthread_barrier_wait(&makers.start);
    makers.answers[i] = pool_registry_acquire(registry, "paid", "new", &makers.pools[i]);
    return NULL;
}

static void check_one_pool_was_made(void)
{
    for (int i = 0; i < MAKERS; i++) {
        assert_ok(makers.answers[i]);
        assert_ptr_equal(makers.pools[i], makers.pools[0]);
        put(makers.pools[i]);
    }
    assert_int_equal(pool_registry_pools(registry), 1);
}

static void test_threads_that_ask_at_once_make_one_pool(void **state)
{
    (void)state;
    pthread_t threads[MAKERS];
    int number[MAKERS];
    pthread_barrier_init(&makers.start, NULL, MAKERS);
    for (int round = 0; round < scaled(200); round++) {
        make_registry((pool_registry_limits_t){0});
        for (int i = 0; i < MAKERS; i++) {
            number[i] = i;
            threads[i] = thread_start(acquire_at_once, &number[i]);
        }
        for (int i = 0; i < MAKERS; i++)
            pthread_join(threads[i], NULL);
        check_one_pool_was_made();
        destroy_registry();
    }
    pthread_barrier_destroy(&makers.start);
}

/* ---- Submitting ---- */

static void test_every_submit_runs_its_task(void **state)
{
    (void)state;
    atomic_int ran = 0;
    make_registry((pool_registry_limits_t){0});
    assert_ok(pool_registry_submit(registry, "free", "acme", count_task, &ran));
    assert_ok(pool_registry_submit_timeout(registry, "free", "acme", count_task, &ran, POOL_FOREVER));
    assert_ok(pool_registry_try_submit(registry, "paid", "acme", count_task, &ran));
    assert_true(reaches(&ran, 3));
    destroy_registry();
}

static void test_submits_follow_their_kind_at_the_limit(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    make_registry((pool_registry_limits_t){0});
    assert_ok(pool_registry_submit(registry, "free", "acme", gate_task, &gate));
    assert_int_equal(pool_registry_try_submit(registry, "free", "acme", gate_task, &gate), POOL_ERR_OVERLOAD);
    assert_int_equal(pool_registry_submit_timeout(registry, "free", "acme", gate_task, &gate, 1), POOL_ERR_TIMEOUT);
    assert_ok(pool_registry_try_submit(registry, "free", "other", gate_task, &gate));
    assert_true(gate_await(&gate, 2));
    gate_open(&gate);
    destroy_registry();
    gate_fini(&gate);
}

static void *submit_and_end(void *unused)
{
    if (pool_registry_submit(registry, "here", "acme", pthread_exit, NULL) == POOL_OK)
        abort(); /* it does not return */
    return unused;
}

/* Else the pool would count as in use for ever. */
static void test_task_that_ends_its_submitter_gives_the_pool_back(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    make_registry((pool_registry_limits_t){0});
    const pool_option_t options[] = {pool_with_policy(POOL_CALLER_RUNS), POOL_OPTIONS_END};
    assert_ok(pool_registry_add_tier(registry, "here", 1, options));
    assert_ok(pool_registry_submit(registry, "here", "acme", gate_task, &gate));
    pthread_join(thread_start(submit_and_end, NULL), NULL);
    gate_open(&gate);
    destroy_registry();
    gate_fini(&gate);
}

/* ---- Taking down ---- */

static void test_idle_pool_is_taken_down_and_made_again(void **state)
{
    (void)state;
    atomic_int ran = 0;
    make_registry_idle(IDLE_MS);
    for (int round = 1; round <= 3; round++) {
        int64_t before = now_ms();
        assert_ok(pool_registry_submit(registry, "paid", "acme", count_task, &ran));
        await_pools(0);
        assert_true(now_ms() - before >= IDLE_MS);
        assert_int_equal(pool_registry_total_cap(registry), 0);
        assert_int_equal(ran, round);
    }
    destroy_registry();
}

static void test_without_an_idle_time_pools_stay(void **state)
{
    (void)state;
    const int64_t never[] = {0, POOL_FOREVER};
    for (int i = 0; i < 2; i++) {
        make_registry_idle(never[i]);
        use("free", "acme");
        outlast(IDLE_MS, 2);
        assert_int_equal(pool_registry_pools(registry), 1);
        destroy_registry();
    }
}

static void test_acquired_pool_is_kept_until_it_is_put(void **state)
{
    (void)state;
    make_registry_idle(IDLE_MS);
    pool_t *pool = acquire("free", "acme"), *again = acquire("free", "acme");
    put(again);
    outlast(IDLE_MS, 3);
    assert_int_equal(pool_registry_pools(registry), 1);
    assert_false(pool_is_closed(pool));
    put(pool);
    await_pools(0);
    destroy_registry();
}

static void test_pool_at_work_is_kept_until_it_is_idle(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    make_registry_idle(IDLE_MS);
    assert_ok(pool_registry_submit(registry, "free", "acme", gate_task, &gate));
    outlast(IDLE_MS, 3);
    assert_int_equal(pool_registry_pools(registry), 1);
    gate_open(&gate);
    await_pools(0);
    destroy_registry();
    gate_fini(&gate);
}

static void do_nothing(void *user, pool_t *pool, const char *tier, const char *name)
{
    (void)user, (void)pool, (void)tier, (void)name;
}

static bool gone_though_looked_at(void *unused)
{
    (void)unused;
    (void)pool_registry_each(registry, do_nothing, NULL);
    return pool_registry_pools(registry) == 0;
}

static void test_looking_at_a_pool_is_no_use_of_it(void **state)
{
    (void)state;
    make_registry_idle(100);
    use("free", "acme");
    assert_true(eventually(gone_though_looked_at, NULL, PATIENCE_MS));
    destroy_registry();
}

/* Each pool has a time of its own. */
static void test_each_pool_is_taken_down_when_it_is_due(void **state)
{
    (void)state;
    make_registry_idle(IDLE_MS);
    pool_t *kept = acquire("free", "kept");
    use("free", "one");
    use("paid", "two");
    await_pools(1);
    use("free", "three");
    await_pools(1);
    put(kept);
    await_pools(0);
    destroy_registry();
}

static pthread_key_t key;
static gate_t destructor_gate;

static void wait_in_destructor(void *unused)
{
    (void)unused;
    gate_pass(&destructor_gate);
}

static void set_key(void *unused)
{
    (void)unused;
    pthread_setspecific(key, &destructor_gate);
}

/* The end of its thread takes long: its name, and others, are served meanwhile. */
static void test_pool_that_is_slow_to_end_holds_up_nobody(void **state)
{
    (void)state;
    gate_init(&destructor_gate);
    pthread_key_create(&key, wait_in_destructor);
    make_registry_idle(1);
    assert_ok(pool_registry_submit(registry, "free", "slow", set_key, NULL));
    assert_true(gate_await(&destructor_gate, 1));
    assert_int_equal(pool_registry_pools(registry), 0);
    use("free", "slow");
    use("free", "other");
    assert_int_equal(pool_registry_release_timeout(registry, NULL, 1), POOL_ERR_TIMEOUT);
    gate_open(&destructor_gate);
    assert_ok(pool_registry_release_timeout(registry, NULL, PATIENCE_MS));
    destroy_registry();
    pthread_key_delete(key);
    gate_fini(&destructor_gate);
}

/* ---- Ceilings ---- */

static bool is_there(const char *tier, const char *name);

static void test_at_max_pools_the_longest_idle_goes(void **state)
{
    (void)state;
    make_registry((pool_registry_limits_t){.max_pools = 2});
    use("free", "a");
    use("free", "b");
    use("free", "a");
    use("free", "c");
    assert_int_equal(pool_registry_pools(registry), 2);
    assert_true(is_there("free", "a"));
    assert_false(is_there("free", "b"));
    assert_true(is_there("free", "c"));
    destroy_registry();
}

static void test_at_max_pools_with_none_idle_is_overload(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *none = NULL;
    make_registry((pool_registry_limits_t){.max_pools = 2});
    pool_t *held = acquire("free", "held");
    assert_ok(pool_registry_submit(registry, "free", "busy", gate_task, &gate));
    assert_int_equal(pool_registry_submit(registry, "free", "c", empty_task, NULL), POOL_ERR_OVERLOAD);
    assert_int_equal(pool_registry_try_submit(registry, "free", "c", empty_task, NULL), POOL_ERR_OVERLOAD);
    assert_int_equal(pool_registry_acquire(registry, "free", "c", &none), POOL_ERR_OVERLOAD);
    assert_null(none);
    assert_int_equal(pool_registry_pools(registry), 2);
    assert_false(pool_is_closed(held));
    put(held);
    use("free", "c");
    assert_false(is_there("free", "held"));
    gate_open(&gate);
    destroy_registry();
    gate_fini(&gate);
}

static void test_as_many_go_as_the_total_cap_takes(void **state)
{
    (void)state;
    make_registry((pool_registry_limits_t){.max_total_cap = 6});
    use("free", "a");
    use("free", "b");
    use("free", "c");
    use("free", "d");
    use("paid", "e");
    assert_int_equal(pool_registry_total_cap(registry), 6);
    assert_false(is_there("free", "a") || is_there("free", "b"));
    assert_true(is_there("free", "c") && is_there("free", "d") && is_there("paid", "e"));
    destroy_registry();
}

static void test_where_not_enough_are_idle_none_goes(void **state)
{
    (void)state;
    make_registry((pool_registry_limits_t){.max_total_cap = 4});
    pool_t *idle = use("free", "idle"), *held = acquire("free", "held");
    assert_int_equal(pool_registry_submit(registry, "paid", "big", empty_task, NULL), POOL_ERR_OVERLOAD);
    assert_int_equal(pool_registry_pools(registry), 2);
    assert_int_equal(pool_registry_total_cap(registry), 2);
    assert_ptr_equal(use("free", "idle"), idle);
    put(held);
    assert_ok(pool_registry_submit(registry, "paid", "big", empty_task, NULL));
    assert_int_equal(pool_registry_pools(registry), 1);
    destroy_registry();
}

static void test_tuned_pools_count_as_their_tier_says(void **state)
{
    (void)state;
    make_registry((pool_registry_limits_t){.max_total_cap = 5});
    pool_t *pool = acquire("free", "a");
    assert_ok(pool_tune(pool, 100));
    assert_int_equal(pool_registry_total_cap(registry), 1);
    use("paid", "b");
    put(pool);
    destroy_registry();
}

/* ---- Walking ---- */

struct visits {
    int n;
    char seen[4][32];
    pool_t *pools[4];
};

static void note_visit(void *user, pool_t *pool, const char *tier, const char *name)
{
    struct visits *visits = user;
    if (visits->n < 4) {
        snprintf(visits->seen[visits->n], sizeof visits->seen[0], "%s/%s", tier, name);
        visits->pools[visits->n] = pool;
    }
    visits->n++;
}

static bool is_there(const char *tier, const char *name)
{
    char wanted[32];
    struct visits visits = {0};
    snprintf(wanted, sizeof wanted, "%s/%s", tier, name);
    (void)pool_registry_each(registry, note_visit, &visits);
    for (int i = 0; i < visits.n && i < 4; i++)
        if (strcmp(visits.seen[i], wanted) == 0)
            return true;
    return false;
}

static void test_each_pool_is_visited_once(void **state)
{
    (void)state;
    make_registry((pool_registry_limits_t){0});
    struct visits visits = {0};
    assert_ok(pool_registry_each(registry, note_visit, &visits));
    assert_int_equal(visits.n, 0);
    pool_t *pool = use("free", "a");
    use("paid", "a");
    use("paid", "b");
    assert_ok(pool_registry_each(registry, note_visit, &visits));
    assert_int_equal(visits.n, 3);
    assert_true(is_there("free", "a") && is_there("paid", "a") && is_there("paid", "b"));
    for (int i = 0; i < 3; i++)
        assert_true(strcmp(visits.seen[i], "free/a") != 0 || visits.pools[i] == pool);
    destroy_registry();
}

static void make_another(void *user, pool_t *pool, const char *tier, const char *name)
{
    char other[32];
    (void)pool;
    snprintf(other, sizeof other, "%s of %s", name, name);
    if (pool_registry_submit(registry, tier, other, count_task, user) != POOL_OK)
        abort();
}

static void test_a_visit_may_make_pools(void **state)
{
    (void)state;
    atomic_int ran = 0;
    make_registry((pool_registry_limits_t){0});
    use("free", "a");
    use("free", "b");
    assert_ok(pool_registry_each(registry, make_another, &ran));
    assert_true(reaches(&ran, 2));
    assert_int_equal(pool_registry_pools(registry), 4);
    destroy_registry();
}

static void outlast_the_visit(void *user, pool_t *pool, const char *tier, const char *name)
{
    (void)tier, (void)name;
    outlast(IDLE_MS, 3);
    *(bool *)user = pool_is_closed(pool);
}

static void test_pool_is_kept_while_it_is_visited(void **state)
{
    (void)state;
    bool closed = true;
    make_registry_idle(IDLE_MS);
    use("free", "a");
    assert_ok(pool_registry_each(registry, outlast_the_visit, &closed));
    assert_false(closed);
    await_pools(0);
    destroy_registry();
}

/* ---- Drain ---- */

struct blocked {
    pthread_t thread;
    pool_err answer;
};

static void *submit_blocked(void *arg)
{
    struct blocked *blocked = arg;
    blocked->answer = pool_registry_submit(registry, "free", "acme", empty_task, NULL);
    return NULL;
}

static void test_drain_closes_all_first_then_waits(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    struct blocked blocked;
    pool_t *none;
    make_registry_idle(0);
    pool_t *acme = acquire("free", "acme"), *other = acquire("paid", "other");
    occupy(acme, &gate, 1);
    occupy(other, &gate, 2);
    blocked.thread = thread_start(submit_blocked, &blocked);
    assert_true(eventually_equals(pool_waiting, acme, 1));
    const char *const order[] = {"paid", "free", NULL};
    assert_int_equal(pool_registry_release_timeout(registry, order, 1), POOL_ERR_TIMEOUT);
    pthread_join(blocked.thread, NULL);
    assert_int_equal(blocked.answer, POOL_ERR_CLOSED);
    assert_true(pool_is_closed(acme) && pool_is_closed(other));
    assert_int_equal(pool_registry_submit(registry, "free", "acme", empty_task, NULL), POOL_ERR_CLOSED);
    assert_int_equal(pool_registry_submit(registry, "free", "new", empty_task, NULL), POOL_ERR_CLOSED);
    assert_int_equal(pool_registry_acquire(registry, "free", "acme", &none), POOL_ERR_CLOSED);
    assert_int_equal(pool_registry_add_tier(registry, "late", 1, NULL), POOL_ERR_CLOSED);
    gate_open(&gate);
    assert_ok(pool_registry_release_timeout(registry, order, PATIENCE_MS));
    assert_int_equal(pool_workers(acme) + pool_workers(other), 0);
    assert_int_equal(pool_registry_pools(registry), 2);
    assert_ok(pool_registry_release_timeout(registry, NULL, 0));
    put(acme);
    put(other);
    destroy_registry();
    gate_fini(&gate);
}

/* A tier that is not named is waited for as well. */
static void test_drain_waits_for_all_tiers(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    make_registry_idle(0);
    assert_ok(pool_registry_submit(registry, "paid", "acme", gate_task, &gate));
    const char *const order[] = {"free", NULL};
    assert_int_equal(pool_registry_release_timeout(registry, order, 1), POOL_ERR_TIMEOUT);
    gate_open(&gate);
    assert_ok(pool_registry_release_timeout(registry, order, PATIENCE_MS));
    destroy_registry();
    gate_fini(&gate);
}

static void test_wrong_drains_close_nothing(void **state)
{
    (void)state;
    make_registry_idle(0);
    const char *const order[] = {"free", "none", NULL};
    assert_int_equal(pool_registry_release_timeout(registry, order, 0), POOL_ERR_INVALID);
    assert_int_equal(pool_registry_release_timeout(registry, NULL, -1), POOL_ERR_INVALID);
    use("free", "acme");
    destroy_registry();
}

struct answers {
    pool_err drain, destroy;
};

static void end_from_inside(void *arg)
{
    struct answers *answers = arg;
    answers->drain = pool_registry_release_timeout(registry, NULL, 0);
    answers->destroy = pool_registry_destroy(registry);
}

static void test_drain_and_destroy_from_inside_are_deadlock(void **state)
{
    (void)state;
    struct answers answers;
    pool_t *outer = make_pool_with(1, pool_with_policy(POOL_CALLER_RUNS));
    make_registry_idle(0);
    pool_t *pool = acquire("free", "acme");
    assert_ok(pool_submit(pool, end_from_inside, &answers));
    assert_ok(pool_wait(pool));
    assert_int_equal(answers.drain, POOL_ERR_DEADLOCK);
    assert_int_equal(answers.destroy, POOL_ERR_DEADLOCK);
    put(pool);
    use("free", "acme"); /* nothing was closed */
    assert_ok(pool_submit(outer, end_from_inside, &answers)); /* from elsewhere both work */
    assert_ok(pool_destroy(outer));
    assert_true(answers.drain == POOL_OK || answers.drain == POOL_ERR_TIMEOUT);
    assert_ok(answers.destroy);
}

/* ---- Destroy ---- */

static void test_pool_of_a_registry_cannot_be_destroyed(void **state)
{
    (void)state;
    pool_t *stranger = make_pool(1);
    make_registry_idle(0);
    pool_t *pool = acquire("free", "acme");
    assert_int_equal(pool_destroy(pool), POOL_ERR_INVALID);
    assert_false(pool_is_closed(pool));
    assert_int_equal(pool_registry_put(registry, stranger), POOL_ERR_INVALID);
    put(pool);
    use("free", "acme");
    destroy_registry();
    assert_ok(pool_destroy(stranger));
}

/* What its user released is made anew once it was idle. */
static void test_released_pool_is_replaced_when_idle(void **state)
{
    (void)state;
    make_registry_idle(IDLE_MS);
    pool_t *pool = acquire("free", "acme");
    assert_ok(pool_release(pool));
    assert_int_equal(pool_registry_submit(registry, "free", "acme", empty_task, NULL), POOL_ERR_CLOSED);
    put(pool);
    await_pools(0);
    use("free", "acme");
    destroy_registry();
}

static atomic_bool destroyed;

static void *destroy_it(void *unused)
{
    assert_ok(pool_registry_destroy(registry));
    atomic_store(&destroyed, true);
    return unused;
}

static bool is_closed(void *pool)
{
    return pool_is_closed(pool);
}

static void test_destroy_waits_until_pools_are_put(void **state)
{
    (void)state;
    destroyed = false;
    make_registry_idle(IDLE_MS);
    pool_t *pool = acquire("free", "acme");
    use("paid", "other");
    pthread_t destroyer = thread_start(destroy_it, NULL);
    assert_true(eventually(is_closed, pool, PATIENCE_MS));
    assert_int_equal(pool_submit(pool, empty_task, NULL), POOL_ERR_CLOSED);
    assert_false(destroyed);
    put(pool);
    pthread_join(destroyer, NULL);
}

static void test_destroy_refuses_the_blocked_and_runs_the_accepted(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    struct blocked blocked;
    make_registry_idle(0);
    pool_t *pool = acquire("free", "acme");
    occupy(pool, &gate, 1);
    blocked.thread = thread_start(submit_blocked, &blocked);
    assert_true(eventually_equals(pool_waiting, pool, 1));
    put(pool);
    pthread_t destroyer = thread_start(destroy_it, NULL);
    pthread_join(blocked.thread, NULL);
    assert_int_equal(blocked.answer, POOL_ERR_CLOSED);
    gate_open(&gate);
    pthread_join(destroyer, NULL);
    gate_fini(&gate);
}

/* ---- From hooks ---- */

static struct {
    atomic_int calls, ran;
    _Atomic pool_err answer;
} hook;

static void submit_in_hook(void *name)
{
    hook.answer = pool_registry_submit(registry, "hooked", name, count_task, &hook.ran);
    count_task(&hook.calls);
}

static void add_hooked_tier(char *name, int prestart)
{
    memset(&hook, 0, sizeof hook);
    const pool_option_t options[] = {pool_with_thread_hooks(submit_in_hook, NULL, name),
                                     pool_with_prestart(prestart), pool_with_queue(4), POOL_OPTIONS_END};
    assert_ok(pool_registry_add_tier(registry, "hooked", 1, options));
}

/* Either the pool was made by then, or the answer is an error: nobody waits for himself. */
static void test_start_hook_may_submit_to_its_own_name(void **state)
{
    (void)state;
    for (int round = 0; round < scaled(100); round++) {
        make_registry_idle(0);
        add_hooked_tier("self", 1);
        use("hooked", "self");
        assert_true(reaches(&hook.calls, 1));
        assert_true(hook.answer == POOL_OK || hook.answer == POOL_ERR_DEADLOCK);
        destroy_registry();
        assert_int_equal(hook.ran, hook.answer == POOL_OK);
    }
}

static void test_hook_takes_no_pool_down(void **state)
{
    (void)state;
    make_registry((pool_registry_limits_t){.max_pools = 2});
    add_hooked_tier("third", 0);
    use("free", "idle");
    use("hooked", "second");
    assert_int_equal(hook.calls, 1);
    assert_int_equal(hook.answer, POOL_ERR_OVERLOAD);
    assert_true(is_there("free", "idle"));
    destroy_registry();
}

static void submit_to_another(void *ran)
{
    if (pool_registry_submit(registry, "free", "other", count_task, ran) != POOL_OK)
        abort();
}

static void test_task_takes_an_idle_pool_down(void **state)
{
    (void)state;
    atomic_int ran = 0;
    make_registry((pool_registry_limits_t){.max_pools = 2});
    use("free", "idle");
    assert_ok(pool_registry_submit(registry, "free", "busy", submit_to_another, &ran));
    assert_true(reaches(&ran, 1));
    assert_false(is_there("free", "idle"));
    destroy_registry();
}

/* ---- fork ---- */

static int check_in_child(void *pool)
{
    pool_t *none;
    pool_registry_t *mine;
    atomic_int ran = 0;
    child_assert(pool_registry_submit(registry, "free", "acme", empty_task, NULL) == POOL_ERR_FORKED);
    child_assert(pool_registry_acquire(registry, "free", "acme", &none) == POOL_ERR_FORKED);
    child_assert(pool_registry_put(registry, pool) == POOL_ERR_FORKED);
    child_assert(pool_registry_add_tier(registry, "x", 1, NULL) == POOL_ERR_FORKED);
    child_assert(pool_registry_each(registry, do_nothing, NULL) == POOL_ERR_FORKED);
    child_assert(pool_registry_release_timeout(registry, NULL, 0) == POOL_ERR_FORKED);
    child_assert(pool_registry_pools(registry) == 0 && pool_registry_total_cap(registry) == 0);
    child_assert(pool_registry_destroy(registry) == POOL_OK);
    if (UNDER_TSAN)
        return 0; /* it takes the parent's threads for alive, and new ones for their doubles */
    child_assert(pool_registry_new(&mine, &(pool_registry_limits_t){.idle_ms = 1}) == POOL_OK);
    child_assert(pool_registry_add_tier(mine, "free", 1, NULL) == POOL_OK);
    child_assert(pool_registry_submit(mine, "free", "acme", count_task, &ran) == POOL_OK);
    child_assert(pool_registry_destroy(mine) == POOL_OK && ran == 1);
    return 0;
}

static void test_registry_is_forked_in_the_child(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    make_registry_idle(IDLE_MS);
    pool_t *pool = acquire("free", "acme");
    occupy(pool, &gate, 1);
    assert_int_equal(exit_code_of(fork_into(check_in_child, pool)), 0);
    gate_open(&gate);
    put(pool);
    use("free", "acme");
    destroy_registry();
    gate_fini(&gate);
}

static void fork_inside(void *code)
{
    *(int *)code = exit_code_of(fork_into(check_in_child, pool_current()));
}

static void test_registry_is_forked_inside_a_task(void **state)
{
    (void)state;
    int code = -1;
    make_registry_idle(0);
    assert_ok(pool_registry_submit(registry, "free", "acme", fork_inside, &code));
    destroy_registry();
    assert_int_equal(code, 0);
}

static void fork_here(void *pid)
{
    *(pid_t *)pid = fork();
}

/* The child returns into the submit, which holds a pin. */
static void test_fork_in_a_task_that_runs_in_its_submitter(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pid_t pid = -1;
    make_registry_idle(0);
    const pool_option_t options[] = {pool_with_policy(POOL_CALLER_RUNS), POOL_OPTIONS_END};
    assert_ok(pool_registry_add_tier(registry, "here", 1, options));
    assert_ok(pool_registry_submit(registry, "here", "acme", gate_task, &gate));
    assert_true(gate_await(&gate, 1));
    pool_err answer = pool_registry_submit(registry, "here", "acme", fork_here, &pid);
    if (pid == 0) {
        child_must_end();
        child_assert(answer == POOL_OK);
        child_end(check_in_child(NULL));
    }
    assert_ok(answer);
    assert_int_equal(exit_code_of(pid), 0);
    gate_open(&gate);
    destroy_registry();
    gate_fini(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_pool_is_made_on_first_use_from_its_tier),
        checked(test_a_name_is_one_pool_in_each_tier),
        checked(test_many_names_are_as_many_pools),
        checked(test_what_a_tier_is_made_from_is_copied),
        checked(test_tiers_are_checked_when_they_are_added),
        checked(test_unlimited_tiers_do_not_count),
        checked(test_wrong_arguments_make_nothing),
        checked(test_threads_that_ask_at_once_make_one_pool),
        checked(test_every_submit_runs_its_task),
        checked(test_submits_follow_their_kind_at_the_limit),
        checked(test_task_that_ends_its_submitter_gives_the_pool_back),
        checked(test_idle_pool_is_taken_down_and_made_again),
        checked(test_without_an_idle_time_pools_stay),
        checked(test_acquired_pool_is_kept_until_it_is_put),
        checked(test_pool_at_work_is_kept_until_it_is_idle),
        checked(test_looking_at_a_pool_is_no_use_of_it),
        checked(test_each_pool_is_taken_down_when_it_is_due),
        checked(test_pool_that_is_slow_to_end_holds_up_nobody),
        checked(test_at_max_pools_the_longest_idle_goes),
        checked(test_at_max_pools_with_none_idle_is_overload),
        checked(test_as_many_go_as_the_total_cap_takes),
        checked(test_where_not_enough_are_idle_none_goes),
        checked(test_tuned_pools_count_as_their_tier_says),
        checked(test_each_pool_is_visited_once),
        checked(test_a_visit_may_make_pools),
        checked(test_pool_is_kept_while_it_is_visited),
        checked(test_drain_closes_all_first_then_waits),
        checked(test_drain_waits_for_all_tiers),
        checked(test_wrong_drains_close_nothing),
        checked(test_drain_and_destroy_from_inside_are_deadlock),
        checked(test_pool_of_a_registry_cannot_be_destroyed),
        checked(test_released_pool_is_replaced_when_idle),
        checked(test_destroy_waits_until_pools_are_put),
        checked(test_destroy_refuses_the_blocked_and_runs_the_accepted),
        checked(test_start_hook_may_submit_to_its_own_name),
        checked(test_hook_takes_no_pool_down),
        checked(test_task_takes_an_idle_pool_down),
        checked(test_registry_is_forked_in_the_child),
        checked(test_registry_is_forked_inside_a_task),
        checked(test_fork_in_a_task_that_runs_in_its_submitter),
    };
    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
