/* The simulated network: DEALER sockets of clients and workers, the ROUTER sockets of brokers, and
 * the connections between them.
 *
 * A connection keeps the order of its frames in each direction, and loses none but by being cut.
 * When it is cut, the first ones of the frames in flight may still arrive, even long afterwards and
 * behind the hello of the next connection. Each end learns of the cut after some time or, of a
 * silent cut, never. While a partition lasts, frames wait on their way.
 */
#ifndef TESTS_SIMULATION_SIMULATION_NETWORK_H
#define TESTS_SIMULATION_SIMULATION_NETWORK_H

#include "core/message.h"
#include "core/wire.h"
#include "tests/simulation/simulation_world.h"

struct channel {
    process_t *peer; /* a client or worker */
    uint64_t peer_life;
    size_t dealer;
    uint64_t generation; /* of the dealer */
    process_t *broker;
    uint64_t broker_life;
    uint64_t routing; /* its routing id: 1, 2, ... */
    bool cut;
    bool broker_told; /* the ROUTER has forgotten the routing id */
    bool repeats;     /* the next frame to the broker arrives twice, around a cut */
    uint64_t sent[2]; /* frames, by direction */
    uint64_t arrived[2];
    uint64_t survive[2]; /* cut: frames up to this number still arrive */
    uint64_t late_us[2]; /* delay of those frames */
    uint64_t last_us[2]; /* when the last one arrives */
    uint64_t full_until_us[2];
    uint64_t heard_us; /* when the peer got the last frame */
};

enum { TO_BROKER = 0, TO_PEER = 1 };

/* How the two ends learn of a cut. */
typedef struct cut {
    uint64_t peer_us; /* after how long the peer learns it; UINT64_MAX: never */
    uint64_t broker_us;
} cut_t;

const char *network_endpoint(unsigned broker);

/* ---- the side of clients and workers ---- */

void dealer_open(process_t *process, size_t dealer, const char *endpoint);
void dealer_close(process_t *process, size_t dealer);
bool dealer_is_writable(const process_t *process, size_t dealer);
/* false: the socket accepts nothing at present (EAGAIN). */
bool dealer_send(process_t *process, size_t dealer, fabric_bytes_t frame);

/* ---- the side of brokers ---- */

typedef enum routed { ROUTED, ROUTED_BLOCKED, ROUTED_UNREACHABLE } routed_t;
routed_t network_route(process_t *broker, fabric_bytes_t routing_id, fabric_bytes_t frame);
channel_t *network_connection(fabric_bytes_t routing_id);
/* The routing id of a connection, in 5 bytes as libzmq makes them. */
fabric_bytes_t network_routing_id(const channel_t *connection, uint8_t bytes[5]);

/* When tracing, writes the messages of a frame that was sent or has arrived. */
void network_trace(const char *what, const channel_t *connection, size_t direction,
                   fabric_bytes_t frame);

/* The frame of a client that a message to or from another broker carries; empty: it carries none.
 */
fabric_bytes_t network_inner_frame(message_kind_t kind, wire_reader_t *body);

/* What is left of a frame to a client that gets no maps (simulation_publication.c); `rest` holds
 * it. */
fabric_bytes_t publication_strip(fabric_bytes_t frame, wire_writer_t *rest);

/* ---- faults ---- */

/* A random connection that is not cut; NULL: none. */
channel_t *network_pick(void);
void network_cut(channel_t *connection, cut_t cut);
/* The connection is cut behind one of its next frames to the broker, which arrives once more,
 * late. */
void network_repeat(channel_t *connection);
/* Cuts all connections of a process that has died. */
/* What a broker has sent to its peers arrives before they learn of its end, as with a socket that
 * is closed with a linger time. */
void network_deliver_all(process_t *broker);
void network_cut_all(process_t *process);
/* The brokers, as bits, with which a worker's process has had one connection only, which stands. */
unsigned network_lasting(const process_t *worker);
/* Whether a connection of the process to the broker stands, and has been answered twice, as by a
 * welcome and a heartbeat. */
bool network_reaches(const process_t *process, const process_t *broker);
void network_free_all(void);

/* ---- partitions (simulation_partition.c) ---- */

/* Until then no frame of `from` gets to `to`: those that are sent meanwhile arrive later, if their
 * connection still stands, and no connection comes about between the two. */
void partition_begin(const process_t *from, const process_t *to, uint64_t until_us);
/* Until when frames of `from` do not get to `to`; a time in the past: they do. */
uint64_t partition_until_us(const process_t *from, const process_t *to);
/* The same for a connection, which needs both ways. */
uint64_t partition_of_both_us(const process_t *a, const process_t *b);
/* A run begins: there has been none. */
void partitions_begin(void);
/* All end now, if they have not ended. What was sent meanwhile still arrives late. */
void partitions_end(void);

#endif
