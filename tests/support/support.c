#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined __has_feature
#    define HAS_FEATURE(name) __has_feature(name)
#else
#    define HAS_FEATURE(name) 0
#endif

int
support_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return failed ? 1 : 0;
}

static long
number_from(const char *name, long otherwise)
{
    const char *text = getenv(name);
    const long number = text ? strtol(text, NULL, 10) : 0;

    return number > 0 ? number : otherwise;
}

static long
scale(void)
{
    return number_from("WEFT_TEST_SCALE", 100);
}

static long
slowness(void)
{
    return number_from("WEFT_TEST_SLOW", support_is_valgrind() ? 10
                                         : support_is_tsan()   ? 6
                                         : support_is_asan()   ? 4
                                                               : 1);
}

TCase *
support_case(Suite *suite, const char *name, int seconds)
{
    TCase *tcase = tcase_create(name);
    const long more = scale() > 100 ? scale() / 100 : 1;

    tcase_set_timeout(tcase, (double)(seconds * slowness() * more));
    suite_add_tcase(suite, tcase);
    return tcase;
}

unsigned
scaled(unsigned count)
{
    const unsigned long some = (unsigned long)count * (unsigned long)scale();

    return some >= 100 ? (unsigned)(some / 100) : 1;
}

int64_t
patient(int64_t ns)
{
    return ns * slowness();
}

bool
support_is_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");

    return preload && strstr(preload, "vgpreload");
}

bool
support_is_tsan(void)
{
#if defined __SANITIZE_THREAD__ || HAS_FEATURE(thread_sanitizer)
    return true;
#else
    return false;
#endif
}

bool
support_is_asan(void)
{
#if defined __SANITIZE_ADDRESS__ || HAS_FEATURE(address_sanitizer)
    return true;
#else
    return false;
#endif
}

bool
support_is_checked(void)
{
    return support_is_valgrind() || support_is_tsan() || support_is_asan();
}

static int
count_entries(const char *path)
{
    DIR *directory = opendir(path);
    int count = 0;

    ck_assert_ptr_nonnull(directory);
    for (struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

int
support_fds(void)
{
    return count_entries("/proc/self/fd") - 1; /* but the one that counts */
}

int
support_threads(void)
{
    return count_entries("/proc/self/task");
}

static long
read_status(const char *path, const char *field, const char *format)
{
    FILE *file = fopen(path, "re");
    char line[256];
    long value = -1;
    char letter = '\0';

    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, field, strlen(field)) != 0)
            continue;
        if (strcmp(format, "c") == 0)
            value =
                sscanf(line + strlen(field), " %c", &letter) == 1 ? letter : -1;
        else
            value = strtol(line + strlen(field), NULL, 10);
        break;
    }
    if (file)
        fclose(file);
    return value;
}

long
support_rss(void)
{
    return read_status("/proc/self/status", "VmRSS:", "d");
}

char
support_state(pid_t tid)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/status", (int)tid);
    const long state = read_status(path, "State:", "c");

    return state < 0 ? '\0' : (char)state;
}

static int64_t
now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

bool
support_look_again(int64_t *start)
{
    const struct timespec pause = {0, 50000};

    if (*start == 0)
        *start = now();
    nanosleep(&pause, NULL);
    return now() - *start < patient(5000000000);
}

void
support_spin(void)
{
    static _Thread_local unsigned turns;

    /* Who changes it may wait for this CPU. */
    if (++turns % 256 == 0)
        sched_yield();
}

pthread_t
support_thread(void *(*fn)(void *), void *arg)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, fn, arg), 0);
    return thread;
}

void
support_join(pthread_t thread)
{
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

pid_t
support_fork(void (*fn)(void *), void *arg)
{
    const pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        fn(arg);
        _exit(0);
    }
    return pid;
}

int
support_reap(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, __WALL) < 0)
        ck_assert_int_eq(errno, EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int
support_run_fork(void (*fn)(void *), void *arg)
{
    return support_reap(support_fork(fn, arg));
}

void *
support_share(size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(at, MAP_FAILED);
    return at;
}

void
support_child_failed(const char *file, int line, const char *what)
{
    dprintf(STDERR_FILENO, "%s:%d: in a child: %s does not hold\n", file, line,
            what);
    _exit(99);
}

void
support_directory(char path[64])
{
    strcpy(path, "/tmp/weft-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(path));
}

void
support_write(const char *root, const char *path, const char *text)
{
    char whole[PATH_MAX];

    ck_assert_int_lt(snprintf(whole, sizeof whole, "%s/%s", root, path),
                     (int)sizeof whole);
    for (char *at = whole + strlen(root) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        ck_assert(mkdir(whole, 0700) == 0 || errno == EEXIST);
        *at = '/';
    }
    FILE *file = fopen(whole, "we");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static int
remove_one(const char *path, const struct stat *status, int type,
           struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void
support_remove(const char *root)
{
    ck_assert_int_eq(nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}
