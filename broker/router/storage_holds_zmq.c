/* Which lanes are adopted and held, and what is purged from their journals: see storage_zmq.h. */
#include <assert.h>

#include "broker/router/storage_state.h"
#include "core/crash_point.h"

#define ADOPTION_RETRY_MS 3000u /* for a lane that is damaged */
#define PURGE_MS          1000u /* between two purges of a lane with much to purge */
#define PURGE_ALL_KEYS    (PURGE_TURNS_MAX * PURGE_KEYS_MAX) /* more may be left */
#define PURGE_MS_MAX      10000u                             /* of one with little */

/* A lane with little to purge is purged seldom: entries are kept for a tenth longer at most. */
static uint64_t idle_purge_ms(const storage_t *storage)
{
    uint64_t wait_ms = storage->call_retention_ms / 10;
    return wait_ms < PURGE_MS ? PURGE_MS : wait_ms < PURGE_MS_MAX ? wait_ms : PURGE_MS_MAX;
}

static appender_actor_t *appender_of(storage_t *storage, uint32_t lane)
{
    assert(storage->appender_count > 0);
    return &storage->appenders[lane % storage->appender_count];
}

void storage_hold_end(storage_t *storage, uint32_t lane)
{
    storage_hold_t *held = &storage->holds[lane];
    held->adopted = false;
    appender_actor_end(appender_of(storage, lane), &held->hold);
}

void storage_hold_fenced(storage_t *storage, const store_hold_t *hold)
{
    const storage_hold_t *held = &storage->holds[hold->lane];
    if (held->adopted && held->hold.epoch == hold->epoch) {
        storage_hold_end(storage, hold->lane);
    }
    router_lane_fenced(storage->router, hold->lane, hold->epoch, storage->now_ms);
}

void storage_lanes_held(storage_t *storage, const store_hold_t *holds, size_t count)
{
    for (uint32_t i = 0; i < storage->lane_count; i++) {
        const storage_hold_t *held = &storage->holds[i];
        bool is_held = false;
        for (size_t j = 0; j < count; j++) {
            is_held = is_held || (holds[j].lane == i && holds[j].epoch == held->hold.epoch);
        }
        if (held->adopted && !is_held) {
            storage_hold_end(storage, i);
        }
    }
}

void storage_hold_appended(storage_t *storage, uint32_t lane, uint64_t epoch, uint64_t bytes)
{
    storage_hold_t *held = &storage->holds[lane];
    held->log_bytes += held->hold.epoch == epoch ? bytes : 0;
}

void storage_hold_checkpointed(storage_t *storage, const store_hold_t *hold, uint64_t number)
{
    storage_hold_t *held = &storage->holds[hold->lane];
    if (held->hold.epoch == hold->epoch) {
        held->checkpoint = number;
    }
}

/* ---- adoptions ---- */

static void note_adoptions(storage_t *storage)
{
    store_hold_t hold;
    while (router_next_adoption(storage->router, &hold)) {
        storage_hold_t *lane = &storage->holds[hold.lane];
        lane->adoption_due = true;
        lane->wanted = hold;
        lane->adoption_at_ms = storage->now_ms;
    }
}

/* A slice of an earlier hold may still be under way. */
static void feed_adoption(storage_t *storage, uint32_t number)
{
    storage_hold_t *lane = &storage->holds[number];
    if (!lane->adoption_due || lane->adopting || storage->lanes[number].slicing ||
        storage->now_ms < lane->adoption_at_ms) {
        return;
    }
    lane->adoption_due = false;
    lane->adopting = true;
    lane->adopt =
        (load_operation_t){.kind = LOADER_ADOPT, .lane = lane->wanted.lane, .hold = lane->wanted};
    CRASH_POINT(ADOPT_BEFORE);
    loader_actor_send(storage->adopter, &lane->adopt);
}

static void log_adopted(const adoption_t *adoption)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < adoption->backlog_count; i++) {
        rows += adoption->backlogs[i].count;
    }
    log_event(LOG_INFO_LEVEL, "lane.adopted", log_uint("lane", adoption->hold.lane),
              log_uint("epoch", adoption->hold.epoch), log_uint("entry", adoption->number),
              log_uint("checkpoint", adoption->checkpoint),
              log_uint("journal_bytes", adoption->tail_bytes), log_uint("rows", rows));
}

