#include "scenario.h"

pool_t *pool;
gate_t gate;
atomic_int ran;

typedef struct scenario {
    void (*arrange)(void);
    pool_err (*act)(void);
    void (*check)(pool_err answer);
} scenario_t;

bool is_want_of_something(pool_err err)
{
    return err == POOL_ERR_NO_MEMORY || err == POOL_ERR_NO_THREAD;
}

/* Returns how many calls failed. */
static int attempt(const scenario_t *s, unsigned kinds, int nth, bool onwards)
{
    pool = NULL;
    gate_init(&gate);
    atomic_store(&ran, 0);
    int blocks = inject_live_blocks();
    s->arrange();
    inject_start(kinds, nth, onwards);
    pool_err answer = s->act();
    int failures = inject_stop();
    if (answer != POOL_OK && (failures == 0 || !is_want_of_something(answer)))
        print_error("call %d of kinds %u, onwards %d\n", nth, kinds, onwards);
    assert_true(answer == POOL_OK || (failures > 0 && is_want_of_something(answer)));
    s->check(answer);
    assert_int_equal(no_thread_left(NULL), 0);
    assert_int_equal(inject_live_blocks(), blocks);
    gate_fini(&gate);
    return failures;
}

void survive(void (*arrange)(void), pool_err (*act)(void), void (*check)(pool_err answer))
{
    const scenario_t s = {arrange, act, check};
    const unsigned kinds[] = {INJECT_ALL, INJECT_MEMORY, INJECT_THREAD};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        for (int onwards = 0; onwards <= 1; onwards++)
            for (int nth = 1; attempt(&s, kinds[k], nth, onwards) > 0; nth++)
                assert_true(nth < 1000);
}

void arrange_nothing(void) {}

void arrange_idle(void)
{
    assert_ok(pool_new_with(&pool, 3, pool_with_queue(8), pool_with_logger(count_logger, NULL)));
}

void arrange_one_busy(void)
{
    arrange_idle();
    assert_ok(pool_submit(pool, gate_task, &gate));
    assert_true(gate_await(&gate, 1));
}

void assert_pool_works(void)
{
    int before = ran;
    assert_ok(pool_submit(pool, count_task, &ran));
    assert_ok(pool_wait_timeout(pool, PATIENCE_MS));
    assert_int_equal(ran, before + 1);
}

void destroy_and_forget(void)
{
    assert_ok(pool_destroy(pool));
    pool = NULL;
}

void check_works(pool_err answer)
{
    (void)answer;
    assert_ok(pool_wait_timeout(pool, PATIENCE_MS));
    assert_pool_works();
    destroy_and_forget();
}
