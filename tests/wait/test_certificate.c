/* The kernel's word that a thread is dead, and waits that end by it. */
#include "os/os.h"
#include "registry/registry.h"
#include "support/support.h"
#include "wait/certificate.h"
#include "wait/wait.h"

#include <weft/status.h>

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

START_TEST(a_thread_gets_one)
{
    struct self *self = self_get();

    ck_assert(!certificate_says_dead(self->slot));
    ck_assert_int_eq(certificate_make(self), 0);
    ck_assert_uint_eq(self->slot->certificate,
                      (uint32_t)getpid() | OS_SLEEPERS);
    ck_assert(!certificate_says_dead(self->slot));
    ck_assert_int_eq(certificate_make(self), 0);
    certificate_end(self);
    ck_assert_uint_eq(self->slot->certificate, 0);
    certificate_end(self);
    ck_assert_int_eq(certificate_make(self), 0);
}

END_TEST

/* The last one in the slot, or a scribble, has left something in the word. */
START_TEST(the_word_alone_is_none)
{
    struct self *self = self_get();

    atomic_store(&self->slot->certificate, 0x5a5a5a5a);
    certificate_end(self);
    ck_assert_int_eq(certificate_make(self), 0);
    ck_assert_uint_eq(self->slot->certificate,
                      (uint32_t)getpid() | OS_SLEEPERS);
    atomic_store(&self->slot->certificate, 0);
    certificate_end(self);
    ck_assert_int_eq(certificate_make(self), 0);
    certificate_end(self);
}

END_TEST

START_TEST(without_a_slot_there_is_none)
{
    struct self self = {.bell = -1};

    ck_assert_int_eq(certificate_make(&self), WEFT_EAGAIN);
    ck_assert_str_eq(weft_why(), "the registry has no slot for this thread");
    certificate_end(&self);
}

END_TEST

static int
robust_links(void)
{
    struct {
        void *list;
        long offset;
        void *pending;
    } *head = NULL;

    size_t size = 0;
    int count = 0;

    ck_assert_int_eq(syscall(SYS_get_robust_list, 0, &head, &size), 0);
    ck_assert_ptr_null(head->pending);
    for (void **at = head->list; at != &head->list; at = *at)
        ck_assert_int_lt(count++, 100);
    return count;
}

static void
make_robust(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attributes;

    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    ck_assert_int_eq(pthread_mutex_init(mutex, &attributes), 0);
}

/* Locks taken before and after it are given back before and after its end. */
START_TEST(robust_mutexes_stay_linked)
{
    struct self *self = self_get();
    pthread_mutex_t first, second;

    make_robust(&first);
    make_robust(&second);
    for (int order = 0; order < 4; order++) {
        ck_assert_int_eq(pthread_mutex_lock(&first), 0);
        ck_assert_int_eq(certificate_make(self), 0);
        ck_assert_int_eq(pthread_mutex_lock(&second), 0);
        ck_assert_int_eq(robust_links(), 3);
        if (order & 1)
            ck_assert_int_eq(pthread_mutex_unlock(&first), 0);
        if (order & 2)
            ck_assert_int_eq(pthread_mutex_unlock(&second), 0);
        certificate_end(self);
        if (!(order & 1))
            ck_assert_int_eq(pthread_mutex_unlock(&first), 0);
        if (!(order & 2))
            ck_assert_int_eq(pthread_mutex_unlock(&second), 0);
        ck_assert_int_eq(robust_links(), 0);
    }
}

END_TEST

static void *
make_and_end(void *id)
{
    struct self *self = self_get();

    ck_assert_int_eq(certificate_make(self), 0);
    *(unsigned *)id = self->record.id;
    return NULL;
}

START_TEST(threads_in_turn_have_one_each)
{
    unsigned id = 0;

    self_ending = certificate_end;
    for (unsigned i = 0; i < scaled(300); i++) {
        support_join(support_thread(make_and_end, &id));
        if (registry_slot(id)->certificate != 0)
            ck_abort_msg("thread %u: %08x", i, registry_slot(id)->certificate);
    }
}

END_TEST

/* A worker process with a certificate, and what is known of it. */
struct holder {
    _Atomic unsigned id; /* of its main thread's slot */
    _Atomic int leave;   /* by returning from its function */
    int pid;
};

static void
hold(struct holder *holder, int parent)
{
    self_forked("Holder", parent);
    child_expect(certificate_make(self_get()) == 0);
    atomic_store(&holder->id, self_get()->record.id);
    while (!atomic_load(&holder->leave))
        usleep(200);
    os_exit_now(0);
}

static struct holder *
start_holder(void)
{
    struct holder *holder = support_share(sizeof *holder);
    const int parent = self_get()->record.tid;
    const int pid = os_clone(0, NULL);

    if (pid == 0)
        hold(holder, parent);
    ck_assert_int_gt(pid, 0);
    holder->pid = pid;
    eventually(atomic_load(&holder->id));
    return holder;
}

static void
reap(const struct holder *holder)
{
    support_reap(holder->pid);
}

/* Makes the holder die: 0 by its exit, else by the signal. */
static void
end_holder(struct holder *holder, int signal)
{
    if (signal)
        ck_assert_int_eq(kill(holder->pid, signal), 0);
    else
        atomic_store(&holder->leave, 1);
}

static const int ends[] = {0, SIGKILL, SIGUSR1};

