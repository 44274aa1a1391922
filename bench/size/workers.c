#include "simulate.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

/*
 * First come, first served: a task is served by the worker that gets free first, and when it comes
 * this is known. So no event is simulated; the workers are the instants at which they get free.
 *
 * Starts are in order of arrival. So the tasks that wait at an instant are the last ones accepted,
 * and `queue` of them wait iff the last but queue - 1 of the accepted has not started yet.
 */
struct workers {
    long cap, queue;
    long accepted;
    double done_at;
    double *starts; /* of the last `queue` accepted tasks, a ring; not set before there are as many */
    long oldest;    /* in the ring */
    double free_at[]; /* heap with the least on top; [cap]: INFINITY, so that two children can be read */
};

struct workers *workers_new(long cap, long queue)
{
    size_t most = (SIZE_MAX / 2 - sizeof(struct workers)) / sizeof(double);
    if ((size_t)cap >= most || (queue > 0 && (size_t)queue > most))
        return NULL;
    struct workers *workers = malloc(sizeof *workers + ((size_t)cap + 1) * sizeof *workers->free_at);
    double *starts = queue > 0 ? malloc((size_t)queue * sizeof *starts) : NULL;
    if (workers == NULL || (queue > 0 && starts == NULL)) {
        free(workers);
        free(starts);
        return NULL;
    }
    *workers = (struct workers){.cap = cap, .queue = queue, .starts = starts, .done_at = -INFINITY};
    for (long i = 0; i < cap; i++)
        workers->free_at[i] = -INFINITY;
    workers->free_at[cap] = INFINITY;
    return workers;
}

void workers_free(struct workers *workers)
{
    if (workers == NULL)
        return;
    free(workers->starts);
    free(workers);
}

/* Puts a later instant in the place of the least one. The choice between two children is as good
 * as random, so it is made by arithmetic, not by a branch. */
static void replace_least(double *heap, long n, double instant)
{
    long hole = 0, child;
    while ((child = 2 * hole + 1) < n) {
        child += heap[child + 1] < heap[child];
        if (instant <= heap[child])
            break;
        heap[hole] = heap[child];
        hole = child;
    }
    heap[hole] = instant;
}

/* Of a task that has to wait. */
static bool is_full(const struct workers *workers, double at)
{
    if (workers->queue <= 0)
        return workers->queue == 0;
    bool is_set = workers->accepted >= workers->queue;
    return is_set && workers->starts[workers->oldest] > at;
}

static void note_start(struct workers *workers, double start)
{
    workers->accepted++;
    if (workers->queue <= 0)
        return;
    workers->starts[workers->oldest] = start;
    workers->oldest = workers->oldest + 1 < workers->queue ? workers->oldest + 1 : 0;
}

double workers_take(struct workers *workers, double at, double service)
{
    double start = workers->free_at[0];
    if (start > at) {
        if (is_full(workers, at))
            return -1;
    } else
        start = at;
    double end = start + service;
    replace_least(workers->free_at, workers->cap, end);
    note_start(workers, start);
    if (end > workers->done_at)
        workers->done_at = end;
    return start - at;
}

double workers_done_at(const struct workers *workers)
{
    return workers->done_at;
}
