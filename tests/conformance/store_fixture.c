/* What the tests of the store suite share. */
#include "tests/conformance/store_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/memory.h"

static const store_suite_t *suite_in_use;

void store_fixture_use(const store_suite_t *suite)
{
    suite_in_use = suite;
}

/* ---- setup and teardown ---- */

store_t *fixture_open(const store_fixture_t *fixture, bool exclusive)
{
    store_options_t options = {.url = fixture->url,
                               .password = fixture->suite->password,
                               .connect_timeout_ms = 5000,
                               .io_timeout_ms = 5000,
                               .exclusive = exclusive,
                               .holder = "the suite's broker"};
    reason_t reason = {""};
    store_t *store = NULL;
    fabric_error_t error = fixture->driver->open(&options, &reason, &store);
    if (error) {
        print_error("open: %s: %s\n", fabric_error_name(error), reason.text);
        return NULL;
    }
    return store;
}

void fixture_reconnect(store_fixture_t *fixture)
{
    store_close(&fixture->store);
    fixture->store = fixture_open(fixture, false);
    assert_non_null(fixture->store);
}

int fixture_setup_empty(void **state)
{
    store_fixture_t *fixture = memory_allocate_zeroed(1, sizeof *fixture);
    fixture->suite = suite_in_use;
    fixture->driver = suite_in_use->driver;
    *state = fixture;
    if (!suite_in_use->create(fixture->url)) {
        return -1;
    }
    fixture->store = fixture_open(fixture, false);
    fixture->second = fixture_open(fixture, false);
    return fixture->store && fixture->second ? 0 : -1;
}

static fabric_error_t take_lanes(store_fixture_t *fixture, uint32_t lanes)
{
    const store_driver_t *driver = fixture->driver;
    incarnation_t self = fixture->broker.incarnation;
    fabric_error_t error = FABRIC_OK;
    for (uint32_t lane = 0; lane < lanes && !error; lane++) {
        store_hold_t before = {.lane = lane};
        store_hold_t hold = {.lane = lane, .holder = self, .epoch = 1};
        store_entry_t adopt = adopt_of(&hold, 1);
        error = driver->lane_assign(fixture->store, fixture->term, self, &before, self);
        error = error ? error : driver->lane_take(fixture->store, &hold, &adopt);
    }
    fixture->hold = (store_hold_t){.lane = 0, .holder = self, .epoch = 1};
    fixture->hold_1 = (store_hold_t){.lane = 1, .holder = self, .epoch = 1};
    return error;
}

static fabric_error_t found_cluster(store_fixture_t *fixture, uint32_t lanes)
{
    const store_driver_t *driver = fixture->driver;
    store_cluster_t wanted = {.name = "suite", .shards_per_group = FIXTURE_SHARDS, .lanes = lanes};
    store_coordinator_t before;
    store_join_t join;
    reason_t reason = {""};
    fixture->broker = broker_of(1, 1);
    incarnation_t self = fixture->broker.incarnation;
    fabric_error_t error = driver->schema_apply(fixture->store, &wanted, &reason);
    if (error) {
        print_error("schema_apply: %s\n", reason.text);
        return error;
    }
    error = driver->broker_join(fixture->store, &fixture->broker, &join);
    fixture->machine = error ? 0 : join.machine;
    error = error ? error : driver->coordinator_read(fixture->store, &before);
    error = error ? error : driver->coordinator_take(fixture->store, &before, self, &fixture->term);
    error = error ? error
                  : driver->group_put(fixture->store, fixture->term, self, bytes_of("default"),
                                      &fixture->group);
    return error;
}

static int setup_lanes(void **state, uint32_t lanes, uint32_t held)
{
    if (fixture_setup_empty(state) != 0) {
        return -1;
    }
    fabric_error_t error = found_cluster(*state, lanes);
    error = error ? error : take_lanes(*state, held);
    if (error) {
        print_error("founding: %s\n", fabric_error_name(error));
    }
    return error ? -1 : 0;
}

int fixture_setup_founded(void **state)
{
    return setup_lanes(state, FIXTURE_LANES, 2);
}

