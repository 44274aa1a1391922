#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "antpool.h"
#include "load.h"
#include "plugin.h"

extern char **environ;

static char message[512];

/* ---- Plugins ------------------------------------------------------------------------------------- */

static const char *not_loaded(struct task *task)
{
    snprintf(message, sizeof message, "%s", dlerror());
    task_fini(task);
    return message;
}

static bool find_calls(struct task *task, void *(**init)(const char *))
{
    *(void **)init = dlsym(task->plugin, "antpool_task_init");
    *(void **)&task->run = dlsym(task->plugin, "antpool_task_run");
    *(void **)&task->fini = dlsym(task->plugin, "antpool_task_fini");
    return *init != NULL && task->run != NULL && task->fini != NULL;
}

/* Without a slash the loader would look in the system's folders. */
static void *open_plugin(const char *file)
{
    char path[4096];
    snprintf(path, sizeof path, "%s%s", strchr(file, '/') == NULL ? "./" : "", file);
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

static const char *load_plugin(struct task *task)
{
    void *(*init)(const char *);
    task->plugin = open_plugin(task->service->target);
    if (task->plugin == NULL)
        return not_loaded(task);
    if (!find_calls(task, &init)) {
        task->fini = NULL;
        return not_loaded(task);
    }
    task->state = init(task->service->argument != NULL ? task->service->argument : "");
    if (task->state != NULL)
        return NULL;
    task->fini = NULL;
    task_fini(task);
    return "its antpool_task_init returned NULL";
}

const char *task_init(struct task *task, const struct service *service, double cpu_share)
{
    *task = (struct task){.service = service, .cpu_share = cpu_share};
    if (service->kind == SERVICE_EXEC)
        signal(SIGCHLD, SIG_DFL); /* ignored, as it may be inherited, it would leave no child to wait for */
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

/* A command is started as from a shell, not as by a worker: with all signals to stop it by, and what it
 * says is not mixed with the answer. */
struct spawning {
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t files;
};

static bool spawning_init(struct spawning *spawning)
{
    sigset_t none;
    sigemptyset(&none);
    if (posix_spawnattr_init(&spawning->attributes) != 0)
        return false;
    if (posix_spawn_file_actions_init(&spawning->files) != 0)
        goto undo_attributes;
    if (posix_spawnattr_setsigmask(&spawning->attributes, &none) == 0 &&
        posix_spawnattr_setflags(&spawning->attributes, POSIX_SPAWN_SETSIGMASK) == 0 &&
        posix_spawn_file_actions_addopen(&spawning->files, STDIN_FILENO, "/dev/null", O_RDONLY, 0) == 0 &&
        posix_spawn_file_actions_addopen(&spawning->files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) == 0)
        return true;
    posix_spawn_file_actions_destroy(&spawning->files);
undo_attributes:
    posix_spawnattr_destroy(&spawning->attributes);
    return false;
}

static void spawning_fini(struct spawning *spawning)
{
    posix_spawn_file_actions_destroy(&spawning->files);
    posix_spawnattr_destroy(&spawning->attributes);
}

static bool spawn(const char *command, pid_t *child)
{
    char *words[] = {"sh", "-c", (char *)command, NULL};
    struct spawning spawning;
    if (!spawning_init(&spawning))
        return false;
    bool spawned = posix_spawn(child, "/bin/sh", &spawning.files, &spawning.attributes, words, environ) == 0;
    spawning_fini(&spawning);
    return spawned;
}

static bool run_command(const char *command)
{
    pid_t child;
    int status;
    if (!spawn(command, &child))
        return false;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static double clock_seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Processor time, not time: a task that others push off the processor still computes all of it. */
static void compute(double seconds)
{
    double end = clock_seconds(CLOCK_THREAD_CPUTIME_ID) + seconds;
    while (clock_seconds(CLOCK_THREAD_CPUTIME_ID) < end) {}
}

/* Until an instant, so that a late wake-up does not add to a next one. */
static void sleep_for(double seconds)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    double whole = (double)(long)seconds;
    t.tv_sec += (time_t)whole;
    t.tv_nsec += (long)((seconds - whole) * 1e9);
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
    double began = clock_seconds(CLOCK_MONOTONIC);
    if (!task_run(timing->task, 0))
        atomic_fetch_add(&timing->failed, 1);
    timing->took[atomic_fetch_add(&timing->n, 1)] = clock_seconds(CLOCK_MONOTONIC) - began;
}

static pool_err time_on_pool(struct timing *timing, int at_once, long most, double seconds)
{
    pool_t *pool;
    double end = clock_seconds(CLOCK_MONOTONIC) + seconds;
    pool_err err = pool_new(&pool, at_once);
    if (err != POOL_OK)
        return err;
    for (long i = 0; err == POOL_OK && i < most && clock_seconds(CLOCK_MONOTONIC) < end; i++)
        err = pool_submit(pool, time_one, timing);
    pool_wait(pool);
    pool_destroy(pool);
    return err;
}

const char *task_time(struct task *task, struct service *service, int at_once, long most, double seconds)
{
    struct timing timing = {.task = task, .took = malloc((size_t)most * sizeof *timing.took)};
    if (timing.took == NULL)
        return "no memory to time it";
    const char *wrong = NULL;
    pool_err err = time_on_pool(&timing, at_once, most, seconds);
    if (err != POOL_OK)
        wrong = pool_strerror(err);
    else if (timing.failed > 0)
        wrong = "the command fails: it must exit with 0; try it by itself";
    else if (!service_learn(service, timing.took, timing.n))
        wrong = "no memory for its times";
    free(timing.took);
    return wrong;
}
