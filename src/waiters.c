/*
 * Blocked submitters.
 *
 * A submitter at the limit puts a node with its task into a FIFO list and sleeps on its
 * own condition variable. Whoever admits it moves the task into the ring and signals, so
 * nobody overtakes. Passing each freed slot at once to the oldest waiter would cost a
 * context switch per task, and while tasks are queued no worker lacks work. So workers
 * admit, as many as there is room for, when the queue has run low (a quarter of the limit)
 * or when somebody has waited long: the time in which half of the limit drains, 50 us to 2 ms.
 * It is the waiter itself that times this: it wakes once, marks itself aged, and from then on
 * any free slot goes to the oldest. (One that joins while the queue is low anyway is aged at
 * once.)
 *
 * Nobody is stranded: a waiter counts itself in pool->waiting, then looks for room; a
 * worker counts its task as done, and looks at pool->waiting after its next swap, of head or
 * in settle() (all seq_cst, see antp_see_finished). Where the
 * worker leaves it at that because the queue is not low, the waiter is not yet aged and
 * will look again by itself. An admission stopped by a cell whose taker is about to free
 * it (ANTP_ROOM_BUSY) is retried by that taker, and by the waiter after ANTP_AGE_NS.
 */
#include "ring.h"

static struct antp_waiter *waiter_of(struct antp_link *link)
{
    return (struct antp_waiter *)link; /* the link is the first member of the first member */
}

static void leave_list_locked(pool_t *pool, struct antp_waiter *waiter)
{
    antp_list_remove(&waiter->sleeper.link);
    atomic_fetch_sub(&pool->waiting, 1);
    if (waiter->aged)
        atomic_fetch_sub(&pool->aged, 1);
    if (waiter->stuck)
        pool->stuck--;
}

static void settle_locked(pool_t *pool, struct antp_waiter *waiter, pool_err answer)
{
    leave_list_locked(pool, waiter);
    waiter->answer = answer;
    antp_sleeper_wake_locked(&waiter->sleeper);
}

void antp_refuse_waiters_locked(pool_t *pool)
{
    while (!antp_list_empty(&pool->waiters))
        settle_locked(pool, waiter_of(pool->waiters.next), POOL_ERR_CLOSED);
}

/* ---- Admission ---------------------------------------------------------------------------- */

/* ANTP_ROOM: the oldest has its answer. */
static enum antp_room admit_one_locked(pool_t *pool, struct antp_waiter *waiter)
{
    uint64_t position, n;
    enum antp_room room = antp_claim(pool, 1, &position, &n);
    if (room == ANTP_ROOM) {
        antp_publish(pool, position, &waiter->task);
        settle_locked(pool, waiter, POOL_OK);
    } else if (room == ANTP_ROOM_ASLEEP) {
        pool_err err = antp_awaken_locked(pool);
        if (err != POOL_OK)
            settle_locked(pool, waiter, err);
        return ANTP_ROOM;
    }
    return room;
}

/* Returns why the oldest that is left cannot enter. */
static enum antp_room admit_locked(pool_t *pool)
{
    enum antp_room room = ANTP_ROOM;
    while (room == ANTP_ROOM && !antp_list_empty(&pool->waiters))
        room = admit_one_locked(pool, waiter_of(pool->waiters.next));
    return room;
}

/* The caller is a worker or counted as inside. */
void antp_admit(pool_t *pool)
{
    antp_lock(&pool->lock);
    admit_locked(pool);
    antp_unlock(&pool->lock);
    if (antp_has_work(pool)) /* admitting is submitting, so it owes the wake */
        antp_wake(pool);
}

/* ---- Deadlock ----------------------------------------------------------------------------- */

/*
 * When every worker is blocked, for ever, in a submit to this very pool and none can be
 * added, nobody will ever free a slot. A worker that is idle or searches is not stuck, so
 * comparing two counts is enough; nothing changes behind them, since a stuck worker is
 * settled under the lock only. Looked at whenever one of the counts moves that way: a task
 * blocks, a worker leaves, the cap goes down, a start fails.
 */
void antp_break_deadlock_locked(pool_t *pool)
{
    if (pool->stuck == 0)
        return;
    admit_locked(pool); /* room that nobody was told of is a way out; callers look for work */
    uint64_t crew = atomic_load(&pool->crew);
    if (pool->stuck == 0 || (unsigned)pool->stuck < antp_workers(crew))
        return;
    if (antp_has_work(pool) && antp_add_worker_locked(pool))
        return;
    struct antp_link *l = pool->waiters.prev;
    while (!waiter_of(l)->stuck)
        l = l->prev;
    settle_locked(pool, waiter_of(l), POOL_ERR_DEADLOCK);
}

/* ---- Waiting ------------------------------------------------------------------------------ */

