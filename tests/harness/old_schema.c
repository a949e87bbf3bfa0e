/* The tables of schema versions 1 to 7: see old_schema.h. */
#include "tests/harness/old_schema.h"

/* ---- MySQL and MariaDB ---- */

#define OURS " ENGINE = InnoDB CHARACTER SET binary COMMENT = 'fabric';"
#define OLD_MESSAGE                                                                                \
    "request_id BIGINT UNSIGNED NOT NULL, shard INT UNSIGNED NOT NULL, flags INT UNSIGNED NOT "    \
    "NULL, entity_type VARBINARY(255) NOT NULL, entity_id VARBINARY(255) NOT NULL,"                \
    "tag VARBINARY(255) NOT NULL, payload MEDIUMBLOB NOT NULL, traceparent VARBINARY(55) NOT "     \
    "NULL, headers BLOB NULL, call_client BIGINT UNSIGNED NOT NULL,"                               \
    "call_sequence BIGINT UNSIGNED NOT NULL, key_hash BINARY(32) NULL,"                            \
    "deliver_at_ms BIGINT NOT NULL,"

const char old_schema_mysql_1[] =
    "CREATE TABLE schema_version (version INT UNSIGNED NOT NULL PRIMARY KEY,"
    "applied_at DATETIME NOT NULL)" OURS
    "CREATE TABLE cluster (only_row TINYINT UNSIGNED NOT NULL PRIMARY KEY, id BINARY(16) NOT NULL,"
    "name VARBINARY(255) NOT NULL, shards_per_group INT UNSIGNED NOT NULL)" OURS
    "CREATE TABLE coordinator (only_row TINYINT UNSIGNED NOT NULL PRIMARY KEY,"
    "term BIGINT UNSIGNED NOT NULL, holder BINARY(16) NOT NULL)" OURS
    "CREATE TABLE broker (incarnation BINARY(16) NOT NULL PRIMARY KEY,"
    "machine SMALLINT UNSIGNED NOT NULL, counter BIGINT UNSIGNED NOT NULL,"
    "name VARBINARY(255) NOT NULL, router_endpoint VARBINARY(255) NOT NULL,"
    "pub_endpoint VARBINARY(255) NOT NULL, UNIQUE KEY machine (machine))" OURS
    "CREATE TABLE writer (machine SMALLINT UNSIGNED NOT NULL, lane TINYINT UNSIGNED NOT NULL,"
    "incarnation BINARY(16) NOT NULL, batch BIGINT UNSIGNED NOT NULL,"
    "high_id BIGINT UNSIGNED NOT NULL, PRIMARY KEY (machine, lane))" OURS
    "CREATE TABLE runner (incarnation BINARY(16) NOT NULL PRIMARY KEY,"
    "weight INT UNSIGNED NOT NULL, name VARBINARY(255) NOT NULL)" OURS
    "CREATE TABLE shard_group (number SMALLINT UNSIGNED NOT NULL PRIMARY KEY,"
    "name VARBINARY(255) NOT NULL, UNIQUE KEY name (name))" OURS
    "CREATE TABLE shard (shard INT UNSIGNED NOT NULL PRIMARY KEY, home BINARY(16) NOT NULL,"
    "home_epoch BIGINT UNSIGNED NOT NULL, mark BIGINT UNSIGNED NOT NULL)" OURS
    "CREATE TABLE entity_type (name VARBINARY(255) NOT NULL PRIMARY KEY,"
    "group_number SMALLINT UNSIGNED NOT NULL, description MEDIUMBLOB NOT NULL)" OURS
    "CREATE TABLE mailbox (" OLD_MESSAGE "PRIMARY KEY (request_id))" OURS
    "CREATE TABLE reply (request_id BIGINT UNSIGNED NOT NULL, sequence INT UNSIGNED NOT NULL,"
    "shard INT UNSIGNED NOT NULL, status TINYINT UNSIGNED NOT NULL, error INT UNSIGNED NOT NULL,"
    "code BIGINT UNSIGNED NOT NULL, payload MEDIUMBLOB NOT NULL,"
    "PRIMARY KEY (request_id, sequence))" OURS
    "CREATE TABLE attempt (request_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,"
    "attempts INT UNSIGNED NOT NULL)" OURS
    "CREATE TABLE primary_key (hash BINARY(32) NOT NULL PRIMARY KEY,"
    "request_id BIGINT UNSIGNED NOT NULL)" OURS "CREATE TABLE dead_letter (" OLD_MESSAGE
    "error INT UNSIGNED NOT NULL,"
    "attempts INT UNSIGNED NOT NULL, last_error BLOB NOT NULL, PRIMARY KEY (request_id))" OURS
    "INSERT INTO schema_version VALUES (1, NOW());"
    "INSERT INTO cluster VALUES (1, REPEAT('c', 16), 'old', 300);"
    "INSERT INTO coordinator VALUES (1, 7, REPEAT('a', 16));";

const char old_schema_mysql_2[] =
    "ALTER TABLE attempt ADD COLUMN suspicions INT UNSIGNED NOT NULL DEFAULT 0;"
    "INSERT INTO schema_version VALUES (2, NOW());";

/* ---- SQLite ---- */

#define MESSAGE_COLUMNS                                                                            \
    "  request_id INTEGER PRIMARY KEY, shard INTEGER NOT NULL, client INTEGER NOT NULL,"           \
    "  sequence INTEGER NOT NULL, flags INTEGER NOT NULL, deliver_at_ms INTEGER NOT NULL,"         \
    "  entity_type BLOB NOT NULL, entity_id BLOB NOT NULL, tag BLOB NOT NULL, key_hash BLOB,"      \
    "  traceparent BLOB NOT NULL, headers BLOB NOT NULL, payload BLOB NOT NULL"

