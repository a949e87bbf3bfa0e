/* What `fabricctl schema status` says about tables and lanes, by a made-up database. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/store_report.h"

/* Lane 0 has entries up to 12 of 100 bytes each and a checkpoint at 9; lane 1 is at rest. Of both
 * only the newest four entries are there. */
enum { NEWEST = 12, CHECKPOINT = 9, OLDEST = 9, ENTRY_BYTES = 100 };

/* An id of so many minutes after the first one. */
#define ID_OF(minutes) ((uint64_t)(minutes)*60000 << 22)

static fabric_error_t list_tables(store_t *store, store_visit_table_fn *visit, void *context)
{
    (void)store;
    visit(context, "journal", 24, 2400);
    visit(context, "pend\033ing", 7, 700);
    return FABRIC_OK;
}

static fabric_error_t list_lanes(store_t *store, store_visit_lane_fn *visit, void *context)
{
    store_lane_t lane = {.lane = 0, .holder = {{0xab}}, .epoch = 5, .number = CHECKPOINT};
    (void)store;
    visit(context, &lane);
    lane = (store_lane_t){.lane = 1, .epoch = 6, .number = NEWEST};
    visit(context, &lane);
    return FABRIC_OK;
}

/* Lane 0 has rows of 5 outgoing messages; lane 1 has none. */
static fabric_error_t list_outboxes(store_t *store, uint32_t lane, store_visit_outbox_fn *visit,
                                    void *context)
{
    (void)store;
    if (lane == 0) {
        visit(context, &(store_outbox_t){.target_lane = 1, .count = 3, .first = ID_OF(1)});
        visit(context, &(store_outbox_t){.target_lane = 7, .count = 2, .first = ID_OF(2)});
    }
    return FABRIC_OK;
}

static store_entry_t entry_of(uint32_t lane, uint64_t number, store_entry_part_t part)
{
    static const uint8_t bytes[ENTRY_BYTES];
    size_t size = part == STORE_ENTRY_ALL ? ENTRY_BYTES / 2 : 0;
    return (store_entry_t){.lane = lane,
                           .number = number,
                           .last_id = ID_OF(number),
                           .log_bytes = number * ENTRY_BYTES,
                           .calls = fabric_bytes(bytes, size),
                           .body = fabric_bytes(bytes, size)};
}

static fabric_error_t read_forward(store_t *store, uint32_t lane, uint64_t from,
                                   store_entry_part_t part, uint32_t entries_max,
                                   uint64_t bytes_max, store_visit_entry_fn *visit, void *context)
{
    (void)store;
    (void)entries_max;
    (void)bytes_max;
    store_entry_t entry = entry_of(lane, from > OLDEST ? from : OLDEST, part);
    (void)visit(context, &entry);
    return FABRIC_OK;
}

static fabric_error_t read_back(store_t *store, uint32_t lane, uint64_t upto,
                                store_entry_part_t part, uint32_t entries_max, uint64_t bytes_max,
                                store_visit_entry_fn *visit, void *context)
{
    (void)store;
    (void)entries_max;
    (void)bytes_max;
    store_entry_t entry = entry_of(lane, upto < NEWEST ? upto : NEWEST, part);
    (void)visit(context, &entry);
    return FABRIC_OK;
}

static const store_driver_t driver = {.table_list = list_tables,
                                      .lane_list = list_lanes,
                                      .list_outboxes = list_outboxes,
                                      .read_journal = read_forward,
                                      .read_journal_back = read_back};

