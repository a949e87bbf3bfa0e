/* The audit of the tables of lanes: see journal_audit.h. */
#include "tests/checker/journal_audit.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/hash.h"
#include "core/memory.h"
#include "core/message.h"

enum { LANES_MAX = 16, LINE_SIZE = 200 };

typedef unsigned long long ull;

typedef struct audited_lane {
    bool known; /* it has a row of `checkpoint` */
    uint64_t checkpoint, checkpoint_begun;
    bool begun; /* an entry was seen; the next five are of the last one */
    uint64_t number, epoch, log_bytes;
    uint8_t incarnation[16];
} audited_lane_t;

typedef struct audited_message {
    UT_hash_handle hh;
    uint64_t id;
    uint64_t lane, position, contents, entity_hash;
    uint64_t begun, ended; /* entry numbers; 0: it has not ended */
    bool dead, has_row, has_dead_row;
    bool scheduled; /* its time has not come: its row, if it has one, lies in another table */
} audited_message_t;

/* An entity that is, or was, kept alive. */
typedef struct audited_kept {
    UT_hash_handle hh;
    uint64_t last;            /* the last entry that speaks of it */
    uint64_t causes;          /* as of that */
    uint64_t before, shard;   /* as of the checkpoint */
    uint64_t row, row_number; /* causes of its row; 0: it has none */
    size_t key_size;
    uint8_t key[]; /* lane, then the size of the type, type, entity */
} audited_kept_t;

struct journal_audit {
    audit_listener_t listener;
    audited_lane_t lanes[LANES_MAX];
    audited_message_t *messages;
    audited_kept_t *kept;
    state_audit_t *states;
    event_audit_t *events;
    outbox_audit_t *outbox;
    uint64_t *dead_told; /* outgoing messages that end as dead letters in the entry */
    size_t dead_told_count, dead_told_capacity;
    const decoded_row_t *row; /* whose records are visited */
};

journal_audit_t *journal_audit_new(const audit_listener_t *listener)
{
    journal_audit_t *audit = memory_allocate_zeroed(1, sizeof *audit);
    audit->listener = *listener;
    audit->states = state_audit_new(listener->fault, listener->context);
    audit->events = event_audit_new(listener->fault, listener->context);
    audit->outbox = outbox_audit_new(listener->fault, listener->context);
    return audit;
}

static void free_kept(journal_audit_t *audit)
{
    audited_kept_t *kept;
    audited_kept_t *next;
    HASH_ITER(hh, audit->kept, kept, next)
    {
        HASH_DEL(audit->kept, kept);
        free(kept);
    }
}

void journal_audit_destroy(journal_audit_t **audit)
{
    if (*audit) {
        audited_message_t *message;
        audited_message_t *next;
        HASH_ITER(hh, (*audit)->messages, message, next)
        {
            HASH_DEL((*audit)->messages, message);
            free(message);
        }
        free_kept(*audit);
        state_audit_destroy(&(*audit)->states);
        event_audit_destroy(&(*audit)->events);
        outbox_audit_destroy(&(*audit)->outbox);
        free((*audit)->dead_told);
        free(*audit);
        *audit = NULL;
    }
}

__attribute__((format(printf, 2, 3))) static void say(journal_audit_t *audit, const char *format,
                                                      ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    audit->listener.fault(audit->listener.context, line);
}

static audited_message_t *find(const journal_audit_t *audit, uint64_t id)
{
    audited_message_t *message = NULL;
    HASH_FIND(hh, audit->messages, &id, sizeof id, message);
    return message;
}

static audited_lane_t *lane_of(journal_audit_t *audit, uint64_t lane)
{
    if (lane < LANES_MAX && audit->lanes[lane].known) {
        return &audit->lanes[lane];
    }
    say(audit, "lane %llu has no row of checkpoint", (ull)lane);
    return NULL;
}

/* ---- the journal ---- */

