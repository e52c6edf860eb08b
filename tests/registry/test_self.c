/* Each thread's own block, and the threads that weft did not start. */
#include "os/os.h"
#include "registry/label.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "registry/self.h"
#include "support/support.h"

#include <weft/status.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

START_TEST(the_main_thread_has_a_record)
{
    const weft_worker *self = weft_self();

    ck_assert_str_eq(self->name, "MainThread");
    ck_assert_int_eq(self->kind, WEFT_THREAD);
    ck_assert_int_eq(self->state, WEFT_RUNNING);
    ck_assert_int_eq(self->pid, getpid());
    ck_assert_int_eq(self->tid, getpid());
    ck_assert(self->main && !self->adopted && !self->daemon);
    ck_assert_uint_eq(self->id, 2);
    ck_assert_int_gt(self->since.ns, 0);
    ck_assert_ptr_eq(weft_self(), self);
}

END_TEST

START_TEST(the_process_has_a_record)
{
    const weft_worker *process = weft_process();

    ck_assert_str_eq(process->name, "MainProcess");
    ck_assert_int_eq(process->kind, WEFT_PROCESS);
    ck_assert_int_eq(process->pid, getpid());
    ck_assert(process->main);
    ck_assert_uint_eq(process->id, 1);
    ck_assert_ptr_ne(process, weft_self());
}

END_TEST

START_TEST(the_slot_shows_the_record)
{
    const weft_worker *self = weft_self();
    weft_worker seen;

    ck_assert(record_read(registry_slot(self->id), &seen));
    ck_assert_mem_eq(&seen, self, sizeof seen);
    ck_assert_uint_eq(registry_slot(1)->identity.parent_pid,
                      (uint32_t)getppid());
}

END_TEST

static void *
look_at_self(void *out)
{
    *(weft_worker *)out = *weft_self();
    ck_assert_int_eq(weft_self()->tid, os_thread_id());
    return NULL;
}

START_TEST(a_foreign_thread_is_adopted)
{
    weft_worker record = {0};
    char name[32];

    support_join(support_thread(look_at_self, &record));
    snprintf(name, sizeof name, "Dummy-%d", record.tid);
    ck_assert_str_eq(record.name, name);
    ck_assert_int_eq(record.kind, WEFT_THREAD);
    ck_assert_int_eq(record.pid, getpid());
    ck_assert(record.adopted && record.daemon && !record.main);
    ck_assert_uint_gt(record.id, 2);
}

END_TEST

START_TEST(the_first_call_may_be_a_foreign_threads)
{
    weft_worker record = {0};

    support_join(support_thread(look_at_self, &record));
    ck_assert_uint_eq(record.id, 3);
    ck_assert_uint_eq(weft_self()->id, 2);
    ck_assert_uint_eq(weft_process()->id, 1);
}

END_TEST

static _Atomic unsigned together;

static void *
open_together(void *count)
{
    atomic_fetch_add(&together, 1);
    while (atomic_load(&together) < *(unsigned *)count)
        os_pause();
    ck_assert_uint_gt(weft_self()->id, 2);
    return NULL;
}

START_TEST(threads_may_open_it_at_once)
{
    unsigned count = 6;
    pthread_t threads[6];

    for (unsigned i = 0; i < count; i++)
        threads[i] = support_thread(open_together, &count);
    for (unsigned i = 0; i < count; i++)
        support_join(threads[i]);
    ck_assert_uint_eq(weft_process()->id, 1);
    ck_assert_uint_eq(weft_self()->id, 2);
}

END_TEST

START_TEST(an_ended_thread_gives_its_slot_back)
{
    weft_worker record = {0}, seen;
    unsigned first = 0;

    for (int i = 0; i < 3; i++) {
        support_join(support_thread(look_at_self, &record));
        ck_assert(!record_read(registry_slot(record.id), &seen));
        first = first ? first : record.id;
        ck_assert_uint_eq(record.id, first);
    }
}

END_TEST

START_TEST(threads_in_turn_share_few_slots)
{
    weft_worker record = {0};
    unsigned most = 0;

    for (unsigned i = 0; i < scaled(1000); i++) {
        support_join(support_thread(look_at_self, &record));
        most = record.id > most ? record.id : most;
    }
    ck_assert_uint_lt(most, 6);
}

END_TEST

