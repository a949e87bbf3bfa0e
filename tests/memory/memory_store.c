/* The in-memory store: databases by name, faults, connections, schema. */
#include "tests/memory/memory_store.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/hash.h"
#include "tests/memory/memory_connection.h"

static const char scheme[] = "memory:";

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static memory_database_t *databases;

/* ---- databases by name ------------------------------------------------------------------------ */

static memory_database_t *find_database(const char *name)
{
    for (memory_database_t *database = databases; database; database = database->next) {
        if (strcmp(database->name, name) == 0) {
            return database;
        }
    }
    memory_database_t *made = calloc(1, sizeof *made);
    if (!made) {
        abort();
    }
    assert(strlen(name) < sizeof made->name);
    snprintf(made->name, sizeof made->name, "%s", name);
    made->next = databases;
    databases = made;
    return made;
}

/* Locks and finds: for the functions that tests call by name. The caller unlocks. */
static memory_database_t *lock_database(const char *name)
{
    pthread_mutex_lock(&mutex);
    return find_database(name);
}

static void unlock(void)
{
    pthread_mutex_unlock(&mutex);
}

void memory_store_reset(const char *name)
{
    memory_database_clear(lock_database(name));
    unlock();
}

void memory_store_free_all(void)
{
    pthread_mutex_lock(&mutex);
    while (databases) {
        memory_database_t *next = databases->next;
        memory_database_clear(databases);
        free(databases);
        databases = next;
    }
    unlock();
}

void memory_store_set_time(const char *name, int64_t now_ms)
{
    lock_database(name)->now_ms = now_ms;
    unlock();
}

void memory_store_set_version(const char *name, uint32_t version)
{
    lock_database(name)->version = version;
    unlock();
}

void memory_store_make_foreign(const char *name)
{
    lock_database(name)->foreign = true;
    unlock();
}

void memory_store_lose_cluster(const char *name)
{
    memset(&lock_database(name)->cluster, 0, sizeof(store_cluster_t));
    unlock();
}

void memory_store_set_epochs(const char *name, uint64_t even, uint64_t odd)
{
    memory_database_t *database = lock_database(name);
    for (size_t i = 0; i < database->shards.count; i++) {
        store_shard_t *shard = &database->shards.items[i];
        shard->home_epoch = shard->shard.value % 2 ? odd : even;
    }
    unlock();
}

uint64_t memory_store_commits(const char *name)
{
    uint64_t commits = lock_database(name)->commits;
    unlock();
    return commits;
}

void memory_store_dump(const char *name, store_visit_message_fn *visit, void *context)
{
    memory_database_t *database = lock_database(name);
    for (size_t i = 0; i < database->messages.count; i++) {
        memory_message_t *message = database->messages.items[i];
        visit(context, &message->message, message->tally, message->reply);
    }
    unlock();
}

void memory_store_dump_dead_letters(const char *name, memory_store_visit_dead_letter_fn *visit,
                                    void *context)
{
    memory_database_t *database = lock_database(name);
    for (size_t i = 0; i < database->dead_letters.count; i++) {
        visit(context, &database->dead_letters.items[i]->letter);
    }
    unlock();
}

/* ---- faults ----------------------------------------------------------------------------------- */

void memory_store_fault(const char *name, const memory_store_fault_t *fault)
{
    memory_database_t *database = lock_database(name);
    *MEMORY_APPEND(&database->faults) = *fault;
    unlock();
}

void memory_store_clear_faults(const char *name)
{
    lock_database(name)->faults.count = 0;
    unlock();
}

static void lose(memory_database_t *database, uint32_t count)
{
    memory_undo_to(database, count < database->commits ? database->commits - count : 0);
}

void memory_store_lose(const char *name, uint32_t count)
{
    lose(lock_database(name), count);
    unlock();
}

