/*
 * What this thread runs for which pool, and panics.
 *
 * Each thread has a stack of frames: a worker's own for its tasks, one for each task that
 * runs in its caller, one for each callback. The newest one says what pool_current is and
 * where a panic lands. The panic handler runs where the panic happened, on the task's
 * stack, so a debugger or backtrace(3) shows how it came to it; then the thread jumps back.
 */
#include "ring.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_include)
#if __has_include(<execinfo.h>)
#include <execinfo.h>
#define ANTP_HAS_BACKTRACE 1
#endif
#endif

enum { MESSAGE_BYTES = 256, BACKTRACE_DEPTH = 48 };

static _Thread_local struct antp_frame *top;

void antp_frame_push(struct antp_frame *frame, pool_t *pool, int worker)
{
    frame->pool = pool;
    frame->worker = worker;
    frame->handling_panic = false;
    frame->task.fn = NULL;
    frame->outer = top;
    top = frame;
}

void antp_frame_pop(struct antp_frame *frame)
{
    top = frame->outer;
}

const struct antp_frame *antp_frames(void)
{
    return top;
}

bool antp_in_frame_of(const pool_t *pool)
{
    for (const struct antp_frame *f = top; f != NULL; f = f->outer)
        if (f->pool == pool)
            return true;
    return false;
}

bool antp_in_frame_of_multi(const multipool_t *multi)
{
    for (const struct antp_frame *f = top; f != NULL; f = f->outer)
        if (f->pool->multi == multi)
            return true;
    return false;
}

/* The frame of a worker is the outermost of its thread. */
pool_t *antp_worker_pool(void)
{
    for (const struct antp_frame *f = top; f != NULL; f = f->outer)
        if (f->worker >= 0)
            return f->pool;
    return NULL;
}

bool antp_is_worker_of(const pool_t *pool)
{
    for (const struct antp_frame *f = top; f != NULL; f = f->outer)
        if (f->pool == pool && f->worker >= 0)
            return true;
    return false;
}

pool_t *pool_current(void)
{
    for (const struct antp_frame *f = top; f != NULL; f = f->outer)
        if (f->task.fn != NULL)
            return f->pool;
    return NULL;
}

/* ---- Running in the caller ---------------------------------------------------------------- */

struct inline_run {
    struct antp_frame frame;
    int cancel_state;
};

/* Also when the task ends its thread by pthread_exit. */
static void inline_over(void *arg)
{
    struct inline_run *run = arg;
    pool_t *pool = run->frame.pool;
    antp_frame_pop(&run->frame);
    if (antp_forked(pool))
        return;
    atomic_fetch_sub(&pool->inline_now, 1); /* pairs with the loads in pool_wait */
    if (antp_quiet_awaited(pool))
        antp_tell_quiet(pool);
    antp_exit(pool);
}

static void inline_task(struct inline_run *run, const struct antp_task *task)
{
    struct antp_taken *mine = &run->frame.task;
    mine->arg = task->arg;
    if (task->copy != NULL) {
        memcpy(mine->copy, task->copy, task->size);
        mine->arg = mine->copy;
    }
    mine->fn = task->fn;
}

void antp_run_inline(pool_t *pool, const struct antp_task *task)
{
    struct inline_run run;
    atomic_fetch_add(&pool->inline_now, 1);
    antp_frame_push(&run.frame, pool, -1);
    inline_task(&run, task);
    run.cancel_state = antp_cancel_off();
    antp_cancel_restore(run.cancel_state);
    pthread_cleanup_push(inline_over, &run);
    if (sigsetjmp(run.frame.recover, 1) == 0) /* 1: a panic restores the signal mask */
        run.frame.task.fn(run.frame.task.arg);
    else
        antp_cancel_restore(run.cancel_state);
    pthread_cleanup_pop(1);
}

/* ---- Messages ----------------------------------------------------------------------------- */

static void hand_to_logger(pool_t *pool, const char *line)
{
    struct antp_frame frame;
    int cancel = antp_cancel_off();
    antp_frame_push(&frame, pool, -1);
    if (pool->logger != NULL)
        pool->logger(pool->logger_user, line);
    else
        fprintf(stderr, "antpool: %s\n", line);
    antp_frame_pop(&frame);
    antp_cancel_restore(cancel);
}

void antp_log(pool_t *pool, const char *format, ...)
{
    char line[512];
    int n = snprintf(line, sizeof line / 2, "%s: ", pool->name);
    size_t at = (size_t)n < sizeof line / 2 ? (size_t)n : sizeof line / 2 - 1;
    va_list args;
    va_start(args, format);
    vsnprintf(line + at, sizeof line - at, format, args);
    va_end(args);
    hand_to_logger(pool, line);
}

/* ---- Panics ------------------------------------------------------------------------------- */

static void call_handler(const struct antp_frame *frame, void *value, const char *message)
{
    pool_panic_info_t info = {
        .value = value,
        .message = message,
        .task = frame->task.fn,
        .arg = frame->task.arg,
        .pool_name = frame->pool->name,
        .worker = frame->worker,
    };
#ifdef ANTP_HAS_BACKTRACE
    void *addresses[BACKTRACE_DEPTH];
    info.backtrace_size = backtrace(addresses, BACKTRACE_DEPTH);
    info.backtrace = addresses;
#endif
    frame->pool->panic_handler(frame->pool->panic_user, &info);
}

static void report(struct antp_frame *frame, void *value, const char *message)
{
    if (frame->handling_panic) {
        antp_log(frame->pool, "the panic handler panicked: %s", message ? message : "(no message)");
        return;
    }
    frame->handling_panic = true;
    if (frame->pool->panic_handler != NULL)
        call_handler(frame, value, message);
    else if (message != NULL)
        antp_log(frame->pool, "a task panicked: %s", message);
    else
        antp_log(frame->pool, "a task panicked with value %p", value);
}

static _Noreturn void panic(void *value, const char *message)
{
    struct antp_frame *frame = top;
    if (frame == NULL || frame->task.fn == NULL) {
        fprintf(stderr, "antpool: pool_panic outside a task: %s\n", message ? message : "(no message)");
        abort();
    }
    if (!antp_forked(frame->pool))
        report(frame, value, message);
    siglongjmp(frame->recover, 1);
}

void pool_panic(void *value)
{
    panic(value, NULL);
}

void pool_panicf(const char *format, ...)
{
    char message[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    panic(NULL, message);
}
