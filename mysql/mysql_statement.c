/* Prepared statements of one connection: made once, bound, run and read. */
#include "mysql/mysql_statement.h"

#include <assert.h>
#include <errmsg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/memory.h"

/* What a column's buffer begins with; names fit, and a larger value enlarges it for later. */
#define COLUMN_BYTES_FIRST 256

static const sql_text_t texts[SQL_STATEMENT_COUNT] = {
#define STATEMENT(name, prefix, row, suffix) [SQL_##name] = {prefix, row, suffix},
#include "mysql/mysql_statements.def"
#undef STATEMENT
};
#define STATEMENT(name, prefix, row, suffix) +1
_Static_assert((0
#include "mysql/mysql_statements.def"
                ) == SQL_STATEMENT_COUNT,
               "each statement has its text");
#undef STATEMENT

/* my_bool in one client library, bool in the other. */
typedef __typeof__(*((MYSQL_BIND *)NULL)->is_null) mysql_flag_t;

typedef struct column {
    uint64_t number;
    uint8_t *data; /* bound: the library fills it at each fetch */
    unsigned long capacity;
    uint8_t *large; /* a value that did not fit into data */
    unsigned long large_capacity;
    unsigned long
        size; /* of the present value, which is in `large` where it is more than capacity */
    mysql_flag_t is_null;
    mysql_flag_t is_cut; /* the library did not copy all of it into data */
    bool is_number;
} column_t;

struct mysql_prepared {
    MYSQL_STMT *handle;
    MYSQL_BIND binds[SQL_COLUMNS_MAX];
    column_t columns[SQL_COLUMNS_MAX];
    size_t column_count;
};

static void prepared_free(mysql_prepared_t *prepared)
{
    if (prepared) {
        mysql_stmt_close(prepared->handle);
        for (size_t i = 0; i < prepared->column_count; i++) {
            free(prepared->columns[i].data);
            free(prepared->columns[i].large);
        }
        free(prepared);
    }
}

void mysql_statements_free(mysql_session_t *session)
{
    for (size_t id = 0; id < SQL_STATEMENT_COUNT; id++) {
        for (size_t size = 0; size < SQL_SIZES; size++) {
            prepared_free(session->prepared[id][size]);
        }
    }
}

static fabric_error_t failure(mysql_store_t *store, MYSQL_STMT *handle)
{
    unsigned number = mysql_stmt_errno(handle);
    return mysql_note_failure(store, mysql_error_of_statement(number), number,
                              mysql_stmt_error(handle));
}

/* ---- preparing ---- */

static char *text_of(sql_statement_t statement, size_t rows)
{
    const sql_text_t *text = &texts[statement];
    size_t capacity =
        strlen(text->prefix) + rows * (strlen(text->row) + 1) + strlen(text->suffix) + 1;
    char *made = memory_allocate(capacity);
    size_t used = (size_t)snprintf(made, capacity, "%s", text->prefix);
    for (size_t i = 0; *text->row && i < rows; i++) {
        used += (size_t)snprintf(made + used, capacity - used, "%s%s", i ? "," : "", text->row);
    }
    snprintf(made + used, capacity - used, "%s", text->suffix);
    return made;
}

static bool is_integer(enum enum_field_types type)
{
    return type == MYSQL_TYPE_TINY || type == MYSQL_TYPE_SHORT || type == MYSQL_TYPE_INT24 ||
           type == MYSQL_TYPE_LONG || type == MYSQL_TYPE_LONGLONG;
}

static void describe_columns(mysql_prepared_t *prepared)
{
    MYSQL_RES *metadata = mysql_stmt_result_metadata(prepared->handle);
    if (!metadata) {
        return; /* a statement without rows */
    }
    prepared->column_count = mysql_num_fields(metadata);
    assert(prepared->column_count <= SQL_COLUMNS_MAX);
    for (size_t i = 0; i < prepared->column_count; i++) {
        column_t *column = &prepared->columns[i];
        column->is_number = is_integer(mysql_fetch_field(metadata)->type);
        column->capacity = COLUMN_BYTES_FIRST;
        column->data = memory_allocate(COLUMN_BYTES_FIRST);
    }
    mysql_free_result(metadata);
}

