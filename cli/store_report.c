/* The report about a database: see store_report.h. */
#include "cli/store_report.h"

#include <inttypes.h>

#include "core/printable.h"
#include "core/snowflake.h"

/* ---- reading ---- */

static void take_table(void *context, const char *table, uint64_t rows, uint64_t bytes)
{
    store_report_t *report = context;
    if (report->table_count < REPORT_TABLES_MAX) {
        report_table_t *item = &report->tables[report->table_count++];
        printable_copy(table, item->name, sizeof item->name);
        item->rows = rows;
        item->bytes = bytes;
    }
}

static void take_lane(void *context, const store_lane_t *lane)
{
    store_report_t *report = context;
    if (report->lane_count < LIMIT_LANES_MAX) {
        report->lanes[report->lane_count++] = (report_lane_t){.row = *lane};
    }
}

static bool take_newest(void *context, const store_entry_t *entry)
{
    report_lane_t *lane = context;
    lane->newest = entry->number;
    lane->lag_bytes = entry->log_bytes;
    return false;
}

/* The first entry above the checkpoint: all bytes before it are covered. */
static bool take_uncovered(void *context, const store_entry_t *entry)
{
    *(uint64_t *)context = entry->log_bytes - entry->calls.size - entry->body.size;
    return false;
}

static fabric_error_t read_lag(store_t *store, report_lane_t *lane)
{
    uint64_t covered = 0;
    fabric_error_t error = store->driver->read_journal_back(
        store, lane->row.lane, INT64_MAX, STORE_ENTRY_HEAD, 1, 1, take_newest, lane);
    if (!error && lane->newest > lane->row.number) {
        lane->lag_entries = lane->newest - lane->row.number;
        error = store->driver->read_journal(store, lane->row.lane, lane->row.number + 1,
                                            STORE_ENTRY_ALL, 1, 1, take_uncovered, &covered);
        lane->lag_bytes -= covered;
    } else {
        lane->lag_bytes = 0;
    }
    return error;
}

static void note_open(report_lane_t *lane, uint64_t id)
{
    if (id > 0 && (lane->open_id.value == 0 || id < lane->open_id.value)) {
        lane->open_id.value = id;
    }
}

static void take_outbox(void *context, const store_outbox_t *outbox)
{
    report_lane_t *lane = context;
    lane->outgoing += outbox->count;
    note_open(lane, outbox->first);
}

static bool take_reached(void *context, const store_entry_t *entry)
{
    note_open(context, entry->last_id);
    return false;
}

/* Above the checkpoint there may be more of them: their ids are larger than the last one that the
 * checkpoint knows. */
static fabric_error_t read_outgoing(store_t *store, report_lane_t *lane)
{
    fabric_error_t error = store->driver->list_outboxes(store, lane->row.lane, take_outbox, lane);
    if (error || lane->lag_entries == 0) {
        return error;
    }
    return store->driver->read_journal(store, lane->row.lane, lane->row.number, STORE_ENTRY_HEAD, 1,
                                       1, take_reached, lane);
}

fabric_error_t store_report_read(store_t *store, store_report_t *report)
{
    *report = (store_report_t){.table_count = 0};
    fabric_error_t error = store->driver->table_list(store, take_table, report);
    if (!error) {
        error = store->driver->lane_list(store, take_lane, report);
    }
    for (size_t i = 0; !error && i < report->lane_count; i++) {
        error = read_lag(store, &report->lanes[i]);
        error = error ? error : read_outgoing(store, &report->lanes[i]);
    }
    return error;
}

/* ---- printing ---- */

static const char *holder_text(const store_lane_t *lane, char text[33])
{
    return incarnation_is_none(lane->holder) ? "nobody" : incarnation_text(lane->holder, text);
}

/* Lanes with rows, and those that nobody holds, and so nobody sends for. */
static bool is_told_of(const report_lane_t *lane)
{
    return lane->outgoing > 0 || (lane->open_id.value > 0 && incarnation_is_none(lane->row.holder));
}

static void print_outgoing(const store_report_t *report, FILE *file)
{
    const report_lane_t *oldest = NULL;
    char since[32];
    for (size_t i = 0; i < report->lane_count; i++) {
        const report_lane_t *lane = &report->lanes[i];
        if (!is_told_of(lane)) {
            continue;
        }
        if (!oldest) {
            fprintf(file, "\n%-5s %14s %s\n", "LANE", "OUTGOING", "SINCE");
        }
        fprintf(file, "%-5u %14" PRIu64 " %s\n", lane->row.lane, lane->outgoing,
                snowflake_date_text(lane->open_id, since));
        oldest = !oldest || lane->open_id.value < oldest->open_id.value ? lane : oldest;
    }
    if (oldest) {
        fprintf(file,
                "entries of journals since %s are not purged for their age: messages of lane %u "
                "may still be under way\n",
                snowflake_date_text(oldest->open_id, since), oldest->row.lane);
    }
}

void store_report_print(const store_report_t *report, FILE *file)
{
    fprintf(file, "\n%-16s %14s %16s\n", "TABLE", "ROWS", "BYTES");
    for (size_t i = 0; i < report->table_count; i++) {
        const report_table_t *table = &report->tables[i];
        fprintf(file, "%-16s %14" PRIu64 " %16" PRIu64 "\n", table->name, table->rows,
                table->bytes);
    }
    fprintf(file, "\n%-5s %-32s %8s %14s %14s %10s %14s\n", "LANE", "HOLDER", "EPOCH", "CHECKPOINT",
            "LAST ENTRY", "BEHIND", "BYTES BEHIND");
    for (size_t i = 0; i < report->lane_count; i++) {
        const report_lane_t *lane = &report->lanes[i];
        char holder[33];
        fprintf(file,
                "%-5u %-32s %8" PRIu64 " %14" PRIu64 " %14" PRIu64 " %10" PRIu64 " %14" PRIu64 "\n",
                lane->row.lane, holder_text(&lane->row, holder), lane->row.epoch, lane->row.number,
                lane->newest, lane->lag_entries, lane->lag_bytes);
    }
    print_outgoing(report, file);
}

void store_report_add(const store_report_t *report, json_t *document)
{
    json_t *tables = json_array();
    json_t *lanes = json_array();
    for (size_t i = 0; i < report->table_count; i++) {
        const report_table_t *table = &report->tables[i];
        json_array_append_new(tables, json_pack("{s:s, s:I, s:I}", "name", table->name, "rows",
                                                (json_int_t)table->rows, "bytes",
                                                (json_int_t)table->bytes));
    }
    for (size_t i = 0; i < report->lane_count; i++) {
        const report_lane_t *lane = &report->lanes[i];
        char holder[33];
        char since[32];
        json_array_append_new(
            lanes,
            json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s?}", "lane",
                      (json_int_t)lane->row.lane, "holder", holder_text(&lane->row, holder),
                      "epoch", (json_int_t)lane->row.epoch, "checkpoint",
                      (json_int_t)lane->row.number, "last_entry", (json_int_t)lane->newest,
                      "entries_behind", (json_int_t)lane->lag_entries, "bytes_behind",
                      (json_int_t)lane->lag_bytes, "outgoing", (json_int_t)lane->outgoing,
                      "outgoing_since",
                      lane->open_id.value ? snowflake_date_text(lane->open_id, since) : NULL));
    }
    json_object_set_new(document, "tables", tables);
    json_object_set_new(document, "journals", lanes);
}
