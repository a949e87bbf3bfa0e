/* The entity type Fold: see fold.h. Part of the Probe module. */
#include "tests/checker/fold_entity.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "tests/checker/fold.h"
#include "tests/checker/history.h"
#include "tests/harness/probe.h"

typedef struct fold {
    uint64_t activation;
    uint64_t count;
    uint64_t chain;
} fold_t;

static atomic_ullong activations;
static atomic_ullong executions;

static bool fold_build(fabric_instance_t *instance, void *state)
{
    (void)instance;
    ((fold_t *)state)->activation = atomic_fetch_add(&activations, 1) + 1;
    return true;
}

static void append_record(history_record_t *record, history_kind_t kind)
{
    const char *folder = getenv(PROBE_FOLDER);
    record->kind = kind;
    if (folder) {
        history_append(folder, record);
    }
}

static history_record_t begin(const fabric_context_t *context, const fold_t *fold,
                              const fold_request_t *asked)
{
    fabric_token_t token = fabric_context_token(context);
    history_record_t record = {
        .flags = fabric_context_is_durable(context) ? HISTORY_DURABLE : 0,
        .client = asked->client,
        .entity = asked->entity,
        .number = asked->number,
        .request_id = fabric_context_request_id(context),
        .attempt = fabric_context_attempt(context),
        .delivery = fabric_context_delivery(context),
        .execution = {history_process(), atomic_fetch_add(&executions, 1) + 1},
        .activation = fold->activation,
        .home_epoch = token.home_epoch,
        .owner_sequence = token.owner_sequence,
    };
    append_record(&record, HISTORY_START);
    return record;
}

static void end(history_record_t *record, const fold_t *fold, uint64_t before,
                const fold_message_t *message, fold_answer_t *answer)
{
    record->position = fold->count;
    record->before = before;
    record->after = fold->chain;
    append_record(record, HISTORY_END);
    answer->fold = (fold_reply_t){
        .client = record->client,
        .number = record->number,
        .process = record->execution.process,
        .serial = record->execution.serial,
        .activation = record->activation,
        .delivery = record->delivery,
        .position = record->position,
        .before = record->before,
        .after = record->after,
    };
    padding_fill(&answer->padding, message->padding.size, record->number);
}

static fabric_result_t damaged(fabric_context_t *context)
{
    return fabric_defect(context, "the padding is not the one that was sent");
}

static void work(void)
{
    const char *text = getenv(PROBE_WORK_US);
    long us = text ? strtol(text, NULL, 10) : 0;
    struct timespec time = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    if (us > 0) {
        nanosleep(&time, NULL);
    }
}

static fabric_result_t append(fabric_context_t *context, void *state, const void *request,
                              void *reply)
{
    fold_t *fold = state;
    const fold_message_t *message = request;
    const fold_request_t *asked = &message->asked;
    if (!padding_is_whole(&message->padding, asked->number)) {
        return damaged(context);
    }
    history_record_t record = begin(context, fold, asked);
    uint64_t before = fold->chain;
    work();
    fold->count++;
    fold->chain = history_chain(before, asked->client, asked->number);
    end(&record, fold, before, message, reply);
    return FABRIC_REPLY;
}

static fabric_result_t echo(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    fold_t *fold = state;
    const fold_message_t *message = request;
    if (!padding_is_whole(&message->padding, message->asked.number)) {
        return damaged(context);
    }
    history_record_t record = begin(context, fold, &message->asked);
    work();
    end(&record, fold, fold->chain, message, reply);
    return FABRIC_REPLY;
}

static const fabric_handler_t handlers[] = {{&fold_append, append}, {&fold_echo, echo}};

const fabric_entity_type_t fold_entity = {
    .name = FOLD_TYPE,
    .state_size = sizeof(fold_t),
    .build = fold_build,
    .handlers = handlers,
    .handler_count = sizeof handlers / sizeof handlers[0],
};
