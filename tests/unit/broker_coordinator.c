/* The coordinator's core with scripted store answers: election, what counts as silence, fences,
 * homes, placement, admission and the map. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "broker/coordinator.h"
#include "core/type_description.h"

#define LEASE_MS 3000
#define SHARDS   12

static const incarnation_t self = {{1}};
static const incarnation_t other = {{2}};
static const incarnation_t third = {{3}};
static const incarnation_t runner_a = {{0xa}};
static const incarnation_t runner_b = {{0xb}};

/* A store whose tables the tests set by hand. */
typedef struct script {
    coordinator_t *c;
    uint64_t now_ms;
    store_broker_t brokers[4];
    size_t broker_count;
    bool silent[4]; /* the others raise their counters by themselves */
    uint32_t living_count;
    store_coordinator_t row;
    store_shard_t shards[3 * SHARDS];
    size_t shard_count;
    coordinator_group_t groups[3];
    size_t group_count;
    uint8_t descriptions[8][512];
    store_type_t types[8];
    size_t type_count;
    store_runner_t runners[4];
    size_t runner_count;
    fabric_error_t fail[COORDINATOR_REMOVE_RUNNER + 1]; /* what such calls answer */
    uint32_t calls[COORDINATOR_REMOVE_RUNNER + 1];
    /* effects so far */
    uint32_t fenced, elected, ready, homes, home_shards, desires, maps, types_seen, admitted;
    bool scan;
    uint64_t from, lease_ms;
    fabric_error_t admission;
    char text[512];
    incarnation_t desired[4][SHARDS + 1];
    shard_map_t *map;
    map_version_t version;
    bool hold_load; /* the router is slow to load */
} script_t;

static void add_broker(script_t *s, incarnation_t incarnation)
{
    store_broker_t *broker = &s->brokers[s->broker_count++];
    *broker = (store_broker_t){.incarnation = incarnation, .counter = 1};
    snprintf(broker->router_endpoint, sizeof broker->router_endpoint, "tcp://127.0.0.1:%u",
             incarnation.bytes[0]);
}

static void add_group(script_t *s, const char *name, incarnation_t home, uint64_t epoch)
{
    coordinator_group_t *group = &s->groups[s->group_count++];
    group->number = (uint16_t)s->group_count;
    snprintf(group->name, sizeof group->name, "%s", name);
    for (uint16_t n = 1; n <= SHARDS; n++) {
        s->shards[s->shard_count++] = (store_shard_t){.shard = shard_id_make(group->number, n),
                                                      .home = home,
                                                      .home_epoch = epoch,
                                                      .mark = 1000u + n};
    }
}

static int set_up(void **state)
{
    script_t *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->now_ms = 1000000;
    coordinator_config_t config = {self, SHARDS, LEASE_MS};
    s->c = coordinator_new(&config, s->now_ms);
    s->map = shard_map_new();
    shard_map_set_shards_per_group(s->map, SHARDS);
    add_broker(s, self);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    script_t *s = *state;
    coordinator_destroy(&s->c);
    shard_map_destroy(&s->map);
    free(s);
    return 0;
}

/* ---- the store ---- */

static bool lives(const coordinator_call_t *call, incarnation_t incarnation)
{
    for (size_t i = 0; i < call->living_count; i++) {
        if (incarnation_equal(call->living[i], incarnation)) {
            return true;
        }
    }
    return false;
}

static void take_homes(script_t *s, const coordinator_call_t *call)
{
    s->living_count = (uint32_t)call->living_count;
    size_t kept = 0;
    for (size_t i = 0; i < s->broker_count; i++) {
        if (lives(call, s->brokers[i].incarnation)) {
            s->silent[kept] = s->silent[i];
            s->brokers[kept++] = s->brokers[i];
        }
    }
    s->broker_count = kept;
    for (size_t i = 0; i < s->shard_count; i++) {
        if (!lives(call, s->shards[i].home)) {
            s->shards[i].home = call->self;
            s->shards[i].home_epoch++;
        }
    }
}

