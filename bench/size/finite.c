/* At most `queue` tasks wait: M/M/c/(c + queue). */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "formulas.h"
#include "invert.h"

/* ---- States --------------------------------------------------------------------------------------- */

#define SURELY (LDBL_MAX / 1e30L) /* times as likely as any other state: beyond a double, and not infinite */

/* Probabilities, but for a common factor: of fewer than c tasks, and of c + m. The largest of those
 * with all workers busy is 1, so that none overflows. */
struct states {
    long double below; /* of all with a free worker: nobody waits */
    long double rho;   /* from c + m to c + m + 1 */
    long queue;
};

static struct states states_of(double a, long c, long queue)
{
    struct states states = {.rho = (long double)a / (long double)c, .queue = queue};
    long double inverse = 1; /* of Erlang B: all states up to c, by that of c */
    for (long k = 1; k <= c; k++)
        inverse = 1 + inverse * (long double)k / a;
    inverse = fminl(inverse, SURELY);
    states.below = (inverse - 1) * (states.rho > 1 ? powl(states.rho, -(long double)queue) : 1);
    return states;
}

/* Goes through c + m, m = 0 … queue, from the likely end to the unlikely, which may vanish. */
struct walk {
    long m, step;
    long double term;
};

static struct walk walk_begin(const struct states *states)
{
    return states->rho > 1 ? (struct walk){states->queue, -1, 1} : (struct walk){0, 1, 1};
}

static bool walk_on(const struct states *states, struct walk *walk)
{
    walk->m += walk->step;
    walk->term *= walk->step > 0 ? states->rho : 1 / states->rho;
    return walk->m >= 0 && walk->m <= states->queue;
}

struct finite finite_system(double a, long c, long queue, double s)
{
    struct states states = states_of(a, c, queue);
    struct walk walk = walk_begin(&states);
    long double waiting = 0, weighted = 0, full = 0;
    do {
        if (walk.m == queue) {
            full = walk.term;
            continue;
        }
        waiting += walk.term;
        weighted += walk.term * (long double)(walk.m + 1);
    } while (walk_on(&states, &walk));
    long double accepted = states.below + waiting, share = accepted / (accepted + full);
    return (struct finite){.reject = (double)(full / (accepted + full)),
                           .p_wait = (double)(waiting / accepted),
                           .utilisation = (double)((long double)a * share / (long double)c),
                           .mean_wait = (double)(weighted / accepted * s / (long double)c)};
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

/* needed[j]: P(an accepted task needs j ends); 0 of them if it does not wait. */
static void find_needed(const struct states *states, long double *needed)
{
    struct walk walk = walk_begin(states);
    long double sum = states->below;
    needed[0] = states->below;
    do {
        if (walk.m == states->queue)
            continue;
        needed[walk.m + 1] = walk.term;
        sum += walk.term;
    } while (walk_on(states, &walk));
    for (long j = 0; j <= states->queue; j++)
        needed[j] /= sum;
}

static void add_served(struct ends *ends, const long double *needed)
{
    for (long j = 0; j <= ends->queue; j++) {
        ends->last = ends->last * ends->stays + needed[j];
        ends->weight[j] += ends->last;
    }
}

/* From the far end, so that no difference is taken. */
static void add_more(struct ends *ends, const long double *needed)
{
    long double more = 0;
    for (long j = ends->queue; j > 0; j--) {
        more += needed[j];
        ends->weight[j - 1] += more;
    }
}

static bool ends_init(struct ends *ends, double a, long c, long queue, bool total)
{
    size_t n = (size_t)queue + 1;
    struct states states = states_of(a, c, queue);
    long double *needed = calloc(n, sizeof *needed);
    *ends = (struct ends){.queue = queue, .stays = 1 - 1 / (long double)c, .c = (long double)c};
    ends->weight = calloc(n, sizeof *ends->weight);
    bool has = needed != NULL && ends->weight != NULL;
    if (has) {
        find_needed(&states, needed);
        if (total)
            add_served(ends, needed);
        add_more(ends, needed);
    } else {
        free(ends->weight);
    }
    free(needed);
    return has;
}

static long double weight_of(const struct ends *ends, long j)
{
    return j <= ends->queue ? ends->weight[j] : ends->last * powl(ends->stays, (long double)(j - ends->queue));
}

#define NOTHING 1e-22L /* of the likeliest term */

/* The least j that counts, and its pois(j; x) relative to the likeliest. */
static long least_ends(long double x, long double *term)
{
    long j = (long)x;
    for (*term = 1; j > 0 && *term > NOTHING; j--)
        *term *= (long double)j / x;
    return j;
}

/* The terms are divided by their own sum, so none needs a factorial. */
static long double survival(long double t, const void *arg)
{
    const struct ends *ends = arg;
    long double x = ends->c * t, term, sum = 0, all = 0;
    long j = least_ends(x, &term);
    long double weight = weight_of(ends, j);
    while ((long double)j < x || term > NOTHING) {
        sum += term * weight;
        all += term;
        j++;
        term *= x / (long double)j;
        weight = j <= ends->queue ? ends->weight[j] : weight * ends->stays;
    }
    return sum / all;
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
