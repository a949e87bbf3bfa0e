/* Whether the inside of a client session is consistent: its counts and lists agree with each other, and whatever
 * waits has something that will wake it. Fails the test (cmocka) where it is not.
 *
 * To be asked when all frames have been pulled, as the shell does after any event.
 */
#ifndef TESTS_SESSION_CHECK_H
#define TESTS_SESSION_CHECK_H

#include "libfabric_client/src/session.h"

void session_check(const session_t *session);

#endif
