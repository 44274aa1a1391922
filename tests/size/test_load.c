/* The open loop on a real pool. Times are judged only so far as a slow machine cannot break them. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "load.h"

#ifndef COUNTING_TASK /* that the build gives; this is for who only reads the source */
#define COUNTING_TASK "counting_task.so"
#define INCOMPLETE_TASK "incomplete_task.so"
#endif

static struct service service_of(const char *text)
{
    struct service service;
    const char *wrong = service_parse(text, &service);
    if (wrong != NULL)
        fail_msg("%s", wrong);
    return service;
}

static struct scenario scenario_of(const struct service *service, double rate, long cap, long queue)
{
    return (struct scenario){.service = service, .rate = rate, .cap = cap, .queue = queue, .seed = 1};
}

static const char *go(struct run *run, const char *service_text, double rate, long cap, long queue, double seconds)
{
    static struct task task;
    struct service service = service_of(service_text);
    const char *wrong = task_init(&task, &service, 0);
    if (wrong == NULL) {
        run->task = &task;
        run->scenario = scenario_of(&service, rate, cap, queue);
        run->seconds = seconds;
        wrong = load_run(run);
        task_fini(&task);
    }
    service_fini(&service);
    return wrong;
}

static void assert_near(double value, double expected, double error)
{
    if (!(fabs(value - expected) <= error))
        fail_msg("%.17g is not %.17g", value, expected);
}

/* ---- Runs ------------------------------------------------------------------------------------------ */

static void test_every_task_of_an_endless_queue_runs(void **state)
{
    (void)state;
    struct run run = {0};
    assert_null(go(&run, "fixed:1ms", 2000, 2, -1, 0.2));
    assert_int_equal(run.services_n, run.tasks);
    assert_int_equal(run.counted, run.tasks);
    assert_int_equal(run.waits.n, run.tasks);
    assert_true(run.tasks > 300 && run.tasks < 500);
    assert_true(isnan(run.measured.of[REJECT]) || run.measured.of[REJECT] == 0);
    run_fini(&run);
}

static void test_a_task_beyond_cap_and_queue_is_refused(void **state)
{
    (void)state;
    struct run run = {0};
    assert_null(go(&run, "fixed:20ms", 1000, 1, 1, 0.3));
    assert_int_equal(run.waits.n + run.waits.refused, run.tasks);
    assert_int_equal(run.services_n, run.waits.n);
    assert_true(run.services_n <= 16 + 2); /* of 20 ms each, one at a time, and those at the end */
    assert_true(run.measured.of[REJECT] > 0.8);
    assert_true(run.twin.of[REJECT] > 0.8);
    run_fini(&run);
}

static void test_no_service_is_shorter_than_drawn(void **state)
{
    (void)state;
    struct run run = {0};
    assert_null(go(&run, "fixed:3ms", 300, 8, -1, 0.2));
    for (long i = 0; i < run.services_n; i++)
        assert_true(run.services[i] >= 0.003);
    assert_true(run.service_mean >= 0.003);
    run_fini(&run);
}

static void test_only_tasks_after_the_warmup_are_counted(void **state)
{
    (void)state;
    struct run run = {.warmup = 0.15};
    assert_null(go(&run, "fixed:1ms", 1000, 4, -1, 0.2));
    assert_true(run.counted > 10 && run.counted < 100);
    assert_int_equal(run.waits.n, run.counted);
    assert_int_equal(run.services_n, run.tasks);
    assert_near(run.measured.of[UTILISATION], run.waits.busy / (4 * (0.2 - 0.15)), 1e-9);
    run_fini(&run);
}

static void test_a_seed_gives_the_same_tasks(void **state)
{
    (void)state;
    struct run first = {0}, second = {0};
    assert_null(go(&first, "exp:1ms", 1500, 4, -1, 0.2));
    assert_null(go(&second, "exp:1ms", 1500, 4, -1, 0.2));
    assert_int_equal(first.tasks, second.tasks);
    run_fini(&first);
    run_fini(&second);
}

/* One worker and long tasks: what chance and wake-ups add is small beside the waits. */
static void test_the_twin_waits_as_long_as_the_pool(void **state)
{
    (void)state;
    struct run run = {0};
    assert_null(go(&run, "fixed:20ms", 60, 1, -1, 1));
    assert_true(run.twin.of[MEAN_WAIT] > 0.02);
    assert_true(fabs(run.measured.of[MEAN_WAIT] / run.twin.of[MEAN_WAIT] - 1) < 0.5);
    assert_true(run.measured.of[P_WAIT] > 0.5 && run.twin.of[P_WAIT] > 0.5);
    run_fini(&run);
}

