/* Numbers with units, read and printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "units.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))
#define assert_contains(text, part) assert_non_null(strstr(text, part))

typedef const char *parser(const char *text, double *value);
typedef const char *printer(double value, char text[UNITS_TEXT_MAX]);

static void assert_same(const char *text, double value, double expected)
{
    if (value != expected)
        fail_msg("%s: %.17g is not %.17g", text, value, expected);
}

struct reading {
    const char *text;
    double value;
};

static void assert_read(parser *parse, const struct reading *readings, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double value = -1;
        const char *wrong = parse(readings[i].text, &value);
        if (wrong != NULL)
            fail_msg("%s", wrong);
        assert_same(readings[i].text, value, readings[i].value);
    }
}

struct refusal {
    const char *text, *why;
};

static void assert_refused(parser *parse, const struct refusal *refusals, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double value = -1;
        const char *wrong = parse(refusals[i].text, &value);
        if (wrong == NULL || strstr(wrong, refusals[i].why) == NULL)
            fail_msg("\"%s\": \"%s\" does not say \"%s\"", refusals[i].text, wrong, refusals[i].why);
        assert_same(refusals[i].text, value, -1);
    }
}

struct printing {
    double value;
    const char *text;
};

static void assert_printed(printer *print, const struct printing *printings, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char text[UNITS_TEXT_MAX];
        assert_ptr_equal(print(printings[i].value, text), text);
        assert_string_equal(text, printings[i].text);
    }
}

/* ---- Durations ------------------------------------------------------------------------------ */

static void test_duration_has_every_unit(void **state)
{
    (void)state;
    static const struct reading readings[] = {
        {"7ns", 7e-9},       {"850us", 850e-6},   {"850\u00b5s", 850e-6}, {"850\u03bcs", 850e-6},
        {"50ms", 0.05},      {"2s", 2},           {"3m", 180},            {"2h", 7200},
    };
    assert_read(duration_parse, readings, LENGTH(readings));
}

static void test_duration_is_any_decimal_number(void **state)
{
    (void)state;
    static const struct reading readings[] = {
        {"1.5s", 1.5},  {".5s", 0.5},   {"5.s", 5},       {"1e3ms", 1},
        {"1E3ms", 1},   {"1e+3ms", 1},  {"1500e-3s", 1.5}, {"007ms", 0.007},
    };
    assert_read(duration_parse, readings, LENGTH(readings));
}

static void test_duration_may_have_one_space_before_its_unit(void **state)
{
    (void)state;
    static const struct reading readings[] = {{"50 ms", 0.05}, {"1.5 h", 5400}};
    assert_read(duration_parse, readings, LENGTH(readings));
}

/* The double nearest to what is written, not one beside it. */
static void test_duration_is_exactly_what_is_written(void **state)
{
    (void)state;
    static const struct reading readings[] = {
        {"3ms", 0.003}, {"7us", 7e-6}, {"57us", 57e-6}, {"29ns", 29e-9}, {"0.3ms", 0.3e-3}, {"1.1s", 1.1},
    };
    assert_read(duration_parse, readings, LENGTH(readings));
}

static void test_duration_without_a_unit_is_refused(void **state)
{
    (void)state;
    double value;
    assert_string_equal(duration_parse("50", &value), "\"50\" has no unit; a duration is a number with ns, us, ms, s, "
                                                      "m or h, as 50ms");
}

static void test_duration_that_is_not_above_0_is_refused(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"0ms", "\"0ms\" is not above 0; a duration"}, {"-5ms", "\"-5ms\" is not above 0; a duration"},
        {"-0s", "is not above 0"},                     {"1e-400s", "is not above 0"},
    };
    assert_refused(duration_parse, refusals, LENGTH(refusals));
}

