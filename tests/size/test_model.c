/* What is expected of a cap, by formula or by simulation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "formulas.h"
#include "model.h"

static struct scenario scenario_of(struct service *service, const char *text, enum arrivals arrivals)
{
    assert_null(service_parse(text, service));
    return (struct scenario){.service = service, .arrivals = arrivals, .rate = 80, .cap = 10, .queue = -1, .seed = 1};
}

/* 80/s of 100 ms on ten workers. */
static double formula_of(const char *text, enum arrivals arrivals, enum metric metric)
{
    struct service service;
    struct scenario scenario = scenario_of(&service, text, arrivals);
    double figure = model_formula(&scenario).of[metric];
    service_fini(&service);
    return figure;
}

static void assert_near(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-12))
        fail_msg("%.17g is not %.17g", value, expected);
}

static void test_formulas_are_exact_for_exponential_times_by_chance(void **state)
{
    (void)state;
    assert_near(formula_of("100ms", ARRIVALS_POISSON, MEAN_WAIT), wait_mean(8, 10, 0.1));
    assert_near(formula_of("100ms", ARRIVALS_POISSON, P99_WAIT), wait_quantile(8, 10, 0.1, 0.99));
    assert_near(formula_of("100ms", ARRIVALS_POISSON, P99_TOTAL), total_quantile(8, 10, 0.1, 0.99));
}

/* Half of it for each of gaps and times that does not vary. */
static void test_other_waits_are_scaled_by_what_varies(void **state)
{
    (void)state;
    double wait = wait_mean(8, 10, 0.1), tail = wait_quantile(8, 10, 0.1, 0.99);
    assert_near(formula_of("fixed:100ms", ARRIVALS_POISSON, MEAN_WAIT), wait / 2);
    assert_near(formula_of("fixed:100ms", ARRIVALS_POISSON, P99_WAIT), tail / 2);
    assert_near(formula_of("100ms", ARRIVALS_CONSTANT, MEAN_WAIT), wait / 2);
    assert_near(formula_of("fixed:100ms", ARRIVALS_CONSTANT, MEAN_WAIT), 0);
    assert_near(formula_of("fixed:100ms", ARRIVALS_POISSON, P_WAIT), erlang_c(8, 10));
}

static void test_totals_of_other_times_are_not_known(void **state)
{
    (void)state;
    assert_true(isnan(formula_of("fixed:100ms", ARRIVALS_POISSON, P99_TOTAL)));
    assert_true(isnan(formula_of("100ms", ARRIVALS_CONSTANT, P99_TOTAL)));
}

static void test_what_is_not_exact_is_simulated(void **state)
{
    (void)state;
    struct service service;
    struct scenario scenario = scenario_of(&service, "100ms", ARRIVALS_POISSON);
    assert_int_equal(model_predict(&scenario, 5000).tasks, 0);
    scenario = scenario_of(&service, "fixed:100ms", ARRIVALS_POISSON);
    assert_int_equal(model_predict(&scenario, 5000).tasks, 5000);
}

static void test_a_drain_does_not_ask_for_the_load(void **state)
{
    (void)state;
    struct service service;
    struct goal goal;
    struct scenario scenario = scenario_of(&service, "fixed:100ms", ARRIVALS_POISSON);
    scenario.backlog = 100;
    assert_null(goal_parse("drain=5s", &goal));
    assert_int_equal(model_least_cap(&scenario, &goal, 1000, 5000), 3); /* 34 rounds; the load needs 9 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formulas_are_exact_for_exponential_times_by_chance),
        cmocka_unit_test(test_other_waits_are_scaled_by_what_varies),
        cmocka_unit_test(test_totals_of_other_times_are_not_known),
        cmocka_unit_test(test_what_is_not_exact_is_simulated),
        cmocka_unit_test(test_a_drain_does_not_ask_for_the_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
