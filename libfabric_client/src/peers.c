/* The table of brokers: see peers_state.h. */
#include "libfabric_client/src/peers_state.h"

#include <stdio.h>
#include <string.h>

#include "core/endpoint.h"
#include "core/state_machine.h"
#include "libfabric_client/src/times.h"

enum {
    HEARTBEAT_MS = 1000, /* until a welcome says otherwise */
    HEARTBEAT_MS_MIN = 10,
    HEARTBEAT_MS_MAX = 60000,
    SILENT_HEARTBEATS = 3, /* after which a connection counts as broken */
    /* After this time a socket is opened anew: libzmq never connects again after bytes that are no
     * ZMTP. */
    CONNECTING_MS = 4000,
    LATE_MS = 500,
    /* How long new calls wait while a relayed peer is to give way, and how long they then go on. */
    GIVE_WAY_MS = 100,
    GIVE_WAY_PAUSE_MS = 1000
};

static const state_description_t phases[] = {
    [PEER_UNUSED] = {"unused", STATE_BIT(PEER_CONNECTING)},
    [PEER_CONNECTING] = {"connecting", STATE_BIT(PEER_GREETING) | STATE_BIT(PEER_RESTING) |
                                           STATE_BIT(PEER_UNUSED)},
    [PEER_GREETING] = {"greeting", STATE_BIT(PEER_GREETING) | STATE_BIT(PEER_WELCOMED) |
                                       STATE_BIT(PEER_CONNECTING) | STATE_BIT(PEER_RESTING) |
                                       STATE_BIT(PEER_UNUSED)},
    [PEER_WELCOMED] = {"welcomed", STATE_BIT(PEER_LEAVING) | STATE_BIT(PEER_CONNECTING) |
                                       STATE_BIT(PEER_RESTING) | STATE_BIT(PEER_UNUSED)},
    [PEER_LEAVING] = {"leaving", STATE_BIT(PEER_CONNECTING) | STATE_BIT(PEER_RESTING) |
                                     STATE_BIT(PEER_UNUSED)},
    [PEER_RESTING] = {"resting", STATE_BIT(PEER_CONNECTING) | STATE_BIT(PEER_RESTING) |
                                     STATE_BIT(PEER_UNUSED)},
};
static const state_machine_t machine = {"client peer phase", phases,
                                        sizeof phases / sizeof *phases};

static void set_phase(peer_t *peer, peer_phase_t next)
{
    state_machine_check(&machine, peer->phase, next);
    peer->phase = next;
}

void peers_init(peers_t *peers, bool allow_plaintext, session_forward_t forward)
{
    memset(peers, 0, sizeof *peers);
    peers->allow_plaintext = allow_plaintext;
    peers->forward = forward;
    peers->heartbeat_ms = HEARTBEAT_MS;
    for (size_t i = 0; i < SESSION_PEERS_MAX; i++) {
        peers->list[i].carrier = peers->list[i].successor = NO_PEER;
    }
}

/* ---- learning ---- */

/* A peer without a connection, named by what people know it by. */
static uint32_t take_place(peers_t *peers, const char *name)
{
    uint32_t index = 0;
    while (index < peers->count && peers->list[index].phase != PEER_UNUSED) {
        index++;
    }
    if (index == SESSION_PEERS_MAX) {
        return NO_PEER;
    }
    if (index == peers->count) {
        peers->count++;
    }
    peer_t *peer = &peers->list[index];
    snprintf(peer->endpoint, sizeof peer->endpoint, "%s", name);
    set_phase(peer, PEER_CONNECTING);
    peer->reopen_at_ms = peer->late_at_ms = NEVER;
    peer->first_contact = false;
    peer->refusal = peer->rejection = FABRIC_OK;
    return index;
}

static uint32_t add_peer(peers_t *peers, const char *endpoint)
{
    uint32_t index = take_place(peers, endpoint);
    if (index != NO_PEER) {
        peers_act(peers, index, ACTION_OPEN);
    }
    return index;
}

uint32_t peers_add(peers_t *peers, const char *endpoint)
{
    uint32_t known = peers_find_endpoint(peers, endpoint);
    return known != NO_PEER ? known : add_peer(peers, endpoint);
}

