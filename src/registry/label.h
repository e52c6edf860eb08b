/* Names for objects, in the registry, so that other processes see them too. */
#ifndef REGISTRY_LABEL_H
#define REGISTRY_LABEL_H

#include "base/text.h"

#include <stdbool.h>

/* The label that this process gave the object; false: none. */
bool label_find(const void *object, char out[TEXT_NAME]);

/* In a fresh copy of the process: its labels were the parent's. */
void label_forked(void);

#endif
