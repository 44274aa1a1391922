/* Locks that cannot fail, the monotonic clock, and threads that sleep until woken. */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__GLIBC__)
#if __GLIBC_PREREQ(2, 30)
#define ANTP_HAS_SEM_CLOCKWAIT 1
#endif
#endif

/* What cannot fail unless memory is corrupt or the caller destroyed the pool under us. */
static void must(int error, const char *what)
{
    if (error == 0)
        return;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): these errors have constant texts */
    fprintf(stderr, "antpool: %s: %s (is a destroyed pool in use?)\n", what, strerror(error));
    abort();
}

int64_t antp_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t antp_add(int64_t a, int64_t b)
{
    return a > ANTP_NEVER - b ? ANTP_NEVER : a + b;
}

int64_t antp_deadline(int64_t ms)
{
    return ms > ANTP_NEVER / 1000000 ? ANTP_NEVER : antp_add(antp_now(), ms * 1000000);
}

int antp_mutex_init(pthread_mutex_t *mutex)
{
    return pthread_mutex_init(mutex, NULL);
}

void antp_lock(pthread_mutex_t *mutex)
{
    must(pthread_mutex_lock(mutex), "lock");
}

void antp_unlock(pthread_mutex_t *mutex)
{
    must(pthread_mutex_unlock(mutex), "unlock");
}

void antp_join(pthread_t thread)
{
    must(pthread_join(thread, NULL), "join");
}

/* Waits, joins and prints are cancellation points; the calls of the library are not. */
int antp_cancel_off(void)
{
    int before;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return before;
}

void antp_cancel_restore(int before)
{
    pthread_setcancelstate(before, NULL);
}

int antp_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    int error = pthread_condattr_init(&attr);
    if (error != 0)
        return error;
    error = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (error == 0)
        error = pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
    return error;
}

void antp_cond_fini(pthread_cond_t *cond)
{
    must(pthread_cond_destroy(cond), "destroy a condition");
}

void antp_cond_signal(pthread_cond_t *cond)
{
    must(pthread_cond_signal(cond), "signal");
}

void antp_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    must(pthread_cond_wait(cond, mutex), "wait");
}

bool antp_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline)
{
    if (deadline == ANTP_NEVER) {
        antp_cond_wait(cond, mutex);
        return true;
    }
    struct timespec t = {(time_t)(deadline / 1000000000), (long)(deadline % 1000000000)};
    int error = pthread_cond_timedwait(cond, mutex, &t);
    if (error == ETIMEDOUT)
        return false;
    must(error, "timed wait");
    return true;
}

int antp_sem_init(sem_t *sem)
{
    return sem_init(sem, 0, 0) == 0 ? 0 : errno;
}

void antp_sem_fini(sem_t *sem)
{
    must(sem_destroy(sem) == 0 ? 0 : errno, "destroy a semaphore");
}

void antp_sem_post(sem_t *sem)
{
    must(sem_post(sem) == 0 ? 0 : errno, "post");
}

/* A signal handler may interrupt it, SIGPROF's for one. */
void antp_sem_wait(sem_t *sem)
{
    while (sem_wait(sem) != 0)
        must(errno == EINTR ? 0 : errno, "wait");
}

/* By the monotonic clock where that is to be had; elsewhere a wall clock that is set meanwhile
 * makes the wait too short or too long. */
static int timed_wait(sem_t *sem, int64_t deadline)
{
#ifdef ANTP_HAS_SEM_CLOCKWAIT
    struct timespec t = {(time_t)(deadline / 1000000000), (long)(deadline % 1000000000)};
    return sem_clockwait(sem, CLOCK_MONOTONIC, &t) == 0 ? 0 : errno;
#else
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    int64_t until = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec + (deadline - antp_now());
    t.tv_sec = (time_t)(until / 1000000000);
    t.tv_nsec = (long)(until % 1000000000);
    return sem_timedwait(sem, &t) == 0 ? 0 : errno;
#endif
}

bool antp_sem_wait_until(sem_t *sem, int64_t deadline)
{
    int error;
    while ((error = timed_wait(sem, deadline)) != 0 && error != ETIMEDOUT)
        must(error == EINTR ? 0 : error, "timed wait");
    return error == 0;
}

pool_err antp_sleeper_init(struct antp_sleeper *sleeper)
{
    antp_list_init(&sleeper->link);
    sleeper->woken = false;
    return antp_cond_init(&sleeper->wake) == 0 ? POOL_OK : POOL_ERR_NO_MEMORY;
}

void antp_sleeper_fini(struct antp_sleeper *sleeper)
{
    antp_cond_fini(&sleeper->wake);
}

bool antp_sleep_locked(pthread_mutex_t *lock, struct antp_sleeper *sleeper, int64_t deadline)
{
    while (!sleeper->woken)
        if (!antp_cond_wait_until(&sleeper->wake, lock, deadline))
            return sleeper->woken;
    return true;
}

/* Under the lock: the sleeper lives on the stack of a thread that this lets go on. */
void antp_sleeper_wake_locked(struct antp_sleeper *sleeper)
{
    sleeper->woken = true;
    antp_cond_signal(&sleeper->wake);
}

/* They leave the list by themselves. */
void antp_wake_all_locked(struct antp_link *sleepers)
{
    for (struct antp_link *l = sleepers->next; l != sleepers; l = l->next)
        antp_sleeper_wake_locked((struct antp_sleeper *)l);
}
