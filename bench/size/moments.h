/* Of n > 0 figures. */
#ifndef ANTPOOL_SIZE_MOMENTS_H
#define ANTPOOL_SIZE_MOMENTS_H

double mean_of(const double *figures, long n);
double squares_about(const double *figures, long n, double about); /* the sum of squared differences */

#endif
