/* A worker's life: take, run, look again, park; and the records that outlive threads. */
#include "ring.h"

#include <stdlib.h>
#include <string.h>

/* ---- Finishing ---------------------------------------------------------------------------- */

/* Waiters are let in when the queue runs low or the oldest has waited long: instantly for
 * each freed slot would be a context switch per task. */
static bool admission_due(pool_t *pool)
{
    if (atomic_load(&pool->waiting) == 0) /* pairs with the add in waiters.c */
        return false;
    return atomic_load(&pool->aged) > 0 || antp_queue_low(pool);
}

void antp_attend(pool_t *pool)
{
    if (admission_due(pool))
        antp_admit(pool);
    if (atomic_load(&pool->quiet) > 0 && !antp_has_work(pool))
        antp_tell_quiet(pool);
}

static inline bool somebody_waits(pool_t *pool)
{
    return (atomic_load(&pool->waiting) | atomic_load(&pool->quiet)) != 0;
}

void antp_finished(pool_t *pool, uint64_t n)
{
    atomic_fetch_add(&antp_shared_stripe(pool)->done, n); /* seq_cst, before the loads of waiting and
                                                             quiet: whoever joined before is seen */
    if (ANTP_UNLIKELY(somebody_waits(pool)))
        antp_attend(pool);
}

/* Makes what count_finished stored visible to whoever joins the waiting from now on, then
 * looks for those who joined before. Before a worker leaves, sleeps or looks for work that
 * is not there yet; one that takes its next task at once does the same in got_task, where
 * the swap of head stands in place of the add. */
static void settle(struct antp_worker *worker)
{
    atomic_fetch_add(worker->done, 0);
    if (ANTP_UNLIKELY(somebody_waits(worker->pool)))
        antp_attend(worker->pool);
}

/* A stripe of its own needs no locked instruction. */
static inline void count_finished(struct antp_worker *worker)
{
    if (ANTP_LIKELY(worker->owns_stripe))
        atomic_store_explicit(worker->done, atomic_load_explicit(worker->done, memory_order_relaxed) + 1,
                              memory_order_release); /* pairs with antp_done */
    else
        atomic_fetch_add(worker->done, 1);
}

/* ---- The loop ----------------------------------------------------------------------------- */

/* In a forked child a task may return to here; the pool is the parent's. */
static void end_forked(const struct antp_worker *worker)
{
    if (ANTP_UNLIKELY(antp_forked(worker->pool)))
        pthread_exit(NULL);
}

static void finish_task(struct antp_worker *worker)
{
    worker->frame.task.fn = NULL;
    end_forked(worker);
    worker->ran++;
    count_finished(worker);
}

static void recover_from_panic(struct antp_worker *worker)
{
    antp_thread_mask_worker();
    worker->frame.handling_panic = false;
    finish_task(worker);
}

/* The start hook, before the first task, but not while others rely on this worker to
 * search: the hook may take its time. A worker that holds no token is greeted at once. */
static void greet(struct antp_worker *worker)
{
    pool_t *pool = worker->pool;
    if (worker->greeted)
        return;
    worker->greeted = true;
    if (pool->on_thread_start == NULL)
        return;
    worker->held = worker->frame.task.fn;
    worker->frame.task.fn = NULL; /* the hook is no task */
    pool->on_thread_start(pool->thread_user);
    worker->frame.task.fn = worker->held;
    worker->held = NULL;
}

static void got_task(struct antp_worker *worker)
{
    if (worker->searching) {
        antp_stop_searching(worker);
        greet(worker);
    }
    if (ANTP_UNLIKELY(somebody_waits(worker->pool)))
        antp_attend(worker->pool);
}

/* A system call and a context switch cost more than looking again, if the next task is to
 * be expected soon, or submitters are held up at the limit, and tasks are short (their mean
 * time is the mean distance times the number that run at once). */
