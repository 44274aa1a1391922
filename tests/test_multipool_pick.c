/* Which shard a task goes to: strategies, keys, the user's picker. */
#include "multi.h"

#include <limits.h>
#include <sched.h>

enum { SHARDS = 4 };

/* How many tasks went to a shard that runs nothing meanwhile. */
static int count_at(multipool_t *multi, int shard)
{
    int queued = -1;
    assert_ok(multipool_queued_at(multi, shard, &queued));
    return queued;
}

/* Cap 1, one task at the gate in each shard, room for n more. */
static multipool_t *make_held(multipool_strategy strategy, int n, gate_t *gate)
{
    multipool_t *multi = make_multi_with(SHARDS, 1, strategy, pool_with_queue(n));
    for (int i = 0; i < SHARDS; i++)
        assert_ok(pool_submit(multipool_shard(multi, i), gate_task, gate));
    assert_true(gate_await(gate, SHARDS));
    return multi;
}

static void let_go(multipool_t *multi, gate_t *gate)
{
    gate_open(gate);
    assert_ok(multipool_destroy(multi));
    gate_fini(gate);
}

/* ---- Strategies ---- */

static void test_round_robin_goes_round(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    multipool_t *multi = make_held(MULTIPOOL_ROUND_ROBIN, 100, &gate);
    for (int i = 1; i <= 10; i++) {
        for (int j = 0; j < SHARDS; j++)
            assert_ok(multipool_submit(multi, empty_task, NULL));
        for (int j = 0; j < SHARDS; j++)
            assert_int_equal(count_at(multi, j), i);
    }
    let_go(multi, &gate);
}

/* A thread that uses two of them in turn goes round in each. */
static void test_round_robin_is_each_multipools_own(void **state)
{
    (void)state;
    gate_t gates[2] = {GATE_CLOSED, GATE_CLOSED};
    multipool_t *multi[2] = {make_held(MULTIPOOL_ROUND_ROBIN, 100, &gates[0]),
                             make_held(MULTIPOOL_ROUND_ROBIN, 100, &gates[1])};
    for (int i = 0; i < 10 * SHARDS; i++)
        for (int j = 0; j < 2; j++)
            assert_ok(multipool_submit(multi[j], empty_task, NULL));
    for (int i = 0; i < SHARDS; i++)
        for (int j = 0; j < 2; j++)
            assert_int_equal(count_at(multi[j], i), 10);
    let_go(multi[0], &gates[0]);
    let_go(multi[1], &gates[1]);
}

struct hand {
    multipool_t *multi;
    int n;
};

static void *submit_some(void *arg)
{
    struct hand *hand = arg;
    for (int i = 0; i < hand->n; i++)
        if (multipool_submit(hand->multi, empty_task, NULL) != POOL_OK)
            return hand;
    return NULL;
}

static void submit_from_threads(multipool_t *multi, int threads, int n)
{
    pthread_t thread[64];
    struct hand hand = {multi, n};
    assert_true(threads <= 64);
    for (int i = 0; i < threads; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, submit_some, &hand), 0);
    for (int i = 0; i < threads; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(thread[i], &failed), 0);
        assert_null(failed);
    }
}

/* Threads that share a cursor may now and then take the same step. */
static void test_round_robin_of_many_threads_is_near_even(void **state)
{
    (void)state;
    enum { THREADS = 40, EACH = 1000, MEAN = THREADS * EACH / SHARDS };
    gate_t gate = GATE_CLOSED;
    multipool_t *multi = make_held(MULTIPOOL_ROUND_ROBIN, THREADS * EACH, &gate);
    submit_from_threads(multi, THREADS, EACH);
    for (int i = 0; i < SHARDS; i++) {
        assert_true(count_at(multi, i) > MEAN * 3 / 4);
        assert_true(count_at(multi, i) < MEAN * 5 / 4);
    }
    let_go(multi, &gate);
}

