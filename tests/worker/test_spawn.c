/* Workers that are the program executed anew. This program is linked with the
 * shared library, which takes over before main. */
#include "support/worker_support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const weft_worker_options spawned = {.method = WEFT_SPAWN};

static int constructed, main_began; /* pids */

static void
say_handler(void)
{
    printf("a handler of the program\n");
    fflush(stdout);
}

/* All this happens in a worker too. */
__attribute__((constructor)) static void
construct(void)
{
    constructed = getpid();
    if (getenv("HANDLER"))
        (void)atexit(say_handler);
}

static weft_job *
spawn(weft_fn *fn)
{
    return must_start(WEFT_PROCESS, &(weft_task){.fn = fn, .worker = &spawned});
}

static void
expect_nothing_left(void)
{
    weft_fini();
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG | __WALL), -1);
    ck_assert_int_eq(errno, ECHILD);
}

/* --- what it runs, and how that is told */

struct seen {
    int twice, pid, constructed, main_began;
};

static int
look_around(weft_call *call)
{
    struct seen *seen = call->result;

    *seen = (struct seen){2 * *(const int *)call->arg, getpid(), constructed,
                          main_began};
    return 0;
}

static void
expect_double(int value, const weft_worker_options *options)
{
    struct seen seen = {0};
    weft_job *job =
        must_start(WEFT_PROCESS, &(weft_task){.fn = look_around,
                                              WEFT_ARG(value),
                                              .result_size = sizeof seen,
                                              .worker = options});

    must_join(job);
    ck_assert_msg(outcome(job)->status == 0, "%s", outcome(job)->text);
    ck_assert_int_eq(weft_result(job, &seen, sizeof seen, WEFT_FOREVER), 0);
    ck_assert_int_eq(seen.twice, 2 * value);
    ck_assert_int_eq(seen.pid, outcome(job)->pid);
    ck_assert_int_ne(seen.pid, getpid());
    ck_assert_int_eq(seen.constructed, seen.pid);
    ck_assert_int_eq(seen.main_began, 0);
    weft_release(job);
}

START_TEST(a_static_function_runs_after_constructors_and_not_main)
{
    for (int i = 0; i < 20; i++)
        expect_double(i, &spawned);
    expect_nothing_left();
}

END_TEST

static int
exit_with(weft_call *call)
{
    exit(*(const int *)call->arg);
}

START_TEST(exit_codes_are_told)
{
    for (int code = 0; code < 256; code += 51) {
        weft_job *job = must_run(
            WEFT_PROCESS,
            &(weft_task){.fn = exit_with, WEFT_ARG(code), .worker = &spawned});

        ck_assert_int_eq(outcome(job)->status, WEFT_EDIED);
        ck_assert_int_eq(outcome(job)->exit_code, code);
        ck_assert_int_eq(outcome(job)->signal, 0);
        weft_release(job);
    }
    weft_job *job = spawn(do_fail);

    must_join(job);
    ck_assert_int_eq(outcome(job)->status, WEFT_EFAILED);
    ck_assert_str_eq(outcome(job)->message, "it is broken");
    weft_release(job);
}

END_TEST

static int
crash(weft_call *call)
{
    (void)call;
    raise(SIGSEGV);
    return 0;
}

START_TEST(a_crash_is_told)
{
    weft_job *job = must_run(
        WEFT_PROCESS,
        &(weft_task){.fn = crash, .name = "crash", .worker = &spawned});

    ck_assert_int_eq(outcome(job)->status, WEFT_EDIED);
    ck_assert_int_eq(outcome(job)->signal, SIGSEGV);
    if (!support_is_checked()) /* whose own raise it is then */
        ck_assert_msg(strstr(outcome(job)->where, "test_") != NULL,
                      "where: '%s'", outcome(job)->where);
    ck_assert_msg(strstr(outcome(job)->stack, "test_") != NULL, "stack: '%s'",
                  outcome(job)->stack);
    weft_release(job);
}

END_TEST

/* Tells a descriptor that it runs, and waits for the other's end. */
static int
wait_for_end(weft_call *call)
{
    char byte = 'x';

    if (call->fd_count != 2 || write(call->fds[1], &byte, 1) != 1)
        return 1;
    while (read(call->fds[0], &byte, 1) < 0)
        if (errno != EINTR)
            return 2;
    return 0;
}

