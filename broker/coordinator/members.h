/* The brokers that are members of the cluster, and which of them are dead.
 *
 * A broker is dead when its counter has not changed for a lease. Silence is measured with our own
 * monotonic clock. Only time between two successful readings at most a third of a lease, and never
 * more than 1 s, apart counts as silence. After a longer gap (a database outage, a pause of this
 * process) and at a new term every broker gets a full lease again.
 */
#ifndef BROKER_COORDINATOR_MEMBERS_H
#define BROKER_COORDINATOR_MEMBERS_H

#include "core/store.h"

typedef struct coordinator_members coordinator_members_t;

coordinator_members_t *coordinator_members_new(incarnation_t self, uint32_t lease_ms);
void coordinator_members_destroy(coordinator_members_t **members);

/* Takes a list that was read between `started_ms` and `now_ms`. */
void coordinator_members_take(coordinator_members_t *members, const store_broker_t *brokers,
                              size_t count, uint64_t started_ms, uint64_t now_ms);
/* Every member gets a full lease, counted from the next reading. */
void coordinator_members_begin_term(coordinator_members_t *members);
/* The holder of a term that is to be taken counts as dead, whatever its counter does. None: no
 * broker does. */
void coordinator_members_depose(coordinator_members_t *members, incarnation_t holder);

size_t coordinator_members_count(const coordinator_members_t *members);
const store_broker_t *coordinator_members_at(const coordinator_members_t *members, size_t index);
bool coordinator_members_has(const coordinator_members_t *members, incarnation_t broker);
/* Whether the broker is a member and not dead. */
bool coordinator_members_lives(const coordinator_members_t *members, incarnation_t broker);
bool coordinator_members_has_dead(const coordinator_members_t *members);
/* The members that live. The array is valid until the next call of this function. */
const incarnation_t *coordinator_members_living(coordinator_members_t *members, size_t *count);

#endif
