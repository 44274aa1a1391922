/* Memory: what was freed is kept until the end of the schedule, so that a use of it is seen;
 * what was not freed by then is a leak. */
#include "schedule.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCKS_MAX = 4096 };

struct block {
    char *at;
    size_t size;
};

static struct block live[BLOCKS_MAX], freed[BLOCKS_MAX];
static int n_live, n_freed;

void *__real_malloc(size_t);
void *__real_aligned_alloc(size_t, size_t);
void __real_free(void *);
void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);
void *__wrap_aligned_alloc(size_t, size_t);
char *__wrap_strdup(const char *);
void __wrap_free(void *);

/* ---- Checks ----------------------------------------------------------------------------------- */

void memory_check(const volatile void *at, size_t size)
{
    const volatile char *a = at;
    for (int i = 0; i < n_freed; i++)
        if (a < freed[i].at + freed[i].size && a + size > freed[i].at)
            schedule_fail("memory is used that was freed: %zu bytes at %zu of %zu", size,
                          (size_t)(a - freed[i].at), freed[i].size);
}

void memory_begin(void)
{
    n_live = 0;
}

void memory_end(void)
{
    if (n_live > 0)
        schedule_fail("%d blocks of memory are left over, one of %zu bytes", n_live, live[0].size);
    while (n_freed > 0)
        __real_free(freed[--n_freed].at);
}

/* ---- Calls -------------------------------------------------------------------------------------- */

static void *note(void *at, size_t size)
{
    if (at == NULL || n_live == BLOCKS_MAX)
        schedule_fail("out of memory, or of room to note it");
    live[n_live++] = (struct block){at, size};
    return at;
}

void *__wrap_malloc(size_t size)
{
    return self == NULL ? __real_malloc(size) : note(__real_malloc(size), size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    void *at = __wrap_malloc(n * size);
    return at == NULL ? NULL : memset(at, 0, n * size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    void *at = __real_aligned_alloc(alignment, size);
    return self == NULL ? at : note(at, size);
}

char *__wrap_strdup(const char *s)
{
    size_t size = strlen(s) + 1;
    char *copy = __wrap_malloc(size);
    return copy == NULL ? NULL : memcpy(copy, s, size);
}

static int place_of(const void *at)
{
    for (int i = 0; i < n_live; i++)
        if (live[i].at == at)
            return i;
    schedule_fail("memory is freed that is not allocated");
}

void __wrap_free(void *at)
{
    if (at == NULL || self == NULL) {
        __real_free(at);
        return;
    }
    int i = place_of(at);
    if (n_freed == BLOCKS_MAX)
        schedule_fail("too many blocks were freed");
    race_access(at, live[i].size, RACE_WRITE, __builtin_return_address(0));
    freed[n_freed++] = live[i];
    live[i] = live[--n_live];
}

void *__wrap_realloc(void *old, size_t size)
{
    void *at = __wrap_malloc(size);
    if (old != NULL) {
        size_t before = live[place_of(old)].size;
        memcpy(at, old, before < size ? before : size);
        __wrap_free(old);
    }
    return at;
}
