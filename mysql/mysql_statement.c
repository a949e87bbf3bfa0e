/* Prepared statements of one connection: made once, bound, run and read. */
#include "mysql/mysql_statement.h"

#include <assert.h>
#include <errmsg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "mysql/mysql_error.h"

const size_t statement_sizes[STATEMENT_SIZES] = {1, 2, 4, 8, 16, 32, 64, STATEMENT_ROWS_MAX};

/* Columns and parameters of the widest row: a dead letter's 16 parameters, a message's 14 columns
 * with a reply's 5. */
#define PARAMETERS_MAX ((size_t)STATEMENT_ROWS_MAX * 16)
#define COLUMNS_MAX    20
/* What a column's buffer begins with; names fit, and a larger value enlarges it for the next query. */
#define COLUMN_BYTES_FIRST 256

static const struct {
    const char *prefix;
    const char *row;
    const char *suffix;
} statement_texts[STATEMENT_COUNT] = {
#define STATEMENT(name, prefix, row, suffix) {prefix, row, suffix},
#include "mysql/mysql_statements.def"
#undef STATEMENT
};

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

struct statement_rows {
    mysql_session_t *session;
    MYSQL_STMT *handle;
    MYSQL_BIND binds[COLUMNS_MAX];
    column_t columns[COLUMNS_MAX];
    size_t column_count;
    bool open;
};

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory) {
        abort();
    }
    return memory;
}

size_t statement_size_within(size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < STATEMENT_SIZES && statement_sizes[i] <= count; i++) {
        size = statement_sizes[i];
    }
    return size;
}

/* ---- the session ---- */

void mysql_session_init(mysql_session_t *session, store_t *store, MYSQL *handle)
{
    *session = (mysql_session_t){.handle = handle, .store = store};
    session->binds = allocate(PARAMETERS_MAX, sizeof *session->binds);
    session->numbers = allocate(PARAMETERS_MAX, sizeof *session->numbers);
}

static void rows_destroy(statement_rows_t *rows)
{
    if (rows) {
        mysql_stmt_close(rows->handle);
        for (size_t i = 0; i < rows->column_count; i++) {
            free(rows->columns[i].data);
            free(rows->columns[i].large);
        }
        free(rows);
    }
}

void mysql_session_close(mysql_session_t *session)
{
    if (session->handle) {
        /* A server that hangs must not keep us: with the socket shut, saying goodbye fails at once.
         */
        if (session->lost && session->handle->net.fd > 0) {
            shutdown(session->handle->net.fd, SHUT_RDWR);
        }
        /* Before its statements: they are detached by it, and are then freed without traffic. */
        mysql_close(session->handle);
    }
    for (size_t id = 0; id < STATEMENT_COUNT; id++) {
        for (size_t size = 0; size < STATEMENT_SIZES; size++) {
            rows_destroy(session->statements[id][size]);
        }
    }
    free(session->binds);
    free(session->numbers);
    *session = (mysql_session_t){.lost = true};
}

static fabric_error_t note_failure(mysql_session_t *session, mysql_verdict_t verdict,
                                   unsigned number, const char *words)
{
    session->last_error = number;
    session->lost = session->lost || verdict.connection_lost;
    store_note_error(session->store, number, words);
    return verdict.error;
}

fabric_error_t mysql_session_failure(mysql_session_t *session)
{
    unsigned number = mysql_errno(session->handle);
    return note_failure(session, mysql_error_of_statement(number, mysql_sqlstate(session->handle)),
                        number, mysql_error(session->handle));
}

static fabric_error_t statement_failure(mysql_session_t *session, MYSQL_STMT *handle)
{
    unsigned number = mysql_stmt_errno(handle);
    return note_failure(session, mysql_error_of_statement(number, mysql_stmt_sqlstate(handle)),
                        number, mysql_stmt_error(handle));
}

fabric_error_t mysql_session_execute(mysql_session_t *session, const char *text)
{
    if (mysql_real_query(session->handle, text, strlen(text)) == 0) {
        return FABRIC_OK;
    }
    return mysql_session_failure(session);
}

fabric_error_t mysql_session_commit(mysql_session_t *session)
{
    if (mysql_commit(session->handle) == 0) {
        return FABRIC_OK;
    }
    unsigned number = mysql_errno(session->handle);
    return note_failure(session, mysql_error_of_commit(number), number,
                        mysql_error(session->handle));
}

/* ---- parameters ---- */

void statement_begin(mysql_session_t *session)
{
    session->parameter_count = 0;
}

static MYSQL_BIND *next_bind(mysql_session_t *session, enum enum_field_types type)
{
    assert(session->parameter_count < PARAMETERS_MAX);
    MYSQL_BIND *bind = &session->binds[session->parameter_count++];
    bind->buffer_type = type;
    return bind;
}

void statement_put_u64(mysql_session_t *session, uint64_t value)
{
    MYSQL_BIND *bind = next_bind(session, MYSQL_TYPE_LONGLONG);
    uint64_t *number = &session->numbers[session->parameter_count - 1];
    *number = value;
    bind->buffer = number;
    bind->buffer_length = sizeof *number;
    bind->is_unsigned = 1;
}

