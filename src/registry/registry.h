/* The registry of this program: making it, and claiming slots in it. */
#ifndef REGISTRY_REGISTRY_H
#define REGISTRY_REGISTRY_H

#include "base/text.h"
#include "registry/slot.h"

#include <stdbool.h>

/* Makes the file and maps it. Once, before anything else of the registry;
 * self_open sees to that. WEFT_ENOMEM, WEFT_ENOSYS, WEFT_EAGAIN. */
int registry_open(void);
bool registry_is_open(void);

/* Maps the file of the program that this process is a worker of, in place of
 * making one. Takes the descriptor over. WEFT_EMISMATCH, WEFT_ENOMEM. */
int registry_join(int fd);
int registry_fd(void); /* -1: not open */

/* In a fresh copy of the process: the parent's slots become read-only. `ours`:
 * a worker of the program, which goes on in the same file; else a program of
 * its own, which must open another. */
void registry_forked(bool ours);

struct registry_header *registry_header_of(void); /* NULL: not open */

/* A cleared slot of this process, from any thread. NULL: all are taken, or no
 * memory (why says which). */
struct slot *registry_claim(void);
void registry_release(struct slot *slot);

/* The slot's thread gets another owner's word: the old one is nobody's. */
void registry_renew(struct slot *slot);

/* Marks the slots of a process that has died and is not yet reaped, so that no
 * later process of its id is taken for it; and frees what is marked. */
void registry_condemn(int pid);
void registry_reclaim(int pid);

unsigned registry_id(const struct slot *slot); /* 0 for NULL */

/* The thread that a lock's word names: whether it can still unlock, which a
 * thread cannot that has died or ended; and its slot, NULL when it has gone. */
#define REGISTRY_NO_SLOT 0x80000000u /* then the word is this | tid */

bool registry_owner_lives(uint32_t owner);
const struct slot *registry_owner_slot(uint32_t owner);
int registry_owner_tid(uint32_t owner); /* 0: it has gone */

/* "'flusher' (pid 831, tid 833)"; a process's main thread goes by its name.
 * False: the slot is empty. */
bool registry_line(const struct slot *slot, char out[TEXT_NAME]);

/* Keeps this of a thread that ended holding something, for the next taker's
 * sentence; the last few. False: it is not known. */
void registry_bury(const struct slot *slot);
bool registry_obituary(uint32_t owner, char out[TEXT_NAME]);

/* Slot `id` of whatever process, to be read; NULL when there is none. */
const struct slot *registry_slot(unsigned id);

/* The slot's thread begins to use objects of several processes. */
void registry_share(const struct slot *slot);

/* Calls fn for each slot of a condemned process's; of a thread of any process
 * that lives; of those only that share objects, or lie beside one that does. */
void registry_each_condemned(int pid, void (*fn)(const struct slot *slot));
void registry_each_living(void (*fn)(const struct slot *slot, void *context),
                          void *context);

/* The used slot of this process with the least id above `after`, or NULL. */
struct slot *registry_next(unsigned after);

/* Where the labels lie; their owners' words come first. */
_Atomic uint32_t *registry_label_owners(void);
struct label *registry_labels(void);

#endif
