/*
 * How does antpool stand in the table of the guide to ants, "Multi-Pool Performance
 * Comparison", if its figures are measured?
 *
 *     guide [--row pool|invoke|multipool] [--n N] [--cap C]
 *
 * guide/guide.go has the rows of Go, with the same method and the same line. One thread
 * submits N (1000000) empty tasks; a task marks that it ran, and each must have run once.
 *
 *     subject              pool: pool_submit; invoke: pool_invoke; multipool: multipool_submit
 *                          to 4 shards, each with a quarter of the cap, by round robin
 *     ops                  tasks a second, from the first submit to the end of the last task,
 *                          the clock not being read in between
 *     submit50 submit99    ns of a submit call, median and 99 %, of 200000 more tasks, with a
 *                          reading of the clock on either side of each
 *     threads              most threads of the process, seen after either part
 *     rss_kib              most resident memory of the process, KiB, up to the end of the
 *                          first part; the N marks, a byte each, are in it
 */
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "antpool.h"
#include "common.h"

enum { TIMED = 200000, SHARDS = 4 };

static int n = 1000000, cap = 1000;
static unsigned char *ran; /* a byte a task */
static pool_t *pool;
static multipool_t *multipool;

static void check(pool_err err)
{
    if (err != POOL_OK)
        bench_die("%s", pool_strerror(err));
}

static void task(void *arg)
{
    unsigned char *mine = arg;
    (*mine)++;
}

/* ---- Rows ------------------------------------------------------------------------------ */

struct row {
    const char *name;
    void (*start)(void);
    void (*submit)(unsigned char *mark);
    void (*wait)(void);
    void (*stop)(void);
};

static void pool_start(void)
{
    check(pool_new_with(&pool, cap, pool_with_func(task)));
}

static void submit_task(unsigned char *mark)
{
    check(pool_submit(pool, task, mark));
}

static void invoke_task(unsigned char *mark)
{
    check(pool_invoke(pool, mark));
}

static void pool_wait_all(void)
{
    check(pool_wait(pool));
}

static void pool_stop(void)
{
    check(pool_destroy(pool));
}

static void multipool_start(void)
{
    check(multipool_new(&multipool, SHARDS, (cap + SHARDS - 1) / SHARDS, MULTIPOOL_ROUND_ROBIN));
}

static void multipool_submit_task(unsigned char *mark)
{
    check(multipool_submit(multipool, task, mark));
}

static void multipool_wait_all(void)
{
    check(multipool_wait(multipool));
}

static void multipool_stop(void)
{
    check(multipool_destroy(multipool));
}

static const struct row rows[] = {
    {"pool", pool_start, submit_task, pool_wait_all, pool_stop},
    {"invoke", pool_start, invoke_task, pool_wait_all, pool_stop},
    {"multipool", multipool_start, multipool_submit_task, multipool_wait_all, multipool_stop},
};

static const struct row *find(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    bench_die("no row \"%s\"", name);
}

/* ---- Two passes ------------------------------------------------------------------------ */

static void check_each_ran_once(long tasks)
{
    for (long i = 0; i < tasks; i++) {
        if (ran[i] != 1)
            bench_die("task %ld ran %d times", i, ran[i]);
        ran[i] = 0;
    }
}

static double ops(const struct row *row)
{
    int64_t begin = bench_now();
    for (long i = 0; i < n; i++)
        row->submit(&ran[i]);
    row->wait();
    double rate = (double)n * 1e9 / (double)(bench_now() - begin);
    check_each_ran_once(n);
    return rate;
}

static void time_each(const struct row *row, int64_t *samples)
{
    for (long i = 0; i < TIMED; i++) {
        int64_t begin = bench_now();
        row->submit(&ran[i]);
        samples[i] = bench_now() - begin;
    }
    row->wait();
    check_each_ran_once(TIMED);
}

/* Written to, so that no page is missing when it is measured. */
static void *room(size_t items, size_t size)
{
    void *memory = malloc(items * size);
    if (memory == NULL)
        bench_die("out of memory");
    memset(memory, 0, items * size);
    return memory;
}

int main(int argc, char **argv)
{
    const char *name = "pool";
    bench_parse(argc, argv, (struct bench_option[]){
        {"--row", NULL, &name, NULL, 0, 0},
        {"--n", &n, NULL, NULL, 1, 1000000000},
        {"--cap", &cap, NULL, NULL, 1, INT_MAX},
        {NULL, NULL, NULL, NULL, 0, 0},
    });
    const struct row *row = find(name);
    ran = room((size_t)(n > TIMED ? n : TIMED), 1);
    row->start();
    double rate = ops(row);
    long threads = bench_proc(BENCH_STATUS, "Threads"), kib = bench_proc(BENCH_STATUS, "VmHWM");
    int64_t *samples = room(TIMED, sizeof *samples);
    time_each(row, samples);
    threads = bench_proc(BENCH_STATUS, "Threads") > threads ? bench_proc(BENCH_STATUS, "Threads") : threads;
    row->stop();
    printf("subject=%s ops=%.0f submit50=%lld submit99=%lld threads=%ld rss_kib=%ld\n", row->name, rate,
           (long long)bench_quantile(samples, TIMED, 0.5), (long long)bench_quantile(samples, TIMED, 0.99),
           threads, kib);
    free(samples);
    free(ran);
    return 0;
}
