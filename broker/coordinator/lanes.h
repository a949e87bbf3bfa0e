/* The lanes as the store has them: who holds each of them, which of this broker's the router has
 * adopted or found damaged, and which of them are to be given another holder.
 *
 * A lane is vacant when its holder is no member in a list that was read after the lane's row. A
 * list that was read before may lack a holder that has just joined.
 *
 * Lanes are placed over the brokers that live and do not drain, evenly and with the fewest moves
 * (core/placement.h). A vacant lane is assigned at once. A lane whose holder lives moves only when
 * its holder has given it up: the shard map names the broker that is to hold it `next`. Each broker
 * gives up one lane at a time. A broker that drains begins at once; to even out the lanes, brokers
 * begin when the members have been the same for a while.
 */
#ifndef BROKER_COORDINATOR_LANES_H
#define BROKER_COORDINATOR_LANES_H

#include "broker/coordinator/calls.h"
#include "broker/coordinator/effects.h"
#include "broker/coordinator/members.h"

typedef struct coordinator_lanes coordinator_lanes_t;

/* `effects` must outlive the lanes. */
coordinator_lanes_t *coordinator_lanes_new(incarnation_t self, uint32_t count,
                                           coordinator_effects_t *effects);
void coordinator_lanes_destroy(coordinator_lanes_t **lanes);

/* ---- what the store says ---- */

/* Takes a list of all lanes that was read between `started_ms` and `now_ms`. Emits LANES if it is
 * the first one, or if this broker holds other lanes, or other epochs of them, than before. Returns
 * whether any holder has changed. */
bool coordinator_lanes_take(coordinator_lanes_t *lanes, const store_lane_t *list, size_t count,
                            uint64_t started_ms, uint64_t now_ms);
/* Whether all lanes have been read. What was read before the term does not count for its holder. */
bool coordinator_lanes_are_read(const coordinator_lanes_t *lanes);
void coordinator_lanes_begin_term(coordinator_lanes_t *lanes);

uint32_t coordinator_lanes_count(const coordinator_lanes_t *lanes);
const store_hold_t *coordinator_lanes_at(const coordinator_lanes_t *lanes, uint32_t number);
/* The row of a shard's lane. Nobody holds the lane until it has been read. */
const store_hold_t *coordinator_lanes_of(const coordinator_lanes_t *lanes, shard_id_t shard);
/* Whether this broker holds the lane. */
bool coordinator_lanes_are_ours(const coordinator_lanes_t *lanes, const store_hold_t *hold);

/* ---- adoption ---- */

/* ROUTER_LANE_ADOPTED, or ROUTER_LANE_DAMAGED: a lane that an operator has to repair delays the
 * readiness of no other. */
void coordinator_lanes_tried(coordinator_lanes_t *lanes, uint32_t lane, uint64_t epoch);
/* Whether the router has adopted, or found damaged, each lane that this broker holds. */
bool coordinator_lanes_all_tried(const coordinator_lanes_t *lanes);

/* ---- giving lanes away: the holder of the term only ---- */

/* Looks for the holders of all lanes in a list of members that was just read. */
void coordinator_lanes_judge(coordinator_lanes_t *lanes, const coordinator_members_t *members);
/* The broker is no member any more: what it held is vacant. */
void coordinator_lanes_bereave(coordinator_lanes_t *lanes, incarnation_t broker);
/* Places all lanes. Returns whether any lane has another `next` than before. */
bool coordinator_lanes_place(coordinator_lanes_t *lanes, const coordinator_members_t *members,
                             uint64_t now_ms);
/* The broker that is to hold a vacant lane. */
incarnation_t coordinator_lanes_heir(const coordinator_lanes_t *lanes, uint32_t lane);
/* The broker for which the lane's holder, which lives, is to give the lane up; none: the lane
 * stays. */
incarnation_t coordinator_lanes_next(const coordinator_lanes_t *lanes, uint32_t lane);
/* Whether the lanes are to be read again, as a holder is about to give one up. */
bool coordinator_lanes_are_to_be_read(const coordinator_lanes_t *lanes, uint64_t now_ms);
/* Whether each lane has a holder that lives. */
bool coordinator_lanes_all_held(const coordinator_lanes_t *lanes,
                                const coordinator_members_t *members);
/* The next vacant lane that has an heir. NULL: there is none, or each of them was busy a moment
 * ago. */
const store_hold_t *coordinator_lanes_next_vacant(const coordinator_lanes_t *lanes,
                                                  uint64_t now_ms);
/* ASSIGN_LANE was answered. After OK see coordinator_lanes_take. After STORE_BUSY the lane is tried
 * again a moment later, and after STORE_REJECTED when members and lanes were read anew. */
bool coordinator_lanes_assigned(coordinator_lanes_t *lanes, const coordinator_call_t *call,
                                fabric_error_t error, uint64_t now_ms);
/* When a lane that was busy is to be tried again, or lanes are to be read; or UINT64_MAX. */
uint64_t coordinator_lanes_next_deadline(const coordinator_lanes_t *lanes);

#endif
