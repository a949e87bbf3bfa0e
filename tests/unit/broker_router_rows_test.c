/* Damaged rows at a load: each becomes a dead letter with its cause, and all other messages go
 * on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/address.h"
#include "core/limits.h"
#include "core/snowflake.h"
#include "tests/unit/router_driver.h"

enum { ASK = REQUEST_DURABLE, AGAIN = REQUEST_DURABLE | REQUEST_RESEND };

static uint8_t zeros[LIMIT_PAYLOAD_BYTES_MAX + 1];

/* A good row of Counter "a". */
static store_message_t good_row(uint64_t id)
{
    message_request_t request = driver_request(id, "a", ASK);
    return (store_message_t){
        .id = {id},
        .shard = shard_id_make(1, (uint16_t)address_shard_number(request.id, DRIVER_SHARDS)),
        .flags = REQUEST_DURABLE,
        .type = request.type,
        .entity = request.id,
        .tag = request.tag,
        .payload = request.payload,
        .call = {1, id}};
}

static message_t *chain(const store_message_t *row, message_t *after)
{
    message_t *message = message_new(row);
    message->chain = after;
    return message;
}

/* ---- one damage each ---- */

static void no_id(store_message_t *row)
{
    row->id.value = 0;
}
static void id_of_some_seconds_ahead(store_message_t *row)
{
    router_config_t config;
    driver_config(&config);
    row->id = snowflake_make((snowflake_parts_t){.timestamp_ms = config.store_now_ms + 5000});
}
static void id_of_the_last_millisecond(store_message_t *row)
{
    row->id.value = UINT64_MAX;
}
static void id_of_an_hour_ahead(store_message_t *row)
{
    router_config_t config;
    driver_config(&config);
    row->id = snowflake_make((snowflake_parts_t){.timestamp_ms = config.store_now_ms + 3600000});
}
static void unknown_shard(store_message_t *row)
{
    row->shard = shard_id_make(1, DRIVER_SHARDS + 1);
}
static void unknown_group(store_message_t *row)
{
    row->shard = shard_id_make(LIMIT_GROUPS_MAX + 1, shard_id_number(row->shard));
}
static void no_shard(store_message_t *row)
{
    row->shard = (shard_id_t){0};
}
static void another_shard(store_message_t *row)
{
    uint16_t number = shard_id_number(row->shard);
    row->shard = shard_id_make(1, (uint16_t)(number % DRIVER_SHARDS + 1));
}
static void no_type(store_message_t *row)
{
    row->type.size = 0;
}
static void long_type(store_message_t *row)
{
    row->type = fabric_bytes(zeros, LIMIT_NAME_BYTES_MAX + 1);
}
static void no_entity(store_message_t *row)
{
    row->entity.size = 0;
}
static void long_entity(store_message_t *row)
{
    row->entity = fabric_bytes(zeros, LIMIT_NAME_BYTES_MAX + 1);
}
static void no_tag(store_message_t *row)
{
    row->tag.size = 0;
}
static void long_tag(store_message_t *row)
{
    row->tag = fabric_bytes(zeros, LIMIT_NAME_BYTES_MAX + 1);
}
static void large_payload(store_message_t *row)
{
    row->payload = fabric_bytes(zeros, sizeof zeros);
}
static void not_durable(store_message_t *row)
{
    row->flags = 0;
}
static void unknown_flags(store_message_t *row)
{
    row->flags = UINT32_MAX;
}
static void headers_of_no_form(store_message_t *row)
{
    row->headers = fabric_bytes_of("these are no headers");
}
static void large_headers(store_message_t *row)
{
    row->headers = fabric_bytes(zeros, LIMIT_HEADER_BYTES_MAX + 1);
}
static void long_traceparent(store_message_t *row)
{
    row->traceparent = fabric_bytes(zeros, LIMIT_TRACEPARENT_BYTES_MAX + 1);
}
static void negative_time(store_message_t *row)
{
    row->deliver_at_ms = -1;
}

static void (*const damages[])(store_message_t *row) = {
    no_id,
    id_of_the_last_millisecond,
    no_shard,
    id_of_an_hour_ahead,
    id_of_some_seconds_ahead,
    unknown_shard,
    unknown_group,
    another_shard,
    no_type,
    long_type,
    no_entity,
    long_entity,
    no_tag,
    long_tag,
    large_payload,
    not_durable,
    unknown_flags,
    large_headers,
    headers_of_no_form,
    negative_time,
    long_traceparent,
};

/* A router that has loaded a good row, a damaged one and another good one. */
static driver_t *open_with(void (*damage)(store_message_t *row))
{
    router_config_t config;
    driver_config(&config);
    driver_t *driver = driver_new(&config);
    store_message_t before = good_row(600);
    store_message_t damaged = good_row(700);
    store_message_t after = good_row(800);
    damage(&damaged);
    driver_homes(driver, chain(&before, chain(&damaged, chain(&after, NULL))));
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    return driver;
}

