#include "support/actor_support.h"

#include "registry/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct actor *actors;
static unsigned count;

void
actors_make(void)
{
    /* Programs that abort leave no core files. */
    const struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none);
    common_make();
    actors = support_share(ACTORS * sizeof *actors);
    count = 0;
}

static struct {
    pid_t owner;
    int ends[2];
} passage;

void
actors_make_pipe(void)
{
    passage.owner = getpid();
    ck_assert_int_eq(pipe2(passage.ends, O_CLOEXEC), 0);
}

int
actors_pipe(int end)
{
    static int own[2] = {-1, -1};
    char path[64];

    if (getpid() == passage.owner)
        return passage.ends[end];
    if (own[end] < 0) { /* its worker inherits no descriptors */
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)passage.owner,
                 passage.ends[end]);
        own[end] = open(path, (end ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
    }
    child_expect(own[end] >= 0);
    return own[end];
}

/* Not by weft, which is what is tested. */
static void
wait_beyond(_Atomic uint32_t *word, uint32_t old)
{
    while (atomic_load(word) == old)
        syscall(SYS_futex, word, FUTEX_WAIT, old, NULL, NULL, 0);
}

static void
advance(_Atomic uint32_t *word)
{
    atomic_fetch_add(word, 1);
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static int
play(weft_call *call)
{
    struct actor *actor = *(struct actor *const *)call->arg;

    atomic_store(&actor->id, weft_self()->id);
    for (;;) {
        const uint32_t done = atomic_load(&actor->done);

        wait_beyond(&actor->ordered, done);
        act_fn *act = atomic_load(&actor->act);

        if (!act)
            return 0;
        const int status = act(atomic_load(&actor->arg));

        strncpy(actor->why, weft_why(), sizeof actor->why - 1);
        atomic_store(&actor->status, status);
        advance(&actor->done);
    }
}

struct actor *
actor_start(weft_kind kind, const char *name)
{
    ck_assert_uint_lt(count, ACTORS);
    struct actor *actor = &actors[count++];

    actor->job = must_start(
        kind, &(weft_task){.fn = play, .name = name, WEFT_ARG(actor)});
    return actor;
}

void
actor_begin(struct actor *actor, act_fn *act, int64_t arg)
{
    ck_assert(actor_is_done(actor));
    atomic_store(&actor->act, act);
    atomic_store(&actor->arg, arg);
    advance(&actor->ordered);
}

int
actor_result(struct actor *actor)
{
    wait_beyond(&actor->done, atomic_load(&actor->ordered) - 1);
    return atomic_load(&actor->status);
}

int
actor_do(struct actor *actor, act_fn *act, int64_t arg)
{
    actor_begin(actor, act, arg);
    return actor_result(actor);
}

bool
actor_is_done(const struct actor *actor)
{
    return atomic_load(&actor->done) == atomic_load(&actor->ordered);
}

bool
actor_waits(const struct actor *actor)
{
    const unsigned id = atomic_load(&actor->id);
    const struct slot *slot = id ? registry_slot(id) : NULL;

    return slot && !actor_is_done(actor) &&
           atomic_load(&slot->hot.state) == WEFT_WAITING;
}

void
actor_begin_waiting(struct actor *actor, act_fn *act, int64_t arg)
{
    actor_begin(actor, act, arg);
    eventually(actor_waits(actor));
}

void
actor_leave(struct actor *actor)
{
    actor_begin(actor, NULL, 0);
    expect_end(actor->job, WEFT_OK);
}

void
actor_kill(struct actor *actor)
{
    ck_assert_int_eq(weft_kill(actor->job, SIGKILL), 0);
    must_join(actor->job);
    (void)outcome(actor->job);
    weft_release(actor->job);
}

void
actor_stop(struct actor *actor)
{
    ck_assert_int_eq(weft_stop(actor->job), 0);
}

void
expect_misuse(void (*fn)(void *arg), void *arg, const char *call,
              const char *words)
{
    struct ran ran;

    run_program(&ran, fn, arg);
    ck_assert_msg(ran.code == 128 + SIGABRT, "%d: %s", ran.code, ran.err);
    ck_assert_msg(strstr(ran.err, call) && strstr(ran.err, words),
                  "no '%s' and '%s' in %s", call, words, ran.err);
}
