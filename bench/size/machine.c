#define _GNU_SOURCE
#include "machine.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static double tighter(double one, double other)
{
    return one < other ? one : other;
}

/* ---- Files ---------------------------------------------------------------------------------- */

#define PATH_ROOM 4096

__attribute__((format(printf, 1, 2))) static FILE *open_at(const char *format, ...)
{
    char path[PATH_ROOM];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    return length < 0 || length >= PATH_ROOM ? NULL : fopen(path, "r");
}

/* The first word as a whole number. INFINITY: it is "max", -1 or no number at all, so a file that
 * cannot be understood is no limit. */
static double number_of(const char *text)
{
    size_t n = strspn(text, "0123456789");
    bool is_number = n > 0 && strchr(" \t\n", text[n]) != NULL; /* the end of the text is found as well */
    return is_number ? strtod(text, NULL) : (double)INFINITY;
}

static bool read_line(FILE *file, char *line, int room)
{
    if (file == NULL)
        return false;
    bool got = fgets(line, room, file) != NULL;
    fclose(file);
    return got;
}

static double number_in(const char *folder, const char *name)
{
    char line[64];
    return read_line(open_at("%s/%s", folder, name), line, sizeof line) ? number_of(line) : (double)INFINITY;
}

/* What follows the word that a line of a file begins with, as "Threads:" in status; closes the file.
 * Lines may be long (the groups of a user), so they are read with getline. */
static bool read_entry(FILE *file, const char *word, char *entry, size_t room)
{
    char *line = NULL;
    size_t line_room = 0;
    bool found = false;
    while (file != NULL && !found && getline(&line, &line_room, file) > 0) {
        found = strncmp(line, word, strlen(word)) == 0;
        if (found)
            snprintf(entry, room, "%s", line + strlen(word) + strspn(line + strlen(word), " \t"));
    }
    free(line);
    if (file != NULL)
        fclose(file);
    return found;
}

/* ---- The cgroup ----------------------------------------------------------------------------- */

/* The tightest of all levels. */
struct group {
    double quota; /* in processors */
    double memory;
    double pids_max, pids_current;
};

static double share_of_period(double quota, double period)
{
    return isfinite(quota) && isfinite(period) && quota > 0 && period > 0 ? quota / period : (double)INFINITY;
}

static double quota_v2(const char *folder) /* "150000 100000" or "max 100000" */
{
    char line[64];
    if (!read_line(open_at("%s/cpu.max", folder), line, sizeof line))
        return (double)INFINITY;
    const char *period = strchr(line, ' ');
    return period == NULL ? (double)INFINITY : share_of_period(number_of(line), number_of(period + 1));
}

static double quota_v1(const char *folder)
{
    return share_of_period(number_in(folder, "cpu.cfs_quota_us"), number_in(folder, "cpu.cfs_period_us"));
}

static void look_at_pids(struct group *group, const char *folder)
{
    double max = number_in(folder, "pids.max"), current = number_in(folder, "pids.current");
    if (!isfinite(max))
        return;
    current = isfinite(current) ? current : 0;
    if (max - current >= group->pids_max - group->pids_current)
        return;
    group->pids_max = max;
    group->pids_current = current;
}

/* Whatever is there: the hierarchies of v1 have only files of their controllers. */
static void look_at_level(struct group *group, const char *folder)
{
    group->quota = tighter(group->quota, tighter(quota_v2(folder), quota_v1(folder)));
    group->memory = tighter(group->memory, number_in(folder, "memory.max"));
    group->memory = tighter(group->memory, number_in(folder, "memory.limit_in_bytes"));
    look_at_pids(group, folder);
}

/* From the group up to the mount. In a container the path may be one of the host's, which is not
 * seen there, or lie outside ("/../x"): then the mount itself is the container's group. */
static void look_at_hierarchy(struct group *group, const char *root, const char *mount, const char *path)
{
    char folder[PATH_ROOM];
    int top = snprintf(folder, sizeof folder, "%s/sys/fs/cgroup%s", root, mount);
    if (top < 0 || (size_t)top >= sizeof folder)
        return;
    if (path[0] == '/' && strstr(path, "/..") == NULL)
        snprintf(folder + top, sizeof folder - (size_t)top, "%s", path);
    for (char *slash = folder + strlen(folder); slash >= folder + top; slash--)
        if (*slash == '/' || *slash == '\0') {
            *slash = '\0';
            look_at_level(group, folder);
        }
}

/* A controller is mounted by its own name, by the names of all of its hierarchy, or both. */
static void look_at_controllers(struct group *group, const char *root, char *names, const char *path)
{
    char mount[256], *rest = NULL;
    snprintf(mount, sizeof mount, "/%s", names);
    look_at_hierarchy(group, root, mount, path);
    for (char *name = strtok_r(names, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest)) {
        snprintf(mount, sizeof mount, "/%s", name);
        look_at_hierarchy(group, root, mount, path);
    }
}

