/* The audit of outgoing messages: see outbox_audit.h. */
#include "tests/checker/outbox_audit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/memory.h"
#include "core/message.h"

enum { LINE_SIZE = 200, LANES_MAX = 16 };

/* In the sequences of the call keys of such messages, as their homes store them. */
#define OUTGOING_BIT (UINT64_C(1) << 63)

typedef unsigned long long ull;

typedef struct call {
    uint64_t client, sequence;
} call_t;

/* A message that a RESULT has told. */
typedef struct told {
    UT_hash_handle hh;
    call_t call; /* the source's id, index + 1: its key */
    uint64_t lane, entry, outgoing_id, index;
    uint64_t shard;
    uint64_t pair;     /* a hash of the two entities */
    uint64_t target;   /* a hash of the target */
    uint64_t contents; /* of what its target's home is to accept */
    uint64_t columns;  /* of all that a row repeats */
    int64_t deliver_at_ms;
    bool keyed;     /* it has a primary key */
    uint64_t ended; /* the entry whose SENT names it; 0: none does */
    uint64_t end_id, cause;
    bool has_row;
    uint64_t accepted; /* id of the MESSAGE with its call key; 0: there is none */
} told_t;

/* A MESSAGE, or a DEAD. */
typedef struct begun {
    UT_hash_handle hh;
    uint64_t id; /* its key */
    call_t call;
    uint64_t lane, entry, target, contents;
    int64_t deliver_at_ms;
    uint64_t dead; /* the entry with its DEAD; 0: it has none */
    bool is_message;
} begun_t;

typedef struct lane {
    uint64_t last_id, before; /* of the present entry, and of the one before it */
    uint64_t outgoing_id;     /* the last one */
} lane_t;

struct outbox_audit {
    state_audit_fault_fn *fault;
    void *context;
    lane_t lanes[LANES_MAX];
    uint64_t lane, entry; /* whose records are told */
    told_t *told;
    begun_t *begun;
};

outbox_audit_t *outbox_audit_new(state_audit_fault_fn *fault, void *context)
{
    outbox_audit_t *audit = memory_allocate_zeroed(1, sizeof *audit);
    audit->fault = fault;
    audit->context = context;
    return audit;
}

void outbox_audit_destroy(outbox_audit_t **audit)
{
    if (!*audit) {
        return;
    }
    told_t *told, *next_told;
    HASH_ITER(hh, (*audit)->told, told, next_told)
    {
        HASH_DEL((*audit)->told, told);
        free(told);
    }
    begun_t *begun, *next_begun;
    HASH_ITER(hh, (*audit)->begun, begun, next_begun)
    {
        HASH_DEL((*audit)->begun, begun);
        free(begun);
    }
    free(*audit);
    *audit = NULL;
}

__attribute__((format(printf, 2, 3))) static void say(outbox_audit_t *audit, const char *format,
                                                      ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    audit->fault(audit->context, line);
}

/* The same about a message that was told. */
__attribute__((format(printf, 3, 4))) static void say_of(outbox_audit_t *audit, const told_t *told,
                                                         const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    int size =
        snprintf(line, sizeof line, "message %llu/%llu that request %llu of lane %llu told ",
                 (ull)told->outgoing_id, (ull)told->index, (ull)told->call.client, (ull)told->lane);
    va_start(arguments, format);
    vsnprintf(line + size, sizeof line - (size_t)size, format, arguments);
    va_end(arguments);
    audit->fault(audit->context, line);
}

/* ---- what is compared ---- */

static uint64_t hash_bytes(fabric_bytes_t bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes.data, bytes.size, seed + bytes.size);
}

static uint64_t hash_number(uint64_t number, uint64_t seed)
{
    return XXH3_64bits_withSeed(&number, sizeof number, seed);
}

static uint64_t hash_entity(fabric_bytes_t type, fabric_bytes_t entity, uint64_t seed)
{
    return hash_bytes(entity, hash_bytes(type, seed));
}

/* What a MESSAGE has of a told one. */
static uint64_t hash_contents(const decoded_told_t *told, fabric_bytes_t traceparent)
{
    uint64_t hash = hash_entity(told->type, told->entity, told->shard);
    hash = hash_bytes(told->payload, hash_bytes(told->tag, hash));
    return hash_bytes(traceparent, hash_bytes(told->headers, hash));
}

