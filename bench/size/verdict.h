/* Whether what was predicted and measured certifies that the cap meets the goals. */
#ifndef ANTPOOL_SIZE_VERDICT_H
#define ANTPOOL_SIZE_VERDICT_H

#include "study.h"

/* How often a run is simulated to see how far it strays: as often as fits into so many tasks. */
#define SPREAD_RUNS_LEAST 40
#define SPREAD_RUNS_MOST 200
#define SPREAD_TASKS 2e6

/*
 * Sets verdict, reasons and enough_seconds. A run of some seconds cannot show a tail by itself: it
 * strays by chance. So a goal is certified by three things together: the prediction meets it, and
 * is known well enough to say so; the run was on time and large enough for the figure to mean
 * something; and the pool took what the drawn tasks must take, or what it took more leaves the goal met.
 */
void study_judge(struct study *study);

#endif
