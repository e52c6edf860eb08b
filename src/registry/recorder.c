#include "registry/recorder.h"

#include "os/os.h"
#include "registry/control.h"
#include "registry/label.h"
#include "registry/runs.h"
#include "registry/writer.h"

#include <limits.h>
#include <stdlib.h>

/* What waits are called in the file is what they are called in the slots. */
_Static_assert((int)RECORD_WAIT_SLEEP == (int)SLOT_WAIT_SLEEP &&
                   (int)RECORD_WAIT_WORK == (int)SLOT_WAIT_WORK &&
                   (int)RECORD_WAIT_MUTEX == (int)SLOT_WAIT_MUTEX &&
                   (int)RECORD_WAIT_WRITE == (int)SLOT_WAIT_WRITE &&
                   (int)RECORD_WAIT_DONE == (int)SLOT_WAIT_DONE &&
                   (int)RECORD_WAIT_KINDS == (int)SLOT_WAIT_KINDS,
               "the same numbers");

/* --- the calling thread's writer */

static uint32_t
session_now(void)
{
    _Atomic uint32_t *word =
        atomic_load_explicit(&recorder_word, memory_order_relaxed);

    return atomic_load_explicit(word, memory_order_relaxed) & ~RECORDER_ASKED;
}

static struct writer *
new_writer(struct self *self)
{
    struct writer *writer = calloc(1, sizeof *writer);

    if (!writer)
        return NULL;
    writer->kind = RECORDING_WORKER;
    writer->who = &self->record;
    writer->process = self_process();
    self->writer = writer;
    return writer;
}

/* The thread's first record of a session. */
static struct writer *
enter_slow(struct self *self)
{
    if (self_is_shared(self))
        return NULL;
    const uint32_t session = control_join();
    struct writer *writer = self->writer ? self->writer : new_writer(self);

    if (!writer || session == 0)
        return NULL;
    if (writer->session == session || writer_begin(writer, session))
        return writer;
    return NULL;
}

static struct writer *
writer_of(struct self *self)
{
    struct writer *writer = self->writer;

    /* 0 in no session: a writer that never began is of none. */
    if (__builtin_expect(writer && writer->session == session_now() &&
                             writer->session != 0,
                         1))
        return writer;
    return session_now() ? enter_slow(self) : NULL;
}

static struct writer *
enter(void)
{
    return writer_of(self_get());
}

void
recorder_look(void)
{
    if (recorder_is_on())
        (void)enter();
}

void
recorder_thread_ends(struct self *self)
{
    free(self->writer);
    self->writer = NULL;
}

int
recorder_has_thread(void)
{
    return runs_has_thread();
}

/* --- tasks */

static uint16_t
cpu_here(void)
{
    const unsigned cpu = os_cpu_here();

    return cpu < RECORD_NO_CPU ? (uint16_t)cpu : RECORD_NO_CPU;
}

static void
give_id(struct writer *writer, struct recorded *task, uint64_t parent)
{
    atomic_store_explicit(
        &task->id, record_id(writer->session, writer->first, ++writer->count),
        memory_order_relaxed);
    task->parent = parent;
    task->spawned = parent ? room_ticks() : 0;
}

static bool
is_of(const struct recorded *task, uint32_t session)
{
    return writer_session_of(record_id_of(task)) == session;
}

void
recorder_submit(struct recorded *task)
{
    control_answer_start();
    struct writer *writer = enter();

    if (writer)
        give_id(writer, task, writer->task);
}

void
recorder_steal(struct recorded *task, uint64_t parent)
{
    struct writer *writer = enter();

    if (writer)
        give_id(writer, task, parent);
}

uint64_t
recorder_task(void)
{
    const struct writer *writer = recorder_is_on() ? enter() : NULL;

    return writer ? writer->task : 0;
}

void
recorder_make_ready(struct recorded *task)
{
    if (record_id_of(task) && is_of(task, session_now()))
        task->ready = room_ticks();
}

static void
put_after(struct writer *writer, const struct recorded *task)
{
    union record *record = writer_take(writer, 1);

    if (!record)
        return;
    record->after.task = record_id_of(task);
    record->after.on = task->after;
    record->after.when = task->ready ? task->ready : task->spawned;
    writer_put(record, (struct record_head){.type = RECORD_AFTER,
                                            .cpu = RECORD_NO_CPU});
}

/* Task and spawn lie side by side. */
static union record *
put_task(struct writer *writer, const struct recorded *task, uint64_t begin,
         struct record_head head)
{
    const bool known = task->spawned != 0;
    union record *record = writer_take(writer, known ? 2 : 1);

