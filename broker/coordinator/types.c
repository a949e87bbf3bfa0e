/* The coordinator's core: groups, types, and the admission of runners.
 *
 * A runner is admitted when all its types agree with what the cluster knows. The broker that holds
 * the term stores new and changed types first; a standby admits on what it has read, and stores the
 * types of its runners when it takes the term.
 */
#include "broker/coordinator/coordinator_state.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- what the cluster knows ---- */

const coordinator_group_t *coordinator_group_named(const coordinator_t *c, const char *name)
{
    for (size_t i = 0; i < c->group_count; i++) {
        if (strcmp(c->groups[i].name, name) == 0) {
            return &c->groups[i];
        }
    }
    return NULL;
}

static void add_group(coordinator_t *c, uint16_t number, const char *name)
{
    /* Numbers run from 1 without gaps; a row that says otherwise is damaged. */
    if (number != c->group_count + 1 || number > LIMIT_GROUPS_MAX ||
        shard_map_add_group(c->map, number, fabric_bytes_of(name))) {
        return;
    }
    coordinator_group_t *group = &c->groups[c->group_count++];
    group->number = number;
    snprintf(group->name, sizeof group->name, "%s", name);
}

void coordinator_take_groups(coordinator_t *c, const coordinator_results_t *results)
{
    for (uint16_t number = 1; number <= LIMIT_GROUPS_MAX; number++) {
        for (size_t i = 0; i < results->group_count; i++) {
            if (results->groups[i].number == number) {
                add_group(c, number, results->groups[i].name);
            }
        }
    }
    c->groups_read = true;
}

static known_type_t *find_type(const coordinator_t *c, const char *name)
{
    for (size_t i = 0; i < c->type_count; i++) {
        if (strcmp(c->types[i].description->name, name) == 0) {
            return &c->types[i];
        }
    }
    return NULL;
}

/* Takes a description as the store has it now; what cannot be read is left out. */
static void take_type(coordinator_t *c, uint16_t group, fabric_bytes_t encoded)
{
    type_description_t *description = NULL;
    wire_reader_t reader = wire_reader(encoded);
    if (type_description_parse(&reader, &description)) {
        return;
    }
    known_type_t *type = find_type(c, description->name);
    if (type && type->group == group &&
        fabric_bytes_equal(wire_writer_bytes(&type->encoded), encoded)) {
        type_description_destroy(&description);
        return;
    }
    if (shard_map_add_type(c->map, fabric_bytes_of(description->name), group)) {
        type_description_destroy(&description);
        return;
    }
    if (!type) {
        c->types = coordinator_grow(c->types, ++c->type_count, sizeof *c->types);
        type = &c->types[c->type_count - 1];
    }
    type_description_destroy(&type->description);
    type->description = description;
    type->group = group;
    wire_writer_reset(&type->encoded);
    wire_append(&type->encoded, encoded.data, encoded.size);
    coordinator_effect_t *effect = coordinator_emit(c, COORDINATOR_TYPE);
    effect->group = group;
    coordinator_emit_bytes(effect, encoded);
}

void coordinator_take_types(coordinator_t *c, const coordinator_results_t *results)
{
    for (size_t i = 0; i < results->type_count; i++) {
        take_type(c, results->types[i].group, results->types[i].description);
    }
    c->types_read = true;
}

/* ---- runners ---- */

member_runner_t *coordinator_runner(const coordinator_t *c, incarnation_t incarnation)
{
    for (size_t i = 0; i < c->runner_count; i++) {
        if (incarnation_equal(c->runners[i]->stored.incarnation, incarnation)) {
            return c->runners[i];
        }
    }
    return NULL;
}

static void free_types(member_runner_t *runner)
{
    for (size_t i = 0; i < runner->type_count; i++) {
        type_description_destroy(&runner->types[i]);
    }
    free(runner->types);
    runner->types = NULL;
    runner->type_count = 0;
}

void coordinator_remove_runner(coordinator_t *c, incarnation_t incarnation)
{
    for (size_t i = 0; i < c->runner_count; i++) {
        if (incarnation_equal(c->runners[i]->stored.incarnation, incarnation)) {
            free_types(c->runners[i]);
            free(c->runners[i]);
            c->runners[i] = c->runners[--c->runner_count];
            return;
        }
    }
}

