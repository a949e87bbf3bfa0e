/* One broker of the link: see link_endpoint_state.h. */
#include "worker/link_endpoint_state.h"

#include <assert.h>
#include <string.h>

#include "core/state_machine.h"

static const state_description_t phases[] = {
    [PHASE_CLOSED] = {"closed", STATE_BIT(PHASE_DOWN)},
    [PHASE_DOWN] = {"down", STATE_BIT(PHASE_CLOSED) | STATE_BIT(PHASE_DOWN) |
                                STATE_BIT(PHASE_HELLO) | STATE_BIT(PHASE_LEFT)},
    [PHASE_HELLO] = {"hello", STATE_BIT(PHASE_DOWN) | STATE_BIT(PHASE_HELLO) |
                                  STATE_BIT(PHASE_WELCOMED) | STATE_BIT(PHASE_REFUSED)},
    [PHASE_WELCOMED] = {"welcomed", STATE_BIT(PHASE_DOWN)},
    [PHASE_REFUSED] = {"refused", STATE_BIT(PHASE_DOWN) | STATE_BIT(PHASE_HELLO)},
    [PHASE_LEFT] = {"left", 0},
};
static const state_machine_t phase_machine = {"worker link phase", phases, 6};

static void set_phase(link_endpoint_t *endpoint, link_phase_t phase)
{
    state_machine_check(&phase_machine, endpoint->phase, phase);
    endpoint->phase = phase;
}

static void want_socket(link_endpoint_t *endpoint, link_socket_t action)
{
    endpoint->socket_wanted = true;
    endpoint->socket_action = action;
}

void link_endpoint_open(link_endpoint_t *endpoint, const char *name, bool learned)
{
    assert(link_endpoint_is_free(endpoint));
    memset(endpoint, 0, sizeof *endpoint);
    strcpy(endpoint->name, name);
    endpoint->learned = learned;
    set_phase(endpoint, PHASE_DOWN);
    want_socket(endpoint, LINK_SOCKET_OPEN);
}

void link_endpoint_close(link_endpoint_t *endpoint)
{
    set_phase(endpoint, PHASE_CLOSED);
    want_socket(endpoint, LINK_SOCKET_CLOSE);
}

void link_endpoint_clear(link_endpoint_t *endpoint)
{
    link_endpoint_clear_out(endpoint);
    link_kept_begin(&endpoint->kept);
}

bool link_endpoint_is_free(const link_endpoint_t *endpoint)
{
    return endpoint->phase == PHASE_CLOSED && !endpoint->socket_wanted;
}

void link_endpoint_lose(link_endpoint_t *endpoint, uint64_t now_ms)
{
    atomic_store_explicit(&endpoint->lease.start_until_ms, 0, memory_order_relaxed);
    link_endpoint_clear(endpoint);
    set_phase(endpoint, PHASE_DOWN);
    if (endpoint->reopen_ms == 0) {
        endpoint->reopen_ms = now_ms + LINK_CONNECTING_MS;
    }
}

void link_endpoint_reopen_socket(link_endpoint_t *endpoint)
{
    want_socket(endpoint, LINK_SOCKET_REOPEN);
}

void link_endpoint_close_socket(link_endpoint_t *endpoint)
{
    want_socket(endpoint, LINK_SOCKET_CLOSE);
}

bool link_endpoint_next_socket(link_endpoint_t *endpoint, link_socket_t *action)
{
    if (!endpoint->socket_wanted) {
        return false;
    }
    endpoint->socket_wanted = false;
    *action = endpoint->socket_action;
    return true;
}

/* ---- greeting ---- */

void link_endpoint_begin_greeting(link_endpoint_t *endpoint)
{
    endpoint->hello_tries = 0;
    endpoint->reopen_ms = 0;
}

void link_endpoint_enter_hello(link_endpoint_t *endpoint, uint64_t connection, uint64_t now_ms)
{
    endpoint->connection = connection;
    endpoint->hello_ms = now_ms;
    endpoint->hello_tries++;
    endpoint->malformed = false;
    link_endpoint_clear_out(endpoint);
    set_phase(endpoint, PHASE_HELLO);
}

