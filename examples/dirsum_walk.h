/*
 * Walks a directory tree and hands every regular file to a visitor, file by file, so the
 * visitor sets the pace and nothing piles up.
 *
 * The walk is iterative, follows no symbolic link, and takes trees of any depth and paths
 * of any length. It holds at most WALK_DESCRIPTORS descriptors. Its memory is the path it
 * is at; only below WALK_DESCRIPTORS levels does it also remember the names of the
 * subdirectories it has yet to enter. It never keeps the name of a file.
 */
#ifndef ANTPOOL_EXAMPLES_DIRSUM_WALK_H
#define ANTPOOL_EXAMPLES_DIRSUM_WALK_H

#include <stdbool.h>

enum { WALK_DESCRIPTORS = 40 };

/* All are called in the walking thread. A path is relative to the root of the walk and
 * valid until the visitor returns; the root itself is "". */
typedef struct walk_visitor {
    void (*file)(void *user, const char *path);
    void (*failed)(void *user, const char *path, int error); /* errno of what was not read */
    bool (*stop)(void *user);                                /* asked before every entry */
    void *user;
} walk_visitor_t;

/* Walks the directory that `root` is open on; the descriptor stays the caller's. */
void walk_tree(int root, const walk_visitor_t *visitor);

/* openat(2) for a path of any length; -1 and errno on failure. On the way it holds one
 * descriptor more. Any thread. */
int walk_open(int base, const char *path, int flags);

#endif
