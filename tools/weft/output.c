/* A file is written beside its place and renamed when it is whole, so that an
 * error leaves what was there. What is no plain file is written as it is. */
#include "command.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
is_same(const struct stat *one, const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

static void
refuse_inputs(const char *path, const struct stat *file,
              const char *const *inputs, size_t count)
{
    struct stat input;

    for (size_t i = 0; i < count; i++)
        if (stat(inputs[i], &input) == 0 && is_same(&input, file))
            errx(EXIT_FAILED, "%s is what is read", path);
}

/* /dev/stdout, whatever that is. */
static bool
is_standard_output(const struct stat *file)
{
    struct stat out;

    return fstat(STDOUT_FILENO, &out) == 0 && is_same(&out, file);
}

/* Where a link leads to, which stays. */
static char *
place_of(const char *path)
{
    char *place = realpath(path, NULL);

    if (!place && asprintf(&place, "%s", path) < 0)
        err(EXIT_FAILED, "%s", path);
    return place;
}

static void
open_beside(struct output *output)
{
    if (asprintf(&output->fresh, "%s.%d", output->place, (int)getpid()) < 0)
        err(EXIT_FAILED, "%s", output->place);
    output->fd =
        open(output->fresh,
             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (output->fd < 0)
        err(EXIT_FAILED, "%s", output->fresh);
}

void
output_open(struct output *output, const char *path, const char *const *inputs,
            size_t count)
{
    struct stat file;

    *output = (struct output){.fd = STDOUT_FILENO};
    if (!path)
        return;
    const bool there = stat(path, &file) == 0;

    if (there)
        refuse_inputs(path, &file, inputs, count);
    if (there && is_standard_output(&file))
        return;
    output->place = place_of(path);
    if (there && !S_ISREG(file.st_mode)) {
        output->fd = open(path, O_WRONLY | O_CLOEXEC);
        if (output->fd < 0)
            err(EXIT_FAILED, "%s", path);
        return;
    }
    open_beside(output);
    if (there)
        (void)fchmod(output->fd, file.st_mode & 07777);
}

int
output_close(struct output *output, int code)
{
    if (output->fresh && code == EXIT_SUCCESS &&
        rename(output->fresh, output->place) < 0) {
        warn("%s", output->place);
        code = EXIT_FAILED;
    }
    if (output->fresh && code != EXIT_SUCCESS)
        (void)unlink(output->fresh);
    free(output->fresh);
    free(output->place);
    return code;
}
