/* Lanes with much in them: the router takes an adoption over part by part, and its lane serves
 * after the last part. It also drops a lane part by part, and holds the lane anew after the last
 * part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "core/address.h"
#include "core/memory.h"
#include "core/message.h"
#include "tests/unit/router_check.h"
#include "tests/unit/router_driver.h"

enum { MESSAGES = 20000, PART_MIN = 3000, PART_MAX = 5000, EPOCH = 7 };

typedef struct fixture {
    driver_t *driver;
    store_hold_t hold;
} fixture_t;

static void open_router(fixture_t *f, uint32_t entity_window)
{
    router_config_t config;
    driver_config(&config);
    config.lanes = 1;
    config.entity_window = entity_window;
    f->driver = driver_new(&config);
    f->hold = (store_hold_t){.lane = 0, .holder = config.incarnation, .epoch = EPOCH};
    router_lanes_held(f->driver->router, &f->hold, 1, f->driver->now_ms);
    router_lease(f->driver->router, UINT64_MAX, UINT64_MAX);
}

static void close_router(fixture_t *f)
{
    router_destroy(&f->driver->router);
    driver_free(&f->driver);
}

static int set_up(void **state)
{
    fixture_t *f = calloc(1, sizeof *f);
    assert_non_null(f);
    open_router(f, 1000);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *f = *state;
    close_router(f);
    free(f);
    return 0;
}

static message_t *messages_of_entities(unsigned entities)
{
    message_chain_t chain = {0};
    for (uint64_t i = 0; i < MESSAGES; i++) {
        char name[16];
        int size = snprintf(name, sizeof name, "e%u", (unsigned)(i % entities));
        fabric_bytes_t entity = fabric_bytes(name, (size_t)size);
        uint32_t number = address_shard_number(entity, DRIVER_SHARDS);
        store_message_t message = {.id = {1000 + i},
                                   .shard = shard_id_make(1, (uint16_t)number),
                                   .flags = REQUEST_DURABLE | REQUEST_TELL,
                                   .type = fabric_bytes_of("Counter"),
                                   .entity = entity,
                                   .tag = fabric_bytes_of("Add"),
                                   .call = {9, 1 + i}};
        (void)message_chain_add(&chain, &message, (journal_attempts_t){0}, NULL);
    }
    return chain.first;
}

static message_t *pending_messages(void)
{
    return messages_of_entities(100);
}

static store_backlog_t *backlogs(void)
{
    store_backlog_t *result = memory_allocate(MESSAGES * sizeof *result);
    for (uint64_t i = 0; i < MESSAGES; i++) {
        result[i] =
            (store_backlog_t){.entity_hash = 1 + i, .count = 1, .first = 1 + i, .last = 1 + i};
    }
    return result;
}

static uint64_t pending(const fixture_t *f)
{
    router_counters_t counters;
    router_counters(f->driver->router, &counters);
    return counters.pending;
}

static bool is_adopted(const fixture_t *f)
{
    router_order_t order;
    bool adopted = false;
    while (router_next_order(f->driver->router, &order)) {
        adopted = adopted || order.kind == ROUTER_LANE_ADOPTED;
    }
    return adopted;
}

static void begin(fixture_t *f, adoption_t *adoption)
{
    adoption->hold = f->hold;
    adoption->number = 2;
    adoption->tail_bytes = 1000;
    router_adopted(f->driver->router, adoption, f->driver->now_ms);
    assert_null(adoption->messages);
    assert_null(adoption->backlogs);
}

static void many_messages_are_taken_over_part_by_part(void **state)
{
    fixture_t *f = *state;
    adoption_t adoption = {.messages = pending_messages()};
    begin(f, &adoption);
    uint64_t before = 0;
    while (!is_adopted(f)) {
        assert_in_range(pending(f), before + 1, before + PART_MAX);
        before = pending(f);
        f->driver->now_ms += 10000; /* a checkpoint would be due */
        assert_null(router_take_slice(f->driver->router, 0, f->driver->now_ms));
        assert_true(router_go_on(f->driver->router, f->driver->now_ms));
    }
    assert_int_equal(pending(f), MESSAGES);
    assert_false(router_go_on(f->driver->router, f->driver->now_ms));
    assert_non_null(router_take_slice(f->driver->router, 0, f->driver->now_ms));
}

