/* What a study certifies, by studies made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "verdict.h"

#define MS 1e-3

static struct request request;
static struct study study;

static struct outcome all(double figure)
{
    struct outcome outcome;
    for (int m = 0; m < METRIC_COUNT; m++)
        outcome.of[m] = figure;
    return outcome;
}

/* 100/s of 10 ms on two workers, predicted, measured and explained as 20 ms of wait or 2 %; a thousand
 * tasks counted, none late. */
static void make_study(void)
{
    request = (struct request){.rate = 100, .queue = -1, .seconds = 10,
                               .service = {.kind = SERVICE_EXP, .mean = 10 * MS, .cv2 = 1}};
    study = (struct study){.request = &request, .rows_n = 1, .drain = NAN};
    study.answer.cap = 2;
    study.answer.predicted = (struct estimate){all(20 * MS), all(0), 0};
    study.spread = all(5 * MS);
    struct run *run = &study.rows[0].run;
    *run = (struct run){.seconds = 10, .measured = all(20 * MS), .twin = all(20 * MS), .ideal = all(20 * MS),
                        .tasks = 1000, .counted = 1000, .services_n = 1000, .service_mean = 10 * MS};
    run->waits.n = 1000;
    study.rows[0].measured = true;
}

static struct run *run_of_study(void)
{
    return &study.rows[0].run;
}

static void ask(const char *text)
{
    assert_null(goal_parse(text, &request.goals[request.goals_n++]));
}

static void make_study_for(const char *goal)
{
    make_study();
    ask(goal);
}

static void assert_met(void)
{
    study_judge(&study);
    if (study.verdict != VERDICT_MET)
        fail_msg("%s", study.reasons[0]);
    assert_int_equal(study.reasons_n, 0);
}

