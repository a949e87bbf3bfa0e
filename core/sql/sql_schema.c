/* Status, migration and check of the schema. */
#include "core/sql/sql_schema.h"

#include "core/sql/sql_operations.h"

/* The tables of the present version, and those of the versions before that it has no more. */
static const char *const tables[] = {
    "schema_version", "cluster",     "coordinator", "broker",        "runner",
    "shard_group",    "entity_type", "lane",        "checkpoint",    "journal",
    "pending",        "scheduled",   "dead_letter", "primary_key",   "entity_state",
    "event",          "outbox",      "kept_alive",  "direct_result", "shard_owner",
};
static const char *const old_tables[] = {
    "writer", "shard", "mailbox", "reply", "attempt", "old_dead_letter",
};
enum {
    TABLE_COUNT = sizeof tables / sizeof tables[0],
    OLD_TABLE_COUNT = sizeof old_tables / sizeof old_tables[0]
};

static bool is_among(fabric_bytes_t name, const char *const *names, size_t count)
{
    bool found = false;
    for (size_t i = 0; !found && i < count; i++) {
        found = fabric_bytes_equal(name, fabric_bytes_of(names[i]));
    }
    return found;
}

/* Whether there is a table of the present row's name that is ours and no other. */
static fabric_error_t judge_table(const sql_store_t *store, reason_t *reason)
{
    char name[65];
    sql_copy_text(store, 0, name, sizeof name);
    if (sql_u64(store, 1) == 0) {
        return reason_set(reason, FABRIC_ERROR_FOREIGN_DATABASE,
                          "store: %s holds a table '%s' of another program: use a database of "
                          "its own",
                          store->engine->name(store), name);
    }
    if (sql_u64(store, 2) == 0) {
        return reason_set(reason, FABRIC_ERROR_FOREIGN_DATABASE,
                          "store: table '%s' is not InnoDB: run ALTER TABLE %s ENGINE=InnoDB", name,
                          name);
    }
    return FABRIC_OK;
}

static fabric_error_t look_at_tables(sql_store_t *store, reason_t *reason, schema_found_t *found,
                                     bool *has_version)
{
    fabric_error_t error = sql_query(store, SQL_TABLE_LIST, 1);
    while (sql_next(store, &error)) {
        fabric_bytes_t name = sql_bytes(store, 0);
        bool is_present = is_among(name, tables, TABLE_COUNT);
        if (is_present || is_among(name, old_tables, OLD_TABLE_COUNT)) {
            error = judge_table(store, reason);
            found->tables += is_present;
            found->has_mailbox = found->has_mailbox || is_among(name, &old_tables[2], 1);
            *has_version = *has_version || is_among(name, &tables[0], 1);
        }
    }
    sql_close(store);
    return error;
}

fabric_error_t schema_look(sql_store_t *store, reason_t *reason, schema_found_t *found)
{
    schema_found_t seen = {0};
    bool has_version = false;
    bool has_row = false;
    fabric_error_t error = look_at_tables(store, reason, &seen, &has_version);
    if (!error && has_version) {
        error = sql_query_one(store, SQL_VERSION_READ, &has_row);
        seen.version = has_row ? sql_u32(store, 0) : 0;
        sql_close(store);
    }
    if (!error) {
        *found = seen;
    }
    return error;
}

fabric_error_t schema_read_cluster(sql_store_t *store, store_cluster_t *cluster, bool *found)
{
    fabric_error_t error = sql_query_one(store, SQL_CLUSTER_READ, found);
    if (*found) {
        incarnation_t id = sql_incarnation(store, 0);
        memcpy(cluster->id, id.bytes, sizeof cluster->id);
        sql_copy_text(store, 1, cluster->name, sizeof cluster->name);
        cluster->shards_per_group = sql_u32(store, 2);
        cluster->lanes = sql_u32(store, 3);
        *found = !incarnation_is_none(id);
    }
    sql_close(store);
    return error;
}

fabric_error_t schema_agree(const store_cluster_t *cluster, const store_cluster_t *wanted,
                            reason_t *reason)
{
    if (wanted->name[0] && strcmp(wanted->name, cluster->name) != 0) {
        return reason_set(reason, FABRIC_ERROR_FOREIGN_DATABASE,
                          "store: the database belongs to cluster '%.100s', not to '%.100s'",
                          cluster->name, wanted->name);
    }
    if (wanted->shards_per_group != 0 && wanted->shards_per_group != cluster->shards_per_group) {
        return reason_set(reason, FABRIC_ERROR_SHARDS_MISMATCH,
                          "store: the cluster was created with shards_per_group=%u, not %u",
                          cluster->shards_per_group, wanted->shards_per_group);
    }
    if (wanted->lanes != 0 && cluster->lanes != 0 && wanted->lanes != cluster->lanes) {
        return reason_set(reason, FABRIC_ERROR_SHARDS_MISMATCH,
                          "store: the cluster was created with lanes=%u, not %u", cluster->lanes,
                          wanted->lanes);
    }
    return FABRIC_OK;
}

/* Somebody has removed it. A new one would have other shards or another identity than the rest of
 * the tables. */
fabric_error_t schema_cluster_is_missing(const sql_store_t *store, reason_t *reason)
{
    return reason_set(reason, FABRIC_ERROR_FOREIGN_DATABASE,
                      "store: %s has Fabric's tables, but no row in cluster, which tells whose "
                      "they are and how many shards a group has: restore it from a copy",
                      store->engine->name(store));
}

/* ---- operations ---- */

