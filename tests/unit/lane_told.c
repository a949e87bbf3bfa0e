/* The lane model's outgoing messages: see lane_told.h. */
#include "tests/unit/lane_told.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/memory.h"

void lane_told_clear(lane_told_t **list)
{
    while (*list) {
        lane_told_t *at = *list;
        *list = at->next;
        outgoing_copy_destroy(&at->copy);
        message_destroy(&at->dead);
        free(at);
    }
}

lane_told_t *lane_told_find(lane_told_t *list, uint64_t source, uint32_t index)
{
    while (list &&
           (list->copy->message.source.value != source || list->copy->message.key.index != index)) {
        list = list->next;
    }
    return list;
}

static bool is(const lane_told_t *at, uint32_t lane, store_outgoing_key_t key)
{
    return at->lane == lane && at->copy->message.key.id == key.id &&
           at->copy->message.key.index == key.index;
}

static lane_told_t *find_key(lane_told_t *list, uint32_t lane, store_outgoing_key_t key)
{
    while (list && !is(list, lane, key)) {
        list = list->next;
    }
    assert_non_null(list);
    return list;
}

uint64_t lane_told_rows(const lane_told_t *list)
{
    uint64_t rows = 0;
    for (; list; list = list->next) {
        rows += list->has_row;
    }
    return rows;
}

/* ---- entries ---- */

static void append(lane_told_t **list, uint32_t lanes, uint32_t lane, uint64_t number,
                   const batch_end_t *end)
{
    uint64_t last = 0;
    for (; *list; list = &(*list)->next) {
        last = (*list)->lane == lane ? (*list)->copy->message.key.id : last;
    }
    assert_true(end->outgoing->id > last);
    store_outgoing_t message = {.number = number,
                                .source = end->message->id,
                                .source_shard = end->message->shard,
                                .source_type = end->message->type,
                                .source_entity = end->message->entity,
                                .source_tag = end->message->tag,
                                .traceparent = end->outgoing->traceparent};
    journal_outgoing_reader_t reader = journal_outgoing_open(end->outgoing);
    while (journal_outgoing_next(&reader, &message)) {
        message.target_lane = shard_id_number(message.shard) % lanes;
        lane_told_t *at = memory_allocate_zeroed(1, sizeof *at);
        at->copy = outgoing_copy_new(&message);
        at->lane = lane;
        at->told = number;
        *list = at;
        list = &at->next;
    }
}

static void end(lane_told_t *list, uint32_t lane, uint64_t number, const batch_sent_t *sent)
{
    store_outgoing_key_t key = {sent->outgoing_id, sent->end.index};
    lane_told_t *at = find_key(list, lane, key);
    assert_int_equal(at->ended, 0);
    assert_true(at->told < number);
    assert_int_equal(at->copy->message.source.value, sent->source.value);
    assert_int_equal(sent->dead ? sent->dead->id.value : sent->end.id.value, sent->end.id.value);
    assert_int_equal(sent->dead != NULL, sent->end.cause != 0);
    assert_true(sent->end.id.value > 0);
    at->ended = number;
    at->end = sent->end;
    if (sent->dead) {
        at->dead = message_new(sent->dead);
        message_set_reply(at->dead, sent->reply);
        at->dead->position = sent->dead->id.value;
        at->dead->entity_hash = journal_entity_hash(sent->dead->type, sent->dead->entity);
        at->dead->cause = sent->end.cause;
    }
}

void lane_told_append(lane_told_t **list, uint32_t lanes, uint32_t lane, uint64_t number,
                      const lane_batch_t *batch)
{
    for (size_t i = 0; i < batch->end_count; i++) {
        if (batch->ends[i].outgoing) {
            append(list, lanes, lane, number, &batch->ends[i]);
        }
    }
    for (size_t i = 0; i < batch->sent_count; i++) {
        end(*list, lane, number, &batch->sents[i]);
    }
}

/* ---- rows ---- */

void lane_told_put_dead(lane_told_t *list, const store_dead_row_t *row)
{
    while (list && (!list->dead || list->dead->stored.id.value != row->id.value)) {
        list = list->next;
    }
    assert_non_null(list);
    assert_int_equal(row->error, list->end.cause);
    assert_true(fabric_bytes_equal(row->entity, list->copy->message.entity));
    list->has_dead_row = true;
}

/* All open ones of a source come in one slice. */
static void expect_whole(const lane_told_t *list, uint32_t lane, const store_slice_t *slice,
                         uint64_t id)
{
    uint64_t open = 0;
    uint64_t put = 0;
    for (; list; list = list->next) {
        open += list->lane == lane && list->copy->message.key.id == id && list->ended == 0;
    }
    for (size_t i = 0; i < slice->outgoing_count; i++) {
        put += slice->outgoing[i].key.id == id;
    }
    assert_true(put >= open);
}

