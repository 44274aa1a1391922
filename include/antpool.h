/*
 * antpool: a bounded pool of POSIX threads for C services.
 * SPDX-License-Identifier: MIT
 *
 *     pool_t *pool;
 *     if (pool_new(&pool, 250) != POOL_OK) ...            at most 250 tasks at once
 *     if (pool_submit(pool, send_mail, mail) != POOL_OK)  waits for its turn at the cap
 *         ...                                             not accepted: mail is still yours
 *     pool_destroy(pool);                                 every accepted task has run
 *
 * This header is the manual. The words it uses:
 *
 *   cap       how many tasks may run at once
 *   queue     how many more accepted tasks may wait for a worker (default 0)
 *   limit     cap + queue: how many accepted, unfinished tasks there can be
 *   accepted  pool_submit returned POOL_OK: the task runs exactly once, or is handed to
 *             exactly one callback (discard handler, pool_release_now), even if the pool
 *             is released the next instant
 *   queued    accepted, not yet started
 *   running   started, not yet finished
 *   waiting   submitters blocked in a submit call
 *   workers   live threads; some run a task, the others are idle
 *   panic     a task that gave up through pool_panic()
 *
 * Contracts that hold for every call:
 *
 *  - Any thread may call anything at any time, tasks included, unless a call says
 *    otherwise. No call is a cancellation point; none is async-signal-safe.
 *  - Times are milliseconds on the monotonic clock. A negative time is POOL_ERR_INVALID,
 *    POOL_FOREVER never ends, and sums saturate.
 *  - A function that fails has changed nothing: neither the pool nor its outputs.
 *    (pool_submit_many always sets *accepted.)
 *  - What a submitter wrote happens before its task starts. What a task wrote happens
 *    before pool_wait, pool_release_timeout or pool_destroy returns.
 *  - Tasks are taken up in the order in which they were accepted; with cap 1 each sees what
 *    the one before it wrote. (POOL_CALLER_RUNS runs a task ahead of those that are queued.)
 *  - Callbacks run in the calling thread, before the call returns, under no lock; the
 *    panic handler and the thread hooks run in the worker. They may call anything but
 *    pool_wait, pool_release_timeout and pool_destroy on their own pool.
 *  - In a forked child every call on a pool made before the fork returns POOL_ERR_FORKED
 *    (pool_destroy frees its memory); new pools work, and so does a new default pool.
 *  - Not every misuse can be seen. A call that begins after pool_destroy has begun is
 *    undefined; one that is blocked in the pool, or on its way out of it, is not.
 */
#ifndef ANTPOOL_H
#define ANTPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The single source of the version; CMake reads it here. */
#define POOL_VERSION_MAJOR 0
#define POOL_VERSION_MINOR 1
#define POOL_VERSION_PATCH 0

#if defined(__cplusplus)
#define POOL_NORETURN [[noreturn]]
#define POOL_MUST_USE [[nodiscard]]
#elif defined(__GNUC__)
#define POOL_NORETURN _Noreturn
#define POOL_MUST_USE __attribute__((warn_unused_result))
#else
#define POOL_NORETURN _Noreturn
#define POOL_MUST_USE
#endif

#if defined(__GNUC__)
#define POOL_PRINTF(string, first) __attribute__((format(printf, string, first)))
#else
#define POOL_PRINTF(string, first)
#endif

#define POOL_UNLIMITED (-1)     /* a cap: as many workers as the system gives */
#define POOL_FOREVER INT64_MAX  /* a time that never ends */
#define POOL_COPY_MAX 64        /* bytes that pool_submit_copy takes */
#define POOL_STACK_DEFAULT ((size_t)256 * 1024) /* bytes of stack of a worker */
#define POOL_EXPIRY_DEFAULT_MS 1000

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pool_err {
    POOL_OK,
    POOL_ERR_CLOSED,           /* the pool is released */
    POOL_ERR_OVERLOAD,         /* at the limit, and the policy does not wait */
    POOL_ERR_TIMEOUT,          /* the time given ran out */
    POOL_ERR_CANCELED,         /* the context was cancelled */
    POOL_ERR_NO_FUNC,          /* pool_invoke without pool_with_func, or that with NULL */
    POOL_ERR_INVALID,          /* a NULL or out-of-range argument */
    POOL_ERR_INVALID_CAP,      /* neither 1 … INT_MAX nor POOL_UNLIMITED */
    POOL_ERR_INVALID_EXPIRY,   /* negative */
    POOL_ERR_INVALID_PREALLOC, /* prealloc of an unlimited pool */
    POOL_ERR_INVALID_INDEX,    /* no such shard */
    POOL_ERR_INVALID_STRATEGY, /* no such strategy */
    POOL_ERR_INVALID_SHARDS,   /* a number of shards below 1 */
    POOL_ERR_NO_MEMORY,        /* malloc or one of the kind failed */
    POOL_ERR_NO_THREAD,        /* a thread was needed and the system gave none */
    POOL_ERR_DEADLOCK,         /* the call would wait for itself */
    POOL_ERR_BUSY,             /* the release is not complete yet */
    POOL_ERR_FORKED            /* the pool belongs to the parent process */
} pool_err;

/* A static string in English; for a number that is no error, "unknown error". */
const char *pool_strerror(pool_err err);

/* "0.1.0": the version of the library that is linked. */
const char *pool_version(void);

typedef struct pool pool_t;
typedef void (*pool_task_fn)(void *arg);

