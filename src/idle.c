/*
 * The idle stack, and taking workers out of the crew.
 *
 * Idle workers are parked on a stack, so the newest, whose cache is warm, is woken first
 * and the oldest expire. A worker leaves the stack by one of two hands, both under the
 * lock: it is called (it gets a searching token), or it is retired (it leaves the stack
 * and the crew in one step, so it cannot be handed work any more).
 *
 * The rules are in crew.c, which stands above this file.
 */
#include "ring.h"

enum { REAP_NS = 2000000, REAP_TIMES = 10, REAP_MAX = 64 }; /* so many at a time: submitters wait */

/* ---- Calling ------------------------------------------------------------------------------ */

/* The worker has the token from now on. Before it is handed one, or by itself. */
void antp_begin_search(struct antp_worker *worker)
{
    worker->searching = true;
    worker->looked_at = antp_now();
    atomic_store_explicit(&worker->pool->token_at, worker->looked_at, memory_order_relaxed);
    worker->head_then = atomic_load(&worker->pool->head);
}

/* The newest idle worker gets the token and is taken off the stack; NULL: nobody is idle. */
struct antp_worker *antp_call_idle_locked(pool_t *pool)
{
    if (antp_list_empty(&pool->idle))
        return NULL;
    struct antp_worker *worker = antp_worker_of(pool->idle.prev);
    antp_list_remove(&worker->link);
    atomic_fetch_sub(&pool->crew, ANTP_IDLE);
    antp_begin_search(worker);
    return worker;
}

/* ---- Taking out --------------------------------------------------------------------------- */

void antp_note_surplus_locked(pool_t *pool)
{
    atomic_store(&pool->surplus,
                 antp_workers(atomic_load(&pool->crew)) > atomic_load(&pool->worker_cap));
}

bool antp_closed_and_drained(pool_t *pool)
{
    return (atomic_load(&pool->tail) & ANTP_CLOSED) != 0 && !antp_has_work(pool);
}

void antp_take_out_locked(pool_t *pool, uint64_t what)
{
    uint64_t crew = atomic_fetch_sub(&pool->crew, what) - what;
    if (antp_workers(crew) == 0)
        atomic_fetch_or(&pool->tail, ANTP_ASLEEP); /* closed and drained, or set already */
    antp_note_surplus_locked(pool);
}

bool antp_fall_asleep_locked(pool_t *pool)
{
    uint64_t quiet = ANTP_TAIL(atomic_load(&pool->head));
    return atomic_compare_exchange_strong(&pool->tail, &quiet, quiet | ANTP_ASLEEP);
}

/* From the stack and from the crew in one step: it cannot be handed work any more. */
static void retire_idle_locked(struct antp_worker *worker)
{
    antp_list_remove(&worker->link);
    antp_take_out_locked(worker->pool, ANTP_IDLE + ANTP_WORKER);
    worker->left = true;
    antp_sem_post(&worker->wake);
}

void antp_dismiss_locked(pool_t *pool)
{
    if (!antp_closed_and_drained(pool))
        return;
    while (!antp_list_empty(&pool->idle))
        retire_idle_locked(antp_worker_of(pool->idle.next));
}

void antp_trim_locked(pool_t *pool)
{
    antp_note_surplus_locked(pool);
    while (atomic_load(&pool->surplus) && !antp_list_empty(&pool->idle))
        retire_idle_locked(antp_worker_of(pool->idle.next));
}

/* ---- Expiry ------------------------------------------------------------------------------- */

/* Rule 6 for expiry: false when the last worker is about to be needed. */
static bool expire_one_locked(pool_t *pool)
{
    if (antp_workers(atomic_load(&pool->crew)) == 1 && !antp_fall_asleep_locked(pool))
        return false;
    retire_idle_locked(antp_worker_of(pool->idle.next));
    return true;
}

/* Threads that have ended are joined, which gives their stacks back. Those that were told to
 * leave need a while for it, so some visits follow, each later than the one before; not for
 * ever, since a thread-local destructor may hang. */
static int64_t reap_locked(pool_t *pool, int64_t now)
{
    if (antp_reap_locked(pool, REAP_MAX))
        return antp_add(now, REAP_NS);
    bool left = pool->unjoined > (int)antp_workers(atomic_load(&pool->crew));
    if (left && pool->reaps < REAP_TIMES) /* in time for those that park meanwhile, too */
        return antp_add(now, antp_least((int64_t)REAP_NS << pool->reaps++, pool->expiry_ns / 2));
    pool->armed = false;
    return ANTP_NEVER;
}

int64_t antp_expire_locked(pool_t *pool, int64_t now)
{
    int64_t earliest = antp_add(now, pool->expiry_ns / 2);
    antp_reap_locked(pool, REAP_MAX);
    while ((int)antp_idle(atomic_load(&pool->crew)) > pool->min_idle &&
           !(atomic_load(&pool->tail) & ANTP_CLOSED)) {
        int64_t due = antp_add(antp_worker_of(pool->idle.next)->parked_at, pool->expiry_ns);
        if (due > now)
            return due > earliest ? due : earliest;
        if (!expire_one_locked(pool))
            return earliest;
        pool->reaps = 0;
    }
    return reap_locked(pool, now);
}
