/* Tasks with a private copy of their argument, and many tasks in one call. */
#include "support.h"

#include <string.h>

/* ---- pool_submit_copy ---- */

enum { SIZES = POOL_COPY_MAX + 1 };

/* What the tasks saw. */
static struct {
    atomic_int seen[SIZES], wrong, misaligned;
} copies;

static void check_copy(const unsigned char *copy, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (copy[i] != (unsigned char)(size + i))
            atomic_fetch_add(&copies.wrong, 1);
    if (copy == NULL)
        atomic_fetch_add(&copies.wrong, 1);
    if ((uintptr_t)copy % _Alignof(max_align_t) != 0)
        atomic_fetch_add(&copies.misaligned, 1);
    atomic_fetch_add(&copies.seen[size], 1);
}

static void check_sized_copy(void *copy)
{
    check_copy(copy, *(unsigned char *)copy); /* its first byte is its size */
}

static void check_empty_copy(void *copy)
{
    check_copy(copy, 0);
}

static void test_copy_of_every_size_reaches_the_task(void **state)
{
    (void)state;
    memset(&copies, 0, sizeof copies);
    pool_t *pool = make_pool_with(2, pool_with_queue(7));
    assert_ok(pool_submit_copy(pool, check_empty_copy, NULL, 0));
    assert_ok(pool_submit_copy(pool, check_empty_copy, "", 0));
    for (size_t size = 1; size < SIZES; size++) {
        unsigned char data[POOL_COPY_MAX];
        for (size_t i = 0; i < size; i++)
            data[i] = (unsigned char)(size + i);
        assert_ok(pool_submit_copy(pool, check_sized_copy, data, size));
        memset(data, 0, sizeof data);
    }
    assert_ok(pool_destroy(pool));
    assert_int_equal(copies.wrong, 0);
    assert_int_equal(copies.misaligned, 0);
    assert_int_equal(copies.seen[0], 2);
    for (int size = 1; size < SIZES; size++)
        assert_int_equal(copies.seen[size], 1);
}

static int expected; /* of a pool of cap 1: no two tasks touch it at once */

static void fill(unsigned char *data, int number)
{
    for (int i = 0; i < POOL_COPY_MAX; i++)
        data[i] = (unsigned char)(number + i);
}

static void check_and_overwrite(void *copy)
{
    unsigned char right[POOL_COPY_MAX];
    fill(right, expected++);
    if (memcmp(copy, right, sizeof right) != 0)
        atomic_fetch_add(&copies.wrong, 1);
    memset(copy, 0xff, POOL_COPY_MAX);
}

/* A task may scribble over its whole copy; nobody else's changes. */
static void test_copies_of_queued_tasks_are_their_own(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    memset(&copies, 0, sizeof copies);
    expected = 0;
    pool_t *pool = make_pool_with(1, pool_with_queue(100));
    for (int round = 0; round < 3; round++) {
        occupy(pool, &gate, 1);
        for (int i = 0; i < 100; i++) {
            unsigned char data[POOL_COPY_MAX];
            fill(data, 100 * round + i);
            assert_ok(pool_submit_copy(pool, check_and_overwrite, data, sizeof data));
        }
        gate_let(&gate, 1);
        assert_ok(pool_wait(pool));
    }
    open_and_destroy(pool, &gate);
    assert_int_equal(expected, 300);
    assert_int_equal(copies.wrong, 0);
}

struct copier {
    pthread_t thread;
    pool_t *pool;
    pool_err answer;
};

static void *copy_from_a_short_lived_frame(void *arg)
{
    struct copier *copier = arg;
    unsigned char data[POOL_COPY_MAX];
    fill(data, 7);
    copier->answer = pool_submit_copy(copier->pool, check_and_overwrite, data, sizeof data);
    fill(data, 8);
    return NULL;
}

static void test_copy_of_a_submitter_that_had_to_wait(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    memset(&copies, 0, sizeof copies);
    expected = 7;
    struct copier copier = {.pool = make_pool(1)};
    occupy(copier.pool, &gate, 1);
    assert_int_equal(pthread_create(&copier.thread, NULL, copy_from_a_short_lived_frame, &copier), 0);
    assert_true(eventually_equals(pool_waiting, copier.pool, 1));
    gate_open(&gate);
    pthread_join(copier.thread, NULL);
    assert_int_equal(copier.answer, POOL_OK);
    open_and_destroy(copier.pool, &gate);
    assert_int_equal(expected, 8);
    assert_int_equal(copies.wrong, 0);
}

