/*
 * How many tasks a second does a pool take and finish?
 *
 *     throughput [--tasks N] [--cap C] [--queue Q] [--submitters S] [--sleep-us U]
 *                [--rounds R] [--spin-us P] [--prestart]
 *
 * Prints one line: the median rate of R rounds with the lowest and the highest, the
 * threads that the pool started in a round, and for sleeping tasks the share of the ideal
 * rate (cap / sleep), beside that of as many bare threads that only sleep, in rounds that
 * alternate. Every round checks that each task ran exactly once.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "antpool.h"

enum { ROUNDS_MAX = 101, SUBMITTERS_MAX = 256 };

struct setup {
    int tasks, cap, queue, submitters, sleep_us, rounds, spin_us, prestart;
};

struct submitter {
    pthread_t thread;
    pool_t *pool;
    const struct setup *setup;
    int first, count;
};

static unsigned char *ran; /* one byte a task: exactly one writer each */
static atomic_int started;
static int sleep_us;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void task(void *arg)
{
    unsigned char *mine = arg;
    (*mine)++;
}

static void sleeping_task(void *arg)
{
    struct timespec pause = {sleep_us / 1000000, sleep_us % 1000000 * 1000L};
    task(arg);
    nanosleep(&pause, NULL);
}

static void on_start(void *unused)
{
    (void)unused;
    atomic_fetch_add(&started, 1);
}

static void die(const char *what, pool_err err)
{
    fprintf(stderr, "throughput: %s: %s\n", what, pool_strerror(err));
    exit(1);
}

static void *submit_share(void *arg)
{
    const struct submitter *s = arg;
    pool_task_fn fn = s->setup->sleep_us > 0 ? sleeping_task : task;
    for (int i = 0; i < s->count; i++) {
        pool_err err = pool_submit(s->pool, fn, &ran[s->first + i]);
        if (err != POOL_OK)
            die("pool_submit", err);
    }
    return NULL;
}

static void check_each_ran_once(int tasks)
{
    for (int i = 0; i < tasks; i++)
        if (ran[i] != 1) {
            fprintf(stderr, "throughput: task %d ran %d times\n", i, ran[i]);
            exit(1);
        }
}

static void submit_all(pool_t *pool, const struct setup *setup)
{
    struct submitter all[SUBMITTERS_MAX];
    for (int i = 0; i < setup->submitters; i++) {
        int first = (int)((long long)setup->tasks * i / setup->submitters);
        int next = (int)((long long)setup->tasks * (i + 1) / setup->submitters);
        all[i] = (struct submitter){.pool = pool, .setup = setup, .first = first, .count = next - first};
        if (pthread_create(&all[i].thread, NULL, submit_share, &all[i]) != 0)
            die("pthread_create", POOL_ERR_NO_THREAD);
    }
    for (int i = 0; i < setup->submitters; i++)
        pthread_join(all[i].thread, NULL);
}

/* From the first submit to the end of the last task; making and ending the pool and the
 * submitters' threads is a small part that counts with it. */
static double one_round(const struct setup *setup)
{
    pool_t *pool;
    memset(ran, 0, (size_t)setup->tasks);
    pool_err err = pool_new_with(&pool, setup->cap, pool_with_queue(setup->queue),
                                 pool_with_prestart(setup->prestart ? setup->cap : 0),
                                 pool_with_spin_us(setup->spin_us),
                                 pool_with_thread_hooks(on_start, NULL, NULL));
    if (err != POOL_OK)
        die("pool_new", err);
    double begin = now();
    submit_all(pool, setup);
    pool_wait(pool);
    double seconds = now() - begin;
    pool_destroy(pool);
    check_each_ran_once(setup->tasks);
    return setup->tasks / seconds;
}

/* The same sleeps without any pool: cap threads that do nothing else. What the machine
 * itself allows at the moment, to hold the pool's share of the ideal against. */
static void *sleep_share(void *arg)
{
    const struct setup *setup = arg;
    unsigned char unused = 0;
    for (int i = 0; i < setup->tasks / setup->cap; i++)
        sleeping_task(&unused);
    return NULL;
}

