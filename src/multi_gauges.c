/* What can be seen of a multipool: gauges, and which shard an error came from. */
#include "ring.h"

#include <limits.h>

/* ---- Errors that say where ---------------------------------------------------------------- */

static _Thread_local int error_shard = -1;

int multipool_error_shard(void)
{
    return error_shard;
}

pool_err antp_multi_failed_at(int index, pool_err err)
{
    error_shard = index;
    return err;
}

/* An error of the call as a whole. */
pool_err antp_multi_fail(pool_err err)
{
    return antp_multi_failed_at(-1, err);
}

pool_err antp_multi_check(const multipool_t *multi)
{
    if (multi == NULL)
        return antp_multi_fail(POOL_ERR_INVALID);
    return antp_multi_forked(multi) ? antp_multi_fail(POOL_ERR_FORKED) : POOL_OK;
}

/* ---- Gauges ------------------------------------------------------------------------------- */

static bool unseen(const multipool_t *multi)
{
    return multi == NULL || antp_multi_forked(multi);
}

static int sum_up(const multipool_t *multi, int (*gauge)(const pool_t *), int64_t sum)
{
    for (int i = 0; i < multi->n; i++) {
        int one = gauge(multi->shards[i]);
        if (one < 0)
            return POOL_UNLIMITED;
        sum += one;
    }
    return (int)antp_least(sum, INT_MAX);
}

static pool_err one_of(const multipool_t *multi, int index, int (*gauge)(const pool_t *), int *out)
{
    pool_err err = out == NULL ? antp_multi_fail(POOL_ERR_INVALID) : antp_multi_check(multi);
    if (err != POOL_OK)
        return err;
    if (index < 0 || index >= multi->n)
        return antp_multi_fail(POOL_ERR_INVALID_INDEX);
    *out = gauge(multi->shards[index]);
    return POOL_OK;
}

#define GAUGE(name)                                                              \
    int multipool_##name(const multipool_t *multi)                               \
    {                                                                            \
        return unseen(multi) ? 0 : sum_up(multi, pool_##name, 0);                \
    }
#define GAUGE_AT(name)                                                           \
    pool_err multipool_##name##_at(const multipool_t *multi, int index, int *out) \
    {                                                                            \
        return one_of(multi, index, pool_##name, out);                           \
    }

GAUGE(cap)
GAUGE(running)
GAUGE(queued)
GAUGE(free_slots)
GAUGE(workers)
GAUGE(idle)
GAUGE_AT(running)
GAUGE_AT(queued)
GAUGE_AT(free_slots)
GAUGE_AT(waiting)
GAUGE_AT(workers)
GAUGE_AT(idle)

int multipool_waiting(const multipool_t *multi)
{
    return unseen(multi) ? 0 : sum_up(multi, pool_waiting, atomic_load(&multi->line.waiting));
}

bool multipool_is_closed(const multipool_t *multi)
{
    for (int i = 0; !unseen(multi) && i < multi->n; i++)
        if (!pool_is_closed(multi->shards[i]))
            return false;
    return true;
}

int multipool_shards(const multipool_t *multi)
{
    return unseen(multi) ? 0 : multi->n;
}

pool_t *multipool_shard(multipool_t *multi, int index)
{
    return unseen(multi) || index < 0 || index >= multi->n ? NULL : multi->shards[index];
}
