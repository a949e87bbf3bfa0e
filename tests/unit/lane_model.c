/* A model of the lanes in a store: see lane_model.h. */
#include "tests/unit/lane_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <utlist.h>

#include "core/journal/entry.h"

void lane_model_init(lane_model_t *model, uint32_t lanes, uint32_t slice_rows_max)
{
    *model = (lane_model_t){.lanes = lanes, .slice_rows_max = slice_rows_max};
    for (uint32_t i = 0; i < lanes; i++) {
        model->rows[i].entry_bytes = 100;
    }
}

void lane_model_clear(lane_model_t *model)
{
    lane_message_t *at, *next;
    lane_kept_clear(&model->kept);
    lane_told_clear(&model->told);
    HASH_ITER(by_id, model->messages, at, next)
    {
        HASH_DELETE(by_id, model->messages, at);
        message_destroy(&at->message);
        free(at);
    }
    free(model->clears);
}

static uint32_t lane_of(const lane_model_t *model, const lane_message_t *at)
{
    return shard_id_number(at->message->stored.shard) % model->lanes;
}

lane_message_t *lane_model_find(const lane_model_t *model, uint64_t id)
{
    request_id_t key = {id};
    lane_message_t *at = NULL;
    HASH_FIND(by_id, model->messages, &key, sizeof key, at);
    return at;
}

static lane_message_t *find_position(const lane_model_t *model, store_row_key_t key)
{
    lane_message_t *at = model->messages;
    while (at &&
           (at->message->position != key.position || at->message->entity_hash != key.entity_hash)) {
        at = at->by_id.next;
    }
    return at;
}

/* Whether the message's time has not come. */
static bool is_scheduled(const lane_message_t *at)
{
    return at->message->stored.deliver_at_ms != 0 && at->moved == 0;
}

lane_message_t *lane_model_find_call(const lane_model_t *model, call_key_t call)
{
    lane_message_t *at = model->messages;
    while (at && (at->message->stored.call.client != call.client ||
                  at->message->stored.call.sequence != call.sequence)) {
        at = at->by_id.next;
    }
    return at;
}

static bool has_key(const lane_message_t *at, const uint8_t *hash)
{
    const uint8_t *own = at->message->stored.key_hash;
    return own && memcmp(own, hash, STORE_KEY_BYTES) == 0;
}

/* NULL: the key is free. */
static lane_message_t *find_standing_key(const lane_model_t *model, const uint8_t *hash)
{
    lane_message_t *at = model->messages;
    while (at && (at->freed > 0 || !has_key(at, hash))) {
        at = at->by_id.next;
    }
    return at;
}

lane_message_t *lane_model_find_key(const lane_model_t *model, const uint8_t *hash)
{
    lane_message_t *at = model->messages;
    while (at && !(at->has_key_row && has_key(at, hash))) {
        at = at->by_id.next;
    }
    return at ? at : find_standing_key(model, hash);
}

bool lane_model_key_row(const lane_message_t *at, store_key_t *row)
{
    if (!at || !at->has_key_row) {
        return false;
    }
    const store_message_t *stored = &at->message->stored;
    *row = (store_key_t){.entity_hash = at->message->entity_hash,
                         .number = at->key_row_number,
                         .ended = at->key_row_ended,
                         .reply = {.id = stored->id, .shard = stored->shard}};
    memcpy(row->hash, stored->key_hash, STORE_KEY_BYTES);
    if (row->ended) {
        row->reply = at->message->reply;
    }
    return true;
}

bool lane_model_read_key(const lane_model_t *model, const store_key_name_t *name, store_key_t *row)
{
    return lane_model_key_row(lane_model_find_key(model, name->hash), row) &&
           row->entity_hash == name->entity_hash;
}

uint64_t lane_model_standing(const lane_model_t *model)
{
    uint64_t count = 0;
    for (const lane_message_t *at = model->messages; at; at = at->by_id.next) {
        count += at->ended == 0;
    }
    return count;
}

uint64_t lane_model_row_count(const lane_model_t *model)
{
    uint64_t count = 0;
    for (const lane_message_t *at = model->messages; at; at = at->by_id.next) {
        count += at->has_row + at->has_due_row;
    }
    return count;
}

/* ---- entries ---- */

