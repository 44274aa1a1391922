/* Breakage 15 of other pools: a worker is a child of whoever happened to submit. And the
 * signals: none meant for the process runs on a worker. */
#define _GNU_SOURCE
#include "faults.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What a thread would hand on to one that it creates. */
typedef struct heritage {
    sigset_t mask;
    cpu_set_t cpus;
    int policy;
} heritage_t;

static void look_at_myself(void *arg)
{
    heritage_t *h = arg;
    struct sched_param param;
    pthread_sigmask(SIG_SETMASK, NULL, &h->mask);
    CPU_ZERO(&h->cpus);
    sched_getaffinity(0, sizeof h->cpus, &h->cpus);
    pthread_getschedparam(pthread_self(), &h->policy, &param);
}

/* A submitter that changes itself first, so that the worker it starts could inherit it. */
typedef struct odd_submitter {
    pool_t *pool;
    bool (*change)(void); /* false: not possible here */
    heritage_t worker;
    pool_err answer;
    bool changed;
} odd_submitter_t;

static void *submit_oddly(void *arg)
{
    odd_submitter_t *odd = arg;
    odd->changed = odd->change();
    odd->answer = pool_submit(odd->pool, look_at_myself, &odd->worker);
    return NULL;
}

static heritage_t worker_started_by(bool (*change)(void))
{
    odd_submitter_t odd = {.change = change};
    assert_ok(pool_new(&odd.pool, 1));
    pthread_join(thread_start(submit_oddly, &odd), NULL);
    assert_ok(pool_destroy(odd.pool));
    assert_ok(odd.answer);
    if (!odd.changed)
        skip();
    return odd.worker;
}

static bool block_every_signal(void)
{
    sigset_t all;
    sigfillset(&all);
    return pthread_sigmask(SIG_SETMASK, &all, NULL) == 0;
}

static bool block_no_signal(void)
{
    sigset_t none;
    sigemptyset(&none);
    return pthread_sigmask(SIG_SETMASK, &none, NULL) == 0;
}

static void assert_mask_of_a_worker(const sigset_t *mask)
{
    const int open[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGPROF};
    const int shut[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGCHLD, SIGPIPE};
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++)
        assert_false(sigismember(mask, open[i]));
    for (size_t i = 0; i < sizeof shut / sizeof shut[0]; i++)
        assert_true(sigismember(mask, shut[i]));
}

/* 15, GLib and libuv: handlers run in, or are kept from, whatever thread a mask was
 * inherited by. */
static void test_15_worker_does_not_inherit_the_signal_mask_of_a_submitter(void **state)
{
    (void)state;
    heritage_t strict = worker_started_by(block_every_signal);
    assert_mask_of_a_worker(&strict.mask);
    heritage_t lax = worker_started_by(block_no_signal);
    assert_mask_of_a_worker(&lax.mask);
}

static bool pin_to_one_cpu(void)
{
    cpu_set_t mine, one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof mine, &mine) != 0 || CPU_COUNT(&mine) < 2)
        return false;
    for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &mine))
            CPU_SET(cpu, &one);
    return sched_setaffinity(0, sizeof one, &one) == 0;
}

/* 15, several: a pinned submitter pins the pool to one processor. */
static void test_15_worker_does_not_inherit_the_affinity_of_a_submitter(void **state)
{
    (void)state;
    heritage_t mine;
    look_at_myself(&mine);
    heritage_t worker = worker_started_by(pin_to_one_cpu);
    assert_true(CPU_EQUAL(&worker.cpus, &mine.cpus));
}

static bool become_realtime(void)
{
    struct sched_param lowest = {.sched_priority = sched_get_priority_min(SCHED_RR)};
    return pthread_setschedparam(pthread_self(), SCHED_RR, &lowest) == 0;
}

static bool become_batch(void)
{
    struct sched_param none = {0};
    return pthread_setschedparam(pthread_self(), SCHED_BATCH, &none) == 0;
}

/* 15, several: so does one with a scheduling policy of its own. */
static void test_15_worker_does_not_inherit_the_scheduling_of_a_submitter(void **state)
{
    (void)state;
    assert_int_equal(worker_started_by(become_batch).policy, SCHED_OTHER);
}

