/* The client session under seeded random brokers. They answer, refuse, are full, redirect, fall
 * silent, block, break, move homes and send garbage. Whatever they do, each call ends once and by
 * its deadline, a volatile call is sent again only after a refusal, an outcome that excludes
 * acceptance is right, and the session's inside stays consistent. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "tests/unit/session_check.h"
#include "tests/unit/session_driver.h"

enum {
    SEEDS = 150,
    STEPS = 600,
    CALLS_MAX = 16000,
    TIMEOUT_MS = 400,
    TIMEOUT_LONG_MS = 3000,
    BURST = 300,
    IDS = 6,
    BROKERS = 2,
    PENDING_MAX = 10000,
    AT_ONCE_MAX = 20 /* how often the session may ask for a tick at the same time */
};

/* The answer that a broker gives most often, for a while. */
typedef enum mood { MIXED, GOOD, FULL, MAILBOXES_FULL, SILENT, MOODS } mood_t;

typedef struct fate {
    bool durable;
    bool ended;
    bool in_doubt; /* a send that was neither refused nor answered */
    bool accepted; /* by a broker of this test */
    uint8_t id;
    uint8_t type;
    uint64_t deadline_ms;
} fate_t;

typedef struct world {
    session_driver_t *d;
    uint64_t random;
    bool connected[BROKERS];
    uint64_t connection[BROKERS]; /* of the last hello */
    mood_t mood;
    uint64_t map_sequence;
    uint64_t calls; /* sequences 1..calls */
    fate_t fates[CALLS_MAX + 1];
} world_t;

static uint64_t pick(world_t *w, uint64_t bound)
{
    w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (w->random >> 33) % bound;
}

static int pick_home(world_t *w)
{
    return pick(w, 8) > 0 ? (int)pick(w, BROKERS) : -1;
}

static void refuse(world_t *w, size_t peer, uint64_t sequence, fabric_error_t error)
{
    uint64_t hint_ms = pick(w, 200) > 0 ? pick(w, 20) : UINT64_MAX - pick(w, 2 * w->d->now_ms);
    script_reject(w->d, peer, sequence, error, hint_ms);
}

static void answer_mixed(world_t *w, size_t peer, const message_request_t *request)
{
    static const fabric_error_t refusals[] = {
        FABRIC_ERROR_BUSY, FABRIC_ERROR_MAILBOX_FULL, FABRIC_ERROR_NOT_HOME,
        FABRIC_ERROR_PREDECESSOR_MISSING, FABRIC_ERROR_RUNNER_UNAVAILABLE};
    fate_t *fate = &w->fates[request->sequence];
    uint64_t what = pick(w, 10);
    if (what < 5) {
        fate->in_doubt = fate->accepted = true;
        script_reply(w->d, peer, request->sequence, request->sequence);
    } else if (what < 7) {
        refuse(w, peer, request->sequence, refusals[pick(w, 5)]);
    } else if (what < 8) {
        script_redirect(w->d, peer, request->sequence, script_endpoint(pick(w, 3)));
    } else if (what < 9) {
        fate->in_doubt = fate->accepted = true; /* taken, but the answer is lost */
        if (pick(w, 2) > 0) {
            script_accepted(w->d, peer, request->sequence, request->sequence);
        }
    } else if (!(request->flags & REQUEST_RESEND)) {
        fate->in_doubt = true;
    }
}

static void answer(world_t *w, size_t peer, const message_request_t *request)
{
    fate_t *fate = &w->fates[request->sequence];
    if (!fate->durable) {
        assert_false(fate->in_doubt); /* at most once */
    }
    assert_true(request->predecessor < request->sequence);
    bool known = request->predecessor == 0 || w->fates[request->predecessor].accepted;
    mood_t mood = pick(w, 8) > 0 ? w->mood : MIXED;
    if (mood == SILENT) {
        fate->in_doubt = true;
    } else if (mood == MIXED) {
        answer_mixed(w, peer, request);
    } else if (!known) {
        refuse(w, peer, request->sequence, FABRIC_ERROR_PREDECESSOR_MISSING);
    } else if (mood == GOOD) {
        fate->in_doubt = fate->accepted = true;
        script_reply(w->d, peer, request->sequence, request->sequence);
    } else {
        refuse(w, peer, request->sequence,
               mood == FULL ? FABRIC_ERROR_BUSY : FABRIC_ERROR_MAILBOX_FULL);
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
        if (pick(w, 40) == 0) {
            session_frame_blocked(w->d->session, peer);
            continue;
        }
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
                    script_welcome(w->d, peer, hello.connection, pick_home(w));
                    w->connected[peer] = true;
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
        if (class == FABRIC_CLASS_RETRY) { /* the error says that no broker has taken it */
            assert_false(fate->accepted);
        }
        fate->ended = true;
        call_destroy(&call);
    }
}

