/* Steps of membership that several operations share; each runs inside its caller's transaction. */
#ifndef MYSQL_MYSQL_MEMBERSHIP_H
#define MYSQL_MYSQL_MEMBERSHIP_H

#include "mysql/mysql_connection.h"

/* Locks the row that serialises all changes of membership. `shards_per_group` may be NULL. */
FABRIC_MUST_USE fabric_error_t mysql_membership_lock(mysql_session_t *session,
                                                     uint32_t *shards_per_group);
/* Fences the writers of an incarnation and removes its broker row. Waits for a commit of its that
 * is under way; STORE_BUSY when that takes too long. */
FABRIC_MUST_USE fabric_error_t mysql_broker_forget(mysql_session_t *session,
                                                   incarnation_t incarnation);
/* What each transaction of the coordinator begins with (mysql_coordinator.c): FENCED unless the
 * lease row holds this term and holder. */
FABRIC_MUST_USE fabric_error_t mysql_coordinator_prove(mysql_session_t *session, uint64_t term,
                                                       const incarnation_t *holder);

#endif
