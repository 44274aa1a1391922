/* Faults that the system itself makes: no more threads for this user, no address space, no
 * more tasks in the cgroup. The service goes on with the workers that it has, says so once,
 * and grows again when it may. Each is tried in a child, which alone is limited. */
#define _GNU_SOURCE
#include "faults.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CAP = 64, QUEUE = 64, TASKS = 40, WORKERS = 3, IMPOSSIBLE = 77 };

/* How many threads of the child, from now on, there may be; false: that cannot be set. */
typedef bool (*limit_fn)(int threads);

/* What the test needs cannot be had here; a reason, for whoever reads the output. */
static void impossible(const char *why)
{
    dprintf(STDERR_FILENO, "%s", why);
    child_end(IMPOSSIBLE);
}

static void run_limited(void (*body)(void *), void *arg)
{
    child_t child = child_run(body, arg);
    if (child.status != IMPOSSIBLE << 8) {
        assert_true(child_exited(&child, 0));
        return;
    }
    print_message("skipped: %s\n", child.output);
    skip();
}

#define child_ok(call) child_assert((call) == POOL_OK)

/* ---- What must hold, whoever limits ------------------------------------------------------ */

static pool_t *make_limited_pool(atomic_int *lines, size_t stack)
{
    pool_t *pool = NULL;
    child_ok(pool_new_with(&pool, CAP, pool_with_queue(QUEUE), pool_with_stack_size(stack),
                           pool_with_logger(count_logger, lines)));
    return pool;
}

static void submit_to_gate(pool_t *pool, gate_t *gate, int n)
{
    for (int i = 0; i < n; i++)
        child_ok(pool_submit(pool, gate_task, gate));
}

/* All tasks are accepted, those for whom there is no worker are queued, and it was told once. */
static void goes_on_with(pool_t *pool, gate_t *gate, int least, int most, atomic_int *lines)
{
    child_assert(gate_await(gate, least));
    child_assert(reaches(lines, 1));
    int workers = pool_workers(pool);
    child_assert(workers >= least && workers <= most);
    child_assert(gate_await(gate, workers));
    child_assert(pool_running(pool) == workers);
    child_assert(pool_queued(pool) == TASKS - workers);
    child_assert(pool_free_slots(pool) == CAP + QUEUE - TASKS);
    child_assert(pool_waiting(pool) == 0 && pool_idle(pool) == 0);
    gate_let(gate, 1);
    child_assert(gate_await(gate, workers + 1)); /* the next has its turn */
    child_assert(pool_workers(pool) == workers && pool_queued(pool) == TASKS - workers - 1);
    child_assert(atomic_load(lines) == 1);
}

/* One more submit, and all that are queued get a worker of their own. */
static void grows_again(pool_t *pool, gate_t *gate)
{
    submit_to_gate(pool, gate, 1);
    child_assert(gate_await(gate, TASKS + 1));
    child_assert(pool_workers(pool) == TASKS && pool_running(pool) == TASKS);
    child_assert(pool_queued(pool) == 0);
}

/* A new lack is a new line. */
static void says_so_again(pool_t *pool, gate_t *gate, atomic_int *lines)
{
    submit_to_gate(pool, gate, 2);
    child_assert(reaches(lines, 2));
    child_assert(pool_workers(pool) == TASKS && pool_queued(pool) == 2);
}

/* With room for WORKERS beside the janitor; a sanitizer may have a thread more or less. */
static void few_threads(limit_fn limit)
{
    gate_t gate = GATE_CLOSED;
    atomic_int lines = 0;
    int before = count_threads(), play = UNDER_TSAN ? 1 : 0;
    if (!limit(before + 1 + WORKERS))
        impossible("the limit cannot be set");
    pool_t *pool = make_limited_pool(&lines, POOL_STACK_DEFAULT);
    submit_to_gate(pool, &gate, TASKS);
    goes_on_with(pool, &gate, WORKERS - play, WORKERS + play, &lines);
    child_assert(limit(before + 10 * TASKS));
    grows_again(pool, &gate);
    child_assert(limit(before));
    says_so_again(pool, &gate, &lines);
    gate_open(&gate);
    child_ok(pool_destroy(pool));
    child_assert(gate.arrived == TASKS + 3);
}

/* ---- RLIMIT_NPROC ------------------------------------------------------------------------- */

static bool limit_user(int threads)
{
    struct rlimit limit = {(rlim_t)threads, RLIM_INFINITY};
    return getrlimit(RLIMIT_NPROC, &limit) == 0 &&
           (limit.rlim_cur = (rlim_t)threads) <= limit.rlim_max &&
           setrlimit(RLIMIT_NPROC, &limit) == 0;
}

/* A user that nobody is: the limit counts all threads of the user, and does not bind root. */
static void become_nobody(void)
{
    uid_t uid = (uid_t)(1000000 + getpid() % 1000000);
    if (geteuid() != 0)
        impossible("only root can become a user without other threads");
    if (setresuid(uid, uid, uid) != 0)
        impossible("there are no other users here");
}

static void limited_by_user(void *unused)
{
    (void)unused;
    become_nobody();
    few_threads(limit_user);
}

static void test_no_more_threads_for_the_user(void **state)
{
    (void)state;
    run_limited(limited_by_user, NULL);
}

