/* The Universal Scalability Law. */
#include "references.h"

#include "formulas.h"

/* ---- Universal Scalability Law --------------------------------------------------------------- */

enum { POINTS = 9 };

struct sweep {
    double workers[POINTS], throughput[POINTS];
};

/* 1 … 256 workers; noise is the most that a point is off, as a share. */
static struct sweep sweep_of(struct usl usl, double noise, unsigned seed)
{
    struct sweep sweep;
    for (int i = 0; i < POINTS; i++) {
        double n = sweep.workers[i] = 1 << i;
        seed = seed * 1664525u + 1013904223u;
        sweep.throughput[i] = usl.gamma * n / (1 + usl.sigma * (n - 1) + usl.kappa * n * (n - 1)) *
                              (1 + noise * ((double)(seed >> 8) / (1 << 23) - 1));
    }
    return sweep;
}

static struct usl fit(const struct sweep *sweep)
{
    struct usl usl;
    assert_true(usl_fit(sweep->workers, sweep->throughput, POINTS, &usl));
    return usl;
}

static const struct usl laws[] = {
    {1000, 0.02, 0.0005, 1}, {3, 0.3, 0.01, 1}, {1e6, 0.9, 1e-4, 1}, {42.25, 2.19192e-05, 3.05022e-08, 1},
    {24.58, 8.43656e-05, 1.62357e-06, 1}, {1e-3, 0.5, 1e-6, 1}, {100, 1.5, 0.1, 1},
};

static void test_usl_throughput_follows_the_law(void **state)
{
    (void)state;
    struct usl usl = {1000, 0.02, 0.0005, 1};
    assert_near("1 worker", usl_throughput(&usl, 1), 1000);
    assert_near("11 workers", usl_throughput(&usl, 11), 11000 / (1 + 0.2L + 0.055L));
}

static void test_usl_fit_recovers_the_law_of_exact_points(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(laws); i++) {
        struct sweep sweep = sweep_of(laws[i], 0, 0);
        struct usl usl = fit(&sweep);
        assert_near("gamma", usl.gamma, laws[i].gamma);
        assert_near("sigma", usl.sigma, laws[i].sigma);
        assert_near("kappa", usl.kappa, laws[i].kappa);
        assert_near("r2", usl.r2, 1);
    }
}

static void test_usl_fit_recovers_a_law_without_coherence(void **state)
{
    (void)state;
    struct sweep sweep = sweep_of((struct usl){1000, 0.1, 0, 1}, 0, 0);
    struct usl usl = fit(&sweep);
    assert_near("gamma", usl.gamma, 1000);
    assert_near("sigma", usl.sigma, 0.1L);
    assert_true(usl.kappa >= 0 && usl.kappa < 1e-15);
}

static void test_usl_fit_recovers_a_law_without_contention(void **state)
{
    (void)state;
    struct sweep sweep = sweep_of((struct usl){1000, 0, 0.001, 1}, 0, 0);
    struct usl usl = fit(&sweep);
    assert_near("gamma", usl.gamma, 1000);
    assert_near("kappa", usl.kappa, 0.001L);
    assert_true(usl.sigma >= 0 && usl.sigma < 1e-13);
}

/* How far the squares would have a parameter move. 0: ln gamma, 1: sigma, 2: kappa. */
static long double pull(const struct sweep *sweep, const struct usl *usl, int parameter)
{
    long double along = 0, own = 0;
    for (int i = 0; i < POINTS; i++) {
        long double n = sweep->workers[i], below = 1 + usl->sigma * (n - 1) + usl->kappa * n * (n - 1);
        long double x = usl->gamma * n / below;
        long double slope = parameter == 0 ? x : -x * (n - 1) * (parameter == 1 ? 1 : n) / below;
        along += slope * (sweep->throughput[i] - x);
        own += slope * slope;
    }
    return along / own;
}

/* Nothing pulls, but what is at 0 may be pulled below. */
static void assert_least_squares(const struct sweep *sweep)
{
    struct usl usl = fit(sweep);
    long double sigma = pull(sweep, &usl, 1), kappa = pull(sweep, &usl, 2);
    assert_true(usl.gamma > 0 && usl.sigma >= 0 && usl.kappa >= 0);
    assert_true(fabsl(pull(sweep, &usl, 0)) < EXACT);
    assert_true(usl.sigma > 0 ? fabsl(sigma) < EXACT * usl.sigma : sigma <= 0);
    assert_true(usl.kappa > 0 ? fabsl(kappa) < EXACT * usl.kappa : kappa <= 0);
}

static void test_usl_fit_of_noisy_points_has_the_least_squares(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 300; seed++) {
        struct sweep sweep = sweep_of(laws[seed % LENGTH(laws)], 0.05, seed);
        assert_least_squares(&sweep);
    }
}

static void test_usl_fit_of_noisy_points_is_close(void **state)
{
    (void)state;
    struct sweep sweep = sweep_of((struct usl){1000, 0.02, 0.0005, 1}, 0.01, 7);
    struct usl usl = fit(&sweep);
    assert_true(fabs(usl.gamma / 1000 - 1) < 0.02);
    assert_true(fabs(usl.sigma / 0.02 - 1) < 0.2);
    assert_true(fabs(usl.kappa / 0.0005 - 1) < 0.2);
    assert_true(usl.r2 > 0.99 && usl.r2 < 1);
}

static void test_usl_fit_takes_no_coherence_below_0(void **state)
{
    (void)state;
    struct sweep sweep = sweep_of((struct usl){1000, 0.2, -0.0005, 1}, 0, 0);
    struct usl usl = fit(&sweep);
    assert_true(usl.kappa == 0);
    assert_true(usl.sigma > 0 && usl.sigma < 0.2);
    assert_least_squares(&sweep);
}