static double bare_round(struct setup *setup)
{
    pthread_attr_t attr;
    pthread_t *threads = malloc((size_t)setup->cap * sizeof *threads);
    if (threads == NULL || pthread_attr_init(&attr) != 0)
        die("malloc", POOL_ERR_NO_MEMORY);
    pthread_attr_setstacksize(&attr, POOL_STACK_DEFAULT);
    double begin = now();
    for (int i = 0; i < setup->cap; i++)
        if (pthread_create(&threads[i], &attr, sleep_share, setup) != 0)
            die("pthread_create", POOL_ERR_NO_THREAD);
    for (int i = 0; i < setup->cap; i++)
        pthread_join(threads[i], NULL);
    double seconds = now() - begin;
    pthread_attr_destroy(&attr);
    free(threads);
    return setup->tasks / setup->cap * setup->cap / seconds;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *rate, int n)
{
    qsort(rate, (size_t)n, sizeof *rate, by_value);
    return rate[n / 2];
}

static void run(struct setup *setup)
{
    double rate[ROUNDS_MAX], bare[ROUNDS_MAX];
    bool sleeps = setup->sleep_us > 0 && setup->cap > 0;
    for (int i = 0; i < setup->rounds; i++) {
        rate[i] = one_round(setup);
        bare[i] = sleeps ? bare_round(setup) : 0;
    }
    double mid = median(rate, setup->rounds);
    printf("cap %5d  queue %4d  submitters %d  %9.0f tasks/s (%.0f .. %.0f)  %.1f threads",
           setup->cap, setup->queue, setup->submitters, mid, rate[0], rate[setup->rounds - 1],
           (double)atomic_load(&started) / setup->rounds);
    if (sleeps) {
        double ideal = setup->cap / (setup->sleep_us / 1e6);
        printf("  sleep %d us%s: %.3f of the ideal, bare threads %.3f", setup->sleep_us,
               setup->prestart ? ", prestarted" : "", mid / ideal, median(bare, setup->rounds) / ideal);
    }
    printf("\n");
}

static int number(const char *name, const char *text, int least, int most)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (errno == 0 && *text != '\0' && *end == '\0' && n >= least && n <= most)
        return (int)n;
    fprintf(stderr, "throughput: %s takes a number from %d to %d, not \"%s\"\n", name, least, most, text);
    exit(2);
}

static void usage(void)
{
    fprintf(stderr, "usage: throughput [--tasks N] [--cap C | -1] [--queue Q] [--submitters S] "
                    "[--sleep-us U] [--rounds R] [--spin-us P] [--prestart]\n");
    exit(2);
}

static struct setup parse(int argc, char **argv)
{
    struct setup s = {.tasks = 3000000, .cap = 1000, .submitters = 1, .rounds = 7};
    struct { const char *name; int *value, least, most; } known[] = {
        {"--tasks", &s.tasks, 1, 1000000000},        {"--cap", &s.cap, -1, INT_MAX},
        {"--queue", &s.queue, 0, INT_MAX},           {"--submitters", &s.submitters, 1, SUBMITTERS_MAX},
        {"--sleep-us", &s.sleep_us, 0, 1000000000},  {"--rounds", &s.rounds, 1, ROUNDS_MAX},
        {"--spin-us", &s.spin_us, -1, 1000000},
    };
    for (int i = 1; i < argc; i++) {
        size_t k = 0, n = sizeof known / sizeof *known;
        if (strcmp(argv[i], "--prestart") == 0) {
            s.prestart = 1;
            continue;
        }
        while (k < n && strcmp(argv[i], known[k].name) != 0)
            k++;
        if (k == n || i + 1 == argc)
            usage();
        *known[k].value = number(known[k].name, argv[++i], known[k].least, known[k].most);
    }
    return s;
}

int main(int argc, char **argv)
{
    struct setup setup = parse(argc, argv);
    sleep_us = setup.sleep_us;
    ran = malloc((size_t)setup.tasks);
    if (ran == NULL)
        die("malloc", POOL_ERR_NO_MEMORY);
    run(&setup);
    free(ran);
    return 0;
}
