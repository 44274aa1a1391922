/*
 * A soak: pools of all kinds under load and in chaos, for as long as one likes.
 *
 * Each pool has an arena around it. Submitters roam over all arenas, a chaos thread or two
 * of each tune, release and reboot its pool, and each task is a ticket whose state tells at
 * once when it runs twice, or though it was refused:
 *
 *     FREE -> HELD -> OFFERED -> TAKEN -> FREE        by a run or by being handed back
 *                 `-> FREE   if the submit refused it
 *
 * The time is cut into ten rounds. After each, all submitters have come out by themselves,
 * every ticket is free, accepted = run + handed back, the pools are destroyed, and what the
 * process holds is compared with what it held after the first round.
 */
#ifndef ANTPOOL_TESTS_SOAK_H
#define ANTPOOL_TESTS_SOAK_H

#include "../faults.h"

enum { ROUNDS_OF_A_SOAK = 10, TICKETS = 256, SUBMITTERS = 24, ARENAS = 9 };

/* ---- watch.c: complaints, progress, what the process holds ---- */

/* A complaint; the first few are printed. Any thread. */
void wrong(const char *format, ...) POOL_PRINTF(1, 2);
int wrongs(void);

/* A thread that the watchdog watches: it must step every 20 s until it is idle. */
typedef struct actor {
    const char *role;
    const char *_Atomic doing; /* a call that may block */
    atomic_uint steps;
    atomic_bool active;
    unsigned seen; /* the watchdog's: steps then … */
    int looks;     /* … and how many looks ago */
} actor_t;

void watch_start(actor_t *actors, int n);
void watch_end(void);
void step(actor_t *actor, const char *doing);

typedef struct holdings {
    long rss_kib, heap_bytes, descriptors, threads; /* -1: not to be had here */
} holdings_t;

void keep_little(void); /* before the first thread */
holdings_t holdings(void);
void compare_holdings(holdings_t first, holdings_t last);
void print_holdings(const char *when, holdings_t held);

/* ---- arena.c: the pools, their tickets and their counts ---- */

typedef enum kind {
    EMPTY,
    BURN,
    NAP,
    YIELD,
    NESTED,      /* submits to its own pool */
    NESTED_NEXT, /* or to the next one, never to one before: no cycles */
    MISUSE,      /* calls what would wait for itself */
    INTRUDE,     /* releases its own pool, where chaos will open it again */
    PANIC,
    PANIC_TWICE, /* the handler panics as well */
    EXIT
} kind_t;

enum ticket_state { FREE, HELD, OFFERED, TAKEN };

struct arena;

typedef struct ticket {
    atomic_int state;
    kind_t kind;
    uint64_t random;
    struct arena *arena;
} ticket_t;

/* Everything that is counted, in each arena and then over all. */
typedef struct tally {
    atomic_long accepted, run, handed_back, discarded;
    atomic_long refused[POOL_ERR_FORKED + 1]; /* by cause */
    atomic_long panics, panics_told, exits, exits_told;
    atomic_long greeted, parted; /* the thread hooks */
    atomic_long tunes, releases, reboots;
} tally_t;

typedef struct arena {
    const char *name;
    int cap; /* when made */
    int most_cap; /* that chaos tunes to */
    pool_options_t options;
    int chaos; /* threads */
    int pace_us; /* the longest pause between two of their acts */

    pool_t *pool;
    ticket_t tickets[TICKETS];
    atomic_int running;  /* on workers, as the tasks see it */
    atomic_int in_force; /* the most that may run … */
    atomic_uint turn;    /* … while this is even and stays the same */
    tally_t tally;       /* of all rounds */
} arena_t;

extern arena_t arenas[ARENAS];

void arenas_make(void);
void arenas_check_and_destroy(actor_t *self); /* nobody submits any more */
ticket_t *ticket_hold(arena_t *arena, uint64_t *random); /* NULL: all are out */
void ticket_move(ticket_t *ticket, enum ticket_state from, enum ticket_state to);
void hand_back(void *count, pool_task_fn task, void *arg); /* count: an atomic_long of its tally */
void check_gauges(arena_t *arena);
void check_is_still(arena_t *arena); /* nothing runs, nobody waits, no worker is left */
void gauges_print(const char *name, const pool_t *pool);
void arenas_print(void);
void tally_print(uint64_t seed);

/* ---- load.c: submitters and tasks ---- */

/* A copied task: what its bytes must be follows from the first of them. */
typedef struct parcel {
    ticket_t *ticket;
    size_t size;
    unsigned char bytes[POOL_COPY_MAX - sizeof(ticket_t *) - sizeof(size_t)];
} parcel_t;

void run_ticket(void *ticket);
void run_parcel(void *parcel);
void *submitter_main(void *role);

/* ---- chaos.c ---- */

void *chaos_main(void *role);
void *mayfly_main(void *role); /* short-lived pools beside */

/* ---- meet.c ---- */

void *meet_main(void *role);
void meet_print(void);

/* ---- Roles ---- */

/* What a thread of the soak is given. */
typedef struct role {
    actor_t *actor;
    void *(*script)(void *role);
    arena_t *arena; /* chaos only */
    uint64_t seed;
} role_t;

extern atomic_bool stop_chaos, stop_load;

/* A little generator: xorshift64*. */
static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1DU >> 16;
}

static inline int below(uint64_t *state, int n)
{
    return (int)(next_random(state) % (uint64_t)n);
}

/* A lull in the load, or the work of a task; nothing hangs on how long it is. */
void lull_us(int us);

#endif
