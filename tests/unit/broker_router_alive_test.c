/* Entities that are kept alive: what workers say becomes durable, and each owner is asked for their
 * instances. Cases: NT-03. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "tests/unit/lane_driver.h"

enum { KEPT = ALIVE_BY_HANDLER, BOTH = ALIVE_BY_HANDLER | ALIVE_BY_RESOURCE };

static const char *const peers[] = {"c", "w", "w2", NULL};

static void set_up(home_t **home)
{
    router_config_t config;
    home_config(&config);
    config.lanes = 1;
    *home = home_open(&config);
    home_worker(*home);
}

static void say(home_t *home, const char *peer, const message_alive_t *of, uint32_t causes,
                uint64_t absent)
{
    message_alive_t message = *of;
    message.activation = absent == 1 ? of->activation : 0; /* an answer, if it is of a wake */
    message.causes = causes;
    message.absent = absent;
    driver_send(home->driver, peer, alive, &message);
}

static message_alive_t alive_of(const message_deliver_t *delivery)
{
    return (message_alive_t){.shard = delivery->shard,
                             .home_epoch = delivery->home_epoch,
                             .owner_sequence = delivery->owner_sequence,
                             .type = delivery->type,
                             .id = delivery->id};
}

/* A durable message whose handler says what keeps its entity alive. */
static message_alive_t keep(home_t *home, const char *id, uint32_t causes)
{
    home_tell(home, id, 1);
    home_append(home);
    const message_deliver_t *delivery = driver_delivery(home->driver, "w");
    message_alive_t alive = alive_of(delivery);
    say(home, "w", &alive, causes, 0);
    driver_result(home->driver, "w", delivery, STATUS_OK, FABRIC_OK);
    home_append(home);
    return alive;
}

/* The worker that is asked next for an instance of this entity. */
static message_alive_t expect_wake(home_t *home, const char *peer, const char *id, uint32_t causes)
{
    message_alive_t wake = driver_take(home->driver, peer, KIND_ALIVE)->as.alive;
    assert_true(fabric_bytes_equal(wake.id, fabric_bytes_of(id)));
    assert_true(fabric_bytes_equal(wake.type, fabric_bytes_of("Counter")));
    assert_int_equal(wake.causes, causes);
    assert_int_equal(wake.absent, 0);
    assert_true(wake.activation > 0);
    return wake;
}

/* The same of several entities, in any order: each has an id of one letter. */
static void expect_wakes(home_t *home, const char *peer, const char *ids)
{
    unsigned seen = 0;
    assert_int_equal(driver_count(home->driver, peer, KIND_ALIVE), strlen(ids));
    for (size_t i = 0; i < strlen(ids); i++) {
        message_alive_t wake = driver_take(home->driver, peer, KIND_ALIVE)->as.alive;
        const char *at = memchr(ids, wake.id.data[0], strlen(ids));
        assert_non_null(at);
        seen |= 1u << (at - ids);
    }
    assert_int_equal(seen, (1u << strlen(ids)) - 1);
}

static size_t wakes(home_t *home, const char *peer)
{
    return driver_count(home->driver, peer, KIND_ALIVE);
}

/* The owner "w" dies, and "w2" gets all. */
static void lose_worker(home_t *home)
{
    driver_worker_hello(home->driver, "w2", 8, 1, 10);
    driver_gone(home->driver, "w");
    driver_ping(home->driver, "w");
    driver_pass_alive(home->driver, 1000, peers + 2);
    driver_desire(home->driver, 8);
}

static void what_a_worker_says_is_durable_before_its_result(void **state)
{
    (void)state;
    home_t *home;
    set_up(&home);
    home_tell(home, "a", 1);
    home_append(home);
    const message_deliver_t *delivery = driver_delivery(home->driver, "w");
    message_alive_t alive = alive_of(delivery);
    say(home, "w", &alive, KEPT, 0);
    driver_result(home->driver, "w", delivery, STATUS_OK, FABRIC_OK);
    const lane_batch_t *batch = driver_take_batch(home->driver, 0);
    assert_int_equal(batch->end_count, 1);
    assert_int_equal(batch->kept_count, 1);
    assert_int_equal(batch->kept[0]->causes, KEPT);
    assert_true(fabric_bytes_equal(batch->kept[0]->entity, fabric_bytes_of("a")));
    driver_batch_done(home->driver, 0);
    home_close(&home);
}

