/* The calls of the registry; drain and destroy. The theory is in registry.h. */
#include "registry.h"

#include <stdlib.h>
#include <string.h>

/* ---- Making a registry -------------------------------------------------------------------- */

enum { LOCKS = ANTP_REGISTRY_STRIPES + 2 };

static pthread_mutex_t *lock_at(pool_registry_t *registry, int i)
{
    if (i == 0)
        return &registry->making;
    return i == 1 ? &registry->reaping : &registry->stripes[i - 2].lock;
}

static void fini_locks(pool_registry_t *registry, int n)
{
    while (n-- > 0)
        pthread_mutex_destroy(lock_at(registry, n));
}

static pool_err init_locks(pool_registry_t *registry)
{
    for (int i = 0; i < LOCKS; i++)
        if (antp_mutex_init(lock_at(registry, i)) != 0) {
            fini_locks(registry, i);
            return POOL_ERR_NO_MEMORY;
        }
    return POOL_OK;
}

static pool_err init_sync(pool_registry_t *registry)
{
    if (init_locks(registry) != POOL_OK)
        return POOL_ERR_NO_MEMORY;
    if (antp_cond_init(&registry->changed) != 0)
        goto undo_locks;
    if (antp_sleeper_init(&registry->ender) != POOL_OK)
        goto undo_changed;
    return POOL_OK;
undo_changed:
    antp_cond_fini(&registry->changed);
undo_locks:
    fini_locks(registry, LOCKS);
    return POOL_ERR_NO_MEMORY;
}

static void init_lists(pool_registry_t *registry)
{
    antp_list_init(&registry->tiers);
    antp_list_init(&registry->tenants);
    antp_list_init(&registry->enders);
    for (int i = 0; i < ANTP_REGISTRY_STRIPES; i++)
        for (int chain = 0; chain < ANTP_REGISTRY_CHAINS; chain++)
            antp_list_init(&registry->stripes[i].chains[chain]);
}

static void set_limits(pool_registry_t *registry, const pool_registry_limits_t *limits)
{
    bool never = limits->idle_ms == 0 || limits->idle_ms > ANTP_NEVER / 1000000;
    registry->idle_ns = never ? ANTP_NEVER : limits->idle_ms * 1000000;
    registry->max_pools = limits->max_pools;
    registry->max_total_cap = limits->max_total_cap;
}

pool_err pool_registry_new(pool_registry_t **out, const pool_registry_limits_t *limits)
{
    static const pool_registry_limits_t none = {0};
    if (limits == NULL)
        limits = &none;
    if (out == NULL || limits->idle_ms < 0 || limits->max_pools < 0 || limits->max_total_cap < 0)
        return POOL_ERR_INVALID;
    pool_err err = antp_fork_watch();
    if (err != POOL_OK)
        return err;
    pool_registry_t *registry = aligned_alloc(ANTP_APART, sizeof *registry);
    if (registry == NULL)
        return POOL_ERR_NO_MEMORY;
    memset(registry, 0, sizeof *registry);
    registry->generation = atomic_load(&antp_generation);
    registry->due = ANTP_NEVER;
    set_limits(registry, limits);
    init_lists(registry);
    err = init_sync(registry);
    if (err == POOL_OK)
        *out = registry;
    else
        free(registry);
    return err;
}

/* ---- Tiers -------------------------------------------------------------------------------- */

static pool_err check(const pool_registry_t *registry)
{
    if (registry == NULL)
        return POOL_ERR_INVALID;
    return antp_registry_forked(registry) ? POOL_ERR_FORKED : POOL_OK;
}

static void free_tier(struct antp_tier *tier)
{
    free(tier->name);
    free(tier);
}

/* Its pools get names of their own, so no string of the options is kept. */
static pool_err read_tier(struct antp_tier *tier, const char *name, int cap, const pool_option_t *options)
{
    pool_err err = antp_options_read(&tier->options, cap, options);
    if (err != POOL_OK)
        return err;
    tier->options.name = NULL;
    tier->cap = cap;
    tier->name = strdup(name);
    return tier->name == NULL ? POOL_ERR_NO_MEMORY : POOL_OK;
}

/* Otherwise no pool of it could ever be made. */
static bool fits(const pool_registry_t *registry, int cap)
{
    return registry->max_total_cap == 0 || (cap != POOL_UNLIMITED && cap <= registry->max_total_cap);
}

