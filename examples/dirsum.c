/*
 * dirsum: one checksum for a whole directory tree, its files read through a pool.
 *
 * The main thread walks the tree and submits a task for every regular file. At most cap
 * files are read at once and at most queue more wait; then pool_submit holds the walk
 * back, so memory is the same for a hundred files and for a hundred million. Every worker
 * reads through a buffer of its own, made and freed by the thread hooks.
 *
 *     walk ──path──▶ pool_submit ──▶ cap workers ──▶ tally
 *                                                      ▲
 *     console: signals, progress line ─────────────────┘
 *
 * All signals of interest are blocked in every thread and taken by one more, the console.
 * SIGINT and SIGTERM stop the walk; what was accepted is still read, and the report says
 * what was done. One more, a second later or after that, ends the program where it stands.
 * SIGALRM draws the progress line, on a terminal only.
 */
#define _XOPEN_SOURCE 700

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "antpool.h"
#include "dirsum_arguments.h"
#include "dirsum_tally.h"
#include "dirsum_walk.h"

enum { EXIT_INCOMPLETE = 1, EXIT_SIGNALED = 128, TICK_US = 100000 };

/* One time through the tree. */
typedef struct pass {
    tally_t tally;
    pool_t *pool; /* NULL: the walking thread reads the files itself */
    int64_t started_ns;
    double seconds;     /* set when it is over */
    atomic_int signal;  /* the signal that stopped the walk, or 0 */
    int64_t stopped_ns; /* when that came; the console's own */
    atomic_bool broken; /* the walk stopped because the pool took no more tasks */
    atomic_bool over;   /* the console is to end */
} pass_t;

/* A file to read. The task owns it, and frees it. */
typedef struct job {
    pass_t *pass;
    char path[];
} job_t;

static _Noreturn void die(int status, const char *why)
{
    fprintf(stderr, "dirsum: %s\n", why);
    exit(status);
}

/* ---- Tasks ------------------------------------------------------------------------- */

/* The buffer of this thread. NULL: there was no memory for it. */
static _Thread_local unsigned char *block;

static void make_block(void *unused)
{
    (void)unused;
    block = malloc(TALLY_BLOCK);
}

static void free_block(void *unused)
{
    (void)unused;
    free(block);
}

static void read_file(void *arg)
{
    job_t *job = arg;
    if (block == NULL)
        pool_panicf("no memory for a buffer of %d bytes", TALLY_BLOCK);
    tally_file(&job->pass->tally, job->path, block);
    free(job);
}

/* The task gave up before it freed its job. */
static void count_panic(void *unused, const pool_panic_info_t *info)
{
    (void)unused;
    job_t *job = info->arg;
    tally_unreadable(&job->pass->tally, job->path, info->message);
    free(job);
}

static job_t *new_job(pass_t *pass, const char *path)
{
    size_t size = strlen(path) + 1;
    job_t *job = malloc(sizeof(*job) + size);
    if (job == NULL)
        return NULL;
    job->pass = pass;
    memcpy(job->path, path, size);
    return job;
}

/* Waits while cap files are being read and queue more are waiting. */
static void submit_file(void *user, const char *path)
{
    pass_t *pass = user;
    job_t *job = new_job(pass, path);
    pool_err err = job == NULL ? POOL_ERR_NO_MEMORY : pool_submit(pass->pool, read_file, job);
    if (err == POOL_OK)
        return;
    free(job); /* not accepted, so still ours */
    tally_unreadable(&pass->tally, path, pool_strerror(err));
    atomic_store(&pass->broken, true);
}

/* ---- The console ------------------------------------------------------------------- */

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static double seconds_since(int64_t start_ns)
{
    return (double)(now_ns() - start_ns) / 1e9;
}

static double megabytes(const pass_t *pass)
{
    return (double)tally_value(&pass->tally.bytes) / 1e6;
}

static void draw_progress(const pass_t *pass)
{
    char line[200];
    int n = snprintf(line, sizeof(line), "%" PRIu64 " files, %.1f MB, %.1f MB/s",
                     tally_value(&pass->tally.files), megabytes(pass),
                     megabytes(pass) / seconds_since(pass->started_ns));
    if (pass->pool != NULL)
        snprintf(line + n, sizeof(line) - (size_t)n, "; running %d/%d, queued %d, waiting %d",
                 pool_running(pass->pool), pool_cap(pass->pool), pool_queued(pass->pool),
                 pool_waiting(pass->pool));
    tally_show_progress(line);
}

static sigset_t console_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGALRM);
    return signals;
}

/* Within a second it is the same signal again: timeout(1) sends it twice. */
static void take_signal(pass_t *pass, int signal)
{
    if (atomic_load(&pass->signal) == 0) {
        pass->stopped_ns = now_ns();
        atomic_store(&pass->signal, signal);
    } else if (seconds_since(pass->stopped_ns) > 1) {
        _exit(EXIT_SIGNALED + signal);
    }
}

static void *run_console(void *arg)
{
    pass_t *pass = arg;
    sigset_t signals = console_signals();
    int signal;
    while (sigwait(&signals, &signal) == 0 && !atomic_load(&pass->over)) {
        if (signal == SIGALRM)
            draw_progress(pass);
        else
            take_signal(pass, signal);
    }
    return NULL;
}

