/* Looking at workers: lists, records and the words for them. */
#include "support/worker_support.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KIND kinds[_i]

static const char *
words(const weft_worker *worker)
{
    static char text[4][WEFT_TEXT];
    static unsigned next;

    return weft_describe(worker, text[next++ % 4], WEFT_TEXT);
}

static const char *
expected(const char *format, ...)
{
    static char text[WEFT_TEXT];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return text;
}

/* --- lists */

START_TEST(a_fresh_program_has_one_thread_and_no_process)
{
    weft_worker all[4];

    ck_assert_uint_eq(weft_list(WEFT_THREADS, NULL, 0), 1);
    ck_assert_uint_eq(weft_list(WEFT_THREADS, all, 4), 1);
    ck_assert(all[0].main);
    ck_assert_int_eq(all[0].tid, gettid());
    ck_assert_uint_eq(weft_list(WEFT_PROCESSES, all, 4), 0);
    ck_assert_uint_eq(weft_list(0, all, 4), 0);
}

END_TEST

START_TEST(workers_come_in_the_order_of_their_start)
{
    enum {
        COUNT = 20
    };

    const unsigned which = KIND == WEFT_THREAD ? WEFT_THREADS : WEFT_PROCESSES;
    const size_t first = KIND == WEFT_THREAD;
    weft_job *jobs[COUNT];
    weft_worker all[COUNT + 2];
    char name[32];

    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "number %d", i);
        jobs[i] =
            must_start(KIND, &(weft_task){.fn = wait_for_go, .name = name});
    }
    ck_assert_uint_eq(weft_list(which, NULL, 0), COUNT + first);
    ck_assert_uint_eq(weft_list(which, all, COUNT + 2), COUNT + first);
    if (first)
        ck_assert(all[0].main);
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "number %d", i);
        ck_assert_str_eq(all[(size_t)i + first].name, name);
        ck_assert(all[(size_t)i + first].kind == KIND);
    }
    /* Less room than there are. */
    memset(all, 0x55, sizeof all);
    ck_assert_uint_eq(weft_list(which, all, 3), COUNT + first);
    ck_assert_str_eq(all[2].name, first ? "number 1" : "number 2");
    ck_assert_int_eq(((const char *)&all[3])[0], 0x55);
    gate_open(&common->go);
    for (int i = 0; i < COUNT; i++)
        expect_end(jobs[i], WEFT_OK);
    ck_assert_uint_eq(weft_list(which, NULL, 0), first);
}

END_TEST

START_TEST(an_idle_thread_is_not_listed)
{
    for (int i = 0; i < 100; i++) {
        expect_end(must_start(WEFT_THREAD, &(weft_task){.fn = do_nothing}),
                   WEFT_OK);
        ck_assert_uint_eq(weft_list(WEFT_THREADS, NULL, 0), 1);
        ck_assert_uint_eq(weft_list(WEFT_THREADS | WEFT_SERVICES, NULL, 0), 1);
    }
}

END_TEST

START_TEST(services_are_hidden_unless_asked_for)
{
    weft_worker all[8];
    unsigned zygotes = 0, threads = 0;

    expect_end(must_start(WEFT_PROCESS, &(weft_task){.fn = do_nothing}),
               WEFT_OK);
    ck_assert_uint_eq(weft_list(WEFT_THREADS | WEFT_PROCESSES, all, 8), 1);
    ck_assert(!all[0].service);
    const size_t count = weft_list(WEFT_SERVICES, all, 8);

    ck_assert_uint_eq(count, 2);
    for (size_t i = 0; i < count; i++) {
        ck_assert(all[i].service);
        ck_assert_int_eq(strncmp(all[i].name, "weft-", 5), 0);
        zygotes += all[i].kind == WEFT_PROCESS;
        threads += all[i].kind == WEFT_THREAD;
        /* A process has the id of its main thread. */
        if (all[i].kind == WEFT_PROCESS)
            ck_assert_int_eq(all[i].pid, all[i].tid);
        else
            ck_assert_int_eq(all[i].pid, getpid());
        ck_assert_int_eq(kill(all[i].pid, 0), 0);
    }
    ck_assert_uint_eq(zygotes, 1);
    ck_assert_uint_eq(threads, 1);
    ck_assert_uint_eq(weft_list(WEFT_THREADS | WEFT_SERVICES, all, 8), 3);
    ck_assert(all[0].main);
}

