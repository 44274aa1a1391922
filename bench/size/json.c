#include "json.h"

#include <math.h>

static void put_string(FILE *to, const char *text)
{
    putc('"', to);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20)
            fprintf(to, "\\u%04x", c);
        else
            fprintf(to, c == '"' || c == '\\' ? "\\%c" : "%c", c);
    }
    putc('"', to);
}

static void begin(struct json *json, const char *key)
{
    if (json->depth > 0)
        fprintf(json->to, "%s\n%*s", json->first ? "" : ",", 2 * json->depth, "");
    json->first = false;
    if (key == NULL)
        return;
    put_string(json->to, key);
    fputs(": ", json->to);
}

void json_open(struct json *json, const char *key, char bracket)
{
    begin(json, key);
    putc(bracket, json->to);
    json->depth++;
    json->first = true;
}

void json_close(struct json *json, char bracket)
{
    json->depth--;
    if (!json->first)
        fprintf(json->to, "\n%*s", 2 * json->depth, "");
    putc(bracket, json->to);
    json->first = false;
    if (json->depth == 0)
        putc('\n', json->to);
}

void json_number(struct json *json, const char *key, double value)
{
    begin(json, key);
    if (isfinite(value))
        fprintf(json->to, "%.17g", value);
    else
        fputs("null", json->to);
}

void json_count(struct json *json, const char *key, long value)
{
    begin(json, key);
    fprintf(json->to, "%ld", value);
}

void json_bool(struct json *json, const char *key, bool value)
{
    begin(json, key);
    fputs(value ? "true" : "false", json->to);
}

void json_text(struct json *json, const char *key, const char *text)
{
    begin(json, key);
    if (text == NULL)
        fputs("null", json->to);
    else
        put_string(json->to, text);
}
