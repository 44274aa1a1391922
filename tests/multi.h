/* What the tests of multipools share: the counterparts of support.h. */
#ifndef ANTPOOL_TESTS_MULTI_H
#define ANTPOOL_TESTS_MULTI_H

#include "support.h"

/* make_multi(4, 8, MULTIPOOL_ROUND_ROBIN), make_multi_with(…, pool_with_queue(2), …) */
#define make_multi(shards, cap, strategy) make_multi_from((shards), (cap), (strategy), NULL)
#define make_multi_with(shards, cap, strategy, ...)   \
    make_multi_from((shards), (cap), (strategy), (const pool_option_t[]){__VA_ARGS__, POOL_OPTIONS_END})
multipool_t *make_multi_from(int shards, int cap, multipool_strategy strategy, const pool_option_t *options);

/* A gate for each shard; occupying one puts n tasks at its gate. */
enum { MULTI_SHARDS = 3 };
typedef struct multi_gates {
    gate_t gate[MULTI_SHARDS];
} multi_gates_t;

void multi_occupy(multipool_t *multi, multi_gates_t *gates, int n); /* all three shards; inits the gates */
void multi_open(multi_gates_t *gates);
void multi_open_and_destroy(multipool_t *multi, multi_gates_t *gates);

/* A thread that submits one task to a multipool and keeps the answer. */
typedef struct multi_submitter {
    pthread_t thread;
    multipool_t *multi;
    pool_task_fn fn;
    void *arg;
    int64_t timeout_ms;  /* negative: multipool_submit, … */
    const uint64_t *key; /* … or with this, multipool_submit_key */
    pool_err answer;
    atomic_bool returned;
} multi_submitter_t;

void multi_submitter_start(multi_submitter_t *s, multipool_t *multi, pool_task_fn fn, void *arg);
void multi_submitter_start_timeout(multi_submitter_t *s, multipool_t *multi, pool_task_fn fn, void *arg,
                                   int64_t ms);
void multi_submitter_start_key(multi_submitter_t *s, multipool_t *multi, const uint64_t *key,
                               pool_task_fn fn, void *arg);
pool_err multi_submitter_join(multi_submitter_t *s);

bool multi_eventually_equals(int (*gauge)(const multipool_t *), const multipool_t *multi, int value);

/* A task that stores the name of its pool's shard: the number behind the last dot. */
void note_shard_task(void *out_atomic_int);

/* A key that goes to that shard. */
uint64_t key_of_shard(multipool_t *multi, int shard);

#endif
