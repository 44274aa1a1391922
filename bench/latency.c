/*
 * How long after a submit does its task start?
 *
 *     latency [--rate R] [--ms T] [--cap C] [--queue Q] [--prestart N] [--poisson]
 *
 * One thread submits R empty tasks a second for T milliseconds, at instants that are fixed
 * beforehand (open loop): equal distances, or with --poisson random ones. It spins until each
 * instant, so that it is on time; its spinning is not counted as the pool's. Prints a line
 * of name=value, in µs:
 *
 *     p50 p99 p999           from the instant the submit call begins to the task's start
 *     due50 due99 due999     from the instant for which it was planned
 *     call50 call99          how long the submit call took
 *     late                   99 % of the submits began at most this after their instant
 *     cpu                    processor time per task: all other threads', and the calls'
 */
#define _GNU_SOURCE
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common.h"
#include "subject.h"

struct sample {
    int64_t due, begin, end, start; /* ns */
};

static struct subject_setup setup = {.cap = 8, .queue = 1024, .submitters = 1, .call = "submit"};
static int rate = 1000, ms = 1000, poisson;
static long n;
static struct sample *samples;
static int64_t spun; /* processor time of the submitting thread outside the calls */

static void task(void *arg)
{
    ((struct sample *)arg)->start = bench_now();
}

/* xorshift64*: the same instants in each run. */
static double random_share(void)
{
    static uint64_t x = 88172645463325252u;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    return (double)((x * 2685821657736338717u) >> 11) / 9007199254740992.0;
}

static void plan(void)
{
    double each = 1e9 / rate, at = 0;
    for (long i = 0; i < n; i++) {
        at += poisson ? -log(1 - random_share()) * each : each;
        samples[i].due = (int64_t)at;
    }
}

static void submit_all(int who)
{
    int64_t mine = bench_thread_cpu(), zero = bench_now() + 1000000, calls = 0;
    (void)who;
    for (long i = 0; i < n; i++) {
        struct sample *s = &samples[i];
        s->due += zero;
        while ((s->begin = bench_now()) < s->due) {}
        subject_submit(task, s);
        s->end = bench_now();
        calls += s->end - s->begin;
    }
    subject_flush();
    spun = bench_thread_cpu() - mine - calls;
}

/* ---- The line ------------------------------------------------------------------------- */

static int64_t *difference;

#define QUANTILE(share, from, to) quantile(share, offsetof(struct sample, from), offsetof(struct sample, to))

static double quantile(double share, size_t from, size_t to)
{
    for (long i = 0; i < n; i++) {
        const char *s = (const char *)&samples[i];
        difference[i] = *(const int64_t *)(s + to) - *(const int64_t *)(s + from);
    }
    return (double)bench_quantile(difference, n, share) / 1000;
}

static void report(int64_t cpu)
{
    printf("subject=%s rate=%d n=%ld cap=%d queue=%d", subject_name, rate, n, setup.cap, setup.queue);
    printf(" p50=%.2f p99=%.2f p999=%.2f", QUANTILE(0.5, begin, start), QUANTILE(0.99, begin, start),
           QUANTILE(0.999, begin, start));
    printf(" due50=%.2f due99=%.2f due999=%.2f", QUANTILE(0.5, due, start), QUANTILE(0.99, due, start),
           QUANTILE(0.999, due, start));
    printf(" call50=%.2f call99=%.2f late=%.2f", QUANTILE(0.5, begin, end), QUANTILE(0.99, begin, end),
           QUANTILE(0.99, due, begin));
    printf(" cpu=%.3f\n", (double)cpu / 1000 / (double)n);
}

static void check_each_ran(void)
{
    for (long i = 0; i < n; i++)
        if (samples[i].start < samples[i].begin)
            bench_die("%s: task %ld did not run", subject_name, i);
}

int main(int argc, char **argv)
{
    bench_parse(argc, argv, (struct bench_option[]){
        {"--rate", &rate, NULL, NULL, 1, 10000000},
        {"--ms", &ms, NULL, NULL, 1, 600000},
        {"--cap", &setup.cap, NULL, NULL, -1, INT_MAX},
        {"--queue", &setup.queue, NULL, NULL, 0, INT_MAX},
        {"--prestart", &setup.prestart, NULL, NULL, 0, 1 << 24},
        {"--spin-us", &setup.spin_us, NULL, NULL, -1, 1000000},
        {"--poisson", NULL, NULL, &poisson, 0, 0},
        {NULL, NULL, NULL, NULL, 0, 0},
    });
    n = (long)((int64_t)rate * ms / 1000);
    n = n > 0 ? n : 1;
    samples = calloc((size_t)n, sizeof *samples);
    difference = calloc((size_t)n, sizeof *difference);
    if (samples == NULL || difference == NULL)
        bench_die("no memory for %ld tasks", n);
    plan();
    const char *why = subject_start(&setup);
    if (why != NULL) {
        fprintf(stderr, "%s: %s: %s\n", bench_program, subject_name, why);
        _exit(BENCH_SKIPPED);
    }
    int64_t cpu = bench_cpu();
    subject_run(1, submit_all);
    cpu = bench_cpu() - cpu - spun;
    check_each_ran();
    report(cpu);
    subject_stop();
    free(samples);
    free(difference);
    return 0;
}
