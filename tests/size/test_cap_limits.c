/* What the machine allows, looked at in a tree of files that the test writes, and limits of a cap. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cap_limits.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))
#define NONE ((double)INFINITY)
#define GIB 0x1p30
#define assert_contains(text, part) assert_non_null(strstr(text, part))

static void assert_same(double value, double expected)
{
    if (value != expected)
        fail_msg("%.17g is not %.17g", value, expected);
}

/* ---- A tree of files ------------------------------------------------------------------------ */

static char root[64];

static int make_root(void **state)
{
    (void)state;
    strcpy(root, "/tmp/test_limits.XXXXXX");
    return mkdtemp(root) == NULL;
}

static int remove_one(const char *path, const struct stat *status, int flag, struct FTW *where)
{
    (void)status, (void)flag, (void)where;
    return remove(path);
}

static int remove_root(void **state)
{
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* ---- Processors ----------------------------------------------------------------------------- */

static cpu_set_t allowed; /* before a test */

static int pin_to_one(void **state)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    if (make_root(state) != 0 || sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return -1;
    for (size_t i = 0; CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &allowed))
            CPU_SET(i, &one);
    return sched_setaffinity(0, sizeof one, &one);
}

static int unpin(void **state)
{
    return sched_setaffinity(0, sizeof allowed, &allowed) | remove_root(state);
}

static double affine(void)
{
    cpu_set_t set;
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    return CPU_COUNT(&set);
}

static void test_cores_are_those_of_the_affinity_mask(void **state)
{
    (void)state;
    struct machine machine = machine_look(root);
    assert_same(machine.cores, 1);
    assert_string_equal(machine.cores_by, sysconf(_SC_NPROCESSORS_ONLN) > 1 ? "affinity mask" : "machine");
}

static void test_cores_without_a_mask_and_a_quota_are_the_machine(void **state)
{
    (void)state;
    if (affine() < (double)sysconf(_SC_NPROCESSORS_ONLN))
        skip();
    struct machine machine = machine_look(root);
    assert_same(machine.cores, affine());
    assert_string_equal(machine.cores_by, "machine");
}

static void test_quota_below_the_mask_decides(void **state)
{
    (void)state;
    put("proc/self/cgroup", "0::/\n");
    put("sys/fs/cgroup/cpu.max", "50000 100000\n");
    struct machine machine = machine_look(root);
    assert_same(machine.cores, 0.5);
    assert_string_equal(machine.cores_by, "cgroup quota");
}

static void test_quota_of_one_and_a_half_processors(void **state)
{
    (void)state;
    if (affine() < 2)
        skip();
    put("proc/self/cgroup", "0::/\n");
    put("sys/fs/cgroup/cpu.max", "150000 100000\n");
    assert_same(machine_look(root).cores, 1.5);
}

static void test_mask_below_the_quota_decides(void **state)
{
    (void)state;
    put("proc/self/cgroup", "0::/\n");
    put("sys/fs/cgroup/cpu.max", "150000 100000\n");
    struct machine machine = machine_look(root);
    assert_same(machine.cores, 1);
    assert_string_not_equal(machine.cores_by, "cgroup quota");
}

static void test_quota_of_all_processors_is_none(void **state)
{
    (void)state;
    put("proc/self/cgroup", "0::/\n");
    put("sys/fs/cgroup/cpu.max", "100000 100000\n");
    assert_string_not_equal(machine_look(root).cores_by, "cgroup quota");
}

static void test_quota_of_v1(void **state)
{
    (void)state;
    put("proc/self/cgroup", "4:cpu,cpuacct:/service\n");
    put("sys/fs/cgroup/cpu/service/cpu.cfs_quota_us", "25000\n");
    put("sys/fs/cgroup/cpu/service/cpu.cfs_period_us", "100000\n");
    assert_same(machine_look(root).cores, 0.25);
}

static void test_quota_of_v1_where_controllers_share_a_mount(void **state)
{
    (void)state;
    put("proc/self/cgroup", "4:cpu,cpuacct:/service\n");
    put("sys/fs/cgroup/cpu,cpuacct/service/cpu.cfs_quota_us", "25000\n");
    put("sys/fs/cgroup/cpu,cpuacct/service/cpu.cfs_period_us", "100000\n");
    assert_same(machine_look(root).cores, 0.25);
}