START_TEST(a_death_is_seen_from_another_process)
{
    struct holder *holder = start_holder();
    const struct slot *slot = registry_slot(holder->id);

    ck_assert_uint_eq(slot->certificate, (uint32_t)holder->pid | OS_SLEEPERS);
    ck_assert(!certificate_says_dead(slot));
    const int64_t start = os_now();

    end_holder(holder, ends[_i]);
    eventually(certificate_says_dead(slot));
    ck_assert_int_lt(os_now() - start, patient(1000000000));
    reap(holder);
}

END_TEST

struct waiting {
    struct wait_word *word;
    const struct slot *slot;
    _Atomic int status;
};

static void *
wait_for_word(void *memory)
{
    struct waiting *waiting = memory;
    const struct wait_terms terms = {.until = OS_NEVER,
                                     .shared = true,
                                     .owner = waiting->slot->owner,
                                     .kind = SLOT_WAIT_JOIN};

    atomic_store(&waiting->status, wait_while(waiting->word, 0, &terms));
    return NULL;
}

START_TEST(a_death_ends_a_wait)
{
    struct holder *holder = start_holder();
    struct waiting waiting = {
        .word = support_share(sizeof(struct wait_word)),
        .slot = registry_slot(holder->id),
        .status = 77,
    };
    const pthread_t thread = support_thread(wait_for_word, &waiting);

    eventually(atomic_load(&waiting.word->parked) == 1);
    end_holder(holder, ends[_i]);
    const int64_t start = os_now();

    support_join(thread);
    ck_assert_int_eq(waiting.status, WEFT_OWNER_DIED);
    ck_assert_int_lt(os_now() - start, patient(1000000000));
    ck_assert_uint_eq(waiting.word->parked, 0);
    reap(holder);
}

END_TEST

/* The kernel wakes one of them. */
START_TEST(a_death_ends_all_waits)
{
    struct holder *holder = start_holder();
    struct wait_word *word = support_share(sizeof *word);
    struct waiting waiting[6];
    pthread_t threads[6];

    for (int i = 0; i < 6; i++) {
        waiting[i] = (struct waiting){word, registry_slot(holder->id), 77};
        threads[i] = support_thread(wait_for_word, &waiting[i]);
    }
    eventually(atomic_load(&word->parked) == 6);
    end_holder(holder, SIGKILL);
    for (int i = 0; i < 6; i++) {
        eventually(waiting[i].status != 77);
        support_join(threads[i]);
        ck_assert_int_eq(waiting[i].status, WEFT_OWNER_DIED);
    }
    reap(holder);
}

END_TEST

START_TEST(a_change_is_seen_before_a_death)
{
    struct holder *holder = start_holder();
    struct wait_word word = {.value = 1};
    struct waiting waiting = {&word, registry_slot(holder->id), 77};

    end_holder(holder, SIGKILL);
    eventually(certificate_says_dead(waiting.slot));
    wait_for_word(&waiting);
    ck_assert_int_eq(waiting.status, 0);
    atomic_store(&word.value, 0);
    wait_for_word(&waiting);
    ck_assert_int_eq(waiting.status, WEFT_OWNER_DIED);
    reap(holder);
}

END_TEST

START_TEST(deaths_at_any_moment_end_a_wait)
{
    for (unsigned i = 0; i < scaled(100); i++) {
        struct holder *holder = start_holder();
        struct waiting waiting = {
            .word = support_share(sizeof(struct wait_word)),
            .slot = registry_slot(holder->id),
            .status = 77,
        };
        const pthread_t thread = support_thread(wait_for_word, &waiting);

        end_holder(holder, SIGKILL);
        support_join(thread);
        ck_assert_int_eq(waiting.status, WEFT_OWNER_DIED);
        registry_condemn(holder->pid);
        reap(holder);
        registry_reclaim(holder->pid);
    }
}

END_TEST

/* The next owner of a dead worker's slots has a certificate of its own. */
START_TEST(a_reclaimed_slot_has_no_certificate)
{
    struct holder *holder = start_holder();
    const unsigned id = holder->id;

    end_holder(holder, SIGKILL);
    eventually(certificate_says_dead(registry_slot(id)));
    registry_condemn(holder->pid);
    reap(holder);
    registry_reclaim(holder->pid);
    ck_assert_uint_eq(registry_slot(id)->certificate, 0);
    holder = start_holder();
    ck_assert_uint_eq(holder->id, id);
    ck_assert_uint_eq(registry_slot(id)->certificate,
                      (uint32_t)holder->pid | OS_SLEEPERS);
    end_holder(holder, 0);
    reap(holder);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("wait/certificate");
    TCase *tcase = support_case(suite, "life", 20);

    tcase_add_test(tcase, a_thread_gets_one);
    tcase_add_test(tcase, the_word_alone_is_none);
    tcase_add_test(tcase, without_a_slot_there_is_none);
    tcase_add_test(tcase, robust_mutexes_stay_linked);
    tcase_add_test(tcase, threads_in_turn_have_one_each);
    tcase = support_case(suite, "death", 20);
    support_add_table(tcase, a_death_is_seen_from_another_process, ends);
    support_add_table(tcase, a_death_ends_a_wait, ends);
    tcase_add_test(tcase, a_death_ends_all_waits);
    tcase_add_test(tcase, a_change_is_seen_before_a_death);
    tcase_add_test(tcase, deaths_at_any_moment_end_a_wait);
    tcase_add_test(tcase, a_reclaimed_slot_has_no_certificate);
    return support_run(suite);
}
