/* Requests and results that break a rule: each gets its typed error, does not reach the database,
 * and harms no other message. Ids are bytes: ids that look alike to people or collations are
 * different.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/limits.h"
#include "core/shard_map.h"
#include "tests/checker/table_count.h"
#include "tests/harness/background_client.h"
#include "tests/harness/process_facts.h"
#include "tests/harness/raw_fabric.h"

enum { WAIT_MAX_MS = 30000 };

static testbed_t *bed;
static background_client_t *background;
static raw_fabric_t peer;
static uint64_t sequence;

static void begin(void **state, uint64_t number)
{
    static const char *const arguments[] = {"--registration-ms", "0", NULL};
    bed = *state;
    bed->broker_arguments = arguments;
    testbed_start(bed, 1);
    background = background_client_start(bed);
    peer = raw_client(bed->cluster.url, number);
    sequence = 0;
}

static void end(void)
{
    assert_true(raw_ping(&peer));
    raw_fabric_close(&peer);
    background_client_end(&background);
    assert_true(process_runs(&bed->cluster.broker));
}

/* A good durable request to Probe's Echo. */
static message_request_t good(void)
{
    return (message_request_t){.sequence = ++sequence,
                               .flags = REQUEST_DURABLE,
                               .type = fabric_bytes_of(PROBE_TYPE),
                               .id = fabric_bytes_of("x"),
                               .tag = fabric_bytes_of("Echo"),
                               .payload = fabric_bytes_of("\x91\xa2hi")};
}

static fabric_error_t ask(const message_request_t *request)
{
    assert_true(raw_say(&peer, request, request));
    return raw_answer(&peer, request->sequence);
}

#define EXPECT(expected, change)                                                                   \
    do {                                                                                           \
        message_request_t request = good();                                                        \
        change;                                                                                    \
        assert_int_equal(ask(&request), FABRIC_ERROR_##expected);                                  \
    } while (0)

static fabric_bytes_t many_headers(uint32_t count, size_t value_size)
{
    static wire_writer_t headers;
    static uint8_t value[LIMIT_HEADER_BYTES_MAX];
    wire_writer_reset(&headers);
    wire_put_map(&headers, count);
    for (uint32_t i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "h%u", i);
        wire_put_text(&headers, name);
        wire_put_bin(&headers, fabric_bytes(value, value_size));
    }
    return wire_writer_bytes(&headers);
}

static void requests_over_their_limits(void **state)
{
    static uint8_t big[LIMIT_PAYLOAD_BYTES_MAX + 1];
    begin(state, 501);
    EXPECT(LIMIT_EXCEEDED, request.id = fabric_bytes("", 0));
    EXPECT(LIMIT_EXCEEDED, request.id = fabric_bytes(big, 256));
    EXPECT(LIMIT_EXCEEDED, request.type = fabric_bytes("", 0));
    EXPECT(LIMIT_EXCEEDED, request.type = fabric_bytes(big, 256));
    EXPECT(LIMIT_EXCEEDED, request.tag = fabric_bytes(big, 256));
    EXPECT(LIMIT_EXCEEDED, request.payload = fabric_bytes(big, sizeof big));
    EXPECT(LIMIT_EXCEEDED, request.headers = many_headers(65, 1));
    EXPECT(LIMIT_EXCEEDED, request.headers = many_headers(2, 4096));
    EXPECT(LIMIT_EXCEEDED, request.traceparent = fabric_bytes(big, 56));
    EXPECT(LIMIT_EXCEEDED, request.deliver_at_ms = 253402300800000); /* the year 10000 begins */
    EXPECT(LIMIT_EXCEEDED, request.deliver_at_ms = UINT64_MAX);
    EXPECT(LIMIT_EXCEEDED, request.primary_key = fabric_bytes(big, 1025));
    EXPECT(UNKNOWN_KIND, request.flags |= 32);
    EXPECT(UNKNOWN_KIND, request.flags |= UINT64_C(1) << 63);
    EXPECT(UNKNOWN_ENTITY_TYPE, request.type = fabric_bytes_of("Nobody"));
    EXPECT(UNKNOWN_ENTITY_TYPE, request.type = fabric_bytes_of("probe"));
    EXPECT(UNKNOWN_ENTITY_TYPE, request.type = fabric_bytes_of("Probe "));
    EXPECT(UNKNOWN_MESSAGE, request.tag = fabric_bytes_of("Dance"));
    EXPECT(MALFORMED_MESSAGE, request.headers = fabric_bytes_of("\x81\xa1h"));
    EXPECT(MALFORMED_MESSAGE, request.headers = fabric_bytes("\xdf\xff\xff\xff\xff", 5));
    EXPECT(MALFORMED_MESSAGE, request.payload = fabric_bytes("\xdd\xff\xff\xff\xff", 5));
    EXPECT(MALFORMED_MESSAGE, request.payload = fabric_bytes_of("\x91\x01"));
    EXPECT(MALFORMED_MESSAGE, request.payload = fabric_bytes_of("\x91\xa2hi\xc0"));
    EXPECT(MALFORMED_MESSAGE, request.payload = fabric_bytes_of(""));
    EXPECT(MALFORMED_MESSAGE, request.flags = 0); /* Echo is durable */
    EXPECT(PERSISTENCE, request.floor = UINT64_MAX);
    EXPECT(PREDECESSOR_MISSING, request.predecessor = 100000);
    message_request_t request = good();
    assert_int_equal(ask(&request), FABRIC_OK); /* and then a good one */
    end();
}

