#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fail.h"
#include "report.h"
#include "request.h"
#include "scaling.h"
#include "study.h"

/* What was printed into a full disk or a closed pipe was not said. */
static int finish(int code)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        fail(EXIT_UNABLE, "writing the answer: %s", strerror(errno));
    return code;
}

static int erlang(const struct request *request)
{
    static struct answer answer;
    answer_find(&answer, request);
    if (request->format == FORMAT_JSON)
        report_answer_json(stdout, request, &answer);
    else
        report_answer_text(stdout, request, &answer);
    return answer.all_met ? EXIT_MET : EXIT_NOT_MET;
}

/* Before a run of a minute, not after it. */
static FILE *open_file(const char *name)
{
    FILE *file = name != NULL ? fopen(name, "w") : NULL;
    if (name != NULL && file == NULL)
        fail(EXIT_USAGE, "%s: %s", name, strerror(errno));
    return file;
}

static void close_file(FILE *file, const char *name)
{
    if (file != NULL && (ferror(file) || fclose(file) != 0))
        fail(EXIT_UNABLE, "%s: %s", name, strerror(errno));
}

static void print_study(const struct study *study)
{
    switch (study->request->format) {
    case FORMAT_JSON: report_study_json(stdout, study); break;
    case FORMAT_CSV: report_study_csv(stdout, study); break;
    default: report_study_text(stdout, study);
    }
}

static int size(struct request *request)
{
    static const int codes[] = {EXIT_MET, EXIT_NOT_MET, EXIT_NOT_CERTIFIABLE};
    static struct study study;
    FILE *svg = open_file(request->svg), *percentiles = open_file(request->percentiles);
    study_do(&study, request);
    print_study(&study);
    if (svg != NULL)
        report_study_svg(svg, &study);
    if (percentiles != NULL && study.rows[study.chosen].measured)
        report_percentiles(percentiles, &study.rows[study.chosen].run.waits);
    close_file(svg, request->svg);
    close_file(percentiles, request->percentiles);
    int code = codes[study.verdict];
    study_fini(&study);
    return code;
}

static int run(struct request *request)
{
    switch (request->command) {
    case COMMAND_ERLANG: return erlang(request);
    case COMMAND_USL: return scaling_do(request);
    default: return size(request);
    }
}

/* Or a file that is written would be standard output, and the answer go into it. */
static void check_standard_files(void)
{
    int file = STDIN_FILENO;
    bool output_is_closed = fcntl(STDOUT_FILENO, F_GETFD) < 0;
    while (file >= 0 && file <= STDERR_FILENO)
        file = open("/dev/null", O_RDWR); /* the least number that is free */
    if (file > STDERR_FILENO)
        close(file);
    if (output_is_closed)
        fail(EXIT_UNABLE, "standard output is closed");
}

int main(int argc, char **argv)
{
    struct request request;
    check_standard_files();
    request_read(&request, argc, argv);
    int code = finish(run(&request));
    request_fini(&request);
    return code;
}
