/* The adapter's tables of functions. */
#include "mysql/mysql_store.h"

#include "core/sql/sql_operations.h"
#include "mysql/mysql_migrations.h"
#include "mysql/mysql_settings.h"
#include "mysql/mysql_statement.h"

const sql_engine_t mysql_engine = {
    .begin = mysql_begin,
    .commit = mysql_commit_transaction,
    .roll_back = mysql_roll_back,
    .run = mysql_run,
    .query = mysql_start_query,
    .next = mysql_next_row,
    .close = mysql_end_query,
    .execute = mysql_execute,
    .schema_lock = mysql_schema_lock,
    .schema_unlock = mysql_schema_unlock,
    .migration = mysql_migration,
    .check_settings = mysql_check_settings,
    .release = mysql_release,
    .prepare = mysql_prepare_one,
    .connection = mysql_handle,
    .name = mysql_name,
};

const store_driver_t mysql_store_driver = {
    .scheme = "mysql",
    .slice_rows_max = STORE_SLICE_ROWS_MAX,
    .lanes_default = 12,
    .open = mysql_open,
    .close = mysql_close_store,
    .facts = mysql_facts,
    .table_list = mysql_table_list,
    SQL_OPERATIONS,
    SQL_DIRECT_OPERATIONS,
};
