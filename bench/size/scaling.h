/* antpool-size usl: throughput against the cap, and the Universal Scalability Law fitted to it. */
#ifndef ANTPOOL_SIZE_SCALING_H
#define ANTPOOL_SIZE_SCALING_H

#include "request.h"

/* Reads or measures the points, fits, prints. Returns the exit code. */
int scaling_do(struct request *request);

#endif
