/*
 * oneTBB: tasks are enqueued in an arena of its own, where no slot is kept for submitters, so
 * that cap workers run them. enqueue, not a task_group: that has a tenth of the rate, as the
 * submitters of a group keep its tasks in queues of theirs, from which each worker has to
 * steal every one. Workers start as tasks come; with a large cap, starting all beforehand
 * makes it slower, since all of them look for work. The queue has no bound.
 */
#include <cstddef>
#include <optional>

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>

#include "common.h"
#include "peer.h"

namespace tbb = oneapi::tbb;

const char subject_name[] = "onetbb";

static std::optional<tbb::global_control> control;
static std::optional<tbb::task_arena> arena;

const char *subject_start(const subject_setup *setup)
{
    if (setup->cap < 1)
        return "needs a cap";
    bound_init(peer_limit(setup));
    std::size_t threads = static_cast<std::size_t>(setup->cap) + 1; /* it counts a submitter */
    control.emplace(tbb::global_control::max_allowed_parallelism, threads);
    arena.emplace(setup->cap, 0);
    return nullptr;
}

void subject_run(int submitters, void (*submit_all)(int who))
{
    bench_threads(submitters, submit_all);
    bound_wait_all();
}

void subject_submit(void (*fn)(void *), void *arg)
{
    bound_enter();
    arena->enqueue([fn, arg] {
        fn(arg);
        bound_leave();
    });
}

void subject_flush() {}

void subject_stop()
{
    arena.reset();
    control.reset();
}
