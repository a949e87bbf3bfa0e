/* Inside the proxy: rules, connections, and MySQL's packets. See proxy.h.
 *
 * Threading: everything under the proxy's lock.
 */
#ifndef TESTS_HARNESS_PROXY_STATE_H
#define TESTS_HARNESS_PROXY_STATE_H

#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>

#include "tests/harness/proxy.h"

#define PROXY_NEVER UINT64_MAX

enum { TO_SERVER, TO_CLIENT, DIRECTIONS };
enum {
    PACKET_HEAD_BYTES = 24, /* of a client's packet, which tell what it is */
    PACKETS_APPENDS_MAX = 16
};

/* The faults of one direction. */
typedef struct proxy_rule {
    uint32_t delay_ms;
    uint64_t stall_after; /* bytes; PROXY_NEVER: not */
    uint64_t corrupt_after;
    uint64_t cut_after;
    proxy_ending_t cut_how;
    uint64_t forwarded;
} proxy_rule_t;

/* What connections share. */
typedef struct proxy_rules {
    proxy_protocol_t protocol;
    proxy_rule_t directions[DIRECTIONS];
    uint32_t lose_count; /* commits still to be lost */
    proxy_commit_t lose_kind;
    proxy_loss_t lose_what;
    proxy_ending_t lose_how;
    uint64_t lost[2];    /* by proxy_loss_t */
    uint64_t commits[2]; /* by proxy_commit_t */
    const char *hold;    /* connections that send this text; NULL: none */
} proxy_rules_t;

/* ---- proxy_packets.c ---- */

typedef enum packets_found { PACKETS_NOTHING, PACKETS_COMMIT, PACKETS_APPEND } packets_found_t;

/* The packet with which a server answers, or begins to. */
typedef struct answer {
    uint8_t head[9];
    size_t seen;
} answer_t;

/* Where a client's stream stands within its packets. The head of each packet is held until it is
 * known what it is. */
typedef struct packets {
    uint8_t held[PACKET_HEAD_BYTES];
    size_t held_bytes;
    size_t skip;                             /* bytes of the present packet still to come */
    bool preparing;                          /* a statement that appends */
    answer_t answer;                         /* to that */
    uint8_t appends[PACKETS_APPENDS_MAX][4]; /* the numbers of these statements, as on the wire */
    size_t append_count;
    size_t greeting_bytes; /* of the server's first packet that were seen */
    size_t version_end;    /* where the version in it ends; 0: not yet */
    bool greeted;          /* the capability to encrypt was seen */
} packets_t;

/* Reads from data[*at] on, at most up to the head of a commit, which stays held; `pass` (room for
 * PACKET_HEAD_BYTES more than is read) gets the bytes that may go on. */
packets_found_t packets_read(packets_t *packets, const uint8_t *data, size_t size, size_t *at,
                             uint8_t *pass, size_t *pass_bytes);
/* The held bytes may go on as well. */
void packets_release(packets_t *packets, uint8_t *pass, size_t *pass_bytes);
/* Takes the capability to encrypt out of what the server sends first: a client that could encrypt
 * would hide commits. */
void packets_weaken_greeting(packets_t *packets, uint8_t *data, size_t size);
/* Reads what the server sends. */
void packets_read_answer(packets_t *packets, const uint8_t *data, size_t size);

/* Whether the packet is complete; `ok`: it says OK. */
bool answer_read(answer_t *answer, const uint8_t *data, size_t size, bool *ok);

/* ---- proxy_connection.c ---- */

typedef struct connection connection_t;

/* Takes the client's socket over. NULL when the server refuses at once. */
connection_t *connection_new(int client, const struct sockaddr_in *server);
void connection_destroy(connection_t **connection, proxy_ending_t how);
/* Fills in what to wait for, client first; a descriptor of -1: nothing. */
void connection_want(const connection_t *connection, const proxy_rules_t *rules,
                     struct pollfd items[2]);
/* Reads and writes what is possible now. False when the connection is over; `how` then tells how to
 * destroy it. */
bool connection_step(connection_t *connection, proxy_rules_t *rules, uint64_t now_ms,
                     proxy_ending_t *how);
/* When held bytes are due; PROXY_NEVER. */
uint64_t connection_deadline(const connection_t *connection, const proxy_rules_t *rules);
/* Bytes that were read and not yet written. */
size_t connection_waiting(const connection_t *connection, int direction);
void connection_hold(connection_t *connection);
/* Holds the connection where the process is its client. */
void connection_hold_process(connection_t *connection, pid_t process);
/* Whether the connection is held because of what it has sent, or who has; and lets a held one go
 * on. */
bool connection_is_held(const connection_t *connection);
void connection_release(connection_t *connection);
/* Whether bytes of the connection were dropped, so that it cannot go on. */
bool connection_has_lost_bytes(const connection_t *connection);

#endif
