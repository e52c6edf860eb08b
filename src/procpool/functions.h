/* The functions of a pool's tasks, each with a number that its workers learn
 * once. */
#ifndef PROCPOOL_FUNCTIONS_H
#define PROCPOOL_FUNCTIONS_H

#include "worker/image.h"

struct functions {
    uint32_t count, room; /* numbers are from 1 to count */
    struct function *all;
};

struct function {
    weft_fn *fn;
    struct image_ref ref;
};

/* The number of a function, as it is loaded now. Under the lock of whoever owns
 * the table. WEFT_ENOTINIMAGE, WEFT_ENOMEM. */
int functions_find(struct functions *functions, weft_fn *fn, uint32_t *number);

const struct image_ref *functions_ref(const struct functions *functions,
                                      uint32_t number);
void functions_free(struct functions *functions);

#endif