static void test_duration_that_is_no_number_is_refused(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"", "\"\" does not begin with a number"},
        {"ms", "does not begin with a number"},
        {".ms", "does not begin with a number"},
        {"-", "does not begin with a number"},
        {"+5ms", "\"+5ms\" does not begin with a number"},
        {" 5ms", "does not begin with a number"},
        {"\t5ms", "does not begin with a number"},
        {"infs", "does not begin with a number"},
        {"nans", "does not begin with a number"},
        {"e3s", "does not begin with a number"},
    };
    assert_refused(duration_parse, refusals, LENGTH(refusals));
}

static void test_duration_is_read_to_its_end(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"5msx", "\"5msx\" has an unknown unit"}, {"5ms ", "has an unknown unit"}, {"5 ", "has an unknown unit"},
        {"5  ms", "has an unknown unit"},         {"5\tms", "has an unknown unit"}, {"5MS", "has an unknown unit"},
        {"0x10ms", "has an unknown unit"},        {"1.2.3s", "has an unknown unit"}, {"1,5s", "has an unknown unit"},
        {"5days", "has an unknown unit"},         {"1es", "has an unknown unit"},    {"1e+s", "has an unknown unit"},
    };
    assert_refused(duration_parse, refusals, LENGTH(refusals));
}

static void test_duration_that_no_double_holds_is_refused(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"1e400s", "\"1e400s\" is too large; a duration"}, {"1e308h", "is too large"}};
    assert_refused(duration_parse, refusals, LENGTH(refusals));
}

/* ---- Rates ---------------------------------------------------------------------------------- */

static void test_rate_is_a_second_unless_it_says_otherwise(void **state)
{
    (void)state;
    static const struct reading readings[] = {
        {"1000", 1000}, {"1000/s", 1000}, {"60/m", 1}, {"3600/h", 1}, {"0.5", 0.5}, {"1e3", 1000}, {"1000 /s", 1000},
    };
    assert_read(rate_parse, readings, LENGTH(readings));
}

static void test_rate_may_be_in_thousands_or_millions(void **state)
{
    (void)state;
    static const struct reading readings[] = {
        {"2k", 2000},      {"2k/s", 2000}, {"6k/m", 100}, {"36k/h", 10},
        {"1.5M", 1500000}, {"2M/s", 2e6},  {"6M/m", 1e5}, {"36M/h", 1e4},
    };
    assert_read(rate_parse, readings, LENGTH(readings));
}

static void test_rate_that_is_none_is_refused(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"0", "\"0\" is not above 0; a rate is a number"},
        {"-1/s", "is not above 0"}, {"fast", "does not begin with a number"},
        {"5m", "\"5m\" has an unknown unit; a rate is a number"},
        {"5/d", "has an unknown unit"}, {"5/", "has an unknown unit"},
        {"1000/s/s", "has an unknown unit"}, {"1e999", "is too large"},
    };
    assert_refused(rate_parse, refusals, LENGTH(refusals));
}

/* ---- Shares --------------------------------------------------------------------------------- */

static void test_share_is_a_percentage_or_a_number(void **state)
{
    (void)state;
    static const struct reading readings[] = {
        {"1%", 0.01}, {"0.01", 0.01}, {"100%", 1}, {"0.5 %", 0.005}, {"1e-3", 0.001}, {"7%", 0.07},
    };
    assert_read(share_parse, readings, LENGTH(readings));
}

static void test_share_of_1_is_all(void **state)
{
    (void)state;
    static const struct reading readings[] = {{"1", 1}, {"1.0", 1}};
    assert_read(share_parse, readings, LENGTH(readings));
}

static void test_share_above_1_asks_for_a_percent_sign(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"5", "\"5\" is above 1; a share is a percentage or a number, above 0 and at most 1, as 1% or 0.01"},
        {"5", "for 5 percent write 5%"}, {"1.5", "for 1.5 percent write 1.5%"}, {"100", "for 100 percent write 100%"},
    };
    assert_refused(share_parse, refusals, LENGTH(refusals));
}

