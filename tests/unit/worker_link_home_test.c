/* The worker's link: results are kept until their home has settled them, and what this worker owns
 * outlives a home that gives way to another one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/link_driver.h"

/* Two brokers, of which the first one is home of the shard under token (1, 1). */
static uint64_t begin(link_driver_t *d)
{
    assert_int_equal(link_add_endpoint(d->link, "tcp://127.0.0.1:2"), FABRIC_OK);
    talk_expect_socket(d, 1, LINK_SOCKET_OPEN);
    talk_own(d);
    uint64_t connection = d->connection;
    talk_join(d, 1, 2);
    return connection;
}

static void put_result(link_driver_t *d, uint64_t connection, uint64_t request_id, size_t size)
{
    work_output_t *output = work_output_new(OUTPUT_RESULTS, (work_source_t){0, connection});
    uint8_t *payload = calloc(1, size + 1);
    assert_non_null(payload);
    message_result_t result = {.shard = LINK_DRIVER_SHARD,
                               .home_epoch = 1,
                               .owner_sequence = 1,
                               .request_id = request_id,
                               .payload = fabric_bytes(payload, size)};
    message_put_result(&output->results, &result);
    output->count = output->durable = 1;
    link_output(d->link, &output);
    free(payload);
}

/* Returns how many frames were sent on a connection on which nothing was but what the worker says
 * of its health. */
static uint64_t send_all(link_driver_t *d)
{
    uint64_t frames = 1;
    while (link_next_frame(d->link, 0, &d->frame)) {
        frames++;
    }
    return frames;
}

static void confirm(link_driver_t *d, uint64_t connection)
{
    work_output_t *output = work_output_new(OUTPUT_ORPHANED, (work_source_t){0, connection});
    output->shard = (shard_id_t){LINK_DRIVER_SHARD};
    output->token = (token_t){1, 1};
    link_output(d->link, &output);
}

static void assign(link_driver_t *d, uint64_t epoch, bool continued)
{
    talk_say(d, 1, assign, .shard = LINK_DRIVER_SHARD, .home_epoch = epoch, .owner_sequence = 7,
             .type = fabric_bytes_of("T"), .continued = continued);
}

static void expect_kept(link_driver_t *d, const uint64_t *requests, size_t count)
{
    work_t *work = link_next_work(d->link);
    assert_non_null(work);
    assert_int_equal(work->kind, WORK_KEPT);
    assert_int_equal(work->token.owner_sequence, 7);
    wire_reader_t reader = wire_reader(wire_writer_bytes(&work->kept));
    wire_reader_t body;
    message_kind_t kind;
    message_result_t result;
    for (size_t i = 0; i < count; i++) {
        assert_true(frame_next(&reader, &body));
        assert_int_equal(message_open(&body, &kind), FABRIC_OK);
        assert_int_equal(message_get_result(&body, &result), FABRIC_OK);
        assert_int_equal(result.request_id, requests[i]);
    }
    assert_false(frame_next(&reader, &body));
    work_destroy(&work);
    assert_null(link_next_work(d->link));
}

static void results_outlive_their_home(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    uint64_t connection = begin(d);
    put_result(d, connection, 10, 0);
    send_all(d);
    put_result(d, connection, 11, 0); /* waits to be sent */
    link_disconnected(d->link, 0, d->now_ms);
    talk_expect_work(d, WORK_ORPHAN, 1);
    assert_int_equal(link_shards(d->link), 0);
    put_result(d, connection, 12, 0); /* was on its way from the executor */
    assign(d, 2, true);
    work_t *work = link_next_work(d->link);
    assert_int_equal(work->kind, WORK_RESUME);
    assert_int_equal(work->former.home_epoch, 1);
    assert_int_equal(work->former.owner_sequence, 1);
    assert_int_equal(work->source.endpoint, 1);
    work_destroy(&work);
    assert_int_equal(link_shards(d->link), 1);
    assert_null(link_next_work(d->link)); /* more may come */
    put_result(d, connection, 13, 0);
    confirm(d, connection);
    expect_kept(d, (uint64_t[]){10, 11, 12, 13}, 4);
    put_result(d, connection, 14, 0); /* nobody's */
    assert_int_equal(link_dropped(d->link), 1);
}

