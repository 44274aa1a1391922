/* What the user asks for: the command line, read and checked. */
#ifndef ANTPOOL_SIZE_REQUEST_H
#define ANTPOOL_SIZE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "cap_limits.h"
#include "metrics.h"
#include "service.h"
#include "simulate.h"

#define GOALS_MAX 8
#define CAP_MOST 1000000 /* caps are looked for up to this */
#define CAPS_MAX 32

enum command { COMMAND_SIZE, COMMAND_ERLANG, COMMAND_USL };
enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_CSV };

struct request {
    enum command command;
    double rate;                  /* tasks a second; 0: only a backlog is asked about */
    struct service service;
    const char *service_text;
    enum arrivals arrivals;
    struct goal goals[GOALS_MAX];
    int goals_n;
    long cap;                     /* 0: to be found */
    long queue;                   /* tasks that may wait; −1: any number */
    long backlog;                 /* tasks to drain; 0: none */
    double cpu_share;
    struct needs needs;
    long downstream, instances;   /* what the system behind allows for all instances; 0: not given */
    long shards;
    long sweep;                   /* caps in the sweep: 1, 3 or 5 */
    double seconds;               /* that each cap is measured */
    long simulated;               /* tasks of a long simulation */
    long caps[CAPS_MAX];          /* usl: to be measured */
    int caps_n;
    const char *file;             /* usl: figures to fit */
    uint64_t seed;
    enum format format;
    const char *svg, *percentiles; /* files to write; NULL: none */
};

/* Fills *request, or prints what is wrong and ends the program with 2. --help and --version end it
 * with 0. Texts live as long as argv. */
void request_read(struct request *request, int argc, char **argv);
void request_fini(struct request *request);

/* What is asked about, at a cap. */
struct scenario request_scenario(const struct request *request, long cap);

/* The least goal that is a wait bound, in seconds; INFINITY if there is none. */
double request_tightest_time(const struct request *request);

/* The bound of the first goal for this metric; NAN if there is none. */
double request_bound(const struct request *request, enum metric metric);

/* All goals, "p99-wait=50ms, reject=1%". */
const char *request_goals(const struct request *request, char *text, int room);

#endif
