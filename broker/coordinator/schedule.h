/* Which store call the coordinator makes next, and when: calls that are due until they succeed,
 * calls that are due by the clock, the one call that is in flight, and the pause after a failed
 * one.
 *
 * Calls that admissions and the rows of runners need are not kept here: see admission.h, runners.h.
 */
#ifndef BROKER_COORDINATOR_SCHEDULE_H
#define BROKER_COORDINATOR_SCHEDULE_H

#include "broker/coordinator/calls.h"

typedef struct coordinator_schedule coordinator_schedule_t;

coordinator_schedule_t *coordinator_schedule_new(uint32_t lease_ms, uint64_t now_ms);
void coordinator_schedule_destroy(coordinator_schedule_t **schedule);

/* The call is due from now on, until it succeeds or is withdrawn. */
void coordinator_schedule_require(coordinator_schedule_t *schedule, coordinator_call_kind_t kind);
void coordinator_schedule_withdraw(coordinator_schedule_t *schedule, coordinator_call_kind_t kind);
bool coordinator_schedule_is_due(const coordinator_schedule_t *schedule,
                                 coordinator_call_kind_t kind);
/* Requires or withdraws the call: another part knows whether it is due. */
void coordinator_schedule_set_due(coordinator_schedule_t *schedule, coordinator_call_kind_t kind,
                                  bool due);
/* Makes the lists of groups and types due, and again every half a lease: a standby learns of
 * changes by reading. It learns of lanes with each renewal. */
void coordinator_schedule_start_refreshing(coordinator_schedule_t *schedule, uint64_t now_ms);
/* The next renewal, or the next reading of the term, is to begin within so many milliseconds. */
void coordinator_schedule_renew_within(coordinator_schedule_t *schedule, uint32_t delay_ms,
                                       uint64_t now_ms);
void coordinator_schedule_read_within(coordinator_schedule_t *schedule, uint32_t delay_ms,
                                      uint64_t now_ms);
/* After one more refresh there is no other: the holder of the term makes all changes itself. */
void coordinator_schedule_stop_refreshing(coordinator_schedule_t *schedule);

/* Makes due what the clock makes due. false: no call may be made now, since one is in flight or has
 * failed a moment ago. */
bool coordinator_schedule_open(coordinator_schedule_t *schedule, uint64_t now_ms);
/* The kind of the most urgent call that is due. false: none is. */
bool coordinator_schedule_first(const coordinator_schedule_t *schedule, uint64_t now_ms,
                                coordinator_call_kind_t *kind);
/* Whether calls that are not kept here go before READ_TERM now: the term was read since the last
 * one of them. */
bool coordinator_schedule_has_read(const coordinator_schedule_t *schedule);
/* The call is in flight from now on. Sets its `started_ms`. */
void coordinator_schedule_begin(coordinator_schedule_t *schedule, coordinator_call_t *call,
                                uint64_t now_ms);
/* The call in flight has ended: returns it. It is valid until the next one begins. */
const coordinator_call_t *coordinator_schedule_end(coordinator_schedule_t *schedule,
                                                   fabric_error_t error, uint64_t now_ms);
/* When the next call is to be fetched at the latest, if other parts have one from `other_ms` on. */
uint64_t coordinator_schedule_next_deadline(const coordinator_schedule_t *schedule,
                                            uint64_t other_ms, uint64_t now_ms);

#endif
