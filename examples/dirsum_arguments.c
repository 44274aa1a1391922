#define _XOPEN_SOURCE 700
#define _DARWIN_C_SOURCE /* _SC_NPROCESSORS_ONLN */

#include "dirsum_arguments.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "dirsum_walk.h"

enum { EXIT_USAGE = 2 };
enum { CAP_MAX = 10000, QUEUE_MAX = 1000000, QUEUE_DEFAULT = 256 };

static const char help[] =
    "usage: dirsum [--cap N] [--queue N] [--verify] DIR\n"
    "\n"
    "Reads every regular file below DIR through a pool of threads and prints how many there\n"
    "are, their bytes, the speed, and a checksum of all their names and contents, the same\n"
    "for every copy of the tree. Symbolic links below DIR are neither followed nor summed.\n"
    "\n"
    "  --cap N    files read at once, 1 to 10000; default: twice the number of processors\n"
    "  --queue N  files that may wait for a worker, 0 to 1000000; default: 256\n"
    "  --verify   do it all again in one thread and compare\n"
    "  --help     print this and exit\n"
    "\n"
    "Exit status: 0 all was read; 1 something was not, or --verify found a difference;\n"
    "2 the arguments are wrong; 130 stopped by SIGINT; 143 stopped by SIGTERM.\n";

static _Noreturn void die_of_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("dirsum: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\n", stderr);
    va_end(args);
    exit(EXIT_USAGE);
}

static int number(const char *option, const char *text, int min, int max)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    bool digits = text[0] >= '0' && text[0] <= '9' && *end == '\0';
    if (!digits || errno != 0 || n < min || n > max)
        die_of_usage("%s '%s': a whole number from %d to %d is accepted", option, text, min, max);
    return (int)n;
}

/* The value of "--option N" or "--option=N" at **argv, which moves on to its last word;
 * NULL if another argument is there. */
static const char *value_of(char ***argv, const char *option)
{
    const char *argument = **argv;
    size_t length = strlen(option);
    if (strncmp(argument, option, length) != 0)
        return NULL;
    if (argument[length] == '=')
        return argument + length + 1;
    if (argument[length] != '\0')
        return NULL;
    if ((*argv)[1] == NULL)
        die_of_usage("%s: a number is missing after it", option);
    return *++*argv;
}

static void set_root(settings_t *settings, const char *name)
{
    if (settings->root_name != NULL)
        die_of_usage("'%s': one DIR is accepted, and '%s' is it", name, settings->root_name);
    settings->root_name = name;
}

static int processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > CAP_MAX / 2 ? CAP_MAX / 2 : (int)n;
}

static void print_help(void)
{
    exit(fputs(help, stdout) < 0 || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

static void read_option(settings_t *settings, char ***argv)
{
    const char *option = **argv;
    const char *value;
    if ((value = value_of(argv, "--cap")) != NULL)
        settings->cap = number("--cap", value, 1, CAP_MAX);
    else if ((value = value_of(argv, "--queue")) != NULL)
        settings->queue = number("--queue", value, 0, QUEUE_MAX);
    else if (strcmp(option, "--verify") == 0)
        settings->verify = true;
    else if (strcmp(option, "--help") == 0)
        print_help();
    else
        die_of_usage("%s: --cap N, --queue N, --verify, --help and one DIR are accepted", option);
}

static int open_root(const char *name)
{
    int root = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        die_of_usage("DIR '%s': %s; a directory that can be read is accepted", name,
                     strerror(errno));
    return root;
}

/* A worker has one file open, or two descriptors on the way to it. */
static void reserve_descriptors(int cap)
{
    rlim_t needed = 2 * (rlim_t)cap + WALK_DESCRIPTORS + 16;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
        return;
    if (limit.rlim_max < needed)
        die_of_usage("--cap %d: it needs %ju open files, and the system allows %ju (ulimit -n)",
                     cap, (uintmax_t)needed, (uintmax_t)limit.rlim_max);
    limit.rlim_cur = needed;
    setrlimit(RLIMIT_NOFILE, &limit);
}

settings_t dirsum_arguments(char **argv)
{
    settings_t settings = {.cap = 2 * processors(), .queue = QUEUE_DEFAULT};
    bool options = true;
    while (*++argv != NULL) {
        if (!options || (*argv)[0] != '-')
            set_root(&settings, *argv);
        else if (strcmp(*argv, "--") == 0)
            options = false;
        else
            read_option(&settings, &argv);
    }
    if (settings.root_name == NULL)
        die_of_usage("DIR is missing: one directory is accepted (see --help)");
    settings.root = open_root(settings.root_name);
    reserve_descriptors(settings.cap);
    return settings;
}
