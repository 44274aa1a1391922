/*
 * Opening again: pool_reboot against pool_release_timeout and pool_destroy.
 *
 * Promise: pool_release_timeout returns once every worker there was when it closed the pool
 * is gone, also if somebody opens the pool again before it has looked; and not earlier.
 * pool_destroy frees nothing while a thread is alive or a call inside.
 *
 * Relied on: openings, alive, unjoined, ending change under pool->lock only.
 *
 *   REBOOTS    how many there are, one after the other, each perhaps refused (BUSY)
 *   RELEASE    somebody else closes the pool, at any time
 *   DESTROY    pool_destroy in place of pool_release_timeout
 */
#ifndef REBOOTS
#define REBOOTS 2
#endif
#ifdef DESTROY
#define OTHERS 1
#else
#define OTHERS 100 /* calls that may be inside at the end, this one included */
#endif

bit lock;
bool closed, asleep;      /* bits of the tail word */
byte alive = 1, unjoined = 1, ended; /* L */
byte inside;
byte openings;            /* L */
bool ending;              /* L: destroy has begun */
bool waits, woken;        /* the sleeper of antp_end */
bool freed, returned;
bool old;                 /* ghost: a worker is alive that was at the close */

#define TOUCH assert(!freed)

inline exit_pool()
{
    atomic { lock == 0 -> TOUCH; inside--; woken = woken || waits }
}

/* All workers as one: prestarted by the reboot, gone when the pool is closed. */
proctype crew()
{
end_off:
    do
    :: atomic { alive > 0 && closed && lock == 0 ->
            TOUCH;
            asleep = true;
            alive--;
            ended++;
            old = false;
            woken = woken || waits }
    od
}

/* pool_reboot, antp_open; no call begins once destroy has begun */
proctype opener()
{
    byte n;
    do
    :: n < REBOOTS ->
        if
        :: atomic { !ending -> inside++ }
        :: ending -> break
        fi;
        if
        :: !closed
        :: closed ->
            atomic { lock == 0 -> TOUCH; lock = 1 }
            if
#ifdef ENDING_IGNORED
            :: closed && alive == 0 && asleep ->
#else
            :: closed && alive == 0 && asleep && !ending ->
#endif
                atomic { alive++; unjoined++; asleep = false } /* antp_prestart_locked */
                closed = false;
                atomic { openings++; woken = woken || waits }
            :: else
            fi;
            lock = 0
        fi;
        exit_pool();
        n++
    :: else -> break
    od
}

#ifdef RELEASE
proctype releaser()
{
    if
    :: atomic { !ending -> inside++ }
        atomic { TOUCH; closed = true }
        exit_pool()
    :: ending
    fi
}
#endif

/* antp_end */
proctype ender()
{
    byte seen;
    inside++;
    atomic { lock == 0 -> ending = (OTHERS == 1); seen = openings }
#ifdef OPENINGS_BEFORE_CLOSE
    atomic { closed = true; old = (alive > 0) }
    atomic { lock == 0 -> lock = 1; waits = true }
#elif defined(OPENINGS_AFTER_CLOSE)
    atomic { closed = true; old = (alive > 0) }
    atomic { lock == 0 -> lock = 1; seen = openings; waits = true }
#else
    /* The bit is set and openings are read under the lock: one instant for a reboot. */
    atomic { lock == 0 -> lock = 1; closed = true; old = (alive > 0); seen = openings }
    lock = 0;
    atomic { lock == 0 -> lock = 1; waits = true }
#endif
    do
    :: atomic { openings == seen && (unjoined > 0 || inside > OTHERS) -> woken = false }
        if
        :: ended > 0 ->
            atomic { ended--; lock = 0 } /* joins */
            atomic { lock == 0 -> lock = 1; unjoined--; woken = woken || waits }
        :: ended == 0 ->
            lock = 0;
            atomic { woken && lock == 0 -> lock = 1 }
        fi
    :: else -> break
    od;
    atomic { waits = false; inside--; lock = 0 }
    assert(!old);
#ifdef DESTROY
    atomic { assert(alive == 0 && inside == 0); freed = true }
#endif
    returned = true
}

init
{
    atomic {
        run crew();
        run opener();
#ifdef RELEASE
        run releaser();
#endif
        run ender()
    }
    returned
}