int fixture_setup_wide(void **state)
{
    return setup_lanes(state, LIMIT_LANES_MAX, LIMIT_LANES_MAX);
}

int fixture_teardown(void **state)
{
    store_fixture_t *fixture = *state;
    if (fixture) {
        forget_entries(fixture);
        forget_rows(fixture);
        free(fixture->entries.items);
        free(fixture->rows.items);
        store_close(&fixture->store);
        store_close(&fixture->second);
        if (fixture->url[0]) {
            fixture->suite->destroy(fixture->url);
        }
        free(fixture);
    }
    return 0;
}

/* ---- values ---- */

incarnation_t incarnation_of(uint8_t number)
{
    incarnation_t incarnation;
    memset(incarnation.bytes, number, sizeof incarnation.bytes);
    incarnation.bytes[3] = 0; /* adapters must not take it for text */
    return incarnation;
}

store_broker_t broker_of(uint8_t incarnation, uint8_t number)
{
    store_broker_t broker = {.incarnation = incarnation_of(incarnation)};
    snprintf(broker.name, sizeof broker.name, "broker-%u", number);
    snprintf(broker.router_endpoint, sizeof broker.router_endpoint, "tcp://127.0.0.1:%u",
             10000u + number);
    snprintf(broker.pub_endpoint, sizeof broker.pub_endpoint, "tcp://127.0.0.1:%u",
             20000u + number);
    return broker;
}

store_join_t fixture_join(store_fixture_t *fixture, const store_broker_t *broker)
{
    store_join_t join;
    assert_ok(fixture->driver->broker_join(fixture->store, broker, &join));
    return join;
}

fabric_bytes_t bytes_of(const char *text)
{
    return fabric_bytes_of(text);
}

void assert_same_bytes(fabric_bytes_t actual, fabric_bytes_t expected)
{
    assert_int_equal(actual.size, expected.size);
    if (expected.size) {
        assert_memory_equal(actual.data, expected.data, expected.size);
    }
}

/* A copy that is freed by forget_entries or forget_rows. */
static fabric_bytes_t keep(fabric_bytes_t bytes)
{
    uint8_t *copy = memory_allocate(bytes.size);
    if (bytes.size > 0) {
        memcpy(copy, bytes.data, bytes.size);
    }
    return fabric_bytes(copy, bytes.size);
}

static void drop(fabric_bytes_t bytes)
{
    free((void *)(uintptr_t)bytes.data);
}

/* ---- lanes ---- */

typedef struct wanted_lane {
    store_lane_t row;
    bool found;
} wanted_lane_t;

static void find_lane(void *context, const store_lane_t *row)
{
    wanted_lane_t *wanted = context;
    if (row->lane == wanted->row.lane) {
        assert_false(wanted->found);
        wanted->row = *row;
        wanted->found = true;
    }
}

store_lane_t lane_row(store_fixture_t *fixture, uint32_t lane)
{
    wanted_lane_t wanted = {.row.lane = lane};
    assert_ok(fixture->driver->lane_list(fixture->second, find_lane, &wanted));
    assert_true(wanted.found);
    return wanted.row;
}

store_hold_t fixture_assign(store_fixture_t *fixture, const store_hold_t *before,
                            incarnation_t holder)
{
    assert_ok(fixture->driver->lane_assign(fixture->second, fixture->term,
                                           fixture->broker.incarnation, before, holder));
    return (store_hold_t){.lane = before->lane, .holder = holder, .epoch = before->epoch + 1};
}

store_hold_t fixture_take_over(store_fixture_t *fixture, const store_hold_t *before,
                               incarnation_t holder, uint64_t number)
{
    store_hold_t hold = fixture_assign(fixture, before, holder);
    store_entry_t adopt = adopt_of(&hold, number);
    assert_ok(fixture->driver->lane_take(fixture->second, &hold, &adopt));
    return hold;
}

/* ---- entries ---- */

