/*
 * An open loop on a real pool: tasks are due at instants that are fixed beforehand, whatever
 * the pool does, and waits count from these (no coordinated omission). And its twin.
 */
#ifndef ANTPOOL_SIZE_LOAD_H
#define ANTPOOL_SIZE_LOAD_H

#include <stdbool.h>

#include "service.h"
#include "simulate.h"

/* ---- What a task does --------------------------------------------------------------------- */

/* Made once, run by many workers at once. */
struct task {
    const struct service *service;
    double cpu_share; /* of a drawn time, how much is computing; the rest sleeps. 0 … 1 */
    void *plugin;     /* of dlopen, with the three calls */
    void *state;
    void (*run)(void *state);
    void (*fini)(void *state);
};

/* Loads a plugin. Returns NULL, or why not, as a sentence (overwritten by the next call). */
const char *task_init(struct task *task, const struct service *service, double cpu_share);
void task_fini(struct task *task);

/* Runs it once: `seconds` is the drawn time (not looked at for a plugin or a command). False: the
 * command could not be run or failed. Any thread. */
bool task_run(const struct task *task, double seconds);

/* Times the task itself, `at_once` at a time on a pool, until `most` were run or `seconds` are over, and
 * teaches its service (service_learn). Returns NULL or what is wrong. */
const char *task_time(struct task *task, struct service *service, int at_once, long most, double seconds);

/* ---- A run ---------------------------------------------------------------------------------- */

struct run {
    /* In. */
    const struct task *task;
    struct scenario scenario; /* backlog is not looked at */
    double seconds, warmup;   /* warmup: the first seconds of these are not counted */
    bool (*progress)(double done, void *arg); /* done: 0 … 1, some times a second; NULL: none. False: stop */
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
    double cpu;              /* processor time of the process a second */
    struct sample waits;     /* of the counted tasks, for percentiles */
};

/* Makes the pool (cap and queue of the scenario; with no limit of the queue, room for every task of
 * the run), prestarts its workers, runs, drains and destroys it. Returns NULL, or what is wrong
 * and what to do, as a sentence (overwritten by the next call); then nothing is to be freed. */
const char *load_run(struct run *run);
void run_fini(struct run *run);

/* Resident bytes of this process; 0 where the system does not tell. */
double load_resident(void);

/* Seconds from submitting `backlog` tasks at once until all are done, on a pool with the cap. */
const char *load_drain(const struct task *task, const struct scenario *scenario, double *seconds);

#endif
