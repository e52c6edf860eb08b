#include "os/high.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL
};

int
os_memfd(const char *name, size_t size)
{
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
os_file_make(const char *path, size_t size)
{
    char fresh[PATH_MAX];

    /* Made beside it and renamed: who has the old file mapped keeps it. */
    if (snprintf(fresh, sizeof fresh, "%s.%d", path, (int)getpid()) >=
        (int)sizeof fresh)
        return -ENAMETOOLONG;
    const int fd = high_fd(
        open(fresh, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));

    if (fd < 0)
        return fd;
    if (ftruncate(fd, (off_t)size) < 0 || rename(fresh, path) < 0) {
        const int error = errno;

        unlink(fresh);
        close(fd);
        return -error;
    }
    return fd;
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
os_map_private_at(void *at, size_t size)
{
    void *got = mmap(at, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

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
