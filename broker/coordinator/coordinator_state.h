/* The coordinator's state, composed of its parts, and the functions by which its own files meet.
 * See coordinator.h for what the coordinator is. */
#ifndef BROKER_COORDINATOR_COORDINATOR_STATE_H
#define BROKER_COORDINATOR_COORDINATOR_STATE_H

#include "broker/coordinator/admission.h"
#include "broker/coordinator/coordinator.h"
#include "broker/coordinator/forgetting.h"
#include "broker/coordinator/ids.h"
#include "broker/coordinator/lanes.h"
#include "broker/coordinator/members.h"
#include "broker/coordinator/publication.h"
#include "broker/coordinator/registry.h"
#include "broker/coordinator/runners.h"
#include "broker/coordinator/schedule.h"
#include "broker/coordinator/shards.h"
#include "broker/coordinator/term.h"

/* Only coordinator.c writes fields that are not parts. */
struct coordinator {
    coordinator_config_t config;
    uint64_t now_ms;
    coordinator_ids_t ids;
    bool ready;               /* the router was told */
    bool without_heir;        /* the router was told */
    uint64_t drains_since_ms; /* 0: this broker does not drain */
    shard_map_t *map;
    coordinator_effects_t *effects;
    coordinator_schedule_t *schedule;
    coordinator_term_t *term;
    coordinator_members_t *members;
    coordinator_registry_t *registry;
    coordinator_runners_t *runners;
    coordinator_forgetting_t *forgetting;
    coordinator_admission_t *admission;
    coordinator_lanes_t *lanes;
    coordinator_shards_t *shards;
    coordinator_publication_t *publication;
};

/* Whether this broker's incarnation is over. */
static inline bool coordinator_is_fenced(const coordinator_t *self)
{
    return coordinator_term_standing(self->term) == STANDING_FENCED;
}

/* ---- placement.c ---- */

/* Chooses the runners of the shards whose lanes this broker holds. */
void coordinator_place_shards(coordinator_t *self);
/* The holder of the term decides which brokers are to hold the lanes. */
void coordinator_place_lanes(coordinator_t *self);
/* Puts what this broker knows of homes and owners into the map. */
void coordinator_enter_homes_and_owners(coordinator_t *self);
/* The store has other holders of lanes than before. */
void coordinator_holders_changed(coordinator_t *self);

/* ---- call_choice.c ---- */

/* Chooses the call that is due. false: there is none. */
bool coordinator_choose_call(coordinator_t *self, coordinator_call_t *call);

/* ---- answers.c ---- */

/* What follows from a call's answer; `results` may be NULL with an error. */
void coordinator_take_answer(coordinator_t *self, const coordinator_call_t *call,
                             fabric_error_t error, const coordinator_results_t *results);

/* ---- orders.c ---- */

/* What follows from an order of the router. */
void coordinator_take_order(coordinator_t *self, const router_order_t *order);

#endif
