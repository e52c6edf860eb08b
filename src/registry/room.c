/* A session's file is mapped whole, at a place that is kept when the session is
 * over: then private memory lies there, so that a thread that was held up in
 * the middle of a record harms nobody. The places are taken in turn.
 *
 * Memory for a chunk is asked for before it is written, in one call that
 * answers an error where a plain store would end the process: the disk is full.
 */
#include "registry/room.h"

#include "base/text.h"
#include "base/why.h"
#include "os/os.h"

#include <weft/runtime.h>
#include <weft/status.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((uint64_t)1 << 20)

enum {
    PLACES = 8,
    LEAST = 1 << 20,         /* bytes, or it is not worth it */
    CALIBRATION = 200 * 1000 /* ns of the first one */
};

struct place {
    char *base;
    size_t size; /* of the mapping */
};

static struct {
    _Atomic uint32_t session; /* release: all of the below is there */
    _Atomic uint32_t chunks;  /* that this process can reach */
    atomic_bool ticks;        /* the clock is the CPU's */
    int fd;                   /* of who made it */
    struct os_file_id id;
    struct place places[PLACES];
} room = {.fd = -1};

static struct place *
place_of(uint32_t session)
{
    return &room.places[session % PLACES];
}

uint32_t
room_session(void)
{
    /* acquire: pairs with release in publish */
    return atomic_load_explicit(&room.session, memory_order_acquire);
}

static char *
base_of(uint32_t session)
{
    return session && session == room_session() ? place_of(session)->base
                                                : NULL;
}

struct recording_header *
room_header(uint32_t session)
{
    return (struct recording_header *)(void *)base_of(session);
}

int
room_fd(void)
{
    return room.fd;
}

uint64_t
room_ticks(void)
{
    return atomic_load_explicit(&room.ticks, memory_order_relaxed)
               ? os_ticks()
               : (uint64_t)os_now();
}

/* --- the two clocks */

static struct recording_point
both_clocks(void)
{
    struct recording_point best = {0, 0};
    uint64_t least = UINT64_MAX;

    /* The reading that took least is the one that was not interrupted. */
    for (int i = 0; i < 5; i++) {
        const uint64_t before = room_ticks();
        const int64_t ns = os_now();
        const uint64_t took = room_ticks() - before;

        if (took < least) {
            least = took;
            best = (struct recording_point){before + took / 2, ns};
        }
    }
    return best;
}

void
room_set_clock(struct recording_header *header)
{
    const uint32_t next = header->latest + 1;

    header->last[next & 1] = both_clocks();
    __atomic_store_n(&header->latest, next, __ATOMIC_RELEASE);
}

/* --- mapping */

static int
map_place(uint32_t session, int fd, size_t size, size_t *mapped)
{
    struct place *place = place_of(session);
    void *base = place->base;
    int status;

    if (base) {
        *mapped = place->size < size ? place->size : size;
        return os_map_over(base, *mapped, fd, OS_READ | OS_WRITE);
    }
    /* Where the address space is limited a part of it must be enough. */
    if (os_space_limit() != OS_NO_LIMIT)
        while (size > LEAST && size > os_space_limit() / 16)
            size /= 2;
    while ((status = os_map(&base, size, fd, OS_READ | OS_WRITE)) == -ENOMEM &&
           size > LEAST)
        size /= 2;
    if (status < 0)
        return status;
    os_keep_out_of_core(base, size);
    *place = (struct place){base, size};
    *mapped = size;
    return 0;
}

static void
publish(const struct recording_header *header, uint32_t session, size_t mapped)
{
    const size_t size = mapped < header->room ? mapped : header->room;

    atomic_store_explicit(&room.chunks, (uint32_t)(size / RECORDING_CHUNK),
                          memory_order_relaxed);
    /* release: pairs with acquire in room_session */
    atomic_store_explicit(&room.session, session, memory_order_release);
}

/* Late writers write to nobody. */
static void
leave(uint32_t session)
{
    struct place *place = place_of(session);

    atomic_store(&room.session, 0);
    (void)os_map_private_at(place->base, place->size);
    os_keep_out_of_core(place->base, place->size);
}

/* --- making */