uint32_t peers_learn(peers_t *peers, const char *endpoint)
{
    reason_t reason;
    uint32_t known = peers_find_endpoint(peers, endpoint);
    if (known != NO_PEER) {
        return known;
    }
    if (peers->forward == SESSION_FORWARD_ALWAYS ||
        endpoint_check(endpoint, &reason) != FABRIC_OK || strchr(endpoint, '*') ||
        !(peers->allow_plaintext || endpoint_is_local(endpoint))) {
        return NO_PEER;
    }
    return add_peer(peers, endpoint);
}

void peers_make_first_contact(peers_t *peers, uint32_t index)
{
    peers->list[index].first_contact = true;
}

/* ---- brokers that are reached by way of others ---- */

bool peers_is_late(peers_t *peers, uint32_t index, uint64_t now_ms)
{
    peer_t *peer = &peers->list[index];
    if (peer->phase == PEER_WELCOMED) {
        return false;
    }
    if (peer->late_at_ms == NEVER) {
        peer->late_at_ms = now_ms + LATE_MS;
    }
    return now_ms >= peer->late_at_ms;
}

uint32_t peers_add_relayed(peers_t *peers, incarnation_t broker, const char *endpoint,
                           uint32_t carrier, uint64_t now_ms)
{
    char name[PEER_TEXT_SIZE];
    snprintf(name, sizeof name, "%.120s by way of %.110s", endpoint, peers->list[carrier].endpoint);
    uint32_t index = take_place(peers, name);
    if (index != NO_PEER) {
        peers->list[index].carrier = carrier;
        peers->list[index].target = broker;
        peers_greet(peers, index, now_ms);
    }
    return index;
}

void peers_relay_again(peers_t *peers, uint32_t index, uint32_t carrier, uint64_t now_ms)
{
    set_phase(&peers->list[index], PEER_CONNECTING);
    peers->list[index].carrier = carrier;
    peers_greet(peers, index, now_ms);
}

void peers_succeed(peers_t *peers, uint32_t relayed, uint32_t successor, bool owes, uint64_t now_ms)
{
    peer_t *peer = &peers->list[successor];
    peers->list[relayed].successor = successor;
    peer->hello_waits = owes;
    peer->hello_at_ms = now_ms + GIVE_WAY_MS;
}

bool peers_hello_turns(peers_t *peers, uint32_t index, uint64_t now_ms)
{
    peer_t *peer = &peers->list[index];
    if (!peer->hello_waits || now_ms < peer->hello_at_ms) {
        return false;
    }
    peer->hello_pauses = !peer->hello_pauses;
    peer->hello_at_ms = now_ms + (peer->hello_pauses ? GIVE_WAY_PAUSE_MS : GIVE_WAY_MS);
    return true;
}

/* The peer is not greeted any longer, or anew. */
static void end_succession(peers_t *peers, uint32_t index)
{
    uint32_t relayed = peers_find_predecessor(peers, index);
    if (relayed != NO_PEER) {
        peers->list[relayed].successor = NO_PEER;
    }
    peers->list[index].hello_waits = peers->list[index].hello_pauses = false;
}

/* ---- actions ---- */

void peers_act(peers_t *peers, uint32_t index, session_action_kind_t action)
{
    peer_t *peer = &peers->list[index];
    if (peer_is_relayed(peer)) {
        return;
    }
    if (!peer->action_due) {
        peer->action = action;
    } else if (action == ACTION_CLOSE) {
        if (peer->action == ACTION_OPEN) {
            peer->action_due = false;
            return;
        }
        peer->action = ACTION_CLOSE;
    } else if (peer->action == ACTION_CLOSE) {
        peer->action = ACTION_REOPEN; /* the shell still has the old connection */
    }
    peer->action_due = true;
    peers->actions_due = true;
}

bool peers_next_action(peers_t *peers, session_action_t *action)
{
    if (!peers->actions_due) {
        return false;
    }
    for (size_t i = 0; i < peers->count; i++) {
        peer_t *peer = &peers->list[i];
        if (peer->action_due) {
            peer->action_due = false;
            action->kind = peer->action;
            action->peer = i;
            memcpy(action->endpoint, peer->endpoint, sizeof action->endpoint);
            return true;
        }
    }
    peers->actions_due = false;
    return false;
}

/* ---- connections ---- */

void peers_greet(peers_t *peers, uint32_t index, uint64_t now_ms)
{
    peer_t *peer = &peers->list[index];
    end_succession(peers, index);
    set_phase(peer, PEER_GREETING);
    peer->connection = ++peers->connection;
    peer->due |= DUE_HELLO;
    peer->heard_at_ms = now_ms;
}

