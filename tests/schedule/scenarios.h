/* The scenarios, by what they are about. */
#ifndef ANTPOOL_TESTS_SCHEDULE_SCENARIOS_H
#define ANTPOOL_TESTS_SCHEDULE_SCENARIOS_H

#include "scenario.h"

/* scenario_limit.c */
void one_slot(void);
void limit_queue(void);
void few_cells(void);
void few_cells_at_once(void);
void slot_behind_a_queue(void);
void slots_gather(void);
void blocked_release(void);
void blocked_release_answers(void);
void blocked_tune(void);
void blocked_expiry(void);
void blocked_panic(void);
void blocked_exit(void);
void blocked_timeout(void);
void max_blocking(void);
void first_come(void);
void refuse(void);
void caller_runs(void);
void discard(void);
void nested(void);
void nested_exit(void);

/* scenario_crew.c */
void push_1(void);
void push_2(void);
void push_3(void);
void second_worker(void);
void many(void);
void copy(void);
void expiry(void);
void all_expire(void);
void creates_fail(void);
void burst_starts(void);
void burst_meets_failing_starts(void);
void all_exit(void);
void tune_storm(void);
void tune_down(void);
void tune_down_with_a_queue(void);
void tune_down_beside_a_busy_one(void);
void nap_ends(void);
void nap_expires(void);
void late_searcher(void);
void late_searcher_wakes(void);
void yield_before_sleep(void);
void exit_beside_a_busy_one(void);
void expiry_not_before(void);
void nested_tune(void);
void expiry_meets_submit(void);
void shared_stripe(void);
void slow_start_hook(void);
void hooks_pair(void);

/* scenario_end.c */
void destroy_on_the_way_out(void);
void destroy_while_blocked(void);
void destroy_after_many(void);
void release_now(void);
void release_timeout(void);
void release_meets_submit(void);
void wait_reads(void);
void wait_quiet(void);
void wait_not_yet(void);
void two_wait(void);
void two_pools(void);
void prestart_fails(void);
void wait_for_release_now(void);
void wait_for_caller(void);

/* scenario_multi.c */
void multi_any_slot(void);
void multi_one_waits(void);
void multi_slots_gather(void);
void multi_two_lines(void);
void multi_both_lines_blocked(void);
void multi_release(void);
void multi_closed_one_by_one(void);
void multi_timeout(void);
void multi_tune(void);
void multi_reboot(void);
void multi_quiet(void);
void multi_quiet_at_once(void);
void multi_destroy(void);
void multi_nested(void);
void multi_nested_beside_a_busy_one(void);
void multi_nested_exit(void);
void multi_expiry(void);
void multi_creates_fail(void);
void multi_thread_comes_back(void);
void multi_no_thread_at_all(void);
void multi_release_timeout(void);
void multi_nested_beside_a_start(void);
void multi_set_picker(void);
void multi_max_blocking(void);

/* scenario_reboot.c */
void reboot(void);
void reboot_fails(void);
void reboot_meets_release(void);
void reboot_at_once(void);
void reboot_meets_release_now(void);
void reboot_meets_destroy(void);

/* scenario_registry.c */
void reclaim_meets_submit(void);
void reclaim_all(void);
void reclaim_meets_put(void);
void reclaim_not_at_work(void);
void two_make_one(void);
void same_name_in_two_tiers(void);
void making_fails(void);
void making_fails_for_two(void);
void ceiling(void);
void ceiling_all_or_none(void);
void drain_blocked(void);
void destroy_meets_drain(void);
void destroy_meets_reaper(void);
void destroy_behind_the_task(void);
void walk(void);

#endif
