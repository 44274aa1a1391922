/* A pool under its model: tasks that wait for commands, submitters that block, settling. */
#define _GNU_SOURCE
#include "world.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { YIELDS = 200, NAPS = 100000 }; /* of 100 us: what does not come in 10 s does not come */

_Noreturn void broken(const world_t *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "fuzz: ");
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n  model: cap %d, running %d, queued %d, waiting %d, free %d%s, policy %d, leaving %d\n", w->cap,
            w->running, w->queued, w->waiting, model_free_slots(w), w->closed ? ", closed" : "",
            (int)w->options.policy, w->leaving);
    if (w->pool != NULL)
        fprintf(stderr, "  pool:  cap %d, running %d, queued %d, waiting %d, free %d%s, workers %d, idle %d\n",
                pool_cap(w->pool), pool_running(w->pool), pool_queued(w->pool), pool_waiting(w->pool),
                pool_free_slots(w->pool), pool_is_closed(w->pool) ? ", closed" : "", pool_workers(w->pool),
                pool_idle(w->pool));
    abort();
}

/* ---- Tasks -------------------------------------------------------------------------------- */

static command_t await_command(ticket_t *ticket)
{
    world_t *w = ticket->world;
    pthread_mutex_lock(&w->lock);
    while (ticket->command == NOTHING && !w->open)
        pthread_cond_wait(&w->told, &w->lock);
    command_t what = ticket->command != NOTHING ? ticket->command : RETURN;
    ticket->command = NOTHING;
    pthread_mutex_unlock(&w->lock);
    return what;
}

void command(ticket_t *ticket, command_t what)
{
    world_t *w = ticket->world;
    pthread_mutex_lock(&w->lock);
    ticket->command = what;
    pthread_cond_broadcast(&w->told);
    pthread_mutex_unlock(&w->lock);
}

static pool_err misuse(pool_t *pool)
{
    bool refused = pool_wait(pool) == POOL_ERR_DEADLOCK && pool_wait_timeout(pool, 0) == POOL_ERR_DEADLOCK &&
                   pool_release_timeout(pool, 0) == POOL_ERR_DEADLOCK && pool_destroy(pool) == POOL_ERR_DEADLOCK;
    return refused ? POOL_ERR_DEADLOCK : POOL_OK;
}

static void obey(ticket_t *ticket, command_t what)
{
    pool_t *pool = ticket->world->pool;
    switch (what) {
    case SUBMIT: ticket->answer = pool_submit(pool, run_ticket, ticket->offers); break;
    case TRY: ticket->answer = pool_try_submit(pool, run_ticket, ticket->offers); break;
    case TIMEOUT_0: ticket->answer = pool_submit_timeout(pool, run_ticket, ticket->offers, 0); break;
    case MISUSE: ticket->answer = misuse(pool); break;
    default: ticket->answer = pool_release(pool);
    }
    atomic_store(&ticket->answered, true);
}

/* It is over before it panics or exits: the count of what runs is the pool's to make. */
void run_ticket(void *arg)
{
    ticket_t *ticket = arg;
    command_t what = RETURN;
    check(ticket->world, pool_current() == ticket->world->pool);
    atomic_fetch_add(&ticket->started, 1);
    if (!ticket->at_once)
        while ((what = await_command(ticket)) < RETURN)
            obey(ticket, what);
    atomic_fetch_add(&ticket->ended, 1);
    switch (what) {
    case PANIC: pool_panic(ticket);
    case PANICF: pool_panicf("%d", ticket->started);
    case EXIT: pthread_exit(NULL);
    default: return;
    }
}

static void run_copy(void *copy)
{
    run_ticket(*(ticket_t **)copy);
}

void take_back(void *world, pool_task_fn task, void *arg)
{
    world_t *w = world;
    ticket_t *ticket = task == run_copy ? *(ticket_t **)arg : arg;
    check(w, task == run_copy || task == run_ticket);
    atomic_fetch_add(&ticket->returned, 1);
    check(w, w->handed_back < TICKETS_MAX);
    w->back[w->handed_back++] = ticket;
}

