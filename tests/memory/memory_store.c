/* The in-memory store: databases by name, what tests do to them, opening, the schema, the table
 * of functions. */
#include "tests/memory/memory_store.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tests/memory/memory_connection.h"

static const char scheme[] = "memory:";

static memory_database_t *databases;

/* ---- databases by name ---- */

static memory_database_t *find_database(const char *name)
{
    for (memory_database_t *database = databases; database; database = database->next) {
        if (strcmp(database->name, name) == 0) {
            return database;
        }
    }
    memory_database_t *made = memory_allocate_zeroed(1, sizeof *made);
    assert(strlen(name) < sizeof made->name);
    snprintf(made->name, sizeof made->name, "%s", name);
    made->next = databases;
    databases = made;
    return made;
}

/* Locks and finds: for the functions that tests call by name. The caller unlocks. */
static memory_database_t *lock_database(const char *name)
{
    memory_lock();
    return find_database(name);
}

void memory_store_reset(const char *name)
{
    memory_database_clear(lock_database(name));
    memory_unlock();
}

void memory_store_free_all(void)
{
    memory_lock();
    while (databases) {
        memory_database_t *next = databases->next;
        memory_database_clear(databases);
        free(databases);
        databases = next;
    }
    memory_unlock();
}

void memory_store_set_time(const char *name, int64_t now_ms)
{
    lock_database(name)->now_ms = now_ms;
    memory_unlock();
}

void memory_store_set_version(const char *name, uint32_t version)
{
    lock_database(name)->version = version;
    memory_unlock();
}

void memory_store_make_foreign(const char *name)
{
    lock_database(name)->foreign = true;
    memory_unlock();
}

void memory_store_lose_cluster(const char *name)
{
    memset(&lock_database(name)->cluster, 0, sizeof(store_cluster_t));
    memory_unlock();
}

void memory_store_lose_entry(const char *name, uint32_t lane, uint64_t number)
{
    memory_entry_remove(lock_database(name), lane, number);
    memory_unlock();
}

void memory_store_set_lane(const char *name, const store_lane_t *lane)
{
    assert(lane->lane < LIMIT_LANES_MAX);
    lock_database(name)->lanes[lane->lane].row = *lane;
    memory_unlock();
}

void memory_store_fault(const char *name, const memory_store_fault_t *fault)
{
    memory_database_t *database = lock_database(name);
    *MEMORY_APPEND(&database->faults) = *fault;
    memory_unlock();
}

void memory_store_clear_faults(const char *name)
{
    lock_database(name)->faults.count = 0;
    memory_unlock();
}

void memory_store_end_running(const char *name, bool commits)
{
    memory_database_t *database = lock_database(name);
    while (database->running.count > 0) {
        if (commits) {
            memory_resume(database, 0);
        } else {
            memory_abandon(database, 0);
        }
    }
    memory_unlock();
}

void memory_store_lose(const char *name, uint32_t appends)
{
    memory_lose_appends(lock_database(name), appends);
    memory_unlock();
}

/* ---- for checkers ---- */

uint64_t memory_store_commits(const char *name)
{
    uint64_t commits = lock_database(name)->commits;
    memory_unlock();
    return commits;
}

store_lane_t memory_store_lane(const char *name, uint32_t lane)
{
    assert(lane < LIMIT_LANES_MAX);
    store_lane_t row = lock_database(name)->lanes[lane].row;
    memory_unlock();
    return row;
}

store_coordinator_t memory_store_coordinator(const char *name)
{
    store_coordinator_t row = lock_database(name)->coordinator;
    memory_unlock();
    return row;
}

bool memory_store_has_broker(const char *name, incarnation_t incarnation)
{
    const memory_database_t *database = lock_database(name);
    bool found = false;
    for (size_t i = 0; i < database->brokers.count; i++) {
        found |= incarnation_equal(database->brokers.items[i].incarnation, incarnation);
    }
    memory_unlock();
    return found;
}