/* What a submit does at the limit. */
typedef enum pool_policy {
    POOL_BLOCK,         /* waits its turn, first come first served (in the order in which
                           they begin to sleep: a call may look for a slot a little first).
                           While more than a quarter of the limit is queued, so that no
                           worker lacks work, slots may gather for 2 ms before it enters */
    POOL_REFUSE,        /* POOL_ERR_OVERLOAD */
    POOL_CALLER_RUNS,   /* runs the task in the caller, then POOL_OK */
    POOL_DISCARD_OLDEST /* hands the oldest queued task to the discard handler and takes
                           the new one; with nothing queued POOL_ERR_OVERLOAD. After a
                           pool_tune down as many as it takes, or none and the same error
                           if those that run are at the limit by themselves */
} pool_policy;

/* ---- Options ----------------------------------------------------------------------
 *
 * An option is a value that edits a pool_options_t. It can be stored, shared, put into
 * an array that POOL_OPTIONS_END closes, and written by the user:
 *
 *     static void apply_batch(pool_options_t *o, const pool_option_t *self)
 *     {
 *         o->queue = self->value.number;
 *         o->policy = POOL_CALLER_RUNS;
 *     }
 *     pool_option_t with_batch(int n) { return (pool_option_t){apply_batch, {.number = n}}; }
 *
 * Options are applied in order, a later one wins. Pointers in them (name, user) are read
 * during pool_new; `user` pointers are then kept and stay the caller's to free after
 * pool_destroy. The name is copied.
 */

/* What a panic handler is told. Everything is valid until the handler returns. */
typedef struct pool_panic_info {
    void *value;             /* what pool_panic was given, or NULL */
    const char *message;     /* what pool_panicf wrote, or NULL */
    pool_task_fn task;       /* the task that panicked and its argument (of a copied task: */
    void *arg;               /* the private copy) */
    const char *pool_name;
    int worker;              /* the n of the thread's name <pool>/<n>; -1: in the submitter */
    void *const *backtrace;  /* return addresses at the panic, innermost first; see */
    int backtrace_size;      /* backtrace_symbols(3). 0 where the system has no backtrace(3) */
} pool_panic_info_t;

typedef void (*pool_panic_fn)(void *user, const pool_panic_info_t *info);
typedef void (*pool_logger_fn)(void *user, const char *message); /* "<pool>: …", no newline */
typedef void (*pool_thread_fn)(void *user);
typedef void (*pool_discard_fn)(void *user, pool_task_fn task, void *arg);

/* Zero is the default of every field, so a zeroed struct is the default pool. */
typedef struct pool_options {
    int64_t expiry_ms;    /* idle workers leave after this; 0: POOL_EXPIRY_DEFAULT_MS */
    size_t stack_size;    /* bytes, rounded up to pages; 0: POOL_STACK_DEFAULT */
    const char *name;     /* NULL: "pool" */
    pool_policy policy;
    int queue;            /* accepted tasks beyond the cap */
    int max_blocking;     /* submitters that may wait at once; 0: any number */
    int prestart;         /* workers started by pool_new and pool_reboot */
    int min_idle;         /* idle workers that expiry leaves alive */
    int spin_us;          /* how long to look again before sleeping; 0: default, -1: never */
    bool disable_purge;   /* idle workers never leave */
    bool prealloc;        /* all memory for cap workers up front */
    pool_task_fn func;    /* what pool_invoke runs */
    pool_panic_fn panic_handler;
    void *panic_user;
    pool_logger_fn logger; /* NULL: a line to stderr */
    void *logger_user;
    pool_thread_fn on_thread_start;
    pool_thread_fn on_thread_exit;
    void *thread_user;
    pool_discard_fn discard_handler;
    void *discard_user;
    const void *hooks;    /* reserved for tracing hooks: must be NULL, else POOL_ERR_INVALID */
    bool timing;          /* reserved for time stamps: must be false, else POOL_ERR_INVALID */
    pool_err error;       /* an option that cannot be applied says why; pool_new returns it */
} pool_options_t;

typedef struct pool_option {
    void (*apply)(pool_options_t *options, const struct pool_option *self);
    union {
        bool on;
        int number;
        int64_t ms;
        size_t size;
        const void *pointer;
        pool_task_fn task;
        struct { pool_panic_fn fn; void *user; } panic;
        struct { pool_logger_fn fn; void *user; } logger;
        struct { pool_thread_fn on_start; pool_thread_fn on_exit; void *user; } thread;
        struct { pool_discard_fn fn; void *user; } discard;
    } value;
} pool_option_t;

#ifdef __cplusplus
#define POOL_OPTIONS_END (pool_option_t())
#else
#define POOL_OPTIONS_END ((pool_option_t){0})
#endif

/* The whole struct at once; it is copied when the option is applied, and what stood
 * there before is gone. NULL is POOL_ERR_INVALID. */
pool_option_t pool_with_options(const pool_options_t *options);

/* After how long an idle worker leaves (and within half of that again). 0 is the default
 * of 1000, POOL_FOREVER never, negative POOL_ERR_INVALID_EXPIRY. From ants, as are the
 * next six. */
pool_option_t pool_with_expiry_ms(int64_t ms);

/* All memory for cap workers when the pool is made; a later pool_tune beyond it allocates
 * as usual. With POOL_UNLIMITED: POOL_ERR_INVALID_PREALLOC. */
pool_option_t pool_with_prealloc(bool on);

