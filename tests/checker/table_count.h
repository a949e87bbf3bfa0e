/* How many messages the journal of a testbed's cluster tells of, for tests that count. Messages
 * that have ended are in the journal only, which must be whole: nothing was purged.
 *
 * Threading: the test's thread. */
#ifndef TESTS_CHECKER_TABLE_COUNT_H
#define TESTS_CHECKER_TABLE_COUNT_H

#include "tests/harness/testbed.h"

/* Which messages are counted; zeroed: all. */
typedef struct table_filter {
    fabric_bytes_t entity; /* only those to entities with this id */
    uint64_t above;        /* only those whose request ids are larger */
    /* Entries and rows may contradict each other: brokers are running, on a server, or something
     * was damaged. */
    bool inconsistent;
} table_filter_t;

typedef struct table_count {
    uint64_t messages; /* that were accepted */
    uint64_t calls;    /* of these, with different call keys */
    uint64_t ended;    /* of these, with their final reply or as dead letters */
    uint64_t answered; /* of these, with a reply of status OK */
    uint64_t dead;     /* of these, as dead letters */
    uint64_t last_id;  /* the largest request id */
    uint64_t states;   /* entities that have a row with their state, of all types */
} table_count_t;

/* Reads the tables. Fails the test where it cannot, and where entries and rows contradict each
 * other. `filter` may be NULL. */
table_count_t table_count_read(testbed_t *bed, const table_filter_t *filter);

/* Fails the test unless so many messages were accepted, each for a call of its own, and all of them
 * have ended well. No broker may run. */
void table_count_expect_all_answered(testbed_t *bed, uint64_t messages);

#endif
