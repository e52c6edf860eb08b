/* Misuse that no status can answer, such as unlocking what one does not hold:
 * the program stops and says what it did. */
#ifndef BASE_MISUSE_H
#define BASE_MISUSE_H

/* Called with the sentence before the program stops; NULL: nobody. It must not
 * return to weft's caller, but may leave the process its own way. */
void misuse_set_hook(void (*hook)(const char *sentence));

/* Calls the hook, writes "PROGRAM: sentence" to stderr and aborts. */
_Noreturn void misuse_stop(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

#endif
