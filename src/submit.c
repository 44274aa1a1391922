/* Submitting: the short way in, and what the policies do at the limit. */
#include "pace.h"

#include <stdlib.h>

enum { BATCH = 256 };      /* tasks that submit_many claims at once: their takers wait for all */
enum { LOOKERS_MAX = 8 };  /* submitters that look again at once; the next one sleeps */
enum { LOOK_NS = 2000 };   /* a look takes less, unless others had the processor */
enum { BUSY_LOOKS = 256 }; /* how often a call that may not wait looks at a cell in use */

/* ---- The short way ------------------------------------------------------------------------ */

static bool wake_wanted(pool_t *pool)
{
    uint64_t crew = atomic_load(&pool->crew); /* after the claim; pairs with the add in antp_park */
    return antp_may_wake(pool, crew, true); /* loads the cap: pairs with the store of tune */
}

/* Counted as inside before the task can run, so the pool outlives the wake. */
static void publish_and_wake(pool_t *pool, uint64_t position, const struct antp_task *task)
{
    antp_enter(pool);
    antp_publish(pool, position, task);
    antp_wake(pool);
    antp_exit(pool);
}

/* Accepts the task if there is room and nobody waits for it already. */
static inline enum antp_room push(pool_t *pool, const struct antp_task *task)
{
    uint64_t position, n;
    if (ANTP_UNLIKELY(antp_waited_for(pool)))
        return ANTP_ROOM_WAITED;
    enum antp_room room = antp_claim(pool, 1, &position, &n);
    if (ANTP_UNLIKELY(room != ANTP_ROOM))
        return room;
    if (ANTP_UNLIKELY(wake_wanted(pool)))
        publish_and_wake(pool, position, task);
    else
        antp_publish(pool, position, task);
    return ANTP_ROOM;
}

enum antp_room antp_push(pool_t *pool, const struct antp_task *task)
{
    return push(pool, task);
}

/* The same, and makes a worker if none is alive; ANTP_ROOM_ASLEEP: that failed, see *err. */
static enum antp_room push_awake(pool_t *pool, const struct antp_task *task, pool_err *err)
{
    for (;;) {
        enum antp_room room = push(pool, task);
        if (room != ANTP_ROOM_ASLEEP || (*err = antp_awaken(pool)) != POOL_OK)
            return room;
    }
}

/* ---- At the limit ------------------------------------------------------------------------- */

/* Without waiting: nobody overtakes, so those who wait go first. */
pool_err antp_push_or_refuse(pool_t *pool, const struct antp_task *task)
{
    pool_err err = POOL_OK;
    for (int look = 0; look < BUSY_LOOKS; look++) {
        if (antp_waited_for(pool)) {
            antp_admit(pool);
            if (antp_waited_for(pool))
                return POOL_ERR_OVERLOAD;
        }
        switch (push_awake(pool, task, &err)) {
        case ANTP_ROOM: return POOL_OK;
        case ANTP_ROOM_FULL: return POOL_ERR_OVERLOAD;
        case ANTP_ROOM_CLOSED: return POOL_ERR_CLOSED;
        case ANTP_ROOM_ASLEEP: return err;
        case ANTP_ROOM_BUSY:
        case ANTP_ROOM_WAITED: antp_relax();
        }
    }
    return POOL_ERR_OVERLOAD;
}

/* Blocking and being woken costs more than looking again, unless the limit takes long to
 * drain: then one wake is paid for by most of it. */
static bool worth_a_look(pool_t *pool, int64_t now)
{
    int64_t each = antp_pace(&pool->room_pace, antp_done(pool), now);
    int64_t limit = atomic_load_explicit(&pool->limit, memory_order_relaxed);
    return pool->spin_ns > 0 && each < ANTP_SHORT_NS / limit;
}

bool antp_has_room(pool_t *pool)
{
    uint64_t tail = atomic_load(&pool->tail);
    return (tail & ANTP_BITS) != 0 || (!antp_waited_for(pool) && antp_could_take(pool, tail));
}

/* Time during which others had the processor does not count. */
static int64_t look_lasted(int64_t *last)
{
    int64_t now = antp_now(), spent = now - *last;
    *last = now;
    return spent < LOOK_NS ? spent : LOOK_NS;
}

static bool room_soon(pool_t *pool, bool (*has_room)(pool_t *), int64_t deadline)
{
    int64_t now = antp_now();
    if (now >= deadline || !worth_a_look(pool, now))
        return false;
    antp_spin_until(now + antp_gather_ns(pool));
    int64_t looked = 0;
    for (unsigned looks = 0; looked < pool->spin_ns && now < deadline; looks++) {
        if (has_room(pool))
            return true;
        antp_look_pause(looks);
        looked += look_lasted(&now);
    }
    return false;
}