static void test_usl_fit_takes_no_contention_below_0(void **state)
{
    (void)state;
    struct sweep sweep = sweep_of((struct usl){1000, -0.003, 0.001, 1}, 0, 0);
    struct usl usl = fit(&sweep);
    assert_true(usl.sigma == 0);
    assert_true(usl.kappa > 0 && usl.kappa < 0.001);
    assert_least_squares(&sweep);
}

static void test_usl_fit_of_more_than_linear_growth_is_linear(void **state)
{
    (void)state;
    static const double workers[] = {1, 2, 4}, throughput[] = {1, 2.5, 6};
    struct usl usl;
    assert_true(usl_fit(workers, throughput, 3, &usl));
    assert_true(usl.sigma == 0 && usl.kappa == 0);
    assert_near("gamma", usl.gamma, (1 + 5 + 24) / 21.0L);
}

static void test_usl_fit_tells_how_much_is_explained(void **state)
{
    (void)state;
    static const double workers[] = {1, 2, 4}, throughput[] = {1, 2.5, 6};
    long double gamma = 30 / 21.0L, mean = 9.5L / 3, left = 0, all = 0;
    for (int i = 0; i < 3; i++) {
        left += (throughput[i] - gamma * workers[i]) * (throughput[i] - gamma * workers[i]);
        all += (throughput[i] - mean) * (throughput[i] - mean);
    }
    struct usl usl;
    assert_true(usl_fit(workers, throughput, 3, &usl));
    assert_near("r2", usl.r2, 1 - left / all);
}

/* Squares of these overflow or vanish. */
static void test_usl_fit_holds_for_any_unit_of_throughput(void **state)
{
    (void)state;
    static const double workers[] = {1, 2, 4}, units[] = {1e-200, 1e-9, 1, 1e9, 1e200};
    for (size_t i = 0; i < LENGTH(units); i++) {
        double throughput[] = {1 * units[i], 1.5 * units[i], 1.6 * units[i]};
        struct usl usl;
        assert_true(usl_fit(workers, throughput, 3, &usl));
        assert_near("gamma", usl.gamma, units[i]);
        assert_near("sigma", usl.sigma, 1 / 6.0L); /* 1 + s + 2k = 4/3, 1 + 3s + 12k = 5/2 */
        assert_near("kappa", usl.kappa, 1 / 12.0L);
    }
}

static void test_usl_fit_refuses_fewer_than_three_different_caps(void **state)
{
    (void)state;
    static const double workers[] = {1, 2, 2, 1}, throughput[] = {1, 2, 2.1, 1.1};
    struct usl usl;
    for (int n = 0; n <= 4; n++)
        assert_false(usl_fit(workers, throughput, n, &usl));
}

static void test_usl_fit_refuses_what_is_not_above_0_or_not_finite(void **state)
{
    (void)state;
    const double wrong[] = {0, -1, INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < LENGTH(wrong); i++) {
        struct sweep caps = sweep_of(laws[0], 0, 0), throughputs = caps;
        struct usl usl;
        caps.workers[4] = throughputs.throughput[4] = wrong[i];
        assert_false(usl_fit(caps.workers, caps.throughput, POINTS, &usl));
        assert_false(usl_fit(throughputs.workers, throughputs.throughput, POINTS, &usl));
    }
}

static void test_usl_peak_is_where_the_law_turns(void **state)
{
    (void)state;
    struct usl usl = {1000, 0.02, 0.0005, 1};
    double peak = usl_peak(&usl);
    assert_near("peak", peak, sqrtl((long double)(1 - 0.02) / 0.0005));
    assert_true(usl_throughput(&usl, peak) > usl_throughput(&usl, peak * 1.01));
    assert_true(usl_throughput(&usl, peak) > usl_throughput(&usl, peak / 1.01));
}

static void test_usl_peak_is_at_least_one_worker(void **state)
{
    (void)state;
    struct usl coherent = {1000, 0.5, 5, 1}, contended = {1000, 1.5, 0.1, 1}, falling = {1000, 1.5, 0, 1};
    assert_true(usl_peak(&coherent) == 1);
    assert_true(usl_peak(&contended) == 1);
    assert_true(usl_peak(&falling) == 1);
}

static void test_usl_without_coherence_has_no_peak(void **state)
{
    (void)state;
    struct usl usl = {1000, 0.5, 0, 1};
    assert_true(usl_peak(&usl) == INFINITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usl_throughput_follows_the_law),
        cmocka_unit_test(test_usl_fit_recovers_the_law_of_exact_points),
        cmocka_unit_test(test_usl_fit_recovers_a_law_without_coherence),
        cmocka_unit_test(test_usl_fit_recovers_a_law_without_contention),
        cmocka_unit_test(test_usl_fit_of_noisy_points_has_the_least_squares),
        cmocka_unit_test(test_usl_fit_of_noisy_points_is_close),
        cmocka_unit_test(test_usl_fit_takes_no_coherence_below_0),
        cmocka_unit_test(test_usl_fit_takes_no_contention_below_0),
        cmocka_unit_test(test_usl_fit_of_more_than_linear_growth_is_linear),
        cmocka_unit_test(test_usl_fit_tells_how_much_is_explained),
        cmocka_unit_test(test_usl_fit_holds_for_any_unit_of_throughput),
        cmocka_unit_test(test_usl_fit_refuses_fewer_than_three_different_caps),
        cmocka_unit_test(test_usl_fit_refuses_what_is_not_above_0_or_not_finite),
        cmocka_unit_test(test_usl_peak_is_where_the_law_turns),
        cmocka_unit_test(test_usl_peak_is_at_least_one_worker),
        cmocka_unit_test(test_usl_without_coherence_has_no_peak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
