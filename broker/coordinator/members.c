/* Which brokers are members, and which of them live: see members.h. */
#include "broker/coordinator/members.h"

#include <stdlib.h>

#include "core/memory.h"

#define READING_GAP_MS 1000u

typedef struct member {
    store_broker_t broker;
    uint64_t silent_ms; /* since its counter was last seen to change */
} member_t;

struct coordinator_members {
    incarnation_t self;
    uint32_t lease_ms;
    member_t *items;
    size_t count;
    uint64_t last_list_ms; /* end of the last successful reading; 0: none counts */
    incarnation_t deposed;
    incarnation_t *living;
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
        free((*members)->living);
        free(*members);
        *members = NULL;
    }
}

static const member_t *find(const coordinator_members_t *self, incarnation_t broker)
{
    for (size_t i = 0; i < self->count; i++) {
        if (incarnation_equal(self->items[i].broker.incarnation, broker)) {
            return &self->items[i];
        }
    }
    return NULL;
}

static bool is_dead(const coordinator_members_t *self, const member_t *member)
{
    return !incarnation_equal(member->broker.incarnation, self->self) &&
           (member->silent_ms >= self->lease_ms ||
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
    member_t *items = memory_allocate_zeroed(count, sizeof *items);
    for (size_t i = 0; i < count; i++) {
        items[i].broker = brokers[i];
        const member_t *before = find(self, brokers[i].incarnation);
        if (before && before->broker.counter == brokers[i].counter && countable) {
            /* A reading may have seen the table at any time while it ran: only the time between two
             * readings is certainly silence. */
            items[i].silent_ms = before->silent_ms + started_ms - self->last_list_ms;
        }
    }
    free(self->items);
    self->items = items;
    self->count = count;
    self->last_list_ms = now_ms;
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

bool coordinator_members_has_dead(const coordinator_members_t *self)
{
    for (size_t i = 0; i < self->count; i++) {
        if (is_dead(self, &self->items[i])) {
            return true;
        }
    }
    return false;
}

const incarnation_t *coordinator_members_living(coordinator_members_t *self, size_t *count)
{
    self->living = memory_resize(self->living, self->count, sizeof *self->living);
    *count = 0;
    for (size_t i = 0; i < self->count; i++) {
        if (!is_dead(self, &self->items[i])) {
            self->living[(*count)++] = self->items[i].broker.incarnation;
        }
    }
    return self->living;
}
