/*
 * One tenant floods: what do the others notice?
 *
 *     tenants [--tenants N] [--rate R] [--flood-rate F] [--task-us U] [--seconds S]
 *             [--bulkheads on|off] [--cap C] [--queue Q] [--shared-cap C] [--shared-queue Q]
 *
 * One thread submits R tasks a second in all, to each of the N tenants in turn, another F a
 * second to one tenant more; both at instants that are fixed beforehand (open loop), without
 * waiting at the limit. A task sleeps U µs. Bulkheads on: a pool of cap C for each tenant,
 * from a registry; off: one pool for all. Each tenant has had a task before. Prints a line of
 * name=value, times in µs:
 *
 *     p50 p99 p999       of the others' tasks, from the instant for which the submit was
 *                        planned to the task's start
 *     refused            others' tasks that were not accepted
 *     first              a tenant's first task, which makes its pool, on average
 *     late               99 % of their submits began at most this after their instant
 *     flood_run          tasks of the one that floods that ran
 *     flood_refused      … and that were not accepted
 *     pools threads      at the end
 *     cpu                processor time, s
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "antpool.h"
#include "common.h"

enum { NAME_BYTES = 16 };

struct sample {
    int64_t due, begin, start; /* ns; start 0: refused */
};

/* What one thread submits. */
struct load {
    long n, refused;
    double each; /* ns */
    struct sample *samples;
};

static int tenants = 1000, rate = 10000, flood_rate = 100000, task_us = 1000, seconds = 5;
static int cap = 2, queue = 8, shared_cap = 64, shared_queue = 1024;
static const char *bulkheads = "on";
static pool_registry_t *registry;
static pool_t *shared;
static char (*names)[NAME_BYTES];
static struct load others, flood;
static int64_t zero; /* when both begin */

static void task(void *arg)
{
    ((struct sample *)arg)->start = bench_now();
    if (task_us > 0)
        bench_sleep((int64_t)task_us * 1000);
}

static bool isolated(void)
{
    return strcmp(bulkheads, "on") == 0;
}

static pool_err submit(const char *name, struct sample *sample)
{
    return isolated() ? pool_registry_try_submit(registry, "tenant", name, task, sample)
                      : pool_try_submit(shared, task, sample);
}

