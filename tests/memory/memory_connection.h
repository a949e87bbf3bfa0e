/* Connections of the in-memory store, and how each call of the port begins and ends. Internal to
 * the memory store. */
#ifndef TESTS_MEMORY_MEMORY_CONNECTION_H
#define TESTS_MEMORY_MEMORY_CONNECTION_H

#include "tests/memory/memory_database.h"

typedef struct memory_store {
    store_t base;
    memory_database_t *database;
    bool exclusive;
    bool dead;
    memory_store_operation_t operation; /* of the call under way */
    uint32_t lane;                      /* that the call is about, or MEMORY_NO_LANE */
    bool struck;                        /* by a fault that strikes as the call ends */
    memory_store_fault_t fault;         /* that one */
} memory_store_t;

static inline memory_store_t *memory_store_of(store_t *store)
{
    return (memory_store_t *)store;
}

/* Guards all databases. */
void memory_lock(void);
void memory_unlock(void);

/* Begins a call: locks, and answers at once, unlocked, where the connection is dead or a fault
 * strikes. */
fabric_error_t memory_enter(memory_store_t *store, memory_store_operation_t operation,
                            uint32_t lane);
/* The same for the coordinator of this very term: FENCED. */
fabric_error_t memory_enter_as(memory_store_t *store, memory_store_operation_t operation,
                               uint32_t lane, uint64_t term, incarnation_t holder);
/* Ends a call that memory_enter() let in: commits its changes, or takes them back where `error`
 * is one, and unlocks. Returns what the call answers. */
fabric_error_t memory_leave(memory_store_t *store, fabric_error_t error);
/* Counts an opening for the faults, with the lock held. */
fabric_error_t memory_strike_open(memory_store_t *store);

/* The port's functions (core/store.h) of the other files. */
fabric_error_t memory_broker_join(store_t *base, const store_broker_t *broker, store_join_t *join);
fabric_error_t memory_broker_renew(store_t *base, incarnation_t incarnation, uint64_t id_mark);
fabric_error_t memory_broker_leave(store_t *base, incarnation_t incarnation);
fabric_error_t memory_broker_list(store_t *base, store_visit_broker_fn *visit, void *context);
fabric_error_t memory_broker_remove(store_t *base, uint64_t term, incarnation_t holder,
                                    incarnation_t broker);
fabric_error_t memory_coordinator_read(store_t *base, store_coordinator_t *coordinator);
fabric_error_t memory_coordinator_take(store_t *base, const store_coordinator_t *before,
                                       incarnation_t holder, uint64_t *term);
fabric_error_t memory_group_put(store_t *base, uint64_t term, incarnation_t holder,
                                fabric_bytes_t name, uint16_t *number);
fabric_error_t memory_type_put(store_t *base, uint64_t term, incarnation_t holder,
                               const store_type_t *type);
fabric_error_t memory_runner_put(store_t *base, uint64_t term, incarnation_t holder,
                                 const store_runner_t *runner);
fabric_error_t memory_runner_remove(store_t *base, uint64_t term, incarnation_t holder,
                                    incarnation_t runner);
fabric_error_t memory_group_list(store_t *base, store_visit_group_fn *visit, void *context);
fabric_error_t memory_type_list(store_t *base, store_visit_type_fn *visit, void *context);
fabric_error_t memory_first_registration(store_t *base, store_registration_t *registration);
fabric_error_t memory_runner_list(store_t *base, store_visit_runner_fn *visit, void *context);

fabric_error_t memory_lane_list(store_t *base, store_visit_lane_fn *visit, void *context);
fabric_error_t memory_lane_assign(store_t *base, uint64_t term, incarnation_t coordinator,
                                  const store_hold_t *before, incarnation_t holder);
fabric_error_t memory_lane_give_up(store_t *base, const store_hold_t *hold);
fabric_error_t memory_append(store_t *store, const store_entry_t *entries, size_t count);
fabric_error_t memory_append_after(store_t *store, const store_anchor_t *anchor,
                                   const store_entry_t *entries, size_t count);
fabric_error_t memory_lane_take(store_t *base, const store_hold_t *hold,
                                const store_entry_t *entry);
