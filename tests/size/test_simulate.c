/* The workers against a naive reference, samples, and long simulations against what is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "simulate.h"

#define MS 1e-3

static void assert_near(double value, double expected, double within)
{
    if (!(fabs(value - expected) <= within))
        fail_msg("%.17g is not within %g of %.17g", value, within, expected);
}

static void assert_same(double value, double expected)
{
    if (value != expected && !(isnan(value) && isnan(expected)))
        fail_msg("%.17g is not %.17g", value, expected);
}

static const struct service exponential = {.kind = SERVICE_EXP, .mean = 50 * MS, .cv2 = 1};
static const struct service fixed = {.kind = SERVICE_FIXED, .mean = 50 * MS};

static struct estimate estimate_of(struct scenario scenario, long tasks)
{
    struct estimate estimate;
    assert_true(simulate(&scenario, tasks, &estimate));
    return estimate;
}

static void assert_same_outcomes(const struct outcome *a, const struct outcome *b)
{
    for (int metric = 0; metric < METRIC_COUNT; metric++)
        assert_same(a->of[metric], b->of[metric]);
}

static void assert_within_error(const struct estimate *estimate, enum metric metric, double expected)
{
    assert_true(estimate->error.of[metric] > 0);
    assert_near(estimate->outcome.of[metric], expected, 2 * estimate->error.of[metric]);
}

/* ---- A naive reference ---- */

#define TASKS 3000
#define CAP_MOST 8

struct tasks {
    double at[TASKS], service[TASKS], wait[TASKS];
};

/* Workers side by side, and the waiting tasks in a line. */
struct naive {
    struct tasks *tasks;
    double free_at[CAP_MOST];
    int cap;
    int waiting[TASKS], next, end; /* those from next to end still wait */
    double last_end;
};

static int first_free(const struct naive *naive)
{
    int first = 0;
    for (int i = 1; i < naive->cap; i++)
        if (naive->free_at[i] < naive->free_at[first])
            first = i;
    return first;
}

static void begin_task(struct naive *naive, int worker, int task, double now)
{
    struct tasks *tasks = naive->tasks;
    tasks->wait[task] = now - tasks->at[task];
    naive->free_at[worker] = now + tasks->service[task];
    if (naive->free_at[worker] > naive->last_end)
        naive->last_end = naive->free_at[worker];
}

/* The events up to an instant: a worker gets free and takes the task that waits longest. */
static void go_on_until(struct naive *naive, double now)
{
    while (naive->next < naive->end) {
        int worker = first_free(naive);
        if (naive->free_at[worker] > now)
            return;
        begin_task(naive, worker, naive->waiting[naive->next++], naive->free_at[worker]);
    }
}

static void arrive(struct naive *naive, int task, long queue)
{
    double now = naive->tasks->at[task];
    go_on_until(naive, now);
    int worker = first_free(naive);
    if (naive->free_at[worker] <= now)
        begin_task(naive, worker, task, now);
    else if (queue < 0 || naive->end - naive->next < queue)
        naive->waiting[naive->end++] = task;
    else
        naive->tasks->wait[task] = -1;
}

static double run_naively(struct tasks *tasks, int cap, long queue)
{
    struct naive naive = {.tasks = tasks, .cap = cap};
    for (int i = 0; i < TASKS; i++)
        arrive(&naive, i, queue);
    go_on_until(&naive, INFINITY);
    return naive.last_end;
}

static double until_now(double sum, double unit, struct random *random)
{
    return sum + floor(random_share(random) * 4) * unit;
}

/* whole: small whole numbers, so that many things happen at the same instant. */
static void make_tasks(struct tasks *tasks, uint64_t seed, int cap, bool whole)
{
    struct random random = random_of(seed, 0);
    double at = 0;
    for (int i = 0; i < TASKS; i++) {
        at = whole ? until_now(at, 1, &random) : at + arrivals_gap(ARRIVALS_POISSON, 1, &random);
        tasks->at[i] = at;
        tasks->service[i] =
            whole ? floor(random_share(&random) * 4 * cap) : -log(random_share(&random)) * cap;
    }
}

static void assert_as_naive(struct tasks *tasks, int cap, long queue)
{
    struct workers *workers = workers_new(cap, queue);
    assert_non_null(workers);
    double end = run_naively(tasks, cap, queue);
    for (int i = 0; i < TASKS; i++)
        assert_same(workers_take(workers, tasks->at[i], tasks->service[i]), tasks->wait[i]);
    assert_same(workers_done_at(workers), end);
    workers_free(workers);
}

static void compare_with_naive(long queue)
{
    static struct tasks tasks;
    for (uint64_t seed = 0; seed < 6; seed++)
        for (int cap = 1; cap <= CAP_MOST; cap++) {
            make_tasks(&tasks, seed, cap, seed % 2 != 0);
            assert_as_naive(&tasks, cap, queue);
        }
}

