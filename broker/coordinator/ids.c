/* The ids that a broker reserves: see ids.h. */
#include "broker/coordinator/ids.h"

#define RESERVED_IDS ((uint64_t)10000 << 22) /* those of 10 s, ahead of the highest id */

uint64_t coordinator_ids_next_mark(const coordinator_ids_t *self)
{
    return self->high_id + RESERVED_IDS;
}

void coordinator_ids_stored(coordinator_ids_t *self, uint64_t mark)
{
    self->mark = mark;
}

bool coordinator_ids_made(coordinator_ids_t *self, uint64_t high_id)
{
    if (high_id > self->high_id) {
        self->high_id = high_id;
    }
    return self->high_id >= self->mark;
}
