/* Status, migration and check of the schema, and the server's facts. */
#include <stdio.h>
#include <stdlib.h>

#include "core/random.h"
#include "mysql/mysql_connection.h"
#include "mysql/mysql_migrations.h"
#include "mysql/mysql_operations.h"

/* What is there of our tables. */
typedef struct schema_found {
    uint32_t version; /* 0: no table, or a first migration that broke off */
    size_t tables;    /* of the present version's */
    size_t expected;
} schema_found_t;

static bool same_text(fabric_bytes_t bytes, const char *text)
{
    return fabric_bytes_equal(bytes, fabric_bytes_of(text));
}

static const char *table_of_ours(fabric_bytes_t name)
{
    for (size_t i = 0; mysql_tables[i]; i++) {
        if (same_text(name, mysql_tables[i])) {
            return mysql_tables[i];
        }
    }
    return NULL;
}

/* Looks at the tables that bear our names. */
static fabric_error_t look_at_tables(mysql_store_t *store, reason_t *reason, schema_found_t *found,
                                     bool *has_version)
{
    statement_rows_t *rows = NULL;
    bool more = false;
    statement_begin(&store->session);
    fabric_error_t error = statement_query(&store->session, STATEMENT_TABLE_LIST, 1, &rows);
    while (!error && (error = statement_next(rows, &more)) == FABRIC_OK && more) {
        const char *table = table_of_ours(statement_bytes(rows, 0));
        if (!table) {
            continue;
        }
        found->tables++;
        *has_version = *has_version || strcmp(table, "schema_version") == 0;
        if (!same_text(statement_bytes(rows, 2), MYSQL_TABLE_COMMENT)) {
            error = reason_set(reason, FABRIC_ERROR_FOREIGN_DATABASE,
                               "store: database '%s' holds a table '%s' of another program: use a "
                               "database of its own",
                               store->url.database, table);
        } else if (!same_text(statement_bytes(rows, 1), "InnoDB")) {
            error = reason_set(reason, FABRIC_ERROR_FOREIGN_DATABASE,
                               "store: table '%s' is not InnoDB: run ALTER TABLE %s ENGINE=InnoDB",
                               table, table);
        }
    }
    statement_end(rows);
    return error;
}

static fabric_error_t read_version(mysql_store_t *store, uint32_t *version)
{
    statement_rows_t *rows = NULL;
    bool found = false;
    statement_begin(&store->session);
    fabric_error_t error =
        statement_query_one(&store->session, STATEMENT_VERSION_READ, &rows, &found);
    if (!error && found) {
        *version = (uint32_t)statement_u64(rows, 0);
    }
    statement_end(rows);
    return error;
}

static fabric_error_t look(mysql_store_t *store, reason_t *reason, schema_found_t *found)
{
    schema_found_t seen = {0};
    bool has_version = false;
    while (mysql_tables[seen.expected]) {
        seen.expected++;
    }
    fabric_error_t error = look_at_tables(store, reason, &seen, &has_version);
    if (!error && has_version) {
        error = read_version(store, &seen.version);
    }
    if (!error) {
        *found = seen;
    }
    return error;
}

static fabric_error_t begin(mysql_store_t *store, reason_t *reason)
{
    if (reason) {
        reason->text[0] = 0;
    }
    return mysql_begin(store);
}

/* An error that has no reason yet gets the server's words. */
static fabric_error_t explain(mysql_store_t *store, reason_t *reason, fabric_error_t error)
{
    if (fabric_error_class(error) == FABRIC_CLASS_RETRY && reason && !reason->text[0]) {
        return reason_set(reason, error, "store: database '%s': %s", store->url.database,
                          store_error_text(&store->base, error));
    }
    return error;
}

fabric_error_t mysql_schema_status(store_t *base, reason_t *reason, uint32_t *version)
{
    mysql_store_t *store = mysql_store_of(base);
    schema_found_t found = {0};
    fabric_error_t error = begin(store, reason);
    error = error ? error : look(store, reason, &found);
    error = mysql_end_read(store, explain(store, reason, error));
    if (!error) {
        *version = found.version;
    }
    return error;
}

/* `found` gets whether the cluster has been founded. */
static fabric_error_t read_cluster(mysql_store_t *store, store_cluster_t *cluster, bool *found)
{
    statement_rows_t *rows = NULL;
    statement_begin(&store->session);
    fabric_error_t error =
        statement_query_one(&store->session, STATEMENT_CLUSTER_READ, &rows, found);
    incarnation_t id;
    if (!error && *found) {
        *found = statement_incarnation(rows, 0, &id);
        memcpy(cluster->id, id.bytes, sizeof cluster->id);
        statement_text(rows, 1, cluster->name, sizeof cluster->name);
        cluster->shards_per_group = (uint32_t)statement_u64(rows, 2);
    }
    statement_end(rows);
    return error;
}

