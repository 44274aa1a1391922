/* Making and freeing a pool; the default pool. */
#include "ring.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { CELLS_MAX = 1 << 24, MAPPED_MIN = 32768, SPARED_MAX = 65536 };

void antp_set_cap_locked(pool_t *pool, int cap)
{
    bool unlimited = cap == POOL_UNLIMITED;
    unsigned most = unlimited || (unsigned)cap > ANTP_WORKERS_MAX ? ANTP_WORKERS_MAX : (unsigned)cap;
    atomic_store(&pool->cap, cap);
    atomic_store(&pool->limit, unlimited ? INT64_MAX : (int64_t)cap + pool->queue);
    atomic_store(&pool->worker_cap, most);
}

/* ---- Memory ------------------------------------------------------------------------------- */

/* A power of two >= min(limit and spare cells, queue + ANTP_QUEUE_SLACK), at most CELLS_MAX.
 * Zero-filled cells are valid, so a large ring costs nothing at first; but positions run
 * through all of it, however few tasks are queued, hence the upper bound of 256 MiB.
 *
 * The spare ones are for the processors: each fetches lines ahead of a row of writes. Where the
 * row of a submitter ends just behind the row of a taker, it fetches what that is about to read.
 * That is not worth doubling a MiB. */
static uint64_t cells_for(int cap, int queue)
{
    uint64_t wanted = cap == POOL_UNLIMITED ? UINT64_MAX : (uint64_t)cap + (uint64_t)queue;
    if (wanted < SPARED_MAX)
        wanted += ANTP_CELLS_SPARE;
    uint64_t enough = (uint64_t)queue + ANTP_QUEUE_SLACK, cells = ANTP_CELLS_MIN;
    while (cells < wanted && cells < enough && cells < CELLS_MAX)
        cells *= 2;
    return cells;
}

/* Two for each processor, the last of them shared: workers that run at once then seldom
 * share a line. */
static uint64_t stripes_for(int cap)
{
    uint64_t processors = antp_processors(), stripes = 1;
    while (stripes < ANTP_STRIPES_MAX && stripes < 2 * processors &&
           (cap == POOL_UNLIMITED || stripes <= (uint64_t)cap))
        stripes *= 2;
    return stripes;
}

/* A large ring is mapped: calloc may clear what it got, and so touch all of it. */
static struct antp_cell *alloc_cells(uint64_t cells)
{
    size_t bytes = cells * sizeof(struct antp_cell);
    if (bytes < MAPPED_MIN)
        return calloc(cells, sizeof(struct antp_cell));
    void *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED)
        return NULL;
    return mapped;
}

static void free_cells(struct antp_cell *cells, uint64_t n)
{
    if (n * sizeof *cells < MAPPED_MIN)
        free(cells);
    else if (cells != NULL)
        munmap(cells, n * sizeof *cells);
}

static pool_err alloc_parts(pool_t *pool, int cap, const pool_options_t *options)
{
    uint64_t cells = cells_for(cap, options->queue), stripes = stripes_for(cap);
    pool->mask = cells - 1;
    pool->stripe_mask = stripes - 1;
    pool->cells = alloc_cells(cells);
    pool->stripes = aligned_alloc(ANTP_APART, stripes * sizeof *pool->stripes);
    pool->name = strdup(options->name != NULL ? options->name : "pool");
    if (pool->cells == NULL || pool->stripes == NULL || pool->name == NULL)
        return POOL_ERR_NO_MEMORY;
    memset(pool->stripes, 0, stripes * sizeof *pool->stripes);
    if (options->prealloc)
        return antp_worker_reserve(pool, (size_t)cap);
    return POOL_OK;
}

static void init_lists(pool_t *pool)
{
    struct antp_link *lists[] = {&pool->idle, &pool->quieters, &pool->enders, &pool->ended, &pool->spare};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        antp_list_init(lists[i]);
    antp_line_init(&pool->line);
}

static void copy_options(pool_t *pool, const pool_options_t *o)
{
    int64_t expiry_ms = o->expiry_ms == 0 ? POOL_EXPIRY_DEFAULT_MS : o->expiry_ms;
    bool never = o->disable_purge || expiry_ms > ANTP_NEVER / 1000000;
    pool->expiry_ns = never ? ANTP_NEVER : expiry_ms * 1000000;
    pool->spin_ns = o->spin_us < 0 ? 0 : o->spin_us == 0 ? ANTP_SPIN_NS : (int64_t)o->spin_us * 1000;
    pool->policy = o->policy;
    pool->queue = o->queue;
    pool->max_blocking = o->max_blocking;
    pool->prestart = o->prestart;
    pool->min_idle = o->min_idle;
    pool->func = o->func;
    pool->panic_handler = o->panic_handler;
    pool->panic_user = o->panic_user;
    pool->logger = o->logger;
    pool->logger_user = o->logger_user;
    pool->on_thread_start = o->on_thread_start;
    pool->on_thread_exit = o->on_thread_exit;
    pool->thread_user = o->thread_user;
    pool->discard_handler = o->discard_handler;
    pool->discard_user = o->discard_user;
}