static void tick_every(suseconds_t us)
{
    struct itimerval timer = {{0, us}, {0, us}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

static pthread_t start_console(pass_t *pass)
{
    pthread_t console;
    if (pthread_create(&console, NULL, run_console, pass) != 0)
        die(EXIT_INCOMPLETE, "cannot start a thread");
    if (pass->tally.progress)
        tick_every(TICK_US);
    return console;
}

static void end_console(pass_t *pass, pthread_t console)
{
    tick_every(0);
    atomic_store(&pass->over, true);
    pthread_kill(console, SIGALRM);
    pthread_join(console, NULL);
    tally_erase_progress(&pass->tally);
}

/* ---- Passes ------------------------------------------------------------------------ */

static void failed(void *user, const char *path, int error)
{
    pass_t *pass = user;
    tally_failed(&pass->tally, path, error);
}

static bool is_complete(const pass_t *pass)
{
    return atomic_load(&pass->signal) == 0 && !atomic_load(&pass->broken);
}

static bool is_stopped(void *user)
{
    return !is_complete(user);
}

/* Hands every file to `visit` and returns when all of them are done. */
static void run_pass(pass_t *pass, void (*visit)(void *user, const char *path))
{
    pass->started_ns = now_ns();
    pthread_t console = start_console(pass);
    walk_tree(pass->tally.root, &(walk_visitor_t){visit, failed, is_stopped, pass});
    if (pass->pool != NULL)
        (void)pool_wait(pass->pool); /* the pool is open and this is none of its tasks */
    pass->seconds = seconds_since(pass->started_ns);
    end_console(pass, console);
}

static void run_with_pool(pass_t *pass, const settings_t *settings)
{
    pool_err err = pool_new_with(&pass->pool, settings->cap, pool_with_name("dirsum"),
                                 pool_with_queue(settings->queue),
                                 pool_with_thread_hooks(make_block, free_block, NULL),
                                 pool_with_panic_handler(count_panic, NULL));
    if (err != POOL_OK)
        die(EXIT_INCOMPLETE, pool_strerror(err));
    run_pass(pass, submit_file);
    pool_destroy(pass->pool);
}

static void read_at_once(void *user, const char *path)
{
    pass_t *pass = user;
    tally_file(&pass->tally, path, block);
}

static void run_alone(pass_t *pass)
{
    make_block(NULL);
    if (block == NULL)
        die(EXIT_INCOMPLETE, "no memory for a buffer");
    run_pass(pass, read_at_once);
    free_block(NULL);
}

/* ---- Reports ----------------------------------------------------------------------- */

static void report(const pass_t *pass)
{
    const tally_t *tally = &pass->tally;
    printf("files       %" PRIu64 "\n", tally_value(&tally->files));
    printf("bytes       %" PRIu64 "\n", tally_value(&tally->bytes));
    printf("time        %.3f s, %.1f MB/s\n", pass->seconds, megabytes(pass) / pass->seconds);
    printf("unreadable  %" PRIu64 "\n", tally_value(&tally->unreadable));
    printf("vanished    %" PRIu64 "\n", tally_value(&tally->vanished));
    printf("checksum    %016" PRIx64 "\n", tally_value(&tally->checksum));
}

static bool agree(const tally_t *a, const tally_t *b)
{
    return tally_value(&a->files) == tally_value(&b->files) &&
           tally_value(&a->bytes) == tally_value(&b->bytes) &&
           tally_value(&a->checksum) == tally_value(&b->checksum) &&
           tally_value(&a->unreadable) == tally_value(&b->unreadable);
}

static const char *stopped_by(const pass_t *pass)
{
    int signal = atomic_load(&pass->signal);
    return signal == SIGINT ? "SIGINT" : signal == SIGTERM ? "SIGTERM" : "an error";
}

static int status_of(const pass_t *pass)
{
    int signal = atomic_load(&pass->signal);
    if (signal != 0)
        return EXIT_SIGNALED + signal;
    return tally_value(&pass->tally.unreadable) == 0 ? EXIT_SUCCESS : EXIT_INCOMPLETE;
}

/* Reads the tree again without a pool; the exit status. */
static int verify(const pass_t *pooled)
{
    const tally_t *first = &pooled->tally;
    pass_t alone = {.tally = {.root_name = first->root_name,
                              .root = first->root,
                              .progress = first->progress,
                              .quiet = true}};
    run_alone(&alone);
    if (!is_complete(&alone)) {
        printf("verify      stopped by %s\n", stopped_by(&alone));
    } else if (agree(first, &alone.tally)) {
        printf("verify      one thread agrees, in %.3f s\n", alone.seconds);
    } else {
        printf("verify      one thread DIFFERS, it found:\n");
        report(&alone);
        return EXIT_INCOMPLETE;
    }
    return status_of(&alone);
}

/* ---- The program ------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    (void)argc;
    settings_t settings = dirsum_arguments(argv);
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* what is reported outlives a second SIGINT */
    setvbuf(stderr, NULL, _IOLBF, BUFSIZ); /* a line of complaint is one write */
    sigset_t signals = console_signals();
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    pass_t pooled = {.tally = {.root_name = settings.root_name,
                               .root = settings.root,
                               .progress = isatty(STDERR_FILENO)}};
    run_with_pool(&pooled, &settings);
    report(&pooled);
    int status = status_of(&pooled);
    if (!is_complete(&pooled))
        printf("stopped     by %s; every accepted file has been read\n", stopped_by(&pooled));
    else if (settings.verify)
        status = verify(&pooled);
    close(settings.root);
    if (fflush(stdout) != 0 || ferror(stdout))
        die(EXIT_INCOMPLETE, "cannot write the report");
    return status;
}
