/* Writes a recording of a little of everything, with a name that every format
 * must escape. With a PID it is one that this process still writes.
 * Usage: forged FILE [PID] */
#include "support/forge.h"

#include <stdlib.h>

int
main(int argc, char **argv)
{
    static const char odd[] = "a \"quoted\" \\ <task>, \x07";
    struct forge forge;

    if (argc < 2 || argc > 3)
        return 2;
    forge_open(&forge, argv[1]);
    const uint32_t boss = forge_worker(&forge, "main", RECORDING_MAIN);
    const uint32_t one = forge_worker(&forge, "one", 0);
    const uint64_t me = forge_thread(&forge, boss);
    const uint64_t task = forge_task(
        &forge, one,
        &(struct forge_task){odd, 1000, 9000, me, 500, 0, RECORD_THREAD});

    forge_span(&forge, one, "part", 2000, 8000);
    forge_wait(&forge, one, RECORD_WAIT_MUTEX, "table", 0x10, 3000, 4000);
    forge_wait(&forge, boss, RECORD_WAIT_JOIN, NULL, 1, 600, 9100);
    forge_join(&forge, boss, me, task, 9100);
    forge_value(&forge, one, RECORD_COUNTER, "level", 5000, -7);
    forge_value(&forge, one, RECORD_COUNTER, "level", 6000, 12);
    forge_value(&forge, one, RECORD_MARK, "here", 7000, 5);
    forge_run(&forge, one, 1, 1000, 3000, false);
    forge_run(&forge, one, 0, 4000, 9000, false);
    if (argc == 3)
        forge.header.pid = (int32_t)strtol(argv[2], NULL, 10);
    forge_close(&forge, argc == 3 ? 0 : 10000);
    return 0;
}
