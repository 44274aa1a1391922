/* Multipools: making them, submitting to any shard, waiting for one, and the calls for all. */
#include "faults.h"
#include "multi.h"

#include <limits.h>
#include <string.h>

/* ---- Making ---- */

static void test_new_makes_the_shards(void **state)
{
    (void)state;
    multipool_t *multi = NULL;
    assert_ok(multipool_new(&multi, 3, 5, MULTIPOOL_ROUND_ROBIN));
    assert_int_equal(multipool_shards(multi), 3);
    assert_int_equal(multipool_cap(multi), 15);
    assert_int_equal(multipool_free_slots(multi), 15);
    assert_int_equal(multipool_workers(multi), 0);
    assert_false(multipool_is_closed(multi));
    assert_string_equal(pool_name(multipool_shard(multi, 0)), "pool.0");
    assert_string_equal(pool_name(multipool_shard(multi, 2)), "pool.2");
    assert_null(multipool_shard(multi, 3));
    assert_null(multipool_shard(multi, -1));
    assert_ok(multipool_destroy(multi));
}

static void test_options_are_those_of_each_shard(void **state)
{
    (void)state;
    multipool_t *multi = NULL;
    assert_ok(multipool_new_with(&multi, 2, 4, MULTIPOOL_ROUND_ROBIN, pool_with_queue(6), pool_with_prestart(3),
                                 pool_with_name("mail")));
    assert_int_equal(multipool_free_slots(multi), 20);
    assert_int_equal(multipool_workers(multi), 6);
    assert_int_equal(pool_workers(multipool_shard(multi, 1)), 3);
    assert_string_equal(pool_name(multipool_shard(multi, 1)), "mail.1");
    assert_ok(multipool_destroy(multi));
}

static void test_unlimited_shards(void **state)
{
    (void)state;
    multipool_t *multi = make_multi(2, POOL_UNLIMITED, MULTIPOOL_LEAST_TASKS);
    assert_int_equal(multipool_cap(multi), POOL_UNLIMITED);
    assert_int_equal(multipool_free_slots(multi), POOL_UNLIMITED);
    assert_int_equal(multipool_tune(multi, 3), POOL_ERR_INVALID_CAP);
    assert_ok(multipool_destroy(multi));
}

static void test_large_sums_saturate(void **state)
{
    (void)state;
    multipool_t *multi =
        make_multi_with(3, INT_MAX, MULTIPOOL_LEAST_TASKS, pool_with_max_blocking(INT_MAX));
    assert_int_equal(multipool_cap(multi), INT_MAX);
    assert_ok(multipool_destroy(multi));
}

static void test_wrong_arguments_make_nothing(void **state)
{
    (void)state;
    multipool_t *multi = NULL;
    assert_int_equal(multipool_new(NULL, 2, 2, MULTIPOOL_STICKY), POOL_ERR_INVALID);
    assert_int_equal(multipool_new(&multi, 0, 2, MULTIPOOL_STICKY), POOL_ERR_INVALID_SHARDS);
    assert_int_equal(multipool_new(&multi, -1, 2, MULTIPOOL_STICKY), POOL_ERR_INVALID_SHARDS);
    assert_int_equal(multipool_new(&multi, 2, 2, (multipool_strategy)4), POOL_ERR_INVALID_STRATEGY);
    assert_int_equal(multipool_new(&multi, 2, 0, MULTIPOOL_STICKY), POOL_ERR_INVALID_CAP);
    assert_int_equal(multipool_new_with(&multi, 2, 2, MULTIPOOL_STICKY, pool_with_expiry_ms(-1)),
                     POOL_ERR_INVALID_EXPIRY);
    assert_int_equal(multipool_new_with(&multi, 2, 2, MULTIPOOL_STICKY, pool_with_prestart(3)),
                     POOL_ERR_INVALID);
    assert_null(multi);
    assert_int_equal(multipool_error_shard(), -1);
}

/* ---- Submitting ---- */

static void test_every_task_runs_once_under_every_strategy(void **state)
{
    (void)state;
    for (int strategy = MULTIPOOL_ROUND_ROBIN; strategy <= (int)MULTIPOOL_STICKY; strategy++) {
        atomic_int runs = 0;
        multipool_t *multi = make_multi(3, 2, (multipool_strategy)strategy);
        for (int i = 0; i < 300; i++)
            assert_ok(multipool_submit(multi, count_task, &runs));
        assert_ok(multipool_wait(multi));
        assert_int_equal(runs, 300);
        assert_ok(multipool_destroy(multi));
    }
}

static void test_invoke_runs_the_bound_function(void **state)
{
    (void)state;
    atomic_int runs = 0;
    multipool_t *multi = make_multi_with(2, 2, MULTIPOOL_ROUND_ROBIN, pool_with_func(count_task));
    assert_ok(multipool_invoke(multi, &runs));
    assert_ok(multipool_invoke(multi, &runs));
    assert_ok(multipool_destroy(multi));
    assert_int_equal(runs, 2);
    multi = make_multi(2, 2, MULTIPOOL_ROUND_ROBIN);
    assert_int_equal(multipool_invoke(multi, &runs), POOL_ERR_NO_FUNC);
    assert_ok(multipool_destroy(multi));
}

static void test_refused_by_one_shard_the_least_loaded_is_tried(void **state)
{
    (void)state;
    atomic_int at = -1;
    gate_t gate = GATE_CLOSED;
    multipool_t *multi = make_multi_with(3, 2, MULTIPOOL_STICKY, pool_with_nonblocking(true));
    assert_ok(multipool_submit(multi, note_shard_task, &at)); /* this thread's shard */
    assert_ok(multipool_wait(multi));
    int mine = at, other = (mine + 1) % 3, least = (mine + 2) % 3;
    occupy(multipool_shard(multi, mine), &gate, 2);
    assert_ok(pool_submit(multipool_shard(multi, other), gate_task, &gate));
    assert_true(gate_await(&gate, 3));
    assert_ok(multipool_submit(multi, note_shard_task, &at));
    assert_ok(pool_wait(multipool_shard(multi, least)));
    assert_int_equal(at, least);
    gate_open(&gate);
    assert_ok(multipool_destroy(multi));
    gate_fini(&gate);
}

static void test_refused_when_every_shard_is_full(void **state)
{
    (void)state;
    multi_gates_t gates;
    multipool_t *multi = make_multi_with(MULTI_SHARDS, 1, MULTIPOOL_ROUND_ROBIN, pool_with_nonblocking(true));
    multi_occupy(multi, &gates, 1);
    for (int i = 0; i < 6; i++)
        assert_int_equal(multipool_submit(multi, empty_task, NULL), POOL_ERR_OVERLOAD);
    assert_int_equal(multipool_free_slots(multi), 0);
    multi_open_and_destroy(multi, &gates);
}

