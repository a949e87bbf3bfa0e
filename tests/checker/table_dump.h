/* The contents of a cluster's tables for the checker. They are read with separate SQL, not through
 * the store adapters that are under test.
 *
 * Threading: the test's thread.
 */
#ifndef TESTS_CHECKER_TABLE_DUMP_H
#define TESTS_CHECKER_TABLE_DUMP_H

#include "tests/checker/fold.h"
#include "tests/harness/testbed.h"

/* A row of `mailbox`. */
typedef struct table_message {
    uint64_t request_id;
    uint64_t key_client, key_sequence;
    bool tell;
    bool fold;            /* of the workload; only then: */
    bool readable;        /* the payload and the entity's id are as the workload writes them */
    uint32_t entity;      /* of the id */
    fold_request_t asked; /* the payload */
} table_message_t;

/* A row of `reply` with sequence 0: the final one. */
typedef struct table_reply {
    uint64_t request_id;
    uint32_t error;
    uint64_t payload_hash; /* history_hash() */
    bool readable;         /* the payload is a reply of Fold */
    fold_reply_t fold;
} table_reply_t;

/* A row of `dead_letter`. */
typedef struct table_dead_letter {
    uint64_t request_id;
} table_dead_letter_t;

typedef struct table_dump {
    table_message_t *messages;
    size_t message_count;
    table_reply_t *replies;
    size_t reply_count;
    table_dead_letter_t *dead_letters;
    size_t dead_letter_count;
} table_dump_t;

/* Reads the three tables; no broker may have a SQLite file open. Fails the test where it cannot. */
table_dump_t table_dump_read(testbed_t *bed);
void table_dump_free(table_dump_t *dump);

#endif
