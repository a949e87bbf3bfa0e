/* Operators list scheduled messages and cancel messages by their ids, with the command line. What
 * was cancelled is never handled, whatever dies afterwards. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/invocation.h"
#include "tests/harness/machine.h"
#include "tests/harness/probe_load.h"
#include "tests/harness/testbed.h"

/* SOON_MS: time enough to tell, to write a checkpoint and to cancel. */
enum { BROKERS = 3, SOON_MS = 6000 };

static void start(testbed_t *bed)
{
    if (strcmp(bed->store, "sqlite") == 0) {
        testbed_start(bed, 1);
    } else {
        testbed_start_brokers(bed, BROKERS, 1);
    }
}

typedef struct tells {
    uint64_t *ids; /* of the accepted messages; they come in any order */
    unsigned ended, failed;
} tells_t;

typedef struct told {
    tells_t *tells;
    unsigned index;
} told_t;

static void take_id(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    told_t *told = context;
    (void)payload;
    told->tells->ids[told->index] = outcome->request_id;
    told->tells->failed += outcome->error || outcome->request_id == 0;
    told->tells->ended++;
}

enum { MANY_MAX = 5000 };

/* Tells an entity so many messages, each due a millisecond after the one before, and not one after
 * the other: then each would wait for the disk. */
static void tell_many(testbed_t *bed, const char *id, int64_t deliver_at_ms, uint64_t *ids,
                      unsigned count)
{
    static told_t told[MANY_MAX];
    static tells_t tells;
    uint64_t deadline_ms = clock_monotonic_ms() + 60000;
    assert_in_range(count, 0, MANY_MAX);
    tells = (tells_t){ids, 0, 0};
    for (unsigned i = 0; i < count; i++) {
        probe_number_t request = {i + 1};
        fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, id),
                              .message = &probe_append,
                              .request = &request,
                              .tell = true,
                              .deliver_at_ms = deliver_at_ms + i};
        told[i] = (told_t){&tells, i};
        assert_int_equal(fabric_client_start(bed->client, &call, take_id, &told[i], NULL),
                         FABRIC_OK);
    }
    while (tells.ended < count) {
        (void)fabric_client_wait(bed->client, 20);
        assert_true(clock_monotonic_ms() < deadline_ms);
    }
    assert_int_equal(tells.failed, 0);
}

/* Returns the message's request id. */
static uint64_t tell(testbed_t *bed, const char *id, uint64_t number, int64_t deliver_at_ms)
{
    probe_number_t request = {number};
    fabric_outcome_t outcome = {0};
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, id),
                          .message = &probe_append,
                          .request = &request,
                          .tell = true,
                          .deliver_at_ms = deliver_at_ms};
    if (fabric_client_call(bed->client, &call, NULL, NULL, NULL, &outcome)) {
        fail_msg("%s", outcome.text);
    }
    assert_true(outcome.request_id > 0);
    return outcome.request_id;
}

static void hold(testbed_t *bed, const char *id, uint64_t *request_id)
{
    probe_text_t request = {"open"};
    fabric_outcome_t outcome = {0};
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, id),
                          .message = &probe_hold,
                          .request = &request,
                          .tell = true};
    assert_int_equal(fabric_client_call(bed->client, &call, NULL, NULL, NULL, &outcome), FABRIC_OK);
    *request_id = outcome.request_id;
}

/* fabricctl scheduled cancel ID. The pattern is of what it says on standard error; NULL: it is
 * done. */
static void cancel(testbed_t *bed, int line, const char *what, uint64_t id, const char *timeout,
                   int status, const char *pattern)
{
    static invocation_t run;
    char text[24], said[64];
    snprintf(text, sizeof text, "%" PRIu64, id);
    const char *arguments[] = {"fabricctl",       what,    "cancel", text, "--url",
                               bed->cluster.urls, timeout, NULL};
    invocation_run(bed, arguments, NULL, &run);
    invocation_check(&run, line, status, pattern, arguments);
    if (status == 0) {
        snprintf(said, sizeof said, "request %" PRIu64 " is cancelled\n", id);
        assert_int_equal(run.output_size, strlen(said));
        assert_memory_equal(run.output, said, run.output_size);
    }
}

#define CANCEL(id)                  cancel(bed, __LINE__, "scheduled", id, NULL, 0, NULL)
#define EXPECT(id, status, pattern) cancel(bed, __LINE__, "message", id, NULL, status, pattern)

/* What `scheduled ls -o json` prints. The caller's. */
static json_t *list(testbed_t *bed, const char *id, const char *entries, const char *after)
{
    static invocation_t run;
    const char *arguments[12] = {"fabricctl", "scheduled", "ls", PROBE_TYPE};
    size_t count = 4;
    if (id) {
        arguments[count++] = id;
    }
    const char *rest[] = {"--store", bed->cluster.database.url, "-ojson", entries, after};
    for (size_t i = 0; i < 5 && rest[i]; i++) {
        arguments[count++] = rest[i];
    }
    invocation_run(bed, arguments, NULL, &run);
    invocation_check(&run, __LINE__, 0, NULL, arguments);
    json_t *page = json_loadb(run.output, run.output_size, 0, NULL);
    assert_non_null(page);
    return page;
}

