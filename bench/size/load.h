/*
 * An open loop on a real pool: tasks are due at instants that are fixed beforehand, whatever
 * the pool does, and waits count from these (no coordinated omission). And its twin.
 * One thread at a time calls these, but task_run and load_resident: the sentences are static.
 */
#ifndef ANTPOOL_SIZE_LOAD_H
#define ANTPOOL_SIZE_LOAD_H

#include <stdbool.h>

#include "service.h"
#include "simulate.h"
#include "task.h"

struct run {
    /* In. */
    const struct task *task;
    struct scenario scenario; /* backlog is not looked at */
    double seconds, warmup;   /* warmup: the first seconds of these are not counted */
    bool (*progress)(double done, void *arg); /* done: 0 … 1, 3 to 10 times a second, in the caller's thread;
                                               * NULL: none. False: stop */
    void *arg;
    double rss_before;        /* resident bytes of the process before any worker was made; 0: take it now */

    /* Out. */
    struct outcome measured; /* of tasks due after the warmup, but DRAIN */
    struct outcome twin;     /* of the same tasks by simulation: their due times, measured service times */
    struct outcome ideal;    /* likewise, but with the service times that were drawn; the twin's of plugins and commands */
    long tasks, counted;     /* due in all; after the warmup */
    long failed;             /* commands that failed */
    double late_p50, late_p99, late_max; /* seconds from the instant due to the submit */
    double service_mean;     /* as measured, seconds */
    double *services;        /* as measured, in order of arrival; `tasks` less the refused */
    long services_n;
    double rss_per_worker;   /* bytes that the process grew by at its peak, a worker; 0 if unknown */
    double cpu;              /* processor time of the process a second, from the first submit to the last end */
    struct sample waits;     /* of the counted tasks, for percentiles */
};

/* Makes the pool (cap and queue of the scenario; with no limit of the queue, room for every task of
 * the run), prestarts its workers, runs, drains and destroys it. Returns NULL, or what is wrong
 * and what to do, as a sentence (overwritten by the next call); then nothing is to be freed. A run that
 * progress stops is "interrupted": it waits for the tasks that have begun, those in the queue never run. */
const char *load_run(struct run *run);
void run_fini(struct run *run);

/* Resident bytes of this process; 0 where the system does not tell. */
double load_resident(void);

/* Seconds from submitting `backlog` tasks at once until all are done, on a pool with the cap, whose queue has
 * room for them. Returns NULL or what is wrong, *seconds being as it was. */
const char *load_drain(const struct task *task, const struct scenario *scenario, double *seconds);

#endif
