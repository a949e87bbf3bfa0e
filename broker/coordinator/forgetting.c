/* Forgetting an entity type: see forgetting.h. */
#include "broker/coordinator/forgetting.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/memory.h"

/* A lane in which its home has found nothing of the type. */
typedef struct empty_lane {
    bool known;
    uint64_t epoch;
    bool whole; /* the home had all of its scheduled messages in memory, or the store has none */
} empty_lane_t;

struct coordinator_forgetting {
    coordinator_registry_t *registry;
    const coordinator_lanes_t *lanes;
    coordinator_effects_t *effects;
    char closed[LIMIT_NAME_BYTES_MAX + 1]; /* the type; empty: none is */
    bool asked;                            /* FORGET_DONE is wanted */
    uint64_t until_ms;                     /* no call begins later */
    empty_lane_t empty[LIMIT_LANES_MAX];
    bool opening;
    uint64_t opening_ms; /* readings that began earlier do not count */
};

coordinator_forgetting_t *coordinator_forgetting_new(coordinator_registry_t *registry,
                                                     const coordinator_lanes_t *lanes,
                                                     coordinator_effects_t *effects)
{
    coordinator_forgetting_t *self = memory_allocate_zeroed(1, sizeof *self);
    self->registry = registry;
    self->lanes = lanes;
    self->effects = effects;
    return self;
}

void coordinator_forgetting_destroy(coordinator_forgetting_t **forgetting)
{
    free(*forgetting);
    *forgetting = NULL;
}

void coordinator_forgetting_close(coordinator_forgetting_t *self, const char *type)
{
    snprintf(self->closed, sizeof self->closed, "%s", type);
    self->asked = self->opening = false;
}

bool coordinator_forgetting_has_closed(const coordinator_forgetting_t *self, const char *type)
{
    return self->closed[0] && strcmp(self->closed, type) == 0;
}

/* ---- the answer ---- */

static void conclude(coordinator_forgetting_t *self, fabric_error_t error, const char *text)
{
    if (self->asked) {
        self->asked = false;
        coordinator_effect_t *effect =
            coordinator_effects_add(self->effects, COORDINATOR_FORGET_DONE);
        effect->error = error;
        snprintf(effect->type, sizeof effect->type, "%s", self->closed);
        coordinator_effect_set_bytes(effect, fabric_bytes_of(text));
    }
}

static void conclude_moved(coordinator_forgetting_t *self, uint32_t lane)
{
    char text[100];
    snprintf(text, sizeof text,
             "lane %" PRIu32 " had no home for a moment, or has got another one: try again", lane);
    conclude(self, FABRIC_ERROR_NOT_HOME, text);
}

/* ---- asking ---- */

/* Of a lane that has moved, two brokers may tell: the later one counts. */
static void take_lanes(coordinator_forgetting_t *self, fabric_bytes_t encoded)
{
    wire_reader_t reader = wire_reader(encoded);
    uint32_t count = wire_get_array(&reader);
    memset(self->empty, 0, sizeof self->empty);
    for (uint32_t i = 0; i < count && !reader.failed; i++) {
        (void)wire_get_array(&reader);
        uint64_t lane = wire_get_uint(&reader);
        empty_lane_t empty = {.known = true, .epoch = wire_get_uint(&reader)};
        empty.whole = wire_get_bool(&reader);
        if (lane < LIMIT_LANES_MAX &&
            (!self->empty[lane].known || self->empty[lane].epoch < empty.epoch)) {
            self->empty[lane] = empty;
        }
    }
}

void coordinator_forgetting_ask(coordinator_forgetting_t *self, const router_order_t *order,
                                bool holds_term)
{
    if (!coordinator_forgetting_has_closed(self, order->name) || self->opening) {
        return;
    }
    self->asked = true;
    self->until_ms = order->until_ms;
    take_lanes(self, fabric_bytes(order->types, order->types_size));
    if (!holds_term) {
        conclude(self, FABRIC_ERROR_NOT_HOME, "the broker does not hold the term any more");
    }
}

