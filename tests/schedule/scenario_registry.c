/* The registry: pools taken down beside those who look for them, ceilings, drain, the reaper. */
#include "scenarios.h"

#include <string.h>

static pool_registry_t *registry;
static int next_name; /* each submit draws the next of these, so that helpers meet in them */
static const char *const names[] = {"a", "b", "a", "c"};

static void make_registry(int64_t idle_ms, int max_pools, int max_total_cap)
{
    pool_registry_limits_t limits = {idle_ms, max_pools, max_total_cap};
    const pool_option_t options[] = {pool_with_disable_purge(true), pool_with_spin_us(-1), POOL_OPTIONS_END};
    must(pool_registry_new(&registry, &limits) == POOL_OK);
    must(pool_registry_add_tier(registry, "one", 1, options) == POOL_OK);
    must(pool_registry_add_tier(registry, "two", 2, options) == POOL_OK);
    next_name = 0;
}

static void destroy_registry(void)
{
    must(pool_registry_destroy(registry) == POOL_OK);
}

static pool_err to_a(struct job *job)
{
    return pool_registry_submit(registry, "one", "a", job_task, job);
}

static pool_err to_names(struct job *job)
{
    return pool_registry_submit(registry, "one", names[next_name++ % 4], job_task, job);
}

static pool_err to_b(struct job *job)
{
    return pool_registry_submit(registry, "one", "b", job_task, job);
}

static pool_err to_two(struct job *job)
{
    return pool_registry_submit(registry, "two", "a", job_task, job);
}

/* ---- Taking down ---- */

/* The pool goes and comes while two submit to it: never POOL_ERR_CLOSED, each job once. */
void reclaim_meets_submit(void)
{
    make_registry(1, 0, 0);
    for (int h = 0; h < 2; h++)
        helpers[h].pause = 3000000;
    help(0, 0, 3, to_a);
    help(1, 3, 3, to_a);
    join_helpers();
    destroy_registry();
    check_accepted(6);
}

static bool no_pool(void *unused)
{
    (void)unused;
    struct thread *me = self;
    self = NULL; /* looked at by the scheduler itself */
    bool none = pool_registry_pools(registry) == 0;
    self = me;
    return none;
}

/* Whatever meets what: in the end the last pool is taken down, unasked. */
void reclaim_all(void)
{
    make_registry(1, 0, 0);
    help(0, 0, 2, to_names);
    help(1, 2, 2, to_names);
    join_helpers();
    schedule_await(no_pool, NULL);
    destroy_registry();
    check_accepted(4);
}

static void *acquire_and_put(void *unused)
{
    pool_t *mine;
    must(pool_registry_acquire(registry, "one", "a", &mine) == POOL_OK);
    schedule_sleep((int64_t)schedule_random(3000000));
    must(!pool_is_closed(mine));
    must(pool_registry_put(registry, mine) == POOL_OK);
    return unused;
}

/* What is pinned stays, and is taken down once it is not. */
void reclaim_meets_put(void)
{
    make_registry(1, 0, 0);
    pthread_t one = start(acquire_and_put, NULL), two = start(acquire_and_put, NULL);
    finish(one);
    finish(two);
    schedule_await(no_pool, NULL);
    destroy_registry();
}

/* A task that runs for long keeps its pool; it would meet a closed one otherwise. */
static pool_err nested_answer;

static void submit_to_mine(void *unused)
{
    schedule_sleep(3500000);
    nested_answer = pool_submit(pool_current(), job_task, &jobs[0]);
    (void)unused;
}

void reclaim_not_at_work(void)
{
    make_registry(1, 0, 0);
    must(pool_registry_submit(registry, "two", "a", submit_to_mine, NULL) == POOL_OK);
    await_ran(1);
    must(nested_answer == POOL_OK);
    schedule_await(no_pool, NULL);
    destroy_registry();
}

/* ---- Making ---- */

static void *acquire_new(void *out)
{
    must(pool_registry_acquire(registry, "one", "a", out) == POOL_OK);
    return NULL;
}