static void test_workers_without_a_limit_are_as_the_reference(void **state)
{
    (void)state;
    compare_with_naive(-1);
}

static void test_workers_without_a_queue_are_as_the_reference(void **state)
{
    (void)state;
    compare_with_naive(0);
}

static void test_workers_with_a_queue_of_one_are_as_the_reference(void **state)
{
    (void)state;
    compare_with_naive(1);
}

static void test_workers_with_a_queue_of_three_are_as_the_reference(void **state)
{
    (void)state;
    compare_with_naive(3);
}

/* ---- Workers ---- */

static void test_a_task_waits_until_the_first_worker_is_free(void **state)
{
    (void)state;
    struct workers *workers = workers_new(2, -1);
    assert_same(workers_take(workers, 0, 5), 0);
    assert_same(workers_take(workers, 1, 2), 0);
    assert_same(workers_take(workers, 2, 1), 1);
    assert_same(workers_take(workers, 2, 1), 2);
    workers_free(workers);
}

static void test_a_worker_that_gets_free_at_this_instant_is_free(void **state)
{
    (void)state;
    struct workers *workers = workers_new(1, 0);
    assert_same(workers_take(workers, 0, 5), 0);
    assert_same(workers_take(workers, 5, 5), 0);
    workers_free(workers);
}

static void test_a_task_beyond_the_queue_is_refused(void **state)
{
    (void)state;
    struct workers *workers = workers_new(1, 2);
    assert_same(workers_take(workers, 0, 5), 0);
    assert_same(workers_take(workers, 1, 5), 4);
    assert_same(workers_take(workers, 1, 5), 9);
    assert_true(workers_take(workers, 1, 5) < 0);
    assert_true(workers_take(workers, 4.9, 5) < 0);
    assert_same(workers_take(workers, 5, 5), 10);
    workers_free(workers);
}

static void test_a_refused_task_takes_no_worker(void **state)
{
    (void)state;
    struct workers *workers = workers_new(1, 0);
    workers_take(workers, 0, 5);
    assert_true(workers_take(workers, 1, 100) < 0);
    assert_same(workers_done_at(workers), 5);
    assert_same(workers_take(workers, 5, 1), 0);
    workers_free(workers);
}

static void test_done_is_when_the_longest_task_ends(void **state)
{
    (void)state;
    struct workers *workers = workers_new(2, -1);
    assert_same(workers_done_at(workers), -INFINITY);
    workers_take(workers, 0, 50);
    workers_take(workers, 1, 2);
    assert_same(workers_done_at(workers), 50);
    workers_free(workers);
}

static void test_time_may_begin_below_0(void **state)
{
    (void)state;
    struct workers *workers = workers_new(1, 1);
    assert_same(workers_take(workers, -10, 5), 0);
    assert_same(workers_take(workers, -9, 1), 4);
    assert_true(workers_take(workers, -9, 1) < 0);
    assert_same(workers_done_at(workers), -4);
    workers_free(workers);
}

static void test_workers_that_no_memory_could_hold_are_refused(void **state)
{
    (void)state;
    assert_null(workers_new(INT64_MAX, -1));
    assert_null(workers_new(1, INT64_MAX));
    workers_free(NULL);
}

static void test_each_task_waits_no_longer_with_one_worker_more(void **state)
{
    (void)state;
    static double before[100000];
    for (long cap = 8; cap < 20; cap++) {
        struct workers *workers = workers_new(cap, -1);
        struct random random = random_of(1, 0);
        double at = 0;
        for (int i = 0; i < 100000; i++) {
            at += arrivals_gap(ARRIVALS_POISSON, 160, &random);
            double wait = workers_take(workers, at, service_draw(&exponential, &random));
            assert_true(cap == 8 || wait <= before[i]);
            before[i] = wait;
        }
        workers_free(workers);
    }
}

/* ---- Samples ---- */

static struct sample sample_with(const double *waits, long n)
{
    struct sample sample;
    assert_true(sample_init(&sample, n));
    for (long i = 0; i < n; i++)
        sample_add(&sample, waits[i], 1, waits[i] > 0);
    return sample;
}

