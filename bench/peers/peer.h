/* What several peers share. */
#ifndef ANTPOOL_BENCH_PEER_H
#define ANTPOOL_BENCH_PEER_H

#include <limits.h>

#include "bound.h"
#include "subject.h"

/* How many tasks may be unfinished; the cap must not be -1. */
static inline int peer_limit(const struct subject_setup *setup)
{
    return setup->queue > INT_MAX - setup->cap ? INT_MAX : setup->cap + setup->queue;
}

/* For pools that hand their function one pointer: the one function of the program. Several
 * submitters set it, so it is atomic; they all set the same, so no order is needed. */
static void (*peer_fn)(void *);

static inline void peer_set_fn(void (*fn)(void *))
{
    if (__atomic_load_n(&peer_fn, __ATOMIC_RELAXED) != fn)
        __atomic_store_n(&peer_fn, fn, __ATOMIC_RELAXED);
}

static inline void peer_run(void *arg)
{
    __atomic_load_n(&peer_fn, __ATOMIC_RELAXED)(arg);
    bound_leave();
}

#endif
