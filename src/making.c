/* Making the pools of a registry: once for all who ask, within the ceilings. The theory is in
 * registry.h. */
#include "registry.h"

#include <stdlib.h>
#include <string.h>

/* ---- The ceilings ------------------------------------------------------------------------- */

static bool has_room(pool_registry_t *registry, int cap)
{
    return (registry->max_pools == 0 || atomic_load(&registry->pools) < registry->max_pools) &&
           (registry->max_total_cap == 0 ||
            atomic_load(&registry->total_cap) + cap <= registry->max_total_cap);
}

static struct antp_tenant *longest_idle_locked(pool_registry_t *registry)
{
    struct antp_tenant *longest = NULL;
    int64_t least = ANTP_NEVER;
    for (struct antp_link *l = registry->tenants.next; l != &registry->tenants; l = l->next) {
        int64_t since = antp_idle_since(antp_tenant_of(l));
        if (since < least) {
            least = since;
            longest = antp_tenant_of(l);
        }
    }
    return longest;
}

/* NULL: none is idle. */
static struct antp_tenant *hide_longest_idle_locked(pool_registry_t *registry)
{
    struct antp_tenant *tenant;
    do
        tenant = longest_idle_locked(registry);
    while (tenant != NULL && !antp_hide_if_idle_locked(tenant)); /* it was used meanwhile */
    return tenant;
}

/* Whoever found nothing under their names waits for `making`, and looks again. */
static void show_again_locked(struct antp_tenant **hidden)
{
    for (; *hidden != NULL; *hidden = (*hidden)->next) {
        antp_show_locked(*hidden);
        (*hidden)->registry->leaving--;
    }
}

/* A thread hook must not wait for the end of another pool: a hook of that one might wait for
 * this. */
static bool in_callback(const pool_registry_t *registry)
{
    for (const struct antp_frame *f = antp_frames(); f != NULL; f = f->outer)
        if (f->task.fn == NULL && f->pool->tenant != NULL && f->pool->tenant->registry == registry)
            return true;
    return false;
}

static pool_err make_room_locked(pool_registry_t *registry, int cap, struct antp_tenant **hidden)
{
    while (!has_room(registry, cap)) {
        struct antp_tenant *tenant = in_callback(registry) ? NULL : hide_longest_idle_locked(registry);
        if (tenant == NULL) {
            show_again_locked(hidden);
            return POOL_ERR_OVERLOAD;
        }
        tenant->next = *hidden;
        *hidden = tenant;
    }
    return POOL_OK;
}

/* ---- Making ------------------------------------------------------------------------------- */

static pool_err init_tenant(struct antp_tenant *tenant, const char *name)
{
    tenant->name = strdup(name);
    if (tenant->name == NULL)
        return POOL_ERR_NO_MEMORY;
    if (antp_mutex_init(&tenant->made) != 0)
        goto undo_name;
    if (antp_sleeper_init(&tenant->ender) != POOL_OK)
        goto undo_made;
    return POOL_OK;
undo_made:
    pthread_mutex_destroy(&tenant->made);
undo_name:
    free(tenant->name);
    return POOL_ERR_NO_MEMORY;
}

/* In no list yet, pinned, and `made` is locked. */
static struct antp_tenant *new_tenant(pool_registry_t *registry, const struct antp_tier *tier,
                                      const struct antp_key *key)
{
    struct antp_tenant *tenant = calloc(1, sizeof *tenant);
    if (tenant == NULL)
        return NULL;
    tenant->registry = registry;
    tenant->tier = tier;
    tenant->hash = key->hash;
    tenant->pins = 1;
    if (init_tenant(tenant, key->name) != POOL_OK) {
        free(tenant);
        return NULL;
    }
    antp_lock(&tenant->made);
    return tenant;
}