/* An operator decides what becomes of a damaged lane. Meanwhile it is looked at again now and
 * then. */
static void take_damage(storage_t *storage, storage_hold_t *lane)
{
    const load_operation_t *adopt = &lane->adopt;
    log_event(LOG_ERROR_LEVEL, "lane.damaged", log_uint("lane", adopt->lane),
              log_uint("entry", adopt->fault.number),
              log_text("error", fabric_error_name(adopt->error)),
              log_text("text", adopt->fault.reason.text),
              log_text("next", "its shards do not serve; fabricctl journal repair shows what can "
                               "be done"));
    router_lane_damaged(storage->router, adopt->lane, adopt->hold.epoch, storage->now_ms);
    if (!lane->adoption_due) {
        lane->adoption_due = true;
        lane->adoption_at_ms = storage->now_ms + ADOPTION_RETRY_MS;
    }
}

void storage_take_adoption(storage_t *storage, uint32_t number)
{
    storage_hold_t *lane = &storage->holds[number];
    load_operation_t *adopt = &lane->adopt;
    lane->adopting = false;
    if (adopt->error == FABRIC_ERROR_FENCED) {
        storage_hold_fenced(storage, &adopt->hold);
    } else if (adopt->error == FABRIC_ERROR_SHUTTING_DOWN) {
        return;
    } else if (adopt->error) {
        take_damage(storage, lane);
    } else {
        lane->adopted = true;
        lane->hold = adopt->hold;
        lane->log_bytes = adopt->adoption.log_bytes;
        lane->checkpoint = adopt->adoption.checkpoint;
        lane->purge_at_ms = storage->now_ms + idle_purge_ms(storage);
        /* The appender knows the lane before the router has anything for it. */
        appender_actor_begin(appender_of(storage, adopt->lane), &adopt->hold,
                             adopt->adoption.number, adopt->adoption.log_bytes);
        log_adopted(&adopt->adoption);
        router_adopted(storage->router, &adopt->adoption, storage->now_ms);
        CRASH_POINT(ADOPT_REPORTED);
    }
}

/* ---- purges ---- */

static void feed_purge(storage_t *storage, storage_hold_t *lane)
{
    if (lane->adopted && !lane->purging && storage->now_ms >= lane->purge_at_ms) {
        lane->purging = true;
        lane->purge = (checkpoint_operation_t){.kind = CHECKPOINT_PURGE,
                                               .hold = lane->hold,
                                               .checkpoint = lane->checkpoint,
                                               .log_bytes = lane->log_bytes};
        checkpointer_actor_send(storage->checkpointer, &lane->purge);
    }
}

void storage_take_purge(storage_t *storage, uint32_t number)
{
    storage_hold_t *lane = &storage->holds[number];
    const checkpoint_operation_t *purge = &lane->purge;
    lane->purging = false;
    lane->purge_at_ms =
        storage->now_ms + (purge->purged.entries > 0 || purge->purged.keys == PURGE_ALL_KEYS
                               ? PURGE_MS
                               : idle_purge_ms(storage));
    storage->purged_entries += purge->purged.entries;
    storage->purged_bytes += purge->purged.bytes;
    if (purge->error == FABRIC_ERROR_FENCED) {
        storage_hold_fenced(storage, &purge->hold);
    }
}

/* ---- the loop ---- */

void storage_feed_holds(storage_t *storage)
{
    note_adoptions(storage);
    for (uint32_t i = 0; i < storage->lane_count; i++) {
        feed_adoption(storage, i);
        feed_purge(storage, &storage->holds[i]);
    }
}

uint64_t storage_holds_deadline(const storage_t *storage)
{
    uint64_t deadline_ms = UINT64_MAX;
    for (uint32_t i = 0; i < storage->lane_count; i++) {
        const storage_hold_t *lane = &storage->holds[i];
        if (lane->adoption_due && !lane->adopting && lane->adoption_at_ms < deadline_ms) {
            deadline_ms = lane->adoption_at_ms;
        }
        if (lane->adopted && !lane->purging && lane->purge_at_ms < deadline_ms) {
            deadline_ms = lane->purge_at_ms;
        }
    }
    return deadline_ms;
}
