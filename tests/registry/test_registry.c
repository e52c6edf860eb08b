/* The file and the claiming of its slots. */
#include "os/os.h"
#include "registry/registry.h"
#include "registry/self.h"
#include "support/support.h"

#include <weft/status.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    STRIDE = 2 * OS_PAGE
};

static char *
base(void)
{
    self_open();
    return (char *)(uintptr_t)registry_slot(1) - STRIDE;
}

static const struct registry_header *
header(void)
{
    return (const struct registry_header *)(void *)base();
}

static _Atomic uint32_t *
owners(void)
{
    return (_Atomic uint32_t *)(void *)(base() + OS_PAGE);
}

static bool
hot_is(const struct slot_hot *hot, const struct slot_hot *other)
{
    return hot->state == other->state && hot->since == other->since &&
           hot->until == other->until && hot->object == other->object &&
           hot->kind == other->kind && hot->holder == other->holder &&
           hot->stopping == other->stopping && hot->shield == other->shield;
}

/* Nothing is left that a reader could take for the new owner's. */
static bool
is_clear(const struct slot *slot)
{
    static const struct slot_hot zero;
    const struct slot_identity *identity = &slot->identity;

    return (identity->sequence & 1) == 0 && identity->flags == 0 &&
           identity->pid == 0 && identity->tid == 0 && identity->parent == 0 &&
           identity->name[0] == 0 && identity->task[0] == 0 &&
           slot->held_count == 0 && slot->stack_count == 0 &&
           hot_is(&slot->hot, &zero);
}

/* Over all but whose block it is. */
static void
scribble(struct slot *slot)
{
    const uint32_t owner = slot->block_owner;

    memset((void *)slot, 0x5a, sizeof *slot);
    slot->block_owner = owner;
}

/* The descriptor of this process's registry. */
static int
find_fd(void)
{
    char path[64], target[PATH_MAX];

    self_open();
    for (int fd = 3; fd < 1000; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        const ssize_t length = readlink(path, target, sizeof target - 1);

        if (length < 0)
            continue;
        target[length] = '\0';
        if (strcmp(target, "/memfd:weft-registry (deleted)") == 0)
            return fd;
    }
    ck_abort_msg("no registry among the descriptors");
    return -1;
}

START_TEST(the_layout_is_as_written_down)
{
    ck_assert_uint_eq(offsetof(struct slot, identity), 0);
    ck_assert_uint_eq(offsetof(struct slot_identity, name), 32);
    ck_assert_uint_eq(offsetof(struct slot_identity, task), 288);
    ck_assert_uint_eq(offsetof(struct slot, hot), 384);
    ck_assert_uint_eq(offsetof(struct slot, held_count), 448);
    ck_assert_uint_eq(offsetof(struct slot, held), 456);
    ck_assert_uint_eq(offsetof(struct slot, stack), 1992);
    ck_assert_uint_eq(offsetof(struct slot, certificate), 4064);
    ck_assert_uint_eq(sizeof(struct slot), 4096);
    ck_assert_uint_eq(offsetof(struct registry_header, control), 3584);
    ck_assert_uint_eq(offsetof(struct label, name), 16);
    ck_assert_uint_le(sizeof(struct label), LABEL_SIZE);
}

END_TEST

START_TEST(the_header_describes_the_file)
{
    struct registry_header there;
    struct stat status;
    const int fd = find_fd();

    ck_assert_int_eq(pread(fd, &there, sizeof there, 0), sizeof there);
    ck_assert_mem_eq(&there, header(), sizeof there);
    ck_assert_uint_eq(there.magic, REGISTRY_MAGIC);
    ck_assert_uint_eq(there.version, REGISTRY_VERSION);
    ck_assert_uint_eq(there.slot_size, STRIDE);
    ck_assert_uint_eq(there.label_size, LABEL_SIZE);
    ck_assert_int_eq(there.root, getpid());
    ck_assert_uint_eq(there.labels_at, (uint64_t)there.slots * STRIDE);
    ck_assert_int_eq(fstat(fd, &status), 0);
    ck_assert_uint_eq((uint64_t)status.st_size,
                      there.labels_at + LABEL_PAGES * 4 +
                          (uint64_t)LABEL_MOST * LABEL_SIZE);
    if (!support_is_checked())
        ck_assert_uint_eq(there.slots, SLOT_MOST);
}

END_TEST