/* Compares with what is wanted; an empty name or 0 shards: not given. */
static fabric_error_t agree(const store_cluster_t *cluster, const char *name,
                            uint32_t shards_per_group, reason_t *reason)
{
    if (name && *name && strcmp(name, cluster->name) != 0) {
        return reason_set(reason, FABRIC_ERROR_FOREIGN_DATABASE,
                          "store: the database belongs to cluster '%.100s', not to '%.100s'",
                          cluster->name, name);
    }
    if (shards_per_group != 0 && shards_per_group != cluster->shards_per_group) {
        return reason_set(reason, FABRIC_ERROR_SHARDS_MISMATCH,
                          "store: the cluster was created with shards_per_group=%u, not %u",
                          cluster->shards_per_group, shards_per_group);
    }
    return FABRIC_OK;
}

static fabric_error_t found_cluster(mysql_store_t *store, const store_cluster_t *wanted)
{
    mysql_session_t *session = &store->session;
    incarnation_t none = {{0}};
    uint8_t id[16];
    random_bytes(id, sizeof id);
    statement_begin(session);
    statement_put_bytes(session, fabric_bytes(id, sizeof id));
    statement_put_bytes(session, fabric_bytes_of(wanted->name));
    statement_put_u64(session, wanted->shards_per_group);
    fabric_error_t error = statement_run(session, STATEMENT_CLUSTER_INSERT, 1, NULL);
    if (!error) {
        statement_begin(session);
        statement_put_incarnation(session, &none);
        error = statement_run(session, STATEMENT_COORDINATOR_INSERT, 1, NULL);
    }
    return error;
}

/* Somebody has removed it. A new one would have other shards or another identity than the rest of the tables. */
static fabric_error_t cluster_is_missing(const mysql_store_t *store, reason_t *reason)
{
    return reason_set(
        reason, FABRIC_ERROR_FOREIGN_DATABASE,
        "store: database '%s' has Fabric's tables, but no row in cluster, which tells "
        "whose they are and how many shards a group has: restore it from a copy",
        store->url.database);
}

/* In the transaction of the first migration's version, so that tables with a version have a cluster. */
static fabric_error_t find_or_found_cluster(mysql_store_t *store, const store_cluster_t *wanted,
                                            reason_t *reason, store_cluster_t *cluster)
{
    bool founded = false;
    fabric_error_t error = read_cluster(store, cluster, &founded);
    if (!error && !founded) {
        *cluster = *wanted;
        error = found_cluster(store, wanted);
        /* There is a coordinator's row, which is made with the cluster's. */
        error = error == FABRIC_ERROR_STORE_REJECTED ? cluster_is_missing(store, reason) : error;
    }
    return error;
}

static fabric_error_t migrate(mysql_store_t *store, uint32_t version)
{
    fabric_error_t error = FABRIC_OK;
    const char *const *statements = mysql_migration(version);
    for (size_t i = 0; !error && statements[i]; i++) {
        error = mysql_session_execute(&store->session, statements[i]);
    }
    if (!error) {
        statement_begin(&store->session);
        statement_put_u64(&store->session, version);
        error = statement_run(&store->session, STATEMENT_VERSION_INSERT, 1, NULL);
    }
    return error;
}

/* Under the lock: migrates, founds, commits and compares. */
static fabric_error_t apply_locked(mysql_store_t *store, const store_cluster_t *wanted,
                                   reason_t *reason)
{
    schema_found_t found;
    store_cluster_t cluster = {0};
    fabric_error_t error = look(store, reason, &found);
    if (!error && found.version > STORE_SCHEMA_VERSION) {
        error = reason_set(reason, FABRIC_ERROR_WRONG_SCHEMA_VERSION,
                           "store: the database has schema version %u, newer than this program's "
                           "%u: install the newer release",
                           found.version, STORE_SCHEMA_VERSION);
    }
    for (uint32_t version = error ? STORE_SCHEMA_VERSION : found.version;
         !error && version < STORE_SCHEMA_VERSION; version++) {
        error = migrate(store, version + 1);
        error = error ? error : find_or_found_cluster(store, wanted, reason, &cluster);
    }
    error = error ? error : find_or_found_cluster(store, wanted, reason, &cluster);
    error = error ? error : agree(&cluster, wanted->name, wanted->shards_per_group, reason);
    return mysql_end(store, error);
}

/* A named lock between administrators who live at the same time; correctness does not rest on it,
 * because every statement of a migration can be repeated. */
