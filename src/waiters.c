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
 * once.) Who comes while others let slots gather waits with them: if it let in all that
 * stand there, each submitter that got the processor would wake the others for a few slots.
 *
 * Nobody is stranded: a waiter counts itself in line->waiting, then looks for room, at once or,
 * behind others, when its first sleep has ended by itself; a worker counts its task as done,
 * and looks at line->waiting after its next swap, of head or in settle() (all seq_cst, see
 * antp_see_finished). Where the worker leaves it at that because the queue is not low, the
 * waiter is not yet aged and will look again by itself. An admission stopped by a cell whose
 * taker is about to free it (ANTP_ROOM_BUSY) is retried by that taker, and by the waiter after
 * ANTP_AGE_NS.
 *
 * Who waits for a slot of any shard of a multipool stands in the line of that
 * (multi_submit.c). The two lines of a shard take turns at going first.
 */
#include "ring.h"

static struct antp_waiter *waiter_of(struct antp_link *link)
{
    return (struct antp_waiter *)link; /* the link is the first member of the first member */
}

/* ---- A line -------------------------------------------------------------------------------- */

void antp_line_init(struct antp_line *line)
{
    antp_list_init(&line->waiters);
}

void antp_join_line_locked(struct antp_line *line, struct antp_waiter *me)
{
    antp_list_append(&line->waiters, &me->sleeper.link);
    atomic_fetch_add(&line->stuck, me->stuck);
    atomic_fetch_add(&line->waiting, 1); /* seq_cst: pairs with the loads in got_task and settle */
}

static void leave_line_locked(struct antp_line *line, struct antp_waiter *waiter)
{
    antp_list_remove(&waiter->sleeper.link);
    atomic_fetch_sub(&line->waiting, 1);
    if (waiter->aged)
        atomic_fetch_sub(&line->aged, 1);
    if (waiter->stuck)
        atomic_fetch_sub(&line->stuck, 1);
}

static void settle_locked(struct antp_line *line, struct antp_waiter *waiter, pool_err answer)
{
    leave_line_locked(line, waiter);
    waiter->answer = answer;
    antp_sleeper_wake_locked(&waiter->sleeper);
}

/* The waiter itself, awake. */
void antp_give_up_locked(struct antp_line *line, struct antp_waiter *me, pool_err answer)
{
    leave_line_locked(line, me);
    me->answer = answer;
    me->sleeper.woken = true;
}

void antp_grow_old_locked(struct antp_line *line, struct antp_waiter *me)
{
    if (me->aged)
        return;
    me->aged = true;
    atomic_fetch_add(&line->aged, 1); /* pairs with the load in admission_due */
}

void antp_refuse_line_locked(struct antp_line *line)
{
    while (!antp_list_empty(&line->waiters))
        settle_locked(line, waiter_of(line->waiters.next), POOL_ERR_CLOSED);
}

/* ---- Admission ---------------------------------------------------------------------------- */

/* ANTP_ROOM: the oldest has its answer. One who waits for any shard may yet get in elsewhere. */
static enum antp_room admit_one_locked(pool_t *pool, struct antp_line *line, struct antp_waiter *waiter)
{
    uint64_t position, n;
    enum antp_room room = antp_claim(pool, 1, &position, &n);
    if (room == ANTP_ROOM) {
        antp_publish(pool, position, &waiter->task);
        settle_locked(line, waiter, POOL_OK);
    } else if (room == ANTP_ROOM_ASLEEP) {
        pool_err err = antp_awaken_locked(pool);
        if (err == POOL_OK)
            return ANTP_ROOM;
        if (line != &pool->line)
            return room;
        settle_locked(line, waiter, err);
        return ANTP_ROOM;
    }
    return room;
}

static enum antp_room admit_line_locked(pool_t *pool, struct antp_line *line)
{
    enum antp_room room = ANTP_ROOM;
    while (room == ANTP_ROOM && !antp_list_empty(&line->waiters))
        room = admit_one_locked(pool, line, waiter_of(line->waiters.next));
    return room;
}

/* The line whose turn it is; that outside is not empty. */
static struct antp_line *next_line_locked(pool_t *pool)
{
    struct antp_line *own = &pool->line, *outside = &pool->multi->line;
    return pool->outside_first || antp_list_empty(&own->waiters) ? outside : own;
}

/* One from here, one from there, for as long as somebody stands outside. */
static enum antp_room admit_by_turns_locked(pool_t *pool)
{
    multipool_t *multi = pool->multi;
    enum antp_room room = ANTP_ROOM;
    antp_lock(&multi->lock);
    while (room == ANTP_ROOM && !antp_list_empty(&multi->line.waiters)) {
        struct antp_line *line = next_line_locked(pool);
        room = admit_one_locked(pool, line, waiter_of(line->waiters.next));
        if (room == ANTP_ROOM)
            pool->outside_first = line == &pool->line;
    }
    antp_unlock(&multi->lock);
    return room;
}

/* Returns why the oldest that is left cannot enter. */
static enum antp_room admit_locked(pool_t *pool)
{
    enum antp_room room = ANTP_ROOM;
    if (ANTP_UNLIKELY(pool->multi != NULL) && atomic_load(&pool->multi->line.waiting) > 0)
        room = admit_by_turns_locked(pool);
    return room == ANTP_ROOM || room == ANTP_ROOM_ASLEEP ? admit_line_locked(pool, &pool->line) : room;
}

