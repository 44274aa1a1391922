/* A worker's life: take, run, count, and the end. How it looks for work is in search.c. */
#include "ring.h"

#include <string.h>

/* ---- Finishing ---------------------------------------------------------------------------- */

/* Waiters are let in when the queue runs low or the oldest has waited long: instantly for
 * each freed slot would be a context switch per task. */
static bool admission_due(pool_t *pool)
{
    if (!antp_waited_for(pool)) /* pairs with the add in waiters.c */
        return false;
    return atomic_load(&pool->line.aged) > 0 || (pool->multi != NULL && atomic_load(&pool->multi->line.aged) > 0) ||
           antp_queue_low(pool);
}

void antp_attend(pool_t *pool)
{
    if (admission_due(pool))
        antp_admit(pool);
    if (antp_quiet_awaited(pool) && !antp_has_work(pool))
        antp_tell_quiet(pool);
}

static inline bool somebody_waits(pool_t *pool)
{
    multipool_t *multi = pool->multi;
    if (ANTP_UNLIKELY(multi != NULL) && (atomic_load(&multi->line.waiting) | atomic_load(&multi->quiet)) != 0)
        return true;
    return (atomic_load(&pool->line.waiting) | atomic_load(&pool->quiet)) != 0;
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
    atomic_fetch_add(worker->own->done, 0);
    if (ANTP_UNLIKELY(somebody_waits(worker->pool)))
        antp_attend(worker->pool);
}

/* A stripe of its own needs no locked instruction. */
static inline void count_finished(struct antp_worker *worker)
{
    atomic_uint_fast64_t *done = worker->own->done;
    if (ANTP_LIKELY(worker->own->owns_stripe))
        atomic_store_explicit(done, atomic_load_explicit(done, memory_order_relaxed) + 1,
                              memory_order_release); /* pairs with antp_done */
    else
        atomic_fetch_add(done, 1);
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
    worker->own->frame.task.fn = NULL;
    end_forked(worker);
    worker->own->ran++;
    count_finished(worker);
}

static void recover_from_panic(struct antp_worker *worker)
{
    antp_thread_mask_worker();
    worker->own->frame.handling_panic = false;
    finish_task(worker);
}

/* The start hook, before the first task, but not while others rely on this worker to
 * search: the hook may take its time. A worker that holds no token is greeted at once. */
static void greet(struct antp_worker *worker)
{
    pool_t *pool = worker->pool;
    struct antp_own *own = worker->own;
    if (own->greeted)
        return;
    own->greeted = true;
    if (pool->on_thread_start == NULL)
        return;
    own->held = own->frame.task.fn;
    own->frame.task.fn = NULL; /* the hook is no task */
    pool->on_thread_start(pool->thread_user);
    end_forked(worker);
    own->frame.task.fn = own->held;
    own->held = NULL;
}

static void got_task(struct antp_worker *worker)
{
    bool searched = worker->searching;
    if (searched)
        antp_stop_searching(worker);
    if (ANTP_UNLIKELY(somebody_waits(worker->pool)))
        antp_attend(worker->pool);
    if (searched)
        greet(worker); /* last: nobody waits for a hook */
}

static inline enum antp_take take_at_once(struct antp_worker *worker)
{
    if (ANTP_UNLIKELY(worker->searching || atomic_load_explicit(&worker->pool->surplus, memory_order_relaxed)))
        return ANTP_TAKE_EMPTY;
    struct antp_own *own = worker->own;
    bool in_stream = own->ran - own->spell_ran > ANTP_IN_STREAM;
    return antp_take_task(worker->pool, &own->tail_seen, in_stream ? ANTP_FEW : 0, &own->frame.task);
}

static bool seek_task(struct antp_worker *worker, enum antp_take why)
{
    settle(worker);
    if (why == ANTP_TAKE_EMPTY && antp_work_comes_at_once(worker) && take_at_once(worker) == ANTP_TAKE_OK) {
        got_task(worker); /* its spell goes on */
        return true;
    }
    antp_end_spell(worker);
    if (!antp_seek(worker, why))
        return false;
    got_task(worker);
    antp_begin_spell(worker);
    return true;
}

/* False: the worker has left the crew. */
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
    if (sigsetjmp(worker->own->frame.recover, 0) != 0)
        recover_from_panic(worker);
    if (!worker->searching)
        greet(worker);
    while (worker->own->frame.task.fn != NULL || next_task(worker)) {
        worker->own->frame.task.fn(worker->own->frame.task.arg);
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
    struct antp_own *own = worker->own;
    own->over = true;
    own->frame.worker = -1; /* out of the crew: a submit of the hook is an outsider's */
    if (own->greeted && pool->on_thread_exit != NULL)
        pool->on_thread_exit(pool->thread_user);
    antp_frame_pop(&own->frame);
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
    struct antp_own *own = worker->own;
    if (antp_forked(worker->pool))
        antp_frame_pop(&own->frame); /* it ends with this stack, before what runs at exit */
    if (antp_forked(worker->pool) || own->over)
        return;
    if (own->held != NULL) { /* by pthread_exit in the start hook: the task still runs */
        own->frame.task.fn = own->held;
        own->held = NULL;
        run_tasks(worker);
        return;
    }
    if (!worker->left) {
        report_exit(worker);
        if (own->frame.task.fn != NULL)
            finish_task(worker);
        settle(worker);
        if (!antp_lose_worker(worker)) {
            run_tasks(worker);
            return;
        }
    }
    end_worker(worker);
}

/* A record may have had threads before this one. */
static void begin_own(struct antp_worker *worker, struct antp_own *own)
{
    pool_t *pool = worker->pool;
    memset(own, 0, sizeof *own);
    own->owns_stripe = (uint64_t)worker->number < pool->stripe_mask;
    own->done = own->owns_stripe ? &pool->stripes[worker->number].done : &antp_shared_stripe(pool)->done;
    antp_frame_push(&own->frame, pool, worker->number);
    worker->own = own;
}

void *antp_worker_main(void *arg)
{
    struct antp_worker *worker = arg;
    struct antp_own own;
    pool_t *pool = worker->pool;
    if (!atomic_load(&worker->counted)) {
        antp_lock(&pool->lock); /* held by who started it, until it is counted */
        antp_unlock(&pool->lock);
    }
    antp_thread_settle(worker);
    begin_own(worker, &own);
    antp_begin_spell(worker);
    run_tasks(worker);
    return NULL;
}