static void test_share_above_all_is_refused(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"101%", "\"101%\" is above 1, which is 100%; a share is"}, {"200", "is above 1, which is 100%"}};
    assert_refused(share_parse, refusals, LENGTH(refusals));
}

static void test_share_that_is_none_is_refused(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"0", "is not above 0"},    {"0%", "is not above 0"},     {"-1%", "is not above 0"}, {"1%%", "has an unknown unit"},
        {"%", "does not begin"},    {"", "does not begin"},       {"nan", "does not begin"}, {"5ms", "has an unknown unit"},
        {"1e999", "is too large"},
    };
    assert_refused(share_parse, refusals, LENGTH(refusals));
}

/* ---- Bytes ---------------------------------------------------------------------------------- */

static void test_bytes_without_a_unit_are_bytes(void **state)
{
    (void)state;
    static const struct reading readings[] = {{"4096", 4096}, {"4096B", 4096}, {"4096 B", 4096}};
    assert_read(bytes_parse, readings, LENGTH(readings));
}

static void test_bytes_in_letters_and_in_iB_are_binary(void **state)
{
    (void)state;
    static const struct reading readings[] = {
        {"512k", 512 * 0x1p10}, {"512K", 512 * 0x1p10}, {"512KiB", 512 * 0x1p10}, {"100M", 100 * 0x1p20},
        {"100MiB", 100 * 0x1p20}, {"2G", 0x1p31},       {"1.5GiB", 1.5 * 0x1p30}, {"1T", 0x1p40},
        {"1 TiB", 0x1p40},
    };
    assert_read(bytes_parse, readings, LENGTH(readings));
}

static void test_bytes_in_B_are_decimal(void **state)
{
    (void)state;
    static const struct reading readings[] = {
        {"1kB", 1e3}, {"1KB", 1e3}, {"100MB", 1e8}, {"2GB", 2e9}, {"1TB", 1e12}};
    assert_read(bytes_parse, readings, LENGTH(readings));
}

static void test_bytes_that_are_none_are_refused(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"0", "\"0\" is not above 0; a size is a number of bytes"}, {"-1k", "is not above 0"},
        {"2gb", "has an unknown unit"}, {"2mib", "has an unknown unit"}, {"2Gi", "has an unknown unit"}, {"4096 ", "has an unknown unit"},
        {"lots", "does not begin"}, {"1e400", "is too large"},
    };
    assert_refused(bytes_parse, refusals, LENGTH(refusals));
}

/* ---- Counts --------------------------------------------------------------------------------- */

static void test_count_is_a_whole_number_within_its_range(void **state)
{
    (void)state;
    long value;
    static const struct {
        const char *text;
        long value;
    } readings[] = {{"1", 1}, {"4096", 4096}, {"010", 10}, {"-3", -3}, {"0", 0}};
    for (size_t i = 0; i < LENGTH(readings); i++) {
        assert_null(count_parse(readings[i].text, -3, 4096, &value));
        assert_int_equal(value, readings[i].value);
    }
}

static void test_count_may_be_the_largest_long(void **state)
{
    (void)state;
    long value;
    assert_null(count_parse("9223372036854775807", 0, LONG_MAX, &value));
    assert_true(value == LONG_MAX);
    assert_non_null(count_parse("9223372036854775808", 0, LONG_MAX, &value));
}

static void test_count_that_is_none_is_refused_with_its_range(void **state)
{
    (void)state;
    static const char *const texts[] = {"",    "0",   "11",    "-1",  "+5",  " 5",  "5 ", "5.0",
                                        "1e1", "0x5", "seven", "5k",  "--5", "-",   "99999999999999999999"};
    for (size_t i = 0; i < LENGTH(texts); i++) {
        long value = 77;
        const char *wrong = count_parse(texts[i], 1, 10, &value);
        assert_non_null(wrong);
        assert_contains(wrong, texts[i]);
        assert_contains(wrong, "\" is not a whole number from 1 to 10");
        assert_int_equal(value, 77);
    }
}

/* ---- Messages ------------------------------------------------------------------------------- */