/* For one reason, which says this. */
static void assert_verdict(enum verdict verdict, const char *part)
{
    study_judge(&study);
    assert_int_equal(study.verdict, verdict);
    assert_int_equal(study.reasons_n, 1);
    if (strstr(study.reasons[0], part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", study.reasons[0], part);
}

static void assert_near(double value, double expected, double error)
{
    if (!(fabs(value - expected) <= error))
        fail_msg("%.17g is not %.17g", value, expected);
}

/* ---- The prediction ------------------------------------------------------------------------------ */

static void test_what_all_agree_on_is_met(void **state)
{
    (void)state;
    make_study_for("p99-wait=21ms");
    assert_met();
}

static void test_a_bound_that_is_exceeded_is_missed(void **state)
{
    (void)state;
    make_study_for("p99-wait=19ms");
    assert_verdict(VERDICT_NOT_MET, "cap 2 gives 20.0ms");
}

static void test_a_bound_that_is_just_reached_is_missed(void **state)
{
    (void)state;
    make_study_for("p99-wait=20ms");
    assert_verdict(VERDICT_NOT_MET, "cap 2 gives 20.0ms");
}

static void test_one_of_several_goals_that_is_missed_is_enough(void **state)
{
    (void)state;
    make_study_for("p99-wait=21ms");
    ask("p95-wait=10ms");
    assert_verdict(VERDICT_NOT_MET, "p95-wait=10ms");
}

static void test_no_goal_is_met_by_any_run(void **state)
{
    (void)state;
    make_study();
    assert_met();
}

static void test_a_simulation_that_may_lie_on_either_side_tells_nothing(void **state)
{
    (void)state;
    for (int side = -1; side <= 1; side += 2) {
        make_study_for("p99-wait=30ms");
        study.answer.predicted.outcome.of[P99_WAIT] = (30 + side) * MS;
        study.answer.predicted.error.of[P99_WAIT] = 2 * MS;
        assert_verdict(VERDICT_NOT_CERTIFIABLE, "within 2.00ms");
        make_study_for("p99-wait=30ms");
        study.answer.predicted.outcome.of[P99_WAIT] = (30 + side) * MS;
        study.answer.predicted.error.of[P99_WAIT] = 0.5 * MS;
        study_judge(&study);
        assert_int_equal(study.verdict, side < 0 ? VERDICT_MET : VERDICT_NOT_MET);
    }
}

static void test_what_may_be_wrong_by_nobody_knows_what_tells_nothing(void **state)
{
    (void)state;
    make_study_for("p99-wait=30ms");
    study.answer.predicted.error.of[P99_WAIT] = NAN;
    assert_verdict(VERDICT_NOT_CERTIFIABLE, "does not tell");
}

static void test_an_endless_wait_is_not_met(void **state)
{
    (void)state;
    make_study_for("p99-wait=30ms");
    study.answer.predicted.outcome.of[P99_WAIT] = INFINITY;
    assert_verdict(VERDICT_NOT_MET, "inf");
}

static void test_a_hard_limit_is_not_met_and_named(void **state)
{
    (void)state;
    struct limit limit = {"memory", 1, true, "1 MiB / 1 MiB a task"};
    make_study_for("p99-wait=30ms");
    study.answer.limited_by = &limit;
    assert_verdict(VERDICT_NOT_MET, "memory allows a cap of 1: 1 MiB / 1 MiB a task");
}

/* ---- The simulation behind it ---------------------------------------------------------------------- */

static void test_a_tail_of_too_few_simulated_tasks_tells_nothing(void **state)
{
    (void)state;
    make_study_for("p99-wait=30ms");
    study.answer.predicted.tasks = 1111; /* of which 0.9 are counted */
    assert_verdict(VERDICT_NOT_CERTIFIABLE, "--simulate 1112");
    study.answer.predicted.tasks = 1112;
    request.rate = 10; /* far from the cap */
    assert_met();
}

/* 300 times 1 * 10 ms / (2 * 0.1²) of tasks at 180/s, over 0.9. */
static void test_a_simulation_near_saturation_must_be_long(void **state)
{
    (void)state;
    make_study_for("p95-wait=30ms");
    request.rate = 180;
    study.answer.predicted.tasks = 29999;
    assert_verdict(VERDICT_NOT_CERTIFIABLE, "--simulate 3000");
    study.answer.predicted.tasks = 30001;
    assert_met();
    request.queue = 5; /* it cannot stray far */
    study.answer.predicted.tasks = 2000;
    assert_met();
}

static void test_a_load_too_near_the_cap_for_any_simulation_says_so(void **state)
{
    (void)state;
    make_study_for("p95-wait=30ms");
    request.rate = 199.9999;
    study.answer.predicted.tasks = 1000000;
    assert_verdict(VERDICT_NOT_CERTIFIABLE, "more room");
}

/* ---- The run ----------------------------------------------------------------------------------------- */

static void test_a_late_generator_certifies_nothing(void **state)
{
    (void)state;
    make_study_for("p99-wait=30ms");
    run_of_study()->late_p99 = 2.9 * MS;
    assert_met();
    run_of_study()->late_p99 = 3.1 * MS;
    assert_verdict(VERDICT_NOT_CERTIFIABLE, "the generator was late");
}

static void test_the_tightest_time_says_what_is_late(void **state)
{
    (void)state;
    make_study_for("p99-wait=300ms");
    ask("p95-wait=30ms");
    ask("p50-wait=300ms");
    run_of_study()->late_p99 = 3.1 * MS;
    assert_verdict(VERDICT_NOT_CERTIFIABLE, "the generator was late");
}

static void test_without_a_time_the_service_says_what_is_late(void **state)
{
    (void)state;
    make_study_for("p-wait=3%");
    run_of_study()->late_p99 = 0.9 * MS;
    assert_met();
    run_of_study()->late_p99 = 1.1 * MS;
    assert_verdict(VERDICT_NOT_CERTIFIABLE, "the generator was late");
}

/* A figure rests on ten tasks beyond it, a mean on a hundred. */
static void test_a_small_sample_certifies_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *goal;
        long needed;
    } cases[] = {{"p99-wait=30ms", 1000}, {"p999-wait=30ms", 10000}, {"p95-wait=30ms", 200}, {"p50-wait=30ms", 20},
                 {"p99-total=30ms", 1000}, {"p-wait=4%", 250}, {"reject=2.5%", 400}, {"mean-wait=30ms", 100},
                 {"utilisation=50%", 100}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        make_study_for(cases[i].goal);
        run_of_study()->counted = run_of_study()->waits.n = cases[i].needed;
        assert_met();
        run_of_study()->counted = run_of_study()->waits.n = cases[i].needed - 1;
        assert_verdict(VERDICT_NOT_CERTIFIABLE, "tasks cannot show it");
    }
}

static void test_a_small_sample_says_how_long_a_run_is_long_enough(void **state)
{
    (void)state;
    make_study_for("p99-wait=30ms");
    run_of_study()->counted = run_of_study()->waits.n = 100;
    assert_verdict(VERDICT_NOT_CERTIFIABLE, "p99-wait=30ms: 100 tasks cannot show it, 1000 can: --duration 110s");
}

