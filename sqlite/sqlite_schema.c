/* The SQLite file as a whole: migrations, identity, checks before use, facts. */
#include "sqlite/sqlite_schema.h"

#include <stdio.h>
#include <string.h>

#include "core/random.h"
#include "sqlite/sqlite_connection.h"

/* "FABR" in the file's header (bytes 68-71): tells our files from those of programs with tables of
 * the same names. */
#define APPLICATION_ID 0x46414252

/* mailbox has its request id as row id: messages are appended to one tree. reply is a tree by its
 * own key. Neither has a secondary index. */
static const char migration_1[] =
    "PRAGMA application_id = 1178681938;"
    "CREATE TABLE schema_version ("
    "  id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL);"
    "INSERT INTO schema_version (id, version) VALUES (1, 0);"
    "CREATE TABLE cluster ("
    "  id INTEGER PRIMARY KEY CHECK (id = 1), cluster_id BLOB NOT NULL, name TEXT NOT NULL,"
    "  shards_per_group INTEGER NOT NULL);"
    "CREATE TABLE broker ("
    "  incarnation BLOB PRIMARY KEY, machine INTEGER NOT NULL UNIQUE, counter INTEGER NOT NULL,"
    "  name TEXT NOT NULL, router_endpoint TEXT NOT NULL, pub_endpoint TEXT NOT NULL"
    ") WITHOUT ROWID;"
    "CREATE TABLE writer ("
    "  machine INTEGER NOT NULL, lane INTEGER NOT NULL, incarnation BLOB NOT NULL,"
    "  batch INTEGER NOT NULL, high_id INTEGER NOT NULL, PRIMARY KEY (machine, lane)"
    ") WITHOUT ROWID;"
    "CREATE TABLE coordinator ("
    "  id INTEGER PRIMARY KEY CHECK (id = 1), term INTEGER NOT NULL, holder BLOB NOT NULL);"
    "INSERT INTO coordinator (id, term, holder) VALUES (1, 0, zeroblob(16));"
    "CREATE TABLE runner ("
    "  incarnation BLOB PRIMARY KEY, weight INTEGER NOT NULL, name TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE shard_group (number INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE);"
    "CREATE TABLE shard ("
    "  shard INTEGER PRIMARY KEY, home BLOB NOT NULL, home_epoch INTEGER NOT NULL,"
    "  mark INTEGER NOT NULL);"
    "CREATE TABLE entity_type ("
    "  name BLOB PRIMARY KEY, group_number INTEGER NOT NULL, description BLOB NOT NULL"
    ") WITHOUT ROWID;"
    "CREATE TABLE mailbox ("
    "  request_id INTEGER PRIMARY KEY, shard INTEGER NOT NULL, client INTEGER NOT NULL,"
    "  sequence INTEGER NOT NULL, flags INTEGER NOT NULL, deliver_at_ms INTEGER NOT NULL,"
    "  entity_type BLOB NOT NULL, entity_id BLOB NOT NULL, tag BLOB NOT NULL, key_hash BLOB,"
    "  traceparent BLOB NOT NULL, headers BLOB NOT NULL, payload BLOB NOT NULL);"
    "CREATE TABLE reply ("
    "  request_id INTEGER NOT NULL, sequence INTEGER NOT NULL, shard INTEGER NOT NULL,"
    "  status INTEGER NOT NULL, error INTEGER NOT NULL, code INTEGER NOT NULL,"
    "  payload BLOB NOT NULL, PRIMARY KEY (request_id, sequence)) WITHOUT ROWID;"
    "CREATE TABLE attempt (request_id INTEGER PRIMARY KEY, attempts INTEGER NOT NULL);"
    "CREATE TABLE primary_key (hash BLOB PRIMARY KEY, request_id INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE dead_letter ("
    "  request_id INTEGER PRIMARY KEY, shard INTEGER NOT NULL, client INTEGER NOT NULL,"
    "  sequence INTEGER NOT NULL, flags INTEGER NOT NULL, deliver_at_ms INTEGER NOT NULL,"
    "  entity_type BLOB NOT NULL, entity_id BLOB NOT NULL, tag BLOB NOT NULL, key_hash BLOB,"
    "  traceparent BLOB NOT NULL, headers BLOB NOT NULL, payload BLOB NOT NULL,"
    "  cause INTEGER NOT NULL, attempts INTEGER NOT NULL, last_error BLOB NOT NULL);";