/* In a forked child the lock may be held by a thread that is no more: it is not touched. */
void antp_pool_free(pool_t *pool)
{
    antp_worker_free_all(pool);
    antp_thread_setup_free(pool);
    if (!antp_forked(pool))
        pthread_mutex_destroy(&pool->lock);
    free(atomic_load(&pool->copies));
    free(pool->stripes);
    free_cells(pool->cells, pool->mask + 1);
    free(pool->name);
    free(pool);
}

/* ---- Making ------------------------------------------------------------------------------- */

static pool_t *alloc_pool(void)
{
    pool_t *pool = aligned_alloc(ANTP_APART, (sizeof *pool + ANTP_APART - 1) / ANTP_APART * ANTP_APART);
    if (pool == NULL)
        return NULL;
    memset(pool, 0, sizeof *pool);
    init_lists(pool);
    if (antp_mutex_init(&pool->lock) != 0) {
        free(pool);
        return NULL;
    }
    return pool;
}

static pool_err build(pool_t *pool, int cap, const pool_options_t *options)
{
    pool->generation = atomic_load(&antp_generation);
    copy_options(pool, options);
    antp_set_cap_locked(pool, cap);
    atomic_store(&pool->tail, ANTP_ASLEEP | ANTP_CLOSED); /* until it is opened */
    pool_err err = alloc_parts(pool, cap, options);
    if (err == POOL_OK)
        err = antp_thread_setup_new(pool, options->stack_size ? options->stack_size : POOL_STACK_DEFAULT);
    return err;
}

/* `me` waits for the threads of a prestart that failed half-way. */
static pool_err make(pool_t **out, int cap, const pool_options_t *options, struct antp_owner owner,
                     struct antp_sleeper *me)
{
    pool_t *pool = alloc_pool();
    if (pool == NULL)
        return POOL_ERR_NO_MEMORY;
    pool->multi = owner.multi;
    pool->tenant = owner.tenant;
    pool_err err = build(pool, cap, options);
    if (err == POOL_OK)
        err = antp_open(pool);
    if (err == POOL_OK) {
        *out = pool;
        return POOL_OK;
    }
    antp_end(pool, me, 1, ANTP_NEVER);
    antp_pool_free(pool);
    return err;
}

pool_err pool_new(pool_t **out, int cap)
{
    return pool_new_from(out, cap, NULL);
}

/* From options that were read. */
pool_err antp_pool_new(pool_t **out, int cap, const pool_options_t *options, struct antp_owner owner)
{
    struct antp_sleeper me;
    pool_err err = antp_fork_watch();
    if (err == POOL_OK)
        err = antp_sleeper_init(&me);
    if (err != POOL_OK)
        return err;
    err = make(out, cap, options, owner, &me);
    antp_sleeper_fini(&me);
    return err;
}

pool_err pool_new_from(pool_t **out, int cap, const pool_option_t *options)
{
    pool_options_t read;
    pool_err err = out == NULL ? POOL_ERR_INVALID : antp_options_read(&read, cap, options);
    return err == POOL_OK ? antp_pool_new(out, cap, &read, (struct antp_owner){NULL, NULL}) : err;
}

/* ---- The default pool --------------------------------------------------------------------- */

static pthread_mutex_t default_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(pool_t *) default_pool;

bool antp_is_default(const pool_t *pool)
{
    return pool == atomic_load(&default_pool);
}

void antp_default_before_fork(void)
{
    antp_lock(&default_lock);
}

/* The child forgets the parent's and will make its own. */
void antp_default_after_fork(bool child)
{
    if (child)
        atomic_store(&default_pool, NULL);
    antp_unlock(&default_lock);
}

pool_t *pool_default(void)
{
    pool_t *pool = atomic_load(&default_pool);
    if (pool != NULL)
        return pool;
    antp_lock(&default_lock);
    pool = atomic_load(&default_pool);
    if (pool == NULL && pool_new_with(&pool, POOL_UNLIMITED, pool_with_name("default")) == POOL_OK)
        atomic_store(&default_pool, pool);
    antp_unlock(&default_lock);
    return pool;
}
