/* Drain and destroy of a registry: every pool is closed first, then waited for. The theory is
 * in registry.h. */
#include "registry.h"

#include <stdlib.h>

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
    while ((tenant = antp_tenant_next(registry, tenant, NULL)) != NULL) {
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
    while ((tenant = antp_tenant_next(registry, tenant, tier)) != NULL) {
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
    pool_err err = antp_registry_check(registry);
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
    for (struct antp_link *l = registry->tiers.next, *next; l != &registry->tiers; l = next) {
        next = l->next;
        antp_tier_free((struct antp_tier *)l);
    }
    free(registry);
}

/* Tenants that this thread stands in are kept, and what they point to; those that another
 * thread was freeing at the fork are lost. */
static void free_in_child(pool_registry_t *registry)
{
    if (is_inside(registry))
        return;
    for (struct antp_link *l = registry->tenants.next, *next; l != &registry->tenants; l = next) {
        next = l->next;
        antp_tenant_free(antp_tenant_of(l));
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
    antp_registry_fini(registry);
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