static void accept(lane_model_t *model, lane_rows_t *rows, const store_message_t *stored)
{
    assert_null(lane_model_find(model, stored->id.value));
    assert_true(stored->id.value > rows->last_id);
    assert_null(lane_model_find_call(model, stored->call)); /* accepted once */
    assert_true(!stored->key_hash || !find_standing_key(model, stored->key_hash));
    lane_message_t *at = calloc(1, sizeof *at);
    assert_non_null(at);
    at->message = message_new(stored);
    at->begun = rows->number;
    rows->last_id = stored->id.value;
    HASH_ADD(by_id, model->messages, message->stored.id, sizeof(request_id_t), at);
}

static void end(lane_model_t *model, const lane_rows_t *rows, const batch_end_t *end)
{
    lane_message_t *at = lane_model_find(model, end->message->id.value);
    assert_non_null(at);
    assert_int_equal(at->ended, 0);
    assert_int_equal(end->position, at->message->position);
    bool cancelled = end->reply->error == FABRIC_ERROR_CANCELLED;
    for (const lane_message_t *other = model->messages; other && !cancelled;
         other = other->by_id.next) {
        bool same = other->message->entity_hash == at->message->entity_hash;
        bool older = !is_scheduled(other) && other->message->position < at->message->position;
        assert_false(same && older && other->ended == 0); /* a message has passed an older one */
    }
    assert_false(is_scheduled(at) && !end->dead && !cancelled);
    at->ended = rows->number;
    at->dead = end->dead;
    message_set_reply(at->message, end->reply);
    at->message->cause = end->cause;
}

static void move(lane_model_t *model, lane_rows_t *rows, const batch_move_t *move)
{
    lane_message_t *at = lane_model_find(model, move->message->id.value);
    assert_non_null(at);
    assert_true(is_scheduled(at) && at->ended == 0);
    assert_null(lane_model_find(model, move->position));
    assert_null(find_position(model, (store_row_key_t){at->message->entity_hash, move->position}));
    at->moved = rows->number;
    at->message->position = move->position;
    rows->last_id = move->position > rows->last_id ? move->position : rows->last_id;
    model->moves++;
}

/* Messages and moves by increasing positions, as far as an entry can tell. */
static void check_moves(const lane_batch_t *batch, uint64_t last_id)
{
    for (size_t i = 0; i < batch->move_count; i++) {
        assert_true(batch->moves[i].position > last_id);
        last_id = batch->moves[i].position;
    }
}

uint64_t lane_model_append(lane_model_t *model, uint32_t lane, const lane_batch_t *batch)
{
    lane_rows_t *rows = &model->rows[lane];
    rows->number++;
    check_moves(batch, rows->last_id);
    for (size_t i = 0; i < batch->message_count; i++) {
        accept(model, rows, batch->messages[i]);
    }
    for (size_t i = 0; i < batch->move_count; i++) {
        move(model, rows, &batch->moves[i]);
    }
    for (size_t i = 0; i < batch->attempt_count; i++) {
        lane_message_t *at = lane_model_find(model, batch->attempts[i].message->id.value);
        assert_non_null(at);
        assert_int_equal(at->ended, 0);
        at->attempts = batch->attempts[i].attempts;
        at->counted = rows->number;
    }
    for (size_t i = 0; i < batch->end_count; i++) {
        end(model, rows, &batch->ends[i]);
    }
    lane_kept_append(&model->kept, lane, rows->number, batch);
    lane_told_append(&model->told, model->lanes, lane, rows->number, batch);
    for (size_t i = 0; i < batch->clear_count; i++) {
        lane_model_clear_entity(model, lane, &batch->clears[i]);
    }
    return rows->number;
}

/* ---- slices ---- */

static void expect_message(const store_message_t *a, const store_message_t *b)
{
    assert_int_equal(a->id.value, b->id.value);
    assert_int_equal(a->shard.value, b->shard.value);
    assert_int_equal(a->flags, b->flags);
    assert_true(a->call.client == b->call.client && a->call.sequence == b->call.sequence);
    assert_true(fabric_bytes_equal(a->type, b->type));
    assert_true(fabric_bytes_equal(a->entity, b->entity));
    assert_true(fabric_bytes_equal(a->tag, b->tag));
    assert_true(fabric_bytes_equal(a->payload, b->payload));
    assert_int_equal(a->deliver_at_ms, b->deliver_at_ms);
}

