/* Ten million tasks are read, reported and drawn within time and memory. */
#include "support/forge.h"
#include "support/support.h"

#include <weft/recording.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    TASKS = 10000000,
    WORKERS = 4,
    LENGTH = 900, /* ns of a task; 100 between two */
    SLOT = 1000,
    MOST_KIB = 1 << 20,
    MOST_SECONDS = 10
};

static char path[96];

/* Main submits each task when the one before begins, and joins it at its end;
 * now and then a worker loses its CPU. */
static void
forge_large(unsigned count)
{
    struct forge forge;
    uint32_t workers[WORKERS];

    forge_open(&forge, path);
    const uint32_t boss = forge_worker(&forge, "main", RECORDING_MAIN);
    const uint64_t me = forge_thread(&forge, boss);

    for (unsigned w = 0; w < WORKERS; w++)
        workers[w] = forge_worker(&forge, "worker", 0);
    forge_run(&forge, boss, 0, 0, 10, false);
    for (unsigned i = 0; i < count; i++) {
        const uint32_t worker = workers[i % WORKERS];
        const uint64_t begin = (uint64_t)(i / WORKERS + 1) * SLOT;
        const uint64_t end = begin + LENGTH;
        const uint64_t id = forge_task(
            &forge, worker,
            &(struct forge_task){i % 3 ? "tile" : "edge", begin, end, me,
                                 begin - SLOT / 2, 0, RECORD_POOLED});

        forge_join(&forge, boss, me, id, end + 10);
    }
    forge_close(&forge, (uint64_t)(count / WORKERS + 2) * SLOT);
}

/* On a CPU, by itself and in the kernel: others may keep it from one. */
static double
seconds(const struct rusage *used)
{
    return (double)(used->ru_utime.tv_sec + used->ru_stime.tv_sec) +
           1e-6 * (double)(used->ru_utime.tv_usec + used->ru_stime.tv_usec);
}

static unsigned count;

static const struct {
    weft_format format;
    off_t most; /* bytes that are written */
} formats[] = {
    {WEFT_TEXT_FORMAT, 10000},
    {WEFT_SVG, 500000},
    {WEFT_HTML, 8000000},
};

static void
write_one(void *arg)
{
    weft_recording *recording;
    weft_metrics m;
    const int fd = memfd_create("written", MFD_CLOEXEC);
    const int *which = arg;

    child_expect(weft_recording_open(&recording, path) == 0);
    child_expect(
        weft_recording_write(&recording, 1, formats[*which].format, fd) == 0);
    const off_t size = lseek(fd, 0, SEEK_CUR);

    child_expect(size > 0 && size < formats[*which].most);
    weft_recording_metrics(recording, &m);
    child_expect(m.tasks == count && !m.cut);
    child_expect(m.work == (weft_duration)count * LENGTH);
    child_expect(m.concurrency_max == WORKERS);
    weft_recording_close(recording);
    close(fd);
}

START_TEST(many_tasks_are_written_in_time_and_memory)
{
    char directory[64];
    struct rusage used;
    int status;

    support_directory(directory);
    snprintf(path, sizeof path, "%s/large.weft", directory);
    count = scaled(TASKS) < TASKS ? scaled(TASKS) : TASKS;
    forge_large(count);

    const pid_t pid = support_fork(write_one, &_i);

    ck_assert_int_eq(wait4(pid, &status, 0, &used), pid);
    const double took = seconds(&used);

    ck_assert_int_eq(status, 0);
    printf("%u tasks: %.1f s, %ld MiB\n", count, took, used.ru_maxrss >> 10);
    if (!support_is_checked()) {
        ck_assert_int_lt((int64_t)(took * 1e9),
                         patient((int64_t)MOST_SECONDS * 1000000000));
        ck_assert_int_lt(used.ru_maxrss, MOST_KIB);
    }
    support_remove(directory);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("large");

    support_add_table(support_case(suite, "large", 300),
                      many_tasks_are_written_in_time_and_memory, formats);
    return support_run(suite);
}