/* Counts the call for all faults; `struck` gets a copy of the first that strikes. */
static bool strike(memory_database_t *database, memory_store_operation_t operation,
                   memory_store_fault_t *struck)
{
    bool found = false;
    for (size_t i = 0; i < database->faults.count; i++) {
        memory_store_fault_t *fault = &database->faults.items[i];
        if (fault->operation != MEMORY_STORE_ANY && fault->operation != operation) {
            continue;
        }
        if (fault->after > 0) {
            fault->after--;
        } else if (fault->times > 0 && !found) {
            fault->times--;
            *struck = *fault;
            found = true;
        }
    }
    return found;
}

static bool changes(memory_store_operation_t operation)
{
    return operation != MEMORY_STORE_READ && operation != MEMORY_STORE_LOAD &&
           operation != MEMORY_STORE_SETTLE && operation != MEMORY_STORE_OPEN &&
           operation != MEMORY_STORE_SCHEMA;
}

/* What a struck call answers before anything is done; OK: it goes on. */
static fabric_error_t suffer(memory_store_t *store, memory_store_operation_t operation,
                             const memory_store_fault_t *fault, store_rejection_t *rejection)
{
    fabric_error_t unknown =
        changes(operation) ? FABRIC_ERROR_STORE_UNKNOWN : FABRIC_ERROR_STORE_UNAVAILABLE;
    store_note_error(&store->base, fault->kind, fault->words ? fault->words : "an injected fault");
    switch (fault->kind) {
    case MEMORY_STORE_UNAVAILABLE:
        return FABRIC_ERROR_STORE_UNAVAILABLE;
    case MEMORY_STORE_DISCONNECTED:
        store->dead = true;
        return FABRIC_ERROR_STORE_UNAVAILABLE;
    case MEMORY_STORE_UNKNOWN_BEFORE:
        store->dead = true;
        return unknown;
    case MEMORY_STORE_UNKNOWN_AFTER:
        store->answer_lost = changes(operation);
        store->dead = true;
        return store->answer_lost ? FABRIC_OK : FABRIC_ERROR_STORE_UNAVAILABLE;
    case MEMORY_STORE_BUSY:
        return FABRIC_ERROR_STORE_BUSY;
    case MEMORY_STORE_REJECTED:
        if (operation != MEMORY_STORE_COMMIT) {
            return FABRIC_ERROR_STORE_UNAVAILABLE;
        }
        *rejection = fault->rejection;
        return FABRIC_ERROR_STORE_REJECTED;
    case MEMORY_STORE_LOSE:
        lose(store->database, fault->lost);
        store->dead = true;
        return unknown;
    }
    abort();
}

/* Begins a call: locks, and answers at once where the connection is dead or a fault strikes. */
fabric_error_t memory_enter(memory_store_t *store, memory_store_operation_t operation,
                            store_rejection_t *rejection)
{
    memory_store_fault_t fault;
    pthread_mutex_lock(&mutex);
    fabric_error_t error = store->dead ? FABRIC_ERROR_STORE_UNAVAILABLE : FABRIC_OK;
    store->answer_lost = false;
    if (!error && strike(store->database, operation, &fault)) {
        error = suffer(store, operation, &fault, rejection);
    }
    if (error) {
        unlock();
    }
    return error;
}

/* Ends a call that memory_enter() let in. */
fabric_error_t memory_leave(memory_store_t *store, fabric_error_t error)
{
    unlock();
    return store->answer_lost ? FABRIC_ERROR_STORE_UNKNOWN : error;
}

/* ---- connections ------------------------------------------------------------------------------ */

