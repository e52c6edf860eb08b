/* Makes the calls of a program fail, one by one. Linked with --wrap for every
 * allocation and every os_* function that can fail, see tests/meson.build; the
 * calls of all processes of a run are counted together. */
#ifndef SUPPORT_FAILING_H
#define SUPPORT_FAILING_H

#include <stdbool.h>

/* What is seen of a run. Shared by its processes. */
struct failing_hit {
    const char *name; /* of the call that failed; NULL: none did */
    int error;        /* how: a negative errno, or 0 for `false` */
    bool more;        /* this call can fail in yet another way */
};

/* Readies the memory that the processes share. Once, before they are made. */
void failing_open(void);

/* From now on calls are counted, and call `at`, from 1, fails in its way `way`,
 * from 0; with 0 none fails. */
void failing_arm(unsigned at, unsigned way);

/* Back to normal; the number of calls there were. */
unsigned failing_disarm(void);
struct failing_hit failing_hit(void);

/* What this process has made and not given back: blocks of memory, and bytes of
 * mappings. */
long failing_blocks(void);
long failing_mapped(void);

#endif
