/* What the store holds, checked entry by entry and checkpoint by checkpoint: see
 * simulation_check.h. */
#include <assert.h>
#include <stdlib.h>

#include "core/journal/fold.h"
#include "tests/harness/standing.h"
#include "tests/memory/memory_store.h"
#include "tests/simulation/simulation_check_failing.h"
#include "tests/simulation/simulation_processes.h"

/* ---- messages ---- */

static uint32_t call_by_key(const store_message_t *message)
{
    call_key_t key = message->call;
    uint64_t client = key.client - 1000;
    if (world.plan.tells && client >= CLIENTS_MAX) {
        return check_told_accepted(message);
    }
    uint32_t found = client < CLIENTS_MAX && key.sequence <= CALLS_MAX
                         ? watch.by_sequence[client][key.sequence]
                         : 0;
    if (!found) {
        world_fail("I5: a message is stored that nobody sent");
    }
    return found ? found - 1 : UINT32_MAX;
}

/* The place of a request id among the calls by their ids: that of its call, or a free one. */
static uint32_t *place_of_id(uint64_t id)
{
    size_t place = (id * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - CALLS_BY_ID_BITS);
    while (watch.by_id[place] > 0 && watch.calls[watch.by_id[place] - 1].request_id != id) {
        place = (place + 1) % CALLS_BY_ID;
    }
    return &watch.by_id[place];
}

uint32_t check_find_request(uint64_t id)
{
    return *place_of_id(id) - 1; /* 0: none */
}

static uint32_t call_by_id(uint64_t id)
{
    uint32_t found = check_find_request(id);
    if (found == UINT32_MAX) {
        world_fail("I1: the store speaks of request %llu, which was not accepted", (ull)id);
    }
    return found;
}

uint64_t check_position_of(uint64_t request_id)
{
    uint32_t found = *place_of_id(request_id);
    return found ? watch.calls[found - 1].position : request_id;
}

static void note_position(const store_entry_t *entry, watched_call_t *call, uint64_t position)
{
    watched_lane_t *lane = &watch.lanes[entry->lane];
    if (position > entry->last_id) {
        world_fail("lane %u: entry %llu has position %llu and a smaller last id", entry->lane,
                   (ull)entry->number, (ull)position);
    }
    lane->last_id = position > lane->last_id ? position : lane->last_id;
    call->position = position;
}

static void note_message(const store_entry_t *entry, const journal_record_t *record)
{
    const store_message_t *message = &record->message;
    uint32_t number = call_by_key(message);
    if (number == UINT32_MAX) {
        return;
    }
    watched_call_t *call = &watch.calls[number];
    world_note("stored", number, message->id.value, entry->number);
    watch.messages++;
    if (call->request_id != 0) {
        world_fail("I8: call %u is stored twice, as %llu and as %llu", number,
                   (ull)call->request_id, (ull)message->id.value);
    }
    if (!check_is_durable(call)) {
        world_fail("I3: volatile call %u is stored", number);
    }
    check_key_stored(number, message->key_hash);
    check_not_cleared(call, message->id.value);
    if (shard_id_number(message->shard) % world.plan.lanes != entry->lane) {
        world_fail("call %u of shard %u is in lane %u", number, shard_id_number(message->shard),
                   entry->lane);
    }
    if (message->id.value <= watch.lanes[entry->lane].last_id ||
        message->id.value > entry->last_id) {
        world_fail("ids go back along a lane: call %u got %llu after %llu", number,
                   (ull)message->id.value, (ull)watch.lanes[entry->lane].last_id);
    }
    note_position(entry, call, record->position);
    call->scheduled = message->deliver_at_ms != 0;
    if (call->request_id == 0) {
        call->request_id = message->id.value;
        *place_of_id(message->id.value) = number + 1;
    }
    call->lane = entry->lane;
    call->begun_in = entry->number;
    call->stored_late = call->key > 0 && call->ended;
}

