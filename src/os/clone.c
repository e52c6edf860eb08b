/* fork without the C library's fork: no handler runs, no signal is raised at
 * the child's end, and the child can be given to the caller's parent. What the
 * library keeps of thread id and robust list is mended by hand. clone(2), not
 * clone3: valgrind and some containers refuse the latter. */
#include "os/high.h"
#include "os/os.h"

#include <errno.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_GET_TID_ADDRESS
#    define PR_GET_TID_ADDRESS 40
#endif

/* As in <linux/futex.h>, which glibc's own head is laid out by. */
struct robust_head {
    void *list;
    long offset;
    void *pending;
};

static long
clone_raw(unsigned long flags, int *pidfd, int *tid_address)
{
#if defined __x86_64__
    return syscall(SYS_clone, flags, NULL, pidfd, tid_address, NULL);
#else
    return syscall(SYS_clone, flags, NULL, pidfd, NULL, tid_address);
#endif
}

int
os_clone(unsigned flags, int *pidfd)
{
    unsigned long how = CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
    int *tid_address = NULL;
    struct robust_head *head = NULL;
    size_t size = 0;
    int fd = -1;

    if (flags & OS_CLONE_PARENT)
        how |= CLONE_PARENT;
    if (flags & OS_CLONE_PIDFD)
        how |= CLONE_PIDFD;
    if (flags & OS_CLONE_SIGCHLD)
        how |= SIGCHLD;
    if (prctl(PR_GET_TID_ADDRESS, &tid_address) < 0 || !tid_address)
        return -ENOSYS;
    if (syscall(SYS_get_robust_list, 0, &head, &size) < 0)
        return -errno;
    const long pid = clone_raw(how, &fd, tid_address);

    if (pid < 0)
        return -errno;
    if (pid > 0 && (flags & OS_CLONE_PIDFD))
        *pidfd = high_fd(fd); /* in the unlikeliest of cases < 0 */
    if (pid == 0 && head) {
        /* The kernel starts the child without a list; the copied one is the
         * caller's. */
        head->list = head;
        head->pending = NULL;
        syscall(SYS_set_robust_list, head, size);
    }
    return (int)pid;
}
