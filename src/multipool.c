/* Several pools behind one set of calls: making and ending them, waiting. */
#include "ring.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 256 };

static pool_err check_may_wait(const multipool_t *multi, int64_t ms)
{
    if (ms < 0)
        return antp_multi_fail(POOL_ERR_INVALID);
    pool_err err = antp_multi_check(multi);
    if (err == POOL_OK && antp_in_frame_of_multi(multi))
        err = antp_multi_fail(POOL_ERR_DEADLOCK);
    return err;
}

/* ---- Making ------------------------------------------------------------------------------- */

static void free_all(multipool_t *multi)
{
    for (int i = 0; i < multi->n; i++)
        if (multi->shards[i] != NULL)
            antp_pool_free(multi->shards[i]);
    if (!antp_multi_forked(multi))
        pthread_mutex_destroy(&multi->lock);
    antp_pick_fini(multi);
    free(multi->shards);
    free(multi);
}

static multipool_t *alloc_multi(void)
{
    size_t size = (sizeof(multipool_t) + ANTP_APART - 1) / ANTP_APART * ANTP_APART;
    multipool_t *multi = aligned_alloc(ANTP_APART, size);
    if (multi == NULL)
        return NULL;
    memset(multi, 0, size);
    multi->generation = atomic_load(&antp_generation);
    antp_line_init(&multi->line);
    antp_list_init(&multi->quieters);
    if (antp_mutex_init(&multi->lock) != 0) {
        free(multi);
        return NULL;
    }
    return multi;
}

static pool_err make_shard(multipool_t *multi, int index, int cap, pool_options_t options)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%.200s.%d", options.name != NULL ? options.name : "pool", index);
    options.name = name;
    pool_err err = antp_pool_new(&multi->shards[index], cap, &options, (struct antp_owner){.multi = multi});
    return err == POOL_OK ? POOL_OK : antp_multi_failed_at(index, err);
}

static void copy_options(multipool_t *multi, const pool_options_t *o)
{
    multi->policy = o->policy;
    multi->func = o->func;
    multi->max_blocking = o->max_blocking > INT_MAX / multi->n ? INT_MAX : o->max_blocking * multi->n;
}

static pool_err build(multipool_t *multi, int shards, int cap, const pool_options_t *options)
{
    multi->shards = calloc((size_t)shards, sizeof(pool_t *));
    if (multi->shards == NULL)
        return antp_multi_fail(POOL_ERR_NO_MEMORY);
    multi->n = shards;
    copy_options(multi, options);
    pool_err err = antp_pick_init(multi);
    if (err != POOL_OK)
        return antp_multi_fail(err);
    for (int i = 0; i < shards && err == POOL_OK; i++)
        err = make_shard(multi, i, cap, *options);
    return err;
}

static pool_err check_new(multipool_t **out, int shards, multipool_strategy strategy)
{
    if (out == NULL)
        return POOL_ERR_INVALID;
    if (shards < 1)
        return POOL_ERR_INVALID_SHARDS;
    switch (strategy) {
    case MULTIPOOL_ROUND_ROBIN:
    case MULTIPOOL_LEAST_TASKS:
    case MULTIPOOL_TWO_CHOICES:
    case MULTIPOOL_STICKY: return POOL_OK;
    }
    return POOL_ERR_INVALID_STRATEGY;
}

/* Shard by shard, all closed before. A task may look at any shard, so none is freed before all
 * have ended. */
static void end_all(multipool_t *multi, struct antp_sleeper *me)
{
    for (int i = 0; i < multi->n; i++)
        if (multi->shards[i] != NULL)
            (void)antp_end(multi->shards[i], me, 1, ANTP_NEVER);
}

/* `me` waits for the threads of shards made before one that failed. */
static pool_err make(multipool_t **out, int shards, int cap, multipool_strategy strategy,
                     const pool_options_t *options, struct antp_sleeper *me)
{
    multipool_t *multi = alloc_multi();
    if (multi == NULL)
        return antp_multi_fail(POOL_ERR_NO_MEMORY);
    multi->strategy = strategy;
    pool_err err = build(multi, shards, cap, options);
    if (err == POOL_OK) {
        *out = multi;
        return POOL_OK;
    }
    end_all(multi, me);
    free_all(multi);
    return err;
}

