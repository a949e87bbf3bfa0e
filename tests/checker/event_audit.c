/* The audit of histories: see event_audit.h. */
#include "tests/checker/event_audit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/memory.h"

enum { LINE_SIZE = 200, NAME_SIZE = 80, SHOWN_MAX = 24 };

typedef unsigned long long ull;

/* That of sequence i + 1 has the place i. */
typedef struct audited_event {
    uint64_t number, hash;
    bool has_row;
} audited_event_t;

typedef struct audited_history {
    UT_hash_handle hh;
    uint64_t lane;
    audited_event_t *events;
    size_t count, capacity;
    uint64_t state;       /* the last event that its row of entity_state contains */
    char name[NAME_SIZE]; /* for what is said */
    size_t key_size;
    uint8_t key[]; /* lane, the size of the type, type, entity */
} audited_history_t;

struct event_audit {
    state_audit_fault_fn *fault;
    void *context;
    audited_history_t *histories;
};

event_audit_t *event_audit_new(state_audit_fault_fn *fault, void *context)
{
    event_audit_t *audit = memory_allocate_zeroed(1, sizeof *audit);
    audit->fault = fault;
    audit->context = context;
    return audit;
}

void event_audit_destroy(event_audit_t **audit)
{
    if (*audit) {
        audited_history_t *history;
        audited_history_t *next;
        HASH_ITER(hh, (*audit)->histories, history, next)
        {
            HASH_DEL((*audit)->histories, history);
            free(history->events);
            free(history);
        }
        free(*audit);
        *audit = NULL;
    }
}

__attribute__((format(printf, 3, 4))) static void
say(event_audit_t *audit, const audited_history_t *history, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    int size = snprintf(line, sizeof line, "event: %s: ", history->name);
    va_start(arguments, format);
    vsnprintf(line + size, sizeof line - (size_t)size, format, arguments);
    va_end(arguments);
    audit->fault(audit->context, line);
}

static int shown(fabric_bytes_t name)
{
    return (int)(name.size < SHOWN_MAX ? name.size : SHOWN_MAX);
}

/* The entity's record; made where there is none. */
static audited_history_t *history_of(event_audit_t *audit, uint64_t lane, fabric_bytes_t type,
                                     fabric_bytes_t entity)
{
    size_t size = 2 + type.size + entity.size;
    audited_history_t *made = memory_allocate_zeroed(1, sizeof *made + size);
    audited_history_t *found = NULL;
    made->lane = lane;
    made->key_size = size;
    made->key[0] = (uint8_t)lane;
    made->key[1] = (uint8_t)type.size;
    memcpy(made->key + 2, type.data, type.size);
    memcpy(made->key + 2 + type.size, entity.data, entity.size);
    HASH_FIND(hh, audit->histories, made->key, size, found);
    if (found) {
        free(made);
        return found;
    }
    snprintf(made->name, sizeof made->name, "%.*s %.*s of lane %llu", shown(type),
             (const char *)type.data, shown(entity), (const char *)entity.data, (ull)lane);
    HASH_ADD_KEYPTR(hh, audit->histories, made->key, size, made);
    return made;
}

/* Of all that a row repeats, but for the entry. */
static uint64_t hash_of(const audit_event_t *event)
{
    uint64_t columns[] = {event->shard, event->request_id, (uint64_t)event->recorded_ms,
                          event->version, event->tag.size};
    uint64_t hash = XXH3_64bits(columns, sizeof columns);
    hash = XXH3_64bits_withSeed(event->tag.data, event->tag.size, hash);
    return XXH3_64bits_withSeed(event->payload.data, event->payload.size, hash);
}

/* ---- the journal ---- */

void event_audit_result(event_audit_t *audit, uint64_t lane, uint64_t number,
                        const decoded_record_t *record)
{
    audited_history_t *history = history_of(audit, lane, record->type, record->entity);
    fabric_bytes_t list = record->events;
    decoded_event_t event;
    if (record->first_event != history->count + 1) {
        say(audit, history, "entry %llu has event %llu behind event %zu", (ull)number,
            (ull)record->first_event, history->count);
    }
    while (decode_event(&list, &event)) {
        audit_event_t same = {.shard = record->shard,
                              .request_id = record->id,
                              .version = event.version,
                              .recorded_ms = record->recorded_ms,
                              .tag = event.tag,
                              .payload = event.payload};
        history->events = memory_reserve(history->events, history->count + 1, &history->capacity,
                                         sizeof *history->events);
        history->events[history->count++] =
            (audited_event_t){.number = number, .hash = hash_of(&same)};
    }
}

/* ---- rows ---- */

void event_audit_row(event_audit_t *audit, const audit_event_t *row)
{
    audited_history_t *history = history_of(audit, row->lane, row->type, row->entity);
    if (row->sequence < 1 || row->sequence > history->count) {
        say(audit, history, "there is a row of event %llu, and the journal has %zu",
            (ull)row->sequence, history->count);
        return;
    }
    audited_event_t *event = &history->events[row->sequence - 1];
    if (event->has_row) {
        say(audit, history, "there are two rows of event %llu", (ull)row->sequence);
    }
    event->has_row = true;
    if (event->hash != hash_of(row)) {
        say(audit, history, "the row of event %llu is not what entry %llu has", (ull)row->sequence,
            (ull)event->number);
    } else if (event->number != row->number) {
        say(audit, history, "the row of event %llu bears number %llu, and it is of entry %llu",
            (ull)row->sequence, (ull)row->number, (ull)event->number);
    }
}

void event_audit_state(event_audit_t *audit, const audit_state_t *row)
{
    if (row->sequence > 0) {
        history_of(audit, row->lane, row->type, row->entity)->state = row->sequence;
    }
}

/* ---- the end ---- */

static size_t count_rows(const audited_history_t *history)
{
    size_t rows = 0;
    while (rows < history->count && history->events[rows].has_row) {
        rows++;
    }
    return rows;
}

static void check(event_audit_t *audit, const audited_history_t *history,
                  const audit_progress_t *progress)
{
    size_t rows = count_rows(history);
    for (size_t i = rows; i < history->count; i++) {
        if (history->events[i].has_row) {
            say(audit, history, "event %zu has a row, and event %zu has none", i + 1, rows + 1);
            break;
        }
    }
    if (rows < history->count && history->events[rows].number <= progress->checkpoint) {
        say(audit, history, "event %zu, of entry %llu, has no row as of entry %llu", rows + 1,
            (ull)history->events[rows].number, (ull)progress->checkpoint);
    }
    if (history->state > rows) {
        say(audit, history, "its row of entity_state contains event %llu, and %zu have rows",
            (ull)history->state, rows);
    }
}

void event_audit_end(event_audit_t *audit, uint64_t lane, const audit_progress_t *progress)
{
    for (const audited_history_t *history = audit->histories; history; history = history->hh.next) {
        if (history->lane == lane) {
            check(audit, history, progress);
        }
    }
}