END_TEST

START_TEST(a_hundred_processes_are_listed_rightly)
{
    const unsigned count = support_is_valgrind() ? 20 : 100;
    weft_job *jobs[100];
    weft_worker all[101], one;
    char name[32];

    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, "process %u", i);
        jobs[i] = must_start(WEFT_PROCESS,
                             &(weft_task){.fn = wait_for_go, .name = name});
    }
    ck_assert_uint_eq(weft_list(WEFT_PROCESSES, all, 101), count);
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, "process %u", i);
        ck_assert_str_eq(all[i].name, name);
        ck_assert_int_eq(all[i].kind, WEFT_PROCESS);
        ck_assert_int_eq(all[i].parent, getpid());
        ck_assert_int_eq(all[i].pid, all[i].tid);
        ck_assert_int_eq(kill(all[i].pid, 0), 0);
        ck_assert(!all[i].main && !all[i].service && !all[i].adopted);
        weft_worker_of(jobs[i], &one);
        ck_assert_int_eq(one.pid, all[i].pid);
        for (unsigned k = 0; k < i; k++)
            ck_assert_int_ne(all[k].pid, all[i].pid);
    }
    gate_open(&common->go);
    for (unsigned i = 0; i < count; i++) {
        must_join(jobs[i]);
        ck_assert_int_eq(outcome(jobs[i])->pid, all[i].pid);
        expect_end(jobs[i], WEFT_OK);
    }
    ck_assert_uint_eq(weft_list(WEFT_PROCESSES, NULL, 0), 0);
}

END_TEST

START_TEST(a_delayed_job_is_no_worker_yet)
{
    const unsigned which = WEFT_THREADS | WEFT_PROCESSES;
    weft_job *job = must_start(
        KIND, &(weft_task){.fn = do_nothing, .delay = 3600 * WEFT_SECOND});

    ck_assert_uint_eq(weft_list(which, NULL, 0), 1);
    ck_assert_int_eq(weft_stop(job), 0);
    expect_end(job, WEFT_ECANCELED);
    ck_assert_uint_eq(weft_list(which, NULL, 0), 1);
}

END_TEST

static void *
look_and_wait(void *gate)
{
    (void)weft_self();
    gate_open(&common->begun);
    gate_pass(gate);
    return NULL;
}

START_TEST(a_foreign_thread_is_listed_once_it_has_called)
{
    struct gate gate = {0};
    weft_worker all[4];
    const pthread_t thread = support_thread(look_and_wait, &gate);

    gate_pass(&common->begun);
    ck_assert_uint_eq(weft_list(WEFT_THREADS, all, 4), 2);
    ck_assert(all[1].adopted);
    ck_assert(all[1].daemon);
    ck_assert(!all[1].main);
    ck_assert_str_eq(words(&all[1]),
                     expected("<_DummyThread(Dummy-%d, started daemon %d)>",
                              all[1].tid, all[1].tid));
    gate_open(&gate);
    support_join(thread);
    ck_assert_uint_eq(weft_list(WEFT_THREADS, all, 4), 1);
}

END_TEST

/* --- one's own record */

