/*
 * uv_queue_work of libuv. Work may only be queued by the thread that runs the loop, which
 * also gets each request back there, so there is one submitter. It has cap + queue requests,
 * and runs the loop when none is left: that is the bound, and needs no counting across
 * threads. It is stricter than others: a request comes back some time after its task ended.
 */
#define _GNU_SOURCE /* uv.h needs it */
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "common.h"
#include "peer.h"

enum { THREADS_MAX = 1024 }; /* libuv takes more for that many */

struct request {
    uv_work_t work; /* first: libuv hands back its address */
    void (*fn)(void *);
    void *arg;
    struct request *next;
};

const char subject_name[] = "libuv";

/* All of the submitting thread alone. */
static uv_loop_t loop;
static struct request *requests, *unused;
static int fresh, limit; /* requests[fresh …] have not been used yet, nor touched */

static void check(int error)
{
    if (error != 0)
        bench_die("libuv: %s", uv_strerror(error));
}

static void run(uv_work_t *work)
{
    struct request *request = (struct request *)work;
    request->fn(request->arg);
}

static void take_back(uv_work_t *work, int status)
{
    struct request *request = (struct request *)work;
    check(status);
    request->next = unused;
    unused = request;
}

static struct request *get_request(void)
{
    while (unused == NULL) {
        if (fresh < limit)
            return &requests[fresh++];
        uv_run(&loop, UV_RUN_ONCE);
    }
    struct request *request = unused;
    unused = request->next;
    return request;
}

static void do_nothing(void *arg)
{
    (void)arg;
}

/* The first task starts all threads. */
static void start_threads(int n)
{
    char text[16];
    snprintf(text, sizeof text, "%d", n);
    check(uv_os_setenv("UV_THREADPOOL_SIZE", text));
    subject_submit(do_nothing, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
}

const char *subject_start(const struct subject_setup *setup)
{
    if (setup->cap < 1 || setup->cap > THREADS_MAX)
        return "needs a cap of at most 1024";
    if (setup->submitters > 1)
        return "takes work from one thread only, the loop's";
    limit = peer_limit(setup);
    requests = calloc((size_t)limit, sizeof *requests);
    if (requests == NULL)
        return "out of memory";
    check(uv_loop_init(&loop));
    start_threads(setup->cap);
    return NULL;
}

/* The submitter has ended when this thread runs the loop on. */
void subject_run(int submitters, void (*submit_all)(int who))
{
    bench_threads(submitters, submit_all);
    uv_run(&loop, UV_RUN_DEFAULT);
}

void subject_submit(void (*fn)(void *), void *arg)
{
    struct request *request = get_request();
    request->fn = fn;
    request->arg = arg;
    check(uv_queue_work(&loop, &request->work, run, take_back));
}

void subject_flush(void) {}

void subject_stop(void)
{
    check(uv_loop_close(&loop));
    free(requests);
}