void journal_audit_checkpoint(journal_audit_t *audit, uint64_t lane, uint64_t number,
                              uint64_t begun)
{
    if (lane >= LANES_MAX) {
        say(audit, "there is no lane %llu", (ull)lane);
        return;
    }
    audit->lanes[lane] =
        (audited_lane_t){.known = true, .checkpoint = number, .checkpoint_begun = begun};
}

/* Which dead letters are outgoing messages that have not become messages of their targets. */
static void note_dead_told(void *context, uint32_t number, const decoded_record_t *record)
{
    journal_audit_t *audit = context;
    fabric_bytes_t list = record->outgoing;
    decoded_end_t end;
    (void)number;
    while (record->kind == DECODED_SENT && decode_end(&list, &end)) {
        audit->dead_told = memory_reserve(audit->dead_told, audit->dead_told_count + 1,
                                          &audit->dead_told_capacity, sizeof *audit->dead_told);
        audit->dead_told[audit->dead_told_count] = end.id;
        audit->dead_told_count += end.cause > 0;
    }
}

static bool is_dead_told(const journal_audit_t *audit, uint64_t id)
{
    for (size_t i = 0; i < audit->dead_told_count; i++) {
        if (audit->dead_told[i] == id) {
            return true;
        }
    }
    return false;
}

static void begin_message(journal_audit_t *audit, const decoded_record_t *record)
{
    if (find(audit, record->id)) {
        say(audit, "request %llu begins twice", (ull)record->id);
        return;
    }
    audited_message_t *message = memory_allocate_zeroed(1, sizeof *message);
    *message = (audited_message_t){.id = record->id,
                                   .lane = audit->row->lane,
                                   .position = record->position,
                                   .contents = record->contents,
                                   .entity_hash = decoded_entity_hash(record->type, record->entity),
                                   .begun = audit->row->number,
                                   .scheduled = record->deliver_at_ms != 0};
    HASH_ADD(hh, audit->messages, id, sizeof message->id, message);
}

static void move_message(journal_audit_t *audit, const decoded_record_t *record)
{
    audited_message_t *message = find(audit, record->id);
    if (!message || !message->scheduled || message->ended) {
        say(audit, "request %llu comes due, and is not scheduled", (ull)record->id);
        return;
    }
    message->scheduled = false;
    message->position = record->position;
    message->begun = audit->row->number;
}

static void end_message(journal_audit_t *audit, const decoded_record_t *record)
{
    if (record->kind == DECODED_DEAD && is_dead_told(audit, record->id)) {
        begin_message(audit, record);
    }
    audited_message_t *message = find(audit, record->id);
    if (!message || message->lane != audit->row->lane) {
        say(audit, "request %llu ends in lane %llu, where it never began", (ull)record->id,
            (ull)audit->row->lane);
        return;
    }
    if (message->ended) {
        say(audit, "request %llu ends in entries %llu and %llu", (ull)record->id,
            (ull)message->ended, (ull)audit->row->number);
        return;
    }
    if (message->contents != record->contents) {
        say(audit, "request %llu ends as a message of other contents", (ull)record->id);
    }
    message->ended = audit->row->number;
    message->dead = record->kind == DECODED_DEAD;
}

/* Only a reply leaves a state or events, and only those of its message's entity. */
static void take_effects(journal_audit_t *audit, const decoded_record_t *record)
{
    const audited_message_t *message = find(audit, record->id);
    if (message && message->entity_hash != decoded_entity_hash(record->type, record->entity)) {
        say(audit, "request %llu ends with %s of another entity", (ull)record->id,
            record->event_count > 0 ? "events" : "the state");
    }
    if (record->status != STATUS_OK) {
        say(audit, "request %llu ends with status %llu and %s", (ull)record->id,
            (ull)record->status, record->event_count > 0 ? "events" : "a state");
    }
    if (record->state.size > 0) {
        state_audit_result(audit->states, audit->row->lane, audit->row->number, record);
    }
    if (record->event_count > 0) {
        event_audit_result(audit->events, audit->row->lane, audit->row->number, record);
    }
}

