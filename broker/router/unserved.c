/* Messages that their owner does not take, above all because the owner does not bring their type:
 * ownership is by shard, and the workers of a shard group may bring different types. The entity of
 * such a message pauses, the longer the more refusals come in a row, until it has another owner.
 * Callers, the log and status get the reason.
 */
#include "broker/router/unserved.h"

#include <stdio.h>

#include "broker/router/answers.h"
#include "broker/router/outcome.h"
#include "broker/router/router_state.h"

/* How many callers of one entity are told that it is unserved; most entities have far fewer. */
enum { TOLD_MAX = 1024 };

/* ---- reasons ---- */

/* What the present owner lacks. */
static void missing_type_text(router_t *router, const runner_t *owner, fabric_bytes_t type,
                              char text[UNSERVED_TEXT_SIZE])
{
    const known_type_t *known = type_find(router, type);
    if (!known) {
        snprintf(text, UNSERVED_TEXT_SIZE, "no worker has registered the entity type %.*s",
                 (int)type.size, (const char *)type.data);
        return;
    }
    snprintf(
        text, UNSERVED_TEXT_SIZE,
        "runner %s owns the entity's shard and does not bring the entity type %.*s: all workers "
        "of the shard group %s must bring the same types",
        owner->name, (int)type.size, (const char *)type.data, known->description->group);
}

fabric_error_t unserved_reason(router_t *router, const shard_t *shard, fabric_bytes_t type,
                               char text[UNSERVED_TEXT_SIZE])
{
    const runner_t *owner = shard->owner;
    if (owner && owner->state != RUNNER_MISSING) {
        missing_type_text(router, owner, type, text);
        return FABRIC_ERROR_RUNNER_NOT_REGISTERED;
    }
    if (owner) {
        snprintf(text, UNSERVED_TEXT_SIZE, "runner %s, which owns the entity's shard, is away",
                 owner->name);
    } else if (shard_is_deserted(shard)) {
        snprintf(text, UNSERVED_TEXT_SIZE,
                 "no runner owns the entity's shard: start a worker that brings the entity type "
                 "%.*s",
                 (int)type.size, (const char *)type.data);
    } else {
        snprintf(text, UNSERVED_TEXT_SIZE, "no runner owns the entity's shard now");
    }
    return FABRIC_ERROR_RUNNER_UNAVAILABLE;
}

/* ---- callers and the log ---- */

void message_tell_wait(router_t *router, const message_t *message)
{
    char text[UNSERVED_TEXT_SIZE];
    bool ended = message->stored.flags & REQUEST_TELL; /* a tell has ended with its acceptance */
    if (ended || !message_hears_waits(router, message)) {
        return;
    }
    const entity_t *entity = message->entity;
    fabric_error_t error = unserved_reason(router, entity->shard, entity_type(entity), text);
    message_send_wait(router, message, error, text);
}

static void tell_waiting(router_t *router, const entity_t *entity)
{
    unsigned told = 0;
    for (const message_t *message = entity->queue; message && told < TOLD_MAX;
         message = message->next) {
        if (message->state == MESSAGE_QUEUED || message->state == MESSAGE_IN_FLIGHT) {
            message_tell_wait(router, message);
            told++;
        }
    }
}

fabric_error_t unserved_note(router_t *router, const entity_t *entity,
                             char text[UNSERVED_TEXT_SIZE])
{
    const runner_t *owner = entity->shard->owner;
    router_unserved_t *unserved = &router->unserved;
    fabric_bytes_t type = entity_type(entity);
    if (unserved->count++ == 0) {
        memcpy(unserved->type, type.data, type.size);
        unserved->type[type.size] = '\0';
        memcpy(unserved->runner_name, owner->name, sizeof unserved->runner_name);
        unserved->runner = owner->incarnation;
    }
    return unserved_reason(router, entity->shard, type, text);
}

bool router_take_unserved(router_t *router, router_unserved_t *unserved)
{
    if (router->unserved.count == 0) {
        return false;
    }
    *unserved = router->unserved;
    router->unserved.count = 0;
    return true;
}

/* ---- pauses ---- */

/* Durable messages wait for another owner. Volatile messages do not wait. */
static void tell_unserved(router_t *router, entity_t *entity)
{
    char text[UNSERVED_TEXT_SIZE];
    fabric_error_t error = unserved_note(router, entity, text);
    entity_refuse_volatile(router, entity, error, text);
    tell_waiting(router, entity);
}

void entity_refused(router_t *router, entity_t *entity, fabric_error_t error)
{
    if (timer_is_set(&entity->pause)) {
        return; /* the message is one of several that were sent together */
    }
    bool restarted = error == FABRIC_ERROR_ENTITY_DEFECT; /* its new activation is to be taken */
    if (!restarted || entity->refusals > 0) {
        entity_back_off(router, entity, entity->refusals);
    }
    bool known = entity->unserved;
    entity_count_refusal(entity, error == FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    if (entity->unserved && !known) {
        tell_unserved(router, entity);
    }
}

void entity_owner_gone(router_t *router, entity_t *entity)
{
    if (entity->refusals > 0) {
        entity_forget_refusals(entity);
        entity_resume(router, entity);
    }
}
