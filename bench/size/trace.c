#define _POSIX_C_SOURCE 200809L
#include "trace.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "sentence.h"
#include "units.h"

#define TIMES_ACCEPTED "accepted are a number of milliseconds or a duration such as 1.5s, at least 0"

struct trace {
    const char *name;
    const char *column; /* NULL: a time a line */
    FILE *file;
    char *line; /* the one read last, of room bytes */
    size_t room;
    long number; /* of that line, from 1 */
    long index;  /* of the column, from 0 */
    double *times;
    long n, times_room;
};

static const char *no_memory(const struct trace *trace)
{
    return sentence("no memory for the times in \"%s\"", trace->name);
}

/* ---- Fields --------------------------------------------------------------------------------- */

static char *trimmed(char *text)
{
    text += strspn(text, " \t");
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    text[length] = '\0';
    return text;
}

/* Takes the quotes off the field in place. Returns what follows it, NULL if it is not closed. */
static char *unquote(char *field)
{
    char *to = field;
    for (const char *from = field + 1; *from != '\0'; from++) {
        if (*from == '"' && from[1] != '"') {
            size_t rest = (size_t)(from + 1 - field);
            *to = '\0';
            return field + rest;
        }
        if (*from == '"')
            from++;
        *to++ = *from;
    }
    return NULL;
}

/* Takes the first field off the line, in place. The line becomes NULL after the last one. Returns
 * NULL if the field is not well formed. */
static char *next_field(char **line)
{
    char *field = *line + strspn(*line, " \t");
    char *rest = field;
    if (*field == '"' && (rest = unquote(field)) == NULL)
        return NULL;
    char *end = rest + strcspn(rest, ",");
    *line = *end == ',' ? end + 1 : NULL;
    *end = '\0';
    if (rest == field)
        return trimmed(field);
    return *trimmed(rest) == '\0' ? field : NULL;
}

static char *field_at(char *line, long index)
{
    char *field = NULL;
    for (long i = 0; i <= index; i++)
        if (line == NULL || (field = next_field(&line)) == NULL)
            return NULL;
    return field;
}

/* ---- Lines ---------------------------------------------------------------------------------- */

static char *without_mark(const struct trace *trace)
{
    static const char mark[] = "\xef\xbb\xbf"; /* that some programs begin UTF-8 with */
    bool has = trace->number == 1 && strncmp(trace->line, mark, sizeof mark - 1) == 0;
    return has ? trace->line + sizeof mark - 1 : trace->line;
}

/* The next line that is not skipped, without its end; NULL at the end or if it cannot be read. */
static char *next_line(struct trace *trace)
{
    ssize_t length;
    while ((length = getline(&trace->line, &trace->room, trace->file)) >= 0) {
        trace->number++;
        for (char *nul; (nul = memchr(trace->line, '\0', (size_t)length)) != NULL;)
            *nul = '?'; /* or what follows would not be seen */
        char *line = trimmed(without_mark(trace));
        if (*line != '\0' && *line != '#')
            return line;
    }
    return NULL;
}

static long column_number(const char *column)
{
    char *end;
    errno = 0;
    long number = strtol(column, &end, 10);
    return errno == 0 && isdigit((unsigned char)*column) && *end == '\0' ? number : 0;
}

/* A name comes first, so that a heading of numbers can be named as well. */
static const char *find_column(struct trace *trace)
{
    char *heading = next_line(trace);
    long columns = 0;
    for (; heading != NULL; columns++) {
        char *field = next_field(&heading);
        if (field == NULL)
            return sentence("line %ld of \"%s\" has a field with wrong quotes", trace->number, trace->name);
        if (strcmp(field, trace->column) == 0) {
            trace->index = columns;
            return NULL;
        }
    }
    long number = column_number(trace->column);
    if (columns > 0 && (number < 1 || number > columns))
        return sentence("no column \"%s\" in \"%s\"; accepted are a name in its heading, line %ld, or a number "
                   "from 1 to %ld",
                   trace->column, trace->name, trace->number, columns);
    trace->index = number - 1;
    return NULL;
}

/* A unit is what duration_parse takes after a number; but 0 is a time too here. */
static bool time_parse(const char *text, double *seconds)
{
    char one[32], *unit;
    double value = strtod(text, &unit);
    double scale = 1e-3;
    bool decimal = isdigit((unsigned char)text[strspn(text, "+.")]) && strpbrk(text, "xX") == NULL;
    if (!decimal || !isfinite(value))
        return false;
    if (*unit != '\0') {
        int length = snprintf(one, sizeof one, "1%s", unit);
        bool fits = length < (int)sizeof one && !isdigit((unsigned char)*unit) && *unit != '.';
        if (!fits || duration_parse(one, &scale) != NULL)
            return false;
    }
    *seconds = value * scale;
    return isfinite(*seconds);
}

static bool keep(struct trace *trace, double seconds)
{
    if (trace->n == trace->times_room) {
        long room = trace->times_room > 0 ? 2 * trace->times_room : 1024;
        double *times = realloc(trace->times, (size_t)room * sizeof *times);
        if (times == NULL)
            return false;
        trace->times = times;
        trace->times_room = room;
    }
    trace->times[trace->n++] = seconds;
    return true;
}

static const char *read_line(struct trace *trace, char *line)
{
    double seconds;
    char *field = trace->column == NULL ? line : field_at(line, trace->index);
    if (field == NULL)
        return sentence("line %ld of \"%s\" has no readable column \"%s\"", trace->number, trace->name,
                   trace->column);
    if (!time_parse(field, &seconds))
        return sentence("line %ld of \"%s\" has no time but \"%.80s\"; " TIMES_ACCEPTED "%s", trace->number,
                   trace->name, field,
                   trace->column == NULL ? ", or trace:FILE,COLUMN for a CSV with a heading" : "");
    return keep(trace, seconds) ? NULL : no_memory(trace);
}

/* ---- The file ------------------------------------------------------------------------------- */

static bool all_zero(const struct trace *trace)
{
    long i = 0;
    while (i < trace->n && trace->times[i] == 0)
        i++;
    return i == trace->n;
}

static const char *read_lines(struct trace *trace)
{
    const char *wrong = trace->column != NULL ? find_column(trace) : NULL;
    for (char *line; wrong == NULL && (line = next_line(trace)) != NULL;)
        wrong = read_line(trace, line);
    if (wrong != NULL)
        return wrong;
    if (ferror(trace->file))
        return sentence("cannot read \"%s\": %s; accepted is a file of times", trace->name, strerror(errno));
    if (!feof(trace->file)) /* getline may fail for want of memory as well */
        return no_memory(trace);
    if (trace->n == 0)
        return sentence("no times in \"%s\"; " TIMES_ACCEPTED ", on each line", trace->name);
    if (all_zero(trace))
        return sentence("all times in \"%s\" are 0; accepted are times with a mean above 0", trace->name);
    return NULL;
}

const char *trace_read(const char *file, const char *column, double **times, long *n)
{
    struct trace trace = {.name = file, .column = column, .file = fopen(file, "r")};
    if (trace.file == NULL)
        return sentence("cannot open \"%s\": %s; accepted is a file of times", file, strerror(errno));
    const char *wrong = read_lines(&trace);
    fclose(trace.file);
    free(trace.line);
    if (wrong != NULL) {
        free(trace.times);
        return wrong;
    }
    *times = trace.times;
    *n = trace.n;
    return NULL;
}
