/*
 * How a worker looks for work.
 *
 * Nothing here is needed for a task to be run; all of it decides when threads sleep. A wake-up
 * costs the one who wakes 2 to 7 us and takes 5 to 50 us to arrive, a cache line between two
 * cores 0.05 to 0.3 us. So where tasks are short a worker looks again for a while before it
 * parks, does not follow a submitter task by task but lets a few gather, and keeps away, with
 * the token, where another does the work faster alone. The guesses come from three figures:
 * the pace at which tasks are taken, how long each took in the last spell of a worker, and
 * whether submitters are held up at the limit.
 */
#include "pace.h"

/* ---- Spells ------------------------------------------------------------------------------- */

/* A spell is what a worker runs from one search to the next. */
void antp_begin_spell(struct antp_worker *worker)
{
    struct antp_own *own = worker->own;
    own->spell_at = antp_now();
    own->spell_ran = own->ran;
}

void antp_end_spell(struct antp_worker *worker)
{
    struct antp_own *own = worker->own;
    uint64_t ran = own->ran - own->spell_ran;
    if (ran > 0)
        atomic_store_explicit(&worker->pool->each_took, (antp_now() - own->spell_at) / (int64_t)ran,
                              memory_order_relaxed);
}

/* ---- Looking again ------------------------------------------------------------------------ */

/* Where submitters are held up at the limit. */
bool antp_work_comes_at_once(struct antp_worker *worker)
{
    return atomic_load_explicit(&worker->pool->pressed, memory_order_relaxed) &&
           antp_glance(worker->pool, antp_has_work);
}

/* A system call and a context switch cost more than looking again, if the next task is to
 * be expected soon, or submitters are held up at the limit, and tasks are short (their mean
 * time is the mean distance times the number that run at once). */
static bool worth_a_look(pool_t *pool, int64_t each)
{
    bool pressed = atomic_exchange(&pool->pressed, false);
    uint64_t done = antp_done(pool); /* before head, which is never below it */
    int64_t at_once = (int64_t)(atomic_load(&pool->head) - done) + 1;
    return pool->spin_ns > 0 && (pressed || each < ANTP_SOON_NS) && each < ANTP_SHORT_NS / at_once;
}

static bool called_off(pool_t *pool)
{
    return (atomic_load(&pool->tail) & ANTP_CLOSED) != 0 || atomic_load(&pool->surplus);
}

/* The submitter that will bring work, one that was let in a moment ago, say, may be ready on
 * this very processor. If it ran only after this worker has gone to sleep, it would have to
 * wake it. Not with a token: others wait for its holder. */
static bool let_others_run(struct antp_worker *worker)
{
    pool_t *pool = worker->pool;
    if (worker->searching || atomic_load_explicit(&pool->each_took, memory_order_relaxed) < ANTP_STREAM_NS)
        return false; /* where tasks are brief a look is cheaper */
    sched_yield();
    return antp_has_work(pool);
}

/* Looks for work for a while before parking, one worker at a time. If tasks come in a
 * stream, it lets some gather first: chasing the submitter from task to task would move
 * the lines of tail and crew from core to core for each. */
static bool look_again(struct antp_worker *worker)
{
    pool_t *pool = worker->pool;
    int64_t now = antp_now(), until = now + pool->spin_ns;
    int64_t each = worker->own->pace = antp_pace(&pool->work_pace, atomic_load(&pool->head), now);
    if (!worth_a_look(pool, each) || atomic_exchange(&pool->spinning, true))
        return false;
    if (!worker->searching)
        antp_start_searching(worker);
    if (each < ANTP_STREAM_NS)
        antp_spin_until(now + antp_gather_ns(pool));
    bool found;
    for (unsigned looks = 0; !(found = antp_has_work(pool)) && !called_off(pool) && antp_now() < until; looks++)
        worker->searching ? antp_relax() : antp_look_pause(looks);
    atomic_store(&pool->spinning, false);
    return found;
}

/* A worker that has caught up with a stream would go on at the heels of its submitter, the
 * line of tail between them for every few tasks. It lets some more gather. */
static void let_gather(struct antp_worker *worker)
{
    if (atomic_load_explicit(&worker->pool->each_took, memory_order_relaxed) < ANTP_FLOW_NS)
        antp_spin_until(antp_now() + antp_gather_ns(worker->pool));
}

/* ---- Keeping away ------------------------------------------------------------------------- */

/* Since the searcher last looked, others took tasks so fast that it would only be in their
 * way: each took less than ANTP_FLOW_NS, or a little more and they are about to be done. */
static bool tasks_flow(struct antp_worker *worker)
{
    pool_t *pool = worker->pool;
    int64_t now = antp_now(), spent = now - worker->looked_at;
    uint64_t head = atomic_load(&pool->head);
    int64_t taken = (int64_t)(head - worker->head_then);
    int64_t queued = (int64_t)(ANTP_POSITION(atomic_load(&pool->tail)) - head);
    worker->looked_at = now;
    worker->head_then = head;
    int64_t others = worker->own->others = taken == 0 ? spent : spent / taken;
    int64_t each = taken == 0 ? ANTP_NEVER : others;
    return each < ANTP_FLOW_NS || (each < ANTP_STREAM_NS && queued * each < ANTP_DRAIN_NS);
}

/* The whole nap is looked at afterwards: if those at work are stuck since a moment ago only, it
 * naps once more, and queued tasks wait for that. */
static bool nap_while_tasks_flow(struct antp_worker *worker)
{
    struct antp_own *own = worker->own;
    if (!tasks_flow(worker) || !antp_nap(worker, (int64_t)ANTP_NAP_NS << own->naps)) {
        own->naps = 0;
        return false;
    }
    if (own->naps < ANTP_NAP_DOUBLINGS)
        own->naps++;
    return true;
}

/* It found nothing: others take what comes, it comes often, and it takes less time than a
 * wake-up. To park would be to be woken again for each second task. */
static bool is_one_too_many(struct antp_worker *worker)
{
    return worker->own->pace < ANTP_SOON_NS &&
           atomic_load_explicit(&worker->pool->each_took, memory_order_relaxed) < ANTP_STREAM_NS;
}

/* False: the worker has left the crew. */
static bool rest(struct antp_worker *worker)
{
    if (is_one_too_many(worker) && (worker->searching || antp_claim_search(worker)) &&
        antp_nap(worker, ANTP_NAP_NS))
        return !worker->left;
    return antp_park(worker);
}

/* ---- Seeking ------------------------------------------------------------------------------ */

/* Returns with a task; false: the worker has left the crew. */
bool antp_seek(struct antp_worker *worker, enum antp_take why)
{
    pool_t *pool = worker->pool;
    if (why == ANTP_TAKE_FEW)
        let_gather(worker);
    for (unsigned looks = 0;;) {
        if (ANTP_UNLIKELY(atomic_load_explicit(&pool->surplus, memory_order_relaxed)) &&
            antp_leave_if_surplus(worker))
            return false;
        if (worker->searching && nap_while_tasks_flow(worker)) {
            if (worker->left)
                return false;
            continue;
        }
        switch (antp_take_task(pool, &worker->own->tail_seen, 0, &worker->own->frame.task)) {
        case ANTP_TAKE_OK: return true;
        case ANTP_TAKE_UNPUBLISHED:
            antp_look_pause(looks++); /* its submitter has claimed it and may be preempted */
            break;
        case ANTP_TAKE_FEW: break;
        case ANTP_TAKE_EMPTY:
            if (!let_others_run(worker) && !look_again(worker) && !rest(worker))
                return false;
        }
    }
}
