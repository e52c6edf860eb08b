/* The deck: the owner forks, shares, takes back and syncs its lanes, thieves
 * steal them from the other end. Two lanes, forked one within the other, each
 * more than once; what the words hold is as in src/pool/deck.h.
 *
 *   tail, split   `shared`, one word, changed by compare-and-swap: lanes
 *                 tail <= i < split may be stolen
 *   own           head.split: where the owner believes `split` to be
 *   fn[i]        the lane's function: the number of its fork, TAKEN or DONE
 *
 * A fork shares whenever something was asked for and nothing is shared, which
 * may be at any time. Memory is sequentially consistent here; the orders are
 * for the checkers of threads.
 *
 * What is checked: no fork is run twice or never, none after its sync or of
 * another lane's function, the owner reads no unfinished result (assert); and
 * nobody is stuck (invalid end states).
 *
 * BUG=n plants a fault that must be found:
 *   1  the owner takes back without looking at the tail
 *   2  the owner takes back by a plain store, not a compare-and-swap
 *   3  a thief takes by a plain store
 *   4  the thief says DONE before it has run the function
 *   5  the owner goes on at TAKEN
 *   6  the words stay as they were after a stolen lane was synced
 *   7  sharing leaves the owner's split as it was
 *   8  taking back leaves the lane itself where it can be stolen
 *   9  a thief looks at the function before the lane is its own */
#ifndef BUG
#define BUG 0
#endif
#ifndef THIEVES
#define THIEVES 2
#endif
#define LANES  2
#define ROUNDS 2
#define TAKEN  254
#define DONE   255

byte tail, split, own;
byte fn[LANES];

/* Nobody's memory, for the properties. */
byte forks;                            /* so far; each has its number */
byte ran[LANES * ROUNDS * ROUNDS + 1]; /* how often */
bool over;

inline execute(fork)
{
    assert(fork != 0 && fork < TAKEN);
    ran[fork]++;
    assert(ran[fork] == 1)
}

/* Forks lane i; `number` is the fork's. */
inline push(i, number)
{
    atomic { forks++; number = forks; fn[i] = number };
    if
    :: skip
    :: tail >= split -> /* asked: only a thief could make it less true */
        atomic {
            seen_tail = tail;
            before = split
        };
        do
        :: atomic {
               tail == seen_tail ->
               split = before + (i + 1 - before + 1) / 2
           };
           break
        :: atomic { tail != seen_tail -> seen_tail = tail }
        od;
#if BUG != 7
        own = split
#endif
    fi
}

/* Syncs lane i, the last one. */
inline sync(i, number)
{
    if
    :: i >= own -> execute(number) /* unfork's fast path */
    :: else ->
        stolen = false;
        atomic { seen_tail = tail; before = split };
        do
#if BUG != 1
        :: seen_tail > i -> stolen = true; break
        :: else ->
#else
        :: true ->
#endif
            atomic {
#if BUG != 2 && BUG != 1
                if
                :: tail == seen_tail && split == before ->
#endif
#if BUG == 8
                    split = i + 1;
#else
                    split = (i > seen_tail ->
                        seen_tail + (i - seen_tail) / 2 : seen_tail);
#endif
                    tail = seen_tail;
                    before = split;
                    goto_own = true
#if BUG != 2 && BUG != 1
                :: else -> seen_tail = tail; before = split
                fi
#endif
            };
            if
            :: goto_own -> break
            :: else
            fi
        od;
        goto_own = false;
        if
        :: !stolen ->
            own = before;
            execute(number)
        :: else ->
#if BUG == 5
            fn[i] == DONE || fn[i] == TAKEN;
#else
            fn[i] == DONE;
#endif
#if BUG != 6
            atomic { tail = i; split = i };
            own = i
#endif
        fi
    fi;
    assert(ran[number] == 1);
    atomic { stolen = false; seen_tail = 0; before = 0 }
}

active proctype owner()
{
    byte outer, inner, round, turn, seen_tail, before;
    bool stolen, goto_own;

    do
    :: round < ROUNDS ->
        push(0, outer);
        turn = 0;
        do
        :: turn < ROUNDS ->
            push(1, inner);
            sync(1, inner);
            turn++
        :: else -> break
        od;
        sync(0, outer);
        round++
    :: else -> break
    od;
    assert(tail == split);
    over = true
}

active [THIEVES] proctype thief()
{
    byte seen_tail, seen_split, fork;

end:
    do
    :: over -> break
    :: atomic { tail < split -> seen_tail = tail; seen_split = split };
#if BUG == 9
        fork = fn[seen_tail];
#endif
        if
        :: atomic {
#if BUG == 3
               true ->
#else
               tail == seen_tail && split == seen_split ->
#endif
               tail = seen_tail + 1;
               split = seen_split
           };
#if BUG != 9
            fork = fn[seen_tail];
#endif
            fn[seen_tail] = TAKEN;
#if BUG == 4
            fn[seen_tail] = DONE;
#endif
            execute(fork);
            fn[seen_tail] = DONE
        :: else
        fi;
        atomic { seen_tail = 0; seen_split = 0; fork = 0 }
    od
}
