/* The client session under seeded random brokers: they answer, refuse, redirect, fall silent, break,
 * move homes and send garbage. Whatever they do, each call ends once and by its deadline, a volatile
 * call is sent again only after a refusal, and what is said to be certain is so. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "tests/lib/session_driver.h"

enum { SEEDS = 60, STEPS = 600, CALLS_MAX = 4000, TIMEOUT_MS = 400, BROKERS = 2 };

typedef struct fate {
    bool durable;
    bool ended;
    bool in_doubt; /* a send that was neither refused nor answered */
    bool accepted; /* by a broker of this test */
    uint64_t deadline_ms;
} fate_t;

typedef struct world {
    session_driver_t *d;
    uint64_t random;
    bool connected[BROKERS];
    uint64_t connection[BROKERS]; /* of the last hello */
    uint64_t map_sequence;
    uint64_t calls; /* sequences 1..calls */
    fate_t fates[CALLS_MAX + 1];
} world_t;

static uint64_t pick(world_t *w, uint64_t bound)
{
    w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (w->random >> 33) % bound;
}

static void answer(world_t *w, size_t peer, const message_request_t *request)
{
    static const fabric_error_t refusals[] = {
        FABRIC_ERROR_BUSY, FABRIC_ERROR_MAILBOX_FULL, FABRIC_ERROR_NOT_HOME,
        FABRIC_ERROR_PREDECESSOR_MISSING, FABRIC_ERROR_RUNNER_UNAVAILABLE};
    fate_t *fate = &w->fates[request->sequence];
    bool first = !(request->flags & REQUEST_RESEND);
    if (!fate->durable) {
        assert_false(fate->in_doubt); /* at most once */
    }
    assert_true(request->predecessor < request->sequence);
    uint64_t what = pick(w, 10);
    if (what < 5) {
        fate->in_doubt = fate->accepted = true;
        script_reply(w->d, peer, request->sequence, request->sequence);
    } else if (what < 7) {
        script_reject(w->d, peer, request->sequence, refusals[pick(w, 5)], pick(w, 20));
    } else if (what < 8) {
        script_redirect(w->d, peer, request->sequence, script_endpoint(pick(w, 3)));
    } else if (what < 9) {
        fate->in_doubt = fate->accepted = true; /* taken, but the answer is lost */
    } else if (first) {
        fate->in_doubt = true;
    }
}

static void pull(world_t *w)
{
    size_t peer;
    fabric_bytes_t frame;
    while (session_next_frame(w->d->session, w->d->now_ms, &peer, &frame)) {
        wire_reader_t reader;
        wire_reader_t body;
        frame_head_t head;
        wire_writer_t copy = {0};
        wire_append(&copy, frame.data, frame.size);
        session_frame_sent(w->d->session, peer);
        assert_int_equal(frame_open(wire_writer_bytes(&copy), &reader, &head), FABRIC_OK);
        assert_true(head.settled <= w->calls + 1);
        while (frame_next(&reader, &body)) {
            message_kind_t kind;
            message_request_t request;
            message_hello_t hello;
            assert_int_equal(message_open(&body, &kind), FABRIC_OK);
            if (kind == KIND_REQUEST) {
                assert_int_equal(message_get_request(&body, &request), FABRIC_OK);
                answer(w, peer, &request);
            } else if (kind == KIND_HELLO && message_get_hello(&body, &hello) == FABRIC_OK) {
                assert_true(hello.connection > w->connection[peer % BROKERS]);
                w->connection[peer % BROKERS] = hello.connection;
                if (pick(w, 4) > 0 && peer < BROKERS) {
                    script_welcome(w->d, peer, hello.connection, (int)pick(w, 3) - 1);
                }
            }
        }
        wire_writer_destroy(&copy);
    }
}

static void collect(world_t *w)
{
    for (call_t *call = session_next_done(w->d->session); call;
         call = session_next_done(w->d->session)) {
        fate_t *fate = &w->fates[call->sequence];
        fabric_error_class_t class = fabric_error_class(call->error);
        assert_false(fate->ended);
        assert_true(w->d->now_ms <= fate->deadline_ms);
        if (class == FABRIC_CLASS_RETRY) { /* it claims that no broker has taken it */
            assert_false(fate->accepted);
        }
        fate->ended = true;
        call_destroy(&call);
    }
}

static void step(world_t *w)
{
    static const uint8_t garbage[] = {0x93, 0x01, 0x00, 0x00, 0xc4, 0x04, 0x97, 0x12, 0xff, 0xc1};
    session_action_t action;
    size_t peer = (size_t)pick(w, BROKERS);
    uint64_t what = pick(w, 20);
    if (what < 10) {
        bool durable = pick(w, 2);
        fate_t *fate = &w->fates[++w->calls];
        *fate = (fate_t){.durable = durable, .deadline_ms = w->d->now_ms + TIMEOUT_MS};
        char *id[] = {"a", "b", "c"};
        assert_int_equal(
            script_call(w->d, id[pick(w, 3)], durable ? REQUEST_DURABLE : 0, TIMEOUT_MS), w->calls);
    } else if (what < 12) {
        session_connected(w->d->session, peer, w->d->now_ms);
    } else if (what < 13) {
        session_disconnected(w->d->session, peer, w->d->now_ms);
    } else if (what < 14) {
        script_map(w->d, peer, 1, ++w->map_sequence, (int)pick(w, 3) - 1, pick(w, 8) > 0);
    } else if (what < 15) {
        session_receive(w->d->session, peer, fabric_bytes(garbage, pick(w, sizeof garbage + 1)),
                        w->d->now_ms);
    } else if (what < 16) {
        script_who(w->d, peer);
    } else {
        uint64_t due_ms = session_next_deadline(w->d->session);
        uint64_t ms = 1 + pick(w, 30);
        script_advance(
            w->d, due_ms > w->d->now_ms && due_ms - w->d->now_ms < ms ? due_ms - w->d->now_ms : 1);
    }
    while (session_next_action(w->d->session, &action)) {
    }
    pull(w);
    collect(w);
}

static void test_seeds(void **state)
{
    (void)state;
    world_t *w = (world_t *)calloc(1, sizeof *w);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        *w = (world_t){.random = seed, .d = session_driver_new(), .map_sequence = 1};
        print_message("seed %u\n", (unsigned)seed);
        for (int i = 0; i < STEPS; i++) {
            step(w);
        }
        for (int i = 0; i < TIMEOUT_MS + 1; i++) {
            script_advance(w->d, 1);
            pull(w);
            collect(w);
        }
        for (uint64_t i = 1; i <= w->calls; i++) {
            assert_true(w->fates[i].ended);
        }
        assert_int_equal(session_open_calls(w->d->session), 0);
        assert_int_equal(session_settled(w->d->session), w->calls + 1);
        session_driver_destroy(&w->d);
    }
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
