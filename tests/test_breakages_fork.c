/* Breakage 14 of other pools, libuv and GLib: in a forked child the workers are gone, but
 * the pool believes in them, and hangs. */
#define _GNU_SOURCE
#include "faults.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void ignore(void *user, pool_task_fn fn, void *arg)
{
    (void)user, (void)fn, (void)arg;
}

#define child_expects(err, call) child_assert((call) == (err))

static int submits_are_forked(pool_t *pool)
{
    size_t accepted = 7;
    void *const args[] = {NULL};
    child_expects(POOL_ERR_FORKED, pool_submit(pool, empty_task, NULL));
    child_expects(POOL_ERR_FORKED, pool_try_submit(pool, empty_task, NULL));
    child_expects(POOL_ERR_FORKED, pool_submit_timeout(pool, empty_task, NULL, 10));
    child_expects(POOL_ERR_FORKED, pool_submit_copy(pool, empty_task, &accepted, 4));
    child_expects(POOL_ERR_FORKED, pool_submit_many(pool, empty_task, args, 1, &accepted));
    child_assert(accepted == 0);
    child_expects(POOL_ERR_FORKED, pool_invoke(pool, NULL));
    return 0;
}

static int lifecycle_is_forked(pool_t *pool)
{
    child_expects(POOL_ERR_FORKED, pool_tune(pool, 3));
    child_expects(POOL_ERR_FORKED, pool_wait(pool));
    child_expects(POOL_ERR_FORKED, pool_wait_timeout(pool, 10));
    child_expects(POOL_ERR_FORKED, pool_release(pool));
    child_expects(POOL_ERR_FORKED, pool_release_timeout(pool, 10));
    child_expects(POOL_ERR_FORKED, pool_release_now(pool, ignore, NULL));
    child_expects(POOL_ERR_FORKED, pool_reboot(pool));
    return 0;
}

static int gauges_are_zero(pool_t *pool)
{
    int (*const gauges[])(const pool_t *) = {pool_cap,     pool_running, pool_queued, pool_free_slots,
                                             pool_waiting, pool_workers, pool_idle};
    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0]; i++)
        child_assert(gauges[i](pool) == 0);
    child_assert(pool_is_closed(pool));
    return 0;
}

static int check_old_pool(void *pool)
{
    submits_are_forked(pool);
    lifecycle_is_forked(pool);
    gauges_are_zero(pool);
    child_expects(POOL_OK, pool_destroy(pool));
    return 0;
}

static int check_pool_of(pool_t *pool)
{
    atomic_int ran = 0;
    child_expects(POOL_OK, pool_submit(pool, count_task, &ran));
    child_assert(reaches(&ran, 1));
    return 0;
}

static int check_new_pool(void *unused)
{
    (void)unused;
    pool_t *pool;
    child_expects(POOL_OK, pool_new_with(&pool, 2, pool_with_expiry_ms(1)));
    check_pool_of(pool);
    child_assert(eventually_equals(pool_workers, pool, 0)); /* by a new janitor */
    check_pool_of(pool);
    child_expects(POOL_OK, pool_destroy(pool));
    return 0;
}

/* A pool in full swing: one task runs, one is queued, one submitter is blocked. */
typedef struct busy {
    pool_t *pool;
    gate_t gate;
    atomic_int ran;
    submitter_t blocked;
} busy_t;

static void busy_start(busy_t *b)
{
    gate_init(&b->gate);
    atomic_init(&b->ran, 0);
    assert_ok(pool_new_with(&b->pool, 1, pool_with_queue(1), pool_with_func(empty_task)));
    assert_ok(pool_submit(b->pool, gate_task, &b->gate));
    assert_true(gate_await(&b->gate, 1));
    assert_ok(pool_submit(b->pool, count_task, &b->ran));
    submitter_start(&b->blocked, b->pool, count_task, &b->ran);
    assert_true(eventually_equals(pool_waiting, b->pool, 1));
}

/* The parent is unharmed: all three tasks run. */
static void busy_finish(busy_t *b)
{
    assert_int_equal(pool_running(b->pool), 1);
    gate_open(&b->gate);
    assert_ok(submitter_join(&b->blocked));
    assert_ok(pool_destroy(b->pool));
    assert_int_equal(b->ran, 2);
    gate_fini(&b->gate);
}

static void test_14_old_pool_is_forked_in_the_child(void **state)
{
    (void)state;
    busy_t b;
    busy_start(&b);
    assert_int_equal(exit_code_of(fork_into(check_old_pool, b.pool)), 0);
    busy_finish(&b);
}

/* Thread sanitizers take the parent's threads for alive, and new ones for their doubles. */
static void skip_new_threads_in_a_child(void)
{
    if (UNDER_TSAN)
        skip();
}

