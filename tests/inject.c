#define _GNU_SOURCE
#include "inject.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static atomic_uint kinds_armed;
static atomic_int first, calls, failures, live_blocks;
static atomic_bool all_after;
static atomic_size_t bytes;
static _Thread_local bool spared;

void inject_start(unsigned kinds, int nth, bool onwards)
{
    atomic_store(&first, nth);
    atomic_store(&all_after, onwards);
    atomic_store(&calls, 0);
    atomic_store(&failures, 0);
    atomic_store(&bytes, 0);
    atomic_store(&kinds_armed, kinds);
}

int inject_stop(void)
{
    atomic_store(&kinds_armed, 0);
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
    return must_fail(INJECT_THREAD, 0) ? EAGAIN : __real_pthread_create(thread, attr, run, arg);
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
    return must_fail(INJECT_SYNC, 0) ? EAGAIN : __real_pthread_cond_init(cond, attr);
}
