/* A waiter that spins gets the hand-over in 0.1 us where a sleeper needs 4 to
 * 40; but one that spins on a CPU that somebody else needs makes everything 10
 * to 25 times slower. So:
 *
 *   - Spin briefly (FREE) whenever there is a CPU for each active thread of
 *     weft and nobody foreign wants one. Uncounted: two threads that alternate
 *     would otherwise keep each other from spinning.
 *   - Spin longer (CAP) only if this leaves a CPU without a spinner, and the
 *     system's run queue agrees. Reading that costs 6 to 30 us, so it is done
 *     only after a spin that ran out, at most every SAMPLE, and where the last
 *     look forbids spinning and is STALE. It also tells of threads that weft
 *     takes for active while they block outside of it.
 *   - A step that takes longer than GAP means that the CPU was taken away while
 *     spinning: nobody spins for a while, doubling up to DENY_MOST. A shorter
 *     GAP takes a hypervisor's noise for that.
 *   - A word on which spinning ran out is not spun on for the next 2, 4 … 64
 *     waits.
 *
 * All words here are hints: a wrong value costs time, never a wake-up. CPUs are
 * counted by affinity, not by quota, since a quota does not take CPUs away. */
#include "wait/policy.h"

#include "os/os.h"

enum {
    FREE = 2000, /* ns, as all of these */
    CAP = 50000,
    GAP = 700000,
    SAMPLE = 4000000,
    STALE = 16000000,
    RECOUNT = 1000000000, /* between two counts of CPUs */
    DENY_LEAST = 4000000,
    DENY_MOST = 64000000,
    QUIET = 16, /* so many denials without a gap make it the least again */
    STEP = 8,   /* looks at the word between two at the clock */
    PAUSES_MOST = 32, /* between two looks at a lock */
    FAILS_MOST = 6,   /* 2^6 waits without spinning */
    UNIT = 16         /* of `foreign`, in tasks */
};

static struct {
    _Alignas(128) _Atomic int active; /* threads of weft that do not sleep */
    _Alignas(128) _Atomic int spinners;
    _Alignas(128) _Atomic int64_t next_sample;
    _Atomic int foreign; /* others that want a CPU, mean, in 1/UNIT; < 0: some
                            of the active ones do not */
    _Atomic int64_t deny_until;
    _Atomic int64_t deny_span;
    _Atomic int cpus;
    _Atomic int64_t next_count; /* of CPUs */
    atomic_bool park_only;
} policy;

#define GET(field) atomic_load_explicit(&policy.field, memory_order_relaxed)
#define SET(field, value) \
    atomic_store_explicit(&policy.field, (value), memory_order_relaxed)

enum spin_end {
    CHANGED,
    RAN_OUT,
    PREEMPTED
};

static int
cpus(int64_t now)
{
    int64_t due = GET(next_count);

    if (now >= due &&
        atomic_compare_exchange_strong(&policy.next_count, &due, now + RECOUNT))
        SET(cpus, (int)os_cpu_widest());
    return GET(cpus);
}

static void
deny(int64_t now)
{
    int64_t span = GET(deny_span);

    if (now > GET(deny_until) + QUIET * span)
        span = 0;
    span = span == 0 ? DENY_LEAST : span < DENY_MOST ? 2 * span : DENY_MOST;
    SET(deny_span, span);
    SET(deny_until, now + span);
}

static enum spin_end
spin(const _Atomic uint32_t *word, uint32_t old, int64_t start, int64_t span)
{
    int64_t last = start;

    for (;;) {
        for (int i = 0; i < STEP; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != old)
                return CHANGED;
            os_pause();
        }
        const int64_t now = os_now();

        if (now - last > GAP) {
            deny(now);
            return PREEMPTED;
        }
        if (now - start > span)
            return RAN_OUT;
        last = now;
    }
}

static void
sample(int64_t now)
{
    int64_t due = GET(next_sample);

    if (now < due || !atomic_compare_exchange_strong(&policy.next_sample, &due,
                                                     now + SAMPLE))
        return;
    const int running = os_running();
    const int mean = GET(foreign);

    if (running >= 0)
        SET(foreign, mean + ((running - GET(active)) * UNIT - mean) / 2);
}

