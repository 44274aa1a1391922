/* What the system says of this process, for the programs that ask what a pool costs beside
 * time. Linux only: elsewhere the numbers are 0. */
#ifndef ANTPOOL_BENCH_PROC_H
#define ANTPOOL_BENCH_PROC_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes. Not from statm: it is the sum of counters that lag up to 64 pages a processor. */
int64_t bench_rss(void);

/* The living threads of the process but the main one, which is the one that asks. */
struct bench_others {
    int threads;
    long switches; /* voluntary or not */
    int64_t cpu;   /* ns of processor time */
};

struct bench_others bench_others(void);

/* What they do while the main thread sleeps; none may start or end meanwhile. */
struct bench_others bench_rest(int64_t ns);

/* Looks each millisecond whether the process has at most n threads, then waits a little for
 * what their pool does after them; false: not within ms. */
bool bench_until_threads(long n, int ms);

#endif
