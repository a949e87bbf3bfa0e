/* How an appender makes a lane's batch an entry: see appender_state.h. */
#include "broker/store/appender_state.h"

#include "core/memory.h"

/* The router's thread has written the messages, so another processor has them. While one message is
 * encoded, the next ones are fetched: first the structs, then what they point to. */
enum { NEXT = 2, LATER = 4, FIRST_BYTES = 192 };

__attribute__((always_inline)) static inline void fetch_bytes(const store_message_t *message)
{
    memory_prefetch(message->type.data, FIRST_BYTES); /* names and payload stand together */
}

__attribute__((always_inline)) static inline void fetch_messages(const lane_batch_t *batch,
                                                                 size_t done)
{
    if (done + LATER < batch->message_count) {
        memory_prefetch(batch->messages[done + LATER], sizeof(store_message_t));
    }
    if (done + NEXT < batch->message_count) {
        fetch_bytes(batch->messages[done + NEXT]);
    }
}

__attribute__((always_inline)) static inline void fetch_ends(const lane_batch_t *batch, size_t done)
{
    if (done + LATER < batch->end_count) {
        memory_prefetch(batch->ends[done + LATER].message, sizeof(store_message_t));
        memory_prefetch(batch->ends[done + LATER].reply, sizeof(store_reply_t));
    }
    if (done + NEXT < batch->end_count) {
        fetch_bytes(batch->ends[done + NEXT].message);
        memory_prefetch(batch->ends[done + NEXT].reply->payload.data, FIRST_BYTES);
    }
}

/* Those of one source from here on, which are named by one record. Returns how many they are. */
static size_t encode_sents(journal_writer_t *writer, const batch_sent_t *sents, size_t count)
{
    wire_writer_t list = {0};
    size_t i = 0;
    for (; i < count && sents[i].outgoing_id == sents->outgoing_id; i++) {
        const batch_sent_t *sent = &sents[i];
        if (sent->dead) {
            journal_put_dead(writer, sent->dead, sent->dead->id.value, sent->reply,
                             (journal_attempts_t){0}, sent->end.cause, sent->reply->payload);
        }
        journal_sent_put(&list, &sent->end);
    }
    journal_sent_t sent = {sents->outgoing_id, (uint32_t)i, wire_writer_bytes(&list)};
    journal_put_sent(writer, sents->source, sents->shard, sents->entity_hash, &sent);
    wire_writer_destroy(&list);
    return i;
}

static void encode(journal_writer_t *writer, const lane_batch_t *batch)
{
    journal_writer_reset(writer);
    for (size_t i = 0; i < batch->message_count; i++) {
        const store_message_t *message = batch->messages[i];
        fetch_messages(batch, i);
        journal_put_message(writer, message, message->id.value, (journal_attempts_t){0});
    }
    for (size_t i = 0; i < batch->move_count; i++) {
        journal_put_move(writer, batch->moves[i].message, batch->moves[i].position);
    }
    for (size_t i = 0; i < batch->attempt_count; i++) {
        const batch_attempt_t *attempt = &batch->attempts[i];
        journal_put_attempt(writer, attempt->message, attempt->position, attempt->attempts);
    }
    for (size_t i = 0; i < batch->end_count; i++) {
        const batch_end_t *end = &batch->ends[i];
        fetch_ends(batch, i);
        if (end->dead) {
            journal_put_dead(writer, end->message, end->position, end->reply, end->attempts,
                             end->cause, end->text);
        } else if (end->state || end->events || end->outgoing) {
            journal_effects_t effects = batch_end_effects(end);
            journal_put_result_with_effects(writer, end->message, end->position, end->reply,
                                            &effects);
        } else {
            journal_put_result(writer, end->message, end->position, end->reply);
        }
    }
    for (size_t i = 0; i < batch->sent_count;) {
        i += encode_sents(writer, batch->sents + i, batch->sent_count - i);
    }
    for (size_t i = 0; i < batch->kept_count; i++) {
        journal_put_alive(writer, batch->kept[i]);
    }
    for (size_t i = 0; i < batch->clear_count; i++) {
        const batch_clear_t *clear = &batch->clears[i];
        journal_put_clear(writer, clear->id, clear->shard, clear->type, clear->entity);
    }
}

void appender_entry_make(const appender_lane_t *lane, const lane_batch_t *batch, int64_t created_ms,
                         store_entry_t *entry)
{
    encode(lane->writer, batch);
    *entry = (store_entry_t){.lane = lane->hold.lane,
                             .number = lane->number + 1,
                             .epoch = batch->epoch,
                             .incarnation = lane->hold.holder,
                             .last_id = batch->last_id,
                             .created_ms = created_ms};
    journal_seal(lane->writer, entry, lane->log_bytes);
}
