/* Submitters at the limit, and what may come while they are blocked. */
#include "scenarios.h"

static void all_is_well(int n)
{
    join_helpers();
    await_ran(n);
    must(pool_destroy(pool) == POOL_OK);
    check_accepted(n);
}

void one_slot(void)
{
    MAKE(1, pool_with_disable_purge(true));
    help(0, 0, 2, by_submit);
    help(1, 2, 2, by_submit);
    all_is_well(4);
    must(most_running == 1);
}

void limit_queue(void)
{
    MAKE(2, pool_with_disable_purge(true), pool_with_queue(1));
    for (int h = 0; h < 3; h++)
        help(h, 2 * h, 2, by_submit);
    all_is_well(6);
    must(most_running <= 2);
}

/* The ring holds two tasks here, so it is full long before the limit. */
void few_cells(void)
{
    MAKE(schedule_random(2) ? POOL_UNLIMITED : 8, pool_with_disable_purge(true),
         pool_with_prestart((int)schedule_random(2)));
    for (int h = 0; h < 3; h++)
        help(h, 3 * h, 3, by_submit);
    all_is_well(9);
}

/* As many run at once as the cap says, however few the cells: none has to end for another to
 * be let in. */
void few_cells_at_once(void)
{
    MAKE(8, pool_with_disable_purge(true), pool_with_prestart((int)schedule_random(2)));
    int first = (int)schedule_random(3), n = 0;
    for (int i = 0; i < 9; i++)
        n += jobs[i].waits = i % 3 >= first;
    for (int h = 0; h < 3; h++)
        help(h, 3 * h, 3, by_submit);
    await_started(n < 8 ? n : 8);
    gate = true;
    all_is_well(9);
}

/* A blocked submitter gets the slot that the first job leaves, at the latest when it has waited
 * long, though the queue is far from empty and the second job takes for ever. */
void slot_behind_a_queue(void)
{
    MAKE(1, pool_with_disable_purge(true), pool_with_queue(7));
    jobs[0].takes = 5000000;
    jobs[1].waits = true;
    help(0, 0, 8, by_submit);
    join_helpers();
    help(1, 8, 1, by_submit);
    join_helpers();
    gate = true;
    all_is_well(9);
}

/* Who comes next does not let in the one who waits, though there is room for both: time does,
 * 50 us or more. But it is not refused either, where only one may wait. */
void slots_gather(void)
{
    int most_waiting = (int)schedule_random(2);
    MAKE(1, pool_with_disable_purge(true), pool_with_queue(8), pool_with_spin_us(-1),
         pool_with_max_blocking(most_waiting));
    for (int i = 0; i < 9; i++)
        must(pool_submit(pool, numbered_task, numbered(i)) == POOL_OK);
    help(0, 0, 1, by_submit);
    await_asleep(0);
    let_end(2);
    await_begun(3);
    help(1, 1, 1, by_submit);
    join_helpers();
    must(most_waiting == 1 || helpers[0].took >= 50000);
    let_end(9);
    all_is_well(2);
}

static void block_two(void)
{
    jobs[0].waits = true;
    jobs[0].answer = by_submit(&jobs[0]);
    jobs[0].submitted = true;
    help(0, 1, 1, by_submit);
    help(1, 2, 1, by_submit);
}

/* The gate opens at any time, so each may be let in or refused. */
static void *open_gate(void *unused)
{
    schedule_here();
    gate = true;
    return unused;
}

void blocked_release(void)
{
    MAKE(1, pool_with_disable_purge(true));
    block_two();
    if (schedule_random(2))
        await_waiting(1);
    pthread_t opener = start(open_gate, NULL);
    must(pool_release(pool) == POOL_OK);
    join_helpers();
    finish(opener);
    must(pool_destroy(pool) == POOL_OK);
    check_jobs(3);
    for (int i = 1; i < 3; i++)
        must(jobs[i].answer == POOL_OK || jobs[i].answer == POOL_ERR_CLOSED);
}

/* The gate is closed: they get their answer from the release. */
void blocked_release_answers(void)
{
    MAKE(1, pool_with_disable_purge(true));
    block_two();
    await_started(1);
    must(pool_release(pool) == POOL_OK);
    join_helpers();
    must(jobs[1].answer == POOL_ERR_CLOSED && jobs[2].answer == POOL_ERR_CLOSED);
    gate = true;
    must(pool_destroy(pool) == POOL_OK);
    check_jobs(3);
}

/* The first job keeps its worker: only the new cap lets the others in. */
void blocked_tune(void)
{
    MAKE(1, pool_with_disable_purge(true));
    block_two();
    must(pool_tune(pool, 2) == POOL_OK);
    join_helpers();
    await_ran(2);
    gate = true;
    must(pool_destroy(pool) == POOL_OK);
    check_accepted(3);
}

void blocked_expiry(void)
{
    MAKE(1, pool_with_expiry_ms(1));
    for (int h = 0; h < 2; h++) {
        helpers[h].pause = 3000000;
        help(h, 2 * h, 2, by_submit);
    }
    all_is_well(4);
}

void blocked_panic(void)
{
    MAKE(1, pool_with_disable_purge(true));
    for (int i = 0; i < 4; i++)
        jobs[i].panics = i % 2 == 0;
    help(0, 0, 2, by_submit);
    help(1, 2, 2, by_submit);
    all_is_well(4);
}

