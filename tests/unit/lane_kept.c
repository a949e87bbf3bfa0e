/* The lane model's entities that are kept alive: see lane_kept.h. */
#include "tests/unit/lane_kept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/memory.h"

static store_kept_t *copy(const store_kept_t *kept)
{
    store_kept_t *result = memory_allocate(sizeof *result + kept->type.size + kept->entity.size);
    uint8_t *names = (uint8_t *)(result + 1);
    memcpy(names, kept->type.data, kept->type.size);
    memcpy(names + kept->type.size, kept->entity.data, kept->entity.size);
    *result = *kept;
    result->type.data = names;
    result->entity.data = names + kept->type.size;
    return result;
}

void lane_kept_clear(lane_kept_t **list)
{
    while (*list) {
        lane_kept_t *at = *list;
        *list = at->next;
        free(at->row);
        free(at->truth);
        free(at);
    }
}

static lane_kept_t *find(lane_kept_t *list, uint32_t lane, const store_kept_t *kept)
{
    while (list && (list->lane != lane || !fabric_bytes_equal(list->truth->type, kept->type) ||
                    !fabric_bytes_equal(list->truth->entity, kept->entity))) {
        list = list->next;
    }
    return list;
}

static void append(lane_kept_t **list, uint32_t lane, uint64_t number, const store_kept_t *kept)
{
    lane_kept_t *at = find(*list, lane, kept);
    if (!at) {
        at = memory_allocate_zeroed(1, sizeof *at);
        at->lane = lane;
        at->next = *list;
        *list = at;
    }
    free(at->truth);
    at->truth = copy(kept);
    at->changed = number;
}

void lane_kept_append(lane_kept_t **list, uint32_t lane, uint64_t number, const lane_batch_t *batch)
{
    for (size_t i = 0; i < batch->kept_count; i++) {
        append(list, lane, number, batch->kept[i]);
    }
    for (size_t i = 0; i < batch->clear_count; i++) {
        const batch_clear_t *clear = &batch->clears[i];
        append(
            list, lane, number,
            &(store_kept_t){.type = clear->type, .entity = clear->entity, .shard = clear->shard});
    }
}

void lane_kept_commit(lane_kept_t *list, uint32_t lane, const store_slice_t *slice)
{
    for (size_t i = 0; i < slice->kept_count; i++) {
        const store_kept_t *row = &slice->kept[i];
        lane_kept_t *at = find(list, lane, row);
        assert_non_null(at);
        assert_int_equal(row->shard.value, at->truth->shard.value);
        if (at->changed <= row->number) {
            assert_int_equal(row->causes, at->truth->causes);
        }
        free(at->row);
        at->row = row->causes != 0 ? copy(row) : NULL;
    }
}

void lane_kept_check(const lane_kept_t *list, uint32_t lane, uint64_t checkpoint)
{
    for (; list; list = list->next) {
        if (list->lane == lane && list->changed <= checkpoint) {
            assert_int_equal(list->row ? list->row->causes : 0, list->truth->causes);
        }
    }
}

void lane_kept_adopt(const lane_kept_t *list, adoption_t *adoption)
{
    size_t size = 0;
    size_t count = 0;
    for (const lane_kept_t *at = list; at; at = at->next) {
        count++;
        size += at->truth->type.size + at->truth->entity.size;
    }
    adoption->kept = memory_allocate((count + 1) * sizeof *adoption->kept);
    uint8_t *names = adoption->kept_names = memory_allocate(size + 1);
    for (const lane_kept_t *at = list; at; at = at->next) {
        bool told = at->changed > adoption->checkpoint;
        const store_kept_t *from = told ? at->truth : at->row;
        if (at->lane != adoption->hold.lane || !from) {
            continue;
        }
        store_kept_t *kept = &adoption->kept[adoption->kept_count++];
        *kept = *from;
        kept->number = told ? 0 : from->number;
        memcpy(names, from->type.data, from->type.size);
        kept->type.data = names;
        memcpy(names + from->type.size, from->entity.data, from->entity.size);
        kept->entity.data = names + from->type.size;
        names += from->type.size + from->entity.size;
    }
}

static const lane_kept_t *find_id(const lane_kept_t *list, const char *id)
{
    while (list && !fabric_bytes_equal(list->truth->entity, fabric_bytes_of(id))) {
        list = list->next;
    }
    return list;
}

uint32_t lane_kept_causes(const lane_kept_t *list, const char *id)
{
    const lane_kept_t *at = find_id(list, id);
    return at ? at->truth->causes : 0;
}

uint32_t lane_kept_row(const lane_kept_t *list, const char *id)
{
    const lane_kept_t *at = find_id(list, id);
    return at && at->row ? at->row->causes : 0;
}