/* 15: realtime needs a privilege that not every machine gives. */
static void test_15_worker_does_not_inherit_the_realtime_policy_of_a_submitter(void **state)
{
    (void)state;
    assert_int_equal(worker_started_by(become_realtime).policy, SCHED_OTHER);
}

static void *make_pool_pinned(void *arg)
{
    odd_submitter_t *odd = arg;
    odd->changed = pin_to_one_cpu();
    odd->answer = pool_new(&odd->pool, 1);
    return NULL;
}

/* 15: what counts is the thread that made the pool, though it is long gone. */
static void test_15_worker_has_the_affinity_of_the_thread_that_made_the_pool(void **state)
{
    (void)state;
    odd_submitter_t odd = {0};
    pthread_join(thread_start(make_pool_pinned, &odd), NULL);
    assert_ok(odd.answer);
    assert_ok(pool_submit(odd.pool, look_at_myself, &odd.worker));
    assert_ok(pool_destroy(odd.pool));
    if (!odd.changed)
        skip();
    assert_int_equal(CPU_COUNT(&odd.worker.cpus), 1);
}

/* Fault: signals. pool_new, a submit that starts a worker, tune and destroy all leave the
 * mask of their caller as they found it. */
static void test_creating_threads_mask_is_restored(void **state)
{
    (void)state;
    sigset_t odd_mask, before, after;
    sigemptyset(&odd_mask);
    sigaddset(&odd_mask, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &odd_mask, &before);
    pool_t *pool;
    assert_ok(pool_new_with(&pool, 3, pool_with_prestart(1)));
    gate_t gate = GATE_CLOSED;
    assert_ok(pool_submit(pool, gate_task, &gate));
    assert_ok(pool_submit(pool, gate_task, &gate));
    assert_true(gate_await(&gate, 2));
    gate_open(&gate);
    assert_ok(pool_tune(pool, 1));
    assert_ok(pool_destroy(pool));
    pthread_sigmask(SIG_SETMASK, &before, &after);
    for (int signal = 1; signal < SIGRTMIN; signal++)
        assert_int_equal(sigismember(&after, signal), signal == SIGUSR2);
    gate_fini(&gate);
}

static atomic_int signals_elsewhere, signals_here;
static pid_t here;

static void note_thread(int signal)
{
    (void)signal;
    atomic_fetch_add((pid_t)syscall(SYS_gettid) == here ? &signals_here : &signals_elsewhere, 1);
}

static void handle(int signal, void (*handler)(int))
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    sigaction(signal, &action, NULL);
}

static void let_workers_pass_through_the_kernel(pool_t *pool)
{
    atomic_int ran = 0;
    for (int i = 0; i < 100; i++)
        assert_ok(pool_submit(pool, count_task, &ran));
    assert_ok(pool_wait(pool));
}

/* Fault: signals. With the test's thread closed to them they can only wait, or find a
 * worker or the janitor open. */
static void test_signals_to_the_process_never_run_on_a_worker(void **state)
{
    (void)state;
    const int sent[] = {SIGUSR1, SIGTERM, SIGHUP};
    pool_t *pool;
    here = (pid_t)syscall(SYS_gettid);
    for (int i = 0; i < 3; i++)
        handle(sent[i], note_thread);
    assert_ok(pool_new_with(&pool, 2, pool_with_prestart(2), pool_with_expiry_ms(1)));
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 0; i < 3; i++)
        assert_int_equal(kill(getpid(), sent[i]), 0);
    let_workers_pass_through_the_kernel(pool);
    assert_true(eventually_equals(pool_workers, pool, 0)); /* the janitor has run as well */
    assert_int_equal(signals_elsewhere, 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_true(reaches(&signals_here, 3));
    assert_int_equal(signals_elsewhere, 0);
    assert_ok(pool_destroy(pool));
    for (int i = 0; i < 3; i++)
        handle(sent[i], SIG_DFL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        checked(test_15_worker_does_not_inherit_the_signal_mask_of_a_submitter),
        checked(test_15_worker_does_not_inherit_the_affinity_of_a_submitter),
        checked(test_15_worker_does_not_inherit_the_scheduling_of_a_submitter),
        checked(test_15_worker_does_not_inherit_the_realtime_policy_of_a_submitter),
        checked(test_15_worker_has_the_affinity_of_the_thread_that_made_the_pool),
        checked(test_creating_threads_mask_is_restored),
        checked(test_signals_to_the_process_never_run_on_a_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
