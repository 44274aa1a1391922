/*
 * A simulation of c workers, first come, first served, task by task: the long simulation of a
 * distribution, and the twin of a measured run.
 */
#ifndef ANTPOOL_SIZE_SIMULATE_H
#define ANTPOOL_SIZE_SIMULATE_H

#include <stdbool.h>
#include <stdint.h>

#include "metrics.h"
#include "service.h"

/* ---- The workers ----------------------------------------------------------------------- */

struct workers; /* for one thread at a time */

/* queue: how many tasks may wait; negative: any number. NULL: no memory. */
struct workers *workers_new(long cap, long queue);
void workers_free(struct workers *workers);

/* A task comes at `at` (not before the last one) and takes `service`; seconds. Returns how long
 * it waits, or a negative number if it is refused. */
double workers_take(struct workers *workers, double at, double service);

/* When all accepted tasks have ended; -INFINITY of none. */
double workers_done_at(const struct workers *workers);

/* ---- A sample of waits ------------------------------------------------------------------ */

/* What happened to each task, gathered one by one. Figures sort it, so they are for one thread. */
struct sample {
    double *waits, *totals; /* of accepted tasks, seconds */
    long n, room;
    long refused, waited;
    double wait_sum, busy; /* seconds; busy: service times */
    bool sorted;
};

bool sample_init(struct sample *sample, long room); /* false: no memory */
void sample_fini(struct sample *sample);
void sample_clear(struct sample *sample);
/* A negative wait: refused. waited: every worker was busy when it came (a real pool takes some µs to
 * wake an idle one, which is a wait, but not this). More than `room` tasks are the caller's error (asserted). */
void sample_add(struct sample *sample, double wait, double service, bool waited);

/* The q-quantile: the least value that at least a share q of them does not exceed; NAN of none. It
 * sorts if anything was added since: the order of arrival is lost. */
double sample_wait_quantile(struct sample *sample, double q);
double sample_total_quantile(struct sample *sample, double q);

/* All figures but DRAIN; NAN where there is nothing to tell them from. capacity: seconds of all workers
 * together (cap · time), for utilisation. */
struct outcome sample_outcome(struct sample *sample, double capacity);

/* ---- The long simulation ---------------------------------------------------------------- */

struct scenario {
    const struct service *service;
    enum arrivals arrivals;
    double rate;  /* a second; 0: only the backlog is asked about */
    long cap;
    long queue;   /* negative: everybody waits */
    long backlog; /* for DRAIN: tasks; 0: not asked for */
    uint64_t seed;
};

struct estimate {
    struct outcome outcome; /* INFINITY waits if the load is unstable: rate · mean ≥ cap, no queue limit */
    struct outcome error;   /* half of a 95 % confidence interval, by batch means; 0 where exact */
    long tasks;             /* simulated; 0 if the load is unstable, which needs none */
};

/* The same seed draws the same tasks for every cap, so that without a queue limit waits are monotone in
 * the cap, task by task. The first tenth of the tasks is not counted, so the system has filled. REJECT is
 * NAN without a queue limit, DRAIN without a backlog. Deterministic. False: no memory. */
bool simulate(const struct scenario *scenario, long tasks, struct estimate *estimate);

/* How far a run of `tasks` tasks strays by chance: half of the interval that holds 95 % of what
 * such runs show of each metric, from `runs` simulated ones, each starting empty and not
 * counting its first `warmup` tasks; of DRAIN, how far a single drain strays. An unstable load has a spread
 * too. NAN where a run shows nothing. False: no memory. */
bool simulate_spread(const struct scenario *scenario, long tasks, long warmup, int runs, struct outcome *spread);

#endif
