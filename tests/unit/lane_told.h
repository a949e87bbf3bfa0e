/* Part of the lane model: what handlers have told others, what has become of it, and its rows. */
#ifndef TESTS_UNIT_LANE_TOLD_H
#define TESTS_UNIT_LANE_TOLD_H

#include "broker/router/router.h"

typedef struct lane_told {
    struct lane_told *next; /* in the order of the entries */
    outgoing_copy_t *copy;
    uint32_t lane;
    uint64_t told, ended; /* entries; 0: it is open */
    store_sent_t end;
    bool has_row;
    message_t *dead; /* a copy of its dead letter; NULL: none */
    bool has_dead_row;
    uint64_t accepted; /* by its target's home, under this id: for the user of the model; 0: not */
} lane_told_t;

void lane_told_clear(lane_told_t **list);
/* What the lane's batch, as this entry, says. */
void lane_told_append(lane_told_t **list, uint32_t lanes, uint32_t lane, uint64_t number,
                      const lane_batch_t *batch);
/* Commits a slice. */
void lane_told_commit(lane_told_t *list, uint32_t lane, const store_slice_t *slice);
/* A new home would find what is open, and nothing else. */
void lane_told_check(const lane_told_t *list, uint32_t lane, uint64_t checkpoint);
void lane_told_adopt(const lane_told_t *list, adoption_t *adoption);
/* The rows that store_driver.load_outgoing visits; the caller frees the array. */
outgoing_copy_t **lane_told_load(const lane_told_t *list, uint32_t lane,
                                 const router_outgoing_load_t *load, size_t *count, bool *ended);
/* The row of a dead letter that was told. */
void lane_told_put_dead(lane_told_t *list, const store_dead_row_t *row);
lane_told_t *lane_told_find(lane_told_t *list, uint64_t source, uint32_t index);
uint64_t lane_told_rows(const lane_told_t *list);

#endif
