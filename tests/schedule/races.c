/*
 * Data races: two accesses to the same bytes, one of them a write, not both atomic, and
 * neither happens before the other. What happens before what follows from the memory orders
 * as they are written, not from the order in which this schedule took the steps; so an order
 * that is too weak is found in schedules where the values still come out right.
 *
 * Vector clocks, as in C. Flanagan and S. Freund, "FastTrack", 2009: each thread counts its
 * releases; its clock says how far it has heard of each other thread. An atomic or a mutex
 * keeps the clock of who released it last.
 */
#define _GNU_SOURCE
#include "schedule.h"

#include <string.h>

enum { PLACES = 1 << 15, SYNCS = 1 << 11, SEEN = 6 };

/* Who touched some bytes of eight, and when by its own clock. */
struct seen {
    const void *where;
    uint32_t when;
    uint8_t thread, bytes, kind;
};

struct place {
    uintptr_t at; /* address / 8 */
    unsigned schedule, n;
    struct seen seen[SEEN];
};

struct sync {
    const volatile void *at;
    unsigned schedule;
    struct clock clock;
};

static struct clock clocks[THREADS_MAX];
static struct clock told; /* the application's own synchronisation */
static struct place places[PLACES];
static unsigned used_places[PLACES], n_used, next_victim;
static struct sync syncs[SYNCS];
static unsigned schedule; /* number of this one: what others left does not count */

/* ---- Clocks ------------------------------------------------------------------------------- */

static void hear(struct clock *mine, const struct clock *other)
{
    for (int i = 0; i < THREADS_MAX; i++)
        if (other->of[i] > mine->of[i])
            mine->of[i] = other->of[i];
}

static void tick(void)
{
    clocks[self->id].of[self->id]++;
}

/* NULL: nobody has released it, and none is made. */
static struct clock *clock_of(const volatile void *at, bool make)
{
    uintptr_t hash = (uintptr_t)at * 0x9e3779b97f4a7c15 >> 40;
    for (unsigned probe = 0; probe < SYNCS; probe++) {
        struct sync *sync = &syncs[(hash + probe) % SYNCS];
        if (sync->schedule == schedule && sync->at == at)
            return &sync->clock;
        if (sync->schedule == schedule)
            continue;
        if (!make)
            return NULL;
        *sync = (struct sync){.at = at, .schedule = schedule};
        return &sync->clock;
    }
    schedule_fail("too many atomics");
}

void race_acquire(const volatile void *at)
{
    struct clock *clock = clock_of(at, false);
    if (clock != NULL)
        hear(&clocks[self->id], clock);
}

/* As a read-modify-write does: what was released before stays released. */
void race_release(const volatile void *at)
{
    hear(clock_of(at, true), &clocks[self->id]);
    tick();
}

struct clock race_stamp(bool releases)
{
    struct clock none = {{0}}, mine = clocks[self->id];
    if (releases)
        tick();
    return releases ? mine : none;
}

/* A store arrives; if it releases nothing, an acquire of it hears nothing. */
void race_stored(const volatile void *at, const struct clock *stamp)
{
    *clock_of(at, true) = *stamp;
}

void race_tell(void)
{
    hear(&told, &clocks[self->id]);
    tick();
}

void race_hear(void)
{
    hear(&clocks[self->id], &told);
}

/* ---- Accesses -------------------------------------------------------------------------------- */

static struct place *place_of(uintptr_t at)
{
    uintptr_t hash = at * 0x9e3779b97f4a7c15 >> 40;
    for (unsigned probe = 0; probe < PLACES; probe++) {
        unsigned i = (unsigned)((hash + probe) % PLACES);
        struct place *place = &places[i];
        if (place->schedule == schedule && place->at == at)
            return place;
        if (place->schedule == schedule)
            continue;
        place->schedule = schedule;
        place->at = at;
        place->n = 0;
        used_places[n_used++] = i;
        return place;
    }
    schedule_fail("too much memory is in use");
}

static bool happened_before(const struct seen *seen)
{
    return seen->when <= clocks[self->id].of[seen->thread];
}

static bool conflict(const struct seen *a, const struct seen *b)
{
    return (a->bytes & b->bytes) != 0 && a->thread != b->thread && ((a->kind | b->kind) & RACE_WRITE) != 0 &&
           (a->kind & b->kind & RACE_ATOMIC) == 0;
}

static void check(const struct place *place, const struct seen *now)
{
    for (unsigned i = 0; i < place->n; i++)
        if (conflict(&place->seen[i], now) && !happened_before(&place->seen[i]))
            schedule_race(place->seen[i].thread, place->seen[i].where, now->where);
}

/* Forgets what the new access stands for as well: an older one of the same thread, or for a
 * write whatever happened before it. */
static void forget_covered(struct place *place, const struct seen *now)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < place->n; i++) {
        struct seen *old = &place->seen[i];
        bool same = old->thread == now->thread && old->kind == now->kind;
        bool over = now->kind == RACE_WRITE && happened_before(old);
        if ((old->bytes & ~now->bytes) != 0 || !(same || over))
            place->seen[kept++] = *old;
    }
    place->n = kept;
}

static void note(struct place *place, const struct seen *now)
{
    check(place, now);
    forget_covered(place, now);
    place->seen[place->n < SEEN ? place->n++ : next_victim++ % SEEN] = *now;
}

void race_access(const volatile void *at, size_t size, unsigned kind, const void *where)
{
    if (self == NULL)
        return;
    struct seen now = {where, clocks[self->id].of[self->id], (uint8_t)self->id, 0, (uint8_t)kind};
    for (uintptr_t a = (uintptr_t)at, end = a + size, next; a < end; a = next) {
        next = (a / 8 + 1) * 8;
        unsigned first = a % 8, last = (unsigned)((next < end ? next : end) - a / 8 * 8);
        now.bytes = (uint8_t)((1u << last) - (1u << first));
        note(place_of(a / 8), &now);
    }
}

/* ---- Beginnings -------------------------------------------------------------------------------- */

void race_begin(void)
{
    schedule++;
    n_used = 0;
    memset(clocks, 0, sizeof clocks);
    memset(&told, 0, sizeof told);
    clocks[0].of[0] = 1;
}

void race_created(const struct thread *t)
{
    uint32_t before = clocks[t->id].of[t->id];
    clocks[t->id] = clocks[self->id];
    clocks[t->id].of[t->id] = before + 1;
    tick();
}

void race_joined(const struct thread *t)
{
    hear(&clocks[self->id], &clocks[t->id]);
}

/* A new thread's stack may be the memory of one that is no more. */
void race_new_stack(void)
{
    pthread_attr_t attr;
    void *at;
    size_t size;
    pthread_getattr_np(pthread_self(), &attr);
    pthread_attr_getstack(&attr, &at, &size);
    pthread_attr_destroy(&attr);
    for (unsigned i = 0; i < n_used; i++)
        if (places[used_places[i]].at * 8 - (uintptr_t)at < size)
            places[used_places[i]].n = 0;
}
