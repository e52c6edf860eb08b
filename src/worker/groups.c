#include "worker/groups.h"

#include "os/os.h"

#include <stdatomic.h>
#include <stddef.h>

enum {
    PLACES = 4096
};

/*   0 -> pid   the program, when a worker begins, by compare-and-swap
 *   pid -> 0   the program, before it reaps that worker
 * so that a pid in it is never one that the system has given to somebody else.
 */
static _Atomic int *groups; /* PLACES of them; NULL: there is no page */
static _Atomic unsigned next;

void
groups_open(void)
{
    void *page = NULL;

    if (groups)
        return;
    const int fd = os_memfd("weft-groups", PLACES * sizeof *groups);

    if (fd < 0)
        return;
    if (os_map(&page, PLACES * sizeof *groups, fd, OS_READ | OS_WRITE) == 0)
        groups = page;
    os_close(fd);
    groups_share(false);
}

void
groups_share(bool on)
{
    if (groups)
        os_keep_from_copies(groups, PLACES * sizeof *groups, !on);
}

int
groups_enter(int pid)
{
    for (unsigned i = 0; groups && i < PLACES; i++) {
        const unsigned place = atomic_fetch_add(&next, 1) % PLACES;
        int none = 0;

        if (atomic_compare_exchange_strong(&groups[place], &none, pid))
            return (int)place;
    }
    return -1;
}

void
groups_leave(int place, int pid)
{
    os_group_signal(pid, SIGKILL);
    if (place >= 0 && groups)
        atomic_store(&groups[place], 0);
}

void
groups_signal(int signal)
{
    for (unsigned i = 0; groups && i < PLACES; i++)
        os_group_signal(atomic_load(&groups[i]), signal);
}

void
groups_forked(void)
{
    groups = NULL;
}