void link_endpoint_hear(link_endpoint_t *endpoint, uint64_t now_ms)
{
    endpoint->heard_ms = now_ms;
    atomic_store_explicit(&endpoint->lease.start_until_ms, now_ms + endpoint->lease_ms / 2,
                          memory_order_relaxed);
}

/* Executors read it meanwhile, so it is written once: a worker has one cluster. */
static void note_cluster(work_lease_t *lease, const message_welcome_t *welcome)
{
    if (memcmp(lease->cluster_id, welcome->cluster_id.data, sizeof lease->cluster_id) != 0) {
        memcpy(lease->cluster_id, welcome->cluster_id.data, sizeof lease->cluster_id);
    }
}

void link_endpoint_welcome(link_endpoint_t *endpoint, const message_welcome_t *welcome,
                           uint64_t now_ms)
{
    set_phase(endpoint, PHASE_WELCOMED);
    link_kept_begin(&endpoint->kept);
    memcpy(endpoint->broker.bytes, welcome->broker.data, sizeof endpoint->broker.bytes);
    endpoint->lease_ms = (uint32_t)welcome->lease_ms;
    endpoint->heartbeat_ms = (uint32_t)welcome->heartbeat_ms;
    endpoint->ping_ms = now_ms;
    endpoint->map_wanted = (map_version_t){0};
    note_cluster(&endpoint->lease, welcome);
    link_endpoint_hear(endpoint, now_ms);
}

void link_endpoint_refuse(link_endpoint_t *endpoint, uint64_t retry_ms)
{
    set_phase(endpoint, PHASE_REFUSED);
    endpoint->hello_ms = retry_ms;
}

void link_endpoint_leave(link_endpoint_t *endpoint)
{
    set_phase(endpoint, PHASE_LEFT);
}

bool link_endpoint_is_silent(const link_endpoint_t *endpoint, uint64_t now_ms)
{
    return now_ms - endpoint->heard_ms >= endpoint->lease_ms;
}

bool link_endpoint_want_map(link_endpoint_t *endpoint, map_version_t version)
{
    bool wanted = endpoint->map_wanted.term == version.term &&
                  endpoint->map_wanted.sequence == version.sequence;
    endpoint->map_wanted = version;
    return !wanted;
}

bool link_endpoint_note_malformed(link_endpoint_t *endpoint)
{
    bool first = !endpoint->malformed;
    endpoint->malformed = true;
    return first;
}

/* ---- time ---- */

static endpoint_due_t tick_welcomed(link_endpoint_t *endpoint, uint64_t now_ms)
{
    if (link_endpoint_is_silent(endpoint, now_ms)) {
        return DUE_SILENT;
    }
    if (now_ms < endpoint->ping_ms) {
        return DUE_NOTHING;
    }
    endpoint->ping_sequence++;
    endpoint->ping_ms = now_ms + endpoint->heartbeat_ms;
    return DUE_PING;
}

static endpoint_due_t tick_hello(const link_endpoint_t *endpoint, uint64_t now_ms)
{
    if (now_ms - endpoint->hello_ms < LINK_HELLO_RETRY_MS) {
        return DUE_NOTHING;
    }
    return endpoint->hello_tries < LINK_HELLO_TRIES ? DUE_HELLO : DUE_REOPEN;
}

static void tick_down(link_endpoint_t *endpoint, uint64_t now_ms)
{
    if (endpoint->reopen_ms != 0 && now_ms >= endpoint->reopen_ms) {
        link_endpoint_reopen_socket(endpoint);
        endpoint->reopen_ms = 0;
    }
    if (endpoint->reopen_ms == 0) {
        endpoint->reopen_ms = now_ms + LINK_CONNECTING_MS;
    }
}

