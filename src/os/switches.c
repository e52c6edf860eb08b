/* Context switches from perf_event_open: a dummy event that counts nothing, and
 * records of each switch of its thread, which the kernel gives to any user. Of
 * the last one there is none, since a thread loses its events before: the
 * record of its exit takes the place.
 *
 * An event is of one thread on one CPU and is inherited by what the thread
 * starts. All of one CPU write into one ring, that of the first: inherited ones
 * can be read in no other way. See perf_event_open(2). */
#include "os/high.h"
#include "os/os.h"

#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    FIRST_PAGES = 64, /* of a ring; fewer where the user may not lock these */
    MOST_EVENTS = 1024
};

struct ring {
    char *memory; /* a page of the kernel's, then the records; NULL = none */
    size_t size;  /* of the records */
    int first;    /* the event that the ring is of */
};

struct os_switches {
    size_t size; /* of this */
    unsigned cpus;
    unsigned count;
    int events[MOST_EVENTS];
    struct ring rings[];
};

/* As the kernel writes it: the head, then what sample_type asks for. */
struct record {
    struct perf_event_header head;
    uint32_t pid, tid;
    uint64_t time;
    uint32_t cpu, unused;
};

struct record_exit {
    struct perf_event_header head;
    uint32_t pid, parent_pid, tid, parent_tid;
    uint64_t time;
    uint64_t sample[2]; /* the same again */
    uint32_t cpu, unused;
};

struct record_lost {
    struct perf_event_header head;
    uint64_t id, lost;
};

static int
open_event(int tid, unsigned cpu)
{
    struct perf_event_attr attributes = {
        .type = PERF_TYPE_SOFTWARE,
        .size = sizeof attributes,
        .config = PERF_COUNT_SW_DUMMY,
        .sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU,
        .sample_id_all = 1,
        .context_switch = 1,
        .task = 1,
        .inherit = 1,
        .exclude_kernel = 1,
        .exclude_hv = 1,
        .use_clockid = 1,
        .clockid = CLOCK_MONOTONIC,
    };

    return high_fd((int)syscall(SYS_perf_event_open, &attributes, tid, (int)cpu,
                                -1, PERF_FLAG_FD_CLOEXEC));
}

static int
map_ring(struct ring *ring, int event)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);

    for (size_t pages = FIRST_PAGES; pages; pages /= 2) {
        void *at = mmap(NULL, (pages + 1) * page, PROT_READ | PROT_WRITE,
                        MAP_SHARED, event, 0);

        if (at == MAP_FAILED)
            continue;
        *ring = (struct ring){at, pages * page, event};
        return 0;
    }
    return -errno;
}

static int
add_event(struct os_switches *all, int tid, unsigned cpu)
{
    struct ring *ring = &all->rings[cpu];

    if (all->count == MOST_EVENTS)
        return -EMFILE;
    const int event = open_event(tid, cpu);

    if (event < 0)
        return event;
    all->events[all->count++] = event;
    if (!ring->memory)
        return map_ring(ring, event);
    return ioctl(event, PERF_EVENT_IOC_SET_OUTPUT, ring->first) < 0 ? -errno
                                                                    : 0;
}

/* A thread that has gone, and a CPU that is off, are no failure. */
static int
add_thread(struct os_switches *all, int tid)
{
    for (unsigned cpu = 0; cpu < all->cpus; cpu++) {
        const int status = add_event(all, tid, cpu);

        if (status < 0 && status != -ESRCH && status != -ENODEV)
            return status;
    }
    return 0;
}

/* The processes that a thread has started: /proc/PID/task/TID/children. */
static int add_process(struct os_switches *all, int pid, unsigned depth);

static int
add_children(struct os_switches *all, int pid, int tid, unsigned depth)
{
    char path[64], word[16];
    int status = 0;

    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, tid);
    FILE *list = fopen(path, "re");

    while (list && status == 0 && fscanf(list, "%15s", word) == 1)
        status = add_process(all, (int)strtol(word, NULL, 10), depth + 1);
    if (list)
        fclose(list);
    return status == -EACCES || status == -EPERM ? 0 : status; /* not ours */
}

