/* Drawing service times and gaps, and reading what they are drawn from. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service.h"

#define assert_contains(text, part) assert_non_null(strstr(text, part))

static void assert_near(double value, double expected, double within)
{
    if (!(fabs(value - expected) <= within))
        fail_msg("%.17g is not within %g of %.17g", value, within, expected);
}

static struct service parsed(const char *text)
{
    struct service service;
    const char *wrong = service_parse(text, &service);
    if (wrong != NULL)
        fail_msg("%s", wrong);
    return service;
}

/* What is wrong with it. */
static const char *refused(const char *text)
{
    struct service service;
    const char *wrong = service_parse(text, &service);
    if (wrong == NULL)
        fail_msg("\"%s\" was accepted", text);
    assert_null(service.trace);
    assert_null(service.target);
    assert_null(service.argument);
    return wrong;
}

/* ---- Files of times ---- */

static char path[] = "/tmp/antpool-size-XXXXXX";

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_bytes(const char *bytes, size_t n)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

/* The service that has these lines as its trace, with ",COLUMN" or "". */
static const char *trace_text(const char *lines, const char *column)
{
    static char text[128];
    write_bytes(lines, strlen(lines));
    snprintf(text, sizeof text, "trace:%s%s", path, column);
    return text;
}

static void assert_trace(const char *lines, const char *column, const double *seconds, long n)
{
    struct service service = parsed(trace_text(lines, column));
    assert_int_equal(service.kind, SERVICE_TRACE);
    assert_int_equal(service.n, n);
    for (long i = 0; i < n; i++)
        assert_near(service.trace[i], seconds[i], 1e-12);
    service_fini(&service);
}

/* ---- Chance ---- */

static void test_the_same_seed_and_stream_give_the_same_shares(void **state)
{
    (void)state;
    struct random a = random_of(7, 3), b = random_of(7, 3);
    for (int i = 0; i < 100; i++)
        assert_true(random_share(&a) == random_share(&b));
}

static void test_shares_are_the_same_on_every_platform(void **state)
{
    (void)state;
    struct random random = random_of(1, 0);
    assert_int_equal((int64_t)(random_share(&random) * 0x1p53), INT64_C(6246602021646769));
    assert_int_equal((int64_t)(random_share(&random) * 0x1p53), INT64_C(8752897555726049));
}

static void test_other_seeds_and_other_streams_differ(void **state)
{
    (void)state;
    struct random base = random_of(1, 1);
    double share = random_share(&base);
    for (uint64_t i = 2; i < 100; i++) {
        struct random seed = random_of(i, 1), stream = random_of(1, i), both = random_of(i, i);
        assert_true(share != random_share(&seed));
        assert_true(share != random_share(&stream));
        assert_true(share != random_share(&both));
    }
}

static void test_shares_lie_strictly_between_0_and_1(void **state)
{
    (void)state;
    struct random random = random_of(0, 0);
    for (int i = 0; i < 1000000; i++) {
        double share = random_share(&random);
        assert_true(share > 0 && share < 1);
    }
}

static void test_shares_are_spread_evenly(void **state)
{
    (void)state;
    enum { BINS = 100, DRAWS = 1000000 };
    long counts[BINS] = {0};
    double chi2 = 0, expected = (double)DRAWS / BINS;
    struct random random = random_of(5, 0);
    for (int i = 0; i < DRAWS; i++)
        counts[(int)(random_share(&random) * BINS)]++;
    for (int i = 0; i < BINS; i++)
        chi2 += ((double)counts[i] - expected) * ((double)counts[i] - expected) / expected;
    assert_near(chi2, BINS - 1, 5 * sqrt(2.0 * (BINS - 1)));
}

static void test_streams_do_not_go_together(void **state)
{
    (void)state;
    double sum = 0;
    struct random a = random_of(1, 1), b = random_of(1, 2);
    for (int i = 0; i < 1000000; i++)
        sum += (random_share(&a) - 0.5) * (random_share(&b) - 0.5);
    assert_near(sum / 1e6, 0, 5.0 / 12 / 1e3);
}

/* ---- Moments ---- */

struct moments {
    double mean, variance, fourth; /* central */
};

static struct moments moments_of(const double *values, long n)
{
    struct moments moments = {0, 0, 0};
    for (long i = 0; i < n; i++)
        moments.mean += values[i] / (double)n;
    for (long i = 0; i < n; i++) {
        double square = (values[i] - moments.mean) * (values[i] - moments.mean);
        moments.variance += square / (double)n;
        moments.fourth += square * square / (double)n;
    }
    return moments;
}

