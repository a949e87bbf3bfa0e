/* Schedules: see schedule_state.h. */
#include "broker/router/schedule_state.h"

#include <stdlib.h>

#include "broker/router/damaged_rows.h"
#include "broker/router/due_heap.h"
#include "broker/router/ghosts.h"
#include "broker/router/messages.h"
#include "broker/router/request_ids.h"
#include "broker/router/router_state.h"
#include "core/memory.h"

/* Of one lane. A load brings schedule_window messages, or LOAD_BYTES. There is one when the window
 * has less than a quarter of the messages, and fewer bytes than LOW_BYTES. When it has four times
 * as many messages, or more than HIGH_BYTES, it is trimmed to what a load brings. */
enum {
    LOW_BYTES = 2 << 20,
    LOAD_BYTES = 4 << 20,
    HIGH_BYTES = 16 << 20,
    MOVES_MAX = 4096 /* that wait for the lane's next append */
};

#define NOTHING ((store_due_key_t){INT64_MIN, 0})

static schedule_t *schedule_of(router_t *router, const message_t *message)
{
    return &lane_of(router, message->stored.shard)->schedule;
}

int64_t schedule_now_ms(const router_t *router)
{
    return router->clock_ahead_ms + (int64_t)router->now_ms;
}

void router_clock(router_t *router, int64_t unix_ms, uint64_t now_ms)
{
    router->clock_ahead_ms = unix_ms - (int64_t)now_ms;
}

static bool is_in_window(const schedule_t *schedule, store_due_key_t key)
{
    return schedule->is_whole || !due_key_less(schedule->horizon, key);
}

/* So many messages more, or less, are in the store only. */
static void count_stored(router_t *router, schedule_t *schedule, uint64_t more, uint64_t less)
{
    schedule->stored += more - less;
    router->counters.stored += more - less;
    router->counters.pending += more - less;
    router->counters.scheduled += more - less;
}

/* ---- in and out ---- */

/* When the next message comes due; `message` may be NULL. */
static void note_due(router_t *router, const message_t *message)
{
    if (message && message->stored.deliver_at_ms < router->due_ms) {
        router->due_ms = message->stored.deliver_at_ms;
    }
}

static void push(router_t *router, schedule_t *schedule, message_t *message)
{
    if (is_in_window(schedule, message_due_key(message))) {
        due_heap_push(&schedule->window, message);
        schedule->window_bytes += message->size;
    } else {
        due_heap_push(&schedule->later, message);
    }
    note_due(router, message);
}

/* The message is not late as long as it waits for its time. */
static void begin_to_wait(router_t *router, schedule_t *schedule, message_t *message)
{
    message_wait(router, message);
    message_set_state(message, MESSAGE_SCHEDULED);
    router->counters.scheduled++;
    push(router, schedule, message);
}

static void take_out(router_t *router, schedule_t *schedule, message_t *message)
{
    if (due_heap_has(&schedule->window, message)) {
        due_heap_remove(&schedule->window, message);
        schedule->window_bytes -= message->size;
    } else {
        due_heap_remove(&schedule->later, message);
    }
    router->counters.scheduled--;
}

/* The message, which is in the window, fires or ends. */
static void leave_window(router_t *router, message_t *message)
{
    schedule_t *schedule = schedule_of(router, message);
    take_out(router, schedule, message);
    if (due_key_less(schedule->left, message_due_key(message))) {
        schedule->left = message_due_key(message);
    }
}

static void leave_schedule(router_t *router, message_t *message)
{
    schedule_t *schedule = schedule_of(router, message);
    if (due_heap_has(&schedule->window, message)) {
        leave_window(router, message);
    } else {
        take_out(router, schedule, message);
    }
}

/* ---- memory and store ---- */

/* Whether the store certainly has the message's row. */
static bool may_leave(router_t *router, const message_t *message)
{
    return checkpoint_has_settled(&lane_of(router, message->stored.shard)->checkpoint, message);
}

