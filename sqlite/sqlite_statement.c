/* Prepared statements of one connection. */
#include "sqlite/sqlite_statement.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "sqlite/sqlite_connection.h"

static const sql_text_t texts[SQL_STATEMENT_COUNT] = {
#define STATEMENT(name, prefix, row, suffix) [SQL_##name] = {prefix, row, suffix},
#include "sqlite/sqlite_statements.def"
#undef STATEMENT
};

enum {
    TEXT_COUNT = 0
#define STATEMENT(name, prefix, row, suffix) +1
#include "sqlite/sqlite_statements.def"
#undef STATEMENT
};
_Static_assert((int)TEXT_COUNT == (int)SQL_STATEMENT_COUNT, "each statement has its text");

/* ---- preparing ---- */

static char *text_new(const sql_text_t *text, size_t rows)
{
    size_t capacity =
        strlen(text->prefix) + rows * (strlen(text->row) + 1) + strlen(text->suffix) + 1;
    char *whole = memory_allocate(capacity);
    size_t used = (size_t)snprintf(whole, capacity, "%s", text->prefix);
    for (size_t i = 0; text->row[0] && i < rows; i++) {
        used += (size_t)snprintf(whole + used, capacity - used, "%s%s", i ? "," : "", text->row);
    }
    snprintf(whole + used, capacity - used, "%s", text->suffix);
    return whole;
}

static int prepare(sqlite_store_t *store, sql_statement_t statement, size_t rows,
                   sqlite3_stmt **prepared)
{
    sqlite3_stmt **kept = &store->statements[statement][sql_size_index(rows)];
    int code = SQLITE_OK;
    if (!*kept) {
        char *text = text_new(&texts[statement], rows);
        code = sqlite3_prepare_v3(store->database, text, -1, SQLITE_PREPARE_PERSISTENT, kept, NULL);
        free(text);
    }
    *prepared = *kept;
    return code;
}

static int bind(sqlite3_stmt *statement, int index, const sql_value_t *value)
{
    switch (value->kind) {
    case SQL_U64:
    case SQL_I64:
        return sqlite3_bind_int64(statement, index, (int64_t)value->number);
    case SQL_BYTES:
        /* A NULL pointer would bind NULL, not an empty value. */
        return sqlite3_bind_blob64(statement, index,
                                   value->bytes.size ? value->bytes.data : (const void *)"",
                                   value->bytes.size, SQLITE_STATIC);
    case SQL_NULL:
        break;
    }
    return sqlite3_bind_null(statement, index);
}

/* Prepares a statement and binds the store's parameters. */
static int make(sqlite_store_t *store, sql_statement_t statement, size_t rows, sqlite3_stmt **made)
{
    int code = prepare(store, statement, rows, made);
    if (code == SQLITE_OK) {
        assert((size_t)sqlite3_bind_parameter_count(*made) == store->sql.parameter_count);
    }
    for (size_t i = 0; i < store->sql.parameter_count && code == SQLITE_OK; i++) {
        code = bind(*made, (int)i + 1, &store->sql.parameters[i]);
    }
    return code;
}

/* ---- running ---- */

fabric_error_t sqlite_run(sql_store_t *base, sql_statement_t statement, size_t rows,
                          uint64_t *matched)
{
    sqlite_store_t *store = sqlite_store_of(base);
    sqlite3_stmt *made = NULL;
    int code = make(store, statement, rows, &made);
    bool commits = code == SQLITE_OK && sqlite3_get_autocommit(store->database);
    if (code == SQLITE_OK) {
        code = sqlite3_step(made);
        *matched = (uint64_t)sqlite3_changes(store->database);
    }
    fabric_error_t error = sqlite_result(store, code, commits);
    sqlite3_reset(made);
    return error;
}

fabric_error_t sqlite_query(sql_store_t *base, sql_statement_t statement, size_t rows)
{
    sqlite_store_t *store = sqlite_store_of(base);
    fabric_error_t error =
        sqlite_result(store, make(store, statement, rows, &store->reading), false);
    if (error) {
        sqlite_close(base);
    }
    return error;
}

/* Somebody may have altered a table: a column of a type that is not ours is NULL, not a crash. */
static sql_value_t column_of(sqlite3_stmt *row, int index)
{
    switch (sqlite3_column_type(row, index)) {
    case SQLITE_INTEGER:
        return (sql_value_t){.kind = SQL_U64, .number = (uint64_t)sqlite3_column_int64(row, index)};
    case SQLITE_BLOB:
    case SQLITE_TEXT: {
        const void *data = sqlite3_column_blob(row, index);
        size_t size = data ? (size_t)sqlite3_column_bytes(row, index) : 0;
        return (sql_value_t){.kind = SQL_BYTES, .bytes = fabric_bytes(data, size)};
    }
    default:
        return (sql_value_t){.kind = SQL_NULL};
    }
}

fabric_error_t sqlite_next(sql_store_t *base, bool *more)
{
    sqlite_store_t *store = sqlite_store_of(base);
    int code = sqlite3_step(store->reading);
    *more = code == SQLITE_ROW;
    int count = *more ? sqlite3_column_count(store->reading) : 0;
    assert((size_t)count <= SQL_COLUMNS_MAX);
    for (int i = 0; i < count; i++) {
        base->columns[i] = column_of(store->reading, i);
    }
    return sqlite_result(store, code, false);
}

void sqlite_close(sql_store_t *base)
{
    sqlite_store_t *store = sqlite_store_of(base);
    sqlite3_reset(store->reading);
    store->reading = NULL;
}
