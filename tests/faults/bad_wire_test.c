/* Peers that break the protocol at every stage of a connection: each is refused or dropped, and no
 * other peer notices. See schemas/protocol.md, section 12. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "tests/harness/stop.h"
#include "core/clock.h"
#include "core/limits.h"
#include "tests/harness/background_client.h"
#include "tests/harness/process_facts.h"
#include "tests/harness/raw_fabric.h"
#include "tests/harness/vectors.h"

enum {
    HANDSHAKE_MS = 3000,        /* ZMQ_HANDSHAKE_IVL of the broker */
    HANDSHAKE_SLACK_MS = 12000, /* a loaded machine */
    CLOSE_MS = 30000
};

static testbed_t *bed;
static char publish[300]; /* the broker's PUB */
static background_client_t *background;
static uint64_t begun_ms;

static void begin(void **state)
{
    bed = *state;
    testbed_start(bed, 1);
    begun_ms = clock_monotonic_ms();
    json_t *status = testbed_status(bed->client);
    snprintf(publish, sizeof publish, "%s",
             json_string_value(
                 json_object_get(json_array_get(json_object_get(status, "brokers"), 0), "pub")));
    json_decref(status);
    background = background_client_start(bed);
}

/* The broker still serves, and has logged no more lines than its limit: one in each second. */
static void end(void)
{
    background_client_end(&background);
    assert_true(process_runs(&bed->cluster.broker));
    size_t lines = process_log_count(&bed->cluster, "broker.log", "peer.violation");
    assert_in_range(lines, 0, (clock_monotonic_ms() - begun_ms) / 1000 + 2);
}

/* The log gets a line that names the peer and its violation. */
static void expect_line(const char *text)
{
    char line[2000];
    char missing[200];
    uint64_t deadline_ms = clock_monotonic_ms() + CLOSE_MS;
    snprintf(missing, sizeof missing, "a line peer.violation ... %s in the broker's log", text);
    while (!process_log_last(&bed->cluster, "broker.log", text, line, sizeof line) ||
           !strstr(line, " warn peer.violation address=127.0.0.1 peer=")) {
        testbed_poll(deadline_ms, missing);
    }
}

/* ---- before the handshake ---- */

static void send_noise(const char *endpoint, uint64_t seed)
{
    uint8_t noise[4096];
    raw_peer_t *peer = raw_peer_connect(endpoint);
    assert_non_null(peer);
    for (size_t i = 0; i < sizeof noise; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        noise[i] = (uint8_t)(seed >> 56);
    }
    (void)raw_send(peer, noise, sizeof noise);
    raw_peer_destroy(&peer);
}

typedef struct cut {
    const char *what;
    const char *endpoint;
    const void *bytes;
    size_t size;
} cut_t;

enum { CUTS_MAX = 16 };

/* Sends each piece on a connection of its own, all at once, and expects all connections to be
 * closed. */
static void expect_cuts(const cut_t *cuts, size_t count)
{
    raw_peer_t *peers[CUTS_MAX] = {NULL};
    uint64_t deadline_ms = clock_monotonic_ms() + HANDSHAKE_MS + HANDSHAKE_SLACK_MS;
    assert_true(count <= CUTS_MAX);
    for (size_t i = 0; i < count; i++) {
        peers[i] = raw_peer_connect(cuts[i].endpoint);
        assert_non_null(peers[i]);
        (void)raw_send(peers[i], cuts[i].bytes, cuts[i].size);
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t now_ms = clock_monotonic_ms();
        if (!raw_is_closed(peers[i], now_ms < deadline_ms ? (uint32_t)(deadline_ms - now_ms) : 1)) {
            fail_msg("%s: not cut off", cuts[i].what);
        }
        raw_peer_destroy(&peers[i]);
    }
}

static void send_and_leave(const char *endpoint, const void *bytes, size_t size)
{
    raw_peer_t *peer = raw_peer_connect(endpoint);
    assert_true(raw_send(peer, bytes, size));
    raw_peer_destroy(&peer);
}

