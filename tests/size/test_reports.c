/* What is written of a sample. The rest of the reports is seen from outside, by cli.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "report.h"

static void read_back(struct sample *waits, char *text, size_t room)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    report_percentiles(file, waits);
    rewind(file);
    text[fread(text, 1, room - 1, file)] = '\0';
    fclose(file);
}

static void test_percentiles_are_those_of_hdrhistogram(void **state)
{
    (void)state;
    struct sample waits;
    char text[4096];
    assert_true(sample_init(&waits, 4));
    for (int i = 1; i <= 4; i++)
        sample_add(&waits, i / 1000.0, 0, false);
    read_back(&waits, text, sizeof text);
    assert_non_null(strstr(text, "       1.000 0.000000000000          1           1.00\n"));
    assert_non_null(strstr(text, "       1.000 0.100000000000          1           1.11\n"));
    assert_non_null(strstr(text, "       3.000 0.550000000000          3           2.22\n"));
    assert_non_null(strstr(text, "       2.000 0.500000000000          2           2.00\n"));
    assert_non_null(strstr(text, "       4.000 1.000000000000          4\n"));
    assert_non_null(strstr(text, "#[Mean    =        2.500, StdDeviation   =        1.118]\n"));
    assert_non_null(strstr(text, "#[Max     =        4.000, Total count    =            4]\n"));
    sample_fini(&waits);
}

static void test_percentiles_of_nothing_are_a_heading(void **state)
{
    (void)state;
    struct sample waits;
    char text[4096];
    assert_true(sample_init(&waits, 1));
    read_back(&waits, text, sizeof text);
    assert_non_null(strstr(text, "Percentile"));
    assert_null(strstr(text, "#["));
    sample_fini(&waits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percentiles_are_those_of_hdrhistogram),
        cmocka_unit_test(test_percentiles_of_nothing_are_a_heading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
