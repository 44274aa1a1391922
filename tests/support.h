/* What the tests share: gates in place of sleeps, deadlines in place of hopes, and the
 * check that no thread of ours outlives a test. */
#ifndef ANTPOOL_TESTS_SUPPORT_H
#define ANTPOOL_TESTS_SUPPORT_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "antpool.h"

enum { PATIENCE_MS = 20000 }; /* how long a test waits for what must come: only a bug uses it up */

/* A gate that tasks wait at until the test opens it; it counts who arrived. */
typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int arrived;
    int allowed; /* how many may pass; INT_MAX: open */
    int passed;
} gate_t;

#define GATE_CLOSED {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0}

void gate_init(gate_t *gate);
void gate_fini(gate_t *gate);
void gate_pass(gate_t *gate);              /* arrives and waits until let through */
void gate_task(void *gate);                /* gate_pass as a task */
void gate_let(gate_t *gate, int n);        /* n more may pass */
void gate_open(gate_t *gate);              /* all may pass from now on */
bool gate_await(gate_t *gate, int arrived); /* true: that many arrived within PATIENCE_MS */

/* Polls until `holds` is true; false if it was not within `ms`. */
bool eventually(bool (*holds)(void *user), void *user, int64_t ms);

/* The same for a gauge: eventually_equals(pool_waiting, pool, 3). */
bool eventually_equals(int (*gauge)(const pool_t *), const pool_t *pool, int value);

int64_t now_ms(void);

/* Threads of this process now (1: only the caller). */
int count_threads(void);

/* Teardown of every test: fails when a thread is left after a deadline. Setup of every
 * test: ends the program after such a failure, since what is left uses the stack of the
 * test before. */
int no_thread_left(void **state);
int nothing_left_over(void **state);

/* A task that adds one to an atomic_int; a task that does nothing. */
void count_task(void *counter);
void empty_task(void *unused);

/* A thread that submits one task and keeps the answer. */
typedef struct submitter {
    pthread_t thread;
    pool_t *pool;
    pool_task_fn fn;
    void *arg;
    int64_t timeout_ms; /* negative: pool_submit */
    pool_err answer;
    atomic_bool returned;
} submitter_t;

void submitter_start(submitter_t *s, pool_t *pool, pool_task_fn fn, void *arg);
void submitter_start_timeout(submitter_t *s, pool_t *pool, pool_task_fn fn, void *arg, int64_t ms);
pool_err submitter_join(submitter_t *s);

/* ---- Pools, asserted in the test's thread ---- */

#define assert_ok(call) assert_int_equal((call), POOL_OK)

/* make_pool(8), make_pool_with(8, pool_with_queue(2), …): a pool that was made. */
#define make_pool(cap) make_pool_from((cap), NULL)
#define make_pool_with(cap, ...) \
    make_pool_from((cap), (const pool_option_t[]){__VA_ARGS__, POOL_OPTIONS_END})
pool_t *make_pool_from(int cap, const pool_option_t *options);

/* Submits n tasks that stand at the gate; returns when all n have arrived there. */
void occupy(pool_t *pool, gate_t *gate, int n);

/* Opens the gate, destroys the pool and ends the gate. */
void open_and_destroy(pool_t *pool, gate_t *gate);

/* Everything that can be seen of a pool, to show that a failing call changed nothing. */
typedef struct sight {
    int cap, running, queued, free_slots, waiting, workers, idle, closed;
} sight_t;

sight_t see(const pool_t *pool);

/* Asserts that the pool looks as it did when `before` was seen. */
#define assert_unchanged(pool, before) \
    do { \
        sight_t after_ = see(pool); \
        assert_memory_equal(&after_, &(before), sizeof after_); \
    } while (0)

/* n, less under a sanitizer, more with ANTPOOL_TEST_SCALE in the environment. */
int scaled(int n);

/* A cmocka test with the thread check. */
#define checked(test) cmocka_unit_test_setup_teardown(test, nothing_left_over, no_thread_left)

#endif
