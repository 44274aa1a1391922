/* Runs scenarios under many schedules. */
#include "scenarios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct scenario all[] = {
    {"limit", "one_slot", one_slot, true},
    {"limit", "limit_queue", limit_queue, false},
    {"limit", "few_cells", few_cells, false},
    {"limit", "few_cells_at_once", few_cells_at_once, false},
    {"limit", "slot_behind_a_queue", slot_behind_a_queue, false},
    {"limit", "slots_gather", slots_gather, false},
    {"limit", "blocked_release", blocked_release, true},
    {"limit", "blocked_release_answers", blocked_release_answers, true},
    {"limit", "blocked_tune", blocked_tune, true},
    {"limit", "blocked_expiry", blocked_expiry, false},
    {"limit", "blocked_panic", blocked_panic, false},
    {"limit", "blocked_exit", blocked_exit, false},
    {"limit", "blocked_timeout", blocked_timeout, false},
    {"limit", "max_blocking", max_blocking, false},
    {"limit", "first_come", first_come, true},
    {"limit", "refuse", refuse, false},
    {"limit", "caller_runs", caller_runs, false},
    {"limit", "discard", discard, false},
    {"limit", "nested", nested, false},
    {"limit", "nested_exit", nested_exit, false},
    {"crew", "push_1", push_1, true},
    {"crew", "push_2", push_2, false},
    {"crew", "push_3", push_3, false},
    {"crew", "second_worker", second_worker, true},
    {"crew", "many", many, false},
    {"crew", "copy", copy, false},
    {"crew", "expiry", expiry, false},
    {"crew", "all_expire", all_expire, false},
    {"crew", "creates_fail", creates_fail, false},
    {"crew", "burst_starts", burst_starts, false},
    {"crew", "burst_meets_failing_starts", burst_meets_failing_starts, false},
    {"crew", "all_exit", all_exit, false},
    {"crew", "tune_storm", tune_storm, false},
    {"crew", "tune_down", tune_down, false},
    {"crew", "tune_down_with_a_queue", tune_down_with_a_queue, false},
    {"crew", "tune_down_beside_a_busy_one", tune_down_beside_a_busy_one, false},
    {"crew", "nap_ends", nap_ends, false},
    {"crew", "nap_expires", nap_expires, false},
    {"crew", "late_searcher", late_searcher, false},
    {"crew", "late_searcher_wakes", late_searcher_wakes, false},
    {"crew", "yield_before_sleep", yield_before_sleep, false},
    {"crew", "exit_beside_a_busy_one", exit_beside_a_busy_one, false},
    {"crew", "expiry_not_before", expiry_not_before, false},
    {"crew", "nested_tune", nested_tune, false},
    {"crew", "expiry_meets_submit", expiry_meets_submit, false},
    {"crew", "shared_stripe", shared_stripe, false},
    {"crew", "slow_start_hook", slow_start_hook, false},
    {"crew", "hooks_pair", hooks_pair, false},
    {"end", "destroy_on_the_way_out", destroy_on_the_way_out, true},
    {"end", "destroy_while_blocked", destroy_while_blocked, false},
    {"end", "destroy_after_many", destroy_after_many, false},
    {"end", "release_now", release_now, false},
    {"end", "release_timeout", release_timeout, false},
    {"end", "reboot", reboot, false},
    {"end", "release_meets_submit", release_meets_submit, false},
    {"end", "reboot_fails", reboot_fails, false},
    {"end", "wait_reads", wait_reads, false},
    {"end", "wait_quiet", wait_quiet, false},
    {"end", "wait_not_yet", wait_not_yet, false},
    {"end", "two_wait", two_wait, false},
    {"end", "two_pools", two_pools, false},
    {"end", "prestart_fails", prestart_fails, false},
    {"end", "reboot_meets_release", reboot_meets_release, false},
    {"end", "reboot_at_once", reboot_at_once, false},
    {"end", "reboot_meets_release_now", reboot_meets_release_now, false},
    {"end", "reboot_meets_destroy", reboot_meets_destroy, false},
    {"end", "wait_for_release_now", wait_for_release_now, false},
    {"end", "wait_for_caller", wait_for_caller, false},
    {"multi", "multi_any_slot", multi_any_slot, false},
    {"multi", "multi_one_waits", multi_one_waits, true},
    {"multi", "multi_slots_gather", multi_slots_gather, false},
    {"multi", "multi_two_lines", multi_two_lines, false},
    {"multi", "multi_both_lines_blocked", multi_both_lines_blocked, false},
    {"multi", "multi_release", multi_release, false},
    {"multi", "multi_closed_one_by_one", multi_closed_one_by_one, false},
    {"multi", "multi_timeout", multi_timeout, false},
    {"multi", "multi_tune", multi_tune, false},
    {"multi", "multi_reboot", multi_reboot, false},
    {"multi", "multi_quiet", multi_quiet, false},
    {"multi", "multi_quiet_at_once", multi_quiet_at_once, false},
    {"multi", "multi_destroy", multi_destroy, false},
    {"multi", "multi_nested", multi_nested, false},
    {"multi", "multi_nested_beside_a_busy_one", multi_nested_beside_a_busy_one, false},
    {"multi", "multi_nested_exit", multi_nested_exit, false},
    {"multi", "multi_expiry", multi_expiry, false},
    {"multi", "multi_creates_fail", multi_creates_fail, false},
    {"multi", "multi_thread_comes_back", multi_thread_comes_back, false},
    {"multi", "multi_no_thread_at_all", multi_no_thread_at_all, false},
    {"multi", "multi_release_timeout", multi_release_timeout, false},
    {"multi", "multi_nested_beside_a_start", multi_nested_beside_a_start, false},
    {"multi", "multi_set_picker", multi_set_picker, false},
    {"multi", "multi_max_blocking", multi_max_blocking, false},
    {"tenants", "reclaim_meets_submit", reclaim_meets_submit, false},
    {"tenants", "reclaim_all", reclaim_all, false},
    {"tenants", "reclaim_meets_put", reclaim_meets_put, false},
    {"tenants", "reclaim_not_at_work", reclaim_not_at_work, false},
    {"tenants", "two_make_one", two_make_one, true},
    {"tenants", "same_name_in_two_tiers", same_name_in_two_tiers, false},
    {"tenants", "making_fails", making_fails, false},
    {"tenants", "making_fails_for_two", making_fails_for_two, false},
    {"tenants", "ceiling", ceiling, false},
    {"tenants", "ceiling_all_or_none", ceiling_all_or_none, false},
    {"tenants", "drain_blocked", drain_blocked, false},
    {"tenants", "destroy_meets_drain", destroy_meets_drain, false},
    {"tenants", "destroy_meets_reaper", destroy_meets_reaper, false},
    {"tenants", "destroy_behind_the_task", destroy_behind_the_task, false},
    {"tenants", "walk", walk, false},
};