bool peers_expects_welcome(const peers_t *peers, uint32_t index, uint64_t connection)
{
    const peer_t *peer = &peers->list[index];
    return peer->phase == PEER_GREETING && !(peer->due & DUE_HELLO) &&
           peer->connection == connection;
}

bool peers_is_later(const peers_t *peers, uint32_t index, uint32_t than)
{
    const peer_t *peer = &peers->list[index];
    bool greeted =
        peer->phase == PEER_WELCOMED || (peer->phase == PEER_GREETING && !(peer->due & DUE_HELLO));
    return greeted && peer->connection > peers->list[than].connection;
}

void peers_welcome(peers_t *peers, uint32_t index, incarnation_t broker, uint64_t now_ms)
{
    peer_t *peer = &peers->list[index];
    end_succession(peers, index);
    set_phase(peer, PEER_WELCOMED);
    peer->broker = broker;
    peer->refusal = FABRIC_OK;
    peer->late_at_ms = NEVER;
    peer->due |= DUE_WAITS_QUERY;
    peer->ping_at_ms = now_ms + peers->heartbeat_ms;
}

void peers_leave(peers_t *peers, uint32_t index, bool bye_wanted)
{
    peer_t *peer = &peers->list[index];
    set_phase(peer, PEER_LEAVING);
    peer->bye_wanted = bye_wanted;
}

static void leave(peers_t *peers, uint32_t index, peer_phase_t next, uint64_t reopen_at_ms)
{
    peer_t *peer = &peers->list[index];
    end_succession(peers, index);
    peer->successor = NO_PEER;
    set_phase(peer, next);
    peer->reopen_at_ms = reopen_at_ms;
    peer->broker = (incarnation_t){{0}};
    peer->due = 0;
    peer->bye_wanted = false;
}

void peers_disconnect(peers_t *peers, uint32_t index)
{
    leave(peers, index, PEER_CONNECTING, NEVER);
}

void peers_close(peers_t *peers, uint32_t index)
{
    peer_t *peer = &peers->list[index];
    peers_act(peers, index, ACTION_CLOSE);
    leave(peers, index, peer->first_contact ? PEER_RESTING : PEER_UNUSED, NEVER);
    peer->carrier = NO_PEER;
}

void peers_rest(peers_t *peers, uint32_t index, uint64_t until_ms)
{
    leave(peers, index, PEER_RESTING, until_ms);
}

void peers_set_heartbeat(peers_t *peers, uint64_t heartbeat_ms)
{
    peers->heartbeat_ms = heartbeat_ms < HEARTBEAT_MS_MIN   ? HEARTBEAT_MS_MIN
                          : heartbeat_ms > HEARTBEAT_MS_MAX ? HEARTBEAT_MS_MAX
                                                            : heartbeat_ms;
}

void peers_heard(peers_t *peers, uint32_t index, uint64_t now_ms)
{
    peer_t *peer = &peers->list[index];
    if (peer->phase == PEER_GREETING || peer_answers(peer)) {
        peer->heard_at_ms = now_ms;
    }
}

static uint64_t silent_at(const peers_t *peers, const peer_t *peer)
{
    return peer->heard_at_ms + SILENT_HEARTBEATS * peers->heartbeat_ms;
}

bool peers_is_silent(const peers_t *peers, uint32_t index, uint64_t now_ms)
{
    const peer_t *peer = &peers->list[index];
    bool connected = peer->phase == PEER_GREETING || peer_answers(peer);
    return connected && !peer->hello_waits && now_ms >= silent_at(peers, peer);
}

static void reopen(peers_t *peers, uint32_t index)
{
    peers_act(peers, index, ACTION_REOPEN);
    peers->list[index].reopen_at_ms = NEVER;
}

void peers_tick(peers_t *peers, uint32_t index, bool none_welcomed, uint64_t now_ms)
{
    peer_t *peer = &peers->list[index];
    switch (peer->phase) {
    case PEER_UNUSED:
    case PEER_GREETING:
        break;
    case PEER_CONNECTING:
        if (now_ms >= peer->reopen_at_ms) {
            reopen(peers, index);
        }
        if (peer->reopen_at_ms == NEVER) {
            peer->reopen_at_ms = now_ms + CONNECTING_MS;
        }
        break;
    case PEER_WELCOMED:
    case PEER_LEAVING:
        if (now_ms >= peer->ping_at_ms) {
            peer->due |= DUE_PING;
            peer->ping_at_ms = now_ms + peers->heartbeat_ms;
        }
        break;
    case PEER_RESTING:
        if (now_ms >= peer->reopen_at_ms || (none_welcomed && peer->reopen_at_ms == NEVER)) {
            set_phase(peer, PEER_CONNECTING);
            reopen(peers, index);
        }
        break;
    }
}

