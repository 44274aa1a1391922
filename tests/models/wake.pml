/*
 * Waking: rules 1 to 4 of src/crew.c.
 *
 * Submitters claim, load crew, publish and wake; workers take, hand the token on, look
 * again, park. Promise: no accepted task is left while a worker could run it, each runs
 * once, never more than cap at once.
 *
 * Tasks come in pairs (positions 2k, 2k+1) and each waits until the other has begun, as
 * tasks do that talk to one another. So a lost *second* wake is a deadlock; with tasks
 * that never wait the one worker at work would hide it. Spin finds it as an invalid end.
 *
 * Relied on (seq_cst): the claim of tail before the load of crew in push(); the add to
 * crew before the loads of head and tail in sees_work_locked(), and after a token is given
 * back; the store of worker_cap before those loads in pool_tune(), and the claim before
 * the load of worker_cap.
 *
 *   FIRST              workers alive at the start
 *   CAP                most workers
 *   SUBMITTERS, EACH   who submits, how many tasks each
 *   CREATES_FAIL       no create succeeds
 *   TUNE               pool_tune(1), then pool_tune(CAP), at any time
 *   EXIT               one task ends its thread by pthread_exit
 *   NAP                a searcher may nap while tasks flow, and so may a worker that finds
 *                      nothing and takes the token for it
 *   LATE               a token may be late, and a second one given out
 *   START_HOOK         a new thread has a start hook to call before its first task
 */
#ifndef CAP
#define CAP 2
#endif
#ifndef FIRST
#define FIRST 1
#endif
#ifndef SUBMITTERS
#define SUBMITTERS 2
#endif
#ifndef EACH
#define EACH 2
#endif
#define TASKS (SUBMITTERS * EACH)
#ifdef CREATES_FAIL
#define WORKERS FIRST
#elif defined(TUNE) || defined(EXIT)
#define WORKERS (CAP + 1)
#else
#define WORKERS CAP
#endif

#include "crew.pmh"

byte cap_now = CAP; /* worker_cap */
byte head, tail;
bool filled[TASKS];
bool begun[TASKS];
byte running, finished;
bit spinning, surplus;
#ifdef EXIT
bit exits = 1;
#endif

/* With a token. The new thread waits for the lock before all else. */
inline start_locked()
{
#ifdef CREATES_FAIL
    got = NO
#else
    atomic {
        free_record();
        token[w] = true;
        order[w] = STAY;
        thread[w] = true;
        w = 0;
        workers++;
        got = YES
    }
#endif
}

/* ---- Submitting ---- */

proctype submitter()
{
    LOCALS;
    byte p, n;
    bool want;
    do
    :: n < EACH ->
#ifdef CREW_BEFORE_CLAIM
        want = MAY_BE_WOKEN(true);
        atomic { p = tail; tail++ }
#else
        atomic { p = tail; tail++ }
        if /* wake_wanted; if not, publish at once */
        :: want = MAY_BE_WOKEN(true)
        :: LATE_TOKEN -> want = true
        fi;
#endif
        filled[p] = true;
        if
        :: want -> wake()
        :: else
        fi;
        atomic { want = false; p = 0; n++ }
    :: else -> break
    od
}

/* ---- A worker ---- */

#ifdef NAP
#define NOBODY 255
byte napper = NOBODY; /* L */
#define MAY_NAP (napper == NOBODY && workers - idle > 1)

/* lay_napper_down_locked: on the stack below the parker, its token back */
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

#ifdef START_HOOK
/* greet: the user's on_thread_start takes as long as it likes, here until no task is left
 * that an idle worker could run. */
bool greeted[WORKERS];

inline greet()
{
    if
    :: !greeted[me] -> greeted[me] = true; !(HAS_WORK && idle > 0)
    :: else
    fi
}
#endif

inline note_surplus()
{
    surplus = (workers > cap_now)
}

/* leave_locked, the lock not yet taken; then rule 4 */
inline leave()
{
    atomic {
        workers--;
        if
        :: token[me] -> token[me] = false; searching--
        :: else
        fi;
        note_surplus();
        lock = 0
    }
#ifndef NO_LOOK_AFTER_LEAVING
    if
    :: HAS_WORK -> wake()
    :: !HAS_WORK
    fi;
#endif
    thread[me] = false
}