store_entry_t entry_of(const store_hold_t *hold, uint64_t number)
{
    return (store_entry_t){.lane = hold->lane,
                           .number = number,
                           .epoch = hold->epoch,
                           .incarnation = hold->holder,
                           .last_id = 100 * number,
                           .created_ms = (int64_t)(1000 * number),
                           .log_bytes = 20 * number,
                           .checksum = UINT64_MAX - number,
                           .calls = fabric_bytes("ca\0lls", 6),
                           .body = fabric_bytes("the\0body\xff of it", 14)};
}

store_entry_t adopt_of(const store_hold_t *hold, uint64_t number)
{
    store_entry_t entry = entry_of(hold, number);
    entry.adopt = true;
    return entry;
}

fabric_error_t append_one(store_fixture_t *fixture, const store_hold_t *hold, uint64_t number)
{
    store_entry_t entry = entry_of(hold, number);
    return fixture->driver->append(fixture->store, &entry, 1);
}

void append_some(store_fixture_t *fixture, const store_hold_t *hold, uint64_t first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_ok(append_one(fixture, hold, first + i));
    }
}

bool collect_entry(void *context, const store_entry_t *entry)
{
    store_fixture_t *fixture = context;
    found_entries_t *found = &fixture->entries;
    if (found->count == found->capacity) {
        found->capacity = found->capacity ? 2 * found->capacity : 64;
        found->items = memory_resize(found->items, found->capacity, sizeof *found->items);
    }
    store_entry_t *item = &found->items[found->count++];
    *item = *entry;
    item->calls = keep(entry->calls);
    item->body = keep(entry->body);
    return true;
}

void forget_entries(store_fixture_t *fixture)
{
    for (size_t i = 0; i < fixture->entries.count; i++) {
        drop(fixture->entries.items[i].calls);
        drop(fixture->entries.items[i].body);
    }
    fixture->entries.count = 0;
}

void read_entries(store_fixture_t *fixture, uint32_t lane, uint64_t from)
{
    forget_entries(fixture);
    assert_ok(fixture->driver->read_journal(fixture->second, lane, from, STORE_ENTRY_ALL,
                                            UINT32_MAX, UINT64_MAX, collect_entry, fixture));
}

void read_entries_back(store_fixture_t *fixture, uint32_t lane, uint64_t upto)
{
    forget_entries(fixture);
    assert_ok(fixture->driver->read_journal_back(fixture->second, lane, upto, STORE_ENTRY_ALL,
                                                 UINT32_MAX, UINT64_MAX, collect_entry, fixture));
}

uint64_t newest_entry(store_fixture_t *fixture, uint32_t lane)
{
    forget_entries(fixture);
    assert_ok(fixture->driver->read_journal_back(fixture->second, lane, INT64_MAX, STORE_ENTRY_HEAD,
                                                 1, 1, collect_entry, fixture));
    assert_int_equal(fixture->entries.count, 1);
    return fixture->entries.items[0].number;
}

void assert_numbers(const store_fixture_t *fixture, uint64_t first, int step, size_t count)
{
    assert_int_equal(fixture->entries.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(fixture->entries.items[i].number, first + (uint64_t)((int)i * step));
    }
}

void assert_same_entry(const store_entry_t *actual, const store_entry_t *expected)
{
    assert_int_equal(actual->lane, expected->lane);
    assert_int_equal(actual->number, expected->number);
    assert_int_equal(actual->epoch, expected->epoch);
    assert_true(incarnation_equal(actual->incarnation, expected->incarnation));
    assert_int_equal(actual->last_id, expected->last_id);
    assert_int_equal(actual->created_ms, expected->created_ms);
    assert_int_equal(actual->log_bytes, expected->log_bytes);
    assert_int_equal(actual->checksum, expected->checksum);
    assert_int_equal(actual->adopt, expected->adopt);
    assert_same_bytes(actual->calls, expected->calls);
    assert_same_bytes(actual->body, expected->body);
}

/* ---- rows ---- */

store_pending_t pending_of(uint64_t position, uint64_t entity)
{
    return (store_pending_t){.position = position,
                             .entity_hash = entity,
                             .id = {position},
                             .shard = shard_id_make(1, 3),
                             .number = 2,
                             .type = bytes_of("Order"),
                             .entity = bytes_of("order-123"),
                             .tag = bytes_of("Place"),
                             .body = fabric_bytes("a\0record", 8)};
}

