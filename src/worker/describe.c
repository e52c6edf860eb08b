/* Records in words, after Python's repr of threads and processes. */
#include "base/text.h"
#include "worker/outcome.h"

#include <weft/worker.h>

#include <string.h>

const char *
weft_kind_name(weft_kind kind)
{
    static const char *const names[] = {
        [WEFT_THREAD] = "Thread",   [WEFT_PROCESS] = "Process",
        [WEFT_SERIAL] = "Serial",   [WEFT_CLUSTER] = "Cluster",
        [WEFT_PROMISE] = "Promise",
    };

    return (unsigned)kind < sizeof names / sizeof *names ? names[kind]
                                                         : "Unknown";
}

static const char *
class_name(const weft_worker *worker)
{
    if (worker->kind == WEFT_PROCESS)
        return worker->main ? "_MainProcess" : "Process";
    if (worker->kind != WEFT_THREAD)
        return weft_kind_name(worker->kind);
    return worker->main      ? "_MainThread"
           : worker->adopted ? "_DummyThread"
                             : "Thread";
}

static void
add_state(struct text *text, const weft_worker *worker)
{
    const bool ended = worker->state == WEFT_ENDED;

    if (worker->kind == WEFT_PROMISE)
        text_add(text, "%s", ended ? "ended" : "pending");
    else if (worker->tid == 0)
        text_add(text, "%s", ended ? "canceled" : "initial");
    else
        text_add(text, "%s%s %d", ended ? "stopped" : "started",
                 worker->daemon && !ended ? " daemon" : "", worker->tid);
}

static void
add_exit(struct text *text, const weft_worker *worker)
{
    char space[32];

    if (worker->signal)
        text_add(text, ", exitcode -%s",
                 outcome_signal_name(worker->signal, space));
    else
        text_add(text, ", exitcode %d", worker->exit_code);
}

const char *
weft_describe(const weft_worker *worker, char *text, size_t size)
{
    struct text out = text_over(text, size);

    if (!worker) {
        text_add(&out, "<none>");
        return text;
    }
    const char *name = worker->name;

    text_add(&out, "<%s(%.*s, ", class_name(worker),
             (int)strnlen(name, sizeof worker->name), name);
    add_state(&out, worker);
    if (worker->kind == WEFT_PROCESS && !worker->main) {
        text_add(&out, ", parent %d", worker->parent);
        if (worker->state == WEFT_ENDED && worker->tid)
            add_exit(&out, worker);
    }
    text_add(&out, ")>");
    return text;
}
