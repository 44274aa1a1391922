/* One line on a terminal that says what goes on and how long it will take; nothing elsewhere. */
#ifndef ANTPOOL_SIZE_PROGRESS_H
#define ANTPOOL_SIZE_PROGRESS_H

#include <stdbool.h>

struct progress {
    double whole;      /* seconds that everything will take, as far as known */
    double done, part; /* seconds of the parts that have ended, and of this one */
    double began;
    char what[48];
    bool shown;        /* a line stands on the terminal */
};

void progress_begin(struct progress *progress, double whole);
/* The last part has ended, one of `seconds` begins. */
void progress_part(struct progress *progress, const char *what, double seconds);
void progress_at(struct progress *progress, double share); /* of this part, 0 … 1 */
void progress_end(struct progress *progress);

#endif
