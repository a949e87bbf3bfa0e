/* The runners that the router knows: see runners.h. */
#include "broker/coordinator/runners.h"

#include <stdlib.h>

#include "core/limits.h"
#include "core/memory.h"

struct coordinator_runners {
    coordinator_runner_t **items;
    size_t count;
    incarnation_t *removals; /* runners whose rows are to be removed */
    size_t removal_count;
};

coordinator_runners_t *coordinator_runners_new(void)
{
    return memory_allocate_zeroed(1, sizeof(coordinator_runners_t));
}

void coordinator_runners_destroy(coordinator_runners_t **runners)
{
    coordinator_runners_t *self = *runners;
    if (!self) {
        return;
    }
    while (self->count > 0) {
        coordinator_runners_remove(self, self->items[0]->stored.incarnation);
    }
    free(self->items);
    free(self->removals);
    free(self);
    *runners = NULL;
}

size_t coordinator_runners_count(const coordinator_runners_t *self)
{
    return self->count;
}

const coordinator_runner_t *coordinator_runners_at(const coordinator_runners_t *self, size_t index)
{
    return self->items[index];
}

static size_t index_of(const coordinator_runners_t *self, incarnation_t incarnation)
{
    size_t i = 0;
    while (i < self->count && !incarnation_equal(self->items[i]->stored.incarnation, incarnation)) {
        i++;
    }
    return i;
}

static coordinator_runner_t *find(const coordinator_runners_t *self, incarnation_t incarnation)
{
    size_t i = index_of(self, incarnation);
    return i < self->count ? self->items[i] : NULL;
}

const coordinator_runner_t *coordinator_runners_find(const coordinator_runners_t *self,
                                                     incarnation_t incarnation)
{
    return find(self, incarnation);
}

bool coordinator_runner_may_own(const coordinator_runner_t *runner, const char *type)
{
    for (size_t i = 0; runner->joined && runner->stored.weight > 0 && i < runner->type_count; i++) {
        if (strcmp(runner->types[i]->name, type) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- admission ---- */

static void free_types(coordinator_runner_t *runner)
{
    for (size_t i = 0; i < runner->type_count; i++) {
        type_description_destroy(&runner->types[i]);
    }
    free(runner->types);
    runner->types = NULL;
    runner->type_count = 0;
}

static fabric_error_t parse_types(coordinator_runner_t *runner, fabric_bytes_t encoded)
{
    wire_reader_t reader = wire_reader(encoded);
    uint32_t count = encoded.size > 0 ? wire_get_array(&reader) : 0;
    if (count > LIMIT_TYPES_MAX) {
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    runner->types = memory_allocate_zeroed(count, sizeof(type_description_t *));
    for (uint32_t i = 0; i < count; i++) {
        fabric_error_t error = type_description_parse(&reader, &runner->types[i]);
        if (error) {
            return error;
        }
        runner->type_count = i + 1;
    }
    return wire_finish(&reader);
}

static coordinator_runner_t *add(coordinator_runners_t *self, incarnation_t incarnation)
{
    self->items = memory_resize(self->items, self->count + 1, sizeof(coordinator_runner_t *));
    coordinator_runner_t *runner = memory_allocate_zeroed(1, sizeof *runner);
    runner->stored.incarnation = incarnation;
    self->items[self->count++] = runner;
    return runner;
}

fabric_error_t coordinator_runners_ask(coordinator_runners_t *self, const router_order_t *order,
                                       uint64_t deadline_ms)
{
    coordinator_runner_t *runner = find(self, order->runner);
    if (!runner) {
        runner = add(self, order->runner);
    }
    runner->stored.weight = order->weight;
    runner->app_version = order->app_version;
    memcpy(runner->stored.name, order->name, sizeof runner->stored.name);
    runner->asked = true;
    runner->deadline_ms = deadline_ms;
    free_types(runner);
    return parse_types(runner, fabric_bytes(order->types, order->types_size));
}

bool coordinator_runners_conclude(coordinator_runners_t *self, incarnation_t incarnation,
                                  fabric_error_t error)
{
    coordinator_runner_t *runner = find(self, incarnation);
    if (!runner) {
        return false;
    }
    bool asked = runner->asked;
    runner->asked = false;
    runner->unregistered = false;
    if (asked && error && !runner->joined) {
        coordinator_runners_remove(self, incarnation);
    }
    return asked;
}

void coordinator_runners_join(coordinator_runners_t *self, incarnation_t incarnation)
{
    coordinator_runner_t *runner = find(self, incarnation);
    if (runner) {
        runner->joined = true;
        runner->unwritten = true;
        coordinator_runners_keep_row(self, incarnation);
    }
}

void coordinator_runners_remove(coordinator_runners_t *self, incarnation_t incarnation)
{
    size_t i = index_of(self, incarnation);
    if (i < self->count) {
        free_types(self->items[i]);
        free(self->items[i]);
        self->items[i] = self->items[--self->count];
    }
}

bool coordinator_runners_set_standing(coordinator_runners_t *self, incarnation_t incarnation,
                                      runner_standing_t standing)
{
    coordinator_runner_t *runner = find(self, incarnation);
    return runner && runner_standing_set(&runner->standing, standing) && runner->joined;
}

void coordinator_runners_begin_term(coordinator_runners_t *self)
{
    for (size_t i = 0; i < self->count; i++) {
        self->items[i]->unregistered = true;
        self->items[i]->unwritten = self->items[i]->joined;
    }
}

/* ---- rows ---- */

void coordinator_runners_forget_row(coordinator_runners_t *self, incarnation_t incarnation)
{
    self->removals = memory_resize(self->removals, self->removal_count + 1, sizeof *self->removals);
    self->removals[self->removal_count++] = incarnation;
}

void coordinator_runners_keep_row(coordinator_runners_t *self, incarnation_t incarnation)
{
    for (size_t i = 0; i < self->removal_count; i++) {
        if (incarnation_equal(self->removals[i], incarnation)) {
            memmove(&self->removals[i], &self->removals[i + 1],
                    (self->removal_count - i - 1) * sizeof *self->removals);
            self->removal_count--;
            return;
        }
    }
}

const incarnation_t *coordinator_runners_next_removal(const coordinator_runners_t *self)
{
    return self->removal_count > 0 ? &self->removals[self->removal_count - 1] : NULL;
}

const coordinator_runner_t *coordinator_runners_next_unwritten(const coordinator_runners_t *self)
{
    for (size_t i = 0; i < self->count; i++) {
        if (self->items[i]->unwritten) {
            return self->items[i];
        }
    }
    return NULL;
}

void coordinator_runners_row_written(coordinator_runners_t *self, incarnation_t incarnation)
{
    coordinator_runner_t *runner = find(self, incarnation);
    if (runner) {
        runner->unwritten = false;
    }
}
