/*
 * Expiry against hand-off, and the janitor's alarm clock.
 *
 * A waker takes the newest idle worker off the stack, the janitor the oldest; a worker that
 * was handed a token is never told to leave, and no token gets lost. And the janitor is not
 * forgotten: while more than min_idle workers are idle it is armed, or about to be, however
 * long the tasks take that run meanwhile. (The last worker of all: asleep.pml.)
 *
 * Relied on: the stack and armed change under pool->lock only, the place in the heap
 * under the janitor's lock; lock order janitor, pool.
 *
 *   CAP, FIRST, MIN_IDLE, SUBMITTERS, EACH
 *   NAP   searchers may nap while tasks flow
 */
#ifndef CAP
#define CAP 2
#endif
#ifndef FIRST
#define FIRST 2
#endif
#ifndef MIN_IDLE
#define MIN_IDLE 0
#endif
#ifndef SUBMITTERS
#define SUBMITTERS 1
#endif
#ifndef EACH
#define EACH 2
#endif
#define TASKS (SUBMITTERS * EACH)
#define WORKERS (CAP + 2)

#include "crew.pmh"

byte cap_now = CAP;
byte head, tail;
bool filled[TASKS];
byte finished;

bool armed;     /* L */
bit heap_lock;  /* the janitor's lock */
bool placed;    /* J: the pool stands in the heap */
bool visiting;

#define FORGOTTEN (idle > MIN_IDLE && !placed && !visiting && heap_lock == 0 && lock == 0)

inline start_locked()
{
    atomic {
        free_record();
        token[w] = true;
        order[w] = STAY;
        thread[w] = true;
        w = 0;
        workers++;
        got = YES
    }
}

proctype submitter()
{
    LOCALS;
    byte p, n;
    bool want;
    do
    :: n < EACH ->
        atomic { p = tail; tail++ }
        want = MAY_BE_WOKEN(true);
        filled[p] = true;
        if
        :: want -> wake()
        :: else
        fi;
        atomic { want = false; p = 0; n++ }
    :: else -> break
    od
}

/* The lock is held: wants_janitor_locked, antp_janitor_arm. */
inline arm_if_need_be()
{
    if
    :: !armed && idle > MIN_IDLE ->
        atomic { armed = true; lock = 0 } /* lock order: janitor, pool */
        atomic { heap_lock == 0 -> placed = true }
    :: else -> lock = 0
    fi
}

#ifdef NAP
#define NOBODY 255
byte napper = NOBODY; /* L */

inline lay_napper_down()
{
    if
    :: napper != NOBODY ->
        push_idle(napper);
        order[napper] = STAY;
        token[napper] = false;
        napper = NOBODY;
        idle++;
        searching--
    :: else
    fi
}
#endif

proctype worker(byte me)
{
    LOCALS;
end_off:
    atomic { thread[me] && lock == 0 -> skip }
next:
#ifdef NAP
    if
    :: atomic { token[me] && lock == 0 && napper == NOBODY -> napper = me } goto nap
    :: skip
    fi;
#endif
    if
    :: atomic { head < tail && filled[head] -> head++ }
    :: head == tail -> goto park
    fi;
    if
    :: token[me] -> stop_searching()
    :: else
    fi;
    atomic { !FORGOTTEN -> finished++ } /* the task takes as long as it likes */
    goto next;

park:
#ifdef NAP
    atomic { lock == 0 -> lock = 1; lay_napper_down() }
    atomic {
#else
    atomic {
        lock == 0 -> lock = 1;
#endif
        if
        :: token[me] -> token[me] = false; searching--
        :: else
        fi;
        push_idle(me);
        idle++
    }
    if
    :: HAS_WORK ->
        atomic { unpark(me); idle--; token[me] = true; searching++ }
#if defined(NAP) && !defined(NAPPER_UNARMED)
        arm_if_need_be(); /* for a napper that was laid down */
#else
        lock = 0;
#endif
        goto next
    :: !HAS_WORK -> order[me] = STAY
    fi;
    arm_if_need_be();
end_idle:
    if
    :: atomic { order[me] == SEARCH -> order[me] = STAY; token[me] = true;
#ifdef LEFT_ON_STACK
        unpark(me)
#endif
        }
        goto next
    :: atomic { order[me] == LEAVE ->
        order[me] = STAY;
        assert(!token[me]);
        thread[me] = false }
        goto end_off
    fi;
#ifdef NAP
nap:
    if
    :: atomic { lock == 0 && napper == me -> napper = NOBODY } goto next
    :: napper != me -> goto end_idle
    fi
#endif
}

/* visit_locked, antp_expire_locked */
proctype janitor()
{
    byte w, i;
    bool again;
end_asleep:
    do
    :: atomic { placed && heap_lock == 0 -> heap_lock = 1; placed = false; visiting = true }
        atomic { lock == 0 -> lock = 1 }
        do
        :: idle > MIN_IDLE -> again = true; break /* the oldest is not due yet, or the last worker is needed */
        :: idle > MIN_IDLE && workers > 1 ->
#ifdef MARKS_THEN_REMOVES
            atomic { w = stack[0]; order[w] = LEAVE; lock = 0 }
            atomic { lock == 0 -> lock = 1; unpark(w); idle--; workers--; w = 0 }
#else
            atomic {
                w = stack[0];
                unpark(w);
                order[w] = LEAVE;
                idle--;
                workers--; /* one step: take_out_locked */
                w = 0
            }
#endif
        :: idle <= MIN_IDLE -> again = false;
#ifndef DISARMS_AFTER_UNLOCK
            armed = false;
#endif
            break
        od;
        lock = 0;
#ifdef DISARMS_AFTER_UNLOCK
        armed = again;
#endif
        atomic { placed = again; again = false; heap_lock = 0; visiting = false }
    od
}

init
{
    byte i;
    atomic {
        do
        :: i < WORKERS ->
            if
            :: i < FIRST -> thread[i] = true; workers++
            :: else
            fi;
            run worker(i);
            i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < SUBMITTERS -> run submitter(); i++
        :: else -> break
        od;
        i = 0;
        run janitor()
    }
    finished == TASKS && idle == workers && searching == 0 && (idle <= MIN_IDLE || workers == 1)
}
