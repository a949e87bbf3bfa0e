/* The model of the lanes: entities that are cleared. See lane_model.h. */
#include "tests/unit/lane_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool is_named(const lane_message_t *at, fabric_bytes_t type, fabric_bytes_t entity)
{
    return fabric_bytes_equal(at->message->stored.type, type) &&
           fabric_bytes_equal(at->message->stored.entity, entity);
}

static void copy_name(char to[32], fabric_bytes_t name)
{
    assert_true(name.size < 32);
    memcpy(to, name.data, name.size);
    to[name.size] = '\0';
}

void lane_model_clear_entity(lane_model_t *model, uint32_t lane, const batch_clear_t *clear)
{
    lane_rows_t *rows = &model->rows[lane];
    model->clears = realloc(model->clears, ++model->clear_count * sizeof *model->clears);
    assert_non_null(model->clears);
    lane_clear_t *kept = &model->clears[model->clear_count - 1];
    *kept =
        (lane_clear_t){.lane = lane, .entry = rows->number, .id = clear->id, .shard = clear->shard};
    copy_name(kept->type, clear->type);
    copy_name(kept->entity, clear->entity);
    for (lane_message_t *at = model->messages; at; at = at->by_id.next) {
        if (!is_named(at, clear->type, clear->entity) ||
            at->message->stored.id.value > clear->id.value) {
            continue;
        }
        if (at->ended == 0) {
            store_reply_t reply =
                message_cleared_reply(at->message->stored.id, at->message->stored.shard);
            message_set_reply(at->message, &reply);
            at->cleared = true;
        }
        at->ended = at->ended > 0 ? at->ended : rows->number;
        at->freed = at->freed > 0 ? at->freed : rows->number;
    }
    rows->last_id = clear->id.value > rows->last_id ? clear->id.value : rows->last_id;
}

/* One more row of the slice's clear is deleted. */
static bool clear_row(lane_model_t *model, const store_slice_t *slice)
{
    const store_clear_t *clear = slice->clear;
    for (lane_message_t *at = model->messages; at; at = at->by_id.next) {
        if (!is_named(at, clear->type, clear->entity) ||
            at->message->stored.id.value >= clear->below) {
            continue;
        }
        assert_true(at->ended > 0);
        slice->cleared->pending += at->has_row;
        slice->cleared->scheduled += !at->has_row && at->has_due_row;
        slice->cleared->keys += !at->has_row && !at->has_due_row && at->has_key_row;
        bool *had = at->has_row       ? &at->has_row
                    : at->has_due_row ? &at->has_due_row
                                      : &at->has_key_row;
        if (*had) {
            *had = false;
            return true;
        }
    }
    return false;
}

void lane_model_clear_rows(lane_model_t *model, const store_slice_t *slice)
{
    *slice->cleared = (store_cleared_t){0};
    for (uint32_t left = slice->clear->rows_max; left > 0 && clear_row(model, slice); left--) {
    }
}

static fabric_bytes_t copy_names(const lane_clear_t *clear)
{
    size_t type = strlen(clear->type);
    size_t entity = strlen(clear->entity);
    uint8_t *names = malloc(type + entity);
    assert_non_null(names);
    memcpy(names, clear->type, type);
    memcpy(names + type, clear->entity, entity);
    return fabric_bytes(names, type);
}

void lane_model_adopt_clears(const lane_model_t *model, uint32_t lane, adoption_t *adoption)
{
    adoption->clears = calloc(model->clear_count + 1, sizeof *adoption->clears);
    assert_non_null(adoption->clears);
    for (size_t i = 0; i < model->clear_count; i++) {
        const lane_clear_t *clear = &model->clears[i];
        if (clear->lane == lane && clear->entry > adoption->checkpoint) {
            fabric_bytes_t type = copy_names(clear);
            fabric_bytes_t entity = fabric_bytes(type.data + type.size, strlen(clear->entity));
            adoption->clears[adoption->clear_count++] = (adopted_clear_t){
                clear->id, clear->shard, journal_entity_hash(type, entity), type, entity};
        }
    }
}
