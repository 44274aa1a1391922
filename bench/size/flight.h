/* A run while it goes on: what load.c fills and figures.c reads. */
#ifndef ANTPOOL_SIZE_FLIGHT_H
#define ANTPOOL_SIZE_FLIGHT_H

#include "antpool.h"
#include "load.h"

/* Seconds since the run's beginning. */
struct item {
    struct flight *flight;
    double due, drawn;
    double submitted, start, end;
    bool accepted, waited, failed;
};

/* A run while it goes on, written by the generator alone; of an item, start, end and failed are the
 * worker's from the submit until the pool was waited for. */
struct flight {
    struct run *run;
    pool_t *pool;
    double base; /* of the monotonic clock */
    struct item *items;
    long n;
    double shown;
    double rss_most;
    double cpu; /* processor time of the process a second */
};

/* How many tasks may wait in the pool of the run, and in its twin. */
long flight_queue(const struct flight *flight);

/* Sets what comes out of the run. Returns NULL or what is wrong; then nothing is to be freed. */
const char *flight_figures(const struct flight *flight);

#endif
