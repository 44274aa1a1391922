/*
 * Which shard a task goes to.
 *
 * No two threads write a line here, or seldom: a counter that all submitters share would cost
 * what the shards are there to save. Threads are numbered when they first submit; the number
 * says which cursor a thread moves on, where it begins, and which shard is its own.
 */
#include "ring.h"

#include <stdlib.h>
#include <string.h>

enum { CURSORS_MAX = 16 };

/* ---- Threads ------------------------------------------------------------------------------ */

static unsigned thread_number(void)
{
    static atomic_uint numbered;
    static _Thread_local unsigned number; /* 0: none yet */
    if (ANTP_UNLIKELY(number == 0))
        number = atomic_fetch_add_explicit(&numbered, 1, memory_order_relaxed) + 1;
    return number - 1;
}

/* S. Vigna's splitmix64: what comes after x looks like chance, and it is one to one. */
static uint64_t mixed(uint64_t x)
{
    x += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static uint64_t chance(void)
{
    static _Thread_local uint64_t state;
    if (ANTP_UNLIKELY(state == 0))
        state = mixed(thread_number());
    return mixed(state++);
}

/* 0 … n - 1, from the upper half of x and evenly but for n / 2^32. */
static int scaled(uint64_t x, int n)
{
    return (int)((x >> 32) * (uint64_t)n >> 32);
}

/* ---- Load --------------------------------------------------------------------------------- */

/* Queued and running. done before tail: it errs upwards. */
static int64_t load(pool_t *pool)
{
    uint64_t done = antp_done(pool);
    return (int64_t)(ANTP_POSITION(atomic_load(&pool->tail)) - done);
}

int antp_pick_least(multipool_t *multi, int first)
{
    int least = first;
    int64_t fewest = load(multi->shards[first]);
    for (int i = 1; i < multi->n && fewest > 0; i++) {
        int at = (first + i) % multi->n;
        int64_t tasks = load(multi->shards[at]);
        if (tasks < fewest) {
            fewest = tasks;
            least = at;
        }
    }
    return least;
}

/* ---- Strategies --------------------------------------------------------------------------- */

static int own(const multipool_t *multi)
{
    return (int)(thread_number() % (unsigned)multi->n);
}

/* A plain load and store: two threads that meet go to the same shard for once. */
static int in_turn(multipool_t *multi)
{
    struct antp_cursor *cursor = &multi->cursors[thread_number() & multi->cursor_mask];
    unsigned at = atomic_load_explicit(&cursor->next, memory_order_relaxed);
    atomic_store_explicit(&cursor->next, at + 1 < (unsigned)multi->n ? at + 1 : 0, memory_order_relaxed);
    return (int)at;
}

static int one_of_two(multipool_t *multi)
{
    if (multi->n == 1)
        return 0;
    uint64_t x = chance();
    int a = scaled(x, multi->n), b = scaled(x << 32, multi->n - 1);
    b += b >= a;
    return load(multi->shards[b]) < load(multi->shards[a]) ? b : a;
}

static int by_strategy(multipool_t *multi)
{
    switch (multi->strategy) {
    case MULTIPOOL_LEAST_TASKS: return antp_pick_least(multi, own(multi));
    case MULTIPOOL_TWO_CHOICES: return one_of_two(multi);
    case MULTIPOOL_STICKY: return own(multi);
    default: return in_turn(multi);
    }
}

int antp_pick(multipool_t *multi, const uint64_t *key)
{
    struct antp_picker *picker = atomic_load_explicit(&multi->picker, memory_order_acquire);
    if (ANTP_UNLIKELY(picker != NULL && picker->pick != NULL))
        return picker->pick(picker->user, multi, key == NULL ? 0 : *key);
    return key == NULL ? by_strategy(multi) : scaled(mixed(*key), multi->n);
}

/* ---- The user's picker -------------------------------------------------------------------- */

pool_err multipool_set_picker(multipool_t *multi, int (*pick)(void *, multipool_t *, uint64_t), void *user)
{
    if (multi == NULL)
        return POOL_ERR_INVALID;
    if (antp_multi_forked(multi))
        return POOL_ERR_FORKED;
    struct antp_picker *picker = malloc(sizeof *picker);
    if (picker == NULL)
        return POOL_ERR_NO_MEMORY;
    picker->pick = pick;
    picker->user = user;
    antp_lock(&multi->lock);
    picker->older = atomic_load(&multi->picker);
    atomic_store_explicit(&multi->picker, picker, memory_order_release); /* pairs with antp_pick */
    antp_unlock(&multi->lock);
    return POOL_OK;
}

/* ---- Making and freeing ------------------------------------------------------------------- */

pool_err antp_pick_init(multipool_t *multi)
{
    unsigned n = 1;
    while (n < CURSORS_MAX && n < 2 * antp_processors())
        n *= 2;
    multi->cursors = aligned_alloc(ANTP_APART, n * sizeof *multi->cursors);
    if (multi->cursors == NULL)
        return POOL_ERR_NO_MEMORY;
    memset(multi->cursors, 0, n * sizeof *multi->cursors);
    for (unsigned i = 0; i < n; i++)
        atomic_store(&multi->cursors[i].next, i % (unsigned)multi->n);
    multi->cursor_mask = n - 1;
    return POOL_OK;
}

void antp_pick_fini(multipool_t *multi)
{
    struct antp_picker *picker = atomic_load(&multi->picker);
    while (picker != NULL) {
        struct antp_picker *older = picker->older;
        free(picker);
        picker = older;
    }
    free(multi->cursors);
}