static void settled_results_are_not_kept(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    uint64_t connection = begin(d);
    put_result(d, connection, 10, 0);
    uint64_t frames = send_all(d);
    put_result(d, connection, 11, 0);
    send_all(d);
    talk_say(d, 0, settled, .frames = frames);
    link_disconnected(d->link, 0, d->now_ms);
    confirm(d, connection);
    talk_expect_work(d, WORK_ORPHAN, 1);
    assign(d, 2, true);
    talk_expect_work(d, WORK_RESUME, 7);
    expect_kept(d, (uint64_t[]){11}, 1);
}

static void more_than_was_sent_is_not_settled(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    begin(d);
    talk_say(d, 0, settled, .frames = send_all(d) + 1);
    assert_true(talk_has_event(d, LINK_EVENT_MALFORMED, FABRIC_ERROR_INVALID_ARGUMENT));
}

/* What a home says of its lanes after it has given one up is not about that one. */
static void a_lane_that_is_given_up(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    uint64_t connection = begin(d);
    put_result(d, connection, 10, 0);
    uint64_t frames = send_all(d);
    talk_say(d, 0, release, .shard = LINK_DRIVER_SHARD, .home_epoch = 1, .owner_sequence = 1,
             .moved = 1);
    talk_expect_work(d, WORK_ORPHAN, 1);
    talk_say(d, 0, settled, .frames = frames);
    put_result(d, connection, 11, 0);
    confirm(d, connection);
    send_all(d); /* the former home does not mind */
    assign(d, 2, true);
    talk_expect_work(d, WORK_RESUME, 7);
    expect_kept(d, (uint64_t[]){10, 11}, 2);
    talk_expect_silence(d, 0); /* nothing is RELEASED */
}

static void a_home_that_is_deposed(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    uint64_t connection = begin(d);
    put_result(d, connection, 10, 0);
    send_all(d);
    assign(d, 2, true); /* this worker hears of the new home first */
    talk_expect_work(d, WORK_ORPHAN, 1);
    talk_expect_work(d, WORK_RESUME, 7);
    confirm(d, connection);
    expect_kept(d, (uint64_t[]){10}, 1);
    talk_say(d, 0, release, .shard = LINK_DRIVER_SHARD, .home_epoch = 1, .owner_sequence = 1,
             .moved = 1);
    link_disconnected(d->link, 0, d->now_ms);
    assert_null(link_next_work(d->link));
}

static void lose_home(link_driver_t *d)
{
    begin(d);
    link_disconnected(d->link, 0, d->now_ms);
    talk_expect_work(d, WORK_ORPHAN, 1);
}

static void expect_new_instance(link_driver_t *d)
{
    talk_expect_work(d, WORK_STOP, 1);
    talk_expect_work(d, WORK_BEGIN, 7);
    assert_null(link_next_work(d->link));
}

static void another_owner_in_between(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    lose_home(d);
    assign(d, 2, false);
    expect_new_instance(d);
}

static void another_home_in_between(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    lose_home(d);
    assign(d, 3, true);
    expect_new_instance(d);
}

/* It may have had another owner while this worker was not connected to it. */
static void the_same_home_again(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    lose_home(d);
    talk_join(d, 0, 1);
    talk_expect_work(d, WORK_STOP, 1);
    assign(d, 2, true);
    talk_expect_work(d, WORK_BEGIN, 7);
}

static void the_lease_is_over(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    lose_home(d);
    talk_pass(d, LINK_DRIVER_LEASE_MS - 1);
    assert_null(link_next_work(d->link));
    talk_say(d, 1, ping, .sequence = 1, .map_term = 1, .map_sequence = 1);
    talk_pass(d, 1);
    work_t *work = link_next_work(d->link);
    assert_int_equal(work->kind, WORK_STOP);
    assert_int_equal(work->deadline_ms, d->now_ms + LINK_DRIVER_GRACE_MS);
    work_destroy(&work);
    assign(d, 2, true);
    talk_expect_work(d, WORK_BEGIN, 7);
}

static void a_home_after_the_next_home(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    lose_home(d);
    assign(d, 2, true);
    talk_expect_work(d, WORK_RESUME, 7);
    link_disconnected(d->link, 1, d->now_ms); /* the results are not gathered yet */
    talk_expect_work(d, WORK_STOP, 7);
    assert_null(link_next_work(d->link));
}

static void a_worker_that_leaves(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    begin(d);
    link_leave(d->link, fabric_bytes_of("test"), d->now_ms);
    link_disconnected(d->link, 0, d->now_ms);
    talk_expect_work(d, WORK_STOP, 1);
}

