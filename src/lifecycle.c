/* Release, wait, reboot, destroy, tune: what changes a pool as a whole. */
#include "ring.h"

#include <stdlib.h>

/* ---- Being inside ------------------------------------------------------------------------- */

void antp_wake_enders_locked(pool_t *pool)
{
    antp_wake_all_locked(&pool->enders);
}

/* Under the lock, so that destroy frees nothing before the caller's unlock. */
void antp_exit_locked(pool_t *pool)
{
    atomic_fetch_sub(&pool->inside, 1);
    antp_wake_enders_locked(pool);
}

void antp_exit(pool_t *pool)
{
    antp_lock(&pool->lock);
    antp_exit_locked(pool);
    antp_unlock(&pool->lock);
}

static pool_err check(const pool_t *pool)
{
    if (pool == NULL)
        return POOL_ERR_INVALID;
    return antp_forked(pool) ? POOL_ERR_FORKED : POOL_OK;
}

static pool_err check_may_wait(const pool_t *pool, int64_t ms)
{
    pool_err err = ms < 0 ? POOL_ERR_INVALID : check(pool);
    if (err == POOL_OK && antp_in_frame_of(pool))
        err = POOL_ERR_DEADLOCK;
    return err;
}

/* ---- Quiet -------------------------------------------------------------------------------- */

/* done is summed before tail is loaded: both only grow and done <= tail, so if they are
 * equal they were so at the instant between, at which inline_now is looked at. */
bool antp_is_quiet(pool_t *pool)
{
    uint64_t done = antp_done(pool);
    bool nobody_inline = atomic_load(&pool->inline_now) == 0;
    return ANTP_POSITION(atomic_load(&pool->tail)) == done && nobody_inline;
}

void antp_tell_quiet(pool_t *pool)
{
    antp_lock(&pool->lock);
    bool quiet = antp_is_quiet(pool);
    if (quiet)
        antp_wake_all_locked(&pool->quieters);
    antp_unlock(&pool->lock);
    if (quiet && pool->multi != NULL)
        antp_tell_all_quiet(pool->multi);
}

static pool_err wait_until(pool_t *pool, int64_t deadline)
{
    struct antp_sleeper me;
    pool_err err = antp_sleeper_init(&me);
    if (err != POOL_OK)
        return err;
    int cancel = antp_cancel_off();
    antp_enter(pool);
    antp_lock(&pool->lock);
    antp_list_append(&pool->quieters, &me.link);
    atomic_fetch_add(&pool->quiet, 1); /* seq_cst, before antp_is_quiet: pairs with got_task and settle */
    antp_see_finished(pool);
    if (!antp_is_quiet(pool) && !antp_sleep_locked(&pool->lock, &me, deadline))
        err = POOL_ERR_TIMEOUT;
    atomic_fetch_sub(&pool->quiet, 1);
    antp_list_remove(&me.link);
    antp_exit_locked(pool);
    antp_unlock(&pool->lock);
    antp_sleeper_fini(&me);
    antp_cancel_restore(cancel);
    return err;
}

pool_err pool_wait(pool_t *pool)
{
    return pool_wait_timeout(pool, POOL_FOREVER);
}

pool_err pool_wait_timeout(pool_t *pool, int64_t ms)
{
    pool_err err = check_may_wait(pool, ms);
    return err == POOL_OK ? wait_until(pool, antp_deadline(ms)) : err;
}

/* ---- Closing ------------------------------------------------------------------------------ */

/* Rule 5 of crew.c: first the bit, then the list. Only the call that sets it leaves the
 * janitor. Returns which opening it closed, read at the same instant: a reboot comes before
 * both or after both. */
static unsigned close_pool(pool_t *pool)
{
    antp_lock(&pool->lock);
    bool was_open = (atomic_fetch_or(&pool->tail, ANTP_CLOSED) & ANTP_CLOSED) == 0;
    unsigned opening = pool->openings;
    antp_refuse_line_locked(&pool->line);
    if (pool->multi != NULL)
        antp_shard_closed(pool->multi);
    antp_dismiss_locked(pool);
    antp_unlock(&pool->lock);
    if (was_open && pool->expiry_ns != ANTP_NEVER)
        antp_janitor_leave(pool);
    return opening;
}

pool_err pool_release(pool_t *pool)
{
    pool_err err = check(pool);
    if (err != POOL_OK || pool_is_closed(pool))
        return err;
    antp_enter(pool);
    close_pool(pool);
    antp_exit(pool);
    return POOL_OK;
}

static void hand_back(pool_t *pool, int more)
{
    antp_lock(&pool->lock);
    pool->handing_back += more;
    antp_unlock(&pool->lock);
}

pool_err pool_release_now(pool_t *pool, pool_discard_fn unstarted, void *user)
{
    pool_err err = unstarted == NULL ? POOL_ERR_INVALID : check(pool);
    if (err != POOL_OK)
        return err;
    antp_enter(pool);
    hand_back(pool, 1); /* no reboot meanwhile, so tail is frozen */
    close_pool(pool);
    while (antp_discard_one(pool, unstarted, user)) {}
    hand_back(pool, -1);
    antp_exit(pool);
    return POOL_OK;
}

/* ---- Waiting for the threads -------------------------------------------------------------- */

/* Joins the thread that ended first; false: time is up. */
static bool join_one_locked(pool_t *pool, int64_t deadline)
{
    struct antp_worker *worker = antp_worker_of(pool->ended.next);
    antp_list_remove(&worker->link);
    antp_unlock(&pool->lock);
    bool joined = antp_thread_join(worker->thread, deadline);
    antp_lock(&pool->lock);
    antp_list_append(joined ? &pool->spare : &pool->ended, &worker->link);
    pool->unjoined -= joined;
    antp_wake_enders_locked(pool);
    return joined;
}

