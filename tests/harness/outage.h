/* A cluster under load whose database a test makes fail: one broker and two workers on the
 * program's private MariaDB server. The broker uses an account without special rights, directly or
 * through a proxy.
 *
 *     outage_t *outage = outage_start(bed, NULL);
 *     mariadb_server_kill(outage->server);
 *     outage_run(outage, 300);
 *     assert_true(mariadb_server_run(outage->server));
 *     outage_recover(outage);
 *     outage_end(&outage);
 *
 * outage_end() runs the checker, and demands that processes, incarnations, homes, owners, tokens
 * and coordinator are those of the start. The next outage_start() cleans up after a test that
 * failed.
 *
 * Threading: the test's thread.
 */
#ifndef TESTS_HARNESS_OUTAGE_H
#define TESTS_HARNESS_OUTAGE_H

#include <mysql.h>

#include "tests/harness/mariadb.h"
#include "tests/harness/proxy.h"
#include "tests/checker/workload.h"

/* How soon after the database answers calls must be accepted again, on an idle machine. */
#define OUTAGE_RECOVERY_MS 1000u

typedef struct outage_options {
    bool proxied;
    bool standby; /* a second broker */
    /* Arguments of the broker; NULL: a lease of 1.5 s, and 1 s for each call to the database. */
    const char *const *broker_arguments;
    workload_options_t load; /* timeout_ms: default 800 */
} outage_options_t;

typedef struct outage {
    testbed_t *bed;
    mariadb_server_t *server;
    proxy_t *proxy; /* NULL: the broker connects directly */
    workload_t *load;
    json_t *before; /* the status at the start */
    char store[512];
    uint32_t recoveries;
    uint32_t recovery_ms_max;
    uint64_t recovery_ms_sum;
} outage_t;

/* Skips the test where the server is not a private one. `options` may be NULL. */
outage_t *outage_start(testbed_t *bed, const outage_options_t *options);
/* Runs the load for `ms` milliseconds. */
void outage_run(outage_t *outage, uint32_t ms);
/* Runs the load until the server answers, and then until a durable call is accepted or answered;
 * fails when that takes longer than promised. */
void outage_recover(outage_t *outage);
/* outage_recover with another bound, for a database that recovers slowly. */
void outage_recover_within(outage_t *outage, uint32_t bound_ms);
/* Demands that no durable call is accepted for `ms` milliseconds. */
void outage_expect_standstill(outage_t *outage, uint32_t ms);
/* Demands that a new durable call is told that it is certainly not accepted, and why: in the
 * database's words, which contain `words`. */
void outage_expect_refusal(outage_t *outage, const char *words);
/* Demands that a durable call fails or ends unknown with a text that contains these words. */
void outage_expect_words(outage_t *outage, const char *words);
/* Ends the outage: runs the checker, as above. */
void outage_end(outage_t **outage);

/* How many times a fault is to be injected: $FABRIC_FAULT_REPEAT, or `usual`. */
uint32_t outage_rounds(uint32_t usual);
/* How many lines of the broker's log contain both texts. */
uint32_t outage_log_lines(const outage_t *outage, const char *first, const char *second);
/* A connection to the cluster's database as administrator, or as the broker's user, past the proxy.
 * NULL, and `error` its number, when it is refused; `error` may be NULL: it must not be. */
MYSQL *outage_connect(const outage_t *outage, bool administrator, unsigned *error);
/* Gives the broker's user the right to insert rows, or takes it away. */
void outage_permit_insert(const outage_t *outage, MYSQL *administrator, bool permit);
/* Runs a statement, which must succeed and give no rows. */
void outage_execute(MYSQL *connection, const char *statement);

#endif