/* What is durable of a message's counts as of the entry cannot be told if they changed later. */
static void expect_counts(const lane_message_t *at, uint64_t number, uint32_t attempts,
                          uint32_t crashes)
{
    if (at->counted <= number) {
        assert_int_equal(attempts, at->attempts.attempts);
        assert_int_equal(crashes, at->attempts.crashes);
    }
}

static void put(lane_model_t *model, const lane_rows_t *rows, const store_pending_t *row)
{
    lane_message_t *at = lane_model_find(model, row->id.value);
    assert_non_null(at);
    assert_true(row->number <= rows->number && at->begun <= row->number);
    assert_true(at->ended == 0 || at->ended > row->number);
    bool scheduled = row->due_ms != 0 && row->position == row->id.value;
    assert_true(scheduled ? at->moved == 0 || at->moved > row->number
                          : row->position == at->message->position);
    assert_int_equal(row->due_ms, at->message->stored.deliver_at_ms);
    assert_int_equal(row->entity_hash, at->message->entity_hash);
    assert_true(fabric_bytes_equal(row->entity, at->message->stored.entity));
    assert_true(fabric_bytes_equal(row->type, at->message->stored.type));
    assert_true(fabric_bytes_equal(row->tag, at->message->stored.tag));
    journal_record_t record;
    assert_int_equal(journal_record_decode(row->body, &record), FABRIC_OK);
    assert_int_equal(record.kind, RECORD_MESSAGE);
    assert_int_equal(record.position, row->position);
    expect_message(&record.message, &at->message->stored);
    if (scheduled) {
        at->has_due_row = true;
        model->scheduled++;
        return;
    }
    expect_counts(at, row->number, row->attempts, row->crashes);
    at->has_row = true;
    at->row_number = row->number;
    at->row_attempts = (journal_attempts_t){row->attempts, row->crashes};
    model->puts++;
}

static void amend(lane_model_t *model, const store_amendment_t *amendment)
{
    lane_message_t *at = find_position(model, amendment->key);
    assert_non_null(at);
    if (at->has_row) {
        expect_counts(at, amendment->number, amendment->attempts, amendment->crashes);
        at->row_number = amendment->number;
        at->row_attempts = (journal_attempts_t){amendment->attempts, amendment->crashes};
    }
    model->amendments++;
}

static void put_dead(lane_model_t *model, const store_dead_row_t *row)
{
    lane_message_t *at = lane_model_find(model, row->id.value);
    if (!at) {
        lane_told_put_dead(model->told, row);
        return;
    }
    assert_true(at->dead && at->ended <= row->number);
    journal_record_t record;
    assert_int_equal(journal_record_decode(row->body, &record), FABRIC_OK);
    assert_int_equal(record.kind, RECORD_DEAD);
    expect_message(&record.message, &at->message->stored);
    assert_true(fabric_bytes_equal(row->text, at->message->reply.payload));
    assert_int_equal(row->error, at->message->cause);
    at->has_dead_row = true;
    model->dead++;
}

static void put_key(lane_model_t *model, const lane_rows_t *rows, const store_key_t *row)
{
    lane_message_t *at = lane_model_find(model, row->reply.id.value);
    assert_non_null(at);
    assert_non_null(at->message->stored.key_hash);
    assert_memory_equal(row->hash, at->message->stored.key_hash, STORE_KEY_BYTES);
    assert_int_equal(row->entity_hash, at->message->entity_hash);
    assert_int_equal(row->reply.shard.value, at->message->stored.shard.value);
    assert_true(row->number <= rows->number && at->begun <= row->number);
    assert_int_equal(row->ended, at->ended > 0 && at->ended <= row->number);
    if (row->ended) {
        assert_int_equal(row->reply.status, at->message->reply.status);
        assert_true(row->reply.kept_until_ms > 0);
        assert_true(fabric_bytes_equal(row->reply.payload, at->message->reply.payload));
    }
    for (lane_message_t *other = model->messages; other; other = other->by_id.next) {
        other->has_key_row &= !has_key(other, row->hash);
    }
    at->has_key_row = true;
    at->key_row_ended = row->ended;
    at->key_row_number = row->number;
}

