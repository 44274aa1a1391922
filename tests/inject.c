#define _GNU_SOURCE
#include "inject.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static atomic_uint kinds_armed;
static atomic_int first, calls, failures, live_blocks;
static atomic_bool all_after;
static atomic_size_t bytes;
static atomic_int processors;
static _Atomic(void (*)(void)) before_cond;
static _Thread_local bool spared, armed_here;

void inject_start(unsigned kinds, int nth, bool onwards)
{
    atomic_store(&first, nth);
    atomic_store(&all_after, onwards);
    atomic_store(&calls, 0);
    atomic_store(&failures, 0);
    atomic_store(&bytes, 0);
    atomic_store(&kinds_armed, kinds);
    armed_here = true;
}

int inject_stop(void)
{
    atomic_store(&kinds_armed, 0);
    armed_here = false;
    return atomic_load(&failures);
}

int inject_calls(void)
{
    return atomic_load(&calls);
}

size_t inject_bytes(void)
{
    return atomic_load(&bytes);
}

int inject_live_blocks(void)
{
    return atomic_load(&live_blocks);
}

void inject_before_cond(void (*hook)(void))
{
    atomic_store(&before_cond, hook);
}

void inject_processors(int n)
{
    atomic_store(&processors, n);
}

void inject_spare_me(bool spare)
{
    spared = spare;
}

static bool must_fail(unsigned kind, size_t size)
{
    if (spared || !(atomic_load(&kinds_armed) & kind))
        return false;
    atomic_fetch_add(&bytes, size);
    int nth = atomic_load(&first), call = atomic_fetch_add(&calls, 1) + 1;
    if (nth == 0 || call < nth || (call > nth && !atomic_load(&all_after)))
        return false;
    atomic_fetch_add(&failures, 1);
    return true;
}

static void *counted(void *block)
{
    if (block != NULL)
        atomic_fetch_add(&live_blocks, 1);
    return block;
}

static void *no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* The names are the linker's: __wrap_x takes the calls of x, __real_x is the old x. */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    return must_fail(INJECT_MEMORY, size) ? no_memory() : counted(__real_malloc(size));
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    return must_fail(INJECT_MEMORY, n * size) ? no_memory() : counted(__real_calloc(n, size));
}

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size)
{
    if (must_fail(INJECT_MEMORY, size))
        return no_memory();
    void *block = __real_realloc(old, size);
    return old == NULL ? counted(block) : block;
}

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return must_fail(INJECT_MEMORY, size) ? no_memory()
                                          : counted(__real_aligned_alloc(alignment, size));
}

int __real_posix_memalign(void **out, size_t alignment, size_t size);
int __wrap_posix_memalign(void **out, size_t alignment, size_t size);
int __wrap_posix_memalign(void **out, size_t alignment, size_t size)
{
    if (must_fail(INJECT_MEMORY, size))
        return ENOMEM;
    int err = __real_posix_memalign(out, alignment, size);
    if (err == 0)
        counted(*out);
    return err;
}

char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);
char *__wrap_strdup(const char *s)
{
    return must_fail(INJECT_MEMORY, strlen(s)) ? no_memory() : counted(__real_strdup(s));
}

char *__real_strndup(const char *s, size_t n);
char *__wrap_strndup(const char *s, size_t n);
char *__wrap_strndup(const char *s, size_t n)
{
    return must_fail(INJECT_MEMORY, n) ? no_memory() : counted(__real_strndup(s, n));
}

void __real_free(void *block);
void __wrap_free(void *block);
void __wrap_free(void *block)
{
    if (block != NULL)
        atomic_fetch_sub(&live_blocks, 1);
    __real_free(block);
}

void *__real_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
    if (must_fail(INJECT_MEMORY, size)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    void *pages = __real_mmap(at, size, prot, flags, fd, offset);
    if (pages != MAP_FAILED)
        counted(pages);
    return pages;
}

int __real_munmap(void *at, size_t size);
int __wrap_munmap(void *at, size_t size);
int __wrap_munmap(void *at, size_t size)
{
    atomic_fetch_sub(&live_blocks, 1);
    return __real_munmap(at, size);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg)
{
    if (must_fail(INJECT_THREAD, 0))
        return EAGAIN;
    bool armed = armed_here;
    armed_here = false;
    int error = __real_pthread_create(thread, attr, run, arg);
    armed_here = armed;
    return error;
}

