#include "support/channel_support.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

weft_pool *face;
struct process_pool *pool;
struct seat *seat;
weft_job *held;

weft_pool *
open_processes(const weft_pool_options *options)
{
    const int status = weft_pool_open(&face, WEFT_PROCESS, options);

    ck_assert_msg(status == 0, "not opened: %d, %s", status, weft_why());
    pool = process_pool(face);
    return face;
}

weft_job *
give(const weft_task *task)
{
    weft_job *job = NULL;
    const int status = weft_submit(&job, face, task);

    ck_assert_msg(status == 0, "not taken: %d, %s", status, weft_why());
    return job;
}

void
hold_worker(void)
{
    (void)open_processes(
        &(weft_pool_options){.workers = 1, .worker = {.grace = 50 * WEFT_MS}});
    held = give(&(weft_task){
        .fn = wait_for_go, .name = "held", .result_size = sizeof(int)});
    gate_pass(&common->begun);
    lock_take(&pool->in.lock);
    seat = pool->seats[0];
    pool->pace = 1; /* so that many are offered ahead */
    lock_give(&pool->in.lock);
}

unsigned
claim_of(uint32_t number)
{
    const uint32_t state =
        atomic_load(&seat_door(seat)->claims[channel_place(number)]) -
        channel_claim(number, CHANNEL_OFFERED);

    return state > CHANNEL_RETRACTED ? CHANNEL_RETRACTED + 1 : state;
}

bool
play_take(uint32_t number)
{
    uint32_t offered = channel_claim(number, CHANNEL_OFFERED);

    return atomic_compare_exchange_strong(
        &seat_door(seat)->claims[channel_place(number)], &offered,
        channel_claim(number, CHANNEL_TAKEN));
}

void
play_answer_quietly(uint32_t number, struct channel_answer answer)
{
    atomic_store(&answer.number, number);
    answer.seal = channel_seal(&answer, number);
    ck_assert_int_eq(os_file_put(seat->file,
                                 channel_answer_at(channel_place(number)),
                                 &answer, sizeof answer),
                     0);
}

void
play_answer(uint32_t number, struct channel_answer answer)
{
    play_answer_quietly(number, answer);
    atomic_fetch_add(&seat_door(seat)->done, 1);
    ck_assert_int_eq(os_event_ring(seat->bell), 0);
}

bool
is_told(uint32_t number)
{
    return atomic_load(&seat_desk(seat)->tasks[channel_place(number)].stop) !=
           0;
}

void
kill_worker(void)
{
    lock_take(&pool->in.lock); /* after it the seat is another worker's */
    ck_assert_int_eq(kill(seat->pid, SIGKILL), 0);
    lock_give(&pool->in.lock);
    eventually(job_has_ended(held));
}

int
count_it(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&common->count, 1);
    return 0;
}

void
end_pool(void)
{
    const int status = weft_pool_close(face, WEFT_NOW);

    ck_assert(status == 0 || status == WEFT_ETIMEDOUT);
}