static void put_type(script_t *s, const store_type_t *type)
{
    size_t i = 0;
    while (i < s->type_count && !fabric_bytes_equal(s->types[i].name, type->name)) {
        i++;
    }
    s->type_count += i == s->type_count ? 1 : 0;
    uint8_t *copy = s->descriptions[i];
    memcpy(copy, type->description.data, type->description.size);
    s->types[i].group = type->group;
    s->types[i].description = fabric_bytes(copy, type->description.size);
    wire_reader_t reader = wire_reader(s->types[i].description);
    (void)wire_get_array(&reader);
    s->types[i].name = wire_get_str(&reader);
}

static void change(script_t *s, const coordinator_call_t *call, coordinator_results_t *results)
{
    if (call->kind == COORDINATOR_TAKE_TERM) {
        s->row = (store_coordinator_t){call->before.term + 1, call->self};
        results->term = s->row.term;
    } else if (call->kind == COORDINATOR_TAKE_HOMES) {
        take_homes(s, call);
    } else if (call->kind == COORDINATOR_PUT_GROUP) {
        char name[256] = "";
        memcpy(name, call->name.data, call->name.size);
        add_group(s, name, call->self, 1);
        results->group = (uint16_t)s->group_count;
    } else if (call->kind == COORDINATOR_PUT_TYPE) {
        put_type(s, &call->type);
    } else if (call->kind == COORDINATOR_PUT_RUNNER) {
        s->runners[s->runner_count++] = call->runner;
    } else if (call->kind == COORDINATOR_REMOVE_RUNNER) {
        s->runner_count = 0;
    }
}

static void answer(script_t *s, const coordinator_call_t *call)
{
    s->calls[call->kind]++;
    for (size_t i = 0; i < s->broker_count; i++) {
        s->brokers[i].counter += s->silent[i] ? 0 : 1;
    }
    coordinator_results_t results = {.coordinator = s->row};
    fabric_error_t error = s->fail[call->kind];
    if (!error) {
        change(s, call, &results);
    }
    results.brokers = s->brokers;
    results.broker_count = s->broker_count;
    results.shards = s->shards;
    results.shard_count = s->shard_count;
    results.groups = s->groups;
    results.group_count = s->group_count;
    results.types = s->types;
    results.type_count = s->type_count;
    results.runners = s->runners;
    results.runner_count = s->runner_count;
    coordinator_answer(s->c, error, error ? NULL : &results, s->now_ms);
}

/* ---- the router ---- */

static void take_effect(script_t *s, const coordinator_effect_t *effect)
{
    switch (effect->kind) {
    case COORDINATOR_FENCED:
        s->fenced++;
        break;
    case COORDINATOR_ELECTED:
        s->elected++;
        break;
    case COORDINATOR_READY:
        s->ready++;
        break;
    case COORDINATOR_LEASE:
        s->lease_ms = effect->number;
        break;
    case COORDINATOR_HOMES:
        s->homes++;
        s->home_shards += (uint32_t)effect->shard_count;
        s->scan = effect->scan;
        s->from = effect->from.value;
        break;
    case COORDINATOR_TYPE:
        s->types_seen++;
        break;
    case COORDINATOR_ADMITTED:
        s->admitted++;
        s->admission = effect->error;
        snprintf(s->text, sizeof s->text, "%s", (const char *)effect->bytes);
        break;
    case COORDINATOR_DESIRE:
        s->desires++;
        s->desired[shard_id_group(effect->shard)][shard_id_number(effect->shard)] = effect->runner;
        break;
    case COORDINATOR_MAP:
        s->maps++;
        s->version = effect->version;
        assert_int_equal(shard_map_apply(s->map, fabric_bytes(effect->bytes, effect->size), NULL),
                         FABRIC_OK);
        break;
    }
}

