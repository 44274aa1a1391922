/* The Universal Scalability Law, fitted by least squares. */
#include <math.h>

#include "formulas.h"

#define PARAMETERS 3 /* gamma, sigma, kappa */
#define STEPS 200
#define POLISH 10

struct points {
    const double *workers, *throughput;
    int n;
    double unit; /* of throughput: the largest, so that no square overflows or vanishes */
};

double usl_throughput(const struct usl *usl, double workers)
{
    return usl->gamma * workers / (1 + usl->sigma * (workers - 1) + usl->kappa * workers * (workers - 1));
}

double usl_peak(const struct usl *usl)
{
    if (usl->sigma >= 1)
        return 1;
    return usl->kappa > 0 ? fmax(1, sqrt((1 - usl->sigma) / usl->kappa)) : INFINITY;
}

static double measured(const struct points *points, int i)
{
    return points->throughput[i] / points->unit;
}

/* INFINITY if the curve has a pole among the points: parameters below 0 can do that. */
static double squares(const struct points *points, const struct usl *usl)
{
    double sum = 0;
    for (int i = 0; i < points->n; i++) {
        double fitted = usl_throughput(usl, points->workers[i]), d = measured(points, i) - fitted;
        sum += fitted > 0 ? d * d : INFINITY;
    }
    return sum;
}

/* ---- One fit, with some parameters held at 0 and the others of any sign -------------------------- */

struct system {
    double of[PARAMETERS][PARAMETERS + 1]; /* the last column is the right side */
};

/* How the throughput at n changes with each parameter; gamma's in its own scale. */
static void slopes(const struct usl *usl, double n, double out[PARAMETERS])
{
    double below = 1 + usl->sigma * (n - 1) + usl->kappa * n * (n - 1), x = usl_throughput(usl, n);
    out[0] = x; /* by ln gamma */
    out[1] = -x * (n - 1) / below;
    out[2] = -x * n * (n - 1) / below;
}

static struct system system_of(const struct points *points, const struct usl *usl)
{
    struct system system = {{{0}}};
    for (int i = 0; i < points->n; i++) {
        double slope[PARAMETERS], d = measured(points, i) - usl_throughput(usl, points->workers[i]);
        slopes(usl, points->workers[i], slope);
        for (int row = 0; row < PARAMETERS; row++) {
            for (int column = 0; column < PARAMETERS; column++)
                system.of[row][column] += slope[row] * slope[column];
            system.of[row][PARAMETERS] += slope[row] * d;
        }
    }
    return system;
}

/* A parameter that is held moves by 0; the damping makes each row solvable (Levenberg, Marquardt). */
static void prepare(struct system *system, const bool held[PARAMETERS], double damping)
{
    for (int row = 0; row < PARAMETERS; row++) {
        system->of[row][row] *= 1 + damping;
        if (!held[row] && system->of[row][row] > 0)
            continue;
        for (int i = 0; i <= PARAMETERS; i++)
            system->of[row][i] = 0;
        for (int i = 0; i < PARAMETERS; i++)
            system->of[i][row] = 0;
        system->of[row][row] = 1;
    }
}

/* Gauss; symmetric and positive, so no pivoting. */
static void solve(struct system *system, double out[PARAMETERS])
{
    for (int k = 0; k < PARAMETERS; k++)
        for (int row = k + 1; row < PARAMETERS; row++) {
            double factor = system->of[row][k] / system->of[k][k];
            for (int column = k; column <= PARAMETERS; column++)
                system->of[row][column] -= factor * system->of[k][column];
        }
    for (int row = PARAMETERS - 1; row >= 0; row--) {
        out[row] = system->of[row][PARAMETERS];
        for (int column = row + 1; column < PARAMETERS; column++)
            out[row] -= system->of[row][column] * out[column];
        out[row] /= system->of[row][row];
    }
}