void memory_store_dump_entries(const char *name, uint32_t lane, store_visit_entry_fn *visit,
                               void *context)
{
    memory_store_dump_entries_from(name, lane, 0, visit, context);
}

void memory_store_dump_entries_from(const char *name, uint32_t lane, uint64_t number,
                                    store_visit_entry_fn *visit, void *context)
{
    assert(lane < LIMIT_LANES_MAX);
    const memory_sequence_t *entries = &lock_database(name)->lanes[lane].entries;
    for (size_t i = memory_sequence_from(entries, number); i < entries->places.count; i++) {
        const memory_entry_t *entry = entries->places.items[i].item;
        if (!visit(context, &entry->entry)) {
            break;
        }
    }
    memory_unlock();
}

void memory_store_dump_pending(const char *name, memory_store_visit_pending_fn *visit,
                               void *context)
{
    memory_database_t *database = lock_database(name);
    for (uint32_t lane = 0; lane < LIMIT_LANES_MAX; lane++) {
        for (const memory_entity_t *entity = database->lanes[lane].entities; entity;
             entity = entity->hh.next) {
            for (size_t i = entity->rows.first; i < entity->rows.places.count; i++) {
                const memory_row_t *row = entity->rows.places.items[i].item;
                visit(context, lane, &row->row);
            }
        }
    }
    memory_unlock();
}

void memory_store_dump_scheduled(const char *name, memory_store_visit_pending_fn *visit,
                                 void *context)
{
    const memory_database_t *database = lock_database(name);
    for (uint32_t lane = 0; lane < LIMIT_LANES_MAX; lane++) {
        for (size_t i = 0; i < database->lanes[lane].scheduled.count; i++) {
            visit(context, lane, &database->lanes[lane].scheduled.items[i]->row);
        }
    }
    memory_unlock();
}

void memory_store_dump_kept(const char *name, memory_store_visit_kept_fn *visit, void *context)
{
    const memory_database_t *database = lock_database(name);
    for (uint32_t lane = 0; lane < LIMIT_LANES_MAX; lane++) {
        const memory_sequence_t *kept = &database->lanes[lane].kept;
        for (size_t i = kept->first; i < kept->places.count; i++) {
            visit(context, lane, &((const memory_kept_t *)kept->places.items[i].item)->kept);
        }
    }
    memory_unlock();
}

void memory_store_dump_states(const char *name, memory_store_visit_state_fn *visit, void *context)
{
    const memory_database_t *database = lock_database(name);
    for (uint32_t lane = 0; lane < LIMIT_LANES_MAX; lane++) {
        const memory_sequence_t *states = &database->lanes[lane].states;
        for (size_t i = states->first; i < states->places.count; i++) {
            visit(context, lane, &((const memory_state_t *)states->places.items[i].item)->row);
        }
    }
    memory_unlock();
}

void memory_store_dump_events(const char *name, memory_store_visit_event_fn *visit, void *context)
{
    const memory_database_t *database = lock_database(name);
    for (uint32_t lane = 0; lane < LIMIT_LANES_MAX; lane++) {
        for (const memory_entity_t *entity = database->lanes[lane].histories; entity;
             entity = entity->hh.next) {
            for (size_t i = entity->rows.first; i < entity->rows.places.count; i++) {
                const memory_event_t *event = entity->rows.places.items[i].item;
                visit(context, lane, &event->row);
            }
        }
    }
    memory_unlock();
}

void memory_store_dump_outgoing(const char *name, memory_store_visit_outgoing_fn *visit,
                                void *context)
{
    const memory_database_t *database = lock_database(name);
    for (uint32_t lane = 0; lane < LIMIT_LANES_MAX; lane++) {
        for (size_t i = 0; i < database->lanes[lane].outbox.count; i++) {
            visit(context, lane, &database->lanes[lane].outbox.items[i]->row);
        }
    }
    memory_unlock();
}

