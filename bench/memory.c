/*
 * What does memory cost?
 *
 *     memory [--workers N] [--pools P] [--tasks Q] [--item NAME]
 *
 * Each item is measured in a process of its own, forked before there is any pool; --item
 * measures one. A line each:
 *
 *     item            what there are n of: N (1000) workers, P (1000) pools, Q (1000000) tasks
 *         idle-worker     prestarted workers that never had a task
 *         worked-worker   idle workers that have had a task that calls malloc and free
 *         bare-thread     threads that wait for a condition: the floor of idle-worker
 *         worked-thread   … and have called malloc and free: the floor of worked-worker
 *         touched-worker  workers that have had a task that wrote to 200 KiB of its stack
 *         touched-thread  bare threads that did
 *         pool            pools that never had a task
 *         used-pool       pools that have had 2000 tasks, whose workers have expired
 *         queued-task     tasks that wait in the queue
 *         copied-task     … of pool_submit_copy
 *     arenas          how many arenas malloc may make, 0: its default
 *     cap             of each pool
 *     state           idle: threads alive; gone: their workers expired, or they ended (glibc
 *                     keeps up to 40 MiB of stacks of ended threads); -: has no thread
 *     rss pagetables  bytes of each: resident memory, page tables of the process
 *     kernel_stack    likewise; of the whole system, so other processes disturb it
 *     virtual         bytes of address space of each
 *
 * All are the difference from before the first of them was made, divided by n.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "antpool.h"
#include "common.h"
#include "proc.h"

enum { STACK = 256 * 1024, TOUCH = 200 * 1024, COPY_BYTES = 32, USE_TASKS = 2000, WITHIN_MS = 30000 };

static int workers = 1000, pools = 1000, tasks = 1000000;

static void check(pool_err err)
{
    if (err != POOL_OK)
        bench_die("%s", pool_strerror(err));
}

/* ---- Figures -------------------------------------------------------------------------- */

struct memory {
    int64_t rss, pagetables, kernel_stack, address_space; /* bytes */
};

static struct memory memory_now(void)
{
    return (struct memory){
        .rss = bench_rss(),
        .pagetables = (int64_t)bench_proc(BENCH_STATUS, "VmPTE") * 1024,
        .kernel_stack = (int64_t)bench_proc("/proc/meminfo", "KernelStack") * 1024,
        .address_space = (int64_t)bench_proc(BENCH_STATUS, "VmSize") * 1024,
    };
}

struct item {
    const char *name;
    void (*measure)(const struct item *);
    pool_task_fn task; /* what its threads run */
    int arenas;
    int cap;
};

static void print_each(const char *name, int64_t bytes, int n)
{
    printf(" %s=%.1f", name, (double)bytes / n);
}

static void report(const struct item *item, const char *state, int n, const struct memory *before)
{
    struct memory now = memory_now();
    printf("memory item=%s arenas=%d cap=%d state=%s n=%d", item->name, item->arenas, item->cap, state, n);
    print_each("rss", now.rss - before->rss, n);
    print_each("pagetables", now.pagetables - before->pagetables, n);
    print_each("kernel_stack", now.kernel_stack - before->kernel_stack, n);
    print_each("virtual", now.address_space - before->address_space, n);
    printf("\n");
}

/* ---- Tasks ---------------------------------------------------------------------------- */

static pthread_barrier_t together; /* all threads and the main one */
static atomic_int ran;

static void expect_ran(int n)
{
    if (atomic_load(&ran) != n)
        bench_die("%d tasks ran, not %d", atomic_load(&ran), n);
}

/* No thread is done before all have begun, so each has one. */
static void meet(void *unused)
{
    (void)unused;
    atomic_fetch_add(&ran, 1);
    pthread_barrier_wait(&together);
}

static void allocate(void *arg)
{
    for (size_t size = 16; size <= 1024; size *= 2) {
        void *volatile memory = malloc(size);
        if (memory == NULL)
            bench_die("out of memory");
        memset(memory, 1, size);
        free(memory);
    }
    meet(arg);
}

