/* A flow of tasks from many submitters through one pool, with everything counted: how often
 * each task ran or came back, how many ran at once, how many were accepted and unfinished. */
#ifndef ANTPOOL_TESTS_FLOW_H
#define ANTPOOL_TESTS_FLOW_H

#include "support.h"

enum { FLOW_SUBMITTERS = 8 };

typedef struct flow flow_t;

/* One task. */
typedef struct ticket {
    flow_t *flow;
    atomic_int runs;
    atomic_int returned; /* to a discard handler or by pool_release_now */
    bool accepted;       /* written by its submitter */
} ticket_t;

/* The call that the submitters use. A ticket that is refused is left, but see below. */
typedef enum flow_call {
    FLOW_SUBMIT,
    FLOW_TIMEOUT,
    FLOW_TRY, /* again and again until it is accepted */
    FLOW_COPY,
    FLOW_INVOKE, /* needs pool_with_func(flow_task) */
    FLOW_MANY,
    FLOW_ANEW /* pool_submit, again and again while the pool is closed */
} flow_call_t;

typedef struct flow_submitter {
    pthread_t thread;
    flow_t *flow;
    ticket_t *first, *end;
} flow_submitter_t;

struct flow {
    pool_t *pool;
    flow_call_t call;
    int nap_every; /* tickets after which a submitter naps for a moment, 0: never */
    int n;
    ticket_t *tickets;
    flow_submitter_t submitters[FLOW_SUBMITTERS];
    atomic_int running, most_running;
    atomic_int accepted, finished, most_unfinished;
    atomic_int unexpected; /* answers that no submit may give here */
};

/* Starts the submitters of n tickets. */
flow_t *flow_start(pool_t *pool, flow_call_t call, int n, int nap_every);
void flow_join(flow_t *flow);

/* The pool's: the task of a ticket, and what takes it back. */
void flow_task(void *ticket);
void flow_take_back(void *unused, pool_task_fn task, void *ticket);

/* Returns when that many tasks have finished. */
void flow_await(flow_t *flow, int finished);

/* Once the pool is destroyed: every accepted ticket ran once or came back once, no other
 * did, and the limits held (negative: none). Frees the flow. */
void flow_check(flow_t *flow, int most_running, int most_unfinished);

#endif