pool_err multipool_new_from(multipool_t **out, int shards, int cap, multipool_strategy strategy,
                            const pool_option_t *options)
{
    pool_options_t read;
    struct antp_sleeper me;
    pool_err err = check_new(out, shards, strategy);
    if (err == POOL_OK)
        err = antp_options_read(&read, cap, options);
    if (err == POOL_OK)
        err = antp_sleeper_init(&me);
    if (err != POOL_OK)
        return antp_multi_fail(err);
    err = make(out, shards, cap, strategy, &read, &me);
    antp_sleeper_fini(&me);
    return err;
}

pool_err multipool_new(multipool_t **out, int shards, int cap, multipool_strategy strategy)
{
    return multipool_new_from(out, shards, cap, strategy, NULL);
}

/* ---- Ending ------------------------------------------------------------------------------- */

static void close_all(multipool_t *multi)
{
    for (int i = 0; i < multi->n; i++)
        if (multi->shards[i] != NULL)
            (void)pool_release(multi->shards[i]);
}

pool_err multipool_release(multipool_t *multi)
{
    pool_err err = antp_multi_check(multi);
    if (err != POOL_OK)
        return err;
    antp_multi_enter(multi);
    close_all(multi);
    antp_multi_exit(multi);
    return POOL_OK;
}

pool_err multipool_release_now(multipool_t *multi, pool_discard_fn unstarted, void *user)
{
    pool_err err = unstarted == NULL ? antp_multi_fail(POOL_ERR_INVALID) : antp_multi_check(multi);
    if (err != POOL_OK)
        return err;
    antp_multi_enter(multi);
    close_all(multi);
    for (int i = 0; i < multi->n; i++)
        (void)pool_release_now(multi->shards[i], unstarted, user);
    antp_multi_exit(multi);
    return POOL_OK;
}

static pool_err end_by(multipool_t *multi, struct antp_sleeper *me, int64_t deadline)
{
    pool_err err = POOL_OK;
    antp_multi_enter(multi);
    close_all(multi);
    for (int i = 0; i < multi->n; i++) {
        pool_err here = antp_end(multi->shards[i], me, INT32_MAX, deadline);
        if (err == POOL_OK && here != POOL_OK)
            err = antp_multi_failed_at(i, here);
    }
    antp_multi_exit(multi);
    return err;
}

pool_err multipool_release_timeout(multipool_t *multi, int64_t ms)
{
    struct antp_sleeper me;
    pool_err err = check_may_wait(multi, ms);
    if (err != POOL_OK)
        return err;
    err = antp_sleeper_init(&me);
    if (err != POOL_OK)
        return antp_multi_fail(err);
    err = end_by(multi, &me, antp_deadline(ms));
    antp_sleeper_fini(&me);
    return err;
}

void antp_multi_exit(multipool_t *multi)
{
    antp_lock(&multi->lock);
    atomic_fetch_sub(&multi->inside, 1);
    if (multi->ender != NULL)
        antp_sleeper_wake_locked(multi->ender);
    antp_unlock(&multi->lock);
}

/* Every call from outside the shards gets out; a call from a task is over before its worker. */
static void await_exits(multipool_t *multi, struct antp_sleeper *me)
{
    antp_lock(&multi->lock);
    multi->ender = me;
    while (atomic_load(&multi->inside) > 0) {
        me->woken = false;
        antp_sleep_locked(&multi->lock, me, ANTP_NEVER);
    }
    multi->ender = NULL;
    antp_unlock(&multi->lock);
}

static pool_err end(multipool_t *multi)
{
    struct antp_sleeper me;
    pool_err err = antp_sleeper_init(&me);
    if (err != POOL_OK)
        return antp_multi_fail(err);
    int cancel = antp_cancel_off();
    close_all(multi);
    await_exits(multi, &me);
    end_all(multi, &me);
    antp_sleeper_fini(&me);
    antp_cancel_restore(cancel);
    return POOL_OK;
}

pool_err multipool_destroy(multipool_t *multi)
{
    if (multi == NULL)
        return POOL_OK;
    if (antp_multi_forked(multi)) {
        if (!antp_in_frame_of_multi(multi)) /* else this thread's own record is in that memory */
            free_all(multi);
        return POOL_OK;
    }
    pool_err err = check_may_wait(multi, POOL_FOREVER);
    if (err == POOL_OK)
        err = end(multi);
    if (err == POOL_OK)
        free_all(multi);
    return err;
}

/* ---- Opening again, tune ------------------------------------------------------------------ */