static void test_try_submit_never_waits(void **state)
{
    (void)state;
    multi_gates_t gates;
    multipool_t *multi = make_multi(MULTI_SHARDS, 1, MULTIPOOL_STICKY);
    multi_occupy(multi, &gates, 1);
    assert_int_equal(multipool_try_submit(multi, empty_task, NULL), POOL_ERR_OVERLOAD);
    for (int i = 0; i < MULTI_SHARDS; i++) {
        atomic_int at = -1;
        gate_let(&gates.gate[i], 1);
        assert_true(eventually_equals(pool_free_slots, multipool_shard(multi, i), 1));
        assert_ok(multipool_try_submit(multi, note_shard_task, &at));
        assert_ok(pool_wait(multipool_shard(multi, i)));
        assert_int_equal(at, i);
        occupy(multipool_shard(multi, i), &gates.gate[i], 1);
    }
    multi_open_and_destroy(multi, &gates);
}

static void test_caller_runs_when_every_shard_is_full(void **state)
{
    (void)state;
    multi_gates_t gates;
    atomic_int runs = 0;
    multipool_t *multi = make_multi_with(MULTI_SHARDS, 1, MULTIPOOL_TWO_CHOICES, pool_with_policy(POOL_CALLER_RUNS));
    multi_occupy(multi, &gates, 1);
    assert_ok(multipool_submit(multi, count_task, &runs));
    assert_int_equal(runs, 1);
    multi_open_and_destroy(multi, &gates);
}

static void take_back(void *user, pool_task_fn task, void *arg)
{
    (void)user;
    task(arg);
}

static void test_discards_the_oldest_when_every_shard_is_full(void **state)
{
    (void)state;
    multi_gates_t gates;
    atomic_int runs = 0;
    multipool_t *multi = make_multi_with(MULTI_SHARDS, 1, MULTIPOOL_ROUND_ROBIN, pool_with_queue(1),
                                         pool_with_policy(POOL_DISCARD_OLDEST), pool_with_discard_handler(take_back, NULL));
    multi_occupy(multi, &gates, 1);
    for (int i = 0; i < MULTI_SHARDS; i++)
        assert_ok(multipool_submit(multi, count_task, &runs)); /* the queues */
    assert_int_equal(runs, 0);
    assert_ok(multipool_submit(multi, count_task, &runs));
    assert_int_equal(runs, 1);
    multi_open_and_destroy(multi, &gates);
    assert_int_equal(runs, MULTI_SHARDS + 1);
}

/* ---- Waiting for any shard ---- */

static void test_blocked_submit_enters_whichever_shard_frees_a_slot(void **state)
{
    (void)state;
    for (int i = 0; i < MULTI_SHARDS; i++) {
        multi_gates_t gates;
        multi_submitter_t blocked;
        atomic_int at = -1;
        multipool_t *multi = make_multi(MULTI_SHARDS, 1, MULTIPOOL_ROUND_ROBIN);
        multi_occupy(multi, &gates, 1);
        multi_submitter_start(&blocked, multi, note_shard_task, &at);
        assert_true(multi_eventually_equals(multipool_waiting, multi, 1));
        gate_let(&gates.gate[i], 1);
        assert_ok(multi_submitter_join(&blocked));
        assert_ok(pool_wait(multipool_shard(multi, i)));
        assert_int_equal(at, i);
        multi_open_and_destroy(multi, &gates);
    }
}

static atomic_int order[8], ordered;

static void ordered_task(void *number)
{
    atomic_store(&order[atomic_fetch_add(&ordered, 1)], *(int *)number);
}

static void test_blocked_submits_enter_first_come_first_served(void **state)
{
    (void)state;
    multi_gates_t gates;
    multi_submitter_t blocked[5];
    int numbers[5] = {0, 1, 2, 3, 4};
    multipool_t *multi = make_multi(MULTI_SHARDS, 1, MULTIPOOL_LEAST_TASKS);
    ordered = 0;
    multi_occupy(multi, &gates, 1);
    for (int i = 0; i < 5; i++) {
        multi_submitter_start(&blocked[i], multi, ordered_task, &numbers[i]);
        assert_true(multi_eventually_equals(multipool_waiting, multi, i + 1));
    }
    gate_let(&gates.gate[1], 1); /* one shard serves them all, one after the other */
    for (int i = 0; i < 5; i++)
        assert_ok(multi_submitter_join(&blocked[i]));
    assert_ok(pool_wait(multipool_shard(multi, 1)));
    for (int i = 0; i < 5; i++)
        assert_int_equal(order[i], i);
    multi_open_and_destroy(multi, &gates);
}

static void test_newcomer_does_not_overtake_a_blocked_submit(void **state)
{
    (void)state;
    multi_gates_t gates;
    multi_submitter_t blocked;
    multipool_t *multi = make_multi(MULTI_SHARDS, 1, MULTIPOOL_ROUND_ROBIN);
    multi_occupy(multi, &gates, 1);
    multi_submitter_start(&blocked, multi, empty_task, NULL);
    assert_true(multi_eventually_equals(multipool_waiting, multi, 1));
    assert_int_equal(multipool_try_submit(multi, empty_task, NULL), POOL_ERR_OVERLOAD);
    assert_int_equal(pool_try_submit(multipool_shard(multi, 2), empty_task, NULL), POOL_ERR_OVERLOAD);
    assert_int_equal(multipool_free_slots(multi), 0);
    multi_open(&gates);
    assert_ok(multi_submitter_join(&blocked));
    multi_open_and_destroy(multi, &gates);
}

struct turn {
    atomic_int *turn;
    int ran_as;
};

static void take_turn(void *arg)
{
    struct turn *t = arg;
    t->ran_as = atomic_fetch_add(t->turn, 1);
}

/* The slot that comes free belongs to the blocked one, whoever comes at that moment. */
static void test_newcomer_takes_no_slot_that_is_waited_for(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS(400); round++) {
        gate_t gate = GATE_CLOSED;
        multi_submitter_t blocked;
        atomic_int turn = 0;
        struct turn first = {&turn, -1}, second = {&turn, -1};
        int queue = round % 3;
        multipool_t *multi = make_multi_with(2, 1, MULTIPOOL_ROUND_ROBIN, pool_with_queue(queue));
        pool_t *shard = multipool_shard(multi, 0), *held = multipool_shard(multi, 1);
        gate_t never = GATE_CLOSED;
        for (int i = 0; i <= queue; i++) {
            assert_ok(pool_submit(shard, gate_task, &gate));
            assert_ok(pool_submit(held, gate_task, &never));
        }
        multi_submitter_start(&blocked, multi, take_turn, &first);
        assert_true(multi_eventually_equals(multipool_waiting, multi, 1));
        gate_open(&gate);
        pool_err err;
        do
            err = round % 2 ? pool_try_submit(shard, take_turn, &second)
                            : multipool_try_submit(multi, take_turn, &second);
        while (err == POOL_ERR_OVERLOAD);
        assert_ok(err);
        assert_ok(multi_submitter_join(&blocked));
        gate_open(&never);
        assert_ok(multipool_destroy(multi));
        assert_int_equal(first.ran_as, 0);
        assert_int_equal(second.ran_as, 1);
        gate_fini(&gate);
        gate_fini(&never);
    }
}