static pool_err enter_locked(struct antp_tenant *tenant, struct antp_tenant **hidden)
{
    pool_registry_t *registry = tenant->registry;
    pool_err err = atomic_load(&registry->closed) ? POOL_ERR_CLOSED : antp_reaper_need_locked(registry);
    if (err == POOL_OK)
        err = make_room_locked(registry, tenant->tier->cap, hidden);
    if (err != POOL_OK)
        return err;
    antp_list_append(registry->tenants.next, &tenant->link);
    antp_show_locked(tenant);
    return POOL_OK;
}

/* Those who wait for it have pinned it and find the error. */
static pool_err make_pool(struct antp_tenant *tenant)
{
    pool_t *pool;
    pool_options_t options = tenant->tier->options;
    options.name = tenant->name;
    pool_err err = antp_pool_new(&pool, tenant->tier->cap, &options, (struct antp_owner){.tenant = tenant});
    tenant->error = err;
    if (err == POOL_OK)
        atomic_store_explicit(&tenant->pool, pool, memory_order_release); /* pairs with antp_hold */
    else
        antp_hide(tenant);
    antp_unlock(&tenant->made);
    if (err != POOL_OK)
        antp_unpin(tenant, false);
    return err;
}

/* Enters it, or pins the one of that name that somebody else entered first. */
static pool_err enter(struct antp_tenant *tenant, const struct antp_key *key, struct antp_tenant **other,
                      struct antp_tenant **hidden)
{
    pool_registry_t *registry = tenant->registry;
    antp_lock(&registry->making);
    *other = antp_pin_named(registry, key);
    pool_err err = *other == NULL ? enter_locked(tenant, hidden) : POOL_OK;
    antp_unlock(&registry->making);
    if (*other != NULL || err != POOL_OK) {
        antp_unlock(&tenant->made);
        antp_tenant_free(tenant);
    }
    return err;
}

static const struct antp_tier *find_tier(pool_registry_t *registry, const char *name)
{
    antp_lock(&registry->making);
    const struct antp_tier *tier = antp_tier_find_locked(registry, name);
    antp_unlock(&registry->making);
    return tier;
}

static pool_err make(pool_registry_t *registry, const struct antp_key *key, struct antp_tenant **out)
{
    struct antp_tenant *other, *hidden = NULL;
    const struct antp_tier *tier = find_tier(registry, key->tier);
    if (tier == NULL)
        return POOL_ERR_INVALID;
    struct antp_tenant *tenant = new_tenant(registry, tier, key);
    if (tenant == NULL)
        return POOL_ERR_NO_MEMORY;
    pool_err err = enter(tenant, key, &other, &hidden);
    *out = other != NULL ? other : tenant;
    if (err != POOL_OK || other != NULL)
        return err;
    err = make_pool(tenant);
    antp_end_hidden(hidden); /* after it, so nobody else waits for this */
    return err;
}

/* ---- Holding ------------------------------------------------------------------------------ */

void antp_await_made(struct antp_tenant *tenant)
{
    antp_lock(&tenant->made);
    antp_unlock(&tenant->made);
}

/* A callback of the very pool that is being made, as a start hook: its maker may wait for it. */
static bool in_frame_of_tenant(const struct antp_tenant *tenant)
{
    for (const struct antp_frame *f = antp_frames(); f != NULL; f = f->outer)
        if (f->pool->tenant == tenant)
            return true;
    return false;
}

static pool_err await_pool(struct antp_tenant *tenant)
{
    pool_err err = POOL_ERR_DEADLOCK;
    if (!in_frame_of_tenant(tenant)) {
        antp_await_made(tenant);
        err = tenant->error;
    }
    if (err != POOL_OK)
        antp_unpin(tenant, false);
    return err;
}

pool_err antp_hold(pool_registry_t *registry, const struct antp_key *key, struct antp_tenant **out)
{
    *out = antp_pin_named(registry, key);
    pool_err err = ANTP_LIKELY(*out != NULL) ? POOL_OK : make(registry, key, out);
    if (err == POOL_OK && atomic_load_explicit(&(*out)->pool, memory_order_acquire) == NULL)
        err = await_pool(*out); /* pairs with the store in make_pool */
    return err;
}
