/* The brokers that a session knows: their endpoints, the phase of each connection, and what is due
 * to each of them.
 *
 * Only peers.c writes a peer; peers_find.c searches. The functions with a peer_t * are for one peer
 * of the table.
 *
 * Threading: none of its own.
 */
#ifndef CLIENT_PEERS_STATE_H
#define CLIENT_PEERS_STATE_H

#include "libfabric_client/src/session.h"

enum { PEER_TEXT_SIZE = 256 };

typedef enum peer_phase {
    PEER_UNUSED,
    PEER_CONNECTING, /* no connection; a relayed peer only passes through */
    PEER_GREETING,   /* connected; a hello is due or sent, and no welcome has come yet */
    PEER_WELCOMED,
    PEER_LEAVING, /* welcomed, and sent nothing new: answers to what was sent still come */
    PEER_RESTING  /* no connection is wanted before reopen_at_ms */
} peer_phase_t;

/* What is to be put into the next frame to a peer. */
typedef enum peer_due {
    DUE_HELLO = 1,
    DUE_PING = 2,
    DUE_MAP_WANTED = 4,
    /* With the next durable ask: the broker is to say from then on why accepted calls wait. */
    DUE_WAITS_QUERY = 8,
    DUE_BYE = 16
} peer_due_t;

typedef struct peer {
    peer_phase_t phase;
    bool first_contact;
    /* Of a relayed peer: the peer that its frames go by way of. NO_PEER: the peer has a connection
     * of its own. */
    uint32_t carrier;
    incarnation_t target; /* of a relayed peer: the broker that it is */
    /* Of a relayed peer: the peer with a connection of its own that is greeted in its place; or
     * NO_PEER. */
    uint32_t successor;
    /* PEER_GREETING, of a successor: its hello waits for answers that come by way of the carrier.
     */
    bool hello_waits;
    bool hello_pauses;             /* with hello_waits: it lets new calls go meanwhile */
    uint64_t hello_at_ms;          /* with hello_waits: when it begins to pause, or ends that */
    char endpoint[PEER_TEXT_SIZE]; /* of a relayed peer: a text for people */
    incarnation_t broker;          /* PEER_WELCOMED */
    uint64_t connection;           /* number in its last hello */
    uint64_t heard_at_ms;
    /* PEER_CONNECTING: when the socket is given up and opened anew; NEVER: the next tick decides.
     * PEER_RESTING: when a socket is opened again; NEVER: as soon as no broker is welcomed. */
    uint64_t reopen_at_ms;
    /* When a broker that has not welcomed the client is reached by way of another one; NEVER: no
     * call has waited for it so far. */
    uint64_t late_at_ms;
    uint64_t ping_at_ms; /* PEER_WELCOMED, PEER_LEAVING */
    uint64_t ping_sequence;
    unsigned due;    /* set of peer_due_t */
    bool bye_wanted; /* PEER_LEAVING: the broker waits for a goodbye */
    bool action_due;
    session_action_kind_t action;
    fabric_error_t refusal; /* the last cause that the client is not welcome there */
    char refusal_text[PEER_TEXT_SIZE];
    fabric_error_t rejection; /* of a call, the last one of class RETRY */
    char rejection_text[PEER_TEXT_SIZE];
} peer_t;

typedef struct peers {
    peer_t list[SESSION_PEERS_MAX];
    size_t count; /* upper bound of the indexes in use */
    bool allow_plaintext;
    session_forward_t forward;
    bool actions_due;
    uint64_t connection; /* number of the last hello, over all peers */
    uint64_t heartbeat_ms;
} peers_t;

void peers_init(peers_t *peers, bool allow_plaintext, session_forward_t forward);

/* ---- finding and learning ---- */

/* The peer with an endpoint, which is added if need be; NO_PEER where there are
 * SESSION_PEERS_MAX. */
uint32_t peers_add(peers_t *peers, const char *endpoint);
/* The same for an endpoint that a broker has named; NO_PEER also where it may not be connected. */
uint32_t peers_learn(peers_t *peers, const char *endpoint);
void peers_make_first_contact(peers_t *peers, uint32_t index);
uint32_t peers_find_endpoint(const peers_t *peers, const char *endpoint);
/* The welcomed peer that is this broker, or NO_PEER. */
uint32_t peers_find_broker(const peers_t *peers, incarnation_t broker);
/* Any welcomed peer, or NO_PEER. */
uint32_t peers_any_welcomed(const peers_t *peers);
/* How many welcomed peers have a connection of their own. */
size_t peers_count_welcomed(const peers_t *peers);
/* `index` may be NO_PEER. */
static inline bool peers_is_welcomed(const peers_t *peers, uint32_t index)
{
    return index != NO_PEER && peers->list[index].phase == PEER_WELCOMED;
}
/* Whether what the peer says counts as said on a welcomed connection. */
static inline bool peer_answers(const peer_t *peer)
{
    return peer->phase == PEER_WELCOMED || peer->phase == PEER_LEAVING;
}
/* Whether what the shell says of a peer is about its present connection. While the shell has an
 * action for the peer to carry out, it still speaks of the connection before. */
bool peers_is_current(const peers_t *peers, size_t index);

/* ---- brokers that are reached by way of others ---- */