/* A million draws have the mean and the cv2 that the service says, within 5 sigma. */
static void assert_moments(const struct service *service)
{
    enum { DRAWS = 1000000 };
    double *draws = malloc(DRAWS * sizeof *draws);
    struct random random = random_of(11, 4);
    assert_non_null(draws);
    for (long i = 0; i < DRAWS; i++) {
        draws[i] = service_draw(service, &random);
        assert_true(draws[i] >= 0);
    }
    struct moments moments = moments_of(draws, DRAWS);
    double variance = service->cv2 * service->mean * service->mean;
    assert_near(moments.mean, service->mean, 5 * sqrt(moments.variance / DRAWS) + 1e-9 * service->mean);
    double of_variance = sqrt((moments.fourth - moments.variance * moments.variance) / DRAWS);
    assert_near(moments.variance, variance, 5 * of_variance + 1e-9 * service->mean * service->mean);
    free(draws);
}

static void assert_moments_of(const char *text, double mean, double cv2)
{
    struct service service = parsed(text);
    assert_near(service.mean, mean, 1e-12);
    assert_near(service.cv2, cv2, 1e-9);
    assert_moments(&service);
    service_fini(&service);
}

static void test_exponential_has_its_mean_and_variance(void **state)
{
    (void)state;
    assert_moments_of("exp:200ms", 0.2, 1);
}

static void test_fixed_is_always_the_same(void **state)
{
    (void)state;
    struct service service = parsed("fixed:200ms");
    struct random random = random_of(1, 0);
    for (int i = 0; i < 10; i++)
        assert_true(service_draw(&service, &random) == service.mean);
    assert_near(service.mean, 0.2, 1e-12);
    assert_true(service.cv2 == 0);
}

static void test_lognormal_has_the_mean_that_was_given_and_not_the_median(void **state)
{
    (void)state;
    assert_moments_of("lognormal:200ms,0.8", 0.2, exp(0.64) - 1);
}

static void test_lognormal_has_its_median(void **state)
{
    (void)state;
    enum { DRAWS = 100000 };
    struct service service = parsed("lognormal:200ms,0.8");
    struct random random = random_of(2, 0);
    double median = 0.2 * exp(-0.32);
    long below = 0;
    for (int i = 0; i < DRAWS; i++)
        below += service_draw(&service, &random) < median;
    assert_near((double)below / DRAWS, 0.5, 5 * 0.5 / sqrt(DRAWS));
}

static void test_bimodal_has_the_moments_of_the_mixture(void **state)
{
    (void)state;
    double mean = 0.95 * 0.02 + 0.05, variance = 0.05 * 0.95 * 0.98 * 0.98;
    assert_moments_of("bimodal:20ms,1s,5%", mean, variance / (mean * mean));
}

static void test_bimodal_gives_only_its_two_times(void **state)
{
    (void)state;
    struct service service = parsed("bimodal:20ms,1s,5%");
    struct random random = random_of(1, 0);
    for (int i = 0; i < 1000; i++) {
        double time = service_draw(&service, &random);
        assert_true(time == service.fast || time == service.slow);
    }
}

static void test_a_trace_has_the_moments_of_its_times(void **state)
{
    (void)state;
    assert_moments_of(trace_text("1\n2\n3\n10\n", ""), 0.004, 12.5 / 16);
}

static void test_each_time_of_a_trace_is_drawn_equally_often(void **state)
{
    (void)state;
    struct service service = parsed(trace_text("1\n2\n3\n4\n", ""));
    struct random random = random_of(1, 0);
    long counts[4] = {0};
    for (int i = 0; i < 40000; i++)
        counts[lround(service_draw(&service, &random) * 1000) - 1]++;
    for (int i = 0; i < 4; i++)
        assert_near((double)counts[i], 10000, 5 * sqrt(7500));
    service_fini(&service);
}

static void test_poisson_gaps_are_exponential(void **state)
{
    (void)state;
    double sum = 0, squares = 0;
    struct random random = random_of(1, 0);
    for (int i = 0; i < 1000000; i++) {
        double gap = arrivals_gap(ARRIVALS_POISSON, 50, &random) * 50;
        sum += gap;
        squares += gap * gap;
    }
    assert_near(sum / 1e6, 1, 5e-3);
    assert_near(squares / 1e6, 2, 5 * sqrt(20.0) * 1e-3);
}

