/*
 * rooms: a pool for each of a thousand chat rooms, or one pool with a limit for each room?
 *
 * A flood in one room must not delay the others, so a room may have ROOM_CAP deliveries at
 * once. A pool for each room does that by its cap, at the price of threads for each room
 * that was busy of late. One pool for all does it with a count and a list in the room: what
 * is beyond the limit waits in the list, and takes no worker and no place in the queue.
 * Both are measured in a process of their own, and one pool without limits beside them.
 */
#define _XOPEN_SOURCE 700

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "antpool.h"

enum { ROOM_CAP = 4, SHARED_CAP = 64, POSTS_A_MS = 8, DELIVERY_NS = 1000000 };

typedef struct settings {
    int rooms, messages, flood;
} settings_t;

typedef struct architecture {
    const char *name;
    bool own_pools; /* a pool of cap ROOM_CAP in each room, in place of one of SHARED_CAP */
    int limit;      /* deliveries of a room in its pool at once */
} architecture_t;

/* What is measured of one. */
typedef struct row {
    double megabytes;
    int threads; /* of pools, at the peak */
    int at_once; /* deliveries in one room, at the peak */
    double others_p99_ms, flooded_p99_ms;
} row_t;

static void need(bool so, const char *what)
{
    if (so)
        return;
    fprintf(stderr, "rooms: not so: %s\n", what);
    exit(EXIT_FAILURE);
}

static void need_ok(pool_err err, const char *call)
{
    if (err == POOL_OK)
        return;
    fprintf(stderr, "rooms: %s: %s\n", call, pool_strerror(err));
    exit(EXIT_FAILURE);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- How many there are, and how many there were at the peak ------------------------ */

typedef struct gauge {
    atomic_int now, peak;
} gauge_t;

static void gauge_up(void *arg)
{
    gauge_t *gauge = arg;
    int now = atomic_fetch_add(&gauge->now, 1) + 1;
    int peak = atomic_load(&gauge->peak);
    while (now > peak && !atomic_compare_exchange_weak(&gauge->peak, &peak, now))
        ;
}

static void gauge_down(void *arg)
{
    gauge_t *gauge = arg;
    atomic_fetch_sub(&gauge->now, 1);
}

/* ---- Rooms ------------------------------------------------------------------------- */

typedef struct delivery {
    struct room *room;
    struct delivery *next; /* in the room's list */
    int64_t posted_ns;
    int64_t delay_ns; /* from the post to the end of the delivery */
    int times;        /* it was delivered */
} delivery_t;

typedef struct room {
    pool_t *pool;
    int limit;
    gauge_t at_once;
    pthread_mutex_t lock;
    int in_pool;               /* under the lock: deliveries queued or running, <= limit */
    delivery_t *first, **last; /* under the lock: those that wait; none if in_pool < limit */
} room_t;

/* Enters the pool, or the list. */
static bool enter(room_t *room, delivery_t *delivery)
{
    pthread_mutex_lock(&room->lock);
    bool enters = room->in_pool < room->limit;
    if (enters) {
        room->in_pool++;
    } else {
        *room->last = delivery;
        room->last = &delivery->next;
    }
    pthread_mutex_unlock(&room->lock);
    return enters;
}

/* The first of the list takes over the place of a delivery that is done. NULL: none waits. */
static delivery_t *leave(room_t *room)
{
    pthread_mutex_lock(&room->lock);
    delivery_t *next = room->first;
    if (next == NULL) {
        room->in_pool--;
    } else {
        room->first = next->next;
        if (room->first == NULL)
            room->last = &room->first;
    }
    pthread_mutex_unlock(&room->lock);
    return next;
}

/* The client takes its time to receive it. */
static void send_to_client(delivery_t *delivery)
{
    const struct timespec time = {.tv_nsec = DELIVERY_NS};
    gauge_up(&delivery->room->at_once);
    nanosleep(&time, NULL);
    gauge_down(&delivery->room->at_once);
    delivery->delay_ns = now_ns() - delivery->posted_ns;
    delivery->times++;
}

/* What comes next in the room goes to the end of the queue, so that rooms take turns. If
 * the pool takes it not, being full or closed, it is done here: it was promised. */
static void deliver(void *arg)
{
    delivery_t *delivery = arg;
    do {
        room_t *room = delivery->room;
        send_to_client(delivery);
        delivery = leave(room);
        if (delivery != NULL && pool_try_submit(room->pool, deliver, delivery) == POOL_OK)
            delivery = NULL;
    } while (delivery != NULL);
}

static void post(room_t *room, delivery_t *delivery)
{
    *delivery = (delivery_t){.room = room, .posted_ns = now_ns()};
    if (enter(room, delivery))
        need_ok(pool_submit(room->pool, deliver, delivery), "submit");
}

/* ---- A chat ------------------------------------------------------------------------ */

typedef struct chat {
    const settings_t *settings;
    pool_t *shared;         /* NULL: each room has its own */
    room_t *rooms;          /* the first is the one that is flooded */
    delivery_t *deliveries; /* first those of the flood */
    gauge_t threads;
} chat_t;

static int posts(const settings_t *settings)
{
    return settings->flood + settings->messages;
}

/* The queue takes everything at once: who posts never waits. Any room may be the one that is
 * flooded, so each pool needs it: most of the memory of a thousand pools is their queues. */
static pool_t *make_pool(chat_t *chat, int cap)
{
    pool_t *pool;
    need_ok(pool_new_with(&pool, cap, pool_with_name("chat"),
                          pool_with_queue(posts(chat->settings)),
                          pool_with_thread_hooks(gauge_up, gauge_down, &chat->threads)),
            "pool_new");
    return pool;
}

static void open_chat(chat_t *chat, const architecture_t *architecture)
{
    chat->rooms = calloc((size_t)chat->settings->rooms, sizeof(*chat->rooms));
    chat->deliveries = calloc((size_t)posts(chat->settings), sizeof(*chat->deliveries));
    need(chat->rooms != NULL && chat->deliveries != NULL, "there is memory");
    if (!architecture->own_pools)
        chat->shared = make_pool(chat, SHARED_CAP);
    for (int i = 0; i < chat->settings->rooms; i++) {
        room_t *room = &chat->rooms[i];
        room->pool = architecture->own_pools ? make_pool(chat, ROOM_CAP) : chat->shared;
        room->limit = architecture->limit;
        room->last = &room->first;
        need(pthread_mutex_init(&room->lock, NULL) == 0, "a room has a lock");
    }
}

static void sleep_until(int64_t ns)
{
    const struct timespec then = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &then, NULL) == EINTR)
        ;
}