/* The message, which is in no heap any more, is in the store only. */
static void leave_memory(router_t *router, schedule_t *schedule, message_t *message)
{
    entity_t *entity = message->entity;
    count_stored(router, schedule, 1, 0);
    message_dismiss(router, message);
    ghost_leave(router, message);
    message_destroy(&message);
    entity_release(router, entity);
}

/* What is behind the horizon and has a row leaves memory. */
static void sweep_later(router_t *router, schedule_t *schedule)
{
    due_heap_t *later = &schedule->later;
    size_t kept = 0;
    for (size_t i = 0; i < later->count; i++) {
        message_t *message = later->places[i].message;
        if (may_leave(router, message)) {
            router->counters.scheduled--;
            leave_memory(router, schedule, message);
        } else {
            later->places[kept++] = later->places[i];
        }
    }
    later->count = kept;
    due_heap_repair(later);
    schedule->sweep = false;
}

static bool is_high(const router_t *router, const schedule_t *schedule)
{
    size_t high = 4 * (size_t)router->config.schedule_window;
    return schedule->window.count > schedule->trim_count &&
           (schedule->window.count > high ||
            (schedule->window_bytes > HIGH_BYTES && schedule->window.count > 1));
}

/* Rows up to this one may be there though their messages have left. */
static store_due_key_t last_left(const schedule_t *schedule)
{
    return due_key_less(schedule->left, schedule->left_before) ? schedule->left_before
                                                               : schedule->left;
}

/* How many of the sorted window stay: what a load brings, and what is not behind rows that may be
 * there though their messages have left. */
static size_t count_kept(const router_t *router, const schedule_t *schedule)
{
    size_t count = 0;
    store_due_key_t left = last_left(schedule);
    for (uint64_t bytes = 0; count < schedule->window.count; count++) {
        const struct due_place *place = &schedule->window.places[count];
        bool fits = count < router->config.schedule_window && (count == 0 || bytes < LOAD_BYTES);
        if (!fits && due_key_less(left, place->key)) {
            break;
        }
        bytes += place->message->size;
    }
    return count;
}

/* A search takes rows behind the horizon for rows that stand: meanwhile it must not come nearer. */
static bool is_searched(const schedule_t *schedule)
{
    const router_lane_t *lane =
        (const router_lane_t *)((const char *)schedule - offsetof(router_lane_t, schedule));
    return lane->search.running;
}

/* The window has too much in memory: the horizon comes nearer. */
static void trim(router_t *router, schedule_t *schedule)
{
    due_heap_t *window = &schedule->window;
    if (schedule->loading || is_searched(schedule) || !is_high(router, schedule)) {
        return;
    }
    due_heap_sort(window);
    size_t kept = count_kept(router, schedule);
    schedule->trim_count = kept > 2 * (size_t)router->config.schedule_window ? 2 * kept : 0;
    if (kept == window->count) {
        return;
    }
    store_due_key_t left = last_left(schedule);
    store_due_key_t last = window->places[kept - 1].key;
    schedule->is_whole = false;
    schedule->horizon = due_key_less(last, left) ? left : last;
    for (size_t i = kept; i < window->count; i++) {
        message_t *message = window->places[i].message;
        schedule->window_bytes -= message->size;
        due_heap_push(&schedule->later, message);
    }
    window->count = kept;
    sweep_later(router, schedule);
}

void schedule_settled(router_t *router, uint32_t lane, const checkpoint_slice_t *slice)
{
    schedule_t *schedule = &router->lanes[lane].schedule;
    for (size_t i = 0; i < slice->scheduled_count && schedule->later.count > 0; i++) {
        message_t *message = message_find(router, slice->scheduled[i].id);
        bool later = message && message->state == MESSAGE_SCHEDULED &&
                     due_heap_has(&schedule->later, message) && may_leave(router, message);
        if (later && schedule->loading) {
            schedule->sweep = true;
        } else if (later) {
            take_out(router, schedule, message);
            leave_memory(router, schedule, message);
        }
    }
    if (slice->taken.slice.last) {
        schedule->left_before = schedule->left;
        schedule->left = NOTHING;
    }
}

