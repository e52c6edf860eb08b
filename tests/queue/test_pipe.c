/* Message pipes, among threads and among processes. What is made up or broken
 * is in test_pipe_hostile.c. */
#include "os/os.h"
#include "support/worker_support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HUGE = 300 << 20,
    INSIDE = 64 << 10 /* the longest that travels inside a packet */
};

static int ends[2];

static void
open_pipe(void)
{
    common_make();
    ck_assert(weft_init(NULL) == 0 || support_is_valgrind());
    ck_assert_int_eq(weft_pipe_open(ends), 0);
}

static void
must_send(int end, const void *data, size_t size)
{
    const weft_message message = {.data = (void *)(uintptr_t)data,
                                  .size = size};
    const int status = weft_pipe_send(end, &message, WEFT_FOREVER);

    ck_assert_msg(status == 0, "not sent: %d, %s", status, weft_why());
}

/* Receives into room that is just enough, after asking for it. */
static char *
must_receive(int end, size_t *size)
{
    weft_message message = {0};
    int status = weft_pipe_receive(end, &message, WEFT_FOREVER);
    char *data = malloc(message.size + 1);

    child_expect(data != NULL);
    *size = message.size;
    if (status == WEFT_EMSGSIZE) {
        message.data = data;
        status = weft_pipe_receive(end, &message, WEFT_FOREVER);
    }
    child_expect(status == 0 && message.size == *size);
    return data;
}

/* Starts fn with the second end: as its argument in a thread, handed over to a
 * process. */
static weft_job *
start_with_end(weft_kind kind, weft_fn *fn)
{
    const weft_worker_options options = {.fds = &ends[1], .fd_count = 1};

    return kind == WEFT_PROCESS
               ? must_start(kind, &(weft_task){.fn = fn, .worker = &options})
               : must_start(kind, &(weft_task){.fn = fn, WEFT_ARG(ends[1])});
}

static int
end_of(const weft_call *call)
{
    return call->fd_count > 0 ? call->fds[0] : *(const int *)call->arg;
}

/* --- what arrives */

START_TEST(ends_are_private_and_high)
{
    for (int i = 0; i < 2; i++) {
        ck_assert_int_gt(ends[i], 2);
        ck_assert_int_eq(fcntl(ends[i], F_GETFD), FD_CLOEXEC);
    }
}

END_TEST

static int
echo(weft_call *call)
{
    const int end = end_of(call);
    size_t size;
    char *data = must_receive(end, &size);

    const weft_message message = {.data = data, .size = size};
    const int status = weft_pipe_send(end, &message, WEFT_FOREVER);

    free(data);
    return status;
}

static void
fill(char *data, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (char)((i * 31 + i / 251 + seed) & 0x7f);
}

static void
expect_echo(weft_kind kind, size_t size)
{
    weft_job *job = start_with_end(kind, echo);
    char *data = malloc(size + 1);
    size_t came;

    ck_assert_ptr_nonnull(data);
    fill(data, size, (unsigned)size);
    must_send(ends[0], data, size);
    expect_end(job, 0);
    char *back = must_receive(ends[0], &came);

    ck_assert_uint_eq(came, size);
    ck_assert(memcmp(data, back, size) == 0);
    free(data);
    free(back);
}

START_TEST(any_size_arrives)
{
    static const size_t sizes[] = {0,          1,      24,         4096,
                                   INSIDE - 1, INSIDE, INSIDE + 1, 200000,
                                   1 << 20,    3000001};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        expect_echo(kinds[_i], sizes[i]);
}

END_TEST

START_TEST(a_huge_message_arrives)
{
    expect_echo(kinds[_i], scaled(HUGE));
}

END_TEST

START_TEST(order_is_kept)
{
    enum {
        COUNT = 100
    };

    static char text[3 * INSIDE];

    for (unsigned i = 0; i < COUNT; i++) {
        const size_t size = i % 7 == 3 ? sizeof text : i % 5;

        text[0] = (char)i;
        must_send(ends[0], text, size + 1 > sizeof text ? size : size + 1);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        size_t size;
        char *data = must_receive(ends[1], &size);

        ck_assert_int_eq(data[0], (char)i);
        free(data);
    }
}

END_TEST

/* --- descriptors */

static ino_t
inode(int fd)
{
    struct stat status;

    ck_assert_int_eq(fstat(fd, &status), 0);
    return status.st_ino;
}

static const struct {
    unsigned count;
    size_t size;
} loads[] = {{1, 0},
             {2, 10},
             {WEFT_PIPE_FDS, 0},
             {WEFT_PIPE_FDS, INSIDE},
             {1, INSIDE + 1},
             {WEFT_PIPE_FDS - 1, INSIDE + 1},
             {WEFT_PIPE_FDS, INSIDE + 1}};