static int
add_process(struct os_switches *all, int pid, unsigned depth)
{
    enum {
        DEEPEST = 8
    };

    char path[32];
    int status = 0;

    (void)snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *threads = depth < DEEPEST ? opendir(path) : NULL;

    if (!threads)
        return 0;
    const struct dirent *one;

    while (status == 0 &&
           (one = readdir(threads))) { /* NOLINT: nobody else reads it */
        const int tid = (int)strtol(one->d_name, NULL, 10);

        if (tid <= 0)
            continue;
        status = add_thread(all, tid);
        if (status == 0)
            status = add_children(all, pid, tid, depth);
    }
    closedir(threads);
    return status;
}

int
os_switches_open(struct os_switches **out)
{
    const unsigned cpus = os_cpu_most();
    const size_t size = sizeof(struct os_switches) + cpus * sizeof(struct ring);
    void *memory;
    /* Not from the allocator: it is given back by threads, and in copies of
     * the process, that must keep away from it. */
    int status = os_map(&memory, size, -1, OS_READ | OS_WRITE);

    if (status < 0)
        return status;
    struct os_switches *all = memory;

    all->size = size;
    all->cpus = cpus;
    status = add_process(all, getpid(), 0);

    if (status < 0) {
        os_switches_close(all);
        return status;
    }
    *out = all;
    return 0;
}

void
os_switches_close(struct os_switches *all)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);

    for (unsigned i = 0; i < all->cpus; i++)
        if (all->rings[i].memory)
            munmap(all->rings[i].memory, all->rings[i].size + page);
    os_switches_forked(all);
}

/* The rings are not copied. */
void
os_switches_forked(struct os_switches *all)
{
    for (unsigned i = 0; i < all->count; i++)
        close(all->events[i]);
    os_unmap(all, all->size);
}

/* Copies what may go round the end of the ring. */
static void
copy_out(const struct ring *ring, uint64_t at, void *out, size_t size)
{
    const char *records = ring->memory + sysconf(_SC_PAGESIZE);
    const size_t begin = at & (ring->size - 1);
    const size_t whole = ring->size - begin < size ? ring->size - begin : size;

    memcpy(out, records + begin, whole);
    memcpy((char *)out + whole, records, size - whole);
}

static struct os_switch
read_switch(const struct ring *ring, uint64_t at)
{
    struct record record;

    copy_out(ring, at, &record, sizeof record);
    const uint16_t misc = record.head.misc;

    return (struct os_switch){
        .when = (int64_t)record.time,
        .pid = (int32_t)record.pid,
        .tid = (int32_t)record.tid,
        .cpu = record.cpu,
        .on = !(misc & PERF_RECORD_MISC_SWITCH_OUT),
        .preempted = misc & PERF_RECORD_MISC_SWITCH_OUT_PREEMPT,
    };
}

static struct os_switch
read_exit(const struct ring *ring, uint64_t at)
{
    struct record_exit record;

    copy_out(ring, at, &record, sizeof record);
    return (struct os_switch){
        .when = (int64_t)record.time,
        .pid = (int32_t)record.pid,
        .tid = (int32_t)record.tid,
        .cpu = record.cpu,
    };
}

static uint64_t
read_lost(const struct ring *ring, uint64_t at)
{
    struct record_lost record;

    copy_out(ring, at, &record, sizeof record);
    return record.lost;
}

static void
read_ring(struct ring *ring,
          void (*each)(const struct os_switch *one, void *context),
          void *context, uint64_t *lost)
{
    struct perf_event_mmap_page *page = (void *)ring->memory;
    /* acquire, release: the kernel's barriers, as its header describes them */
    const uint64_t end = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);
    uint64_t at = page->data_tail;

    while (at < end) {
        struct perf_event_header head;
        struct os_switch one;

        copy_out(ring, at, &head, sizeof head);
        if (head.type == PERF_RECORD_SWITCH &&
            head.size >= sizeof(struct record)) {
            one = read_switch(ring, at);
            each(&one, context);
        } else if (head.type == PERF_RECORD_EXIT &&
                   head.size >= sizeof(struct record_exit)) {
            one = read_exit(ring, at);
            each(&one, context);
        } else if (head.type == PERF_RECORD_LOST &&
                   head.size >= sizeof(struct record_lost)) {
            *lost += read_lost(ring, at);
        }
        if (head.size == 0)
            break;
        at += head.size;
    }
    __atomic_store_n(&page->data_tail, at, __ATOMIC_RELEASE);
}

void
os_switches_read(struct os_switches *all,
                 void (*each)(const struct os_switch *one, void *context),
                 void *context, uint64_t *lost)
{
    for (unsigned i = 0; i < all->cpus; i++)
        if (all->rings[i].memory)
            read_ring(&all->rings[i], each, context, lost);
}
