#include "invert.h"

#include <float.h>

/* Bisection: some 60 calls for a double's digits, and nothing that a kink could mislead. */
long double invert(long double (*survival)(long double t, const void *arg), const void *arg, long double level)
{
    long double low = 0, high = 1;
    if (survival(0, arg) <= level)
        return 0;
    while (survival(high, arg) > level) {
        low = high;
        high *= 2;
    }
    while (high - low > high * (DBL_EPSILON / 8)) {
        long double middle = low + (high - low) / 2;
        if (middle <= low || middle >= high)
            break;
        if (survival(middle, arg) > level)
            low = middle;
        else
            high = middle;
    }
    return low + (high - low) / 2;
}