START_TEST(descriptors_arrive)
{
    static char sent[INSIDE + 1], got[INSIDE + 1];
    int fds[WEFT_PIPE_FDS], came[WEFT_PIPE_FDS];
    weft_message message = {sent, loads[_i].size, fds, loads[_i].count};
    weft_message room = {0};

    fill(sent, sizeof sent, 5);
    for (unsigned i = 0; i < loads[_i].count; i++)
        fds[i] = os_memfd("travels", OS_PAGE);
    const int before = support_fds();

    ck_assert_int_eq(weft_pipe_send(ends[0], &message, WEFT_NOW), 0);
    ck_assert_int_eq(support_fds(), before);
    expect_refused(weft_pipe_receive(ends[1], &room, WEFT_NOW), WEFT_EMSGSIZE,
                   "does not fit");
    ck_assert_uint_eq(room.size, loads[_i].size);
    ck_assert_uint_eq(room.fd_count, loads[_i].count);
    ck_assert_int_eq(support_fds(), before);
    room = (weft_message){got, room.size, came, room.fd_count};
    ck_assert_int_eq(weft_pipe_receive(ends[1], &room, WEFT_NOW), 0);
    ck_assert_uint_eq(room.fd_count, loads[_i].count);
    ck_assert(memcmp(sent, got, room.size) == 0);
    ck_assert_int_eq(support_fds(), before + (int)loads[_i].count);
    for (unsigned i = 0; i < loads[_i].count; i++) {
        ck_assert_int_eq(fcntl(came[i], F_GETFD), FD_CLOEXEC);
        ck_assert_uint_eq(inode(came[i]), inode(fds[i]));
    }
}

END_TEST

static int
send_descriptor(weft_call *call)
{
    int tube[2];

    child_expect(os_pipe(tube) == 0 && write(tube[1], "hello", 6) == 6);
    const weft_message message = {.fds = tube, .fd_count = 1};

    return weft_pipe_send(end_of(call), &message, WEFT_FOREVER);
}

START_TEST(a_worker_sends_a_descriptor)
{
    weft_job *job = start_with_end(kinds[_i], send_descriptor);
    int fd = -1;
    char text[8] = "";
    weft_message message = {.fds = &fd, .fd_count = 1};

    ck_assert_int_eq(weft_pipe_receive(ends[0], &message, WEFT_FOREVER), 0);
    expect_end(job, 0);
    ck_assert_int_eq(read(fd, text, sizeof text), 6);
    ck_assert_str_eq(text, "hello");
}

END_TEST

/* --- too little room */

START_TEST(what_does_not_fit_stays)
{
    static char sent[2 * INSIDE], got[sizeof sent];
    const size_t size = _i ? sizeof sent : 100;
    weft_message message = {.data = got};

    fill(sent, sizeof sent, 9);
    must_send(ends[0], sent, size);
    must_send(ends[0], "next", 5);
    memset(got, 'x', sizeof got);
    for (int i = 0; i < 3; i++) {
        message.size = size - 1;
        ck_assert_int_eq(weft_pipe_receive(ends[1], &message, WEFT_FOREVER),
                         WEFT_EMSGSIZE);
        ck_assert_uint_eq(message.size, size);
        ck_assert_int_eq(got[0], 'x');
        ck_assert_int_eq(got[size - 1], 'x');
    }
    ck_assert_int_eq(weft_pipe_receive(ends[1], &message, WEFT_NOW), 0);
    ck_assert(memcmp(got, sent, size) == 0);
    message.size = sizeof got;
    ck_assert_int_eq(weft_pipe_receive(ends[1], &message, WEFT_NOW), 0);
    ck_assert_uint_eq(message.size, 5);
    ck_assert_str_eq(got, "next");
}

END_TEST

/* --- time and stops */

START_TEST(receiving_has_a_deadline)
{
    weft_message message = {0};
    const weft_time until = weft_in(30 * WEFT_MS);
    const int before = support_fds();

    expect_refused(weft_pipe_receive(ends[0], &message, WEFT_NOW),
                   WEFT_ETIMEDOUT, "nothing came");
    ck_assert_int_eq(support_fds(), before); /* a try makes nothing */
    ck_assert_int_eq(weft_pipe_receive(ends[0], &message, until),
                     WEFT_ETIMEDOUT);
    ck_assert_int_ge(weft_now().ns, until.ns);
}

END_TEST

/* Fills the pipe with numbers; how many there are. */
static int
fill_pipe(void)
{
    int status = 0, count = 0;

    while (status == 0) {
        const weft_message message = {.data = &count, .size = sizeof count};

        status = weft_pipe_send(ends[0], &message, WEFT_NOW);
        count += status == 0;
    }
    ck_assert_int_eq(status, WEFT_ETIMEDOUT);
    ck_assert_int_gt(count, 100);
    return count;
}

