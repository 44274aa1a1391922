/*
 * The formulas against references that are computed here in another way: exact fractions of
 * integers, sums of logarithms, the chain of states itself, integrals.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "formulas.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))
#define EXACT 1e-9L /* relative */

static void assert_near(long double found, long double wanted, long double relative)
{
    if (found == wanted || fabsl(found - wanted) <= relative * fabsl(wanted))
        return;
    print_error("%.17Lg in place of %.17Lg\n", found, wanted);
    fail();
}

/* ---- References --------------------------------------------------------------------------------- */

/* ln of a^k / k!. */
static long double log_term(long double a, long k)
{
    return (long double)k * logl(a) - lgammal((long double)k + 1);
}

/* Erlang B by the terms themselves, each as a share of the last one. */
static long double reference_b(long double a, long c)
{
    long double sum = 0;
    for (long k = 0; k <= c; k++)
        sum += expl(log_term(a, k) - log_term(a, c));
    return 1 / sum;
}

/* Waiting states are a geometric row: c + m has a share of rho^m of that of c. */
static long double reference_c(long double a, long c)
{
    long double rho = a / (long double)c, below = 0;
    for (long k = 0; k < c; k++)
        below += expl(log_term(a, k) - log_term(a, c));
    return 1 / (1 - rho) / (below + 1 / (1 - rho));
}

static const struct load {
    double a;
    long c;
} stable[] = {
    {1e-6, 1}, {1e-6, 3},   {0.5, 1},   {0.999999, 1}, {1, 2},       {1.999999, 2}, {2, 3},      {8, 10},
    {50, 64},  {50, 51},    {170, 172}, {200, 201},    {200, 214},   {200, 235},    {999.5, 1000}, {2000, 2100},
    {9999, 10000}, {10000, 10001}, {10000, 10100}, {9999.999999, 10000}, {100, 200},
};

/* ---- Erlang B and C --------------------------------------------------------------------------------- */

/* With c! on both sides everything is a whole number below 2^63. */
static void test_erlang_b_is_the_exact_fraction(void **state)
{
    (void)state;
    for (uint64_t a = 1; a <= 6; a++)
        for (uint64_t c = 1; c <= 12; c++) {
            uint64_t top = 1, sum = 0;
            for (uint64_t k = 0; k <= c; k++) {
                uint64_t term = 1;
                for (uint64_t i = 0; i < k; i++)
                    term *= a;
                for (uint64_t i = k + 1; i <= c; i++)
                    term *= i;
                sum += term;
                top = term;
            }
            assert_near(erlang_b((double)a, (long)c), (long double)top / (long double)sum, 1e-15L);
        }
}

static void test_erlang_b_is_the_sum_of_terms(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(stable); i++)
        assert_near(erlang_b(stable[i].a, stable[i].c), reference_b(stable[i].a, stable[i].c), EXACT);
    assert_near(erlang_b(10000, 5000), reference_b(10000, 5000), EXACT);
}

static void test_erlang_b_of_far_more_workers_than_load_is_zero(void **state)
{
    (void)state;
    assert_true(erlang_b(1, 20000) == 0);
    assert_true(erlang_c(1, 20000) == 0);
}

static void test_erlang_c_is_the_share_of_waiting_states(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(stable); i++)
        assert_near(erlang_c(stable[i].a, stable[i].c), reference_c(stable[i].a, stable[i].c), EXACT);
}

static void test_one_worker_waits_as_often_as_it_is_busy(void **state)
{
    (void)state;
    for (int tenths = 1; tenths < 10; tenths++)
        assert_near(erlang_c(tenths / 10.0, 1), tenths / 10.0, 1e-15L);
}

static void test_an_unstable_load_waits_without_end(void **state)
{
    (void)state;
    for (long c = 198; c <= 200; c++) {
        assert_true(erlang_c(200, c) == 1);
        assert_true(isinf(wait_mean(200, c, 0.2)));
        assert_true(isinf(wait_quantile(200, c, 0.2, 0.5)));
        assert_true(isinf(total_quantile(200, c, 0.2, 0.5)));
    }
}

