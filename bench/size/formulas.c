#include "formulas.h"

#include <math.h>

#include "invert.h"

/* ---- Nobody is refused ------------------------------------------------------------------------ */

/* 1 / B. The textbook's a^c / c! overflows; this recursion has no difference in it. */
static long double inverse_b(double a, long c)
{
    long double inverse = 1;
    for (long k = 1; k <= c; k++)
        inverse = 1 + inverse * (long double)k / a;
    return inverse;
}

double erlang_b(double a, long c)
{
    return (double)(1 / inverse_b(a, c));
}

/* c · B / (c − a · (1 − B)), divided by B: no difference of near numbers but c − a, which is exact. */
double erlang_c(double a, long c)
{
    long double spare = (long double)c - a;
    if (spare <= 0)
        return 1;
    return (double)((long double)c / (a + spare * inverse_b(a, c)));
}

double wait_mean(double a, long c, double s)
{
    return (double)c <= a ? INFINITY : erlang_c(a, c) * s / ((double)c - a);
}

double wait_quantile(double a, long c, double s, double q)
{
    if ((double)c <= a)
        return INFINITY;
    double p = erlang_c(a, c);
    return p <= 1 - q ? 0 : s / ((double)c - a) * log(p / (1 - q));
}

/* Of an exponential wait, taken with probability p, and an exponential service: P(T > t). */
struct total {
    long double p, spare; /* spare: workers that are free on average */
};

static long double total_survival(long double t, const void *arg)
{
    const struct total *total = arg;
    long double apart = fabsl(total->spare - 1), slower = fminl(1, total->spare); /* of the two rates */
    long double both = apart * t < 1e-12L ? t : -expm1l(-apart * t) / apart;
    return expl(-t) + total->p * expl(-slower * t) * both;
}

/* In mean service times, then in seconds. */
double total_quantile(double a, long c, double s, double q)
{
    if ((double)c <= a)
        return INFINITY;
    struct total total = {erlang_c(a, c), (long double)c - a};
    return s * (double)invert(total_survival, &total, 1 - (long double)q);
}

/* ---- Draining and the inverse ------------------------------------------------------------------- */

double drain_mean(long n, long c, double s)
{
    long double harmonic = 0;
    for (long k = c < n ? c : n; k > 0; k--)
        harmonic += 1 / (long double)k;
    long double full = n > c ? (long double)(n - c) / (long double)c : 0;
    return (double)((full + harmonic) * s);
}

/* The answer lies above `low` and not above `high`. */
static long bisect(long low, long high, bool (*meets)(long cap, void *arg), void *arg)
{
    while (high - low > 1) {
        long middle = low + (high - low) / 2;
        if (meets(middle, arg))
            high = middle;
        else
            low = middle;
    }
    return high;
}

static long gallop_down(long from, bool (*meets)(long cap, void *arg), void *arg)
{
    long high = from;
    for (long step = 1;; step *= 2) {
        long low = high > step ? high - step : 0;
        if (low == 0 || !meets(low, arg))
            return bisect(low, high, meets, arg);
        high = low;
    }
}

long least_cap(long from, long most, bool (*meets)(long cap, void *arg), void *arg)
{
    from = from < 1 ? 1 : from > most ? most : from;
    if (meets(from, arg))
        return gallop_down(from, meets, arg);
    long low = from;
    for (long step = 1; low < most; step *= 2) {
        long high = most - low > step ? low + step : most;
        if (meets(high, arg))
            return bisect(low, high, meets, arg);
        low = high;
    }
    return 0;
}
