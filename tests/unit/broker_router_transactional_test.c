/* Transactional messages: their home ends none of them otherwise before an owner has looked whether
 * it was committed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/memory.h"
#include "core/message.h"
#include "tests/unit/lane_driver.h"
#include "tests/unit/router_driver.h"

enum { QUERY = 7 };

static int teardown(void **state)
{
    (void)state;
    driver_told = DRIVER_TOLD_USUALLY;
    return 0;
}

static driver_t *open_with(uint32_t crashes_max)
{
    router_config_t config;
    driver_told = DRIVER_TOLD_USUALLY;
    driver_told.transactional = true;
    driver_config(&config);
    config.crashes_max = crashes_max;
    config.backoff_ms = 1;
    driver_t *driver = driver_new(&config);
    driver_homes(driver, NULL);
    driver_client(driver, "c1", 1);
    return driver;
}

static void cancel(driver_t *driver, const char *peer, uint64_t sequence)
{
    message_cancel_t message = {
        .sequence = sequence, .type = fabric_bytes_of("Counter"), .id = fabric_bytes_of("a")};
    driver_send(driver, peer, cancel, &message);
}

static void not_taken(driver_t *driver, const char *peer, const message_deliver_t *delivery,
                      fabric_error_t error)
{
    driver_result(driver, peer, delivery, STATUS_NOT_TAKEN, error);
    driver_commit(driver);
}

/* An ask to "a" is in flight to a worker, which is then lost. Another one comes: "w2". */
static driver_t *open_after_loss(uint32_t crashes_max)
{
    driver_t *driver = open_with(crashes_max);
    driver_worker(driver, "w1", 101);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    (void)driver_delivery(driver, "w1");
    driver_gone(driver, "w1");
    driver_pass(driver, 5000);
    return driver;
}

static const message_deliver_t *look(driver_t *driver, const char *peer)
{
    const message_deliver_t *delivery = driver_delivery(driver, peer);
    assert_true(delivery->flags & DELIVER_LOOK);
    assert_true(delivery->flags & MESSAGE_TRANSACTIONAL);
    assert_int_equal(delivery->deadline_ms, 0);
    return delivery;
}

static void reply(driver_t *driver, const char *peer, const message_deliver_t *delivery)
{
    driver_result(driver, peer, delivery, STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    assert_int_equal(driver_replied(driver, "c1", 1)->status, STATUS_OK);
}

/* ---- one message ---- */

static void its_record_and_its_delivery_say_so(void **state)
{
    (void)state;
    driver_t *driver = open_with(3);
    driver_worker(driver, "w1", 101);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    const lane_batch_t *batch = driver_take_batch(driver, 0);
    assert_int_equal(batch->messages[0]->flags, REQUEST_DURABLE | MESSAGE_TRANSACTIONAL);
    driver_batch_done(driver, 0);
    const message_deliver_t *delivery = driver_delivery(driver, "w1");
    assert_int_equal(delivery->flags, REQUEST_DURABLE | MESSAGE_TRANSACTIONAL);
    reply(driver, "w1", delivery);
    driver_close(&driver);
}

static void a_client_cannot_say_so(void **state)
{
    (void)state;
    driver_t *driver = open_with(3);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE | MESSAGE_TRANSACTIONAL);
    assert_int_equal(driver_rejected(driver, "c1", 1), FABRIC_ERROR_UNKNOWN_KIND);
    driver_close(&driver);
}

/* The worker has checked it before it has committed. */
static void a_reply_is_not_checked(void **state)
{
    (void)state;
    driver_t *driver = open_with(3);
    driver_worker(driver, "w1", 101);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    driver_result_with(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK,
                       fabric_bytes_of("\xc1"));
    driver_commit(driver);
    assert_int_equal(driver_replied(driver, "c1", 1)->status, STATUS_OK);
    driver_close(&driver);
}

/* ---- cancels ---- */

