/* Ghosts: see ghosts.h. */
#include "broker/router/ghosts.h"

#include "broker/router/messages.h"
#include "broker/router/router_state.h"

/* All callers of `from` wait for `to` now: another record of the same message, without callers. A
 * ghost that a duplicate has made does not know the call that brought the message. That call may
 * wait, too, though its client has settled on it. */
static void move_callers(router_t *router, message_t *from, message_t *to)
{
    to->cancelled |= from->cancelled;
    to->deadline_ms = from->deadline_ms;
    if (from->waiter.call.client == 0 && !message_find_waiter(from, to->waiter.call)) {
        to->waiter.next = from->waiter.next;
    } else {
        to->waiter = from->waiter; /* both are the message of the same call */
    }
    from->waiter.next = NULL;
    from->waiter.called = false;
    for (const waiter_t *waiter = &to->waiter; waiter; waiter = waiter->next) {
        if (waiter->called) {
            client_t *client = client_of_call(router, waiter->call);
            call_refer(call_find(client, waiter->call.sequence), to);
        }
    }
}

message_t *ghost_add(router_t *router, const store_message_t *stored, uint64_t contents)
{
    store_message_t bare = {.id = stored->id,
                            .shard = stored->shard,
                            .flags = stored->flags,
                            .call = stored->call,
                            .key_hash = stored->key_hash,
                            .deliver_at_ms = stored->deliver_at_ms};
    if (bare.key_hash) {
        bare.flags &= ~(uint32_t)REQUEST_TELL; /* as its message: see durable_accept */
    }
    message_t *ghost = message_new(&bare);
    ghost->contents = contents;
    ghost->entity_hash = journal_entity_hash(stored->type, stored->entity);
    ghost->position = 0; /* it is not known where its row lies */
    message_set_state(ghost, MESSAGE_STORED);
    message_add(router, ghost);
    return ghost;
}

void ghost_set_place(message_t *ghost, const message_t *message)
{
    ghost->position = message->position;
    ghost->entity_hash = message->entity_hash;
}

void ghost_leave(router_t *router, message_t *message)
{
    if (message_has_callers(message)) {
        message_t *ghost =
            ghost_add(router, &message->stored, journal_contents_hash(&message->stored));
        ghost_set_place(ghost, message);
        move_callers(router, message, ghost);
    }
}

void ghost_join(router_t *router, message_t *message)
{
    message_t *ghost = message_find(router, message->stored.id);
    if (ghost) {
        move_callers(router, ghost, message);
        message_remove(router, ghost);
        message_destroy(&ghost);
    }
}

bool message_has_contents(const message_t *message, const store_message_t *contents)
{
    const uint8_t *key = message->stored.key_hash;
    if (key && contents->key_hash) { /* what else they hold does not matter */
        return memcmp(key, contents->key_hash, STORE_KEY_BYTES) == 0;
    }
    if (message->stored.type.size == 0) { /* a ghost, which may have ended since */
        return message->contents == journal_contents_hash(contents);
    }
    return call_same_contents(&message->stored, contents);
}