/* How many submitters may wait at once, the next gets POOL_ERR_OVERLOAD. 0: any number. */
pool_option_t pool_with_max_blocking(int submitters);

/* true: the policy is POOL_REFUSE; false: POOL_BLOCK. */
pool_option_t pool_with_nonblocking(bool on);

/* Called in the worker after a task panicked. Without one the logger gets a line. A panic
 * inside the handler is swallowed and logged. fn NULL: none. */
pool_option_t pool_with_panic_handler(pool_panic_fn fn, void *user);

/* Gets a line for what nobody else is told: a panic without a handler, a thread that
 * could not be made, a task that called pthread_exit. Default: a line to stderr. */
pool_option_t pool_with_logger(pool_logger_fn fn, void *user);

/* true: idle workers never leave. */
pool_option_t pool_with_disable_purge(bool on);

/* The function of pool_invoke (PoolWithFunc in ants). NULL: pool_new returns
 * POOL_ERR_NO_FUNC. */
pool_option_t pool_with_func(pool_task_fn fn);

/* Accepted tasks that may wait for a worker, 0 … INT_MAX; the pool has places for at most
 * 2^24 of them, whatever is asked for. A place is 16 bytes, and takes memory from its first use
 * on. No meaning when unlimited. */
pool_option_t pool_with_queue(int tasks);

pool_option_t pool_with_policy(pool_policy policy);

/* Shown in messages and, as <name>/<n>, as the name of every worker's thread (cut by the
 * system to 15 bytes on Linux; the number stays whole). */
pool_option_t pool_with_name(const char *name);

/* Bytes of stack, guard page not counted; below PTHREAD_STACK_MIN: POOL_ERR_INVALID. */
pool_option_t pool_with_stack_size(size_t bytes);

/* Workers started by pool_new and pool_reboot; more than the cap: POOL_ERR_INVALID. A reboot
 * after a pool_tune starts no more than the cap it has then. */
pool_option_t pool_with_prestart(int workers);

/* Idle workers that expiry leaves alive. */
pool_option_t pool_with_min_idle(int workers);

/* Called in every worker's thread: on_start before its first task (in a prestarted worker
 * at once), on_exit after its last one, also when a task ended the thread by pthread_exit.
 * A thread that never had a task may see neither. Either may be NULL. The hooks themselves
 * must not end the thread. */
pool_option_t pool_with_thread_hooks(pool_thread_fn on_start, pool_thread_fn on_exit, void *user);

/* How long a worker without work, or a submitter at the limit, looks again before it
 * sleeps, in microseconds. 0: the default, -1: never. */
pool_option_t pool_with_spin_us(int us);

/* Gets the tasks that POOL_DISCARD_OLDEST throws out; NULL: nobody is told. The argument
 * of a copied task is valid until the handler returns. */
pool_option_t pool_with_discard_handler(pool_discard_fn fn, void *user);

/* ---- Making and ending a pool ------------------------------------------------------ */

/*
 * Makes a pool that runs at most `cap` tasks at once, 1 … INT_MAX or POOL_UNLIMITED, with
 * all options at their defaults. *out is the caller's, to be ended by pool_destroy.
 *
 * 0 and other negative caps are POOL_ERR_INVALID_CAP. (ants takes them as "no limit",
 * which is how a missing configuration value becomes an outage.)
 * Errors: POOL_ERR_INVALID, POOL_ERR_INVALID_CAP, POOL_ERR_NO_MEMORY, POOL_ERR_NO_THREAD
 * (the janitor, the thread that expires idle workers, could not be started).
 */
POOL_MUST_USE pool_err pool_new(pool_t **out, int cap);

/*
 * The same with an array of options that POOL_OPTIONS_END closes; NULL is no options.
 * Errors: those of pool_new; POOL_ERR_INVALID_EXPIRY, POOL_ERR_INVALID_PREALLOC,
 * POOL_ERR_NO_FUNC, POOL_ERR_INVALID as its options say; POOL_ERR_NO_THREAD also if a
 * worker of `prestart` could not be started.
 */
POOL_MUST_USE pool_err pool_new_from(pool_t **out, int cap, const pool_option_t *options);

/* pool_err pool_new_with(pool_t **out, int cap, option, option …): one option or more. */
#ifndef __cplusplus
#define pool_new_with(out, cap, ...) \
    pool_new_from((out), (cap), (const pool_option_t[]){__VA_ARGS__, POOL_OPTIONS_END})
#endif

/*
 * The process-wide pool: unlimited, named "default", otherwise with default options; made
 * on first use. NULL if it cannot be made. It can be released and rebooted, but not destroyed (POOL_ERR_INVALID).
 * A forked child gets one of its own.
 */
pool_t *pool_default(void);

/*
 * Releases the pool if need be, waits until every accepted task has run, every worker's
 * thread has ended (thread-local destructors included) and every submitter is out of its
 * call (the blocked ones with POOL_ERR_CLOSED), and frees it. NULL is fine.
 * Errors: POOL_ERR_DEADLOCK from inside a task or callback of this very pool, which is
 * then untouched; POOL_ERR_INVALID for the default pool. In a forked child the memory of
 * a pool of the parent is freed: POOL_OK.
 */
pool_err pool_destroy(pool_t *pool);

#if defined(__GNUC__)
/*
 * Declares a `pool_t *name`, NULL at first, that is released and destroyed on every way
 * out of the scope: the place of Go's defer.
 *
 *     POOL_SCOPED(pool);
 *     if (pool_new(&pool, 8) != POOL_OK) return -1;
 */