/* The entity's record; made where there is none. */
static audited_kept_t *kept_of(journal_audit_t *audit, uint64_t lane, fabric_bytes_t type,
                               fabric_bytes_t entity)
{
    size_t size = 2 + type.size + entity.size;
    audited_kept_t *made = memory_allocate_zeroed(1, sizeof *made + size);
    audited_kept_t *found = NULL;
    made->key_size = size;
    made->key[0] = (uint8_t)lane;
    made->key[1] = (uint8_t)type.size;
    memcpy(made->key + 2, type.data, type.size);
    memcpy(made->key + 2 + type.size, entity.data, entity.size);
    HASH_FIND(hh, audit->kept, made->key, size, found);
    if (found) {
        free(made);
        return found;
    }
    HASH_ADD_KEYPTR(hh, audit->kept, made->key, size, made);
    return made;
}

static void keep_alive(journal_audit_t *audit, const decoded_record_t *record)
{
    uint64_t lane = audit->row->lane;
    audited_kept_t *kept = kept_of(audit, lane, record->type, record->entity);
    kept->last = audit->row->number;
    kept->causes = record->causes;
    kept->shard = record->shard;
    if (audit->row->number <= audit->lanes[lane].checkpoint) {
        kept->before = record->causes;
    }
}

/* Ends the entity's messages with smaller ids. Nothing may begin there, or end, afterwards. */
static void clear_entity(journal_audit_t *audit, const decoded_record_t *record)
{
    uint64_t entity_hash = decoded_entity_hash(record->type, record->entity);
    audited_message_t *message;
    audited_message_t *next;
    HASH_ITER(hh, audit->messages, message, next)
    {
        if (message->entity_hash == entity_hash && message->id < record->id && !message->ended) {
            message->ended = audit->row->number;
        }
    }
    keep_alive(audit, record); /* its causes are 0: nothing does any more */
}

static void take_record(void *context, uint32_t number, const decoded_record_t *record)
{
    journal_audit_t *audit = context;
    if (record->kind == DECODED_MESSAGE) {
        begin_message(audit, record);
    } else if (record->kind == DECODED_MOVE) {
        move_message(audit, record);
    } else if (record->kind == DECODED_RESULT || record->kind == DECODED_DEAD) {
        end_message(audit, record);
    } else if (record->kind == DECODED_CLEAR) {
        clear_entity(audit, record);
    } else if (record->kind == DECODED_ALIVE) {
        keep_alive(audit, record);
    }
    if (record->kind == DECODED_RESULT && (record->state.size > 0 || record->event_count > 0)) {
        take_effects(audit, record);
    }
    if (record->kind != DECODED_ADOPT && record->id > audit->row->last_id) {
        say(audit, "entry %llu of lane %llu has request %llu and a smaller last id",
            (ull)audit->row->number, (ull)audit->row->lane, (ull)record->id);
    }
    outbox_audit_record(audit->outbox, record);
    audit->listener.record(audit->listener.context, number, record);
}

/* An epoch begins with an entry that adopts, and belongs to one incarnation. */
static void check_writer(journal_audit_t *audit, const audited_lane_t *lane,
                         const decoded_row_t *row)
{
    bool same = row->epoch == lane->epoch &&
                memcmp(row->incarnation.data, lane->incarnation, sizeof lane->incarnation) == 0;
    if (row->epoch < lane->epoch || (row->epoch == lane->epoch && !same)) {
        say(audit, "entry %llu of lane %llu is by a deposed writer: epoch %llu after %llu",
            (ull)row->number, (ull)row->lane, (ull)row->epoch, (ull)lane->epoch);
    } else if (!same && !row->adopt) {
        say(audit, "entry %llu of lane %llu is by a writer that has not adopted it",
            (ull)row->number, (ull)row->lane);
    }
}

static void check_sequence(journal_audit_t *audit, const audited_lane_t *lane,
                           const decoded_row_t *row)
{
    uint64_t expected = lane->begun ? lane->number + 1 : 0;
    if (row->number != expected) {
        say(audit, "entry %llu of lane %llu is missing", (ull)expected, (ull)row->lane);
    } else if (row->log_bytes != lane->log_bytes + row->calls.size + row->body.size) {
        say(audit, "entry %llu of lane %llu: log_bytes does not add up", (ull)row->number,
            (ull)row->lane);
    }
}

