/* Whether the inside of a client session is consistent: its counts and lists agree with each other,
 * and each call that waits has a timer, a turn or an event that will wake it. Fails the test
 * (cmocka) where it is not.
 *
 * To be called when all frames have been pulled, as the shell does after each event.
 */
#ifndef TESTS_SESSION_CHECK_H
#define TESTS_SESSION_CHECK_H

#include "libfabric_client/src/session.h"

void session_check(const session_t *session);

#endif
