/*
 * Tasks that submit to their own pool: antp_break_deadlock_locked.
 *
 * Every task of the first generation submits another, without a timeout, and so may block
 * at the limit in a worker. Promise: each of those calls returns. If nobody can free a slot
 * any more, the newest gets POOL_ERR_DEADLOCK; if somebody can, or there is a slot, nobody
 * gets it.
 *
 * Idle workers here see work without being woken. A waiter's first sleep may end at any
 * time.
 *
 *   CAP, QUEUE     the limit is their sum
 *   QUEUED         tasks accepted at the start, PARENTS of which submit another
 *   TUNE           pool_tune(1) at any time
 *   EXIT           one task ends its thread by pthread_exit
 *   CREATES_FAIL   creates may fail
 *   NAP            a worker may nap until another parks
 */
#ifndef CAP
#define CAP 2
#endif
#ifndef QUEUE
#define QUEUE 0
#endif
#ifndef QUEUED
#define QUEUED 2
#endif
#ifndef PARENTS
#define PARENTS QUEUED
#endif
#ifndef LOW
#define LOW 0 /* limit / 4 */
#endif
#define WORKERS (CAP + 1)
#define NOBODY 255

byte cap_now = CAP;
byte tail = QUEUED, head, done;
byte workers;
bit lock;
bit surplus;
bool thread[WORKERS], parked[WORKERS], leave[WORKERS];
byte waiting, aged, stuck;
byte list[WORKERS], listed;   /* the waiters are workers, by their numbers */
bool waits[WORKERS], is_aged[WORKERS], woken[WORKERS];
byte answers;
#ifdef NAP
byte napper = NOBODY; /* L */
#endif
#ifdef EXIT
bit exits = 1;
#endif

#define LIMIT (cap_now + QUEUE)
#define HAS_WORK (head != tail)
#define HAS_ROOM (tail - done < LIMIT)

inline leave_list(who)
{
    i = 0;
    do
    :: list[i] == who -> break
    :: else -> i++
    od;
    listed--;
    do
    :: i < listed -> list[i] = list[i + 1]; i++
    :: else -> break
    od;
    list[listed] = 0;
    i = 0;
    waiting--;
    stuck--;
    woken[who] = true;
    if
    :: is_aged[who] -> is_aged[who] = false; aged--
    :: else
    fi
}

/* admit_locked; the lock is held */
inline admit()
{
    do
    :: atomic { listed > 0 && HAS_ROOM -> tail++; w = list[0]; leave_list(w); w = 0 }
    :: !(listed > 0 && HAS_ROOM) -> break
    od
}

inline start()
{
    atomic {
        w = 0;
        do
        :: !thread[w] -> break
        :: else -> w++; assert(w < WORKERS)
        od;
        thread[w] = true;
        workers++;
        w = 0
    }
}

/* antp_break_deadlock_locked; the lock is held */
inline break_deadlock()
{
#ifndef HANGS
#ifndef BREAKS_UNADMITTED
    if
    :: stuck > 0 && stuck >= workers -> admit()
    :: else
    fi;
#endif
    if
    :: stuck > 0 && stuck >= workers ->
        if
        :: HAS_WORK && workers < cap_now -> start()
#ifdef CREATES_FAIL
        :: HAS_WORK && workers < cap_now -> refuse_newest()
#endif
        :: !(HAS_WORK && workers < cap_now) -> refuse_newest()
        fi
    :: else
    fi
#else
    skip
#endif
}

inline refuse_newest()
{
    atomic {
        assert(!HAS_ROOM); /* else it is no deadlock */
        w = list[listed - 1];
        leave_list(w);
        w = 0
    }
}

inline note_surplus()
{
    surplus = (workers > cap_now)
}

/* leave_locked; gives the lock back */
inline leave_crew()
{
    atomic { workers--; note_surplus() }
#ifndef LEAVES_UNSEEN
    break_deadlock();
#endif
    atomic { lock = 0; thread[me] = false }
}

