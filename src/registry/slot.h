/* The layout of the registry: what a reader in any process finds in the file.
 *
 * The file `weft-registry` is sparse, sealed in size, mapped read-only by every
 * process of the program but for the pages whose slots it owns. That guards
 * against accidents, not against a hostile process of the same user.
 *
 *   page 0          header, written by all
 *   page 1          who owns which block of slots, written by all
 *   page 2k         slot k, 1 <= k < slots; written by its owner
 *   page 2k + 1     a hole; the owner of slot k maps a private page over it
 *                   when the slot gets a certificate: the word is in the last
 *                   32 bytes of page 2k, its list node begins page 2k + 1
 *   then            who owns which page of labels, then the labels
 *
 * A process claims slots in blocks of 64 (128 pages, mapped writable as one).
 *
 * All words are atomic, since others read while the owner writes. `identity` is
 * under a sequence lock: odd while it is written, and it may stay odd for ever
 * if the writer was killed, so readers bound their retries. */
#ifndef REGISTRY_SLOT_H
#define REGISTRY_SLOT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SLOT_BLOCK = 64,    /* slots a block */
    SLOT_BLOCKS = 1024, /* at most */
    SLOT_MOST = SLOT_BLOCK * SLOT_BLOCKS,
    SLOT_HELD = 64,
    SLOT_STACK = 16,
    LABEL_MOST = 65536,
    LABEL_SIZE = 512, /* bytes apart */
    LABEL_PAGE = 8,   /* labels a page */
    LABEL_PAGES = LABEL_MOST / LABEL_PAGE,
    REGISTRY_OBITUARIES = 8,
    REGISTRY_VERSION = 1
};

#define REGISTRY_MAGIC UINT64_C(0x7466657765726567) /* "geweft", reversed */

/* Of a thread that ended holding something. Torn ones do no harm: the text is
 * for people. */
struct registry_obituary {
    _Atomic uint32_t owner; /* 0 while it is written */
    _Atomic uint32_t unused;
    _Atomic uint64_t text[32];
};

/* Of the recording of what the program does; see recorder.h. How one is asked
 * for from outside, by who may write this file: control.c.
 *
 *   word     session of the recording, 0 = none, and RECORDER_ASKED
 *   request  see enum registry_request
 */
enum registry_request {
    REGISTRY_NO_REQUEST, /* -> WRITING, by who asks, compare-and-swap */
    REGISTRY_WRITING,    /* `path`; -> START or STOP */
    REGISTRY_START,      /* -> TAKEN, by the program, compare-and-swap; or back
                            to WRITING, the same, by who has asked, who then
                            takes RECORDER_ASKED away: -> NO_REQUEST */
    REGISTRY_STOP,
    REGISTRY_TAKEN,   /* -> ANSWERED, by the program */
    REGISTRY_ANSWERED /* `answer` counts; -> NO_REQUEST, by who has asked */
};

enum {
    REGISTRY_PATH = 456
};

struct registry_control {
    _Atomic uint32_t word;
    _Atomic uint32_t request;
    _Atomic int32_t answer; /* a status */
    _Atomic int32_t owner;  /* process that records; 0 = none */
    _Atomic int32_t fd;     /* there, of the file */
    _Atomic uint32_t last;  /* session that there was */
    _Atomic uint64_t unused[4];
    char path[REGISTRY_PATH]; /* absolute, with its end; by who asks */
};

struct registry_header {
    uint64_t magic;
    uint32_t version;
    uint32_t slots;     /* that this file has room for, slot 0 included */
    uint32_t slot_size; /* bytes from one slot to the next */
    uint32_t label_size;
    uint64_t labels_at; /* offset of the label owners */
    int32_t root;       /* pid of the program */
    uint32_t unused;
    int64_t made; /* monotonic */
    _Atomic uint32_t unused_too;
    _Atomic uint32_t claims; /* of slots, ever */
    _Atomic uint32_t buried; /* obituaries, ever */
    /* Of each block: below it lie all slots that were ever claimed; and whether
     * a thread in it has used an object of several processes (SLOT_SHARES).
     * Slots are read only where they can matter: it gives them memory. */
    _Atomic uint8_t used[SLOT_BLOCKS];
    struct registry_obituary obituaries[REGISTRY_OBITUARIES]; /* a ring */
    _Alignas(512) struct registry_control control;
};

enum slot_flags {
    SLOT_KIND = 0x0f, /* weft_kind */
    SLOT_MAIN = 0x10,
    SLOT_ADOPTED = 0x20,
    SLOT_DAEMON = 0x40,
    SLOT_SERVICE = 0x80,
    SLOT_USED = 0x100 /* else the slot is empty */
};