fabric_error_t memory_journal_replace(store_t *base, const store_hold_t *hold,
                                      const store_entry_t *entry);
fabric_error_t memory_read_journal(store_t *base, uint32_t lane, uint64_t from,
                                   store_entry_part_t part, uint32_t entries_max,
                                   uint64_t bytes_max, store_visit_entry_fn *visit, void *context);
fabric_error_t memory_read_journal_back(store_t *base, uint32_t lane, uint64_t upto,
                                        store_entry_part_t part, uint32_t entries_max,
                                        uint64_t bytes_max, store_visit_entry_fn *visit,
                                        void *context);
fabric_error_t memory_purge(store_t *base, const store_hold_t *hold, const store_purge_t *purge,
                            store_purged_t *purged);

fabric_error_t memory_checkpoint(store_t *base, const store_hold_t *hold,
                                 const store_slice_t *slice);
fabric_error_t memory_load_rows(store_t *base, uint32_t lane, const store_range_t *ranges,
                                size_t count, uint64_t bytes_max, store_visit_pending_fn *visit,
                                void *context, size_t *done);
fabric_error_t memory_list_backlogs(store_t *base, uint32_t lane, store_visit_backlog_fn *visit,
                                    void *context);
fabric_error_t memory_list_kept(store_t *base, uint32_t lane, store_visit_kept_fn *visit,
                                void *context);
fabric_error_t memory_find_rows(store_t *base, uint32_t lane, const store_row_key_t *keys,
                                size_t count, bool *found);
fabric_error_t memory_load_scheduled(store_t *base, uint32_t lane, store_due_key_t after,
                                     uint32_t limit, uint64_t bytes_max,
                                     store_visit_pending_fn *visit, void *context, bool *ended);
fabric_error_t memory_count_scheduled(store_t *base, uint32_t lane, uint64_t *count);
fabric_error_t memory_find_places(store_t *base, uint32_t lane, const request_id_t *ids,
                                  size_t count, store_visit_place_fn *visit, void *context);
fabric_error_t memory_count_scheduled_type(store_t *base, uint32_t lane, fabric_bytes_t type,
                                           uint64_t *count);
fabric_error_t memory_find_scheduled(store_t *base, uint32_t lane, const store_due_key_t *keys,
                                     size_t count, bool *found);
fabric_error_t memory_find_keys(store_t *base, uint32_t lane, const store_key_name_t *names,
                                size_t count, store_visit_key_fn *visit, void *context);
fabric_error_t memory_list_keys(store_t *base, uint32_t lane, const store_key_name_t *after,
                                uint32_t limit, store_visit_name_fn *visit, void *context,
                                bool *ended);

fabric_error_t memory_load_states(store_t *base, uint32_t lane, const store_entity_name_t *names,
                                  size_t count, uint64_t bytes_max, store_visit_state_fn *visit,
                                  void *context, size_t *done);
fabric_error_t memory_load_events(store_t *base, uint32_t lane, const store_history_t *histories,
                                  size_t count, uint64_t bytes_max, store_visit_event_fn *visit,
                                  void *context, size_t *done);
fabric_error_t memory_load_outgoing(store_t *base, uint32_t lane, uint32_t target_lane,
                                    store_outgoing_key_t after, uint32_t limit, uint64_t bytes_max,
                                    store_visit_outgoing_fn *visit, void *context, bool *ended);
fabric_error_t memory_list_outboxes(store_t *base, uint32_t lane, store_visit_outbox_fn *visit,
                                    void *context);
fabric_error_t memory_oldest_outgoing(store_t *base, uint64_t *id);
/* The part of a purge that is about keys. */
void memory_purge_keys(memory_database_t *database, uint32_t lane, const store_purge_t *purge,
                       store_purged_t *purged);
/* Deletes one key of the cleared entity; false: there is none. */
bool memory_key_clear(memory_database_t *database, uint32_t lane, const store_clear_t *clear);
/* Whether the lane's row is the hold's. */
bool memory_holds(memory_database_t *database, const store_hold_t *hold);

#endif
