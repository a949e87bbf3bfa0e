/* Brokers: joining, renewing, leaving, listing.
 *
 * Everything that adds or removes a broker, or changes who holds a writer row, first locks the
 * cluster's row. So under that lock plain reads see what holds, and renewals need not wait.
 */
#include <stdlib.h>

#include "core/crash_point.h"
#include "core/limits.h"
#include "mysql/mysql_membership.h"
#include "mysql/mysql_operations.h"

static const incarnation_t nobody = {{0}};

fabric_error_t mysql_membership_lock(mysql_session_t *session, uint32_t *shards_per_group)
{
    statement_rows_t *rows = NULL;
    bool found = false;
    statement_begin(session);
    fabric_error_t error = statement_query_one(session, STATEMENT_MEMBERSHIP_LOCK, &rows, &found);
    if (!error && !found) {
        error = FABRIC_ERROR_STORE_UNAVAILABLE; /* no cluster was founded here */
    }
    if (!error && shards_per_group) {
        *shards_per_group = (uint32_t)statement_u64(rows, 0);
    }
    statement_end(rows);
    return error;
}

fabric_error_t mysql_broker_forget(mysql_session_t *session, incarnation_t incarnation)
{
    statement_begin(session);
    statement_put_incarnation(session, &nobody);
    statement_put_incarnation(session, &incarnation);
    fabric_error_t error = statement_run(session, STATEMENT_WRITER_FENCE, 1, NULL);
    if (error) {
        return error;
    }
    statement_begin(session);
    statement_put_incarnation(session, &incarnation);
    return statement_run(session, STATEMENT_BROKER_FORGET, 1, NULL);
}

/* ---- choosing a slot ---- */

/* What a joining broker finds. */
typedef struct slots {
    bool taken[LIMIT_MACHINES_MAX];
    bool has_former; /* a broker row with our endpoint or incarnation */
    uint32_t former_machine;
    incarnation_t former[LIMIT_BROKERS_MAX]; /* all such rows */
    size_t former_count;
    size_t other_count; /* all other rows */
} slots_t;

static fabric_error_t read_brokers(mysql_session_t *session, const store_broker_t *broker,
                                   slots_t *slots)
{
    statement_rows_t *rows = NULL;
    bool more = false;
    statement_begin(session);
    fabric_error_t error = statement_query(session, STATEMENT_BROKER_LIST, 1, &rows);
    while (!error && (error = statement_next(rows, &more)) == FABRIC_OK && more) {
        incarnation_t incarnation;
        (void)statement_incarnation(rows, 0, &incarnation);
        uint64_t machine = statement_u64(rows, 1);
        bool same_endpoint =
            fabric_bytes_equal(statement_bytes(rows, 4), fabric_bytes_of(broker->router_endpoint));
        if (machine >= LIMIT_MACHINES_MAX) {
            continue; /* no slot of ours: a row that somebody edited */
        }
        if ((same_endpoint || incarnation_equal(incarnation, broker->incarnation)) &&
            slots->former_count < LIMIT_BROKERS_MAX) {
            slots->former[slots->former_count++] = incarnation;
            slots->has_former = true;
            slots->former_machine = (uint32_t)machine;
        } else {
            slots->taken[machine] = true;
            slots->other_count++;
        }
    }
    statement_end(rows);
    return error;
}

/* A slot is also taken while a writer row of its bears an incarnation that nobody has fenced. */
static fabric_error_t read_writers(mysql_session_t *session, slots_t *slots)
{
    statement_rows_t *rows = NULL;
    bool more = false;
    statement_begin(session);
    statement_put_incarnation(session, &nobody);
    fabric_error_t error = statement_query(session, STATEMENT_WRITER_HOLDERS, 1, &rows);
    while (!error && (error = statement_next(rows, &more)) == FABRIC_OK && more) {
        uint64_t machine = statement_u64(rows, 0);
        if (machine < LIMIT_MACHINES_MAX) {
            slots->taken[machine] = true;
        }
    }
    statement_end(rows);
    return error;
}

/* BUSY when none is free, or the map has no room for another broker. */
static fabric_error_t choose_slot(mysql_session_t *session, const store_broker_t *broker,
                                  uint32_t *machine)
{
    slots_t slots = {0};
    fabric_error_t error = read_brokers(session, broker, &slots);
    if (!error && slots.other_count >= LIMIT_BROKERS_MAX) {
        return FABRIC_ERROR_BUSY;
    }
    for (size_t i = 0; !error && i < slots.former_count; i++) {
        error = mysql_broker_forget(session, slots.former[i]);
    }
    error = error ? error : read_writers(session, &slots);
    if (error) {
        return error;
    }
    if (slots.has_former && !slots.taken[slots.former_machine]) {
        *machine = slots.former_machine;
        return FABRIC_OK;
    }
    for (uint32_t i = 0; i < LIMIT_MACHINES_MAX; i++) {
        if (!slots.taken[i]) {
            *machine = i;
            return FABRIC_OK;
        }
    }
    return FABRIC_ERROR_BUSY;
}

/* ---- taking it ---- */

/* Takes over the writer rows of the lanes; those of other lanes stay fenced. */
static fabric_error_t take_writers(mysql_session_t *session, uint32_t machine, uint32_t lanes,
                                   const incarnation_t *incarnation)
{
    fabric_error_t error = FABRIC_OK;
    for (uint32_t lane = 0; !error && lane < lanes; lane++) {
        statement_begin(session);
        statement_put_u64(session, machine);
        statement_put_u64(session, lane);
        statement_put_incarnation(session, incarnation);
        error = statement_run(session, STATEMENT_WRITER_TAKE, 1, NULL);
    }
    return error;
}

