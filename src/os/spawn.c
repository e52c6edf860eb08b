/* The program executed anew. Between vfork and exec the child runs in the
 * parent's memory, on the parent's stack, with all signals blocked: it calls
 * the system and nothing else. */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct plan {
    const char *path;
    char *const *arguments;
    char **environment;
    int end;
    int error; /* written by the child */
};

static void
keep_end_only(struct plan *plan)
{
    const int status =
        plan->end == 3 ? fcntl(3, F_SETFD, 0) : dup2(plan->end, 3);

    if (status < 0 || close_range(4, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
        plan->error = errno;
}

/* Handlers of the program must not run in the child, whose memory is the
 * program's; exec would reset them, but for those that are ignored. */
static void
reset_signals(void)
{
    const struct sigaction plain = {.sa_handler = SIG_DFL};
    struct sigaction now;

    for (int number = 1; number < NSIG; number++)
        if (sigaction(number, NULL, &now) == 0 && now.sa_handler != SIG_IGN &&
            now.sa_handler != SIG_DFL)
            (void)sigaction(number, &plain, NULL);
}

static int
start(struct plan *plan)
{
    struct plan *volatile kept = plan;
    /* Not fork: the copy of page tables that it makes is to be avoided. */
    const pid_t pid = vfork(); /* NOLINT(*.insecureAPI.vfork) */

    if (pid != 0)
        return pid < 0 ? -errno : (int)pid;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Vfork): system calls alone */
    reset_signals();
    keep_end_only(kept);
    if (kept->error == 0) {
        execve(kept->path, kept->arguments, kept->environment);
        kept->error = errno;
    }
    _exit(127);
}

/* NULL: no memory. */
static char **
make_array(const char *variable, char *strings, size_t size)
{
    size_t count = 1;

    for (size_t i = 0; i < size; i++)
        count += strings[i] == '\0';
    char **array = calloc(count + 1, sizeof *array);

    if (!array)
        return NULL;
    array[0] = (char *)(uintptr_t)variable;
    for (size_t i = 1; i < count; i++, strings += strlen(strings) + 1)
        array[i] = strings;
    return array;
}

int
os_spawn(const char *name, int end, const char *variable, char *strings,
         size_t size)
{
    char *const arguments[] = {(char *)(uintptr_t)name, NULL};
    struct plan plan = {.path = "/proc/self/exe",
                        .arguments = arguments,
                        .environment = make_array(variable, strings, size),
                        .end = end};
    sigset_t before;

    if (!plan.environment)
        return -ENOMEM;
    os_signals_block(&before);
    const int pid = start(&plan);

    if (pid > 0 && plan.error != 0)
        while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
            ;
    os_signals_set(&before);
    free(plan.environment);
    return pid > 0 && plan.error != 0 ? -plan.error : pid;
}
