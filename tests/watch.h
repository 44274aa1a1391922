/* What the library asks of the system, seen through the linker (--wrap) in the programs that
 * link watch.c; and wake-ups that nobody sent. */
#ifndef ANTPOOL_TESTS_WATCH_H
#define ANTPOOL_TESTS_WATCH_H

#include <stdbool.h>

/* Counts from now on, of all threads that do not look away, until watch_stop. */
void watch_start(void);
void watch_stop(void);

/* While looking away the calling thread's own calls do not count. */
void watch_look_away(bool away);

/* Readings of the wall clock, and timed waits that go by it. */
int watch_wall_clock(void);

/* Calls of sleep, usleep, nanosleep, poll and their kind. */
int watch_sleeps(void);

/* The most threads that waited on one condition variable at once. */
int watch_most_waiters(void);

/* Condition variables and semaphores that were initialised and not destroyed, since the program began. */
int watch_conditions(void);

/* Every nth wait on a condition variable, or semaphore, returns at once, unsignalled, or
 * interrupted; 0: none does. */
void watch_wake_spuriously(int nth);
int watch_spurious_wakes(void); /* how many did */

#endif
