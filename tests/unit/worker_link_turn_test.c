/* The worker's link: deliveries that run alone, one after another, whichever homes they come from.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/link_driver.h"

enum { HOMES = 2 };

static uint64_t connections[HOMES];

/* A work that an executor has taken. */
typedef struct at_hand {
    work_source_t source;
    uint32_t round;
    message_result_t result;
} at_hand_t;

/* Each home has a shard of its own, which this worker owns under token (1, 1). */
static uint64_t shard_of(uint32_t home)
{
    return LINK_DRIVER_SHARD + home;
}

static void join(link_driver_t *d, uint32_t home, uint64_t owner_sequence)
{
    talk_join(d, home, (uint8_t)(home + 1));
    connections[home] = d->connection;
    talk_say(d, home, assign, .shard = shard_of(home), .home_epoch = 1,
             .owner_sequence = owner_sequence, .type = fabric_bytes_of("T"));
    if (owner_sequence > 1) {
        talk_expect_work(d, WORK_STOP, 1);
    }
    work_t *work = link_next_work(d->link);
    assert_int_equal(work->kind, WORK_BEGIN);
    work_destroy(&work);
}

static void join_homes(link_driver_t *d)
{
    assert_int_equal(link_add_endpoint(d->link, "tcp://127.0.0.1:2"), FABRIC_OK);
    talk_expect_socket(d, 1, LINK_SOCKET_OPEN);
    for (uint32_t home = 0; home < HOMES; home++) {
        join(d, home, 1);
    }
}

static void deliver(link_driver_t *d, uint32_t home, uint64_t request_id, uint64_t flags)
{
    talk_say(d, home, deliver, .shard = shard_of(home), .home_epoch = 1, .owner_sequence = 1,
             .activation = 1, .request_id = request_id, .delivery = 1, .attempt = 1,
             .flags = REQUEST_DURABLE | flags, .type = fabric_bytes_of("T"),
             .id = fabric_bytes_of("i"), .tag = fabric_bytes_of("M"));
    talk_pass(d, 0);
}

/* An executor gets this delivery. */
static at_hand_t take(link_driver_t *d, uint64_t request_id)
{
    work_t *work = link_next_work(d->link);
    assert_non_null(work);
    assert_int_equal(work->kind, WORK_DELIVERIES);
    assert_int_equal(work->count, 1);
    assert_int_equal(work->deliveries[0].request_id, request_id);
    assert_int_equal(work->deliveries[0].flags, REQUEST_DURABLE);
    at_hand_t at_hand = {
        work->source, work->round, {.shard = work->deliveries[0].shard, .request_id = request_id}};
    work_destroy(&work);
    return at_hand;
}

static void expect_no_work(link_driver_t *d)
{
    assert_null(link_next_work(d->link));
}

/* The executor puts out the end of the delivery. */
static void finish(link_driver_t *d, const at_hand_t *at_hand)
{
    work_output_t *output = work_output_new(OUTPUT_RESULTS, at_hand->source);
    output->round = at_hand->round;
    output->count = 1;
    message_put_result(&output->results, &at_hand->result);
    link_output(d->link, &output);
    talk_pass(d, 0);
}

/* The same, and the home gets the result. */
static void answer(link_driver_t *d, const at_hand_t *at_hand)
{
    finish(d, at_hand);
    talk_expect(d, at_hand->source.endpoint, KIND_RESULT);
}

static void expect_ready(link_driver_t *d, uint32_t home, uint64_t request_id)
{
    message_alone_ready_t ready;
    talk_expect(d, home, KIND_ALONE_READY);
    assert_int_equal(message_get_alone_ready(&d->body, &ready), FABRIC_OK);
    assert_int_equal(ready.shard, shard_of(home));
    assert_int_equal(ready.home_epoch, 1);
    assert_int_equal(ready.owner_sequence, 1);
    assert_int_equal(ready.request_id, request_id);
}

static void expect_silence(link_driver_t *d)
{
    for (uint32_t home = 0; home < HOMES; home++) {
        talk_expect_silence(d, home);
    }
}

static void go(link_driver_t *d, uint32_t home, uint64_t request_id)
{
    talk_say(d, home, alone_go, .shard = shard_of(home), .home_epoch = 1, .owner_sequence = 1,
             .request_id = request_id);
    talk_pass(d, 0);
}

static void over(link_driver_t *d, uint32_t home, uint64_t request_id)
{
    talk_say(d, home, alone_over, .shard = shard_of(home), .home_epoch = 1, .owner_sequence = 1,
             .request_id = request_id);
    talk_pass(d, 0);
}

