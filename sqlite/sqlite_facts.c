/* What a file is, how safely it stores, and how much is in it. */
#include "sqlite/sqlite_facts.h"

#include <stdio.h>
#include <string.h>

#include "sqlite/sqlite_connection.h"

static bool is_read_only(const sqlite_store_t *store)
{
    return sqlite3_db_readonly(store->database, "main") != 0;
}

fabric_error_t sqlite_check_settings(sql_store_t *base, reason_t *reason)
{
    return is_read_only(sqlite_store_of(base))
               ? reason_set(reason, FABRIC_ERROR_STORE_UNAVAILABLE,
                            "store: the SQLite file is read-only for this process")
               : FABRIC_OK;
}

/* Runs a query that is no part of core/sql/, and hands each row to `row`. */
static fabric_error_t read_rows(sqlite_store_t *store, const char *text,
                                void (*row)(void *context, sqlite3_stmt *statement), void *context)
{
    sqlite3_stmt *statement = NULL;
    if (store->dead) {
        return FABRIC_ERROR_STORE_UNAVAILABLE;
    }
    int code = sqlite3_prepare_v2(store->database, text, -1, &statement, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            row(context, statement);
        }
    }
    fabric_error_t error = sqlite_result(store, code, false);
    sqlite3_finalize(statement);
    return error;
}

/* ---- facts ---- */

typedef struct settings {
    char journal_mode[32];
    int synchronous;
} settings_t;

static void read_settings(void *context, sqlite3_stmt *row)
{
    settings_t *settings = context;
    const unsigned char *mode = sqlite3_column_text(row, 0);
    snprintf(settings->journal_mode, sizeof settings->journal_mode, "%s",
             mode ? (const char *)mode : "");
    settings->synchronous = sqlite3_column_int(row, 1);
}

fabric_error_t sqlite_facts(store_t *base, store_facts_t *facts)
{
    sqlite_store_t *store = sqlite_store_of(base);
    settings_t settings = {0};
    fabric_error_t error = read_rows(
        store, "SELECT journal_mode, synchronous FROM pragma_journal_mode, pragma_synchronous",
        read_settings, &settings);
    if (error) {
        return error;
    }
    bool strong = settings.synchronous >= 2;
    *facts = (store_facts_t){.read_only = is_read_only(store)};
    snprintf(facts->product, sizeof facts->product, "SQLite %s", sqlite3_libversion());
    snprintf(facts->durability, sizeof facts->durability, "journal_mode=%s synchronous=%s",
             settings.journal_mode, strong ? "full" : "weak");
    /* A journal that is no file at all loses more than its tail. */
    facts->durable = strong && strcmp(settings.journal_mode, "off") != 0 &&
                     strcmp(settings.journal_mode, "memory") != 0;
    return FABRIC_OK;
}

/* ---- tables ---- */

/* Rows are counted where an index or a small table makes that cheap. The bytes of rows are those of
 * their variable columns and about 8 for each number, estimated from the first thousand; the
 * journal has both numbers in its entries. */
#define ESTIMATE(table, sizes)                                                                     \
    "SELECT '" table "', (SELECT count(*) FROM " table "),"                                        \
    " (SELECT count(*) FROM " table ") * coalesce((SELECT avg(size) FROM"                          \
    " (SELECT " sizes " AS size FROM " table " LIMIT 1000)), 0) "

/* Purging leaves the entries of new holders between 0 and the first that counts. */
#define FIRST_ENTRY(column)                                                                        \
    "(SELECT " column " FROM journal j WHERE j.lane = l.lane AND adopt = 0 ORDER BY number LIMIT " \
    "1)"
#define LAST_ENTRY(column)                                                                         \
    "(SELECT " column " FROM journal j WHERE j.lane = l.lane ORDER BY number DESC LIMIT 1)"

/* clang-format off */
static const char table_sizes[] =
    "SELECT 'journal',"
    " sum(coalesce(" LAST_ENTRY("number") " - " FIRST_ENTRY("number") ", 0) + 1),"
    " sum(coalesce(" LAST_ENTRY("log_bytes") " - " FIRST_ENTRY("log_bytes") ", 0)) FROM lane l "
    "UNION ALL " ESTIMATE("pending", "72 + length(type) + length(entity) + length(tag) +"
                                     " length(body)")
    "UNION ALL " ESTIMATE("scheduled", "64 + length(type) + length(entity) + length(tag) +"
                                       " length(body)")
    "UNION ALL " ESTIMATE("dead_letter", "56 + length(type) + length(entity) + length(tag) +"
                                         " length(text) + length(body)")
    "UNION ALL " ESTIMATE("primary_key", "104 + length(payload)")
    "UNION ALL " ESTIMATE("entity_state", "40 + length(type) + length(entity) + length(state)")
    "UNION ALL " ESTIMATE("event", "56 + length(type) + length(entity) + length(tag) +"
                                   " length(payload)")
    "UNION ALL " ESTIMATE("outbox", "112 + length(source_type) + length(source_entity) +"
                                    " length(source_tag) + length(type) + length(entity) +"
                                    " length(tag) + length(payload) + length(primary_key) +"
                                    " length(traceparent) + length(headers)")
    "UNION ALL " ESTIMATE("kept_alive", "32 + length(type) + length(entity)")
    "UNION ALL " ESTIMATE("direct_result", "56 + length(type) + length(body)")
    "UNION ALL " ESTIMATE("shard_owner", "24 + length(type)")
    "UNION ALL " ESTIMATE("entity_type", "8 + length(name) + length(description)")
    "UNION ALL " ESTIMATE("shard_group", "8 + length(name)")
    "UNION ALL " ESTIMATE("runner", "24 + length(name)")
    "UNION ALL " ESTIMATE("broker", "40 + length(name) + length(router_endpoint) +"
                                    " length(pub_endpoint)")
    "UNION ALL " ESTIMATE("lane", "32")
    "UNION ALL " ESTIMATE("checkpoint", "40")
    "UNION ALL " ESTIMATE("coordinator", "24")
    "UNION ALL " ESTIMATE("cluster", "40 + length(name)")
    "UNION ALL " ESTIMATE("schema_version", "8 + length(applied_at)");
/* clang-format on */

typedef struct visit {
    store_visit_table_fn *visit;
    void *context;
} visit_t;

static void visit_table(void *context, sqlite3_stmt *row)
{
    const visit_t *visit = context;
    visit->visit(visit->context, (const char *)sqlite3_column_text(row, 0),
                 (uint64_t)sqlite3_column_int64(row, 1), (uint64_t)sqlite3_column_int64(row, 2));
}

fabric_error_t sqlite_table_list(store_t *base, store_visit_table_fn *visit, void *context)
{
    visit_t all = {visit, context};
    return read_rows(sqlite_store_of(base), table_sizes, visit_table, &all);
}