const char old_schema_sqlite_1[] =
    "PRAGMA application_id = 1178681938;"
    "PRAGMA journal_mode = WAL;"
    "CREATE TABLE schema_version ("
    "  id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL);"
    "INSERT INTO schema_version (id, version) VALUES (1, 1);"
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
    "INSERT INTO coordinator (id, term, holder) VALUES (1, 5, zeroblob(16));"
    "CREATE TABLE runner ("
    "  incarnation BLOB PRIMARY KEY, weight INTEGER NOT NULL, name TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE shard_group (number INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE);"
    "CREATE TABLE shard ("
    "  shard INTEGER PRIMARY KEY, home BLOB NOT NULL, home_epoch INTEGER NOT NULL,"
    "  mark INTEGER NOT NULL);"
    "CREATE TABLE entity_type ("
    "  name BLOB PRIMARY KEY, group_number INTEGER NOT NULL, description BLOB NOT NULL"
    ") WITHOUT ROWID;"
    "CREATE TABLE mailbox (" MESSAGE_COLUMNS ");"
    "CREATE TABLE reply ("
    "  request_id INTEGER NOT NULL, sequence INTEGER NOT NULL, shard INTEGER NOT NULL,"
    "  status INTEGER NOT NULL, error INTEGER NOT NULL, code INTEGER NOT NULL,"
    "  payload BLOB NOT NULL, PRIMARY KEY (request_id, sequence)) WITHOUT ROWID;"
    "CREATE TABLE attempt (request_id INTEGER PRIMARY KEY, attempts INTEGER NOT NULL);"
    "CREATE TABLE primary_key (hash BLOB PRIMARY KEY, request_id INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE dead_letter (" MESSAGE_COLUMNS ","
    "  cause INTEGER NOT NULL, attempts INTEGER NOT NULL, last_error BLOB NOT NULL);";

const char old_schema_sqlite_2[] =
    "ALTER TABLE attempt ADD COLUMN suspicions INTEGER NOT NULL DEFAULT 0;"
    "UPDATE schema_version SET version = 2;";

/* Up to version 5 scheduled messages lay among the others, and nobody noted when the first type
 * came. */
#define DROP_SCHEDULED                                                                             \
    "ALTER TABLE cluster DROP COLUMN registered_ms;"                                               \
    "INSERT INTO pending (lane, entity_hash, position, request_id, shard, due_ms, number,"         \
    " attempts, crashes, type, entity, tag, body) SELECT lane, entity_hash, request_id,"           \
    " request_id, shard, due_ms, number, 0, 0, type, entity, tag, body FROM scheduled;"            \
    "DROP TABLE scheduled; DROP TABLE kept_alive; DROP TABLE entity_state; DROP TABLE event;"      \
    "DROP TABLE outbox; DROP TABLE direct_result; DROP TABLE shard_owner;"

const char old_schema_3[] = "ALTER TABLE broker DROP COLUMN secret;"
                            "DROP TABLE primary_key;" DROP_SCHEDULED "DELETE FROM schema_version;"
                            "INSERT INTO schema_version VALUES (3, CURRENT_TIMESTAMP);";

const char old_schema_4[] = "DROP TABLE primary_key;" DROP_SCHEDULED "DELETE FROM schema_version;"
                            "INSERT INTO schema_version VALUES (4, CURRENT_TIMESTAMP);";

/* Primary keys had no entity in their key. */
const char old_schema_mysql_5[] =
    "ALTER TABLE primary_key DROP PRIMARY KEY, ADD PRIMARY KEY (lane, hash);" DROP_SCHEDULED
    "DELETE FROM schema_version;"
    "INSERT INTO schema_version VALUES (5, CURRENT_TIMESTAMP);";

const char old_schema_sqlite_5[] =
    "ALTER TABLE primary_key RENAME TO new_primary_key; DROP INDEX primary_key_until;"
    "CREATE TABLE primary_key ("
    " lane INTEGER NOT NULL, hash BLOB NOT NULL, entity_hash INTEGER NOT NULL,"
    " request_id INTEGER NOT NULL, shard INTEGER NOT NULL, number INTEGER NOT NULL,"
    " until_ms INTEGER, status INTEGER NOT NULL, error INTEGER NOT NULL, code INTEGER NOT NULL,"
    " payload BLOB NOT NULL, PRIMARY KEY (lane, hash)) WITHOUT ROWID;"
    "INSERT INTO primary_key SELECT * FROM new_primary_key; DROP TABLE new_primary_key;"
    "CREATE INDEX primary_key_until ON primary_key (lane, until_ms) WHERE until_ms IS NOT "
    "NULL;" DROP_SCHEDULED "DELETE FROM schema_version;"
    "INSERT INTO schema_version VALUES (5, CURRENT_TIMESTAMP);";

/* No type appended events, and no handler told others anything. */
const char old_schema_6[] = "DROP VIEW fabric_events; DROP VIEW fabric_states; DROP TABLE event;"
                            "DROP VIEW fabric_outbox; DROP TABLE outbox;"
                            "ALTER TABLE entity_state DROP COLUMN sequence;"
                            "DROP TABLE direct_result; DROP TABLE shard_owner;"
                            "DELETE FROM schema_version;"
                            "INSERT INTO schema_version VALUES (6, CURRENT_TIMESTAMP);";

/* No handler wrote into tables of its own together with its reply. */
const char old_schema_7[] = "DROP TABLE direct_result; DROP TABLE shard_owner;"
                            "DELETE FROM schema_version;"
                            "INSERT INTO schema_version VALUES (7, CURRENT_TIMESTAMP);";
