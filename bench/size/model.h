/* What to expect of a cap: by formula where it is exact, otherwise by simulation. */
#ifndef ANTPOOL_SIZE_MODEL_H
#define ANTPOOL_SIZE_MODEL_H

#include "simulate.h"

/*
 * The formulas' figures. Exact for tasks that come by chance and take exponential times. For
 * others waits are scaled by half the sum of the squared coefficients of variation of gaps and
 * service times (Allen and Cunneen), which is an approximation. A REJECT without a limit of
 * the queue is that of a pool which refuses at once.
 */
struct outcome model_formula(const struct scenario *scenario);
bool model_is_exact(const struct scenario *scenario);

#define SEARCH_SHARE 5 /* simulations on the way to a cap have so many times fewer tasks */

/* The figures to decide by, with what they may be wrong by; from so many tasks where they are
 * simulated. Ends the program if there is no memory. */
struct estimate model_predict(const struct scenario *scenario, long tasks);

/* The least cap that meets the goal, with everything else as in the scenario (its cap is not looked at);
 * 0 if none up to `most` does. Where it is simulated, a longer simulation may find a neighbour better. */
long model_least_cap(const struct scenario *scenario, const struct goal *goal, long most, long tasks);

#endif
