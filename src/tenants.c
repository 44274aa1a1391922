/* Tenants of a registry: finding, pinning, hiding, taking down. The theory is in registry.h. */
#include "registry.h"

#include <stdlib.h>
#include <string.h>

typedef struct antp_stripe_of_names stripe_t;

/* ---- Finding ------------------------------------------------------------------------------ */

/* FNV-1a, the terminating 0 included. */
static uint64_t hash_more(uint64_t hash, const char *s)
{
    do
        hash = (hash ^ (unsigned char)*s) * 0x100000001b3;
    while (*s++ != '\0');
    return hash;
}

struct antp_key antp_key(const char *tier, const char *name)
{
    return (struct antp_key){tier, name, hash_more(hash_more(0xcbf29ce484222325, tier), name)};
}

static stripe_t *stripe_of(pool_registry_t *registry, uint64_t hash)
{
    return &registry->stripes[hash % ANTP_REGISTRY_STRIPES];
}

static struct antp_link *chain_in(stripe_t *stripe, uint64_t hash)
{
    return &stripe->chains[hash / ANTP_REGISTRY_STRIPES % ANTP_REGISTRY_CHAINS];
}

static bool is_named(const struct antp_tenant *tenant, const struct antp_key *key)
{
    return tenant->hash == key->hash && strcmp(tenant->name, key->name) == 0 &&
           strcmp(tenant->tier->name, key->tier) == 0;
}

static struct antp_tenant *find_locked(struct antp_link *chain, const struct antp_key *key)
{
    for (struct antp_link *l = chain->next; l != chain; l = l->next) {
        struct antp_tenant *tenant = (struct antp_tenant *)l; /* chain is the first member */
        if (is_named(tenant, key))
            return tenant;
    }
    return NULL;
}

struct antp_tier *antp_tier_find_locked(pool_registry_t *registry, const char *name)
{
    for (struct antp_link *l = registry->tiers.next; l != &registry->tiers; l = l->next) {
        struct antp_tier *tier = (struct antp_tier *)l; /* link is the first member */
        if (strcmp(tier->name, name) == 0)
            return tier;
    }
    return NULL;
}

/* ---- Pins --------------------------------------------------------------------------------- */

struct antp_tenant *antp_pin_named(pool_registry_t *registry, const struct antp_key *key)
{
    stripe_t *stripe = stripe_of(registry, key->hash);
    antp_lock(&stripe->lock);
    struct antp_tenant *tenant = find_locked(chain_in(stripe, key->hash), key);
    if (tenant != NULL)
        tenant->pins++;
    antp_unlock(&stripe->lock);
    return tenant;
}

static bool pin_unless_out(struct antp_tenant *tenant)
{
    stripe_t *stripe = stripe_of(tenant->registry, tenant->hash);
    antp_lock(&stripe->lock);
    bool found = !tenant->out;
    tenant->pins += found;
    antp_unlock(&stripe->lock);
    return found;
}

/* The load of armed comes after the unpin in this stripe; the reaper clears it before it
 * looks here. So either it sees this tenant idle, or this sees that it is to be armed. */
static void last_unpin_locked(struct antp_tenant *tenant)
{
    pool_registry_t *registry = tenant->registry;
    if (tenant->awaited)
        antp_cond_signal(&tenant->ender.wake);
    else if (registry->idle_ns != ANTP_NEVER && !tenant->out && !atomic_load(&registry->armed))
        antp_reaper_arm(registry, antp_add(tenant->used_at, registry->idle_ns));
}

/* All under the stripe's lock, which destroy takes before it frees; unless the tenant is
 * out, for which destroy waits. In a forked child the lock may be held by nobody. */
void antp_unpin(struct antp_tenant *tenant, bool used)
{
    if (antp_registry_forked(tenant->registry))
        return;
    stripe_t *stripe = stripe_of(tenant->registry, tenant->hash);
    int64_t now = used ? antp_now() : 0;
    antp_lock(&stripe->lock);
    if (now > tenant->used_at)
        tenant->used_at = now;
    bool last = --tenant->pins == 0, out = tenant->out;
    if (last)
        last_unpin_locked(tenant);
    antp_unlock(&stripe->lock);
    if (last && out)
        antp_tenant_end(tenant);
}

void antp_await_unpinned(struct antp_tenant *tenant)
{
    stripe_t *stripe = stripe_of(tenant->registry, tenant->hash);
    antp_lock(&stripe->lock);
    tenant->awaited = true;
    while (tenant->pins > 0)
        antp_cond_wait(&tenant->ender.wake, &stripe->lock);
    antp_unlock(&stripe->lock);
}

/* ---- Walking ------------------------------------------------------------------------------ */

/* The first, or the one behind `last`, pinned; NULL: no more. `last` is unpinned at the end,
 * since until then the registry cannot be freed. tier NULL: any. */
struct antp_tenant *antp_tenant_next(pool_registry_t *registry, struct antp_tenant *last,
                                     const struct antp_tier *tier)
{
    struct antp_tenant *next = NULL;
    antp_lock(&registry->making);
    struct antp_link *l = last == NULL ? registry->tenants.next : last->link.next;
    for (; next == NULL && l != &registry->tenants; l = l->next) {
        struct antp_tenant *tenant = antp_tenant_of(l);
        if ((tier == NULL || tenant->tier == tier) && pin_unless_out(tenant))
            next = tenant;
    }
    antp_unlock(&registry->making);
    if (last != NULL)
        antp_unpin(last, false);
    return next;
}