static void submit(world_t *w, uint64_t sequence)
{
    static const char *const ids[IDS] = {"a", "b", "c", "d", "e", "f"};
    fate_t *fate = &w->fates[sequence];
    uint64_t timeout_ms = 1 + pick(w, pick(w, 4) > 0 ? TIMEOUT_MS : TIMEOUT_LONG_MS);
    call_t *call = call_new(0);
    fate->deadline_ms = w->d->now_ms + timeout_ms;
    fate->ended = false;
    call->sequence = sequence;
    call->keyed = sequence <= w->calls;
    call->type = fabric_bytes_of(fate->type > 0 ? "Counter" : "Unlisted");
    call->id = fabric_bytes_of(ids[fate->id]);
    call->tag = fabric_bytes_of("tag");
    call->flags = fate->durable ? REQUEST_DURABLE : 0;
    call->deadline_ms = fate->deadline_ms;
    w->calls = sequence > w->calls ? sequence : w->calls;
    session_submit(w->d->session, call, w->d->now_ms);
}

static void submit_new(world_t *w)
{
    if (w->calls < CALLS_MAX) {
        uint64_t sequence = w->calls + 1;
        w->fates[sequence] = (fate_t){
            .durable = pick(w, 4) > 0, .id = (uint8_t)pick(w, IDS), .type = (uint8_t)pick(w, 8)};
        submit(w, sequence);
    }
}

/* Settles a durable call that has ended, under its key. */
static void submit_former(world_t *w)
{
    uint64_t sequence = w->calls > 0 ? 1 + pick(w, w->calls) : 0;
    if (sequence > 0 && w->fates[sequence].ended && w->fates[sequence].durable) {
        submit(w, sequence);
    }
}

static void settle(world_t *w)
{
    session_action_t action;
    while (session_next_action(w->d->session, &action)) {
    }
    pull(w);
    collect(w);
    session_check(w->d->session);
}

/* Ticks the session as its shell does: not later than the session wants. */
static void advance(world_t *w, uint64_t ms)
{
    unsigned at_once = 0;
    for (uint64_t until_ms = w->d->now_ms + ms; w->d->now_ms < until_ms;) {
        uint64_t due_ms = session_next_deadline(w->d->session);
        uint64_t next_ms = due_ms < until_ms ? due_ms : until_ms;
        at_once = next_ms > w->d->now_ms ? 0 : at_once + 1;
        assert_true(at_once < AT_ONCE_MAX);
        script_advance(w->d, next_ms > w->d->now_ms ? next_ms - w->d->now_ms : 0);
        settle(w);
    }
}

static void step(world_t *w)
{
    static const uint8_t garbage[] = {0x93, 0x02, 0x00, 0x00, 0xc4, 0x04, 0x97, 0x12, 0xff, 0xc1};
    size_t peer = (size_t)pick(w, BROKERS);
    uint64_t what = pick(w, 40);
    if (what < 16) {
        submit_new(w);
    } else if (what < 18) {
        submit_former(w);
    } else if (what < 19) {
        for (uint64_t count = pick(w, pick(w, 4) > 0 ? 10 : BURST); count > 0; count--) {
            submit_new(w);
        }
    } else if (what < 22) {
        if (!w->connected[peer] || pick(w, 20) == 0) {
            session_connected(w->d->session, peer, w->d->now_ms);
        }
    } else if (what < 23) {
        if (pick(w, 4) == 0) {
            session_disconnected(w->d->session, peer, w->d->now_ms);
            w->connected[peer] = false;
        }
    } else if (what < 25) {
        script_map(w->d, peer, 1, ++w->map_sequence, pick_home(w), pick(w, 8) > 0);
    } else if (what < 26) {
        session_receive(w->d->session, peer, fabric_bytes(garbage, pick(w, sizeof garbage + 1)),
                        w->d->now_ms);
    } else if (what < 27) {
        if (pick(w, 4) == 0) {
            script_who(w->d, peer);
        }
    } else if (what < 29) {
        session_writable(w->d->session, peer);
    } else if (what < 30) {
        w->mood = (mood_t)pick(w, MOODS);
    } else {
        advance(w, 1 + pick(w, pick(w, 10) > 0 ? 30 : 300));
    }
    settle(w);
}

static void seeds(void **state)
{
    (void)state;
    world_t *w = (world_t *)calloc(1, sizeof *w);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        *w =
            (world_t){.random = seed, .d = session_driver_new_with(PENDING_MAX), .map_sequence = 1};
        print_message("seed %u\n", (unsigned)seed);
        for (int i = 0; i < STEPS; i++) {
            step(w);
        }
        advance(w, TIMEOUT_LONG_MS + 1);
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
        cmocka_unit_test(seeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
