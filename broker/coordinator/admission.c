/* The admission of runners: see admission.h. */
#include "broker/coordinator/admission.h"

#include "broker/router/forgetting_state.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/memory.h"

struct coordinator_admission {
    coordinator_registry_t *registry;
    coordinator_runners_t *runners;
    const coordinator_forgetting_t *forgetting;
    coordinator_schedule_t *schedule;
    coordinator_effects_t *effects;
    bool holds_term;
    bool untransactional;
    wire_writer_t scratch;    /* the description that is being looked at */
    wire_writer_t type_bytes; /* of the PUT_TYPE in flight */
    char put_name[256];       /* of the PUT_GROUP or PUT_TYPE in flight */
};

coordinator_admission_t *coordinator_admission_new(bool untransactional,
                                                   coordinator_registry_t *registry,
                                                   coordinator_runners_t *runners,
                                                   const coordinator_forgetting_t *forgetting,
                                                   coordinator_schedule_t *schedule,
                                                   coordinator_effects_t *effects)
{
    coordinator_admission_t *self = memory_allocate_zeroed(1, sizeof *self);
    self->untransactional = untransactional;
    self->registry = registry;
    self->runners = runners;
    self->forgetting = forgetting;
    self->schedule = schedule;
    self->effects = effects;
    return self;
}

void coordinator_admission_destroy(coordinator_admission_t **admission)
{
    if (*admission) {
        wire_writer_destroy(&(*admission)->type_bytes);
        wire_writer_destroy(&(*admission)->scratch);
        free(*admission);
        *admission = NULL;
    }
}

void coordinator_admission_begin_term(coordinator_admission_t *self)
{
    self->holds_term = true;
    coordinator_runners_begin_term(self->runners);
}

/* Ends the examination of a runner's types, and answers the router where it waits. */
static void conclude(coordinator_admission_t *self, incarnation_t runner, fabric_error_t error,
                     const char *text)
{
    if (coordinator_runners_conclude(self->runners, runner, error)) {
        coordinator_effect_t *effect = coordinator_effects_add(self->effects, COORDINATOR_ADMITTED);
        effect->runner = runner;
        effect->error = error;
        coordinator_effect_set_bytes(effect, fabric_bytes_of(text));
    }
}

void coordinator_admission_ask(coordinator_admission_t *self, const router_order_t *order,
                               uint64_t deadline_ms)
{
    fabric_error_t error = coordinator_runners_ask(self->runners, order, deadline_ms);
    if (error) {
        conclude(self, order->runner, error, "the description of its entity types cannot be read");
    }
}

/* ---- examination ---- */

/* What a type still needs before its runner is admitted. */
typedef enum type_need { NEEDS_NOTHING, NEEDS_GROUP, NEEDS_TYPE, NEEDS_REFUSAL } type_need_t;

/* Whether the store cannot have what the type needs. */
static bool is_out_of_place(const coordinator_admission_t *self, const type_description_t *type)
{
    return self->untransactional && type->transactional;
}

static type_need_t examine(coordinator_admission_t *self, const type_description_t *type,
                           fabric_schema_fault_t *fault)
{
    const coordinator_type_t *known = coordinator_registry_type(self->registry, type->name);
    wire_writer_reset(&self->scratch);
    if (is_out_of_place(self, type)) {
        snprintf(fault->text, sizeof fault->text,
                 "it has transactional messages, for which the brokers' store is to be MySQL or "
                 "MariaDB");
        return NEEDS_REFUSAL;
    }
    if (!known) {
        type_description_put(type, &self->scratch);
    } else if (type_description_merge(known->description, type, fault, &self->scratch)) {
        return NEEDS_REFUSAL;
    }
    if (known &&
        fabric_bytes_equal(wire_writer_bytes(&known->encoded), wire_writer_bytes(&self->scratch))) {
        return NEEDS_NOTHING;
    }
    if (!self->holds_term) {
        return NEEDS_NOTHING; /* it is stored when this broker takes the term */
    }
    size_t count = coordinator_registry_type_count(self->registry);
    if (!known && !coordinator_registry_can_take_type(self->registry, type->name)) {
        snprintf(fault->text, sizeof fault->text, "the cluster has %zu types already", count);
        return NEEDS_REFUSAL;
    }
    return coordinator_registry_group(self->registry, type->group) ? NEEDS_TYPE : NEEDS_GROUP;
}

/* The runner may leave while the call is in flight, so the call gets copies. */
static void fill_call(coordinator_admission_t *self, const type_description_t *type,
                      type_need_t need, coordinator_call_t *call)
{
    memcpy(self->put_name, need == NEEDS_GROUP ? type->group : type->name, sizeof self->put_name);
    if (need == NEEDS_GROUP) {
        call->kind = COORDINATOR_PUT_GROUP;
        call->name = fabric_bytes_of(self->put_name);
        return;
    }
    call->kind = COORDINATOR_PUT_TYPE;
    call->type.name = fabric_bytes_of(self->put_name);
    call->type.group = coordinator_registry_group(self->registry, type->group)->number;
    wire_writer_reset(&self->type_bytes);
    wire_append(&self->type_bytes, self->scratch.data, self->scratch.size);
    call->type.description = wire_writer_bytes(&self->type_bytes);
}

