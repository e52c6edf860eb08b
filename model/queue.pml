/* How putters and getters of the bounded queue among processes sleep and wake,
 * with a killer who may strike between any two steps. Its two locks are that of
 * lock.pml: here each is one step that blocks until the lock is free or its
 * holder's certificate is marked; then the taker repairs.
 *
 *   turn[c]      the only truth: odd = filled; one store of it commits a put, or
 *                a get (at most once)
 *   tail, head   caches, under the locks; at most one place behind the turns
 *   side.value   what sleepers compare; here only who has read it and would
 *                find it the same
 *   side.waiting announced sleepers; may only err upward
 *   side.mark    somebody who was woken is on his way
 *
 * Whoever is killed leaves the sleepers' queue a moment later, then its
 * certificate is marked, then the program repairs and wakes all if its call was
 * on the queue. Nobody gets a second look after a second.
 *
 * What is checked: no item is lost, torn, doubled or out of order, but one
 * that a getter took before it was killed (assert); nobody is asleep for ever
 * while there is what he waits for, and no living one is stuck elsewhere (the
 * watcher, and invalid end states).
 *
 * BUG=n plants a fault that must be found:
 *   1  a sleeper announces itself after its last look
 *   2  a sleeper compares the value as it is after its last look
 *   3  nobody looks again between announcing and sleeping
 *   4  nobody wakes the others at a death
 *   5  the repair leaves tail and head as they are
 *   6  the commit comes before the copy
 *   7  who was woken and leaves more than it takes wakes nobody
 *   8  the mark is left standing by the one that was woken
 *   9  the call counts as over before the wake-up */
#ifndef BUG
#define BUG 0
#endif
#if BUG == 7
#define CELLS 2 /* or nothing is left */
#else
#define CELLS 1
#endif
#define PUTTERS 2
#define ALL     4 /* the others are getters */
#define ITEMS   1
#define SPACE   2

typedef Side {
    byte waiting;
    bool mark
}

byte put_lock, get_lock; /* 0, or who holds it; ALL + 1: the program */
byte turn[CELLS], data[CELLS];
byte tail, head;         /* places, counted for ever */
Side side[3];
byte asleep[ALL + 1];    /* 0, or the side */
bool same[ALL + 1];      /* side.value is still what was read of it */
bool killed[ALL + 1];    /* takes no step any more */
bool dead[ALL + 2];      /* the certificate, marked by the kernel */
bool call[ALL + 1];      /* slot->call is this queue */
bool gone[ALL + 1];      /* has ended well */

/* Nobody's memory, for the properties. */
bool was_put[PUTTERS + 1], was_got[PUTTERS + 1];
byte last_place;

#define CAN_PUT (turn[tail % CELLS] == 2 * (tail / CELLS))
#define CAN_GET (turn[head % CELLS] == 2 * (head / CELLS) + 1)

inline wake_one(what)
{
    if
    :: asleep[1] == what -> asleep[1] = 0
    :: asleep[2] == what -> asleep[2] = 0
    :: asleep[3] == what -> asleep[3] = 0
    :: asleep[4] == what -> asleep[4] = 0
    :: asleep[1] != what && asleep[2] != what && asleep[3] != what &&
       asleep[4] != what -> skip
    fi
}

inline change_value(what)
{
    if
    :: what == SPACE -> same[1] = false; same[2] = false
    :: else -> same[3] = false; same[4] = false
    fi
}

inline wake_all()
{
    asleep[1] = 0;
    asleep[2] = 0;
    asleep[3] = 0;
    asleep[4] = 0
}

/* The repair moves a cache by one store, and bears to be done twice. */
inline take_put()
{
    atomic {
        put_lock == 0 || dead[put_lock];
        put_lock = me;
#if BUG != 5
        if
        :: turn[tail % CELLS] > 2 * (tail / CELLS) -> tail++
        :: else
        fi
#endif
    }
}

inline take_get()
{
    atomic {
        get_lock == 0 || dead[get_lock];
        get_lock = me;
#if BUG != 5
        if
        :: turn[head % CELLS] > 2 * (head / CELLS) + 1 -> head++
        :: else
        fi
#endif
    }
}

inline mend()
{
    take_put();
    put_lock = 0;
    take_get();
    get_lock = 0
}

/* The look at `waiting`, setting the mark, and the wake-up are steps of their
 * own. */
inline tell(what)
{
    if
    :: side[what].waiting > 0 && !side[what].mark ->
        atomic {
            if
            :: !side[what].mark -> side[what].mark = true; wakes = true
            :: else
            fi
        };
        if
        :: wakes ->
            atomic { change_value(what) };
            atomic { wake_one(what); wakes = false }
        :: else
        fi
    :: else
    fi
}

inline announce(what)
{
    atomic { side[what].waiting++; side[what].mark = false };
    announced = true
}

inline leave(what)
{
    atomic {
        side[what].waiting--;
#if BUG != 8
        side[what].mark = false
#endif
    }
}

