#define _GNU_SOURCE
#include "faults.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct counter_value {
    atomic_int *counter;
    int value;
};

static bool counter_holds(void *user)
{
    struct counter_value *c = user;
    return atomic_load(c->counter) == c->value;
}

bool reaches(atomic_int *counter, int value)
{
    for (int i = 0; i < 1000; i++) {
        if (atomic_load(counter) == value)
            return true;
        sched_yield();
    }
    struct counter_value c = {counter, value};
    return eventually(counter_holds, &c, PATIENCE_MS);
}

void raise_to(atomic_int *most, int value)
{
    int seen = atomic_load(most);
    while (seen < value && !atomic_compare_exchange_weak(most, &seen, value))
        ;
}

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void linger_us(int us)
{
    for (int64_t end = now_us() + us; now_us() < end;)
        sched_yield();
}

void count_logger(void *lines, const char *message)
{
    (void)message;
    if (lines != NULL)
        count_task(lines);
}

pthread_t thread_start(void *(*run)(void *), void *arg)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, arg) != 0)
        abort();
    return thread;
}

void child_must_end(void)
{
    sigset_t alarm_only;
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    signal(SIGALRM, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL);
    alarm(PATIENCE_MS / 1000);
}

/* What a child has run counts in a build for coverage, though it ends without exit(). */
#if defined(ANTPOOL_COVERAGE) && defined(__clang__)
int __llvm_profile_write_file(void);
static void keep_coverage(void)
{
    __llvm_profile_write_file();
}
#elif defined(ANTPOOL_COVERAGE)
void __gcov_dump(void);
static void keep_coverage(void)
{
    __gcov_dump();
}
#else
static void keep_coverage(void) {}
#endif

_Noreturn void child_end(int code)
{
    keep_coverage();
    _exit(code);
}

#if defined(ANTPOOL_COVERAGE)
static void die_of_abort(int aborted)
{
    keep_coverage();
    signal(aborted, SIG_DFL);
    raise(aborted);
}
#endif

/* The test framework catches these to report them; a child is to die as a program would. */
static void restore_default_signals(void)
{
    const int caught[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};
    for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++)
        signal(caught[i], SIG_DFL);
#if defined(ANTPOOL_COVERAGE)
    signal(SIGABRT, die_of_abort);
#endif
    child_must_end();
}

static void become_child(int stderr_pipe, void (*body)(void *), void *arg)
{
    restore_default_signals();
    dup2(stderr_pipe, STDERR_FILENO);
    body(arg);
    child_end(0);
}

static void collect(int from, char *output, size_t size)
{
    size_t used = 0;
    char chunk[256];
    for (ssize_t n; (n = read(from, chunk, sizeof chunk)) > 0;) {
        size_t fits = (size_t)n < size - 1 - used ? (size_t)n : size - 1 - used;
        memcpy(output + used, chunk, fits);
        used += fits;
    }
    output[used] = '\0';
}

child_t child_run(void (*body)(void *arg), void *arg)
{
    int pipe_ends[2];
    fflush(NULL);
    if (pipe(pipe_ends) != 0)
        abort();
    pid_t pid = fork();
    if (pid == 0)
        become_child(pipe_ends[1], body, arg);
    close(pipe_ends[1]);
    child_t child = {0};
    collect(pipe_ends[0], child.output, sizeof child.output);
    close(pipe_ends[0]);
    if (waitpid(pid, &child.status, 0) != pid)
        abort();
    return child;
}

static bool as_expected(const child_t *child, bool expected)
{
    if (!expected)
        fprintf(stderr, "child ended with status 0x%x: %s\n", (unsigned)child->status,
                child->output);
    return expected;
}

bool child_exited(const child_t *child, int code)
{
    return as_expected(child, WIFEXITED(child->status) && WEXITSTATUS(child->status) == code);
}

bool child_died_of(const child_t *child, int signal)
{
    return as_expected(child, WIFSIGNALED(child->status) && WTERMSIG(child->status) == signal);
}

void child_check(bool holds, const char *condition, int line)
{
    if (holds)
        return;
    dprintf(STDERR_FILENO, "line %d: not so: %s\n", line, condition);
    _exit(3);
}

pid_t fork_into(int (*run)(void *arg), void *arg)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    restore_default_signals();
    child_end(run(arg));
}

int exit_code_of(pid_t child)
{
    int status = 0;
    if (waitpid(child, &status, 0) != child)
        return -1;
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}
