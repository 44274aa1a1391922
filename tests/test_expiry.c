/* Idle workers: when they leave, which leave first and which stay. */
#include "support.h"

#include <stdio.h>

enum { MOST = 16 };

/* A task that shows which worker ran it and stands at a gate of its own. */
struct seat {
    gate_t gate;
    pthread_t thread;
};

static struct {
    struct seat seats[MOST];
    atomic_int places, exits;
    pthread_t left[MOST];
    int64_t exited_at[MOST];
} room;

static void sit(void *arg)
{
    struct seat *seat = arg;
    seat->thread = pthread_self();
    gate_pass(&seat->gate);
}

static void note_exit(void *unused)
{
    (void)unused;
    int i = atomic_fetch_add(&room.places, 1);
    room.left[i] = pthread_self();
    room.exited_at[i] = now_ms();
    atomic_fetch_add(&room.exits, 1); /* last: who sees it sees the above */
}

static const pool_t *parking; /* whose workers parked_or_left counts */

static bool parked_or_left(void *number)
{
    return pool_idle(parking) + atomic_load(&room.exits) == *(int *)number;
}

/* n workers of the pool sit down and go idle one after the other. */
static void park_in_order(pool_t *pool, int n)
{
    room.places = room.exits = 0;
    parking = pool;
    for (int i = 0; i < n; i++) {
        gate_init(&room.seats[i].gate);
        assert_ok(pool_submit(pool, sit, &room.seats[i]));
        assert_true(gate_await(&room.seats[i].gate, 1));
    }
    for (int i = 0; i < n; i++) {
        gate_open(&room.seats[i].gate);
        int number = i + 1;
        assert_true(eventually(parked_or_left, &number, PATIENCE_MS));
    }
}

static pool_option_t noting_exits(void)
{
    return pool_with_thread_hooks(NULL, note_exit, NULL);
}

/* Returns after more than the expiry, times over: idle workers of another pool have left. */
static void outlast(int64_t expiry_ms, int times)
{
    pool_t *twin = make_pool_with(1, pool_with_expiry_ms(expiry_ms));
    for (int i = 0; i < times; i++) {
        assert_ok(pool_submit(twin, empty_task, NULL));
        assert_ok(pool_wait(twin));
        assert_true(eventually_equals(pool_workers, twin, 0));
    }
    assert_ok(pool_destroy(twin));
}

/* ---- When they leave ---- */

static void all_leave(pool_t *pool, int n, int64_t expiry_ms)
{
    int64_t start = now_ms(); /* before the first goes idle */
    park_in_order(pool, n);
    assert_true(eventually_equals(pool_workers, pool, 0));
    assert_int_equal(pool_idle(pool), 0);
    assert_ok(pool_destroy(pool));
    assert_int_equal(room.exits, n);
    for (int i = 0; i < n; i++)
        assert_true(room.exited_at[i] - start >= expiry_ms);
}

static void test_idle_workers_leave_after_the_expiry_and_not_before(void **state)
{
    (void)state;
    all_leave(make_pool_with(5, pool_with_expiry_ms(60), noting_exits()), 5, 60);
}

static void test_idle_workers_of_a_preallocated_pool_leave(void **state)
{
    (void)state;
    all_leave(make_pool_with(5, pool_with_expiry_ms(30), pool_with_prealloc(true), noting_exits()), 5, 30);
}

static void test_default_expiry_is_a_second(void **state)
{
    (void)state;
    all_leave(make_pool_with(2, noting_exits()), 2, POOL_EXPIRY_DEFAULT_MS);
}

static void test_expiry_of_a_millisecond(void **state)
{
    (void)state;
    pool_t *pool = make_pool_with(4, pool_with_expiry_ms(1));
    for (int round = 0; round < 20; round++) {
        atomic_int runs = 0;
        for (int i = 0; i < 4; i++)
            assert_ok(pool_submit(pool, count_task, &runs));
        assert_true(eventually_equals(pool_workers, pool, 0));
        assert_int_equal(runs, 4);
    }
    assert_ok(pool_destroy(pool));
}