static uint64_t id_at(const json_t *page, size_t index)
{
    const json_t *row = json_array_get(json_object_get(page, "scheduled"), index);
    return (uint64_t)json_integer_value(json_object_get(row, "request_id"));
}

static size_t count_of(const json_t *page)
{
    return json_array_size(json_object_get(page, "scheduled"));
}

static bool has_started(testbed_t *bed, const char *id)
{
    probe_starts_t starts = probe_starts_read(bed->folder);
    bool started = probe_starts_count(&starts, id) > 0;
    probe_starts_free(&starts);
    return started;
}

/* The home of the message dies by SIGKILL right after the answer. */
static void cancelled_before_its_time_whatever_dies(void **state)
{
    testbed_t *bed = *state;
    bool alone = strcmp(bed->store, "sqlite") == 0;
    machine_measure();
    start(bed);
    int64_t at_ms = clock_wall_ms() + (int64_t)machine_scaled(SOON_MS);
    uint64_t wanted = tell(bed, "wanted", 1, at_ms);
    uint64_t unwanted[3];
    for (unsigned i = 0; i < 3; i++) {
        char id[32];
        snprintf(id, sizeof id, "unwanted-%u", i);
        unwanted[i] = tell(bed, id, 2 + i, at_ms);
    }
    testbed_wait_checkpoint(bed); /* they have rows */
    for (unsigned i = 0; i < 3; i++) {
        CANCEL(unwanted[i]);
    }
    if (alone) {
        testbed_kill(&bed->cluster.broker);
        testbed_restart_broker(bed);
    } else {
        testbed_kill(&bed->cluster.brokers[0]);
        testbed_kill(&bed->cluster.brokers[1]);
    }
    testbed_wait_ready(bed, 1);
    EXPECT(unwanted[0], 6, "fabricctl: request * has ended already: Cancelled");
    uint64_t deadline_ms = clock_monotonic_ms() + machine_scaled(SOON_MS) + 60000;
    while (!has_started(bed, "wanted")) {
        testbed_poll(deadline_ms, "the wanted message to be handled at its time");
    }
    assert_true(clock_wall_ms() >= at_ms);
    testbed_wait_drained(bed);
    testbed_pause(300);
    EXPECT(wanted, 6, "fabricctl: request * has ended already: OK");
    for (unsigned i = 0; i < 3; i++) {
        char id[32];
        snprintf(id, sizeof id, "unwanted-%u", i);
        assert_false(has_started(bed, id));
    }
}

/* More than a home keeps in memory. It dies after the answers, too. */
static void one_that_only_the_store_has_is_cancelled(void **state)
{
    testbed_t *bed = *state;
    enum { MESSAGES = 4500, NEAR = 4300, FAR = 4499 };
    static uint64_t ids[MESSAGES];
    testbed_start(bed, 1);
    int64_t at_ms = clock_wall_ms() + 86400000;
    tell_many(bed, "later", at_ms, ids, MESSAGES);
    testbed_wait_checkpoint(bed);
    testbed_kill(&bed->cluster.broker);
    testbed_restart_broker(bed);
    testbed_wait_ready(bed, 1);
    assert_true(testbed_counter(bed->client, "stored") > 0);
    CANCEL(ids[FAR]);
    CANCEL(ids[NEAR]);
    EXPECT(ids[FAR], 6, "fabricctl: request * has ended already: Cancelled");
    testbed_kill(&bed->cluster.broker);
    testbed_restart_broker(bed);
    testbed_wait_ready(bed, 1);
    assert_int_equal(testbed_counter(bed->client, "scheduled"), MESSAGES - 2);
    testbed_wait_checkpoint(bed);
    testbed_stop_processes(bed);
    char sql[128];
    snprintf(sql, sizeof sql,
             "SELECT COUNT(*) FROM scheduled WHERE request_id IN (%" PRIu64 ", %" PRIu64 ")",
             ids[FAR], ids[NEAR]);
    assert_int_equal(testbed_query_number(bed, "SELECT COUNT(*) FROM scheduled"), MESSAGES - 2);
    assert_int_equal(testbed_query_number(bed, sql), 0);
}

/* One that runs is told to stop; one behind it ends at once. */
static void queued_and_running_messages_are_cancelled(void **state)
{
    testbed_t *bed = *state;
    uint64_t held;
    start(bed);
    hold(bed, "busy", &held);
    while (!has_started(bed, "busy")) {
        testbed_poll(clock_monotonic_ms() + 60000, "the handler's begin");
    }
    uint64_t queued = tell(bed, "busy", 2, 0);
    CANCEL(queued);
    cancel(bed, __LINE__, "message", held, "--timeout-ms=2000", 5,
           "fabricctl: request * its handler was told to stop, and still runs (Timeout): *");
    testbed_open_gate(bed, "open");
    testbed_wait_drained(bed);
    EXPECT(held, 6, "fabricctl: request * has ended already: *");
    EXPECT(12345, 3, "fabricctl: request 12345 waits nowhere: * (NotFound): *");
    invocation_expect(bed, __LINE__, 2, "fabricctl: 'x' is no request id *", "fabricctl", "message",
                      "cancel", "x", NULL);
    invocation_expect(bed, __LINE__, 2, "fabricctl: cancel takes 1 to 256 request ids *",
                      "fabricctl", "scheduled", "cancel", NULL);
}

