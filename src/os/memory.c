#include "os/high.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#    define MADV_POPULATE_WRITE 23
#endif

enum {
    SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL
};

/* A file longer than RLIMIT_FSIZE would raise SIGXFSZ. */
static bool
is_too_long(size_t size)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < size;
}

int
os_memfd(const char *name, size_t size)
{
    if (is_too_long(size))
        return -EFBIG;
    const int fd = high_fd(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));

    if (fd < 0)
        return fd;
    if (ftruncate(fd, (off_t)size) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
        const int error = errno;

        close(fd);
        return -error;
    }
    return fd;
}

int
os_file_put(int fd, size_t offset, const void *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        const ssize_t wrote = pwrite(fd, (const char *)data + at, size - at,
                                     (off_t)(offset + at));

        if (wrote < 0 && errno != EINTR)
            return -errno;
        at += wrote > 0 ? (size_t)wrote : 0;
    }
    return 0;
}

int
os_memfd_frozen(const char *name, const void *data, size_t size)
{
    if (is_too_long(size))
        return -EFBIG;
    const int fd = high_fd(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));

    if (fd < 0)
        return fd;
    /* Not by a mapping: the kernel refuses to seal what is mapped writable. */
    int status = os_file_put(fd, 0, data, size);

    if (status == 0 && fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_WRITE) < 0)
        status = -errno;
    if (status == 0)
        return fd;
    close(fd);
    return status;
}

int64_t
os_memfd_frozen_size(int fd)
{
    const int needed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    const int seals = fcntl(fd, F_GET_SEALS);

    /* Only files in memory have seals. */
    return seals < 0 || (seals & needed) != needed ? -EBADMSG
                                                   : os_file_size(fd);
}

int
os_file_get(int fd, size_t offset, void *out, size_t size)
{
    for (size_t at = 0; at < size;) {
        const ssize_t got =
            pread(fd, (char *)out + at, size - at, (off_t)(offset + at));

        if (got < 0 && errno != EINTR)
            return -errno;
        if (got == 0)
            return -EIO;
        at += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

int
os_file_make_new(const char *path, size_t size)
{
    if (is_too_long(size))
        return -EFBIG;
    const int fd = high_fd(
        open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));

    if (fd >= 0 && ftruncate(fd, (off_t)size) < 0) {
        const int error = errno;

        unlink(path);
        close(fd);
        return -error;
    }
    return fd;
}

int
os_file_rename(const char *from, const char *to)
{
    return rename(from, to) < 0 ? -errno : 0;
}

int
os_file_check_old(const char *path)
{
    struct stat old;

    if (stat(path, &old) < 0 || S_ISREG(old.st_mode))
        return 0;
    return S_ISDIR(old.st_mode) ? -EISDIR : -EEXIST;
}

int
os_file_make(const char *path, size_t size)
{
    char fresh[PATH_MAX];
    const int old = os_file_check_old(path);

    if (old < 0)
        return old;
    /* Made beside it and renamed: who has the old file mapped keeps it. */
    if (snprintf(fresh, sizeof fresh, "%s.%d", path, (int)getpid()) >=
        (int)sizeof fresh)
        return -ENAMETOOLONG;
    const int fd = os_file_make_new(fresh, size);
    const int status = fd < 0 ? fd : os_file_rename(fresh, path);

    if (fd >= 0 && status < 0) {
        unlink(fresh);
        close(fd);
    }
    return status < 0 ? status : fd;
}

int
os_file_open(const char *path)
{
    return high_fd(open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK));
}

int
os_file_identity(int fd, struct os_file_id *out)
{
    struct stat stat;

    if (fstat(fd, &stat) < 0)
        return -errno;
    *out = (struct os_file_id){stat.st_dev, stat.st_ino};
    return 0;
}

int
os_file_cut(int fd, size_t size)
{
    return ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
}

int
os_command(char *out, size_t room)
{
    const int fd = high_fd(open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC));

    if (fd < 0)
        return fd;
    const ssize_t got = read(fd, out, room);
    const int error = errno;

    close(fd);
    return got < 0 ? -error : (int)got;
}

static int
protection(unsigned access)
{
    return (access & OS_READ ? PROT_READ : 0) |
           (access & OS_WRITE ? PROT_WRITE : 0);
}

int
os_map(void **out, size_t size, int fd, unsigned access)
{
    return os_map_part(out, size, fd, 0, access);
}

int
os_map_aligned(void **out, size_t size)
{
    void *at = NULL;
    const int status = os_map(&at, 2 * size, -1, OS_READ | OS_WRITE);

    if (status < 0)
        return status;
    char *const begin = at;
    const size_t before = -(uintptr_t)begin & (size - 1);

    if (before)
        os_unmap(begin, before);
    os_unmap(begin + before + size, size - before);
    *out = begin + before;
    return 0;
}

