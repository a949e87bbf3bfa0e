/* A store in memory for tests: the whole store port (core/store.h), shared by name within the
 * process, with faults that are data.
 *
 * URL: memory:NAME. Every store_t opened with one name sees the same database, which comes into
 * being with its first use and stays until memory_store_reset(). Contents are deep copies; nothing
 * of a call is kept by reference. The cluster's id follows from the name, so that runs can be
 * repeated. Appending, putting the latest rows and deleting the oldest take the same time however
 * much there is.
 *
 * Threading: one lock guards all databases; each call holds it from start to end, visits included.
 * Threads get it in turn.
 *
 * Exclusive: behaves as the SQLite adapter. A store_t that a simulated crash leaves behind keeps
 * its lock until it is closed.
 */
#ifndef TESTS_MEMORY_MEMORY_STORE_H
#define TESTS_MEMORY_MEMORY_STORE_H

#include "core/store.h"

extern const store_driver_t memory_store_driver;

/* Empties the database, its faults and its schema included. Open store_t's stay valid. */
void memory_store_reset(const char *name);
/* Frees all databases. No store_t may be open. */
void memory_store_free_all(void);

/* The database's Unix time in milliseconds, for joins and founding; 0 (also after a reset): the
 * wall clock. */
void memory_store_set_time(const char *name, int64_t now_ms);

/* Which calls a fault is about. */
typedef enum memory_store_operation {
    MEMORY_STORE_ANY,          /* every one of those below */
    MEMORY_STORE_OPEN,         /* open */
    MEMORY_STORE_SCHEMA,       /* schema_status, schema_apply, check, facts, table_list */
    MEMORY_STORE_JOIN,         /* broker_join */
    MEMORY_STORE_RENEW,        /* broker_renew */
    MEMORY_STORE_LEAVE,        /* broker_leave */
    MEMORY_STORE_COORDINATE,   /* coordinator_take, broker_remove, and what puts and removes
                                  groups, types and runners */
    MEMORY_STORE_ASSIGN,       /* lane_assign */
    MEMORY_STORE_GIVE_UP,      /* lane_give_up */
    MEMORY_STORE_READ,         /* coordinator_read and all lists but those below */
    MEMORY_STORE_APPEND,       /* append, append_after */
    MEMORY_STORE_TAKE,         /* lane_take, journal_replace */
    MEMORY_STORE_READ_JOURNAL, /* read_journal, read_journal_back */
    MEMORY_STORE_PURGE,        /* purge */
    MEMORY_STORE_CHECKPOINT,   /* checkpoint */
    MEMORY_STORE_LOAD,         /* load_rows, list_backlogs, find_rows, load_states, load_events,
                                  load_outgoing, list_outboxes, oldest_outgoing, list_kept */
    MEMORY_STORE_FIND_KEYS     /* find_keys, list_keys */
} memory_store_operation_t;

/* What happens to such a call. Where a reading call meets an UNKNOWN kind it answers
 * STORE_UNAVAILABLE; open and schema_apply do too. */
typedef enum memory_store_fault_kind {
    MEMORY_STORE_UNAVAILABLE,    /* STORE_UNAVAILABLE, nothing changed, the store_t lives on */
    MEMORY_STORE_DISCONNECTED,   /* STORE_UNAVAILABLE, nothing changed, the store_t is dead */
    MEMORY_STORE_UNKNOWN_BEFORE, /* STORE_UNKNOWN, nothing changed, the store_t is dead */
    MEMORY_STORE_UNKNOWN_AFTER,  /* the call is carried out; STORE_UNKNOWN, the store_t is dead */
    /* STORE_UNKNOWN, the store_t is dead, and the database is busy with the call for another
     * `delay` calls of anybody, which see nothing of it. Then the call is carried out; an append
     * whose numbers are taken by then has no effect. Any other call than an append holds locks
     * until then: other changes of its lane (or of no lane), except appends, wait for it, so it
     * is carried out before them, and a lane_assign of its lane answers STORE_BUSY. */
    MEMORY_STORE_UNKNOWN_RUNNING,
    MEMORY_STORE_BUSY, /* STORE_BUSY, nothing changed */
    /* append, lane_take, lane_assign: STORE_REJECTED; other calls: STORE_UNAVAILABLE. Nothing
     * changed */
    MEMORY_STORE_REJECTED,
    MEMORY_STORE_LOSE /* memory_store_lose(`lost`), then as UNKNOWN_BEFORE */
} memory_store_fault_kind_t;

