#include "wait/certificate.h"

#include "base/why.h"
#include "os/os.h"

#include <weft/status.h>

#include <limits.h>

/* The node begins the page after the slot's: private memory, so that no other
 * process can damage the list that the kernel and the C library walk. */
static void **
node_of(struct slot *slot)
{
    return (void **)(void *)(slot + 1);
}

int
certificate_make(struct self *self)
{
    struct slot *slot = self->slot;
    long offset = 0;

    if (!slot)
        return why_set(WEFT_EAGAIN, "the registry has no slot for this thread");
    if (self->has_certificate)
        return 0;
    int status = os_robust_offset(&offset);

    if (status < 0 || offset != (long)offsetof(struct slot, certificate) -
                                    (long)sizeof(struct slot))
        return why_set(WEFT_ENOSYS, "this system has no robust list that weft "
                                    "knows");
    status = os_map_private_at(node_of(slot), OS_PAGE);
    if (status < 0)
        return why_system(status, "cannot map a page for a certificate");
    atomic_store(&slot->certificate, (uint32_t)self->record.tid | OS_SLEEPERS);
    status = os_robust_link(node_of(slot));
    if (status < 0) {
        atomic_store(&slot->certificate, 0);
        return why_system(status, "cannot link a certificate");
    }
    self->has_certificate = true;
    return 0;
}

void
certificate_end(struct self *self)
{
    if (!self->has_certificate)
        return;
    os_robust_unlink(node_of(self->slot));
    atomic_store(&self->slot->certificate, 0);
    self->has_certificate = self->certified = false;
    /* Who waits for a lock of this thread's looks at its owner. */
    os_futex_wake(&self->slot->certificate, INT_MAX, true);
}

bool
certificate_says_dead(const struct slot *slot)
{
    return atomic_load_explicit(&slot->certificate, memory_order_acquire) &
           OS_DIED;
}
