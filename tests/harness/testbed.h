/* A cluster for one integration test: database, broker, workers with the entity type Probe, and a
 * client, on SQLite or on a private MariaDB server that all tests of the program share.
 *
 *     int main(void) { return testbed_run("area", tests, count); }
 *     static void works(void **state) { testbed_t *bed = *state; testbed_start(bed, 2); ... }
 *
 * A failed expectation fails the running test; what was started is stopped all the same.
 *
 * Threading: the test's thread.
 */
#ifndef TESTS_HARNESS_TESTBED_H
#define TESTS_HARNESS_TESTBED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include <fabric/client.h>

#include "tests/harness/cluster.h"
#include "tests/harness/probe.h"

/* Lanes of a cluster on a server. On SQLite it has one. */
enum { TESTBED_LANES = 12 };

typedef enum testbed_store {
    TESTBED_SQLITE = 1,
    TESTBED_MYSQL = 2,
    TESTBED_BOTH = 3,
    TESTBED_MYSQL_3 = 4,  /* with three brokers */
    TESTBED_CLUSTERS = 5, /* with FABRIC_CONFORMANCE=full on TESTBED_ALL */
    TESTBED_ALL = 7       /* on the first one only, but with FABRIC_CONFORMANCE=full */
} testbed_store_t;

typedef struct testbed_test {
    const char *name; /* lower case; the store's name is added */
    void (*run)(void **state);
    unsigned stores; /* testbed_store_t */
} testbed_test_t;

typedef struct testbed {
    const char *name;                    /* of the test, as it is reported */
    const char *store;                   /* "sqlite" or "mysql" */
    uint32_t brokers;                    /* that testbed_start() starts */
    const char *const *broker_arguments; /* for testbed_start; NULL: none */
    const char *const *worker_arguments;
    const char *const *broker_environment; /* "NAME=value", likewise */
    const char *const *worker_environment;
    const char *programs;          /* folder of a test build's; NULL: the shipped ones */
    uint32_t lanes;                /* of the cluster; 0: TESTBED_LANES, or 1 on SQLite */
    uint32_t work_us;              /* $PROBE_WORK_US of the workers */
    char folder[FOLDER_PATH_SIZE]; /* $PROBE_FOLDER of the workers */
    char database[512];            /* on the server; empty: none */
    const char *broker_store;      /* URL of it for brokers, as through a proxy; NULL: the same */
    cluster_options_t options;
    cluster_t cluster;
    fabric_client_t *client;
    /* Ends what else a test has running, before the processes are stopped; NULL: nothing. */
    void (*at_end)(void *context);
    void *at_end_context;
    struct testbed_lock *locks; /* that are held; released before the processes are stopped */
} testbed_t;

/* Runs tests, each on every store that it names (of TESTBED_ALL on the first one) and with a
 * testbed of its own as state, which has its folder and nothing running. $TEST_FILTER, a pattern
 * with * and ?, chooses among them. Returns what main is to return.
 *
 * With FABRIC_CONFORMANCE=full only tests run whose names begin with test_, on each store that they
 * name. */
int testbed_run(const char *area, const testbed_test_t *tests, size_t count);

/* Runs tests that share one cluster, which `start` starts: each on the first of the stores that it
 * names, and with FABRIC_CONFORMANCE=full on each of them. A test finds the cluster as the one
 * before has left it, with a client of its own; it uses entities of its own, and what its calls
 * write to is in static memory, since they may end after it. */
int testbed_run_shared(const char *area, void (*start)(testbed_t *bed), const testbed_test_t *tests,
                       size_t count);

/* Skips the running test, and says why in the way that tests/run reports. */
void testbed_skip(const testbed_t *bed, const char *reason);

/* Starts the cluster, with as many brokers as bed->brokers says, and a client, and waits until all
 * shards have owners (with at least one worker). */
void testbed_start(testbed_t *bed, uint32_t workers);
/* The same with two brokers, of which the first is home of the only lane as long as it lives, and
 * the second stands by; workers and client know both. MariaDB only. */
void testbed_start_pair(testbed_t *bed, uint32_t workers);
/* The same with so many brokers, after their lanes have been spread evenly. */
void testbed_start_brokers(testbed_t *bed, uint32_t brokers, uint32_t workers);
/* Closes the client and opens another. */
void testbed_connect(testbed_t *bed);
/* Starts one more broker; does not wait until it has lanes. */
void testbed_add_broker(testbed_t *bed);
/* Starts one more worker; does not wait. */
void testbed_add_worker(testbed_t *bed);
/* Starts the worker of that number again, after it has ended; does not wait. */
void testbed_restart_worker(testbed_t *bed, uint32_t number);
/* Waits until so many workers are healthy and all shards have healthy owners, by the words of all
 * brokers that run. */
