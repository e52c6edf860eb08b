/* A victim marks the operation's beginning and end by a signal to itself, which
 * never arrives: the tracer is told, and tells it from a step's by its origin.
 * What a step sleeps in is a system call, and a point too. Nothing here knows
 * the processor. */
#include "fault.h"
#include "wait/policy.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    TICK = 2 * MS,
    TICKS = 2, /* without a stop: it may sleep */
    PATIENCE = (int)(STUCK / TICK),
    SLEEPS_MOST = 20 /* of an operation: what it waits for is there */
};

enum event {
    STEPPED,
    MARKED,
    ASLEEP,
    GONE
};

static timer_t ticker;

static void
tick(int number)
{
    (void)number;
}

void
victim_ready(void)
{
    const struct sigaction action = {.sa_handler = tick};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID,
                             .sigev_signo = SIGALRM};

    event._sigev_un._tid = gettid();
    if (sigaction(SIGALRM, &action, NULL) < 0 ||
        timer_create(CLOCK_MONOTONIC, &event, &ticker) < 0)
        perror("timer");
}

static void
set_ticker(long ns)
{
    const struct itimerspec rapid = {{0, ns}, {0, ns}};

    timer_settime(ticker, 0, &rapid, NULL);
}

/* --- the victim */

void
victim_mark(void)
{
    syscall(SYS_tgkill, getpid(), gettid(), SIGTRAP);
}

/* First touch and first use are over before the operation begins. */
static void
warm_up(struct arena *arena)
{
    policy_park_only(true); /* a spin has many instructions, all the same */
    (void)weft_mutex_lock(&arena->other);
    weft_mutex_unlock(&arena->other);
    (void)!weft_event_wait(&arena->gate, fault_soon(1));
    weft_shared_free(weft_shared_alloc(64));
}

static int
be_stepped(weft_call *call)
{
    struct arena *arena = *(struct arena *const *)call->arg;

    warm_up(arena);
    atomic_store(&arena->victim, getpid());
    while (!atomic_load(&arena->go))
        syscall(SYS_sched_yield);
    victim_mark();
    arena->operation->operate(arena);
    victim_mark();
    while (arena->operation)
        pause();
    return 0;
}

bool
victim_start(struct victim *victim, struct arena *arena)
{
    const int64_t begun = fault_now();

    atomic_store(&arena->victim, 0);
    atomic_store(&arena->go, 0);
    victim->job = NULL;
    if (weft_start(
            &victim->job, WEFT_PROCESS,
            &(weft_task){.fn = be_stepped, .name = "victim", WEFT_ARG(arena)}) <
        0) {
        printf("a victim was not started: %s\n", weft_why());
        return false;
    }
    while (!(victim->pid = atomic_load(&arena->victim))) {
        if (fault_now() - begun > STUCK)
            return false;
        syscall(SYS_sched_yield);
    }
    return true;
}

/* --- its tracer */

/* What made it stop; or that it sleeps, by then for `patience` ticks. */
static enum event
await(int pid, int patience)
{
    siginfo_t info;

    for (int ticks = 0;;) {
        if (waitid(P_PID, (id_t)pid, &info, WSTOPPED | __WALL) == 0)
            break;
        if (errno != EINTR)
            return GONE;
        if (++ticks >= patience &&
            (fault_state(pid) == 'S' || ticks > PATIENCE))
            return ASLEEP;
    }
    if ((info.si_status & 0xff) == SIGTRAP &&
        ptrace(PTRACE_GETSIGINFO, pid, NULL, &info) == 0 && info.si_code <= 0)
        return MARKED;
    return STEPPED;
}

static enum event
resume(int pid, int how)
{
    if (ptrace((enum __ptrace_request)how, pid, NULL, NULL) < 0)
        return GONE;
    return await(pid, TICKS);
}

/* Runs until the system call in which it sleeps. */
static enum event
run_until_asleep(int pid)
{
    enum event event;

    do {
        event = resume(pid, PTRACE_SYSCALL);
        if (event == STEPPED)
            event = resume(pid, PTRACE_SINGLESTEP);
    } while (event == STEPPED);
    return event;
}

/* It does what it slept for. */
static enum event
unblock(struct victim *victim, struct arena *arena)
{
    if (!arena->operation->unblock)
        return GONE;
    arena->operation->unblock(arena);
    return await(victim->pid, PATIENCE);
}

/* Sleeping in the last step of all is what is asked for. */
static enum event
step(struct victim *victim, struct arena *arena, unsigned long count)
{
    enum event event = STEPPED;
    unsigned sleeps = 0;

    while (count > 0 && event == STEPPED) {
        count--;
        event = resume(victim->pid, PTRACE_SINGLESTEP);
        if (event == ASLEEP && ++sleeps > SLEEPS_MOST)
            break;
        if (event == ASLEEP && count > 0)
            event = unblock(victim, arena);
        else if (event == ASLEEP)
            event = STEPPED;
    }
    return event;
}

static enum event
walk(struct victim *victim, struct arena *arena, unsigned long count,
     void (*sleeps)(struct arena *))
{
    if (ptrace(PTRACE_SEIZE, victim->pid, NULL, PTRACE_O_EXITKILL) < 0)
        return GONE;
    atomic_store(&arena->go, 1);
    enum event event = await(victim->pid, PATIENCE);

    if (event != MARKED)
        return GONE;
    if (!arena->operation->granted)
        return step(victim, arena, count);
    if (run_until_asleep(victim->pid) != ASLEEP)
        return GONE;
    sleeps(arena);
    event = unblock(victim, arena);
    return event == STEPPED ? step(victim, arena, count) : event;
}

enum reached
victim_step(struct victim *victim, struct arena *arena, unsigned long count,
            void (*sleeps)(struct arena *))
{
    set_ticker(TICK);
    const enum event event = walk(victim, arena, count, sleeps);

    set_ticker(0);
    return event == MARKED ? ENDED : event == STEPPED ? REACHED : ASTRAY;
}

bool
victim_end(struct victim *victim)
{
    bool right = false;

    if (!victim->job)
        return false;
    (void)weft_kill(victim->job, SIGKILL);
    if (weft_join(victim->job, fault_soon(STUCK)) == 0) {
        const weft_outcome *outcome = weft_outcome_of(victim->job);

        right = outcome && outcome->signal == SIGKILL;
    }
    weft_release(victim->job);
    victim->job = NULL;
    return right;
}