static void answers_after_a_takeover_of_the_number(void **state)
{
    begin(state, 502);
    raw_fabric_t thief = raw_fabric_connect(bed->cluster.url);
    message_hello_t hello = raw_client_hello(502, 99);
    incarnation_t other = raw_incarnation(777);
    hello.incarnation = fabric_bytes(other.bytes, 16);
    assert_int_equal(raw_hello(&thief, &hello), FABRIC_ERROR_BUSY);
    message_request_t request = good();
    assert_int_equal(ask(&request), FABRIC_OK);
    hello = raw_client_hello(502, 1); /* a replayed hello is ignored, and no other peer is harmed */
    assert_true(raw_say(&thief, hello, &hello));
    request = good();
    assert_int_equal(ask(&request), FABRIC_OK);
    request = good(); /* of an old call key: other contents */
    request.sequence = sequence - 1;
    request.flags |= REQUEST_RESEND;
    request.id = fabric_bytes_of("y");
    assert_int_equal(ask(&request), FABRIC_ERROR_ALREADY_PROCESSING);
    raw_fabric_close(&thief);
    end();
}

/* ---- workers ---- */

static void results_of_unidentified_peers(void **state)
{
    begin(state, 503);
    raw_fabric_t worker = raw_worker(bed->cluster.url, 601); /* of weight 0: it owns nothing */
    uint64_t before = testbed_counter(bed->client, "results_refused");
    for (uint64_t i = 0; i < 300; i++) {
        message_result_t result = {.shard = (1 << 16) + 1 + i,
                                   .home_epoch = i % 3 ? 1 : UINT64_MAX, /* old and future tokens */
                                   .owner_sequence = i % 7,
                                   .activation = i,
                                   .request_id = i % 2 ? UINT64_MAX : i,
                                   .status = i % 5,
                                   .error = i};
        assert_true(raw_say(&worker, result, &result));
        message_released_t released = {result.shard, result.home_epoch, result.owner_sequence};
        assert_true(raw_say(&worker, released, &released));
    }
    background_client_check(background);
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (testbed_counter(bed->client, "results_refused") < before + 300) {
        testbed_poll(deadline_ms, "the refusal of all results");
    }
    raw_fabric_close(&worker);
    end();
}

static void workers_that_describe_themselves_wrongly(void **state)
{
    begin(state, 504);
    raw_fabric_t worker = raw_fabric_connect(bed->cluster.url);
    message_hello_t hello = raw_worker_hello(602, 1);
    static uint8_t types[4096];
    size_t size = hello.types.size;
    for (size_t i = 0; i < size; i++) { /* cut short, anywhere */
        hello.types.size = i;
        if (raw_hello(&worker, &hello) != FABRIC_ERROR_MALFORMED_MESSAGE) {
            fail_msg("types of %zu bytes of %zu", i, size);
        }
    }
    memcpy(types, hello.types.data, size);
    types[size] = 0xc0;
    hello.types = fabric_bytes(types, size + 1);
    assert_int_equal(raw_hello(&worker, &hello), FABRIC_ERROR_MALFORMED_MESSAGE);
    hello = raw_worker_hello(602, 1);
    hello.window = 0;
    assert_int_equal(raw_hello(&worker, &hello), FABRIC_ERROR_MALFORMED_MESSAGE);
    hello = raw_worker_hello(602, 1);
    hello.weight = UINT64_MAX;
    assert_int_equal(raw_hello(&worker, &hello), FABRIC_ERROR_MALFORMED_MESSAGE);
    hello = raw_worker_hello(602, 1);
    assert_int_equal(raw_hello(&worker, &hello), FABRIC_OK); /* none of that did harm */
    raw_fabric_close(&worker);
    end();
}

/* The owner of a shard, as any peer can read it in the map. */
static incarnation_t published_owner(void)
{
    message_map_t message;
    wire_reader_t body;
    shard_map_t *map = shard_map_new();
    message_map_wanted_t wanted = {0};
    assert_true(raw_say(&peer, map_wanted, &wanted));
    assert_true(raw_hear(&peer, KIND_MAP, 10000, &body));
    assert_int_equal(message_get_map(&body, &message), FABRIC_OK);
    shard_map_set_shards_per_group(map, 300);
    assert_int_equal(shard_map_apply(map, message.map, NULL), FABRIC_OK);
    incarnation_t owner = {{0}};
    for (size_t i = 0; i < shard_map_type_count(map) && incarnation_is_none(owner); i++) {
        owner = shard_map_owner(map, shard_map_type_name(map, i), shard_id_make(1, 1));
    }
    shard_map_destroy(&map);
    return owner;
}