static void purge_a_crowd(pool_t *pool, int n)
{
    gate_t gate = GATE_CLOSED;
    for (int i = 0; i < n; i++)
        assert_ok(pool_invoke(pool, &gate));
    assert_true(gate_await(&gate, n));
    assert_int_equal(pool_workers(pool), n);
    gate_open(&gate);
    assert_true(eventually_equals(pool_workers, pool, 0));
    assert_int_equal(pool_running(pool), 0);
    open_and_destroy(pool, &gate);
}

static void test_none_of_a_crowd_is_left_after_the_expiry(void **state)
{
    (void)state;
    int n = 200;
    purge_a_crowd(make_pool_with(n, pool_with_func(gate_task), pool_with_expiry_ms(50)), n);
    purge_a_crowd(make_pool_with(n, pool_with_func(gate_task), pool_with_expiry_ms(50),
                                 pool_with_prealloc(true)), n);
}

/* All at about the same time: while three workers of another pool leave one after the other. */
static void test_crowd_does_not_leave_one_by_one(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(16, pool_with_expiry_ms(200));
    occupy(pool, &gate, 16);
    gate_open(&gate);
    assert_ok(pool_wait(pool));
    outlast(200, 3);
    assert_int_equal(pool_workers(pool), 0);
    assert_ok(pool_destroy(pool));
    gate_fini(&gate);
}

static void test_pool_works_after_all_have_left(void **state)
{
    (void)state;
    atomic_int runs = 0;
    pool_t *pool = make_pool_with(10, pool_with_func(count_task), pool_with_expiry_ms(10));
    for (int round = 1; round <= 5; round++) {
        for (int i = 0; i < 100; i++)
            assert_ok(pool_invoke(pool, &runs));
        assert_true(eventually_equals(pool_workers, pool, 0));
        assert_int_equal(runs, 100 * round);
    }
    assert_ok(pool_destroy(pool));
}

/* Every thread notes when its last task ended; leaving sooner than the expiry after that
 * is early, however often it worked in between. */
static _Thread_local int64_t last_worked;
static atomic_int early, leavers;
enum { SHORT_EXPIRY_MS = 40 };

static void work(void *unused)
{
    (void)unused;
    last_worked = now_ms();
}

static void check_not_early(void *unused)
{
    (void)unused;
    atomic_fetch_add(&leavers, 1);
    if (now_ms() - last_worked < SHORT_EXPIRY_MS)
        atomic_fetch_add(&early, 1);
}

static bool never(void *unused)
{
    (void)unused;
    return false;
}

static void test_work_starts_the_expiry_anew(void **state)
{
    (void)state;
    early = leavers = 0;
    pool_t *pool = make_pool_with(1, pool_with_expiry_ms(SHORT_EXPIRY_MS),
                                  pool_with_thread_hooks(NULL, check_not_early, NULL));
    for (int i = 0; i < 12; i++) {
        assert_ok(pool_submit(pool, work, NULL));
        assert_ok(pool_wait(pool));
        (void)eventually(never, NULL, SHORT_EXPIRY_MS * 3 / 4); /* idle, but not for the expiry */
    }
    assert_true(eventually_equals(pool_workers, pool, 0));
    assert_ok(pool_destroy(pool));
    assert_true(leavers >= 1);
    assert_int_equal(early, 0);
}

/* ---- Which leave ---- */

static bool has_left(pthread_t thread)
{
    for (int i = 0; i < room.exits; i++)
        if (pthread_equal(room.left[i], thread))
            return true;
    return false;
}

static void test_oldest_idle_workers_leave_first(void **state)
{
    (void)state;
    pool_t *pool = make_pool_with(6, pool_with_expiry_ms(50), pool_with_min_idle(3), noting_exits());
    park_in_order(pool, 6);
    assert_true(eventually_equals(pool_workers, pool, 3));
    assert_true(eventually(parked_or_left, &(int){6}, PATIENCE_MS));
    assert_int_equal(room.exits, 3);
    for (int i = 0; i < 3; i++)
        assert_true(has_left(room.seats[i].thread));
    assert_ok(pool_destroy(pool));
}