static const char migration_2[] =
    "ALTER TABLE attempt ADD COLUMN suspicions INTEGER NOT NULL DEFAULT 0;";

/* migrations[v] leads from version v to v + 1. */
static const char *const migrations[STORE_SCHEMA_VERSION] = {migration_1, migration_2};

static const char count_tables[] =
    "SELECT count(*) FROM sqlite_master WHERE type IN ('table', 'view') AND lower(name) IN ("
    "'schema_version', 'cluster', 'broker', 'writer', 'coordinator', 'runner', 'shard_group',"
    "'shard', 'entity_type', 'mailbox', 'reply', 'attempt', 'primary_key', 'dead_letter')";

/* The one number that a query gives; 0 when it gives none. */
static int read_number(sqlite_store_t *store, const char *sql, int64_t *number)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(store->database, sql, -1, &statement, NULL);
    *number = 0;
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            *number = sqlite3_column_int64(statement, 0);
        }
    }
    sqlite3_finalize(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

fabric_error_t sqlite_schema_status(store_t *base, reason_t *reason, uint32_t *version)
{
    sqlite_store_t *store = sqlite_store_of(base);
    int64_t tables = 0;
    int64_t application = 0;
    int64_t found = 0;
    if (store->dead) {
        return FABRIC_ERROR_STORE_UNAVAILABLE;
    }
    int code = read_number(store, count_tables, &tables);
    if (code == SQLITE_OK) {
        code = read_number(store, "PRAGMA application_id", &application);
    }
    if (code == SQLITE_OK && tables > 0 && application == APPLICATION_ID) {
        code = read_number(store, "SELECT version FROM schema_version WHERE id = 1", &found);
    }
    if ((code & 0xff) == SQLITE_NOTADB || (code & 0xff) == SQLITE_ERROR ||
        (code == SQLITE_OK && tables > 0 && (found < 1 || found > UINT32_MAX))) {
        return reason_set(reason, FABRIC_ERROR_FOREIGN_DATABASE,
                          "store: the SQLite file holds tables of another program");
    }
    if (code != SQLITE_OK) {
        return reason_set(reason, sqlite_error_of(code),
                          "store: cannot read the schema version: %s",
                          sqlite3_errmsg(store->database));
    }
    *version = (uint32_t)found;
    return FABRIC_OK;
}

static fabric_error_t read_cluster(sqlite_store_t *store, bool *found, store_cluster_t *cluster)
{
    *found = false;
    sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_CLUSTER_READ);
    if (sqlite_row(&query)) {
        incarnation_t id = sqlite_column_incarnation(&query, 0);
        memcpy(cluster->id, id.bytes, sizeof cluster->id);
        sqlite_column_string(&query, 1, cluster->name);
        cluster->shards_per_group = sqlite_column_u32(&query, 2);
        *found = true;
    }
    return sqlite_end(&query);
}

static fabric_error_t compare_cluster(const store_cluster_t *found, const char *name,
                                      uint32_t shards_per_group, reason_t *reason)
{
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

static fabric_error_t found_cluster(sqlite_store_t *store, const store_cluster_t *wanted)
{
    incarnation_t id;
    random_bytes(id.bytes, sizeof id.bytes);
    sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_CLUSTER_INSERT);
    sqlite_bind_incarnation(&query, 1, &id);
    sqlite_bind_text(&query, 2, wanted->name);
    sqlite_bind_u64(&query, 3, wanted->shards_per_group);
    return sqlite_run(&query);
}

static fabric_error_t wrong_version(uint32_t version, reason_t *reason)
{
    return reason_set(reason, FABRIC_ERROR_WRONG_SCHEMA_VERSION,
                      "store: the database has schema version %u, this program needs %d%s", version,
                      STORE_SCHEMA_VERSION,
                      version < STORE_SCHEMA_VERSION ? "; run: fabricctl schema apply" : "");
}

/* It is written with the schema's version or not at all: somebody has removed it. A new one would have other shards or another
 * identity than the rest of the tables. */
static fabric_error_t cluster_is_missing(reason_t *reason)
{
    return reason_set(
        reason, FABRIC_ERROR_FOREIGN_DATABASE,
        "store: the SQLite file has Fabric's tables, but no row in cluster, which tells "
        "whose they are and how many shards a group has: restore it from a copy");
}