static fabric_error_t prepare(mysql_store_t *store, sql_statement_t statement, size_t rows,
                              mysql_prepared_t **prepared)
{
    mysql_prepared_t **place = &store->session.prepared[statement][sql_size_index(rows)];
    if (!*place) {
        MYSQL_STMT *handle = mysql_stmt_init(store->session.handle);
        if (!handle) {
            abort(); /* out of memory */
        }
        char *text = text_of(statement, rows);
        int failed = mysql_stmt_prepare(handle, text, strlen(text));
        free(text);
        if (failed) {
            fabric_error_t error = failure(store, handle);
            mysql_stmt_close(handle);
            return error;
        }
        *place = memory_allocate_zeroed(1, sizeof **place);
        (*place)->handle = handle;
        describe_columns(*place);
    }
    *prepared = *place;
    return FABRIC_OK;
}

fabric_error_t mysql_prepare_one(sql_store_t *base, sql_statement_t statement)
{
    mysql_prepared_t *prepared = NULL;
    return prepare(mysql_store_of(base), statement, 1, &prepared);
}

/* ---- running ---- */

/* The library reads through the pointers only; they are not const because rows use them too. */
static void bind_parameters(mysql_store_t *store)
{
    for (size_t i = 0; i < store->sql.parameter_count; i++) {
        sql_value_t *value = &store->sql.parameters[i];
        MYSQL_BIND *bind = &store->binds[i];
        switch (value->kind) {
        case SQL_NULL:
            bind->buffer_type = MYSQL_TYPE_NULL;
            break;
        case SQL_U64:
        case SQL_I64:
            bind->buffer_type = MYSQL_TYPE_LONGLONG;
            bind->buffer = &value->number;
            bind->buffer_length = sizeof value->number;
            bind->is_unsigned = value->kind == SQL_U64;
            break;
        case SQL_BYTES:
            bind->buffer_type = MYSQL_TYPE_BLOB;
            bind->buffer =
                (void *)(uintptr_t)(value->bytes.size > 0 ? value->bytes.data : (const void *)"");
            bind->buffer_length = value->bytes.size;
            bind->is_unsigned = 0;
            break;
        }
    }
}

static fabric_error_t execute(mysql_store_t *store, sql_statement_t statement, size_t rows,
                              mysql_prepared_t **executed)
{
    mysql_prepared_t *prepared = NULL;
    fabric_error_t error = prepare(store, statement, rows, &prepared);
    if (error) {
        return error;
    }
    assert(prepared && mysql_stmt_param_count(prepared->handle) == store->sql.parameter_count);
    bind_parameters(store);
    if (store->sql.parameter_count > 0 && mysql_stmt_bind_param(prepared->handle, store->binds)) {
        return failure(store, prepared->handle);
    }
    if (mysql_stmt_execute(prepared->handle)) {
        unsigned number = mysql_stmt_errno(prepared->handle);
        bool commits = store->sql.transaction == SQL_SINGLE;
        mysql_verdict_t verdict =
            commits ? mysql_error_of_commit(number, mysql_stmt_sqlstate(prepared->handle))
                    : mysql_error_of_statement(number);
        return mysql_note_failure(store, verdict, number, mysql_stmt_error(prepared->handle));
    }
    *executed = prepared;
    return FABRIC_OK;
}

fabric_error_t mysql_run(sql_store_t *base, sql_statement_t statement, size_t rows,
                         uint64_t *matched)
{
    mysql_prepared_t *prepared = NULL;
    fabric_error_t error = execute(mysql_store_of(base), statement, rows, &prepared);
    assert(error || prepared);
    if (!error) {
        *matched = mysql_stmt_affected_rows(prepared->handle);
    }
    return error;
}

/* ---- rows ---- */

/* Has the columns' buffers filled at each fetch. Only before the first one: while a row is being
 * read, MariaDB's library 3.3.19 loses the lengths of its values by it. */
