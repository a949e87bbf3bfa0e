/* The entity type User: see user.h. Built as a module for fabric-worker. */
#include <fabric/worker.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/harness/user.h"

static atomic_ullong instances;

static fabric_result_t get(fabric_context_t *context, void *state, const void *request, void *reply)
{
    user_visit_t *user = (user_visit_t *)state;
    fabric_bytes_t caller = {NULL, 0};
    (void)request;
    if (user->instance == 0) { /* a state that is fresh */
        user->instance = atomic_fetch_add(&instances, 1) + 1;
    }
    user->visit++;
    user->process = (uint64_t)getpid();
    user->delivery = fabric_context_delivery(context);
    (void)fabric_context_header(context, USER_HEADER, &caller);
    snprintf(user->caller, sizeof user->caller, "%.*s", (int)caller.size,
             caller.data ? (const char *)caller.data : "");
    *(user_visit_t *)reply = *user;
    return FABRIC_REPLY;
}

static fabric_result_t break_handler(fabric_context_t *context, void *state, const void *request,
                                     void *reply)
{
    (void)get(context, state, request, reply);
    return fabric_defect(context, "broken on purpose");
}

/* ---- handlers that answer later ---- */

typedef struct waiter {
    fabric_pending_t *pending;
    user_visit_t reply;
    user_gate_t gate;
} waiter_t;

static void *answer(void *argument)
{
    waiter_t *waiter = (waiter_t *)argument;
    const struct timespec pause = {.tv_nsec = 2000000};
    const char *folder = getenv("PROBE_FOLDER");
    char path[700];
    snprintf(path, sizeof path, "%s/%s", folder ? folder : "/nonexistent", waiter->gate.name);
    while (access(path, F_OK) != 0) {
        nanosleep(&pause, NULL);
    }
    fabric_pending_reply(&waiter->pending, &waiter->reply);
    free(waiter);
    return NULL;
}

static fabric_result_t never(fabric_context_t *context, void *state, const void *request,
                             void *reply)
{
    waiter_t *waiter = (waiter_t *)calloc(1, sizeof *waiter);
    pthread_t thread;
    if (!waiter) {
        abort();
    }
    (void)get(context, state, NULL, reply);
    waiter->pending = fabric_later(context);
    waiter->reply = *(user_visit_t *)reply;
    waiter->gate = *(const user_gate_t *)request;
    if (pthread_create(&thread, NULL, answer, waiter) != 0) {
        abort();
    }
    pthread_detach(thread);
    return FABRIC_PENDING;
}

static const fabric_handler_t handlers[] = {
    {&user_get, get},     {&user_volatile_get, get},     {&user_volatile_break, break_handler},
    {&user_never, never}, {&user_volatile_never, never},
};

static const fabric_entity_type_t user_type = {
    .name = USER_TYPE,
    .state_size = sizeof(user_visit_t),
    .handlers = handlers,
    .handler_count = sizeof handlers / sizeof handlers[0],
    .mailbox_capacity = USER_MAILBOX,
};

FABRIC_MODULE(&user_type);