static void take_effects(script_t *s)
{
    coordinator_effect_t effect;
    while (coordinator_next_effect(s->c, &effect)) {
        bool load = effect.kind == COORDINATOR_HOMES && !s->hold_load;
        take_effect(s, &effect);
        coordinator_effect_clear(&effect);
        if (load) {
            coordinator_loaded(s->c, s->now_ms);
        }
    }
}

static void pump(script_t *s)
{
    coordinator_call_t call;
    while (coordinator_next_call(s->c, s->now_ms, &call)) {
        answer(s, &call);
        take_effects(s);
    }
    coordinator_tick(s->c, s->now_ms);
    take_effects(s);
}

/* Lets time pass in steps, as the shell would. */
static void pass(script_t *s, uint64_t duration_ms, uint64_t step_ms)
{
    for (uint64_t until_ms = s->now_ms + duration_ms; s->now_ms < until_ms;) {
        s->now_ms += step_ms;
        pump(s);
    }
}

static void order(script_t *s, router_order_kind_t kind, incarnation_t runner, uint32_t weight)
{
    router_order_t event = {.kind = kind, .runner = runner, .weight = weight};
    coordinator_order(s->c, &event, s->now_ms);
    take_effects(s);
}

/* A type "name" of `group` with one message "Go", durable or not. */
static void put_description(wire_writer_t *writer, const char *name, const char *group,
                            bool durable)
{
    message_description_t message = {.tag = "Go", .durable = durable};
    type_description_t type = {
        .mailbox_capacity = 16, .concurrency = 1, .messages = &message, .message_count = 1};
    snprintf(type.name, sizeof type.name, "%s", name);
    snprintf(type.group, sizeof type.group, "%s", group);
    message.request = message.reply = (fabric_schema_t *)(uintptr_t)&fabric_schema_empty;
    type_description_put(&type, writer);
}

typedef struct brought {
    const char *name, *group;
    bool durable;
} brought_t;

static void admit(script_t *s, incarnation_t runner, const brought_t *types, uint32_t count)
{
    wire_writer_t writer = {0};
    wire_put_array(&writer, count);
    for (uint32_t i = 0; i < count; i++) {
        put_description(&writer, types[i].name, types[i].group, types[i].durable);
    }
    router_order_t event = {.kind = ROUTER_ADMIT,
                            .runner = runner,
                            .weight = 100,
                            .types = writer.data,
                            .types_size = writer.size};
    coordinator_order(s->c, &event, s->now_ms);
    wire_writer_destroy(&writer);
    take_effects(s);
}

static uint32_t owned(const script_t *s, uint16_t group, incarnation_t runner)
{
    uint32_t count = 0;
    for (uint32_t n = 1; n <= SHARDS; n++) {
        count += incarnation_equal(s->desired[group][n], runner) ? 1 : 0;
    }
    return count;
}

static const brought_t counter = {"Counter", "default", true};

/* ---- election ---- */

static void first_broker_takes_the_term(void **state)
{
    script_t *s = *state;
    pump(s);
    assert_true(coordinator_holds_term(s->c));
    assert_int_equal(s->row.term, 1);
    assert_int_equal(s->elected, 1);
    assert_int_equal(s->ready, 1);
    assert_int_equal(s->homes, 0);
    assert_int_equal(s->lease_ms, s->now_ms + LEASE_MS);
    assert_int_equal(s->version.term, 1);
}

static void holder_that_is_no_member_is_replaced_at_once(void **state)
{
    script_t *s = *state;
    s->row = (store_coordinator_t){7, other};
    add_group(s, "default", other, 3);
    pump(s);
    assert_int_equal(s->row.term, 8);
    assert_int_equal(s->homes, 1);
    assert_int_equal(s->home_shards, SHARDS);
    assert_true(s->scan);
    assert_int_equal(s->from, 1001);
    assert_int_equal(s->shards[0].home_epoch, 4);
    assert_int_equal(s->ready, 1);
}

