/* The table of calls: see call_table_state.h. */
#include "libfabric_client/src/call_table_state.h"

#include <stdlib.h>

#include "core/memory.h"

enum {
    BUCKETS_FIRST = 1024,
    WHEEL_SCAN_SLOTS = 128 /* searched for the next deadline */
};

void call_table_init(call_table_t *table)
{
    *table = (call_table_t){.bucket_count = BUCKETS_FIRST,
                            .buckets = memory_allocate_zeroed(BUCKETS_FIRST, sizeof(call_t *)),
                            .wheel_due_ms = NEVER,
                            .parked_due_ms = NEVER};
}

void call_table_clear(call_table_t *table)
{
    for (call_t *call = table->open.first; call;) {
        call_t *next = call->open.next;
        call_destroy(&call);
        call = next;
    }
    for (call_t *call = call_table_take_done(table); call; call = call_table_take_done(table)) {
        call_destroy(&call);
    }
    free(table->buckets);
}

/* ---- by sequence ---- */

/* The buckets are chosen by the low bits, so that consecutive sequences never collide. */
call_t *call_table_find(const call_table_t *table, uint64_t sequence)
{
    call_t *call = table->buckets[sequence & (table->bucket_count - 1)];
    while (call && call->sequence != sequence) {
        call = call->bucket_next;
    }
    return call;
}

static void add_to_bucket(call_table_t *table, call_t *call)
{
    call_t **bucket = &table->buckets[call->sequence & (table->bucket_count - 1)];
    call->bucket_next = *bucket;
    *bucket = call;
}

static void grow_buckets(call_table_t *table)
{
    free(table->buckets);
    table->bucket_count *= 2;
    table->buckets = memory_allocate_zeroed(table->bucket_count, sizeof(call_t *));
    for (call_t *call = table->open.first; call; call = call->open.next) {
        add_to_bucket(table, call);
    }
}

static void remove_from_bucket(call_table_t *table, call_t *call)
{
    call_t **link = &table->buckets[call->sequence & (table->bucket_count - 1)];
    while (*link != call) {
        assert(*link);
        link = &(*link)->bucket_next;
    }
    *link = call->bucket_next;
}

/* ---- by deadline ---- */

/* The wheel is looked at only when the earliest deadline may have come. */
static call_list_t *wheel_slot(call_table_t *table, uint64_t time_ms)
{
    return &table->wheel[time_ms / WHEEL_SLOT_MS % WHEEL_SLOTS];
}

static void start_timer(call_table_t *table, call_t *call, uint64_t now_ms)
{
    if (table->open.count == 1) { /* the wheel was empty: there is nothing to catch up with */
        table->wheel_done_ms = now_ms;
    }
    if (call->deadline_ms < table->wheel_done_ms) { /* its slot was passed already */
        call->deadline_ms = table->wheel_done_ms;
    }
    timer_list_append(wheel_slot(table, call->deadline_ms), call);
    table->wheel_due_ms = earlier(table->wheel_due_ms, call->deadline_ms);
}

/* The earliest deadline of the next slots, or the time at which the search ended. */
static uint64_t next_deadline(call_table_t *table, uint64_t now_ms)
{
    uint64_t start_ms = now_ms - now_ms % WHEEL_SLOT_MS;
    for (uint64_t i = 0; i < WHEEL_SCAN_SLOTS; i++) {
        uint64_t slot_ms = start_ms + i * WHEEL_SLOT_MS;
        uint64_t first_ms = NEVER;
        const call_t *call = wheel_slot(table, slot_ms)->first;
        for (; call; call = call->timer.next) {
            first_ms = earlier(first_ms, call->deadline_ms);
        }
        if (first_ms < slot_ms + WHEEL_SLOT_MS) { /* else it is for a later turn of the wheel */
            return first_ms;
        }
    }
    return start_ms + (uint64_t)WHEEL_SCAN_SLOTS * WHEEL_SLOT_MS;
}

static void expire_slot(call_table_t *table, call_list_t *slot, uint64_t now_ms)
{
    for (call_t *call = slot->first; call;) {
        call_t *next = call->timer.next;
        if (call->deadline_ms <= now_ms) {
            timer_list_remove(slot, call);
            timer_list_append(&table->expired, call);
            call->expired = true;
        }
        call = next;
    }
}

void call_table_expire(call_table_t *table, uint64_t now_ms)
{
    uint64_t slots = now_ms / WHEEL_SLOT_MS - table->wheel_done_ms / WHEEL_SLOT_MS + 1;
    if (slots > WHEEL_SLOTS) {
        slots = WHEEL_SLOTS;
    }
    for (uint64_t i = 0; i < slots && table->open.count > table->expired.count; i++) {
        expire_slot(table, wheel_slot(table, table->wheel_done_ms + i * WHEEL_SLOT_MS), now_ms);
    }
    table->wheel_done_ms = now_ms;
    table->wheel_due_ms =
        table->open.count > table->expired.count ? next_deadline(table, now_ms) : NEVER;
}

/* ---- open calls ---- */

void call_table_add(call_table_t *table, call_t *call, uint64_t now_ms)
{
    open_list_insert_sorted(&table->open, call);
    add_to_bucket(table, call);
    if (table->open.count > table->bucket_count) {
        grow_buckets(table);
    }
    start_timer(table, call, now_ms);
}

void call_table_remove(call_table_t *table, call_t *call)
{
    open_list_remove(&table->open, call);
    remove_from_bucket(table, call);
    timer_list_remove(call->expired ? &table->expired : wheel_slot(table, call->deadline_ms), call);
}

/* ---- parked calls ---- */

void call_table_set_retry(call_table_t *table, call_t *call, uint64_t retry_at_ms)
{
    call->retry_at_ms = retry_at_ms;
    if (retry_at_ms != 0) {
        table->parked_due_ms = earlier(table->parked_due_ms, retry_at_ms);
    }
}

void call_table_park(call_table_t *table, call_t *call, uint64_t retry_at_ms)
{
    queue_list_append(&table->parked, call);
    call_table_set_retry(table, call, retry_at_ms);
}

void call_table_unpark(call_table_t *table, call_t *call)
{
    queue_list_remove(&table->parked, call);
}

void call_table_update_parked(call_table_t *table)
{
    table->parked_due_ms = NEVER;
    for (const call_t *call = table->parked.first; call; call = call->queue.next) {
        if (call->retry_at_ms != 0) {
            table->parked_due_ms = earlier(table->parked_due_ms, call->retry_at_ms);
        }
    }
}

/* ---- calls that have ended ---- */

void call_table_add_done(call_table_t *table, call_t *call)
{
    ready_list_append(&table->done, call);
}

call_t *call_table_take_done(call_table_t *table)
{
    call_t *call = table->done.first;
    if (call) {
        ready_list_remove(&table->done, call);
    }
    return call;
}
