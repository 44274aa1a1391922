/* The command line of dirsum. */
#ifndef ANTPOOL_EXAMPLES_DIRSUM_ARGUMENTS_H
#define ANTPOOL_EXAMPLES_DIRSUM_ARGUMENTS_H

#include <stdbool.h>

typedef struct settings {
    const char *root_name;
    int root; /* open on DIR; the caller's to close */
    int cap;
    int queue;
    bool verify;
} settings_t;

/* Reads the arguments, opens DIR and makes sure of the descriptors that cap needs. --help
 * and what cannot be accepted end the program here. */
settings_t dirsum_arguments(char **argv);

#endif
