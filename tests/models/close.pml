/*
 * Closing and destroying: rules 2 and 5 of src/crew.c, `inside`, antp_end.
 *
 * Promise: every accepted task runs or is handed back, also those claimed and not yet
 * published when the pool closes; every worker goes; destroy returns, and nothing of the
 * pool is touched after it was freed. Destroy may begin as soon as every submit call has
 * been refused, is blocked, or had its task run: the call itself may still be under way.
 *
 * Relied on: CLOSED is a bit of tail, so a claim fails once it is set; `inside` is counted
 * before the publish, which whoever takes the task synchronises with.
 *
 *   CAP, SUBMITTERS
 *   MANY          pool_submit_many of two tasks that do not fit at once; destroy may begin
 *                 when the first has run
 *   RELEASE       pool_release by somebody, at any time
 *   RELEASE_NOW   pool_release_now likewise
 *   RELEASE_WAIT  pool_release_timeout, without end, likewise; once it has returned no
 *                 thread is left and none is made
 *   DISCARD       somebody under POOL_DISCARD_OLDEST takes out the oldest task, hands it to
 *                 the handler and then tries again to push its own
 *   BLOCKED       somebody blocks at the limit (and is let in by nobody)
 *   LONG_CALL     a call counted as inside that ends late: a caller-runs task, say
 */
#ifndef CAP
#define CAP 1
#endif
#ifndef SUBMITTERS
#define SUBMITTERS 2
#endif
#ifdef MANY
#define EACH 2
#else
#define EACH 1
#endif
#define TASKS (SUBMITTERS * EACH)
#define WORKERS (CAP + 2) /* a late wake may start one more than are needed */

bool freed;
#define TOUCH assert(!freed)

#include "crew.pmh"

byte cap_now = CAP;
byte head, tail;
bool closed;                 /* a bit of the tail word */
bool filled[TASKS], over[TASKS];
byte finished;
byte inside;
byte unjoined, ended;
bool released;               /* pool_release_timeout has returned */
byte calls;                  /* that destroy must let begin: see above */
#define CALL_BEGUN calls++

/* Sleepers of antp_end: destroy, release_timeout. */
bool ender[2], woken[2];

#ifdef BLOCKED
bool waits, told; /* the node in pool->waiters */
#endif

#if defined(RELEASE) || defined(RELEASE_NOW)
#define CLOSERS 1
#else
#define CLOSERS 0
#endif
#ifdef RELEASE_WAIT
#define RELEASERS 1
#else
#define RELEASERS 0
#endif
#ifdef DISCARD
#define DISCARDERS 1
#else
#define DISCARDERS 0
#endif
#ifdef BLOCKED
#define BLOCKERS 1
#else
#define BLOCKERS 0
#endif
#ifdef LONG_CALL
#define LONG_CALLS 1
#else
#define LONG_CALLS 0
#endif
#define CALLS (SUBMITTERS + CLOSERS + RELEASERS + DISCARDERS + BLOCKERS + LONG_CALLS)

inline start_locked()
{
    atomic {
        TOUCH;
        assert(!released);
        free_record();
        token[w] = true;
        order[w] = STAY;
        thread[w] = true;
        w = 0;
        unjoined++;
        workers++;
        got = YES
    }
}

inline wake_enders()
{
    woken[0] = woken[0] || ender[0];
    woken[1] = woken[1] || ender[1]
}

/* antp_exit_locked; the lock is held or being taken */
inline exit_locked()
{
    TOUCH;
    inside--;
#ifdef EXIT_WAKES_AT_ZERO
    if
    :: inside == 0 -> wake_enders()
    :: else
    fi
#else
    wake_enders()
#endif
}

inline exit_pool()
{
#ifdef EXIT_WITHOUT_LOCK
    atomic { TOUCH; inside-- }
    atomic { lock == 0 -> TOUCH; wake_enders() }
#else
    atomic { lock == 0 -> exit_locked() }
#endif
}

/* antp_dismiss_locked; the lock is held */
inline dismiss()
{
    if
    :: closed && !HAS_WORK ->
        do
        :: parked > 0 ->
            atomic {
                order[stack[0]] = LEAVE;
                unpark(stack[0]);
                idle--;
                workers--
            }
        :: else -> break
        od
    :: else
    fi
}

/* ---- Submitting ---- */

/* With MANY two tasks, one after the other; else one. */
proctype submitter()
{
    LOCALS;
    byte p, n;
    bool want;
#if defined(MANY) && !defined(MANY_UNCOUNTED)
    atomic { TOUCH; inside++ }
#endif
    do
    :: n < EACH ->
        if
        :: atomic { closed -> TOUCH; CALL_BEGUN } break
        :: atomic { !closed -> TOUCH; p = tail; tail++ }
        fi;
        atomic { want = MAY_BE_WOKEN(true); TOUCH }
#ifndef INSIDE_AFTER_PUBLISH
        if
        :: want -> atomic { TOUCH; inside++ }
        :: else
        fi;
#endif
        atomic { TOUCH; filled[p] = true }
#ifdef CREW_AFTER_PUBLISH
        atomic { want = MAY_BE_WOKEN(true); TOUCH }
#endif
#ifdef INSIDE_AFTER_PUBLISH
        if
        :: want -> atomic { TOUCH; inside++ }
        :: else
        fi;
#endif
        if
        :: want -> wake(); exit_pool()
        :: else
        fi;
        atomic { want = false; p = 0; n++ }
    :: else -> break
    od;
#if defined(MANY) && !defined(MANY_UNCOUNTED)
    exit_pool()
#else
    skip
#endif
}

/* ---- A worker ---- */

inline run_task()
{
    assert(!over[p]);
    over[p] = true;
    finished++;
    CALL_BEGUN;
    p = 0
}

