/* The operations of the store port for every SQL database: core/store.h says what each does. An
 * adapter's driver names its own scheme, open, close, facts, table_list and slice_rows_max, and
 * takes the rest from SQL_OPERATIONS.
 *
 * Threading: as core/store.h says.
 */
#ifndef CORE_SQL_SQL_OPERATIONS_H
#define CORE_SQL_SQL_OPERATIONS_H

#include "core/store.h"

/* sql_schema.c */
fabric_error_t sql_schema_status(store_t *store, reason_t *reason, uint32_t *version);
fabric_error_t sql_schema_apply(store_t *store, const store_cluster_t *wanted, reason_t *reason);
fabric_error_t sql_check(store_t *store, const store_cluster_t *wanted, reason_t *reason,
                         store_cluster_t *cluster);

/* sql_membership.c */
fabric_error_t sql_broker_join(store_t *store, const store_broker_t *broker, store_join_t *join);
fabric_error_t sql_broker_renew(store_t *store, incarnation_t incarnation, uint64_t id_mark);
fabric_error_t sql_broker_leave(store_t *store, incarnation_t incarnation);
fabric_error_t sql_broker_list(store_t *store, store_visit_broker_fn *visit, void *context);
fabric_error_t sql_broker_remove(store_t *store, uint64_t term, incarnation_t holder,
                                 incarnation_t broker);

/* sql_coordinator.c */
fabric_error_t sql_coordinator_read(store_t *store, store_coordinator_t *coordinator);
fabric_error_t sql_coordinator_take(store_t *store, const store_coordinator_t *before,
                                    incarnation_t holder, uint64_t *term);
fabric_error_t sql_group_put(store_t *store, uint64_t term, incarnation_t holder,
                             fabric_bytes_t name, uint16_t *number);
fabric_error_t sql_type_put(store_t *store, uint64_t term, incarnation_t holder,
                            const store_type_t *type);
fabric_error_t sql_runner_put(store_t *store, uint64_t term, incarnation_t holder,
                              const store_runner_t *runner);
fabric_error_t sql_runner_remove(store_t *store, uint64_t term, incarnation_t holder,
                                 incarnation_t runner);
fabric_error_t sql_group_list(store_t *store, store_visit_group_fn *visit, void *context);
fabric_error_t sql_type_list(store_t *store, store_visit_type_fn *visit, void *context);
fabric_error_t sql_runner_list(store_t *store, store_visit_runner_fn *visit, void *context);
fabric_error_t sql_first_registration(store_t *store, store_registration_t *registration);

/* sql_lane.c */
fabric_error_t sql_lane_list(store_t *store, store_visit_lane_fn *visit, void *context);
fabric_error_t sql_lane_assign(store_t *store, uint64_t term, incarnation_t coordinator,
                               const store_hold_t *before, incarnation_t holder);
fabric_error_t sql_lane_give_up(store_t *store, const store_hold_t *hold);

/* sql_journal.c */
fabric_error_t sql_append(store_t *store, const store_entry_t *entries, size_t count);
fabric_error_t sql_append_after(store_t *store, const store_anchor_t *anchor,
                                const store_entry_t *entries, size_t count);
fabric_error_t sql_lane_take(store_t *store, const store_hold_t *hold, const store_entry_t *entry);
fabric_error_t sql_journal_replace(store_t *store, const store_hold_t *hold,
                                   const store_entry_t *entry);
fabric_error_t sql_read_journal(store_t *store, uint32_t lane, uint64_t from,
                                store_entry_part_t part, uint32_t entries_max, uint64_t bytes_max,
                                store_visit_entry_fn *visit, void *context);
fabric_error_t sql_read_journal_back(store_t *store, uint32_t lane, uint64_t upto,
                                     store_entry_part_t part, uint32_t entries_max,
                                     uint64_t bytes_max, store_visit_entry_fn *visit,
                                     void *context);
fabric_error_t sql_purge(store_t *store, const store_hold_t *hold, const store_purge_t *purge,
                         store_purged_t *purged);

/* sql_checkpoint.c */
fabric_error_t sql_checkpoint(store_t *store, const store_hold_t *hold, const store_slice_t *slice);
fabric_error_t sql_load_rows(store_t *store, uint32_t lane, const store_range_t *ranges,
                             size_t count, uint64_t bytes_max, store_visit_pending_fn *visit,
                             void *context, size_t *done);
fabric_error_t sql_list_backlogs(store_t *store, uint32_t lane, store_visit_backlog_fn *visit,
                                 void *context);
fabric_error_t sql_find_rows(store_t *store, uint32_t lane, const store_row_key_t *keys,
                             size_t count, bool *found);

/* sql_scheduled.c */
fabric_error_t sql_load_scheduled(store_t *store, uint32_t lane, store_due_key_t after,
                                  uint32_t limit, uint64_t bytes_max, store_visit_pending_fn *visit,
                                  void *context, bool *ended);
