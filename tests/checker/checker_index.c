/* Puts the checker's input in order: see checker_state.h. */
#include "tests/checker/checker_state.h"

#include <stdlib.h>
#include <string.h>

typedef unsigned long long ull;

static void *make(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    if (!memory) {
        abort();
    }
    return memory;
}

/* ---- places ---- */

static void places_begin(places_t *places, size_t capacity)
{
    *places = (places_t){.items = make(capacity, sizeof(place_t)), .capacity = capacity};
}

static void places_end(places_t *places)
{
    HASH_CLEAR(hh, places->table);
    free(places->items);
}

size_t places_find(const places_t *places, uint64_t a, uint64_t b)
{
    pair_t name = {a, b};
    place_t *found = NULL;
    HASH_FIND(hh, places->table, &name, sizeof name, found);
    return found ? found->index : NOWHERE;
}

/* The name must not be there. */
static void places_add(places_t *places, uint64_t a, uint64_t b, size_t index)
{
    if (places->count == places->capacity) {
        abort(); /* each place was counted */
    }
    place_t *place = &places->items[places->count++];
    *place = (place_t){.name = {a, b}, .index = index};
    HASH_ADD(hh, places->table, name, sizeof place->name, place);
}

/* ---- histories ---- */

static call_t *call_of(checker_t *checker, const history_record_t *record)
{
    size_t index = places_find(&checker->call_places, record->client, record->number);
    return index == NOWHERE ? NULL : &checker->calls[index];
}

static void add_invoked(checker_t *checker, const history_record_t *record)
{
    call_t *call = call_of(checker, record);
    if (!call) {
        places_add(&checker->call_places, record->client, record->number, checker->call_count);
        call = &checker->calls[checker->call_count++];
        *call = (call_t){.invoked = record,
                         .flags = record->flags,
                         .accepted_us = UINT64_MAX,
                         .message = NOWHERE};
    }
    call->flags |= record->flags;
    call->sends++;
}

static void note_accepted(checker_t *checker, call_t *call, const history_record_t *record)
{
    if (!(call->flags & HISTORY_DURABLE) || record->request_id == 0) {
        return;
    }
    if (call->request_id != 0 && call->request_id != record->request_id) {
        checker_say(checker, CHECKER_DOUBLED,
                    "call %u/%llu was told to be accepted as request %llu and as %llu",
                    record->client, (ull)record->number, (ull)call->request_id,
                    (ull)record->request_id);
    }
    call->request_id = record->request_id;
    if (call->accepted_us == UINT64_MAX) {
        call->accepted_us = record->at_us;
    }
}

static void note_replied(checker_t *checker, call_t *call, const history_record_t *record)
{
    if (record->execution.process == 0) {
        checker_say(checker, CHECKER_REPLY, "call %u/%llu got a reply that is not to it",
                    record->client, (ull)record->number);
    }
    if (call->reply && call->reply->reply_hash != record->reply_hash) {
        checker_say(checker, CHECKER_REPLY, "call %u/%llu got two different replies",
                    record->client, (ull)record->number);
    }
    call->reply = record;
}

static void add_outcome(checker_t *checker, const history_record_t *record)
{
    call_t *call = call_of(checker, record);
    if (!call) {
        return; /* a torn record before it; its contents decide */
    }
    switch ((history_kind_t)record->kind) {
    case HISTORY_REPLIED:
        note_replied(checker, call, record);
        note_accepted(checker, call, record);
        break;
    case HISTORY_ACCEPTED:
        note_accepted(checker, call, record);
        break;
    case HISTORY_UNKNOWN:
        call->unknowns++;
        note_accepted(checker, call, record);
        return;
    case HISTORY_FAILED:
        call->failures++;
        call->error = record->error;
        note_accepted(checker, call, record);
        break;
    case HISTORY_REJECTED:
        call->rejections++;
        break;
    case HISTORY_INVOKED:
    case HISTORY_START:
    case HISTORY_END:
        return;
    }
    checker->report->settled += call->sends > 1;
}

static size_t activation_of(checker_t *checker, const history_record_t *record)
{
    uint64_t process = record->execution.process;
    size_t index = places_find(&checker->activation_places, process, record->activation);
    if (index == NOWHERE) {
        index = checker->activation_count++;
        places_add(&checker->activation_places, process, record->activation, index);
        checker->activations[index] = (activation_t){.entity = record->entity,
                                                     .home_epoch = record->home_epoch,
                                                     .owner_sequence = record->owner_sequence};
    }
    return index;
}

static void add_start(checker_t *checker, const history_record_t *record)
{
    call_t *call = call_of(checker, record);
    if (!call || call->invoked->entity != record->entity ||
        (call->flags & HISTORY_DURABLE) != (record->flags & HISTORY_DURABLE)) {
        checker_say(checker, CHECKER_INVENTED,
                    "request %llu was handled as call %u/%llu to entity %u, which was never sent",
                    (ull)record->request_id, record->client, (ull)record->number, record->entity);
    } else if (++call->starts > 1 && !(call->flags & HISTORY_DURABLE)) {
        checker_say(checker, CHECKER_VOLATILE, "volatile call %u/%llu was handled %u times",
                    record->client, (ull)record->number, call->starts);
    }
    places_add(&checker->run_places, record->execution.process, record->execution.serial,
               checker->run_count);
    checker->runs[checker->run_count++] =
        (run_t){.start = record, .activation = activation_of(checker, record), .next = NOWHERE};
}

static void add_end(checker_t *checker, const history_record_t *record)
{
    size_t index =
        places_find(&checker->run_places, record->execution.process, record->execution.serial);
    if (index != NOWHERE) {
        checker->runs[index].end = record;
    }
}

