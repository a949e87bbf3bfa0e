/* An executor with a clock of its own. A test gives it orders and messages, lets it run, and takes
 * its results one after another.
 *
 * The executor has one entity type, Sum, with a mailbox of 2 volatile messages, idle after 1,000
 * ms, whose handlers are slow after more than 500 ms. Its state is an amount, which starting sets
 * to 100. Its messages:
 *
 *     Add     adds an amount and replies with the sum
 *     Fail    fails with code 7
 *     Break   is a defect
 *     Wait    stays pending, in `pending`
 *     Hold    the same
 *     Label   replies with a value that cannot be encoded
 *     Linger  takes so many milliseconds, after it has called `during`
 *     Keep    keeps the entity alive, but 0: does not
 *     End     terminates it, and stays pending, but 0: replies
 *     Lie     returns FABRIC_PENDING without a handle
 *     Obey    wants to be told of interrupts, runs `during`, and ends as interrupted if it is
 *     Twice   makes two handles, `pending` and `surplus`
 *
 * All orders and messages are of one shard. Requests are numbered from 1, in the order in which
 * they are given. A failed expectation fails the cmocka test.
 */
#ifndef TESTS_UNIT_EXECUTOR_DRIVER_H
#define TESTS_UNIT_EXECUTOR_DRIVER_H

#include "core/message.h"
#include "worker/executor.h"

#define EXECUTOR_DRIVER_SHARD 0x10001u

typedef struct executor_driver {
    type_table_t *types;
    executor_t *executor;
    work_lease_t lease; /* never runs out unless a test says so */
    uint64_t now_ms;
    uint64_t deadline_ms; /* of the messages that are given; 0: none */
    uint64_t request_id;  /* of the last one that was given */
    uint64_t home_epoch;  /* of the home that gives orders and messages: 1, until a home is lost */
    uint32_t round;       /* of the messages that are given */
    bool again;           /* they were delivered before */
    uint64_t position;    /* of messages that came due; 0: as their ids */

    /* What handlers have seen. */
    int starts, stops;
    int handled;      /* Add and Wait */
    char stopped[64]; /* the ids of entities that were stopped, one after another */
    fabric_token_t token;
    uint64_t left_ms; /* as Add saw it */
    fabric_pending_t *pending, *surplus;
    bool start_fails;
    void (*during)(struct executor_driver *d); /* called by Linger and Obey; NULL: nothing */
    interrupts_t *interrupts;
    work_t *announced;            /* an order that exec_announce has made; NULL: none */
    int told;                     /* how often Obey, or a handle, was told of an interrupt */
    fabric_interrupt_t told_why;  /* the last time */
    fabric_interrupt_t found_why; /* by Obey itself, as it ended */
    bool ignores;                 /* Obey replies all the same */
    /* Called when an instance is built, after the rest; NULL: it is built. */
    bool (*building)(struct executor_driver *d);
    fabric_instance_t *instance; /* for these two */
    /* Of a type with events: handlers append under this tag; NULL: Added. And so often more. */
    const char *append_tag;
    int appends;
    int64_t changes; /* Break, Wait, Hold, Label and Obey add so much to the state, too */
    int migrations, restores;
    bool migration_fails;
    bool fails_for_good; /* Fail terminates its entity, too */

    bool stateful; /* the last result that was taken had a state, and this one: */
    int64_t state;
    uint64_t state_version;

    /* The last result that was taken had events, or a snapshot, in `state`: */
    bool eventful, with_events;
    const char *given_id; /* of what exec_snapshot and exec_events give; NULL: "a" */
    bool has_snapshot;
    uint64_t first, sequence; /* of the events; of the snapshot */
    uint32_t event_count;
    int64_t events[4]; /* of the first ones */

    /* The last result that was taken had these told messages: */
    uint32_t outgoing_count;
    size_t outgoing_size;
    uint8_t outgoing[512];

    /* The defects that were reported: how many, and the last line. */
    int defects_told;
    char defect[512];
    /* The same for handlers that took long. */
    int slow_told;
    char slow[512];
    /* The same for entities that keep themselves alive and made room. */
    int evicted_told;
    char evicted[512];

    /* The same for transactions that were rolled back. */
    int rolled_back_told;
    char rolled_back[512];
    const transaction_config_t *database; /* of executors that are made from now on; NULL: none */

    /* What the last run has told of entities that are kept alive, in order: id, causes in digits,
     * and "-" where there is no instance; with spaces between. */
    char alive[256];

    work_output_t *outputs; /* of the last run */
    wire_reader_t results;
    bool results_open;
    uint8_t storage[64]; /* of the payload that is being given */
} executor_driver_t;

/* A test's state is its driver. */
int executor_driver_setup(void **state);
int executor_driver_teardown(void **state);
#define EXECUTOR_TEST(name)                                                                        \
    cmocka_unit_test_setup_teardown(name, executor_driver_setup, executor_driver_teardown)

/* ---- what the executor is given ---- */

/* Before anything else: at most so many entities have state, and wait for room. */
void exec_limit(executor_driver_t *d, uint32_t residents_max, uint32_t outside_max);
/* Likewise: so many handlers of an entity may be pending, and Wait is concurrent or not. */
void exec_concurrency(executor_driver_t *d, uint32_t concurrency, bool wait_is_concurrent);

/* Likewise: the type's uninterruptible. */
void exec_uninterruptible(executor_driver_t *d, uint32_t uninterruptible);