static void test_refused_tasks_show_no_waits_but_refusals(void **state)
{
    (void)state;
    make_study_for("p99-wait=30ms");
    run_of_study()->waits.n = 999;
    run_of_study()->waits.refused = 1;
    assert_verdict(VERDICT_NOT_CERTIFIABLE, "999 tasks cannot show it");
    make_study_for("reject=2.5%");
    run_of_study()->waits.n = 10;
    assert_met();
}

static void test_what_the_machine_adds_may_not_reach_the_goal(void **state)
{
    (void)state;
    make_study_for("p99-wait=30ms");
    run_of_study()->measured.of[P99_WAIT] = 29 * MS;
    assert_met();
    run_of_study()->measured.of[P99_WAIT] = 31 * MS;
    assert_verdict(VERDICT_NOT_CERTIFIABLE, "measured 31.0ms where the tasks alone explain 20.0ms");
}

static void test_tasks_that_the_machine_makes_longer_are_no_excuse(void **state)
{
    (void)state;
    make_study_for("p99-wait=30ms");
    run_of_study()->measured = run_of_study()->twin = all(200 * MS); /* as long as they were in the run */
    assert_verdict(VERDICT_NOT_CERTIFIABLE, "adds too much");
}

static void test_chance_that_both_show_does_not_matter(void **state)
{
    (void)state;
    make_study_for("p99-wait=30ms");
    run_of_study()->measured = run_of_study()->ideal = all(45 * MS);
    assert_met();
    run_of_study()->measured = all(1 * MS); /* luck is not taken off the prediction either */
    assert_met();
}

static void test_what_is_missed_anyway_is_not_blamed_on_the_machine(void **state)
{
    (void)state;
    make_study_for("p99-wait=10ms");
    run_of_study()->measured = all(45 * MS);
    assert_verdict(VERDICT_NOT_MET, "cap 2 gives");
}

static void test_commands_that_fail_certify_nothing(void **state)
{
    (void)state;
    make_study_for("p99-wait=30ms");
    run_of_study()->failed = 3;
    assert_verdict(VERDICT_NOT_CERTIFIABLE, "3 of 1000 commands failed");
}

static void test_a_plugin_that_got_slower_certifies_nothing(void **state)
{
    (void)state;
    make_study_for("p99-wait=30ms");
    request.service.cv2 = 0;
    request.service.kind = SERVICE_PLUGIN;
    run_of_study()->service_mean = 10.9 * MS;
    assert_met();
    run_of_study()->service_mean = 11.1 * MS;
    assert_verdict(VERDICT_NOT_CERTIFIABLE, "11.1ms, but 10.0ms when they were timed");
}

static void test_a_plugin_may_vary_by_chance(void **state)
{
    (void)state;
    make_study_for("p99-wait=30ms");
    request.service.kind = SERVICE_EXEC;
    request.service.cv2 = 10; /* three times 0.1 */
    run_of_study()->service_mean = 12.9 * MS;
    assert_met();
    run_of_study()->service_mean = 13.1 * MS;
    assert_verdict(VERDICT_NOT_CERTIFIABLE, "when they were timed");
}

static void test_what_was_not_measured_is_not_certified(void **state)
{
    (void)state;
    make_study_for("p99-wait=30ms");
    study.rows[0].measured = false;
    assert_verdict(VERDICT_NOT_CERTIFIABLE, "not measured");
}

static void test_a_goal_that_is_missed_stays_missed_in_a_bad_run(void **state)
{
    (void)state;
    make_study_for("p99-wait=10ms");
    run_of_study()->late_p99 = 1;
    study_judge(&study);
    assert_int_equal(study.verdict, VERDICT_NOT_MET);
    assert_int_equal(study.reasons_n, 2);
}

static void test_more_reasons_than_there_is_room_for_are_left_out(void **state)
{
    (void)state;
    make_study();
    for (int i = 0; i < GOALS_MAX; i++)
        ask("p99-wait=10ms");
    run_of_study()->counted = run_of_study()->waits.n = 1;
    study_judge(&study);
    assert_int_equal(study.reasons_n, REASONS_MAX);
    assert_int_equal(study.verdict, VERDICT_NOT_MET);
}

/* ---- A backlog ------------------------------------------------------------------------------------------ */

