/* A ZMTP 3 peer over a plain TCP socket, made to misbehave: it can do a correct handshake, and can
 * send any bytes at any stage of the handshake. https://rfc.zeromq.org/spec/23/
 *
 * Functions that return a bool say false when the other side has closed the connection or lets time
 * pass; none of them fails a test.
 *
 * Threading: one thread at a time.
 */
#ifndef TESTS_HARNESS_RAW_PEER_H
#define TESTS_HARNESS_RAW_PEER_H

#include <stdint.h>

#include <fabric/bytes.h>

typedef struct raw_peer raw_peer_t;

enum { RAW_MORE = 1, RAW_LONG = 2, RAW_COMMAND = 4 }; /* flags of a frame */

/* Connects to tcp://127.0.0.1:PORT or fabric://127.0.0.1:PORT. NULL where nobody accepts. */
raw_peer_t *raw_peer_connect(const char *endpoint);
/* Takes a connection that a listening socket has got; see raw_listen. NULL after `timeout_ms`. */
raw_peer_t *raw_peer_accept(int listening, uint32_t timeout_ms);
void raw_peer_destroy(raw_peer_t **peer);
/* Listens on a port of the system's choice; the descriptor is the caller's. */
int raw_listen(char endpoint[64]);

/* ---- bytes ---- */

bool raw_send(raw_peer_t *peer, const void *bytes, size_t size);
/* Sends byte by byte, each in a segment of its own. */
bool raw_send_slowly(raw_peer_t *peer, const void *bytes, size_t size);
/* Whether the other side closes the connection within `timeout_ms`; bytes from it are dropped. */
bool raw_is_closed(raw_peer_t *peer, uint32_t timeout_ms);

/* ---- the handshake ---- */

/* A greeting of version 3.minor; `mechanism` is "NULL", "PLAIN", "CURVE" or anything of up to 20
 * bytes. */
size_t raw_greeting(uint8_t greeting[64], uint8_t minor, const char *mechanism);
/* The READY command of the mechanism NULL, as a frame. `out` has room for 64 bytes more than the
 * routing id. */
size_t raw_ready(uint8_t *out, const char *socket_type, fabric_bytes_t routing_id);
/* Greeting and READY, both ways. `socket_type`: "DEALER", "SUB", ...; a routing id may be empty. */
bool raw_handshake(raw_peer_t *peer, const char *socket_type, fabric_bytes_t routing_id);

/* ---- frames ---- */

/* Header and body of one frame. RAW_LONG is added where the size needs it. */
bool raw_send_frame(raw_peer_t *peer, uint8_t flags, fabric_bytes_t body);
/* Only the header of a long frame, that promises so many bytes. */
bool raw_send_header(raw_peer_t *peer, uint8_t flags, uint64_t size);
/* The next frame that is no command; valid until the next call. */
bool raw_receive(raw_peer_t *peer, uint32_t timeout_ms, fabric_bytes_t *body);
/* The next command. */
bool raw_receive_command(raw_peer_t *peer, uint32_t timeout_ms, fabric_bytes_t *body);

#endif