/* Likewise: the type is persisted, and its state is of version 2. A state of version 1 is half the
 * amount, as text. */
void exec_persisted(executor_driver_t *d);
/* The state with which the entity begins the activation under owner sequence 1. */
void exec_state(executor_driver_t *d, const char *id, uint64_t activation, uint64_t version,
                fabric_bytes_t state);

/* Likewise: the type has events, and snapshots of version 2 after so many of them; 0: none. What
 * handlers change, they append, as Added of version 2, which adds an amount. One of version 1 adds
 * twice the amount, and Emptied leaves nothing. */
void exec_with_events(executor_driver_t *d, uint32_t snapshot_every);
/* These events, for a type of the test's own. */
const fabric_event_type_t *exec_events_of_type(size_t *count);
/* What the entity "a" is given, as exec_state: a snapshot, or `state` empty; and a part of the
 * events behind it. */
void exec_snapshot(executor_driver_t *d, uint64_t activation, uint64_t version, uint64_t sequence,
                   fabric_bytes_t state);
void exec_events(executor_driver_t *d, uint64_t activation, uint64_t first, const char *tag,
                 uint32_t version, const int64_t *amounts, uint32_t count, bool more);

void exec_begin(executor_driver_t *d, uint64_t owner_sequence);
void exec_stop(executor_driver_t *d, uint64_t owner_sequence, uint64_t deadline_ms);
/* The home is lost; the next one gives the shard to this worker again, under owner sequence 1. */
void exec_orphan(executor_driver_t *d, uint64_t owner_sequence);
void exec_resume(executor_driver_t *d, uint64_t former_sequence);
/* The results that the lost home may not have committed: RESULT messages. */
void exec_kept(executor_driver_t *d, fabric_bytes_t messages);
/* Gives the executor a message whose frame is dropped after the message was dispatched. */
void exec_give(executor_driver_t *d, const char *id, const char *tag, uint64_t owner_sequence,
               uint64_t activation, uint64_t flags, fabric_bytes_t payload);
/* The payload of Add; valid until the next call. */
fabric_bytes_t exec_amount(executor_driver_t *d, int64_t amount);
/* The next three give messages under owner sequence 1, in activation 1. */
void exec_add(executor_driver_t *d, const char *id, int64_t amount); /* durable */
void exec_durable(executor_driver_t *d, const char *id, const char *tag);
void exec_volatile(executor_driver_t *d, const char *id, const char *tag);
/* The home wants the entity to have an instance, as of this activation; owner sequence 1. */
void exec_wake(executor_driver_t *d, const char *id, uint64_t activation, uint32_t causes);
/* Completes the handle `pending` with a reply; any thread. */
void exec_complete(executor_driver_t *d, int64_t amount);
/* The caller of the request to this entity wants it to end; owner sequence 1. */
void exec_interrupt(executor_driver_t *d, const char *id, uint64_t request_id);
/* The same while a handler runs: the order is announced, and `announced` is to be given later. */
void exec_announce_interrupt(executor_driver_t *d, const char *id, uint64_t request_id);
void exec_announce_stop(executor_driver_t *d, uint64_t owner_sequence, uint64_t deadline_ms);
/* For fabric_pending_on_interrupt; the argument is the driver. */
void exec_told(void *driver, fabric_interrupt_t why);
/* Steps until nothing is left to do, and takes the output. */
void exec_run(executor_driver_t *d);

/* ---- what it puts out ---- */

/* Takes the next result of the last run; false: an output of another kind, or none, is next. */
bool exec_next_result(executor_driver_t *d, message_result_t *result);
void exec_expect(executor_driver_t *d, uint64_t request_id, reply_status_t status,
                 fabric_error_t error);
void exec_expect_amount(executor_driver_t *d, uint64_t request_id, int64_t amount);
/* The last result had this state, or none. */
void exec_expect_state(executor_driver_t *d, int64_t amount);
void exec_expect_no_state(executor_driver_t *d);
/* The last result had these events, from that sequence on; none: it had no events. */
void exec_expect_events(executor_driver_t *d, uint64_t first, const int64_t *amounts,
                        uint32_t count);
/* The last result had this snapshot, with the events up to that sequence, or none. */
void exec_expect_snapshot(executor_driver_t *d, uint64_t sequence, int64_t amount);
void exec_expect_no_snapshot(executor_driver_t *d);
void exec_expect_no_result(executor_driver_t *d);
void exec_expect_stopped(executor_driver_t *d, uint64_t owner_sequence);
void exec_expect_orphaned(executor_driver_t *d, uint64_t owner_sequence);

/* ---- for executor_driver_events.c ---- */

typedef struct exec_amount {
    int64_t amount;
} exec_amount_t;
typedef struct exec_label {
    char text[8];
} exec_label_t;
extern const fabric_schema_t exec_amount_schema, exec_label_schema;

/* The type as it is by itself. */
fabric_entity_type_t exec_type(void);
/* A new executor, with that type. */
void exec_replace_type(executor_driver_t *d, const fabric_entity_type_t *other);
/* Counts. */
bool exec_restore(fabric_instance_t *instance, void *state);
/* Take a RESULT_EVENTS, and a RESULT_TOLD. */
void exec_take_result_events(executor_driver_t *d, wire_reader_t *body, message_result_t *result);
void exec_take_result_told(executor_driver_t *d, wire_reader_t *body, message_result_t *result);

#endif
