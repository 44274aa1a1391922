/* The pools of a soak, their tickets, and what must hold of both. */
#include "soak.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { LINGER_MAX = 100 }; /* threads out of the pool that a busy machine has not let end yet */

/* ---- Tickets ------------------------------------------------------------------------------ */

/* Random places: tickets are many more than there are tasks at once. */
ticket_t *ticket_hold(arena_t *arena, uint64_t *random)
{
    for (int looks = 0; looks < 32; looks++) {
        ticket_t *ticket = &arena->tickets[below(random, TICKETS)];
        int is_free = FREE;
        if (atomic_compare_exchange_strong(&ticket->state, &is_free, HELD))
            return ticket;
    }
    return NULL;
}

static const char *state_name(int state)
{
    static const char *const names[] = {"free", "held", "offered", "taken"};
    return names[state];
}

void ticket_move(ticket_t *ticket, enum ticket_state from, enum ticket_state to)
{
    int was = atomic_exchange(&ticket->state, to);
    if (was != (int)from)
        wrong("%s: a ticket became %s that was %s, not %s", ticket->arena->name, state_name((int)to),
              state_name(was), state_name((int)from));
}

void hand_back(void *count, pool_task_fn task, void *arg)
{
    ticket_t *ticket = task == run_parcel ? ((parcel_t *)arg)->ticket : arg;
    if (task != run_parcel && task != run_ticket)
        wrong("a task was handed back that nobody submitted");
    ticket_move(ticket, OFFERED, TAKEN);
    atomic_fetch_add((atomic_long *)count, 1);
    ticket_move(ticket, TAKEN, FREE);
}

/* ---- What the pools call ------------------------------------------------------------------ */

/* The records of workers are used again once their threads have ended, so their numbers stay
 * near the most that were alive at once. */
static void check_number(const arena_t *arena, int worker)
{
    int most = arena->cap == POOL_UNLIMITED ? TICKETS : arena->most_cap;
    if (worker < -1 || worker > most + LINGER_MAX)
        wrong("%s: worker %d of %d", arena->name, worker, most);
}

static void told_of_panic(void *user, const pool_panic_info_t *info)
{
    arena_t *arena = user;
    check_number(arena, info->worker);
    atomic_fetch_add(&arena->tally.panics_told, 1);
    if ((info->value == NULL) == (info->message == NULL) || strcmp(info->pool_name, arena->name) != 0 ||
        (info->task != run_ticket && info->task != run_parcel))
        wrong("%s: a panic handler was told of something else", arena->name);
    if (info->message != NULL)
        pool_panic(arena);
}

static void told_of_line(void *user, const char *line)
{
    arena_t *arena = user;
    if (strstr(line, "a task panicked") != NULL)
        atomic_fetch_add(&arena->tally.panics_told, 1);
    else if (strstr(line, "pthread_exit") != NULL)
        atomic_fetch_add(&arena->tally.exits_told, 1);
    else if (strstr(line, "the panic handler panicked") == NULL)
        wrong("a line of the log: %s", line);
}

static void greet(void *user)
{
    atomic_fetch_add(&((arena_t *)user)->tally.greeted, 1);
}

static void part(void *user)
{
    atomic_fetch_add(&((arena_t *)user)->tally.parted, 1);
}

/* ---- The pools ---------------------------------------------------------------------------- */

#define HOOKS .on_thread_start = greet, .on_thread_exit = part
#define HANDLER .panic_handler = told_of_panic

