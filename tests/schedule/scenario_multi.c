/* Multipools: who waits for a slot of any shard, and what may come meanwhile. */
#include "scenarios.h"

static multipool_t *multi;
static int shard_of[JOBS]; /* where each is sent first; by chance, and the same for a seed */

static void say_nothing(void *unused, const char *line)
{
    (void)unused;
    (void)line;
}

static int pick(void *unused, multipool_t *multipool, uint64_t key)
{
    (void)unused;
    (void)multipool;
    return key == 0 ? (int)schedule_random(2) : shard_of[key - 1];
}

/* Two shards. `pool`, which the waits of scenario.c look at, is the first. */
static void make_multi(int cap, const pool_option_t *options)
{
    pool_option_t all[16] = {pool_with_logger(say_nothing, NULL),
                             pool_with_spin_us(schedule_random(2) == 0 ? -1 : 20)};
    for (int n = 2; options->apply != NULL; options++)
        all[n++] = *options;
    must(multipool_new_from(&multi, 2, cap, MULTIPOOL_ROUND_ROBIN, all) == POOL_OK);
    must(multipool_set_picker(multi, pick, NULL) == POOL_OK);
    pool = multipool_shard(multi, 0);
}
#define MAKE_MULTI(cap, ...) make_multi(cap, (const pool_option_t[]){__VA_ARGS__, POOL_OPTIONS_END})

static pool_err by_any(struct job *job)
{
    return multipool_submit(multi, job_task, job);
}

static pool_err by_any_timeout(struct job *job)
{
    return multipool_submit_timeout(multi, job_task, job, 1);
}

static pool_err by_key(struct job *job)
{
    return multipool_submit_key(multi, (uint64_t)(job - jobs) + 1, job_task, job);
}

/* A job that keeps that shard's worker until the gate opens. */
static void hold(int job, int shard)
{
    shard_of[job] = shard;
    jobs[job].waits = true;
    jobs[job].answer = by_key(&jobs[job]);
    jobs[job].submitted = true;
}

static bool enough_wait(void *n)
{
    struct thread *me = self;
    self = NULL;
    int waiting = multipool_waiting(multi);
    self = me;
    return waiting >= *(int *)n;
}

static void await_waiters(int n)
{
    schedule_await(enough_wait, &n);
}

static void end_multi(int jobs_n)
{
    must(multipool_destroy(multi) == POOL_OK);
    check_jobs(jobs_n);
}

/* Shard 0 is held: whoever finds both full gets in by shard 1, again and again. */
void multi_any_slot(void)
{
    MAKE_MULTI(1, pool_with_disable_purge(true));
    hold(0, 0);
    help(0, 1, 2, by_any);
    help(1, 3, 2, by_any);
    join_helpers();
    await_ran(4);
    gate = true;
    end_multi(5);
    check_accepted(5);
}

/* The same, small, to be searched. */
void multi_one_waits(void)
{
    MAKE_MULTI(1, pool_with_disable_purge(true));
    hold(0, 0);
    hold(1, 1);
    help(0, 2, 1, by_any);
    await_started(2);
    gate = true;
    join_helpers();
    end_multi(3);
    check_accepted(3);
}

/* Shard 0 has room for all who wait, and one more: who comes next lets them in only if it would
 * be refused else, two may wait for each shard's one. */
void multi_slots_gather(void)
{
    int most_waiting = (int)schedule_random(2);
    MAKE_MULTI(1, pool_with_disable_purge(true), pool_with_queue(8), pool_with_spin_us(-1),
               pool_with_max_blocking(most_waiting));
    for (int i = 0; i < 18; i++) {
        shard_of[0] = i / 9;
        must(multipool_submit_key(multi, 1, numbered_task, numbered(i)) == POOL_OK);
    }
    help(0, 0, 1, by_any);
    await_asleep(0);
    help(1, 1, 1, by_any);
    await_asleep(1);
    let_end(3);
    await_begun(5);
    help(2, 2, 1, by_any);
    join_helpers();
    must(most_waiting == 1 || helpers[0].took >= 50000);
    let_end(18);
    end_multi(3);
    check_accepted(3);
}

