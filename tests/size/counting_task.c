/* A plugin that counts what is called; its init fails if the argument is "fail". */
#include "plugin.h"

#include <stdatomic.h>
#include <string.h>

static atomic_int inits, runs, finis;

void *antpool_task_init(const char *argument)
{
    atomic_fetch_add(&inits, 1);
    return strcmp(argument, "fail") == 0 ? (void *)0 : &runs;
}

void antpool_task_run(void *state)
{
    atomic_fetch_add((atomic_int *)state, 1);
}

#ifndef WITHOUT_FINI
void antpool_task_fini(void *state)
{
    (void)state;
    atomic_fetch_add(&finis, 1);
}
#endif

void counting_task_counts(int *inited, int *ran, int *ended);

void counting_task_counts(int *inited, int *ran, int *ended)
{
    *inited = inits;
    *ran = runs;
    *ended = finis;
}