/* Both lines stand before shard 0; each freed slot goes to the other in turn. */
static void test_lines_of_shard_and_multipool_take_turns(void **state)
{
    (void)state;
    multi_gates_t gates;
    multi_submitter_t any[2], pinned[2];
    gate_t theirs = GATE_CLOSED;
    multipool_t *multi = make_multi(MULTI_SHARDS, 1, MULTIPOOL_ROUND_ROBIN);
    uint64_t key = key_of_shard(multi, 0);
    multi_occupy(multi, &gates, 1);
    for (int i = 0; i < 2; i++) {
        multi_submitter_start(&any[i], multi, gate_task, &theirs);
        assert_true(multi_eventually_equals(multipool_waiting, multi, i + 1));
    }
    for (int i = 0; i < 2; i++) {
        multi_submitter_start_key(&pinned[i], multi, &key, gate_task, &theirs);
        assert_true(eventually_equals(pool_waiting, multipool_shard(multi, 0), i + 1));
    }
    gate_let(&gates.gate[0], 1);
    for (int i = 1; i <= 4; i++) {
        assert_true(gate_await(&theirs, i));
        if (i == 2) /* after two slots, one of each line is in */
            assert_int_equal(pool_waiting(multipool_shard(multi, 0)), 1);
        gate_let(&theirs, 1);
    }
    for (int i = 0; i < 2; i++) {
        assert_ok(multi_submitter_join(&any[i]));
        assert_ok(multi_submitter_join(&pinned[i]));
    }
    multi_open_and_destroy(multi, &gates);
    gate_fini(&theirs);
}

static void test_blocked_submit_times_out(void **state)
{
    (void)state;
    multi_gates_t gates;
    multipool_t *multi = make_multi(MULTI_SHARDS, 1, MULTIPOOL_ROUND_ROBIN);
    multi_occupy(multi, &gates, 1);
    assert_int_equal(multipool_submit_timeout(multi, empty_task, NULL, 0), POOL_ERR_TIMEOUT);
    assert_int_equal(multipool_submit_timeout(multi, empty_task, NULL, 20), POOL_ERR_TIMEOUT);
    assert_int_equal(multipool_submit_timeout(multi, empty_task, NULL, -1), POOL_ERR_INVALID);
    assert_int_equal(multipool_waiting(multi), 0);
    multi_open_and_destroy(multi, &gates);
}

/* Long enough that whoever waits takes any slot that comes free. */
enum { LONG_US = 10000 };

static void test_blocked_submit_enters_behind_a_queue(void **state)
{
    (void)state;
    multi_gates_t gates;
    multi_submitter_t blocked;
    multipool_t *multi = make_multi_with(MULTI_SHARDS, 1, MULTIPOOL_ROUND_ROBIN, pool_with_queue(8));
    multi_occupy(multi, &gates, 1);
    for (int i = 0; i < MULTI_SHARDS; i++)
        for (int j = 0; j < 8; j++)
            assert_ok(pool_submit(multipool_shard(multi, i), gate_task, &gates.gate[i]));
    multi_submitter_start(&blocked, multi, empty_task, NULL);
    assert_true(multi_eventually_equals(multipool_waiting, multi, 1));
    linger_us(LONG_US);
    gate_let(&gates.gate[1], 1);
    assert_ok(multi_submitter_join(&blocked));
    multi_open_and_destroy(multi, &gates);
}

/* True if the submit had to wait and then got the slot of a task that ended meanwhile. */
static bool waits_and_enters(multipool_t *multi, gate_t *gate)
{
    multi_submitter_t blocked;
    bool waited = false;
    while (multipool_try_submit(multi, gate_task, gate) == POOL_OK) {}
    multi_submitter_start_timeout(&blocked, multi, gate_task, gate, 1);
    while (!waited && !blocked.returned)
        waited = multipool_waiting(multi) == 1;
    gate_let(gate, 1);
    return multi_submitter_join(&blocked) == POOL_OK && waited;
}

/* With much in the queues the end of its time is soon enough, but not too late. The slot may
 * come free after that, hence often. */
static void test_timed_submit_enters_at_its_end_though_no_queue_is_low(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    bool entered = false;
    multipool_t *multi = make_multi_with(2, 1, MULTIPOOL_ROUND_ROBIN, pool_with_queue(9));
    for (int i = 0; i < 2; i++)
        assert_ok(pool_submit(multipool_shard(multi, i), gate_task, &gate));
    gate_let(&gate, 2); /* from now on both shards have a pace, and it is slow */
    assert_ok(multipool_wait(multi));
    for (int i = 0; i < 200 && !entered; i++)
        entered = waits_and_enters(multi, &gate);
    assert_true(entered);
    gate_open(&gate);
    assert_ok(multipool_destroy(multi));
    gate_fini(&gate);
}

static void test_timed_submit_enters_before_its_time(void **state)
{
    (void)state;
    multi_gates_t gates;
    multi_submitter_t blocked;
    multipool_t *multi = make_multi(MULTI_SHARDS, 1, MULTIPOOL_ROUND_ROBIN);
    multi_occupy(multi, &gates, 1);
    multi_submitter_start_timeout(&blocked, multi, empty_task, NULL, PATIENCE_MS);
    assert_true(multi_eventually_equals(multipool_waiting, multi, 1));
    gate_let(&gates.gate[2], 1);
    assert_ok(multi_submitter_join(&blocked));
    multi_open_and_destroy(multi, &gates);
}

static void test_max_blocking_counts_for_all_shards_together(void **state)
{
    (void)state;
    multi_gates_t gates;
    multi_submitter_t blocked[MULTI_SHARDS];
    multipool_t *multi = make_multi_with(MULTI_SHARDS, 1, MULTIPOOL_ROUND_ROBIN, pool_with_max_blocking(1));
    multi_occupy(multi, &gates, 1);
    for (int i = 0; i < MULTI_SHARDS; i++) {
        multi_submitter_start(&blocked[i], multi, empty_task, NULL);
        assert_true(multi_eventually_equals(multipool_waiting, multi, i + 1));
    }
    assert_int_equal(multipool_submit(multi, empty_task, NULL), POOL_ERR_OVERLOAD);
    assert_int_equal(multipool_waiting(multi), MULTI_SHARDS);
    multi_open(&gates);
    for (int i = 0; i < MULTI_SHARDS; i++)
        assert_ok(multi_submitter_join(&blocked[i]));
    multi_open_and_destroy(multi, &gates);
}

static void test_key_waits_for_its_shard_though_others_are_free(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    multi_submitter_t blocked;
    atomic_int at = -1;
    multipool_t *multi = make_multi(2, 1, MULTIPOOL_LEAST_TASKS);
    uint64_t key = key_of_shard(multi, 1);
    occupy(multipool_shard(multi, 1), &gate, 1);
    multi_submitter_start_key(&blocked, multi, &key, note_shard_task, &at);
    assert_true(eventually_equals(pool_waiting, multipool_shard(multi, 1), 1));
    assert_int_equal(multipool_free_slots(multi), 1);
    gate_open(&gate);
    assert_ok(multi_submitter_join(&blocked));
    assert_ok(multipool_destroy(multi));
    assert_int_equal(at, 1);
    gate_fini(&gate);
}