/* Whoever is pinned to shard 1 and whoever takes any stand before the same slot. */
void multi_two_lines(void)
{
    int queue = (int)schedule_random(2);
    MAKE_MULTI(1, pool_with_disable_purge(true), pool_with_queue(queue));
    hold(0, 0);
    for (int i = 1; i < 8; i++)
        shard_of[i] = 1;
    help(0, 1, 2, by_any);
    help(1, 3, 2, by_key);
    help(2, 5, 2, by_any);
    if (queue == 0) { /* all run beside the held one */
        join_helpers();
        await_ran(6);
    }
    gate = true;
    join_helpers();
    end_multi(7);
    check_accepted(7);
}

/* Two stand in each line, before the same shard. */
void multi_both_lines_blocked(void)
{
    MAKE_MULTI(1, pool_with_disable_purge(true));
    hold(0, 0);
    hold(1, 1);
    await_started(2);
    shard_of[2] = shard_of[3] = 1;
    for (int i = 2; i < 6; i++)
        help(i - 2, i, 1, i < 4 ? by_key : by_any);
    await_waiters(4);
    gate = true;
    join_helpers();
    end_multi(6);
    check_accepted(6);
}

void multi_release(void)
{
    MAKE_MULTI(1, pool_with_disable_purge(true));
    hold(0, 0);
    hold(1, 1);
    help(0, 2, 1, by_any);
    help(1, 3, 1, by_any);
    if (schedule_random(2))
        await_started(2);
    must(multipool_release(multi) == POOL_OK);
    join_helpers();
    gate = true;
    end_multi(4);
    for (int i = 2; i < 4; i++)
        must(jobs[i].answer == POOL_ERR_CLOSED);
}

static void *close_first(void *unused)
{
    must(pool_release(multipool_shard(multi, 0)) == POOL_OK);
    return unused;
}

/* Shard by shard, from two threads: the last one answers. */
void multi_closed_one_by_one(void)
{
    MAKE_MULTI(1, pool_with_disable_purge(true));
    hold(0, 0);
    hold(1, 1);
    await_started(2);
    help(0, 2, 1, by_any);
    pthread_t closer = start(close_first, NULL);
    must(pool_release(multipool_shard(multi, 1)) == POOL_OK);
    join_helpers();
    finish(closer);
    must(jobs[2].answer == POOL_ERR_CLOSED);
    gate = true;
    end_multi(3);
}

void multi_timeout(void)
{
    MAKE_MULTI(1, pool_with_disable_purge(true));
    hold(0, 0);
    jobs[1].takes = 2000000;
    help(0, 1, 2, by_any_timeout);
    help(1, 3, 2, by_any_timeout);
    join_helpers();
    gate = true;
    end_multi(5);
    for (int i = 1; i < 5; i++)
        must(jobs[i].answer == POOL_OK || jobs[i].answer == POOL_ERR_TIMEOUT);
}

/* All jobs keep their workers: only the new cap lets the waiter in. */
void multi_tune(void)
{
    MAKE_MULTI(1, pool_with_disable_purge(true));
    hold(0, 0);
    hold(1, 1);
    await_started(2);
    help(0, 2, 1, by_any);
    if (schedule_random(2))
        await_waiters(1);
    if (schedule_random(2))
        must(multipool_tune(multi, 2) == POOL_OK);
    else
        must(pool_tune(multipool_shard(multi, (int)schedule_random(2)), 2) == POOL_OK);
    join_helpers();
    await_ran(1);
    gate = true;
    end_multi(3);
    check_accepted(3);
}

/* Only the shard that is opened again lets the waiter in. */
void multi_reboot(void)
{
    MAKE_MULTI(1, pool_with_disable_purge(true), pool_with_prestart((int)schedule_random(2)));
    pool_t *closed = multipool_shard(multi, 1);
    must(pool_release_timeout(closed, POOL_FOREVER) == POOL_OK);
    hold(0, 0);
    await_started(1);
    help(0, 1, 1, by_any);
    if (schedule_random(2))
        await_waiters(1);
    must(pool_reboot(closed) == POOL_OK);
    join_helpers();
    await_ran(1);
    gate = true;
    end_multi(2);
    check_accepted(2);
}

