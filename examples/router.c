/*
 * router: how does one route tasks to pools by what they are about?
 *
 * An array of pools, and a function that picks one for a task. Here it hashes the account:
 * all movements of an account go to the same pool, and as every pool has a cap of 1, they
 * are booked one at a time and in the order in which they came. So the account needs no
 * lock, and different accounts still run side by side. The price: accounts that share a
 * pool share its fate.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "antpool.h"

enum { POOLS = 4, ACCOUNTS = 20, MOVEMENTS = 500, CLERKS = 3, PRIME = 7 };

static void need(bool so, const char *what)
{
    if (so)
        return;
    fprintf(stderr, "router: not so: %s\n", what);
    exit(EXIT_FAILURE);
}

static void need_ok(pool_err err, const char *call)
{
    if (err == POOL_OK)
        return;
    fprintf(stderr, "router: %s: %s\n", call, pool_strerror(err));
    exit(EXIT_FAILURE);
}

/* ---- The router: it knows pools and keys, and nothing of accounts ------------------- */

typedef struct router {
    pool_t *pools[POOLS];
    size_t (*pick)(uint64_t key, size_t pools);
} router_t;

static pool_err router_submit(const router_t *router, uint64_t key, pool_task_fn fn,
                              const void *data, size_t size)
{
    return pool_submit_copy(router->pools[router->pick(key, POOLS)], fn, data, size);
}

/* Numbers in a row are spread as well. */
static size_t pick_by_hash(uint64_t key, size_t pools)
{
    key *= UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)((key >> 32) % pools);
}

static void make_router(router_t *router)
{
    router->pick = pick_by_hash;
    for (int i = 0; i < POOLS; i++)
        need_ok(pool_new_with(&router->pools[i], 1, pool_with_name("ledger"), pool_with_queue(64)),
                "pool_new");
}

static void destroy_router(const router_t *router)
{
    for (int i = 0; i < POOLS; i++)
        need_ok(pool_destroy(router->pools[i]), "destroy");
}

/* ---- The accounts ------------------------------------------------------------------ */

/* No lock and no atomics: only the tasks of one pool touch it, and they run in order. */
typedef struct account {
    const pool_t *pool; /* the one it was first seen in */
    int last;           /* number of the last movement */
    int out_of_order;
    int elsewhere;
    int64_t balance;
} account_t;

typedef struct movement {
    account_t *account;
    int number; /* 1, 2, 3 … in each account */
    int amount;
} movement_t;

static void book(void *arg)
{
    const movement_t *movement = arg;
    account_t *account = movement->account;
    if (account->pool == NULL)
        account->pool = pool_current();
    account->elsewhere += account->pool != pool_current();
    account->out_of_order += movement->number != account->last + 1;
    account->last = movement->number;
    account->balance += movement->amount;
}

/* Submits the movements of every CLERKS-th account. Clerks are tasks of another pool: one
 * that waits in it for the ledger holds up none of the ledger's own. */
typedef struct clerk {
    const router_t *router;
    account_t *accounts;
    int first;
} clerk_t;

static void enter_movements(void *arg)
{
    const clerk_t *clerk = arg;
    for (int number = 1; number <= MOVEMENTS; number++) {
        for (int i = clerk->first; i < ACCOUNTS; i += CLERKS) {
            movement_t movement = {&clerk->accounts[i], number, i % PRIME + 1};
            need_ok(router_submit(clerk->router, (uint64_t)i, book, &movement, sizeof(movement)),
                    "submit");
        }
    }
}

static void enter_all(const router_t *router, account_t accounts[ACCOUNTS])
{
    pool_t *office;
    clerk_t clerks[CLERKS];
    need_ok(pool_new_with(&office, CLERKS, pool_with_name("office")), "pool_new");
    for (int i = 0; i < CLERKS; i++) {
        clerks[i] = (clerk_t){router, accounts, i};
        need_ok(pool_submit(office, enter_movements, &clerks[i]), "submit a clerk");
    }
    need_ok(pool_destroy(office), "destroy");
}

int main(void)
{
    router_t router;
    account_t accounts[ACCOUNTS] = {{.last = 0}};
    make_router(&router);
    enter_all(&router, accounts);
    destroy_router(&router);

    int out_of_order = 0;
    int elsewhere = 0;
    for (int i = 0; i < ACCOUNTS; i++) {
        out_of_order += accounts[i].out_of_order;
        elsewhere += accounts[i].elsewhere;
        need(accounts[i].last == MOVEMENTS, "every movement was booked");
        need(accounts[i].balance == (int64_t)MOVEMENTS * (i % PRIME + 1), "balances are right");
    }
    printf("%d accounts in %d pools: %d movements booked, %d out of order, %d elsewhere\n",
           ACCOUNTS, POOLS, ACCOUNTS * MOVEMENTS, out_of_order, elsewhere);
    need(out_of_order == 0, "the movements of an account are booked in order");
    need(elsewhere == 0, "an account stays in its pool");
    return EXIT_SUCCESS;
}
