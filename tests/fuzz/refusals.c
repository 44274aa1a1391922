/* Arguments that must be refused, and change nothing. */
#include "world.h"

#include <limits.h>

static void empty_task(void *unused)
{
    (void)unused;
}

#define BIT(err) (1ul << (err))

/* Which of several errors is told, the header leaves open. */
unsigned long errors_of_options(const pool_options_t *o, int cap)
{
    unsigned long errors = 0;
    bool negative = o->queue < 0 || o->max_blocking < 0 || o->prestart < 0 || o->min_idle < 0 || o->spin_us < -1;
    bool small_stack = o->stack_size != 0 && o->stack_size < 16384;
    if (cap < 1 && cap != POOL_UNLIMITED)
        errors |= BIT(POOL_ERR_INVALID_CAP);
    if (o->expiry_ms < 0)
        errors |= BIT(POOL_ERR_INVALID_EXPIRY);
    if (o->prealloc && cap == POOL_UNLIMITED)
        errors |= BIT(POOL_ERR_INVALID_PREALLOC);
    if (negative || small_stack || o->hooks != NULL || o->timing || (unsigned)o->policy > POOL_DISCARD_OLDEST ||
        (cap != POOL_UNLIMITED && o->prestart > cap))
        errors |= BIT(POOL_ERR_INVALID);
    if (o->error != POOL_OK)
        errors |= BIT(o->error);
    return errors;
}

static pool_err submit_many_to(pool_t *pool, pool_task_fn fn, size_t *accepted)
{
    void *const args[2] = {NULL, NULL};
    *accepted = 7;
    return pool_submit_many(pool, fn, args, 2, accepted);
}

static void refuse_submits(world_t *w)
{
    pool_t *pool = w->pool;
    char bytes[POOL_COPY_MAX + 1] = {0};
    size_t accepted;
    check(w, pool_submit(pool, NULL, w) == POOL_ERR_INVALID);
    check(w, pool_try_submit(pool, NULL, w) == POOL_ERR_INVALID);
    check(w, pool_submit_timeout(pool, NULL, w, 0) == POOL_ERR_INVALID);
    check(w, pool_submit_timeout(pool, empty_task, w, -1) == POOL_ERR_INVALID);
    check(w, pool_submit_copy(pool, NULL, bytes, 1) == POOL_ERR_INVALID);
    check(w, pool_submit_copy(pool, empty_task, NULL, 1) == POOL_ERR_INVALID);
    check(w, pool_submit_copy(pool, empty_task, bytes, sizeof bytes) == POOL_ERR_INVALID);
    check(w, submit_many_to(pool, NULL, &accepted) == POOL_ERR_INVALID && accepted == 0);
    check(w, pool_submit_many(pool, empty_task, NULL, 1, &accepted) == POOL_ERR_INVALID && accepted == 0);
    check(w, pool_submit_many(pool, empty_task, NULL, 0, NULL) == POOL_ERR_INVALID);
}

static void refuse_others(world_t *w)
{
    pool_t *pool = w->pool;
    static const int caps[] = {0, -1, -2, INT_MIN};
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++)
        check(w, pool_tune(pool, caps[i]) == POOL_ERR_INVALID_CAP);
    check(w, pool_wait_timeout(pool, -1) == POOL_ERR_INVALID);
    check(w, pool_wait_timeout(pool, INT64_MIN) == POOL_ERR_INVALID);
    check(w, pool_release_timeout(pool, -1) == POOL_ERR_INVALID);
    check(w, pool_release_now(pool, NULL, w) == POOL_ERR_INVALID);
    check(w, pool_destroy(pool_default()) == POOL_ERR_INVALID);
}

static void refuse_null(world_t *w)
{
    size_t accepted;
    check(w, pool_submit(NULL, empty_task, w) == POOL_ERR_INVALID);
    check(w, pool_try_submit(NULL, empty_task, w) == POOL_ERR_INVALID);
    check(w, pool_submit_timeout(NULL, empty_task, w, 0) == POOL_ERR_INVALID);
    check(w, pool_submit_copy(NULL, empty_task, w, 1) == POOL_ERR_INVALID);
    check(w, submit_many_to(NULL, empty_task, &accepted) == POOL_ERR_INVALID && accepted == 0);
    check(w, pool_invoke(NULL, w) == POOL_ERR_INVALID);
    check(w, pool_tune(NULL, 1) == POOL_ERR_INVALID);
    check(w, pool_wait(NULL) == POOL_ERR_INVALID);
    check(w, pool_release(NULL) == POOL_ERR_INVALID);
    check(w, pool_release_timeout(NULL, 0) == POOL_ERR_INVALID);
    check(w, pool_release_now(NULL, take_back, w) == POOL_ERR_INVALID);
    check(w, pool_reboot(NULL) == POOL_ERR_INVALID);
    check(w, pool_destroy(NULL) == POOL_OK);
    check(w, pool_is_closed(NULL) && pool_cap(NULL) == 0 && pool_running(NULL) == 0 && pool_queued(NULL) == 0);
    check(w, pool_free_slots(NULL) == 0 && pool_waiting(NULL) == 0 && pool_workers(NULL) == 0);
    check(w, pool_idle(NULL) == 0 && *pool_name(NULL) == '\0');
}

static void refuse_new(world_t *w)
{
    pool_t *none = NULL;
    const pool_option_t null_options[] = {pool_with_options(NULL), POOL_OPTIONS_END};
    const pool_option_t null_func[] = {pool_with_func(NULL), POOL_OPTIONS_END};
    check(w, pool_new(NULL, 1) == POOL_ERR_INVALID);
    check(w, pool_new(&none, 0) == POOL_ERR_INVALID_CAP && none == NULL);
    check(w, pool_new(&none, -2) == POOL_ERR_INVALID_CAP && none == NULL);
    check(w, pool_new_from(&none, 1, null_options) == POOL_ERR_INVALID && none == NULL);
    check(w, pool_new_from(&none, 1, null_func) == POOL_ERR_NO_FUNC && none == NULL);
}

void refuse_bad_arguments(world_t *w, unsigned which)
{
    static void (*const kinds[])(world_t *) = {refuse_submits, refuse_others, refuse_null, refuse_new};
    kinds[which % 4](w);
}
