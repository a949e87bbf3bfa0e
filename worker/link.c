/* The worker's link: see link.h. Here: its life, its connections, time, and what is pulled. */
#include "worker/link_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

/* When to report that no broker is there. */
#define ABSENT_MS 2000u
/* How long leaving may take beyond the grace time. */
#define LEAVE_MARGIN_MS 2000u

/* Copies the configuration's views behind one another; the writer does not move afterwards. */
static void config_copy(link_t *link, const link_config_t *config)
{
    link->config = *config;
    wire_append(&link->texts, config->cluster_name.data, config->cluster_name.size);
    wire_append(&link->texts, config->name.data, config->name.size);
    wire_append(&link->texts, config->types.data, config->types.size);
    const uint8_t *place = link->texts.data;
    link->config.cluster_name = fabric_bytes(place, config->cluster_name.size);
    place += config->cluster_name.size;
    link->config.name = fabric_bytes(place, config->name.size);
    place += config->name.size;
    link->config.types = fabric_bytes(place, config->types.size);
}

link_t *link_new(const link_config_t *config, uint64_t now_ms)
{
    assert(config->executors > 0);
    link_t *link = (link_t *)memory_allocate_zeroed(1, sizeof *link);
    wire_writer_reserve(&link->texts, 1);
    config_copy(link, config);
    link->started_ms = now_ms;
    link->tells_standing = runner_standing_set(&link->standing, config->standing);
    link_cluster_init(&link->cluster);
    link_works_init(&link->works, config->executors);
    link_health_init(&link->health, config->executors, config->stuck_ms);
    return link;
}

void link_destroy(link_t **link)
{
    link_t *self = *link;
    if (!self) {
        return;
    }
    for (uint32_t i = 0; i < self->brokers.count; i++) {
        link_endpoint_clear(&self->brokers.endpoints[i]);
    }
    link_shards_free(&self->shards);
    link_turn_free(&self->turn);
    link_works_free(&self->works);
    link_health_free(&self->health);
    link_cluster_free(&self->cluster);
    wire_writer_destroy(&self->texts);
    free(self);
    *link = NULL;
}

fabric_error_t link_add_endpoint(link_t *link, const char *endpoint)
{
    return link_brokers_add(&link->brokers, endpoint, false);
}

const char *link_endpoint_name(const link_t *link, uint32_t endpoint)
{
    assert(endpoint < link->brokers.count);
    return link->brokers.endpoints[endpoint].name;
}

void link_follow_map(link_t *link)
{
    link_brokers_close_absent(&link->brokers, link->cluster.map);
    if (!link->leaving) {
        link_brokers_open_new(&link->brokers, link->cluster.map, link->config.allow_plaintext,
                              &link->events);
    }
}

/* ---- events and counters ---- */

/* A cluster that has welcomed this worker before may welcome it again: a byte that changed on the
 * way can make any refusal of a good hello. */
static bool may_retry(const link_t *link, fabric_error_t error)
{
    return fabric_error_class(error) == FABRIC_CLASS_RETRY || link->welcomed_once;
}

void link_report(link_t *link, link_event_kind_t kind, uint32_t index, fabric_error_t error,
                 fabric_bytes_t text)
{
    link_event_t event = {.kind = kind, .error = error};
    event.final = kind == LINK_EVENT_REFUSED && !may_retry(link, error);
    strcpy(event.endpoint, link_endpoint_name(link, index));
    link_events_add(&link->events, &event, text);
}

void link_count_dropped(link_t *link)
{
    atomic_fetch_add_explicit(&link->dropped, 1, memory_order_relaxed);
}

void link_malformed(link_t *link, uint32_t index, fabric_error_t error)
{
    link_count_dropped(link);
    if (link_endpoint_note_malformed(link_endpoint_at(link, index))) {
        link_report(link, LINK_EVENT_MALFORMED, index, error, (fabric_bytes_t){0});
    }
}

/* ---- connections ---- */

static void put_standing(const link_t *link, wire_writer_t *out)
{
    message_runner_standing_t standing = {.standing = link->standing};
    message_put_runner_standing(out, &standing);
}