static fabric_error_t bind_columns(mysql_store_t *store, mysql_prepared_t *prepared)
{
    for (size_t i = 0; i < prepared->column_count; i++) {
        column_t *column = &prepared->columns[i];
        if (column->large_capacity > column->capacity) {
            free(column->data);
            column->data = column->large;
            column->capacity = column->large_capacity;
            column->large = NULL;
            column->large_capacity = 0;
        }
        prepared->binds[i] = (MYSQL_BIND){
            .buffer_type = column->is_number ? MYSQL_TYPE_LONGLONG : MYSQL_TYPE_BLOB,
            .buffer = column->is_number ? (void *)&column->number : (void *)column->data,
            .buffer_length = column->is_number ? sizeof column->number : column->capacity,
            .length = &column->size,
            .is_null = &column->is_null,
            .error = &column->is_cut,
            .is_unsigned = 1,
        };
    }
    return mysql_stmt_bind_result(prepared->handle, prepared->binds)
               ? failure(store, prepared->handle)
               : FABRIC_OK;
}

fabric_error_t mysql_start_query(sql_store_t *base, sql_statement_t statement, size_t rows)
{
    mysql_store_t *store = mysql_store_of(base);
    mysql_prepared_t *prepared = NULL;
    fabric_error_t error = execute(store, statement, rows, &prepared);
    assert(error || prepared);
    if (!error) {
        store->session.open = prepared;
        error = bind_columns(store, prepared);
        if (error) {
            mysql_end_query(base);
        }
    }
    return error;
}

/* The library contradicts itself about a row: nothing that it says is believed any more. */
static fabric_error_t refuse_row(mysql_store_t *store)
{
    return mysql_note_failure(store, mysql_error_of_statement(CR_MALFORMED_PACKET),
                              CR_MALFORMED_PACKET,
                              "the client library contradicts itself about the lengths of a row");
}

/* Reads a value that did not fit, once more and whole. */
static fabric_error_t read_large(mysql_store_t *store, unsigned index)
{
    MYSQL_STMT *handle = store->session.open->handle;
    column_t *column = &store->session.open->columns[index];
    if (column->large_capacity < column->size) {
        free(column->large);
        column->large_capacity = column->size + column->size / 2;
        column->large = memory_allocate(column->large_capacity);
    }
    unsigned long size = 0;
    mysql_flag_t is_null = 0;
    mysql_flag_t is_cut = 0;
    MYSQL_BIND bind = {.buffer_type = MYSQL_TYPE_BLOB,
                       .buffer = column->large,
                       .buffer_length = column->large_capacity,
                       .length = &size,
                       .is_null = &is_null,
                       .error = &is_cut};
    if (mysql_stmt_fetch_column(handle, &bind, index, 0)) {
        return failure(store, handle);
    }
    return size != column->size || is_null || is_cut ? refuse_row(store) : FABRIC_OK;
}

/* A value is cut where it is longer than its buffer, and nowhere else. */
static fabric_error_t read_column(mysql_store_t *store, unsigned index)
{
    const column_t *column = &store->session.open->columns[index];
    sql_value_t *value = &store->sql.columns[index];
    *value = (sql_value_t){.kind = SQL_NULL};
    if (column->is_null) {
        return FABRIC_OK;
    }
    if (column->is_number) {
        *value = (sql_value_t){.kind = SQL_U64, .number = column->number};
        return FABRIC_OK;
    }
    bool is_large = column->size > column->capacity;
    if (is_large != (bool)column->is_cut) {
        return refuse_row(store);
    }
    fabric_error_t error = is_large ? read_large(store, index) : FABRIC_OK;
    value->kind = SQL_BYTES;
    value->bytes = fabric_bytes(is_large ? column->large : column->data, column->size);
    return error;
}

fabric_error_t mysql_next_row(sql_store_t *base, bool *more)
{
    mysql_store_t *store = mysql_store_of(base);
    mysql_prepared_t *prepared = store->session.open;
    int result = mysql_stmt_fetch(prepared->handle);
    fabric_error_t error = result == 1 ? failure(store, prepared->handle) : FABRIC_OK;
    bool has_row = !error && result != MYSQL_NO_DATA;
    for (unsigned i = 0; has_row && !error && i < prepared->column_count; i++) {
        error = read_column(store, i);
    }
    *more = has_row && !error;
    return error;
}

void mysql_end_query(sql_store_t *base)
{
    mysql_store_t *store = mysql_store_of(base);
    if (mysql_stmt_free_result(store->session.open->handle)) {
        (void)failure(store, store->session.open->handle);
    }
    store->session.open = NULL;
}
