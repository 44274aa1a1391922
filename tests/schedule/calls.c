/* Calls of pthreads and the clock, as the linker leads them here: __wrap_x takes the calls
 * of x, __real_x is x itself. Those of threads that are not of a scenario go through. */
#define _GNU_SOURCE
#include "schedule.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#define HERE __builtin_return_address(0)

enum { CONDITIONS_MAX = 256 };

static const pthread_cond_t *conditions[CONDITIONS_MAX]; /* those that are initialised */
static int n_conditions;

/* ---- Mutexes -------------------------------------------------------------------------------- */

int __real_pthread_mutex_lock(pthread_mutex_t *);
int __wrap_pthread_mutex_lock(pthread_mutex_t *);
int __real_pthread_mutex_unlock(pthread_mutex_t *);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *);
int __real_pthread_mutex_destroy(pthread_mutex_t *);
int __wrap_pthread_mutex_destroy(pthread_mutex_t *);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (self == NULL)
        return __real_pthread_mutex_lock(mutex);
    memory_check(mutex, sizeof *mutex);
    stores_flush(self);
    schedule_block(A_MUTEX, mutex, NO_DEADLINE, "lock", HERE);
    memory_check(mutex, sizeof *mutex);
    take(mutex);
    race_acquire(mutex);
    return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    if (self == NULL)
        return __real_pthread_mutex_unlock(mutex);
    memory_check(mutex, sizeof *mutex);
    stores_flush(self);
    race_release(mutex);
    give_back(mutex);
    schedule_point("unlocked", HERE);
    return 0;
}

int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex)
{
    if (self != NULL && held(mutex))
        schedule_fail("a mutex is destroyed that is held");
    return __real_pthread_mutex_destroy(mutex);
}

/* ---- Conditions ------------------------------------------------------------------------------- */

int __real_pthread_cond_init(pthread_cond_t *, const pthread_condattr_t *);
int __wrap_pthread_cond_init(pthread_cond_t *, const pthread_condattr_t *);
int __real_pthread_cond_destroy(pthread_cond_t *);
int __wrap_pthread_cond_destroy(pthread_cond_t *);
int __wrap_pthread_cond_wait(pthread_cond_t *, pthread_mutex_t *);
int __wrap_pthread_cond_timedwait(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
int __wrap_pthread_cond_signal(pthread_cond_t *);

static int place_of(const pthread_cond_t *cond)
{
    for (int i = 0; i < n_conditions; i++)
        if (conditions[i] == cond)
            return i;
    return -1;
}

static struct thread *waiter_on(const pthread_cond_t *cond)
{
    for (int i = 0; i < THREADS_MAX; i++)
        if (threads[i].used && threads[i].waits == A_CONDITION && threads[i].object == cond)
            return &threads[i];
    return NULL;
}

static void check_condition(const pthread_cond_t *cond)
{
    memory_check(cond, sizeof *cond);
    if (place_of(cond) < 0)
        schedule_fail("a condition is used that is destroyed, or never was initialised");
}

/* Anew over an old one, as over a forgotten stack, is no error. */
int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr)
{
    if (self != NULL && place_of(cond) < 0) {
        if (n_conditions == CONDITIONS_MAX)
            schedule_fail("too many conditions");
        conditions[n_conditions++] = cond;
    }
    return __real_pthread_cond_init(cond, attr);
}

int __wrap_pthread_cond_destroy(pthread_cond_t *cond)
{
    if (self != NULL) {
        check_condition(cond);
        if (waiter_on(cond) != NULL)
            schedule_fail("a condition is destroyed while a thread waits on it");
        conditions[place_of(cond)] = conditions[--n_conditions];
    }
    return __real_pthread_cond_destroy(cond);
}

static bool wait_on(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline, const void *where)
{
    check_condition(cond);
    if (waiter_on(cond) != NULL)
        schedule_fail("two threads wait on one condition");
    stores_flush(self);
    race_release(mutex);
    give_back(mutex);
    self->mutex = mutex;
    bool yes = schedule_block(A_CONDITION, cond, deadline, "wait", where);
    take(mutex);
    race_acquire(mutex);
    return yes;
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    wait_on(cond, mutex, NO_DEADLINE, HERE);
    return 0;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
    int64_t deadline = until->tv_sec > INT64_MAX / 1000000000 - 1 ? NO_DEADLINE - 1
                                                                  : until->tv_sec * 1000000000 + until->tv_nsec;
    return wait_on(cond, mutex, deadline, HERE) ? 0 : ETIMEDOUT;
}

int __wrap_pthread_cond_signal(pthread_cond_t *cond)
{
    stores_flush(self);
    schedule_point("signal", HERE);
    check_condition(cond);
    struct thread *waiter = waiter_on(cond);
    if (waiter != NULL)
        waiter->signalled = true;
    return 0;
}

/* ---- Semaphores ------------------------------------------------------------------------------- */

int __real_sem_wait(sem_t *);
int __wrap_sem_wait(sem_t *);
int __real_sem_post(sem_t *);
int __wrap_sem_post(sem_t *);
int __real_sem_destroy(sem_t *);
int __wrap_sem_destroy(sem_t *);
int __wrap_sem_clockwait(sem_t *, clockid_t, const struct timespec *);