static void test_least_tasks_fills_the_emptiest(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    multipool_t *multi = make_held(MULTIPOOL_LEAST_TASKS, 100, &gate);
    for (int i = 0; i < SHARDS; i++)
        for (int j = 0; j < 3 * i; j++)
            assert_ok(pool_submit(multipool_shard(multi, i), empty_task, NULL));
    for (int i = 0; i < 9 + 6 + 3; i++)
        assert_ok(multipool_submit(multi, empty_task, NULL));
    for (int i = 0; i < SHARDS; i++)
        assert_int_equal(count_at(multi, i), 9);
    let_go(multi, &gate);
}

/* Running tasks count as queued ones do. */
static void test_least_tasks_counts_running_ones(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    multipool_t *multi = make_multi(2, 2, MULTIPOOL_LEAST_TASKS);
    for (int i = 0; i < 4; i++) {
        assert_ok(multipool_submit(multi, gate_task, &gate));
        assert_true(gate_await(&gate, i + 1));
        int first = -1, second = -1;
        assert_ok(multipool_running_at(multi, 0, &first));
        assert_ok(multipool_running_at(multi, 1, &second));
        assert_int_equal(first + second, i + 1);
        assert_true(first - second <= 1 && second - first <= 1);
    }
    let_go(multi, &gate);
}

static void test_two_choices_keeps_the_shards_near_even(void **state)
{
    (void)state;
    enum { TASKS = 40000, MEAN = TASKS / SHARDS };
    gate_t gate = GATE_CLOSED;
    multipool_t *multi = make_held(MULTIPOOL_TWO_CHOICES, TASKS, &gate);
    for (int i = 0; i < TASKS; i++)
        assert_ok(multipool_submit(multi, empty_task, NULL));
    for (int i = 0; i < SHARDS; i++) { /* by chance alone it would be some 90 off the mean */
        assert_true(count_at(multi, i) >= MEAN - 20);
        assert_true(count_at(multi, i) <= MEAN + 20);
    }
    let_go(multi, &gate);
}

static void test_two_choices_of_one_shard(void **state)
{
    (void)state;
    atomic_int runs = 0;
    multipool_t *multi = make_multi(1, 2, MULTIPOOL_TWO_CHOICES);
    for (int i = 0; i < 20; i++)
        assert_ok(multipool_submit(multi, count_task, &runs));
    assert_ok(multipool_destroy(multi));
    assert_int_equal(runs, 20);
}

static void test_sticky_keeps_a_thread_on_its_shard(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    multipool_t *multi = make_held(MULTIPOOL_STICKY, 100, &gate);
    for (int i = 0; i < 100; i++)
        assert_ok(multipool_submit(multi, empty_task, NULL));
    int most = 0;
    for (int i = 0; i < SHARDS; i++)
        most = count_at(multi, i) > most ? count_at(multi, i) : most;
    assert_int_equal(most, 100);
    let_go(multi, &gate);
}

static void test_sticky_deals_threads_out_evenly(void **state)
{
    (void)state;
    enum { THREADS = 32, EACH = 5 };
    gate_t gate = GATE_CLOSED;
    multipool_t *multi = make_held(MULTIPOOL_STICKY, THREADS * EACH, &gate);
    submit_from_threads(multi, THREADS, EACH);
    for (int i = 0; i < SHARDS; i++)
        assert_int_equal(count_at(multi, i), THREADS * EACH / SHARDS);
    let_go(multi, &gate);
}

/* ---- Keys ---- */

static atomic_int counts[64];

static void count_shard_task(void *unused)
{
    atomic_int at = -1;
    (void)unused;
    note_shard_task(&at);
    atomic_fetch_add(&counts[at], 1);
}

/* For `shards` and the keys start, start + step, …; with d degrees of freedom chi-square has
 * the mean d and the deviation sqrt(2 d), so five of those off is no chance. */
static void check_spread(int shards, uint64_t start, uint64_t step, int n)
{
    multipool_t *multi = make_multi_with(shards, 2, MULTIPOOL_ROUND_ROBIN, pool_with_queue(4096));
    for (int i = 0; i < shards; i++)
        counts[i] = 0;
    for (int i = 0; i < n; i++)
        assert_ok(multipool_submit_key(multi, start + step * (uint64_t)i, count_shard_task, NULL));
    assert_ok(multipool_destroy(multi));
    double mean = (double)n / shards, chi_square = 0, freedom = shards - 1;
    for (int i = 0; i < shards; i++)
        chi_square += (counts[i] - mean) * (counts[i] - mean) / mean;
    assert_true((chi_square - freedom) * (chi_square - freedom) < 25 * 2 * freedom);
}