void statement_put_i64(mysql_session_t *session, int64_t value)
{
    statement_put_u64(session, (uint64_t)value);
    session->binds[session->parameter_count - 1].is_unsigned = 0;
}

void statement_put_bytes(mysql_session_t *session, fabric_bytes_t value)
{
    MYSQL_BIND *bind = next_bind(session, MYSQL_TYPE_BLOB);
    /* The library reads through the pointer only; it is not const because rows use it too. */
    bind->buffer = value.size > 0 ? (void *)(uintptr_t)value.data : (void *)(uintptr_t) "";
    bind->buffer_length = value.size;
    bind->is_unsigned = 0;
}

void statement_put_null(mysql_session_t *session)
{
    (void)next_bind(session, MYSQL_TYPE_NULL);
}

void statement_put_incarnation(mysql_session_t *session, const incarnation_t *value)
{
    statement_put_bytes(session, fabric_bytes(value->bytes, sizeof value->bytes));
}

/* ---- preparing and running ---- */

static size_t text_build(statement_id_t id, size_t rows, char *text, size_t capacity)
{
    const char *row = statement_texts[id].row;
    size_t used = (size_t)snprintf(text, capacity, "%s", statement_texts[id].prefix);
    for (size_t i = 0; *row && i < rows; i++) {
        used += (size_t)snprintf(text + used, capacity - used, "%s%s", i ? "," : "", row);
    }
    used += (size_t)snprintf(text + used, capacity - used, "%s", statement_texts[id].suffix);
    assert(used < capacity);
    return used;
}

static bool is_integer(enum enum_field_types type)
{
    return type == MYSQL_TYPE_TINY || type == MYSQL_TYPE_SHORT || type == MYSQL_TYPE_INT24 ||
           type == MYSQL_TYPE_LONG || type == MYSQL_TYPE_LONGLONG;
}

static void describe_columns(statement_rows_t *rows)
{
    MYSQL_RES *metadata = mysql_stmt_result_metadata(rows->handle);
    if (!metadata) {
        return; /* a statement without rows */
    }
    rows->column_count = mysql_num_fields(metadata);
    assert(rows->column_count <= COLUMNS_MAX);
    for (size_t i = 0; i < rows->column_count; i++) {
        column_t *column = &rows->columns[i];
        column->is_number = is_integer(mysql_fetch_field(metadata)->type);
        column->capacity = COLUMN_BYTES_FIRST;
        column->data = allocate(1, COLUMN_BYTES_FIRST);
    }
    mysql_free_result(metadata);
}

static fabric_error_t prepare(mysql_session_t *session, statement_id_t id, size_t rows,
                              statement_rows_t **prepared)
{
    size_t size = 0;
    while (statement_sizes[size] != rows) {
        size++;
        assert(size < STATEMENT_SIZES);
    }
    if (!session->statements[id][size]) {
        size_t capacity = 1024 + rows * (strlen(statement_texts[id].row) + 1);
        char *text = allocate(1, capacity);
        size_t text_size = text_build(id, rows, text, capacity);
        MYSQL_STMT *handle = mysql_stmt_init(session->handle);
        if (!handle) {
            abort(); /* out of memory */
        }
        int failed = mysql_stmt_prepare(handle, text, text_size);
        free(text);
        if (failed) {
            fabric_error_t error = statement_failure(session, handle);
            mysql_stmt_close(handle);
            return error;
        }
        statement_rows_t *made = allocate(1, sizeof *made);
        made->session = session;
        made->handle = handle;
        describe_columns(made);
        session->statements[id][size] = made;
    }
    *prepared = session->statements[id][size];
    return FABRIC_OK;
}

static fabric_error_t execute(mysql_session_t *session, statement_id_t id, size_t rows,
                              statement_rows_t **executed)
{
    statement_rows_t *statement = NULL;
    fabric_error_t error = prepare(session, id, rows, &statement);
    if (error) {
        return error;
    }
    assert(statement && mysql_stmt_param_count(statement->handle) == session->parameter_count);
    if ((session->parameter_count > 0 &&
         mysql_stmt_bind_param(statement->handle, session->binds)) ||
        mysql_stmt_execute(statement->handle)) {
        return statement_failure(session, statement->handle);
    }
    *executed = statement;
    return FABRIC_OK;
}

fabric_error_t statement_run(mysql_session_t *session, statement_id_t id, size_t rows,
                             uint64_t *matched)
{
    statement_rows_t *statement = NULL;
    fabric_error_t error = execute(session, id, rows, &statement);
    if (statement && !error && matched) {
        *matched = mysql_stmt_affected_rows(statement->handle);
    }
    return error;
}

/* ---- rows ---- */

/* Has the columns' buffers filled at each fetch. Only before the first one: while a row is being read,
 * MariaDB's library 3.3.19 loses the lengths of its values by it. */
