/* Many submitters, every call and every strategy, while shards are tuned, released and opened
 * again: each accepted task runs or comes back exactly once, and never more at once than the caps. */
#include "multi.h"

#include <sched.h>

enum { SUBMITTERS = 6, STORM_SHARDS = 3, TICKETS = 6000 };

struct ticket {
    atomic_int runs, returned;
    bool accepted;
    struct storm *storm;
};

struct storm {
    multipool_t *multi;
    int n; /* tickets of each submitter */
    struct ticket *tickets;
    atomic_int running, most_running, unexpected, over;
    bool may_close;
    bool nested; /* tasks submit as well */
    atomic_int nested_accepted, nested_ran;
};

static void nested_task(void *arg)
{
    struct storm *storm = arg;
    atomic_fetch_add(&storm->nested_ran, 1);
}

static void ticket_task(void *arg)
{
    struct ticket *t = arg;
    struct storm *storm = t->storm;
    int now = atomic_fetch_add(&storm->running, 1) + 1, most = atomic_load(&storm->most_running);
    while (now > most && !atomic_compare_exchange_weak(&storm->most_running, &most, now)) {}
    atomic_fetch_add(&t->runs, 1);
    if (storm->nested && (t - storm->tickets) % 7 == 0) {
        pool_err err = multipool_submit(storm->multi, nested_task, storm);
        if (err == POOL_OK)
            atomic_fetch_add(&storm->nested_accepted, 1);
        else if (err != POOL_ERR_DEADLOCK && !(storm->may_close && err == POOL_ERR_CLOSED))
            atomic_fetch_add(&storm->unexpected, 1);
    }
    atomic_fetch_sub(&storm->running, 1);
}

static void take_back(void *user, pool_task_fn task, void *arg)
{
    struct storm *storm = user;
    if (task == ticket_task)
        atomic_fetch_add(&((struct ticket *)arg)->returned, 1);
    else
        atomic_fetch_sub(&storm->nested_accepted, 1);
}

static pool_err submit_somehow(struct storm *storm, struct ticket *t, unsigned how)
{
    switch (how % 8) {
    case 0: return multipool_try_submit(storm->multi, ticket_task, t);
    case 1: return multipool_submit_timeout(storm->multi, ticket_task, t, how / 8 % 3);
    case 2: return multipool_submit_key(storm->multi, how, ticket_task, t);
    case 3: return multipool_invoke(storm->multi, t);
    default: return multipool_submit(storm->multi, ticket_task, t);
    }
}

static bool is_expected(const struct storm *storm, pool_err err)
{
    return err == POOL_OK || err == POOL_ERR_OVERLOAD || err == POOL_ERR_TIMEOUT ||
           (storm->may_close && err == POOL_ERR_CLOSED);
}

struct hand {
    struct storm *storm;
    int number;
};

static void *submit_tickets(void *arg)
{
    struct hand *hand = arg;
    struct storm *storm = hand->storm;
    unsigned random = 12345u * (unsigned)(hand->number + 1);
    for (int i = 0; i < storm->n; i++) {
        struct ticket *t = &storm->tickets[hand->number * storm->n + i];
        random = random * 1664525u + 1013904223u;
        t->storm = storm;
        pool_err err = submit_somehow(storm, t, random >> 12);
        t->accepted = err == POOL_OK;
        if (!is_expected(storm, err))
            atomic_fetch_add(&storm->unexpected, 1);
    }
    return NULL;
}

static void *tune_about(void *arg)
{
    struct storm *storm = arg;
    for (unsigned i = 0; !atomic_load(&storm->over); i++) {
        if (i % 3 == 0)
            (void)multipool_tune(storm->multi, 1 + (int)(i % 4));
        else
            (void)pool_tune(multipool_shard(storm->multi, (int)(i % STORM_SHARDS)), 1 + (int)(i % 4));
        sched_yield();
    }
    return NULL;
}

static void check_reboot(struct storm *storm, pool_err err)
{
    if (err != POOL_OK && err != POOL_ERR_BUSY)
        atomic_fetch_add(&storm->unexpected, 1);
}

static void *close_about(void *arg)
{
    struct storm *storm = arg;
    for (unsigned i = 0; !atomic_load(&storm->over); i++) {
        pool_t *shard = multipool_shard(storm->multi, (int)(i % STORM_SHARDS));
        if (i % 5 == 4) {
            (void)multipool_release_now(storm->multi, take_back, storm);
        } else {
            (void)(i % 2 ? pool_release(shard) : pool_release_now(shard, take_back, storm));
        }
        if (multipool_release_timeout(storm->multi, i % 5 == 4 ? POOL_FOREVER : 0) == POOL_OK || i % 2 == 0)
            check_reboot(storm, multipool_reboot(storm->multi));
        check_reboot(storm, pool_reboot(shard));
        sched_yield();
    }
    return NULL;
}

