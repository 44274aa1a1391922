/*
 * The asleep bit: rule 6 of src/crew.c.
 *
 * Any create may fail, the janitor may expire any idle worker at any time, a task may end
 * its thread by pthread_exit, and a blocked submitter is admitted by somebody else. Still
 * every accepted task runs: nothing is accepted while no worker is alive, and the last
 * worker goes only when nothing is queued. Tasks do not wait for one another here: after a
 * create that failed, a task waits for the workers there are.
 *
 * Relied on: claim and asleep bit are one word (tail), changed by compare-and-swap and
 * atomic or/and; crew as in wake.pml.
 *
 *   CAP, SUBMITTERS, EACH   as in wake.pml
 *   ADMITTER                one who admits a blocked submitter's task, under the lock
 */
#ifndef CAP
#define CAP 2
#endif
#ifndef SUBMITTERS
#define SUBMITTERS 2
#endif
#ifndef EACH
#define EACH 1
#endif
#ifdef ADMITTER
#define TASKS (SUBMITTERS * EACH + 1)
#else
#define TASKS (SUBMITTERS * EACH)
#endif
#define WORKERS (CAP + 1)

#include "crew.pmh"

byte cap_now = CAP;
byte head, tail;
bool asleep = true; /* a bit of the tail word */
bool filled[TASKS], begun[TASKS];
byte running, finished, answered;

/* The crew must never look empty with the bit clear once the lock is free. */
#define SOUND assert(workers > 0 || asleep)

#define SOME_RECORD (!thread[0] || !thread[1] || !thread[WORKERS - 1])

inline start_locked()
{
#ifdef CLEARS_BEFORE_CREATE
    asleep = false;
#endif
    if
    :: got = NO
    :: atomic {
            SOME_RECORD -> free_record();
            token[w] = true;
            order[w] = STAY;
            thread[w] = true;
            w = 0
        }
        asleep = false;
        workers++;
        got = YES
    fi
}

/* start_searcher_locked */
inline start_searcher()
{
    searching++;
    start_locked();
    if
    :: got == NO -> searching--
    :: else
    fi
}

/* take_out_locked; the lock is held, and given back. Rule 4 is the caller's. */
inline take_out(of_idle, of_searching)
{
#ifdef ASLEEP_AFTER_UNLOCK
    atomic { workers--; idle = idle - of_idle; searching = searching - of_searching; lock = 0 }
    if
    :: workers == 0 -> asleep = true
    :: else
    fi
#else
    atomic { workers--; idle = idle - of_idle; searching = searching - of_searching }
    atomic {
        if
        :: workers == 0 -> asleep = true
        :: else
        fi;
        lock = 0
    }
#endif
}

/* fall_asleep_locked: got */
inline fall_asleep()
{
#ifdef ASLEEP_WITHOUT_COMPARING
    asleep = true;
    got = YES
#elif defined(ASLEEP_LOOKS_THEN_SETS)
    got = (HAS_WORK -> NO : YES);
    if
    :: got == YES -> asleep = true
    :: else
    fi
#else
    atomic {
        if
        :: !HAS_WORK && !asleep -> asleep = true; got = YES
        :: else -> got = NO
        fi
    }
#endif
}

/* ---- Submitting ---- */

proctype submitter()
{
    LOCALS;
    byte p, n;
    bool want;
again:
    do
    :: n < EACH ->
        if
        :: atomic { asleep -> skip }
            /* antp_awaken */
            atomic { lock == 0 -> lock = 1; want = asleep }
            if
            :: want ->
                start_searcher();
                atomic { want = false; lock = 0 }
                if
                :: got == NO -> n++; answered++; goto again /* POOL_ERR_NO_THREAD */
                :: else -> got = NO; goto again
                fi
            :: else -> lock = 0; goto again
            fi
#ifdef CLAIMS_ASLEEP
        :: atomic { p = tail; tail++ }
#else
        :: atomic { !asleep -> p = tail; tail++ }
#endif
        fi;
        want = MAY_BE_WOKEN(true);
        filled[p] = true;
        if
        :: want -> wake()
        :: else
        fi;
        atomic { want = false; p = 0; n++; answered++ }
    :: else -> break
    od
}

