/* A hand-off through one word, to and fro between two threads, against the
 * least that it can cost: a spin on one cache line, or a bare futex.
 *
 * The threads here are pthreads: weft adopts them at their first wait. */
#include "harness.h"
#include "os/os.h"
#include "registry/self.h"
#include "wait/policy.h"
#include "wait/wait.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    BATCH = 16
};

/* Set before the last post, read between a wait and the next post. */
static atomic_bool finished;

/* Even: the starter's turn; odd: its partner's. */
static _Alignas(128) struct wait_word turn;

static void
weft_wait(uint32_t old)
{
    const struct wait_terms terms = {
        .until = OS_NEVER, .kind = SLOT_WAIT_ANY, .object = &turn};

    (void)wait_while(&turn, old, &terms);
}

static void
weft_post(uint32_t value)
{
    wait_post(&turn, value, 1);
}

static void
spin_wait(uint32_t old)
{
    while (atomic_load_explicit(&turn.value, memory_order_acquire) == old)
        os_pause();
}

static void
spin_post(uint32_t value)
{
    atomic_store_explicit(&turn.value, value, memory_order_release);
}

static void
futex_wait(uint32_t old)
{
    atomic_fetch_add(&turn.parked, 1);
    while (atomic_load(&turn.value) == old)
        syscall(SYS_futex, &turn.value, FUTEX_WAIT_PRIVATE, old, NULL);
    atomic_fetch_sub(&turn.parked, 1);
}

static void
futex_post(uint32_t value)
{
    atomic_store(&turn.value, value);
    if (atomic_load(&turn.parked) > 0)
        syscall(SYS_futex, &turn.value, FUTEX_WAKE_PRIVATE, 1);
}

/* Adopted threads count as active until they end; what hooks that in is in a
 * layer that is not linked here. */
static void *
leave(void)
{
    if (self_here)
        policy_leave(self_here);
    return NULL;
}

struct exchange {
    void (*wait)(uint32_t old);
    void (*post)(uint32_t value);
    bool park;
    int cpus[2]; /* of starter and partner; -1 = anywhere */
    bool idler;  /* a thread that weft knows sleeps where weft does not see */
};

static void
take_place(const struct exchange *exchange, int who)
{
    if (exchange->cpus[who] >= 0)
        bench_pin(exchange->cpus[who]);
}

static void *
answer(void *arg)
{
    const struct exchange *exchange = arg;

    take_place(exchange, 1);
    for (uint32_t i = 1;; i += 2) {
        exchange->wait(i - 1);
        if (atomic_load(&finished))
            return leave();
        exchange->post(i + 1);
    }
}

static double
exchange_for(const struct exchange *exchange, int64_t span)
{
    struct bench_run run = bench_run(span);
    struct exchange copy = *exchange;
    pthread_t thread;
    uint32_t i = 1;

    turn = (struct wait_word){0};
    atomic_store(&finished, false);
    take_place(exchange, 0);
    pthread_create(&thread, NULL, answer, &copy);
    while (bench_goes_on(&run))
        for (int k = 0; k < BATCH; k++, i += 2) {
            exchange->post(i);
            exchange->wait(i);
        }
    atomic_store(&finished, true);
    exchange->post(i);
    pthread_join(thread, NULL);
    return bench_cost(&run, BATCH);
}

/* Waits for weft once, so that it is counted, and then for something else. */
static void *
idle(void *end)
{
    char byte;

    (void)wait_sleep(os_now() + 1);
    if (read(*(int *)end, &byte, 1) < 0)
        perror("read");
    return leave();
}

struct errand {
    const struct exchange *exchange;
    int64_t span;
    double cost;
};

/* In a thread of its own, so that the main thread is never pinned. */
static void *
lead(void *arg)
{
    struct errand *errand = arg;

    errand->cost = exchange_for(errand->exchange, errand->span);
    return leave();
}

static double
exchange_in_threads(const struct exchange *exchange, int64_t span)
{
    struct errand errand = {exchange, span, -1};
    pthread_t thread;

    pthread_create(&thread, NULL, lead, &errand);
    pthread_join(thread, NULL);
    return errand.cost;
}

static double
run_exchange(const void *arg, int64_t span)
{
    const struct exchange *exchange = arg;
    pthread_t idler = 0;
    int ends[2] = {-1, -1};

    if (exchange->idler && pipe(ends) < 0)
        return -1;
    if (exchange->idler) {
        pthread_create(&idler, NULL, idle, &ends[0]);
        bench_sleep(BENCH_MS);
    }
    policy_park_only(exchange->park);
    const double cost = exchange_in_threads(exchange, span);

    policy_park_only(false);
    if (exchange->idler) {
        close(ends[1]);
        pthread_join(idler, NULL);
        close(ends[0]);
    }
    return cost;
}

static void
compare_exchanges(const char *title, const struct exchange exchanges[2],
                  const char *peer, struct bench_promise promise)
{
    const struct bench_group group = {.title = title};
    struct bench_entry entries[] = {
        bench_entry("ours", run_exchange, &exchanges[0]),
        bench_entry(peer, run_exchange, &exchanges[1])};

    if (bench_measure(&group, entries, 2))
        bench_ratio(title, &entries[0], &entries[1], promise);
}

static const struct exchange own_cpus[] = {
    {weft_wait, weft_post, false, {0, 1}, false},
    {spin_wait, spin_post, false, {0, 1}, false},
};

static const struct exchange anywhere[] = {
    {weft_wait, weft_post, false, {-1, -1}, false},
    {spin_wait, spin_post, false, {-1, -1}, false},
};

static const struct exchange beside_idler[] = {
    {weft_wait, weft_post, false, {-1, -1}, true},
    {weft_wait, weft_post, false, {-1, -1}, false},
};

/* The first that waits in the process is pinned to a single CPU. */
static void
compare_pinned(void)
{
    compare_exchanges("hand-off hot, a CPU each / spin on a line", own_cpus,
                      "spin", (struct bench_promise){2, 0});
}

static void
compare_hot(void)
{
    compare_exchanges("hand-off hot, unpinned / spin on a line", anywhere,
                      "spin", (struct bench_promise){2, 0});
    compare_exchanges("hand-off hot, a third blocked in read / without it",
                      beside_idler, "without", (struct bench_promise){2, 0});
}

static void
compare_parked(void)
{
    static const struct exchange together[] = {
        {weft_wait, weft_post, true, {0, 0}, false},
        {futex_wait, futex_post, false, {0, 0}, false}};
    static const struct exchange apart[] = {
        {weft_wait, weft_post, true, {0, 1}, false},
        {futex_wait, futex_post, false, {0, 1}, false}};
    static const struct exchange pinned[] = {
        {weft_wait, weft_post, false, {0, 0}, false},
        {weft_wait, weft_post, true, {0, 0}, false}};

    compare_exchanges("hand-off parked, one CPU / raw futex", together, "futex",
                      (struct bench_promise){1.2, 0});
    if (bench_cpus() < 2)
        return;
    compare_exchanges("hand-off parked, a CPU each / raw futex", apart, "futex",
                      (struct bench_promise){1.2, 0});
    compare_exchanges("hand-off, both pinned to one of the CPUs / parking",
                      pinned, "parking", (struct bench_promise){1.6, 1.3});
}

int
main(void)
{
    bench_open("handoff");
    if (bench_cpus() > 1) {
        bench_in_child(compare_pinned);
        compare_hot();
    }
    compare_parked();
    return bench_close();
}
