/* Which process has the other end of a TCP connection over loopback, as /proc tells.
 *
 * Threading: any thread.
 */
#ifndef TESTS_HARNESS_SOCKET_OWNER_H
#define TESTS_HARNESS_SOCKET_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether the process has the other end of the connection. */
bool socket_owner_is(int socket, pid_t process);

#endif
