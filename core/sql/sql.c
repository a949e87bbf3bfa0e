/* Parameters, rows and transactions of a store on an SQL database. */
#include "core/sql/sql.h"

#include <assert.h>
#include <stdlib.h>

#include "core/memory.h"

size_t sql_size_within(size_t count)
{
    if (count <= SQL_EXACT_MAX) {
        return count;
    }
    return count >= SQL_ROWS_MAX ? SQL_ROWS_MAX : count >= 64 ? 64 : SQL_EXACT_MAX;
}

size_t sql_size_index(size_t rows)
{
    assert(rows > 0 && sql_size_within(rows) == rows);
    return rows <= SQL_EXACT_MAX ? rows - 1 : rows == 64 ? SQL_EXACT_MAX : SQL_EXACT_MAX + 1;
}

void sql_store_init(sql_store_t *store, const store_driver_t *driver, const sql_engine_t *engine)
{
    *store = (sql_store_t){.base.driver = driver, .engine = engine};
    store->parameters = memory_allocate(SQL_PARAMETERS_MAX * sizeof *store->parameters);
}

void sql_store_release(sql_store_t *store)
{
    free(store->parameters);
    store->parameters = NULL;
}

/* ---- transactions ---- */

fabric_error_t sql_begin(sql_store_t *store, sql_transaction_t kind)
{
    assert(store->transaction == SQL_NONE);
    fabric_error_t error = store->engine->begin(store, kind);
    if (!error) {
        store->transaction = kind;
        store->parameter_count = 0;
    }
    return error;
}

fabric_error_t sql_end(sql_store_t *store, fabric_error_t error)
{
    assert(store->transaction != SQL_NONE && !store->rows_open);
    if (error) {
        store->engine->roll_back(store);
    } else {
        error = store->engine->commit(store);
    }
    store->transaction = SQL_NONE;
    return error;
}

fabric_error_t sql_find(sql_store_t *store, size_t count, sql_find_fn *find, void *context)
{
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    for (size_t done = 0; !error && done < count;) {
        size_t rows = sql_size_within(count - done);
        error = find(store, context, done, rows);
        done += rows;
    }
    return sql_end(store, error);
}

/* ---- parameters ---- */

static sql_value_t *next_parameter(sql_store_t *store, sql_kind_t kind)
{
    assert(store->parameter_count < SQL_PARAMETERS_MAX);
    sql_value_t *value = &store->parameters[store->parameter_count++];
    *value = (sql_value_t){.kind = kind};
    return value;
}

void sql_put_u64(sql_store_t *store, uint64_t value)
{
    next_parameter(store, SQL_U64)->number = value;
}

void sql_put_i64(sql_store_t *store, int64_t value)
{
    next_parameter(store, SQL_I64)->number = (uint64_t)value;
}

void sql_put_bytes(sql_store_t *store, fabric_bytes_t value)
{
    next_parameter(store, SQL_BYTES)->bytes = value;
}

void sql_put_null(sql_store_t *store)
{
    (void)next_parameter(store, SQL_NULL);
}

void sql_put_incarnation(sql_store_t *store, const incarnation_t *value)
{
    sql_put_bytes(store, fabric_bytes(value->bytes, sizeof value->bytes));
}

/* ---- running ---- */

/* Whether the statement itself makes a NULL of a condition that does not hold. */
static bool has_condition(sql_statement_t statement)
{
    return statement == SQL_JOURNAL_AFTER || statement == SQL_JOURNAL_AFTER_MORE ||
           statement == SQL_EVENT_PUT;
}

fabric_error_t sql_run(sql_store_t *store, sql_statement_t statement, size_t rows,
                       uint64_t *matched)
{
    assert(store->transaction != SQL_NONE && !store->rows_open);
    uint64_t found = 0;
    fabric_error_t error = store->engine->run(store, statement, rows, &found);
    store->parameter_count = 0;
    if (!error && matched) {
        *matched = found;
    }
    return error == FABRIC_ERROR_FENCED && !has_condition(statement)
               ? FABRIC_ERROR_STORE_UNAVAILABLE
               : error;
}

fabric_error_t sql_query(sql_store_t *store, sql_statement_t statement, size_t rows)
{
    assert(store->transaction != SQL_NONE && !store->rows_open);
    fabric_error_t error = store->engine->query(store, statement, rows);
    store->parameter_count = 0;
    store->rows_open = !error;
    return error;
}

bool sql_next(sql_store_t *store, fabric_error_t *error)
{
    bool more = false;
    if (!*error) {
        *error = store->engine->next(store, &more);
    }
    return !*error && more;
}

void sql_close(sql_store_t *store)
{
    if (store->rows_open) {
        store->engine->close(store);
        store->rows_open = false;
    }
}

fabric_error_t sql_query_one(sql_store_t *store, sql_statement_t statement, bool *found)
{
    fabric_error_t error = sql_query(store, statement, 1);
    *found = sql_next(store, &error);
    return error;
}

/* ---- columns ---- */

/* Somebody may have altered a table: a column of another type than ours reads as 0 or empty. */
uint64_t sql_u64(const sql_store_t *store, size_t column)
{
    const sql_value_t *value = &store->columns[column];
    return value->kind == SQL_U64 ? value->number : 0;
}

uint32_t sql_u32(const sql_store_t *store, size_t column)
{
    uint64_t number = sql_u64(store, column);
    return number <= UINT32_MAX ? (uint32_t)number : 0;
}

fabric_bytes_t sql_bytes(const sql_store_t *store, size_t column)
{
    const sql_value_t *value = &store->columns[column];
    return value->kind == SQL_BYTES ? value->bytes : fabric_bytes(NULL, 0);
}

incarnation_t sql_incarnation(const sql_store_t *store, size_t column)
{
    incarnation_t incarnation = {{0}};
    fabric_bytes_t bytes = sql_bytes(store, column);
    if (bytes.size == sizeof incarnation.bytes) {
        memcpy(incarnation.bytes, bytes.data, sizeof incarnation.bytes);
    }
    return incarnation;
}

void sql_copy_text(const sql_store_t *store, size_t column, char *text, size_t capacity)
{
    fabric_bytes_t bytes = sql_bytes(store, column);
    size_t size = bytes.size < capacity ? bytes.size : capacity - 1;
    if (size > 0) {
        assert(bytes.data);
        memcpy(text, bytes.data, size);
    }
    text[size] = '\0';
}

/* ---- pages ---- */

#define PAGE_BYTES_GOAL ((uint64_t)4 << 20)
#define PAGE_ROWS_MAX   1000u

uint32_t sql_page_rows(const sql_pages_t *pages, uint32_t first, uint64_t rows_left,
                       uint64_t bytes_left)
{
    uint64_t rows = first;
    if (pages->rows > 0) {
        uint64_t goal = bytes_left < PAGE_BYTES_GOAL ? bytes_left : PAGE_BYTES_GOAL;
        rows = goal / (pages->bytes / pages->rows + 1) + 1;
    }
    rows = rows < PAGE_ROWS_MAX ? rows : PAGE_ROWS_MAX;
    return (uint32_t)(rows < rows_left ? rows : rows_left);
}