static void test_newest_idle_worker_takes_the_next_task(void **state)
{
    (void)state;
    struct seat next;
    pool_t *pool = make_pool_with(4, pool_with_expiry_ms(POOL_FOREVER));
    park_in_order(pool, 4);
    gate_init(&next.gate);
    gate_open(&next.gate);
    assert_ok(pool_submit(pool, sit, &next));
    assert_ok(pool_wait(pool));
    assert_true(pthread_equal(next.thread, room.seats[3].thread));
    assert_ok(pool_destroy(pool));
}

static void test_busy_worker_does_not_leave(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(4, pool_with_expiry_ms(10));
    occupy(pool, &gate, 2);
    outlast(10, 3);
    assert_true(eventually_equals(pool_workers, pool, 2));
    assert_int_equal(pool_running(pool), 2);
    open_and_destroy(pool, &gate);
}

/* ---- Which stay ---- */

static void stay(pool_t *pool, int64_t longer_than_ms)
{
    park_in_order(pool, 10);
    outlast(longer_than_ms, longer_than_ms < 100 ? 3 : 1);
    assert_int_equal(pool_workers(pool), 10);
    assert_int_equal(pool_idle(pool), 10);
    assert_int_equal(pool_free_slots(pool), 10);
    assert_int_equal(room.exits, 0);
    assert_ok(pool_release_timeout(pool, PATIENCE_MS));
    assert_int_equal(pool_workers(pool), 0);
    assert_int_equal(room.exits, 10);
    assert_ok(pool_destroy(pool));
}

static void test_disable_purge_keeps_idle_workers(void **state)
{
    (void)state;
    stay(make_pool_with(10, pool_with_disable_purge(true), noting_exits()), POOL_EXPIRY_DEFAULT_MS);
}

static void test_disable_purge_wins_over_an_expiry(void **state)
{
    (void)state;
    stay(make_pool_with(10, pool_with_disable_purge(true), pool_with_expiry_ms(20), noting_exits()), 20);
}

static void test_expiry_of_forever_keeps_idle_workers(void **state)
{
    (void)state;
    stay(make_pool_with(10, pool_with_expiry_ms(POOL_FOREVER), noting_exits()), POOL_EXPIRY_DEFAULT_MS);
}

static void test_min_idle_is_kept(void **state)
{
    (void)state;
    pool_t *pool = make_pool_with(8, pool_with_expiry_ms(20), pool_with_min_idle(3), noting_exits());
    park_in_order(pool, 8);
    assert_true(eventually_equals(pool_workers, pool, 3));
    outlast(20, 3);
    assert_int_equal(pool_workers(pool), 3);
    assert_int_equal(pool_idle(pool), 3);
    assert_ok(pool_destroy(pool));
}

static void test_min_idle_starts_no_workers(void **state)
{
    (void)state;
    pool_t *pool = make_pool_with(8, pool_with_expiry_ms(20), pool_with_min_idle(3), noting_exits());
    assert_int_equal(pool_workers(pool), 0);
    park_in_order(pool, 2);
    outlast(20, 3);
    assert_int_equal(pool_workers(pool), 2);
    assert_ok(pool_destroy(pool));
}

/* A busy worker is not idle: min_idle counts the others. */
static void test_min_idle_counts_idle_workers_only(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(8, pool_with_expiry_ms(20), pool_with_min_idle(2), noting_exits());
    occupy(pool, &gate, 3);
    park_in_order(pool, 5);
    assert_true(eventually_equals(pool_workers, pool, 5));
    outlast(20, 2);
    assert_int_equal(pool_workers(pool), 5);
    assert_int_equal(pool_idle(pool), 2);
    open_and_destroy(pool, &gate);
}

