/* Claims on the files of ipc:// endpoints.
 *
 * libzmq removes whatever it finds at the path before it binds. A second broker would therefore
 * take the address of a running one, which would be unreachable and would not notice. A broker
 * holds a lock on PATH.lock, which the system releases when the process ends in whatever way. It
 * also looks whether anybody listens at the path without such a lock. The lock file stays when the
 * broker has ended.
 *
 * Threading: none of its own.
 */
#ifndef BROKER_SOCKET_FILE_ZMQ_H
#define BROKER_SOCKET_FILE_ZMQ_H

#include "core/reason.h"

/* Claims the file of an endpoint that is to be bound. `claim` gets the value that
 * socket_file_release() takes once the file is removed, or stays for good. Other endpoints,
 * abstract names and wildcards need no claim. ADDRESS_IN_USE; INVALID_CONFIGURATION if the path
 * cannot be used, or something else than a socket is there, which is left as it is. */
FABRIC_MUST_USE
fabric_error_t socket_file_claim(const char *endpoint, reason_t *reason, int *claim);
/* Sets *claim to -1. It may be -1 already. */
void socket_file_release(int *claim);

#endif
