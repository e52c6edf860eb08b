/* The channel between a process pool and one of its workers: who has a task,
 * which answer is believed, who sleeps. A killer may strike the first worker
 * between any two steps; then there is another one. Once a task scribbles over
 * all that it can reach. Words as in src/procpool/channel.h:
 *
 *   cnum, cst   a task's claim: its number and whose it is
 *   desk        the number that the claim was last written for; only the parent
 *               can
 *   fnum, fbyte a fresh answer, which later tasks can scribble over
 *   knum, kbyte one that was put out of their reach
 *   collected   the last answer that was, or was not waited for any more
 *   visitors    who looks without being rung for
 *   sleepers    those of them who sleep, or are about to
 *   quiet       `done` is what the one who sleeps has read of it
 *   same        `offers` is what the worker has read of it
 *
 * Numbers wrap here after 12. The parent's threads have one lock: one of them
 * sleeps until the bell, one joins the task 0, looks for a while and then sleeps
 * until the next answer, or until the task has ended.
 *
 * What is checked: no task begins twice, none that was given back or canceled
 * has begun; one that is said to have died began, unless its claim was scribbled
 * over, and so for one that was lost; an answer is believed only as it was given
 * (assert). When nobody can take a step any more, all tasks have ended (the
 * watcher), and nobody is stuck elsewhere (invalid end states).
 *
 * BUG=n plants a fault that must be found:
 *   1  the worker takes a task by a look and then a store
 *   2  the parent takes one back by a look and then a store
 *   3  at a death one that was taken counts as only offered
 *   4  the worker looks for visitors before it answers
 *   5  the visitor does not look once more when it has left
 *   6  it looks once more and then leaves
 *   7  the desk says that a task is offered before the claim does
 *   8  the worker keeps no answers before it takes a task
 *   9  it keeps them when it has taken it
 *   10  a fresh answer is believed whatever comes after it
 *   11  it is believed if only the next task was taken back
 *   12  a fresh answer has its number before its bytes
 *   13  the worker waits for a claim that was scribbled over to be right
 *   14  what was taken back is not passed over
 *   15  who is about to sleep looks for answers and then reads `done`
 *   16  who has slept does not look once more when he has left
 *   17  at a death nobody is sent away
 *   18  the worker looks for sleepers before it answers */
#ifndef BUG
#define BUG 0
#endif
#if BUG == 11
#define PLACES 3 /* or there is nothing behind the one that was taken back */
#define TASKS  3
#else
#define PLACES 2 /* tasks that are offered at a time */
#define TASKS  2
#endif
#define WRAP   12
#define FIRST  10 /* the first number, so that they wrap soon */
#define BACK   1  /* tasks that are taken back */

#define NEXT(n)     (((n) + 1) % WRAP)
#define PLACE(n)    ((n) % PLACES)
#define AHEAD(a, b) (((a) + WRAP - (b)) % WRAP)
#define NEWER(a, b) (AHEAD(a, b) > 0 && AHEAD(a, b) < WRAP / 2)

#define OFFERED   0
#define TAKEN     1
#define RETRACTED 2
#define SCRIBBLED 3
#define IS(n, state) (cnum[PLACE(n)] == (n) && cst[PLACE(n)] == (state))

/* An answer's bytes: the task's number from 1, or these. */
#define LOST 100
#define BAD  200
#define NONE 255

/* The channel. */
byte visitors, sleepers;
bool bell, same, quiet;
bool asleep; /* in the kernel */
byte cnum[PLACES], cst[PLACES];
byte desk[PLACES], what[PLACES];
byte fnum[PLACES], fbyte[PLACES];
byte knum[PLACES], kbyte[PLACES];
byte collected;

/* The parent's own memory. */
bool lock, alive;
byte head, tail;
byte job[PLACES]; /* the task's number from 1; 0: taken back */
bool ready[TASKS];
byte to_take_back = BACK;

bool killed[2], dead; /* the first worker, and the second */
byte life;
bool to_scribble = true;