static void living_holder_is_left_alone(void **state)
{
    script_t *s = *state;
    s->row = (store_coordinator_t){7, other};
    add_broker(s, other);
    add_group(s, "default", other, 3);
    pass(s, 5 * LEASE_MS, 50);
    assert_false(coordinator_holds_term(s->c));
    assert_int_equal(s->calls[COORDINATOR_TAKE_TERM], 0);
    assert_int_equal(s->homes, 0);
    assert_int_equal(s->ready, 1);
    /* The standby's map names the home, and yields to the holder's first one. */
    assert_int_equal(s->version.term, 6);
    const map_shard_t *shard = shard_map_shard(s->map, shard_id_make(1, 5));
    assert_true(incarnation_equal(shard->home, other));
    assert_string_equal(shard_map_broker(s->map, other)->router_endpoint, "tcp://127.0.0.1:2");
}

static void silent_holder_is_replaced_after_a_lease(void **state)
{
    script_t *s = *state;
    s->row = (store_coordinator_t){7, other};
    add_broker(s, other);
    add_group(s, "default", other, 3);
    pass(s, 1000, 50);
    s->silent[1] = true;
    pass(s, LEASE_MS - 300, 50);
    assert_false(coordinator_holds_term(s->c));
    pass(s, 800, 50);
    assert_true(coordinator_holds_term(s->c));
    assert_int_equal(s->broker_count, 1); /* the dead one is fenced and forgotten */
    assert_int_equal(s->home_shards, SHARDS);
    assert_int_equal(s->version.term, 8);
}

static void readings_far_apart_count_no_silence(void **state)
{
    script_t *s = *state;
    s->row = (store_coordinator_t){7, other};
    add_broker(s, other);
    pass(s, 1000, 50);
    s->silent[1] = true;
    pass(s, 10 * LEASE_MS, 1100); /* a process that is paused again and again */
    assert_false(coordinator_holds_term(s->c));
}

static void outage_gives_everybody_a_full_lease_again(void **state)
{
    script_t *s = *state;
    s->row = (store_coordinator_t){7, other};
    add_broker(s, other);
    pass(s, 1000, 50);
    s->silent[1] = true;
    pass(s, LEASE_MS - 500, 50);
    for (int kind = 0; kind <= COORDINATOR_REMOVE_RUNNER; kind++) {
        s->fail[kind] = FABRIC_ERROR_STORE_UNAVAILABLE;
    }
    pass(s, 10 * LEASE_MS, 50);
    memset(s->fail, 0, sizeof s->fail);
    pass(s, LEASE_MS - 500, 50);
    assert_false(coordinator_holds_term(s->c));
    pass(s, 1200, 50);
    assert_true(coordinator_holds_term(s->c));
}

static void race_for_the_term_is_lost_without_harm(void **state)
{
    script_t *s = *state;
    s->fail[COORDINATOR_TAKE_TERM] = FABRIC_ERROR_FENCED;
    coordinator_call_t call;
    for (int i = 0; i < 4 && coordinator_next_call(s->c, s->now_ms, &call); i++) {
        answer(s, &call);
    }
    assert_int_equal(s->calls[COORDINATOR_TAKE_TERM], 1);
    s->row = (store_coordinator_t){1, other};
    add_broker(s, other);
    pass(s, 1000, 50);
    assert_int_equal(s->fenced, 0);
    assert_int_equal(s->calls[COORDINATOR_TAKE_TERM], 1);
}

static void lost_answer_of_the_take_is_found_out(void **state)
{
    script_t *s = *state;
    s->fail[COORDINATOR_TAKE_TERM] = FABRIC_ERROR_STORE_UNKNOWN;
    pump(s);
    assert_false(coordinator_holds_term(s->c));
    s->row = (store_coordinator_t){1, self};
    pass(s, 500, 50);
    assert_true(coordinator_holds_term(s->c));
    assert_int_equal(s->elected, 1);
    assert_int_equal(s->calls[COORDINATOR_TAKE_TERM], 1);
}