static void touch(void *arg)
{
    volatile unsigned char stack[TOUCH];
    for (size_t i = 0; i < sizeof stack; i += 1024)
        stack[i] = 1;
    meet(arg);
}

static void count(void *unused)
{
    (void)unused;
    atomic_fetch_add_explicit(&ran, 1, memory_order_relaxed);
}

/* ---- Workers -------------------------------------------------------------------------- */

static void until_idle(pool_t *pool, int n)
{
    int64_t deadline = bench_now() + (int64_t)WITHIN_MS * 1000000;
    while (pool_idle(pool) != n) {
        if (bench_now() >= deadline)
            bench_die("%d workers are idle, not %d", pool_idle(pool), n);
        bench_sleep(1000000);
    }
}

static void give_each_one(pool_t *pool, pool_task_fn task)
{
    for (int i = 0; i < workers; i++)
        check(pool_submit(pool, task, NULL));
    pthread_barrier_wait(&together);
    check(pool_wait(pool));
    expect_ran(workers);
}

static void of_workers(const struct item *item)
{
    struct memory before = memory_now();
    pool_t *pool;
    check(pool_new_with(&pool, workers, pool_with_disable_purge(true), pool_with_prestart(workers)));
    if (item->task != NULL)
        give_each_one(pool, item->task);
    until_idle(pool, workers);
    report(item, "idle", workers, &before);
    check(pool_destroy(pool));
}

/* What is left after the last worker went includes the pool and the janitor. */
static void of_expiring_workers(const struct item *item)
{
    struct memory before = memory_now();
    pool_t *pool;
    check(pool_new_with(&pool, workers, pool_with_expiry_ms(POOL_EXPIRY_DEFAULT_MS)));
    give_each_one(pool, item->task);
    until_idle(pool, workers);
    report(item, "idle", workers, &before);
    if (!bench_until_threads(2, WITHIN_MS))
        bench_die("workers do not expire");
    report(item, "gone", workers, &before);
    check(pool_destroy(pool));
}

/* ---- Bare threads ---------------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t end = PTHREAD_COND_INITIALIZER; /* ending */
static bool ending;
static int asleep;

static void *thread_main(void *item)
{
    pool_task_fn task = ((const struct item *)item)->task;
    if (task != NULL)
        task(NULL);
    pthread_mutex_lock(&lock);
    asleep++;
    while (!ending)
        pthread_cond_wait(&end, &lock);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void start_threads(pthread_t *threads, const struct item *item)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    for (int i = 0; i < workers; i++)
        if (pthread_create(&threads[i], &attr, thread_main, (void *)(uintptr_t)item) != 0)
            bench_die("cannot start thread %d", i);
    pthread_attr_destroy(&attr);
}

static void until_asleep(void)
{
    for (bool all = false; !all; bench_sleep(1000000)) {
        pthread_mutex_lock(&lock);
        all = asleep == workers;
        pthread_mutex_unlock(&lock);
    }
}

static void join_threads(pthread_t *threads)
{
    pthread_mutex_lock(&lock);
    ending = true;
    pthread_cond_broadcast(&end);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < workers; i++)
        pthread_join(threads[i], NULL);
}

static void of_threads(const struct item *item)
{
    struct memory before = memory_now();
    pthread_t *threads = calloc((size_t)workers, sizeof *threads);
    if (threads == NULL)
        bench_die("out of memory");
    start_threads(threads, item);
    if (item->task != NULL)
        pthread_barrier_wait(&together);
    until_asleep();
    report(item, "idle", workers, &before);
    join_threads(threads);
    report(item, "gone", workers, &before);
    free(threads);
}

/* ---- Pools ----------------------------------------------------------------------------- */

static void use(pool_t *pool)
{
    for (int i = 0; i < USE_TASKS; i++)
        check(pool_submit(pool, count, NULL));
    check(pool_wait(pool));
}