/* From 4.3.5 on libzmq sets no time limit to a peer that seems to speak ZMTP 1 or 2, as junk
 * does. */
static bool old_protocols_time_out(void)
{
    int major;
    int minor;
    int patch;
    zmq_version(&major, &minor, &patch);
    return major * 10000 + minor * 100 + patch < 40305;
}

static void junk_before_the_handshake(void **state)
{
    static const char http[] = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    static const uint8_t zmtp1[] = {1, 0, 5, 0, 'j', 'u', 'n', 'k'};
    static const uint8_t zmtp2[] = {0xff, 0, 0, 0, 0, 0, 0,   0,   1,   0x7f,
                                    1,    5, 0, 0, 0, 4, 'j', 'u', 'n', 'k'};
    begin(state);
    const char *endpoints[] = {bed->cluster.url, publish};
    for (size_t i = 0; i < 2; i++) {
        const char *endpoint = endpoints[i];
        for (uint64_t seed = 1; seed <= 100; seed++) {
            send_noise(endpoint, seed);
        }
        if (old_protocols_time_out()) {
            expect_cuts(&(cut_t){"HTTP", endpoint, http, sizeof http - 1}, 1);
        }
        send_and_leave(endpoint, http, sizeof http - 1);
        send_and_leave(endpoint, zmtp1, sizeof zmtp1);
        send_and_leave(endpoint, zmtp2, sizeof zmtp2);
        background_client_check(background);
    }
    end();
}

static void endless_handshakes_are_cut_off(void **state)
{
    uint8_t greeting[64];
    uint8_t ready[200];
    uint8_t curve[64];
    begin(state);
    raw_greeting(greeting, 0, "NULL");
    raw_greeting(curve, 0, "CURVE");
    const cut_t cuts[] = {{"silence", bed->cluster.url, "", 0},
                          {"half a greeting", bed->cluster.url, greeting, 30},
                          {"half a greeting to the PUB", publish, greeting, 30},
                          {"no READY", bed->cluster.url, greeting, 64},
                          {"no READY to the PUB", publish, greeting, 64},
                          {"another mechanism", bed->cluster.url, curve, 64}};
    expect_cuts(cuts, sizeof cuts / sizeof cuts[0]);
    raw_peer_t *peer = raw_peer_connect(bed->cluster.url); /* one byte now and then */
    assert_true(raw_send(peer, greeting, 64));
    size_t size = raw_ready(ready, "DEALER", fabric_bytes_of(""));
    bool cut = false;
    for (size_t i = 0; i + 1 < size && !cut; i++) {
        (void)raw_send(peer, ready + i, 1);
        cut = raw_is_closed(peer, HANDSHAKE_MS / 8);
    }
    assert_true(cut);
    raw_peer_destroy(&peer);
    end();
}

/* ---- handshakes of the wrong kind ---- */

static void wrong_socket_types(void **state)
{
    static const char *const types[] = {"PUB", "SUB",  "PULL", "PUSH", "PAIR",
                                        "REP", "XPUB", "BAD",  ""};
    begin(state);
    raw_peer_t *peers[sizeof types / sizeof types[0]];
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        peers[i] = raw_peer_connect(bed->cluster.url);
        (void)raw_handshake(peers[i], types[i], fabric_bytes_of(""));
    }
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        assert_true(raw_is_closed(peers[i], HANDSHAKE_MS + HANDSHAKE_SLACK_MS));
        raw_peer_destroy(&peers[i]);
    }
    raw_peer_t *peer =
        raw_peer_connect(bed->cluster.url); /* a REQ puts an empty part before each frame */
    assert_true(raw_handshake(peer, "REQ", fabric_bytes_of("")));
    uint64_t before = testbed_counter(bed->client, "malformed");
    assert_true(raw_send_frame(peer, RAW_MORE, fabric_bytes_of("")));
    assert_true(raw_send_frame(peer, 0, fabric_bytes_of("\x93\x02")));
    uint64_t deadline_ms = clock_monotonic_ms() + CLOSE_MS;
    while (testbed_counter(bed->client, "malformed") == before) {
        testbed_poll(deadline_ms, "a message of three parts to be counted");
    }
    raw_peer_destroy(&peer);
    expect_line("a message has one part");
    end();
}