static void test_a_quantile_is_the_least_value_that_enough_do_not_exceed(void **state)
{
    (void)state;
    struct sample sample = sample_with((double[]){4, 1, 3, 2}, 4);
    const double expected[][2] = {{0.01, 1}, {0.25, 1}, {0.26, 2}, {0.5, 2},
                                  {0.51, 3}, {0.75, 3}, {0.76, 4}, {1, 4}, {0, 1}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_same(sample_wait_quantile(&sample, expected[i][0]), expected[i][1]);
    sample_fini(&sample);
}

static void test_a_quantile_of_equal_values_is_that_value(void **state)
{
    (void)state;
    struct sample sample = sample_with((double[]){2, 2, 2}, 3);
    assert_same(sample_wait_quantile(&sample, 0.5), 2);
    sample_fini(&sample);
}

/* 0.07 · 100 is 7.000000000000001 as doubles. */
static void test_a_quantile_is_not_moved_by_rounding(void **state)
{
    (void)state;
    double waits[1000];
    for (int i = 0; i < 1000; i++)
        waits[i] = i + 1;
    for (int n = 100; n <= 1000; n *= 10)
        for (int i = 1; i <= n; i++) {
            struct sample sample = sample_with(waits, n);
            assert_same(sample_wait_quantile(&sample, (double)i / n), i);
            sample_fini(&sample);
        }
}

static void test_a_quantile_of_none_is_not_a_number(void **state)
{
    (void)state;
    struct sample sample = sample_with(NULL, 0);
    assert_true(isnan(sample_wait_quantile(&sample, 0.5)));
    assert_true(isnan(sample_total_quantile(&sample, 0.5)));
    sample_fini(&sample);
}

static void test_a_total_is_wait_and_service(void **state)
{
    (void)state;
    struct sample sample;
    assert_true(sample_init(&sample, 3));
    sample_add(&sample, 3, 1, true);
    sample_add(&sample, 1, 9, true);
    sample_add(&sample, 2, 5, true);
    assert_same(sample_total_quantile(&sample, 0.3), 4);
    assert_same(sample_total_quantile(&sample, 0.5), 7);
    assert_same(sample_total_quantile(&sample, 1), 10);
    sample_fini(&sample);
}

static void test_figures_may_be_asked_for_between_tasks(void **state)
{
    (void)state;
    struct sample sample;
    assert_true(sample_init(&sample, 2));
    sample_add(&sample, 3, 1, true);
    assert_same(sample_wait_quantile(&sample, 0.5), 3);
    sample_add(&sample, 1, 1, true);
    assert_same(sample_wait_quantile(&sample, 0.5), 1);
    sample_fini(&sample);
}

static void test_an_outcome_counts_what_was_added(void **state)
{
    (void)state;
    struct sample sample;
    assert_true(sample_init(&sample, 4));
    sample_add(&sample, 0, 2, false);
    sample_add(&sample, 0.001, 1, false); /* it was woken late, but did not wait for a worker */
    sample_add(&sample, -1, 99, true);
    sample_add(&sample, 4, 3, true);
    sample_add(&sample, 1.999, 2, true);
    struct outcome outcome = sample_outcome(&sample, 16);
    assert_same(outcome.of[P_WAIT], 0.5);
    assert_near(outcome.of[MEAN_WAIT], 1.5, 1e-15);
    assert_same(outcome.of[P50_WAIT], 0.001);
    assert_same(outcome.of[P95_WAIT], 4);
    assert_same(outcome.of[P99_WAIT], 4);
    assert_same(outcome.of[P999_WAIT], 4);
    assert_same(outcome.of[P99_TOTAL], 7);
    assert_same(outcome.of[REJECT], 0.2);
    assert_same(outcome.of[UTILISATION], 0.5);
    assert_true(isnan(outcome.of[DRAIN]));
    sample_fini(&sample);
}

static void test_each_quantile_of_an_outcome_has_its_share(void **state)
{
    (void)state;
    double waits[1000];
    for (int i = 0; i < 1000; i++)
        waits[i] = i + 1;
    struct sample sample = sample_with(waits, 1000);
    struct outcome outcome = sample_outcome(&sample, 1);
    assert_same(outcome.of[P50_WAIT], 500);
    assert_same(outcome.of[P95_WAIT], 950);
    assert_same(outcome.of[P99_WAIT], 990);
    assert_same(outcome.of[P999_WAIT], 999);
    assert_same(outcome.of[P99_TOTAL], 991);
    sample_fini(&sample);
}

static void test_an_outcome_of_nothing_is_not_known(void **state)
{
    (void)state;
    struct sample sample = sample_with(NULL, 0);
    struct outcome outcome = sample_outcome(&sample, 0);
    for (int metric = 0; metric < METRIC_COUNT; metric++)
        assert_true(isnan(outcome.of[metric]));
    sample_fini(&sample);
}

static void test_a_sample_where_all_are_refused_knows_only_that(void **state)
{
    (void)state;
    struct sample sample = sample_with((double[]){-1, -1}, 2);
    struct outcome outcome = sample_outcome(&sample, 1);
    assert_same(outcome.of[REJECT], 1);
    assert_same(outcome.of[UTILISATION], 0);
    assert_true(isnan(outcome.of[P_WAIT]) && isnan(outcome.of[MEAN_WAIT]) && isnan(outcome.of[P99_TOTAL]));
    sample_fini(&sample);
}

static void test_a_cleared_sample_is_as_new(void **state)
{
    (void)state;
    struct sample sample = sample_with((double[]){5, -1}, 2);
    sample_wait_quantile(&sample, 0.5);
    sample_clear(&sample);
    assert_int_equal(sample.n, 0);
    assert_int_equal(sample.room, 2);
    sample_add(&sample, 2, 1, false);
    sample_add(&sample, 1, 1, false);
    struct outcome outcome = sample_outcome(&sample, 4);
    assert_same(outcome.of[REJECT], 0);
    assert_same(outcome.of[P50_WAIT], 1);
    assert_same(outcome.of[UTILISATION], 0.5);
    sample_fini(&sample);
}

/* ---- The long simulation: what is known ---- */

static double erlang_b_of(double a, long c)
{
    double inverse = 1;
    for (long k = 1; k <= c; k++)
        inverse = 1 + (double)k / a * inverse;
    return 1 / inverse;
}

static double erlang_c_of(double a, long c)
{
    double b = erlang_b_of(a, c);
    return (double)c * b / ((double)c - a * (1 - b));
}

static const struct scenario mmc = {
    .service = &exponential, .arrivals = ARRIVALS_POISSON, .rate = 160, .cap = 10, .queue = -1, .seed = 1};

static void test_exponential_tasks_wait_as_erlang_c_says(void **state)
{
    (void)state;
    double a = 8, s = 50 * MS, p_wait = erlang_c_of(a, 10);
    struct estimate estimate = estimate_of(mmc, 800000);
    assert_within_error(&estimate, P_WAIT, p_wait);
    assert_within_error(&estimate, MEAN_WAIT, p_wait * s / (10 - a));
    assert_same(estimate.outcome.of[P50_WAIT], 0);
    assert_within_error(&estimate, P95_WAIT, s / (10 - a) * log(p_wait / 0.05));
    assert_within_error(&estimate, P99_WAIT, s / (10 - a) * log(p_wait / 0.01));
    assert_within_error(&estimate, P999_WAIT, s / (10 - a) * log(p_wait / 0.001));
    assert_within_error(&estimate, UTILISATION, 0.8);
    assert_true(isnan(estimate.outcome.of[REJECT]) && isnan(estimate.error.of[REJECT]));
    assert_true(isnan(estimate.outcome.of[DRAIN]));
    assert_int_equal(estimate.tasks, 800000);
}

/* With one worker the total is exponential with mean s / (1 - a). */
static void test_totals_of_one_worker_are_exponential(void **state)
{
    (void)state;
    struct scenario scenario = mmc;
    scenario.cap = 1;
    scenario.rate = 10;
    struct estimate estimate = estimate_of(scenario, 800000);
    assert_within_error(&estimate, P99_TOTAL, 50 * MS / 0.5 * log(100));
}

static void test_tasks_without_a_queue_are_refused_as_erlang_b_says(void **state)
{
    (void)state;
    struct scenario scenario = mmc;
    scenario.queue = 0;
    double reject = erlang_b_of(8, 10);
    struct estimate estimate = estimate_of(scenario, 800000);
    assert_within_error(&estimate, REJECT, reject);
    assert_within_error(&estimate, UTILISATION, 0.8 * (1 - reject));
    assert_same(estimate.outcome.of[P_WAIT], 0);
    assert_same(estimate.outcome.of[P999_WAIT], 0);
}

/* M/M/1/2: states 0, 1 and 2 with weights 1, a and a². */
static void test_a_queue_refuses_an_overload_as_the_finite_formula_says(void **state)
{
    (void)state;
    struct scenario scenario = mmc;
    scenario.cap = 1;
    scenario.queue = 1;
    scenario.rate = 40;
    struct estimate estimate = estimate_of(scenario, 400000);
    assert_within_error(&estimate, REJECT, 4.0 / 7);
    assert_within_error(&estimate, P_WAIT, 2.0 / 3);
    assert_within_error(&estimate, MEAN_WAIT, 2.0 / 3 * 50 * MS);
    assert_within_error(&estimate, UTILISATION, 6.0 / 7);
}

static void test_a_queue_longer_than_the_run_is_no_limit_but_has_refusals(void **state)
{
    (void)state;
    struct scenario scenario = mmc;
    struct estimate unlimited = estimate_of(scenario, 10000);
    scenario.queue = INT64_MAX;
    struct estimate limited = estimate_of(scenario, 10000);
    assert_same(limited.outcome.of[REJECT], 0);
    assert_same(limited.outcome.of[P99_WAIT], unlimited.outcome.of[P99_WAIT]);
}

static void test_fixed_tasks_at_constant_gaps_never_wait(void **state)
{
    (void)state;
    struct scenario scenario = {
        .service = &fixed, .arrivals = ARRIVALS_CONSTANT, .rate = 19.9, .cap = 1, .queue = -1, .seed = 1};
    struct estimate estimate = estimate_of(scenario, 10000);
    assert_same(estimate.outcome.of[P_WAIT], 0);
    assert_same(estimate.outcome.of[P999_WAIT], 0);
    assert_same(estimate.error.of[MEAN_WAIT], 0);
    assert_same(estimate.error.of[P99_WAIT], 0);
    assert_near(estimate.outcome.of[UTILISATION], 0.995, 1e-9);
    assert_near(estimate.error.of[UTILISATION], 0, 1e-9);
}

static void test_fixed_tasks_wait_half_as_long_as_exponential_ones(void **state)
{
    (void)state;
    struct scenario scenario = mmc;
    scenario.cap = 1;
    scenario.rate = 16;
    struct estimate by_chance = estimate_of(scenario, 400000);
    scenario.service = &fixed;
    struct estimate always = estimate_of(scenario, 400000);
    assert_within_error(&by_chance, MEAN_WAIT, 4 * 50 * MS);
    assert_within_error(&always, MEAN_WAIT, 2 * 50 * MS);
}

/* Nineteen of twenty intervals hold the truth; of 60 fewer than 48 would by chance of 1e-5. */
static void test_the_error_holds_the_truth_in_most_runs(void **state)
{
    (void)state;
    int held = 0;
    double expected = erlang_c_of(8, 10);
    struct scenario scenario = mmc;
    for (scenario.seed = 1; scenario.seed <= 60; scenario.seed++) {
        struct estimate estimate = estimate_of(scenario, 50000);
        held += fabs(estimate.outcome.of[P_WAIT] - expected) <= estimate.error.of[P_WAIT];
    }
    assert_in_range(held, 48, 60);
}

/* A busy system: its tail is that of its worst times, and short batches would be all alike. */
static void test_the_error_holds_a_tail_near_saturation(void **state)
{
    (void)state;
    int held = 0;
    struct scenario scenario = mmc;
    scenario.cap = 1;
    scenario.rate = 0.95 / scenario.service->mean;
    double wait = scenario.service->mean / 0.05 * log(0.95 / 0.01);
    for (scenario.seed = 1; scenario.seed <= 60; scenario.seed++) {
        struct estimate estimate = estimate_of(scenario, 50000);
        held += fabs(estimate.outcome.of[P99_WAIT] - wait) <= estimate.error.of[P99_WAIT];
    }
    assert_in_range(held, 36, 60);
}

static void test_the_error_is_half_of_a_95_percent_interval(void **state)
{
    (void)state;
    enum { SEEDS = 100 };
    double sum = 0, squares = 0, errors = 0;
    struct scenario scenario = mmc;
    for (scenario.seed = 1; scenario.seed <= SEEDS; scenario.seed++) {
        struct estimate estimate = estimate_of(scenario, 20000);
        sum += estimate.outcome.of[UTILISATION];
        squares += estimate.outcome.of[UTILISATION] * estimate.outcome.of[UTILISATION];
        errors += estimate.error.of[UTILISATION] / SEEDS;
    }
    double deviation = sqrt(squares / SEEDS - sum / SEEDS * sum / SEEDS);
    assert_near(errors / (0.94 * 2.776 * deviation), 1, 0.25); /* 0.94: of a deviation from five */
}

static void test_the_tasks_before_the_system_has_filled_are_not_counted(void **state)
{
    (void)state;
    double times[1000];
    struct scenario scenario = {.service = &fixed, .arrivals = ARRIVALS_CONSTANT, .rate = 1000, .cap = 1,
                                .queue = 0, .seed = 1};
    struct service service = {.kind = SERVICE_FIXED, .mean = 0.05, .trace = times, .n = 1};
    times[0] = 0.0995; /* the first of 100 tasks takes a worker until the last */
    scenario.service = &service;
    struct estimate estimate = estimate_of(scenario, 100);
    assert_same(estimate.outcome.of[REJECT], 1);
}

/* ---- The same tasks ---- */

static void test_the_same_seed_gives_the_same_estimate(void **state)
{
    (void)state;
    struct scenario scenario = mmc;
    scenario.backlog = 50;
    struct estimate a = estimate_of(scenario, 50000), b = estimate_of(scenario, 50000);
    assert_same_outcomes(&a.outcome, &b.outcome);
    assert_same_outcomes(&a.error, &b.error);
}

static void test_another_seed_gives_another_estimate(void **state)
{
    (void)state;
    struct scenario scenario = mmc;
    scenario.backlog = 50;
    struct estimate a = estimate_of(scenario, 50000);
    scenario.seed = 2;
    struct estimate b = estimate_of(scenario, 50000);
    assert_true(a.outcome.of[MEAN_WAIT] != b.outcome.of[MEAN_WAIT]);
    assert_true(a.outcome.of[UTILISATION] != b.outcome.of[UTILISATION]);
    assert_true(a.outcome.of[DRAIN] != b.outcome.of[DRAIN]);
}

static void test_every_figure_is_monotone_in_the_cap(void **state)
{
    (void)state;
    struct scenario scenario = mmc;
    struct estimate before = estimate_of(scenario, 50000);
    for (scenario.cap = 11; scenario.cap < 20; scenario.cap++) {
        struct estimate estimate = estimate_of(scenario, 50000);
        for (enum metric metric = P_WAIT; metric <= P99_TOTAL; metric++)
            assert_true(estimate.outcome.of[metric] <= before.outcome.of[metric]);
        assert_true(estimate.outcome.of[UTILISATION] < before.outcome.of[UTILISATION]);
        before = estimate;
    }
}

static void test_the_busy_time_is_the_same_for_every_cap(void **state)
{
    (void)state;
    struct scenario scenario = mmc;
    struct estimate ten = estimate_of(scenario, 50000);
    scenario.cap = 20;
    struct estimate twenty = estimate_of(scenario, 50000);
    assert_near(twenty.outcome.of[UTILISATION] * 2, ten.outcome.of[UTILISATION], 1e-12);
}

/* ---- Unstable ---- */

static void assert_unstable(long cap, double rate)
{
    struct scenario scenario = mmc;
    scenario.cap = cap;
    scenario.rate = rate;
    scenario.backlog = 100;
    struct estimate estimate = estimate_of(scenario, 1000000);
    for (enum metric metric = MEAN_WAIT; metric <= P99_TOTAL; metric++) {
        assert_same(estimate.outcome.of[metric], INFINITY);
        assert_same(estimate.error.of[metric], 0);
    }
    assert_same(estimate.outcome.of[P_WAIT], 1);
    assert_same(estimate.outcome.of[UTILISATION], 1);
    assert_true(isnan(estimate.outcome.of[REJECT]));
    assert_true(isfinite(estimate.outcome.of[DRAIN]));
    assert_int_equal(estimate.tasks, 0);
}

static void test_a_load_above_the_cap_is_unstable(void **state)
{
    (void)state;
    assert_unstable(10, 201);
}

static void test_a_load_of_just_the_cap_is_unstable(void **state)
{
    (void)state;
    assert_unstable(8, 160);
}

static void test_a_queue_limit_makes_any_load_stable(void **state)
{
    (void)state;
    struct scenario scenario = mmc;
    scenario.rate = 400;
    scenario.queue = 10;
    struct estimate estimate = estimate_of(scenario, 100000);
    assert_near(estimate.outcome.of[REJECT], 0.5, 0.01);
    assert_near(estimate.outcome.of[UTILISATION], 1, 0.01);
    assert_true(estimate.outcome.of[P999_WAIT] < 1);
}

/* ---- Draining ---- */

static void test_fixed_tasks_drain_in_rounds(void **state)
{
    (void)state;
    struct scenario scenario = mmc;
    const struct { long backlog, cap; double rounds; } table[] = {
        {1, 1, 1}, {1, 10, 1}, {10, 10, 1}, {11, 10, 2}, {20, 10, 2}, {1000001, 10, 100001}};
    scenario.service = &fixed;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        scenario.backlog = table[i].backlog;
        scenario.cap = table[i].cap;
        struct estimate estimate = estimate_of(scenario, 100);
        assert_near(estimate.outcome.of[DRAIN], table[i].rounds * 50 * MS, 1e-9);
        assert_same(estimate.error.of[DRAIN], 0);
    }
}

