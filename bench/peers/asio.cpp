/* boost::asio::thread_pool. All threads start with it. Its queue has no bound. */
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <optional>

#include "common.h"
#include "peer.h"

const char subject_name[] = "asio";

static std::optional<boost::asio::thread_pool> pool;

const char *subject_start(const subject_setup *setup)
{
    if (setup->cap < 1)
        return "needs a cap";
    bound_init(peer_limit(setup));
    pool.emplace(static_cast<std::size_t>(setup->cap));
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
    boost::asio::post(*pool, [fn, arg] {
        fn(arg);
        bound_leave();
    });
}

void subject_flush() {}

void subject_stop()
{
    pool->join();
    pool.reset();
}
