#define _DEFAULT_SOURCE /* d_type */

#include "dirsum_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The way from the root down to where the walk is, as a stack of levels. The outer
 * OPEN_LEVELS of them keep their stream open and are read as the walk goes on. A deeper
 * one is read to its end when it is entered: its files go to the visitor at once, the
 * names of its subdirectories are saved, and its stream is closed. So every directory is
 * opened relative to the innermost of the outer levels.
 */
enum {
    OPEN_LEVELS = WALK_DESCRIPTORS - 3, /* one more for a deeper level, two in walk_open */
    DIRECTORY_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
};

typedef enum kind { DIRECTORY, REGULAR, OTHER } kind_t;

typedef struct text {
    char *bytes;
    size_t used; /* the last '\0' included */
    size_t room;
} text_t;

typedef struct level {
    DIR *stream;        /* NULL: everything has been read */
    size_t path_length; /* of this directory's path, the '/' at its end included */
    text_t saved;       /* subdirectories to enter, each ended by '\0' */
} level_t;

typedef struct walk {
    const walk_visitor_t *visitor;
    text_t path; /* of what the walk looks at; starts with the path of the innermost level */
    level_t *levels;
    size_t depth;
    size_t levels_room;
} walk_t;

static level_t *innermost(const walk_t *walk)
{
    return &walk->levels[walk->depth - 1];
}

static bool stopped(const walk_t *walk)
{
    return walk->visitor->stop(walk->visitor->user);
}

static void failed(const walk_t *walk, int error)
{
    walk->visitor->failed(walk->visitor->user, walk->path.bytes, error);
}

/* Blames the innermost level itself, not what was last read in it. */
static void level_failed(walk_t *walk, int error)
{
    walk->path.bytes[innermost(walk)->path_length] = '\0';
    failed(walk, error);
}

/* Ends the text with `name`, put at offset `at`; false and ENOMEM leave it as it is. */
static bool put(text_t *text, size_t at, const char *name)
{
    size_t size = strlen(name) + 1;
    if (at + size > text->room) {
        char *bytes = realloc(text->bytes, 2 * (at + size));
        if (bytes == NULL)
            return false;
        text->bytes = bytes;
        text->room = 2 * (at + size);
    }
    memcpy(text->bytes + at, name, size);
    text->used = at + size;
    return true;
}

/* ---- Opening ----------------------------------------------------------------------- */

static int open_length(int base, const char *path, size_t length, int flags)
{
    char piece[PATH_MAX];
    memcpy(piece, path, length);
    piece[length] = '\0';
    return openat(base, piece, flags);
}

static void close_quietly(int fd)
{
    int error = errno;
    close(fd);
    errno = error;
}

/* The system takes less than PATH_MAX bytes at once: a longer path is cut at a '/'. A link
 * that has replaced a directory on the way since the walk went there is followed. */
int walk_open(int base, const char *path, int flags)
{
    int at = base;
    while (at >= 0 && strnlen(path, PATH_MAX) == PATH_MAX) {
        size_t length = PATH_MAX - 1;
        while (path[length] != '/') /* no name is as long as PATH_MAX */
            length--;
        int next = open_length(at, path, length, DIRECTORY_FLAGS);
        if (at != base)
            close_quietly(at);
        path += length + 1;
        at = next;
    }
    int fd = at < 0 ? -1 : openat(at, path, flags);
    if (at >= 0 && at != base)
        close_quietly(at);
    return fd;
}

/* Opens the directory at walk->path. */
static int open_directory(const walk_t *walk)
{
    size_t open = walk->depth < OPEN_LEVELS ? walk->depth : OPEN_LEVELS;
    const level_t *base = &walk->levels[open - 1];
    return walk_open(dirfd(base->stream), walk->path.bytes + base->path_length, DIRECTORY_FLAGS);
}

/* ---- Reading ----------------------------------------------------------------------- */

