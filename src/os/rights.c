/* What a process may do, as the system says it, read in a few microseconds: a
 * worker must never have more rights than its caller, so each start asks. */
#include "base/digest.h"
#include "os/high.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t
digest_word(uint64_t sum, uint64_t word)
{
    return digest_bytes(sum, &word, sizeof word);
}

/* Files that stay open, since opening them takes longer than reading them.
 * Somebody may have closed one, or a fork may have made it another process's:
 * then it is opened again. Used by one thread at a time; others open their own.
 */
struct kept {
    const char *path;
    int how, fd, pid;
    dev_t device;
    ino_t number;
};

static struct {
    atomic_flag used;
    struct kept status, spaces;
} kept = {
    .used = ATOMIC_FLAG_INIT,
    .status = {.path = "/proc/self/status", .fd = -1},
    /* It may be looked into where it may not be read. */
    .spaces = {.path = "/proc/self/ns", .how = O_PATH, .fd = -1},
};

static bool
is_open_still(const struct kept *file)
{
    struct stat now;

    return file->fd >= 0 && file->pid == getpid() &&
           fstat(file->fd, &now) == 0 && now.st_dev == file->device &&
           now.st_ino == file->number;
}

static int
keep_open(struct kept *file)
{
    struct stat now;

    if (is_open_still(file))
        return file->fd;
    file->fd = high_fd(open(file->path, file->how | O_CLOEXEC));
    if (file->fd >= 0 && fstat(file->fd, &now) == 0) {
        file->pid = getpid();
        file->device = now.st_dev;
        file->number = now.st_ino;
    }
    return file->fd;
}

/* The root directory, whose mount's id is its namespace's own, and the other
 * namespaces that decide what a process may do. */
static void
add_places(struct os_rights *out, int spaces)
{
    struct stat net = {0}, user = {0};
    struct statx root = {0};

    (void)statx(AT_FDCWD, "/", 0, STATX_INO | STATX_MNT_ID, &root);
    (void)fstatat(spaces, "net", &net, 0);
    (void)fstatat(spaces, "user", &user, 0);
    out->digest = digest_word(out->digest, root.stx_dev_major);
    out->digest = digest_word(out->digest, root.stx_dev_minor);
    out->digest = digest_word(out->digest, root.stx_ino);
    out->digest = digest_word(out->digest, root.stx_mnt_id);
    out->digest = digest_word(out->digest, net.st_ino);
    out->digest = digest_word(out->digest, user.st_ino);
}

static bool
starts(const char *line, const char *word)
{
    return strncmp(line, word, strlen(word)) == 0;
}

/* A line of /proc/self/status, or the start of one that is too long. Whether it
 * says what the process may do. */
static bool
take_line(struct os_rights *out, const char *line)
{
    static const char *const rights[] = {
        "Uid:", "Gid:", "Groups:", "NoNewPrivs:", "Seccomp", "Cap"};

    if (starts(line, "Umask:"))
        out->umask = (unsigned)strtoul(line + 6, NULL, 8);
    else if (starts(line, "TracerPid:"))
        out->traced = strtoul(line + 10, NULL, 10) != 0;
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++)
        if (starts(line, rights[i]))
            return true;
    return false;
}

/* Of what was read, in parts, of a text that is a line each. */
struct lines {
    char text[4096 + 1];
    size_t used;
    bool counts; /* the line that goes on in the next part is to be digested */
    bool inside; /* there is such a line */
};

static void
take_part(struct os_rights *out, struct lines *lines)
{
    char *at = lines->text, *end;

    lines->text[lines->used] = '\0';
    while ((end = strchr(at, '\n'))) {
        *end = '\0';
        if (lines->inside ? lines->counts : take_line(out, at))
            out->digest = digest_bytes(out->digest, at, (size_t)(end - at));
        lines->inside = false;
        at = end + 1;
    }
    lines->used -= (size_t)(at - lines->text);
    memmove(lines->text, at, lines->used);
    if (lines->used < sizeof lines->text - 1)
        return;
    /* A line of thousands of groups. */
    lines->counts = lines->inside ? lines->counts : take_line(out, lines->text);
    lines->inside = true;
    if (lines->counts)
        out->digest = digest_bytes(out->digest, lines->text, lines->used);
    lines->used = 0;
}

static int
read_rights(struct os_rights *out, int status, int spaces)
{
    struct lines lines = {.used = 0};
    off_t place = 0;
    ssize_t got;

    *out = (struct os_rights){.digest = DIGEST_START};
    while ((got = pread(status, lines.text + lines.used,
                        sizeof lines.text - 1 - lines.used, place)) > 0) {
        place += got;
        lines.used += (size_t)got;
        take_part(out, &lines);
    }
    if (got < 0)
        return -errno;
    add_places(out, spaces);
    return 0;
}

int
os_rights(struct os_rights *out)
{
    struct kept status = {.path = kept.status.path, .fd = -1};
    struct kept spaces = {.path = kept.spaces.path, .how = O_PATH, .fd = -1};
    const bool first = !atomic_flag_test_and_set(&kept.used);
    int error = keep_open(first ? &kept.status : &status);

    if (error >= 0)
        error = keep_open(first ? &kept.spaces : &spaces);
    if (error >= 0)
        error = read_rights(out, first ? kept.status.fd : status.fd,
                            first ? kept.spaces.fd : spaces.fd);
    if (first)
        atomic_flag_clear(&kept.used);
    if (status.fd >= 0)
        close(status.fd);
    if (spaces.fd >= 0)
        close(spaces.fd);
    return error;
}

void
os_rights_forked(bool open)
{
    struct kept *const files[] = {&kept.status, &kept.spaces};

    atomic_flag_clear(&kept.used);
    for (size_t i = 0; i < 2; i++) {
        if (open && files[i]->fd >= 0)
            close(files[i]->fd);
        files[i]->fd = -1;
    }
}
