/*
 * The crew: who is awake, and how nobody is forgotten.
 *
 * One 64-bit word counts the workers, those of them that are idle, and the searching
 * tokens, so that nobody sees one changed and not the other:
 *
 *     crew = searching << 48 | idle << 24 | workers
 *
 * The rules that keep wake-ups from getting lost (models of them: tests/models):
 *
 *  1. The three counts are one atomic word.
 *  2. Submit claims its position (seq_cst), then loads crew (seq_cst), then publishes.
 *     Afterwards nothing of the pool is touched, unless the call counted itself in
 *     `inside` before the publish; destroy waits for inside to become 0.
 *  3. A worker that parks, under the lock: goes on the stack, idle + 1 and its token back,
 *     *then* compares tail with head (all seq_cst). Work there: idle - 1, token + 1, and
 *     it goes on as a searcher. So of a claim and a parking at least one sees the other.
 *  4. Whoever gives a token back or takes a worker out of the crew then compares tail with
 *     head and, if work is queued, tries to wake again, with the cap loaded anew. A try
 *     takes a token only if somebody is idle or a worker may be started; after a failed
 *     start only for the idle, else it would spin.
 *  5. Closing sets a bit in tail, so claims fail from then on. Workers leave a closed pool
 *     only when head = tail.
 *  6. With no worker alive the asleep bit of tail is set and makes claims fail. The last
 *     worker leaves an open pool only by a CAS of tail from (head, no bits) to (head,
 *     asleep), under the lock and before it is taken out of the crew; if that fails it
 *     stays. Every start that succeeds clears the bit under the lock before it counts the
 *     worker; one that fails is POOL_ERR_NO_THREAD and nothing was accepted.
 */
#include "ring.h"

/* ---- Tokens ----------------------------------------------------------------------------- */

/*
 * One token is enough, unless its holder has to share a processor with a thread that does not
 * let go, a submitter that spins, say, or its processor is a virtual one that waits for a real
 * one: for milliseconds then, and all that time nobody else would be woken. So when a token is
 * late somebody idle gets another, and if that is late, too, the next; not while one naps.
 */
bool antp_token_is_late(pool_t *pool)
{
    return antp_now() - atomic_load_explicit(&pool->token_at, memory_order_relaxed) > ANTP_LATE_NS;
}

static bool take_token(pool_t *pool, bool may_start)
{
    uint64_t crew = atomic_load(&pool->crew); /* pairs with the add in antp_park */
    do
        if (!antp_may_wake(pool, crew, may_start))
            return false;
    while (!atomic_compare_exchange_weak(&pool->crew, &crew, crew + ANTP_SEARCHING));
    atomic_store_explicit(&pool->token_at, antp_now(), memory_order_relaxed);
    return true;
}

bool antp_claim_search(struct antp_worker *worker)
{
    uint64_t crew = atomic_load(&worker->pool->crew);
    while (antp_searching(crew) == 0)
        if (atomic_compare_exchange_weak(&worker->pool->crew, &crew, crew + ANTP_SEARCHING)) {
            antp_begin_search(worker);
            return true;
        }
    return false;
}

void antp_start_searching(struct antp_worker *worker)
{
    if (take_token(worker->pool, true))
        antp_begin_search(worker);
}

/* ---- Starting workers ------------------------------------------------------------------- */

static pool_err start_locked(pool_t *pool, bool searching)
{
    struct antp_worker *worker = antp_worker_get_locked(pool);
    if (worker == NULL)
        return POOL_ERR_NO_MEMORY;
    atomic_store(&worker->counted, false);
    worker->left = false;
    worker->searching = false;
    if (searching)
        antp_begin_search(worker);
    pool_err err = antp_thread_start(worker, antp_worker_main);
    if (err != POOL_OK) {
        antp_list_append(&pool->spare, &worker->link);
        return err;
    }
    pool->unjoined++;
    pool->alive++;
    atomic_store(&pool->no_thread, false);
    atomic_fetch_and(&pool->tail, ~ANTP_ASLEEP); /* rule 6: first the bit … */
    atomic_fetch_add(&pool->crew, ANTP_WORKER);  /* … then the count */
    atomic_store(&worker->counted, searching); /* others wait for the lock, until the pool is open */
    return POOL_OK;
}

pool_err antp_start_searcher_locked(pool_t *pool)
{
    atomic_fetch_add(&pool->crew, ANTP_SEARCHING);
    pool_err err = start_locked(pool, true);
    if (err != POOL_OK)
        atomic_fetch_sub(&pool->crew, ANTP_SEARCHING);
    return err;
}

pool_err antp_prestart_locked(pool_t *pool, int n)
{
    pool_err err = POOL_OK;
    for (int i = 0; i < n && err == POOL_OK; i++)
        err = start_locked(pool, false);
    return err;
}