/* The flood at once, then the messages of the other rooms at a steady pace. */
static void talk(chat_t *chat)
{
    int flood = chat->settings->flood;
    for (int i = 0; i < flood; i++)
        post(&chat->rooms[0], &chat->deliveries[i]);
    int64_t start = now_ns();
    int other = 0;
    for (int i = 0; i < chat->settings->messages; i++) {
        if (i % POSTS_A_MS == 0)
            sleep_until(start + (int64_t)(i / POSTS_A_MS) * 1000000);
        if (++other == chat->settings->rooms)
            other = 1;
        post(&chat->rooms[other], &chat->deliveries[flood + i]);
    }
}

/* Every delivery has been made when it returns: those in a list follow another of their
 * room, so the pool is not quiet before. */
static void finish(chat_t *chat)
{
    for (int i = 0; i < chat->settings->rooms; i++)
        need_ok(pool_wait(chat->rooms[i].pool), "wait");
}

static void close_chat(chat_t *chat)
{
    for (int i = 0; i < chat->settings->rooms; i++) {
        if (chat->shared == NULL)
            need_ok(pool_destroy(chat->rooms[i].pool), "destroy");
        pthread_mutex_destroy(&chat->rooms[i].lock);
    }
    need_ok(pool_destroy(chat->shared), "destroy");
    free(chat->deliveries);
    free(chat->rooms);
}

/* ---- Measuring --------------------------------------------------------------------- */

/* The peak of this process; ru_maxrss is in kilobytes on Linux. */
static double peak_megabytes(void)
{
    struct rusage usage;
    need(getrusage(RUSAGE_SELF, &usage) == 0, "memory can be measured");
    return (double)usage.ru_maxrss * 1024 / 1e6;
}

static int by_delay(const void *a, const void *b)
{
    const delivery_t *left = a;
    const delivery_t *right = b;
    return (left->delay_ns > right->delay_ns) - (left->delay_ns < right->delay_ns);
}