static bool worth_a_look(pool_t *pool, int64_t each)
{
    bool pressed = atomic_exchange(&pool->pressed, false);
    uint64_t done = antp_done(pool); /* before head, which is never below it */
    int64_t at_once = (int64_t)(atomic_load(&pool->head) - done) + 1;
    return pool->spin_ns > 0 && (pressed || each < ANTP_SOON_NS) && each < ANTP_SHORT_NS / at_once;
}

static bool called_off(pool_t *pool)
{
    return (atomic_load(&pool->tail) & ANTP_CLOSED) != 0 || atomic_load(&pool->surplus);
}

/* Looks for work for a while before parking, one worker at a time. If tasks come in a
 * stream, it lets some gather first: chasing the submitter from task to task would move
 * the lines of tail and crew from core to core for each. */
static bool look_again(struct antp_worker *worker)
{
    pool_t *pool = worker->pool;
    int64_t now = antp_now(), until = now + pool->spin_ns;
    int64_t each = worker->pace = antp_pace(&pool->work_pace, atomic_load(&pool->head), now);
    if (!worth_a_look(pool, each) || atomic_exchange(&pool->spinning, true))
        return false;
    if (!worker->searching)
        antp_start_searching(worker);
    if (each < ANTP_STREAM_NS)
        antp_spin_until(now + antp_gather_ns(pool));
    bool found;
    for (unsigned looks = 0; !(found = antp_has_work(pool)) && !called_off(pool) && antp_now() < until; looks++)
        worker->searching ? antp_relax() : antp_look_pause(looks);
    atomic_store(&pool->spinning, false);
    return found;
}

/* Since the searcher last looked, others took tasks so fast that it would only be in their
 * way: each took less than ANTP_FLOW_NS, or a little more and they are about to be done. */
static bool tasks_flow(struct antp_worker *worker)
{
    pool_t *pool = worker->pool;
    int64_t now = antp_now(), spent = now - worker->looked_at;
    uint64_t head = atomic_load(&pool->head);
    int64_t taken = (int64_t)(head - worker->head_then);
    int64_t queued = (int64_t)(ANTP_POSITION(atomic_load(&pool->tail)) - head);
    worker->looked_at = now;
    worker->head_then = head;
    if (taken == 0)
        return false;
    int64_t each = spent / taken;
    return each < ANTP_FLOW_NS || (each < ANTP_STREAM_NS && queued * each < ANTP_DRAIN_NS);
}

/* It found nothing: others take what comes, it comes often, and it takes less time than a
 * wake-up. To park would be to be woken again for each second task. */
static bool is_one_too_many(struct antp_worker *worker)
{
    return worker->pace < ANTP_SOON_NS &&
           atomic_load_explicit(&worker->pool->each_took, memory_order_relaxed) < ANTP_STREAM_NS;
}

/* False: the worker has left the crew. */
static bool rest(struct antp_worker *worker)
{
    if (is_one_too_many(worker) && (worker->searching || antp_claim_search(worker)) && antp_nap(worker))
        return !worker->left;
    return antp_park(worker);
}

/* A spell is what a worker runs from one search to the next. */
static void begin_spell(struct antp_worker *worker)
{
    worker->spell_at = antp_now();
    worker->spell_ran = worker->ran;
}

static void end_spell(struct antp_worker *worker)
{
    uint64_t ran = worker->ran - worker->spell_ran;
    if (ran > 0)
        atomic_store_explicit(&worker->pool->each_took, (antp_now() - worker->spell_at) / (int64_t)ran,
                              memory_order_relaxed);
}

/* A worker that has caught up with a stream would go on at the heels of its submitter, the
 * line of tail between them for every few tasks. It lets some more gather. */
static void let_gather(struct antp_worker *worker)
{
    if (atomic_load_explicit(&worker->pool->each_took, memory_order_relaxed) < ANTP_FLOW_NS)
        antp_spin_until(antp_now() + antp_gather_ns(worker->pool));
}

