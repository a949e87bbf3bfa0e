/* The repair of journals: see journal_repair.h. */
#include "cli/journal_repair.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "core/memory.h"

enum { PAGE_ENTRIES = 100, PAGE_BYTES = 4 << 20, REPLACEMENTS_MAX = 10000 };

typedef struct replacement {
    store_hold_t nobody; /* the lane's row must say this */
    store_entry_t entry; /* its calls and body lie in `bytes` */
    uint8_t *bytes;
} replacement_t;

typedef struct plan {
    store_t *store;
    FILE *file;
    reason_t *reason;
    fabric_error_t error;
    store_lane_t lanes[LIMIT_LANES_MAX];
    size_t lane_count;
    const store_lane_t *lane; /* that is examined; so are the next three */
    store_entry_t before;     /* the last entry, or what replaces it: its columns */
    uint64_t highest_id;      /* that the lane's readable records tell of */
    bool open;                /* the last replacement waits for its last id */
    bool moved;               /* the last page was not empty */
    journal_writer_t *writer;
    replacement_t *replacements;
    size_t count;
} plan_t;

/* ---- replacements ---- */

/* Fills the entry's place with the writer's records. Its last id is set later: no request id that
 * may be lost with it is larger. */
static void add_replacement(plan_t *plan, const store_entry_t *columns)
{
    if (plan->count == REPLACEMENTS_MAX) {
        plan->error =
            reason_set(plan->reason, FABRIC_ERROR_LIMIT_EXCEEDED,
                       "lane %u: over %d entries are damaged or missing: restore a backup",
                       plan->lane->lane, REPLACEMENTS_MAX);
        return;
    }
    plan->replacements =
        memory_resize(plan->replacements, plan->count + 1, sizeof *plan->replacements);
    replacement_t *replacement = &plan->replacements[plan->count++];
    *replacement = (replacement_t){.nobody = {.lane = plan->lane->lane, .epoch = plan->lane->epoch},
                                   .entry = *columns};
    store_entry_t *entry = &replacement->entry;
    journal_seal(plan->writer, entry, plan->before.log_bytes);
    replacement->bytes = memory_allocate(entry->calls.size + entry->body.size);
    if (entry->body.size > 0) {
        memcpy(replacement->bytes, entry->body.data, entry->body.size);
    }
    if (entry->calls.size > 0) {
        memcpy(replacement->bytes + entry->body.size, entry->calls.data, entry->calls.size);
    }
    plan->before = *entry;
    plan->open = true;
}

static void close_replacement(plan_t *plan, uint64_t last_id)
{
    replacement_t *replacement = &plan->replacements[plan->count - 1];
    store_entry_t *entry = &replacement->entry;
    entry->last_id = last_id;
    entry->body = fabric_bytes(replacement->bytes, entry->body.size);
    entry->calls = fabric_bytes(replacement->bytes + entry->body.size, entry->calls.size);
    journal_seal_columns(entry);
    plan->before.last_id = last_id;
    plan->open = false;
}

/* ---- examining ---- */

/* Whether the body can be folded, and the highest id in it; else `why` says what is wrong. */
static bool read_body(fabric_bytes_t body, uint64_t *highest_id, bool *unknown, reason_t *why)
{
    journal_reader_t reader;
    journal_record_t record;
    if (journal_reader_open(&reader, body, why) != FABRIC_OK) {
        return false;
    }
    for (;;) {
        journal_read_t read = journal_read_next(&reader, &record);
        if (read == JOURNAL_READ_END) {
            return true;
        }
        if (read == JOURNAL_READ_UNKNOWN) {
            *unknown = true;
            (void)reason_set(why, FABRIC_ERROR_UNKNOWN_KIND, "a record has kind %u",
                             (unsigned)record.kind);
            return false;
        }
        *highest_id = record.id.value > *highest_id ? record.id.value : *highest_id;
    }
}

static void fill_gap(plan_t *plan, const store_entry_t *next)
{
    store_entry_t missing = plan->before;
    missing.lane = plan->lane->lane;
    missing.created_ms = next->created_ms;
    missing.adopt = false;
    while (!plan->error && plan->before.number + 1 < next->number) {
        missing.number = plan->before.number + 1;
        journal_writer_reset(plan->writer);
        add_replacement(plan, &missing);
        if (!plan->error) {
            close_replacement(plan, next->last_id);
            fprintf(plan->file, "lane %u, entry %" PRIu64 " is missing: all that it held is lost\n",
                    missing.lane, missing.number);
        }
    }
}