static void test_keys_are_spread_evenly(void **state)
{
    (void)state;
    int n = scaled(1000000);
    check_spread(16, 0, 1, n);
    check_spread(7, 1000000007, 1, n / 5);
    check_spread(10, 0, 4096, n / 5);            /* addresses */
    check_spread(3, 0, (uint64_t)1 << 40, n / 5);
    check_spread(64, 12345, 0x9e3779b97f4a7c15, n / 5); /* what the mixing itself steps by */
}

static void test_same_key_same_shard(void **state)
{
    (void)state;
    enum { KEYS = 200 };
    static atomic_int first[KEYS], again;
    multipool_t *multi = make_multi(5, 1, MULTIPOOL_ROUND_ROBIN);
    for (int i = 0; i < KEYS; i++)
        assert_ok(multipool_submit_key(multi, (uint64_t)i, note_shard_task, &first[i]));
    assert_ok(multipool_wait(multi));
    assert_ok(multipool_tune(multi, 3));
    assert_ok(multipool_release_timeout(multi, POOL_FOREVER));
    assert_ok(multipool_reboot(multi));
    for (int i = 0; i < KEYS; i++) {
        assert_ok(multipool_submit(multi, empty_task, NULL));
        assert_ok(multipool_submit_key(multi, (uint64_t)i, note_shard_task, &again));
        assert_ok(multipool_wait(multi));
        assert_int_equal(again, first[i]);
    }
    assert_ok(multipool_destroy(multi));
    multi = make_multi(5, 1, MULTIPOOL_STICKY); /* another of as many shards */
    for (int i = 0; i < KEYS; i++) {
        assert_ok(multipool_submit_key(multi, (uint64_t)i, note_shard_task, &again));
        assert_ok(multipool_wait(multi));
        assert_int_equal(again, first[i]);
    }
    assert_ok(multipool_destroy(multi));
}

/* ---- A picker ---- */

struct choice {
    atomic_int index;
    atomic_uint_fast64_t key;
    _Atomic(multipool_t *) multi;
};

static int pick(void *user, multipool_t *multi, uint64_t key)
{
    struct choice *choice = user;
    atomic_store(&choice->key, key);
    atomic_store(&choice->multi, multi);
    return atomic_load(&choice->index);
}

static void test_picker_chooses_for_every_call(void **state)
{
    (void)state;
    atomic_int at = -1;
    struct choice choice = {0};
    multipool_t *multi = make_multi_with(3, 1, MULTIPOOL_ROUND_ROBIN, pool_with_func(note_shard_task));
    assert_ok(multipool_set_picker(multi, pick, &choice));
    for (int i = 0; i < 3; i++) {
        choice.index = i;
        assert_ok(multipool_submit_key(multi, 77, note_shard_task, &at));
        assert_ok(multipool_wait(multi));
        assert_int_equal(at, i);
        assert_int_equal(choice.key, 77);
        assert_ptr_equal(choice.multi, multi);
        assert_ok(multipool_submit(multi, note_shard_task, &at));
        assert_ok(multipool_wait(multi));
        assert_int_equal(at, i);
        assert_int_equal(choice.key, 0);
        assert_ok(multipool_invoke(multi, &at));
        assert_ok(multipool_wait(multi));
        assert_int_equal(at, i);
    }
    assert_ok(multipool_destroy(multi));
}

static void test_picker_that_chooses_no_shard_is_told(void **state)
{
    (void)state;
    struct choice choice = {.index = 3};
    atomic_int runs = 0;
    multipool_t *multi = make_multi(3, 1, MULTIPOOL_ROUND_ROBIN);
    assert_ok(multipool_set_picker(multi, pick, &choice));
    int wrong[] = {3, -1, INT_MAX, INT_MIN};
    for (int i = 0; i < 4; i++) {
        choice.index = wrong[i];
        assert_int_equal(multipool_submit(multi, count_task, &runs), POOL_ERR_INVALID_INDEX);
        assert_int_equal(multipool_try_submit(multi, count_task, &runs), POOL_ERR_INVALID_INDEX);
        assert_int_equal(multipool_submit_timeout(multi, count_task, &runs, 1), POOL_ERR_INVALID_INDEX);
        assert_int_equal(multipool_submit_key(multi, 1, count_task, &runs), POOL_ERR_INVALID_INDEX);
    }
    assert_ok(multipool_destroy(multi));
    assert_int_equal(runs, 0);
}

