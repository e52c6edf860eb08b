/* weft: named threads and named processes, started, watched, stopped and joined
 * in one way. Includes every header. */
#ifndef WEFT_WEFT_H
#define WEFT_WEFT_H

#include <weft/barrier.h>
#include <weft/cond.h>
#include <weft/event.h>
#include <weft/fork.h>
#include <weft/job.h>
#include <weft/loop.h>
#include <weft/mutex.h>
#include <weft/once.h>
#include <weft/pipe.h>
#include <weft/pool.h>
#include <weft/queue.h>
#include <weft/recording.h>
#include <weft/runtime.h>
#include <weft/rwlock.h>
#include <weft/scope.h>
#include <weft/semaphore.h>
#include <weft/shared.h>
#include <weft/status.h>
#include <weft/task.h>
#include <weft/time.h>
#include <weft/trace.h>
#include <weft/wait.h>
#include <weft/worker.h>

#endif
