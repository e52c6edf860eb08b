/* The shared heap: one file in memory, mapped at the same address in every
 * process of the program, so that plain pointers mean the same in all of them.
 * What is in it is in layout.h. */
#ifndef SHM_HEAP_H
#define SHM_HEAP_H

#include "registry/slot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Makes the heap with room for `wanted` bytes, 0 = 64 GiB, or less where the
 * system gives less (256 MiB under valgrind, to which each byte costs memory).
 * WEFT_SHARED_SIZE wins. Once: later calls find it made. WEFT_EINVAL (a size
 * that is none), WEFT_ENOMEM, WEFT_ENOSYS, WEFT_EAGAIN, WEFT_ENOTSUP
 * (heap_leave was called). From any thread. */
int heap_open(size_t wanted);
bool heap_is_open(void);

int heap_fd(void);      /* -1: not open, or a worker, which keeps none */
void *heap_base(void);  /* NULL: not open */
size_t heap_room(void); /* bytes that it has room for */

/* Maps the heap of the program that this process is a worker of, which lies
 * there at `base`. Takes the descriptor over. WEFT_EMISMATCH: it is of another
 * build, the process has a heap already, or the place is taken. */
int heap_join(int fd, void *base);

/* This process is to have no heap, for this reason. */
void heap_leave(const char *why);

/* In a fresh copy of the process. `ours`: a worker of the program, which goes
 * on in the same heap; else a program of its own, which may read what is there
 * and makes a heap of its own when needed. */
void heap_forked(bool ours);

/* Whether the address lies in the heap of whom this process is a copy of. */
bool heap_is_foreign(const void *at);

/* Frees what the thread of this slot was about to take or to give back when it
 * died. Once, when it is dead, and before its slot is cleared. */
void heap_recover(const struct slot *dead);

/* Walks all that is written, under the lock: what does not fit together, or
 * NULL. For tests. */
const char *heap_fault(void);

/* The size of the living block that begins there; 0: there is none. */
size_t heap_block_size(const void *at);

/* The heap's place; 0 bytes where there is none. Written once. */
extern __attribute__((visibility("hidden"))) _Atomic uintptr_t heap_first;
extern __attribute__((visibility("hidden"))) _Atomic size_t heap_bytes;

/* Whether the address lies in the heap: in every lock of a mutex, so one
 * subtraction and one comparison. */
static inline bool
heap_holds(const void *at)
{
    /* acquire: pairs with release in heap.c; the place is written first */
    const size_t bytes =
        atomic_load_explicit(&heap_bytes, memory_order_acquire);

    return (uintptr_t)at -
               atomic_load_explicit(&heap_first, memory_order_relaxed) <
           bytes;
}

#endif
