/* Message pipes against crowds, deaths, limits and packets that are made up. */
#include "os/os.h"
#include "queue/packet.h"
#include "support/worker_support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    INSIDE = 64 << 10, /* the longest that travels inside a packet */
    LARGE = INSIDE + 1000,
    LETTERS = 1000 /* each sender of a crowd sends so many */
};

static int ends[2];

static void
open_pipe(void)
{
    common_make();
    ck_assert(weft_init(NULL) == 0 || support_is_valgrind());
    ck_assert_int_eq(weft_pipe_open(ends), 0);
}

/* --- whole messages: each says whose it is and its number, and is filled with
 * a byte that follows from that */

struct letter {
    unsigned sender, number;
};

static const size_t sizes[] = {0, 1, 100, 20000, LARGE};

static size_t
size_of(const struct letter *letter)
{
    return sizeof *letter + sizes[(letter->number * 7 + letter->sender) %
                                  (sizeof sizes / sizeof *sizes)];
}

static char
byte_of(const struct letter *letter)
{
    return (char)(letter->sender * 13 + letter->number);
}

static int
send_letter(int end, unsigned sender, unsigned number)
{
    const struct letter letter = {sender, number};
    const size_t size = size_of(&letter);
    char *data = malloc(size);

    child_expect(data != NULL);
    memset(data, byte_of(&letter), size);
    memcpy(data, &letter, sizeof letter);
    const int status = weft_pipe_send(
        end, &(weft_message){.data = data, .size = size}, WEFT_FOREVER);

    free(data);
    return status;
}

/* Receives one with too little room at first, into room that grows. */
static int
receive_letter(int end, struct letter *letter, weft_time until)
{
    char *data = NULL;
    weft_message message = {0};
    int status;

    while ((status = weft_pipe_receive(end, &message, until)) ==
           WEFT_EMSGSIZE) {
        free(data);
        message.data = data = malloc(message.size);
        child_expect(data != NULL);
    }
    if (status == 0) {
        child_expect(message.size >= sizeof *letter);
        memcpy(letter, data, sizeof *letter);
        child_expect(message.size == size_of(letter));
        for (size_t i = sizeof *letter; i < message.size; i++)
            child_expect(data[i] == byte_of(letter));
    }
    free(data);
    return status;
}

/* --- many at once */

enum {
    SENDERS = 3,
    RECEIVERS = 3
};

struct role {
    int end;
    unsigned sender, count;
};

static int
send_many(weft_call *call)
{
    const struct role *role = call->arg;
    const int end = call->fd_count > 0 ? call->fds[0] : role->end;

    for (unsigned i = 0; i < role->count; i++)
        child_expect(send_letter(end, role->sender, i) == 0);
    return 0;
}

static int
receive_many(weft_call *call)
{
    const struct role *role = call->arg;
    const int end = call->fd_count > 0 ? call->fds[0] : role->end;
    unsigned next[SENDERS] = {0};
    struct letter letter;
    int status;

    while ((status = receive_letter(end, &letter, WEFT_FOREVER)) == 0) {
        child_expect(letter.sender < SENDERS);
        child_expect(letter.number >= next[letter.sender]); /* in order */
        next[letter.sender] = letter.number + 1;
        atomic_fetch_add(&common->count, 1);
    }
    child_expect(status == WEFT_EPIPE);
    return 0;
}

static weft_job *
start_role(weft_kind kind, weft_fn *fn, const struct role *role)
{
    const weft_worker_options options = {.fds = &role->end, .fd_count = 1};

    return must_start(
        kind, &(weft_task){.fn = fn,
                           .arg = role,
                           .arg_size = sizeof *role,
                           .worker = kind == WEFT_PROCESS ? &options : NULL});
}

/* Bit 0: the senders are processes; bit 1: the receivers are. */
START_TEST(many_send_and_receive)
{
    weft_job *senders[SENDERS], *receivers[RECEIVERS];
    struct role role = {.count = scaled(LETTERS)};

    for (unsigned i = 0; i < RECEIVERS; i++) {
        role.end = ends[1];
        receivers[i] = start_role(kinds[_i >> 1], receive_many, &role);
    }
    for (unsigned i = 0; i < SENDERS; i++) {
        role.end = ends[0];
        role.sender = i;
        senders[i] = start_role(kinds[_i & 1], send_many, &role);
    }
    for (unsigned i = 0; i < SENDERS; i++)
        expect_end(senders[i], 0);
    close(ends[0]);
    for (unsigned i = 0; i < RECEIVERS; i++)
        expect_end(receivers[i], 0);
    ck_assert_int_eq(common->count, (int)(SENDERS * role.count));
}

END_TEST

/* --- deaths */

static void
send_until_killed(void *unused)
{
    (void)unused;
    close(ends[1]);
    for (unsigned i = 0;; i++)
        child_expect(send_letter(ends[0], 1, i) == 0);
}

