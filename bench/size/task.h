/* What a task does: it sleeps, computes, or is the user's own. */
#ifndef ANTPOOL_SIZE_TASK_H
#define ANTPOOL_SIZE_TASK_H

#include <stdbool.h>

#include "service.h"

/* Made once, run by many workers at once. */
struct task {
    const struct service *service;
    double cpu_share; /* of a drawn time, how much is computing, in processor time; the rest sleeps. 0 … 1 */
    void *plugin;     /* of dlopen, with the three calls */
    void *state;
    void (*run)(void *state);
    void (*fini)(void *state);
};

/* Loads a plugin. Returns NULL, or why not, as a sentence (overwritten by the next call). */
const char *task_init(struct task *task, const struct service *service, double cpu_share);
void task_fini(struct task *task);

/* Runs it once: `seconds` is the drawn time (not looked at for a plugin or a command). A command has
 * /dev/null as standard input and output. False: it could not be run or failed. Any thread. */
bool task_run(const struct task *task, double seconds);

/* Times the task itself, `at_once` at a time on a pool, until `most` were run or `seconds` are over, at least once, and
 * teaches its service (service_learn). Returns NULL or what is wrong. */
const char *task_time(struct task *task, struct service *service, int at_once, long most, double seconds);

#endif
