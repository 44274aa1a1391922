/*
 * hot_cold: how do short requests stay fast without a pool made for their worst hour?
 *
 * A small hot pool that refuses at its cap, with workers that are always there, and a
 * large cold one behind it. A request tries the hot pool, and goes to the cold one when
 * that is full (POOL_ERR_OVERLOAD); slow work goes to the cold pool at once. Only overload
 * falls back: a pool that is closed means that the service ends.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "antpool.h"

enum { HOT_CAP = 2, COLD_CAP = 16, COLD_QUEUE = 100, BURST = 7 };

typedef struct service {
    pool_t *hot;
    pool_t *cold;
} service_t;

static void need(bool so, const char *what)
{
    if (so)
        return;
    fprintf(stderr, "hot_cold: not so: %s\n", what);
    exit(EXIT_FAILURE);
}

static void need_ok(pool_err err, const char *call)
{
    if (err == POOL_OK)
        return;
    fprintf(stderr, "hot_cold: %s: %s\n", call, pool_strerror(err));
    exit(EXIT_FAILURE);
}

/* ---- The service ------------------------------------------------------------------- */

static pool_err start_service(service_t *service)
{
    pool_err err = pool_new_with(&service->hot, HOT_CAP, pool_with_name("hot"),
                                 pool_with_nonblocking(true), pool_with_prestart(HOT_CAP),
                                 pool_with_disable_purge(true));
    if (err != POOL_OK)
        return err;
    err = pool_new_with(&service->cold, COLD_CAP, pool_with_name("cold"),
                        pool_with_queue(COLD_QUEUE));
    if (err != POOL_OK)
        pool_destroy(service->hot);
    return err;
}

static pool_err submit(const service_t *service, bool is_short, pool_task_fn fn, void *arg)
{
    if (is_short) {
        pool_err err = pool_submit(service->hot, fn, arg);
        if (err != POOL_ERR_OVERLOAD)
            return err;
    }
    return pool_submit(service->cold, fn, arg);
}

/* ---- The work ---------------------------------------------------------------------- */

/* Requests stay in their pool until the door opens, and say in which they were. */
typedef struct door {
    const service_t *service;
    pthread_mutex_t lock;
    pthread_cond_t opened; /* open */
    bool open;
    atomic_int by_hot;
    atomic_int by_cold;
} door_t;

static void serve(void *arg)
{
    door_t *door = arg;
    pthread_mutex_lock(&door->lock);
    while (!door->open)
        pthread_cond_wait(&door->opened, &door->lock);
    pthread_mutex_unlock(&door->lock);
    atomic_fetch_add(pool_current() == door->service->hot ? &door->by_hot : &door->by_cold, 1);
}

static void set_door(door_t *door, bool open)
{
    pthread_mutex_lock(&door->lock);
    door->open = open;
    pthread_cond_broadcast(&door->opened);
    pthread_mutex_unlock(&door->lock);
}

static void expect(door_t *door, const char *when, int by_hot, int by_cold)
{
    need_ok(pool_wait(door->service->hot), "wait for hot");
    need_ok(pool_wait(door->service->cold), "wait for cold");
    int hot = atomic_exchange(&door->by_hot, 0);
    int cold = atomic_exchange(&door->by_cold, 0);
    printf("%-28s hot %d, cold %d\n", when, hot, cold);
    need(hot == by_hot && cold == by_cold, when);
}

int main(void)
{
    service_t service;
    need_ok(start_service(&service), "start");
    door_t door = {&service, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, true, 0, 0};

    for (int i = 0; i < HOT_CAP; i++)
        need_ok(submit(&service, true, serve, &door), "submit");
    expect(&door, "as many as hot takes:", HOT_CAP, 0);

    set_door(&door, false);
    for (int i = 0; i < BURST; i++)
        need_ok(submit(&service, true, serve, &door), "submit in a burst");
    set_door(&door, true);
    expect(&door, "a burst of short requests:", HOT_CAP, BURST - HOT_CAP);

    need_ok(submit(&service, true, serve, &door), "submit after the burst");
    need_ok(submit(&service, false, serve, &door), "submit something slow");
    expect(&door, "one short, one slow:", 1, 1);

    need_ok(pool_release(service.hot), "release");
    need(submit(&service, true, serve, &door) == POOL_ERR_CLOSED, "closed does not fall back");
    expect(&door, "hot is closed:", 0, 0);
    need_ok(pool_destroy(service.hot), "destroy hot");
    need_ok(pool_destroy(service.cold), "destroy cold");
    return EXIT_SUCCESS;
}
