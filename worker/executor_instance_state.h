/* The instances of an executor's entities, and what they are given: finalizers, which end with the
 * state, and resources, which do not.
 */
#ifndef WORKER_EXECUTOR_INSTANCE_STATE_H
#define WORKER_EXECUTOR_INSTANCE_STATE_H

#include <fabric/instance.h>

#include "core/limits.h"
#include "core/timers.h"

struct entity;

typedef struct finalizer {
    struct finalizer *next; /* the one that was added before */
    fabric_finalizer_fn *run;
    void *argument;
} finalizer_t;

typedef struct resource {
    struct resource *next; /* of its entity */
    struct entity *entity;
    const fabric_resource_type_t *type;
    void *value;
    timer_entry_t idle; /* until it is released; not set: it is not */
} resource_t;

/* What the functions of <fabric/instance.h> are given: an executor has one, as it runs one build
 * function or handler at a time. */
struct fabric_instance {
    struct entity_table *table;
    struct entity *entity; /* whose function runs, or ran last */
    fabric_runner_t runner;
    struct fabric_sender *sender; /* NULL: the executor has none */
    timers_t idle;                /* of resources */
    uint32_t resource_count, resources_max;
    char text[LIMIT_TEXT_BYTES_MAX + 1]; /* why a build failed; empty: nothing was said */
};

void instance_init(fabric_instance_t *instance, struct entity_table *table, uint32_t resources_max);
void instance_free(fabric_instance_t *instance);

/* Runs the finalizers of the entity's state, the last one first. */
void instance_finalize(struct entity *entity);
/* Forgets the entity's finalizers and resources: a handler that has not ended may use them. */
void instance_forget(fabric_instance_t *instance, struct entity *entity);
/* This process has the entity no more: its resources are left. */
void instance_leave_resources(fabric_instance_t *instance, struct entity *entity);
/* Releases one resource that has been idle; false: none has. */
bool instance_sweep(fabric_instance_t *instance, uint64_t now_ms);

#endif
