#include "moments.h"

double mean_of(const double *figures, long n)
{
    double sum = 0;
    for (long i = 0; i < n; i++)
        sum += figures[i];
    return sum / (double)n;
}

double squares_about(const double *figures, long n, double about)
{
    double sum = 0;
    for (long i = 0; i < n; i++)
        sum += (figures[i] - about) * (figures[i] - about);
    return sum;
}