static void note_move(const store_entry_t *entry, const journal_record_t *record)
{
    uint32_t number = call_by_id(record->id.value);
    if (number != UINT32_MAX) {
        watched_call_t *call = &watch.calls[number];
        check_moved(entry, call, record->position);
        note_position(entry, call, record->position);
        call->moved_in = entry->number;
    }
}

/* ---- ends ---- */

/* Checks I7 as the ends of an entity's messages are stored. A call that is sent again after an
 * unknown outcome may turn out not to have been accepted before; it is then accepted later than
 * other calls. So may one be that ended for its caller while its home looked its primary key up:
 * its client does not name it in what it sends afterwards. */
static void check_entity_order(uint32_t number)
{
    const watched_call_t *call = &watch.calls[number];
    watched_entity_t *entity = &watch.entities[call->entity];
    bool waited = call->moved_in > 0; /* so others that were sent later came first */
    if (call->position < entity->last_id) {
        world_fail("I7: entity %u: position %llu ends after position %llu", call->entity,
                   (ull)call->position, (ull)entity->last_id);
    }
    bool late = call->again || call->stored_late || call->teller > 0;
    if (!waited && !late && call->sequence < entity->last_sequence[call->client]) {
        world_fail("I7: entity %u: client %llu's sequence %llu ends after its %llu", call->entity,
                   (ull)call->client, (ull)call->sequence,
                   (ull)entity->last_sequence[call->client]);
    }
    if (!waited && call->ended && call->error == FABRIC_OK &&
        call->ended_us < entity->submitted_us) {
        world_fail("I7: entity %u: call %u was accepted before a call was sent that was handled "
                   "first",
                   call->entity, number);
    }
    entity->last_id = call->position;
    entity->handled_id = call->buried ? entity->handled_id : call->position;
    if (!waited && call->teller == 0 && call->sequence > entity->last_sequence[call->client]) {
        entity->last_sequence[call->client] = call->sequence;
    }
    if (call->submitted_us > entity->submitted_us) {
        entity->submitted_us = call->submitted_us;
    }
}

static void check_token(uint32_t number, uint64_t run)
{
    const watched_call_t *call = &watch.calls[number];
    const watched_run_t *watched = &watch.runs[run];
    watched_entity_t *entity = &watch.entities[call->entity];
    if (watched->stale) {
        world_fail("I9: call %u: the result of run %llu under an old token is stored", number,
                   (ull)run);
    }
    if (token_less(watched->token, entity->last_token)) {
        world_fail("I9: entity %u: token (%llu,%llu) after (%llu,%llu)", call->entity,
                   (ull)watched->token.home_epoch, (ull)watched->token.owner_sequence,
                   (ull)entity->last_token.home_epoch, (ull)entity->last_token.owner_sequence);
    }
    entity->last_token = watched->token;
}

static void note_cancelled(const store_entry_t *entry, uint32_t number)
{
    watched_call_t *call = &watch.calls[number];
    call->cancelled = true;
    call->epoch = entry->epoch;
    call->undelivered = !call->delivered;
    if (!call->cancels) {
        world_fail("I5: call %u ends as cancelled, and nobody has cancelled it", number);
    }
    if (call->undelivered && call->runs > 0) {
        world_fail("I10: call %u was handled, and no broker has delivered it", number);
    }
    if (call->flags & REQUEST_TELL) {
        world_fail("I1: tell %u ends as cancelled", number);
    }
}

