/* Answers and studies as text, JSON, CSV, SVG and percentiles, written to a file that is open. */
#ifndef ANTPOOL_SIZE_REPORT_H
#define ANTPOOL_SIZE_REPORT_H

#include <stdio.h>

#include "study.h"

void report_answer_text(FILE *to, const struct request *request, const struct answer *answer);
void report_answer_json(FILE *to, const struct request *request, const struct answer *answer);

void report_study_text(FILE *to, const struct study *study);
void report_study_json(FILE *to, const struct study *study);
void report_study_csv(FILE *to, const struct study *study);
void report_study_svg(FILE *to, const struct study *study); /* the metric of the goal that decided against the cap */
void report_percentiles(FILE *to, struct sample *waits);    /* milliseconds, as HdrHistogram prints them */

/* The four ways of a row to its figures; NULL if this one was not gone. */
enum source { SOURCE_FORMULA, SOURCE_SIMULATION, SOURCE_MEASURED, SOURCE_TWIN, SOURCE_COUNT };
extern const char *const source_words[SOURCE_COUNT];
const struct outcome *row_outcome(const struct row *row, enum source source);

/* Warnings of the answer, one call of say for each. */
void report_warnings(const struct request *request, const struct answer *answer,
                     void (*say)(const char *warning, void *arg), void *arg);

#endif