void blocked_exit(void)
{
    MAKE(1, pool_with_disable_purge(true));
    for (int i = 0; i < 4; i++)
        jobs[i].exits = i % 2 == 0;
    help(0, 0, 2, by_submit);
    help(1, 2, 2, by_submit);
    all_is_well(4);
}

void blocked_timeout(void)
{
    MAKE(1, pool_with_disable_purge(true));
    for (int i = 0; i < 4; i++)
        jobs[i].takes = 2000000;
    help(0, 0, 2, by_timeout);
    help(1, 2, 2, by_timeout);
    join_helpers();
    await_accepted_ran();
    must(pool_destroy(pool) == POOL_OK);
    check_jobs(4);
    for (int i = 0; i < 4; i++)
        must(jobs[i].answer == POOL_OK || jobs[i].answer == POOL_ERR_TIMEOUT);
}

/* Nobody else submits, so who comes second waits, and who comes third is refused. */
void max_blocking(void)
{
    MAKE(1, pool_with_disable_purge(true), pool_with_max_blocking(1));
    block_two();
    help(2, 3, 1, by_submit);
    await_waiting(1);
    gate = true;
    join_helpers();
    await_accepted_ran();
    must(pool_destroy(pool) == POOL_OK);
    check_jobs(4);
    int refused = 0;
    for (int i = 0; i < 4; i++)
        refused += jobs[i].answer == POOL_ERR_OVERLOAD;
    must(refused <= 2);
}

static int order[JOBS], n_ordered;

static void note_order(void *job)
{
    order[n_ordered++] = (int)((struct job *)job - jobs);
    job_task(job);
}

static pool_err in_order(struct job *job)
{
    return pool_submit(pool, note_order, job);
}

void first_come(void)
{
    n_ordered = 0;
    MAKE(1, pool_with_disable_purge(true));
    jobs[0].waits = true;
    help(0, 0, 1, in_order);
    await_started(1);
    for (int h = 1; h < 4; h++) {
        help(h, h, 1, in_order);
        await_waiting(h);
    }
    gate = true;
    all_is_well(4);
    for (int i = 0; i < 4; i++)
        must(order[i] == i);
}

void refuse(void)
{
    MAKE(1, pool_with_disable_purge(true), pool_with_policy(POOL_REFUSE), pool_with_queue(1));
    help(0, 0, 3, by_submit);
    help(1, 3, 3, by_try);
    join_helpers();
    await_accepted_ran();
    must(pool_destroy(pool) == POOL_OK);
    check_jobs(6);
    must(jobs[0].answer == POOL_OK || jobs[3].answer == POOL_OK);
}

void caller_runs(void)
{
    MAKE(1, pool_with_disable_purge(true), pool_with_policy(POOL_CALLER_RUNS));
    help(0, 0, 3, by_submit);
    help(1, 3, 3, by_submit);
    join_helpers();
    must(pool_wait(pool) == POOL_OK);
    must(running == 0);
    must(pool_destroy(pool) == POOL_OK);
    check_accepted(6);
}

void discard(void)
{
    MAKE(1, pool_with_disable_purge(true), pool_with_policy(POOL_DISCARD_OLDEST), pool_with_queue(1),
         pool_with_discard_handler(job_back, NULL));
    help(0, 0, 3, by_submit);
    help(1, 3, 3, by_submit);
    join_helpers();
    await_accepted_ran();
    must(pool_destroy(pool) == POOL_OK);
    check_jobs(6);
}

/* Tasks that submit to their own full pool, for ever. */
void nested(void)
{
    MAKE(2, pool_with_disable_purge(true));
    for (int i = 0; i < 3; i++)
        jobs[i].child = &jobs[3 + i];
    help(0, 0, 2, by_submit);
    help(1, 2, 1, by_submit);
    join_helpers();
    await_accepted_ran();
    must(pool_wait(pool) == POOL_OK);
    must(pool_destroy(pool) == POOL_OK);
    check_jobs(6);
    for (int i = 3; i < 6; i++)
        must(jobs[i].answer == POOL_OK || jobs[i].answer == POOL_ERR_DEADLOCK);
}

/* ---- A slot that nobody was told of ----------------------------------------------------------- */

static bool is_full(void *full)
{
    return *(bool *)full;
}

static bool full;

static void submit_late(void *job)
{
    schedule_await(is_full, &full);
    job_task(job);
}

static pool_err by_parent(struct job *job)
{
    return pool_submit(pool, submit_late, job);
}

/* The other worker is lost and has no successor, but its slot is free: so this is no deadlock. */
void nested_exit(void)
{
    full = false;
    MAKE(2, pool_with_disable_purge(true), pool_with_queue(4));
    jobs[0].child = &jobs[6];
    jobs[1].waits = jobs[1].exits = true;
    help(0, 0, 1, by_parent);
    join_helpers();
    help(0, 1, 1, by_submit);
    await_started(1);
    join_helpers();
    help(0, 2, 4, by_submit);
    join_helpers();
    schedule_fail_creates(100);
    full = true;
    await_waiting(1);
    gate = true;
    await_ran(7);
    must(pool_destroy(pool) == POOL_OK);
    check_accepted(7);
}
