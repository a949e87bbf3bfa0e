/* Calls that were sent again after their client had settled on them: see settled_calls.h. */
#include "broker/router/settled_calls.h"

#include <stdlib.h>

#include "broker/router/messages.h"
#include "broker/router/router_state.h"
#include "core/memory.h"

enum { MANY = 16 };

struct settled_call {
    uint64_t sequence;
    request_id_t id; /* of the message */
    UT_hash_handle hh;
};

/* The message, if the call still waits for it. */
static message_t *awaited(router_t *router, const client_t *client, const struct settled_call *call)
{
    message_t *message = message_find(router, call->id);
    call_key_t key = {client->number, call->sequence};
    return message && message_find_waiter(message, key) ? message : NULL;
}

static void drop(settled_calls_t *calls, struct settled_call *call)
{
    HASH_DEL(calls->by_sequence, call);
    free(call);
}

/* There may be more of them only if most wait. */
static void drop_ended(router_t *router, client_t *client)
{
    settled_calls_t *calls = &client->settled_calls;
    struct settled_call *call, *next;
    HASH_ITER(hh, calls->by_sequence, call, next)
    {
        if (!awaited(router, client, call)) {
            drop(calls, call);
        }
    }
    size_t kept = HASH_COUNT(calls->by_sequence);
    calls->many = 2 * kept > MANY ? 2 * kept : MANY;
}

static struct settled_call *find(const settled_calls_t *calls, uint64_t sequence)
{
    struct settled_call *call = NULL;
    HASH_FIND(hh, calls->by_sequence, &sequence, sizeof sequence, call);
    return call;
}

void settled_call_came_again(router_t *router, client_t *client, message_t *message,
                             waiter_t *waiter)
{
    settled_calls_t *calls = &client->settled_calls;
    waiter->again = true;
    struct settled_call *call = find(calls, waiter->call.sequence);
    if (!call) {
        if (HASH_COUNT(calls->by_sequence) >= calls->many) {
            drop_ended(router, client);
        }
        call = memory_allocate_zeroed(1, sizeof *call);
        call->sequence = waiter->call.sequence;
        HASH_ADD(hh, calls->by_sequence, sequence, sizeof call->sequence, call);
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
    settled_calls_t *calls = &client->settled_calls;
    struct settled_call *call, *next;
    HASH_ITER(hh, calls->by_sequence, call, next)
    {
        drop(calls, call);
    }
}