/* Any real task takes a little longer than it was drawn. */
static void test_the_ideal_waits_as_the_tasks_were_drawn(void **state)
{
    (void)state;
    struct run run = {0};
    assert_null(go(&run, "fixed:10ms", 50, 1, -1, 0.5));
    assert_true(run.ideal.of[UTILISATION] > 0 && run.ideal.of[UTILISATION] < run.twin.of[UTILISATION]);
    assert_true(fabs(run.ideal.of[UTILISATION] * 0.5 - (double)run.tasks * 0.01) < 1e-6);
    run_fini(&run);
}

static void test_waits_count_from_the_instant_due(void **state)
{
    (void)state;
    struct run run = {0};
    assert_null(go(&run, "fixed:10ms", 300, 1, -1, 0.2)); /* three times what it can do */
    assert_true(run.measured.of[P95_WAIT] > 0.2);
    assert_true(run.late_p50 < run.measured.of[P50_WAIT]);
    run_fini(&run);
}

static bool be_late_once(double done, void *arg)
{
    bool *was = arg;
    (void)done;
    struct timespec late = {0, 60000000};
    if (!*was)
        nanosleep(&late, NULL);
    *was = true;
    return true;
}

/* A tenth of the tasks comes late, and waits, though workers are idle. */
static void test_a_late_generator_is_seen_and_counts_as_a_wait(void **state)
{
    (void)state;
    bool was = false;
    struct run run = {.progress = be_late_once, .arg = &was};
    assert_null(go(&run, "fixed:1ms", 300, 16, -1, 0.5));
    assert_true(run.late_p99 > 0.03 && run.late_max >= run.late_p99);
    assert_true(run.late_p50 < run.late_p99);
    assert_true(run.measured.of[P99_WAIT] > 0.03);
    run_fini(&run);
}

static bool stop_at_once(double done, void *arg)
{
    int *asked = arg;
    assert_true(done >= 0 && done <= 1);
    (*asked)++;
    return false;
}

static void test_a_run_can_be_interrupted(void **state)
{
    (void)state;
    int asked = 0;
    struct run run = {.progress = stop_at_once, .arg = &asked};
    assert_string_equal(go(&run, "fixed:1ms", 100, 1, -1, 60), "interrupted");
    assert_int_equal(asked, 1);
}

static void test_a_run_without_a_task_says_so(void **state)
{
    (void)state;
    struct run run = {0};
    assert_non_null(strstr(go(&run, "fixed:1ms", 0.01, 1, -1, 0.1), "--duration"));
}

static void test_a_run_of_too_many_tasks_says_so(void **state)
{
    (void)state;
    struct run run = {0};
    assert_non_null(strstr(go(&run, "fixed:1ms", 1e6, 1, -1, 3600), "--duration"));
}

static void test_a_backlog_is_drained_by_cap(void **state)
{
    (void)state;
    struct service service = service_of("fixed:5ms");
    struct task task;
    double seconds = 0;
    assert_null(task_init(&task, &service, 0));
    struct scenario scenario = scenario_of(&service, 0, 4, -1);
    scenario.backlog = 41;
    assert_null(load_drain(&task, &scenario, &seconds));
    assert_true(seconds >= 11 * 0.005);
    task_fini(&task);
    service_fini(&service);
}

/* ---- Tasks -------------------------------------------------------------------------------------------- */

static void test_a_computing_task_uses_the_processor(void **state)
{
    (void)state;
    struct service service = service_of("fixed:5ms");
    struct task task;
    struct timespec begin, end;
    assert_null(task_init(&task, &service, 1));
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    assert_true(task_run(&task, 0.005));
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    double used = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    assert_true(used >= 0.005);
    task_fini(&task);
    service_fini(&service);
}

static void test_a_command_that_fails_is_seen(void **state)
{
    (void)state;
    struct run run = {0};
    assert_null(go(&run, "exec:exit 3", 50, 2, -1, 0.1));
    assert_int_equal(run.failed, run.tasks);
    run_fini(&run);
    assert_null(go(&run, "exec:exit 0", 50, 2, -1, 0.1));
    assert_int_equal(run.failed, 0);
    run_fini(&run);
}

static const char *drained(const char *service_text, long backlog, long cap, double *seconds)
{
    struct service service = service_of(service_text);
    struct task task;
    assert_null(task_init(&task, &service, 0));
    struct scenario scenario = scenario_of(&service, 0, cap, -1);
    scenario.backlog = backlog;
    const char *wrong = load_drain(&task, &scenario, seconds);
    task_fini(&task);
    service_fini(&service);
    return wrong;
}

static void test_a_drain_whose_commands_fail_says_so(void **state)
{
    (void)state;
    double seconds;
    assert_non_null(strstr(drained("exec:exit 3", 4, 2, &seconds), "4 of 4"));
    assert_null(drained("exec:exit 0", 4, 2, &seconds));
}