/* Says hello, on a connection that has just been made or not answered the last hello. */
static void say_hello(link_t *link, uint32_t index, uint64_t now_ms)
{
    link_endpoint_t *endpoint = link_endpoint_at(link, index);
    link_endpoint_enter_hello(endpoint, ++link->connection, now_ms);
    message_hello_t hello = {
        .protocol_min = LIMIT_PROTOCOL_VERSION,
        .protocol_max = LIMIT_PROTOCOL_VERSION,
        .role = ROLE_WORKER,
        .cluster_id = fabric_bytes(link->cluster.id, link->cluster.known ? 16 : 0),
        .cluster_name = link->config.cluster_name,
        .incarnation = fabric_bytes(link->config.incarnation.bytes, 16),
        .connection = endpoint->connection,
        .weight = link->config.weight,
        .window = link->config.window,
        .name = link->config.name,
        .types = link->config.types,
        .supervised = link->config.supervised,
        .app_version = link->config.app_version,
    };
    wire_writer_t *out = link_endpoint_out(endpoint);
    message_put_hello(out, &hello);
    if (link->tells_standing) {
        put_standing(link, out); /* in the same frame: SETTLED counts those that come after it */
    }
}

void link_stand(link_t *link, uint32_t index, runner_standing_t standing)
{
    if (!runner_standing_set(&link->standing, standing)) {
        return;
    }
    link->tells_standing = true;
    for (uint32_t i = 0; i < link->brokers.count; i++) {
        link_endpoint_t *endpoint = link_endpoint_at(link, i);
        if (endpoint->phase == PHASE_WELCOMED) {
            put_standing(link, link_endpoint_out(endpoint));
        }
    }
    link_event_t event = {.kind = LINK_EVENT_STANDING, .standing = standing};
    strcpy(event.endpoint, link_endpoint_name(link, index));
    link_events_add(&link->events, &event, (fabric_bytes_t){0});
}

void link_greet(link_t *link, uint32_t index, uint64_t now_ms)
{
    link_endpoint_begin_greeting(link_endpoint_at(link, index));
    say_hello(link, index, now_ms);
}

void link_connected(link_t *link, uint32_t index, uint64_t now_ms)
{
    assert(index < link->brokers.count);
    link_phase_t phase = link_endpoint_at(link, index)->phase;
    if (phase == PHASE_CLOSED || phase == PHASE_LEFT) {
        return;
    }
    if (phase == PHASE_WELCOMED) {
        link_lose(link, index, now_ms);
    }
    if (!link->leaving) {
        link_greet(link, index, now_ms);
    }
}

lost_home_t link_lost_home(const link_t *link, uint32_t index)
{
    lost_home_t home = lost_home_of(&link->brokers.endpoints[index]);
    if (link->leaving) {
        home.until_ms = 0; /* no home gives this worker anything */
    }
    return home;
}

static void gather_from(link_t *link, const link_endpoint_t *endpoint)
{
    for (const kept_frame_t *frame = endpoint->kept.first; frame; frame = frame->next) {
        (void)link_shards_gather(&link->shards, fabric_bytes(frame->messages, frame->size));
    }
    for (const work_output_t *output = endpoint->out_first; output; output = output->next) {
        (void)link_shards_gather(&link->shards, work_output_messages(output));
    }
}

void link_gather(link_t *link)
{
    if (link_shards_take_gather_due(&link->shards)) {
        for (uint32_t i = 0; i < link->brokers.count; i++) {
            gather_from(link, link_endpoint_at(link, i));
        }
    }
}

void link_lose(link_t *link, uint32_t index, uint64_t now_ms)
{
    lost_home_t home = link_lost_home(link, index);
    link_turn_lose(&link->turn, &link->works, index, link_endpoint_at(link, index)->lease_ms,
                   now_ms);
    link_shards_lose(&link->shards, &link->works, index, home, now_ms,
                     now_ms + link->config.grace_ms);
    link_gather(link);
    link_endpoint_lose(link_endpoint_at(link, index), now_ms);
}

void link_disconnected(link_t *link, uint32_t index, uint64_t now_ms)
{
    assert(index < link->brokers.count);
    link_phase_t phase = link_endpoint_at(link, index)->phase;
    if (phase == PHASE_CLOSED || phase == PHASE_LEFT) {
        return;
    }
    if (phase == PHASE_WELCOMED) {
        link_report(link, LINK_EVENT_DISCONNECTED, index, FABRIC_OK, (fabric_bytes_t){0});
    }
    link_lose(link, index, now_ms);
}

void link_unreadable(link_t *link, uint32_t index, uint64_t now_ms)
{
    assert(index < link->brokers.count);
    link_malformed(link, index, FABRIC_ERROR_MALFORMED_MESSAGE);
    link_disconnected(link, index, now_ms);
    link_endpoint_close_socket(link_endpoint_at(link, index));
}

static void put_health(link_t *link, uint32_t index, uint64_t now_ms)
{
    message_runner_health_t health = link_health_message(&link->health, now_ms);
    message_put_runner_health(link_endpoint_out(link_endpoint_at(link, index)), &health);
}