static pool_err enter_tier(pool_registry_t *registry, struct antp_tier *tier)
{
    pool_err err = POOL_OK;
    antp_lock(&registry->making);
    if (atomic_load(&registry->closed))
        err = POOL_ERR_CLOSED;
    else if (antp_tier_find_locked(registry, tier->name) != NULL)
        err = POOL_ERR_INVALID;
    else
        antp_list_append(&registry->tiers, &tier->link);
    antp_unlock(&registry->making);
    return err;
}

pool_err pool_registry_add_tier(pool_registry_t *registry, const char *name, int cap,
                                const pool_option_t *options)
{
    pool_err err = check(registry);
    if (err != POOL_OK || name == NULL)
        return err != POOL_OK ? err : POOL_ERR_INVALID;
    struct antp_tier *tier = calloc(1, sizeof *tier);
    if (tier == NULL)
        return POOL_ERR_NO_MEMORY;
    err = read_tier(tier, name, cap, options);
    if (err == POOL_OK)
        err = fits(registry, cap) ? enter_tier(registry, tier) : POOL_ERR_INVALID_CAP;
    if (err != POOL_OK)
        free_tier(tier);
    return err;
}

/* ---- Submitting --------------------------------------------------------------------------- */

/* A submit to whatever pool it will be. */
struct request {
    pool_err (*call)(pool_t *, const struct request *);
    pool_task_fn fn;
    void *arg;
    int64_t ms;
};

static pool_err call_submit(pool_t *pool, const struct request *request)
{
    return pool_submit(pool, request->fn, request->arg);
}

static pool_err call_try_submit(pool_t *pool, const struct request *request)
{
    return pool_try_submit(pool, request->fn, request->arg);
}

static pool_err call_submit_timeout(pool_t *pool, const struct request *request)
{
    return pool_submit_timeout(pool, request->fn, request->arg, request->ms);
}

static void unpin(void *tenant)
{
    antp_unpin(tenant, true);
}

/* A task that runs here may end this thread by pthread_exit. */
static pool_err call_guarded(struct antp_tenant *tenant, pool_t *pool, const struct request *request)
{
    pool_err err;
    pthread_cleanup_push(unpin, tenant);
    err = request->call(pool, request);
    pthread_cleanup_pop(1);
    return err;
}

static pool_err hold(pool_registry_t *registry, const char *tier, const char *name, struct antp_tenant **out)
{
    pool_err err = check(registry);
    if (err != POOL_OK)
        return err;
    if (tier == NULL || name == NULL)
        return POOL_ERR_INVALID;
    if (atomic_load(&registry->closed))
        return POOL_ERR_CLOSED;
    struct antp_key key = antp_key(tier, name);
    return antp_hold(registry, &key, out);
}

static pool_err submit(pool_registry_t *registry, const char *tier, const char *name,
                       const struct request *request)
{
    struct antp_tenant *tenant;
    pool_err err = check(registry);
    if (err == POOL_OK)
        err = request->fn == NULL || request->ms < 0 ? POOL_ERR_INVALID
                                                     : hold(registry, tier, name, &tenant);
    if (err != POOL_OK)
        return err;
    pool_t *pool = atomic_load_explicit(&tenant->pool, memory_order_relaxed); /* antp_hold acquired it */
    if (pool->policy == POOL_CALLER_RUNS)
        return call_guarded(tenant, pool, request);
    err = request->call(pool, request);
    unpin(tenant);
    return err;
}

pool_err pool_registry_submit(pool_registry_t *registry, const char *tier, const char *name, pool_task_fn fn,
                              void *arg)
{
    return submit(registry, tier, name, &(struct request){call_submit, fn, arg, 0});
}

pool_err pool_registry_try_submit(pool_registry_t *registry, const char *tier, const char *name,
                                  pool_task_fn fn, void *arg)
{
    return submit(registry, tier, name, &(struct request){call_try_submit, fn, arg, 0});
}

pool_err pool_registry_submit_timeout(pool_registry_t *registry, const char *tier, const char *name,
                                      pool_task_fn fn, void *arg, int64_t ms)
{
    return submit(registry, tier, name, &(struct request){call_submit_timeout, fn, arg, ms});
}

/* ---- Holding a pool ----------------------------------------------------------------------- */

pool_err pool_registry_acquire(pool_registry_t *registry, const char *tier, const char *name, pool_t **out)
{
    struct antp_tenant *tenant;
    pool_err err = check(registry);
    if (err == POOL_OK)
        err = out == NULL ? POOL_ERR_INVALID : hold(registry, tier, name, &tenant);
    if (err == POOL_OK)
        *out = atomic_load(&tenant->pool);
    return err;
}

