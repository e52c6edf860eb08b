/* The sentence behind weft_why: the calling thread's last failure, for people.
 */
#ifndef BASE_WHY_H
#define BASE_WHY_H

/* Keeps the sentence and returns `status`, so that a failure is one line:
 * `return why_set(WEFT_EINVAL, "task.fn is NULL");`. Where there is no memory
 * for it, weft_why falls back to the status's own text. Not from a signal
 * handler: it may allocate. */
int why_set(int status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same with the status's text behind the words: "cannot map the result: out
 * of memory". */
int why_because(int status, const char *doing);

/* For a failed call of the system, `error` being -errno: keeps its own words,
 * and returns the status that stands for it: a status where there is one of its
 * number, WEFT_EAGAIN for limits of the system, else the error itself. */
int why_system(int error, const char *doing);

/* Forgets the thread's sentence and gives its memory back. */
void why_end(void);

#endif
