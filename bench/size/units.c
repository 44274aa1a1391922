#define _POSIX_C_SOURCE 200809L
#include "units.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentence.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))

/* ---- What is wrong -------------------------------------------------------------------------- */

#define QUOTED_MAX 40 /* bytes; longer texts are cut, so that a sentence stays one */

static bool is_inside_a_letter(char c) /* in UTF-8 */
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* The text in quotes, without control characters, which a terminal would obey. */
static const char *quoted(const char *text, char quote[QUOTED_MAX + 8])
{
    size_t length = strlen(text), kept = length;
    if (length > QUOTED_MAX)
        for (kept = QUOTED_MAX; kept > 0 && is_inside_a_letter(text[kept]); kept--)
            ;
    snprintf(quote, QUOTED_MAX + 8, "\"%.*s%s\"", (int)kept, text, kept < length ? "..." : "");
    for (char *c = quote; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    return quote;
}

/* ---- Numbers -------------------------------------------------------------------------------- */

static size_t digits(const char *text)
{
    return strspn(text, "0123456789");
}

static size_t exponent_length(const char *text)
{
    if (*text != 'e' && *text != 'E')
        return 0;
    size_t sign = text[1] == '-' || text[1] == '+';
    size_t n = digits(text + 1 + sign);
    return n == 0 ? 0 : 1 + sign + n;
}

/* How much of the text is a decimal number; 0: it begins with none. strtod alone would take
 * leading space, a +, hexadecimal, inf and nan. */
static size_t number_length(const char *text)
{
    size_t at = text[0] == '-';
    size_t whole = digits(text + at), part = 0;
    at += whole;
    if (text[at] == '.') {
        part = digits(text + at + 1);
        at += 1 + part;
    }
    return whole + part == 0 ? 0 : at + exponent_length(text + at);
}

/* ---- Quantities: a number and a unit -------------------------------------------------------- */

/* A multiplication and a division, one of them by 1: so 50us is the double nearest to it, which
 * 50 * 1e-6 is not always. */
struct unit {
    const char *word;
    double times, per;
};

struct quantity {
    const char *is; /* what is accepted */
    const struct unit *units;
    size_t n;
};

static const struct unit durations[] = {
    {"ns", 1, 1e9}, {"us", 1, 1e6}, {"ms", 1, 1e3}, {"s", 1, 1}, {"m", 60, 1}, {"h", 3600, 1},
    {"\u00b5s", 1, 1e6}, {"\u03bcs", 1, 1e6}, /* the micro sign and the Greek letter */
};

static const struct unit rates[] = {
    {"", 1, 1},    {"/s", 1, 1},    {"/m", 1, 60},    {"/h", 1, 3600},
    {"k", 1e3, 1}, {"k/s", 1e3, 1}, {"k/m", 1e3, 60}, {"k/h", 1e3, 3600},
    {"M", 1e6, 1}, {"M/s", 1e6, 1}, {"M/m", 1e6, 60}, {"M/h", 1e6, 3600},
};

static const struct unit shares[] = {{"", 1, 1}, {"%", 1, 100}};

/* As dd has it: with a B behind it a letter is decimal. */
static const struct unit bytes[] = {
    {"", 1, 1},       {"B", 1, 1},        {"kB", 1e3, 1},   {"KB", 1e3, 1},
    {"k", 0x1p10, 1}, {"K", 0x1p10, 1},   {"KiB", 0x1p10, 1},
    {"M", 0x1p20, 1}, {"MiB", 0x1p20, 1}, {"MB", 1e6, 1},
    {"G", 0x1p30, 1}, {"GiB", 0x1p30, 1}, {"GB", 1e9, 1},
    {"T", 0x1p40, 1}, {"TiB", 0x1p40, 1}, {"TB", 1e12, 1},
};

static const struct quantity duration = {
    "a duration is a number with ns, us, ms, s, m or h, as 50ms", durations, LENGTH(durations)};
static const struct quantity rate = {
    "a rate is a number, k or M for thousands or millions if wanted, and /s, /m or /h, or nothing for a second, "
    "as 1000, 2k/s or 60/m",
    rates, LENGTH(rates)};
static const struct quantity share = {
    "a share is a percentage or a number, above 0 and at most 1, as 1% or 0.01", shares, LENGTH(shares)};
static const struct quantity size = {
    "a size is a number of bytes, or one with KiB, MiB, GiB or TiB (k, M, G and T mean the same), kB, MB, GB or TB, "
    "as 100MiB",
    bytes, LENGTH(bytes)};

static const char *wrong(const char *text, const char *why, const struct quantity *quantity)
{
    char quote[QUOTED_MAX + 8];
    return sentence("%s %s; %s", quoted(text, quote), why, quantity->is);
}

static const struct unit *unit_of(const char *word, const struct quantity *quantity)
{
    if (word[0] == ' ' && word[1] != '\0')
        word++; /* "50 ms", as it is printed in many places */
    for (size_t i = 0; i < quantity->n; i++)
        if (strcmp(word, quantity->units[i].word) == 0)
            return &quantity->units[i];
    return NULL;
}

static const char *quantity_parse(const char *text, const struct quantity *quantity, double *value)
{
    size_t length = number_length(text);
    if (length == 0)
        return wrong(text, "does not begin with a number", quantity);
    const struct unit *unit = unit_of(text + length, quantity);
    if (unit == NULL)
        return wrong(text, text[length] == '\0' ? "has no unit" : "has an unknown unit", quantity);
    double number = strtod(text, NULL) * unit->times / unit->per;
    if (!(number > 0))
        return wrong(text, "is not above 0", quantity);
    if (!isfinite(number))
        return wrong(text, "is too large", quantity);
    *value = number;
    return NULL;
}

const char *duration_parse(const char *text, double *value)
{
    return quantity_parse(text, &duration, value);
}

const char *rate_parse(const char *text, double *value)
{
    return quantity_parse(text, &rate, value);
}

const char *bytes_parse(const char *text, double *value)
{
    return quantity_parse(text, &size, value);
}

/* 5 is most likely meant as 5%; 1 is taken as it is written, for all of them. */
const char *share_parse(const char *text, double *value)
{
    double number = 0;
    const char *why = quantity_parse(text, &share, &number);
    if (why != NULL)
        return why;
    if (number > 1 && strchr(text, '%') == NULL && number <= 100)
        return sentence("\"%.12g\" is above 1; %s (for %.12g percent write %.12g%%)", number, share.is, number, number);
    if (number > 1)
        return wrong(text, "is above 1, which is 100%", &share);
    *value = number;
    return NULL;
}

const char *count_parse(const char *text, long least, long most, long *value)
{
    size_t sign = text[0] == '-', n = digits(text + sign);
    errno = 0;
    long number = strtol(text, NULL, 10);
    if (n == 0 || text[sign + n] != '\0' || errno != 0 || number < least || number > most) {
        char quote[QUOTED_MAX + 8];
        return sentence("%s is not a whole number from %ld to %ld", quoted(text, quote), least, most);
    }
    *value = number;
    return NULL;
}

/* ---- Texts ---------------------------------------------------------------------------------- */

/* A unit to print with, used below `end` of it. */
struct scale {
    const char *word;
    double one, end;
};

/* A minute and an hour begin at two of them: "90.0s" and "119m" are read faster than "1.50m". */
static const struct scale duration_scales[] = {
    {"ns", 1e-9, 1000}, {"us", 1e-6, 1000}, {"ms", 1e-3, 1000}, {"s", 1, 120}, {"m", 60, 120}, {"h", 3600, INFINITY},
};
static const struct scale bytes_scales[] = {
    {" B", 1, 1024},        {" KiB", 0x1p10, 1024}, {" MiB", 0x1p20, 1024},
    {" GiB", 0x1p30, 1024}, {" TiB", 0x1p40, INFINITY},
};
static const struct scale share_scales[] = {{"%", 0.01, INFINITY}};

#define DIGITS 3
#define DIGITS_MOST 9

/* Of those that make three significant digits; whole numbers are written in full. */
static int decimals_of(double number)
{
    int decimals = 0;
    double edge = 99.95;
    while (number < edge) {
        decimals++;
        edge /= 10;
    }
    return decimals;
}

static void drop_zeros(char *text)
{
    if (strchr(text, '.') == NULL || strchr(text, 'e') != NULL)
        return;
    char *end = text + strlen(text);
    while (end[-1] == '0')
        end--;
    if (end[-1] == '.')
        end--;
    *end = '\0';
}

static void print_number(double number, int digits, char text[UNITS_TEXT_MAX])
{
    if (number >= 1e-6 && number < 1e6)
        snprintf(text, UNITS_TEXT_MAX, "%.*f", decimals_of(number) + digits - DIGITS, number);
    else
        snprintf(text, UNITS_TEXT_MAX, "%.*e", digits - 1, number);
}

/* Rounded before it is compared: 999.6us is 1.00ms. */
static const struct scale *fitting(double value, const struct scale *scale)
{
    while (round(value / scale->one) >= scale->end)
        scale++;
    return scale;
}

static const char *word_for(double value)
{
    if (isnan(value))
        return "-";
    if (isinf(value))
        return value > 0 ? "inf" : "-inf";
    return value == 0 ? "0" : NULL;
}

static const char *print(double value, const struct scale *scales, bool keeps_zeros, int digits,
                         char text[UNITS_TEXT_MAX])
{
    const char *word = word_for(value);
    if (word != NULL) {
        snprintf(text, UNITS_TEXT_MAX, "%s", word);
        return text;
    }
    const struct scale *scale = fitting(fabs(value), scales);
    char number[UNITS_TEXT_MAX];
    print_number(fabs(value) / scale->one, digits, number);
    if (!keeps_zeros)
        drop_zeros(number);
    snprintf(text, UNITS_TEXT_MAX, "%s%.20s%s", value < 0 ? "-" : "", number, scale->word);
    return text;
}

const char *duration_text(double seconds, char text[UNITS_TEXT_MAX])
{
    return print(seconds, duration_scales, true, DIGITS, text);
}

const char *bytes_text(double number, char text[UNITS_TEXT_MAX])
{
    return print(number, bytes_scales, false, DIGITS, text);
}

const char *share_text(double number, char text[UNITS_TEXT_MAX])
{
    return print(number, share_scales, false, DIGITS, text);
}

const char *text_beside(double value, double bound, bool is_time, char text[UNITS_TEXT_MAX])
{
    const struct scale *scales = is_time ? duration_scales : share_scales;
    char other[UNITS_TEXT_MAX];
    for (int digits = DIGITS; digits <= DIGITS_MOST; digits++) {
        print(value, scales, is_time, digits, text);
        if (strcmp(text, print(bound, scales, is_time, digits, other)) != 0)
            return text;
    }
    return print(value, scales, is_time, DIGITS, text); /* they are the same */
}