/* A job passes the baton to the other shard before it ends: at no instant all are quiet. */
void multi_quiet(void)
{
    MAKE_MULTI(1, pool_with_disable_purge(true), pool_with_queue(1));
    for (int i = 0; i < 4; i++) {
        shard_of[i] = i % 2;
        jobs[i].child = i < 3 ? &jobs[i + 1] : NULL;
        jobs[i].by = by_key;
    }
    help(0, 0, 1, by_key);
    join_helpers();
    must(multipool_wait(multi) == POOL_OK);
    for (int i = 0; i < 4; i++)
        must(jobs[i].ran == 1);
    end_multi(4);
}

static void *wait_for_quiet(void *unused)
{
    must(multipool_wait(multi) == POOL_OK);
    return unused;
}

/* Two wait while the last jobs of both shards end at one time. */
void multi_quiet_at_once(void)
{
    MAKE_MULTI(1, pool_with_disable_purge(true));
    hold(0, 0);
    hold(1, 1);
    pthread_t waiter = start(wait_for_quiet, NULL);
    if (schedule_random(2))
        await_started(2);
    gate = true;
    must(multipool_wait(multi) == POOL_OK);
    finish(waiter);
    end_multi(2);
    check_accepted(2);
}

void multi_destroy(void)
{
    MAKE_MULTI(1, pool_with_disable_purge(schedule_random(2)), pool_with_expiry_ms(1));
    hold(0, 0);
    hold(1, 1);
    await_started(2);
    help(0, 2, 1, by_any);
    help(1, 3, 1, by_any);
    await_waiters(2);
    gate = true;
    must(multipool_destroy(multi) == POOL_OK);
    join_helpers();
    check_jobs(4);
}

/* Two jobs at the limit submit to the multipool: one of them must be refused, once. */
void multi_nested(void)
{
    MAKE_MULTI(1, pool_with_disable_purge(true));
    for (int i = 0; i < 2; i++) {
        shard_of[i] = i;
        jobs[i].waits_first = true;
        jobs[i].child = &jobs[2 + i];
        jobs[2 + i].by = by_any;
    }
    help(0, 0, 1, by_key);
    help(1, 1, 1, by_key);
    join_helpers();
    await_started(2);
    gate = true;
    await_ran(3);
    end_multi(4);
    must((jobs[2].answer == POOL_ERR_DEADLOCK) + (jobs[3].answer == POOL_ERR_DEADLOCK) == 1);
    must((jobs[2].answer == POOL_OK) + (jobs[3].answer == POOL_OK) == 1);
}

/* One of the two is not blocked: nobody is refused. */
void multi_nested_beside_a_busy_one(void)
{
    MAKE_MULTI(1, pool_with_disable_purge(true));
    hold(0, 0);
    await_started(1);
    shard_of[1] = 1;
    jobs[1].child = &jobs[2];
    jobs[2].by = by_any;
    help(0, 1, 1, by_key);
    join_helpers();
    if (schedule_random(2))
        await_waiters(1);
    gate = true;
    await_ran(3);
    end_multi(3);
    check_accepted(3);
}

/* The busy one ends its thread, and no other can be had: then the waiter is all there is. */
void multi_nested_exit(void)
{
    MAKE_MULTI(1, pool_with_disable_purge(true));
    hold(0, 0);
    await_started(1);
    jobs[0].exits = true;
    shard_of[1] = 1;
    jobs[1].child = &jobs[2];
    jobs[2].by = by_any;
    help(0, 1, 1, by_key);
    join_helpers();
    await_waiters(1);
    schedule_fail_creates(100);
    gate = true;
    await_accepted_ran();
    end_multi(3);
    must(jobs[2].answer == POOL_OK || jobs[2].answer == POOL_ERR_DEADLOCK);
}

void multi_expiry(void)
{
    MAKE_MULTI(1, pool_with_expiry_ms(1));
    for (int h = 0; h < 3; h++) {
        helpers[h].pause = 3000000;
        help(h, 2 * h, 2, by_any);
    }
    join_helpers();
    await_ran(6);
    end_multi(6);
    check_accepted(6);
}