static void test_sticky_waits_for_its_own_shard(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int at = -1;
    multipool_t *multi = make_multi(2, 1, MULTIPOOL_STICKY);
    assert_ok(multipool_submit(multi, note_shard_task, &at));
    assert_ok(multipool_wait(multi));
    occupy(multipool_shard(multi, at), &gate, 1);
    assert_int_equal(multipool_submit_timeout(multi, empty_task, NULL, 10), POOL_ERR_TIMEOUT);
    gate_open(&gate);
    assert_ok(multipool_destroy(multi));
    gate_fini(&gate);
}

static void test_tune_up_lets_the_blocked_in(void **state)
{
    (void)state;
    multi_gates_t gates;
    multi_submitter_t blocked;
    multipool_t *multi = make_multi(MULTI_SHARDS, 1, MULTIPOOL_ROUND_ROBIN);
    multi_occupy(multi, &gates, 1);
    multi_submitter_start(&blocked, multi, empty_task, NULL);
    assert_true(multi_eventually_equals(multipool_waiting, multi, 1));
    assert_ok(multipool_tune(multi, 2));
    assert_ok(multi_submitter_join(&blocked));
    assert_int_equal(multipool_cap(multi), 2 * MULTI_SHARDS);
    multi_open_and_destroy(multi, &gates);
}

static void test_reboot_of_a_shard_lets_the_blocked_in(void **state)
{
    (void)state;
    multi_gates_t gates;
    multi_submitter_t blocked;
    multipool_t *multi = make_multi(MULTI_SHARDS, 1, MULTIPOOL_ROUND_ROBIN);
    pool_t *closed = multipool_shard(multi, 1);
    multi_occupy(multi, &gates, 1);
    assert_ok(pool_release(closed));
    gate_open(&gates.gate[1]);
    assert_ok(pool_release_timeout(closed, POOL_FOREVER));
    multi_submitter_start(&blocked, multi, empty_task, NULL);
    assert_true(multi_eventually_equals(multipool_waiting, multi, 1));
    assert_ok(pool_reboot(closed));
    assert_ok(multi_submitter_join(&blocked));
    multi_open_and_destroy(multi, &gates);
}

static void test_reboot_lets_in_as_many_as_there_is_room(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    multi_submitter_t blocked[5];
    multipool_t *multi = make_multi_with(2, 1, MULTIPOOL_ROUND_ROBIN, pool_with_queue(4));
    pool_t *closed = multipool_shard(multi, 1);
    for (int i = 0; i < 5; i++)
        assert_ok(pool_submit(multipool_shard(multi, 0), gate_task, &gate));
    assert_ok(pool_release_timeout(closed, POOL_FOREVER));
    for (int i = 0; i < 5; i++)
        multi_submitter_start(&blocked[i], multi, gate_task, &gate);
    assert_true(multi_eventually_equals(multipool_waiting, multi, 5));
    linger_us(LONG_US);
    assert_ok(pool_reboot(closed));
    assert_true(multi_eventually_equals(multipool_waiting, multi, 0));
    for (int i = 0; i < 5; i++)
        assert_ok(multi_submitter_join(&blocked[i]));
    gate_open(&gate);
    assert_ok(multipool_destroy(multi));
    gate_fini(&gate);
}

/* ---- Release ---- */

static void test_release_refuses_the_blocked_and_runs_the_accepted(void **state)
{
    (void)state;
    multi_gates_t gates;
    multi_submitter_t blocked;
    multipool_t *multi = make_multi(MULTI_SHARDS, 1, MULTIPOOL_ROUND_ROBIN);
    multi_occupy(multi, &gates, 1);
    multi_submitter_start(&blocked, multi, empty_task, NULL);
    assert_true(multi_eventually_equals(multipool_waiting, multi, 1));
    assert_ok(multipool_release(multi));
    assert_int_equal(multi_submitter_join(&blocked), POOL_ERR_CLOSED);
    assert_true(multipool_is_closed(multi));
    assert_int_equal(multipool_submit(multi, empty_task, NULL), POOL_ERR_CLOSED);
    assert_int_equal(multipool_running(multi), MULTI_SHARDS);
    assert_ok(multipool_release(multi));
    multi_open_and_destroy(multi, &gates);
}

static void test_submit_goes_on_while_one_shard_is_open(void **state)
{
    (void)state;
    atomic_int at = -1;
    multipool_t *multi = make_multi(3, 1, MULTIPOOL_STICKY);
    assert_ok(pool_release(multipool_shard(multi, 0)));
    assert_ok(pool_release(multipool_shard(multi, 2)));
    assert_false(multipool_is_closed(multi));
    assert_ok(multipool_try_submit(multi, note_shard_task, &at));
    assert_ok(multipool_wait(multi));
    assert_int_equal(at, 1);
    assert_ok(multipool_destroy(multi));
}

static void test_last_shard_that_closes_refuses_the_blocked(void **state)
{
    (void)state;
    multi_gates_t gates;
    multi_submitter_t blocked;
    multipool_t *multi = make_multi(MULTI_SHARDS, 1, MULTIPOOL_ROUND_ROBIN);
    multi_occupy(multi, &gates, 1);
    multi_submitter_start(&blocked, multi, empty_task, NULL);
    assert_true(multi_eventually_equals(multipool_waiting, multi, 1));
    for (int i = 0; i < MULTI_SHARDS; i++) {
        assert_int_equal(multipool_waiting(multi), 1);
        assert_ok(pool_release(multipool_shard(multi, i)));
    }
    assert_int_equal(multi_submitter_join(&blocked), POOL_ERR_CLOSED);
    multi_open_and_destroy(multi, &gates);
}

static void test_release_timeout_says_which_shard_is_not_done(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    multipool_t *multi = make_multi(3, 1, MULTIPOOL_ROUND_ROBIN);
    occupy(multipool_shard(multi, 1), &gate, 1);
    assert_int_equal(multipool_release_timeout(multi, 10), POOL_ERR_TIMEOUT);
    assert_int_equal(multipool_error_shard(), 1);
    assert_int_equal(multipool_release_timeout(multi, -1), POOL_ERR_INVALID);
    assert_int_equal(multipool_error_shard(), -1);
    gate_open(&gate);
    assert_ok(multipool_release_timeout(multi, POOL_FOREVER));
    assert_int_equal(multipool_workers(multi), 0);
    assert_ok(multipool_destroy(multi));
    gate_fini(&gate);
}

static void *release_and_wait(void *multi)
{
    return multipool_release_timeout(multi, POOL_FOREVER) == POOL_OK ? NULL : multi;
}

static bool all_closed(void *multi)
{
    return multipool_is_closed(multi);
}

static void test_release_closes_all_before_it_waits_for_the_first(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    void *failed = NULL;
    multipool_t *multi = make_multi(3, 1, MULTIPOOL_ROUND_ROBIN);
    occupy(multipool_shard(multi, 0), &gate, 1);
    pthread_t releaser = thread_start(release_and_wait, multi);
    assert_true(eventually(all_closed, multi, PATIENCE_MS));
    gate_open(&gate);
    pthread_join(releaser, &failed);
    assert_null(failed);
    assert_ok(multipool_destroy(multi));
    gate_fini(&gate);
}

static void *fail_at_shard_1(void *multi)
{
    pool_err err = multipool_release_timeout(multi, 0);
    return err == POOL_ERR_TIMEOUT && multipool_error_shard() == 1 ? NULL : multi;
}

