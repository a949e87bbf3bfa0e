/* fabricctl scheduled: what waits in a database for its time of delivery, page by page; and cancels
 * (cancel_requests.h). */
#include "cli/commands.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/cancel_requests.h"
#include "cli/journal_print.h"
#include "cli/report.h"
#include "cli/table.h"
#include "core/address.h"
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
    store_due_key_t from; /* the page begins behind it */
    store_due_key_t after;
    const char *type, *id; /* NULL: any */
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

static bool is_chosen(const listing_t *listing, const store_pending_t *scheduled)
{
    return (!listing->type ||
            fabric_bytes_equal(scheduled->type, fabric_bytes_of(listing->type))) &&
           (!listing->id || fabric_bytes_equal(scheduled->entity, fabric_bytes_of(listing->id)));
}

static void take_row(void *context, size_t range, const store_pending_t *scheduled)
{
    (void)range;
    listing_t *listing = context;
    listing->after = (store_due_key_t){scheduled->due_ms, scheduled->id.value};
    if (listing->left > 0 && is_chosen(listing, scheduled)) {
        listing->left--;
        json_array_append_new(listing->rows, row_of(listing->lane, scheduled));
    }
}

/* ---- lanes ---- */

/* Reads the next rows of one lane: as many as may be listed in all, and one that tells whether
 * there are more. */
static fabric_error_t read_lane(listing_t *listing)
{
    bool ended = false;
    fabric_error_t error = FABRIC_OK;
    listing->after = listing->from;
    listing->left = listing->limit < UINT32_MAX ? listing->limit + 1 : UINT32_MAX;
    while (!error && !ended && listing->left > 0) {
        uint32_t rows = listing->type || listing->left > PAGE_ROWS ? PAGE_ROWS : listing->left;
        error =
            listing->store->driver->load_scheduled(listing->store, listing->lane, listing->after,
                                                   rows, PAGE_BYTES, take_row, listing, &ended);
    }
    return error;
}

static store_due_key_t key_of(const json_t *row)
{
    return (store_due_key_t){json_integer_value(json_object_get(row, "due_ms")),
                             (uint64_t)json_integer_value(json_object_get(row, "request_id"))};
}

static int compare_rows(const void *left, const void *right)
{
    store_due_key_t a = key_of(*(json_t *const *)left);
    store_due_key_t b = key_of(*(json_t *const *)right);
    return a.due_ms != b.due_ms ? (a.due_ms > b.due_ms) - (a.due_ms < b.due_ms)
                                : (a.id > b.id) - (a.id < b.id);
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

/* Where the next page begins; empty: there is none. */
static void write_cursor(const listing_t *listing, const json_t *rows, char cursor[64])
{
    size_t count = json_array_size(rows);
    cursor[0] = '\0';
    if (count > 0 && json_array_size(listing->rows) > count) {
        store_due_key_t last = key_of(json_array_get(rows, count - 1));
        snprintf(cursor, 64, "%" PRId64 ":%" PRIu64, last.due_ms, last.id);
    }
}

/* An entity is in one lane. */
static fabric_error_t read_lanes(listing_t *listing, const store_cluster_t *cluster)
{
    fabric_error_t error = FABRIC_OK;
    uint32_t end = cluster->lanes;
    if (listing->id) {
        uint32_t shard =
            address_shard_number(fabric_bytes_of(listing->id), cluster->shards_per_group);
        listing->lane = shard % cluster->lanes;
        end = listing->lane + 1;
    }
    for (; !error && listing->lane < end; listing->lane++) {
        error = read_lane(listing);
    }
    return error;
}

/* ---- output ---- */

static void print(const cli_options_t *options, json_t *rows, const char *cursor)
{
    static const cli_column_t columns[] = {{"DUE", "due_at", 0}, {"REQUEST", "request_id", 0},
                                           {"LANE", "lane", 0},  {"TYPE", "type", 0},
                                           {"ID", "id", 0},      {"TAG", "tag", 0},
                                           {NULL, NULL, 0}};
    if (options->json) {
        json_t *page = json_object();
        json_object_set(page, "scheduled", rows);
        json_object_set_new(page, "next", cursor[0] ? json_string(cursor) : json_null());
        cli_json_print(page, stdout);
        json_decref(page);
        return;
    }
    cli_table_print(rows, columns, "none, as of the last checkpoint of each lane", stdout);
    if (cursor[0]) {
        printf("more: --after %s\n", cursor);
    }
}

static fabric_error_t list(const cli_options_t *options, store_t *store, store_due_key_t from,
                           reason_t *reason)
{
    store_cluster_t any = {0};
    store_cluster_t cluster;
    listing_t listing = {.store = store,
                         .rows = json_array(),
                         .limit = options->entries > 0 ? options->entries : UINT32_MAX,
                         .from = from,
                         .type = options->argument_count > 2 ? options->arguments[2] : NULL,
                         .id = options->argument_count > 3 ? options->arguments[3] : NULL};
    fabric_error_t error = store->driver->check(store, &any, reason, &cluster);
    error = error ? error : read_lanes(&listing, &cluster);
    if (!error) {
        char cursor[64];
        json_t *rows = first_of_all(&listing);
        write_cursor(&listing, rows, cursor);
        print(options, rows, cursor);
        json_decref(rows);
    }
    json_decref(listing.rows);
    return error;
}

/* ---- commands ---- */

static bool read_cursor(const char *text, store_due_key_t *key)
{
    int end = 0;
    *key = (store_due_key_t){INT64_MIN, 0};
    return !text || (sscanf(text, "%" SCNd64 ":%" SCNu64 "%n", &key->due_ms, &key->id, &end) == 2 &&
                     text[end] == '\0' && key->id <= INT64_MAX);
}

static int list_command(const cli_options_t *options, const store_driver_t *const *drivers)
{
    store_due_key_t from;
    if (options->argument_count > 4) {
        return cli_usage_error("scheduled ls takes: [TYPE [ID]]");
    }
    if (!options->store) {
        return cli_usage_error("--store: the database's URL is missing");
    }
    if (!read_cursor(options->after, &from)) {
        return cli_usage_error("--after: '%.60s' is not what scheduled ls has printed",
                               options->after);
    }
    store_options_t store_options = {.url = options->store,
                                     .password = options->store_password,
                                     .connect_timeout_ms = options->timeout_ms,
                                     .io_timeout_ms = options->timeout_ms};
    reason_t reason = {{0}};
    store_t *store = NULL;
    fabric_error_t error = store_open(drivers, &store_options, &reason, &store);
    error = error ? error : list(options, store, from, &reason);
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

int cli_scheduled(const cli_options_t *options, const store_driver_t *const *drivers)
{
    const char *what = options->argument_count > 1 ? options->arguments[1] : "";
    if (strcmp(what, "ls") == 0) {
        return list_command(options, drivers);
    }
    if (strcmp(what, "cancel") == 0) {
        return cli_cancel_requests(options);
    }
    return cli_usage_error("scheduled takes: ls [TYPE [ID]], cancel REQUEST...");
}