pool_err pool_registry_put(pool_registry_t *registry, pool_t *pool)
{
    pool_err err = check(registry);
    if (err != POOL_OK)
        return err;
    if (pool == NULL || pool->tenant == NULL || pool->tenant->registry != registry)
        return POOL_ERR_INVALID;
    antp_unpin(pool->tenant, true);
    return POOL_OK;
}

/* ---- Walking ------------------------------------------------------------------------------ */

/* The first, or the one behind `last`, pinned; NULL: no more. `last` is unpinned at the end,
 * since until then the registry cannot be freed. tier NULL: any. */
static struct antp_tenant *next_tenant(pool_registry_t *registry, struct antp_tenant *last,
                                       const struct antp_tier *tier)
{
    struct antp_tenant *next = NULL;
    antp_lock(&registry->making);
    struct antp_link *l = last == NULL ? registry->tenants.next : last->link.next;
    for (; next == NULL && l != &registry->tenants; l = l->next) {
        struct antp_tenant *tenant = antp_tenant_of(l);
        if ((tier == NULL || tenant->tier == tier) && antp_pin(tenant))
            next = tenant;
    }
    antp_unlock(&registry->making);
    if (last != NULL)
        antp_unpin(last, false);
    return next;
}

pool_err pool_registry_each(pool_registry_t *registry, pool_registry_visit_fn visit, void *user)
{
    pool_err err = check(registry);
    if (err != POOL_OK || visit == NULL)
        return err != POOL_OK ? err : POOL_ERR_INVALID;
    struct antp_tenant *tenant = NULL;
    while ((tenant = next_tenant(registry, tenant, NULL)) != NULL) {
        pool_t *pool = atomic_load(&tenant->pool); /* NULL: it is being made */
        if (pool != NULL)
            visit(user, pool, tenant->tier->name, tenant->name);
    }
    return POOL_OK;
}

int pool_registry_pools(const pool_registry_t *registry)
{
    return check(registry) == POOL_OK ? atomic_load(&registry->pools) : 0;
}

int pool_registry_total_cap(const pool_registry_t *registry)
{
    return check(registry) == POOL_OK ? (int)antp_least(atomic_load(&registry->total_cap), INT32_MAX) : 0;
}

/* ---- Closing ------------------------------------------------------------------------------ */

/* This thread runs a task or callback of one of its pools. */
static bool is_inside(const pool_registry_t *registry)
{
    for (const struct antp_frame *f = antp_frames(); f != NULL; f = f->outer)
        if (f->pool->tenant != NULL && f->pool->tenant->registry == registry)
            return true;
    return false;
}

/* No pool is made once this is set under `making`; those that are being made are waited for. */
static void close_all(pool_registry_t *registry)
{
    antp_lock(&registry->making);
    atomic_store(&registry->closed, true);
    antp_unlock(&registry->making);
    struct antp_tenant *tenant = NULL;
    while ((tenant = next_tenant(registry, tenant, NULL)) != NULL) {
        antp_await_made(tenant);
        pool_t *pool = atomic_load(&tenant->pool);
        if (pool != NULL)
            (void)pool_release(pool);
    }
}

/* Until what was taken down is gone, and, for destroy, no drain is under way. */
static pool_err wait_gone_locked(pool_registry_t *registry, struct antp_sleeper *me, int drains, int64_t deadline)
{
    pool_err err = POOL_OK;
    antp_list_append(&registry->enders, &me->link);
    while (err == POOL_OK && (registry->leaving > 0 || registry->drains > drains))
        if (!antp_cond_wait_until(&me->wake, &registry->making, deadline) && registry->leaving > 0)
            err = POOL_ERR_TIMEOUT;
    antp_list_remove(&me->link);
    return err;
}

/* ---- Drain -------------------------------------------------------------------------------- */

static pool_err check_tiers(pool_registry_t *registry, const char *const tiers[])
{
    pool_err err = POOL_OK;
    antp_lock(&registry->making);
    for (; tiers != NULL && *tiers != NULL; tiers++)
        if (antp_tier_find_locked(registry, *tiers) == NULL)
            err = POOL_ERR_INVALID;
    antp_unlock(&registry->making);
    return err;
}

/* Once the time is up it only walks on, to give the pins back. */
static pool_err wait_for_tier(pool_registry_t *registry, const struct antp_tier *tier, struct antp_sleeper *me,
                              int64_t deadline)
{
    pool_err err = POOL_OK;
    struct antp_tenant *tenant = NULL;
    while ((tenant = next_tenant(registry, tenant, tier)) != NULL) {
        pool_t *pool = atomic_load(&tenant->pool);
        if (err == POOL_OK && pool != NULL)
            err = antp_end(pool, me, INT32_MAX, deadline);
    }
    return err;
}