proctype worker(byte me)
{
    LOCALS;
    byte p;
end_off:
    atomic { thread[me] && lock == 0 -> skip }
#ifdef HOOK_HOLDS_TOKEN
    greet();
#endif
next:
#ifdef TUNE
    if
    :: surplus ->
        atomic {
            lock == 0 -> note_surplus();
            if
            :: surplus -> lock = 1; got = YES
            :: else -> got = NO
            fi
        }
        if
        :: got == YES -> leave(); goto end_off
        :: else
        fi
    :: !surplus
    fi;
#endif
#ifdef NAP
    if
    :: atomic { token[me] && lock == 0 && MAY_NAP -> napper = me } goto nap
    :: skip
    fi;
#endif
    if
    :: atomic { head < tail && filled[head] -> /* unpublished: waits here */
        p = head; head++; running++; assert(running <= CAP) }
    :: head == tail -> goto look
    fi;
    /* got_task */
    if
    :: token[me] ->
        stop_searching();
#if defined(START_HOOK) && !defined(HOOK_HOLDS_TOKEN)
        greet()
#endif
    :: else
    fi;
    atomic { assert(!begun[p]); begun[p] = true }
    begun[p ^ 1]; /* the task */
    atomic { p = 0; running--; finished++ }
#ifdef EXIT
    /* antp_lose_worker of one that is not the last; for the last see asleep.pml */
    if
    :: atomic { exits > 0 && lock == 0 && workers > 1 -> exits--; lock = 1 }
        leave();
        goto end_off
    :: skip
    fi;
#endif
    goto next;

look: /* look_again: any number of times */
    if
    :: goto park
    :: atomic { spinning == 0 -> spinning = 1 }
        if
        :: !token[me] ->
            atomic { /* antp_start_searching */
                if
                :: MAY_BE_WOKEN(true) -> searching++; token[me] = true
                :: else
                fi
            }
        :: else
        fi;
        if
        :: atomic { HAS_WORK -> spinning = 0 } goto next
        :: spinning = 0 /* long enough */
        fi
    fi;

park:
#ifdef NAP
    if /* rest */
    :: atomic { !token[me] && searching == 0 -> searching++; token[me] = true }
    :: skip
    fi;
    if
    :: atomic { token[me] && lock == 0 && MAY_NAP -> napper = me } goto nap
    :: skip
    fi;
#endif
    /* antp_park, sees_work_locked */
#if defined(TUNE) && !defined(PARKS_IN_SURPLUS)
    atomic {
        lock == 0 -> note_surplus();
        if
        :: surplus -> lock = 1; got = YES
        :: else -> got = NO
        fi
    }
    if
    :: got == YES -> leave(); goto end_off
    :: else
    fi;
#endif
#ifdef LOOK_BEFORE_PARK
    atomic { lock == 0 -> lock = 1; got = HAS_WORK }
    if
    :: got -> atomic {
            if
            :: !token[me] -> token[me] = true; searching++
            :: else
            fi;
            got = NO; lock = 0 }
        goto next
    :: else
    fi;
    atomic {
        if :: token[me] -> token[me] = false; searching-- :: else fi;
        push_idle(me); idle++; order[me] = STAY; lock = 0 }
#elif defined(NO_LOOK_AFTER_PARK)
    atomic {
        lock == 0 ->
        if :: token[me] -> token[me] = false; searching-- :: else fi;
        push_idle(me); idle++; order[me] = STAY }
#else
    atomic {
        lock == 0 -> lock = 1;
#if defined(NAP) && !defined(NAPPER_DOWN_AFTER_LOOK)
        lay_napper_down();
    }
    atomic {
#endif
#ifndef TOKEN_BACK_AFTER_LOOK
        if :: token[me] -> token[me] = false; searching-- :: else fi;
#endif
        push_idle(me);
        idle++
    }
    if
    :: HAS_WORK -> /* rule 3: and goes on as a searcher */
        atomic {
            unpark(me);
            idle--;
#ifndef GOES_ON_WITHOUT_TOKEN
            if :: !token[me] -> searching++ :: else fi;
            token[me] = true;
#endif
            lock = 0
        }
        goto next
    :: atomic { !HAS_WORK -> order[me] = STAY;
#if !defined(TOKEN_BACK_AFTER_LOOK) && !defined(NAPPER_DOWN_AFTER_LOOK)
        lock = 0
#endif
        }
    fi;
#ifdef NAPPER_DOWN_AFTER_LOOK
    atomic { lay_napper_down(); lock = 0 }
#endif
#ifdef TOKEN_BACK_AFTER_LOOK
    atomic {
        if :: token[me] -> token[me] = false; searching-- :: else fi;
        lock = 0 }
#endif
#endif
end_idle: /* sleep_locked */
    if
    :: atomic { order[me] == SEARCH -> order[me] = STAY; token[me] = true } goto next
    :: atomic { order[me] == LEAVE -> order[me] = STAY; thread[me] = false } goto end_off
    fi;
#ifdef NAP
/* antp_nap, by a searcher: how often and how long is up to it, but never for ever. */
nap:
    if
#ifndef NAPS_FOR_EVER
    :: atomic { lock == 0 && napper == me -> napper = NOBODY } goto next
#endif
    :: napper != me -> goto end_idle
    fi
#endif
}

/* ---- Tuning ---- */

#ifdef TUNE
inline set_cap(to)
{
#ifdef TUNE_LOOKS_FIRST
    want = HAS_WORK;
#endif
    atomic { lock == 0 -> lock = 1; cap_now = to }
    atomic { /* antp_trim_locked */
        note_surplus();
        do
        :: surplus && parked > 0 ->
            w = stack[0];
            unpark(w);
            idle--; workers--;
            order[w] = LEAVE;
            w = 0;
            note_surplus()
        :: else -> break
        od;
        lock = 0
    }
#ifndef TUNE_LOOKS_FIRST
    want = HAS_WORK; /* antp_admit */
#endif
    if
    :: want -> wake()
    :: else
    fi
}

proctype tuner()
{
    LOCALS;
    bool want;
    set_cap(1);
    set_cap(CAP)
}
#endif

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
#ifdef TUNE
        run tuner();
#endif
        i = 0
    }
    finished == TASKS /* or the end is invalid */
}
