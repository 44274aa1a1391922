#include "scenario.h"

#include <string.h>

pool_t *pool;
struct job jobs[JOBS];
struct helper helpers[HELPERS];
bool gate;
int running, most_running;

static int at_gate, begun, may_end, numbers[NUMBERED];

void scenario_begin(void)
{
    memset(jobs, 0, sizeof jobs);
    memset(helpers, 0, sizeof helpers);
    gate = false;
    running = most_running = at_gate = begun = may_end = 0;
}

/* No logger: what the pool says of lost workers is expected. */
static void say_nothing(void *unused, const char *line)
{
    (void)unused;
    (void)line;
}

void make(int cap, const pool_option_t *options)
{
    pool_option_t all[16] = {pool_with_logger(say_nothing, NULL),
                             pool_with_spin_us(schedule_random(2) == 0 ? -1 : 20)};
    int n = 2;
    static const pool_option_t end = {0};
    for (; options != NULL && memcmp(options, &end, sizeof end) != 0; options++)
        all[n++] = *options;
    must(pool_new_from(&pool, cap, all) == POOL_OK);
}

/* ---- Jobs ------------------------------------------------------------------------------------ */

static bool is_open(void *unused)
{
    (void)unused;
    return gate;
}

static void stand_at_gate(void)
{
    at_gate++;
    schedule_await(is_open, NULL);
}

static void do_job(struct job *job)
{
    schedule_here();
    if (job->waits_first)
        stand_at_gate();
    if (job->child != NULL) {
        job->child->answer = job->child->by != NULL ? job->child->by(job->child) : by_submit(job->child);
        job->child->submitted = true;
    }
    if (job->waits)
        stand_at_gate();
    if (job->takes > 0)
        schedule_sleep((int64_t)schedule_random((unsigned)job->takes));
}

void job_task(void *arg)
{
    struct job *job = arg;
    if (++running > most_running)
        most_running = running;
    do_job(job);
    job->ran++;
    running--;
    schedule_tell();
    if (job->panics)
        pool_panic(job);
    if (job->exits)
        pthread_exit(NULL);
}

void job_back(void *user, pool_task_fn task, void *arg)
{
    (void)user;
    must(task == job_task);
    ((struct job *)arg)->back++;
    schedule_tell();
}

pool_err by_submit(struct job *job)
{
    return pool_submit(pool, job_task, job);
}

pool_err by_try(struct job *job)
{
    return pool_try_submit(pool, job_task, job);
}

pool_err by_timeout(struct job *job)
{
    return pool_submit_timeout(pool, job_task, job, 1);
}

/* ---- Numbered tasks --------------------------------------------------------------------------- */

static bool is_let_end(void *number)
{
    return *(int *)number < may_end;
}

void *numbered(int i)
{
    numbers[i] = i;
    return &numbers[i];
}

void numbered_task(void *number)
{
    begun++;
    schedule_tell();
    schedule_await(is_let_end, number);
}

void let_end(int n)
{
    may_end = n;
}

/* ---- Threads ------------------------------------------------------------------------------------ */

static void *submit_jobs(void *arg)
{
    struct helper *h = arg;
    for (int i = h->first; i < h->first + h->n; i++) {
        if (h->pause > 0)
            schedule_sleep((int64_t)schedule_random((unsigned)h->pause));
        int64_t begin = schedule_now;
        jobs[i].answer = h->submit(&jobs[i]);
        h->took = schedule_now - begin;
        jobs[i].submitted = true;
    }
    return NULL;
}

pthread_t start(void *(*run)(void *), void *arg)
{
    pthread_t thread;
    must(pthread_create(&thread, NULL, run, arg) == 0);
    return thread;
}

void finish(pthread_t thread)
{
    pthread_join(thread, NULL);
}

void help(int h, int first, int n, pool_err (*submit)(struct job *))
{
    helpers[h].first = first;
    helpers[h].n = n;
    helpers[h].submit = submit;
    helpers[h].thread = start(submit_jobs, &helpers[h]);
}

void join_helpers(void)
{
    for (int h = 0; h < HELPERS; h++)
        if (helpers[h].n > 0) {
            finish(helpers[h].thread);
            helpers[h].n = 0;
        }
}

/* ---- Waiting for what must come ------------------------------------------------------------------- */

struct wanted {
    int n;
};

static int count_ran(void)
{
    int sum = 0;
    for (int i = 0; i < JOBS; i++)
        sum += jobs[i].ran;
    return sum;
}

static bool enough_ran(void *n)
{
    return count_ran() >= *(int *)n;
}

static bool enough_run(void *n)
{
    return running >= *(int *)n;
}

static bool enough_at_gate(void *n)
{
    return at_gate >= *(int *)n;
}

/* Looked at by the scheduler itself, which is no thread of the scenario. */
static int peek(int (*gauge)(const pool_t *))
{
    struct thread *me = self;
    self = NULL;
    int value = gauge(pool);
    self = me;
    return value;
}

static bool enough_wait(void *n)
{
    return peek(pool_waiting) >= *(int *)n;
}

static bool so_many_workers(void *n)
{
    return peek(pool_workers) == *(int *)n;
}

static bool accepted_ran(void *unused)
{
    (void)unused;
    for (int i = 0; i < JOBS; i++)
        if (jobs[i].submitted && jobs[i].answer == POOL_OK && jobs[i].ran + jobs[i].back == 0)
            return false;
    return true;
}

static bool enough_begun(void *n)
{
    return begun >= *(int *)n;
}

void await_begun(int n)
{
    schedule_await(enough_begun, &n);
}

static bool is_asleep(void *thread)
{
    for (int i = 0; i < THREADS_MAX; i++)
        if (threads[i].used && pthread_equal(threads[i].handle, *(pthread_t *)thread))
            return threads[i].waits == A_CONDITION;
    return false;
}

void await_asleep(int h)
{
    schedule_await(is_asleep, &helpers[h].thread);
}

void await_running(int n)
{
    schedule_await(enough_run, &n);
}

void await_waiting(int n)
{
    schedule_await(enough_wait, &n);
}

void await_started(int n)
{
    schedule_await(enough_at_gate, &n);
}

void await_ran(int n)
{
    schedule_await(enough_ran, &n);
}

void await_accepted_ran(void)
{
    schedule_await(accepted_ran, NULL);
}

void await_workers(int n)
{
    schedule_await(so_many_workers, &n);
}

static bool so_many_sleep(void *n)
{
    int sleepers = 0;
    for (int i = 0; i < THREADS_MAX; i++)
        sleepers += sleeps(&threads[i]) && !woken(&threads[i]);
    return sleepers == *(int *)n;
}

void await_sleepers(int n)
{
    schedule_await(so_many_sleep, &n);
}

/* ---- Checks ------------------------------------------------------------------------------------------ */

void check_jobs(int n)
{
    for (int i = 0; i < n; i++) {
        must(jobs[i].submitted);
        must(jobs[i].ran + jobs[i].back == (jobs[i].answer == POOL_OK));
    }
    must(running == 0);
}

void check_accepted(int n)
{
    for (int i = 0; i < n; i++)
        must(jobs[i].answer == POOL_OK && jobs[i].ran == 1);
    check_jobs(n);
}
