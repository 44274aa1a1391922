/* What formulas are tested against: the same figures in other ways, exact fractions of whole
 * numbers and sums in log space. */
#ifndef ANTPOOL_TESTS_SIZE_REFERENCES_H
#define ANTPOOL_TESTS_SIZE_REFERENCES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))
#define EXACT 1e-9L /* the relative error that is allowed */

static const double shares[] = {0.5, 0.9, 0.99, 0.999, 0.9999};

static inline void assert_near(const char *what, double value, long double expected)
{
    if (!(fabsl(value - expected) <= EXACT * fabsl(expected) + (long double)DBL_MIN))
        fail_msg("%s: %.17g is not %.17Lg", what, value, expected);
}

/* ---- References: exact fractions of small systems, a = p / r --------------------------------- */

struct small {
    unsigned p, r, c, queue;
};

static const struct small small[] = {
    {1, 2, 1, 0}, {1, 2, 1, 3}, {2, 1, 3, 2}, {3, 2, 2, 4}, {5, 3, 4, 2}, {7, 2, 4, 3},
    {3, 1, 5, 2}, {1, 3, 6, 1}, {9, 1, 3, 4}, {3, 1, 3, 3},
};

static inline uint64_t power(uint64_t base, unsigned exponent)
{
    return exponent == 0 ? 1 : base * power(base, exponent - 1);
}

static inline uint64_t factorial(unsigned n)
{
    return n == 0 ? 1 : n * factorial(n - 1);
}

/* a^n / n! of n tasks, beyond c workers times rho each; in units that make all of them whole. */
static inline uint64_t whole(const struct small *of, unsigned n)
{
    unsigned busy = n < of->c ? n : of->c, waiting = n - busy;
    return power(of->p, n) * power(of->r, of->c - busy) * (factorial(of->c) / factorial(busy)) *
           power((uint64_t)of->r * of->c, of->queue - waiting);
}

static inline uint64_t whole_sum(const struct small *of, unsigned from, unsigned to)
{
    uint64_t sum = 0;
    for (unsigned n = from; n < to; n++)
        sum += whole(of, n);
    return sum;
}

static inline double load_of(const struct small *of)
{
    return (double)of->p / of->r;
}

/* ---- References: sums in log space, for any size --------------------------------------------- */

struct load {
    double a;
    long c, queue;
};

static inline long double log_state(const struct load *of, long n)
{
    long busy = n < of->c ? n : of->c;
    long double orders = lgammal((long double)busy + 1) + (long double)(n - busy) * logl((long double)of->c);
    return (long double)n * logl(of->a) - orders;
}

/* Of states from … to − 1, over that of the likeliest of all up to c + queue. */
static inline long double sum_states(const struct load *of, long from, long to)
{
    long double top = log_state(of, of->a < (double)of->c ? (long)of->a : of->c + of->queue), sum = 0;
    for (long n = from; n < to; n++)
        sum += expl(log_state(of, n) - top);
    return sum;
}

static inline long double reference_b(double a, long c)
{
    struct load load = {a, c, 0};
    return sum_states(&load, c, c + 1) / sum_states(&load, 0, c + 1);
}

/* Of c tasks and more, by the geometric sum, over all. */
static inline long double reference_c(double a, long c)
{
    struct load load = {a, c, 0};
    long double waiting = sum_states(&load, c, c + 1) * (long double)c / ((long double)c - a);
    return waiting / (sum_states(&load, 0, c) + waiting);
}

/* ---- References: how long it takes with a bounded queue -------------------------------------- */

/* What is further from x than that is below 1e-100. */
static inline long double reach(long double x)
{
    return 40 * sqrtl(x) + 200;
}

static inline long double poisson(long j, long double x)
{
    if (x <= 0)
        return j == 0;
    if (fabsl((long double)j - x) > reach(x))
        return 0;
    return expl((long double)j * logl(x) - x - lgammal((long double)j + 1));
}

/* What an accepted task finds: needs[m] is the chance that m tasks must end before it starts. */
struct found {
    struct load load;
    long double *needs;
};

static inline struct found found_by_accepted(struct load load)
{
    struct found found = {load, test_malloc(((size_t)load.queue + 1) * sizeof *found.needs)};
    long double accepted = sum_states(&load, 0, load.c + load.queue);
    found.needs[0] = sum_states(&load, 0, load.c) / accepted;
    for (long m = 1; m <= load.queue; m++)
        found.needs[m] = sum_states(&load, load.c + m - 1, load.c + m) / accepted;
    return found;
}

/* m ends take longer than t if fewer than m of them come within it (Erlang's tail). */
static inline long double waits_longer(const struct found *found, long double t)
{
    long double tail = 0, sum = 0;
    for (long m = 1; m <= found->load.queue; m++) {
        tail += poisson(m - 1, (long double)found->load.c * t);
        sum += found->needs[m] * tail;
    }
    return sum;
}

/* After m ends and a service. Partial fractions of the Laplace transforms give
 * c · S(m − 1) = (c − 1) · S(m) + tail(m); taken downwards from an m whose S is 1, it forgets errors. */
static inline long double takes_longer(const struct found *found, long double t)
{
    long double c = (long double)found->load.c, x = c * t, sum = 0, survival = 1;
    long most = (long)(x + reach(x));
    most = most > found->load.queue ? most : found->load.queue;
    long double *tail = test_malloc(((size_t)most + 1) * sizeof *tail);
    tail[0] = 0;
    for (long m = 1; m <= most; m++)
        tail[m] = tail[m - 1] + poisson(m - 1, x);
    for (long m = most; m >= 0; m--) {
        sum += m <= found->load.queue ? found->needs[m] * survival : 0;
        survival = ((c - 1) * survival + tail[m]) / c;
    }
    test_free(tail);
    return sum;
}

/* An error of EXACT in t to either side is on either side of the level. */
static inline void assert_quantile(long double (*survival)(const struct found *found, long double t),
                            const struct found *found, double t, double q)
{
    long double level = 1 - (long double)q;
    if (survival(found, 0) <= level)
        assert_true(t == 0);
    else if (!(survival(found, t * (1 - EXACT)) > level && survival(found, t * (1 + EXACT)) < level))
        fail_msg("a %g, c %ld, queue %ld: P(T > %.17g) is %.12Lg, not %.12Lg", found->load.a, found->load.c,
                 found->load.queue, t, survival(found, t), level);
}

#endif
