/*
 * The ring of accepted tasks: the only lock-free part.
 *
 * Positions count up for ever, 62 bits; position p lives in cell p & mask. `tail` is the
 * next position to be claimed by a submitter, `head` the next to be taken. A cell holds a
 * task while its fn is not NULL. It is D. Vyukov's bounded MPMC queue with the sequence
 * number of a cell replaced by two comparisons, which makes a cell 16 bytes in place of
 * 24: four tasks to a cache line, and the line between two cores is what a task costs.
 *
 * Submitter, position t:   1. tail = t   2. head > t - cells   3. fn(t) is NULL
 *                          4. CAS tail t -> t+1    5. write arg   6. fn := task (release)
 * Taker, position h:       1. head = h   2. tail > h   3. f = fn(h) is not NULL
 *                          4. CAS head h -> h+1    5. read arg   6. fn := NULL (release)
 *
 * Why it is right. Each CAS succeeds at most once for a position, so each position has one
 * submitter and at most one taker, and a taker's success means that nobody took h before.
 *  - A taker never takes a stale task. tail > h (acquire) means that the submitter of h had
 *    seen, in step 2, that h - cells was taken and, in step 3, a NULL later than that task.
 *    From there on the cell of h holds NULL or the task of h, until h is taken.
 *  - A submitter never overwrites a task. head > t - cells (acquire) means that the taker
 *    of t - cells saw its task in the cell; so the NULL of step 3 is later than that task,
 *    hence the one its taker stored in step 6, after it read arg.
 *  - tail never passes head by more than the cells, by step 2.
 *  - Where the limit is not above the cells, step 2 is the acceptance itself, t - done <
 *    limit <= cells, and the line of head stays with the takers. done counts tasks that were
 *    taken, so head >= done > t - cells; and one of those counted has a position >= t - cells,
 *    so its taker's CAS came after the one of t - cells, and its count (release) after that:
 *    who sees the count (acquire) is as far as who sees head.
 * Steps 1-3 may look at three instants: all three are monotonic once the CAS confirms the
 * first. The caches (head_seen, tail_seen, done_seen) are lower bounds of counters that
 * only grow, so a stale one costs a second look and never a wrong answer.
 *
 * It is not lock-free in the strict sense: a taker preempted between 4 and 6 holds up the
 * reuse of one cell (ANTP_ROOM_BUSY), a submitter between 4 and 6 holds up its taker
 * (ANTP_TAKE_UNPUBLISHED).
 *
 * Two bits live below the position in `tail`, so that a claim fails once one is set:
 * CLOSED, and ASLEEP: no worker is alive and a claim would strand its task.
 *
 * Acceptance: t - done < limit at the instant of the CAS.
 */
#ifndef ANTPOOL_RING_H
#define ANTPOOL_RING_H

#include "multi.h"

#include <string.h>

#define ANTP_ASLEEP ((uint64_t)1)
#define ANTP_CLOSED ((uint64_t)2)
#define ANTP_BITS ((uint64_t)3)
#define ANTP_POSITION(tail) ((tail) >> 2)
#define ANTP_TAIL(position) ((uint64_t)(position) << 2)

/* Marks the cell of a copied task, whose arg then is its function; never called. */
void antp_copied(void *);
pool_err antp_make_copies(pool_t *);
void antp_copy_in(pool_t *, uint64_t position, const struct antp_task *); /* of a claimed position */

static inline void antp_prefetch_to_write(void *line)
{
#if defined(__x86_64__)
    __asm__ __volatile__("prefetchw (%0)" : : "r"(line));
#else
    __builtin_prefetch(line, 1);
#endif
}

static inline struct antp_stripe *antp_shared_stripe(pool_t *pool)
{
    return &pool->stripes[pool->stripe_mask];
}

static inline uint64_t antp_done(pool_t *pool)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i <= pool->stripe_mask; i++)
        sum += atomic_load(&pool->stripes[i].done); /* pairs with count_finished and antp_finished */
    return sum;
}

/* For one who has just joined those who wait (seq_cst) and is about to look at done: a
 * worker that did not see it join moved head before this load, which so sees that move, and
 * with it all that the worker had counted before. */
static inline void antp_see_finished(pool_t *pool)
{
    (void)atomic_load(&pool->head); /* pairs with the swap in antp_take_task */
}

