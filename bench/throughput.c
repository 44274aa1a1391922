/*
 * How many tasks a second does a pool take and finish?
 *
 *     throughput [--cap C | -1] [--queue Q] [--submitters S] [--tasks N] [--ms T]
 *                [--work-ns W] [--sleep-us U] [--prestart N] [--bare]
 *                [--call submit|invoke|copy|many16|many256] [--spin-us P]
 *                [--shards K] [--strategy round-robin|…]   (throughput-multipool)
 *
 * One round: submits until N tasks or T milliseconds are over, and prints a line of
 * name=value. A task marks that it ran, then works W ns or sleeps U µs; each must have run
 * once. The rate counts from the first submit to the end of the last task. --bare adds a
 * second part: what the machine does without any pool, next to it in time, with as many
 * threads as can be of use, which do the same and nothing else; `efficiency` is the rate's
 * share of that. Where tasks burn processor time it comes first, since some pools leave threads
 * that go on to spin for a while; where they sleep it comes last, since its threads need memory.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common.h"
#include "subject.h"

enum { LOOK_AFTER_NS = 20000 }; /* how long one goes on without looking at the clock */

static struct subject_setup setup = {
    .cap = 1000, .submitters = 1, .call = "submit", .shards = 4, .strategy = "round-robin"};
static int tasks = 64000000, ms = 300, work_ns, sleep_us, bare;
static int64_t work_units;
static unsigned char *ran; /* a byte a task */
static int64_t deadline;
static int submitted[BENCH_SUBMITTERS_MAX];

/* ---- Tasks ---------------------------------------------------------------------------- */

static void empty_task(void *arg)
{
    unsigned char *mine = arg;
    (*mine)++;
}

static void working_task(void *arg)
{
    empty_task(arg);
    bench_work(work_units);
}

static void sleeping_task(void *arg)
{
    empty_task(arg);
    bench_sleep((int64_t)sleep_us * 1000);
}

static void (*task(void))(void *)
{
    return sleep_us > 0 ? sleeping_task : work_ns > 0 ? working_task : empty_task;
}

static int first_of(int who)
{
    return (int)((int64_t)tasks * who / setup.submitters);
}

/* So that reading the clock is no part of what is measured. */
static int every(void)
{
    return work_ns >= LOOK_AFTER_NS || sleep_us > 0 ? 1 : LOOK_AFTER_NS / (work_ns + LOOK_AFTER_NS / 64);
}

static void submit_share(int who)
{
    int first = first_of(who), share = first_of(who + 1) - first, n = 0, look = every();
    void (*fn)(void *) = task();
    while (n < share && (n % look != 0 || bench_now() < deadline))
        subject_submit(fn, &ran[first + n++]);
    subject_flush();
    submitted[who] = n;
}

static int64_t check_each_ran_once(void)
{
    int64_t sum = 0;
    for (int who = 0; who < setup.submitters; who++) {
        int first = first_of(who);
        for (int i = 0; i < submitted[who]; i++)
            if (ran[first + i] != 1)
                bench_die("%s: task %d ran %d times", subject_name, first + i, ran[first + i]);
        sum += submitted[who];
    }
    return sum;
}

/* ---- Without a pool ------------------------------------------------------------------- */

static atomic_llong bare_done;
static int64_t bare_share;

static void bare_body(int who)
{
    unsigned char unused = 0;
    void (*fn)(void *) = task();
    int64_t n = 0, look = every();
    (void)who;
    while (n < bare_share && (n % look != 0 || bench_now() < deadline)) {
        fn(&unused);
        n++;
    }
    atomic_fetch_add(&bare_done, n);
}

/* As many threads as the pool may run tasks at once; if they burn processor time, not more
 * than there are processors. */
static double bare_rate(int64_t n, int64_t duration)
{
    int threads = setup.cap;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (sleep_us == 0 && (threads < 0 || threads > processors))
        threads = (int)processors;
    bare_share = sleep_us > 0 ? (n + threads - 1) / threads : INT64_MAX;
    int64_t begin = bench_now();
    deadline = sleep_us > 0 ? INT64_MAX : begin + duration;
    bench_threads(threads, bare_body);
    return (double)atomic_load(&bare_done) * 1e9 / (double)(bench_now() - begin);
}

/* ---- A round -------------------------------------------------------------------------- */

static void report(int64_t n, int64_t duration, int64_t cpu, long threads, long kib, double reference)
{
    double rate = (double)n * 1e9 / (double)duration;
    printf("subject=%s call=%s cap=%d queue=%d submitters=%d work_ns=%d sleep_us=%d tasks=%lld "
           "seconds=%.6f rate=%.0f cpu=%.6f threads=%ld rss_kib=%ld",
           subject_name, setup.call, setup.cap, setup.queue, setup.submitters, work_ns, sleep_us,
           (long long)n, (double)duration / 1e9, rate, (double)cpu / 1e9, threads, kib);
    if (bare) {
        if (reference == 0)
            reference = bare_rate(n, duration);
        printf(" bare=%.0f efficiency=%.4f", reference, rate / reference);
    }
    printf("\n");
}

static void run_round(void)
{
    double reference = bare && sleep_us == 0 && ms > 0 ? bare_rate(0, (int64_t)ms * 1000000) : 0;
    const char *why = subject_start(&setup);
    if (why != NULL) {
        fprintf(stderr, "%s: %s: %s\n", bench_program, subject_name, why);
        _exit(BENCH_SKIPPED);
    }
    int64_t cpu = bench_cpu(), begin = bench_now();
    deadline = ms > 0 ? begin + (int64_t)ms * 1000000 : INT64_MAX;
    subject_run(setup.submitters, submit_share);
    int64_t duration = bench_now() - begin;
    cpu = bench_cpu() - cpu;
    long threads = bench_proc(BENCH_STATUS, "Threads") - 1, kib = bench_proc(BENCH_STATUS, "VmHWM");
    int64_t n = check_each_ran_once();
    subject_stop();
    report(n, duration, cpu, threads, kib, reference);
}

int main(int argc, char **argv)
{
    bench_parse(argc, argv, (struct bench_option[]){
        {"--cap", &setup.cap, NULL, NULL, -1, INT_MAX},
        {"--queue", &setup.queue, NULL, NULL, 0, INT_MAX},
        {"--submitters", &setup.submitters, NULL, NULL, 1, BENCH_SUBMITTERS_MAX},
        {"--tasks", &tasks, NULL, NULL, 1, 1000000000},
        {"--ms", &ms, NULL, NULL, 0, 600000},
        {"--work-ns", &work_ns, NULL, NULL, 0, 1000000000},
        {"--sleep-us", &sleep_us, NULL, NULL, 0, 1000000000},
        {"--prestart", &setup.prestart, NULL, NULL, 0, 1 << 24},
        {"--spin-us", &setup.spin_us, NULL, NULL, -1, 1000000},
        {"--call", NULL, &setup.call, NULL, 0, 0},
        {"--shards", &setup.shards, NULL, NULL, 1, 1 << 20},
        {"--strategy", NULL, &setup.strategy, NULL, 0, 0},
        {"--bare", NULL, NULL, &bare, 0, 0},
        {NULL, NULL, NULL, NULL, 0, 0},
    });
    if (bare && sleep_us > 0 && setup.cap < 0)
        bench_die("--bare with --sleep-us needs a cap: as many threads sleep beside it");
    work_units = bench_work_units(work_ns);
    ran = mmap(NULL, (size_t)tasks, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (ran == MAP_FAILED)
        bench_die("no memory for %d tasks", tasks);
    run_round();
    return 0;
}