static int
wanted_size(uint64_t *out)
{
    const uint64_t most = (uint64_t)RECORDING_CHUNK << 24;
    const char *text = secure_getenv("WEFT_TRACE_SIZE");

    *out = os_under_valgrind() ? 64 * MIB : 4096 * MIB;
    if (text && *text && (!text_size(text, most, out) || *out < LEAST))
        return why_set(WEFT_EINVAL,
                       "WEFT_TRACE_SIZE is '%.64s', which is not a size from "
                       "1M to 1048576M",
                       text);
    *out -= *out % RECORDING_CHUNK;
    return 0;
}

bool
room_is_in_use(const char *path)
{
    struct recording_header header;
    const int fd = os_file_open(path);
    const bool read =
        fd >= 0 && os_file_get(fd, 0, &header, sizeof header) == 0;

    if (fd >= 0)
        os_close(fd);
    return read && header.magic == RECORDING_MAGIC &&
           header.state == RECORDING_RUNS && header.pid > 0 &&
           header.pid != os_process_id() && os_process_lives(header.pid);
}

static int
make_file(const char *path, bool anew, uint64_t *size)
{
    int fd = wanted_size(size);

    if (fd < 0)
        return fd;
    if (room_is_in_use(path))
        return why_set(WEFT_EBUSY, "another program records into '%s'", path);
    do
        fd = anew ? os_file_make_new(path, *size) : os_file_make(path, *size);
    while (fd == -EFBIG && (*size /= 2) >= LEAST);
    if (fd == -EEXIST)
        return why_set(WEFT_EINVAL,
                       anew ? "'%s' is there already" : "'%s' is no plain file",
                       path);
    return fd < 0 ? why_system(fd, path) : fd;
}

static void
write_header(struct recording_header *header, uint32_t session, uint64_t size)
{
    header->version = RECORDING_VERSION;
    header->byte_order = RECORDING_BYTE_ORDER;
    header->header_size = RECORDING_HEADER;
    header->chunk_size = RECORDING_CHUNK;
    header->chunk_head = RECORDING_CHUNK_HEAD;
    header->record_size = RECORDING_RECORD;
    header->session = session;
    header->pid = os_process_id();
    header->cpus = weft_cpu_count();
    header->cpus_of_system = os_cpu_most();
    header->state = RECORDING_RUNS;
    header->room = size;
    header->claimed = 1;
    header->clock =
        atomic_load(&room.ticks) ? RECORDING_TSC : RECORDING_MONOTONIC;
    (void)os_command(header->command, RECORDING_COMMAND - 2);
    header->first = both_clocks();
}

void
room_begins(uint32_t session)
{
    struct recording_header *header = room_header(session);

    /* Two readings that lie close together would say little. */
    if (header->clock == RECORDING_TSC)
        while (os_now() < header->first.ns + CALIBRATION)
            os_pause();
    room_set_clock(header);
    header->wall_start = os_wall();
    header->start = os_now();
}

static int
open_file(int fd, uint32_t session, uint64_t size)
{
    size_t mapped = 0;
    int status = os_file_identity(fd, &room.id);

    if (status == 0)
        status = map_place(session, fd, size, &mapped);
    if (status < 0)
        return why_system(status, "cannot map the recording");
    struct recording_header *header = (void *)place_of(session)->base;

    status = os_fill_shared(header, RECORDING_CHUNK);
    if (status < 0) {
        leave(session);
        return why_system(-ENOSPC, "cannot write the recording");
    }
    atomic_store(&room.ticks, os_has_ticks());
    write_header(header, session, size);
    room.fd = fd;
    publish(header, session, mapped);
    return 0;
}

int
room_make(const char *path, bool anew, uint32_t session)
{
    uint64_t size;
    const int fd = make_file(path, anew, &size);

    if (fd < 0)
        return fd;
    const int status = open_file(fd, session, size);

    if (status < 0)
        os_close(fd);
    return status;
}

/* --- finding */

static bool
is_right(const struct recording_header *header, uint32_t session)
{
    /* acquire: the rest of the header */
    return __atomic_load_n(&header->magic, __ATOMIC_ACQUIRE) ==
               RECORDING_MAGIC &&
           header->version == RECORDING_VERSION && header->session == session;
}

static int
join_file(int fd, uint32_t session)
{
    const int64_t size = os_file_size(fd);
    size_t mapped = 0;

    if (size < LEAST)
        return WEFT_EMISMATCH;
    const int status = map_place(session, fd, (size_t)size, &mapped);

    if (status < 0)
        return status;
    const struct recording_header *header = (void *)place_of(session)->base;

    if (!is_right(header, session)) {
        leave(session);
        return WEFT_EMISMATCH;
    }
    atomic_store(&room.ticks, header->clock == RECORDING_TSC);
    publish(header, session, mapped);
    return 0;
}

