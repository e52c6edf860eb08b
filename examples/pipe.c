/* Asks a worker over a pipe: a thread, or with --processes a process, to which
 * the pipe's other end is handed over. */
#include <weft/weft.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Answers each question in capitals, until nobody can ask any more. */
static int answer(weft_call *call)
{
    const int end = call->fd_count > 0 ? call->fds[0] : *(const int *)call->arg;
    char text[256];
    int status = 0;

    while (status == 0) {
        weft_message message = {.data = text, .size = sizeof text};

        status = weft_pipe_receive(end, &message, WEFT_FOREVER);
        for (size_t i = 0; status == 0 && i < message.size; i++)
            text[i] = (char)toupper((unsigned char)text[i]);
        if (status == 0)
            status = weft_pipe_send(end, &message, weft_in(1 * WEFT_SECOND));
    }
    return status == WEFT_EPIPE ? 0 : weft_fail(call, "%s", weft_why());
}

static weft_job *start(weft_kind kind, int end)
{
    const weft_worker_options handed_over = {.fds = &end, .fd_count = 1};
    weft_task task = {.fn = answer, .name = "Answer"};
    weft_job *job;

    if (kind == WEFT_PROCESS) {
        task.worker = &handed_over;
    } else {
        task.arg = &end;
        task.arg_size = sizeof end;
    }
    weft_must(weft_start(&job, kind, &task), "start");
    return job;
}

static void ask(int end, const char *question)
{
    char text[256];
    const weft_message asked = {.data = (void *)(uintptr_t)question,
                                .size = strlen(question) + 1};
    weft_message reply = {.data = text, .size = sizeof text};

    weft_must(weft_pipe_send(end, &asked, WEFT_FOREVER), "ask");
    weft_must(weft_pipe_receive(end, &reply, weft_in(1 * WEFT_SECOND)), "hear");
    printf("%s %s\n", question, text);
}

int main(int argc, char **argv)
{
    const bool processes = argc > 1 && strcmp(argv[1], "--processes") == 0;
    int ends[2];

    weft_must(weft_pipe_open(ends), "open a pipe");
    weft_job *job = start(processes ? WEFT_PROCESS : WEFT_THREAD, ends[1]);

    if (processes)
        close(ends[1]); /* the worker has its own */
    ask(ends[0], "hello");
    ask(ends[0], "is anybody there?");
    close(ends[0]); /* the worker sees the end and leaves */
    weft_must(weft_join(job, WEFT_FOREVER), "join");
    printf("%s\n", weft_outcome_of(job)->text);
    const int failed = weft_outcome_of(job)->status;

    weft_release(job);
    if (!processes)
        close(ends[1]);
    return failed ? 1 : 0;
}
