/* Records in slots: written by one, read whole by any. */
#include "base/text.h"
#include "os/os.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "registry/self.h"
#include "support/support.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct slot *
claim(void)
{
    self_open();
    struct slot *slot = registry_claim();

    ck_assert_ptr_nonnull(slot);
    return slot;
}

static void
fill(char *text, size_t size, char letter)
{
    memset(text, letter, size - 1);
    text[size - 1] = '\0';
}

START_TEST(a_record_comes_back)
{
    struct slot *slot = claim();
    weft_worker in = {.kind = WEFT_PROCESS,
                      .state = WEFT_IDLE,
                      .pid = 831,
                      .tid = 832,
                      .parent = 830,
                      .main = true,
                      .adopted = true,
                      .daemon = true,
                      .service = true,
                      .since.ns = 12345};
    weft_worker out;

    fill(in.name, sizeof in.name, 'n');
    fill(in.task, sizeof in.task, 't');
    record_write(slot, &in, 829);
    ck_assert(record_read(slot, &out));
    in.id = registry_id(slot);
    ck_assert_mem_eq(&in, &out, sizeof in);
    ck_assert_uint_eq(slot->identity.parent_pid, 829);
}

END_TEST

START_TEST(each_flag_is_its_own)
{
    struct slot *slot = claim();

    for (int flag = 0; flag < 16; flag++) {
        const weft_worker in = {.main = flag & 1,
                                .adopted = flag & 2,
                                .daemon = flag & 4,
                                .service = flag & 8};
        weft_worker out;

        record_write(slot, &in, 0);
        ck_assert(record_read(slot, &out));
        ck_assert_int_eq(out.main + 2 * out.adopted + 4 * out.daemon +
                             8 * out.service,
                         flag);
    }
}

END_TEST

START_TEST(an_empty_slot_has_no_record)
{
    struct slot *slot = claim();
    weft_worker record = {.name = "before"};

    ck_assert(!record_read(slot, &record));
    record_write(slot, &record, 0);
    ck_assert(record_read(slot, &record));
    registry_release(slot);
    ck_assert(!record_read(slot, &record));
}

END_TEST

START_TEST(texts_of_every_length_come_back)
{
    struct slot *slot = claim();

    for (size_t length = 0; length < 256; length++) {
        weft_worker in = {.kind = WEFT_THREAD}, out;

        fill(in.name, length + 1, 'n');
        fill(in.task, length % 64 + 1, 't');
        record_write(slot, &in, 0);
        ck_assert(record_read(slot, &out));
        ck_assert_str_eq(in.name, out.name);
        ck_assert_str_eq(in.task, out.task);
    }
}

END_TEST

START_TEST(text_without_an_end_is_cut)
{
    _Atomic uint64_t words[3];
    char text[24];

    for (int i = 0; i < 3; i++)
        words[i] = UINT64_C(0x6161616161616161);
    record_text_get(words, 3, text);
    ck_assert_uint_eq(strlen(text), 23);
    record_text_put(words, 3, "0123456789abcdefghijklmnopq");
    record_text_get(words, 3, text);
    ck_assert_str_eq(text, "0123456789abcdefghijklm");
}

END_TEST

/* A writer that was killed in the middle leaves an odd number for ever. */
START_TEST(a_half_written_slot_is_given_up)
{
    struct slot *slot = claim();
    const weft_worker in = {.name = "half"};
    weft_worker out;
    const int64_t start = os_now();

    record_write(slot, &in, 0);
    atomic_fetch_add(&slot->identity.sequence, 1);
    for (int i = 0; i < 100; i++)
        ck_assert(!record_read(slot, &out));
    ck_assert_int_lt(os_now() - start, patient(1000000000));
    record_write(slot, &in, 0); /* the slot's next owner */
    ck_assert(record_read(slot, &out));
    ck_assert_uint_eq(slot->identity.sequence % 2, 0);
}

END_TEST

START_TEST(nothing_in_a_slot_is_trusted)
{
    struct slot *slot = claim();
    weft_worker out;
    unsigned random = 1;

    for (unsigned round = 0; round < scaled(2000); round++) {
        unsigned char *bytes = (unsigned char *)slot;

        for (size_t i = 0; i < sizeof *slot; i++) {
            random = random * 1664525 + 1013904223;
            bytes[i] = (unsigned char)(random >> 24);
        }
        slot->identity.sequence &= ~1u;
        slot->identity.flags |= SLOT_USED;
        ck_assert(record_read(slot, &out));
        ck_assert(out.state <= WEFT_ENDED);
        ck_assert_uint_lt(strnlen(out.name, sizeof out.name), sizeof out.name);
        ck_assert(!*out.name || !text_name_fault(out.name));
        ck_assert(!*out.task || !text_name_fault(out.task));
    }
}

