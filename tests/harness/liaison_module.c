/* The entity type Liaison: see liaison.h. Built as a module for fabric-worker. */
#include <fabric/ask.h>

#include <string.h>

#include "tests/harness/liaison.h"
#include "tests/harness/liaison_notes.h"

typedef struct liaison {
    char id[64];
    fabric_sender_t *sender;
    liaison_request_t last; /* what the finalizer does */
    bool durable;
} liaison_t;

/* ---- asking ---- */

static fabric_result_t met(fabric_context_t *context, void *state, const void *request,
                           const fabric_answer_t *answer, void *reply)
{
    liaison_reply_t *told = (liaison_reply_t *)reply;
    (void)request;
    liaison_note("answered", ((const liaison_t *)state)->id,
                 fabric_error_name(answer->outcome->error));
    if (answer->outcome->error == FABRIC_ERROR_CANCELLED &&
        fabric_context_interrupt(context) == FABRIC_INTERRUPT_CANCEL) {
        return FABRIC_INTERRUPTED;
    }
    if (answer->outcome->error == FABRIC_OK) {
        *told = *(const liaison_reply_t *)answer->reply;
    }
    told->error = told->error ? told->error : (int32_t)answer->outcome->error;
    told->delivery = fabric_context_delivery(context);
    return FABRIC_REPLY;
}

/* "=a>b" asks the liaison a to ask b. */
static fabric_result_t ask(fabric_context_t *context, const liaison_t *self,
                           const liaison_request_t *wanted, const fabric_message_type_t *message)
{
    liaison_request_t next = *wanted;
    const char *type = wanted->whom[0] == '=' ? LIAISON_TYPE : CONTACT_TYPE;
    char id[32];
    char delivery[16];
    strcpy(id, wanted->whom + (wanted->whom[0] == '='));
    memset(next.whom, 0, sizeof next.whom);
    char *rest = strchr(id, '>');
    if (rest) {
        strcpy(next.whom, rest + 1);
        *rest = '\0';
    }
    snprintf(delivery, sizeof delivery, "%u", fabric_context_delivery(context));
    liaison_note("ask", self->id, delivery);
    return fabric_ask(context, &(fabric_ask_t){.entity = fabric_entity(type, id),
                                               .message = message,
                                               .request = &next,
                                               .timeout_ms = wanted->timeout_ms,
                                               .then = met});
}

static fabric_result_t meet(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    (void)reply;
    return ask(context, (const liaison_t *)state, (const liaison_request_t *)request,
               &liaison_meet);
}

static fabric_result_t glance(fabric_context_t *context, void *state, const void *request,
                              void *reply)
{
    (void)reply;
    return ask(context, (const liaison_t *)state, (const liaison_request_t *)request,
               &liaison_glance);
}

/* ---- telling ---- */

static fabric_result_t pass(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    const liaison_request_t *wanted = (const liaison_request_t *)request;
    const liaison_request_t next = {.gate = ""};
    (void)state;
    for (uint32_t i = 0; i < wanted->end; i++) {
        fabric_error_t error = fabric_tell(
            context, &(fabric_tell_t){.entity = fabric_entity(CONTACT_TYPE, wanted->whom),
                                      .message = &liaison_meet,
                                      .request = &next});
        ((liaison_reply_t *)reply)->error = (int32_t)error;
    }
    return FABRIC_REPLY;
}

/* ---- finalizers ---- */

static void finalize(void *argument)
{
    const liaison_t *self = (const liaison_t *)argument;
    const fabric_message_type_t *message = self->durable ? &liaison_meet : &liaison_glance;
    const fabric_entity_t contact = fabric_entity(CONTACT_TYPE, self->last.whom);
    liaison_request_t request = {.gate = ""};
    fabric_error_t error = FABRIC_OK;
    if (self->last.end == END_BY_TELL) {
        fabric_tell_t tell = {.entity = contact, .message = message, .request = &request};
        error = fabric_sender_tell(self->sender, &tell);
    } else if (self->last.end == END_BY_ASK) {
        fabric_ask_t question = {.entity = contact,
                                 .message = message,
                                 .request = &request,
                                 .timeout_ms = self->last.timeout_ms};
        error = fabric_sender_ask(self->sender, &question, NULL, NULL);
    }
    if (self->last.end != END_QUIETLY) {
        liaison_note("finalized", self->id, fabric_error_name(error));
    }
}

/* The state is still there when finalizers run. */
static bool build(fabric_instance_t *instance, void *state)
{
    liaison_t *self = (liaison_t *)state;
    fabric_bytes_t id = fabric_instance_address(instance).id;
    snprintf(self->id, sizeof self->id, "%.*s", (int)id.size, (const char *)id.data);
    self->sender = fabric_instance_sender(instance);
    return fabric_instance_add_finalizer(instance, finalize, self);
}

static fabric_result_t prepare(fabric_context_t *context, void *state, const void *request,
                               void *reply)
{
    liaison_t *self = (liaison_t *)state;
    (void)context;
    (void)reply;
    self->last = *(const liaison_request_t *)request;
    return FABRIC_REPLY;
}

static fabric_result_t prepare_durable(fabric_context_t *context, void *state, const void *request,
                                       void *reply)
{
    ((liaison_t *)state)->durable = true;
    return prepare(context, state, request, reply);
}

static const fabric_handler_t handlers[] = {{&liaison_meet, meet},
                                            {&liaison_glance, glance},
                                            {&liaison_prepare, prepare},
                                            {&liaison_prepare_durable, prepare_durable},
                                            {&liaison_pass, pass}};
static const fabric_entity_type_t liaison_type = {.name = LIAISON_TYPE,
                                                  .state_size = sizeof(liaison_t),
                                                  .build = build,
                                                  .handlers = handlers,
                                                  .handler_count = 5,
                                                  .tells = true};

FABRIC_MODULE(&liaison_type);
