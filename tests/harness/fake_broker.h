/* A fake broker: a ROUTER socket in a thread of the test, which welcomes clients and answers each
 * request by its tag. With it the real client library is tested without a cluster.
 *
 *   echo    a reply with the request's payload
 *   fail    a failure with code 42 and the text "no"
 *   busy    rejected with MailboxFull
 *   silent  nothing
 *   tells   accepted (unless the tag is "silent")
 * Queries are answered with their argument, but "nothing" with NotFound, and "events" with those of
 * an entity that has FAKE_EVENTS, two at a time; of entity "broken" they cannot be read.
 */
#ifndef TESTS_FAKE_BROKER_H
#define TESTS_FAKE_BROKER_H

#include <stdbool.h>
#include <stdint.h>

/* Their sequences are 1, 2, 4, 5 and 6: the third is lost. */
#define FAKE_EVENTS 5u

typedef struct fake_broker fake_broker_t;

/* Starts on a port of the system's choice; aborts when it cannot. */
fake_broker_t *fake_broker_start(void);
const char *fake_broker_endpoint(const fake_broker_t *broker);
/* Whether the fake broker refuses every hello, like a broker of another cluster. */
void fake_broker_be_foreign(fake_broker_t *broker, bool foreign);
/* Closes the socket, like a broker that died. */
void fake_broker_kill(fake_broker_t *broker);
/* Binds the same endpoint again, as a new incarnation. */
void fake_broker_revive(fake_broker_t *broker);
void fake_broker_destroy(fake_broker_t **broker);

/* What the fake broker has received so far, over all its incarnations. */
uint64_t fake_broker_requests(const fake_broker_t *broker);
uint64_t fake_broker_resends(const fake_broker_t *broker);
uint64_t fake_broker_byes(const fake_broker_t *broker);
uint64_t fake_broker_frames(const fake_broker_t *broker);

#endif
