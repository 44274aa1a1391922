/* Chaos: what happens to pools while they are under load. */
#include "soak.h"

#include <limits.h>
#include <sched.h>

atomic_bool stop_chaos;

/* A chaos thread of its arena. Where it is the only one it knows what must be. */
typedef struct chaos {
    arena_t *arena;
    actor_t *actor;
    uint64_t random;
    bool alone;
    int cap;
} chaos_t;

static void expect(const chaos_t *c, const char *call, pool_err answer, pool_err wanted, pool_err or_else)
{
    if (answer != wanted && answer != or_else)
        wrong("%s: %s answered: %s", c->arena->name, call, pool_strerror(answer));
}

/* ---- Tune --------------------------------------------------------------------------------- */

struct crew_size {
    const pool_t *pool;
    int most;
};

static bool crew_is_small(void *user)
{
    struct crew_size *crew = user;
    return pool_workers(crew->pool) <= crew->most;
}

/* Down: a lower cap holds once the surplus workers are gone; tasks may be long, so it is
 * not waited for as long as that may take. */
static void tune_alone(chaos_t *c, int cap)
{
    arena_t *arena = c->arena;
    atomic_fetch_add(&arena->turn, 1);
    if (cap > arena->in_force)
        arena->in_force = cap;
    expect(c, "tune", pool_tune(arena->pool, cap), POOL_OK, POOL_OK);
    struct crew_size crew = {arena->pool, cap};
    if (cap < arena->in_force && eventually(crew_is_small, &crew, 3))
        arena->in_force = cap;
    atomic_fetch_add(&arena->turn, 1);
    if (pool_cap(arena->pool) != cap)
        wrong("%s: the cap is %d after a tune to %d", arena->name, pool_cap(arena->pool), cap);
}

static void tune(chaos_t *c)
{
    arena_t *arena = c->arena;
    if (arena->cap == POOL_UNLIMITED) {
        expect(c, "tune", pool_tune(arena->pool, 8), POOL_ERR_INVALID_CAP, POOL_ERR_INVALID_CAP);
        return;
    }
    int cap = 1 + below(&c->random, arena->most_cap);
    atomic_fetch_add(&arena->tally.tunes, 1);
    if (c->alone)
        tune_alone(c, cap);
    else
        expect(c, "tune", pool_tune(arena->pool, cap), POOL_OK, POOL_OK);
    expect(c, "tune to 0", pool_tune(arena->pool, 0), POOL_ERR_INVALID_CAP, POOL_ERR_INVALID_CAP);
}

/* ---- Release and reboot ------------------------------------------------------------------- */

/* Only chaos opens pools: one that is alone knows that it stays closed. Nobody waits any more,
 * but an intruder that closed it first may be about to refuse those who did. */
static void check_closed(chaos_t *c)
{
    const pool_t *pool = c->arena->pool;
    if (!c->alone)
        return;
    if (!pool_is_closed(pool) || !eventually_equals(pool_waiting, pool, 0) || pool_free_slots(pool) != 0)
        wrong("%s: released, but waiting %d, free slots %d", c->arena->name, pool_waiting(pool),
              pool_free_slots(pool));
}

static void wait_for_release(chaos_t *c)
{
    expect(c, "release_timeout", pool_release_timeout(c->arena->pool, POOL_FOREVER), POOL_OK, POOL_OK);
    if (c->alone)
        check_is_still(c->arena);
}

/* With others about, somebody may have closed it once more. */
static void reboot(chaos_t *c)
{
    arena_t *arena = c->arena;
    pool_err answer;
    step(c->actor, "reboot");
    while ((answer = pool_reboot(arena->pool)) == POOL_ERR_BUSY) {
        wait_for_release(c);
        if (c->alone) {
            answer = pool_reboot(arena->pool);
            break;
        }
    }
    expect(c, "reboot", answer, POOL_OK, POOL_OK);
    atomic_fetch_add(&arena->tally.reboots, 1);
}

static void release(chaos_t *c)
{
    expect(c, "release", pool_release(c->arena->pool), POOL_OK, POOL_OK);
    check_closed(c);
    if (below(&c->random, 2) == 0)
        expect(c, "release again", pool_release(c->arena->pool), POOL_OK, POOL_OK);
}

static void release_now(chaos_t *c)
{
    arena_t *arena = c->arena;
    expect(c, "release_now", pool_release_now(arena->pool, hand_back, &arena->tally.handed_back), POOL_OK, POOL_OK);
    check_closed(c);
    if (c->alone && pool_queued(arena->pool) != 0)
        wrong("%s: %d tasks queued after release_now", arena->name, pool_queued(arena->pool));
}

