/* What the scenarios share: one pool, a few jobs that count how often they ran, and threads. */
#ifndef ANTPOOL_TESTS_SCHEDULE_SCENARIO_H
#define ANTPOOL_TESTS_SCHEDULE_SCENARIO_H

#include "antpool.h"
#include "schedule.h"

enum { JOBS = 12, HELPERS = 4 };

/* A task, what its submit answered, and what became of it. */
struct job {
    pool_err answer;
    bool submitted; /* the call has returned */
    int ran, back;  /* back: handed back unrun */
    int64_t takes;  /* ns of virtual time */
    bool waits;     /* until `gate` is open */
    bool waits_first; /* the same, before the child */
    bool panics, exits;
    struct job *child; /* submitted by its task, before all else */
    pool_err (*by)(struct job *); /* as a child, in place of by_submit */
};

/* A thread of the scenario and the jobs that it submits. */
struct helper {
    pthread_t thread;
    int first, n;
    int64_t pause; /* ns at most before each */
    int64_t took;  /* ns of virtual time, the last submit */
    pool_err (*submit)(struct job *);
};

extern pool_t *pool;
extern struct job jobs[JOBS];
extern struct helper helpers[HELPERS];
extern bool gate;
extern int running, most_running;

struct scenario {
    const char *about; /* limit, crew, end, multi, tenants */
    const char *name;
    void (*run)(void);
    bool depth_first; /* small enough to be searched */
};

void scenario_begin(void);

void make(int cap, const pool_option_t *options); /* with or without spinning, by chance */
#define MAKE(cap, ...) make(cap, (const pool_option_t[]){__VA_ARGS__, POOL_OPTIONS_END})

void job_task(void *job);
void job_back(void *user, pool_task_fn task, void *job);
pool_err by_submit(struct job *);
pool_err by_try(struct job *);
pool_err by_timeout(struct job *); /* 1 ms */

/* Tasks beside the jobs: each ends once let_end() was told a number above its own. */
enum { NUMBERED = 18 };
void *numbered(int i);
void numbered_task(void *number);
void let_end(int n);
void await_begun(int n);

/* Helper number h submits n jobs from `first` on. */
void help(int h, int first, int n, pool_err (*submit)(struct job *));
void join_helpers(void);
pthread_t start(void *(*run)(void *), void *arg);
void finish(pthread_t);

void await_asleep(int h); /* that helper sleeps in a call of the library */
void await_running(int n);
void await_waiting(int n);
void await_started(int n);    /* jobs that wait at the gate */
void await_ran(int n);        /* so many runs in all */
void await_accepted_ran(void); /* each accepted one, once the helpers are joined */
void await_workers(int n);
void await_sleepers(int n); /* so many threads sleep on a condition, not signalled */

/* Each accepted job ran or came back once, no other did; max 0: no answer but OK. */
void check_jobs(int n);
void check_accepted(int n);

#endif