struct slot_identity {
    _Atomic uint32_t sequence;
    _Atomic uint32_t flags;
    _Atomic int32_t pid;
    _Atomic int32_t tid;    /* 0: not running yet */
    _Atomic int32_t parent; /* tid */
    _Atomic uint32_t parent_pid;
    _Atomic int64_t started;
    _Atomic uint64_t name[32];
    _Atomic uint64_t task[8];
};

/* One writer each, read singly: nothing here must fit together but what the
 * wait sequence ties. */
struct slot_hot {
    _Atomic uint32_t state;    /* weft_state */
    _Atomic uint32_t sequence; /* counts waits, so that a passing wait is told
                                  from a lasting one */
    _Atomic int64_t since;
    _Atomic int64_t until;
    _Atomic uint64_t object; /* what is waited for: an address or a tid */
    _Atomic uint32_t kind;   /* of wait: enum slot_wait */
    _Atomic uint32_t holder; /* slot of who holds it; 0 = none known */
    _Atomic uint32_t stopping;
    _Atomic uint32_t shield;
};

enum slot_wait {
    SLOT_WAIT_NONE,
    SLOT_WAIT_SLEEP,
    SLOT_WAIT_JOIN,
    SLOT_WAIT_SCOPE,
    SLOT_WAIT_ANY,
    SLOT_WAIT_WORK, /* the library's own, between two tasks */
    SLOT_WAIT_PIPE,
    SLOT_WAIT_MUTEX,
    SLOT_WAIT_READ, /* of a rwlock */
    SLOT_WAIT_WRITE,
    SLOT_WAIT_COND,
    SLOT_WAIT_NOTIFY, /* no wait: a call on a condition */
    SLOT_WAIT_SEMAPHORE,
    SLOT_WAIT_EVENT,
    SLOT_WAIT_BARRIER,
    SLOT_WAIT_ONCE,
    SLOT_WAIT_PUT, /* into a queue */
    SLOT_WAIT_GET,
    SLOT_WAIT_DONE, /* until a queue's items are */
    SLOT_WAIT_KINDS
};

/* What the thread holds: `kind` is that of the wait for it, with SLOT_SHARED
 * for an object that other processes use too. */
#define SLOT_SHARED 0x100u

#define SLOT_SHARES 0x80u /* in registry_header.used */

struct slot_held {
    _Atomic uint64_t object, site;
    _Atomic uint32_t count, kind;
};

/* The call on a shared object that the thread is in: written before its first
 * change of the object, cleared after its last wake-up. Whoever finds the
 * thread dead in it makes the object right. */
struct slot_call {
    _Atomic uint64_t object; /* 0 = none */
    _Atomic uint32_t kind;   /* enum slot_wait */
    _Atomic uint32_t ticket; /* the object's own business */
};

struct slot {
    struct slot_identity identity;
    _Alignas(64) struct slot_hot hot;
    _Alignas(64) _Atomic uint32_t held_count;
    _Atomic uint32_t stack_count;
    struct slot_held held[SLOT_HELD];
    _Atomic uint64_t stack[SLOT_STACK];
    struct slot_call call;
    /* What a lock's word says while the slot's thread holds it; 0 = nobody's.
     * Never the same again for 16,384 claims of slots. */
    _Atomic uint32_t owner;
    /* In the first slot of a block: the pid of the process that may write it,
     * which nobody else can scribble over; 0 = none, or look in page 1. */
    _Atomic uint32_t block_owner;
    /* The block of the shared heap that the thread is taking or giving back;
     * shm/layout.h. 0 = none. */
    _Atomic uint64_t heap_taken;
    /* A wait for a condition that was granted: until the thread has the mutex
     * again. If it dies before, the next waiter gets the notification. */
    struct slot_call granted;
    char unused[4064 - 448 - 8 - SLOT_HELD * 24 - SLOT_STACK * 8 - 48];
    _Atomic uint32_t certificate; /* tid | OS_SLEEPERS while its thread lives,
                                     OS_DIED after; 0 = none */
    char robust_link[28];         /* the C library writes its last 8 bytes */
};

_Static_assert(sizeof(struct slot) == 4096, "a slot is a page");
_Static_assert(offsetof(struct slot, certificate) == 4064,
               "the word lies 32 bytes before its node");
_Static_assert(sizeof(struct registry_header) <= 4096, "the header is a page");
_Static_assert(offsetof(struct registry_header, control) == 3584 &&
                   sizeof(struct registry_control) == 512,
               "tools write there");

struct label {
    _Atomic uint32_t sequence; /* odd while it is written */
    _Atomic uint32_t pid;      /* whose address it is */
    _Atomic uint64_t object;   /* 0 = free */
    _Atomic uint64_t name[32];
};

#endif