static void test_long_text_is_quoted_shortened(void **state)
{
    (void)state;
    char text[10000];
    double value;
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    const char *wrong = duration_parse(text, &value);
    assert_true(strlen(wrong) < 160);
    assert_contains(wrong, "aaaa...\" does not begin with a number; a duration is");
}

static void test_quoted_text_is_not_cut_within_a_letter(void **state)
{
    (void)state;
    double value;
    const char *wrong = duration_parse("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\u00b5aaa", &value);
    assert_contains(wrong, "aaa...\" does not");
}

static void test_quoted_text_has_no_control_characters(void **state)
{
    (void)state;
    double value;
    assert_contains(duration_parse("a\n\033[2J\177", &value), "\"a??[2J?\" does not");
}

static void test_long_number_is_read_whole(void **state)
{
    (void)state;
    char text[5000];
    double value;
    memset(text, '0', sizeof text);
    memcpy(text + sizeof text - 5, "50ms", 5);
    assert_null(duration_parse(text, &value));
    assert_same("50ms", value, 0.05);
}

/* ---- Texts ---------------------------------------------------------------------------------- */

static void test_duration_is_printed_with_three_digits_in_a_fitting_unit(void **state)
{
    (void)state;
    static const struct printing printings[] = {
        {0.0452, "45.2ms"}, {1.2, "1.20s"},   {850e-6, "850us"}, {7e-9, "7.00ns"}, {0.5e-9, "0.500ns"},
        {0.05, "50.0ms"},   {119.4, "119s"},  {150, "2.50m"},    {3600, "60.0m"},  {7200, "2.00h"},
        {1234 * 3600.0, "1234h"},
    };
    assert_printed(duration_text, printings, LENGTH(printings));
}

static void test_duration_that_is_rounded_up_goes_to_the_next_unit(void **state)
{
    (void)state;
    static const struct printing printings[] = {
        {0.0009996, "1.00ms"}, {0.0009994, "999us"}, {0.9996, "1.00s"}, {999.6e-9, "1.00us"},
        {119.6, "1.99m"},      {9.996, "10.0s"},     {99.96, "100s"},   {0.09996, "100ms"},
    };
    assert_printed(duration_text, printings, LENGTH(printings));
}

static void test_bytes_are_printed_in_binary_units(void **state)
{
    (void)state;
    static const struct printing printings[] = {
        {100 * 0x1p20, "100 MiB"}, {0x1p31, "2 GiB"},        {1.5 * 0x1p30, "1.5 GiB"}, {10240, "10 KiB"},
        {1, "1 B"},                {1023, "1023 B"},         {1024, "1 KiB"},           {1023.7 * 1024, "1 MiB"},
        {0x1p40, "1 TiB"},         {1023 * 0x1p20, "1023 MiB"},
    };
    assert_printed(bytes_text, printings, LENGTH(printings));
}

static void test_share_is_printed_in_percent(void **state)
{
    (void)state;
    static const struct printing printings[] = {
        {0.0094, "0.94%"}, {0.93, "93%"}, {1, "100%"}, {0.1234, "12.3%"}, {0.01, "1%"}, {0.0001, "0.01%"}, {0.999, "99.9%"},
    };
    assert_printed(share_text, printings, LENGTH(printings));
}

static void test_what_is_no_finite_number_is_printed_as_a_word(void **state)
{
    (void)state;
    const struct printing printings[] = {{0, "0"}, {-0.0, "0"}, {(double)INFINITY, "inf"}, {(double)NAN, "-"}};
    assert_printed(duration_text, printings, LENGTH(printings));
    assert_printed(bytes_text, printings, LENGTH(printings));
    assert_printed(share_text, printings, LENGTH(printings));
}

static void test_negative_number_keeps_its_sign(void **state)
{
    (void)state;
    const struct printing printings[] = {{-0.05, "-50.0ms"}, {-(double)INFINITY, "-inf"}};
    assert_printed(duration_text, printings, LENGTH(printings));
}

