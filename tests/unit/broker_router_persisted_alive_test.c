/* Entities of persisted types that are kept alive: an owner gets the state before it is asked for
 * an instance. Cases: NT-03. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "broker/router/router_state.h"
#include "core/memory.h"
#include "tests/unit/router_driver.h"

typedef struct sum {
    int64_t amount;
} sum_t;
static const fabric_field_t sum_fields[] = {FABRIC_I64(sum_t, amount)};
static const fabric_schema_t sum_schema = FABRIC_SCHEMA("Sum", sum_t, sum_fields);

static const char *const workers[] = {"w", "w2", "c", NULL};

enum { KEPT = ALIVE_BY_HANDLER };

typedef struct bench {
    driver_t *driver;
    uint32_t lane; /* of entity "a" */
    uint64_t next;
} bench_t;

static bench_t open(void)
{
    bench_t bench = {.next = 1};
    driver_told = (driver_told_t){
        .mailbox_capacity = 4096, .concurrency = 1, .state = (fabric_schema_t *)&sum_schema};
    bench.driver = driver_open();
    driver_told = DRIVER_TOLD_USUALLY;
    driver_client(bench.driver, "c", 1);
    driver_worker(bench.driver, "w", 9);
    return bench;
}

static void ask(bench_t *bench)
{
    driver_ask(bench->driver, "c", bench->next++, "a", REQUEST_DURABLE);
    driver_commit(bench->driver);
}

/* Answers what is read, if something is: entity "a" has this state; empty: none. */
static bool read_state(bench_t *bench, fabric_bytes_t state)
{
    router_states_t read;
    store_state_t row = {.type = fabric_bytes_of("Counter"),
                         .entity = fabric_bytes_of("a"),
                         .number = 1,
                         .version = 1,
                         .state = state};
    for (uint32_t i = 0; i < bench->driver->config.lanes; i++) {
        if (router_take_states(bench->driver->router, i, &read)) {
            assert_int_equal(read.count, 1);
            assert_true(fabric_bytes_equal(read.names[0].entity, row.entity));
            state_value_t *value = state.size > 0 ? state_value_new(&row) : NULL;
            bench->lane = i;
            router_states_loaded(bench->driver->router, i, FABRIC_OK, &value, value ? 1 : 0, 1,
                                 bench->driver->now_ms);
            driver_pull(bench->driver);
            driver_check(bench->driver);
            return true;
        }
    }
    return false;
}

static fabric_bytes_t amount(const char *encoded)
{
    return fabric_bytes((const uint8_t *)encoded, 2);
}

/* The worker says what keeps the entity of the delivery alive. */
static message_alive_t say(bench_t *bench, const message_deliver_t *delivery, uint64_t absent)
{
    message_alive_t alive = {.shard = delivery->shard,
                             .home_epoch = delivery->home_epoch,
                             .owner_sequence = delivery->owner_sequence,
                             .causes = KEPT,
                             .absent = absent,
                             .type = fabric_bytes_of("Counter"),
                             .id = fabric_bytes_of("a")};
    driver_send(bench->driver, "w", alive, &alive);
    return alive;
}

/* Answers a wish: there is an instance, or there is none. */
static void answer(bench_t *bench, const char *peer, message_alive_t wake, uint64_t absent)
{
    wake.absent = absent;
    driver_send(bench->driver, peer, alive, &wake);
    driver_check(bench->driver);
}

/* The entity has this state, and a wish to be kept alive. */
static message_alive_t begin(bench_t *bench, const char *state)
{
    *bench = open();
    ask(bench);
    assert_true(read_state(bench, fabric_bytes_of("")));
    const message_deliver_t *delivery = driver_delivery(bench->driver, "w");
    message_alive_t alive = say(bench, delivery, 0);
    message_result_state_t result = {.shard = delivery->shard,
                                     .home_epoch = delivery->home_epoch,
                                     .owner_sequence = delivery->owner_sequence,
                                     .activation = delivery->activation,
                                     .request_id = delivery->request_id,
                                     .payload = fabric_bytes("\x92\xa1x\x01", 4),
                                     .version = 1,
                                     .state = amount(state)};
    driver_send(bench->driver, "w", result_state, &result);
    driver_commit(bench->driver);
    driver_forget(bench->driver);
    assert_int_equal(driver_counters(bench->driver).kept_alive, 1);
    return alive;
}

static size_t count(bench_t *bench, const char *peer, message_kind_t kind)
{
    return driver_count(bench->driver, peer, kind);
}