__attribute__((unused)) static inline void pool_scoped_destroy(pool_t **pool)
{
    (void)pool_destroy(*pool);
}
/* NOLINTNEXTLINE(bugprone-macro-parentheses): the name is declared here */
#define POOL_SCOPED(name) __attribute__((cleanup(pool_scoped_destroy))) pool_t *name = NULL
#endif

/* ---- Submitting --------------------------------------------------------------------
 *
 * POOL_OK: accepted. Anything else: not accepted, and `arg` is still the caller's.
 * The submit path allocates nothing (the first pool_submit_copy of a pool excepted).
 *
 * Errors that every submit shares:
 *   POOL_ERR_INVALID    pool or fn is NULL
 *   POOL_ERR_CLOSED     the pool is released, before the call or while it waited
 *   POOL_ERR_OVERLOAD   at the limit, and the policy or max_blocking does not let it wait
 *   POOL_ERR_NO_THREAD  no worker is alive and none could be started (with one alive the
 *                       task is accepted and waits for it)
 *   POOL_ERR_NO_MEMORY  the same, for want of memory; or a wait could not be set up
 *   POOL_ERR_DEADLOCK   called from a task of this pool, at the limit, while every worker
 *                       is blocked in such a call and none can be added: the newest of
 *                       them gets this instead of hanging for ever. Cycles that lead
 *                       through a second pool are the caller's to avoid.
 *   POOL_ERR_FORKED     see above
 */

/* Accepts a task; at the limit it follows the pool's policy. */
POOL_MUST_USE pool_err pool_submit(pool_t *pool, pool_task_fn fn, void *arg);

/* Never blocks and never runs the task in the caller, whatever the policy: at the limit
 * POOL_ERR_OVERLOAD. Nobody overtakes: it is at the limit while anyone waits. */
POOL_MUST_USE pool_err pool_try_submit(pool_t *pool, pool_task_fn fn, void *arg);

/* Under POOL_BLOCK it waits at most `ms`, then POOL_ERR_TIMEOUT; under the other policies
 * it is pool_submit. Also POOL_ERR_INVALID: negative time. */
POOL_MUST_USE pool_err pool_submit_timeout(pool_t *pool, pool_task_fn fn, void *arg, int64_t ms);

/* The task gets a pointer to a private copy of `data`, aligned like malloc's, valid until
 * it returns. Also POOL_ERR_INVALID: size > POOL_COPY_MAX, or NULL data of a size above 0;
 * POOL_ERR_NO_MEMORY: the pool's first copy makes room for the copies of all later ones. */
POOL_MUST_USE pool_err pool_submit_copy(pool_t *pool, pool_task_fn fn, const void *data, size_t size);

/* Submits fn with each of the n args in order, in batches. *accepted is always set, to the
 * length of the accepted prefix; the error, if any, is that of args[*accepted]. Also
 * POOL_ERR_INVALID: accepted is NULL, or args is and n is not 0. */
POOL_MUST_USE pool_err pool_submit_many(pool_t *pool, pool_task_fn fn, void *const args[], size_t n,
                                        size_t *accepted);

/* pool_submit of the function that pool_with_func bound; POOL_ERR_NO_FUNC without one. */
POOL_MUST_USE pool_err pool_invoke(pool_t *pool, void *arg);

/* ---- Running a pool ---------------------------------------------------------------- */

/*
 * Changes the cap. Up: blocked submitters enter at once. Down: idle surplus workers leave
 * at once, busy ones after the task that they run or are about to. A released pool keeps
 * it for its reboot.
 * Errors: POOL_ERR_INVALID, POOL_ERR_FORKED; POOL_ERR_INVALID_CAP: out of range, or to or
 * from POOL_UNLIMITED.
 */
pool_err pool_tune(pool_t *pool, int cap);

/*
 * Returns after an instant at which nothing was queued or running. It does not close the
 * pool, and works on a closed one. Any number of threads may wait.
 * Errors: POOL_ERR_INVALID, POOL_ERR_FORKED; POOL_ERR_DEADLOCK from inside a task of this
 * pool; POOL_ERR_NO_MEMORY: the wait could not be set up; with a time also
 * POOL_ERR_TIMEOUT and, for a negative one, POOL_ERR_INVALID.
 */
pool_err pool_wait(pool_t *pool);
POOL_MUST_USE pool_err pool_wait_timeout(pool_t *pool, int64_t ms);

/*
 * Closes the pool and returns: later submits and blocked submitters get POOL_ERR_CLOSED,
 * accepted tasks still run, then the workers leave. On a closed pool: POOL_OK, nothing
 * done. Errors: POOL_ERR_INVALID, POOL_ERR_FORKED.
 */
pool_err pool_release(pool_t *pool);

/*
 * Closes the pool if need be and waits until every worker's thread has ended.
 * Errors: those of pool_release; POOL_ERR_NO_MEMORY as in pool_wait; POOL_ERR_TIMEOUT: not yet, call again to go on waiting
 * (the pool stays closed); POOL_ERR_DEADLOCK from inside a task of this pool and
 * POOL_ERR_INVALID for a negative time, both without closing it.
 */
POOL_MUST_USE pool_err pool_release_timeout(pool_t *pool, int64_t ms);

