/* Runners: the records of the workers that are members, and their connections. What follows when a
 * runner comes or goes is decided in membership.c.
 */
#include "broker/router/router_state.h"
#include "core/memory.h"

static const state_description_t states[] = {
    [RUNNER_ADMITTING] = {"admitting", STATE_BIT(RUNNER_JOINED) | STATE_BIT(RUNNER_LEAVING)},
    [RUNNER_JOINED] = {"healthy", STATE_BIT(RUNNER_MISSING) | STATE_BIT(RUNNER_LEAVING)},
    [RUNNER_MISSING] = {"missing", STATE_BIT(RUNNER_JOINED)},
    [RUNNER_LEAVING] = {"leaving", 0},
};
static const state_machine_t machine = {"runner", states, sizeof states / sizeof *states};

static void set_state(runner_t *runner, runner_state_t state)
{
    state_machine_check(&machine, runner->state, state);
    runner->state = state;
}

const char *runner_state_name(const runner_t *runner)
{
    return state_machine_name(&machine, runner->state);
}

runner_t *runner_find(router_t *router, incarnation_t incarnation)
{
    runner_t *runner = NULL;
    HASH_FIND(by_incarnation, router->runners, &incarnation, sizeof incarnation, runner);
    return runner;
}

static void note_for_log(router_t *router, runner_t *runner, bool to_log);

/* ---- records ---- */

static void copy_name(char name[256], fabric_bytes_t bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        name[i] = bytes.data[i] >= 0x20 && bytes.data[i] < 0x7f ? (char)bytes.data[i] : '?';
    }
    name[bytes.size] = '\0';
}

static void add_name(wire_writer_t *names, const char *name)
{
    uint8_t size = (uint8_t)strlen(name);
    wire_append(names, &size, 1);
    wire_append(names, name, size);
}

static void keep_type_names(runner_t *runner, fabric_bytes_t types)
{
    wire_reader_t reader = wire_reader(types);
    uint32_t count = wire_get_array(&reader);
    type_description_t *description = NULL;
    for (uint32_t i = 0; i < count && !type_description_parse(&reader, &description); i++) {
        add_name(&runner->types, description->name);
        if (description->event_count > 0) {
            add_name(&runner->appending, description->name);
        } else if (description->state) {
            add_name(&runner->persisted, description->name);
        }
        for (size_t k = 0; description->early && k < description->message_count; k++) {
            if (description->messages[k].early) {
                add_name(&runner->early, description->name);
                add_name(&runner->early, description->messages[k].tag);
            }
        }
        type_description_destroy(&description);
    }
}

runner_t *runner_add(router_t *router, const runner_description_t *description)
{
    runner_t *runner = memory_allocate_zeroed(1, sizeof *runner);
    runner->incarnation = description->incarnation;
    runner->weight = description->weight;
    runner->app_version = description->app_version;
    runner->supervised = description->supervised;
    copy_name(runner->name, description->name);
    keep_type_names(runner, description->types);
    HASH_ADD(by_incarnation, router->runners, incarnation, sizeof runner->incarnation, runner);
    return runner;
}

static bool has_name(const wire_writer_t *names, fabric_bytes_t type)
{
    size_t at = 0;
    while (at < names->size &&
           !fabric_bytes_equal(fabric_bytes(names->data + at + 1, names->data[at]), type)) {
        at += 1u + names->data[at];
    }
    return at < names->size;
}

bool runner_knows_early(const runner_t *runner, fabric_bytes_t type, fabric_bytes_t tag)
{
    const wire_writer_t *pairs = &runner->early;
    for (size_t at = 0; at < pairs->size;) {
        const uint8_t *name = pairs->data + at;
        const uint8_t *second = name + 1 + name[0];
        if (fabric_bytes_equal(fabric_bytes(name + 1, name[0]), type) &&
            fabric_bytes_equal(fabric_bytes(second + 1, second[0]), tag)) {
            return true;
        }
        at += 2u + name[0] + second[0];
    }
    return false;
}

bool runner_brings(const runner_t *runner, fabric_bytes_t type)
{
    return has_name(&runner->types, type);
}

bool runner_persists(const runner_t *runner, fabric_bytes_t type)
{
    return has_name(&runner->persisted, type);
}

bool runner_appends(const runner_t *runner, fabric_bytes_t type)
{
    return has_name(&runner->appending, type);
}

bool runner_may_own(const runner_t *runner, fabric_bytes_t type)
{
    bool present = runner->state == RUNNER_JOINED || runner->state == RUNNER_MISSING;
    return present && runner->weight > 0 && runner_brings(runner, type);
}

bool runner_is_given(const runner_t *runner, fabric_bytes_t type)
{
    return runner->standing == RUNNER_OPEN && runner_may_own(runner, type);
}

