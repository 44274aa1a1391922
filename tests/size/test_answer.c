/* The cap that is found, what decided it, and what becomes of it. Without threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "answer.h"
#include "formulas.h"
#include "model.h"

static struct request request;
static struct answer answer;

static void ask_of(double rate, const char *service)
{
    service_fini(&request.service);
    request = (struct request){.rate = rate, .queue = -1, .instances = 1, .shards = 4, .simulated = 20000, .seed = 1};
    assert_null(service_parse(service, &request.service));
}

static void ask_for(const char *goal)
{
    assert_null(goal_parse(goal, &request.goals[request.goals_n++]));
}

static void assert_line_has(const char *part)
{
    char line[LINE_MAX_CHARS];
    answer_line(&answer, &request, line);
    if (strstr(line, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", line, part);
    assert_non_null(strstr(line, " */"));
}

static void assert_near(double value, double expected, double error)
{
    if (!(fabs(value - expected) <= error))
        fail_msg("%.17g is not %.17g", value, expected);
}

/* ---- Limits: 1000/s of 200 ms needs 214 for the one goal, 235 for the other ----------------------------------- */

static void ask_within(double memory)
{
    ask_of(1000, "200ms");
    request.needs = (struct needs){.memory = memory, .per_task = 1};
    ask_for("p99-wait=50ms");
    ask_for("p-wait=1%");
}

static void test_a_limit_that_leaves_enough_does_not_decide(void **state)
{
    (void)state;
    ask_within(235);
    answer_find(&answer, &request);
    assert_int_equal(answer.cap, 235);
    assert_null(answer.limited_by);
    assert_true(answer.all_met);
    assert_string_equal(answer_decided_by(&answer), "p-wait=1%");
}

static void test_a_limit_that_leaves_less_decides(void **state)
{
    (void)state;
    ask_within(220);
    answer_find(&answer, &request);
    assert_int_equal(answer.cap, 220);
    assert_true(answer.met[0] && !answer.met[1] && !answer.all_met);
    assert_string_equal(answer_decided_by(&answer), "memory");
    assert_line_has("cap 220: ");
    assert_line_has("; limited by memory; goal p wait < 1%; predicted 10.9%"); /* the one that is missed */
}

static void test_a_given_cap_is_looked_at_beyond_a_limit_but_not_met(void **state)
{
    (void)state;
    ask_within(220);
    request.cap = 240;
    answer_find(&answer, &request);
    assert_int_equal(answer.cap, 240);
    assert_true(answer.met[0] && answer.met[1] && !answer.all_met);
    assert_null(answer_decided_by(&answer));
}

/* ---- What a longer simulation finds ----------------------------------------------------------------------------- */

static double predicted_at(long cap, long tasks, double *error)
{
    struct scenario scenario = request_scenario(&request, cap);
    struct estimate estimate = model_predict(&scenario, tasks);
    *error = estimate.error.of[P99_WAIT];
    return estimate.outcome.of[P99_WAIT];
}

static void test_what_a_simulation_does_not_tell_a_longer_one_is_asked(void **state)
{
    (void)state;
    double error;
    ask_of(160, "lognormal:50ms,0.8");
    ask_for("p99-wait=1s");
    request.cap = 11;
    answer_find(&answer, &request);
    assert_int_equal(answer.predicted.tasks, request.simulated);
    request.goals[0].bound = predicted_at(11, request.simulated, &error) + error / 2;
    answer_find(&answer, &request);
    assert_int_equal(answer.predicted.tasks, 8 * request.simulated);
}

/* For whatever seed: the cap meets its goal, one less does not, and both as the report shows them. */
static void test_the_cap_is_the_least_of_those_that_are_shown(void **state)
{
    (void)state;
    int moved = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        ask_of(1000, "lognormal:4ms,1");
        request.simulated = 1000;
        request.seed = seed;
        ask_for("p99-wait=3ms");
        struct scenario scenario = request_scenario(&request, 1);
        long by_short = model_least_cap(&scenario, &request.goals[0], CAP_MOST, request.simulated);
        answer_find(&answer, &request);
        moved += answer.cap != by_short;
        assert_true(answer.all_met && goal_is_met(&request.goals[0], &answer.predicted.outcome));
        assert_false(goal_is_met(&request.goals[0], &answer.below.outcome));
        assert_int_equal(answer.goal_caps[0], answer.cap);
    }
    assert_true(moved > 0);
}

