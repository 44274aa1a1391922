/* What a pool of a certain cap does to its tasks, as figures, and goals for these. */
#ifndef ANTPOOL_SIZE_METRICS_H
#define ANTPOOL_SIZE_METRICS_H

#include <stdbool.h>
#include <stddef.h>

#include "units.h"

enum metric {
    P_WAIT,      /* share of the accepted tasks that wait for a worker */
    MEAN_WAIT,   /* of the accepted tasks; seconds, like all times here */
    P50_WAIT,    /* half of them wait at most this, and so on */
    P95_WAIT,
    P99_WAIT,
    P999_WAIT,
    P99_TOTAL,   /* of wait and service together */
    REJECT,      /* share of all tasks that is refused */
    DRAIN,       /* until a backlog is done */
    UTILISATION, /* share of the workers that runs a task */
    METRIC_COUNT
};

/* NAN: not known by this way. INFINITY: grows without end, since the load is unstable. */
struct outcome {
    double of[METRIC_COUNT];
};

#define METRIC_WORD_MAX 16

const char *metric_word(enum metric metric); /* as in a goal: "p99-wait" */
bool metric_is_time(enum metric metric);     /* seconds; otherwise a share, 0 … 1 */
double metric_share(enum metric metric);     /* 0.99 for P99_WAIT; NAN if it is no quantile */
struct outcome outcome_unknown(void);

/* The figure with its unit, "45.2ms", "0.94%" or "<0.0001%"; beside a bound with as many digits as tell it
 * from that. */
const char *metric_text(enum metric metric, double value, char text[UNITS_TEXT_MAX]);
const char *metric_text_beside(enum metric metric, double value, double bound, char text[UNITS_TEXT_MAX]);

struct goal {
    enum metric metric;
    double bound;     /* met strictly below it; seconds or a share */
    const char *text; /* as it was given: "p99-wait=50ms"; lives as long as that */
};

/* Reads "p99-wait=50ms", "reject=1%", "p-wait=0.01". Returns NULL, or what is wrong with it and
 * what is accepted, as a sentence that is overwritten by the next call. */
const char *goal_parse(const char *text, struct goal *goal);

/* False as well where the figure is not known. */
bool goal_is_met(const struct goal *goal, const struct outcome *outcome);

#endif
