/* The schema, and what becomes of versions 1 to 7: core/sql/sql_migration.h says in which order.
 * All of it is one transaction. A version that was released is never edited: changes get a number
 * of their own. */
#include "sqlite/sqlite_migrations.h"

#include "core/sql/sql_migration.h"
#include "core/sql/sql_operations.h"

/* ---- older versions ---- */

static const char from_version_1[] =
    "ALTER TABLE attempt ADD COLUMN suspicions INTEGER NOT NULL DEFAULT 0;";

/* Tables that stay, with columns of other names. */
static const char from_version_2[] =
    "ALTER TABLE schema_version RENAME TO old_schema_version;"
    "CREATE TABLE schema_version (version INTEGER PRIMARY KEY, applied_at TEXT NOT NULL);"
    "INSERT INTO schema_version SELECT version, datetime('now') FROM old_schema_version;"
    "DROP TABLE old_schema_version;"
    "ALTER TABLE cluster RENAME COLUMN id TO only_row;"
    "ALTER TABLE cluster RENAME COLUMN cluster_id TO id;"
    "ALTER TABLE cluster ADD COLUMN lanes INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE coordinator RENAME COLUMN id TO only_row;"
    "ALTER TABLE dead_letter RENAME TO old_dead_letter;"
    "DROP TABLE broker; DROP TABLE primary_key;";

/* A broker of version 3 has no secret: other brokers do not take its word. */
static const char from_version_3[] = "ALTER TABLE broker ADD COLUMN secret BLOB NOT NULL"
                                     " DEFAULT x'00000000000000000000000000000000';";

#define KEY_TABLE                                                                                  \
    "CREATE TABLE IF NOT EXISTS primary_key ("                                                     \
    " lane INTEGER NOT NULL, hash BLOB NOT NULL, entity_hash INTEGER NOT NULL,"                    \
    " request_id INTEGER NOT NULL, shard INTEGER NOT NULL, number INTEGER NOT NULL,"               \
    " until_ms INTEGER, status INTEGER NOT NULL, error INTEGER NOT NULL, code INTEGER NOT NULL,"   \
    " payload BLOB NOT NULL, PRIMARY KEY (lane, entity_hash, hash)) WITHOUT ROWID;"

/* In version 5 the keys of an entity did not lie together. The old table's index goes with it. The
 * views are there where somebody went back to version 5; without their tables, nothing can be
 * renamed.
 */
static const char from_version_5[] =
    "DROP VIEW IF EXISTS fabric_scheduled; DROP VIEW IF EXISTS fabric_kept_alive;"
    "DROP VIEW IF EXISTS fabric_states; DROP VIEW IF EXISTS fabric_events;"
    "DROP VIEW IF EXISTS fabric_outbox;"
    "ALTER TABLE primary_key RENAME TO old_primary_key;" KEY_TABLE
    "INSERT INTO primary_key SELECT lane, hash, entity_hash, request_id, shard, number, until_ms,"
    " status, error, code, payload FROM old_primary_key ORDER BY lane, entity_hash, hash;"
    "DROP TABLE old_primary_key;";

/* Nobody noted when the first type came. */
static const char up_to_version_5[] =
    "ALTER TABLE cluster ADD COLUMN registered_ms INTEGER NOT NULL DEFAULT 0;"
    "UPDATE cluster SET registered_ms = 1 WHERE EXISTS (SELECT 1 FROM entity_type);";

/* In version 6 no type appended events. */
static const char from_version_6[] =
    "ALTER TABLE entity_state ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0;";

/* SQLite has no statement that depends on what is there. */
static fabric_error_t carry_over(sql_store_t *store, const store_cluster_t *wanted,
                                 reason_t *reason)
{
    (void)wanted;
    uint32_t version = 0;
    fabric_error_t error = sql_schema_status(&store->base, reason, &version);
    if (!error && version == 1) {
        error = store->engine->execute(store, from_version_1);
    }
    if (!error && version > 0 && version <= 2) {
        error = store->engine->execute(store, from_version_2);
    }
    if (!error && version == 3) {
        error = store->engine->execute(store, from_version_3);
    }
    if (!error && version == 5) {
        error = store->engine->execute(store, from_version_5);
    }
    if (!error && version > 0 && version <= 5) {
        error = store->engine->execute(store, up_to_version_5);
    }
    if (!error && version == 6) {
        error = store->engine->execute(store, from_version_6);
    }
    return error;
}