static void what_was_never_delivered_ends_at_once(void **state)
{
    (void)state;
    driver_t *driver = open_with(3);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    cancel(driver, "c1", 1);
    driver_commit(driver);
    assert_int_equal(driver_replied(driver, "c1", 1)->error, FABRIC_ERROR_CANCELLED);
    driver_close(&driver);
}

static void a_cancelled_one_is_looked_for(void **state)
{
    (void)state;
    driver_t *driver = open_after_loss(3);
    cancel(driver, "c1", 1);
    driver_commit(driver);
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0);
    driver_worker(driver, "w2", 102);
    not_taken(driver, "w2", look(driver, "w2"), FABRIC_ERROR_NOT_FOUND);
    assert_int_equal(driver_replied(driver, "c1", 1)->error, FABRIC_ERROR_CANCELLED);
    driver_close(&driver);
}

/* The cancel comes while it is in flight, and the owner is lost. */
static void one_that_was_cancelled_in_flight_is_looked_for(void **state)
{
    (void)state;
    driver_t *driver = open_with(3);
    driver_worker(driver, "w1", 101);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    (void)driver_delivery(driver, "w1");
    cancel(driver, "c1", 1);
    driver_gone(driver, "w1");
    driver_pass(driver, 5000);
    driver_commit(driver);
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0);
    driver_worker(driver, "w2", 102);
    reply(driver, "w2", look(driver, "w2"));
    driver_close(&driver);
}

static void a_result_that_stands_is_stronger_than_a_cancel(void **state)
{
    (void)state;
    driver_t *driver = open_after_loss(3);
    cancel(driver, "c1", 1);
    driver_worker(driver, "w2", 102);
    reply(driver, "w2", look(driver, "w2"));
    assert_int_equal(driver_counters(driver).cancelled, 0);
    driver_close(&driver);
}

/* It waits behind the window, after an owner that may have handled it; rows know of no cancel. */
static void a_cancelled_one_stays_in_memory_until_it_is_looked_for(void **state)
{
    (void)state;
    router_config_t config;
    driver_told = DRIVER_TOLD_USUALLY;
    driver_told.transactional = true;
    home_config(&config);
    home_t *home = home_open(&config);
    uint64_t first = home_ask(home, "a", 12);
    home_append(home);
    home_kill(home);
    router_lookup_t lookup;
    driver_ask(home->driver, "c", first + 8, "a", REQUEST_DURABLE | REQUEST_RESEND);
    assert_true(router_take_lookup(home->driver->router, 0, &lookup));
    const lane_message_t *at = lane_model_find_call(&home->store, (call_key_t){1, first + 8});
    driver_lookup_found(home->driver, 0, &at->message->stored, NULL);
    router_lookup_done(home->driver->router, 0, FABRIC_OK, (request_id_t){0}, home->driver->now_ms);
    driver_pull(home->driver);
    cancel(home->driver, "c", first + 8);
    home_checkpoint(home);
    home_worker(home);
    unsigned looks = 0;
    for (unsigned handled = 0; handled < 12; handled++) {
        home_append(home);
        (void)home_load(home, 0);
        const message_deliver_t *delivery = driver_delivery(home->driver, "w");
        bool look = delivery->flags & DELIVER_LOOK;
        looks += look;
        driver_result(home->driver, "w", delivery, look ? STATUS_NOT_TAKEN : STATUS_OK,
                      look ? FABRIC_ERROR_NOT_FOUND : FABRIC_OK);
    }
    assert_int_equal(looks, 1);
    home_append(home);
    home_close(&home);
}

/* A worker that has been told of the cancel answers without having looked. */
static void an_untaken_one_is_looked_for(void **state)
{
    (void)state;
    driver_t *driver = open_after_loss(3);
    driver_worker(driver, "w2", 102);
    const message_deliver_t *delivery = driver_delivery(driver, "w2");
    assert_false(delivery->flags & DELIVER_LOOK);
    cancel(driver, "c1", 1);
    not_taken(driver, "w2", delivery, FABRIC_ERROR_CANCELLED);
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0);
    reply(driver, "w2", look(driver, "w2"));
    driver_close(&driver);
}

