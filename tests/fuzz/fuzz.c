/*
 * Bytes to calls. An input is
 *
 *     pools and ways to end   1 byte
 *     options                 5 bytes for each pool
 *     calls                   2 bytes each: which call to which pool, and its argument
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

enum { WORLDS = 2, CALLS_MAX = 48 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct input {
    const uint8_t *at, *end;
} input_t;

static unsigned byte(input_t *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

/* ---- Options ------------------------------------------------------------------------------ */

/* One value in 32 is one that must be refused. */
static int small(unsigned b, int most)
{
    return b >= 248 ? -(int)(b - 247) - 1 : (int)(b % (unsigned)(most + 1));
}

static int cap_of(unsigned b)
{
    static const int odd[] = {POOL_UNLIMITED, POOL_UNLIMITED, POOL_UNLIMITED, POOL_UNLIMITED, 0, -2, INT32_MIN, 60};
    return b >= 248 ? odd[b - 248] : 1 + (int)(b % 4);
}

/* Workers leave at once or never: what expires while a world settles would hide that there
 * were too many. */
static void take_flags(pool_options_t *o, unsigned b)
{
    o->func = b & 1 ? run_ticket : NULL;
    o->prealloc = (b & 2) != 0;
    o->disable_purge = (b & 4) != 0;
    o->expiry_ms = b & 8 ? 1 : POOL_FOREVER;
    o->spin_us = b & 16 ? -1 : 0;
    o->stack_size = b & 32 ? 64 * 1024 : 0;
    if (b == 192)
        o->hooks = o;
    if (b == 193)
        o->timing = true;
    if (b == 194)
        o->stack_size = 1;
    if (b == 195)
        o->expiry_ms = -1;
    if (b == 196)
        o->error = POOL_ERR_NO_MEMORY;
}

static world_t *read_world(input_t *in)
{
    world_t *w = calloc(1, sizeof *w);
    if (w == NULL)
        abort();
    int cap = cap_of(byte(in));
    unsigned policy = byte(in), idle = byte(in);
    w->options.queue = small(byte(in), 4);
    w->options.policy = (pool_policy)(policy == 255 ? 4 : policy % 4);
    w->options.max_blocking = (int)(policy / 4 % 4);
    w->options.prestart = small(idle, 2);
    w->options.min_idle = (int)(idle / 4 % 3);
    take_flags(&w->options, byte(in));
    if (world_begin(w, cap))
        return w;
    free(w);
    return NULL;
}

/* ---- Submits ------------------------------------------------------------------------------ */

static void expect(const world_t *w, const char *call, pool_err answer, int wanted)
{
    if ((int)answer != wanted)
        broken(w, "%s answered %s, not %s", call, pool_strerror(answer), pool_strerror((pool_err)wanted));
}

/* Whether a task of the next submit runs in its caller. */
static bool runs_in_caller(const world_t *w, int answer)
{
    return answer == POOL_OK && model_at_limit(w) && w->options.policy == POOL_CALLER_RUNS;
}

static void submit(world_t *w, call_t call)
{
    int wanted = model_answer(w, call, NULL);
    if (wanted == WAITS && w->waiting == WAITERS_MAX)
        return;
    ticket_t *ticket = world_ticket(w);
    if (ticket == NULL)
        return;
    ticket->at_once = runs_in_caller(w, wanted);
    if (wanted == WAITS) {
        wait_in_thread(w, call, ticket);
        return;
    }
    expect(w, "a submit", submit_by(w, call, ticket), wanted);
    if (wanted == POOL_OK)
        model_accept(w, ticket);
}

/* How many of a batch follow from the state alone: a call that blocks is left to others, and
 * what is queued, and may be discarded, is known once as many run as may. */
static int batch_size(const world_t *w, int n)
{
    bool known = w->options.policy == POOL_BLOCK           ? w->closed
                 : w->options.policy == POOL_DISCARD_OLDEST ? w->closed || w->running >= w->cap
                                                            : true;
    int free_slots = model_free_slots(w);
    return known || free_slots == POOL_UNLIMITED || n < free_slots ? n : free_slots;
}

static void submit_many(world_t *w, int n)
{
    void *tickets[8];
    size_t count = 0, accepted = 99, most = (size_t)batch_size(w, n);
    int wanted = POOL_OK;
    for (ticket_t *t; count < most && (t = world_ticket(w)) != NULL; count++) {
        tickets[count] = t;
        int answer = wanted != POOL_OK ? wanted : model_answer(w, BY_SUBMIT, NULL);
        t->at_once = runs_in_caller(w, answer);
        wanted = answer;
        if (answer == POOL_OK)
            model_accept(w, t);
    }
    if (count == 0)
        return;
    expect(w, "a batch", pool_submit_many(w->pool, run_ticket, tickets, count, &accepted), wanted);
    for (size_t i = 0; i < count; i++)
        check(w, ((ticket_t *)tickets[i])->accepted == (i < accepted));
}

/* ---- Tasks -------------------------------------------------------------------------------- */

static void end_one(world_t *w, int which, command_t how)
{
    ticket_t *ticket = world_running(w, which);
    if (ticket == NULL)
        return;
    model_finish(w, ticket);
    command(ticket, how);
}