/* Those that are not named come last, as added: no tier is added any more, and what has been
 * waited for once is waited for in no time. */
static pool_err wait_in_order(pool_registry_t *registry, const char *const tiers[], struct antp_sleeper *me,
                              int64_t deadline)
{
    pool_err err = POOL_OK;
    for (; err == POOL_OK && tiers != NULL && *tiers != NULL; tiers++)
        err = wait_for_tier(registry, antp_tier_find_locked(registry, *tiers), me, deadline);
    for (struct antp_link *l = registry->tiers.next; err == POOL_OK && l != &registry->tiers; l = l->next)
        err = wait_for_tier(registry, (struct antp_tier *)l, me, deadline);
    return err;
}

static void count_drain(pool_registry_t *registry, int one)
{
    antp_lock(&registry->making);
    registry->drains += one;
    antp_wake_all_locked(&registry->enders);
    antp_unlock(&registry->making);
}

static pool_err drain(pool_registry_t *registry, const char *const tiers[], struct antp_sleeper *me,
                      int64_t deadline)
{
    int cancel = antp_cancel_off();
    count_drain(registry, 1);
    close_all(registry);
    pool_err err = wait_in_order(registry, tiers, me, deadline);
    antp_lock(&registry->making);
    if (err == POOL_OK)
        err = wait_gone_locked(registry, me, INT32_MAX, deadline);
    antp_unlock(&registry->making);
    count_drain(registry, -1);
    antp_cancel_restore(cancel);
    return err;
}

pool_err pool_registry_release_timeout(pool_registry_t *registry, const char *const tiers[], int64_t ms)
{
    struct antp_sleeper me;
    pool_err err = check(registry);
    if (err == POOL_OK)
        err = ms < 0 ? POOL_ERR_INVALID : check_tiers(registry, tiers);
    if (err == POOL_OK && is_inside(registry))
        err = POOL_ERR_DEADLOCK;
    if (err == POOL_OK)
        err = antp_sleeper_init(&me);
    if (err != POOL_OK)
        return err;
    err = drain(registry, tiers, &me, antp_deadline(ms));
    antp_sleeper_fini(&me);
    return err;
}

/* ---- Destroy ------------------------------------------------------------------------------ */

static void free_registry(pool_registry_t *registry)
{
    while (!antp_list_empty(&registry->tiers)) {
        struct antp_tier *tier = (struct antp_tier *)registry->tiers.next;
        antp_list_remove(&tier->link);
        free_tier(tier);
    }
    free(registry);
}

/* Tenants that this thread stands in are kept, and what they point to; those that another
 * thread was freeing at the fork are lost. */
static void free_in_child(pool_registry_t *registry)
{
    if (is_inside(registry))
        return;
    while (!antp_list_empty(&registry->tenants)) {
        struct antp_tenant *tenant = antp_tenant_of(registry->tenants.next);
        antp_list_remove(&tenant->link);
        antp_tenant_free(tenant);
    }
    free_registry(registry);
}

static void end_all(pool_registry_t *registry)
{
    while (!antp_list_empty(&registry->tenants)) {
        struct antp_tenant *tenant = antp_tenant_of(registry->tenants.next);
        antp_await_unpinned(tenant);
        antp_hide(tenant);
        antp_tenant_end(tenant);
    }
}

static void wait_gone(pool_registry_t *registry)
{
    antp_lock(&registry->making);
    (void)wait_gone_locked(registry, &registry->ender, 0, ANTP_NEVER);
    antp_unlock(&registry->making);
}

static void end_registry(pool_registry_t *registry)
{
    int cancel = antp_cancel_off();
    close_all(registry);
    antp_reaper_stop(registry);
    wait_gone(registry);
    end_all(registry);
    antp_cancel_restore(cancel);
    antp_sleeper_fini(&registry->ender);
    antp_cond_fini(&registry->changed);
    fini_locks(registry, LOCKS);
}

pool_err pool_registry_destroy(pool_registry_t *registry)
{
    if (registry == NULL)
        return POOL_OK;
    if (antp_registry_forked(registry)) {
        free_in_child(registry);
        return POOL_OK;
    }
    if (is_inside(registry))
        return POOL_ERR_DEADLOCK;
    end_registry(registry);
    free_registry(registry);
    return POOL_OK;
}
