/* Claims on the files of ipc:// endpoints: see socket_file_zmq.h. */
#include "broker/socket_file_zmq.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/limits.h"

static const char IPC[] = "ipc://";

static fabric_error_t take_lock(const char *endpoint, reason_t *reason, int *claim)
{
    char path[LIMIT_ENDPOINT_BYTES_MAX + 8];
    snprintf(path, sizeof path, "%s.lock", endpoint + sizeof IPC - 1);
    int file = open(path, O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (file < 0) {
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION, "cannot listen on %s: %s: %s",
                          endpoint, path, strerror(errno));
    }
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
        close(file);
        return reason_set(reason, FABRIC_ERROR_ADDRESS_IN_USE,
                          "cannot listen on %s: a broker that runs holds the lock on %s", endpoint,
                          path);
    }
    *claim = file;
    return FABRIC_OK;
}

/* At the path there may be nothing, or a socket at which nobody listens. */
static fabric_error_t check_file(const char *endpoint, reason_t *reason)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat found;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", endpoint + sizeof IPC - 1);
    if (lstat(address.sun_path, &found) != 0) {
        return FABRIC_OK; /* if the path cannot be used, libzmq reports it */
    }
    if (!S_ISSOCK(found.st_mode)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "cannot listen on %s: what is there is no socket", endpoint);
    }
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe < 0) {
        return reason_set(reason, FABRIC_ERROR_NO_RESOURCES, "no socket: %s", strerror(errno));
    }
    bool free_again = connect(probe, (const struct sockaddr *)&address, sizeof address) != 0 &&
                      (errno == ECONNREFUSED || errno == ENOENT);
    close(probe);
    return free_again ? FABRIC_OK
                      : reason_set(reason, FABRIC_ERROR_ADDRESS_IN_USE,
                                   "cannot listen on %s: another process does", endpoint);
}

fabric_error_t socket_file_claim(const char *endpoint, reason_t *reason, int *claim)
{
    const char *path = endpoint + sizeof IPC - 1;
    if (strncmp(endpoint, IPC, sizeof IPC - 1) != 0 || path[0] == '@' || path[0] == '*') {
        return FABRIC_OK;
    }
    fabric_error_t error = take_lock(endpoint, reason, claim);
    if (!error) {
        error = check_file(endpoint, reason);
        if (error) {
            socket_file_release(claim);
        }
    }
    return error;
}

void socket_file_release(int *claim)
{
    if (*claim >= 0) {
        close(*claim);
        *claim = -1;
    }
}
