/* What the tests of breakages and faults share beyond support.h: rounds that shrink under a
 * sanitizer, counters to wait for, and child processes to crash. */
#ifndef ANTPOOL_TESTS_FAULTS_H
#define ANTPOOL_TESTS_FAULTS_H

#include "support.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#endif
#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#endif
#if !defined(UNDER_TSAN)
#define UNDER_TSAN 0
#endif
#if !defined(UNDER_ASAN)
#define UNDER_ASAN 0
#endif

/* How often a race is provoked: a third of it where every step is several times slower. */
#define ROUNDS(plain) (UNDER_TSAN || UNDER_ASAN ? (plain) / 3 + 1 : (plain))

#define assert_ok(call) assert_int_equal((call), POOL_OK)

/* true: the counter came to `value` within PATIENCE_MS. Yields first, then naps. */
bool reaches(atomic_int *counter, int value);

/* Raises *most to value if it is below. */
void raise_to(atomic_int *most, int value);

/* Keeps the CPU for so long: aims at a window, synchronises nothing. */
void linger_us(int us);

/* A logger that counts its lines in an atomic_int; NULL: drops them. */
void count_logger(void *lines, const char *message);

/* A thread of the test's own; aborts if the system has none. */
pthread_t thread_start(void *(*run)(void *), void *arg);

/* What became of a child process. */
typedef struct child {
    int status;       /* as from waitpid */
    char output[800]; /* the first of what it wrote to stderr */
} child_t;

/* Runs body(arg) in a forked child, default signal handlers restored, that then ends with
 * exit code 0. One that hangs is killed by SIGALRM. */
child_t child_run(void (*body)(void *arg), void *arg);
bool child_exited(const child_t *child, int code); /* prints what it did otherwise */
bool child_died_of(const child_t *child, int signal);

/* Ends a child as _exit does. */
_Noreturn void child_end(int code);

/* In a child: ends it with exit code 3 and a line on stderr unless the condition holds. */
#define child_assert(condition) child_check((condition), #condition, __LINE__)
void child_check(bool holds, const char *condition, int line);

/* fork() and _exit for tests that fork amid threads: what run in the child answers is its
 * exit code. */
pid_t fork_into(int (*run)(void *arg), void *arg);
int exit_code_of(pid_t child); /* waits; 1000 + the signal that killed it */

/* In a child that was forked by hand: SIGALRM ends it after PATIENCE_MS, even in a worker. */
void child_must_end(void);

#endif