static void sleep_until(int64_t ns)
{
    struct timespec t = {ns / 1000000000, ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {}
}

static void submit_load(struct load *load)
{
    for (long i = 0; i < load->n; i++) {
        struct sample *s = &load->samples[i];
        s->due = zero + (int64_t)((double)i * load->each);
        if (bench_now() < s->due)
            sleep_until(s->due);
        s->begin = bench_now();
        pool_err err = submit(load == &flood ? "flood" : names[i % tenants], s);
        if (err != POOL_OK && err != POOL_ERR_OVERLOAD)
            bench_die("submit: %s", pool_strerror(err));
        load->refused += err != POOL_OK;
    }
}

static void submit_either(int who)
{
    submit_load(who == 0 ? &others : &flood);
}

/* ---- Making and ending ---------------------------------------------------------------- */

static void must(pool_err err, const char *what)
{
    if (err != POOL_OK)
        bench_die("%s: %s", what, pool_strerror(err));
}

static void plan(struct load *load, int per_second)
{
    load->n = (long)per_second * seconds;
    load->each = 1e9 / (per_second > 0 ? per_second : 1);
    load->samples = calloc((size_t)load->n + 1, sizeof *load->samples);
    if (load->samples == NULL)
        bench_die("no memory for %ld tasks", load->n);
}

static void name_tenants(void)
{
    names = calloc((size_t)tenants, sizeof *names);
    if (names == NULL)
        bench_die("no memory for %d tenants", tenants);
    for (int i = 0; i < tenants; i++)
        snprintf(names[i], NAME_BYTES, "t%d", i);
}

static void make_pools(void)
{
    const pool_option_t options[] = {pool_with_queue(queue), POOL_OPTIONS_END};
    pool_registry_limits_t limits = {.idle_ms = 60000};
    if (!isolated()) {
        must(pool_new_with(&shared, shared_cap, pool_with_queue(shared_queue)), "pool_new");
        return;
    }
    must(pool_registry_new(&registry, &limits), "pool_registry_new");
    must(pool_registry_add_tier(registry, "tenant", cap, options), "pool_registry_add_tier");
}

static void wait_for(void *unused, pool_t *pool, const char *tier, const char *name)
{
    (void)unused;
    (void)tier;
    (void)name;
    must(pool_wait(pool), "pool_wait");
}

/* A task for each tenant; returns how long one took, µs. */
static double warm_up(void)
{
    struct sample *unused = calloc((size_t)tenants + 1, sizeof *unused);
    if (unused == NULL)
        bench_die("no memory for %d tenants", tenants);
    int64_t begin = bench_now();
    for (int i = 0; i < tenants && isolated(); i++)
        must(submit(names[i], &unused[i]), "submit");
    double us = (double)(bench_now() - begin) / 1000 / tenants;
    must(submit("flood", &unused[tenants]), "submit");
    must(isolated() ? pool_registry_each(registry, wait_for, NULL) : pool_wait(shared), "wait");
    free(unused);
    return us;
}

static void end_pools(void)
{
    must(isolated() ? pool_registry_destroy(registry) : pool_destroy(shared), "destroy");
}

/* ---- The line ------------------------------------------------------------------------- */

/* From the planned instant to the start of what was accepted, or to the submit of all. */
static double quantile(double share, bool of_starts)
{
    int64_t *values = calloc((size_t)others.n + 1, sizeof *values);
    long n = 0;
    if (values == NULL)
        bench_die("no memory");
    for (long i = 0; i < others.n; i++) {
        const struct sample *s = &others.samples[i];
        if (!of_starts || s->start != 0)
            values[n++] = (of_starts ? s->start : s->begin) - s->due;
    }
    double us = n == 0 ? 0 : (double)bench_quantile(values, n, share) / 1000;
    free(values);
    return us;
}

static long ran(const struct load *load)
{
    long n = 0;
    for (long i = 0; i < load->n; i++)
        n += load->samples[i].start != 0;
    if (n != load->n - load->refused)
        bench_die("%ld tasks ran, %ld were accepted", n, load->n - load->refused);
    return n;
}

static void report(double first, int pools, long threads, int64_t cpu)
{
    printf("bulkheads=%s tenants=%d rate=%d flood_rate=%d task_us=%d seconds=%d n=%ld refused=%ld", bulkheads,
           tenants, rate, flood_rate, task_us, seconds, ran(&others), others.refused);
    printf(" p50=%.1f p99=%.1f p999=%.1f late=%.1f first=%.1f", quantile(0.5, true), quantile(0.99, true),
           quantile(0.999, true), quantile(0.99, false), first);
    printf(" flood_run=%ld flood_refused=%ld pools=%d threads=%ld cpu=%.3f\n", ran(&flood), flood.refused, pools,
           threads, (double)cpu / 1e9);
}

int main(int argc, char **argv)
{
    bench_parse(argc, argv, (struct bench_option[]){
        {"--tenants", &tenants, NULL, NULL, 1, 1000000},
        {"--rate", &rate, NULL, NULL, 1, 10000000},
        {"--flood-rate", &flood_rate, NULL, NULL, 0, 10000000},
        {"--task-us", &task_us, NULL, NULL, 0, 1000000},
        {"--seconds", &seconds, NULL, NULL, 1, 600},
        {"--cap", &cap, NULL, NULL, 1, INT_MAX},
        {"--queue", &queue, NULL, NULL, 0, INT_MAX},
        {"--shared-cap", &shared_cap, NULL, NULL, 1, INT_MAX},
        {"--shared-queue", &shared_queue, NULL, NULL, 0, INT_MAX},
        {"--bulkheads", NULL, &bulkheads, NULL, 0, 0},
        {NULL, NULL, NULL, NULL, 0, 0},
    });
    if (!isolated() && strcmp(bulkheads, "off") != 0)
        bench_die("--bulkheads is on or off");
    plan(&others, rate);
    plan(&flood, flood_rate);
    name_tenants();
    make_pools();
    double first = warm_up();
    int64_t cpu = bench_cpu();
    zero = bench_now() + 1000000;
    bench_threads(flood_rate > 0 ? 2 : 1, submit_either);
    int pools = isolated() ? pool_registry_pools(registry) : 1;
    long threads = bench_proc(BENCH_STATUS, "Threads");
    end_pools();
    report(first, pools, threads, bench_cpu() - cpu);
    free(others.samples);
    free(flood.samples);
    free(names);
    return 0;
}