END_TEST

static void
put_wait(struct slot *slot, unsigned kind, uint64_t object)
{
    slot->hot.state = WEFT_WAITING;
    slot->hot.kind = kind;
    slot->hot.object = object;
    slot->hot.until = 77;
    slot->hot.holder = 5;
}

static const struct {
    unsigned kind;
    uint64_t object;
    const char *text;
} waits[] = {
    {SLOT_WAIT_SLEEP, 0, "time"},      {SLOT_WAIT_ANY, 12, "any of 12"},
    {SLOT_WAIT_PIPE, 7, "the pipe 7"}, {SLOT_WAIT_JOIN, 831, "the end of 831"},
    {SLOT_WAIT_NONE, 0, ""},           {9999, 0xabc0, "0xabc0"},
};

START_TEST(a_wait_is_told)
{
    struct slot *slot = claim();
    weft_worker in = {.name = "waits"}, out;

    record_write(slot, &in, 0);
    put_wait(slot, waits[_i].kind, waits[_i].object);
    ck_assert(record_read(slot, &out));
    ck_assert_str_eq(out.waits_for, waits[_i].text);
    ck_assert_int_eq(out.state, WEFT_WAITING);
    ck_assert_int_eq(out.wait_until.ns, 77);
    ck_assert_uint_eq(out.holder, 5);
    slot->hot.state = WEFT_RUNNING;
    ck_assert(record_read(slot, &out));
    ck_assert_str_eq(out.waits_for, "");
    ck_assert_uint_eq(out.holder, 0);
}

END_TEST

START_TEST(a_wait_is_told_by_its_label)
{
    struct slot *slot = claim();
    weft_worker in = {.name = "waits", .pid = getpid()}, out;
    int object = 0;

    ck_assert_int_eq(weft_label(&object, "index.lock"), 0);
    record_write(slot, &in, 0);
    put_wait(slot, SLOT_WAIT_NONE, (uintptr_t)&object);
    ck_assert(record_read(slot, &out));
    ck_assert_str_eq(out.waits_for, "index.lock");
    in.pid++; /* the same address, of another process */
    record_write(slot, &in, 0);
    put_wait(slot, SLOT_WAIT_NONE, 0xabc0);
    ck_assert_int_eq(weft_label((const void *)0xabc0, "ours"), 0);
    ck_assert(record_read(slot, &out));
    ck_assert_str_eq(out.waits_for, "0xabc0");
}

END_TEST

/* Names of one letter, of two lengths: a torn one holds two letters, or has no
 * length of theirs. */
static bool
is_whole(const char *name)
{
    const size_t length = strnlen(name, 256);

    if (length != 255 && length != 100)
        return false;
    for (size_t i = 1; i < length; i++)
        if (name[i] != name[0])
            return false;
    return true;
}

struct rename {
    struct slot *slot;
    atomic_bool stop;
    _Atomic unsigned written;
};

static void *
keep_renaming(void *memory)
{
    struct rename *rename = memory;
    weft_worker record = {.pid = 1};

    for (unsigned i = 0; !atomic_load(&rename->stop); i++) {
        memset(record.name, 0, sizeof record.name);
        fill(record.name, i % 2 ? 256 : 101, (char)('a' + i % 26));
        record.tid = record.name[0];
        record_write(rename->slot, &record, 0);
        atomic_store(&rename->written, i + 1);
    }
    return NULL;
}

static void
start_renaming(struct rename *rename, pthread_t *thread)
{
    *rename = (struct rename){.slot = claim()};
    *thread = support_thread(keep_renaming, rename);
    eventually(atomic_load(&rename->written) > 0);
}

static void
stop_renaming(struct rename *rename, pthread_t thread)
{
    atomic_store(&rename->stop, true);
    support_join(thread);
}

