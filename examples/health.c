/*
 * health: what does a service answer to the load balancer's health check?
 *
 * What the gauges of its pool say: 503 when it is closed, when submitters wait, or when
 * fewer than a tenth of its slots are free, so that new requests go elsewhere while there
 * still is room for those on their way; 200 otherwise. The check takes no slot of the pool
 * and waits for nothing, so it answers under full load. Draining is answered before the
 * pool is released, so that the balancer knows first.
 */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "antpool.h"

enum { CAP = 4, QUEUE = 36, LIMIT = CAP + QUEUE, PATIENCE_ROUNDS = 10000 };

typedef struct service {
    pool_t *pool;
    int limit; /* cap + queue of the pool, which has no gauge for it */
    atomic_bool draining;
    pthread_mutex_t lock;
    pthread_cond_t answered; /* !database_hangs */
    bool database_hangs;
} service_t;

static void need(bool so, const char *what)
{
    if (so)
        return;
    fprintf(stderr, "health: not so: %s\n", what);
    exit(EXIT_FAILURE);
}

static void need_ok(pool_err err, const char *call)
{
    if (err == POOL_OK)
        return;
    fprintf(stderr, "health: %s: %s\n", call, pool_strerror(err));
    exit(EXIT_FAILURE);
}

/* ---- The check --------------------------------------------------------------------- */

/* Waiting comes before free, which is 0 while anyone waits. */
static const char *health(const service_t *service)
{
    if (atomic_load(&service->draining))
        return "503 draining";
    if (pool_is_closed(service->pool))
        return "503 closed";
    if (pool_waiting(service->pool) > 0)
        return "503 requests wait";
    int free_slots = pool_free_slots(service->pool);
    if (free_slots != POOL_UNLIMITED && free_slots < service->limit / 10)
        return "503 nearly full";
    return "200 OK";
}

/* The balancer: asks every millisecond until it hears what it expects. */
static void expect(const service_t *service, const char *answer, const char *when)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    const char *heard = health(service);
    for (int i = 0; i < PATIENCE_ROUNDS && strcmp(heard, answer) != 0; i++) {
        nanosleep(&pause, NULL);
        heard = health(service);
    }
    printf("%-22s %s\n", when, heard);
    need(strcmp(heard, answer) == 0, answer);
}

/* ---- The load ---------------------------------------------------------------------- */

static void set_database(service_t *service, bool hangs)
{
    pthread_mutex_lock(&service->lock);
    service->database_hangs = hangs;
    pthread_cond_broadcast(&service->answered);
    pthread_mutex_unlock(&service->lock);
}

static void serve(void *arg)
{
    service_t *service = arg;
    pthread_mutex_lock(&service->lock);
    while (service->database_hangs)
        pthread_cond_wait(&service->answered, &service->lock);
    pthread_mutex_unlock(&service->lock);
}

static void receive(service_t *service, int requests)
{
    for (int i = 0; i < requests; i++)
        need_ok(pool_submit(service->pool, serve, service), "submit");
}

/* A connection that sends one request, which has to wait. */
static void *connect_once(void *arg)
{
    receive(arg, 1);
    return NULL;
}

int main(void)
{
    service_t service = {.limit = LIMIT,
                         .lock = PTHREAD_MUTEX_INITIALIZER,
                         .answered = PTHREAD_COND_INITIALIZER};
    pthread_t connection;
    need_ok(pool_new_with(&service.pool, CAP, pool_with_queue(QUEUE), pool_with_name("web")),
            "pool_new");
    expect(&service, "200 OK", "at the start:");

    set_database(&service, true);
    receive(&service, LIMIT - LIMIT / 10);
    expect(&service, "200 OK", "a tenth is free:");
    receive(&service, 1);
    expect(&service, "503 nearly full", "less is free:");
    receive(&service, LIMIT / 10 - 1);
    need(pthread_create(&connection, NULL, connect_once, &service) == 0, "a thread starts");
    expect(&service, "503 requests wait", "one more than fit:");

    set_database(&service, false);
    expect(&service, "200 OK", "the database is back:");
    need(pthread_join(connection, NULL) == 0, "a thread ends");

    atomic_store(&service.draining, true);
    expect(&service, "503 draining", "before the release:");
    receive(&service, 1); /* what was on its way is still taken */
    need_ok(pool_release(service.pool), "release");
    atomic_store(&service.draining, false);
    expect(&service, "503 closed", "after it:");
    need(pool_submit(service.pool, serve, &service) == POOL_ERR_CLOSED, "it takes nothing");
    need_ok(pool_destroy(service.pool), "destroy");
    return EXIT_SUCCESS;
}
