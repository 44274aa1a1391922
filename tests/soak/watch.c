/* Complaints, the watchdog, and what the process holds. */
#define _GNU_SOURCE
#include "soak.h"

#include <dirent.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

enum { LOOK_MS = 200, LOOKS_MAX = 20000 / LOOK_MS, COMPLAINTS_MAX = 20 };

/* ---- Complaints --------------------------------------------------------------------------- */

static atomic_int complaints;

void wrong(const char *format, ...)
{
    int before = atomic_fetch_add(&complaints, 1);
    if (before >= COMPLAINTS_MAX)
        return;
    char line[256];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    fprintf(stderr, "soak: WRONG: %s%s\n", line, before + 1 == COMPLAINTS_MAX ? " (more follow, not printed)" : "");
}

int wrongs(void)
{
    return atomic_load(&complaints);
}

/* ---- The watchdog ------------------------------------------------------------------------- */

static actor_t *watched;
static int watched_n;
static pthread_t dog;
static atomic_bool stop;

void step(actor_t *actor, const char *doing)
{
    atomic_store_explicit(&actor->doing, doing, memory_order_relaxed);
    atomic_fetch_add_explicit(&actor->steps, 1, memory_order_relaxed);
}

/* Looks, not time, so that a machine that stood still is not taken for a pool that hangs. */
static bool hangs(actor_t *actor)
{
    unsigned steps = atomic_load(&actor->steps);
    bool still = atomic_load(&actor->active) && steps == actor->seen;
    actor->seen = steps;
    actor->looks = still ? actor->looks + 1 : 0;
    return actor->looks >= LOOKS_MAX;
}

static void bark(const actor_t *actor)
{
    fprintf(stderr, "soak: FAIL: no progress for 20 s: %s, in %s\n", actor->role, atomic_load(&actor->doing));
    for (int i = 0; i < watched_n; i++)
        if (watched[i].active && watched[i].looks > LOOKS_MAX / 2)
            fprintf(stderr, "  stands still: %s, in %s\n", watched[i].role, atomic_load(&watched[i].doing));
    arenas_print();
    meet_print();
    _exit(1);
}

static void *watch(void *unused)
{
    while (!atomic_load(&stop)) {
        for (int i = 0; i < watched_n; i++)
            if (hangs(&watched[i]))
                bark(&watched[i]);
        nanosleep(&(struct timespec){0, LOOK_MS * 1000000L}, NULL);
    }
    return unused;
}

void watch_start(actor_t *actors, int n)
{
    watched = actors;
    watched_n = n;
    dog = thread_start(watch, NULL);
}

void watch_end(void)
{
    atomic_store(&stop, true);
    pthread_join(dog, NULL);
}

/* ---- What the process holds --------------------------------------------------------------- */

/*
 * The heap is exact but for what goes with the stacks of ended threads that glibc keeps, at
 * most 40 MiB of them, a page or two of each touched. Which pages the arenas of malloc keep
 * is by chance as well, so a leak of less than RSS_KIB is for the heap to show. Sanitizers
 * keep what was freed, and have shadows: there neither is compared, and the leak sanitizer
 * has to do.
 */
enum { RSS_KIB = 2048, HEAP_BYTES = 65536 };

/* What is large goes back to the system when it is freed, and is not kept in one of many
 * arenas: else RSS speaks of malloc alone. */
void keep_little(void)
{
#if defined(__GLIBC__)
    mallopt(M_MMAP_THRESHOLD, 65536);
    mallopt(M_ARENA_MAX, 2);
#endif
}

static long count_descriptors(void)
{
    DIR *fds = opendir("/proc/self/fd");
    if (fds == NULL)
        return -1;
    long n = -1; /* its own */
    for (struct dirent *entry; (entry = readdir(fds)) != NULL;)
        n += entry->d_name[0] != '.';
    closedir(fds);
    return n;
}

static long rss_kib(void)
{
    long pages = -1;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || UNDER_ASAN || UNDER_TSAN || fscanf(file, "%*d %ld", &pages) != 1)
        pages = -1;
    if (file != NULL)
        fclose(file);
    return pages < 0 ? -1 : pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static long heap_bytes(void)
{
#if defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 33)
    if (!UNDER_ASAN && !UNDER_TSAN)
        return (long)mallinfo2().uordblks;
#endif
#endif
    return -1;
}

holdings_t holdings(void)
{
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
    return (holdings_t){rss_kib(), heap_bytes(), count_descriptors(), count_threads()};
}

static void compare(const char *what, long first, long last, long tolerance)
{
    if (first >= 0 && last > first + tolerance)
        wrong("%s: %ld after the first tenth, %ld in the end", what, first, last);
}

void compare_holdings(holdings_t first, holdings_t last)
{
    compare("RSS in KiB", first.rss_kib, last.rss_kib, RSS_KIB);
    compare("bytes of the heap", first.heap_bytes, last.heap_bytes, HEAP_BYTES);
    compare("descriptors", first.descriptors, last.descriptors, 0);
    compare("threads", first.threads, last.threads, 0);
}

void print_holdings(const char *when, holdings_t held)
{
    if (held.rss_kib >= 0)
        printf("soak: %s: RSS %ld KiB, heap %ld bytes, ", when, held.rss_kib, held.heap_bytes);
    else
        printf("soak: %s: RSS is not compared here, ", when);
    printf("descriptors %ld, threads %ld\n", held.descriptors, held.threads);
}