START_TEST(the_file_is_sealed_and_sparse)
{
    const int fd = find_fd();
    struct stat status;

    ck_assert_int_eq(fcntl(fd, F_GET_SEALS),
                     F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    ck_assert_int_eq(ftruncate(fd, 0), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(fstat(fd, &status), 0);
    ck_assert_int_le(status.st_blocks, 16 * OS_PAGE / 512);
}

END_TEST

START_TEST(ids_lead_to_slots_and_back)
{
    self_open();
    const unsigned slots = header()->slots;

    ck_assert_ptr_null(registry_slot(0));
    ck_assert_ptr_null(registry_slot(slots));
    ck_assert_ptr_null(registry_slot(UINT_MAX));
    ck_assert_uint_eq(registry_id(NULL), 0);
    for (unsigned id = 1; id < slots; id++)
        if (registry_id(registry_slot(id)) != id)
            ck_abort_msg("slot %u", id);
}

END_TEST

START_TEST(a_closed_registry_has_no_slots)
{
    ck_assert(!registry_is_open());
    ck_assert_ptr_null(registry_slot(1));
    ck_assert_ptr_null(registry_next(0));
    self_open();
    ck_assert(registry_is_open());
}

END_TEST

START_TEST(a_slot_is_given_again_and_cleared)
{
    self_open();
    struct slot *slot = registry_claim();

    ck_assert_ptr_nonnull(slot);
    ck_assert(is_clear(slot));
    scribble(slot);
    registry_release(slot);
    ck_assert_ptr_eq(registry_claim(), slot);
    ck_assert_uint_eq(slot->hot.state, 0);
    ck_assert_uint_eq(slot->hot.kind, 0);
    ck_assert_uint_eq(slot->identity.flags, 0);
    ck_assert_uint_eq(slot->hot.stopping, 0);
    ck_assert_uint_eq(slot->hot.shield, 0);
    ck_assert_uint_eq(slot->held_count, 0);
    ck_assert_uint_eq(slot->stack_count, 0);
}

END_TEST

static void
use(struct slot *slot)
{
    atomic_store(&slot->identity.flags, SLOT_USED);
}

START_TEST(the_next_used_slot_is_found)
{
    self_open();
    struct slot *slots[200];

    for (int i = 0; i < 200; i++)
        slots[i] = registry_claim();
    use(slots[0]);
    use(slots[150]);
    use(slots[199]);
    struct slot *next = registry_next(2); /* behind process and main thread */

    ck_assert_ptr_eq(next, slots[0]);
    next = registry_next(registry_id(next));
    ck_assert_ptr_eq(next, slots[150]);
    next = registry_next(registry_id(next));
    ck_assert_ptr_eq(next, slots[199]);
    ck_assert_ptr_null(registry_next(registry_id(next)));
}

END_TEST

enum {
    CLAIMERS = 8
};

static struct {
    _Atomic unsigned waiting;
    unsigned each;
    atomic_bool *given; /* by id */
    _Atomic unsigned twice, missing;
} claims;

static void
await_all(void)
{
    atomic_fetch_add(&claims.waiting, 1);
    while (atomic_load(&claims.waiting) < CLAIMERS)
        os_pause();
}

static void
claim_one(void)
{
    struct slot *slot = registry_claim();

    if (!slot)
        atomic_fetch_add(&claims.missing, 1);
    else if (atomic_exchange(&claims.given[registry_id(slot)], true))
        atomic_fetch_add(&claims.twice, 1);
}

/* Claims, and gives every third one back. */
static void *
claim_many(void *unused)
{
    (void)unused;
    await_all();
    for (unsigned i = 0; i < claims.each; i++) {
        claim_one();
        if (i % 3 != 0)
            continue;
        struct slot *slot = registry_claim();

        if (slot)
            registry_release(slot);
    }
    return NULL;
}

static void
run_claimers(void *(*fn)(void *))
{
    pthread_t threads[CLAIMERS];

    claims.given = calloc(SLOT_MOST, sizeof *claims.given);
    for (int i = 0; i < CLAIMERS; i++)
        threads[i] = support_thread(fn, NULL);
    for (int i = 0; i < CLAIMERS; i++)
        support_join(threads[i]);
    free(claims.given);
    ck_assert_uint_eq(claims.twice, 0);
    ck_assert_uint_eq(claims.missing, 0);
}

START_TEST(no_slot_is_given_twice)
{
    self_open();
    claims.each = scaled(4000);
    run_claimers(claim_many);
}

END_TEST

static unsigned
claim_all(void)
{
    unsigned count = 0;

    while (registry_claim())
        count++;
    return count;
}

START_TEST(a_full_registry_says_so)
{
    self_open();
    struct slot *slot = registry_claim();
    const unsigned count = claim_all();
    char why[64];

    snprintf(why, sizeof why, "all %u slots of the registry are taken",
             header()->slots - 1);
    ck_assert_uint_eq(count, header()->slots - 4); /* 0, ours, and the one */
    ck_assert_str_eq(weft_why(), why);
    registry_release(slot);
    ck_assert_ptr_eq(registry_claim(), slot);
    ck_assert_ptr_null(registry_claim());
}

END_TEST

/* A worker of the program that claims slots, scribbles on them and waits. */
struct worker {
    _Atomic unsigned count; /* 0 until all are claimed */
    unsigned ids[200];
    _Atomic int go_on;
};

static void
claim_and_scribble(struct worker *worker)
{
    for (unsigned i = 0; i < 200; i++) {
        struct slot *slot = registry_claim();

        child_expect(slot && is_clear(slot));
        scribble(slot);
        worker->ids[i] = registry_id(slot);
    }
    atomic_store(&worker->count, 200);
}

static void
stay_until(_Atomic int *go_on)
{
    while (!atomic_load(go_on))
        usleep(1000);
}

static int
start_worker(struct worker *worker)
{
    const int parent = os_thread_id();
    const int pid = os_clone(0, NULL);

    if (pid == 0) {
        self_forked("Worker", parent);
        claim_and_scribble(worker);
        stay_until(&worker->go_on);
        os_exit_now(0);
    }
    ck_assert_int_gt(pid, 0);
    eventually(atomic_load(&worker->count));
    return pid;
}

static void
kill_and_reap(int pid)
{
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    registry_condemn(pid);
    support_reap(pid);
}

/* A process that has ended and been reaped. */
static uint32_t
dead_pid(void)
{
    const int pid = os_clone(0, NULL);

    if (pid == 0)
        os_exit_now(0);
    kill_and_reap(pid);
    return (uint32_t)pid;
}

START_TEST(a_dead_workers_slots_are_reclaimed)
{
    struct worker *worker = support_share(sizeof *worker);

    self_open();
    const int pid = start_worker(worker);

    ck_assert(!is_clear(registry_slot(worker->ids[0])));
    kill_and_reap(pid);
    registry_reclaim(pid);
    for (unsigned b = 0; b < SLOT_BLOCKS; b++)
        ck_assert_uint_eq(owners()[b], b == 0 ? (uint32_t)getpid() : 0);
    for (unsigned i = 0; i < 200; i++)
        ck_assert(is_clear(registry_slot(worker->ids[i])));
    for (unsigned i = 0; i < 300; i++)
        ck_assert(is_clear(registry_claim()));
}

END_TEST

START_TEST(a_later_process_of_its_id_keeps_its_slots)
{
    struct worker *worker = support_share(sizeof *worker);

    self_open();
    const int pid = start_worker(worker);

    kill_and_reap(pid);
    atomic_store(&owners()[9], (uint32_t)pid);
    registry_reclaim(pid);
    for (unsigned b = 1; b < 9; b++)
        ck_assert_uint_eq(owners()[b], 0);
    ck_assert_uint_eq(owners()[9], (uint32_t)pid);
}

END_TEST

START_TEST(the_living_keep_their_slots)
{
    struct worker *worker = support_share(sizeof *worker);

    self_open();
    const int pid = start_worker(worker);

    claim_all(); /* sweeps */
    for (unsigned i = 0; i < 200; i++)
        ck_assert(!is_clear(registry_slot(worker->ids[i])));
    atomic_store(&worker->go_on, 1);
    kill_and_reap(pid);
}

END_TEST

/* What the owners' page says of each block is wrong. */
START_TEST(a_scribbled_owner_gives_no_living_slots_away)
{
    const uint32_t lies[] = {0, dead_pid(), 0x7fffffff, 0xffffffff};
    struct worker *worker = support_share(sizeof *worker);

    self_open();
    const int pid = start_worker(worker);

    for (unsigned b = 0; b < SLOT_BLOCKS; b++)
        atomic_store(&owners()[b], lies[_i]);
    if (_i > 0)
        registry_reclaim((int)(lies[_i] & INT_MAX));
    ck_assert_uint_ge(claim_all(), 62);
    for (unsigned i = 0; i < 200; i++)
        ck_assert(!is_clear(registry_slot(worker->ids[i])));
    for (unsigned b = 1; b < SLOT_BLOCKS; b++)
        ck_assert(owners()[b] == (uint32_t)pid ||
                  owners()[b] == (uint32_t)getpid());
    kill_and_reap(pid);
    registry_reclaim(pid);
    ck_assert(is_clear(registry_slot(worker->ids[0])));
}

END_TEST

START_TEST(a_full_registry_is_swept)
{
    struct worker *worker = support_share(sizeof *worker);

    self_open();
    kill_and_reap(start_worker(worker));
    const unsigned count = claim_all();

    ck_assert_uint_eq(count, header()->slots - 3);
    for (unsigned i = 0; i < 200; i++)
        ck_assert(is_clear(registry_slot(worker->ids[i])));
}

END_TEST

static void *
claim_and_mark(void *unused)
{
    (void)unused;
    await_all();
    for (unsigned i = 0; i < claims.each; i++) {
        struct slot *slot = registry_claim();

        if (!slot) {
            atomic_fetch_add(&claims.missing, 1);
            continue;
        }
        use(slot);
        claims.given[registry_id(slot)] = true;
    }
    return NULL;
}

/* All blocks but ours belong to the dead when all threads need one. */
static void
sweep_at_once(uint32_t dead)
{
    unsigned lost = 0;

    for (unsigned b = 1; b < SLOT_BLOCKS; b++)
        atomic_store(&owners()[b], dead);
    claims.waiting = 0;
    claims.each = 100;
    run_claimers(claim_and_mark);
    for (unsigned id = 0; (id = registry_id(registry_next(id)));)
        lost += 1;
    ck_assert_uint_eq(lost, 2 + CLAIMERS * claims.each);
}

START_TEST(sweeps_at_once_lose_nothing)
{
    self_open();
    sweep_at_once(dead_pid());
}

END_TEST

static void
write_into_parents_slot(void *slot)
{
    const int parent = os_thread_id();
    const int pid = os_clone(0, NULL);

    if (pid == 0) {
        struct rlimit none = {0, 0};

        setrlimit(RLIMIT_CORE, &none);
        self_forked("Worker", parent);
        scribble(slot);
        os_exit_now(0);
    }
    ck_assert_int_ne(support_reap(pid), 0);
}

START_TEST(a_worker_cannot_write_its_parents_slots)
{
    self_open();
    struct slot *slot = registry_claim();

    write_into_parents_slot(slot);
    ck_assert(is_clear(slot));
}

END_TEST

static void
claim_in_fork(void *memory)
{
    struct worker *worker = memory;
    const int root = getppid();

    child_expect(!registry_is_open());
    self_open();
    child_expect(header()->root == getpid() && header()->root != root);
    child_expect(weft_self()->id == 2 && weft_self()->pid == getpid());
    claim_and_scribble(worker);
    child_expect(owners()[1] == (uint32_t)getpid());
}

START_TEST(a_forks_registry_is_its_own)
{
    static struct slot before[4];
    struct worker *worker = support_share(sizeof *worker);

    self_open();
    for (unsigned i = 0; i < 4; i++)
        memcpy((void *)&before[i], registry_slot(i + 1), sizeof *before);
    ck_assert_int_eq(support_run_fork(claim_in_fork, worker), 0);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_mem_eq(&before[i], registry_slot(i + 1), sizeof *before);
    ck_assert_uint_eq(owners()[1], 0);
    ck_assert_int_eq(header()->root, getpid());
}

END_TEST

struct pair {
    struct worker first, second;
    _Atomic int first_pid, second_pid;
    _Atomic int first_is_dead, second_is_done;
};

/* In the first worker's copy, which has its private pages mapped. */
static void
reclaim_from_origin(struct pair *pair, int origin)
{
    self_forked("Second", origin);
    atomic_store(&pair->second_pid, os_process_id());
    stay_until(&pair->first_is_dead);
    registry_reclaim(origin);
    claim_and_scribble(&pair->second);
    atomic_store(&pair->second_is_done, 1);
    os_exit_now(0);
}

static void
map_pages_and_copy(struct pair *pair)
{
    const int here = os_process_id();

    claim_and_scribble(&pair->first);
    for (unsigned i = 0; i < 200; i += 20) {
        const struct slot *slot = registry_slot(pair->first.ids[i]);

        child_expect(
            os_map_private_at((void *)(uintptr_t)(slot + 1), OS_PAGE) == 0);
    }
    if (os_clone(OS_CLONE_PARENT, NULL) == 0)
        reclaim_from_origin(pair, here);
    stay_until(&pair->first.go_on);
}

START_TEST(private_pages_do_not_keep_slots_from_being_cleared)
{
    struct pair *pair = support_share(sizeof *pair);

    self_open();
    const int parent = os_thread_id(), pid = os_clone(0, NULL);

    if (pid == 0) {
        self_forked("First", parent);
        map_pages_and_copy(pair);
    }
    eventually(atomic_load(&pair->second_pid));
    kill_and_reap(pid);
    atomic_store(&pair->first_is_dead, 1);
    ck_assert_int_eq(support_reap(pair->second_pid), 0);
    ck_assert_int_eq(pair->second_is_done, 1);
}

END_TEST

START_TEST(a_path_may_be_given)
{
    char root[64], path[PATH_MAX];
    struct registry_header there;

    support_directory(root);
    snprintf(path, sizeof path, "%s/registry", root);
    ck_assert_int_eq(setenv("WEFT_REGISTRY", path, 1), 0);
    self_open();
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, &there, sizeof there, 0), sizeof there);
    ck_assert_uint_eq(there.magic, REGISTRY_MAGIC);
    ck_assert_int_eq(there.root, getpid());
    ck_assert_uint_eq(weft_self()->id, 2);
    support_remove(root);
}

