/* Counts words and lines of files, a task a file, with a progress bar on a
 * terminal. Usage: wordcount [--threads N] [--compare] FILE... */
#include "command.h"
#include "progress.h"
#include "speed.h"

struct counts {
    long words, lines, failures;
};

struct options {
    unsigned threads;
    bool compare;
    char **files;
    int count;
};

static _Noreturn void usage(const char *program)
{
    fprintf(stderr, "usage: %s [--threads N] [--compare] FILE...\n", program);
    exit(2);
}

static struct options options_read(int argc, char **argv)
{
    struct options options = {.threads = 0};
    int i = 1;

    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (strcmp(argv[i], "--compare") == 0)
            options.compare = true;
        else if (strcmp(argv[i], "--threads") != 0 || i + 1 == argc ||
                 !number_in(argv[++i], 1, MOST_WORKERS, &options.threads))
            usage(argv[0]);
    }
    options.files = argv + i;
    options.count = argc - i;
    if (options.count == 0)
        usage(argv[0]);
    return options;
}

static int count_file(weft_call *call)
{
    const char *path = call->arg;
    struct counts *counts = call->result;
    FILE *file = fopen(path, "r");
    char part[65536];
    bool inside = false;
    size_t got;

    if (!file)
        return weft_fail(call, "cannot open %s: %s", path, strerror(errno));
    while (!weft_stopping() && (got = fread(part, 1, sizeof part, file)) > 0)
        for (size_t i = 0; i < got; i++) {
            const bool space = isspace((unsigned char)part[i]);

            counts->words += !space && !inside;
            counts->lines += part[i] == '\n';
            inside = !space;
        }
    const int error = ferror(file) ? errno : 0;

    fclose(file);
    if (error)
        return weft_fail(call, "cannot read %s: %s", path, strerror(error));
    return 0;
}

static void take(weft_job *job, struct counts *total)
{
    const weft_outcome *end = weft_outcome_of(job);
    const struct counts *counts = end->result;

    if (end->status < 0) {
        progress_hide();
        fprintf(stderr, "%s\n", end->text);
        total->failures++;
        return;
    }
    total->words += counts->words;
    total->lines += counts->lines;
}

/* How long it took, with so many threads. */
static double count_all(const struct options *options, unsigned threads,
                        struct counts *total)
{
    const weft_time begun = weft_now();
    weft_pool *pool;
    weft_scope *scope;
    weft_job *job;

    weft_must(weft_pool_open(
                  &pool, WEFT_THREAD,
                  &(weft_pool_options){.workers = threads, .name = "count"}),
              "open a pool");
    weft_must(
        weft_scope_open(&scope, &(weft_scope_options){.keep_going = true}),
        "open a scope");
    for (int i = 0; i < options->count; i++)
        weft_must(
            weft_submit(NULL, pool,
                        &(weft_task){.fn = count_file,
                                     .name = "count",
                                     .arg = options->files[i],
                                     .arg_size = strlen(options->files[i]) + 1,
                                     .result_size = sizeof(struct counts),
                                     .scope = scope}),
            "submit");
    for (int done = 0; weft_scope_next(scope, &job, WEFT_FOREVER) == 0;) {
        take(job, total);
        progress_show(++done, options->count);
    }
    weft_scope_close(scope, WEFT_FOREVER);
    weft_pool_close(pool, WEFT_FOREVER);
    return seconds_since(begun);
}

int main(int argc, char **argv)
{
    const struct options options = options_read(argc, argv);
    struct counts total = {0, 0, 0}, again = {0, 0, 0};
    double took = count_all(&options, options.threads, &total);

    printf("%ld words in %ld lines of %ld files, %.3f s\n", total.words,
           total.lines, options.count - total.failures, took);
    if (options.compare) { /* both with what the system has read before */
        const double alone = count_all(&options, 1, &again);

        took = count_all(&options, options.threads, &again);
        printf("one thread %.3f s, all %.3f s: %.2f times as fast\n", alone,
               took, alone / took);
    }
    return finish(total.failures > 0);
}
