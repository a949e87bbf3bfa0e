/* The worker's link: hello, refusals, which connection of a broker counts, bad bytes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/link_driver.h"

static void says_nothing_but_hello_before_welcome(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_expect_silence(d, 0);
    link_connected(d->link, 0, d->now_ms);
    talk_expect_hello(d, 0);
    talk_assign(d, 0, 1, 1); /* not before the welcome */
    talk_deliver(d, 1, 5);
    talk_pass(d, 200);
    talk_expect_silence(d, 0);
    assert_null(link_next_work(d->link));
    talk_welcome(d, 0, 1, 1, d->connection + 1); /* answers no hello of ours */
    assert_false(talk_has_event(d, LINK_EVENT_WELCOMED, FABRIC_OK));
    talk_welcome(d, 0, 1, 1, d->connection);
    assert_true(talk_has_event(d, LINK_EVENT_WELCOMED, FABRIC_OK));
}

static void unanswered_hello_is_said_again(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    link_connected(d->link, 0, d->now_ms);
    talk_expect_hello(d, 0);
    for (int i = 0; i < 4; i++) {
        talk_pass_to_deadline(d);
        talk_expect_hello(d, 0);
        talk_has_event(d, LINK_EVENT_ABSENT, FABRIC_ERROR_NOT_CONNECTED);
    }
    talk_pass_to_deadline(d);
    talk_expect_socket(d, 0, LINK_SOCKET_REOPEN);
}

static void absence_is_said_once(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    link_event_t event;
    talk_pass_to_deadline(d);
    assert_true(link_next_event(d->link, &event));
    assert_int_equal(event.kind, LINK_EVENT_ABSENT);
    talk_pass(d, 100000);
    assert_false(link_next_event(d->link, &event));
}

static void who_means_hello_again(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_own(d);
    talk_say(d, 0, who, .protocol = 1);
    talk_expect_work(d, WORK_ORPHAN, 1);
    talk_expect_hello(d, 0);
    talk_say(d, 0, who, .protocol = 1); /* one answer is enough */
    talk_expect_silence(d, 0);
}

/* libzmq connects the socket again by itself: the link opens a fresh socket only after a while. */
static void a_connection_that_was_greeted_anew_is_given_time_to_reconnect(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_join(d, 0, 1);
    talk_say(d, 0, who, .protocol = 1);
    talk_expect_hello(d, 0);
    talk_welcome(d, 0, 1, 1, d->connection);
    for (int i = 0; i < 5; i++) {
        talk_pass(d, 1000);
        talk_ping(d, 1, 1);
    }
    link_disconnected(d->link, 0, d->now_ms);
    talk_pass(d, 0);
    talk_expect_no_socket(d);
}

static void refusals(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    link_event_t event;
    link_connected(d->link, 0, d->now_ms);
    talk_expect_hello(d, 0);
    talk_say(d, 0, refused, .error = FABRIC_ERROR_BUSY, .text = fabric_bytes_of("later"));
    assert_true(link_next_event(d->link, &event));
    assert_false(event.final);
    talk_pass_to_deadline(d);
    talk_expect_hello(d, 0);
    talk_say(d, 0, refused, .error = FABRIC_ERROR_TYPE_CONFLICT, .text = fabric_bytes_of("group"));
    while (link_next_event(d->link, &event) && event.error != FABRIC_ERROR_TYPE_CONFLICT) {
    }
    assert_true(event.final);
    assert_string_equal(event.text, "group");
    talk_pass(d, 100000);
    talk_expect_silence(d, 0);
}

/* A byte that changed on the way can make any refusal of a good hello. */
static void a_worker_that_was_welcome_asks_again(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_join(d, 0, 1);
    talk_say(d, 0, who, .protocol = 1);
    talk_expect_hello(d, 0);
    talk_say(d, 0, refused, .error = FABRIC_ERROR_FOREIGN_CLUSTER, .text = fabric_bytes_of("no"));
    talk_pass(d, 1000);
    talk_expect_hello(d, 0);
}

/* libzmq gives a connection up for good after bytes that are no ZMTP. */
static void sockets_that_do_not_connect_are_opened_anew(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_join(d, 0, 1);
    link_disconnected(d->link, 0, d->now_ms);
    assert_int_equal(link_next_deadline(d->link), d->now_ms + 4000);
    talk_expect_no_socket(d);
    talk_pass(d, 4000);
    talk_expect_socket(d, 0, LINK_SOCKET_REOPEN);
}

static void test_ie_18_foreign_cluster_is_refused(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_join(d, 0, 1);
    link_disconnected(d->link, 0, d->now_ms);
    link_connected(d->link, 0, d->now_ms);
    talk_expect_hello(d, 0);
    talk_welcome(d, 0, 1, 2, d->connection); /* another cluster on the same address */
    assert_true(talk_has_event(d, LINK_EVENT_REFUSED, FABRIC_ERROR_FOREIGN_CLUSTER));
}

static void second_way_to_one_broker_is_closed(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    assert_int_equal(link_add_endpoint(d->link, "tcp://localhost:1"), FABRIC_OK);
    talk_expect_socket(d, 1, LINK_SOCKET_OPEN);
    talk_join(d, 0, 1);
    talk_join(d, 1, 1);
    talk_expect_socket(d, 0, LINK_SOCKET_CLOSE);
}

/* The link goes on whatever bytes a broker sends, and a malformed message does not hurt the
 * messages beside it. */