static void index_history(checker_t *checker)
{
    const history_t *history = checker->input->history;
    for (size_t i = 0; i < history->count; i++) {
        const history_record_t *record = &history->records[i];
        switch ((history_kind_t)record->kind) {
        case HISTORY_INVOKED:
            add_invoked(checker, record);
            break;
        case HISTORY_START:
            add_start(checker, record);
            break;
        case HISTORY_END:
            add_end(checker, record);
            break;
        case HISTORY_ACCEPTED:
        case HISTORY_REPLIED:
        case HISTORY_FAILED:
        case HISTORY_REJECTED:
        case HISTORY_UNKNOWN:
            add_outcome(checker, record);
            break;
        }
    }
}

/* ---- tables ---- */

static void add_key(checker_t *checker, const table_message_t *row)
{
    size_t other = places_find(&checker->key_places, row->key_client, row->key_sequence);
    if (other != NOWHERE) {
        checker_say(checker, CHECKER_DOUBLED,
                    "call key %llx/%llu is stored as request %llu and %llu", (ull)row->key_client,
                    (ull)row->key_sequence, (ull)checker->messages[other].row->request_id,
                    (ull)row->request_id);
        return;
    }
    places_add(&checker->key_places, row->key_client, row->key_sequence, checker->message_count);
}

/* The call that a message is, by its contents; NOWHERE when there was no such call. */
static size_t call_of_message(checker_t *checker, const table_message_t *row)
{
    size_t index = places_find(&checker->call_places, row->asked.client, row->asked.number);
    call_t *call = index == NOWHERE || !row->readable ? NULL : &checker->calls[index];
    if (!call || call->invoked->entity != row->entity || row->asked.entity != row->entity ||
        !(call->flags & HISTORY_DURABLE) || !(call->flags & HISTORY_TELL) != !row->tell) {
        checker_say(checker, CHECKER_INVENTED,
                    "request %llu (call %u/%llu to entity %u) is stored and was never sent so",
                    (ull)row->request_id, row->asked.client, (ull)row->asked.number, row->entity);
        return NOWHERE;
    }
    if (call->message != NOWHERE) {
        checker_say(checker, CHECKER_DOUBLED, "call %u/%llu is stored as request %llu and %llu",
                    row->asked.client, (ull)row->asked.number,
                    (ull)checker->messages[call->message].row->request_id, (ull)row->request_id);
        return index;
    }
    call->message = checker->message_count;
    return index;
}

static void add_message(checker_t *checker, const table_message_t *row)
{
    add_key(checker, row);
    places_add(&checker->message_places, row->request_id, 0, checker->message_count);
    message_t *message = &checker->messages[checker->message_count];
    *message = (message_t){.row = row, .first_run = NOWHERE, .counted = NOWHERE};
    message->call = call_of_message(checker, row);
    checker->message_count++;
}

static void index_replies(checker_t *checker)
{
    const table_dump_t *tables = checker->input->tables;
    for (size_t i = 0; i < tables->reply_count; i++) {
        const table_reply_t *reply = &tables->replies[i];
        size_t index = places_find(&checker->message_places, reply->request_id, 0);
        if (index != NOWHERE) {
            checker->messages[index].reply = reply;
            checker->report->replies++;
        } else if (reply->readable) {
            checker_say(checker, CHECKER_INVENTED,
                        "a reply is stored for request %llu, which is not", (ull)reply->request_id);
        }
    }
    for (size_t i = 0; i < tables->dead_letter_count; i++) {
        size_t index = places_find(&checker->message_places, tables->dead_letters[i].request_id, 0);
        if (index != NOWHERE) {
            checker->messages[index].dead = true;
        }
    }
}

/* Attaches each ended execution to its message. */
static void index_runs(checker_t *checker)
{
    for (size_t i = 0; i < checker->run_count; i++) {
        run_t *run = &checker->runs[i];
        if (!run->end || !(run->start->flags & HISTORY_DURABLE)) {
            continue;
        }
        size_t index = places_find(&checker->message_places, run->start->request_id, 0);
        if (index == NOWHERE) {
            checker_say(checker, CHECKER_INVENTED, "request %llu was handled and is not stored",
                        (ull)run->start->request_id);
            continue;
        }
        run->next = checker->messages[index].first_run;
        checker->messages[index].first_run = i;
        checker->messages[index].ended_runs++;
    }
}

void checker_index(checker_t *checker)
{
    const history_t *history = checker->input->history;
    const table_dump_t *tables = checker->input->tables;
    checker->calls = make(history->count, sizeof *checker->calls);
    checker->runs = make(history->count, sizeof *checker->runs);
    checker->activations = make(history->count, sizeof *checker->activations);
    checker->messages = make(tables->message_count, sizeof *checker->messages);
    places_begin(&checker->call_places, history->count);
    places_begin(&checker->run_places, history->count);
    places_begin(&checker->activation_places, history->count);
    places_begin(&checker->message_places, tables->message_count);
    places_begin(&checker->key_places, tables->message_count);
    index_history(checker);
    for (size_t i = 0; i < tables->message_count; i++) {
        if (tables->messages[i].fold) {
            add_message(checker, &tables->messages[i]);
        }
    }
    index_replies(checker);
    index_runs(checker);
}

void checker_index_free(checker_t *checker)
{
    places_end(&checker->call_places);
    places_end(&checker->run_places);
    places_end(&checker->activation_places);
    places_end(&checker->message_places);
    places_end(&checker->key_places);
    free(checker->calls);
    free(checker->runs);
    free(checker->activations);
    free(checker->messages);
}
