#define _POSIX_C_SOURCE 200809L
#include "scaling.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "antpool.h"
#include "clock.h"
#include "fail.h"
#include "formulas.h"
#include "json.h"
#include "load.h"
#include "progress.h"

#define POINTS_MAX 1024

struct points {
    double caps[POINTS_MAX], throughput[POINTS_MAX]; /* tasks a second */
    int n;
};

static void add_point(struct points *points, double cap, double throughput)
{
    if (points->n == POINTS_MAX)
        fail(EXIT_USAGE, "usl takes at most %d points", POINTS_MAX);
    points->caps[points->n] = cap;
    points->throughput[points->n++] = throughput;
}

/* ---- From a file ------------------------------------------------------------------------------- */

/* "4 1200", "4,1200" */
static bool read_point(char *line, double *cap, double *throughput)
{
    char *end;
    *cap = strtod(line, &end);
    char *second = end + strspn(end, " \t,;");
    *throughput = strtod(second, &end);
    return end != second && second != line && end[strspn(end, " \t\r\n")] == '\0';
}

/* Empty lines and those that start with # are skipped. Returns the number of a line that is no point, or 0. */
static long read_lines(struct points *points, FILE *file)
{
    char *line = NULL;
    size_t room = 0;
    long number = 0, wrong = 0;
    while (wrong == 0 && getline(&line, &room, file) >= 0) {
        double cap, throughput;
        char *at = line + strspn(line, " \t");
        number++;
        if (strchr("#\n\r", *at) != NULL)
            continue;
        if (read_point(at, &cap, &throughput))
            add_point(points, cap, throughput);
        else
            wrong = number;
    }
    free(line);
    return wrong;
}

static void read_points(struct points *points, const char *name)
{
    FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "r");
    if (file == NULL)
        fail(EXIT_USAGE, "%s: %s", name, strerror(errno));
    long wrong = read_lines(points, file);
    if (ferror(file))
        fail(EXIT_USAGE, "%s: %s", name, strerror(errno));
    if (file != stdin)
        fclose(file);
    if (wrong != 0)
        fail(EXIT_USAGE, "%s, line %ld: a cap and a throughput are expected, as \"4 1200\"", name, wrong);
}

/* ---- Measured -------------------------------------------------------------------------------------- */

struct closed_loop {
    const struct task *task;
    double seconds; /* a task */
    atomic_long done, failed;
};

static void run_one(void *arg)
{
    struct closed_loop *loop = arg;
    if (!task_run(loop->task, loop->seconds))
        atomic_fetch_add_explicit(&loop->failed, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&loop->done, 1, memory_order_relaxed);
}

/* Keeps the cap busy for a while; the pool waits for room by itself. */
static double throughput_at(const struct request *request, const struct task *task, long cap, double seconds)
{
    struct closed_loop loop = {.task = task, .seconds = request->service.mean};
    pool_t *pool;
    pool_err err = pool_new_with(&pool, (int)cap, pool_with_prestart((int)cap), pool_with_queue((int)cap));
    if (err != POOL_OK)
        fail(EXIT_UNABLE, "a pool of cap %ld: %s", cap, pool_strerror(err));
    double began = clock_now();
    while (err == POOL_OK && clock_now() - began < seconds)
        err = pool_submit(pool, run_one, &loop);
    pool_wait(pool);
    double took = clock_now() - began;
    pool_destroy(pool);
    if (err != POOL_OK)
        fail(EXIT_UNABLE, "submitting at cap %ld: %s", cap, pool_strerror(err));
    if (atomic_load(&loop.failed) > 0)
        fail(EXIT_UNABLE, "--service %s: the command fails: it must exit with 0; try it by itself", request->service_text);
    return (double)atomic_load(&loop.done) / took;
}

static void measure_points(struct points *points, struct request *request)
{
    static const long usual[] = {1, 2, 3, 4, 6, 8};
    const long *caps = request->caps_n > 0 ? request->caps : usual;
    int n = request->caps_n > 0 ? request->caps_n : (int)(sizeof usual / sizeof usual[0]);
    struct task task;
    struct progress progress;
    const char *wrong = task_init(&task, &request->service, request->cpu_share);
    if (wrong != NULL)
        fail(EXIT_USAGE, "--service %s: %s", request->service_text, wrong);
    progress_begin(&progress, request->seconds * n);
    for (int i = 0; i < n; i++) {
        char what[48];
        snprintf(what, sizeof what, "measuring cap %ld", caps[i]);
        progress_part(&progress, what, request->seconds);
        add_point(points, (double)caps[i], throughput_at(request, &task, caps[i], request->seconds));
    }
    progress_end(&progress);
    task_fini(&task);
}

/* ---- Printed -------------------------------------------------------------------------------------------- */

#define R2_FITS 0.97

static int best_of(const struct points *points)
{
    int best = 0;
    for (int i = 1; i < points->n; i++)
        if (points->throughput[i] > points->throughput[best])
            best = i;
    return best;
}

static void put_json(const struct points *points, const struct usl *usl)
{
    struct json json = {.to = stdout};
    json_open(&json, NULL, '{');
    json_number(&json, "gamma", usl->gamma);
    json_number(&json, "sigma", usl->sigma);
    json_number(&json, "kappa", usl->kappa);
    json_number(&json, "r2", usl->r2);
    json_bool(&json, "fits", usl->r2 >= R2_FITS);
    json_number(&json, "best_cap", points->caps[best_of(points)]);
    json_number(&json, "peak_cap", usl_peak(usl));
    json_number(&json, "peak_throughput", usl_throughput(usl, usl_peak(usl)));
    json_open(&json, "points", '[');
    for (int i = 0; i < points->n; i++) {
        json_open(&json, NULL, '{');
        json_number(&json, "cap", points->caps[i]);
        json_number(&json, "throughput", points->throughput[i]);
        json_number(&json, "fitted", usl_throughput(usl, points->caps[i]));
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_close(&json, '}');
}

static void put_text(const struct points *points, const struct usl *usl)
{
    printf("%8s %16s %16s\n", "cap", "tasks/s", "fitted");
    for (int i = 0; i < points->n; i++)
        printf("%8g %16.6g %16.6g\n", points->caps[i], points->throughput[i], usl_throughput(usl, points->caps[i]));
    printf("\none worker %.4g/s, contention %.3g, coherence %.3g, r2 %.4f\n", usl->gamma, usl->sigma, usl->kappa, usl->r2);
    int best = best_of(points);
    printf("best measured: cap %g, %.6g/s\n", points->caps[best], points->throughput[best]);
    double peak = usl_peak(usl);
    if (usl->r2 < R2_FITS)
        printf("the curve does not fit (a limit of cores is a corner, which it has not, or the machine was disturbed): "
               "go by the figures\n");
    else if (isinf(peak))
        printf("no peak: each further worker adds, though less and less if there is contention\n");
    else
        printf("peak at cap %.1f: %.6g/s\n", peak, usl_throughput(usl, peak));
}

int scaling_do(struct request *request)
{
    static struct points points;
    struct usl usl;
    if (request->file != NULL)
        read_points(&points, request->file);
    else
        measure_points(&points, request);
    if (!usl_fit(points.caps, points.throughput, points.n, &usl))
        fail(EXIT_USAGE, "these points determine no curve: it takes three different caps, and figures above 0 that can be squared");
    if (request->format == FORMAT_JSON)
        put_json(&points, &usl);
    else
        put_text(&points, &usl);
    return EXIT_MET;
}
