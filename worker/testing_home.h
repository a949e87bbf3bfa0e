/* The home of an entity that is tested alone: it plays the part of the broker and its store for one
 * executor with one shard, on the calling thread and at a time that only the test moves. It
 * delivers messages, holds what is stored, and asks for an instance where one is kept alive.
 */
#ifndef WORKER_TESTING_HOME_H
#define WORKER_TESTING_HOME_H

#include <fabric/worker.h>

#include "core/store_message.h"
#include "worker/testing_sender.h"
#include "worker/type_table.h"
#include "worker/work.h"

typedef struct testing_home testing_home_t;

/* `types` has the type alone, and is the home's from now on. */
testing_home_t *testing_home_new(const fabric_entity_type_t *type, const char *id,
                                 type_table_t *types);
/* Ends the instance in order. */
void testing_home_destroy(testing_home_t **home);

/* Handlers of transactional messages get this connection. */
void testing_home_lend(testing_home_t *home, void *connection);

/* A message of the test's, whose views are borrowed for the call. */
typedef struct testing_message {
    const fabric_message_type_t *type;
    fabric_bytes_t payload;
    fabric_bytes_t headers; /* as they are on the wire */
    uint32_t timeout_ms;    /* 0: its caller waits for ever */
    bool cancelled;         /* as soon as its handler has begun */
} testing_message_t;

/* Delivers the message, and waits for its handler where that is pending. NULL: the handler waits
 * for answers to what the entity has sent. The result's views are valid until the next call. */
const message_result_t *testing_home_deliver(testing_home_t *home,
                                             const testing_message_t *message);
/* Whether the message that was delivered last is to be handled again. */
bool testing_home_is_tried_again(const testing_home_t *home);
/* Delivers it again, as testing_home_deliver. */
const message_result_t *testing_home_deliver_again(testing_home_t *home);
/* Whether the message that was delivered last has not ended. */
bool testing_home_is_busy(const testing_home_t *home);
/* Goes on, now that messages of the entity were answered; as testing_home_deliver. */
const message_result_t *testing_home_go_on(testing_home_t *home);
/* What the entity sends. */
testing_sender_t *testing_home_sender(testing_home_t *home);
/* Messages of the entity for that of `other` are handled there; false: too many are connected. */
bool testing_home_connect(testing_home_t *home, testing_home_t *other);

/* The next result that ends a durable message is not stored. */
void testing_home_fail_store(testing_home_t *home);
/* The entity goes to another worker, where it begins with what is stored. */
void testing_home_move(testing_home_t *home);
/* Lets time pass. */
void testing_home_advance(testing_home_t *home, uint64_t duration_ms);

/* What is stored; without bytes: nothing is. */
fabric_bytes_t testing_home_stored(const testing_home_t *home, uint32_t *version);
void testing_home_store(testing_home_t *home, uint32_t version, fabric_bytes_t state);
/* Of a type with events: stores one more. */
void testing_home_append(testing_home_t *home, fabric_bytes_t tag, uint32_t version,
                         fabric_bytes_t payload);
/* How many are stored, and one of them, valid until the next call with another effect; false: there
 * is none of this sequence. */
uint64_t testing_home_event_count(const testing_home_t *home);
bool testing_home_event(const testing_home_t *home, uint64_t sequence, store_event_t *event);
/* How the last message has left a state that the events do not make; empty: it has not. */
const char *testing_home_fault(const testing_home_t *home);
/* Whether the entity has an instance, and where its state is; NULL: it has none, or no state. */
bool testing_home_has_instance(const testing_home_t *home);
const void *testing_home_memory(const testing_home_t *home);

#endif
