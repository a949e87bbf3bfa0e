/* The broker's lock file: an open-file-description lock, which dies with its process. */
#include "sqlite/sqlite_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the lock file says, for a log line: printable, on one line. */
static void read_holder(int descriptor, char *text, size_t size)
{
    ssize_t got = pread(descriptor, text, size - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    for (char *at = text; *at; at++) {
        if (*at < ' ' || *at > '~') {
            *at = '?';
        }
    }
    if (text[0] == '\0') {
        snprintf(text, size, "another process");
    }
}

static bool write_holder(int descriptor, const char *holder)
{
    char text[200];
    int size = snprintf(text, sizeof text, "%.150s, pid %ld\n", holder ? holder : "fabric",
                        (long)getpid());
    return ftruncate(descriptor, 0) == 0 && pwrite(descriptor, text, (size_t)size, 0) == size;
}

fabric_error_t sqlite_lock_take(const char *path, const char *holder, reason_t *reason,
                                int *descriptor)
{
    size_t size = strlen(path) + sizeof ".lock";
    char *lock_path = malloc(size);
    if (!lock_path) {
        abort();
    }
    snprintf(lock_path, size, "%s.lock", path);
    int opened = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    int open_error = errno;
    free(lock_path);
    if (opened < 0) {
        return reason_set(reason, FABRIC_ERROR_STORE_UNAVAILABLE,
                          "store: cannot open lock file '%.200s.lock': %s", path,
                          strerror(open_error));
    }
    /* Not flock() and not a classic record lock: the first is emulated by some file systems with
     * the second, and the second is lost when any other descriptor of the file closes. */
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(opened, F_OFD_SETLK, &whole) != 0) {
        fabric_error_t error;
        if (errno == EAGAIN || errno == EACCES) {
            char text[200];
            read_holder(opened, text, sizeof text);
            error = reason_set(reason, FABRIC_ERROR_STORE_LOCKED,
                               "store: SQLite file '%.200s' is held by %s", path, text);
        } else {
            error = reason_set(reason, FABRIC_ERROR_STORE_UNAVAILABLE,
                               "store: cannot lock '%.200s.lock': %s", path, strerror(errno));
        }
        close(opened);
        return error;
    }
    if (!write_holder(opened, holder)) {
        fabric_error_t error =
            reason_set(reason, FABRIC_ERROR_STORE_UNAVAILABLE,
                       "store: cannot write lock file '%.200s.lock': %s", path, strerror(errno));
        close(opened);
        return error;
    }
    *descriptor = opened;
    return FABRIC_OK;
}

void sqlite_lock_release(int *descriptor)
{
    if (*descriptor >= 0) {
        close(*descriptor);
        *descriptor = -1;
    }
}
