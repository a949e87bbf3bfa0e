/* Transactional messages: see executor_transaction.h. */
#include "worker/executor_transaction.h"

#include <stdio.h>

#include "worker/executor_result.h"

static transaction_name_t name_of(const entity_t *entity, const message_deliver_t *delivery)
{
    const ownership_t *ownership = entity->ownership;
    return (transaction_name_t){.cluster_id = ownership->lease->cluster_id,
                                .shard = ownership->key.shard,
                                .token = ownership->key.token,
                                .claimed = token_equal(ownership->claimed, ownership->key.token),
                                .request_id = delivery->request_id,
                                .type = delivery->type};
}

/* The instance may have seen what never was. */
static void end_instance(executor_t *executor, entity_t *entity, const message_deliver_t *delivery)
{
    result_end_pending_calls(executor, entity);
    entity_fail(&executor->entities, entity, delivery->activation);
}

/* The home delivers the message again, and whoever gets it looks first. */
static void put_unknown(executor_t *executor, entity_t *entity, const message_deliver_t *delivery)
{
    executor_handling_t *handling = &executor->handling;
    const type_entry_t *type = entity_type(&executor->entities, entity);
    char name[MESSAGE_NAME_SIZE];
    char words[LIMIT_TEXT_BYTES_MAX];
    snprintf(words, sizeof words, "rolled back, or not known to be committed: %s",
             handling->transactions ? transaction_reason(handling->transactions)
                                    : "this worker has no database");
    message_name(type->name, entity_id(entity), delivery->tag, delivery->request_id, name);
    result_report(executor, handling->hooks.report_rolled_back, &handling->rolled_back_reported,
                  name, words);
    output_put_not_taken(&executor->output, entity->ownership->source, delivery,
                         FABRIC_ERROR_PERSISTENCE, executor->now_ms);
    end_instance(executor, entity, delivery);
}

static void put_found(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                      transaction_result_t *found)
{
    message_result_t *result = &found->result;
    result->activation = delivery->activation;
    if (found->count > 0) {
        const message_result_told_t with = work_result_with_told(result, found->count, found->told);
        output_put_result_told(&executor->output, entity->ownership->source, &with,
                               executor->now_ms);
    } else {
        result_put(executor, entity, delivery->flags, result);
    }
    handling_count(&executor->handling.answered);
}

bool transaction_enter(executor_t *executor, entity_t *entity, const message_deliver_t *delivery)
{
    transaction_name_t name = name_of(entity, delivery);
    transactions_t *transactions = executor->handling.transactions;
    transaction_result_t result;
    bool found = false;
    if (!transactions || transaction_begin(transactions, &name, &found, &result) != FABRIC_OK) {
        put_unknown(executor, entity, delivery);
        return false;
    }
    entity->ownership->claimed = name.token;
    if (found) {
        put_found(executor, entity, delivery, &result);
        return false;
    }
    if (delivery->flags & DELIVER_LOOK) {
        transaction_end(transactions);
        output_put_not_taken(&executor->output, entity->ownership->source, delivery,
                             FABRIC_ERROR_NOT_FOUND, executor->now_ms);
        end_instance(executor, entity, delivery);
        return false;
    }
    return true;
}

const char *transaction_returned(executor_t *executor, entity_t *entity,
                                 const message_deliver_t *delivery, bool rolls_back, bool later,
                                 bool *answered)
{
    const char *fault = transaction_fault(executor->handling.transactions, answered);
    *answered = *answered && !rolls_back;
    if (*answered) {
        put_unknown(executor, entity, delivery);
        return NULL;
    }
    return !fault && later ? "the handler of a transactional message has to answer at once" : fault;
}

bool transaction_reply(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                       const message_result_t *result, const told_t *told)
{
    transaction_name_t name = name_of(entity, delivery);
    transaction_result_t committed = {.result = *result};
    if (told) {
        committed.count = told->count;
        committed.told = wire_writer_bytes(&told->list);
    }
    bool stood = false;
    if (transaction_commit(executor->handling.transactions, &name, &stood, &committed) !=
        FABRIC_OK) {
        put_unknown(executor, entity, delivery);
        return false;
    }
    if (stood) {
        put_found(executor, entity, delivery, &committed);
        end_instance(executor, entity, delivery);
        return false;
    }
    return true;
}

void transaction_leave(executor_t *executor)
{
    if (executor->handling.transactions) {
        transaction_end(executor->handling.transactions);
    }
}