static void test_error_shard_is_of_the_calling_thread(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    void *failed = NULL;
    multipool_t *multi = make_multi(2, 1, MULTIPOOL_ROUND_ROBIN);
    occupy(multipool_shard(multi, 1), &gate, 1);
    assert_int_equal(multipool_tune(multi, 0), POOL_ERR_INVALID_CAP);
    pthread_join(thread_start(fail_at_shard_1, multi), &failed);
    assert_null(failed);
    assert_int_equal(multipool_error_shard(), -1);
    gate_open(&gate);
    assert_ok(multipool_destroy(multi));
    gate_fini(&gate);
}

static void test_release_now_hands_back_what_has_not_started(void **state)
{
    (void)state;
    multi_gates_t gates;
    atomic_int runs = 0;
    multipool_t *multi = make_multi_with(MULTI_SHARDS, 1, MULTIPOOL_ROUND_ROBIN, pool_with_queue(2));
    multi_occupy(multi, &gates, 1);
    for (int i = 0; i < 2 * MULTI_SHARDS; i++)
        assert_ok(multipool_submit(multi, empty_task, &runs));
    assert_int_equal(multipool_queued(multi), 2 * MULTI_SHARDS);
    assert_int_equal(multipool_release_now(multi, NULL, NULL), POOL_ERR_INVALID);
    assert_false(multipool_is_closed(multi));
    assert_ok(multipool_release_now(multi, take_back, NULL));
    assert_int_equal(multipool_queued(multi), 0);
    multi_open_and_destroy(multi, &gates);
}

static void test_reboot_opens_all(void **state)
{
    (void)state;
    atomic_int runs = 0;
    multipool_t *multi = make_multi(3, 1, MULTIPOOL_ROUND_ROBIN);
    assert_ok(multipool_reboot(multi)); /* open: nothing done */
    assert_ok(multipool_release_timeout(multi, POOL_FOREVER));
    assert_ok(multipool_reboot(multi));
    assert_false(multipool_is_closed(multi));
    assert_ok(multipool_submit(multi, count_task, &runs));
    assert_ok(multipool_destroy(multi));
    assert_int_equal(runs, 1);
}

static void test_reboot_is_busy_until_every_shard_has_ended(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    multipool_t *multi = make_multi(3, 1, MULTIPOOL_ROUND_ROBIN);
    occupy(multipool_shard(multi, 2), &gate, 1);
    assert_ok(multipool_release(multi));
    assert_int_equal(multipool_reboot(multi), POOL_ERR_BUSY);
    assert_int_equal(multipool_error_shard(), 2);
    assert_true(pool_is_closed(multipool_shard(multi, 0)));
    gate_open(&gate);
    assert_ok(multipool_release_timeout(multi, POOL_FOREVER));
    assert_ok(multipool_reboot(multi));
    assert_ok(multipool_destroy(multi));
    gate_fini(&gate);
}

static void test_reboot_opens_what_is_closed_beside_a_busy_shard(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    multipool_t *multi = make_multi(2, 1, MULTIPOOL_ROUND_ROBIN);
    occupy(multipool_shard(multi, 0), &gate, 1);
    assert_ok(pool_release_timeout(multipool_shard(multi, 1), POOL_FOREVER));
    assert_ok(multipool_reboot(multi));
    assert_false(pool_is_closed(multipool_shard(multi, 1)));
    gate_open(&gate);
    assert_ok(multipool_destroy(multi));
    gate_fini(&gate);
}

static void test_shard_is_not_destroyed_alone(void **state)
{
    (void)state;
    multipool_t *multi = make_multi(2, 1, MULTIPOOL_ROUND_ROBIN);
    assert_int_equal(pool_destroy(multipool_shard(multi, 0)), POOL_ERR_INVALID);
    assert_false(pool_is_closed(multipool_shard(multi, 0)));
    assert_ok(multipool_destroy(multi));
    assert_ok(multipool_destroy(NULL));
}

static void test_destroy_while_others_are_blocked(void **state)
{
    (void)state;
    multi_gates_t gates;
    multi_submitter_t blocked[4];
    multipool_t *multi = make_multi(MULTI_SHARDS, 1, MULTIPOOL_ROUND_ROBIN);
    multi_occupy(multi, &gates, 1);
    for (int i = 0; i < 4; i++)
        multi_submitter_start(&blocked[i], multi, empty_task, NULL);
    assert_true(multi_eventually_equals(multipool_waiting, multi, 4));
    multi_open_and_destroy(multi, &gates);
    for (int i = 0; i < 4; i++) {
        pool_err answer = multi_submitter_join(&blocked[i]);
        assert_true(answer == POOL_OK || answer == POOL_ERR_CLOSED);
    }
}

struct late {
    multipool_t *multi;
    pool_err submit, try_submit;
    int shards;
    bool closed;
};

/* In the last shard, when all others have had the time to end. */
static void submit_late(void *arg)
{
    struct late *late = arg;
    late->closed = eventually(all_closed, late->multi, PATIENCE_MS);
    linger_us(2 * LONG_US);
    late->submit = multipool_submit(late->multi, empty_task, NULL);
    late->try_submit = multipool_try_submit(late->multi, empty_task, NULL);
    for (int i = 0; i < 3; i++)
        late->shards += multipool_shard(late->multi, i) != NULL;
}

static void test_task_that_submits_while_destroyed_finds_all_shards(void **state)
{
    (void)state;
    struct late late = {.multi = make_multi(3, 1, MULTIPOOL_ROUND_ROBIN)};
    assert_ok(pool_submit(multipool_shard(late.multi, 2), submit_late, &late));
    assert_ok(multipool_destroy(late.multi));
    assert_int_equal(late.submit, POOL_ERR_CLOSED);
    assert_int_equal(late.try_submit, POOL_ERR_CLOSED);
    assert_true(late.closed);
    assert_int_equal(late.shards, 3);
}

static void exit_task(void *unused)
{
    (void)unused;
    pthread_exit(NULL);
}

static void test_caller_runs_task_that_ends_its_thread_leaves_the_multipool(void **state)
{
    (void)state;
    multi_gates_t gates;
    multi_submitter_t exits;
    multipool_t *multi = make_multi_with(MULTI_SHARDS, 1, MULTIPOOL_ROUND_ROBIN, pool_with_policy(POOL_CALLER_RUNS));
    multi_occupy(multi, &gates, 1);
    multi_submitter_start(&exits, multi, exit_task, NULL);
    multi_submitter_join(&exits);
    assert_false(exits.returned);
    multi_open_and_destroy(multi, &gates);
}

/* ---- Wait ---- */

struct relay {
    multipool_t *multi;
    int left;
    atomic_int failed;
};

/* The baton goes from shard to shard: none of them is empty for long, all never. */
static void relay_task(void *arg)
{
    struct relay *relay = arg;
    if (--relay->left > 0 && pool_submit(multipool_shard(relay->multi, relay->left % 3), relay_task, relay) != POOL_OK)
        atomic_fetch_add(&relay->failed, 1);
}

