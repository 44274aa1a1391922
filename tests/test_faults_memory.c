/* Fault: malloc, pthread_create or the making of a lock fails, anywhere, while a pool is made
 * or tasks submitted. Afterwards the pool is as before or cleanly gone. (Which call fails
 * where: test_faults_memory_calls.c.) */
#include "scenario.h"

/* ---- Making --------------------------------------------------------------------------- */

static void check_new(pool_err answer)
{
    if (answer != POOL_OK) {
        assert_null(pool);
        return;
    }
    assert_pool_works();
    destroy_and_forget();
}

static pool_err act_new(void)
{
    return pool_new(&pool, 4);
}

static void test_pool_new(void **state)
{
    (void)state;
    survive(arrange_nothing, act_new, check_new);
}

static atomic_int hooks_started, hooks_ended;

static void on_start(void *unused)
{
    count_task(&hooks_started);
    (void)unused;
}

static void on_exit_of_thread(void *unused)
{
    count_task(&hooks_ended);
    (void)unused;
}

static pool_err act_new_with_everything(void)
{
    return pool_new_with(&pool, 4, pool_with_prealloc(true), pool_with_prestart(3),
                         pool_with_queue(8), pool_with_name("a name that is copied"),
                         pool_with_thread_hooks(on_start, on_exit_of_thread, NULL),
                         pool_with_stack_size(1 << 20), pool_with_logger(count_logger, NULL));
}

static void check_hooks_are_paired(pool_err answer)
{
    check_new(answer);
    assert_true(reaches(&hooks_ended, hooks_started));
}

static void test_pool_new_with_everything(void **state)
{
    (void)state;
    survive(arrange_nothing, act_new_with_everything, check_hooks_are_paired);
}

static void test_pool_new_beside_another(void **state)
{
    (void)state;
    pool_t *other; /* the janitor is there already */
    assert_ok(pool_new(&other, 1));
    for (int nth = 1, failures = 1; failures > 0; nth++) {
        pool = NULL;
        inject_start(INJECT_ALL, nth, false);
        pool_err answer = pool_new(&pool, 2);
        failures = inject_stop();
        assert_true(answer == POOL_OK || (failures > 0 && is_want_of_something(answer)));
        check_new(answer);
    }
    assert_ok(pool_destroy(other));
}

/* Once in a process, so the rounds go on until it is there. */
static void test_pool_default(void **state)
{
    (void)state;
    pool_t *made = NULL;
    for (int nth = 1; made == NULL; nth++) {
        inject_start(INJECT_ALL, nth, false);
        made = pool_default();
        assert_true((made == NULL) == (inject_stop() > 0));
    }
    assert_ptr_equal(pool_default(), made);
    atomic_store(&ran, 0);
    assert_ok(pool_submit(made, count_task, &ran));
    assert_ok(pool_release_timeout(made, PATIENCE_MS));
    assert_int_equal(ran, 1);
}

/* ---- Submitting ----------------------------------------------------------------------- */

static pool_err act_submit_many(void)
{
    void *const args[] = {&ran, &ran, &ran, &ran, &ran, &ran, &ran, &ran};
    size_t accepted = 100;
    pool_err answer = pool_submit_many(pool, count_task, args, 8, &accepted);
    if (accepted > 8 || (accepted == 8) != (answer == POOL_OK) || !reaches(&ran, (int)accepted))
        return POOL_ERR_INVALID;
    return answer;
}

static void test_submit_many(void **state)
{
    (void)state;
    survive(arrange_idle, act_submit_many, check_works);
}

/* With a worker alive nothing that fails may keep a task out. */
static pool_err act_submit_two_more(void)
{
    pool_err answer = pool_submit(pool, count_task, &ran);
    return answer == POOL_OK ? pool_submit(pool, count_task, &ran) : answer;
}

static void check_two_ran(pool_err answer)
{
    assert_ok(answer);
    gate_open(&gate);
    assert_true(reaches(&ran, 2));
    check_works(answer);
}

static void test_submit_beside_a_busy_worker(void **state)
{
    (void)state;
    survive(arrange_one_busy, act_submit_two_more, check_two_ran);
}

/* Fault table: no allocation on the submit path at all. */
static void test_submit_path_allocates_nothing(void **state)
{
    (void)state;
    gate_init(&gate);
    arrange_one_busy();
    inject_start(INJECT_MEMORY, 0, false);
    for (int i = 0; i < 7; i++)
        assert_ok(pool_submit(pool, count_task, &ran));
    assert_int_equal(pool_submit_timeout(pool, count_task, &ran, POOL_FOREVER), POOL_OK);
    gate_open(&gate);
    for (int i = 0; i < 2000; i++)
        assert_ok(pool_submit(pool, count_task, &ran));
    inject_stop();
    assert_true(inject_calls() <= 4); /* records of the workers two and three, made once */
    inject_start(INJECT_MEMORY, 0, false);
    for (int i = 0; i < 2000; i++)
        assert_ok(pool_submit(pool, count_task, &ran));
    inject_stop();
    assert_true(inject_calls() <= 4);
    destroy_and_forget();
    gate_fini(&gate);
}

/* Fault table: a large cap costs nothing until it is used, unless prealloc. */
static size_t bytes_of(int cap, pool_option_t option)
{
    inject_start(INJECT_MEMORY, 0, false);
    assert_ok(pool_new_with(&pool, cap, option));
    inject_stop();
    assert_pool_works();
    destroy_and_forget();
    return inject_bytes();
}

static void test_memory_is_not_in_proportion_to_the_cap(void **state)
{
    (void)state;
    const pool_option_t lean = pool_with_prealloc(false), fat = pool_with_prealloc(true);
    assert_int_equal(bytes_of(2000000, lean), bytes_of(2000000000, lean));
    assert_true(bytes_of(2000000000, lean) < 16u << 20);
    assert_true(bytes_of(1000, fat) > bytes_of(1000, lean));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_pool_default), /* first, while there is none */
        checked(test_pool_new),
        checked(test_pool_new_with_everything),
        checked(test_pool_new_beside_another),
        checked(test_submit_many),
        checked(test_submit_beside_a_busy_worker),
        checked(test_submit_path_allocates_nothing),
        checked(test_memory_is_not_in_proportion_to_the_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
