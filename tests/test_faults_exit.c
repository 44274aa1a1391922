/* Faults: a task calls pthread_exit, or cancels the thread that it runs on. */
#define _GNU_SOURCE
#include "faults.h"

#include <sched.h>

static void exit_task(void *unused)
{
    (void)unused;
    pthread_exit(NULL);
}

static void exit_after_gate(void *gate)
{
    gate_pass(gate);
    pthread_exit(NULL);
}

static void test_exit_of_the_only_worker_is_reported_and_made_good(void **state)
{
    (void)state;
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    atomic_int ran = 0, lines = 0;
    assert_ok(pool_new_with(&pool, 1, pool_with_queue(3), pool_with_logger(count_logger, &lines)));
    assert_ok(pool_submit(pool, exit_after_gate, &gate));
    for (int i = 0; i < 3; i++)
        assert_ok(pool_submit(pool, count_task, &ran));
    gate_open(&gate);
    assert_ok(pool_wait(pool));
    assert_int_equal(ran, 3);
    assert_int_equal(lines, 1);
    assert_int_equal(pool_running(pool), 0);
    assert_int_equal(pool_queued(pool), 0);
    assert_int_equal(pool_free_slots(pool), 4);
    assert_ok(pool_destroy(pool));
    gate_fini(&gate);
}

static void test_exit_of_every_worker_at_once(void **state)
{
    (void)state;
    pool_t *pool;
    gate_t gate = GATE_CLOSED, next = GATE_CLOSED;
    assert_ok(pool_new_with(&pool, 4, pool_with_queue(8), pool_with_logger(count_logger, NULL)));
    for (int i = 0; i < 4; i++)
        assert_ok(pool_submit(pool, exit_after_gate, &gate));
    assert_true(gate_await(&gate, 4));
    for (int i = 0; i < 4; i++)
        assert_ok(pool_submit(pool, gate_task, &next));
    gate_open(&gate);
    assert_true(gate_await(&next, 4)); /* four successors, all at work */
    assert_true(eventually_equals(pool_workers, pool, 4));
    gate_open(&next);
    assert_ok(pool_destroy(pool));
    gate_fini(&gate);
    gate_fini(&next);
}

/* Thread after thread, nobody is leaked and nobody forgotten. */
static void test_exit_of_a_thousand_workers(void **state)
{
    (void)state;
    pool_t *pool;
    atomic_int ran = 0, lines = 0;
    const int rounds = ROUNDS(1000);
    assert_ok(pool_new_with(&pool, 2, pool_with_queue(1), pool_with_logger(count_logger, &lines)));
    for (int i = 0; i < rounds; i++) {
        assert_ok(pool_submit(pool, exit_task, NULL));
        assert_ok(pool_submit(pool, count_task, &ran));
    }
    assert_ok(pool_wait(pool));
    assert_int_equal(ran, rounds);
    assert_ok(pool_destroy(pool));
    assert_int_equal(lines, rounds);
}

static void test_exit_while_the_pool_is_released(void **state)
{
    (void)state;
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    atomic_int ran = 0;
    assert_ok(pool_new_with(&pool, 1, pool_with_queue(4), pool_with_logger(count_logger, NULL)));
    assert_ok(pool_submit(pool, exit_after_gate, &gate));
    assert_ok(pool_submit(pool, count_task, &ran));
    assert_ok(pool_submit(pool, exit_task, NULL));
    assert_ok(pool_submit(pool, count_task, &ran));
    assert_ok(pool_release(pool));
    gate_open(&gate);
    assert_ok(pool_release_timeout(pool, PATIENCE_MS));
    assert_int_equal(ran, 2);
    assert_int_equal(pool_workers(pool), 0);
    assert_ok(pool_reboot(pool));
    assert_ok(pool_submit(pool, count_task, &ran));
    assert_ok(pool_destroy(pool));
    assert_int_equal(ran, 3);
    gate_fini(&gate);
}