static void test_14_new_pools_work_in_the_child(void **state)
{
    (void)state;
    skip_new_threads_in_a_child();
    busy_t b;
    busy_start(&b);
    assert_int_equal(exit_code_of(fork_into(check_new_pool, NULL)), 0);
    busy_finish(&b);
}

static int fork_again(void *unused)
{
    (void)unused;
    pool_t *pool;
    child_expects(POOL_OK, pool_new(&pool, 1));
    check_pool_of(pool);
    int grandchild = exit_code_of(fork_into(check_old_pool, pool));
    child_expects(POOL_OK, pool_destroy(pool));
    return grandchild;
}

static void test_14_the_child_can_fork_as_well(void **state)
{
    (void)state;
    skip_new_threads_in_a_child();
    busy_t b;
    busy_start(&b);
    assert_int_equal(exit_code_of(fork_into(fork_again, NULL)), 0);
    busy_finish(&b);
}

static int check_default_pool(void *of_the_parent)
{
    child_assert(pool_default() != NULL);
    child_assert(pool_default() == pool_default());
    child_assert(!pool_is_closed(pool_default()));
    if (of_the_parent != NULL && of_the_parent != (void *)pool_default())
        child_assert(pool_is_closed(of_the_parent));
    return check_pool_of(pool_default());
}

static void test_14_the_child_gets_a_default_pool_of_its_own(void **state)
{
    (void)state;
    skip_new_threads_in_a_child();
    assert_int_equal(exit_code_of(fork_into(check_default_pool, NULL)), 0);
    pool_t *pool = pool_default();
    atomic_int ran = 0;
    assert_ok(pool_submit(pool, count_task, &ran));
    assert_ok(pool_wait(pool));
    assert_int_equal(exit_code_of(fork_into(check_default_pool, pool)), 0);
    assert_ok(pool_submit(pool, count_task, &ran));
    assert_ok(pool_release_timeout(pool, PATIENCE_MS));
    assert_int_equal(ran, 2);
    assert_int_equal(exit_code_of(fork_into(check_default_pool, pool)), 0); /* open again there */
    assert_true(pool_is_closed(pool));
}

static atomic_bool stop_making;

static void *make_pools(void *broken)
{
    while (!atomic_load(&stop_making) && !atomic_load((atomic_bool *)broken)) {
        pool_t *pool;
        atomic_int ran = 0;
        bool works = pool_new_with(&pool, 2, pool_with_expiry_ms(1)) == POOL_OK;
        works = works && pool_submit(pool, count_task, &ran) == POOL_OK && reaches(&ran, 1);
        works = works && pool_destroy(pool) == POOL_OK;
        if (!works)
            atomic_store((atomic_bool *)broken, true);
    }
    return NULL;
}

/* 14: the fork happens while another thread is inside pool_new, submit or destroy. */
static void test_14_fork_while_another_thread_makes_and_ends_pools(void **state)
{
    (void)state;
    skip_new_threads_in_a_child();
    if (UNDER_ASAN)
        skip(); /* its allocator may be locked by the other thread, for ever in the child */
    atomic_bool broken = false;
    atomic_store(&stop_making, false);
    pthread_t maker = thread_start(make_pools, &broken);
    for (int round = 0; round < ROUNDS(80); round++)
        assert_int_equal(exit_code_of(fork_into(check_new_pool, NULL)), 0);
    atomic_store(&stop_making, true);
    pthread_join(maker, NULL);
    assert_false(broken);
}

/* How the child leaves the task. */
typedef enum leaving { BY_EXIT, BY_RETURN, BY_PANIC } leaving_t;

typedef struct forking {
    pool_t *pool;
    int exit_code;
    leaving_t leaving;
} forking_t;

/* What a task stands on is in the memory of its pool, so that is kept. */
static int check_inside_a_task(void *pool)
{
    submits_are_forked(pool);
    child_expects(POOL_OK, pool_destroy(pool));
    submits_are_forked(pool);
    return UNDER_TSAN ? 0 : check_new_pool(NULL);
}

static pool_t *left_behind;

/* What the task stood on is gone, and so may be the pool. */
static void destroy_at_exit(void)
{
    volatile char deep[4096];
    for (size_t i = 0; i < sizeof deep; i++)
        deep[i] = 85;
    if (pool_current() != NULL || pool_destroy(left_behind) != POOL_OK)
        child_end(6);
}

static void fork_inside(void *arg)
{
    forking_t *f = arg;
    if (f->leaving == BY_EXIT) {
        f->exit_code = exit_code_of(fork_into(check_inside_a_task, f->pool));
        return;
    }
    pid_t pid = fork();
    if (pid != 0) {
        f->exit_code = exit_code_of(pid);
        return;
    }
    child_must_end();
    left_behind = f->pool;
    if (atexit(destroy_at_exit) != 0)
        child_end(7);
    if (f->leaving == BY_PANIC)
        pool_panicf("of the child");
}

