/* Reading and following the events of an entity by the client library with its real thread and
 * sockets, against a fake broker. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include <fabric/client.h>

#include "tests/harness/fake_broker.h"

typedef struct fixture {
    fake_broker_t *broker;
    fabric_client_t *client;
} fixture_t;

static int setup(void **state)
{
    fixture_t *f = (fixture_t *)calloc(1, sizeof *f);
    f->broker = fake_broker_start();
    *state = f;
    return (int)fabric_client_open(fake_broker_endpoint(f->broker), NULL, &f->client, NULL);
}

static int teardown(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    fabric_client_close(&f->client);
    fake_broker_destroy(&f->broker);
    free(f);
    return 0;
}

static const uint64_t sequences[FAKE_EVENTS] = {1, 2, 4, 5, 6};

static void expect_event(const fabric_entity_event_t *event, size_t index)
{
    assert_true(event->sequence == sequences[index]);
    assert_true(fabric_bytes_equal(event->tag, fabric_bytes_of("Added")));
    assert_int_equal(event->version, 2);
    assert_true(event->recorded_ms == (int64_t)(1700000000000 + index));
    assert_true(event->request_id == 4096 + index);
    assert_int_equal(event->payload.size, 2);
    assert_int_equal(event->payload.data[1], sequences[index]);
}

/* ---- parts ---- */

static void read_behind(fabric_client_t *client, uint64_t after, uint32_t limit,
                        fabric_entity_events_t *events)
{
    fabric_outcome_t outcome;
    assert_int_equal(fabric_client_read_events(client, fabric_entity("Counter", "a"), after, limit,
                                               0, 0, events, &outcome),
                     FABRIC_OK);
}

static void parts_follow_each_other(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    size_t index = 0;
    uint64_t after = 0;
    for (bool more = true; more;) {
        fabric_entity_events_t events;
        read_behind(f->client, after, 0, &events);
        for (size_t i = 0; i < events.count; i++) {
            expect_event(&events.events[i], index++);
        }
        assert_true(events.last == sequences[index - 1]);
        after = events.last;
        more = events.more;
        fabric_entity_events_free(&events);
        assert_null(events.events);
    }
    assert_int_equal(index, FAKE_EVENTS);
}

static void a_limit_ends_a_part(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    fabric_entity_events_t events;
    read_behind(f->client, 1, 1, &events);
    assert_int_equal(events.count, 1);
    expect_event(&events.events[0], 1);
    assert_true(events.more);
    fabric_entity_events_free(&events);
}

static void behind_the_last_event_there_is_none(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    fabric_entity_events_t events;
    read_behind(f->client, 6, 0, &events);
    assert_int_equal(events.count, 0);
    assert_null(events.events);
    assert_false(events.more);
    assert_true(events.last == 6);
    fabric_entity_events_free(&events);
}

static void what_cannot_be_read_is_an_error(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    fabric_entity_events_t events;
    fabric_outcome_t outcome;
    assert_int_equal(fabric_client_read_events(f->client, fabric_entity("Counter", "broken"), 0, 0,
                                               0, 0, &events, &outcome),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(outcome.error, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(events.count, 0);
    assert_null(events.document);
    assert_int_equal(fabric_client_read_events(f->client, fabric_entity("Counter", ""), 0, 0, 0, 0,
                                               &events, NULL),
                     FABRIC_ERROR_LIMIT_EXCEEDED);
    assert_null(events.document);
}

/* ---- following ---- */

typedef struct follower {
    fixture_t *f;
    size_t count;
    size_t until;    /* so many events are wanted */
    size_t break_at; /* the broker dies when so many have come */
    bool idle;       /* none came for a while */
} follower_t;

static bool take(void *context, const fabric_entity_event_t *event)
{
    follower_t *follower = context;
    if (!event) {
        follower->idle = true;
        return false;
    }
    expect_event(event, follower->count++);
    if (follower->count == follower->break_at) {
        fake_broker_kill(follower->f->broker);
        fake_broker_revive(follower->f->broker);
    }
    return follower->count != follower->until;
}

static void a_follower_is_given_each_event_once(void **state)
{
    follower_t follower = {.f = (fixture_t *)*state};
    assert_int_equal(fabric_client_follow_events(follower.f->client, fabric_entity("Counter", "a"),
                                                 0, 0, take, &follower, NULL),
                     FABRIC_OK);
    assert_int_equal(follower.count, FAKE_EVENTS);
    assert_true(follower.idle);
}

static void a_follower_ends_when_it_wants_no_more(void **state)
{
    follower_t follower = {.f = (fixture_t *)*state, .until = 3};
    assert_int_equal(fabric_client_follow_events(follower.f->client, fabric_entity("Counter", "a"),
                                                 0, 0, take, &follower, NULL),
                     FABRIC_OK);
    assert_int_equal(follower.count, 3);
    assert_false(follower.idle);
}

static void a_follower_goes_on_after_a_break(void **state)
{
    for (size_t at = 1; at < FAKE_EVENTS; at++) {
        follower_t follower = {.f = (fixture_t *)*state, .break_at = at};
        assert_int_equal(fabric_client_follow_events(follower.f->client,
                                                     fabric_entity("Counter", "a"), 0, 30000, take,
                                                     &follower, NULL),
                         FABRIC_OK);
        assert_int_equal(follower.count, FAKE_EVENTS);
    }
}

static void a_follower_hears_that_nobody_answers(void **state)
{
    follower_t follower = {.f = (fixture_t *)*state};
    fabric_outcome_t outcome;
    fake_broker_kill(follower.f->broker);
    fabric_error_t error = fabric_client_follow_events(
        follower.f->client, fabric_entity("Counter", "a"), 0, 50, take, &follower, &outcome);
    assert_true(error == FABRIC_ERROR_NOT_CONNECTED || error == FABRIC_ERROR_TIMEOUT);
    assert_int_equal(outcome.error, error);
    assert_int_equal(follower.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(parts_follow_each_other),
        TEST(a_limit_ends_a_part),
        TEST(behind_the_last_event_there_is_none),
        TEST(what_cannot_be_read_is_an_error),
        TEST(a_follower_is_given_each_event_once),
        TEST(a_follower_ends_when_it_wants_no_more),
        TEST(a_follower_goes_on_after_a_break),
        TEST(a_follower_hears_that_nobody_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