void lane_model_commit(lane_model_t *model, uint32_t lane, const store_slice_t *slice)
{
    lane_rows_t *rows = &model->rows[lane];
    assert_true(slice->put_count + slice->amendment_count + slice->delete_count +
                    slice->dead_count + slice->scheduled_count + slice->unscheduled_count +
                    slice->key_count + slice->kept_count +
                    (slice->clear ? slice->clear->rows_max : 0) <=
                model->slice_rows_max);
    for (size_t i = 0; i < slice->put_count; i++) {
        put(model, rows, &slice->puts[i]);
    }
    for (size_t i = 0; i < slice->scheduled_count; i++) {
        put(model, rows, &slice->scheduled[i]);
    }
    for (size_t i = 0; i < slice->unscheduled_count; i++) {
        lane_message_t *at = lane_model_find(model, slice->unscheduled[i].id);
        assert_non_null(at);
        assert_int_equal(slice->unscheduled[i].due_ms, at->message->stored.deliver_at_ms);
        assert_true(at->ended > 0 || at->moved > 0);
        at->has_due_row = false;
    }
    for (size_t i = 0; i < slice->amendment_count; i++) {
        amend(model, &slice->amendments[i]);
    }
    for (size_t i = 0; i < slice->dead_count; i++) {
        put_dead(model, &slice->dead[i]);
    }
    for (size_t i = 0; i < slice->key_count; i++) {
        put_key(model, rows, &slice->keys[i]);
    }
    lane_kept_commit(model->kept, lane, slice);
    lane_told_commit(model->told, lane, slice);
    for (size_t i = 0; i < slice->delete_count; i++) {
        lane_message_t *at = find_position(model, slice->deletes[i]);
        assert_non_null(at);
        assert_true(at->ended > 0);
        at->has_row = false;
        model->deletes++;
    }
    if (slice->clear) {
        lane_model_clear_rows(model, slice);
    }
    assert_true(rows->checkpoint == slice->settled || rows->checkpoint == slice->begun);
    assert_true(slice->begun >= rows->checkpoint && slice->begun <= rows->number);
    rows->begun = slice->begun;
    if (slice->last) {
        rows->checkpoint = slice->begun;
    }
    model->slices++;
    lane_model_check(model, lane);
}

/* ---- what a new home finds ---- */

/* Whether the row alone, with the entries that an adopter reads, says that the message has ended.
 */
static bool row_is_overruled(const lane_message_t *at, uint64_t checkpoint)
{
    return at->ended > checkpoint && at->ended > at->row_number;
}

static journal_attempts_t counts_found(const lane_message_t *at, uint64_t checkpoint)
{
    bool read = at->counted > checkpoint && (!at->has_row || at->counted > at->row_number);
    return read ? at->attempts : at->has_row ? at->row_attempts : (journal_attempts_t){0, 0};
}

void lane_model_check(const lane_model_t *model, uint32_t lane)
{
    uint64_t checkpoint = model->rows[lane].checkpoint;
    lane_kept_check(model->kept, lane, checkpoint);
    lane_told_check(model->told, lane, checkpoint);
    for (const lane_message_t *at = model->messages; at; at = at->by_id.next) {
        if (lane_of(model, at) != lane) {
            continue;
        }
        bool moved = at->moved > checkpoint || at->ended > checkpoint; /* the entries tell */
        assert_true(is_scheduled(at) || !at->has_due_row || moved);    /* else it fires again */
        if (at->ended == 0 && is_scheduled(at)) {
            assert_true(at->has_due_row || at->begun > checkpoint); /* else it is lost */
        } else if (at->ended == 0) {
            assert_true(at->has_row || at->begun > checkpoint || at->moved > checkpoint);
            journal_attempts_t found = counts_found(at, checkpoint);
            assert_int_equal(found.attempts, at->attempts.attempts);
            assert_int_equal(found.crashes, at->attempts.crashes);
        } else {
            assert_true(!at->has_row || row_is_overruled(at, checkpoint)); /* else it is revived */
            assert_true(!at->dead || at->has_dead_row || at->ended > checkpoint);
        }
        bool freed = at->freed > 0;
        assert_true(!freed || !at->has_key_row || at->freed > checkpoint); /* else it stands */
        if (at->message->stored.key_hash && !freed) { /* else a duplicate is taken as new */
            assert_true(at->begun > checkpoint || at->has_key_row);
            assert_true(at->ended == 0 || at->ended > checkpoint || at->key_row_ended);
        }
    }
}

static void chain_add(message_chain_t *chain, const lane_message_t *at, bool ended,
                      journal_attempts_t attempts)
{
    message_t *message = message_chain_add(chain, &at->message->stored, attempts,
                                           ended ? &at->message->reply : NULL);
    message->position = at->message->position;
    message->has_row = is_scheduled(at) ? at->has_due_row : at->has_row;
    message->cause = at->message->cause;
}

