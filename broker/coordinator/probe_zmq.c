/* Trying a broker's endpoint: see probe_zmq.h. A socket file that is missing is a refusal too. */
#include "broker/coordinator/probe_zmq.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/lookup.h"

static const char TCP[] = "tcp://";
static const char IPC[] = "ipc://";

/* Waits for events of `fd`. false: they have not come by the deadline. */
static bool wait_for(int fd, short events, uint64_t deadline_ms)
{
    for (;;) {
        uint64_t now_ms = clock_monotonic_ms();
        struct pollfd item = {.fd = fd, .events = events};
        int ready = poll(&item, 1, now_ms < deadline_ms ? (int)(deadline_ms - now_ms) : 0);
        if (ready >= 0 || errno != EINTR) {
            return ready > 0;
        }
    }
}

/* The error of a connection that is tried: 0 if it is accepted, ETIMEDOUT if nothing is known. */
static int try_address(const struct sockaddr *address, socklen_t size, uint64_t deadline_ms)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    int error = connect(fd, address, size) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
        socklen_t length = sizeof error;
        if (!wait_for(fd, POLLOUT, deadline_ms) ||
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
            error = ETIMEDOUT;
        }
    }
    close(fd);
    return error;
}

static bool path_refuses(const char *path, uint64_t deadline_ms)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof address.sun_path) {
        return false;
    }
    memcpy(address.sun_path, path, size);
    socklen_t length = sizeof address;
    if (path[0] == '@') { /* an abstract socket, whose name ends with its last byte */
        address.sun_path[0] = '\0';
        length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    }
    int error = try_address((const struct sockaddr *)&address, length, deadline_ms);
    return error == ECONNREFUSED || error == ENOENT;
}

/* Of an endpoint with an address. */
static bool address_refuses(const char *endpoint, uint64_t deadline_ms)
{
    const char *host = endpoint + sizeof TCP - 1;
    const char *colon = strrchr(host, ':');
    bool bracketed = host[0] == '[' && colon && colon[-1] == ']';
    char text[LIMIT_ENDPOINT_BYTES_MAX + 1];
    if (!colon || (size_t)(colon - host) >= sizeof text) {
        return false;
    }
    snprintf(text, sizeof text, "%.*s", (int)(colon - host) - 2 * bracketed, host + bracketed);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    if (getaddrinfo(text, colon + 1, &hints, &found) != 0) {
        return false;
    }
    int error = try_address(found->ai_addr, found->ai_addrlen, deadline_ms);
    freeaddrinfo(found);
    return error == ECONNREFUSED;
}

static void on_answer(void *context)
{
    uint64_t one = 1;
    ssize_t written = write(*(const int *)context, &one, sizeof one);
    (void)written; /* the eventfd has no other writer, and is never full */
}

static bool all_refuse(const lookup_answer_t *answer, uint64_t deadline_ms)
{
    for (size_t i = 0; i < answer->count; i++) {
        if (!address_refuses(answer->addresses[i], deadline_ms)) {
            return false;
        }
    }
    return answer->count > 0;
}

/* Of an endpoint with a host name. */
static bool name_refuses(const char *endpoint, uint64_t deadline_ms)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        return false;
    }
    lookup_t *lookup = lookup_start(endpoint, on_answer, &fd);
    const lookup_answer_t *answer = lookup_answer(lookup);
    if (!answer && wait_for(fd, POLLIN, deadline_ms)) {
        answer = lookup_answer(lookup);
    }
    bool refuses = answer && all_refuse(answer, deadline_ms);
    lookup_destroy(&lookup);
    close(fd);
    return refuses;
}

bool probe_refuses(const char *endpoint, uint32_t wait_ms)
{
    uint64_t deadline_ms = clock_monotonic_ms() + wait_ms;
    char host[LIMIT_ENDPOINT_BYTES_MAX + 1];
    char port[ENDPOINT_PORT_SIZE];
    if (strncmp(endpoint, IPC, sizeof IPC - 1) == 0) {
        return path_refuses(endpoint + sizeof IPC - 1, deadline_ms);
    }
    if (strncmp(endpoint, TCP, sizeof TCP - 1) != 0) {
        return false;
    }
    return endpoint_has_name(endpoint, host, port) ? name_refuses(endpoint, deadline_ms)
                                                   : address_refuses(endpoint, deadline_ms);
}