static void of_pools(const struct item *item)
{
    struct memory before = memory_now();
    pool_t **all = calloc((size_t)pools, sizeof(pool_t *));
    if (all == NULL)
        bench_die("out of memory");
    for (int i = 0; i < pools; i++) {
        check(pool_new_with(&all[i], item->cap, pool_with_expiry_ms(10)));
        if (item->task != NULL)
            use(all[i]);
    }
    if (!bench_until_threads(2, WITHIN_MS))
        bench_die("workers do not expire");
    report(item, item->task != NULL ? "gone" : "-", pools, &before);
    for (int i = 0; i < pools; i++)
        check(pool_destroy(all[i]));
    free(all);
    expect_ran(item->task != NULL ? pools * USE_TASKS : 0);
}

/* ---- Queued tasks ---------------------------------------------------------------------- */

static pthread_barrier_t gate; /* the worker and the main thread: begun, and may end */

static void hold(void *unused)
{
    (void)unused;
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
}

static void of_tasks(const struct item *item, bool copied)
{
    static const unsigned char data[COPY_BYTES];
    pool_t *pool;
    pthread_barrier_init(&gate, NULL, 2);
    check(pool_new_with(&pool, item->cap, pool_with_queue(tasks), pool_with_disable_purge(true)));
    check(pool_submit(pool, hold, NULL));
    pthread_barrier_wait(&gate);
    struct memory before = memory_now();
    for (int i = 0; i < tasks; i++)
        check(copied ? pool_submit_copy(pool, count, data, sizeof data) : pool_submit(pool, count, NULL));
    report(item, "-", tasks, &before);
    pthread_barrier_wait(&gate);
    check(pool_destroy(pool));
    pthread_barrier_destroy(&gate);
    expect_ran(tasks);
}

static void of_queued(const struct item *item)
{
    of_tasks(item, false);
}

static void of_copied(const struct item *item)
{
    of_tasks(item, true);
}

/* ---- A process for each ---------------------------------------------------------------- */

static void run_item(const struct item *item)
{
#if defined(__GLIBC__)
    if (item->arenas > 0)
        mallopt(M_ARENA_MAX, item->arenas);
#endif
    pthread_barrier_init(&together, NULL, (unsigned)workers + 1);
    item->measure(item);
    fflush(stdout);
    _exit(0);
}

static void measure(const struct item *item)
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        run_item(item);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        bench_die("%s failed", item->name);
}

int main(int argc, char **argv)
{
    const char *only = NULL;
    bench_parse(argc, argv, (struct bench_option[]){
        {"--workers", &workers, NULL, NULL, 1, 1000000},
        {"--pools", &pools, NULL, NULL, 1, 100000},
        {"--tasks", &tasks, NULL, NULL, 1, (1 << 24) - 1},
        {"--item", NULL, &only, NULL, 0, 0},
        {NULL, NULL, NULL, NULL, 0, 0},
    });
    const struct item items[] = {
        {"idle-worker", of_workers, NULL, 0, workers},
        {"bare-thread", of_threads, NULL, 0, 0},
        {"worked-worker", of_workers, allocate, 0, workers},
        {"worked-worker", of_workers, allocate, 1, workers},
        {"worked-thread", of_threads, allocate, 0, 0},
        {"touched-worker", of_expiring_workers, touch, 0, workers},
        {"touched-thread", of_threads, touch, 0, 0},
        {"pool", of_pools, NULL, 0, 8},
        {"pool", of_pools, NULL, 0, 1000},
        {"used-pool", of_pools, count, 0, 8},
        {"used-pool", of_pools, count, 0, 1000},
        {"queued-task", of_queued, NULL, 0, 1},
        {"copied-task", of_copied, NULL, 0, 1},
    };
    int found = 0;
    for (size_t i = 0; i < sizeof items / sizeof *items; i++)
        if (only == NULL || strcmp(only, items[i].name) == 0) {
            measure(&items[i]);
            found++;
        }
    if (found == 0)
        bench_die("no item \"%s\"", only);
    return 0;
}
