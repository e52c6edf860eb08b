/* Entering a function so that nothing unwinds out of it, on a stack of its own
 * if asked. */
#ifndef OS_TRAMPOLINE_H
#define OS_TRAMPOLINE_H

/* Calls fn(arg) and returns when it does. A C++ exception that leaves it, or
 * pthread_exit, finds no frame above: it ends the process and runs nothing of
 * the frames that lie there. `stack` is the upper end of the stack to use,
 * aligned to 16; NULL = the present one. */
void os_trampoline(void (*fn)(void *), void *arg, void *stack);

extern const char os_trampoline_end[]; /* of its code */

#endif
