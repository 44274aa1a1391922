/* apr_thread_pool of apr-util. All threads start with it and stay; it keeps the records of
 * finished tasks for the next ones. Its queue has no bound. */
#include <apr_general.h>
#include <apr_thread_pool.h>

#include "common.h"
#include "peer.h"

const char subject_name[] = "apr";

static apr_pool_t *memory;
static apr_thread_pool_t *pool;

static void check(apr_status_t status)
{
    char text[128];
    if (status != APR_SUCCESS)
        bench_die("apr: %s", apr_strerror(status, text, sizeof text));
}

static void *APR_THREAD_FUNC run(apr_thread_t *thread, void *arg)
{
    (void)thread;
    peer_run(arg);
    return NULL;
}

const char *subject_start(const struct subject_setup *setup)
{
    if (setup->cap < 1)
        return "needs a cap";
    bound_init(peer_limit(setup));
    apr_size_t threads = (apr_size_t)setup->cap;
    check(apr_initialize());
    check(apr_pool_create(&memory, NULL));
    check(apr_thread_pool_create(&pool, threads, threads, memory));
    apr_thread_pool_idle_max_set(pool, threads);
    return NULL;
}

void subject_run(int submitters, void (*submit_all)(int who))
{
    bench_threads(submitters, submit_all);
    bound_wait_all();
}

void subject_submit(void (*fn)(void *), void *arg)
{
    peer_set_fn(fn);
    bound_enter();
    check(apr_thread_pool_push(pool, run, arg, APR_THREAD_TASK_PRIORITY_NORMAL, NULL));
}

void subject_flush(void) {}

void subject_stop(void)
{
    check(apr_thread_pool_destroy(pool));
    apr_pool_destroy(memory);
    apr_terminate();
}
