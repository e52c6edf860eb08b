/* The zygote: a small helper process, a copy of the program as it was at
 * weft_init, of which workers are copied. */
#ifndef WORKER_ZYGOTE_H
#define WORKER_ZYGOTE_H

#include "worker/wire.h"

/* Makes one, in place of the one that there is. WEFT_ETHREADS: not by the main
 * thread, or not alone. */
int zygote_renew(void);

/* Whether there is one; else makes it if that can still be done.
 * WEFT_ETHREADS, WEFT_ENOTSUP, WEFT_EAGAIN, WEFT_ENOMEM. `named`: the caller
 * asked for the zygote by name. */
int zygote_ready(bool named);

/* Has it start the request; the worker is the program's own child. Returns its
 * pid. WEFT_ESTALE, WEFT_ENOTINIMAGE, WEFT_EAGAIN, WEFT_ENOMEM. */
int zygote_start(const struct wire_request *request, const int fds[WIRE_FDS]);

void zygote_stop(void);
/* `open`: its descriptors are, and must be closed. */
void zygote_forked(bool open);

#endif
