/* Rows and entries that were damaged on the disk or by hand, with a real broker: a damaged message
 * becomes a dead letter with its cause, a damaged result ends its message with a defect, an entry
 * that cannot be read or is missing stops its lane, and all else goes on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "core/clock.h"
#include "core/memory.h"
#include "tests/checker/table_count.h"
#include "tests/harness/machine.h"
#include "tests/harness/probe_load.h"
#include "tests/harness/process_facts.h"

enum {
    WAIT_MAX_MS = 60000,
    REFUSED_MS = 500,
    SHARDS = 300,
    CLIENT = 77,
    LATER = 1000,      /* the first sequence of the client that comes later */
    INDEX_COUNT_AT = 9 /* of the index of a body, behind its version and checksum */
};

/* ---- calls ---- */

static fabric_error_t call_with(fabric_client_t *client, const char *id, const char *text,
                                bool tell, fabric_call_key_t key, fabric_outcome_t *outcome)
{
    probe_text_t request = {""};
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, id),
                          .message = &probe_echo,
                          .request = &request,
                          .tell = tell,
                          .key = key,
                          .timeout_ms = WAIT_MAX_MS};
    snprintf(request.text, sizeof request.text, "%s", text);
    return fabric_client_call(client, &call, NULL, NULL, NULL, outcome);
}

/* Returns the key of a call that has ended well. */
static fabric_call_key_t expect_call(fabric_client_t *client, const char *id, const char *text,
                                     bool tell)
{
    static const fabric_call_key_t new_one;
    fabric_outcome_t outcome = {0};
    fabric_error_t error = call_with(client, id, text, tell, new_one, &outcome);
    if (error) {
        fail_msg("%s: %s: %s", id, fabric_error_name(error), outcome.text);
    }
    return outcome.key;
}

static size_t count_starts(testbed_t *bed, const char *id)
{
    probe_starts_t starts = probe_starts_read(bed->folder);
    size_t count = probe_starts_count(&starts, id);
    probe_starts_free(&starts);
    return count;
}

static void wait_for_line(testbed_t *bed, const char *log, const char *text)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (process_log_count(&bed->cluster, log, text) == 0) {
        testbed_poll(deadline_ms, text);
    }
}

/* ---- bytes ---- */

/* A byte of the body of an entry or of a row. */
typedef struct place {
    const char *wanted; /* a text in the body */
    bool found;
    uint64_t lane, number;
    uint8_t *body;
    size_t size;
    size_t at;
} place_t;

static void take_place(void *context, const fabric_bytes_t *columns)
{
    place_t *place = context;
    const uint8_t *body = columns[2].data;
    size_t size = strlen(place->wanted);
    for (size_t i = 0; i + size <= columns[2].size; i++) {
        if (memcmp(body + i, place->wanted, size) != 0) {
            continue;
        }
        free(place->body);
        place->found = true;
        place->lane = strtoull((const char *)columns[0].data, NULL, 10);
        place->number = strtoull((const char *)columns[1].data, NULL, 10);
        place->body = memory_allocate(columns[2].size);
        memcpy(place->body, columns[2].data, columns[2].size);
        place->size = columns[2].size;
        place->at = i;
    }
}

/* The last place of a text. `table` is "journal" with its "number", or "pending" with its
 * "position". */
static place_t find_place(testbed_t *bed, const char *table, const char *number, const char *text)
{
    char sql[200];
    place_t place = {.wanted = text};
    snprintf(sql, sizeof sql, "SELECT lane, %s, body FROM %s ORDER BY lane, %s", number, table,
             number);
    testbed_query_rows(bed, sql, take_place, &place);
    assert_true(place.found);
    return place;
}

/* Changes one bit, or changes it back. */
static void flip_bit(testbed_t *bed, const char *table, const char *number, place_t *place,
                     size_t at)
{
    size_t capacity = 2 * place->size + 200;
    char *sql = memory_allocate(capacity);
    place->body[at] ^= 1;
    size_t used = (size_t)snprintf(sql, capacity, "UPDATE %s SET body = X'", table);
    for (size_t i = 0; i < place->size; i++) {
        used += (size_t)snprintf(sql + used, capacity - used, "%02x", place->body[i]);
    }
    snprintf(sql + used, capacity - used, "' WHERE lane = %llu AND %s = %llu",
             (unsigned long long)place->lane, number, (unsigned long long)place->number);
    testbed_execute(bed, sql);
    free(sql);
}

static void flip_at_text(testbed_t *bed, const char *table, const char *number, const char *text)
{
    place_t place = find_place(bed, table, number, text);
    flip_bit(bed, table, number, &place, place.at);
    free(place.body);
}

/* ---- rows of pending ---- */

/* What becomes of a row. Its body says what its other columns say; type, entity and tag are there
 * for people only. */
typedef struct damage {
    const char *change; /* NULL: a bit of the payload */
    bool harmless;
} damage_t;