void link_look(link_t *link, const uint64_t *since_ms, uint64_t now_ms)
{
    if (!link_health_look(&link->health, since_ms, now_ms, &link->events)) {
        return;
    }
    for (uint32_t i = 0; i < link->brokers.count; i++) {
        if (link_endpoint_at(link, i)->phase == PHASE_WELCOMED) {
            put_health(link, i, now_ms);
        }
    }
}

static void close_duplicates(link_t *link, uint32_t index, uint64_t now_ms)
{
    incarnation_t broker = link_endpoint_at(link, index)->broker;
    for (uint32_t i = 0; i < link->brokers.count; i++) {
        link_endpoint_t *other = link_endpoint_at(link, i);
        if (i != index && other->phase == PHASE_WELCOMED &&
            incarnation_equal(other->broker, broker)) {
            link_lose(link, i, now_ms);
            link_endpoint_close(other);
        }
    }
}

void link_welcome(link_t *link, uint32_t index, const message_welcome_t *welcome, uint64_t now_ms)
{
    link->welcomed_once = true;
    link_endpoint_t *endpoint = link_endpoint_at(link, index);
    link_endpoint_welcome(endpoint, welcome, now_ms);
    link_report(link, LINK_EVENT_WELCOMED, index, FABRIC_OK, welcome->cluster_name);
    put_health(link, index, now_ms);
    if (link->tells_standing) { /* it may have changed since the hello */
        put_standing(link, link_endpoint_out(endpoint));
    }
    close_duplicates(link, index, now_ms);
    link_shards_end_orphans(&link->shards, &link->works, endpoint->broker,
                            now_ms + link->config.grace_ms);
}

void link_refuse(link_t *link, uint32_t index, fabric_error_t error, fabric_bytes_t text,
                 uint64_t now_ms)
{
    link_endpoint_t *endpoint = link_endpoint_at(link, index);
    if (endpoint->phase == PHASE_WELCOMED) {
        link_lose(link, index, now_ms);
        link_endpoint_reopen_socket(endpoint);
    } else {
        uint64_t retry_ms = may_retry(link, error) ? now_ms + LINK_HELLO_RETRY_MS : UINT64_MAX;
        link_endpoint_refuse(endpoint, retry_ms);
    }
    link_report(link, LINK_EVENT_REFUSED, index, error, text);
}

/* ---- time ---- */

static void put_ping(const link_t *link, link_endpoint_t *endpoint)
{
    map_version_t version = shard_map_version(link->cluster.map);
    message_ping_t ping = {
        .sequence = endpoint->ping_sequence,
        .map_term = version.term,
        .map_sequence = version.sequence,
    };
    message_put_ping(link_endpoint_out(endpoint), &ping);
}

static void tick_endpoint(link_t *link, uint32_t index, uint64_t now_ms)
{
    link_endpoint_t *endpoint = link_endpoint_at(link, index);
    switch (link_endpoint_tick(endpoint, now_ms)) {
    case DUE_SILENT:
        link_report(link, LINK_EVENT_SILENT, index, FABRIC_OK, (fabric_bytes_t){0});
        link_lose(link, index, now_ms);
        link_endpoint_reopen_socket(endpoint);
        return;
    case DUE_PING:
        put_ping(link, endpoint);
        return;
    case DUE_HELLO:
        if (!link->leaving) {
            say_hello(link, index, now_ms);
        }
        return;
    case DUE_GREETING:
        if (!link->leaving) {
            link_greet(link, index, now_ms);
        }
        return;
    case DUE_REOPEN:
        if (!link->leaving) {
            link_lose(link, index, now_ms);
            link_endpoint_reopen_socket(endpoint);
        }
        return;
    case DUE_NOTHING:
        return;
    }
}

/* When the absence of all brokers is to be reported; UINT64_MAX: never. */
static uint64_t absence_deadline(const link_t *link)
{
    return link->welcomed_once || link->absence_reported ? UINT64_MAX
                                                         : link->started_ms + ABSENT_MS;
}

void link_tick(link_t *link, uint64_t now_ms)
{
    for (uint32_t i = 0; i < link->brokers.count; i++) {
        tick_endpoint(link, i, now_ms);
    }
    link_shards_tick(&link->shards, &link->works, now_ms, now_ms + link->config.grace_ms);
    link_turn_tick(&link->turn, &link->works, &link->brokers, now_ms);
    if (now_ms >= absence_deadline(link)) {
        link->absence_reported = true;
        link_event_t event = {.kind = LINK_EVENT_ABSENT, .error = FABRIC_ERROR_NOT_CONNECTED};
        link_events_add(&link->events, &event, (fabric_bytes_t){0});
    }
}