static void many_entities_are_taken_over_part_by_part(void **state)
{
    fixture_t *f = *state;
    adoption_t adoption = {
        .backlogs = backlogs(), .backlog_count = MESSAGES, .messages = pending_messages()};
    begin(f, &adoption);
    uint64_t before = 0;
    while (!is_adopted(f)) {
        assert_in_range(pending(f), before + 1, before + PART_MAX);
        before = pending(f);
        assert_true(router_go_on(f->driver->router, f->driver->now_ms));
    }
    assert_int_equal(pending(f), 2 * MESSAGES);
}

static void a_lane_may_be_lost_meanwhile(void **state)
{
    fixture_t *f = *state;
    adoption_t adoption = {.messages = pending_messages()};
    begin(f, &adoption);
    router_lane_fenced(f->driver->router, 0, EPOCH, f->driver->now_ms);
    while (router_go_on(f->driver->router, f->driver->now_ms)) {
    }
    assert_int_equal(pending(f), 0);
    f->hold.epoch = EPOCH + 1;
    router_lanes_held(f->driver->router, &f->hold, 1, f->driver->now_ms);
    adoption_t again = {.messages = NULL};
    begin(f, &again);
    assert_true(is_adopted(f));
    assert_int_equal(pending(f), 0);
}

static void a_router_may_end_meanwhile(void **state)
{
    fixture_t *f = *state;
    adoption_t adoption = {.messages = pending_messages()};
    begin(f, &adoption);
    assert_false(is_adopted(f));
}

/* ---- drops ---- */

/* A hold under the next epoch is not taken up while anything of the last one is left. */
static bool holds_anew(fixture_t *f)
{
    store_hold_t next = f->hold;
    next.epoch++;
    router_lanes_held(f->driver->router, &next, 1, f->driver->now_ms);
    store_hold_t due;
    return router_next_adoption(f->driver->router, &due);
}

/* Returns in how many turns the lane was dropped. */
static unsigned drop(fixture_t *f)
{
    uint64_t before = pending(f);
    unsigned turns = 0;
    router_lane_fenced(f->driver->router, 0, EPOCH, f->driver->now_ms);
    assert_false(holds_anew(f));
    do {
        assert_in_range(before - pending(f), 0, PART_MAX);
        before = pending(f);
        turns++;
    } while (router_go_on(f->driver->router, f->driver->now_ms));
    assert_int_equal(pending(f), 0);
    return turns;
}

typedef struct contents {
    unsigned entities;
    uint32_t entity_window;
    bool backlogs;
    unsigned parts; /* messages, entities, and overflows */
} contents_t;

static void a_lane_is_dropped_part_by_part(void **state)
{
    static const contents_t cases[] = {
        {100, 1000, false, MESSAGES + 100},            /* queues */
        {100, 10, false, MESSAGES + 2 * 100},          /* tails */
        {MESSAGES, 1000, false, 2 * MESSAGES},         /* an entity for each message */
        {MESSAGES / 2, 1, false, MESSAGES + MESSAGES}, /* a tail of one message each */
        {100, 1000, true, MESSAGES + 100 + MESSAGES},  /* what only the store has */
    };
    fixture_t *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const contents_t *contents = &cases[i];
        close_router(f);
        open_router(f, contents->entity_window);
        adoption_t adoption = {.messages = messages_of_entities(contents->entities)};
        if (contents->backlogs) {
            adoption.backlogs = backlogs();
            adoption.backlog_count = MESSAGES;
        }
        begin(f, &adoption);
        while (router_go_on(f->driver->router, f->driver->now_ms)) {
        }
        assert_true(is_adopted(f));
        assert_in_range(drop(f), contents->parts / PART_MAX, 1 + contents->parts / PART_MIN);
        assert_null(router_check(f->driver->router));
        assert_true(holds_anew(f));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(many_messages_are_taken_over_part_by_part),
        TEST(many_entities_are_taken_over_part_by_part),
        TEST(a_lane_may_be_lost_meanwhile),
        TEST(a_router_may_end_meanwhile),
        TEST(a_lane_is_dropped_part_by_part),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
