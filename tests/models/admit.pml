/*
 * Blocked submitters: src/waiters.c, rule 7 of the design.
 *
 * Promise: nobody stays blocked beside a slot that the limit and the ring allow, however
 * long the tasks take that run; first come, first served; a newcomer does not overtake who
 * waits already. That is checked so: a task may end whenever it likes, but not while
 * somebody waits and there is room (STRANDED). If nobody else can move then, the model
 * has a deadlock and Spin finds it.
 *
 * Workers here see work without being woken (wake.pml), and always are alive (asleep.pml).
 * A waiter's first sleep may end at any time, since time passes; later sleeps do not.
 *
 * A worker counts its task as done with a plain store, which others may see late: at once,
 * or only with the worker's next swap, be it that of head or the one in settle(). That is
 * how it is modelled, beside the sequential rest.
 *
 * Relied on (seq_cst): that swap before the loads of waiting and aged in got_task() and
 * settle(); the add to waiting, and to aged, before the look at done in antp_claim(), with
 * antp_see_finished() between them; the move of head and the NULL of a cell before the load
 * of waiting in got_task().
 *
 *   LIMIT, CELLS, WORKERS
 *   QUEUED     tasks accepted at the start
 *   WAITERS    submitters that come and block (or find room)
 *   TIMEOUT    the first of them gives up at some time
 *   TUNE       the limit goes up by one, at any time
 *   CLOSE      the pool is released, at any time
 */
#ifndef LIMIT
#define LIMIT 3
#endif
#ifndef CELLS
#define CELLS 4
#endif
#ifndef WORKERS
#define WORKERS 1
#endif
#ifndef QUEUED
#define QUEUED LIMIT
#endif
#ifndef WAITERS
#define WAITERS 2
#endif
#ifndef LOW
#define LOW 0 /* limit / 4 */
#endif
#define TASKS (QUEUED + WAITERS)

byte limit = LIMIT;
byte tail = QUEUED, head, done;
bool closed;                  /* a bit of the tail word */
bool taken[CELLS];            /* the cell's taker has not stored NULL yet */
byte waiting, aged;           /* LA */
bit lock;

/* pool->waiters, oldest first; every waiter of the model has a number */
byte list[WAITERS];
byte listed;                  /* L */
bool is_aged[WAITERS];
bool woken[WAITERS];
byte came;                    /* the order in which they joined … */
byte turn[WAITERS];
byte let_in;                  /* … and were let in */
bool joined[WAITERS];
byte answered;

#define ROOM 0
#define FULL 1
#define BUSY 2
#define CLOSED 3

#define HAS_ROOM (tail - done < limit && tail - head < CELLS && !taken[tail % CELLS])
#define STRANDED (listed > 0 && HAS_ROOM && !closed)

/* antp_claim and publish: its last looks decide, at one instant. The caller is in an atomic. */
inline claim()
{
    if
    :: closed -> room = CLOSED
    :: !closed && (tail - done >= limit || tail - head >= CELLS) -> room = FULL
    :: else ->
        if
        :: taken[tail % CELLS] -> room = BUSY
        :: else -> room = ROOM; assert(tail < TASKS); tail++
        fi
    fi
}

/* The i-th leaves the list. */
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
    if
    :: is_aged[who] -> is_aged[who] = false; aged--
    :: else
    fi
}

/* admit_locked: the oldest first; the lock is held */
inline admit()
{
    room = ROOM;
    do
    :: room == ROOM && listed > 0 ->
        atomic { claim() }
        if
        :: room == ROOM ->
            atomic {
#ifdef NEWEST_FIRST
                w = list[listed - 1];
#else
                w = list[0];
#endif
                leave_list(w);
                woken[w] = true;
                assert(turn[w] == let_in); /* first come, first served */
                let_in++;
                w = 0
            }
        :: else
        fi
    :: else -> break
    od
}

inline antp_admit()
{
    atomic { lock == 0 -> lock = 1 }
    admit();
    atomic { lock = 0; room = ROOM }
}

/* somebody_waits, antp_attend, admission_due */
inline attend()
{
    if
    :: waiting == 0
    :: waiting > 0 ->
        if
        :: aged > 0 -> antp_admit()
        :: aged == 0 ->
            h = head;
            if
            :: tail - h <= LOW -> h = 0; antp_admit()
            :: else -> h = 0
            fi
        fi
    fi
}

