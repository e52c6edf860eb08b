/* examples/pgz.c against pigz: the same files, level and threads. Real files of
 * this machine, half text, half programs; what pgz wrote must be restored. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MIB = 200,
    LESS = 10, /* times, when it is to be quick */
    PATH = 64
};

/* A way to compress the file in the directory, with its level and threads. */
struct tool {
    const char *format, *result;
    int level, threads;
};

static char directory[] = "/tmp/weft-bench-XXXXXX";

static bool
run_in(const char *command)
{
    char line[1024];

    snprintf(line, sizeof line, "cd %s && %s", directory, command);
    return system(line) == 0;
}

static double
compress(const void *arg, int64_t span)
{
    const struct tool *tool = arg;
    char command[512];

    (void)span;
    snprintf(command, sizeof command, tool->format, tool->level, tool->threads);
    const int64_t begun = bench_now();

    return run_in(command) ? (double)(bench_now() - begun) : -1;
}

static double
size_of(const char *name)
{
    struct stat status;
    char path[PATH];

    snprintf(path, sizeof path, "%s/%s", directory, name);
    return stat(path, &status) == 0 ? (double)status.st_size : 0;
}

static void
compare(int level, int threads)
{
    const struct tool tools[] = {
        {BENCH_PGZ " -%d --threads %d in 2>pgz.txt", "in.gz", level, threads},
        {"pigz -k -f -S .pigz -%d -p %d in", "in.pigz", level, threads},
    };
    struct bench_entry entries[] = {
        bench_entry("pgz", compress, &tools[0]),
        bench_entry("pigz", compress, &tools[1]),
    };
    char name[64];

    snprintf(name, sizeof name, "gzip -%d, %d thread%s", level, threads,
             threads > 1 ? "s" : "");
    if (!bench_measure(&(struct bench_group){.title = name}, entries, 2))
        return;
    bench_ratio(name, &entries[0], &entries[1],
                (struct bench_promise){.most = 1});
    if (entries[0].rounds == 0 || !run_in("gunzip -c in.gz | cmp -s - in")) {
        bench_note("%s: WRONG, gunzip does not restore it", name);
        return;
    }
    if (entries[1].rounds > 0)
        bench_compare("... its size", "B", size_of(tools[0].result),
                      size_of(tools[1].result), 1.01);
}

int
main(void)
{
    static const int levels[] = {6, 1};
    char command[512];

    bench_open("pgz");
    if (!mkdtemp(directory)) {
        perror("pgz: a directory");
        return 1;
    }
    snprintf(command, sizeof command, "%s %d >in", BENCH_FILES,
             bench_is_quick() ? MIB / LESS : MIB);
    if (run_in(command)) {
        bench_note("%.0f bytes of text and programs of this machine",
                   size_of("in"));
        for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
            for (int threads = 1; threads <= 2; threads++)
                compare(levels[i], threads);
    }
    (void)run_in("rm -rf \"$PWD\"");
    return bench_close();
}