static void test_exit_runs_the_thread_exit_hook(void **state)
{
    (void)state;
    pool_t *pool;
    atomic_int ended = 0;
    assert_ok(pool_new_with(&pool, 1, pool_with_thread_hooks(NULL, count_task, &ended),
                            pool_with_logger(count_logger, NULL)));
    assert_ok(pool_submit(pool, exit_task, NULL));
    assert_true(reaches(&ended, 1));
    assert_ok(pool_destroy(pool));
    assert_int_equal(ended, 1);
}

typedef struct caller {
    pool_t *pool;
    gate_t gate;
    atomic_bool came_back;
} caller_t;

static void *submit_exit_to_full_pool(void *arg)
{
    caller_t *c = arg;
    if (pool_submit(c->pool, exit_task, NULL) == POOL_OK)
        atomic_store(&c->came_back, true);
    return NULL;
}

/* A task that runs in its submitter ends that thread, and must not stay behind as running. */
static void test_exit_of_a_caller_runs_task(void **state)
{
    (void)state;
    caller_t c = {0};
    gate_init(&c.gate);
    assert_ok(pool_new_with(&c.pool, 1, pool_with_policy(POOL_CALLER_RUNS)));
    assert_ok(pool_submit(c.pool, gate_task, &c.gate));
    assert_true(gate_await(&c.gate, 1));
    pthread_join(thread_start(submit_exit_to_full_pool, &c), NULL);
    assert_false(c.came_back);
    assert_int_equal(pool_running(c.pool), 1);
    gate_open(&c.gate);
    assert_ok(pool_wait_timeout(c.pool, PATIENCE_MS));
    assert_int_equal(pool_running(c.pool), 0);
    assert_ok(pool_destroy(c.pool));
    gate_fini(&c.gate);
}

/* ---- Cancellation -------------------------------------------------------------------------- */

typedef struct cancelled {
    int state_before;
    atomic_int survived;
} cancelled_t;

static void cancel_myself(void *arg)
{
    cancelled_t *c = arg;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &c->state_before);
    pthread_setcancelstate(c->state_before, NULL);
    pthread_cancel(pthread_self());
    pthread_testcancel();
    count_task(&c->survived);
}

static void test_cancellation_is_disabled_in_workers(void **state)
{
    (void)state;
    pool_t *pool;
    cancelled_t c = {.state_before = -1};
    atomic_int ran = 0, lines = 0;
    assert_ok(pool_new_with(&pool, 1, pool_with_logger(count_logger, &lines)));
    assert_ok(pool_submit(pool, cancel_myself, &c));
    assert_ok(pool_submit(pool, count_task, &ran)); /* by the same worker, cancel pending */
    assert_ok(pool_wait(pool));
    assert_int_equal(c.state_before, PTHREAD_CANCEL_DISABLE);
    assert_int_equal(c.survived, 1);
    assert_int_equal(ran, 1);
    assert_int_equal(lines, 0);
    assert_ok(pool_destroy(pool));
}

static void enable_and_cancel_myself(void *unused)
{
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    pthread_cancel(pthread_self());
    pthread_testcancel();
    (void)unused;
}

/* A task that insists gets what pthread_exit would get it. */
static void test_cancellation_that_a_task_enables_ends_one_worker(void **state)
{
    (void)state;
    pool_t *pool;
    atomic_int ran = 0, lines = 0;
    assert_ok(pool_new_with(&pool, 1, pool_with_queue(1), pool_with_logger(count_logger, &lines)));
    assert_ok(pool_submit(pool, enable_and_cancel_myself, NULL));
    assert_ok(pool_submit(pool, count_task, &ran));
    assert_ok(pool_wait_timeout(pool, PATIENCE_MS));
    assert_int_equal(ran, 1);
    assert_int_equal(lines, 1);
    assert_ok(pool_destroy(pool));
}

