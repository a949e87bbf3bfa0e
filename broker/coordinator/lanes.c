/* Who holds which lane, and which lanes need another holder: see lanes.h. */
#include "broker/coordinator/lanes.h"

#include <stdlib.h>

#include "core/memory.h"

#define BUSY_RETRY_MS 20u

typedef struct lane {
    store_hold_t row;     /* as the store has it */
    bool known;           /* the row has been read */
    uint64_t told_epoch;  /* of this broker as the holder, as told to the router; 0: not told */
    uint64_t tried_epoch; /* under which the router adopted the lane or found it damaged; or 0 */
    bool vacant;
    uint64_t retry_ms; /* not to be assigned before */
} lane_t;

struct coordinator_lanes {
    incarnation_t self;
    coordinator_effects_t *effects;
    lane_t *items;
    uint32_t count;
    bool read;
    bool told; /* the router has got LANES */
};

coordinator_lanes_t *coordinator_lanes_new(incarnation_t self_incarnation, uint32_t count,
                                           coordinator_effects_t *effects)
{
    coordinator_lanes_t *self = memory_allocate_zeroed(1, sizeof *self);
    self->self = self_incarnation;
    self->effects = effects;
    self->items = memory_allocate_zeroed(count, sizeof *self->items);
    self->count = count;
    for (uint32_t i = 0; i < count; i++) {
        self->items[i].row.lane = i;
    }
    return self;
}

void coordinator_lanes_destroy(coordinator_lanes_t **lanes)
{
    if (*lanes) {
        free((*lanes)->items);
        free(*lanes);
        *lanes = NULL;
    }
}

/* ---- what the store says ---- */

bool coordinator_lanes_are_ours(const coordinator_lanes_t *self, const store_hold_t *hold)
{
    return incarnation_equal(hold->holder, self->self);
}

/* The epoch that the router is to know, or 0. */
static uint64_t own_epoch(const coordinator_lanes_t *self, const lane_t *lane)
{
    return coordinator_lanes_are_ours(self, &lane->row) ? lane->row.epoch : 0;
}

/* Emits LANES unless the router knows all that this broker holds. */
static void tell(coordinator_lanes_t *self)
{
    bool changed = !self->told;
    for (uint32_t i = 0; i < self->count; i++) {
        changed |= self->items[i].told_epoch != own_epoch(self, &self->items[i]);
    }
    if (!changed) {
        return;
    }
    coordinator_effect_t *effect = coordinator_effects_add(self->effects, COORDINATOR_LANES);
    effect->holds = memory_allocate_zeroed(self->count, sizeof *effect->holds);
    for (uint32_t i = 0; i < self->count; i++) {
        lane_t *lane = &self->items[i];
        lane->told_epoch = own_epoch(self, lane);
        if (lane->told_epoch > 0) {
            effect->holds[effect->hold_count++] = lane->row;
        }
    }
    self->told = true;
}

/* Returns whether the row is another one than before. */
static bool set_row(lane_t *lane, incarnation_t holder, uint64_t epoch)
{
    if (lane->known && lane->row.epoch == epoch && incarnation_equal(lane->row.holder, holder)) {
        return false;
    }
    lane->known = true;
    lane->row.holder = holder;
    lane->row.epoch = epoch;
    lane->vacant = incarnation_is_none(holder);
    lane->retry_ms = 0;
    return true;
}

bool coordinator_lanes_take(coordinator_lanes_t *self, const store_lane_t *list, size_t count)
{
    bool changed = false;
    for (size_t i = 0; i < count; i++) {
        if (list[i].lane < self->count) { /* else the row is damaged: no shard belongs to it */
            changed |= set_row(&self->items[list[i].lane], list[i].holder, list[i].epoch);
        }
    }
    self->read = true;
    tell(self);
    return changed;
}

bool coordinator_lanes_are_read(const coordinator_lanes_t *self)
{
    return self->read;
}

void coordinator_lanes_begin_term(coordinator_lanes_t *self)
{
    self->read = false;
}

uint32_t coordinator_lanes_count(const coordinator_lanes_t *self)
{
    return self->count;
}

const store_hold_t *coordinator_lanes_at(const coordinator_lanes_t *self, uint32_t number)
{
    return &self->items[number].row;
}

const store_hold_t *coordinator_lanes_of(const coordinator_lanes_t *self, shard_id_t shard)
{
    return &self->items[shard_id_number(shard) % self->count].row;
}

/* ---- adoption ---- */

void coordinator_lanes_tried(coordinator_lanes_t *self, uint32_t lane, uint64_t epoch)
{
    self->items[lane].tried_epoch = epoch;
}

bool coordinator_lanes_all_tried(const coordinator_lanes_t *self)
{
    for (uint32_t i = 0; i < self->count; i++) {
        uint64_t epoch = own_epoch(self, &self->items[i]);
        if (epoch > 0 && self->items[i].tried_epoch != epoch) {
            return false;
        }
    }
    return true;
}

/* ---- giving lanes away ---- */

void coordinator_lanes_judge(coordinator_lanes_t *self, const coordinator_members_t *members)
{
    for (uint32_t i = 0; i < self->count; i++) {
        lane_t *lane = &self->items[i];
        lane->vacant = lane->known && !coordinator_members_has(members, lane->row.holder);
    }
}

void coordinator_lanes_bereave(coordinator_lanes_t *self, incarnation_t broker)
{
    for (uint32_t i = 0; i < self->count; i++) {
        self->items[i].vacant |= incarnation_equal(self->items[i].row.holder, broker);
    }
}

bool coordinator_lanes_all_held(const coordinator_lanes_t *self,
                                const coordinator_members_t *members)
{
    for (uint32_t i = 0; i < self->count; i++) {
        if (!coordinator_members_lives(members, self->items[i].row.holder)) {
            return false;
        }
    }
    return true;
}

const store_hold_t *coordinator_lanes_next_vacant(const coordinator_lanes_t *self, uint64_t now_ms)
{
    for (uint32_t i = 0; i < self->count; i++) {
        const lane_t *lane = &self->items[i];
        if (lane->vacant && now_ms >= lane->retry_ms) {
            return &lane->row;
        }
    }
    return NULL;
}

bool coordinator_lanes_assigned(coordinator_lanes_t *self, const coordinator_call_t *call,
                                fabric_error_t error, uint64_t now_ms)
{
    lane_t *lane = &self->items[call->lane.lane];
    bool changed = false;
    if (!error) {
        changed = set_row(lane, call->broker, call->lane.epoch + 1);
        tell(self);
    } else if (error == FABRIC_ERROR_STORE_BUSY) {
        /* Where the store is slow, other calls come between. */
        lane->retry_ms = now_ms + BUSY_RETRY_MS + (now_ms - call->started_ms);
    } else if (error == FABRIC_ERROR_STORE_REJECTED) {
        lane->vacant = false;
    }
    return changed;
}

uint64_t coordinator_lanes_next_deadline(const coordinator_lanes_t *self)
{
    uint64_t deadline_ms = UINT64_MAX;
    for (uint32_t i = 0; i < self->count; i++) {
        const lane_t *lane = &self->items[i];
        if (lane->vacant && lane->retry_ms > 0 && lane->retry_ms < deadline_ms) {
            deadline_ms = lane->retry_ms;
        }
    }
    return deadline_ms;
}
