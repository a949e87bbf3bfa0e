/* The entity type Counter with messages that cannot take the place of those of examples/counter.
 * Built as a module for fabric-worker. */
#include <fabric/worker.h>

typedef struct words {
    char words[64];
} words_t;

static const fabric_field_t words_fields[] = {FABRIC_STRING(words_t, words)};
static const fabric_schema_t words_schema = FABRIC_SCHEMA("Words", words_t, words_fields);

static const fabric_message_type_t increment = {
    .tag = "Increment",
    .request = &words_schema,
    .reply = &words_schema,
    .durable = true,
};

static fabric_result_t repeat(fabric_context_t *context, void *state, const void *request,
                              void *reply)
{
    (void)context;
    (void)state;
    *(words_t *)reply = *(const words_t *)request;
    return FABRIC_REPLY;
}

static const fabric_handler_t handlers[] = {{&increment, repeat}};

static const fabric_entity_type_t recast_type = {
    .name = "Counter",
    .state_size = 1,
    .handlers = handlers,
    .handler_count = sizeof handlers / sizeof handlers[0],
};

FABRIC_MODULE(&recast_type);
