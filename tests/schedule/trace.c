/* The steps of a schedule: counted, compared, printed, and told of when it fails. */
#define _GNU_SOURCE
#include "schedule.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { STEPS_MAX = 200000, KEPT = 48 };

struct step {
    int thread;
    const char *doing;
    const void *where;
};

static const char *scenario_name;
static unsigned long steps;
static uint64_t fingerprint;
static struct step kept[KEPT];

/* ---- Reports ------------------------------------------------------------------------------ */

static const char *strategy_name(void)
{
    static const char *const names[] = {"random", "pct", "depth-first"};
    return names[schedule_plan.strategy];
}

/* Where it was called from, by addr2line if there is one: the program is not relocated. */
static void print_place(const void *where)
{
    char command[128], line[256];
    snprintf(command, sizeof command, "addr2line -f -p -s -e /proc/%d/exe %p 2>/dev/null", (int)getpid(),
             (const void *)((const char *)where - 1));
    FILE *tool = where == NULL ? NULL : popen(command, "r");
    if (tool == NULL || fgets(line, sizeof line, tool) == NULL)
        snprintf(line, sizeof line, "%p\n", where);
    if (tool != NULL)
        pclose(tool);
    fputs(line, stderr);
}

static void print_step(const struct step *step)
{
    fprintf(stderr, "  thread %d  %-22s ", step->thread, step->doing);
    print_place(step->where);
}

static void print_threads(void)
{
    static const char *const what[] = {"can run", "waits for a mutex", "waits on a condition",
                                       "waits on a semaphore", "waits for a thread",
                                       "waits for what the scenario says"};
    for (int i = 0; i < THREADS_MAX; i++)
        if (threads[i].used && !threads[i].finished) {
            fprintf(stderr, "  thread %d %s%s: ", i, what[threads[i].waits],
                    threads[i].deadline == NO_DEADLINE ? "" : ", not for ever");
            print_place(threads[i].where);
        }
}

static void report(const char *message)
{
    fprintf(stderr, "\n%s: %s\n", scenario_name, message);
    fprintf(stderr, "after %lu steps; the same again: --strategy %s --seed %llu %s\n", steps, strategy_name(),
            (unsigned long long)schedule_plan.seed, scenario_name);
    fprintf(stderr, "threads:\n");
    print_threads();
    fprintf(stderr, "last steps:\n");
    for (unsigned long i = steps > KEPT ? steps - KEPT : 0; i < steps; i++)
        print_step(&kept[i % KEPT]);
}

_Noreturn void schedule_fail(const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    self = NULL; /* what the report calls is not scheduled */
    report(message);
    fflush(NULL);
    _exit(1);
}

_Noreturn void schedule_race(int thread, const void *one, const void *other)
{
    int me = self->id;
    self = NULL;
    fprintf(stderr, "\na data race: thread %d and thread %d\n  ", thread, me);
    print_place(one);
    fputs("  ", stderr);
    print_place(other);
    schedule_fail("a data race");
}

/* ---- Steps ---------------------------------------------------------------------------------- */

void trace_begin(const char *name)
{
    scenario_name = name;
    steps = 0;
    fingerprint = 0xcbf29ce484222325;
}

static void print_trace(const struct step *step)
{
    struct thread *me = self;
    self = NULL; /* its calls are not scheduled */
    fprintf(stderr, "%8lu %9lld us", steps, (long long)(schedule_now - 1000000000) / 1000);
    print_step(step);
    self = me;
}

void trace_step(const struct thread *t)
{
    kept[steps % KEPT] = (struct step){t->id, t->doing, t->where};
    if (schedule_plan.trace)
        print_trace(&kept[steps % KEPT]);
    fingerprint = (fingerprint ^ (uint64_t)t->id ^ (uint64_t)(uintptr_t)t->where << 8) * 0x100000001b3;
    if (++steps > STEPS_MAX)
        schedule_fail("livelock: too many steps");
}

unsigned long schedule_steps(void)
{
    return steps;
}

uint64_t schedule_fingerprint(void)
{
    return fingerprint;
}