static uint64_t hash_columns(const audit_outgoing_t *row)
{
    uint64_t hash = hash_contents(&row->told, row->traceparent);
    hash = hash_number((uint64_t)row->told.deliver_at_ms, hash);
    hash = hash_number(row->told.flags, hash_bytes(row->told.primary_key, hash));
    hash = hash_number(row->source_shard, hash_number(row->source, hash));
    return hash_bytes(row->source_tag, hash_entity(row->source_type, row->source_entity, hash));
}

static told_t *find_told(const outbox_audit_t *audit, uint64_t source, uint64_t index)
{
    told_t *told = NULL;
    call_t call = {source, index + 1};
    HASH_FIND(hh, audit->told, &call, sizeof call, told);
    return told;
}

static begun_t *find_begun(const outbox_audit_t *audit, uint64_t id)
{
    begun_t *begun = NULL;
    HASH_FIND(hh, audit->begun, &id, sizeof id, begun);
    return begun;
}

/* ---- records ---- */

void outbox_audit_entry(outbox_audit_t *audit, uint64_t lane, uint64_t number, uint64_t last_id)
{
    lane_t *entered = &audit->lanes[lane % LANES_MAX];
    entered->before = entered->last_id;
    entered->last_id = last_id;
    audit->lane = lane;
    audit->entry = number;
}

static void add_told(outbox_audit_t *audit, const decoded_record_t *record, uint64_t index,
                     const decoded_told_t *message)
{
    audit_outgoing_t row = {.source = record->id,
                            .source_shard = record->shard,
                            .source_type = record->type,
                            .source_entity = record->entity,
                            .source_tag = record->tag,
                            .told = *message,
                            .traceparent = record->traceparent};
    uint64_t source = hash_entity(record->type, record->entity, 0);
    told_t *told = memory_allocate_zeroed(1, sizeof *told);
    *told = (told_t){.call = {record->id, index + 1},
                     .lane = audit->lane,
                     .entry = audit->entry,
                     .outgoing_id = record->outgoing_id,
                     .index = index,
                     .shard = message->shard,
                     .pair = hash_entity(message->type, message->entity, source),
                     .target = hash_entity(message->type, message->entity, 0),
                     .contents = hash_contents(message, record->traceparent),
                     .columns = hash_columns(&row),
                     .deliver_at_ms = message->deliver_at_ms,
                     .keyed = message->primary_key.size > 0};
    if ((message->flags & (REQUEST_DURABLE | REQUEST_TELL)) != (REQUEST_DURABLE | REQUEST_TELL)) {
        say_of(audit, told, "has flags %llu", (ull)message->flags);
    }
    if (find_told(audit, record->id, index)) {
        say_of(audit, told, "was told twice");
        free(told);
        return;
    }
    HASH_ADD(hh, audit->told, call, sizeof told->call, told);
}

static void take_result(outbox_audit_t *audit, const decoded_record_t *record)
{
    lane_t *lane = &audit->lanes[audit->lane % LANES_MAX];
    fabric_bytes_t list = record->outgoing;
    decoded_told_t message;
    for (uint64_t index = 0; decode_told(&list, &message); index++) {
        add_told(audit, record, index, &message);
    }
    if (record->outgoing_id <= lane->before || record->outgoing_id > lane->last_id) {
        say(audit,
            "entry %llu of lane %llu has outgoing id %llu, its last id is %llu, and that of the "
            "entry before %llu",
            (ull)audit->entry, (ull)audit->lane, (ull)record->outgoing_id, (ull)lane->last_id,
            (ull)lane->before);
    }
    if (record->outgoing_id <= lane->outgoing_id) {
        say(audit, "entry %llu of lane %llu has outgoing id %llu after %llu", (ull)audit->entry,
            (ull)audit->lane, (ull)record->outgoing_id, (ull)lane->outgoing_id);
    }
    lane->outgoing_id = record->outgoing_id;
    if (record->status != STATUS_OK) {
        say(audit, "request %llu ends with status %llu, and tells others something",
            (ull)record->id, (ull)record->status);
    }
}

