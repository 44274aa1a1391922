/*
 * Tasks that wait for each other. In the arenas a task that no worker was woken for is run a
 * little later by one that was busy, so a lost wake-up hides behind the load. Here as many
 * tasks as there may be at once meet, all of them at the same time, or for ever none.
 */
#include "soak.h"

enum { MEETING_CAP = 3 };

typedef struct meeting {
    pthread_mutex_t lock;
    pthread_cond_t complete;
    int expected, arrived;
} meeting_t;

static meeting_t meeting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};
static pool_t *_Atomic place;

static void attend(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&meeting.lock);
    if (++meeting.arrived == meeting.expected)
        pthread_cond_broadcast(&meeting.complete);
    while (meeting.arrived < meeting.expected)
        pthread_cond_wait(&meeting.complete, &meeting.lock);
    pthread_mutex_unlock(&meeting.lock);
}

static bool invite(pool_t *pool, int n, uint64_t *random)
{
    void *const nobody[MEETING_CAP] = {NULL};
    size_t accepted = 0;
    if (below(random, 3) == 0)
        return pool_submit_many(pool, attend, nobody, (size_t)n, &accepted) == POOL_OK;
    for (int i = 0; i < n; i++)
        if (pool_submit_timeout(pool, attend, NULL, POOL_FOREVER) != POOL_OK)
            return false;
    return true;
}

static void meet(pool_t *pool, uint64_t *random)
{
    meeting.expected = 2 + below(random, MEETING_CAP - 1);
    meeting.arrived = 0;
    if (!invite(pool, meeting.expected, random) || pool_wait(pool) != POOL_OK)
        wrong("a meeting was refused");
    if (meeting.arrived != meeting.expected)
        wrong("%d tasks met, not %d", meeting.arrived, meeting.expected);
}

void *meet_main(void *arg)
{
    role_t *role = arg;
    pool_t *pool;
    if (pool_new_with(&pool, MEETING_CAP, pool_with_name("meeting"), pool_with_expiry_ms(1)) != POOL_OK)
        abort();
    atomic_store(&place, pool);
    while (!atomic_load(&stop_chaos)) {
        step(role->actor, "a meeting");
        meet(pool, &role->seed);
        if (below(&role->seed, 2) == 0)
            lull_us(below(&role->seed, 3000)); /* in which some park, some leave */
    }
    atomic_store(&place, NULL);
    if (pool_destroy(pool) != POOL_OK)
        wrong("the place of the meetings stays");
    atomic_store(&role->actor->active, false);
    return NULL;
}

void meet_print(void)
{
    const pool_t *pool = atomic_load(&place);
    if (pool != NULL)
        gauges_print("meeting", pool);
}
