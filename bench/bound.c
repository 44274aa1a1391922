#include "bound.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

static struct {
    alignas(128) atomic_int_fast64_t entered;
    atomic_int_fast64_t left_seen; /* a lower bound of left */
    alignas(128) atomic_int_fast64_t left;
    alignas(128) atomic_int_fast64_t wake_at; /* when left gets here; INT64_MAX: nobody sleeps */
    int64_t limit;
} bound;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t room = PTHREAD_COND_INITIALIZER;

void bound_init(int limit)
{
    bound.limit = limit < 0 ? INT64_MAX / 2 : limit;
    atomic_store(&bound.wake_at, INT64_MAX);
}

static bool has_left(int64_t target)
{
    int64_t left = atomic_load(&bound.left);
    atomic_store_explicit(&bound.left_seen, left, memory_order_relaxed);
    return left >= target;
}

/* Sleeps until `target` have left; woken at the earliest at `wake_at`. */
static void sleep_until(int64_t target, int64_t wake_at)
{
    pthread_mutex_lock(&lock);
    while (!has_left(target)) {
        if (atomic_load(&bound.wake_at) > wake_at)
            atomic_store(&bound.wake_at, wake_at); /* before left is read again */
        if (!has_left(target))
            pthread_cond_wait(&room, &lock);
    }
    pthread_mutex_unlock(&lock);
}

void bound_enter(void)
{
    int64_t mine = atomic_fetch_add_explicit(&bound.entered, 1, memory_order_relaxed);
    int64_t target = mine + 1 - bound.limit;
    if (atomic_load_explicit(&bound.left_seen, memory_order_relaxed) >= target || has_left(target))
        return;
    sleep_until(target, target + bound.limit / 2);
}

void bound_leave(void)
{
    int64_t left = atomic_fetch_add(&bound.left, 1) + 1; /* then looks who sleeps */
    if (left < atomic_load(&bound.wake_at))
        return;
    pthread_mutex_lock(&lock);
    atomic_store(&bound.wake_at, INT64_MAX);
    pthread_cond_broadcast(&room);
    pthread_mutex_unlock(&lock);
}

void bound_wait_all(void)
{
    int64_t all = atomic_load(&bound.entered);
    sleep_until(all, all);
}
