/* Instances: see executor_instance_state.h. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <utlist.h>

#include "core/memory.h"
#include "worker/executor_entity_state.h"

void instance_init(fabric_instance_t *instance, entity_table_t *table, uint32_t resources_max)
{
    instance->table = table;
    instance->runner = (fabric_runner_t){.name = ""};
    instance->resources_max = resources_max;
}

void instance_free(fabric_instance_t *instance)
{
    assert(instance->resource_count == 0);
    timers_destroy(&instance->idle);
}

/* ---- what an instance is told ---- */

fabric_address_t fabric_instance_address(const fabric_instance_t *instance)
{
    const entity_t *entity = instance->entity;
    const type_entry_t *type = entity_type(instance->table, entity);
    const char *group = type->type->group;
    shard_id_t shard = {(uint32_t)entity->ownership->key.shard};
    return (fabric_address_t){.type = type->name,
                              .id = entity_id(entity),
                              .group = fabric_bytes_of(group ? group : "default"),
                              .shard = shard_id_number(shard)};
}

fabric_runner_t fabric_instance_runner(const fabric_instance_t *instance)
{
    return instance->runner;
}

bool fabric_build_failed(fabric_instance_t *instance, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(instance->text, sizeof instance->text, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- finalizers ---- */

bool fabric_instance_add_finalizer(fabric_instance_t *instance, fabric_finalizer_fn *run,
                                   void *argument)
{
    entity_t *entity = instance->entity;
    size_t count = 0;
    for (const finalizer_t *other = entity->finalizers; other; other = other->next) {
        count++;
    }
    if (count >= FABRIC_FINALIZERS_MAX) {
        return false;
    }
    finalizer_t *finalizer = (finalizer_t *)memory_allocate(sizeof *finalizer);
    *finalizer = (finalizer_t){.next = entity->finalizers, .run = run, .argument = argument};
    entity->finalizers = finalizer;
    return true;
}

static finalizer_t *take_finalizer(entity_t *entity)
{
    finalizer_t *finalizer = entity->finalizers;
    if (finalizer) {
        entity->finalizers = finalizer->next;
    }
    return finalizer;
}

void instance_finalize(entity_t *entity)
{
    finalizer_t *finalizer;
    while ((finalizer = take_finalizer(entity))) {
        finalizer->run(finalizer->argument);
        free(finalizer);
    }
}

/* ---- resources ---- */

/* An entity with resources does not rest. */
static void settle(fabric_instance_t *instance, entity_t *entity)
{
    residents_set_rest(&instance->table->residents, entity, entity_rest(entity));
}

/* The same, and what has them is kept alive by them. */
static void settle_and_tell(fabric_instance_t *instance, entity_t *entity)
{
    settle(instance, entity);
    alive_tell(instance->table, entity);
}

static resource_t *find(const entity_t *entity, const fabric_resource_type_t *type)
{
    resource_t *resource = entity->resources;
    while (resource && resource->type != type) {
        resource = resource->next;
    }
    return resource;
}

/* The resource is used now. */
static void use(fabric_instance_t *instance, resource_t *resource)
{
    if (resource->type->idle_ms > 0) {
        timers_set(&instance->idle, &resource->idle,
                   resource->entity->used_ms + resource->type->idle_ms);
    }
}

void *fabric_instance_resource(fabric_instance_t *instance, const fabric_resource_type_t *type)
{
    entity_t *entity = instance->entity;
    resource_t *resource = find(entity, type);
    if (!resource) {
        if (instance->resource_count >= instance->resources_max) {
            (void)fabric_build_failed(instance, "the worker has as many resources as it may have");
            return NULL;
        }
        void *value = type->acquire(instance);
        if (!value) {
            return NULL;
        }
        resource = (resource_t *)memory_allocate_zeroed(1, sizeof *resource);
        resource->entity = entity;
        resource->type = type;
        resource->value = value;
        LL_PREPEND(entity->resources, resource);
        instance->resource_count++;
        settle_and_tell(instance, entity);
    }
    use(instance, resource);
    return resource->value;
}

/* Takes the resource from its entity, and ends it in this process by that function. */
static void end(fabric_instance_t *instance, resource_t *resource, void (*how)(void *resource))
{
    entity_t *entity = resource->entity;
    timers_cancel(&instance->idle, &resource->idle);
    LL_DELETE(entity->resources, resource);
    instance->resource_count--;
    if (how) {
        how(resource->value);
    }
    free(resource);
    settle(instance, entity);
}

bool fabric_instance_close_resource(fabric_instance_t *instance, const fabric_resource_type_t *type)
{
    resource_t *resource = find(instance->entity, type);
    if (!resource) {
        return false;
    }
    end(instance, resource, type->release);
    settle_and_tell(instance, instance->entity);
    return true;
}

void instance_leave_resources(fabric_instance_t *instance, entity_t *entity)
{
    while (entity->resources) {
        end(instance, entity->resources, entity->resources->type->leave);
    }
}

void instance_forget(fabric_instance_t *instance, entity_t *entity)
{
    finalizer_t *finalizer;
    while ((finalizer = take_finalizer(entity))) {
        free(finalizer);
    }
    while (entity->resources) {
        end(instance, entity->resources, NULL);
    }
}

bool instance_sweep(fabric_instance_t *instance, uint64_t now_ms)
{
    timer_entry_t *timer = timers_take_due(&instance->idle, now_ms);
    if (!timer) {
        return false;
    }
    resource_t *resource = TIMER_OWNER(timer, resource_t, idle);
    if (resource->entity->state == ENTITY_PENDING) { /* its handlers may use the resource */
        timers_set(&instance->idle, timer, now_ms + resource->type->idle_ms);
    } else {
        entity_t *entity = resource->entity;
        end(instance, resource, resource->type->release);
        settle_and_tell(instance, entity);
    }
    return true;
}
