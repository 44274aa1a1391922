/*
 * antpool, inside.
 *
 * Theory
 * ------
 * A submit does not hand its task to a worker: it is enough that never more than `limit`
 * accepted tasks are unfinished, and that no accepted task waits while a worker could run
 * it. So accepted tasks travel through a ring (ring.h), and threads are woken as seldom as
 * the second half of that promise allows.
 *
 *     submitter                   pool                        worker
 *     pool_submit --- room? -yes-> ring of accepted tasks ---> take -- run -- done + 1
 *          | no                     | nobody searches           |
 *          |                        +-> wake the newest idle    +-- ring empty: look again
 *          v                            worker, or start one    |   for a while, then park
 *     waits in FIFO order <------ queue low, or waited long ----+   on the LIFO stack
 *
 * A worker that finishes takes the next task without a system call. A worker is *searching*
 * when it is woken or started, and not yet at work. A submitter wakes another only if
 * nobody searches, or that one is late, and a searcher that finds work wakes the next, or
 * starts some, if there is more. The right to search is a token in the crew word; whoever
 * takes it must pass it to a worker or give it back, and every giving back looks for work
 * left behind (crew.c has the rules and why no wake-up is lost).
 *
 * Acceptance is bounded by tail - done < limit. Workers count finished tasks in a few
 * stripes, each a cache line: the first few workers in one of their own, all others in the
 * last; submitters keep a lower bound of the sum and sum anew only
 * when that says "full".
 *
 * Everything rare goes through pool->lock: parking, waking, starting and ending threads,
 * blocked submitters, waiting for quiet, tune, release.
 *
 * Who protects a field
 * --------------------
 *   I   constant from pool_new on
 *   A   atomic; the operation names its partner
 *   L   pool->lock
 *   LA  changed under pool->lock only, read anywhere
 *   J   the janitor's lock
 *   W   the worker's own thread only
 *
 * Lock order: janitor lifecycle, janitor, pool, multipool. No callback runs under any of them. A
 * condition variable has at most one waiter (glibc before 2.41 can lose a signal
 * otherwise, bug 25847) and its predicate changes under pool->lock only. An idle worker waits
 * on a semaphore instead, which it need not lock the pool for: glibc's wait on a condition takes
 * the mutex as if others waited for it, so that each unlock after it is a system call.
 */
#ifndef ANTPOOL_INTERNAL_H
#define ANTPOOL_INTERNAL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* this header comes first: affinity, thread names, the join with a clock */
#endif

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "antpool.h"

#define ANTP_APART 128 /* bytes: two cache lines, since adjacent ones are prefetched in pairs */
#define ANTP_STRIPES_MAX 16
#define ANTP_IN_STREAM 8 /* tasks in a row, after which a worker is in a stream … */
#define ANTP_FEW 16  /* … and lets gather what is less than this */
#define ANTP_AHEAD 8 /* copies whose lines are asked for before they are needed */
#define ANTP_NEVER INT64_MAX
#define ANTP_SPIN_NS 50000  /* how long a worker or a submitter looks again before it sleeps … */
#define ANTP_SOON_NS 10000  /* … where the next task is to be expected within this, … */
#define ANTP_GATHER_NS 2000 /* how long a stream may gather, or drain, before one looks */
#define ANTP_SHORT_NS 100000 /* … and tasks, or the limit's worth of them, take less than this */
#define ANTP_FLOW_NS 120   /* tasks taken faster than this flow: a further worker would only slow them … */
#define ANTP_STREAM_NS 1000 /* … or faster than this, if those at work … */
#define ANTP_DRAIN_NS 2000 /* … will have emptied the queue within this */
#define ANTP_NAP_NS 50000  /* after this a searcher looks again whether they flow, … */
#define ANTP_NAP_DOUBLINGS 4 /* … after twice as long each time they did, so often */
#define ANTP_STARTS 8      /* workers started in a row, where the others … */
#define ANTP_LASTING_NS 50000 /* … take a task once in this time, or less often */
#define ANTP_LATE_NS 30000 /* a searcher that has not shown up by then is not waited for */
#define ANTP_AGE_NS 50000  /* at the earliest after this a blocked submitter takes any free slot, */
#define ANTP_AGE_MAX_NS 2000000 /* and at the latest after this */

