/* A scripted store and router around the coordinator's core: see coordinator_script.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "core/type_description.h"
#include "tests/unit/coordinator_script.h"

#define RENEWAL_MS 200 /* of the brokers that are not silent */

void script_add_broker(script_t *s, incarnation_t incarnation)
{
    store_broker_t *broker = &s->brokers[s->broker_count++];
    *broker = (store_broker_t){
        .incarnation = incarnation, .counter = 1, .secret = {{0x5e, incarnation.bytes[0]}}};
    snprintf(broker->router_endpoint, sizeof broker->router_endpoint, "tcp://127.0.0.1:%u",
             incarnation.bytes[0]);
}

void script_remove_broker(script_t *s, incarnation_t incarnation)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->broker_count; i++) {
        if (!incarnation_equal(s->brokers[i].incarnation, incarnation)) {
            s->silent[kept] = s->silent[i];
            s->refusing[kept] = s->refusing[i];
            s->brokers[kept++] = s->brokers[i];
        }
    }
    s->broker_count = kept;
}

void script_add_group(script_t *s, const char *name)
{
    coordinator_group_t *group = &s->groups[s->group_count++];
    group->number = (uint16_t)s->group_count;
    snprintf(group->name, sizeof group->name, "%s", name);
}

void script_set_lane(script_t *s, uint32_t lane, incarnation_t holder, uint64_t epoch)
{
    s->lanes[lane] = (store_lane_t){.lane = lane, .holder = holder, .epoch = epoch};
}

void script_set_lanes(script_t *s, incarnation_t holder, uint64_t epoch)
{
    for (uint32_t lane = 0; lane < LANES; lane++) {
        script_set_lane(s, lane, holder, epoch);
    }
}

void script_begin_with(script_t *s, uint32_t shards_per_group)
{
    coordinator_config_t config = {.incarnation = self,
                                   .shards_per_group = shards_per_group,
                                   .lanes = LANES,
                                   .high_id = HIGH_ID,
                                   .lease_ms = LEASE_MS,
                                   .durable = &s->durable};
    coordinator_destroy(&s->c);
    shard_map_destroy(&s->map);
    s->c = coordinator_new(&config, s->now_ms);
    s->map = shard_map_new();
    shard_map_set_shards_per_group(s->map, shards_per_group);
    shard_map_set_lanes(s->map, LANES);
}

int script_set_up(void **state)
{
    script_t *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->now_ms = 1000000;
    script_begin_with(s, SHARDS);
    script_add_broker(s, self);
    script_set_lanes(s, (incarnation_t){{0}}, 0);
    *state = s;
    return 0;
}

int script_tear_down(void **state)
{
    script_t *s = *state;
    coordinator_destroy(&s->c);
    shard_map_destroy(&s->map);
    wire_writer_destroy(&s->owners);
    free(s);
    return 0;
}

/* ---- the store ---- */

static fabric_error_t assign_lane(script_t *s, const coordinator_call_t *call)
{
    store_lane_t *lane = &s->lanes[call->lane.lane];
    s->assigned[call->lane.lane]++;
    if (s->assigning[call->lane.lane]) {
        return s->assigning[call->lane.lane];
    }
    if (lane->epoch != call->lane.epoch || !incarnation_equal(lane->holder, call->lane.holder)) {
        return FABRIC_ERROR_STORE_REJECTED;
    }
    lane->holder = call->broker;
    lane->epoch++;
    return FABRIC_OK;
}

static bool refuses(const script_t *s, const char *endpoint)
{
    for (size_t i = 0; i < s->broker_count; i++) {
        if (strcmp(s->brokers[i].router_endpoint, endpoint) == 0) {
            return s->refusing[i];
        }
    }
    return false;
}

static void put_type(script_t *s, const store_type_t *type)
{
    size_t i = 0;
    while (i < s->type_count && !fabric_bytes_equal(s->types[i].name, type->name)) {
        i++;
    }
    s->type_count += i == s->type_count ? 1 : 0;
    uint8_t *copy = s->descriptions[i];
    if (type->description.size == 0) { /* its name stays where it is */
        s->types[i].description = fabric_bytes(copy, 0);
        return;
    }
    memcpy(copy, type->description.data, type->description.size);
    s->types[i].group = type->group;
    s->types[i].description = fabric_bytes(copy, type->description.size);
    wire_reader_t reader = wire_reader(s->types[i].description);
    (void)wire_get_array(&reader);
    s->types[i].name = wire_get_str(&reader);
}

