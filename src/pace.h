/* Spinning, and how fast counters move: for those who look again before they sleep. */
#ifndef ANTPOOL_PACE_H
#define ANTPOOL_PACE_H

#include "ring.h"

#include <sched.h>

static inline void antp_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
    __asm__ __volatile__("yield");
#endif
}

static inline void antp_spin_until(int64_t deadline)
{
    while (antp_now() < deadline)
        antp_relax();
}

/* Between two looks of one that spins. Now and then it lets others run: whom it waits for
 * may be ready on this very processor. `looks` counts from 0. */
static inline void antp_look_pause(unsigned looks)
{
    if (looks % 16 == 15)
        sched_yield();
    else
        antp_relax();
}

/* At a small limit each side soon waits for the other, and what it waits for is most often a
 * cache line on its way: less than it takes to read the clock and prepare to sleep. */
static inline bool antp_glance(pool_t *pool, bool (*is_there)(pool_t *))
{
    if (atomic_load_explicit(&pool->limit, memory_order_relaxed) > ANTP_SMALL_LIMIT || pool->spin_ns == 0)
        return false;
    for (int i = 0; i < ANTP_GLANCES; i++) {
        antp_relax();
        if (is_there(pool))
            return true;
    }
    return false;
}

/* Nanoseconds for each step of the counter between the last two calls that saw it move; but
 * not less than it stands still now. */
static inline int64_t antp_pace(struct antp_pace *pace, uint64_t count, int64_t now)
{
    int64_t spent = now - atomic_load_explicit(&pace->at, memory_order_relaxed);
    int64_t steps = (int64_t)(count - atomic_load_explicit(&pace->count, memory_order_relaxed));
    if (steps <= 0 || spent < 0) { /* below 0: others have looked meanwhile */
        int64_t each = atomic_load_explicit(&pace->each, memory_order_relaxed);
        return each > spent ? each : spent;
    }
    int64_t each = spent / steps;
    atomic_store_explicit(&pace->at, now, memory_order_relaxed);
    atomic_store_explicit(&pace->count, count, memory_order_relaxed);
    atomic_store_explicit(&pace->each, each, memory_order_relaxed);
    return each;
}

/* The time in which tasks in a stream fill, or leave, half of the limit. */
static inline int64_t antp_gather_ns(pool_t *pool)
{
    int64_t half = atomic_load_explicit(&pool->limit, memory_order_relaxed) / 2;
    return antp_least(half, ANTP_GATHER_NS / 25) * 25;
}

#endif