void coordinator_types_destroy(coordinator_t *c)
{
    while (c->runner_count > 0) {
        coordinator_remove_runner(c, c->runners[0]->stored.incarnation);
    }
    free(c->runners);
    for (size_t i = 0; i < c->type_count; i++) {
        type_description_destroy(&c->types[i].description);
        wire_writer_destroy(&c->types[i].encoded);
    }
    free(c->types);
    wire_writer_destroy(&c->type_bytes);
    wire_writer_destroy(&c->scratch);
}

/* ---- admission ---- */

static void answer(coordinator_t *c, incarnation_t runner, fabric_error_t error, const char *text)
{
    coordinator_effect_t *effect = coordinator_emit(c, COORDINATOR_ADMITTED);
    effect->runner = runner;
    effect->error = error;
    coordinator_emit_bytes(effect, fabric_bytes_of(text));
}

/* Ends the wait of a runner's admission or of the registration of its types. Who is refused is
 * forgotten, unless it had joined before. */
static void conclude(coordinator_t *c, member_runner_t *runner, fabric_error_t error,
                     const char *text)
{
    runner->register_due = false;
    if (!runner->asked) {
        return;
    }
    runner->asked = false;
    incarnation_t incarnation = runner->stored.incarnation;
    answer(c, incarnation, error, text);
    if (error && !runner->joined) {
        coordinator_remove_runner(c, incarnation);
    }
}

