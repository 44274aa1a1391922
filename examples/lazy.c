/*
 * lazy: how does one have a pool that costs nothing until somebody needs it?
 *
 * It is made by the first submit. That is not a matter for pthread_once: making a pool can
 * fail (a bad setting, no memory), and then the next submit has to try again. So a lock
 * guards the making, and an atomic pointer, set when the pool is whole, spares all later
 * submits the lock. One does so in a library, or for a rare command of a service.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "antpool.h"

enum { THREADS = 8, CAP = 4 };

static void need(bool so, const char *what)
{
    if (so)
        return;
    fprintf(stderr, "lazy: not so: %s\n", what);
    exit(EXIT_FAILURE);
}

static void need_ok(pool_err err, const char *call)
{
    if (err == POOL_OK)
        return;
    fprintf(stderr, "lazy: %s: %s\n", call, pool_strerror(err));
    exit(EXIT_FAILURE);
}

/* ---- A pool made on first use ------------------------------------------------------ */

typedef struct lazy {
    pthread_mutex_t lock;
    _Atomic(pool_t *) pool; /* NULL: not made yet; set under the lock, once */
    int cap;                /* the rest under the lock */
    int tries, made;
} lazy_t;

static pool_err make_pool(lazy_t *lazy, pool_t **out)
{
    pool_err err = POOL_OK;
    pthread_mutex_lock(&lazy->lock);
    *out = atomic_load_explicit(&lazy->pool, memory_order_relaxed);
    if (*out == NULL) {
        lazy->tries++;
        err = pool_new_with(out, lazy->cap, pool_with_name("lazy"));
        if (err == POOL_OK) {
            lazy->made++;
            /* Pairs with the load in lazy_submit: who sees the pool sees it whole. */
            atomic_store_explicit(&lazy->pool, *out, memory_order_release);
        }
    }
    pthread_mutex_unlock(&lazy->lock);
    return err;
}

/* Errors: those of pool_new and of pool_submit. */
static pool_err lazy_submit(lazy_t *lazy, pool_task_fn fn, void *arg)
{
    pool_t *pool = atomic_load_explicit(&lazy->pool, memory_order_acquire);
    pool_err err = pool != NULL ? POOL_OK : make_pool(lazy, &pool);
    return err != POOL_OK ? err : pool_submit(pool, fn, arg);
}

static void lazy_configure(lazy_t *lazy, int cap)
{
    pthread_mutex_lock(&lazy->lock);
    lazy->cap = cap;
    pthread_mutex_unlock(&lazy->lock);
}

/* As with a pool: nothing may be submitted any more. Does nothing if none was made. */
static pool_err lazy_destroy(lazy_t *lazy)
{
    return pool_destroy(atomic_exchange(&lazy->pool, NULL));
}

/* ---- Many who come first ----------------------------------------------------------- */

typedef struct crowd {
    lazy_t lazy;
    pthread_mutex_t lock;
    pthread_cond_t all_here; /* here == THREADS */
    int here;
    atomic_int failed;
    atomic_int done;
} crowd_t;

static void count(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void *come_together(void *arg)
{
    crowd_t *crowd = arg;
    pthread_mutex_lock(&crowd->lock);
    if (++crowd->here == THREADS)
        pthread_cond_broadcast(&crowd->all_here);
    while (crowd->here < THREADS)
        pthread_cond_wait(&crowd->all_here, &crowd->lock);
    pthread_mutex_unlock(&crowd->lock);
    if (lazy_submit(&crowd->lazy, count, &crowd->done) != POOL_OK)
        atomic_fetch_add(&crowd->failed, 1);
    return NULL;
}

static void let_come(crowd_t *crowd)
{
    pthread_t threads[THREADS];
    crowd->here = 0;
    for (int i = 0; i < THREADS; i++)
        need(pthread_create(&threads[i], NULL, come_together, crowd) == 0, "a thread starts");
    for (int i = 0; i < THREADS; i++)
        need(pthread_join(threads[i], NULL) == 0, "a thread ends");
}

int main(void)
{
    crowd_t crowd = {.lazy = {.lock = PTHREAD_MUTEX_INITIALIZER, .cap = 0},
                     .lock = PTHREAD_MUTEX_INITIALIZER,
                     .all_here = PTHREAD_COND_INITIALIZER};
    let_come(&crowd);
    printf("without a cap: %d tries, %d pools, %d threads failed\n", crowd.lazy.tries,
           crowd.lazy.made, atomic_load(&crowd.failed));
    need(crowd.lazy.tries == THREADS && crowd.lazy.made == 0, "every try failed");
    need(atomic_exchange(&crowd.failed, 0) == THREADS, "everybody was told");

    lazy_configure(&crowd.lazy, CAP);
    let_come(&crowd);
    need_ok(lazy_destroy(&crowd.lazy), "destroy");
    printf("with a cap of %d: %d pool, %d tasks done\n", CAP, crowd.lazy.made,
           atomic_load(&crowd.done));
    need(crowd.lazy.made == 1 && crowd.lazy.tries == THREADS + 1, "one try made one pool");
    need(atomic_load(&crowd.failed) == 0, "nobody failed");
    need(atomic_load(&crowd.done) == THREADS, "every task was done");
    need_ok(lazy_destroy(&crowd.lazy), "destroy what is not there");
    return EXIT_SUCCESS;
}