static void test_the_figures_of_the_sizing_guide(void **state)
{
    (void)state;
    assert_near(erlang_c(200, 220), 0.109L, 0.005L);
    assert_true(erlang_c(200, 234) >= 0.01 && erlang_c(200, 235) < 0.01);
    assert_true(erlang_b(200, 220) >= 0.01 && erlang_b(200, 221) < 0.01);
    assert_near(wait_quantile(200, 214, 0.2, 0.99), 0.0452L, 0.001L);
    assert_near(wait_quantile(200, 213, 0.2, 0.99), 0.0505L, 0.001L);
}

static void test_a_load_of_10000_takes_milliseconds(void **state)
{
    (void)state;
    clock_t begin = clock();
    for (int i = 0; i < 10; i++)
        assert_true(wait_quantile(10000, 10001 + i, 0.2, 0.99) > 0);
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 1.0); /* ten of them, with any sanitizer */
}

/* ---- Waits -------------------------------------------------------------------------------------------- */

static const double shares[] = {0.5, 0.95, 0.99, 0.999, 0.9999};

static void test_as_many_wait_longer_than_the_quantile(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(stable); i++)
        for (size_t k = 0; k < LENGTH(shares); k++) {
            long double c = reference_c(stable[i].a, stable[i].c), left = 1 - (long double)shares[k];
            long double t = wait_quantile(stable[i].a, stable[i].c, 0.2, shares[k]);
            long double wanted = c <= left ? 0 : logl(c / left) * 0.2L / ((long double)stable[i].c - stable[i].a);
            if (c / left > 1.001L || c < left) /* elsewhere the logarithm is of nearly 1 */
                assert_near(t, wanted, EXACT);
        }
}

/* A mean is the integral of what is left: C · exp(−(c − a) t / s). */
static void test_the_mean_wait_is_the_integral(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(stable); i++)
        assert_near(wait_mean(stable[i].a, stable[i].c, 0.2),
                    reference_c(stable[i].a, stable[i].c) * 0.2L / ((long double)stable[i].c - stable[i].a), EXACT);
}

/* P(wait + service > t) = P(wait > t) + the service reaching over t from a wait below it, by Simpson. */
static long double total_left(const struct load *load, long double t)
{
    enum { STEPS = 20000 };
    long double p = reference_c(load->a, load->c), rate = (long double)load->c - load->a;
    long double sum = 0, step = t / STEPS;
    for (int i = 0; i <= STEPS; i++) {
        long double at = step * i, weight = i == 0 || i == STEPS ? 1 : i % 2 == 1 ? 4 : 2;
        sum += weight * p * rate * expl(-rate * at) * expl(-(t - at));
    }
    return p * expl(-rate * t) + (1 - p) * expl(-t) + sum * step / 3;
}

static void test_as_many_take_longer_than_the_total_quantile(void **state)
{
    (void)state;
    static const struct load loads[] = {{0.5, 1}, {1, 2}, {8, 10}, {2.5, 3}, {7.5, 9}, {200, 214}, {9, 10}, {19, 20}, {199.5, 200}};
    for (size_t i = 0; i < LENGTH(loads); i++)
        for (size_t k = 0; k < LENGTH(shares); k++) {
            long double t = total_quantile(loads[i].a, loads[i].c, 1, shares[k]);
            assert_near(total_left(&loads[i], t), 1 - (long double)shares[k], EXACT);
        }
}

static void test_times_scale_with_the_service(void **state)
{
    (void)state;
    assert_near(wait_mean(8, 10, 60), 60 * (long double)wait_mean(8, 10, 1), EXACT);
    assert_near(wait_quantile(8, 10, 1e-6, 0.99), 1e-6L * wait_quantile(8, 10, 1, 0.99), EXACT);
    assert_near(total_quantile(8, 10, 1e-6, 0.99), 1e-6L * total_quantile(8, 10, 1, 0.99), EXACT);
}