/* ---- opening ---- */

void coordinator_forgetting_open(coordinator_forgetting_t *self, uint64_t now_ms)
{
    conclude(self, FABRIC_ERROR_TIMEOUT, "the command was given up");
    self->opening = self->closed[0] != '\0';
    self->opening_ms = now_ms;
}

bool coordinator_forgetting_wants_types(const coordinator_forgetting_t *self)
{
    return self->opening;
}

void coordinator_forgetting_types_read(coordinator_forgetting_t *self, uint64_t started_ms)
{
    if (self->opening && started_ms >= self->opening_ms) {
        coordinator_effect_t *effect =
            coordinator_effects_add(self->effects, COORDINATOR_TYPE_OPENED);
        coordinator_effect_set_bytes(effect, fabric_bytes_of(self->closed));
        self->opening = false;
        self->closed[0] = '\0';
    }
}

/* ---- calls ---- */

/* The next lane in which only the store knows of all scheduled messages. `*moved`: that, or another
 * one, has not the epoch in which its home has found nothing. */
static bool find_lane(const coordinator_forgetting_t *self, uint32_t *lane, bool *moved)
{
    bool found = false;
    *moved = false;
    for (uint32_t i = 0; i < coordinator_lanes_count(self->lanes) && !*moved; i++) {
        const empty_lane_t *empty = &self->empty[i];
        *moved = !empty->known || empty->epoch != coordinator_lanes_at(self->lanes, i)->epoch;
        if (*moved || (!empty->whole && !found)) {
            *lane = i;
            found = true;
        }
    }
    return found;
}

bool coordinator_forgetting_next_call(coordinator_forgetting_t *self, uint64_t now_ms,
                                      coordinator_call_t *call)
{
    if (!self->asked) {
        return false;
    }
    const coordinator_type_t *type = coordinator_registry_type(self->registry, self->closed);
    bool moved = false;
    bool scans = find_lane(self, &call->lane.lane, &moved);
    if (now_ms >= self->until_ms) {
        conclude(self, FABRIC_ERROR_TIMEOUT, "the store took too long: nothing was changed");
    } else if (moved) {
        conclude_moved(self, call->lane.lane);
    } else if (!type) {
        conclude(self, FABRIC_ERROR_UNKNOWN_ENTITY_TYPE, "no worker has registered this type");
    } else {
        call->kind = scans ? COORDINATOR_COUNT_SCHEDULED : COORDINATOR_FORGET_TYPE;
        call->type = (store_type_t){.name = fabric_bytes_of(self->closed), .group = type->group};
        return true;
    }
    return false;
}

static void counted(coordinator_forgetting_t *self, const coordinator_call_t *call, uint64_t count)
{
    char text[120];
    self->empty[call->lane.lane].whole = true;
    if (count > 0) {
        snprintf(text, sizeof text,
                 "%" PRIu64 " messages wait for their times in lane %" PRIu32 " of the store",
                 count, call->lane.lane);
        conclude(self, FABRIC_ERROR_TYPE_IN_USE, text);
    }
}

/* What may have been changed is told by the next reading. What certainly was not is tried again. */
void coordinator_forgetting_answered(coordinator_forgetting_t *self, const coordinator_call_t *call,
                                     fabric_error_t error, const coordinator_results_t *results)
{
    bool forgets = call->kind == COORDINATOR_FORGET_TYPE;
    if (!error && forgets) {
        coordinator_registry_forget_type(self->registry, self->closed);
        conclude(self, FABRIC_OK, "");
    } else if (!error) {
        counted(self, call, results->count);
    } else if (forgets && fabric_error_class(error) != FABRIC_CLASS_RETRY) {
        conclude(self, FABRIC_ERROR_OUTCOME_UNKNOWN,
                 "the store has not told whether the type is forgotten");
    }
}
