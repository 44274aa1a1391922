/* The workers' threads: hooks, names, stacks, and those that are started early. */
#define _GNU_SOURCE
#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

/* ---- Hooks ---- */

/* What happened in one worker's thread. */
static _Thread_local struct {
    int starts, tasks, exits;
} mine;

static struct {
    atomic_int starts, exits, out_of_order; /* the last: anything that was not as it should be */
} hooks;

static void on_start(void *user)
{
    if (user != &hooks)
        atomic_fetch_add(&hooks.out_of_order, 1);
    if (mine.starts++ > 0 || mine.tasks > 0 || mine.exits > 0)
        atomic_fetch_add(&hooks.out_of_order, 1);
    atomic_fetch_add(&hooks.starts, 1);
}

static void on_exit_of_thread(void *user)
{
    if (mine.exits++ > 0 || mine.starts != 1 || user != &hooks)
        atomic_fetch_add(&hooks.out_of_order, 1);
    atomic_fetch_add(&hooks.exits, 1);
}

static void task_between(void *runs)
{
    if (mine.starts != 1 || mine.exits > 0)
        atomic_fetch_add(&hooks.out_of_order, 1);
    mine.tasks++;
    count_task(runs);
}

static void forget_hooks(void)
{
    memset(&hooks, 0, sizeof hooks);
}

static pool_option_t with_both_hooks(void)
{
    return pool_with_thread_hooks(on_start, on_exit_of_thread, &hooks);
}

static void test_hooks_are_called_before_the_first_task_and_after_the_last(void **state)
{
    (void)state;
    atomic_int runs = 0;
    forget_hooks();
    pool_t *pool = make_pool_with(4, pool_with_queue(100), with_both_hooks());
    for (int i = 0; i < 100; i++)
        assert_ok(pool_submit(pool, task_between, &runs));
    assert_ok(pool_destroy(pool));
    assert_int_equal(runs, 100);
    assert_in_range(hooks.starts, 1, 4);
    assert_int_equal(hooks.exits, hooks.starts);
    assert_int_equal(hooks.out_of_order, 0);
}

static void test_either_hook_may_be_missing(void **state)
{
    (void)state;
    atomic_int starts = 0, exits = 0;
    pool_t *pool = make_pool_with(1, pool_with_thread_hooks(count_task, NULL, &starts));
    assert_ok(pool_submit(pool, empty_task, NULL));
    assert_ok(pool_destroy(pool));
    assert_int_equal(starts, 1);
    pool = make_pool_with(1, pool_with_thread_hooks(NULL, count_task, &exits));
    assert_ok(pool_submit(pool, empty_task, NULL));
    assert_ok(pool_destroy(pool));
    assert_int_equal(exits, 1);
}

static void test_exit_hook_is_called_when_a_worker_expires(void **state)
{
    (void)state;
    atomic_int exits = 0;
    pool_t *pool = make_pool_with(1, pool_with_expiry_ms(5),
                                  pool_with_thread_hooks(NULL, count_task, &exits));
    assert_ok(pool_submit(pool, empty_task, NULL));
    assert_true(eventually_equals(pool_workers, pool, 0));
    assert_ok(pool_destroy(pool));
    assert_int_equal(exits, 1);
}

static void end_the_thread(void *unused)
{
    (void)unused;
    pthread_exit(NULL);
}

static void note_line(void *user, const char *line)
{
    (void)line;
    atomic_fetch_add((atomic_int *)user, 1);
}

static void test_exit_hook_is_called_when_a_task_ends_the_thread(void **state)
{
    (void)state;
    atomic_int runs = 0, lines = 0;
    forget_hooks();
    pool_t *pool = make_pool_with(1, with_both_hooks(), pool_with_logger(note_line, &lines));
    assert_ok(pool_submit(pool, end_the_thread, NULL));
    assert_ok(pool_submit(pool, task_between, &runs));
    assert_ok(pool_destroy(pool));
    assert_int_equal(runs, 1);
    assert_int_equal(lines, 1);
    assert_int_equal(hooks.starts, 2);
    assert_int_equal(hooks.exits, 2);
    assert_int_equal(hooks.out_of_order, 0);
}

