/* What the store adapters for SQL databases share. core/sql/ has every operation of the store port,
 * once, on top of the small engine that an adapter brings: running statements that have names
 * (core/sql/sql_statements.def) and whose texts each adapter has in a table of its own.
 *
 *     error = sql_begin(store, SQL_WRITE);
 *     if (error) return error;
 *     sql_put_u64(store, lane);
 *     error = sql_run(store, SQL_LANE_UPDATE, 1, &matched);             changes
 *     return sql_end(store, error);
 *
 *     error = sql_query(store, SQL_LANE_LIST, 1);                       reads
 *     while (sql_next(store, &error)) { ... sql_u64(store, 0) ... }
 *     sql_close(store);
 *
 * While a query's rows are open, nothing else runs on the store.
 *
 * Numbers are unsigned 64-bit. SQLite keeps them as the signed ones with the same bits, so core/sql
 * compares only numbers below 2^63 by order.
 *
 * Threading: a store belongs to one thread at a time.
 */
#ifndef CORE_SQL_SQL_H
#define CORE_SQL_SQL_H

#include "core/store.h"

/* The names of all statements. */
typedef enum sql_statement {
#define SQL_STATEMENT_NAME(name) SQL_##name,
#include "core/sql/sql_statements.def"
#undef SQL_STATEMENT_NAME
    SQL_STATEMENT_COUNT
} sql_statement_t;

/* A statement's text: `prefix`, `row` repeated for each of its rows with commas between, `suffix`.
 * An empty row: a statement of one size. */
typedef struct sql_text {
    const char *prefix;
    const char *row;
    const char *suffix;
} sql_text_t;

/* A statement with rows exists for 1 to 32, for 64 and for 128 of them, and is prepared when it is
 * used first. An append is one statement, so it needs the exact sizes; more rows than 128 gain
 * nothing. */
#define SQL_SIZES       34u
#define SQL_EXACT_MAX   32u
#define SQL_ROWS_MAX    128u
#define SQL_COLUMNS_MAX 20u
/* Parameters of the widest statement: SQL_ROWS_MAX rows of pending messages. */
#define SQL_PARAMETERS_MAX ((size_t)SQL_ROWS_MAX * 13 + 8)

/* The largest size that is at most `count` (which is not 0). */
size_t sql_size_within(size_t count);
/* 0 .. SQL_SIZES - 1, for tables of prepared statements. */
size_t sql_size_index(size_t rows);

/* A parameter, or a column of the present row. What does not fit its use reads as 0 or empty. */
typedef enum sql_kind { SQL_NULL, SQL_U64, SQL_I64, SQL_BYTES } sql_kind_t;

typedef struct sql_value {
    sql_kind_t kind; /* columns: SQL_U64 for every integer */
    uint64_t number;
    fabric_bytes_t bytes;
} sql_value_t;

typedef enum sql_transaction {
    SQL_NONE,
    SQL_READ,   /* queries, each with a snapshot of its own, which ends with it */
    SQL_SINGLE, /* exactly one changing statement, which commits itself */
    SQL_WRITE   /* a transaction; SQLite: takes the write lock at once */
} sql_transaction_t;

typedef struct sql_engine sql_engine_t;

/* The first member of an adapter's store. */
typedef struct sql_store {
    store_t base;
    const sql_engine_t *engine;
    bool exclusive; /* store_options_t.exclusive */
    sql_transaction_t transaction;
    sql_value_t *parameters; /* of the statement being made */
    size_t parameter_count;
    sql_value_t columns[SQL_COLUMNS_MAX]; /* of the present row: set by the engine's next() */
    bool rows_open;
} sql_store_t;

/* One step of a migration: a text, or a function of core/sql/sql_migration.h. Every step can be run
 * again. */
typedef struct sql_step {
    const char *text;
    fabric_error_t (*run)(sql_store_t *store, const store_cluster_t *wanted, reason_t *reason);
} sql_step_t;

/* What an adapter brings. Errors: STORE_BUSY: rolled back as a whole (a deadlock, a lock wait);
 * STORE_REJECTED: a duplicate key, and only that; FENCED: NULL for a column that must have a value,
 * and only that; STORE_UNAVAILABLE: every other refusal, and a
 * lost connection as long as nothing can have been committed; STORE_UNKNOWN: a lost connection, a
 * time-out, or a failure that leaves it open, while a commit or a SQL_SINGLE statement was under
 * way. After STORE_UNKNOWN and after a lost connection every call answers STORE_UNAVAILABLE. The
 * engine notes the database's words with store_note_error. */
struct sql_engine {
    /* Begins a transaction of a kind. The first call of every operation, so the place to notice
     * a dead connection, and to replace an idle one. */
    fabric_error_t (*begin)(sql_store_t *store, sql_transaction_t kind);
    /* Ends it, after SQL_WRITE with a commit. An error leaves nothing open either. */
    fabric_error_t (*commit)(sql_store_t *store);
    /* Ends it, after SQL_WRITE with a rollback. Works on a dead store too. */
    void (*roll_back)(sql_store_t *store);