uint64_t peers_deadline(const peers_t *peers)
{
    uint64_t due = NEVER;
    for (size_t i = 0; i < peers->count; i++) {
        const peer_t *peer = &peers->list[i];
        switch (peer->phase) {
        case PEER_UNUSED:
            break;
        case PEER_CONNECTING:
        case PEER_RESTING:
            due = earlier(due, peer->reopen_at_ms);
            break;
        case PEER_GREETING:
            due = earlier(due, peer->hello_waits ? peer->hello_at_ms : silent_at(peers, peer));
            break;
        case PEER_WELCOMED:
        case PEER_LEAVING:
            due = earlier(due, earlier(silent_at(peers, peer), peer->ping_at_ms));
            break;
        }
    }
    return due;
}

/* ---- what is due ---- */

void peers_set_due(peers_t *peers, uint32_t index, peer_due_t due)
{
    peers->list[index].due |= due;
}

bool peer_take_due(peer_t *peer, peer_due_t due)
{
    bool is_due = (peer->due & due) != 0;
    peer->due &= ~(unsigned)due;
    return is_due;
}

bool peer_take_bye(peer_t *peer)
{
    bool is_due = peer_take_due(peer, DUE_BYE);
    if (is_due) {
        peer->bye_wanted = false;
        peer->ping_at_ms = NEVER;
    }
    return is_due;
}

uint64_t peer_next_ping(peer_t *peer)
{
    return ++peer->ping_sequence;
}

/* ---- what brokers say ---- */

static void keep_text(char kept[PEER_TEXT_SIZE], fabric_bytes_t text)
{
    size_t size = text.size < PEER_TEXT_SIZE ? text.size : PEER_TEXT_SIZE - 1;
    if (size > 0) {
        memcpy(kept, text.data, size);
    }
    kept[size] = '\0';
}

bool peers_note_refusal(peers_t *peers, uint32_t index, fabric_error_t error, fabric_bytes_t text)
{
    peer_t *peer = &peers->list[index];
    char kept[PEER_TEXT_SIZE];
    keep_text(kept, text);
    bool same = peer->refusal == error && strcmp(peer->refusal_text, kept) == 0;
    peer->refusal = error;
    memcpy(peer->refusal_text, kept, sizeof kept);
    return !same;
}

void peers_note_rejection(peers_t *peers, uint32_t index, fabric_error_t error, fabric_bytes_t text)
{
    peer_t *peer = &peers->list[index];
    if (text.size > 0 || error != peer->rejection) {
        keep_text(peer->rejection_text, text);
    }
    peer->rejection = error;
}

fabric_error_t peers_refusal(const peers_t *peers, const char **text)
{
    fabric_error_t error = FABRIC_OK;
    for (size_t i = 0; i < peers->count; i++) {
        const peer_t *peer = &peers->list[i];
        if (!peer->first_contact) {
            continue;
        }
        fabric_error_class_t class = fabric_error_class(peer->refusal);
        if (class != FABRIC_CLASS_REJECTED && class != FABRIC_CLASS_FATAL) {
            return FABRIC_OK;
        }
        error = peer->refusal;
        *text = peer->refusal_text;
    }
    return error;
}

fabric_error_t peers_cause(const peers_t *peers, reason_t *reason)
{
    fabric_error_t error = FABRIC_ERROR_NOT_CONNECTED;
    char text[sizeof reason->text] = "";
    for (size_t i = 0; i < peers->count; i++) {
        const peer_t *peer = &peers->list[i];
        if (!peer->first_contact || peer->refusal == FABRIC_OK) {
            continue;
        }
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s: %s (%d)%s%s", used ? "; " : "",
                 peer->endpoint, fabric_error_name(peer->refusal), (int)peer->refusal,
                 peer->refusal_text[0] ? ": " : "", peer->refusal_text);
        error = error == FABRIC_ERROR_NOT_CONNECTED ? peer->refusal : error;
    }
    return reason_set(reason, error, "%s", text);
}
