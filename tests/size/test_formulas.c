/* Erlang B and C, waits, drains, the least cap. */
#include "references.h"

#include <limits.h>

#include "formulas.h"

/* ---- Erlang B and C -------------------------------------------------------------------------- */

static const struct load loads[] = {
    {1e-6, 1, 0}, {0.3, 1, 0}, {0.999999, 1, 0}, {2.5, 7, 0}, {170, 171, 0}, {200, 220, 0}, {100 - 1e-6, 100, 0},
    {1000, 1500, 0}, {5000.5, 5001, 0}, {10000 - 1e-6, 10000, 0}, {9000, 10000, 0}, {10000, 10300, 0},
};

static void test_erlang_b_matches_exact_fractions(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(small); i++) {
        const struct small *of = &small[i];
        long double refused = (long double)whole(of, of->c) / (long double)whole_sum(of, 0, of->c + 1);
        assert_near("refused", erlang_b(load_of(of), of->c), refused);
    }
}

static void test_erlang_b_matches_sums_of_any_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(loads); i++)
        assert_near("refused", erlang_b(loads[i].a, loads[i].c), reference_b(loads[i].a, loads[i].c));
}

static void test_erlang_b_holds_for_fewer_workers_than_load(void **state)
{
    (void)state;
    assert_near("1 of 10000", erlang_b(10000, 1), 10000 / 10001.0L);
    assert_near("100 of 10000", erlang_b(10000, 100), reference_b(10000, 100));
    assert_near("9999 of 10000", erlang_b(10000, 9999), reference_b(10000, 9999));
}

static void test_erlang_b_of_far_too_many_workers_is_0(void **state)
{
    (void)state;
    assert_true(erlang_b(1e-6, 20000) == 0);
    assert_true(erlang_c(1e-6, 20000) == 0);
}

static void test_erlang_c_matches_exact_fractions(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(small); i++) {
        const struct small *of = &small[i];
        if (of->p >= of->r * of->c)
            continue;
        uint64_t spare = of->c * of->r - of->p, waiting = whole(of, of->c) * of->c * of->r;
        long double waits = (long double)waiting / (long double)(whole_sum(of, 0, of->c) * spare + waiting);
        assert_near("waits", erlang_c(load_of(of), of->c), waits);
    }
}

static void test_erlang_c_matches_sums_of_any_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(loads); i++)
        assert_near("waits", erlang_c(loads[i].a, loads[i].c), reference_c(loads[i].a, loads[i].c));
}

static void test_more_workers_never_wait_or_refuse_more(void **state)
{
    (void)state;
    for (long c = 201; c < 400; c++) {
        assert_true(erlang_b(200, c + 1) < erlang_b(200, c));
        assert_true(erlang_c(200, c + 1) < erlang_c(200, c));
        assert_true(wait_mean(200, c + 1, 1) < wait_mean(200, c, 1));
        assert_true(wait_quantile(200, c + 1, 1, 0.99) <= wait_quantile(200, c, 1, 0.99));
        assert_true(total_quantile(200, c + 1, 1, 0.99) <= total_quantile(200, c, 1, 0.99));
    }
}

/* ---- Waits if nobody is refused -------------------------------------------------------------- */


static void test_unstable_systems_wait_without_end(void **state)
{
    (void)state;
    for (long c = 1; c <= 10; c++) {
        assert_true(erlang_c(10, c) == 1);
        assert_true(wait_mean(10, c, 0.2) == INFINITY);
        assert_true(wait_quantile(10, c, 0.2, 0.5) == INFINITY);
        assert_true(total_quantile(10, c, 0.2, 0.5) == INFINITY);
    }
}

static void test_wait_mean_is_the_share_that_waits_over_the_spare(void **state)
{
    (void)state;
    assert_near("of one worker", wait_mean(0.5, 1, 3), 3);
    for (size_t i = 0; i < LENGTH(loads); i++) {
        long double spare = (long double)loads[i].c - loads[i].a;
        assert_near("mean", wait_mean(loads[i].a, loads[i].c, 0.2), 0.2L * reference_c(loads[i].a, loads[i].c) / spare);
    }
}

static void test_wait_quantile_leaves_its_share_above(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(loads) * LENGTH(shares); i++) {
        const struct load *of = &loads[i / LENGTH(shares)];
        double q = shares[i % LENGTH(shares)], t = wait_quantile(of->a, of->c, 0.2, q);
        long double waits = reference_c(of->a, of->c), spare = (long double)of->c - of->a;
        assert_near("wait", t, fmaxl(0, logl(waits / (1 - (long double)q)) / spare * 0.2L));
    }
}

static void test_wait_quantile_is_0_if_few_enough_wait(void **state)
{
    (void)state;
    assert_true(wait_quantile(0.5, 1, 1, 0.5) == 0); /* exactly half of them */
    assert_true(wait_quantile(0.51, 1, 1, 0.5) > 0);
    assert_true(wait_quantile(200, 235, 0.2, 0.99) == 0);
    assert_true(wait_quantile(200, 234, 0.2, 0.99) > 0);
}