static void add_backlog(adoption_t *adoption, const lane_message_t *at)
{
    uint64_t hash = at->message->entity_hash;
    size_t i = 0;
    while (i < adoption->backlog_count && adoption->backlogs[i].entity_hash != hash) {
        i++;
    }
    if (i == adoption->backlog_count) {
        adoption->backlogs =
            realloc(adoption->backlogs, ++adoption->backlog_count * sizeof *adoption->backlogs);
        assert_non_null(adoption->backlogs);
        adoption->backlogs[i] =
            (store_backlog_t){.entity_hash = hash, .first = at->message->position};
    }
    store_backlog_t *backlog = &adoption->backlogs[i];
    uint64_t position = at->message->position;
    backlog->first = position < backlog->first ? position : backlog->first;
    backlog->last = position > backlog->last ? position : backlog->last;
}

static void add_overruled(adoption_t *adoption, const lane_message_t *at)
{
    adoption->overruled =
        realloc(adoption->overruled, ++adoption->overruled_count * sizeof *adoption->overruled);
    assert_non_null(adoption->overruled);
    adoption->overruled[adoption->overruled_count - 1] =
        (overruled_row_t){.id = at->message->stored.id,
                          .position = at->message->position,
                          .entity_hash = at->message->entity_hash,
                          .ended = at->ended > 0,
                          .attempts = at->attempts};
}

typedef struct chains {
    message_chain_t messages, dead, ended;
} chains_t;

/* As the loader does: an index tells where rows are, and the entries tell which of them stand. */
static void adopt_message(const lane_rows_t *rows, adoption_t *adoption, chains_t *chains,
                          const lane_message_t *at)
{
    bool in_entries = at->begun > rows->checkpoint || at->moved > rows->checkpoint;
    /* That the message was cleared is not known from entries that do not speak of it. */
    bool silent = at->cleared && !in_entries && at->counted <= rows->checkpoint;
    bool stands = at->ended == 0 || silent;
    if (at->has_due_row) {
        bool waits = stands && is_scheduled(at);
        adoption->scheduled += waits && !in_entries;
        if (!waits) {
            add_overruled(adoption, at);
            adoption->overruled[adoption->overruled_count - 1].ended = true;
            adoption->overruled[adoption->overruled_count - 1].due_ms =
                at->message->stored.deliver_at_ms;
        }
    }
    if (at->has_row) {
        add_backlog(adoption, at);
        bool changed = at->counted > rows->checkpoint && at->counted > at->row_number;
        if (!stands || changed) {
            add_overruled(adoption, at);
        }
        if (stands && !in_entries) {
            for (size_t i = 0; i < adoption->backlog_count; i++) {
                adoption->backlogs[i].count +=
                    adoption->backlogs[i].entity_hash == at->message->entity_hash;
            }
        }
    }
    if (stands && in_entries) {
        chain_add(&chains->messages, at, false, at->attempts);
    }
    if (at->dead && !at->has_dead_row) {
        chain_add(&chains->dead, at, true, at->attempts);
    } else if (at->ended > rows->checkpoint && at->message->stored.key_hash && at->freed == 0) {
        chain_add(&chains->ended, at, true, at->attempts);
    }
}

static int compare_positions(const message_t *a, const message_t *b)
{
    return (a->position > b->position) - (a->position < b->position);
}

void lane_model_adopt(lane_model_t *model, const store_hold_t *hold, adoption_t *adoption)
{
    lane_rows_t *rows = &model->rows[hold->lane];
    lane_model_check(model, hold->lane);
    rows->epoch = hold->epoch;
    rows->number++; /* the ADOPT entry */
    *adoption = (adoption_t){.hold = *hold,
                             .number = rows->number,
                             .last_id = rows->last_id,
                             .checkpoint = rows->checkpoint,
                             .tail_bytes = (rows->number - rows->checkpoint) * rows->entry_bytes};
    chains_t chains = {.messages = {0}};
    for (const lane_message_t *at = model->messages; at; at = at->by_id.next) {
        if (lane_of(model, at) == hold->lane) {
            adopt_message(rows, adoption, &chains, at);
        }
    }
    lane_model_adopt_clears(model, hold->lane, adoption);
    adoption->messages = chains.messages.first;
    adoption->dead = chains.dead.first;
    adoption->ended = chains.ended.first;
    lane_kept_adopt(model->kept, adoption);
    lane_told_adopt(model->told, adoption);
    LL_SORT2(adoption->messages, compare_positions, chain);
}