arena_t arenas[ARENAS] = {
    {.name = "one", .cap = 1, .most_cap = 3, .chaos = 1, .pace_us = 3000, .options = {.func = run_ticket}},
    {.name = "small", .cap = 3, .most_cap = 6, .chaos = 1, .pace_us = 800,
     .options = {.func = run_ticket, .expiry_ms = 2, HOOKS, HANDLER}},
    {.name = "queue", .cap = 4, .most_cap = 8, .chaos = 1, .pace_us = 5000,
     .options = {.func = run_ticket, .queue = 32, .max_blocking = 4, .prestart = 2, .min_idle = 1,
                 .expiry_ms = 3, HOOKS}},
    {.name = "refuse", .cap = 2, .most_cap = 5, .chaos = 1, .pace_us = 2000,
     .options = {.queue = 8, .policy = POOL_REFUSE, .expiry_ms = 1, HANDLER}},
    {.name = "caller", .cap = 2, .most_cap = 4, .chaos = 1, .pace_us = 2000,
     .options = {.func = run_ticket, .queue = 4, .policy = POOL_CALLER_RUNS, .prealloc = true, HOOKS, HANDLER}},
    {.name = "discard", .cap = 2, .most_cap = 4, .chaos = 1, .pace_us = 1000,
     .options = {.func = run_ticket, .queue = 6, .policy = POOL_DISCARD_OLDEST, .discard_handler = hand_back,
                 .min_idle = 2, .expiry_ms = 2}},
    {.name = "free", .cap = POOL_UNLIMITED, .most_cap = INT_MAX, .chaos = 1, .pace_us = 4000,
     .options = {.func = run_ticket, .expiry_ms = 1, HOOKS, HANDLER}},
    {.name = "wild", .cap = 3, .most_cap = 7, .chaos = 2, .pace_us = 1500,
     .options = {.func = run_ticket, .queue = 3, .spin_us = -1, .prestart = 3, .expiry_ms = 1, HOOKS}},
    {.name = "calm", .cap = 3, .most_cap = 3, .options = {.func = run_ticket, .queue = 10, .expiry_ms = 1, HANDLER}},
};

/* Two who tune at once do not know what is in force, but for the most that either asks for. */
static void arena_make(arena_t *arena)
{
    pool_options_t *o = &arena->options;
    o->name = arena->name;
    o->logger = told_of_line;
    o->logger_user = o->panic_user = o->thread_user = arena;
    o->discard_user = &arena->tally.discarded;
    for (int i = 0; i < TICKETS; i++)
        arena->tickets[i].arena = arena;
    bool known = arena->cap != POOL_UNLIMITED && arena->chaos < 2;
    arena->in_force = known ? arena->cap : arena->most_cap;
    if (pool_new_with(&arena->pool, arena->cap, pool_with_options(o)) != POOL_OK) {
        perror("soak: pool_new");
        exit(1);
    }
}

void arenas_make(void)
{
    for (int i = 0; i < ARENAS; i++)
        arena_make(&arenas[i]);
}

/* ---- What must hold ----------------------------------------------------------------------- */

static void within(const arena_t *arena, const char *gauge, int value, int least, int most)
{
    if (value < least || value > most)
        wrong("%s: pool_%s is %d, not %d to %d", arena->name, gauge, value, least, most);
}

/* At any time. Submits come from submitters and from tasks, which run one in another where
 * the caller runs them. */
void check_gauges(arena_t *arena)
{
    const pool_t *pool = arena->pool;
    bool bounded = arena->cap != POOL_UNLIMITED;
    int queue = arena->options.queue;
    int limit = bounded ? arena->most_cap + queue : TICKETS;
    within(arena, "running", pool_running(pool), 0, bounded ? arena->most_cap + TICKETS : TICKETS);
    within(arena, "queued", pool_queued(pool), 0, limit);
    within(arena, "workers", pool_workers(pool), 0, bounded ? arena->most_cap : TICKETS);
    within(arena, "idle", pool_idle(pool), 0, bounded ? arena->most_cap : TICKETS);
    within(arena, "waiting", pool_waiting(pool), 0,
           arena->options.max_blocking > 0 ? arena->options.max_blocking + 1 : TICKETS);
    within(arena, "free_slots", pool_free_slots(pool), bounded ? 0 : POOL_UNLIMITED, limit);
    within(arena, "cap", pool_cap(pool), bounded ? 1 : POOL_UNLIMITED, bounded ? arena->most_cap : POOL_UNLIMITED);
}

void check_is_still(arena_t *arena)
{
    within(arena, "queued", pool_queued(arena->pool), 0, 0);
    within(arena, "waiting", pool_waiting(arena->pool), 0, 0);
    within(arena, "workers", pool_workers(arena->pool), 0, 0);
    within(arena, "idle", pool_idle(arena->pool), 0, 0);
    within(arena, "free_slots", pool_free_slots(arena->pool), 0, 0);
}

