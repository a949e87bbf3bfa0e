/* The broker's public sockets: see sockets_zmq.h. */
#include "broker/router/sockets_zmq.h"

#include <errno.h>
#include <net/if.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

#include "core/limits.h"
#include "core/lookup.h"
#include "core/message.h"
#include "core/random.h"

#define SEND_HIGH_WATER        100 /* frames for one peer in libzmq; more wait in the router */
#define RECEIVE_HIGH_WATER     100
#define HANDSHAKE_MS           3000
#define KEEPALIVE_IDLE_S       60
#define KEEPALIVE_INTERVAL_S   10
#define KEEPALIVE_COUNT        3
#define LOOKUP_S               3
#define SUBSCRIPTION_BYTES_MAX 1024 /* more than a subscription needs */

static void set_int(void *socket, int option, int value)
{
    int failed = zmq_setsockopt(socket, option, &value, sizeof value);
    (void)failed; /* constant options with constant values: they exist in every libzmq we link */
}

/* libzmq numbers the peers of a ROUTER, beginning with rand(), which it does not seed. It
 * aborts if a peer has chosen the routing id of the next number. So the first number must not
 * be guessable. */
static void seed_routing_ids(void)
{
    unsigned seed;
    random_bytes(&seed, sizeof seed);
    srandom(seed); /* glibc's rand() takes its numbers from there */
}

static void *open_socket(void *zmq, int type, const char *endpoint)
{
    seed_routing_ids();
    void *opened = zmq_socket(zmq, type);
    if (!opened) {
        return NULL;
    }
    int64_t frame_bytes_max = type == ZMQ_PUB ? SUBSCRIPTION_BYTES_MAX : LIMIT_FRAME_BYTES_MAX;
    zmq_setsockopt(opened, ZMQ_MAXMSGSIZE, &frame_bytes_max, sizeof frame_bytes_max);
    set_int(opened, ZMQ_LINGER, 0);
    set_int(opened, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
    set_int(opened, ZMQ_SNDHWM, SEND_HIGH_WATER);
    set_int(opened, ZMQ_RCVHWM, RECEIVE_HIGH_WATER);
    set_int(opened, ZMQ_TCP_KEEPALIVE,
            1); /* the descriptor of a peer whose machine is gone becomes free */
    set_int(opened, ZMQ_TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S);
    set_int(opened, ZMQ_TCP_KEEPALIVE_INTVL, KEEPALIVE_INTERVAL_S);
    set_int(opened, ZMQ_TCP_KEEPALIVE_CNT, KEEPALIVE_COUNT);
    set_int(opened, ZMQ_IPV6, strchr(endpoint, '[') != NULL);
    if (type == ZMQ_ROUTER) {
        set_int(opened, ZMQ_ROUTER_MANDATORY, 1);
    }
    return opened;
}

static void wake(void *context)
{
    sem_post((sem_t *)context);
}

/* The address of a host name; waits for it up to LOOKUP_S. */
static fabric_error_t resolve(const char *endpoint, char address[256], reason_t *reason)
{
    sem_t ended;
    struct timespec until;
    sem_init(&ended, 0, 0);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += LOOKUP_S;
    lookup_t *lookup = lookup_start(endpoint, wake, &ended);
    const lookup_answer_t *answer = lookup_answer(lookup);
    while (!answer && (sem_clockwait(&ended, CLOCK_MONOTONIC, &until) == 0 || errno == EINTR)) {
        answer = lookup_answer(lookup);
    }
    fabric_error_t error = FABRIC_OK;
    if (!answer) {
        error = reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                           "cannot listen on %s: no name server answered within %d s", endpoint,
                           LOOKUP_S);
    } else if (answer->count == 0) {
        error = reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION, "cannot listen on %s: %s",
                           endpoint, answer->failure.text);
    } else {
        const char *chosen = answer->addresses[0];
        for (size_t i = 0; i < answer->count && chosen[sizeof "tcp://" - 1] == '['; i++) {
            chosen = answer->addresses[i]; /* an IPv4 address, if there is one */
        }
        memcpy(address, chosen, strlen(chosen) + 1);
    }
    lookup_destroy(&lookup);
    sem_destroy(&ended);
    return error;
}

/* What libzmq is to bind. A host name is replaced by its address; libzmq itself knows the names of
 * network interfaces. */
