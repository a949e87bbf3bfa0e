/* The SQLite adapter's tables of functions. */
#include "sqlite/sqlite_store.h"

#include "core/sql/sql_operations.h"
#include "sqlite/sqlite_connection.h"
#include "sqlite/sqlite_facts.h"
#include "sqlite/sqlite_migrations.h"
#include "sqlite/sqlite_statement.h"

/* A slice holds up the appends of other connections. */
#define SLICE_ROWS_MAX 500

const store_driver_t sqlite_store_driver = {
    .scheme = "sqlite",
    .slice_rows_max = SLICE_ROWS_MAX,
    .lanes_default = 1,
    .open = sqlite_connection_open,
    .close = sqlite_connection_close,
    .facts = sqlite_facts,
    .table_list = sqlite_table_list,
    SQL_OPERATIONS,
};

const sql_engine_t sqlite_engine = {
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .roll_back = sqlite_roll_back,
    .run = sqlite_run,
    .query = sqlite_query,
    .next = sqlite_next,
    .close = sqlite_close,
    .execute = sqlite_execute,
    .schema_lock = sqlite_schema_lock,
    .schema_unlock = sqlite_schema_unlock,
    .migration = sqlite_migration,
    .check_settings = sqlite_check_settings,
    .name = sqlite_name,
};
