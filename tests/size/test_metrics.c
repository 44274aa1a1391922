/* Figures of a cap, and goals for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "metrics.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))
#define assert_contains(text, part) assert_non_null(strstr(text, part))

static const char *const words[METRIC_COUNT] = {
    [P_WAIT] = "p-wait",       [MEAN_WAIT] = "mean-wait", [P50_WAIT] = "p50-wait", [P95_WAIT] = "p95-wait",
    [P99_WAIT] = "p99-wait",   [P999_WAIT] = "p999-wait", [P99_TOTAL] = "p99-total", [REJECT] = "reject",
    [DRAIN] = "drain",         [UTILISATION] = "utilisation",
};

static void assert_same(double value, double expected)
{
    if (value != expected)
        fail_msg("%.17g is not %.17g", value, expected);
}

static struct goal parsed(const char *text)
{
    struct goal goal;
    const char *wrong = goal_parse(text, &goal);
    if (wrong != NULL)
        fail_msg("%s", wrong);
    return goal;
}

/* What is wrong with it; the goal is left alone. */
static const char *refused(const char *text)
{
    struct goal goal = {DRAIN, 77, "as it was"};
    const char *wrong = goal_parse(text, &goal);
    if (wrong == NULL)
        fail_msg("%s was taken", text);
    assert_int_equal(goal.metric, DRAIN);
    assert_same(goal.bound, 77);
    assert_string_equal(goal.text, "as it was");
    return wrong;
}

/* ---- Metrics -------------------------------------------------------------------------------- */

static void test_each_metric_has_its_word(void **state)
{
    (void)state;
    for (int i = 0; i < METRIC_COUNT; i++) {
        assert_string_equal(metric_word((enum metric)i), words[i]);
        assert_true(strlen(words[i]) < METRIC_WORD_MAX);
    }
}

static void test_shares_are_no_times(void **state)
{
    (void)state;
    for (int i = 0; i < METRIC_COUNT; i++)
        assert_int_equal(metric_is_time((enum metric)i), i != P_WAIT && i != REJECT && i != UTILISATION);
}

static void test_quantiles_have_their_share(void **state)
{
    (void)state;
    assert_same(metric_share(P50_WAIT), 0.5);
    assert_same(metric_share(P95_WAIT), 0.95);
    assert_same(metric_share(P99_WAIT), 0.99);
    assert_same(metric_share(P999_WAIT), 0.999);
    assert_same(metric_share(P99_TOTAL), 0.99);
}

static void test_what_is_no_quantile_has_no_share(void **state)
{
    (void)state;
    static const enum metric others[] = {P_WAIT, MEAN_WAIT, REJECT, DRAIN, UTILISATION};
    for (size_t i = 0; i < LENGTH(others); i++)
        assert_true(isnan(metric_share(others[i])));
}

static void test_unknown_outcome_knows_no_figure(void **state)
{
    (void)state;
    struct outcome outcome = outcome_unknown();
    for (int i = 0; i < METRIC_COUNT; i++)
        assert_true(isnan(outcome.of[i]));
}

/* ---- Goals ---------------------------------------------------------------------------------- */

static void test_goal_of_each_time_takes_a_duration(void **state)
{
    (void)state;
    for (int i = 0; i < METRIC_COUNT; i++) {
        if (!metric_is_time((enum metric)i))
            continue;
        char text[64];
        snprintf(text, sizeof text, "%s=50ms", words[i]);
        struct goal goal = parsed(text);
        assert_int_equal(goal.metric, i);
        assert_same(goal.bound, 0.05);
    }
}

static void test_goal_of_each_share_takes_a_share(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum metric metric;
        double bound;
    } goals[] = {{"p-wait=0.01", P_WAIT, 0.01}, {"reject=1%", REJECT, 0.01}, {"utilisation=90%", UTILISATION, 0.9}};
    for (size_t i = 0; i < LENGTH(goals); i++) {
        struct goal goal = parsed(goals[i].text);
        assert_int_equal(goal.metric, goals[i].metric);
        assert_same(goal.bound, goals[i].bound);
    }
}

static void test_goal_keeps_its_text(void **state)
{
    (void)state;
    const char *text = "p99-wait=50ms";
    assert_ptr_equal(parsed(text).text, text);
}

static void test_utilization_is_another_spelling(void **state)
{
    (void)state;
    assert_int_equal(parsed("utilization=90%").metric, UTILISATION);
}

static void test_goal_without_equals_sign_gets_an_example(void **state)
{
    (void)state;
    assert_string_equal(refused("p99-wait"),
                        "\"p99-wait\" has no '='; a goal is METRIC=VALUE, as p99-wait=50ms or reject=1%");
    assert_contains(refused(""), "\"\" has no '='");
}

static void test_goal_of_an_unknown_metric_gets_the_list(void **state)
{
    (void)state;
    const char *wrong = refused("p98-wait=50ms");
    assert_contains(wrong, "\"p98-wait=50ms\" names no metric that is known");
    for (int i = 0; i < METRIC_COUNT; i++)
        assert_contains(wrong, words[i]);
    assert_contains(wrong, "drain or utilisation");
}

