/* soak [--seconds N] [--seed S]: see soak.h. */
#define _GNU_SOURCE
#include "soak.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ACTORS_MAX = 64, MAYFLIES = 2 };

static actor_t actors[ACTORS_MAX];
static role_t roles[ACTORS_MAX];
static pthread_t threads[ACTORS_MAX];
static int n_actors = 1; /* 0: the main thread */
static int threads_at_rest;

static struct {
    int seconds;
    uint64_t seed;
} asked = {10, 0};

/* ---- The command line --------------------------------------------------------------------- */

static _Noreturn void usage(int code)
{
    fprintf(code == 0 ? stdout : stderr,
            "usage: soak [--seconds N] [--seed S]\n\n"
            "Puts pools of all kinds under load and in chaos for N seconds (default 10, at least 1)\n"
            "and checks that every accepted task ran or was handed back, once, and that the process\n"
            "holds no more than after the first tenth. The seed (default: the time) settles what each\n"
            "thread does, not in which order. Exit code 0 or 1.\n");
    exit(code);
}

static uint64_t number(const char *word)
{
    char *end;
    uint64_t value = word != NULL ? strtoull(word, &end, 10) : 0;
    if (word == NULL || *word < '0' || *word > '9' || *end != '\0')
        usage(2);
    return value;
}

static void read_arguments(char **words)
{
    asked.seed = (uint64_t)time(NULL);
    for (; *words != NULL; words++) {
        if (strcmp(*words, "--help") == 0)
            usage(0);
        else if (strcmp(*words, "--seconds") == 0)
            asked.seconds = (int)number(*++words);
        else if (strcmp(*words, "--seed") == 0)
            asked.seed = number(*++words);
        else
            usage(2);
    }
    if (asked.seconds < 1)
        usage(2);
}

/* ---- Actors ------------------------------------------------------------------------------- */

static void cast(const char *role, void *(*script)(void *), arena_t *arena)
{
    if (n_actors == ACTORS_MAX)
        abort();
    actors[n_actors].role = role;
    roles[n_actors] = (role_t){&actors[n_actors], script, arena, 0};
    n_actors++;
}

static void cast_all(void)
{
    actors[0].role = "main";
    for (int i = 0; i < ARENAS; i++)
        for (int j = 0; j < arenas[i].chaos; j++)
            cast("chaos", chaos_main, &arenas[i]);
    for (int i = 0; i < MAYFLIES; i++)
        cast("mayfly", mayfly_main, NULL);
    cast("host", meet_main, NULL);
    for (int i = 0; i < SUBMITTERS; i++)
        cast("submitter", submitter_main, NULL);
}

static void start_all(int round)
{
    atomic_store(&stop_chaos, false);
    atomic_store(&stop_load, false);
    for (int i = 1; i < n_actors; i++) {
        uint64_t seed = asked.seed * 1000003 + (uint64_t)(round * ACTORS_MAX + i);
        next_random(&seed);
        roles[i].seed = seed | 1;
        step(&actors[i], "start");
        atomic_store(&actors[i].active, true);
        threads[i] = thread_start(roles[i].script, &roles[i]);
    }
}

static void join_those(bool submitters)
{
    for (int i = 1; i < n_actors; i++)
        if ((roles[i].script == submitter_main) == submitters) {
            pthread_join(threads[i], NULL);
            step(&actors[0], "joining");
        }
}

/* ---- Rounds ------------------------------------------------------------------------------- */

static void show_progress(int round)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\rsoak: round %d of %d, %d wrong ", round + 1, ROUNDS_OF_A_SOAK, wrongs());
    if (isatty(STDERR_FILENO) && round + 1 == ROUNDS_OF_A_SOAK)
        fprintf(stderr, "\n");
}

static void let_run(int64_t ms)
{
    for (int64_t end = now_ms() + ms; now_ms() < end;) {
        step(&actors[0], "the round");
        lull_us(20000);
    }
}

static bool at_rest(void *unused)
{
    (void)unused;
    return count_threads() <= threads_at_rest;
}

/* Chaos ends first: no submitter is to owe its way out to a release. */
static holdings_t play_round(int round)
{
    arenas_make();
    start_all(round);
    let_run((int64_t)asked.seconds * 1000 / ROUNDS_OF_A_SOAK);
    atomic_store(&stop_chaos, true);
    join_those(false);
    atomic_store(&stop_load, true);
    join_those(true);
    arenas_check_and_destroy(&actors[0]);
    step(&actors[0], "the end of threads");
    eventually(at_rest, NULL, PATIENCE_MS / 2); /* a joined thread is listed for an instant */
    show_progress(round);
    return holdings();
}

static void play(void)
{
    holdings_t first = play_round(0), last = first;
    print_holdings("after the first tenth", first);
    for (int round = 1; round < ROUNDS_OF_A_SOAK; round++)
        last = play_round(round);
    print_holdings("in the end", last);
    if (first.threads > threads_at_rest)
        wrong("%ld threads after the first tenth, %d at first", first.threads, threads_at_rest);
    compare_holdings(first, last);
}

int main(int argc, char **argv)
{
    read_arguments(argc > 0 ? argv + 1 : argv);
    keep_little();
    cast_all();
    atomic_store(&actors[0].active, true);
    watch_start(actors, n_actors);
    threads_at_rest = count_threads();
    play();
    watch_end();
    tally_print(asked.seed);
    printf("soak: %s\n", wrongs() == 0 ? "pass" : "FAIL");
    return wrongs() == 0 ? 0 : 1;
}
