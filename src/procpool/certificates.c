#include "procpool/certificates.h"

#include "os/os.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "worker/process.h"
#include "worker/runtime.h"

#include <errno.h>
#include <limits.h>

enum {
    STACK = 64 << 10,
    NET = 1000000000 /* ns; who sleeps on shared words looks again */
};

/* Under the lock. It may end: nobody is left to be watched. */
static bool
is_needed(struct process_pool *pool)
{
    if (pool->alive > 0)
        return true;
    pool->guarded = false;
    intake_tell_gone(&pool->in);
    return false;
}

/* Whether the worker is alive as far as its certificate says. Else nobody looks
 * at that again: its thread is dead, or a task has scribbled there. */
static bool
is_whole(struct seat *seat)
{
    const uint32_t now = atomic_load(seat->certificate);

    if (now == ((uint32_t)seat->pid | OS_SLEEPERS))
        return true;
    seat->dying = (now & OS_DIED) != 0;
    if (seat->dying) {
        if (seat->bell >= 0)
            os_event_ring(seat->bell);
        /* The kernel wakes one; others may sleep on it, too. */
        os_futex_wake(seat->certificate, INT_MAX, true);
    }
    seat->certificate = NULL;
    return false;
}

/* What it sleeps on next: changes in the pool, and the living. 0: it is to
 * end, and the pool may be gone. */
static unsigned
gather(struct process_pool *pool, struct os_wait out[OS_WAITS])
{
    unsigned count = 0;

    lock_take(&pool->in.lock);
    if (is_needed(pool))
        out[count++] = (struct os_wait){&pool->changes,
                                        atomic_load(&pool->changes), false};
    for (unsigned i = 0; count > 0 && i < pool->seat_count; i++) {
        struct seat *seat = pool->seats[i];

        if (seat->certificate && is_whole(seat) && count < OS_WAITS)
            out[count++] = (struct os_wait){
                seat->certificate, (uint32_t)seat->pid | OS_SLEEPERS, true};
    }
    lock_give(&pool->in.lock);
    return count;
}

/* Where the system cannot wait for several words at once it looks now and then.
 */
static void
sleep_on(const struct os_wait *waits, unsigned count)
{
    const int status = os_futex_wait_any(waits, count, os_now() + NET);

    if (status < 0 && status != -EAGAIN && status != -EINTR &&
        status != -ETIMEDOUT)
        (void)os_futex_wait(waits[0].word, waits[0].old, os_now() + NET / 100,
                            false);
}

/* The hidden thread. */
static void
guard(void *memory)
{
    struct process_pool *pool = memory;
    struct os_wait waits[OS_WAITS];
    unsigned count;

    runtime_hide_thread(1);
    while ((count = gather(pool, waits)) > 0)
        sleep_on(waits, count);
    runtime_hide_thread(-1);
}

static void
tell(struct process_pool *pool)
{
    atomic_fetch_add(&pool->changes, 1);
    os_futex_wake(&pool->changes, 1, false);
}

/* The worker says itself which slot it has: only its own is believed. */
static const struct slot *
find_slot(const struct seat *seat)
{
    const struct slot *slot = registry_slot(process_slots(seat->worker).thread);
    weft_worker thread;

    return slot && record_read(slot, &thread) && thread.tid == seat->pid ? slot
                                                                         : NULL;
}

void
certificates_watch(struct seat *seat)
{
    const struct os_thread_options options = {.stack_size = STACK,
                                              .quiet = true};
    struct process_pool *pool = seat->pool;
    const struct slot *slot = find_slot(seat);

    if (!slot)
        return;
    seat->certificate = &slot->certificate;
    if (!pool->guarded)
        pool->guarded = os_thread_start(guard, pool, &options) == 0;
    else
        tell(pool);
}

void
certificates_forget(struct seat *seat)
{
    seat->certificate = NULL;
    seat->dying = false;
    if (seat->pool->guarded)
        tell(seat->pool);
}

/* A task may have scribbled over the certificate: the kernel is asked. */
void
certificates_heed(struct seat *seat)
{
    if ((seat->state != SEAT_IDLE && seat->state != SEAT_BUSY) ||
        !seat->dying || !os_process_is_dying(seat->pid))
        return;
    if (seat->state == SEAT_IDLE)
        list_remove(&seat->link);
    seat->state = SEAT_LEAVING;
    seat->pool->live--;
    offer_retract_all(seat);
    /* Threads that outlive the main one would keep it. */
    process_finish(seat->worker);
}
