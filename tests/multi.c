#include "multi.h"

#include <string.h>

multipool_t *make_multi_from(int shards, int cap, multipool_strategy strategy, const pool_option_t *options)
{
    multipool_t *multi = NULL;
    assert_ok(multipool_new_from(&multi, shards, cap, strategy, options));
    assert_non_null(multi);
    return multi;
}

void multi_occupy(multipool_t *multi, multi_gates_t *gates, int n)
{
    for (int i = 0; i < MULTI_SHARDS; i++) {
        gate_init(&gates->gate[i]);
        occupy(multipool_shard(multi, i), &gates->gate[i], n);
    }
}

void multi_open(multi_gates_t *gates)
{
    for (int i = 0; i < MULTI_SHARDS; i++)
        gate_open(&gates->gate[i]);
}

void multi_open_and_destroy(multipool_t *multi, multi_gates_t *gates)
{
    multi_open(gates);
    assert_ok(multipool_destroy(multi));
    for (int i = 0; i < MULTI_SHARDS; i++)
        gate_fini(&gates->gate[i]);
}

/* ---- Submitters ---- */

static void *submit_one(void *arg)
{
    multi_submitter_t *s = arg;
    if (s->key != NULL)
        s->answer = multipool_submit_key(s->multi, *s->key, s->fn, s->arg);
    else if (s->timeout_ms < 0)
        s->answer = multipool_submit(s->multi, s->fn, s->arg);
    else
        s->answer = multipool_submit_timeout(s->multi, s->fn, s->arg, s->timeout_ms);
    atomic_store(&s->returned, true);
    return NULL;
}

static void start(multi_submitter_t *s, multi_submitter_t what)
{
    *s = what;
    assert_int_equal(pthread_create(&s->thread, NULL, submit_one, s), 0);
}

void multi_submitter_start(multi_submitter_t *s, multipool_t *multi, pool_task_fn fn, void *arg)
{
    start(s, (multi_submitter_t){.multi = multi, .fn = fn, .arg = arg, .timeout_ms = -1});
}

void multi_submitter_start_timeout(multi_submitter_t *s, multipool_t *multi, pool_task_fn fn, void *arg, int64_t ms)
{
    start(s, (multi_submitter_t){.multi = multi, .fn = fn, .arg = arg, .timeout_ms = ms});
}

void multi_submitter_start_key(multi_submitter_t *s, multipool_t *multi, const uint64_t *key, pool_task_fn fn,
                               void *arg)
{
    start(s, (multi_submitter_t){.multi = multi, .fn = fn, .arg = arg, .key = key});
}

pool_err multi_submitter_join(multi_submitter_t *s)
{
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    return s->answer;
}

/* ---- Looking ---- */

struct wanted {
    int (*gauge)(const multipool_t *);
    const multipool_t *multi;
    int value;
};

static bool gauge_holds(void *user)
{
    const struct wanted *w = user;
    return w->gauge(w->multi) == w->value;
}

bool multi_eventually_equals(int (*gauge)(const multipool_t *), const multipool_t *multi, int value)
{
    return eventually(gauge_holds, &(struct wanted){gauge, multi, value}, PATIENCE_MS);
}

void note_shard_task(void *out)
{
    const char *name = pool_name(pool_current());
    atomic_store((atomic_int *)out, atoi(strrchr(name, '.') + 1));
}

uint64_t key_of_shard(multipool_t *multi, int shard)
{
    atomic_int at = -1;
    uint64_t key = 0;
    for (;; key++) {
        assert_ok(multipool_submit_key(multi, key, note_shard_task, &at));
        assert_ok(multipool_wait(multi));
        if (at == shard)
            return key;
    }
}
