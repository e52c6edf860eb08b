/* How putters and getters of the bounded queue among processes sleep and wake,
 * with a killer who may strike between any two steps. Its lock is that of
 * lock.pml: here it is one step that blocks until the lock is free or its
 * holder's certificate is marked; then the taker repairs.
 *
 *   ev      what sleepers compare: NE (something is queued), NF (a cell is
 *           free); both from before a commit until the rest is exact again
 *   seq[c]  the only truth: 0 = free, else the cell's place in the order; one
 *           store of it commits a put, or a get (at most once)
 *   first, count, next_seq   caches, rebuilt from seq[] after a death
 *   ne_w, nf_w               sleepers; may only err upward
 *
 * Whoever is killed leaves the sleepers' queue a moment later, then its
 * certificate is marked, then the program wakes all if its call was on the
 * queue. Nobody gets a second look after a second.
 *
 * What is checked: no item is lost, torn, doubled or out of order, but one
 * that a getter took before it was killed (assert); nobody is asleep for ever
 * while there is what he waits for, and no living one is stuck elsewhere (the
 * watcher, and invalid end states).
 *
 * BUG=n plants a fault that must be found:
 *   1  ev is not raised before the commit
 *   2  a sleeper compares ev as it is after the lock was given back
 *   3  a sleeper counts itself after its last look at ev
 *   4  nobody wakes the others at a death
 *   5  the repair leaves the next place in the order as it is
 *   6  the commit comes before the copy
 *   7  a dead one's lock is taken without repair
 *   8  the repair sets the sleepers to none
 *   9  the call counts as over before the wake-up */
#ifndef BUG
#define BUG 0
#endif
#ifndef CELLS
#define CELLS 1
#endif
#define PUTTERS 2
#define ALL     4 /* the others are getters */
#define NE      1
#define NF      2

byte lock;            /* 0, or who holds it */
byte ev = NF;
byte seq[CELLS], data[CELLS];
byte first, count, next_seq = 1;
byte ne_w, nf_w;
byte asleep[ALL + 1]; /* 0, or the bit that is waited for */
bool killed[ALL + 1]; /* takes no step any more */
bool dead[ALL + 1];   /* the certificate, marked by the kernel */
bool call[ALL + 1];   /* slot->call is this queue */
bool gone[ALL + 1];   /* has ended well */

/* Nobody's memory, for the properties. */
bool was_put[PUTTERS + 1], was_got[PUTTERS + 1];
byte last_seq;

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

inline wake_all()
{
    asleep[1] = 0;
    asleep[2] = 0;
    asleep[3] = 0;
    asleep[4] = 0
}

inline set_exact()
{
    ev = (count > 0 -> NE : 0) | (count < CELLS -> NF : 0)
}

/* Rebuilds the caches. Nobody else looks at them; each store is idempotent. */
inline repair()
{
    ev = NE | NF;
    atomic {
        count = 0;
        i = 0;
        do
        :: i < CELLS ->
            if
            :: seq[i] -> count++
            :: else
            fi;
#if BUG != 5
            if
            :: seq[i] >= next_seq -> next_seq = seq[i] + 1
            :: else
            fi;
#endif
            i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < CELLS ->
            if
            :: seq[i] && (count == 1 || seq[i] < seq[(i + 1) % CELLS]) ->
                first = i
            :: else
            fi;
            i++
        :: else -> break
        od;
        i = 0
    };
#if BUG == 8
    atomic { ne_w = 0; nf_w = 0 };
#endif
    set_exact()
}

inline take()
{
    atomic {
        lock == 0 || dead[lock] -> torn = (lock != 0);
        lock = me
    };
    if
#if BUG == 7
    :: torn -> set_exact()
#else
    :: torn -> repair()
#endif
    :: else
    fi;
    torn = false
}

inline give()
{
    lock = 0
}

/* Each of the looks at ev and at the sleepers is a step of its own. */
inline kick()
{
    if
    :: ev & NE ->
        if
        :: ne_w -> atomic { wake_one(NE) }
        :: else
        fi
    :: else
    fi;
    if
    :: ev & NF ->
        if
        :: nf_w -> atomic { wake_one(NF) }
        :: else
        fi
    :: else
    fi
}

/* Under the lock; gives it back. */
inline wait(what, sleepers)
{
#if BUG != 3
    sleepers++;
#endif
    seen = ev;
    give();
#if BUG == 2
    seen = ev;
#endif
    kick();
    atomic { /* futex_wait */
        if
        :: ev == seen -> asleep[me] = what
        :: else
        fi;
        seen = 0
    };
#if BUG == 3
    sleepers++;
#endif
end_asleep:
    asleep[me] == 0;
    sleepers--
}

/* What both do with what the commit has changed. */
inline finish()
{
    set_exact();
    give();
#if BUG == 9
    call[me] = false;
#endif
    kick();
    call[me] = false
}

inline fill()
{
    data[cell] = 0; /* half a payload */
    data[cell] = me
}

proctype putter(byte me)
{
    byte i, seen, cell;
    bool torn;

    {
        call[me] = true;
        do
        :: take();
            if
            :: count < CELLS -> break
            :: else -> wait(NF, nf_w)
            fi
        od;
#if BUG != 1
        ev = NE | NF;
#endif
        cell = (first + count) % CELLS;
#if BUG != 6
        fill();
#endif
        atomic { /* the commit */
            assert(seq[cell] == 0);
            seq[cell] = next_seq;
            was_put[me] = true
        };
#if BUG == 6
        fill();
#endif
        atomic { next_seq++; count++; cell = 0 };
        finish();
        gone[me] = true;
        goto leaves
    } unless { killed[me] };

    atomic { asleep[me] = 0; i = 0; seen = 0; cell = 0; torn = false };
    dead[me] = true;
leaves:
    skip
}

proctype getter(byte me)
{
    byte i, seen, item;
    bool torn;

    {
        call[me] = true;
        do
        :: take();
            if
            :: count > 0 -> break
            :: else -> wait(NE, ne_w)
            fi
        od;
#if BUG != 1
        ev = NE | NF;
#endif
        item = data[first];
        atomic { /* the commit */
            assert(item && was_put[item] && !was_got[item]);
            assert(seq[first] > last_seq);
            last_seq = seq[first];
            was_got[item] = true;
            seq[first] = 0;
            item = 0
        };
        atomic { first = (first + 1) % CELLS; count-- };
        finish();
        gone[me] = true;
        goto leaves
    } unless { killed[me] };

    atomic { asleep[me] = 0; i = 0; seen = 0; item = 0; torn = false };
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
    :: call[who] -> atomic { wake_all() }
#endif
    :: else
    fi
}

/* The program, which makes the call of a dead worker right by waking. */
proctype program()
{
end:
    if
    :: dead[1] -> recover(1)
    :: dead[3] -> recover(3)
    fi
}

#if CELLS == 1
#define QUEUED (seq[0] != 0)
#define ROOM   (seq[0] == 0)
#define HELD(item) (data[0] == item && seq[0])
#else
#define QUEUED (seq[0] || seq[1])
#define ROOM   (!seq[0] || !seq[1])
#define HELD(item) ((data[0] == item && seq[0]) || (data[1] == item && seq[1]))
#endif
#define SLEEPS(what) \
    (asleep[1] == what || asleep[2] == what || asleep[3] == what || \
     asleep[4] == what)

/* Looks when nobody can take a step any more. */
proctype watcher()
{
end:
    timeout;
    assert(!(QUEUED && SLEEPS(NE)));
    assert(!(ROOM && SLEEPS(NF)));
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