static fabric_error_t choose_address(const char *endpoint, char address[256], reason_t *reason)
{
    char host[LIMIT_ENDPOINT_BYTES_MAX + 1];
    char port[ENDPOINT_PORT_SIZE];
    if (endpoint_has_name(endpoint, host, port) && if_nametoindex(host) == 0) {
        return resolve(endpoint, address, reason);
    }
    memcpy(address, endpoint, strlen(endpoint) + 1);
    return FABRIC_OK;
}

fabric_error_t router_sockets_bind(void *zmq, int type, const char *endpoint, reason_t *reason,
                                   void **bound_socket, char bound[256])
{
    char address[256];
    fabric_error_t error = choose_address(endpoint, address, reason);
    if (error) {
        return error;
    }
    void *opened = open_socket(zmq, type, address);
    if (!opened) {
        return reason_set(reason, FABRIC_ERROR_NO_RESOURCES, "no socket: %s", zmq_strerror(errno));
    }
    size_t size = 256;
    if (zmq_bind(opened, address) == 0 &&
        zmq_getsockopt(opened, ZMQ_LAST_ENDPOINT, bound, &size) == 0) {
        *bound_socket = opened;
        return FABRIC_OK;
    }
    int cause = errno;
    zmq_close(opened);
    return reason_set(reason,
                      cause == EADDRINUSE ? FABRIC_ERROR_ADDRESS_IN_USE
                                          : FABRIC_ERROR_INVALID_CONFIGURATION,
                      "cannot listen on %s: %s", endpoint, zmq_strerror(cause));
}

void router_sockets_close(void **bound_socket, uint32_t linger_ms)
{
    if (*bound_socket) {
        set_int(*bound_socket, ZMQ_LINGER, (int)linger_ms);
        zmq_close(*bound_socket);
        *bound_socket = NULL;
    }
}

/* Drops what is left of a message. */
static void drop_rest(void *router)
{
    int more = 1;
    while (more) {
        zmq_msg_t part;
        zmq_msg_init(&part);
        more = zmq_msg_recv(&part, router, ZMQ_DONTWAIT) >= 0 && zmq_msg_more(&part);
        zmq_msg_close(&part);
    }
}

received_t router_sockets_receive(void *router, zmq_msg_t *routing_id, zmq_msg_t *frame)
{
    zmq_msg_init(routing_id);
    if (zmq_msg_recv(routing_id, router, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(routing_id);
        return RECEIVED_NOTHING;
    }
    zmq_msg_init(frame);
    if (!zmq_msg_more(routing_id)) {
        return RECEIVED_JUNK;
    }
    if (zmq_msg_recv(frame, router, ZMQ_DONTWAIT) >= 0 && !zmq_msg_more(frame)) {
        return RECEIVED_FRAME;
    }
    if (zmq_msg_more(frame)) {
        drop_rest(router);
    }
    return RECEIVED_JUNK;
}

sent_t router_sockets_send(void *router, fabric_bytes_t routing_id, fabric_bytes_t frame)
{
    int flags = ZMQ_DONTWAIT | ZMQ_SNDMORE;
    if (zmq_send(router, routing_id.data, routing_id.size, flags) < 0) {
        return errno == EHOSTUNREACH ? SENT_UNREACHABLE : SENT_BLOCKED;
    }
    if (zmq_send(router, frame.data, frame.size, ZMQ_DONTWAIT) < 0) {
        return errno == EHOSTUNREACH ? SENT_UNREACHABLE : SENT_BLOCKED;
    }
    return SENT;
}

static void publish(void *pub, wire_writer_t *frame)
{
    /* A PUB drops what a subscriber does not take; the versions in the pings tell the
     * subscriber. */
    int sent = zmq_send(pub, frame->data, frame->size, ZMQ_DONTWAIT);
    (void)sent;
    wire_writer_destroy(frame);
}

void router_sockets_publish_map(void *pub, fabric_bytes_t map)
{
    wire_writer_t frame = {0};
    frame_begin(&frame, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION});
    message_put_map(&frame, &(message_map_t){.map = map});
    publish(pub, &frame);
}

void router_sockets_publish_ping(void *pub, uint64_t sequence, map_version_t version)
{
    wire_writer_t frame = {0};
    frame_begin(&frame, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION});
    message_put_ping(&frame, &(message_ping_t){.sequence = sequence,
                                               .map_term = version.term,
                                               .map_sequence = version.sequence});
    publish(pub, &frame);
}
