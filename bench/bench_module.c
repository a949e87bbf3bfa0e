/* The entity type Bench: answers an ask with its payload and a new checksum, and accepts a tell. */
#include <fabric/worker.h>

#include "bench/messages.h"

static fabric_result_t refuse(fabric_context_t *context, const bench_body_t *body)
{
    return fabric_defect(context, "the payload of sequence %llu arrived damaged",
                         (unsigned long long)body->sequence);
}

static fabric_result_t ask(fabric_context_t *context, void *state, const void *request, void *reply)
{
    const bench_body_t *asked = request;
    bench_body_t *answer = reply;
    (void)state;
    if (!bench_is_sound(asked)) {
        return refuse(context, asked);
    }
    answer->sequence = bench_answer(asked->sequence);
    answer->size = asked->size;
    memcpy(answer->data, asked->data, asked->size);
    bench_seal(answer);
    return FABRIC_REPLY;
}

static fabric_result_t tell(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    const bench_body_t *told = request;
    (void)state;
    (void)reply;
    return bench_is_sound(told) ? FABRIC_REPLY : refuse(context, told);
}

#define HANDLERS(class)                                                                            \
    {&bench_messages[class][BENCH_ASK_DURABLE], ask},                                              \
        {&bench_messages[class][BENCH_ASK_VOLATILE], ask},                                         \
        {&bench_messages[class][BENCH_TELL_DURABLE], tell},                                        \
    {                                                                                              \
        &bench_messages[class][BENCH_TELL_VOLATILE], tell                                          \
    }

static const fabric_handler_t handlers[] = {HANDLERS(0), HANDLERS(1), HANDLERS(2)};

static const fabric_entity_type_t bench_type = {
    .name = BENCH_TYPE,
    .handlers = handlers,
    .handler_count = sizeof handlers / sizeof handlers[0],
    /* all volatile calls of the load may be for one entity */
    .mailbox_capacity = 65536,
};

FABRIC_MODULE(&bench_type);