static void take_sent(outbox_audit_t *audit, const decoded_record_t *record)
{
    fabric_bytes_t list = record->outgoing;
    decoded_end_t end;
    while (decode_end(&list, &end)) {
        told_t *told = find_told(audit, record->id, end.index);
        if (!told || told->outgoing_id != record->outgoing_id || told->lane != audit->lane) {
            say(audit,
                "entry %llu of lane %llu ends message %llu/%llu, which request %llu has not "
                "told before",
                (ull)audit->entry, (ull)audit->lane, (ull)record->outgoing_id, (ull)end.index,
                (ull)record->id);
        } else if (told->ended > 0) {
            say_of(audit, told, "ends in entries %llu and %llu", (ull)told->ended,
                   (ull)audit->entry);
        } else {
            told->ended = audit->entry;
            told->end_id = end.id;
            told->cause = end.cause;
        }
    }
}

static begun_t *begin(outbox_audit_t *audit, uint64_t id)
{
    begun_t *begun = find_begun(audit, id);
    if (!begun) {
        begun = memory_allocate_zeroed(1, sizeof *begun);
        begun->id = id;
        HASH_ADD(hh, audit->begun, id, sizeof begun->id, begun);
    }
    return begun;
}

static void take_message(outbox_audit_t *audit, const decoded_record_t *record)
{
    begun_t *begun = begin(audit, record->id);
    if (begun->is_message) {
        return; /* twice: the audit of journals says so */
    }
    decoded_told_t told = {.shard = record->shard,
                           .type = record->type,
                           .entity = record->entity,
                           .tag = record->tag,
                           .payload = record->payload,
                           .headers = record->headers};
    begun->is_message = true;
    begun->call = (call_t){record->client, record->sequence};
    begun->lane = audit->lane;
    begun->entry = audit->entry;
    begun->deliver_at_ms = record->deliver_at_ms;
    begun->target = hash_entity(record->type, record->entity, 0);
    begun->contents = hash_contents(&told, record->traceparent);
}

void outbox_audit_record(outbox_audit_t *audit, const decoded_record_t *record)
{
    if (record->kind == DECODED_MESSAGE) {
        take_message(audit, record);
    } else if (record->kind == DECODED_DEAD) {
        begun_t *begun = begin(audit, record->id);
        begun->dead = audit->entry;
        begun->lane = audit->lane;
    } else if (record->kind == DECODED_SENT) {
        take_sent(audit, record);
    } else if (record->kind == DECODED_RESULT && record->outgoing_count > 0) {
        take_result(audit, record);
    }
}

/* ---- rows ---- */

static uint64_t lane_of(uint64_t shard, uint64_t lane_count)
{
    return (shard & 0xffff) % lane_count;
}

void outbox_audit_row(outbox_audit_t *audit, const audit_outgoing_t *row, uint64_t lane_count)
{
    told_t *told = find_told(audit, row->source, row->index);
    if (!told || told->outgoing_id != row->outgoing_id || told->lane != row->lane) {
        say(audit, "outbox has message %llu/%llu of lane %llu, which request %llu has not told",
            (ull)row->outgoing_id, (ull)row->index, (ull)row->lane, (ull)row->source);
        return;
    }
    if (told->has_row) {
        say_of(audit, told, "has two rows");
    }
    told->has_row = true;
    if (row->number != told->entry) {
        say_of(audit, told, "in entry %llu has a row of entry %llu", (ull)told->entry,
               (ull)row->number);
    }
    if (hash_columns(row) != told->columns) {
        say_of(audit, told, "has a row of another message");
    }
    if (row->target_lane != lane_of(row->told.shard, lane_count)) {
        say_of(audit, told, "has a row to lane %llu", (ull)row->target_lane);
    }
}

/* ---- the end ---- */

/* The MESSAGEs that have a source's id in their call keys. */
static void match(outbox_audit_t *audit, const begun_t *begun, uint64_t lane_count)
{
    told_t *told =
        begun->call.sequence > OUTGOING_BIT
            ? find_told(audit, begun->call.client, begun->call.sequence - OUTGOING_BIT - 1)
            : NULL;
    if (!told) {
        const begun_t *source = find_begun(audit, begun->call.client);
        if (source && source->is_message) {
            say(audit,
                "request %llu of lane %llu has the call key of request %llu, which has not "
                "told it",
                (ull)begun->id, (ull)begun->lane, (ull)begun->call.client);
        }
        return;
    }
    if (told->accepted) {
        say_of(audit, told, "was accepted as requests %llu and %llu", (ull)told->accepted,
               (ull)begun->id);
        return;
    }
    told->accepted = begun->id;
    bool is_due = begun->deliver_at_ms == 0; /* it was, when it was accepted */
    if (begun->contents != told->contents ||
        (begun->deliver_at_ms != told->deliver_at_ms && !is_due)) {
        say_of(audit, told, "was accepted as request %llu with other contents", (ull)begun->id);
    }
    if (begun->lane != lane_of(told->shard, lane_count)) {
        say_of(audit, told, "was accepted in lane %llu", (ull)begun->lane);
    }
    if (begun->id <= told->outgoing_id ||
        (begun->lane == told->lane && begun->entry < told->entry)) {
        say_of(audit, told, "was accepted as request %llu before it was told", (ull)begun->id);
    }
}

