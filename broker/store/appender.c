/* An appender: see appender.h. */
#include "broker/store/appender_state.h"

#include <stdlib.h>

#include "core/crash_point.h"
#include "core/memory.h"

/* An append is bound to its anchor when it begins so long after the last moment at which the
 * database was whole. */
#define BOUND_FROM_MS 3u

struct appender {
    connection_t connection;
    uint64_t checked_on; /* the connection (by its count) on which all lanes were checked */
    bool is_doubtful;    /* all lanes are to be checked before an append is made or told */
    bool is_checked;     /* since the last append */
    bool has_anchor;
    store_anchor_t anchor; /* an entry of the last append that was certain */
    uint64_t whole_ms;     /* the last append began, or a check of all lanes */
    reason_t lost;         /* what STORE_LOST means */
    appender_lanes_t lanes;
};

/* Entries that are being appended, each with its part. */
typedef struct append {
    appender_t *appender;
    store_entry_t entries[LIMIT_LANES_MAX];
    append_part_t *parts[LIMIT_LANES_MAX];
    size_t count;
    uint64_t bytes;
} append_t;

appender_t *appender_new(const connection_config_t *config, const store_world_t *world)
{
    appender_t *appender = memory_allocate_zeroed(1, sizeof *appender);
    connection_init(&appender->connection, config, world);
    return appender;
}

void appender_destroy(appender_t **appender)
{
    if (*appender) {
        appender_lanes_clear(&(*appender)->lanes);
        connection_clear(&(*appender)->connection);
        free(*appender);
        *appender = NULL;
    }
}

fabric_error_t appender_open(appender_t *appender, reason_t *reason)
{
    fabric_error_t error = connection_open(&appender->connection, reason);
    appender->checked_on = appender->connection.opened; /* nothing has been appended */
    return error;
}

/* The anchor is not there, or does not say enough. A check finds out whether commits are lost. */
static void distrust(appender_t *appender)
{
    appender->has_anchor = false;
    appender->is_doubtful = true;
}

void appender_begin(appender_t *appender, const store_hold_t *hold, uint64_t number,
                    uint64_t log_bytes)
{
    appender_lanes_begin(&appender->lanes, hold, number, log_bytes);
    distrust(appender); /* an older copy may have the anchor, and yet lack the lane's first entry */
}

void appender_end(appender_t *appender, uint32_t lane, uint64_t epoch)
{
    appender_lanes_end(&appender->lanes, lane, epoch);
}

bool appender_next_fenced(appender_t *appender, store_hold_t *hold)
{
    return appender_lanes_next_fenced(&appender->lanes, hold);
}

/* ---- checking lanes ---- */

static uint64_t read_clock(const appender_t *appender)
{
    return appender->connection.world.now_ms(appender->connection.world.context);
}

static bool is_new(const appender_t *appender)
{
    return appender->checked_on != appender->connection.opened;
}

/* The same on a connection on which no check was made yet, or in doubt, where a check has to be
 * complete. */
static fabric_error_t check_connection(appender_t *appender)
{
    bool all = appender->is_doubtful || is_new(appender);
    uint64_t began_ms = read_clock(appender);
    fabric_error_t error =
        appender_lanes_check(&appender->lanes, appender->connection.store, all, &appender->lost);
    if (!error) {
        appender->checked_on = appender->connection.opened;
        appender->is_doubtful = false;
        appender->is_checked = true;
        appender->whole_ms = all ? began_ms : appender->whole_ms;
    }
    return error;
}

fabric_error_t appender_check(appender_t *appender)
{
    fabric_error_t error;
    do {
        error = connection_require(&appender->connection);
        if (!error) {
            error = check_connection(appender);
        }
    } while (connection_goes_on(&appender->connection, error));
    return error;
}

const char *appender_lost(const appender_t *appender)
{
    return appender->lost.text;
}

/* ---- appending ---- */

/* The entry's verdict is known: it leaves the append. */
static void settle_entry(append_t *append, size_t index, bool is_durable)
{
    const store_entry_t *entry = &append->entries[index];
    append_part_t *part = append->parts[index];
    appender_lanes_t *lanes = &append->appender->lanes;
    part->fenced = !is_durable;
    if (is_durable) {
        part->number = entry->number;
        part->bytes = entry->calls.size + entry->body.size;
        appender_lanes_appended(lanes, entry);
    } else {
        appender_lanes_fenced(lanes, entry->lane);
    }
    append->count--;
    append->entries[index] = append->entries[append->count];
    append->parts[index] = append->parts[append->count];
}

typedef struct found_head {
    store_entry_t entry;
    bool found;
} found_head_t;

static bool keep_head(void *context, const store_entry_t *entry)
{
    *(found_head_t *)context = (found_head_t){*entry, true};
    return false;
}

/* The head with the entry's number, if it is there. */
static fabric_error_t find_head(const append_t *append, const store_entry_t *entry,
                                found_head_t *head)
{
    store_t *store = append->appender->connection.store;
    head->found = false;
    fabric_error_t error = store->driver->read_journal(
        store, entry->lane, entry->number, STORE_ENTRY_HEAD, 1, UINT64_MAX, keep_head, head);
    head->found = head->found && head->entry.number == entry->number;
    return error;
}

static bool is_own(const store_entry_t *entry, const found_head_t *head)
{
    return head->found && incarnation_equal(head->entry.incarnation, entry->incarnation) &&
           head->entry.checksum == entry->checksum;
}

