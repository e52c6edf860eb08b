/* Messages over a pair of sockets. */
#include "os/os.h"
#include "support/support.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void
expect_private(int fd)
{
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

static ino_t
inode(int fd)
{
    struct stat status;

    ck_assert_int_eq(fstat(fd, &status), 0);
    return status.st_ino;
}

START_TEST(messages_stay_whole)
{
    int ends[2];
    char text[64] = "";
    unsigned none = 0;

    ck_assert_int_eq(os_pair(ends), 0);
    ck_assert_int_eq(os_send(ends[0], "one", 4, NULL, 0), 4);
    ck_assert_int_eq(os_send(ends[0], "second", 7, NULL, 0), 7);
    ck_assert_int_eq(os_receive(ends[1], text, sizeof text, NULL, &none), 4);
    ck_assert_str_eq(text, "one");
    ck_assert_int_eq(os_receive(ends[1], text, sizeof text, NULL, &none), 7);
    ck_assert_str_eq(text, "second");
    close(ends[0]);
    ck_assert_int_eq(os_receive(ends[1], text, sizeof text, NULL, &none), 0);
    ck_assert_int_eq(os_send(ends[1], "x", 1, NULL, 0), -EPIPE);
}

END_TEST

START_TEST(descriptors_travel)
{
    int ends[2], sent[OS_FDS], got[OS_FDS];
    unsigned count = OS_FDS;
    char byte = 0;

    ck_assert_int_eq(os_pair(ends), 0);
    for (int i = 0; i < OS_FDS; i++)
        sent[i] = os_memfd("travels", OS_PAGE);
    ck_assert_int_eq(os_send(ends[0], "x", 1, sent, OS_FDS), 1);
    ck_assert_int_eq(os_receive(ends[1], &byte, 1, got, &count), 1);
    ck_assert_uint_eq(count, OS_FDS);
    ck_assert_int_eq(byte, 'x');
    for (int i = 0; i < OS_FDS; i++) {
        expect_private(got[i]);
        ck_assert_int_ne(got[i], sent[i]);
        ck_assert_uint_eq(inode(got[i]), inode(sent[i]));
    }
}

END_TEST

START_TEST(descriptors_without_room_are_closed)
{
    int ends[2], sent[3], got[3] = {-1, -1, -1};
    unsigned room = 1;
    char byte;

    ck_assert_int_eq(os_pair(ends), 0);
    for (int i = 0; i < 3; i++)
        sent[i] = os_open_null();
    const int before = support_fds();

    ck_assert_int_eq(os_send(ends[0], "x", 1, sent, 3), 1);
    ck_assert_int_eq(os_receive(ends[1], &byte, 1, got, &room), 1);
    ck_assert_uint_eq(room, 1);
    ck_assert_int_ge(got[0], 0);
    ck_assert_int_eq(got[1], -1);
    ck_assert_int_eq(support_fds(), before + 1);
}

END_TEST

START_TEST(too_many_descriptors_are_refused)
{
    int ends[2], fds[OS_FDS + 1] = {0};

    ck_assert_int_eq(os_pair(ends), 0);
    ck_assert_int_eq(os_send(ends[0], "x", 1, fds, OS_FDS + 1), -EINVAL);
    fds[0] = 9999;
    ck_assert_int_eq(os_send(ends[0], "x", 1, fds, 1), -EBADF);
}

END_TEST

/* The rest of a long message is lost with it: the next one is whole. */
START_TEST(a_long_message_is_cut)
{
    int ends[2];
    char text[8] = "";
    unsigned none = 0;

    ck_assert_int_eq(os_pair(ends), 0);
    ck_assert_int_eq(os_send(ends[0], "0123456789", 10, NULL, 0), 10);
    ck_assert_int_eq(os_send(ends[0], "next", 5, NULL, 0), 5);
    ck_assert_int_le(os_receive(ends[1], text, 4, NULL, &none), 4);
    ck_assert_int_eq(text[4], '\0');
    ck_assert_int_eq(os_receive(ends[1], text, sizeof text, NULL, &none), 5);
    ck_assert_str_eq(text, "next");
}

END_TEST

static struct os_packet
packet_of(char *text, size_t size)
{
    return (struct os_packet){.head = text, .head_size = size};
}

START_TEST(a_packet_has_two_parts)
{
    int ends[2];
    char head[] = "head", body[] = "body", first[5] = "", rest[8] = "";
    const struct os_packet sent = {
        .head = head, .head_size = 4, .body = body, .body_size = 5};
    struct os_packet got = {
        .head = first, .head_size = 2, .body = rest, .body_size = 8};

    ck_assert_int_eq(os_pair(ends), 0);
    ck_assert_int_eq(os_packet_send(ends[0], &sent), 9);
    ck_assert_int_eq(os_packet_take(ends[1], &got), 9);
    ck_assert_str_eq(first, "he");
    ck_assert_str_eq(rest, "adbody");
    ck_assert_int_eq(os_packet_take(ends[1], &got), -EAGAIN);
    ck_assert_int_eq(os_packet_peek(ends[1], &got), -EAGAIN);
}

END_TEST

START_TEST(what_is_looked_at_stays)
{
    int ends[2], fds[2];
    char text[8] = "";

    ck_assert_int_eq(os_pair(ends), 0);
    ck_assert_int_eq(os_send(ends[0], "0123456", 8, ends, 1), 8);
    const int before = support_fds();

    for (int i = 0; i < 3; i++) {
        struct os_packet packet = packet_of(text, 4);

        packet.fds = fds;
        packet.fd_count = 2;
        ck_assert_int_eq(os_packet_peek(ends[1], &packet), 8);
        ck_assert_str_eq(text, "0123");
        ck_assert_uint_eq(packet.fd_count, 1);
        ck_assert(!packet.cut);
        expect_private(fds[0]);
        ck_assert_uint_eq(inode(fds[0]), inode(ends[0]));
        close(fds[0]);
    }
    struct os_packet packet = packet_of(text, 4);

    ck_assert_int_eq(os_packet_peek(ends[1], &packet), 8);
    ck_assert(packet.cut); /* no room for the descriptor */
    ck_assert_int_eq(os_packet_take(ends[1], &packet), 8);
    ck_assert_int_eq(os_packet_take(ends[1], &packet), -EAGAIN);
    ck_assert_int_eq(support_fds(), before);
}

END_TEST

START_TEST(a_full_pair_says_so)
{
    int ends[2];
    char text[] = "text";
    const struct os_packet packet = packet_of(text, 4);
    int status;

    ck_assert_int_eq(os_pair(ends), 0);
    while ((status = os_packet_send(ends[0], &packet)) == 4)
        ;
    ck_assert_int_eq(status, -EAGAIN);
    close(ends[1]);
    status = os_packet_send(ends[0], &packet);
    ck_assert(status == -EPIPE || status == -ECONNRESET);
    ck_assert_int_eq(os_packet_send(ends[0], &packet), -EPIPE);
}

END_TEST

START_TEST(a_pair_is_over_when_all_is_read)
{
    int ends[2];
    char text[8];
    struct os_packet packet = packet_of(text, 8);

    ck_assert_int_eq(os_pair(ends), 0);
    ck_assert(!os_pair_is_over(ends[1]));
    ck_assert_int_eq(os_send(ends[0], "x", 1, NULL, 0), 1);
    ck_assert_int_eq(os_send(ends[1], "unread", 6, NULL, 0), 6);
    close(ends[0]);
    ck_assert(!os_pair_is_over(ends[1]));
    ck_assert_int_eq(os_packet_peek(ends[1], &packet), -ECONNRESET);
    ck_assert_int_eq(os_packet_peek(ends[1], &packet), 1);
    ck_assert_int_eq(os_packet_take(ends[1], &packet), 1);
    ck_assert(os_pair_is_over(ends[1]));
    ck_assert_int_eq(os_packet_peek(ends[1], &packet), 0);
}

END_TEST

START_TEST(only_pairs_are_pairs)
{
    int ends[2], stream[2], tube[2];

    ck_assert_int_eq(os_pair(ends), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream),
                     0);
    ck_assert_int_eq(os_pipe(tube), 0);
    ck_assert_int_eq(os_pair_check(ends[0]), 0);
    ck_assert_int_eq(os_pair_check(ends[1]), 0);
    ck_assert_int_eq(os_pair_check(stream[0]), -ENOTSOCK);
    ck_assert_int_eq(os_pair_check(tube[0]), -ENOTSOCK);
    ck_assert_int_eq(os_pair_check(9999), -EBADF);
    ck_assert_int_eq(os_pair_check(-1), -EBADF);
    ck_assert_uint_eq(os_pair_id(ends[0]), os_pair_id(dup(ends[0])));
    ck_assert_uint_ne(os_pair_id(ends[0]), os_pair_id(ends[1]));
}