START_TEST(a_reader_never_sees_a_torn_record)
{
    struct rename rename;
    pthread_t thread;
    unsigned torn = 0;

    start_renaming(&rename, &thread);
    for (unsigned i = 0; i < scaled(300000); i++) {
        weft_worker record;

        if (!record_read(rename.slot, &record))
            continue;
        torn += !is_whole(record.name) || record.tid != record.name[0];
    }
    stop_renaming(&rename, thread);
    ck_assert_uint_eq(torn, 0);
}

END_TEST

/* The slot goes from one owner to the next, each with a name of its own. */
static void *
keep_claiming(void *memory)
{
    struct rename *rename = memory;
    weft_worker record = {.pid = 1};

    for (unsigned i = 0; !atomic_load(&rename->stop); i++) {
        struct slot *slot = registry_claim();

        if (slot != rename->slot)
            ck_abort_msg("another slot");
        memset(record.name, 0, sizeof record.name);
        fill(record.name, i % 2 ? 256 : 101, (char)('a' + i % 26));
        record.tid = record.name[0];
        record_write(slot, &record, 0);
        registry_release(slot);
        atomic_store(&rename->written, i + 1);
    }
    return NULL;
}

START_TEST(a_reader_never_mixes_two_owners)
{
    struct rename rename = {.slot = claim()};
    unsigned torn = 0;

    registry_release(rename.slot);
    const pthread_t thread = support_thread(keep_claiming, &rename);

    for (unsigned i = 0; i < scaled(100000); i++) {
        weft_worker record;

        if (!record_read(rename.slot, &record))
            continue;
        torn += !is_whole(record.name) || record.tid != record.name[0];
    }
    stop_renaming(&rename, thread);
    ck_assert_uint_eq(torn, 0);
}

END_TEST

static int
open_registry_of(int pid)
{
    char path[64], target[PATH_MAX];

    for (int fd = 3; fd < 1000; fd++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
        const ssize_t length = readlink(path, target, sizeof target - 1);

        if (length < 0)
            continue;
        target[length] = '\0';
        if (strcmp(target, "/memfd:weft-registry (deleted)") == 0)
            return open(path, O_RDONLY | O_CLOEXEC);
    }
    return -1;
}

/* Copies an identity out of the file; whether it was not written meanwhile. */
static bool
read_from_outside(int fd, unsigned id, struct slot_identity *out)
{
    const off_t at = (off_t)id * 2 * OS_PAGE;
    uint32_t before, after;

    child_expect(pread(fd, &before, 4, at) == 4);
    child_expect(pread(fd, out, sizeof *out, at) == sizeof *out);
    child_expect(pread(fd, &after, 4, at) == 4);
    return before == after && before % 2 == 0;
}

static void
read_as_a_tool(void *id)
{
    const int fd = open_registry_of(getppid());
    struct slot_identity identity;
    char name[256];

    child_expect(fd >= 0);
    for (unsigned i = 0; i < scaled(100000); i++) {
        if (!read_from_outside(fd, *(unsigned *)id, &identity))
            continue;
        record_text_get(identity.name, 32, name);
        child_expect(is_whole(name) && identity.tid == name[0]);
    }
}

START_TEST(another_process_never_sees_a_torn_record)
{
    struct rename rename;
    pthread_t thread;

    start_renaming(&rename, &thread);
    unsigned id = registry_id(rename.slot);

    ck_assert_int_eq(support_run_fork(read_as_a_tool, &id), 0);
    stop_renaming(&rename, thread);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("registry/record");
    TCase *tcase = support_case(suite, "records", 10);

    tcase_add_test(tcase, a_record_comes_back);
    tcase_add_test(tcase, each_flag_is_its_own);
    tcase_add_test(tcase, an_empty_slot_has_no_record);
    tcase_add_test(tcase, texts_of_every_length_come_back);
    tcase_add_test(tcase, text_without_an_end_is_cut);
    tcase_add_test(tcase, a_half_written_slot_is_given_up);
    tcase_add_test(tcase, nothing_in_a_slot_is_trusted);
    support_add_table(tcase, a_wait_is_told, waits);
    tcase_add_test(tcase, a_wait_is_told_by_its_label);
    tcase = support_case(suite, "readers", 30);
    tcase_add_test(tcase, a_reader_never_sees_a_torn_record);
    tcase_add_test(tcase, a_reader_never_mixes_two_owners);
    tcase_add_test(tcase, another_process_never_sees_a_torn_record);
    return support_run(suite);
}