int __real_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr)
{
    return must_fail(INJECT_SYNC, 0) ? EAGAIN : __real_pthread_mutex_init(mutex, attr);
}

int __real_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr);
int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr);
int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr)
{
    void (*hook)(void) = atomic_exchange(&before_cond, NULL);
    if (hook != NULL)
        hook();
    return must_fail(INJECT_SYNC, 0) ? EAGAIN : __real_pthread_cond_init(cond, attr);
}

int __real_sem_init(sem_t *sem, int shared, unsigned value);
int __wrap_sem_init(sem_t *sem, int shared, unsigned value);
int __wrap_sem_init(sem_t *sem, int shared, unsigned value)
{
    if (!must_fail(INJECT_SYNC, 0))
        return __real_sem_init(sem, shared, value);
    errno = ENOSPC;
    return -1;
}

int __real_pthread_condattr_init(pthread_condattr_t *attr);
int __wrap_pthread_condattr_init(pthread_condattr_t *attr);
int __wrap_pthread_condattr_init(pthread_condattr_t *attr)
{
    return must_fail(INJECT_SYNC, 0) ? EAGAIN : __real_pthread_condattr_init(attr);
}

int __real_pthread_condattr_setclock(pthread_condattr_t *attr, clockid_t clock);
int __wrap_pthread_condattr_setclock(pthread_condattr_t *attr, clockid_t clock);
int __wrap_pthread_condattr_setclock(pthread_condattr_t *attr, clockid_t clock)
{
    return must_fail(INJECT_SYNC, 0) ? EAGAIN : __real_pthread_condattr_setclock(attr, clock);
}

/* A sanitizer that is linked in calls this in new threads and on the way to them. The library
 * does not: so it fails in the thread that asked for it, outside of pthread_create. */
int __real_pthread_attr_init(pthread_attr_t *attr);
int __wrap_pthread_attr_init(pthread_attr_t *attr);
int __wrap_pthread_attr_init(pthread_attr_t *attr)
{
    return armed_here && must_fail(INJECT_SYNC, 0) ? EAGAIN : __real_pthread_attr_init(attr);
}

int __real_pthread_attr_setstacksize(pthread_attr_t *attr, size_t size);
int __wrap_pthread_attr_setstacksize(pthread_attr_t *attr, size_t size);
int __wrap_pthread_attr_setstacksize(pthread_attr_t *attr, size_t size)
{
    return must_fail(INJECT_STACK, 0) ? EINVAL : __real_pthread_attr_setstacksize(attr, size);
}

int __real_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    return getenv(INJECT_NO_ATFORK) != NULL ? ENOMEM : __real_pthread_atfork(prepare, parent, child);
}

/* ---- Frills ---- */

int __real_pthread_setname_np(pthread_t thread, const char *name);
int __wrap_pthread_setname_np(pthread_t thread, const char *name);
int __wrap_pthread_setname_np(pthread_t thread, const char *name)
{
    return must_fail(INJECT_FRILLS, 0) ? EPERM : __real_pthread_setname_np(thread, name);
}

int __real_pthread_getschedparam(pthread_t thread, int *policy, struct sched_param *param);
int __wrap_pthread_getschedparam(pthread_t thread, int *policy, struct sched_param *param);
int __wrap_pthread_getschedparam(pthread_t thread, int *policy, struct sched_param *param)
{
    return must_fail(INJECT_FRILLS, 0) ? EPERM : __real_pthread_getschedparam(thread, policy, param);
}

static int not_permitted(void)
{
    errno = EPERM;
    return -1;
}

static int make_up(cpu_set_t *set, int n)
{
    CPU_ZERO(set);
    for (int i = 0; i < n; i++)
        CPU_SET((size_t)i, set);
    return 0;
}

int __real_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
    if (must_fail(INJECT_FRILLS, 0))
        return not_permitted();
    int n = atomic_load(&processors);
    return n > 0 ? make_up(set, n) : __real_sched_getaffinity(pid, size, set);
}

int __real_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set);
int __wrap_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set);
int __wrap_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set)
{
    return must_fail(INJECT_FRILLS, 0) ? not_permitted() : __real_sched_setaffinity(pid, size, set);
}
