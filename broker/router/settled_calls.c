/* Calls that were sent again after their client had settled on them: see settled_calls.h. */
#include "broker/router/settled_calls.h"

#include <stdlib.h>

#include "broker/router/messages.h"
#include "broker/router/router_state.h"
#include "core/memory.h"

/* The message, if the call still waits for it. */
static message_t *awaited(router_t *router, const client_t *client, const struct settled_call *call)
{
    message_t *message = message_find(router, call->id);
    call_key_t key = {client->number, call->sequence};
    return message && message_find_waiter(message, key) ? message : NULL;
}

/* The list becomes longer only if most of its calls wait. */
static void reserve(router_t *router, client_t *client)
{
    settled_calls_t *calls = &client->settled_calls;
    size_t kept = 0;
    for (size_t i = 0; i < calls->count; i++) {
        if (awaited(router, client, &calls->list[i])) {
            calls->list[kept++] = calls->list[i];
        }
    }
    calls->count = kept;
    size_t needed = kept > calls->capacity / 2 ? calls->capacity + 1 : kept + 1;
    calls->list = memory_reserve(calls->list, needed, &calls->capacity, sizeof *calls->list);
}

static struct settled_call *find(const settled_calls_t *calls, uint64_t sequence)
{
    for (size_t i = calls->count; i > 0; i--) {
        if (calls->list[i - 1].sequence == sequence) {
            return &calls->list[i - 1];
        }
    }
    return NULL;
}

void settled_call_came_again(router_t *router, client_t *client, message_t *message,
                             waiter_t *waiter)
{
    settled_calls_t *calls = &client->settled_calls;
    waiter->again = true;
    struct settled_call *call = find(calls, waiter->call.sequence);
    if (!call) {
        if (calls->count == calls->capacity) {
            reserve(router, client);
        }
        call = &calls->list[calls->count++];
        call->sequence = waiter->call.sequence;
    }
    call->id = message->stored.id;
}

message_t *settled_call_find(router_t *router, const client_t *client, uint64_t sequence)
{
    const struct settled_call *call = find(&client->settled_calls, sequence);
    return call ? awaited(router, client, call) : NULL;
}

void settled_calls_destroy(client_t *client)
{
    free(client->settled_calls.list);
    client->settled_calls = (settled_calls_t){0};
}
