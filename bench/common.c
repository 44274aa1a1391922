#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *bench_program = "bench";

/* ---- Arguments ------------------------------------------------------------------------ */

void bench_die(const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "%s: ", bench_program);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    exit(1);
}

static void usage(const struct bench_option *options)
{
    fprintf(stderr, "usage: %s", bench_program);
    for (; options->name != NULL; options++)
        fprintf(stderr, " [%s%s]", options->name,
                options->number != NULL ? " N" : options->text != NULL ? " WORD" : "");
    fprintf(stderr, "\n");
    exit(2);
}

static int number(const struct bench_option *option, const char *text)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (errno == 0 && *text != '\0' && *end == '\0' && n >= option->least && n <= option->most)
        return (int)n;
    fprintf(stderr, "%s: %s takes a number from %d to %d, not \"%s\"\n", bench_program, option->name,
            option->least, option->most, text);
    exit(2);
}

/* Returns how many words it took. */
static int take(const struct bench_option *options, const struct bench_option *option, const char *next)
{
    if (option->name == NULL)
        usage(options);
    if (option->flag != NULL) {
        *option->flag = 1;
        return 1;
    }
    if (next == NULL)
        usage(options);
    if (option->text != NULL)
        *option->text = next;
    else
        *option->number = number(option, next);
    return 2;
}

void bench_parse(int argc, char **argv, const struct bench_option *options)
{
    const char *slash = strrchr(argv[0], '/');
    bench_program = slash != NULL ? slash + 1 : argv[0];
    for (int i = 1; i < argc;) {
        const struct bench_option *option = options;
        while (option->name != NULL && strcmp(argv[i], option->name) != 0)
            option++;
        i += take(options, option, i + 1 < argc ? argv[i + 1] : NULL);
    }
}

/* ---- Time ----------------------------------------------------------------------------- */

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t bench_now(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t bench_cpu(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t bench_thread_cpu(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

void bench_sleep(int64_t ns)
{
    struct timespec pause = {ns / 1000000000, ns % 1000000000};
    nanosleep(&pause, NULL);
}

/* ---- Threads -------------------------------------------------------------------------- */

struct share {
    pthread_t thread;
    void (*body)(int who);
    int who;
};

static void *run_share(void *arg)
{
    struct share *share = arg;
    share->body(share->who);
    return NULL;
}

void bench_threads(int n, void (*body)(int who))
{
    struct share *all = calloc((size_t)n, sizeof *all);
    pthread_attr_t attr;
    if (all == NULL || pthread_attr_init(&attr) != 0)
        bench_die("out of memory");
    pthread_attr_setstacksize(&attr, (size_t)256 * 1024);
    for (int i = 0; i < n; i++) {
        all[i].body = body;
        all[i].who = i;
        int error = pthread_create(&all[i].thread, &attr, run_share, &all[i]);
        if (error != 0)
            bench_die("cannot start thread %d: %s", i, strerror(error));
    }
    for (int i = 0; i < n; i++)
        pthread_join(all[i].thread, NULL);
    pthread_attr_destroy(&attr);
    free(all);
}

/* ---- Work ----------------------------------------------------------------------------- */

/* Each step needs the one before it, so it takes the same time wherever it is called from. */
void bench_work(int64_t units)
{
    uint64_t x = (uint64_t)units;
    for (int64_t i = 0; i < units; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        __asm__ volatile("" : "+r"(x));
    }
}

static double ns_per_unit(void)
{
    double best = 1e9;
    for (int i = 0; i < 20; i++) {
        int64_t begin = bench_now();
        bench_work(200000);
        double each = (double)(bench_now() - begin) / 200000;
        if (each < best)
            best = each;
    }
    return best;
}

int64_t bench_work_units(int64_t ns)
{
    static double each;
    if (each == 0)
        each = ns_per_unit();
    return ns <= 0 ? 0 : (int64_t)((double)ns / each) + 1;
}

/* ---- Figures -------------------------------------------------------------------------- */

long bench_proc(const char *file, const char *name)
{
    char line[256];
    long value = 0;
    size_t length = strlen(name);
    FILE *lines = fopen(file, "r");
    if (lines == NULL)
        return 0;
    while (fgets(line, sizeof line, lines) != NULL)
        if (strncmp(line, name, length) == 0 && line[length] == ':')
            value = strtol(line + length + 1, NULL, 10);
    fclose(lines);
    return value;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int64_t bench_quantile(int64_t *values, long n, double share)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
    long at = (long)(share * (double)n);
    return values[at < n ? at : n - 1];
}