static void test_wait_sees_tasks_that_go_from_shard_to_shard(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        multipool_t *multi = make_multi_with(3, 1, MULTIPOOL_ROUND_ROBIN, pool_with_queue(1));
        struct relay relay = {multi, 300, 0};
        assert_ok(pool_submit(multipool_shard(multi, 0), relay_task, &relay));
        assert_ok(multipool_wait(multi));
        assert_int_equal(relay.left, 0);
        assert_int_equal(relay.failed, 0);
        assert_ok(multipool_destroy(multi));
    }
}

static void test_wait_times_out_and_works_when_closed(void **state)
{
    (void)state;
    multi_gates_t gates;
    multipool_t *multi = make_multi(MULTI_SHARDS, 1, MULTIPOOL_ROUND_ROBIN);
    multi_occupy(multi, &gates, 1);
    assert_int_equal(multipool_wait_timeout(multi, 5), POOL_ERR_TIMEOUT);
    assert_int_equal(multipool_wait_timeout(multi, -5), POOL_ERR_INVALID);
    assert_ok(multipool_release(multi));
    multi_open(&gates);
    assert_ok(multipool_wait(multi));
    multi_open_and_destroy(multi, &gates);
}

static void test_wait_sees_a_task_that_runs_in_its_caller(void **state)
{
    (void)state;
    multi_gates_t gates;
    gate_t inside = GATE_CLOSED;
    multi_submitter_t caller;
    multipool_t *multi = make_multi_with(MULTI_SHARDS, 1, MULTIPOOL_ROUND_ROBIN, pool_with_policy(POOL_CALLER_RUNS));
    multi_occupy(multi, &gates, 1);
    multi_submitter_start(&caller, multi, gate_task, &inside);
    assert_true(gate_await(&inside, 1));
    multi_open(&gates);
    for (int i = 0; i < MULTI_SHARDS; i++)
        assert_true(eventually_equals(pool_idle, multipool_shard(multi, i), 1));
    assert_int_equal(multipool_wait_timeout(multi, 5), POOL_ERR_TIMEOUT);
    gate_open(&inside);
    assert_ok(multipool_wait(multi));
    assert_ok(multi_submitter_join(&caller));
    multi_open_and_destroy(multi, &gates);
    gate_fini(&inside);
}

/* ---- From inside ---- */

struct inside {
    multipool_t *multi;
    pool_err wait, wait_timeout, release_timeout, destroy;
};

static void call_from_inside(void *arg)
{
    struct inside *in = arg;
    in->wait = multipool_wait(in->multi);
    in->wait_timeout = multipool_wait_timeout(in->multi, 1);
    in->release_timeout = multipool_release_timeout(in->multi, 1);
    in->destroy = multipool_destroy(in->multi);
}

static void test_waiting_inside_a_task_is_deadlock(void **state)
{
    (void)state;
    struct inside in = {.multi = make_multi(2, 1, MULTIPOOL_ROUND_ROBIN)};
    assert_ok(multipool_submit(in.multi, call_from_inside, &in));
    assert_ok(multipool_wait(in.multi));
    assert_int_equal(in.wait, POOL_ERR_DEADLOCK);
    assert_int_equal(in.wait_timeout, POOL_ERR_DEADLOCK);
    assert_int_equal(in.release_timeout, POOL_ERR_DEADLOCK);
    assert_int_equal(in.destroy, POOL_ERR_DEADLOCK);
    assert_false(multipool_is_closed(in.multi));
    assert_ok(multipool_destroy(in.multi));
}

struct nested {
    multipool_t *multi;
    gate_t *gate;
    atomic_int answers[POOL_ERR_FORKED + 1], runs;
};

static void nested_task(void *arg)
{
    struct nested *n = arg;
    gate_pass(n->gate);
    atomic_fetch_add(&n->answers[multipool_submit(n->multi, count_task, &n->runs)], 1);
}

/* Every worker of every shard submits at the limit: the last gets the error, then all go on. */
static void test_nested_submits_of_all_shards_one_is_deadlock(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        gate_t gate = GATE_CLOSED;
        struct nested n = {.multi = make_multi(3, 2, MULTIPOOL_ROUND_ROBIN), .gate = &gate};
        for (int i = 0; i < 6; i++)
            assert_ok(multipool_submit(n.multi, nested_task, &n));
        assert_true(gate_await(&gate, 6));
        gate_open(&gate);
        assert_ok(multipool_wait(n.multi));
        assert_true(n.answers[POOL_ERR_DEADLOCK] >= 1);
        assert_int_equal(n.answers[POOL_OK] + n.answers[POOL_ERR_DEADLOCK], 6);
        assert_int_equal(n.runs, n.answers[POOL_OK]);
        assert_ok(multipool_destroy(n.multi));
        gate_fini(&gate);
    }
}

/* As long as one shard has a worker that is not blocked, nobody is refused. */
static void test_nested_submits_wait_for_a_shard_that_is_busy(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED, busy = GATE_CLOSED;
    struct nested n = {.multi = make_multi(2, 1, MULTIPOOL_ROUND_ROBIN), .gate = &gate};
    occupy(multipool_shard(n.multi, 1), &busy, 1);
    assert_ok(pool_submit(multipool_shard(n.multi, 0), nested_task, &n));
    gate_open(&gate);
    assert_true(multi_eventually_equals(multipool_waiting, n.multi, 1));
    gate_open(&busy);
    assert_ok(multipool_wait(n.multi));
    assert_int_equal(n.answers[POOL_OK], 1);
    assert_int_equal(n.runs, 1);
    assert_ok(multipool_destroy(n.multi));
    gate_fini(&gate);
    gate_fini(&busy);
}

struct pinned {
    struct nested *nested;
    gate_t gate;
    pool_err answer;
};

/* To its own shard, which is full. */
static void pinned_task(void *arg)
{
    struct pinned *p = arg;
    gate_pass(&p->gate);
    p->answer = pool_submit(pool_current(), count_task, &p->nested->runs);
}

/* One stuck in the line of its shard, three in the multipool's: nobody else is there. */
static void test_nested_submits_in_both_lines_one_is_deadlock(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        gate_t gate = GATE_CLOSED;
        struct nested n = {.multi = make_multi(2, 2, MULTIPOOL_LEAST_TASKS), .gate = &gate};
        struct pinned pinned = {.nested = &n, .gate = GATE_CLOSED};
        assert_ok(pool_submit(multipool_shard(n.multi, 0), pinned_task, &pinned));
        for (int i = 0; i < 3; i++)
            assert_ok(multipool_submit(n.multi, nested_task, &n));
        assert_true(gate_await(&gate, 3));
        gate_open(round % 2 ? &gate : &pinned.gate);
        assert_true(multi_eventually_equals(multipool_waiting, n.multi, round % 2 ? 3 : 1));
        gate_open(round % 2 ? &pinned.gate : &gate);
        assert_ok(multipool_wait(n.multi));
        assert_true(n.answers[POOL_ERR_DEADLOCK] >= 1);
        assert_int_equal(n.answers[POOL_OK] + n.answers[POOL_ERR_DEADLOCK], 3);
        assert_ok(pinned.answer);
        assert_int_equal(n.runs, n.answers[POOL_OK] + 1);
        assert_ok(multipool_destroy(n.multi));
        gate_fini(&gate);
        gate_fini(&pinned.gate);
    }
}