static void release_timeout(chaos_t *c)
{
    pool_err answer = pool_release_timeout(c->arena->pool, below(&c->random, 4));
    expect(c, "release_timeout", answer, POOL_OK, POOL_ERR_TIMEOUT);
    check_closed(c);
    if (answer == POOL_OK && c->alone)
        check_is_still(c->arena);
}

/* In different ways, some of them one after the other, and open again. */
static void release_and_reboot(chaos_t *c)
{
    static void (*const ways[])(chaos_t *) = {release, release_now, release_timeout, wait_for_release};
    atomic_fetch_add(&c->arena->tally.releases, 1);
    for (int more = 1 + below(&c->random, 2); more > 0; more--)
        ways[below(&c->random, sizeof ways / sizeof *ways)](c);
    if (below(&c->random, 4) == 0)
        lull_us(below(&c->random, 1000));
    reboot(c);
}

/* ---- The thread --------------------------------------------------------------------------- */

static void wait_a_little(chaos_t *c)
{
    expect(c, "wait_timeout", pool_wait_timeout(c->arena->pool, below(&c->random, 5)), POOL_OK, POOL_ERR_TIMEOUT);
}

static void act(chaos_t *c)
{
    switch (below(&c->random, 8)) {
    case 0: release_and_reboot(c); break;
    case 1:
    case 2:
    case 3: tune(c); break;
    case 4: wait_a_little(c); break;
    case 5: reboot(c); break; /* of an open pool, but for an intruder */
    default: check_gauges(c->arena);
    }
}

/* A task may have closed the pool. */
static void open_if_closed(chaos_t *c)
{
    if (pool_is_closed(c->arena->pool))
        reboot(c);
}

void *chaos_main(void *arg)
{
    role_t *role = arg;
    arena_t *arena = role->arena;
    chaos_t c = {.arena = arena, .actor = role->actor, .random = role->seed, .alone = arena->chaos == 1};
    while (!atomic_load(&stop_chaos)) {
        step(role->actor, arena->name);
        act(&c);
        open_if_closed(&c);
        lull_us(below(&c.random, arena->pace_us));
    }
    atomic_store(&role->actor->active, false);
    return NULL;
}

/* ---- Mayflies ----------------------------------------------------------------------------- */

/* A pool that lives for a few tasks, which are counted only. */
struct mayfly {
    pool_t *pool;
    long accepted;
    atomic_long ended;
};

static void mayfly_task(void *mayfly)
{
    atomic_fetch_add(&((struct mayfly *)mayfly)->ended, 1);
}

static void mayfly_back(void *unused, pool_task_fn task, void *mayfly)
{
    (void)unused;
    task(mayfly);
}

static pool_options_t mayfly_options(uint64_t *random)
{
    return (pool_options_t){
        .queue = below(random, 4),
        .policy = (pool_policy)below(random, 4),
        .expiry_ms = below(random, 3),
        .min_idle = below(random, 2),
        .prestart = below(random, 2),
        .spin_us = below(random, 3) - 1,
        .disable_purge = below(random, 4) == 0,
        .discard_handler = mayfly_back,
    };
}

static void mayfly_live(struct mayfly *fly, uint64_t *random)
{
    for (int more = below(random, 40); more > 0; more--)
        fly->accepted += pool_submit(fly->pool, mayfly_task, fly) == POOL_OK;
    if (below(random, 2) == 0)
        lull_us(below(random, 3000));
    if (below(random, 3) == 0 && pool_release_now(fly->pool, mayfly_back, NULL) != POOL_OK)
        wrong("mayfly: release_now failed");
}

static void mayfly(uint64_t *random)
{
    struct mayfly fly = {0};
    pool_options_t options = mayfly_options(random);
    pool_err answer = pool_new_with(&fly.pool, 1 + below(random, 4), pool_with_options(&options));
    if (answer != POOL_OK) {
        wrong("mayfly: pool_new: %s", pool_strerror(answer));
        return;
    }
    mayfly_live(&fly, random);
    if (pool_destroy(fly.pool) != POOL_OK || fly.accepted != fly.ended)
        wrong("mayfly: accepted %ld, ended %ld", fly.accepted, fly.ended);
}

void *mayfly_main(void *arg)
{
    role_t *role = arg;
    while (!atomic_load(&stop_chaos)) {
        step(role->actor, "mayfly");
        mayfly(&role->seed);
        lull_us(below(&role->seed, 4000));
    }
    atomic_store(&role->actor->active, false);
    return NULL;
}