static int
look_at_oneself(weft_call *call)
{
    const weft_worker *self = weft_self(), *process = weft_process();
    const weft_kind kind = *(const weft_kind *)call->arg;

    if (self != weft_self() || process != weft_process())
        return weft_fail(call, "it moves");
    if (self->kind != WEFT_THREAD || process->kind != WEFT_PROCESS)
        return weft_fail(call, "kinds %d and %d", self->kind, process->kind);
    if (self->tid != gettid() || self->pid != getpid())
        return weft_fail(call, "tid %d, pid %d", self->tid, self->pid);
    if (process->tid != getpid() || process->pid != getpid())
        return weft_fail(call, "process %d", process->pid);
    if (self->state != WEFT_RUNNING)
        return weft_fail(call, "state %d", self->state);
    if (self->main != (kind == WEFT_PROCESS))
        return weft_fail(call, "main %d", self->main);
    if (process->main != (kind == WEFT_THREAD))
        return weft_fail(call, "main process %d", process->main);
    if (self->id == process->id || self->id == 0 || process->id == 0)
        return weft_fail(call, "ids %u and %u", self->id, process->id);
    if (strcmp(kind == WEFT_THREAD ? self->name : process->name, "Me") != 0)
        return weft_fail(call, "name %s", self->name);
    snprintf(common->text, sizeof common->text, "%s\n%s", words(self),
             words(process));
    return 0;
}

START_TEST(a_worker_knows_itself)
{
    const weft_kind kind = KIND;
    weft_worker was;
    weft_job *job = must_run(
        kind,
        &(weft_task){.fn = look_at_oneself, .name = "Me", WEFT_ARG(kind)});

    ck_assert_str_eq(outcome(job)->message, "");
    weft_worker_of(job, &was);
    if (kind == WEFT_THREAD)
        ck_assert_str_eq(common->text,
                         expected("<Thread(Me, started %d)>\n"
                                  "<_MainProcess(MainProcess, started %d)>",
                                  was.tid, getpid()));
    else
        ck_assert_str_eq(common->text,
                         expected("<_MainThread(MainThread, started %d)>\n"
                                  "<Process(Me, started %d, parent %d)>",
                                  was.tid, was.pid, getpid()));
    expect_end(job, WEFT_OK);
}

END_TEST

START_TEST(the_parent_is_who_started_it)
{
    weft_worker worker;
    weft_job *job = must_start(KIND, &(weft_task){.fn = wait_for_go});

    gate_pass(&common->begun);
    weft_worker_of(job, &worker);
    ck_assert_int_eq(worker.parent, gettid());
    gate_open(&common->go);
    expect_end(job, WEFT_OK);
}

END_TEST

static int
start_inner_process(weft_call *call)
{
    weft_job **job = *(weft_job * *const *)call->arg;

    return weft_start(job, WEFT_PROCESS,
                      &(weft_task){.fn = wait_for_go, .name = "inner"});
}

/* "of a process the pid of its parent", whichever thread started it. */
START_TEST(the_parent_of_a_process_is_a_process)
{
    weft_job *job = NULL, **out = &job;
    weft_worker worker;

    ck_assert_int_eq(weft_init(NULL), 0);
    expect_end(must_start(WEFT_THREAD, &(weft_task){.fn = start_inner_process,
                                                    WEFT_ARG(out)}),
               WEFT_OK);
    gate_pass(&common->begun);
    weft_worker_of(job, &worker);
    ck_assert_int_eq(worker.parent, getpid());
    ck_assert_str_eq(words(&worker),
                     expected("<Process(inner, started %d, parent %d)>",
                              worker.pid, getpid()));
    gate_open(&common->go);
    expect_end(job, WEFT_OK);
}

END_TEST

/* --- before, while, after */