static double drain_of(double n, long cap)
{
    double harmonic = 0;
    for (long k = 1; k <= cap; k++)
        harmonic += 1 / (double)k;
    return ((n - (double)cap) / (double)cap + harmonic) * 50 * MS;
}

static void test_exponential_tasks_drain_as_the_formula_says(void **state)
{
    (void)state;
    struct scenario scenario = mmc;
    for (scenario.backlog = 10; scenario.backlog <= 100000; scenario.backlog *= 100) {
        struct estimate estimate = estimate_of(scenario, 100);
        assert_within_error(&estimate, DRAIN, drain_of((double)scenario.backlog, 10));
    }
}

static void test_a_backlog_drains_whatever_the_queue_limit_is(void **state)
{
    (void)state;
    struct scenario scenario = mmc;
    scenario.backlog = 1000;
    struct estimate unlimited = estimate_of(scenario, 100);
    scenario.queue = 0;
    struct estimate limited = estimate_of(scenario, 100);
    assert_same(limited.outcome.of[DRAIN], unlimited.outcome.of[DRAIN]);
}

static void test_the_error_of_a_drain_is_of_its_mean(void **state)
{
    (void)state;
    struct scenario scenario = mmc;
    scenario.cap = 1;
    scenario.backlog = 100;
    struct estimate estimate = estimate_of(scenario, 100);
    double deviation = 50 * MS * sqrt(100);
    assert_near(estimate.error.of[DRAIN] / (1.972 * deviation / sqrt(200)), 1, 0.25);
}