START_TEST(its_name_is_listed_and_it_has_the_descriptors)
{
    int in[2], out[2];
    char byte;
    weft_worker all[4];

    ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    const int fds[] = {in[0], out[1]};
    const weft_worker_options options = {
        .method = WEFT_SPAWN, .fds = fds, .fd_count = 2};
    weft_job *job = must_start(
        WEFT_PROCESS,
        &(weft_task){.fn = wait_for_end, .name = "Anew", .worker = &options});

    close(in[0]);
    close(out[1]);
    ck_assert_int_eq(read(out[0], &byte, 1), 1);
    ck_assert_uint_eq(weft_list(WEFT_PROCESSES, all, 4), 1);
    ck_assert_str_eq(all[0].name, "Anew");
    ck_assert_int_eq(all[0].state, WEFT_RUNNING);
    ck_assert_int_ne(all[0].pid, getpid());
    ck_assert_int_eq(all[0].parent, getpid());
    close(in[1]);
    expect_end(job, WEFT_OK);
    close(out[0]);
    ck_assert_uint_eq(weft_list(WEFT_PROCESSES, all, 4), 0);
}

END_TEST

static int
tell_descriptors(weft_call *call)
{
    for (int fd = 0; fd < 1024; fd++)
        *(int *)call->result += fcntl(fd, F_GETFD) >= 0;
    return 0;
}

START_TEST(it_has_no_other_descriptors)
{
    int count = 0;
    const int open_to_all = dup2(1, 77);

    ck_assert_int_eq(open_to_all, 77); /* would survive exec */
    weft_job *job =
        must_start(WEFT_PROCESS, &(weft_task){.fn = tell_descriptors,
                                              .result_size = sizeof count,
                                              .worker = &spawned});

    ck_assert_int_eq(weft_result(job, &count, sizeof count, WEFT_FOREVER), 0);
    weft_release(job);
    ck_assert_int_eq(count, 3);
}

END_TEST

/* --- exit handlers, environment, directory */

static void
say_own(void)
{
    printf("its own\n");
}

static int
print_and_end(weft_call *call)
{
    printf("the function\n");
    (void)atexit(say_own);
    return call->arg_size ? 1 : 0;
}

START_TEST(the_program_s_exit_handlers_do_not_run)
{
    const weft_worker_options options = {.method = WEFT_SPAWN, .capture = 4096};

    ck_assert_int_eq(setenv("HANDLER", "1", 1), 0);
    weft_job *job = must_run(
        WEFT_PROCESS, &(weft_task){.fn = print_and_end, .worker = &options});

    ck_assert_int_eq(outcome(job)->status, 0);
    ck_assert_str_eq(outcome(job)->output, "the function\nits own\n");
    weft_release(job);
}

END_TEST

extern char **environ;

static int
tell_place(weft_call *call)
{
    const char *colour = getenv("COLOUR");

    for (char **at = environ; *at; at++)
        if (strncmp(*at, "WEFT_WORKER", 11) == 0)
            return weft_fail(call, "it is still there");
    snprintf(call->result, call->result_size, "%s", colour ? colour : "none");
    const size_t length = strlen(call->result);

    return getcwd((char *)call->result + length, call->result_size - length)
               ? 0
               : 1;
}

static void
expect_place(const weft_worker_options *options, const char *wanted)
{
    char place[256];
    weft_job *job =
        must_start(WEFT_PROCESS, &(weft_task){.fn = tell_place,
                                              .result_size = sizeof place,
                                              .worker = options});

    must_join(job);
    ck_assert_msg(outcome(job)->status == 0, "%s", outcome(job)->text);
    ck_assert_int_eq(weft_result(job, place, sizeof place, WEFT_FOREVER), 0);
    weft_release(job);
    ck_assert_str_eq(place, wanted);
}

START_TEST(environment_and_directory_are_the_caller_s_or_those_given)
{
    const char *const blue[] = {"COLOUR=blue", NULL}, *const none[] = {NULL};

    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(setenv("COLOUR", "red", 1), 0);
    expect_place(&spawned, "red/");
    expect_place(
        &(weft_worker_options){.method = WEFT_SPAWN, .directory = "/proc"},
        "red/proc");
    expect_place(&(weft_worker_options){.method = WEFT_SPAWN, .env = blue},
                 "blue/");
    expect_place(&(weft_worker_options){.method = WEFT_SPAWN, .env = none},
                 "none/");
    ck_assert_ptr_null(getenv("WEFT_WORKER"));
    ck_assert_str_eq(getenv("COLOUR"), "red");
    /* One that was left over is no harm either. */
    ck_assert_int_eq(setenv("WEFT_WORKER", "1", 1), 0);
    expect_place(&spawned, "red/");
}