/* Of a share p that waits, at a rate of theta mean services, and serves; the rest serves only. */
static long double total_survival(double a, long c, long double t)
{
    long double p = reference_c(a, c), theta = (long double)c - a, d = theta - 1;
    if (fabsl(d) > 1e-3L)
        return (1 - p) * expl(-t) + p * (theta * expl(-t) - expl(-theta * t)) / d;
    return expl(-t) * (1 + p * (t - d * t * t / 2 + d * d * t * t * t / 6));
}

static void assert_total_quantile(double a, long c, double q)
{
    double t = total_quantile(a, c, 1, q);
    long double level = 1 - (long double)q;
    if (!(total_survival(a, c, t * (1 - EXACT)) > level && total_survival(a, c, t * (1 + EXACT)) < level))
        fail_msg("a %.12g, c %ld: P(T > %.17g) is %.12Lg, not %.12Lg", a, c, t, total_survival(a, c, t), level);
}

static void test_total_quantile_leaves_its_share_above(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(loads) * LENGTH(shares); i++)
        assert_total_quantile(loads[i / LENGTH(shares)].a, loads[i / LENGTH(shares)].c, shares[i % LENGTH(shares)]);
}

/* The textbook divides by c − 1 − a. */
static void test_total_quantile_of_one_spare_worker(void **state)
{
    (void)state;
    static const double near[] = {0, 1e-12, -1e-12, 1e-9, -1e-9, 1e-6, -1e-6};
    for (size_t i = 0; i < LENGTH(near) * LENGTH(shares); i++)
        assert_total_quantile(9 + near[i % LENGTH(near)], 10, shares[i / LENGTH(near)]);
}

static void test_quantiles_are_in_the_unit_of_the_service(void **state)
{
    (void)state;
    const double s = 0.2, q = 0.99;
    assert_near("wait", wait_quantile(9, 10, s, q), s * wait_quantile(9, 10, 1, q));
    assert_near("total", total_quantile(9, 10, s, q), s * total_quantile(9, 10, 1, q));
    assert_near("finite wait", finite_wait_quantile(9, 10, 50, s, q), s * finite_wait_quantile(9, 10, 50, 1, q));
    assert_near("finite total", finite_total_quantile(9, 10, 50, s, q), s * finite_total_quantile(9, 10, 50, 1, q));
}

/* ---- The figures of the guide: 1000 tasks a second of 200 ms --------------------------------- */

static bool few_wait(long cap, void *arg)
{
    (void)arg;
    return erlang_c(200, cap) < 0.01;
}

static bool few_are_refused(long cap, void *arg)
{
    (void)arg;
    return erlang_b(200, cap) < 0.01;
}

static bool waits_are_short(long cap, void *arg)
{
    (void)arg;
    return wait_quantile(200, cap, 0.2, 0.99) < 0.05;
}

static void test_guide_220_workers_let_11_percent_wait(void **state)
{
    (void)state;
    assert_true(fabs(erlang_c(200, 220) - 0.109) < 0.0005);
}

static void test_guide_235_workers_let_1_percent_wait(void **state)
{
    (void)state;
    assert_int_equal(least_cap(200, 1000, few_wait, NULL), 235);
}

static void test_guide_221_workers_refuse_1_percent(void **state)
{
    (void)state;
    assert_int_equal(least_cap(200, 1000, few_are_refused, NULL), 221);
}

static void test_guide_214_workers_keep_waits_under_50_ms(void **state)
{
    (void)state;
    assert_int_equal(least_cap(201, 1000, waits_are_short, NULL), 214);
    assert_true(fabs(wait_quantile(200, 214, 0.2, 0.99) - 0.0452) < 0.00005);
    assert_true(fabs(wait_quantile(200, 213, 0.2, 0.99) - 0.0505) < 0.00005);
}

/* ---- Draining -------------------------------------------------------------------------------- */

static void test_drain_of_nothing_takes_no_time(void **state)
{
    (void)state;
    assert_true(drain_mean(0, 3, 0.2) == 0);
}

/* The slowest of n: the first ends after S / n, the next S / (n − 1) later, … */
static void test_drain_of_no_more_than_the_workers_is_that_of_the_slowest(void **state)
{
    (void)state;
    assert_near("1 of 3", drain_mean(1, 3, 0.2), 0.2L);
    assert_near("2 of 3", drain_mean(2, 3, 0.2), 0.2L * 3 / 2);
    assert_near("3 of 3", drain_mean(3, 3, 0.2), 0.2L * 11 / 6);
    assert_near("3 of 20000", drain_mean(3, 20000, 0.2), 0.2L * 11 / 6);
}

static void test_drain_of_more_keeps_all_workers_busy_first(void **state)
{
    (void)state;
    assert_near("7 by 3", drain_mean(7, 3, 0.2), 0.2L * (4 / 3.0L + 11 / 6.0L));
    assert_near("10 by 1", drain_mean(10, 1, 0.2), 2.0L);
}