/* ---- The spread of short runs ---- */

static struct outcome spread_of(struct scenario scenario, long tasks, long warmup, int runs)
{
    struct outcome spread;
    assert_true(simulate_spread(&scenario, tasks, warmup, runs, &spread));
    return spread;
}

static void test_a_spread_is_as_wide_as_the_normal_one_of_independent_tasks(void **state)
{
    (void)state;
    struct scenario scenario = mmc;
    scenario.arrivals = ARRIVALS_CONSTANT;
    struct outcome spread = spread_of(scenario, 10000, 0, 400);
    assert_near(spread.of[UTILISATION] / (1.96 * 0.8 / sqrt(10000)), 1, 0.2);
}

static void test_a_spread_shrinks_with_the_root_of_the_length(void **state)
{
    (void)state;
    struct outcome small = spread_of(mmc, 5000, 500, 200), large = spread_of(mmc, 20000, 2000, 200);
    const enum metric metrics[] = {P_WAIT, MEAN_WAIT, UTILISATION}; /* for skewed tails 200 runs are few */
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        assert_near(small.of[metrics[i]] / large.of[metrics[i]], 2, 0.7);
}

/* The first task takes the only worker until after the last one, so all others are refused. */
static void test_a_spread_does_not_count_the_warmup(void **state)
{
    (void)state;
    struct scenario scenario = {
        .service = &fixed, .arrivals = ARRIVALS_CONSTANT, .rate = 1000, .cap = 1, .queue = 0, .seed = 1};
    assert_same(spread_of(scenario, 40, 0, 40).of[MEAN_WAIT], 0);
    assert_same(spread_of(scenario, 40, 1, 40).of[MEAN_WAIT], NAN);
    assert_same(spread_of(scenario, 40, 1, 40).of[REJECT], 0);
    assert_same(spread_of(scenario, 40, 40, 40).of[REJECT], NAN);
}