uint64_t link_next_deadline(const link_t *link)
{
    uint64_t deadline_ms = absence_deadline(link);
    uint64_t orphans_ms = link->shards.orphan_until_ms;
    deadline_ms = orphans_ms > 0 && orphans_ms < deadline_ms ? orphans_ms : deadline_ms;
    uint64_t turn_ms = link_turn_deadline(&link->turn, &link->works);
    deadline_ms = turn_ms < deadline_ms ? turn_ms : deadline_ms;
    for (uint32_t i = 0; i < link->brokers.count; i++) {
        const link_endpoint_t *endpoint = &link->brokers.endpoints[i];
        if (link->leaving && endpoint->phase != PHASE_WELCOMED) {
            continue;
        }
        uint64_t one_ms = link_endpoint_deadline(endpoint);
        deadline_ms = one_ms < deadline_ms ? one_ms : deadline_ms;
    }
    if (link->leaving && link->leave_until_ms < deadline_ms) {
        deadline_ms = link->leave_until_ms;
    }
    return deadline_ms;
}

void link_leave(link_t *link, fabric_bytes_t reason, uint64_t now_ms)
{
    if (link->leaving) {
        return;
    }
    link->leaving = true;
    link->leave_until_ms = now_ms + link->config.grace_ms + LEAVE_MARGIN_MS;
    message_bye_t bye = {.reason = reason};
    for (uint32_t i = 0; i < link->brokers.count; i++) {
        link_endpoint_t *endpoint = link_endpoint_at(link, i);
        if (endpoint->phase == PHASE_WELCOMED) {
            message_put_bye(link_endpoint_out(endpoint), &bye);
        }
    }
}

bool link_left(const link_t *link, uint64_t now_ms)
{
    return link->leaving &&
           (!link_brokers_any_greeted(&link->brokers) || now_ms >= link->leave_until_ms);
}

/* ---- what executors put out, and what is pulled ---- */

static void shard_stopped(link_t *link, const work_output_t *output)
{
    link_endpoint_t *endpoint = link_endpoint_at(link, output->source.endpoint);
    if (link_endpoint_is_live(endpoint, output->source.connection) &&
        link_shards_stopped(&link->shards, output->shard, output->token)) {
        message_released_t released = {
            .shard = output->shard.value,
            .home_epoch = output->token.home_epoch,
            .owner_sequence = output->token.owner_sequence,
        };
        message_put_released(link_endpoint_out(endpoint), &released);
    }
}

static void take_results(link_t *link, work_output_t *output)
{
    link_works_ended(&link->works, output);
    if (work_output_messages(output).size == 0) {
        work_output_list_destroy(&output);
        return;
    }
    bool kept = link_shards_gather(&link->shards, work_output_messages(output));
    link_endpoint_t *endpoint = link_endpoint_at(link, output->source.endpoint);
    if (link_endpoint_is_live(endpoint, output->source.connection)) {
        link_endpoint_add_results(endpoint, output);
        return;
    }
    if (!kept) {
        link_count_dropped(link); /* the home delivers the messages again under a new token */
    }
    work_output_list_destroy(&output);
}

void link_output(link_t *link, work_output_t **outputs)
{
    while (*outputs) {
        work_output_t *output = *outputs;
        *outputs = output->next;
        output->next = NULL;
        switch (output->kind) {
        case OUTPUT_RESULTS:
            take_results(link, output);
            continue;
        case OUTPUT_ORPHANED:
            link_shards_orphaned(&link->shards, &link->works, output->shard, output->token);
            break;
        case OUTPUT_STOPPED:
            shard_stopped(link, output);
            break;
        }
        work_output_list_destroy(&output);
    }
}

bool link_next_socket(link_t *link, uint32_t *endpoint, link_socket_t *action)
{
    for (uint32_t i = 0; i < link->brokers.count; i++) {
        if (link_endpoint_next_socket(link_endpoint_at(link, i), action)) {
            *endpoint = i;
            return true;
        }
    }
    return false;
}

bool link_next_frame(link_t *link, uint32_t index, wire_writer_t *frame)
{
    assert(index < link->brokers.count);
    bool let_go = false;
    bool any = link_endpoint_next_frame(link_endpoint_at(link, index), link->cluster.high_id, frame,
                                        &let_go);
    if (let_go) {
        link_report(link, LINK_EVENT_UNSETTLED, index, FABRIC_OK, (fabric_bytes_t){0});
    }
    return any;
}

work_t *link_next_work(link_t *link)
{
    return link_works_next(&link->works);
}

bool link_next_event(link_t *link, link_event_t *event)
{
    return link_events_next(&link->events, event);
}

uint64_t link_shards(const link_t *link)
{
    return atomic_load_explicit(&link->shards.owned, memory_order_relaxed);
}

uint64_t link_dropped(const link_t *link)
{
    return atomic_load_explicit(&link->dropped, memory_order_relaxed);
}