static struct usl stepped(const struct points *points, const struct usl *usl, const bool held[PARAMETERS],
                          double damping)
{
    double step[PARAMETERS] = {0};
    struct system system = system_of(points, usl);
    prepare(&system, held, damping);
    solve(&system, step);
    return (struct usl){.gamma = usl->gamma * exp(fmax(-1, fmin(1, step[0]))),
                        .sigma = usl->sigma + step[1],
                        .kappa = usl->kappa + step[2]};
}

static struct usl descend(const struct points *points, struct usl usl, const bool held[PARAMETERS])
{
    double damping = 1e-3, best = squares(points, &usl);
    for (int i = 0; i < STEPS && damping < 1e12; i++) {
        struct usl next = stepped(points, &usl, held, damping);
        double now = squares(points, &next);
        if (now < best) {
            usl = next;
            best = now;
            damping /= 10;
        } else {
            damping *= 10;
        }
    }
    return usl;
}

/* Near the least, squares change by less than their rounding and cannot judge a step any more. */
static struct usl polished(const struct points *points, struct usl usl, const bool held[PARAMETERS])
{
    double bound = squares(points, &usl) * (1 + 1e-9);
    for (int i = 0; i < POLISH; i++) {
        struct usl next = stepped(points, &usl, held, 0);
        if (!(squares(points, &next) <= bound))
            break;
        usl = next;
    }
    return usl;
}

/* ---- The best of the fits ------------------------------------------------------------------------------ */

static bool determines(const struct points *points)
{
    int different = 0;
    for (int i = 0; i < points->n; i++) {
        double n = points->workers[i], x = points->throughput[i];
        if (!isfinite(n) || !isfinite(x) || n <= 0 || x <= 0)
            return false;
        bool again = false;
        for (int j = 0; j < i; j++)
            again = again || points->workers[j] == n;
        different += !again;
    }
    return different >= PARAMETERS;
}

static double fitness(const struct points *points, const struct usl *usl)
{
    double mean = 0, sum = 0;
    for (int i = 0; i < points->n; i++)
        mean += measured(points, i) / points->n;
    for (int i = 0; i < points->n; i++)
        sum += (measured(points, i) - mean) * (measured(points, i) - mean);
    return sum > 0 ? 1 - squares(points, usl) / sum : 1;
}

static struct usl start_at(const struct points *points, double sigma, double kappa)
{
    struct usl usl = {1, sigma, kappa, 0};
    double both = 0, own = 0;
    for (int i = 0; i < points->n; i++) {
        double shape = usl_throughput(&usl, points->workers[i]);
        both += shape * measured(points, i);
        own += shape * shape;
    }
    usl.gamma = both / own;
    return usl;
}

static double largest(const double *values, int n)
{
    double most = 0;
    for (int i = 0; i < n; i++)
        most = fmax(most, values[i]);
    return most;
}

/*
 * The least of the sum of squares lies inside, or where a parameter is 0; each is looked for, and what
 * ends at a parameter below 0 does not count. (To clamp each step instead gets stuck at the border.)
 */
bool usl_fit(const double *workers, const double *throughput, int n, struct usl *usl)
{
    static const bool held[][PARAMETERS] = {
        {false, false, false}, {false, true, false}, {false, false, true}, {false, true, true}};
    struct points points = {workers, throughput, n, largest(throughput, n)};
    if (!determines(&points))
        return false;
    double best = INFINITY;
    for (int i = 0; i < 4; i++) {
        struct usl start = start_at(&points, held[i][1] ? 0 : 0.05, held[i][2] ? 0 : 0.001);
        struct usl fitted = polished(&points, descend(&points, start, held[i]), held[i]);
        double now = squares(&points, &fitted);
        if (fitted.sigma < 0 || fitted.kappa < 0 || !(now < best))
            continue;
        best = now;
        *usl = fitted;
    }
    if (!isfinite(best))
        return false;
    usl->r2 = fitness(&points, usl);
    usl->gamma *= points.unit;
    return true;
}