/* ---- prestart ---- */

static void test_prestarted_workers_are_there_before_the_first_task(void **state)
{
    (void)state;
    atomic_int starts = 0;
    pool_t *pool = make_pool_with(5, pool_with_prestart(3),
                                  pool_with_thread_hooks(count_task, NULL, &starts));
    assert_int_equal(pool_workers(pool), 3);
    assert_true(eventually_equals(pool_idle, pool, 3));
    assert_int_equal(starts, 3);
    assert_int_equal(pool_running(pool), 0);
    assert_int_equal(pool_free_slots(pool), 5);
    assert_ok(pool_destroy(pool));
}

static void test_prestarted_workers_run_the_first_tasks(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    atomic_int starts = 0;
    pool_t *pool = make_pool_with(3, pool_with_prestart(3),
                                  pool_with_thread_hooks(count_task, NULL, &starts));
    assert_true(eventually_equals(pool_idle, pool, 3));
    occupy(pool, &gate, 3);
    assert_int_equal(starts, 3);
    open_and_destroy(pool, &gate);
}

static void test_prestart_of_an_unlimited_pool(void **state)
{
    (void)state;
    pool_t *pool = make_pool_with(POOL_UNLIMITED, pool_with_prestart(4));
    assert_int_equal(pool_workers(pool), 4);
    assert_ok(pool_destroy(pool));
}

static void test_reboot_prestarts_again(void **state)
{
    (void)state;
    pool_t *pool = make_pool_with(4, pool_with_prestart(4), pool_with_prealloc(true));
    for (int round = 0; round < 3; round++) {
        assert_int_equal(pool_workers(pool), 4);
        assert_ok(pool_release_timeout(pool, POOL_FOREVER));
        assert_int_equal(pool_workers(pool), 0);
        assert_ok(pool_reboot(pool));
    }
    assert_ok(pool_destroy(pool));
}

static void test_reboot_prestarts_no_more_than_the_cap(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool_with(3, pool_with_prestart(3), pool_with_queue(2));
    assert_ok(pool_tune(pool, 1));
    assert_ok(pool_release_timeout(pool, POOL_FOREVER));
    assert_ok(pool_reboot(pool));
    assert_int_equal(pool_workers(pool), 1);
    occupy(pool, &gate, 1);
    assert_ok(pool_submit(pool, gate_task, &gate));
    assert_int_equal(pool_running(pool), 1);
    assert_int_equal(pool_queued(pool), 1);
    open_and_destroy(pool, &gate);
}

/* ---- Names, as the system shows them ---- */

enum { NAMES = 64 };

struct names {
    int n;
    char text[NAMES][32];
};

/* The names of this process's threads that start so. */
static void read_names(struct names *names, const char *start)
{
    names->n = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL && names->n < NAMES;) {
        char path[300];
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *comm = fopen(path, "r");
        if (comm == NULL)
            continue; /* "." and "..", or a thread that has just ended */
        char *name = names->text[names->n];
        if (fgets(name, sizeof names->text[0], comm) != NULL && strncmp(name, start, strlen(start)) == 0) {
            name[strcspn(name, "\n")] = '\0';
            names->n++;
        }
        fclose(comm);
    }
    closedir(tasks);
}

static bool all_differ(const struct names *names)
{
    for (int a = 0; a < names->n; a++)
        for (int b = 0; b < a; b++)
            if (strcmp(names->text[a], names->text[b]) == 0)
                return false;
    return true;
}

static bool ends_in_a_number(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash != NULL && slash[1] != '\0' && strspn(slash + 1, "0123456789") == strlen(slash + 1);
}

static void assert_names(const char *pool_name, const char *start, int n)
{
    gate_t gate = GATE_CLOSED;
    struct names names;
    pool_t *pool = make_pool_with(n, pool_with_name(pool_name));
    occupy(pool, &gate, n);
    read_names(&names, start);
    assert_int_equal(names.n, n);
    assert_true(all_differ(&names));
    for (int i = 0; i < n; i++) {
        assert_true(strlen(names.text[i]) <= 15);
        assert_true(ends_in_a_number(names.text[i]));
    }
    open_and_destroy(pool, &gate);
}