static fabric_error_t begin_read(sql_store_t *store, reason_t *reason)
{
    if (reason) {
        reason->text[0] = '\0';
    }
    return sql_begin(store, SQL_READ);
}

/* An error that has no reason yet gets the database's words. */
static fabric_error_t explain(sql_store_t *store, reason_t *reason, fabric_error_t error)
{
    fabric_error_class_t class = fabric_error_class(error);
    bool is_ours = class == FABRIC_CLASS_RETRY || class == FABRIC_CLASS_UNKNOWN;
    return is_ours && reason && !reason->text[0]
               ? reason_set(reason, error, "store: %s: %s", store->engine->name(store),
                            store_error_text(&store->base, error))
               : error;
}

fabric_error_t sql_schema_status(store_t *base, reason_t *reason, uint32_t *version)
{
    sql_store_t *store = sql_store_of(base);
    schema_found_t found = {0};
    fabric_error_t error = begin_read(store, reason);
    if (!error) {
        error = sql_end(store, schema_look(store, reason, &found));
    }
    if (!error) {
        *version = found.version;
    }
    return explain(store, reason, error);
}

static fabric_error_t check_all(sql_store_t *store, const store_cluster_t *wanted, reason_t *reason,
                                store_cluster_t *cluster)
{
    schema_found_t found = {0};
    bool founded = false;
    fabric_error_t error = schema_look(store, reason, &found);
    if (!error && (found.version != STORE_SCHEMA_VERSION || found.tables != TABLE_COUNT)) {
        error = reason_set(reason, FABRIC_ERROR_WRONG_SCHEMA_VERSION,
                           "store: %s has schema version %u with %zu of %d tables, this program "
                           "needs version %u: run fabricctl schema apply",
                           store->engine->name(store), found.version, found.tables,
                           (int)TABLE_COUNT, STORE_SCHEMA_VERSION);
    }
    error = error ? error : schema_read_cluster(store, cluster, &founded);
    if (!error && !founded) {
        error = schema_cluster_is_missing(store, reason);
    }
    error = error ? error : schema_agree(cluster, wanted, reason);
    return error ? error : store->engine->check_settings(store, reason);
}

fabric_error_t sql_check(store_t *base, const store_cluster_t *wanted, reason_t *reason,
                         store_cluster_t *cluster)
{
    sql_store_t *store = sql_store_of(base);
    store_cluster_t found = {0};
    fabric_error_t error = begin_read(store, reason);
    if (!error) {
        error = sql_end(store, check_all(store, wanted, reason, &found));
    }
    if (!error) {
        *cluster = found;
    }
    return explain(store, reason, error);
}

/* ---- applying ---- */

static fabric_error_t look_first(sql_store_t *store, reason_t *reason, schema_found_t *found)
{
    fabric_error_t error = sql_begin(store, SQL_READ);
    return error ? error : sql_end(store, schema_look(store, reason, found));
}

static fabric_error_t insert_version(sql_store_t *store)
{
    fabric_error_t error = sql_begin(store, SQL_WRITE);
    if (error) {
        return error;
    }
    sql_put_u64(store, STORE_SCHEMA_VERSION);
    return sql_end(store, sql_run(store, SQL_VERSION_INSERT, 1, NULL));
}

/* The version is written last, so that a migration that broke off is run again. */
static fabric_error_t migrate(sql_store_t *store, const store_cluster_t *wanted, reason_t *reason)
{
    fabric_error_t error = FABRIC_OK;
    for (const sql_step_t *step = store->engine->migration; !error && (step->text || step->run);
         step++) {
        error = step->text ? store->engine->execute(store, step->text)
                           : step->run(store, wanted, reason);
    }
    return error ? error : insert_version(store);
}

static fabric_error_t compare_cluster(sql_store_t *store, const store_cluster_t *wanted,
                                      reason_t *reason)
{
    store_cluster_t cluster = {0};
    bool founded = false;
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    error = schema_read_cluster(store, &cluster, &founded);
    if (!error) {
        error = founded ? schema_agree(&cluster, wanted, reason)
                        : schema_cluster_is_missing(store, reason);
    }
    return sql_end(store, error);
}

static fabric_error_t apply_locked(sql_store_t *store, const store_cluster_t *wanted,
                                   reason_t *reason)
{
    schema_found_t found = {0};
    fabric_error_t error = look_first(store, reason, &found);
    if (!error && found.version > STORE_SCHEMA_VERSION) {
        error = reason_set(reason, FABRIC_ERROR_WRONG_SCHEMA_VERSION,
                           "store: %s has schema version %u, newer than this program's %u: "
                           "install the newer release",
                           store->engine->name(store), found.version, STORE_SCHEMA_VERSION);
    }
    if (!error && found.version < STORE_SCHEMA_VERSION) {
        error = migrate(store, wanted, reason);
    }
    return error ? error : compare_cluster(store, wanted, reason);
}

fabric_error_t sql_schema_apply(store_t *base, const store_cluster_t *wanted, reason_t *reason)
{
    sql_store_t *store = sql_store_of(base);
    if (reason) {
        reason->text[0] = '\0';
    }
    fabric_error_t error = store->engine->schema_lock(store);
    if (error == FABRIC_ERROR_STORE_BUSY) {
        return reason_set(reason, error, "store: another process is migrating %s",
                          store->engine->name(store));
    }
    if (!error) {
        error = apply_locked(store, wanted, reason);
        error = store->engine->schema_unlock(store, error);
    }
    return explain(store, reason, error);
}
