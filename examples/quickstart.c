#include <stdio.h>
#include "antpool.h"

static void square(void *arg) { int *n = arg; *n *= *n; }

int main(void)
{
    int n[] = {1, 2, 3, 4, 5, 6, 7, 8};
    POOL_SCOPED(pool);                  /* destroyed on every way out of main */
    pool_err err = pool_new(&pool, 4);  /* at most 4 tasks at once */
    for (int i = 0; i < 8 && err == POOL_OK; i++)
        err = pool_submit(pool, square, &n[i]); /* waits for its turn at the cap */
    pool_wait(pool);                    /* every accepted task has run */
    for (int i = 0; i < 8; i++) printf("%d\n", n[i]);
    return err;
}