void memory_store_dump_dead(const char *name, memory_store_visit_dead_fn *visit, void *context)
{
    memory_database_t *database = lock_database(name);
    for (uint32_t lane = 0; lane < LIMIT_LANES_MAX; lane++) {
        const memory_sequence_t *rows = &database->lanes[lane].dead;
        for (size_t i = rows->first; i < rows->places.count; i++) {
            const memory_dead_row_t *row = rows->places.items[i].item;
            visit(context, lane, &row->row);
        }
    }
    memory_unlock();
}

/* ---- connections ---- */

static fabric_error_t open_locked(memory_store_t *store, const store_options_t *options,
                                  reason_t *reason)
{
    memory_database_t *database = store->database;
    fabric_error_t error = memory_strike_open(store);
    if (error) {
        return reason_set(reason, error, "store: %s", store->base.last_error.text);
    }
    if (options->exclusive && database->holder) {
        return reason_set(reason, FABRIC_ERROR_STORE_LOCKED, "store: '%s' is held by %s",
                          database->name, database->holder_text);
    }
    if (options->exclusive) {
        database->holder = &store->base;
        snprintf(database->holder_text, sizeof database->holder_text, "%.150s",
                 options->holder ? options->holder : "fabric");
    }
    return FABRIC_OK;
}

static fabric_error_t memory_open(const store_options_t *options, reason_t *reason, store_t **store)
{
    const char *url = options->url ? options->url : "";
    bool ours = strncmp(url, scheme, sizeof scheme - 1) == 0;
    const char *name = ours ? url + sizeof scheme - 1 : "";
    if (name[0] == '\0' || strlen(name) > 100) {
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "store: '%.200s' is not like memory:NAME", url);
    }
    memory_store_t *opened = memory_allocate_zeroed(1, sizeof *opened);
    opened->base.driver = &memory_store_driver;
    opened->exclusive = options->exclusive;
    opened->database = lock_database(name);
    fabric_error_t error = open_locked(opened, options, reason);
    memory_unlock();
    if (error) {
        free(opened);
        return error;
    }
    *store = &opened->base;
    return FABRIC_OK;
}

static void memory_close(store_t **store)
{
    memory_store_t *closing = memory_store_of(*store);
    if (!closing) {
        return;
    }
    memory_lock();
    if (closing->database->holder == *store) {
        closing->database->holder = NULL;
    }
    memory_unlock();
    free(closing);
    *store = NULL;
}

/* ---- schema ---- */

static fabric_error_t enter_schema(memory_store_t *store)
{
    return memory_enter(store, MEMORY_STORE_SCHEMA, MEMORY_NO_LANE);
}

static fabric_error_t find_version(const memory_database_t *database, reason_t *reason)
{
    if (database->foreign) {
        return reason_set(reason, FABRIC_ERROR_FOREIGN_DATABASE,
                          "store: '%s' holds tables of another program", database->name);
    }
    if (database->version > STORE_SCHEMA_VERSION) {
        return reason_set(reason, FABRIC_ERROR_WRONG_SCHEMA_VERSION,
                          "store: '%s' has schema version %u, this program needs %d",
                          database->name, database->version, STORE_SCHEMA_VERSION);
    }
    return FABRIC_OK;
}

static fabric_error_t compare_cluster(const store_cluster_t *found, const store_cluster_t *wanted,
                                      reason_t *reason)
{
    if (found->shards_per_group == 0) {
        return reason_set(reason, FABRIC_ERROR_FOREIGN_DATABASE,
                          "store: the cluster's row is missing");
    }
    if (wanted->name[0] != '\0' && strcmp(found->name, wanted->name) != 0) {
        return reason_set(reason, FABRIC_ERROR_FOREIGN_DATABASE,
                          "store: the database belongs to cluster '%s', not to '%s'", found->name,
                          wanted->name);
    }
    if (wanted->shards_per_group != 0 && found->shards_per_group != wanted->shards_per_group) {
        return reason_set(reason, FABRIC_ERROR_SHARDS_MISMATCH,
                          "store: the cluster has %u shards per group, not %u",
                          found->shards_per_group, wanted->shards_per_group);
    }
    if (wanted->lanes != 0 && found->lanes != wanted->lanes) {
        return reason_set(reason, FABRIC_ERROR_SHARDS_MISMATCH,
                          "store: the cluster has %u lanes, not %u", found->lanes, wanted->lanes);
    }
    return FABRIC_OK;
}