/* A number is taken: whose is it? STORE_BUSY when no entry with such a number is there. */
static fabric_error_t settle_taken(append_t *append)
{
    size_t before = append->count;
    for (size_t i = append->count; i > 0; i--) {
        const store_entry_t *entry = &append->entries[i - 1];
        found_head_t head;
        fabric_error_t error = find_head(append, entry, &head);
        if (error) {
            return error;
        }
        if (head.found) {
            settle_entry(append, i - 1, is_own(entry, &head));
        }
    }
    return append->count < before ? FABRIC_OK : FABRIC_ERROR_STORE_BUSY;
}

/* The answer to an entry's statement may be lost, and the lane with it: the entry stands if it had
 * landed before. */
static fabric_error_t settle_fenced_lanes(append_t *append)
{
    for (size_t i = append->count; i > 0; i--) {
        const store_entry_t *entry = &append->entries[i - 1];
        found_head_t head;
        if (!append->appender->lanes.list[entry->lane].fenced) {
            continue;
        }
        fabric_error_t error = find_head(append, entry, &head);
        if (error) {
            return error;
        }
        settle_entry(append, i - 1, is_own(entry, &head));
    }
    return FABRIC_OK;
}

/* All entries are durable. */
static void settle_all(append_t *append)
{
    const store_entry_t *entry = &append->entries[0];
    append->appender->anchor = (store_anchor_t){entry->lane, entry->number, entry->checksum};
    append->appender->has_anchor = true;
    while (append->count > 0) {
        settle_entry(append, append->count - 1, true);
    }
}

/* Only a pause can hide that an older copy was put back. An append that follows the last one at
 * once is not bound to it, since the anchor costs the database about as much as the entry itself.
 * Where it turns out that there was a pause after all, the check comes after the append. The first
 * append after a check is bound, since the next check says nothing of lanes without appends. */
static fabric_error_t insert(append_t *append)
{
    appender_t *appender = append->appender;
    store_t *store = appender->connection.store;
    uint64_t began_ms = read_clock(appender);
    bool is_due = appender->is_checked || began_ms - appender->whole_ms >= BOUND_FROM_MS;
    bool is_bound = is_due && appender->has_anchor;
    fabric_error_t error = is_bound ? store->driver->append_after(store, &appender->anchor,
                                                                  append->entries, append->count)
                                    : store->driver->append(store, append->entries, append->count);
    if (!error) {
        CRASH_POINT(APPEND_AFTER);
        bool is_late = read_clock(appender) - appender->whole_ms >= APPENDER_PUT_BACK_MS;
        appender->is_doubtful = !is_bound && (is_late || !appender->has_anchor);
        appender->is_checked = false;
        appender->whole_ms = began_ms;
        settle_all(append);
    }
    return error;
}

/* The check on a new connection, or in doubt. */
static fabric_error_t check_where_needed(append_t *append)
{
    appender_t *appender = append->appender;
    bool connected_again = is_new(appender);
    if (!connected_again && !appender->is_doubtful) {
        return FABRIC_OK;
    }
    if (connected_again) {
        CRASH_POINT(SETTLE_BEFORE);
    }
    fabric_error_t error = check_connection(appender);
    error = error ? error : settle_fenced_lanes(append);
    if (!error && connected_again) {
        CRASH_POINT(SETTLE_AFTER);
    }
    return error;
}

/* One attempt with all entries that are not settled yet. OK: it has come closer to the end. */
static fabric_error_t try_append(append_t *append)
{
    fabric_error_t error = check_where_needed(append);
    if (error || append->count == 0) {
        return error; /* a check after the append is over, too */
    }
    CRASH_POINT(APPEND_BEFORE);
    error = insert(append);
    if (error == FABRIC_ERROR_STORE_REJECTED) {
        return settle_taken(append);
    }
    if (error == FABRIC_ERROR_FENCED) {
        distrust(append->appender);
        return FABRIC_OK;
    }
    return error ? error : check_where_needed(append);
}

static fabric_error_t append_certainly(append_t *append)
{
    connection_t *connection = &append->appender->connection;
    fabric_error_t error = FABRIC_OK;
    while (append->count > 0 && !error) {
        do {
            error = connection_require(connection);
            if (!error) {
                error = try_append(append);
            }
        } while (connection_goes_on(connection, error));
    }
    append->bytes = 0;
    return error;
}

static void add_entry(append_t *append, append_part_t *part, const store_entry_t *entry)
{
    append->entries[append->count] = *entry;
    append->parts[append->count++] = part;
    append->bytes += entry->calls.size + entry->body.size;
}

fabric_error_t appender_append(appender_t *appender, append_part_t *parts, size_t count)
{
    append_t append = {.appender = appender};
    const store_world_t *world = &appender->connection.world;
    for (size_t i = 0; i < count; i++) {
        append_part_t *part = &parts[i];
        const appender_lane_t *lane = &appender->lanes.list[part->lane];
        part->fenced = !lane->held || lane->fenced || part->batch->epoch != lane->hold.epoch;
        if (part->fenced) {
            continue;
        }
        store_entry_t entry;
        appender_entry_make(lane, part->batch, world->store_ms(world->context), &entry);
        uint64_t bytes = entry.calls.size + entry.body.size;
        if (append.bytes + bytes > JOURNAL_APPEND_BYTES_MAX) {
            fabric_error_t error = append_certainly(&append);
            if (error) {
                return error;
            }
        }
        add_entry(&append, part, &entry);
    }
    return append_certainly(&append);
}
