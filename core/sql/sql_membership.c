/* Brokers: joining, renewing, leaving, being removed.
 *
 * Everything that makes or ends a member first locks the cluster's row. So under that lock plain
 * reads see what holds, and renewals need not wait. A slot's row stays when its member is gone: it
 * keeps the id mark.
 */
#include "core/sql/sql_membership.h"

#include "core/crash_point.h"
#include "core/limits.h"
#include "core/sql/sql_operations.h"

static const incarnation_t nobody = {{0}};

static fabric_error_t lock_membership(sql_store_t *store)
{
    uint64_t shards_per_group = 0;
    bool found = false;
    fabric_error_t error = sql_query_number(store, SQL_MEMBERSHIP_LOCK, &found, &shards_per_group);
    return !error && !found ? FABRIC_ERROR_STORE_UNAVAILABLE : error; /* no cluster is here */
}

/* For LANES_GIVE_UP and BROKER_FORGET. */
static fabric_error_t run_for_member(sql_store_t *store, sql_statement_t statement,
                                     const incarnation_t *member)
{
    sql_put_incarnation(store, &nobody);
    sql_put_incarnation(store, member);
    return sql_run(store, statement, 1, NULL);
}

/* ---- joining ---- */

/* What a joining broker finds. */
typedef struct slots {
    incarnation_t members[LIMIT_MACHINES_MAX]; /* none: the slot is free */
    uint64_t id_marks[LIMIT_MACHINES_MAX];
    bool is_former[LIMIT_MACHINES_MAX]; /* its member makes way for the joining broker */
    size_t other_count;                 /* members that stay */
} slots_t;

static fabric_error_t read_slots(sql_store_t *store, const store_broker_t *broker, slots_t *slots)
{
    fabric_error_t error = sql_query(store, SQL_BROKER_LIST, 1);
    while (sql_next(store, &error)) {
        uint64_t slot = sql_u64(store, 0);
        if (slot >= LIMIT_MACHINES_MAX) {
            continue; /* no slot of ours: a row that somebody edited */
        }
        slots->members[slot] = sql_incarnation(store, 1);
        slots->id_marks[slot] = sql_u64(store, 3);
        bool is_member = !incarnation_is_none(slots->members[slot]);
        bool same_endpoint =
            fabric_bytes_equal(sql_bytes(store, 5), fabric_bytes_of(broker->router_endpoint));
        slots->is_former[slot] =
            is_member && (store->exclusive || same_endpoint ||
                          incarnation_equal(slots->members[slot], broker->incarnation));
        slots->other_count += is_member && !slots->is_former[slot];
    }
    sql_close(store);
    return error;
}

/* The slot of a former incarnation, else one that no member has; LIMIT_MACHINES_MAX: none. */
static uint32_t choose_slot(const slots_t *slots)
{
    uint32_t chosen = LIMIT_MACHINES_MAX;
    for (uint32_t slot = LIMIT_MACHINES_MAX; slot-- > 0;) {
        if (slots->is_former[slot] ||
            (incarnation_is_none(slots->members[slot]) &&
             (chosen == LIMIT_MACHINES_MAX || !slots->is_former[chosen]))) {
            chosen = slot;
        }
    }
    return chosen;
}

static fabric_error_t put_broker(sql_store_t *store, uint32_t slot, const store_broker_t *broker)
{
    sql_put_u64(store, slot);
    sql_put_incarnation(store, &broker->incarnation);
    sql_put_bytes(store, fabric_bytes_of(broker->name));
    sql_put_bytes(store, fabric_bytes_of(broker->router_endpoint));
    sql_put_bytes(store, fabric_bytes_of(broker->pub_endpoint));
    sql_put_bytes(store, fabric_bytes(broker->secret.bytes, sizeof broker->secret.bytes));
    return sql_run(store, SQL_BROKER_PUT, 1, NULL);
}

