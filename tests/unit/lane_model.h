/* A model of the lanes in a store: entries, rows and dead letters, kept message by message, with
 * the truth beside the rows. It checks each entry and each slice, and whether a new home could lose
 * or revive a message at any moment.
 *
 * A failed expectation fails the cmocka test.
 */
#ifndef TESTS_UNIT_LANE_MODEL_H
#define TESTS_UNIT_LANE_MODEL_H

#include "broker/router/router.h"
#include "tests/unit/lane_kept.h"
#include "tests/unit/lane_told.h"

/* A message that was accepted, and its row. */
typedef struct lane_message {
    message_t *message;          /* a copy of it */
    uint64_t begun, ended;       /* the entries with its acceptance and its end; 0: it stands */
    uint64_t counted;            /* the last entry with its counts; 0: none */
    journal_attempts_t attempts; /* what is durable of them */
    bool dead;
    uint64_t moved; /* the entry with its new position; 0: none. Until then, scheduled */
    bool has_due_row;
    bool has_row, has_dead_row;
    uint64_t row_number;
    journal_attempts_t row_attempts;
    bool has_key_row; /* of its primary key; so are the next two */
    bool key_row_ended;
    uint64_t key_row_number;
    uint64_t freed; /* the entry whose CLEAR has freed its key; 0: none */
    bool cleared;   /* it has ended by a CLEAR */
    bool answered;  /* for the user of the model */
    UT_hash_handle by_id;
} lane_message_t;

/* An entity that was cleared. */
typedef struct lane_clear {
    uint32_t lane;
    uint64_t entry;
    request_id_t id;
    shard_id_t shard;
    char type[32], entity[32];
} lane_clear_t;

typedef struct lane_rows {
    uint64_t epoch;
    uint64_t number;     /* of the last entry */
    uint64_t checkpoint; /* the rows are complete as of this entry */
    uint64_t begun;
    uint64_t last_id;
    uint64_t entry_bytes; /* what each entry is said to have */
} lane_rows_t;

typedef struct lane_model {
    uint32_t lanes;
    uint32_t slice_rows_max;
    lane_rows_t rows[LIMIT_LANES_MAX];
    lane_kept_t *kept;
    lane_told_t *told;
    lane_message_t *messages; /* by id, in the order of acceptance */
    lane_clear_t *clears;
    size_t clear_count;
    uint64_t slices, puts, deletes, amendments, dead, loads, moves, scheduled; /* so far */
} lane_model_t;

void lane_model_init(lane_model_t *model, uint32_t lanes, uint32_t slice_rows_max);
void lane_model_clear(lane_model_t *model);

lane_message_t *lane_model_find(const lane_model_t *model, uint64_t id);
lane_message_t *lane_model_find_call(const lane_model_t *model, call_key_t call);
/* The message whose row the primary key has, or else the one that has the key. NULL: it is free. */
lane_message_t *lane_model_find_key(const lane_model_t *model, const uint8_t *hash);
/* What the row of the message's key says. false: there is none. */
bool lane_model_key_row(const lane_message_t *at, store_key_t *row);
/* What a look-up of the key finds in its row. false: there is none. */
bool lane_model_read_key(const lane_model_t *model, const store_key_name_t *name, store_key_t *row);
/* How many messages stand. */
uint64_t lane_model_standing(const lane_model_t *model);
uint64_t lane_model_row_count(const lane_model_t *model);

/* Appends the batch as the lane's next entry, and returns its number. A message's end has to be
 * that of the oldest message of its entity that stands. */
uint64_t lane_model_append(lane_model_t *model, uint32_t lane, const lane_batch_t *batch);
/* A checksum of the slice and of all that it points to. */
uint64_t lane_model_digest(const store_slice_t *slice);
/* Commits the slice. It may be committed again. */
void lane_model_commit(lane_model_t *model, uint32_t lane, const store_slice_t *slice);
/* A new home would find each message that stands, with its counts, and no other one. */
void lane_model_check(const lane_model_t *model, uint32_t lane);
/* Makes what a new holder under `epoch` finds. */
void lane_model_adopt(lane_model_t *model, const store_hold_t *hold, adoption_t *adoption);
/* Rows as store_driver.load_rows visits them, chained; stops after `rows_max` rows. */
message_t *lane_model_load(lane_model_t *model, uint32_t lane, const store_range_t *ranges,
                           size_t count, size_t rows_max, size_t *done);

/* The same of store_driver.load_scheduled. */
message_t *lane_model_load_scheduled(lane_model_t *model, uint32_t lane, store_due_key_t after,
                                     size_t rows_max, bool *ended);

/* The same of loader_search. */
message_t *lane_model_search(lane_model_t *model, uint32_t lane, const wanted_row_t *wanted,
                             size_t count);
/* ---- clears, for lane_model.c ---- */

/* An entry has this CLEAR. */
void lane_model_clear_entity(lane_model_t *model, uint32_t lane, const batch_clear_t *clear);
/* The rows that the slice clears. */
void lane_model_clear_rows(lane_model_t *model, const store_slice_t *slice);
/* Clears above the checkpoint. */
void lane_model_adopt_clears(const lane_model_t *model, uint32_t lane, adoption_t *adoption);

#endif
