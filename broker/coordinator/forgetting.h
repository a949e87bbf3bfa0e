/* Forgetting an entity type: the coordinator's part of what broker/router/forgetting.h describes.
 *
 * While a type is closed, admissions of runners that bring it wait. The holder of the term counts
 * scheduled messages of the type in lanes whose home has not all of them in memory, and then drops
 * the type's description, as long as each lane has the epoch in which its home has found nothing.
 */
#ifndef BROKER_COORDINATOR_FORGETTING_H
#define BROKER_COORDINATOR_FORGETTING_H

#include "broker/coordinator/effects.h"
#include "broker/coordinator/lanes.h"
#include "broker/coordinator/registry.h"
#include "broker/router/router.h"

typedef struct coordinator_forgetting coordinator_forgetting_t;

/* The arguments must outlive it. */
coordinator_forgetting_t *coordinator_forgetting_new(coordinator_registry_t *registry,
                                                     const coordinator_lanes_t *lanes,
                                                     coordinator_effects_t *effects);
void coordinator_forgetting_destroy(coordinator_forgetting_t **forgetting);

/* ROUTER_TYPE_CLOSED: no runner that brings the type is admitted. */
void coordinator_forgetting_close(coordinator_forgetting_t *forgetting, const char *type);
/* Whether the type is closed. */
bool coordinator_forgetting_has_closed(const coordinator_forgetting_t *forgetting,
                                       const char *type);
/* ROUTER_TYPE_FORGET. `holds_term`: this broker does. Emits FORGET_DONE now or later. */
void coordinator_forgetting_ask(coordinator_forgetting_t *forgetting, const router_order_t *order,
                                bool holds_term);
/* ROUTER_TYPE_OPEN, at this time. Emits TYPE_OPENED when the types have been read. */
void coordinator_forgetting_open(coordinator_forgetting_t *forgetting, uint64_t now_ms);
/* Whether the types are to be read for that. */
bool coordinator_forgetting_wants_types(const coordinator_forgetting_t *forgetting);
/* All types were read, by a call that began at this time. */
void coordinator_forgetting_types_read(coordinator_forgetting_t *forgetting, uint64_t started_ms);
/* Fills in the store call that is needed next. false: none is. Emits FORGET_DONE where it turns out
 * that the type cannot be forgotten. */
bool coordinator_forgetting_next_call(coordinator_forgetting_t *forgetting, uint64_t now_ms,
                                      coordinator_call_t *call);
/* COUNT_SCHEDULED or FORGET_TYPE has been answered. */
void coordinator_forgetting_answered(coordinator_forgetting_t *forgetting,
                                     const coordinator_call_t *call, fabric_error_t error,
                                     const coordinator_results_t *results);

#endif
