/* A raw peer that speaks Fabric, as far as a test wants it to: see raw_peer.h and
 * schemas/protocol.md.
 *
 * A failed expectation fails the running cmocka test.
 *
 * Threading: the test's thread.
 */
#ifndef TESTS_HARNESS_RAW_FABRIC_H
#define TESTS_HARNESS_RAW_FABRIC_H

#include "core/ids.h"
#include "core/message.h"
#include "tests/harness/raw_peer.h"

typedef struct raw_fabric {
    raw_peer_t *peer;
    wire_reader_t rest; /* of the frame that is being read */
    bool reading;
} raw_fabric_t;

/* Connects a DEALER and shakes hands; says no hello. */
raw_fabric_t raw_fabric_connect(const char *endpoint);
/* raw_fabric_connect with a routing id that the peer chooses. */
raw_fabric_t raw_fabric_connect_as(const char *endpoint, fabric_bytes_t routing_id);
void raw_fabric_close(raw_fabric_t *fabric);

/* Sends one frame; false when the other side does not take it. */
bool raw_fabric_frame(raw_fabric_t *fabric, fabric_bytes_t frame);
/* A frame with one message. */
#define raw_say(fabric, name, message)                                                             \
    raw_say_(fabric, (void (*)(wire_writer_t *, const void *))message_put_##name, message)
bool raw_say_(raw_fabric_t *fabric, void (*put)(wire_writer_t *, const void *),
              const void *message);
/* The next message of that kind, ready for message_get_*; others are thrown away. False when none
 * comes in time. Valid until the next call. */
bool raw_hear(raw_fabric_t *fabric, message_kind_t kind, uint32_t timeout_ms, wire_reader_t *body);
/* Whether a ping is answered: all that was sent before it has been handled. Clients only. */
bool raw_ping(raw_fabric_t *fabric);

/* The incarnation of the test's peer of that number. */
incarnation_t raw_incarnation(uint64_t number);
/* A hello that a broker welcomes, until the next call. Workers bring the entity type Raw, with one
 * volatile message Ask, a window of 10 and weight 0. */
message_hello_t raw_client_hello(uint64_t number, uint64_t connection);
message_hello_t raw_worker_hello(uint64_t number, uint64_t connection);
/* Sends the hello and waits for WELCOME or REFUSED. OK, or the error of the refusal. */
fabric_error_t raw_hello(raw_fabric_t *fabric, const message_hello_t *hello);
/* A connected and welcomed client or worker. */
raw_fabric_t raw_client(const char *endpoint, uint64_t number);
raw_fabric_t raw_worker(const char *endpoint, uint64_t number);

/* The error of the answer to this call: OK for a reply or an accepted answer. */
fabric_error_t raw_answer(raw_fabric_t *fabric, uint64_t sequence);

#endif
