/*
 * Submitting to a multipool, and the line of those who wait for a slot of any shard.
 *
 * It is enough to look at all shards before blocking only if none frees a slot afterwards. So
 * who finds none joins the multipool's line, and every worker that looks for blocked submitters
 * of its own shard looks at that line, too (antp_waited_for), by the same rules: antp_admit of
 * the shard lets them in. Joining is safe by the argument of waiters.c, for each shard on its
 * own: the waiter counts itself, then looks at the shard, or stands behind others and wakes by
 * itself; a worker counts its task as done, then looks at the line.
 *
 * A waiter does not move its task itself: it asks the shards that have room to admit, under
 * their locks, as everybody does. The lock of the multipool is the last in order, so that they
 * can take it.
 */
#include "ring.h"

/* ---- Anywhere ----------------------------------------------------------------------------- */

/* What to say if neither shard took the task: that it is full, rather than that it failed,
 * rather than that it is closed. */
static pool_err weightier(pool_err a, pool_err b)
{
    if (a == POOL_ERR_OVERLOAD || b == POOL_ERR_CLOSED)
        return a;
    return b == POOL_ERR_OVERLOAD || a == POOL_ERR_CLOSED ? b : a;
}

/* The chosen shard, the one with the fewest tasks, then all; POOL_ERR_OVERLOAD: none has a slot. */
static pool_err push_anywhere(multipool_t *multi, int chosen, const struct antp_task *task)
{
    pool_err err = antp_push_or_refuse(multi->shards[chosen], task);
    if (err == POOL_OK || multi->n == 1)
        return err;
    int least = antp_pick_least(multi, chosen);
    for (int i = 0; i < multi->n; i++) {
        pool_err here = antp_push_or_refuse(multi->shards[(least + i) % multi->n], task);
        if (here == POOL_OK)
            return POOL_OK;
        err = weightier(err, here);
    }
    return err;
}

/* ---- The line ----------------------------------------------------------------------------- */

static void leave_if_all_closed_locked(multipool_t *multi)
{
    for (int i = 0; i < multi->n; i++)
        if (!pool_is_closed(multi->shards[i]))
            return;
    antp_refuse_line_locked(&multi->line);
}

/* Under the lock, whoever joins sees all closed, or is seen by the last to close. */
void antp_shard_closed(multipool_t *multi)
{
    antp_lock(&multi->lock);
    leave_if_all_closed_locked(multi);
    antp_unlock(&multi->lock);
}

/* What a look at all shards found. */
struct sight {
    bool busy;    /* a cell of one is about to be free: to be looked at again */
    bool low;     /* the queue of one is low: its workers could go idle */
    bool failed;  /* one has a slot, but no worker could be started: to be tried again */
    int unable;   /* shards that will never call: closed, or without a worker and none to be had */
    pool_err why; /* of those, what weighs most */
};

static void look_at(pool_t *shard, struct sight *sight)
{
    antp_see_finished(shard);
    sight->low |= antp_queue_low(shard);
    uint64_t tail = atomic_load(&shard->tail);
    if (!antp_could_take(shard, tail))
        return;
    pool_err err = (tail & ANTP_BITS) != 0 ? antp_awaken(shard) : POOL_OK;
    if (err == POOL_OK) {
        sight->busy |= antp_admit(shard) == ANTP_ROOM_BUSY;
        return;
    }
    sight->why = weightier(sight->why, err);
    sight->failed |= err != POOL_ERR_CLOSED;
    sight->unable++;
}

/* Lets in whom it can, the caller among them. */
static struct sight look_everywhere(multipool_t *multi)
{
    struct sight sight = {.why = POOL_ERR_CLOSED};
    for (int i = 0; i < multi->n; i++)
        look_at(multi->shards[i], &sight);
    return sight;
}

static void give_up(multipool_t *multi, struct antp_waiter *me, pool_err answer)
{
    antp_lock(&multi->lock);
    if (!me->sleeper.woken)
        antp_give_up_locked(&multi->line, me, answer);
    antp_unlock(&multi->lock);
}

static struct sight look_or_give_up(multipool_t *multi, struct antp_waiter *me)
{
    struct sight sight = look_everywhere(multi);
    if (sight.unable == multi->n)
        give_up(multi, me, sight.why);
    return sight;
}