static void same(const arena_t *arena, const char *what, long a, const char *other, long b)
{
    if (a != b)
        wrong("%s: %ld %s, but %ld %s", arena->name, a, what, b, other);
}

static void check_accounts(arena_t *arena)
{
    tally_t *t = &arena->tally;
    for (int i = 0; i < TICKETS; i++)
        if (arena->tickets[i].state != FREE)
            wrong("%s: a ticket is %s in the end", arena->name, state_name(arena->tickets[i].state));
    same(arena, "accepted", t->accepted, "run or handed back", t->run + t->handed_back + t->discarded);
    same(arena, "panics", t->panics, "told of", t->panics_told);
    same(arena, "exits", t->exits, "told of", t->exits_told);
    same(arena, "running", arena->running, "in the end", 0);
}

static void wait_until_quiet(arena_t *arena)
{
    if (pool_wait(arena->pool) != POOL_OK)
        wrong("%s: pool_wait failed", arena->name);
    within(arena, "running", pool_running(arena->pool), 0, 0);
    within(arena, "queued", pool_queued(arena->pool), 0, 0);
    within(arena, "waiting", pool_waiting(arena->pool), 0, 0);
    check_accounts(arena);
}

static void end_pool(arena_t *arena)
{
    if (pool_release_timeout(arena->pool, POOL_FOREVER) != POOL_OK)
        wrong("%s: pool_release_timeout failed", arena->name);
    check_is_still(arena);
    if (pool_destroy(arena->pool) != POOL_OK)
        wrong("%s: pool_destroy failed", arena->name);
    same(arena, "start hooks", arena->tally.greeted, "exit hooks", arena->tally.parted);
    arena->pool = NULL;
}

/* First quiet, then gone: a task may submit to the arena after its own. */
void arenas_check_and_destroy(actor_t *self)
{
    for (int i = 0; i < ARENAS; i++) {
        step(self, arenas[i].name);
        wait_until_quiet(&arenas[i]);
    }
    for (int i = 0; i < ARENAS; i++) {
        step(self, arenas[i].name);
        end_pool(&arenas[i]);
    }
}

/* ---- For the reader ----------------------------------------------------------------------- */

void gauges_print(const char *name, const pool_t *pool)
{
    fprintf(stderr, "  %-8s cap %d, running %d, queued %d, waiting %d, workers %d, idle %d, free %d%s\n", name,
            pool_cap(pool), pool_running(pool), pool_queued(pool), pool_waiting(pool), pool_workers(pool),
            pool_idle(pool), pool_free_slots(pool), pool_is_closed(pool) ? ", closed" : "");
}

/* Of pools that hang. */
void arenas_print(void)
{
    for (int i = 0; i < ARENAS; i++) {
        const tally_t *t = &arenas[i].tally;
        gauges_print(arenas[i].name, arenas[i].pool);
        fprintf(stderr, "           accepted %ld, run %ld, handed back %ld\n", t->accepted, t->run,
                t->handed_back + t->discarded);
    }
}

/* A tally is nothing but counters. */
static tally_t sum_of_tallies(void)
{
    static tally_t sum;
    atomic_long *to = (atomic_long *)&sum;
    for (int i = 0; i < ARENAS; i++)
        for (size_t j = 0; j < sizeof sum / sizeof *to; j++)
            to[j] += ((atomic_long *)&arenas[i].tally)[j];
    return sum;
}

void tally_print(uint64_t seed)
{
    tally_t t = sum_of_tallies();
    printf("soak: seed %llu: accepted %ld = run %ld + handed back %ld + discarded %ld; refused:",
           (unsigned long long)seed, t.accepted, t.run, t.handed_back, t.discarded);
    for (int err = 1; err <= POOL_ERR_FORKED; err++)
        if (t.refused[err] > 0)
            printf(" %s %ld,", pool_strerror((pool_err)err), t.refused[err]);
    printf(" panics %ld, exits %ld, workers greeted %ld, tunes %ld, releases %ld, reboots %ld\n", t.panics, t.exits,
           t.greeted, t.tunes, t.releases, t.reboots);
}