/* Nobody's memory, for the properties. */
bool began[TASKS], ended[TASKS], was_scribbled;

inline take_lock() { atomic { !lock -> lock = true } }
inline give_lock() { lock = false }

inline end_task(task)
{
    assert(!ended[task]);
    ended[task] = true
}

/* --- the parent; all under the lock */

inline pass_over()
{
    d_step {
#if BUG != 14
        do
        :: tail != head && job[PLACE(NEXT(tail))] == 0 -> tail = NEXT(tail)
        :: else -> break
        od;
#endif
        collected = tail
    }
}

/* The first number after n that was not taken back, or the one after head. */
inline find_next()
{
    atomic {
        m = n;
        do
        :: m == head -> m = NEXT(m); break
        :: else ->
            m = NEXT(m);
            if
#if BUG == 11
            :: true -> break
#endif
            :: job[PLACE(m)] -> break
            :: else
            fi
        od
    }
}

inline read_answer()
{
    copy = NONE;
    if
    :: fnum[PLACE(n)] == n ->
        copy = fbyte[PLACE(n)];
#if BUG != 10
        find_next();
        if
        :: m == NEXT(head) || IS(m, OFFERED)
#if BUG == 11
        :: IS(m, RETRACTED)
#endif
        :: else -> copy = NONE
        fi
#endif
    :: else
    fi;
    if
    :: copy == NONE && knum[PLACE(n)] == n -> copy = kbyte[PLACE(n)]
    :: else
    fi
}

inline collect()
{
    do
    :: atomic { pass_over(); n = NEXT(tail) };
        if
        :: tail == head || job[PLACE(n)] == 0 -> break
        :: else
        fi;
        read_answer();
        if
        :: copy == NONE -> break
        :: else
        fi;
        d_step {
            m = job[PLACE(n)] - 1;
            assert(copy == m + 1 || copy == LOST);
            assert(copy != LOST || (was_scribbled && !began[m]));
            assert(copy == LOST || began[m]);
            end_task(m);
            job[PLACE(n)] = 0;
            fbyte[PLACE(n)] = BAD; /* nobody's any more */
            kbyte[PLACE(n)] = BAD;
            tail = n;
            collected = n;
            m = 0;
            copy = 0
        }
    od;
    atomic { n = 0; m = 0; copy = 0 }
}

inline choose()
{
    if
    :: ready[0] -> m = 0
    :: !ready[0] && ready[1] -> m = 1
    :: !ready[0] && !ready[1] -> m = TASKS - 1
    fi
}

#define IS_READY (ready[0] || ready[1] || ready[TASKS - 1])
#define HAS_ROOM (alive && AHEAD(head, tail) < PLACES)

inline offer()
{
    atomic {
        choose();
        ready[m] = false;
        head = NEXT(head);
        n = head;
        job[PLACE(n)] = m + 1;
        what[PLACE(n)] = m;
        m = 0
    };
#if BUG == 7
    desk[PLACE(n)] = n;
#endif
    atomic { cnum[PLACE(n)] = n; cst[PLACE(n)] = OFFERED };
#if BUG != 7
    desk[PLACE(n)] = n;
#endif
    atomic { same = false; n = 0 }
}

/* The last one: it is canceled, or goes elsewhere. */
inline take_back()
{
    n = head;
    if
    :: tail == head || job[PLACE(n)] == 0
    :: else ->
        atomic { m = IS(n, OFFERED); to_take_back-- };
#if BUG == 2
        if
        :: m -> atomic { cnum[PLACE(n)] = n; cst[PLACE(n)] = RETRACTED }
        :: else
        fi;
#else
        atomic { /* a CAS */
            m = IS(n, OFFERED);
            if
            :: m -> cst[PLACE(n)] = RETRACTED
            :: else
            fi
        };
#endif
        atomic {
            if
            :: m ->
                m = job[PLACE(n)] - 1;
                assert(!began[m]);
                job[PLACE(n)] = 0;
                if
                :: end_task(m)
                :: ready[m] = true
                fi
            :: else
            fi
        };
        collect()
    fi;
    d_step { n = 0; m = 0 }
}