static void replace_entry(plan_t *plan, const store_entry_t *entry, const reason_t *why)
{
    bool unknown;
    journal_writer_reset(plan->writer);
    size_t kept = journal_salvage(plan->writer, entry->body);
    add_replacement(plan, entry);
    if (!plan->error) {
        (void)read_body(plan->before.body, &plan->highest_id, &unknown, NULL);
        fprintf(plan->file,
                "lane %u, entry %" PRIu64 ": %s: of its %zu bytes %zu records can be read, and are "
                "kept; all others are lost\n",
                entry->lane, entry->number, why->text, entry->body.size, kept);
    }
}

static bool examine(void *context, const store_entry_t *entry)
{
    plan_t *plan = context;
    reason_t why = {{0}};
    bool unknown = false;
    bool sound = journal_entry_is_sound(entry);
    plan->moved = true;
    if (plan->open) {
        close_replacement(plan, sound ? entry->last_id : plan->highest_id);
    }
    fill_gap(plan, entry);
    if (plan->error) {
        return false;
    }
    if (read_body(entry->body, &plan->highest_id, &unknown, &why)) {
        plan->before = *entry;
    } else if (sound || unknown) {
        plan->error = reason_set(plan->reason, FABRIC_ERROR_WRONG_SCHEMA_VERSION,
                                 "lane %u, entry %" PRIu64 ": %s: a newer release wrote it",
                                 entry->lane, entry->number, why.text);
    } else {
        replace_entry(plan, entry, &why);
    }
    return !plan->error;
}

static bool take_covered(void *context, const store_entry_t *entry)
{
    ((plan_t *)context)->before = *entry;
    return false;
}

static void examine_lane(plan_t *plan)
{
    const store_driver_t *driver = plan->store->driver;
    uint32_t lane = plan->lane->lane;
    plan->highest_id = 0;
    plan->before = (store_entry_t){.lane = lane};
    plan->error = driver->read_journal_back(plan->store, lane, plan->lane->number, STORE_ENTRY_HEAD,
                                            1, 1, take_covered, plan);
    plan->before.number = plan->lane->number; /* that entry may be purged */
    plan->moved = true;
    while (plan->moved && !plan->error) {
        plan->moved = false;
        fabric_error_t error =
            driver->read_journal(plan->store, lane, plan->before.number + 1, STORE_ENTRY_ALL,
                                 PAGE_ENTRIES, PAGE_BYTES, examine, plan);
        plan->error = plan->error ? plan->error : error;
    }
    if (plan->open && !plan->error) { /* the lane's last entry: an adopter's ids begin higher */
        close_replacement(plan, plan->highest_id);
    }
}

/* ---- the whole ---- */

static void take_lane(void *context, const store_lane_t *lane)
{
    plan_t *plan = context;
    if (plan->lane_count < LIMIT_LANES_MAX) {
        plan->lanes[plan->lane_count++] = *lane;
    }
}

static void apply(plan_t *plan)
{
    for (size_t i = 0; !plan->error && i < plan->count; i++) {
        const replacement_t *replacement = &plan->replacements[i];
        plan->error = plan->store->driver->journal_replace(plan->store, &replacement->nobody,
                                                           &replacement->entry);
        if (plan->error == FABRIC_ERROR_FENCED) {
            plan->error = reason_set(plan->reason, FABRIC_ERROR_FENCED,
                                     "a broker holds lane %u, or has just taken it",
                                     replacement->nobody.lane);
        }
    }
}

static void print_end(const plan_t *plan, bool really)
{
    if (plan->count == 0) {
        fputs("nothing has to be repaired\n", plan->file);
    } else if (really) {
        fprintf(plan->file, "%zu entries were replaced\n", plan->count);
    } else {
        fprintf(plan->file,
                "%zu entries have to be replaced: stop all brokers, and run this with --yes\n",
                plan->count);
    }
}

fabric_error_t journal_repair(store_t *store, bool really, FILE *file, reason_t *reason)
{
    plan_t plan = {.store = store, .file = file, .reason = reason, .writer = journal_writer_new()};
    plan.error = store->driver->lane_list(store, take_lane, &plan);
    for (size_t i = 0; !plan.error && i < plan.lane_count; i++) {
        plan.lane = &plan.lanes[i];
        examine_lane(&plan);
    }
    if (!plan.error && really) {
        apply(&plan);
    }
    if (!plan.error) {
        print_end(&plan, really);
    }
    for (size_t i = 0; i < plan.count; i++) {
        free(plan.replacements[i].bytes);
    }
    free(plan.replacements);
    journal_writer_destroy(&plan.writer);
    return plan.error;
}