/* What the SENT says. */
static void check_end(outbox_audit_t *audit, const told_t *told)
{
    const begun_t *end = find_begun(audit, told->end_id);
    if (told->cause > 0) {
        if (!end || end->dead != told->ended || end->lane != told->lane) {
            say_of(audit, told, "is said to be dead letter %llu, which entry %llu has not",
                   (ull)told->end_id, (ull)told->ended);
        }
        if (told->accepted) {
            say_of(audit, told, "is said to be a dead letter, and was accepted as request %llu",
                   (ull)told->accepted);
        }
        return;
    }
    bool joined =
        told->keyed && !told->accepted && end && end->is_message && end->target == told->target;
    if (!joined && told->accepted != told->end_id) {
        say_of(audit, told, "is said to be request %llu, and was accepted as %llu",
               (ull)told->end_id, (ull)told->accepted);
    }
}

static void check_row(outbox_audit_t *audit, const told_t *told, const audit_progress_t *progress)
{
    if (told->ended > 0 && told->ended <= progress->checkpoint && told->has_row) {
        say_of(audit, told, "ended in entry %llu, and has a row as of entry %llu", (ull)told->ended,
               (ull)progress->checkpoint);
    }
    if (told->ended == 0 && told->entry <= progress->checkpoint && !told->has_row) {
        say_of(audit, told, "is open since entry %llu, and has no row as of entry %llu",
               (ull)told->entry, (ull)progress->checkpoint);
    }
}

/* Between two entities, in the order in which they were told. */
static int compare_order(const void *left, const void *right)
{
    const told_t *a = *(const told_t *const *)left;
    const told_t *b = *(const told_t *const *)right;
    if (a->pair != b->pair) {
        return a->pair < b->pair ? -1 : 1;
    }
    if (a->outgoing_id != b->outgoing_id) {
        return a->outgoing_id < b->outgoing_id ? -1 : 1;
    }
    return a->index < b->index ? -1 : a->index > b->index;
}

static void check_order(outbox_audit_t *audit)
{
    size_t count = 0;
    const told_t **list = memory_allocate((HASH_COUNT(audit->told) + 1) * sizeof *list);
    for (const told_t *told = audit->told; told; told = told->hh.next) {
        if (told->accepted) {
            list[count++] = told;
        }
    }
    qsort((void *)list, count, sizeof *list, compare_order);
    for (size_t i = 1; i < count; i++) {
        const told_t *before = list[i - 1];
        if (before->pair == list[i]->pair && before->accepted > list[i]->accepted) {
            say_of(audit, list[i], "was accepted as request %llu, and %llu/%llu before it as %llu",
                   (ull)list[i]->accepted, (ull)before->outgoing_id, (ull)before->index,
                   (ull)before->accepted);
        }
    }
    free((void *)list);
}

void outbox_audit_end(outbox_audit_t *audit, const audit_progress_t *lanes, uint64_t lane_count)
{
    for (const begun_t *begun = audit->begun; begun; begun = begun->hh.next) {
        if (begun->is_message) {
            match(audit, begun, lane_count);
        }
    }
    for (const told_t *told = audit->told; told; told = told->hh.next) {
        if (told->ended > 0) {
            check_end(audit, told);
        }
        if (told->lane < lane_count) {
            check_row(audit, told, &lanes[told->lane]);
        }
    }
    check_order(audit);
}

outbox_count_t outbox_audit_count(const outbox_audit_t *audit)
{
    outbox_count_t count = {0};
    for (const told_t *told = audit->told; told; told = told->hh.next) {
        count.told++;
        count.open += told->ended == 0;
    }
    return count;
}