static double p99_ms(delivery_t *deliveries, int n)
{
    if (n == 0)
        return 0;
    qsort(deliveries, (size_t)n, sizeof(*deliveries), by_delay);
    int place = n - 1 - n / 100;
    return (double)deliveries[place].delay_ns / 1e6;
}

static row_t row_of(const chat_t *chat)
{
    int flood = chat->settings->flood;
    row_t row = {.megabytes = peak_megabytes(), .threads = atomic_load(&chat->threads.peak)};
    for (int i = 0; i < posts(chat->settings); i++)
        need(chat->deliveries[i].times == 1, "every delivery was made once");
    for (int i = 0; i < chat->settings->rooms; i++) {
        int at_once = atomic_load(&chat->rooms[i].at_once.peak);
        row.at_once = at_once > row.at_once ? at_once : row.at_once;
    }
    row.flooded_p99_ms = p99_ms(chat->deliveries, flood);
    row.others_p99_ms = p99_ms(chat->deliveries + flood, chat->settings->messages);
    return row;
}

static row_t run_chat(const architecture_t *architecture, const settings_t *settings)
{
    chat_t chat = {.settings = settings};
    open_chat(&chat, architecture);
    talk(&chat);
    finish(&chat);
    row_t row = row_of(&chat);
    close_chat(&chat);
    return row;
}

/* In a process of its own, so that memory is that of this architecture only. */
static row_t measure(const architecture_t *architecture, const settings_t *settings)
{
    int ends[2];
    need(pipe(ends) == 0, "there is a pipe");
    fflush(stdout);
    pid_t child = fork();
    need(child >= 0, "there is a process");
    if (child == 0) {
        row_t row = run_chat(architecture, settings);
        exit(write(ends[1], &row, sizeof(row)) == sizeof(row) ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    row_t row;
    int status;
    close(ends[1]);
    need(read(ends[0], &row, sizeof(row)) == sizeof(row), "the other process reports");
    close(ends[0]);
    need(waitpid(child, &status, 0) == child && status == 0, "the other process ends well");
    return row;
}

/* ---- The program ------------------------------------------------------------------- */

static int number(const char *text, int least)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || n < least || n > 1000000) {
        fprintf(stderr, "rooms: %s: a number from %d to 1000000 is accepted\n", text, least);
        exit(2);
    }
    return (int)n;
}

static settings_t read_settings(int argc, char **argv)
{
    settings_t settings = {.rooms = 1000, .messages = 4000, .flood = 2000};
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : "nothing";
        if (strcmp(argv[i], "--rooms") == 0) {
            settings.rooms = number(value, 2);
        } else if (strcmp(argv[i], "--messages") == 0) {
            settings.messages = number(value, 1);
        } else if (strcmp(argv[i], "--flood") == 0) {
            settings.flood = number(value, 0);
        } else {
            fprintf(stderr, "rooms: --rooms N, --messages N and --flood N are accepted\n");
            exit(2);
        }
    }
    return settings;
}

int main(int argc, char **argv)
{
    static const architecture_t architectures[] = {{"a pool for each room", true, INT_MAX},
                                                   {"one pool, a limit for each", false, ROOM_CAP},
                                                   {"one pool, no limits", false, INT_MAX}};
    settings_t settings = read_settings(argc, argv);
    row_t rows[3];
    printf("%d rooms, %d messages, %d more flood one room\n", settings.rooms, settings.messages,
           settings.flood);
    printf("%-27s memory  threads  p99 of others  of the flooded  at once in a room\n", "");
    for (int i = 0; i < 3; i++) {
        rows[i] = measure(&architectures[i], &settings);
        printf("%-27s %3.0f MB  %7d  %10.1f ms  %11.1f ms  %17d\n", architectures[i].name,
               rows[i].megabytes, rows[i].threads, rows[i].others_p99_ms, rows[i].flooded_p99_ms,
               rows[i].at_once);
    }
    need(rows[0].at_once <= ROOM_CAP, "a pool of its own bounds a room");
    need(rows[1].at_once <= ROOM_CAP, "a limit in one pool bounds a room as well");
    need(rows[1].threads <= SHARED_CAP && rows[2].threads <= SHARED_CAP, "one pool has its cap");
    return EXIT_SUCCESS;
}