static inline bool peer_is_relayed(const peer_t *peer)
{
    return peer->carrier != NO_PEER;
}
/* Whether a peer with a connection of its own has not welcomed the client for long. The time counts
 * from the first time that this is asked. */
bool peers_is_late(peers_t *peers, uint32_t index, uint64_t now_ms);
/* The relayed peer that is this broker; NO_PEER: there is none. */
uint32_t peers_find_relayed(const peers_t *peers, incarnation_t broker);
/* A welcomed peer by way of which this broker may be reached, or NO_PEER. */
uint32_t peers_find_carrier(const peers_t *peers, incarnation_t broker);
/* Adds a relayed peer; NO_PEER where there are SESSION_PEERS_MAX. `endpoint`: of the broker. */
uint32_t peers_add_relayed(peers_t *peers, incarnation_t broker, const char *endpoint,
                           uint32_t carrier, uint64_t now_ms);
/* The peer, which rests, is greeted by way of this carrier. */
void peers_relay_again(peers_t *peers, uint32_t index, uint32_t carrier, uint64_t now_ms);
/* Whether this is due to a peer that the carrier carries. */
bool peers_carries_due(const peers_t *peers, uint32_t carrier, peer_due_t due);

/* The relayed peer, which serves, is to give way to a peer that is greeted. `owes`: to the latter's
 * hello when nothing is owed by way of the carrier any more. */
void peers_succeed(peers_t *peers, uint32_t relayed, uint32_t successor, bool owes,
                   uint64_t now_ms);
/* The relayed peer whose successor this is; NO_PEER: there is none. */
uint32_t peers_find_predecessor(const peers_t *peers, uint32_t successor);
/* Whether a hello that waits begins to let new calls go, or ends that. */
bool peers_hello_turns(peers_t *peers, uint32_t index, uint64_t now_ms);
/* Whether volatile calls to a peer have to wait for its successor. */
static inline bool peers_gives_way(const peers_t *peers, uint32_t index)
{
    uint32_t successor = peers->list[index].successor;
    return successor != NO_PEER && !peers->list[successor].hello_pauses;
}

/* ---- connections ---- */

/* Asks the shell for an action; actions that the shell has not taken yet are joined into one. A
 * relayed peer needs none. */
void peers_act(peers_t *peers, uint32_t index, session_action_kind_t action);
bool peers_next_action(peers_t *peers, session_action_t *action);
/* A hello becomes due on a connection that stands. */
void peers_greet(peers_t *peers, uint32_t index, uint64_t now_ms);
/* Whether a welcome answers the last hello of the peer. */
bool peers_expects_welcome(const peers_t *peers, uint32_t index, uint64_t connection);
/* Whether a hello that was said to one peer after the other peer's is answered, or may be. */
bool peers_is_later(const peers_t *peers, uint32_t index, uint32_t than);
void peers_welcome(peers_t *peers, uint32_t index, incarnation_t broker, uint64_t now_ms);
/* The peer is sent nothing new, since the broker has said goodbye (`bye_wanted`), or its carrier
 * has. */
void peers_leave(peers_t *peers, uint32_t index, bool bye_wanted);
/* The connection is gone. */
void peers_disconnect(peers_t *peers, uint32_t index);
/* Closes the connection. A first contact rests until no broker is welcomed; any other peer is
 * forgotten. */
void peers_close(peers_t *peers, uint32_t index);
/* No connection is wanted for a while. */
void peers_rest(peers_t *peers, uint32_t index, uint64_t until_ms);
void peers_set_heartbeat(peers_t *peers, uint64_t heartbeat_ms);
void peers_heard(peers_t *peers, uint32_t index, uint64_t now_ms);
/* Whether a connection counts as broken since nothing was heard for too long. */
bool peers_is_silent(const peers_t *peers, uint32_t index, uint64_t now_ms);
/* Makes a ping due to a welcomed peer, and asks for a new socket to another one, when its time has
 * come. `none_welcomed`: no peer of the table is welcomed. */
void peers_tick(peers_t *peers, uint32_t index, bool none_welcomed, uint64_t now_ms);
/* When a peer is to be looked at again. */
uint64_t peers_deadline(const peers_t *peers);

/* ---- what is due ---- */

void peers_set_due(peers_t *peers, uint32_t index, peer_due_t due);
/* Whether it was due. It is not due any longer. */
bool peer_take_due(peer_t *peer, peer_due_t due);
/* A goodbye that is due is said: nothing follows it. */
bool peer_take_bye(peer_t *peer);
/* A number for the next ping. */
uint64_t peer_next_ping(peer_t *peer);

/* ---- what brokers say ---- */

/* Keeps why the client is not welcome, for people. False: the peer has said the same before. */
bool peers_note_refusal(peers_t *peers, uint32_t index, fabric_error_t error, fabric_bytes_t text);
/* Keeps why a call was rejected. */
void peers_note_rejection(peers_t *peers, uint32_t index, fabric_error_t error,
                          fabric_bytes_t text);
/* See session_refusal and session_cause. */
fabric_error_t peers_refusal(const peers_t *peers, const char **text);
fabric_error_t peers_cause(const peers_t *peers, reason_t *reason);

#endif
