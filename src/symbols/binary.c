#include "symbols/binary.h"

#include "os/high.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
binary_open_file(const char *path)
{
    const int fd =
        high_fd(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat status;

    if (fd < 0)
        return -1;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        return fd;
    close(fd);
    return -1;
}

static bool
read_at(int fd, void *out, size_t size, uint64_t offset)
{
    return offset <= INT64_MAX - size &&
           pread(fd, out, size, (off_t)offset) == (ssize_t)size;
}

/* The machine is not compared: libdw would know any. */
static bool
is_ours(const Elf64_Ehdr *head)
{
    const uint16_t one = 1;
    const unsigned char order =
        *(const unsigned char *)&one ? ELFDATA2LSB : ELFDATA2MSB;

    return memcmp(head->e_ident, ELFMAG, SELFMAG) == 0 &&
           head->e_ident[EI_CLASS] == ELFCLASS64 &&
           head->e_ident[EI_DATA] == order &&
           (head->e_type == ET_EXEC || head->e_type == ET_DYN) &&
           head->e_phentsize == sizeof(Elf64_Phdr) &&
           head->e_phnum <= BINARY_PARTS;
}

bool
binary_open(struct binary *binary, const char *path)
{
    Elf64_Ehdr head;

    binary->fd = binary_open_file(path);
    if (binary->fd < 0)
        return false;
    if (read_at(binary->fd, &head, sizeof head, 0) && is_ours(&head) &&
        read_at(binary->fd, binary->part, head.e_phnum * sizeof(Elf64_Phdr),
                head.e_phoff)) {
        binary->parts = head.e_phnum;
        return true;
    }
    close(binary->fd);
    return false;
}

bool
binary_address(const struct binary *binary, uint64_t offset, uint64_t *address)
{
    for (unsigned i = 0; i < binary->parts; i++) {
        const Elf64_Phdr *part = &binary->part[i];

        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X) ||
            offset < part->p_offset ||
            offset - part->p_offset >= part->p_filesz)
            continue;
        *address = part->p_vaddr + (offset - part->p_offset);
        return true;
    }
    return false;
}