static fabric_error_t change(script_t *s, const coordinator_call_t *call,
                             coordinator_results_t *results)
{
    if (call->kind == COORDINATOR_TAKE_TERM) {
        s->row = (store_coordinator_t){call->before.term + 1, call->self};
        results->term = s->row.term;
    } else if (call->kind == COORDINATOR_RENEW) {
        s->id_mark = call->id_mark > s->id_mark ? call->id_mark : s->id_mark;
    } else if (call->kind == COORDINATOR_REMOVE_BROKER) {
        script_remove_broker(s, call->broker);
    } else if (call->kind == COORDINATOR_ASSIGN_LANE) {
        return assign_lane(s, call);
    } else if (call->kind == COORDINATOR_PROBE) {
        results->refused = refuses(s, call->endpoint);
    } else if (call->kind == COORDINATOR_PUT_GROUP) {
        char name[256] = "";
        memcpy(name, call->name.data, call->name.size);
        script_add_group(s, name);
        results->group = (uint16_t)s->group_count;
    } else if (call->kind == COORDINATOR_PUT_TYPE) {
        put_type(s, &call->type);
    } else if (call->kind == COORDINATOR_COUNT_SCHEDULED) {
        results->count = s->scheduled[call->lane.lane];
    } else if (call->kind == COORDINATOR_FORGET_TYPE) {
        put_type(s, &call->type);
    } else if (call->kind == COORDINATOR_PUT_RUNNER) {
        s->runners[s->runner_count++] = call->runner;
    } else if (call->kind == COORDINATOR_REMOVE_RUNNER) {
        s->runner_count = 0;
    }
    return FABRIC_OK;
}

void script_answer(script_t *s, const coordinator_call_t *call)
{
    s->calls[call->kind]++;
    for (size_t i = 0; i < s->broker_count; i++) {
        s->brokers[i].counter = s->silent[i] ? s->brokers[i].counter : s->now_ms / RENEWAL_MS;
    }
    coordinator_results_t results = {.coordinator = s->row};
    fabric_error_t error = s->fail[call->kind];
    if (!error) {
        error = change(s, call, &results);
    }
    results.brokers = s->brokers;
    results.broker_count = s->broker_count;
    results.lanes = s->lanes;
    results.lane_count = LANES;
    results.groups = s->groups;
    results.group_count = s->group_count;
    results.registration = s->registration;
    results.types = s->types;
    results.type_count = s->type_count;
    results.runners = s->runners;
    results.runner_count = s->runner_count;
    coordinator_answer(s->c, error, error ? NULL : &results, s->now_ms);
}

/* ---- the router ---- */

static void take_lanes(script_t *s, const coordinator_effect_t *effect)
{
    s->told++;
    memset(s->held, 0, sizeof s->held);
    for (size_t i = 0; i < effect->hold_count; i++) {
        assert_true(incarnation_equal(effect->holds[i].holder, self));
        s->held[effect->holds[i].lane] = effect->holds[i].epoch;
    }
}

static void take_map(script_t *s, const coordinator_effect_t *effect)
{
    fabric_bytes_t bytes = fabric_bytes(effect->bytes, effect->size);
    assert_int_equal(shard_map_apply_again(s->map, bytes, NULL), FABRIC_OK);
    s->version = shard_map_version(s->map);
    assert_int_equal(effect->version.term, s->version.term);
    assert_int_equal(effect->version.sequence, s->version.sequence);
}

/* The router gets the secret of each broker that the mesh connects. */
static void take_members(script_t *s, const coordinator_effect_t *effect)
{
    s->members = effect->broker_count;
    for (size_t i = 0; i < effect->broker_count; i++) {
        const broker_credential_t *credential = &effect->credentials[i];
        assert_true(incarnation_equal(credential->broker, effect->brokers[i].incarnation));
        assert_int_equal(credential->secret.bytes[1], credential->broker.bytes[0]);
        assert_int_equal(credential->secret.bytes[0], 0x5e);
    }
}