bool schedule_has(const schedule_t *schedule, store_due_key_t key)
{
    return schedule->stored > 0 && !is_in_window(schedule, key);
}

/* ---- messages ---- */

/* The row of one that was behind the horizon may be there for a while, and loads read there. */
static void end_if_cancelled(router_t *router, message_t *message)
{
    schedule_t *schedule = schedule_of(router, message);
    if (!message->cancelled) {
        return;
    }
    if (due_heap_has(&schedule->window, message)) {
        leave_window(router, message);
    } else {
        take_out(router, schedule, message);
        message->out_of_turn = true;
    }
    overflow_end_early(router, message);
}

void schedule_add(router_t *router, message_t *message)
{
    schedule_t *schedule = schedule_of(router, message);
    begin_to_wait(router, schedule, message);
    end_if_cancelled(router, message);
    trim(router, schedule);
}

void schedule_cancelled(router_t *router, message_t *message)
{
    end_if_cancelled(router, message);
}

static void fire(router_t *router, message_t *message)
{
    leave_window(router, message);
    message_set_state(message, MESSAGE_DUE);
    batch_add_move(router, message, request_id_make(router, (request_id_t){0}).value);
}

static void fire_due(router_t *router, uint32_t number)
{
    const router_lane_t *lane = &router->lanes[number];
    int64_t now_ms = schedule_now_ms(router);
    message_t *message;
    while (lane->batches.next.move_count < MOVES_MAX &&
           (message = due_heap_first(&lane->schedule.window)) &&
           message->stored.deliver_at_ms <= now_ms) {
        fire(router, message);
    }
}

void schedules_tick(router_t *router)
{
    if (router->due_ms > schedule_now_ms(router) || !router_is_leased(router)) {
        return;
    }
    router->due_ms = INT64_MAX;
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        if (router->lanes[i].state == LANE_HOME) {
            fire_due(router, i);
        }
        note_due(router, due_heap_first(&router->lanes[i].schedule.window));
    }
}

uint64_t schedules_deadline_ms(const router_t *router)
{
    int64_t now_ms = schedule_now_ms(router);
    bool waits = router->due_ms == INT64_MAX || router->due_ms <= now_ms; /* for a usual tick */
    return waits ? UINT64_MAX : router->now_ms + (uint64_t)(router->due_ms - now_ms);
}

void schedule_moved(router_t *router, message_t *message, uint64_t position)
{
    checkpoint_t *checkpoint = &lane_of(router, message->stored.shard)->checkpoint;
    checkpoint_forget(message);
    if (message->has_row) {
        checkpoint_note_unscheduled(checkpoint, message_due_key(message));
        message->has_row = false;
    }
    message->position = position;
    checkpoint_note(checkpoint, message);
    message_wait_no_more(router, message);
    overflow_enqueue(router, message);
}

/* ---- clears ---- */

static void collect(const due_heap_t *heap, const entity_t *entity, request_id_t below,
                    message_chain_t *found)
{
    for (size_t i = 0; i < heap->count; i++) {
        message_t *message = heap->places[i].message;
        if (message->entity == entity && message->stored.id.value < below.value) {
            *(found->last ? &found->last->chain : &found->first) = message;
            found->last = message;
        }
    }
}

message_t *schedule_take_all(router_t *router, router_lane_t *lane, const entity_t *entity,
                             request_id_t below)
{
    message_chain_t found = {0};
    collect(&lane->schedule.window, entity, below, &found);
    collect(&lane->schedule.later, entity, below, &found);
    for (message_t *message = found.first; message; message = message->chain) {
        leave_schedule(router, message);
    }
    return found.first;
}

void schedule_cleared(router_t *router, schedule_t *schedule, uint64_t rows)
{
    count_stored(router, schedule, 0, rows < schedule->stored ? rows : schedule->stored);
}

/* ---- loads ---- */