enum { N = sizeof all / sizeof *all };

static const char usage[] =
    "usage: schedule [OPTION]... [SCENARIO]...\n"
    "\n"
    "Runs scenarios, all if none is named, under many schedules. SCENARIO is a name, or what\n"
    "several are about: limit, crew, end, multi, tenants. A failure says which schedule it was,\n"
    "and what the threads did; the exit code is then 1.\n"
    "\n"
    "    --count N       schedules a scenario (2000)\n"
    "    --seed N        this one only, or the first with --count after it\n"
    "    --strategy S    random, pct, both (the default) or depth-first\n"
    "    --bound N       preemptions at most, depth first (2)\n"
    "    --trace         prints each step\n"
    "    --list          what there is: about, name, and whether it is searched depth first\n";

struct settings {
    unsigned long long first, count;
    const char *strategy;
    int bound;
    bool trace;
};

/* ---- Running -------------------------------------------------------------------------------- */

static struct plan plan_for(const struct settings *s, unsigned long long seed)
{
    struct plan plan = {STRATEGY_RANDOM, seed, s->trace};
    if (strcmp(s->strategy, "pct") == 0 || (strcmp(s->strategy, "both") == 0 && seed % 2 == 1))
        plan.strategy = STRATEGY_PCT;
    return plan;
}

static void one(const struct scenario *scenario, struct plan plan)
{
    scenario_begin();
    schedule_run(scenario->name, scenario->run, plan);
}

static void say(const struct scenario *scenario, unsigned long long n, unsigned long long sum,
                const char *how)
{
    printf("%-28s %8llu schedules, %llu steps each%s\n", scenario->name, n, n ? sum / n : 0, how);
    fflush(stdout);
}