static void test_constant_gaps_are_one_over_the_rate(void **state)
{
    (void)state;
    struct random random = random_of(1, 0);
    assert_near(arrivals_gap(ARRIVALS_CONSTANT, 50, &random), 0.02, 1e-15);
}

/* ---- What is accepted ---- */

static void test_a_plain_duration_is_exponential(void **state)
{
    (void)state;
    struct service plain = parsed("200ms"), named = parsed("exp:200ms");
    assert_int_equal(plain.kind, SERVICE_EXP);
    assert_int_equal(named.kind, SERVICE_EXP);
    assert_true(plain.mean == named.mean && plain.cv2 == named.cv2);
}

static void test_sigma_may_be_0(void **state)
{
    (void)state;
    struct service service = parsed("lognormal:1s,0");
    struct random random = random_of(1, 0);
    assert_true(service.cv2 == 0);
    assert_near(service_draw(&service, &random), 1, 1e-12);
}

static void test_bimodal_may_be_always_slow(void **state)
{
    (void)state;
    struct service service = parsed("bimodal:20ms,1s,100%");
    assert_near(service.mean, 1, 1e-12);
    assert_near(service.cv2, 0, 1e-12);
}

static void test_a_plugin_has_a_file_and_an_argument_that_may_have_commas(void **state)
{
    (void)state;
    struct service service = parsed("plugin:./task.so,a,b");
    assert_int_equal(service.kind, SERVICE_PLUGIN);
    assert_string_equal(service.target, "./task.so");
    assert_string_equal(service.argument, "a,b");
    assert_true(isnan(service.mean) && isnan(service.cv2));
    service_fini(&service);
    service = parsed("plugin:task.so");
    assert_null(service.argument);
    service_fini(&service);
    service = parsed("plugin:task.so,");
    assert_string_equal(service.argument, "");
    service_fini(&service);
}

static void test_a_command_is_all_that_follows(void **state)
{
    (void)state;
    struct service service = parsed("exec:curl -s http://host:80/?a,b");
    assert_int_equal(service.kind, SERVICE_EXEC);
    assert_string_equal(service.target, "curl -s http://host:80/?a,b");
    assert_true(isnan(service.mean));
    service_fini(&service);
}

/* ---- Times learnt ---- */

static void test_a_plugin_that_was_timed_is_drawn_from_its_times(void **state)
{
    (void)state;
    double times[] = {0.001, 0.002, 0.006};
    struct service service = parsed("plugin:task.so");
    assert_true(service_learn(&service, times, 3));
    times[0] = -1; /* it has its own copy */
    assert_int_equal(service.kind, SERVICE_PLUGIN);
    assert_near(service.mean, 0.003, 1e-15);
    assert_near(service.cv2, 14.0 / 27, 1e-12);
    assert_moments(&service);
    service_fini(&service);
}

static void test_learning_again_replaces_what_was_learnt(void **state)
{
    (void)state;
    struct random random = random_of(1, 0);
    struct service service = parsed("exec:true");
    assert_true(service_learn(&service, (double[]){1, 2, 3}, 3));
    assert_true(service_learn(&service, (double[]){4}, 1));
    assert_int_equal(service.n, 1);
    assert_true(service.mean == 4 && service.cv2 == 0);
    assert_true(service_draw(&service, &random) == 4);
    service_fini(&service);
}

static void test_times_learnt_go_before_the_distribution(void **state)
{
    (void)state;
    struct random random = random_of(1, 0);
    struct service service = parsed("fixed:1s");
    assert_true(service_learn(&service, (double[]){2}, 1));
    assert_true(service_draw(&service, &random) == 2);
    service_fini(&service);
}

static void test_learning_only_zeros_has_no_variance(void **state)
{
    (void)state;
    struct service service = parsed("exec:true");
    assert_true(service_learn(&service, (double[]){0, 0}, 2));
    assert_true(service.mean == 0 && service.cv2 == 0);
    service_fini(&service);
}

/* ---- Traces ---- */

static void test_a_plain_number_is_in_milliseconds(void **state)
{
    (void)state;
    assert_trace("12.5\n1e3\n", "", (double[]){0.0125, 1}, 2);
}

static void test_a_time_may_have_a_unit(void **state)
{
    (void)state;
    assert_trace("2s\n5us\n1.5ms\n", "", (double[]){2, 5e-6, 1.5e-3}, 3);
}

