/* A ZMTP peer for tests of bad input: see raw_peer.h. */
#include "tests/harness/raw_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"

enum { SEND_MS = 10000, HANDSHAKE_MS = 10000, HEADER_SIZE = 9 };

struct raw_peer {
    int socket;
    uint8_t *buffer; /* what was received and not taken yet, from `start` on */
    size_t start, size, capacity;
};

static struct sockaddr_in loopback(unsigned port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static raw_peer_t *raw_peer_new(int connected)
{
    int yes = 1;
    raw_peer_t *peer = (raw_peer_t *)calloc(1, sizeof *peer);
    if (!peer) {
        abort();
    }
    peer->socket = connected;
    setsockopt(connected, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return peer;
}

raw_peer_t *raw_peer_connect(const char *endpoint)
{
    const char *port = strrchr(endpoint, ':');
    struct sockaddr_in address = loopback(port ? (unsigned)strtoul(port + 1, NULL, 10) : 0);
    int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (made >= 0 && connect(made, (struct sockaddr *)&address, sizeof address) == 0) {
        return raw_peer_new(made);
    }
    if (made >= 0) {
        close(made);
    }
    return NULL;
}

int raw_listen(char endpoint[64])
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (made < 0 || bind(made, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(made, 16) != 0 || getsockname(made, (struct sockaddr *)&address, &size) != 0) {
        abort();
    }
    snprintf(endpoint, 64, "tcp://127.0.0.1:%u", ntohs(address.sin_port));
    return made;
}

raw_peer_t *raw_peer_accept(int listening, uint32_t timeout_ms)
{
    struct pollfd wait = {.fd = listening, .events = POLLIN};
    if (poll(&wait, 1, (int)timeout_ms) <= 0) {
        return NULL;
    }
    int made = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    return made >= 0 ? raw_peer_new(made) : NULL;
}

void raw_peer_destroy(raw_peer_t **peer)
{
    if (*peer) {
        close((*peer)->socket);
        free((*peer)->buffer);
        free(*peer);
    }
    *peer = NULL;
}

/* ---- bytes ---- */

/* Waits until the socket is ready, at most until the deadline. */
static bool wait_for(const raw_peer_t *peer, short events, uint64_t deadline_ms)
{
    struct pollfd wait = {.fd = peer->socket, .events = events};
    uint64_t now_ms = clock_monotonic_ms();
    return now_ms < deadline_ms && poll(&wait, 1, (int)(deadline_ms - now_ms)) > 0;
}

bool raw_send(raw_peer_t *peer, const void *bytes, size_t size)
{
    const uint8_t *at = (const uint8_t *)bytes;
    uint64_t deadline_ms = clock_monotonic_ms() + SEND_MS;
    while (size > 0) {
        ssize_t sent = send(peer->socket, at, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && (errno != EAGAIN || !wait_for(peer, POLLOUT, deadline_ms))) {
            return false;
        }
        at += sent > 0 ? sent : 0;
        size -= sent > 0 ? (size_t)sent : 0;
    }
    return true;
}

bool raw_send_slowly(raw_peer_t *peer, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!raw_send(peer, (const uint8_t *)bytes + i, 1)) {
            return false;
        }
    }
    return true;
}

/* Appends received bytes to the buffer. 1: some; 0: none in time; -1: closed. */
static int receive_more(raw_peer_t *peer, uint64_t deadline_ms)
{
    if (!wait_for(peer, POLLIN, deadline_ms)) {
        return 0;
    }
    if (peer->size > 0) {
        memmove(peer->buffer, peer->buffer + peer->start, peer->size);
    }
    peer->start = 0;
    if (peer->capacity - peer->size < 65536) {
        peer->capacity = peer->capacity ? 2 * peer->capacity : 131072;
        peer->buffer = (uint8_t *)realloc(peer->buffer, peer->capacity);
        if (!peer->buffer) {
            abort();
        }
    }
    ssize_t got = recv(peer->socket, peer->buffer + peer->size, peer->capacity - peer->size, 0);
    peer->size += got > 0 ? (size_t)got : 0;
    return got > 0 ? 1 : -1;
}

/* Waits until so many bytes are there. */
static bool need(raw_peer_t *peer, size_t size, uint64_t deadline_ms)
{
    while (peer->size < size) {
        if (receive_more(peer, deadline_ms) <= 0) {
            return false;
        }
    }
    return true;
}

static const uint8_t *take(raw_peer_t *peer, size_t size)
{
    const uint8_t *at = peer->buffer + peer->start;
    peer->start += size;
    peer->size -= size;
    return at;
}

bool raw_is_closed(raw_peer_t *peer, uint32_t timeout_ms)
{
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    int got = 1;
    while (got > 0) {
        peer->size = 0;
        got = receive_more(peer, deadline_ms);
    }
    return got < 0;
}

/* ---- the handshake ---- */