proctype worker()
{
    byte i, w, h, room, c;
    bit stored; /* its count of the last task, not yet seen by others */
    bit owes;   /* has not looked for those who wait since */
end_idle:
    do
    :: atomic { head < tail -> c = head % CELLS; taken[c] = true; head++; done = done + stored; stored = 0 }
        atomic { taken[c] = false; c = 0; owes = 0 }
#ifndef NO_LOOK_AFTER_TAKE
        attend(); /* got_task */
#endif
        atomic { !STRANDED -> stored = 1; owes = 1 } /* the task ends: count_finished */
    :: atomic { stored == 1 -> done++; stored = 0 }
    :: atomic { owes == 1 && head == tail -> owes = 0; /* settle */
#ifndef SETTLES_WITHOUT_SWAP
            done = done + stored; stored = 0
#endif
        }
#ifndef SETTLES_WITHOUT_LOOK
        attend()
#endif
    od
}

/* ---- A submitter ---- */

/* One that gives up is no longer in the order of those that wait. */
inline skip_turn()
{
    do
    :: i < WAITERS ->
        if
        :: turn[i] > turn[me] && !woken[i] -> turn[i]--
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0;
    came--
}

inline grow_old()
{
    if
    :: !is_aged[me] && !woken[me] -> is_aged[me] = true; aged++
    :: else
    fi
}

proctype submitter(byte me)
{
    byte i, w, room;
    byte before; /* who waited when the call began, as far as `waiting` tells */
    bool grown;
    /* push: the load of waiting, then the claim */
    atomic { before = listed; room = (waiting > 0 -> FULL : ROOM) }
#ifdef OVERTAKES
    room = ROOM;
#endif
    if
    :: room == ROOM ->
        atomic {
            claim();
            if
            :: room == ROOM ->
                assert(before == 0); /* nobody overtakes */
                answered++; goto out
            :: room == CLOSED -> answered++; goto out
            :: else
            fi
        }
    :: else
    fi;
    before = 0;
    /* antp_wait_for_slot */
    atomic { lock == 0 -> lock = 1 }
    if
    :: closed -> atomic { answered++; lock = 0; goto out }
    :: else
    fi;
    atomic {
        turn[me] = came;
        came++;
        list[listed] = me;
        listed++;
        waiting++
    }
    if
    :: listed > 1 -> room = FULL /* slots gather */
    :: else -> admit()
    fi;
    if
#ifdef AGED_AT_ONCE
    :: atomic { !woken[me] -> grow_old() }
#else
    :: atomic { !woken[me] && tail - head <= LOW -> grow_old() } /* still under the lock */
        admit()
#endif
    :: else
    fi;
    do
    :: woken[me] -> break
    :: else ->
        /* doze_locked */
        lock = 0;
        if
        :: atomic { woken[me] && lock == 0 -> lock = 1 }
#ifdef TIMEOUT
        :: atomic { me == 0 && !woken[me] && lock == 0 -> /* give_up_locked */
            lock = 1; skip_turn(); leave_list(me); woken[me] = true }
#endif
#ifndef NO_OWN_TIMEOUT
        :: atomic { !woken[me] && lock == 0 && (!is_aged[me]
#ifndef NO_BUSY_RETRY
            || room == BUSY
#endif
            ) -> lock = 1;
#ifndef AGED_AFTER_LOOK
            grow_old()
#endif
            }
#ifndef NO_LOOK_WHEN_AGED
            admit()
#endif
#ifdef AGED_AFTER_LOOK
            ; grow_old()
#endif
#endif
        fi
    od;
    atomic { answered++; lock = 0 }
out:
    atomic { room = 0; before = 0 }
}

#ifdef TUNE
proctype tuner()
{
    byte i, w, room;
#ifdef TUNE_ADMITS_FIRST
    antp_admit();
    limit++
#else
    limit++;
#ifndef TUNE_FORGETS_WAITERS
    antp_admit()
#endif
#endif
}
#endif

#ifdef CLOSE
proctype closer()
{
    byte i, w;
    closed = true;
    atomic {
        lock == 0 ->
        do
        :: listed > 0 -> w = list[0]; leave_list(w); woken[w] = true; w = 0
        :: else -> break
        od
    }
}
#endif

init
{
    byte i;
    atomic {
        do
        :: i < WORKERS -> run worker(); i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < WAITERS -> run submitter(i); i++
        :: else -> break
        od;
        i = 0;
#ifdef TUNE
        run tuner();
#endif
#ifdef CLOSE
        run closer();
#endif
    }
    answered == WAITERS && done == tail && waiting == 0 && aged == 0
}
