/* Lanes: who holds them. */
#include "core/sql/sql_lane.h"

#include "core/crash_point.h"
#include "core/sql/sql_membership.h"
#include "core/sql/sql_operations.h"

/* Locks the lane's row; `matches` gets whether it names `hold`'s holder and epoch. */
static fabric_error_t lock_lane(sql_store_t *store, sql_statement_t statement,
                                const store_hold_t *hold, bool *matches)
{
    bool found = false;
    sql_put_u64(store, hold->lane);
    fabric_error_t error = sql_query_one(store, statement, &found);
    *matches = found && incarnation_equal(sql_incarnation(store, 0), hold->holder) &&
               sql_u64(store, 1) == hold->epoch;
    sql_close(store);
    return error;
}

fabric_error_t sql_begin_as_holder(sql_store_t *store, const store_hold_t *hold)
{
    fabric_error_t error = sql_begin(store, SQL_WRITE);
    if (error) {
        return error;
    }
    bool matches = false;
    error = lock_lane(store, SQL_LANE_LOCK, hold, &matches);
    error = !error && !matches ? FABRIC_ERROR_FENCED : error;
    return error ? sql_end(store, error) : FABRIC_OK;
}

static fabric_error_t update_lane(sql_store_t *store, const store_hold_t *before,
                                  const incarnation_t *holder, uint64_t epoch, uint64_t *matched)
{
    sql_put_incarnation(store, holder);
    sql_put_u64(store, epoch);
    sql_put_u64(store, before->lane);
    sql_put_incarnation(store, &before->holder);
    sql_put_u64(store, before->epoch);
    return sql_run(store, SQL_LANE_UPDATE, 1, matched);
}

fabric_error_t sql_lane_assign(store_t *base, uint64_t term, incarnation_t coordinator,
                               const store_hold_t *before, incarnation_t holder)
{
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin_as_coordinator(store, term, &coordinator);
    if (error) {
        return error;
    }
    bool matches = false;
    error = lock_lane(store, SQL_LANE_LOCK_NOWAIT, before, &matches);
    error = !error && !matches ? FABRIC_ERROR_STORE_REJECTED : error;
    error = error ? error : update_lane(store, before, &holder, before->epoch + 1, NULL);
    CRASH_POINT(ASSIGN_INSIDE);
    return sql_end(store, error);
}

fabric_error_t sql_lane_give_up(store_t *base, const store_hold_t *hold)
{
    static const incarnation_t nobody = {{0}};
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin(store, SQL_SINGLE);
    if (error) {
        return error;
    }
    uint64_t matched = 0;
    CRASH_POINT(GIVE_UP_BEFORE);
    error = update_lane(store, hold, &nobody, hold->epoch, &matched);
    CRASH_POINT(GIVE_UP_AFTER);
    return sql_end(store, !error && matched == 0 ? FABRIC_ERROR_FENCED : error);
}

fabric_error_t sql_lane_list(store_t *base, store_visit_lane_fn *visit, void *context)
{
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    error = sql_query(store, SQL_LANE_LIST, 1);
    while (sql_next(store, &error)) {
        store_lane_t lane = {.lane = sql_u32(store, 0),
                             .holder = sql_incarnation(store, 1),
                             .epoch = sql_u64(store, 2),
                             .number = sql_u64(store, 3),
                             .begun = sql_u64(store, 4),
                             .purged_id = sql_u64(store, 5),
                             .purged_ms = (int64_t)sql_u64(store, 6)};
        visit(context, &lane);
    }
    sql_close(store);
    return sql_end(store, error);
}
