/* What the link does with a frame from a broker. */
#include "core/journal/events.h"
#include "worker/link_state.h"

/* The longest grace time that a broker can give. */
#define GRACE_MS_MAX 600000u

/* ---- messages of a connection's beginning and end ---- */

static void ask_for_map(link_t *link, uint32_t index)
{
    map_version_t own = shard_map_version(link->cluster.map);
    message_map_wanted_t wanted = {own.term, own.sequence};
    message_put_map_wanted(link_endpoint_out(link_endpoint_at(link, index)), &wanted);
}

static void apply_map(link_t *link, uint32_t index, fabric_bytes_t encoded)
{
    bool changed = false;
    fabric_error_t error = shard_map_apply(link->cluster.map, encoded, &changed);
    if (error == FABRIC_ERROR_NOT_FOUND) { /* a delta to a map that is not known */
        ask_for_map(link, index);
    } else if (error != FABRIC_OK) {
        link_malformed(link, index, error);
    }
    if (changed) {
        link_follow_map(link);
    }
}

static void receive_welcome(link_t *link, uint32_t index, const message_welcome_t *welcome,
                            uint64_t now_ms)
{
    const link_endpoint_t *endpoint = link_endpoint_at(link, index);
    if (endpoint->phase != PHASE_HELLO || welcome->connection != endpoint->connection) {
        link_count_dropped(link); /* the answer to an earlier hello */
        return;
    }
    if (!link_cluster_welcome_valid(welcome)) {
        link_malformed(link, index, FABRIC_ERROR_MALFORMED_MESSAGE);
        return;
    }
    fabric_error_t error = link_cluster_join(&link->cluster, link->config.cluster_name, welcome);
    if (error != FABRIC_OK) {
        link_refuse(link, index, error, fabric_bytes_of(fabric_error_meaning(error)), now_ms);
        return;
    }
    link_welcome(link, index, welcome, now_ms);
    apply_map(link, index, welcome->map);
    if (link->leaving) {
        message_bye_t bye = {.reason = fabric_bytes_of("leaving")};
        message_put_bye(link_endpoint_out(link_endpoint_at(link, index)), &bye);
    }
}

static void receive_refused(link_t *link, uint32_t index, const message_refused_t *refused,
                            uint64_t now_ms)
{
    link_phase_t phase = link_endpoint_at(link, index)->phase;
    if (phase == PHASE_HELLO || phase == PHASE_WELCOMED) {
        link_refuse(link, index, fabric_error_from_number(refused->error), refused->text, now_ms);
    }
}

/* The broker does not know this connection (any more). */
static void receive_who(link_t *link, uint32_t index, uint64_t now_ms)
{
    if (link_endpoint_at(link, index)->phase != PHASE_WELCOMED) {
        return; /* a hello is under way */
    }
    link_lose(link, index, now_ms);
    if (!link->leaving) {
        link_greet(link, index, now_ms);
    }
}

static void receive_bye(link_t *link, uint32_t index, uint64_t now_ms)
{
    link_endpoint_t *endpoint = link_endpoint_at(link, index);
    link_lose(link, index, now_ms);
    if (link->leaving) {
        link_endpoint_leave(endpoint);
    } else {
        /* The broker is going; it, or its successor, is greeted on a new connection. */
        link_report(link, LINK_EVENT_DISCONNECTED, index, FABRIC_OK, (fabric_bytes_t){0});
        link_endpoint_reopen_socket(endpoint);
    }
}

/* ---- messages of a welcomed connection ---- */

/* A heartbeat tells the version of the broker's map. */
static void receive_ping(link_t *link, uint32_t index, const message_ping_t *ping)
{
    map_version_t own = shard_map_version(link->cluster.map);
    map_version_t seen = {ping->map_term, ping->map_sequence};
    bool newer = seen.term > own.term || (seen.term == own.term && seen.sequence > own.sequence);
    if (newer && link_endpoint_want_map(link_endpoint_at(link, index), seen)) {
        ask_for_map(link, index);
    }
}

static bool is_name(fabric_bytes_t name)
{
    return name.size >= 1 && name.size <= LIMIT_NAME_BYTES_MAX;
}

static void receive_assign(link_t *link, uint32_t index, const message_assign_t *message,
                           uint64_t now_ms)
{
    shard_claim_t claim = {message->shard, {message->home_epoch, message->owner_sequence}};
    if (!link_cluster_has_shard(&link->cluster, message->shard) || !is_name(message->type)) {
        link_malformed(link, index, FABRIC_ERROR_INVALID_ARGUMENT);
    } else if (!link_shards_assign(&link->shards, &link->works, claim, message->type,
                                   message->continued == 1, link->brokers.endpoints, index, now_ms,
                                   now_ms + link->config.grace_ms)) {
        link_count_dropped(link); /* said again, or by a home that was deposed */
    }
}