static void test_quota_that_cannot_be_understood_is_none(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "max 100000\n", "", "\n", "50000\n", "50000 0\n", "0 100000\n", "-1 100000\n", "half of it",
        "50000 max\n", "50000x 100000\n", " 50000 100000\n", "50000  100000\n",
    };
    put("proc/self/cgroup", "0::/\n");
    for (size_t i = 0; i < LENGTH(texts); i++) {
        put("sys/fs/cgroup/cpu.max", texts[i]);
        assert_same(machine_look(root).cores, affine());
    }
}

static void test_quota_of_v1_that_is_not_set_is_none(void **state)
{
    (void)state;
    put("proc/self/cgroup", "1:cpu:/\n");
    put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_same(machine_look(root).cores, affine());
}

/* ---- The cgroup's levels -------------------------------------------------------------------- */

static void test_v2_limits_are_read_at_the_group(void **state)
{
    (void)state;
    put("proc/self/cgroup", "0::/system.slice/service\n");
    put("sys/fs/cgroup/system.slice/service/memory.max", "1073741824\n");
    put("sys/fs/cgroup/system.slice/service/pids.max", "500\n");
    put("sys/fs/cgroup/system.slice/service/pids.current", "20\n");
    struct machine machine = machine_look(root);
    assert_same(machine.memory, GIB);
    assert_same(machine.pids_max, 500);
    assert_same(machine.pids_current, 20);
}

