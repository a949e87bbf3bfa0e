/* The worker's link: see link.h. Here: its life, its endpoints, and time. */
#include "worker/link_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/endpoint.h"

static void *allocate_zeroed(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory) {
        abort();
    }
    return memory;
}

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
    link_t *link = (link_t *)allocate_zeroed(1, sizeof *link);
    wire_writer_reserve(&link->texts, 1);
    config_copy(link, config);
    link->started_ms = now_ms;
    link->map = shard_map_new();
    link->staged = (work_t **)allocate_zeroed(config->executors, sizeof *link->staged);
    return link;
}

void link_destroy(link_t **link)
{
    link_t *self = *link;
    if (!self) {
        return;
    }
    for (uint32_t i = 0; i < self->endpoint_count; i++) {
        link_out_clear(&self->endpoints[i]);
    }
    link_shard_t *shard, *next;
    HASH_ITER(hh, self->shards, shard, next)
    {
        HASH_DEL(self->shards, shard);
        free(shard);
    }
    link_flush_staged(self);
    work_list_destroy(&self->works_first);
    free(self->staged);
    shard_map_destroy(&self->map);
    wire_writer_destroy(&self->texts);
    wire_writer_destroy(&self->leave_reason);
    free(self);
    *link = NULL;
}

void link_set_phase(link_endpoint_t *endpoint, link_phase_t phase)
{
    /* From the row to the column: CLOSED, DOWN, HELLO, WELCOMED, REFUSED, LEFT. */
    static const bool allowed[LINK_PHASES][LINK_PHASES] = {
        [PHASE_CLOSED] = {true, true, false, false, false, false},
        [PHASE_DOWN] = {true, true, true, false, false, true},
        [PHASE_HELLO] = {true, true, true, true, true, true},
        [PHASE_WELCOMED] = {true, true, true, false, true, true},
        [PHASE_REFUSED] = {true, true, true, false, true, true},
        [PHASE_LEFT] = {true, true, false, false, false, true},
    };
    assert(allowed[endpoint->phase][phase]);
    endpoint->phase = phase;
}

void link_want_socket(link_endpoint_t *endpoint, link_socket_t action)
{
    endpoint->socket_wanted = true;
    endpoint->socket_action = action;
}