#define ANTP_SMALL_LIMIT 16 /* up to this each side soon waits for the other … */
#ifndef ANTP_GLANCES /* a test takes fewer: each is a step of its schedules */
#define ANTP_GLANCES 16 /* … and looks so often, some 30 ns each, before anything else */
#endif
#ifndef ANTP_CELLS_MIN /* a test makes the ring so small that it turns within a few tasks */
#define ANTP_CELLS_MIN 256
#define ANTP_QUEUE_SLACK 65536 /* cells beyond the queue, for tasks whose worker is on its way */
#define ANTP_CELLS_SPARE 128 /* cells beyond the limit: a full ring's submitter is not at the heels of its takers */
#endif

#define ANTP_LIKELY(x) __builtin_expect(!!(x), 1)
#define ANTP_UNLIKELY(x) __builtin_expect(!!(x), 0)

static inline int64_t antp_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- Tasks and the frames they run in ------------------------------------------------ */

/* A task on its way in. */
struct antp_task {
    pool_task_fn fn;
    void *arg;
    const void *copy; /* what to copy, or NULL: arg is passed as it is */
    size_t size;
};

/* A task on its way out; arg may point to copy. */
struct antp_taken {
    pool_task_fn fn;
    void *arg;
    alignas(max_align_t) unsigned char copy[POOL_COPY_MAX];
};

/* What this thread runs for a pool: a task, or a callback (fn NULL). Frames nest. */
struct antp_frame {
    pool_t *pool;
    struct antp_frame *outer;
    struct antp_taken task; /* fn NULL: between tasks, or a callback */
    int worker;             /* number of the worker, -1: in the submitter */
    bool handling_panic;
    sigjmp_buf recover; /* where a panic lands */
};

/* ---- Lists: circular, the head is a link --------------------------------------------- */

struct antp_link {
    struct antp_link *prev, *next;
};

static inline void antp_list_init(struct antp_link *list)
{
    list->prev = list->next = list;
}

static inline bool antp_list_empty(const struct antp_link *list)
{
    return list->next == list;
}

static inline void antp_list_append(struct antp_link *list, struct antp_link *item)
{
    item->prev = list->prev;
    item->next = list;
    list->prev->next = item;
    list->prev = item;
}

static inline void antp_list_remove(struct antp_link *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    item->prev = item->next = item;
}

/* ---- Workers -------------------------------------------------------------------------- */

/* What only the worker's own thread uses: on its stack, whose page is in use anyway. */
struct antp_own {
    struct antp_frame frame;
    uint64_t tail_seen;         /* a lower bound of tail's position */
    int64_t others;             /* ns from one task that others took to the next, as it last saw them */
    int64_t pace;               /* ns from one task taken to the next, when it last found none */
    uint64_t ran;               /* tasks */
    int64_t spell_at;           /* its spell began then (ns) … */
    uint64_t spell_ran;         /* … when it had run so many */
    pool_task_fn held;          /* the first task, while the start hook runs */
    atomic_uint_fast64_t *done; /* its stripe; nobody else writes it … */
    bool owns_stripe;           /* … where this is true */
    bool over;                  /* on the ended list, or about to be */
    bool greeted;               /* the start hook was called */
    uint8_t naps;               /* so often in a row it saw tasks flow, ANTP_NAP_DOUBLINGS at most */
};

/* Type-stable: freed with the pool only, so a wake-up may be sent after the unlock. There may
 * be many thousands, so what need not be here is in antp_own. */
struct antp_worker {
    struct antp_own *own;     /* W: valid while its thread runs */
    int64_t looked_at;        /* W: searches since then (ns), or has looked at the flow then, */
    uint64_t head_then;       /* W: when head was here; both set by whoever hands the token */
    bool searching;           /* W, and L while it is parked or naps: holds a searching token */
    atomic_bool counted;      /* LA: a start to search has counted it in the crew */
    bool left;                /* L: out of the crew */
    int number;               /* I: the n of <pool>/<n> */
    pool_t *pool;             /* I */
    struct antp_link link;    /* L: idle stack, ended list or free list */
    int64_t parked_at;        /* L: ns */
    sem_t wake;               /* posted once by whoever takes it off the stack, after saying why */
    pthread_t thread;         /* L */
};

static inline struct antp_worker *antp_worker_of(struct antp_link *link)
{
    return (struct antp_worker *)((char *)link - offsetof(struct antp_worker, link));
}

/* Worker records are allocated as many at a time as there are already, up to sixteen; with
 * prealloc all at once. */