void journal_audit_entry(journal_audit_t *audit, const decoded_row_t *row)
{
    audited_lane_t *lane = lane_of(audit, row->lane);
    if (!lane) {
        return;
    }
    const char *fault = decode_check_row(row);
    if (fault) {
        say(audit, "entry %llu of lane %llu: %s", (ull)row->number, (ull)row->lane, fault);
    }
    check_sequence(audit, lane, row);
    if (row->incarnation.size == sizeof lane->incarnation) {
        if (lane->begun) {
            check_writer(audit, lane, row);
        }
        memcpy(lane->incarnation, row->incarnation.data, sizeof lane->incarnation);
    }
    audit->row = row;
    audit->dead_told_count = 0;
    outbox_audit_entry(audit->outbox, row->lane, row->number, row->last_id);
    decode_body(row->body, note_dead_told, audit); /* its fault was told */
    decode_body(row->body, take_record, audit);
    audit->row = NULL;
    lane->begun = true;
    lane->number = row->number;
    lane->epoch = row->epoch;
    lane->log_bytes = row->log_bytes;
}

/* ---- rows ---- */

/* The message whose record the row's body holds; NULL, and said: it is none of the journal's. */
static audited_message_t *message_of_row(journal_audit_t *audit, const char *table, unsigned kind,
                                         uint64_t lane, uint64_t id, fabric_bytes_t body)
{
    decoded_record_t record;
    const char *fault = decode_record(body, &record);
    audited_message_t *message = find(audit, id);
    if (!message || message->lane != lane) {
        say(audit, "%s has request %llu of lane %llu, which the journal has not", table, (ull)id,
            (ull)lane);
        return NULL;
    }
    if (fault || record.kind != kind || record.id != id || record.contents != message->contents) {
        say(audit, "%s: request %llu: %s", table, (ull)id,
            fault ? fault : "the body is not the message's");
    }
    return message;
}

void journal_audit_pending(journal_audit_t *audit, const audit_pending_t *row)
{
    audited_message_t *message =
        message_of_row(audit, "pending", DECODED_MESSAGE, row->lane, row->request_id, row->body);
    const audited_lane_t *lane = lane_of(audit, row->lane);
    if (!message || !lane) {
        return;
    }
    if (message->has_row) {
        say(audit, "pending has request %llu twice", (ull)row->request_id);
    }
    message->has_row = true;
    if (row->position != message->position || row->entity_hash != message->entity_hash) {
        say(audit, "pending: request %llu has another position or entity", (ull)row->request_id);
    }
    if (row->number < message->begun || row->number > lane->number) {
        say(audit, "pending: request %llu bears number %llu, and began in entry %llu of %llu",
            (ull)row->request_id, (ull)row->number, (ull)message->begun, (ull)lane->number);
    }
    if (message->ended && message->ended <= row->number) {
        say(audit, "pending: request %llu bears number %llu, and had ended in entry %llu",
            (ull)row->request_id, (ull)row->number, (ull)message->ended);
    }
}

void journal_audit_dead(journal_audit_t *audit, uint64_t lane, uint64_t request_id,
                        fabric_bytes_t body)
{
    audited_message_t *message =
        message_of_row(audit, "dead_letter", DECODED_DEAD, lane, request_id, body);
    if (message) {
        message->has_dead_row = true;
    }
}

void journal_audit_kept(journal_audit_t *audit, const audit_kept_t *row)
{
    const audited_lane_t *lane = lane_of(audit, row->lane);
    if (!lane) {
        return;
    }
    audited_kept_t *kept = kept_of(audit, row->lane, row->type, row->entity);
    kept->row = row->causes;
    kept->row_number = row->number;
    if (row->causes == 0 || row->number > lane->number || row->shard != kept->shard) {
        say(audit, "kept_alive has a row of lane %llu that is none: shard %llu, number %llu",
            (ull)row->lane, (ull)row->shard, (ull)row->number);
    }
}

