/* Options: what they set, how they combine, and what pool_new refuses. */
#include "support.h"

#include <limits.h>
#include <string.h>

/* What a full pool of cap 1 does, seen without blocking. */
static pool_err answer_when_full(pool_t *pool)
{
    gate_t gate = GATE_CLOSED;
    occupy(pool, &gate, 1);
    pool_err answer = pool_submit_timeout(pool, empty_task, NULL, 0);
    gate_open(&gate);
    assert_ok(pool_wait(pool));
    gate_fini(&gate);
    return answer;
}

static void assert_default(pool_t *pool)
{
    assert_int_equal(pool_cap(pool), 1);
    assert_int_equal(pool_free_slots(pool), 1); /* no queue */
    assert_int_equal(pool_workers(pool), 0);    /* none before the first task */
    assert_string_equal(pool_name(pool), "pool");
    assert_false(pool_is_closed(pool));
    assert_int_equal(pool_invoke(pool, NULL), POOL_ERR_NO_FUNC);
    assert_int_equal(answer_when_full(pool), POOL_ERR_TIMEOUT); /* POOL_BLOCK */
    assert_ok(pool_destroy(pool));
}

static void test_defaults(void **state)
{
    (void)state;
    pool_t *pool = NULL;
    assert_ok(pool_new(&pool, 1));
    assert_default(pool);
}

static void test_no_options_is_the_default_pool(void **state)
{
    (void)state;
    const pool_option_t none[] = {POOL_OPTIONS_END};
    assert_default(make_pool_from(1, NULL));
    assert_default(make_pool_from(1, none));
}

static void test_zeroed_options_are_the_default_pool(void **state)
{
    (void)state;
    const pool_options_t zero = {0};
    assert_default(make_pool_with(1, pool_with_options(&zero)));
}

static void test_options_of_zero_are_the_default_pool(void **state)
{
    (void)state;
    assert_default(make_pool_with(1, pool_with_expiry_ms(0), pool_with_prealloc(false),
                                  pool_with_max_blocking(0), pool_with_nonblocking(false),
                                  pool_with_panic_handler(NULL, NULL), pool_with_logger(NULL, NULL),
                                  pool_with_disable_purge(false), pool_with_queue(0),
                                  pool_with_policy(POOL_BLOCK), pool_with_name(NULL),
                                  pool_with_prestart(0), pool_with_min_idle(0), pool_with_spin_us(0),
                                  pool_with_thread_hooks(NULL, NULL, NULL),
                                  pool_with_discard_handler(NULL, NULL)));
}

static void test_a_struct_of_options(void **state)
{
    (void)state;
    atomic_int runs = 0;
    pool_options_t options = {
        .expiry_ms = 10000,
        .name = "whole",
        .policy = POOL_REFUSE,
        .prealloc = true,
        .queue = 4,
        .func = count_task,
    };
    pool_t *pool = make_pool_with(2, pool_with_options(&options));
    memset(&options, 0xff, sizeof options); /* it was copied */
    assert_string_equal(pool_name(pool), "whole");
    assert_int_equal(pool_free_slots(pool), 6);
    assert_ok(pool_invoke(pool, &runs));
    assert_ok(pool_destroy(pool));
    assert_int_equal(runs, 1);
}

static void test_a_later_option_wins(void **state)
{
    (void)state;
    pool_t *pool = make_pool_with(1, pool_with_queue(9), pool_with_queue(0), pool_with_name("first"),
                                  pool_with_name("last"), pool_with_policy(POOL_BLOCK),
                                  pool_with_nonblocking(true));
    assert_int_equal(pool_free_slots(pool), 1);
    assert_string_equal(pool_name(pool), "last");
    assert_int_equal(answer_when_full(pool), POOL_ERR_OVERLOAD);
    assert_ok(pool_destroy(pool));
}

static void test_nonblocking_of_false_is_the_blocking_policy(void **state)
{
    (void)state;
    pool_t *pool = make_pool_with(1, pool_with_policy(POOL_REFUSE), pool_with_nonblocking(false));
    assert_int_equal(answer_when_full(pool), POOL_ERR_TIMEOUT);
    assert_ok(pool_destroy(pool));
}

static void test_a_struct_of_options_replaces_what_stood_before_it_only(void **state)
{
    (void)state;
    const pool_options_t whole = {.queue = 4};
    pool_t *pool = make_pool_with(1, pool_with_name("gone"), pool_with_queue(2),
                                  pool_with_options(&whole), pool_with_nonblocking(true));
    assert_string_equal(pool_name(pool), "pool");
    assert_int_equal(pool_free_slots(pool), 5);
    assert_ok(pool_destroy(pool));
}