static void undo_reboot(multipool_t *multi, const bool *was_closed, int n)
{
    for (int i = 0; i < n; i++)
        if (was_closed[i])
            (void)pool_release(multi->shards[i]);
}

static pool_err reboot_all(multipool_t *multi, bool *was_closed)
{
    for (int i = 0; i < multi->n; i++)
        if (!antp_may_open(multi->shards[i]))
            return antp_multi_failed_at(i, POOL_ERR_BUSY);
    for (int i = 0; i < multi->n; i++) {
        was_closed[i] = pool_is_closed(multi->shards[i]);
        pool_err err = pool_reboot(multi->shards[i]);
        if (err != POOL_OK) {
            undo_reboot(multi, was_closed, i);
            return antp_multi_failed_at(i, err);
        }
    }
    return POOL_OK;
}

pool_err multipool_reboot(multipool_t *multi)
{
    pool_err err = antp_multi_check(multi);
    if (err != POOL_OK)
        return err;
    antp_multi_enter(multi);
    bool *was_closed = malloc((size_t)multi->n * sizeof *was_closed);
    err = was_closed == NULL ? antp_multi_fail(POOL_ERR_NO_MEMORY) : reboot_all(multi, was_closed);
    free(was_closed);
    antp_multi_exit(multi);
    return err;
}

pool_err multipool_tune(multipool_t *multi, int cap)
{
    pool_err err = antp_multi_check(multi);
    if (err != POOL_OK)
        return err;
    if (cap < 1 || pool_cap(multi->shards[0]) == POOL_UNLIMITED)
        return antp_multi_fail(POOL_ERR_INVALID_CAP);
    antp_multi_enter(multi);
    for (int i = 0; i < multi->n; i++)
        (void)pool_tune(multi->shards[i], cap);
    antp_multi_exit(multi);
    return POOL_OK;
}

/* ---- Quiet -------------------------------------------------------------------------------- */

/* As for one pool: all that was done is summed before any tail is loaded, so if the sums are
 * equal, each shard was quiet all the time from the last of the first loads to the first of the
 * last. A task runs in its caller only where a shard is at its limit: none began meanwhile. */
static bool all_quiet(multipool_t *multi)
{
    uint64_t done = 0, tail = 0;
    int inline_now = 0;
    for (int i = 0; i < multi->n; i++)
        done += antp_done(multi->shards[i]);
    for (int i = 0; i < multi->n; i++)
        inline_now += atomic_load(&multi->shards[i]->inline_now);
    for (int i = 0; i < multi->n; i++)
        tail += ANTP_POSITION(atomic_load(&multi->shards[i]->tail));
    return done == tail && inline_now == 0;
}

void antp_tell_all_quiet(multipool_t *multi)
{
    antp_lock(&multi->lock);
    if (all_quiet(multi))
        antp_wake_all_locked(&multi->quieters);
    antp_unlock(&multi->lock);
}

static bool is_quiet_by(multipool_t *multi, struct antp_sleeper *me, int64_t deadline)
{
    antp_lock(&multi->lock);
    antp_list_append(&multi->quieters, &me->link);
    atomic_fetch_add(&multi->quiet, 1); /* seq_cst, before all_quiet: pairs with got_task and settle */
    for (int i = 0; i < multi->n; i++)
        antp_see_finished(multi->shards[i]);
    bool quiet = all_quiet(multi) || antp_sleep_locked(&multi->lock, me, deadline);
    atomic_fetch_sub(&multi->quiet, 1);
    antp_list_remove(&me->link);
    antp_unlock(&multi->lock);
    return quiet;
}

pool_err multipool_wait_timeout(multipool_t *multi, int64_t ms)
{
    struct antp_sleeper me;
    pool_err err = check_may_wait(multi, ms);
    if (err != POOL_OK)
        return err;
    err = antp_sleeper_init(&me);
    if (err != POOL_OK)
        return antp_multi_fail(err);
    int64_t deadline = antp_deadline(ms);
    int cancel = antp_cancel_off();
    antp_multi_enter(multi);
    bool quiet = is_quiet_by(multi, &me, deadline);
    antp_multi_exit(multi);
    antp_sleeper_fini(&me);
    antp_cancel_restore(cancel);
    return quiet ? POOL_OK : antp_multi_fail(POOL_ERR_TIMEOUT);
}

pool_err multipool_wait(multipool_t *multi)
{
    return multipool_wait_timeout(multi, POOL_FOREVER);
}