static void test_a_run_of_a_spread_starts_empty(void **state)
{
    (void)state;
    struct scenario scenario = mmc;
    scenario.rate = 10000;
    struct outcome spread = spread_of(scenario, 10, 0, 40);
    assert_same(spread.of[P_WAIT], 0);
}

static void test_a_spread_knows_refusals_only_of_a_queue_limit(void **state)
{
    (void)state;
    struct scenario scenario = mmc;
    assert_true(isnan(spread_of(scenario, 1000, 100, 40).of[REJECT]));
    scenario.queue = 0;
    double spread = spread_of(scenario, 10000, 1000, 100).of[REJECT];
    assert_true(spread > 0 && spread < 0.1);
}

static void test_the_spread_of_a_drain_is_that_of_a_single_one(void **state)
{
    (void)state;
    struct scenario scenario = mmc;
    assert_true(isnan(spread_of(scenario, 1000, 100, 40).of[DRAIN]));
    scenario.cap = 1;
    scenario.backlog = 400;
    scenario.queue = 0;
    double spread = spread_of(scenario, 1000, 100, 400).of[DRAIN];
    assert_near(spread / (1.96 * 50 * MS * sqrt(400)), 1, 0.2);
}

static void test_a_spread_of_an_unstable_load_is_finite(void **state)
{
    (void)state;
    struct scenario scenario = mmc;
    scenario.rate = 400;
    double spread = spread_of(scenario, 1000, 100, 40).of[MEAN_WAIT];
    assert_true(spread > 0 && isfinite(spread));
}

