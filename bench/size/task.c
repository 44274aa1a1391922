#define _GNU_SOURCE
#include "task.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "antpool.h"
#include "clock.h"
#include "plugin.h"
#include "sentence.h"

extern char **environ;

/* ---- Plugins ------------------------------------------------------------------------------------- */

/* The three calls; NULL, or the name of the first that the plugin lacks. dlerror forgets a failure
 * as soon as another look-up succeeds, so it is not asked. */
static const char *find_calls(struct task *task, void *(**init)(const char *))
{
    if ((*(void **)init = dlsym(task->plugin, "antpool_task_init")) == NULL)
        return "antpool_task_init";
    if ((*(void **)&task->run = dlsym(task->plugin, "antpool_task_run")) == NULL)
        return "antpool_task_run";
    if ((*(void **)&task->fini = dlsym(task->plugin, "antpool_task_fini")) == NULL)
        return "antpool_task_fini";
    return NULL;
}

/* Without a slash the loader would look in the system's folders. */
static void *open_plugin(const char *file)
{
    char path[4096];
    snprintf(path, sizeof path, "%s%s", strchr(file, '/') == NULL ? "./" : "", file);
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

/* What was not made is not ended. */
static const char *give_up(struct task *task, const char *why)
{
    task->fini = NULL;
    task_fini(task);
    return why;
}

static const char *load_plugin(struct task *task)
{
    const char *file = task->service->target, *argument = task->service->argument;
    argument = argument != NULL ? argument : "";
    task->plugin = open_plugin(file);
    if (task->plugin == NULL)
        return sentence("%s", dlerror());
    void *(*init)(const char *);
    const char *missing = find_calls(task, &init);
    if (missing != NULL)
        return give_up(task, sentence("%s has no %s: plugin.h tells the three calls of a plugin", file, missing));
    task->state = init(argument);
    if (task->state != NULL)
        return NULL;
    return give_up(task, sentence("antpool_task_init(\"%s\") of %s failed: it returned NULL", argument, file));
}

const char *task_init(struct task *task, const struct service *service, double cpu_share)
{
    *task = (struct task){.service = service, .cpu_share = cpu_share};
    return service->kind == SERVICE_PLUGIN ? load_plugin(task) : NULL;
}

void task_fini(struct task *task)
{
    if (task->fini != NULL)
        task->fini(task->state);
    if (task->plugin != NULL)
        dlclose(task->plugin);
    *task = (struct task){0};
}

/* ---- Running ----------------------------------------------------------------------------------------- */

/* What commands print is not part of a report, and many at once must not share what is typed. */
static bool keep_apart(posix_spawn_file_actions_t *files)
{
    return posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0) == 0 &&
           posix_spawn_file_actions_addopen(files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) == 0;
}

/* A worker blocks all signals, which a command would inherit: neither timeout(1) nor ^C could end it. */
static bool spawn(pid_t *child, const char *command)
{
    char *words[] = {"sh", "-c", (char *)command, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none;
    if (posix_spawn_file_actions_init(&files) != 0)
        return false;
    bool made = keep_apart(&files) && posix_spawnattr_init(&how) == 0;
    if (made) {
        sigemptyset(&none);
        posix_spawnattr_setsigmask(&how, &none);
        posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK);
        made = posix_spawn(child, "/bin/sh", &files, &how, words, environ) == 0;
        posix_spawnattr_destroy(&how);
    }
    posix_spawn_file_actions_destroy(&files);
    return made;
}

static bool run_command(const char *command)
{
    pid_t child;
    int status;
    if (!spawn(&child, command))
        return false;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* About a microsecond of work that no compiler leaves out: each step needs the one before it. */
static void compute_some(void)
{
    uint64_t x = 1;
    for (int i = 0; i < 1000; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        __asm__ volatile("" : "+r"(x));
    }
}

/*
 * Processor time by the thread's own clock: neither time, since a task that others push off the
 * processor still has all of its computing to do, nor work that was calibrated beforehand, since a
 * shared core is faster now and slower then. The clock is a system call, so most of it is spent
 * between two readings.
 */
static void compute(double seconds)
{
    double end = clock_thread_cpu() + seconds;
    while (clock_thread_cpu() < end)
        compute_some();
}

/* Until an instant, so that signals, which begin it anew, do not lengthen it. */
static void sleep_for(double seconds)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    double whole = (double)(long)seconds;
    t.tv_sec += (time_t)whole;
    t.tv_nsec += (long)ceil((seconds - whole) * 1e9);
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {}
}

bool task_run(const struct task *task, double seconds)
{
    if (task->service->kind == SERVICE_EXEC)
        return run_command(task->service->target);
    if (task->service->kind == SERVICE_PLUGIN) {
        task->run(task->state);
        return true;
    }
    if (task->cpu_share > 0)
        compute(seconds * task->cpu_share);
    if (task->cpu_share < 1)
        sleep_for(seconds * (1 - task->cpu_share));
    return true;
}

/* ---- Timing ------------------------------------------------------------------------------------------ */

struct timing {
    const struct task *task;
    double *took;
    atomic_long n, failed;
};

static void time_one(void *arg)
{
    struct timing *timing = arg;
    double began = clock_now();
    if (!task_run(timing->task, 0))
        atomic_fetch_add(&timing->failed, 1);
    timing->took[atomic_fetch_add(&timing->n, 1)] = clock_now() - began;
}

/* At least one; when the time is over, the next does not wait for a worker any more. */
static pool_err submit_some(pool_t *pool, struct timing *timing, long most, double end)
{
    pool_err err = pool_submit(pool, time_one, timing);
    for (long i = 1; err == POOL_OK && i < most; i++) {
        double left = end - clock_now();
        if (left <= 0)
            return POOL_OK;
        err = pool_submit_timeout(pool, time_one, timing, (int64_t)ceil(fmin(left, 1e6) * 1000));
    }
    return err == POOL_ERR_TIMEOUT ? POOL_OK : err;
}

static pool_err time_on_pool(struct timing *timing, int at_once, long most, double seconds)
{
    pool_t *pool;
    pool_err err = pool_new(&pool, at_once);
    if (err != POOL_OK)
        return err;
    err = submit_some(pool, timing, most, clock_now() + seconds);
    pool_wait(pool);
    pool_destroy(pool);
    return err;
}

static const char *not_timed(const struct timing *timing, pool_err err)
{
    if (err != POOL_OK)
        return sentence("timing it on a pool: %s", pool_strerror(err));
    return sentence("%ld of %ld times the command \"%s\" failed: it must exit with 0; try it by itself",
                    atomic_load(&timing->failed), atomic_load(&timing->n), timing->task->service->target);
}

const char *task_time(struct task *task, struct service *service, int at_once, long most, double seconds)
{
    most = most > 1 ? most : 1;
    struct timing timing = {.task = task, .took = malloc((size_t)most * sizeof *timing.took)};
    if (timing.took == NULL)
        return "no memory to time it";
    const char *wrong = NULL;
    pool_err err = time_on_pool(&timing, at_once, most, seconds);
    if (err != POOL_OK || timing.failed > 0)
        wrong = not_timed(&timing, err);
    else if (!service_learn(service, timing.took, timing.n))
        wrong = "no memory for its times";
    free(timing.took);
    return wrong;
}
