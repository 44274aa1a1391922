#define _POSIX_C_SOURCE 200809L
#include "service.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moments.h"
#include "sentence.h"
#include "trace.h"
#include "units.h"

/* ---- Chance --------------------------------------------------------------------------------- */

/* SplitMix64: Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators (2014). */
#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

static uint64_t mixed(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Mixed twice: neighbouring seeds and streams begin at places of the cycle that are far apart. */
struct random random_of(uint64_t seed, uint64_t stream)
{
    return (struct random){mixed(mixed(seed + GOLDEN) + (stream + 1) * GOLDEN)};
}

/* 52 bits and a half: with 53 the largest would be rounded to 1. */
double random_share(struct random *random)
{
    random->state += GOLDEN;
    return ((double)(mixed(random->state) >> 12) + 0.5) * 0x1p-52;
}

static double random_exp(struct random *random)
{
    return -log(random_share(random));
}

/* Box and Muller; the other one of the pair is not kept, so that a stream has no state but one. */
static double random_normal(struct random *random)
{
    static const double two_pi = 6.283185307179586;
    double radius = sqrt(2 * random_exp(random));
    return radius * cos(two_pi * random_share(random));
}

/* ---- Drawing -------------------------------------------------------------------------------- */

double service_draw(const struct service *service, struct random *random)
{
    if (service->trace != NULL)
        return service->trace[(long)(random_share(random) * (double)service->n)];
    switch (service->kind) {
    case SERVICE_FIXED:
        return service->mean;
    case SERVICE_EXP:
        return service->mean * random_exp(random);
    case SERVICE_LOGNORMAL: /* exp(mu + sigma · z) with mu = ln mean − sigma² / 2 */
        return service->mean * exp(service->sigma * (random_normal(random) - service->sigma / 2));
    case SERVICE_BIMODAL:
        return random_share(random) < service->slow_share ? service->slow : service->fast;
    case SERVICE_TRACE:
    case SERVICE_PLUGIN:
    case SERVICE_EXEC:
        break;
    }
    assert(service->kind < SERVICE_TRACE); /* a trace has times, and the others were not timed */
    return NAN;
}

double arrivals_gap(enum arrivals arrivals, double rate, struct random *random)
{
    return arrivals == ARRIVALS_CONSTANT ? 1 / rate : random_exp(random) / rate;
}

/* ---- Recorded times ------------------------------------------------------------------------- */

static double cv2_of(const double *values, long n, double mean)
{
    return mean > 0 ? squares_about(values, n, mean) / (double)n / (mean * mean) : 0;
}

static void adopt(struct service *service, double *times, long n)
{
    free(service->trace);
    service->trace = times;
    service->n = n;
    service->mean = mean_of(times, n);
    service->cv2 = cv2_of(times, n, service->mean);
}

bool service_learn(struct service *service, const double *seconds, long n)
{
    assert(n > 0);
    double *times = malloc((size_t)n * sizeof *times);
    if (times == NULL)
        return false;
    memcpy(times, seconds, (size_t)n * sizeof *times);
    adopt(service, times, n);
    return true;
}

void service_fini(struct service *service)
{
    free(service->trace);
    free(service->target);
    free(service->argument);
    *service = (struct service){0};
}

bool service_is_program(const struct service *service)
{
    return service->kind == SERVICE_PLUGIN || service->kind == SERVICE_EXEC;
}

/* ---- Parsing -------------------------------------------------------------------------------- */

#define SIGMA_MOST 10.0 /* far beyond what can be simulated; keeps cv2 finite */

static const char *no_memory(void)
{
    return sentence("no memory for the service");
}

/* Each takes what follows the colon, which it may write to. */
static const char *parse_exp(char *rest, struct service *service)
{
    service->kind = SERVICE_EXP;
    service->cv2 = 1;
    return duration_parse(rest, &service->mean);
}

static const char *parse_fixed(char *rest, struct service *service)
{
    service->kind = SERVICE_FIXED;
    service->cv2 = 0;
    return duration_parse(rest, &service->mean);
}

/* Cuts the text at its commas, for at most `most` parts. Returns how many there are. */
static int split(char *text, char **parts, int most)
{
    int n = 1;
    parts[0] = text;
    for (char *comma; n < most && (comma = strchr(parts[n - 1], ',')) != NULL; n++) {
        *comma = '\0';
        parts[n] = comma + 1;
    }
    return n;
}

static bool sigma_parse(const char *text, double *sigma)
{
    char *end;
    *sigma = strtod(text, &end);
    return end != text && *end == '\0' && *sigma >= 0 && *sigma <= SIGMA_MOST;
}

static const char *parse_lognormal(char *rest, struct service *service)
{
    char *parts[3];
    service->kind = SERVICE_LOGNORMAL;
    if (split(rest, parts, 3) != 2)
        return sentence("not two parts");
    const char *wrong = duration_parse(parts[0], &service->mean);
    if (wrong != NULL)
        return wrong;
    if (!sigma_parse(parts[1], &service->sigma))
        return sentence("no sigma \"%s\"; accepted is a number from 0 to %g", parts[1], SIGMA_MOST);
    service->cv2 = expm1(service->sigma * service->sigma);
    return NULL;
}

static void set_mixture(struct service *service)
{
    double share = service->slow_share, apart = service->slow - service->fast;
    service->mean = service->fast + share * apart;
    service->cv2 = share * (1 - share) * apart * apart / (service->mean * service->mean);
}

static const char *parse_bimodal(char *rest, struct service *service)
{
    char *parts[4];
    const char *wrong;
    service->kind = SERVICE_BIMODAL;
    if (split(rest, parts, 4) != 3)
        return sentence("not three parts");
    if ((wrong = duration_parse(parts[0], &service->fast)) != NULL)
        return wrong;
    if ((wrong = duration_parse(parts[1], &service->slow)) != NULL)
        return wrong;
    if ((wrong = share_parse(parts[2], &service->slow_share)) != NULL)
        return wrong;
    if (service->fast > service->slow)
        return sentence("%s, the fast time, is above %s, the slow one", parts[0], parts[1]);
    set_mixture(service);
    return NULL;
}

static const char *parse_trace(char *rest, struct service *service)
{
    char *parts[2] = {NULL, NULL};
    double *times;
    long n;
    split(rest, parts, 2);
    service->kind = SERVICE_TRACE;
    if (*parts[0] == '\0')
        return sentence("no file");
    const char *wrong = trace_read(parts[0], parts[1], &times, &n);
    if (wrong == NULL)
        adopt(service, times, n);
    return wrong;
}

static const char *parse_plugin(char *rest, struct service *service)
{
    char *parts[2] = {NULL, NULL};
    split(rest, parts, 2);
    service->kind = SERVICE_PLUGIN;
    if (*parts[0] == '\0')
        return sentence("no file");
    service->target = strdup(parts[0]);
    service->argument = parts[1] != NULL ? strdup(parts[1]) : NULL;
    bool taken = service->target != NULL && (parts[1] == NULL || service->argument != NULL);
    return taken ? NULL : no_memory();
}

static const char *parse_exec(char *rest, struct service *service)
{
    service->kind = SERVICE_EXEC;
    if (*rest == '\0')
        return sentence("no command");
    service->target = strdup(rest);
    return service->target != NULL ? NULL : no_memory();
}

static const struct form {
    const char *word, *parts;
    const char *(*parse)(char *rest, struct service *service);
} forms[] = {
    {"exp", "DURATION", parse_exp},
    {"fixed", "DURATION", parse_fixed},
    {"lognormal", "MEAN,SIGMA", parse_lognormal},
    {"bimodal", "FAST,SLOW,SHARE", parse_bimodal},
    {"trace", "FILE[,COLUMN]", parse_trace},
    {"plugin", "FILE[,ARGUMENT]", parse_plugin},
    {"exec", "COMMAND", parse_exec},
};

static const char *none_such(const char *text)
{
    const char *said = sentence("no service \"%.200s\"; accepted are DURATION (such as 200ms)", text);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        said = sentence("%s, %s:%s", said, forms[i].word, forms[i].parts);
    return said;
}

static const struct form *form_of(const char *text, size_t length)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strlen(forms[i].word) == length && strncmp(forms[i].word, text, length) == 0)
            return &forms[i];
    return NULL;
}

static const char *parse_form(const struct form *form, const char *rest, struct service *service)
{
    char why[600];
    char *copy = strdup(rest);
    if (copy == NULL)
        return no_memory();
    const char *wrong = form->parse(copy, service);
    free(copy);
    if (wrong == NULL)
        return NULL;
    snprintf(why, sizeof why, "%s", wrong); /* it may be in the buffer that is written now */
    return sentence("no service \"%s:%.200s\": %s; accepted is %s:%s", form->word, rest, why, form->word,
               form->parts);
}

const char *service_parse(const char *text, struct service *service)
{
    const char *colon = strchr(text, ':');
    const struct form *form = colon != NULL ? form_of(text, (size_t)(colon - text)) : NULL;
    *service = (struct service){.kind = SERVICE_EXP, .mean = NAN, .cv2 = NAN};
    if (colon == NULL && duration_parse(text, &service->mean) == NULL) {
        service->cv2 = 1;
        return NULL;
    }
    const char *wrong = form != NULL ? parse_form(form, colon + 1, service) : none_such(text);
    if (wrong != NULL)
        service_fini(service);
    return wrong;
}
