/* Counts the words of files in a pool and prints each as it completes. */
#include <weft/weft.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct count {
    long words;
};

static int count_words(weft_call *call)
{
    const char *path = call->arg;
    struct count *count = call->result;
    FILE *file = fopen(path, "r");
    int c, before = ' ';

    if (!file)
        return weft_fail(call, "cannot open %s", path);
    while ((c = getc(file)) != EOF && !weft_stopping()) {
        count->words += isspace(before) && !isspace(c);
        before = c;
    }
    fclose(file);
    return 0;
}

int main(int argc, char **argv)
{
    weft_pool *pool;
    weft_scope *scope;
    weft_job *job;

    weft_must(weft_pool_open(&pool, WEFT_THREAD,
                             &(weft_pool_options){.backlog = 1000}),
              "open a pool");
    weft_must(
        weft_scope_open(&scope, &(weft_scope_options){.keep_going = true}),
        "open a scope");
    for (int i = 1; i < argc; i++)
        weft_must(weft_submit(NULL, pool,
                              &(weft_task){.fn = count_words,
                                           .name = argv[i],
                                           .arg = argv[i],
                                           .arg_size = strlen(argv[i]) + 1,
                                           .result_size = sizeof(struct count),
                                           .scope = scope,
                                           .submit_by = WEFT_FOREVER}),
                  argv[i]);

    while (weft_scope_next(scope, &job, WEFT_FOREVER) == 0) {
        const weft_outcome *end = weft_outcome_of(job);

        if (end->status < 0)
            fprintf(stderr, "%s\n", end->text);
        else
            printf("%8ld %s\n", ((const struct count *)end->result)->words,
                   weft_name(job));
    }
    weft_scope_close(scope, WEFT_FOREVER);
    weft_pool_close(pool, WEFT_FOREVER);
    return 0;
}