static void take_types(script_t *s, const coordinator_effect_t *effect)
{
    s->types_seen += effect->kind == COORDINATOR_TYPE;
    s->types_forgotten += effect->kind == COORDINATOR_TYPE_FORGOTTEN;
    s->types_opened += effect->kind == COORDINATOR_TYPE_OPENED;
    if (effect->kind == COORDINATOR_FORGET_DONE) {
        s->forget_answers++;
        s->forget_error = effect->error;
        snprintf(s->text, sizeof s->text, "%s", (const char *)effect->bytes);
    } else if (effect->kind == COORDINATOR_REGISTERED) {
        s->registrations++;
        s->registered_late |= s->types_read > 0 || s->types_seen > 0;
        s->registered_ago_ms = effect->number;
    } else if (effect->kind == COORDINATOR_TYPES_READ) {
        s->types_read += (uint32_t)effect->number;
        s->types_certain = effect->number == 1;
    }
}

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
    case COORDINATOR_HOLDER:
        s->holders++;
        s->holder = effect->broker;
        break;
    case COORDINATOR_LEASE:
        s->lease_ms = effect->number;
        s->lease_mark = effect->id_mark;
        break;
    case COORDINATOR_NO_HEIR:
        s->without_heir++;
        break;
    case COORDINATOR_LANES:
        take_lanes(s, effect);
        break;
    case COORDINATOR_TYPE:
    case COORDINATOR_TYPE_FORGOTTEN:
    case COORDINATOR_FORGET_DONE:
    case COORDINATOR_TYPE_OPENED:
    case COORDINATOR_REGISTERED:
    case COORDINATOR_TYPES_LISTED:
    case COORDINATOR_TYPES_READ:
        take_types(s, effect);
        break;
    case COORDINATOR_ADMITTED:
        s->admitted++;
        s->admission = effect->error;
        snprintf(s->text, sizeof s->text, "%s", (const char *)effect->bytes);
        break;
    case COORDINATOR_DESIRE:
        s->desires++;
        assert_true(s->types_seen > 0); /* the router knows no shard before */
        *script_desired(s, (const char *)effect->bytes, shard_id_number(effect->shard)) =
            effect->runner;
        break;
    case COORDINATOR_MEMBERS:
        take_members(s, effect);
        break;
    case COORDINATOR_MAP:
        s->maps++;
        take_map(s, effect);
        break;
    case COORDINATOR_MAP_REVISED:
        s->revisions++;
        take_map(s, effect);
        break;
    case COORDINATOR_MAP_WANTED:
        s->wanted++;
        s->asked = effect->broker;
        s->version = effect->version;
        break;
    case COORDINATOR_OWNERS:
        s->told_owners++;
        s->asked = effect->broker;
        wire_writer_reset(&s->owners);
        wire_append(&s->owners, effect->bytes, effect->size);
        break;
    }
}

void script_adopt(script_t *s, uint32_t lane)
{
    router_order_t order = {.kind = ROUTER_LANE_ADOPTED, .lane = lane, .epoch = s->held[lane]};
    coordinator_order(s->c, &order, s->now_ms);
}

void script_take_effects(script_t *s)
{
    coordinator_effect_t effect;
    while (coordinator_next_effect(s->c, &effect)) {
        bool adopts = effect.kind == COORDINATOR_LANES && !s->hold_adoption;
        take_effect(s, &effect);
        coordinator_effect_clear(&effect);
        for (uint32_t lane = 0; lane < LANES; lane++) {
            if (adopts && s->held[lane] > 0) {
                script_adopt(s, lane);
            }
        }
    }
}

void script_pump(script_t *s)
{
    coordinator_call_t call;
    while (coordinator_next_call(s->c, s->now_ms, &call)) {
        script_answer(s, &call);
        script_take_effects(s);
    }
    coordinator_tick(s->c, s->now_ms);
    script_take_effects(s);
}

/* Lets time pass in steps, as the shell would. */
void script_pass(script_t *s, uint64_t duration_ms, uint64_t step_ms)
{
    for (uint64_t until_ms = s->now_ms + duration_ms; s->now_ms < until_ms;) {
        s->now_ms += step_ms;
        script_pump(s);
    }
}

