#include "report.h"

#include <math.h>

#include "units.h"

const char *const source_words[SOURCE_COUNT] = {"formula", "simulation", "measured", "twin"};

const struct outcome *row_outcome(const struct row *row, enum source source)
{
    switch (source) {
    case SOURCE_FORMULA: return &row->formula;
    case SOURCE_SIMULATION: return &row->simulation.outcome;
    case SOURCE_MEASURED: return row->measured ? &row->run.measured : NULL;
    default: return row->measured ? &row->run.twin : NULL;
    }
}

/* ---- Warnings ------------------------------------------------------------------------------ */

#define WARNING_CHARS 320

static void warn_downstream(const struct request *request, const struct answer *answer, char *text)
{
    char share[UNITS_TEXT_MAX];
    int at = snprintf(text, WARNING_CHARS, "downstream: %ld x cap %ld = %ld calls at once, but it allows %ld: ",
                      request->instances, answer->cap, request->instances * answer->cap, request->downstream);
    if (answer->downstream_cap < 1) {
        snprintf(text + at, (size_t)(WARNING_CHARS - at), "less than one an instance");
        return;
    }
    const struct outcome *o = &answer->downstream_outcome;
    if (isnan(o->of[REJECT]))
        snprintf(text + at, (size_t)(WARNING_CHARS - at), "at most cap %ld", answer->downstream_cap);
    else
        snprintf(text + at, (size_t)(WARNING_CHARS - at), "at cap %ld a pool that refuses would refuse %s%s",
                 answer->downstream_cap, share_text(o->of[REJECT], share),
                 answer_is_unstable(request, answer->downstream_cap) ? ", one that waits would wait without end" : "");
}

void report_warnings(const struct request *request, const struct answer *answer,
                     void (*say)(const char *warning, void *arg), void *arg)
{
    char text[WARNING_CHARS];
    if (request->rate > 0 && answer_is_unstable(request, answer->cap)) {
        snprintf(text, sizeof text, "unstable: the load keeps %.4g workers busy, so with %ld the wait grows without end",
                 request->rate * request->service.mean, answer->cap);
        say(text, arg);
    }
    for (int i = 0; i < answer->limits.n; i++)
        if (!answer->limits.of[i].hard && limit_warning(&answer->limits.of[i], answer->cap, text, sizeof text))
            say(text, arg);
    if (answer->limited_by != NULL && limit_warning(answer->limited_by, answer->wanted, text, sizeof text))
        say(text, arg);
    if (answer->downstream_exceeded) {
        warn_downstream(request, answer, text);
        say(text, arg);
    }
}
