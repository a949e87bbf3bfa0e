/* Waiting for sockets and descriptors: see poll_zmq.h. */
#include "core/poll_zmq.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>

/* What a socket is ready for now. libzmq takes note of what its descriptor announced. A signal may
 * interrupt it. */
static short events_of(void *socket)
{
    int events = 0;
    size_t size = sizeof events;
    int got;
    do {
        got = zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size);
    } while (got < 0 && errno == EINTR);
    assert(got == 0);
    return (short)events;
}

static int descriptor_of(void *socket)
{
    int fd = -1;
    size_t size = sizeof fd;
    int got = zmq_getsockopt(socket, ZMQ_FD, &fd, &size);
    assert(got == 0);
    (void)got;
    return fd;
}

/* A descriptor announces each change once, so a socket that is ready already is not waited for. */
static int look_at_sockets(zmq_pollitem_t *items, int count)
{
    int ready = 0;
    for (int i = 0; i < count; i++) {
        items[i].revents = items[i].socket ? events_of(items[i].socket) & items[i].events : 0;
        ready += items[i].revents != 0;
    }
    return ready;
}

static void take_poll(zmq_pollitem_t *item, short revents)
{
    if (!item->socket) {
        item->revents =
            (short)((revents & POLLIN ? ZMQ_POLLIN : 0) | (revents & POLLOUT ? ZMQ_POLLOUT : 0) |
                    (revents & ~(POLLIN | POLLOUT) ? ZMQ_POLLERR : 0));
    } else if (revents) {
        item->revents = events_of(item->socket) & item->events;
    }
}

int poll_zmq(zmq_pollitem_t *items, int count, long timeout_ms)
{
    struct pollfd fds[POLL_ITEMS_MAX];
    assert(count <= POLL_ITEMS_MAX);
    for (int i = 0; i < count; i++) {
        bool is_socket = items[i].socket != NULL;
        short wanted = (short)((items[i].events & ZMQ_POLLIN ? POLLIN : 0) |
                               (items[i].events & ZMQ_POLLOUT ? POLLOUT : 0));
        fds[i] = (struct pollfd){.fd = is_socket ? descriptor_of(items[i].socket) : items[i].fd,
                                 .events = is_socket ? POLLIN : wanted};
    }
    bool is_ready = look_at_sockets(items, count) > 0;
    int polled = poll(fds, (nfds_t)count, is_ready ? 0 : (int)timeout_ms);
    int ready = 0;
    for (int i = 0; i < count; i++) {
        if (polled > 0) {
            take_poll(&items[i], fds[i].revents);
        }
        ready += items[i].revents != 0;
    }
    return ready;
}
