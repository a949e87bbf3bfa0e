/* The file of an ipc:// endpoint: whose it is.
 *
 * libzmq removes whatever it finds at the path before it binds, so a second broker would take the
 * address of a running one, which would be unreachable and would not notice. A broker therefore
 * holds a lock on PATH.lock, which the system releases when the process ends in whatever way, and
 * looks whether anyone listens there without such a lock. The lock file stays when the broker has
 * ended.
 *
 * Threading: none of its own.
 */
#ifndef BROKER_SOCKET_FILE_ZMQ_H
#define BROKER_SOCKET_FILE_ZMQ_H

#include "core/reason.h"

/* Claims the file of an endpoint to be bound; `claim` gets what socket_file_release() takes, once
 * the file is removed or stays for good. Other endpoints, abstract names and wildcards need no
 * claim. ADDRESS_IN_USE; INVALID_CONFIGURATION where the path cannot be used or is that of
 * something else than a socket, which stays as it is. */
FABRIC_MUST_USE fabric_error_t socket_file_claim(const char *endpoint, reason_t *reason,
                                                 int *claim);
/* Takes -1, and sets *claim to it. */
void socket_file_release(int *claim);

#endif