static void record_int(void *arg)
{
    int number;
    memcpy(&number, arg, sizeof number);
    if (number != 77)
        atomic_fetch_add(&copies.wrong, 1);
    atomic_fetch_add(&copies.seen[0], 1);
}

static void test_copied_task_run_by_the_caller_gets_its_copy(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    memset(&copies, 0, sizeof copies);
    pool_t *pool = make_pool_with(1, pool_with_policy(POOL_CALLER_RUNS));
    occupy(pool, &gate, 1);
    int number = 77;
    assert_ok(pool_submit_copy(pool, record_int, &number, sizeof number));
    assert_int_equal(copies.seen[0], 1);
    assert_int_equal(copies.wrong, 0);
    open_and_destroy(pool, &gate);
}

static void test_submit_copy_follows_the_policy(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    int data = 0;
    pool_t *pool = make_pool_with(1, pool_with_nonblocking(true));
    occupy(pool, &gate, 1);
    assert_int_equal(pool_submit_copy(pool, empty_task, &data, sizeof data), POOL_ERR_OVERLOAD);
    assert_ok(pool_release(pool));
    assert_int_equal(pool_submit_copy(pool, empty_task, &data, sizeof data), POOL_ERR_CLOSED);
    open_and_destroy(pool, &gate);
}

/* ---- pool_submit_many ---- */

enum { MANY = 1000 };

static struct {
    atomic_int runs[MANY];
    void *args[MANY];
} many;

static void prepare_many(void)
{
    for (int i = 0; i < MANY; i++) {
        many.runs[i] = 0;
        many.args[i] = &many.runs[i];
    }
}

static void assert_prefix_ran(size_t accepted)
{
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(many.runs[i], i < accepted ? 1 : 0);
}

static void submit_all(int cap, int queue, pool_policy policy)
{
    size_t accepted = 0;
    prepare_many();
    pool_t *pool = make_pool_with(cap, pool_with_queue(queue), pool_with_policy(policy));
    assert_ok(pool_submit_many(pool, count_task, many.args, MANY, &accepted));
    assert_int_equal(accepted, MANY);
    assert_ok(pool_wait(pool));
    assert_prefix_ran(MANY);
    assert_ok(pool_destroy(pool));
}

static void test_submit_many_runs_each_argument_once(void **state)
{
    (void)state;
    submit_all(4, 2 * MANY, POOL_BLOCK);
}

static void test_submit_many_waits_for_room_as_submit_does(void **state)
{
    (void)state;
    submit_all(1, 0, POOL_BLOCK);
    submit_all(2, 5, POOL_BLOCK);
}

static void test_submit_many_runs_in_the_caller_what_does_not_fit(void **state)
{
    (void)state;
    submit_all(2, 3, POOL_CALLER_RUNS);
}

static void test_submit_many_of_an_unlimited_pool(void **state)
{
    (void)state;
    submit_all(POOL_UNLIMITED, 0, POOL_BLOCK);
}

static atomic_int last_seen, out_of_order;

static void expect_next(void *arg)
{
    int number = (int)(intptr_t)arg;
    if (number != atomic_fetch_add(&last_seen, 1))
        atomic_fetch_add(&out_of_order, 1);
}

static void test_submit_many_keeps_the_order(void **state)
{
    (void)state;
    size_t accepted = 0;
    void *args[200];
    last_seen = out_of_order = 0;
    for (intptr_t i = 0; i < 200; i++)
        args[i] = (void *)i;
    pool_t *pool = make_pool_with(1, pool_with_queue(30));
    assert_ok(pool_submit_many(pool, expect_next, args, 200, &accepted));
    assert_ok(pool_destroy(pool));
    assert_int_equal(last_seen, 200);
    assert_int_equal(out_of_order, 0);
}

static void test_submit_many_of_none(void **state)
{
    (void)state;
    size_t accepted = 5;
    pool_t *pool = make_pool(1);
    assert_ok(pool_submit_many(pool, count_task, NULL, 0, &accepted));
    assert_int_equal(accepted, 0);
    assert_ok(pool_destroy(pool));
}