static void nested_timed_task(void *arg)
{
    struct nested *n = arg;
    gate_pass(n->gate);
    atomic_fetch_add(&n->answers[multipool_submit_timeout(n->multi, count_task, &n->runs, 20)], 1);
}

/* With a time nobody is stuck for ever. */
static void test_nested_submits_with_a_time_are_no_deadlock(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    struct nested n = {.multi = make_multi(2, 1, MULTIPOOL_ROUND_ROBIN), .gate = &gate};
    for (int i = 0; i < 2; i++)
        assert_ok(multipool_submit(n.multi, nested_timed_task, &n));
    assert_true(gate_await(&gate, 2));
    gate_open(&gate);
    assert_ok(multipool_wait(n.multi));
    assert_true(n.answers[POOL_ERR_TIMEOUT] >= 1);
    assert_int_equal(n.answers[POOL_OK] + n.answers[POOL_ERR_TIMEOUT], 2);
    assert_ok(multipool_destroy(n.multi));
    gate_fini(&gate);
}

/* A worker of another pool is an outsider, as many of them as may be blocked. */
static void test_worker_of_another_pool_is_not_stuck(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED, busy = GATE_CLOSED;
    pool_t *other = make_pool(2);
    struct nested n = {.multi = make_multi(1, 1, MULTIPOOL_ROUND_ROBIN), .gate = &gate};
    occupy(multipool_shard(n.multi, 0), &busy, 1);
    gate_open(&gate);
    for (int i = 0; i < 2; i++)
        assert_ok(pool_submit(other, nested_task, &n));
    assert_true(multi_eventually_equals(multipool_waiting, n.multi, 2));
    assert_ok(multipool_tune(n.multi, 1));
    assert_int_equal(multipool_waiting(n.multi), 2);
    gate_open(&busy);
    assert_ok(pool_wait(other));
    assert_int_equal(n.answers[POOL_OK], 2);
    assert_ok(multipool_destroy(n.multi));
    assert_int_equal(n.runs, 2);
    assert_ok(pool_destroy(other));
    gate_fini(&gate);
    gate_fini(&busy);
}

/* ---- Fork ---- */

static int check_old_multi(void *arg)
{
    multipool_t *multi = arg;
    int value = -7;
    child_assert(multipool_submit(multi, empty_task, NULL) == POOL_ERR_FORKED);
    child_assert(multipool_try_submit(multi, empty_task, NULL) == POOL_ERR_FORKED);
    child_assert(multipool_submit_timeout(multi, empty_task, NULL, 10) == POOL_ERR_FORKED);
    child_assert(multipool_submit_key(multi, 1, empty_task, NULL) == POOL_ERR_FORKED);
    child_assert(multipool_invoke(multi, NULL) == POOL_ERR_FORKED);
    child_assert(multipool_set_picker(multi, NULL, NULL) == POOL_ERR_FORKED);
    child_assert(multipool_tune(multi, 2) == POOL_ERR_FORKED);
    child_assert(multipool_wait(multi) == POOL_ERR_FORKED);
    child_assert(multipool_release(multi) == POOL_ERR_FORKED);
    child_assert(multipool_release_timeout(multi, 10) == POOL_ERR_FORKED);
    child_assert(multipool_release_now(multi, take_back, NULL) == POOL_ERR_FORKED);
    child_assert(multipool_reboot(multi) == POOL_ERR_FORKED);
    child_assert(multipool_running_at(multi, 0, &value) == POOL_ERR_FORKED && value == -7);
    child_assert(multipool_cap(multi) == 0);
    child_assert(multipool_waiting(multi) == 0 && multipool_running(multi) == 0 && multipool_shards(multi) == 0);
    child_assert(multipool_is_closed(multi) && multipool_shard(multi, 0) == NULL);
    child_assert(multipool_destroy(multi) == POOL_OK);
    return 0;
}

static int check_new_multi(void *unused)
{
    atomic_int runs = 0;
    multipool_t *multi = NULL;
    (void)unused;
    child_assert(multipool_new(&multi, 2, 1, MULTIPOOL_ROUND_ROBIN) == POOL_OK);
    child_assert(multipool_submit(multi, count_task, &runs) == POOL_OK);
    child_assert(multipool_wait(multi) == POOL_OK && runs == 1);
    child_assert(multipool_destroy(multi) == POOL_OK);
    return 0;
}

static void test_multipool_is_forked_in_the_child(void **state)
{
    (void)state;
    multi_gates_t gates;
    multi_submitter_t blocked;
    multipool_t *multi = make_multi_with(MULTI_SHARDS, 1, MULTIPOOL_ROUND_ROBIN, pool_with_func(empty_task));
    multi_occupy(multi, &gates, 1);
    multi_submitter_start(&blocked, multi, empty_task, NULL);
    assert_true(multi_eventually_equals(multipool_waiting, multi, 1));
    assert_int_equal(exit_code_of(fork_into(check_old_multi, multi)), 0);
    if (!UNDER_TSAN) /* it takes new threads for the parent's */
        assert_int_equal(exit_code_of(fork_into(check_new_multi, NULL)), 0);
    multi_open(&gates);
    assert_ok(multi_submitter_join(&blocked));
    multi_open_and_destroy(multi, &gates);
}

/* ---- Tune, gauges, bad input ---- */

static void test_tune_is_for_each_shard(void **state)
{
    (void)state;
    multipool_t *multi = make_multi(3, 4, MULTIPOOL_ROUND_ROBIN);
    assert_ok(multipool_tune(multi, 7));
    assert_int_equal(multipool_cap(multi), 21);
    assert_int_equal(pool_cap(multipool_shard(multi, 2)), 7);
    assert_int_equal(multipool_tune(multi, 0), POOL_ERR_INVALID_CAP);
    assert_int_equal(multipool_tune(multi, POOL_UNLIMITED), POOL_ERR_INVALID_CAP);
    assert_int_equal(multipool_cap(multi), 21);
    assert_ok(multipool_destroy(multi));
}

static void test_gauges_of_one_shard_and_of_all(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    int value = -7;
    multipool_t *multi = make_multi_with(2, 2, MULTIPOOL_ROUND_ROBIN, pool_with_queue(1));
    occupy(multipool_shard(multi, 1), &gate, 2);
    assert_ok(pool_submit(multipool_shard(multi, 1), empty_task, NULL));
    assert_ok(multipool_running_at(multi, 1, &value));
    assert_int_equal(value, 2);
    assert_ok(multipool_queued_at(multi, 1, &value));
    assert_int_equal(value, 1);
    assert_ok(multipool_free_slots_at(multi, 1, &value));
    assert_int_equal(value, 0);
    assert_ok(multipool_free_slots_at(multi, 0, &value));
    assert_int_equal(value, 3);
    assert_ok(multipool_workers_at(multi, 1, &value));
    assert_int_equal(value, 2);
    assert_ok(multipool_idle_at(multi, 1, &value));
    assert_int_equal(value, 0);
    assert_ok(multipool_waiting_at(multi, 1, &value));
    assert_int_equal(value, 0);
    assert_int_equal(multipool_running(multi), 2);
    assert_int_equal(multipool_queued(multi), 1);
    assert_int_equal(multipool_free_slots(multi), 3);
    assert_int_equal(multipool_workers(multi), 2);
    gate_open(&gate);
    assert_ok(multipool_wait(multi));
    assert_true(multi_eventually_equals(multipool_idle, multi, 2));
    assert_ok(multipool_destroy(multi));
    gate_fini(&gate);
}