/* Nobody is told that there is no thread while a shard has one, or could run the task later. */
void multi_creates_fail(void)
{
    MAKE_MULTI(1, pool_with_disable_purge(true));
    for (int h = 0; h < 3; h++)
        help(h, 2 * h, 2, by_any);
    schedule_fail_creates(50);
    join_helpers();
    await_accepted_ran();
    end_multi(6);
    for (int i = 0; i < 6; i++)
        must(jobs[i].answer == POOL_OK || jobs[i].answer == POOL_ERR_NO_THREAD);
}

/* The second shard has a slot, but no worker until threads are to be had again. */
void multi_thread_comes_back(void)
{
    MAKE_MULTI(1, pool_with_disable_purge(true));
    hold(0, 0);
    await_started(1);
    help(0, 1, 1, by_any);
    schedule_fail_creates(100);
    if (schedule_random(2))
        await_waiters(1);
    else
        schedule_here();
    schedule_fail_creates(0);
    join_helpers();
    await_ran(1);
    gate = true;
    end_multi(2);
    check_accepted(2);
}

void multi_no_thread_at_all(void)
{
    MAKE_MULTI(1, pool_with_disable_purge(true));
    schedule_fail_creates(100);
    for (int i = 0; i < 4; i++) {
        must(by_any(&jobs[i]) == POOL_ERR_NO_THREAD);
        must(by_any_timeout(&jobs[i]) == POOL_ERR_NO_THREAD);
    }
    must(multipool_destroy(multi) == POOL_OK);
}

/* One time for all shards, not one for each. */
void multi_release_timeout(void)
{
    MAKE_MULTI(1, pool_with_disable_purge(true));
    hold(0, 0);
    hold(1, 1);
    await_started(2);
    int64_t begin = schedule_now;
    must(multipool_release_timeout(multi, 1000) == POOL_ERR_TIMEOUT);
    must(multipool_error_shard() == 0);
    must(schedule_now - begin < 1900 * (int64_t)1000000);
    gate = true;
    must(multipool_release_timeout(multi, POOL_FOREVER) == POOL_OK);
    end_multi(2);
}

/* Three of four slots may be blocked; whoever has the fourth, or is about to get a worker for
 * it, ends. So nobody is refused. */
void multi_nested_beside_a_start(void)
{
    MAKE_MULTI(2, pool_with_disable_purge(true));
    for (int i = 0; i < 4; i++)
        shard_of[i] = i / 2;
    for (int i = 0; i < 3; i++) {
        jobs[i].waits_first = true;
        jobs[i].child = &jobs[4 + i];
        jobs[4 + i].by = by_any;
    }
    help(0, 0, 3, by_key);
    await_started(3);
    help(1, 3, 1, by_key);
    gate = true;
    join_helpers();
    await_ran(7);
    end_multi(7);
    check_accepted(7);
}

/* Each submit sees a picker that is whole, and not yet freed. */
void multi_set_picker(void)
{
    MAKE_MULTI(2, pool_with_disable_purge(true), pool_with_queue(2));
    help(0, 0, 2, by_any);
    help(1, 2, 2, by_any);
    must(multipool_set_picker(multi, NULL, NULL) == POOL_OK);
    must(multipool_set_picker(multi, pick, NULL) == POOL_OK);
    join_helpers();
    await_ran(4);
    end_multi(4);
    check_accepted(4);
}

void multi_max_blocking(void)
{
    MAKE_MULTI(1, pool_with_disable_purge(true), pool_with_max_blocking(1));
    hold(0, 0);
    hold(1, 1);
    await_started(2);
    for (int h = 0; h < 3; h++)
        help(h, 2 + h, 1, by_any);
    await_waiters(2);
    gate = true;
    join_helpers();
    end_multi(5);
    int refused = 0;
    for (int i = 2; i < 5; i++) {
        must(jobs[i].answer == POOL_OK || jobs[i].answer == POOL_ERR_OVERLOAD);
        refused += jobs[i].answer == POOL_ERR_OVERLOAD;
    }
    must(refused <= 1);
}