static void note_reply(const store_entry_t *entry, const store_reply_t *reply, bool dead)
{
    uint32_t number = call_by_id(reply->id.value);
    if (number == UINT32_MAX) {
        return;
    }
    watched_call_t *call = &watch.calls[number];
    if (call->replied) {
        world_fail("I5: call %u gets a second final reply", number);
    }
    call->replied = true;
    call->ended_in = entry->number;
    call->buried = dead;
    call->reply_status = reply->status;
    call->reply_error = reply->error;
    watch.ends++;
    if (reply->status == STATUS_FAILURE) {
        call->reply_run = reply->code;
    } else if (reply->status == STATUS_TYPED_FAILURE ||
               (reply->status == STATUS_OK && (!(call->flags & REQUEST_TELL) || call->key > 0))) {
        call->reply_run = check_run_of_payload(reply->payload, number);
    } else if (reply->status == STATUS_DEFECT && !check_defect_is_end(call, reply)) {
        world_fail("I2: call %u ends as a defect (%s) though only %u attempts break", number,
                   fabric_error_name(fabric_error_from_number(reply->error)), call->defects);
    }
    if (call->kills && reply->status != STATUS_DEFECT) {
        world_fail("I2: call %u kills its workers, and ends with status %u", number, reply->status);
    }
    world_note("replied", number, call->reply_run, reply->status);
    if (reply->error == FABRIC_ERROR_CANCELLED) {
        note_cancelled(entry, number);
        return; /* it has passed what stood before it */
    }
    bool crashed = dead && world.plan.faults != 0; /* its worker, before the handler began */
    if (call->runs == 0 && !crashed) {
        world_fail("I2: call %u ends without having been handled", number);
    }
    check_entity_order(number);
    if (call->reply_run > 0 && call->reply_run < watch.run_count) {
        check_run_stored(call, number, &watch.runs[call->reply_run]);
        check_token(number, call->reply_run);
    }
}

static void note_dead(const store_entry_t *entry, const journal_record_t *record)
{
    note_reply(entry, &record->reply, true);
    uint32_t number = call_by_id(record->id.value);
    world.result->dead_letters++;
    if (number != UINT32_MAX) {
        const watched_call_t *call = &watch.calls[number];
        watch.poison_buried |= call->kills;
        if ((call->kills || world.plan.failing) && check_is_buried_rightly(call, record)) {
            return;
        }
    }
    world_fail("I1: request %llu is a dead letter without cause: %s", (ull)record->id.value,
               fabric_error_name(fabric_error_from_number(record->cause)));
}

static void note_attempt(const store_entry_t *entry, const journal_record_t *record)
{
    uint32_t number = call_by_id(record->id.value);
    if (number != UINT32_MAX) {
        check_attempt_stored(entry, &watch.calls[number], record->attempts);
    }
}

/* ---- entries ---- */

/* The fence: entries are without gaps, and after a holder's first entry no earlier holder
 * writes. */
static void check_writer(const store_entry_t *entry)
{
    watched_lane_t *lane = &watch.lanes[entry->lane];
    if (entry->number != lane->number + 1) {
        world_fail("lane %u: entry %llu follows entry %llu", entry->lane, (ull)entry->number,
                   (ull)lane->number);
    }
    if (entry->adopt
            ? entry->epoch < lane->epoch
            : entry->epoch != lane->epoch || !incarnation_equal(entry->incarnation, lane->writer)) {
        world_fail("I9: lane %u: entry %llu of epoch %llu follows one of epoch %llu", entry->lane,
                   (ull)entry->number, (ull)entry->epoch, (ull)lane->epoch);
    }
    if (!journal_entry_is_sound(entry) ||
        entry->log_bytes != lane->log_bytes + entry->calls.size + entry->body.size) {
        world_fail("lane %u: entry %llu is not sound", entry->lane, (ull)entry->number);
    }
    lane->known_before = lane->known;
    lane->known = entry->last_id;
    lane->number = entry->number;
    lane->epoch = entry->epoch;
    lane->writer = entry->incarnation;
    lane->log_bytes = entry->log_bytes;
}

