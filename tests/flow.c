#define _GNU_SOURCE
#include "faults.h"
#include "flow.h"

#include <sched.h>
#include <time.h>

enum { BATCH = 37 };

/* What a copied task carries. */
struct stub {
    flow_t *flow;
    ticket_t *ticket;
};

void flow_task(void *arg)
{
    ticket_t *ticket = arg;
    flow_t *flow = ticket->flow;
    raise_to(&flow->most_running, atomic_fetch_add(&flow->running, 1) + 1);
    atomic_fetch_add(&ticket->runs, 1);
    if ((ticket - flow->tickets) % 16 == 0)
        sched_yield(); /* so that tasks overlap on few processors, too */
    atomic_fetch_sub(&flow->running, 1);
    atomic_fetch_add(&flow->finished, 1);
}

static void copied_task(void *stub)
{
    flow_task(((struct stub *)stub)->ticket);
}

void flow_take_back(void *unused, pool_task_fn task, void *arg)
{
    (void)unused;
    ticket_t *ticket = task == copied_task ? ((struct stub *)arg)->ticket : arg;
    atomic_fetch_add(&ticket->returned, 1);
    atomic_fetch_add(&ticket->flow->finished, 1);
}

/* Counted after the call, while the end of a task is counted before the pool sees it: so
 * the difference is never more than what the pool itself must count. */
static void count_accepted(flow_t *flow, ticket_t *first, size_t n)
{
    for (size_t i = 0; i < n; i++)
        first[i].accepted = true;
    int accepted = atomic_fetch_add(&flow->accepted, (int)n) + (int)n;
    raise_to(&flow->most_unfinished, accepted - atomic_load(&flow->finished));
}

static pool_err submit_until(flow_t *flow, ticket_t *ticket, pool_err again)
{
    pool_err answer;
    while ((answer = again == POOL_ERR_CLOSED ? pool_submit(flow->pool, flow_task, ticket)
                                              : pool_try_submit(flow->pool, flow_task, ticket)) == again)
        sched_yield();
    return answer;
}

static pool_err submit_ticket(flow_t *flow, ticket_t *ticket)
{
    switch (flow->call) {
    case FLOW_TIMEOUT:
        return pool_submit_timeout(flow->pool, flow_task, ticket, POOL_FOREVER - 1);
    case FLOW_TRY:
        return submit_until(flow, ticket, POOL_ERR_OVERLOAD);
    case FLOW_COPY:
        return pool_submit_copy(flow->pool, copied_task, &(struct stub){flow, ticket}, sizeof(struct stub));
    case FLOW_INVOKE:
        return pool_invoke(flow->pool, ticket);
    case FLOW_ANEW:
        return submit_until(flow, ticket, POOL_ERR_CLOSED);
    default:
        return pool_submit(flow->pool, flow_task, ticket);
    }
}

static void note_refusal(flow_t *flow, pool_err answer)
{
    if (answer != POOL_OK && answer != POOL_ERR_CLOSED && answer != POOL_ERR_OVERLOAD)
        atomic_fetch_add(&flow->unexpected, 1);
}

/* Returns how many tickets are done with, accepted or not. */
static size_t submit_batch(flow_t *flow, ticket_t *first, size_t most)
{
    void *args[BATCH];
    size_t n = most < BATCH ? most : BATCH, accepted = n + 1;
    for (size_t i = 0; i < n; i++)
        args[i] = first + i;
    pool_err answer = pool_submit_many(flow->pool, flow_task, args, n, &accepted);
    if (accepted > n || (answer == POOL_OK && accepted != n)) {
        atomic_fetch_add(&flow->unexpected, 1);
        accepted = 0;
    }
    note_refusal(flow, answer);
    count_accepted(flow, first, accepted);
    return answer == POOL_OK ? n : accepted + 1;
}

static size_t submit_single(flow_t *flow, ticket_t *ticket)
{
    pool_err answer = submit_ticket(flow, ticket);
    if (answer == POOL_OK)
        count_accepted(flow, ticket, 1);
    note_refusal(flow, answer);
    return 1;
}

static void *submit_tickets(void *arg)
{
    flow_submitter_t *self = arg;
    flow_t *flow = self->flow;
    int since_nap = 0;
    for (ticket_t *next = self->first; next < self->end;) {
        size_t done = flow->call == FLOW_MANY ? submit_batch(flow, next, (size_t)(self->end - next))
                                              : submit_single(flow, next);
        next += done;
        since_nap += (int)done;
        if (flow->nap_every > 0 && since_nap >= flow->nap_every) {
            nanosleep(&(struct timespec){0, 2000000}, NULL); /* a lull in the flow, no more */
            since_nap = 0;
        }
    }
    return NULL;
}

flow_t *flow_start(pool_t *pool, flow_call_t call, int n, int nap_every)
{
    flow_t *flow = calloc(1, sizeof *flow);
    assert_non_null(flow);
    flow->pool = pool;
    flow->call = call;
    flow->nap_every = nap_every;
    flow->n = n;
    flow->tickets = calloc((size_t)n, sizeof *flow->tickets);
    assert_non_null(flow->tickets);
    for (int i = 0; i < n; i++)
        flow->tickets[i].flow = flow;
    for (int64_t i = 0; i < FLOW_SUBMITTERS; i++) {
        flow_submitter_t *s = &flow->submitters[i];
        s->flow = flow;
        s->first = flow->tickets + i * n / FLOW_SUBMITTERS;
        s->end = flow->tickets + (i + 1) * n / FLOW_SUBMITTERS;
        assert_int_equal(pthread_create(&s->thread, NULL, submit_tickets, s), 0);
    }
    return flow;
}

void flow_join(flow_t *flow)
{
    for (int i = 0; i < FLOW_SUBMITTERS; i++)
        pthread_join(flow->submitters[i].thread, NULL);
}

struct flow_goal {
    flow_t *flow;
    int finished;
};

static bool flow_reached(void *user)
{
    struct flow_goal *goal = user;
    return atomic_load(&goal->flow->finished) >= goal->finished;
}

void flow_await(flow_t *flow, int finished)
{
    struct flow_goal goal = {flow, finished};
    for (int looks = 0; looks < 1000 && !flow_reached(&goal); looks++)
        sched_yield();
    assert_true(eventually(flow_reached, &goal, PATIENCE_MS));
}

void flow_check(flow_t *flow, int most_running, int most_unfinished)
{
    int accepted = 0, done = 0, wrong = 0;
    for (int i = 0; i < flow->n; i++) {
        const ticket_t *ticket = &flow->tickets[i];
        int ends = ticket->runs + ticket->returned;
        accepted += ticket->accepted;
        done += ends;
        wrong += ends != (ticket->accepted ? 1 : 0);
    }
    assert_int_equal(wrong, 0);
    assert_int_equal(done, accepted);
    assert_int_equal(flow->accepted, accepted);
    assert_int_equal(flow->unexpected, 0);
    if (most_running >= 0)
        assert_in_range(flow->most_running, 0, most_running);
    if (most_unfinished >= 0)
        assert_in_range(flow->most_unfinished, 0, most_unfinished);
    free(flow->tickets);
    free(flow);
}
