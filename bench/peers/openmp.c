/*
 * Tasks of OpenMP. The submitters are threads of the team and make the tasks; `cap` further
 * threads wait in the barrier at the end of the region, and run them there. Two rules of the
 * runtime let the cap be passed: a submitter that has ended waits in the barrier as well, and
 * libgomp has a submitter run its task itself when 64 tasks a thread are queued.
 */
#include <limits.h>
#include <omp.h>
#include <stddef.h>

#include "common.h"
#include "peer.h"

const char subject_name[] = "openmp";

static int threads;

static int make_team(void)
{
    int made = 0;
#pragma omp parallel num_threads(threads)
#pragma omp master
    made = omp_get_num_threads();
    return made;
}

/* The runtime keeps the threads of a region for the next one of the same thread. */
const char *subject_start(const struct subject_setup *setup)
{
    if (setup->cap < 1)
        return "needs a cap";
    if (setup->cap > INT_MAX - setup->submitters)
        return "the cap is too large";
    threads = setup->cap + setup->submitters;
    bound_init(peer_limit(setup));
    omp_set_dynamic(0);
    return make_team() == threads ? NULL : "the runtime gives fewer threads";
}

void subject_run(int submitters, void (*submit_all)(int who))
{
#pragma omp parallel num_threads(threads)
    if (omp_get_thread_num() < submitters)
        submit_all(omp_get_thread_num());
}

void subject_submit(void (*fn)(void *), void *arg)
{
    bound_enter();
#pragma omp task firstprivate(fn, arg)
    {
        fn(arg);
        bound_leave();
    }
}

void subject_flush(void) {}

void subject_stop(void) {}
