/* Fork/join for recursion, at about 2 ns a fork. Thread pools only.
 *
 *   struct part left = {a, n / 2};
 *   weft_lane *inner = weft_fork(lane, sort_part, &left);   may run elsewhere
 *   merge_sort(inner, a + n / 2, n - n / 2);                meanwhile
 *   weft_sync(lane);                                        left is done
 *
 * What lies between fork and sync takes the lane that the fork returned; the
 * sync takes the one it was given. They nest like brackets within a function;
 * `left` lives on the stack until its sync. No handle, no name, no result, no
 * failure: what a fork says it writes into its own frame. In the hottest
 * recursion, where even the call through the pointer counts:
 *
 *   value = weft_unfork(lane) ? fib(lane, n - 1) : left.value;
 *
 * A lane is a place in the calling worker's deque and travels in a register.
 * Not a counter behind a pointer, not a struct by value (its address stops gcc
 * from inlining the leaves): each costs about 0.9 ns. One compare a fork serves
 * overflow, hungry thieves and tracing alike. Split deque after van Dijk and
 * van de Pol, "Lace: non-blocking split deque for work-stealing", 2014. */
#ifndef WEFT_FORK_H
#define WEFT_FORK_H

#include <weft/pool.h>

typedef struct weft_lane weft_lane;
typedef void weft_fork_fn(weft_lane *lane, void *frame);

struct weft_lane { /* internal */
    weft_fork_fn *run;
    void *frame;
};

/* internal: at the start of a deque, which is aligned to its size */
struct weft_lane_head {
    weft_lane *split; /* owner writes; below it thieves may take */
    weft_lane *limit; /* anyone may lower it: the next fork looks up */
};

enum {
    WEFT_LANE_BITS = 24
};

WEFT_BEGIN

/* Runs fn(lane, frame) here, in the place of a worker of the pool (NULL = the
 * default one), or on a worker where those are prepared, and waits for it. It
 * must begin by the deadline and may take any time then. WEFT_ETIMEDOUT,
 * WEFT_ECANCELED: not begun in time. A fork without its sync is misuse, found
 * at the end. */
WEFT_API int weft_enter(weft_pool *pool, weft_fork_fn *fn, void *frame,
                        weft_time deadline);

/* internal: the slow paths */
WEFT_API void weft_fork_slow(weft_lane *lane) __attribute__((cold));
WEFT_API bool weft_sync_slow(weft_lane *lane) __attribute__((cold));

static inline struct weft_lane_head *
weft_lane_head_of(const weft_lane *lane)
{
    return (struct weft_lane_head *)((uintptr_t)lane >> WEFT_LANE_BITS
                                                            << WEFT_LANE_BITS);
}

/* run(lane, frame) may begin elsewhere from now on. Returns the lane for the
 * work until the sync. Never blocks, never allocates, cannot fail. */
WEFT_MUST_CHECK static inline weft_lane *
weft_fork(weft_lane *lane, weft_fork_fn *run, void *frame)
{
    lane->run = run;
    lane->frame = frame;
    if (__builtin_expect(lane >=
                             __atomic_load_n(&weft_lane_head_of(lane)->limit,
                                             __ATOMIC_RELAXED),
                         0))
        weft_fork_slow(lane);
    return lane + 1;
}

/* Takes the fork back. True: nobody has begun it, run it yourself. False: it
 * was run elsewhere, to its end. */
WEFT_MUST_CHECK static inline bool
weft_unfork(weft_lane *lane)
{
    if (__builtin_expect(lane >=
                             __atomic_load_n(&weft_lane_head_of(lane)->split,
                                             __ATOMIC_RELAXED),
                         1))
        return true;
    return weft_sync_slow(lane);
}

/* After it the fork has been run, here or elsewhere. */
static inline void
weft_sync(weft_lane *lane)
{
    if (weft_unfork(lane))
        lane->run(lane, lane->frame);
}

WEFT_END
#endif
