/*
 * A bound for pools that have none: at most `limit` tasks submitted and unfinished. It is
 * made to cost its pool as little as it can: finished tasks are counted apart from submitted
 * ones, and a submitter that has to wait is woken when half of the limit is free, not for
 * each task.
 */
#ifndef ANTPOOL_BENCH_BOUND_H
#define ANTPOOL_BENCH_BOUND_H

#ifdef __cplusplus
extern "C" {
#endif

void bound_init(int limit); /* -1: none, but bound_wait_all works */
void bound_enter(void);     /* before a submit, waits */
void bound_leave(void);     /* after each task */
void bound_wait_all(void);  /* until all have left */

#ifdef __cplusplus
}
#endif

#endif
