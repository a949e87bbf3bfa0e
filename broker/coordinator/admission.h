/* The admission of runners.
 *
 * A runner is admitted when all its types agree with what the cluster knows. The broker that holds
 * the term stores new and changed types first. A standby admits on what it has read, and stores the
 * types of its runners when it takes the term.
 */
#ifndef BROKER_COORDINATOR_ADMISSION_H
#define BROKER_COORDINATOR_ADMISSION_H

#include "broker/coordinator/effects.h"
#include "broker/coordinator/forgetting.h"
#include "broker/coordinator/registry.h"
#include "broker/coordinator/runners.h"
#include "broker/coordinator/schedule.h"

typedef struct coordinator_admission coordinator_admission_t;

/* `untransactional`: types with transactional messages are refused. The other arguments must
 * outlive the admission. */
coordinator_admission_t *coordinator_admission_new(bool untransactional,
                                                   coordinator_registry_t *registry,
                                                   coordinator_runners_t *runners,
                                                   const coordinator_forgetting_t *forgetting,
                                                   coordinator_schedule_t *schedule,
                                                   coordinator_effects_t *effects);
void coordinator_admission_destroy(coordinator_admission_t **admission);

/* ROUTER_ADMIT: the router waits for ADMITTED until `deadline_ms`. */
void coordinator_admission_ask(coordinator_admission_t *admission, const router_order_t *order,
                               uint64_t deadline_ms);
/* This broker holds the term from now on: it stores types. */
void coordinator_admission_begin_term(coordinator_admission_t *admission);
/* Answers the admissions that need no store call, and refuses those whose deadline has passed. */
void coordinator_admission_conclude(coordinator_admission_t *admission, uint64_t now_ms);
/* Fills in the store call that an admission needs next. false: none does. */
bool coordinator_admission_next_call(coordinator_admission_t *admission, coordinator_call_t *call);
/* PUT_GROUP or PUT_TYPE has been answered. Requires the lists that are to be read after it. */
void coordinator_admission_answered(coordinator_admission_t *admission,
                                    const coordinator_call_t *call, fabric_error_t error,
                                    const coordinator_results_t *results);

#endif
