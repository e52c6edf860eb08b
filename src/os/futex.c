#include "os/os.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const struct timespec *
deadline(int64_t until, struct timespec *space)
{
    if (until == OS_NEVER)
        return NULL;
    if (until < 0)
        until = 0;
    space->tv_sec = until / 1000000000;
    space->tv_nsec = until % 1000000000;
    return space;
}

int
os_futex_wait(const _Atomic uint32_t *word, uint32_t old, int64_t until,
              bool shared)
{
    const int operation = FUTEX_WAIT_BITSET | (shared ? 0 : FUTEX_PRIVATE_FLAG);
    struct timespec space;

    if (syscall(SYS_futex, word, operation, old, deadline(until, &space), NULL,
                FUTEX_BITSET_MATCH_ANY) < 0)
        return -errno;
    return 0;
}

int
os_futex_wait_any(const struct os_wait *waits, unsigned count, int64_t until)
{
    struct futex_waitv words[OS_WAITS];
    struct timespec space;

    if (count > OS_WAITS)
        return -EINVAL;
    for (unsigned i = 0; i < count; i++)
        words[i] = (struct futex_waitv){
            .val = waits[i].old,
            .uaddr = (uintptr_t)waits[i].word,
            .flags = FUTEX_32 | (waits[i].shared ? 0 : FUTEX_PRIVATE_FLAG),
        };
    if (syscall(SYS_futex_waitv, words, count, 0, deadline(until, &space),
                CLOCK_MONOTONIC) < 0)
        return errno == EPERM ? -ENOSYS : -errno; /* a filter says EPERM */
    return 0;
}

void
os_futex_wake(const _Atomic uint32_t *word, int count, bool shared)
{
    const int before = errno;

    syscall(SYS_futex, word, FUTEX_WAKE | (shared ? 0 : FUTEX_PRIVATE_FLAG),
            count, NULL, NULL, 0);
    errno = before;
}