/* With the slack of this thread each of 25 sleeps in a row would be up to 10 ms late. */
static void test_a_drain_sleeps_as_sharply_as_a_run(void **state)
{
    (void)state;
    double best = INFINITY, seconds;
    prctl(PR_SET_TIMERSLACK, 10000000UL); /* 10 ms */
    for (int i = 0; i < 3; i++) {
        assert_null(drained("fixed:1ms", 100, 4, &seconds));
        best = fmin(best, seconds);
    }
    assert_int_equal(prctl(PR_GET_TIMERSLACK), 10000000);
    prctl(PR_SET_TIMERSLACK, 0UL);
    assert_true(best < 0.2);
}

static void test_a_command_is_started_as_from_a_shell(void **state)
{
    (void)state;
    struct run run = {0};
    signal(SIGCHLD, SIG_IGN);
    assert_null(go(&run, "exec:grep -q '^SigBlk:[[:space:]]*0*$' /proc/self/status", 20, 1, -1, 0.2));
    assert_int_equal(run.failed, 0);
    run_fini(&run);
}

static void test_a_command_that_fails_is_not_timed(void **state)
{
    (void)state;
    struct service service = service_of("exec:exit 3");
    struct task task;
    assert_null(task_init(&task, &service, 0));
    assert_non_null(strstr(task_time(&task, &service, 2, 3, 1), "exit"));
    assert_true(isnan(service.mean));
    task_fini(&task);
    service_fini(&service);
}

static void counts(int *inited, int *ran, int *ended)
{
    void *plugin = dlopen(COUNTING_TASK, RTLD_NOW | RTLD_NOLOAD);
    void (*get)(int *, int *, int *);
    assert_non_null(plugin);
    *(void **)&get = dlsym(plugin, "counting_task_counts");
    get(inited, ran, ended);
    dlclose(plugin);
}

static void test_a_plugin_is_made_run_and_ended(void **state)
{
    (void)state;
    struct service service = service_of("plugin:" COUNTING_TASK ",hello");
    struct task task;
    int inited, ran, ended;
    void *kept = dlopen(COUNTING_TASK, RTLD_NOW); /* so that its counts outlive the task */
    assert_null(task_init(&task, &service, 0));
    assert_null(task_time(&task, &service, 3, 20, 10));
    counts(&inited, &ran, &ended);
    assert_true(inited == 1 && ran == 20 && ended == 0);
    assert_true(service.mean > 0 && service.n == 20);
    task_fini(&task);
    counts(&inited, &ran, &ended);
    assert_int_equal(ended, 1);
    service_fini(&service);
    dlclose(kept);
}

static void assert_not_loaded(const char *text, const char *part)
{
    struct service service = service_of(text);
    struct task task;
    const char *wrong = task_init(&task, &service, 0);
    assert_non_null(wrong);
    assert_non_null(strstr(wrong, part));
    service_fini(&service);
}

static void test_a_plugin_that_is_missing_is_named(void **state)
{
    (void)state;
    assert_not_loaded("plugin:/nonexistent/task.so", "/nonexistent/task.so");
}

static void test_a_plugin_without_its_calls_names_the_call(void **state)
{
    (void)state;
    assert_not_loaded("plugin:" INCOMPLETE_TASK, "antpool_task_fini");
}

static void test_a_plugin_whose_init_fails_is_not_ended(void **state)
{
    (void)state;
    assert_not_loaded("plugin:" COUNTING_TASK ",fail", "antpool_task_init");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_of_an_endless_queue_runs),
        cmocka_unit_test(test_a_task_beyond_cap_and_queue_is_refused),
        cmocka_unit_test(test_no_service_is_shorter_than_drawn),
        cmocka_unit_test(test_only_tasks_after_the_warmup_are_counted),
        cmocka_unit_test(test_a_seed_gives_the_same_tasks),
        cmocka_unit_test(test_the_twin_waits_as_long_as_the_pool),
        cmocka_unit_test(test_the_ideal_waits_as_the_tasks_were_drawn),
        cmocka_unit_test(test_waits_count_from_the_instant_due),
        cmocka_unit_test(test_a_late_generator_is_seen_and_counts_as_a_wait),
        cmocka_unit_test(test_a_run_can_be_interrupted),
        cmocka_unit_test(test_a_run_without_a_task_says_so),
        cmocka_unit_test(test_a_run_of_too_many_tasks_says_so),
        cmocka_unit_test(test_a_backlog_is_drained_by_cap),
        cmocka_unit_test(test_a_computing_task_uses_the_processor),
        cmocka_unit_test(test_a_command_that_fails_is_seen),
        cmocka_unit_test(test_a_command_that_fails_is_not_timed),
        cmocka_unit_test(test_a_command_is_started_as_from_a_shell),
        cmocka_unit_test(test_a_drain_whose_commands_fail_says_so),
        cmocka_unit_test(test_a_drain_sleeps_as_sharply_as_a_run),
        cmocka_unit_test(test_a_plugin_is_made_run_and_ended),
        cmocka_unit_test(test_a_plugin_that_is_missing_is_named),
        cmocka_unit_test(test_a_plugin_without_its_calls_names_the_call),
        cmocka_unit_test(test_a_plugin_whose_init_fails_is_not_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
