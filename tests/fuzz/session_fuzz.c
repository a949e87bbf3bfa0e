/* The client session under a sequence of events: calls, connections, well-formed frames with any
 * fields, raw bytes, blocked pipes and time. Whatever comes, what the session says can be read,
 * each call ends once and by its deadline, a volatile call is sent again only after a broker said
 * that it did not take it, and the session's inside stays consistent. */
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/session_check.h"
#include "tests/unit/session_driver.h"
#include "tests/harness/vectors.h"

enum { CALLS_MAX = 512, PENDING_MAX = 32, BROKERS = 2, ACTIONS_MAX = 1024, WAIT_MAX_MS = 500 };

typedef struct fate {
    bool durable;
    bool ended;
    bool sent;    /* and not refused since */
    bool refused; /* ever */
    bool denied;  /* it ended as certainly not accepted */
    uint64_t deadline_ms;
} fate_t;

typedef struct world {
    session_driver_t *d;
    fuzz_input_t input;
    uint64_t connection[SESSION_PEERS_MAX]; /* of the last hello */
    uint64_t map_sequence;
    uint64_t calls; /* sequences 1..calls */
    fate_t fates[CALLS_MAX + 1];
} world_t;

/* ---- what the session says ---- */

static void read_request(world_t *w, const message_request_t *request)
{
    assert_in_range(request->sequence, 1, w->calls);
    assert_true(request->predecessor < request->sequence);
    fate_t *fate = &w->fates[request->sequence];
    assert_true(!fate->denied || fate->refused); /* a blocked frame may be sent late */
    assert_true(fate->durable || !fate->sent);
    fate->sent = true;
}

static void read_message(world_t *w, size_t peer, wire_reader_t *body);

/* A frame by way of another broker: all brokers that are reached so count as one peer. */
static void read_relay(world_t *w, wire_reader_t *body)
{
    message_relay_t relay;
    wire_reader_t reader;
    frame_head_t head;
    assert_int_equal(message_get_relay(body, &relay), FABRIC_OK);
    assert_int_equal(frame_open(relay.frame, &reader, &head), FABRIC_OK);
    wire_reader_t inner;
    while (frame_next(&reader, &inner)) {
        read_message(w, SESSION_PEERS_MAX - 1, &inner);
    }
    assert_int_equal(wire_finish(&reader), FABRIC_OK);
}

static void read_message(world_t *w, size_t peer, wire_reader_t *body)
{
    message_kind_t kind;
    message_request_t request;
    message_hello_t hello;
    assert_int_equal(message_open(body, &kind), FABRIC_OK);
    if (kind == KIND_REQUEST) {
        assert_int_equal(message_get_request(body, &request), FABRIC_OK);
        read_request(w, &request);
    } else if (kind == KIND_RELAY) {
        read_relay(w, body);
    } else if (kind == KIND_HELLO) {
        assert_int_equal(message_get_hello(body, &hello), FABRIC_OK);
        assert_true(hello.connection > w->connection[peer]);
        w->connection[peer] = hello.connection;
    }
}

static void pull_frames(world_t *w)
{
    size_t peer;
    fabric_bytes_t frame;
    for (unsigned i = 0; session_next_frame(w->d->session, w->d->now_ms, &peer, &frame); i++) {
        wire_reader_t reader;
        wire_reader_t body;
        frame_head_t head;
        assert_true(i < ACTIONS_MAX && peer < SESSION_PEERS_MAX);
        assert_true(frame.size <= LIMIT_FRAME_BYTES_MAX);
        assert_int_equal(frame_open(frame, &reader, &head), FABRIC_OK);
        assert_true(head.settled <= w->calls + 1);
        if (fuzz_byte(&w->input) == 1) {
            session_frame_blocked(w->d->session, peer);
            continue;
        }
        while (frame_next(&reader, &body)) {
            read_message(w, peer, &body);
        }
        assert_int_equal(wire_finish(&reader), FABRIC_OK);
        session_frame_sent(w->d->session, peer);
    }
}

