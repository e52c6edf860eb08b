/* Each place holds a chunk, as session << 32 | number, or 0: put there by the
 * one who makes them, taken by exchange. */
#include "registry/stock.h"

#include "registry/room.h"

#include <stdatomic.h>

enum {
    MOST = 16 /* a MiB */
};

static struct {
    _Atomic uint64_t places[MOST];
    _Atomic uint32_t wanted; /* since the last stock_fill */
    unsigned target;         /* the maker's: how many there are to be */
} stock;

static uint32_t
take_from(_Atomic uint64_t *place, uint32_t session)
{
    uint64_t chunk = atomic_load_explicit(place, memory_order_relaxed);

    if (chunk >> 32 != session ||
        !atomic_compare_exchange_strong(place, &chunk, 0))
        return 0;
    return (uint32_t)chunk;
}

uint32_t
stock_take(uint32_t session, bool *low)
{
    uint32_t chunk = 0;
    unsigned at = 0;

    while (chunk == 0 && at < MOST)
        chunk = take_from(&stock.places[at++], session);
    /* They are put in from the front, and taken from it: how far one had to
     * look says how many are left. Once for all who look until more are made.
     */
    *low = (chunk == 0 || at >= MOST / 2) &&
           atomic_exchange(&stock.wanted, 1) == 0;
    return chunk;
}

static uint32_t
make(uint32_t session)
{
    const uint32_t number = room_claim(session);
    struct recording_chunk *chunk = number ? room_chunk(session, number) : NULL;

    return chunk && room_fill(session, chunk, RECORDING_CHUNK) ? number : 0;
}

void
stock_fill(uint32_t session)
{
    if (atomic_exchange(&stock.wanted, 0) == 0)
        return;
    stock.target = stock.target == 0 ? 2 : stock.target * 2;
    if (stock.target > MOST)
        stock.target = MOST;
    for (unsigned i = 0; i < stock.target; i++) {
        const uint64_t there = atomic_load(&stock.places[i]);
        const uint32_t number = there >> 32 == session ? 0 : make(session);

        if (number)
            atomic_store(&stock.places[i], (uint64_t)session << 32 | number);
    }
}

void
stock_forked(void)
{
    for (unsigned i = 0; i < MOST; i++)
        atomic_store(&stock.places[i], 0);
    atomic_store(&stock.wanted, 0);
    stock.target = 0;
}
