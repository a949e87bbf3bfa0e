/* fabricctl message: what waits in a database for its time of delivery. It only reads. */
#include "cli/commands.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/journal_print.h"
#include "cli/report.h"
#include "cli/table.h"
#include "core/memory.h"
#include "core/printable.h"

enum { PAGE_ROWS = 1000, PAGE_BYTES = 4 << 20 };

/* The rows of the lanes that were read so far. */
typedef struct listing {
    store_t *store;
    json_t *rows;
    uint32_t limit; /* of one lane, and in all; UINT32_MAX: none */
    uint32_t left;
    uint32_t lane;
    store_due_key_t after;
    const char *type; /* NULL: any */
} listing_t;

/* ---- rows ---- */

static void set_name(json_t *row, const char *key, fabric_bytes_t name)
{
    json_t *text = json_stringn((const char *)name.data, name.size);
    char hexadecimal[2 * 255 + 1] = "";
    for (size_t i = 0; !text && i < name.size && i < 255; i++) {
        snprintf(hexadecimal + 2 * i, 3, "%02x", name.data[i]);
    }
    json_object_set_new(row, key, text ? text : json_string(hexadecimal));
}

static json_t *row_of(uint32_t lane, const store_pending_t *scheduled)
{
    char time[JOURNAL_TIME_SIZE];
    json_t *row = json_object();
    json_object_set_new(row, "due_at", json_string(journal_time_text(scheduled->due_ms, time)));
    json_object_set_new(row, "due_ms", json_integer(scheduled->due_ms));
    json_object_set_new(row, "request_id", json_integer((json_int_t)scheduled->id.value));
    json_object_set_new(row, "lane", json_integer(lane));
    set_name(row, "type", scheduled->type);
    set_name(row, "id", scheduled->entity);
    set_name(row, "tag", scheduled->tag);
    json_object_set_new(row, "as_of_entry", json_integer((json_int_t)scheduled->number));
    return row;
}

static void take_row(void *context, size_t range, const store_pending_t *scheduled)
{
    (void)range;
    listing_t *listing = context;
    listing->after = (store_due_key_t){scheduled->due_ms, scheduled->id.value};
    if (listing->left > 0 &&
        (!listing->type || fabric_bytes_equal(scheduled->type, fabric_bytes_of(listing->type)))) {
        listing->left--;
        json_array_append_new(listing->rows, row_of(listing->lane, scheduled));
    }
}

/* ---- lanes ---- */

/* Reads the next rows of one lane, as many as may be listed in all. */
static fabric_error_t read_lane(listing_t *listing)
{
    bool ended = false;
    fabric_error_t error = FABRIC_OK;
    listing->after = (store_due_key_t){INT64_MIN, 0};
    listing->left = listing->limit;
    while (!error && !ended && listing->left > 0) {
        error = listing->store->driver->load_scheduled(listing->store, listing->lane,
                                                       listing->after, PAGE_ROWS, PAGE_BYTES,
                                                       take_row, listing, &ended);
    }
    return error;
}

static int compare_rows(const void *left, const void *right)
{
    const json_t *a = *(json_t *const *)left;
    const json_t *b = *(json_t *const *)right;
    json_int_t a_ms = json_integer_value(json_object_get(a, "due_ms"));
    json_int_t b_ms = json_integer_value(json_object_get(b, "due_ms"));
    return (a_ms > b_ms) - (a_ms < b_ms);
}

/* The first of all rows by their times. */
static json_t *first_of_all(const listing_t *listing)
{
    size_t count = json_array_size(listing->rows);
    json_t **rows = memory_allocate((count + 1) * sizeof(json_t *));
    for (size_t i = 0; i < count; i++) {
        rows[i] = json_array_get(listing->rows, i);
    }
    qsort((void *)rows, count, sizeof(json_t *), compare_rows);
    json_t *first = json_array();
    for (size_t i = 0; i < count && i < listing->limit; i++) {
        json_array_append(first, rows[i]);
    }
    free((void *)rows);
    return first;
}

static fabric_error_t list(const cli_options_t *options, store_t *store, reason_t *reason)
{
    static const cli_column_t columns[] = {{"DUE", "due_at", 0}, {"REQUEST", "request_id", 0},
                                           {"LANE", "lane", 0},  {"TYPE", "type", 0},
                                           {"ID", "id", 0},      {"TAG", "tag", 0},
                                           {NULL, NULL, 0}};
    store_cluster_t any = {0};
    store_cluster_t cluster;
    listing_t listing = {.store = store,
                         .rows = json_array(),
                         .limit = options->entries > 0 ? options->entries : UINT32_MAX,
                         .type = options->type};
    fabric_error_t error = store->driver->check(store, &any, reason, &cluster);
    for (; !error && listing.lane < cluster.lanes; listing.lane++) {
        error = read_lane(&listing);
    }
    json_t *rows = error ? NULL : first_of_all(&listing);
    if (!error && options->json) {
        cli_json_print(rows, stdout);
    } else if (!error) {
        cli_table_print(rows, columns, "none, as of the last checkpoint of each lane", stdout);
    }
    json_decref(rows);
    json_decref(listing.rows);
    return error;
}

int cli_message(const cli_options_t *options, const store_driver_t *const *drivers)
{
    if (options->argument_count != 2 || strcmp(options->arguments[1], "ls") != 0) {
        return cli_usage_error("message takes: ls");
    }
    if (!options->store) {
        return cli_usage_error("--store: the database's URL is missing");
    }
    store_options_t store_options = {.url = options->store,
                                     .password = options->store_password,
                                     .connect_timeout_ms = options->timeout_ms,
                                     .io_timeout_ms = options->timeout_ms};
    reason_t reason = {{0}};
    store_t *store = NULL;
    fabric_error_t error = store_open(drivers, &store_options, &reason, &store);
    error = error ? error : list(options, store, &reason);
    int code = CLI_DONE;
    if (error) {
        char url[PRINTABLE_SIZE(100)];
        printable_url(options->store, url, sizeof url);
        code = cli_fail(error, NULL, "%s: %s", url,
                        reason.text[0] || !store ? reason.text : store_error_text(store, error));
    }
    store_close(&store);
    return code;
}
