/*
 * Who runs next.
 *
 *   random       goes on with the current thread, or with any, by chance; how often is
 *                drawn anew for each seed
 *   pct          the thread of highest priority runs; at a few random steps the current one
 *                becomes the lowest (S. Burckhardt et al., "A randomized scheduler with
 *                probabilistic guarantees of finding bugs", 2010)
 *   depth first  all schedules with at most so many preemptions, one after the other
 *
 * Besides, by chance: stores arrive, waits end without a signal, time passes.
 */
#include "schedule.h"

enum { DECISIONS_MAX = 200000, CHANGES = 4 };

/* A decision of the depth-first search. */
struct decision {
    unsigned char chosen, n;
    bool preempts; /* any choice but the first does */
};

static uint64_t state;
static unsigned switch_in, flush_in, jump_in;
static int64_t tick_ns;
static unsigned long decided, changes_at[CHANGES];
static int lowest;

static struct decision path[DECISIONS_MAX];
static unsigned long path_length;

/* ---- Chance ------------------------------------------------------------------------------- */

/* splitmix64, by S. Vigna (public domain). */
uint64_t strategy_random(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

bool strategy_chance(unsigned one_in)
{
    return schedule_plan.strategy != STRATEGY_DEPTH_FIRST && strategy_random() % one_in == 0;
}

static unsigned one_of(const unsigned *list, unsigned n)
{
    return list[strategy_random() % n];
}

/* What kind of schedule this seed is: slow or fast clocks, many or few switches. */
void strategy_begin(void)
{
    static const unsigned switches[] = {2, 4, 16, 64}, flushes[] = {1, 4, 32}, jumps[] = {32, 256, 4096};
    static const unsigned ticks[] = {20, 200, 2000, 20000};
    state = schedule_plan.seed;
    decided = 0;
    lowest = 0;
    switch_in = one_of(switches, 4);
    flush_in = one_of(flushes, 3);
    jump_in = one_of(jumps, 3);
    tick_ns = one_of(ticks, 4);
    for (int i = 0; i < CHANGES; i++)
        changes_at[i] = strategy_random() % (16ul << strategy_random() % 8);
}

/* Now and then its thread was off the processor for long. */
int64_t strategy_clock_step(void)
{
    if (schedule_plan.strategy == STRATEGY_DEPTH_FIRST)
        return 1000;
    if (strategy_chance(64))
        return (int64_t)(strategy_random() % 300000);
    return 1 + (int64_t)(strategy_random() % (uint64_t)(2 * tick_ns));
}

bool strategy_stores_wait(void)
{
    return schedule_plan.strategy != STRATEGY_DEPTH_FIRST && flush_in > 1;
}

/* ---- What comes unasked --------------------------------------------------------------------- */

static bool waits_timed(const struct thread *t)
{
    return t->used && !t->finished && !t->stalled && t->deadline != NO_DEADLINE;
}

static void let_time_pass(void)
{
    int64_t first = NO_DEADLINE;
    for (int i = 0; i < THREADS_MAX; i++)
        if (waits_timed(&threads[i]) && threads[i].deadline < first)
            first = threads[i].deadline;
    if (first != NO_DEADLINE && first > schedule_now)
        schedule_now = first;
}

static void wake_for_nothing(void)
{
    for (int i = 0; i < THREADS_MAX; i++)
        if (sleeps(&threads[i]) && !threads[i].stalled && strategy_chance(4))
            threads[i].signalled = true;
}

void strategy_disturb(void)
{
    if (schedule_plan.strategy == STRATEGY_DEPTH_FIRST)
        return;
    for (int i = 0; i < THREADS_MAX; i++)
        if (threads[i].used && threads[i].n_stores > 0 && strategy_chance(flush_in))
            stores_flush_one(&threads[i]);
    if (strategy_chance(jump_in))
        let_time_pass();
    if (strategy_chance(512))
        wake_for_nothing();
}

/* ---- Random ------------------------------------------------------------------------------------ */

static bool is_among(struct thread **list, int n, const struct thread *t)
{
    for (int i = 0; i < n; i++)
        if (list[i] == t)
            return true;
    return false;
}

static struct thread *choose_random(struct thread **enabled, int n, struct thread *current)
{
    bool stay = current != NULL && !current->yielded && is_among(enabled, n, current);
    if (stay && !strategy_chance(switch_in))
        return current;
    return enabled[strategy_random() % (uint64_t)n];
}

/* ---- PCT ---------------------------------------------------------------------------------------- */

void strategy_new_thread(struct thread *t)
{
    t->priority = 1 + (int)(strategy_random() % 1000000);
}

static bool change_due(void)
{
    for (int i = 0; i < CHANGES; i++)
        if (changes_at[i] == decided)
            return true;
    return false;
}

static struct thread *choose_pct(struct thread **enabled, int n, struct thread *current)
{
    if (current != NULL && (current->yielded || change_due()))
        current->priority = --lowest;
    struct thread *best = enabled[0];
    for (int i = 1; i < n; i++)
        if (enabled[i]->priority > best->priority)
            best = enabled[i];
    return best;
}

/* ---- Depth first ---------------------------------------------------------------------------------- */

void strategy_restart(void)
{
    path_length = 0;
}

/* One that yields does so to the others, if there are any: else it could go on for ever. */
static int without_yielding(struct thread **enabled, int n, const struct thread *current)
{
    if (current == NULL || !current->yielded || n == 1)
        return n;
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (enabled[i] != current)
            enabled[kept++] = enabled[i];
    return kept;
}

/* The current thread first, if it can go on; else it makes no difference. */
static struct thread *choose_depth_first(struct thread **enabled, int n, struct thread *current)
{
    n = without_yielding(enabled, n, current);
    bool stay = current != NULL && is_among(enabled, n, current);
    if (decided >= DECISIONS_MAX)
        schedule_fail("too many decisions for a depth-first search");
    if (decided == path_length)
        path[path_length++] = (struct decision){0, (unsigned char)n, stay};
    unsigned chosen = path[decided].chosen;
    if (path[decided].n != n)
        schedule_fail("the scenario is not deterministic");
    if (!stay)
        return enabled[chosen];
    if (chosen == 0)
        return current;
    int i = 0;
    for (; chosen > 0; i++)
        chosen -= enabled[i] != current;
    return enabled[i - 1];
}

static int preemptions_before(unsigned long end)
{
    int sum = 0;
    for (unsigned long i = 0; i < end; i++)
        sum += path[i].preempts && path[i].chosen > 0;
    return sum;
}

bool strategy_next(int bound)
{
    int before = preemptions_before(path_length);
    while (path_length > 0) {
        struct decision *last = &path[path_length - 1];
        before -= last->preempts && last->chosen > 0;
        if (last->chosen + 1 < last->n && before + last->preempts <= bound) {
            last->chosen++;
            return true;
        }
        path_length--;
    }
    return false;
}

/* ---- All ------------------------------------------------------------------------------------------- */

struct thread *strategy_choose(struct thread **enabled, int n, struct thread *current)
{
    struct thread *chosen;
    switch (schedule_plan.strategy) {
    case STRATEGY_PCT: chosen = choose_pct(enabled, n, current); break;
    case STRATEGY_DEPTH_FIRST: chosen = choose_depth_first(enabled, n, current); break;
    default: chosen = choose_random(enabled, n, current);
    }
    decided++;
    return chosen;
}