fabric_error_t sql_count_scheduled(store_t *store, uint32_t lane, uint64_t *count);
fabric_error_t sql_count_scheduled_type(store_t *store, uint32_t lane, fabric_bytes_t type,
                                        uint64_t *count);
fabric_error_t sql_find_scheduled(store_t *store, uint32_t lane, const store_due_key_t *keys,
                                  size_t count, bool *found);

/* sql_places.c */
fabric_error_t sql_find_places(store_t *store, uint32_t lane, const request_id_t *ids, size_t count,
                               store_visit_place_fn *visit, void *context);

/* sql_keys.c */
fabric_error_t sql_find_keys(store_t *store, uint32_t lane, const store_key_name_t *names,
                             size_t count, store_visit_key_fn *visit, void *context);
fabric_error_t sql_list_keys(store_t *store, uint32_t lane, const store_key_name_t *after,
                             uint32_t limit, store_visit_name_fn *visit, void *context,
                             bool *ended);

/* sql_states.c */
fabric_error_t sql_load_states(store_t *store, uint32_t lane, const store_entity_name_t *names,
                               size_t count, uint64_t bytes_max, store_visit_state_fn *visit,
                               void *context, size_t *done);

/* sql_events.c */
fabric_error_t sql_load_events(store_t *store, uint32_t lane, const store_history_t *histories,
                               size_t count, uint64_t bytes_max, store_visit_event_fn *visit,
                               void *context, size_t *done);

/* sql_outbox.c */
fabric_error_t sql_load_outgoing(store_t *store, uint32_t lane, uint32_t target_lane,
                                 store_outgoing_key_t after, uint32_t limit, uint64_t bytes_max,
                                 store_visit_outgoing_fn *visit, void *context, bool *ended);
fabric_error_t sql_list_outboxes(store_t *store, uint32_t lane, store_visit_outbox_fn *visit,
                                 void *context);
fabric_error_t sql_oldest_outgoing(store_t *store, uint64_t *id);

/* sql_kept.c */
fabric_error_t sql_list_kept(store_t *store, uint32_t lane, store_visit_kept_fn *visit,
                             void *context);

/* sql_direct.c */
fabric_error_t sql_owner_claim(store_t *store, const store_owner_t *owner);
fabric_error_t sql_direct_begin(store_t *store, request_id_t id, store_visit_direct_fn *visit,
                                void *context, bool *found);
void *sql_direct_connection(store_t *store);
fabric_error_t sql_direct_check(store_t *store, bool *stands);
fabric_error_t sql_direct_commit(store_t *store, const store_owner_t *owner, request_id_t id,
                                 fabric_bytes_t body);
void sql_direct_roll_back(store_t *store);

/* Of an engine with release and connection. */
#define SQL_DIRECT_OPERATIONS                                                                      \
    .owner_claim = sql_owner_claim, .direct_begin = sql_direct_begin,                              \
    .direct_connection = sql_direct_connection, .direct_check = sql_direct_check,                  \
    .direct_commit = sql_direct_commit, .direct_roll_back = sql_direct_roll_back

#define SQL_OPERATIONS                                                                             \
    .schema_status = sql_schema_status, .schema_apply = sql_schema_apply, .check = sql_check,      \
    .broker_join = sql_broker_join, .broker_renew = sql_broker_renew,                              \
    .broker_leave = sql_broker_leave, .broker_list = sql_broker_list,                              \
    .broker_remove = sql_broker_remove, .coordinator_read = sql_coordinator_read,                  \
    .coordinator_take = sql_coordinator_take, .group_put = sql_group_put,                          \
    .type_put = sql_type_put, .runner_put = sql_runner_put, .runner_remove = sql_runner_remove,    \
    .group_list = sql_group_list, .type_list = sql_type_list, .runner_list = sql_runner_list,      \
    .first_registration = sql_first_registration, .lane_list = sql_lane_list,                      \
    .lane_assign = sql_lane_assign, .lane_give_up = sql_lane_give_up, .append = sql_append,        \
    .append_after = sql_append_after, .lane_take = sql_lane_take,                                  \
    .journal_replace = sql_journal_replace, .read_journal = sql_read_journal,                      \
    .read_journal_back = sql_read_journal_back, .purge = sql_purge, .checkpoint = sql_checkpoint,  \
    .load_rows = sql_load_rows, .list_backlogs = sql_list_backlogs, .find_rows = sql_find_rows,    \
    .load_scheduled = sql_load_scheduled, .count_scheduled = sql_count_scheduled,                  \
    .count_scheduled_type = sql_count_scheduled_type, .find_scheduled = sql_find_scheduled,        \
    .find_places = sql_find_places, .find_keys = sql_find_keys, .list_keys = sql_list_keys,        \
    .load_states = sql_load_states, .load_events = sql_load_events,                                \
    .load_outgoing = sql_load_outgoing, .list_outboxes = sql_list_outboxes,                        \
    .oldest_outgoing = sql_oldest_outgoing, .list_kept = sql_list_kept

#endif
