/* A bounded queue. */
#include "references.h"

#include <time.h>

#include "formulas.h"

/* ---- A bounded queue ------------------------------------------------------------------------- */

static const struct load bounded[] = {
    {0.5, 1, 3}, {1, 1, 10}, {3, 2, 7}, {2.5, 3, 1}, {8, 8, 40}, {1e-6, 3, 5}, {1e-6, 2000, 5},
    {200, 214, 100}, {210, 200, 1000}, {30, 40, 0}, {60, 40, 0}, {100 - 1e-6, 100, 500}, {1000, 1, 50},
    {9990, 10000, 2000}, {10000, 100, 50},
};

static const struct load deep[] = {
    {1, 2, 100000}, {10, 5, 100000}, {10000, 9990, 100000}, {10000, 20000, 100000}, {10000, 10000, 100000},
};

static void test_finite_system_matches_exact_fractions(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(small); i++) {
        const struct small *of = &small[i];
        unsigned most = of->c + of->queue;
        struct finite finite = finite_system(load_of(of), of->c, of->queue, 1);
        uint64_t accepted = whole_sum(of, 0, most);
        assert_near("refused", finite.reject, (long double)whole(of, most) / (long double)(accepted + whole(of, most)));
        assert_near("waits", finite.p_wait, (long double)whole_sum(of, of->c, most) / (long double)accepted);
    }
}

/* Mean waits by Little's law from the mean number that waits. */
static void assert_system(const struct load *of)
{
    long most = of->c + of->queue;
    long double accepted = sum_states(of, 0, most), all = accepted + sum_states(of, most, most + 1), waiting = 0;
    for (long m = 1; m <= of->queue; m++)
        waiting += (long double)m * sum_states(of, of->c + m, of->c + m + 1);
    struct finite finite = finite_system(of->a, of->c, of->queue, 0.2);
    assert_near("refused", finite.reject, sum_states(of, most, most + 1) / all);
    assert_near("waits", finite.p_wait, sum_states(of, of->c, most) / accepted);
    assert_near("utilisation", finite.utilisation, of->a * accepted / all / (long double)of->c);
    assert_near("mean", finite.mean_wait, waiting / accepted * 0.2L / of->a);
}

static void test_finite_system_matches_sums_of_any_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(bounded); i++)
        assert_system(&bounded[i]);
}

static void test_finite_system_holds_with_a_deep_queue(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(deep); i++)
        assert_system(&deep[i]);
}

static void test_finite_system_without_a_queue_is_erlang_b(void **state)
{
    (void)state;
    struct finite finite = finite_system(200, 221, 0, 0.2);
    assert_near("refused", finite.reject, erlang_b(200, 221));
    assert_true(finite.p_wait == 0);
    assert_true(finite.mean_wait == 0);
    assert_true(finite_wait_quantile(200, 221, 0, 0.2, 0.9999) == 0);
    assert_near("total", finite_total_quantile(200, 221, 0, 0.2, 0.99), -0.2L * logl(1 - (long double)0.99));
}

static void test_finite_system_with_an_endless_queue_is_erlang_c(void **state)
{
    (void)state;
    struct finite finite = finite_system(9, 10, 100000, 0.2);
    assert_near("waits", finite.p_wait, erlang_c(9, 10));
    assert_near("mean", finite.mean_wait, wait_mean(9, 10, 0.2));
    assert_near("utilisation", finite.utilisation, 0.9L);
    assert_near("wait", finite_wait_quantile(9, 10, 100000, 0.2, 0.999), wait_quantile(9, 10, 0.2, 0.999));
    assert_near("total", finite_total_quantile(9, 10, 100000, 0.2, 0.999), total_quantile(9, 10, 0.2, 0.999));
}

static void test_overload_refuses_what_exceeds_the_workers(void **state)
{
    (void)state;
    struct finite finite = finite_system(10000, 10, 100000, 0.2);
    assert_near("refused", finite.reject, 0.999L);
    assert_near("utilisation", finite.utilisation, 1);
    assert_near("waits", finite.p_wait, 1);
    assert_near("mean", finite.mean_wait, (100000 - 1 / 999.0L) * 0.02L);
}

static void assert_finite_quantiles(const struct load *of)
{
    struct found found = found_by_accepted(*of);
    for (size_t i = 0; i < LENGTH(shares); i++) {
        double q = shares[i];
        assert_quantile(waits_longer, &found, finite_wait_quantile(of->a, of->c, of->queue, 1, q), q);
        assert_quantile(takes_longer, &found, finite_total_quantile(of->a, of->c, of->queue, 1, q), q);
    }
    test_free(found.needs);
}

static void test_finite_quantiles_leave_their_share_above(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(bounded); i++)
        assert_finite_quantiles(&bounded[i]);
}

static void test_finite_quantiles_hold_with_a_deep_queue(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(deep); i++)
        assert_finite_quantiles(&deep[i]);
}

static void test_longer_queues_refuse_less_and_wait_more(void **state)
{
    (void)state;
    for (long queue = 0; queue < 100; queue++) {
        struct finite less = finite_system(10.5, 10, queue, 1), more = finite_system(10.5, 10, queue + 1, 1);
        assert_true(more.reject < less.reject);
        assert_true(more.mean_wait > less.mean_wait);
        double wait = finite_wait_quantile(10.5, 10, queue, 1, 0.9);
        double total = finite_total_quantile(10.5, 10, queue, 1, 0.9);
        assert_true(finite_wait_quantile(10.5, 10, queue + 1, 1, 0.9) > wait);
        assert_true(finite_total_quantile(10.5, 10, queue + 1, 1, 0.9) > total);
    }
}

/* ---- Time ------------------------------------------------------------------------------------ */

enum { FIGURES = 8 };

static double figure(int which, double a, long c, long queue)
{
    switch (which) {
    case 0:
        return erlang_b(a, c);
    case 1:
        return erlang_c(a, c);
    case 2:
        return wait_mean(a, c, 1);
    case 3:
        return wait_quantile(a, c, 1, 0.99);
    case 4:
        return total_quantile(a, c, 1, 0.9999);
    case 5:
        return finite_system(a, c, queue, 1).mean_wait;
    case 6:
        return finite_wait_quantile(a, c, queue, 1, 0.9999);
    default:
        return finite_total_quantile(a, c, queue, 1, 0.9999);
    }
}

/* Of processor time, and generous: a build may be slow. */
static void test_every_figure_of_a_large_system_takes_less_than_100_ms(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(deep) * FIGURES; i++) {
        const struct load *of = &deep[i / FIGURES];
        clock_t start = clock();
        assert_true(figure((int)i % FIGURES, of->a, of->c, of->queue) >= 0);
        assert_true(clock() - start < CLOCKS_PER_SEC / 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finite_system_matches_exact_fractions),
        cmocka_unit_test(test_finite_system_matches_sums_of_any_size),
        cmocka_unit_test(test_finite_system_holds_with_a_deep_queue),
        cmocka_unit_test(test_finite_system_without_a_queue_is_erlang_b),
        cmocka_unit_test(test_finite_system_with_an_endless_queue_is_erlang_c),
        cmocka_unit_test(test_overload_refuses_what_exceeds_the_workers),
        cmocka_unit_test(test_finite_quantiles_leave_their_share_above),
        cmocka_unit_test(test_finite_quantiles_hold_with_a_deep_queue),
        cmocka_unit_test(test_longer_queues_refuse_less_and_wait_more),
        cmocka_unit_test(test_every_figure_of_a_large_system_takes_less_than_100_ms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