static bool is_posted(void *sem)
{
    int value = 0;
    sem_getvalue(sem, &value);
    return value > 0;
}

static int wait_for_post(sem_t *sem, int64_t deadline, const void *where)
{
    memory_check(sem, sizeof *sem);
    stores_flush(self);
    self->holds = is_posted;
    self->user = sem;
    if (!schedule_block(A_SEMAPHORE, sem, deadline, "wait", where)) {
        errno = ETIMEDOUT;
        return -1;
    }
    memory_check(sem, sizeof *sem);
    if (!is_posted(sem)) {
        errno = EINTR;
        return -1;
    }
    race_acquire(sem);
    return sem_trywait(sem);
}

int __wrap_sem_wait(sem_t *sem)
{
    return self == NULL ? __real_sem_wait(sem) : wait_for_post(sem, NO_DEADLINE, HERE);
}

int __wrap_sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *until)
{
    (void)clock;
    return wait_for_post(sem, until->tv_sec * 1000000000 + until->tv_nsec, HERE);
}

int __wrap_sem_post(sem_t *sem)
{
    if (self == NULL)
        return __real_sem_post(sem);
    stores_flush(self);
    schedule_point("post", HERE);
    memory_check(sem, sizeof *sem);
    if (is_posted(sem))
        schedule_fail("a semaphore is posted twice");
    race_release(sem);
    return __real_sem_post(sem);
}

int __wrap_sem_destroy(sem_t *sem)
{
    for (int i = 0; self != NULL && i < THREADS_MAX; i++)
        if (threads[i].used && threads[i].waits == A_SEMAPHORE && threads[i].object == sem)
            schedule_fail("a semaphore is destroyed while a thread waits on it");
    return __real_sem_destroy(sem);
}

/* ---- Threads -------------------------------------------------------------------------------------- */

void *schedule_thread_main(void *);
int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __real_pthread_join(pthread_t, void **);
int __wrap_pthread_join(pthread_t, void **);
int __wrap_pthread_tryjoin_np(pthread_t, void **);
int __wrap_pthread_clockjoin_np(pthread_t, void **, clockid_t, const struct timespec *);

int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
    stores_flush(self);
    schedule_point("create", HERE);
    if (schedule_create_fails())
        return EAGAIN;
    struct thread *t = schedule_new_thread();
    t->start = start;
    t->arg = arg;
    race_created(t);
    int error = __real_pthread_create(&t->handle, attr, schedule_thread_main, t);
    if (error != 0)
        schedule_fail("the system makes no thread: %s", strerror(error));
    *out = t->handle;
    return 0;
}

static struct thread *thread_of(pthread_t handle)
{
    for (int i = 1; i < THREADS_MAX; i++)
        if (threads[i].used && pthread_equal(threads[i].handle, handle))
            return &threads[i];
    schedule_fail("a thread is joined that is no more");
}

static int join(struct thread *t, void **result)
{
    int error = __real_pthread_join(t->handle, result);
    race_joined(t);
    schedule_thread_over(t);
    return error;
}

int __wrap_pthread_join(pthread_t handle, void **result)
{
    struct thread *t = thread_of(handle);
    stores_flush(self);
    schedule_block(A_THREAD, t, NO_DEADLINE, "join", HERE);
    return join(t, result);
}

int __wrap_pthread_tryjoin_np(pthread_t handle, void **result)
{
    struct thread *t = thread_of(handle);
    stores_flush(self);
    schedule_point("try to join", HERE);
    return t->finished ? join(t, result) : EBUSY;
}

int __wrap_pthread_clockjoin_np(pthread_t handle, void **result, clockid_t clock, const struct timespec *until)
{
    (void)clock;
    struct thread *t = thread_of(handle);
    stores_flush(self);
    int64_t deadline = until->tv_sec * 1000000000 + until->tv_nsec;
    return schedule_block(A_THREAD, t, deadline, "join", HERE) ? join(t, result) : ETIMEDOUT;
}

/* ---- Time and processors ---------------------------------------------------------------------------- */

int __real_clock_gettime(clockid_t, struct timespec *);
int __wrap_clock_gettime(clockid_t, struct timespec *);
int __real_sched_yield(void);
int __wrap_sched_yield(void);
int __real_sched_getaffinity(pid_t, size_t, cpu_set_t *);
int __wrap_sched_getaffinity(pid_t, size_t, cpu_set_t *);

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
    if (self == NULL)
        return __real_clock_gettime(clock, t);
    schedule_now += strategy_clock_step();
    schedule_point("read the clock", HERE);
    t->tv_sec = schedule_now / 1000000000;
    t->tv_nsec = schedule_now % 1000000000;
    return 0;
}

int __wrap_sched_yield(void)
{
    if (self == NULL)
        return __real_sched_yield();
    schedule_yield("yield", HERE);
    return 0;
}

/* Two, whatever the machine has: so a schedule is the same everywhere. */
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
    if (self == NULL)
        return __real_sched_getaffinity(pid, size, set);
    CPU_ZERO_S(size, set);
    CPU_SET_S(0, size, set);
    CPU_SET_S(1, size, set);
    return 0;
}