/* How much work is queued, or about to be. A stale head errs upwards. */
static inline uint64_t antp_queued(pool_t *pool)
{
    uint64_t head = atomic_load(&pool->head);
    return ANTP_POSITION(atomic_load(&pool->tail)) - head; /* pairs with the claim */
}

static inline bool antp_has_work(pool_t *pool)
{
    return antp_queued(pool) != 0;
}

/* Whether somebody could be woken, or started, to search. If one searches already: woken only,
 * if that one does not show up. */
static inline bool antp_may_wake(pool_t *pool, uint64_t crew, bool may_start)
{
    unsigned searching = antp_searching(crew);
    if (ANTP_LIKELY(searching == 0))
        return antp_idle(crew) > 0 || (may_start && antp_workers(crew) < atomic_load(&pool->worker_cap));
    return antp_idle(crew) > 0 && atomic_load_explicit(&pool->napper, memory_order_relaxed) == NULL &&
           antp_token_is_late(pool);
}

/* Whether anyone is blocked who would get the next slot of this pool. */
static inline bool antp_waited_for(pool_t *pool)
{
    return atomic_load(&pool->line.waiting) > 0 ||
           (ANTP_UNLIKELY(pool->multi != NULL) && atomic_load(&pool->multi->line.waiting) > 0);
}

/* Whether anyone waits until nothing is queued or running. */
static inline bool antp_quiet_awaited(pool_t *pool)
{
    return atomic_load(&pool->quiet) > 0 ||
           (ANTP_UNLIKELY(pool->multi != NULL) && atomic_load(&pool->multi->quiet) > 0);
}

static inline bool antp_queue_low(pool_t *pool)
{
    return (int64_t)antp_queued(pool) <= atomic_load(&pool->limit) / 4;
}

/* How many of the `want` positions from `position` on are free. */
static inline uint64_t antp_free_cells(pool_t *pool, uint64_t position, uint64_t want)
{
    uint64_t n = 0;
    while (n < want && atomic_load_explicit(&pool->cells[(position + n) & pool->mask].fn,
                                            memory_order_acquire) == NULL)
        n++; /* acquire: pairs with the NULL of antp_take_task */
    return n;
}

/* Looks past the caches: how many positions from `position` on the limit and the cells
 * allow. */
static inline int64_t antp_allowed(pool_t *pool, uint64_t position)
{
    int64_t limit = atomic_load(&pool->limit), cells = (int64_t)pool->mask + 1;
    uint64_t done = antp_done(pool);
    int64_t by_limit = limit - (int64_t)(position - done);
    if (by_limit <= 0)
        return by_limit;
    atomic_store_explicit(&pool->done_seen, done, memory_order_release);
    if (ANTP_LIKELY(limit <= cells))
        return by_limit;
    uint64_t head = atomic_load_explicit(&pool->head, memory_order_acquire);
    atomic_store_explicit(&pool->head_seen, head, memory_order_release);
    return antp_least(by_limit, cells - (int64_t)(position - head));
}

/* Has room, or is closed or asleep, which are worth another try. */
static inline bool antp_could_take(pool_t *pool, uint64_t tail)
{
    return (tail & ANTP_BITS) != 0 || antp_allowed(pool, ANTP_POSITION(tail)) > 0;
}

static inline int64_t antp_allowed_cached(pool_t *pool, uint64_t position, uint64_t done)
{
    int64_t limit = atomic_load_explicit(&pool->limit, memory_order_relaxed), cells = (int64_t)pool->mask + 1;
    int64_t by_limit = limit - (int64_t)(position - done);
    if (ANTP_LIKELY(limit <= cells))
        return by_limit;
    uint64_t head = atomic_load_explicit(&pool->head_seen, memory_order_acquire);
    return antp_least(by_limit, cells - (int64_t)(position - head));
}

