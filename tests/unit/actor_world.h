/* A world for store actors under test: virtual time, and a lane of the store in memory, into which
 * tests write what other brokers would.
 *
 * The cluster has WORLD_LANES lanes; the broker `world_self` holds all of them.
 */
#ifndef TESTS_UNIT_ACTOR_WORLD_H
#define TESTS_UNIT_ACTOR_WORLD_H

#include "broker/lane_batch.h"
#include "broker/store/connection.h"
#include "core/journal/entry.h"
#include "tests/memory/memory_store.h"

enum { WORLD_LANES = 3 };

#define WORLD_STORE_MS INT64_C(1800000000000) /* the database's time at the start */

extern const incarnation_t world_self, world_other;

typedef struct actor_world {
    store_world_t world; /* for the actor */
    connection_config_t connection;
    char database[64], url[80];
    store_t *store; /* the test's own connection */
    uint64_t now_ms;
    uint64_t slept_ms;
    uint32_t longest_ms; /* sleep */
    uint32_t step_ms;    /* at each look at the clock, */
    uint32_t step_after; /* except for so many */
    uint32_t looks;      /* at whether to stop */
    uint32_t looks_max;  /* stopping from then on */
    uint32_t went, came; /* how often the database was reported gone and back */
    char cause[200];     /* why it was reported gone last */
    uint64_t term;       /* of `world_self` */
} actor_world_t;

actor_world_t *world_new(const char *database);
void world_free(actor_world_t **world);

/* Assigns the lane; its next epoch is returned. */
store_hold_t world_assign(actor_world_t *world, uint32_t lane, incarnation_t holder);
store_hold_t world_hold(const actor_world_t *world, uint32_t lane);
/* Another call of the same kind meets the fault. */
void world_strike(actor_world_t *world, memory_store_operation_t operation,
                  memory_store_fault_kind_t kind, uint32_t after, uint32_t times);
/* The hold's broker takes the lane at the end of its journal. Its entry is returned. */
store_entry_t world_take(actor_world_t *world, const store_hold_t *hold);
/* Appends an entry with what the batch has at the end, as the hold's broker. Its head is
 * returned. */
store_entry_t world_append(actor_world_t *world, const store_hold_t *hold,
                           const lane_batch_t *batch);
/* The same with what the writer has. */
store_entry_t world_append_written(actor_world_t *world, const store_hold_t *hold,
                                   journal_writer_t *writer, uint64_t last_id);
/* The end of a lane's journal, without calls and body. */
store_entry_t world_end(actor_world_t *world, uint32_t lane);
size_t world_entry_count(const actor_world_t *world, uint32_t lane);

/* Messages 1..n of a lane, entity and call key by number, and their replies. */
typedef struct sample {
    store_message_t messages[64];
    const store_message_t *list[64];
    store_reply_t replies[64];
    batch_end_t ends[64];
    batch_attempt_t attempts[64];
} sample_t;

void sample_fill(sample_t *sample, uint32_t lane, uint64_t first_id);
/* A slice of a checkpoint of the lane's present end: it puts the rows of `puts` messages from
 * `first` on, and deletes those of `deletes` messages from `first_delete` on. */
void world_write_slice(actor_world_t *world, const store_hold_t *hold, const sample_t *sample,
                       size_t first, size_t puts, size_t first_delete, size_t deletes, bool last);
/* A checkpoint without rows, of this entry. */
void world_checkpoint(actor_world_t *world, const store_hold_t *hold, uint64_t number);
/* Views of some of them. */
lane_batch_t sample_messages(const sample_t *sample, size_t first, size_t count);
lane_batch_t sample_ends(const sample_t *sample, size_t first, size_t count);

#endif