    if (!record)
        return NULL;
    if (known) {
        record[1].spawn.parent = task->parent;
        record[1].spawn.spawned = task->spawned;
        record[1].spawn.ready = task->ready ? task->ready : task->spawned;
        writer_put(&record[1], (struct record_head){.type = RECORD_SPAWN,
                                                    .cpu = RECORD_NO_CPU});
    }
    record->task.id = record_id_of(task);
    record->task.begin = begin;
    writer_put(record, head);
    return record;
}

void
recorder_begin(struct recorded *task, enum record_task_flags kind,
               const char *name)
{
    control_answer_start();
    struct writer *writer = enter();

    if (!writer || record_id_of(task) == RECORDER_NEVER)
        return;
    if (!is_of(task, writer->session))
        give_id(writer, task, 0);
    const uint32_t called = writer_name(writer, name);
    union record *record = put_task(writer, task, room_ticks(),
                                    (struct record_head){
                                        .type = RECORD_TASK,
                                        .flags = (uint8_t)kind,
                                        .cpu = cpu_here(),
                                        .name = called,
                                    });

    task->open = record ? writer_handle(writer, record) : 0;
    task->outer = writer->task;
    writer->task = record_id_of(task);
    if (writer_session_of(task->after) == writer->session)
        put_after(writer, task);
}

void
recorder_end(struct recorded *task, bool failed)
{
    struct writer *writer = self_get()->writer;
    union record *record = writer_find(task->open);

    task->open = 0;
    if (!writer || !record || !is_of(task, writer->session))
        return;
    writer->task = task->outer;
    if (failed) {
        struct record_head head = record->head;

        head.flags |= RECORD_FAILED;
        writer_put(record, head);
    }
    /* release: a reader that sees the end sees how it ended */
    __atomic_store_n(&record->task.end, room_ticks(), __ATOMIC_RELEASE);
}

void
recorder_retract(struct recorded *task)
{
    struct writer *writer = self_get()->writer;
    union record *record = writer_find(task->open);

    task->open = 0;
    if (!writer || !record || !is_of(task, writer->session))
        return;
    writer->task = task->outer;
    writer_put(record, (struct record_head){.type = RECORD_NONE});
    if (task->spawned)
        writer_put(record + 1, (struct record_head){.type = RECORD_NONE});
}

void
recorder_on_cpu(const struct recorded *task, int64_t on_cpu, int64_t wall)
{
    struct writer *writer = enter();
    union record *record =
        writer && is_of(task, writer->session) ? writer_take(writer, 1) : NULL;

    if (!record)
        return;
    record->on_cpu.task = record_id_of(task);
    record->on_cpu.on_cpu = (uint64_t)on_cpu;
    record->on_cpu.wall = (uint64_t)wall;
    writer_put(record,
               (struct record_head){.type = RECORD_CPU, .cpu = RECORD_NO_CPU});
}

void
record_died(const struct recorded *task, bool failed)
{
    if (!recorder_is_on() || record_id_of(task) == 0)
        return;
    struct writer *writer = enter();
    union record *record =
        writer && is_of(task, writer->session) ? writer_take(writer, 1) : NULL;

    if (!record)
        return;
    record->died.task = record_id_of(task);
    record->died.when = room_ticks();
    writer_put(record, (struct record_head){
                           .type = RECORD_DIED,
                           .flags = failed ? RECORD_FAILED : 0,
                           .cpu = RECORD_NO_CPU,
                       });
}

void
recorder_join(uint64_t id)
{
    struct writer *writer = recorder_is_on() ? enter() : NULL;
    union record *record = writer && writer_session_of(id) == writer->session
                               ? writer_take(writer, 1)
                               : NULL;

    if (!record)
        return;
    record->join.joiner = writer->task;
    record->join.joined = id;
    record->join.when = room_ticks();
    writer_put(record,
               (struct record_head){.type = RECORD_JOIN, .cpu = RECORD_NO_CPU});
}

/* --- waits */

void
record_wait(struct self *self, unsigned kind, const void *object,
            unsigned holder)
{
    struct writer *writer =
        recorder_is_on() && !self->record.service ? writer_of(self) : NULL;
    char label[TEXT_NAME];

    if (!writer)
        return;
    const uint32_t name =
        label_find(object, label) ? writer_name(writer, label) : 0;
    union record *record = writer_take(writer, 1);

    writer->wait = 0;
    if (!record)
        return;
    record->wait.begin = room_ticks();
    record->wait.object = (uintptr_t)object;
    writer_put(record, (struct record_head){
                           .type = RECORD_WAIT,
                           .flags = (uint8_t)kind,
                           .cpu = (uint16_t)holder,
                           .name = name,
                       });
    writer->wait = writer_handle(writer, record);
}

void
record_wait_over(struct self *self)
{
    struct writer *writer = self->writer;

    if (!writer || writer->wait == 0)
        return;
    union record *record = writer_find(writer->wait);

    writer->wait = 0;
    if (record)
        __atomic_store_n(&record->wait.end, room_ticks(), __ATOMIC_RELEASE);
}
