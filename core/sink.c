/* Writing without waiting: see sink.h. */
#include "core/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static bool may_be_opened_anew(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 &&
           (S_ISFIFO(status.st_mode) || (S_ISCHR(status.st_mode) && isatty(fd)));
}

sink_t sink_open(int fd)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int anew = may_be_opened_anew(fd)
                   ? open(path, O_WRONLY | O_NONBLOCK | O_APPEND | O_CLOEXEC | O_NOCTTY)
                   : -1;
    return anew < 0 ? (sink_t){.fd = fd} : (sink_t){.fd = anew, .own = true};
}

void sink_close(sink_t *sink)
{
    if (sink->own) {
        close(sink->fd);
    }
    *sink = (sink_t){.fd = -1};
}

/* How many bytes were taken; negative: none. */
static ssize_t write_now(const sink_t *sink, const char *text, size_t size)
{
    struct pollfd writable = {.fd = sink->fd, .events = POLLOUT};
    if (!sink->own && poll(&writable, 1, 0) != 1) {
        return -1;
    }
    ssize_t written;
    do {
        written = write(sink->fd, text, size);
    } while (written < 0 && errno == EINTR);
    return written;
}

bool sink_write(sink_t *sink, const char *text, size_t size)
{
    if (sink->torn && write_now(sink, "\n", 1) != 1) {
        return false;
    }
    ssize_t written = write_now(sink, text, size);
    sink->torn = written > 0 && (size_t)written < size;
    return written == (ssize_t)size;
}
