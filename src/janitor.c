/*
 * The janitor: one thread for all pools of the process that expire idle workers.
 *
 * It starts with the first open pool and ends with the last to close; both, and the wait
 * for its end, happen under `lifecycle`, so there is never a second one. Armed pools stand
 * in a binary heap by the time they are due. With none armed it sleeps without a timeout:
 * an idle process wakes for nothing.
 *
 * A worker that parks arms its pool unless it is armed; a visit expires who is due and
 * arms the pool again from its oldest idle worker, at the earliest half an expiry later.
 *
 * A pool is visited under `lock`, so once antp_janitor_leave has returned no visit of it
 * is under way and none will come. Lock order: lifecycle, lock, pool->lock.
 */
#include "internal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lifecycle = PTHREAD_MUTEX_INITIALIZER; /* members, the thread */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;      /* all below, and J in pools */

static pthread_t thread;
static int members; /* open pools that expire workers */

static pthread_cond_t changed; /* stop, or another pool is due first; the janitor waits */
static bool stop;
static pool_t **heap; /* armed pools, the one due first at 0 */
static size_t armed, room;

/* ---- The heap ----------------------------------------------------------------------------- */

static void place(pool_t *pool, size_t i)
{
    heap[i] = pool;
    pool->janitor_place = i + 1;
}

static void sift_up(pool_t *pool, size_t i)
{
    for (; i > 0 && heap[(i - 1) / 2]->janitor_due > pool->janitor_due; i = (i - 1) / 2)
        place(heap[(i - 1) / 2], i);
    place(pool, i);
}

static void sift_down(pool_t *pool, size_t i)
{
    for (size_t child; (child = 2 * i + 1) < armed; i = child) {
        if (child + 1 < armed && heap[child + 1]->janitor_due < heap[child]->janitor_due)
            child++;
        if (heap[child]->janitor_due >= pool->janitor_due)
            break;
        place(heap[child], i);
    }
    place(pool, i);
}

static void heap_remove(pool_t *pool)
{
    size_t i = pool->janitor_place - 1;
    pool_t *last = heap[--armed];
    pool->janitor_place = 0;
    if (last == pool)
        return;
    sift_down(last, i);
    sift_up(last, last->janitor_place - 1);
}

/* Arming must not fail, so there is room for every member. */
static pool_err heap_reserve(size_t n)
{
    if (n <= room)
        return POOL_OK;
    size_t more = room == 0 ? 16 : room * 2;
    pool_t **larger = realloc(heap, more * sizeof *larger);
    if (larger == NULL)
        return POOL_ERR_NO_MEMORY;
    heap = larger;
    room = more;
    return POOL_OK;
}

/* ---- The thread --------------------------------------------------------------------------- */

static void arm_locked(pool_t *pool, int64_t due)
{
    pool->janitor_due = due;
    sift_up(pool, armed++);
    if (heap[0] == pool)
        antp_cond_signal(&changed);
}

static void visit_locked(pool_t *pool)
{
    heap_remove(pool);
    antp_lock(&pool->lock);
    int64_t due = antp_expire_locked(pool, antp_now());
    antp_unlock(&pool->lock);
    if (due != ANTP_NEVER)
        arm_locked(pool, due);
}

static void *janitor_main(void *unused)
{
    (void)unused;
#if defined(__linux__)
    pthread_setname_np(pthread_self(), "antpool/janitor");
#endif
    antp_lock(&lock);
    while (!stop) {
        int64_t due = armed > 0 ? heap[0]->janitor_due : ANTP_NEVER;
        if (due <= antp_now())
            visit_locked(heap[0]);
        else
            antp_cond_wait_until(&changed, &lock, due);
    }
    antp_unlock(&lock);
    return NULL;
}

/* ---- Joining and leaving ------------------------------------------------------------------ */

static pool_err start_thread(void)
{
    sigset_t all, before;
    if (antp_cond_init(&changed) != 0)
        return POOL_ERR_NO_MEMORY;
    stop = false;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, NULL, janitor_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0)
        return POOL_OK;
    antp_cond_fini(&changed);
    return POOL_ERR_NO_THREAD;
}

static void stop_thread(void)
{
    antp_lock(&lock);
    stop = true;
    antp_cond_signal(&changed);
    antp_unlock(&lock);
    int cancel = antp_cancel_off();
    antp_join(thread);
    antp_cancel_restore(cancel);
    antp_cond_fini(&changed);
    free(heap);
    heap = NULL;
    room = 0;
}

static pool_err join_locked(pool_t *pool)
{
    antp_lock(&lock);
    pool_err err = heap_reserve((size_t)members + 1);
    if (err == POOL_OK)
        pool->janitor_members++;
    antp_unlock(&lock);
    return err;
}

pool_err antp_janitor_join(pool_t *pool)
{
    antp_lock(&lifecycle);
    pool_err err = members == 0 ? start_thread() : POOL_OK;
    if (err == POOL_OK) {
        err = join_locked(pool);
        if (err == POOL_OK)
            members++;
        else if (members == 0)
            stop_thread();
    }
    antp_unlock(&lifecycle);
    return err;
}

void antp_janitor_leave(pool_t *pool)
{
    antp_lock(&lifecycle);
    antp_lock(&lock);
    if (--pool->janitor_members == 0 && pool->janitor_place != 0)
        heap_remove(pool);
    antp_unlock(&lock);
    if (--members == 0)
        stop_thread();
    antp_unlock(&lifecycle);
}

void antp_janitor_arm(pool_t *pool, int64_t due)
{
    antp_lock(&lock);
    if (pool->janitor_members > 0 && pool->janitor_place == 0)
        arm_locked(pool, due);
    antp_unlock(&lock);
}

/* ---- fork --------------------------------------------------------------------------------- */

void antp_janitor_before_fork(void)
{
    antp_lock(&lifecycle);
    antp_lock(&lock);
}

/* The child has no janitor and none of the parent's pools. Its copy of `changed` may have
 * the janitor as a waiter; the next start makes a new one over it. */
void antp_janitor_after_fork(bool child)
{
    if (child) {
        members = 0;
        armed = 0;
    }
    antp_unlock(&lock);
    antp_unlock(&lifecycle);
}