/* Euler: H_c = ln c + 0.5772… + 1 / 2c − 1 / 12c². */
static void test_drain_of_many(void **state)
{
    (void)state;
    long double c = 20000, harmonic = logl(c) + 0.57721566490153286061L + 1 / (2 * c) - 1 / (12 * c * c);
    assert_near("100000", drain_mean(100000, 20000, 1), 4 + harmonic);
}

/* ---- The least cap --------------------------------------------------------------------------- */

struct asked {
    long enough, calls, least, most;
};

static bool is_enough(long cap, void *arg)
{
    struct asked *asked = arg;
    asked->calls++;
    asked->least = cap < asked->least ? cap : asked->least;
    asked->most = cap > asked->most ? cap : asked->most;
    return cap >= asked->enough;
}

static void test_least_cap_is_found_from_any_start(void **state)
{
    (void)state;
    for (long enough = 1; enough <= 40; enough++)
        for (long from = 1; from <= 40; from++) {
            struct asked asked = {enough, 0, 40, 1};
            assert_int_equal(least_cap(from, 40, is_enough, &asked), enough);
        }
}

static void test_least_cap_is_0_if_the_most_is_not_enough(void **state)
{
    (void)state;
    for (long from = 1; from <= 40; from++) {
        struct asked asked = {41, 0, 40, 1};
        assert_int_equal(least_cap(from, 40, is_enough, &asked), 0);
    }
}

static void test_least_cap_asks_for_caps_in_range_only(void **state)
{
    (void)state;
    static const long starts[] = {-5, 0, 1, 7, 39, 40, 41, 1000};
    for (size_t i = 0; i < LENGTH(starts) * 42; i++) {
        struct asked asked = {(long)i % 42, 0, 40, 1};
        least_cap(starts[i / 42], 40, is_enough, &asked);
        assert_true(asked.least >= 1 && asked.most <= 40);
    }
}

static void test_least_cap_holds_up_to_the_largest_number(void **state)
{
    (void)state;
    struct asked none = {LONG_MAX, 0, LONG_MAX, 1}, some = {LONG_MAX, 0, LONG_MAX, 1};
    assert_int_equal(least_cap(1, LONG_MAX - 1, is_enough, &none), 0);
    assert_int_equal(least_cap(1, LONG_MAX, is_enough, &some), LONG_MAX);
}

static void test_least_cap_costs_what_its_distance_does(void **state)
{
    (void)state;
    for (long distance = 1; distance <= 1 << 20; distance *= 2) {
        struct asked up = {1000 + distance, 0, LONG_MAX, 1};
        struct asked down = {(1 << 21) - distance, 0, LONG_MAX, 1};
        least_cap(1000, 1 << 22, is_enough, &up);
        least_cap(1 << 21, 1 << 22, is_enough, &down);
        long most = 2 * lround(log2((double)distance)) + 4;
        assert_true(up.calls <= most && down.calls <= most);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_erlang_b_matches_exact_fractions),
        cmocka_unit_test(test_erlang_b_matches_sums_of_any_size),
        cmocka_unit_test(test_erlang_b_holds_for_fewer_workers_than_load),
        cmocka_unit_test(test_erlang_b_of_far_too_many_workers_is_0),
        cmocka_unit_test(test_erlang_c_matches_exact_fractions),
        cmocka_unit_test(test_erlang_c_matches_sums_of_any_size),
        cmocka_unit_test(test_more_workers_never_wait_or_refuse_more),
        cmocka_unit_test(test_unstable_systems_wait_without_end),
        cmocka_unit_test(test_wait_mean_is_the_share_that_waits_over_the_spare),
        cmocka_unit_test(test_wait_quantile_leaves_its_share_above),
        cmocka_unit_test(test_wait_quantile_is_0_if_few_enough_wait),
        cmocka_unit_test(test_total_quantile_leaves_its_share_above),
        cmocka_unit_test(test_total_quantile_of_one_spare_worker),
        cmocka_unit_test(test_quantiles_are_in_the_unit_of_the_service),
        cmocka_unit_test(test_guide_220_workers_let_11_percent_wait),
        cmocka_unit_test(test_guide_235_workers_let_1_percent_wait),
        cmocka_unit_test(test_guide_221_workers_refuse_1_percent),
        cmocka_unit_test(test_guide_214_workers_keep_waits_under_50_ms),
        cmocka_unit_test(test_drain_of_nothing_takes_no_time),
        cmocka_unit_test(test_drain_of_no_more_than_the_workers_is_that_of_the_slowest),
        cmocka_unit_test(test_drain_of_more_keeps_all_workers_busy_first),
        cmocka_unit_test(test_drain_of_many),
        cmocka_unit_test(test_least_cap_is_found_from_any_start),
        cmocka_unit_test(test_least_cap_is_0_if_the_most_is_not_enough),
        cmocka_unit_test(test_least_cap_asks_for_caps_in_range_only),
        cmocka_unit_test(test_least_cap_holds_up_to_the_largest_number),
        cmocka_unit_test(test_least_cap_costs_what_its_distance_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
