/* The whole study: the answer, caps around it measured, and whether that certifies it. */
#ifndef ANTPOOL_SIZE_STUDY_H
#define ANTPOOL_SIZE_STUDY_H

#include "answer.h"
#include "load.h"
#include "progress.h"

#define ROWS_MAX 5
#define REASONS_MAX 12
#define REASON_CHARS 256

struct row {
    long cap;
    struct outcome formula;
    struct estimate simulation;
    bool measured; /* run, and the figures of it, are there */
    struct run run;
};

enum verdict { VERDICT_MET, VERDICT_NOT_MET, VERDICT_NOT_CERTIFIABLE };

struct study {
    const struct request *request;
    struct progress progress;
    double rss_before;         /* any worker was made: later pools use the stacks of earlier ones again */
    struct answer answer;
    struct row rows[ROWS_MAX]; /* by cap */
    int rows_n, chosen;        /* rows[chosen].cap == answer.cap */
    struct outcome spread;     /* by chance, of a run as long as these at the answer */
    double enough_seconds;     /* of a run that would resolve the deciding goal by itself; NAN: no such */
    double drain;              /* measured; NAN if not asked for */
    enum verdict verdict;
    char reasons[REASONS_MAX][REASON_CHARS]; /* why, and what would do */
    int reasons_n;
};

/* Ends the program where it cannot go on. */
void study_do(struct study *study, struct request *request);
void study_fini(struct study *study);

#endif