/* Commits the one dead letter that there is. */
static void expect_dead_letter(driver_t *driver, uint64_t id)
{
    static const char damaged[] = "damaged row: ";
    size_t letters = 0;
    for (uint32_t lane = 0; lane < driver->config.lanes; lane++) {
        const lane_batch_t *batch = driver_take_batch(driver, lane);
        for (size_t i = 0; batch && i < batch->end_count; i++) {
            const batch_end_t *end = &batch->ends[i];
            letters++;
            assert_true(end->dead);
            assert_int_equal(end->message->id.value, id);
            assert_int_equal(end->cause, FABRIC_ERROR_DEAD_LETTER);
            assert_true(end->text.size > strlen(damaged));
            assert_memory_equal(end->text.data, damaged, strlen(damaged));
            assert_int_equal(end->reply->id.value, id);
            assert_int_equal(end->reply->status, STATUS_DEFECT);
        }
        if (batch) {
            driver_batch_done(driver, lane);
        }
    }
    assert_int_equal(letters, 1);
}

static void each_damaged_row_is_a_dead_letter_and_the_others_go_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        router_damage_t damage;
        store_message_t damaged = good_row(700);
        damages[i](&damaged);
        driver_t *driver = open_with(damages[i]);
        assert_int_equal(driver_counters(driver).damaged, 1);
        assert_int_equal(driver_counters(driver).pending, 3);
        assert_true(router_next_damage(driver->router, &damage));
        assert_int_equal(damage.id.value, damaged.id.value);
        assert_true(strlen(damage.cause) > 0);
        assert_false(router_next_damage(driver->router, &damage));
        expect_dead_letter(driver, damaged.id.value);
        assert_int_equal(driver_counters(driver).pending, 2);
        const message_deliver_t *first = driver_delivered(driver, "w1", 600, 2);
        const message_deliver_t *second = driver_delivered(driver, "w1", 800, 2);
        assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
        driver_result(driver, "w1", first, STATUS_OK, FABRIC_OK);
        driver_result(driver, "w1", second, STATUS_OK, FABRIC_OK);
        driver_commit(driver);
        assert_int_equal(driver_counters(driver).pending, 0);
        assert_int_equal(driver_counters(driver).ended, 3);
        driver_close(&driver);
    }
}

static void ids_go_on_below_a_damaged_one(void **state)
{
    (void)state;
    driver_t *driver = open_with(id_of_the_last_millisecond);
    driver_commit(driver);
    driver_ask(driver, "c1", 1000, "a", ASK);
    const lane_batch_t *batch =
        driver_take_batch(driver, shard_id_number(good_row(1).shard) % driver->config.lanes);
    assert_non_null(batch);
    assert_int_equal(batch->message_count, 1);
    request_id_t id = batch->messages[0]->id;
    assert_true(id.value > 800);
    assert_true(snowflake_timestamp_ms(id) <=
                driver->config.store_now_ms + (int64_t)driver->now_ms + 1000);
    driver_close(&driver);
}

static void a_row_that_writers_can_have_made_is_no_damage(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    driver_t *driver = driver_new(&config);
    store_message_t row = good_row(700);
    id_of_an_hour_ahead(&row); /* the database's clock went back by an hour */
    driver_hold(driver, 0, 1);
    driver_adopt(driver, 0, chain(&row, NULL), row.id.value);
    assert_int_equal(driver_counters(driver).damaged, 0);
    assert_int_equal(driver_counters(driver).pending, 1);
    driver_close(&driver);
}

static void no_ids_left_is_told(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    driver_t *driver = driver_new(&config);
    driver_hold(driver, 0, 1);
    driver_adopt(driver, 0, NULL, UINT64_MAX); /* a damaged entry */
    router_lease(driver->router, UINT64_MAX, UINT64_MAX);
    driver_map(driver, 2, driver->config.incarnation);
    driver_client(driver, "c1", 1);
    driver_ask(driver, "c1", 1, "a", ASK);
    assert_int_equal(driver_rejected(driver, "c1", 1), FABRIC_ERROR_PERSISTENCE);
    driver_ask(driver, "c1", 2, "a", 0);
    driver_take(driver, "c1", KIND_REDIRECT);
    driver_close(&driver);
}

/* A lane's journal may hold, by damage, a message of a shard of another lane, which another broker
 * may be the home of. */
static void a_message_of_another_lane_is_damaged(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    config.lanes = 2;
    driver_t *driver = driver_new(&config);
    store_message_t row = good_row(700);
    uint32_t own = shard_id_number(row.shard) % config.lanes;
    driver_hold(driver, 1 - own, 1);
    driver_adopt(driver, 1 - own, chain(&row, NULL), 0);
    assert_int_equal(driver_counters(driver).damaged, 1);
    assert_null(driver_take_batch(driver, own));
    expect_dead_letter(driver, 700);
    assert_int_equal(driver_counters(driver).pending, 0);
    driver_close(&driver);
}