struct antp_chunk {
    struct antp_chunk *next;
    size_t used, size;
    struct antp_worker workers[];
};

/* ---- Those who wait ------------------------------------------------------------------- */

/* A thread asleep until somebody sets `woken`. */
struct antp_sleeper {
    struct antp_link link; /* L */
    bool woken;            /* L: the predicate of wake */
    pthread_cond_t wake;
};

/* A submitter blocked at the limit; it lives on its thread's stack. */
struct antp_waiter {
    struct antp_sleeper sleeper; /* first: the list holds links of sleepers */
    struct antp_task task;
    pool_err answer; /* L: valid once woken */
    bool aged;       /* L: any slot is its own, counted in line->aged */
    bool stuck;      /* L: a task of this pool, without a timeout, counted in line->stuck */
};

/* Blocked submitters under one lock, that of a pool, or of a multipool for those whom any of
 * its shards may let in. L is that lock here and in their waiters. */
struct antp_line {
    atomic_int waiting;       /* LA: pairs with done, see settle in worker.c */
    atomic_int aged;          /* LA: waiters that take any free slot */
    atomic_int stuck;         /* LA: tasks of this very pool, or multipool, blocked for ever */
    struct antp_link waiters; /* L: oldest first */
};

/* ---- The pool ------------------------------------------------------------------------- */

/* Whose pool it is, if not the user's: only they end it. */
struct antp_owner {
    multipool_t *multi;
    struct antp_tenant *tenant;
};

/* A place of the ring: fn NULL is free. See ring.h. */
struct antp_cell {
    _Atomic(pool_task_fn) fn;
    void *arg;
};

/* Arguments of copied tasks, beside the ring and indexed alike; a cache line each. */
struct antp_copy {
    alignas(POOL_COPY_MAX) unsigned char data[POOL_COPY_MAX];
};

/* How fast a counter moves, from one look to the next. Only a guess hangs on it. */
struct antp_pace {
    atomic_int_fast64_t at; /* A */
    atomic_uint_fast64_t count; /* A */
    atomic_int_fast64_t each;   /* A */
};

struct antp_stripe {
    alignas(ANTP_APART) atomic_uint_fast64_t done;
};

struct pool {
    /* Read by every call, written by rare ones. */
    struct antp_cell *cells;           /* I */
    uint64_t mask;                     /* I: number of cells - 1, a power of two - 1 */
    uint64_t stripe_mask;              /* I: number of stripes - 1 */
    struct antp_stripe *stripes;       /* I */
    multipool_t *multi;                /* I: whose shard it is, or NULL */
    atomic_int_fast64_t limit;         /* LA: accepted, unfinished tasks there may be */
    atomic_uint worker_cap;            /* LA: most workers there may be */
    atomic_int quiet;                  /* LA: threads in pool_wait; pairs with done */
    struct antp_line line;             /* who is blocked here */
    unsigned generation;               /* I: see fork.c */
    atomic_bool surplus;               /* LA: more workers than cap */
    _Atomic(struct antp_copy *) copies; /* LA: made by the first pool_submit_copy */
    pool_task_fn func;                 /* I */
    pool_policy policy;                /* I */

    /* Submitters. */
    alignas(ANTP_APART) atomic_uint_fast64_t tail; /* A: position << 2 | bits, see ring.h */
    atomic_uint_fast64_t done_seen; /* A: a lower bound of the sum of the stripes */
    atomic_uint_fast64_t head_seen; /* A: a lower bound of head */
    struct antp_pace room_pace;     /* of done, each time a submitter finds no room */
    atomic_bool pressed;            /* A: one did since a worker last found no work */
    atomic_int lookers;             /* A: submitters that look for room before they sleep */

    /* Takers. */
    alignas(ANTP_APART) atomic_uint_fast64_t head; /* A: position */
    atomic_bool spinning;                          /* A: a worker looks again */
    struct antp_pace work_pace;                    /* of head, each time a worker finds no work */
    atomic_int_fast64_t each_took;                 /* A: ns a task, in the last spell of a worker */

    alignas(ANTP_APART) atomic_uint_fast64_t crew; /* A: see crew.c */
    atomic_int_fast64_t token_at; /* A: ns, when a token was last handed out */
    _Atomic(struct antp_worker *) napper; /* LA: a searcher that naps while tasks flow, or NULL */
    atomic_int inside;     /* A up, L down: calls that destroy must wait for */
    atomic_int inline_now; /* A: caller-runs tasks running */

