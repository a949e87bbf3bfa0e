/* The queue of the coordinator's effects: see effects.h. */
#include "broker/coordinator/effects.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

enum { CAPACITY_FIRST = 64 };

struct coordinator_effects {
    coordinator_effect_t *items;
    size_t first, count, capacity;
};

void coordinator_effect_clear(coordinator_effect_t *effect)
{
    free(effect->holds);
    free(effect->brokers);
    free(effect->credentials);
    free(effect->bytes);
    effect->brokers = NULL;
    effect->credentials = NULL;
    effect->holds = NULL;
    effect->bytes = NULL;
}

void coordinator_effect_set_bytes(coordinator_effect_t *effect, fabric_bytes_t bytes)
{
    effect->bytes = memory_allocate(bytes.size + 1);
    if (bytes.size > 0) {
        memcpy(effect->bytes, bytes.data, bytes.size);
    }
    effect->bytes[bytes.size] = 0;
    effect->size = bytes.size;
}

coordinator_effects_t *coordinator_effects_new(void)
{
    return memory_allocate_zeroed(1, sizeof(coordinator_effects_t));
}

void coordinator_effects_destroy(coordinator_effects_t **effects)
{
    coordinator_effects_t *self = *effects;
    if (!self) {
        return;
    }
    for (size_t i = 0; i < self->count; i++) {
        coordinator_effect_clear(&self->items[self->first + i]);
    }
    free(self->items);
    free(self);
    *effects = NULL;
}

coordinator_effect_t *coordinator_effects_add(coordinator_effects_t *self,
                                              coordinator_effect_kind_t kind)
{
    if (self->count == 0) {
        self->first = 0;
    }
    size_t end = self->first + self->count;
    if (end == self->capacity) {
        self->capacity = self->capacity ? self->capacity * 2 : CAPACITY_FIRST;
        self->items = memory_resize(self->items, self->capacity, sizeof *self->items);
    }
    self->items[end] = (coordinator_effect_t){.kind = kind};
    self->count++;
    return &self->items[end];
}

bool coordinator_effects_take(coordinator_effects_t *self, coordinator_effect_t *effect)
{
    if (self->count == 0) {
        return false;
    }
    *effect = self->items[self->first++];
    self->count--;
    return true;
}