static void *wait_about(void *arg)
{
    struct storm *storm = arg;
    while (!atomic_load(&storm->over)) {
        pool_err err = multipool_wait_timeout(storm->multi, 1);
        if ((err != POOL_OK && err != POOL_ERR_TIMEOUT) || multipool_waiting(storm->multi) < 0 || multipool_free_slots(storm->multi) < 0)
            atomic_fetch_add(&storm->unexpected, 1);
    }
    return NULL;
}

static void check_tickets(const struct storm *storm)
{
    for (int i = 0; i < SUBMITTERS * storm->n; i++) {
        const struct ticket *t = &storm->tickets[i];
        if (t->runs + t->returned != t->accepted)
            print_error("ticket %d: accepted %d, ran %d, returned %d\n", i, t->accepted, t->runs, t->returned);
        assert_int_equal(t->runs + t->returned, t->accepted);
    }
    assert_int_equal(storm->nested_ran, storm->nested_accepted);
    assert_int_equal(storm->unexpected, 0);
}

/* `more` are threads that meddle until the submitters are done. */
static void rage(struct storm *storm, void *(*const more[])(void *), int most)
{
    pthread_t submitters[SUBMITTERS], meddlers[3];
    struct hand hands[SUBMITTERS];
    int n_more = 0;
    storm->n = scaled(TICKETS);
    storm->tickets = calloc(SUBMITTERS * (size_t)storm->n, sizeof *storm->tickets);
    assert_non_null(storm->tickets);
    for (; more[n_more] != NULL; n_more++)
        assert_int_equal(pthread_create(&meddlers[n_more], NULL, more[n_more], storm), 0);
    for (int i = 0; i < SUBMITTERS; i++) {
        hands[i] = (struct hand){storm, i};
        assert_int_equal(pthread_create(&submitters[i], NULL, submit_tickets, &hands[i]), 0);
    }
    for (int i = 0; i < SUBMITTERS; i++)
        pthread_join(submitters[i], NULL);
    atomic_store(&storm->over, 1);
    for (int i = 0; i < n_more; i++)
        pthread_join(meddlers[i], NULL);
    assert_ok(multipool_destroy(storm->multi));
    check_tickets(storm);
    assert_true(storm->most_running <= most);
    free(storm->tickets);
}

static void test_storm_under_every_strategy(void **state)
{
    (void)state;
    void *(*const more[])(void *) = {wait_about, NULL};
    for (int strategy = MULTIPOOL_ROUND_ROBIN; strategy <= (int)MULTIPOOL_STICKY; strategy++)
        for (int queue = 0; queue <= 8; queue += 8) {
            struct storm storm = {.multi = make_multi_with(STORM_SHARDS, 1, (multipool_strategy)strategy,
                                                           pool_with_queue(queue), pool_with_func(ticket_task))};
            rage(&storm, more, STORM_SHARDS);
        }
}

static void test_storm_of_nested_submits(void **state)
{
    (void)state;
    void *(*const more[])(void *) = {wait_about, NULL};
    for (int cap = 1; cap <= 2; cap++) {
        struct storm storm = {.multi = make_multi_with(STORM_SHARDS, cap, MULTIPOOL_ROUND_ROBIN, pool_with_func(ticket_task)),
                              .nested = true};
        rage(&storm, more, STORM_SHARDS * cap);
    }
}

static void test_storm_of_tunes(void **state)
{
    (void)state;
    void *(*const more[])(void *) = {tune_about, wait_about, NULL};
    struct storm storm = {.multi = make_multi_with(STORM_SHARDS, 2, MULTIPOOL_LEAST_TASKS, pool_with_func(ticket_task),
                                                   pool_with_expiry_ms(1))};
    rage(&storm, more, STORM_SHARDS * 4);
}

static void test_storm_of_releases(void **state)
{
    (void)state;
    void *(*const more[])(void *) = {close_about, wait_about, NULL};
    struct storm storm = {.multi = make_multi_with(STORM_SHARDS, 2, MULTIPOOL_ROUND_ROBIN, pool_with_func(ticket_task),
                                                   pool_with_queue(2)),
                          .may_close = true, .nested = true};
    rage(&storm, more, STORM_SHARDS * 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_storm_under_every_strategy),
        checked(test_storm_of_nested_submits),
        checked(test_storm_of_tunes),
        checked(test_storm_of_releases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
