/* Scenarios under failing calls: what tests of a lack of memory or threads share. */
#ifndef ANTPOOL_TESTS_SCENARIO_H
#define ANTPOOL_TESTS_SCENARIO_H

#include "faults.h"
#include "inject.h"

/* What the scenarios work on, new for each attempt. */
extern pool_t *pool;
extern gate_t gate;
extern atomic_int ran;

/* Repeats a scenario with the 1st, 2nd, ... call failing, alone and with all after it, until
 * none fails. `arrange` and `check` are not disturbed, `act` is: it answers POOL_OK or, if a
 * call failed, that memory or a thread is wanting. `check` ends the pool, if there is one;
 * no memory and no thread may be left after it. */
void survive(void (*arrange)(void), pool_err (*act)(void), void (*check)(pool_err answer));

bool is_want_of_something(pool_err err); /* of memory or a thread */

void arrange_nothing(void);
void arrange_idle(void);     /* a pool of cap 3 with a queue of 8 */
void arrange_one_busy(void); /* the same with one task at the gate */
void check_works(pool_err answer);
void assert_pool_works(void);
void destroy_and_forget(void);

#endif
