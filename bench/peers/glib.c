/* GThreadPool, exclusive: its threads are its own and all start with it. Its queue has no
 * bound. */
#include <glib.h>

#include "common.h"
#include "peer.h"

const char subject_name[] = "glib";

static GThreadPool *pool;

static void check(const GError *error)
{
    if (error != NULL)
        bench_die("glib: %s", error->message);
}

static void run(gpointer arg, gpointer unused)
{
    (void)unused;
    peer_run(arg);
}

const char *subject_start(const struct subject_setup *setup)
{
    GError *error = NULL;
    if (setup->cap < 1)
        return "needs a cap, without one it starts a thread for each waiting task";
    bound_init(peer_limit(setup));
    pool = g_thread_pool_new(run, NULL, setup->cap, TRUE, &error);
    check(error);
    return NULL;
}

void subject_run(int submitters, void (*submit_all)(int who))
{
    bench_threads(submitters, submit_all);
    bound_wait_all();
}

void subject_submit(void (*fn)(void *), void *arg)
{
    GError *error = NULL;
    peer_set_fn(fn);
    bound_enter();
    g_thread_pool_push(pool, arg, &error);
    check(error);
}

void subject_flush(void) {}

void subject_stop(void)
{
    g_thread_pool_free(pool, FALSE, TRUE);
}