/* A CPU for everybody who wants one, as far as is known. */
static bool
is_room(int64_t now)
{
    return GET(active) * UNIT + GET(foreign) <= cpus(now) * UNIT + UNIT / 2;
}

/* Nobody needs the CPU that the caller would burn for a moment. */
static bool
may_spin_free(int64_t now)
{
    return cpus(now) > 1 && now >= GET(deny_until) && is_room(now) &&
           GET(foreign) <= UNIT / 2;
}

static bool
may_spin_long(int64_t now)
{
    if (cpus(now) < 2 || GET(spinners) >= cpus(now) - 1 ||
        now < GET(deny_until))
        return false;
    if (is_room(now))
        return true;
    if (now >= GET(next_sample) + STALE - SAMPLE)
        sample(now);
    return is_room(now);
}

static enum spin_end
spin_counted(const _Atomic uint32_t *word, uint32_t old, int64_t now,
             int64_t span)
{
    atomic_fetch_add_explicit(&policy.spinners, 1, memory_order_relaxed);
    const enum spin_end end = spin(word, old, now, span);

    atomic_fetch_sub_explicit(&policy.spinners, 1, memory_order_relaxed);
    return end;
}

static void
remember(policy_hint *hint, uint32_t value)
{
    if (hint)
        atomic_store_explicit(hint, value, memory_order_relaxed);
}

static bool
changed(policy_hint *hint, uint32_t memory)
{
    if (memory)
        remember(hint, 0);
    return true;
}

bool
policy_spin(const _Atomic uint32_t *word, uint32_t old, policy_hint *hint)
{
    const uint32_t memory =
        hint ? atomic_load_explicit(hint, memory_order_relaxed) : 0;
    int64_t now = os_now();

    if (GET(park_only))
        return false;
    if (may_spin_free(now)) {
        if (spin(word, old, now, FREE) == CHANGED)
            return changed(hint, memory);
        now = os_now();
    }
    if (memory & 0xffff) {
        remember(hint, memory - 1);
        return false;
    }
    if (!may_spin_long(now))
        return false;
    const enum spin_end end = spin_counted(word, old, now, CAP);

    if (end == CHANGED)
        return changed(hint, memory);
    if (end == RAN_OUT) {
        uint32_t fails = memory >> 16;

        sample(os_now());
        fails += fails < FAILS_MOST;
        remember(hint, fails << 16 | 1u << fails);
    }
    return false;
}

/* Each look at a word that the holder takes and gives back all the time costs
 * him more than taking it: so the pauses grow. */
static bool
spin_lock(const _Atomic uint32_t *lock, int64_t start)
{
    for (int pauses = 1;; pauses += pauses < PAUSES_MOST ? pauses : 0) {
        if (atomic_load_explicit(lock, memory_order_relaxed) == 0)
            return true;
        for (int i = 0; i < pauses; i++)
            os_pause();
        const int64_t now = os_now();

        if (now - start > GAP)
            deny(now);
        if (now - start > FREE)
            return false;
    }
}

bool
policy_spin_lock(const _Atomic uint32_t *lock)
{
    const int64_t now = os_now();

    if (GET(park_only) || cpus(now) < 2 || !is_room(now) ||
        GET(spinners) >= cpus(now) - 1 || now < GET(deny_until))
        return false;
    atomic_fetch_add_explicit(&policy.spinners, 1, memory_order_relaxed);
    const bool is_free = spin_lock(lock, now);

    atomic_fetch_sub_explicit(&policy.spinners, 1, memory_order_relaxed);
    return is_free;
}

void
policy_enter(struct self *self)
{
    if (self->counted)
        return;
    self->counted = true;
    atomic_fetch_add_explicit(&policy.active, 1, memory_order_relaxed);
}

void
policy_leave(struct self *self)
{
    if (!self->counted)
        return;
    self->counted = false;
    atomic_fetch_sub_explicit(&policy.active, 1, memory_order_relaxed);
}

void
policy_sleeps(struct self *self)
{
    policy_leave(self);
}

void
policy_wakes(struct self *self)
{
    policy_enter(self);
}

void
policy_forked(void)
{
    SET(active, 0);
    SET(spinners, 0);
    SET(foreign, 0);
    SET(deny_until, 0);
}

void
policy_park_only(bool on)
{
    SET(park_only, on);
}