/* libzmq numbers its peers, and aborts where a peer has chosen the number of the next one: so the
 * first number must be unpredictable. */
static void routing_ids_of_libzmqs_own_kind(void **state)
{
    enum { GUESSES = 64, UNSEEDED = 0x6b8b4567 };
    raw_peer_t *peers[GUESSES];
    begin(state);
    for (uint32_t i = 0; i < GUESSES; i++) {
        uint32_t number = UNSEEDED + 2 + i;
        const uint8_t id[5] = {0, (uint8_t)(number >> 24), (uint8_t)(number >> 16),
                               (uint8_t)(number >> 8), (uint8_t)number};
        peers[i] = raw_peer_connect(bed->cluster.url);
        assert_non_null(peers[i]);
        (void)raw_handshake(peers[i], "DEALER", fabric_bytes(id, sizeof id));
    }
    for (uint64_t i = 0; i < GUESSES; i++) {
        raw_fabric_t honest = raw_client(bed->cluster.url, 150 + i);
        raw_fabric_close(&honest);
    }
    for (uint32_t i = 0; i < GUESSES; i++) {
        raw_peer_destroy(&peers[i]);
    }
    end();
}

static void routing_ids_of_peers_choice(void **state)
{
    uint8_t longest[255];
    uint8_t too_long[70000];
    memset(longest, 'x', sizeof longest);
    memset(too_long, 'x', sizeof too_long);
    begin(state);
    /* a second peer under the same routing id is ignored; the first one does not notice */
    raw_fabric_t first = raw_fabric_connect_as(bed->cluster.url, fabric_bytes_of("twin"));
    message_hello_t hello = raw_client_hello(101, 1);
    assert_int_equal(raw_hello(&first, &hello), FABRIC_OK);
    raw_fabric_t second = raw_fabric_connect_as(bed->cluster.url, fabric_bytes_of("twin"));
    hello = raw_client_hello(102, 1);
    (void)raw_say(&second, hello, &hello);
    assert_true(raw_ping(&first));
    raw_fabric_close(&second);
    assert_true(raw_ping(&first));
    raw_fabric_close(&first);
    raw_fabric_t peer = raw_fabric_connect_as(bed->cluster.url, fabric_bytes(longest, 255));
    hello = raw_client_hello(103, 1);
    assert_int_equal(raw_hello(&peer, &hello), FABRIC_OK);
    raw_fabric_close(&peer);
    /* over 255 bytes is against ZMTP: whatever happens, happens to that peer */
    raw_peer_t *rogue = raw_peer_connect(bed->cluster.url);
    if (raw_handshake(rogue, "DEALER", fabric_bytes(too_long, sizeof too_long))) {
        raw_fabric_t fabric = {.peer = rogue};
        (void)raw_say(&fabric, hello, &hello);
    }
    background_client_check(background);
    raw_peer_destroy(&rogue);
    end();
}

/* ---- frames ---- */

static void frames_over_the_limit(void **state)
{
    static const uint64_t sizes[] = {5 << 20,           LIMIT_FRAME_BYTES_MAX + 1,
                                     UINT64_C(1) << 31, UINT64_C(1) << 62,
                                     UINT64_C(1) << 63, UINT64_MAX};
    begin(state);
    uint64_t before_kib = process_rss_kib(&bed->cluster.broker);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        raw_fabric_t peer = raw_client(bed->cluster.url, 200 + i);
        assert_true(raw_send_header(peer.peer, 0, sizes[i]));
        assert_true(raw_is_closed(peer.peer, CLOSE_MS));
        raw_fabric_close(&peer);
        raw_peer_t *subscriber = raw_peer_connect(publish);
        assert_true(raw_handshake(subscriber, "SUB", fabric_bytes_of("")));
        assert_true(raw_send_header(subscriber, 0, sizes[i]));
        assert_true(raw_is_closed(subscriber, CLOSE_MS));
        raw_peer_destroy(&subscriber);
    }
    assert_true(process_rss_kib(&bed->cluster.broker) < before_kib + 32 * 1024);
    end();
}

