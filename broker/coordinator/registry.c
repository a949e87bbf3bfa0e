/* The groups and types that the cluster knows: see registry.h. */
#include "broker/coordinator/registry.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/memory.h"

struct coordinator_registry {
    shard_map_t *map;
    coordinator_effects_t *effects;
    bool groups_read, types_read;
    bool types_listed;      /* the router was told */
    bool registration_told; /* the same of the time of the cluster's first registration */
    bool doubted; /* the router was told so: a type that is not known here may be stored */
    uint64_t doubt_until_ms; /* readings that begin earlier do not end that; 0: none is needed */
    coordinator_group_t groups[LIMIT_GROUPS_MAX]; /* number n at n - 1 */
    size_t group_count;
    coordinator_type_t *types;
    size_t type_count;
};

coordinator_registry_t *coordinator_registry_new(shard_map_t *map, coordinator_effects_t *effects)
{
    coordinator_registry_t *self = memory_allocate_zeroed(1, sizeof *self);
    self->map = map;
    self->effects = effects;
    return self;
}

void coordinator_registry_destroy(coordinator_registry_t **registry)
{
    coordinator_registry_t *self = *registry;
    if (!self) {
        return;
    }
    for (size_t i = 0; i < self->type_count; i++) {
        type_description_destroy(&self->types[i].description);
        wire_writer_destroy(&self->types[i].encoded);
    }
    free(self->types);
    free(self);
    *registry = NULL;
}

bool coordinator_registry_groups_are_read(const coordinator_registry_t *self)
{
    return self->groups_read;
}

bool coordinator_registry_types_are_read(const coordinator_registry_t *self)
{
    return self->types_read;
}

void coordinator_registry_begin_term(coordinator_registry_t *self)
{
    self->groups_read = self->types_read = false;
    self->doubted = true;
    self->doubt_until_ms = 0;
}

static void tell_router(coordinator_registry_t *self, bool doubted)
{
    if (self->doubted != doubted) {
        self->doubted = doubted;
        coordinator_effects_add(self->effects, COORDINATOR_TYPES_READ)->number = !doubted;
    }
}

void coordinator_registry_begin_put(coordinator_registry_t *self)
{
    tell_router(self, true);
}

void coordinator_registry_end_put(coordinator_registry_t *self)
{
    if (self->doubt_until_ms == 0) {
        tell_router(self, false);
    }
}

void coordinator_registry_doubt_put(coordinator_registry_t *self, uint64_t until_ms)
{
    self->doubt_until_ms = until_ms;
}

void coordinator_registry_end_reading(coordinator_registry_t *self, uint64_t started_ms)
{
    if (started_ms >= self->doubt_until_ms) {
        self->doubt_until_ms = 0;
        tell_router(self, false);
    }
}

/* ---- groups ---- */

const coordinator_group_t *coordinator_registry_group(const coordinator_registry_t *self,
                                                      const char *name)
{
    for (size_t i = 0; i < self->group_count; i++) {
        if (strcmp(self->groups[i].name, name) == 0) {
            return &self->groups[i];
        }
    }
    return NULL;
}

size_t coordinator_registry_group_count(const coordinator_registry_t *self)
{
    return self->group_count;
}

const coordinator_group_t *coordinator_registry_group_at(const coordinator_registry_t *self,
                                                         size_t index)
{
    return &self->groups[index];
}

static void add_group(coordinator_registry_t *self, uint16_t number, const char *name)
{
    /* Numbers run from 1 without gaps; a row that says otherwise is damaged. */
    if (number != self->group_count + 1 || number > LIMIT_GROUPS_MAX ||
        shard_map_add_group(self->map, number, fabric_bytes_of(name))) {
        return;
    }
    coordinator_group_t *group = &self->groups[self->group_count++];
    group->number = number;
    snprintf(group->name, sizeof group->name, "%s", name);
}

void coordinator_registry_take_groups(coordinator_registry_t *self,
                                      const coordinator_group_t *groups, size_t count)
{
    for (uint16_t number = 1; number <= LIMIT_GROUPS_MAX; number++) {
        for (size_t i = 0; i < count; i++) {
            if (groups[i].number == number) {
                add_group(self, number, groups[i].name);
            }
        }
    }
    self->groups_read = true;
}

