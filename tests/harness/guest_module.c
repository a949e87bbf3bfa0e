/* The entity type Guest: see guest.h. Built as a module for fabric-worker. */
#include <fabric/worker.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/harness/guest.h"

static atomic_ullong instances, alive, most;

static bool build(fabric_instance_t *instance, void *state)
{
    (void)instance;
    ((guest_visit_t *)state)->instance = atomic_fetch_add(&instances, 1) + 1;
    unsigned long long now = atomic_fetch_add(&alive, 1) + 1;
    unsigned long long before = atomic_load(&most);
    while (now > before && !atomic_compare_exchange_weak(&most, &before, now)) {
    }
    return true;
}

static void stop(void *state, fabric_bytes_t id)
{
    (void)state;
    (void)id;
    atomic_fetch_sub(&alive, 1);
}

static void wait_for(const char *gate)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    const char *folder = getenv("PROBE_FOLDER");
    char path[700];
    snprintf(path, sizeof path, "%s/%s", folder ? folder : "/nonexistent", gate);
    while (access(path, F_OK) != 0) {
        nanosleep(&pause, NULL);
    }
}

static fabric_result_t greet(fabric_context_t *context, void *state, const void *request,
                             void *reply)
{
    guest_visit_t *guest = (guest_visit_t *)state;
    (void)context;
    (void)request;
    guest->visit++;
    guest->most = atomic_load(&most);
    *(guest_visit_t *)reply = *guest;
    return FABRIC_REPLY;
}

static fabric_result_t block(fabric_context_t *context, void *state, const void *request,
                             void *reply)
{
    wait_for(((const guest_gate_t *)request)->name);
    return greet(context, state, NULL, reply);
}

static fabric_result_t keep(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    fabric_context_keep_alive(context, ((const guest_flag_t *)request)->on);
    return greet(context, state, NULL, reply);
}

static fabric_result_t leave(fabric_context_t *context, void *state, const void *request,
                             void *reply)
{
    (void)request;
    fabric_context_terminate(context);
    return greet(context, state, NULL, reply);
}

static fabric_result_t break_handler(fabric_context_t *context, void *state, const void *request,
                                     void *reply)
{
    return fabric_context_attempt(context) == 1 ? fabric_defect(context, "the first attempt")
                                                : greet(context, state, request, reply);
}

/* ---- a handler that answers later ---- */

typedef struct waiter {
    fabric_pending_t *pending;
    guest_visit_t reply;
    guest_gate_t gate;
} waiter_t;

static void *answer(void *argument)
{
    waiter_t *waiter = (waiter_t *)argument;
    wait_for(waiter->gate.name);
    fabric_pending_reply(&waiter->pending, &waiter->reply);
    free(waiter);
    return NULL;
}

static fabric_result_t wait_handler(fabric_context_t *context, void *state, const void *request,
                                    void *reply)
{
    waiter_t *waiter = (waiter_t *)calloc(1, sizeof *waiter);
    pthread_t thread;
    if (!waiter) {
        abort();
    }
    (void)greet(context, state, NULL, reply);
    waiter->pending = fabric_later(context);
    waiter->reply = *(guest_visit_t *)reply;
    waiter->gate = *(const guest_gate_t *)request;
    if (pthread_create(&thread, NULL, answer, waiter) != 0) {
        abort();
    }
    pthread_detach(thread);
    return FABRIC_PENDING;
}

static const fabric_handler_t handlers[] = {
    {&guest_greet, greet},         {&guest_volatile_greet, greet},
    {&guest_wait, wait_handler},   {&guest_block, block},
    {&guest_keep, keep},           {&guest_leave, leave},
    {&guest_break, break_handler},
};
static const fabric_message_type_t *const waits[] = {&guest_wait, NULL};

#define GUEST                                                                                      \
    .state_size = sizeof(guest_visit_t), .build = build, .stop = stop, .handlers = handlers,       \
    .handler_count = sizeof handlers / sizeof handlers[0], .slow_ms = GUEST_MS

static const fabric_entity_type_t guest_type = {.name = GUEST_TYPE, .idle_ms = GUEST_MS, GUEST};
static const fabric_entity_type_t pair_type = {.name = GUEST_PAIR, .concurrency = 2, GUEST};
static const fabric_entity_type_t beside_type = {.name = GUEST_BESIDE, .concurrent = waits, GUEST};

FABRIC_MODULE(&guest_type, &pair_type, &beside_type);