static void test_more_workers_wait_less(void **state)
{
    (void)state;
    for (long c = 201; c < 300; c++) {
        assert_true(erlang_c(200, c + 1) < erlang_c(200, c));
        assert_true(erlang_b(200, c + 1) < erlang_b(200, c));
        assert_true(wait_quantile(200, c + 1, 1, 0.99) <= wait_quantile(200, c, 1, 0.99));
        assert_true(total_quantile(200, c + 1, 1, 0.99) < total_quantile(200, c, 1, 0.99));
    }
}

/* ---- A limit of those who wait ------------------------------------------------------------------------ */

static const struct bounded {
    double a;
    long c, queue;
} bounded[] = {
    {0.5, 1, 0}, {0.5, 1, 1},   {3, 1, 5},     {1, 1, 20},   {8, 10, 4},  {8, 10, 40},  {15, 12, 30},
    {15, 22, 20}, {200, 200, 50}, {200, 180, 60}, {200, 214, 60}, {2, 2, 64}, {1e-6, 2, 3},
};

/* The chain, by logarithms: p[n] for n = 0 … c + queue. */
static long double *chain(const struct bounded *b)
{
    long n = b->c + b->queue;
    long double *p = calloc((size_t)n + 1, sizeof *p), most = -INFINITY, sum = 0;
    for (long i = 0; i <= n; i++) {
        p[i] = i <= b->c ? log_term(b->a, i) : p[i - 1] + logl(b->a / (long double)b->c);
        most = fmaxl(most, p[i]);
    }
    for (long i = 0; i <= n; i++)
        sum += p[i] = expl(p[i] - most);
    for (long i = 0; i <= n; i++)
        p[i] /= sum;
    return p;
}

static void test_a_finite_system_is_its_chain(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(bounded); i++) {
        const struct bounded *b = &bounded[i];
        long double *p = chain(b), waits = 0, waiting = 0, busy = 0, full = p[b->c + b->queue];
        for (long n = 0; n <= b->c + b->queue; n++) {
            waits += n >= b->c && n < b->c + b->queue ? p[n] : 0;
            waiting += n > b->c ? p[n] * (long double)(n - b->c) : 0;
            busy += p[n] * (long double)(n < b->c ? n : b->c);
        }
        struct finite finite = finite_system(b->a, b->c, b->queue, 0.2);
        assert_near(finite.reject, full, EXACT);
        assert_near(finite.p_wait, waits / (1 - full), EXACT);
        assert_near(finite.utilisation, busy / (long double)b->c, EXACT);
        assert_near(finite.mean_wait, waiting / (b->a / 0.2L * (1 - full)), EXACT); /* Little */
        free(p);
    }
}

/* P(Erlang(m, rate) > t) by its terms. */
static long double erlang_left(long m, long double x)
{
    long double sum = 0;
    for (long j = 0; j < m; j++)
        sum += expl((x > 0 ? (long double)j * logl(x) : j == 0 ? 0 : -INFINITY) - x - lgammal((long double)j + 1));
    return sum;
}

static long double finite_wait_left(const struct bounded *b, long double t)
{
    long double *p = chain(b), sum = 0, accepted = 1 - p[b->c + b->queue];
    for (long n = b->c; n < b->c + b->queue; n++)
        sum += p[n] / accepted * erlang_left(n - b->c + 1, (long double)b->c * t);
    free(p);
    return sum;
}

static void test_as_many_accepted_tasks_wait_longer_than_the_finite_quantile(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(bounded); i++)
        for (size_t k = 0; k < LENGTH(shares); k++) {
            const struct bounded *b = &bounded[i];
            long double left = 1 - (long double)shares[k];
            long double t = finite_wait_quantile(b->a, b->c, b->queue, 1, shares[k]);
            if (finite_wait_left(b, 0) <= left)
                assert_true(t == 0);
            else
                assert_near(finite_wait_left(b, t), left, EXACT);
        }
}

