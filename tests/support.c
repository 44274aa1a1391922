#define _GNU_SOURCE
#include "support.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The pause between two looks of a polling loop; what it waits for is checked, not assumed. */
static void pause_a_little(void)
{
    struct timespec ms = {0, 500000};
    nanosleep(&ms, NULL);
}

/* A machine that stood still for a while is not the fault of what is waited for: so some
 * looks are owed after the deadline. */
bool eventually(bool (*holds)(void *user), void *user, int64_t ms)
{
    int64_t deadline = now_ms() + ms, late_looks = ms / 20;
    while (!holds(user)) {
        if (now_ms() > deadline && late_looks-- <= 0)
            return false;
        pause_a_little();
    }
    return true;
}

struct gauge_value {
    int (*gauge)(const pool_t *);
    const pool_t *pool;
    int value;
};

static bool gauge_holds(void *user)
{
    struct gauge_value *g = user;
    return g->gauge(g->pool) == g->value;
}

bool eventually_equals(int (*gauge)(const pool_t *), const pool_t *pool, int value)
{
    struct gauge_value g = {gauge, pool, value};
    return eventually(gauge_holds, &g, PATIENCE_MS);
}

void gate_init(gate_t *gate)
{
    *gate = (gate_t)GATE_CLOSED;
}

void gate_fini(gate_t *gate)
{
    pthread_mutex_destroy(&gate->lock);
    pthread_cond_destroy(&gate->changed);
}

void gate_pass(gate_t *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->arrived++;
    pthread_cond_broadcast(&gate->changed);
    while (gate->allowed != INT_MAX && gate->passed >= gate->allowed)
        pthread_cond_wait(&gate->changed, &gate->lock);
    gate->passed++;
    pthread_mutex_unlock(&gate->lock);
}

void gate_task(void *gate)
{
    gate_pass(gate);
}

void gate_let(gate_t *gate, int n)
{
    pthread_mutex_lock(&gate->lock);
    gate->allowed += n;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

void gate_open(gate_t *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->allowed = INT_MAX;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

struct arrival {
    gate_t *gate;
    int arrived;
};

static bool all_arrived(void *user)
{
    struct arrival *arrival = user;
    pthread_mutex_lock(&arrival->gate->lock);
    bool all = arrival->gate->arrived >= arrival->arrived;
    pthread_mutex_unlock(&arrival->gate->lock);
    return all;
}

/* The second wait is for a machine that stood still during the first. */
bool gate_await(gate_t *gate, int arrived)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += PATIENCE_MS / 1000;
    pthread_mutex_lock(&gate->lock);
    int timed_out = 0;
    while (gate->arrived < arrived && timed_out == 0)
        timed_out = pthread_cond_timedwait(&gate->changed, &gate->lock, &deadline);
    pthread_mutex_unlock(&gate->lock);
    struct arrival arrival = {gate, arrived};
    return eventually(all_arrived, &arrival, 1000);
}

int count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    if (tasks == NULL)
        return 1; /* no /proc: the sanitizers' own leak report has to do */
    int n = 0;
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;)
        n += entry->d_name[0] != '.';
    closedir(tasks);
    return n;
}

static int threads_at_start;

static void *do_nothing(void *unused)
{
    return unused;
}

/* Before main: what runs already is not ours, nor is what a sanitizer starts for itself
 * beside the first thread. */
__attribute__((constructor)) static void remember_threads(void)
{
    int before = count_threads();
    pthread_t first;
    if (pthread_create(&first, NULL, do_nothing, NULL) != 0 || pthread_join(first, NULL) != 0)
        abort();
    for (int tries = 0; tries < 100 && count_threads() > before; tries++)
        pause_a_little(); /* a joined thread is listed for an instant more */
    threads_at_start = count_threads();
}

static bool only_known_threads(void *unused)
{
    (void)unused;
    return count_threads() <= threads_at_start;
}

static bool left_over;

int no_thread_left(void **state)
{
    (void)state;
    if (eventually(only_known_threads, NULL, PATIENCE_MS))
        return 0;
    fprintf(stderr, "%d threads are left, %d were there at the start\n", count_threads(),
            threads_at_start);
    left_over = true;
    return -1;
}

int nothing_left_over(void **state)
{
    (void)state;
    if (!left_over)
        return 0;
    fprintf(stderr, "a thread of the test before is left: the tests end here\n");
    fflush(NULL);
    _exit(EXIT_FAILURE);
}

void count_task(void *counter)
{
    atomic_fetch_add((atomic_int *)counter, 1);
}

void empty_task(void *unused)
{
    (void)unused;
}

static void *submit_one(void *arg)
{
    submitter_t *s = arg;
    s->answer = s->timeout_ms < 0 ? pool_submit(s->pool, s->fn, s->arg)
                                  : pool_submit_timeout(s->pool, s->fn, s->arg, s->timeout_ms);
    atomic_store(&s->returned, true);
    return NULL;
}

void submitter_start_timeout(submitter_t *s, pool_t *pool, pool_task_fn fn, void *arg, int64_t ms)
{
    s->pool = pool;
    s->fn = fn;
    s->arg = arg;
    s->timeout_ms = ms;
    atomic_init(&s->returned, false);
    if (pthread_create(&s->thread, NULL, submit_one, s) != 0)
        abort();
}

void submitter_start(submitter_t *s, pool_t *pool, pool_task_fn fn, void *arg)
{
    submitter_start_timeout(s, pool, fn, arg, -1);
}

pool_err submitter_join(submitter_t *s)
{
    pthread_join(s->thread, NULL);
    return s->answer;
}

pool_t *make_pool_from(int cap, const pool_option_t *options)
{
    pool_t *pool = NULL;
    assert_ok(pool_new_from(&pool, cap, options));
    assert_non_null(pool);
    return pool;
}

void occupy(pool_t *pool, gate_t *gate, int n)
{
    pthread_mutex_lock(&gate->lock);
    int before = gate->arrived;
    pthread_mutex_unlock(&gate->lock);
    for (int i = 0; i < n; i++)
        assert_ok(pool_submit(pool, gate_task, gate));
    assert_true(gate_await(gate, before + n));
}

void open_and_destroy(pool_t *pool, gate_t *gate)
{
    gate_open(gate);
    assert_ok(pool_destroy(pool));
    gate_fini(gate);
}

sight_t see(const pool_t *pool)
{
    return (sight_t){
        .cap = pool_cap(pool),
        .running = pool_running(pool),
        .queued = pool_queued(pool),
        .free_slots = pool_free_slots(pool),
        .waiting = pool_waiting(pool),
        .workers = pool_workers(pool),
        .idle = pool_idle(pool),
        .closed = pool_is_closed(pool),
    };
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const int slower = 20;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
static const int slower = 20;
#else
static const int slower = 1;
#endif
#else
static const int slower = 1;
#endif

int scaled(int n)
{
    const char *text = getenv("ANTPOOL_TEST_SCALE");
    double scale = text != NULL ? strtod(text, NULL) : 1;
    double result = (scale > 0 ? n * scale : n) / slower;
    return result < 1 ? 1 : result > INT_MAX ? INT_MAX : (int)result;
}
