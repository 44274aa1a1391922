/* The model: what must be, told by the header alone. */
#include "world.h"

#include <limits.h>

/* ---- Counts ------------------------------------------------------------------------------- */

static int limit_of(const world_t *w)
{
    return w->cap == POOL_UNLIMITED ? INT_MAX : w->cap + w->options.queue;
}

bool model_at_limit(const world_t *w)
{
    return w->running + w->queued >= limit_of(w);
}

int model_free_slots(const world_t *w)
{
    if (w->closed || w->waiting > 0 || model_at_limit(w))
        return 0;
    return w->cap == POOL_UNLIMITED ? POOL_UNLIMITED : limit_of(w) - w->running - w->queued;
}

/* Blocked for ever, that is: a time ends by itself. */
static bool is_stuck(const waiter_t *waiter)
{
    return waiter->task != NULL;
}

static int count_stuck(const world_t *w)
{
    int n = 0;
    for (int i = 0; i < w->waiting; i++)
        n += is_stuck(w->waiters[i]);
    return n;
}

/* ---- Moves -------------------------------------------------------------------------------- */

static void shift(void **list, int *n, int i)
{
    for (--*n; i < *n; i++)
        list[i] = list[i + 1];
}

static ticket_t *unqueue(world_t *w)
{
    ticket_t *oldest = w->queue[0];
    shift((void **)w->queue, &w->queued, 0);
    return oldest;
}

static void enter(world_t *w, ticket_t *ticket)
{
    ticket->accepted = true;
    ticket->place = QUEUED;
    w->queue[w->queued++] = ticket;
}

void model_hand_back(world_t *w)
{
    unqueue(w)->place = BACK;
}

/* In the state in which model_answer said POOL_OK. */
void model_accept(world_t *w, ticket_t *ticket)
{
    if (!model_at_limit(w)) {
        enter(w, ticket);
    } else if (w->options.policy == POOL_DISCARD_OLDEST) {
        while (model_at_limit(w))
            model_hand_back(w);
        enter(w, ticket);
    } else {
        ticket->accepted = true;
        ticket->place = OVER;
    }
}

void model_join(world_t *w, waiter_t *waiter)
{
    waiter->ticket->place = WAITING;
    w->waiters[w->waiting++] = waiter;
}

static void answer(world_t *w, int i, pool_err err)
{
    waiter_t *waiter = w->waiters[i];
    shift((void **)w->waiters, &w->waiting, i);
    waiter->wanted = err;
    w->going[w->leaving++] = waiter;
    if (err == POOL_OK)
        enter(w, waiter->ticket);
    else
        waiter->ticket->place = NOWHERE;
}

void model_finish(world_t *w, ticket_t *ticket)
{
    ticket->place = OVER;
    w->running--;
}

void model_close(world_t *w)
{
    w->closed = true;
    while (w->waiting > 0)
        answer(w, 0, POOL_ERR_CLOSED);
}

/* ---- Where it goes by itself -------------------------------------------------------------- */

static bool start_one(world_t *w)
{
    if (w->queued == 0 || (w->cap != POOL_UNLIMITED && w->running >= w->cap))
        return false;
    unqueue(w)->place = RUNNING;
    w->running++;
    return true;
}

static bool admit_one(world_t *w)
{
    if (w->waiting == 0 || model_at_limit(w))
        return false;
    answer(w, 0, POOL_OK);
    return true;
}

static bool break_deadlock(world_t *w)
{
    int stuck = count_stuck(w);
    if (stuck == 0 || stuck < w->running)
        return false;
    int i = w->waiting - 1;
    while (!is_stuck(w->waiters[i]))
        i--;
    answer(w, i, POOL_ERR_DEADLOCK);
    return true;
}

void model_advance(world_t *w)
{
    while (start_one(w) || admit_one(w) || break_deadlock(w)) {}
}

/* ---- Answers ------------------------------------------------------------------------------ */

static int answer_of_blocking(const world_t *w, call_t call, const ticket_t *task)
{
    if (w->options.max_blocking > 0 && w->waiting >= w->options.max_blocking)
        return POOL_ERR_OVERLOAD;
    if (call == BY_TIMEOUT_0)
        return POOL_ERR_TIMEOUT;
    return task != NULL && count_stuck(w) + 1 >= w->running ? POOL_ERR_DEADLOCK : WAITS;
}

int model_answer(const world_t *w, call_t call, const ticket_t *task)
{
    if (call == BY_INVOKE && w->options.func == NULL)
        return POOL_ERR_NO_FUNC;
    if (w->closed)
        return POOL_ERR_CLOSED;
    if (!model_at_limit(w))
        return POOL_OK;
    if (call == BY_TRY)
        return POOL_ERR_OVERLOAD;
    switch (w->options.policy) {
    case POOL_BLOCK: return answer_of_blocking(w, call, task);
    case POOL_CALLER_RUNS: return POOL_OK;
    case POOL_DISCARD_OLDEST: return w->running < limit_of(w) && w->queued > 0 ? POOL_OK : POOL_ERR_OVERLOAD;
    default: return POOL_ERR_OVERLOAD;
    }
}