static void test_a_time_may_be_0_if_not_all_are(void **state)
{
    (void)state;
    assert_trace("0\n0ms\n1\n", "", (double[]){0, 0, 1e-3}, 3);
}

static void test_blank_lines_and_comments_are_skipped(void **state)
{
    (void)state;
    assert_trace("# recorded\n\n1\n  \n#2\n  3  \n", "", (double[]){1e-3, 3e-3}, 2);
}

static void test_lines_may_end_in_crlf_and_the_last_in_nothing(void **state)
{
    (void)state;
    assert_trace("1\r\n\r\n2", "", (double[]){1e-3, 2e-3}, 2);
    assert_trace("a,b\r\n1,2\r\n3,4\r\n", ",b", (double[]){2e-3, 4e-3}, 2);
}

static void test_a_byte_order_mark_is_skipped(void **state)
{
    (void)state;
    assert_trace("\xef\xbb\xbf" "1\n", "", (double[]){1e-3}, 1);
    assert_trace("\xef\xbb\xbf" "ms,b\n7,2\n", ",ms", (double[]){7e-3}, 1);
}

static void test_a_column_is_found_by_its_name(void **state)
{
    (void)state;
    assert_trace("# log\nid, ms ,code\n1,5,200\n2,6ms,500\n", ",ms", (double[]){5e-3, 6e-3}, 2);
}

static void test_a_column_is_found_by_its_number(void **state)
{
    (void)state;
    assert_trace("id,ms\n1,5\n2,6\n", ",2", (double[]){5e-3, 6e-3}, 2);
    assert_trace("id,ms\n1,5\n2,6\n", ",1", (double[]){1e-3, 2e-3}, 2);
}

static void test_a_column_named_by_a_number_is_found_by_its_name(void **state)
{
    (void)state;
    assert_trace("2,1\n10,20\n", ",2", (double[]){10e-3}, 1);
}

static void test_quoted_fields_hold_commas_and_quotes(void **state)
{
    (void)state;
    assert_trace("\"what, \"\"who\"\"\" , \"time\"\n\"a,\"\"b\",\"5\"\n", ",time", (double[]){5e-3}, 1);
    assert_trace("x,\"a,b\"\n1,7\n", ",a,b", (double[]){7e-3}, 1);
    assert_trace("x,\"a \"\"b\"\"\"\n1,8\n", ",a \"b\"", (double[]){8e-3}, 1);
}

static void test_a_long_trace_is_read_in_order(void **state)
{
    (void)state;
    enum { N = 5000 };
    FILE *file = fopen(path, "w");
    char text[64];
    assert_non_null(file);
    for (int i = 0; i < N; i++)
        fprintf(file, "%ds\n", i);
    fclose(file);
    snprintf(text, sizeof text, "trace:%s", path);
    struct service service = parsed(text);
    assert_int_equal(service.n, N);
    for (int i = 0; i < N; i++)
        assert_near(service.trace[i], i, 1e-9);
    service_fini(&service);
}

/* ---- What is refused ---- */

static void test_what_is_no_service_is_refused_with_what_is_accepted(void **state)
{
    (void)state;
    const char *texts[] = {"", "foo", "foo:1", "200", ":", ":200ms", "EXP:200ms", "expo:1s", "ex:1s", "-5ms"};
    const char *all[] = {"DURATION", "exp:DURATION", "fixed:DURATION", "lognormal:MEAN,SIGMA",
                         "bimodal:FAST,SLOW,SHARE", "trace:FILE[,COLUMN]", "plugin:FILE[,ARGUMENT]",
                         "exec:COMMAND"};
    char quoted[64];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *wrong = refused(texts[i]);
        snprintf(quoted, sizeof quoted, "no service \"%s\"; accepted are ", texts[i]);
        assert_contains(wrong, quoted);
        for (size_t j = 0; j < sizeof all / sizeof *all; j++)
            assert_contains(wrong, all[j]);
    }
}

