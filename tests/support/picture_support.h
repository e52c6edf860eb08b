/* Recordings made by hand, and what is drawn of them. */
#ifndef SUPPORT_PICTURE_SUPPORT_H
#define SUPPORT_PICTURE_SUPPORT_H

#include "trace/recording.h"

#include <stddef.h>

/* A recording of so many workers, of which nothing is known yet. Workers are
 * given their tasks, runs, waits and spans one after the other, by number, each
 * in the order of time. Freed by recording_free. */
weft_recording *recording_new(unsigned workers);
void recording_free(weft_recording *recording);

/* Pointers are good until the next of the kind is added. Times in
 * microseconds; names are copied as they are. */
uint32_t recording_name(weft_recording *recording, const char *name);
struct recorded_task *recording_task(weft_recording *recording, uint32_t worker,
                                     const char *name, double begin,
                                     double end);
void recording_run(weft_recording *recording, uint32_t worker, uint32_t cpu,
                   double begin, double end);
struct recorded_wait *recording_wait(weft_recording *recording, uint32_t worker,
                                     double begin, double end, bool lock);
void recording_span(weft_recording *recording, uint32_t worker,
                    const char *name, double begin, double end);
void recording_mark(weft_recording *recording, uint32_t worker,
                    const char *name, double at, int64_t value);
void recording_counter(weft_recording *recording, const char *name, double at,
                       int64_t value);

/* Nothing follows: fills in the rest, the metrics too. */
void recording_end(weft_recording *recording, double wall, unsigned cpus);

/* The lesson's: nine tasks of two workers, on 1 CPU and on 2. */
weft_recording *recording_on_one(void);
weft_recording *recording_on_two(void);

/* All kinds of things, nested tasks, waits, marks, failures. */
weft_recording *recording_rich(void);

/* So many short tasks, each with a name of three and now and then a long one,
 * named "long". */
weft_recording *recording_crowd(unsigned workers, unsigned tasks);

/* What one of draw_svg and draw_html writes, as text to be freed. */
typedef int picture_drawer(struct out *out, weft_recording *const *recordings,
                           size_t count);
char *picture_of(picture_drawer *draw, weft_recording *const *recordings,
                 size_t count);

/* How often `part` stands in `text`. */
unsigned picture_count(const char *text, const char *part);

/* Whether a tool is installed. */
bool picture_tool(const char *name);

#endif
