/* An appender: see appender.h. */
#include "broker/store/appender.h"

#include <stdlib.h>

#include "core/crash_point.h"
#include "core/journal/entry.h"
#include "core/memory.h"

/* How many heads of entries are read at once. */
#define HEADS_MAX 1000u
/* An append is bound to its anchor when it begins so long after the last moment at which the
 * database was whole. */
#define BOUND_FROM_MS 3u

typedef struct appender_lane {
    bool held;
    bool fenced; /* a check found it */
    bool told;   /* appender_next_fenced has */
    store_hold_t hold;
    uint64_t number;    /* of the last entry known to be durable */
    uint64_t last_id;   /* of that entry; 0: it is the holder's first one */
    uint64_t checked;   /* own entries up to this one were there when it was looked last */
    uint64_t oldest_id; /* no own entry from that one on has a smaller last id; 0: not known */
    uint64_t log_bytes; /* up to `number` */
    journal_writer_t *writer; /* of the entry that is being appended */
} appender_lane_t;

struct appender {
    connection_t connection;
    uint64_t checked_on; /* the connection (by its count) on which all lanes were checked */
    bool is_doubtful;    /* all lanes are to be checked before an append is made or told */
    bool is_checked;     /* since the last append */
    bool has_anchor;
    store_anchor_t anchor; /* an entry of the last append that was certain */
    uint64_t whole_ms;     /* the last append began, or a check of all lanes */
    reason_t lost;         /* what STORE_LOST means */
    appender_lane_t lanes[LIMIT_LANES_MAX];
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
        for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
            journal_writer_destroy(&(*appender)->lanes[i].writer);
        }
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
    appender_lane_t *lane = &appender->lanes[hold->lane];
    journal_writer_t *writer = lane->writer ? lane->writer : journal_writer_new();
    *lane = (appender_lane_t){.held = true,
                              .hold = *hold,
                              .number = number,
                              .checked = number,
                              .log_bytes = log_bytes,
                              .writer = writer};
    distrust(appender); /* an older copy may have the anchor, and yet lack the lane's first entry */
}

void appender_end(appender_t *appender, uint32_t lane, uint64_t epoch)
{
    if (appender->lanes[lane].hold.epoch == epoch) {
        appender->lanes[lane].held = false;
    }
}

bool appender_next_fenced(appender_t *appender, store_hold_t *hold)
{
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        appender_lane_t *lane = &appender->lanes[i];
        if (lane->held && lane->fenced && !lane->told) {
            lane->told = true;
            *hold = lane->hold;
            return true;
        }
    }
    return false;
}

/* ---- checking lanes ---- */

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
static fabric_error_t read_heads(appender_t *appender, lane_check_t *check)
{
    store_t *store = appender->connection.store;
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

static fabric_error_t note_lost(appender_t *appender, const lane_check_t *check,
                                const store_lane_t *row)
{
    const appender_lane_t *lane = check->lane;
    if (!row || row->epoch != lane->hold.epoch) {
        return reason_set(&appender->lost, FABRIC_ERROR_STORE_LOST,
                          "lane %u: its epoch was %llu, and the store says %llu", lane->hold.lane,
                          (unsigned long long)lane->hold.epoch,
                          (unsigned long long)(row ? row->epoch : 0));
    }
    return reason_set(&appender->lost, FABRIC_ERROR_STORE_LOST,
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
static fabric_error_t judge_lane(appender_t *appender, const lane_check_t *check,
                                 const store_lane_t *row)
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
        return note_lost(appender, check, row);
    }
    return FABRIC_OK;
}

/* Checks once all lanes (`all`), or those that have appended since the last check. What the store
 * answers, or STORE_LOST. */
static fabric_error_t check_lanes(appender_t *appender, bool all)
{
    store_t *store = appender->connection.store;
    lane_check_t checks[LIMIT_LANES_MAX];
    size_t count = 0;
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        appender_lane_t *lane = &appender->lanes[i];
        if (lane->held && !lane->fenced && (all || lane->checked < lane->number)) {
            checks[count] = (lane_check_t){.lane = lane, .next = lane->checked};
            fabric_error_t error = read_heads(appender, &checks[count++]);
            if (error) {
                return error;
            }
        }
    }
    lane_rows_t rows = {.known = {false}};
    fabric_error_t error = count ? store->driver->lane_list(store, keep_row, &rows) : FABRIC_OK;
    for (size_t i = 0; !error && i < count; i++) {
        uint32_t number = checks[i].lane->hold.lane;
        error = judge_lane(appender, &checks[i], rows.known[number] ? &rows.rows[number] : NULL);
    }
    return error;
}

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
    fabric_error_t error = check_lanes(appender, all);
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

/* The router's thread has written the messages, so another processor has them. While one message is
 * encoded, the next ones are fetched: first the structs, then what they point to. */
enum { NEXT = 2, LATER = 4, FIRST_BYTES = 192 };

__attribute__((always_inline)) static inline void fetch_bytes(const store_message_t *message)
{
    memory_prefetch(message->type.data, FIRST_BYTES); /* names and payload stand together */
}

