/* The lanes of an appender, and the check of what the store still has of them: see appender.h. */
#include <stdlib.h>

#include "broker/store/appender_state.h"

/* How many heads of entries are read at once. */
#define HEADS_MAX 1000u

void appender_lanes_clear(appender_lanes_t *lanes)
{
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        journal_writer_destroy(&lanes->list[i].writer);
    }
}

void appender_lanes_begin(appender_lanes_t *lanes, const store_hold_t *hold, uint64_t number,
                          uint64_t log_bytes)
{
    appender_lane_t *lane = &lanes->list[hold->lane];
    journal_writer_t *writer = lane->writer ? lane->writer : journal_writer_new();
    *lane = (appender_lane_t){.held = true,
                              .hold = *hold,
                              .number = number,
                              .checked = number,
                              .log_bytes = log_bytes,
                              .writer = writer};
}

void appender_lanes_end(appender_lanes_t *lanes, uint32_t lane, uint64_t epoch)
{
    if (lanes->list[lane].hold.epoch == epoch) {
        lanes->list[lane].held = false;
    }
}

bool appender_lanes_next_fenced(appender_lanes_t *lanes, store_hold_t *hold)
{
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        appender_lane_t *lane = &lanes->list[i];
        if (lane->held && lane->fenced && !lane->told) {
            lane->told = true;
            *hold = lane->hold;
            return true;
        }
    }
    return false;
}

void appender_lanes_appended(appender_lanes_t *lanes, const store_entry_t *entry)
{
    appender_lane_t *lane = &lanes->list[entry->lane];
    lane->number = entry->number;
    lane->last_id = entry->last_id;
    lane->oldest_id = lane->oldest_id ? lane->oldest_id : entry->last_id;
    lane->log_bytes = entry->log_bytes;
}

void appender_lanes_fenced(appender_lanes_t *lanes, uint32_t lane)
{
    lanes->list[lane].fenced = true;
    lanes->list[lane].told = true;
}

/* ---- checks ---- */

typedef struct lane_check {
    appender_lane_t *lane;
    uint64_t next; /* the entry that must come next */
    uint64_t
        missing; /* the largest number that did not come, or came from somebody else; 0: none */
} lane_check_t;

static bool check_head(void *context, const store_entry_t *entry)
{
    lane_check_t *check = context;
    const appender_lane_t *lane = check->lane;
    if (entry->number > lane->number) {
        return false;
    }
    bool is_own = entry->epoch == lane->hold.epoch &&
                  incarnation_equal(entry->incarnation, lane->hold.holder);
    if (!is_own) {
        check->missing = entry->number;
    } else if (entry->number > check->next) {
        check->missing = entry->number - 1;
    }
    check->next = entry->number + 1;
    return true;
}

/* Reads the heads of the lane's own entries from the last one that was checked. Commits that are
 * lost are the latest ones: they include that entry, or only later ones. */
static fabric_error_t read_heads(store_t *store, lane_check_t *check)
{
    const appender_lane_t *lane = check->lane;
    uint64_t from = check->next;
    while (from <= lane->number) {
        fabric_error_t error =
            store->driver->read_journal(store, lane->hold.lane, from, STORE_ENTRY_HEAD, HEADS_MAX,
                                        UINT64_MAX, check_head, check);
        if (error) {
            return error;
        }
        if (check->next <= from) {
            break; /* no more of them */
        }
        from = check->next;
    }
    if (check->next <= lane->number) {
        check->missing = lane->number;
    }
    return FABRIC_OK;
}

typedef struct lane_rows {
    store_lane_t rows[LIMIT_LANES_MAX];
    bool known[LIMIT_LANES_MAX];
} lane_rows_t;

static void keep_row(void *context, const store_lane_t *row)
{
    lane_rows_t *rows = context;
    if (row->lane < LIMIT_LANES_MAX) {
        rows->rows[row->lane] = *row;
        rows->known[row->lane] = true;
    }
}

static fabric_error_t note_lost(const lane_check_t *check, const store_lane_t *row, reason_t *lost)
{
    const appender_lane_t *lane = check->lane;
    if (!row || row->epoch != lane->hold.epoch) {
        return reason_set(lost, FABRIC_ERROR_STORE_LOST,
                          "lane %u: its epoch was %llu, and the store says %llu", lane->hold.lane,
                          (unsigned long long)lane->hold.epoch,
                          (unsigned long long)(row ? row->epoch : 0));
    }
    return reason_set(lost, FABRIC_ERROR_STORE_LOST,
                      "lane %u: entry %llu of epoch %llu was durable, and is not there any more",
                      lane->hold.lane, (unsigned long long)check->missing,
                      (unsigned long long)lane->hold.epoch);
}

/* Whether what is missing may have been purged, by a successor or by this broker's own
 * checkpointer: what was purged by the time at which the row was read is below its number, and the
 * purged mark was raised. */
static bool may_be_purged(const lane_check_t *check, const store_lane_t *row)
{
    return check->missing < row->number && row->purged_id >= check->lane->oldest_id;
}

/* What the lane's row and its entries say together. The row was read after the entries. */
static fabric_error_t judge_lane(const lane_check_t *check, const store_lane_t *row, reason_t *lost)
{
    appender_lane_t *lane = check->lane;
    bool is_whole = row && (check->missing == 0 || may_be_purged(check, row));
    if (row && row->epoch > lane->hold.epoch) {
        lane->fenced = true;
    } else if (is_whole && row->epoch == lane->hold.epoch) {
        lane->checked = lane->number;
        lane->oldest_id = lane->last_id;
        lane->fenced = !incarnation_equal(row->holder, lane->hold.holder);
    } else {
        return note_lost(check, row, lost);
    }
    return FABRIC_OK;
}

fabric_error_t appender_lanes_check(appender_lanes_t *lanes, store_t *store, bool all,
                                    reason_t *lost)
{
    lane_check_t checks[LIMIT_LANES_MAX];
    size_t count = 0;
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        appender_lane_t *lane = &lanes->list[i];
        if (lane->held && !lane->fenced && (all || lane->checked < lane->number)) {
            checks[count] = (lane_check_t){.lane = lane, .next = lane->checked};
            fabric_error_t error = read_heads(store, &checks[count++]);
            if (error) {
                return error;
            }
        }
    }
    lane_rows_t rows = {.known = {false}};
    fabric_error_t error = count ? store->driver->lane_list(store, keep_row, &rows) : FABRIC_OK;
    for (size_t i = 0; !error && i < count; i++) {
        uint32_t number = checks[i].lane->hold.lane;
        error = judge_lane(&checks[i], rows.known[number] ? &rows.rows[number] : NULL, lost);
    }
    return error;
}
