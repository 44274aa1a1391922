#define _GNU_SOURCE
#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static atomic_bool watching;
static atomic_int wall_clock, sleeps, most_waiters, every, waits, spurious, conditions;
static _Thread_local bool away;

/* How many wait on each condition variable, by a hash of its address: collisions could only
 * be seen as too many waiters, and the table is large. */
enum { CONDITIONS = 1 << 16 };
static atomic_int waiters_on[CONDITIONS];

void watch_start(void)
{
    atomic_store(&wall_clock, 0);
    atomic_store(&sleeps, 0);
    atomic_store(&most_waiters, 0);
    atomic_store(&watching, true);
}

void watch_stop(void)
{
    atomic_store(&watching, false);
}

void watch_look_away(bool on)
{
    away = on;
}

int watch_wall_clock(void)
{
    return atomic_load(&wall_clock);
}

int watch_sleeps(void)
{
    return atomic_load(&sleeps);
}

int watch_most_waiters(void)
{
    return atomic_load(&most_waiters);
}

int watch_conditions(void)
{
    return atomic_load(&conditions);
}

void watch_wake_spuriously(int nth)
{
    atomic_store(&spurious, 0);
    atomic_store(&every, nth);
}

int watch_spurious_wakes(void)
{
    return atomic_load(&spurious);
}

static void note(atomic_int *counter)
{
    if (!away && atomic_load(&watching))
        atomic_fetch_add(counter, 1);
}

/* ---- Clocks and sleeps: __wrap_x takes the calls of x, __real_x is the old x -------------- */

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        note(&wall_clock);
    return __real_clock_gettime(clock, t);
}

int __real_gettimeofday(struct timeval *t, void *zone);
int __wrap_gettimeofday(struct timeval *t, void *zone);
int __wrap_gettimeofday(struct timeval *t, void *zone)
{
    note(&wall_clock);
    return __real_gettimeofday(t, zone);
}

time_t __real_time(time_t *t);
time_t __wrap_time(time_t *t);
time_t __wrap_time(time_t *t)
{
    note(&wall_clock);
    return __real_time(t);
}

int __real_timespec_get(struct timespec *t, int base);
int __wrap_timespec_get(struct timespec *t, int base);
int __wrap_timespec_get(struct timespec *t, int base)
{
    note(&wall_clock);
    return __real_timespec_get(t, base);
}

int __real_nanosleep(const struct timespec *t, struct timespec *left);
int __wrap_nanosleep(const struct timespec *t, struct timespec *left);
int __wrap_nanosleep(const struct timespec *t, struct timespec *left)
{
    note(&sleeps);
    return __real_nanosleep(t, left);
}

int __real_clock_nanosleep(clockid_t clock, int flags, const struct timespec *t, struct timespec *left);
int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *t, struct timespec *left);
int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *t, struct timespec *left)
{
    note(&sleeps);
    return __real_clock_nanosleep(clock, flags, t, left);
}

int __real_usleep(useconds_t us);
int __wrap_usleep(useconds_t us);
int __wrap_usleep(useconds_t us)
{
    note(&sleeps);
    return __real_usleep(us);
}

unsigned __real_sleep(unsigned seconds);
unsigned __wrap_sleep(unsigned seconds);
unsigned __wrap_sleep(unsigned seconds)
{
    note(&sleeps);
    return __real_sleep(seconds);
}

int __real_poll(struct pollfd *fds, nfds_t n, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int ms)
{
    note(&sleeps);
    return __real_poll(fds, n, ms);
}

int __real_select(int n, fd_set *in, fd_set *out, fd_set *odd, struct timeval *t);
int __wrap_select(int n, fd_set *in, fd_set *out, fd_set *odd, struct timeval *t);
int __wrap_select(int n, fd_set *in, fd_set *out, fd_set *odd, struct timeval *t)
{
    note(&sleeps);
    return __real_select(n, in, out, odd, t);
}

/* ---- Condition variables -------------------------------------------------------------------- */

static atomic_int *waiters_of(const pthread_cond_t *cond)
{
    uintptr_t bits = (uintptr_t)cond / 16;
    return &waiters_on[(bits ^ bits >> 16) % CONDITIONS];
}

/* The caller holds the mutex of the condition, so the counts of it do not race. */
static void enter(const pthread_cond_t *cond)
{
    int n = atomic_fetch_add(waiters_of(cond), 1) + 1;
    if (!away && atomic_load(&watching) && n > atomic_load(&most_waiters))
        atomic_store(&most_waiters, n);
}