END_TEST

/* --- many */

START_TEST(fifty_at_once)
{
    enum {
        COUNT = 50
    };

    weft_job *jobs[COUNT];

    for (int i = 0; i < COUNT; i++)
        jobs[i] = must_start(WEFT_PROCESS,
                             &(weft_task){.fn = look_around,
                                          WEFT_ARG(i),
                                          .result_size = sizeof(struct seen),
                                          .worker = &spawned});
    for (int i = 0; i < COUNT; i++) {
        struct seen seen;

        ck_assert_int_eq(weft_result(jobs[i], &seen, sizeof seen, WEFT_FOREVER),
                         0);
        ck_assert_int_eq(seen.twice, 2 * i);
        weft_release(jobs[i]);
    }
    expect_nothing_left();
}

END_TEST

static void *
spawn_some(void *options)
{
    for (unsigned i = 0; i < scaled(40); i++)
        expect_double((int)i, options);
    return NULL;
}

/* The worker dies with the thread that made it, which must not be the one that
 * asked for it. */
static void
spawn_from_threads(const weft_worker_options *options)
{
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        threads[i] = support_thread(spawn_some, (void *)(uintptr_t)options);
    for (int i = 0; i < 4; i++)
        support_join(threads[i]);
    expect_nothing_left();
}

START_TEST(several_threads_may_spawn)
{
    spawn_from_threads(&spawned);
}

END_TEST

static void *
pass_gate(void *gate)
{
    gate_pass(gate);
    return NULL;
}

START_TEST(after_init_among_threads_processes_are_spawned)
{
    struct gate gate = {0};
    weft_job *job = NULL;
    const pthread_t thread = support_thread(pass_gate, &gate);

    ck_assert_int_eq(weft_init(NULL), 0);
    ck_assert_uint_eq(weft_list(WEFT_SERVICES, NULL, 0), 0);
    spawn_from_threads(NULL);
    expect_refused(weft_start(&job, WEFT_PROCESS,
                              &(weft_task){.fn = do_nothing,
                                           .worker =
                                               &(weft_worker_options){
                                                   .method = WEFT_ZYGOTE}}),
                   WEFT_ETHREADS, "weft_init()");
    ck_assert_ptr_null(job);
    gate_open(&gate);
    support_join(thread);
}

END_TEST

/* `sleep_for_ever` opens a gate that does not exist in a process made anew. */
static int
sleep_there(weft_call *call)
{
    (void)call;
    return weft_sleep(WEFT_FOREVER);
}

static int
loop_there(weft_call *call)
{
    volatile bool goes_on = true;

    (void)call;
    while (goes_on)
        ;
    return 0;
}

static void *
spawn_a_sleeper(void *job)
{
    *(weft_job **)job = spawn(sleep_there);
    return NULL;
}

START_TEST(a_worker_outlives_the_thread_that_spawned_it)
{
    weft_job *job = NULL;

    support_join(support_thread(spawn_a_sleeper, &job));
    ck_assert_int_eq(weft_join(job, weft_in(50 * WEFT_MS)), WEFT_ETIMEDOUT);
    ck_assert_int_eq(weft_stop(job), 0);
    expect_end(job, WEFT_ECANCELED);
}

END_TEST

/* --- to be stopped */

START_TEST(it_can_be_stopped_killed_and_timed)
{
    const weft_worker_options hasty = {.method = WEFT_SPAWN,
                                       .grace = 10 * WEFT_MS};

    for (int i = 0; i < 5; i++) {
        weft_job *job = spawn(sleep_there);

        ck_assert_int_eq(weft_stop(job), 0);
        expect_end(job, WEFT_ECANCELED);
        job = must_start(WEFT_PROCESS,
                         &(weft_task){.fn = loop_there, .worker = &hasty});
        ck_assert_int_eq(weft_stop(job), 0);
        expect_end(job, WEFT_ECANCELED);
        job = spawn(loop_there);
        ck_assert_int_eq(weft_kill(job, SIGKILL), 0);
        must_join(job);
        ck_assert_int_eq(outcome(job)->status, WEFT_EDIED);
        ck_assert_int_eq(outcome(job)->signal, SIGKILL);
        weft_release(job);
        job = must_start(WEFT_PROCESS, &(weft_task){.fn = loop_there,
                                                    .worker = &hasty,
                                                    .timeout = 10 * WEFT_MS});
        expect_end(job, WEFT_ETIMEDOUT);
        job = must_start(WEFT_PROCESS, &(weft_task){.fn = sleep_there,
                                                    .worker = &spawned,
                                                    .timeout = 10 * WEFT_MS});
        expect_end(job, WEFT_ETIMEDOUT);
    }
    expect_nothing_left();
}