store_dead_row_t dead_of(uint64_t id)
{
    return (store_dead_row_t){.id = {id},
                              .shard = shard_id_make(1, 3),
                              .number = 2,
                              .ended_ms = 1700000000000,
                              .error = FABRIC_ERROR_ENTITY_DEFECT,
                              .attempts = 10,
                              .type = bytes_of("Order"),
                              .entity = bytes_of("order-123"),
                              .tag = bytes_of("Place"),
                              .text = bytes_of("segmentation fault"),
                              .body = fabric_bytes("a\0record", 8)};
}

fabric_error_t write_slice(store_fixture_t *fixture, const store_hold_t *hold,
                           const store_slice_t *slice)
{
    store_slice_t based = *slice;
    based.settled = lane_row(fixture, hold->lane).number;
    for (uint64_t i = newest_entry(fixture, hold->lane) + 1; i <= slice->begun; i++) {
        store_entry_t entry = entry_of(hold, i);
        assert_ok(fixture->driver->append(fixture->second, &entry, 1));
    }
    return fixture->driver->checkpoint(fixture->store, hold, &based);
}

fabric_error_t put_rows(store_fixture_t *fixture, const store_hold_t *hold, uint64_t entity,
                        uint64_t first, size_t count)
{
    store_pending_t *rows = memory_allocate_zeroed(count, sizeof *rows);
    for (size_t i = 0; i < count; i++) {
        rows[i] = pending_of(first + i, entity);
    }
    store_slice_t slice = {.puts = rows, .put_count = count, .begun = 2, .last = true};
    fabric_error_t error = write_slice(fixture, hold, &slice);
    free(rows);
    return error;
}

void collect_row(void *context, size_t range, const store_pending_t *row)
{
    store_fixture_t *fixture = context;
    found_rows_t *found = &fixture->rows;
    if (found->count == found->capacity) {
        found->capacity = found->capacity ? 2 * found->capacity : 64;
        found->items = memory_resize(found->items, found->capacity, sizeof *found->items);
    }
    found_row_t *item = &found->items[found->count++];
    *item = (found_row_t){*row, range};
    item->row.type = keep(row->type);
    item->row.entity = keep(row->entity);
    item->row.tag = keep(row->tag);
    item->row.body = keep(row->body);
}

void forget_rows(store_fixture_t *fixture)
{
    for (size_t i = 0; i < fixture->rows.count; i++) {
        drop(fixture->rows.items[i].row.type);
        drop(fixture->rows.items[i].row.entity);
        drop(fixture->rows.items[i].row.tag);
        drop(fixture->rows.items[i].row.body);
    }
    fixture->rows.count = 0;
}

void load_range(store_fixture_t *fixture, uint32_t lane, uint64_t entity, uint64_t after,
                uint64_t until, uint32_t limit)
{
    store_range_t range = {entity, after, until, limit};
    size_t done = 99;
    forget_rows(fixture);
    assert_ok(fixture->driver->load_rows(fixture->second, lane, &range, 1, UINT64_MAX, collect_row,
                                         fixture, &done));
    assert_int_equal(done, 1);
}

static void collect_backlog(void *context, const store_backlog_t *backlog)
{
    store_fixture_t *fixture = context;
    assert_true(fixture->backlog_count < sizeof fixture->backlogs / sizeof fixture->backlogs[0]);
    size_t at = fixture->backlog_count++;
    for (; at > 0 && fixture->backlogs[at - 1].entity_hash > backlog->entity_hash; at--) {
        fixture->backlogs[at] = fixture->backlogs[at - 1];
    }
    fixture->backlogs[at] = *backlog;
}

void list_backlogs(store_fixture_t *fixture, uint32_t lane)
{
    fixture->backlog_count = 0;
    assert_ok(fixture->driver->list_backlogs(fixture->second, lane, collect_backlog, fixture));
}

