/* The records of workers: they outlive the threads, which are joined before a record is used
 * again. */
#include "ring.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_MAX = 16 }; /* records */

static bool add_chunk(pool_t *pool, size_t n)
{
    if (n > SIZE_MAX / 2 / sizeof(struct antp_worker))
        return false;
    struct antp_chunk *chunk = malloc(sizeof *chunk + n * sizeof *chunk->workers);
    if (chunk == NULL)
        return false;
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

static bool make_room(pool_t *pool)
{
    if (pool->chunks != NULL && pool->chunks->used < pool->chunks->size)
        return true;
    int64_t n = antp_least(pool->numbered, CHUNK_MAX);
    return add_chunk(pool, n > 0 ? (size_t)n : 1);
}

static struct antp_worker *new_record(pool_t *pool)
{
    if (!make_room(pool))
        return NULL;
    struct antp_worker *worker = &pool->chunks->workers[pool->chunks->used];
    memset(worker, 0, sizeof *worker);
    if (antp_sem_init(&worker->wake) != 0)
        return NULL;
    pool->chunks->used++;
    worker->pool = pool;
    worker->number = pool->numbered++;
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
            antp_sem_fini(&chunk->workers[i].wake);
        free(chunk);
    }
}
