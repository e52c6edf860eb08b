/* A worker that dies says where; and one that lies about it harms nobody. */
#include "support/options_support.h"
#include "worker/wire.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int *volatile nowhere;
static int (*volatile no_function)(void);
static volatile int zero;

static weft_job *
start(weft_method method, weft_fn *fn)
{
    return must_start(
        WEFT_PROCESS,
        &(weft_task){.fn = fn,
                     .name = "Crash",
                     .worker = &(weft_worker_options){.method = method}});
}

static int
write_to_nowhere(weft_call *call)
{
    *nowhere = 1;
    return call->attempt != 0;
}

static int
call_nowhere(weft_call *call)
{
    return no_function() + (call->attempt != 0);
}

static int
abort_it(weft_call *call)
{
    (void)call;
    abort();
}

static int
overflow(weft_call *call)
{
    volatile char page[4096];

    page[0] = (char)(call->attempt + 1);
    return zero ? 0 : overflow(call) + page[0];
}

static int
divide(weft_call *call)
{
#if defined __x86_64__
    return 100 / (zero + (int)call->attempt);
#else
    (void)call;
    return raise(SIGFPE);
#endif
}

static int
trap(weft_call *call)
{
    (void)call;
    __builtin_trap();
}

static int
read_beyond_a_file(weft_call *call)
{
    const int fd = memfd_create("empty", MFD_CLOEXEC);
    volatile char *at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

    return at == MAP_FAILED ? -1 : *at + (int)call->attempt;
}

static const struct death {
    weft_fn *fn;
    const char *name;
    int signal; /* 0: one of two */
    unsigned frames;
} deaths[] = {
    {write_to_nowhere, "SIGSEGV", SIGSEGV, 1},
    {call_nowhere, "SIGSEGV", SIGSEGV, 2},
    {abort_it, "SIGABRT", SIGABRT, 2},
    {overflow, "SIGSEGV", SIGSEGV, 10},
    {divide, "SIGFPE", SIGFPE, 1},
    {trap, "SIG", 0, 1},
    {read_beyond_a_file, "SIGBUS", SIGBUS, 1},
};

static unsigned
lines(const char *text)
{
    unsigned count = 0;

    for (; *text; text++)
        count += *text == '\n';
    return count;
}

/* Each line is a frame with its number. */
static void
check_stack(const char *stack)
{
    unsigned number = 0;

    for (const char *at = stack; *at; at = strchr(at, '\n') + 1) {
        char start[16];

        snprintf(start, sizeof start, "#%u ", number++);
        ck_assert_msg(strncmp(at, start, strlen(start)) == 0, "%s", stack);
        ck_assert_ptr_nonnull(strchr(at, '\n'));
    }
}

static void
expect_death(weft_job *job, const struct death *death)
{
    char expected[512];

    must_join(job);
    const weft_outcome *end = outcome(job);

    ck_assert_int_eq(end->status, WEFT_EDIED);
    if (death->signal)
        ck_assert_int_eq(end->signal, death->signal);
    ck_assert_int_eq(end->exit_code, -1);
    ck_assert(!end->out_of_memory);
    ck_assert_msg(strstr(end->where, "crash_place"), "%s\n%s", end->where,
                  end->stack);
    ck_assert_msg(lines(end->stack) >= death->frames, "%s", end->stack);
    check_stack(end->stack);
    snprintf(expected, sizeof expected, "process Crash (pid %d) died of %s",
             end->pid, death->name);
    ck_assert_msg(strncmp(end->text, expected, strlen(expected)) == 0, "%s",
                  end->text);
    snprintf(expected, sizeof expected, " at %s", end->where);
    ck_assert_ptr_nonnull(strstr(end->text, expected));
    weft_release(job);
}

START_TEST(a_death_tells_its_place)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        expect_death(start(methods[i], deaths[_i].fn), &deaths[_i]);
}

END_TEST

/* --- in another thread */

static weft_fn *in_thread;

static void *
run_there(void *call)
{
    in_thread(call);
    return NULL;
}

static int
die_in_a_thread(weft_call *call)
{
    pthread_t thread;

    in_thread = deaths[*(const int *)call->arg].fn;
    if (pthread_create(&thread, NULL, run_there, call) != 0)
        return 1;
    pthread_join(thread, NULL);
    return 0;
}

START_TEST(a_death_of_a_thread_tells_its_place)
{
    struct death death = deaths[_i];
    weft_job *job = must_run(
        WEFT_PROCESS,
        &(weft_task){.fn = die_in_a_thread, .name = "Crash", WEFT_ARG(_i)});

    if (death.fn != overflow) {
        expect_death(job, &death);
        return;
    }
    /* There is no stack left to tell it on. */
    ck_assert_int_eq(outcome(job)->signal, SIGSEGV);
    expect_end(job, WEFT_EDIED);
}