/* The panic handler is the parent's. */
static void never_call(void *unused, const pool_panic_info_t *info)
{
    (void)unused, (void)info;
    child_end(5);
}

static void fork_inside_a_task(leaving_t leaving)
{
    forking_t f = {.exit_code = -1, .leaving = leaving};
    atomic_int ran = 0;
    assert_ok(pool_new_with(&f.pool, 2, pool_with_queue(8), pool_with_func(empty_task),
                            pool_with_panic_handler(never_call, NULL)));
    assert_ok(pool_submit(f.pool, fork_inside, &f));
    assert_ok(pool_wait_timeout(f.pool, 2 * PATIENCE_MS));
    assert_int_equal(f.exit_code, 0);
    assert_ok(pool_submit(f.pool, count_task, &ran));
    assert_ok(pool_destroy(f.pool));
    assert_int_equal(ran, 1);
}

static void test_14_fork_inside_a_task(void **state)
{
    (void)state;
    fork_inside_a_task(BY_EXIT);
}

/* 14: the one thread that the child has ends, and so does the child. */
static void test_14_child_that_leaves_the_task_ends(void **state)
{
    (void)state;
    if (UNDER_TSAN || UNDER_ASAN)
        skip(); /* at exit they stop for the threads that the child has not got */
    fork_inside_a_task(BY_RETURN);
    fork_inside_a_task(BY_PANIC);
}

static pid_t forked_by_hook = -1;

static void fork_in_hook(void *unused)
{
    (void)unused;
    forked_by_hook = fork();
    if (forked_by_hook == 0)
        child_must_end();
}

static void run_in_the_parent(void *ran)
{
    if (forked_by_hook == 0)
        child_end(8);
    atomic_fetch_add((atomic_int *)ran, 1);
}

/* 14: a start hook that forks comes back in the child as well; the task is the parent's. */
static void test_14_child_of_a_start_hook_runs_no_task(void **state)
{
    (void)state;
    if (UNDER_TSAN || UNDER_ASAN)
        skip(); /* as above */
    pool_t *pool;
    atomic_int ran = 0;
    assert_ok(pool_new_with(&pool, 1, pool_with_thread_hooks(fork_in_hook, NULL, NULL)));
    assert_ok(pool_submit(pool, run_in_the_parent, &ran));
    assert_ok(pool_wait_timeout(pool, 2 * PATIENCE_MS));
    assert_int_equal(ran, 1);
    assert_int_equal(exit_code_of(forked_by_hook), 0);
    assert_ok(pool_destroy(pool));
}

static void fork_in_caller(void *pid)
{
    *(pid_t *)pid = fork();
}

/* Holds the lock of the pool now and then. */
static void *tune_until_it_ends(void *pool)
{
    while (!atomic_load(&stop_making))
        pool_tune(pool, 1);
    return NULL;
}

static void fork_in_the_caller_of(pool_t *pool)
{
    pid_t pid = -1;
    pool_err answer = pool_submit(pool, fork_in_caller, &pid);
    if (pid == 0) {
        child_must_end();
        child_assert(answer == POOL_OK && pool_current() == NULL);
        child_end(check_old_pool(pool));
    }
    assert_ok(answer);
    assert_int_equal(exit_code_of(pid), 0);
    assert_int_equal(pool_running(pool), 1);
}

/* 14: a task that runs in its submitter returns into the submit, in the child as well, where
 * the pool may be locked for ever. */
static void test_14_fork_inside_a_caller_runs_task(void **state)
{
    (void)state;
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    assert_ok(pool_new_with(&pool, 1, pool_with_policy(POOL_CALLER_RUNS)));
    assert_ok(pool_submit(pool, gate_task, &gate));
    assert_true(gate_await(&gate, 1));
    atomic_store(&stop_making, false);
    pthread_t tuner = thread_start(tune_until_it_ends, pool);
    for (int round = 0; round < ROUNDS(60); round++)
        fork_in_the_caller_of(pool);
    atomic_store(&stop_making, true);
    pthread_join(tuner, NULL);
    gate_open(&gate);
    assert_ok(pool_destroy(pool));
    gate_fini(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_14_old_pool_is_forked_in_the_child),
        checked(test_14_new_pools_work_in_the_child),
        checked(test_14_the_child_can_fork_as_well),
        checked(test_14_the_child_gets_a_default_pool_of_its_own),
        checked(test_14_fork_while_another_thread_makes_and_ends_pools),
        checked(test_14_fork_inside_a_task),
        checked(test_14_child_that_leaves_the_task_ends),
        checked(test_14_child_of_a_start_hook_runs_no_task),
        checked(test_14_fork_inside_a_caller_runs_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
