/* The records of testing_home.c, which testing_home_stored.c reads and writes, too. */
#ifndef WORKER_TESTING_HOME_STATE_H
#define WORKER_TESTING_HOME_STATE_H

#include <pthread.h>

#include "core/journal/events.h"
#include "core/limits.h"
#include "worker/executor.h"
#include "worker/testing_home.h"

/* How many other entities under test an entity is connected to. */
#define PEERS_MAX 16u

struct testing_home {
    type_table_t *types;
    const fabric_entity_type_t *type;
    char id[LIMIT_NAME_BYTES_MAX + 1];
    executor_t *executor;
    interrupts_t *interrupts;
    work_lease_t lease;
    uint64_t now_ms;
    testing_sender_t sender;
    testing_home_t *peers[PEERS_MAX]; /* their entities handle what this one sends them */
    size_t peer_count;
    testing_home_t *asker; /* whose entity has sent the last message; NULL: the test */
    uint64_t asked;        /* the sequence of that message */
    token_t token;
    uint64_t activation;
    uint64_t request_id; /* of the last message */
    uint32_t causes;     /* what keeps the entity alive (enum alive_cause) */
    bool store_fails;    /* at the next commit */
    /* What is stored; without bytes: nothing is. */
    wire_writer_t state; /* of a type with events: the snapshot */
    uint32_t state_version;
    uint64_t state_sequence;  /* of the last event in the snapshot */
    wire_writer_t event_list; /* see core/journal/events.h */
    wire_writer_t given;      /* of these, with the last delivery */
    uint32_t event_count;
    /* The last message, to deliver it again. `message` is NULL: it is not to be handled again. */
    const fabric_message_type_t *message;
    wire_writer_t payload, headers;
    uint64_t delivery, attempt, deadline_ms;
    bool cancelled;
    /* What became of it. */
    const fabric_message_type_t *last; /* its type */
    bool busy;                         /* it has not ended */
    bool ended;
    message_result_t result; /* its payload is in `reply` */
    wire_writer_t reply;
    bool changed; /* the result brings a state */
    bool told;    /* it brings what the handler has told others */
    uint32_t new_version;
    uint64_t new_sequence;
    wire_writer_t new_state;
    wire_writer_t new_events;
    uint32_t new_event_count;
    char fault[LIMIT_TEXT_BYTES_MAX + 1]; /* see testing_home_fault */
    /* Wakes the test when a handle of fabric_later() was completed. */
    pthread_mutex_t lock;
    pthread_cond_t completed;
    bool woken;
};

/* The entity's events, all of them. */
journal_events_t testing_home_events(const testing_home_t *home);

#endif