/* The delivery has its turn, from ALONE_READY to ALONE_OVER, and nothing else runs meanwhile. */
static void run_alone(link_driver_t *d, uint32_t home, uint64_t request_id)
{
    expect_ready(d, home, request_id);
    expect_no_work(d);
    go(d, home, request_id);
    at_hand_t at_hand = take(d, request_id);
    expect_no_work(d);
    answer(d, &at_hand);
    expect_no_work(d);
    expect_silence(d);
    over(d, home, request_id);
}

/* Time passes, and the homes are heard meanwhile. */
static void pass(link_driver_t *d, uint64_t ms)
{
    while (ms > 0) {
        uint64_t step_ms = ms < 100 ? ms : 100;
        talk_say(d, 0, ping, .sequence = 1, .map_term = 1, .map_sequence = 1);
        talk_say(d, 1, ping, .sequence = 1, .map_term = 1, .map_sequence = 1);
        talk_pass(d, step_ms);
        ms -= step_ms;
    }
}

static void expect_not_taken(link_driver_t *d, uint32_t home, uint64_t request_id)
{
    message_result_t result;
    talk_expect(d, home, KIND_RESULT);
    assert_int_equal(message_get_result(&d->body, &result), FABRIC_OK);
    assert_int_equal(result.request_id, request_id);
    assert_int_equal(result.status, STATUS_NOT_TAKEN);
}

/* ---- turns ---- */

static void nothing_else_is_at_hand(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    join_homes(d);
    deliver(d, 0, 10, 0);
    deliver(d, 1, 20, 0);
    at_hand_t before = take(d, 10);
    at_hand_t other = take(d, 20);
    deliver(d, 0, 11, DELIVER_ALONE);
    deliver(d, 0, 12, 0);
    deliver(d, 1, 21, 0);
    expect_no_work(d);
    expect_silence(d);
    answer(d, &before);
    expect_silence(d);
    answer(d, &other);
    run_alone(d, 0, 11);
    take(d, 12);
    take(d, 21);
    expect_no_work(d);
    deliver(d, 1, 22, 0); /* nothing is held any more */
    take(d, 22);
}

static void homes_take_turns(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    join_homes(d);
    deliver(d, 0, 11, DELIVER_ALONE);
    deliver(d, 1, 21, DELIVER_ALONE);
    deliver(d, 0, 12, DELIVER_ALONE);
    deliver(d, 1, 22, 0);
    run_alone(d, 0, 11);
    at_hand_t held = take(d, 22); /* what was held has its turn before the next one */
    deliver(d, 1, 23, 0);
    expect_no_work(d);
    expect_silence(d);
    answer(d, &held);
    run_alone(d, 1, 21);
    held = take(d, 23);
    answer(d, &held);
    run_alone(d, 0, 12);
    expect_no_work(d);
    expect_silence(d);
}

static void a_volatile_message_keeps_its_deadline(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    join_homes(d);
    deliver(d, 0, 11, DELIVER_ALONE);
    uint64_t until_ms = d->now_ms + 700;
    talk_say(d, 1, deliver, .shard = shard_of(1), .home_epoch = 1, .owner_sequence = 1,
             .request_id = 20, .type = fabric_bytes_of("T"), .id = fabric_bytes_of("i"),
             .tag = fabric_bytes_of("M"), .deadline_ms = 700);
    pass(d, 500);
    run_alone(d, 0, 11);
    work_t *work = link_next_work(d->link);
    assert_int_equal(work->deliveries[0].request_id, 20);
    assert_int_equal(work->deliveries[0].deadline_ms, until_ms);
    work_destroy(&work);
}

static void what_comes_in_one_frame(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    join_homes(d);
    talk_frame_begin(d);
    for (uint64_t id = 10; id < 13; id++) {
        message_deliver_t message = {.shard = shard_of(0),
                                     .home_epoch = 1,
                                     .owner_sequence = 1,
                                     .request_id = id,
                                     .type = fabric_bytes_of("T"),
                                     .flags = REQUEST_DURABLE | (id == 11 ? DELIVER_ALONE : 0),
                                     .id = fabric_bytes_of("i"),
                                     .tag = fabric_bytes_of("M")};
        message_put_deliver(&d->said, &message);
    }
    talk_frame_end(d, 0);
    talk_pass(d, 0);
    work_t *work = link_next_work(d->link);
    assert_int_equal(work->count, 2); /* the third one came before the turn began */
    work_output_t *output = work_output_new(OUTPUT_RESULTS, work->source);
    output->round = work->round;
    output->count = 2;
    work_destroy(&work);
    link_output(d->link, &output);
    talk_pass(d, 0);
    run_alone(d, 0, 11); /* ends without a result end deliveries, too, and send nothing */
}