static void note_record(const store_entry_t *entry, const journal_record_t *record)
{
    switch (record->kind) {
    case RECORD_ADOPT:
        break;
    case RECORD_SENT:
        check_sent(record);
        break;
    case RECORD_CLEAR:
        check_clear_stored(entry, record);
        check_alive_cleared(entry, record);
        break;
    case RECORD_ALIVE:
        check_alive_stored(entry, record);
        break;
    case RECORD_MESSAGE:
        note_message(entry, record);
        break;
    case RECORD_MOVE:
        note_move(entry, record);
        break;
    case RECORD_RESULT:
        note_reply(entry, &record->reply, false);
        check_state_stored(entry, record);
        check_told_with(entry, record);
        break;
    case RECORD_ATTEMPT:
        note_attempt(entry, record);
        break;
    case RECORD_DEAD:
        note_dead(entry, record);
        break;
    }
}

static bool note_entry(void *context, const store_entry_t *entry)
{
    (void)context;
    journal_reader_t reader;
    journal_record_t record;
    check_writer(entry);
    world.result->entries++;
    if (journal_reader_open(&reader, entry->body, NULL)) {
        world_fail("lane %u: entry %llu cannot be read", entry->lane, (ull)entry->number);
        return true;
    }
    for (;;) {
        journal_read_t read = journal_read_next(&reader, &record);
        if (read == JOURNAL_READ_END) {
            check_events_stored(entry);
            check_clears_end(entry);
            return true;
        }
        if (read != JOURNAL_READ_RECORD) {
            world_fail("lane %u: entry %llu has a damaged record", entry->lane, (ull)entry->number);
            return true;
        }
        note_record(entry, &record);
    }
}

void check_append_sent(const store_entry_t *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        watched_lane_t *lane = &watch.lanes[entries[i].lane];
        if (entries[i].epoch == lane->left_epoch && entries[i].number > lane->left_number) {
            world_fail("I9: lane %u: entry %llu of epoch %llu is sent after the lane was given up",
                       entries[i].lane, (ull)entries[i].number, (ull)entries[i].epoch);
        }
        if (entries[i].epoch >= lane->sent_epoch) {
            lane->sent_epoch = entries[i].epoch;
            lane->sent_number = entries[i].number;
        }
    }
}

void check_gives_up(const store_hold_t *hold, bool is_appending)
{
    watched_lane_t *lane = &watch.lanes[hold->lane];
    uint64_t sent = lane->sent_epoch == hold->epoch ? lane->sent_number : lane->number;
    if (hold->epoch > lane->left_epoch) {
        lane->left_epoch = hold->epoch;
        lane->left_number = sent + is_appending;
    }
}

void check_appended(const store_entry_t *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t number = watch.lanes[entries[i].lane].number;
        if (entries[i].number <= number && !world.forgot) {
            world_fail("I9: lane %u: entry %llu is written when there was an entry %llu",
                       entries[i].lane, (ull)entries[i].number, (ull)number);
        }
    }
}

/* ---- rows ---- */

/* Which calls have rows, and which rows there should not be. */
typedef struct rows_look {
    uint32_t lane; /* whose checkpoint is complete */
    uint64_t number;
    bool *found; /* by call */
} rows_look_t;

static bool is_scheduled_row(const store_pending_t *row)
{
    return row->due_ms != 0 && row->position == row->id.value;
}

static void look_at_row(void *context, uint32_t lane, const store_pending_t *row)
{
    const rows_look_t *look = context;
    if (lane != look->lane) {
        return;
    }
    uint32_t number = call_by_id(row->id.value);
    if (number == UINT32_MAX) {
        return;
    }
    const watched_call_t *call = &watch.calls[number];
    bool scheduled = is_scheduled_row(row);
    look->found[number] |= scheduled == check_is_scheduled(call);
    if (scheduled && call->moved_in > 0 && call->moved_in <= look->number) {
        world_fail("call %u came due in entry %llu, and is scheduled after the checkpoint of %llu",
                   number, (ull)call->moved_in, (ull)look->number);
    }
    if (call->ended_in > 0 && call->ended_in <= look->number) {
        world_fail("I2: call %u ended in entry %llu, and has a row after the checkpoint of %llu",
                   number, (ull)call->ended_in, (ull)look->number);
    }
    if (row->position != (scheduled ? call->request_id : call->position) ||
        row->number < call->begun_in || row->number > watch.lanes[lane].number) {
        world_fail("call %u, begun in entry %llu, has a row of entry %llu", number,
                   (ull)call->begun_in, (ull)row->number);
    }
    check_row_counts(call, look->number, row);
}

