/* fabricctl journal: what stands in the journals of a database. It only reads, but for `repair`. */
#include "cli/commands.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "cli/journal_print.h"
#include "cli/journal_repair.h"
#include "cli/report.h"
#include "core/limits.h"
#include "core/printable.h"

enum { PAGE_ENTRIES = 100, PAGE_BYTES = 4 << 20, FOLLOW_MS = 500 };

/* ---- tail ---- */

typedef struct tail {
    store_t *store;
    journal_printer_t printer;
    uint64_t next[LIMIT_LANES_MAX]; /* the number of each lane's next entry */
    uint32_t lanes;
    bool moved; /* the last page was not empty */
    uint32_t lane;
} tail_t;

static bool print_entry(void *context, const store_entry_t *entry)
{
    tail_t *tail = context;
    journal_print_records(&tail->printer, entry);
    tail->next[tail->lane] = entry->number + 1;
    tail->moved = true;
    return true;
}

static bool take_newest(void *context, const store_entry_t *entry)
{
    *(uint64_t *)context = entry->number;
    return false;
}

static void count_lane(void *context, const store_lane_t *lane)
{
    tail_t *tail = context;
    if (lane->lane < LIMIT_LANES_MAX && lane->lane >= tail->lanes) {
        tail->lanes = lane->lane + 1;
    }
}

/* Sets where each lane's output begins: `entries` before its end; 0: at its oldest entry. */
static fabric_error_t find_begins(tail_t *tail, uint32_t entries)
{
    fabric_error_t error = tail->store->driver->lane_list(tail->store, count_lane, tail);
    for (uint32_t lane = 0; !error && lane < tail->lanes; lane++) {
        uint64_t newest = 0;
        error = tail->store->driver->read_journal_back(
            tail->store, lane, INT64_MAX, STORE_ENTRY_HEAD, 1, PAGE_BYTES, take_newest, &newest);
        tail->next[lane] = entries > 0 && newest >= entries ? newest - entries + 1 : 0;
    }
    return error;
}

/* Prints what there is, page by page. */
static fabric_error_t print_lanes(tail_t *tail)
{
    fabric_error_t error = FABRIC_OK;
    for (tail->lane = 0; !error && tail->lane < tail->lanes; tail->lane++) {
        do {
            tail->moved = false;
            error = tail->store->driver->read_journal(tail->store, tail->lane,
                                                      tail->next[tail->lane], STORE_ENTRY_ALL,
                                                      PAGE_ENTRIES, PAGE_BYTES, print_entry, tail);
        } while (!error && tail->moved);
    }
    fflush(tail->printer.file);
    return error;
}

static fabric_error_t run_tail(const cli_options_t *options, store_t *store)
{
    tail_t tail = {.store = store, .printer = {stdout, options->json, NULL}};
    if (options->type || options->id) {
        tail.printer.filter = journal_filter_new(options->type, options->id);
    }
    fabric_error_t error = find_begins(&tail, options->entries);
    error = error ? error : print_lanes(&tail);
    while (!error && options->follow && !ferror(stdout)) {
        poll(NULL, 0, FOLLOW_MS);
        error = print_lanes(&tail);
    }
    journal_filter_destroy(&tail.printer.filter);
    return error;
}

/* ---- show ---- */

typedef struct wanted_entry {
    uint64_t number;
    journal_printer_t printer;
    bool found;
} wanted_entry_t;

static bool show_entry(void *context, const store_entry_t *entry)
{
    wanted_entry_t *wanted = context;
    wanted->found = entry->number == wanted->number;
    if (wanted->found) {
        journal_print_entry(&wanted->printer, entry);
    }
    return false;
}

static bool parse(const char *text, uint64_t max, uint64_t *number)
{
    char *end = NULL;
    if (*text < '0' || *text > '9') {
        return false;
    }
    *number = strtoull(text, &end, 10);
    return *end == '\0' && *number <= max;
}

static fabric_error_t run_show(const cli_options_t *options, store_t *store, reason_t *reason)
{
    uint64_t lane = 0;
    wanted_entry_t wanted = {.printer = {stdout, options->json, NULL}};
    if (options->argument_count != 4 || !parse(options->arguments[2], LIMIT_LANES_MAX - 1, &lane) ||
        !parse(options->arguments[3], INT64_MAX, &wanted.number)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "journal show takes a lane's number and an entry's");
    }
    fabric_error_t error = store->driver->read_journal(
        store, (uint32_t)lane, wanted.number, STORE_ENTRY_ALL, 1, PAGE_BYTES, show_entry, &wanted);
    if (!error && !wanted.found) {
        return reason_set(reason, FABRIC_ERROR_NOT_FOUND,
                          "lane %" PRIu64 " has no entry %" PRIu64 ": it was purged, or is not "
                          "written yet",
                          lane, wanted.number);
    }
    return error;
}

/* ---- the command ---- */

static fabric_error_t run(const cli_options_t *options, store_t *store, reason_t *reason)
{
    const char *action = options->arguments[1];
    store_cluster_t any = {0};
    store_cluster_t cluster;
    fabric_error_t error = store->driver->check(store, &any, reason, &cluster);
    if (error) {
        return error;
    }
    if (strcmp(action, "tail") == 0) {
        return run_tail(options, store);
    }
    if (strcmp(action, "show") == 0) {
        return run_show(options, store, reason);
    }
    return journal_repair(store, options->yes, stdout, reason);
}

int cli_journal(const cli_options_t *options, const store_driver_t *const *drivers)
{
    const char *action = options->argument_count >= 2 ? options->arguments[1] : "";
    bool known =
        strcmp(action, "tail") == 0 || strcmp(action, "show") == 0 || strcmp(action, "repair") == 0;
    if (!known || (strcmp(action, "show") != 0 && options->argument_count > 2)) {
        return cli_usage_error("journal takes one of: tail, show LANE NUMBER, repair");
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
    error = error ? error : run(options, store, &reason);
    int code = CLI_DONE;
    if (error == FABRIC_ERROR_INVALID_ARGUMENT) {
        code = cli_usage_error("%s", reason.text);
    } else if (error) {
        char url[PRINTABLE_SIZE(100)];
        printable_url(options->store, url, sizeof url);
        code = cli_fail(error, NULL, "%s: %s", url,
                        reason.text[0] || !store ? reason.text : store_error_text(store, error));
    }
    store_close(&store);
    return code;
}