    alignas(ANTP_APART) pthread_mutex_t lock;
    struct antp_link idle;     /* L: parked workers, oldest first */
    struct antp_link quieters; /* L: sleepers in pool_wait */
    struct antp_link enders;   /* L: sleepers in release_timeout and destroy */
    struct antp_link ended;    /* L: workers whose thread has ended, oldest first */
    struct antp_link spare;    /* L: workers without a thread */
    struct antp_chunk *chunks; /* L */
    int numbered;              /* L: worker numbers given out */
    bool outside_first;        /* L: whose turn it is, antp_admit */
    int unjoined;              /* L: threads made and not joined … */
    int alive;                 /* L: … and those of them that have not ended */
    unsigned openings;         /* L: how often the pool was opened */
    int handing_back;          /* L: release_now calls under way */
    bool ending;               /* L: destroy has begun, the pool is not opened again */
    atomic_bool no_thread;     /* LA: a create failed, which was logged, and none succeeded since */

    atomic_int cap;    /* LA: as the user gave it */
    int queue;         /* I */
    int max_blocking;  /* I */
    int prestart;      /* I */
    int min_idle;      /* I */
    int64_t expiry_ns; /* I: ANTP_NEVER: no janitor */
    int64_t spin_ns;   /* I */
    char *name;        /* I */
    struct antp_thread_setup *setup; /* I: attributes of the threads, thread.c */
    pool_panic_fn panic_handler;     /* I, as all below */
    void *panic_user;
    pool_logger_fn logger;
    void *logger_user;
    pool_thread_fn on_thread_start;
    pool_thread_fn on_thread_exit;
    void *thread_user;
    pool_discard_fn discard_handler;
    void *discard_user;
    struct antp_tenant *tenant; /* I: its place in a registry, which alone destroys it; or NULL */

    int janitor_members;  /* J: opens minus closes; armed only while above 0 */
    size_t janitor_place; /* J: place in the heap + 1; 0: not armed */
    int64_t janitor_due;  /* J: ns */
    bool armed;           /* L: the janitor will come without being asked */
    int reaps;            /* L: its visits to join threads since a worker last expired */
};

/* ---- options.c ------------------------------------------------------------------------- */

pool_err antp_options_read(pool_options_t *, int cap, const pool_option_t *options);

/* ---- sync.c: locks that cannot fail, clocks, sleepers --------------------------------- */

int64_t antp_now(void);                 /* ns, monotonic */
int64_t antp_deadline(int64_t ms);      /* now + ms in ns, saturating */
int64_t antp_add(int64_t a, int64_t b); /* saturating sum of two times */
int antp_mutex_init(pthread_mutex_t *);
void antp_lock(pthread_mutex_t *);
void antp_unlock(pthread_mutex_t *);
void antp_join(pthread_t);
int antp_cancel_off(void); /* returns what antp_cancel_restore wants */
void antp_cancel_restore(int before);
int antp_cond_init(pthread_cond_t *);
void antp_cond_fini(pthread_cond_t *);
void antp_cond_signal(pthread_cond_t *);
void antp_cond_wait(pthread_cond_t *, pthread_mutex_t *);
bool antp_cond_wait_until(pthread_cond_t *, pthread_mutex_t *, int64_t deadline); /* false: time is up */
int antp_sem_init(sem_t *);
void antp_sem_fini(sem_t *);
void antp_sem_post(sem_t *);
void antp_sem_wait(sem_t *);
bool antp_sem_wait_until(sem_t *, int64_t deadline); /* false: time is up */
pool_err antp_sleeper_init(struct antp_sleeper *);
void antp_sleeper_fini(struct antp_sleeper *);
bool antp_sleep_locked(pthread_mutex_t *, struct antp_sleeper *, int64_t deadline); /* false: time is up */
void antp_sleeper_wake_locked(struct antp_sleeper *);
void antp_wake_all_locked(struct antp_link *sleepers);

/* ---- crew.c: who is awake, and how nobody is forgotten -------------------------------- */

#define ANTP_WORKER ((uint64_t)1)
#define ANTP_IDLE ((uint64_t)1 << 24)
#define ANTP_SEARCHING ((uint64_t)1 << 48)
#define ANTP_WORKERS_MAX ((1u << 24) - 1)

