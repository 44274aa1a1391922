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
    INJECT_SYNC = 4,   /* making of mutexes, condition variables, semaphores and attributes */
    INJECT_ALL = 7,    /* all of these are answered by an error … */
    INJECT_FRILLS = 8, /* … thread names, scheduling and affinity must not be: EPERM */
    INJECT_STACK = 16  /* pthread_attr_setstacksize: EINVAL */
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

/* Before the next making of a condition variable, its thread calls the hook, once. */
void inject_before_cond(void (*hook)(void));

/* sched_getaffinity says so many processors; 0: what there are. */
void inject_processors(int n);

/* With this variable in the environment pthread_atfork, called before main, has failed. */
#define INJECT_NO_ATFORK "ANTPOOL_TEST_NO_ATFORK"

/* The calling thread's own calls do not count and never fail, until told otherwise. */
void inject_spare_me(bool spare);

#endif
