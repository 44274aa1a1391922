/* The open loop on a real pool. Times are judged only so far as a slow machine cannot break them. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
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

static void counts(int *inited, int *ran, int *ended)
{
    void *plugin = dlopen(COUNTING_TASK, RTLD_NOW | RTLD_NOLOAD);
    void (*get)(int *, int *, int *);
    assert_non_null(plugin);
    *(void **)&get = dlsym(plugin, "counting_task_counts");
    get(inited, ran, ended);
    dlclose(plugin);
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
    double began = now();
    assert_null(go(&run, "fixed:20ms", 1000, 1, 1, 0.3));
    double took = now() - began;
    assert_int_equal(run.waits.n + run.waits.refused, run.tasks);
    assert_int_equal(run.services_n, run.waits.n);
    assert_true(run.services_n >= 2);
    assert_true((double)run.services_n * 0.02 <= took); /* one at a time */
    assert_true(run.measured.of[REJECT] > 0);
    assert_true(run.twin.of[REJECT] > 0.8);
    run_fini(&run);
}

static void test_without_a_queue_tasks_are_refused_while_one_runs(void **state)
{
    (void)state;
    struct run run = {0};
    double began = now();
    assert_null(go(&run, "fixed:20ms", 1000, 1, 0, 0.3));
    double took = now() - began;
    assert_int_equal(run.waits.n + run.waits.refused, run.tasks);
    assert_int_equal(run.services_n, run.waits.n);
    assert_true(run.waits.refused > 0 && run.services_n >= 1);
    assert_true((double)run.services_n * 0.02 <= took);
    assert_true(run.twin.of[P_WAIT] == 0);
    run_fini(&run);
}

static void test_each_accepted_task_runs_once_and_a_refused_one_never(void **state)
{
    (void)state;
    struct run run = {0};
    int inited, before, after, ended, ends;
    void *kept = dlopen(COUNTING_TASK, RTLD_NOW);
    counts(&inited, &before, &ended);
    assert_null(go(&run, "plugin:" COUNTING_TASK, 5000, 1, 0, 0.2));
    counts(&inited, &after, &ends);
    assert_int_equal(after - before, run.tasks - run.waits.refused);
    assert_int_equal(run.services_n, after - before);
    assert_int_equal(ends - ended, 1);
    run_fini(&run);
    dlclose(kept);
}

static void test_a_queue_larger_than_any_run_refuses_nothing(void **state)
{
    (void)state;
    struct run run = {0};
    assert_null(go(&run, "fixed:1ms", 500, 1, LONG_MAX, 0.1));
    assert_int_equal(run.services_n, run.tasks);
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
    run_fini(&run);
}

/* As load.c has them: a seed means the same tasks in every version. */
enum { STREAM_GAPS = 101, STREAM_SERVICES = 102 };

static long due_within(double seconds, double rate, uint64_t seed)
{
    struct random random = random_of(seed, STREAM_GAPS);
    long n = 0;
    for (double at = 0; (at += arrivals_gap(ARRIVALS_POISSON, rate, &random)) < seconds;)
        n++;
    return n;
}

/* A run of each length ends between the same two tasks. */
static void test_a_seed_gives_the_same_due_times(void **state)
{
    (void)state;
    for (double seconds = 0.03; seconds < 0.15; seconds += 0.03) {
        struct run run = {0};
        assert_null(go(&run, "fixed:1ms", 1500, 4, -1, seconds));
        assert_int_equal(run.tasks, due_within(seconds, 1500, 1));
        run_fini(&run);
    }
}

