/* The finder: see finder.h. */
#include "broker/store/finder.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/journal/entry.h"
#include "core/memory.h"
#include "core/message.h"

#define END_OF_JOURNAL ((uint64_t)INT64_MAX) /* above all numbers of entries */

struct finder {
    finder_config_t config;
    connection_t connection;
};

void finder_config_defaults(finder_config_t *config)
{
    config->page_entries = 500;
    config->page_bytes = UINT64_C(4) << 20;
    config->calls_bytes_max = UINT64_C(256) << 20;
    config->bodies_bytes_max = UINT64_C(64) << 20;
    config->time_max_ms = 2000;
}

finder_t *finder_new(const finder_config_t *config, const store_world_t *world)
{
    finder_t *finder = memory_allocate_zeroed(1, sizeof *finder);
    finder->config = *config;
    connection_init(&finder->connection, &config->connection, world);
    return finder;
}

void finder_destroy(finder_t **finder)
{
    if (*finder) {
        connection_clear(&(*finder)->connection);
        free(*finder);
        *finder = NULL;
    }
}

void finder_answer_clear(finder_answer_t *answer)
{
    for (size_t i = 0; i < answer->count; i++) {
        message_destroy(&answer->found[i].message);
    }
    free(answer->found);
    for (size_t i = 0; i < answer->key_count; i++) {
        free((void *)answer->keys[i].reply.payload.data);
    }
    free(answer->keys);
    free(answer->listed);
    *answer = (finder_answer_t){.count = 0};
}

/* One call that is looked for, and where its record is. An end counts more than a beginning. */
typedef struct wanted {
    call_key_t call;
    bool found;
    bool ended;
    bool read;        /* its record was */
    bool passed_over; /* it was not, for the bound of bytes */
    request_id_t id;
    uint64_t number; /* of the entry */
    uint32_t record;
} wanted_t;

/* An entity that was cleared: its messages with smaller ids have ended. */
typedef struct cleared {
    uint64_t entity_hash;
    uint64_t id;
} cleared_t;

typedef struct search {
    finder_t *finder;
    uint32_t lane;
    request_id_t floor;
    wanted_t *wanted; /* by call key, later by entry */
    size_t count;
    cleared_t *cleared; /* by the entries that were read */
    size_t cleared_count, cleared_capacity;
    uint64_t began_ms;
    uint64_t calls_bytes, bodies_bytes;
    uint64_t number;  /* of the last entry that was read; END_OF_JOURNAL: none */
    uint64_t last_id; /* of that entry: no entry below it has a larger id */
    uint64_t unknown; /* at or below this id, something was left out */
    uint64_t lost;    /* the same of what is purged or damaged */
    bool over;        /* the floor is reached, or a bound */
    finder_answer_t answer;
} search_t;

/* For a bound: it is there. */
static void pass_over(search_t *search, uint64_t id)
{
    search->unknown = id > search->unknown ? id : search->unknown;
}

static void leave_out(search_t *search, uint64_t id)
{
    pass_over(search, id);
    search->lost = id > search->lost ? id : search->lost;
}

/* ---- calls ---- */

