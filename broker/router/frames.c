/* Frames that arrive: each message in them goes to the file that it is about. */
#include "broker/router/admission.h"
#include "broker/router/brokers.h"
#include "broker/router/cancels.h"
#include "broker/router/connections.h"
#include "broker/router/crash_report.h"
#include "broker/router/dispatch.h"
#include "broker/router/hello.h"
#include "broker/router/membership.h"
#include "broker/router/operations.h"
#include "broker/router/poison.h"
#include "broker/router/protocol_violation.h"
#include "broker/router/result.h"
#include "broker/router/router_state.h"
#include "broker/router/status.h"

/* Each hello is answered with a whole map, and no peer needs more than one. */
enum { HELLOS_PER_FRAME = 4 };

/* ---- messages of peers that have said hello ---- */

/* Messages that any peer may send. */
static fabric_error_t common_message(router_t *router, peer_t *peer, message_kind_t kind,
                                     wire_reader_t *body)
{
    if (kind == KIND_PING) {
        message_ping_t ping;
        fabric_error_t error = message_get_ping(body, &ping);
        if (!error && !peer->runner) {
            map_version_t version = shard_map_version(router->map);
            message_pong_t pong = {ping.sequence, version.term, version.sequence};
            message_put_pong(peer_writer(router, peer), &pong);
        }
        return error;
    }
    if (kind == KIND_PONG) {
        message_pong_t pong;
        router->counters.unexpected++; /* a peer need not answer a broker's pings */
        return message_get_pong(body, &pong);
    }
    if (kind == KIND_QUERY) {
        message_query_t query;
        fabric_error_t error = message_get_query(body, &query);
        if (!error) {
            query_received(router, peer, &query);
        }
        return error;
    }
    if (kind == KIND_MAP_WANTED) {
        message_map_wanted_t wanted;
        fabric_error_t error = message_get_map_wanted(body, &wanted);
        if (!error) {
            peer_want_map(peer); /* a frame gets one map, however often it asks */
        }
        return error;
    }
    return FABRIC_ERROR_UNKNOWN_KIND;
}

static fabric_error_t client_message(router_t *router, peer_t *peer, message_kind_t kind,
                                     wire_reader_t *body)
{
    if (kind == KIND_REQUEST) {
        wire_reader_t again = *body;
        message_request_t request;
        fabric_error_t error = message_get_request(body, &request);
        if (!error) {
            request_received(router, peer->client, &request);
        } else {
            uint64_t sequence = wire_get_uint(&again);
            uint64_t flags = wire_get_uint(&again);
            if (!again.failed) {
                request_malformed(router, peer->client, sequence, flags);
            }
        }
        return error;
    }
    if (kind == KIND_BYE) {
        message_bye_t bye;
        fabric_error_t error = message_get_bye(body, &bye);
        if (!error) {
            client_end_life(peer->client);
            connection_end(router, peer);
        }
        return error;
    }
    if (kind == KIND_CANCEL) {
        message_cancel_t cancel;
        fabric_error_t error = message_get_cancel(body, &cancel);
        return error ? error : cancel_received(router, peer->client, &cancel);
    }
    if (kind == KIND_RELAY) {
        message_relay_t relay;
        fabric_error_t error = message_get_relay(body, &relay);
        if (!error) {
            relay_received(router, peer, &relay);
        }
        return error;
    }
    return common_message(router, peer, kind, body);
}

/* A result that cannot be read ends its message with a defect, if the message's id can be read. */
static bool read_result_head(wire_reader_t *body, message_result_t *result)
{
    static const char text[] = "the worker's result could not be read";
    *result = (message_result_t){.shard = wire_get_uint(body)};
    result->home_epoch = wire_get_uint(body);
    result->owner_sequence = wire_get_uint(body);
    result->activation = wire_get_uint(body);
    result->request_id = wire_get_uint(body);
    result->status = STATUS_DEFECT;
    result->error = FABRIC_ERROR_MALFORMED_MESSAGE;
    result->payload = fabric_bytes(text, sizeof text - 1);
    return !body->failed;
}

static void refuse_request_of_worker(router_t *router, peer_t *peer, uint64_t sequence)
{
    message_rejected_t rejected = {
        .sequence = sequence,
        .error = FABRIC_ERROR_UNKNOWN_KIND,
        .text = fabric_bytes_of("a worker sends no requests: a client does, on its own connection"),
    };
    message_put_rejected(peer_writer(router, peer), &rejected);
}

/* The same of a result with effects. The worker goes on with a state that does not count, so the
 * activation is over then. */