inline send_away()
{
    atomic {
        quiet = false;
        asleep = false
    }
}

inline bury()
{
    collect();
    d_step {
        alive = false;
        n = NEXT(tail);
        if
#if BUG == 3
        :: true
#endif
        :: tail == head || IS(n, OFFERED)
#if BUG != 3
        :: else ->
            m = job[PLACE(n)] - 1;
            assert(began[m] || was_scribbled);
            end_task(m);
            job[PLACE(n)] = 0
#endif
        fi;
        do
        :: tail != head ->
            tail = NEXT(tail);
            if
            :: job[PLACE(tail)] ->
                m = job[PLACE(tail)] - 1;
                assert(!began[m]);
                ready[m] = true;
                job[PLACE(tail)] = 0
            :: else
            fi
        :: else -> break
        od;
        n = 0;
        m = 0
    };
#if BUG != 17
    send_away()
#endif
}

/* A fresh file; the one before stays until nobody looks at it. */
inline make()
{
    d_step {
        head = FIRST - 1;
        tail = FIRST - 1;
        collected = FIRST - 1;
        n = 0;
        do
        :: n < PLACES ->
            cnum[n] = FIRST - 1;
            cst[n] = RETRACTED;
            desk[n] = FIRST - 1;
            fnum[n] = FIRST - 1;
            knum[n] = FIRST - 1;
            fbyte[n] = BAD;
            kbyte[n] = BAD;
            n++
        :: else -> break
        od;
        n = 0;
        same = false;
        bell = false;
        dead = false;
        alive = true
    };
    run worker(life)
}

proctype parent()
{
    byte n, m, copy;

end:
    do
    :: IS_READY && HAS_ROOM ->
        take_lock();
        if
        :: IS_READY && HAS_ROOM -> offer()
        :: else
        fi;
        give_lock()
    :: bell ->
        take_lock();
        bell = false;
        collect();
        give_lock()
    :: to_take_back > 0 && alive && tail != head ->
        take_lock();
        take_back();
        give_lock()
    :: dead && alive ->
        take_lock();
        bury();
        give_lock()
    :: !alive && life == 0 && visitors == 0 ->
        life = 1;
        make()
    od
}

/* The task 0 is at the worker; else it goes to `away`. */
inline visit()
{
    take_lock();
    if
    :: alive && (job[0] == 1 || job[1] == 1) -> visitors++
    :: else -> give_lock(); goto away
    fi;
    give_lock()
}

inline look()
{
    take_lock();
    if
    :: alive -> collect()
    :: else
    fi;
    give_lock()
}

/* The system compares `done` with what was read of it. */
inline fall_asleep()
{
    if
    :: alive && (job[0] == 1 || job[1] == 1) ->
        atomic {
            if
            :: quiet -> asleep = true
            :: else
            fi
        };
        atomic { !asleep || ended[0] -> asleep = false }
    :: else
    fi
}

/* Joins the task 0, if a worker has it. */
proctype visitor()
{
    byte n, m, copy;

    visit();
    do
    :: look();
        if
        :: ended[0] -> break
        :: !ended[0] /* an answer was counted */
        :: !ended[0] -> break
        fi
    od;
#if BUG != 6
    visitors--;
#endif
#if BUG != 5
    look();
#endif
#if BUG == 6
    visitors--;
#endif
    do
    :: !ended[0] ->
        visit();
        sleepers++;
#if BUG != 15
        quiet = true;
#endif
        look();
#if BUG == 15
        quiet = true;
#endif
        fall_asleep();
        sleepers--;
        visitors--;
#if BUG != 16
        look()
#endif
    :: break /* it has been woken too often for nothing */
    od;
away:
    ended[0]
}

/* --- the worker */