static fabric_error_t memory_schema_status(store_t *base, reason_t *reason, uint32_t *version)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = enter_schema(store);
    if (error) {
        return error;
    }
    error = find_version(store->database, reason);
    if (!error || error == FABRIC_ERROR_WRONG_SCHEMA_VERSION) {
        *version = store->database->version;
        error = FABRIC_OK;
    }
    return memory_leave(store, error);
}

static void found_cluster(memory_database_t *database, const store_cluster_t *wanted)
{
    uint32_t lanes = wanted->lanes ? wanted->lanes : memory_store_driver.lanes_default;
    assert(lanes <= LIMIT_LANES_MAX);
    XXH128_hash_t id = XXH3_128bits(database->name, strlen(database->name));
    database->cluster = *wanted;
    memcpy(database->cluster.id, &id, sizeof database->cluster.id);
    database->cluster.lanes = lanes;
    database->cluster.shards_per_group =
        wanted->shards_per_group ? wanted->shards_per_group : STORE_SHARDS_PER_GROUP_DEFAULT;
    for (uint32_t lane = 0; lane < lanes; lane++) {
        store_entry_t first = {.lane = lane,
                               .created_ms = database->now_ms ? database->now_ms : clock_wall_ms(),
                               .adopt = true};
        database->lanes[lane].row.lane = lane;
        memory_entry_insert(database, &first);
    }
}

static fabric_error_t memory_schema_apply(store_t *base, const store_cluster_t *wanted,
                                          reason_t *reason)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = enter_schema(store);
    if (error) {
        return error;
    }
    memory_database_t *database = store->database;
    error = find_version(database, reason);
    if (!error && database->version == 0) {
        database->version = STORE_SCHEMA_VERSION;
        found_cluster(database, wanted);
    } else if (!error) {
        database->version = STORE_SCHEMA_VERSION;
        error = compare_cluster(&database->cluster, wanted, reason);
    }
    return memory_leave(store, error);
}

static fabric_error_t memory_check(store_t *base, const store_cluster_t *wanted, reason_t *reason,
                                   store_cluster_t *cluster)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = enter_schema(store);
    if (error) {
        return error;
    }
    error = find_version(store->database, reason);
    if (!error && store->database->version < STORE_SCHEMA_VERSION) {
        error = reason_set(reason, FABRIC_ERROR_WRONG_SCHEMA_VERSION,
                           "store: the database has schema version %u; run: fabricctl schema apply",
                           store->database->version);
    }
    if (!error) {
        error = compare_cluster(&store->database->cluster, wanted, reason);
    }
    if (!error) {
        *cluster = store->database->cluster;
    }
    return memory_leave(store, error);
}

static fabric_error_t memory_facts(store_t *base, store_facts_t *facts)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = enter_schema(store);
    if (error) {
        return error;
    }
    /* As durable as the process: what the simulator crashes are brokers, not this. */
    *facts = (store_facts_t){.product = "memory", .durability = "process", .durable = true};
    return memory_leave(store, FABRIC_OK);
}

static uint64_t count_of(const memory_sequence_t *sequence)
{
    return sequence->places.count - sequence->first;
}

static uint64_t count_rows(const memory_entity_t *entities)
{
    uint64_t count = 0;
    for (const memory_entity_t *entity = entities; entity; entity = entity->hh.next) {
        count += count_of(&entity->rows);
    }
    return count;
}

