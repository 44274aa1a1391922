/* Workers: woken, started, parked, expired, lost. */
#include "scenarios.h"

/* No pool_wait before they have run: nothing else may wake a worker. */
static void all_run(int n)
{
    join_helpers();
    await_ran(n);
    must(pool_destroy(pool) == POOL_OK);
    check_accepted(n);
}

static void push(int submitters)
{
    unsigned cap = 1 + schedule_random(3);
    MAKE((int)cap, pool_with_disable_purge(true), pool_with_queue(8),
         pool_with_prestart((int)schedule_random(cap + 1)));
    for (int h = 0; h < submitters; h++) {
        helpers[h].pause = schedule_random(2) ? 0 : 50000;
        help(h, 3 * h, 3, by_submit);
    }
    all_run(3 * submitters);
}

void push_1(void)
{
    push(1);
}

void push_2(void)
{
    push(2);
}

void push_3(void)
{
    push(3);
}

/* As soon as one runs the next must get a worker of its own: the first does not end before. */
void second_worker(void)
{
    MAKE(2, pool_with_disable_purge(true), pool_with_queue(2), pool_with_prestart((int)schedule_random(3)));
    jobs[0].waits = jobs[1].waits = true;
    help(0, 0, 1, by_submit);
    help(1, 1, 1, by_submit);
    join_helpers();
    await_started(2);
    gate = true;
    all_run(2);
}

void many(void)
{
    void *args[5];
    size_t accepted;
    MAKE(2, pool_with_disable_purge(true), pool_with_queue(1));
    for (int i = 0; i < 5; i++) {
        args[i] = &jobs[i];
        jobs[i].submitted = true;
    }
    help(0, 5, 2, by_submit);
    must(pool_submit_many(pool, job_task, args, 5, &accepted) == POOL_OK && accepted == 5);
    all_run(7);
}

static void copied_task(void *copy)
{
    job_task(*(struct job **)copy);
}

static pool_err by_copy(struct job *job)
{
    return pool_submit_copy(pool, copied_task, &job, sizeof job);
}

void copy(void)
{
    MAKE(1, pool_with_disable_purge(true), pool_with_queue(2));
    help(0, 0, 3, by_copy);
    help(1, 3, 3, by_copy);
    all_run(6);
}

void expiry(void)
{
    MAKE(2, pool_with_expiry_ms(1), pool_with_min_idle((int)schedule_random(2)), pool_with_queue(4));
    for (int h = 0; h < 2; h++) {
        helpers[h].pause = 2500000;
        help(h, 3 * h, 3, by_submit);
    }
    all_run(6);
}

/* They go, and are joined, with nobody there to ask for it. */
void all_expire(void)
{
    MAKE(2, pool_with_expiry_ms(1), pool_with_queue(2));
    help(0, 0, 3, by_submit);
    join_helpers();
    await_ran(3);
    await_workers(0);
    help(1, 3, 1, by_submit);
    all_run(4);
}

void creates_fail(void)
{
    MAKE(3, pool_with_disable_purge(true), pool_with_queue(2));
    helpers[0].pause = helpers[1].pause = 20000;
    help(0, 0, 3, by_submit);
    help(1, 3, 3, by_try);
    schedule_fail_creates(60);
    join_helpers();
    await_accepted_ran();
    must(pool_destroy(pool) == POOL_OK);
    check_jobs(6);
    for (int i = 0; i < 3; i++)
        must(jobs[i].answer == POOL_OK || jobs[i].answer == POOL_ERR_NO_THREAD);
}

/* Whoever runs a task is a worker of the pool. */
static void counted_task(void *job)
{
    must(pool_workers(pool) > running);
    job_task(job);
}

static pool_err by_counted(struct job *job)
{
    return pool_submit(pool, counted_task, job);
}

/* Tasks that last: several workers are started at once, never more than the cap. */
static void burst(int cap, unsigned failing)
{
    MAKE(cap, pool_with_disable_purge(true), pool_with_queue(6));
    for (int i = 0; i < 6; i++)
        jobs[i].waits = true;
    help(0, 0, 3, by_counted);
    help(1, 3, 3, by_counted);
    schedule_fail_creates(failing);
    if (failing == 0)
        await_started(cap < 6 ? cap : 6);
    must(pool_workers(pool) <= cap);
    gate = true;
    join_helpers();
    await_accepted_ran();
    must(most_running <= cap);
    must(pool_destroy(pool) == POOL_OK);
    check_jobs(6);
}

void burst_starts(void)
{
    burst(4 + (int)schedule_random(4), 0);
}

void burst_meets_failing_starts(void)
{
    burst(6, 40);
}

