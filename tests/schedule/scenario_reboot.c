/* Opening again, and what that may meet. */
#include "scenarios.h"

static void *release_and_reboot(void *unused)
{
    for (int i = 0; i < 2; i++) {
        must(pool_release(pool) == POOL_OK);
        pool_err err = pool_reboot(pool);
        must(err == POOL_OK || err == POOL_ERR_BUSY);
    }
    return unused;
}

static void *release_in_time(void *unused)
{
    pool_err err = pool_release_timeout(pool, 3);
    must(err == POOL_OK || err == POOL_ERR_TIMEOUT);
    return unused;
}

void reboot(void)
{
    MAKE(2, pool_with_expiry_ms(1), pool_with_queue(1), pool_with_prestart((int)schedule_random(2)));
    help(0, 0, 4, by_submit);
    pthread_t one = start(release_and_reboot, NULL), two = start(release_and_reboot, NULL);
    pthread_t three = start(release_in_time, NULL);
    join_helpers();
    finish(one);
    finish(two);
    finish(three);
    must(pool_release_timeout(pool, POOL_FOREVER) == POOL_OK);
    must(pool_reboot(pool) == POOL_OK);
    help(1, 4, 2, by_submit);
    join_helpers();
    must(jobs[4].answer == POOL_OK && jobs[5].answer == POOL_OK);
    await_accepted_ran();
    must(pool_destroy(pool) == POOL_OK);
    check_jobs(6);
}

static bool is_closed(void *unused)
{
    struct thread *me = self;
    self = NULL; /* looked at by the scheduler */
    bool closed = pool_is_closed(pool);
    self = me;
    return unused == NULL && closed;
}

static void reboot_until_open(void)
{
    pool_err err;
    while ((err = pool_reboot(pool)) == POOL_ERR_BUSY)
        schedule_sleep(1000);
    must(err == POOL_OK);
}

/* A reboot that fails half-way leaves no worker behind, else the next one is busy for ever. */
void reboot_fails(void)
{
    MAKE(2, pool_with_expiry_ms(1), pool_with_prestart(2));
    must(pool_release_timeout(pool, POOL_FOREVER) == POOL_OK);
    schedule_fail_creates(50);
    pool_err err = pool_reboot(pool);
    must(err == POOL_OK || err == POOL_ERR_NO_THREAD);
    must(pool_is_closed(pool) == (err != POOL_OK));
    schedule_fail_creates(0);
    reboot_until_open();
    help(0, 0, 1, by_submit);
    join_helpers();
    must(pool_destroy(pool) == POOL_OK);
    check_accepted(1);
}

static void *release_for_good(void *unused)
{
    must(pool_release_timeout(pool, POOL_FOREVER) == POOL_OK);
    return unused;
}

static int goodbyes;

static void say_goodbye(void *unused)
{
    (void)unused;
    schedule_here();
    goodbyes++;
}

/* The end of the first opening is waited for, but not that of the second, which does not come. */
void reboot_meets_release(void)
{
    goodbyes = 0;
    MAKE(1, pool_with_disable_purge(true), pool_with_prestart(1),
         pool_with_thread_hooks(NULL, say_goodbye, NULL));
    pthread_t waiter = start(release_for_good, NULL);
    schedule_await(is_closed, NULL);
    reboot_until_open();
    finish(waiter);
    must(goodbyes == 1);
    must(!pool_is_closed(pool));
    must(pool_destroy(pool) == POOL_OK);
}

static void *release_at_once(void *unused)
{
    must(pool_release_now(pool, job_back, NULL) == POOL_OK);
    return unused;
}

/* What is accepted after the reboot runs: it is not handed back by the release before it. */
void reboot_meets_release_now(void)
{
    MAKE(1, pool_with_disable_purge(true), pool_with_queue(2), pool_with_prestart((int)schedule_random(2)));
    help(0, 0, 2, by_submit);
    pthread_t releaser = start(release_at_once, NULL);
    schedule_await(is_closed, NULL);
    reboot_until_open();
    help(1, 2, 1, by_submit);
    finish(releaser);
    join_helpers();
    await_accepted_ran();
    must(pool_destroy(pool) == POOL_OK);
    check_jobs(3);
    must(jobs[2].answer == POOL_OK && jobs[2].ran == 1);
}

static void must_not_log(void *unused, const char *line)
{
    (void)unused;
    schedule_fail("it logs: %s", line);
}

/* No worker comes after the release, though submitters are still on their way out: none could
 * be had, and nobody complains of it. */
void reboot_at_once(void)
{
    MAKE(2, pool_with_disable_purge(true), pool_with_queue(3), pool_with_logger(must_not_log, NULL));
    help(0, 0, 2, by_submit);
    help(1, 2, 2, by_submit);
    must(pool_release_now(pool, job_back, NULL) == POOL_OK);
    must(pool_release_timeout(pool, POOL_FOREVER) == POOL_OK);
    schedule_fail_creates(100);
    must(pool_workers(pool) == 0);
    join_helpers();
    schedule_fail_creates(0);
    must(pool_reboot(pool) == POOL_OK);
    must(pool_destroy(pool) == POOL_OK);
    check_jobs(4);
}

static bool drained, in_caller;

static bool is_drained(void *unused)
{
    (void)unused;
    return drained;
}

static bool runs_in_caller(void *unused)
{
    (void)unused;
    return in_caller;
}

/* In the caller of a submit, which keeps the pool in memory until this is over. */
static void reboot_in_caller(void *job)
{
    in_caller = true;
    schedule_await(is_drained, NULL);
    for (int i = 0; i < 3; i++) {
        pool_err err = pool_reboot(pool);
        must(err == POOL_OK || err == POOL_ERR_BUSY);
    }
    ((struct job *)job)->ran++;
}

static pool_err by_rebooting(struct job *job)
{
    return pool_submit(pool, reboot_in_caller, job);
}

/* A pool that is being destroyed is not opened any more, and not freed under the reboot. */
void reboot_meets_destroy(void)
{
    drained = in_caller = false;
    MAKE(1, pool_with_disable_purge(true), pool_with_policy(POOL_CALLER_RUNS),
         pool_with_prestart((int)schedule_random(2)));
    jobs[0].waits = true;
    help(0, 0, 1, by_submit);
    await_started(1);
    help(1, 1, 1, by_rebooting);
    schedule_await(runs_in_caller, NULL);
    must(pool_release(pool) == POOL_OK);
    gate = true;
    await_workers(0);
    drained = true;
    must(pool_destroy(pool) == POOL_OK);
    join_helpers();
    check_accepted(2);
}
