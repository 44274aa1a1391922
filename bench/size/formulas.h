/*
 * Queueing formulas. c workers, tasks that come by chance (Poisson) and take an exponentially
 * distributed time of mean s seconds; a = rate · s is the offered load, in workers. All of it
 * is pure: no state, any thread. Arguments must fit (a > 0, c ≥ 1, s > 0, 0 < q < 1).
 */
#ifndef ANTPOOL_SIZE_FORMULAS_H
#define ANTPOOL_SIZE_FORMULAS_H

#include <stdbool.h>

/* ---- Nobody is refused, everybody waits (M/M/c) ----------------------------------------- */

double erlang_b(double a, long c); /* share refused if nobody can wait (M/M/c/c) */
double erlang_c(double a, long c); /* share that waits; 1 if c ≤ a: unstable */

/* INFINITY if c ≤ a. */
double wait_mean(double a, long c, double s);
double wait_quantile(double a, long c, double s, double q);
double total_quantile(double a, long c, double s, double q); /* of wait and service together */

/* ---- At most `queue` tasks wait, the rest is refused (M/M/c/(c + queue)) ------------------- */

/* Stable under any load. Waits are those of accepted tasks. Quantiles are NAN if there is no memory
 * for 2 · (queue + 1) numbers. */
struct finite {
    double reject;      /* share of all tasks that is refused */
    double p_wait;      /* share of the accepted that waits */
    double utilisation; /* a · (1 − reject) / c */
    double mean_wait;   /* seconds */
};

struct finite finite_system(double a, long c, long queue, double s);
double finite_wait_quantile(double a, long c, long queue, double s, double q);
double finite_total_quantile(double a, long c, long queue, double s, double q);

/* ---- Draining ---------------------------------------------------------------------------- */

/* Mean time until n tasks that are all there are done by c workers. */
double drain_mean(long n, long c, double s);

/* ---- The inverse --------------------------------------------------------------------------- */

/* The least cap of 1 … most that meets(cap, arg) says is enough, or 0 if most is not. meets must
 * be monotone. Gallops from `from` (at least 1), so it costs as much as the answer is far. */
long least_cap(long from, long most, bool (*meets)(long cap, void *arg), void *arg);

/* ---- Universal Scalability Law ----------------------------------------------------------- */

/* X(N) = gamma · N / (1 + sigma · (N − 1) + kappa · N · (N − 1)) */
struct usl {
    double gamma; /* throughput of one worker */
    double sigma; /* contention: share that is done one at a time; ≥ 0 */
    double kappa; /* coherence: what each pair of workers costs; ≥ 0 */
    double r2;    /* 1: the points lie on the curve */
};

/* Least squares in X over at least three different N. False if the points do not determine a
 * curve (fewer different N, a value that is not above 0, not finite or too large to square). */
bool usl_fit(const double *workers, const double *throughput, int n, struct usl *usl);
double usl_throughput(const struct usl *usl, double workers);
double usl_peak(const struct usl *usl); /* the best N, at least 1; INFINITY if more is always better */

#endif
