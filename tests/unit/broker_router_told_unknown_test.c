/* Results whose handlers have told others what this home does not know, or not yet. */
#include "core/limits.h"
#include "tests/unit/told_bench.h"

/* ---- what is not known here ---- */

/* The worker answers, and its handler has told a type or a message that this home may not know. */
static void tell_of(bench_t *bench, const message_deliver_t *delivery, const char *type,
                    const char *tag)
{
    wire_writer_t list = {0};
    store_outgoing_t message = told_note("b");
    message.type = fabric_bytes_of(type);
    message.tag = fabric_bytes_of(tag);
    journal_outgoing_put(&list, &message);
    message_result_told_t result = told_result(delivery);
    result.count = 1;
    result.told = wire_writer_bytes(&list);
    told_send(bench, &result);
    wire_writer_destroy(&list);
}

static void ask_waits(bench_t *bench)
{
    message_query_t query = {.sequence = 7, .name = fabric_bytes_of("waits")};
    driver_send(bench->driver, "c", query, &query);
}

/* The caller hears that its call waits, since this is not known. */
static void expect_wait(bench_t *bench, const char *text)
{
    const message_answer_t *answer = &driver_take(bench->driver, "c", KIND_ANSWER)->as.answer;
    assert_int_equal(answer->error, FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    assert_true(fabric_bytes_equal(answer->text, fabric_bytes_of(text)));
}

/* Nobody is to blame, and nothing has ended. */
static void expect_put_off(bench_t *bench)
{
    router_violation_t violation;
    driver_commit(bench->driver);
    assert_int_equal(driver_count(bench->driver, "c", KIND_REPLY), 0);
    assert_int_equal(driver_counters(bench->driver).results_refused, 0);
    assert_false(router_take_violation(bench->driver->router, &violation));
}

static void ask_durable(bench_t *bench, uint64_t sequence)
{
    driver_ask(bench->driver, "c", sequence, "a", REQUEST_DURABLE);
    driver_commit(bench->driver);
}

/* It may be registered yet: the message is handled again, and is right then. */
static void an_unknown_type_is_waited_for(void **state)
{
    (void)state;
    bench_t bench = told_bench();
    ask_waits(&bench);
    ask_durable(&bench, 1);
    const message_deliver_t *delivery = driver_delivery(bench.driver, "w");
    uint64_t id = delivery->request_id;
    uint64_t activation = delivery->activation;
    tell_of(&bench, delivery, "Listener", "Add");
    expect_put_off(&bench);
    expect_wait(&bench,
                "its result does not count yet: it tells Add of type Listener, and the type "
                "is not known here");
    driver_type(bench.driver, "Listener");
    pass(&bench, 2000);
    delivery = driver_delivered(bench.driver, "w", id, 2);
    assert_int_equal(delivery->attempt, 1);
    assert_true(delivery->activation > activation); /* its instance has ended */
    tell_of(&bench, delivery, "Listener", "Add");
    driver_commit(bench.driver);
    assert_int_equal(driver_replied(bench.driver, "c", 1)->status, STATUS_OK);
    assert_int_equal(driver_counters(bench.driver).dead_letters, 0);
    driver_close(&bench.driver);
}

static void an_unknown_message_is_waited_for(void **state)
{
    (void)state;
    bench_t bench = told_bench();
    ask_waits(&bench);
    ask_durable(&bench, 1);
    const message_deliver_t *delivery = driver_delivery(bench.driver, "w");
    uint64_t id = delivery->request_id;
    tell_of(&bench, delivery, "Counter", "New");
    expect_put_off(&bench);
    expect_wait(&bench, "its result does not count yet: it tells New of type Counter, and the "
                        "message is not known here");
    pass(&bench, 2000);
    assert_int_equal(driver_delivered(bench.driver, "w", id, 2)->attempt, 1);
    driver_close(&bench.driver);
}

/* How long nothing is delivered after such a result. */
static uint64_t pause_after_telling(bench_t *bench)
{
    tell_of(bench, driver_delivery(bench->driver, "w"), "Listener", "Add");
    uint64_t from_ms = bench->driver->now_ms;
    while (driver_count(bench->driver, "w", KIND_DELIVER) == 0) {
        pass(bench, 10);
    }
    return bench->driver->now_ms - from_ms;
}

static void the_pause_grows(void **state)
{
    (void)state;
    bench_t bench = told_bench();
    ask_durable(&bench, 1);
    uint64_t pause = pause_after_telling(&bench);
    for (int i = 0; i < 4; i++) {
        uint64_t next = pause_after_telling(&bench);
        assert_true(next > pause);
        pause = next;
    }
    assert_int_equal(driver_delivery(bench.driver, "w")->attempt, 1);
    driver_close(&bench.driver);
}

/* A defect of such a type would end its message at once. */
static void a_type_with_defects_to_callers_waits_too(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    bench_t bench = {.next = 1};
    driver_told = DRIVER_TOLD_USUALLY;
    driver_told.options = (type_options_t){.tells = true, .defects_to_caller = true};
    bench.driver = driver_new(&config);
    driver_homes(bench.driver, NULL);
    driver_told = DRIVER_TOLD_USUALLY;
    driver_client(bench.driver, "c", 1);
    driver_worker(bench.driver, "w", 9);
    ask_durable(&bench, 1);
    tell_of(&bench, driver_delivery(bench.driver, "w"), "Listener", "Add");
    expect_put_off(&bench);
    pass(&bench, 2000);
    assert_int_equal(driver_delivery(bench.driver, "w")->delivery, 2);
    driver_close(&bench.driver);
}

/* Those that the worker has handled since, on the instance that has ended: it is not to blame. */
static void results_behind_it_come_back(void **state)
{
    (void)state;
    bench_t bench = told_bench();
    ask_durable(&bench, 1);
    ask_durable(&bench, 2);
    const message_deliver_t *first = driver_delivery(bench.driver, "w");
    const message_deliver_t *second = driver_delivery(bench.driver, "w");
    uint64_t ids[] = {first->request_id, second->request_id};
    tell_of(&bench, first, "Listener", "Add");
    told_tell(&bench, second, (const char *const[]){"b"}, 1);
    expect_put_off(&bench);
    pass(&bench, 2000);
    uint64_t activation = driver_delivered(bench.driver, "w", ids[0], 2)->activation;
    assert_int_equal(driver_delivered(bench.driver, "w", ids[1], 2)->activation, activation);
    driver_close(&bench.driver);
}

/* The caller wants it no more, and it has not been handled. */
static void a_cancelled_one_ends(void **state)
{
    (void)state;
    bench_t bench = told_bench();
    ask_durable(&bench, 1);
    const message_deliver_t *delivery = driver_delivery(bench.driver, "w");
    message_cancel_t cancel = {
        .sequence = 1, .type = fabric_bytes_of("Counter"), .id = fabric_bytes_of("a")};
    driver_send(bench.driver, "c", cancel, &cancel);
    tell_of(&bench, delivery, "Listener", "Add");
    driver_commit(bench.driver);
    assert_int_equal(driver_replied(bench.driver, "c", 1)->error, FABRIC_ERROR_CANCELLED);
    driver_close(&bench.driver);
}

/* Then nobody will register it: it is a defect, which is counted. */
static void a_type_that_stays_unknown_makes_a_defect(void **state)
{
    (void)state;
    for (int forgotten = 0; forgotten < 2; forgotten++) {
        router_violation_t violation;
        bench_t bench = told_bench();
        if (forgotten) {
            driver_type(bench.driver, "Listener");
            type_forget(bench.driver->router, fabric_bytes_of("Listener"));
        }
        ask_durable(&bench, 1);
        tell_of(&bench, driver_delivery(bench.driver, "w"), "Listener", "Add");
        pass(&bench, 59000);
        tell_of(&bench, driver_delivery(bench.driver, "w"), "Listener", "Add");
        assert_false(router_take_violation(bench.driver->router, &violation));
        pass(&bench, 2000);
        const message_deliver_t *delivery = driver_delivery(bench.driver, "w");
        assert_int_equal(delivery->attempt, 1);
        tell_of(&bench, delivery, "Listener", "Add");
        assert_true(router_take_violation(bench.driver->router, &violation));
        driver_commit(bench.driver);
        pass(&bench, 2000);
        delivery = driver_delivery(bench.driver, "w");
        assert_int_equal(delivery->attempt, 2);
        driver_close(&bench.driver);
    }
}

/* What it has told is committed with its rows: it is looked for until it counts. */
static void a_transactional_message_is_never_ended_by_it(void **state)
{
    (void)state;
    router_config_t config;
    router_violation_t violation;
    driver_config(&config);
    bench_t bench = {.next = 1};
    driver_told = DRIVER_TOLD_USUALLY;
    driver_told.transactional = true;
    driver_told.options = (type_options_t){.tells = true, .defects_to_caller = true};
    bench.driver = driver_new(&config);
    driver_homes(bench.driver, NULL);
    driver_told = DRIVER_TOLD_USUALLY;
    driver_client(bench.driver, "c", 1);
    driver_worker(bench.driver, "w", 9);
    ask_durable(&bench, 1);
    for (int i = 0; i < 10; i++) {
        const message_deliver_t *delivery = driver_delivery(bench.driver, "w");
        assert_int_equal(delivery->attempt, 1);
        assert_int_equal((delivery->flags & DELIVER_LOOK) != 0, i > 4);
        if (i == 4) {
            message_cancel_t cancel = {
                .sequence = 1, .type = fabric_bytes_of("Counter"), .id = fabric_bytes_of("a")};
            driver_send(bench.driver, "c", cancel, &cancel);
        }
        tell_of(&bench, delivery, "Listener", "Add");
        driver_commit(bench.driver);
        pass(&bench, 70000);
    }
    assert_false(router_take_violation(bench.driver->router, &violation));
    assert_int_equal(driver_count(bench.driver, "c", KIND_REPLY), 0);
    driver_type(bench.driver, "Listener");
    tell_of(&bench, driver_delivery(bench.driver, "w"), "Listener", "Add");
    driver_commit(bench.driver);
    assert_int_equal(driver_replied(bench.driver, "c", 1)->status, STATUS_OK);
    driver_close(&bench.driver);
}

/* ---- results that were committed ---- */

static bench_t open_committing(void)
{
    router_config_t config;
    driver_config(&config);
    config.attempts_max = 2;
    bench_t bench = {.next = 1};
    driver_told = DRIVER_TOLD_USUALLY;
    driver_told.transactional = true; /* and its description does not say here that it tells */
    bench.driver = driver_new(&config);
    driver_homes(bench.driver, NULL);
    driver_told = DRIVER_TOLD_USUALLY;
    driver_client(bench.driver, "c", 1);
    driver_worker(bench.driver, "w", 9);
    driver_ask(bench.driver, "c", 1, "a", REQUEST_DURABLE);
    driver_commit(bench.driver);
    return bench;
}

static void tell_message(bench_t *bench, const message_deliver_t *delivery,
                         const store_outgoing_t *message)
{
    wire_writer_t list = {0};
    message_result_told_t result = told_result(delivery);
    journal_outgoing_put(&list, message);
    result.count = 1;
    result.told = wire_writer_bytes(&list);
    told_send(bench, &result);
    wire_writer_destroy(&list);
}

/* More often than there may be attempts. Nothing but the result that was committed ends the
 * message. */
static void a_committed_result_waits_for_unknown_types(void **state)
{
    (void)state;
    bench_t bench = open_committing();
    store_outgoing_t message = told_note("b");
    message.type = fabric_bytes_of("Listener");
    const message_deliver_t *delivery = driver_delivery(bench.driver, "w");
    uint64_t id = delivery->request_id;
    for (uint64_t i = 2; i <= 6; i++) {
        tell_message(&bench, delivery, &message);
        driver_commit(bench.driver);
        assert_int_equal(driver_count(bench.driver, "c", KIND_REPLY), 0);
        pass(&bench, 20000);
        delivery = driver_delivered(bench.driver, "w", id, i);
        assert_int_equal(delivery->attempt, 1);
        assert_int_equal(delivery->flags, REQUEST_DURABLE | MESSAGE_TRANSACTIONAL);
    }
    driver_type(bench.driver, "Listener");
    store_outgoing_t other = message;
    other.tag = fabric_bytes_of("New");
    tell_message(&bench, delivery, &other);
    pass(&bench, 20000);
    delivery = driver_delivered(bench.driver, "w", id, 7);
    tell_message(&bench, delivery, &message);
    driver_commit(bench.driver);
    assert_int_equal(driver_replied(bench.driver, "c", 1)->status, STATUS_OK);
    assert_int_equal(driver_counters(bench.driver).dead_letters, 0);
    driver_close(&bench.driver);
}

/* It is the told message that becomes a dead letter, when its target does not take it. */
static void a_committed_result_is_not_checked_by_schemas(void **state)
{
    (void)state;
    bench_t bench = open_committing();
    store_outgoing_t message = told_note("b");
    message.payload = fabric_bytes("\x91\x01", 2);
    const message_deliver_t *delivery = driver_delivery(bench.driver, "w");
    uint32_t lane = told_lane_of_a(&bench, delivery);
    tell_message(&bench, delivery, &message);
    const lane_batch_t *batch = driver_take_batch(bench.driver, lane);
    assert_int_equal(batch->end_count, 1);
    assert_int_equal(batch->ends[0].outgoing->count, 1);
    driver_batch_done(bench.driver, lane);
    assert_int_equal(driver_replied(bench.driver, "c", 1)->status, STATUS_OK);
    driver_close(&bench.driver);
}

/* No worker of ours commits that. */
static void a_committed_result_has_to_be_storable(void **state)
{
    (void)state;
    bench_t bench = open_committing();
    store_outgoing_t message = told_note("b");
    message.flags = REQUEST_DURABLE;
    tell_message(&bench, driver_delivery(bench.driver, "w"), &message);
    driver_commit(bench.driver);
    assert_int_equal(driver_replied(bench.driver, "c", 1)->error, FABRIC_ERROR_MALFORMED_MESSAGE);
    driver_close(&bench.driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_type_is_waited_for),
        cmocka_unit_test(an_unknown_message_is_waited_for),
        cmocka_unit_test(the_pause_grows),
        cmocka_unit_test(a_type_with_defects_to_callers_waits_too),
        cmocka_unit_test(results_behind_it_come_back),
        cmocka_unit_test(a_cancelled_one_ends),
        cmocka_unit_test(a_type_that_stays_unknown_makes_a_defect),
        cmocka_unit_test(a_transactional_message_is_never_ended_by_it),
        cmocka_unit_test(a_committed_result_waits_for_unknown_types),
        cmocka_unit_test(a_committed_result_is_not_checked_by_schemas),
        cmocka_unit_test(a_committed_result_has_to_be_storable),
    };
    return cmocka_run_group_tests_name("broker_router_told_unknown", tests, NULL, NULL);
}
