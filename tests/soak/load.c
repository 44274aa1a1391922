/* The load: submitters that use every submit call, and tasks that do what tasks do. */
#define _GNU_SOURCE
#include "soak.h"

#include <sched.h>
#include <string.h>
#include <time.h>

typedef enum call { SUBMIT, TRY, TIMEOUT, COPY, INVOKE, MANY, CALLS } call_t;

enum { BATCH = 8 };

atomic_bool stop_load;

static _Thread_local bool is_submitter;
static _Thread_local int depth; /* tasks that this thread is in */

void lull_us(int us)
{
    nanosleep(&(struct timespec){0, (long)us * 1000}, NULL);
}

static void burn_us(int us)
{
    struct timespec from, now;
    clock_gettime(CLOCK_MONOTONIC, &from);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - from.tv_sec) * 1000000 + (now.tv_nsec - from.tv_nsec) / 1000 < us);
}

/* ---- Submitting --------------------------------------------------------------------------- */

static kind_t pick_kind(uint64_t *random)
{
    static const kind_t common[] = {EMPTY, EMPTY, EMPTY, EMPTY, BURN, BURN, BURN,   NAP,
                                    YIELD, YIELD, NAP,   NESTED, NESTED, NESTED_NEXT, EMPTY, EMPTY};
    static const kind_t rare[] = {MISUSE, PANIC, PANIC_TWICE, EXIT, PANIC, EXIT, MISUSE, INTRUDE};
    if (below(random, 16) > 0)
        return common[below(random, sizeof common / sizeof *common)];
    kind_t kind = rare[below(random, sizeof rare / sizeof *rare)];
    return kind == INTRUDE && below(random, 50) > 0 ? EMPTY : kind;
}

static ticket_t *offer(arena_t *arena, uint64_t *random)
{
    ticket_t *ticket = ticket_hold(arena, random);
    if (ticket == NULL)
        return NULL;
    ticket->kind = pick_kind(random);
    ticket->random = next_random(random) | 1;
    ticket_move(ticket, HELD, OFFERED);
    return ticket;
}

/* The answers that the header allows. */
static bool may_answer(const arena_t *arena, call_t call, pool_err answer)
{
    const pool_options_t *o = &arena->options;
    switch (answer) {
    case POOL_OK: return call != INVOKE || o->func != NULL;
    case POOL_ERR_CLOSED: return arena->chaos > 0;
    case POOL_ERR_OVERLOAD:
        return call == TRY || (o->policy == POOL_BLOCK ? o->max_blocking > 0 : o->policy != POOL_CALLER_RUNS);
    case POOL_ERR_TIMEOUT: return call == TIMEOUT && o->policy == POOL_BLOCK;
    case POOL_ERR_DEADLOCK: return depth > 0 && o->policy == POOL_BLOCK && call != TRY && call != TIMEOUT;
    case POOL_ERR_NO_FUNC: return call == INVOKE && o->func == NULL;
    default: return false;
    }
}

static void note_answer(arena_t *arena, call_t call, pool_err answer)
{
    if (!may_answer(arena, call, answer))
        wrong("%s: call %d answered: %s", arena->name, (int)call, pool_strerror(answer));
    if (answer != POOL_OK)
        atomic_fetch_add(&arena->tally.refused[answer], 1);
}

static void withdraw(ticket_t *ticket)
{
    ticket_move(ticket, OFFERED, HELD);
    ticket_move(ticket, HELD, FREE);
}

static unsigned char byte_of(unsigned char first, size_t i)
{
    return (unsigned char)(first + 7 * i);
}

static pool_err submit_parcel(arena_t *arena, ticket_t *ticket, uint64_t *random)
{
    parcel_t parcel = {.ticket = ticket};
    size_t bytes = (size_t)below(random, (int)sizeof parcel.bytes + 1);
    parcel.size = offsetof(parcel_t, bytes) + bytes;
    for (size_t i = 0; i < bytes; i++)
        parcel.bytes[i] = byte_of((unsigned char)ticket->random, i);
    return pool_submit_copy(arena->pool, run_parcel, &parcel, parcel.size);
}

static pool_err submit_by(arena_t *arena, call_t call, ticket_t *ticket, uint64_t *random)
{
    switch (call) {
    case TRY: return pool_try_submit(arena->pool, run_ticket, ticket);
    case TIMEOUT: return pool_submit_timeout(arena->pool, run_ticket, ticket, below(random, 3));
    case COPY: return submit_parcel(arena, ticket, random);
    case INVOKE: return pool_invoke(arena->pool, ticket);
    default: return pool_submit(arena->pool, run_ticket, ticket);
    }
}

static void submit_one(arena_t *arena, call_t call, uint64_t *random)
{
    ticket_t *ticket = offer(arena, random);
    if (ticket == NULL)
        return;
    pool_err answer = submit_by(arena, call, ticket, random);
    if (answer == POOL_OK)
        atomic_fetch_add(&arena->tally.accepted, 1);
    else
        withdraw(ticket);
    note_answer(arena, call, answer);
}