void script_order(script_t *s, router_order_kind_t kind, incarnation_t runner, uint32_t weight)
{
    router_order_t event = {.kind = kind, .runner = runner, .weight = weight};
    coordinator_order(s->c, &event, s->now_ms);
    script_take_effects(s);
}

void script_say_draining(script_t *s, incarnation_t broker)
{
    router_order_t event = {.kind = ROUTER_BROKER_STATE, .broker = broker, .draining = true};
    coordinator_order(s->c, &event, s->now_ms);
    script_take_effects(s);
}

/* A type "name" of `group` with one message "Go", durable or not. */
static void put_description(wire_writer_t *writer, const char *name, const char *group,
                            bool durable, const fabric_schema_t *request)
{
    message_description_t message = {.tag = "Go", .durable = durable};
    type_description_t type = {
        .mailbox_capacity = 16, .concurrency = 1, .messages = &message, .message_count = 1};
    snprintf(type.name, sizeof type.name, "%s", name);
    snprintf(type.group, sizeof type.group, "%s", group);
    message.request = (fabric_schema_t *)(uintptr_t)request;
    message.reply = (fabric_schema_t *)(uintptr_t)&fabric_schema_empty;
    type_description_put(&type, writer);
}

void script_add_type(script_t *s, const brought_t *type)
{
    wire_writer_t description = {0};
    put_description(&description, type->name, type->group, type->durable, &fabric_schema_empty);
    uint16_t group = 1;
    while (strcmp(s->groups[group - 1].name, type->group) != 0) {
        group++;
    }
    store_type_t row = {fabric_bytes_of(type->name), group, wire_writer_bytes(&description)};
    put_type(s, &row);
    wire_writer_destroy(&description);
}

static void admit(script_t *s, incarnation_t runner, const brought_t *types, uint32_t count,
                  const fabric_schema_t *request)
{
    wire_writer_t writer = {0};
    wire_put_array(&writer, count);
    for (uint32_t i = 0; i < count; i++) {
        put_description(&writer, types[i].name, types[i].group, types[i].durable, request);
    }
    router_order_t event = {.kind = ROUTER_ADMIT,
                            .runner = runner,
                            .weight = 100,
                            .app_version = s->app_version,
                            .types = writer.data,
                            .types_size = writer.size};
    coordinator_order(s->c, &event, s->now_ms);
    wire_writer_destroy(&writer);
    script_take_effects(s);
}

void script_admit(script_t *s, incarnation_t runner, const brought_t *types, uint32_t count)
{
    admit(s, runner, types, count, &fabric_schema_empty);
}

void script_admit_newer(script_t *s, incarnation_t runner, const brought_t *type,
                        fabric_field_kind_t gift)
{
    const fabric_field_t fields[] = {{.name = "gift", .kind = gift, .optional = true}};
    const fabric_schema_t request = {"Go", 16, fields, 1};
    admit(s, runner, type, 1, &request);
}

uint32_t script_held(const script_t *s)
{
    uint32_t count = 0;
    for (uint32_t lane = 0; lane < LANES; lane++) {
        count += s->held[lane] > 0;
    }
    return count;
}

incarnation_t script_owner(const script_t *s, shard_id_t shard)
{
    return shard_map_owner(s->map, fabric_bytes_of("Counter"), shard);
}

uint32_t script_count_lanes(const script_t *s, incarnation_t holder)
{
    uint32_t count = 0;
    for (uint32_t lane = 0; lane < LANES; lane++) {
        count += incarnation_equal(s->lanes[lane].holder, holder);
    }
    return count;
}

incarnation_t *script_desired(script_t *s, const char *type, uint32_t shard)
{
    size_t i = 0;
    while (s->desired_types[i][0] && strcmp(s->desired_types[i], type) != 0) {
        assert_true(++i < sizeof s->desired_types / sizeof s->desired_types[0]);
    }
    snprintf(s->desired_types[i], sizeof s->desired_types[i], "%s", type);
    return &s->desired[i][shard];
}

uint32_t script_owned(script_t *s, const char *type, incarnation_t runner)
{
    uint32_t count = 0;
    for (uint32_t n = 1; n <= SHARDS; n++) {
        count += incarnation_equal(*script_desired(s, type, n), runner) ? 1 : 0;
    }
    return count;
}
