/* The kernel walks a list of the dying thread's robust locks. A node of ours in
 * it makes the kernel itself write that the thread is dead. glibc owns the head
 * of the list and links its own robust mutexes there; both work on it only in
 * the thread itself. */
#include "os/os.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

struct head {
    void *list;
    long offset;
    void *pending;
};

static int
find_head(struct head **out)
{
    size_t size = 0;

    if (syscall(SYS_get_robust_list, 0, out, &size) < 0)
        return -errno;
    return *out && size == sizeof **out ? 0 : -ENOSYS;
}

int
os_robust_offset(long *out)
{
    struct head *head = NULL;
    const int status = find_head(&head);

    if (status == 0)
        *out = head->offset;
    return status;
}

/* The lowest bit of a link says that the next node is a priority-inheriting
 * mutex; it is no part of the address. */
static void **
node_at(void *link)
{
    return (void **)((uintptr_t)link & ~(uintptr_t)1);
}

/* `pending` is set around each change: a thread killed between two stores is
 * still certified, and the list is never walked half linked. */
int
os_robust_link(void **node)
{
    struct head *head = NULL;
    const int status = find_head(&head);

    if (status < 0)
        return status;
    head->pending = (void *)node;
    atomic_signal_fence(memory_order_seq_cst);
    node[0] = head->list;
    node[-1] = (void *)&head->list;
    atomic_signal_fence(memory_order_seq_cst);
    /* glibc's heads link to themselves when empty. */
    if (head->list != (void *)&head->list)
        node_at(head->list)[-1] = (void *)node;
    head->list = (void *)node;
    atomic_signal_fence(memory_order_seq_cst);
    head->pending = NULL;
    return 0;
}

void
os_robust_unlink(void **node)
{
    struct head *head = NULL;

    if (find_head(&head) < 0)
        return;
    head->pending = (void *)node;
    atomic_signal_fence(memory_order_seq_cst);
    void *next = node[0];
    void **previous = node_at(node[-1]);
    if (next != (void *)&head->list)
        node_at(next)[-1] = node[-1];
    *previous = next;
    atomic_signal_fence(memory_order_seq_cst);
    head->pending = NULL;
}
