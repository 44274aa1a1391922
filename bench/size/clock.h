/* Clocks in seconds. */
#ifndef ANTPOOL_SIZE_CLOCK_H
#define ANTPOOL_SIZE_CLOCK_H

double clock_now(void);            /* monotonic */
double clock_process_cpu(void);    /* processor time of the process */
double clock_thread_cpu(void);     /* of this thread */

#endif