END_TEST

/* --- killed */

START_TEST(a_kill_from_outside_is_told)
{
    weft_job *job = start(methods[_i], wait_for_go);
    weft_worker worker;

    gate_pass(&common->begun);
    weft_worker_of(job, &worker);
    ck_assert_int_eq(kill(worker.pid, SIGKILL), 0);
    must_join(job);
    ck_assert_ptr_nonnull(strstr(outcome(job)->text, "sender unknown"));
    ck_assert_str_eq(outcome(job)->where, "");
    ck_assert_str_eq(outcome(job)->stack, "");
    expect_end(job, WEFT_EDIED);
}

END_TEST

START_TEST(one_s_own_kill_is_not)
{
    weft_job *job = start(methods[_i], wait_for_go);

    gate_pass(&common->begun);
    ck_assert_int_eq(weft_kill(job, SIGKILL), 0);
    must_join(job);
    ck_assert_ptr_null(strstr(outcome(job)->text, "sender unknown"));
    ck_assert_ptr_nonnull(strstr(outcome(job)->text, "SIGKILL"));
    expect_end(job, WEFT_EDIED);
}

END_TEST

/* --- not the worker itself */

static int
let_a_child_crash(weft_call *call)
{
    const pid_t pid = fork();

    if (pid == 0)
        _exit(write_to_nowhere(call));
    waitpid(pid, NULL, 0);
    raise(SIGKILL);
    return 0;
}

START_TEST(a_crash_of_its_child_is_not_its_own)
{
    weft_job *job = start(methods[_i], let_a_child_crash);

    must_join(job);
    ck_assert_int_eq(outcome(job)->signal, SIGKILL);
    ck_assert_str_eq(outcome(job)->where, "");
    ck_assert_str_eq(outcome(job)->stack, "");
    expect_end(job, WEFT_EDIED);
}

END_TEST

static int
crash_and_recover(weft_call *call)
{
    const pid_t pid = fork();

    if (pid == 0)
        _exit(write_to_nowhere(call));
    waitpid(pid, NULL, 0);
    return call_nowhere(call);
}

START_TEST(its_own_crash_comes_after_that_of_its_child)
{
    expect_death(start(methods[_i], crash_and_recover), &deaths[1]);
}

END_TEST

/* --- lies */

/* What it shares with its parent and may write, the result's room cut short. */
static char *
shared_part(size_t *size)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512], access[8];
    unsigned long start = 0, end = 0;
    char *found = NULL;

    while (maps && !found && fgets(line, sizeof line, maps))
        if (strstr(line, "weft-job") &&
            sscanf(line, "%lx-%lx %7s", &start, &end, access) == 3 &&
            access[1] == 'w')
            found = (char *)start;
    if (maps)
        fclose(maps);
    *size = found ? end - start : 0;
    if (*size > 64 << 10)
        *size = 64 << 10;
    return found;
}

enum ending {
    BY_KILL,
    BY_RETURN,
    BY_EXIT,
    BY_CRASH,
    ENDINGS
};

enum lie {
    RANDOM,
    ALL_ONES,
    ALL_ZERO,
    LETTERS,
    BY_FIELD, /* plausible, and wrong */
    LIES
};

struct forgery {
    enum ending ending;
    enum lie lie;
    unsigned seed;
};

static void
forge_fields(char *at, unsigned seed)
{
    struct wire_crash *crash = (struct wire_crash *)(void *)at;
    struct wire_report *report =
        (struct wire_report *)(void *)(at + wire_pages(sizeof *crash));

    memset(crash->paths, '\n', sizeof crash->paths);
    crash->signal = -1;
    crash->files = UINT32_MAX;
    for (unsigned i = 0; i < OS_FRAMES; i++) {
        crash->frames[i].file = seed % 2 ? i : UINT32_MAX - i;
        crash->frames[i].offset = UINT64_MAX - i;
        crash->frames[i].address = UINT64_MAX;
    }
    atomic_store(&crash->count, seed % 3 ? OS_FRAMES : UINT32_MAX);
    atomic_store(&report->slot, seed % 5 ? seed : UINT32_MAX);
    report->code = seed % 2 ? 0 : -5;
    report->result_size = seed % 4 == 0   ? UINT64_MAX - 4095
                          : seed % 4 == 1 ? (uint64_t)64 << 30
                          : seed % 4 == 2 ? ((uint64_t)64 << 30) + 1
                                          : 100;
    memset(report->message, 0x1b, sizeof report->message);
    atomic_store(&report->phase.value, WIRE_RETURNED);
}