static void tables_and_lags_are_told(void **state)
{
    store_t store = {.driver = &driver};
    store_report_t report;
    char *text = NULL;
    size_t size = 0;
    (void)state;
    assert_int_equal(store_report_read(&store, &report), FABRIC_OK);
    assert_int_equal(report.table_count, 2);
    assert_int_equal(report.lane_count, 2);
    assert_int_equal(report.lanes[0].lag_entries, 3);
    assert_int_equal(report.lanes[0].lag_bytes, 3 * ENTRY_BYTES);
    assert_int_equal(report.lanes[1].lag_entries, 0);
    assert_int_equal(report.lanes[1].lag_bytes, 0);
    FILE *file = open_memstream(&text, &size);
    store_report_print(&report, file);
    fclose(file);
    assert_non_null(strstr(text, "journal                      24             2400\n"));
    assert_non_null(strstr(text, "pend\\x1bing"));
    assert_non_null(strstr(text, "\n0     ab000000000000000000000000000000"));
    assert_non_null(strstr(text, "9             12          3            300\n"));
    assert_non_null(strstr(text, "\n1     nobody "));
    free(text);
    json_t *document = json_object();
    store_report_add(&report, document);
    json_t *lane = json_array_get(json_object_get(document, "journals"), 0);
    assert_int_equal(json_integer_value(json_object_get(lane, "bytes_behind")), 300);
    json_t *table = json_array_get(json_object_get(document, "tables"), 0);
    assert_int_equal(json_integer_value(json_object_get(table, "rows")), 24);
    json_decref(document);
}

static const char *printed(const store_report_t *report)
{
    static char text[4000];
    FILE *file = fmemopen(text, sizeof text, "w");
    store_report_print(report, file);
    fclose(file);
    return text;
}

static void outgoing_messages_are_told(void **state)
{
    store_t store = {.driver = &driver};
    store_report_t report;
    (void)state;
    assert_int_equal(store_report_read(&store, &report), FABRIC_OK);
    assert_int_equal(report.lanes[0].outgoing, 5);
    assert_int_equal(report.lanes[0].open_id.value, ID_OF(1));
    assert_int_equal(report.lanes[1].open_id.value, 0); /* it has no entries above its checkpoint */
    assert_non_null(strstr(printed(&report), "\nLANE        OUTGOING SINCE\n"
                                             "0                  5 2025-01-01T00:01:00.000Z\n"
                                             "entries of journals since 2025-01-01T00:01:00.000Z "
                                             "are not purged for their age: messages of lane 0 may "
                                             "still be under way\n"));
    json_t *document = json_object();
    store_report_add(&report, document);
    json_t *lanes = json_object_get(document, "journals");
    json_t *first = json_array_get(lanes, 0);
    assert_int_equal(json_integer_value(json_object_get(first, "outgoing")), 5);
    assert_string_equal(json_string_value(json_object_get(first, "outgoing_since")),
                        "2025-01-01T00:01:00.000Z");
    json_t *second = json_array_get(lanes, 1);
    assert_int_equal(json_integer_value(json_object_get(second, "outgoing")), 0);
    assert_true(json_is_null(json_object_get(second, "outgoing_since")));
    json_decref(document);
}

static fabric_error_t list_abandoned(store_t *store, store_visit_lane_fn *visit, void *context)
{
    (void)store;
    visit(context, &(store_lane_t){.lane = 4, .epoch = 5, .number = CHECKPOINT});
    visit(context, &(store_lane_t){.lane = 5, .holder = {{1}}, .number = CHECKPOINT + 1});
    return FABRIC_OK;
}

/* What its entries above the checkpoint have told, nobody knows. */
static void a_lane_that_nobody_holds_is_told(void **state)
{
    store_driver_t abandoned = driver;
    store_t store = {.driver = &abandoned};
    store_report_t report;
    (void)state;
    abandoned.lane_list = list_abandoned;
    assert_int_equal(store_report_read(&store, &report), FABRIC_OK);
    assert_int_equal(report.lanes[0].open_id.value, ID_OF(CHECKPOINT));
    assert_int_equal(report.lanes[1].open_id.value, ID_OF(CHECKPOINT + 1));
    const char *text = printed(&report);
    assert_non_null(strstr(text, "\n4                  0 2025-01-01T00:09:00.000Z\n"
                                 "entries of journals since 2025-01-01T00:09:00.000Z are not"));
    assert_null(strstr(text, "2025-01-01T00:10:00.000Z"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_and_lags_are_told),
        cmocka_unit_test(outgoing_messages_are_told),
        cmocka_unit_test(a_lane_that_nobody_holds_is_told),
    };
    return cmocka_run_group_tests_name("cli_store_report", tests, NULL, NULL);
}
