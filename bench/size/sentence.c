#include "sentence.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *sentence(const char *format, ...)
{
    static char said[1024];
    char next[sizeof said];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(next, sizeof next, format, arguments);
    va_end(arguments);
    return memcpy(said, next, sizeof said);
}