START_TEST(a_record_follows_its_job)
{
    weft_worker worker;
    weft_job *job = must_start(
        KIND,
        &(weft_task){.fn = wait_for_go, .name = "one", .delay = 30 * WEFT_MS});
    const weft_time early = weft_now();

    weft_worker_of(job, &worker);
    ck_assert_int_eq(worker.kind, KIND);
    ck_assert_int_eq(worker.state, WEFT_STARTING);
    ck_assert_int_eq(worker.tid, 0);
    ck_assert_str_eq(worker.name, "one");
    if (KIND == WEFT_THREAD)
        ck_assert_str_eq(words(&worker), "<Thread(one, initial)>");
    gate_pass(&common->begun);
    eventually(state_of(job) == WEFT_RUNNING);
    weft_worker_of(job, &worker);
    ck_assert_int_gt(worker.tid, 0);
    ck_assert_int_ne(worker.tid, gettid());
    ck_assert_int_eq(worker.pid == getpid(), KIND == WEFT_THREAD);
    ck_assert_int_eq(worker.state, WEFT_RUNNING);
    ck_assert_int_gt(worker.since.ns, early.ns);
    ck_assert_int_le(worker.since.ns, weft_now().ns);
    ck_assert_str_eq(words(&worker),
                     KIND == WEFT_THREAD
                         ? expected("<Thread(one, started %d)>", worker.tid)
                         : expected("<Process(one, started %d, parent %d)>",
                                    worker.pid, getpid()));
    const int tid = worker.tid;

    gate_open(&common->go);
    must_join(job);
    weft_worker_of(job, &worker);
    ck_assert_int_eq(worker.state, WEFT_ENDED);
    ck_assert_int_eq(worker.tid, tid);
    ck_assert_str_eq(worker.name, "one");
    ck_assert_str_eq(
        words(&worker),
        KIND == WEFT_THREAD
            ? expected("<Thread(one, stopped %d)>", tid)
            : expected("<Process(one, stopped %d, parent %d, exitcode 0)>", tid,
                       getpid()));
    weft_release(job);
}

END_TEST

START_TEST(an_ended_worker_is_not_taken_for_the_next_job_s)
{
    weft_worker first, second;
    weft_job *ended =
        must_run(WEFT_THREAD, &(weft_task){.fn = do_nothing, .name = "first"});
    weft_job *job = must_start(
        WEFT_THREAD, &(weft_task){.fn = wait_for_go, .name = "second"});

    gate_pass(&common->begun);
    weft_worker_of(ended, &first);
    weft_worker_of(job, &second);
    ck_assert_int_eq(first.state, WEFT_ENDED);
    ck_assert_str_eq(first.name, "first");
    ck_assert_str_eq(second.name, "second");
    ck_assert_int_ne(second.state, WEFT_ENDED);
    gate_open(&common->go);
    expect_end(job, WEFT_OK);
    weft_release(ended);
}

END_TEST

START_TEST(a_wait_is_shown)
{
    weft_worker worker;
    weft_job *job = must_start(WEFT_THREAD, &(weft_task){.fn = sleep_for_ever});

    eventually(state_of(job) == WEFT_WAITING);
    weft_worker_of(job, &worker);
    ck_assert_int_eq(worker.wait_until.ns, WEFT_FOREVER.ns);
    ck_assert_str_ne(worker.waits_for, "");
    weft_stop(job);
    expect_end(job, WEFT_ECANCELED);
}

END_TEST

/* --- the words */

static int
end_as_told(weft_call *call)
{
    const int how = *(const int *)call->arg;

    if (how < 0) {
        signal(-how, SIG_DFL);
        raise(-how);
    }
    if (how >= 100)
        exit(how - 100);
    return how;
}

static const struct {
    int how;
    const char *text;
} deaths[] = {
    {0, "exitcode 0"},
    {1, "exitcode 1"},
    {42, "exitcode 42"},
    {103, "exitcode 3"},
    {-SIGKILL, "exitcode -SIGKILL"},
    {-SIGTERM, "exitcode -SIGTERM"},
};

START_TEST(an_ended_process_tells_its_exit)
{
    weft_worker worker;
    weft_job *job =
        must_run(WEFT_PROCESS, &(weft_task){.fn = end_as_told,
                                            .name = "gone",
                                            WEFT_ARG(deaths[_i].how)});

    weft_worker_of(job, &worker);
    ck_assert_str_eq(words(&worker),
                     expected("<Process(gone, stopped %d, parent %d, %s)>",
                              outcome(job)->pid, getpid(), deaths[_i].text));
    ck_assert_int_eq(worker.signal, outcome(job)->signal);
    weft_release(job);
}

END_TEST

