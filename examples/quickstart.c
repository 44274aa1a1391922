#include <stdio.h>

#include "antpool.h"

static void square(void *arg)
{
    int *number = arg;
    *number *= *number;
}

int main(void)
{
    int numbers[] = {1, 2, 3, 4, 5, 6, 7, 8};
    pool_t *pool = NULL;
    pool_err err = pool_new(&pool, 4); /* at most 4 tasks at once */
    for (int i = 0; i < 8 && err == POOL_OK; i++)
        err = pool_submit(pool, square, &numbers[i]); /* waits for its turn at the cap */
    pool_destroy(pool); /* every accepted task has run */

    for (int i = 0; i < 8 && err == POOL_OK; i++)
        printf("%d\n", numbers[i]);
    if (err != POOL_OK)
        fprintf(stderr, "quickstart: %s\n", pool_strerror(err));
    return err != POOL_OK;
}
