/* All messages of the router by their request ids, and the memory that they take; ghosts are also
 * in the lists of their lanes. */
#include "broker/router/messages.h"

#include <utlist.h>

#include "broker/router/router_state.h"

message_t *message_find(router_t *router, request_id_t id)
{
    message_t *message = NULL;
    HASH_FIND(by_id, router->messages_by_id, &id, sizeof id, message);
    return message;
}

void message_add(router_t *router, message_t *message)
{
    HASH_ADD(by_id, router->messages_by_id, stored.id, sizeof message->stored.id, message);
    router->message_bytes += message->size;
    if (message->state == MESSAGE_STORED) {
        DL_APPEND(lane_of(router, message->stored.shard)->ghosts, message);
    }
}

void message_remove(router_t *router, message_t *message)
{
    HASH_DELETE(by_id, router->messages_by_id, message);
    router->message_bytes -= message->size;
    if (message->state == MESSAGE_STORED) {
        DL_DELETE(lane_of(router, message->stored.shard)->ghosts, message);
    }
}

void message_add_reply(router_t *router, message_t *message, const store_reply_t *reply)
{
    router->message_bytes -= message->size;
    message_set_reply(message, reply);
    router->message_bytes += message->size;
}

void messages_destroy(router_t *router)
{
    message_t *message, *next;
    HASH_ITER(by_id, router->messages_by_id, message, next)
    {
        HASH_DELETE(by_id, router->messages_by_id, message);
        message_destroy(&message);
    }
}
