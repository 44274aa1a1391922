/* Tenants of a registry: finding and pinning, making within the ceilings, taking down. The
 * theory is in registry.h. */
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

static struct antp_tenant *pin_named(pool_registry_t *registry, const struct antp_key *key)
{
    stripe_t *stripe = stripe_of(registry, key->hash);
    antp_lock(&stripe->lock);
    struct antp_tenant *tenant = find_locked(chain_in(stripe, key->hash), key);
    if (tenant != NULL)
        tenant->pins++;
    antp_unlock(&stripe->lock);
    return tenant;
}

bool antp_pin(struct antp_tenant *tenant)
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

/* ---- In and out of the table -------------------------------------------------------------- */

static void count_locked(pool_registry_t *registry, const struct antp_tier *tier, int one)
{
    atomic_fetch_add(&registry->pools, one);
    if (tier->cap != POOL_UNLIMITED)
        atomic_fetch_add(&registry->total_cap, (int64_t)one * tier->cap);
}

static void show_locked(struct antp_tenant *tenant)
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

/* Hides it if it is idle for long enough, else says when to look again. One that was seen at
 * work counts as used now. */
int64_t antp_hide_idle_locked(struct antp_tenant *tenant, int64_t now, struct antp_tenant **hidden)
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

/* ---- The ceilings ------------------------------------------------------------------------- */

static bool has_room(pool_registry_t *registry, int cap)
{
    return (registry->max_pools == 0 || atomic_load(&registry->pools) < registry->max_pools) &&
           (registry->max_total_cap == 0 ||
            atomic_load(&registry->total_cap) + cap <= registry->max_total_cap);
}

/* Since when it has been idle, ns; ANTP_NEVER: it is not. */
static int64_t idle_since(struct antp_tenant *tenant)
{
    stripe_t *stripe = stripe_of(tenant->registry, tenant->hash);
    antp_lock(&stripe->lock);
    int64_t since = is_idle_locked(tenant) ? tenant->used_at : ANTP_NEVER;
    antp_unlock(&stripe->lock);
    return since;
}

static struct antp_tenant *longest_idle_locked(pool_registry_t *registry)
{
    struct antp_tenant *longest = NULL;
    int64_t least = ANTP_NEVER;
    for (struct antp_link *l = registry->tenants.next; l != &registry->tenants; l = l->next) {
        int64_t since = idle_since(antp_tenant_of(l));
        if (since < least) {
            least = since;
            longest = antp_tenant_of(l);
        }
    }
    return longest;
}

static bool hide_if_idle_locked(struct antp_tenant *tenant)
{
    stripe_t *stripe = stripe_of(tenant->registry, tenant->hash);
    antp_lock(&stripe->lock);
    bool idle = is_idle_locked(tenant);
    if (idle)
        hide_locked(tenant);
    antp_unlock(&stripe->lock);
    return idle;
}

/* NULL: none is idle. */
static struct antp_tenant *hide_longest_idle_locked(pool_registry_t *registry)
{
    struct antp_tenant *tenant;
    do
        tenant = longest_idle_locked(registry);
    while (tenant != NULL && !hide_if_idle_locked(tenant)); /* it was used meanwhile */
    return tenant;
}

/* Whoever found nothing under their names waits for `making`, and looks again. */
static void show_again_locked(struct antp_tenant **hidden)
{
    for (; *hidden != NULL; *hidden = (*hidden)->next) {
        show_locked(*hidden);
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
    show_locked(tenant);
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
    *other = pin_named(registry, key);
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
    *out = pin_named(registry, key);
    pool_err err = ANTP_LIKELY(*out != NULL) ? POOL_OK : make(registry, key, out);
    if (err == POOL_OK && atomic_load_explicit(&(*out)->pool, memory_order_acquire) == NULL)
        err = await_pool(*out); /* pairs with the store in make_pool */
    return err;
}
