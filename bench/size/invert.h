/* The t at which a probability that falls from 1 or less towards 0 has come down to a level. */
#ifndef ANTPOOL_SIZE_INVERT_H
#define ANTPOOL_SIZE_INVERT_H

/* 0 if it is not above the level at 0. To the last digit of a double. */
long double invert(long double (*survival)(long double t, const void *arg), const void *arg, long double level);

#endif
