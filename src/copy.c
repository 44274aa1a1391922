/* Copies of arguments: the room for them, and their way in. Out of line, so that a plain
 * submit is not longer for them. */
#include "ring.h"

#include <stdio.h>
#include <stdlib.h>

#define WORD sizeof(uint64_t)

/* Its address is the mark; a body of its own keeps linkers from folding it with others. */
void antp_copied(void *unused)
{
    fprintf(stderr, "antpool: the mark of a copied task was called (%p)\n", unused);
    abort();
}

/* The first copy of a pool makes room for the copies of all later ones. */
pool_err antp_make_copies(pool_t *pool)
{
    antp_enter(pool);
    antp_lock(&pool->lock);
    struct antp_copy *copies = atomic_load(&pool->copies);
    if (copies == NULL && (copies = aligned_alloc(ANTP_APART, (pool->mask + 1) * sizeof *copies)) != NULL)
        atomic_store_explicit(&pool->copies, copies, memory_order_release);
    antp_exit_locked(pool);
    antp_unlock(&pool->lock);
    return copies == NULL ? POOL_ERR_NO_MEMORY : POOL_OK;
}

static inline void copy_word(unsigned char *to, const unsigned char *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof word);
    memcpy(to, &word, sizeof word);
}

/* Few bytes go word by word, as the caller has most likely just written them: a wider load
 * would wait until those writes are in the cache, and the next swap of tail for that load. */
static inline void copy_bytes(unsigned char *to, const unsigned char *from, size_t size)
{
    if (size < WORD || size > 4 * WORD) {
        memcpy(to, from, size);
        return;
    }
    if (size > WORD)
        copy_word(to, from);
    if (size > 2 * WORD)
        copy_word(to + WORD, from + WORD);
    if (size > 3 * WORD)
        copy_word(to + 2 * WORD, from + 2 * WORD);
    copy_word(to + size - WORD, from + size - WORD);
}

void antp_copy_in(pool_t *pool, uint64_t position, const struct antp_task *task)
{
    struct antp_copy *copies = atomic_load_explicit(&pool->copies, memory_order_acquire);
    antp_prefetch_to_write(&copies[(position + ANTP_AHEAD) & pool->mask]);
    copy_bytes(copies[position & pool->mask].data, task->copy, task->size);
}
