/* Threads, the token, blocking and time. */
#define _GNU_SOURCE
#include "schedule.h"

#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HELD_MAX = 64, SCHEDULES_IN_A_ROW = 4096, BREAK_NS = 20000000 };

_Thread_local struct thread *self;
struct thread threads[THREADS_MAX];
int64_t schedule_now;
struct plan schedule_plan;

static const pthread_mutex_t *held_mutexes[HELD_MAX];
static int n_held;
static unsigned failing_creates; /* percent */
static unsigned yields;
static pthread_key_t last_words;

int __real_sem_wait(sem_t *); /* calls.c has the others */
int __real_sem_post(sem_t *);
int __real_sem_destroy(sem_t *);

/* ---- Mutexes ------------------------------------------------------------------------------ */

bool held(const pthread_mutex_t *mutex)
{
    for (int i = 0; i < n_held; i++)
        if (held_mutexes[i] == mutex)
            return true;
    return false;
}

void take(const pthread_mutex_t *mutex)
{
    if (n_held == HELD_MAX)
        schedule_fail("too many mutexes held");
    held_mutexes[n_held++] = mutex;
}

void give_back(const pthread_mutex_t *mutex)
{
    for (int i = 0; i < n_held; i++)
        if (held_mutexes[i] == mutex) {
            held_mutexes[i] = held_mutexes[--n_held];
            return;
        }
    schedule_fail("a mutex is unlocked that nobody holds");
}

/* ---- Who can run ---------------------------------------------------------------------------- */

static bool came_true(const struct thread *t)
{
    switch (t->waits) {
    case NOTHING: return true;
    case A_MUTEX: return !held(t->object);
    case A_CONDITION: return t->signalled;
    case A_THREAD: return ((const struct thread *)t->object)->finished;
    case A_SEMAPHORE: return t->signalled || t->holds(t->user);
    case A_PREDICATE: return t->holds(t->user);
    }
    return true;
}

static bool can_run(const struct thread *t)
{
    if (!t->used || t->finished || t->stalled)
        return false;
    if (t->waits == A_CONDITION && held(t->mutex))
        return false;
    return came_true(t) || t->deadline <= schedule_now;
}

static int list_enabled(struct thread **list)
{
    int n = 0;
    for (int i = 0; i < THREADS_MAX; i++)
        if (can_run(&threads[i]))
            list[n++] = &threads[i];
    return n;
}

/* To the first deadline of those that wait; false: there is none. */
static bool advance_time(void)
{
    int64_t first = NO_DEADLINE;
    for (int i = 0; i < THREADS_MAX; i++)
        if (threads[i].used && !threads[i].finished && !threads[i].stalled && threads[i].deadline < first)
            first = threads[i].deadline;
    if (first == NO_DEADLINE || first <= schedule_now)
        return false;
    schedule_now = first;
    return true;
}

static bool flush_all(void)
{
    bool any = false;
    for (int i = 0; i < THREADS_MAX; i++)
        while (threads[i].used && stores_flush_one(&threads[i]))
            any = true;
    return any;
}

static struct thread *next_to_run(struct thread *current)
{
    struct thread *enabled[THREADS_MAX];
    for (;;) {
        strategy_disturb();
        int n = list_enabled(enabled);
        if (n > 0)
            return strategy_choose(enabled, n, current);
        if (!flush_all() && !advance_time())
            schedule_fail("deadlock: nothing can run");
    }
}

/* ---- The token ------------------------------------------------------------------------------ */

static void await_turn(struct thread *me)
{
    while (__real_sem_wait(&me->turn) != 0) {}
}

static void hand_over(struct thread *me, bool stays)
{
    struct thread *next = next_to_run(stays ? me : NULL);
    trace_step(next);
    if (next == me)
        return;
    __real_sem_post(&next->turn);
    if (stays)
        await_turn(me);
}

void schedule_point(const char *doing, const void *where)
{
    if (self == NULL)
        return;
    self->doing = doing;
    self->where = where;
    hand_over(self, true);
}

void schedule_yield(const char *doing, const void *where)
{
    if (self == NULL)
        return;
    self->yielded = true;
    yields++;
    schedule_point(doing, where);
    self->yielded = false;
}

/* With the wake-up and the end of the time at once either may have come first. */
static bool in_time(const struct thread *me)
{
    if (me->deadline > schedule_now)
        return true;
    return came_true(me) && (!sleeps(me) || !strategy_chance(2));
}

bool schedule_block(enum waits_for what, const void *object, int64_t deadline, const char *doing,
                    const void *where)
{
    self->waits = what;
    self->object = object;
    self->deadline = deadline;
    self->signalled = false;
    schedule_point(doing, where);
    bool yes = in_time(self);
    self->waits = NOTHING;
    self->deadline = NO_DEADLINE;
    return yes;
}

