/* The functions behind the adapter's table, one group for each file; core/store.h says what each
 * does. */
#ifndef MYSQL_MYSQL_OPERATIONS_H
#define MYSQL_MYSQL_OPERATIONS_H

#include "core/store.h"

/* mysql_connection.c */
fabric_error_t mysql_store_open(const store_options_t *options, reason_t *reason, store_t **store);
void mysql_store_close(store_t **store);

/* mysql_schema.c */
fabric_error_t mysql_schema_status(store_t *store, reason_t *reason, uint32_t *version);
fabric_error_t mysql_schema_apply(store_t *store, const store_cluster_t *wanted, reason_t *reason);
fabric_error_t mysql_schema_check(store_t *store, const char *name, uint32_t shards_per_group,
                                  reason_t *reason, store_cluster_t *cluster);
fabric_error_t mysql_schema_facts(store_t *store, store_facts_t *facts);

/* mysql_membership.c */
fabric_error_t mysql_broker_join(store_t *store, const store_broker_t *broker, uint32_t lanes,
                                 store_join_t *join);
fabric_error_t mysql_broker_renew(store_t *store, incarnation_t incarnation);
fabric_error_t mysql_broker_leave(store_t *store, incarnation_t incarnation);
fabric_error_t mysql_broker_list(store_t *store, store_visit_broker_fn *visit, void *context);
fabric_error_t mysql_high_id(store_t *store, uint64_t *high_id);

/* mysql_coordinator.c */
fabric_error_t mysql_coordinator_read(store_t *store, store_coordinator_t *coordinator);
fabric_error_t mysql_coordinator_take(store_t *store, const store_coordinator_t *before,
                                      incarnation_t holder, uint64_t *term);
fabric_error_t mysql_take_homes(store_t *store, uint64_t term, incarnation_t holder,
                                const incarnation_t *living, size_t living_count);

/* mysql_registry.c */
fabric_error_t mysql_group_put(store_t *store, uint64_t term, incarnation_t holder,
                               fabric_bytes_t name, uint16_t *number);
fabric_error_t mysql_type_put(store_t *store, uint64_t term, incarnation_t holder,
                              const store_type_t *type);
fabric_error_t mysql_runner_put(store_t *store, uint64_t term, incarnation_t holder,
                                const store_runner_t *runner);
fabric_error_t mysql_runner_remove(store_t *store, uint64_t term, incarnation_t holder,
                                   incarnation_t runner);
fabric_error_t mysql_group_list(store_t *store, store_visit_group_fn *visit, void *context);
fabric_error_t mysql_type_list(store_t *store, store_visit_type_fn *visit, void *context);
fabric_error_t mysql_runner_list(store_t *store, store_visit_runner_fn *visit, void *context);
fabric_error_t mysql_shard_list(store_t *store, store_visit_shard_fn *visit, void *context);

/* mysql_commit.c */
fabric_error_t mysql_batch_commit(store_t *store, const store_writer_t *writer,
                                  const store_batch_t *batch, store_rejection_t *rejection);
fabric_error_t mysql_batch_settle(store_t *store, const store_writer_t *writer, uint64_t *batch);

/* mysql_load.c */
fabric_error_t mysql_load_pending(store_t *store, request_id_t from, store_visit_message_fn *visit,
                                  void *context);
fabric_error_t mysql_find_calls(store_t *store, request_id_t floor, request_id_t *last,
                                uint32_t rows_max, const call_key_t *calls, size_t call_count,
                                store_visit_message_fn *visit, void *context);
fabric_error_t mysql_find_keys(store_t *store, const uint8_t *hashes, size_t hash_count,
                               store_visit_message_fn *visit, void *context);
fabric_error_t mysql_find_replies(store_t *store, const request_id_t *ids, size_t id_count,
                                  store_visit_message_fn *visit, void *context);

#endif
