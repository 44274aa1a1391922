/*
 * No pool: a detached thread for each task. There is no queue, a task that is accepted runs,
 * so the cap alone is the bound and --queue adds nothing. A thread that has left the bound
 * still takes a moment to end, so there may be a few more threads than the cap.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "common.h"
#include "peer.h"

const char subject_name[] = "pthread-per-task";

static pthread_attr_t attr;

static void *run(void *arg)
{
    peer_run(arg);
    return NULL;
}

const char *subject_start(const struct subject_setup *setup)
{
    if (setup->cap < 1)
        return "needs a cap";
    bound_init(setup->cap);
    if (pthread_attr_init(&attr) != 0)
        return "out of memory";
    pthread_attr_setstacksize(&attr, (size_t)256 * 1024);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    return NULL;
}

void subject_run(int submitters, void (*submit_all)(int who))
{
    bench_threads(submitters, submit_all);
    bound_wait_all();
}

void subject_submit(void (*fn)(void *), void *arg)
{
    pthread_t thread;
    int error;
    peer_set_fn(fn);
    bound_enter();
    while ((error = pthread_create(&thread, &attr, run, arg)) == EAGAIN)
        sched_yield(); /* until one that has left the bound has ended */
    if (error != 0)
        bench_die("cannot start a thread: %s", strerror(error));
}

void subject_flush(void) {}

void subject_stop(void)
{
    pthread_attr_destroy(&attr);
}