static void rows_follow_what_stands(void **state)
{
    (void)state;
    home_t *home;
    set_up(&home);
    message_alive_t alive = keep(home, "a", KEPT);
    assert_int_equal(lane_kept_causes(home->store.kept, "a"), KEPT);
    assert_int_equal(lane_kept_row(home->store.kept, "a"), 0);
    home_checkpoint(home);
    assert_int_equal(lane_kept_row(home->store.kept, "a"), KEPT);
    say(home, "w", &alive, BOTH, 0);
    home_append(home);
    home_checkpoint(home);
    assert_int_equal(lane_kept_row(home->store.kept, "a"), BOTH);
    say(home, "w", &alive, 0, 0);
    home_append(home);
    assert_int_equal(home_counters(home).kept_alive, 0);
    home_checkpoint(home);
    assert_int_equal(lane_kept_row(home->store.kept, "a"), 0);
    assert_int_equal(home_counters(home).kept_alive, 0);
    home_close(&home);
}

static void what_is_said_again_costs_no_record(void **state)
{
    (void)state;
    home_t *home;
    set_up(&home);
    message_alive_t alive = keep(home, "a", KEPT);
    say(home, "w", &alive, KEPT, 0);
    assert_null(driver_take_batch(home->driver, 0));
    say(home, "w", &alive, 0, 0);
    say(home, "w", &alive, KEPT, 0); /* both are in one entry */
    home_append(home);
    assert_int_equal(lane_kept_causes(home->store.kept, "a"), KEPT);
    say(home, "w", &alive, 0, 0);
    say(home, "w", &alive, 0, 0);
    home_append(home);
    home_checkpoint(home);
    say(home, "w", &alive, 0, 0); /* of an entity that nobody knows */
    assert_null(driver_take_batch(home->driver, 0));
    home_close(&home);
}

static void test_nt_03_the_next_owner_is_asked_for_the_instance(void **state)
{
    (void)state;
    home_t *home;
    set_up(&home);
    (void)keep(home, "a", KEPT);
    message_alive_t off = keep(home, "b", KEPT);
    say(home, "w", &off, 0, 0);
    home_append(home);
    assert_int_equal(wakes(home, "w"), 0);
    lose_worker(home);
    message_alive_t wake = expect_wake(home, "w2", "a", KEPT);
    say(home, "w2", &wake, KEPT, 0);
    assert_int_equal(wakes(home, "w2"), 0);
    home_append(home);
    home_close(&home);
}

static void test_nt_03_the_next_home_asks_for_it_too(void **state)
{
    (void)state;
    home_t *home;
    set_up(&home);
    (void)keep(home, "a", KEPT);
    (void)keep(home, "b", BOTH);
    home_checkpoint(home); /* these have rows */
    (void)keep(home, "c", KEPT);
    message_alive_t alive = keep(home, "b", BOTH);
    say(home, "w", &alive, 0, 0);
    home_append(home); /* the entries know more */
    for (unsigned i = 0; i < 2; i++) {
        home_kill(home);
        home_worker(home);
        expect_wakes(home, "w", "ac");
        home_checkpoint(home);
        assert_int_equal(lane_kept_row(home->store.kept, "a"), KEPT);
        assert_int_equal(lane_kept_row(home->store.kept, "b"), 0);
        assert_int_equal(lane_kept_row(home->store.kept, "c"), KEPT);
        assert_int_equal(home_counters(home).kept_alive, 2);
    }
    home_close(&home);
}

static void clear(home_t *home, const char *id)
{
    wire_writer_t argument = {0};
    wire_put_array(&argument, 2);
    wire_put_bin(&argument, fabric_bytes_of("Counter"));
    wire_put_bin(&argument, fabric_bytes_of(id));
    message_query_t query = {
        .sequence = 77, .name = fabric_bytes_of("clear"), .argument = wire_writer_bytes(&argument)};
    driver_send(home->driver, "c", query, &query);
    wire_writer_destroy(&argument);
}

/* The next entry only. */
static void append_one(home_t *home, const lane_batch_t *batch)
{
    assert_true(batch->clear_count > 0);
    uint64_t entry = lane_model_append(&home->store, 0, batch);
    router_batch_done(home->driver->router, 0, FABRIC_OK, entry, home->store.rows[0].entry_bytes,
                      home->driver->now_ms);
    driver_pull(home->driver);
}