static fabric_error_t open_locked(memory_store_t *store, const store_options_t *options,
                                  reason_t *reason)
{
    memory_database_t *database = store->database;
    memory_store_fault_t fault;
    if (strike(database, MEMORY_STORE_OPEN, &fault)) {
        fabric_error_t error = suffer(store, MEMORY_STORE_OPEN, &fault, NULL);
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
    memory_store_t *opened = calloc(1, sizeof *opened);
    if (!opened) {
        abort();
    }
    opened->base.driver = &memory_store_driver;
    opened->database = lock_database(name);
    opened->exclusive = options->exclusive;
    fabric_error_t error = open_locked(opened, options, reason);
    unlock();
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
    pthread_mutex_lock(&mutex);
    if (closing->database->holder == *store) {
        closing->database->holder = NULL;
    }
    unlock();
    free(closing);
    *store = NULL;
}

/* ---- schema ----------------------------------------------------------------------------------- */

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

static fabric_error_t compare_cluster(const store_cluster_t *found, const char *name,
                                      uint32_t shards_per_group, reason_t *reason)
{
    if (found->shards_per_group == 0) {
        return reason_set(reason, FABRIC_ERROR_FOREIGN_DATABASE,
                          "store: the cluster's row is missing");
    }
    if (name[0] != '\0' && strcmp(found->name, name) != 0) {
        return reason_set(reason, FABRIC_ERROR_FOREIGN_DATABASE,
                          "store: the database belongs to cluster '%s', not to '%s'", found->name,
                          name);
    }
    if (shards_per_group != 0 && found->shards_per_group != shards_per_group) {
        return reason_set(reason, FABRIC_ERROR_SHARDS_MISMATCH,
                          "store: the cluster has %u shards per group, not %u",
                          found->shards_per_group, shards_per_group);
    }
    return FABRIC_OK;
}

static fabric_error_t memory_schema_status(store_t *base, reason_t *reason, uint32_t *version)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_SCHEMA, NULL);
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

static fabric_error_t memory_schema_apply(store_t *base, const store_cluster_t *wanted,
                                          reason_t *reason)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_SCHEMA, NULL);
    if (error) {
        return error;
    }
    memory_database_t *database = store->database;
    error = find_version(database, reason);
    if (!error && database->version == 0) {
        XXH128_hash_t id = XXH3_128bits(database->name, strlen(database->name));
        database->version = STORE_SCHEMA_VERSION;
        database->cluster = *wanted;
        memcpy(database->cluster.id, &id, sizeof database->cluster.id);
    } else if (!error) {
        database->version = STORE_SCHEMA_VERSION;
        error = compare_cluster(&database->cluster, wanted->name, wanted->shards_per_group, reason);
    }
    return memory_leave(store, error);
}

static fabric_error_t memory_check(store_t *base, const char *name, uint32_t shards_per_group,
                                   reason_t *reason, store_cluster_t *cluster)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_SCHEMA, NULL);
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
        error = compare_cluster(&store->database->cluster, name, shards_per_group, reason);
    }
    if (!error) {
        *cluster = store->database->cluster;
    }
    return memory_leave(store, error);
}

static fabric_error_t memory_facts(store_t *base, store_facts_t *facts)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_SCHEMA, NULL);
    if (error) {
        return error;
    }
    /* As durable as the process: what the simulator crashes are brokers, not this. */
    *facts = (store_facts_t){.product = "memory", .durability = "process", .durable = true};
    return memory_leave(store, FABRIC_OK);
}

const store_driver_t memory_store_driver = {
    .scheme = "memory",
    .open = memory_open,
    .close = memory_close,
    .schema_status = memory_schema_status,
    .schema_apply = memory_schema_apply,
    .check = memory_check,
    .facts = memory_facts,
    .broker_join = memory_broker_join,
    .broker_renew = memory_broker_renew,
    .broker_leave = memory_broker_leave,
    .broker_list = memory_broker_list,
    .coordinator_read = memory_coordinator_read,
    .coordinator_take = memory_coordinator_take,
    .take_homes = memory_take_homes,
    .group_put = memory_group_put,
    .type_put = memory_type_put,
    .runner_put = memory_runner_put,
    .runner_remove = memory_runner_remove,
    .group_list = memory_group_list,
    .type_list = memory_type_list,
    .runner_list = memory_runner_list,
    .shard_list = memory_shard_list,
    .high_id = memory_high_id,
    .commit = memory_store_commit,
    .settle = memory_settle,
    .load_pending = memory_load_pending,
    .find_calls = memory_find_calls,
    .find_keys = memory_find_keys,
    .find_replies = memory_find_replies,
};
