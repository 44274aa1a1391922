/*
 * fork: a child has the memory of its parent's pools, but none of their threads.
 *
 * Each pool remembers the generation in which it was made, each fork begins a new one in
 * the child. So a call knows a pool of the parent by one comparison, without getpid. What
 * the process shares (janitor, default pool) is locked around the fork, so that the child
 * finds it whole.
 */
#include "internal.h"

atomic_uint antp_generation;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int watching; /* result of pthread_atfork */

static void before_fork(void)
{
    antp_default_before_fork();
    antp_janitor_before_fork();
}

static void after_fork(bool child)
{
    if (child)
        atomic_fetch_add(&antp_generation, 1);
    antp_janitor_after_fork(child);
    antp_default_after_fork(child);
}

static void after_fork_in_parent(void)
{
    after_fork(false);
}

static void after_fork_in_child(void)
{
    after_fork(true);
}

static void watch(void)
{
    watching = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* As early as the compiler lets us: handlers run in the reverse order before a fork, so
 * those of the application then find nothing locked. */
#if defined(__GNUC__)
__attribute__((constructor))
#endif
static void watch_early(void)
{
    pthread_once(&once, watch);
}

pool_err antp_fork_watch(void)
{
    watch_early();
    return watching == 0 ? POOL_OK : POOL_ERR_NO_MEMORY;
}
