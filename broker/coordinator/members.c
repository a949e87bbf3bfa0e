/* Which brokers are members, and which of them live: see members.h. */
#include "broker/coordinator/members.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/memory.h"

#define READING_GAP_MS 1000u
#define SILENCE_MS     200u /* of silence: a broker that lives has raised its counter by then */
#define PROOF_MS       300u /* of silence, after which a refusal proves the death */
#define LOOK_EVERY_MS  100u /* at a member that is silent */
#define PROBE_EVERY_MS 200u

typedef struct member {
    store_broker_t broker;
    uint64_t silent_ms; /* since its counter was last seen to change */
    bool refused;       /* during this silence its endpoint refused connections */
    uint64_t probe_ms;  /* its endpoint is not to be tried before */
} member_t;

struct coordinator_members {
    incarnation_t self;
    uint32_t lease_ms;
    member_t *items;
    size_t count;
    uint64_t last_list_ms;  /* end of the last successful reading; 0: none counts */
    uint64_t list_began_ms; /* the beginning of that reading */
    uint64_t same_since_ms; /* the brokers are the same ones as then */
    incarnation_t deposed;
    incarnation_t told[LIMIT_BROKERS_MAX]; /* by the last effect MEMBERS */
    size_t told_count;
    incarnation_t draining[LIMIT_BROKERS_MAX]; /* those that said so last; none: a free place */
    size_t draining_next;
    /* Since the last reading: attempts that are slow or fail must leave time for readings. */
    bool probed, removal_failed;
};

coordinator_members_t *coordinator_members_new(incarnation_t self_incarnation, uint32_t lease_ms)
{
    coordinator_members_t *self = memory_allocate_zeroed(1, sizeof *self);
    self->self = self_incarnation;
    self->lease_ms = lease_ms;
    return self;
}

void coordinator_members_destroy(coordinator_members_t **members)
{
    if (*members) {
        free((*members)->items);
        free(*members);
        *members = NULL;
    }
}

static member_t *find(const coordinator_members_t *self, incarnation_t broker)
{
    for (size_t i = 0; i < self->count; i++) {
        if (incarnation_equal(self->items[i].broker.incarnation, broker)) {
            return &self->items[i];
        }
    }
    return NULL;
}

static bool is_self(const coordinator_members_t *self, const member_t *member)
{
    return incarnation_equal(member->broker.incarnation, self->self);
}

static bool is_dead(const coordinator_members_t *self, const member_t *member)
{
    return !is_self(self, member) && (member->silent_ms >= self->lease_ms || member->refused ||
                                      incarnation_equal(member->broker.incarnation, self->deposed));
}

/* Whether the time since the last reading may count as silence. */
static bool is_countable(const coordinator_members_t *self, uint64_t now_ms)
{
    uint64_t gap_ms = self->lease_ms / 3;
    gap_ms = gap_ms < READING_GAP_MS ? gap_ms : READING_GAP_MS;
    return self->last_list_ms > 0 && now_ms - self->last_list_ms <= gap_ms;
}

void coordinator_members_take(coordinator_members_t *self, const store_broker_t *brokers,
                              size_t count, uint64_t started_ms, uint64_t now_ms)
{
    bool countable = is_countable(self, now_ms);
    bool same = self->last_list_ms > 0 && count == self->count;
    member_t *items = memory_allocate_zeroed(count, sizeof *items);
    for (size_t i = 0; i < count; i++) {
        items[i].broker = brokers[i];
        const member_t *before = find(self, brokers[i].incarnation);
        same = same && before;
        if (before && before->broker.counter == brokers[i].counter && countable) {
            /* A reading may have seen the table at any time while it ran: only the time between two
             * readings is certainly silence. */
            items[i].silent_ms = before->silent_ms + started_ms - self->last_list_ms;
        }
        if (before && before->broker.counter == brokers[i].counter) {
            items[i].refused = before->refused;
            items[i].probe_ms = before->probe_ms;
        }
    }
    free(self->items);
    self->items = items;
    self->count = count;
    self->same_since_ms = same ? self->same_since_ms : now_ms;
    self->last_list_ms = now_ms;
    self->list_began_ms = started_ms;
    self->probed = self->removal_failed = false;
}

void coordinator_members_removed(coordinator_members_t *self, incarnation_t broker,
                                 fabric_error_t error)
{
    member_t *member = find(self, broker);
    self->removal_failed = error != FABRIC_OK;
    if (!error && member) {
        *member = self->items[--self->count];
    }
}

void coordinator_members_begin_term(coordinator_members_t *self)
{
    self->last_list_ms = 0;
    for (size_t i = 0; i < self->count; i++) {
        self->items[i].silent_ms = 0;
    }
}

void coordinator_members_depose(coordinator_members_t *self, incarnation_t holder)
{
    self->deposed = holder;
}

size_t coordinator_members_count(const coordinator_members_t *self)
{
    return self->count;
}

const store_broker_t *coordinator_members_at(const coordinator_members_t *self, size_t index)
{
    return &self->items[index].broker;
}

bool coordinator_members_has(const coordinator_members_t *self, incarnation_t broker)
{
    return find(self, broker) != NULL;
}

