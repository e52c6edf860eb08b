/* What is on each CPU is noted at once and completed when it leaves, as all
 * that lasts: so a kill loses no more than the last look, 20 ms.
 *
 * The thread keeps away from the allocator and from all locks, so that copies
 * of the process can be made at any moment. */
#include "registry/runs.h"

#include "os/os.h"
#include "registry/control.h"
#include "registry/recorder.h"
#include "registry/room.h"
#include "registry/stock.h"
#include "registry/writer.h"

#include <limits.h>
#include <string.h>

enum {
    PERIOD = 20000000,  /* ns between two looks */
    CLOCKS = 100000000, /* ns between two looks at the clocks */
    CPUS = 1024
};

static struct {
    _Atomic uint32_t here;    /* the thread is, or is about to be */
    _Atomic uint32_t leave;   /* session that it is to end */
    _Atomic uint32_t wake;    /* changes to have it look */
    _Atomic uint32_t ended;   /* counts sessions that are over */
    _Atomic uint32_t session; /* these, and below: under `owner` of the control,
                                 then the thread's */
    int own;                  /* the thread's id */
    int64_t from;
    struct os_switches *switches; /* NULL: not to be had */
    struct writer writer;

    struct {
        int tid;       /* 0 = nobody of ours */
        uint64_t open; /* the record of that; 0 = none */
        int64_t seen;  /* when something happened there; 0 = nothing yet */
    } cpus[CPUS];
} runs;

void
runs_open(uint32_t session)
{
    struct recording_header *header = room_header(session);
    struct os_switches *switches = NULL;
    const int status = os_switches_open(&switches);

    runs.session = session;
    runs.switches = status < 0 ? NULL : switches;
    runs.from = os_now();
    header->runs_from = status < 0 ? 0 : runs.from;
    header->on_cpu =
        status < 0 ? RECORDING_CPU_ESTIMATED : RECORDING_CPU_MEASURED;
}

/* --- one switch */

static union record *
put_run(const struct os_switch *one, int64_t begin, int64_t end, unsigned flags)
{
    union record *record = writer_take(&runs.writer, 1);

    if (!record)
        return NULL;
    record->run.begin = begin;
    record->run.end = end;
    record->run.pid = one->pid;
    writer_put(record, (struct record_head){
                           .type = RECORD_RUN,
                           .flags = (uint8_t)flags,
                           .cpu = (uint16_t)one->cpu,
                           .name = (uint32_t)one->tid,
                       });
    return record;
}

static void
complete(unsigned cpu, int64_t end, unsigned flags)
{
    union record *record =
        runs.cpus[cpu].open ? writer_find(runs.cpus[cpu].open) : NULL;

    runs.cpus[cpu].open = 0;
    runs.cpus[cpu].tid = 0;
    if (!record)
        return;
    if (flags) {
        struct record_head head = record->head;

        head.flags |= (uint8_t)flags;
        writer_put(record, head);
    }
    /* release: the flags come first */
    __atomic_store_n(&record->run.end, end, __ATOMIC_RELEASE);
}

static void
got_cpu(const struct os_switch *one)
{
    complete(one->cpu, one->when, 0); /* what went unseen */
    const union record *record = put_run(one, one->when, 0, 0);

    runs.cpus[one->cpu].tid = one->tid;
    runs.cpus[one->cpu].open = record ? writer_handle(&runs.writer, record) : 0;
}

static void
lost_cpu(const struct os_switch *one)
{
    const unsigned flags = one->preempted ? RECORD_PREEMPTED : 0;
    const int64_t seen = runs.cpus[one->cpu].seen;

    if (runs.cpus[one->cpu].tid == one->tid) {
        complete(one->cpu, one->when, flags);
        return;
    }
    /* It had it when the watch began, or its beginning was lost. */
    const int64_t since = seen > runs.from ? seen : runs.from;

    complete(one->cpu, since, 0);
    (void)put_run(one, one->when < since ? one->when : since, one->when,
                  flags | RECORD_SINCE);
}