/* The one owner that it was delivered to says that nobody has begun it. */
static void an_untaken_first_delivery_needs_no_look(void **state)
{
    (void)state;
    driver_t *driver = open_with(3);
    driver_worker(driver, "w1", 101);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    const message_deliver_t *delivery = driver_delivery(driver, "w1");
    cancel(driver, "c1", 1);
    not_taken(driver, "w1", delivery, FABRIC_ERROR_CANCELLED);
    assert_int_equal(driver_replied(driver, "c1", 1)->error, FABRIC_ERROR_CANCELLED);
    driver_close(&driver);
}

/* ---- the database ---- */

static void an_unknown_outcome_is_not_forgotten(void **state)
{
    static const char *const alive[] = {"c1", "w1", NULL};
    (void)state;
    driver_t *driver = open_with(3);
    driver_worker(driver, "w1", 101);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    not_taken(driver, "w1", driver_delivery(driver, "w1"), FABRIC_ERROR_PERSISTENCE);
    driver_pass_alive(driver, 1000, alive);
    const message_deliver_t *again = driver_delivery(driver, "w1");
    assert_int_equal(again->delivery, 2);
    assert_int_equal(again->attempt, 1); /* nobody is to blame */
    not_taken(driver, "w1", again, FABRIC_ERROR_PERSISTENCE);
    cancel(driver, "c1", 1);
    driver_pass_alive(driver, 1000, alive);
    reply(driver, "w1", look(driver, "w1"));
    driver_close(&driver);
}

/* ---- crashes ---- */

static driver_t *open_after_crash(void)
{
    driver_t *driver = open_with(1);
    driver->supervised = true;
    driver_worker(driver, "w1", 101);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    uint64_t culprit = driver_delivery(driver, "w1")->request_id;
    driver_crashed(driver, 101, &culprit, 1, "signal 11");
    driver_commit(driver);
    driver_worker(driver, "w2", 102);
    driver_commit(driver);
    return driver;
}

static void the_last_crash_is_followed_by_a_look(void **state)
{
    (void)state;
    driver_t *driver = open_after_crash();
    not_taken(driver, "w2", look(driver, "w2"), FABRIC_ERROR_NOT_FOUND);
    assert_int_equal(driver_replied(driver, "c1", 1)->error, FABRIC_ERROR_DEAD_LETTER);
    assert_int_equal(driver_counters(driver).dead_letters, 1);
    driver_close(&driver);
}

static void what_was_committed_before_a_crash_counts(void **state)
{
    (void)state;
    driver_t *driver = open_after_crash();
    reply(driver, "w2", look(driver, "w2"));
    assert_int_equal(driver_counters(driver).dead_letters, 0);
    driver_close(&driver);
}

/* ---- lanes ---- */

static home_t *open_home(void)
{
    router_config_t config;
    driver_told = DRIVER_TOLD_USUALLY;
    driver_told.transactional = true;
    home_config(&config);
    return home_open(&config);
}

/* The next slice deletes so many direct results. */
static void expect_deletes(home_t *home, size_t count)
{
    driver_pass_alive(home->driver, 1000, (const char *const[]){"c", "w", NULL});
    const router_slice_t *slice = home_take_slice(home, 0);
    assert_int_equal(slice->slice.direct_count, count);
    assert_true(slice->slice.last);
    home_settle_slice(home, 0, slice);
}

