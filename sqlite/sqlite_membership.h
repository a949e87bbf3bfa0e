/* Brokers, writer rows and the coordinator's lease in SQLite. The functions are the store port's
 * (core/store.h). */
#ifndef SQLITE_SQLITE_MEMBERSHIP_H
#define SQLITE_SQLITE_MEMBERSHIP_H

#include "core/store.h"

fabric_error_t sqlite_broker_join(store_t *store, const store_broker_t *broker, uint32_t lanes,
                                  store_join_t *join);
fabric_error_t sqlite_broker_renew(store_t *store, incarnation_t incarnation);
fabric_error_t sqlite_broker_leave(store_t *store, incarnation_t incarnation);
fabric_error_t sqlite_broker_list(store_t *store, store_visit_broker_fn *visit, void *context);

fabric_error_t sqlite_coordinator_read(store_t *store, store_coordinator_t *coordinator);
fabric_error_t sqlite_coordinator_take(store_t *store, const store_coordinator_t *before,
                                       incarnation_t holder, uint64_t *term);
fabric_error_t sqlite_high_id(store_t *store, uint64_t *high_id);

#endif