bool antp_look_for_room(pool_t *pool, bool (*has_room)(pool_t *), int64_t deadline)
{
    bool found = false;
    atomic_store_explicit(&pool->pressed, true, memory_order_relaxed);
    if (antp_glance(pool, has_room))
        return true;
    if (atomic_fetch_add(&pool->lookers, 1) < LOOKERS_MAX)
        found = room_soon(pool, has_room, deadline);
    atomic_fetch_sub(&pool->lookers, 1);
    return found;
}

static pool_err push_or_wait(pool_t *pool, const struct antp_task *task, int64_t deadline)
{
    pool_err err = POOL_OK;
    for (;;)
        switch (push_awake(pool, task, &err)) {
        case ANTP_ROOM: return POOL_OK;
        case ANTP_ROOM_CLOSED: return POOL_ERR_CLOSED;
        case ANTP_ROOM_ASLEEP: return err;
        case ANTP_ROOM_FULL:
        case ANTP_ROOM_WAITED:
            if (antp_look_for_room(pool, antp_has_room, deadline))
                break;
            return antp_wait_for_slot(pool, task, deadline);
        case ANTP_ROOM_BUSY: return antp_wait_for_slot(pool, task, deadline);
        }
}

/* Not where those that run are at the limit alone, as after the cap went down: a submit that
 * fails throws nothing out. head before done: it errs towards discarding. */
static bool discarding_makes_room(pool_t *pool)
{
    uint64_t head = atomic_load(&pool->head);
    return (int64_t)(head - antp_done(pool)) < atomic_load(&pool->limit);
}

static pool_err push_or_discard(pool_t *pool, const struct antp_task *task)
{
    for (;;) {
        pool_err err = antp_push_or_refuse(pool, task);
        if (err != POOL_ERR_OVERLOAD || !discarding_makes_room(pool) ||
            !antp_discard_one(pool, pool->discard_handler, pool->discard_user))
            return err;
    }
}

static pool_err by_policy(pool_t *pool, const struct antp_task *task, struct antp_manner manner)
{
    switch (manner.policy) {
    case POOL_REFUSE:
    case POOL_CALLER_RUNS: return antp_push_or_refuse(pool, task);
    case POOL_DISCARD_OLDEST: return push_or_discard(pool, task);
    default: return push_or_wait(pool, task, manner.deadline);
    }
}

/* The caller is counted as inside, which ends here. */
pool_err antp_submit_inside(pool_t *pool, const struct antp_task *task, struct antp_manner manner)
{
    pool_err err = by_policy(pool, task, manner);
    if (err == POOL_ERR_OVERLOAD && manner.policy == POOL_CALLER_RUNS) {
        antp_run_inline(pool, task);
        return POOL_OK;
    }
    antp_exit(pool);
    return err;
}

/* Counted as inside from the first look on: to its caller it is a blocked call, even
 * while it spins. */
static pool_err submit_at_limit(pool_t *pool, const struct antp_task *task, struct antp_manner manner)
{
    antp_enter(pool);
    return antp_submit_inside(pool, task, manner);
}

/* A closed pool that this drained has idle workers that nobody else sends home. */
static void dismiss_if_closed(pool_t *pool)
{
    if ((atomic_load(&pool->tail) & ANTP_CLOSED) == 0)
        return;
    antp_lock(&pool->lock);
    antp_dismiss_locked(pool);
    antp_unlock(&pool->lock);
}

/* Takes the oldest queued task out unrun, frees its slot, then hands it to the callback.
 * The caller is counted as inside. */
bool antp_discard_one(pool_t *pool, pool_discard_fn handler, void *user)
{
    struct antp_frame frame;
    struct antp_taken task;
    uint64_t tail_seen = 0;
    enum antp_take take;
    while ((take = antp_take_task(pool, &tail_seen, 0, &task)) == ANTP_TAKE_UNPUBLISHED)
        sched_yield(); /* its submitter has claimed and is about to publish */
    if (take == ANTP_TAKE_OK) {
        antp_finished(pool, 1);
        dismiss_if_closed(pool);
        int cancel = antp_cancel_off();
        antp_frame_push(&frame, pool, -1);
        if (handler != NULL)
            handler(user, task.fn, task.arg);
        antp_frame_pop(&frame);
        antp_cancel_restore(cancel);
    }
    return take == ANTP_TAKE_OK;
}

/* ---- The calls ---------------------------------------------------------------------------- */

