/* The history of a fault test: what each process saw, in a file of its own in the testbed's folder.
 *
 * A record is appended by one write(), so it survives a SIGKILL of its process; a record that was
 * torn by one (the last of its file) is left out when reading. Times are CLOCK_MONOTONIC of the one
 * machine that all processes of a test run on, so records of different processes compare.
 *
 * Who writes: the workload's clients (invoked, then one outcome for each sending) and the handlers
 * of the entity type Fold (start, end). What a record means is in its kind; fields that its kind
 * does not name are 0.
 *
 * Threading: history_append() from any thread; a file is opened once for each history_t.
 */
#ifndef TESTS_CHECKER_HISTORY_H
#define TESTS_CHECKER_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum history_kind {
    HISTORY_INVOKED = 1, /* call, key, flags: a client is about to send */
    HISTORY_ACCEPTED,    /* call, key, request id: a tell has ended well */
    HISTORY_REPLIED,     /* the same, with the execution of the reply and its hash */
    HISTORY_FAILED,      /* call, key, request id, error: a failure is the answer */
    HISTORY_REJECTED,    /* call, key, error: certainly not accepted by this sending */
    HISTORY_UNKNOWN,     /* call, key, request id (0: never told to be accepted), error */
    HISTORY_START, /* call, request id, execution, token, delivery, attempt: a handler begins */
    HISTORY_END    /* the same, with position and chain: it is about to answer */
} history_kind_t;

enum { HISTORY_DURABLE = 1, HISTORY_TELL = 2, HISTORY_AGAIN = 4 /* sent again under its key */ };

/* One run of a handler, in the whole cluster. */
typedef struct history_execution {
    uint64_t process; /* 0: none */
    uint64_t serial;  /* 1, 2, ... in the process */
} history_execution_t;

typedef struct history_record {
    uint64_t at_us;
    uint32_t kind; /* history_kind_t */
    uint32_t flags;
    uint32_t client; /* the load's own number of the client: 1, 2, ... */
    uint32_t entity; /* likewise of the entity */
    uint64_t number; /* of the call along its client: 1, 2, ... */
    uint64_t key_client, key_sequence;
    uint64_t request_id;
    uint32_t error; /* fabric_error_t */
    uint32_t attempt;
    uint64_t delivery;
    uint64_t reply_hash;
    history_execution_t execution;
    uint64_t activation; /* of the entity, counted in its process */
    uint64_t home_epoch, owner_sequence;
    uint64_t position;      /* in the activation's list: 1, 2, ... */
    uint64_t before, after; /* the hash chain */
} history_record_t;

/* Names a process for good, process ids being used again: its id and when it first asked. */
uint64_t history_process(void);
/* Monotonic microseconds. */
uint64_t history_now_us(void);
/* Appends to this process's file in `folder`; sets at_us. A folder that is not there takes
 * nothing. */
void history_append(const char *folder, history_record_t *record);

typedef struct history {
    history_record_t *records; /* by time */
    size_t count;
} history_t;

/* Reads the records of all processes from a folder. */
history_t history_read(const char *folder);
void history_free(history_t *history);

/* The next value of a hash chain; the empty one is 0. */
uint64_t history_chain(uint64_t before, uint64_t client, uint64_t number);
/* A hash of bytes. */
uint64_t history_hash(const void *bytes, size_t size);

#endif