static void test_limits_of_a_parent_count(void **state)
{
    (void)state;
    put("proc/self/cgroup", "0::/a/b/c\n");
    put("sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
    put("sys/fs/cgroup/a/b/c/memory.max", "max\n");
    put("sys/fs/cgroup/a/b/cpu.max", "90000 100000\n");
    put("sys/fs/cgroup/a/cpu.max", "20000 100000\n");
    put("sys/fs/cgroup/a/memory.max", "4096\n");
    struct machine machine = machine_look(root);
    assert_same(machine.cores, 0.2);
    assert_same(machine.memory, 4096);
}

static void test_limits_of_other_groups_do_not_count(void **state)
{
    (void)state;
    put("proc/self/cgroup", "0::/a/b\n");
    put("sys/fs/cgroup/a/b/memory.max", "max\n");
    put("sys/fs/cgroup/a/other/memory.max", "4096\n");
    put("sys/fs/cgroup/a/b/below/memory.max", "4096\n");
    assert_same(machine_look(root).memory, NONE);
}

/* The tightest leaves the fewest: 100 − 10, not 95 − 0 or 1000 − 0. */
static void test_pids_of_the_level_that_leaves_fewest_count(void **state)
{
    (void)state;
    put("proc/self/cgroup", "0::/a/b\n");
    put("sys/fs/cgroup/a/b/pids.max", "95\n");
    put("sys/fs/cgroup/a/b/pids.current", "1\n");
    put("sys/fs/cgroup/a/pids.max", "100\n");
    put("sys/fs/cgroup/a/pids.current", "10\n");
    put("sys/fs/cgroup/pids.max", "1000\n");
    struct machine machine = machine_look(root);
    assert_same(machine.pids_max, 100);
    assert_same(machine.pids_current, 10);
}

static void test_v1_limits_are_read_in_their_hierarchies(void **state)
{
    (void)state;
    put("proc/self/cgroup", "9:name=systemd:/x\n8:pids:/p\n4:memory:/m/n\n0::/\n");
    put("sys/fs/cgroup/memory/m/n/memory.limit_in_bytes", "2147483648\n");
    put("sys/fs/cgroup/memory/m/memory.limit_in_bytes", "1073741824\n");
    put("sys/fs/cgroup/pids/p/pids.max", "64\n");
    put("sys/fs/cgroup/pids/p/pids.current", "8\n");
    struct machine machine = machine_look(root);
    assert_same(machine.memory, GIB);
    assert_same(machine.pids_max, 64);
    assert_same(machine.pids_current, 8);
}

static void test_v2_beside_v1_counts(void **state)
{
    (void)state;
    put("proc/self/cgroup", "8:pids:/p\n0::/service\n");
    put("sys/fs/cgroup/unified/service/memory.max", "4096\n");
    put("sys/fs/cgroup/pids/p/pids.max", "64\n");
    struct machine machine = machine_look(root);
    assert_same(machine.memory, 4096);
    assert_same(machine.pids_max, 64);
}

static void test_path_that_is_not_there_means_the_mount(void **state)
{
    (void)state;
    put("proc/self/cgroup", "4:memory:/docker/0123456789\n0::/docker/0123456789\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "8192\n");
    put("sys/fs/cgroup/pids.max", "64\n");
    struct machine machine = machine_look(root);
    assert_same(machine.memory, 8192);
    assert_same(machine.pids_max, 64);
}

static void test_path_outside_of_the_mount_means_the_mount(void **state)
{
    (void)state;
    put("proc/self/cgroup", "0::/../../elsewhere\n");
    put("elsewhere/memory.max", "1\n");
    put("sys/fs/elsewhere/memory.max", "1\n");
    put("sys/elsewhere/memory.max", "1\n");
    put("sys/fs/cgroup/memory.max", "8192\n");
    assert_same(machine_look(root).memory, 8192);
}

static void test_line_of_a_cgroup_that_cannot_be_understood_is_skipped(void **state)
{
    (void)state;
    put("proc/self/cgroup", "\nnothing\n1:memory\n:::\n0::relative\n0::/a\n");
    put("sys/fs/cgroup/a/memory.max", "4096\n");
    put("sys/fs/cgrouprelative/memory.max", "1\n");
    assert_same(machine_look(root).memory, 4096);
}

static void test_very_long_path_does_no_harm(void **state)
{
    (void)state;
    static char name[20000], text[20100];
    memset(name, 'a', sizeof name - 1);
    snprintf(text, sizeof text, "0::/%s\n0::/\n", name);
    put("proc/self/cgroup", text);
    put("sys/fs/cgroup/memory.max", "4096\n");
    assert_same(machine_look(root).memory, 4096);
}

static void test_group_of_max_is_no_limit(void **state)
{
    (void)state;
    put("proc/self/cgroup", "0::/a\n");
    put("sys/fs/cgroup/a/memory.max", "max\n");
    put("sys/fs/cgroup/a/pids.max", "max\n");
    put("sys/fs/cgroup/a/pids.current", "20\n");
    struct machine machine = machine_look(root);
    assert_same(machine.memory, NONE);
    assert_same(machine.pids_max, NONE);
    assert_same(machine.pids_current, 0);
}

static void test_group_that_cannot_be_understood_is_no_limit(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n", "lots\n", "-5\n", "0x10\n", "12k\n", "1.5\n", " 5\n"};
    put("proc/self/cgroup", "0::/a\n");
    for (size_t i = 0; i < LENGTH(texts); i++) {
        put("sys/fs/cgroup/a/memory.max", texts[i]);
        put("sys/fs/cgroup/a/pids.max", texts[i]);
        assert_same(machine_look(root).memory, NONE);
        assert_same(machine_look(root).pids_max, NONE);
    }
}

/* ---- The rest of the machine ---------------------------------------------------------------- */

static void test_memory_is_that_of_the_machine(void **state)
{
    (void)state;
    put("proc/meminfo", "MemFree:            1000 kB\nMemTotal:       16384 kB\nMemTotalOther:   1 kB\n");
    assert_same(machine_look(root).memory, 16384 * 1024.0);
}

static void test_memory_of_an_unlimited_v1_group_is_that_of_the_machine(void **state)
{
    (void)state;
    put("proc/meminfo", "MemTotal:       16384 kB\n");
    put("proc/self/cgroup", "4:memory:/\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_same(machine_look(root).memory, 16384 * 1024.0);
}

static void test_settings_of_the_kernel(void **state)
{
    (void)state;
    put("proc/sys/vm/max_map_count", "65530\n");
    put("proc/sys/kernel/threads-max", "192730\n");
    put("proc/sys/kernel/pid_max", "32768\n");
    struct machine machine = machine_look(root);
    assert_same(machine.map_count, 65530);
    assert_same(machine.threads_max, 192730);
    assert_same(machine.pid_max, 32768);
}

static void test_machine_without_files_has_no_limits(void **state)
{
    (void)state;
    struct machine machine = machine_look(root);
    assert_same(machine.memory, NONE);
    assert_same(machine.pids_max, NONE);
    assert_same(machine.pids_current, 0);
    assert_same(machine.map_count, NONE);
    assert_same(machine.threads_max, NONE);
    assert_same(machine.pid_max, NONE);
    assert_same(machine.nproc_used, 0);
    assert_same(machine.cores, affine());
}

static void put_process(const char *process, unsigned uid, const char *threads)
{
    char name[64], text[256];
    snprintf(name, sizeof name, "proc/%s/status", process);
    snprintf(text, sizeof text, "Name:\tservice\nUid:\t%u\t9\t9\t9\nGroups:\t1 2 3\nThreads:\t%s\n", uid, threads);
    put(name, text);
}

static void test_threads_of_this_user_are_counted(void **state)
{
    (void)state;
    put_process("1", getuid(), "7");
    put_process("4711", getuid(), "30");
    put_process("4712", getuid() + 1, "500");    /* of another */
    put_process("self", getuid(), "7");          /* 1 again */
    put_process("4713", getuid(), "a thousand"); /* not understood */
    put("proc/4714/status", "Name:\tgone\n");
    put("proc/4715/comm", "gone\n");
    assert_same(machine_look(root).nproc_used, 37);
}

static struct rlimit before;

static int lower_nproc_and_make_root(void **state)
{
    struct rlimit lower;
    if (getrlimit(RLIMIT_NPROC, &before) != 0)
        return -1;
    lower = before;
    lower.rlim_cur = before.rlim_max < 12345 ? before.rlim_max : 12345;
    return setrlimit(RLIMIT_NPROC, &lower) | make_root(state);
}

static int restore_nproc_and_remove_root(void **state)
{
    return setrlimit(RLIMIT_NPROC, &before) | remove_root(state);
}

static double nproc_now(void)
{
    struct rlimit now;
    assert_int_equal(getrlimit(RLIMIT_NPROC, &now), 0);
    return (double)now.rlim_cur;
}

static void test_nproc_is_the_soft_limit(void **state)
{
    (void)state;
    put("proc/self/status", "CapEff:\t0000000000000000\n");
    assert_same(machine_look(root).nproc, getuid() == 0 ? NONE : nproc_now());
}

static void test_nproc_does_not_bind_who_may_exceed_it(void **state)
{
    (void)state;
    static const char *const sets[] = {"0000000001000000", "0000000000200000", "000001ffffffffff"};
    put("proc/self/uid_map", "         0          0 4294967295\n");
    for (size_t i = 0; i < LENGTH(sets); i++) {
        char text[64];
        snprintf(text, sizeof text, "CapEff:\t%s\n", sets[i]);
        put("proc/self/status", text);
        assert_same(machine_look(root).nproc, NONE);
    }
}

/* Nor root of a container without privileges. */
static void test_nproc_binds_all_in_a_user_namespace(void **state)
{
    (void)state;
    static const char *const maps[] = {"0 1000 1\n", "0 0 65536\n", "1000 0 4294967295\n", "what\n"};
    put("proc/self/status", "CapEff:\t000001ffffffffff\n");
    for (size_t i = 0; i < LENGTH(maps); i++) {
        put("proc/self/uid_map", maps[i]);
        assert_same(machine_look(root).nproc, nproc_now());
    }
}

static void test_nofile_is_the_soft_limit(void **state)
{
    (void)state;
    struct rlimit now, lower;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    lower = now;
    lower.rlim_cur = now.rlim_cur - 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &lower), 0);
    double nofile = machine_look(root).nofile;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
    assert_same(nofile, (double)lower.rlim_cur);
}

static void test_running_system_is_seen(void **state)
{
    (void)state;
    struct machine machine = machine_look("");
    assert_true(machine.cores > 0 && machine.cores <= affine());
    assert_true(machine.memory > 0x1p20 && isfinite(machine.memory));
    assert_true(machine.nproc_used >= 1);
    assert_true(machine.map_count > 0 && isfinite(machine.map_count));
    assert_true(machine.threads_max > 0 && isfinite(machine.threads_max));
    assert_true(machine.nofile > 0);
}

/* ---- Limits --------------------------------------------------------------------------------- */

static const struct machine large = {
    .cores = 8, .cores_by = "machine", .nproc = 4096, .nproc_used = 120, .pids_max = 2000, .pids_current = 100,
    .threads_max = 192730, .pid_max = 32768, .map_count = 65530, .nofile = 1024, .memory = 4 * GIB,
};

static const struct limit *find(const struct limits *limits, const char *name)
{
    for (int i = 0; i < limits->n; i++)
        if (strcmp(limits->of[i].name, name) == 0)
            return &limits->of[i];
    return NULL;
}

static struct limit limit_on(const struct machine *machine, struct needs needs, const char *name)
{
    struct limits limits = limits_of(machine, &needs);
    const struct limit *limit = find(&limits, name);
    assert_non_null(limit);
    return *limit;
}

static void test_memory_limit_is_what_is_given_by_what_a_task_takes(void **state)
{
    (void)state;
    struct limit limit = limit_on(&large, (struct needs){.memory = 2 * GIB, .per_task = 3 * 0x1p20}, "memory");
    assert_int_equal(limit.cap, 682);
    assert_true(limit.hard);
    assert_string_equal(limit.why, "2 GiB / 3 MiB a task");
}

static void test_memory_limit_takes_an_idle_worker_for_a_task_that_is_not_given(void **state)
{
    (void)state;
    struct limit limit = limit_on(&large, (struct needs){.memory = 0x1p20}, "memory");
    assert_int_equal(limit.cap, 102);
    assert_string_equal(limit.why, "1 MiB / 10 KiB an idle worker");
}

static void test_memory_limit_takes_the_machine_where_none_is_given(void **state)
{
    (void)state;
    struct limit limit = limit_on(&large, (struct needs){.per_task = 0x1p20}, "memory");
    assert_int_equal(limit.cap, 4096);
    assert_string_equal(limit.why, "4 GiB of the machine or cgroup / 1 MiB a task");
}

static void test_fds_limit_leaves_some_to_the_service(void **state)
{
    (void)state;
    struct limit limit = limit_on(&large, (struct needs){.fds_per_task = 7}, "fds");
    assert_int_equal(limit.cap, 137);
    assert_true(limit.hard);
    assert_string_equal(limit.why, "1024 descriptors, 64 kept, 7 a task");
}

static void test_cores_limit_is_by_computing_and_utilisation(void **state)
{
    (void)state;
    struct limit limit = limit_on(&large, (struct needs){.cpu_share = 0.1, .utilisation = 0.7}, "cores");
    assert_int_equal(limit.cap, 56); /* in doubles 55.999999999999993 */
    assert_true(limit.hard);
    assert_string_equal(limit.why, "8 cores by the machine x 70% utilisation / 10% of a task is computing");
}

static void test_cores_limit_without_utilisation_uses_them_all(void **state)
{
    (void)state;
    assert_int_equal(limit_on(&large, (struct needs){.cpu_share = 0.3}, "cores").cap, 26);
}

static void test_cores_limit_is_at_least_1(void **state)
{
    (void)state;
    struct machine small = large;
    small.cores = 0.5;
    assert_int_equal(limit_on(&small, (struct needs){.cpu_share = 1, .utilisation = 0.5}, "cores").cap, 1);
}

static void test_limits_of_no_needs_are_the_systems(void **state)
{
    (void)state;
    struct limits limits = limits_of(&large, &(struct needs){0});
    assert_int_equal(limits.n, 5);
    for (int i = 0; i < limits.n; i++)
        assert_false(limits.of[i].hard);
}

static void test_limits_of_all_needs_have_room(void **state)
{
    (void)state;
    struct limits limits = limits_of(&large, &(struct needs){GIB, 0x1p20, 2, 0.5, 0.8});
    assert_int_equal(limits.n, LIMITS_MAX);
}

static void test_system_limits(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        long cap;
        const char *why;
    } expected[] = {
        {"RLIMIT_NPROC", 3974, "4096, 120 in use, 2 kept"},
        {"pids.max", 1898, "2000, 100 in use, 2 kept"},
        {"vm.max_map_count", 32733, "65530 mappings, 64 kept, 2 a thread"},
        {"kernel.threads-max", 192608, "192730, 120 in use by this user, 2 kept"},
        {"kernel.pid_max", 32646, "32768, 120 in use by this user, 2 kept"},
        {"RLIMIT_NOFILE", 320, "1024 descriptors, 64 kept, 3 a task"},
    };
    for (size_t i = 0; i < LENGTH(expected); i++) {
        struct limit limit = limit_on(&large, (struct needs){.fds_per_task = 3}, expected[i].name);
        assert_int_equal(limit.cap, expected[i].cap);
        assert_string_equal(limit.why, expected[i].why);
        assert_false(limit.hard);
    }
}

