/* The cap to take, what decided it, and what becomes of it when things change. */
#ifndef ANTPOOL_SIZE_ANSWER_H
#define ANTPOOL_SIZE_ANSWER_H

#include "cap_limits.h"
#include "request.h"

#define LINE_MAX_CHARS 320

/* Another load on the same cap. */
struct change {
    char name[32];
    long cap;                /* that is left to carry it */
    struct outcome outcome;
    bool met;                /* all goals */
    long needs;              /* the cap that would meet them; 0: none does */
};

#define CHANGES_MAX 3

struct answer {
    long cap;
    long wanted;               /* what was asked for, or the goals need, before any hard limit */
    long goal_caps[GOALS_MAX]; /* what each goal alone needs; 0: no cap meets it */
    const struct goal *decided_by; /* NULL: the cap was given, or a limit decided */
    const struct limit *limited_by; /* the hard limit below what the goals need, or NULL */
    struct machine machine;
    struct limits limits;
    struct estimate predicted; /* of the cap */
    struct estimate below;     /* of one less; unknown at cap 1 */
    bool met[GOALS_MAX], all_met;
    struct change changes[CHANGES_MAX]; /* the last of them if a shard can be lost */
    int changes_n;
    bool downstream_exceeded;
    long downstream_cap;       /* what each instance may use of it */
    struct outcome downstream_outcome; /* at that cap */
};

/* Ends the program with EXIT_NOT_MET and the reason if no cap meets a goal. */
void answer_find(struct answer *answer, const struct request *request);

/* "/" "* cap 214: 1000/s x 200ms (exp), a=200; goal p99 wait < 50ms; predicted 45.2ms, … */
const char *answer_line(const struct answer *answer, const struct request *request, char text[LINE_MAX_CHARS]);

/* What decided: the goal's text, the limit's name, or NULL where the cap was given. */
const char *answer_decided_by(const struct answer *answer);

/* What charts and reasons are about: the metric of the goal that decided, or of the first. */
enum metric answer_metric(const struct answer *answer, const struct request *request);

/* Whether the waits grow without end. */
bool answer_is_unstable(const struct request *request, long cap);

#endif
