#include "registry/self.h"

#include "base/text.h"
#include "base/why.h"
#include "os/os.h"
#include "registry/control.h"
#include "registry/label.h"
#include "registry/record.h"
#include "registry/recorder.h"
#include "registry/registry.h"

#include <weft/status.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

_Thread_local struct self *self_here;
void (*self_ending)(struct self *self);
void (*self_copied)(void);
void (*self_main_ending)(void);

static struct self process_block; /* its record and slot only */
static struct self main_block;    /* of the main thread */
/* For threads that no memory was left for; nothing may be kept in it. */
static struct self nobody = {.bell = -1};

static int pid_here, parent_pid_here; /* read-only once open */

/* 0 = closed, 1 = one thread is opening, 2 = open. 0 -> 1 by compare-and-swap;
 * 1 -> 2 by that thread, release: pairs with acquire in self_open. */
static atomic_int opened;
static pthread_once_t hooks = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* its destructor ends adopted threads' blocks */
static bool key_is_made;

static void
thread_ends(void *self)
{
    if (self != &main_block)
        self_end(self);
    else if (self_main_ending)
        self_main_ending();
}

/* The program called fork(): the copy is a program of its own. */
static void
copied(void)
{
    /* The thread that forked is the copy's main thread; what it was here is
     * nobody's. */
    if (self_here && self_here->heap)
        (void)pthread_setspecific(key, NULL);
    self_forked(NULL, 0);
    if (self_copied)
        self_copied();
}

static void
make_hooks(void)
{
    key_is_made = pthread_key_create(&key, thread_ends) == 0;
    (void)pthread_atfork(NULL, NULL, copied);
}

static void
set_name(weft_worker *record, const char *name)
{
    struct text text = text_over(record->name, sizeof record->name);

    text_add(&text, "%s", name);
}

static void
set_owner(struct self *self)
{
    self->owner = self->slot ? atomic_load_explicit(&self->slot->owner,
                                                    memory_order_relaxed)
                             : REGISTRY_NO_SLOT | (uint32_t)self->record.tid;
}

void
self_write(struct self *self)
{
    weft_worker *record = &self->record;

    if (record->pid == 0)
        record->pid = pid_here;
    record->since.ns = os_now();
    if (!self->slot && registry_is_open())
        self->slot = registry_claim();
    record->id = registry_id(self->slot);
    set_owner(self);
    if (self->slot)
        record_write(self->slot, record, parent_pid_here);
}

static void
open_process(const char *name, int parent)
{
    pid_here = os_process_id();
    parent_pid_here = os_parent_id();
    process_block.slot = NULL;
    process_block.record = (weft_worker){.kind = WEFT_PROCESS,
                                         .state = WEFT_RUNNING,
                                         .tid = pid_here,
                                         .parent = parent ? parent_pid_here : 0,
                                         .service = parent != 0,
                                         .main = parent == 0};
    set_name(&process_block.record, name);
    self_write(&process_block);

    main_block = (struct self){.bell = -1};
    main_block.record = (weft_worker){.kind = WEFT_THREAD,
                                      .state = WEFT_RUNNING,
                                      .tid = pid_here,
                                      .parent = parent,
                                      .main = true};
    set_name(&main_block.record, "MainThread");
    self_write(&main_block);
}

void
self_open(void)
{
    int closed = 0;

    if (atomic_load_explicit(&opened, memory_order_acquire) == 2)
        return;
    if (atomic_compare_exchange_strong(&opened, &closed, 1)) {
        (void)pthread_once(&hooks, make_hooks);
        (void)registry_open(); /* without it there are records, but no slots */
        control_opened();
        open_process("MainProcess", 0);
        atomic_store_explicit(&opened, 2, memory_order_release);
        recorder_open();
        return;
    }
    while (atomic_load_explicit(&opened, memory_order_acquire) != 2)
        os_pause();
}

static struct self *
adopt_foreign(int tid)
{
    struct self *self = calloc(1, sizeof *self);

    if (!self || !key_is_made || pthread_setspecific(key, self) != 0) {
        free(self);
        nobody.record.pid = os_process_id();
        return &nobody;
    }
    struct text name = text_over(self->record.name, sizeof self->record.name);

    text_add(&name, "Dummy-%d", tid);
    self->heap = true;
    self->bell = -1;
    self->record.kind = WEFT_THREAD;
    self->record.state = WEFT_RUNNING;
    self->record.adopted = true;
    self->record.daemon = true;
    self->record.tid = tid;
    self_write(self);
    return self;
}

struct self *
self_adopt(void)
{
    const int tid = os_thread_id();

    self_open();
    self_here = tid == os_process_id() ? &main_block : adopt_foreign(tid);
    if (self_here == &main_block && key_is_made)
        (void)pthread_setspecific(key, &main_block);
    return self_here;
}

void
self_take(struct self *self)
{
    self_here = self;
    self->record.tid = os_thread_id();
    set_owner(self);
    if (self->slot)
        atomic_store_explicit(&self->slot->identity.tid, self->record.tid,
                              memory_order_release);
}

void
self_rename(struct self *self, const char *name)
{
    char kernel[TEXT_KERNEL];

    set_name(&self->record, name);
    if (self->slot)
        record_write(self->slot, &self->record, parent_pid_here);
    text_kernel_name(name, kernel);
    os_thread_name(kernel);
}

void
self_show_task(struct self *self, const char *task)
{
    char *own = self->record.task;
    const size_t room = sizeof self->record.task - 1;
    const size_t length = text_cut(task, strlen(task), room);

    if (strncmp(own, task, length) == 0 && own[length] == '\0')
        return;
    memcpy(own, task, length);
    own[length] = '\0';
    if (self->slot)
        record_write(self->slot, &self->record, parent_pid_here);
}

void
self_end(struct self *self)
{
    if (self == &nobody)
        return;
    if (self_ending)
        self_ending(self);
    recorder_thread_ends(self);
    if (self->bell >= 0)
        os_close(self->bell);
    if (self->slot)
        registry_release(self->slot);
    self_here = NULL;
    if (self->heap)
        free(self);
}

const weft_worker *
self_process(void)
{
    self_open();
    return &process_block.record;
}

void
self_forked(const char *name, int parent)
{
    label_forked();
    registry_forked(name != NULL);
    self_here = NULL;
    if (!name) {
        atomic_store(&opened, 0);
        return;
    }
    if (atomic_load(&opened) != 2) { /* executed anew */
        (void)pthread_once(&hooks, make_hooks);
        if (!registry_is_open())
            (void)registry_open();
    }
    control_opened();
    open_process(name, parent);
    self_here = &main_block;
    atomic_store_explicit(&opened, 2, memory_order_release);
}

void
self_name_process(const char *name, int parent)
{
    set_name(&process_block.record, name);
    process_block.record.service = false;
    main_block.record.parent = parent;
    self_write(&process_block);
    self_write(&main_block);
}

int
weft_set_name(const char *name)
{
    const char *fault = name ? text_name_fault(name) : "the name is NULL";

    if (fault)
        return why_set(WEFT_EINVAL, "weft_set_name: %s", fault);
    self_rename(self_get(), name);
    return 0;
}

const weft_worker *
weft_self(void)
{
    return &self_get()->record;
}

const weft_worker *
weft_process(void)
{
    return self_process();
}