/* The wait has an atom at 0 and, above it, the density −d/dt of what is left; the service follows. */
static long double finite_total_left(const struct bounded *b, long double t)
{
    enum { STEPS = 2000 };
    long double *p = chain(b), accepted = 1 - p[b->c + b->queue], c = (long double)b->c, sum = 0, none = 0;
    for (long n = 0; n < b->c; n++)
        none += p[n] / accepted;
    for (int i = 0; i <= STEPS; i++) {
        long double at = t / STEPS * i, weight = i == 0 || i == STEPS ? 1 : i % 2 == 1 ? 4 : 2, density = 0;
        for (long n = b->c; n < b->c + b->queue; n++) {
            long m = n - b->c + 1;
            long double x = c * at;
            density += p[n] / accepted * c *
                       (x > 0 ? expl((long double)(m - 1) * logl(x) - x - lgammal((long double)m)) : m == 1 ? 1 : 0);
        }
        sum += weight * density * expl(-(t - at));
    }
    free(p);
    return finite_wait_left(b, t) + none * expl(-t) + sum * t / STEPS / 3;
}

static void test_as_many_accepted_tasks_take_longer_than_the_finite_total_quantile(void **state)
{
    (void)state;
    static const struct bounded some[] = {{0.5, 1, 1}, {3, 1, 5}, {8, 10, 4}, {8, 10, 20}, {15, 12, 12}, {2, 2, 8}, {0.5, 1, 0}};
    for (size_t i = 0; i < LENGTH(some); i++)
        for (size_t k = 0; k < 4; k++) {
            long double t = finite_total_quantile(some[i].a, some[i].c, some[i].queue, 1, shares[k]);
            assert_near(finite_total_left(&some[i], t), 1 - (long double)shares[k], 1e-8L); /* Simpson's own error */
        }
}

static void test_a_long_queue_is_nearly_an_endless_one(void **state)
{
    (void)state;
    struct finite finite = finite_system(200, 214, 100000, 0.2);
    assert_near(finite.p_wait, erlang_c(200, 214), EXACT);
    assert_near(finite.mean_wait, wait_mean(200, 214, 0.2), EXACT);
    for (size_t k = 0; k < LENGTH(shares); k++) {
        assert_near(finite_wait_quantile(200, 214, 100000, 0.2, shares[k]), wait_quantile(200, 214, 0.2, shares[k]), EXACT);
        assert_near(finite_total_quantile(200, 214, 100000, 0.2, shares[k]), total_quantile(200, 214, 0.2, shares[k]), EXACT);
    }
}

static void test_without_places_to_wait_it_is_erlang_b(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(stable); i++) {
        struct finite finite = finite_system(stable[i].a, stable[i].c, 0, 0.2);
        assert_near(finite.reject, erlang_b(stable[i].a, stable[i].c), EXACT);
        assert_true(finite.p_wait == 0 && finite.mean_wait == 0);
        assert_true(finite_wait_quantile(stable[i].a, stable[i].c, 0, 0.2, 0.99) == 0);
    }
}

static void test_far_more_workers_than_load_never_refuse(void **state)
{
    (void)state;
    struct finite finite = finite_system(1, 20000, 10, 1);
    assert_true(finite.reject == 0 && finite.p_wait == 0 && finite.mean_wait == 0);
    assert_near(finite.utilisation, 1 / 20000.0L, EXACT);
    assert_true(finite_wait_quantile(1, 20000, 10, 1, 0.9999) == 0);
    assert_near(finite_total_quantile(1, 20000, 10, 1, 0.99), logl(100), EXACT);
}