static void holder_fences_a_silent_member_and_takes_its_shards(void **state)
{
    script_t *s = *state;
    add_broker(s, third);
    pump(s);
    assert_int_equal(s->living_count, 2);
    add_group(s, "default", third, 2);
    s->silent[1] = true;
    pass(s, LEASE_MS + 800, 50);
    assert_int_equal(s->broker_count, 1);
    assert_int_equal(s->home_shards, SHARDS);
    assert_int_equal(s->fenced, 0);
}

static void member_that_left_leaves_its_shards(void **state)
{
    script_t *s = *state;
    add_broker(s, third);
    add_group(s, "default", third, 2);
    pump(s);
    assert_int_equal(s->home_shards, 0); /* a living home keeps its shards */
    s->broker_count = 1;
    pass(s, 500, 50);
    assert_int_equal(s->home_shards, SHARDS);
}

/* ---- fences and leases ---- */

static void fenced_renewal_ends_everything(void **state)
{
    script_t *s = *state;
    pump(s);
    s->fail[COORDINATOR_RENEW] = FABRIC_ERROR_FENCED;
    pass(s, 2000, 50);
    assert_int_equal(s->fenced, 1);
    coordinator_call_t call;
    assert_false(coordinator_next_call(s->c, s->now_ms, &call));
}

static void another_holder_ends_everything(void **state)
{
    script_t *s = *state;
    pump(s);
    s->row = (store_coordinator_t){2, other};
    pass(s, 500, 50);
    assert_int_equal(s->fenced, 1);
}

static void being_no_member_ends_everything(void **state)
{
    script_t *s = *state;
    pump(s);
    s->brokers[0].incarnation = other;
    pass(s, 500, 50);
    assert_int_equal(s->fenced, 1);
}

static void lease_counts_from_before_the_renewal(void **state)
{
    script_t *s = *state;
    coordinator_call_t call;
    assert_true(coordinator_next_call(s->c, s->now_ms, &call));
    assert_int_equal(call.kind, COORDINATOR_RENEW);
    uint64_t before_ms = s->now_ms;
    s->now_ms += 400;
    answer(s, &call);
    take_effects(s);
    assert_int_equal(s->lease_ms, before_ms + LEASE_MS);
    s->fail[COORDINATOR_RENEW] = FABRIC_ERROR_STORE_UNAVAILABLE;
    pass(s, LEASE_MS, 50);
    assert_int_equal(s->lease_ms, before_ms + LEASE_MS);
    assert_int_equal(s->fenced, 0);
}

/* ---- runners ---- */

static void new_type_makes_its_group_and_shards(void **state)
{
    script_t *s = *state;
    pump(s);
    admit(s, runner_a, &counter, 1);
    assert_int_equal(s->admitted, 0);
    pump(s);
    assert_int_equal(s->admitted, 1);
    assert_int_equal(s->admission, FABRIC_OK);
    assert_int_equal(s->group_count, 1);
    assert_int_equal(s->type_count, 1);
    assert_int_equal(s->types_seen, 1);
    assert_int_equal(s->home_shards, SHARDS);
    assert_false(s->scan); /* they are in their first epoch */
    order(s, ROUTER_RUNNER_JOINED, runner_a, 100);
    assert_int_equal(owned(s, 1, runner_a), SHARDS);
    pass(s, 100, 10);
    assert_int_equal(s->runner_count, 1);
    assert_int_equal(shard_map_type_group(s->map, fabric_bytes_of("Counter")), 1);
}

static void known_types_need_no_store(void **state)
{
    script_t *s = *state;
    pump(s);
    admit(s, runner_a, &counter, 1);
    pump(s);
    s->fail[COORDINATOR_RENEW] = FABRIC_ERROR_STORE_UNAVAILABLE;
    pass(s, 1000, 50);
    admit(s, runner_b, &counter, 1);
    assert_int_equal(s->admitted, 2);
    assert_int_equal(s->admission, FABRIC_OK);
}