static void show_progress(const struct scenario *scenario, unsigned long long n)
{
    if (n % 500 == 0 && isatty(2))
        fprintf(stderr, "\r%s: %llu ", scenario->name, n);
}

static void run_by_chance(const struct scenario *scenario, const struct settings *s)
{
    unsigned long long sum = 0;
    for (unsigned long long i = 0; i < s->count; i++) {
        one(scenario, plan_for(s, s->first + i));
        sum += schedule_steps();
        show_progress(scenario, i);
    }
    say(scenario, s->count, sum, "");
}

static void run_depth_first(const struct scenario *scenario, const struct settings *s)
{
    unsigned long long n = 0, sum = 0;
    bool more = true;
    strategy_restart();
    for (; more && n < s->count; n++) {
        one(scenario, (struct plan){STRATEGY_DEPTH_FIRST, n, s->trace});
        sum += schedule_steps();
        show_progress(scenario, n);
        more = strategy_next(s->bound);
    }
    say(scenario, n, sum, more ? ", not all" : ", all there are");
}

/* The same seed is the same schedule, else no failure could be looked at again. */
static void check_repeats(const struct scenario *scenario, const struct settings *s)
{
    one(scenario, plan_for(s, s->first));
    uint64_t before = schedule_fingerprint();
    one(scenario, plan_for(s, s->first));
    if (schedule_fingerprint() != before) {
        fprintf(stderr, "%s: seed %llu gave two schedules\n", scenario->name, s->first);
        exit(1);
    }
}

static void run(const struct scenario *scenario, const struct settings *s)
{
    if (strcmp(s->strategy, "depth-first") == 0) {
        if (scenario->depth_first)
            run_depth_first(scenario, s);
        return;
    }
    if (!s->trace)
        check_repeats(scenario, s);
    run_by_chance(scenario, s);
}

/* ---- The command line --------------------------------------------------------------------------- */

static _Noreturn void misused(const char *word)
{
    fprintf(stderr, "schedule: what is '%s'?\n%s", word, usage);
    exit(2);
}

static unsigned long long number(const char *word)
{
    char *end;
    unsigned long long n = word == NULL ? 0 : strtoull(word, &end, 10);
    if (word == NULL || *word == '\0' || *end != '\0')
        misused(word == NULL ? "nothing where a number must be" : word);
    return n;
}

static const char *strategy(const char *word)
{
    static const char *const names[] = {"random", "pct", "both", "depth-first"};
    for (size_t i = 0; word != NULL && i < sizeof names / sizeof *names; i++)
        if (strcmp(word, names[i]) == 0)
            return word;
    misused(word == NULL ? "no strategy" : word);
}

static bool is_meant(const struct scenario *scenario, const char *word)
{
    return word == NULL || strcmp(scenario->name, word) == 0 || strcmp(scenario->about, word) == 0;
}

/* NULL: all. */
static void run_those(const char *word, const struct settings *s)
{
    int found = 0;
    for (int i = 0; i < N; i++)
        if (is_meant(&all[i], word)) {
            run(&all[i], s);
            found++;
        }
    if (found == 0)
        misused(word);
}

static void list(void)
{
    for (int i = 0; i < N; i++)
        printf("%s\t%s\t%s\n", all[i].about, all[i].name, all[i].depth_first ? "depth-first" : "");
    exit(0);
}

static int read_options(struct settings *s, char **argv)
{
    int i = 1;
    for (; argv[i] != NULL && argv[i][0] == '-'; i++)
        if (strcmp(argv[i], "--count") == 0)
            s->count = number(argv[++i]);
        else if (strcmp(argv[i], "--seed") == 0)
            s->first = number(argv[++i]), s->count = 1;
        else if (strcmp(argv[i], "--strategy") == 0)
            s->strategy = strategy(argv[++i]);
        else if (strcmp(argv[i], "--bound") == 0)
            s->bound = (int)number(argv[++i]);
        else if (strcmp(argv[i], "--trace") == 0)
            s->trace = true;
        else if (strcmp(argv[i], "--list") == 0)
            list();
        else
            misused(argv[i]);
    return i;
}

int main(int argc, char **argv)
{
    struct settings s = {1, 2000, "both", 2, false};
    int i = read_options(&s, argv);
    schedule_init();
    if (i == argc)
        run_those(NULL, &s);
    for (; i < argc; i++)
        run_those(argv[i], &s);
    return 0;
}
