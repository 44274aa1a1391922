/* Waiting, releasing, opening again, destroying. */
#include "scenarios.h"

#include <string.h>

static void *destroy(void *unused)
{
    must(pool_destroy(pool) == POOL_OK);
    return unused;
}

/* The job's task says that the pool may go while its submit has not returned yet. */
static bool first_ran(void *unused)
{
    (void)unused;
    return jobs[0].ran == 1;
}

void destroy_on_the_way_out(void)
{
    int cap = 1 + (int)schedule_random(2);
    MAKE(cap, pool_with_disable_purge(true), pool_with_queue((int)schedule_random(2)),
         pool_with_prestart((int)schedule_random((unsigned)cap + 1)));
    help(0, 0, 1, by_submit);
    schedule_await(first_ran, NULL);
    destroy(NULL);
    join_helpers();
    check_accepted(1);
}

void destroy_while_blocked(void)
{
    MAKE(1, pool_with_disable_purge(true));
    jobs[0].waits = true;
    help(0, 0, 1, by_submit);
    await_started(1);
    help(1, 1, 1, by_submit);
    help(2, 2, 1, by_submit);
    await_waiting(2);
    pthread_t destroyer = start(destroy, NULL);
    gate = true;
    join_helpers();
    finish(destroyer);
    check_jobs(3);
}

/* Two that submit several at once, or hand over their places, and one that destroys once the
 * last task ran. */
static bool all_three_ran(void *unused)
{
    (void)unused;
    return jobs[0].ran + jobs[1].ran + jobs[2].ran == 3;
}

static void *submit_three(void *unused)
{
    void *args[] = {&jobs[0], &jobs[1], &jobs[2]};
    size_t accepted;
    pool_err err = pool_submit_many(pool, job_task, args, 3, &accepted);
    must(err == POOL_OK && accepted == 3);
    for (int i = 0; i < 3; i++)
        jobs[i].submitted = true;
    return unused;
}

void destroy_after_many(void)
{
    MAKE(1, pool_with_disable_purge(true), pool_with_queue((int)schedule_random(3)));
    pthread_t submitter = start(submit_three, NULL);
    schedule_await(all_three_ran, NULL);
    destroy(NULL);
    finish(submitter);
    check_jobs(3);
}

void release_now(void)
{
    MAKE(2, pool_with_disable_purge(true), pool_with_queue(3));
    help(0, 0, 3, by_submit);
    help(1, 3, 3, by_submit);
    must(pool_release_now(pool, job_back, NULL) == POOL_OK);
    join_helpers();
    must(pool_release_timeout(pool, POOL_FOREVER) == POOL_OK);
    must(pool_workers(pool) == 0);
    must(pool_destroy(pool) == POOL_OK);
    check_jobs(6);
    for (int i = 0; i < 6; i++)
        must(jobs[i].answer == POOL_OK || jobs[i].answer == POOL_ERR_CLOSED);
}

void release_timeout(void)
{
    MAKE(2, pool_with_expiry_ms(1), pool_with_queue(1));
    for (int i = 0; i < 4; i++)
        jobs[i].takes = 1500000;
    help(0, 0, 4, by_submit);
    pool_err err = pool_release_timeout(pool, 1);
    must(err == POOL_OK || err == POOL_ERR_TIMEOUT);
    join_helpers();
    must(pool_release_timeout(pool, POOL_FOREVER) == POOL_OK);
    must(pool_destroy(pool) == POOL_OK);
    check_jobs(4);
}

/* What is accepted at the last moment runs, also where no further worker can be started. */
void release_meets_submit(void)
{
    MAKE(1, pool_with_disable_purge(true), pool_with_queue(1), pool_with_prestart((int)schedule_random(2)));
    help(0, 0, 2, by_submit);
    schedule_fail_creates(70);
    must(pool_release(pool) == POOL_OK);
    join_helpers();
    must(pool_destroy(pool) == POOL_OK);
    check_jobs(2);
}

/* What was submitted before pool_wait began has run when it returns. */
void wait_quiet(void)
{
    MAKE(2, pool_with_disable_purge(true), pool_with_queue(4));
    help(0, 2, 2, by_submit);
    for (int i = 0; i < 2; i++) {
        jobs[i].answer = by_submit(&jobs[i]);
        jobs[i].submitted = true;
    }
    must(pool_wait(pool) == POOL_OK);
    must(jobs[0].ran == 1 && jobs[1].ran == 1);
    join_helpers();
    must(pool_wait(pool) == POOL_OK);
    must(running == 0 && jobs[2].ran == 1 && jobs[3].ran == 1);
    must(pool_destroy(pool) == POOL_OK);
    check_accepted(4);
}