proctype worker(byte me)
{
    LOCALS;
    byte p;
end_off:
    atomic { thread[me] && lock == 0 -> TOUCH }
next:
    if
    :: atomic { head < tail && filled[head] -> TOUCH; p = head; head++ }
    :: atomic { head == tail -> TOUCH } goto park
    fi;
    if
    :: token[me] -> stop_searching()
    :: else
    fi;
    atomic { TOUCH; run_task() }
    goto next;

park:
    atomic { lock == 0 -> TOUCH; lock = 1;
#ifdef LEAVES_WITH_WORK
        got = (closed -> YES : NO)
#else
        got = (closed && !HAS_WORK -> YES : NO)
#endif
    }
    if
    :: got == YES ->
        atomic { /* leave_locked */
            got = NO;
            workers--;
            if
            :: token[me] -> token[me] = false; searching--
            :: else
            fi
        }
        dismiss();
        lock = 0;
        goto leave
    :: else
    fi;
    atomic {
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
    :: atomic { order[me] == SEARCH -> TOUCH; order[me] = STAY; token[me] = true }
        goto next
    :: atomic { order[me] == LEAVE -> TOUCH; order[me] = STAY }
    fi;
leave: /* end_worker */
    atomic { lock == 0 -> TOUCH; thread[me] = false; ended++; wake_enders() }
    goto end_off
}

/* ---- Closing ---- */

inline close_pool()
{
#ifdef CLOSES_AFTER_LIST
    atomic { lock == 0 -> TOUCH; lock = 1; refuse_waiters() }
    dismiss();
    atomic { lock = 0 }
    atomic { TOUCH; closed = true }
#else
    atomic { TOUCH; closed = true }
    atomic { lock == 0 -> TOUCH; lock = 1; refuse_waiters() }
    dismiss();
    lock = 0
#endif
}

inline refuse_waiters()
{
#ifdef BLOCKED
    told = told || waits;
    waits = false
#else
    skip
#endif
}

/* antp_end: with at most `others` calls inside but this */
inline end(me, others)
{
    atomic { TOUCH; inside++ }
    close_pool();
    atomic { lock == 0 -> TOUCH; lock = 1; ender[me] = true }
    do
    :: atomic { unjoined > 0 || inside > others -> woken[me] = false }
        if
        :: ended > 0 ->
            atomic { ended--; lock = 0 }
            atomic { lock == 0 -> TOUCH; lock = 1; unjoined--; wake_enders() }
        :: ended == 0 ->
            lock = 0; /* the wait gives the lock back … */
            atomic { woken[me] && lock == 0 -> TOUCH; lock = 1 } /* … and takes it */
        fi
    :: else -> break
    od;
    atomic { ender[me] = false; woken[me] = false; exit_locked(); lock = 0 }
}

#ifdef RELEASE
proctype releaser()
{
    byte i;
    atomic { TOUCH; inside++; CALL_BEGUN }
    close_pool();
    exit_pool()
}
#endif

#if defined(RELEASE_NOW) || defined(DISCARD)
/* antp_discard_one: got is NO if nothing is queued */
inline discard_one()
{
    if
    :: atomic { head < tail && filled[head] -> TOUCH; p = head; head++; got = YES }
        /* antp_finished, then dismiss_if_closed, before the handler is called */
#ifndef DISCARD_LEAVES_IDLE
        if
        :: closed -> atomic { lock == 0 -> lock = 1; TOUCH }
            dismiss();
            lock = 0
        :: !closed
        fi;
#endif
        atomic { TOUCH; run_task() }
    :: atomic { head == tail -> TOUCH; got = NO }
    fi
}
#endif

#ifdef RELEASE_NOW
proctype releaser()
{
    byte i, p, got;
    atomic { TOUCH; inside++; CALL_BEGUN }
    close_pool();
    do
    :: discard_one();
        if
        :: got == NO -> break
        :: else
        fi
    od;
    exit_pool()
}
#endif

#ifdef RELEASE_WAIT
proctype release_waiter()
{
    byte i;
    end(1, 100);
    atomic { released = true; CALL_BEGUN }
}
#endif

#ifdef DISCARD
proctype discarder()
{
    byte i, p, got;
    atomic { TOUCH; inside++; CALL_BEGUN }
    discard_one();
#ifdef RETRIES_UNCOUNTED
    exit_pool();
    TOUCH
#else
    TOUCH; /* tries to push again, finds the pool closed */
    exit_pool()
#endif
}
#endif

#ifdef BLOCKED
proctype blocked() /* submit_at_limit */
{
    atomic { TOUCH; inside++; CALL_BEGUN }
    atomic {
        lock == 0 -> TOUCH;
#ifdef JOINS_UNTESTED
        waits = true
#else
        waits = !closed;
        told = closed
#endif
    }
    atomic { told && lock == 0 -> exit_locked() }
}
#endif

#ifdef LONG_CALL
proctype long_call()
{
    atomic { TOUCH; inside++; CALL_BEGUN }
    exit_pool()
}
#endif

proctype destroyer()
{
    byte i;
    calls >= CALLS;
#ifdef DESTROY_IGNORES_INSIDE
    end(0, 100);
#else
    end(0, 1);
#endif
    atomic { TOUCH; freed = true }
}

init
{
    byte i;
    atomic {
        thread[0] = true;
        workers = 1;
        unjoined = 1;
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
#if CLOSERS
        run releaser();
#endif
#ifdef RELEASE_WAIT
        run release_waiter();
#endif
#ifdef DISCARD
        run discarder();
#endif
#ifdef BLOCKED
        run blocked();
#endif
#ifdef LONG_CALL
        run long_call();
#endif
        run destroyer()
    }
    freed;
    assert(finished == tail && head == tail && workers == 0)
}
