/* A shared library in two states: as it was built, and stripped. */
#ifndef TESTS_SYMBOLS_SUBJECT_H
#define TESTS_SYMBOLS_SUBJECT_H

/* Each returns a return address in itself. */
void *subject_whole(void);
void *subject_stripped(void);

/* A return address in a function that nothing outside of the library names. */
void *subject_whole_within(void);
void *subject_stripped_within(void);

#endif
