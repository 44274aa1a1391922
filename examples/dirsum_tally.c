#define _POSIX_C_SOURCE 200809L

#include "dirsum_tally.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dirsum_walk.h"

enum { LINE_WIDTH = 79 };

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

uint64_t tally_value(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* ---- Messages ---------------------------------------------------------------------- */

void tally_show_progress(const char *text)
{
    fprintf(stderr, "\r%-*.*s", LINE_WIDTH, LINE_WIDTH, text);
    fflush(stderr);
}

void tally_erase_progress(const tally_t *tally)
{
    if (tally->progress)
        fprintf(stderr, "\r%*s\r", LINE_WIDTH, "");
}

/* A name may hold any byte: what could command a terminal or break a line is escaped. */
static void print_name(FILE *file, const char *name)
{
    for (; *name != '\0'; name++) {
        unsigned char byte = (unsigned char)*name;
        if (byte < ' ' || byte == 0x7f || byte == '\\')
            fprintf(file, "\\%03o", byte);
        else
            putc(byte, file);
    }
}

/* A line to stderr, whole even when several workers complain at once. */
static void complain(const tally_t *tally, const char *path, const char *why)
{
    flockfile(stderr);
    tally_erase_progress(tally);
    fputs("dirsum: ", stderr);
    print_name(stderr, tally->root_name);
    if (path[0] != '\0')
        putc('/', stderr);
    print_name(stderr, path);
    fprintf(stderr, ": %s\n", why);
    funlockfile(stderr);
}

void tally_unreadable(tally_t *tally, const char *path, const char *why)
{
    add(&tally->unreadable, 1);
    if (!tally->quiet)
        complain(tally, path, why);
}

void tally_failed(tally_t *tally, const char *path, int error)
{
    char why[128];
    if (error == ENOENT || error == ENOTDIR || error == ELOOP)
        add(&tally->vanished, 1);
    else if (strerror_r(error, why, sizeof(why)) == 0)
        tally_unreadable(tally, path, why);
    else
        tally_unreadable(tally, path, "cannot be read");
}

/* ---- Reading a file ---------------------------------------------------------------- */

#define FNV_OFFSET UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

static uint64_t fnv1a(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * FNV_PRIME;
    return hash;
}

/* The finalizer of MurmurHash3: makes a sum of hashes as good as a hash. */
static uint64_t spread(uint64_t hash)
{
    hash = (hash ^ (hash >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    hash = (hash ^ (hash >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
    return hash ^ (hash >> 33);
}

static ssize_t read_block(int fd, unsigned char *block)
{
    ssize_t got;
    do {
        got = read(fd, block, TALLY_BLOCK);
    } while (got < 0 && errno == EINTR);
    return got;
}

/* 0 or an errno; the tally counts a file whole or not at all. */
static int add_open_file(tally_t *tally, const char *path, int fd, unsigned char *block)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return errno;
    if (!S_ISREG(status.st_mode))
        return ENOENT; /* something else has taken its name */

    uint64_t hash = fnv1a(FNV_OFFSET, path, strlen(path) + 1);
    uint64_t size = 0;
    ssize_t got;
    while ((got = read_block(fd, block)) > 0) {
        hash = fnv1a(hash, block, (size_t)got);
        size += (uint64_t)got;
    }
    if (got < 0)
        return errno;
    add(&tally->files, 1);
    add(&tally->bytes, size);
    add(&tally->checksum, spread(hash));
    return 0;
}

void tally_file(tally_t *tally, const char *path, unsigned char *block)
{
    /* O_NONBLOCK: a FIFO that has taken the name must not hold the thread. */
    int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    int fd = walk_open(tally->root, path, flags);
    int error = fd < 0 ? errno : add_open_file(tally, path, fd, block);
    if (fd >= 0)
        close(fd);
    if (error != 0)
        tally_failed(tally, path, error);
}
