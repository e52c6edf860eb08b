/* How a member of a thread pool goes to sleep and is woken: by a job in the
 * queue, and by lanes that another one's fork shares. Words as in
 * src/pool/pool.h and deck.h:
 *
 *   idle[m]   the deck is in the idle list; with `ready` under the pool's lock
 *   bell[m]   changes when its thread is rung; it sleeps while that is as it
 *             was when it listed itself
 *   limit     lowered by who is hungry: the owner's next fork shares; the owner
 *             raises it, then looks for idle ones
 *   shared    lanes of the owner that can be stolen
 *   own       forked lanes that are not shared
 *
 * A submitter puts jobs into the queue; an owner forks, then waits for what was
 * stolen. Who is rung and finds nothing lies down again.
 *
 * What is checked, when nobody can take a step any more: nobody sleeps while a
 * job waits, while a lane is shared, or while the limit says that nobody is
 * hungry; the owner does not wait for what is done (the watcher). Nobody is
 * stuck elsewhere (invalid end states).
 *
 * BUG=n plants a fault that must be found:
 *   1  a member lists itself without looking at the queue under the lock
 *   2  it reads its bell after it has listed itself
 *   3  the submitter rings nobody
 *   4  a ring wakes a sleeper and leaves the bell as it was
 *   5  the owner looks for idle ones before it raises the limit
 *   6  the owner does not look for idle ones
 *   7  a member asks for lanes before it lists itself
 *   8  a member does not look at what is shared after it has listed itself
 *   9  a thief does not ring the owner when it is done */
#ifndef BUG
#define BUG 0
#endif
#define MEMBERS 2
#define JOBS    2
#define FORKS   2

byte ready;           /* jobs that wait */
bool idle[MEMBERS];
bool asleep[MEMBERS];
byte bell[MEMBERS];
bool limit = false;   /* true: it was lowered */
byte shared, own;
byte stolen, done;    /* lanes */
byte owner_bell;
bool owner_asleep;

/* A futex wake: the bell changes, then the sleeper goes on. */
inline ring(m)
{
#if BUG == 4
    atomic { asleep[m] = false }
#else
    atomic { bell[m]++; asleep[m] = false }
#endif
}

/* Takes one from the idle list and rings it. */
inline wake_one()
{
    atomic {
        if
        :: idle[0] -> idle[0] = false; who = 0
        :: idle[1] -> idle[1] = false; who = 1
        :: !idle[0] && !idle[1] -> who = MEMBERS
        fi
    };
    if
    :: who < MEMBERS -> ring(who)
    :: else
    fi;
    who = 0
}

active [MEMBERS] proctype member()
{
    byte me = _pid, seen, who;
    bool still, found;

work:
    if
    :: atomic { ready > 0 -> ready-- }; goto work
    :: ready == 0
    fi;
    if
    :: atomic { shared > 0 -> shared--; stolen++ };
        done++;
#if BUG != 9
        atomic { owner_bell++; owner_asleep = false };
#endif
        goto work
    :: shared == 0
    fi;
#if BUG == 7
    limit = true;
#endif
    /* under the lock that the queue is under */
    atomic {
        seen = bell[me];
#if BUG == 1
        still = true;
#else
        still = (ready == 0);
#endif
        idle[me] = still
    };
#if BUG == 2
    seen = bell[me];
#endif
    if
    :: !still -> goto work
    :: else
    fi;
#if BUG != 7
    limit = true;
#endif
#if BUG != 8
    found = (shared > 0);
#endif
    if
    :: found
    :: else ->
        atomic { /* futex_wait */
            if
            :: bell[me] == seen -> asleep[me] = true
            :: else
            fi
        };
end_asleep:
        !asleep[me]
    fi;
    atomic { idle[me] = false; found = false; seen = 0; still = false };
    goto work
}

active proctype submitter()
{
    byte jobs, who;

    do
    :: jobs < JOBS ->
        atomic { ready++ };
#if BUG != 3
        wake_one();
#endif
        jobs++
    :: else -> break
    od
}

/* A fork's slow path: it is hungry somebody's, or nobody's. */
active proctype owner()
{
    byte forks, who, seen;

    do
    :: forks < FORKS ->
        own++;
        if
        :: limit ->
            atomic {
                if
                :: shared == 0 -> shared = own; own = 0
                :: else
                fi
            };
#if BUG == 5
            wake_one();
            limit = false;
#else
            limit = false;
#if BUG != 6
            wake_one();
#endif
#endif
        :: else
        fi;
        forks++
    :: else -> break
    od;
    do
    :: seen = owner_bell;
        if
        :: done == stolen -> break
        :: else ->
            atomic {
                if
                :: owner_bell == seen -> owner_asleep = true
                :: else
                fi
            };
end_asleep:
            !owner_asleep
        fi
    od
}

/* Looks when nobody can take a step any more. */
active proctype watcher()
{
end:
    timeout;
    assert(ready == 0 || !(asleep[0] || asleep[1]));
    assert(shared == 0 || !(asleep[0] || asleep[1]));
    assert(limit || !(asleep[0] || asleep[1]));
    assert(!owner_asleep || done < stolen)
}
