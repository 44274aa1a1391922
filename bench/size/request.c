#define _GNU_SOURCE
#include "request.h"

#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "antpool.h"
#include "fail.h"
#include "units.h"

static const char help[] =
    "usage: antpool-size --rate R --service S (--goal G [--goal G ...] | --cap C) [OPTION ...]\n"
    "       antpool-size erlang --rate R --service S (--goal G [--goal G ...] | --cap C) [OPTION ...]\n"
    "       antpool-size usl (--service S [--caps N,N,...] | FILE) [--json]\n"
    "\n"
    "Finds the least cap of a pool that meets the goals: by formula, by simulation and by runs of\n"
    "the real pool. erlang: by the formulas alone, at once. usl: throughput against cap.\n"
    "\n"
    "  --rate R           tasks a second: 1000, 60/m, 2k/s\n"
    "  --service S        how long a task takes: 200ms or exp:200ms (by chance), fixed:200ms,\n"
    "                     lognormal:200ms,0.8, bimodal:20ms,1s,5%, trace:FILE[,COLUMN]; or the task\n"
    "                     itself: plugin:FILE.so[,ARGUMENT], exec:COMMAND\n"
    "  --goal G           met strictly below its bound; several may be given:\n"
    "                     p-wait=1%, mean-wait=5ms, p50-wait, p95-wait, p99-wait=50ms, p999-wait,\n"
    "                     p99-total=1s, reject=1%, utilisation=80%, drain=30s\n"
    "  --cap C            look at this cap instead; with goals: does it meet them?\n"
    "  --queue Q          at most Q tasks wait, the rest is refused; default: all wait\n"
    "  --backlog N        the tasks of a drain goal\n"
    "  --arrivals A       poisson (default) or constant\n"
    "  --cpu[=SHARE]      share of a task's time that is computing (alone: all of it); default: it\n"
    "                     sleeps (--sleep)\n"
    "  --memory B         bytes for all tasks, as 512MiB; --per-task B: what one needs\n"
    "  --fds-per-task N   file descriptors that a task holds\n"
    "  --downstream N     calls at once that the system behind allows to all instances;\n"
    "                     --instances M: how many of this service there are (1)\n"
    "  --shards N         of a multipool, one of which may be lost (4)\n"
    "  --sweep N          caps that are measured: 1, 3 or 5 (5)\n"
    "  --duration T       how long each of them is measured (8s)\n"
    "  --simulate N       tasks of a long simulation (1000000)\n"
    "  --seed N           another draw of the same tasks (1)\n"
    "  --json --csv       instead of the table; --svg FILE: a chart; --percentiles FILE: the\n"
    "                     measured waits, as HdrHistogram prints them\n"
    "  --help --version\n"
    "\n"
    "Exit code: 0 goals met, 1 not met, 2 bad usage, 3 this run cannot tell, 4 could not run.\n";

/* ---- Options ----------------------------------------------------------------------------- */

static const char *set_rate(struct request *r, const char *text)
{
    return rate_parse(text, &r->rate);
}

static const char *set_service(struct request *r, const char *text)
{
    service_fini(&r->service);
    r->service = (struct service){0};
    r->service_text = text;
    return service_parse(text, &r->service);
}

static const char *set_goal(struct request *r, const char *text)
{
    if (r->goals_n == GOALS_MAX)
        return "there are too many; 8 goals are accepted";
    return goal_parse(text, &r->goals[r->goals_n++]);
}

static const char *set_cap(struct request *r, const char *text)
{
    return count_parse(text, 1, CAP_MOST, &r->cap);
}

static const char *set_queue(struct request *r, const char *text)
{
    return count_parse(text, 0, 1000000, &r->queue);
}

static const char *set_backlog(struct request *r, const char *text)
{
    return count_parse(text, 1, 10000000, &r->backlog);
}

static const char *set_arrivals(struct request *r, const char *text)
{
    r->arrivals = strcmp(text, "constant") == 0 ? ARRIVALS_CONSTANT : ARRIVALS_POISSON;
    if (r->arrivals == ARRIVALS_CONSTANT || strcmp(text, "poisson") == 0)
        return NULL;
    return "arrivals are poisson or constant";
}

