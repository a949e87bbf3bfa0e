/* The brokers that are members of the cluster, and which of them are dead.
 *
 * A broker is dead when its counter has not changed for a lease, or for a short while during which
 * its endpoint refused connections, which proves its death: a link that is cut or silent refuses
 * nothing. Silence is measured with our own monotonic clock. Only time between two successful
 * readings at most a third of a lease, and never more than 1 s, apart counts as silence. After a
 * longer gap (a database outage, a pause of this process) and at a new term every broker gets a
 * full lease again.
 *
 * A broker that drains says so itself, to every other broker.
 */
#ifndef BROKER_COORDINATOR_MEMBERS_H
#define BROKER_COORDINATOR_MEMBERS_H

#include "broker/coordinator/effects.h"
#include "core/store.h"

typedef struct coordinator_members coordinator_members_t;

coordinator_members_t *coordinator_members_new(incarnation_t self, uint32_t lease_ms);
void coordinator_members_destroy(coordinator_members_t **members);

/* Takes a list that was read between `started_ms` and `now_ms`. */
void coordinator_members_take(coordinator_members_t *members, const store_broker_t *brokers,
                              size_t count, uint64_t started_ms, uint64_t now_ms);
/* The member's row was removed, or was not (an error). */
void coordinator_members_removed(coordinator_members_t *members, incarnation_t broker,
                                 fabric_error_t error);
/* Every member gets a full lease, counted from the next reading; one whose death was proved stays
 * dead. */
void coordinator_members_begin_term(coordinator_members_t *members);
/* The holder of a term that is to be taken counts as dead, whatever its counter does. None: no
 * broker does. */
void coordinator_members_depose(coordinator_members_t *members, incarnation_t holder);

size_t coordinator_members_count(const coordinator_members_t *members);
const store_broker_t *coordinator_members_at(const coordinator_members_t *members, size_t index);
bool coordinator_members_has(const coordinator_members_t *members, incarnation_t broker);
/* Whether the broker is a member and not dead. */
bool coordinator_members_lives(const coordinator_members_t *members, incarnation_t broker);
/* The broker has said whether it is draining: a broker that drains is to hold no lanes. It may not
 * be a member yet. */
void coordinator_members_set_draining(coordinator_members_t *members, incarnation_t broker,
                                      bool draining);
bool coordinator_members_drains(const coordinator_members_t *members, incarnation_t broker);
/* Whether the broker may be given lanes: it lives and does not drain. */
bool coordinator_members_takes_lanes(const coordinator_members_t *members, incarnation_t broker);
/* Since when the brokers that are members have been the same ones, by the readings of this term. */
uint64_t coordinator_members_same_since_ms(const coordinator_members_t *members);
/* Whether a successful reading of this term began at this time or later. */
bool coordinator_members_read_since(const coordinator_members_t *members, uint64_t at_ms);
/* A member that is dead and is to be removed. NULL: there is none, or a removal has failed since
 * the last reading: the next one shows whether the member is still dead. */
const incarnation_t *coordinator_members_next_dead(const coordinator_members_t *members);

/* Adds an effect MEMBERS if other brokers are members than were told last. */
void coordinator_members_tell(coordinator_members_t *members, coordinator_effects_t *effects);

/* ---- members that are silent ---- */

/* The member whose endpoint is to be tried now, since it is silent. NULL: there is none. */
const store_broker_t *coordinator_members_next_probe(const coordinator_members_t *members,
                                                     uint64_t now_ms);
/* The endpoint of this member was tried. Returns whether the member is thereby dead. */
bool coordinator_members_probed(coordinator_members_t *members, incarnation_t broker, bool refused,
                                uint64_t now_ms);
/* How long the next reading may wait at most, since a member is silent; UINT32_MAX: none is. */
uint32_t coordinator_members_next_reading_ms(const coordinator_members_t *members);

#endif
