/* The entity types Purse and Chest: see purse.h. Built as a module for fabric-worker. */
#include <fabric/worker.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/purse.h"

/* ---- Purse ---- */

typedef struct purse {
    int64_t amount;
    uint64_t builds;
    uint64_t handled; /* not in the schema */
} purse_t;

static const fabric_field_t purse_fields[] = {FABRIC_I64(purse_t, amount),
                                              FABRIC_U64(purse_t, builds)};
static const fabric_schema_t purse_schema = FABRIC_SCHEMA("Purse", purse_t, purse_fields);

static atomic_ullong restored;
static atomic_llong restored_amount;

static bool restore(fabric_instance_t *instance, void *state)
{
    (void)instance;
    atomic_store(&restored_amount, ((const purse_t *)state)->amount);
    atomic_fetch_add(&restored, 1);
    return true;
}

static bool build(fabric_instance_t *instance, void *state)
{
    (void)instance;
    ((purse_t *)state)->builds = 1;
    return true;
}

static void tell(const purse_t *purse, void *reply)
{
    *(purse_content_t *)reply =
        (purse_content_t){purse->amount, purse->builds, purse->handled, atomic_load(&restored),
                          atomic_load(&restored_amount)};
}

/* Of $PURSE_RUNS, which gets a byte for each run of Put; -1: it is not set. */
static int runs = -1;

static void open_runs(void)
{
    const char *path = getenv("PURSE_RUNS");
    if (path) {
        runs = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    }
}

/* One write, which a SIGKILL does not undo. */
static void count_run(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, open_runs);
    if (runs >= 0 && write(runs, ".", 1) != 1) {
        abort();
    }
}

static fabric_result_t put(fabric_context_t *context, void *state, const void *request, void *reply)
{
    purse_t *purse = (purse_t *)state;
    (void)context;
    count_run();
    purse->handled++;
    purse->amount += ((const purse_amount_t *)request)->amount;
    tell(purse, reply);
    return FABRIC_REPLY;
}

static fabric_result_t keep(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    fabric_context_keep_alive(context, true);
    return put(context, state, request, reply);
}

static fabric_result_t look(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    (void)context;
    (void)request;
    ((purse_t *)state)->handled++;
    tell((const purse_t *)state, reply);
    return FABRIC_REPLY;
}

static fabric_result_t spoil(fabric_context_t *context, void *state, const void *request,
                             void *reply)
{
    purse_t *purse = (purse_t *)state;
    int64_t amount = ((const purse_amount_t *)request)->amount;
    purse->handled++;
    if (fabric_context_attempt(context) <= (uint32_t)amount) {
        purse->amount += amount;
        return fabric_defect(context, "spoiled");
    }
    tell(purse, reply);
    return FABRIC_REPLY;
}

static fabric_result_t take(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    purse_t *purse = (purse_t *)state;
    purse->handled++;
    purse->amount -= ((const purse_amount_t *)request)->amount;
    tell(purse, reply);
    if (purse->amount < 0) {
        return fabric_fail_with(context, PURSE_TOO_LITTLE, reply);
    }
    return FABRIC_REPLY;
}

static const fabric_handler_t purse_handlers[] = {
    {&purse_put, put},   {&purse_look, look}, {&purse_spoil, spoil},  {&purse_snatch, put},
    {&purse_take, take}, {&purse_keep, keep}, {&purse_put_early, put}};
static const fabric_entity_type_t purse_type = {
    .name = PURSE_TYPE,
    .state_size = sizeof(purse_t),
    .build = build,
    .restore = restore,
    .handlers = purse_handlers,
    .handler_count = sizeof purse_handlers / sizeof purse_handlers[0],
    .state = &purse_schema,
    .persisted = true,
};

/* ---- Chest ---- */

typedef struct chest {
    struct {
        uint32_t size;
        uint8_t data[CHEST_BYTES];
    } content;
} chest_t;

static const fabric_field_t chest_fields[] = {FABRIC_BYTES(chest_t, content)};
static const fabric_schema_t chest_schema = FABRIC_SCHEMA("Chest", chest_t, chest_fields);

static fabric_result_t fill(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    chest_t *chest = (chest_t *)state;
    uint8_t before = chest->content.size > 0 ? chest->content.data[0] : 0;
    for (uint32_t i = 0; i < chest->content.size; i++) {
        if (chest->content.data[i] != before) {
            return fabric_fail(context, 1, "byte %u is another one", i);
        }
    }
    chest->content.size = CHEST_BYTES;
    memset(chest->content.data, (int)((const purse_amount_t *)request)->amount, CHEST_BYTES);
    ((purse_amount_t *)reply)->amount = before;
    return FABRIC_REPLY;
}

static const fabric_handler_t chest_handlers[] = {{&chest_fill, fill}};
static const fabric_entity_type_t chest_type = {
    .name = CHEST_TYPE,
    .state_size = sizeof(chest_t),
    .handlers = chest_handlers,
    .handler_count = 1,
    .state = &chest_schema,
    .persisted = true,
};

FABRIC_MODULE(&purse_type, &chest_type);
