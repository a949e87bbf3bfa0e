/* An engine (core/sql/sql.h) in front of an adapter's, which raises a signal before one of its
 * calls. */
#include "tests/conformance/sql_signal.h"

#include <signal.h>

#include "core/sql/sql.h"

static const sql_engine_t *adapter;
static sql_engine_t signalling;
static unsigned calls_left;
static int chosen_signal;

static void count(void)
{
    if (calls_left > 0 && --calls_left == 0) {
        raise(chosen_signal);
    }
}

static fabric_error_t begin(sql_store_t *store, sql_transaction_t kind)
{
    count();
    return adapter->begin(store, kind);
}

static fabric_error_t commit(sql_store_t *store)
{
    count();
    return adapter->commit(store);
}

static fabric_error_t run(sql_store_t *store, sql_statement_t statement, size_t rows,
                          uint64_t *matched)
{
    count();
    return adapter->run(store, statement, rows, matched);
}

static fabric_error_t query(sql_store_t *store, sql_statement_t statement, size_t rows)
{
    count();
    return adapter->query(store, statement, rows);
}

static fabric_error_t execute(sql_store_t *store, const char *text)
{
    count();
    return adapter->execute(store, text);
}

void sql_signal_before(store_t *store, unsigned nth, int signal)
{
    sql_store_t *sql = sql_store_of(store);
    if (sql->engine != &signalling) {
        adapter = sql->engine;
    }
    signalling = *adapter;
    signalling.begin = begin;
    signalling.commit = commit;
    signalling.run = run;
    signalling.query = query;
    signalling.execute = execute;
    sql->engine = &signalling;
    calls_left = nth;
    chosen_signal = signal;
}
