/*
 * What does it cost to make, use and end a pool?
 *
 *     churn [--pools N] [--tasks K] [--cap C] [--beside B]
 *     churn --alive N [--tasks K] [--cap C] [--expiry-ms E] [--rest-ms T]
 *
 * The first makes a pool, submits K (0) empty tasks and destroys it, N (1000) times in turn,
 * with B (0) other pools open: without any, each pool also starts and ends the janitor, the
 * one thread that all pools share. A line, in µs, 50 and 99 being median and 99 %:
 *
 *     make use end    pool_new; the K submits; pool_destroy, which waits for the tasks
 *     all             the three together
 *     cpu             processor time of the process for all three, mean
 *
 * The second makes N pools (10000 is a size to try), runs K (1) tasks in each as it is made,
 * lets the workers expire after E (100) ms, rests T (2000) ms and destroys all:
 *
 *     make50 make99 use50 use99   µs for each pool
 *     peak_threads                most threads seen of the process, workers being alive
 *     rss_made                    bytes of resident memory for each pool as the last was made
 *     rss virtual                 … and once the workers have expired; address space likewise
 *     rest_threads                threads then, the main one included
 *     rest_switches rest_cpu      context switches of the others, and processor time in µs,
 *                                 during the rest
 *     end                         µs to destroy each pool, mean
 *     end_all                     … and seconds for all
 */
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "antpool.h"
#include "common.h"
#include "proc.h"

enum { LOOK_AT_THREADS_EVERY = 64, EXPIRED_WITHIN_MS = 30000 };

static int pools = 1000, tasks = -1, cap = 8, beside, alive, expiry_ms = 100, rest_ms = 2000;
static unsigned char *ran; /* a byte a task */
static int64_t *make_ns, *use_ns, *end_ns, *all_ns;

static void check(pool_err err)
{
    if (err != POOL_OK)
        bench_die("%s", pool_strerror(err));
}

static void *room(size_t n, size_t size)
{
    void *memory = calloc(n > 0 ? n : 1, size);
    if (memory == NULL)
        bench_die("out of memory");
    memset(memory, 0, n * size); /* page faults are not to be measured */
    return memory;
}

static void task(void *arg)
{
    unsigned char *mine = arg;
    (*mine)++;
}

static void submit_all(pool_t *pool)
{
    for (int i = 0; i < tasks; i++)
        check(pool_submit(pool, task, &ran[i]));
}

/* After `rounds` times all tasks, each by its own pool. */
static void check_ran(int rounds)
{
    for (int i = 0; i < tasks; i++)
        if (ran[i] != (unsigned char)rounds)
            bench_die("task %d ran a wrong number of times", i);
}

static double us(int64_t *values, long n, double share)
{
    return (double)bench_quantile(values, n, share) / 1000;
}

static void print_both(const char *name, int64_t *values, long n)
{
    printf(" %s50=%.2f %s99=%.2f", name, us(values, n, 0.5), name, us(values, n, 0.99));
}

/* ---- In turn -------------------------------------------------------------------------- */

static void one_round(int i)
{
    pool_t *pool;
    int64_t begin = bench_now();
    check(pool_new(&pool, cap));
    int64_t made = bench_now();
    submit_all(pool);
    int64_t used = bench_now();
    check(pool_destroy(pool));
    int64_t ended = bench_now();
    make_ns[i] = made - begin;
    use_ns[i] = used - made;
    end_ns[i] = ended - used;
    all_ns[i] = ended - begin;
    check_ran(i + 1);
}

static void in_turn(void)
{
    pool_t **others = room((size_t)beside, sizeof(pool_t *));
    for (int i = 0; i < beside; i++)
        check(pool_new(&others[i], cap));
    int64_t cpu = bench_cpu();
    for (int i = 0; i < pools; i++)
        one_round(i);
    cpu = bench_cpu() - cpu;
    printf("pools=%d tasks=%d cap=%d beside=%d", pools, tasks, cap, beside);
    print_both("make", make_ns, pools);
    print_both("use", use_ns, pools);
    print_both("end", end_ns, pools);
    print_both("all", all_ns, pools);
    printf(" cpu=%.2f\n", (double)cpu / 1000 / pools);
    for (int i = 0; i < beside; i++)
        check(pool_destroy(others[i]));
    free(others);
}

