/* The schema as numbered migrations. A migration that was released is never edited: changes get a
 * number of their own. */
#include "mysql/mysql_migrations.h"

#include <assert.h>
#include <stddef.h>

#include "core/store.h"

#define OURS " ENGINE = InnoDB CHARACTER SET binary COMMENT = '" MYSQL_TABLE_COMMENT "'"

/* Ids, keys and names are bytes, never text: collations would merge different ones. mailbox and
 * reply grow at their end only and have no secondary index. */
#define MESSAGE_COLUMNS                                                                            \
    "request_id BIGINT UNSIGNED NOT NULL,"                                                         \
    "shard INT UNSIGNED NOT NULL,"                                                                 \
    "flags INT UNSIGNED NOT NULL,"                                                                 \
    "entity_type VARBINARY(255) NOT NULL,"                                                         \
    "entity_id VARBINARY(255) NOT NULL,"                                                           \
    "tag VARBINARY(255) NOT NULL,"                                                                 \
    "payload MEDIUMBLOB NOT NULL,"                                                                 \
    "traceparent VARBINARY(55) NOT NULL,"                                                          \
    "headers BLOB NULL,"                                                                           \
    "call_client BIGINT UNSIGNED NOT NULL,"                                                        \
    "call_sequence BIGINT UNSIGNED NOT NULL,"                                                      \
    "key_hash BINARY(32) NULL,"                                                                    \
    "deliver_at_ms BIGINT NOT NULL,"

static const char *const first[] = {
    "CREATE TABLE IF NOT EXISTS schema_version ("
    "version INT UNSIGNED NOT NULL PRIMARY KEY,"
    "applied_at DATETIME NOT NULL)" OURS,

    "CREATE TABLE IF NOT EXISTS cluster ("
    "only_row TINYINT UNSIGNED NOT NULL PRIMARY KEY,"
    "id BINARY(16) NOT NULL,"
    "name VARBINARY(255) NOT NULL,"
    "shards_per_group INT UNSIGNED NOT NULL)" OURS,

    "CREATE TABLE IF NOT EXISTS coordinator ("
    "only_row TINYINT UNSIGNED NOT NULL PRIMARY KEY,"
    "term BIGINT UNSIGNED NOT NULL,"
    "holder BINARY(16) NOT NULL)" OURS,

    "CREATE TABLE IF NOT EXISTS broker ("
    "incarnation BINARY(16) NOT NULL PRIMARY KEY,"
    "machine SMALLINT UNSIGNED NOT NULL,"
    "counter BIGINT UNSIGNED NOT NULL,"
    "name VARBINARY(255) NOT NULL,"
    "router_endpoint VARBINARY(255) NOT NULL,"
    "pub_endpoint VARBINARY(255) NOT NULL,"
    "UNIQUE KEY machine (machine))" OURS,

    "CREATE TABLE IF NOT EXISTS writer ("
    "machine SMALLINT UNSIGNED NOT NULL,"
    "lane TINYINT UNSIGNED NOT NULL,"
    "incarnation BINARY(16) NOT NULL,"
    "batch BIGINT UNSIGNED NOT NULL,"
    "high_id BIGINT UNSIGNED NOT NULL,"
    "PRIMARY KEY (machine, lane))" OURS,

    "CREATE TABLE IF NOT EXISTS runner ("
    "incarnation BINARY(16) NOT NULL PRIMARY KEY,"
    "weight INT UNSIGNED NOT NULL,"
    "name VARBINARY(255) NOT NULL)" OURS,

    "CREATE TABLE IF NOT EXISTS shard_group ("
    "number SMALLINT UNSIGNED NOT NULL PRIMARY KEY,"
    "name VARBINARY(255) NOT NULL,"
    "UNIQUE KEY name (name))" OURS,

    "CREATE TABLE IF NOT EXISTS shard ("
    "shard INT UNSIGNED NOT NULL PRIMARY KEY,"
    "home BINARY(16) NOT NULL,"
    "home_epoch BIGINT UNSIGNED NOT NULL,"
    "mark BIGINT UNSIGNED NOT NULL)" OURS,

    "CREATE TABLE IF NOT EXISTS entity_type ("
    "name VARBINARY(255) NOT NULL PRIMARY KEY,"
    "group_number SMALLINT UNSIGNED NOT NULL,"
    "description MEDIUMBLOB NOT NULL)" OURS,

    "CREATE TABLE IF NOT EXISTS mailbox (" MESSAGE_COLUMNS "PRIMARY KEY (request_id))" OURS,

    "CREATE TABLE IF NOT EXISTS reply ("
    "request_id BIGINT UNSIGNED NOT NULL,"
    "sequence INT UNSIGNED NOT NULL,"
    "shard INT UNSIGNED NOT NULL,"
    "status TINYINT UNSIGNED NOT NULL,"
    "error INT UNSIGNED NOT NULL,"
    "code BIGINT UNSIGNED NOT NULL,"
    "payload MEDIUMBLOB NOT NULL,"
    "PRIMARY KEY (request_id, sequence))" OURS,

    "CREATE TABLE IF NOT EXISTS attempt ("
    "request_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,"
    "attempts INT UNSIGNED NOT NULL)" OURS,

    "CREATE TABLE IF NOT EXISTS primary_key ("
    "hash BINARY(32) NOT NULL PRIMARY KEY,"
    "request_id BIGINT UNSIGNED NOT NULL)" OURS,

    "CREATE TABLE IF NOT EXISTS dead_letter (" MESSAGE_COLUMNS "error INT UNSIGNED NOT NULL,"
    "attempts INT UNSIGNED NOT NULL,"
    "last_error BLOB NOT NULL,"
    "PRIMARY KEY (request_id))" OURS,

    NULL,
};

/* MySQL knows no ADD COLUMN IF NOT EXISTS, so the statement is made to fit: it can be run again. */
static const char *const second[] = {
    ("SET @fabric_statement = IF((SELECT COUNT(*) FROM information_schema.columns"
     " WHERE table_schema = DATABASE() AND table_name = 'attempt' AND column_name = 'suspicions')"
     " = 0, 'ALTER TABLE attempt ADD COLUMN suspicions INT UNSIGNED NOT NULL DEFAULT 0', 'DO 0')"),
    "PREPARE fabric_statement FROM @fabric_statement",
    "EXECUTE fabric_statement",
    "DEALLOCATE PREPARE fabric_statement",
    NULL,
};

const char *const mysql_tables[] = {
    "schema_version", "cluster",     "coordinator", "broker",      "writer",
    "runner",         "shard_group", "shard",       "entity_type", "mailbox",
    "reply",          "attempt",     "primary_key", "dead_letter", NULL,
};

static const char *const *const migrations[] = {first, second};

_Static_assert(sizeof migrations / sizeof migrations[0] == STORE_SCHEMA_VERSION,
               "each schema version has its migration");

const char *const *mysql_migration(uint32_t version)
{
    assert(version >= 1 && version <= STORE_SCHEMA_VERSION);
    return migrations[version - 1];
}