static void test_picker_is_replaced_and_taken_back(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    struct choice one = {.index = 1}, two = {.index = 2};
    multipool_t *multi = make_held(MULTIPOOL_ROUND_ROBIN, 100, &gate);
    assert_ok(multipool_set_picker(multi, pick, &one));
    for (int i = 0; i < 10; i++)
        assert_ok(multipool_submit(multi, empty_task, NULL));
    assert_ok(multipool_set_picker(multi, pick, &two));
    for (int i = 0; i < 20; i++)
        assert_ok(multipool_submit(multi, empty_task, NULL));
    assert_ok(multipool_set_picker(multi, NULL, NULL));
    for (int i = 0; i < SHARDS; i++)
        assert_ok(multipool_submit(multi, empty_task, NULL));
    assert_int_equal(count_at(multi, 0), 1);
    assert_int_equal(count_at(multi, 1), 11);
    assert_int_equal(count_at(multi, 2), 21);
    assert_int_equal(count_at(multi, 3), 1);
    let_go(multi, &gate);
}

static int pick_shard(void *shard, multipool_t *unused, uint64_t unused_too)
{
    (void)unused;
    (void)unused_too;
    return *(int *)shard;
}

/* Each call of the picker sees one that is whole, and alive. */
static void test_picker_is_replaced_under_submits(void **state)
{
    (void)state;
    int shards[SHARDS] = {0, 1, 2, 3};
    void *failed = NULL;
    multipool_t *multi = make_multi_with(SHARDS, 1, MULTIPOOL_ROUND_ROBIN, pool_with_queue(64));
    struct hand hand = {multi, scaled(20000)};
    pthread_t submitter;
    assert_int_equal(pthread_create(&submitter, NULL, submit_some, &hand), 0);
    for (int i = 0; i < 2000; i++) {
        assert_ok(multipool_set_picker(multi, pick_shard, &shards[i % SHARDS]));
        if (i % 16 == 15)
            sched_yield();
    }
    assert_int_equal(pthread_join(submitter, &failed), 0);
    assert_null(failed);
    assert_ok(multipool_destroy(multi));
}

/* The picked shard is full: an unkeyed task may go elsewhere, a keyed one may not. */
static void test_picked_shard_is_binding_for_keys_only(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    struct choice choice = {.index = 1};
    multipool_t *multi = make_multi_with(2, 1, MULTIPOOL_ROUND_ROBIN, pool_with_nonblocking(true));
    assert_ok(multipool_set_picker(multi, pick, &choice));
    occupy(multipool_shard(multi, 1), &gate, 1);
    assert_int_equal(multipool_submit_key(multi, 5, empty_task, NULL), POOL_ERR_OVERLOAD);
    assert_ok(multipool_submit(multi, empty_task, NULL));
    let_go(multi, &gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_round_robin_goes_round),
        checked(test_round_robin_is_each_multipools_own),
        checked(test_round_robin_of_many_threads_is_near_even),
        checked(test_least_tasks_fills_the_emptiest),
        checked(test_least_tasks_counts_running_ones),
        checked(test_two_choices_keeps_the_shards_near_even),
        checked(test_two_choices_of_one_shard),
        checked(test_sticky_keeps_a_thread_on_its_shard),
        checked(test_sticky_deals_threads_out_evenly),
        checked(test_keys_are_spread_evenly),
        checked(test_same_key_same_shard),
        checked(test_picker_chooses_for_every_call),
        checked(test_picker_that_chooses_no_shard_is_told),
        checked(test_picker_is_replaced_and_taken_back),
        checked(test_picker_is_replaced_under_submits),
        checked(test_picked_shard_is_binding_for_keys_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