/* ---- Submitting --------------------------------------------------------------------------- */

ticket_t *world_ticket(world_t *w)
{
    if (w->issued == TICKETS_MAX)
        return NULL;
    w->tickets[w->issued].world = w;
    return &w->tickets[w->issued++];
}

/* Copies of all sizes from that of a pointer on. */
pool_err submit_by(world_t *w, call_t call, ticket_t *ticket)
{
    unsigned char bytes[POOL_COPY_MAX] = {0};
    size_t size = sizeof ticket + (size_t)(ticket - w->tickets) % (sizeof bytes - sizeof ticket + 1);
    memcpy(bytes, &ticket, sizeof ticket);
    switch (call) {
    case BY_TRY: return pool_try_submit(w->pool, run_ticket, ticket);
    case BY_TIMEOUT_0: return pool_submit_timeout(w->pool, run_ticket, ticket, 0);
    case BY_TIMEOUT_LONG: return pool_submit_timeout(w->pool, run_ticket, ticket, POOL_FOREVER - 1);
    case BY_COPY: return pool_submit_copy(w->pool, run_copy, bytes, size);
    case BY_INVOKE: return pool_invoke(w->pool, ticket);
    default: return pool_submit(w->pool, run_ticket, ticket);
    }
}

static void *submit_and_wait(void *arg)
{
    waiter_t *waiter = arg;
    waiter->answer = submit_by(waiter->ticket->world, waiter->call, waiter->ticket);
    atomic_store(&waiter->answered, true);
    return NULL;
}

static waiter_t *new_waiter(ticket_t *ticket)
{
    waiter_t *waiter = calloc(1, sizeof *waiter);
    if (waiter == NULL)
        abort();
    waiter->ticket = ticket;
    return waiter;
}

void wait_in_thread(world_t *w, call_t call, ticket_t *ticket)
{
    waiter_t *waiter = new_waiter(ticket);
    waiter->call = call;
    model_join(w, waiter);
    if (pthread_create(&waiter->thread, NULL, submit_and_wait, waiter) != 0)
        abort();
}

void wait_in_task(world_t *w, ticket_t *task)
{
    waiter_t *waiter = new_waiter(task->offers);
    waiter->task = task;
    task->blocked = true;
    model_join(w, waiter);
}

/* ---- Settling ----------------------------------------------------------------------------- */

static bool went(const waiter_t *waiter)
{
    return waiter->task != NULL ? atomic_load(&waiter->task->answered) : atomic_load(&waiter->answered);
}

static bool tickets_are_placed(const world_t *w)
{
    for (int i = 0; i < w->issued; i++) {
        const ticket_t *t = &w->tickets[i];
        bool runs = t->place == RUNNING || t->place == OVER;
        if (t->started != runs || t->ended != (t->place == OVER) || t->returned != (t->place == BACK))
            return false;
    }
    for (int i = 0; i < w->leaving; i++)
        if (!went(w->going[i]))
            return false;
    return true;
}

/* More workers than run: idle ones, while the cap has room for them. */
static bool workers_are_right(const world_t *w)
{
    int workers = pool_workers(w->pool), idle = pool_idle(w->pool);
    bool room = w->cap == POOL_UNLIMITED || workers <= w->cap || workers == w->running;
    return workers >= w->running && room && idle >= 0 && idle <= workers;
}

static bool gauges_are_right(const world_t *w)
{
    const pool_t *pool = w->pool;
    return pool_running(pool) == w->running && pool_queued(pool) == w->queued && pool_waiting(pool) == w->waiting &&
           pool_free_slots(pool) == model_free_slots(w) && pool_cap(pool) == w->cap &&
           pool_is_closed(pool) == w->closed;
}

static void dismiss(world_t *w, waiter_t *waiter)
{
    if (waiter->task == NULL)
        pthread_join(waiter->thread, NULL);
    pool_err answer = waiter->task != NULL ? waiter->task->answer : waiter->answer;
    if (answer != waiter->wanted)
        broken(w, "a blocked submit answered %s, not %s", pool_strerror(answer), pool_strerror(waiter->wanted));
    if (waiter->task != NULL) {
        waiter->task->answered = false;
        waiter->task->blocked = false;
    }
    free(waiter);
}