size_t raw_greeting(uint8_t greeting[64], uint8_t minor, const char *mechanism)
{
    memset(greeting, 0, 64);
    greeting[0] = 0xff;
    greeting[8] = 1;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    greeting[11] = minor;
    memcpy(greeting + 12, mechanism, strnlen(mechanism, 20));
    return 64;
}

/* "\x05READY", and properties: the name with a size of 1 byte, the value with one of 4 bytes. */
static size_t put_property(uint8_t *out, const char *name, fabric_bytes_t value)
{
    size_t size = strlen(name);
    out[0] = (uint8_t)size;
    memcpy(out + 1, name, size);
    uint8_t *at = out + 1 + size;
    at[0] = (uint8_t)(value.size >> 24);
    at[1] = (uint8_t)(value.size >> 16);
    at[2] = (uint8_t)(value.size >> 8);
    at[3] = (uint8_t)value.size;
    if (value.size > 0) {
        memcpy(at + 4, value.data, value.size);
    }
    return 1 + size + 4 + value.size;
}

static size_t put_header(uint8_t header[HEADER_SIZE], uint8_t flags, uint64_t size)
{
    header[0] = flags;
    if (!(flags & RAW_LONG)) {
        header[1] = (uint8_t)size;
        return 2;
    }
    for (int i = 0; i < 8; i++) {
        header[1 + i] = (uint8_t)(size >> (56 - 8 * i));
    }
    return HEADER_SIZE;
}

size_t raw_ready(uint8_t *out, const char *socket_type, fabric_bytes_t routing_id)
{
    uint8_t *body = out + HEADER_SIZE;
    memcpy(body, "\5READY", 6);
    size_t size = 6 + put_property(body + 6, "Socket-Type", fabric_bytes_of(socket_type));
    size += put_property(body + size, "Identity", routing_id);
    put_header(out, RAW_COMMAND | RAW_LONG, size);
    return HEADER_SIZE + size;
}

bool raw_handshake(raw_peer_t *peer, const char *socket_type, fabric_bytes_t routing_id)
{
    uint8_t greeting[64];
    uint8_t *ready = (uint8_t *)malloc(64 + routing_id.size);
    fabric_bytes_t answer;
    if (!ready) {
        abort();
    }
    bool done = raw_send(peer, greeting, raw_greeting(greeting, 0, "NULL")) &&
                need(peer, 64, clock_monotonic_ms() + HANDSHAKE_MS) && take(peer, 64) &&
                raw_send(peer, ready, raw_ready(ready, socket_type, routing_id)) &&
                raw_receive_command(peer, HANDSHAKE_MS, &answer) && answer.size > 6 &&
                memcmp(answer.data, "\5READY", 6) == 0;
    free(ready);
    return done;
}

/* ---- frames ---- */

bool raw_send_header(raw_peer_t *peer, uint8_t flags, uint64_t size)
{
    uint8_t header[HEADER_SIZE];
    return raw_send(peer, header, put_header(header, flags | RAW_LONG, size));
}

bool raw_send_frame(raw_peer_t *peer, uint8_t flags, fabric_bytes_t body)
{
    uint8_t header[HEADER_SIZE];
    flags |= body.size > 255 ? RAW_LONG : 0;
    return raw_send(peer, header, put_header(header, flags, body.size)) &&
           raw_send(peer, body.data, body.size);
}

static bool receive_frame(raw_peer_t *peer, uint64_t deadline_ms, uint8_t *flags,
                          fabric_bytes_t *body)
{
    if (!need(peer, 2, deadline_ms)) {
        return false;
    }
    const uint8_t *header = peer->buffer + peer->start;
    size_t header_size = header[0] & RAW_LONG ? HEADER_SIZE : 2;
    if (!need(peer, header_size, deadline_ms)) {
        return false;
    }
    header = peer->buffer + peer->start;
    size_t size = 0;
    for (size_t i = 1; i < header_size; i++) {
        size = size << 8 | header[i];
    }
    if (!need(peer, header_size + size, deadline_ms)) {
        return false;
    }
    *flags = *take(peer, header_size);
    *body = fabric_bytes(take(peer, size), size);
    return true;
}

static bool receive_kind(raw_peer_t *peer, uint32_t timeout_ms, bool command, fabric_bytes_t *body)
{
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    uint8_t flags = 0;
    do {
        if (!receive_frame(peer, deadline_ms, &flags, body)) {
            return false;
        }
    } while (((flags & RAW_COMMAND) != 0) != command);
    return true;
}

bool raw_receive(raw_peer_t *peer, uint32_t timeout_ms, fabric_bytes_t *body)
{
    return receive_kind(peer, timeout_ms, false, body);
}

bool raw_receive_command(raw_peer_t *peer, uint32_t timeout_ms, fabric_bytes_t *body)
{
    return receive_kind(peer, timeout_ms, true, body);
}
