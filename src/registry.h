/*
 * The registry: named pools, made on first use and taken down when they have been idle.
 *
 * Theory
 * ------
 * A tenant is a pool and what the registry knows of it. Whoever uses one pins it: the count
 * goes up under the lock of the stripe in which it was found, and while it is above 0 the
 * tenant is neither taken down nor freed. So a submit is two short turns of one lock out of
 * many, and never meets a pool that is being closed.
 *
 *     registry.c   the calls; drain and destroy
 *     tenants.c    finding, pinning, making, the ceilings, taking down
 *     reaper.c     the thread that takes down what was idle for long enough
 *
 *            hold()                            unpin(), the last
 *     none ---------> being made --- made ---> idle ------------> out ---> ended, freed
 *                         |                    ^   |   reaper, or a
 *                         | failed        hold |   | ceiling: hidden
 *                         v                    |   v
 *                        out                 pinned
 *
 * A tenant stands in the table before its pool is made, with `made` locked by its maker: who
 * asks for the name meanwhile pins it and waits there, so one pool is made. Hiding takes a
 * tenant out of the table and out of the counts under `making` and the stripe's lock, if it
 * has no pin and its pool is quiet. Then nobody can reach it: it is ended under no lock, and
 * a new one of that name may be made beside it. It stays in the list until it is freed, so
 * what walks the list may hold on to any tenant that it pinned.
 *
 * Who protects a field
 * --------------------
 *   I   constant from the making on
 *   A   atomic; the operation names its partner
 *   M   registry->making
 *   MA  changed under making only, read anywhere
 *   S   the lock of the tenant's stripe
 *   R   registry->reaping
 *
 * Lock order: made (by its maker, before anybody sees it), making, stripe, reaping. No
 * callback runs, no pool is made or ended under any of them but `made`.
 */
#ifndef ANTPOOL_REGISTRY_H
#define ANTPOOL_REGISTRY_H

#include "internal.h"

#ifndef ANTP_REGISTRY_STRIPES /* a test makes them few, so that names meet in them */
#define ANTP_REGISTRY_STRIPES 64
#define ANTP_REGISTRY_CHAINS 16 /* a stripe */
#endif

/* A template of pools. */
struct antp_tier {
    struct antp_link link; /* M */
    char *name;            /* I */
    int cap;               /* I */
    pool_options_t options; /* I: read and checked, name NULL */
};

/* Tier and name together. */
struct antp_key {
    const char *tier, *name;
    uint64_t hash;
};

struct antp_tenant {
    struct antp_link chain; /* S: of the stripe; empty when out */
    struct antp_link link;  /* M: registry->tenants */
    pool_registry_t *registry;    /* I */
    const struct antp_tier *tier; /* I */
    char *name;                   /* I */
    uint64_t hash;                /* I */
    _Atomic(pool_t *) pool;  /* A: NULL until it is made, then constant */
    int pins;                /* S */
    bool out;                /* S: nobody finds it any more */
    bool awaited;            /* S: destroy waits for the last pin, on ender.wake */
    int64_t used_at;         /* S: ns, last use, or when it was seen at work since */
    struct antp_tenant *next; /* who hides it: others that are hidden with it */
    pthread_mutex_t made;    /* its maker's until the pool is made or failed */
    pool_err error;          /* made: why it failed */
    struct antp_sleeper ender; /* whoever ends it; made beforehand, so ending cannot fail */
};

struct antp_stripe_of_names {
    alignas(ANTP_APART) pthread_mutex_t lock;
    struct antp_link chains[ANTP_REGISTRY_CHAINS]; /* S */
};

struct pool_registry {
    unsigned generation;  /* I: see fork.c */
    int64_t idle_ns;      /* I: ANTP_NEVER: no reaper */
    int max_pools;        /* I: 0: any number */
    int max_total_cap;    /* I: the same */
    atomic_bool closed;   /* MA */
    atomic_bool armed;    /* R, read anywhere: the reaper will come by itself */

    alignas(ANTP_APART) pthread_mutex_t making;
    struct antp_link tiers;   /* M: as added */
    struct antp_link tenants; /* M: newest first, so a walk does not meet those made meanwhile */
    struct antp_link enders;  /* M: sleepers that wait for leaving or drains to go down */
    atomic_int pools;            /* MA: tenants that are not out */
    atomic_int_fast64_t total_cap; /* MA: of these, as their tiers say */
    int leaving;              /* M: tenants that are out and not freed */
    int drains;               /* M: calls of release_timeout under way */
    bool has_reaper;          /* M */
    pthread_t reaper;         /* M */

    pthread_mutex_t reaping;
    pthread_cond_t changed; /* due or stop; the reaper waits */
    int64_t due;            /* R: ns, when the reaper comes by itself; ANTP_NEVER: armed is false */
    bool stop;              /* R */

    struct antp_sleeper ender; /* destroy */
    struct antp_stripe_of_names stripes[ANTP_REGISTRY_STRIPES];
};

static inline struct antp_tenant *antp_tenant_of(struct antp_link *link)
{
    return (struct antp_tenant *)((char *)link - offsetof(struct antp_tenant, link));
}

static inline bool antp_registry_forked(const pool_registry_t *registry)
{
    return registry->generation != atomic_load_explicit(&antp_generation, memory_order_relaxed);
}

/* ---- tenants.c ------------------------------------------------------------------------- */

struct antp_key antp_key(const char *tier, const char *name);
struct antp_tier *antp_tier_find_locked(pool_registry_t *, const char *name); /* or NULL */
pool_err antp_hold(pool_registry_t *, const struct antp_key *, struct antp_tenant **out); /* pins it */
bool antp_pin(struct antp_tenant *);               /* one that is in the list; false: it is out */
void antp_unpin(struct antp_tenant *, bool used);  /* the registry may be gone afterwards */
void antp_await_made(struct antp_tenant *);        /* or failed: its pool is NULL */
void antp_await_unpinned(struct antp_tenant *);    /* destroy only */
void antp_hide(struct antp_tenant *);
int64_t antp_hide_idle_locked(struct antp_tenant *, int64_t now, struct antp_tenant **hidden);
void antp_end_hidden(struct antp_tenant *hidden);
void antp_tenant_end(struct antp_tenant *);        /* nobody pins it or finds it */
void antp_tenant_free(struct antp_tenant *);

/* ---- reaper.c -------------------------------------------------------------------------- */

pool_err antp_reaper_need_locked(pool_registry_t *); /* starts it, the first time */
void antp_reaper_stop(pool_registry_t *);
void antp_reaper_arm(pool_registry_t *, int64_t due);

#endif
