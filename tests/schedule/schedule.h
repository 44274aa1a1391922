/*
 * A deterministic scheduler: the library unchanged, one thread at a time.
 *
 * The threads of a scenario are real threads, but only the one that holds the token runs.
 * It may lose the token at every scheduling point: each atomic operation, each call of
 * pthreads, each reading of the clock. The library is compiled with -fsanitize=thread and
 * linked without that sanitizer's runtime, so the compiler itself calls atomics.c for each
 * atomic operation; the calls of pthreads are led to calls.c by the linker (--wrap). Time is
 * virtual. All that is decided comes from one seed, so a seed is a schedule, and the same
 * seed gives the same one again.
 *
 *     scenario.c …        what the threads do, and what must hold
 *        main.c           which scenarios, which seeds
 *        schedule.c       threads, the token, blocking, time
 *        trace.c          the steps, and reports
 *        strategy.c       who runs next: random, PCT, depth first
 *        calls.c          pthread_*, clock_gettime, sched_yield
 *        atomics.c        __tsan_*: atomic operations, stores that others see later
 *        memory.c         malloc, free; uses of what was freed, leaks
 *        races.c          data races, by what happens before what
 *
 * What is found: deadlocks (nothing can run: a lost wake-up), livelocks (too many steps),
 * threads and memory left over, uses of freed memory and of destroyed conditions, two
 * waiters on one condition, data races, and whatever a scenario says must hold.
 *
 * Stores that are not sequentially consistent may reach the other threads late and in order,
 * as on x86 (a store buffer for each thread). Weaker reorderings are not simulated.
 */
#ifndef ANTPOOL_TESTS_SCHEDULE_H
#define ANTPOOL_TESTS_SCHEDULE_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NO_DEADLINE INT64_MAX

/* ---- For scenarios ---------------------------------------------------------------------- */

/* Ends the program with a report unless the condition holds. */
#define must(condition) \
    ((condition) ? (void)0 : schedule_fail("%s:%d: does not hold: %s", __FILE__, __LINE__, #condition))
_Noreturn void schedule_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

void schedule_await(bool (*holds)(void *user), void *user); /* blocks until it does */
void schedule_sleep(int64_t ns);                            /* virtual time */
void schedule_here(void);                                   /* a scheduling point */
void schedule_tell(void); /* synchronises with whoever awaits later */
unsigned schedule_random(unsigned n);                       /* 0 … n - 1, from the seed */
void schedule_fail_creates(unsigned percent);               /* so many of pthread_create's calls */

/* A processor that is taken away: who sleeps on a condition now will not run, signalled or not,
 * until told otherwise. */
void schedule_stall_sleepers(bool stall);
int schedule_stalled_signalled(void); /* how many of them have been signalled */
unsigned schedule_yields(void);       /* calls of sched_yield by all threads so far */

/* ---- For main.c --------------------------------------------------------------------------- */

enum strategy { STRATEGY_RANDOM, STRATEGY_PCT, STRATEGY_DEPTH_FIRST };

struct plan {
    enum strategy strategy;
    uint64_t seed;
    bool trace; /* print each step */
};

void schedule_init(void);
void schedule_run(const char *name, void (*scenario)(void), struct plan plan);
unsigned long schedule_steps(void);       /* of the last schedule */
uint64_t schedule_fingerprint(void);      /* equal if, most likely, all steps were */

/* Depth first: true if there is a further schedule of at most `bound` preemptions. */
void strategy_restart(void);
bool strategy_next(int bound);

/* ---- Between the files ---------------------------------------------------------------------- */

enum waits_for { NOTHING, A_MUTEX, A_CONDITION, A_SEMAPHORE, A_THREAD, A_PREDICATE };

enum { STORES_MAX = 8, THREADS_MAX = 32 };

/* How far one has heard of each thread. */
struct clock {
    uint32_t of[THREADS_MAX];
};

/* A store that its thread has made and nobody else can see yet. */
struct store {
    volatile void *at;
    uint64_t value;
    unsigned size;
    struct clock clock; /* what it releases */
};

struct thread {
    int id;
    bool used, finished;
    pthread_t handle;
    sem_t turn; /* posted when it gets the token */
    void *(*start)(void *);
    void *arg;

    enum waits_for waits;
    const void *object;     /* mutex, condition, semaphore or struct thread */
    pthread_mutex_t *mutex; /* A_CONDITION: to be had again */
    bool (*holds)(void *);  /* A_PREDICATE, A_SEMAPHORE */
    void *user;
    int64_t deadline; /* ns, virtual */
    bool signalled; /* on a semaphore: interrupted */
    bool yielded; /* let others go first */
    bool stalled;
    int priority; /* PCT */

    struct store stores[STORES_MAX]; /* oldest first */
    int n_stores;

    const char *doing; /* for reports */
    const void *where;
};

extern _Thread_local struct thread *self; /* NULL: not a thread of the scenario */
extern struct thread threads[THREADS_MAX];
extern int64_t schedule_now;
extern struct plan schedule_plan;

void schedule_point(const char *doing, const void *where);
void schedule_yield(const char *doing, const void *where);
bool schedule_block(enum waits_for what, const void *object, int64_t deadline, const char *doing,
                    const void *where); /* false: the deadline has passed */
struct thread *schedule_new_thread(void);
bool schedule_create_fails(void);
void schedule_thread_over(struct thread *);

void trace_begin(const char *scenario);
void trace_step(const struct thread *); /* it gets the token */

/* On a condition or a semaphore. */
static inline bool sleeps(const struct thread *t)
{
    return t->used && (t->waits == A_CONDITION || t->waits == A_SEMAPHORE);
}

static inline bool woken(const struct thread *t)
{
    return sleeps(t) && (t->waits == A_CONDITION ? t->signalled : t->holds(t->user));
}

bool held(const pthread_mutex_t *);
void take(const pthread_mutex_t *);
void give_back(const pthread_mutex_t *);

void stores_flush(struct thread *);
bool stores_flush_one(struct thread *);

void memory_begin(void);
void memory_end(void); /* reports leaks, frees what was kept */
void memory_check(const volatile void *at, size_t size); /* it is not freed */

enum { RACE_READ = 0, RACE_WRITE = 1, RACE_ATOMIC = 2 };

void race_begin(void);
void race_access(const volatile void *at, size_t size, unsigned kind, const void *where);
void race_acquire(const volatile void *at);
void race_release(const volatile void *at);
struct clock race_stamp(bool releases); /* for a store that may arrive later … */
void race_stored(const volatile void *at, const struct clock *); /* … and does now */
void race_created(const struct thread *);
void race_joined(const struct thread *);
void race_new_stack(void);
void race_tell(void); /* the application tells other threads … */
void race_hear(void); /* … and they hear of it */
_Noreturn void schedule_race(int thread, const void *one, const void *other);

/* A little PRNG. */
void strategy_begin(void);
uint64_t strategy_random(void);
int64_t strategy_clock_step(void);
bool strategy_chance(unsigned one_in);
bool strategy_stores_wait(void); /* this schedule has store buffers */
void strategy_disturb(void);     /* what comes unasked: stores arrive, spurious wakes, time */
struct thread *strategy_choose(struct thread **enabled, int n, struct thread *current);
void strategy_new_thread(struct thread *);

#endif
