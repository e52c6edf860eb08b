/* The robust lock among processes (src/wait/robust.h, src/wait/wait.c and
 * src/sync/mutex.c), with a killer who may strike between any two steps. Within
 * one process it is the same lock, but that nobody is killed.
 *
 * Each step here is one access of memory that others use, or one call of the
 * kernel. The kernel's part: a sleep compares and queues in one step; a
 * killed thread takes no further step, but stays in the queue for a moment
 * and may swallow a wake-up there; then it leaves the queue; then its
 * certificate is marked and one who watches it is woken. Whoever sleeps gets no
 * second look after a second: that net hides what is to be found.
 *
 * What is checked: the living exclude each other (assert); a death is told once,
 * and only a death of the holder (assert); nobody sleeps for ever (a run that
 * ends with a sleeper is an invalid end state, since each run is finite).
 *
 * BUG=n plants a fault that must be found:
 *   1  unlock looks whether it is AWAITED before it frees the word
 *   2  the kernel does not compare the word before the sleep
 *   3  who gives up waiting does not hand the wake-up on
 *   4  what is held is forgotten before the wake-up
 *   5  the call counts as over before the lock counts as held
 *   6  a dead one's lock is taken without comparing
 *   7  a sleeper counts itself after its last look at the word
 *   8  a sleeper does not watch the holder's certificate
 *   9  who has slept takes the lock as if nobody else could sleep
 *   10  a waiter marks the word without comparing
 *   11  who was woken and then gives up before it sleeps again does not hand the
 *       wake-up on */
#ifndef BUG
#define BUG 0
#endif
#ifndef TAKERS
#define TAKERS 3
#endif
#ifndef KILLS
#define KILLS 2
#endif
#define ROUNDS (me == 1 -> 2 : 1) /* the first may take it back at once */

#define AWAITED 4 /* in the word: its holder wakes somebody */
#define WHO(value) ((value) & 3)

byte word;               /* 0, or who holds it, and perhaps AWAITED */
byte parked;             /* the word's sleepers; may only err upward */
byte asleep[TAKERS + 1]; /* 0 = awake, or whose certificate is watched too */
bool killed[TAKERS + 1]; /* takes no step any more */
bool dead[TAKERS + 1];   /* the certificate, marked by the kernel */
bool call[TAKERS + 1];   /* slot->call is this lock */
bool held[TAKERS + 1];   /* slot->held has this lock */
bool gone[TAKERS + 1];   /* has ended well */

/* Nobody's memory, for the properties. */
bool inside[TAKERS + 1];
bool told[TAKERS + 1];

/* Of those who sleep on the word; which one is the kernel's choice. */
inline wake_one()
{
    if
    :: asleep[1] -> asleep[1] = 0
    :: asleep[2] -> asleep[2] = 0
    :: asleep[3] -> asleep[3] = 0
    :: !asleep[1] && !asleep[2] && !asleep[3] -> skip
    fi
}

inline wake_all()
{
    asleep[1] = 0;
    asleep[2] = 0;
    asleep[3] = 0
}

/* Of those who watch the certificate of `who`. */
inline wake_one_watcher(who)
{
    if
    :: asleep[1] == who -> asleep[1] = 0
    :: asleep[2] == who -> asleep[2] = 0
    :: asleep[3] == who -> asleep[3] = 0
    :: asleep[1] != who && asleep[2] != who && asleep[3] != who -> skip
    fi
}

inline wake_all_watchers(who)
{
    if :: asleep[1] == who -> asleep[1] = 0 :: else fi;
    if :: asleep[2] == who -> asleep[2] = 0 :: else fi;
    if :: asleep[3] == who -> asleep[3] = 0 :: else fi
}

inline enter()
{
    assert((killed[1] || !inside[1]) && (killed[2] || !inside[2]) &&
           (killed[3] || !inside[3]));
    inside[me] = true
}