START_TEST(sending_has_a_deadline)
{
    static char large[INSIDE + 1];
    const int without_bell = support_fds(), count = fill_pipe();
    weft_time until = weft_in(30 * WEFT_MS);

    for (int i = 0; i < 2; i++) {
        const weft_message message = {large, i ? sizeof large : 1, ends, 1};

        expect_refused(weft_pipe_send(ends[0], &message, until), WEFT_ETIMEDOUT,
                       "no room");
        ck_assert_int_ge(weft_now().ns, until.ns);
        until = weft_in(30 * WEFT_MS);
    }
    ck_assert_int_eq(support_fds(), without_bell + 1);
    for (int i = 0; i < count; i++) {
        int number = -1;
        weft_message message = {.data = &number, .size = sizeof number};

        ck_assert_int_eq(weft_pipe_receive(ends[1], &message, WEFT_NOW), 0);
        ck_assert_int_eq(number, i);
    }
    weft_message none = {0};

    ck_assert_int_eq(weft_pipe_receive(ends[1], &none, WEFT_NOW),
                     WEFT_ETIMEDOUT);
}

END_TEST

static int
receive_for_ever(weft_call *call)
{
    weft_message message = {0};

    gate_open(&common->begun);
    common->value = weft_pipe_receive(end_of(call), &message, WEFT_FOREVER);
    return common->value;
}

static int
send_for_ever(weft_call *call)
{
    static char data[1000];
    const weft_message message = {.data = data, .size = sizeof data};
    int status = 0;

    gate_open(&common->begun);
    while (status == 0) {
        status = weft_pipe_send(end_of(call), &message, WEFT_FOREVER);
        common->count += status == 0;
    }
    common->value = status;
    return status;
}

/* A process's record says only that it runs. */
static bool
is_waiting(weft_kind kind, const weft_job *job)
{
    weft_worker worker;

    weft_worker_of(job, &worker);
    if (kind == WEFT_PROCESS)
        return worker.pid > 0 && support_state(worker.pid) == 'S';
    return worker.state == WEFT_WAITING && strstr(worker.waits_for, "pipe");
}

START_TEST(a_stop_ends_the_wait)
{
    weft_fn *const waits[] = {receive_for_ever, send_for_ever};
    weft_job *job = start_with_end(kinds[_i / 2], waits[_i % 2]);

    gate_pass(&common->begun);
    eventually(is_waiting(kinds[_i / 2], job));
    ck_assert_int_eq(weft_stop(job), 0);
    expect_end(job, WEFT_ECANCELED);
    ck_assert_int_eq(common->value, WEFT_ECANCELED);
    for (int i = 0; i < common->count; i++) {
        char data[1000];
        weft_message message = {.data = data, .size = sizeof data};

        ck_assert_int_eq(weft_pipe_receive(ends[0], &message, WEFT_NOW), 0);
        ck_assert_uint_eq(message.size, sizeof data);
    }
    weft_message none = {0};

    ck_assert_int_eq(weft_pipe_receive(ends[0], &none, WEFT_NOW),
                     WEFT_ETIMEDOUT);
}

END_TEST

static int
receive_all(weft_call *call)
{
    char data[1000];
    weft_message message = {.data = data, .size = sizeof data};
    int status;

    while ((status = weft_pipe_receive(end_of(call), &message, WEFT_FOREVER)) ==
           0) {
        child_expect(message.size == sizeof(int));
        message.size = sizeof data;
        common->count++;
    }
    return status == WEFT_EPIPE ? 0 : status;
}

START_TEST(a_full_pipe_goes_on_when_there_is_room)
{
    enum {
        COUNT = 5000
    };

    const unsigned count = scaled(COUNT);
    weft_job *job = start_with_end(kinds[_i], receive_all);

    for (unsigned i = 0; i < count; i++)
        must_send(ends[0], &i, sizeof i);
    close(ends[0]);
    expect_end(job, 0);
    ck_assert_int_eq(common->count, (int)count);
}

END_TEST

/* --- the other end */

START_TEST(the_other_end_is_gone)
{
    static char large[2 * INSIDE];
    char text[8];
    weft_message message = {.data = text, .size = sizeof text};

    must_send(ends[0], "last", 5);
    if (_i)
        must_send(ends[1], "unread", 7);
    close(ends[0]);
    for (int i = 0; i < 4; i++) {
        const weft_message sent = {.data = large,
                                   .size = i % 2 ? sizeof large : 3};

        expect_refused(weft_pipe_send(ends[1], &sent, WEFT_FOREVER), WEFT_EPIPE,
                       "the other end");
    }
    ck_assert_int_eq(weft_pipe_receive(ends[1], &message, WEFT_FOREVER), 0);
    ck_assert_str_eq(text, "last");
    for (int i = 0; i < 2; i++)
        expect_refused(weft_pipe_receive(ends[1], &message, WEFT_FOREVER),
                       WEFT_EPIPE, "the other end");
}