static void test_ms_01_a_cleared_entity_is_not_kept(void **state)
{
    (void)state;
    home_t *home;
    set_up(&home);
    (void)keep(home, "a", KEPT);
    (void)keep(home, "b", KEPT);
    message_alive_t late = keep(home, "c", KEPT);
    home_checkpoint(home);
    say(home, "w", &late, BOTH, 0); /* is in the same entry, and before */
    clear(home, "a");
    clear(home, "c");
    assert_int_equal(home_counters(home).kept_alive, 3); /* nothing happens before it is durable */
    home_append(home);
    assert_int_equal(home_counters(home).kept_alive, 1);
    assert_int_equal(lane_kept_causes(home->store.kept, "a"), 0);
    assert_int_equal(lane_kept_causes(home->store.kept, "c"), 0);
    home_append(home);
    home_checkpoint(home);
    assert_int_equal(lane_kept_row(home->store.kept, "a"), 0);
    assert_int_equal(lane_kept_row(home->store.kept, "c"), 0);
    lose_worker(home);
    driver_pass_alive(home->driver, 1000, peers + 2);
    expect_wakes(home, "w2", "b");
    home_close(&home);
}

/* The entry with the clear is enough: the home dies before it has appended anything else. */
static void die_after_clear(bool checkpoint)
{
    home_t *home;
    set_up(&home);
    (void)keep(home, "a", KEPT);
    home_checkpoint(home);
    (void)keep(home, "b", KEPT); /* has no row */
    clear(home, "a");
    clear(home, "b");
    append_one(home, driver_take_batch(home->driver, 0));
    if (checkpoint) {
        home_checkpoint(home);
        assert_int_equal(lane_kept_row(home->store.kept, "a"), 0);
    }
    home_kill(home);
    home_worker(home);
    driver_pass_alive(home->driver, 1000, peers);
    assert_int_equal(wakes(home, "w"), 0);
    home_checkpoint(home);
    assert_int_equal(lane_kept_row(home->store.kept, "a"), 0);
    home_close(&home);
}

static void test_ms_01_the_next_home_knows_that_an_entity_was_cleared(void **state)
{
    (void)state;
    die_after_clear(false);
    die_after_clear(true);
}

/* What the instance that ends has said meanwhile does not count for long. */
static void a_wish_that_crosses_a_clear_is_taken_back(void **state)
{
    (void)state;
    home_t *home;
    set_up(&home);
    message_alive_t alive = keep(home, "a", KEPT);
    clear(home, "a");
    const lane_batch_t *batch = driver_take_batch(home->driver, 0);
    say(home, "w", &alive, BOTH, 0); /* comes into the next entry */
    append_one(home, batch);
    home_append(home);
    assert_int_equal(home_counters(home).kept_alive, 0);
    assert_int_equal(lane_kept_causes(home->store.kept, "a"), 0);
    say(home, "w", &alive, KEPT, 0); /* before it has heard of the clear */
    say(home, "w", &alive, 0, 0);
    home_append(home);
    assert_int_equal(lane_kept_causes(home->store.kept, "a"), 0);
    home_checkpoint(home);
    assert_int_equal(lane_kept_row(home->store.kept, "a"), 0);
    home_close(&home);
}

/* Ids of one shard. */
static void same_shard(char (*ids)[16], unsigned count)
{
    unsigned found = 0;
    for (unsigned i = 0; found < count; i++) {
        snprintf(ids[found], sizeof ids[found], "e%u", i);
        found += address_shard_number(fabric_bytes_of(ids[found]), DRIVER_SHARDS) == 1;
    }
}

enum { MANY = 50, WINDOW = 16 };

static message_alive_t take_wake(home_t *home)
{
    return driver_take(home->driver, "w2", KIND_ALIVE)->as.alive;
}

static home_t *open_with_many(char (*ids)[16], unsigned count)
{
    home_t *home;
    same_shard(ids, count);
    set_up(&home);
    for (unsigned i = 0; i < count; i++) {
        (void)keep(home, ids[i], KEPT);
    }
    lose_worker(home);
    return home;
}

static void many_are_asked_for_part_by_part(void **state)
{
    (void)state;
    char ids[MANY][16];
    home_t *home = open_with_many(ids, MANY);
    assert_int_equal(wakes(home, "w2"), WINDOW);
    for (unsigned i = 0; i < MANY; i++) {
        message_alive_t wake = take_wake(home);
        say(home, "w2", &wake, KEPT, 0);
        unsigned left = MANY - i - 1;
        assert_int_equal(wakes(home, "w2"), left < WINDOW ? left : WINDOW);
    }
    home_close(&home);
}

