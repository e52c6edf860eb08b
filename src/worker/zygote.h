/* The zygote: a small helper process, a copy of the program as it was at
 * weft_init, of which workers are copied. */
#ifndef WORKER_ZYGOTE_H
#define WORKER_ZYGOTE_H

#include "worker/wire.h"

/* Makes one, in place of the one that there is. WEFT_ETHREADS: not by the main
 * thread, or not alone. */
int zygote_renew(void);

/* Whether there is one; else makes it if that can still be done.
 * WEFT_ETHREADS, WEFT_EAGAIN, WEFT_ENOMEM. */
int zygote_ready(void);

/* Whether what was loaded when it was made is what is loaded now. */
bool zygote_has_image(const struct image_ref *ref);

/* Has it start the request, with `fds` as enum wire_fd and then request->handed
 * ones, for a program that has these rights; the worker is its own child.
 * Returns its pid. WEFT_ESTALE,
 * WEFT_EAGAIN, WEFT_ENOMEM. */
int zygote_start(const struct wire_request *request, const int *fds,
                 const struct os_rights *rights);

/* A worker has ended: another one may be made in advance. Never waits. */
void zygote_wish(void);

void zygote_stop(void);
/* `open`: its descriptors are, and must be closed. */
void zygote_forked(bool open);

#endif