/*
 * Closes the pool if need be and hands every task that has not started to `unstarted`, in
 * the order of acceptance, in this thread, before it returns. Running tasks go on. The
 * argument of a copied task is valid until the callback returns.
 * Errors: those of pool_release; POOL_ERR_INVALID: unstarted is NULL.
 */
pool_err pool_release_now(pool_t *pool, pool_discard_fn unstarted, void *user);

/*
 * Opens a released pool again, with the options it was made with and the cap it has now.
 * On an open pool: POOL_OK, nothing done. Errors: POOL_ERR_INVALID, POOL_ERR_FORKED;
 * POOL_ERR_BUSY until the release is complete (every worker has ended, no
 * pool_release_now is under way);
 * POOL_ERR_NO_MEMORY, POOL_ERR_NO_THREAD as in pool_new: the pool stays closed.
 */
POOL_MUST_USE pool_err pool_reboot(pool_t *pool);

/* true also for NULL and for a pool of the parent process. */
bool pool_is_closed(const pool_t *pool);

/* ---- Seeing a pool ------------------------------------------------------------------
 *
 * Each gauge is a value that was true at an instant during the call; two calls speak of
 * two instants. Of NULL, or of a pool of the parent process, every gauge is 0.
 */
int pool_cap(const pool_t *pool);        /* POOL_UNLIMITED: no cap */
int pool_running(const pool_t *pool);    /* tasks started and not finished */
int pool_queued(const pool_t *pool);     /* tasks accepted and not started */
int pool_free_slots(const pool_t *pool); /* submits that would be accepted at once; 0 while
                                            anyone waits or when closed; POOL_UNLIMITED */
int pool_waiting(const pool_t *pool);    /* submitters blocked in a submit call */
int pool_workers(const pool_t *pool);    /* live workers, busy or idle */
int pool_idle(const pool_t *pool);       /* workers parked until there is work */
const char *pool_name(const pool_t *pool); /* valid until pool_destroy; "" for NULL */

/* The pool whose task (or caller-runs task) this thread is running, or NULL. */
pool_t *pool_current(void);

/* ---- Registry: a pool for each tenant -----------------------------------------------
 *
 *     pool_registry_t *tenants;
 *     pool_registry_limits_t limits = {.idle_ms = 60000, .max_pools = 1000};
 *     pool_registry_new(&tenants, &limits);
 *     pool_registry_add_tier(tenants, "free", 2, NULL);
 *     pool_registry_add_tier(tenants, "paid", 16, paid_options);
 *     pool_registry_submit(tenants, "paid", "acme", render, page);   makes acme's pool
 *
 * Named pools, made on first use from the template of their tier, taken down when they have
 * been idle, and made again on demand. The key is tier and name together: the same name in
 * two tiers is two pools. A submit to a pool that exists allocates nothing and takes no lock
 * that all names share. Two threads that ask for a new name at once make one pool. While one
 * is being taken down, a new one of its name may be made beside it; no call on a registry
 * meets a pool that is being taken down, so POOL_ERR_CLOSED comes from the drain alone.
 *
 * A pool is idle when nobody has acquired it, no call on it is under way and it has nothing
 * queued or running. Once that holds, and idle_ms after its last use, it is taken down by a
 * thread of the registry, within a quarter of idle_ms more. Last use is the return of a
 * submit or a put; one that is found at work then is looked at again after idle_ms. The
 * thread is made with the first pool; while no pool is idle it sleeps without a timeout.
 *
 * At a ceiling the pool whose last use is longest ago, of those that are idle, is taken down
 * at once to make room, or as many as it takes; if that does not do, POOL_ERR_OVERLOAD, and
 * none is. The caller does that itself: it returns when their threads have ended. A pool
 * that is being taken down does not count any more.
 *
 * Making a pool takes its time, whatever the submit: pool_registry_try_submit does not wait
 * at the limit, but may make the pool, or wait until another thread has. Workers take the
 * affinity and the scheduling of the thread that made their pool, as everywhere.
 *
 * In a forked child every call on a registry made before the fork returns POOL_ERR_FORKED
 * (pool_registry_destroy frees its memory); new ones work.
 */
typedef struct pool_registry pool_registry_t;

/* Zero is no limit. */
typedef struct pool_registry_limits {
    int64_t idle_ms;   /* idle pools are taken down after this; 0 or POOL_FOREVER: never */
    int max_pools;     /* so many at once */
    int max_total_cap; /* so large the sum of their caps, as their tiers give them (a pool_tune
                          does not count) */
} pool_registry_limits_t;

/*
 * Makes a registry without tiers; limits NULL: none. *out is the caller's, to be ended by
 * pool_registry_destroy. Errors: POOL_ERR_INVALID: out is NULL, or a limit negative;
 * POOL_ERR_NO_MEMORY.
 */
POOL_MUST_USE pool_err pool_registry_new(pool_registry_t **out, const pool_registry_limits_t *limits);

/*
 * Adds a tier: pools of this cap, 1 … INT_MAX or POOL_UNLIMITED, with these options (NULL:
 * none). The options are applied and checked here, and copied; `user` pointers are kept and
 * stay the caller's to free after pool_registry_destroy. Each pool is named as it is asked
 * for, whatever pool_with_name says. Tiers cannot be changed or removed.
 * Errors: those of pool_new_from for its options; POOL_ERR_INVALID: registry or tier is NULL,
 * or there is a tier of that name; POOL_ERR_INVALID_CAP also where the cap is above
 * max_total_cap, or unlimited while that is set; POOL_ERR_CLOSED: drained; POOL_ERR_FORKED.
 */
