/*
 * The task of a plugin for `antpool-size --service plugin:FILE.so[,ARGUMENT]`. A plugin defines these
 * three; compile it with -shared -fPIC. example_task.c is one.
 */
#ifndef ANTPOOL_SIZE_PLUGIN_H
#define ANTPOOL_SIZE_PLUGIN_H

void *antpool_task_init(const char *argument); /* once, before all; argument "" if none; NULL: failed */
void antpool_task_run(void *state);            /* one task; many threads at once */
void antpool_task_fini(void *state);           /* once, after the last task has ended */

#endif