START_TEST(without_a_slot_there_is_still_a_record)
{
    weft_worker record = {0};
    unsigned count = 0;

    self_open();
    while (registry_claim())
        count++;
    ck_assert_uint_gt(count, 0);
    support_join(support_thread(look_at_self, &record));
    ck_assert_uint_eq(record.id, 0);
    ck_assert_int_eq(strncmp(record.name, "Dummy-", 6), 0);
    ck_assert_int_ne(record.tid, 0);
}

END_TEST

static pthread_key_t late_key;

static void
look_late(void *out)
{
    look_at_self(out);
}

static void *
look_early_and_late(void *out)
{
    weft_worker early;

    look_at_self(&early);
    ck_assert_int_eq(pthread_setspecific(late_key, out), 0);
    return NULL;
}

/* Another library's destructor runs behind ours. */
START_TEST(an_ending_thread_can_be_adopted_again)
{
    weft_worker record = {0}, seen;

    weft_self();
    ck_assert_int_eq(pthread_key_create(&late_key, look_late), 0);
    support_join(support_thread(look_early_and_late, &record));
    ck_assert(record.adopted);
    ck_assert(!record_read(registry_slot(record.id), &seen));
    support_join(support_thread(look_at_self, &record));
    ck_assert_uint_eq(record.id, 3);
}

END_TEST

static _Atomic int endings;

static void
note_end(struct self *self)
{
    ck_assert_ptr_eq(self, self_here);
    ck_assert_ptr_nonnull(self->slot);
    endings++;
}

START_TEST(a_layer_above_hears_of_the_end)
{
    weft_worker record;

    self_ending = note_end;
    support_join(support_thread(look_at_self, &record));
    ck_assert_int_eq(endings, 1);
}

END_TEST

static void *
rename_self(void *name)
{
    char kernel[16] = "", expected[TEXT_KERNEL];
    weft_worker seen;

    ck_assert_int_eq(weft_set_name(name), 0);
    ck_assert_str_eq(weft_self()->name, name);
    ck_assert(record_read(registry_slot(weft_self()->id), &seen));
    ck_assert_str_eq(seen.name, name);
    prctl(PR_GET_NAME, kernel);
    text_kernel_name(name, expected);
    ck_assert_str_eq(kernel, expected);
    return NULL;
}

static const char *const names[] = {
    "a",
    "fifteen-bytes-x",
    "sixteen-bytes-xy",
    "picture-decoder-12",
    "Gr\xc3\xb6\xc3\x9fter \xc3\x84rger",
};

START_TEST(a_thread_names_itself)
{
    rename_self((void *)(uintptr_t)names[_i]);
    support_join(support_thread(rename_self, (void *)(uintptr_t)names[_i]));
}

END_TEST

START_TEST(a_bad_name_changes_nothing)
{
    char name[TEXT_NAME + 1], kernel[2][16] = {"", ""};

    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    prctl(PR_GET_NAME, kernel[0]);
    ck_assert_int_eq(weft_set_name(name), WEFT_EINVAL);
    ck_assert_str_eq(weft_why(),
                     "weft_set_name: a name is longer than 255 bytes");
    ck_assert_int_eq(weft_set_name(""), WEFT_EINVAL);
    ck_assert_int_eq(weft_set_name("a\nb"), WEFT_EINVAL);
    ck_assert_int_eq(weft_set_name("\xc3"), WEFT_EINVAL);
    ck_assert_int_eq(weft_set_name(NULL), WEFT_EINVAL);
    ck_assert_str_eq(weft_self()->name, "MainThread");
    prctl(PR_GET_NAME, kernel[1]);
    ck_assert_str_eq(kernel[0], kernel[1]);
}

END_TEST

static int copies;

static void
note_copy(void)
{
    copies++;
}

static void
look_in_fork(void *parent)
{
    const weft_worker *before = parent;
    char label[256];

    child_expect(copies == 1);
    child_expect(weft_self()->pid == getpid());
    child_expect(weft_self()->tid == getpid());
    child_expect(strcmp(weft_self()->name, "MainThread") == 0);
    child_expect(weft_self()->pid != before->pid);
    child_expect(weft_process()->main);
    child_expect(!label_find(parent, label));
}

