/* The answer in words. */
#include "base/text.h"
#include "registry/recording.h"
#include "trace/metrics.h"
#include "trace/plain.h"

/* From when on there is more than one: a tenth above, since two that follow
 * each other always overlap a little. */
#define MORE_THAN_ONE 1.1

enum recording_verdict
recording_verdict(const weft_recording *recording)
{
    const weft_metrics *m = &recording->metrics;

    if (m->parallelism > MORE_THAN_ONE)
        return VERDICT_PARALLEL;
    return m->concurrency > MORE_THAN_ONE ? VERDICT_NOT_PARALLEL
                                          : VERDICT_NOT_CONCURRENT;
}

const char *
recording_verdict_name(enum recording_verdict verdict)
{
    switch (verdict) {
    case VERDICT_PARALLEL:
        return "CONCURRENT AND PARALLEL";
    case VERDICT_NOT_PARALLEL:
        return "CONCURRENT, NOT PARALLEL";
    default:
        return "NOT CONCURRENT";
    }
}

const char *
weft_recording_verdict(const weft_recording *recording)
{
    return recording->sentence;
}

void
metrics_say(weft_recording *recording)
{
    const weft_metrics *m = &recording->metrics;
    const enum recording_verdict verdict = recording_verdict(recording);
    const double waited = 100 * metrics_share(m, m->cpu_wait);
    struct text text = text_over(recording->sentence, RECORDING_SENTENCE);
    const locale_t locale = plain_begin();

    text_add(&text, "concurrent: %s (%.2f)  parallel: %s (%.2f of %u CPU%s)",
             verdict == VERDICT_NOT_CONCURRENT ? "no" : "yes", m->concurrency,
             verdict == VERDICT_PARALLEL ? "yes" : "no", m->parallelism,
             m->cpus, m->cpus == 1 ? "" : "s");
    if (m->span > 0)
        text_add(&text, "  available %.2f", metrics_available(m));
    text_add(&text, "  %.0f%% of task time waited for a CPU", waited);
    plain_end(locale);
}

const char *
recording_wait_name(unsigned kind)
{
    static const char *const names[RECORD_WAIT_KINDS] = {
        [RECORD_WAIT_SLEEP] = "sleep",
        [RECORD_WAIT_JOIN] = "join",
        [RECORD_WAIT_SCOPE] = "scope",
        [RECORD_WAIT_ANY] = "wait for any",
        [RECORD_WAIT_WORK] = "idle",
        [RECORD_WAIT_PIPE] = "pipe",
        [RECORD_WAIT_MUTEX] = "mutex",
        [RECORD_WAIT_READ] = "rwlock, to read",
        [RECORD_WAIT_WRITE] = "rwlock, to write",
        [RECORD_WAIT_COND] = "condition",
        [RECORD_WAIT_NOTIFY] = "notification",
        [RECORD_WAIT_SEMAPHORE] = "semaphore",
        [RECORD_WAIT_EVENT] = "event",
        [RECORD_WAIT_BARRIER] = "barrier",
        [RECORD_WAIT_ONCE] = "once",
        [RECORD_WAIT_PUT] = "put into queue",
        [RECORD_WAIT_GET] = "get from queue",
        [RECORD_WAIT_DONE] = "queue to be done",
    };

    return kind < RECORD_WAIT_KINDS && names[kind] ? names[kind] : "wait";
}
