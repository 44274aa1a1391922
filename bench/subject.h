/*
 * What is measured: a pool behind five calls, so that one program puts its question to every
 * pool. A subject is one source file that is linked with a program; antpool.c is ours,
 * peers/ has the others.
 */
#ifndef ANTPOOL_BENCH_SUBJECT_H
#define ANTPOOL_BENCH_SUBJECT_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct subject_setup {
    int cap;            /* tasks at once; -1: no bound at all */
    int queue;          /* accepted tasks beyond the cap */
    int submitters;     /* threads that submit at once */
    int prestart;       /* workers to start before the first task; who always starts all may */
    const char *call;   /* "submit"; antpool.c knows others */
    int spin_us;        /* for antpool.c alone, as is the next: 0 is its default */
    int expiry_ms;
    int shards;           /* for multipool.c alone … */
    const char *strategy; /* … as is this */
};

extern const char subject_name[];

/* NULL, or why this subject cannot be set up so. */
const char *subject_start(const struct subject_setup *);

/* Calls submit_all(0) … submit_all(submitters - 1), each in a thread of its own, and
 * returns when every submitted task has run. */
void subject_run(int submitters, void (*submit_all)(int who));

/* From within submit_all, waits while cap + queue tasks are unfinished. */
void subject_submit(void (*fn)(void *), void *arg);

/* At the end of each submit_all: what was held back to be submitted as a batch goes. */
void subject_flush(void);

void subject_stop(void);

#ifdef __cplusplus
}
#endif

#endif
