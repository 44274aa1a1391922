/* Exit codes, and the way out with one. */
#ifndef ANTPOOL_SIZE_FAIL_H
#define ANTPOOL_SIZE_FAIL_H

enum {
    EXIT_MET = 0,
    EXIT_NOT_MET = 1,
    EXIT_USAGE = 2,
    EXIT_NOT_CERTIFIABLE = 3,
    EXIT_UNABLE = 4 /* no memory, a file that cannot be written, a pool that cannot be made */
};

/* Prints "antpool-size: MESSAGE" as one line, without control characters that a quoted text may bring,
 * and ends the program. */
__attribute__((noreturn, format(printf, 2, 3))) void fail(int code, const char *format, ...);

#endif
