/* The caps that the machine, and what each task needs, allow. */
#ifndef ANTPOOL_SIZE_CAP_LIMITS_H
#define ANTPOOL_SIZE_CAP_LIMITS_H

#include <stdbool.h>

#include "machine.h"

struct needs {
    double memory;       /* bytes for all tasks together; 0: not given */
    double per_task;     /* bytes that a running task needs, its worker included; 0: what an idle worker takes */
    long fds_per_task;   /* 0: none */
    double cpu_share;    /* of a task's time that is computing; 0: not bound by cores */
    double utilisation;  /* of the cores, wanted at most; 0: 1 */
};

#define LIMITS_MAX 9
#define LIMIT_WORKER_BYTES 10240.0 /* what an idle worker takes, see bench/README.md */
#define LIMIT_FDS_KEPT 64          /* descriptors that are left to the rest of the service */

struct limit {
    const char *name; /* "memory", "fds", "cores" (hard: they decide); "RLIMIT_NPROC", "pids.max",
                       * "vm.max_map_count", "kernel.threads-max", "kernel.pid_max", "RLIMIT_NOFILE" (warnings) */
    long cap;         /* that it allows; LONG_MAX if any */
    bool hard;
    char why[160];    /* how it was reckoned: "2 GiB / 1 MiB a task" */
};

struct limits {
    struct limit of[LIMITS_MAX];
    int n;
};

/* Those that were asked for by the needs (memory, fds, cores), hard, and the system's. */
struct limits limits_of(const struct machine *machine, const struct needs *needs);

/* The tightest hard one, or NULL if there is none. */
const struct limit *limits_hardest(const struct limits *limits);

/* Writes a warning into text for limit i if cap exceeds it, naming it and what to do. */
bool limit_warning(const struct limit *limit, long cap, char *text, int room);

#endif
