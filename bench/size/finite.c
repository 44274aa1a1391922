/* At most `queue` tasks wait: M/M/c/(c + queue). */
#include <math.h>
#include <stdlib.h>

#include "formulas.h"
#include "invert.h"

/* ---- States --------------------------------------------------------------------------------------- */

/* Probabilities, but for a common factor: of a system with less than c tasks, and with c + m. They
 * are scaled so that the largest of those with all workers busy is 1, so none overflows. */
struct states {
    long double below; /* fewer than c tasks: nobody waits */
    long double rho;   /* from c + m to c + m + 1 */
    long double first; /* of c + 0 */
    long queue;
};

static struct states states_of(double a, long c, long queue)
{
    struct states states = {.rho = (long double)a / (long double)c, .queue = queue, .first = 1};
    long double inverse = 1; /* of Erlang B: all states up to c, by that of c */
    for (long k = 1; k <= c; k++)
        inverse = 1 + inverse * (long double)k / a;
    if (states.rho > 1)
        states.first = powl(states.rho, -(long double)queue);
    states.below = (inverse - 1) * states.first;
    return states;
}

/* Σ of rho^m, m from 0 to n − 1, times first; and of m + 1 times as much each. */
struct sums {
    long double all, weighted;
};

static struct sums sums_of(const struct states *states, long n)
{
    struct sums sums = {0, 0};
    long double term = states->first;
    for (long m = 0; m < n; m++, term *= states->rho) {
        sums.all += term;
        sums.weighted += term * (long double)(m + 1);
    }
    return sums;
}

struct finite finite_system(double a, long c, long queue, double s)
{
    struct states states = states_of(a, c, queue);
    struct sums waiting = sums_of(&states, queue);
    long double full = states.first * powl(states.rho, (long double)queue);
    long double accepted = states.below + waiting.all;
    struct finite finite;
    finite.reject = (double)(full / (accepted + full));
    finite.p_wait = (double)(waiting.all / accepted);
    finite.utilisation = (double)((long double)a * (accepted / (accepted + full)) / (long double)c);
    finite.mean_wait = (double)(waiting.weighted / accepted * s / (long double)c);
    return finite;
}

/* ---- Waits ------------------------------------------------------------------------------------------- */

/*
 * A task that finds c + m − 1 others waits for m ends, which come at c a service time: a Poisson
 * process of x = c · t in a time t. So P(wait > t) = Σ_j pois(j; x) · P(more than j ends needed).
 * For the total, each end after those has the chance 1/c to be the task's own, and
 * P(total > t) = Σ_j pois(j; x) · (P(more than j needed) + Σ_{m ≤ j} P(m needed) · (1 − 1/c)^(j − m)).
 * All terms are positive. (Uniformization.)
 */
struct ends {
    long queue;
    long double stays;   /* 1 − 1/c */
    long double *weight; /* of j = 0 … queue */
    long double last;    /* what weight[queue] goes on from, times `stays` for each further end; 0 for waits */
    long double c;
};

/* P(j ends are needed) for j = 0 is not to wait; then it falls or grows by rho. */
static void add_served(struct ends *ends, const struct states *states, long double accepted)
{
    long double needed = states->below / accepted, next = states->first / accepted;
    for (long j = 0; j <= ends->queue; j++) {
        ends->last = ends->last * ends->stays + needed;
        ends->weight[j] += ends->last;
        needed = next;
        next *= states->rho;
    }
}

/* From the far end, so that no difference is taken. */
static void add_more(struct ends *ends, const struct states *states, long double accepted)
{
    long double term = states->first * powl(states->rho, (long double)ends->queue - 1) / accepted, more = 0;
    for (long j = ends->queue; j > 0; j--, term /= states->rho) {
        more += term;
        ends->weight[j - 1] += more;
    }
}

static bool ends_init(struct ends *ends, double a, long c, long queue, bool total)
{
    struct states states = states_of(a, c, queue);
    long double accepted = states.below + sums_of(&states, queue).all;
    *ends = (struct ends){.queue = queue, .stays = 1 - 1 / (long double)c, .c = (long double)c};
    ends->weight = calloc((size_t)(queue + 1), sizeof *ends->weight);
    if (ends->weight == NULL)
        return false;
    if (total)
        add_served(ends, &states, accepted);
    add_more(ends, &states, accepted);
    return true;
}

static long double weight_of(const struct ends *ends, long j)
{
    return j <= ends->queue ? ends->weight[j] : ends->last * powl(ends->stays, (long double)(j - ends->queue));
}

#define NOTHING 1e-24L /* of the largest term */

/* From the most likely number of ends outwards. */
static long double survival(long double t, const void *arg)
{
    const struct ends *ends = arg;
    long double x = ends->c * t;
    long mode = (long)x;
    long double top = expl((long double)mode * logl(x > 0 ? x : 1) - x - lgammal((long double)mode + 1)), sum = 0, term = top;
    for (long j = mode; term > top * NOTHING; j++, term *= x / (long double)j)
        sum += term * weight_of(ends, j);
    term = top;
    for (long j = mode; j > 0 && term > top * NOTHING; j--) {
        term *= (long double)j / x;
        sum += term * weight_of(ends, j - 1);
    }
    return sum;
}

static double quantile(double a, long c, long queue, double s, double q, bool total)
{
    struct ends ends;
    if (!ends_init(&ends, a, c, queue, total))
        return NAN;
    long double t = invert(survival, &ends, 1 - (long double)q);
    free(ends.weight);
    return (double)(t * s);
}

double finite_wait_quantile(double a, long c, long queue, double s, double q)
{
    return quantile(a, c, queue, s, q, false);
}

double finite_total_quantile(double a, long c, long queue, double s, double q)
{
    return quantile(a, c, queue, s, q, true);
}