static void test_idle_workers_of_many_pools_leave(void **state)
{
    (void)state;
    enum { POOLS = 20 };
    pool_t *pools[POOLS];
    for (int i = 0; i < POOLS; i++) {
        pools[i] = make_pool_with(2, pool_with_expiry_ms(5 + 7 * (i % 5)));
        assert_ok(pool_submit(pools[i], empty_task, NULL));
    }
    for (int i = 0; i < POOLS; i++)
        assert_ok(pool_wait(pools[i]));
    for (int i = 0; i < POOLS; i++)
        assert_true(eventually_equals(pool_workers, pools[i], 0));
    for (int i = 0; i < POOLS; i++)
        assert_ok(pool_destroy(pools[i]));
}

/* The janitor sees to the one that is due first, whatever came in between. */
static void test_pools_of_long_expiries_hold_up_no_other(void **state)
{
    (void)state;
    const int64_t expiry_ms[] = {30, 3600000, 60, 7200000};
    pool_t *pools[4];
    for (int i = 0; i < 4; i++) {
        pools[i] = make_pool_with(1, pool_with_expiry_ms(expiry_ms[i]), pool_with_prestart(1));
        assert_true(eventually_equals(pool_idle, pools[i], 1));
    }
    assert_true(eventually_equals(pool_workers, pools[0], 0));
    assert_true(eventually_equals(pool_workers, pools[2], 0));
    assert_int_equal(pool_workers(pools[1]), 1);
    assert_int_equal(pool_workers(pools[3]), 1);
    for (int i = 0; i < 4; i++)
        assert_ok(pool_destroy(pools[i]));
}

/* ---- The memory of those that have left ---- */

static long address_space_kib(void)
{
    char line[128];
    long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    if (status == NULL)
        return 0;
    while (fgets(line, sizeof line, status) != NULL)
        if (sscanf(line, "VmSize: %ld", &kib) == 1)
            break;
    fclose(status);
    return kib;
}

static bool address_space_is_below(void *kib)
{
    return address_space_kib() < *(long *)kib;
}

/* Larger than what the system may keep of ended threads for new ones: 40 MiB in glibc. And
 * more than are joined on one visit. */
static void test_stacks_of_those_that_left_are_given_back(void **state)
{
    (void)state;
    enum { CROWD = 200, STACK_MIB = 1 };
    gate_t gate = GATE_CLOSED;
    long before = address_space_kib();
    if (before == 0)
        skip();
    pool_t *pool = make_pool_with(CROWD, pool_with_stack_size((size_t)STACK_MIB << 20), pool_with_expiry_ms(50));
    occupy(pool, &gate, CROWD);
    long half = address_space_kib() - (long)CROWD / 2 * STACK_MIB * 1024;
    assert_true(half > before);
    gate_open(&gate);
    assert_true(eventually_equals(pool_workers, pool, 0));
    assert_true(eventually(address_space_is_below, &half, PATIENCE_MS));
    open_and_destroy(pool, &gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_idle_workers_leave_after_the_expiry_and_not_before),
        checked(test_idle_workers_of_a_preallocated_pool_leave),
        checked(test_default_expiry_is_a_second),
        checked(test_expiry_of_a_millisecond),
        checked(test_none_of_a_crowd_is_left_after_the_expiry),
        checked(test_crowd_does_not_leave_one_by_one),
        checked(test_pool_works_after_all_have_left),
        checked(test_work_starts_the_expiry_anew),
        checked(test_oldest_idle_workers_leave_first),
        checked(test_newest_idle_worker_takes_the_next_task),
        checked(test_busy_worker_does_not_leave),
        checked(test_disable_purge_keeps_idle_workers),
        checked(test_disable_purge_wins_over_an_expiry),
        checked(test_expiry_of_forever_keeps_idle_workers),
        checked(test_min_idle_is_kept),
        checked(test_min_idle_starts_no_workers),
        checked(test_min_idle_counts_idle_workers_only),
        checked(test_idle_workers_of_many_pools_leave),
        checked(test_pools_of_long_expiries_hold_up_no_other),
        checked(test_stacks_of_those_that_left_are_given_back),
    };
    return cmocka_run_group_tests_name("expiry", tests, NULL, NULL);
}