/* Everybody waits for the whole queue: 100 000 ends at 100 a service time. */
static void test_an_overload_of_a_long_queue_does_not_overflow(void **state)
{
    (void)state;
    struct finite finite = finite_system(10000, 100, 100000, 1);
    assert_near(finite.reject, 0.99L, EXACT);
    assert_near(finite.utilisation, 1, EXACT);
    assert_near(finite.p_wait, 1, EXACT);
    assert_near(finite.mean_wait, (100000 - 100.0L / 9900) / 100, 1e-6L);
    assert_near(finite_wait_quantile(10000, 100, 100000, 1, 0.5), 1000, 1e-4L);
}

/* ---- Draining and the inverse --------------------------------------------------------------------------- */

/* One end after another, at as many a service time as workers are busy. */
static void test_a_drain_is_the_sum_of_its_ends(void **state)
{
    (void)state;
    static const long sizes[][2] = {{1, 1}, {5, 1}, {5, 5}, {3, 10}, {1000, 7}, {100000, 833}, {10, 1000000}};
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        long n = sizes[i][0], c = sizes[i][1];
        long double sum = 0;
        for (long left = n; left > 0; left--)
            sum += 0.05L / (long double)(left < c ? left : c);
        assert_near(drain_mean(n, c, 0.05), sum, EXACT);
    }
}

struct threshold {
    long at;
    int asked;
};

static bool is_enough(long cap, void *arg)
{
    struct threshold *threshold = arg;
    threshold->asked++;
    return cap >= threshold->at;
}

static void test_the_least_cap_is_found_from_anywhere(void **state)
{
    (void)state;
    for (long at = 1; at <= 100; at++)
        for (long from = 0; from <= 110; from++) {
            struct threshold threshold = {at, 0};
            assert_int_equal(least_cap(from, 100, is_enough, &threshold), at);
        }
}

static void test_no_cap_is_enough(void **state)
{
    (void)state;
    struct threshold threshold = {101, 0};
    assert_int_equal(least_cap(1, 100, is_enough, &threshold), 0);
    assert_int_equal(least_cap(100, 100, is_enough, &threshold), 0);
}

static void test_a_far_cap_is_found_in_few_questions(void **state)
{
    (void)state;
    struct threshold threshold = {900000, 0};
    assert_int_equal(least_cap(1, 1000000, is_enough, &threshold), 900000);
    assert_true(threshold.asked <= 45);
}

/* ---- The Universal Scalability Law ----------------------------------------------------------------------- */

static const double caps[] = {1, 2, 4, 8, 16, 32, 64};

static struct usl fitted(struct usl truth, double noise)
{
    double x[LENGTH(caps)];
    struct usl found;
    for (size_t i = 0; i < LENGTH(caps); i++)
        x[i] = usl_throughput(&truth, caps[i]) * (1 + noise * (i % 2 == 0 ? 1 : -1));
    assert_true(usl_fit(caps, x, LENGTH(caps), &found));
    return found;
}

static void test_a_curve_is_found_again(void **state)
{
    (void)state;
    static const struct usl truths[] = {{1000, 0.02, 0.0005, 0}, {3, 0.3, 0.01, 0}, {1e6, 0.001, 1e-5, 0}, {50, 0.9, 0.2, 0}};
    for (size_t i = 0; i < LENGTH(truths); i++) {
        struct usl found = fitted(truths[i], 0);
        assert_near(found.gamma, truths[i].gamma, 1e-6L);
        assert_near(found.sigma, truths[i].sigma, 1e-5L);
        assert_near(found.kappa, truths[i].kappa, 1e-5L);
        assert_near(found.r2, 1, 1e-9L);
        assert_near(usl_peak(&found), fmax(1, sqrt((1 - truths[i].sigma) / truths[i].kappa)), 1e-4L);
    }
}

static void test_noise_moves_a_curve_little(void **state)
{
    (void)state;
    struct usl found = fitted((struct usl){1000, 0.05, 0.001, 0}, 0.01);
    assert_near(found.gamma, 1000, 0.05L);
    assert_near(usl_peak(&found), sqrtl(0.95L / 0.001L), 0.1L);
    assert_true(found.r2 > 0.99 && found.r2 < 1);
}