static void
kill_after(pid_t pid, unsigned us)
{
    const int64_t until = os_now() + us * 1000;

    while (os_now() < until)
        ;
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(support_reap(pid), 128 + SIGKILL);
}

START_TEST(a_killed_sender_leaves_whole_messages)
{
    for (unsigned i = 0; i < scaled(200); i++) {
        const pid_t pid = support_fork(send_until_killed, NULL);
        struct letter letter;
        unsigned next = 0;
        int status;

        kill_after(pid, 100 + i * 37 % 2000);
        while ((status = receive_letter(ends[1], &letter, WEFT_NOW)) == 0)
            ck_assert_uint_eq(letter.number, next++);
        ck_assert_int_eq(status, WEFT_ETIMEDOUT);
    }
}

END_TEST

static void
receive_until_killed(void *unused)
{
    struct letter letter;

    (void)unused;
    close(ends[0]);
    while (receive_letter(ends[1], &letter, WEFT_FOREVER) == 0)
        common->value = (int)letter.number;
}

/* What it had not taken the next one gets; at most one has gone with it. */
START_TEST(a_killed_receiver_keeps_nobody_waiting)
{
    enum {
        BATCH = 20
    };

    for (unsigned i = 0; i < scaled(200); i++) {
        common->value = -1;
        const pid_t pid = support_fork(receive_until_killed, NULL);
        struct letter letter;

        for (unsigned k = 0; k < BATCH; k++)
            ck_assert_int_eq(send_letter(ends[0], 1, k), 0);
        kill_after(pid, i * 37 % 2000);
        unsigned next = (unsigned)(common->value + 1);
        bool first = true;

        while (receive_letter(ends[1], &letter, WEFT_NOW) == 0) {
            ck_assert(letter.number == next ||
                      (first && letter.number == next + 1));
            next = letter.number + 1;
            first = false;
        }
        ck_assert(next == BATCH || (first && next == BATCH - 1));
    }
}

END_TEST

static atomic_bool enough;

/* Without assertions of Check, whose lock a copy would find taken. */
static void *
receive_busily(void *unused)
{
    weft_message none = {0};

    while (!atomic_load(&enough))
        child_expect(weft_pipe_receive(ends[1], &none, WEFT_NOW) ==
                     WEFT_ETIMEDOUT);
    return unused;
}

static void
receive_one(void *end)
{
    weft_message none = {0};

    child_expect(weft_pipe_receive(*(int *)end, &none,
                                   weft_in(patient(WEFT_SECOND))) == 0);
}

/* Another pipe whose receivers use the same word for their turns. */
static void
open_neighbour(int other[2])
{
    ck_assert_int_eq(weft_pipe_open(other), 0);
    while (os_pair_id(other[1]) % 64 != os_pair_id(ends[1]) % 64) {
        close(other[0]);
        close(other[1]);
        ck_assert_int_eq(weft_pipe_open(other), 0);
    }
}

/* A copy made in the middle of another thread's turn has its own. */
START_TEST(a_copy_made_at_any_moment_can_receive)
{
    int other[2];

    if (support_is_valgrind())
        return; /* what the thread keeps is lost in a copy without it */
    open_neighbour(other);
    const pthread_t thread = support_thread(receive_busily, NULL);

    for (unsigned i = 0; i < scaled(300); i++) {
        ck_assert_int_eq(weft_pipe_send(other[0], &(weft_message){0}, WEFT_NOW),
                         0);
        ck_assert_int_eq(support_run_fork(receive_one, &other[1]), 0);
    }
    atomic_store(&enough, true);
    support_join(thread);
}

END_TEST

/* --- limits */