/* ---- In and out of the table -------------------------------------------------------------- */

static void count_locked(pool_registry_t *registry, const struct antp_tier *tier, int one)
{
    atomic_fetch_add(&registry->pools, one);
    if (tier->cap != POOL_UNLIMITED)
        atomic_fetch_add(&registry->total_cap, (int64_t)one * tier->cap);
}

void antp_show_locked(struct antp_tenant *tenant)
{
    stripe_t *stripe = stripe_of(tenant->registry, tenant->hash);
    antp_lock(&stripe->lock);
    tenant->out = false;
    antp_list_append(chain_in(stripe, tenant->hash), &tenant->chain);
    antp_unlock(&stripe->lock);
    count_locked(tenant->registry, tenant->tier, 1);
}

/* Its stripe is locked, too. */
static void hide_locked(struct antp_tenant *tenant)
{
    tenant->out = true;
    antp_list_remove(&tenant->chain);
    count_locked(tenant->registry, tenant->tier, -1);
    tenant->registry->leaving++;
}

void antp_hide(struct antp_tenant *tenant)
{
    pool_registry_t *registry = tenant->registry;
    stripe_t *stripe = stripe_of(registry, tenant->hash);
    antp_lock(&registry->making);
    antp_lock(&stripe->lock);
    hide_locked(tenant);
    antp_unlock(&stripe->lock);
    antp_unlock(&registry->making);
}

/* Nobody can submit to it any more: it has no pin, so there is no submitter but its own
 * tasks, of which there is none. */
static bool is_idle_locked(const struct antp_tenant *tenant)
{
    if (tenant->out || tenant->pins > 0)
        return false;
    pool_t *pool = atomic_load_explicit(&tenant->pool, memory_order_relaxed); /* its maker unpinned */
    return antp_is_quiet(pool) && atomic_load(&pool->inside) == 0;
}

/* Since when it has been idle, ns; ANTP_NEVER: it is not. */
int64_t antp_idle_since(struct antp_tenant *tenant)
{
    stripe_t *stripe = stripe_of(tenant->registry, tenant->hash);
    antp_lock(&stripe->lock);
    int64_t since = is_idle_locked(tenant) ? tenant->used_at : ANTP_NEVER;
    antp_unlock(&stripe->lock);
    return since;
}

bool antp_hide_if_idle_locked(struct antp_tenant *tenant)
{
    stripe_t *stripe = stripe_of(tenant->registry, tenant->hash);
    antp_lock(&stripe->lock);
    bool idle = is_idle_locked(tenant);
    if (idle)
        hide_locked(tenant);
    antp_unlock(&stripe->lock);
    return idle;
}

/* Hides it if it is idle for long enough, else says when to look again. One that was seen at
 * work counts as used now. */
int64_t antp_hide_due_locked(struct antp_tenant *tenant, int64_t now, struct antp_tenant **hidden)
{
    int64_t due = ANTP_NEVER, idle_ns = tenant->registry->idle_ns;
    stripe_t *stripe = stripe_of(tenant->registry, tenant->hash);
    antp_lock(&stripe->lock);
    if (!tenant->out && tenant->pins == 0) {
        due = antp_add(tenant->used_at, idle_ns);
        if (due <= now && is_idle_locked(tenant)) {
            hide_locked(tenant);
            tenant->next = *hidden;
            *hidden = tenant;
            due = ANTP_NEVER;
        } else if (due <= now) {
            tenant->used_at = now;
            due = antp_add(now, idle_ns);
        }
    }
    antp_unlock(&stripe->lock);
    return due;
}

/* ---- Taking down -------------------------------------------------------------------------- */

void antp_tenant_free(struct antp_tenant *tenant)
{
    pool_t *pool = atomic_load(&tenant->pool);
    if (pool != NULL)
        antp_pool_free(pool);
    if (!antp_registry_forked(tenant->registry)) {
        antp_sleeper_fini(&tenant->ender);
        pthread_mutex_destroy(&tenant->made);
    }
    free(tenant->name);
    free(tenant);
}

/* Out of the list before it is freed, and done with the registry once it is not counted. */
void antp_tenant_end(struct antp_tenant *tenant)
{
    pool_registry_t *registry = tenant->registry;
    pool_t *pool = atomic_load(&tenant->pool);
    if (pool != NULL)
        antp_end(pool, &tenant->ender, 1, ANTP_NEVER);
    antp_lock(&registry->making);
    antp_list_remove(&tenant->link);
    antp_unlock(&registry->making);
    antp_tenant_free(tenant);
    antp_lock(&registry->making);
    if (--registry->leaving == 0)
        antp_wake_all_locked(&registry->enders);
    antp_unlock(&registry->making);
}

/* All are closed first, so that their threads end at the same time. */
void antp_end_hidden(struct antp_tenant *hidden)
{
    for (struct antp_tenant *t = hidden; t != NULL; t = t->next)
        (void)pool_release(atomic_load(&t->pool));
    for (struct antp_tenant *t = hidden, *next; t != NULL; t = next) {
        next = t->next;
        antp_tenant_end(t);
    }
}