/* Sleeps are never shorter than drawn, so other draws, some of which are longer, would be seen. */
static void test_a_seed_gives_the_same_draws(void **state)
{
    (void)state;
    struct run run = {0};
    struct service service = service_of("exp:5ms");
    struct random random = random_of(1, STREAM_SERVICES);
    assert_null(go(&run, "exp:5ms", 500, 16, -1, 0.3));
    assert_int_equal(run.services_n, run.tasks);
    for (long i = 0; i < run.services_n; i++)
        assert_true(run.services[i] >= service_draw(&service, &random) - 1e-9);
    run_fini(&run);
    service_fini(&service);
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

/* Asked for the first time before the first task is due, it makes the generator late for all of them. */
static bool dawdle(double done, void *arg)
{
    bool *dawdled = arg;
    struct timespec longer_than_the_run = {.tv_nsec = 600000000};
    (void)done;
    if (!*dawdled)
        nanosleep(&longer_than_the_run, NULL);
    *dawdled = true;
    return true;
}

/* Hardly a task waits for a worker: what the waits show is the lateness. */
static void test_waits_count_from_the_instant_due(void **state)
{
    (void)state;
    bool dawdled = false;
    struct run run = {.progress = dawdle, .arg = &dawdled};
    assert_null(go(&run, "fixed:1ms", 200, 64, -1, 0.3));
    assert_true(run.late_p50 > 0.25);
    assert_true(run.measured.of[P50_WAIT] >= run.late_p50);
    assert_true(run.twin.of[P99_WAIT] < 0.25);
    run_fini(&run);
}

/* The one that was due first is the latest. */
static void test_lateness_is_of_every_task(void **state)
{
    (void)state;
    bool dawdled = false;
    struct run run = {.warmup = 0.3, .progress = dawdle, .arg = &dawdled};
    assert_null(go(&run, "fixed:1ms", 200, 64, -1, 0.3));
    assert_int_equal(run.counted, 0);
    assert_true(run.late_p50 < run.late_p99 && run.late_p99 <= run.late_max);
    assert_true(run.late_max >= 0.5);
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

static bool dawdle_then_stop(double done, void *arg)
{
    double *last = arg;
    bool again = *last >= 0, dawdled = again;
    *last = done;
    dawdle(done, &dawdled);
    return !again;
}

/* When it is asked again, every task is due already. */
static void test_a_generator_that_is_late_can_be_interrupted(void **state)
{
    (void)state;
    double last = -1;
    struct run run = {.progress = dawdle_then_stop, .arg = &last};
    assert_string_equal(go(&run, "fixed:1ms", 200, 8, -1, 0.3), "interrupted");
    assert_true(last < 1);
}

static bool stop_when_all_were_submitted(double done, void *arg)
{
    (void)arg;
    return done < 1;
}

/* One worker would need minutes for what was accepted. */
static void test_an_interrupted_run_does_not_wait_for_its_queue(void **state)
{
    (void)state;
    double began = now();
    struct run run = {.progress = stop_when_all_were_submitted};
    assert_string_equal(go(&run, "fixed:300ms", 6000, 1, -1, 0.1), "interrupted");
    assert_true(now() - began < 60);
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

static void test_a_cap_beyond_any_pool_says_so(void **state)
{
    (void)state;
    struct run run = {0};
    assert_non_null(strstr(go(&run, "fixed:1ms", 100, (1L << 32) + 1, -1, 0.1), "4294967297 workers"));
}

static const char *drain(const char *service_text, long cap, long backlog, double *seconds)
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

static void test_a_backlog_is_drained_by_cap(void **state)
{
    (void)state;
    double seconds = 0;
    assert_null(drain("fixed:5ms", 4, 41, &seconds));
    assert_true(seconds >= 11 * 0.005 - 1e-6);
}

static void test_a_backlog_that_no_pool_holds_is_not_drained(void **state)
{
    (void)state;
    double seconds = 7;
    assert_non_null(strstr(drain("fixed:5ms", 4, (1L << 24) + 1, &seconds), "16777217"));
    assert_non_null(strstr(drain("fixed:5ms", 4, 0, &seconds), "backlog of 0"));
    assert_true(seconds == 7);
}

static void test_a_drain_of_commands_that_fail_says_so(void **state)
{
    (void)state;
    double seconds = 7;
    assert_non_null(strstr(drain("exec:exit 3", 2, 4, &seconds), "4 of 4"));
    assert_true(seconds == 7);
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

static void test_a_computing_run_shows_its_processor_time(void **state)
{
    (void)state;
    struct service service = service_of("fixed:10ms");
    struct task task;
    assert_null(task_init(&task, &service, 0.5));
    struct run run = {.task = &task, .scenario = scenario_of(&service, 50, 2, -1), .seconds = 0.3};
    assert_null(load_run(&run));
    assert_true(run.cpu > 0);
    assert_true(run.service_mean >= 0.0099);
    run_fini(&run);
    task_fini(&task);
    service_fini(&service);
}

static bool runs(const char *command)
{
    struct run run = {0};
    assert_null(go(&run, command, 50, 2, -1, 0.1));
    assert_true(run.failed == 0 || run.failed == run.tasks);
    bool all = run.failed == 0;
    run_fini(&run);
    return all;
}

/* Workers block it. (Whoever runs the tests may ignore others, as a shell does SIGINT in the background.) */
static void test_a_command_is_ended_by_a_signal(void **state)
{
    (void)state;
    assert_false(runs("exec:kill -USR1 $$; exit 0"));
}

static void test_a_command_neither_prints_nor_reads(void **state)
{
    (void)state;
    assert_true(runs("exec:[ /dev/stdout -ef /dev/null ]"));
    assert_true(runs("exec:[ /dev/stdin -ef /dev/null ]"));
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

static void test_a_command_that_fails_is_not_timed(void **state)
{
    (void)state;
    struct service service = service_of("exec:exit 3");
    struct task task;
    assert_null(task_init(&task, &service, 0));
    const char *wrong = task_time(&task, &service, 2, 3, 10);
    assert_non_null(strstr(wrong, "3 of 3"));
    assert_non_null(strstr(wrong, "\"exit 3\""));
    assert_true(isnan(service.mean));
    task_fini(&task);
    service_fini(&service);
}

static void test_a_task_is_timed_once_however_short_the_time(void **state)
{
    (void)state;
    struct service service = service_of("exec:exit 0");
    struct task task;
    assert_null(task_init(&task, &service, 0));
    assert_null(task_time(&task, &service, 4, 1000, 0));
    assert_int_equal(service.n, 1);
    assert_true(service.mean > 0);
    task_fini(&task);
    service_fini(&service);
}

static void test_a_plugin_is_made_run_and_ended(void **state)
{
    (void)state;
    struct service service = service_of("plugin:" COUNTING_TASK ",hello");
    struct task task;
    int inits, runs_before, finis, inited, ran, ended;
    void *kept = dlopen(COUNTING_TASK, RTLD_NOW); /* so that its counts outlive the task */
    counts(&inits, &runs_before, &finis);
    assert_null(task_init(&task, &service, 0));
    assert_null(task_time(&task, &service, 3, 20, 10));
    counts(&inited, &ran, &ended);
    assert_true(inited == inits + 1 && ran == runs_before + 20 && ended == finis);
    assert_true(service.mean > 0 && service.n == 20);
    task_fini(&task);
    counts(&inited, &ran, &ended);
    assert_int_equal(ended, finis + 1);
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

static void test_a_plugin_without_its_last_call_names_it(void **state)
{
    (void)state;
    assert_not_loaded("plugin:" INCOMPLETE_TASK, "antpool_task_fini");
}

/* A library that is there and no plugin. */
static void test_a_plugin_without_its_first_call_names_file_and_call(void **state)
{
    (void)state;
    Dl_info cmocka;
    char text[PATH_MAX + 16];
    void *address = dlsym(RTLD_DEFAULT, "_cmocka_run_group_tests");
    if (address == NULL || dladdr(address, &cmocka) == 0)
        skip(); /* linked statically */
    snprintf(text, sizeof text, "plugin:%s", cmocka.dli_fname);
    assert_not_loaded(text, "antpool_task_init");
    assert_not_loaded(text, cmocka.dli_fname);
}

static void test_a_plugin_whose_init_fails_is_named_and_not_ended(void **state)
{
    (void)state;
    int inited, ran, before, after;
    void *kept = dlopen(COUNTING_TASK, RTLD_NOW);
    counts(&inited, &ran, &before);
    assert_not_loaded("plugin:" COUNTING_TASK ",fail", "antpool_task_init(\"fail\")");
    assert_not_loaded("plugin:" COUNTING_TASK ",fail", COUNTING_TASK);
    counts(&inited, &ran, &after);
    assert_int_equal(after, before);
    dlclose(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_of_an_endless_queue_runs),
        cmocka_unit_test(test_a_task_beyond_cap_and_queue_is_refused),
        cmocka_unit_test(test_without_a_queue_tasks_are_refused_while_one_runs),
        cmocka_unit_test(test_each_accepted_task_runs_once_and_a_refused_one_never),
        cmocka_unit_test(test_a_queue_larger_than_any_run_refuses_nothing),
        cmocka_unit_test(test_no_service_is_shorter_than_drawn),
        cmocka_unit_test(test_only_tasks_after_the_warmup_are_counted),
        cmocka_unit_test(test_a_seed_gives_the_same_due_times),
        cmocka_unit_test(test_a_seed_gives_the_same_draws),
        cmocka_unit_test(test_the_twin_waits_as_long_as_the_pool),
        cmocka_unit_test(test_the_ideal_waits_as_the_tasks_were_drawn),
        cmocka_unit_test(test_waits_count_from_the_instant_due),
        cmocka_unit_test(test_lateness_is_of_every_task),
        cmocka_unit_test(test_a_run_can_be_interrupted),
        cmocka_unit_test(test_a_generator_that_is_late_can_be_interrupted),
        cmocka_unit_test(test_an_interrupted_run_does_not_wait_for_its_queue),
        cmocka_unit_test(test_a_run_without_a_task_says_so),
        cmocka_unit_test(test_a_run_of_too_many_tasks_says_so),
        cmocka_unit_test(test_a_cap_beyond_any_pool_says_so),
        cmocka_unit_test(test_a_backlog_is_drained_by_cap),
        cmocka_unit_test(test_a_backlog_that_no_pool_holds_is_not_drained),
        cmocka_unit_test(test_a_drain_of_commands_that_fail_says_so),
        cmocka_unit_test(test_a_computing_task_uses_the_processor),
        cmocka_unit_test(test_a_computing_run_shows_its_processor_time),
        cmocka_unit_test(test_a_command_is_ended_by_a_signal),
        cmocka_unit_test(test_a_command_neither_prints_nor_reads),
        cmocka_unit_test(test_a_command_that_fails_is_seen),
        cmocka_unit_test(test_a_command_that_fails_is_not_timed),
        cmocka_unit_test(test_a_task_is_timed_once_however_short_the_time),
        cmocka_unit_test(test_a_plugin_is_made_run_and_ended),
        cmocka_unit_test(test_a_plugin_that_is_missing_is_named),
        cmocka_unit_test(test_a_plugin_without_its_last_call_names_it),
        cmocka_unit_test(test_a_plugin_without_its_first_call_names_file_and_call),
        cmocka_unit_test(test_a_plugin_whose_init_fails_is_named_and_not_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
