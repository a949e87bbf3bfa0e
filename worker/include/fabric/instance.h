/** @file
 * The life of an entity's instance: how it is built, what ends with it, and which resources outlive
 * it. A part of <fabric/worker.h>.
 *
 * @code{.c}
 * typedef struct ledger {
 *     FILE *file;
 * } ledger_t;
 *
 * static void close_file(void *file)
 * {
 *     (void)fclose((FILE *)file);
 * }
 *
 * static bool build_ledger(fabric_instance_t *instance, void *state)
 * {
 *     ledger_t *ledger = (ledger_t *)state;
 *     fabric_address_t address = fabric_instance_address(instance);
 *     char path[300];
 *     snprintf(path, sizeof path, "%.*s.ledger", (int)address.id.size,
 *              (const char *)address.id.data);
 *     ledger->file = fopen(path, "a");
 *     if (!ledger->file) {
 *         return fabric_build_failed(instance, "cannot open %s", path);
 *     }
 *     return fabric_instance_add_finalizer(instance, close_file, ledger->file);
 * }
 *
 * // ... in the entity type: .state_size = sizeof(ledger_t), .build = build_ledger
 * @endcode
 *
 * Rules:
 *  1. The functions here are for an executor's thread: for a build function, for the acquire
 *     function of a resource, and for a handler, by way of fabric_context_instance(). An instance
 *     is named by its pointer until the function that was given it returns.
 *  2. A build that fails uses up no attempt. Finalizers that it has added are run, no handler runs,
 *     and the message waits at its broker, which delivers it again after 0.5 s, and then after
 *     pauses that grow by half up to 10 s (`backoff_ms`, `backoff_max_ms` of the broker), for as
 *     long as it takes. So do all messages behind it.
 *  3. Finalizers run when the state ends, however it ends: when the entity has been idle, makes
 *     room, terminates itself or broke, when its shard moves away, and when the worker stops. They
 *     run once, in the reverse order of their addition, after the `stop` function of the type. They
 *     do not run when the process ends otherwise, and when a handler does not return in time.
 *  4. A resource is of an entity, not of an instance. It stays while instances come and go, until
 *     it is closed, or nothing has asked for it for its idle time: then it is released. When the
 *     shard moves away, and when the worker stops, the resource is left: what it stands for goes
 *     on, and the entity's next instance, on whichever worker, acquires it anew. An entity with
 *     resources is stopped neither when it is idle nor to make room for others, and comes back by
 *     itself like one that keeps itself alive. So a build function that acquires what its entity
 *     had finds it again without a message, and it is released when nobody uses it. An instance
 *     that has come back and acquires nothing is stopped when it is idle, and then is not kept.
 */
#ifndef FABRIC_INSTANCE_H
#define FABRIC_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fabric/bytes.h>
#include <fabric/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An entity's instance. Opaque. */
typedef struct fabric_instance fabric_instance_t;

/** Where an entity lives. The views are valid as long as the instance's pointer is. */
typedef struct fabric_address {
    fabric_bytes_t type;  /**< the entity's type */
    fabric_bytes_t id;    /**< the entity's id */
    fabric_bytes_t group; /**< its shard group */
    uint32_t shard;       /**< the number of its shard in the group: 1, 2, ... */
} fabric_address_t;

/** The worker that runs an instance. */
typedef struct fabric_runner {
    const char *name;     /**< as `name` of the worker's options; empty in a fabric_testing_t */
    uint64_t app_version; /**< likewise; 0: none */
} fabric_runner_t;

/** The address of the instance's entity. */
FABRIC_PUBLIC
fabric_address_t fabric_instance_address(const fabric_instance_t *instance);

/** The worker that runs the instance. Its name stays as long as the worker. */
FABRIC_PUBLIC
fabric_runner_t fabric_instance_runner(const fabric_instance_t *instance);

/** Builds an instance: sets the initial state, which is zeroed before (NULL for types without
 *  state). false: it cannot be built now, see rule 2. */
typedef bool fabric_build_fn(fabric_instance_t *instance, void *state);

/** Says why a build or an acquire function fails, for the log and for callers, and returns false,
 *  for `return`. */
FABRIC_PUBLIC
FABRIC_PRINTF(2, 3)
bool fabric_build_failed(fabric_instance_t *instance, const char *format, ...);

/** Ends something that a build function or handler has begun. */
typedef void fabric_finalizer_fn(void *argument);

/** How many finalizers an instance may have. */
#define FABRIC_FINALIZERS_MAX 256

/** Has `run` called with `argument` when the state ends, see rule 3. true; false when the instance
 *  has FABRIC_FINALIZERS_MAX of them: then `run` was not added. */
FABRIC_PUBLIC
FABRIC_MUST_USE
bool fabric_instance_add_finalizer(fabric_instance_t *instance, fabric_finalizer_fn *run,
                                   void *argument);

/** A kind of resource. Constant data that must stay valid while a worker uses it. */
typedef struct fabric_resource_type {
    /** Makes the resource, or finds it again where an instance on another worker has left it. NULL:
     *  it cannot now; see fabric_build_failed(). */
    void *(*acquire)(fabric_instance_t *instance);
    /** Ends the resource for good. May be NULL. */
    void (*release)(void *resource);
    /** Frees what this process has of the resource, which goes on. May be NULL. */
    void (*leave)(void *resource);
    /** A resource that nothing has asked for so long is released; 0: it stays until it is closed.
     *  It stays, too, while a handler of its entity is pending. */
    uint32_t idle_ms;
} fabric_resource_type_t;

/** The entity's resource of this type, which is acquired unless it is there. Valid until the
 *  handler, or the build function, returns; with an idle_ms of 0 until it is closed or left. NULL:
 *  it could not be acquired, or the worker has as many resources as it may have residents. */
FABRIC_PUBLIC
void *fabric_instance_resource(fabric_instance_t *instance, const fabric_resource_type_t *type);

/** Releases the entity's resource of this type now. Whether there was one. */
FABRIC_PUBLIC
bool fabric_instance_close_resource(fabric_instance_t *instance,
                                    const fabric_resource_type_t *type);

#ifdef __cplusplus
}
#endif
#endif
