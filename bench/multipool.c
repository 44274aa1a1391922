/* A multipool as a subject: throughput-multipool takes --shards and --strategy as well. The cap
 * and the queue are those of all shards together; a shard gets its share of them.
 *
 * The strategy "counter" is round robin by one counter that all submitters share, through a
 * picker: what the library's own round robin is there to spare. "key" gives each submitter a
 * key of its own. */
#include "subject.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "antpool.h"
#include "common.h"

const char subject_name[] = "multipool";

static multipool_t *pools;
static bool by_key;
static _Thread_local char key;

static void check(pool_err err)
{
    if (err != POOL_OK)
        bench_die("multipool: %s", pool_strerror(err));
}

static int next_of_all(void *counter, multipool_t *multipool, uint64_t unused)
{
    unsigned n = atomic_fetch_add_explicit((atomic_uint *)counter, 1, memory_order_relaxed);
    (void)unused;
    return (int)(n % (unsigned)multipool_shards(multipool));
}

struct strategy {
    const char *name;
    multipool_strategy of;
};

static const struct strategy *find(const char *name)
{
    static const struct strategy all[] = {
        {"round-robin", MULTIPOOL_ROUND_ROBIN}, {"least-tasks", MULTIPOOL_LEAST_TASKS},
        {"two-choices", MULTIPOOL_TWO_CHOICES}, {"sticky", MULTIPOOL_STICKY},
        {"counter", MULTIPOOL_ROUND_ROBIN},     {"key", MULTIPOOL_ROUND_ROBIN},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].name, name) == 0)
            return &all[i];
    return NULL;
}

static int share(int of_all, int shards)
{
    return of_all < 0 ? of_all : (of_all + shards - 1) / shards;
}

const char *subject_start(const struct subject_setup *setup)
{
    static atomic_uint counter;
    const struct strategy *strategy = find(setup->strategy);
    int shards = setup->shards;
    if (strategy == NULL)
        return "--strategy takes round-robin, least-tasks, two-choices, sticky, counter or key";
    pool_err err = multipool_new_with(&pools, shards, share(setup->cap, shards), strategy->of,
                                      pool_with_queue(share(setup->queue, shards)),
                                      pool_with_prestart(share(setup->prestart, shards)),
                                      pool_with_spin_us(setup->spin_us));
    if (err != POOL_OK)
        return pool_strerror(err);
    if (strcmp(strategy->name, "counter") == 0)
        check(multipool_set_picker(pools, next_of_all, &counter));
    by_key = strcmp(strategy->name, "key") == 0;
    return NULL;
}

void subject_run(int submitters, void (*submit_all)(int who))
{
    bench_threads(submitters, submit_all);
    check(multipool_wait(pools));
}

/* The address of what is a thread's own differs from thread to thread. */
void subject_submit(void (*fn)(void *), void *arg)
{
    check(by_key ? multipool_submit_key(pools, (uint64_t)(uintptr_t)&key, fn, arg)
                 : multipool_submit(pools, fn, arg));
}

void subject_flush(void) {}

void subject_stop(void)
{
    check(multipool_destroy(pools));
}
