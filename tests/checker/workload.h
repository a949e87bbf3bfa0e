/* The load of fault tests: several clients send durable asks and tells and volatile echoes to many
 * entities of the type Fold, record the outcome of each call, and send calls with an unknown
 * outcome again under their call keys. At the end the checker gives its verdict.
 *
 *     workload_t *load = workload_start(bed, NULL);
 *     workload_run(load, 500);
 *     testbed_kill(&bed->cluster.workers[0]);
 *     workload_mark(load);
 *     workload_run(load, 2000);
 *     assert_in_range(workload_gap_ms(load), 0, 1000);
 *     workload_end_and_check(&load);
 *
 * One load for each testbed; a test that fails before its verdict leaves the load to the testbed.
 *
 * Threading: the test's thread.
 */
#ifndef TESTS_CHECKER_WORKLOAD_H
#define TESTS_CHECKER_WORKLOAD_H

#include "tests/harness/testbed.h"

/* For a percentage in the options: none, as 0 is the default. */
#define WORKLOAD_NONE UINT32_MAX

typedef struct workload_options {
    const char *urls;          /* for the clients; default: of all brokers of the testbed */
    uint32_t clients;          /* default 3, at most 16 */
    uint32_t entities;         /* default 24 */
    uint32_t inflight;         /* calls open at once, for each client; default 16 */
    uint32_t rate;             /* calls started in a second, in all; default 800 */
    uint32_t tell_percent;     /* default 20 */
    uint32_t volatile_percent; /* default 15 */
    uint32_t timeout_ms;       /* of each call; default 3,000 */
    uint32_t settle_ms;        /* for the end: until nothing is open or pending; default 60,000 */
    uint32_t dead_letters_max; /* how many the faults may cause; default none */
    uint32_t uncounted_min;  /* durable executions that must have ended for nothing; default none */
    uint32_t memory_mib_max; /* of each broker and worker at the end; default 256 */
    uint32_t descriptors_max; /* likewise; default 200 */
    /* padding of messages, random sizes up to this many bytes; default none */
    uint32_t padding_max;
    uint64_t seed; /* default 1 */
} workload_options_t;

typedef struct workload_counts {
    uint64_t started;  /* calls, each once */
    uint64_t accepted; /* tells that ended well */
    uint64_t replied;  /* asks that got their reply, volatile ones too */
    uint64_t durable;  /* accepted tells and replies to durable asks */
    uint64_t failed;   /* by an error that is a final answer */
    uint64_t rejected; /* certainly not accepted */
    uint64_t unknown;  /* sendings that ended so */
    uint64_t resent;   /* durable ones of these that were sent again */
    uint32_t open;     /* now */
} workload_counts_t;

typedef struct workload workload_t;

/* Opens the clients. `options` may be NULL and is borrowed for the call; 0 is the default. */
workload_t *workload_start(testbed_t *bed, const workload_options_t *options);
/* Runs the load for `ms` milliseconds. */
void workload_run(workload_t *load, uint32_t ms);
/* Runs the load until `done` returns true; false when it did not within `timeout_ms`. */
bool workload_run_until(workload_t *load, bool (*done)(void *context), void *context,
                        uint32_t timeout_ms);
workload_counts_t workload_counts(const workload_t *load);
/* The gap is measured from now on. */
void workload_mark(workload_t *load);
/* The longest time since the mark in which no durable ask got its reply, up to now. The load must
 * have run without a pause since the mark. */
uint32_t workload_gap_ms(const workload_t *load);
/* Starts no more, sends unknown calls again until all are settled, waits until nothing is pending,
 * stops the processes, and fails the test with what the checker found. Frees the load. */
void workload_end_and_check(workload_t **load);

#endif