static fabric_error_t named_lock(mysql_store_t *store, statement_id_t id, bool *done)
{
    statement_rows_t *rows = NULL;
    bool found = false;
    statement_begin(&store->session);
    fabric_error_t error = statement_query_one(&store->session, id, &rows, &found);
    *done = !error && found && statement_u64(rows, 0) == 1;
    statement_end(rows);
    return error;
}

fabric_error_t mysql_schema_apply(store_t *base, const store_cluster_t *wanted, reason_t *reason)
{
    mysql_store_t *store = mysql_store_of(base);
    bool locked = false;
    fabric_error_t error = begin(store, reason);
    error = error ? error : named_lock(store, STATEMENT_LOCK_TAKE, &locked);
    if (!error && !locked) {
        error =
            reason_set(reason, FABRIC_ERROR_STORE_BUSY,
                       "store: another process is migrating database '%s'", store->url.database);
    }
    if (!error) {
        error = apply_locked(store, wanted, reason);
    }
    error = explain(store, reason, error);
    if (locked && !store->session.lost) {
        (void)named_lock(store, STATEMENT_LOCK_RELEASE, &locked);
    }
    return mysql_end_read(store, error);
}

/* The settings that checks and facts rest on. */
typedef struct settings {
    bool read_only;
    uint64_t flush_log;
    uint64_t sync_binlog;
    uint64_t log_bin;
    char version[64];
} settings_t;

static fabric_error_t read_settings(mysql_store_t *store, settings_t *settings)
{
    statement_rows_t *rows = NULL;
    bool found = false;
    statement_begin(&store->session);
    fabric_error_t error = statement_query_one(&store->session, STATEMENT_SETTINGS, &rows, &found);
    if (!error && found) {
        settings->read_only = statement_u64(rows, 0) != 0;
        settings->flush_log = statement_u64(rows, 1);
        settings->sync_binlog = statement_u64(rows, 2);
        settings->log_bin = statement_u64(rows, 3);
        statement_text(rows, 4, settings->version, sizeof settings->version);
    }
    statement_end(rows);
    return error;
}

static fabric_error_t check_all(mysql_store_t *store, const char *name, uint32_t shards_per_group,
                                reason_t *reason, store_cluster_t *cluster)
{
    schema_found_t found = {0};
    settings_t settings = {0};
    bool founded = false;
    fabric_error_t error = look(store, reason, &found);
    if (!error && (found.version != STORE_SCHEMA_VERSION || found.tables != found.expected)) {
        error = reason_set(
            reason, FABRIC_ERROR_WRONG_SCHEMA_VERSION,
            "store: database '%s' has schema version %u with %zu of %zu tables, this "
            "program needs version %u: run fabricctl schema apply",
            store->url.database, found.version, found.tables, found.expected, STORE_SCHEMA_VERSION);
    }
    error = error ? error : read_cluster(store, cluster, &founded);
    if (!error && !founded) {
        error = cluster_is_missing(store, reason);
    }
    error = error ? error : agree(cluster, name, shards_per_group, reason);
    error = error ? error : read_settings(store, &settings);
    if (!error && settings.read_only) {
        error = reason_set(reason, FABRIC_ERROR_STORE_UNAVAILABLE,
                           "store: the server is read-only: connect to the primary, or run SET "
                           "GLOBAL read_only=0");
    }
    return error;
}

fabric_error_t mysql_schema_check(store_t *base, const char *name, uint32_t shards_per_group,
                                  reason_t *reason, store_cluster_t *cluster)
{
    mysql_store_t *store = mysql_store_of(base);
    store_cluster_t found = {0};
    fabric_error_t error = begin(store, reason);
    error = error ? error : check_all(store, name, shards_per_group, reason, &found);
    error = mysql_end_read(store, explain(store, reason, error));
    if (!error) {
        *cluster = found;
    }
    return error;
}

fabric_error_t mysql_schema_facts(store_t *base, store_facts_t *facts)
{
    mysql_store_t *store = mysql_store_of(base);
    settings_t settings = {0};
    fabric_error_t error = mysql_begin(store);
    error = error ? error : read_settings(store, &settings);
    error = mysql_end_read(store, error);
    if (error) {
        return error;
    }
    *facts = (store_facts_t){0};
    snprintf(facts->product, sizeof facts->product, "%s %.*s",
             store->is_mariadb ? "MariaDB" : "MySQL", (int)strcspn(settings.version, "-"),
             settings.version);
    snprintf(facts->durability, sizeof facts->durability,
             "innodb_flush_log_at_trx_commit=%llu sync_binlog=%llu log_bin=%llu",
             (unsigned long long)settings.flush_log, (unsigned long long)settings.sync_binlog,
             (unsigned long long)settings.log_bin);
    facts->durable =
        settings.flush_log == 1 && (settings.log_bin == 0 || settings.sync_binlog == 1);
    facts->read_only = settings.read_only;
    return FABRIC_OK;
}
