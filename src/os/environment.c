/* The environment, read while other threads may change it. glibc never frees a
 * string that was set by setenv, but the array of them moves: it is copied by
 * the kernel, which answers an error where a plain read would crash, until two
 * copies in a row are the same. */
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    FEW = 256,       /* strings that need no memory of their own */
    MOST = 64 << 10, /* strings */
    CHUNK = 256,
    TRIES = 1000
};

int
os_read_own(const void *at, void *out, size_t size)
{
    const struct iovec here = {out, size};
    const struct iovec there = {(void *)(uintptr_t)at, size};
    const ssize_t got = process_vm_readv(getpid(), &here, 1, &there, 1, 0);

    return got < 0 ? -errno : (int)got;
}

/* The same, or where the system does not let it, directly. */
static int
read_pointers(char **from, char **into, size_t count)
{
    const int got = os_read_own(from, into, count * sizeof *into);

    if (got != -EPERM && got != -ENOSYS)
        return got;
    memcpy(into, from, sizeof *into);
    return sizeof *into;
}

/* Reads pointers until the NULL that ends them; how many. -ENOBUFS: more than
 * there is room for. */
static long
read_array(char **from, char **into, size_t room)
{
    size_t count = 0;

    while (from && count < room) {
        const size_t part = room - count < CHUNK ? room - count : CHUNK;
        const int got = read_pointers(from + count, into + count, part);

        if (got < (int)sizeof *into)
            return -EAGAIN; /* it went away meanwhile */
        for (const size_t end = count + (size_t)got / sizeof *into; count < end;
             count++)
            if (!into[count])
                return (long)count;
    }
    return from ? -ENOBUFS : 0;
}

static char **
array_now(void)
{
    return *(char **volatile *)&environ;
}

/* A stable copy of the array, in both halves of `space`. */
static long
copy_array(char **space, size_t room)
{
    long count = 0;

    for (int i = 0; i < TRIES && count != -ENOBUFS; i++) {
        count = read_array(array_now(), space, room);
        if (count >= 0 &&
            read_array(array_now(), space + room, room) == count &&
            memcmp(space, space + room, (size_t)count * sizeof *space) == 0)
            return count;
    }
    return count < 0 ? count : -EAGAIN;
}

/* Not strlen, and unseen by a checker: a string that the program changes in
 * place is read as it is. */
__attribute__((no_sanitize("thread", "address"))) static size_t
copy_string(const char *from, char *into, size_t room)
{
    const volatile char *at = from;
    size_t length = 0;

    do {
        if (length < room)
            into[length] = at[length];
    } while (at[length++] != '\0');
    return length;
}

static long
copy_all(char **space, size_t array_room, char *out, size_t room)
{
    const long count = copy_array(space, array_room);
    size_t used = 0;

    for (long i = 0; i < count; i++)
        used += copy_string(space[i], used < room ? out + used : NULL,
                            used < room ? room - used : 0);
    return count < 0 ? count : (long)used;
}

long
os_environment(char *out, size_t room)
{
    char *few[2 * FEW];
    void *many = NULL;
    const size_t size = sizeof(char *) * 2 * MOST;
    long used = copy_all(few, FEW, out, room);

    if (used != -ENOBUFS)
        return used;
    const int status = os_map(&many, size, -1, OS_READ | OS_WRITE);

    if (status < 0)
        return status;
    used = copy_all(many, MOST, out, room);
    os_unmap(many, size);
    return used;
}

int
os_environment_set(char *strings, size_t size)
{
    size_t count = 0, place = 0;

    for (size_t i = 0; i < size; i++)
        count += strings[i] == '\0';
    char **array = calloc(count + 1, sizeof *array);

    if (!array)
        return -ENOMEM;
    for (char *at = strings; place < count; at += strlen(at) + 1)
        array[place++] = at;
    environ = array;
    return 0;
}