static fabric_error_t parse_types(member_runner_t *runner, fabric_bytes_t encoded)
{
    wire_reader_t reader = wire_reader(encoded);
    uint32_t count = encoded.size > 0 ? wire_get_array(&reader) : 0;
    if (count > LIMIT_TYPES_MAX) {
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    runner->types = calloc(count + 1u, sizeof(type_description_t *));
    if (!runner->types) {
        abort();
    }
    for (uint32_t i = 0; i < count; i++) {
        fabric_error_t error = type_description_parse(&reader, &runner->types[i]);
        if (error) {
            return error;
        }
        runner->type_count = i + 1;
    }
    return wire_finish(&reader);
}

void coordinator_admit(coordinator_t *c, const router_order_t *order)
{
    member_runner_t *runner = coordinator_runner(c, order->runner);
    if (!runner) {
        runner = calloc(1, sizeof *runner);
        if (!runner) {
            abort();
        }
        c->runners = coordinator_grow(c->runners, ++c->runner_count, sizeof(member_runner_t *));
        c->runners[c->runner_count - 1] = runner;
        runner->stored.incarnation = order->runner;
    }
    runner->stored.weight = order->weight;
    memcpy(runner->stored.name, order->name, sizeof runner->stored.name);
    runner->asked = true;
    runner->deadline_ms = c->now_ms + c->config.lease_ms;
    free_types(runner);
    fabric_error_t error = parse_types(runner, fabric_bytes(order->types, order->types_size));
    if (error) {
        conclude(c, runner, error, "the description of its entity types cannot be read");
    }
}

/* What a type still needs before its runner is admitted. */
typedef enum type_need { NEEDS_NOTHING, NEEDS_GROUP, NEEDS_TYPE, NEEDS_REFUSAL } type_need_t;

static type_need_t examine(coordinator_t *c, const type_description_t *type,
                           fabric_schema_fault_t *fault)
{
    const known_type_t *known = find_type(c, type->name);
    if (known && type_description_compatible(known->description, type, fault)) {
        return NEEDS_REFUSAL;
    }
    wire_writer_reset(&c->scratch);
    type_description_put(type, &c->scratch);
    if (known &&
        fabric_bytes_equal(wire_writer_bytes(&known->encoded), wire_writer_bytes(&c->scratch))) {
        return NEEDS_NOTHING;
    }
    if (!c->holder) {
        return NEEDS_NOTHING; /* stored when we take the term */
    }
    if (!known && c->type_count >= LIMIT_TYPES_MAX) {
        snprintf(fault->text, sizeof fault->text, "the cluster has %d types already",
                 LIMIT_TYPES_MAX);
        return NEEDS_REFUSAL;
    }
    return coordinator_group_named(c, type->group) ? NEEDS_TYPE : NEEDS_GROUP;
}

/* The runner may leave while the call is under way, so names are copied. */
static void fill_call(coordinator_t *c, const type_description_t *type, type_need_t need,
                      coordinator_call_t *call)
{
    memcpy(c->put_name, need == NEEDS_GROUP ? type->group : type->name, sizeof c->put_name);
    if (need == NEEDS_GROUP) {
        call->kind = COORDINATOR_PUT_GROUP;
        call->name = fabric_bytes_of(c->put_name);
        return;
    }
    call->kind = COORDINATOR_PUT_TYPE;
    call->type.name = fabric_bytes_of(c->put_name);
    call->type.group = coordinator_group_named(c, type->group)->number;
    wire_writer_reset(&c->type_bytes);
    wire_append(&c->type_bytes, c->scratch.data, c->scratch.size);
    call->type.description = wire_writer_bytes(&c->type_bytes);
}

/* Whether the runner needs a call; if not, it is concluded and may be gone. */
static bool needs_call(coordinator_t *c, member_runner_t *runner, coordinator_call_t *call)
{
    for (size_t i = 0; i < runner->type_count; i++) {
        fabric_schema_fault_t fault = {{0}};
        type_need_t need = examine(c, runner->types[i], &fault);
        if (need == NEEDS_REFUSAL) {
            char text[LIMIT_TEXT_BYTES_MAX];
            snprintf(text, sizeof text, "entity type %s: %s", runner->types[i]->name, fault.text);
            conclude(c, runner,
                     find_type(c, runner->types[i]->name) ? FABRIC_ERROR_TYPE_CONFLICT
                                                          : FABRIC_ERROR_LIMIT_EXCEEDED,
                     text);
            return false;
        }
        if (need != NEEDS_NOTHING) {
            if (call) {
                fill_call(c, runner->types[i], need, call);
                call->runner.incarnation = runner->stored.incarnation;
            }
            return true;
        }
    }
    conclude(c, runner, FABRIC_OK, "");
    return false;
}

static bool is_waiting(const coordinator_t *c, const member_runner_t *runner)
{
    return c->types_read && c->groups_read && (runner->asked || runner->register_due);
}

void coordinator_conclude_admissions(coordinator_t *c)
{
    /* Backwards: who is refused is taken out, and the last one takes its place. */
    for (size_t i = c->runner_count; i-- > 0;) {
        member_runner_t *runner = c->runners[i];
        bool needs = is_waiting(c, runner) ? needs_call(c, runner, NULL) : runner->asked;
        if (needs && runner->asked && c->now_ms >= runner->deadline_ms) {
            conclude(c, runner, FABRIC_ERROR_PERSISTENCE,
                     "the store did not take its entity types in time");
        }
    }
}

bool coordinator_next_admission(coordinator_t *c, coordinator_call_t *call)
{
    for (size_t i = c->runner_count; i-- > 0;) {
        if (is_waiting(c, c->runners[i]) && needs_call(c, c->runners[i], call)) {
            return true;
        }
    }
    return false;
}

void coordinator_take_runners(coordinator_t *c, const coordinator_results_t *results)
{
    for (size_t i = 0; i < results->runner_count; i++) {
        const member_runner_t *runner = coordinator_runner(c, results->runners[i].incarnation);
        if (!runner || !runner->joined) {
            coordinator_forget_row(c, results->runners[i].incarnation);
        }
    }
}

void coordinator_admission_answered(coordinator_t *c, fabric_error_t error,
                                    const coordinator_results_t *results)
{
    if (!error && c->call.kind == COORDINATOR_PUT_GROUP) {
        add_group(c, results->group, c->put_name);
        c->shards_due = true;
        /* A number that does not follow ours: there are groups that we have not read. */
        c->groups_due = coordinator_group_named(c, c->put_name) == NULL;
        c->groups_read = !c->groups_due;
        return;
    }
    if (!error) {
        take_type(c, c->call.type.group, c->call.type.description);
        /* One that cannot be kept would be asked for again and again. */
        error = find_type(c, c->put_name) ? FABRIC_OK : FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    bool final = error == FABRIC_ERROR_TYPE_CONFLICT || error == FABRIC_ERROR_LIMIT_EXCEEDED;
    member_runner_t *runner = coordinator_runner(c, c->call.runner.incarnation);
    if (final && runner) {
        conclude(c, runner, error,
                 error == FABRIC_ERROR_TYPE_CONFLICT
                     ? "an entity type is stored with another shard group"
                     : "the cluster has as many shard groups or types as it may");
        c->types_due = true;
    }
}