/* How many stood there before. */
static int join(multipool_t *multi, struct antp_waiter *me)
{
    antp_lock(&multi->lock);
    int before = atomic_load(&multi->line.waiting);
    antp_join_line_locked(&multi->line, me);
    antp_unlock(&multi->lock);
    return before;
}

/* Lets in nobody: others stand there, for whom slots gather, see waiters.c. */
static struct sight look_without_admitting(multipool_t *multi)
{
    struct sight sight = {.low = false};
    for (int i = 0; i < multi->n; i++) {
        antp_see_finished(multi->shards[i]);
        sight.low |= antp_queue_low(multi->shards[i]);
    }
    return sight;
}

static void break_deadlock(pool_t *pool)
{
    antp_lock(&pool->lock);
    antp_break_deadlock_locked(pool);
    antp_unlock(&pool->lock);
    if (antp_has_work(pool))
        antp_wake(pool);
}

static void grow_old(multipool_t *multi, struct antp_waiter *me)
{
    antp_lock(&multi->lock);
    if (!me->sleeper.woken)
        antp_grow_old_locked(&multi->line, me);
    antp_unlock(&multi->lock);
}

/* Until it has its answer, or `until`. */
static bool doze(multipool_t *multi, struct antp_waiter *me, int64_t until)
{
    antp_lock(&multi->lock);
    bool woken = antp_sleep_locked(&multi->lock, &me->sleeper, until);
    antp_unlock(&multi->lock);
    return woken;
}

/* The first sleep ends by itself, as in waiters.c, and so does one behind a cell in use, or
 * while threads are refused. */
static int64_t doze_ns(pool_t *shard, const struct antp_waiter *me, const struct sight *sight)
{
    if (sight->busy)
        return ANTP_AGE_NS;
    if (!me->aged)
        return antp_youth_ns(shard);
    return sight->failed ? ANTP_AGE_MAX_NS : ANTP_NEVER;
}

static void wait_in_line(multipool_t *multi, pool_t *shard, struct antp_waiter *me, int64_t deadline)
{
    pool_t *mine = antp_worker_pool();
    me->stuck = deadline == ANTP_NEVER && mine != NULL && mine->multi == multi;
    int before = join(multi, me);
    bool too_many = multi->max_blocking > 0 && before >= multi->max_blocking; /* now or never */
    struct sight sight = before > 0 && !too_many ? look_without_admitting(multi) : look_or_give_up(multi, me);
    if (too_many)
        give_up(multi, me, POOL_ERR_OVERLOAD);
    if (me->stuck)
        break_deadlock(mine);
    if (sight.low) { /* each slot that comes free is its own, and one may have come free before */
        grow_old(multi, me);
        sight = look_or_give_up(multi, me);
    }
    for (;;) {
        int64_t most = doze_ns(shard, me, &sight), until = deadline;
        if (most < ANTP_NEVER)
            until = antp_least(antp_add(antp_now(), most), deadline);
        if (doze(multi, me, until))
            return;
        grow_old(multi, me);
        sight = look_or_give_up(multi, me);
        if (until == deadline)
            give_up(multi, me, POOL_ERR_TIMEOUT);
    }
}

/* The caller is counted as inside. */
static pool_err wait_for_any(multipool_t *multi, pool_t *shard, const struct antp_task *task, int64_t deadline)
{
    struct antp_waiter me = {.task = *task};
    pool_err err = antp_sleeper_init(&me.sleeper);
    if (err != POOL_OK)
        return err;
    int cancel = antp_cancel_off();
    wait_in_line(multi, shard, &me, deadline);
    antp_sleeper_fini(&me.sleeper);
    antp_cancel_restore(cancel);
    return me.answer;
}

/* ---- At the limit ------------------------------------------------------------------------- */

/* Of one that is closed or asleep the line will tell. */
static bool has_room_anywhere(pool_t *shard)
{
    const multipool_t *multi = shard->multi;
    for (int i = 0; i < multi->n; i++)
        if ((atomic_load(&multi->shards[i]->tail) & ANTP_BITS) == 0 && antp_has_room(multi->shards[i]))
            return true;
    return false;
}

