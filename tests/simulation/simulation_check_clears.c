/* Entities that operators clear (decision 31): what a clear ends has ended once and for all, and
 * nothing else has. See simulation_check.h. */
#include "tests/simulation/simulation_check_failing.h"
#include "tests/simulation/simulation_processes.h"

void check_clear_ordered(unsigned entity)
{
    watch.entities[entity].clears_ordered++;
}

bool check_may_be_cleared(const watched_call_t *call)
{
    return watch.entities[call->entity].clears_ordered > 0;
}

void check_clear_stored(const store_entry_t *entry, const journal_record_t *record)
{
    unsigned number = check_entity_of(record->message.type, record->message.entity);
    if (number == UINT32_MAX) {
        world_fail("entry %llu of lane %u clears an entity that there is not", (ull)entry->number,
                   entry->lane);
        return;
    }
    watched_entity_t *entity = &watch.entities[number];
    world_note("cleared", number, record->id.value, entry->number);
    world.result->clears++;
    if (entity->clears_ordered == 0) {
        world_fail("entity %u is cleared, and no operator has said so", number);
    }
    if (record->id.value <= entity->cleared_id) {
        world_fail("entity %u is cleared up to %llu, and then up to %llu", number,
                   (ull)entity->cleared_id, (ull)record->id.value);
    }
    entity->cleared_id = record->id.value;
    entity->cleared_in = entry->number;
}

/* The clears of the entry end what its other records have left. */
void check_clears_end(const store_entry_t *entry)
{
    for (uint32_t i = 0; world.plan.clears && i < watch.call_count; i++) {
        watched_call_t *call = &watch.calls[i];
        const watched_entity_t *entity = &watch.entities[call->entity];
        bool in_entry = entity->cleared_in == entry->number && call->lane == entry->lane;
        if (in_entry && call->request_id != 0 && call->request_id < entity->cleared_id &&
            !call->replied) {
            call->replied = call->cleared = true;
            call->ended_in = entry->number;
            call->epoch = entry->epoch;
            call->reply_status = STATUS_FAILURE;
            call->reply_error = FABRIC_ERROR_CANCELLED;
            world.result->cleared++;
            watch.ends++;
        }
    }
}

void check_not_cleared(const watched_call_t *call, uint64_t request_id)
{
    uint64_t cleared_id = watch.entities[call->entity].cleared_id;
    if (request_id < cleared_id) {
        world_fail("call %u is stored as %llu, and its entity was cleared up to %llu before",
                   (uint32_t)(call - watch.calls), (ull)request_id, (ull)cleared_id);
    }
}

void check_cleared_delivered(const process_t *broker, watched_call_t *call,
                             const message_deliver_t *deliver)
{
    /* What was sent before the clear may leave late, also in one frame with its end. */
    bool sent = (call->activation == deliver->activation &&
                 call->activation_epoch == deliver->home_epoch) ||
                check_is_interrupted(deliver->request_id);
    bool later = deliver->home_epoch > call->epoch;
    bool told =
        deliver->home_epoch == call->epoch && watch.lanes[call->lane].told_number >= call->ended_in;
    if (call->cleared && (later || (told && !sent))) {
        world_fail("I5: broker %u delivers call %u, which a clear has ended", broker->index,
                   (uint32_t)(call - watch.calls));
    }
}

void check_cleared_run(const watched_call_t *call, token_t token)
{
    if (call->cleared && token.home_epoch > call->epoch) {
        world_fail("I5: call %u was ended by a clear, and is handled",
                   (uint32_t)(call - watch.calls));
    }
}
