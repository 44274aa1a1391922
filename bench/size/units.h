/* Numbers with units, read and printed. A parser returns NULL, or what is wrong with the text
 * and what is accepted, as a sentence that is overwritten by the next call of any of them, and
 * then leaves *value as it was. */
#ifndef ANTPOOL_SIZE_UNITS_H
#define ANTPOOL_SIZE_UNITS_H

#include <stdbool.h>

/* All of them take the whole text: a decimal number ("1.5", ".5", "1e3"), and its unit at once or after
 * one space ("50 ms"). No +, hexadecimal, inf or nan; above 0 and finite. */
const char *duration_parse(const char *text, double *value); /* "50ms" to seconds: ns us µs ms s m h; never without */
const char *rate_parse(const char *text, double *value);     /* a second: "1000", "1000/s", "60/m", "3600/h", "2k/s", "1M" */
const char *share_parse(const char *text, double *value);    /* "1%" or "0.01": above 0, at most 1; "1" is all, 100% */
const char *bytes_parse(const char *text, double *value);    /* "100MiB", "512k" (1024), "2GB" (1000 each), "4096" */

/* Nothing but digits, after a - if least is below 0; from least to most. */
const char *count_parse(const char *text, long least, long most, long *value);

#define UNITS_TEXT_MAX 32

/* Three significant digits with a fitting unit, whole numbers in full; "0", "inf", and "-" for NAN.
 * The parsers above read them back (but these three words, and a share above 100%). */
const char *duration_text(double seconds, char text[UNITS_TEXT_MAX]); /* "45.2ms", "1.20s", "850us", "2.50m" */
const char *bytes_text(double bytes, char text[UNITS_TEXT_MAX]); /* "100 MiB": no zeros at the end of decimals */
const char *share_text(double share, char text[UNITS_TEXT_MAX]); /* "0.94%", likewise */

/* A duration or a share, with as many digits more as tell it from the bound: "199.96ms" beside 200ms. */
const char *text_beside(double value, double bound, bool is_time, char text[UNITS_TEXT_MAX]);

#endif