static kind_t kind_of(int directory, const struct dirent *entry)
{
    switch (entry->d_type) {
    case DT_DIR: return DIRECTORY;
    case DT_REG: return REGULAR;
    case DT_UNKNOWN: break;
    default: return OTHER;
    }
    struct stat status;
    if (fstatat(directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return REGULAR; /* the visitor's open will tell what is wrong */
    return S_ISDIR(status.st_mode) ? DIRECTORY : S_ISREG(status.st_mode) ? REGULAR : OTHER;
}

static bool is_self_or_parent(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* NULL at the end, after an error, and when the walk is to stop. */
static const struct dirent *next_entry(walk_t *walk)
{
    const struct dirent *entry;
    do {
        if (stopped(walk))
            return NULL;
        errno = 0;
        entry = readdir(innermost(walk)->stream);
    } while (entry != NULL && is_self_or_parent(entry->d_name));

    if (entry == NULL && errno != 0)
        level_failed(walk, errno);
    return entry;
}

/* Hands files of the innermost level to the visitor up to its next subdirectory, whose
 * path is walk->path then. */
static bool read_on(walk_t *walk)
{
    const level_t *level = innermost(walk);
    const struct dirent *entry;
    while ((entry = next_entry(walk)) != NULL) {
        if (!put(&walk->path, level->path_length, entry->d_name)) {
            level_failed(walk, ENOMEM);
            continue;
        }
        kind_t kind = kind_of(dirfd(level->stream), entry);
        if (kind == DIRECTORY)
            return true;
        if (kind == REGULAR)
            walk->visitor->file(walk->visitor->user, walk->path.bytes);
    }
    return false;
}

static void read_to_the_end(walk_t *walk)
{
    level_t *level = innermost(walk);
    while (read_on(walk)) {
        if (!put(&level->saved, level->saved.used, walk->path.bytes + level->path_length))
            failed(walk, ENOMEM);
    }
    closedir(level->stream);
    level->stream = NULL;
}

static bool take_saved(walk_t *walk)
{
    level_t *level = innermost(walk);
    if (level->saved.used == 0 || stopped(walk))
        return false;
    size_t start = level->saved.used - 1;
    while (start > 0 && level->saved.bytes[start - 1] != '\0')
        start--;
    level->saved.used = start;
    /* Has room: this path has been in walk->path before. */
    return put(&walk->path, level->path_length, level->saved.bytes + start);
}

/* ---- Levels ------------------------------------------------------------------------ */

static bool reserve_level(walk_t *walk)
{
    if (walk->depth < walk->levels_room)
        return true;
    size_t room = 2 * walk->depth + OPEN_LEVELS;
    level_t *levels = realloc(walk->levels, room * sizeof(*levels));
    if (levels == NULL)
        return false;
    walk->levels = levels;
    walk->levels_room = room;
    return true;
}

/* Adds a level for the directory at walk->path, open on `fd`, which it takes. */
static bool push(walk_t *walk, int fd)
{
    size_t length = strlen(walk->path.bytes);
    if (!reserve_level(walk) || !put(&walk->path, length, length > 0 ? "/" : ""))
        goto undo_fd;
    DIR *stream = fdopendir(fd);
    if (stream == NULL)
        goto undo_fd;
    length = strlen(walk->path.bytes);
    walk->levels[walk->depth++] = (level_t){.stream = stream, .path_length = length};
    return true;

undo_fd:
    close_quietly(fd);
    return false;
}

static void pop(walk_t *walk)
{
    level_t *level = innermost(walk);
    if (level->stream != NULL)
        closedir(level->stream);
    free(level->saved.bytes);
    walk->depth--;
}

static void enter(walk_t *walk, int fd)
{
    if (fd < 0 || !push(walk, fd))
        failed(walk, errno);
    else if (walk->depth > OPEN_LEVELS)
        read_to_the_end(walk);
}

static bool next_directory(walk_t *walk)
{
    return innermost(walk)->stream != NULL ? read_on(walk) : take_saved(walk);
}

void walk_tree(int root, const walk_visitor_t *visitor)
{
    walk_t walk = {.visitor = visitor};
    if (!put(&walk.path, 0, "")) {
        visitor->failed(visitor->user, "", ENOMEM);
        return;
    }
    /* "." and not a dup, which would share its place in the directory with `root`. */
    enter(&walk, openat(root, ".", DIRECTORY_FLAGS));
    while (walk.depth > 0) {
        if (next_directory(&walk))
            enter(&walk, open_directory(&walk));
        else
            pop(&walk);
    }
    free(walk.levels);
    free(walk.path.bytes);
}