static void test_a_spread_is_the_same_for_a_seed_and_other_for_another(void **state)
{
    (void)state;
    struct scenario scenario = mmc;
    scenario.backlog = 20;
    struct outcome a = spread_of(scenario, 1000, 100, 40), b = spread_of(scenario, 1000, 100, 40);
    assert_same_outcomes(&a, &b);
    scenario.seed = 2;
    struct outcome c = spread_of(scenario, 1000, 100, 40);
    assert_true(a.of[MEAN_WAIT] != c.of[MEAN_WAIT]);
}

static void test_a_spread_of_what_cannot_vary_is_0(void **state)
{
    (void)state;
    struct scenario scenario = {.service = &fixed, .arrivals = ARRIVALS_CONSTANT, .rate = 10, .cap = 1,
                                .queue = -1, .backlog = 10, .seed = 1};
    struct outcome spread = spread_of(scenario, 1000, 100, 40);
    assert_same(spread.of[P99_WAIT], 0);
    assert_same(spread.of[UTILISATION], 0);
    assert_same(spread.of[DRAIN], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workers_without_a_limit_are_as_the_reference),
        cmocka_unit_test(test_workers_without_a_queue_are_as_the_reference),
        cmocka_unit_test(test_workers_with_a_queue_of_one_are_as_the_reference),
        cmocka_unit_test(test_workers_with_a_queue_of_three_are_as_the_reference),
        cmocka_unit_test(test_a_task_waits_until_the_first_worker_is_free),
        cmocka_unit_test(test_a_worker_that_gets_free_at_this_instant_is_free),
        cmocka_unit_test(test_a_task_beyond_the_queue_is_refused),
        cmocka_unit_test(test_a_refused_task_takes_no_worker),
        cmocka_unit_test(test_done_is_when_the_longest_task_ends),
        cmocka_unit_test(test_time_may_begin_below_0),
        cmocka_unit_test(test_workers_that_no_memory_could_hold_are_refused),
        cmocka_unit_test(test_each_task_waits_no_longer_with_one_worker_more),
        cmocka_unit_test(test_a_quantile_is_the_least_value_that_enough_do_not_exceed),
        cmocka_unit_test(test_a_quantile_of_equal_values_is_that_value),
        cmocka_unit_test(test_a_quantile_is_not_moved_by_rounding),
        cmocka_unit_test(test_a_quantile_of_none_is_not_a_number),
        cmocka_unit_test(test_a_total_is_wait_and_service),
        cmocka_unit_test(test_figures_may_be_asked_for_between_tasks),
        cmocka_unit_test(test_an_outcome_counts_what_was_added),
        cmocka_unit_test(test_each_quantile_of_an_outcome_has_its_share),
        cmocka_unit_test(test_an_outcome_of_nothing_is_not_known),
        cmocka_unit_test(test_a_sample_where_all_are_refused_knows_only_that),
        cmocka_unit_test(test_a_cleared_sample_is_as_new),
        cmocka_unit_test(test_exponential_tasks_wait_as_erlang_c_says),
        cmocka_unit_test(test_totals_of_one_worker_are_exponential),
        cmocka_unit_test(test_tasks_without_a_queue_are_refused_as_erlang_b_says),
        cmocka_unit_test(test_a_queue_refuses_an_overload_as_the_finite_formula_says),
        cmocka_unit_test(test_a_queue_longer_than_the_run_is_no_limit_but_has_refusals),
        cmocka_unit_test(test_fixed_tasks_at_constant_gaps_never_wait),
        cmocka_unit_test(test_fixed_tasks_wait_half_as_long_as_exponential_ones),
        cmocka_unit_test(test_the_error_holds_the_truth_in_most_runs),
        cmocka_unit_test(test_the_error_holds_a_tail_near_saturation),
        cmocka_unit_test(test_the_error_is_half_of_a_95_percent_interval),
        cmocka_unit_test(test_the_tasks_before_the_system_has_filled_are_not_counted),
        cmocka_unit_test(test_the_same_seed_gives_the_same_estimate),
        cmocka_unit_test(test_another_seed_gives_another_estimate),
        cmocka_unit_test(test_every_figure_is_monotone_in_the_cap),
        cmocka_unit_test(test_the_busy_time_is_the_same_for_every_cap),
        cmocka_unit_test(test_a_load_above_the_cap_is_unstable),
        cmocka_unit_test(test_a_load_of_just_the_cap_is_unstable),
        cmocka_unit_test(test_a_queue_limit_makes_any_load_stable),
        cmocka_unit_test(test_fixed_tasks_drain_in_rounds),
        cmocka_unit_test(test_exponential_tasks_drain_as_the_formula_says),
        cmocka_unit_test(test_a_backlog_drains_whatever_the_queue_limit_is),
        cmocka_unit_test(test_the_error_of_a_drain_is_of_its_mean),
        cmocka_unit_test(test_a_spread_is_as_wide_as_the_normal_one_of_independent_tasks),
        cmocka_unit_test(test_a_spread_shrinks_with_the_root_of_the_length),
        cmocka_unit_test(test_a_spread_does_not_count_the_warmup),
        cmocka_unit_test(test_a_run_of_a_spread_starts_empty),
        cmocka_unit_test(test_a_spread_knows_refusals_only_of_a_queue_limit),
        cmocka_unit_test(test_the_spread_of_a_drain_is_that_of_a_single_one),
        cmocka_unit_test(test_a_spread_of_an_unstable_load_is_finite),
        cmocka_unit_test(test_a_spread_is_the_same_for_a_seed_and_other_for_another),
        cmocka_unit_test(test_a_spread_of_what_cannot_vary_is_0),
    };
    return cmocka_run_group_tests_name("size_simulate", tests, NULL, NULL);
}