static int compare_calls(const void *left, const void *right)
{
    const call_key_t *a = &((const wanted_t *)left)->call;
    const call_key_t *b = &((const wanted_t *)right)->call;
    if (a->client != b->client) {
        return a->client < b->client ? -1 : 1;
    }
    return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

static void note_call(search_t *search, const journal_call_t *call, uint64_t number)
{
    wanted_t key = {.call = call->call};
    wanted_t *wanted =
        bsearch(&key, search->wanted, search->count, sizeof *search->wanted, compare_calls);
    if (!wanted || call->id.value <= search->floor.value || (wanted->found && !call->ended)) {
        return;
    }
    wanted->found = true;
    wanted->ended = call->ended;
    wanted->id = call->id;
    wanted->number = number;
    wanted->record = call->record;
}

static void note_clear(search_t *search, const journal_call_t *call)
{
    search->cleared = memory_reserve(search->cleared, search->cleared_count + 1,
                                     &search->cleared_capacity, sizeof *search->cleared);
    search->cleared[search->cleared_count++] = (cleared_t){call->call.client, call->id.value};
}

static bool is_bounded(const search_t *search)
{
    const finder_t *finder = search->finder;
    const store_world_t *world = &finder->connection.world;
    return search->calls_bytes >= finder->config.calls_bytes_max ||
           world->now_ms(world->context) - search->began_ms >= finder->config.time_max_ms;
}

static bool read_calls(void *context, const store_entry_t *entry)
{
    search_t *search = context;
    if (entry->last_id <= search->floor.value) {
        search->over = true;
        return false;
    }
    journal_call_t call;
    bool damaged = false;
    journal_calls_reader_t reader = journal_calls_open(entry->calls);
    while (journal_calls_next(&reader, &call, &damaged)) {
        if (call.clears) {
            note_clear(search, &call);
        } else {
            note_call(search, &call, entry->number);
        }
    }
    if (damaged) {
        leave_out(search, entry->last_id);
    }
    search->calls_bytes += entry->calls.size;
    search->number = entry->number;
    search->last_id = entry->last_id;
    return true;
}

/* Reads calls from the newest entry down until it is through or has done as much as it may. */
static fabric_error_t read_all_calls(search_t *search)
{
    const finder_t *finder = search->finder;
    const connection_t *connection = &finder->connection;
    store_t *store = connection->store;
    while (!search->over && search->number > 0) {
        if (connection_is_stopping(connection)) {
            return FABRIC_ERROR_SHUTTING_DOWN;
        }
        uint64_t before = search->number;
        fabric_error_t error = store->driver->read_journal_back(
            store, search->lane, before == END_OF_JOURNAL ? before : before - 1, STORE_ENTRY_CALLS,
            finder->config.page_entries, finder->config.page_bytes, read_calls, search);
        if (error) {
            return error;
        }
        if (search->number == before) {
            break; /* the journal begins here */
        }
        if (!search->over && is_bounded(search)) {
            pass_over(search, search->last_id);
            search->over = true;
        }
    }
    return FABRIC_OK;
}

/* ---- records ---- */

static void add_found(search_t *search, const store_message_t *message, uint64_t contents,
                      const store_reply_t *reply)
{
    message_chain_t chain = {0};
    finder_answer_t *answer = &search->answer;
    answer->found[answer->count++] = (finder_found_t){
        message_chain_add(&chain, message, (journal_attempts_t){0}, reply), contents};
}

/* The end of a message whose reply is lost: what everyone who asks for it gets. */
static void add_damaged(search_t *search, const wanted_t *wanted)
{
    static const char text[] = "the record of its reply is damaged";
    store_message_t message = {.id = wanted->id, .flags = REQUEST_DURABLE, .call = wanted->call};
    store_reply_t reply = {.id = wanted->id,
                           .status = STATUS_DEFECT,
                           .error = FABRIC_ERROR_ENTITY_DEFECT,
                           .payload = fabric_bytes(text, sizeof text - 1)};
    add_found(search, &message, 0, &reply);
}

/* Entries are read from the newest one down, so those that clear the message have been read. */
static bool is_cleared(const search_t *search, const journal_record_t *record)
{
    for (size_t i = 0; i < search->cleared_count; i++) {
        const cleared_t *cleared = &search->cleared[i];
        if (cleared->entity_hash == record->entity_hash && record->id.value < cleared->id) {
            return true;
        }
    }
    return false;
}

/* A message that has not ended by a record of its own. */
static void add_begun(search_t *search, const journal_record_t *record)
{
    store_reply_t reply = message_cleared_reply(record->id, record->shard);
    add_found(search, &record->message, journal_contents_hash(&record->message),
              is_cleared(search, record) ? &reply : NULL);
    search->answer.found[search->answer.count - 1].message->position = record->position;
}

static void add_record(search_t *search, wanted_t *wanted, const journal_record_t *record)
{
    store_message_t ended = {.id = record->id,
                             .shard = record->shard,
                             .flags = record->message_flags,
                             .call = record->call};
    switch (record->kind) {
    case RECORD_MESSAGE:
    case RECORD_MOVE:
        add_begun(search, record);
        break;
    case RECORD_RESULT:
        add_found(search, &ended, record->contents, &record->reply);
        break;
    case RECORD_DEAD:
        add_found(search, &record->message, journal_contents_hash(&record->message),
                  &record->reply);
        break;
    case RECORD_ADOPT:
    case RECORD_ALIVE:
    case RECORD_ATTEMPT:
    case RECORD_CLEAR:
    case RECORD_SENT:
        return;
    }
    wanted->read = true;
}

typedef struct entry_visit {
    search_t *search;
    wanted_t *first; /* the calls of the entry */
    size_t count;
} entry_visit_t;

static bool read_records(void *context, const store_entry_t *entry)
{
    const entry_visit_t *visit = context;
    if (entry->number != visit->first->number) {
        return false; /* the entry is purged */
    }
    for (size_t i = 0; i < visit->count; i++) {
        wanted_t *wanted = &visit->first[i];
        journal_record_t record;
        journal_read_t read = journal_read_at(entry->body, wanted->record, &record);
        if (read == JOURNAL_READ_RECORD && record.id.value == wanted->id.value) {
            add_record(visit->search, wanted, &record);
        } else if (wanted->ended) {
            add_damaged(visit->search, wanted);
            wanted->read = true;
        }
    }
    visit->search->bodies_bytes += entry->body.size;
    return false;
}

static void pass_over_all(search_t *search, const entry_visit_t *visit)
{
    for (size_t i = 0; i < visit->count; i++) {
        visit->first[i].passed_over = true;
        pass_over(search, visit->first[i].id.value);
    }
}

static int compare_places(const void *left, const void *right)
{
    const wanted_t *a = left;
    const wanted_t *b = right;
    uint64_t a_number = a->found ? a->number : 0;
    uint64_t b_number = b->found ? b->number : 0;
    return a_number > b_number ? -1 : a_number < b_number;
}

/* Reads the records of the calls that were found, each entry once, the newest first. */
static fabric_error_t read_all_records(search_t *search)
{
    store_t *store = search->finder->connection.store;
    search->answer.found = memory_allocate(search->count * sizeof *search->answer.found);
    qsort(search->wanted, search->count, sizeof *search->wanted, compare_places);
    for (size_t i = 0; i < search->count && search->wanted[i].found;) {
        entry_visit_t visit = {.search = search, .first = &search->wanted[i], .count = 1};
        while (i + visit.count < search->count && visit.first[visit.count].found &&
               visit.first[visit.count].number == visit.first->number) {
            visit.count++;
        }
        if (search->bodies_bytes < search->finder->config.bodies_bytes_max) {
            fabric_error_t error =
                store->driver->read_journal(store, search->lane, visit.first->number,
                                            STORE_ENTRY_ALL, 1, UINT64_MAX, read_records, &visit);
            if (error) {
                return error;
            }
        } else {
            pass_over_all(search, &visit);
        }
        i += visit.count;
    }
    for (size_t i = 0; i < search->count; i++) {
        const wanted_t *wanted = &search->wanted[i];
        if (wanted->found && !wanted->read && !wanted->passed_over) {
            leave_out(search, wanted->id.value);
        }
    }
    return FABRIC_OK;
}

/* ---- the purged mark ---- */

static void take_mark(void *context, const store_lane_t *row)
{
    search_t *search = context;
    if (row->lane == search->lane) {
        leave_out(search, row->purged_id);
    }
}

/* A mark that was read before the entries would not tell of those that were purged in between. */
static fabric_error_t read_mark(search_t *search)
{
    store_t *store = search->finder->connection.store;
    return store->driver->lane_list(store, take_mark, search);
}

fabric_error_t finder_find(finder_t *finder, uint32_t lane, request_id_t floor,
                           const call_key_t *calls, size_t call_count, finder_answer_t *answer)
{
    const store_world_t *world = &finder->connection.world;
    search_t search = {.finder = finder,
                       .lane = lane,
                       .floor = floor,
                       .wanted = memory_allocate_zeroed(call_count, sizeof(wanted_t)),
                       .count = call_count,
                       .began_ms = world->now_ms(world->context),
                       .number = END_OF_JOURNAL,
                       .unknown = floor.value};
    for (size_t i = 0; i < call_count; i++) {
        search.wanted[i].call = calls[i];
    }
    qsort(search.wanted, call_count, sizeof *search.wanted, compare_calls);
    fabric_error_t error =
        finder->connection.store ? FABRIC_OK : connection_open(&finder->connection, NULL);
    error = error ? error : read_all_calls(&search);
    error = error ? error : read_all_records(&search);
    error = error ? error : read_mark(&search);
    free(search.wanted);
    free(search.cleared);
    if (error) {
        finder_answer_clear(&search.answer);
        connection_clear(&finder->connection);
        return error;
    }
    search.answer.reached = (request_id_t){search.unknown};
    search.answer.lost = (request_id_t){search.lost};
    *answer = search.answer;
    return FABRIC_OK;
}

/* ---- primary keys ---- */

static void keep_key(void *context, const store_key_t *row)
{
    finder_answer_t *answer = context;
    fabric_bytes_t payload = row->reply.payload;
    uint8_t *copy = payload.size > 0 ? memory_allocate(payload.size) : NULL;
    if (copy) {
        memcpy(copy, payload.data, payload.size);
    }
    answer->keys = memory_reserve(answer->keys, answer->key_count + 1, &answer->key_capacity,
                                  sizeof *answer->keys);
    store_key_t *key = &answer->keys[answer->key_count++];
    *key = *row;
    key->reply.payload = fabric_bytes(copy, payload.size);
}

fabric_error_t finder_find_keys(finder_t *finder, uint32_t lane, const store_key_name_t *names,
                                size_t count, finder_answer_t *answer)
{
    connection_t *connection = &finder->connection;
    fabric_error_t error = connection->store ? FABRIC_OK : connection_open(connection, NULL);
    if (!error) {
        error = connection->store->driver->find_keys(connection->store, lane, names, count,
                                                     keep_key, answer);
    }
    if (error) {
        finder_answer_clear(answer);
        connection_clear(connection);
    }
    return error;
}

static void keep_name(void *context, const store_key_name_t *name)
{
    finder_answer_t *answer = context;
    answer->listed = memory_reserve(answer->listed, answer->listed_count + 1,
                                    &answer->listed_capacity, sizeof *answer->listed);
    answer->listed[answer->listed_count++] = *name;
}

fabric_error_t finder_list_keys(finder_t *finder, uint32_t lane, const store_key_name_t *after,
                                uint32_t limit, finder_answer_t *answer)
{
    connection_t *connection = &finder->connection;
    fabric_error_t error = connection->store ? FABRIC_OK : connection_open(connection, NULL);
    if (!error) {
        error = connection->store->driver->list_keys(connection->store, lane, after, limit,
                                                     keep_name, answer, &answer->listed_all);
    }
    if (error) {
        finder_answer_clear(answer);
        connection_clear(connection);
    }
    return error;
}