/* An owner that has no room is asked for one instance after each pause, until it has made one. */
static void an_owner_without_a_place_is_asked_less(void **state)
{
    (void)state;
    char ids[MANY][16];
    home_t *home = open_with_many(ids, MANY);
    for (unsigned i = 0; i < WINDOW; i++) {
        message_alive_t wake = take_wake(home);
        say(home, "w2", &wake, KEPT, 1);
    }
    assert_int_equal(wakes(home, "w2"), 0);
    driver_pass_alive(home->driver, 20000, peers);
    message_alive_t wake = take_wake(home);
    driver_pass_alive(home->driver, 20000, peers);
    assert_int_equal(wakes(home, "w2"), 0);
    say(home, "w2", &wake, KEPT, 1);
    driver_pass_alive(home->driver, 9900, peers); /* the longest pause has 10 s */
    assert_int_equal(wakes(home, "w2"), 0);
    driver_pass_alive(home->driver, 200, peers);
    wake = take_wake(home);
    say(home, "w2", &wake, KEPT, 0);
    assert_int_equal(wakes(home, "w2"), WINDOW);
    assert_null(driver_take_batch(home->driver, 0));
    home_close(&home);
}

/* One that made room for a message is asked for after a pause, which others do not make longer. */
static void evicted_entities_are_asked_for_one_by_one(void **state)
{
    (void)state;
    char ids[3][16];
    message_alive_t alive[3];
    home_t *home;
    same_shard(ids, 3);
    set_up(&home);
    for (unsigned i = 0; i < 3; i++) {
        alive[i] = keep(home, ids[i], KEPT);
    }
    for (unsigned i = 0; i < 3; i++) {
        say(home, "w", &alive[i], KEPT, 1);
        driver_pass_alive(home->driver, 150, peers);
        assert_int_equal(wakes(home, "w"), 0);
    }
    uint64_t pause_ms = 0;
    for (unsigned i = 0; i < 6; i++) { /* the first pause has 500 ms */
        for (; wakes(home, "w") == 0; pause_ms += 50) {
            driver_pass_alive(home->driver, 50, peers);
        }
        assert_true(i > 0 || pause_ms <= 100);
        message_alive_t wake = expect_wake(home, "w", ids[i % 3], KEPT);
        say(home, "w", &wake, KEPT, 1);
        assert_int_equal(wakes(home, "w"), 0);
    }
    assert_true(pause_ms > 5000);
    assert_null(driver_take_batch(home->driver, 0));
    home_close(&home);
}

/* Most of those that an owner has left are not wanted any more, though their rows are there. */
static void those_that_an_owner_has_left_are_looked_at_part_by_part(void **state)
{
    (void)state;
    enum { ENDED = 300 };
    char ids[ENDED + 1][16];
    home_t *home;
    same_shard(ids, ENDED + 1);
    set_up(&home);
    for (unsigned i = 0; i <= ENDED; i++) {
        message_alive_t alive = keep(home, ids[i], KEPT);
        say(home, "w", &alive, i < ENDED ? 0 : KEPT, 0);
    }
    lose_worker(home);
    assert_int_equal(wakes(home, "w2"), 0);
    driver_pass_alive(home->driver, 200, peers);
    (void)expect_wake(home, "w2", ids[ENDED], KEPT);
    home_close(&home);
}

/* An instance that ended with a defect is wanted again, after a pause. */
static void an_instance_that_has_ended_is_asked_for_again(void **state)
{
    (void)state;
    home_t *home;
    set_up(&home);
    message_alive_t alive = keep(home, "a", KEPT);
    say(home, "w", &alive, KEPT, 1);
    assert_int_equal(wakes(home, "w"), 0);
    driver_pass_alive(home->driver, 400, peers);
    assert_int_equal(wakes(home, "w"), 0);
    driver_pass_alive(home->driver, 200, peers);
    message_alive_t wake = expect_wake(home, "w", "a", KEPT);
    say(home, "w", &wake, 0, 0); /* a handler has said otherwise meanwhile */
    driver_pass_alive(home->driver, 20000, peers);
    assert_int_equal(wakes(home, "w"), 0);
    home_append(home);
    assert_int_equal(lane_kept_causes(home->store.kept, "a"), 0);
    home_close(&home);
}