inline keep_all()
{
    if
    :: NEWER(collected, kept) -> kept = collected
    :: else
    fi;
    do
    :: NEWER(last, kept) ->
        atomic { /* pwrite */
            kept = NEXT(kept);
            if
            :: fnum[PLACE(kept)] == kept ->
                kbyte[PLACE(kept)] = fbyte[PLACE(kept)];
                knum[PLACE(kept)] = kept
            :: else
            fi
        }
    :: else -> break
    od
}

inline ring()
{
    quiet = false;
    if
#if BUG == 4
    :: found == 0 -> bell = true
#else
    :: visitors == 0 -> bell = true
#endif
    :: else ->
        if
#if BUG == 18
        :: found > 0 -> asleep = false
#else
        :: sleepers > 0 -> asleep = false
#endif
        :: else
        fi
    fi
}

inline answer(byte_)
{
#if BUG == 4
    found = visitors;
#endif
#if BUG == 18
    found = sleepers;
#endif
#if BUG == 12
    fnum[PLACE(number)] = number;
#endif
    fbyte[PLACE(number)] = byte_; /* BAD before */
#if BUG != 12
    fnum[PLACE(number)] = number;
#endif
    last = number;
    ring()
}

/* What a task may do with all that its process can write to. */
inline scribble()
{
    if
    :: to_scribble ->
        d_step {
            to_scribble = false;
            was_scribbled = true;
            fbyte[0] = BAD;
            fbyte[1] = BAD;
            fbyte[PLACES - 1] = BAD
        };
        if
        :: d_step {
            cst[0] = SCRIBBLED;
            cst[1] = SCRIBBLED;
            cst[PLACES - 1] = SCRIBBLED
        }
        :: skip
        fi
    :: skip
    fi
}

/* The claim says that it is taken. */
inline mark()
{
    found = TAKEN;
    task = what[PLACE(number)];
    assert(!began[task]);
    began[task] = true
}

inline begin()
{
    scribble();
    answer(task + 1)
}

proctype worker(byte me)
{
    byte number = FIRST, last = FIRST - 1, kept = FIRST - 1;
    byte task, found;

    {
        do
        :: same = true;
            if
            :: desk[PLACE(number)] == number ->
#if BUG != 8 && BUG != 9
                keep_all();
#endif
#if BUG == 1
                found = (IS(number, OFFERED) -> TAKEN : OFFERED);
                if
                :: found == TAKEN ->
                    atomic { cst[PLACE(number)] = TAKEN; mark() }
                :: else ->
                    found = (IS(number, RETRACTED) -> RETRACTED : SCRIBBLED)
                fi;
#else
                atomic { /* a CAS */
                    if
                    :: IS(number, OFFERED) ->
                        cst[PLACE(number)] = TAKEN;
                        mark()
                    :: IS(number, RETRACTED) -> found = RETRACTED
                    :: else -> found = SCRIBBLED
                    fi
                };
#endif
#if BUG == 9
                keep_all();
#endif
                if
                :: found == TAKEN -> begin()
                :: found == SCRIBBLED ->
#if BUG == 13
end_waits:
                    !same;
                    goto again
#else
                    answer(LOST)
#endif
                :: else
                fi;
                atomic { number = NEXT(number); found = 0; task = 0 }
            :: NEWER(desk[PLACE(number)], number) -> number = NEXT(number)
            :: else ->
end_asleep:
                !same
            fi;
#if BUG == 13
again:
            skip
#endif
        od
    } unless { killed[me] };

    dead = true
}

proctype killer()
{
end:
    if
    :: alive && life == 0 -> killed[0] = true
    fi
}

/* Looks when nobody can take a step any more. */
proctype watcher()
{
end:
    timeout;
    assert(ended[0] && ended[1] && ended[TASKS - 1])
}

init
{
    byte n; /* for make() */

    atomic {
        ready[0] = true;
        ready[1] = true;
        ready[TASKS - 1] = true;
        make();
        run parent();
        run visitor();
        run killer();
        run watcher()
    }
}
