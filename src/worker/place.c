#include "worker/place.h"

bool (*place_leaving)(bool late);
void (*place_taking)(void);

bool
place_leave(bool late)
{
    return self_get()->deck && place_leaving && place_leaving(late);
}

void
place_take(void)
{
    place_taking();
}