END_TEST

/* --- it starts some itself */

static int
start_inside(weft_call *call)
{
    for (int i = 0; i < 4; i++) {
        const weft_worker_options *const how[] = {NULL, &spawned};
        struct seen seen = {0};
        weft_job *job = NULL;

        if (weft_start(&job, WEFT_PROCESS,
                       &(weft_task){.fn = look_around,
                                    WEFT_ARG(i),
                                    .result_size = sizeof seen,
                                    .worker = how[i % 2]}) < 0 ||
            weft_result(job, &seen, sizeof seen, WEFT_FOREVER) < 0 ||
            seen.twice != 2 * i)
            return weft_fail(call, "%d: %s", i, weft_why());
        weft_release(job);
        if (weft_start(&job, WEFT_THREAD, &(weft_task){.fn = do_nothing}) < 0 ||
            weft_result(job, NULL, 0, WEFT_FOREVER) < 0)
            return weft_fail(call, "thread: %s", weft_why());
        weft_release(job);
    }
    return 0;
}

START_TEST(it_starts_workers_itself)
{
    weft_job *job = spawn(start_inside);

    must_join(job);
    ck_assert_msg(outcome(job)->status == 0, "%s", outcome(job)->text);
    weft_release(job);
    expect_nothing_left();
}

END_TEST

START_TEST(nothing_is_left)
{
    expect_double(1, &spawned);
    const int fds = support_fds();

    for (unsigned i = 0; i < scaled(300); i++)
        expect_double(1, &spawned);
    eventually(support_fds() <= fds + 1); /* the bell, at its first need */
    expect_nothing_left();
}

END_TEST

/* --- forged requests */

enum {
    PLAIN = 42 /* exit code of the program that just runs */
};

static void
give_nothing(void)
{
    close(3);
}

static void
give_null(void)
{
    dup2(open("/dev/null", O_RDWR), 3);
}

static void
give_a_pipe(void)
{
    int ends[2];

    child_expect(pipe(ends) == 0);
    child_expect(write(ends[1], "garbage", 7) == 7);
    if (ends[1] == 3) /* the pipe's other end stays open */
        child_expect(dup(ends[1]) >= 0);
    child_expect(dup2(ends[0], 3) == 3);
}

static void
give_a_socket(int type, const char *garbage)
{
    int ends[2];

    child_expect(socketpair(AF_UNIX, type, 0, ends) == 0);
    child_expect(fcntl(ends[1], F_DUPFD, 10) >= 0); /* stays open */
    if (garbage)
        child_expect(write(ends[1], garbage, strlen(garbage)) > 0);
    child_expect(dup2(ends[0], 3) == 3);
}

static void
give_a_stream(void)
{
    give_a_socket(SOCK_STREAM, "garbage");
}

static void
give_packets(void)
{
    give_a_socket(SOCK_SEQPACKET, "garbage");
}

static void
give_silence(void)
{
    give_a_socket(SOCK_SEQPACKET, NULL);
}