/* Another broker may have registered the group's types since this broker has read the types. */
static void a_message_of_a_group_that_is_not_known_yet_is_sound(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    driver_t *driver = driver_new(&config);
    store_message_t row = good_row(700);
    row.shard = shard_id_make(2, shard_id_number(row.shard));
    row.type = fabric_bytes_of("New");
    driver_homes(driver, chain(&row, NULL));
    assert_int_equal(driver_counters(driver).damaged, 0);
    router_desire(driver->router, "New", row.shard, driver_runner(101), driver->now_ms);
    driver_worker_hello(driver, "w1", 101, 1, 10);
    driver_delivered(driver, "w1", 700, 2);
    driver_close(&driver);
}

/* ---- calls that are looked up ---- */

static void look_up(driver_t *driver, uint64_t sequence, const store_message_t *row,
                    const store_reply_t *reply)
{
    uint32_t lane = shard_id_number(row->shard) % driver->config.lanes;
    router_lookup_t lookup;
    driver_ask(driver, "c1", sequence, "a", AGAIN);
    assert_true(router_take_lookup(driver->router, lane, &lookup));
    driver_lookup_found(driver, lane, row, reply);
    router_lookup_done(driver->router, lane, FABRIC_OK, (request_id_t){0}, driver->now_ms);
    driver_pull(driver);
}

static void a_damaged_reply_is_told_as_a_defect(void **state)
{
    static const store_reply_t replies[] = {
        {.status = STATUS_NOT_TAKEN, .error = FABRIC_ERROR_ENTITY_DEFECT},
        {.status = 200, .error = 0},
        {.status = STATUS_OK, .error = FABRIC_ERROR_ENTITY_DEFECT},
        {.status = STATUS_OK, .code = 7},
        {.status = STATUS_FAILURE, .error = 0},
        {.status = STATUS_FAILURE, .error = FABRIC_ERROR_BUSY, .code = 7},
        {.status = STATUS_TYPED_FAILURE, .error = 0, .code = 7},
        {.status = STATUS_DEFECT, .error = UINT32_MAX},
        {.status = STATUS_OK, .payload = {zeros, sizeof zeros}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        driver_t *driver = driver_open();
        store_message_t row = good_row(1);
        driver_client(driver, "c1", 1);
        look_up(driver, 1, &row, &replies[i]);
        const message_reply_t *reply = driver_replied(driver, "c1", 1);
        assert_int_equal(reply->status, STATUS_DEFECT);
        assert_int_equal(reply->error, FABRIC_ERROR_ENTITY_DEFECT);
        assert_int_equal(reply->code, 0);
        assert_int_equal(driver_counters(driver).damaged, 1);
        driver_close(&driver);
    }
}

static void a_damaged_id_is_not_told(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    store_message_t row = good_row(1);
    store_reply_t reply = {.status = STATUS_DEFECT, .error = FABRIC_ERROR_DEAD_LETTER};
    row.id.value = UINT64_MAX;
    driver_client(driver, "c1", 1);
    look_up(driver, 1, &row, &reply);
    assert_int_equal(driver_rejected(driver, "c1", 1), FABRIC_ERROR_PERSISTENCE);
    driver_close(&driver);
}

/* ---- a type that nobody has registered ---- */

static void a_message_of_an_unknown_type_waits_for_a_worker_that_brings_it(void **state)
{
    (void)state;
    static const char *const alive[] = {"w1", NULL};
    router_config_t config;
    driver_config(&config);
    driver_t *driver = driver_new(&config);
    store_message_t row = good_row(700);
    row.type = fabric_bytes_of("Vanished");
    driver_homes(driver, chain(&row, NULL));
    driver_worker(driver, "w1", 101);
    driver_pass_alive(driver, config.registration_ms + 100, alive);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    assert_int_equal(driver_counters(driver).pending, 1);
    assert_int_equal(driver_counters(driver).dead_letters, 0);
    driver->brings = "Vanished";
    driver_type(driver, "Vanished");
    driver_worker_hello(driver, "w2", 102, 1, 10);
    driver_desire_type(driver, "Vanished", 102);
    driver_delivered(driver, "w2", 700, 2);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_damaged_row_is_a_dead_letter_and_the_others_go_on),
        cmocka_unit_test(ids_go_on_below_a_damaged_one),
        cmocka_unit_test(a_row_that_writers_can_have_made_is_no_damage),
        cmocka_unit_test(no_ids_left_is_told),
        cmocka_unit_test(a_message_of_another_lane_is_damaged),
        cmocka_unit_test(a_message_of_a_group_that_is_not_known_yet_is_sound),
        cmocka_unit_test(a_damaged_reply_is_told_as_a_defect),
        cmocka_unit_test(a_damaged_id_is_not_told),
        cmocka_unit_test(a_message_of_an_unknown_type_waits_for_a_worker_that_brings_it),
    };
    return cmocka_run_group_tests_name("rows", tests, NULL, NULL);
}