static inline pool_err check(const pool_t *pool, pool_task_fn fn)
{
    if (ANTP_UNLIKELY(pool == NULL))
        return POOL_ERR_INVALID;
    if (ANTP_UNLIKELY(antp_forked(pool)))
        return POOL_ERR_FORKED;
    return ANTP_UNLIKELY(fn == NULL) ? POOL_ERR_INVALID : POOL_OK;
}

static inline pool_err submit(pool_t *pool, const struct antp_task *task)
{
    if (ANTP_LIKELY(push(pool, task) == ANTP_ROOM))
        return POOL_OK;
    return submit_at_limit(pool, task, (struct antp_manner){pool->policy, ANTP_NEVER});
}

pool_err pool_submit(pool_t *pool, pool_task_fn fn, void *arg)
{
    pool_err err = check(pool, fn);
    return ANTP_LIKELY(err == POOL_OK) ? submit(pool, &(struct antp_task){fn, arg, NULL, 0}) : err;
}

pool_err pool_try_submit(pool_t *pool, pool_task_fn fn, void *arg)
{
    pool_err err = check(pool, fn);
    if (err != POOL_OK)
        return err;
    struct antp_task task = {fn, arg, NULL, 0};
    if (push(pool, &task) == ANTP_ROOM)
        return POOL_OK;
    return submit_at_limit(pool, &task, (struct antp_manner){POOL_REFUSE, 0});
}

pool_err pool_submit_timeout(pool_t *pool, pool_task_fn fn, void *arg, int64_t ms)
{
    pool_err err = ms < 0 ? POOL_ERR_INVALID : check(pool, fn);
    if (err != POOL_OK)
        return err;
    struct antp_task task = {fn, arg, NULL, 0};
    if (push(pool, &task) == ANTP_ROOM)
        return POOL_OK;
    return submit_at_limit(pool, &task, (struct antp_manner){pool->policy, antp_deadline(ms)});
}

pool_err pool_invoke(pool_t *pool, void *arg)
{
    if (pool != NULL && pool->func == NULL && !antp_forked(pool))
        return POOL_ERR_NO_FUNC;
    return pool_submit(pool, pool == NULL ? NULL : pool->func, arg);
}

static inline pool_err need_copies(pool_t *pool)
{
    if (ANTP_LIKELY(atomic_load_explicit(&pool->copies, memory_order_acquire) != NULL))
        return POOL_OK;
    return antp_make_copies(pool);
}

pool_err pool_submit_copy(pool_t *pool, pool_task_fn fn, const void *data, size_t size)
{
    if (ANTP_UNLIKELY(size > POOL_COPY_MAX || data == NULL)) {
        if (size > 0)
            return POOL_ERR_INVALID;
        data = "";
    }
    pool_err err = check(pool, fn);
    if (err == POOL_OK)
        err = need_copies(pool);
    if (err != POOL_OK)
        return err;
    return submit(pool, &(struct antp_task){fn, NULL, data, size});
}

/* As many as fit at once; 0: the first of them has to go the long way. */
static size_t push_some(pool_t *pool, pool_task_fn fn, void *const args[], size_t n)
{
    uint64_t position, claimed;
    if (antp_waited_for(pool) ||
        antp_claim(pool, n < BATCH ? n : BATCH, &position, &claimed) != ANTP_ROOM)
        return 0;
    bool wake = wake_wanted(pool);
    for (uint64_t i = 0; i < claimed; i++)
        antp_publish(pool, position + i, &(struct antp_task){fn, args[i], NULL, 0});
    if (wake)
        antp_wake(pool);
    return (size_t)claimed;
}

/* Counted as inside for the whole call: the first tasks may have run before the last are
 * accepted. */
static pool_err push_all(pool_t *pool, pool_task_fn fn, void *const args[], size_t n, size_t *accepted)
{
    pool_err err = POOL_OK;
    antp_enter(pool);
    while (*accepted < n && err == POOL_OK) {
        size_t i = *accepted, some = push_some(pool, fn, args + i, n - i);
        if (some == 0 && (err = submit(pool, &(struct antp_task){fn, args[i], NULL, 0})) == POOL_OK)
            some = 1;
        *accepted += some;
    }
    antp_exit(pool);
    return err;
}

pool_err pool_submit_many(pool_t *pool, pool_task_fn fn, void *const args[], size_t n, size_t *accepted)
{
    if (accepted == NULL)
        return POOL_ERR_INVALID;
    *accepted = 0;
    pool_err err = args == NULL && n > 0 ? POOL_ERR_INVALID : check(pool, fn);
    return err == POOL_OK ? push_all(pool, fn, args, n, accepted) : err;
}
