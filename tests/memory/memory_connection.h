/* Connections of the in-memory store, and how each call of the port begins and ends. Internal to the memory store. */
#ifndef TESTS_MEMORY_MEMORY_CONNECTION_H
#define TESTS_MEMORY_MEMORY_CONNECTION_H

#include "tests/memory/memory_database.h"

typedef struct memory_store {
    store_t base;
    memory_database_t *database;
    bool exclusive;
    bool dead;
    bool answer_lost; /* of the call under way: MEMORY_STORE_UNKNOWN_AFTER */
} memory_store_t;

static inline memory_store_t *memory_store_of(store_t *store)
{
    return (memory_store_t *)store;
}

/* Begins a call: takes the mutex, and answers at once, without it, where the connection is dead or a fault strikes.
 * `rejection` may be NULL but for commits. */
fabric_error_t memory_enter(memory_store_t *store, memory_store_operation_t operation,
                            store_rejection_t *rejection);
/* Ends a call that memory_enter() let in: gives the mutex back. Returns what the call answers. */
fabric_error_t memory_leave(memory_store_t *store, fabric_error_t error);

/* The port's functions (core/store.h) of the other files. */
fabric_error_t memory_broker_join(store_t *base, const store_broker_t *broker, uint32_t lanes,
                                  store_join_t *join);
fabric_error_t memory_broker_renew(store_t *base, incarnation_t incarnation);
fabric_error_t memory_broker_leave(store_t *base, incarnation_t incarnation);
fabric_error_t memory_broker_list(store_t *base, store_visit_broker_fn *visit, void *context);
fabric_error_t memory_coordinator_read(store_t *base, store_coordinator_t *coordinator);
fabric_error_t memory_coordinator_take(store_t *base, const store_coordinator_t *before,
                                       incarnation_t holder, uint64_t *term);
fabric_error_t memory_take_homes(store_t *base, uint64_t term, incarnation_t holder,
                                 const incarnation_t *living, size_t living_count);
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
fabric_error_t memory_runner_list(store_t *base, store_visit_runner_fn *visit, void *context);
fabric_error_t memory_high_id(store_t *base, uint64_t *high_id);
fabric_error_t memory_shard_list(store_t *base, store_visit_shard_fn *visit, void *context);
fabric_error_t memory_store_commit(store_t *base, const store_writer_t *writer,
                                   const store_batch_t *batch, store_rejection_t *rejection);
fabric_error_t memory_settle(store_t *base, const store_writer_t *writer, uint64_t *batch);
fabric_error_t memory_load_pending(store_t *base, request_id_t from, store_visit_message_fn *visit,
                                   void *context);
fabric_error_t memory_find_calls(store_t *base, request_id_t floor, request_id_t *last,
                                 uint32_t rows_max, const call_key_t *calls, size_t call_count,
                                 store_visit_message_fn *visit, void *context);
fabric_error_t memory_find_keys(store_t *base, const uint8_t *hashes, size_t hash_count,
                                store_visit_message_fn *visit, void *context);
fabric_error_t memory_find_replies(store_t *base, const request_id_t *ids, size_t id_count,
                                   store_visit_message_fn *visit, void *context);

#endif