static const damage_t damages[] = {
    {NULL, false},
    {"shard = 0", false},
    {"shard = shard + 1", false},
    {"shard = 4294967295", false},
    {"body = X''", false},
    {"body = X'00'", false},
    {"body = X'ffffffffffffffffffffffffffffffffffffffffffffffff'", false},
    {"body = substr(body, 1, 20)", false},
    {"body = substr(body, 2)", false},
    {"type = 'Nobody', tag = ''", true},
    {"due_ms = NULL", true},
    {"attempts = 1, crashes = 1", true},
};

enum { DAMAGES = sizeof damages / sizeof damages[0] };

static void damage_row(testbed_t *bed, size_t i)
{
    char text[32];
    char sql[300];
    snprintf(text, sizeof text, "text of %zu;", i);
    if (!damages[i].change) {
        flip_at_text(bed, "pending", "position", text);
        return;
    }
    place_t place = find_place(bed, "pending", "position", text);
    snprintf(sql, sizeof sql, "UPDATE pending SET %s WHERE lane = %llu AND position = %llu",
             damages[i].change, (unsigned long long)place.lane, (unsigned long long)place.number);
    testbed_execute(bed, sql);
    free(place.body);
}

/* Leaves a row for each damage. */
static void leave_rows(testbed_t *bed)
{
    char id[32];
    char text[32];
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    process_stop(&bed->cluster.workers[0], WAIT_MAX_MS);
    for (size_t i = 0; i < DAMAGES; i++) {
        snprintf(id, sizeof id, "row-%zu", i);
        snprintf(text, sizeof text, "text of %zu;", i);
        (void)expect_call(bed->client, id, text, true);
    }
    while (testbed_query_number(bed, "SELECT COUNT(*) FROM pending") < DAMAGES) {
        testbed_poll(deadline_ms, "rows of all messages");
    }
    testbed_stop_processes(bed);
}

/* A dead letter is not loaded again. */
static void expect_quiet_restart(testbed_t *bed)
{
    testbed_stop_processes(bed);
    testbed_restart(bed, 1);
    (void)expect_call(bed->client, "another", "hello", false);
    assert_int_equal(testbed_counter(bed->client, "damaged"), 0);
    testbed_wait_drained(bed);
}

static void test_ip_10_damaged_rows_become_dead_letters(void **state)
{
    testbed_t *bed = *state;
    uint64_t dead = 0;
    testbed_start(bed, 1);
    leave_rows(bed);
    for (size_t i = 0; i < DAMAGES; i++) {
        damage_row(bed, i);
        dead += !damages[i].harmless;
    }
    testbed_restart(bed, 1);
    (void)expect_call(bed->client, "row-0", "hello", false);
    testbed_wait_drained(bed);
    assert_int_equal(testbed_counter(bed->client, "damaged"), dead);
    assert_int_equal(testbed_counter(bed->client, "dead_letters"), dead);
    for (size_t i = 0; i < DAMAGES; i++) {
        char id[32];
        snprintf(id, sizeof id, "row-%zu", i);
        assert_int_equal(count_starts(bed, id), damages[i].harmless + (i == 0));
    }
    wait_for_line(bed, "broker.log", " error row.damaged ");
    expect_quiet_restart(bed);
    testbed_stop_processes(bed);
    table_filter_t filter = {.inconsistent = true};
    table_count_t count = table_count_read(bed, &filter);
    assert_int_equal(count.messages, DAMAGES + 2);
    assert_int_equal(count.ended, DAMAGES + 2);
    assert_int_equal(count.dead, dead);
    assert_int_equal(testbed_query_number(bed, "SELECT COUNT(*) FROM dead_letter"), dead);
    assert_int_equal(testbed_query_number(bed, "SELECT COUNT(*) FROM pending"), 0);
}

/* ---- entries above the checkpoint ---- */

/* No checkpoint comes in the way. */
static const char *const no_checkpoints[] = {"--checkpoint-ms", "600000", NULL};

static fabric_client_t *open_client(testbed_t *bed, uint64_t first_sequence)
{
    fabric_client_t *client = NULL;
    fabric_client_options_t options = {.client_number = CLIENT,
                                       .first_sequence = first_sequence,
                                       .connect_timeout_ms = WAIT_MAX_MS};
    assert_int_equal(fabric_client_open(bed->cluster.urls, &options, &client, NULL), FABRIC_OK);
    return client;
}