static fabric_error_t bind_columns(statement_rows_t *rows)
{
    for (size_t i = 0; i < rows->column_count; i++) {
        column_t *column = &rows->columns[i];
        if (column->large_capacity > column->capacity) {
            free(column->data);
            column->data = column->large;
            column->capacity = column->large_capacity;
            column->large = NULL;
            column->large_capacity = 0;
        }
        rows->binds[i] = (MYSQL_BIND){
            .buffer_type = column->is_number ? MYSQL_TYPE_LONGLONG : MYSQL_TYPE_BLOB,
            .buffer = column->is_number ? (void *)&column->number : (void *)column->data,
            .buffer_length = column->is_number ? sizeof column->number : column->capacity,
            .length = &column->size,
            .is_null = &column->is_null,
            .error = &column->is_cut,
            .is_unsigned = 1,
        };
    }
    return rows->column_count > 0 && mysql_stmt_bind_result(rows->handle, rows->binds)
               ? statement_failure(rows->session, rows->handle)
               : FABRIC_OK;
}

fabric_error_t statement_query(mysql_session_t *session, statement_id_t id, size_t rows,
                               statement_rows_t **result)
{
    fabric_error_t error = execute(session, id, rows, result);
    if (!error) {
        (*result)->open = true;
        error = bind_columns(*result);
        if (error) {
            statement_end(*result);
        }
    }
    return error;
}

/* The library contradicts itself about a row: nothing that it says is believed any more. */
static fabric_error_t refuse_row(const statement_rows_t *rows)
{
    return note_failure(rows->session, mysql_error_of_statement(CR_MALFORMED_PACKET, "HY000"),
                        CR_MALFORMED_PACKET,
                        "the client library contradicts itself about the lengths of a row");
}

/* Reads a value that did not fit, once more and whole. */
static fabric_error_t read_large(statement_rows_t *rows, unsigned index)
{
    column_t *column = &rows->columns[index];
    if (column->large_capacity < column->size) {
        free(column->large);
        column->large_capacity = column->size + column->size / 2;
        column->large = allocate(1, column->large_capacity);
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
    if (mysql_stmt_fetch_column(rows->handle, &bind, index, 0)) {
        return statement_failure(rows->session, rows->handle);
    }
    return size != column->size || is_null || is_cut ? refuse_row(rows) : FABRIC_OK;
}

/* A value is cut where it is longer than its buffer, and nowhere else. */
static fabric_error_t read_columns(statement_rows_t *rows)
{
    fabric_error_t error = FABRIC_OK;
    for (size_t i = 0; !error && i < rows->column_count; i++) {
        const column_t *column = &rows->columns[i];
        if (column->is_number || column->is_null) {
            continue;
        }
        bool is_large = column->size > column->capacity;
        if (is_large != (bool)column->is_cut) {
            error = refuse_row(rows);
        } else if (is_large) {
            error = read_large(rows, (unsigned)i);
        }
    }
    return error;
}

fabric_error_t statement_next(statement_rows_t *rows, bool *more)
{
    int result = mysql_stmt_fetch(rows->handle);
    fabric_error_t error = result == 1 ? statement_failure(rows->session, rows->handle) : FABRIC_OK;
    *more = !error && result != MYSQL_NO_DATA;
    if (*more) {
        error = read_columns(rows);
    }
    if (error) {
        statement_end(rows);
    }
    return error;
}

void statement_end(statement_rows_t *rows)
{
    if (rows && rows->open) {
        rows->open = false;
        if (mysql_stmt_free_result(rows->handle)) {
            (void)statement_failure(rows->session, rows->handle);
        }
    }
}

/* Somebody may have altered a table: a column of another type than ours is empty, not a crash. */
uint64_t statement_u64(const statement_rows_t *rows, size_t column)
{
    assert(column < rows->column_count);
    const column_t *value = &rows->columns[column];
    return value->is_null || !value->is_number ? 0 : value->number;
}

fabric_bytes_t statement_bytes(const statement_rows_t *rows, size_t column)
{
    assert(column < rows->column_count);
    const column_t *value = &rows->columns[column];
    if (value->is_null || value->is_number) {
        return fabric_bytes(NULL, 0);
    }
    return fabric_bytes(value->size > value->capacity ? value->large : value->data, value->size);
}

bool statement_is_null(const statement_rows_t *rows, size_t column)
{
    return rows->columns[column].is_null;
}

bool statement_incarnation(const statement_rows_t *rows, size_t column, incarnation_t *value)
{
    fabric_bytes_t bytes = statement_bytes(rows, column);
    *value = (incarnation_t){{0}};
    if (bytes.size != sizeof value->bytes) {
        return false;
    }
    memcpy(value->bytes, bytes.data, sizeof value->bytes);
    return true;
}

void statement_text(const statement_rows_t *rows, size_t column, char *text, size_t capacity)
{
    fabric_bytes_t bytes = statement_bytes(rows, column);
    size_t size = bytes.size < capacity ? bytes.size : capacity - 1;
    if (size > 0 && bytes.data) {
        memcpy(text, bytes.data, size);
    }
    text[size] = 0;
}

fabric_error_t statement_query_one(mysql_session_t *session, statement_id_t id,
                                   statement_rows_t **result, bool *found)
{
    fabric_error_t error = statement_query(session, id, 1, result);
    return error ? error : statement_next(*result, found);
}
