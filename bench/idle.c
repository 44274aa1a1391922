/*
 * What does a pool cost that has nothing to do?
 *
 *     idle [SECONDS] [WORKERS]
 *
 * Runs a burst of tasks, lets the idle workers expire, and counts the context switches and
 * the processor time of the whole process during SECONDS (5) of rest: once with no worker
 * left, once with WORKERS (8) kept by pool_with_min_idle. The main thread sleeps through it
 * and is not counted.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "antpool.h"

struct use {
    long switches;
    int threads;
    double cpu;
};

static void doze(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&t, NULL);
}

static void task(void *unused)
{
    (void)unused;
    doze(0.002);
}

static long switches_of(const char *thread)
{
    char path[64], line[128];
    long sum = 0, n;
    snprintf(path, sizeof path, "/proc/self/task/%.20s/status", thread);
    FILE *status = fopen(path, "r");
    if (status == NULL)
        return 0;
    while (fgets(line, sizeof line, status) != NULL)
        if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1 ||
            sscanf(line, "nonvoluntary_ctxt_switches: %ld", &n) == 1)
            sum += n;
    fclose(status);
    return sum;
}

/* Of all threads but the main one. */
static struct use use_now(void)
{
    struct use use = {0, 0, 0};
    struct timespec all, mine;
    DIR *tasks = opendir("/proc/self/task");
    if (tasks == NULL) {
        fprintf(stderr, "idle: needs /proc\n");
        exit(1);
    }
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;)
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != getpid()) {
            use.switches += switches_of(entry->d_name);
            use.threads++;
        }
    closedir(tasks);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &all);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &mine);
    use.cpu = (double)(all.tv_sec - mine.tv_sec) + (double)(all.tv_nsec - mine.tv_nsec) / 1e9;
    return use;
}

static void measure(int keep, double seconds)
{
    pool_t *pool;
    if (pool_new_with(&pool, 100, pool_with_min_idle(keep), pool_with_expiry_ms(200)) != POOL_OK)
        exit(1);
    for (int i = 0; i < 1000; i++)
        if (pool_submit(pool, task, NULL) != POOL_OK)
            exit(1);
    pool_wait(pool);
    doze(1.0); /* five times the expiry: who is to leave has left */
    struct use before = use_now();
    doze(seconds);
    struct use after = use_now();
    printf("%2d idle workers, janitor, %.0f s: %ld context switches, %.6f s of processor time, %d threads\n",
           pool_idle(pool), seconds, after.switches - before.switches, after.cpu - before.cpu,
           after.threads);
    pool_destroy(pool);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 5;
    int keep = argc > 2 ? atoi(argv[2]) : 8;
    if (seconds <= 0 || keep < 0 || keep > 100 || argc > 3) {
        fprintf(stderr, "usage: idle [SECONDS] [WORKERS, at most 100]\n");
        return 2;
    }
    measure(0, seconds);
    measure(keep, seconds);
    return 0;
}