typedef struct memory_store_fault {
    memory_store_operation_t operation;
    memory_store_fault_kind_t kind;
    uint32_t after;    /* matching calls that pass first */
    uint32_t times;    /* matching calls that it then strikes */
    uint32_t delay;    /* MEMORY_STORE_UNKNOWN_RUNNING */
    uint32_t lost;     /* MEMORY_STORE_LOSE */
    const char *words; /* what the database says; NULL: something */
} memory_store_fault_t;

/* Adds a fault. Each call counts for every fault that matches; of several that strike, the first
 * added decides. */
void memory_store_fault(const char *name, const memory_store_fault_t *fault);
void memory_store_clear_faults(const char *name);

/* The database ends now what it is still busy with: by carrying it out, or by rolling it back. */
void memory_store_end_running(const char *name, bool commits);

/* The database forgets the last `appends` transactions that wrote entries, of all writers
 * together, and everything that was changed since the first of them, as if an older copy had
 * been put back. It remembers about 50,000 changes. */
void memory_store_lose(const char *name, uint32_t appends);

/* Makes the database look as if another release or another program had made it. */
void memory_store_set_version(const char *name, uint32_t version);
void memory_store_make_foreign(const char *name);
/* Damages it, as by hand. */
void memory_store_lose_cluster(const char *name);
void memory_store_lose_entry(const char *name, uint32_t lane, uint64_t number);
void memory_store_set_lane(const char *name, const store_lane_t *lane);

/* For checkers. Entries by lane and number, rows by lane, entity and position, states by lane, dead
 * letters by lane and request id; a lane's row and contents are there even when the cluster's row
 * was lost. */
void memory_store_dump_entries(const char *name, uint32_t lane, store_visit_entry_fn *visit,
                               void *context);
/* Those from a number on. */
void memory_store_dump_entries_from(const char *name, uint32_t lane, uint64_t number,
                                    store_visit_entry_fn *visit, void *context);
typedef void memory_store_visit_pending_fn(void *context, uint32_t lane,
                                           const store_pending_t *row);
void memory_store_dump_pending(const char *name, memory_store_visit_pending_fn *visit,
                               void *context);
/* The same of scheduled messages. */
void memory_store_dump_scheduled(const char *name, memory_store_visit_pending_fn *visit,
                                 void *context);
typedef void memory_store_visit_kept_fn(void *context, uint32_t lane, const store_kept_t *row);
void memory_store_dump_kept(const char *name, memory_store_visit_kept_fn *visit, void *context);
typedef void memory_store_visit_state_fn(void *context, uint32_t lane, const store_state_t *row);
void memory_store_dump_states(const char *name, memory_store_visit_state_fn *visit, void *context);
/* In the order of their sequences. */
typedef void memory_store_visit_event_fn(void *context, uint32_t lane, const store_event_t *row);
void memory_store_dump_events(const char *name, memory_store_visit_event_fn *visit, void *context);
/* In the order of their keys. */
typedef void memory_store_visit_outgoing_fn(void *context, uint32_t lane,
                                            const store_outgoing_t *row);
void memory_store_dump_outgoing(const char *name, memory_store_visit_outgoing_fn *visit,
                                void *context);
typedef void memory_store_visit_dead_fn(void *context, uint32_t lane, const store_dead_row_t *row);
void memory_store_dump_dead(const char *name, memory_store_visit_dead_fn *visit, void *context);
store_lane_t memory_store_lane(const char *name, uint32_t lane);
store_coordinator_t memory_store_coordinator(const char *name);
/* Whether the broker is a member. */
bool memory_store_has_broker(const char *name, incarnation_t incarnation);
/* How many calls have changed something, and are in force. */
uint64_t memory_store_commits(const char *name);

#endif
