#include "cap_limits.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "units.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))

#define THREADS_KEPT 2 /* for those that a service starts after this was looked at */
#define MAPS_KEPT 64   /* mappings of the program, its libraries and its heap */
#define MAPS_A_THREAD 2 /* its stack and the guard page below */

enum kind { MEMORY, FDS, CORES, NPROC, PIDS_MAX, MAP_COUNT, THREADS_MAX, PID_MAX, NOFILE };

static const struct kind_words {
    const char *name;
    bool hard;
    const char *exceeds; /* what more than the limit's cap is */
    const char *remedy;
} kinds[] = {
    [MEMORY] = {"memory", true, "needs more bytes than memory allows",
                "give it more (memory.max or MemoryMax= of its cgroup), or let a task take less"},
    [FDS] = {"fds", true, "needs more descriptors than fds allows",
             "raise RLIMIT_NOFILE with ulimit -n or LimitNOFILE=, or let a task hold fewer"},
    [CORES] = {"cores", true, "computes more than cores allows",
               "give it more processors (cpu.max or CPUQuota= of its cgroup, or taskset), or let a task compute less"},
    [NPROC] = {"RLIMIT_NPROC", false, "needs more threads than RLIMIT_NPROC allows",
               "raise it with ulimit -u or LimitNPROC="},
    [PIDS_MAX] = {"pids.max", false, "needs more threads than pids.max of the cgroup allows",
                  "raise it with TasksMax=, --pids-limit or by writing to pids.max"},
    [MAP_COUNT] = {"vm.max_map_count", false, "needs more mappings than vm.max_map_count allows",
                   "raise it with sysctl -w vm.max_map_count="},
    [THREADS_MAX] = {"kernel.threads-max", false, "needs more threads than kernel.threads-max allows",
                     "raise it with sysctl -w kernel.threads-max="},
    [PID_MAX] = {"kernel.pid_max", false, "needs more thread numbers than kernel.pid_max allows",
                 "raise it with sysctl -w kernel.pid_max="},
    [NOFILE] = {"RLIMIT_NOFILE", false, "needs more descriptors than RLIMIT_NOFILE allows",
                "raise it with ulimit -n or LimitNOFILE="},
};

static_assert(LENGTH(kinds) == LIMITS_MAX, "one limit of each kind");

/* The whole number below, where 28 that came out as 27.999999999999996 is 28. */
static long whole(double number)
{
    number = floor(number * (1 + 1e-12));
    if (!(number > 0))
        return 0;
    return number >= (double)LONG_MAX ? LONG_MAX : (long)number;
}

__attribute__((format(printf, 4, 5))) static void add(struct limits *limits, enum kind kind, double cap,
                                                      const char *format, ...)
{
    assert(limits->n < LIMITS_MAX);
    struct limit *limit = &limits->of[limits->n++];
    limit->name = kinds[kind].name;
    limit->hard = kinds[kind].hard;
    limit->cap = whole(cap);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(limit->why, sizeof limit->why, format, arguments);
    va_end(arguments);
}

static void add_memory(struct limits *limits, const struct machine *machine, const struct needs *needs)
{
    if (needs->memory <= 0 && needs->per_task <= 0)
        return;
    double memory = needs->memory > 0 ? needs->memory : machine->memory;
    double each = needs->per_task > 0 ? needs->per_task : LIMIT_WORKER_BYTES;
    char all_text[UNITS_TEXT_MAX], each_text[UNITS_TEXT_MAX];
    add(limits, MEMORY, memory / each, "%s%s / %s %s", bytes_text(memory, all_text),
        needs->memory > 0 ? "" : " of the machine or cgroup", bytes_text(each, each_text),
        needs->per_task > 0 ? "a task" : "an idle worker");
}

static double by_fds(const struct machine *machine, const struct needs *needs)
{
    return (machine->nofile - LIMIT_FDS_KEPT) / (double)needs->fds_per_task;
}

static void add_fds(struct limits *limits, const struct machine *machine, const struct needs *needs)
{
    if (needs->fds_per_task > 0)
        add(limits, FDS, by_fds(machine, needs), "%.0f descriptors, %d kept, %ld a task", machine->nofile,
            LIMIT_FDS_KEPT, needs->fds_per_task);
}

/* A task that computes all the time has a worker, however small the machine. */
static void add_cores(struct limits *limits, const struct machine *machine, const struct needs *needs)
{
    if (needs->cpu_share <= 0)
        return;
    double utilisation = needs->utilisation > 0 ? needs->utilisation : 1;
    double cap = machine->cores * utilisation / needs->cpu_share;
    char wanted[UNITS_TEXT_MAX], computing[UNITS_TEXT_MAX];
    add(limits, CORES, cap > 1 ? cap : 1, "%.4g core%s by the %s x %s utilisation / %s of a task is computing",
        machine->cores, machine->cores == 1 ? "" : "s", machine->cores_by, share_text(utilisation, wanted), share_text(needs->cpu_share, computing));
}

static void add_system(struct limits *limits, const struct machine *machine)
{
    add(limits, NPROC, machine->nproc - machine->nproc_used - THREADS_KEPT, "%.0f, %.0f in use, %d kept",
        machine->nproc, machine->nproc_used, THREADS_KEPT);
    add(limits, PIDS_MAX, machine->pids_max - machine->pids_current - THREADS_KEPT, "%.0f, %.0f in use, %d kept",
        machine->pids_max, machine->pids_current, THREADS_KEPT);
    add(limits, MAP_COUNT, (machine->map_count - MAPS_KEPT) / MAPS_A_THREAD,
        "%.0f mappings, %d kept, %d a thread", machine->map_count, MAPS_KEPT, MAPS_A_THREAD);
    add(limits, THREADS_MAX, machine->threads_max - machine->nproc_used - THREADS_KEPT,
        "%.0f, %.0f in use by this user, %d kept", machine->threads_max, machine->nproc_used, THREADS_KEPT);
    add(limits, PID_MAX, machine->pid_max - machine->nproc_used - THREADS_KEPT,
        "%.0f, %.0f in use by this user, %d kept", machine->pid_max, machine->nproc_used, THREADS_KEPT);
}

struct limits limits_of(const struct machine *machine, const struct needs *needs)
{
    struct limits limits = {.n = 0};
    add_memory(&limits, machine, needs);
    add_fds(&limits, machine, needs);
    add_cores(&limits, machine, needs);
    add_system(&limits, machine);
    if (needs->fds_per_task > 0)
        add(&limits, NOFILE, by_fds(machine, needs), "%.0f descriptors, %d kept, %ld a task", machine->nofile, LIMIT_FDS_KEPT,
            needs->fds_per_task);
    return limits;
}

const struct limit *limits_hardest(const struct limits *limits)
{
    const struct limit *hardest = NULL;
    for (int i = 0; i < limits->n; i++) {
        const struct limit *limit = &limits->of[i];
        if (limit->hard && (hardest == NULL || limit->cap < hardest->cap))
            hardest = limit;
    }
    return hardest;
}

static const struct kind_words *words_of(const char *name)
{
    size_t i = 0;
    while (i < LENGTH(kinds) - 1 && strcmp(kinds[i].name, name) != 0)
        i++;
    assert(strcmp(kinds[i].name, name) == 0);
    return &kinds[i];
}

bool limit_warning(const struct limit *limit, long cap, char *text, int room)
{
    if (cap <= limit->cap)
        return false;
    const struct kind_words *words = words_of(limit->name);
    snprintf(text, (size_t)room, "cap %ld %s (%s): at most %ld; %s", cap, words->exceeds, limit->why, limit->cap,
             words->remedy);
    return true;
}