static void receive_settled(link_t *link, uint32_t index, const message_settled_t *message)
{
    link_gather(link); /* what a home says of its lanes comes after its giving up of others */
    if (!link_endpoint_settle(link_endpoint_at(link, index), message->frames)) {
        link_malformed(link, index, FABRIC_ERROR_INVALID_ARGUMENT);
    }
}

static void receive_release(link_t *link, uint32_t index, const message_release_t *message,
                            uint64_t now_ms)
{
    shard_claim_t claim = {message->shard, {message->home_epoch, message->owner_sequence}};
    uint64_t grace_ms = message->grace_ms < GRACE_MS_MAX ? message->grace_ms : GRACE_MS_MAX;
    link_turn_release(&link->turn, &link->works, index, claim.number, claim.token);
    if (message->moved == 1) {
        lost_home_t home = link_lost_home(link, index);
        link_shards_move(&link->shards, &link->works, claim, index, home, now_ms);
        return;
    }
    if (!link_shards_release(&link->shards, &link->works, claim, index, now_ms + grace_ms)) {
        message_released_t released = {message->shard, message->home_epoch,
                                       message->owner_sequence};
        message_put_released(link_endpoint_out(link_endpoint_at(link, index)), &released);
    }
}

static fabric_error_t receive_order(link_t *link, uint32_t index, wire_reader_t *body)
{
    message_runner_order_t order;
    fabric_error_t error = message_get_runner_order(body, &order);
    if (!error && !runner_standing_is(order.standing)) {
        error = FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    if (!error) {
        link_stand(link, index, (runner_standing_t)order.standing);
    }
    return error;
}

static bool is_valid_delivery(const message_deliver_t *message)
{
    return is_name(message->type) && is_name(message->id) && is_name(message->tag) &&
           (message->flags & ~(uint64_t)DELIVER_FLAGS) == 0;
}

static void receive_deliver(link_t *link, uint32_t index, work_frame_t *frame,
                            message_deliver_t *message, uint64_t now_ms)
{
    if (!is_valid_delivery(message)) {
        link_malformed(link, index, FABRIC_ERROR_MALFORMED_MESSAGE);
        link_endpoint_put_not_taken(link_endpoint_at(link, index), message,
                                    FABRIC_ERROR_MALFORMED_MESSAGE);
        return;
    }
    uint64_t left_ms = message->deadline_ms; /* executors are told a time of this clock */
    message->deadline_ms = left_ms > 0 && left_ms < UINT64_MAX - now_ms ? now_ms + left_ms : 0;
    if (link_shards_deliver(&link->shards, &link->works, index, frame, message)) {
        link_cluster_note_id(&link->cluster, message->request_id);
    } else {
        link_endpoint_put_not_taken(link_endpoint_at(link, index), message,
                                    FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    }
}

/* A state goes the way of the deliveries that it comes before. One of an ownership that this worker
 * does not have any more has no use. */
static fabric_error_t receive_state(link_t *link, uint32_t index, wire_reader_t *body,
                                    work_frame_t *frame)
{
    message_entity_state_t message;
    fabric_error_t error = message_get_entity_state(body, &message);
    if (error || !is_name(message.type) || !is_name(message.id) || message.version > UINT32_MAX ||
        message.state.size > LIMIT_PAYLOAD_BYTES_MAX) {
        return error ? error : FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    const message_deliver_t state = {.shard = message.shard,
                                     .home_epoch = message.home_epoch,
                                     .owner_sequence = message.owner_sequence,
                                     .activation = message.activation,
                                     .attempt = message.version,
                                     .flags = REQUEST_DURABLE | WORK_STATE,
                                     .type = message.type,
                                     .id = message.id,
                                     .payload = message.state,
                                     .position = message.sequence};
    if (!link_shards_deliver(&link->shards, &link->works, index, frame, &state)) {
        link_count_dropped(link);
    }
    return FABRIC_OK;
}

/* The same of events, or a part of them. */
static fabric_error_t receive_events(link_t *link, uint32_t index, wire_reader_t *body,
                                     work_frame_t *frame)
{
    message_entity_events_t message;
    journal_events_t events;
    fabric_error_t error = message_get_entity_events(body, &message);
    if (!error) {
        error = journal_events_read(message.events, message.first, &events);
    }
    if (error || !is_name(message.type) || !is_name(message.id) || message.more > 1) {
        return error ? error : FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    const message_deliver_t part = {.shard = message.shard,
                                    .home_epoch = message.home_epoch,
                                    .owner_sequence = message.owner_sequence,
                                    .activation = message.activation,
                                    .attempt = message.more,
                                    .flags = REQUEST_DURABLE | WORK_STATE | WORK_EVENTS,
                                    .type = message.type,
                                    .id = message.id,
                                    .payload = message.events,
                                    .position = message.first};
    if (!link_shards_deliver(&link->shards, &link->works, index, frame, &part)) {
        link_count_dropped(link);
    }
    return FABRIC_OK;
}

static fabric_error_t receive_interrupt(link_t *link, uint32_t index, wire_reader_t *body,
                                        work_frame_t *frame)
{
    message_interrupt_t message;
    fabric_error_t error = message_get_interrupt(body, &message);
    if (error || !is_name(message.type) || !is_name(message.id)) {
        return error ? error : FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    const message_deliver_t named = {.shard = message.shard,
                                     .home_epoch = message.home_epoch,
                                     .owner_sequence = message.owner_sequence,
                                     .request_id = message.request_id,
                                     .type = message.type,
                                     .id = message.id};
    link_turn_interrupt(&link->turn, index, &named);
    if (!link_shards_interrupt(&link->shards, &link->works, index, frame, &named)) {
        link_count_dropped(link); /* the home takes the message back */
    }
    return FABRIC_OK;
}

static fabric_error_t receive_alive(link_t *link, uint32_t index, wire_reader_t *body,
                                    work_frame_t *frame)
{
    message_alive_t message;
    fabric_error_t error = message_get_alive(body, &message);
    if (error || !is_name(message.type) || !is_name(message.id)) {
        return error ? error : FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    const message_deliver_t wake = {.shard = message.shard,
                                    .home_epoch = message.home_epoch,
                                    .owner_sequence = message.owner_sequence,
                                    .activation = message.activation,
                                    .attempt = message.causes & UINT8_MAX,
                                    .flags = WORK_WAKE,
                                    .type = message.type,
                                    .id = message.id};
    if (!link_shards_deliver(&link->shards, &link->works, index, frame, &wake)) {
        message_alive_t absent = work_not_woken(&wake);
        message_put_alive(link_endpoint_out(link_endpoint_at(link, index)), &absent);
    }
    return FABRIC_OK;
}

static void receive_go(link_t *link, uint32_t index, const message_alone_go_t *go, uint64_t now_ms)
{
    link_turn_name_t name = {
        index, go->shard, go->request_id, {go->home_epoch, go->owner_sequence}};
    if (!link_turn_go(&link->turn, &link->works, name, link_endpoint_at(link, index)->lease_ms,
                      now_ms)) {
        link_count_dropped(link); /* the turn is over */
    }
}

static void receive_over(link_t *link, uint32_t index, const message_alone_over_t *over)
{
    link_turn_name_t name = {
        index, over->shard, over->request_id, {over->home_epoch, over->owner_sequence}};
    if (!link_turn_over(&link->turn, &link->works, &link->brokers, name)) {
        link_count_dropped(link); /* it was over before */
    }
}

static fabric_error_t receive_welcomed(link_t *link, uint32_t index, message_kind_t kind,
                                       wire_reader_t *body, work_frame_t *frame, uint64_t now_ms)
{
    union {
        message_deliver_t deliver;
        message_assign_t assign;
        message_release_t release;
        message_settled_t settled;
        message_alone_go_t alone_go;
        message_alone_over_t alone_over;
        message_ping_t ping;
        message_map_t map;
        message_bye_t bye;
    } message;
    fabric_error_t error = FABRIC_ERROR_UNKNOWN_KIND; /* one that a worker is not sent */
    if (kind == KIND_DELIVER) {
        if ((error = message_get_deliver(body, &message.deliver)) == FABRIC_OK) {
            receive_deliver(link, index, frame, &message.deliver, now_ms);
        }
    } else if (kind == KIND_ASSIGN) {
        if ((error = message_get_assign(body, &message.assign)) == FABRIC_OK) {
            receive_assign(link, index, &message.assign, now_ms);
        }
    } else if (kind == KIND_RELEASE) {
        if ((error = message_get_release(body, &message.release)) == FABRIC_OK) {
            receive_release(link, index, &message.release, now_ms);
        }
    } else if (kind == KIND_SETTLED) {
        if ((error = message_get_settled(body, &message.settled)) == FABRIC_OK) {
            receive_settled(link, index, &message.settled);
        }
    } else if (kind == KIND_ALONE_GO) {
        if ((error = message_get_alone_go(body, &message.alone_go)) == FABRIC_OK) {
            receive_go(link, index, &message.alone_go, now_ms);
        }
    } else if (kind == KIND_ALONE_OVER) {
        if ((error = message_get_alone_over(body, &message.alone_over)) == FABRIC_OK) {
            receive_over(link, index, &message.alone_over);
        }
    } else if (kind == KIND_PING) {
        if ((error = message_get_ping(body, &message.ping)) == FABRIC_OK) {
            receive_ping(link, index, &message.ping);
        }
    } else if (kind == KIND_MAP) {
        if ((error = message_get_map(body, &message.map)) == FABRIC_OK) {
            apply_map(link, index, message.map.map);
        }
    } else if (kind == KIND_BYE) {
        if ((error = message_get_bye(body, &message.bye)) == FABRIC_OK) {
            receive_bye(link, index, now_ms);
        }
    } else if (kind == KIND_RUNNER_ORDER) {
        error = receive_order(link, index, body);
    } else if (kind == KIND_ENTITY_STATE) {
        error = receive_state(link, index, body, frame);
    } else if (kind == KIND_ENTITY_EVENTS) {
        error = receive_events(link, index, body, frame);
    } else if (kind == KIND_ALIVE) {
        error = receive_alive(link, index, body, frame);
    } else if (kind == KIND_INTERRUPT) {
        error = receive_interrupt(link, index, body, frame);
    } else if (kind == KIND_PONG) {
        link_count_dropped(link); /* a worker's pings are not answered; one that is does no harm */
        error = FABRIC_OK;
    }
    return error;
}

/* One message; an error means that it was malformed. */
static fabric_error_t receive_message(link_t *link, uint32_t index, message_kind_t kind,
                                      wire_reader_t *body, work_frame_t *frame, uint64_t now_ms)
{
    fabric_error_t error;
    if (kind == KIND_WELCOME) {
        message_welcome_t welcome;
        if ((error = message_get_welcome(body, &welcome)) == FABRIC_OK) {
            receive_welcome(link, index, &welcome, now_ms);
        }
        return error;
    }
    if (kind == KIND_REFUSED) {
        message_refused_t refused;
        if ((error = message_get_refused(body, &refused)) == FABRIC_OK) {
            receive_refused(link, index, &refused, now_ms);
        }
        return error;
    }
    if (kind == KIND_WHO) {
        message_who_t who;
        if ((error = message_get_who(body, &who)) == FABRIC_OK) {
            receive_who(link, index, now_ms);
        }
        return error;
    }
    if (link_endpoint_at(link, index)->phase != PHASE_WELCOMED) {
        link_count_dropped(link); /* of an older connection */
        return FABRIC_OK;
    }
    return receive_welcomed(link, index, kind, body, frame, now_ms);
}

/* Whether a frame of the endpoint may be read. */
static bool may_receive(link_t *link, uint32_t index, uint64_t now_ms)
{
    const link_endpoint_t *endpoint = link_endpoint_at(link, index);
    if (endpoint->phase != PHASE_WELCOMED) {
        return endpoint->phase == PHASE_HELLO;
    }
    if (link_endpoint_is_silent(endpoint, now_ms)) {
        /* This process stood still beyond the lease: what was sent meanwhile is out of date. */
        link_tick(link, now_ms);
        return false;
    }
    return true;
}

static void receive_messages(link_t *link, uint32_t index, wire_reader_t *reader,
                             work_frame_t *frame, uint64_t now_ms)
{
    wire_reader_t body;
    while (frame_next(reader, &body)) {
        message_kind_t kind;
        fabric_error_t error = message_open(&body, &kind);
        if (error == FABRIC_OK) {
            error = receive_message(link, index, kind, &body, frame, now_ms);
        }
        if (error != FABRIC_OK) {
            link_malformed(link, index, error);
        }
    }
    if (reader->failed) {
        link_unreadable(link, index, now_ms);
    }
}

void link_receive(link_t *link, uint32_t index, work_frame_t *frame, uint64_t now_ms)
{
    wire_reader_t reader;
    frame_head_t head;
    if (index >= link->brokers.count || !may_receive(link, index, now_ms)) {
        link_count_dropped(link);
        return;
    }
    fabric_error_t error = frame_open(frame->bytes, &reader, &head);
    if (error == FABRIC_ERROR_UNSUPPORTED_VERSION) {
        link_refuse(link, index, error, fabric_bytes_of(fabric_error_meaning(error)), now_ms);
    } else if (error != FABRIC_OK) {
        link_unreadable(link, index, now_ms);
    } else {
        link_endpoint_t *endpoint = link_endpoint_at(link, index);
        if (endpoint->phase == PHASE_WELCOMED) {
            link_endpoint_hear(endpoint, now_ms);
        }
        link_cluster_note_id(&link->cluster, head.high_id);
        receive_messages(link, index, &reader, frame, now_ms);
    }
    link_gather(link);
    link_works_flush(&link->works);
}
