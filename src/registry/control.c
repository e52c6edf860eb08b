/* One recording at a time for the whole program. Who begins it puts its number
 * into `owner`, makes the file, and last sets the word, by which all others
 * find it; the owner's recorder thread ends it, when it is told to or sees that
 * the word is another. An owner that died ends nothing: the next one takes
 * over. */
#include "registry/control.h"

#include "base/why.h"
#include "os/os.h"
#include "registry/recorder.h"
#include "registry/registry.h"
#include "registry/room.h"
#include "registry/runs.h"

#include <weft/status.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SESSIONS = 254 /* see RECORDER_NEVER */
};

static struct registry_control alone; /* without a registry */
_Atomic(_Atomic uint32_t *) recorder_word = &alone.word;

static atomic_flag joining = ATOMIC_FLAG_INIT;
static _Atomic uint32_t refused; /* session that could not be joined */

struct registry_control *
control(void)
{
    struct registry_header *header = registry_header_of();

    return header ? &header->control : &alone;
}

void
control_opened(void)
{
    atomic_store(&recorder_word, &control()->word);
}

/* --- beginning */

static bool
take(struct registry_control *at)
{
    int32_t owner = 0;

    if (atomic_compare_exchange_strong(&at->owner, &owner, os_process_id()))
        return true;
    return !os_process_lives(owner) &&
           atomic_compare_exchange_strong(&at->owner, &owner, os_process_id());
}

static void
set_session(struct registry_control *at, uint32_t session)
{
    uint32_t word = atomic_load(&at->word);

    while (!atomic_compare_exchange_weak(&at->word, &word,
                                         (word & RECORDER_ASKED) | session))
        ;
}

/* The file is whole when the program exits; not in a copy of it. */
static void
at_exit(void)
{
    if (atomic_load(&control()->owner) == os_process_id())
        control_stop();
}

static int
begin(struct registry_control *at, const char *path, bool anew)
{
    static atomic_flag hooked = ATOMIC_FLAG_INIT;
    const uint32_t session = atomic_load(&at->last) % SESSIONS + 1;
    int status = room_make(path, anew, session);

    if (status < 0)
        return status;
    runs_open(session);
    room_begins(session);
    /* release: the header is complete */
    __atomic_store_n(&room_header(session)->magic, RECORDING_MAGIC,
                     __ATOMIC_RELEASE);
    atomic_store(&at->fd, room_fd());
    atomic_store(&at->last, session);
    if (!atomic_flag_test_and_set(&hooked))
        (void)atexit(at_exit);
    set_session(at, session);
    status = runs_start();
    if (status < 0) {
        set_session(at, 0);
        room_close();
        return why_system(status, "cannot start the recorder");
    }
    return 0;
}

int
control_start(const char *path, bool anew)
{
    struct registry_control *at = control();

    if (!take(at))
        return why_set(WEFT_EBUSY, "the program is being recorded already");
    const int status = begin(at, path, anew);

    if (status < 0)
        atomic_store(&at->owner, 0);
    return status;
}

void
recorder_open(void)
{
    static atomic_flag done = ATOMIC_FLAG_INIT; /* copies do not begin again */
    const char *path = secure_getenv("WEFT_TRACE");
    const char *quiet = secure_getenv("WEFT_QUIET");

    if (atomic_flag_test_and_set(&done) || !path || !*path ||
        secure_getenv("WEFT_WORKER"))
        return;
    if (control_start(path, false) < 0 && (!quiet || !*quiet))
        fprintf(stderr, "weft: nothing is recorded: %s\n", weft_why());
}

/* --- ending */

void
control_stop(void)
{
    struct registry_control *at = control();
    const int32_t owner = atomic_load(&at->owner);

    if (owner == os_process_id())
        runs_stop();
    else if (owner)
        set_session(at, 0); /* it looks every few milliseconds */
}

/* --- taking part */

static uint32_t
join(struct registry_control *at, uint32_t session)
{
    char path[64];

    if (room_session() == session)
        return session;
    if (atomic_load(&refused) == session)
        return 0;
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", atomic_load(&at->owner),
                   atomic_load(&at->fd));
    if (room_join(path, session) == 0)
        return session;
    atomic_store(&refused, session);
    return 0;
}

uint32_t
control_join(void)
{
    struct registry_control *at = control();
    uint32_t session = atomic_load(&at->word) & ~RECORDER_ASKED;

    if (session == 0 || session == room_session())
        return session;
    while (atomic_flag_test_and_set_explicit(&joining, memory_order_acquire))
        os_pause();
    session = join(at, session);
    atomic_flag_clear_explicit(&joining, memory_order_release);
    return session;
}

/* --- asked from outside */

static bool
was_asked(struct registry_control *at, uint32_t what)
{
    return atomic_load(&at->word) & RECORDER_ASKED &&
           atomic_compare_exchange_strong(&at->request, &what, REGISTRY_TAKEN);
}

void
control_answer(int status)
{
    struct registry_control *at = control();

    atomic_store(&at->answer, status);
    atomic_fetch_and(&at->word, ~RECORDER_ASKED);
    atomic_store(&at->request, REGISTRY_ANSWERED);
    os_futex_wake(&at->request, INT_MAX, true);
}

/* By the program itself, not by one of its workers, who end sooner. A worker
 * could ask, too, and may be in a sandbox: no file that is there is touched. */
void
control_answer_start(void)
{
    _Atomic uint32_t *word = atomic_load(&recorder_word);
    struct registry_header *header;
    char path[REGISTRY_PATH];

    if (!(atomic_load_explicit(word, memory_order_relaxed) & RECORDER_ASKED))
        return;
    header = registry_header_of();
    if (!header || header->root != os_process_id() ||
        !was_asked(&header->control, REGISTRY_START))
        return;
    memcpy(path, header->control.path, sizeof path);
    path[sizeof path - 1] = '\0';
    control_answer(control_start(path, true));
}

bool
control_takes_stop(void)
{
    return was_asked(control(), REGISTRY_STOP);
}

void
control_forked(bool ours)
{
    atomic_flag_clear(&joining);
    if (ours)
        return;
    memset(&alone, 0, sizeof alone);
    atomic_store(&recorder_word, &alone.word);
}

/* --- copies */

void
recorder_forked(bool ours)
{
    runs_forked();
    room_forked(ours);
    control_forked(ours);
}