static void test_more_is_always_better_without_costs(void **state)
{
    (void)state;
    struct usl found = fitted((struct usl){10, 0, 0, 0}, 0);
    assert_near(found.gamma, 10, 1e-6L);
    assert_true(found.sigma < 1e-9 && found.kappa < 1e-12);
    assert_true(isinf(usl_peak(&(struct usl){10, 0, 0, 1})));
    assert_true(usl_peak(&(struct usl){10, 1.5, 0.1, 1}) == 1);
}

/* Faster than in proportion would need a negative one; it is 0 then. */
static void test_costs_are_never_negative(void **state)
{
    (void)state;
    const double x[] = {10, 25, 60, 130, 280, 600, 1300};
    struct usl found;
    assert_true(usl_fit(caps, x, LENGTH(caps), &found));
    assert_true(found.sigma == 0 && found.kappa == 0);
    assert_true(found.gamma > 15 && found.gamma < 25);
}

static void test_points_that_determine_no_curve_are_refused(void **state)
{
    (void)state;
    static const double same[] = {2, 2, 2, 4}, four[] = {1, 2, 3, 4}, zero[] = {1, 0, 3, 4}, none[] = {1, NAN, 3, 4};
    struct usl usl = {7, 7, 7, 7};
    assert_false(usl_fit(same, four, 4, &usl));
    assert_false(usl_fit(four, zero, 4, &usl));
    assert_false(usl_fit(four, none, 4, &usl));
    assert_false(usl_fit(zero, four, 4, &usl));
    assert_false(usl_fit(four, four, 2, &usl));
    assert_true(usl.gamma == 7 && usl.sigma == 7 && usl.kappa == 7 && usl.r2 == 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_erlang_b_is_the_exact_fraction),
        cmocka_unit_test(test_erlang_b_is_the_sum_of_terms),
        cmocka_unit_test(test_erlang_b_of_far_more_workers_than_load_is_zero),
        cmocka_unit_test(test_erlang_c_is_the_share_of_waiting_states),
        cmocka_unit_test(test_one_worker_waits_as_often_as_it_is_busy),
        cmocka_unit_test(test_an_unstable_load_waits_without_end),
        cmocka_unit_test(test_the_figures_of_the_sizing_guide),
        cmocka_unit_test(test_a_load_of_10000_takes_milliseconds),
        cmocka_unit_test(test_as_many_wait_longer_than_the_quantile),
        cmocka_unit_test(test_the_mean_wait_is_the_integral),
        cmocka_unit_test(test_as_many_take_longer_than_the_total_quantile),
        cmocka_unit_test(test_times_scale_with_the_service),
        cmocka_unit_test(test_more_workers_wait_less),
        cmocka_unit_test(test_a_finite_system_is_its_chain),
        cmocka_unit_test(test_as_many_accepted_tasks_wait_longer_than_the_finite_quantile),
        cmocka_unit_test(test_as_many_accepted_tasks_take_longer_than_the_finite_total_quantile),
        cmocka_unit_test(test_a_long_queue_is_nearly_an_endless_one),
        cmocka_unit_test(test_without_places_to_wait_it_is_erlang_b),
        cmocka_unit_test(test_far_more_workers_than_load_never_refuse),
        cmocka_unit_test(test_an_overload_of_a_long_queue_does_not_overflow),
        cmocka_unit_test(test_a_drain_is_the_sum_of_its_ends),
        cmocka_unit_test(test_the_least_cap_is_found_from_anywhere),
        cmocka_unit_test(test_no_cap_is_enough),
        cmocka_unit_test(test_a_far_cap_is_found_in_few_questions),
        cmocka_unit_test(test_a_curve_is_found_again),
        cmocka_unit_test(test_noise_moves_a_curve_little),
        cmocka_unit_test(test_more_is_always_better_without_costs),
        cmocka_unit_test(test_costs_are_never_negative),
        cmocka_unit_test(test_points_that_determine_no_curve_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