/* The owner is asked for the instance, and has got the state before, if `state` is one. */
static message_alive_t expect_wake(bench_t *bench, const char *peer, const char *state)
{
    const message_entity_state_t *given = NULL;
    assert_int_equal(count(bench, peer, KIND_ENTITY_STATE), state ? 1 : 0);
    assert_int_equal(count(bench, peer, KIND_ALIVE), 1);
    bool first = false;
    for (const note_t *note = bench->driver->notes; note && note->kind != KIND_ALIVE;
         note = note->next) {
        first = first || note->kind == KIND_ENTITY_STATE;
    }
    if (state) {
        assert_true(first);
        given = &driver_take(bench->driver, peer, KIND_ENTITY_STATE)->as.entity_state;
        assert_true(fabric_bytes_equal(given->state, amount(state)));
    }
    message_alive_t wake = driver_take(bench->driver, peer, KIND_ALIVE)->as.alive;
    assert_true(!given || given->activation == wake.activation);
    return wake;
}

static void test_nt_03_the_next_owner_gets_the_state_before_it_is_asked(void **state)
{
    (void)state;
    bench_t bench;
    (void)begin(&bench, "\x91\x07");
    driver_worker_hello(bench.driver, "w2", 10, 1, 64);
    driver_gone(bench.driver, "w");
    driver_ping(bench.driver, "w");
    driver_pass_alive(bench.driver, 1000, workers + 1);
    driver_desire(bench.driver, 10);
    message_alive_t wake = expect_wake(&bench, "w2", "\x91\x07");
    answer(&bench, "w2", wake, 0);
    ask(&bench); /* the instance is there */
    assert_int_equal(count(&bench, "w2", KIND_ENTITY_STATE), 0);
    (void)driver_delivery(bench.driver, "w2");
    driver_close(&bench.driver);
}

/* The lane comes to a home that has neither the entity's state in memory nor in the journal. */
static void take_lane_again(bench_t *bench, uint64_t shard)
{
    uint64_t epoch = DRIVER_EPOCH + 1;
    driver_hold(bench->driver, bench->lane, 0);
    while (router_go_on(bench->driver->router, bench->driver->now_ms)) {
    }
    driver_hold(bench->driver, bench->lane, epoch);
    adoption_t adoption = {.hold = {bench->lane, bench->driver->config.incarnation, epoch},
                           .number = ++bench->driver->entries[bench->lane],
                           .kept = memory_allocate(sizeof(store_kept_t)),
                           .kept_count = 1};
    adoption.kept[0] = (store_kept_t){.type = fabric_bytes_of("Counter"),
                                      .entity = fabric_bytes_of("a"),
                                      .shard = {(uint32_t)shard},
                                      .number = 1,
                                      .causes = KEPT};
    router_adopted(bench->driver->router, &adoption, bench->driver->now_ms);
    while (router_go_on(bench->driver->router, bench->driver->now_ms)) {
    }
    driver_pull(bench->driver);
    driver_desire(bench->driver, 9);
}

static void test_nt_03_the_next_home_reads_the_state_before_it_asks(void **state)
{
    (void)state;
    bench_t bench;
    message_alive_t alive = begin(&bench, "\x91\x07");
    take_lane_again(&bench, alive.shard);
    assert_int_equal(count(&bench, "w", KIND_ALIVE), 0);
    assert_true(read_state(&bench, amount("\x91\x07")));
    message_alive_t wake = expect_wake(&bench, "w", "\x91\x07");
    /* As if it were forgotten meanwhile, to make place for other states. */
    bench.driver->router->lanes[bench.lane].persisted.by_name->given = false;
    answer(&bench, "w", wake, 0);
    driver_pass_alive(bench.driver, 2000, workers);
    assert_int_equal(count(&bench, "w", KIND_ALIVE), 0);
    driver_close(&bench.driver);
}

/* Though the database answers late, and others ask in between. */
static void a_state_that_comes_late_is_waited_for(void **state)
{
    (void)state;
    bench_t bench;
    message_alive_t alive = begin(&bench, "\x91\x07");
    take_lane_again(&bench, alive.shard);
    driver_pass_alive(bench.driver, 3000, workers);
    ask(&bench);
    assert_int_equal(count(&bench, "w", KIND_ALIVE), 0);
    assert_int_equal(count(&bench, "w", KIND_DELIVER), 0);
    assert_true(read_state(&bench, amount("\x91\x07")));
    driver_pass_alive(bench.driver, 300, workers);
    assert_int_equal(count(&bench, "w", KIND_ENTITY_STATE), 1);
    assert_int_equal(count(&bench, "w", KIND_DELIVER), 1);
    assert_int_equal(count(&bench, "w", KIND_ALIVE), 1);
    driver_close(&bench.driver);
}