START_TEST(a_daemon_thread_says_so)
{
    weft_worker worker;
    weft_job *job = must_start(
        WEFT_THREAD,
        &(weft_task){.fn = wait_for_go, .name = "ghost", .daemon = true});

    gate_pass(&common->begun);
    weft_worker_of(job, &worker);
    ck_assert_str_eq(words(&worker), expected("<Thread(ghost, started daemon "
                                              "%d)>",
                                              worker.tid));
    gate_open(&common->go);
    expect_end(job, WEFT_OK);
}

END_TEST

static const struct {
    weft_worker worker;
    const char *text;
} forms[] = {
    {{.kind = WEFT_THREAD, .main = true, .tid = 7, .name = "MainThread"},
     "<_MainThread(MainThread, started 7)>"},
    {{.kind = WEFT_THREAD, .tid = 7, .name = "SumProd"},
     "<Thread(SumProd, started 7)>"},
    {{.kind = WEFT_THREAD, .tid = 7, .daemon = true, .name = "N"},
     "<Thread(N, started daemon 7)>"},
    {{.kind = WEFT_THREAD, .state = WEFT_STARTING, .name = "N"},
     "<Thread(N, initial)>"},
    {{.kind = WEFT_THREAD, .state = WEFT_ENDED, .tid = 7, .name = "N"},
     "<Thread(N, stopped 7)>"},
    {{.kind = WEFT_THREAD, .state = WEFT_WAITING, .tid = 7, .name = "N"},
     "<Thread(N, started 7)>"},
    {{.kind = WEFT_THREAD,
      .adopted = true,
      .daemon = true,
      .tid = 7,
      .name = "Dummy-7"},
     "<_DummyThread(Dummy-7, started daemon 7)>"},
    {{.kind = WEFT_PROCESS, .tid = 8, .pid = 8, .parent = 3, .name = "P"},
     "<Process(P, started 8, parent 3)>"},
    {{.kind = WEFT_PROCESS,
      .state = WEFT_ENDED,
      .tid = 8,
      .pid = 8,
      .parent = 3,
      .name = "P"},
     "<Process(P, stopped 8, parent 3, exitcode 0)>"},
    {{.kind = WEFT_PROCESS,
      .state = WEFT_ENDED,
      .tid = 8,
      .pid = 8,
      .parent = 3,
      .signal = SIGSEGV,
      .name = "P"},
     "<Process(P, stopped 8, parent 3, exitcode -SIGSEGV)>"},
    {{.kind = WEFT_PROCESS,
      .main = true,
      .tid = 8,
      .pid = 8,
      .name = "MainProcess"},
     "<_MainProcess(MainProcess, started 8)>"},
};

START_TEST(every_form_has_its_words)
{
    ck_assert_str_eq(words(&forms[_i].worker), forms[_i].text);
}

END_TEST

START_TEST(words_are_cut_to_fit)
{
    const char *whole = words(weft_self());
    char text[WEFT_TEXT + 1];

    for (size_t size = 1; size <= WEFT_TEXT; size++) {
        memset(text, 'x', sizeof text);
        ck_assert_ptr_eq(weft_describe(weft_self(), text, size), text);
        ck_assert_uint_lt(strlen(text), size);
        ck_assert_int_eq(strncmp(text, whole, strlen(text)), 0);
        ck_assert_int_eq(text[size], 'x');
    }
    text[0] = 'x';
    weft_describe(weft_self(), text, 0);
    ck_assert_int_eq(text[0], 'x');
}

END_TEST

START_TEST(the_longest_words_fit)
{
    enum {
        PID_MOST = 4194304 /* on 64-bit Linux */
    };

    weft_worker worker = {.kind = WEFT_PROCESS,
                          .state = WEFT_ENDED,
                          .tid = PID_MOST,
                          .pid = PID_MOST,
                          .parent = PID_MOST,
                          .signal = SIGVTALRM};
    char text[WEFT_TEXT];

    memset(worker.name, 'n', sizeof worker.name - 1);
    weft_describe(&worker, text, sizeof text);
    ck_assert_str_eq(text + strlen(text) - 2, ")>");
    memset(worker.name, 'n', sizeof worker.name); /* no end */
    weft_describe(&worker, text, sizeof text);
    ck_assert_uint_lt(strlen(text), sizeof text);
}

