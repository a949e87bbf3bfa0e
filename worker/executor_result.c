/* Results of messages, and what people are told: see executor_result.h. */
#include "worker/executor_result.h"

#include <stdio.h>

#include "core/address.h"

/* How many lines of each kind are reported in a second. */
#define REPORTED_PER_S 10u

message_result_t result_of(const entity_t *entity, uint64_t activation, uint64_t request_id)
{
    const ownership_t *ownership = entity->ownership;
    return (message_result_t){
        .shard = ownership->key.shard,
        .home_epoch = ownership->key.token.home_epoch,
        .owner_sequence = ownership->key.token.owner_sequence,
        .activation = activation,
        .request_id = request_id,
    };
}

void result_put(executor_t *executor, entity_t *entity, uint64_t flags,
                const message_result_t *result)
{
    entity_note_early(entity, flags, result->request_id);
    bool kept = flags & REQUEST_DURABLE && !entity_type(&executor->entities, entity)->unkept;
    output_put_result(&executor->output, entity->ownership->source, result, kept, executor->now_ms);
}

void result_report(const executor_t *executor, executor_report_fn *told, log_limiter_t *limiter,
                   const char *message, const char *words)
{
    uint32_t left_out = 0;
    if (!told || !log_limiter_pass(limiter, REPORTED_PER_S, executor->now_ms, &left_out)) {
        return;
    }
    char line[MESSAGE_NAME_SIZE + LIMIT_TEXT_BYTES_MAX + 64];
    char rest[48] = "";
    if (left_out > 0) {
        snprintf(rest, sizeof rest, " (%u more left out before)", (unsigned)left_out);
    }
    snprintf(line, sizeof line, "%s: %s%s", message, words, rest);
    told(executor->handling.hooks.report_context, line);
}

void result_report_defect(executor_t *executor, const entity_t *entity, fabric_bytes_t tag,
                          uint64_t request_id, fabric_bytes_t text)
{
    executor_handling_t *handling = &executor->handling;
    char name[MESSAGE_NAME_SIZE];
    char words[LIMIT_TEXT_BYTES_MAX];
    message_name(entity_type(&executor->entities, entity)->name, entity_id(entity), tag, request_id,
                 name);
    bytes_escape(text, words, sizeof words);
    result_report(executor, handling->hooks.report_defect, &handling->defects_reported, name,
                  words);
}

void result_put_malformed(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                          const char *text)
{
    message_result_t result = result_of(entity, delivery->activation, delivery->request_id);
    result.status = STATUS_DEFECT;
    result.error = FABRIC_ERROR_MALFORMED_MESSAGE;
    result.payload = fabric_bytes_of(text);
    result_put(executor, entity, delivery->flags, &result);
}

void result_end_watch(executor_t *executor, fabric_pending_t *pending)
{
    slow_unwatch(&executor->handling.slow, entity_type(&executor->entities, pending->entity),
                 pending);
    slow_forget(&executor->handling.slow, pending->request_id);
}

void handle_abandon(executor_t *executor, fabric_pending_t *pending)
{
    result_end_watch(executor, pending);
    entity_abandon_pending(&executor->entities, pending->entity, pending);
}

bool result_is_awaited(const fabric_pending_t *pending, const ownership_t *ownership)
{
    return ownership->state != OWNERSHIP_ORPHANED && ownership->state != OWNERSHIP_RESUMING &&
           token_equal(pending->token, ownership->key.token);
}

void result_end_pending_calls(executor_t *executor, entity_t *entity)
{
    while (entity->pending) {
        fabric_pending_t *pending = entity->pending;
        message_result_t result = result_of(entity, pending->activation, pending->request_id);
        result.status = STATUS_DEFECT;
        result.error = FABRIC_ERROR_ENTITY_DEFECT;
        result.payload = fabric_bytes_of("another handler's defect ended the entity's state");
        output_begin(&executor->output, pending->round);
        if (result_is_awaited(pending, entity->ownership)) {
            result_put(executor, entity, pending->flags, &result);
        } else {
            output_put_abandoned(&executor->output, entity->ownership->source, executor->now_ms);
        }
        handle_abandon(executor, pending);
    }
}

void result_give_up_handlers(executor_t *executor, entity_t *entity, const token_t *except)
{
    uint32_t round = executor->output.round;
    bool stops = !(entity_type(&executor->entities, entity)->type->uninterruptible &
                   FABRIC_UNINTERRUPTIBLE_BY_STOPS);
    while (entity->pending && (!except || !token_equal(entity->pending->token, *except))) {
        output_begin(&executor->output, entity->pending->round);
        output_put_abandoned(&executor->output, entity->ownership->source, executor->now_ms);
        if (stops) {
            pending_interrupt(entity->pending, FABRIC_INTERRUPT_STOP);
        }
        handle_abandon(executor, entity->pending);
    }
    output_begin(&executor->output, round);
}

void result_put_broken(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                       const char *text)
{
    message_result_t result = result_of(entity, delivery->activation, delivery->request_id);
    result.status = STATUS_DEFECT;
    result.error = FABRIC_ERROR_ENTITY_DEFECT;
    result.payload = fabric_bytes_of(text);
    result_put(executor, entity, delivery->flags, &result);
    result_report_defect(executor, entity, delivery->tag, delivery->request_id, result.payload);
    handling_count(&executor->handling.defects);
    result_end_pending_calls(executor, entity);
    entity_fail(&executor->entities, entity, delivery->activation);
}

void result_put_defect(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                       const char *text)
{
    handling_count(&executor->handling.handled);
    result_put_broken(executor, entity, delivery, text);
}

const char *result_build_fault(const executor_t *executor)
{
    const char *text = executor->entities.instance.text;
    return text[0] ? text : "the entity's build function has failed";
}

void handling_report_not_woken(executor_t *executor, const entity_t *entity)
{
    result_report_defect(executor, entity, fabric_bytes_of("(kept alive)"), 0,
                         fabric_bytes_of(result_build_fault(executor)));
}