int
os_map_part(void **out, size_t size, int fd, size_t offset, unsigned access)
{
    const int flags =
        MAP_NORESERVE | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);
    void *at = mmap(NULL, size, protection(access), flags, fd, (off_t)offset);

    if (at == MAP_FAILED)
        return -errno;
    *out = at;
    return 0;
}

int
os_map_near(void **out, void *wish, size_t size, int fd, unsigned access)
{
    void *at =
        mmap(wish, size, protection(access), MAP_NORESERVE | MAP_SHARED, fd, 0);

    if (at == MAP_FAILED)
        return -errno;
    *out = at;
    return 0;
}

int
os_map_at(void *at, size_t size, int fd, unsigned access)
{
    void *got = mmap(at, size, protection(access),
                     MAP_NORESERVE | MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);

    if (got == MAP_FAILED)
        return -errno;
    if (got == at)
        return 0;
    munmap(got, size); /* a checker, or a kernel that knows no such flag */
    return -EEXIST;
}

int
os_map_private_at(void *at, size_t size)
{
    void *got =
        mmap(at, size, PROT_READ | PROT_WRITE,
             MAP_NORESERVE | MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

    return got == MAP_FAILED ? -errno : 0;
}

int
os_map_over(void *at, size_t size, int fd, unsigned access)
{
    void *got = mmap(at, size, protection(access),
                     MAP_NORESERVE | MAP_SHARED | MAP_FIXED, fd, 0);

    return got == MAP_FAILED ? -errno : 0;
}

int
os_protect(void *at, size_t size, unsigned access)
{
    return mprotect(at, size, protection(access)) < 0 ? -errno : 0;
}

void
os_unmap(void *at, size_t size)
{
    munmap(at, size);
}

int
os_discard_shared(void *at, size_t size)
{
    return madvise(at, size, MADV_REMOVE) < 0 ? -errno : 0;
}

void
os_keep_out_of_core(void *at, size_t size)
{
    madvise(at, size, MADV_DONTDUMP);
}

void
os_put_into_core(void *at, size_t size)
{
    madvise(at, size, MADV_DODUMP);
}

void
os_keep_from_copies(void *at, size_t size, bool keep)
{
    madvise(at, size, keep ? MADV_DONTFORK : MADV_DOFORK);
}

int
os_memfd_fill(int fd, size_t offset, size_t size)
{
    int status;

    do
        status = fallocate(fd, 0, (off_t)offset, (off_t)size) < 0 ? -errno : 0;
    while (status == -EINTR);
    return status;
}

/* A copy of nothing to where nothing is yet: a page that cannot be had is the
 * call's error then, and not the death that a plain store would be. */
static int
touch_each(void *at, size_t size)
{
    static const char zero;
    const struct iovec from = {(void *)(uintptr_t)&zero, 1};

    for (size_t done = 0; done < size; done += OS_PAGE) {
        const struct iovec to = {(char *)at + done, 1};

        if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != 1)
            return -ENOMEM;
    }
    return 0;
}

int
os_fill_shared(void *at, size_t size)
{
    int status;

    do
        status = madvise(at, size, MADV_POPULATE_WRITE) < 0 ? -errno : 0;
    while (status == -EINTR || status == -EAGAIN);
    if (status == -EINVAL) /* before Linux 5.14 */
        return touch_each(at, size);
    return status == -EFAULT ? -ENOMEM : status;
}

int
os_file_punch(int fd, size_t offset, size_t size)
{
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                     (off_t)offset, (off_t)size) < 0
               ? -errno
               : 0;
}

int
os_map_extend(void **at, size_t size, size_t longer)
{
    void *moved = mremap(*at, size, longer, MREMAP_MAYMOVE);

    if (moved == MAP_FAILED)
        return -errno;
    *at = moved;
    return 0;
}

int
os_memory_open(int pid)
{
    char path[64] = "/proc/self/statm";

    if (pid)
        snprintf(path, sizeof path, "/proc/%d/statm", pid);
    return high_fd(open(path, O_RDONLY | O_CLOEXEC));
}

/* The sixth number of statm, in pages: size resident shared text 0 data. */
uint64_t
os_memory_private(int statm)
{
    char text[256];
    uint64_t pages = 0;
    const int fd = statm >= 0 ? statm : os_memory_open(0);
    const ssize_t size = fd < 0 ? -1 : pread(fd, text, sizeof text - 1, 0);
    const char *at = text;

    if (fd >= 0 && fd != statm)
        close(fd);
    if (size <= 0)
        return 0;
    text[size] = '\0';
    for (int field = 0; at && field < 5; field++)
        at = strchr(at + 1, ' ');
    for (at = at ? at + 1 : ""; *at >= '0' && *at <= '9'; at++)
        pages = 10 * pages + (uint64_t)(*at - '0');
    return pages * OS_PAGE;
}