END_TEST

static void
try_lock(void *memory)
{
    const int *ends = memory;

    child_expect(os_pair_lock(ends[0]) == -EAGAIN);
    child_expect(os_pair_lock(ends[1]) == 0);
}

static void
take_lock(void *memory)
{
    const int *ends = memory;

    child_expect(os_pair_lock(ends[0]) == 0);
}

START_TEST(a_lock_keeps_other_processes_out)
{
    int ends[2];

    ck_assert_int_eq(os_pair(ends), 0);
    ck_assert_int_eq(os_pair_lock(ends[0]), 0);
    ck_assert_int_eq(support_run_fork(try_lock, ends), 0);
    os_pair_unlock(ends[0]);
    ck_assert_int_eq(support_run_fork(take_lock, ends), 0);
    ck_assert_int_eq(os_pair_lock(ends[0]), 0); /* its end gave it back */
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("os/socket");
    TCase *tcase = support_case(suite, "messages", 10);

    tcase_add_test(tcase, messages_stay_whole);
    tcase_add_test(tcase, descriptors_travel);
    tcase_add_test(tcase, descriptors_without_room_are_closed);
    tcase_add_test(tcase, too_many_descriptors_are_refused);
    tcase_add_test(tcase, a_long_message_is_cut);
    tcase = support_case(suite, "packets", 10);
    tcase_add_test(tcase, a_packet_has_two_parts);
    tcase_add_test(tcase, what_is_looked_at_stays);
    tcase_add_test(tcase, a_full_pair_says_so);
    tcase_add_test(tcase, a_pair_is_over_when_all_is_read);
    tcase_add_test(tcase, only_pairs_are_pairs);
    tcase_add_test(tcase, a_lock_keeps_other_processes_out);
    return support_run(suite);
}