pool_err antp_awaken_locked(pool_t *pool)
{
    uint64_t tail = atomic_load(&pool->tail);
    if (tail & ANTP_CLOSED)
        return POOL_ERR_CLOSED;
    return (tail & ANTP_ASLEEP) != 0 ? antp_start_searcher_locked(pool) : POOL_OK;
}

/* True once per failure, however often it is repeated. Under the lock. */
static bool first_failure_locked(pool_t *pool, pool_err err)
{
    bool first = err != POOL_OK && err != POOL_ERR_CLOSED && !atomic_load(&pool->no_thread);
    if (first)
        atomic_store(&pool->no_thread, true);
    return first;
}

static void log_failure(pool_t *pool, bool first, pool_err err)
{
    if (first)
        antp_log(pool, "cannot start a worker: %s; going on with %d", pool_strerror(err),
                 pool_workers(pool));
}

pool_err antp_awaken(pool_t *pool)
{
    antp_lock(&pool->lock);
    pool_err err = antp_awaken_locked(pool);
    bool first = first_failure_locked(pool, err);
    antp_unlock(&pool->lock);
    log_failure(pool, first, err);
    return err;
}

bool antp_add_worker_locked(pool_t *pool)
{
    if (antp_workers(atomic_load(&pool->crew)) >= atomic_load(&pool->worker_cap))
        return false;
    return antp_start_searcher_locked(pool) == POOL_OK;
}

/* ---- Waking ------------------------------------------------------------------------------- */

/* How a wake went: what it was refused, and whether the log is to hear of it. */
struct start {
    pool_err err;
    bool first;
};

/* Without work no thread is started: the pool may be closed and its last worker gone. */
static bool start_for_token_locked(pool_t *pool, struct start *start)
{
    if (start->err != POOL_OK || !antp_has_work(pool) ||
        antp_workers(atomic_load(&pool->crew)) >= atomic_load(&pool->worker_cap))
        return false;
    start->err = start_locked(pool, true);
    start->first = first_failure_locked(pool, start->err);
    if (start->err != POOL_OK)
        antp_break_deadlock_locked(pool);
    return start->err == POOL_OK;
}

/* Gives the caller's token to a worker; false: there is none to be had. */
static bool pass_token(pool_t *pool, struct start *start)
{
    antp_lock(&pool->lock);
    struct antp_worker *worker = antp_call_idle_locked(pool);
    bool passed = worker != NULL || start_for_token_locked(pool, start);
    antp_unlock(&pool->lock);
    if (worker != NULL)
        antp_sem_post(&worker->wake); /* after the unlock: its record outlives the thread */
    return passed;
}

static void wake_one(pool_t *pool, struct start *start)
{
    while (take_token(pool, start->err == POOL_OK)) {
        if (pass_token(pool, start))
            break;
        atomic_fetch_sub(&pool->crew, ANTP_SEARCHING);
        if (!antp_has_work(pool)) /* rule 4 */
            break;
    }
}

void antp_wake(pool_t *pool)
{
    struct start start = {POOL_OK, false};
    wake_one(pool, &start);
    log_failure(pool, start.first, start.err); /* without the token: a logger may be slow */
}

/*
 * A searcher that finds a task wakes, or starts, the next one. Where nobody is idle and tasks
 * last, most of the time is spent on waiting for new threads to arrive. There it starts several
 * in a row, while more tasks are queued than searchers are on their way.
 */
static bool take_token_to_start(pool_t *pool)
{
    uint64_t crew = atomic_load(&pool->crew);
    do
        if (antp_idle(crew) > 0 || antp_workers(crew) >= atomic_load(&pool->worker_cap) ||
            antp_queued(pool) <= antp_searching(crew))
            return false;
    while (!atomic_compare_exchange_weak(&pool->crew, &crew, crew + ANTP_SEARCHING));
    return true;
}

static void start_several(pool_t *pool, struct start *start)
{
    for (int i = 0; i < ANTP_STARTS && take_token_to_start(pool); i++)
        if (!pass_token(pool, start)) {
            atomic_fetch_sub(&pool->crew, ANTP_SEARCHING); /* rule 4: wake_one follows */
            break;
        }
}

/* Two workers are no sign: neither may have had the time to finish a task. */
static bool tasks_last(const struct antp_worker *worker)
{
    pool_t *pool = worker->pool;
    int64_t took = atomic_load_explicit(&pool->each_took, memory_order_relaxed); /* 0: not known yet */
    return worker->own->others >= ANTP_LASTING_NS && (took == 0 || took >= ANTP_LASTING_NS) &&
           antp_workers(atomic_load(&pool->crew)) > 2;
}

void antp_stop_searching(struct antp_worker *worker)
{
    pool_t *pool = worker->pool;
    worker->searching = false;
    atomic_fetch_sub(&pool->crew, ANTP_SEARCHING);
    if (!antp_has_work(pool))
        return;
    struct start start = {POOL_OK, false};
    if (tasks_last(worker))
        start_several(pool, &start);
    wake_one(pool, &start); /* rule 4 */
    log_failure(pool, start.first, start.err);
}
