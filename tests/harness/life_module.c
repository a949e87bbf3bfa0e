/* The entity types Life, LifeSkip, LifePark and LifeCaller: see life.h. A module for
 * fabric-worker. */
#include <fabric/worker.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/harness/life.h"

enum { ROW_SIZE = 700 };

typedef struct life {
    uint64_t count;
} life_t;

/* What finalizers and resources need to note what happens to them. */
typedef struct mark {
    const char *event;
    const char *other; /* of a resource: when it is left */
    char row[ROW_SIZE / 2];
} mark_t;

static void in_folder(const char *name, char path[ROW_SIZE])
{
    const char *folder = getenv("PROBE_FOLDER");
    snprintf(path, ROW_SIZE, "%s/%s", folder ? folder : "/nonexistent", name);
}

static bool is_open(const char *gate)
{
    char path[ROW_SIZE];
    in_folder(gate, path);
    return access(path, F_OK) == 0;
}

static void note(const char *event, const char *row)
{
    char path[ROW_SIZE];
    char line[ROW_SIZE];
    int size = snprintf(line, sizeof line, "%s %s\n", event, row);
    in_folder(LIFE_FILE, path);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0 || write(file, line, (size_t)size) != size) {
        abort();
    }
    close(file);
}

static mark_t *make_mark(const fabric_instance_t *instance, const char *event)
{
    fabric_address_t address = fabric_instance_address(instance);
    mark_t *mark = (mark_t *)calloc(1, sizeof *mark);
    if (!mark) {
        abort();
    }
    mark->event = event;
    snprintf(mark->row, sizeof mark->row, "%.*s %u %s", (int)address.id.size,
             (const char *)address.id.data, (unsigned)address.shard,
             fabric_instance_runner(instance).name);
    return mark;
}

/* ---- instances ---- */

static void finalize(void *argument)
{
    mark_t *mark = (mark_t *)argument;
    note(mark->event, mark->row);
    free(mark);
}

static bool add(fabric_instance_t *instance, const char *event)
{
    mark_t *mark = make_mark(instance, event);
    bool added = fabric_instance_add_finalizer(instance, finalize, mark);
    if (!added) {
        free(mark);
    }
    return added;
}

static void *acquire(fabric_instance_t *instance)
{
    mark_t *mark = make_mark(instance, "released");
    mark->other = "left";
    note("acquired", mark->row);
    return mark;
}

static void leave(void *resource)
{
    mark_t *mark = (mark_t *)resource;
    note(mark->other, mark->row);
    free(mark);
}

static const fabric_resource_type_t pod = {acquire, finalize, leave, 0};
static const fabric_resource_type_t lease = {acquire, finalize, leave, LIFE_RENT_MS};

static bool build(fabric_instance_t *instance, void *state)
{
    mark_t *mark = make_mark(instance, is_open(LIFE_AWAY) ? "failed" : "built");
    bool failed = mark->event[0] == 'f';
    (void)state;
    finalize(mark);
    return add(instance, "first") && add(instance, "second") &&
           (!is_open(LIFE_RENTED) || fabric_instance_resource(instance, &lease)) &&
           (!failed || fabric_build_failed(instance, "what it needs is away"));
}

/* ---- handlers ---- */

static fabric_result_t count(fabric_context_t *context, void *state, const void *request,
                             void *reply)
{
    (void)context;
    (void)request;
    ((life_number_t *)reply)->number = ++((life_t *)state)->count;
    return FABRIC_REPLY;
}

typedef struct waiter {
    fabric_pending_t *pending;
    life_number_t reply;
    life_gate_t gate;
} waiter_t;

static void *answer(void *argument)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    waiter_t *waiter = (waiter_t *)argument;
    while (!is_open(waiter->gate.name)) {
        nanosleep(&pause, NULL);
    }
    fabric_pending_reply(&waiter->pending, &waiter->reply);
    free(waiter);
    return NULL;
}

static fabric_result_t hold(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    waiter_t *waiter = (waiter_t *)calloc(1, sizeof *waiter);
    pthread_t thread;
    if (!waiter) {
        abort();
    }
    (void)count(context, state, NULL, reply);
    waiter->pending = fabric_later(context);
    waiter->reply = *(life_number_t *)reply;
    waiter->gate = *(const life_gate_t *)request;
    if (pthread_create(&thread, NULL, answer, waiter) != 0) {
        abort();
    }
    pthread_detach(thread);
    return FABRIC_PENDING;
}

static fabric_result_t break_handler(fabric_context_t *context, void *state, const void *request,
                                     void *reply)
{
    return is_open(((const life_gate_t *)request)->name)
               ? count(context, state, NULL, reply)
               : fabric_defect(context, "attempt %u", fabric_context_attempt(context));
}

static fabric_result_t acquire_handler(fabric_context_t *context, void *state, const void *request,
                                       void *reply)
{
    (void)state;
    (void)request;
    (void)reply;
    return fabric_instance_resource(fabric_context_instance(context), &pod)
               ? FABRIC_REPLY
               : fabric_fail(context, 1, "no resource");
}

static fabric_result_t close_handler(fabric_context_t *context, void *state, const void *request,
                                     void *reply)
{
    (void)state;
    (void)request;
    (void)reply;
    return fabric_instance_close_resource(fabric_context_instance(context), &pod)
               ? FABRIC_REPLY
               : fabric_fail(context, 1, "no resource");
}

static fabric_result_t rent_handler(fabric_context_t *context, void *state, const void *request,
                                    void *reply)
{
    (void)state;
    (void)request;
    (void)reply;
    return fabric_instance_resource(fabric_context_instance(context), &lease)
               ? FABRIC_REPLY
               : fabric_fail(context, 1, "no resource");
}

static fabric_result_t keep_handler(fabric_context_t *context, void *state, const void *request,
                                    void *reply)
{
    (void)state;
    (void)reply;
    fabric_context_keep_alive(context, ((const life_number_t *)request)->number != 0);
    return FABRIC_REPLY;
}

static fabric_result_t end_handler(fabric_context_t *context, void *state, const void *request,
                                   void *reply)
{
    (void)state;
    (void)request;
    (void)reply;
    fabric_context_terminate(context);
    return FABRIC_REPLY;
}

static const fabric_handler_t handlers[] = {
    {&life_count, count},
    {&life_hold, hold},
    {&life_volatile_hold, hold},
    {&life_break, break_handler},
    {&life_acquire, acquire_handler},
    {&life_close, close_handler},
    {&life_rent, rent_handler},
    {&life_keep, keep_handler},
    {&life_volatile_keep, keep_handler},
    {&life_end, end_handler},
};
static const fabric_message_type_t *const beside[] = {&life_hold, NULL};

#define LIFE                                                                                       \
    .state_size = sizeof(life_t), .build = build, .handlers = handlers,                            \
    .handler_count = sizeof handlers / sizeof handlers[0], .mailbox_capacity = LIFE_CAPACITY

static const fabric_entity_type_t life_type = {.name = LIFE_TYPE, .concurrent = beside, LIFE};
static const fabric_entity_type_t skip_type = {.name = LIFE_SKIP, .on_failure = FABRIC_SKIP, LIFE};
static const fabric_entity_type_t park_type = {.name = LIFE_PARK, .on_failure = FABRIC_PARK, LIFE};
static const fabric_entity_type_t caller_type = {
    .name = LIFE_CALLER, .defects_to_caller = true, LIFE};

FABRIC_MODULE(&life_type, &skip_type, &park_type, &caller_type);