static void leave_that_is_not_for_this_turn(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    join_homes(d);
    deliver(d, 0, 10, 0);
    at_hand_t before = take(d, 10);
    go(d, 0, 11); /* nothing of the kind has been delivered */
    deliver(d, 0, 11, DELIVER_ALONE);
    go(d, 0, 11); /* not ready */
    over(d, 0, 11);
    expect_no_work(d);
    answer(d, &before);
    expect_ready(d, 0, 11);
    go(d, 0, 12);
    go(d, 1, 11);
    talk_say(d, 0, alone_go, .shard = shard_of(0), .home_epoch = 1, .owner_sequence = 2,
             .request_id = 11);
    talk_say(d, 0, alone_go, .shard = shard_of(1), .home_epoch = 1, .owner_sequence = 1,
             .request_id = 11);
    expect_no_work(d);
    go(d, 0, 11);
    at_hand_t at_hand = take(d, 11);
    go(d, 0, 11);
    over(d, 0, 11); /* before the end of the message */
    deliver(d, 0, 12, 0);
    expect_no_work(d);
    answer(d, &at_hand);
    over(d, 0, 12);
    over(d, 1, 11);
    expect_no_work(d);
    over(d, 0, 11);
    take(d, 12);
    go(d, 0, 11);
    expect_no_work(d);
    assert_int_equal(link_dropped(d->link), 12);
}

static void a_home_that_wants_it_no_more(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    join_homes(d);
    deliver(d, 0, 11, DELIVER_ALONE);
    deliver(d, 1, 20, 0);
    expect_ready(d, 0, 11);
    over(d, 0, 11);
    expect_not_taken(d, 0, 11);
    take(d, 20);
    go(d, 0, 11);
    expect_no_work(d);
}

/* ---- waits are bounded ---- */

/* What has run for a lease is no company, for none of those that run alone. */
static void handlers_that_run_for_long(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    join_homes(d);
    deliver(d, 1, 20, 0);
    at_hand_t slow = take(d, 20);
    deliver(d, 0, 11, DELIVER_ALONE);
    pass(d, LINK_DRIVER_LEASE_MS - 1);
    expect_silence(d);
    pass(d, 1);
    run_alone(d, 0, 11);
    deliver(d, 0, 12, DELIVER_ALONE);
    run_alone(d, 0, 12);
    deliver(d, 0, 13, 0);
    at_hand_t short_one = take(d, 13);
    deliver(d, 0, 14, DELIVER_ALONE);
    answer(d, &slow);
    expect_silence(d); /* the short one is company */
    answer(d, &short_one);
    run_alone(d, 0, 14);
}

static void a_turn_is_over_after_a_lease(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    join_homes(d);
    deliver(d, 0, 11, DELIVER_ALONE);
    expect_ready(d, 0, 11);
    pass(d, LINK_DRIVER_LEASE_MS / 2);
    go(d, 0, 11);
    at_hand_t slow = take(d, 11);
    deliver(d, 1, 20, 0);
    pass(d, LINK_DRIVER_LEASE_MS - 1);
    expect_no_work(d);
    pass(d, 1);
    at_hand_t held = take(d, 20);
    answer(d, &held);
    deliver(d, 1, 21, DELIVER_ALONE);
    pass(d, LINK_DRIVER_LEASE_MS - 1);
    expect_silence(d); /* home 0 may take some time to learn that the process has ended */
    pass(d, 1);
    run_alone(d, 1, 21); /* beside the slow one */
    answer(d, &slow);
    over(d, 0, 11);
    expect_silence(d);
}

static void leave_that_does_not_come(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    join_homes(d);
    deliver(d, 0, 11, DELIVER_ALONE);
    deliver(d, 1, 20, 0);
    expect_ready(d, 0, 11);
    pass(d, LINK_DRIVER_LEASE_MS - 1);
    expect_no_work(d);
    pass(d, 1);
    expect_not_taken(d, 0, 11);
    take(d, 20);
    go(d, 0, 11); /* too late */
    expect_no_work(d);
}

/* ---- connections and tokens ---- */

/* Homes 0 and 1 have something that runs alone, and home 1 something else. */
static void ask_for_turns(link_driver_t *d)
{
    deliver(d, 0, 11, DELIVER_ALONE);
    deliver(d, 0, 12, 0);
    deliver(d, 1, 20, 0);
    deliver(d, 1, 21, DELIVER_ALONE);
}

static void lose_home(link_driver_t *d)
{
    link_disconnected(d->link, 0, d->now_ms);
    talk_pass(d, 0);
}

static void a_home_is_lost_before_it_could_give_leave(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    join_homes(d);
    deliver(d, 1, 22, 0);
    at_hand_t before = take(d, 22);
    ask_for_turns(d);
    lose_home(d);
    at_hand_t held = take(d, 20);
    talk_expect_work(d, WORK_ORPHAN, 1);
    expect_no_work(d);
    answer(d, &before);
    answer(d, &held);
    run_alone(d, 1, 21); /* at once */
}