static void join_list_locked(pool_t *pool, struct antp_waiter *me, int64_t deadline)
{
    me->stuck = deadline == ANTP_NEVER && antp_is_worker_of(pool);
    pool->stuck += me->stuck;
    antp_list_append(&pool->waiters, &me->sleeper.link);
    atomic_fetch_add(&pool->waiting, 1); /* seq_cst: pairs with the loads in got_task and settle */
    antp_see_finished(pool);
}

static void give_up_locked(pool_t *pool, struct antp_waiter *me, pool_err answer)
{
    leave_list_locked(pool, me);
    me->answer = answer;
    me->sleeper.woken = true;
}

static void grow_old_locked(pool_t *pool, struct antp_waiter *me)
{
    if (me->aged)
        return;
    me->aged = true;
    atomic_fetch_add(&pool->aged, 1); /* pairs with the load in admission_due */
    antp_see_finished(pool);
}

/* How long a waiter lets slots gather: about half of the limit, at the pace at which
 * tasks end. Only while more than a quarter is queued, so no worker lacks work meanwhile. */
static int64_t youth_ns(pool_t *pool)
{
    int64_t each = antp_least(atomic_load_explicit(&pool->room_pace.each, memory_order_relaxed), ANTP_AGE_MAX_NS);
    int64_t limit = antp_least(atomic_load_explicit(&pool->limit, memory_order_relaxed), INT32_MAX);
    int64_t half = antp_least(each * (limit / 2), ANTP_AGE_MAX_NS);
    return half > ANTP_AGE_NS ? half : ANTP_AGE_NS;
}

/* The first sleep of one that is not aged, or is behind a cell in use, ends by itself. False:
 * the deadline has passed; who looks once more then may still enter. */
static bool doze_locked(pool_t *pool, struct antp_waiter *me, enum antp_room room, int64_t deadline)
{
    int64_t until = deadline;
    if (!me->aged || room == ANTP_ROOM_BUSY) {
        int64_t soon = antp_add(antp_now(), room == ANTP_ROOM_BUSY ? ANTP_AGE_NS : youth_ns(pool));
        until = antp_least(soon, deadline);
    }
    if (antp_sleep_locked(pool, &me->sleeper, until))
        return true;
    grow_old_locked(pool, me);
    return until < deadline;
}

/* Whoever admits, submits, so it owes the wake. */
static void pay_wake_locked(pool_t *pool)
{
    if (!antp_has_work(pool))
        return;
    antp_unlock(&pool->lock);
    antp_wake(pool);
    antp_lock(&pool->lock);
}

/* Before anything is unlocked, so it is the newest that is refused. (A gauge that is read just
 * then counts it.) */
static enum antp_room join_or_give_up_locked(pool_t *pool, struct antp_waiter *me, int64_t deadline)
{
    join_list_locked(pool, me, deadline);
    enum antp_room room = admit_locked(pool);
    if (!me->sleeper.woken && pool->max_blocking > 0 && atomic_load(&pool->waiting) > pool->max_blocking)
        give_up_locked(pool, me, POOL_ERR_OVERLOAD);
    return room;
}

static void wait_locked(pool_t *pool, struct antp_waiter *me, int64_t deadline)
{
    enum antp_room room = join_or_give_up_locked(pool, me, deadline);
    if (!me->sleeper.woken && me->stuck)
        antp_break_deadlock_locked(pool);
    if (!me->sleeper.woken && antp_queue_low(pool)) {
        grow_old_locked(pool, me); /* each slot that comes free is its own, no need to time it … */
        room = admit_locked(pool); /* … and one may have come free before it was */
    }
    pay_wake_locked(pool);
    while (!me->sleeper.woken) {
        bool in_time = doze_locked(pool, me, room, deadline);
        if (me->sleeper.woken)
            return;
        room = admit_locked(pool);
        if (!in_time && !me->sleeper.woken)
            give_up_locked(pool, me, POOL_ERR_TIMEOUT);
        pay_wake_locked(pool);
    }
}

/* The caller is counted as inside, and stays it until it last held the lock. */
pool_err antp_wait_for_slot(pool_t *pool, const struct antp_task *task, int64_t deadline)
{
    struct antp_waiter me = {.task = *task};
    pool_err err = antp_sleeper_init(&me.sleeper);
    if (err != POOL_OK)
        return err;
    int cancel = antp_cancel_off();
    antp_lock(&pool->lock);
    if (atomic_load(&pool->tail) & ANTP_CLOSED) /* rule 5: release sets it, then empties the list */
        me.answer = POOL_ERR_CLOSED;
    else
        wait_locked(pool, &me, deadline);
    antp_unlock(&pool->lock);
    antp_sleeper_fini(&me.sleeper);
    antp_cancel_restore(cancel);
    return me.answer;
}