/* Tickets before gauges: a task says that it is over before the pool counts it. */
static bool is_settled(const world_t *w)
{
    return tickets_are_placed(w) && gauges_are_right(w) && workers_are_right(w);
}

void world_settle(world_t *w)
{
    model_advance(w);
    for (int looks = 0; !is_settled(w); looks++) {
        if (looks < YIELDS)
            sched_yield();
        else
            nanosleep(&(struct timespec){0, 100000}, NULL);
        if (looks == YIELDS + NAPS)
            broken(w, "it does not settle: tickets %d, gauges %d, workers %d", tickets_are_placed(w),
                   gauges_are_right(w), workers_are_right(w));
    }
    while (w->leaving > 0)
        dismiss(w, w->going[--w->leaving]);
}

ticket_t *world_running(world_t *w, int which)
{
    ticket_t *found[TICKETS_MAX];
    int n = 0;
    for (int i = 0; i < w->issued; i++)
        if (w->tickets[i].place == RUNNING && !w->tickets[i].blocked)
            found[n++] = &w->tickets[i];
    return n > 0 ? found[which % n] : NULL;
}

/* ---- Begin and end ------------------------------------------------------------------------ */

static void swallow_line(void *unused, const char *line)
{
    (void)unused;
    (void)line;
}

bool world_begin(world_t *w, int cap)
{
    unsigned long errors = errors_of_options(&w->options, cap);
    w->cap = cap;
    w->options.logger = swallow_line;
    w->options.discard_handler = take_back;
    w->options.discard_user = w;
    pool_err err = pool_new_with(&w->pool, cap, pool_with_options(&w->options));
    if (errors == 0 ? err != POOL_OK : (errors >> err & 1) == 0)
        broken(w, "pool_new answered %s, of errors %lx", pool_strerror(err), errors);
    check(w, (w->pool != NULL) == (err == POOL_OK));
    if (err != POOL_OK)
        return false;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->told, NULL);
    return true;
}

static void open_gates(world_t *w)
{
    pthread_mutex_lock(&w->lock);
    w->open = true;
    pthread_cond_broadcast(&w->told);
    pthread_mutex_unlock(&w->lock);
}

/* From here on the state does not follow from the calls: a blocked submitter gets in or is
 * refused, and the ticket has to agree. */
static void join_waiters(world_t *w)
{
    for (int i = 0; i < w->waiting; i++) {
        waiter_t *waiter = w->waiters[i];
        if (waiter->task == NULL)
            pthread_join(waiter->thread, NULL);
        pool_err answer = waiter->task != NULL ? waiter->task->answer : waiter->answer;
        check(w, answer == POOL_OK || answer == POOL_ERR_CLOSED || (waiter->task && answer == POOL_ERR_DEADLOCK));
        waiter->ticket->accepted = answer == POOL_OK;
        free(waiter);
    }
}

static void check_exactly_once(const world_t *w)
{
    for (int i = 0; i < w->issued; i++) {
        const ticket_t *t = &w->tickets[i];
        check(w, t->started == t->ended && t->ended + t->returned == t->accepted);
    }
}

/* A settled world. Destroy comes while tasks run and submitters are blocked. */
void world_end(world_t *w, int way)
{
    if (way == 1)
        check(w, pool_release_now(w->pool, take_back, w) == POOL_OK);
    if (way == 2)
        check(w, pool_release(w->pool) == POOL_OK);
    open_gates(w);
    if (way == 3)
        check(w, pool_wait(w->pool) == POOL_OK);
    check(w, pool_destroy(w->pool) == POOL_OK);
    w->pool = NULL;
    join_waiters(w);
    check_exactly_once(w);
    pthread_cond_destroy(&w->told);
    pthread_mutex_destroy(&w->lock);
}
