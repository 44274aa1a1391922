/*
 * Making, naming and joining threads.
 *
 * A worker must be the same whoever caused its creation. So its signal mask is set around
 * the create (all blocked but the synchronous ones and SIGPROF), its stack size is
 * explicit, and it takes the affinity and the scheduling of the thread that made the pool.
 */
#include "internal.h"

#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__linux__)
#define ANTP_HAS_AFFINITY 1
#endif

#if defined(__SANITIZE_THREAD__)
#define ANTP_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ANTP_TSAN 1
#endif
#endif
/* Thread sanitizers of today do not know pthread_clockjoin_np. */
#if defined(__GLIBC__) && !defined(ANTP_TSAN)
#if __GLIBC_PREREQ(2, 31)
#define ANTP_HAS_CLOCKJOIN 1
#endif
#endif

struct antp_thread_setup {
    pthread_attr_t attr;
    sigset_t mask;
    int policy;
    struct sched_param param;
#ifdef ANTP_HAS_AFFINITY
    bool has_affinity;
    cpu_set_t affinity;
#endif
};

static void worker_mask(sigset_t *mask)
{
    static const int let_through[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGPROF};
    sigfillset(mask);
    for (size_t i = 0; i < sizeof let_through / sizeof *let_through; i++)
        sigdelset(mask, let_through[i]);
}

static size_t whole_pages(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

/* Those that this thread may use: sysconf would open a file for each new pool. */
unsigned antp_processors(void)
{
#ifdef ANTP_HAS_AFFINITY
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (unsigned)CPU_COUNT(&set);
#endif
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return processors > 0 ? (unsigned)processors : 1;
}

static void remember_maker(struct antp_thread_setup *setup)
{
    pthread_getschedparam(pthread_self(), &setup->policy, &setup->param);
#ifdef ANTP_HAS_AFFINITY
    setup->has_affinity = sched_getaffinity(0, sizeof setup->affinity, &setup->affinity) == 0;
#endif
}

pool_err antp_thread_setup_new(pool_t *pool, size_t stack_size)
{
    struct antp_thread_setup *setup = calloc(1, sizeof *setup);
    if (setup == NULL)
        return POOL_ERR_NO_MEMORY;
    if (pthread_attr_init(&setup->attr) != 0) {
        free(setup);
        return POOL_ERR_NO_MEMORY;
    }
    if (pthread_attr_setstacksize(&setup->attr, whole_pages(stack_size)) != 0) {
        pthread_attr_destroy(&setup->attr);
        free(setup);
        return POOL_ERR_INVALID;
    }
    worker_mask(&setup->mask);
    remember_maker(setup);
    pool->setup = setup;
    return POOL_OK;
}

void antp_thread_setup_free(pool_t *pool)
{
    if (pool->setup == NULL)
        return;
    pthread_attr_destroy(&pool->setup->attr);
    free(pool->setup);
}

pool_err antp_thread_start(struct antp_worker *worker, void *(*start)(void *))
{
    struct antp_thread_setup *setup = worker->pool->setup;
    sigset_t before;
    pthread_sigmask(SIG_SETMASK, &setup->mask, &before);
    int error = pthread_create(&worker->thread, &setup->attr, start, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0 ? POOL_OK : POOL_ERR_NO_THREAD;
}

void antp_thread_mask_worker(void)
{
    sigset_t mask;
    worker_mask(&mask);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
}

/* Writes "/<n>" so that it ends at `end`, and returns where it begins. By hand: snprintf
 * touches a page more of the stack, and a worker's stack is most of what it costs. */
static char *write_number(char *end, int n)
{
    *--end = '\0';
    do
        *--end = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    *--end = '/';
    return end;
}

/* <pool>/<n> in the 15 bytes that Linux gives, cut so that the number stays. */
static void name_thread(const struct antp_worker *worker)
{
#if defined(__linux__)
    char name[16];
    char *number = write_number(name + sizeof name, worker->number);
    size_t length = strnlen(worker->pool->name, (size_t)(number - name));
    memmove(name + length, number, (size_t)(name + sizeof name - number));
    memcpy(name, worker->pool->name, length);
    pthread_setname_np(pthread_self(), name);
#else
    (void)worker;
#endif
}

/* A new thread has what its creator had. Best effort: raising may need a privilege. */
static void adopt_maker(const struct antp_thread_setup *setup)
{
    int policy;
    struct sched_param param;
    if (pthread_getschedparam(pthread_self(), &policy, &param) == 0 &&
        (policy != setup->policy || param.sched_priority != setup->param.sched_priority))
        pthread_setschedparam(pthread_self(), setup->policy, &setup->param);
#ifdef ANTP_HAS_AFFINITY
    cpu_set_t now;
    if (setup->has_affinity && sched_getaffinity(0, sizeof now, &now) == 0 &&
        !CPU_EQUAL(&now, &setup->affinity))
        sched_setaffinity(0, sizeof setup->affinity, &setup->affinity);
#endif
}

void antp_thread_settle(struct antp_worker *worker)
{
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    name_thread(worker);
    adopt_maker(worker->pool->setup);
}

bool antp_thread_gone(pthread_t thread)
{
#if defined(__linux__)
    return pthread_tryjoin_np(thread, NULL) == 0;
#else
    (void)thread; /* a join could wait for a destructor that waits for the caller's lock */
    return false;
#endif
}

bool antp_thread_join(pthread_t thread, int64_t deadline)
{
#ifdef ANTP_HAS_CLOCKJOIN
    if (deadline != ANTP_NEVER) {
        struct timespec t = {(time_t)(deadline / 1000000000), (long)(deadline % 1000000000)};
        return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &t) == 0;
    }
#endif
    (void)deadline; /* elsewhere a slow thread-local destructor holds the join up */
    return pthread_join(thread, NULL) == 0;
}
