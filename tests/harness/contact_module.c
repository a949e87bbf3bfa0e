/* The entity type Contact: see liaison.h. Built as a module for fabric-worker. */
#include <fabric/worker.h>

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "tests/harness/liaison.h"
#include "tests/harness/liaison_notes.h"

typedef struct contact {
    uint32_t meetings;
} contact_t;

static const fabric_field_t contact_fields[] = {FABRIC_U32(contact_t, meetings)};
static const fabric_schema_t contact_schema = FABRIC_SCHEMA("Contact", contact_t, contact_fields);

typedef struct waiter {
    fabric_pending_t *pending;
    char id[64];
    char gate[32];
    liaison_reply_t reply;
} waiter_t;

static void *wait_for_gate(void *argument)
{
    waiter_t *waiter = (waiter_t *)argument;
    const struct timespec pause = {.tv_nsec = 10000000};
    fabric_interrupt_t why = FABRIC_NOT_INTERRUPTED;
    while (!liaison_is_open(waiter->gate) && why == FABRIC_NOT_INTERRUPTED) {
        nanosleep(&pause, NULL);
        why = fabric_pending_interrupt(waiter->pending);
    }
    if (why != FABRIC_NOT_INTERRUPTED) {
        liaison_note(why == FABRIC_INTERRUPT_CANCEL ? "cancelled" : "stopped", waiter->id, "");
        fabric_pending_interrupted(&waiter->pending);
    } else {
        fabric_pending_reply(&waiter->pending, &waiter->reply);
    }
    free(waiter);
    return NULL;
}

static fabric_result_t answer(fabric_context_t *context, const char *what, uint32_t meetings,
                              const liaison_request_t *request, liaison_reply_t *reply)
{
    char id[64];
    char delivery[16];
    fabric_bytes_t name = fabric_context_id(context);
    snprintf(id, sizeof id, "%.*s", (int)name.size, (const char *)name.data);
    snprintf(delivery, sizeof delivery, "%u", fabric_context_delivery(context));
    liaison_note(what, id, delivery);
    reply->meetings = meetings;
    if (request->gate[0] == '\0' || liaison_is_open(request->gate)) {
        return FABRIC_REPLY;
    }
    waiter_t *waiter = (waiter_t *)calloc(1, sizeof *waiter);
    pthread_t thread;
    if (!waiter) {
        abort();
    }
    strcpy(waiter->id, id);
    strcpy(waiter->gate, request->gate);
    waiter->reply = *reply;
    waiter->pending = fabric_later(context);
    if (pthread_create(&thread, NULL, wait_for_gate, waiter) != 0) {
        abort();
    }
    pthread_detach(thread);
    return FABRIC_PENDING;
}

static fabric_result_t meet(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    contact_t *contact = (contact_t *)state;
    contact->meetings++;
    return answer(context, "meet", contact->meetings, (const liaison_request_t *)request,
                  (liaison_reply_t *)reply);
}

static fabric_result_t glance(fabric_context_t *context, void *state, const void *request,
                              void *reply)
{
    return answer(context, "glance", ((const contact_t *)state)->meetings,
                  (const liaison_request_t *)request, (liaison_reply_t *)reply);
}

static const fabric_handler_t handlers[] = {{&liaison_meet, meet}, {&liaison_glance, glance}};
static const fabric_entity_type_t contact_type = {.name = CONTACT_TYPE,
                                                  .state_size = sizeof(contact_t),
                                                  .handlers = handlers,
                                                  .handler_count = 2,
                                                  .state = &contact_schema,
                                                  .persisted = true};

FABRIC_MODULE(&contact_type);