static void submit_batch(arena_t *arena, uint64_t *random)
{
    void *tickets[BATCH];
    size_t n = 0, most = (size_t)below(random, BATCH + 1), accepted = n + 1;
    while (n < most && (tickets[n] = offer(arena, random)) != NULL)
        n++;
    pool_err answer = pool_submit_many(arena->pool, run_ticket, tickets, n, &accepted);
    if (accepted > n || (answer == POOL_OK) != (accepted == n))
        wrong("%s: a batch of %zu: %zu accepted, %s", arena->name, n, accepted, pool_strerror(answer));
    atomic_fetch_add(&arena->tally.accepted, (long)accepted);
    for (size_t i = accepted; i < n; i++)
        withdraw(tickets[i]);
    note_answer(arena, MANY, answer);
}

static void submit_something(arena_t *arena, uint64_t *random)
{
    call_t call = (call_t)below(random, CALLS);
    if (call == MANY)
        submit_batch(arena, random);
    else
        submit_one(arena, call, random);
}

/* ---- Tasks -------------------------------------------------------------------------------- */

static void misuse(arena_t *arena)
{
    pool_t *pool = arena->pool;
    if (pool_wait(pool) != POOL_ERR_DEADLOCK || pool_wait_timeout(pool, 1) != POOL_ERR_DEADLOCK ||
        pool_release_timeout(pool, 1) != POOL_ERR_DEADLOCK || pool_destroy(pool) != POOL_ERR_DEADLOCK)
        wrong("%s: a task may wait for itself", arena->name);
}

/* Nesting ends: each task that runs in another's caller is deeper in one stack. */
static void nest(arena_t *arena, uint64_t *random)
{
    if (depth < 4)
        submit_something(arena, random);
}

static void work(arena_t *arena, kind_t kind, uint64_t *random)
{
    switch (kind) {
    case BURN: burn_us(below(random, 50)); break;
    case NAP: lull_us(below(random, 500)); break;
    case YIELD: sched_yield(); break;
    case NESTED: nest(arena, random); break;
    case NESTED_NEXT:
        if (arena + 1 < arenas + ARENAS)
            nest(arena + 1, random);
        break;
    case MISUSE: misuse(arena); break;
    case INTRUDE:
        if (arena->chaos > 0 && pool_release(arena->pool) != POOL_OK)
            wrong("%s: a task may not release", arena->name);
        break;
    default: break;
    }
}

/* Nothing is looked at where the cap changed meanwhile. */
static void count_running(arena_t *arena)
{
    unsigned turn = atomic_load(&arena->turn);
    int running = atomic_fetch_add(&arena->running, 1) + 1, most = atomic_load(&arena->in_force);
    if (running > most && turn % 2 == 0 && atomic_load(&arena->turn) == turn)
        wrong("%s: %d tasks run, the cap is %d", arena->name, running, most);
}

/* The ways in which a task does not return. In another's thread it does not end that. */
static void end_task(arena_t *arena, kind_t kind, bool on_worker)
{
    if (kind == PANIC || kind == PANIC_TWICE)
        atomic_fetch_add(&arena->tally.panics, 1);
    if (kind == PANIC)
        pool_panic(arena);
    if (kind == PANIC_TWICE)
        pool_panicf("%s", arena->name);
    if (kind == EXIT && on_worker) {
        atomic_fetch_add(&arena->tally.exits, 1);
        pthread_exit(NULL);
    }
}

static void run(ticket_t *ticket)
{
    arena_t *arena = ticket->arena;
    kind_t kind = ticket->kind;
    uint64_t random = ticket->random;
    bool on_worker = !is_submitter && depth == 0;
    ticket_move(ticket, OFFERED, TAKEN);
    if (on_worker)
        count_running(arena);
    depth++;
    if (pool_current() != arena->pool)
        wrong("%s: a task runs in another pool", arena->name);
    work(arena, kind, &random);
    depth--;
    if (on_worker)
        atomic_fetch_sub(&arena->running, 1);
    atomic_fetch_add(&arena->tally.run, 1);
    ticket_move(ticket, TAKEN, FREE);
    end_task(arena, kind, on_worker);
}

void run_ticket(void *ticket)
{
    run(ticket);
}

void run_parcel(void *arg)
{
    const parcel_t *parcel = arg;
    for (size_t i = 0; i < parcel->size - offsetof(parcel_t, bytes); i++)
        if (parcel->bytes[i] != byte_of((unsigned char)parcel->ticket->random, i))
            wrong("%s: a copy arrived damaged", parcel->ticket->arena->name);
    run(parcel->ticket);
}

/* ---- Submitters --------------------------------------------------------------------------- */

/* Now and then a lull, in which workers park and leave. */
void *submitter_main(void *arg)
{
    role_t *role = arg;
    uint64_t random = role->seed;
    is_submitter = true;
    while (!atomic_load(&stop_load)) {
        arena_t *arena = &arenas[below(&random, ARENAS)];
        step(role->actor, arena->name);
        submit_something(arena, &random);
        if (below(&random, 64) == 0)
            lull_us(below(&random, 4000));
    }
    atomic_store(&role->actor->active, false);
    return NULL;
}
