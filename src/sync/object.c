#include "sync/object.h"

#include "base/misuse.h"
#include "base/why.h"
#include "registry/label.h"
#include "registry/registry.h"
#include "sync/held.h"
#include "wait/robust.h"

#include <weft/status.h>

#include <dlfcn.h>
#include <stdio.h>

const char *
object_name(const void *object, char out[TEXT_NAME])
{
    char label[TEXT_NAME];
    struct text text = text_over(out, TEXT_NAME);

    if (label_find(object, label))
        text_add(&text, "'%s'", label);
    else
        text_add(&text, "%p", object);
    return out;
}

/* "flush+0x12 (program)": what is known without reading files. */
static void
add_site(struct text *text, const void *site)
{
    Dl_info info;

    if (!dladdr(site, &info) || !info.dli_fname) {
        text_add(text, "%p", site);
        return;
    }
    const char *module = text_base_name(info.dli_fname);

    if (info.dli_sname)
        text_add(text, "%s+0x%zx (%s)", info.dli_sname,
                 (size_t)((uintptr_t)site - (uintptr_t)info.dli_saddr), module);
    else
        text_add(text, "%s+0x%zx", module,
                 (size_t)((uintptr_t)site - (uintptr_t)info.dli_fbase));
}

void
object_misused(const char *call, const void *object, const void *site,
               const char *fault)
{
    char name[TEXT_NAME], where[256];
    struct text text = text_over(where, sizeof where);

    add_site(&text, site);
    misuse_stop("%s of %s by '%s' at %s: %s", call, object_name(object, name),
                self_get()->record.name, where, fault);
}

int
object_enter(struct self *self, const void *object, unsigned kind)
{
    char name[TEXT_NAME];
    const int status = robust_enter(self);

    if (status < 0 || held_has_room(self) ||
        held_find(self->slot, object, kind))
        return status;
    return why_set(WEFT_EAGAIN,
                   "the caller holds %d shared objects; %s would be one more",
                   SLOT_HELD, object_name(object, name));
}

int
object_failed(int status, const char *call, const void *object)
{
    char name[TEXT_NAME];

    if (status == WEFT_ETIMEDOUT)
        return why_set(status, "%s of %s: the deadline passed", call,
                       object_name(object, name));
    if (status == WEFT_ECANCELED)
        return why_set(status, "%s of %s: the caller was asked to stop", call,
                       object_name(object, name));
    return status;
}

const char *
object_owner(uint32_t owner, char out[TEXT_NAME])
{
    const struct slot *slot = registry_owner_slot(owner);
    struct text text = text_over(out, TEXT_NAME);

    if (slot && registry_line(slot, out) && registry_owner_slot(owner) == slot)
        return out;
    if (!registry_obituary(owner, out))
        text_add(&text, "a worker that is gone");
    return out;
}