static void pull(world_t *w)
{
    session_action_t action;
    for (unsigned i = 0; session_next_action(w->d->session, &action); i++) {
        assert_true(i < ACTIONS_MAX && action.peer < SESSION_PEERS_MAX);
        assert_true(memchr(action.endpoint, 0, sizeof action.endpoint) != NULL);
    }
    pull_frames(w);
    for (call_t *call = session_next_done(w->d->session); call;
         call = session_next_done(w->d->session)) {
        assert_in_range(call->sequence, 1, w->calls);
        fate_t *fate = &w->fates[call->sequence];
        assert_false(fate->ended);
        assert_true(w->d->now_ms <= fate->deadline_ms);
        fate->ended = true;
        fate->denied = call->error && fabric_error_class(call->error) == FABRIC_CLASS_RETRY;
        call_destroy(&call);
    }
    assert_true(session_open_calls(w->d->session) <= PENDING_MAX);
    assert_true(session_settled(w->d->session) <= w->calls + 1);
    session_check(w->d->session);
}

/* ---- events ---- */

static void note_refused(world_t *w, uint64_t sequence)
{
    if (sequence <= w->calls) {
        w->fates[sequence].sent = false;
        w->fates[sequence].refused = true;
    }
}

static void receive(world_t *w, size_t peer, fabric_bytes_t frame)
{
    wire_reader_t reader;
    wire_reader_t body;
    frame_head_t head;
    message_kind_t kind;
    message_rejected_t rejected;
    message_redirect_t redirect;
    if (frame_open(frame, &reader, &head) == FABRIC_OK) {
        while (frame_next(&reader, &body)) {
            if (message_open(&body, &kind)) {
                continue;
            }
            if (kind == KIND_REJECTED && !message_get_rejected(&body, &rejected)) {
                note_refused(w, rejected.sequence);
            } else if (kind == KIND_REDIRECT && !message_get_redirect(&body, &redirect)) {
                note_refused(w, redirect.sequence);
            }
        }
    }
    session_receive(w->d->session, peer, frame, w->d->now_ms);
}

static void structured(world_t *w, size_t peer)
{
    unsigned count = 1u + fuzz_byte(&w->input) % 4u;
    wire_writer_t frame = {0};
    frame_begin(&frame, &(frame_head_t){LIMIT_PROTOCOL_VERSION, fuzz_number(&w->input),
                                        fuzz_number(&w->input)});
    while (count-- > 0) {
        fuzz_put_message(&w->input, &frame);
    }
    receive(w, peer, wire_writer_bytes(&frame));
    wire_writer_destroy(&frame);
}

static void submit(world_t *w)
{
    static const char *const ids[] = {"a", "b", "c", "d"};
    uint8_t how = fuzz_byte(&w->input);
    if (w->calls == CALLS_MAX) {
        return;
    }
    uint64_t timeout_ms = how & 32 ? 1 : WAIT_MAX_MS;
    w->fates[++w->calls] = (fate_t){.durable = how & 1, .deadline_ms = w->d->now_ms + timeout_ms};
    uint32_t flags = (how & 1 ? REQUEST_DURABLE : 0u) | (how & 2 ? REQUEST_TELL : 0u) |
                     (how & 4 ? REQUEST_WANT_ACCEPTED : 0u);
    assert_int_equal(script_call(w->d, ids[how / 8 % 4], flags, timeout_ms), w->calls);
}

/* The session is told the time as its shell does: not later than when it wanted to know. */
static void advance(world_t *w, uint64_t ms)
{
    for (uint64_t until_ms = w->d->now_ms + ms; w->d->now_ms < until_ms;) {
        uint64_t due_ms = session_next_deadline(w->d->session);
        uint64_t next_ms = due_ms < until_ms ? due_ms : until_ms;
        script_advance(w->d, next_ms > w->d->now_ms ? next_ms - w->d->now_ms : 1);
        pull(w);
    }
}

