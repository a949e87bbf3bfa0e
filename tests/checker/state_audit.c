/* The audit of persisted states: see state_audit.h. */
#include "tests/checker/state_audit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/memory.h"

enum { LINE_SIZE = 200, NAME_SIZE = 80, SHOWN_MAX = 24 };

typedef unsigned long long ull;

/* What an entry has left. */
typedef struct change {
    uint64_t number, hash;
} change_t;

typedef struct audited_state {
    UT_hash_handle hh;
    uint64_t lane;
    change_t *changes; /* by number, at most one for each entry */
    size_t count, capacity;
    bool has_row;
    uint64_t row;         /* the number of its row */
    char name[NAME_SIZE]; /* for what is said */
    size_t key_size;
    uint8_t key[]; /* lane, the size of the type, type, entity */
} audited_state_t;

struct state_audit {
    state_audit_fault_fn *fault;
    void *context;
    audited_state_t *states;
};

state_audit_t *state_audit_new(state_audit_fault_fn *fault, void *context)
{
    state_audit_t *audit = memory_allocate_zeroed(1, sizeof *audit);
    audit->fault = fault;
    audit->context = context;
    return audit;
}

void state_audit_destroy(state_audit_t **audit)
{
    if (*audit) {
        audited_state_t *state;
        audited_state_t *next;
        HASH_ITER(hh, (*audit)->states, state, next)
        {
            HASH_DEL((*audit)->states, state);
            free(state->changes);
            free(state);
        }
        free(*audit);
        *audit = NULL;
    }
}

__attribute__((format(printf, 3, 4))) static void
say(state_audit_t *audit, const audited_state_t *state, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    int size = snprintf(line, sizeof line, "entity_state: %s: ", state->name);
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
static audited_state_t *state_of(state_audit_t *audit, uint64_t lane, fabric_bytes_t type,
                                 fabric_bytes_t entity)
{
    size_t size = 2 + type.size + entity.size;
    audited_state_t *made = memory_allocate_zeroed(1, sizeof *made + size);
    audited_state_t *found = NULL;
    made->lane = lane;
    made->key_size = size;
    made->key[0] = (uint8_t)lane;
    made->key[1] = (uint8_t)type.size;
    memcpy(made->key + 2, type.data, type.size);
    memcpy(made->key + 2 + type.size, entity.data, entity.size);
    HASH_FIND(hh, audit->states, made->key, size, found);
    if (found) {
        free(made);
        return found;
    }
    snprintf(made->name, sizeof made->name, "%.*s %.*s of lane %llu", shown(type),
             (const char *)type.data, shown(entity), (const char *)entity.data, (ull)lane);
    HASH_ADD_KEYPTR(hh, audit->states, made->key, size, made);
    return made;
}

/* Of all that a row repeats. */
static uint64_t hash_of(uint64_t shard, uint64_t version, uint64_t sequence, fabric_bytes_t state)
{
    uint64_t columns[3] = {shard, version, sequence};
    return XXH3_64bits_withSeed(state.data, state.size, XXH3_64bits(columns, sizeof columns));
}

void state_audit_result(state_audit_t *audit, uint64_t lane, uint64_t number,
                        const decoded_record_t *record)
{
    audited_state_t *state = state_of(audit, lane, record->type, record->entity);
    if (state->count == 0 || state->changes[state->count - 1].number != number) {
        state->changes = memory_reserve(state->changes, state->count + 1, &state->capacity,
                                        sizeof *state->changes);
        state->count++;
    }
    state->changes[state->count - 1] =
        (change_t){number, hash_of(record->shard, record->state_version, record->state_sequence,
                                   record->state)};
}

/* The last change up to an entry; NULL: it had no state. */
static const change_t *change_as_of(const audited_state_t *state, uint64_t number)
{
    const change_t *last = NULL;
    for (size_t i = 0; i < state->count && state->changes[i].number <= number; i++) {
        last = &state->changes[i];
    }
    return last;
}

static const change_t *change_with(const audited_state_t *state, uint64_t hash)
{
    for (size_t i = 0; i < state->count; i++) {
        if (state->changes[i].hash == hash) {
            return &state->changes[i];
        }
    }
    return NULL;
}

void state_audit_row(state_audit_t *audit, const audit_state_t *row,
                     const audit_progress_t *progress)
{
    audited_state_t *state = state_of(audit, row->lane, row->type, row->entity);
    if (state->has_row) {
        say(audit, state, "there are two rows");
    }
    state->has_row = true;
    state->row = row->number;
    uint64_t hash = hash_of(row->shard, row->version, row->sequence, row->state);
    const change_t *change = change_as_of(state, row->number);
    const change_t *same = change_with(state, hash);
    if (row->number > progress->last) {
        say(audit, state, "the row bears number %llu, and the journal ends with entry %llu",
            (ull)row->number, (ull)progress->last);
    }
    if (!same) {
        say(audit, state, "no result has stored what the row of entry %llu has", (ull)row->number);
    } else if (!change) {
        say(audit, state, "the row bears number %llu, and its state is of entry %llu",
            (ull)row->number, (ull)same->number);
    } else if (change->hash != hash) {
        say(audit, state, "the row of entry %llu has the state of entry %llu, not of entry %llu",
            (ull)row->number, (ull)same->number, (ull)change->number);
    }
}

static void check(state_audit_t *audit, const audited_state_t *state,
                  const audit_progress_t *progress)
{
    const change_t *last = change_as_of(state, progress->checkpoint);
    if (last && !state->has_row) {
        say(audit, state, "it changed in entry %llu, and has no row as of entry %llu",
            (ull)last->number, (ull)progress->checkpoint);
    } else if (last && state->row < last->number) {
        say(audit, state, "it changed in entry %llu, and its row as of entry %llu is of entry %llu",
            (ull)last->number, (ull)progress->checkpoint, (ull)state->row);
    }
    bool begun = progress->begun > progress->checkpoint; /* a checkpoint that was cut off */
    uint64_t newest = begun ? progress->begun : progress->checkpoint;
    if (state->has_row && state->count > 0 && state->changes[0].number > newest) {
        say(audit, state, "it has a row, and changed first in entry %llu, after that of %llu",
            (ull)state->changes[0].number, (ull)newest);
    }
}

void state_audit_end(state_audit_t *audit, uint64_t lane, const audit_progress_t *progress)
{
    for (const audited_state_t *state = audit->states; state; state = state->hh.next) {
        if (state->lane == lane) {
            check(audit, state, progress);
        }
    }
}