static audit_progress_t progress_of(const audited_lane_t *lane)
{
    return (audit_progress_t){lane->checkpoint, lane->checkpoint_begun, lane->number};
}

void journal_audit_state(journal_audit_t *audit, const audit_state_t *row)
{
    const audited_lane_t *lane = lane_of(audit, row->lane);
    if (lane) {
        audit_progress_t progress = progress_of(lane);
        state_audit_row(audit->states, row, &progress);
        event_audit_state(audit->events, row);
    }
}

void journal_audit_event(journal_audit_t *audit, const audit_event_t *row)
{
    if (lane_of(audit, row->lane)) {
        event_audit_row(audit->events, row);
    }
}

static uint64_t lane_count(const journal_audit_t *audit)
{
    uint64_t count = 0;
    for (size_t i = 0; i < LANES_MAX; i++) {
        count += audit->lanes[i].known;
    }
    return count;
}

void journal_audit_outgoing(journal_audit_t *audit, const audit_outgoing_t *row)
{
    if (lane_of(audit, row->lane)) {
        outbox_audit_row(audit->outbox, row, lane_count(audit));
    }
}

/* ---- the end ---- */

/* A row of a checkpoint that was cut off may know more. */
static void check_kept(journal_audit_t *audit, const audited_kept_t *kept)
{
    uint64_t checkpoint = audit->lanes[kept->key[0]].checkpoint;
    bool cut_off = kept->last > checkpoint;
    if (kept->row != kept->before && !cut_off) {
        say(audit, "kept_alive: an entity of lane %u has causes %llu, and %llu by the journal",
            kept->key[0], (ull)kept->row, (ull)kept->before);
    }
}

static void check_message(journal_audit_t *audit, const audited_message_t *message)
{
    uint64_t checkpoint = audit->lanes[message->lane].checkpoint;
    bool ended = message->ended && message->ended <= checkpoint;
    if (ended && message->has_row) {
        say(audit, "pending still has request %llu, which ended in entry %llu, as of entry %llu",
            (ull)message->id, (ull)message->ended, (ull)checkpoint);
    }
    if (!message->ended && !message->scheduled && message->begun <= checkpoint &&
        !message->has_row) {
        say(audit, "pending lacks request %llu, which began in entry %llu, as of entry %llu",
            (ull)message->id, (ull)message->begun, (ull)checkpoint);
    }
    if (ended && message->dead && !message->has_dead_row) {
        say(audit, "dead_letter lacks request %llu, as of entry %llu", (ull)message->id,
            (ull)checkpoint);
    }
    if (message->has_dead_row && (!message->dead || message->has_row)) {
        say(audit, "dead_letter has request %llu, which is %s", (ull)message->id,
            message->dead ? "pending, too" : "no dead letter");
    }
}

void journal_audit_end(journal_audit_t *audit)
{
    audit_progress_t lanes[LANES_MAX];
    for (uint64_t lane = 0; lane < LANES_MAX; lane++) {
        const audited_lane_t *audited = &audit->lanes[lane];
        audit_progress_t progress = progress_of(audited);
        lanes[lane] = progress;
        if (audited->known && (!audited->begun || audited->checkpoint > audited->number)) {
            say(audit, "lane %llu has a checkpoint at entry %llu beyond its journal", (ull)lane,
                (ull)audited->checkpoint);
        }
        state_audit_end(audit->states, lane, &progress);
        event_audit_end(audit->events, lane, &progress);
    }
    const audited_message_t *message;
    const audited_message_t *next;
    HASH_ITER(hh, audit->messages, message, next)
    {
        check_message(audit, message);
    }
    for (const audited_kept_t *kept = audit->kept; kept; kept = kept->hh.next) {
        check_kept(audit, kept);
    }
    outbox_audit_end(audit->outbox, lanes, lane_count(audit));
}

outbox_count_t journal_audit_outbox(const journal_audit_t *audit)
{
    return outbox_audit_count(audit->outbox);
}