static fabric_error_t join_slot(sql_store_t *store, const store_broker_t *broker,
                                store_join_t *join)
{
    slots_t slots = {0};
    fabric_error_t error = lock_membership(store);
    error = error ? error : read_slots(store, broker, &slots);
    if (error) {
        return error;
    }
    join->machine = choose_slot(&slots);
    if (slots.other_count >= LIMIT_BROKERS_MAX || join->machine == LIMIT_MACHINES_MAX) {
        return FABRIC_ERROR_BUSY;
    }
    join->high_id = slots.id_marks[join->machine];
    for (uint32_t slot = 0; !error && slot < LIMIT_MACHINES_MAX; slot++) {
        if (slots.is_former[slot]) {
            error = run_for_member(store, SQL_BROKER_FORGET, &slots.members[slot]);
        }
    }
    CRASH_POINT(JOIN_INSIDE);
    error = error ? error : put_broker(store, join->machine, broker);
    if (error) {
        return error;
    }
    uint64_t now_ms = 0;
    bool found = false;
    error = sql_query_number(store, SQL_NOW_MS, &found, &now_ms);
    join->now_ms = (int64_t)now_ms;
    return error;
}

fabric_error_t sql_broker_join(store_t *base, const store_broker_t *broker, store_join_t *join)
{
    sql_store_t *store = sql_store_of(base);
    store_join_t joined = {0};
    if (incarnation_is_none(broker->incarnation)) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    fabric_error_t error = sql_begin(store, SQL_WRITE);
    if (!error) {
        error = sql_end(store, join_slot(store, broker, &joined));
    }
    if (!error) {
        *join = joined;
    }
    return error;
}

/* ---- staying, leaving, listing ---- */

fabric_error_t sql_broker_renew(store_t *base, incarnation_t incarnation, uint64_t id_mark)
{
    sql_store_t *store = sql_store_of(base);
    if (incarnation_is_none(incarnation)) {
        return FABRIC_ERROR_FENCED;
    }
    fabric_error_t error = sql_begin(store, SQL_SINGLE);
    if (error) {
        return error;
    }
    uint64_t matched = 0;
    sql_put_u64(store, id_mark);
    sql_put_incarnation(store, &incarnation);
    error = sql_run(store, SQL_BROKER_RENEW, 1, &matched);
    return sql_end(store, !error && matched == 0 ? FABRIC_ERROR_FENCED : error);
}

fabric_error_t sql_broker_leave(store_t *base, incarnation_t incarnation)
{
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin(store, SQL_WRITE);
    if (error) {
        return error;
    }
    error = lock_membership(store);
    error = error ? error : run_for_member(store, SQL_LANES_GIVE_UP, &incarnation);
    CRASH_POINT(LEAVE_INSIDE);
    error = error ? error : run_for_member(store, SQL_BROKER_FORGET, &incarnation);
    return sql_end(store, error);
}

fabric_error_t sql_broker_remove(store_t *base, uint64_t term, incarnation_t holder,
                                 incarnation_t broker)
{
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin_as_coordinator(store, term, &holder);
    if (error) {
        return error;
    }
    error = lock_membership(store);
    error = error ? error : run_for_member(store, SQL_BROKER_FORGET, &broker);
    CRASH_POINT(REMOVE_INSIDE);
    return sql_end(store, error);
}

/* None where the column does not hold 16 bytes. */
static broker_secret_t secret_of(const sql_store_t *store, size_t column)
{
    fabric_bytes_t bytes = sql_bytes(store, column);
    broker_secret_t secret = {{0}};
    if (bytes.size == sizeof secret.bytes) {
        memcpy(secret.bytes, bytes.data, sizeof secret.bytes);
    }
    return secret;
}

fabric_error_t sql_broker_list(store_t *base, store_visit_broker_fn *visit, void *context)
{
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    error = sql_query(store, SQL_BROKER_LIST, 1);
    while (sql_next(store, &error)) {
        store_broker_t broker = {.incarnation = sql_incarnation(store, 1),
                                 .machine = sql_u32(store, 0),
                                 .counter = sql_u64(store, 2),
                                 .id_mark = sql_u64(store, 3),
                                 .secret = secret_of(store, 7)};
        sql_copy_text(store, 4, broker.name, sizeof broker.name);
        sql_copy_text(store, 5, broker.router_endpoint, sizeof broker.router_endpoint);
        sql_copy_text(store, 6, broker.pub_endpoint, sizeof broker.pub_endpoint);
        if (!incarnation_is_none(broker.incarnation)) {
            visit(context, &broker);
        }
    }
    sql_close(store);
    return sql_end(store, error);
}