/* Each task ends its thread, and not each gets a successor. */
void all_exit(void)
{
    MAKE(2, pool_with_disable_purge(true), pool_with_queue(4));
    for (int i = 0; i < 6; i++)
        jobs[i].exits = true;
    help(0, 0, 3, by_submit);
    help(1, 3, 3, by_submit);
    schedule_fail_creates(50);
    join_helpers();
    await_accepted_ran();
    must(pool_destroy(pool) == POOL_OK);
    check_jobs(6);
}

/* The other worker is busy for long, so only a new one can run the last task. */
void exit_beside_a_busy_one(void)
{
    MAKE(2, pool_with_disable_purge(true), pool_with_queue(1));
    jobs[0].waits = jobs[1].exits = true;
    help(0, 0, 1, by_submit);
    help(1, 1, 1, by_submit);
    help(2, 2, 1, by_submit);
    await_ran(2);
    gate = true;
    all_run(3);
}

/* Quick tasks in a row, so that a worker may nap; then two that take long. */
void nap_ends(void)
{
    MAKE(2, pool_with_disable_purge(true), pool_with_queue(4), pool_with_prestart(2));
    jobs[8].waits = jobs[9].waits = true;
    help(0, 0, 10, by_submit);
    await_started(2);
    gate = true;
    all_run(10);
}

/* The napper expires as well, though the other worker does not park any more. */
void nap_expires(void)
{
    MAKE(2, pool_with_expiry_ms(1), pool_with_queue(4), pool_with_prestart(2));
    jobs[9].waits = jobs[10].waits = true;
    help(0, 0, 10, by_submit);
    await_started(1);
    await_workers(1);
    help(1, 10, 1, by_submit);
    await_started(2);
    must(pool_workers(pool) == 2);
    gate = true;
    all_run(11);
}

/* The woken worker has lost its processor, the other one at work is held: another is woken once
 * the first is late, not before. */
void late_searcher(void)
{
    MAKE(3, pool_with_disable_purge(true), pool_with_queue(4), pool_with_prestart(3), pool_with_spin_us(-1));
    await_sleepers(3);
    jobs[0].waits = true;
    help(0, 0, 1, by_submit);
    await_started(1);
    await_sleepers(2);
    schedule_stall_sleepers(true);
    int64_t begin = schedule_now;
    help(1, 1, 2, by_submit);
    join_helpers();
    must(schedule_stalled_signalled() == 1 || schedule_now > begin + 30000);
    schedule_sleep(50000);
    help(1, 3, 1, by_submit);
    join_helpers();
    must(schedule_stalled_signalled() == 2);
    schedule_stall_sleepers(false);
    gate = true;
    all_run(4);
}

/* The woken worker comes so late that tasks seem to last, but as one is idle it starts nobody: it
 * wakes that one for the task that came meanwhile. */
void late_searcher_wakes(void)
{
    MAKE(3, pool_with_disable_purge(true), pool_with_queue(4), pool_with_prestart(3));
    await_sleepers(3);
    schedule_stall_sleepers(true);
    jobs[0].waits = jobs[1].waits = true;
    help(0, 0, 2, by_submit);
    join_helpers();
    schedule_sleep(100000);
    schedule_stall_sleepers(false);
    await_started(2);
    gate = true;
    all_run(2);
}

static void slow_task(void *yields)
{
    schedule_sleep(5000);
    *(unsigned *)yields = schedule_yields();
}

/* Where tasks are not brief a worker lets those run who are ready on its processor, who may
 * bring work, before it sleeps. */
void yield_before_sleep(void)
{
    MAKE(1, pool_with_disable_purge(true), pool_with_spin_us(-1));
    unsigned before;
    must(pool_submit(pool, slow_task, &before) == POOL_OK);
    await_sleepers(1);
    must(schedule_yields() == before + 1);
    must(pool_destroy(pool) == POOL_OK);
}

static void *tune_about(void *unused)
{
    for (int i = 0; i < 4; i++) {
        must(pool_tune(pool, 1 + (int)schedule_random(3)) == POOL_OK);
        schedule_here();
    }
    return unused;
}

void tune_storm(void)
{
    MAKE(2, pool_with_disable_purge(true), pool_with_queue((int)schedule_random(3)));
    help(0, 0, 4, by_submit);
    help(1, 4, 4, by_submit);
    pthread_t tuner = start(tune_about, NULL);
    finish(tuner);
    all_run(8);
    must(most_running <= 3);
}

/* After a tune down surplus workers go, at once if they are idle. */
void tune_down(void)
{
    MAKE(3, pool_with_disable_purge(true), pool_with_queue(3), pool_with_prestart(2));
    help(0, 0, 3, by_submit);
    must(pool_tune(pool, 1) == POOL_OK);
    join_helpers();
    await_ran(3);
    await_workers(1);
    all_run(3);
}

