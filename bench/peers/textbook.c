/*
 * The pool of the textbooks: a fixed number of threads, a ring of tasks, one mutex, and a
 * condition variable for each side. Its own bound counts queued and running tasks.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "peer.h"

struct task {
    void (*fn)(void *);
    void *arg;
};

const char subject_name[] = "textbook";

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;    /* protects all but the threads */
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER; /* queued > 0, or stopping */
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER;  /* unfinished < limit */
static pthread_cond_t all_done = PTHREAD_COND_INITIALIZER;  /* unfinished == 0 */
static struct task *ring;                                   /* limit entries */
static size_t head, tail, queued, unfinished, limit;
static bool stopping;
static pthread_t *threads;
static int thread_count;

static size_t after(size_t index)
{
    return index + 1 < limit ? index + 1 : 0;
}

static bool take_locked(struct task *task)
{
    while (queued == 0 && !stopping)
        pthread_cond_wait(&not_empty, &lock);
    if (queued == 0)
        return false;
    *task = ring[head];
    head = after(head);
    queued--;
    return true;
}

static void finish_locked(void)
{
    unfinished--;
    pthread_cond_signal(&not_full);
    if (unfinished == 0)
        pthread_cond_broadcast(&all_done);
}

static void *work(void *unused)
{
    struct task task;
    pthread_mutex_lock(&lock);
    while (take_locked(&task)) {
        pthread_mutex_unlock(&lock);
        task.fn(task.arg);
        pthread_mutex_lock(&lock);
        finish_locked();
    }
    pthread_mutex_unlock(&lock);
    return unused;
}

static void start_thread(const pthread_attr_t *attr)
{
    int error = pthread_create(&threads[thread_count], attr, work, NULL);
    if (error != 0)
        bench_die("cannot start thread %d: %s", thread_count, strerror(error));
    thread_count++;
}

const char *subject_start(const struct subject_setup *setup)
{
    pthread_attr_t attr;
    if (setup->cap < 1)
        return "needs a cap";
    limit = (size_t)peer_limit(setup);
    ring = calloc(limit, sizeof *ring);
    threads = calloc((size_t)setup->cap, sizeof *threads);
    if (ring == NULL || threads == NULL || pthread_attr_init(&attr) != 0)
        return "out of memory";
    pthread_attr_setstacksize(&attr, (size_t)256 * 1024);
    while (thread_count < setup->cap)
        start_thread(&attr);
    pthread_attr_destroy(&attr);
    return NULL;
}

void subject_run(int submitters, void (*submit_all)(int who))
{
    bench_threads(submitters, submit_all);
    pthread_mutex_lock(&lock);
    while (unfinished > 0)
        pthread_cond_wait(&all_done, &lock);
    pthread_mutex_unlock(&lock);
}

void subject_submit(void (*fn)(void *), void *arg)
{
    pthread_mutex_lock(&lock);
    while (unfinished == limit)
        pthread_cond_wait(&not_full, &lock);
    ring[tail] = (struct task){fn, arg};
    tail = after(tail);
    queued++;
    unfinished++;
    pthread_mutex_unlock(&lock);
    pthread_cond_signal(&not_empty);
}

void subject_flush(void) {}

void subject_stop(void)
{
    pthread_mutex_lock(&lock);
    stopping = true;
    pthread_mutex_unlock(&lock);
    pthread_cond_broadcast(&not_empty);
    for (int i = 0; i < thread_count; i++)
        pthread_join(threads[i], NULL);
    free(threads);
    free(ring);
}