void runner_put_types(const runner_t *runner, wire_writer_t *writer)
{
    const wire_writer_t *names = &runner->types;
    uint32_t count = 0;
    for (size_t at = 0; at < names->size; at += 1u + names->data[at]) {
        count++;
    }
    wire_put_array(writer, count);
    for (size_t at = 0; at < names->size; at += 1u + names->data[at]) {
        wire_put_str(writer, fabric_bytes(names->data + at + 1, names->data[at]));
    }
}

void runner_remove(router_t *router, runner_t *runner)
{
    note_for_log(router, runner, false);
    HASH_DELETE(by_incarnation, router->runners, runner);
}

void runner_destroy(runner_t *runner)
{
    wire_writer_destroy(&runner->types);
    wire_writer_destroy(&runner->persisted);
    wire_writer_destroy(&runner->appending);
    wire_writer_destroy(&runner->early);
    free(runner);
}

/* ---- connections ---- */

void runner_connect(runner_t *runner, peer_t *peer, uint64_t connection, uint32_t window)
{
    if (runner->peer && runner->peer != peer) {
        peer_set_runner(runner->peer, NULL);
        peer_retire(runner->peer);
    }
    runner->peer = peer;
    runner->unreachable = false;
    runner->settlement = (runner_settlement_t){0};
    runner->executors = runner->stuck = 0; /* until it says so on this connection */
    runner->connection = connection;
    runner->window = window;
    peer_set_runner(peer, runner);
}

void runner_disconnect(runner_t *runner)
{
    if (runner->peer) {
        peer_set_runner(runner->peer, NULL);
        runner->peer = NULL;
    }
}

void runner_join(router_t *router, runner_t *runner)
{
    if (runner->state != RUNNER_JOINED) {
        set_state(runner, RUNNER_JOINED);
    }
    runner->next_ping_ms = router->now_ms;
    const wire_writer_t *names = &runner->types;
    for (size_t at = 0; at < names->size; at += 1u + names->data[at]) {
        type_brought(router, fabric_bytes(names->data + at + 1, names->data[at]));
    }
}

void runner_miss(runner_t *runner, uint64_t until_ms)
{
    set_state(runner, RUNNER_MISSING);
    runner->missing_until_ms = until_ms;
}

void runner_note_unreachable(runner_t *runner)
{
    runner->unreachable = true;
}

bool runner_ping(router_t *router, runner_t *runner)
{
    if (router->now_ms < runner->next_ping_ms) {
        return false;
    }
    map_version_t version = shard_map_version(router->map);
    message_ping_t ping = {.map_term = version.term, .map_sequence = version.sequence};
    message_put_ping(peer_writer(router, runner->peer), &ping);
    runner->next_ping_ms = router->now_ms + router->config.worker_heartbeat_ms;
    return true;
}

bool runner_set_standing(runner_t *runner, runner_standing_t standing)
{
    return runner_standing_set(&runner->standing, standing);
}

void runner_leave(runner_t *runner)
{
    set_state(runner, RUNNER_LEAVING);
}

/* ---- its executors ---- */

static void note_for_log(router_t *router, runner_t *runner, bool to_log)
{
    router->runners_to_log += to_log && !runner->to_log;
    router->runners_to_log -= !to_log && runner->to_log;
    runner->to_log = to_log;
}

void runner_set_health(router_t *router, runner_t *runner, const message_runner_health_t *health)
{
    uint64_t now_ms = router->now_ms;
    uint32_t executors = health->executors < UINT32_MAX ? (uint32_t)health->executors : UINT32_MAX;
    uint32_t stuck = health->stuck < executors ? (uint32_t)health->stuck : executors;
    uint64_t oldest_ms = health->oldest_ms < now_ms ? health->oldest_ms : now_ms;
    if (stuck != runner->stuck) {
        note_for_log(router, runner, true);
    }
    runner->executors = executors;
    runner->stuck = stuck;
    runner->stuck_ms = now_ms - oldest_ms;
}

bool router_next_runner_health(router_t *router, router_runner_health_t *health)
{
    runner_t *runner = router->runners_to_log > 0 ? router->runners : NULL;
    while (runner && !runner->to_log) {
        runner = runner->by_incarnation.next;
    }
    if (!runner) {
        return false;
    }
    note_for_log(router, runner, false);
    *health = (router_runner_health_t){.runner = runner->incarnation,
                                       .executors = runner->executors,
                                       .stuck = runner->stuck,
                                       .oldest_ms = runner_stuck_for_ms(runner, router->now_ms)};
    memcpy(health->name, runner->name, sizeof health->name);
    return true;
}

uint64_t runner_stuck_for_ms(const runner_t *runner, uint64_t now_ms)
{
    return runner->stuck > 0 ? now_ms - runner->stuck_ms : 0;
}

/* ---- what it owns ---- */

void runner_gain(runner_t *runner)
{
    runner->owned++;
}

void runner_lose(runner_t *runner)
{
    runner->owned--;
}
