/*
 * Multipools, inside: several pools that are shards of one.
 *
 *     multipool_submit ── picks a shard (pick.c) ── room? ─yes─> that shard's ring
 *          | no
 *          +── another has room? ─yes─> the ring of that one
 *          | no
 *          v
 *     the multipool's line <──── every worker that looks at its own shard's line looks here, too
 *
 * On the short way nothing is touched that submitters of other shards write. All a shard knows
 * of its multipool is pool->multi: it is read where somebody may wait for its slots, for its
 * being quiet, or for ever (antp_waited_for, antp_quiet_awaited, antp_break_deadlock_locked).
 *
 * L in this file is the multipool's lock; other letters, and the lock order, in which it comes
 * after those of its shards, are those of internal.h.
 */
#ifndef ANTPOOL_MULTI_H
#define ANTPOOL_MULTI_H

#include "internal.h"

/* Where the threads that share this cursor go on in turn. */
struct antp_cursor {
    alignas(ANTP_APART) atomic_uint next; /* A: a lost step costs evenness only */
};

struct antp_picker {
    struct antp_picker *older; /* I: kept until the end, a pick may be under way */
    int (*pick)(void *user, multipool_t *, uint64_t key); /* I */
    void *user;                                           /* I */
};

struct multipool {
    pool_t **shards;                       /* I */
    int n;                                 /* I */
    multipool_strategy strategy;           /* I */
    pool_policy policy;                    /* I */
    pool_task_fn func;                     /* I */
    int max_blocking;                      /* I: for all shards together; 0: any number */
    unsigned generation;                   /* I: see fork.c */
    struct antp_cursor *cursors;           /* I */
    unsigned cursor_mask;                  /* I: number of cursors - 1, a power of two - 1 */
    _Atomic(struct antp_picker *) picker;  /* LA */

    alignas(ANTP_APART) struct antp_line line; /* who waits for a slot of any shard */
    atomic_int quiet;                      /* LA: threads in multipool_wait; pairs with done */

    alignas(ANTP_APART) pthread_mutex_t lock;
    struct antp_link quieters;             /* L: sleepers in multipool_wait */
    struct antp_sleeper *ender;            /* L: in multipool_destroy, or NULL */
    atomic_int inside;                     /* A up, L down: calls that destroy must wait for */
};

/* ---- multipool.c, multi_gauges.c, multi_submit.c, pick.c ---------------------------------- */

void antp_shard_closed(multipool_t *);    /* a shard was; under that shard's lock */
void antp_tell_all_quiet(multipool_t *);  /* those who wait for it, if so it is */
void antp_multi_exit(multipool_t *);      /* the caller was counted as inside */
int antp_pick(multipool_t *, const uint64_t *key); /* a shard, or what the picker said */
int antp_pick_least(multipool_t *, int first);     /* the fewest tasks, among equals the first from there on */
pool_err antp_multi_failed_at(int index, pool_err); /* the error, for multipool_error_shard */
pool_err antp_multi_fail(pool_err);                 /* of the call as a whole */
pool_err antp_multi_check(const multipool_t *);
pool_err antp_pick_init(multipool_t *);
void antp_pick_fini(multipool_t *);

static inline void antp_multi_enter(multipool_t *multi)
{
    atomic_fetch_add_explicit(&multi->inside, 1, memory_order_relaxed);
}

static inline bool antp_multi_forked(const multipool_t *multi)
{
    return multi->generation != atomic_load_explicit(&antp_generation, memory_order_relaxed);
}

#endif