/* The caller is a worker or counted as inside. */
enum antp_room antp_admit(pool_t *pool)
{
    antp_lock(&pool->lock);
    enum antp_room room = admit_locked(pool);
    antp_unlock(&pool->lock);
    if (antp_has_work(pool)) /* admitting is submitting, so it owes the wake */
        antp_wake(pool);
    return room;
}

/* ---- Deadlock ----------------------------------------------------------------------------- */

/*
 * When every worker is blocked, for ever, in a submit to this very pool and none can be
 * added, nobody will ever free a slot. A worker that is idle or searches is not stuck, so
 * comparing two counts is enough; nothing changes behind them, since a stuck worker is
 * settled under the lock only. Looked at whenever one of the counts moves that way: a task
 * blocks, a worker leaves, the cap goes down, a start fails.
 *
 * The shards of a multipool together are looked at in the same places: when every worker of
 * every shard is stuck, in its shard's line or in the common one, the newest there is refused.
 */
static void refuse_newest_stuck_locked(struct antp_line *line)
{
    struct antp_link *l = line->waiters.prev;
    while (!waiter_of(l)->stuck)
        l = l->prev;
    settle_locked(line, waiter_of(l), POOL_ERR_DEADLOCK);
}

static int stuck(struct antp_line *line)
{
    return atomic_load(&line->stuck);
}

static void break_own_locked(pool_t *pool)
{
    if (stuck(&pool->line) == 0 || (unsigned)stuck(&pool->line) < antp_workers(atomic_load(&pool->crew)))
        return;
    if (!antp_has_work(pool) || !antp_add_worker_locked(pool))
        refuse_newest_stuck_locked(&pool->line);
}

/* The counts of other shards are read one after the other, but where all are stuck only a call
 * from outside can change them. */
static bool all_stuck_locked(multipool_t *multi)
{
    int64_t n = stuck(&multi->line);
    for (int i = 0; i < multi->n && n >= 0; i++)
        n += stuck(&multi->shards[i]->line) - (int64_t)antp_workers(atomic_load(&multi->shards[i]->crew));
    return n >= 0 && stuck(&multi->line) > 0;
}

/* Somebody is about to start a worker there, or has failed to. */
static bool may_grow(pool_t *pool)
{
    return antp_has_work(pool) && !atomic_load(&pool->no_thread) &&
           antp_workers(atomic_load(&pool->crew)) < atomic_load(&pool->worker_cap);
}

static bool another_may_grow(const pool_t *pool)
{
    const multipool_t *multi = pool->multi;
    for (int i = 0; i < multi->n; i++)
        if (multi->shards[i] != pool && may_grow(multi->shards[i]))
            return true;
    return false;
}

static void break_outside_locked(pool_t *pool)
{
    multipool_t *multi = pool->multi;
    antp_lock(&multi->lock);
    if (!another_may_grow(pool) && all_stuck_locked(multi) && /* in this order: a start is counted */
        (!antp_has_work(pool) || !antp_add_worker_locked(pool)))
        refuse_newest_stuck_locked(&multi->line);
    antp_unlock(&multi->lock);
}

void antp_break_deadlock_locked(pool_t *pool)
{
    bool outside = pool->multi != NULL && stuck(&pool->multi->line) > 0;
    if (stuck(&pool->line) == 0 && !outside)
        return;
    admit_locked(pool); /* room that nobody was told of is a way out; callers look for work */
    break_own_locked(pool);
    if (outside)
        break_outside_locked(pool);
}

/* ---- Waiting ------------------------------------------------------------------------------ */

static void join_list_locked(pool_t *pool, struct antp_waiter *me, int64_t deadline)
{
    me->stuck = deadline == ANTP_NEVER && antp_is_worker_of(pool);
    antp_join_line_locked(&pool->line, me);
    antp_see_finished(pool);
}

static void grow_old_locked(pool_t *pool, struct antp_waiter *me)
{
    antp_grow_old_locked(&pool->line, me);
    antp_see_finished(pool);
}

/* How long a waiter lets slots gather: about half of the limit, at the pace at which
 * tasks end. Only while more than a quarter is queued, so no worker lacks work meanwhile. */
int64_t antp_youth_ns(pool_t *pool)
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
        int64_t soon = antp_add(antp_now(), room == ANTP_ROOM_BUSY ? ANTP_AGE_NS : antp_youth_ns(pool));
        until = antp_least(soon, deadline);
    }
    if (antp_sleep_locked(&pool->lock, &me->sleeper, until))
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

/* Others stand here, and what room there may be gathers for them, unless it decides who is one
 * too many. For one that has joined. */
static bool slots_gather_locked(pool_t *pool)
{
    int waiting = atomic_load(&pool->line.waiting);
    return waiting > 1 && (pool->max_blocking == 0 || waiting <= pool->max_blocking);
}

/* Before anything is unlocked, so it is the newest that is refused. (A gauge that is read just
 * then counts it.) */
static enum antp_room join_or_give_up_locked(pool_t *pool, struct antp_waiter *me, int64_t deadline)
{
    join_list_locked(pool, me, deadline);
    enum antp_room room = slots_gather_locked(pool) ? ANTP_ROOM_FULL : admit_locked(pool);
    if (!me->sleeper.woken && pool->max_blocking > 0 && atomic_load(&pool->line.waiting) > pool->max_blocking)
        antp_give_up_locked(&pool->line, me, POOL_ERR_OVERLOAD);
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
            antp_give_up_locked(&pool->line, me, POOL_ERR_TIMEOUT);
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
