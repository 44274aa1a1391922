/*
 * A pool, and a model of it that says what each call must answer and each gauge show.
 *
 * Every task waits for a command before it ends, so between two calls the pool comes to a
 * state that follows from the calls alone: as many run as the cap lets, the oldest first,
 * the others are queued, submitters are blocked only at the limit. The model holds that
 * state; world_settle waits until the pool shows it, and aborts if that does not come.
 *
 * The model speaks of settled states only. What happens on the way from one to the next is
 * for the soak, the storms and the Spin models.
 */
#ifndef ANTPOOL_TESTS_FUZZ_WORLD_H
#define ANTPOOL_TESTS_FUZZ_WORLD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "antpool.h"

enum { TICKETS_MAX = 96, WAITERS_MAX = 4, UNSTARTED = -1 };

/* What a task is told to do. Those up to RELEASE it does, and waits for the next. */
typedef enum command {
    NOTHING,
    SUBMIT, /* from inside */
    TRY,
    TIMEOUT_0,
    MISUSE,
    RELEASE,
    RETURN,
    PANIC,
    PANICF,
    EXIT
} command_t;

/* Where the model sees a ticket. */
typedef enum place { NOWHERE, WAITING, QUEUED, RUNNING, OVER, BACK } place_t;

typedef enum call { BY_SUBMIT, BY_TRY, BY_TIMEOUT_0, BY_TIMEOUT_LONG, BY_COPY, BY_INVOKE, CALLS } call_t;

struct world;

typedef struct ticket {
    struct world *world;
    atomic_int started, ended, returned;
    place_t place;
    bool accepted;
    bool at_once;      /* it runs in its submitter and waits for no command */
    bool blocked;      /* it waits in a submit of its own */
    command_t command; /* the world's lock */
    struct ticket *offers; /* what it submits from inside */
    pool_err answer;
    atomic_bool answered;
} ticket_t;

/* A blocked submitter: a thread, or a task. */
typedef struct waiter {
    ticket_t *ticket;
    ticket_t *task; /* that is blocked, or NULL: */
    pthread_t thread;
    call_t call;
    pool_err answer;
    atomic_bool answered;
    bool settled; /* the model has its answer */
    pool_err wanted;
} waiter_t;

typedef struct world {
    pool_t *pool;
    pool_options_t options;
    int cap; /* POOL_UNLIMITED: no cap */
    bool closed;

    ticket_t tickets[TICKETS_MAX];
    int issued;
    ticket_t *queue[TICKETS_MAX]; /* oldest first, as are the waiters */
    int queued, running;
    waiter_t *waiters[WAITERS_MAX];
    int waiting;
    waiter_t *going[WAITERS_MAX + 1]; /* answered, not yet looked at; and who released */
    int leaving;
    ticket_t *back[TICKETS_MAX]; /* as the pool handed them back */
    int handed_back;

    pthread_mutex_t lock;
    pthread_cond_t told;
    bool open; /* every task returns at once */
} world_t;

_Noreturn void broken(const world_t *w, const char *format, ...) POOL_PRINTF(2, 3);

#define check(w, condition) ((condition) ? (void)0 : broken((w), "%s:%d: not so: %s", __FILE__, __LINE__, #condition))

/* ---- world.c: the pool and its tasks ---- */

bool world_begin(world_t *w, int cap); /* with w->options; false: pool_new refused, rightly */
void world_settle(world_t *w);
void world_end(world_t *w, int way);
ticket_t *world_ticket(world_t *w); /* NULL: there are no more */
ticket_t *world_running(world_t *w, int which); /* one that waits for a command, or NULL */
void command(ticket_t *ticket, command_t what);
pool_err submit_by(world_t *w, call_t call, ticket_t *ticket);
void wait_in_thread(world_t *w, call_t call, ticket_t *ticket);
void wait_in_task(world_t *w, ticket_t *task);
void run_ticket(void *ticket);
void take_back(void *world, pool_task_fn task, void *arg);

/* ---- model.c ---- */

enum { WAITS = -1 };

/* The answer of a submit, or WAITS. task: who submits from inside, or NULL. */
int model_answer(const world_t *w, call_t call, const ticket_t *task);
void model_accept(world_t *w, ticket_t *ticket);  /* what POOL_OK changes */
void model_join(world_t *w, waiter_t *waiter);    /* it waits */
void model_finish(world_t *w, ticket_t *ticket);  /* one that runs has ended */
void model_close(world_t *w);
void model_hand_back(world_t *w);                 /* the oldest queued */
void model_advance(world_t *w);                   /* to where the pool comes by itself */
int model_free_slots(const world_t *w);
bool model_at_limit(const world_t *w);

/* ---- refusals.c ---- */

void refuse_bad_arguments(world_t *w, unsigned which);
unsigned long errors_of_options(const pool_options_t *options, int cap); /* bits 1 << error */

#endif
