/* Faults: calls that would wait for themselves, made inside tasks and callbacks of the very
 * pool; and tune and reboot at odd moments. */
#include "faults.h"

/* What the calls answered, made wherever `make_the_calls` ran. */
typedef struct inside {
    pool_t *pool;
    atomic_int calls;
    pool_err wait, wait_timeout, release_timeout, destroy;
} inside_t;

static void make_the_calls(void *arg)
{
    inside_t *i = arg;
    i->wait = pool_wait(i->pool);
    i->wait_timeout = pool_wait_timeout(i->pool, PATIENCE_MS);
    i->release_timeout = pool_release_timeout(i->pool, PATIENCE_MS);
    i->destroy = pool_destroy(i->pool);
    count_task(&i->calls);
}

static void assert_all_deadlock(inside_t *i)
{
    assert_true(i->calls >= 1);
    assert_int_equal(i->wait, POOL_ERR_DEADLOCK);
    assert_int_equal(i->wait_timeout, POOL_ERR_DEADLOCK);
    assert_int_equal(i->release_timeout, POOL_ERR_DEADLOCK);
    assert_int_equal(i->destroy, POOL_ERR_DEADLOCK);
}

/* Without side effect: open, unchanged, at work. */
static void assert_untouched(pool_t *pool, int cap)
{
    atomic_int ran = 0;
    assert_false(pool_is_closed(pool));
    assert_int_equal(pool_cap(pool), cap);
    assert_ok(pool_submit(pool, count_task, &ran));
    assert_ok(pool_wait(pool));
    assert_int_equal(ran, 1);
}

static void test_waiting_inside_a_task_is_deadlock(void **state)
{
    (void)state;
    inside_t i = {0};
    assert_ok(pool_new(&i.pool, 2));
    assert_ok(pool_submit(i.pool, make_the_calls, &i));
    assert_ok(pool_wait(i.pool));
    assert_all_deadlock(&i);
    assert_untouched(i.pool, 2);
    assert_ok(pool_destroy(i.pool));
}

/* Also while the pool is being released: there it would hang just the same. */
static void test_waiting_inside_a_task_of_a_released_pool_is_deadlock(void **state)
{
    (void)state;
    inside_t i = {0};
    gate_t gate = GATE_CLOSED;
    assert_ok(pool_new_with(&i.pool, 1, pool_with_queue(1)));
    assert_ok(pool_submit(i.pool, gate_task, &gate));
    assert_ok(pool_submit(i.pool, make_the_calls, &i));
    assert_ok(pool_release(i.pool));
    gate_open(&gate);
    assert_ok(pool_release_timeout(i.pool, PATIENCE_MS));
    assert_all_deadlock(&i);
    assert_ok(pool_destroy(i.pool));
    gate_fini(&gate);
}

static void test_waiting_inside_a_caller_runs_task_is_deadlock(void **state)
{
    (void)state;
    inside_t i = {0};
    gate_t gate = GATE_CLOSED;
    assert_ok(pool_new_with(&i.pool, 1, pool_with_policy(POOL_CALLER_RUNS)));
    assert_ok(pool_submit(i.pool, gate_task, &gate));
    assert_true(gate_await(&gate, 1));
    assert_ok(pool_submit(i.pool, make_the_calls, &i));
    assert_all_deadlock(&i);
    gate_open(&gate);
    assert_untouched(i.pool, 1);
    assert_ok(pool_destroy(i.pool));
    gate_fini(&gate);
}

typedef struct two_pools {
    pool_t *outer, *inner;
    pool_err submit, wait;
} two_pools_t;

static void wait_for_the_outer(void *arg)
{
    two_pools_t *p = arg;
    p->wait = pool_wait_timeout(p->outer, 100);
}

static void run_in_the_inner(void *arg)
{
    two_pools_t *p = arg;
    p->submit = pool_submit(p->inner, wait_for_the_outer, p);
}

/* The task that would wait for itself need not be the innermost one of its thread. */
static void test_waiting_below_a_task_of_another_pool_is_deadlock(void **state)
{
    (void)state;
    two_pools_t p = {.wait = POOL_OK};
    gate_t gate = GATE_CLOSED;
    assert_ok(pool_new(&p.outer, 1));
    assert_ok(pool_new_with(&p.inner, 1, pool_with_policy(POOL_CALLER_RUNS)));
    assert_ok(pool_submit(p.inner, gate_task, &gate));
    assert_true(gate_await(&gate, 1));
    assert_ok(pool_submit(p.outer, run_in_the_inner, &p));
    assert_ok(pool_wait(p.outer));
    assert_ok(p.submit);
    assert_int_equal(p.wait, POOL_ERR_DEADLOCK);
    gate_open(&gate);
    assert_ok(pool_destroy(p.outer));
    assert_ok(pool_destroy(p.inner));
    gate_fini(&gate);
}

