/*
 * What dirsum knows about a tree: how many files and bytes, and their checksum. Any number
 * of threads may add to one tally at once.
 *
 * The checksum of a file is FNV-1a over its path below the root and its bytes, and that of
 * the tree is the sum over its files: the order in which they are added does not matter,
 * and two copies of a tree have the same checksum wherever they are.
 */
#ifndef ANTPOOL_EXAMPLES_DIRSUM_TALLY_H
#define ANTPOOL_EXAMPLES_DIRSUM_TALLY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { TALLY_BLOCK = 128 * 1024 };

typedef struct tally {
    const char *root_name; /* for messages */
    int root;              /* open on the tree's root */
    bool progress;         /* stderr is a terminal that shows a progress line */
    bool quiet;            /* failures are counted, but not named */

    /* Relaxed atomics: whoever reports them has waited for the tasks that added to them,
     * and the progress line is content with a guess. */
    _Atomic uint64_t files;
    _Atomic uint64_t bytes;
    _Atomic uint64_t checksum;
    _Atomic uint64_t unreadable;
    _Atomic uint64_t vanished;
} tally_t;

/* Reads and adds the file at `path`, relative to the root, through the caller's buffer of
 * TALLY_BLOCK bytes. What cannot be read goes to tally_failed. */
void tally_file(tally_t *tally, const char *path, unsigned char *block);

/* Counts what could not be read and names it on stderr. If `error`, an errno, says that it
 * is gone since the walk saw it, that is no failure: it only counts as vanished. */
void tally_failed(tally_t *tally, const char *path, int error);

/* The same for a reason in words. */
void tally_unreadable(tally_t *tally, const char *path, const char *why);

uint64_t tally_value(const _Atomic uint64_t *counter);

/* The progress line: shows `text`, or removes what is shown. */
void tally_show_progress(const char *text);
void tally_erase_progress(const tally_t *tally);

#endif
