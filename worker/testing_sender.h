/* What an entity that is tested alone sends: the messages wait here until the test, or another
 * entity under test, has answered them.
 *
 * Threading: the test's thread alone.
 */
#ifndef WORKER_TESTING_SENDER_H
#define WORKER_TESTING_SENDER_H

#include <fabric/testing.h>

#include "core/schema_memory.h"
#include "worker/sender.h"

typedef struct testing_sent {
    fabric_testing_sent_t shown;
    fabric_completion_fn *complete; /* NULL: a tell */
    void *context;
    uint64_t sequence;
    uint64_t deadline_ms;
    bool taken; /* by an entity under test, which has not answered it yet */
    uint8_t *payload;
    size_t size;
    void *request; /* decoded; NULL: its schema is empty */
    schema_memory_t elements;
    uint8_t names[]; /* type, id and primary key */
} testing_sent_t;

typedef struct testing_sender {
    fabric_sender_t port; /* first */
    const uint64_t *now_ms;
    uint64_t sequence;     /* of the last message */
    testing_sent_t **list; /* the oldest first */
    size_t count, capacity;
    testing_sent_t **noted; /* what goes with the reply of the message at hand */
    size_t noted_count, noted_capacity;
} testing_sender_t;

/* `now_ms` is the time of the test, and stays. */
void testing_sender_init(testing_sender_t *sender, const uint64_t *now_ms);
void testing_sender_free(testing_sender_t *sender);
/* The oldest message that nobody has taken or answered; NULL: none. */
testing_sent_t *testing_sender_next(const testing_sender_t *sender);
/* The message that has this sequence; NULL: it is not here any more. */
testing_sent_t *testing_sender_find(const testing_sender_t *sender, uint64_t sequence);
/* Ends a message. */
void testing_sender_answer(testing_sender_t *sender, testing_sent_t *sent,
                           const fabric_outcome_t *outcome, fabric_bytes_t payload);
/* The reply of the message at hand is stored, and what it has told is sent; or it is not. */
void testing_sender_send_noted(testing_sender_t *sender);
void testing_sender_forget_noted(testing_sender_t *sender);
/* Ends the asks whose deadlines have come. */
void testing_sender_expire(testing_sender_t *sender);
/* When the next of these deadlines comes; UINT64_MAX: never. */
uint64_t testing_sender_deadline(const testing_sender_t *sender);

#endif