__attribute__((always_inline)) static inline void fetch_messages(const lane_batch_t *batch,
                                                                 size_t done)
{
    if (done + LATER < batch->message_count) {
        memory_prefetch(batch->messages[done + LATER], sizeof(store_message_t));
    }
    if (done + NEXT < batch->message_count) {
        fetch_bytes(batch->messages[done + NEXT]);
    }
}

__attribute__((always_inline)) static inline void fetch_ends(const lane_batch_t *batch, size_t done)
{
    if (done + LATER < batch->end_count) {
        memory_prefetch(batch->ends[done + LATER].message, sizeof(store_message_t));
        memory_prefetch(batch->ends[done + LATER].reply, sizeof(store_reply_t));
    }
    if (done + NEXT < batch->end_count) {
        fetch_bytes(batch->ends[done + NEXT].message);
        memory_prefetch(batch->ends[done + NEXT].reply->payload.data, FIRST_BYTES);
    }
}

static void encode(journal_writer_t *writer, const lane_batch_t *batch)
{
    journal_writer_reset(writer);
    for (size_t i = 0; i < batch->message_count; i++) {
        const store_message_t *message = batch->messages[i];
        fetch_messages(batch, i);
        journal_put_message(writer, message, message->id.value, (journal_attempts_t){0});
    }
    for (size_t i = 0; i < batch->attempt_count; i++) {
        journal_put_attempt(writer, batch->attempts[i].message, batch->attempts[i].attempts);
    }
    for (size_t i = 0; i < batch->end_count; i++) {
        const batch_end_t *end = &batch->ends[i];
        fetch_ends(batch, i);
        if (end->dead) {
            journal_put_dead(writer, end->message, end->reply, end->attempts, end->cause,
                             end->text);
        } else {
            journal_put_result(writer, end->message, end->reply);
        }
    }
}

static void make_entry(appender_t *appender, const append_part_t *part, store_entry_t *entry)
{
    const appender_lane_t *lane = &appender->lanes[part->lane];
    const store_world_t *world = &appender->connection.world;
    encode(lane->writer, part->batch);
    *entry = (store_entry_t){.lane = part->lane,
                             .number = lane->number + 1,
                             .epoch = part->batch->epoch,
                             .incarnation = lane->hold.holder,
                             .last_id = part->batch->last_id,
                             .created_ms = world->store_ms(world->context)};
    journal_seal(lane->writer, entry, lane->log_bytes);
}

/* The entry's verdict is known: it leaves the append. */
static void settle_entry(append_t *append, size_t index, bool is_durable)
{
    const store_entry_t *entry = &append->entries[index];
    append_part_t *part = append->parts[index];
    appender_lane_t *lane = &append->appender->lanes[entry->lane];
    part->fenced = !is_durable;
    if (is_durable) {
        part->number = entry->number;
        part->bytes = entry->calls.size + entry->body.size;
        lane->number = entry->number;
        lane->last_id = entry->last_id;
        lane->oldest_id = lane->oldest_id ? lane->oldest_id : entry->last_id;
        lane->log_bytes = entry->log_bytes;
    } else {
        lane->fenced = true;
        lane->told = true; /* the part's verdict tells */
    }
    append->count--;
    append->entries[index] = append->entries[append->count];
    append->parts[index] = append->parts[append->count];
}

static void settle_fenced_lanes(append_t *append)
{
    for (size_t i = append->count; i > 0; i--) {
        if (append->appender->lanes[append->entries[i - 1].lane].fenced) {
            settle_entry(append, i - 1, false);
        }
    }
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

/* A number is taken: whose is it? STORE_BUSY when no entry with such a number is there. */
static fabric_error_t settle_taken(append_t *append)
{
    store_t *store = append->appender->connection.store;
    size_t before = append->count;
    for (size_t i = append->count; i > 0; i--) {
        const store_entry_t *entry = &append->entries[i - 1];
        found_head_t head = {.found = false};
        fabric_error_t error = store->driver->read_journal(
            store, entry->lane, entry->number, STORE_ENTRY_HEAD, 1, UINT64_MAX, keep_head, &head);
        if (error) {
            return error;
        }
        if (head.found && head.entry.number == entry->number) {
            bool is_own = incarnation_equal(head.entry.incarnation, entry->incarnation) &&
                          head.entry.checksum == entry->checksum;
            settle_entry(append, i - 1, is_own);
        }
    }
    return append->count < before ? FABRIC_OK : FABRIC_ERROR_STORE_BUSY;
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
    if (!error) {
        settle_fenced_lanes(append);
    }
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
    for (size_t i = 0; i < count; i++) {
        append_part_t *part = &parts[i];
        const appender_lane_t *lane = &appender->lanes[part->lane];
        part->fenced = !lane->held || lane->fenced || part->batch->epoch != lane->hold.epoch;
        if (part->fenced) {
            continue;
        }
        store_entry_t entry;
        make_entry(appender, part, &entry);
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