    /* Runs a changing statement for `rows` rows with store->parameters, whose memory may be reused
     * then. `*matched` gets how many rows it found or inserted (upserts: anything but 0). */
    fabric_error_t (*run)(sql_store_t *store, sql_statement_t statement, size_t rows,
                          uint64_t *matched);
    /* Starts a query; one at a time. */
    fabric_error_t (*query)(sql_store_t *store, sql_statement_t statement, size_t rows);
    /* Steps to the next row, and sets store->columns, valid until the next call. */
    fabric_error_t (*next)(sql_store_t *store, bool *more);
    /* Ends the query; unread rows are skipped. Once for each successful query(). */
    void (*close)(sql_store_t *store);

    /* Runs texts without parameters and rows, outside of transactions: steps of a migration. */
    fabric_error_t (*execute)(sql_store_t *store, const char *text);
    /* Serialises administrators who migrate at the same time: STORE_BUSY while another one does.
     * Where the database can, all that follows is one transaction: begin, commit and roll_back do
     * nothing to it. */
    fabric_error_t (*schema_lock)(sql_store_t *store);
    /* Ends that: where it is one transaction, commits it when `error` is OK, else rolls it back.
     * Returns `error`, or what the commit came to. */
    fabric_error_t (*schema_unlock)(sql_store_t *store, fabric_error_t error);
    /* What leads to STORE_SCHEMA_VERSION, from nothing or from any older version; ends with
     * {NULL, NULL}. */
    const sql_step_t *migration;
    /* STORE_UNAVAILABLE for a read-only database, STORE_UNSAFE for settings under which appends or
     * fences would not work. */
    fabric_error_t (*check_settings)(sql_store_t *store, reason_t *reason);
    /* Whether the savepoint `fabric_handler` is still there, which is released. For transactions of
     * handlers, as the next two are: all NULL where there are none. */
    fabric_error_t (*release)(sql_store_t *store, bool *stands);
    /* Prepares a statement, with one row, unless it is prepared. */
    fabric_error_t (*prepare)(sql_store_t *store, sql_statement_t statement);
    void *(*connection)(sql_store_t *store);
    /* "database 'fabric'", "file '/var/lib/fabric.db'": for reasons. */
    const char *(*name)(const sql_store_t *store);
};

static inline sql_store_t *sql_store_of(store_t *store)
{
    return (sql_store_t *)store;
}

/* For an adapter's open and close. */
void sql_store_init(sql_store_t *store, const store_driver_t *driver, const sql_engine_t *engine);
void sql_store_release(sql_store_t *store);

/* ---- transactions ---- */

FABRIC_MUST_USE fabric_error_t sql_begin(sql_store_t *store, sql_transaction_t kind);
/* Commits when `error` is OK, else rolls back. Returns `error`, or what the commit came to. */
FABRIC_MUST_USE fabric_error_t sql_end(sql_store_t *store, fabric_error_t error);

/* Reads the rows of the keys `first` to `first + rows - 1` of what is looked for. */
typedef fabric_error_t sql_find_fn(sql_store_t *store, void *context, size_t first, size_t rows);
/* Looks for the rows of `count` keys: calls `find` with as many keys at a time as one statement
 * takes. */
FABRIC_MUST_USE fabric_error_t sql_find(sql_store_t *store, size_t count, sql_find_fn *find,
                                        void *context);

/* ---- statements ---- */

/* Parameters of the next statement, in order. */
void sql_put_u64(sql_store_t *store, uint64_t value);
void sql_put_i64(sql_store_t *store, int64_t value);
/* The bytes must stay until the statement has run. */
void sql_put_bytes(sql_store_t *store, fabric_bytes_t value);
void sql_put_null(sql_store_t *store);
void sql_put_incarnation(sql_store_t *store, const incarnation_t *value);

/* Runs a changing statement for `rows` rows (a size that exists). `matched` may be NULL. */
FABRIC_MUST_USE fabric_error_t sql_run(sql_store_t *store, sql_statement_t statement, size_t rows,
                                       uint64_t *matched);
FABRIC_MUST_USE fabric_error_t sql_query(sql_store_t *store, sql_statement_t statement,
                                         size_t rows);
/* Whether there is one more row. False where `*error` is set already, and at an error, which
 * `*error` gets. */
bool sql_next(sql_store_t *store, fabric_error_t *error);
/* Ends a query, also one that failed to start. */
void sql_close(sql_store_t *store);
/* For queries of one row: runs and reads it; `found` says whether there is one. To be closed in
 * every case. */
FABRIC_MUST_USE fabric_error_t sql_query_one(sql_store_t *store, sql_statement_t statement,
                                             bool *found);

/* A column of the present row; valid until the next one. */
uint64_t sql_u64(const sql_store_t *store, size_t column);
uint32_t sql_u32(const sql_store_t *store, size_t column); /* 0 where the number is larger */
fabric_bytes_t sql_bytes(const sql_store_t *store, size_t column);
/* None when the column does not hold 16 bytes. */
incarnation_t sql_incarnation(const sql_store_t *store, size_t column);
/* Copies text, cutting it at capacity - 1. */
void sql_copy_text(const sql_store_t *store, size_t column, char *text, size_t capacity);

/* ---- pages ----
 * Long reads go in pages, so that no snapshot stays open for long, and little is read in vain when
 * the reader has enough. */

typedef struct sql_pages {
    uint64_t rows; /* read so far */
    uint64_t bytes;
} sql_pages_t;

/* How many rows the next page is to have: `first` before anything is known about their sizes. */
uint32_t sql_page_rows(const sql_pages_t *pages, uint32_t first, uint64_t rows_left,
                       uint64_t bytes_left);

#endif