static void test_limits_without_bound_allow_any_cap(void **state)
{
    (void)state;
    const struct machine boundless = {8, "machine", NONE, 5, NONE, 0, NONE, NONE, NONE, NONE, NONE};
    struct limits limits = limits_of(&boundless, &(struct needs){.per_task = 1, .fds_per_task = 1});
    for (int i = 0; i < limits.n; i++)
        assert_true(limits.of[i].cap == LONG_MAX);
}

static void test_limits_are_never_below_0(void **state)
{
    (void)state;
    const struct machine full = {8, "machine", 10, 20, 10, 10, 10, 10, 10, 10, 0};
    struct limits limits = limits_of(&full, &(struct needs){.per_task = 1, .fds_per_task = 1});
    for (int i = 0; i < limits.n; i++)
        assert_int_equal(limits.of[i].cap, 0);
}

static void test_hardest_is_the_tightest_hard_one(void **state)
{
    (void)state;
    struct limits limits = limits_of(&large, &(struct needs){GIB, 0x1p20, 2, 0.1, 1}); /* 1024, 480, 80 */
    assert_string_equal(limits_hardest(&limits)->name, "cores");
    limits = limits_of(&large, &(struct needs){.memory = GIB, .per_task = 0x1p20, .fds_per_task = 2});
    assert_string_equal(limits_hardest(&limits)->name, "fds");
}