static void test_threads_are_named_after_the_pool(void **state)
{
    (void)state;
    assert_names("mail", "mail/", 12);
    assert_names(NULL, "pool/", 3);
}

static void test_long_names_are_cut_so_that_the_number_stays(void **state)
{
    (void)state;
    assert_names("mail-of-the-whole-company", "mail-of-the-", 12);
    assert_names("fifteen-bytes-x", "fifteen-byte", 3);
}

struct told {
    char name[64];
    int worker;
    char comm[32];
};

static void note_worker(void *user, const pool_panic_info_t *info)
{
    struct told *told = user;
    snprintf(told->name, sizeof told->name, "%s/%d", info->pool_name, info->worker);
    pthread_getname_np(pthread_self(), told->comm, sizeof told->comm);
}

static void panic_task(void *value)
{
    pool_panic(value);
}

static void test_number_in_the_name_is_that_of_the_panic_handler(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    struct told told = {0};
    pool_t *pool = make_pool_with(3, pool_with_name("num"), pool_with_panic_handler(note_worker, &told));
    occupy(pool, &gate, 2);
    assert_ok(pool_submit(pool, panic_task, NULL));
    assert_true(eventually_equals(pool_running, pool, 2));
    open_and_destroy(pool, &gate);
    assert_string_equal(told.comm, told.name);
}

/* ---- Stacks ---- */

static void note_stack_size(void *size)
{
    pthread_attr_t attr;
    *(size_t *)size = 0;
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        pthread_attr_getstacksize(&attr, size);
        pthread_attr_destroy(&attr);
    }
}

static size_t stack_of(pool_t *pool)
{
    size_t size = 0;
    assert_ok(pool_submit(pool, note_stack_size, &size));
    assert_ok(pool_destroy(pool));
    return size;
}

enum { MORE = 1024 * 1024 }; /* a sanitizer's thread-local data is taken from the stack */

static void test_stack_has_the_size_asked_for(void **state)
{
    (void)state;
    const size_t sizes[] = {512 * 1024, 1024 * 1024 + 1, 4 * 1024 * 1024};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_in_range(stack_of(make_pool_with(1, pool_with_stack_size(sizes[i]))), sizes[i],
                        sizes[i] + MORE);
}

static void test_stack_is_small_by_default(void **state)
{
    (void)state;
    assert_in_range(stack_of(make_pool(1)), POOL_STACK_DEFAULT, POOL_STACK_DEFAULT + MORE);
}

static void use_the_stack(void *sum)
{
    volatile unsigned char large[2000 * 1024];
    for (size_t i = 0; i < sizeof large; i += 1024)
        large[i] = 1;
    for (size_t i = 0; i < sizeof large; i += 1024)
        *(int *)sum += large[i];
}

static void test_stack_can_be_used(void **state)
{
    (void)state;
    int sum = 0;
    pool_t *pool = make_pool_with(1, pool_with_stack_size(4096 * 1024));
    assert_ok(pool_submit(pool, use_the_stack, &sum));
    assert_ok(pool_destroy(pool));
    assert_int_equal(sum, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_hooks_are_called_before_the_first_task_and_after_the_last),
        checked(test_either_hook_may_be_missing),
        checked(test_exit_hook_is_called_when_a_worker_expires),
        checked(test_exit_hook_is_called_when_a_task_ends_the_thread),
        checked(test_prestarted_workers_are_there_before_the_first_task),
        checked(test_prestarted_workers_run_the_first_tasks),
        checked(test_prestart_of_an_unlimited_pool),
        checked(test_reboot_prestarts_again),
        checked(test_reboot_prestarts_no_more_than_the_cap),
        checked(test_threads_are_named_after_the_pool),
        checked(test_long_names_are_cut_so_that_the_number_stays),
        checked(test_number_in_the_name_is_that_of_the_panic_handler),
        checked(test_stack_has_the_size_asked_for),
        checked(test_stack_is_small_by_default),
        checked(test_stack_can_be_used),
    };
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