static void test_one_array_makes_many_pools(void **state)
{
    (void)state;
    const pool_option_t shared[] = {pool_with_queue(3), pool_with_name("twin"), POOL_OPTIONS_END};
    pool_t *a = make_pool_from(1, shared);
    pool_t *b = make_pool_from(2, shared);
    assert_int_equal(pool_free_slots(a), 4);
    assert_int_equal(pool_free_slots(b), 5);
    assert_string_equal(pool_name(a), "twin");
    assert_string_equal(pool_name(b), "twin");
    assert_ok(pool_destroy(a));
    assert_string_equal(pool_name(b), "twin");
    assert_ok(pool_destroy(b));
}

static void test_pool_new_with_takes_stored_options(void **state)
{
    (void)state;
    pool_option_t stored = pool_with_queue(3);
    pool_t *pool = NULL;
    assert_ok(pool_new_with(&pool, 1, stored));
    assert_int_equal(pool_free_slots(pool), 4);
    assert_ok(pool_destroy(pool));
}

static void apply_batch(pool_options_t *options, const pool_option_t *self)
{
    options->queue = self->value.number;
    options->policy = POOL_CALLER_RUNS;
}

static pool_option_t with_batch(int n)
{
    return (pool_option_t){apply_batch, {.number = n}};
}

static void test_an_option_that_the_user_wrote(void **state)
{
    (void)state;
    pool_t *pool = make_pool_with(1, with_batch(7), pool_with_name("batch"));
    assert_int_equal(pool_free_slots(pool), 8);
    assert_string_equal(pool_name(pool), "batch");
    assert_ok(pool_destroy(pool));
}

static void apply_error(pool_options_t *options, const pool_option_t *self)
{
    options->error = (pool_err)self->value.number;
}

static void test_an_option_that_the_user_wrote_says_why_it_cannot_be_applied(void **state)
{
    (void)state;
    pool_t *pool = NULL;
    pool_option_t refuse = {apply_error, {.number = POOL_ERR_INVALID_STRATEGY}};
    assert_int_equal(pool_new_with(&pool, 1, refuse), POOL_ERR_INVALID_STRATEGY);
    assert_null(pool);
}

static void test_the_name_is_copied(void **state)
{
    (void)state;
    char name[] = "short-lived";
    pool_t *pool = make_pool_with(1, pool_with_name(name));
    memset(name, 'x', sizeof name - 1);
    assert_string_equal(pool_name(pool), "short-lived");
    assert_ok(pool_destroy(pool));
}

static void test_a_long_name_is_kept_whole(void **state)
{
    (void)state;
    char name[1001];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    pool_t *pool = make_pool_with(1, pool_with_name(name));
    assert_string_equal(pool_name(pool), name);
    assert_ok(pool_submit(pool, empty_task, NULL));
    assert_ok(pool_destroy(pool));
}

static void test_queue_of_int_max(void **state)
{
    (void)state;
    atomic_int runs = 0;
    pool_t *pool = make_pool_with(2, pool_with_queue(INT_MAX));
    assert_true(pool_free_slots(pool) > 1000000); /* as many as there is room for at once */
    assert_ok(pool_submit(pool, count_task, &runs));
    assert_ok(pool_destroy(pool));
    assert_int_equal(runs, 1);
}

static void test_cap_of_int_max(void **state)
{
    (void)state;
    gate_t gate = GATE_CLOSED;
    pool_t *pool = make_pool(INT_MAX);
    assert_int_equal(pool_cap(pool), INT_MAX);
    assert_true(pool_free_slots(pool) > 10000);
    occupy(pool, &gate, 3);
    assert_int_equal(pool_running(pool), 3);
    open_and_destroy(pool, &gate);
}

static void test_pool_works_whatever_it_spins(void **state)
{
    (void)state;
    const int spins[] = {-1, 0, 1, 1000};
    for (size_t i = 0; i < sizeof spins / sizeof *spins; i++) {
        atomic_int runs = 0;
        pool_t *pool = make_pool_with(2, pool_with_spin_us(spins[i]));
        for (int n = 0; n < 200; n++)
            assert_ok(pool_submit(pool, count_task, &runs));
        assert_ok(pool_wait(pool));
        assert_int_equal(runs, 200);
        assert_true(eventually_equals(pool_idle, pool, pool_workers(pool)));
        assert_ok(pool_destroy(pool));
    }
}

/* ---- What pool_new refuses; *out stays as it was ---- */

static void refused(pool_err expected, int cap, pool_option_t option)
{
    int something;
    pool_t *out = (pool_t *)(void *)&something;
    assert_int_equal(pool_new_with(&out, cap, option), expected);
    assert_ptr_equal(out, &something);
}