static void test_sh_15_damaged_records_concern_their_messages_only(void **state)
{
    testbed_t *bed = *state;
    fabric_outcome_t outcome = {0};
    bed->broker_arguments = no_checkpoints;
    testbed_start(bed, 1);
    fabric_client_t *client = open_client(bed, 1);
    fabric_call_key_t key = expect_call(client, "answered", "the answer", false);
    fabric_client_close(&client);
    process_stop(&bed->cluster.workers[0], WAIT_MAX_MS);
    (void)expect_call(bed->client, "lost", "the message", true);
    (void)expect_call(bed->client, "kept", "another message", true);
    testbed_kill(&bed->cluster.broker);
    flip_at_text(bed, "journal", "number", "the answer"); /* the last one is the reply's */
    flip_at_text(bed, "journal", "number", "the message");
    testbed_restart(bed, 1);
    testbed_wait_drained(bed);
    assert_int_equal(testbed_counter(bed->client, "damaged"), 1);
    assert_int_equal(testbed_counter(bed->client, "dead_letters"), 1);
    client = open_client(bed, LATER);
    assert_int_equal(call_with(client, "answered", "the answer", false, key, &outcome),
                     FABRIC_ERROR_ENTITY_DEFECT);
    assert_non_null(strstr(outcome.text, "damaged"));
    fabric_client_close(&client);
    assert_int_equal(count_starts(bed, "answered"), 1);
    assert_int_equal(count_starts(bed, "lost"), 0);
    assert_int_equal(count_starts(bed, "kept"), 1);
    expect_quiet_restart(bed);
}

/* ---- a lane that cannot be adopted ---- */

/* An entity of that lane. */
static const char *entity_of(uint32_t lane, char id[32])
{
    for (unsigned i = 0;; i++) {
        snprintf(id, 32, "entity-%u", i);
        if (address_shard_number(fabric_bytes_of(id), SHARDS) % TESTBED_LANES == lane) {
            return id;
        }
    }
}

static void expect_no_service(testbed_t *bed, uint32_t lane)
{
    char id[32];
    probe_text_t hello = {"hello"};
    fabric_outcome_t outcome;
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, entity_of(lane, id)),
                          .message = &probe_echo,
                          .request = &hello,
                          .timeout_ms = (uint32_t)machine_scaled(REFUSED_MS)};
    assert_int_not_equal(fabric_client_call(bed->client, &call, NULL, NULL, NULL, &outcome),
                         FABRIC_OK);
    print_message("lane %u: %s: %s\n", lane, fabric_error_name(outcome.error), outcome.text);
    snprintf(id, sizeof id, "lane %u is damaged", lane);
    assert_non_null(strstr(outcome.text, id));
}

/* The log says what to do. */
static void wait_for_damage(testbed_t *bed, uint32_t lane)
{
    char text[80];
    char line[1000];
    snprintf(text, sizeof text, " error lane.damaged lane=%u ", lane);
    wait_for_line(bed, "broker.log", text);
    assert_true(process_log_last(&bed->cluster, "broker.log", text, line, sizeof line));
    assert_non_null(strstr(line, "fabricctl journal repair"));
    print_message("%s\n", line);
}

/* The broker is ready all the same, else its manager would take the good lanes down, too. */
static void an_entry_that_cannot_be_read_stops_its_lane(void **state)
{
    enum { BROKEN = 3, INCOMPLETE = 5, WHOLE = 7 };
    testbed_t *bed = *state;
    char id[32];
    bed->broker_arguments = no_checkpoints;
    testbed_start(bed, 1);
    (void)expect_call(bed->client, entity_of(BROKEN, id), "the broken one", false);
    (void)expect_call(bed->client, entity_of(INCOMPLETE, id), "hello", false);
    (void)expect_call(bed->client, entity_of(WHOLE, id), "hello", false);
    testbed_kill(&bed->cluster.broker);
    place_t place = find_place(bed, "journal", "number", "the broken one");
    assert_int_equal(place.lane, BROKEN);
    flip_bit(bed, "journal", "number", &place, INDEX_COUNT_AT);
    testbed_execute(bed, "DELETE FROM journal WHERE lane = 5 AND number = 2");
    testbed_restart_broker(bed); /* waits until it is ready */
    wait_for_damage(bed, BROKEN);
    wait_for_damage(bed, INCOMPLETE);
    (void)expect_call(bed->client, entity_of(WHOLE, id), "hello again", false);
    assert_int_equal(count_starts(bed, id), 2);
    expect_no_service(bed, BROKEN);
    expect_no_service(bed, INCOMPLETE);
    flip_bit(bed, "journal", "number", &place, INDEX_COUNT_AT); /* somebody repairs it */
    free(place.body);
    (void)expect_call(bed->client, entity_of(BROKEN, id), "hello again", false);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"test_ip_10_damaged_rows_become_dead_letters", test_ip_10_damaged_rows_become_dead_letters,
         TESTBED_BOTH},
        {"test_sh_15_damaged_records_concern_their_messages_only",
         test_sh_15_damaged_records_concern_their_messages_only, TESTBED_BOTH},
        {"an_entry_that_cannot_be_read_stops_its_lane", an_entry_that_cannot_be_read_stops_its_lane,
         TESTBED_MYSQL},
    };
    return testbed_run("damaged_rows", tests, sizeof tests / sizeof tests[0]);
}