/* ---- Thread-local destructors --------------------------------------------------------------- */

static pthread_key_t key;

/* Slow, so that a release that does not wait for the thread itself comes too early. */
static void destroy_slowly(void *counter)
{
    linger_us(2000);
    count_task(counter);
}

typedef struct local {
    atomic_int *destroyed;
    gate_t *together;
} local_t;

static void set_thread_local(void *arg)
{
    local_t *l = arg;
    pthread_setspecific(key, l->destroyed);
    gate_pass(l->together);
}

/* Four workers, each with a value of its own. */
static void use_thread_locals(pool_t *pool, local_t *l)
{
    for (int i = 0; i < 4; i++)
        assert_ok(pool_submit(pool, set_thread_local, l));
    assert_true(gate_await(l->together, 4));
    gate_open(l->together);
}

static void test_thread_local_destructors_have_run_after_release_and_destroy(void **state)
{
    (void)state;
    assert_int_equal(pthread_key_create(&key, destroy_slowly), 0);
    pool_t *pool;
    assert_ok(pool_new(&pool, 4));
    for (int round = 0; round < 2; round++) {
        atomic_int destroyed = 0;
        gate_t together = GATE_CLOSED;
        local_t l = {&destroyed, &together};
        use_thread_locals(pool, &l);
        if (round == 0) {
            assert_ok(pool_release_timeout(pool, PATIENCE_MS));
            assert_int_equal(destroyed, 4);
            assert_ok(pool_reboot(pool));
        } else {
            assert_ok(pool_destroy(pool));
            assert_int_equal(destroyed, 4);
        }
        gate_fini(&together);
    }
    pthread_key_delete(key);
}

static void wait_at_gate(void *gate)
{
    gate_pass(gate);
}

/* The janitor and other pools are not held up by a destructor that takes its time. */
static void test_thread_local_destructor_holds_up_nobody_else(void **state)
{
    (void)state;
    assert_int_equal(pthread_key_create(&key, wait_at_gate), 0);
    pool_t *slow, *other;
    gate_t gate = GATE_CLOSED, together = GATE_CLOSED;
    atomic_int ran = 0;
    gate_open(&together);
    local_t l = {(atomic_int *)(void *)&gate, &together};
    assert_ok(pool_new_with(&slow, 1, pool_with_expiry_ms(1)));
    assert_ok(pool_new_with(&other, 1, pool_with_expiry_ms(1)));
    assert_ok(pool_submit(slow, set_thread_local, &l));
    assert_true(gate_await(&gate, 1)); /* expired, and in its destructor */
    linger_us(20000); /* the janitor comes back for the thread, then does without it */
    assert_ok(pool_submit(other, count_task, &ran));
    assert_true(reaches(&ran, 1));
    assert_true(eventually_equals(pool_workers, other, 0));
    assert_ok(pool_submit(slow, count_task, &ran)); /* nor is its own pool */
    assert_true(reaches(&ran, 2));
    if (!UNDER_TSAN) /* there a join knows no deadline */
        assert_int_equal(pool_release_timeout(slow, 5), POOL_ERR_TIMEOUT);
    gate_open(&gate);
    assert_ok(pool_destroy(slow));
    assert_ok(pool_destroy(other));
    pthread_key_delete(key);
    gate_fini(&gate);
    gate_fini(&together);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_exit_of_the_only_worker_is_reported_and_made_good),
        checked(test_exit_of_every_worker_at_once),
        checked(test_exit_of_a_thousand_workers),
        checked(test_exit_while_the_pool_is_released),
        checked(test_exit_runs_the_thread_exit_hook),
        checked(test_exit_of_a_caller_runs_task),
        checked(test_cancellation_is_disabled_in_workers),
        checked(test_cancellation_that_a_task_enables_ends_one_worker),
        checked(test_thread_local_destructors_have_run_after_release_and_destroy),
        checked(test_thread_local_destructor_holds_up_nobody_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