static inline unsigned antp_workers(uint64_t crew) { return (unsigned)(crew & ANTP_WORKERS_MAX); }
static inline unsigned antp_idle(uint64_t crew) { return (unsigned)(crew >> 24 & ANTP_WORKERS_MAX); }
static inline unsigned antp_searching(uint64_t crew) { return (unsigned)(crew >> 48); }
static inline unsigned antp_awake(uint64_t crew) { return antp_workers(crew) - antp_idle(crew); }

bool antp_token_is_late(pool_t *);               /* its holder may not be running at all */
void antp_wake(pool_t *);                        /* work was queued: wakes, if nobody searches or it is late */
pool_err antp_awaken(pool_t *);                  /* makes a worker if none is alive */
pool_err antp_awaken_locked(pool_t *);
pool_err antp_start_searcher_locked(pool_t *);   /* whatever the cap */
bool antp_add_worker_locked(pool_t *);           /* false: at the cap, or it failed */
void antp_stop_searching(struct antp_worker *);  /* found work: gives the token back */
void antp_start_searching(struct antp_worker *); /* takes a token if somebody could be woken */
bool antp_claim_search(struct antp_worker *);    /* takes one if nobody has it */
pool_err antp_prestart_locked(pool_t *, int n);

/* ---- rest.c: leaving, parking, napping --------------------------------------------------- */

bool antp_park(struct antp_worker *);            /* false: it has left */
bool antp_nap(struct antp_worker *, int64_t ns); /* false: it may not; else it may have left */
bool antp_leave_if_surplus(struct antp_worker *);
bool antp_lose_worker(struct antp_worker *);     /* by pthread_exit; false: it must stay and drain */

/* ---- idle.c: the stack of parked workers ---------------------------------------------- */

void antp_begin_search(struct antp_worker *);    /* it has a token from now on */
struct antp_worker *antp_call_idle_locked(pool_t *); /* the newest, with a token; or NULL */
void antp_take_out_locked(pool_t *, uint64_t what);  /* from the crew */
void antp_note_surplus_locked(pool_t *);
bool antp_fall_asleep_locked(pool_t *);          /* rule 6; false: a task was claimed */
bool antp_closed_and_drained(pool_t *);
void antp_dismiss_locked(pool_t *);              /* closed and drained: the idle leave */
void antp_trim_locked(pool_t *);                 /* the cap went down: surplus leaves */
int64_t antp_expire_locked(pool_t *, int64_t now); /* returns when to look again, or ANTP_NEVER */

/* ---- thread.c: making, naming and joining threads ------------------------------------- */

unsigned antp_processors(void);
pool_err antp_thread_setup_new(pool_t *, size_t stack_size);
void antp_thread_setup_free(pool_t *);
pool_err antp_thread_start(struct antp_worker *, void *(*main)(void *));
void antp_thread_settle(struct antp_worker *); /* in the new thread: name, affinity, scheduling */
bool antp_thread_gone(pthread_t);              /* joins if that needs no waiting */
bool antp_thread_join(pthread_t, int64_t deadline); /* false: time is up */
void antp_thread_mask_worker(void);            /* the signal mask and cancel state of a worker */

/* ---- worker.c -------------------------------------------------------------------------- */

void *antp_worker_main(void *worker);
void antp_finished(pool_t *, uint64_t n); /* by one who is no worker */
void antp_attend(pool_t *);               /* someone waits: see to it */

/* ---- search.c: how a worker looks for work ---------------------------------------------- */

enum antp_take { ANTP_TAKE_OK, ANTP_TAKE_EMPTY, ANTP_TAKE_FEW, ANTP_TAKE_UNPUBLISHED };

bool antp_seek(struct antp_worker *, enum antp_take why); /* false: it has left the crew */
void antp_begin_spell(struct antp_worker *);
void antp_end_spell(struct antp_worker *);
bool antp_work_comes_at_once(struct antp_worker *);

/* ---- records.c: what outlives a worker's thread ------------------------------------------ */

struct antp_worker *antp_worker_get_locked(pool_t *); /* a record without a thread, or NULL */
bool antp_reap_locked(pool_t *, int most); /* joins threads that have ended; true: so many there were */
pool_err antp_worker_reserve(pool_t *, size_t n); /* prealloc */
void antp_worker_free_all(pool_t *);

/* ---- submit.c -------------------------------------------------------------------------- */