/* At once, though the other worker is busy for long. */
void tune_down_beside_a_busy_one(void)
{
    MAKE(2, pool_with_disable_purge(true), pool_with_prestart(2));
    jobs[0].waits = true;
    help(0, 0, 2, by_submit);
    await_started(1);
    must(pool_tune(pool, 1) == POOL_OK);
    await_workers(1);
    gate = true;
    all_run(2);
}

static void run_alone(void *job)
{
    must(running == 0);
    job_task(job);
}

static pool_err by_alone(struct job *job)
{
    return pool_submit(pool, run_alone, job);
}

/* Of two busy workers one leaves after its task, though tasks are queued: the rest run one by one. */
void tune_down_with_a_queue(void)
{
    MAKE(2, pool_with_disable_purge(true), pool_with_queue(4));
    jobs[0].waits = jobs[1].waits = true;
    help(0, 0, 2, by_submit);
    await_started(2);
    help(1, 2, 4, by_alone);
    join_helpers();
    must(pool_tune(pool, 1) == POOL_OK);
    gate = true;
    all_run(6);
}

/* The last submitter is stuck behind tasks that submit, until the cap goes down and up. */
void nested_tune(void)
{
    MAKE(2, pool_with_disable_purge(true));
    for (int i = 0; i < 2; i++)
        jobs[i].child = &jobs[2 + i];
    help(0, 0, 2, by_submit);
    pthread_t tuner = start(tune_about, NULL);
    join_helpers();
    finish(tuner);
    await_accepted_ran();
    must(pool_destroy(pool) == POOL_OK);
    check_jobs(4);
}

/* A task is submitted just when the last worker expires, and there may be no thread for another. */
void expiry_meets_submit(void)
{
    MAKE(1, pool_with_expiry_ms(1));
    schedule_fail_creates(50);
    for (int i = 0; i < 8; i++) {
        jobs[i].answer = by_submit(&jobs[i]);
        jobs[i].submitted = true;
        must(jobs[i].answer == POOL_OK || jobs[i].answer == POOL_ERR_NO_THREAD);
        await_accepted_ran();
        schedule_sleep(1000000 + (int64_t)schedule_random(1u << schedule_random(18)));
    }
    must(pool_destroy(pool) == POOL_OK);
    check_jobs(8);
}

/* A worker leaves when it has been idle for the expiry, not before. */
static _Thread_local int64_t idle_since;

static void note_idle(void *job)
{
    job_task(job);
    idle_since = schedule_now;
}

static pool_err by_noting(struct job *job)
{
    return pool_submit(pool, note_idle, job);
}

static void check_idle(void *unused)
{
    (void)unused;
    must(schedule_now >= idle_since + 1000000000);
}

void expiry_not_before(void)
{
    MAKE(3, pool_with_expiry_ms(1000), pool_with_thread_hooks(NULL, check_idle, NULL));
    for (int i = 0; i < 3; i++)
        jobs[i].takes = 900000000;
    help(0, 0, 3, by_noting);
    join_helpers();
    await_ran(3);
    await_workers(0);
    all_run(3);
}

/* More workers than stripes: the last two of them count in the same. */
void shared_stripe(void)
{
    MAKE(5, pool_with_disable_purge(true), pool_with_queue(5));
    for (int i = 0; i < 5; i++)
        jobs[i].waits = true;
    help(0, 0, 5, by_submit);
    await_started(5);
    gate = true;
    join_helpers();
    must(pool_wait(pool) == POOL_OK);
    all_run(5);
}

/* ---- Thread hooks ----------------------------------------------------------------------------- */

static int greeted;

static bool two_greeted(void *unused)
{
    (void)unused;
    return greeted >= 2;
}

static void greet_slowly(void *unused)
{
    (void)unused;
    greeted++;
    schedule_await(two_greeted, NULL);
}

/* The first hook takes until the second worker has come to its own. */
void slow_start_hook(void)
{
    greeted = 0;
    MAKE(2, pool_with_disable_purge(true), pool_with_thread_hooks(greet_slowly, NULL, NULL),
         pool_with_queue((int)schedule_random(2)), pool_with_prestart((int)schedule_random(3)));
    help(0, 0, 1, by_submit);
    help(1, 1, 1, by_submit);
    all_run(2);
}

static _Thread_local bool is_greeted;

static void greet(void *unused)
{
    (void)unused;
    must(!is_greeted);
    is_greeted = true;
}

static void say_goodbye(void *unused)
{
    (void)unused;
    must(is_greeted);
    is_greeted = false;
}

void hooks_pair(void)
{
    MAKE(2, pool_with_expiry_ms(1), pool_with_thread_hooks(greet, say_goodbye, NULL), pool_with_queue(1));
    for (int h = 0; h < 2; h++) {
        helpers[h].pause = schedule_random(2) ? 0 : 2500000;
        help(h, 3 * h, 3, by_submit);
    }
    jobs[2].exits = true;
    all_run(6);
}