static void test_hardest_of_none_is_none(void **state)
{
    (void)state;
    struct limits limits = limits_of(&large, &(struct needs){0});
    assert_null(limits_hardest(&limits));
}

/* ---- Warnings ------------------------------------------------------------------------------- */

static void test_warning_names_the_limit_and_what_to_do(void **state)
{
    (void)state;
    char text[512];
    struct limit limit = limit_on(&large, (struct needs){0}, "RLIMIT_NPROC");
    assert_true(limit_warning(&limit, 50000, text, sizeof text));
    assert_string_equal(text, "cap 50000 needs more threads than RLIMIT_NPROC allows (4096, 120 in use, 2 kept): "
                              "at most 3974; raise it with ulimit -u or LimitNPROC=");
}

static void test_warning_of_each_limit_says_what_to_do(void **state)
{
    (void)state;
    static const char *const remedies[][2] = {
        {"memory", "MemoryMax="},     {"fds", "ulimit -n"},      {"cores", "CPUQuota="},
        {"RLIMIT_NPROC", "ulimit -u"}, {"pids.max", "TasksMax="}, {"vm.max_map_count", "sysctl -w vm.max_map_count="},
        {"kernel.threads-max", "sysctl -w kernel.threads-max="}, {"RLIMIT_NOFILE", "LimitNOFILE="},
    };
    for (size_t i = 0; i < LENGTH(remedies); i++) {
        char text[512], numbers[64];
        struct limit limit = limit_on(&large, (struct needs){GIB, 0x1p20, 2, 0.5, 0.8}, remedies[i][0]);
        assert_true(limit_warning(&limit, 1000000, text, sizeof text));
        assert_contains(text, remedies[i][0]);
        assert_contains(text, remedies[i][1]);
        assert_contains(text, limit.why);
        snprintf(numbers, sizeof numbers, "at most %ld; ", limit.cap);
        assert_contains(text, numbers);
    }
}