endpoint_due_t link_endpoint_tick(link_endpoint_t *endpoint, uint64_t now_ms)
{
    switch (endpoint->phase) {
    case PHASE_WELCOMED:
        return tick_welcomed(endpoint, now_ms);
    case PHASE_HELLO:
        return tick_hello(endpoint, now_ms);
    case PHASE_REFUSED:
        return now_ms >= endpoint->hello_ms ? DUE_GREETING : DUE_NOTHING;
    case PHASE_DOWN:
        tick_down(endpoint, now_ms);
        return DUE_NOTHING;
    case PHASE_CLOSED:
    case PHASE_LEFT:
        break;
    }
    return DUE_NOTHING;
}

uint64_t link_endpoint_deadline(const link_endpoint_t *endpoint)
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

/* ---- what is to be sent ---- */

wire_writer_t *link_endpoint_out(link_endpoint_t *endpoint)
{
    work_output_t *last = endpoint->out_last;
    if (endpoint->out_first && last->results.size < LIMIT_FRAME_BYTES_GOAL / 2) {
        return &last->results;
    }
    link_endpoint_add_results(endpoint, work_output_new(OUTPUT_RESULTS, (work_source_t){0}));
    return &endpoint->out_last->results;
}

void link_endpoint_put_not_taken(link_endpoint_t *endpoint, const message_deliver_t *delivery,
                                 fabric_error_t error)
{
    message_result_t result = work_result(delivery, STATUS_NOT_TAKEN, error);
    message_put_result(link_endpoint_out(endpoint), &result);
}

bool link_endpoint_is_live(const link_endpoint_t *endpoint, uint64_t connection)
{
    return endpoint->phase == PHASE_WELCOMED && endpoint->connection == connection;
}

void link_endpoint_add_results(link_endpoint_t *endpoint, work_output_t *results)
{
    if (endpoint->out_first) {
        endpoint->out_last->next = results;
    } else {
        endpoint->out_first = results;
    }
    endpoint->out_last = results;
}

void link_endpoint_clear_out(link_endpoint_t *endpoint)
{
    work_output_list_destroy(&endpoint->out_first);
    endpoint->out_last = NULL;
}

static work_output_t *take_piece(link_endpoint_t *endpoint)
{
    work_output_t *piece = endpoint->out_first;
    endpoint->out_first = piece->next;
    piece->next = NULL;
    return piece;
}

/* The first piece becomes the frame; the messages of further ones are copied behind it. */
bool link_endpoint_next_frame(link_endpoint_t *endpoint, uint64_t high_id, wire_writer_t *frame,
                              bool *let_go)
{
    *let_go = false;
    if (!endpoint->out_first) {
        return false;
    }
    work_output_t *piece = take_piece(endpoint);
    wire_writer_destroy(frame);
    *frame = piece->results;
    uint32_t durable = piece->durable;
    uint32_t states = piece->states;
    piece->results = (wire_writer_t){0};
    work_output_list_destroy(&piece);
    while (endpoint->out_first) {
        fabric_bytes_t messages = work_output_messages(endpoint->out_first);
        if (frame->size + messages.size > LIMIT_FRAME_BYTES_GOAL) {
            break;
        }
        wire_append(frame, messages.data, messages.size);
        durable += endpoint->out_first->durable;
        states += endpoint->out_first->states;
        piece = take_piece(endpoint);
        work_output_list_destroy(&piece);
    }
    frame_head_t head = {.version = LIMIT_PROTOCOL_VERSION, .high_id = high_id};
    frame_set_head(frame, &head);
    if (endpoint->phase == PHASE_WELCOMED) {
        size_t size = durable > 0 ? frame->size - FRAME_HEAD_BYTES : 0;
        *let_go = link_kept_add(&endpoint->kept, fabric_bytes(frame->data + FRAME_HEAD_BYTES, size),
                                states > 0);
    }
    return true;
}

bool link_endpoint_settle(link_endpoint_t *endpoint, uint64_t frames)
{
    return link_kept_settle(&endpoint->kept, frames);
}

uint64_t link_endpoint_orphans_until_ms(const link_endpoint_t *endpoint)
{
    return link_kept_is_whole(&endpoint->kept) ? endpoint->heard_ms + endpoint->lease_ms : 0;
}