static void test_caps_that_are_refused(void **state)
{
    (void)state;
    const int caps[] = {0, -2, -100, INT_MIN};
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++) {
        int something;
        pool_t *out = (pool_t *)(void *)&something;
        assert_int_equal(pool_new(&out, caps[i]), POOL_ERR_INVALID_CAP);
        assert_int_equal(pool_new_from(&out, caps[i], NULL), POOL_ERR_INVALID_CAP);
        assert_ptr_equal(out, &something);
        refused(POOL_ERR_INVALID_CAP, caps[i], pool_with_queue(5));
    }
}

static void test_no_place_for_the_pool_is_refused(void **state)
{
    (void)state;
    const pool_option_t none[] = {POOL_OPTIONS_END};
    assert_int_equal(pool_new(NULL, 1), POOL_ERR_INVALID);
    assert_int_equal(pool_new_from(NULL, 1, none), POOL_ERR_INVALID);
}

static void test_option_values_that_are_refused(void **state)
{
    (void)state;
    refused(POOL_ERR_INVALID_EXPIRY, 1, pool_with_expiry_ms(-1));
    refused(POOL_ERR_INVALID_EXPIRY, POOL_UNLIMITED, pool_with_expiry_ms(INT64_MIN));
    refused(POOL_ERR_INVALID_PREALLOC, POOL_UNLIMITED, pool_with_prealloc(true));
    refused(POOL_ERR_NO_FUNC, 1, pool_with_func(NULL));
    refused(POOL_ERR_INVALID, 1, pool_with_options(NULL));
    refused(POOL_ERR_INVALID, 1, pool_with_max_blocking(-1));
    refused(POOL_ERR_INVALID, 1, pool_with_queue(-1));
    refused(POOL_ERR_INVALID, 1, pool_with_policy((pool_policy)4));
    refused(POOL_ERR_INVALID, 1, pool_with_stack_size(1));
    refused(POOL_ERR_INVALID, 1, pool_with_prestart(-1));
    refused(POOL_ERR_INVALID, 1, pool_with_prestart(2));
    refused(POOL_ERR_INVALID, 1, pool_with_min_idle(-1));
    refused(POOL_ERR_INVALID, 1, pool_with_spin_us(-2));
}

static void refused_field(pool_err expected, pool_options_t options)
{
    refused(expected, 1, pool_with_options(&options));
}

static void test_fields_that_are_refused(void **state)
{
    (void)state;
    refused_field(POOL_ERR_INVALID_EXPIRY, (pool_options_t){.expiry_ms = -1});
    refused_field(POOL_ERR_INVALID, (pool_options_t){.stack_size = 1});
    refused_field(POOL_ERR_INVALID, (pool_options_t){.policy = (pool_policy)99});
    refused_field(POOL_ERR_INVALID, (pool_options_t){.queue = -1});
    refused_field(POOL_ERR_INVALID, (pool_options_t){.max_blocking = -1});
    refused_field(POOL_ERR_INVALID, (pool_options_t){.prestart = -1});
    refused_field(POOL_ERR_INVALID, (pool_options_t){.prestart = 2});
    refused_field(POOL_ERR_INVALID, (pool_options_t){.min_idle = -1});
    refused_field(POOL_ERR_INVALID, (pool_options_t){.spin_us = -2});
    refused_field(POOL_ERR_INVALID, (pool_options_t){.hooks = ""});
    refused_field(POOL_ERR_INVALID, (pool_options_t){.timing = true});
    refused_field(POOL_ERR_BUSY, (pool_options_t){.error = POOL_ERR_BUSY});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_defaults),
        checked(test_no_options_is_the_default_pool),
        checked(test_zeroed_options_are_the_default_pool),
        checked(test_options_of_zero_are_the_default_pool),
        checked(test_a_struct_of_options),
        checked(test_a_later_option_wins),
        checked(test_nonblocking_of_false_is_the_blocking_policy),
        checked(test_a_struct_of_options_replaces_what_stood_before_it_only),
        checked(test_one_array_makes_many_pools),
        checked(test_pool_new_with_takes_stored_options),
        checked(test_an_option_that_the_user_wrote),
        checked(test_an_option_that_the_user_wrote_says_why_it_cannot_be_applied),
        checked(test_the_name_is_copied),
        checked(test_a_long_name_is_kept_whole),
        checked(test_queue_of_int_max),
        checked(test_cap_of_int_max),
        checked(test_pool_works_whatever_it_spins),
        checked(test_caps_that_are_refused),
        checked(test_no_place_for_the_pool_is_refused),
        checked(test_option_values_that_are_refused),
        checked(test_fields_that_are_refused),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