END_TEST

START_TEST(kinds_have_names)
{
    ck_assert_str_eq(weft_kind_name(WEFT_THREAD), "Thread");
    ck_assert_str_eq(weft_kind_name(WEFT_PROCESS), "Process");
    ck_assert_str_eq(weft_kind_name(WEFT_SERIAL), "Serial");
    ck_assert_str_eq(weft_kind_name(WEFT_CLUSTER), "Cluster");
    ck_assert_ptr_nonnull(weft_kind_name((weft_kind)99));
}

END_TEST

/* --- lists while workers come and go */

static int
come_and_go(weft_call *call)
{
    (void)call;
    while (!weft_stopping()) {
        weft_job *job = NULL;

        if (weft_start(&job, WEFT_THREAD,
                       &(weft_task){.fn = do_nothing, .name = "mayfly"}) < 0)
            return 1;
        weft_shield(true);
        (void)weft_join(job, WEFT_FOREVER);
        weft_shield(false);
        weft_release(job);
    }
    return 0;
}

START_TEST(a_list_is_sane_while_workers_come_and_go)
{
    weft_job *jobs[4];
    weft_worker all[32];

    for (int i = 0; i < 4; i++)
        jobs[i] = must_start(
            WEFT_THREAD, &(weft_task){.fn = come_and_go, .name = "breeder"});
    for (unsigned i = 0; i < scaled(20000); i++) {
        const size_t count = weft_list(WEFT_THREADS, all, 32);
        unsigned breeders = 0;

        if (count < 5 || count > 13 || !all[0].main)
            ck_abort_msg("%zu listed", count);
        for (size_t k = 1; k < count; k++) {
            breeders += strcmp(all[k].name, "breeder") == 0;
            if (strcmp(all[k].name, "breeder") != 0 &&
                strcmp(all[k].name, "mayfly") != 0)
                ck_abort_msg("'%s' listed at %zu of %zu", all[k].name, k,
                             count);
        }
        ck_assert_uint_eq(breeders, 4);
    }
    for (int i = 0; i < 4; i++) {
        weft_stop(jobs[i]);
        expect_end(jobs[i], WEFT_OK);
    }
}

END_TEST

static void
add_lists(Suite *suite)
{
    TCase *tcase = support_case(suite, "lists", 15);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_test(tcase, a_fresh_program_has_one_thread_and_no_process);
    add_for_kinds(tcase, workers_come_in_the_order_of_their_start);
    tcase_add_test(tcase, an_idle_thread_is_not_listed);
    tcase_add_test(tcase, services_are_hidden_unless_asked_for);
    tcase_add_test(tcase, a_hundred_processes_are_listed_rightly);
    add_for_kinds(tcase, a_delayed_job_is_no_worker_yet);
    tcase_add_test(tcase, a_foreign_thread_is_listed_once_it_has_called);
    tcase_add_test(tcase, a_list_is_sane_while_workers_come_and_go);
}

static void
add_records(Suite *suite)
{
    TCase *tcase = support_case(suite, "records", 10);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    add_for_kinds(tcase, a_worker_knows_itself);
    add_for_kinds(tcase, the_parent_is_who_started_it);
    tcase_add_test(tcase, the_parent_of_a_process_is_a_process);
    add_for_kinds(tcase, a_record_follows_its_job);
    tcase_add_test(tcase, an_ended_worker_is_not_taken_for_the_next_job_s);
    tcase_add_test(tcase, a_wait_is_shown);
    support_add_table(tcase, an_ended_process_tells_its_exit, deaths);
    tcase_add_test(tcase, a_daemon_thread_says_so);
    support_add_table(tcase, every_form_has_its_words, forms);
    tcase_add_test(tcase, words_are_cut_to_fit);
    tcase_add_test(tcase, the_longest_words_fit);
    tcase_add_test(tcase, kinds_have_names);
}

int
main(void)
{
    Suite *suite = suite_create("list");

    add_lists(suite);
    add_records(suite);
    return support_run(suite);
}
