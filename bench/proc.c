#define _GNU_SOURCE
#include "proc.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

int64_t bench_rss(void)
{
    return (int64_t)bench_proc("/proc/self/smaps_rollup", "Rss") * 1024;
}

static long switches_of(const char *thread)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%.20s/status", thread);
    return bench_proc(path, "voluntary_ctxt_switches") + bench_proc(path, "nonvoluntary_ctxt_switches");
}

/* The first number of schedstat. The clocks of the process and of this thread would be read
 * at two instants: their difference is never exactly nothing. */
static int64_t cpu_of(const char *thread)
{
    char path[64];
    long long ns = 0;
    snprintf(path, sizeof path, "/proc/self/task/%.20s/schedstat", thread);
    FILE *schedstat = fopen(path, "r");
    if (schedstat == NULL || fscanf(schedstat, "%lld", &ns) != 1)
        bench_die("cannot read %s", path);
    fclose(schedstat);
    return ns;
}

struct bench_others bench_others(void)
{
    struct bench_others others = {0};
    DIR *threads = opendir("/proc/self/task");
    if (threads == NULL)
        bench_die("needs /proc");
    for (struct dirent *entry; (entry = readdir(threads)) != NULL;)
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != getpid()) {
            others.switches += switches_of(entry->d_name);
            others.cpu += cpu_of(entry->d_name);
            others.threads++;
        }
    closedir(threads);
    return others;
}

struct bench_others bench_rest(int64_t ns)
{
    struct bench_others before = bench_others();
    bench_sleep(ns);
    struct bench_others after = bench_others();
    if (after.threads != before.threads)
        bench_die("%d threads became %d during the rest", before.threads, after.threads);
    after.switches -= before.switches;
    after.cpu -= before.cpu;
    return after;
}

enum { SETTLE_NS = 1000000000 }; /* in which the janitor joins those that have ended */

bool bench_until_threads(long n, int ms)
{
    int64_t deadline = bench_now() + (int64_t)ms * 1000000;
    while (bench_proc(BENCH_STATUS, "Threads") > n) {
        if (bench_now() >= deadline)
            return false;
        bench_sleep(1000000);
    }
    bench_sleep(SETTLE_NS);
    return true;
}