/* What it answers is seen when the world has settled. */
static void submit_inside(world_t *w, int which, command_t how, call_t call)
{
    ticket_t *task = world_running(w, which);
    int wanted = task == NULL ? POOL_OK : model_answer(w, call, task);
    if (task == NULL || w->waiting == WAITERS_MAX || (task->offers = world_ticket(w)) == NULL)
        return;
    task->offers->at_once = runs_in_caller(w, wanted);
    wait_in_task(w, task);
    command(task, how);
    if (wanted == WAITS)
        return;
    waiter_t *waiter = w->waiters[--w->waiting];
    waiter->wanted = (pool_err)wanted;
    w->going[w->leaving++] = waiter;
    task->offers->place = NOWHERE;
    if (wanted == POOL_OK)
        model_accept(w, task->offers);
}

static void do_inside(world_t *w, int which, command_t how)
{
    ticket_t *task = world_running(w, which);
    if (task == NULL)
        return;
    waiter_t *waiter = calloc(1, sizeof *waiter);
    if (waiter == NULL)
        abort();
    waiter->task = task;
    waiter->wanted = how == MISUSE ? POOL_ERR_DEADLOCK : POOL_OK;
    command(task, how);
    if (how == RELEASE)
        model_close(w);
    w->going[w->leaving++] = waiter;
}

/* ---- The pool as a whole ------------------------------------------------------------------ */

static bool is_quiet(const world_t *w)
{
    return w->running + w->queued == 0;
}

static void tune(world_t *w, int cap)
{
    expect(w, "tune", pool_tune(w->pool, cap), w->cap == POOL_UNLIMITED ? POOL_ERR_INVALID_CAP : POOL_OK);
    if (w->cap != POOL_UNLIMITED)
        w->cap = cap;
}

static void release_now(world_t *w)
{
    ticket_t *wanted[TICKETS_MAX];
    int n = w->queued, before = w->handed_back;
    memcpy(wanted, w->queue, sizeof wanted);
    expect(w, "release_now", pool_release_now(w->pool, take_back, w), POOL_OK);
    model_close(w);
    while (w->queued > 0)
        model_hand_back(w);
    check(w, w->handed_back == before + n);
    check(w, memcmp(wanted, w->back + before, (size_t)n * sizeof *wanted) == 0);
}

/* Once the tasks are over, threads may still be on their way out. */
static void release_timeout(world_t *w, bool for_ever)
{
    bool quiet = is_quiet(w);
    pool_err answer = pool_release_timeout(w->pool, for_ever && quiet ? POOL_FOREVER : 0);
    model_close(w);
    if (!quiet || (for_ever && answer != POOL_OK))
        expect(w, "release_timeout", answer, quiet ? POOL_OK : POOL_ERR_TIMEOUT);
    check(w, answer == POOL_OK || answer == POOL_ERR_TIMEOUT);
    check(w, answer != POOL_OK || pool_workers(w->pool) == 0);
}

static void reboot(world_t *w)
{
    pool_err answer = pool_reboot(w->pool);
    if (w->closed && is_quiet(w) && answer == POOL_ERR_BUSY) {
        expect(w, "release_timeout", pool_release_timeout(w->pool, POOL_FOREVER), POOL_OK);
        answer = pool_reboot(w->pool);
    }
    expect(w, "reboot", answer, w->closed && !is_quiet(w) ? POOL_ERR_BUSY : POOL_OK);
    w->closed = w->closed && !is_quiet(w);
}

static void wait(world_t *w)
{
    expect(w, "wait_timeout", pool_wait_timeout(w->pool, 0), is_quiet(w) ? POOL_OK : POOL_ERR_TIMEOUT);
    if (is_quiet(w))
        expect(w, "wait", pool_wait(w->pool), POOL_OK);
}

/* ---- The input ---------------------------------------------------------------------------- */

static void call_one(world_t *w, unsigned which, unsigned b)
{
    int arg = (int)b;
    switch (which) {
    case 6: submit_many(w, arg % 8); break;
    case 7: end_one(w, arg, RETURN); break;
    case 8: end_one(w, arg / 3, (command_t)(PANIC + arg % 3)); break;
    case 9: submit_inside(w, arg, SUBMIT, BY_SUBMIT); break;
    case 10: submit_inside(w, arg / 2, arg % 2 ? TRY : TIMEOUT_0, arg % 2 ? BY_TRY : BY_TIMEOUT_0); break;
    case 11: do_inside(w, arg, arg % 8 == 7 ? RELEASE : MISUSE); break;
    case 12: tune(w, 1 + arg % 5); break;
    case 13:
        if (arg % 4 == 0)
            release_timeout(w, arg & 4);
        else if (arg % 4 == 1)
            release_now(w);
        else {
            expect(w, "release", pool_release(w->pool), POOL_OK);
            model_close(w);
        }
        break;
    case 14: reboot(w); break;
    case 15: arg % 2 ? wait(w) : refuse_bad_arguments(w, b / 2); break;
    default: submit(w, (call_t)which);
    }
}

static void call_all(world_t **worlds, unsigned n, input_t *in)
{
    for (int calls = 0; calls < CALLS_MAX && in->at < in->end; calls++) {
        unsigned which = byte(in);
        world_t *w = worlds[which / 16 % n];
        call_one(w, which % 16, byte(in));
        world_settle(w);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input_t in = {data, data + size};
    world_t *worlds[WORLDS];
    unsigned first = byte(&in), made = 0;
    for (unsigned i = 0; i < 1 + first % WORLDS; i++)
        if ((worlds[made] = read_world(&in)) != NULL)
            made++;
    for (unsigned i = 0; i < made; i++)
        world_settle(worlds[i]);
    if (made > 0)
        call_all(worlds, made, &in);
    for (unsigned i = 0; i < made; i++) {
        world_end(worlds[i], (int)(first / WORLDS / (i + 1) % 4));
        free(worlds[i]);
    }
    return 0;
}
