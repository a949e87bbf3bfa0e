/* Failing messages: see failing.h. */
#include "broker/router/failing.h"

#include <stdio.h>

#include "broker/router/outcome.h"
#include "broker/router/poison.h"
#include "broker/router/router_state.h"
#include "broker/router/unserved.h"

/* ---- parked entities ---- */

static void parked_text(const message_t *message, char text[UNSERVED_TEXT_SIZE])
{
    snprintf(text, UNSERVED_TEXT_SIZE,
             "the entity is parked: its message %llu has failed %u times; fabricctl entity resume",
             (unsigned long long)message->stored.id.value, poison_failures(message));
}

static router_name_t name_of(fabric_bytes_t bytes)
{
    router_name_t name = {.size = (uint8_t)bytes.size};
    memcpy(name.bytes, bytes.data, name.size);
    return name;
}

/* Notes the entity for the log, unless it has enough to say already: the counters have all. */
static void note_parked(router_t *router, const message_t *message)
{
    router_failing_t *failing = &router->failing;
    if (failing->parked_count < PARKED_LINES_MAX) {
        failing->parked[failing->parked_count++] =
            (router_parked_t){.request_id = message->stored.id,
                              .failures = poison_failures(message),
                              .type = name_of(message->stored.type),
                              .entity = name_of(message->stored.entity),
                              .tag = name_of(message->stored.tag)};
    }
}

bool router_next_parked(router_t *router, router_parked_t *parked)
{
    router_failing_t *failing = &router->failing;
    if (failing->parked_count == 0) {
        return false;
    }
    *parked = failing->parked[0];
    memmove(failing->parked, failing->parked + 1, --failing->parked_count * sizeof *parked);
    return true;
}

static void park(router_t *router, entity_t *entity, const message_t *message)
{
    if (entity->parked) {
        return;
    }
    note_parked(router, message);
    char text[UNSERVED_TEXT_SIZE];
    entity_set_parked(router, entity, true);
    parked_text(message, text);
    entity_tell_waits(router, entity, FABRIC_ERROR_ENTITY_DEFECT, text);
}

void failing_give_up(router_t *router, entity_t *entity)
{
    message_t *message;
    while ((message = entity->cursor)) {
        bool ends = message->cancelled || poison_is_exhausted(router, message);
        if (ends && message_needs_look(message)) {
            return; /* it is delivered once more, to be looked for */
        }
        if (message->cancelled) {
            message_finish_as_cancelled(router, message);
            continue;
        }
        if (!poison_is_exhausted(router, message)) {
            break;
        }
        if (entity->holds > 0 || entity->in_flight > 0 ||
            !type_find(router, message->stored.type)) { /* this home does not know what then */
            return;
        }
        if (type_options(router, message->stored.type).failure == FAILURE_PARK) {
            park(router, entity, message);
            return;
        }
        message_give_up(router, message);
    }
    if (entity->parked) { /* its message has ended, or may fail more often now */
        entity_set_parked(router, entity, false);
    }
}

void failing_tell(router_t *router, const message_t *message)
{
    const entity_t *entity = message->entity;
    if (entity->parked && entity->cursor) {
        char text[UNSERVED_TEXT_SIZE];
        parked_text(entity->cursor, text);
        message_tell_of_wait(router, message, FABRIC_ERROR_ENTITY_DEFECT, text);
    }
}

fabric_error_t failing_resume(router_t *router, entity_t *entity, request_id_t *id)
{
    message_t *message = entity->cursor;
    if (!entity->parked || !message || !shard_is_home(entity->ownership->shard)) {
        return FABRIC_ERROR_NOT_FOUND;
    }
    entity_set_parked(router, entity, false);
    entity_resume(router, entity);
    poison_forget(router, message);
    *id = message->stored.id;
    return FABRIC_OK;
}