static void store_that_does_not_answer_refuses_in_time(void **state)
{
    script_t *s = *state;
    pump(s);
    s->fail[COORDINATOR_PUT_GROUP] = FABRIC_ERROR_STORE_UNAVAILABLE;
    admit(s, runner_a, &counter, 1);
    pass(s, LEASE_MS - 200, 50);
    assert_int_equal(s->admitted, 0);
    pass(s, 400, 50);
    assert_int_equal(s->admitted, 1);
    assert_int_equal(s->admission, FABRIC_ERROR_PERSISTENCE);
}

static void conflicts_are_refused(void **state)
{
    script_t *s = *state;
    pump(s);
    admit(s, runner_a, &counter, 1);
    pump(s);
    const brought_t moved = {"Counter", "elsewhere", true};
    admit(s, runner_b, &moved, 1);
    pump(s);
    assert_int_equal(s->admitted, 2);
    assert_int_equal(s->admission, FABRIC_ERROR_TYPE_CONFLICT);
    assert_non_null(strstr(s->text, "Counter"));
    const brought_t forgetful = {"Counter", "default", false};
    admit(s, runner_b, &forgetful, 1);
    pump(s);
    assert_int_equal(s->admitted, 3);
    assert_int_equal(s->admission, FABRIC_ERROR_TYPE_CONFLICT);
    assert_int_equal(s->group_count, 1);
    order(s, ROUTER_RUNNER_JOINED, runner_b, 100); /* of a refused runner: nothing */
    assert_int_equal(owned(s, 1, runner_b), 0);
}

static void junk_types_are_refused(void **state)
{
    script_t *s = *state;
    pump(s);
    uint8_t junk[] = {0xdd, 0xff, 0xff, 0xff, 0xff};
    router_order_t event = {
        .kind = ROUTER_ADMIT, .runner = runner_a, .types = junk, .types_size = sizeof junk};
    coordinator_order(s->c, &event, s->now_ms);
    take_effects(s);
    assert_int_equal(s->admitted, 1);
    assert_int_not_equal(s->admission, FABRIC_OK);
}

static void join(script_t *s, incarnation_t runner, const brought_t *types, uint32_t count)
{
    admit(s, runner, types, count);
    pump(s);
    assert_int_equal(s->admission, FABRIC_OK);
    order(s, ROUTER_RUNNER_JOINED, runner, 100);
}

static void placement_moves_as_little_as_it_can(void **state)
{
    script_t *s = *state;
    pump(s);
    join(s, runner_a, &counter, 1);
    assert_int_equal(s->desires, SHARDS);
    join(s, runner_b, &counter, 1);
    assert_int_equal(s->desires, SHARDS + SHARDS / 2);
    assert_int_equal(owned(s, 1, runner_a), SHARDS / 2);
    order(s, ROUTER_RUNNER_LEFT, runner_b, 0);
    assert_int_equal(s->desires, 2 * SHARDS);
    assert_int_equal(owned(s, 1, runner_a), SHARDS);
    order(s, ROUTER_RUNNER_LEFT, runner_a, 0);
    assert_int_equal(owned(s, 1, (incarnation_t){{0}}), SHARDS);
}

static void rejoined_runner_is_desired_again(void **state)
{
    script_t *s = *state;
    pump(s);
    join(s, runner_a, &counter, 1);
    join(s, runner_b, &counter, 1);
    uint32_t before = s->desires;
    join(s, runner_a, &counter, 1);
    assert_int_equal(s->desires, before + SHARDS / 2);
}

static void shards_go_to_who_brings_all_types(void **state)
{
    script_t *s = *state;
    pump(s);
    const brought_t both[] = {{"Counter", "default", true}, {"Order", "default", true}};
    join(s, runner_a, both, 2);
    join(s, runner_b, &counter, 1);
    assert_int_equal(owned(s, 1, runner_a), SHARDS);
    const brought_t apart = {"Account", "money", true};
    join(s, third, &apart, 1);
    assert_int_equal(owned(s, 1, third), 0);
    assert_int_equal(owned(s, 2, third), SHARDS);
    order(s, ROUTER_RUNNER_LEFT, runner_a, 0); /* "Order" is not live any more */
    assert_int_equal(owned(s, 1, runner_b), SHARDS);
}

