/* The entity type Teller: see teller.h. Built as a module for fabric-worker. */
#include <fabric/ask.h>
#include <fabric/worker.h>

#include <string.h>

#include "tests/harness/teller.h"

static fabric_result_t tell(fabric_context_t *context, const char *to,
                            const fabric_message_type_t *message, const void *request)
{
    fabric_tell_t tell = {
        .entity = fabric_entity(TELLER_TYPE, to), .message = message, .request = request};
    fabric_error_t error = fabric_tell(context, &tell);
    return error ? fabric_defect(context, "%s", fabric_error_name(error)) : FABRIC_REPLY;
}

static fabric_result_t give(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    teller_content_t *teller = (teller_content_t *)state;
    const teller_order_t *order = (const teller_order_t *)request;
    teller_amount_t amount = {order->amount};
    teller->amount -= order->amount;
    teller->given++;
    *(teller_content_t *)reply = *teller;
    return tell(context, order->to, &teller_take, &amount);
}

static fabric_result_t refuse(fabric_context_t *context, void *state, const void *request,
                              void *reply)
{
    fabric_result_t result = give(context, state, request, reply);
    return result == FABRIC_REPLY ? fabric_fail(context, TELLER_REFUSED, "refused") : result;
}

static fabric_result_t count(fabric_context_t *context, void *state, const void *request,
                             void *reply)
{
    teller_content_t *teller = (teller_content_t *)state;
    const teller_order_t *order = (const teller_order_t *)request;
    fabric_result_t result = FABRIC_REPLY;
    for (int64_t i = 0; i < order->amount && result == FABRIC_REPLY; i++) {
        teller_amount_t number = {(int64_t)teller->counted++};
        result = tell(context, order->to, &teller_number, &number);
    }
    *(teller_content_t *)reply = *teller;
    return result;
}

static fabric_result_t post(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    const teller_order_t *order = (const teller_order_t *)request;
    uint8_t *bytes = (uint8_t *)fabric_context_allocate(context, TELLER_PARCEL_BYTES);
    teller_parcel_t parcel = {{bytes, TELLER_PARCEL_BYTES}};
    fabric_result_t result = FABRIC_REPLY;
    memset(bytes, TELLER_PARCEL_BYTE, TELLER_PARCEL_BYTES);
    for (int64_t i = 0; i < order->amount && result == FABRIC_REPLY; i++) {
        result = tell(context, order->to, &teller_receive, &parcel);
    }
    *(teller_content_t *)reply = *(teller_content_t *)state;
    return result;
}

static fabric_result_t look(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    (void)context;
    (void)request;
    *(teller_content_t *)reply = *(teller_content_t *)state;
    return FABRIC_REPLY;
}

static fabric_result_t take(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    teller_content_t *teller = (teller_content_t *)state;
    (void)context;
    (void)reply;
    teller->amount += ((const teller_amount_t *)request)->amount;
    teller->taken++;
    return FABRIC_REPLY;
}

static fabric_result_t number(fabric_context_t *context, void *state, const void *request,
                              void *reply)
{
    teller_content_t *teller = (teller_content_t *)state;
    uint64_t got = (uint64_t)((const teller_amount_t *)request)->amount;
    (void)context;
    (void)reply;
    teller->disordered += got != teller->next;
    teller->next = got + 1;
    return FABRIC_REPLY;
}

static fabric_result_t receive(fabric_context_t *context, void *state, const void *request,
                               void *reply)
{
    teller_content_t *teller = (teller_content_t *)state;
    fabric_bytes_t bytes = ((const teller_parcel_t *)request)->bytes;
    (void)reply;
    for (size_t i = 0; i < bytes.size; i++) {
        if (bytes.data[i] != TELLER_PARCEL_BYTE) {
            return fabric_defect(context, "another parcel than was sent");
        }
    }
    teller->parcels++;
    teller->parcel_bytes += bytes.size;
    return FABRIC_REPLY;
}

static const fabric_handler_t handlers[] = {{&teller_give, give},     {&teller_refuse, refuse},
                                            {&teller_count, count},   {&teller_post, post},
                                            {&teller_look, look},     {&teller_take, take},
                                            {&teller_number, number}, {&teller_receive, receive}};

static const fabric_entity_type_t teller_type = {
    .name = TELLER_TYPE,
    .state_size = sizeof(teller_content_t),
    .handlers = handlers,
    .handler_count = sizeof handlers / sizeof handlers[0],
    .state = &teller_content_schema,
    .persisted = true,
    .tells = true,
};

FABRIC_MODULE(&teller_type);
