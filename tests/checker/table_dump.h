/* The contents of a cluster's tables for the checker. They are read with separate SQL and decoded
 * by a decoder of the checker's own, not through the store adapters and core/journal/, which are
 * under test. The journal must be whole: nothing was purged.
 *
 * Threading: the test's thread.
 */
#ifndef TESTS_CHECKER_TABLE_DUMP_H
#define TESTS_CHECKER_TABLE_DUMP_H

#include "tests/checker/fold.h"
#include "tests/harness/testbed.h"

/* A message of the journal. */
typedef struct table_message {
    uint64_t request_id;
    uint64_t key_client, key_sequence;
    uint64_t id_hash; /* history_hash() of the entity's id */
    bool tell;
    bool fold;            /* of the workload; only then: */
    bool readable;        /* the payload and the entity's id are as the workload writes them */
    uint32_t entity;      /* of the id */
    fold_request_t asked; /* the payload */
} table_message_t;

/* Its end: the final reply, or what a dead letter's caller gets. */
typedef struct table_reply {
    uint64_t request_id;
    uint32_t status, error;
    uint64_t payload_hash; /* history_hash() */
    bool readable;         /* the payload is a reply of Fold */
    fold_reply_t fold;
} table_reply_t;

/* One that became a dead letter. */
typedef struct table_dead_letter {
    uint64_t request_id;
} table_dead_letter_t;

/* Where the tables contradict themselves or each other: see journal_audit.h. */
typedef struct table_fault {
    char text[200];
} table_fault_t;

typedef struct table_dump {
    table_message_t *messages;
    size_t message_count;
    table_reply_t *replies;
    size_t reply_count;
    table_dead_letter_t *dead_letters;
    size_t dead_letter_count;
    size_t state_count; /* entities with a row of `entity_state` */
    /* Messages that handlers of durable messages have told others, and those of them that neither a
     * target has accepted nor a dead letter has, as far as the journals of their sources know. */
    uint64_t told_count, told_open;
    table_fault_t *faults;
    size_t fault_count;
} table_dump_t;

/* Reads the tables; no broker may run. Fails the test where it cannot. */
table_dump_t table_dump_read(testbed_t *bed);
void table_dump_free(table_dump_t *dump);

#endif