/* The rows of a lane are complete as of `number`: what had not ended then has a row, unless it has
 * ended since. */
static void check_checkpoint(uint32_t lane, uint64_t number)
{
    rows_look_t look = {
        .lane = lane, .number = number, .found = calloc(watch.call_count + 1, sizeof(bool))};
    if (!look.found) {
        abort();
    }
    world_note("checkpoint", lane, number, 0);
    world.result->checkpoints++;
    memory_store_dump_pending(SIMULATION_DATABASE, look_at_row, &look);
    memory_store_dump_scheduled(SIMULATION_DATABASE, look_at_row, &look);
    check_alive_rows(lane, number);
    check_state_rows(lane, number);
    check_event_rows(lane, number);
    for (uint32_t i = 0; i < watch.call_count; i++) {
        const watched_call_t *call = &watch.calls[i];
        if (call->request_id != 0 && call->lane == lane && call->begun_in <= number &&
            call->moved_in <= number && call->ended_in == 0 && !look.found[i]) {
            world_fail("I1: call %u begun in entry %llu, and has no row at the checkpoint of %llu",
                       i, (ull)call->begun_in, (ull)number);
        }
        world.result->rows += look.found[i];
    }
    free(look.found);
}

static void note_dead_row(void *context, uint32_t lane, const store_dead_row_t *row)
{
    uint32_t number =
        lane == *(const uint32_t *)context ? check_find_request(row->id.value) : UINT32_MAX;
    if (number != UINT32_MAX) {
        watch.calls[number].dead_row = true;
    }
}

static void look_for_both(void *context, uint32_t lane, const store_pending_t *row)
{
    uint32_t number =
        lane == *(const uint32_t *)context ? check_find_request(row->id.value) : UINT32_MAX;
    if (number != UINT32_MAX && watch.calls[number].dead_row) {
        world_fail("request %llu is pending and a dead letter by its rows", (ull)row->id.value);
    }
}

/* A slice has all row changes of a message. */
static void check_dead_row(uint32_t lane)
{
    if (world.result->dead_letters > 0) {
        memory_store_dump_dead(SIMULATION_DATABASE, note_dead_row, &lane);
        memory_store_dump_pending(SIMULATION_DATABASE, look_for_both, &lane);
        memory_store_dump_scheduled(SIMULATION_DATABASE, look_for_both, &lane);
    }
}

static void look_at_lane(uint32_t number)
{
    watched_lane_t *lane = &watch.lanes[number];
    memory_store_dump_entries_from(SIMULATION_DATABASE, number, lane->number + 1, note_entry, NULL);
    check_dead_row(number);
    store_lane_t row = memory_store_lane(SIMULATION_DATABASE, number);
    if (row.number < lane->checkpoint || row.number > lane->number) {
        world_fail("lane %u: the checkpoint goes from entry %llu to %llu of %llu", number,
                   (ull)lane->checkpoint, (ull)row.number, (ull)lane->number);
    }
    if (row.number > lane->checkpoint) {
        lane->checkpoint = row.number;
        check_checkpoint(number, row.number);
    }
}

void check_store(void)
{
    uint64_t commits = memory_store_commits(SIMULATION_DATABASE);
    if (commits == watch.commits || world.forgot) {
        return;
    }
    watch.commits = commits;
    for (uint32_t i = 0; i < world.plan.lanes; i++) {
        look_at_lane(i);
    }
}