int
room_join(const char *path, uint32_t session)
{
    const int fd = os_file_open(path);

    if (fd < 0)
        return fd;
    if (room_session())
        leave(room_session());
    const int status = join_file(fd, session);

    os_close(fd);
    return status;
}

/* --- the end */

/* The program may have closed the descriptor, and opened another file. */
static bool
is_still_ours(void)
{
    struct os_file_id id;

    return room.fd >= 0 && os_file_identity(room.fd, &id) == 0 &&
           id.device == room.id.device && id.number == room.id.number;
}

void
room_close(void)
{
    const uint32_t session = room_session();
    struct recording_header *header = room_header(session);

    if (!header)
        return;
    room_set_clock(header);
    header->stop = os_now();
    header->wall_stop = os_wall();
    /* Sequentially consistent, as in room_claim: who claims after this sees it,
     * and who did before is counted. */
    __atomic_store_n(&header->state, RECORDING_STOPPED, __ATOMIC_SEQ_CST);
    const uint64_t used =
        (uint64_t)__atomic_load_n(&header->claimed, __ATOMIC_SEQ_CST) *
        RECORDING_CHUNK;
    const uint64_t size = used < header->room ? used : header->room;

    leave(session);
    if (is_still_ours()) {
        (void)os_file_cut(room.fd, size);
        os_close(room.fd);
    }
    room.fd = -1;
}

/* A worker's mapping is as good as the program's; a copy that goes its own way
 * must not write there. */
void
room_forked(bool ours)
{
    if (room.fd >= 0 && is_still_ours())
        os_close(room.fd);
    room.fd = -1;
    if (ours)
        return;
    atomic_store(&room.session, 0);
    for (int i = 0; i < PLACES; i++)
        if (room.places[i].base)
            os_unmap(room.places[i].base, room.places[i].size);
    memset(room.places, 0, sizeof room.places);
}

/* --- chunks */

static void
set_full(struct recording_header *header, uint32_t reason)
{
    uint32_t none = 0;

    (void)__atomic_compare_exchange_n(&header->full, &none, reason, false,
                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

uint32_t
room_claim(uint32_t session)
{
    struct recording_header *header = room_header(session);
    const uint32_t chunks = atomic_load(&room.chunks);

    if (!header || __atomic_load_n(&header->full, __ATOMIC_RELAXED))
        return 0;
    if (__atomic_load_n(&header->claimed, __ATOMIC_RELAXED) >= chunks) {
        /* Others may have mapped more of it. */
        if (chunks == header->room / RECORDING_CHUNK)
            set_full(header, EFBIG);
        return 0;
    }
    const uint32_t number =
        __atomic_fetch_add(&header->claimed, 1, __ATOMIC_SEQ_CST);

    if (number >= chunks ||
        __atomic_load_n(&header->state, __ATOMIC_SEQ_CST) != RECORDING_RUNS)
        return 0;
    return number;
}

struct recording_chunk *
room_chunk(uint32_t session, uint32_t number)
{
    char *base = base_of(session);

    return base ? (struct recording_chunk *)(void *)(base + (size_t)number *
                                                                RECORDING_CHUNK)
                : NULL;
}

union record *
room_record(uint32_t session, uint64_t number)
{
    char *base = base_of(session);
    const uint64_t chunks =
        atomic_load_explicit(&room.chunks, memory_order_relaxed);

    if (!base || number >= chunks * (RECORDING_CHUNK / RECORDING_RECORD))
        return NULL;
    /* Only who made the file leaves it at the stop. */
    if (__atomic_load_n(&room_header(session)->state, __ATOMIC_RELAXED) !=
        RECORDING_RUNS)
        return NULL;
    return (union record *)(void *)(base + number * RECORDING_RECORD);
}

bool
room_fill(uint32_t session, void *at, size_t size)
{
    struct recording_header *header = room_header(session);

    if (!header || __atomic_load_n(&header->full, __ATOMIC_RELAXED) == ENOSPC)
        return false;
    if (os_fill_shared(at, size) == 0)
        return true;
    set_full(header, ENOSPC);
    return false;
}

void
room_lost(uint32_t session, uint64_t records)
{
    struct recording_header *header = room_header(session);

    if (header)
        __atomic_fetch_add(&header->lost, records, __ATOMIC_RELAXED);
}