static void owners_are_published_together(void **state)
{
    script_t *s = *state;
    pump(s);
    join(s, runner_a, &counter, 1);
    pass(s, 100, 50);
    uint32_t before = s->maps;
    for (uint16_t n = 1; n <= SHARDS; n++) {
        router_order_t event = {.kind = ROUTER_OWNER_CHANGED,
                                .runner = runner_a,
                                .shard = shard_id_make(1, n),
                                .token = {1, 1}};
        coordinator_order(s->c, &event, s->now_ms);
    }
    pass(s, 100, 10);
    assert_in_range(s->maps - before, 1, 2);
    const map_shard_t *shard = shard_map_shard(s->map, shard_id_make(1, SHARDS));
    assert_true(incarnation_equal(shard->owner, runner_a));
    assert_int_equal(shard->token.owner_sequence, 1);
    assert_true(incarnation_equal(shard->home, self));
}

static void new_homes_wait_for_the_load(void **state)
{
    script_t *s = *state;
    s->row = (store_coordinator_t){7, other};
    add_group(s, "default", other, 3);
    s->hold_load = true;
    pump(s);
    assert_int_equal(s->homes, 1);
    assert_int_equal(s->ready, 0);
    const brought_t apart = {"Account", "money", true};
    join(s, runner_a, &apart, 1);
    pump(s);
    assert_int_equal(s->homes, 1);
    coordinator_loaded(s->c, s->now_ms);
    pump(s);
    assert_int_equal(s->homes, 2);
    assert_int_equal(owned(s, 2, runner_a), SHARDS);
    coordinator_loaded(s->c, s->now_ms);
    pump(s);
    assert_int_equal(s->ready, 1);
}

static void standby_registers_its_runners_when_it_takes_over(void **state)
{
    script_t *s = *state;
    s->row = (store_coordinator_t){7, other};
    add_broker(s, other);
    pass(s, 500, 50);
    join(s, runner_a, &counter, 1);
    assert_int_equal(s->calls[COORDINATOR_PUT_TYPE], 0);
    s->runners[s->runner_count++] = (store_runner_t){.incarnation = runner_b}; /* left behind */
    s->broker_count = 1;
    pass(s, 1000, 50);
    assert_true(coordinator_holds_term(s->c));
    assert_int_equal(s->type_count, 1);
    assert_int_equal(owned(s, 1, runner_a), SHARDS);
    assert_int_equal(s->calls[COORDINATOR_REMOVE_RUNNER], 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(first_broker_takes_the_term),
        TEST(holder_that_is_no_member_is_replaced_at_once),
        TEST(living_holder_is_left_alone),
        TEST(silent_holder_is_replaced_after_a_lease),
        TEST(readings_far_apart_count_no_silence),
        TEST(outage_gives_everybody_a_full_lease_again),
        TEST(race_for_the_term_is_lost_without_harm),
        TEST(lost_answer_of_the_take_is_found_out),
        TEST(holder_fences_a_silent_member_and_takes_its_shards),
        TEST(member_that_left_leaves_its_shards),
        TEST(fenced_renewal_ends_everything),
        TEST(another_holder_ends_everything),
        TEST(being_no_member_ends_everything),
        TEST(lease_counts_from_before_the_renewal),
        TEST(new_type_makes_its_group_and_shards),
        TEST(known_types_need_no_store),
        TEST(store_that_does_not_answer_refuses_in_time),
        TEST(conflicts_are_refused),
        TEST(junk_types_are_refused),
        TEST(placement_moves_as_little_as_it_can),
        TEST(rejoined_runner_is_desired_again),
        TEST(shards_go_to_who_brings_all_types),
        TEST(owners_are_published_together),
        TEST(new_homes_wait_for_the_load),
        TEST(standby_registers_its_runners_when_it_takes_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
