/*
 * pool_wait: is_quiet, antp_tell_quiet and the end of tasks (rule 7 of the design).
 *
 * Promise: pool_wait returns only if there was an instant since it was called at which
 * nothing was queued or running (a caller-runs task is running too), and it does return if
 * the pool becomes quiet and stays so. Tasks are counted in two stripes, which cannot be
 * read at one instant.
 *
 * A worker counts its task as done with a plain store, which others may see late: at once,
 * or only with the worker's next swap, be it that of head or the one in settle().
 *
 * Relied on (seq_cst): that swap before the loads of quiet, head and tail in got_task() and
 * settle(); the add to quiet before the sums of is_quiet, with antp_see_finished() between
 * them; in is_quiet done, then
 * inline_now, then tail; inline_now - 1 before the load of quiet.
 *
 *   EACH     tasks of the submitter
 *   INLINE   caller-runs tasks, one after the other
 */
#ifndef EACH
#define EACH 3
#endif
#ifndef INLINE
#define INLINE 2
#endif
#define STRIPES 2

byte tail, head;
byte done[STRIPES];
byte inline_now;
byte quiet;
bit lock;
bool woken, asleep;

/* Ghosts: how much is queued or running, and whether the waiter has lived to see none. */
byte busy;
bool calm, called, returned;

#define NOTE_CALM if :: busy == 0 && called -> calm = true :: else fi

/* is_quiet: yes, by whoever holds the lock */
inline is_quiet()
{
#ifdef TAIL_BEFORE_DONE
    t = tail;
    sum = done[0];
    sum = sum + done[1];
    none = (inline_now == 0);
    atomic { yes = (t == sum && none); t = 0; sum = 0; none = false }
#elif defined(INLINE_BEFORE_DONE)
    none = (inline_now == 0);
    sum = done[0];
    sum = sum + done[1];
    atomic { yes = (tail == sum && none); sum = 0; none = false }
#elif defined(INLINE_AFTER_TAIL)
    sum = done[0];
    sum = sum + done[1];
    t = tail;
    atomic { none = (inline_now == 0); yes = (t == sum && none); t = 0; sum = 0; none = false }
#else
    sum = done[0];
    sum = sum + done[1];
    none = (inline_now == 0);
    atomic { yes = (tail == sum && none); sum = 0; none = false }
#endif
}

inline tell_quiet()
{
    atomic { lock == 0 -> lock = 1 }
    is_quiet();
    atomic {
        if
        :: yes && asleep -> woken = true
        :: else
        fi;
        yes = false;
        lock = 0
    }
}

/* antp_attend */
inline look_for_quiet()
{
    if
    :: quiet > 0 ->
#ifdef TELLS_IF_QUEUED
        if
        :: head != tail -> tell_quiet()
        :: head == tail
        fi
#else
        if
        :: head == tail -> tell_quiet()
        :: head != tail
        fi
#endif
    :: quiet == 0
    fi
}

proctype submitter()
{
    byte n;
    do
    :: n < EACH -> atomic { tail++; busy++; n++ }
    :: else -> break
    od
}

proctype inliner()
{
    byte n, sum, t;
    bool none, yes;
    do
    :: n < INLINE ->
        atomic { inline_now++; busy++ }
#ifdef QUIET_BEFORE_INLINE_ENDS
        yes = (quiet > 0);
        atomic { inline_now--; busy--; NOTE_CALM }
        if
        :: yes -> tell_quiet()
        :: else
        fi;
#else
        atomic { inline_now--; busy--; NOTE_CALM }
        if
        :: quiet > 0 -> tell_quiet()
        :: quiet == 0
        fi;
#endif
        n++
    :: else -> break
    od
}

proctype worker(byte me)
{
    byte sum, t;
    bool none, yes;
    bit stored; /* its count of the last task, not yet seen by others */
    bit owes;   /* has not looked for those who wait since */
end_idle:
    do
    :: atomic { head < tail -> head++; done[me] = done[me] + stored; stored = 0; owes = 0 }
        look_for_quiet(); /* got_task */
        atomic { stored = 1; owes = 1; busy--; NOTE_CALM } /* the task ends: count_finished */
    :: atomic { stored == 1 -> done[me]++; stored = 0 }
    :: atomic { owes == 1 && head == tail -> owes = 0; /* settle */
#ifndef SETTLES_WITHOUT_SWAP
            done[me] = done[me] + stored; stored = 0
#endif
        }
#ifndef SETTLES_WITHOUT_LOOK
        look_for_quiet()
#endif
    od
}

proctype waiter()
{
    byte sum, t;
    bool none, yes;
    atomic { lock == 0 -> lock = 1; called = true; asleep = true; NOTE_CALM }
#ifdef LOOKS_BEFORE_JOINING
    is_quiet();
    quiet++;
#else
    quiet++;
    is_quiet();
#endif
    if
    :: yes
    :: else ->
        lock = 0;
        atomic { woken && lock == 0 -> lock = 1 }
    fi;
    assert(calm);
    atomic { quiet--; asleep = false; yes = false; lock = 0 }
    returned = true
}

init
{
    atomic {
        run worker(0);
        run worker(1);
        run submitter();
        run inliner();
        run waiter()
    }
    returned
}
