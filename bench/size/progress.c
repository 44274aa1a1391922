#define _POSIX_C_SOURCE 200809L
#include "progress.h"

#include <stdio.h>
#include <unistd.h>

#include "clock.h"

#define BAR 24

void progress_begin(struct progress *progress, double whole)
{
    *progress = (struct progress){.whole = whole, .began = clock_now()};
}

/* What is left goes on at the pace of what was done. */
static double seconds_left(const struct progress *progress, double done)
{
    double left = progress->whole - done, pace = done > 1 ? (clock_now() - progress->began) / done : 1;
    return left > 0 ? left * pace : 0;
}

static void show(struct progress *progress, double done)
{
    static const char full[] = "########################", none[] = "........................";
    if (!isatty(STDERR_FILENO))
        return;
    int bar = progress->whole > 0 ? (int)(BAR * done / progress->whole) : 0;
    bar = bar < 0 ? 0 : bar > BAR ? BAR : bar;
    fprintf(stderr, "\r[%.*s%.*s] %s, %.0f s left\033[K", bar, full, BAR - bar, none, progress->what,
            seconds_left(progress, done));
    progress->shown = true;
}

void progress_part(struct progress *progress, const char *what, double seconds)
{
    progress->done += progress->part;
    progress->part = seconds;
    snprintf(progress->what, sizeof progress->what, "%s", what);
    show(progress, progress->done);
}

void progress_at(struct progress *progress, double share)
{
    show(progress, progress->done + share * progress->part);
}

void progress_end(struct progress *progress)
{
    if (progress->shown)
        fprintf(stderr, "\r\033[K");
    progress->shown = false;
}