/* ---- At once -------------------------------------------------------------------------- */

static int64_t address_space(void)
{
    return (int64_t)bench_proc(BENCH_STATUS, "VmSize") * 1024;
}

/* Returns the most threads seen. The tasks of a pool have run when the next is made, so
 * that no two write a byte at once. */
static long make_all(pool_t **all)
{
    long peak = 0;
    for (int i = 0; i < alive; i++) {
        int64_t begin = bench_now();
        check(pool_new_with(&all[i], cap, pool_with_expiry_ms(expiry_ms)));
        int64_t made = bench_now();
        submit_all(all[i]);
        use_ns[i] = bench_now() - made;
        make_ns[i] = made - begin;
        check(pool_wait(all[i]));
        long threads = i % LOOK_AT_THREADS_EVERY == 0 || i == alive - 1 ? bench_proc(BENCH_STATUS, "Threads") : 0;
        peak = threads > peak ? threads : peak;
    }
    return peak;
}

static void destroy_all(pool_t **all)
{
    int64_t begin = bench_now();
    for (int i = 0; i < alive; i++)
        check(pool_destroy(all[i]));
    double seconds = (double)(bench_now() - begin) / 1e9;
    printf(" end=%.2f end_all=%.4f\n", seconds * 1e6 / alive, seconds);
}

static void at_once(void)
{
    pool_t **all = room((size_t)alive, sizeof(pool_t *));
    int64_t rss = bench_rss(), space = address_space();
    long peak = make_all(all);
    int64_t rss_made = bench_rss();
    check_ran(alive);
    if (!bench_until_threads(2, EXPIRED_WITHIN_MS)) /* the main one and the janitor */
        bench_die("workers do not expire");
    printf("alive=%d tasks=%d cap=%d expiry_ms=%d rest_ms=%d", alive, tasks, cap, expiry_ms, rest_ms);
    print_both("make", make_ns, alive);
    print_both("use", use_ns, alive);
    printf(" peak_threads=%ld rss_made=%lld rss=%lld virtual=%lld", peak,
           (long long)(rss_made - rss) / alive, (long long)(bench_rss() - rss) / alive,
           (long long)(address_space() - space) / alive);
    struct bench_others rest = bench_rest((int64_t)rest_ms * 1000000);
    printf(" rest_threads=%d rest_switches=%ld rest_cpu=%.1f", rest.threads + 1, rest.switches,
           (double)rest.cpu / 1000);
    destroy_all(all);
    free(all);
}

int main(int argc, char **argv)
{
    bench_parse(argc, argv, (struct bench_option[]){
        {"--pools", &pools, NULL, NULL, 1, 10000000},
        {"--tasks", &tasks, NULL, NULL, 0, 10000000},
        {"--cap", &cap, NULL, NULL, 1, INT_MAX},
        {"--beside", &beside, NULL, NULL, 0, 1000000},
        {"--alive", &alive, NULL, NULL, 1, 1000000},
        {"--expiry-ms", &expiry_ms, NULL, NULL, 1, 1000000},
        {"--rest-ms", &rest_ms, NULL, NULL, 1, 600000},
        {NULL, NULL, NULL, NULL, 0, 0},
    });
    if (tasks < 0)
        tasks = alive > 0 ? 1 : 0;
    size_t n = (size_t)(alive > 0 ? alive : pools);
    ran = room((size_t)tasks, 1);
    make_ns = room(n, sizeof *make_ns);
    use_ns = room(n, sizeof *use_ns);
    end_ns = room(n, sizeof *end_ns);
    all_ns = room(n, sizeof *all_ns);
    if (alive > 0)
        at_once();
    else
        in_turn();
    return 0;
}