#ifdef ADMITTER
/* admit_one_locked for one waiter, by somebody who is no worker */
proctype admitter()
{
    LOCALS;
    byte p;
    bool done;
    atomic { lock == 0 -> lock = 1 }
    do
    :: !done ->
        if
        :: asleep ->
            start_searcher();
            if
            :: got == NO -> done = true
            :: else -> got = NO
            fi
        :: atomic { !asleep -> p = tail; tail++ }
            filled[p] = true;
            done = true
        fi
    :: else -> break
    od;
    lock = 0;
    if
    :: HAS_WORK -> wake() /* admitting is submitting */
    :: !HAS_WORK
    fi;
    atomic { p = 0; answered++ }
}
#endif

/* ---- A worker ---- */

proctype worker(byte me)
{
    LOCALS;
    byte p;
    bool last;
end_off:
    atomic { thread[me] && lock == 0 -> skip }
next:
    if
    :: atomic { head < tail && filled[head] ->
        p = head; head++; running++; assert(running <= CAP) }
    :: head == tail -> goto park
    fi;
    if
    :: token[me] -> stop_searching()
    :: else
    fi;
    atomic { assert(!begun[p]); begun[p] = true }
    atomic { p = 0; running--; finished++ }
    if
    :: goto next
    :: skip /* pthread_exit: antp_lose_worker */
    fi;
    atomic { lock == 0 -> lock = 1; last = (workers == 1) }
#ifndef EXITS_UNSEEN
    if
    :: last ->
        fall_asleep();
        if
        :: got == NO ->
            start_searcher();
            if
            :: got == NO -> atomic { last = false; lock = 0 } goto next /* stays and drains */
            :: else
            fi
        :: else
        fi;
        atomic { last = false; got = NO }
    :: else
    fi;
#endif
    take_out(0, 0);
#ifdef EXITS_UNSEEN
    last = false;
#endif
    if
    :: HAS_WORK -> wake() /* rule 4 */
    :: !HAS_WORK
    fi;
    thread[me] = false;
    goto end_off;

park:
    atomic {
        lock == 0 -> lock = 1;
        if
        :: token[me] -> token[me] = false; searching--
        :: else
        fi;
        push_idle(me);
        idle++
    }
    if
    :: HAS_WORK ->
        atomic { unpark(me); idle--; token[me] = true; searching++; lock = 0 }
        goto next
    :: atomic { !HAS_WORK -> order[me] = STAY; lock = 0 }
    fi;
end_idle:
    if
    :: atomic { order[me] == SEARCH -> order[me] = STAY; token[me] = true } goto next
    :: atomic { order[me] == LEAVE -> order[me] = STAY; thread[me] = false } goto end_off
    fi
}

/* ---- The janitor: antp_expire_locked, the oldest first ---- */

proctype janitor()
{
    byte w, i, got;
end_janitor:
    do
    :: atomic { lock == 0 && parked > 0 -> lock = 1; got = YES }
        if
        :: workers == 1 ->
#ifdef EXPIRES_WITHOUT_ASLEEP
            got = YES
#else
            fall_asleep()
#endif
        :: else
        fi;
        if
        :: got == YES ->
            atomic { w = stack[0]; unpark(w); order[w] = LEAVE; w = 0 }
            take_out(1, 0)
        :: else -> lock = 0
        fi;
        got = NO
    od
}

init
{
    byte i;
    atomic {
        do
        :: i < WORKERS -> run worker(i); i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < SUBMITTERS -> run submitter(); i++
        :: else -> break
        od;
        i = 0;
        run janitor();
#ifdef ADMITTER
        run admitter();
#endif
    }
    answered == TASKS;
    finished == tail; /* or the end is invalid */
    atomic { lock == 0 -> SOUND }
}