/* The worker may have forgotten the state that it got. */
static void an_owner_that_made_no_instance_gets_the_state_again(void **state)
{
    (void)state;
    bench_t bench;
    message_alive_t alive = begin(&bench, "\x91\x07");
    take_lane_again(&bench, alive.shard);
    assert_true(read_state(&bench, amount("\x91\x07")));
    answer(&bench, "w", expect_wake(&bench, "w", "\x91\x07"), 1);
    assert_int_equal(count(&bench, "w", KIND_ALIVE), 0);
    driver_pass_alive(bench.driver, 2000, workers);
    answer(&bench, "w", expect_wake(&bench, "w", "\x91\x07"), 0);
    driver_close(&bench.driver);
}

/* One that made room for a message is still known to its worker. */
static void an_evicted_instance_comes_back_without_its_state(void **state)
{
    (void)state;
    bench_t bench;
    message_alive_t alive = begin(&bench, "\x91\x07");
    answer(&bench, "w", alive, 1);
    driver_pass_alive(bench.driver, 2000, workers);
    answer(&bench, "w", expect_wake(&bench, "w", NULL), 0);
    driver_close(&bench.driver);
}

/* An instance that is there since an earlier home may have changes that were not stored. */
static void an_instance_of_an_earlier_home_begins_anew(void **state)
{
    (void)state;
    bench_t bench;
    message_alive_t alive = begin(&bench, "\x91\x07");
    take_lane_again(&bench, alive.shard);
    const message_assign_t *assign = &driver_take(bench.driver, "w", KIND_ASSIGN)->as.assign;
    while (assign->shard != alive.shard || assign->home_epoch == alive.home_epoch) {
        assign = &driver_take(bench.driver, "w", KIND_ASSIGN)->as.assign;
    }
    alive.home_epoch = assign->home_epoch;
    alive.owner_sequence = assign->owner_sequence;
    answer(&bench, "w", alive, 0); /* it tells each home what keeps its entities alive */
    assert_true(read_state(&bench, amount("\x91\x07")));
    driver_pass_alive(bench.driver, 300, workers);
    answer(&bench, "w", expect_wake(&bench, "w", "\x91\x07"), 0);
    driver_pass_alive(bench.driver, 2000, workers);
    assert_int_equal(count(&bench, "w", KIND_ALIVE), 0);
    driver_close(&bench.driver);
}

/* A state ends the instance that is there, and the message that it comes with may not make one. */
static void a_kept_instance_that_a_state_ends_is_asked_for(void **state)
{
    (void)state;
    bench_t bench;
    (void)begin(&bench, "\x91\x07");
    ask(&bench);
    driver_result(bench.driver, "w", driver_delivery(bench.driver, "w"), STATUS_NOT_TAKEN,
                  FABRIC_ERROR_MAILBOX_FULL);
    driver_pass_alive(bench.driver, 1000, workers);
    assert_int_equal(count(&bench, "w", KIND_ENTITY_STATE), 1);
    assert_int_equal(count(&bench, "w", KIND_DELIVER), 1);
    assert_int_equal(count(&bench, "w", KIND_ALIVE), 1);
    driver_close(&bench.driver);
}

/* No state is given while a message is in flight whose result may change it. */
static void an_instance_waits_for_what_is_in_flight(void **state)
{
    (void)state;
    bench_t bench;
    message_alive_t alive = begin(&bench, "\x91\x07");
    ask(&bench);
    const message_deliver_t *delivery = driver_delivery(bench.driver, "w");
    bench.driver->router->lanes[bench.lane].persisted.by_name->given = false;
    answer(&bench, "w", alive, 1);
    driver_pass_alive(bench.driver, 2000, workers);
    assert_int_equal(count(&bench, "w", KIND_ALIVE), 0);
    driver_result(bench.driver, "w", delivery, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    driver_commit(bench.driver);
    driver_pass_alive(bench.driver, 300, workers);
    (void)expect_wake(&bench, "w", "\x91\x07");
    driver_close(&bench.driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nt_03_the_next_owner_gets_the_state_before_it_is_asked),
        cmocka_unit_test(test_nt_03_the_next_home_reads_the_state_before_it_asks),
        cmocka_unit_test(a_state_that_comes_late_is_waited_for),
        cmocka_unit_test(an_owner_that_made_no_instance_gets_the_state_again),
        cmocka_unit_test(an_evicted_instance_comes_back_without_its_state),
        cmocka_unit_test(an_instance_of_an_earlier_home_begins_anew),
        cmocka_unit_test(a_kept_instance_that_a_state_ends_is_asked_for),
        cmocka_unit_test(an_instance_waits_for_what_is_in_flight),
    };
    return cmocka_run_group_tests_name("broker_router_persisted_alive", tests, NULL, NULL);
}