/* Messages of its last activation are still to come back: a new instance would take them. */
static void an_entity_that_restarts_is_asked_for_later(void **state)
{
    (void)state;
    home_t *home;
    set_up(&home);
    message_alive_t alive = keep(home, "a", KEPT);
    home_tell(home, "a", 2);
    home_append(home);
    const message_deliver_t *first = driver_delivery(home->driver, "w");
    const message_deliver_t *second = driver_delivery(home->driver, "w");
    driver_result(home->driver, "w", first, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    say(home, "w", &alive, KEPT, 1);
    driver_pass_alive(home->driver, 2000, peers);
    assert_int_equal(wakes(home, "w"), 0);
    driver_result(home->driver, "w", second, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_DEFECT);
    driver_pass_alive(home->driver, 100, peers);
    message_alive_t wake = expect_wake(home, "w", "a", KEPT);
    assert_true(wake.activation > first->activation);
    home_close(&home);
}

static void only_the_owner_is_heard(void **state)
{
    (void)state;
    home_t *home;
    set_up(&home);
    message_alive_t alive = keep(home, "a", 0);
    uint64_t refused = home_counters(home).results_refused;
    driver_worker_hello(home->driver, "w2", 8, 1, 10);
    say(home, "w2", &alive, KEPT, 0);
    message_alive_t wrong = alive;
    wrong.owner_sequence++;
    say(home, "w", &wrong, KEPT, 0);
    wrong = alive;
    wrong.type = fabric_bytes_of("Other");
    say(home, "w", &wrong, KEPT, 0);
    wrong = alive;
    wrong.id = fabric_bytes_of("of another shard");
    say(home, "w", &wrong, KEPT, 0);
    wrong = alive;
    wrong.shard = UINT64_C(1) << 40;
    say(home, "w", &wrong, KEPT, 0);
    assert_int_equal(home_counters(home).results_refused, refused + 5);
    uint64_t malformed = home_counters(home).malformed;
    wrong = alive;
    wrong.id = fabric_bytes_of("");
    say(home, "w", &wrong, KEPT, 0);
    say(home, "w", &alive, 0, 1);
    say(home, "w", &alive, KEPT, 2);
    assert_int_equal(home_counters(home).malformed, malformed + 3);
    assert_null(driver_take_batch(home->driver, 0));
    assert_int_equal(home_counters(home).kept_alive, 0);
    home_close(&home);
}

/* What a handler says counts, also if it crosses what the home asks for. */
static void an_answer_does_not_undo_what_was_said_before(void **state)
{
    (void)state;
    home_t *home;
    set_up(&home);
    (void)keep(home, "a", KEPT);
    lose_worker(home);
    message_alive_t wake = expect_wake(home, "w2", "a", KEPT);
    say(home, "w2", &wake, 0, 0);
    say(home, "w2", &wake, KEPT, 1);
    home_append(home);
    assert_int_equal(lane_kept_causes(home->store.kept, "a"), 0);
    driver_pass_alive(home->driver, 20000, peers);
    assert_int_equal(wakes(home, "w2"), 0);
    home_close(&home);
}

/* Owners that die while they make an instance may die of it. */
static void an_entity_that_ends_its_owners_is_set_aside(void **state)
{
    (void)state;
    home_t *home;
    set_up(&home);
    message_alive_t alive = keep(home, "a", KEPT);
    (void)alive;
    uint32_t deaths = home->driver->config.crashes_max;
    char name[16] = "w";
    for (unsigned i = 0; i < deaths + 1; i++) { /* the first dies of something else */
        char next[16];
        snprintf(next, sizeof next, "n%u", i);
        driver_worker_hello(home->driver, next, 20 + i, 1, 10);
        driver_gone(home->driver, name);
        driver_ask(home->driver, "c", home->next++, "other", 0); /* cannot be sent to it */
        const char *const living[] = {next, "c", NULL};
        driver_pass_alive(home->driver, 1000, living);
        driver_desire(home->driver, 20 + i);
        assert_int_equal(wakes(home, next), i < deaths);
        driver_forget(home->driver);
        strcpy(name, next);
    }
    assert_int_equal(home_counters(home).kept_aside, 1);
    home_kill(home); /* the next home tries again */
    home_worker(home);
    (void)expect_wake(home, "w", "a", KEPT);
    home_close(&home);
}

static void a_lane_takes_its_entities_along(void **state)
{
    (void)state;
    home_t *home;
    set_up(&home);
    (void)keep(home, "a", KEPT);
    message_alive_t alive = keep(home, "b", KEPT);
    say(home, "w", &alive, BOTH, 0); /* is not durable when the lane is lost */
    driver_hold(home->driver, 0, 0);
    while (router_go_on(home->driver->router, home->driver->now_ms)) {
    }
    assert_int_equal(home_counters(home).kept_alive, 0);
    driver_forget(home->driver);
    home_adopt(home, 0);
    assert_int_equal(home_counters(home).kept_alive, 2);
    driver_desire(home->driver, 9);
    expect_wakes(home, "w", "ab");
    home_close(&home);
}

/* One more than the limit is not kept; what was adopted stays. */
static void a_lane_keeps_so_many_alive(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    config.lanes = 1;
    home_t *home = home_open(&config);
    driver_hold(home->driver, 0, 0);
    while (router_go_on(home->driver->router, home->driver->now_ms)) {
    }
    adoption_t adoption = {.hold = {0, config.incarnation, 99}, .number = 7};
    char(*names)[16] = malloc(LIMIT_KEPT_ALIVE_MAX * sizeof *names);
    adoption.kept = calloc(LIMIT_KEPT_ALIVE_MAX, sizeof *adoption.kept);
    adoption.kept_count = LIMIT_KEPT_ALIVE_MAX;
    adoption.kept_names = (uint8_t *)names;
    for (unsigned i = 0; i < LIMIT_KEPT_ALIVE_MAX; i++) {
        snprintf(names[i], sizeof names[i], "n%u", i);
        fabric_bytes_t id = fabric_bytes_of(names[i]);
        uint16_t number = (uint16_t)address_shard_number(id, DRIVER_SHARDS);
        adoption.kept[i] = (store_kept_t){.type = fabric_bytes_of("Counter"),
                                          .entity = id,
                                          .shard = shard_id_make(1, number),
                                          .number = 5,
                                          .causes = KEPT};
    }
    driver_hold(home->driver, 0, 99);
    home->store.rows[0].epoch = 99;
    router_adopted(home->driver->router, &adoption, home->driver->now_ms);
    while (router_go_on(home->driver->router, home->driver->now_ms)) {
    }
    driver_pull(home->driver);
    assert_int_equal(home_counters(home).kept_alive, LIMIT_KEPT_ALIVE_MAX);
    home_worker(home);
    assert_int_equal(wakes(home, "w"), DRIVER_SHARDS * WINDOW);
    driver_ask(home->driver, "c", 1, "more", 0);
    const message_deliver_t *delivery = driver_delivery(home->driver, "w");
    message_alive_t alive = alive_of(delivery);
    say(home, "w", &alive, KEPT, 0);
    assert_int_equal(home_counters(home).kept_refused, 1);
    assert_int_equal(home_counters(home).kept_alive, LIMIT_KEPT_ALIVE_MAX);
    assert_null(driver_take_batch(home->driver, 0));
    router_destroy(&home->driver->router);
    driver_free(&home->driver);
    lane_model_clear(&home->store);
    free(home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_worker_says_is_durable_before_its_result),
        cmocka_unit_test(rows_follow_what_stands),
        cmocka_unit_test(what_is_said_again_costs_no_record),
        cmocka_unit_test(test_nt_03_the_next_owner_is_asked_for_the_instance),
        cmocka_unit_test(test_nt_03_the_next_home_asks_for_it_too),
        cmocka_unit_test(test_ms_01_a_cleared_entity_is_not_kept),
        cmocka_unit_test(test_ms_01_the_next_home_knows_that_an_entity_was_cleared),
        cmocka_unit_test(a_wish_that_crosses_a_clear_is_taken_back),
        cmocka_unit_test(many_are_asked_for_part_by_part),
        cmocka_unit_test(an_owner_without_a_place_is_asked_less),
        cmocka_unit_test(evicted_entities_are_asked_for_one_by_one),
        cmocka_unit_test(those_that_an_owner_has_left_are_looked_at_part_by_part),
        cmocka_unit_test(an_instance_that_has_ended_is_asked_for_again),
        cmocka_unit_test(an_entity_that_restarts_is_asked_for_later),
        cmocka_unit_test(only_the_owner_is_heard),
        cmocka_unit_test(an_answer_does_not_undo_what_was_said_before),
        cmocka_unit_test(an_entity_that_ends_its_owners_is_set_aside),
        cmocka_unit_test(a_lane_takes_its_entities_along),
        cmocka_unit_test(a_lane_keeps_so_many_alive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