static void
forge(char *at, size_t size, const struct forgery *how)
{
    unsigned seed = how->seed;

    if (how->lie == BY_FIELD)
        forge_fields(at, seed);
    else if (how->lie == RANDOM)
        for (size_t i = 0; i < size; i++)
            at[i] = (char)rand_r(&seed);
    else
        memset(at,
               how->lie == ALL_ONES  ? 0xff
               : how->lie == LETTERS ? 'A'
                                     : 0,
               size);
}

static int
lie(weft_call *call)
{
    const struct forgery how = *(const struct forgery *)call->arg;
    size_t size = 0;
    char *at = shared_part(&size);

    if (!at)
        return weft_fail(call, "it shares nothing");
    forge(at, size, &how);
    gate_open(&common->begun);
    gate_pass(&common->go);
    forge(at, size, &how);
    switch (how.ending) {
    case BY_KILL:
        raise(SIGKILL);
        break;
    case BY_EXIT:
        _exit(0);
    case BY_CRASH:
        /* Not told by the handler, which would mend it. */
        signal(SIGSEGV, SIG_DFL);
        *nowhere = 1;
        break;
    default:
        break;
    }
    forge(at, size, &how);
    _exit(how.seed % 2);
}

static void
expect_text(const char *text, size_t most, bool may_have_lines)
{
    ck_assert_uint_le(strlen(text), most);
    for (; *text; text++)
        ck_assert(((unsigned char)*text >= ' ' && *text != 0x7f) ||
                  (may_have_lines && *text == '\n'));
}

static void
look_at_liar(weft_job *job)
{
    weft_worker workers[4];

    for (int i = 0; i < 3; i++) {
        weft_worker_of(job, &workers[0]);
        (void)weft_list(WEFT_PROCESSES | WEFT_SERVICES, workers, 4);
        ck_assert(weft_is_alive(job));
        ck_assert_ptr_null(weft_outcome_of(job));
        ck_assert_int_eq(weft_kill(job, 0), 0);
    }
}

static void
hear_out(const struct forgery *how)
{
    atomic_store(&common->begun.open, 0);
    atomic_store(&common->go.open, 0);
    weft_job *job =
        must_start(WEFT_PROCESS, &(weft_task){.fn = lie, WEFT_ARG(*how)});

    gate_pass(&common->begun);
    look_at_liar(job);
    gate_open(&common->go);
    must_join(job);
    const weft_outcome *end = outcome(job);

    expect_text(end->text, 2048, false);
    expect_text(end->where, 512, false);
    expect_text(end->stack, 16 << 10, true);
    expect_text(end->message, 1023, false);
    ck_assert_str_eq(end->output, "");
    if (end->status == WEFT_OK)
        ck_assert_uint_le(end->result_size, (size_t)64 << 30);
    else
        ck_assert_ptr_null(end->result);
    weft_release(job);
}

START_TEST(lies_do_no_harm)
{
    for (struct forgery how = {.lie = RANDOM}; how.lie < LIES; how.lie++)
        for (how.ending = 0; how.ending < ENDINGS; how.ending++)
            for (how.seed =
                     how.lie == RANDOM || how.lie == BY_FIELD ? scaled(60) : 2;
                 how.seed > 0; how.seed--)
                hear_out(&how);
    expect_end(must_run(WEFT_PROCESS, &(weft_task){.fn = do_nothing}), WEFT_OK);
    ck_assert_uint_eq(weft_list(WEFT_PROCESSES, NULL, 0), 0);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("crash_place");
    TCase *tcase = support_case(suite, "places", 20);

    tcase_add_checked_fixture(tcase, options_ready, NULL);
    if (!support_is_checked()) { /* whose own reports come first */
        support_add_table(tcase, a_death_tells_its_place, deaths);
        support_add_table(tcase, a_death_of_a_thread_tells_its_place, deaths);
        add_for_methods(tcase, its_own_crash_comes_after_that_of_its_child);
    }
    add_for_methods(tcase, a_kill_from_outside_is_told);
    add_for_methods(tcase, one_s_own_kill_is_not);
    add_for_methods(tcase, a_crash_of_its_child_is_not_its_own);
    tcase = support_case(suite, "lies", 60);
    tcase_add_checked_fixture(tcase, options_ready, NULL);
    tcase_add_test(tcase, lies_do_no_harm);
    return support_run(suite);
}