POOL_MUST_USE pool_err pool_registry_add_tier(pool_registry_t *registry, const char *tier, int cap,
                                              const pool_option_t *options);

/*
 * pool_submit, pool_try_submit and pool_submit_timeout to the pool of that tier and name,
 * which is made if need be. `ms` is for the wait at the limit, making not counted.
 * Errors: those of the submit; POOL_ERR_INVALID: a NULL argument (arg excepted), a negative
 * time, or no such tier; POOL_ERR_CLOSED: drained; POOL_ERR_OVERLOAD: also, the pool would
 * have to be made, at a ceiling, and no other is idle, or this is called from a thread hook,
 * a logger or a discard handler of one of the registry's pools, which may not wait for the
 * end of another; POOL_ERR_NO_MEMORY, POOL_ERR_NO_THREAD: also, it could not be made
 * (whatever the reason, whoever waited for the making gets the same); POOL_ERR_DEADLOCK:
 * also, from a thread hook or the logger of the very pool while it is being made.
 */
POOL_MUST_USE pool_err pool_registry_submit(pool_registry_t *registry, const char *tier, const char *name,
                                            pool_task_fn fn, void *arg);
POOL_MUST_USE pool_err pool_registry_try_submit(pool_registry_t *registry, const char *tier,
                                                const char *name, pool_task_fn fn, void *arg);
POOL_MUST_USE pool_err pool_registry_submit_timeout(pool_registry_t *registry, const char *tier,
                                                    const char *name, pool_task_fn fn, void *arg,
                                                    int64_t ms);

/*
 * The pool itself, for all other calls; made if need be. It is not taken down until it is
 * given back by one pool_registry_put for each acquire, from whatever thread; no call on it
 * may be under way then, nor begin later. Its tasks may use pool_current() without.
 *
 * It stays the registry's: pool_destroy of it is POOL_ERR_INVALID. Whoever releases it makes
 * the submits of its name fail with POOL_ERR_CLOSED, until it is rebooted or, idle, taken
 * down. A pool_tune lasts as long as the pool.
 * Errors: those of pool_registry_submit that do not come from the submit. Of put:
 * POOL_ERR_INVALID: not a pool of this registry; POOL_ERR_FORKED.
 */
POOL_MUST_USE pool_err pool_registry_acquire(pool_registry_t *registry, const char *tier, const char *name,
                                             pool_t **out);
pool_err pool_registry_put(pool_registry_t *registry, pool_t *pool);

/*
 * Calls `visit` for each pool, in this thread, under no lock; the pool is acquired for as
 * long as that takes, which is no use of it. Each that is there from beginning to end is
 * visited once; those that are made meanwhile are not. `visit` may call anything but
 * pool_registry_destroy. Errors: POOL_ERR_INVALID: registry or visit is NULL; POOL_ERR_FORKED.
 */
typedef void (*pool_registry_visit_fn)(void *user, pool_t *pool, const char *tier, const char *name);
pool_err pool_registry_each(pool_registry_t *registry, pool_registry_visit_fn visit, void *user);

/* Pools that there are, or are being made, and the sum of their caps as their tiers give
 * them, unlimited ones not counted; up to INT_MAX. Of NULL, or of a registry of the parent
 * process, 0. */
int pool_registry_pools(const pool_registry_t *registry);
int pool_registry_total_cap(const pool_registry_t *registry);

/*
 * Drains: closes every pool first, as pool_release does, then waits for all of them until
 * the one time is up: for those of the first tier in `tiers` (an array that NULL ends), of
 * the second, and so on, then for those of the tiers that are not named, in the order in
 * which they were added (tiers NULL: all of them), last for pools that were being taken down
 * already. POOL_OK: every worker's thread of every pool has ended. For good: later submits
 * and acquires get POOL_ERR_CLOSED, and the pools stay as they are until pool_registry_destroy.
 * Errors: POOL_ERR_TIMEOUT: not yet, call again to go on waiting; and, nothing being closed:
 * POOL_ERR_INVALID: registry is NULL, the time negative, or there is no such tier;
 * POOL_ERR_DEADLOCK from inside a task or callback of one of its pools; POOL_ERR_NO_MEMORY
 * as in pool_wait; POOL_ERR_FORKED.
 */
POOL_MUST_USE pool_err pool_registry_release_timeout(pool_registry_t *registry, const char *const tiers[],
                                                     int64_t ms);

/*
 * Closes every pool if need be, waits until each was given back by whoever acquired it and
 * has come to its end as in pool_destroy, and frees all. NULL is fine.
 * Errors: POOL_ERR_DEADLOCK from inside a task or callback of one of its pools: nothing is
 * closed. In a forked child the memory of a registry of the parent is freed: POOL_OK. (From
 * inside such a task it is kept.)
 */
pool_err pool_registry_destroy(pool_registry_t *registry);

/* ---- Panics ------------------------------------------------------------------------
 *
 * The C counterpart of Go's panic: gives up the task, reports it to the panic handler and
 * leaves the worker alive. Only inside a task: elsewhere it writes a message to stderr and
 * aborts. The stack between is jumped over, not unwound: a task that panics while cleanup
 * handlers (pthread_cleanup_push) are pushed, or C++ objects with destructors are alive,
 * is undefined. pool_panicf keeps the first 255 bytes of its message.
 */