bool coordinator_members_lives(const coordinator_members_t *self, incarnation_t broker)
{
    const member_t *member = find(self, broker);
    return member && !is_dead(self, member);
}

uint64_t coordinator_members_same_since_ms(const coordinator_members_t *self)
{
    return self->same_since_ms;
}

bool coordinator_members_read_since(const coordinator_members_t *self, uint64_t at_ms)
{
    return self->last_list_ms > 0 && self->list_began_ms >= at_ms;
}

/* ---- members that drain ---- */

void coordinator_members_set_draining(coordinator_members_t *self, incarnation_t broker,
                                      bool draining)
{
    if (draining && coordinator_members_drains(self, broker)) {
        return; /* it says so again */
    }
    for (size_t i = 0; i < LIMIT_BROKERS_MAX; i++) {
        if (incarnation_equal(self->draining[i], broker)) {
            self->draining[i] = (incarnation_t){{0}};
        }
    }
    if (draining) { /* an incarnation that drains soon ends: the oldest place is free by then */
        self->draining[self->draining_next] = broker;
        self->draining_next = (self->draining_next + 1) % LIMIT_BROKERS_MAX;
    }
}

bool coordinator_members_drains(const coordinator_members_t *self, incarnation_t broker)
{
    for (size_t i = 0; i < LIMIT_BROKERS_MAX; i++) {
        if (incarnation_equal(self->draining[i], broker)) {
            return true;
        }
    }
    return false;
}

bool coordinator_members_takes_lanes(const coordinator_members_t *self, incarnation_t broker)
{
    return coordinator_members_lives(self, broker) && !coordinator_members_drains(self, broker);
}

/* ---- members that are dead ---- */

const incarnation_t *coordinator_members_next_dead(const coordinator_members_t *self)
{
    for (size_t i = 0; i < self->count && !self->removal_failed; i++) {
        if (is_dead(self, &self->items[i])) {
            return &self->items[i].broker.incarnation;
        }
    }
    return NULL;
}

static bool were_told(const coordinator_members_t *self)
{
    if (self->told_count != self->count) {
        return false;
    }
    for (size_t i = 0; i < self->told_count; i++) {
        if (!find(self, self->told[i])) {
            return false;
        }
    }
    return true;
}

void coordinator_members_tell(coordinator_members_t *self, coordinator_effects_t *effects)
{
    if (self->count > LIMIT_BROKERS_MAX || were_told(self)) {
        return;
    }
    coordinator_effect_t *effect = coordinator_effects_add(effects, COORDINATOR_MEMBERS);
    effect->brokers = memory_allocate_zeroed(LIMIT_BROKERS_MAX, sizeof *effect->brokers);
    effect->credentials = memory_allocate_zeroed(LIMIT_BROKERS_MAX, sizeof *effect->credentials);
    for (size_t i = 0; i < self->count; i++) {
        const store_broker_t *broker = &self->items[i].broker;
        effect->credentials[i] = (broker_credential_t){broker->incarnation, broker->secret};
        map_broker_t *entry = &effect->brokers[effect->broker_count++];
        self->told[i] = entry->incarnation = broker->incarnation;
        snprintf(entry->router_endpoint, sizeof entry->router_endpoint, "%s",
                 broker->router_endpoint);
        snprintf(entry->pub_endpoint, sizeof entry->pub_endpoint, "%s", broker->pub_endpoint);
    }
    self->told_count = self->count;
}

/* ---- members that are silent ---- */

const store_broker_t *coordinator_members_next_probe(const coordinator_members_t *self,
                                                     uint64_t now_ms)
{
    const member_t *next = NULL; /* the one whose turn came first */
    for (size_t i = 0; i < self->count && !self->probed; i++) {
        const member_t *member = &self->items[i];
        if (member->silent_ms >= PROOF_MS && now_ms >= member->probe_ms && !is_self(self, member) &&
            !is_dead(self, member) && (!next || member->probe_ms < next->probe_ms)) {
            next = member;
        }
    }
    return next ? &next->broker : NULL;
}

bool coordinator_members_probed(coordinator_members_t *self, incarnation_t broker, bool refused,
                                uint64_t now_ms)
{
    self->probed = true;
    member_t *member = find(self, broker);
    if (!member) {
        return false;
    }
    member->refused = refused;
    member->probe_ms = now_ms + PROBE_EVERY_MS;
    return refused;
}

uint32_t coordinator_members_next_reading_ms(const coordinator_members_t *self)
{
    uint32_t reading_ms = UINT32_MAX;
    for (size_t i = 0; i < self->count; i++) {
        const member_t *member = &self->items[i];
        if (member->silent_ms >= SILENCE_MS && !is_self(self, member)) {
            /* A member that dies is not to be looked at shortly before its death is proved. */
            uint64_t left_ms =
                member->silent_ms < PROOF_MS ? PROOF_MS - member->silent_ms + 1 : LOOK_EVERY_MS;
            reading_ms = left_ms < reading_ms ? (uint32_t)left_ms : reading_ms;
        }
    }
    return reading_ms < LOOK_EVERY_MS || reading_ms == UINT32_MAX ? reading_ms : LOOK_EVERY_MS;
}