static void leave(const pthread_cond_t *cond)
{
    atomic_fetch_sub(waiters_of(cond), 1);
}

/* An instant without the mutex, as a real wait has one. */
static bool wakes_spuriously(pthread_mutex_t *mutex)
{
    int nth = atomic_load(&every);
    if (away || nth == 0 || atomic_fetch_add(&waits, 1) % nth != 0)
        return false;
    atomic_fetch_add(&spurious, 1);
    pthread_mutex_unlock(mutex);
    sched_yield();
    pthread_mutex_lock(mutex);
    return true;
}

/* Condition variables whose clock is the monotonic one are noted when they are made. */
static atomic_bool monotonic[CONDITIONS];

static bool goes_by_the_wall_clock(const pthread_cond_t *cond)
{
    return !atomic_load(&monotonic[waiters_of(cond) - waiters_on]);
}

int __real_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr);
int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr);
int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr)
{
    clockid_t clock = CLOCK_REALTIME;
    if (attr != NULL)
        pthread_condattr_getclock(attr, &clock);
    atomic_store(&monotonic[waiters_of(cond) - waiters_on], clock == CLOCK_MONOTONIC);
    int err = __real_pthread_cond_init(cond, attr);
    if (err == 0)
        atomic_fetch_add(&conditions, 1);
    return err;
}

int __real_pthread_cond_destroy(pthread_cond_t *cond);
int __wrap_pthread_cond_destroy(pthread_cond_t *cond);
int __wrap_pthread_cond_destroy(pthread_cond_t *cond)
{
    atomic_fetch_sub(&conditions, 1);
    return __real_pthread_cond_destroy(cond);
}

int __real_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    if (wakes_spuriously(mutex))
        return 0;
    enter(cond);
    int err = __real_pthread_cond_wait(cond, mutex);
    leave(cond);
    return err;
}

int __real_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *t);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *t);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *t)
{
    if (goes_by_the_wall_clock(cond))
        note(&wall_clock);
    if (wakes_spuriously(mutex))
        return 0;
    enter(cond);
    int err = __real_pthread_cond_timedwait(cond, mutex, t);
    leave(cond);
    return err;
}

int __real_pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
                                  const struct timespec *t);
int __wrap_pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
                                  const struct timespec *t);
int __wrap_pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
                                  const struct timespec *t)
{
    if (clock != CLOCK_MONOTONIC)
        note(&wall_clock);
    if (wakes_spuriously(mutex))
        return 0;
    enter(cond);
    int err = __real_pthread_cond_clockwait(cond, mutex, clock, t);
    leave(cond);
    return err;
}

/* ---- Semaphores ------------------------------------------------------------------------------- */

int __real_sem_init(sem_t *sem, int shared, unsigned value);
int __wrap_sem_init(sem_t *sem, int shared, unsigned value);
int __wrap_sem_init(sem_t *sem, int shared, unsigned value)
{
    int err = __real_sem_init(sem, shared, value);
    if (err == 0)
        atomic_fetch_add(&conditions, 1);
    return err;
}

int __real_sem_destroy(sem_t *sem);
int __wrap_sem_destroy(sem_t *sem);
int __wrap_sem_destroy(sem_t *sem)
{
    atomic_fetch_sub(&conditions, 1);
    return __real_sem_destroy(sem);
}

/* As by the handler of a signal. */
static bool is_interrupted(void)
{
    int nth = atomic_load(&every);
    if (away || nth == 0 || atomic_fetch_add(&waits, 1) % nth != 0)
        return false;
    atomic_fetch_add(&spurious, 1);
    errno = EINTR;
    return true;
}

int __real_sem_wait(sem_t *sem);
int __wrap_sem_wait(sem_t *sem);
int __wrap_sem_wait(sem_t *sem)
{
    return is_interrupted() ? -1 : __real_sem_wait(sem);
}

int __real_sem_timedwait(sem_t *sem, const struct timespec *t);
int __wrap_sem_timedwait(sem_t *sem, const struct timespec *t);
int __wrap_sem_timedwait(sem_t *sem, const struct timespec *t)
{
    note(&wall_clock);
    return is_interrupted() ? -1 : __real_sem_timedwait(sem, t);
}

int __real_sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *t);
int __wrap_sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *t);
int __wrap_sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *t)
{
    if (clock != CLOCK_MONOTONIC)
        note(&wall_clock);
    return is_interrupted() ? -1 : __real_sem_clockwait(sem, clock, t);
}