static void refuse(coordinator_admission_t *self, incarnation_t runner,
                   const type_description_t *type, const char *why)
{
    char text[LIMIT_TEXT_BYTES_MAX];
    snprintf(text, sizeof text, "entity type %s: %s", type->name, why);
    bool known = coordinator_registry_type(self->registry, type->name) != NULL;
    bool conflicts = known || is_out_of_place(self, type);
    conclude(self, runner, conflicts ? FABRIC_ERROR_TYPE_CONFLICT : FABRIC_ERROR_LIMIT_EXCEEDED,
             text);
}

/* Whether the runner needs a store call, which is filled in where `call` is given. A runner that
 * needs none is concluded, and may be gone. */
static bool needs_call(coordinator_admission_t *self, const coordinator_runner_t *runner,
                       coordinator_call_t *call)
{
    for (size_t i = 0; i < runner->type_count; i++) {
        fabric_schema_fault_t fault = {{0}};
        type_need_t need = examine(self, runner->types[i], &fault);
        if (need == NEEDS_REFUSAL) {
            refuse(self, runner->stored.incarnation, runner->types[i], fault.text);
            return false;
        }
        if (need != NEEDS_NOTHING) {
            if (call) {
                fill_call(self, runner->types[i], need, call);
                call->runner.incarnation = runner->stored.incarnation;
            }
            return true;
        }
    }
    conclude(self, runner->stored.incarnation, FABRIC_OK, "");
    return false;
}

static bool brings_closed_type(const coordinator_admission_t *self,
                               const coordinator_runner_t *runner)
{
    bool closed = false;
    for (size_t i = 0; i < runner->type_count && !closed; i++) {
        closed = coordinator_forgetting_has_closed(self->forgetting, runner->types[i]->name);
    }
    return closed;
}

/* Whether the runner is to be examined now. */
static bool is_waiting(const coordinator_admission_t *self, const coordinator_runner_t *runner)
{
    return coordinator_registry_types_are_read(self->registry) &&
           coordinator_registry_groups_are_read(self->registry) &&
           (runner->asked || runner->unregistered) && !brings_closed_type(self, runner);
}

void coordinator_admission_conclude(coordinator_admission_t *self, uint64_t now_ms)
{
    /* Backwards: a runner that is refused is removed, and the last one takes its place. */
    for (size_t i = coordinator_runners_count(self->runners); i-- > 0;) {
        const coordinator_runner_t *runner = coordinator_runners_at(self->runners, i);
        bool needs = is_waiting(self, runner) ? needs_call(self, runner, NULL) : runner->asked;
        if (needs && runner->asked && now_ms >= runner->deadline_ms) {
            bool closed = brings_closed_type(self, runner);
            conclude(self, runner->stored.incarnation, FABRIC_ERROR_PERSISTENCE,
                     closed ? FORGETTING_TEXT : "the store did not take its entity types in time");
        }
    }
}

bool coordinator_admission_next_call(coordinator_admission_t *self, coordinator_call_t *call)
{
    for (size_t i = coordinator_runners_count(self->runners); i-- > 0;) {
        const coordinator_runner_t *runner = coordinator_runners_at(self->runners, i);
        if (is_waiting(self, runner) && needs_call(self, runner, call)) {
            return true;
        }
    }
    return false;
}

void coordinator_admission_answered(coordinator_admission_t *self, const coordinator_call_t *call,
                                    fabric_error_t error, const coordinator_results_t *results)
{
    if (!error && call->kind == COORDINATOR_PUT_GROUP) {
        if (!coordinator_registry_add_group(self->registry, results->group, self->put_name)) {
            coordinator_schedule_require(self->schedule, COORDINATOR_LIST_GROUPS);
        }
        return;
    }
    if (!error) {
        coordinator_registry_take_type(self->registry, call->type.group, call->type.description);
        /* A type that cannot be kept would be stored again and again. */
        const coordinator_type_t *type = coordinator_registry_type(self->registry, self->put_name);
        bool kept =
            type && fabric_bytes_equal(wire_writer_bytes(&type->encoded), call->type.description);
        error = kept ? FABRIC_OK : FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    bool final = error == FABRIC_ERROR_TYPE_CONFLICT || error == FABRIC_ERROR_LIMIT_EXCEEDED;
    if (final && coordinator_runners_find(self->runners, call->runner.incarnation)) {
        conclude(self, call->runner.incarnation, error,
                 error == FABRIC_ERROR_TYPE_CONFLICT
                     ? "an entity type is stored with another shard group"
                     : "the cluster has as many shard groups or types as it may");
        coordinator_schedule_require(self->schedule, COORDINATOR_LIST_TYPES);
    }
}
