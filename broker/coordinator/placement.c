/* Where shards and lanes are placed, and what of it stands in the map. */
#include "broker/coordinator/coordinator_state.h"

void coordinator_place_shards(coordinator_t *self)
{
    coordinator_shards_place(self->shards, self->registry, self->runners, self->map);
}

void coordinator_place_lanes(coordinator_t *self)
{
    if (coordinator_term_is_ours(self->term) && coordinator_lanes_are_read(self->lanes) &&
        coordinator_lanes_place(self->lanes, self->members, self->now_ms)) {
        coordinator_publication_put_next(self->publication, self->lanes);
    }
}

void coordinator_enter_homes_and_owners(coordinator_t *self)
{
    coordinator_publication_put_lanes(self->publication, self->lanes);
    coordinator_publication_put_owners(self->publication, self->shards);
}

void coordinator_holders_changed(coordinator_t *self)
{
    coordinator_place_lanes(self);
    coordinator_place_shards(self);
    coordinator_enter_homes_and_owners(self);
}