static fabric_error_t receive_effects(router_t *router, runner_t *runner, wire_reader_t start,
                                      fabric_error_t error, message_result_t *result,
                                      const journal_effects_t *effects)
{
    static const journal_effects_t none = {.version = 0};
    if (error && !read_result_head(&start, result)) {
        return error;
    }
    result_received_with_effects(router, runner, result, error ? &none : effects);
    return error;
}

static fabric_error_t receive_result_with_state(router_t *router, runner_t *runner,
                                                wire_reader_t *body)
{
    message_result_state_t changed = {.shard = 0};
    wire_reader_t start = *body;
    fabric_error_t error = message_get_result_state(body, &changed);
    if (!error && changed.version > UINT32_MAX) {
        error = FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    message_result_t result = {.shard = changed.shard,
                               .home_epoch = changed.home_epoch,
                               .owner_sequence = changed.owner_sequence,
                               .activation = changed.activation,
                               .request_id = changed.request_id,
                               .status = changed.status,
                               .error = changed.error,
                               .code = changed.code,
                               .payload = changed.payload};
    journal_effects_t effects = {.version = (uint32_t)changed.version, .state = changed.state};
    return receive_effects(router, runner, start, error, &result, &effects);
}

static fabric_error_t receive_result_with_events(router_t *router, runner_t *runner,
                                                 wire_reader_t *body)
{
    message_result_events_t changed = {.shard = 0};
    wire_reader_t start = *body;
    fabric_error_t error = message_get_result_events(body, &changed);
    journal_effects_t effects = {
        .version = (uint32_t)changed.version, .state = changed.state, .sequence = changed.sequence};
    if (!error) {
        error = changed.version > UINT32_MAX
                    ? FABRIC_ERROR_MALFORMED_MESSAGE
                    : journal_events_read(changed.events, changed.first, &effects.events);
    }
    message_result_t result = {.shard = changed.shard,
                               .home_epoch = changed.home_epoch,
                               .owner_sequence = changed.owner_sequence,
                               .activation = changed.activation,
                               .request_id = changed.request_id,
                               .status = changed.status,
                               .error = changed.error,
                               .code = changed.code,
                               .payload = changed.payload};
    return receive_effects(router, runner, start, error, &result, &effects);
}

/* The id is made when an entry takes it: any will do until then. */
static journal_outgoing_t told_of(const message_result_told_t *told)
{
    return (journal_outgoing_t){.id = 1,
                                .count = told->count <= STORE_OUTGOING_MAX ? (uint32_t)told->count
                                                                           : UINT32_MAX,
                                .list = told->told};
}

static fabric_error_t receive_result_with_told(router_t *router, runner_t *runner,
                                               wire_reader_t *body)
{
    message_result_told_t told = {.shard = 0};
    wire_reader_t start = *body;
    fabric_error_t error = message_get_result_told(body, &told);
    journal_effects_t effects = {.version = (uint32_t)told.version,
                                 .state = told.state,
                                 .sequence = told.sequence,
                                 .outgoing = told_of(&told)};
    if (!error) {
        error = told.version > UINT32_MAX || !journal_outgoing_is_sound(&effects.outgoing)
                    ? FABRIC_ERROR_MALFORMED_MESSAGE
                    : journal_events_read(told.events, told.first, &effects.events);
    }
    message_result_t result = {.shard = told.shard,
                               .home_epoch = told.home_epoch,
                               .owner_sequence = told.owner_sequence,
                               .activation = told.activation,
                               .request_id = told.request_id,
                               .status = told.status,
                               .error = told.error,
                               .code = told.code,
                               .payload = told.payload};
    return receive_effects(router, runner, start, error, &result, &effects);
}

static fabric_error_t worker_message(router_t *router, peer_t *peer, message_kind_t kind,
                                     wire_reader_t *body)
{
    runner_t *runner = peer->runner;
    if (kind == KIND_RESULT) {
        message_result_t result;
        wire_reader_t again = *body;
        fabric_error_t error = message_get_result(body, &result);
        if (!error || read_result_head(&again, &result)) {
            result_received(router, runner, &result);
        }
        return error;
    }
    if (kind == KIND_RESULT_STATE) {
        return receive_result_with_state(router, runner, body);
    }
    if (kind == KIND_RESULT_EVENTS) {
        return receive_result_with_events(router, runner, body);
    }
    if (kind == KIND_RESULT_TOLD) {
        return receive_result_with_told(router, runner, body);
    }
    if (kind == KIND_REQUEST) {
        message_request_t request;
        if (message_get_request(body, &request) == FABRIC_OK) {
            refuse_request_of_worker(router, peer, request.sequence);
        }
        return FABRIC_ERROR_UNKNOWN_KIND;
    }
    if (kind == KIND_ALIVE) {
        message_alive_t alive;
        fabric_error_t error = message_get_alive(body, &alive);
        return error ? error : alive_received(router, runner, &alive);
    }
    if (kind == KIND_RELEASED) {
        message_released_t released;
        fabric_error_t error = message_get_released(body, &released);
        if (!error) {
            released_received(router, runner, &released);
        }
        return error;
    }
    if (kind == KIND_RUNNER_HEALTH) {
        message_runner_health_t health;
        fabric_error_t error = message_get_runner_health(body, &health);
        if (!error) {
            runner_set_health(router, runner, &health);
        }
        return error;
    }
    if (kind == KIND_ALONE_READY) {
        message_alone_ready_t ready;
        fabric_error_t error = message_get_alone_ready(body, &ready);
        if (!error) {
            poison_worker_ready(router, runner, &ready);
        }
        return error;
    }
    if (kind == KIND_RUNNER_STANDING) {
        message_runner_standing_t standing;
        fabric_error_t error = message_get_runner_standing(body, &standing);
        return error ? error : standing_received(router, runner, &standing);
    }
    if (kind == KIND_BYE) {
        message_bye_t bye;
        fabric_error_t error = message_get_bye(body, &bye);
        if (!error) {
            goodbye_received(router, runner);
        }
        return error;
    }
    return common_message(router, peer, kind, body);
}

static void receive_frame(router_t *router, peer_t *peer, fabric_bytes_t frame);

static fabric_error_t broker_message(router_t *router, peer_t *peer, message_kind_t kind,
                                     wire_reader_t *body)
{
    if (kind == KIND_TUNNEL) {
        message_tunnel_t tunnel;
        fabric_error_t error = message_get_tunnel(body, &tunnel);
        peer_t *from = error ? NULL : peer_find_or_add_tunnelled(router, peer, tunnel.route);
        if (from) {
            receive_frame(router, from, tunnel.frame);
        }
        return error;
    }
    fabric_error_t error = broker_message_received(router, peer, kind, body);
    return error == FABRIC_ERROR_UNKNOWN_KIND ? common_message(router, peer, kind, body) : error;
}

/* ---- messages of all peers ---- */

/* What one frame has led to. */
typedef struct frame_effects {
    bool asked;   /* an unidentified peer was asked who it is */
    int hellos;   /* in the frame so far */
    bool hello;   /* the message at hand is a hello */
    bool refused; /* the peer was refused: the rest of the frame is not read */
    /* The client settles on all calls below this one, but not before the cancels that begin the
     * frame: some are of calls on which it settles just then. */
    uint64_t settled;
} frame_effects_t;

static void settle(router_t *router, const peer_t *peer, const frame_effects_t *effects)
{
    if (peer->client && effects->settled > peer->client->calls.settled) {
        calls_settle(router, peer->client, effects->settled);
    }
}

/* A message of a peer that has not said hello, or whose runner was given up meanwhile. */
static void unidentified_message(router_t *router, peer_t *peer, message_kind_t kind, bool *asked)
{
    router->counters.unidentified++;
    if (kind == KIND_RESULT || kind == KIND_RESULT_STATE || kind == KIND_RESULT_EVENTS ||
        kind == KIND_RESULT_TOLD) {
        router->counters.results_refused++; /* the sender is a deposed owner */
    }
    if (!*asked) {
        message_who_t who = {LIMIT_PROTOCOL_VERSION};
        message_put_who(peer_writer(router, peer), &who);
        *asked = true;
    }
}

static fabric_error_t hello_message(router_t *router, peer_t *peer, wire_reader_t *body,
                                    frame_effects_t *effects)
{
    message_hello_t hello;
    fabric_error_t error = message_get_hello(body, &hello);
    if (error) {
        return error;
    }
    effects->refused = effects->hellos++ == HELLOS_PER_FRAME;
    if (effects->refused) {
        peer_refuse(router, peer, FABRIC_ERROR_BUSY, "too many hellos in one frame");
    } else {
        hello_received(router, peer, &hello);
    }
    return FABRIC_OK;
}

static fabric_error_t message_received(router_t *router, peer_t *peer, wire_reader_t *body,
                                       frame_effects_t *effects)
{
    message_kind_t kind = (message_kind_t)0;
    fabric_error_t error = message_open(body, &kind);
    effects->hello = kind == KIND_HELLO;
    if (error) {
        return error;
    }
    if (effects->hello) {
        return hello_message(router, peer, body, effects);
    }
    switch (peer->phase) {
    case PEER_UNIDENTIFIED:
        if (kind == KIND_CRASHED) {
            return crash_report_received(router, peer, body);
        }
        unidentified_message(router, peer, kind, &effects->asked);
        return FABRIC_OK;
    case PEER_CLIENT:
        if (kind != KIND_CANCEL) {
            settle(router, peer, effects);
        }
        return client_message(router, peer, kind, body);
    case PEER_WORKER:
        return worker_message(router, peer, kind, body);
    case PEER_BROKER:
        return broker_message(router, peer, kind, body);
    case PEER_RETIRED:
    case PEER_CLOSING:
        break;
    }
    router->counters.outdated++;
    return FABRIC_OK;
}

/* ---- what cannot be read ---- */

/* A peer that has said hello is not refused as a whole: a message that cannot be read fails alone
 * (I14). A hello is answered. */
static void malformed(router_t *router, peer_t *peer, fabric_error_t error, const char *text,
                      frame_effects_t *effects)
{
    router->counters.malformed++;
    if (effects->hello || (!peer->client && !peer->runner && !peer->member)) {
        effects->refused = true;
        peer_refuse(router, peer, error, text);
    } else {
        violation_note(router, peer, error, text);
    }
}

/* Where a frame cannot be read, a result may have stood. The router would wait for that result as
 * long as the connection lives. So the runner has to come back on a new connection, and its
 * messages in flight are delivered again. */
static void refuse_runner(router_t *router, peer_t *peer, fabric_error_t error, const char *text)
{
    connection_end(router, peer);
    peer_refuse(router, peer, error, text);
}

/* ---- frames ---- */

static void read_messages(router_t *router, peer_t *peer, wire_reader_t *reader, uint64_t settled)
{
    frame_effects_t effects = {.settled = settled};
    wire_reader_t body;
    while (!effects.refused && frame_next(reader, &body)) {
        fabric_error_t error = message_received(router, peer, &body, &effects);
        if (error) {
            malformed(router, peer, error, "a message could not be read", &effects);
        }
    }
    settle(router, peer, &effects);
    static const char rest[] = "the rest of a frame could not be read";
    effects.hello = false;
    if (reader->failed && peer->runner) {
        router->counters.malformed++;
        refuse_runner(router, peer, FABRIC_ERROR_MALFORMED_MESSAGE, rest);
    } else if (reader->failed) {
        malformed(router, peer, FABRIC_ERROR_MALFORMED_MESSAGE, rest, &effects);
    }
}

/* A frame of another protocol version is refused. Bytes that are no frame at all are dropped if a
 * client or a broker sent them. */
static void frame_refused(router_t *router, peer_t *peer, fabric_error_t error)
{
    static const char text[] = "the frame is none of this protocol version";
    router->counters.malformed++;
    if (peer->runner) {
        refuse_runner(router, peer, error, text);
    } else if (error == FABRIC_ERROR_UNSUPPORTED_VERSION || !(peer->client || peer->member)) {
        peer_refuse(router, peer, error, text);
    } else {
        violation_note(router, peer, error, text);
    }
}

static void receive_frame(router_t *router, peer_t *peer, fabric_bytes_t frame)
{
    if (peer->phase == PEER_CLOSING) {
        router->counters.outdated++;
        return;
    }
    wire_reader_t reader;
    frame_head_t head;
    fabric_error_t error = frame_open(frame, &reader, &head);
    if (error) {
        frame_refused(router, peer, error);
        return; /* no sign of life: a damaged byte may have shifted all frames of the connection */
    }
    if (peer->member) {
        request_id_heard(router, (request_id_t){head.high_id});
    }
    if (peer->runner) {
        settlement_count_frame(&peer->runner->settlement);
    }
    read_messages(router, peer, &reader, peer->client ? head.settled : 0);
    peer_heard(router, peer);
    peer_send_map(router, peer);
    if (peer->runner) {
        runner_dispatch_waiting(router, peer->runner);
    }
}

void router_receive(router_t *router, fabric_bytes_t routing_id, fabric_bytes_t frame,
                    uint64_t now_ms)
{
    router->now_ms = now_ms;
    relays_begin_frame(router);
    peer_t *peer = peer_find_or_add(router, routing_id);
    if (peer) { /* else the refusal is counted */
        receive_frame(router, peer, frame);
    }
}

void router_unreadable(router_t *router, fabric_bytes_t routing_id, uint64_t now_ms)
{
    router->now_ms = now_ms;
    router->counters.malformed++;
    const peer_t *known = peer_find(router, routing_id);
    peer_t unidentified = {.routing_id_size = routing_id.size};
    if (!known && routing_id.size > sizeof unidentified.routing_id) {
        unidentified.routing_id_size = 0;
    }
    if (unidentified.routing_id_size > 0) {
        memcpy(unidentified.routing_id, routing_id.data, unidentified.routing_id_size);
    }
    violation_note(router, known ? known : &unidentified, FABRIC_ERROR_MALFORMED_MESSAGE,
                   "a message has one part, the frame");
}
