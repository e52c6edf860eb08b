/* The environment, read while other threads may change it. glibc never frees a
 * string that was set by setenv, but the array of them moves, and is freed
 * before the new one is there: the kernel copies what is not known, and answers
 * an error where a plain read would crash. */
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
    PART = 256, /* bytes of a string */
    TRIES = 200
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

/* A copy of the array, in the first half of `space`: one that stood still for
 * two readings, or, where it never does, one that was there. */
static long
copy_array(char **space, size_t room, bool *still)
{
    long count = -EAGAIN;

    *still = true;

    for (int i = 0; i < TRIES; i++) {
        const long now = read_array(array_now(), space + room, room);

        if (now == -ENOBUFS)
            return now;
        if (now >= 0 && now == count &&
            memcmp(space, space + room, (size_t)now * sizeof *space) == 0)
            return now;
        if (now >= 0) {
            memcpy(space, space + room, (size_t)now * sizeof *space);
            count = now;
        }
        for (int pause = 0; pause < i; pause++)
            os_pause();
    }
    *still = false;
    return count;
}

/* The array as it was when nobody else could change it: its strings stay. */
static struct {
    char *strings[FEW];
    long count;
} known;

void
os_environment_note(void)
{
    known.count = read_array(array_now(), known.strings, FEW);
}

static bool
is_known(const char *string, long place)
{
    return place < known.count && known.strings[place] == string;
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

/* The bytes of what may be a string, with its end; 0: it is none, or, if that
 * is asked for, has no '='. -EPERM, -ENOSYS. */
static long
measure(const char *from, bool equals)
{
    char part[PART];
    long length = 0;

    for (;;) {
        /* Not over the end of a page, beyond which nothing may be. */
        const size_t left = OS_PAGE - (uintptr_t)(from + length) % OS_PAGE;
        const int got =
            os_read_own(from + length, part, left < PART ? left : PART);

        if (got <= 0)
            return got == -EFAULT ? 0 : got;
        const size_t size = strnlen(part, (size_t)got);

        equals = equals && !memchr(part, '=', size);
        length += (long)size;
        if (size < (size_t)got)
            return equals ? 0 : length + 1;
    }
}

/* What may be no string of the environment, since that never stood still, is
 * left out. */
static size_t
copy_unknown(const char *from, bool still, char *into, size_t room)
{
    const long length = measure(from, !still);

    if (length < 0)
        return copy_string(from, into, room);
    if (length > 0 && room > 0)
        (void)os_read_own(from, into,
                          (size_t)length < room ? (size_t)length : room);
    return (size_t)length;
}

static long
copy_all(char **space, size_t array_room, char *out, size_t room)
{
    bool still;
    const long count = copy_array(space, array_room, &still);
    size_t used = 0;

    for (long i = 0; i < count; i++) {
        char *into = used < room ? out + used : NULL;
        const size_t left = used < room ? room - used : 0;

        used += is_known(space[i], i)
                    ? copy_string(space[i], into, left)
                    : copy_unknown(space[i], still, into, left);
    }
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
    static char **array; /* which nobody else remembers once it is replaced */

    free(array);
    array = calloc(count + 1, sizeof *array);
    if (!array)
        return -ENOMEM;
    for (char *at = strings; place < count; at += strlen(at) + 1)
        array[place++] = at;
    environ = array;
    return 0;
}