void lane_told_commit(lane_told_t *list, uint32_t lane, const store_slice_t *slice)
{
    for (size_t i = 0; i < slice->outgoing_count; i++) {
        const store_outgoing_t *row = &slice->outgoing[i];
        lane_told_t *at = find_key(list, lane, row->key);
        assert_int_equal(row->number, at->told);
        assert_int_equal(row->target_lane, at->copy->message.target_lane);
        assert_true(fabric_bytes_equal(row->payload, at->copy->message.payload));
        assert_true(fabric_bytes_equal(row->source_entity, at->copy->message.source_entity));
        at->has_row = true;
        expect_whole(list, lane, slice, row->key.id);
    }
    for (size_t i = 0; i < slice->sent_count; i++) {
        lane_told_t *at = find_key(list, lane, slice->sent[i]);
        assert_true(at->ended > 0);
        at->has_row = false;
    }
}

void lane_told_check(const lane_told_t *list, uint32_t lane, uint64_t checkpoint)
{
    for (; list; list = list->next) {
        if (list->lane != lane) {
            continue;
        }
        assert_true(list->ended > 0 || list->told > checkpoint || list->has_row);
        assert_true(list->ended == 0 || list->ended > checkpoint || !list->has_row);
        assert_true(!list->dead || list->ended > checkpoint || list->has_dead_row);
    }
}

/* ---- adoption ---- */

static void count_row(adoption_t *adoption, const store_outgoing_t *row)
{
    size_t i = 0;
    while (i < adoption->outbox_count && adoption->outboxes[i].target_lane != row->target_lane) {
        i++;
    }
    if (i == adoption->outbox_count) {
        adoption->outboxes[adoption->outbox_count++] =
            (store_outbox_t){.target_lane = row->target_lane, .first = row->key.id};
    }
    adoption->outboxes[i].count++;
}

void lane_told_adopt(const lane_told_t *list, adoption_t *adoption)
{
    size_t count = 0;
    for (const lane_told_t *at = list; at; at = at->next) {
        count++;
    }
    if (count == 0) {
        return;
    }
    adoption->outgoing = memory_allocate(count * sizeof(outgoing_copy_t *));
    adoption->sent = memory_allocate(count * sizeof *adoption->sent);
    adoption->outboxes = memory_allocate(LIMIT_LANES_MAX * sizeof *adoption->outboxes);
    for (const lane_told_t *at = list; at; at = at->next) {
        if (at->lane != adoption->hold.lane) {
            continue;
        }
        uint64_t id = at->copy->message.key.id;
        adoption->last_id = id > adoption->last_id ? id : adoption->last_id;
        if (at->told > adoption->checkpoint && at->ended == 0) {
            adoption->outgoing[adoption->outgoing_count++] = outgoing_copy_new(&at->copy->message);
        }
        if (at->ended > adoption->checkpoint) {
            adoption->sent[adoption->sent_count++] = at->copy->message.key;
        }
        if (at->dead && at->ended > adoption->checkpoint) {
            message_chain_t chain = {0};
            message_t *dead = message_chain_add(&chain, &at->dead->stored, (journal_attempts_t){0},
                                                &at->dead->reply);
            dead->position = at->dead->position;
            dead->entity_hash = at->dead->entity_hash;
            dead->cause = at->dead->cause;
            dead->chain = adoption->dead;
            adoption->dead = dead;
        }
        if (at->has_row) {
            count_row(adoption, &at->copy->message);
        }
    }
}

outgoing_copy_t **lane_told_load(const lane_told_t *list, uint32_t lane,
                                 const router_outgoing_load_t *load, size_t *count, bool *ended)
{
    outgoing_copy_t **rows = memory_allocate((load->limit + 1) * sizeof(outgoing_copy_t *));
    uint64_t bytes = 0;
    *count = 0;
    *ended = true;
    for (; list; list = list->next) {
        const store_outgoing_t *message = &list->copy->message;
        bool behind = message->key.id > load->after.id ||
                      (message->key.id == load->after.id && message->key.index > load->after.index);
        if (list->lane != lane || !list->has_row || message->target_lane != load->target_lane ||
            !behind) {
            continue;
        }
        if (*count == load->limit || bytes >= load->bytes_max) {
            *ended = false;
            break;
        }
        bytes += message->payload.size;
        rows[(*count)++] = outgoing_copy_new(message);
    }
    return rows;
}
