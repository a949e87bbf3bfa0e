/* Messages that no runner runs: those of types that no runner brings, and those that their owner
 * does not take. Callers, the log and status get the reason. An entity whose message is not taken
 * pauses, the longer the more refusals come in a row, until it has another owner.
 */
#include "broker/router/unserved.h"

#include <stdio.h>

#include <utlist.h>

#include "broker/router/answers.h"
#include "broker/router/outcome.h"
#include "broker/router/router_state.h"

/* How many callers of one entity are told that it is unserved; most entities have far fewer. */
enum { TOLD_MAX = 1024 };

/* ---- reasons ---- */

bool unserved_is_missing(const router_t *router, fabric_bytes_t type)
{
    const runner_t *runner = router->runners;
    while (runner && !runner_is_given(runner, type)) {
        runner = runner->by_incarnation.next;
    }
    return !runner;
}

bool unserved_until_moved(const router_t *router)
{
    return router->draining && router->members;
}

/* A runner that brings the type, and that operators have cordoned or drained; NULL: there is none.
 */
static const runner_t *find_cordoned(const router_t *router, fabric_bytes_t type)
{
    const runner_t *runner = router->runners;
    while (runner && (runner->standing == RUNNER_OPEN || !runner_may_own(runner, type))) {
        runner = runner->by_incarnation.next;
    }
    return runner;
}

static void note_missing(router_t *router, fabric_bytes_t type)
{
    router_unserved_t *unserved = &router->unserved;
    if (unserved->count++ == 0) {
        const runner_t *cordoned = find_cordoned(router, type);
        memcpy(unserved->type, type.data, type.size);
        unserved->type[type.size] = '\0';
        snprintf(unserved->runner, sizeof unserved->runner, "%s", cordoned ? cordoned->name : "");
    }
}

static fabric_error_t missing_reason(const router_t *router, fabric_bytes_t type,
                                     char text[UNSERVED_TEXT_SIZE])
{
    const runner_t *cordoned = find_cordoned(router, type);
    if (cordoned) {
        snprintf(text, UNSERVED_TEXT_SIZE,
                 "no runner that is given shards brings the entity type %.*s: uncordon runner %s, "
                 "which is %s, or start another worker",
                 (int)type.size, (const char *)type.data, cordoned->name,
                 runner_standing_name(cordoned->standing));
    } else {
        snprintf(text, UNSERVED_TEXT_SIZE,
                 "no runner brings the entity type %.*s: start a worker that brings it",
                 (int)type.size, (const char *)type.data);
    }
    return FABRIC_ERROR_RUNNER_UNAVAILABLE;
}

fabric_error_t unserved_reason(router_t *router, const runner_t *owner, fabric_bytes_t type,
                               char text[UNSERVED_TEXT_SIZE])
{
    if (owner) {
        snprintf(text, UNSERVED_TEXT_SIZE, "runner %s, which owns the entity, is away",
                 owner->name);
    } else if (unserved_is_missing(router, type)) {
        note_missing(router, type);
        return missing_reason(router, type, text);
    } else {
        snprintf(text, UNSERVED_TEXT_SIZE, "no runner owns the entity now");
    }
    return FABRIC_ERROR_RUNNER_UNAVAILABLE;
}

/* ---- callers ---- */

/* Tells the caller of an accepted message of a type that no runner brings, if the caller asked. */
static void tell(router_t *router, const message_t *message)
{
    note_missing(router, message->stored.type);
    bool ended = message->stored.flags & REQUEST_TELL; /* a tell has ended with its acceptance */
    if (!ended && message_hears_waits(router, message)) {
        char text[UNSERVED_TEXT_SIZE];
        fabric_error_t error = missing_reason(router, message->stored.type, text);
        message_send_wait(router, message, error, text);
    }
}

void message_tell_wait(router_t *router, const message_t *message)
{
    if (message->entity->ownership->state == OWNERSHIP_UNOWNED &&
        unserved_is_missing(router, message->stored.type)) {
        tell(router, message);
    }
}

static void tell_waiting(router_t *router, const entity_t *entity)
{
    unsigned told = 0;
    for (const message_t *message = entity->queue; message && told < TOLD_MAX;
         message = message->next) {
        if (message->state == MESSAGE_QUEUED) {
            tell(router, message);
            told++;
        }
    }
}

void unserved_tell(router_t *router, ownership_t *ownership)
{
    fabric_bytes_t type = ownership_type(ownership);
    bool missing = incarnation_is_none(ownership->desired) && unserved_is_missing(router, type);
    entity_t *entity, *next;
    DL_FOREACH_SAFE(ownership->entities, entity, next)
    {
        if (entity->queued_volatile > 0) {
            char text[UNSERVED_TEXT_SIZE];
            fabric_error_t error = unserved_reason(router, NULL, type, text);
            error = unserved_until_moved(router) ? FABRIC_ERROR_NOT_HOME : error;
            entity_refuse_volatile(router, entity, error, text);
        }
        if (missing) {
            tell_waiting(router, entity);
        }
        entity_release(router, entity);
    }
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

void entity_refused(router_t *router, entity_t *entity, fabric_error_t error)
{
    if (timer_is_set(&entity->pause)) {
        return; /* the message is one of several that were sent together */
    }
    bool restarted = error == FABRIC_ERROR_ENTITY_DEFECT || /* its new activation is to be taken */
                     error == FABRIC_ERROR_STATE_MISSING ||
                     error == FABRIC_ERROR_SNAPSHOT_UNREADABLE;
    if (!restarted || entity->refusals > 0) {
        entity_pause(router, entity, entity->refusals);
    }
    entity_count_refusal(entity);
}

void message_tell_of_wait(router_t *router, const message_t *message, fabric_error_t error,
                          const char *text)
{
    bool ended = message->stored.flags & REQUEST_TELL; /* a tell has ended with its acceptance */
    if (!ended && message_hears_waits(router, message)) {
        message_send_wait(router, message, error, text);
    }
}

void entity_tell_waits(router_t *router, const entity_t *entity, fabric_error_t error,
                       const char *text)
{
    unsigned told = 0;
    for (const message_t *message = entity->queue; message && told < TOLD_MAX;
         message = message->next, told++) {
        if (message->state == MESSAGE_QUEUED) {
            message_tell_of_wait(router, message, error, text);
        }
    }
}

void entity_not_built(router_t *router, entity_t *entity, fabric_bytes_t text)
{
    char words[LIMIT_TEXT_BYTES_MAX + 1];
    int size = (int)(text.size < LIMIT_TEXT_BYTES_MAX ? text.size : LIMIT_TEXT_BYTES_MAX);
    snprintf(words, sizeof words, "%.*s", size, (const char *)text.data);
    entity_back_off(router, entity, entity->refusals + 1);
    entity_count_refusal(entity);
    entity_tell_waits(router, entity, FABRIC_ERROR_NOT_BUILT, words);
}

void entity_owner_gone(router_t *router, entity_t *entity)
{
    if (entity->refusals > 0) {
        entity_forget_refusals(entity);
        entity_resume(router, entity);
    }
}