static void test_no_goal_needs_more_than_the_cap(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        ask_of(1000, "lognormal:4ms,1");
        request.simulated = 1000;
        request.seed = seed;
        ask_for("p99-wait=3ms");
        ask_for("p95-wait=300us");
        answer_find(&answer, &request);
        for (int i = 0; i < 2; i++)
            assert_true(answer.goal_caps[i] <= answer.cap);
    }
}

/* ---- Drains ------------------------------------------------------------------------------------------------------ */

/* Its work alone keeps 167 workers busy until the bound. */
static void test_a_drain_has_the_least_cap(void **state)
{
    (void)state;
    ask_of(0, "fixed:50ms");
    request.backlog = 10000;
    ask_for("drain=3s");
    answer_find(&answer, &request);
    assert_int_equal(answer.cap, 170); /* 59 rounds of 50 ms; 169 makes 60 */
    assert_line_has("/* cap 170: 10000 x 50.0ms (fixed); goal drain < 3s; predicted 2.95s; 169 gives 3.00s */");
}

/* ---- Other loads -------------------------------------------------------------------------------------------------- */

static void test_other_loads_are_what_they_say(void **state)
{
    (void)state;
    ask_of(1000, "200ms");
    ask_for("p99-wait=50ms");
    answer_find(&answer, &request);
    const struct change *more = &answer.changes[0], *slower = &answer.changes[1], *less = &answer.changes[2];
    assert_int_equal(more->needs, 254);
    assert_true(isinf(less->outcome.of[MEAN_WAIT]));
    assert_int_equal(less->cap, 160); /* of 214 on 4 shards 54 are lost */
    assert_int_equal(less->needs, 286);
    assert_false(more->met || slower->met || less->met);
    request.cap = 440;
    answer_find(&answer, &request);
    assert_true(slower->met);
    assert_near(slower->outcome.of[MEAN_WAIT], wait_mean(400, 440, 0.4), 1e-12);
    assert_near(slower->outcome.of[P_WAIT], erlang_c(400, 440), 1e-12);
    assert_near(more->outcome.of[P_WAIT], erlang_c(240, 440), 1e-12);
}

static void test_a_shard_fewer_of_what_is_needed_leaves_enough(void **state)
{
    (void)state;
    for (request.shards = 2; request.shards < 9; request.shards++) {
        long shards = request.shards;
        ask_of(100, "200ms");
        request.shards = shards;
        ask_for("p99-wait=50ms");
        answer_find(&answer, &request);
        long needs = answer.changes[2].needs;
        assert_true(needs - (needs + shards - 1) / shards >= answer.cap);
        assert_true(needs - 1 - (needs + shards - 2) / shards < answer.cap);
    }
}

/* ---- The system behind --------------------------------------------------------------------------------------------- */

static void test_what_lies_behind_may_be_used_up_but_not_exceeded(void **state)
{
    (void)state;
    ask_of(1000, "200ms");
    ask_for("p99-wait=50ms");
    request.instances = 5;
    request.downstream = 5 * 214;
    answer_find(&answer, &request);
    assert_false(answer.downstream_exceeded);
    request.downstream--;
    answer_find(&answer, &request);
    assert_true(answer.downstream_exceeded);
    assert_int_equal(answer.downstream_cap, 213);
    assert_near(answer.downstream_outcome.of[REJECT], erlang_b(200, 213), 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_limit_that_leaves_enough_does_not_decide),
        cmocka_unit_test(test_a_limit_that_leaves_less_decides),
        cmocka_unit_test(test_a_given_cap_is_looked_at_beyond_a_limit_but_not_met),
        cmocka_unit_test(test_what_a_simulation_does_not_tell_a_longer_one_is_asked),
        cmocka_unit_test(test_the_cap_is_the_least_of_those_that_are_shown),
        cmocka_unit_test(test_no_goal_needs_more_than_the_cap),
        cmocka_unit_test(test_a_drain_has_the_least_cap),
        cmocka_unit_test(test_other_loads_are_what_they_say),
        cmocka_unit_test(test_a_shard_fewer_of_what_is_needed_leaves_enough),
        cmocka_unit_test(test_what_lies_behind_may_be_used_up_but_not_exceeded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
