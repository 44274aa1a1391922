#include "study.h"

#include <math.h>
#include <stdio.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "fail.h"
#include "model.h"
#include "verdict.h"

#define SIMULATION_SECONDS 1.0 /* about what one takes, for the progress line */
#define WARMUP_SHARE 0.2
#define TIMING_TASKS 1000      /* of a plugin or command, before anything else */
#define TIMING_SECONDS 3.0
#define TIMING_AT_ONCE 4
#define REHEARSALS 3
#define LONG_DRAIN 120.0       /* seconds: longer ones are not measured, … */
#define LONG_AFTER 30.0        /* … nor runs that go on for longer after their last task has come */

static bool show_run(double done, void *arg)
{
    progress_at(arg, done);
    return true;
}

/* ---- Runs ----------------------------------------------------------------------------------- */

/* The tasks that have come by then and are not done, and the last ones, of which one takes long. */
static bool ends_soon(const struct request *request, long cap, double seconds)
{
    double load = request->rate * request->service.mean;
    double over = request->queue < 0 ? fmax(0, load / (double)cap - 1) : 0;
    double last = request->service.mean * (1 + 3 * sqrt(request->service.cv2));
    return over * seconds + last <= fmax(LONG_AFTER, seconds);
}

/* Returns NULL or what is wrong. */
static const char *measure(struct study *study, const struct task *task, long cap, double seconds, struct run *run)
{
    char what[48];
    snprintf(what, sizeof what, "measuring cap %ld", cap);
    progress_part(&study->progress, what, seconds);
    *run = (struct run){
        .task = task,
        .scenario = request_scenario(study->request, cap),
        .seconds = seconds,
        .warmup = seconds * WARMUP_SHARE,
        .progress = show_run,
        .arg = &study->progress,
        .rss_before = study->rss_before,
    };
    return load_run(run);
}

/* With the limit that may be the reason. */
__attribute__((noreturn)) static void give_up(struct study *study, const char *wrong)
{
    char warning[320];
    const struct answer *answer = &study->answer;
    progress_end(&study->progress);
    for (int i = 0; i < answer->limits.n; i++)
        if (limit_warning(&answer->limits.of[i], answer->cap, warning, sizeof warning))
            fail(EXIT_UNABLE, "%s; %s", wrong, warning);
    fail(EXIT_UNABLE, "cap %ld: %s", answer->cap, wrong);
}

/* How long a plugin's tasks take depends on how many run at once, so they are timed on a pool of the
 * size that the last timing led to, until that changes little. */
static void rehearse(struct study *study, struct request *request, const struct task *task)
{
    for (int i = 0; i < REHEARSALS && request->rate > 0; i++) {
        struct run run;
        double mean = request->service.mean;
        answer_find(&study->answer, request);
        if (!ends_soon(request, study->answer.cap, request->seconds / 2))
            return;
        const char *wrong = measure(study, task, study->answer.cap, request->seconds / 2, &run);
        if (wrong != NULL)
            give_up(study, wrong);
        if (!service_learn(&request->service, run.services, run.services_n))
            fail(EXIT_UNABLE, "no memory for %ld service times", run.services_n);
        run_fini(&run);
        if (fabs(request->service.mean / mean - 1) < 0.1)
            return;
    }
}

