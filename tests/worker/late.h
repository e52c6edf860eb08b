#ifndef WORKER_LATE_H
#define WORKER_LATE_H

#include <weft/task.h>

/* Tells which library it lies in. */
weft_fn late_value;

#endif