END_TEST

START_TEST(unread_messages_do_not_hide_sent_ones)
{
    char text[8];
    weft_message message = {.data = text, .size = sizeof text};

    must_send(ends[0], "last", 5);
    must_send(ends[1], "unread", 7);
    close(ends[0]);
    ck_assert_int_eq(weft_pipe_receive(ends[1], &message, WEFT_NOW), 0);
    ck_assert_int_eq(weft_pipe_receive(ends[1], &message, WEFT_NOW),
                     WEFT_EPIPE);
}

END_TEST

START_TEST(a_waiting_worker_sees_the_end)
{
    weft_job *job = start_with_end(kinds[_i], receive_all);

    if (kinds[_i] == WEFT_PROCESS)
        close(ends[1]);
    eventually(is_waiting(kinds[_i], job));
    close(ends[0]);
    expect_end(job, 0);
}

END_TEST

/* --- misuse */

START_TEST(misuse_is_refused)
{
    int fds[WEFT_PIPE_FDS + 1] = {0}, tube[2];
    char byte = 0;
    weft_message good = {&byte, 1, NULL, 0};
    weft_message bad[] = {{NULL, 1, NULL, 0}, {&byte, 1, NULL, 1}};
    const int before = support_fds();

    expect_refused(weft_pipe_open(NULL), WEFT_EINVAL, "NULL");
    expect_refused(weft_pipe_send(ends[0], NULL, WEFT_NOW), WEFT_EINVAL,
                   "NULL");
    expect_refused(weft_pipe_receive(ends[0], NULL, WEFT_NOW), WEFT_EINVAL,
                   "NULL");
    for (int i = 0; i < 2; i++) {
        expect_refused(weft_pipe_send(ends[0], &bad[i], WEFT_NOW), WEFT_EINVAL,
                       "NULL");
        expect_refused(weft_pipe_receive(ends[0], &bad[i], WEFT_NOW),
                       WEFT_EINVAL, "NULL");
    }
    bad[0] = (weft_message){NULL, 0, fds, WEFT_PIPE_FDS + 1};
    expect_refused(weft_pipe_send(ends[0], &bad[0], WEFT_NOW), WEFT_EINVAL,
                   "253");
    fds[1] = 9999;
    bad[0] = (weft_message){NULL, 0, fds, 2};
    expect_refused(weft_pipe_send(ends[0], &bad[0], WEFT_NOW), WEFT_EINVAL,
                   "not open");
    ck_assert_int_eq(os_pipe(tube), 0);
    for (int i = 0; i < 3; i++) {
        const int end = i == 0 ? tube[0] : i == 1 ? 9999 : -1;
        const char *word = i == 0 ? "no end of a pipe" : "not open";

        expect_refused(weft_pipe_send(end, &good, WEFT_NOW), WEFT_EINVAL, word);
        expect_refused(weft_pipe_receive(end, &good, WEFT_NOW), WEFT_EINVAL,
                       word);
    }
    ck_assert_int_eq(support_fds(), before + 2);
    expect_refused(weft_pipe_receive(ends[1], &good, WEFT_NOW), WEFT_ETIMEDOUT,
                   "nothing came");
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("pipe");
    TCase *tcase = support_case(suite, "messages", 60);

    tcase_add_checked_fixture(tcase, open_pipe, NULL);
    tcase_add_test(tcase, ends_are_private_and_high);
    add_for_kinds(tcase, any_size_arrives);
    add_for_kinds(tcase, a_huge_message_arrives);
    tcase_add_test(tcase, order_is_kept);
    support_add_table(tcase, descriptors_arrive, loads);
    add_for_kinds(tcase, a_worker_sends_a_descriptor);
    tcase_add_loop_test(tcase, what_does_not_fit_stays, 0, 2);
    tcase = support_case(suite, "waiting", 20);
    tcase_add_checked_fixture(tcase, open_pipe, NULL);
    tcase_add_test(tcase, receiving_has_a_deadline);
    tcase_add_test(tcase, sending_has_a_deadline);
    tcase_add_loop_test(tcase, a_stop_ends_the_wait, 0, 4);
    add_for_kinds(tcase, a_full_pipe_goes_on_when_there_is_room);
    tcase_add_loop_test(tcase, the_other_end_is_gone, 0, 2);
    tcase_add_test(tcase, unread_messages_do_not_hide_sent_ones);
    add_for_kinds(tcase, a_waiting_worker_sees_the_end);
    tcase_add_test(tcase, misuse_is_refused);
    return support_run(suite);
}
