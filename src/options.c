/* Options: values that edit a pool_options_t, and the check of the result. */
#include "internal.h"

#include <limits.h>

#define STRING_(x) #x
#define STRING(x) STRING_(x)

const char *pool_version(void)
{
    return STRING(POOL_VERSION_MAJOR) "." STRING(POOL_VERSION_MINOR) "." STRING(POOL_VERSION_PATCH);
}

const char *pool_strerror(pool_err err)
{
    switch (err) {
    case POOL_OK: return "success";
    case POOL_ERR_CLOSED: return "the pool is released";
    case POOL_ERR_OVERLOAD: return "the pool is at its limit";
    case POOL_ERR_TIMEOUT: return "timed out";
    case POOL_ERR_CANCELED: return "canceled";
    case POOL_ERR_NO_FUNC: return "no function is bound to the pool";
    case POOL_ERR_INVALID: return "invalid argument";
    case POOL_ERR_INVALID_CAP: return "invalid cap: 1 to INT_MAX or POOL_UNLIMITED";
    case POOL_ERR_INVALID_EXPIRY: return "invalid expiry: negative";
    case POOL_ERR_INVALID_PREALLOC: return "invalid prealloc: the pool is unlimited";
    case POOL_ERR_INVALID_INDEX: return "invalid index: no such shard";
    case POOL_ERR_INVALID_STRATEGY: return "invalid strategy";
    case POOL_ERR_INVALID_SHARDS: return "invalid number of shards";
    case POOL_ERR_NO_MEMORY: return "out of memory";
    case POOL_ERR_NO_THREAD: return "cannot create a thread";
    case POOL_ERR_DEADLOCK: return "the call would wait for itself";
    case POOL_ERR_BUSY: return "the release is not complete yet";
    case POOL_ERR_FORKED: return "the pool belongs to the parent process";
    }
    return "unknown error";
}

/* ---- Options ------------------------------------------------------------------------------ */

/* An option that stores one value in one field. */
#define OPTION(name, type, member, field)                                  \
    static void apply_##name(pool_options_t *o, const pool_option_t *self) \
    {                                                                      \
        o->field = self->value.member;                                     \
    }                                                                      \
    pool_option_t pool_with_##name(type value)                             \
    {                                                                      \
        return (pool_option_t){apply_##name, {.member = value}};           \
    }

OPTION(expiry_ms, int64_t, ms, expiry_ms)
OPTION(prealloc, bool, on, prealloc)
OPTION(max_blocking, int, number, max_blocking)
OPTION(disable_purge, bool, on, disable_purge)
OPTION(queue, int, number, queue)
OPTION(stack_size, size_t, size, stack_size)
OPTION(prestart, int, number, prestart)
OPTION(min_idle, int, number, min_idle)
OPTION(spin_us, int, number, spin_us)

static void apply_nonblocking(pool_options_t *o, const pool_option_t *self)
{
    o->policy = self->value.on ? POOL_REFUSE : POOL_BLOCK;
}

pool_option_t pool_with_nonblocking(bool on)
{
    return (pool_option_t){apply_nonblocking, {.on = on}};
}

static void apply_policy(pool_options_t *o, const pool_option_t *self)
{
    o->policy = (pool_policy)self->value.number;
}

pool_option_t pool_with_policy(pool_policy policy)
{
    return (pool_option_t){apply_policy, {.number = (int)policy}};
}

static void apply_name(pool_options_t *o, const pool_option_t *self)
{
    o->name = self->value.pointer;
}

pool_option_t pool_with_name(const char *name)
{
    return (pool_option_t){apply_name, {.pointer = name}};
}

static void apply_func(pool_options_t *o, const pool_option_t *self)
{
    o->func = self->value.task;
    if (o->func == NULL)
        o->error = POOL_ERR_NO_FUNC;
}

pool_option_t pool_with_func(pool_task_fn fn)
{
    return (pool_option_t){apply_func, {.task = fn}};
}

static void apply_options(pool_options_t *o, const pool_option_t *self)
{
    const pool_options_t *whole = self->value.pointer;
    if (whole == NULL)
        o->error = POOL_ERR_INVALID;
    else
        *o = *whole;
}

pool_option_t pool_with_options(const pool_options_t *options)
{
    return (pool_option_t){apply_options, {.pointer = options}};
}

static void apply_panic_handler(pool_options_t *o, const pool_option_t *self)
{
    o->panic_handler = self->value.panic.fn;
    o->panic_user = self->value.panic.user;
}

pool_option_t pool_with_panic_handler(pool_panic_fn fn, void *user)
{
    return (pool_option_t){apply_panic_handler, {.panic = {fn, user}}};
}

static void apply_logger(pool_options_t *o, const pool_option_t *self)
{
    o->logger = self->value.logger.fn;
    o->logger_user = self->value.logger.user;
}

pool_option_t pool_with_logger(pool_logger_fn fn, void *user)
{
    return (pool_option_t){apply_logger, {.logger = {fn, user}}};
}

static void apply_thread_hooks(pool_options_t *o, const pool_option_t *self)
{
    o->on_thread_start = self->value.thread.on_start;
    o->on_thread_exit = self->value.thread.on_exit;
    o->thread_user = self->value.thread.user;
}

pool_option_t pool_with_thread_hooks(pool_thread_fn on_start, pool_thread_fn on_exit, void *user)
{
    return (pool_option_t){apply_thread_hooks, {.thread = {on_start, on_exit, user}}};
}

static void apply_discard_handler(pool_options_t *o, const pool_option_t *self)
{
    o->discard_handler = self->value.discard.fn;
    o->discard_user = self->value.discard.user;
}

pool_option_t pool_with_discard_handler(pool_discard_fn fn, void *user)
{
    return (pool_option_t){apply_discard_handler, {.discard = {fn, user}}};
}

/* ---- The check ---------------------------------------------------------------------------- */

static bool stack_too_small(size_t bytes)
{
    return bytes != 0 && bytes < (size_t)PTHREAD_STACK_MIN;
}

static bool policy_known(pool_policy policy)
{
    switch (policy) {
    case POOL_BLOCK:
    case POOL_REFUSE:
    case POOL_CALLER_RUNS:
    case POOL_DISCARD_OLDEST: return true;
    }
    return false;
}

static pool_err check(const pool_options_t *o, int cap)
{
    if (o->error != POOL_OK)
        return o->error;
    if (cap < 1 && cap != POOL_UNLIMITED)
        return POOL_ERR_INVALID_CAP;
    if (o->expiry_ms < 0)
        return POOL_ERR_INVALID_EXPIRY;
    if (o->prealloc && cap == POOL_UNLIMITED)
        return POOL_ERR_INVALID_PREALLOC;
    bool negative = o->queue < 0 || o->max_blocking < 0 || o->prestart < 0 || o->min_idle < 0;
    bool too_many = cap != POOL_UNLIMITED && o->prestart > cap;
    bool reserved = o->hooks != NULL || o->timing;
    if (negative || too_many || reserved || o->spin_us < -1 || stack_too_small(o->stack_size) ||
        !policy_known(o->policy))
        return POOL_ERR_INVALID;
    return POOL_OK;
}

pool_err antp_options_read(pool_options_t *read, int cap, const pool_option_t *options)
{
    *read = (pool_options_t){0};
    for (; options != NULL && options->apply != NULL; options++)
        options->apply(read, options);
    return check(read, cap);
}