START_TEST(without_room_for_descriptors_the_message_stays)
{
    struct rlimit old, tight;

    if (support_is_valgrind())
        return; /* it has limits of its own */
    static char data[LARGE];
    int fds[3] = {0, 1, 2}, got[3];
    weft_message message = {data, _i ? LARGE : 10, fds, 3};

    ck_assert_int_eq(weft_pipe_send(ends[0], &message, WEFT_NOW), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    const int before = support_fds(), next = dup(0);

    close(next);
    tight = (struct rlimit){(rlim_t)next + 2, old.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
    message = (weft_message){data, LARGE, got, 3};
    for (int i = 0; i < 3; i++)
        expect_refused(weft_pipe_receive(ends[1], &message, WEFT_NOW),
                       WEFT_EAGAIN, "descriptors");
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    ck_assert_int_eq(support_fds(), before);
    ck_assert_int_eq(weft_pipe_receive(ends[1], &message, WEFT_NOW), 0);
    ck_assert_uint_eq(message.fd_count, 3);
    ck_assert_int_eq(support_fds(), before + 3);
}

END_TEST

START_TEST(a_limit_of_file_size_is_told)
{
    static char data[LARGE];
    const struct rlimit small = {1000, RLIM_INFINITY};
    weft_message message = {.data = data, .size = LARGE};

    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    ck_assert_int_eq(weft_pipe_send(ends[0], &message, WEFT_NOW), -EFBIG);
    message.size = SIZE_MAX / 2;
    ck_assert_int_lt(weft_pipe_send(ends[0], &message, WEFT_NOW), 0);
}

END_TEST

START_TEST(small_buffers_do_not_matter)
{
    static char data[INSIDE], got[INSIDE];
    const int least = 1;
    weft_message message = {.data = data, .size = INSIDE};

    memset(data, 'x', sizeof data);
    ck_assert_int_eq(
        setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof least), 0);
    ck_assert_int_eq(weft_pipe_send(ends[0], &message, WEFT_NOW), 0);
    message.data = got;
    ck_assert_int_eq(weft_pipe_receive(ends[1], &message, WEFT_NOW), 0);
    ck_assert(memcmp(data, got, INSIDE) == 0);
}

END_TEST

/* --- packets that are made up */

enum file {
    NO_FILE,
    FROZEN, /* 4 bytes, as it should be */
    LIVELY, /* can be written */
    NULL_DEVICE,
    END /* of this very pipe */
};

static const struct {
    struct packet_header header;
    size_t length; /* of the packet */
    enum file files[3];
} forged[] = {
    {{0}, 0, {0}},
    {{0}, 0, {NULL_DEVICE}},
    {{PACKET_MAGIC, 0, 0, 0}, 1, {0}},
    {{PACKET_MAGIC, 0, 0, 0}, sizeof(struct packet_header) - 1, {0}},
    {{PACKET_MAGIC + 1, 0, 0, 0}, sizeof(struct packet_header), {0}},
    {{PACKET_MAGIC, 0, 0, 4}, sizeof(struct packet_header), {0}},
    {{PACKET_MAGIC, 0, 0, 2}, sizeof(struct packet_header), {END}},
    {{PACKET_MAGIC, 1, 0, 0}, sizeof(struct packet_header), {0}},
    {{PACKET_MAGIC, 0, 0, 0}, sizeof(struct packet_header) + 1, {0}},
    {{PACKET_MAGIC, UINT64_MAX, 0, 0}, sizeof(struct packet_header), {0}},
    {{PACKET_MAGIC, (uint64_t)0 - sizeof(struct packet_header), 0, 0}, 0, {0}},
    {{PACKET_MAGIC, 0, 1, 0}, sizeof(struct packet_header), {0}},
    {{PACKET_MAGIC, 0, 0, 0}, sizeof(struct packet_header), {NULL_DEVICE}},
    {{PACKET_MAGIC, 0, 1, 0}, sizeof(struct packet_header), {END, END}},
    {{PACKET_MAGIC, 0, 254, 0}, sizeof(struct packet_header), {END}},
    {{PACKET_MAGIC, 0, UINT32_MAX, 0}, sizeof(struct packet_header), {0}},
    {{PACKET_MAGIC, 4, 0, 1}, sizeof(struct packet_header), {0}},
    {{PACKET_MAGIC, 4, 0, 1}, sizeof(struct packet_header), {LIVELY}},
    {{PACKET_MAGIC, 4, 0, 1}, sizeof(struct packet_header), {NULL_DEVICE}},
    {{PACKET_MAGIC, 4, 0, 1}, sizeof(struct packet_header), {END}},
    {{PACKET_MAGIC, 5, 0, 1}, sizeof(struct packet_header), {FROZEN}},
    {{PACKET_MAGIC, 3, 0, 1}, sizeof(struct packet_header), {FROZEN}},
    {{PACKET_MAGIC, UINT64_MAX, 0, 1}, sizeof(struct packet_header), {FROZEN}},
    {{PACKET_MAGIC, 4, 0, 1}, sizeof(struct packet_header) + 4, {FROZEN}},
    {{PACKET_MAGIC, 4, 1, 1}, sizeof(struct packet_header), {FROZEN}},
    {{PACKET_MAGIC, 4, UINT32_MAX, 1}, sizeof(struct packet_header), {0}},
    {{PACKET_MAGIC, 4, 2, 3}, sizeof(struct packet_header), {FROZEN}},
    {{PACKET_MAGIC, 4, 2, 3},
     sizeof(struct packet_header),
     {FROZEN, NULL_DEVICE}},
    {{PACKET_MAGIC, 4, 2, 3}, sizeof(struct packet_header), {FROZEN, FROZEN}},
    {{PACKET_MAGIC, 4, 2, 3}, sizeof(struct packet_header), {FROZEN, END}},
    {{PACKET_MAGIC, 4, 0, 3}, sizeof(struct packet_header), {FROZEN, END, END}},
};

static int
make_file(enum file file)
{
    int fd = -1;

    if (file == FROZEN)
        fd = os_memfd_frozen("forged", "1234", 4);
    else if (file == LIVELY)
        fd = os_memfd("forged", 4);
    else if (file == NULL_DEVICE)
        fd = os_open_null();
    else if (file == END)
        fd = os_copy_fd(ends[1], 3);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static void
send_forged(int which)
{
    char data[64] = {0};
    int fds[3];
    struct os_packet packet = {
        .head = data, .head_size = forged[which].length, .fds = fds};

    memcpy(data, &forged[which].header, sizeof forged[which].header);
    for (int i = 0; i < 3 && forged[which].files[i] != NO_FILE; i++)
        fds[packet.fd_count++] = make_file(forged[which].files[i]);
    ck_assert_int_ge(os_packet_send(ends[0], &packet), 0);
    for (unsigned i = 0; i < packet.fd_count; i++)
        close(fds[i]);
}

START_TEST(forged_packets_are_thrown_away)
{
    char data[100];
    int fds[10];
    weft_message message = {data, sizeof data, fds, 10};
    const weft_message good = {"good", 5, NULL, 0};
    const int before = support_fds();

    memset(data, 'x', sizeof data);
    send_forged(_i);
    ck_assert_int_eq(weft_pipe_send(ends[0], &good, WEFT_NOW), 0);
    expect_refused(weft_pipe_receive(ends[1], &message, WEFT_NOW),
                   WEFT_EMISMATCH, "thrown away");
    ck_assert_uint_eq(message.size, sizeof data);
    ck_assert_uint_eq(message.fd_count, 10);
    for (size_t i = 0; i < sizeof data; i++)
        ck_assert_int_eq(data[i], 'x');
    ck_assert_int_eq(weft_pipe_receive(ends[1], &message, WEFT_NOW), 0);
    ck_assert_str_eq(data, "good");
    ck_assert_int_eq(support_fds(), before);
}

END_TEST

/* An empty packet looks like the end. */
START_TEST(a_forged_end_hides_nothing)
{
    char data[100];
    weft_message message = {.data = data, .size = sizeof data};
    const weft_message good = {"good", 5, NULL, 0};

    send_forged(0);
    ck_assert_int_eq(weft_pipe_send(ends[0], &good, WEFT_NOW), 0);
    close(ends[0]);
    ck_assert_int_eq(weft_pipe_receive(ends[1], &message, WEFT_NOW),
                     WEFT_EMISMATCH);
    ck_assert_int_eq(weft_pipe_receive(ends[1], &message, WEFT_NOW), 0);
    ck_assert_str_eq(data, "good");
    ck_assert_int_eq(weft_pipe_receive(ends[1], &message, WEFT_NOW),
                     WEFT_EPIPE);
}

END_TEST

START_TEST(a_pipe_travels_through_itself)
{
    int got[2];
    weft_message message = {.fds = ends, .fd_count = 2};
    const int before = support_fds();

    ck_assert_int_eq(weft_pipe_send(ends[0], &message, WEFT_NOW), 0);
    message.fds = got;
    ck_assert_int_eq(weft_pipe_receive(ends[1], &message, WEFT_NOW), 0);
    ck_assert_int_eq(weft_pipe_send(got[0], &(weft_message){0}, WEFT_NOW), 0);
    ck_assert_int_eq(weft_pipe_receive(got[1], &message, WEFT_NOW), 0);
    ck_assert_int_eq(support_fds(), before + 2);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("pipe, hostile");
    TCase *tcase = support_case(suite, "crowds and deaths", 60);

    tcase_add_checked_fixture(tcase, open_pipe, NULL);
    tcase_add_loop_test(tcase, many_send_and_receive, 0, 4);
    tcase_add_test(tcase, a_killed_sender_leaves_whole_messages);
    tcase_add_test(tcase, a_killed_receiver_keeps_nobody_waiting);
    tcase_add_test(tcase, a_copy_made_at_any_moment_can_receive);
    tcase = support_case(suite, "limits", 10);
    tcase_add_checked_fixture(tcase, open_pipe, NULL);
    tcase_add_loop_test(tcase, without_room_for_descriptors_the_message_stays,
                        0, 2);
    tcase_add_test(tcase, a_limit_of_file_size_is_told);
    tcase_add_test(tcase, small_buffers_do_not_matter);
    tcase = support_case(suite, "forgeries", 10);
    tcase_add_checked_fixture(tcase, open_pipe, NULL);
    support_add_table(tcase, forged_packets_are_thrown_away, forged);
    tcase_add_test(tcase, a_forged_end_hides_nothing);
    tcase_add_test(tcase, a_pipe_travels_through_itself);
    return support_run(suite);
}