void two_make_one(void)
{
    pool_t *pools[2];
    make_registry(0, 0, 0);
    pthread_t one = start(acquire_new, &pools[0]), two = start(acquire_new, &pools[1]);
    finish(one);
    finish(two);
    must(pools[0] == pools[1] && pool_registry_pools(registry) == 1);
    must(pool_registry_put(registry, pools[0]) == POOL_OK);
    must(pool_registry_put(registry, pools[1]) == POOL_OK);
    destroy_registry();
}

/* Threads fail: each is told, and what is left works. */
void making_fails(void)
{
    make_registry(1, 0, 0);
    const pool_option_t options[] = {pool_with_prestart(1), pool_with_expiry_ms(1), POOL_OPTIONS_END};
    must(pool_registry_add_tier(registry, "started", 1, options) == POOL_OK);
    schedule_fail_creates(50);
    pool_t *pools[3];
    pool_err errors[3];
    for (int i = 0; i < 3; i++) {
        errors[i] = pool_registry_acquire(registry, "started", "a", &pools[i]);
        must(errors[i] == POOL_OK || errors[i] == POOL_ERR_NO_THREAD);
    }
    for (int i = 0; i < 3; i++)
        must(errors[i] != POOL_OK || pool_registry_put(registry, pools[i]) == POOL_OK);
    schedule_fail_creates(0);
    must(to_a(&jobs[0]) == POOL_OK);
    destroy_registry();
    must(jobs[0].ran == 1);
}

static void *acquire_started(void *unused)
{
    pool_t *mine;
    pool_err err = pool_registry_acquire(registry, "started", "a", &mine);
    must(err == POOL_OK || err == POOL_ERR_NO_THREAD);
    if (err == POOL_OK)
        must(pool_registry_put(registry, mine) == POOL_OK);
    return unused;
}

/* Who waits for a pool that cannot be made gets its error, and frees it or leaves it. */
void making_fails_for_two(void)
{
    make_registry(0, 0, 0);
    const pool_option_t options[] = {pool_with_prestart(1), pool_with_disable_purge(true), POOL_OPTIONS_END};
    must(pool_registry_add_tier(registry, "started", 1, options) == POOL_OK);
    schedule_fail_creates(0);
    pthread_t one = start(acquire_started, NULL), two = start(acquire_started, NULL);
    schedule_fail_creates(60);
    finish(one);
    finish(two);
    schedule_fail_creates(0);
    destroy_registry();
}

/* ---- Ceilings ---- */

/* Two new names, room for one pool: each takes the other's down or is refused, and there is
 * never more than one. */
void ceiling(void)
{
    make_registry(0, 1, 0);
    help(0, 0, 3, to_a);
    help(1, 3, 3, to_b);
    for (int looks = 0; looks < 20; looks++) {
        must(pool_registry_pools(registry) <= 1);
        schedule_here();
    }
    join_helpers();
    destroy_registry();
    check_jobs(6);
    for (int i = 0; i < 6; i++)
        must(jobs[i].answer == POOL_OK || jobs[i].answer == POOL_ERR_OVERLOAD);
}

/* The big one takes both small ones down, or neither: those who find nothing under their names
 * meanwhile find them again, and are never refused. */
void ceiling_all_or_none(void)
{
    pool_t *small, *held;
    make_registry(0, 0, 3);
    must(pool_registry_acquire(registry, "one", "a", &small) == POOL_OK);
    must(pool_registry_put(registry, small) == POOL_OK);
    must(pool_registry_acquire(registry, "two", "b", &held) == POOL_OK);
    help(0, 0, 2, to_two);
    help(1, 2, 2, to_a);
    join_helpers();
    must(jobs[0].answer == POOL_ERR_OVERLOAD && jobs[1].answer == POOL_ERR_OVERLOAD);
    must(jobs[2].answer == POOL_OK && jobs[3].answer == POOL_OK);
    must(pool_registry_pools(registry) == 2 && pool_registry_total_cap(registry) == 3);
    must(pool_registry_put(registry, held) == POOL_OK);
    destroy_registry();
    check_jobs(4);
}

