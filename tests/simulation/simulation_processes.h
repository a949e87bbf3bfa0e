/* The simulated programs. Each drives the cores of a real program as that program's shell does. */
#ifndef TESTS_SIMULATION_SIMULATION_PROCESSES_H
#define TESTS_SIMULATION_SIMULATION_PROCESSES_H

#include "core/standing.h"
#include "tests/simulation/simulation_network.h"

/* Each makes a process that is not started yet. */
process_t *simulated_client_new(unsigned index);
process_t *simulated_worker_new(unsigned index);
process_t *simulated_broker_new(unsigned index);
void simulated_client_free(process_t **process);
void simulated_worker_free(process_t **process);
void simulated_broker_free(process_t **process);

/* One more call of a client. */
void simulated_client_call(process_t *process);
/* A call that shows whether the type is served in the lane. */
void simulated_client_probe(process_t *process, uint32_t lane, unsigned type);
/* Gives a runner a standing, as an operator does, by way of some broker. */
void simulated_client_order(process_t *process, incarnation_t runner, runner_standing_t standing);
/* Resumes an entity, as an operator does who asks all brokers. */
void simulated_client_resume(process_t *process, unsigned entity);
/* Clears it, likewise. */
void simulated_client_clear(process_t *process, unsigned entity);
/* An entity whose events a reader of the client's has not been told to the last one; UINT32_MAX:
 * there is none. */
unsigned simulated_client_behind(const process_t *process);
size_t simulated_client_open_calls(const process_t *process);

/* Crashes the process, on the message of this request id or for another reason (0). A supervisor
 * may report the crash to the brokers. */
void simulated_worker_crash(process_t *process, uint64_t culprit);
/* Begins an orderly stop; when the process has ended, it is started again `after_us` later. */
void simulated_worker_leave(process_t *process, uint64_t after_us);
void simulated_broker_drain(process_t *process, uint64_t after_us);
/* Whether a broker serves, and does not drain. */
bool simulated_broker_stays(const process_t *process);
/* What a worker's present process is. */
typedef struct worker_facts {
    unsigned types; /* bits of those that it brings */
    uint64_t app_version;
    bool leaving;
    incarnation_t runner; /* its runner id */
    runner_standing_t standing;
    uint64_t standing_us; /* since when */
    bool is_large;        /* has room for all entities */
    bool handles;         /* a message is at hand */
} worker_facts_t;
worker_facts_t simulated_worker_facts(const process_t *process);
/* Whether a broker's coordinator has taken all that has come. */
bool simulated_broker_follows(const process_t *process);
/* When its coordinator last came back from a long call to the store; now: it still waits. */
uint64_t simulated_broker_stalled_us(const process_t *process);
/* Durable messages that the broker holds and that have not ended. */
uint64_t simulated_broker_pending(const process_t *process);
/* Entities that are parked there. */
uint64_t simulated_broker_parked(const process_t *process);
/* Whether its router has this durable message in memory. */
bool simulated_broker_has(const process_t *process, uint64_t request_id);
/* Of the broker's present process. */
incarnation_t simulated_broker_incarnation(const process_t *process);
/* An appender has told its router that this entry is durable. */
void simulation_entry_told(uint32_t lane, uint64_t number);
/* Starts a process that has ended, later. */
void simulated_restart(process_t *process, uint64_t after_us);

/* The entity types, which differ in their names alone: ledgers to which messages append their
 * numbers. Entities of all types have the same ids, and so lie in the same shards. */
typedef struct ledger_request {
    uint32_t call;
    uint32_t defects; /* attempts that end in a defect */
    uint32_t fails;   /* 1: answers with a failure, of even calls a typed one */
} ledger_request_t;

/* The state of an entity. Of a persisted type the first two members are stored, the others are of
 * the instance. */
typedef struct ledger {
    uint32_t handled;                  /* messages that have changed the state */
    uint64_t chain;                    /* of their request ids: see check_chain */
    uint64_t last_id;                  /* of the durable messages appended */
    uint64_t last_request, last_epoch; /* the request id of that, and the epoch of its home */
    uint64_t epoch;                    /* of the home that delivered the first message */
    uint32_t entries;
} ledger_t;

/* Snapshots of types with events have this version, or the next one. */
enum { LEDGER_STATE_VERSION = 7 };

/* What an entity of a type with events appends, with each message that changes its state. */
typedef struct ledger_event {
    uint32_t call, run;
    uint32_t index;        /* among those of its message */
    fabric_bytes_t filler; /* so large it is */
} ledger_event_t;

enum { LEDGER_EVENT_TAGS = 2, LEDGER_EVENTS_MAX = 3 /* of a message */ };
#define LEDGER_FILLER_MAX 30000u

typedef struct ledger_reply {
    uint32_t call;
    uint32_t run;
} ledger_reply_t;

#include <fabric/worker.h>
extern const fabric_schema_t ledger_reply_schema;
extern const fabric_schema_t ledger_state_schema;
extern const fabric_schema_t ledger_event_schema;
/* Which kind of event the one of this index is. */
const fabric_event_type_t *ledger_event_type(uint32_t index);
/* What fills it. */
fabric_bytes_t ledger_filler(uint32_t call, uint32_t index);
extern const fabric_message_type_t ledger_append; /* durable */
extern const fabric_message_type_t ledger_peek;   /* volatile */
/* The type of this number, by the plan of the run. */
const fabric_entity_type_t *ledger_type(unsigned number);
/* The same, of a worker whose snapshots others cannot read. */
const fabric_entity_type_t *ledger_other_type(unsigned number);
/* Makes the types, as the plan has them. */
void ledger_begin(void);
/* The type of an entity, by its index, and its id. */
unsigned ledger_type_of(unsigned entity);
typedef struct ledger_id {
    char text[32];
} ledger_id_t;
ledger_id_t ledger_id_of(unsigned entity);
/* The worker whose executors run now. */
extern process_t *ledger_worker;

#endif
