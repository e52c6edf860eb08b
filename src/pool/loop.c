#include "pool/loop.h"

#include "base/why.h"
#include "pool/pool.h"

#include <weft/status.h>

weft_pool *
loop_pool(weft_pool *pool, const char *call, int *status)
{
    pool = exec_pool(pool);
    if (!pool) {
        *status = WEFT_ENOMEM;
        return NULL;
    }
    if (pool->of->enter)
        return pool;
    *status = why_set(WEFT_ENOTSUP, "%s: for thread pools only", call);
    return NULL;
}

unsigned
loop_workers(const weft_pool *pool)
{
    const unsigned workers = atomic_load(&pool->workers);

    return workers > 0 ? workers : 1;
}

size_t
loop_grain(const weft_pool *pool, size_t count)
{
    enum {
        PARTS_A_WORKER = 32 /* so that the last one is waited for but shortly */
    };

    const size_t parts = (size_t)PARTS_A_WORKER * loop_workers(pool);

    return count > parts ? count / parts : 1;
}

static struct stop *
borrow_stops(struct stop stops[LOOP_STOPS], const struct stop *from)
{
    size_t count = 0;

    for (; from && count < LOOP_STOPS; from = from->outer, count++) {
        stops[count] = (struct stop){
            .asked = from->asked, .remote = from->remote, .borrowed = true};
        if (count > 0)
            stops[count - 1].outer = &stops[count];
    }
    return count > 0 ? stops : NULL;
}

void
loop_begin(struct loop *loop, const char *call, size_t count, size_t grain)
{
    const struct self *self = self_get();

    loop->call = call;
    loop->count = count;
    loop->grain = grain;
    loop->parts = count / grain + (count % grain != 0);
    loop->self = self;
    loop->shield = self->shield;
    loop->stop = borrow_stops(loop->stops, self->stop);
    atomic_init(&loop->status, 0);
}

int
loop_end(struct loop *loop)
{
    const int status = atomic_load(&loop->status);

    return status < 0 ? why_set(status, "%s: %s", loop->call, loop->message)
                      : 0;
}

/* --- failing */

void
loop_fail(struct loop *loop, int status, const char *format, ...)
{
    int none = 0;
    va_list list;

    if (!atomic_compare_exchange_strong(&loop->status, &none, status))
        return;
    struct text text = text_over(loop->message, sizeof loop->message);

    va_start(list, format);
    text_add_list(&text, format, list);
    va_end(list);
}

bool
loop_goes_on(struct loop *loop)
{
    if (atomic_load_explicit(&loop->status, memory_order_relaxed) < 0)
        return false;
    if (loop->shield > 0 || !stop_any_asked(loop->stop))
        return true;
    loop_fail(loop, WEFT_ECANCELED, "asked to stop");
    return false;
}

/* --- parts */

static int
do_items(struct loop *loop, void *place, size_t begin, size_t end)
{
    const int status = loop->body(loop->context, place, begin, end);

    if (status < 0)
        loop_fail(loop, status, "items %zu to %zu: %s", begin, end - 1,
                  weft_status_text(status));
    return status;
}

static int
do_part(struct loop *loop, size_t part, void *place)
{
    const size_t begin = part * loop->grain;
    const size_t end =
        part + 1 == loop->parts ? loop->count : begin + loop->grain;
    struct self *self = self_get();

    if (self == loop->self)
        return do_items(loop, place, begin, end);
    struct stop *const stop = self->stop;
    const unsigned shield = self->shield;

    self->stop = loop->stop;
    self->shield = loop->shield;
    const int status = do_items(loop, place, begin, end);

    self->stop = stop;
    self->shield = shield;
    return status;
}

int
loop_part(weft_lane *lane, struct loop *loop, size_t part, void *place)
{
    struct deck *deck = deck_of(lane);
    weft_lane *const top = deck->top;

    deck->top = lane;
    const int status = do_part(loop, part, place);

    deck->top = top;
    return status;
}

/* The further half may be stolen: a thief gets much, and neighbours stay
 * together. */
static void
run_span(weft_lane *lane, void *frame)
{
    const struct loop_span *span = frame;
    struct loop *loop = span->loop;

    if (!loop_goes_on(loop))
        return;
    if (span->last - span->first == 1) {
        (void)loop_part(lane, loop, span->first, NULL);
        return;
    }
    const size_t middle = span->first + (span->last - span->first) / 2;
    struct loop_span near = {loop, span->first, middle};
    struct loop_span further = {loop, middle, span->last};
    weft_lane *inner = weft_fork(lane, run_span, &further);

    run_span(inner, &near);
    weft_sync(lane);
}

void
loop_run(weft_lane *lane, struct loop *loop)
{
    run_span(lane, &(struct loop_span){loop, 0, loop->parts});
}

int
loop_fork(weft_pool *pool, const char *call, weft_fork_fn *fn, void *frame)
{
    struct self *self = self_get();
    struct deck *deck = self->deck;
    weft_lane *const lane = deck ? deck->top : NULL;

    if (lane && &deck->pool->face == pool) {
        deck->top = NULL;
        fn(lane, frame);
        deck->top = lane;
        return 0;
    }
    self->region = call;
    const int status = pool->of->enter(pool, fn, frame, WEFT_FOREVER.ns);

    self->region = NULL;
    return status;
}

int
loop_enter(weft_pool *pool, struct loop *loop)
{
    struct loop_span all = {loop, 0, loop->parts};
    const int status = loop_fork(pool, loop->call, run_span, &all);

    return status < 0 ? status : loop_end(loop);
}