static void put_ping(wire_writer_t *frame)
{
    frame_begin(frame, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION});
    message_put_ping(frame, &(message_ping_t){.sequence = 77});
}

static void frames_in_pieces(void **state)
{
    wire_writer_t frame = {0};
    wire_reader_t body;
    begin(state);
    raw_fabric_t peer = raw_client(bed->cluster.url, 300);
    put_ping(&frame);
    uint8_t header[2] = {0, (uint8_t)frame.size};
    assert_true(raw_send_slowly(peer.peer, header, 2)); /* byte by byte is fine */
    assert_true(raw_send_slowly(peer.peer, frame.data, frame.size));
    assert_true(raw_hear(&peer, KIND_PONG, CLOSE_MS, &body));
    uint64_t before = testbed_counter(bed->client, "malformed");
    for (int i = 0; i < 20000; i++) { /* one message of many parts */
        assert_true(raw_send_frame(peer.peer, RAW_MORE, fabric_bytes_of("x")));
    }
    assert_true(raw_send_frame(peer.peer, 0, wire_writer_bytes(&frame)));
    assert_true(raw_send_frame(peer.peer, RAW_MORE, wire_writer_bytes(&frame)));
    assert_true(raw_send_frame(peer.peer, 0, fabric_bytes_of("")));
    assert_true(raw_send_frame(peer.peer, 0, fabric_bytes_of(""))); /* an empty frame */
    assert_true(raw_ping(&peer));
    assert_int_equal(testbed_counter(bed->client, "malformed"), before + 3);
    assert_true(raw_send_frame(peer.peer, 0, wire_writer_bytes(&frame)));
    assert_true(raw_send(peer.peer, header, 1)); /* half a header, and gone */
    raw_fabric_close(&peer);
    wire_writer_destroy(&frame);
    end();
}

static void commands_after_the_handshake(void **state)
{
    static const uint8_t ping[] = "\4PING\0\0ctx";
    fabric_bytes_t command;
    begin(state);
    raw_fabric_t peer = raw_client(bed->cluster.url, 310);
    for (int i = 0; i < 20000; i++) {
        if (!raw_send_frame(peer.peer, RAW_COMMAND, fabric_bytes(ping, 10))) {
            break; /* cut off: just as well */
        }
    }
    (void)raw_receive_command(peer.peer, CLOSE_MS, &command);
    raw_fabric_close(&peer);
    static const char *const junk[] = {"",       "\5READY", "\5ERROR", "\xff",
                                       "\4PING", "\4PONG",  "\6CANCEL"};
    for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++) {
        peer = raw_client(bed->cluster.url, 320 + i);
        (void)raw_send_frame(peer.peer, RAW_COMMAND, fabric_bytes_of(junk[i]));
        (void)raw_send_frame(peer.peer, RAW_COMMAND | RAW_MORE, fabric_bytes_of(junk[i]));
        raw_fabric_close(&peer);
    }
    background_client_check(background);
    end();
}

/* ---- vectors ---- */

typedef struct vector_target {
    raw_fabric_t *peer;
    uint64_t count;
} vector_target_t;

static void send_vector(const vector_t *vector, void *context)
{
    vector_target_t *target = context;
    if (!raw_fabric_frame(target->peer, vector->bytes)) {
        fail_msg("%s: the connection was closed", vector->name);
    }
    target->count++;
}

static const char *const vector_files[] = {
    "schemas/vectors/frames.txt", "schemas/vectors/values.txt", "schemas/vectors/schemas.txt",
    "schemas/vectors/types.txt"};

