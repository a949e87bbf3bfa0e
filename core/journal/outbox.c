/* What a fold leaves to send: see outbox.h. */
#include "core/journal/outbox.h"

#include <stdlib.h>

#include "core/memory.h"

void outbox_add(outbox_t *outbox, const journal_record_t *record, uint64_t number)
{
    journal_outgoing_reader_t reader = journal_outgoing_open(&record->outgoing);
    store_outgoing_t message = {.number = number,
                                .source = record->id,
                                .source_shard = record->shard,
                                .source_type = record->state.type,
                                .source_entity = record->state.entity,
                                .source_tag = record->outgoing.tag,
                                .traceparent = record->outgoing.traceparent};
    while (journal_outgoing_next(&reader, &message)) {
        outbox->messages = memory_reserve(outbox->messages, outbox->message_count + 1,
                                          &outbox->message_capacity, sizeof *outbox->messages);
        outbox->messages[outbox->message_count++] = message;
    }
    outbox->is_tidy = false;
}

void outbox_end(outbox_t *outbox, const journal_sent_t *sent)
{
    journal_sent_reader_t reader = journal_sent_open(sent);
    store_sent_t end;
    while (journal_sent_next(&reader, &end)) {
        outbox->ended = memory_reserve(outbox->ended, outbox->ended_count + 1,
                                       &outbox->ended_capacity, sizeof *outbox->ended);
        outbox->ended[outbox->ended_count++] = (store_outgoing_key_t){sent->id, end.index};
    }
    outbox->is_tidy = false;
}

static int compare_keys(const void *left, const void *right)
{
    const store_outgoing_key_t *a = left;
    const store_outgoing_key_t *b = right;
    if (a->id != b->id) {
        return a->id < b->id ? -1 : 1;
    }
    return (a->index > b->index) - (a->index < b->index);
}

static int compare_messages(const void *left, const void *right)
{
    const store_outgoing_t *a = left;
    const store_outgoing_t *b = right;
    return compare_keys(&a->key, &b->key);
}

static void drop_repeated_ends(outbox_t *outbox)
{
    size_t kept = 0;
    for (size_t i = 0; i < outbox->ended_count; i++) {
        if (kept == 0 || compare_keys(&outbox->ended[kept - 1], &outbox->ended[i]) != 0) {
            outbox->ended[kept++] = outbox->ended[i];
        }
    }
    outbox->ended_count = kept;
}

static void drop_ended_messages(outbox_t *outbox)
{
    size_t kept = 0;
    size_t end = 0;
    for (size_t i = 0; i < outbox->message_count; i++) {
        const store_outgoing_t *message = &outbox->messages[i];
        while (end < outbox->ended_count && compare_keys(&outbox->ended[end], &message->key) < 0) {
            end++;
        }
        bool ended =
            end < outbox->ended_count && compare_keys(&outbox->ended[end], &message->key) == 0;
        bool repeated =
            kept > 0 && compare_messages(&outbox->messages[kept - 1], &outbox->messages[i]) == 0;
        if (!ended && !repeated) {
            outbox->messages[kept++] = *message;
        }
    }
    outbox->message_count = kept;
}

void outbox_tidy(outbox_t *outbox)
{
    if (outbox->is_tidy) {
        return;
    }
    if (outbox->message_count > 1) {
        qsort(outbox->messages, outbox->message_count, sizeof *outbox->messages, compare_messages);
    }
    if (outbox->ended_count > 1) {
        qsort(outbox->ended, outbox->ended_count, sizeof *outbox->ended, compare_keys);
    }
    drop_repeated_ends(outbox);
    drop_ended_messages(outbox);
    outbox->is_tidy = true;
}

void outbox_free(outbox_t *outbox)
{
    free(outbox->messages);
    free(outbox->ended);
}
