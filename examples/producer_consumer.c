/* Producers and consumers over one queue; --processes is the only switch. */
#include <weft/weft.h>

#include <stdio.h>
#include <string.h>

enum {
    PRODUCERS = 2,
    CONSUMERS = 2,
    EACH = 1000
};

struct order {
    int from, number;
};

static int produce(weft_call *call)
{
    weft_queue *orders = *(weft_queue *const *)call->arg;
    struct order order = {.from = weft_self()->tid, .number = 0};
    int status = 0;

    while (status == 0 && order.number < EACH) {
        order.number++;
        status = weft_queue_put(orders, &order, WEFT_FOREVER);
    }
    return status;
}

static int consume(weft_call *call)
{
    weft_queue *orders = *(weft_queue *const *)call->arg;
    long *eaten = call->result;
    struct order order;

    while (weft_queue_get(orders, &order, WEFT_FOREVER) ==
           0) { /* until shut down */
        *eaten += order.number;
        weft_queue_done(orders,
                        1); /* a consumer that dies before this gives it back */
    }
    return 0;
}

int main(int argc, char **argv)
{
    const bool processes = argc > 1 && strcmp(argv[1], "--processes") == 0;
    const weft_kind kind = processes ? WEFT_PROCESS : WEFT_THREAD;
    weft_queue *orders;
    weft_scope *producers;
    weft_job *consumer[CONSUMERS];
    long eaten, sum = 0;

    const weft_queue_options options = {.item_size = sizeof(struct order),
                                        .capacity = 64,
                                        .shared = processes,
                                        .leased = true,
                                        .name = "orders"};

    weft_must(weft_queue_open(&orders, &options), "open the queue");
    weft_must(weft_scope_open(&producers, NULL), "open a scope");
    for (int i = 0; i < CONSUMERS; i++)
        weft_must(weft_start(&consumer[i], kind,
                             &(weft_task){.fn = consume,
                                          WEFT_ARG(orders),
                                          .result_size = sizeof(long)}),
                  "start");
    for (int i = 0; i < PRODUCERS; i++)
        weft_must(weft_start(NULL, kind,
                             &(weft_task){.fn = produce,
                                          WEFT_ARG(orders),
                                          .scope = producers}),
                  "start");
    weft_must(weft_scope_close(producers, WEFT_FOREVER), "produce");
    weft_queue_shutdown(orders);
    for (int i = 0; i < CONSUMERS; i++) {
        weft_must(weft_result(consumer[i], &eaten, sizeof eaten, WEFT_FOREVER),
                  "consume");
        sum += eaten;
        weft_release(consumer[i]);
    }
    printf("%ld\n", sum); /* 1001000 */
    weft_queue_close(orders);
    return 0;
}