/* Claims up to `want` positions in a row, *n of them from *position on. */
static inline enum antp_room antp_claim(pool_t *pool, uint64_t want, uint64_t *position, uint64_t *n)
{
    for (;;) {
        uint64_t done = atomic_load_explicit(&pool->done_seen, memory_order_acquire);
        uint64_t tail = atomic_load_explicit(&pool->tail, memory_order_acquire);
        if (ANTP_UNLIKELY(tail & ANTP_BITS))
            return (tail & ANTP_CLOSED) != 0 ? ANTP_ROOM_CLOSED : ANTP_ROOM_ASLEEP;
        uint64_t at = ANTP_POSITION(tail);
        int64_t allowed = antp_allowed_cached(pool, at, done);
        if (ANTP_UNLIKELY(allowed <= 0) && (allowed = antp_allowed(pool, at)) <= 0) {
            if (atomic_load_explicit(&pool->tail, memory_order_relaxed) != tail)
                continue;
            return ANTP_ROOM_FULL;
        }
        uint64_t free = antp_free_cells(pool, at, (uint64_t)allowed < want ? (uint64_t)allowed : want);
        if (ANTP_UNLIKELY(free == 0)) {
            if (atomic_load_explicit(&pool->tail, memory_order_relaxed) != tail)
                continue;
            return ANTP_ROOM_BUSY;
        }
        /* seq_cst: pairs with antp_has_work of a worker that parks or leaves */
        if (ANTP_LIKELY(atomic_compare_exchange_strong(&pool->tail, &tail, tail + ANTP_TAIL(free)))) {
            *position = at;
            *n = free;
            return ANTP_ROOM;
        }
    }
}

/* Fills a claimed cell; the task may run, and its owner destroy the pool, before this
 * returns. */
static inline void antp_publish(pool_t *pool, uint64_t position, const struct antp_task *task)
{
    struct antp_cell *cell = &pool->cells[position & pool->mask];
    pool_task_fn fn = task->fn;
    void *arg = task->arg;
    if (ANTP_UNLIKELY(task->copy != NULL)) {
        antp_copy_in(pool, position, task);
        memcpy(&arg, &fn, sizeof arg);
        fn = antp_copied;
    }
    cell->arg = arg;
    atomic_store_explicit(&cell->fn, fn, memory_order_release);
}

/* A line that both cores have read is dear to write. So who takes the copy asks for its line
 * to write, and writes it: for the submitter it is then a line of the other core, and such
 * lines the processor fetches ahead of a row of writes. */
static inline void antp_take_copy(pool_t *pool, uint64_t position, bool ahead, struct antp_taken *task)
{
    struct antp_copy *copies = atomic_load_explicit(&pool->copies, memory_order_acquire);
    unsigned char *data = copies[position & pool->mask].data;
    if (ahead)
        antp_prefetch_to_write(&copies[(position + ANTP_AHEAD) & pool->mask]);
    memcpy(&task->fn, &task->arg, sizeof task->fn);
    memcpy(task->copy, data, POOL_COPY_MAX);
    data[0] = 0;
    task->arg = task->copy;
}

/* Takes the oldest task. tail_seen is the caller's lower bound of tail's position. When that
 * is used up, fewer than `few` new ones are left where they are. */
static inline enum antp_take antp_take_task(pool_t *pool, uint64_t *tail_seen, uint64_t few, struct antp_taken *task)
{
    uint64_t head = atomic_load_explicit(&pool->head, memory_order_acquire);
    for (;;) {
        if (head >= *tail_seen) {
            *tail_seen = ANTP_POSITION(atomic_load(&pool->tail));
            if (head >= *tail_seen)
                return ANTP_TAKE_EMPTY;
            if (*tail_seen - head < few)
                return ANTP_TAKE_FEW;
        }
        struct antp_cell *cell = &pool->cells[head & pool->mask];
        pool_task_fn fn = atomic_load_explicit(&cell->fn, memory_order_acquire);
        if (ANTP_UNLIKELY(fn == NULL)) {
            uint64_t now = atomic_load_explicit(&pool->head, memory_order_acquire);
            if (now == head)
                return ANTP_TAKE_UNPUBLISHED;
            head = now;
            continue;
        }
        if (!atomic_compare_exchange_strong(&pool->head, &head, head + 1))
            continue;
        task->fn = fn;
        task->arg = cell->arg;
        if (ANTP_UNLIKELY(fn == antp_copied))
            antp_take_copy(pool, head, head + ANTP_AHEAD < *tail_seen, task);
        atomic_store_explicit(&cell->fn, NULL, memory_order_release); /* pairs with antp_free_cells */
        return ANTP_TAKE_OK;
    }
}

#endif
