/*
 * The reaper of a registry: one thread that takes down pools which were idle for long
 * enough. It is started with the first pool, if the registry has an idle time at all.
 *
 * It comes when the first pool is due, and not twice within a quarter of the idle time: then
 * a visit, which looks at every tenant, takes down all that are due together. A visit that
 * finds no pool without a pin leaves it unarmed, asleep without a timeout; the next last
 * unpin arms it. Pools are ended with no lock held, so one whose threads take long to end
 * holds up other takings down at most.
 */
#include "registry.h"

#include <signal.h>

/* ---- Arming ------------------------------------------------------------------------------- */

static void arm_locked(pool_registry_t *registry, int64_t due)
{
    if (due >= registry->due)
        return;
    registry->due = due;
    atomic_store(&registry->armed, true);
    antp_cond_signal(&registry->changed);
}

void antp_reaper_arm(pool_registry_t *registry, int64_t due)
{
    antp_lock(&registry->reaping);
    arm_locked(registry, due);
    antp_unlock(&registry->reaping);
}

/* ---- A visit ------------------------------------------------------------------------------ */

/* Hides those that are due; returns when the first of the others will be. */
static int64_t hide_due(pool_registry_t *registry, struct antp_tenant **hidden)
{
    int64_t now = antp_now(), next = ANTP_NEVER;
    antp_lock(&registry->making);
    bool open = !atomic_load(&registry->closed); /* else they stay for who waits for them */
    for (struct antp_link *l = registry->tenants.next; open && l != &registry->tenants; l = l->next)
        next = antp_least(next, antp_hide_idle_locked(antp_tenant_of(l), now, hidden));
    antp_unlock(&registry->making);
    int64_t soonest = antp_add(now, registry->idle_ns / 4);
    return next < soonest ? soonest : next;
}

static void visit_locked(pool_registry_t *registry)
{
    struct antp_tenant *hidden = NULL;
    registry->due = ANTP_NEVER;
    atomic_store(&registry->armed, false); /* before the look at any tenant: see the last unpin */
    antp_unlock(&registry->reaping);
    int64_t next = hide_due(registry, &hidden);
    antp_end_hidden(hidden);
    antp_lock(&registry->reaping);
    arm_locked(registry, next);
}

static void *reaper_main(void *arg)
{
    pool_registry_t *registry = arg;
#if defined(__linux__)
    pthread_setname_np(pthread_self(), "antpool/reaper");
#endif
    antp_lock(&registry->reaping);
    while (!registry->stop) {
        if (registry->due <= antp_now())
            visit_locked(registry);
        else
            antp_cond_wait_until(&registry->changed, &registry->reaping, registry->due);
    }
    antp_unlock(&registry->reaping);
    return NULL;
}

/* ---- The thread --------------------------------------------------------------------------- */

pool_err antp_reaper_need_locked(pool_registry_t *registry)
{
    if (registry->idle_ns == ANTP_NEVER || registry->has_reaper)
        return POOL_OK;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&registry->reaper, NULL, reaper_main, registry);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    registry->has_reaper = error == 0;
    return error == 0 ? POOL_OK : POOL_ERR_NO_THREAD;
}

void antp_reaper_stop(pool_registry_t *registry)
{
    antp_lock(&registry->making);
    bool has_reaper = registry->has_reaper;
    antp_unlock(&registry->making);
    if (!has_reaper)
        return;
    antp_lock(&registry->reaping);
    registry->stop = true;
    antp_cond_signal(&registry->changed);
    antp_unlock(&registry->reaping);
    antp_join(registry->reaper);
}
