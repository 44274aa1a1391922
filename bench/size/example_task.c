/*
 * An example of a plugin: a task that checksums a buffer and then waits for something far away.
 *
 *     cc -O2 -shared -fPIC -I bench/size bench/size/example_task.c -o example_task.so
 *     antpool-size --rate 200 --service plugin:example_task.so,256 --goal p99-wait=20ms
 *
 * The argument is the size of the buffer in KiB (64).
 */
#define _POSIX_C_SOURCE 200809L
#include "plugin.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FAR_AWAY_NS 2000000

struct buffer {
    size_t size;
    unsigned char bytes[];
};

void *antpool_task_init(const char *argument)
{
    char *end;
    long kib = *argument != '\0' ? strtol(argument, &end, 10) : 64;
    if (kib < 1 || kib > 1 << 20 || (*argument != '\0' && *end != '\0'))
        return NULL;
    size_t size = (size_t)kib * 1024;
    struct buffer *buffer = malloc(sizeof *buffer + size);
    if (buffer == NULL)
        return NULL;
    buffer->size = size;
    memset(buffer->bytes, 'a', size); /* memory that was never written to is not there to be read */
    return buffer;
}

static uint32_t checksum(const struct buffer *buffer)
{
    uint32_t sum = 1;
    for (size_t i = 0; i < buffer->size; i++)
        sum = sum * 31 + buffer->bytes[i];
    return sum;
}

/* Many threads at once: what they share they only read. */
void antpool_task_run(void *state)
{
    volatile uint32_t sum = checksum(state); /* volatile: or nobody would look at it, and it be left out */
    (void)sum;
    struct timespec pause = {0, FAR_AWAY_NS};
    nanosleep(&pause, NULL);
}

void antpool_task_fini(void *state)
{
    free(state);
}
