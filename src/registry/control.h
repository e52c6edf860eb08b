/* Whether the program records, and who says so. */
#ifndef REGISTRY_CONTROL_H
#define REGISTRY_CONTROL_H

#include "registry/slot.h"

#include <stdbool.h>

/* In the registry's header, or, where there is none, the process's own. */
struct registry_control *control(void);

/* The registry was opened, or joined. */
void control_opened(void);

/* Begins a recording, ends it. WEFT_EBUSY: there is one; else what room_make
 * and a thread's start say. */
int control_start(const char *path, bool anew);
void control_stop(void);

/* Has this process write into the program's recording. Its session; 0: there
 * is none, or it cannot. */
uint32_t control_join(void);

/* Does what was asked from outside, if it was asked of this process. `stop`:
 * by the recorder's own thread, which alone ends recordings. */
void control_answer_start(void);
bool control_takes_stop(void);
void control_answer(int status);

void control_forked(bool ours);

#endif