static void assert_round_trip(printer *print, parser *parse, double value)
{
    char text[UNITS_TEXT_MAX];
    double again = 0;
    const char *wrong = parse(print(value, text), &again);
    if (wrong != NULL)
        fail_msg("%.17g: %s", value, wrong);
    if (fabs(again - value) > 0.0051 * value)
        fail_msg("%.17g was printed as %s", value, text);
}

static void test_duration_printed_is_read_again(void **state)
{
    (void)state;
    for (int i = -20000; i < 20000; i++)
        assert_round_trip(duration_text, duration_parse, pow(10, i / 1000.0));
    assert_round_trip(duration_text, duration_parse, DBL_MIN);
    assert_round_trip(duration_text, duration_parse, DBL_MAX / 4);
}

static void test_bytes_printed_are_read_again(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++)
        assert_round_trip(bytes_text, bytes_parse, pow(10, i / 1000.0));
}

static void test_share_printed_is_read_again(void **state)
{
    (void)state;
    for (int i = -20000; i <= 0; i++)
        assert_round_trip(share_text, share_parse, pow(10, i / 1000.0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_duration_has_every_unit),
        cmocka_unit_test(test_duration_is_any_decimal_number),
        cmocka_unit_test(test_duration_may_have_one_space_before_its_unit),
        cmocka_unit_test(test_duration_is_exactly_what_is_written),
        cmocka_unit_test(test_duration_without_a_unit_is_refused),
        cmocka_unit_test(test_duration_that_is_not_above_0_is_refused),
        cmocka_unit_test(test_duration_that_is_no_number_is_refused),
        cmocka_unit_test(test_duration_is_read_to_its_end),
        cmocka_unit_test(test_duration_that_no_double_holds_is_refused),
        cmocka_unit_test(test_rate_is_a_second_unless_it_says_otherwise),
        cmocka_unit_test(test_rate_may_be_in_thousands_or_millions),
        cmocka_unit_test(test_rate_that_is_none_is_refused),
        cmocka_unit_test(test_share_is_a_percentage_or_a_number),
        cmocka_unit_test(test_share_of_1_is_all),
        cmocka_unit_test(test_share_above_1_asks_for_a_percent_sign),
        cmocka_unit_test(test_share_above_all_is_refused),
        cmocka_unit_test(test_share_that_is_none_is_refused),
        cmocka_unit_test(test_bytes_without_a_unit_are_bytes),
        cmocka_unit_test(test_bytes_in_letters_and_in_iB_are_binary),
        cmocka_unit_test(test_bytes_in_B_are_decimal),
        cmocka_unit_test(test_bytes_that_are_none_are_refused),
        cmocka_unit_test(test_count_is_a_whole_number_within_its_range),
        cmocka_unit_test(test_count_may_be_the_largest_long),
        cmocka_unit_test(test_count_that_is_none_is_refused_with_its_range),
        cmocka_unit_test(test_long_text_is_quoted_shortened),
        cmocka_unit_test(test_quoted_text_is_not_cut_within_a_letter),
        cmocka_unit_test(test_quoted_text_has_no_control_characters),
        cmocka_unit_test(test_long_number_is_read_whole),
        cmocka_unit_test(test_duration_is_printed_with_three_digits_in_a_fitting_unit),
        cmocka_unit_test(test_duration_that_is_rounded_up_goes_to_the_next_unit),
        cmocka_unit_test(test_bytes_are_printed_in_binary_units),
        cmocka_unit_test(test_share_is_printed_in_percent),
        cmocka_unit_test(test_what_is_no_finite_number_is_printed_as_a_word),
        cmocka_unit_test(test_negative_number_keeps_its_sign),
        cmocka_unit_test(test_duration_printed_is_read_again),
        cmocka_unit_test(test_bytes_printed_are_read_again),
        cmocka_unit_test(test_share_printed_is_read_again),
    };
    return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