static fabric_error_t read_slot(mysql_session_t *session, uint32_t machine, uint32_t lanes,
                                store_join_t *join)
{
    statement_rows_t *rows = NULL;
    bool more = false;
    statement_begin(session);
    statement_put_u64(session, machine);
    fabric_error_t error = statement_query(session, STATEMENT_WRITER_LIST, 1, &rows);
    while (!error && (error = statement_next(rows, &more)) == FABRIC_OK && more) {
        uint64_t lane = statement_u64(rows, 0);
        if (lane < lanes) {
            join->batches[lane] = statement_u64(rows, 1);
        }
        uint64_t high_id = statement_u64(rows, 2);
        join->high_id = high_id > join->high_id ? high_id : join->high_id;
    }
    statement_end(rows);
    if (error) {
        return error;
    }
    bool found = false;
    statement_begin(session);
    error = statement_query_one(session, STATEMENT_NOW_MS, &rows, &found);
    if (!error && found) {
        join->now_ms = (int64_t)statement_u64(rows, 0);
    }
    statement_end(rows);
    return error;
}

static fabric_error_t put_broker(mysql_session_t *session, uint32_t machine,
                                 const store_broker_t *broker)
{
    statement_begin(session);
    statement_put_incarnation(session, &broker->incarnation);
    statement_put_u64(session, machine);
    statement_put_bytes(session, fabric_bytes_of(broker->name));
    statement_put_bytes(session, fabric_bytes_of(broker->router_endpoint));
    statement_put_bytes(session, fabric_bytes_of(broker->pub_endpoint));
    return statement_run(session, STATEMENT_BROKER_INSERT, 1, NULL);
}

static fabric_error_t join_slot(mysql_session_t *session, const store_broker_t *broker,
                                uint32_t lanes, store_join_t *join)
{
    fabric_error_t error = mysql_membership_lock(session, NULL);
    error = error ? error : choose_slot(session, broker, &join->machine);
    error = error ? error : put_broker(session, join->machine, broker);
    CRASH_POINT(JOIN_INSIDE);
    error = error ? error : take_writers(session, join->machine, lanes, &broker->incarnation);
    return error ? error : read_slot(session, join->machine, lanes, join);
}

fabric_error_t mysql_broker_join(store_t *base, const store_broker_t *broker, uint32_t lanes,
                                 store_join_t *join)
{
    mysql_store_t *store = mysql_store_of(base);
    store_join_t joined = {0};
    if (lanes < 1 || lanes > LIMIT_LANES_MAX || incarnation_is_none(broker->incarnation)) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    fabric_error_t error = mysql_begin(store);
    if (!error) {
        error = mysql_end(store, join_slot(&store->session, broker, lanes, &joined));
    }
    if (!error) {
        *join = joined;
    }
    return error;
}

/* ---- staying, leaving, listing ---- */

fabric_error_t mysql_broker_renew(store_t *base, incarnation_t incarnation)
{
    mysql_store_t *store = mysql_store_of(base);
    fabric_error_t error = mysql_begin(store);
    if (error) {
        return error;
    }
    uint64_t matched = 0;
    statement_begin(&store->session);
    statement_put_incarnation(&store->session, &incarnation);
    error = statement_run(&store->session, STATEMENT_BROKER_RENEW, 1, &matched);
    if (!error && matched == 0) {
        error = FABRIC_ERROR_FENCED;
    }
    return mysql_end(store, error);
}

fabric_error_t mysql_broker_leave(store_t *base, incarnation_t incarnation)
{
    mysql_store_t *store = mysql_store_of(base);
    fabric_error_t error = mysql_begin(store);
    if (error) {
        return error;
    }
    error = mysql_membership_lock(&store->session, NULL);
    error = error ? error : mysql_broker_forget(&store->session, incarnation);
    CRASH_POINT(LEAVE_INSIDE);
    return mysql_end(store, error);
}

fabric_error_t mysql_broker_list(store_t *base, store_visit_broker_fn *visit, void *context)
{
    mysql_store_t *store = mysql_store_of(base);
    fabric_error_t error = mysql_begin(store);
    if (error) {
        return error;
    }
    statement_rows_t *rows = NULL;
    bool more = false;
    statement_begin(&store->session);
    error = statement_query(&store->session, STATEMENT_BROKER_LIST, 1, &rows);
    while (!error && (error = statement_next(rows, &more)) == FABRIC_OK && more) {
        store_broker_t broker = {0};
        (void)statement_incarnation(rows, 0, &broker.incarnation);
        broker.machine = (uint32_t)statement_u64(rows, 1);
        broker.counter = statement_u64(rows, 2);
        statement_text(rows, 3, broker.name, sizeof broker.name);
        statement_text(rows, 4, broker.router_endpoint, sizeof broker.router_endpoint);
        statement_text(rows, 5, broker.pub_endpoint, sizeof broker.pub_endpoint);
        visit(context, &broker);
    }
    statement_end(rows);
    return mysql_end_read(store, error);
}

fabric_error_t mysql_high_id(store_t *base, uint64_t *high_id)
{
    mysql_store_t *store = mysql_store_of(base);
    fabric_error_t error = mysql_begin(store);
    if (error) {
        return error;
    }
    statement_rows_t *rows = NULL;
    bool found = false;
    uint64_t highest = 0;
    statement_begin(&store->session);
    error = statement_query_one(&store->session, STATEMENT_WRITER_HIGH_ID, &rows, &found);
    if (!error && found) {
        highest = statement_u64(rows, 0);
    }
    statement_end(rows);
    error = mysql_end_read(store, error);
    if (!error) {
        *high_id = highest;
    }
    return error;
}
