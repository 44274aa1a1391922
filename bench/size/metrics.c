#define _POSIX_C_SOURCE 200809L
#include "metrics.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sentence.h"
#include "units.h"

/* ---- Figures -------------------------------------------------------------------------------- */

static const struct {
    const char *word;
    bool is_time;
    double share; /* 0: no quantile */
} metrics[METRIC_COUNT] = {
    [P_WAIT] = {"p-wait", false, 0},
    [MEAN_WAIT] = {"mean-wait", true, 0},
    [P50_WAIT] = {"p50-wait", true, 0.5},
    [P95_WAIT] = {"p95-wait", true, 0.95},
    [P99_WAIT] = {"p99-wait", true, 0.99},
    [P999_WAIT] = {"p999-wait", true, 0.999},
    [P99_TOTAL] = {"p99-total", true, 0.99},
    [REJECT] = {"reject", false, 0},
    [DRAIN] = {"drain", true, 0},
    [UTILISATION] = {"utilisation", false, 0},
};

const char *metric_word(enum metric metric)
{
    return metrics[metric].word;
}

bool metric_is_time(enum metric metric)
{
    return metrics[metric].is_time;
}

double metric_share(enum metric metric)
{
    return metrics[metric].share > 0 ? metrics[metric].share : (double)NAN;
}

struct outcome outcome_unknown(void)
{
    struct outcome outcome;
    for (int i = 0; i < METRIC_COUNT; i++)
        outcome.of[i] = (double)NAN;
    return outcome;
}

#define SHARE_LEAST 1e-6

/* Nobody reads 2.3e-12%. */
static bool is_next_to_nothing(enum metric metric, double value)
{
    return !metric_is_time(metric) && value > 0 && value < SHARE_LEAST;
}

static const char *next_to_nothing(char text[UNITS_TEXT_MAX])
{
    snprintf(text, UNITS_TEXT_MAX, "<0.0001%%");
    return text;
}

const char *metric_text(enum metric metric, double value, char text[UNITS_TEXT_MAX])
{
    if (is_next_to_nothing(metric, value))
        return next_to_nothing(text);
    return metric_is_time(metric) ? duration_text(value, text) : share_text(value, text);
}

const char *metric_text_beside(enum metric metric, double value, double bound, char text[UNITS_TEXT_MAX])
{
    if (is_next_to_nothing(metric, value))
        return next_to_nothing(text);
    return text_beside(value, bound, metric_is_time(metric), text);
}

/* ---- Goals ---------------------------------------------------------------------------------- */

#define QUOTED_MAX 40 /* bytes of a text that a message shows */
#define GOAL_MAX 40   /* bytes of a goal, which reports and the line to paste quote in full */

__attribute__((format(printf, 2, 3))) static const char *wrong(const char *text, const char *format, ...)
{
    char what[768];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return sentence("\"%.*s%s\" %s", QUOTED_MAX, text, strlen(text) > QUOTED_MAX ? "..." : "", what);
}

/* "p-wait, mean-wait, … or utilisation". */
static const char *all_words(char *text, size_t room)
{
    size_t used = 0;
    for (int i = 0; i < METRIC_COUNT; i++) {
        const char *before = i == 0 ? "" : i == METRIC_COUNT - 1 ? " or " : ", ";
        used += (size_t)snprintf(text + used, room - used, "%s%s", before, metrics[i].word);
    }
    return text;
}

static bool is_word(const char *text, size_t length, const char *word)
{
    return strlen(word) == length && strncmp(text, word, length) == 0;
}

/* METRIC_COUNT: there is none of this name. */
static enum metric metric_named(const char *text, size_t length)
{
    if (is_word(text, length, "utilization"))
        return UTILISATION;
    int i = 0;
    while (i < METRIC_COUNT && !is_word(text, length, metrics[i].word))
        i++;
    return (enum metric)i;
}

const char *goal_parse(const char *text, struct goal *goal)
{
    char words[METRIC_COUNT * (METRIC_WORD_MAX + 4)];
    const char *equals = strchr(text, '=');
    if (equals == NULL)
        return wrong(text, "has no '='; a goal is METRIC=VALUE, as p99-wait=50ms or reject=1%%");
    enum metric metric = metric_named(text, (size_t)(equals - text));
    if (metric == METRIC_COUNT)
        return wrong(text, "names no metric that is known; a goal is METRIC=VALUE, where METRIC is %s",
                     all_words(words, sizeof words));
    if (strlen(text) > GOAL_MAX)
        return wrong(text, "is too long; a goal has at most %d characters, as p99-wait=50ms", GOAL_MAX);
    double bound = 0;
    const char *why = metric_is_time(metric) ? duration_parse(equals + 1, &bound) : share_parse(equals + 1, &bound);
    if (why != NULL)
        return wrong(text, "is no goal: %s", why);
    *goal = (struct goal){metric, bound, text};
    return NULL;
}

bool goal_is_met(const struct goal *goal, const struct outcome *outcome)
{
    return outcome->of[goal->metric] < goal->bound; /* false for NAN */
}
