/*
 * How long tasks take, and when they come: distributions to draw from, all from one seed.
 * Each stream is for one thread at a time.
 */
#ifndef ANTPOOL_SIZE_SERVICE_H
#define ANTPOOL_SIZE_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

/* Different streams of the same seed have nothing to do with each other. */
struct random random_of(uint64_t seed, uint64_t stream);
double random_share(struct random *random); /* above 0, below 1 */

enum service_kind {
    SERVICE_FIXED,
    SERVICE_EXP,
    SERVICE_LOGNORMAL,
    SERVICE_BIMODAL,
    SERVICE_TRACE,
    SERVICE_PLUGIN, /* the task itself is run; until it was timed, how long it takes is unknown */
    SERVICE_EXEC
};

struct service {
    enum service_kind kind;
    double mean;      /* seconds; NAN where unknown */
    double cv2;       /* variance / mean² */
    double sigma;     /* lognormal: of the logarithm */
    double slow;      /* bimodal: a share `slow_share` of the tasks takes this, … */
    double slow_share;
    double fast;      /* … the others this */
    double *trace;    /* trace: n times, drawn from by chance; also of a timed plugin or command */
    long n;
    char *target;     /* plugin: the file; exec: the command */
    char *argument;   /* plugin: for its init; NULL if none */
};

/*
 * Reads one of
 *     200ms  exp:200ms               exponential (the plain duration is the same)
 *     fixed:200ms
 *     lognormal:200ms,0.8            mean, sigma of the logarithm
 *     bimodal:20ms,1s,5%             fast, slow, share of the slow
 *     trace:FILE  trace:FILE,COLUMN  recorded times: a line each, or a column of a CSV with a
 *                                    heading, by name or by number from 1; a plain number is in
 *                                    milliseconds, units as of durations are taken;
 *                                    blank lines and those that start with # are skipped
 *     plugin:FILE  plugin:FILE,ARGUMENT
 *     exec:COMMAND
 * Returns NULL, or what is wrong with it and what is accepted, as a sentence (overwritten by
 * the next call), and then has nothing to free.
 */
const char *service_parse(const char *text, struct service *service);
void service_fini(struct service *service);

/* Whether it is the user's own task, a plugin or a command, whose times are measured and not drawn. */
bool service_is_program(const struct service *service);

/* Takes the times (n > 0) over, as a copy, as what the service is drawn from, of whatever kind it is;
 * sets mean and cv2. */
bool service_learn(struct service *service, const double *seconds, long n); /* false: no memory */

/* The next time a task takes, seconds. Not for a plugin or command that was not timed. */
double service_draw(const struct service *service, struct random *random);

enum arrivals { ARRIVALS_POISSON, ARRIVALS_CONSTANT };
double arrivals_gap(enum arrivals arrivals, double rate, struct random *random); /* seconds to the next */

#endif