proctype taker(byte me)
{
    byte owner, round, seen, mark;

    {
        round = 0;
    again:
        atomic { /* robust_try: the fast path */
            if
            :: word == 0 -> word = me; enter(); goto hold
            :: else
            fi
        };
        call[me] = true;
    look:
        owner = word;
        if
        :: owner == 0 ->
            atomic {
                if
                :: word == 0 -> word = me | mark; enter(); goto taken
                :: else -> goto look
                fi
            }
        :: owner != 0 && dead[WHO(owner)] ->
            atomic {
                if
#if BUG == 6
                :: true ->
#else
                :: word == owner ->
#endif
                    assert(killed[WHO(owner)] && !told[WHO(owner)]);
                    told[WHO(owner)] = true;
                    word = me | mark | (owner & AWAITED);
                    enter();
                    goto taken
#if BUG != 6
                :: else -> goto look
#endif
                fi
            }
        :: owner != 0 && !dead[WHO(owner)] -> skip
        fi;
        if
        :: true
#if BUG == 11
        :: me == 3 -> mark = 0; goto stops
#else
        :: me == 3 -> goto stops
#endif
        fi;
#if BUG == 10
        owner = WHO(word);
        word = owner | AWAITED;
#else
        atomic { /* the look before it changes nothing */
            if
            :: word == 0 -> goto look
            :: else -> word = word | AWAITED
            fi;
            owner = WHO(word)
        };
#endif
#if BUG != 7
        parked++;
#endif
    over:
        if
        :: word != (owner | AWAITED) -> goto wakes
        :: else
        fi;
        if
        :: true /* neither a stop nor the deadline ends it */
        :: me == 3 -> goto gives_up
        fi;
        if
        :: dead[owner] -> atomic { wake_all_watchers(owner) }; goto wakes
        :: else
        fi;
        atomic { /* futex_waitv */
            if
#if BUG == 2
            :: !dead[owner] -> asleep[me] = owner
#elif BUG == 8
            :: word == (owner | AWAITED) -> asleep[me] = me
#else
            :: word == (owner | AWAITED) && !dead[owner] ->
                asleep[me] = owner
#endif
            :: else
            fi
        };
#if BUG == 7
        parked++;
#endif
        asleep[me] == 0;
        goto over;
    wakes:
#if BUG == 7
        skip;
#else
        parked--;
#endif
#if BUG != 9
        mark = AWAITED;
#endif
        goto look;
    gives_up:
        atomic { parked--; mark = AWAITED };
    stops:
        owner = 0;
#if BUG != 3
        if
        :: mark -> atomic { seen = parked; mark = 0 }
        :: else
        fi;
        if
        :: seen > 0 -> atomic { wake_one(); seen = 0 }
        :: else
        fi;
#endif
        call[me] = false;
        goto ends;

    taken:
        owner = 0;
#if BUG == 5
        call[me] = false;
        held[me] = true;
#else
        held[me] = true;
        call[me] = false;
#endif
        goto work;
    hold:
        held[me] = true;
    work:
        atomic { /* weft_mutex_unlock */
            inside[me] = false;
            seen = word & AWAITED;
#if BUG == 1
        };
        word = 0;
#else
            word = 0
        };
#endif
#if BUG == 4
        held[me] = false;
#endif
        if
        :: seen > 0 -> atomic { wake_one(); seen = 0 }
        :: else
        fi;
        held[me] = false;
        mark = 0;
        round++;
        if
        :: round < ROUNDS -> goto again
        :: else
        fi;
    ends:
        gone[me] = true;
        goto leaves
    } unless { killed[me] };

    /* What the kernel does with the killed. */
    atomic { asleep[me] = 0; owner = 0; seen = 0; round = 0; mark = 0 };
    atomic {
        dead[me] = true;
        wake_one_watcher(me)
    };
leaves:
    round = 0
}

proctype killer()
{
    byte kills;

end:
    do
    :: kills < KILLS && !killed[1] && !gone[1] -> killed[1] = true; kills++
    :: kills < KILLS && !killed[2] && !gone[2] -> killed[2] = true; kills++
    :: kills < KILLS && !killed[3] && !gone[3] -> killed[3] = true; kills++
    od
}

/* The program, which makes the call of a dead worker right by waking. */
inline recover(who)
{
    recovered[who] = true;
    if
    :: call[who] || held[who] -> atomic { wake_all() }
    :: else
    fi
}

proctype program()
{
    bool recovered[TAKERS + 1];

end:
    do
    :: dead[1] && !recovered[1] -> recover(1)
    :: dead[2] && !recovered[2] -> recover(2)
    :: dead[3] && !recovered[3] -> recover(3)
    od
}

init
{
    atomic {
        run taker(1);
        run taker(2);
        run taker(3);
        run killer();
        run program()
    }
}