static pool_err push_or_wait(multipool_t *multi, int chosen, const struct antp_task *task, int64_t deadline)
{
    pool_t *shard = multi->shards[chosen];
    do
        if (atomic_load(&multi->line.waiting) == 0) { /* nobody overtakes */
            pool_err err = push_anywhere(multi, chosen, task);
            if (err != POOL_ERR_OVERLOAD)
                return err;
        }
    while (antp_look_for_room(shard, has_room_anywhere, deadline));
    return wait_for_any(multi, shard, task, deadline);
}

/* The chosen shard does what its policy says. Inside that, the call is no longer inside the
 * multipool: a task that it runs here may end this thread. */
static pool_err leave_to_shard(multipool_t *multi, pool_t *shard, const struct antp_task *task, struct antp_manner manner)
{
    antp_enter(shard);
    antp_multi_exit(multi);
    return antp_submit_inside(shard, task, manner);
}

static pool_err submit_at_limit(multipool_t *multi, int chosen, const struct antp_task *task, struct antp_manner manner)
{
    pool_err err;
    antp_multi_enter(multi);
    if (manner.policy == POOL_BLOCK) {
        if (multi->strategy == MULTIPOOL_STICKY)
            return leave_to_shard(multi, multi->shards[chosen], task, manner);
        err = push_or_wait(multi, chosen, task, manner.deadline);
    } else {
        err = push_anywhere(multi, chosen, task);
        if (err == POOL_ERR_OVERLOAD && manner.policy != POOL_REFUSE)
            return leave_to_shard(multi, multi->shards[chosen], task, manner);
    }
    antp_multi_exit(multi);
    return err;
}

/* ---- The calls ---------------------------------------------------------------------------- */

static inline pool_err check(const multipool_t *multi, pool_task_fn fn)
{
    if (ANTP_UNLIKELY(multi == NULL))
        return POOL_ERR_INVALID;
    if (ANTP_UNLIKELY(antp_multi_forked(multi)))
        return POOL_ERR_FORKED;
    return ANTP_UNLIKELY(fn == NULL) ? POOL_ERR_INVALID : POOL_OK;
}

static inline bool is_shard(const multipool_t *multi, int index)
{
    return index >= 0 && index < multi->n;
}

static inline pool_err submit(multipool_t *multi, const struct antp_task *task, struct antp_manner manner)
{
    int chosen = antp_pick(multi, NULL);
    if (ANTP_UNLIKELY(!is_shard(multi, chosen)))
        return POOL_ERR_INVALID_INDEX;
    if (ANTP_LIKELY(antp_push(multi->shards[chosen], task) == ANTP_ROOM))
        return POOL_OK;
    return submit_at_limit(multi, chosen, task, manner);
}

pool_err multipool_submit(multipool_t *multi, pool_task_fn fn, void *arg)
{
    pool_err err = check(multi, fn);
    if (ANTP_UNLIKELY(err != POOL_OK))
        return err;
    return submit(multi, &(struct antp_task){fn, arg, NULL, 0}, (struct antp_manner){multi->policy, ANTP_NEVER});
}

pool_err multipool_try_submit(multipool_t *multi, pool_task_fn fn, void *arg)
{
    pool_err err = check(multi, fn);
    if (err != POOL_OK)
        return err;
    return submit(multi, &(struct antp_task){fn, arg, NULL, 0}, (struct antp_manner){POOL_REFUSE, 0});
}

pool_err multipool_submit_timeout(multipool_t *multi, pool_task_fn fn, void *arg, int64_t ms)
{
    pool_err err = ms < 0 ? POOL_ERR_INVALID : check(multi, fn);
    if (err != POOL_OK)
        return err;
    return submit(multi, &(struct antp_task){fn, arg, NULL, 0},
                  (struct antp_manner){multi->policy, antp_deadline(ms)});
}

pool_err multipool_invoke(multipool_t *multi, void *arg)
{
    if (multi != NULL && multi->func == NULL && !antp_multi_forked(multi))
        return POOL_ERR_NO_FUNC;
    return multipool_submit(multi, multi == NULL ? NULL : multi->func, arg);
}

pool_err multipool_submit_key(multipool_t *multi, uint64_t key, pool_task_fn fn, void *arg)
{
    pool_err err = check(multi, fn);
    if (err != POOL_OK)
        return err;
    int chosen = antp_pick(multi, &key);
    return is_shard(multi, chosen) ? pool_submit(multi->shards[chosen], fn, arg) : POOL_ERR_INVALID_INDEX;
}
