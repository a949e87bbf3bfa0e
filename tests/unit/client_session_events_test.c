/* What the client session tells the log of, and how often. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/session_driver.h"

/* The next event is this one, about broker 0. */
static void expect_event(session_driver_t *d, fabric_log_level_t level, const char *code,
                         const char *words)
{
    session_event_t event;
    char text[SESSION_EVENT_TEXT_SIZE];
    assert_true(session_next_event(d->session, &event));
    snprintf(text, sizeof text, "%s: %s", script_endpoint(0), words);
    assert_string_equal(event.code, code);
    assert_string_equal(event.text, text);
    assert_int_equal(event.level, level);
}

static void expect_no_event(session_driver_t *d)
{
    session_event_t event;
    assert_false(session_next_event(d->session, &event));
}

static void expect_lost(session_driver_t *d, const char *why)
{
    expect_event(d, FABRIC_LOG_WARN, "client.disconnected", why);
    expect_no_event(d);
}

static void join(session_driver_t *d)
{
    script_join(d, 0, 0);
    expect_event(d, FABRIC_LOG_INFO, "client.welcomed", "welcomed to cluster: test");
    expect_no_event(d);
}

static void each_loss_has_its_reason(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    join(d);
    session_disconnected(d->session, 0, d->now_ms);
    expect_lost(d, "the connection broke");
    join(d);
    script_who(d, 0);
    expect_lost(d, "the broker does not know this connection");
    session_disconnected(d->session, 0, d->now_ms);
    join(d);
    script_bye(d, 0);
    expect_lost(d, "the broker has said goodbye");
    session_disconnected(d->session, 0, d->now_ms);
    expect_no_event(d);
    join(d);
    script_advance(d, 60000);
    expect_lost(d, "nothing was heard of the broker for too long");
}

/* A connection that no broker has welcomed is not worth a line when it breaks. */
static void attempts_are_silent(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    session_connected(d->session, 0, d->now_ms);
    session_disconnected(d->session, 0, d->now_ms);
    expect_no_event(d);
}

static void refuse(session_driver_t *d, fabric_error_t error, const char *text)
{
    message_refused_t refused = {.error = error, .text = fabric_bytes_of(text)};
    session_action_t action;
    while (session_next_action(d->session, &action)) {
    }
    script_connect(d, 0);
    script_frame(&d->out);
    message_put_refused(&d->out, &refused);
    script_deliver(d, 0);
    script_advance(d, 2000);
}

static void refusals_are_told_when_they_change(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    refuse(d, FABRIC_ERROR_BUSY, "as many peers as it may have");
    expect_event(d, FABRIC_LOG_WARN, "client.deferred", "Busy: as many peers as it may have");
    refuse(d, FABRIC_ERROR_BUSY, "as many peers as it may have");
    expect_no_event(d);
    refuse(d, FABRIC_ERROR_FOREIGN_CLUSTER, "this is\x1b[2J\ncluster other");
    expect_event(d, FABRIC_LOG_ERROR, "client.refused",
                 "ForeignCluster: this is\\x1b[2J\\x0acluster other");
    expect_no_event(d);
    session_cannot_connect(d->session, 0, "the name has no address");
    expect_event(d, FABRIC_LOG_WARN, "client.unresolved", "not connected: the name has no address");
    session_cannot_connect(d->session, 0, "the name has no address");
    expect_no_event(d);
}

static void send_malformed(session_driver_t *d, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        session_receive(d->session, 0, fabric_bytes("GET / HTTP/1.1", 14), d->now_ms);
    }
}

static void a_flood_is_told_in_part(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    join(d);
    send_malformed(d, 100);
    for (unsigned i = 0; i < 10; i++) {
        expect_event(d, FABRIC_LOG_WARN, "client.malformed", "MalformedMessage");
    }
    expect_no_event(d);
    d->now_ms += 1000;
    send_malformed(d, 1);
    expect_event(d, FABRIC_LOG_WARN, "client.malformed",
                 "MalformedMessage (90 more left out before)");
    expect_no_event(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(each_loss_has_its_reason),
        SESSION_TEST(attempts_are_silent),
        SESSION_TEST(refusals_are_told_when_they_change),
        SESSION_TEST(a_flood_is_told_in_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