/* ---- Threads ---------------------------------------------------------------------------------- */

struct thread *schedule_new_thread(void)
{
    for (int i = 0; i < THREADS_MAX; i++)
        if (!threads[i].used) {
            struct thread *t = &threads[i];
            memset(t, 0, sizeof *t);
            t->id = i;
            t->used = true;
            t->deadline = NO_DEADLINE;
            t->doing = "begins";
            sem_init(&t->turn, 0, 0);
            strategy_new_thread(t);
            return t;
        }
    schedule_fail("too many threads");
}

bool schedule_create_fails(void)
{
    return failing_creates > 0 && schedule_random(100) < failing_creates;
}

/* Thread-local destructors belong to the thread, so it is over after theirs: two rounds of
 * them are enough for what scenarios do. */
static void last_words_of(void *thread)
{
    struct thread *me = thread;
    static _Thread_local int rounds;
    if (++rounds < 3) {
        pthread_setspecific(last_words, me);
        return;
    }
    stores_flush(me);
    me->finished = true;
    self = NULL;
    hand_over(me, false);
}

/* For calls.c: what a new thread does first. */
static void begin(struct thread *me)
{
    await_turn(me);
    race_new_stack();
    self = me;
    pthread_setspecific(last_words, me);
}

void *schedule_thread_main(void *thread);
void *schedule_thread_main(void *thread)
{
    struct thread *me = thread;
    begin(me);
    return me->start(me->arg);
}

void schedule_thread_over(struct thread *t)
{
    __real_sem_destroy(&t->turn);
    t->used = false;
}

/* ---- For scenarios ------------------------------------------------------------------------------ */

static bool never(void *unused)
{
    (void)unused;
    return false;
}

void schedule_await(bool (*holds)(void *user), void *user)
{
    self->holds = holds;
    self->user = user;
    schedule_block(A_PREDICATE, NULL, NO_DEADLINE, "awaits", __builtin_return_address(0));
    race_hear();
}

void schedule_tell(void)
{
    race_tell();
}

void schedule_sleep(int64_t ns)
{
    self->holds = never;
    schedule_block(A_PREDICATE, NULL, schedule_now + ns, "sleeps", __builtin_return_address(0));
}

void schedule_here(void)
{
    schedule_point("is here", __builtin_return_address(0));
}

unsigned schedule_random(unsigned n)
{
    return schedule_plan.strategy == STRATEGY_DEPTH_FIRST ? 0 : (unsigned)(strategy_random() % n);
}

void schedule_fail_creates(unsigned percent)
{
    failing_creates = percent;
}

void schedule_stall_sleepers(bool stall)
{
    for (int i = 0; i < THREADS_MAX; i++)
        threads[i].stalled = stall && sleeps(&threads[i]);
}

int schedule_stalled_signalled(void)
{
    int n = 0;
    for (int i = 0; i < THREADS_MAX; i++)
        n += threads[i].used && threads[i].stalled && woken(&threads[i]);
    return n;
}

unsigned schedule_yields(void)
{
    return yields;
}

/* ---- A schedule ----------------------------------------------------------------------------------- */

/* One processor: the token would only move between them. */
void schedule_init(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one); /* only for speed */
    pthread_key_create(&last_words, last_words_of);
}

static void check_nothing_left(void)
{
    for (int i = 1; i < THREADS_MAX; i++)
        if (threads[i].used)
            schedule_fail("thread %d is left over, %s", i, threads[i].finished ? "not joined" : "alive");
    if (n_held > 0)
        schedule_fail("a mutex is still held");
}

/* Threads are made and joined faster than Linux frees their kernel stacks while every processor
 * is busy (it does so in soft interrupts): two programs of this kind side by side fill gigabytes
 * within a minute. So now and then this one is idle for real. */
static void let_the_kernel_free_stacks(void)
{
    static unsigned schedules;
    if (++schedules % SCHEDULES_IN_A_ROW == 0)
        nanosleep(&(struct timespec){0, BREAK_NS}, NULL);
}

void schedule_run(const char *name, void (*scenario)(void), struct plan plan)
{
    let_the_kernel_free_stacks();
    schedule_plan = plan;
    trace_begin(name);
    schedule_now = 1000000000;
    failing_creates = yields = 0;
    strategy_begin();
    memory_begin();
    race_begin();
    self = schedule_new_thread();
    scenario();
    stores_flush(self);
    check_nothing_left();
    schedule_thread_over(self);
    self = NULL;
    memory_end();
}