static const char *set_cpu(struct request *r, const char *text)
{
    if (text != NULL)
        return share_parse(text, &r->cpu_share);
    r->cpu_share = 1;
    return NULL;
}

static const char *set_sleep(struct request *r, const char *text)
{
    (void)text;
    r->cpu_share = 0;
    return NULL;
}

static const char *set_memory(struct request *r, const char *text)
{
    return bytes_parse(text, &r->needs.memory);
}

static const char *set_per_task(struct request *r, const char *text)
{
    return bytes_parse(text, &r->needs.per_task);
}

static const char *set_fds(struct request *r, const char *text)
{
    return count_parse(text, 1, 1000000, &r->needs.fds_per_task);
}

static const char *set_downstream(struct request *r, const char *text)
{
    return count_parse(text, 1, 1000000000, &r->downstream);
}

static const char *set_instances(struct request *r, const char *text)
{
    return count_parse(text, 1, 1000000, &r->instances);
}

static const char *set_shards(struct request *r, const char *text)
{
    return count_parse(text, 2, 4096, &r->shards);
}

static const char *set_sweep(struct request *r, const char *text)
{
    const char *wrong = count_parse(text, 1, 5, &r->sweep);
    if (wrong == NULL && r->sweep % 2 == 0)
        return "the caps of a sweep are 1, 3 or 5: as many below the answer as above";
    return wrong;
}

static const char *set_duration(struct request *r, const char *text)
{
    return duration_parse(text, &r->seconds);
}

static const char *set_simulated(struct request *r, const char *text)
{
    return count_parse(text, 1000, 100000000, &r->simulated);
}

static const char *set_seed(struct request *r, const char *text)
{
    long seed = 0;
    const char *wrong = count_parse(text, 0, LONG_MAX, &seed);
    r->seed = (uint64_t)seed;
    return wrong;
}

static const char *set_caps(struct request *r, const char *text)
{
    char *copy = strdup(text), *rest = copy;
    const char *wrong = copy == NULL ? "no memory" : NULL;
    r->caps_n = 0;
    for (char *word; wrong == NULL && (word = strsep(&rest, ",")) != NULL;)
        wrong = r->caps_n == CAPS_MAX ? "there are too many; 32 caps are accepted"
                                      : count_parse(word, 1, 10000, &r->caps[r->caps_n++]);
    free(copy);
    return wrong;
}

static const char *set_json(struct request *r, const char *text)
{
    (void)text;
    r->format = FORMAT_JSON;
    return NULL;
}

static const char *set_csv(struct request *r, const char *text)
{
    (void)text;
    r->format = FORMAT_CSV;
    return NULL;
}

static const char *set_svg(struct request *r, const char *text)
{
    r->svg = text;
    return NULL;
}

static const char *set_percentiles(struct request *r, const char *text)
{
    r->percentiles = text;
    return NULL;
}

#define SIZE (1 << COMMAND_SIZE)
#define ERLANG (1 << COMMAND_ERLANG)
#define USL (1 << COMMAND_USL)
#define MODELS (SIZE | ERLANG)

static const struct setting {
    const char *name;
    int argument; /* no_argument, … of getopt.h */
    int commands; /* that take it */
    const char *(*set)(struct request *request, const char *text); /* NULL, or what is wrong */
} settings[] = {
    {"rate", required_argument, MODELS, set_rate},
    {"service", required_argument, MODELS | USL, set_service},
    {"goal", required_argument, MODELS, set_goal},
    {"cap", required_argument, MODELS, set_cap},
    {"queue", required_argument, MODELS, set_queue},
    {"backlog", required_argument, MODELS, set_backlog},
    {"arrivals", required_argument, SIZE, set_arrivals},
    {"cpu", optional_argument, MODELS | USL, set_cpu},
    {"sleep", no_argument, MODELS | USL, set_sleep},
    {"memory", required_argument, MODELS, set_memory},
    {"per-task", required_argument, MODELS, set_per_task},
    {"fds-per-task", required_argument, MODELS, set_fds},
    {"downstream", required_argument, MODELS, set_downstream},
    {"instances", required_argument, MODELS, set_instances},
    {"shards", required_argument, MODELS, set_shards},
    {"sweep", required_argument, SIZE, set_sweep},
    {"duration", required_argument, SIZE | USL, set_duration},
    {"simulate", required_argument, SIZE, set_simulated},
    {"seed", required_argument, SIZE, set_seed},
    {"caps", required_argument, USL, set_caps},
    {"json", no_argument, MODELS | USL, set_json},
    {"csv", no_argument, SIZE, set_csv},
    {"svg", required_argument, SIZE, set_svg},
    {"percentiles", required_argument, SIZE, set_percentiles},
};