POOL_NORETURN void pool_panic(void *value);
POOL_NORETURN void pool_panicf(const char *format, ...) POOL_PRINTF(1, 2);

/* ---- Multipool ---------------------------------------------------------------------
 *
 * Several pools, its shards, behind one set of calls: for more submitters and workers than
 * one queue serves well, or to keep what belongs together on one of them.
 *
 *     multipool_t *pools;
 *     if (multipool_new(&pools, 4, 250, MULTIPOOL_ROUND_ROBIN) != POOL_OK) ...
 *     multipool_submit(pools, send_mail, mail);                 on any shard
 *     multipool_submit_key(pools, account, apply, transfer);    always on the account's
 *     multipool_destroy(pools);
 *
 * A call means what the call of the same name does to one pool, errors included, unless it
 * is said otherwise here. Shards are numbered from 0. A shard may be used as a pool of its
 * own (multipool_shard), but not be destroyed. Where a call stopped at one shard,
 * multipool_error_shard says at which.
 */
typedef struct multipool multipool_t;

/* How multipool_submit chooses a shard. */
typedef enum multipool_strategy {
    MULTIPOOL_ROUND_ROBIN, /* in turn; the threads that submit do not share one turn */
    MULTIPOOL_LEAST_TASKS, /* the one with the fewest tasks queued and running, among equals the
                              submitting thread's own */
    MULTIPOOL_TWO_CHOICES, /* of two by chance the one with fewer tasks */
    MULTIPOOL_STICKY       /* a submitting thread keeps its shard; threads are dealt out evenly */
} multipool_strategy;

/*
 * Makes `shards` pools of `cap_per_shard` each, all with the same options, which speak of one
 * shard (queue, prestart, min_idle, …). The shards of the name "mail" are named "mail.0",
 * "mail.1", …; max_blocking bounds the waiters of a shard and, times the number of shards,
 * those of multipool_submit. *out is the caller's, to be ended by multipool_destroy.
 * Errors: those of pool_new_from; POOL_ERR_INVALID_SHARDS: below 1; POOL_ERR_INVALID_STRATEGY.
 * What was made by then is ended again.
 */
POOL_MUST_USE pool_err multipool_new(multipool_t **out, int shards, int cap_per_shard,
                                     multipool_strategy strategy);
POOL_MUST_USE pool_err multipool_new_from(multipool_t **out, int shards, int cap_per_shard,
                                          multipool_strategy strategy, const pool_option_t *options);

/* multipool_new_with(out, shards, cap_per_shard, strategy, option, option …) */
#ifndef __cplusplus
#define multipool_new_with(out, shards, cap_per_shard, strategy, ...)  \
    multipool_new_from((out), (shards), (cap_per_shard), (strategy),   \
                       (const pool_option_t[]){__VA_ARGS__, POOL_OPTIONS_END})
#endif

/*
 * Submits to the shard that the strategy, or the picker, chooses. If that is at its limit,
 * the others are tried, the one with the fewest tasks first; only if none has a slot, the
 * policy decides. Under POOL_BLOCK the call waits for a slot of any shard, first come first
 * served among those who wait so; where a shard's own waiters (multipool_submit_key, calls on
 * multipool_shard) stand before the same shard, the two lines take turns. Not so with
 * MULTIPOOL_STICKY: there POOL_BLOCK waits for the thread's own shard. Under
 * POOL_CALLER_RUNS and POOL_DISCARD_OLDEST it is the chosen shard whose task runs here or whose
 * oldest is discarded.
 * Errors: those of pool_submit. POOL_ERR_CLOSED: every shard is released. POOL_ERR_OVERLOAD:
 * no shard that is open has a slot. POOL_ERR_DEADLOCK: called from a task of this multipool while
 * every worker of every shard is blocked in such a call; where tasks wait for one another by
 * key, across shards, that is the caller's to avoid. POOL_ERR_INVALID_INDEX: the picker chose
 * no shard.
 */
POOL_MUST_USE pool_err multipool_submit(multipool_t *multipool, pool_task_fn fn, void *arg);
POOL_MUST_USE pool_err multipool_try_submit(multipool_t *multipool, pool_task_fn fn, void *arg);
POOL_MUST_USE pool_err multipool_submit_timeout(multipool_t *multipool, pool_task_fn fn, void *arg,
                                                int64_t ms);
POOL_MUST_USE pool_err multipool_invoke(multipool_t *multipool, void *arg);

/* Submits to the key's own shard and to no other: pool_submit there. Which one hangs on the key
 * and the number of shards only, keys are spread evenly; with a picker, it is the picker's choice. */
POOL_MUST_USE pool_err multipool_submit_key(multipool_t *multipool, uint64_t key, pool_task_fn fn,
                                            void *arg);

/*
 * From now on `pick` chooses in place of the strategy and of the spread of keys; NULL ends
 * that. It gets the key of multipool_submit_key, 0 from the other calls, and returns an index,
 * from any number of threads at once, in the submitting thread, under no lock. `user` stays the
 * caller's, to be kept until multipool_destroy: a submit under way may still call the old picker.
 * Errors: POOL_ERR_INVALID, POOL_ERR_FORKED, POOL_ERR_NO_MEMORY.
 */
pool_err multipool_set_picker(multipool_t *multipool,
                              int (*pick)(void *user, multipool_t *multipool, uint64_t key), void *user);

/* For all shards; `cap` is that of each. Fails for all or for none. */
pool_err multipool_tune(multipool_t *multipool, int cap);