void testbed_wait_ready(testbed_t *bed, uint32_t workers);
/* Waits until no durable message is pending. */
void testbed_wait_drained(testbed_t *bed);
/* Waits until rows say all that the journals of the brokers that run do. */
void testbed_wait_checkpoint(testbed_t *bed);
/* Kills a process of the cluster with SIGKILL and collects it. A worker's child dies with its
 * supervisor. */
void testbed_kill(process_t *process);
/* Kills the process that does a worker's work with SIGKILL; its supervisor starts another. */
void testbed_kill_child(const process_t *process);
/* Stops a process with SIGSTOP, a worker's child with its supervisor: when the first one returns,
 * no thread of theirs runs any more. The second one lets it go on. */
void testbed_freeze(const process_t *process);
void testbed_thaw(const process_t *process);
/* Waits until each broker that runs holds its even share of the lanes. */
void testbed_wait_spread(testbed_t *bed);
/* Starts the broker of that number again at the address it had, after it has ended. */
void testbed_restart_number(testbed_t *bed, uint32_t number);
/* Starts the broker, or the second one, again at the address it had, after it has ended. */
void testbed_restart_broker(testbed_t *bed);
void testbed_restart_standby(testbed_t *bed);
/* After all processes have ended: the broker again at the address it had, so many new workers,
 * another client; waits until the workers own all shards. */
void testbed_restart(testbed_t *bed, uint32_t workers);
/* Breaks all connections to the test's database, which is on a server. */
void testbed_break_connections(testbed_t *bed);
/* Waits until nobody is connected to the test's database: a server may still be at the last
 * statement of a broker that was killed. */
void testbed_wait_disconnected(testbed_t *bed);
/* Stops the brokers and workers in order, so that the database can be looked at. */
void testbed_stop_processes(testbed_t *bed);

/* The status document of the broker at this address, in its own words; NULL: it does not answer. */
json_t *testbed_status_of(const char *url);
/* The status document; to be released by json_decref. */
json_t *testbed_status(fabric_client_t *client);
/* A counter of it. */
uint64_t testbed_counter(fabric_client_t *client, const char *name);
/* The sum of a counter over all brokers that run. */
uint64_t testbed_sum(testbed_t *bed, const char *name);
/* How many shards the runner of a worker process owns, according to their homes; -1: it is not a
 * healthy member of any. */
int64_t testbed_shards_owned(testbed_t *bed, const process_t *worker);
/* The runner that owns the type's entities of a shard of the status, as that names it; NULL: nobody
 * does. */
const char *testbed_owner(const json_t *shard, const char *type);
/* How many lanes a broker holds, as the store says, and its incarnation; -1: it is no member.
 * MariaDB only. */
int64_t testbed_lanes_held(testbed_t *bed, const char *endpoint, char incarnation[33]);
/* Waits until a dead broker is no member any more. MariaDB only. */
void testbed_wait_removed(testbed_t *bed, const char *endpoint);
/* How often a log of the cluster has an event: "broker.log", "append.fenced". */
unsigned testbed_count_events(testbed_t *bed, const char *log, const char *code);
/* $FABRIC_FAULT_REPEAT, or as usual. */
uint32_t testbed_repeat(uint32_t usual);
/* $FABRIC_FAULT_SEED, or a number that is drawn; printed, so that a run's choices can be made
 * again. */
uint64_t testbed_seed(void);
/* Makes the file of one of Probe's gates, for which handlers wait. */
void testbed_open_gate(testbed_t *bed, const char *name);

/* The number that a query gives; no broker may have a SQLite file open. */
int64_t testbed_query_number(testbed_t *bed, const char *sql);
/* Runs one statement that changes something; likewise. */
void testbed_execute(testbed_t *bed, const char *sql);
/* Runs a query in a transaction of its own that stays open, or locks tables: what is locked stays
 * locked until testbed_unlock, or until the test ends. MariaDB only. */
typedef struct testbed_lock testbed_lock_t;
testbed_lock_t *testbed_lock(testbed_t *bed, const char *sql);
void testbed_unlock(testbed_lock_t **lock);
/* Calls `row` for each row of a query with its columns as text or bytes, at most 16; NULLs are
 * empty. */
void testbed_query_rows(testbed_t *bed, const char *sql,
                        void (*row)(void *context, const fabric_bytes_t *columns), void *context);

/* Polls until `done` returns true; after a long time it fails the test, prints the logs, and says
 * what is missing. */
void testbed_wait_until(testbed_t *bed, bool (*done)(void *context), void *context,
                        const char *missing);
/* Lets what runs go on for so long. */
void testbed_pause(uint32_t ms);
/* One step of a polling loop: waits a few milliseconds; after the deadline it fails the test and
 * says what is missing. */
void testbed_poll(uint64_t deadline_ms, const char *missing);

#endif