enum antp_room {
    ANTP_ROOM,          /* claimed */
    ANTP_ROOM_FULL,     /* at the limit, or all cells hold tasks */
    ANTP_ROOM_BUSY,     /* a taker is about to free the cell */
    ANTP_ROOM_WAITED,   /* others wait already */
    ANTP_ROOM_CLOSED,
    ANTP_ROOM_ASLEEP
};

/* How a submit behaves at the limit. */
struct antp_manner {
    pool_policy policy;
    int64_t deadline; /* POOL_BLOCK only */
};

enum antp_room antp_push(pool_t *, const struct antp_task *);       /* the short way */
pool_err antp_push_or_refuse(pool_t *, const struct antp_task *);   /* the caller is inside */
pool_err antp_submit_inside(pool_t *, const struct antp_task *, struct antp_manner); /* gives that back */
bool antp_has_room(pool_t *);              /* or is closed, or asleep */
bool antp_look_for_room(pool_t *, bool (*has_room)(pool_t *), int64_t deadline);
bool antp_discard_one(pool_t *, pool_discard_fn, void *user); /* false: nothing queued */

/* ---- waiters.c: blocked submitters ------------------------------------------------------ */

pool_err antp_wait_for_slot(pool_t *, const struct antp_task *, int64_t deadline);
enum antp_room antp_admit(pool_t *);       /* lets in whom it can, oldest first; why no more */
void antp_refuse_line_locked(struct antp_line *); /* POOL_ERR_CLOSED for all */
int64_t antp_youth_ns(pool_t *);           /* how long a waiter lets slots gather */
void antp_line_init(struct antp_line *);
void antp_join_line_locked(struct antp_line *, struct antp_waiter *);
void antp_grow_old_locked(struct antp_line *, struct antp_waiter *);
void antp_give_up_locked(struct antp_line *, struct antp_waiter *, pool_err answer);
void antp_break_deadlock_locked(pool_t *); /* gives the newest stuck submit POOL_ERR_DEADLOCK */

/* ---- pool.c ----------------------------------------------------------------------------- */

void antp_set_cap_locked(pool_t *, int cap);
pool_err antp_pool_new(pool_t **out, int cap, const pool_options_t *, struct antp_owner);
void antp_pool_free(pool_t *);
bool antp_is_default(const pool_t *);
void antp_default_before_fork(void);
void antp_default_after_fork(bool child);

/* ---- lifecycle.c ------------------------------------------------------------------------ */

pool_err antp_open(pool_t *);
pool_err antp_end(pool_t *, struct antp_sleeper *me, int inside, int64_t deadline);
bool antp_may_open(pool_t *);              /* false: a reboot would be POOL_ERR_BUSY */
bool antp_is_quiet(pool_t *);              /* at an instant during the call nothing was queued or running */
void antp_tell_quiet(pool_t *);            /* those who wait for it, if so it is */

static inline void antp_enter(pool_t *pool)
{
    atomic_fetch_add_explicit(&pool->inside, 1, memory_order_relaxed);
}
void antp_exit_locked(pool_t *);
void antp_exit(pool_t *);
void antp_wake_enders_locked(pool_t *);

/* ---- frame.c: what this thread runs, panics --------------------------------------------- */

void antp_frame_push(struct antp_frame *, pool_t *, int worker);
void antp_frame_pop(struct antp_frame *);
const struct antp_frame *antp_frames(void); /* the newest of this thread, or NULL */
bool antp_in_frame_of(const pool_t *);   /* this thread runs a task or callback of the pool */
bool antp_in_frame_of_multi(const multipool_t *);
bool antp_is_worker_of(const pool_t *);
pool_t *antp_worker_pool(void);          /* whose worker this thread is, or NULL */
void antp_run_inline(pool_t *, const struct antp_task *); /* gives the caller's count in inside back */
void antp_log(pool_t *, const char *format, ...) POOL_PRINTF(2, 3);

/* ---- janitor.c: expires idle workers of all pools --------------------------------------- */

pool_err antp_janitor_join(pool_t *);
void antp_janitor_leave(pool_t *);
void antp_janitor_arm(pool_t *, int64_t due);
void antp_janitor_before_fork(void);
void antp_janitor_after_fork(bool child);

/* ---- fork.c ------------------------------------------------------------------------------ */

extern atomic_uint antp_generation;
pool_err antp_fork_watch(void);

static inline bool antp_forked(const pool_t *pool)
{
    return pool->generation != atomic_load_explicit(&antp_generation, memory_order_relaxed);
}

#endif