/* Returns after an instant at which nothing was queued or running in any shard. */
pool_err multipool_wait(multipool_t *multipool);
POOL_MUST_USE pool_err multipool_wait_timeout(multipool_t *multipool, int64_t ms);

/* All shards are closed before the first is waited for or handed back; the time is one for
 * all of them. After POOL_ERR_TIMEOUT multipool_error_shard is the first that is not done. */
pool_err multipool_release(multipool_t *multipool);
POOL_MUST_USE pool_err multipool_release_timeout(multipool_t *multipool, int64_t ms);
pool_err multipool_release_now(multipool_t *multipool, pool_discard_fn unstarted, void *user);

/* If a shard cannot be opened, those that this call has opened are released again. */
POOL_MUST_USE pool_err multipool_reboot(multipool_t *multipool);

/* NULL is fine. */
pool_err multipool_destroy(multipool_t *multipool);

/* true when every shard is; also for NULL and in a forked child. */
bool multipool_is_closed(const multipool_t *multipool);

/* Sums over the shards, each read at an instant of its own, at most INT_MAX; POOL_UNLIMITED if
 * a shard says so. `waiting` counts those who wait for any shard as well. */
int multipool_cap(const multipool_t *multipool);
int multipool_running(const multipool_t *multipool);
int multipool_queued(const multipool_t *multipool);
int multipool_free_slots(const multipool_t *multipool);
int multipool_waiting(const multipool_t *multipool);
int multipool_workers(const multipool_t *multipool);
int multipool_idle(const multipool_t *multipool);

/* The gauge of one shard; `waiting` is its own line. Errors: POOL_ERR_INVALID: a NULL;
 * POOL_ERR_INVALID_INDEX; POOL_ERR_FORKED. */
pool_err multipool_running_at(const multipool_t *multipool, int index, int *out);
pool_err multipool_queued_at(const multipool_t *multipool, int index, int *out);
pool_err multipool_free_slots_at(const multipool_t *multipool, int index, int *out);
pool_err multipool_waiting_at(const multipool_t *multipool, int index, int *out);
pool_err multipool_workers_at(const multipool_t *multipool, int index, int *out);
pool_err multipool_idle_at(const multipool_t *multipool, int index, int *out);

int multipool_shards(const multipool_t *multipool); /* how many there are */

/* Valid until multipool_destroy; NULL: no such index, or a NULL. pool_destroy of it is
 * POOL_ERR_INVALID. */
pool_t *multipool_shard(multipool_t *multipool, int index);

/* The shard at which the last multipool call of this thread that failed had stopped; -1: the
 * error spoke of no single shard. A call that succeeds leaves it as it is, and so do the submits
 * and multipool_set_picker, whose errors never speak of one shard. */
int multipool_error_shard(void);

#ifdef __cplusplus
} /* extern "C" */

#include <initializer_list>
#include <vector>
#if defined(__cpp_exceptions)
#include <cstdio>
#include <cxxabi.h>
#include <exception>
#endif

/* pool_new_with(&pool, 8, pool_with_queue(100), pool_with_name("mail")), or the same with
 * the options in braces. */
POOL_MUST_USE inline pool_err pool_new_with(pool_t **out, int cap,
                                            std::initializer_list<pool_option_t> options)
{
    std::vector<pool_option_t> array(options);
    array.push_back(POOL_OPTIONS_END);
    return pool_new_from(out, cap, array.data());
}

template <typename... Option>
POOL_MUST_USE inline pool_err pool_new_with(pool_t **out, int cap, const pool_option_t &first,
                                            const Option &...rest)
{
    const pool_option_t array[] = {first, rest..., POOL_OPTIONS_END};
    return pool_new_from(out, cap, array);
}

POOL_MUST_USE inline pool_err multipool_new_with(multipool_t **out, int shards, int cap_per_shard,
                                                 multipool_strategy strategy,
                                                 std::initializer_list<pool_option_t> options)
{
    std::vector<pool_option_t> array(options);
    array.push_back(POOL_OPTIONS_END);
    return multipool_new_from(out, shards, cap_per_shard, strategy, array.data());
}

template <typename... Option>
POOL_MUST_USE inline pool_err multipool_new_with(multipool_t **out, int shards, int cap_per_shard,
                                                 multipool_strategy strategy, const pool_option_t &first,
                                                 const Option &...rest)
{
    const pool_option_t array[] = {first, rest..., POOL_OPTIONS_END};
    return multipool_new_from(out, shards, cap_per_shard, strategy, array);
}

#if defined(__cpp_exceptions)
/*
 * An exception must not leave a task: in a worker it is std::terminate, through a task that
 * runs in its caller it is undefined. This makes a panic of it, with what() as the message:
 *
 *     pool_submit(pool, pool_catching<send_mail>, mail)
 *
 * The stack is unwound as far as send_mail, so its objects are destroyed before the panic.
 */
template <pool_task_fn fn> void pool_catching(void *arg)
{
    char message[256];
    try {
        fn(arg);
        return;
    } catch (const std::exception &e) {
        std::snprintf(message, sizeof message, "%s", e.what());
    } catch (...) {
        if (abi::__cxa_current_exception_type() == nullptr)
            throw; /* no exception of C++: pthread_exit, or a cancellation */
        std::snprintf(message, sizeof message, "an exception that is no std::exception");
    }
    pool_panicf("%s", message);
}
#endif
#endif

#endif /* ANTPOOL_H */