/* Another pool's task may wait for this one. */
static void test_waiting_inside_a_task_of_another_pool_works(void **state)
{
    (void)state;
    pool_t *other;
    inside_t i = {0};
    atomic_int ran = 0;
    assert_ok(pool_new(&other, 1));
    assert_ok(pool_new_with(&i.pool, 1, pool_with_queue(1)));
    assert_ok(pool_submit(i.pool, count_task, &ran));
    assert_ok(pool_submit(other, make_the_calls, &i)); /* ends the first pool */
    assert_ok(pool_wait(other));
    assert_ok(i.wait);
    assert_ok(i.wait_timeout);
    assert_ok(i.release_timeout);
    assert_ok(i.destroy);
    assert_int_equal(ran, 1);
    assert_ok(pool_destroy(other));
}

static void call_in_discard(void *user, pool_task_fn fn, void *arg)
{
    (void)fn, (void)arg;
    make_the_calls(user);
}

static void test_destroy_inside_callbacks_is_deadlock(void **state)
{
    (void)state;
    inside_t i = {0};
    gate_t gate = GATE_CLOSED;
    assert_ok(pool_new_with(&i.pool, 1, pool_with_queue(1), pool_with_policy(POOL_DISCARD_OLDEST),
                            pool_with_discard_handler(call_in_discard, &i)));
    assert_ok(pool_submit(i.pool, gate_task, &gate));
    assert_true(gate_await(&gate, 1));
    assert_ok(pool_submit(i.pool, empty_task, NULL));
    assert_ok(pool_submit(i.pool, empty_task, NULL)); /* throws the one before out */
    assert_int_equal(i.calls, 1);
    assert_all_deadlock(&i);
    assert_false(pool_is_closed(i.pool));
    assert_ok(pool_release_now(i.pool, call_in_discard, &i));
    assert_int_equal(i.calls, 2);
    assert_all_deadlock(&i);
    gate_open(&gate);
    assert_ok(pool_destroy(i.pool));
    gate_fini(&gate);
}

static inside_t hooked;

static void call_in_hook(void *unused)
{
    (void)unused;
    if (hooked.pool != NULL)
        make_the_calls(&hooked);
}

static void call_in_logger(void *unused, const char *message)
{
    (void)message;
    call_in_hook(unused);
}

static void panic_task(void *unused)
{
    pool_panic(unused);
}

static void test_destroy_inside_thread_hooks_and_logger_is_deadlock(void **state)
{
    (void)state;
    hooked = (inside_t){0};
    pool_t *pool;
    assert_ok(pool_new_with(&pool, 1, pool_with_thread_hooks(call_in_hook, call_in_hook, NULL),
                            pool_with_logger(call_in_logger, NULL)));
    hooked.pool = pool;
    assert_ok(pool_submit(pool, empty_task, NULL)); /* start */
    assert_ok(pool_wait(pool));
    assert_int_equal(hooked.calls, 1);
    assert_all_deadlock(&hooked);
    assert_ok(pool_submit(pool, panic_task, NULL)); /* logger */
    assert_ok(pool_wait(pool));
    assert_int_equal(hooked.calls, 2);
    assert_all_deadlock(&hooked);
    assert_untouched(pool, 1);
    assert_ok(pool_destroy(pool)); /* exit */
    assert_int_equal(hooked.calls, 3);
    assert_all_deadlock(&hooked);
}

/* ---- Tune ------------------------------------------------------------------------------------ */

typedef struct tuner {
    pool_t *pool;
    gate_t gate;
    int cap;
    pool_err answer;
} tuner_t;

static void tune_inside(void *arg)
{
    tuner_t *t = arg;
    t->answer = pool_tune(t->pool, t->cap);
    gate_pass(&t->gate);
}

static void tune_task_starts(tuner_t *t, int cap)
{
    gate_init(&t->gate);
    t->cap = cap;
    assert_ok(pool_submit(t->pool, tune_inside, t));
    assert_true(gate_await(&t->gate, 1));
    assert_ok(t->answer);
    assert_int_equal(pool_cap(t->pool), cap);
}

static void tune_task_ends(tuner_t *t)
{
    gate_open(&t->gate);
    assert_ok(pool_wait(t->pool));
    gate_fini(&t->gate);
}

static void test_tune_up_inside_a_task_lets_others_in(void **state)
{
    (void)state;
    tuner_t t;
    gate_t first = GATE_CLOSED, second = GATE_CLOSED;
    submitter_t s;
    assert_ok(pool_new(&t.pool, 2));
    assert_ok(pool_submit(t.pool, gate_task, &first));
    tune_task_starts(&t, 3);
    submitter_start(&s, t.pool, gate_task, &second);
    assert_true(gate_await(&second, 1)); /* the third slot, while both tasks still run */
    assert_int_equal(pool_running(t.pool), 3);
    gate_open(&first);
    gate_open(&second);
    assert_ok(submitter_join(&s));
    tune_task_ends(&t);
    assert_ok(pool_destroy(t.pool));
    gate_fini(&first);
    gate_fini(&second);
}