static void step(world_t *w)
{
    uint8_t what = fuzz_byte(&w->input);
    size_t peer = what / 16u % BROKERS;
    switch (what % 16u) {
    case 0:
        session_connected(w->d->session, peer, w->d->now_ms);
        break;
    case 1:
        session_disconnected(w->d->session, peer, w->d->now_ms);
        break;
    case 2:
    case 3:
        script_welcome(w->d, peer, w->connection[peer], fuzz_byte(&w->input) % 3 - 1);
        break;
    case 4:
        script_map(w->d, peer, 1, ++w->map_sequence, fuzz_byte(&w->input) % 3 - 1, what & 128);
        break;
    case 5: {
        fabric_bytes_t frame = fuzz_block(&w->input);
        receive(w, peer, frame);
        free((void *)(uintptr_t)frame.data);
        break;
    }
    case 6:
    case 7:
        advance(w, fuzz_byte(&w->input));
        break;
    case 8:
        session_writable(w->d->session, peer);
        break;
    case 9:
    case 10:
    case 11:
        submit(w);
        break;
    default:
        structured(w, peer);
    }
    pull(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const fabric_bytes_t words[] = {fabric_bytes_of("Counter"),
                                    fabric_bytes_of("a"),
                                    fabric_bytes_of("tag"),
                                    fabric_bytes_of("test"),
                                    fabric_bytes_of(script_endpoint(0)),
                                    fabric_bytes_of(script_endpoint(1)),
                                    fabric_bytes_of(script_endpoint(2)),
                                    fabric_bytes("\7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16),
                                    fabric_bytes("\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16),
                                    fabric_bytes("\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16),
                                    fabric_bytes("\x90", 1)};
    world_t *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->input = fuzz_input(data, size);
    w->input.words = words;
    w->input.word_count = sizeof words / sizeof words[0];
    w->map_sequence = 1;
    w->d = session_driver_new_relaying(
        PENDING_MAX, fuzz_byte(&w->input) & 1 ? SESSION_FORWARD_ALWAYS : SESSION_FORWARD_AUTO);
    w->d->by_way = false; /* what is relayed comes as any other message */
    while (fuzz_left(&w->input) > 0) {
        step(w);
    }
    advance(w, WAIT_MAX_MS + 1);
    for (uint64_t i = 1; i <= w->calls; i++) {
        assert_true(w->fates[i].ended);
    }
    session_driver_destroy(&w->d);
    free(w);
    return 0;
}

static void seed_vector(const vector_t *vector, void *context)
{
    wire_writer_t input = {0};
    uint8_t head[] = {0,
                      0,
                      0,
                      2,
                      1,
                      9,
                      1,
                      0,
                      9,
                      0,
                      0,
                      5,
                      (uint8_t)(vector->bytes.size >> 8),
                      (uint8_t)vector->bytes.size};
    (void)context;
    wire_append(&input, head, sizeof head);
    wire_append(&input, vector->bytes.data, vector->bytes.size);
    wire_append(&input, "\6\310", 2);
    fuzz_seed(wire_writer_bytes(&input));
    wire_writer_destroy(&input);
}

void fuzz_seeds(void)
{
    /* connected, welcomed with home 0, three calls; accepted 1, reply 1, rejected 2, redirected
     * 3 */
    static const uint8_t life[] = {0,  0, 0, 2,  1,  0,   9,  1, 0,  9,  0,  0,  9,   3, 0,
                                   12, 0, 0, 0,  10, 1,   77, 0, 12, 0,  0,  11, 1,   7, 0,
                                   0,  0, 8, 0,  12, 0,   0,  0, 12, 2,  30, 5,  0,   0, 12,
                                   0,  0, 0, 13, 3,  201, 5,  0, 16, 18, 2,  6,  255, 8};
    fuzz_seed(fabric_bytes(life, sizeof life));
    vectors_visit("schemas/vectors/frames.txt", seed_vector, NULL);
}