/* Not even one worker, or not even the janitor. */
static void no_threads_at_all(void *unused)
{
    (void)unused;
    pool_t *pool = NULL;
    atomic_int lines = 0, ran = 0;
    become_nobody();
    int before = count_threads();
    child_assert(limit_user(before));
    child_assert(pool_new(&pool, 1) == POOL_ERR_NO_THREAD);
    child_assert(pool == NULL);
    child_assert(limit_user(before + 1));
    pool = make_limited_pool(&lines, POOL_STACK_DEFAULT);
    for (int i = 0; i < 5; i++)
        child_assert(pool_submit(pool, count_task, &ran) == POOL_ERR_NO_THREAD);
    child_assert(pool_queued(pool) == 0 && pool_workers(pool) == 0);
    child_assert(atomic_load(&lines) == 1);
    child_assert(limit_user(before + 2));
    child_ok(pool_submit(pool, count_task, &ran));
    child_ok(pool_destroy(pool));
    child_assert(atomic_load(&ran) == 1);
}

static void test_no_thread_at_all_for_the_user(void **state)
{
    (void)state;
    if (UNDER_TSAN)
        skip(); /* it has threads that come and go */
    run_limited(no_threads_at_all, NULL);
}

/* ---- RLIMIT_AS: ulimit -v ------------------------------------------------------------------- */

static rlim_t address_space_in_use(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%lu", &pages) != 1)
        impossible("/proc does not say how much address space is in use");
    fclose(file);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void limit_address_space(rlim_t more)
{
    struct rlimit limit;
    child_assert(getrlimit(RLIMIT_AS, &limit) == 0);
    limit.rlim_cur = more == RLIM_INFINITY ? limit.rlim_max : address_space_in_use() + more;
    child_assert(setrlimit(RLIMIT_AS, &limit) == 0);
}

enum { STACK = 1 << 20 };

/* Room for three stacks and a little more. */
static void limited_by_address_space(void *unused)
{
    (void)unused;
    gate_t gate = GATE_CLOSED;
    atomic_int lines = 0;
    pool_t *pool = make_limited_pool(&lines, STACK), *other = NULL;
    limit_address_space((rlim_t)STACK * WORKERS + STACK / 2);
    submit_to_gate(pool, &gate, TASKS);
    goes_on_with(pool, &gate, 1, WORKERS, &lines);
    child_assert(pool_new_with(&other, 1, pool_with_queue(1 << 23)) == POOL_ERR_NO_MEMORY);
    child_assert(other == NULL);
    limit_address_space(RLIM_INFINITY);
    grows_again(pool, &gate);
    gate_open(&gate);
    child_ok(pool_destroy(pool));
    child_assert(gate.arrived == TASKS + 1);
}

static void test_no_more_address_space(void **state)
{
    (void)state;
    if (UNDER_TSAN || UNDER_ASAN) {
        print_message("skipped: a sanitizer needs the address space\n");
        skip();
    }
    run_limited(limited_by_address_space, NULL);
}

/* ---- pids.max of a cgroup -------------------------------------------------------------------- */

static char group[PATH_MAX]; /* the folder of a cgroup for the child */

static bool write_to(const char *folder, const char *name, const char *text)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    bool written = file != NULL && fputs(text, file) >= 0;
    return file != NULL && fclose(file) == 0 && written;
}

static bool limit_group(int threads)
{
    char text[16];
    snprintf(text, sizeof text, "%d", threads);
    return write_to(group, "pids.max", text);
}

/* In version 2 the controller has to be handed on to the new group. */
static bool make_group_in(const char *mount, const char *path)
{
    char parent[PATH_MAX - 64];
    snprintf(parent, sizeof parent, "%s%s", mount, path);
    snprintf(group, sizeof group, "%s/antpool-test-%d", parent, (int)getpid());
    write_to(parent, "cgroup.subtree_control", "+pids");
    if (mkdir(group, 0755) != 0)
        return false;
    if (limit_group(1000))
        return true;
    rmdir(group);
    return false;
}

/* A line of /proc/self/cgroup is "7:pids:/path", or "0::/path" in version 2. */
static bool make_group_of(const char *line)
{
    const char *path = strrchr(line, ':');
    if (path == NULL)
        return false;
    if (strstr(line, ":pids:") != NULL)
        return make_group_in("/sys/fs/cgroup/pids", path + 1);
    return strncmp(line, "0::", 3) == 0 && make_group_in("/sys/fs/cgroup", path + 1);
}

static bool make_group(void)
{
    char line[PATH_MAX / 2];
    bool made = false;
    FILE *groups = fopen("/proc/self/cgroup", "r");
    while (groups != NULL && !made && fgets(line, sizeof line, groups) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        made = make_group_of(line);
    }
    if (groups != NULL)
        fclose(groups);
    return made;
}

static void limited_by_cgroup(void *unused)
{
    (void)unused;
    if (!write_to(group, "cgroup.procs", "0"))
        impossible("a process cannot be moved to a cgroup of ours");
    few_threads(limit_group);
}

static bool group_is_gone(void *unused)
{
    (void)unused;
    return rmdir(group) == 0;
}

static void test_no_more_tasks_in_the_cgroup(void **state)
{
    (void)state;
    if (!make_group()) {
        print_message("skipped: a cgroup with pids.max cannot be made\n");
        skip();
    }
    child_t child = child_run(limited_by_cgroup, NULL);
    assert_true(eventually(group_is_gone, NULL, PATIENCE_MS));
    assert_true(child_exited(&child, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_no_more_threads_for_the_user),
        checked(test_no_thread_at_all_for_the_user),
        checked(test_no_more_address_space),
        checked(test_no_more_tasks_in_the_cgroup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