static int compare_rows(const void *left, const void *right)
{
    uint64_t a = ((const found_row_t *)left)->row.position;
    uint64_t b = ((const found_row_t *)right)->row.position;
    return a < b ? -1 : a > b;
}

void load_all(store_fixture_t *fixture, uint32_t lane)
{
    store_range_t ranges[64];
    size_t done = 0;
    list_backlogs(fixture, lane);
    for (size_t i = 0; i < fixture->backlog_count; i++) {
        const store_backlog_t *backlog = &fixture->backlogs[i];
        ranges[i] = (store_range_t){backlog->entity_hash, 0, backlog->last, UINT32_MAX};
    }
    forget_rows(fixture);
    if (fixture->backlog_count == 0) {
        return;
    }
    assert_ok(fixture->driver->load_rows(fixture->second, lane, ranges, fixture->backlog_count,
                                         UINT64_MAX, collect_row, fixture, &done));
    assert_int_equal(done, fixture->backlog_count);
    if (fixture->rows.count > 0) {
        qsort(fixture->rows.items, fixture->rows.count, sizeof(found_row_t), compare_rows);
    }
}

void assert_positions(const store_fixture_t *fixture, uint64_t first, size_t count)
{
    assert_int_equal(fixture->rows.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(fixture->rows.items[i].row.position, first + i);
    }
}

void assert_same_row(const store_pending_t *actual, const store_pending_t *expected)
{
    assert_int_equal(actual->position, expected->position);
    assert_int_equal(actual->entity_hash, expected->entity_hash);
    assert_int_equal(actual->id.value, expected->id.value);
    assert_int_equal(actual->shard.value, expected->shard.value);
    assert_int_equal(actual->due_ms, expected->due_ms);
    assert_int_equal(actual->number, expected->number);
    assert_int_equal(actual->attempts, expected->attempts);
    assert_int_equal(actual->crashes, expected->crashes);
    assert_same_bytes(actual->type, expected->type);
    assert_same_bytes(actual->entity, expected->entity);
    assert_same_bytes(actual->tag, expected->tag);
    assert_same_bytes(actual->body, expected->body);
}

bool has_row(store_fixture_t *fixture, uint32_t lane, uint64_t entity, uint64_t position)
{
    bool found = false;
    store_row_key_t key = {entity, position};
    assert_ok(fixture->driver->find_rows(fixture->second, lane, &key, 1, &found));
    return found;
}

/* ---- brokers ---- */

static void collect_broker(void *context, const store_broker_t *broker)
{
    store_fixture_t *fixture = context;
    size_t at = fixture->broker_count;
    if (at == sizeof fixture->brokers / sizeof fixture->brokers[0]) {
        return;
    }
    for (; at > 0 && fixture->brokers[at - 1].machine > broker->machine; at--) {
        fixture->brokers[at] = fixture->brokers[at - 1];
    }
    fixture->brokers[at] = *broker;
    fixture->broker_count++;
}

void fixture_brokers(store_fixture_t *fixture)
{
    fixture->broker_count = 0;
    assert_ok(fixture->driver->broker_list(fixture->second, collect_broker, fixture));
}

/* ---- processes ---- */

static void child_main(const store_fixture_t *fixture,
                       fabric_error_t (*make)(const store_fixture_t *, store_t *), unsigned nth,
                       int signal)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a stopped process does not outlive a test that failed */
    store_t *store = fixture_open(fixture, false);
    if (!store) {
        _exit(FABRIC_ERROR_STORE_UNAVAILABLE);
    }
    fixture->suite->signal_before(store, nth, signal);
    _exit((int)make(fixture, store));
}

pid_t fixture_fork(store_fixture_t *fixture,
                   fabric_error_t (*make)(const store_fixture_t *, store_t *), unsigned nth,
                   int signal)
{
    /* The new process inherits no connection: SQLite's locks do not bear that. */
    store_close(&fixture->store);
    store_close(&fixture->second);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        child_main(fixture, make, nth, signal);
    }
    fixture->store = fixture_open(fixture, false);
    fixture->second = fixture_open(fixture, false);
    assert_non_null(fixture->store);
    assert_non_null(fixture->second);
    return child;
}