/* Until every thread is joined and, for destroy, at most `inside` calls are inside. A pool
 * that was opened again since `opening` had come to its end before. */
static pool_err wait_for_end_locked(pool_t *pool, struct antp_sleeper *me, unsigned opening, int inside,
                                    int64_t deadline)
{
    pool_err err = POOL_OK;
    antp_list_append(&pool->enders, &me->link);
    while (err == POOL_OK && pool->openings == opening &&
           (pool->unjoined > 0 || atomic_load(&pool->inside) > inside)) {
        me->woken = false;
        bool in_time = antp_list_empty(&pool->ended) ? antp_sleep_locked(&pool->lock, me, deadline)
                                                     : join_one_locked(pool, deadline);
        if (!in_time)
            err = POOL_ERR_TIMEOUT;
    }
    antp_list_remove(&me->link);
    return err;
}

pool_err antp_end(pool_t *pool, struct antp_sleeper *me, int inside, int64_t deadline)
{
    int cancel = antp_cancel_off();
    antp_enter(pool);
    antp_lock(&pool->lock);
    pool->ending |= inside == 1; /* before the close: a reboot under way sees one of the two */
    antp_unlock(&pool->lock);
    unsigned opening = close_pool(pool);
    antp_lock(&pool->lock);
    pool_err err = wait_for_end_locked(pool, me, opening, inside, deadline);
    antp_exit_locked(pool);
    antp_unlock(&pool->lock);
    antp_cancel_restore(cancel);
    return err;
}

static pool_err end_pool(pool_t *pool, int inside, int64_t deadline)
{
    struct antp_sleeper me;
    pool_err err = antp_sleeper_init(&me);
    if (err != POOL_OK)
        return err;
    err = antp_end(pool, &me, inside, deadline);
    antp_sleeper_fini(&me);
    return err;
}

pool_err pool_release_timeout(pool_t *pool, int64_t ms)
{
    pool_err err = check_may_wait(pool, ms);
    return err == POOL_OK ? end_pool(pool, INT32_MAX, antp_deadline(ms)) : err;
}

pool_err pool_destroy(pool_t *pool)
{
    if (pool == NULL)
        return POOL_OK;
    if (pool->tenant != NULL || pool->multi != NULL)
        return POOL_ERR_INVALID;
    if (antp_forked(pool)) {
        if (!antp_in_frame_of(pool)) /* else this thread's own record is in that memory */
            antp_pool_free(pool);
        return POOL_OK;
    }
    pool_err err = antp_is_default(pool) ? POOL_ERR_INVALID : check_may_wait(pool, POOL_FOREVER);
    if (err == POOL_OK)
        err = end_pool(pool, 1, ANTP_NEVER);
    if (err == POOL_OK)
        antp_pool_free(pool);
    return err;
}

/* ---- Opening again ------------------------------------------------------------------------ */

/* The cap may have been tuned below what the options ask for. */
static int prestart_locked(pool_t *pool)
{
    return (int)antp_least(pool->prestart, atomic_load(&pool->worker_cap));
}

bool antp_may_open(pool_t *pool)
{
    antp_lock(&pool->lock);
    bool may = !pool_is_closed(pool) || (pool->alive == 0 && pool->handing_back == 0 && !pool->ending);
    antp_unlock(&pool->lock);
    return may;
}

/* With nobody alive the asleep bit is set: who left last has set it. */
static pool_err open_locked(pool_t *pool)
{
    if (pool->alive > 0 || pool->handing_back > 0 || pool->ending)
        return POOL_ERR_BUSY;
    pool->armed = false;
    pool_err err = antp_prestart_locked(pool, prestart_locked(pool));
    if (err != POOL_OK)
        return err;
    atomic_fetch_and(&pool->tail, ~ANTP_CLOSED);
    pool->openings++;
    antp_wake_enders_locked(pool);
    return POOL_OK;
}

/* Two reboots at once: the second finds the pool open and gives back what it took. */
pool_err antp_open(pool_t *pool)
{
    bool expires = pool->expiry_ns != ANTP_NEVER;
    pool_err err = expires ? antp_janitor_join(pool) : POOL_OK;
    if (err != POOL_OK)
        return err;
    antp_lock(&pool->lock);
    bool closed = pool_is_closed(pool);
    if (closed)
        err = open_locked(pool);
    antp_dismiss_locked(pool); /* those of a prestart that failed half-way */
    antp_unlock(&pool->lock);
    if (expires && (!closed || err != POOL_OK))
        antp_janitor_leave(pool);
    return err;
}

pool_err pool_reboot(pool_t *pool)
{
    pool_err err = check(pool);
    if (err != POOL_OK || !pool_is_closed(pool))
        return err;
    antp_enter(pool);
    err = antp_open(pool);
    if (err == POOL_OK)
        antp_admit(pool); /* those who wait for any shard */
    antp_exit(pool);
    return err;
}

/* ---- Tune --------------------------------------------------------------------------------- */

/* Stores the cap, then looks at the queue; a submit claims, then loads the cap. */
static void set_cap(pool_t *pool, int cap)
{
    antp_lock(&pool->lock);
    antp_set_cap_locked(pool, cap);
    antp_trim_locked(pool);
    antp_break_deadlock_locked(pool);
    antp_unlock(&pool->lock);
    antp_admit(pool);
}

pool_err pool_tune(pool_t *pool, int cap)
{
    pool_err err = check(pool);
    if (err != POOL_OK)
        return err;
    if (cap < 1 || pool_cap(pool) == POOL_UNLIMITED)
        return POOL_ERR_INVALID_CAP;
    antp_enter(pool);
    set_cap(pool, cap);
    antp_exit(pool);
    return POOL_OK;
}