/* ---- the end ---- */

/* What a lane's rows and its entries after the checkpoint say together. */
typedef struct last_look {
    uint32_t lane;
    journal_fold_t *fold;
    uint64_t standing, dead;
} last_look_t;

static bool fold_entry(void *context, const store_entry_t *entry)
{
    last_look_t *look = context;
    reason_t reason = {{0}};
    if (journal_fold_entry(look->fold, entry, &reason)) {
        world_fail("lane %u: entry %llu cannot be folded: %s", look->lane, (ull)entry->number,
                   reason.text);
    }
    return true;
}

static void count_row(void *context, uint32_t lane, const store_pending_t *row)
{
    last_look_t *look = context;
    const journal_item_t *item = lane == look->lane ? journal_fold_find(look->fold, row->id) : NULL;
    if (lane == look->lane && (!item || item->standing == JOURNAL_PENDING) &&
        !standing_is_cleared(look->fold, row)) {
        world_fail("I1: request %llu has not ended by its row", (ull)row->id.value);
    }
}

static void count_scheduled(void *context, uint32_t lane, const store_pending_t *row)
{
    last_look_t *look = context;
    const journal_item_t *item = lane == look->lane ? journal_fold_find(look->fold, row->id) : NULL;
    bool waits = !item || (item->standing == JOURNAL_PENDING && item->position == item->id.value);
    if (lane == look->lane && waits && !standing_is_cleared(look->fold, row)) {
        world_fail("request %llu is scheduled by its row, and has ended", (ull)row->id.value);
    }
}

static void count_dead_row(void *context, uint32_t lane, const store_dead_row_t *row)
{
    last_look_t *look = context;
    uint32_t number = lane == look->lane ? call_by_id(row->id.value) : UINT32_MAX;
    if (number != UINT32_MAX && watch.calls[number].buried) {
        look->dead++;
    } else if (number != UINT32_MAX) {
        world_fail("I1: request %llu is a dead letter, and has not become one", (ull)row->id.value);
    }
}

static void look_at_items(last_look_t *look)
{
    size_t count;
    const journal_item_t *items = journal_fold_items(look->fold, &count);
    for (size_t i = 0; i < count; i++) {
        if (items[i].standing == JOURNAL_PENDING) {
            world_fail("I1: request %llu has no end in the journal", (ull)items[i].id.value);
        }
    }
}

/* A dead letter has a row, or is in the journal after the checkpoint. */
static void check_dead_letters(const last_look_t *look)
{
    uint64_t expected = 0;
    for (uint32_t i = 0; i < watch.call_count; i++) {
        const watched_call_t *call = &watch.calls[i];
        expected += call->buried && call->lane == look->lane &&
                    call->ended_in <= watch.lanes[look->lane].checkpoint;
    }
    if (look->dead < expected) {
        world_fail("I1: lane %u has %llu dead letters, and rows of %llu", look->lane, (ull)expected,
                   (ull)look->dead);
    }
}

void check_store_at_end(void)
{
    check_store();
    for (uint32_t i = 0; i < world.plan.lanes; i++) {
        store_lane_t row = memory_store_lane(SIMULATION_DATABASE, i);
        last_look_t look = {.lane = i, .fold = journal_fold_new(i, row.number)};
        memory_store_dump_entries_from(SIMULATION_DATABASE, i, row.number + 1, fold_entry, &look);
        look_at_items(&look);
        memory_store_dump_pending(SIMULATION_DATABASE, count_row, &look);
        memory_store_dump_scheduled(SIMULATION_DATABASE, count_scheduled, &look);
        memory_store_dump_dead(SIMULATION_DATABASE, count_dead_row, &look);
        check_dead_letters(&look);
        check_states_at_end(i, look.fold);
        check_told_at_end(i, look.fold);
        journal_fold_destroy(&look.fold);
    }
}
