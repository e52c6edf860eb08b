/* Who sleeps on a word that processes share looks again after a second, since
 * its waker may have been killed. That look hides a wake-up that was lost. In
 * programs that are linked with this, by --wrap, there is none: such a wake-up
 * is a hang. Not for tests in which somebody is killed, or that wait with
 * deadlines of about a second. */
#include "os/os.h"

enum {
    NET = 1000000000, /* ns, as in wait.c, any.c and sentry.c */
    AGO = NET / 2     /* at most, that it was added to the time */
};

static int64_t
without_net(int64_t until)
{
    const int64_t now = os_now();

    return until > now + NET - AGO && until <= now + NET ? OS_NEVER : until;
}

/* What the linker calls __real_x is x, and __wrap_x what is called instead. */
int __real_os_futex_wait(const _Atomic uint32_t *word, uint32_t old,
                         int64_t until, bool shared);
int __wrap_os_futex_wait(const _Atomic uint32_t *word, uint32_t old,
                         int64_t until, bool shared);
int __real_os_futex_wait_any(const struct os_wait *waits, unsigned count,
                             int64_t until);
int __wrap_os_futex_wait_any(const struct os_wait *waits, unsigned count,
                             int64_t until);

int
__wrap_os_futex_wait(const _Atomic uint32_t *word, uint32_t old, int64_t until,
                     bool shared)
{
    return __real_os_futex_wait(word, old, without_net(until), shared);
}

int
__wrap_os_futex_wait_any(const struct os_wait *waits, unsigned count,
                         int64_t until)
{
    return __real_os_futex_wait_any(waits, count, without_net(until));
}
