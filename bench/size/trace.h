/* Reading recorded times from a file. */
#ifndef ANTPOOL_SIZE_TRACE_H
#define ANTPOOL_SIZE_TRACE_H

/*
 * Reads a time from each line of the file, or, if column is not NULL, from a column of a CSV with
 * a heading, given by its name there or by its number from 1. A plain number is in milliseconds.
 * Blank lines and those that start with # are skipped. A quoted field ends in its line.
 *
 * Returns NULL and a malloced array of n > 0 times in seconds, finite and at least 0, not all 0; or
 * what is wrong and what is accepted, as a sentence that is overwritten by the next call, and then
 * leaves both as they were.
 */
const char *trace_read(const char *file, const char *column, double **times, long *n);

#endif