END_TEST

START_TEST(a_bad_path_leaves_records_without_slots)
{
    ck_assert_int_eq(setenv("WEFT_REGISTRY", "/no/such/directory/file", 1), 0);
    self_open();
    ck_assert(!registry_is_open());
    ck_assert_str_eq(weft_self()->name, "MainThread");
    ck_assert_uint_eq(weft_self()->id, 0);
    ck_assert_ptr_null(self_get()->slot);
}

END_TEST

static long
address_space(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long pages = 0;

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%ld", &pages), 1);
    fclose(file);
    return pages * OS_PAGE;
}

static const struct {
    long more;
    unsigned slots;
} limits[] = {
    {200 << 20, SLOT_MOST / 8}, /* 64 MiB, and 32 of labels */
    {60 << 20, SLOT_MOST / 64}, /* 8 MiB */
    {36 << 20, SLOT_MOST / 512},
    {16 << 20, 0},
};

START_TEST(little_address_space_means_fewer_slots)
{
    if (support_is_checked())
        return;
    const long size = address_space() + limits[_i].more;
    const struct rlimit limit = {(rlim_t)size, (rlim_t)size};

    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    self_open();
    ck_assert(registry_is_open() == (limits[_i].slots != 0));
    if (!registry_is_open())
        return;
    ck_assert_uint_eq(header()->slots, limits[_i].slots);
    ck_assert_uint_eq(claim_all(), limits[_i].slots - 3);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("registry/registry");
    TCase *tcase = support_case(suite, "file", 10);

    tcase_add_test(tcase, the_layout_is_as_written_down);
    tcase_add_test(tcase, the_header_describes_the_file);
    tcase_add_test(tcase, the_file_is_sealed_and_sparse);
    tcase_add_test(tcase, ids_lead_to_slots_and_back);
    tcase_add_test(tcase, a_closed_registry_has_no_slots);
    tcase_add_test(tcase, a_path_may_be_given);
    tcase_add_test(tcase, a_bad_path_leaves_records_without_slots);
    support_add_table(tcase, little_address_space_means_fewer_slots, limits);
    tcase = support_case(suite, "claims", 20);
    tcase_add_test(tcase, a_slot_is_given_again_and_cleared);
    tcase_add_test(tcase, the_next_used_slot_is_found);
    tcase_add_test(tcase, no_slot_is_given_twice);
    tcase_add_test(tcase, a_full_registry_says_so);
    tcase = support_case(suite, "processes", 20);
    tcase_add_test(tcase, a_dead_workers_slots_are_reclaimed);
    tcase_add_test(tcase, a_later_process_of_its_id_keeps_its_slots);
    tcase_add_test(tcase, the_living_keep_their_slots);
    tcase_add_loop_test(tcase, a_scribbled_owner_gives_no_living_slots_away, 0,
                        4);
    tcase_add_test(tcase, a_full_registry_is_swept);
    tcase_add_loop_test(tcase, sweeps_at_once_lose_nothing, 0, 5);
    tcase_add_test(tcase, a_worker_cannot_write_its_parents_slots);
    tcase_add_test(tcase, a_forks_registry_is_its_own);
    tcase_add_test(tcase, private_pages_do_not_keep_slots_from_being_cleared);
    return support_run(suite);
}
