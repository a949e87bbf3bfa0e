/* Searching for the rows of messages by their ids. */
#include "core/sql/sql_operations.h"
#include "core/sql/sql.h"

typedef struct places {
    sql_statement_t statement; /* of the table that is searched */
    uint32_t lane;
    const request_id_t *ids;
    store_visit_place_fn *visit;
    void *context;
} places_t;

static store_place_t place_of_row(const sql_store_t *store, sql_statement_t statement)
{
    store_place_t place = {.id = {sql_u64(store, 0)}};
    if (statement == SQL_SCHEDULED_PLACES) {
        place.due_ms = (int64_t)sql_u64(store, 1);
        place.position = place.id.value;
    } else {
        place.entity_hash = sql_u64(store, 1);
        place.position = sql_u64(store, 2);
    }
    return place;
}

static fabric_error_t find_chunk(sql_store_t *store, void *context, size_t first, size_t rows)
{
    const places_t *places = context;
    sql_put_u64(store, places->lane);
    for (size_t i = 0; i < rows; i++) {
        sql_put_u64(store, places->ids[first + i].value);
    }
    fabric_error_t error = sql_query(store, places->statement, rows);
    while (sql_next(store, &error)) {
        store_place_t place = place_of_row(store, places->statement);
        places->visit(places->context, &place);
    }
    sql_close(store);
    return error;
}

/* A message that comes due meanwhile is found once at least, as far as its row has moved. */
fabric_error_t sql_find_places(store_t *base, uint32_t lane, const request_id_t *ids, size_t count,
                               store_visit_place_fn *visit, void *context)
{
    sql_store_t *store = sql_store_of(base);
    places_t places = {SQL_SCHEDULED_PLACES, lane, ids, visit, context};
    fabric_error_t error = sql_find(store, count, find_chunk, &places);
    places.statement = SQL_PENDING_PLACES;
    return error ? error : sql_find(store, count, find_chunk, &places);
}