static inline enum antp_take take_at_once(struct antp_worker *worker)
{
    if (ANTP_UNLIKELY(worker->searching || atomic_load_explicit(&worker->pool->surplus, memory_order_relaxed)))
        return ANTP_TAKE_EMPTY;
    bool in_stream = worker->ran - worker->spell_ran > ANTP_IN_STREAM;
    return antp_take_task(worker->pool, &worker->tail_seen, in_stream ? ANTP_FEW : 0, &worker->frame.task);
}

/* False: the worker has left the crew. */
static bool seek_task(struct antp_worker *worker, enum antp_take why)
{
    pool_t *pool = worker->pool;
    settle(worker);
    end_spell(worker);
    if (why == ANTP_TAKE_FEW)
        let_gather(worker);
    for (unsigned looks = 0;;) {
        if (ANTP_UNLIKELY(atomic_load_explicit(&pool->surplus, memory_order_relaxed)) &&
            antp_leave_if_surplus(worker))
            return false;
        if (worker->searching && tasks_flow(worker) && antp_nap(worker)) {
            if (worker->left)
                return false;
            continue;
        }
        switch (antp_take_task(pool, &worker->tail_seen, 0, &worker->frame.task)) {
        case ANTP_TAKE_OK:
            got_task(worker);
            begin_spell(worker);
            return true;
        case ANTP_TAKE_UNPUBLISHED:
            antp_look_pause(looks++); /* its submitter has claimed it and may be preempted */
            break;
        case ANTP_TAKE_FEW: break;
        case ANTP_TAKE_EMPTY:
            if (!look_again(worker) && !rest(worker))
                return false;
        }
    }
}

static inline bool next_task(struct antp_worker *worker)
{
    enum antp_take take = take_at_once(worker);
    if (ANTP_UNLIKELY(take != ANTP_TAKE_OK))
        return seek_task(worker, take);
    got_task(worker);
    return true;
}

static void worker_exits(void *worker);

static void run_tasks(struct antp_worker *worker)
{
    pthread_cleanup_push(worker_exits, worker);
    if (sigsetjmp(worker->frame.recover, 0) != 0)
        recover_from_panic(worker);
    if (!worker->searching)
        greet(worker);
    while (worker->frame.task.fn != NULL || next_task(worker)) {
        worker->frame.task.fn(worker->frame.task.arg);
        finish_task(worker);
    }
    pthread_cleanup_pop(1);
}

/* ---- The end ------------------------------------------------------------------------------ */

static void report_exit(struct antp_worker *worker)
{
    antp_log(worker->pool, "a task called pthread_exit; its worker %d is replaced on demand",
             worker->number);
}

/* The last touch of the pool: once ended, the record may be reused, the pool freed. */
static void end_worker(struct antp_worker *worker)
{
    pool_t *pool = worker->pool;
    worker->over = true;
    worker->frame.worker = -1; /* out of the crew: a submit of the hook is an outsider's */
    if (worker->greeted && pool->on_thread_exit != NULL)
        pool->on_thread_exit(pool->thread_user);
    antp_frame_pop(&worker->frame);
    antp_lock(&pool->lock);
    pool->alive--;
    antp_list_append(&pool->ended, &worker->link);
    antp_wake_enders_locked(pool);
    antp_unlock(&pool->lock);
}

/* Runs on every way out of run_tasks; pthread_exit in a task is the one where the worker
 * has not left the crew. If no other can take the place of the last one, it drains the
 * ring itself, here; if a task of that ends the thread as well, glibc runs this once more
 * for each of the frames. */
static void worker_exits(void *arg)
{
    struct antp_worker *worker = arg;
    if (antp_forked(worker->pool) || worker->over)
        return;
    if (worker->held != NULL) { /* by pthread_exit in the start hook: the task still runs */
        worker->frame.task.fn = worker->held;
        worker->held = NULL;
        run_tasks(worker);
        return;
    }
    if (!worker->left) {
        report_exit(worker);
        if (worker->frame.task.fn != NULL)
            finish_task(worker);
        settle(worker);
        if (!antp_lose_worker(worker)) {
            run_tasks(worker);
            return;
        }
    }
    end_worker(worker);
}