static fabric_error_t add_endpoint(link_t *link, const char *name, bool learned)
{
    uint32_t index = 0;
    while (index < link->endpoint_count &&
           (link->endpoints[index].phase != PHASE_CLOSED || link->endpoints[index].socket_wanted)) {
        index++;
    }
    if (index == LINK_ENDPOINTS_MAX || strlen(name) > LIMIT_ENDPOINT_BYTES_MAX) {
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    if (index == link->endpoint_count) {
        link->endpoint_count++;
    }
    link_endpoint_t *endpoint = &link->endpoints[index];
    memset(endpoint, 0, sizeof *endpoint);
    strcpy(endpoint->name, name);
    endpoint->learned = learned;
    link_set_phase(endpoint, PHASE_DOWN);
    link_want_socket(endpoint, LINK_SOCKET_OPEN);
    return FABRIC_OK;
}

fabric_error_t link_add_endpoint(link_t *link, const char *endpoint)
{
    return add_endpoint(link, endpoint, false);
}

const char *link_endpoint_name(const link_t *link, uint32_t endpoint)
{
    assert(endpoint < link->endpoint_count);
    return link->endpoints[endpoint].name;
}

/* Whether a broker of the map is connected, or being connected, already. */
static bool broker_known(const link_t *link, const map_broker_t *broker)
{
    for (uint32_t i = 0; i < link->endpoint_count; i++) {
        const link_endpoint_t *endpoint = &link->endpoints[i];
        if (endpoint->phase == PHASE_CLOSED) {
            continue;
        }
        if (strcmp(endpoint->name, broker->router_endpoint) == 0 ||
            (endpoint->phase == PHASE_WELCOMED &&
             incarnation_equal(endpoint->broker, broker->incarnation))) {
            return true;
        }
    }
    return false;
}

static bool endpoint_in_map(const link_t *link, const link_endpoint_t *endpoint)
{
    for (size_t i = 0; i < shard_map_broker_count(link->map); i++) {
        if (strcmp(shard_map_broker_at(link->map, i)->router_endpoint, endpoint->name) == 0) {
            return true;
        }
    }
    return false;
}

void link_follow_map(link_t *link)
{
    for (uint32_t i = 0; i < link->endpoint_count; i++) {
        link_endpoint_t *endpoint = &link->endpoints[i];
        if (endpoint->learned && endpoint->phase == PHASE_DOWN &&
            !endpoint_in_map(link, endpoint)) {
            link_set_phase(endpoint, PHASE_CLOSED);
            link_want_socket(endpoint, LINK_SOCKET_CLOSE);
        }
    }
    for (size_t i = 0; i < shard_map_broker_count(link->map) && !link->leaving; i++) {
        const map_broker_t *broker = shard_map_broker_at(link->map, i);
        if (endpoint_check(broker->router_endpoint, NULL) != FABRIC_OK ||
            broker_known(link, broker)) {
            continue;
        }
        if (!link->config.allow_plaintext && !endpoint_is_local(broker->router_endpoint)) {
            link_endpoint_t refused = {0};
            strcpy(refused.name, broker->router_endpoint);
            link_event(link, LINK_EVENT_PLAINTEXT, &refused, FABRIC_ERROR_PLAINTEXT_REFUSED,
                       (fabric_bytes_t){0});
            continue;
        }
        if (add_endpoint(link, broker->router_endpoint, true) != FABRIC_OK) {
            return; /* no room: the brokers that are known must do */
        }
    }
}

void link_say_hello(link_t *link, uint32_t index, uint64_t now_ms)
{
    link_endpoint_t *endpoint = &link->endpoints[index];
    endpoint->connection = ++link->connection;
    endpoint->hello_ms = now_ms;
    endpoint->hello_tries++;
    endpoint->malformed = false;
    link_set_phase(endpoint, PHASE_HELLO);
    message_hello_t hello = {
        .protocol_min = LIMIT_PROTOCOL_VERSION,
        .protocol_max = LIMIT_PROTOCOL_VERSION,
        .role = ROLE_WORKER,
        .cluster_id = fabric_bytes(link->cluster_id, link->cluster_known ? 16 : 0),
        .cluster_name = link->config.cluster_name,
        .incarnation = fabric_bytes(link->config.incarnation.bytes, 16),
        .connection = endpoint->connection,
        .weight = link->config.weight,
        .window = link->config.window,
        .name = link->config.name,
        .types = link->config.types,
    };
    link_out_clear(endpoint);
    message_put_hello(link_out(endpoint), &hello);
}

void link_connected(link_t *link, uint32_t index, uint64_t now_ms)
{
    assert(index < link->endpoint_count);
    link_endpoint_t *endpoint = &link->endpoints[index];
    if (endpoint->phase == PHASE_CLOSED || endpoint->phase == PHASE_LEFT) {
        return;
    }
    if (endpoint->phase == PHASE_WELCOMED) {
        link_lose(link, index, now_ms);
    }
    if (link->leaving) {
        return;
    }
    endpoint->hello_tries = 0;
    endpoint->reopen_ms = 0;
    link_say_hello(link, index, now_ms);
}

void link_lose(link_t *link, uint32_t index, uint64_t now_ms)
{
    link_endpoint_t *endpoint = &link->endpoints[index];
    atomic_store_explicit(&endpoint->lease.start_until_ms, 0, memory_order_relaxed);
    link_lose_shards(link, index, now_ms);
    link_out_clear(endpoint);
    link_set_phase(endpoint, PHASE_DOWN);
    if (endpoint->reopen_ms == 0) {
        endpoint->reopen_ms = now_ms + LINK_CONNECTING_MS;
    }
}

void link_disconnected(link_t *link, uint32_t index, uint64_t now_ms)
{
    assert(index < link->endpoint_count);
    link_endpoint_t *endpoint = &link->endpoints[index];
    if (endpoint->phase == PHASE_CLOSED || endpoint->phase == PHASE_LEFT) {
        return;
    }
    if (endpoint->phase == PHASE_WELCOMED) {
        link_event(link, LINK_EVENT_DISCONNECTED, endpoint, FABRIC_OK, (fabric_bytes_t){0});
    }
    link_lose(link, index, now_ms);
}

void link_unreadable(link_t *link, uint32_t index, uint64_t now_ms)
{
    assert(index < link->endpoint_count);
    link_endpoint_t *endpoint = &link->endpoints[index];
    link_malformed(link, index, FABRIC_ERROR_MALFORMED_MESSAGE);
    link_disconnected(link, index, now_ms);
    link_want_socket(endpoint, LINK_SOCKET_CLOSE);
}

static void tick_welcomed(link_t *link, uint32_t index, uint64_t now_ms)
{
    link_endpoint_t *endpoint = &link->endpoints[index];
    if (now_ms - endpoint->heard_ms >= endpoint->lease_ms) {
        link_event(link, LINK_EVENT_SILENT, endpoint, FABRIC_OK, (fabric_bytes_t){0});
        link_lose(link, index, now_ms);
        link_want_socket(endpoint, LINK_SOCKET_REOPEN);
        return;
    }
    if (now_ms >= endpoint->ping_ms) {
        map_version_t version = shard_map_version(link->map);
        message_ping_t ping = {
            .sequence = ++endpoint->ping_sequence,
            .map_term = version.term,
            .map_sequence = version.sequence,
        };
        message_put_ping(link_out(endpoint), &ping);
        endpoint->ping_ms = now_ms + endpoint->heartbeat_ms;
    }
}

static void tick_hello(link_t *link, uint32_t index, uint64_t now_ms)
{
    link_endpoint_t *endpoint = &link->endpoints[index];
    if (now_ms - endpoint->hello_ms < LINK_HELLO_RETRY_MS || link->leaving) {
        return;
    }
    if (endpoint->hello_tries >= LINK_HELLO_TRIES) {
        link_lose(link, index, now_ms);
        link_want_socket(endpoint, LINK_SOCKET_REOPEN);
        return;
    }
    link_say_hello(link, index, now_ms);
}

static void tick_down(link_endpoint_t *endpoint, uint64_t now_ms)
{
    if (endpoint->reopen_ms != 0 && now_ms >= endpoint->reopen_ms) {
        link_want_socket(endpoint, LINK_SOCKET_REOPEN);
        endpoint->reopen_ms = 0;
    }
    if (endpoint->reopen_ms == 0) {
        endpoint->reopen_ms = now_ms + LINK_CONNECTING_MS;
    }
}

void link_tick(link_t *link, uint64_t now_ms)
{
    for (uint32_t i = 0; i < link->endpoint_count; i++) {
        link_endpoint_t *endpoint = &link->endpoints[i];
        switch (endpoint->phase) {
        case PHASE_WELCOMED:
            tick_welcomed(link, i, now_ms);
            break;
        case PHASE_HELLO:
            tick_hello(link, i, now_ms);
            break;
        case PHASE_REFUSED:
            if (now_ms >= endpoint->hello_ms && !link->leaving) {
                endpoint->hello_tries = 0;
                link_say_hello(link, i, now_ms);
            }
            break;
        case PHASE_DOWN:
            tick_down(endpoint, now_ms);
            break;
        case PHASE_CLOSED:
        case PHASE_LEFT:
            break;
        }
    }
    if (!link->welcomed_once && !link->absence_said &&
        now_ms - link->started_ms >= LINK_ABSENT_MS) {
        link->absence_said = true;
        link_event(link, LINK_EVENT_ABSENT, NULL, FABRIC_ERROR_NOT_CONNECTED, (fabric_bytes_t){0});
    }
}

static uint64_t endpoint_deadline(const link_endpoint_t *endpoint)
{
    uint64_t silent_ms = endpoint->heard_ms + endpoint->lease_ms;
    switch (endpoint->phase) {
    case PHASE_WELCOMED:
        return endpoint->ping_ms < silent_ms ? endpoint->ping_ms : silent_ms;
    case PHASE_HELLO:
        return endpoint->hello_ms + LINK_HELLO_RETRY_MS;
    case PHASE_REFUSED:
        return endpoint->hello_ms;
    case PHASE_DOWN:
        return endpoint->reopen_ms;
    case PHASE_CLOSED:
    case PHASE_LEFT:
        break;
    }
    return UINT64_MAX;
}

uint64_t link_next_deadline(const link_t *link)
{
    uint64_t deadline_ms = UINT64_MAX;
    for (uint32_t i = 0; i < link->endpoint_count; i++) {
        const link_endpoint_t *endpoint = &link->endpoints[i];
        if (link->leaving && endpoint->phase != PHASE_WELCOMED) {
            continue;
        }
        uint64_t one_ms = endpoint_deadline(endpoint);
        deadline_ms = one_ms < deadline_ms ? one_ms : deadline_ms;
    }
    if (!link->welcomed_once && !link->absence_said &&
        link->started_ms + LINK_ABSENT_MS < deadline_ms) {
        deadline_ms = link->started_ms + LINK_ABSENT_MS;
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
    link->leave_until_ms = now_ms + link->config.grace_ms + LINK_LEAVE_MARGIN_MS;
    message_bye_t bye = {.reason = reason};
    for (uint32_t i = 0; i < link->endpoint_count; i++) {
        link_endpoint_t *endpoint = &link->endpoints[i];
        if (endpoint->phase == PHASE_WELCOMED) {
            message_put_bye(link_out(endpoint), &bye);
        }
    }
}

bool link_left(const link_t *link, uint64_t now_ms)
{
    if (!link->leaving) {
        return false;
    }
    for (uint32_t i = 0; i < link->endpoint_count; i++) {
        if (link->endpoints[i].phase == PHASE_WELCOMED) {
            return now_ms >= link->leave_until_ms;
        }
    }
    return true;
}

uint64_t link_shards(const link_t *link)
{
    return atomic_load_explicit(&link->held, memory_order_relaxed);
}

uint64_t link_dropped(const link_t *link)
{
    return atomic_load_explicit(&link->dropped, memory_order_relaxed);
}