static void
note(const struct os_switch *one, void *unused)
{
    (void)unused;
    if (one->cpu >= CPUS)
        return;
    if (one->tid != runs.own) {
        if (one->on)
            got_cpu(one);
        else
            lost_cpu(one);
    }
    runs.cpus[one->cpu].seen = one->when;
}

static void
look(void)
{
    struct recording_header *header = room_header(runs.session);
    const int64_t now = os_now();

    if (!header || !runs.switches)
        return;
    os_switches_read(runs.switches, note, NULL, &header->runs_lost);
    __atomic_store_n(&header->runs_until, now, __ATOMIC_RELEASE);
}

/* --- the thread */

/* Nobody writes any more but who is about to have written. */
static void
clear_word(void)
{
    struct registry_control *at = control();
    uint32_t word = atomic_load(&at->word);

    while (
        (word & ~RECORDER_ASKED) == runs.session &&
        !atomic_compare_exchange_weak(&at->word, &word, word & RECORDER_ASKED))
        ;
}

static void
finish(void)
{
    clear_word();
    look();
    for (unsigned cpu = 0; cpu < CPUS; cpu++)
        complete(cpu, os_now(), 0);
    if (runs.switches)
        os_switches_close(runs.switches);
    runs.switches = NULL;
    room_close();
}

static bool
is_to_end(bool *asked)
{
    if (atomic_load(&runs.leave) == runs.session ||
        (atomic_load(&control()->word) & ~RECORDER_ASKED) != runs.session)
        return true;
    *asked = control_takes_stop();
    return *asked;
}

static void
run(void *unused)
{
    bool asked = false;

    (void)unused;
    os_thread_name("weft-recorder");
    runs.own = os_thread_id();
    runs.writer.kind = RECORDING_KERNEL;
    if (runs.switches)
        (void)writer_begin(&runs.writer, runs.session);
    int64_t clock = os_now() + CLOCKS;

    for (;;) {
        const uint32_t seen = atomic_load(&runs.wake);

        if (is_to_end(&asked))
            break;
        stock_fill(runs.session);
        look();
        if (os_now() >= clock) {
            room_set_clock(room_header(runs.session));
            clock = os_now() + CLOCKS;
        }
        (void)os_futex_wait(&runs.wake, seen, os_now() + PERIOD, false);
    }
    finish();
    atomic_store(&runs.here, 0);
    /* From here on all but `ended` may be the next recording's. */
    atomic_store(&control()->owner, 0);
    atomic_fetch_add(&runs.ended, 1);
    os_futex_wake(&runs.ended, INT_MAX, false);
    if (asked)
        control_answer(0);
}

int
runs_start(void)
{
    const struct os_thread_options options = {.quiet = true};

    memset(runs.cpus, 0, sizeof runs.cpus);
    atomic_store(&runs.leave, 0);
    atomic_store(&runs.here, 1);
    const int status = os_thread_start(run, NULL, &options);

    if (status == 0)
        return 0;
    atomic_store(&runs.here, 0);
    if (runs.switches)
        os_switches_close(runs.switches);
    runs.switches = NULL;
    return status;
}

void
runs_stop(void)
{
    const uint32_t seen = atomic_load(&runs.ended);

    if (!runs_has_thread())
        return;
    atomic_store(&runs.leave, atomic_load(&runs.session));
    runs_wake();
    while (atomic_load(&runs.ended) == seen)
        (void)os_futex_wait(&runs.ended, seen, OS_NEVER, false);
}

void
runs_wake(void)
{
    atomic_fetch_add(&runs.wake, 1);
    os_futex_wake(&runs.wake, 1, false);
}

bool
runs_has_thread(void)
{
    return atomic_load(&runs.here) != 0;
}

void
runs_forked(void)
{
    if (runs.switches)
        os_switches_forked(runs.switches);
    memset(&runs, 0, sizeof runs);
    stock_forked();
}