static void malformed_frames(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_own(d);
    wire_writer_t frame = {0};
    frame_head_t head = {.version = LIMIT_PROTOCOL_VERSION};
    frame_begin(&frame, &head);
    wire_put_bin(&frame, fabric_bytes_of("junk"));
    message_deliver_t delivery = {.shard = LINK_DRIVER_SHARD,
                                  .home_epoch = 1,
                                  .owner_sequence = 1,
                                  .request_id = 50,
                                  .type = fabric_bytes_of("T"),
                                  .id = fabric_bytes_of("i"),
                                  .tag = fabric_bytes_of("M"),
                                  .payload = fabric_bytes_of("payload")};
    message_put_deliver(&frame, &delivery);
    delivery.id = (fabric_bytes_t){0};
    message_put_deliver(&frame, &delivery);
    talk_receive(d, 0, wire_writer_bytes(&frame));
    talk_expect_work(d, WORK_DELIVERIES, 0);
    assert_null(link_next_work(d->link));
    talk_expect(d, 0, KIND_RESULT); /* the one without an id is not taken */
    talk_expect_silence(d, 0);
    for (size_t size = 0; size < frame.size; size++) { /* each cut */
        talk_receive(d, 0, fabric_bytes(frame.data, size));
        link_connected(d->link, 0, d->now_ms);
    }
    wire_writer_destroy(&frame);
    while (link_next_frame(d->link, 0, &d->frame)) {
    }
    for (work_t *work; (work = link_next_work(d->link));) {
        work_destroy(&work);
    }
}

/* A delivery may have been lost with the frame, and the broker would wait for its result as long as
 * the connection lasts. */
static void expect_end_by(link_driver_t *d, fabric_bytes_t bytes)
{
    talk_own(d);
    talk_receive(d, 0, bytes);
    assert_true(talk_has_event(d, LINK_EVENT_MALFORMED, FABRIC_ERROR_MALFORMED_MESSAGE));
    talk_expect_socket(d, 0, LINK_SOCKET_CLOSE);
    assert_int_equal(link_shards(d->link), 0);
    talk_expect_work(d, WORK_ORPHAN, 1);
    talk_pass_to_deadline(d);
    talk_expect_work(d, WORK_STOP, 1);
    talk_pass_to_deadline(d);
    talk_expect_socket(d, 0, LINK_SOCKET_REOPEN);
}

static void what_is_no_frame_ends_the_connection(void **state)
{
    expect_end_by((link_driver_t *)*state, fabric_bytes_of("GET / HTTP/1.0\r\n\r\n"));
}

static void a_frame_that_cannot_be_read_to_its_end_ends_the_connection(void **state)
{
    wire_writer_t frame = {0};
    frame_begin(&frame, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION});
    wire_put_uint(&frame, 7); /* where a bin should begin */
    expect_end_by((link_driver_t *)*state, wire_writer_bytes(&frame));
    wire_writer_destroy(&frame);
}

/* Frames for a broker that does not read: messages of the link itself, and results. */
static void frames_end_at_the_goal(void **state)
{
    enum { COUNT = 20000, LONG = 1000, PAYLOAD = 64 << 10 };
    static uint8_t payload[PAYLOAD];
    link_driver_t *d = (link_driver_t *)*state;
    talk_join(d, 0, 1);
    for (uint64_t i = 1; i <= COUNT; i++) {
        talk_deliver(d, 1, i); /* of a token that is not held */
    }
    for (uint64_t i = 1; i <= LONG; i++) {
        work_output_t *output = work_output_new(OUTPUT_RESULTS, (work_source_t){0, d->connection});
        message_result_t result = {.request_id = i, .payload = fabric_bytes(payload, PAYLOAD)};
        message_put_result(&output->results, &result);
        link_output(d->link, &output);
    }
    size_t total = 0;
    wire_writer_t frame = {0};
    while (link_next_frame(d->link, 0, &frame)) {
        assert_true(frame.size <= LIMIT_FRAME_BYTES_GOAL + 1024);
        total += frame.size;
    }
    wire_writer_destroy(&frame);
    assert_true(total > (size_t)LONG * PAYLOAD + COUNT * 20);
}

static void what_is_dropped_is_counted(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_own(d);
    uint64_t before = link_dropped(d->link);
    talk_say(d, 0, pong, .sequence = 1);
    talk_assign(d, 0, 1, 1);                     /* said again */
    talk_welcome(d, 0, 1, 1, d->connection);     /* of a hello that was answered */
    talk_receive(d, 0, fabric_bytes_of("junk")); /* ends the connection */
    talk_receive(d, 0, fabric_bytes_of("junk"));
    assert_int_equal(link_dropped(d->link), before + 5);
    talk_result(d, d->connection, 77); /* of a connection that is gone */
    talk_say(d, 0, pong, .sequence = 2);
    assert_int_equal(link_dropped(d->link), before + 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(says_nothing_but_hello_before_welcome),
        LINK_TEST(unanswered_hello_is_said_again),
        LINK_TEST(absence_is_said_once),
        LINK_TEST(who_means_hello_again),
        LINK_TEST(a_connection_that_was_greeted_anew_is_given_time_to_reconnect),
        LINK_TEST(refusals),
        LINK_TEST(a_worker_that_was_welcome_asks_again),
        LINK_TEST(sockets_that_do_not_connect_are_opened_anew),
        LINK_TEST(test_ie_18_foreign_cluster_is_refused),
        LINK_TEST(second_way_to_one_broker_is_closed),
        LINK_TEST(malformed_frames),
        LINK_TEST(what_is_no_frame_ends_the_connection),
        LINK_TEST(a_frame_that_cannot_be_read_to_its_end_ends_the_connection),
        LINK_TEST(frames_end_at_the_goal),
        LINK_TEST(what_is_dropped_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