static void test_a_bad_part_is_refused_with_its_form(void **state)
{
    (void)state;
    const char *pairs[][2] = {
        {"exp:", "exp:DURATION"},
        {"exp:0ms", "exp:DURATION"},
        {"exp:1s,2s", "exp:DURATION"},
        {"fixed:fast", "fixed:DURATION"},
        {"lognormal:1s", "lognormal:MEAN,SIGMA"},
        {"lognormal:1s,", "no sigma \"\""},
        {"lognormal:1s,-1", "no sigma \"-1\""},
        {"lognormal:1s,nan", "no sigma \"nan\""},
        {"lognormal:1s,11", "from 0 to 10"},
        {"lognormal:1s,1x", "no sigma \"1x\""},
        {"lognormal:x,1", "lognormal:MEAN,SIGMA"},
        {"lognormal:1s,1,1", "lognormal:MEAN,SIGMA"},
        {"bimodal:1s,2s", "bimodal:FAST,SLOW,SHARE"},
        {"bimodal:1s,2s,1%,1", "bimodal:FAST,SLOW,SHARE"},
        {"bimodal:x,2s,1%", "\"x\""},
        {"bimodal:1s,y,1%", "\"y\""},
        {"bimodal:1s,2s,200%", "200%"},
        {"bimodal:1s,20ms,5%", "1s, the fast time, is above 20ms, the slow one"},
        {"trace:", "trace:FILE[,COLUMN]"},
        {"plugin:", "plugin:FILE[,ARGUMENT]"},
        {"plugin:,x", "plugin:FILE[,ARGUMENT]"},
        {"exec:", "exec:COMMAND"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const char *wrong = refused(pairs[i][0]);
        assert_contains(wrong, pairs[i][0]);
        assert_contains(wrong, pairs[i][1]);
        assert_contains(wrong, "accepted is");
    }
}

static void test_a_text_of_any_length_is_refused_in_a_sentence(void **state)
{
    (void)state;
    char text[5000] = "lognormal:";
    memset(text + 10, 'x', sizeof text - 11);
    assert_contains(refused(text), "lognormal:MEAN,SIGMA");
    text[0] = 'L';
    assert_contains(refused(text), "exec:COMMAND");
}

static void test_a_missing_file_is_named(void **state)
{
    (void)state;
    const char *wrong = refused("trace:/nowhere/times.txt");
    assert_contains(wrong, "\"/nowhere/times.txt\"");
    assert_contains(wrong, "No such file");
}

static void test_a_directory_is_refused(void **state)
{
    (void)state;
    assert_contains(refused("trace:/tmp"), "cannot read \"/tmp\"");
    assert_contains(refused("trace:/tmp,ms"), "cannot read \"/tmp\"");
}

static void test_an_empty_trace_is_refused(void **state)
{
    (void)state;
    assert_contains(refused(trace_text("", "")), "no times in");
    assert_contains(refused(trace_text("\n# nothing\n", "")), "no times in");
    assert_contains(refused(trace_text("", ",ms")), "no times in");
    assert_contains(refused(trace_text("id,ms\n", ",ms")), "no times in");
}

static void test_a_trace_of_zeros_is_refused(void **state)
{
    (void)state;
    assert_contains(refused(trace_text("0\n0\n", "")), "are 0");
}

static void test_a_bad_line_is_named_with_its_number_and_file(void **state)
{
    (void)state;
    const char *bad[] = {"x", "-1", "-0.5ms", "nan", "inf", "1e999", "0x10",
                         "1 2", "5 parsecs", "ms", "1,2", "1e400s"};
    char lines[64];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(lines, sizeof lines, "# head\n1\n\n%s\n2\n", bad[i]);
        const char *wrong = refused(trace_text(lines, ""));
        assert_contains(wrong, "line 4 of");
        assert_contains(wrong, path);
        assert_contains(wrong, bad[i]);
        assert_contains(wrong, "accepted are a number of milliseconds");
    }
}

static void test_what_follows_a_nul_is_not_overlooked(void **state)
{
    (void)state;
    char text[64];
    write_bytes("1\0x\n", 4);
    snprintf(text, sizeof text, "trace:%s", path);
    assert_contains(refused(text), "line 1 of");
}

static void test_an_unknown_column_is_named(void **state)
{
    (void)state;
    const char *bad[] = {"time", "0", "3", "-1", "99999999999999999999", " 1", ""};
    char column[64];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(column, sizeof column, ",%s", bad[i]);
        const char *wrong = refused(trace_text("id,ms\n1,2\n", column));
        assert_contains(wrong, "no column \"");
        assert_contains(wrong, bad[i]);
        assert_contains(wrong, "a number from 1 to 2");
    }
}

static void test_a_row_without_the_column_is_named(void **state)
{
    (void)state;
    assert_contains(refused(trace_text("id,ms\n1,2\n3\n", ",ms")), "line 3 of");
    assert_contains(refused(trace_text("id,ms\n1,2\n3,\n", ",ms")), "line 3 of");
}