/* It may have given leave, and count the end of this process as a crash for some time. */
static void a_home_is_lost_in_its_turn(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    join_homes(d);
    ask_for_turns(d);
    expect_ready(d, 0, 11);
    lose_home(d);
    at_hand_t held = take(d, 20); /* others go on */
    answer(d, &held);
    talk_expect_work(d, WORK_ORPHAN, 1);
    expect_no_work(d);
    pass(d, 2 * LINK_DRIVER_LEASE_MS - 1);
    talk_expect_silence(d, 1);
    talk_expect_work(d, WORK_STOP, 1); /* no home has continued what home 0 has left */
    deliver(d, 1, 23, 0);
    held = take(d, 23);
    answer(d, &held);
    pass(d, 1);
    run_alone(d, 1, 21);
}

/* The handlers of a connection that broke may run on for a while. */
static void a_home_comes_back(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    join_homes(d);
    deliver(d, 0, 11, DELIVER_ALONE);
    expect_ready(d, 0, 11);
    go(d, 0, 11);
    at_hand_t at_hand = take(d, 11);
    deliver(d, 0, 12, 0);
    lose_home(d);
    talk_expect_work(d, WORK_ORPHAN, 1);
    join(d, 0, 2);
    talk_say(d, 0, deliver, .shard = shard_of(0), .home_epoch = 1, .owner_sequence = 2,
             .activation = 2, .request_id = 11, .flags = REQUEST_DURABLE | DELIVER_ALONE,
             .type = fabric_bytes_of("T"), .id = fabric_bytes_of("i"), .tag = fabric_bytes_of("M"));
    go(d, 0, 11); /* of the former connection */
    pass(d, 2 * LINK_DRIVER_LEASE_MS);
    talk_expect_silence(d, 0); /* the handler of the former delivery runs */
    expect_no_work(d);
    finish(d, &at_hand);
    message_alone_ready_t ready;
    talk_expect(d, 0, KIND_ALONE_READY);
    assert_int_equal(message_get_alone_ready(&d->body, &ready), FABRIC_OK);
    assert_int_equal(ready.owner_sequence, 2);
    go(d, 0, 11); /* under the former token */
    expect_no_work(d);
}

static void ask_back(link_driver_t *d)
{
    talk_say(d, 0, release, .shard = shard_of(0), .home_epoch = 1, .owner_sequence = 1,
             .grace_ms = 100);
    talk_pass(d, 0);
}

/* What waits gets to an executor before the order to stop, which has it refused in the order of its
 * entity. */
static void a_shard_is_asked_back(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    join_homes(d);
    ask_for_turns(d);
    deliver(d, 0, 13, DELIVER_ALONE);
    expect_ready(d, 0, 11);
    ask_back(d);
    at_hand_t refused[] = {take(d, 12), take(d, 13), take(d, 11)};
    at_hand_t held = take(d, 20);
    talk_expect_work(d, WORK_STOP, 1);
    answer(d, &held);
    expect_ready(d, 1, 21); /* those that are refused do not begin: nobody waits for them */
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        answer(d, &refused[i]);
    }
    over(d, 1, 21);
    expect_not_taken(d, 1, 21);
    deliver(d, 1, 21, DELIVER_ALONE);
    run_alone(d, 1, 21); /* at once */
    expect_no_work(d);
}

static void a_shard_is_asked_back_while_its_message_runs(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    join_homes(d);
    ask_for_turns(d);
    expect_ready(d, 0, 11);
    go(d, 0, 11);
    at_hand_t at_hand = take(d, 11);
    ask_back(d);
    at_hand_t refused = take(d, 12);
    at_hand_t held = take(d, 20);
    talk_expect_work(d, WORK_STOP, 1);
    answer(d, &refused);
    answer(d, &held);
    talk_expect_silence(d, 1); /* the message still runs */
    answer(d, &at_hand);
    run_alone(d, 1, 21);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(nothing_else_is_at_hand),
        LINK_TEST(homes_take_turns),
        LINK_TEST(a_volatile_message_keeps_its_deadline),
        LINK_TEST(what_comes_in_one_frame),
        LINK_TEST(leave_that_is_not_for_this_turn),
        LINK_TEST(a_home_that_wants_it_no_more),
        LINK_TEST(handlers_that_run_for_long),
        LINK_TEST(a_turn_is_over_after_a_lease),
        LINK_TEST(leave_that_does_not_come),
        LINK_TEST(a_home_is_lost_before_it_could_give_leave),
        LINK_TEST(a_home_is_lost_in_its_turn),
        LINK_TEST(a_home_comes_back),
        LINK_TEST(a_shard_is_asked_back),
        LINK_TEST(a_shard_is_asked_back_while_its_message_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