typedef pool_err (*gauge_at_t)(const multipool_t *, int, int *);

static void test_wrong_index_changes_nothing(void **state)
{
    (void)state;
    int value = -7;
    multipool_t *multi = make_multi(2, 2, MULTIPOOL_ROUND_ROBIN);
    static const gauge_at_t gauges[] = {multipool_running_at, multipool_queued_at,  multipool_free_slots_at,
                                        multipool_waiting_at, multipool_workers_at, multipool_idle_at};
    for (size_t i = 0; i < sizeof gauges / sizeof *gauges; i++) {
        assert_int_equal(gauges[i](multi, 2, &value), POOL_ERR_INVALID_INDEX);
        assert_int_equal(gauges[i](multi, -1, &value), POOL_ERR_INVALID_INDEX);
        assert_int_equal(gauges[i](multi, 0, NULL), POOL_ERR_INVALID);
        assert_int_equal(gauges[i](NULL, 0, &value), POOL_ERR_INVALID);
        assert_int_equal(value, -7);
    }
    assert_ok(multipool_destroy(multi));
}

static void test_null_multipools_are_invalid(void **state)
{
    (void)state;
    assert_int_equal(multipool_submit(NULL, empty_task, NULL), POOL_ERR_INVALID);
    assert_int_equal(multipool_try_submit(NULL, empty_task, NULL), POOL_ERR_INVALID);
    assert_int_equal(multipool_submit_timeout(NULL, empty_task, NULL, 1), POOL_ERR_INVALID);
    assert_int_equal(multipool_submit_key(NULL, 1, empty_task, NULL), POOL_ERR_INVALID);
    assert_int_equal(multipool_invoke(NULL, NULL), POOL_ERR_INVALID);
    assert_int_equal(multipool_set_picker(NULL, NULL, NULL), POOL_ERR_INVALID);
    assert_int_equal(multipool_tune(NULL, 1), POOL_ERR_INVALID);
    assert_int_equal(multipool_wait(NULL), POOL_ERR_INVALID);
    assert_int_equal(multipool_release(NULL), POOL_ERR_INVALID);
    assert_int_equal(multipool_release_timeout(NULL, 1), POOL_ERR_INVALID);
    assert_int_equal(multipool_release_now(NULL, take_back, NULL), POOL_ERR_INVALID);
    assert_int_equal(multipool_reboot(NULL), POOL_ERR_INVALID);
    assert_true(multipool_is_closed(NULL));
    assert_int_equal(multipool_cap(NULL), 0);
    assert_int_equal(multipool_queued(NULL), 0);
    assert_int_equal(multipool_free_slots(NULL), 0);
    assert_int_equal(multipool_workers(NULL), 0);
    assert_int_equal(multipool_idle(NULL), 0);
    assert_int_equal(multipool_waiting(NULL), 0);
    assert_int_equal(multipool_shards(NULL), 0);
    assert_null(multipool_shard(NULL, 0));
}

static void test_null_function_is_invalid(void **state)
{
    (void)state;
    multipool_t *multi = make_multi(2, 2, MULTIPOOL_ROUND_ROBIN);
    assert_int_equal(multipool_submit(multi, NULL, NULL), POOL_ERR_INVALID);
    assert_int_equal(multipool_submit_key(multi, 1, NULL, NULL), POOL_ERR_INVALID);
    assert_int_equal(multipool_queued(multi) + multipool_running(multi) + multipool_workers(multi), 0);
    assert_ok(multipool_destroy(multi));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_new_makes_the_shards),
        checked(test_options_are_those_of_each_shard),
        checked(test_unlimited_shards),
        checked(test_large_sums_saturate),
        checked(test_wrong_arguments_make_nothing),
        checked(test_every_task_runs_once_under_every_strategy),
        checked(test_invoke_runs_the_bound_function),
        checked(test_refused_by_one_shard_the_least_loaded_is_tried),
        checked(test_refused_when_every_shard_is_full),
        checked(test_try_submit_never_waits),
        checked(test_caller_runs_when_every_shard_is_full),
        checked(test_discards_the_oldest_when_every_shard_is_full),
        checked(test_blocked_submit_enters_whichever_shard_frees_a_slot),
        checked(test_blocked_submits_enter_first_come_first_served),
        checked(test_newcomer_does_not_overtake_a_blocked_submit),
        checked(test_newcomer_takes_no_slot_that_is_waited_for),
        checked(test_lines_of_shard_and_multipool_take_turns),
        checked(test_blocked_submit_times_out),
        checked(test_blocked_submit_enters_behind_a_queue),
        checked(test_timed_submit_enters_at_its_end_though_no_queue_is_low),
        checked(test_timed_submit_enters_before_its_time),
        checked(test_max_blocking_counts_for_all_shards_together),
        checked(test_key_waits_for_its_shard_though_others_are_free),
        checked(test_sticky_waits_for_its_own_shard),
        checked(test_tune_up_lets_the_blocked_in),
        checked(test_reboot_of_a_shard_lets_the_blocked_in),
        checked(test_reboot_lets_in_as_many_as_there_is_room),
        checked(test_release_refuses_the_blocked_and_runs_the_accepted),
        checked(test_submit_goes_on_while_one_shard_is_open),
        checked(test_last_shard_that_closes_refuses_the_blocked),
        checked(test_release_timeout_says_which_shard_is_not_done),
        checked(test_release_closes_all_before_it_waits_for_the_first),
        checked(test_error_shard_is_of_the_calling_thread),
        checked(test_release_now_hands_back_what_has_not_started),
        checked(test_reboot_opens_all),
        checked(test_reboot_is_busy_until_every_shard_has_ended),
        checked(test_reboot_opens_what_is_closed_beside_a_busy_shard),
        checked(test_shard_is_not_destroyed_alone),
        checked(test_destroy_while_others_are_blocked),
        checked(test_task_that_submits_while_destroyed_finds_all_shards),
        checked(test_caller_runs_task_that_ends_its_thread_leaves_the_multipool),
        checked(test_wait_sees_tasks_that_go_from_shard_to_shard),
        checked(test_wait_times_out_and_works_when_closed),
        checked(test_wait_sees_a_task_that_runs_in_its_caller),
        checked(test_waiting_inside_a_task_is_deadlock),
        checked(test_nested_submits_of_all_shards_one_is_deadlock),
        checked(test_nested_submits_wait_for_a_shard_that_is_busy),
        checked(test_nested_submits_in_both_lines_one_is_deadlock),
        checked(test_nested_submits_with_a_time_are_no_deadlock),
        checked(test_worker_of_another_pool_is_not_stuck),
        checked(test_multipool_is_forked_in_the_child),
        checked(test_tune_is_for_each_shard),
        checked(test_gauges_of_one_shard_and_of_all),
        checked(test_wrong_index_changes_nothing),
        checked(test_null_multipools_are_invalid),
        checked(test_null_function_is_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
