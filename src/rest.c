/*
 * What a worker does when there is nothing for it to do: it leaves the crew, parks, or naps.
 * The rules that are named here are those of crew.c.
 */
#include "ring.h"

/* ---- Leaving ------------------------------------------------------------------------------ */

/* For a worker that is not idle; the caller looks for work left behind (rule 4). */
static void leave_locked(struct antp_worker *worker)
{
    antp_take_out_locked(worker->pool, ANTP_WORKER + (worker->searching ? ANTP_SEARCHING : 0));
    worker->searching = false;
    worker->left = true;
    antp_break_deadlock_locked(worker->pool);
}

/* Rule 4, for a worker that may have left. */
static void look_back(const struct antp_worker *worker)
{
    if (worker->left && antp_has_work(worker->pool))
        antp_wake(worker->pool);
}

bool antp_leave_if_surplus(struct antp_worker *worker)
{
    pool_t *pool = worker->pool;
    antp_lock(&pool->lock);
    antp_note_surplus_locked(pool);
    if (atomic_load(&pool->surplus)) {
        leave_locked(worker);
        antp_dismiss_locked(pool);
    }
    antp_unlock(&pool->lock);
    look_back(worker);
    return worker->left;
}

/* The last worker may leave if nobody needs it or another takes its place. */
static bool last_may_leave_locked(pool_t *pool)
{
    return antp_closed_and_drained(pool) || antp_fall_asleep_locked(pool) ||
           antp_start_searcher_locked(pool) == POOL_OK;
}

bool antp_lose_worker(struct antp_worker *worker)
{
    pool_t *pool = worker->pool;
    antp_lock(&pool->lock);
    bool last = antp_workers(atomic_load(&pool->crew)) == 1;
    if (!last || last_may_leave_locked(pool)) {
        leave_locked(worker);
        antp_dismiss_locked(pool);
    }
    antp_unlock(&pool->lock);
    look_back(worker);
    return worker->left;
}

/* ---- Parking ------------------------------------------------------------------------------ */

static bool wants_janitor_locked(pool_t *pool)
{
    bool ask = pool->expiry_ns != ANTP_NEVER && !pool->armed &&
               (int)antp_idle(atomic_load(&pool->crew)) > pool->min_idle;
    pool->armed |= ask;
    return ask;
}

/* Rule 3; true: work came meanwhile. */
static bool sees_work_locked(struct antp_worker *worker)
{
    pool_t *pool = worker->pool;
    worker->parked_at = antp_now();
    antp_list_append(&pool->idle, &worker->link);
    atomic_fetch_add(&pool->crew, worker->searching ? ANTP_IDLE - ANTP_SEARCHING : ANTP_IDLE);
    worker->searching = false;
    if (!antp_has_work(pool))
        return false;
    antp_list_remove(&worker->link);
    atomic_fetch_add(&pool->crew, ANTP_SEARCHING - ANTP_IDLE);
    antp_begin_search(worker);
    return true;
}

/*
 * Napping. Where tasks are shorter than a cache line takes from one core to another, a
 * further worker only slows the one that runs them. A searcher that sees them flow keeps
 * its token, so nobody else is woken, and naps: after ANTP_NAP_NS it looks again whether
 * they still flow. If they do, it naps for longer: Linux does not move a thread to a
 * processor that is seldom idle for half a millisecond, so short naps would leave submitter
 * and worker on the other one, taking turns. A worker that parks lays the napper down on the
 * stack first, below itself, so that a submit need not wait for the end of a nap while all
 * others sleep. That gives its token back, and the compare of tail with head that rule 4 asks
 * for is the one of that parking.
 */
static void lay_napper_down_locked(pool_t *pool)
{
    struct antp_worker *napper = atomic_load(&pool->napper);
    if (napper == NULL)
        return;
    atomic_store(&pool->napper, NULL);
    napper->searching = false;
    napper->parked_at = antp_now();
    antp_list_append(&pool->idle, &napper->link);
    atomic_fetch_add(&pool->crew, ANTP_IDLE - ANTP_SEARCHING);
}

/* One at a time, and not the only one that is awake. */
static bool may_nap_locked(pool_t *pool)
{
    uint64_t crew = atomic_load(&pool->crew);
    return atomic_load(&pool->napper) == NULL && antp_awake(crew) > 1;
}

/* False: it was laid down. */
static bool end_nap(struct antp_worker *worker)
{
    pool_t *pool = worker->pool;
    antp_lock(&pool->lock);
    bool naps = atomic_load(&pool->napper) == worker;
    if (naps) {
        atomic_store_explicit(&pool->token_at, antp_now(), memory_order_relaxed); /* not late */
        atomic_store(&pool->napper, NULL);
    }
    antp_unlock(&pool->lock);
    return naps;
}

bool antp_nap(struct antp_worker *worker, int64_t ns)
{
    pool_t *pool = worker->pool;
    antp_lock(&pool->lock);
    bool nap = may_nap_locked(pool);
    if (nap)
        atomic_store(&pool->napper, worker);
    antp_unlock(&pool->lock);
    if (!nap)
        return false;
    bool called = antp_sem_wait_until(&worker->wake, antp_add(antp_now(), ns));
    if (!end_nap(worker) && !called) /* the lock in any case: TSan does not know sem_clockwait */
        antp_sem_wait(&worker->wake);
    return true;
}

bool antp_park(struct antp_worker *worker)
{
    pool_t *pool = worker->pool;
    bool sleeps = false;
    antp_lock(&pool->lock);
    lay_napper_down_locked(pool);
    if (atomic_load(&pool->surplus))
        antp_trim_locked(pool); /* the napper may be the one too many */
    if (antp_closed_and_drained(pool) || atomic_load(&pool->surplus)) {
        leave_locked(worker);
        antp_dismiss_locked(pool);
    } else {
        sleeps = !sees_work_locked(worker);
    }
    bool ask = wants_janitor_locked(pool); /* for a napper that was laid down, too */
    antp_unlock(&pool->lock);
    if (ask) /* lock order: janitor, pool */
        antp_janitor_arm(pool, antp_add(antp_now(), pool->expiry_ns));
    if (sleeps)
        antp_sem_wait(&worker->wake);
    look_back(worker);
    return !worker->left;
}