static void what_is_kept_is_bounded(void **state)
{
    enum { LARGE = 1000000 };
    link_driver_t *d = (link_driver_t *)*state;
    uint64_t connection = begin(d);
    for (uint64_t bytes = 0; bytes < LIMIT_KEPT_RESULT_BYTES_MAX; bytes += LARGE) {
        assert_false(talk_has_event(d, LINK_EVENT_UNSETTLED, FABRIC_OK));
        put_result(d, connection, 10, LARGE);
        send_all(d);
    }
    assert_true(talk_has_event(d, LINK_EVENT_UNSETTLED, FABRIC_OK));
    put_result(d, connection, 10, LARGE);
    send_all(d);
    assert_false(talk_has_event(d, LINK_EVENT_UNSETTLED, FABRIC_OK)); /* once */
    link_disconnected(d->link, 0, d->now_ms);
    talk_expect_work(d, WORK_STOP, 1); /* not all results are there */
    talk_join(d, 0, 1);
    talk_assign(d, 0, 1, 2);
    talk_expect_work(d, WORK_BEGIN, 2);
    link_disconnected(d->link, 0, d->now_ms);
    talk_expect_work(d, WORK_ORPHAN, 2); /* all results of this connection are */
}

/* What comes with a state, with events, or with told messages, answers nothing
 * (docs/decisions/0037, 0041), and takes no room of what does. */
static void results_that_store_are_not_kept(void **state)
{
    enum { LARGE = 1000000, COUNT = 4 * LIMIT_KEPT_RESULT_BYTES_MAX / LARGE };
    link_driver_t *d = (link_driver_t *)*state;
    uint64_t connection = begin(d);
    uint8_t *large = calloc(1, LARGE);
    assert_non_null(large);
    uint64_t requests[COUNT];
    for (uint64_t i = 0; i < COUNT; i++) {
        work_output_t *output = work_output_new(OUTPUT_RESULTS, (work_source_t){0, connection});
        message_result_state_t with_state = {.shard = LINK_DRIVER_SHARD,
                                             .home_epoch = 1,
                                             .owner_sequence = 1,
                                             .request_id = 5,
                                             .state = fabric_bytes(large, LARGE)};
        message_result_events_t with_events = {.shard = LINK_DRIVER_SHARD,
                                               .home_epoch = 1,
                                               .owner_sequence = 1,
                                               .request_id = 5,
                                               .events = fabric_bytes(large, LARGE)};
        message_result_told_t with_told = {.shard = LINK_DRIVER_SHARD,
                                           .home_epoch = 1,
                                           .owner_sequence = 1,
                                           .request_id = 5,
                                           .count = 1,
                                           .told = fabric_bytes(large, LARGE)};
        if (i % 3 == 0) {
            message_put_result_state(&output->results, &with_state);
        } else if (i % 3 == 1) {
            message_put_result_events(&output->results, &with_events);
        } else {
            message_put_result_told(&output->results, &with_told);
        }
        message_result_t result = {.shard = LINK_DRIVER_SHARD,
                                   .home_epoch = 1,
                                   .owner_sequence = 1,
                                   .request_id = requests[i] = 10 + i};
        message_put_result(&output->results, &result);
        output->count = 2;
        output->states = output->durable = 1;
        link_output(d->link, &output);
        send_all(d);
    }
    free(large);
    assert_false(talk_has_event(d, LINK_EVENT_UNSETTLED, FABRIC_OK));
    link_disconnected(d->link, 0, d->now_ms);
    confirm(d, connection);
    talk_expect_work(d, WORK_ORPHAN, 1);
    assign(d, 2, true);
    talk_expect_work(d, WORK_RESUME, 7);
    expect_kept(d, requests, COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(results_outlive_their_home),
        LINK_TEST(settled_results_are_not_kept),
        LINK_TEST(more_than_was_sent_is_not_settled),
        LINK_TEST(a_lane_that_is_given_up),
        LINK_TEST(a_home_that_is_deposed),
        LINK_TEST(another_owner_in_between),
        LINK_TEST(another_home_in_between),
        LINK_TEST(the_same_home_again),
        LINK_TEST(the_lease_is_over),
        LINK_TEST(a_home_after_the_next_home),
        LINK_TEST(a_worker_that_leaves),
        LINK_TEST(what_is_kept_is_bounded),
        LINK_TEST(results_that_store_are_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