START_TEST(a_fork_is_a_program_of_its_own)
{
    weft_worker before = *weft_self();

    self_copied = note_copy;
    ck_assert_int_eq(weft_label(&before, "of the parent"), 0);
    ck_assert_int_eq(support_run_fork(look_in_fork, &before), 0);
    ck_assert_int_eq(copies, 0);
    ck_assert_int_eq(weft_self()->pid, before.pid);
    ck_assert_mem_eq(weft_self(), &before, sizeof before);
}

END_TEST

struct copy {
    _Atomic int done;
    int parent;
    weft_worker self, process;
};

static void
look_in_clone(struct copy *copy)
{
    weft_worker seen;

    self_forked("Worker", copy->parent);
    copy->self = *weft_self();
    copy->process = *weft_process();
    child_expect(record_read(registry_slot(copy->self.id), &seen));
    child_expect(memcmp(&seen, &copy->self, sizeof seen) == 0);
    child_expect(registry_slot(1)->identity.pid == getppid());
    atomic_store(&copy->done, 1);
    os_exit_now(0);
}

START_TEST(a_worker_shares_the_registry)
{
    struct copy *copy = support_share(sizeof *copy);
    weft_worker seen;

    copy->parent = weft_self()->tid;
    const int pid = os_clone(0, NULL);

    if (pid == 0)
        look_in_clone(copy);
    ck_assert_int_eq(support_reap(pid), 0);
    ck_assert_str_eq(copy->process.name, "Worker");
    ck_assert_int_eq(copy->process.kind, WEFT_PROCESS);
    ck_assert_int_eq(copy->process.parent, getpid());
    ck_assert(!copy->process.main && copy->self.main);
    ck_assert_uint_gt(copy->self.id, 63); /* a block of its own */
    /* The parent reads it in its own mapping. */
    ck_assert(record_read(registry_slot(copy->process.id), &seen));
    ck_assert_str_eq(seen.name, "Worker");
    ck_assert_int_eq(seen.pid, pid);
}

END_TEST

static bool use_in_copy;
static pthread_key_t last_key; /* made behind ours, so destroyed behind it */

static void
end_process(void *unused)
{
    (void)unused;
    _exit(0);
}

/* In the copy this thread is the only one, and ends as any thread. */
static void *
fork_and_end(void *status)
{
    self_get();
    self_get()->bell = os_event_open();
    const pid_t pid = fork();

    if (pid == 0) {
        child_expect(!self_here);
        child_expect(!use_in_copy || weft_self()->pid == getpid());
        child_expect(pthread_setspecific(last_key, status) == 0);
        return NULL;
    }
    *(int *)status = support_reap(pid);
    return NULL;
}

START_TEST(a_foreign_thread_may_fork_and_end)
{
    int status = -1;
    weft_worker record = {0};

    weft_self();
    use_in_copy = _i;
    ck_assert_int_eq(pthread_key_create(&last_key, end_process), 0);
    support_join(support_thread(fork_and_end, &status));
    ck_assert_int_eq(status, 0);
    support_join(support_thread(look_at_self, &record));
    ck_assert_uint_eq(record.id, 3);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("registry/self");
    TCase *tcase = support_case(suite, "records", 10);

    tcase_add_test(tcase, the_main_thread_has_a_record);
    tcase_add_test(tcase, the_process_has_a_record);
    tcase_add_test(tcase, the_slot_shows_the_record);
    support_add_table(tcase, a_thread_names_itself, names);
    tcase_add_test(tcase, a_bad_name_changes_nothing);
    tcase = support_case(suite, "adoption", 10);
    tcase_add_test(tcase, a_foreign_thread_is_adopted);
    tcase_add_test(tcase, the_first_call_may_be_a_foreign_threads);
    tcase_add_test(tcase, threads_may_open_it_at_once);
    tcase_add_test(tcase, an_ended_thread_gives_its_slot_back);
    tcase_add_test(tcase, threads_in_turn_share_few_slots);
    tcase_add_test(tcase, without_a_slot_there_is_still_a_record);
    tcase_add_test(tcase, an_ending_thread_can_be_adopted_again);
    tcase_add_test(tcase, a_layer_above_hears_of_the_end);
    tcase = support_case(suite, "copies", 10);
    tcase_add_test(tcase, a_fork_is_a_program_of_its_own);
    tcase_add_test(tcase, a_worker_shares_the_registry);
    tcase_add_loop_test(tcase, a_foreign_thread_may_fork_and_end, 0, 2);
    return support_run(suite);
}