/* ---- tables ---- */

/* "FABR" in the file's header (bytes 68-71) tells our files from those of programs with tables of
 * the same names.
 *
 * Ids, keys and names are BLOBs: compared byte by byte. `pending` is a tree by its own key, so that
 * the messages of an entity lie together. `journal` is a tree by row ids, which are in the order of
 * appends, with its key in an index: in a tree by the key itself, SQLite reads the whole of each
 * entry that it compares with, all its overflow pages.
 */
static const char tables[] =
    "PRAGMA application_id = 1178681938;"
    "CREATE TABLE IF NOT EXISTS schema_version ("
    " version INTEGER PRIMARY KEY, applied_at TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS cluster ("
    " only_row INTEGER PRIMARY KEY CHECK (only_row = 1), id BLOB NOT NULL, name BLOB NOT NULL,"
    " shards_per_group INTEGER NOT NULL, lanes INTEGER NOT NULL, registered_ms INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS coordinator ("
    " only_row INTEGER PRIMARY KEY CHECK (only_row = 1), term INTEGER NOT NULL,"
    " holder BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS broker ("
    " slot INTEGER PRIMARY KEY, incarnation BLOB NOT NULL, counter INTEGER NOT NULL,"
    " id_mark INTEGER NOT NULL, name BLOB NOT NULL, router_endpoint BLOB NOT NULL,"
    " pub_endpoint BLOB NOT NULL, secret BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS runner ("
    " incarnation BLOB PRIMARY KEY, weight INTEGER NOT NULL, name BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS shard_group ("
    " number INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE);"
    "CREATE TABLE IF NOT EXISTS entity_type ("
    " name BLOB PRIMARY KEY, group_number INTEGER NOT NULL, description BLOB NOT NULL"
    ") WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS lane ("
    " lane INTEGER PRIMARY KEY, holder BLOB NOT NULL, epoch INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS checkpoint ("
    " lane INTEGER PRIMARY KEY, number INTEGER NOT NULL, begun INTEGER NOT NULL,"
    " purged_id INTEGER NOT NULL, purged_ms INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS journal ("
    " lane INTEGER NOT NULL, number INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    " incarnation BLOB NOT NULL, last_id INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
    " log_bytes INTEGER NOT NULL, checksum INTEGER NOT NULL, adopt INTEGER NOT NULL,"
    " calls BLOB NOT NULL, body BLOB NOT NULL, PRIMARY KEY (lane, number));"
    "CREATE TABLE IF NOT EXISTS pending ("
    " lane INTEGER NOT NULL, entity_hash INTEGER NOT NULL, position INTEGER NOT NULL,"
    " request_id INTEGER NOT NULL, shard INTEGER NOT NULL, due_ms INTEGER, number INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL, crashes INTEGER NOT NULL, type BLOB NOT NULL,"
    " entity BLOB NOT NULL, tag BLOB NOT NULL, body BLOB NOT NULL,"
    " PRIMARY KEY (lane, entity_hash, position)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS scheduled ("
    " lane INTEGER NOT NULL, due_ms INTEGER NOT NULL, request_id INTEGER NOT NULL,"
    " shard INTEGER NOT NULL, number INTEGER NOT NULL, entity_hash INTEGER NOT NULL,"
    " type BLOB NOT NULL, entity BLOB NOT NULL, tag BLOB NOT NULL, body BLOB NOT NULL,"
    " PRIMARY KEY (lane, due_ms, request_id)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS dead_letter ("
    " lane INTEGER NOT NULL, request_id INTEGER NOT NULL, shard INTEGER NOT NULL,"
    " number INTEGER NOT NULL, ended_ms INTEGER NOT NULL, error INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL, type BLOB NOT NULL, entity BLOB NOT NULL, tag BLOB NOT NULL,"
    " text BLOB NOT NULL, body BLOB NOT NULL, PRIMARY KEY (lane, request_id)) WITHOUT "
    "ROWID;" KEY_TABLE
    "CREATE INDEX IF NOT EXISTS primary_key_until ON primary_key (lane, until_ms)"
    " WHERE until_ms IS NOT NULL;"
    "CREATE INDEX IF NOT EXISTS scheduled_entity ON scheduled (lane, entity_hash);"
    "CREATE TABLE IF NOT EXISTS entity_state ("
    " lane INTEGER NOT NULL, type BLOB NOT NULL, entity BLOB NOT NULL, shard INTEGER NOT NULL,"
    " number INTEGER NOT NULL, version INTEGER NOT NULL, state BLOB NOT NULL,"
    " sequence INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (lane, type, entity)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS event ("
    " lane INTEGER NOT NULL, type BLOB NOT NULL, entity BLOB NOT NULL, sequence INTEGER NOT NULL,"
    " shard INTEGER NOT NULL, number INTEGER NOT NULL, request_id INTEGER NOT NULL,"
    " recorded_ms INTEGER NOT NULL, tag BLOB NOT NULL, version INTEGER NOT NULL,"
    " payload BLOB NOT NULL, PRIMARY KEY (lane, type, entity, sequence)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS outbox ("
    " lane INTEGER NOT NULL, outgoing_id INTEGER NOT NULL, ordinal INTEGER NOT NULL,"
    " number INTEGER NOT NULL, request_id INTEGER NOT NULL, source_shard INTEGER NOT NULL,"
    " source_type BLOB NOT NULL, source_entity BLOB NOT NULL, source_tag BLOB NOT NULL,"
    " target_lane INTEGER NOT NULL, shard INTEGER NOT NULL, type BLOB NOT NULL,"
    " entity BLOB NOT NULL, tag BLOB NOT NULL, flags INTEGER NOT NULL,"
    " deliver_at_ms INTEGER NOT NULL, payload BLOB NOT NULL, primary_key BLOB NOT NULL,"
    " traceparent BLOB NOT NULL, headers BLOB NOT NULL,"
    " PRIMARY KEY (lane, outgoing_id, ordinal)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS outbox_target"
    " ON outbox (lane, target_lane, outgoing_id, ordinal);"
    "CREATE TABLE IF NOT EXISTS kept_alive ("
    " lane INTEGER NOT NULL, type BLOB NOT NULL, entity BLOB NOT NULL, shard INTEGER NOT NULL,"
    " number INTEGER NOT NULL, causes INTEGER NOT NULL,"
    " PRIMARY KEY (lane, type, entity)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS direct_result ("
    " request_id INTEGER PRIMARY KEY, lane INTEGER NOT NULL, shard INTEGER NOT NULL,"
    " type BLOB NOT NULL, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, body BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS shard_owner ("
    " type BLOB NOT NULL, shard INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    " sequence INTEGER NOT NULL, PRIMARY KEY (type, shard)) WITHOUT ROWID;";

static const char views[] =
#include "sqlite/sqlite_views.def"
    ;

/* Up to version 5 scheduled messages lay among the others. A position of its own says that the time
 * of a message has come. */
#define WAITING " WHERE due_ms > 0 AND position = request_id;"
static const char move_scheduled[] =
    "INSERT INTO scheduled SELECT lane, due_ms, request_id, shard, number, entity_hash, type,"
    " entity, tag, body FROM pending" WAITING "DELETE FROM pending" WAITING;

static const char drop_old_tables[] =
    "DROP TABLE IF EXISTS mailbox; DROP TABLE IF EXISTS reply; DROP TABLE IF EXISTS attempt;"
    "DROP TABLE IF EXISTS old_dead_letter; DROP TABLE IF EXISTS shard; DROP TABLE IF EXISTS "
    "writer;";

const sql_step_t sqlite_migration[] = {
    {NULL, carry_over},     {NULL, sql_migrate_agree}, {tables, NULL},
    {views, NULL},          {NULL, sql_migrate_found}, {NULL, sql_migrate_rows},
    {move_scheduled, NULL}, {drop_old_tables, NULL},   {NULL, NULL},
};