bool coordinator_registry_add_group(coordinator_registry_t *self, uint16_t number, const char *name)
{
    add_group(self, number, name);
    self->groups_read = coordinator_registry_group(self, name) != NULL;
    return self->groups_read;
}

/* ---- types ---- */

size_t coordinator_registry_type_count(const coordinator_registry_t *self)
{
    return self->type_count;
}

/* A forgotten type as well. */
static coordinator_type_t *find_type(const coordinator_registry_t *self, const char *name)
{
    for (size_t i = 0; i < self->type_count; i++) {
        if (strcmp(self->types[i].description->name, name) == 0) {
            return &self->types[i];
        }
    }
    return NULL;
}

const coordinator_type_t *coordinator_registry_type(const coordinator_registry_t *self,
                                                    const char *name)
{
    const coordinator_type_t *type = find_type(self, name);
    return type && type->encoded.size > 0 ? type : NULL;
}

bool coordinator_registry_can_take_type(const coordinator_registry_t *self, const char *name)
{
    return find_type(self, name) ||
           shard_map_can_take_type(self->type_count, shard_map_shards_per_group(self->map));
}

const coordinator_type_t *coordinator_registry_type_at(const coordinator_registry_t *self,
                                                       size_t index)
{
    return &self->types[index];
}

static coordinator_type_t *add_type(coordinator_registry_t *self)
{
    self->types = memory_resize(self->types, self->type_count + 1, sizeof *self->types);
    coordinator_type_t *type = &self->types[self->type_count++];
    *type = (coordinator_type_t){.group = 0};
    return type;
}

void coordinator_registry_take_type(coordinator_registry_t *self, uint16_t group,
                                    fabric_bytes_t encoded)
{
    type_description_t *description = NULL;
    wire_reader_t reader = wire_reader(encoded);
    if (type_description_parse(&reader, &description)) {
        return;
    }
    coordinator_type_t *type = find_type(self, description->name);
    bool same = type && type->group == group &&
                fabric_bytes_equal(wire_writer_bytes(&type->encoded), encoded);
    if (same || shard_map_add_type(self->map, fabric_bytes_of(description->name), group)) {
        type_description_destroy(&description);
        return;
    }
    if (!type) {
        type = add_type(self);
    }
    type_description_destroy(&type->description);
    type->description = description;
    type->group = group;
    wire_writer_reset(&type->encoded);
    wire_append(&type->encoded, encoded.data, encoded.size);
    coordinator_effect_t *effect = coordinator_effects_add(self->effects, COORDINATOR_TYPE);
    effect->group = group;
    coordinator_effect_set_bytes(effect, encoded);
}

void coordinator_registry_forget_type(coordinator_registry_t *self, const char *name)
{
    coordinator_type_t *type = find_type(self, name);
    if (type && type->encoded.size > 0) {
        wire_writer_reset(&type->encoded);
        coordinator_effect_set_bytes(
            coordinator_effects_add(self->effects, COORDINATOR_TYPE_FORGOTTEN),
            fabric_bytes_of(name));
    }
}

static void take_stored_type(coordinator_registry_t *self, const store_type_t *type)
{
    char name[LIMIT_NAME_BYTES_MAX + 1] = "";
    if (type->description.size > 0) {
        coordinator_registry_take_type(self, type->group, type->description);
    } else if (type->name.size < sizeof name) {
        memcpy(name, type->name.data, type->name.size);
        coordinator_registry_forget_type(self, name);
    }
}

void coordinator_registry_take_types(coordinator_registry_t *self, const store_type_t *types,
                                     size_t count, const store_registration_t *registration)
{
    if (registration->any && !self->registration_told) {
        self->registration_told = true;
        coordinator_effects_add(self->effects, COORDINATOR_REGISTERED)->number =
            registration->ago_ms;
    }
    for (size_t i = 0; i < count; i++) {
        take_stored_type(self, &types[i]);
    }
    self->types_read = true;
    if (!self->types_listed) {
        self->types_listed = true;
        coordinator_effects_add(self->effects, COORDINATOR_TYPES_LISTED);
    }
}