/* Its home is frozen: nobody can say that the message is not there. When another broker has the
 * lane, it ends. */
static void a_home_that_does_not_answer_is_named(void **state)
{
    testbed_t *bed = *state;
    enum { MESSAGES = 12 };
    static invocation_t run;
    static char texts[MESSAGES][24];
    const char *arguments[MESSAGES + 8] = {"fabricctl", "scheduled", "cancel"};
    static const char *const lease[] = {"--lease-ms", "10000", NULL}; /* longer than it is asked */
    bed->broker_arguments = lease;
    testbed_start_brokers(bed, BROKERS, 1);
    for (unsigned i = 0; i < MESSAGES; i++) {
        char id[32];
        snprintf(id, sizeof id, "later-%u", i);
        snprintf(texts[i], sizeof texts[i], "%" PRIu64,
                 tell(bed, id, i + 1, clock_wall_ms() + 3600000));
        arguments[3 + i] = texts[i];
    }
    arguments[3 + MESSAGES] = "--url";
    arguments[4 + MESSAGES] = bed->cluster.broker_urls[1];
    arguments[5 + MESSAGES] = "--timeout-ms=3000";
    testbed_freeze(&bed->cluster.brokers[0]);
    invocation_run(bed, arguments, NULL, &run);
    assert_true(run.status == 4 || run.status == 5); /* NotConnected, or Timeout */
    assert_true(run.lines > 0 && run.lines < MESSAGES);
    assert_non_null(strstr(run.complaints, " may be in lane "));
    assert_non_null(strstr(run.complaints, ": broker "));
    arguments[5 + MESSAGES] = "--timeout-ms=10000";
    uint64_t deadline_ms = clock_monotonic_ms() + 90000;
    do {
        testbed_poll(deadline_ms, "the end of all messages");
        invocation_run(bed, arguments, NULL, &run);
    } while (strstr(run.complaints, "(")); /* an error; one that has ended is none */
    testbed_thaw(&bed->cluster.brokers[0]);
}

/* Pages by time, of all lanes. */
static void scheduled_messages_are_listed_page_by_page(void **state)
{
    testbed_t *bed = *state;
    enum { MESSAGES = 25 };
    uint64_t ids[MESSAGES];
    start(bed);
    int64_t at_ms = clock_wall_ms() + 3600000;
    for (unsigned i = 0; i < MESSAGES; i++) {
        char id[32];
        snprintf(id, sizeof id, "later-%u", i);
        ids[i] = tell(bed, id, i + 1, at_ms + i / 2);
    }
    testbed_wait_checkpoint(bed);
    testbed_stop_processes(bed);
    char after[96] = "--after=0:0";
    unsigned found = 0;
    for (unsigned pages = 1;; pages++) {
        json_t *page = list(bed, NULL, "--entries=10", after);
        for (size_t i = 0; i < count_of(page); i++) {
            assert_int_equal(id_at(page, i), ids[found++]);
        }
        const char *next = json_string_value(json_object_get(page, "next"));
        snprintf(after, sizeof after, "--after=%s", next ? next : "");
        bool ended = next == NULL;
        json_decref(page);
        assert_true(ended == (pages == 3));
        if (ended) {
            break;
        }
    }
    assert_int_equal(found, MESSAGES);
    json_t *page = list(bed, "later-7", NULL, NULL);
    assert_int_equal(count_of(page), 1);
    assert_int_equal(id_at(page, 0), ids[7]);
    json_decref(page);
    invocation_expect(bed, __LINE__, 2, "fabricctl: --after: 'x' is not what *", "fabricctl",
                      "scheduled", "ls", "--after=x", "--store", bed->cluster.database.url, NULL);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"cancelled_before_its_time_whatever_dies", cancelled_before_its_time_whatever_dies,
         TESTBED_BOTH},
        {"one_that_only_the_store_has_is_cancelled", one_that_only_the_store_has_is_cancelled,
         TESTBED_SQLITE},
        {"queued_and_running_messages_are_cancelled", queued_and_running_messages_are_cancelled,
         TESTBED_BOTH},
        {"a_home_that_does_not_answer_is_named", a_home_that_does_not_answer_is_named,
         TESTBED_MYSQL},
        {"scheduled_messages_are_listed_page_by_page", scheduled_messages_are_listed_page_by_page,
         TESTBED_BOTH},
    };
    return testbed_run("operator_cancel", tests, sizeof tests / sizeof tests[0]);
}