#define SETTINGS ((int)(sizeof settings / sizeof settings[0]))
enum { HELP = SETTINGS, VERSION };

static const char *const command_words[] = {"without a command antpool-size", "erlang", "usl"};

__attribute__((noreturn)) static void print_and_end(const char *text)
{
    fputs(text, stdout);
    exit(fflush(stdout) == 0 ? EXIT_MET : EXIT_UNABLE);
}

__attribute__((noreturn)) static void print_version(void)
{
    printf("antpool-size %d.%d.%d\n", POOL_VERSION_MAJOR, POOL_VERSION_MINOR, POOL_VERSION_PATCH);
    print_and_end("");
}

static void set(struct request *request, const struct setting *setting, const char *text)
{
    if ((setting->commands & 1 << request->command) == 0)
        fail(EXIT_USAGE, "%s takes no --%s; --help lists what it takes",
             command_words[request->command], setting->name);
    const char *wrong = setting->set(request, text);
    if (wrong != NULL)
        fail(EXIT_USAGE, "--%s: %s", setting->name, wrong);
}

/* getopt leaves a letter behind where a word begins with a single -, and may not be past that word; the
 * number of an option that has a value but takes none; 0 for a name that it does not know. */
__attribute__((noreturn)) static void refuse_option(char **argv)
{
    if (optopt > VERSION)
        fail(EXIT_USAGE, "-%c is no option, they all begin with --; --help lists them", optopt);
    if (optopt > 0)
        fail(EXIT_USAGE, "%s: this option takes no value", argv[optind - 1]);
    fail(EXIT_USAGE, "%s is no option, or stands for several; --help lists them", argv[optind - 1]);
}