static void test_tune_down_inside_a_task_takes_effect(void **state)
{
    (void)state;
    tuner_t t;
    gate_t gate = GATE_CLOSED;
    assert_ok(pool_new(&t.pool, 3));
    assert_ok(pool_submit(t.pool, gate_task, &gate));
    tune_task_starts(&t, 1);
    assert_int_equal(pool_try_submit(t.pool, empty_task, NULL), POOL_ERR_OVERLOAD);
    gate_open(&gate);
    assert_true(eventually_equals(pool_workers, t.pool, 1)); /* the surplus leaves after its task */
    assert_int_equal(pool_running(t.pool), 1);
    assert_int_equal(pool_try_submit(t.pool, empty_task, NULL), POOL_ERR_OVERLOAD);
    tune_task_ends(&t);
    assert_untouched(t.pool, 1);
    assert_ok(pool_destroy(t.pool));
    gate_fini(&gate);
}

/* ---- Reboot ------------------------------------------------------------------------------------ */

static void reboot_inside(void *arg)
{
    inside_t *i = arg;
    pool_release(i->pool);
    i->wait = pool_reboot(i->pool);
}

static void test_reboot_while_draining_is_busy(void **state)
{
    (void)state;
    pool_t *pool;
    gate_t gate = GATE_CLOSED;
    atomic_int ran = 0;
    assert_ok(pool_new_with(&pool, 1, pool_with_queue(1)));
    assert_ok(pool_submit(pool, gate_task, &gate));
    assert_ok(pool_submit(pool, count_task, &ran));
    assert_ok(pool_reboot(pool)); /* open: nothing done */
    assert_ok(pool_release(pool));
    assert_int_equal(pool_reboot(pool), POOL_ERR_BUSY);
    assert_true(pool_is_closed(pool));
    assert_int_equal(pool_submit(pool, count_task, &ran), POOL_ERR_CLOSED);
    gate_open(&gate);
    assert_ok(pool_release_timeout(pool, PATIENCE_MS));
    assert_int_equal(ran, 1);
    assert_ok(pool_reboot(pool));
    assert_untouched(pool, 1);
    assert_ok(pool_destroy(pool));
    gate_fini(&gate);
}

static void test_reboot_inside_a_task_is_busy(void **state)
{
    (void)state;
    inside_t i = {0};
    assert_ok(pool_new(&i.pool, 1));
    assert_ok(pool_submit(i.pool, reboot_inside, &i));
    assert_ok(pool_wait(i.pool));
    assert_int_equal(i.wait, POOL_ERR_BUSY);
    assert_true(pool_is_closed(i.pool));
    assert_ok(pool_release_timeout(i.pool, PATIENCE_MS));
    assert_ok(pool_reboot(i.pool));
    assert_untouched(i.pool, 1);
    assert_ok(pool_destroy(i.pool));
}

typedef struct handing_back {
    pool_t *pool;
    gate_t gate;
    bool workers_gone;
    pool_err reboot;
} handing_back_t;

static void reboot_in_callback(void *user, pool_task_fn fn, void *arg)
{
    (void)fn, (void)arg;
    handing_back_t *h = user;
    gate_open(&h->gate);
    h->workers_gone = no_thread_left(NULL) == 0;
    h->reboot = pool_reboot(h->pool);
}

/* Though no worker is left: the tasks are not all handed back yet. */
static void test_reboot_inside_the_callback_of_release_now_is_busy(void **state)
{
    (void)state;
    handing_back_t h = {.reboot = POOL_OK};
    gate_init(&h.gate);
    assert_ok(pool_new_with(&h.pool, 1, pool_with_queue(1)));
    assert_ok(pool_submit(h.pool, gate_task, &h.gate));
    assert_true(gate_await(&h.gate, 1));
    assert_ok(pool_submit(h.pool, empty_task, NULL));
    assert_ok(pool_release_now(h.pool, reboot_in_callback, &h));
    assert_true(h.workers_gone);
    assert_int_equal(h.reboot, POOL_ERR_BUSY);
    assert_ok(pool_reboot(h.pool));
    assert_untouched(h.pool, 1);
    assert_ok(pool_destroy(h.pool));
    gate_fini(&h.gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_waiting_inside_a_task_is_deadlock),
        checked(test_waiting_inside_a_task_of_a_released_pool_is_deadlock),
        checked(test_waiting_inside_a_caller_runs_task_is_deadlock),
        checked(test_waiting_below_a_task_of_another_pool_is_deadlock),
        checked(test_waiting_inside_a_task_of_another_pool_works),
        checked(test_destroy_inside_callbacks_is_deadlock),
        checked(test_destroy_inside_thread_hooks_and_logger_is_deadlock),
        checked(test_tune_up_inside_a_task_lets_others_in),
        checked(test_tune_down_inside_a_task_takes_effect),
        checked(test_reboot_while_draining_is_busy),
        checked(test_reboot_inside_a_task_is_busy),
        checked(test_reboot_inside_the_callback_of_release_now_is_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
