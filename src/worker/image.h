/* Which function a pointer means, in another process of the same program: never
 * the address alone, since after dlclose and dlopen it can be another function.
 */
#ifndef WORKER_IMAGE_H
#define WORKER_IMAGE_H

#include "base/text.h"

#include <weft/task.h>

enum {
    IMAGE_ID = 32,
    IMAGE_PATH = 1024
};

struct image_ref {
    unsigned char id[IMAGE_ID]; /* the object's build-id */
    unsigned id_size;           /* 0: it has none */
    uint64_t offset;            /* of the function in the object */
    uint64_t address;           /* here, and in copies with the same objects */
    uint64_t adds, subs;        /* of objects, as the loader counts */
    char path[IMAGE_PATH];      /* "" = the program itself */
};

/* WEFT_ENOTINIMAGE: the function lies in no loaded object. */
int image_refer(weft_fn *fn, struct image_ref *out);

/* How often objects were loaded and unloaded. */
struct image_count {
    uint64_t adds, subs;
};

void image_count(struct image_count *out);

/* The function in this process; NULL: not loaded here. No sentence. `copy`: it
 * was copied from the program and has loaded nothing since, so that where the
 * loader's counts are the same the addresses are too. */
weft_fn *image_find(const struct image_ref *ref, bool copy);

/* The same; an object that is not loaded here is loaded now. */
weft_fn *image_load(const struct image_ref *ref, bool copy);

/* Its symbol if it has a dynamic one, else "module+0x1f20". */
const char *image_function_name(weft_fn *fn, char space[TEXT_NAME]);

#endif
