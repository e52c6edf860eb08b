/* Counts the words of files in a pool and prints each as it completes. */
#include "command.h"

#include <weft/weft.h>

struct count {
    const char *path;
    long words;
};

static int count_words(weft_call *call)
{
    const char *path = call->arg;
    struct count *count = call->result;
    FILE *file = fopen(path, "r");
    int c, before = ' ';

    count->path = path;
    if (!file)
        return weft_fail(call, "cannot open %s: %s", path, strerror(errno));
    while ((c = getc(file)) != EOF && !weft_stopping()) {
        count->words += isspace(before) && !isspace(c);
        before = c;
    }
    const int error = ferror(file) ? errno : 0;

    fclose(file);
    if (error)
        return weft_fail(call, "cannot read %s: %s", path, strerror(error));
    return 0;
}

int main(int argc, char **argv)
{
    weft_pool *pool;
    weft_scope *scope;
    weft_job *job;
    int failed = 0;

    weft_must(weft_pool_open(&pool, WEFT_THREAD,
                             &(weft_pool_options){.backlog = 1000}),
              "open a pool");
    weft_must(
        weft_scope_open(&scope, &(weft_scope_options){.keep_going = true}),
        "open a scope");
    for (int i = 1; i < argc; i++)
        weft_must(weft_submit(NULL, pool,
                              &(weft_task){.fn = count_words,
                                           .name = "count",
                                           .arg = argv[i],
                                           .result_size = sizeof(struct count),
                                           .scope = scope,
                                           .submit_by = WEFT_FOREVER}),
                  "submit");

    while (weft_scope_next(scope, &job, WEFT_FOREVER) == 0) {
        const weft_outcome *end = weft_outcome_of(job);
        const struct count *count = end->result;

        if (end->status == WEFT_OK) {
            printf("%8ld %s\n", count->words, count->path);
        } else {
            fprintf(stderr, "%s\n", end->text);
            failed = 1;
        }
    }
    weft_scope_close(scope, WEFT_FOREVER);
    weft_pool_close(pool, WEFT_FOREVER);
    return finish(failed);
}