static void test_submit_many_tells_the_accepted_prefix(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    size_t accepted = MANY;
    prepare_many();
    pool_t *pool = make_pool_with(1, pool_with_queue(4), pool_with_nonblocking(true));
    occupy(pool, &gate, 1);
    assert_int_equal(pool_submit_many(pool, count_task, many.args, 10, &accepted), POOL_ERR_OVERLOAD);
    assert_int_equal(accepted, 4);
    assert_int_equal(pool_queued(pool), 4);
    assert_int_equal(pool_submit_many(pool, count_task, many.args, 10, &accepted), POOL_ERR_OVERLOAD);
    assert_int_equal(accepted, 0);
    open_and_destroy(pool, &gate);
    assert_prefix_ran(4);
}

struct batch {
    pthread_t thread;
    pool_t *pool;
    size_t accepted;
    pool_err answer;
};

static void *submit_batch(void *arg)
{
    struct batch *batch = arg;
    batch->answer = pool_submit_many(batch->pool, count_task, many.args, MANY, &batch->accepted);
    return NULL;
}

static void test_submit_many_that_is_closed_out_tells_the_accepted_prefix(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    prepare_many();
    struct batch batch = {.pool = make_pool_with(1, pool_with_queue(6)), .accepted = MANY};
    occupy(batch.pool, &gate, 1);
    assert_int_equal(pthread_create(&batch.thread, NULL, submit_batch, &batch), 0);
    assert_true(eventually_equals(pool_waiting, batch.pool, 1));
    assert_ok(pool_release(batch.pool));
    pthread_join(batch.thread, NULL);
    assert_int_equal(batch.answer, POOL_ERR_CLOSED);
    assert_int_equal(batch.accepted, 6);
    open_and_destroy(batch.pool, &gate);
    assert_prefix_ran(6);
}

static void test_submit_many_on_a_closed_pool(void **state)
{
    (void)state;
    size_t accepted = MANY;
    prepare_many();
    pool_t *pool = make_pool(1);
    assert_ok(pool_release(pool));
    assert_int_equal(pool_submit_many(pool, count_task, many.args, 3, &accepted), POOL_ERR_CLOSED);
    assert_int_equal(accepted, 0);
    assert_ok(pool_destroy(pool));
    assert_prefix_ran(0);
}

static void count_discarded(void *user, pool_task_fn task, void *arg)
{
    (void)task;
    (void)arg;
    ++*(int *)user;
}

static void test_submit_many_discards_the_oldest(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    size_t accepted = 0;
    int discarded = 0;
    prepare_many();
    pool_t *pool = make_pool_with(1, pool_with_queue(2), pool_with_policy(POOL_DISCARD_OLDEST),
                                  pool_with_discard_handler(count_discarded, &discarded));
    occupy(pool, &gate, 1);
    assert_ok(pool_submit_many(pool, count_task, many.args, 10, &accepted));
    assert_int_equal(accepted, 10);
    assert_int_equal(discarded, 8);
    open_and_destroy(pool, &gate);
    for (int i = 0; i < 10; i++)
        assert_int_equal(many.runs[i], i < 8 ? 0 : 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_copy_of_every_size_reaches_the_task),
        checked(test_copies_of_queued_tasks_are_their_own),
        checked(test_copy_of_a_submitter_that_had_to_wait),
        checked(test_copied_task_run_by_the_caller_gets_its_copy),
        checked(test_submit_copy_follows_the_policy),
        checked(test_submit_many_runs_each_argument_once),
        checked(test_submit_many_waits_for_room_as_submit_does),
        checked(test_submit_many_runs_in_the_caller_what_does_not_fit),
        checked(test_submit_many_of_an_unlimited_pool),
        checked(test_submit_many_keeps_the_order),
        checked(test_submit_many_of_none),
        checked(test_submit_many_tells_the_accepted_prefix),
        checked(test_submit_many_that_is_closed_out_tells_the_accepted_prefix),
        checked(test_submit_many_on_a_closed_pool),
        checked(test_submit_many_discards_the_oldest),
    };
    return cmocka_run_group_tests_name("batches", tests, NULL, NULL);
}