/* Inside the transaction: other programs may have migrated since the version was first read. */
static fabric_error_t migrate(sqlite_store_t *store, const store_cluster_t *wanted,
                              reason_t *reason)
{
    uint32_t version = 0;
    fabric_error_t error = sqlite_schema_status(&store->base, reason, &version);
    if (!error && version > STORE_SCHEMA_VERSION) {
        error = wrong_version(version, reason);
    }
    bool is_new = version == 0;
    for (; !error && version < STORE_SCHEMA_VERSION; version++) {
        char set_version[80];
        snprintf(set_version, sizeof set_version, "UPDATE schema_version SET version = %u",
                 version + 1);
        error = sqlite_execute(store, migrations[version]);
        if (!error) {
            error = sqlite_execute(store, set_version);
        }
    }
    store_cluster_t cluster;
    bool found = false;
    if (!error) {
        error = read_cluster(store, &found, &cluster);
    }
    if (error) {
        return error;
    }
    if (!found) {
        return is_new ? found_cluster(store, wanted) : cluster_is_missing(reason);
    }
    return compare_cluster(&cluster, wanted->name, wanted->shards_per_group, reason);
}

fabric_error_t sqlite_schema_apply(store_t *base, const store_cluster_t *wanted, reason_t *reason)
{
    sqlite_store_t *store = sqlite_store_of(base);
    uint32_t version = 0;
    /* First without a transaction: a file of somebody else's is not even switched to WAL. */
    fabric_error_t error = sqlite_schema_status(base, reason, &version);
    if (error) {
        return error;
    }
    if (version > STORE_SCHEMA_VERSION) {
        return wrong_version(version, reason);
    }
    error = sqlite_execute(store, "PRAGMA journal_mode = WAL");
    if (!error) {
        error = sqlite_begin(store);
    }
    if (!error) {
        error = sqlite_finish(store, migrate(store, wanted, reason));
    }
    if (error && reason && reason->text[0] == '\0') {
        return reason_set(reason, error, "store: cannot apply the schema: %s",
                          sqlite3_errmsg(store->database));
    }
    return error;
}

fabric_error_t sqlite_check(store_t *base, const char *name, uint32_t shards_per_group,
                            reason_t *reason, store_cluster_t *cluster)
{
    sqlite_store_t *store = sqlite_store_of(base);
    uint32_t version = 0;
    fabric_error_t error = sqlite_schema_status(base, reason, &version);
    if (error) {
        return error;
    }
    if (version != STORE_SCHEMA_VERSION) {
        return wrong_version(version, reason);
    }
    if (sqlite3_db_readonly(store->database, "main") != 0) {
        return reason_set(reason, FABRIC_ERROR_STORE_UNAVAILABLE,
                          "store: the SQLite file is read-only for this process");
    }
    store_cluster_t found_cluster_row;
    bool found = false;
    error = read_cluster(store, &found, &found_cluster_row);
    if (error) {
        return reason_set(reason, error, "store: cannot read the cluster: %s",
                          sqlite3_errmsg(store->database));
    }
    if (!found) {
        return cluster_is_missing(reason);
    }
    error = compare_cluster(&found_cluster_row, name, shards_per_group, reason);
    if (!error) {
        *cluster = found_cluster_row;
    }
    return error;
}

fabric_error_t sqlite_facts(store_t *base, store_facts_t *facts)
{
    sqlite_store_t *store = sqlite_store_of(base);
    sqlite3_stmt *statement = NULL;
    int64_t synchronous = 0;
    char mode[32] = "";
    if (store->dead) {
        return FABRIC_ERROR_STORE_UNAVAILABLE;
    }
    int code = sqlite3_prepare_v2(store->database, "PRAGMA journal_mode", -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            snprintf(mode, sizeof mode, "%s", (const char *)sqlite3_column_text(statement, 0));
        }
    }
    sqlite3_finalize(statement);
    if (code == SQLITE_ROW) {
        code = read_number(store, "PRAGMA synchronous", &synchronous);
    }
    if (code != SQLITE_OK) {
        return sqlite_error_of(code);
    }
    memset(facts, 0, sizeof *facts);
    snprintf(facts->product, sizeof facts->product, "SQLite %s", sqlite3_libversion());
    snprintf(facts->durability, sizeof facts->durability, "journal_mode=%s synchronous=%s", mode,
             synchronous >= 2 ? "full" : "weak");
    /* A journal that is no file at all ("off", "memory") loses more than its tail. */
    facts->durable = synchronous >= 2 && strcmp(mode, "off") != 0 && strcmp(mode, "memory") != 0;
    facts->read_only = sqlite3_db_readonly(store->database, "main") != 0;
    return FABRIC_OK;
}