static void make_drain(double measured)
{
    make_study_for("drain=30ms");
    request.rate = 0;
    request.backlog = 100;
    study.rows[0].measured = false;
    study.drain = measured;
}

static void test_a_drain_must_be_measured_below_its_bound(void **state)
{
    (void)state;
    make_drain(29 * MS);
    assert_met();
    make_drain(30 * MS);
    assert_verdict(VERDICT_NOT_CERTIFIABLE, "30.0ms");
    make_drain(NAN);
    assert_verdict(VERDICT_NOT_CERTIFIABLE, "not measured");
}

static void test_a_drain_that_is_missed_by_reckoning_is_not_met(void **state)
{
    (void)state;
    make_drain(10 * MS);
    study.answer.predicted.outcome.of[DRAIN] = 31 * MS;
    assert_verdict(VERDICT_NOT_MET, "cap 2 gives 31.0ms");
    study.drain = NAN; /* it is not asked for what nobody wants */
    assert_verdict(VERDICT_NOT_MET, "cap 2 gives 31.0ms");
}

/* ---- How long a run would have to be ------------------------------------------------------------------- */

/* 5 ms of chance in 10 s, 10 ms to tell apart. */
static void test_chance_shrinks_with_the_root_of_the_length(void **state)
{
    (void)state;
    make_study_for("p99-wait=30ms");
    study_judge(&study);
    assert_near(study.enough_seconds, 10 * 0.25, 1e-9);
}

static void test_without_a_goal_or_a_rate_no_run_is_long_enough(void **state)
{
    (void)state;
    make_study();
    study_judge(&study);
    assert_true(isnan(study.enough_seconds));
    make_drain(1 * MS);
    study_judge(&study);
    assert_true(isnan(study.enough_seconds));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_all_agree_on_is_met),
        cmocka_unit_test(test_a_bound_that_is_exceeded_is_missed),
        cmocka_unit_test(test_a_bound_that_is_just_reached_is_missed),
        cmocka_unit_test(test_one_of_several_goals_that_is_missed_is_enough),
        cmocka_unit_test(test_no_goal_is_met_by_any_run),
        cmocka_unit_test(test_a_simulation_that_may_lie_on_either_side_tells_nothing),
        cmocka_unit_test(test_what_may_be_wrong_by_nobody_knows_what_tells_nothing),
        cmocka_unit_test(test_an_endless_wait_is_not_met),
        cmocka_unit_test(test_a_hard_limit_is_not_met_and_named),
        cmocka_unit_test(test_a_tail_of_too_few_simulated_tasks_tells_nothing),
        cmocka_unit_test(test_a_simulation_near_saturation_must_be_long),
        cmocka_unit_test(test_a_load_too_near_the_cap_for_any_simulation_says_so),
        cmocka_unit_test(test_a_late_generator_certifies_nothing),
        cmocka_unit_test(test_the_tightest_time_says_what_is_late),
        cmocka_unit_test(test_without_a_time_the_service_says_what_is_late),
        cmocka_unit_test(test_a_small_sample_certifies_nothing),
        cmocka_unit_test(test_a_small_sample_says_how_long_a_run_is_long_enough),
        cmocka_unit_test(test_refused_tasks_show_no_waits_but_refusals),
        cmocka_unit_test(test_what_the_machine_adds_may_not_reach_the_goal),
        cmocka_unit_test(test_tasks_that_the_machine_makes_longer_are_no_excuse),
        cmocka_unit_test(test_chance_that_both_show_does_not_matter),
        cmocka_unit_test(test_what_is_missed_anyway_is_not_blamed_on_the_machine),
        cmocka_unit_test(test_commands_that_fail_certify_nothing),
        cmocka_unit_test(test_a_plugin_that_got_slower_certifies_nothing),
        cmocka_unit_test(test_a_plugin_may_vary_by_chance),
        cmocka_unit_test(test_what_was_not_measured_is_not_certified),
        cmocka_unit_test(test_a_goal_that_is_missed_stays_missed_in_a_bad_run),
        cmocka_unit_test(test_more_reasons_than_there_is_room_for_are_left_out),
        cmocka_unit_test(test_a_drain_must_be_measured_below_its_bound),
        cmocka_unit_test(test_a_drain_that_is_missed_by_reckoning_is_not_met),
        cmocka_unit_test(test_chance_shrinks_with_the_root_of_the_length),
        cmocka_unit_test(test_without_a_goal_or_a_rate_no_run_is_long_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