/* A line of /proc/self/cgroup: "4:cpu,cpuacct:/path" (v1) or "0::/path" (v2). */
static void look_at_line(struct group *group, const char *root, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    char *names = strchr(line, ':');
    char *path = names == NULL ? NULL : strchr(names + 1, ':');
    if (path == NULL)
        return;
    *path++ = '\0';
    if (*++names != '\0') {
        look_at_controllers(group, root, names, path);
        return;
    }
    look_at_hierarchy(group, root, "", path);
    look_at_hierarchy(group, root, "/unified", path); /* where v1 has the controllers and v2 is mounted beside it */
}

static struct group look_at_group(const char *root)
{
    struct group group = {(double)INFINITY, (double)INFINITY, (double)INFINITY, 0};
    FILE *file = open_at("%s/proc/self/cgroup", root);
    if (file == NULL)
        return group;
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, file) > 0)
        look_at_line(&group, root, line);
    free(line);
    fclose(file);
    return group;
}

/* ---- Processors ----------------------------------------------------------------------------- */

static double online_cores(void)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (double)online : 1;
}

static double affine_cores(void)
{
    cpu_set_t sets[16]; /* 16384 processors: the call fails if there may be more */
    CPU_ZERO_S(sizeof sets, sets);
    if (sched_getaffinity(0, sizeof sets, sets) != 0)
        return online_cores();
    return (double)CPU_COUNT_S(sizeof sets, sets);
}

static void look_at_cores(struct machine *machine, double quota)
{
    double affine = affine_cores();
    machine->cores = tighter(affine, quota);
    machine->cores_by = affine < online_cores() ? "affinity mask" : "machine";
    if (quota < affine)
        machine->cores_by = "cgroup quota";
}

/* ---- Threads of this user ------------------------------------------------------------------- */

static double entry_number(const char *root, const char *process, const char *word)
{
    char entry[64];
    bool found = read_entry(open_at("%s/proc/%s/status", root, process), word, entry, sizeof entry);
    return found ? number_of(entry) : (double)INFINITY;
}

/* 0 as well for a process that has ended meanwhile. */
static double threads_of_process(const char *root, const char *process, uid_t uid)
{
    if (!isdigit((unsigned char)process[0]) || entry_number(root, process, "Uid:") != (double)uid)
        return 0;
    double threads = entry_number(root, process, "Threads:");
    return isfinite(threads) ? threads : 0;
}

static double threads_of_user(const char *root, uid_t uid)
{
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "%s/proc", root);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return 0;
    double sum = 0;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        sum += threads_of_process(root, entry->d_name, uid);
    closedir(folder);
    return sum;
}

/* A user namespace of its own, as of a rootless container: root there is an ordinary user outside. */
static bool is_in_user_namespace(const char *root)
{
    char map[64];
    unsigned inside, outside, n;
    if (!read_line(open_at("%s/proc/self/uid_map", root), map, sizeof map))
        return false;
    return sscanf(map, "%u %u %u", &inside, &outside, &n) != 3 || inside != 0 || outside != 0 || n != UINT_MAX;
}

static bool has_capability(const char *root, int bit)
{
    char set[32] = "0";
    read_entry(open_at("%s/proc/self/status", root), "CapEff:", set, sizeof set);
    return (strtoull(set, NULL, 16) >> bit & 1) != 0;
}

/* Linux, copy_process(): it binds neither root nor who has one of two capabilities, but in a user
 * namespace it binds all. */
static bool may_exceed_nproc(const char *root)
{
    enum { SYS_ADMIN = 21, SYS_RESOURCE = 24 }; /* of linux/capability.h */
    if (is_in_user_namespace(root))
        return false;
    return getuid() == 0 || has_capability(root, SYS_ADMIN) || has_capability(root, SYS_RESOURCE);
}

/* failed: what getrlimit returned. */
static double soft(int failed, const struct rlimit *limit)
{
    return failed || limit->rlim_cur == RLIM_INFINITY ? (double)INFINITY : (double)limit->rlim_cur;
}

/* ---- The machine ---------------------------------------------------------------------------- */

static double memory_of_machine(const char *root)
{
    char entry[64];
    bool found = read_entry(open_at("%s/proc/meminfo", root), "MemTotal:", entry, sizeof entry);
    return found ? number_of(entry) * 1024 : (double)INFINITY; /* "16384 kB" */
}

static double setting(const char *root, const char *name)
{
    char folder[PATH_ROOM];
    snprintf(folder, sizeof folder, "%s/proc/sys", root);
    return number_in(folder, name);
}

struct machine machine_look(const char *root)
{
    struct group group = look_at_group(root);
    struct rlimit nproc, nofile;
    struct machine machine = {
        .nproc = may_exceed_nproc(root) ? (double)INFINITY : soft(getrlimit(RLIMIT_NPROC, &nproc), &nproc),
        .nproc_used = threads_of_user(root, getuid()),
        .pids_max = group.pids_max,
        .pids_current = group.pids_current,
        .threads_max = setting(root, "kernel/threads-max"),
        .pid_max = setting(root, "kernel/pid_max"),
        .map_count = setting(root, "vm/max_map_count"),
        .nofile = soft(getrlimit(RLIMIT_NOFILE, &nofile), &nofile),
        .memory = tighter(group.memory, memory_of_machine(root)),
    };
    look_at_cores(&machine, group.quota);
    return machine;
}
