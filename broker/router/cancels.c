/* Cancels: see cancels.h. */
#include "broker/router/cancels.h"

#include "broker/router/dispatch.h"
#include "broker/router/outcome.h"
#include "broker/router/router_state.h"

/* Whether the caller does not wait for the message's end. */
static bool is_plain_tell(const message_t *message, const waiter_t *waiter)
{
    bool durable = message->stored.flags & REQUEST_DURABLE;
    bool handled = !durable && waiter->flags & REQUEST_WANT_HANDLED;
    return waiter->flags & REQUEST_TELL && !handled;
}

/* The call that brought the message counts also where its caller is gone: it wanted it handled. */
static bool do_all_cancel(const message_t *message)
{
    const waiter_t *waiter = &message->waiter;
    while (waiter && waiter->cancelled) {
        waiter = waiter->next;
    }
    return !waiter;
}

void message_put_interrupted(router_t *router, const message_t *message)
{
    const ownership_t *ownership = message->entity->ownership;
    if (!ownership->owner || !ownership->owner->peer) {
        return; /* the message comes back */
    }
    message_interrupt_t interrupt = {
        .shard = message->stored.shard.value,
        .home_epoch = ownership->token.home_epoch,
        .owner_sequence = ownership->token.owner_sequence,
        .request_id = message->stored.id.value,
        .type = message->stored.type,
        .id = message->stored.entity,
    };
    message_put_interrupt(peer_writer(router, ownership->owner->peer), &interrupt);
}

static void end_queued(router_t *router, message_t *message)
{
    entity_t *entity = message->entity;
    if (!shard_is_home(entity->ownership->shard)) {
        return; /* its lane was dropped */
    }
    if (!message_needs_look(message)) { /* else it ends when it has its turn */
        message_finish_as_cancelled(router, message);
    }
    entity_dispatch(router, entity);
    entity_release(router, entity);
}

/* Whether the message, which is in no queue, may end: its lane was not dropped. */
static bool is_home(const message_t *message)
{
    return shard_is_home(message->entity->ownership->shard);
}

void message_end_or_mark(router_t *router, message_t *message)
{
    switch (message->state) {
    case MESSAGE_NEW:
    case MESSAGE_IN_LANE:
    case MESSAGE_DUE:
        message->cancelled = true;
        return;
    case MESSAGE_STORED:
        message->cancelled = true;
        search_add_stored(router, message);
        return;
    case MESSAGE_OVERFLOWED:
        message->cancelled = true;
        if (is_home(message) && !message_needs_look(message)) {
            overflow_cancelled(router, message);
        }
        return;
    case MESSAGE_SCHEDULED:
        message->cancelled = true;
        if (is_home(message)) {
            schedule_cancelled(router, message);
        }
        return;
    case MESSAGE_QUEUED:
        message->cancelled = true;
        end_queued(router, message);
        return;
    case MESSAGE_IN_FLIGHT:
        message->cancelled = true;
        message_put_interrupted(router, message);
        return;
    case MESSAGE_RESULT:
    case MESSAGE_ENDED:
        return;
    }
}

void message_cancel(router_t *router, message_t *message, call_key_t call)
{
    waiter_t *waiter = message_find_waiter(message, call);
    if (!waiter || is_plain_tell(message, waiter)) {
        return;
    }
    waiter->cancelled = true;
    if (!message->cancelled && do_all_cancel(message)) {
        message_end_or_mark(router, message);
    }
}

static void mark(message_t *message)
{
    message->cancelled |= !(message->stored.flags & REQUEST_TELL);
}

/* The request is held, and says so itself when it goes on. */
static void mark_held(const client_t *client, uint64_t sequence)
{
    bool several = false;
    message_t *found = held_calls_find(&client->held.calls, sequence, &several);
    if (found) {
        mark(found);
    }
    for (found = several ? client->held.first : NULL; found; found = found->chain) {
        if (found->stored.call.sequence == sequence) {
            mark(found);
        }
    }
}

void call_cancel(router_t *router, client_t *client, const call_t *call)
{
    if (call->state == CALL_WAITING) {
        mark_held(client, call->sequence);
    } else if (call->state == CALL_OPEN) {
        message_cancel(router, call->message, (call_key_t){client->number, call->sequence});
    }
}

/* The message of a call that is not in the table and was not sent again: a volatile one, or one
 * that its client has settled on. */
static message_t *find_queued(router_t *router, const client_t *client,
                              const message_cancel_t *cancel)
{
    const entity_t *entity = mailbox_find(router, cancel->type, cancel->id);
    call_key_t key = {client->number, cancel->sequence};
    for (message_t *message = entity ? entity->queue : NULL; message; message = message->next) {
        const waiter_t *waiter = message_find_waiter(message, key);
        bool durable = message->stored.flags & REQUEST_DURABLE;
        if (waiter && (durable || waiter->life == client->life)) {
            return message;
        }
    }
    return NULL;
}

static bool is_name(fabric_bytes_t name)
{
    return name.size >= 1 && name.size <= LIMIT_NAME_BYTES_MAX;
}

fabric_error_t cancel_received(router_t *router, client_t *client, const message_cancel_t *cancel)
{
    if (!is_name(cancel->type) || !is_name(cancel->id)) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    const call_t *call = call_find(client, cancel->sequence);
    if (call) {
        call_cancel(router, client, call);
        return FABRIC_OK;
    }
    mark_held(client, cancel->sequence);
    message_t *message = settled_call_find(router, client, cancel->sequence);
    message = message ? message : find_queued(router, client, cancel);
    if (message) {
        message_cancel(router, message, (call_key_t){client->number, cancel->sequence});
    }
    return FABRIC_OK;
}