static void the_checkpoint_of_its_end_deletes_its_direct_result(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    (void)home_ask(home, "a", 2);
    home_append(home);
    expect_deletes(home, 0);
    const message_deliver_t *delivery = driver_delivery(home->driver, "w");
    driver_result(home->driver, "w", delivery, STATUS_OK, FABRIC_OK);
    home_append(home);
    expect_deletes(home, 1);
    driver_result(home->driver, "w", driver_delivery(home->driver, "w"), STATUS_OK, FABRIC_OK);
    home_append(home);
    expect_deletes(home, 1);
    home_close(&home);
}

static void a_new_home_deletes_what_the_journal_has(void **state)
{
    (void)state;
    home_t *home = open_home();
    driver_hold(home->driver, 0, ++home->epoch);
    adoption_t adoption = {.hold = {0, home->driver->config.incarnation, home->epoch},
                           .number = home->store.rows[0].number,
                           .last_id = 2000,
                           .direct = memory_allocate(2 * sizeof(request_id_t)),
                           .direct_count = 2};
    adoption.direct[0] = (request_id_t){900};
    adoption.direct[1] = (request_id_t){901};
    router_adopted(home->driver->router, &adoption, home->driver->now_ms);
    driver_pull(home->driver);
    (void)home_tell(home, "a", 1);
    home_append(home);
    driver_pass(home->driver, 1000);
    const router_slice_t *slice = home_take_slice(home, 0);
    assert_int_equal(slice->slice.direct_count, 2);
    assert_int_equal(slice->slice.direct[1].value, 901);
    router_slice_done(home->driver->router, 0, FABRIC_OK, home->driver->now_ms);
    home_close(&home);
}

/* What a new home finds may have been delivered by the one before. */
static void what_was_adopted_is_looked_for(void **state)
{
    (void)state;
    home_t *home = open_home();
    uint64_t sequence = home_ask(home, "a", 1);
    home_append(home);
    home_kill(home);
    driver_client(home->driver, "c", 1);
    (void)sequence;
    home_worker(home);
    const message_deliver_t *delivery = driver_delivery(home->driver, "w");
    assert_int_equal(delivery->delivery, 2);
    assert_true(delivery->flags & MESSAGE_TRANSACTIONAL);
    home_close(&home);
}

static void an_entity_of_such_a_type_is_not_cleared(void **state)
{
    (void)state;
    home_t *home = open_home();
    wire_writer_t argument = {0};
    wire_put_array(&argument, 2);
    wire_put_bin(&argument, fabric_bytes_of("Counter"));
    wire_put_bin(&argument, fabric_bytes_of("a"));
    message_query_t query = {.sequence = QUERY,
                             .name = fabric_bytes_of("clear"),
                             .argument = wire_writer_bytes(&argument)};
    driver_send(home->driver, "c", query, &query);
    wire_writer_destroy(&argument);
    assert_int_equal(driver_take(home->driver, "c", KIND_ANSWER)->as.answer.error,
                     FABRIC_ERROR_INVALID_ARGUMENT);
    home_close(&home);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_teardown(function, teardown)
    static const struct CMUnitTest tests[] = {
        TEST(its_record_and_its_delivery_say_so),
        TEST(a_client_cannot_say_so),
        TEST(a_reply_is_not_checked),
        TEST(what_was_never_delivered_ends_at_once),
        TEST(a_cancelled_one_is_looked_for),
        TEST(one_that_was_cancelled_in_flight_is_looked_for),
        TEST(a_cancelled_one_stays_in_memory_until_it_is_looked_for),
        TEST(a_result_that_stands_is_stronger_than_a_cancel),
        TEST(an_untaken_one_is_looked_for),
        TEST(an_untaken_first_delivery_needs_no_look),
        TEST(an_unknown_outcome_is_not_forgotten),
        TEST(the_last_crash_is_followed_by_a_look),
        TEST(what_was_committed_before_a_crash_counts),
        TEST(the_checkpoint_of_its_end_deletes_its_direct_result),
        TEST(a_new_home_deletes_what_the_journal_has),
        TEST(what_was_adopted_is_looked_for),
        TEST(an_entity_of_such_a_type_is_not_cleared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