/* ---- Drain and destroy ---- */

static pool_t *blocking;

static void block_a(void)
{
    jobs[0].waits = true;
    must(pool_registry_acquire(registry, "one", "a", &blocking) == POOL_OK);
    must(pool_submit(blocking, job_task, &jobs[0]) == POOL_OK);
    jobs[0].submitted = true;
    pool = blocking; /* whose gauges are awaited */
    await_started(1);
    help(0, 1, 1, to_a);
    await_waiting(1);
    must(pool_registry_put(registry, blocking) == POOL_OK);
}

/* All are closed before any is waited for: the blocked submitter and the one to b are refused
 * though a is at work. */
void drain_blocked(void)
{
    make_registry((int64_t)schedule_random(2), 0, 0);
    block_a();
    help(1, 2, 2, to_b);
    const char *const order[] = {"one", NULL};
    must(pool_registry_release_timeout(registry, order, 1) == POOL_ERR_TIMEOUT);
    join_helpers();
    must(jobs[1].answer == POOL_ERR_CLOSED);
    must(to_b(&jobs[4]) == POOL_ERR_CLOSED);
    gate = true;
    must(pool_registry_release_timeout(registry, NULL, POOL_FOREVER) == POOL_OK);
    must(running == 0);
    destroy_registry();
    jobs[4].submitted = true;
    jobs[4].answer = POOL_ERR_CLOSED;
    check_jobs(5);
}

static void *drain_forever(void *unused)
{
    must(pool_registry_release_timeout(registry, NULL, POOL_FOREVER) == POOL_OK);
    return unused;
}

static void *destroy_it(void *unused)
{
    destroy_registry();
    return unused;
}

/* The drain has its place when the destroy begins; both come to their end. */
static bool is_refused(void *unused)
{
    (void)unused;
    return jobs[1].submitted;
}

void destroy_meets_drain(void)
{
    make_registry(1, 0, 0);
    block_a();
    pthread_t drainer = start(drain_forever, NULL);
    schedule_await(is_refused, NULL);
    pthread_t destroyer = start(destroy_it, NULL);
    gate = true;
    join_helpers();
    finish(drainer);
    finish(destroyer);
    check_jobs(2);
}

/* What the reaper is about to take down, or has begun to. */
void destroy_meets_reaper(void)
{
    make_registry(1, 0, 0);
    must(to_a(&jobs[0]) == POOL_OK);
    must(to_b(&jobs[1]) == POOL_OK);
    schedule_sleep((int64_t)schedule_random(2500000));
    destroy_registry();
    must(jobs[0].ran == 1 && jobs[1].ran == 1);
}

/* The task says that the registry may go while its submit has not returned yet. */
static bool first_ran(void *unused)
{
    (void)unused;
    return jobs[0].ran == 1;
}

void destroy_behind_the_task(void)
{
    make_registry((int64_t)schedule_random(2), 0, 0);
    help(0, 0, 1, to_a);
    schedule_await(first_ran, NULL);
    destroy_registry();
    join_helpers();
    check_accepted(1);
}

/* ---- Walking ---- */

static void count_visit(void *user, pool_t *one, const char *tier, const char *name)
{
    must(!pool_is_closed(one));
    must(strcmp(tier, "one") == 0 && strcmp(pool_name(one), name) == 0);
    ++*(int *)user;
}

/* Pools that go and come beside it are visited or not, what is pinned is. */
void walk(void)
{
    pool_t *held;
    int visits = 0;
    make_registry(1, 0, 0);
    must(pool_registry_acquire(registry, "one", "d", &held) == POOL_OK);
    helpers[0].pause = 2000000;
    help(0, 0, 4, to_names);
    must(pool_registry_each(registry, count_visit, &visits) == POOL_OK);
    must(visits >= 1 && visits <= 4);
    must(pool_registry_put(registry, held) == POOL_OK);
    join_helpers();
    destroy_registry();
    check_accepted(4);
}