static void send_vectors(raw_fabric_t *peer)
{
    vector_target_t target = {peer, 0};
    for (size_t i = 0; i < sizeof vector_files / sizeof vector_files[0]; i++) {
        vectors_visit(vector_files[i], send_vector, &target);
    }
    assert_true(target.count > 100);
}

/* Sends every vector, valid or not, as a frame of an unidentified peer, a client and a worker. */
static void vectors_over_the_wire(void **state)
{
    begin(state);
    uint64_t before = testbed_counter(bed->client, "malformed");
    raw_fabric_t unidentified = raw_fabric_connect(bed->cluster.url);
    send_vectors(&unidentified);
    raw_fabric_t client = raw_client(bed->cluster.url, 400);
    send_vectors(&client);
    raw_fabric_t worker = raw_worker(bed->cluster.url, 401);
    send_vectors(&worker);
    /* vectors hold hellos and byes: whoever they made of the peers, a hello makes them clients
     * again */
    raw_fabric_t again = raw_client(bed->cluster.url, 402);
    assert_true(raw_ping(&again));
    uint64_t deadline_ms = clock_monotonic_ms() + CLOSE_MS;
    while (testbed_counter(bed->client, "malformed") < before + 200) {
        testbed_poll(deadline_ms, "the bad vectors to be counted");
    }
    raw_fabric_close(&unidentified);
    raw_fabric_close(&client);
    raw_fabric_close(&worker);
    raw_fabric_close(&again);
    expect_line("error=");
    end();
}

/* Adjacent messages of a bad message in one frame are handled (I14). */
static void send_between_pings(const vector_t *vector, void *context)
{
    raw_fabric_t *peer = context;
    wire_writer_t frame = {0};
    wire_reader_t body;
    message_pong_t pong;
    frame_begin(&frame, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION});
    message_put_ping(&frame, &(message_ping_t){.sequence = 1001});
    wire_put_bin(&frame, vector->bytes);
    message_put_ping(&frame, &(message_ping_t){.sequence = 1002});
    assert_true(raw_fabric_frame(peer, wire_writer_bytes(&frame)));
    wire_writer_destroy(&frame);
    for (uint64_t sequence = 1001; sequence <= 1002; sequence++) {
        if (!raw_hear(peer, KIND_PONG, CLOSE_MS, &body) ||
            message_get_pong(&body, &pong) != FABRIC_OK || pong.sequence != sequence) {
            fail_msg("%s: an adjacent message was not handled", vector->name);
        }
    }
}

static void adjacent_messages_in_a_frame(void **state)
{
    begin(state);
    raw_fabric_t peer = raw_client(bed->cluster.url, 410);
    vectors_visit("schemas/vectors/values.txt", send_between_pings, &peer);
    vectors_visit("schemas/vectors/schemas.txt", send_between_pings, &peer);
    raw_fabric_close(&peer);
    end();
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"junk_before_the_handshake", junk_before_the_handshake, TESTBED_SQLITE},
        {"endless_handshakes_are_cut_off", endless_handshakes_are_cut_off, TESTBED_SQLITE},
        {"wrong_socket_types", wrong_socket_types, TESTBED_SQLITE},
        {"routing_ids_of_libzmqs_own_kind", routing_ids_of_libzmqs_own_kind, TESTBED_SQLITE},
        {"routing_ids_of_peers_choice", routing_ids_of_peers_choice, TESTBED_SQLITE},
        {"frames_over_the_limit", frames_over_the_limit, TESTBED_SQLITE},
        {"frames_in_pieces", frames_in_pieces, TESTBED_SQLITE},
        {"commands_after_the_handshake", commands_after_the_handshake, TESTBED_SQLITE},
        {"vectors_over_the_wire", vectors_over_the_wire, TESTBED_SQLITE},
        {"adjacent_messages_in_a_frame", adjacent_messages_in_a_frame, TESTBED_SQLITE},
    };
    return testbed_run("bad_wire", tests, sizeof tests / sizeof tests[0]);
}