static void test_warning_only_above_the_limit(void **state)
{
    (void)state;
    char text[512] = "as it was";
    struct limit limit = limit_on(&large, (struct needs){0}, "RLIMIT_NPROC");
    assert_false(limit_warning(&limit, 3974, text, sizeof text));
    assert_string_equal(text, "as it was");
    assert_true(limit_warning(&limit, 3975, text, sizeof text));
}

static void test_warning_is_cut_to_its_room(void **state)
{
    (void)state;
    char text[16] = "xxxxxxxxxxxxxxx";
    struct limit limit = limit_on(&large, (struct needs){0}, "RLIMIT_NPROC");
    assert_true(limit_warning(&limit, 50000, text, 10));
    assert_string_equal(text, "cap 50000");
    assert_int_equal(text[10], 'x');
}

#define in_tree(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)
#define on_one_processor(test) cmocka_unit_test_setup_teardown(test, pin_to_one, unpin)
#define with_nproc(test) \
    cmocka_unit_test_setup_teardown(test, lower_nproc_and_make_root, restore_nproc_and_remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        on_one_processor(test_cores_are_those_of_the_affinity_mask),
        in_tree(test_cores_without_a_mask_and_a_quota_are_the_machine),
        on_one_processor(test_quota_below_the_mask_decides),
        in_tree(test_quota_of_one_and_a_half_processors),
        on_one_processor(test_mask_below_the_quota_decides),
        on_one_processor(test_quota_of_all_processors_is_none),
        in_tree(test_quota_of_v1),
        in_tree(test_quota_of_v1_where_controllers_share_a_mount),
        in_tree(test_quota_that_cannot_be_understood_is_none),
        in_tree(test_quota_of_v1_that_is_not_set_is_none),
        in_tree(test_v2_limits_are_read_at_the_group),
        in_tree(test_limits_of_a_parent_count),
        in_tree(test_limits_of_other_groups_do_not_count),
        in_tree(test_pids_of_the_level_that_leaves_fewest_count),
        in_tree(test_v1_limits_are_read_in_their_hierarchies),
        in_tree(test_v2_beside_v1_counts),
        in_tree(test_path_that_is_not_there_means_the_mount),
        in_tree(test_path_outside_of_the_mount_means_the_mount),
        in_tree(test_line_of_a_cgroup_that_cannot_be_understood_is_skipped),
        in_tree(test_very_long_path_does_no_harm),
        in_tree(test_group_of_max_is_no_limit),
        in_tree(test_group_that_cannot_be_understood_is_no_limit),
        in_tree(test_memory_is_that_of_the_machine),
        in_tree(test_memory_of_an_unlimited_v1_group_is_that_of_the_machine),
        in_tree(test_settings_of_the_kernel),
        in_tree(test_machine_without_files_has_no_limits),
        in_tree(test_threads_of_this_user_are_counted),
        with_nproc(test_nproc_is_the_soft_limit),
        with_nproc(test_nproc_does_not_bind_who_may_exceed_it),
        with_nproc(test_nproc_binds_all_in_a_user_namespace),
        in_tree(test_nofile_is_the_soft_limit),
        cmocka_unit_test(test_running_system_is_seen),
        cmocka_unit_test(test_memory_limit_is_what_is_given_by_what_a_task_takes),
        cmocka_unit_test(test_memory_limit_takes_an_idle_worker_for_a_task_that_is_not_given),
        cmocka_unit_test(test_memory_limit_takes_the_machine_where_none_is_given),
        cmocka_unit_test(test_fds_limit_leaves_some_to_the_service),
        cmocka_unit_test(test_cores_limit_is_by_computing_and_utilisation),
        cmocka_unit_test(test_cores_limit_without_utilisation_uses_them_all),
        cmocka_unit_test(test_cores_limit_is_at_least_1),
        cmocka_unit_test(test_limits_of_no_needs_are_the_systems),
        cmocka_unit_test(test_limits_of_all_needs_have_room),
        cmocka_unit_test(test_system_limits),
        cmocka_unit_test(test_limits_without_bound_allow_any_cap),
        cmocka_unit_test(test_limits_are_never_below_0),
        cmocka_unit_test(test_hardest_is_the_tightest_hard_one),
        cmocka_unit_test(test_hardest_of_none_is_none),
        cmocka_unit_test(test_warning_names_the_limit_and_what_to_do),
        cmocka_unit_test(test_warning_of_each_limit_says_what_to_do),
        cmocka_unit_test(test_warning_only_above_the_limit),
        cmocka_unit_test(test_warning_is_cut_to_its_room),
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
