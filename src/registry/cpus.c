/* The CPUs that the program may use: the least of what its affinity, its
 * control groups and its user say. */
#include "os/os.h"

#include <weft/runtime.h>

#include <stdlib.h>

unsigned
weft_cpu_count(void)
{
    unsigned count = os_cpu_affinity();
    const unsigned quota = os_cpu_quota("");
    const char *wanted = secure_getenv("WEFT_CPUS");
    char *end = NULL;
    const long number = wanted ? strtol(wanted, &end, 10) : 0;

    if (quota && quota < count)
        count = quota;
    if (number > 0 && end && *end == '\0' && (unsigned long)number < count)
        count = (unsigned)number;
    return count ? count : 1;
}
