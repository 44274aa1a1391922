#include "simulate.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

bool sample_init(struct sample *sample, long room)
{
    size_t bytes = (size_t)(room > 0 ? room : 1) * sizeof(double);
    *sample = (struct sample){.waits = malloc(bytes), .totals = malloc(bytes), .room = room};
    if (sample->waits != NULL && sample->totals != NULL)
        return true;
    sample_fini(sample);
    return false;
}

void sample_fini(struct sample *sample)
{
    free(sample->waits);
    free(sample->totals);
    *sample = (struct sample){0};
}

void sample_clear(struct sample *sample)
{
    *sample = (struct sample){.waits = sample->waits, .totals = sample->totals, .room = sample->room};
}

void sample_add(struct sample *sample, double wait, double service, bool waited)
{
    if (wait < 0) {
        sample->refused++;
        return;
    }
    assert(sample->n < sample->room);
    sample->waits[sample->n] = wait;
    sample->totals[sample->n] = wait + service;
    sample->n++;
    sample->waited += waited;
    sample->wait_sum += wait;
    sample->busy += service;
    sample->sorted = false;
}

/* ---- Figures -------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sort(struct sample *sample)
{
    if (sample->sorted)
        return;
    qsort(sample->waits, (size_t)sample->n, sizeof *sample->waits, by_value);
    qsort(sample->totals, (size_t)sample->n, sizeof *sample->totals, by_value);
    sample->sorted = true;
}

/* A share such as 0.07 is no double, and its product with n may lie a rounding above the whole
 * number that it is meant to be; the factor takes that back. */
static double quantile(const double *sorted, long n, double q)
{
    if (n == 0)
        return NAN;
    long rank = (long)ceil(q * (double)n * (1 - 4 * DBL_EPSILON));
    return sorted[rank < 1 ? 0 : rank > n ? n - 1 : rank - 1];
}

double sample_wait_quantile(struct sample *sample, double q)
{
    sort(sample);
    return quantile(sample->waits, sample->n, q);
}

double sample_total_quantile(struct sample *sample, double q)
{
    sort(sample);
    return quantile(sample->totals, sample->n, q);
}

static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : NAN;
}

struct outcome sample_outcome(struct sample *sample, double capacity)
{
    struct outcome outcome = outcome_unknown();
    double n = (double)sample->n, refused = (double)sample->refused;
    outcome.of[P_WAIT] = ratio((double)sample->waited, n);
    outcome.of[MEAN_WAIT] = ratio(sample->wait_sum, n);
    for (enum metric metric = P50_WAIT; metric <= P999_WAIT; metric++)
        outcome.of[metric] = sample_wait_quantile(sample, metric_share(metric));
    outcome.of[P99_TOTAL] = sample_total_quantile(sample, metric_share(P99_TOTAL));
    outcome.of[REJECT] = ratio(refused, n + refused);
    outcome.of[UTILISATION] = ratio(sample->busy, capacity);
    return outcome;
}