/* It says hello as the worker that the map names, on the newest connection of all. */
static void ids_from_the_map_take_no_shards(void **state)
{
    begin(state, 506);
    testbed_wait_ready(bed, 1);
    incarnation_t owner = published_owner();
    for (uint64_t i = 0; incarnation_is_none(owner) && i < 10000;
         i++) { /* published a moment later */
        owner = published_owner();
    }
    assert_false(incarnation_is_none(owner));
    raw_fabric_t thief = raw_fabric_connect(bed->cluster.url);
    message_hello_t hello = raw_worker_hello(603, UINT64_C(1) << 40);
    hello.incarnation = fabric_bytes(owner.bytes, sizeof owner.bytes);
    assert_int_equal(raw_hello(&thief, &hello), FABRIC_OK); /* as somebody else */
    wire_reader_t body;
    assert_false(raw_hear(&thief, KIND_ASSIGN, 300, &body));
    background_client_check(background);
    incarnation_t still = published_owner();
    assert_true(incarnation_equal(owner, still));
    assert_int_equal(testbed_counter(bed->client, "redelivered"), 0);
    raw_fabric_close(&thief);
    end();
}

/* ---- ids ---- */

typedef struct odd_id {
    const char *bytes;
    size_t size;
} odd_id_t;

#define ID(text)                                                                                   \
    {                                                                                              \
        text, sizeof text - 1                                                                      \
    }

static const odd_id_t odd_ids[] = {
    ID("user-42"),
    ID("USER-42"),
    ID("user-42 "),
    ID(" user-42"),
    ID("user-42\0"),
    ID("user-42\0\0"),
    ID("\0"),
    ID("\n"),
    ID("a\r\nb"),
    ID("\x1b[31mred"),
    ID("\xff\xfe\x80"),
    ID("\xc3\xa9"),
    ID("e\xcc\x81"),
    ID("'; DROP TABLE journal; --"),
    ID("\"quoted\\\""),
    ID("%s%n%d"),
    ID("\xed\xa0\x80"),
    ID("stra\xc3\x9f"
       "e"),
    ID("strasse"),
};

static void test_nt_13_ids_are_bytes(void **state)
{
    enum { ODD_IDS = sizeof odd_ids / sizeof odd_ids[0] };
    uint8_t longest[255];
    memset(longest, 0x27, sizeof longest); /* quotes */
    begin(state, 505);
    for (size_t i = 0; i < ODD_IDS; i++) {
        message_request_t request = good();
        request.tag = fabric_bytes_of("Append");
        request.payload = fabric_bytes_of("\x91\x01");
        request.id = fabric_bytes(odd_ids[i].bytes, odd_ids[i].size);
        assert_true(raw_say(&peer, request, &request));
        wire_reader_t body;
        message_reply_t reply;
        assert_true(raw_hear(&peer, KIND_REPLY, 10000, &body));
        assert_int_equal(message_get_reply(&body, &reply), FABRIC_OK);
        assert_int_equal(reply.status, STATUS_OK);
        assert_true(reply.payload.size > 2);
        if (reply.payload.data[1] !=
            1) { /* its position in the list: it is the first of its entity */
            fail_msg("id %zu is the same entity as one before it", i);
        }
    }
    message_request_t request = good();
    request.id = fabric_bytes(longest, sizeof longest);
    assert_int_equal(ask(&request), FABRIC_OK);
    end();
    testbed_stop_processes(bed);
    for (size_t i = 0; i < ODD_IDS; i++) {
        table_filter_t filter = {.entity = fabric_bytes(odd_ids[i].bytes, odd_ids[i].size)};
        assert_int_equal(table_count_read(bed, &filter).messages, 1);
    }
    assert_int_equal(process_log_count(&bed->cluster, "broker.log", "\x1b"), 0);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"requests_over_their_limits", requests_over_their_limits, TESTBED_SQLITE},
        {"answers_after_a_takeover_of_the_number", answers_after_a_takeover_of_the_number,
         TESTBED_SQLITE},
        {"results_of_unidentified_peers", results_of_unidentified_peers, TESTBED_SQLITE},
        {"workers_that_describe_themselves_wrongly", workers_that_describe_themselves_wrongly,
         TESTBED_SQLITE},
        {"ids_from_the_map_take_no_shards", ids_from_the_map_take_no_shards, TESTBED_SQLITE},
        {"test_nt_13_ids_are_bytes", test_nt_13_ids_are_bytes, TESTBED_BOTH},
    };
    return testbed_run("bad_request", tests, sizeof tests / sizeof tests[0]);
}