inline sleep(what)
{
#if BUG == 2
    same[me] = true;
#endif
#if BUG == 1
    announce(what);
#endif
    atomic { /* futex_wait */
        if
        :: same[me] -> asleep[me] = what
        :: else
        fi;
        same[me] = false
    };
end_asleep:
    asleep[me] == 0;
    leave(what)
}

inline fill()
{
    data[cell] = 0; /* half a payload */
    data[cell] = me
}

proctype putter(byte me)
{
    byte cell;
    bool announced, wakes;

    {
        call[me] = true;
        do
        :: take_put();
            if
            :: CAN_PUT -> break
            :: else -> put_lock = 0
            fi;
            same[me] = true;
#if BUG != 1
            announce(SPACE);
#endif
#if BUG != 3
            take_put();
            if
            :: CAN_PUT -> leave(SPACE); same[me] = false; break
            :: else -> put_lock = 0
            fi;
#endif
            sleep(SPACE)
        od;
        cell = tail % CELLS;
#if BUG != 6
        fill();
#endif
        atomic { /* the commit */
            assert(!(turn[cell] & 1));
            turn[cell]++;
            was_put[me] = true
        };
#if BUG == 6
        fill();
#endif
        atomic { tail++; cell = 0 };
        put_lock = 0;
#if BUG == 9
        call[me] = false;
#endif
        if
        :: announced && tail - head < CELLS -> tell(SPACE)
        :: else
        fi;
        tell(ITEMS);
        call[me] = false;
        atomic { gone[me] = true; announced = false };
        goto leaves
    } unless { killed[me] };

    atomic { asleep[me] = 0; same[me] = false; cell = 0; wakes = false; announced = false };
    dead[me] = true;
leaves:
    skip
}

proctype getter(byte me)
{
    byte item;
    bool announced, wakes;

    {
        call[me] = true;
        do
        :: take_get();
            if
            :: CAN_GET -> break
            :: else -> get_lock = 0
            fi;
            same[me] = true;
#if BUG != 1
            announce(ITEMS);
#endif
#if BUG != 3
            take_get();
            if
            :: CAN_GET -> leave(ITEMS); same[me] = false; break
            :: else -> get_lock = 0
            fi;
#endif
            sleep(ITEMS)
        od;
        item = data[head % CELLS];
        atomic { /* the commit */
            assert(item && was_put[item] && !was_got[item]);
            assert(head >= last_place);
            last_place = head + 1;
            was_got[item] = true;
            turn[head % CELLS]++;
            item = 0
        };
        head++;
        get_lock = 0;
#if BUG == 9
        call[me] = false;
#endif
#if BUG != 7
        if
        :: announced && tail > head -> tell(ITEMS)
        :: else
        fi;
#endif
        tell(SPACE);
        call[me] = false;
        atomic { gone[me] = true; announced = false };
        goto leaves
    } unless { killed[me] };

    atomic { asleep[me] = 0; same[me] = false; item = 0; wakes = false; announced = false };
    dead[me] = true;
leaves:
    skip
}

/* One of them: the second putter is like the first, and so the getters. */
proctype killer()
{
end:
    if
    :: !gone[1] -> killed[1] = true
    :: !gone[3] -> killed[3] = true
    fi
}

inline recover(who)
{
    if
#if BUG == 4
    :: false -> skip
#else
    :: call[who] ->
        mend();
        atomic {
            side[ITEMS].mark = false;
            change_value(ITEMS);
            side[SPACE].mark = false;
            change_value(SPACE);
            wake_all()
        }
#endif
    :: else
    fi
}

/* The program, which makes the call of a dead worker right by waking. */
proctype program()
{
    byte me = ALL + 1;

end:
    if
    :: dead[1] -> recover(1)
    :: dead[3] -> recover(3)
    fi
}

#if CELLS == 1
#define QUEUED     (turn[0] & 1)
#define ROOM       (!(turn[0] & 1))
#define HELD(item) (data[0] == item && (turn[0] & 1))
#else
#define QUEUED ((turn[0] & 1) || (turn[1] & 1))
#define ROOM   (!(turn[0] & 1) || !(turn[1] & 1))
#define HELD(item) ((data[0] == item && (turn[0] & 1)) || \
                    (data[1] == item && (turn[1] & 1)))
#endif
#define SLEEPS(what) \
    (asleep[1] == what || asleep[2] == what || asleep[3] == what || \
     asleep[4] == what)

/* Looks when nobody can take a step any more. */
proctype watcher()
{
end:
    timeout;
    assert(!(QUEUED && SLEEPS(ITEMS)));
    assert(!(ROOM && SLEEPS(SPACE)));
    assert(!was_put[1] || was_got[1] || HELD(1));
    assert(!was_put[2] || was_got[2] || HELD(2))
}

init
{
    atomic {
        run putter(1);
        run putter(2);
        run getter(3);
        run getter(4);
        run killer();
        run program();
        run watcher()
    }
}
