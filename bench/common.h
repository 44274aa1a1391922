/* What the bench programs share: time, arguments, threads that submit, figures. */
#ifndef ANTPOOL_BENCH_COMMON_H
#define ANTPOOL_BENCH_COMMON_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_SUBMITTERS_MAX 256
#define BENCH_SKIPPED 77 /* exit code: this subject cannot do what was asked */

extern const char *bench_program; /* for messages */

struct bench_option {
    const char *name;
    int *number;       /* takes least … most; or NULL and … */
    const char **text; /* … takes any text; or both NULL and … */
    int *flag;         /* … takes nothing and is set to 1 */
    int least, most;
};

/* Reads the command line, ends the program with a usage line if it does not fit. The last
 * option has no name. */
void bench_parse(int argc, char **argv, const struct bench_option *options);

__attribute__((noreturn, format(printf, 1, 2))) void bench_die(const char *format, ...);

int64_t bench_now(void);        /* ns, monotonic */
int64_t bench_cpu(void);        /* ns of processor time of the process so far */
int64_t bench_thread_cpu(void); /* … of this thread */
void bench_sleep(int64_t ns);

/* Runs body(0) … body(n - 1) in threads of their own and waits for them. */
void bench_threads(int n, void (*body)(int who));

/* Burns processor time: bench_work(bench_work_units(ns)) takes about ns. */
void bench_work(int64_t units);
int64_t bench_work_units(int64_t ns);

/* The number of a line "name:  number …" of a file of /proc; 0 where there is none. */
long bench_proc(const char *file, const char *name);
#define BENCH_STATUS "/proc/self/status"

/* The value below which the given share of n values lies, which it sorts. */
int64_t bench_quantile(int64_t *values, long n, double share);

#ifdef __cplusplus
}
#endif

#endif