static void read_options(struct request *request, int argc, char **argv)
{
    struct option options[SETTINGS + 3] = {{0}};
    for (int i = 0; i < SETTINGS; i++)
        options[i] = (struct option){settings[i].name, settings[i].argument, NULL, i};
    options[HELP] = (struct option){"help", no_argument, NULL, HELP};
    options[VERSION] = (struct option){"version", no_argument, NULL, VERSION};
    opterr = 0;
    for (int i; (i = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        if (i == HELP)
            print_and_end(help);
        if (i == VERSION)
            print_version();
        if (i == ':')
            fail(EXIT_USAGE, "%s needs a value; --help says which", argv[optind - 1]);
        if (i == '?')
            refuse_option(argv);
        set(request, &settings[i], optarg);
    }
}

/* ---- What fits together ----------------------------------------------------------------------- */

static int goals_of(const struct request *request, enum metric from, enum metric to)
{
    int n = 0;
    for (int i = 0; i < request->goals_n; i++)
        n += request->goals[i].metric >= from && request->goals[i].metric <= to;
    return n;
}

static bool only_drains(const struct request *request)
{
    if (request->goals_n == 0)
        return request->backlog > 0;
    return goals_of(request, DRAIN, DRAIN) == request->goals_n;
}

/* A pool refuses by its limit, so a real one cannot be asked how many it would refuse without. */
static void settle_queue(struct request *request)
{
    if (request->command != COMMAND_SIZE || request->queue >= 0 || goals_of(request, REJECT, REJECT) == 0)
        return;
    if (goals_of(request, P_WAIT, P99_TOTAL) > 0)
        fail(EXIT_USAGE, "--goal reject=... beside a wait: say with --queue Q how many tasks may wait");
    request->queue = 0;
}

static void check_models(const struct request *request)
{
    if (request->service_text == NULL)
        fail(EXIT_USAGE, "--service is missing: how long a task takes, as --service exp:200ms");
    if (request->goals_n == 0 && request->cap == 0)
        fail(EXIT_USAGE, "--goal is missing: what the cap is to do, as --goal p99-wait=50ms; or --cap C");
    if (request->rate == 0 && !only_drains(request))
        fail(EXIT_USAGE, "--rate is missing: tasks a second, as --rate 1000");
    if (goals_of(request, DRAIN, DRAIN) > 0 && request->backlog == 0)
        fail(EXIT_USAGE, "--goal drain=... needs --backlog N, how many tasks are to be drained");
    if (request->command == COMMAND_ERLANG && request->service.kind != SERVICE_EXP)
        fail(EXIT_USAGE, "--service: the formulas are for exponential times, as exp:200ms, not \"%s\"; "
             "without the word erlang the others are simulated", request->service_text);
    if (request->cpu_share > 0 && service_is_program(&request->service))
        fail(EXIT_USAGE, "--cpu is for drawn times; a plugin or command computes what it computes");
    if (request->instances > 1 && request->downstream == 0)
        fail(EXIT_USAGE, "--instances needs --downstream N, what all of them together may use");
}

static void check_usl(const struct request *request)
{
    if ((request->file == NULL) == (request->service_text == NULL))
        fail(EXIT_USAGE, "usl takes either a FILE of caps and throughputs (- for standard input) or --service");
    if (request->caps_n > 0 && request->caps_n < 3)
        fail(EXIT_USAGE, "--caps: a curve needs at least three");
}

static void read_words(struct request *request, int argc, char **argv)
{
    if (request->command == COMMAND_USL && optind < argc)
        request->file = argv[optind++];
    if (optind < argc)
        fail(EXIT_USAGE, "\"%s\" is not understood; commands are erlang and usl, options start with --", argv[optind]);
}

void request_read(struct request *request, int argc, char **argv)
{
    *request = (struct request){.queue = -1, .instances = 1, .shards = 4, .sweep = 5, .seconds = 8,
                                .simulated = 1000000, .seed = 1};
    for (enum command c = COMMAND_ERLANG; c <= COMMAND_USL; c++)
        if (argc > 1 && strcmp(argv[1], command_words[c]) == 0)
            request->command = c;
    int skipped = request->command != COMMAND_SIZE;
    read_options(request, argc - skipped, argv + skipped);
    read_words(request, argc - skipped, argv + skipped);
    if (request->command == COMMAND_USL) {
        check_usl(request);
        return;
    }
    check_models(request);
    settle_queue(request);
    request->needs.cpu_share = request->cpu_share;
    for (int i = 0; i < request->goals_n; i++)
        if (request->goals[i].metric == UTILISATION)
            request->needs.utilisation = request->goals[i].bound;
}

void request_fini(struct request *request)
{
    service_fini(&request->service);
}

/* ---- Questions ----------------------------------------------------------------------------------- */

struct scenario request_scenario(const struct request *request, long cap)
{
    return (struct scenario){
        .service = &request->service,
        .arrivals = request->arrivals,
        .rate = request->rate,
        .cap = cap,
        .queue = request->queue,
        .backlog = request->backlog,
        .seed = request->seed,
    };
}

double request_tightest_time(const struct request *request)
{
    double least = INFINITY;
    for (int i = 0; i < request->goals_n; i++)
        if (metric_is_time(request->goals[i].metric) && request->goals[i].metric != DRAIN)
            least = fmin(least, request->goals[i].bound);
    return least;
}

double request_bound(const struct request *request, enum metric metric)
{
    for (int i = 0; i < request->goals_n; i++)
        if (request->goals[i].metric == metric)
            return request->goals[i].bound;
    return NAN;
}

const char *request_goals(const struct request *request, char *text, int room)
{
    int at = 0;
    text[0] = '\0';
    for (int i = 0; i < request->goals_n && at < room; i++)
        at += snprintf(text + at, (size_t)(room - at), "%s%s", i > 0 ? ", " : "", request->goals[i].text);
    return text;
}