static void test_wrong_quotes_are_named(void **state)
{
    (void)state;
    assert_contains(refused(trace_text("id,ms\n\"1,2\n", ",ms")), "line 2 of");
    assert_contains(refused(trace_text("id,ms\n\"1\"x,2\n", ",ms")), "line 2 of");
    assert_contains(refused(trace_text("\"id,ms\n1,2\n", ",ms")), "line 1 of");
}

static void test_a_bad_column_does_not_matter_where_it_is_not_asked_for(void **state)
{
    (void)state;
    assert_trace("ms,what\n1,\"x\n2\n", ",ms", (double[]){1e-3, 2e-3}, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_seed_and_stream_give_the_same_shares),
        cmocka_unit_test(test_shares_are_the_same_on_every_platform),
        cmocka_unit_test(test_other_seeds_and_other_streams_differ),
        cmocka_unit_test(test_shares_lie_strictly_between_0_and_1),
        cmocka_unit_test(test_shares_are_spread_evenly),
        cmocka_unit_test(test_streams_do_not_go_together),
        cmocka_unit_test(test_exponential_has_its_mean_and_variance),
        cmocka_unit_test(test_fixed_is_always_the_same),
        cmocka_unit_test(test_lognormal_has_the_mean_that_was_given_and_not_the_median),
        cmocka_unit_test(test_lognormal_has_its_median),
        cmocka_unit_test(test_bimodal_has_the_moments_of_the_mixture),
        cmocka_unit_test(test_bimodal_gives_only_its_two_times),
        cmocka_unit_test(test_a_trace_has_the_moments_of_its_times),
        cmocka_unit_test(test_each_time_of_a_trace_is_drawn_equally_often),
        cmocka_unit_test(test_poisson_gaps_are_exponential),
        cmocka_unit_test(test_constant_gaps_are_one_over_the_rate),
        cmocka_unit_test(test_a_plain_duration_is_exponential),
        cmocka_unit_test(test_sigma_may_be_0),
        cmocka_unit_test(test_bimodal_may_be_always_slow),
        cmocka_unit_test(test_a_plugin_has_a_file_and_an_argument_that_may_have_commas),
        cmocka_unit_test(test_a_command_is_all_that_follows),
        cmocka_unit_test(test_a_plugin_that_was_timed_is_drawn_from_its_times),
        cmocka_unit_test(test_learning_again_replaces_what_was_learnt),
        cmocka_unit_test(test_times_learnt_go_before_the_distribution),
        cmocka_unit_test(test_learning_only_zeros_has_no_variance),
        cmocka_unit_test(test_a_plain_number_is_in_milliseconds),
        cmocka_unit_test(test_a_time_may_have_a_unit),
        cmocka_unit_test(test_a_time_may_be_0_if_not_all_are),
        cmocka_unit_test(test_blank_lines_and_comments_are_skipped),
        cmocka_unit_test(test_lines_may_end_in_crlf_and_the_last_in_nothing),
        cmocka_unit_test(test_a_byte_order_mark_is_skipped),
        cmocka_unit_test(test_a_column_is_found_by_its_name),
        cmocka_unit_test(test_a_column_is_found_by_its_number),
        cmocka_unit_test(test_a_column_named_by_a_number_is_found_by_its_name),
        cmocka_unit_test(test_quoted_fields_hold_commas_and_quotes),
        cmocka_unit_test(test_a_long_trace_is_read_in_order),
        cmocka_unit_test(test_what_is_no_service_is_refused_with_what_is_accepted),
        cmocka_unit_test(test_a_bad_part_is_refused_with_its_form),
        cmocka_unit_test(test_a_text_of_any_length_is_refused_in_a_sentence),
        cmocka_unit_test(test_a_missing_file_is_named),
        cmocka_unit_test(test_a_directory_is_refused),
        cmocka_unit_test(test_an_empty_trace_is_refused),
        cmocka_unit_test(test_a_trace_of_zeros_is_refused),
        cmocka_unit_test(test_a_bad_line_is_named_with_its_number_and_file),
        cmocka_unit_test(test_what_follows_a_nul_is_not_overlooked),
        cmocka_unit_test(test_an_unknown_column_is_named),
        cmocka_unit_test(test_a_row_without_the_column_is_named),
        cmocka_unit_test(test_wrong_quotes_are_named),
        cmocka_unit_test(test_a_bad_column_does_not_matter_where_it_is_not_asked_for),
    };
    return cmocka_run_group_tests_name("size_service", tests, make_file, remove_file);
}