static void test_goal_of_half_a_word_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"p99-wai=1s", "p99-waits=1s", "=1s", "P99-WAIT=1s", " drain=1s", "drain =1s"};
    for (size_t i = 0; i < LENGTH(texts); i++)
        assert_contains(refused(texts[i]), "names no metric that is known");
}

static void test_goal_with_a_wrong_value_says_what_is_accepted(void **state)
{
    (void)state;
    assert_string_equal(refused("p99-wait=50"), "\"p99-wait=50\" is no goal: \"50\" has no unit; a duration is a number "
                                                "with ns, us, ms, s, m or h, as 50ms");
    assert_contains(refused("reject=5"), "\"reject=5\" is no goal: \"5\" is above 1; a share is");
    assert_contains(refused("reject=50ms"), "\"50ms\" has an unknown unit; a share is");
    assert_contains(refused("drain=1%"), "\"1%\" has an unknown unit; a duration is");
    assert_contains(refused("drain="), "\"\" does not begin with a number");
    assert_contains(refused("drain==1s"), "\"=1s\" does not begin with a number");
}

static void test_long_goal_is_quoted_shortened(void **state)
{
    (void)state;
    char text[10000];
    memset(text, '=', sizeof text);
    text[sizeof text - 1] = '\0';
    const char *wrong = refused(text);
    assert_contains(wrong, "====...\" names no metric");
    assert_true(strlen(wrong) < 300);
}

static struct outcome of_p99(double wait)
{
    struct outcome outcome = outcome_unknown();
    outcome.of[P99_WAIT] = wait;
    return outcome;
}

static void test_goal_is_met_strictly_below_its_bound(void **state)
{
    (void)state;
    struct goal goal = parsed("p99-wait=50ms");
    struct outcome below = of_p99(nextafter(0.05, 0)), at = of_p99(0.05), above = of_p99(nextafter(0.05, 1));
    struct outcome none = of_p99(0);
    assert_true(goal_is_met(&goal, &below));
    assert_true(goal_is_met(&goal, &none));
    assert_false(goal_is_met(&goal, &at));
    assert_false(goal_is_met(&goal, &above));
}

static void test_goal_of_an_unknown_figure_is_not_met(void **state)
{
    (void)state;
    struct goal goal = parsed("p99-wait=50ms");
    struct outcome outcome = outcome_unknown();
    outcome.of[P95_WAIT] = 0; /* of another metric */
    assert_false(goal_is_met(&goal, &outcome));
}

static void test_goal_of_an_endless_wait_is_not_met(void **state)
{
    (void)state;
    struct goal goal = parsed("p99-wait=1e300h");
    struct outcome outcome = of_p99((double)INFINITY);
    assert_false(goal_is_met(&goal, &outcome));
}

/* ---- Texts ---------------------------------------------------------------------------------- */

static void test_a_share_that_is_next_to_nothing_is_not_spelt_out(void **state)
{
    (void)state;
    char text[UNITS_TEXT_MAX];
    assert_string_equal(metric_text(REJECT, 2.34e-14, text), "<0.0001%");
    assert_string_equal(metric_text_beside(REJECT, 2.34e-14, 0.01, text), "<0.0001%");
    assert_string_equal(metric_text(REJECT, 0, text), "0");
    assert_string_equal(metric_text(P99_WAIT, 2.34e-8, text), "23.4ns");
}

static void test_a_figure_has_the_digits_that_tell_it_from_its_bound(void **state)
{
    (void)state;
    char text[UNITS_TEXT_MAX];
    assert_string_equal(metric_text_beside(P99_WAIT, 0.19996, 0.2, text), "199.96ms");
    assert_string_equal(metric_text_beside(P99_WAIT, 0.15, 0.2, text), "150ms");
    assert_string_equal(metric_text_beside(P99_WAIT, 0.2, 0.2, text), "200ms");
    assert_string_equal(metric_text_beside(P_WAIT, 0.010004, 0.01, text), "1.0004%");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_metric_has_its_word),
        cmocka_unit_test(test_shares_are_no_times),
        cmocka_unit_test(test_quantiles_have_their_share),
        cmocka_unit_test(test_what_is_no_quantile_has_no_share),
        cmocka_unit_test(test_unknown_outcome_knows_no_figure),
        cmocka_unit_test(test_goal_of_each_time_takes_a_duration),
        cmocka_unit_test(test_goal_of_each_share_takes_a_share),
        cmocka_unit_test(test_goal_keeps_its_text),
        cmocka_unit_test(test_utilization_is_another_spelling),
        cmocka_unit_test(test_goal_without_equals_sign_gets_an_example),
        cmocka_unit_test(test_goal_of_an_unknown_metric_gets_the_list),
        cmocka_unit_test(test_goal_of_half_a_word_is_refused),
        cmocka_unit_test(test_goal_with_a_wrong_value_says_what_is_accepted),
        cmocka_unit_test(test_long_goal_is_quoted_shortened),
        cmocka_unit_test(test_goal_is_met_strictly_below_its_bound),
        cmocka_unit_test(test_goal_of_an_unknown_figure_is_not_met),
        cmocka_unit_test(test_goal_of_an_endless_wait_is_not_met),
        cmocka_unit_test(test_a_share_that_is_next_to_nothing_is_not_spelt_out),
        cmocka_unit_test(test_a_figure_has_the_digits_that_tell_it_from_its_bound),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
