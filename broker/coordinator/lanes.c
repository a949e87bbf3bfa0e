/* Who holds which lane, and which lanes need another holder: see lanes.h. */
#include "broker/coordinator/lanes.h"

#include <stdlib.h>

#include "core/limits.h"
#include "core/memory.h"
#include "core/placement.h"

#define BUSY_RETRY_MS  20u
#define MOVING_READ_MS 20u   /* from one reading to the next while a lane is to be given up */
#define SETTLED_MS     2000u /* that the members are the same, before lanes are evened out */

typedef struct lane {
    store_hold_t row;     /* as the store has it */
    bool known;           /* the row has been read */
    uint64_t told_epoch;  /* of this broker as the holder, as told to the router; 0: not told */
    uint64_t tried_epoch; /* under which the router adopted the lane or found it damaged; or 0 */
    bool vacant;
    uint64_t retry_ms;    /* not to be assigned before */
    incarnation_t placed; /* the broker that is to hold it in the end; none: no broker can */
    incarnation_t next;   /* the same, if its holder is to give it up now; else none */
} lane_t;

struct coordinator_lanes {
    incarnation_t self;
    coordinator_effects_t *effects;
    lane_t *items;
    uint32_t count;
    bool read;
    bool told;        /* the router has got LANES */
    bool moving;      /* some lane has a `next` */
    uint64_t read_ms; /* while that is so, lanes are to be read then */
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

bool coordinator_lanes_take(coordinator_lanes_t *self, const store_lane_t *list, size_t count,
                            uint64_t started_ms, uint64_t now_ms)
{
    bool changed = false;
    for (size_t i = 0; i < count; i++) {
        if (list[i].lane < self->count) { /* else the row is damaged: no shard belongs to it */
            changed |= set_row(&self->items[list[i].lane], list[i].holder, list[i].epoch);
        }
    }
    self->read = true;
    /* Where the store is slow, other calls come between. */
    self->read_ms = now_ms + MOVING_READ_MS + (now_ms - started_ms);
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

/* ---- placement ---- */

static size_t find_candidates(const coordinator_members_t *members,
                              placement_member_t candidates[LIMIT_BROKERS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < coordinator_members_count(members) && count < LIMIT_BROKERS_MAX; i++) {
        incarnation_t broker = coordinator_members_at(members, i)->incarnation;
        if (coordinator_members_lives(members, broker)) {
            candidates[count++] =
                placement_broker(broker, coordinator_members_drains(members, broker));
        }
    }
    return count;
}

static void compute(coordinator_lanes_t *self, const coordinator_members_t *members)
{
    placement_member_t candidates[LIMIT_BROKERS_MAX];
    incarnation_t holders[LIMIT_LANES_MAX];
    for (uint32_t i = 0; i < self->count; i++) {
        holders[i] = self->items[i].row.holder;
    }
    placement_compute(candidates, find_candidates(members, candidates), holders, self->count);
    for (uint32_t i = 0; i < self->count; i++) {
        self->items[i].placed = holders[i];
    }
}

/* Whether another lane before this one has the same holder, which is to give that one up first. */
static bool has_its_turn(const coordinator_lanes_t *self, uint32_t number)
{
    for (uint32_t i = 0; i < number; i++) {
        if (!incarnation_is_none(self->items[i].next) &&
            incarnation_equal(self->items[i].row.holder, self->items[number].row.holder)) {
            return false;
        }
    }
    return true;
}

static incarnation_t choose_next(const coordinator_lanes_t *self, uint32_t number,
                                 const coordinator_members_t *members, uint64_t now_ms)
{
    const lane_t *lane = &self->items[number];
    incarnation_t holder = lane->row.holder;
    uint64_t settled_ms = coordinator_members_same_since_ms(members) + SETTLED_MS;
    bool begins = coordinator_members_drains(members, holder) || now_ms >= settled_ms;
    bool moves = coordinator_members_lives(members, holder) &&
                 !incarnation_equal(lane->placed, holder) && begins && has_its_turn(self, number);
    return moves ? lane->placed : (incarnation_t){{0}};
}

bool coordinator_lanes_place(coordinator_lanes_t *self, const coordinator_members_t *members,
                             uint64_t now_ms)
{
    bool changed = false;
    bool moved = self->moving;
    compute(self, members);
    self->moving = false;
    for (uint32_t i = 0; i < self->count; i++) {
        incarnation_t next = choose_next(self, i, members, now_ms);
        changed |= !incarnation_equal(self->items[i].next, next);
        self->items[i].next = next;
        self->moving |= !incarnation_is_none(next);
    }
    if (self->moving && !moved) {
        self->read_ms = now_ms + MOVING_READ_MS;
    }
    return changed;
}

incarnation_t coordinator_lanes_heir(const coordinator_lanes_t *self, uint32_t lane)
{
    return self->items[lane].placed;
}

incarnation_t coordinator_lanes_next(const coordinator_lanes_t *self, uint32_t lane)
{
    return self->items[lane].next;
}

bool coordinator_lanes_are_to_be_read(const coordinator_lanes_t *self, uint64_t now_ms)
{
    return self->moving && now_ms >= self->read_ms;
}

/* ---- assignment ---- */

const store_hold_t *coordinator_lanes_next_vacant(const coordinator_lanes_t *self, uint64_t now_ms)
{
    for (uint32_t i = 0; i < self->count; i++) {
        const lane_t *lane = &self->items[i];
        if (lane->vacant && !incarnation_is_none(lane->placed) && now_ms >= lane->retry_ms) {
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
    uint64_t deadline_ms = self->moving ? self->read_ms : UINT64_MAX;
    for (uint32_t i = 0; i < self->count; i++) {
        const lane_t *lane = &self->items[i];
        bool waits = lane->vacant && !incarnation_is_none(lane->placed);
        if (waits && lane->retry_ms > 0 && lane->retry_ms < deadline_ms) {
            deadline_ms = lane->retry_ms;
        }
    }
    return deadline_ms;
}