static fabric_error_t memory_table_list(store_t *base, store_visit_table_fn *visit, void *context)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = enter_schema(store);
    if (error) {
        return error;
    }
    const memory_database_t *database = store->database;
    uint64_t entries = 0;
    uint64_t pending = 0;
    uint64_t scheduled = 0;
    uint64_t dead = 0;
    uint64_t keys = 0;
    uint64_t states = 0;
    uint64_t events = 0;
    uint64_t outgoing = 0;
    uint64_t kept = 0;
    for (size_t i = 0; i < LIMIT_LANES_MAX; i++) {
        entries += count_of(&database->lanes[i].entries);
        pending += count_rows(database->lanes[i].entities);
        events += count_rows(database->lanes[i].histories);
        scheduled += database->lanes[i].scheduled.count;
        outgoing += database->lanes[i].outbox.count;
        dead += count_of(&database->lanes[i].dead);
        keys += count_of(&database->lanes[i].keys);
        states += count_of(&database->lanes[i].states);
        kept += count_of(&database->lanes[i].kept);
    }
    visit(context, "lane", database->cluster.lanes, database->cluster.lanes * sizeof(store_lane_t));
    visit(context, "journal", entries, entries * sizeof(store_entry_t));
    visit(context, "pending", pending, pending * sizeof(store_pending_t));
    visit(context, "scheduled", scheduled, scheduled * sizeof(store_pending_t));
    visit(context, "dead_letter", dead, dead * sizeof(store_dead_row_t));
    visit(context, "primary_key", keys, keys * sizeof(store_key_t));
    visit(context, "entity_state", states, states * sizeof(store_state_t));
    visit(context, "event", events, events * sizeof(store_event_t));
    visit(context, "outbox", outgoing, outgoing * sizeof(store_outgoing_t));
    visit(context, "kept_alive", kept, kept * sizeof(store_kept_t));
    visit(context, "broker", database->brokers.count,
          database->brokers.count * sizeof(store_broker_t));
    return memory_leave(store, FABRIC_OK);
}

const store_driver_t memory_store_driver = {
    .scheme = "memory",
    .slice_rows_max = STORE_SLICE_ROWS_MAX,
    .lanes_default = 12,
    .open = memory_open,
    .close = memory_close,
    .schema_status = memory_schema_status,
    .schema_apply = memory_schema_apply,
    .check = memory_check,
    .facts = memory_facts,
    .table_list = memory_table_list,
    .broker_join = memory_broker_join,
    .broker_renew = memory_broker_renew,
    .broker_leave = memory_broker_leave,
    .broker_list = memory_broker_list,
    .coordinator_read = memory_coordinator_read,
    .coordinator_take = memory_coordinator_take,
    .group_put = memory_group_put,
    .broker_remove = memory_broker_remove,
    .type_put = memory_type_put,
    .runner_put = memory_runner_put,
    .runner_remove = memory_runner_remove,
    .group_list = memory_group_list,
    .type_list = memory_type_list,
    .first_registration = memory_first_registration,
    .runner_list = memory_runner_list,
    .lane_list = memory_lane_list,
    .lane_assign = memory_lane_assign,
    .lane_give_up = memory_lane_give_up,
    .append = memory_append,
    .append_after = memory_append_after,
    .lane_take = memory_lane_take,
    .journal_replace = memory_journal_replace,
    .read_journal = memory_read_journal,
    .read_journal_back = memory_read_journal_back,
    .purge = memory_purge,
    .checkpoint = memory_checkpoint,
    .load_rows = memory_load_rows,
    .list_backlogs = memory_list_backlogs,
    .find_rows = memory_find_rows,
    .load_scheduled = memory_load_scheduled,
    .count_scheduled = memory_count_scheduled,
    .count_scheduled_type = memory_count_scheduled_type,
    .find_scheduled = memory_find_scheduled,
    .find_places = memory_find_places,
    .find_keys = memory_find_keys,
    .list_keys = memory_list_keys,
    .load_states = memory_load_states,
    .load_events = memory_load_events,
    .load_outgoing = memory_load_outgoing,
    .list_outboxes = memory_list_outboxes,
    .oldest_outgoing = memory_oldest_outgoing,
    .list_kept = memory_list_kept,
};