static void time_program(struct study *study, struct request *request, struct task *task)
{
    progress_part(&study->progress, "timing the task", TIMING_SECONDS);
    const char *wrong = task_time(task, &request->service, TIMING_AT_ONCE, TIMING_TASKS, TIMING_SECONDS);
    if (wrong != NULL)
        fail(EXIT_UNABLE, "--service %s: %s", request->service_text, wrong);
    rehearse(study, request, task);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static void add_row(struct study *study, long cap)
{
    if (cap < 1)
        return;
    if (cap == study->answer.cap)
        study->chosen = study->rows_n;
    study->rows[study->rows_n++].cap = cap;
}

static void choose_rows(struct study *study)
{
    long cap = study->answer.cap, step = (long)(sqrt((double)cap) / 2 + 0.5);
    step = step < 2 ? 2 : step;
    long offsets[] = {-step, -1, 0, 1, step};
    long n = study->request->sweep, skipped = (ROWS_MAX - n) / 2;
    for (long i = skipped; i < skipped + n; i++)
        add_row(study, cap + offsets[i]);
}

/* What the answer rests on is not simulated once more, and by chance otherwise. */
static void simulate_row(const struct study *study, struct row *row, const struct scenario *scenario)
{
    const struct answer *answer = &study->answer;
    if (!model_is_exact(scenario) && row->cap == answer->cap)
        row->simulation = answer->predicted;
    else if (!model_is_exact(scenario) && row->cap == answer->cap - 1)
        row->simulation = answer->below;
    else if (!simulate(scenario, study->request->simulated, &row->simulation))
        fail(EXIT_UNABLE, "no memory to simulate %ld tasks", study->request->simulated);
}

static void fill_row(struct study *study, struct row *row, const struct task *task)
{
    const struct request *request = study->request;
    struct scenario scenario = request_scenario(request, row->cap);
    char what[48];
    snprintf(what, sizeof what, "simulating cap %ld", row->cap);
    progress_part(&study->progress, what, SIMULATION_SECONDS);
    row->formula = model_formula(&scenario);
    simulate_row(study, row, &scenario);
    if (request->rate == 0 || !ends_soon(request, row->cap, request->seconds))
        return;
    const char *wrong = measure(study, task, row->cap, request->seconds, &row->run);
    if (wrong != NULL && row->cap == study->answer.cap)
        give_up(study, wrong);
    row->measured = wrong == NULL; /* there may be no room for more workers than the answer's */
}

/* ---- The rest ---------------------------------------------------------------------------------- */

static void measure_drain(struct study *study, const struct task *task)
{
    const struct request *request = study->request;
    double expected = study->answer.predicted.outcome.of[DRAIN];
    study->drain = NAN;
    if (request->backlog == 0 || expected > LONG_DRAIN)
        return;
    struct scenario scenario = request_scenario(request, study->answer.cap);
    progress_part(&study->progress, "draining the backlog", expected);
    const char *wrong = load_drain(task, &scenario, &study->drain);
    if (wrong != NULL)
        give_up(study, wrong);
}

static void find_spread(struct study *study)
{
    const struct request *request = study->request;
    study->spread = outcome_unknown();
    if (!study->rows[study->chosen].measured)
        return;
    struct scenario scenario = request_scenario(request, study->answer.cap);
    double tasks = request->rate * request->seconds;
    double runs = fmax(SPREAD_RUNS_LEAST, fmin(SPREAD_RUNS_MOST, SPREAD_TASKS / tasks));
    progress_part(&study->progress, "judging", SIMULATION_SECONDS);
    if (!simulate_spread(&scenario, (long)tasks, (long)(tasks * WARMUP_SHARE), (int)runs, &study->spread))
        fail(EXIT_UNABLE, "no memory to simulate %.0f tasks", tasks);
}

static double seconds_of_all(const struct request *request, const struct task *task)
{
    double each = SIMULATION_SECONDS + (request->rate > 0 ? request->seconds : 0);
    bool program = service_is_program(task->service);
    return (double)request->sweep * each + 2 * SIMULATION_SECONDS + (program ? TIMING_SECONDS + request->seconds / 2 : 0);
}

/* What a simulation has freed goes back at once, or it would be taken for that of workers. glibc
 * keeps ever larger pieces otherwise. */
static void give_memory_back(void)
{
#ifdef M_MMAP_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
#endif
}

void study_do(struct study *study, struct request *request)
{
    struct task task;
    *study = (struct study){.request = request};
    const char *wrong = task_init(&task, &request->service, request->cpu_share);
    if (wrong != NULL)
        fail(EXIT_USAGE, "--service %s: %s", request->service_text, wrong);
    give_memory_back();
    study->rss_before = load_resident();
    progress_begin(&study->progress, seconds_of_all(request, &task));
    if (isnan(request->service.mean))
        time_program(study, request, &task);
    progress_part(&study->progress, "looking for the cap", SIMULATION_SECONDS);
    answer_find(&study->answer, request);
    choose_rows(study);
    for (int i = 0; i < study->rows_n; i++)
        fill_row(study, &study->rows[i], &task);
    measure_drain(study, &task);
    find_spread(study);
    progress_end(&study->progress);
    task_fini(&task);
    study_judge(study);
}

void study_fini(struct study *study)
{
    for (int i = 0; i < study->rows_n; i++)
        if (study->rows[i].measured)
            run_fini(&study->rows[i].run);
}
