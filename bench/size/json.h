/* Writes JSON, key by key. The caller opens and closes; commas and indents come by themselves. */
#ifndef ANTPOOL_SIZE_JSON_H
#define ANTPOOL_SIZE_JSON_H

#include <stdbool.h>
#include <stdio.h>

struct json {
    FILE *to;
    int depth;
    bool first; /* nothing stands in the innermost object or array yet */
};

/* key: NULL in an array, and for the outermost value. */
void json_open(struct json *json, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json *json, char bracket);                 /* '}' or ']' */
void json_number(struct json *json, const char *key, double value); /* 17 digits; null if not finite */
void json_count(struct json *json, const char *key, long value);
void json_bool(struct json *json, const char *key, bool value);
void json_text(struct json *json, const char *key, const char *text); /* NULL: null */

#endif