bool router_take_scheduled(router_t *router, uint32_t number, router_scheduled_t *load)
{
    const router_lane_t *lane = &router->lanes[number];
    schedule_t *schedule = &router->lanes[number].schedule;
    if (schedule->loading || schedule->is_whole || lane->state != LANE_HOME ||
        schedule->window.count > router->config.schedule_window / 4 ||
        schedule->window_bytes >= LOW_BYTES) {
        return false;
    }
    schedule->loading = true;
    *load = (router_scheduled_t){schedule->horizon, router->config.schedule_window, LOAD_BYTES};
    return true;
}

static int compare_ids(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Whether the row says what stands, and its message is not in memory. */
static bool is_wanted(router_t *router, uint32_t number, const message_t *row)
{
    const schedule_t *schedule = &router->lanes[number].schedule;
    const early_ends_t *early_ends = &router->lanes[number].early_ends;
    const uint64_t *id = &row->stored.id.value;
    const message_t *known = message_find(router, row->stored.id);
    if (clears_cover_message(&lane_of(router, row->stored.shard)->clears, row)) {
        return false;
    }
    bool overruled =
        schedule->overruled_count > 0 && bsearch(id, schedule->overruled, schedule->overruled_count,
                                                 sizeof *id, compare_ids) != NULL;
    return !overruled && (!known || known->state == MESSAGE_STORED) &&
           !early_end_has(early_ends, row->stored.id);
}

/* The row's message comes into memory. false: it is damaged, and set aside. */
static bool join_row(router_t *router, uint32_t number, message_t *row)
{
    schedule_t *schedule = &router->lanes[number].schedule;
    if (schedule->stored > 0) {
        count_stored(router, schedule, 0, 1);
    }
    router->counters.loaded++;
    row->has_row = true;
    shards_add_group(router, shard_id_group(row->stored.shard));
    const char *cause = row_fault(router, number, &row->stored);
    if (cause) {
        row_set_aside(router, number, row, cause);
        return false;
    }
    shard_t *shard = shard_find(router, row->stored.shard);
    entity_t *entity = entity_find_or_add(router, shard, row->stored.type, row->stored.entity);
    ghost_join(router, row);
    message_admit(router, row, entity);
    return true;
}

/* Consumes the row. */
static void take_row(router_t *router, uint32_t number, message_t *row)
{
    if (!is_wanted(router, number, row)) {
        message_destroy(&row);
    } else if (join_row(router, number, row)) {
        begin_to_wait(router, &router->lanes[number].schedule, row);
        end_if_cancelled(router, row);
    }
}

bool schedule_take_out(router_t *router, uint32_t number, message_t *row)
{
    if (!schedule_has(&router->lanes[number].schedule, message_due_key(row)) ||
        !is_wanted(router, number, row)) {
        return false;
    }
    row->out_of_turn = true;
    if (join_row(router, number, row)) {
        message_wait(router, row);
        overflow_end_early(router, row);
    }
    return true;
}

/* What was behind the horizon, and is not any more, comes into the window. */
static void widen_window(schedule_t *schedule)
{
    message_t *message;
    while ((message = due_heap_first(&schedule->later)) &&
           is_in_window(schedule, message_due_key(message))) {
        due_heap_remove(&schedule->later, message);
        due_heap_push(&schedule->window, message);
        schedule->window_bytes += message->size;
    }
}

/* The rows say themselves what stands, and no load has read them before they did. */
static void forget_corrected(schedule_t *schedule)
{
    if (schedule->corrected && !schedule->loading) {
        free(schedule->overruled);
        schedule->overruled = NULL;
        schedule->overruled_count = 0;
        schedule->corrected = false;
    }
}

/* The rows up to `until`, or all, have been read. */
static void take_rows(router_t *router, uint32_t number, message_t *rows, store_due_key_t until,
                      bool ended)
{
    schedule_t *schedule = &router->lanes[number].schedule;
    schedule->horizon = until;
    schedule->is_whole = ended;
    while (rows) {
        message_t *row = rows;
        rows = row->chain;
        row->chain = NULL;
        take_row(router, number, row);
    }
    if (ended) {
        count_stored(router, schedule, 0, schedule->stored); /* somebody has deleted their rows */
    }
    widen_window(schedule);
    note_due(router, due_heap_first(&schedule->window));
}

void router_scheduled_loaded(router_t *router, uint32_t number, fabric_error_t error,
                             message_t *rows, bool ended, uint64_t now_ms)
{
    router->now_ms = now_ms;
    schedule_t *schedule = &router->lanes[number].schedule;
    bool dropped = schedule->dropped;
    schedule->loading = schedule->dropped = false;
    schedule->answered++;
    if (dropped || error) {
        message_chain_destroy(&rows);
    } else {
        store_due_key_t until = schedule->horizon;
        for (const message_t *row = rows; row; row = row->chain) {
            until = message_due_key(row);
        }
        take_rows(router, number, rows, until, ended);
    }
    if (schedule->sweep) {
        sweep_later(router, schedule);
    }
    if (!dropped) {
        trim(router, schedule);
    }
    forget_corrected(schedule);
    search_rows_came(&router->lanes[number].search);
    early_ends_forget(router, number);
    clears_read(router, number);
}

void schedule_corrected(schedule_t *schedule)
{
    schedule->corrected = true;
    forget_corrected(schedule);
}

/* ---- lanes ---- */

/* Takes the rows of scheduled messages out of the adoption's list. */
static void take_overruled(schedule_t *schedule, checkpoint_t *checkpoint, adoption_t *adoption)
{
    size_t kept = 0;
    schedule->overruled =
        memory_allocate((adoption->overruled_count + 1) * sizeof *schedule->overruled);
    for (size_t i = 0; i < adoption->overruled_count; i++) {
        const overruled_row_t *row = &adoption->overruled[i];
        if (row->due_ms == 0) {
            adoption->overruled[kept++] = *row;
            continue;
        }
        schedule->overruled[schedule->overruled_count++] = row->id.value;
        checkpoint_note_unscheduled(checkpoint, (store_due_key_t){row->due_ms, row->id.value});
    }
    adoption->overruled_count = kept;
    if (schedule->overruled_count > 0) {
        qsort(schedule->overruled, schedule->overruled_count, sizeof *schedule->overruled,
              compare_ids);
    }
}

void schedule_adopt(router_t *router, adoption_t *adoption)
{
    router_lane_t *lane = &router->lanes[adoption->hold.lane];
    schedule_t *schedule = &lane->schedule;
    schedule->is_whole = adoption->scheduled == 0;
    schedule->horizon = schedule->left = schedule->left_before = NOTHING;
    schedule->corrected = schedule->sweep = false;
    schedule->trim_count = 0;
    count_stored(router, schedule, adoption->scheduled, 0);
    take_overruled(schedule, &lane->checkpoint, adoption);
}

void schedule_adopted(router_t *router, uint32_t number)
{
    schedule_t *schedule = &router->lanes[number].schedule;
    if (schedule->loading) {
        schedule->sweep = true; /* a load of the hold before is under way */
    } else {
        sweep_later(router, schedule);
    }
}

void schedule_drop(router_t *router, uint32_t number)
{
    schedule_t *schedule = &router->lanes[number].schedule;
    count_stored(router, schedule, 0, schedule->stored);
    schedule->dropped = schedule->loading;
    schedule->sweep = false;
    free(schedule->overruled);
    schedule->overruled = NULL;
    schedule->overruled_count = 0;
}

message_t *schedule_drop_next(router_t *router, uint32_t number)
{
    schedule_t *schedule = &router->lanes[number].schedule;
    const due_heap_t *heap = schedule->window.count > 0 ? &schedule->window : &schedule->later;
    message_t *message = heap->count > 0 ? heap->places[heap->count - 1].message : NULL;
    if (message) {
        take_out(router, schedule, message);
    }
    return message;
}

void schedules_destroy(router_t *router)
{
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        free(router->lanes[i].schedule.window.places);
        free(router->lanes[i].schedule.later.places);
        free(router->lanes[i].schedule.overruled);
    }
}
