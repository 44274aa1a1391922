/*
 * The ring: src/ring.h, step by step as its table has them.
 *
 * Promise: every task is taken exactly once and whole, none is overwritten, no stale one
 * is taken, and both sides get on. A task is its position + 1; arg holds it, fn only says
 * that the cell holds a task, so a taker that reads a wrong arg has a stale or torn one.
 *
 * Relied on: tail and head change by compare-and-swap; arg is written before fn (release)
 * and read after it (acquire); it is read before NULL is stored (release), which is seen
 * (acquire) before the cell is written again. head_seen is stored by whoever looked, old
 * values over new ones too; tail_seen is the taker's own.
 *
 *   CELLS, SUBMITTERS, TAKERS; TASKS: how many they submit together
 *   LIMIT   of accepted tasks that are not done: as antp_allowed has it where the limit is not
 *           above the cells, head is not looked at. Without one the cells alone are the bound.
 */
#ifndef CELLS
#define CELLS 2
#endif
#ifndef SUBMITTERS
#define SUBMITTERS 2
#endif
#ifndef TAKERS
#define TAKERS 2
#endif
#ifndef TASKS
#define TASKS 4
#endif

byte tail, head, head_seen;
#ifdef LIMIT
byte finished, finished_seen;
#endif
bool fn[CELLS];
byte arg[CELLS];
byte got;

/* antp_claim, antp_publish; where the code gives up, the call is made again when it may
 * have more success */
proctype submitter()
{
    byte t, h;
    do
    :: tail < TASKS ->
again:
#ifdef LIMIT
        h = finished_seen;
#else
        h = head_seen;
#endif
        t = tail;
        if
        :: t == TASKS -> break
        :: else
        fi;
#ifdef LIMIT
        if
        :: t - h >= LIMIT ->
            h = finished;
            finished_seen = h;
            if
            :: t - h >= LIMIT -> (tail - finished < LIMIT || tail != t); goto again
            :: else
            fi
        :: else
        fi;
#elif !defined(NO_HEAD_CHECK)
        if
        :: t - h >= CELLS ->
            h = head;
            head_seen = h;
            if
            :: t - h >= CELLS -> (tail - head < CELLS || tail != t); goto again
            :: else
            fi
        :: else
        fi;
#endif
#ifndef NO_NULL_CHECK
        if
        :: fn[t % CELLS] -> (!fn[t % CELLS] || tail != t); goto again
        :: !fn[t % CELLS]
        fi;
#endif
        if
        :: atomic { tail == t -> tail = t + 1 }
        :: tail != t -> goto again
        fi;
#ifdef FN_BEFORE_ARG
        fn[t % CELLS] = true;
        arg[t % CELLS] = t + 1;
#else
        arg[t % CELLS] = t + 1;
        fn[t % CELLS] = true;
#endif
        atomic { t = 0; h = 0 }
    :: tail == TASKS -> break
    od
}

/* antp_take_task */
proctype taker()
{
    byte h, tail_seen;
again:
    h = head;
#ifndef NO_TAIL_CHECK
    if
    :: h >= tail_seen ->
        tail_seen = tail;
        if
        :: h >= tail_seen -> h = 0;
end_empty:
            head < tail; goto again
        :: else
        fi
    :: else
    fi;
#endif
    if
    :: !fn[h % CELLS] ->
end_unpublished: /* with no task left at all, NO_TAIL_CHECK ends up here */
        (fn[h % CELLS] || head != h); goto again
    :: fn[h % CELLS]
    fi;
#ifdef TAKES_WITHOUT_SWAP
    head = h + 1;
#else
    if
    :: atomic { head == h -> head = h + 1 }
    :: head != h -> goto again
    fi;
#endif
#ifdef NULL_BEFORE_ARG
    fn[h % CELLS] = false;
    atomic { assert(arg[h % CELLS] == h + 1); got++ }
#else
    atomic { assert(arg[h % CELLS] == h + 1); got++ }
    fn[h % CELLS] = false;
#endif
#ifdef LIMIT
    finished++; /* the task has run */
#endif
    goto again
}

init
{
    byte i;
    atomic {
        do
        :: i < SUBMITTERS -> run submitter(); i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < TAKERS -> run taker(); i++
        :: else -> break
        od;
        i = 0
    }
    got == TASKS;
    assert(head == tail && tail == TASKS)
}
