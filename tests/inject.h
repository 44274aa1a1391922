/* Faults on demand. In the programs that link inject.c the linker (--wrap) leads the calls
 * that can fail for want of memory or threads through it, those made inside the library too. */
#ifndef ANTPOOL_TESTS_INJECT_H
#define ANTPOOL_TESTS_INJECT_H

#include <stdbool.h>
#include <stddef.h>

/* What may fail; one counter runs over all calls of the chosen kinds. */
enum {
    INJECT_MEMORY = 1, /* malloc, calloc, realloc, aligned_alloc, posix_memalign, strdup, mmap … */
    INJECT_THREAD = 2, /* pthread_create: EAGAIN */
    INJECT_SYNC = 4,   /* pthread_mutex_init, pthread_cond_init: EAGAIN */
    INJECT_ALL = 7
};

/* From now on the nth call fails (1: the next), and if `onwards` all after it. nth 0: none,
 * they are only counted. */
void inject_start(unsigned kinds, int nth, bool onwards);

/* Ends that and returns how many calls failed. */
int inject_stop(void);

/* Calls of the chosen kinds since inject_start. */
int inject_calls(void);

/* Bytes asked for since inject_start, whether granted or not. */
size_t inject_bytes(void);

/* Blocks and mappings that are allocated and not freed now. */
int inject_live_blocks(void);

/* The calling thread's own calls do not count and never fail, until told otherwise. */
void inject_spare_me(bool spare);

#endif
