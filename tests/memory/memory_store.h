/* A store in memory for tests: the whole store port (core/store.h), shared by name within the process, with faults that are
 * data.
 *
 * URL: memory:NAME. Every store_t opened with one name sees the same database, which comes into being with its first use and
 * stays until memory_store_reset(). Contents are deep copies; nothing of a batch is kept by reference. The cluster's id
 * follows from the name, so that runs can be repeated.
 *
 * Threading: one mutex guards all databases; each call holds it from start to end, visits included.
 *
 * Exclusive: behaves as the SQLite adapter. A store_t that a simulated crash leaves behind keeps its lock until it is closed.
 */
#ifndef TESTS_MEMORY_MEMORY_STORE_H
#define TESTS_MEMORY_MEMORY_STORE_H

#include "core/store.h"

extern const store_driver_t memory_store_driver;

/* Empties the database, its faults and its schema included. Open store_t's stay valid. */
void memory_store_reset(const char *name);
/* Frees all databases. No store_t may be open. */
void memory_store_free_all(void);

/* The database's Unix time in milliseconds, for joins; 0 (also after a reset): the wall clock. */
void memory_store_set_time(const char *name, int64_t now_ms);

/* Which calls a fault is about. */
typedef enum memory_store_operation {
    MEMORY_STORE_ANY,    /* every one of those below */
    MEMORY_STORE_OPEN,   /* open */
    MEMORY_STORE_SCHEMA, /* schema_status, schema_apply, check, facts */
    MEMORY_STORE_JOIN,   /* broker_join */
    MEMORY_STORE_RENEW,  /* broker_renew */
    MEMORY_STORE_LEAVE,  /* broker_leave */
    MEMORY_STORE_COORDINATE, /* coordinator_take, take_homes, group_put, type_put, runner_put, runner_remove */
    MEMORY_STORE_READ,   /* coordinator_read and all lists */
    MEMORY_STORE_COMMIT, /* commit */
    MEMORY_STORE_SETTLE, /* settle */
    MEMORY_STORE_LOAD    /* load_pending, find_calls, find_keys, find_replies */
} memory_store_operation_t;

/* What happens to such a call. Where a reading call meets an UNKNOWN kind it answers STORE_UNAVAILABLE; open does too. */
typedef enum memory_store_fault_kind {
    MEMORY_STORE_UNAVAILABLE,    /* STORE_UNAVAILABLE, nothing changed, the store_t lives on */
    MEMORY_STORE_DISCONNECTED,   /* STORE_UNAVAILABLE, nothing changed, the store_t is dead */
    MEMORY_STORE_UNKNOWN_BEFORE, /* STORE_UNKNOWN, nothing changed, the store_t is dead */
    MEMORY_STORE_UNKNOWN_AFTER,  /* the call is carried out; STORE_UNKNOWN, the store_t is dead */
    MEMORY_STORE_BUSY,           /* STORE_BUSY, nothing changed */
    MEMORY_STORE_REJECTED, /* commit: STORE_REJECTED for `rejection`; other calls: STORE_UNAVAILABLE */
    MEMORY_STORE_LOSE /* the database forgets its last `lost` commits, then as UNKNOWN_BEFORE */
} memory_store_fault_kind_t;

typedef struct memory_store_fault {
    memory_store_operation_t operation;
    memory_store_fault_kind_t kind;
    uint32_t after;              /* matching calls that pass first */
    uint32_t times;              /* matching calls that it then strikes */
    store_rejection_t rejection; /* MEMORY_STORE_REJECTED */
    uint32_t lost;               /* MEMORY_STORE_LOSE */
    const char *words;           /* what the database says; NULL: something */
} memory_store_fault_t;

/* Adds a fault. Each call counts for every fault that matches; of several that strike, the first added decides. */
void memory_store_fault(const char *name, const memory_store_fault_t *fault);
void memory_store_clear_faults(const char *name);

/* The database forgets its last `count` commits, of all writers together: writer rows, messages, replies, attempts, marks
 * and dead letters are as before them. Other changes stay. */
void memory_store_lose(const char *name, uint32_t count);

/* Makes the database look as if another release or another program had made it. */
void memory_store_set_version(const char *name, uint32_t version);
void memory_store_make_foreign(const char *name);
/* Damages it, as by hand. */
void memory_store_lose_cluster(const char *name);
void memory_store_set_epochs(const char *name, uint64_t even, uint64_t odd); /* of shard ids */

/* For checkers: every message ever committed, by id, with attempts and final reply; every dead letter. */
void memory_store_dump(const char *name, store_visit_message_fn *visit, void *context);
typedef void memory_store_visit_dead_letter_fn(void *context, const store_dead_letter_t *letter);
void memory_store_dump_dead_letters(const char *name, memory_store_visit_dead_letter_fn *visit,
                                    void *context);
/* Commits that are in force. */
uint64_t memory_store_commits(const char *name);

#endif