void *antp_worker_main(void *arg)
{
    struct antp_worker *worker = arg;
    pool_t *pool = worker->pool;
    antp_lock(&pool->lock); /* held by who started it, until it is counted */
    antp_unlock(&pool->lock);
    antp_thread_settle(worker);
    antp_frame_push(&worker->frame, pool, worker->number);
    run_tasks(worker);
    return NULL;
}

/* ---- Records ------------------------------------------------------------------------------ */

/* Records are allocated one at a time in small pools, so many at most in large ones. */
enum { CHUNK_MAX = 32 };

static void *alloc_apart(size_t size)
{
    size_t whole = (size + ANTP_APART - 1) / ANTP_APART * ANTP_APART;
    return aligned_alloc(ANTP_APART, whole);
}

static bool add_chunk(pool_t *pool, size_t n)
{
    if (n > SIZE_MAX / 2 / sizeof(struct antp_worker))
        return false;
    struct antp_chunk *chunk = malloc(sizeof *chunk);
    if (chunk == NULL)
        return false;
    chunk->workers = alloc_apart(n * sizeof(struct antp_worker));
    if (chunk->workers == NULL) {
        free(chunk);
        return false;
    }
    chunk->used = 0;
    chunk->size = n;
    chunk->next = pool->chunks;
    pool->chunks = chunk;
    return true;
}

pool_err antp_worker_reserve(pool_t *pool, size_t n)
{
    return add_chunk(pool, n) ? POOL_OK : POOL_ERR_NO_MEMORY;
}

static struct antp_worker *new_record(pool_t *pool)
{
    size_t more = 1 + (size_t)antp_least(pool->numbered / 4, CHUNK_MAX - 1);
    if ((pool->chunks == NULL || pool->chunks->used == pool->chunks->size) && !add_chunk(pool, more))
        return NULL;
    struct antp_worker *worker = &pool->chunks->workers[pool->chunks->used];
    memset(worker, 0, sizeof *worker);
    if (antp_cond_init(&worker->wake) != 0)
        return NULL;
    pool->chunks->used++;
    worker->pool = pool;
    worker->number = pool->numbered++;
    worker->owns_stripe = (uint64_t)worker->number < pool->stripe_mask;
    worker->done = worker->owns_stripe ? &pool->stripes[worker->number].done : &antp_shared_stripe(pool)->done;
    antp_list_init(&worker->link);
    return worker;
}

/* Joins the thread that ended first, if that needs no waiting for its thread-local
 * destructors. */
static struct antp_worker *ended_record(pool_t *pool)
{
    if (antp_list_empty(&pool->ended))
        return NULL;
    struct antp_worker *worker = antp_worker_of(pool->ended.next);
    if (!antp_thread_gone(worker->thread))
        return NULL;
    antp_list_remove(&worker->link);
    pool->unjoined--;
    return worker;
}

bool antp_reap_locked(pool_t *pool, int most)
{
    int joined = 0;
    for (struct antp_worker *worker; joined < most && (worker = ended_record(pool)) != NULL; joined++)
        antp_list_append(&pool->spare, &worker->link);
    if (joined > 0)
        antp_wake_enders_locked(pool);
    return joined == most;
}

struct antp_worker *antp_worker_get_locked(pool_t *pool)
{
    struct antp_worker *worker = NULL;
    if (!antp_list_empty(&pool->spare)) {
        worker = antp_worker_of(pool->spare.prev);
        antp_list_remove(&worker->link);
    } else if ((worker = ended_record(pool)) == NULL) {
        worker = new_record(pool);
    }
    return worker;
}

void antp_worker_free_all(pool_t *pool)
{
    for (struct antp_chunk *chunk = pool->chunks, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        for (size_t i = 0; i < chunk->used && !antp_forked(pool); i++)
            antp_cond_fini(&chunk->workers[i].wake);
        free(chunk->workers);
        free(chunk);
    }
}
