#include <math.h>
#include <stdlib.h>

#include "flight.h"

static bool set_lateness(struct run *run, const struct flight *flight)
{
    struct sample late;
    if (!sample_init(&late, flight->n))
        return false;
    for (long i = 0; i < flight->n; i++)
        sample_add(&late, fmax(0, flight->items[i].submitted - flight->items[i].due), 0, false);
    run->late_p50 = sample_wait_quantile(&late, 0.5);
    run->late_p99 = sample_wait_quantile(&late, 0.99);
    run->late_max = sample_wait_quantile(&late, 1);
    sample_fini(&late);
    return true;
}

static bool set_services(struct run *run, const struct flight *flight)
{
    double sum = 0;
    run->services = malloc((size_t)flight->n * sizeof *run->services);
    if (run->services == NULL)
        return false;
    for (long i = 0; i < flight->n; i++) {
        const struct item *item = &flight->items[i];
        run->failed += item->failed;
        if (!item->accepted)
            continue;
        sum += item->end - item->start;
        run->services[run->services_n++] = item->end - item->start;
    }
    run->service_mean = run->services_n > 0 ? sum / (double)run->services_n : NAN;
    return true;
}

/* Only tasks that are due after the warmup count. */
static void set_measured(struct run *run, const struct flight *flight)
{
    for (long i = 0; i < flight->n; i++) {
        const struct item *item = &flight->items[i];
        if (item->due < run->warmup)
            continue;
        run->counted++;
        sample_add(&run->waits, item->accepted ? fmax(0, item->start - item->due) : -1, item->end - item->start,
                   item->waited);
    }
    run->measured = sample_outcome(&run->waits, (double)run->scenario.cap * (run->seconds - run->warmup));
}

/* What a refused task would have taken nobody knows but who drew it. */
static double service_of(const struct run *run, const struct item *item)
{
    if (item->accepted)
        return item->end - item->start;
    return service_is_program(run->scenario.service) ? run->service_mean : item->drawn;
}

static double drawn_of(const struct run *run, const struct item *item)
{
    return service_is_program(run->scenario.service) ? service_of(run, item) : item->drawn;
}

/* The tasks of the run, simulated. False: no memory. */
static bool set_simulated(const struct flight *flight, struct outcome *outcome,
                          double (*length)(const struct run *run, const struct item *item))
{
    const struct run *run = flight->run;
    struct sample sample;
    struct workers *workers = workers_new(run->scenario.cap, flight_queue(flight));
    bool has = workers != NULL && sample_init(&sample, flight->n);
    for (long i = 0; has && i < flight->n; i++) {
        const struct item *item = &flight->items[i];
        double service = length(run, item), wait = workers_take(workers, item->due, service);
        if (item->due >= run->warmup)
            sample_add(&sample, wait, service, wait > 0);
    }
    if (has) {
        *outcome = sample_outcome(&sample, (double)run->scenario.cap * (run->seconds - run->warmup));
        sample_fini(&sample);
    }
    workers_free(workers);
    return has;
}

const char *flight_figures(const struct flight *flight)
{
    struct run *run = flight->run;
    double own = (double)flight->n * sizeof *flight->items, grown = flight->rss_most - run->rss_before - own;
    run->tasks = flight->n;
    run->counted = run->failed = run->services_n = 0;
    run->cpu = flight->cpu;
    run->rss_per_worker = grown > 0 ? grown / (double)run->scenario.cap : 0;
    if (!sample_init(&run->waits, flight->n))
        return "no memory for the waits";
    if (set_lateness(run, flight) && set_services(run, flight)) {
        set_measured(run, flight);
        if (set_simulated(flight, &run->twin, service_of) && set_simulated(flight, &run->ideal, drawn_of))
            return NULL;
    }
    run_fini(run);
    return "no memory for the figures";
}
