/* Calls that meet at one instant: the first copies of a pool, reboots, a reboot and a
 * release, more submitters than may look for a slot before they sleep. */
#include "faults.h"
#include "flow.h"

enum { RACERS = 6, RACES = 60 };

typedef struct racer {
    pthread_t thread;
    gate_t *start;
    pool_t *pool;
    pool_err (*call)(pool_t *);
    pool_err answer;
} racer_t;

static void *run_race(void *arg)
{
    racer_t *r = arg;
    gate_pass(r->start);
    r->answer = r->call(r->pool);
    return NULL;
}

/* All at once; those with an odd number make the second call. */
static void race(racer_t *racers, pool_t *pool, pool_err (*even)(pool_t *), pool_err (*odd)(pool_t *))
{
    gate_t start = GATE_CLOSED;
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (racer_t){.start = &start, .pool = pool, .call = i % 2 == 0 ? even : odd};
        racers[i].thread = thread_start(run_race, &racers[i]);
    }
    assert_true(gate_await(&start, RACERS));
    gate_open(&start);
    for (int i = 0; i < RACERS; i++)
        pthread_join(racers[i].thread, NULL);
    gate_fini(&start);
}

/* ---- First copies --------------------------------------------------------------------------- */

static atomic_int copies_ran;

static void check_copy(void *copy)
{
    if (*(int *)copy == 42)
        count_task(&copies_ran);
}

static pool_err submit_first_copy(pool_t *pool)
{
    const int number = 42;
    return pool_submit_copy(pool, check_copy, &number, sizeof number);
}

static void test_first_copies_at_once(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS(RACES); round++) {
        racer_t racers[RACERS];
        pool_t *pool = make_pool_with(2, pool_with_queue(RACERS));
        atomic_store(&copies_ran, 0);
        race(racers, pool, submit_first_copy, submit_first_copy);
        assert_ok(pool_destroy(pool));
        assert_int_equal(copies_ran, RACERS);
    }
}

/* ---- Reboots -------------------------------------------------------------------------------- */

/* One opens it, the others find it open; the janitor comes for it as before. */
static void test_reboots_at_once(void **state)
{
    (void)state;
    pool_t *pool = make_pool_with(2, pool_with_prestart(1), pool_with_expiry_ms(1));
    for (int round = 0; round < ROUNDS(RACES); round++) {
        racer_t racers[RACERS];
        assert_ok(pool_release_timeout(pool, PATIENCE_MS));
        race(racers, pool, pool_reboot, pool_reboot);
        for (int i = 0; i < RACERS; i++)
            assert_ok(racers[i].answer);
        assert_false(pool_is_closed(pool));
        assert_true(eventually_equals(pool_workers, pool, 0));
    }
    assert_ok(pool_destroy(pool));
}

static pool_err release_and_wait(pool_t *pool)
{
    return pool_release_timeout(pool, PATIENCE_MS);
}

/* Who waits for an end is not held up by the opening that follows it. */
static void test_reboots_and_releases_at_once(void **state)
{
    (void)state;
    pool_t *pool = make_pool_with(2, pool_with_prestart(2), pool_with_disable_purge(true));
    for (int round = 0; round < ROUNDS(RACES); round++) {
        racer_t racers[RACERS];
        race(racers, pool, release_and_wait, pool_reboot);
        for (int i = 0; i < RACERS; i++)
            assert_true(racers[i].answer == POOL_OK ||
                        (i % 2 == 1 && racers[i].answer == POOL_ERR_BUSY));
    }
    assert_ok(pool_release_timeout(pool, PATIENCE_MS));
    assert_ok(pool_reboot(pool));
    assert_ok(pool_submit(pool, empty_task, NULL));
    assert_ok(pool_destroy(pool));
}

/* ---- Looking for a slot --------------------------------------------------------------------- */

static void test_more_submitters_than_may_look(void **state)
{
    (void)state;
    enum { FLOWS = 3 };
    int n = scaled(4000);
    pool_t *pool = make_pool_with(1, pool_with_spin_us(100000));
    flow_t *flows[FLOWS];
    for (int i = 0; i < FLOWS; i++)
        flows[i] = flow_start(pool, FLOW_SUBMIT, n, 0);
    for (int i = 0; i < FLOWS; i++)
        flow_join(flows[i]);
    assert_ok(pool_destroy(pool));
    for (int i = 0; i < FLOWS; i++) {
        assert_int_equal(flows[i]->accepted, n);
        flow_check(flows[i], 1, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_first_copies_at_once),
        checked(test_reboots_at_once),
        checked(test_reboots_and_releases_at_once),
        checked(test_more_submitters_than_may_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