static void
give_zeros(void)
{
    static char zeros[65536];
    int ends[2];

    child_expect(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
    child_expect(fcntl(ends[1], F_DUPFD, 10) >= 0);
    child_expect(write(ends[1], zeros, sizeof zeros) > 0);
    child_expect(dup2(ends[0], 3) == 3);
}

static void (*const forgeries[])(void) = {
    give_nothing, give_null,    give_a_pipe, give_a_stream,
    give_packets, give_silence, give_zeros};

static void
run_forged(void *give)
{
    char variable[32];

    snprintf(variable, sizeof variable, "%d", getppid());
    child_expect(setenv("WEFT_WORKER", variable, 1) == 0);
    (*(void (*const *)(void))give)();
    execl("/proc/self/exe", "forged", "run", (char *)NULL);
    _exit(98);
}

START_TEST(a_forged_request_is_none)
{
    struct ran ran;

    run_program(&ran, run_forged, (void *)(uintptr_t)&forgeries[_i]);
    ck_assert_msg(ran.code == PLAIN, "%d: %s", ran.code, ran.err);
    ck_assert_str_eq(ran.out, "main\n");
}

END_TEST

/* --- the shared heap */

struct link {
    struct link *next;
    int number;
};

static int
lengthen(weft_call *call)
{
    struct link *const *list = call->arg;
    struct link *link = weft_shared_alloc(sizeof *link);

    if (!link)
        return weft_fail(call, "%s", weft_why());
    link->number = (*list)->number + 1;
    link->next = (*list)->next;
    (*list)->next = link;
    return 0;
}

START_TEST(a_list_in_the_heap_grows_in_workers)
{
    const weft_worker_options options = {.method = WEFT_SPAWN,
                                         .heap = WEFT_HEAP_SHARED};
    struct link *list = weft_shared_alloc(sizeof *list);

    ck_assert_ptr_nonnull(list);
    for (int i = 0; i < 3; i++)
        expect_end(must_run(WEFT_PROCESS,
                            &(weft_task){.fn = lengthen,
                                         WEFT_ARG(list),
                                         .worker = i ? &spawned : &options}),
                   WEFT_OK);
    for (struct link *link = list, *next; link; link = next) {
        next = link->next;
        ck_assert_int_eq(link->number, link != list);
        weft_shared_free(link);
    }
    ck_assert_uint_eq(weft_shared_used(), 0);
}

END_TEST

static int
have_no_heap(weft_call *call)
{
    (void)call;
    return weft_shared_alloc(1) == NULL ? 0 : -1;
}

START_TEST(a_worker_may_go_without_the_heap)
{
    const weft_worker_options options = {.method = WEFT_SPAWN,
                                         .heap = WEFT_HEAP_NONE};

    expect_end(must_run(WEFT_PROCESS,
                        &(weft_task){.fn = have_no_heap, .worker = &options}),
               WEFT_OK);
}

END_TEST

/* In a worker, before main: then it has a heap already. */
__attribute__((constructor)) static void
take_early(void)
{
    if (getenv("EARLY_HEAP"))
        (void)!weft_shared_alloc(1);
}

START_TEST(a_heap_of_its_own_is_a_mismatch)
{
    weft_job *job = NULL;

    ck_assert_ptr_nonnull(weft_shared_alloc(1));
    setenv("EARLY_HEAP", "1", 1);
    expect_refused(
        weft_start(&job, WEFT_PROCESS,
                   &(weft_task){.fn = have_no_heap, .worker = &spawned}),
        WEFT_EMISMATCH, "shared heap");
}

END_TEST

int
main(int argc, char **argv)
{
    (void)argv;
    main_began = getpid();
    if (argc > 1)
        return puts("main"), PLAIN;
    Suite *suite = suite_create("spawn");
    TCase *tcase = support_case(suite, "spawn", 15);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_test(tcase,
                   a_static_function_runs_after_constructors_and_not_main);
    tcase_add_test(tcase, exit_codes_are_told);
    tcase_add_test(tcase, a_crash_is_told);
    tcase_add_test(tcase, its_name_is_listed_and_it_has_the_descriptors);
    tcase_add_test(tcase, it_has_no_other_descriptors);
    tcase_add_test(tcase, the_program_s_exit_handlers_do_not_run);
    tcase_add_test(tcase,
                   environment_and_directory_are_the_caller_s_or_those_given);
    tcase_add_test(tcase, fifty_at_once);
    tcase_add_test(tcase, several_threads_may_spawn);
    tcase_add_test(tcase, after_init_among_threads_processes_are_spawned);
    tcase_add_test(tcase, a_worker_outlives_the_thread_that_spawned_it);
    tcase_add_test(tcase, it_can_be_stopped_killed_and_timed);
    tcase_add_test(tcase, it_starts_workers_itself);
    tcase_add_test(tcase, nothing_is_left);
    support_add_table(tcase, a_forged_request_is_none, forgeries);
    tcase_add_test(tcase, a_list_in_the_heap_grows_in_workers);
    tcase_add_test(tcase, a_worker_may_go_without_the_heap);
    tcase_add_test(tcase, a_heap_of_its_own_is_a_mismatch);
    return support_run(suite);
}
