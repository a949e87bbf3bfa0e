/* Load for kill tests: keeps durable Append calls open to many Probe entities, each entity's
 * numbered 1, 2, ... in the order in which they are sent; and what the handlers recorded about it.
 *
 * A load that stands still for PROBE_LOAD_WAIT_MAX_MS, or records that are wrong, fail the cmocka
 * test.
 *
 * Threading: the thread that uses the client.
 */
#ifndef TESTS_HARNESS_PROBE_LOAD_H
#define TESTS_HARNESS_PROBE_LOAD_H

#include <fabric/client.h>

#include "tests/harness/probe.h"

enum { PROBE_ENTITIES_MAX = 256, PROBE_LOAD_WAIT_MAX_MS = 90000 };

typedef struct probe_load {
    fabric_client_t *client;
    const char *prefix; /* of the entities' ids */
    uint32_t entities;
    uint32_t inflight; /* calls open at once */
    bool tell;
    uint64_t next[PROBE_ENTITIES_MAX]; /* the last number sent */
    uint64_t started;
    uint64_t ended;
    uint64_t failed;
    uint32_t open;
    char failure[300]; /* of the first that failed */
} probe_load_t;

/* Starts calls until `inflight` are open, waits for completions at most `wait_ms`. */
void probe_load_step(probe_load_t *load, uint32_t wait_ms);
/* Runs the load until so many more calls have ended. */
void probe_load_run(probe_load_t *load, uint64_t calls);
/* Starts no more calls and waits for the open ones. No call of the whole load may have failed. */
void probe_load_end(probe_load_t *load);

/* A start of a handler. */
typedef struct probe_start {
    uint64_t at_us;
    int process;
    uint64_t request_id;
    uint32_t delivery;
    uint32_t attempt;
    uint64_t number;
    char tag[32];
    char id[64];
} probe_start_t;

typedef struct probe_starts {
    probe_start_t *items; /* by time */
    size_t count;
} probe_starts_t;

/* Reads what was recorded in a folder. */
probe_starts_t probe_starts_read(const char *folder);
void probe_starts_free(probe_starts_t *starts);
size_t probe_starts_count(const probe_starts_t *starts, const char *id);
/* Each number that the load sent was handled, in order, and none was repeated as a first
 * delivery. */
void probe_starts_check(const probe_starts_t *starts, const probe_load_t *load);

#endif
