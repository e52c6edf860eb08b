/* Chunks with their memory, made in advance by the recorder's thread: the
 * system takes as long to give memory as a thread to fill it with records. */
#ifndef REGISTRY_STOCK_H
#define REGISTRY_STOCK_H

#include <stdbool.h>
#include <stdint.h>

/* A chunk that is the caller's and filled; 0: there is none. *low: more should
 * be made, by stock_fill. */
uint32_t stock_take(uint32_t session, bool *low);

/* Makes some, as many as were wanted lately. By one thread at a time. */
void stock_fill(uint32_t session);

void stock_forked(void);

#endif
