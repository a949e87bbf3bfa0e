/* Part of the lane model: entities that are kept alive, what is durable of it, and its rows. */
#ifndef TESTS_UNIT_LANE_KEPT_H
#define TESTS_UNIT_LANE_KEPT_H

#include "broker/adoption.h"
#include "broker/lane_batch.h"
#include "core/store.h"

typedef struct lane_kept {
    store_kept_t *row; /* NULL: it has none */
    store_kept_t *truth;
    uint32_t lane;
    uint64_t changed; /* the last entry that speaks of it */
    struct lane_kept *next;
} lane_kept_t;

void lane_kept_clear(lane_kept_t **list);
/* What the lane's batch, as this entry, says. */
void lane_kept_append(lane_kept_t **list, uint32_t lane, uint64_t number,
                      const lane_batch_t *batch);
/* Commits a slice. */
void lane_kept_commit(lane_kept_t *list, uint32_t lane, const store_slice_t *slice);
/* A new home would find what stands. */
void lane_kept_check(const lane_kept_t *list, uint32_t lane, uint64_t checkpoint);
void lane_kept_adopt(const lane_kept_t *list, adoption_t *adoption);
/* What keeps the entity alive; 0: nothing. */
uint32_t lane_kept_causes(const lane_kept_t *list, const char *id);
/* The same of its row. */
uint32_t lane_kept_row(const lane_kept_t *list, const char *id);

#endif