/* The next row of the range behind a position; NULL: there is none. */
static const lane_message_t *next_row(const lane_model_t *model, uint32_t lane,
                                      const store_range_t *range, uint64_t after)
{
    const lane_message_t *next = NULL;
    for (const lane_message_t *at = model->messages; at; at = at->by_id.next) {
        uint64_t position = at->message->position;
        if (lane_of(model, at) == lane && at->has_row && position > after &&
            position <= range->until && at->message->entity_hash == range->entity_hash &&
            (!next || position < next->message->position)) {
            next = at;
        }
    }
    return next;
}

message_t *lane_model_load(lane_model_t *model, uint32_t lane, const store_range_t *ranges,
                           size_t count, size_t rows_max, size_t *done)
{
    message_chain_t chain = {0};
    size_t rows = 0;
    model->loads++;
    for (*done = 0; *done < count; (*done)++) {
        const store_range_t *range = &ranges[*done];
        uint32_t found = 0;
        uint64_t after = range->after;
        const lane_message_t *at;
        while (found < range->limit && (at = next_row(model, lane, range, after))) {
            if (rows == rows_max) {
                return chain.first;
            }
            chain_add(&chain, at, false, at->row_attempts);
            after = at->message->position;
            found++;
            rows++;
        }
    }
    return chain.first;
}

static store_due_key_t message_due(const lane_message_t *at)
{
    return (store_due_key_t){at->message->stored.deliver_at_ms, at->message->stored.id.value};
}

static bool is_behind(const lane_message_t *at, store_due_key_t key)
{
    const store_message_t *stored = &at->message->stored;
    return stored->deliver_at_ms > key.due_ms ||
           (stored->deliver_at_ms == key.due_ms && stored->id.value > key.id);
}

/* The next row behind the key; NULL: there is none. */
static const lane_message_t *next_scheduled(const lane_model_t *model, uint32_t lane,
                                            store_due_key_t after)
{
    const lane_message_t *next = NULL;
    for (const lane_message_t *at = model->messages; at; at = at->by_id.next) {
        if (lane_of(model, at) == lane && at->has_due_row && is_behind(at, after) &&
            (!next || !is_behind(at, message_due(next)))) {
            next = at;
        }
    }
    return next;
}

message_t *lane_model_load_scheduled(lane_model_t *model, uint32_t lane, store_due_key_t after,
                                     size_t rows_max, bool *ended)
{
    message_chain_t chain = {0};
    const lane_message_t *at = NULL;
    while (rows_max-- > 0 && (at = next_scheduled(model, lane, after))) {
        message_t *row =
            message_chain_add(&chain, &at->message->stored, (journal_attempts_t){0}, NULL);
        row->has_row = true;
        after = message_due(at);
    }
    *ended = at == NULL;
    model->loads++;
    return chain.first;
}

/* ---- searches ---- */

static bool is_at(const lane_message_t *at, const wanted_row_t *wanted, bool due)
{
    const store_place_t *place = &wanted->place;
    return !wanted->placed ||
           (due ? place->due_ms == at->message->stored.deliver_at_ms
                : place->due_ms == 0 && place->position == at->message->position &&
                      place->entity_hash == at->message->entity_hash);
}

message_t *lane_model_search(lane_model_t *model, uint32_t lane, const wanted_row_t *wanted,
                             size_t count)
{
    message_chain_t chain = {0};
    model->loads++;
    for (size_t i = 0; i < count; i++) {
        const lane_message_t *at = lane_model_find(model, wanted[i].place.id.value);
        if (!at || lane_of(model, at) != lane) {
            continue;
        }
        if (at->has_due_row && is_at(at, &wanted[i], true)) {
            message_chain_add(&chain, &at->message->stored, (journal_attempts_t){0}, NULL)
                ->has_row = true;
        }
        if (at->has_row && is_at(at, &wanted[i], false)) {
            chain_add(&chain, at, false, at->row_attempts);
        }
        if (at->ended && !wanted[i].placed) {
            store_message_t stored = {.id = at->message->stored.id, .flags = REQUEST_DURABLE};
            message_chain_add(&chain, &stored, (journal_attempts_t){0}, &at->message->reply);
        }
    }
    return chain.first;
}