/* What the task has written can be read then, by the memory orders alone. */
static int written;

static void write_it(void *unused)
{
    (void)unused;
    race_access(&written, sizeof written, RACE_WRITE, __builtin_return_address(0));
}

void wait_reads(void)
{
    MAKE(1, pool_with_disable_purge(true), pool_with_queue(1));
    for (int i = 0; i < 3; i++) {
        must(pool_submit(pool, write_it, NULL) == POOL_OK);
        must(pool_wait(pool) == POOL_OK);
        race_access(&written, sizeof written, RACE_WRITE, __builtin_return_address(0));
    }
    must(pool_destroy(pool) == POOL_OK);
}

/* One task runs all the time, whatever comes and goes beside it. */
void wait_not_yet(void)
{
    MAKE(3, pool_with_disable_purge(true), pool_with_queue(4), pool_with_prestart(3));
    jobs[0].waits = true;
    help(0, 0, 1, by_submit);
    await_started(1);
    help(1, 1, 5, by_submit);
    help(2, 6, 5, by_submit);
    for (int i = 0; i < 8; i++)
        must(pool_wait_timeout(pool, i % 2) == POOL_ERR_TIMEOUT);
    gate = true;
    join_helpers();
    must(pool_wait(pool) == POOL_OK);
    must(pool_destroy(pool) == POOL_OK);
    check_accepted(11);
}

static void *wait_for_it(void *unused)
{
    must(pool_wait(pool) == POOL_OK);
    return unused;
}

void two_wait(void)
{
    MAKE(1, pool_with_disable_purge(true), pool_with_queue(1));
    help(0, 0, 3, by_submit);
    pthread_t one = start(wait_for_it, NULL), two = start(wait_for_it, NULL);
    must(pool_wait_timeout(pool, 1) != POOL_ERR_CLOSED);
    finish(one);
    finish(two);
    join_helpers();
    await_ran(3);
    must(pool_destroy(pool) == POOL_OK);
    check_accepted(3);
}

/* The last task may be one that is handed back. */
void wait_for_release_now(void)
{
    MAKE(1, pool_with_disable_purge(true), pool_with_queue(2));
    help(0, 0, 3, by_submit);
    pthread_t waiter = start(wait_for_it, NULL);
    must(pool_release_now(pool, job_back, NULL) == POOL_OK);
    finish(waiter);
    join_helpers();
    must(pool_destroy(pool) == POOL_OK);
    check_jobs(3);
}

/* Or one that runs in its caller. */
void wait_for_caller(void)
{
    MAKE(1, pool_with_disable_purge(true), pool_with_policy(POOL_CALLER_RUNS));
    jobs[1].takes = jobs[3].takes = 20000;
    help(0, 0, 2, by_submit);
    help(1, 2, 2, by_submit);
    pthread_t waiter = start(wait_for_it, NULL);
    finish(waiter);
    join_helpers();
    must(pool_destroy(pool) == POOL_OK);
    check_accepted(4);
}

/* Two pools that expire, made and destroyed side by side: one janitor at most, and none left. */
static void *life_of_a_pool(void *arg)
{
    int *ran = arg;
    for (int i = 0; i < 2; i++) {
        pool_t *mine;
        must(pool_new_with(&mine, 1, pool_with_expiry_ms(1), pool_with_spin_us(-1)) == POOL_OK);
        struct job job = {.takes = 1500000};
        must(pool_submit(mine, job_task, &job) == POOL_OK);
        if (schedule_random(2))
            schedule_sleep((int64_t)schedule_random(3000000));
        must(pool_destroy(mine) == POOL_OK);
        *ran += job.ran;
    }
    return NULL;
}

void two_pools(void)
{
    int ran[2] = {0, 0};
    pthread_t one = start(life_of_a_pool, &ran[0]), two = start(life_of_a_pool, &ran[1]);
    finish(one);
    finish(two);
    must(ran[0] == 2 && ran[1] == 2);
}

void prestart_fails(void)
{
    pool_t *none = NULL;
    schedule_fail_creates(50);
    pool_err err = pool_new_with(&none, 3, pool_with_prestart(3), pool_with_expiry_ms(1));
    schedule_fail_creates(0);
    must(err == POOL_OK || err == POOL_ERR_NO_THREAD);
    if (err == POOL_OK)
        must(pool_destroy(none) == POOL_OK);
}
