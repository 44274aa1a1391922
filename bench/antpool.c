/* antpool as a subject. `call` is submit, invoke, copy (32 bytes), or many16 and many256:
 * each submitting thread gathers that many arguments and hands them over at once. */
#include "subject.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "antpool.h"
#include "common.h"

enum { COPY_BYTES = 32, BATCH_MAX = 256 };

const char subject_name[] = "antpool";

static pool_t *pool;
static enum { SUBMIT, INVOKE, COPY, MANY } call;
static size_t batch_size;
static _Thread_local struct {
    void (*fn)(void *);
    size_t n;
    void *args[BATCH_MAX];
} batch;

static void check(pool_err err)
{
    if (err != POOL_OK)
        bench_die("antpool: %s", pool_strerror(err));
}

/* The one function of the program, for calls that do not pass it. Written once only: the
 * workers read it with each task. */
static _Atomic(void (*)(void *)) the_fn;

static void set_fn(void (*fn)(void *))
{
    if (atomic_load_explicit(&the_fn, memory_order_relaxed) != fn)
        atomic_store_explicit(&the_fn, fn, memory_order_relaxed);
}

static void run_bound(void *arg)
{
    atomic_load_explicit(&the_fn, memory_order_relaxed)(arg);
}

/* A copied task finds the pointer that it would have had in its copy. */
static void run_copied(void *copy)
{
    void *arg;
    memcpy(&arg, copy, sizeof arg);
    run_bound(arg);
}

static bool set_call(const char *name)
{
    int many;
    if (strcmp(name, "submit") == 0)
        call = SUBMIT;
    else if (strcmp(name, "invoke") == 0)
        call = INVOKE;
    else if (strcmp(name, "copy") == 0)
        call = COPY;
    else if (sscanf(name, "many%d", &many) == 1 && many >= 1 && many <= BATCH_MAX)
        call = MANY, batch_size = (size_t)many;
    else
        return false;
    return true;
}

const char *subject_start(const struct subject_setup *setup)
{
    if (!set_call(setup->call))
        return "--call takes submit, invoke, copy or many1 … many256";
    pool_err err = pool_new_with(&pool, setup->cap, pool_with_queue(setup->queue),
                                 pool_with_prestart(setup->prestart), pool_with_func(run_bound),
                                 pool_with_spin_us(setup->spin_us),
                                 pool_with_expiry_ms(setup->expiry_ms));
    return err == POOL_OK ? NULL : pool_strerror(err);
}

void subject_run(int submitters, void (*submit_all)(int who))
{
    bench_threads(submitters, submit_all);
    check(pool_wait(pool));
}

void subject_flush(void)
{
    size_t accepted;
    if (batch.n > 0)
        check(pool_submit_many(pool, batch.fn, batch.args, batch.n, &accepted));
    batch.n = 0;
}

static void gather(void (*fn)(void *), void *arg)
{
    batch.fn = fn;
    batch.args[batch.n++] = arg;
    if (batch.n == batch_size)
        subject_flush();
}

static void submit_copy(void (*fn)(void *), void *arg)
{
    unsigned char data[COPY_BYTES] = {0};
    set_fn(fn);
    memcpy(data, &arg, sizeof arg);
    check(pool_submit_copy(pool, run_copied, data, sizeof data));
}

static void invoke(void (*fn)(void *), void *arg)
{
    set_fn(fn);
    check(pool_invoke(pool, arg));
}

void subject_submit(void (*fn)(void *), void *arg)
{
    switch (call) {
    case SUBMIT: check(pool_submit(pool, fn, arg)); break;
    case INVOKE: invoke(fn, arg); break;
    case COPY: submit_copy(fn, arg); break;
    case MANY: gather(fn, arg); break;
    }
}

void subject_stop(void)
{
    check(pool_destroy(pool));
}
