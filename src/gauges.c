/* What a pool shows of itself. */
#include "ring.h"

enum { GAUGE_LOOKS = 16 };

/* The three counters at one instant. Their differences fit in an int: there are at most 2^24
 * workers and as many cells. */
struct view {
    uint64_t done, head, tail;
};

static bool unseen(const pool_t *pool)
{
    return pool == NULL || antp_forked(pool);
}

/* All three only grow, so done and head unchanged around the load of tail are values of
 * that instant. Under a storm of tasks it gives up on that: the parts are then near it,
 * and in an order that keeps the differences from becoming negative. */
static struct view look(const pool_t *pool)
{
    pool_t *p = (pool_t *)pool; /* loads only */
    struct view v;
    for (int i = 0; i < GAUGE_LOOKS; i++) {
        v.done = antp_done(p);
        v.head = atomic_load(&p->head);
        v.tail = ANTP_POSITION(atomic_load(&p->tail));
        if (v.head == atomic_load(&p->head) && v.done == antp_done(p))
            break;
    }
    return v;
}

/* No more tasks run than there are workers, whatever the two counters say. */
static uint64_t on_workers(const pool_t *pool, struct view v)
{
    uint64_t workers = antp_workers(atomic_load(&pool->crew)), n = v.head - v.done;
    return n < workers ? n : workers;
}

int pool_cap(const pool_t *pool)
{
    return unseen(pool) ? 0 : atomic_load(&pool->cap);
}

int pool_running(const pool_t *pool)
{
    if (unseen(pool))
        return 0;
    return (int)on_workers(pool, look(pool)) + atomic_load(&pool->inline_now);
}

int pool_queued(const pool_t *pool)
{
    if (unseen(pool))
        return 0;
    struct view v = look(pool);
    return (int)(v.tail - v.head);
}

int pool_free_slots(const pool_t *pool)
{
    if (unseen(pool) || pool_is_closed(pool) || antp_waited_for((pool_t *)pool))
        return 0;
    if (pool_cap(pool) == POOL_UNLIMITED)
        return POOL_UNLIMITED;
    struct view v = look(pool);
    int64_t slots = atomic_load(&pool->limit) - (int64_t)(v.tail - v.done);
    int64_t cells = (int64_t)(pool->mask + 1 - (v.tail - v.head));
    if (cells < slots)
        slots = cells;
    return slots < 0 ? 0 : (int)slots;
}

int pool_waiting(const pool_t *pool)
{
    return unseen(pool) ? 0 : atomic_load(&pool->line.waiting);
}

int pool_workers(const pool_t *pool)
{
    return unseen(pool) ? 0 : (int)antp_workers(atomic_load(&pool->crew));
}

int pool_idle(const pool_t *pool)
{
    return unseen(pool) ? 0 : (int)antp_idle(atomic_load(&pool->crew));
}

bool pool_is_closed(const pool_t *pool)
{
    return unseen(pool) || (atomic_load(&pool->tail) & ANTP_CLOSED) != 0;
}

const char *pool_name(const pool_t *pool)
{
    return pool == NULL ? "" : pool->name;
}