/* A task's pool_submit: push_or_wait */
inline submit()
{
    if
    :: atomic { waiting == 0 && HAS_ROOM -> tail++ }
    :: !(waiting == 0 && HAS_ROOM) ->
        atomic {
            lock == 0 -> lock = 1;
            woken[me] = false;
            list[listed] = me;
            listed++;
            stuck++;
            waiting++
        }
        if
        :: listed > 1 -> skip /* slots gather */
        :: else -> admit()
        fi;
        if
        :: !woken[me] -> break_deadlock()
        :: else
        fi;
        do
        :: woken[me] -> break
        :: else ->
            lock = 0;
            if
            :: atomic { woken[me] && lock == 0 -> lock = 1 }
            :: atomic { !woken[me] && lock == 0 && !is_aged[me] -> lock = 1; is_aged[me] = true; aged++ }
                admit()
            fi
        od;
        atomic { lock = 0; woken[me] = false }
    fi
}

/* antp_trim_locked */
inline trim()
{
    i = 0;
    do
    :: i < WORKERS ->
        if
        :: surplus && parked[i] -> parked[i] = false; leave[i] = true; workers--; note_surplus()
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
}

proctype worker(byte me)
{
    byte i, w, p;
end_off:
    atomic { thread[me] && lock == 0 -> skip }
next:
    if
    :: surplus ->
        atomic { lock == 0 -> lock = 1; note_surplus() }
        if
        :: surplus -> leave_crew(); goto end_off
        :: else -> lock = 0
        fi
    :: !surplus
    fi;
#ifdef NAP
    if
    :: atomic { lock == 0 && napper == NOBODY -> napper = me } goto nap
    :: skip
    fi;
#endif
    if
    :: atomic { HAS_WORK -> p = head; head++ }
    :: !HAS_WORK -> goto park
    fi;
    if
    :: p < PARENTS -> submit(); answers++
    :: else
    fi;
    atomic { p = 0; done++ }
    if
    :: waiting > 0 ->
        if
        :: aged > 0 || tail - head <= LOW ->
            atomic { lock == 0 -> lock = 1 }
            admit();
            lock = 0
        :: else
        fi
    :: waiting == 0
    fi;
#ifdef EXIT
    if
    :: atomic { exits > 0 && lock == 0 && workers > 1 -> exits--; lock = 1 }
        leave_crew();
        goto end_off
    :: skip
    fi;
#endif
    goto next;

park:
    atomic { lock == 0 -> lock = 1 }
#ifdef NAP
    atomic { /* lay_napper_down_locked */
        if
        :: napper != NOBODY -> parked[napper] = true; napper = NOBODY
        :: else
        fi
    }
#endif
#ifndef PARKS_IN_SURPLUS
#if defined(NAP) && !defined(NAPPER_IN_SURPLUS)
    atomic { trim() } /* the napper may be the one too many */
#endif
    if
    :: surplus -> leave_crew(); goto end_off
    :: else
    fi;
#endif
    atomic { parked[me] = true; lock = 0 }
end_idle:
    if
    :: atomic { HAS_WORK && lock == 0 && parked[me] -> parked[me] = false } goto next
    :: atomic { leave[me] -> leave[me] = false; thread[me] = false } goto end_off
    fi;
#ifdef NAP
nap:
    if
    :: atomic { lock == 0 && napper == me -> napper = NOBODY } goto next
    :: napper != me -> goto end_idle
    fi
#endif
}

#ifdef TUNE
proctype tuner()
{
    byte i, w;
    atomic { lock == 0 -> lock = 1; cap_now = 1; note_surplus(); trim() }
    break_deadlock();
    lock = 0;
    atomic { lock == 0 -> lock = 1 }
    admit();
    lock = 0
}
#endif

init
{
    byte i;
    atomic {
        do
        :: i < WORKERS ->
            if
            :: i < CAP -> thread[i] = true; workers++
            :: else
            fi;
            run worker(i);
            i++
        :: else -> break
        od;
        i = 0;
#ifdef TUNE
        run tuner();
#endif
    }
    answers == PARENTS && done == tail
}
