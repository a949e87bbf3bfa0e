/* The store port: what the broker needs from a database. Adapters live in mysql/ and sqlite/; tests
 * have one in memory.
 *
 * A store_t is one connection. It belongs to one thread at a time; every call blocks, for at most
 * io_timeout_ms (connecting: connect_timeout_ms), so only store lanes and the coordinator's thread
 * call it, never the router's.
 *
 * Rules that every adapter keeps, and that tests/conformance checks:
 *  1. commit() is one transaction that begins with the conditional update of the writer row (batch
 * n to n + 1, by machine, lane and incarnation). Where no row matches it rolls back, changes
 * nothing and answers FENCED.
 *  2. An answer of OK from a changing call means: durable on disk.
 *  3. STORE_UNKNOWN means the connection broke or timed out when a commit may have been under way.
 * The store_t is then dead: every further call answers STORE_UNAVAILABLE; close it, open another,
 * and settle().
 *  4. STORE_BUSY means rolled back as a whole (deadlock, lock wait): the identical call may be run
 * again.
 *  5. STORE_UNAVAILABLE means nothing was changed, and the store_t may be dead.
 *  6. STORE_REJECTED means rolled back as a whole because of one item of the batch.
 *  7. Ids, keys and payloads are compared and kept as exact bytes.
 *  8. Views handed to visitors are valid during the visit only. A visitor does not call the store.
 *  9. When a call fails with STORE_BUSY, STORE_REJECTED, STORE_UNAVAILABLE or STORE_UNKNOWN because of
 * what the database answered, `last_error` holds the database's words and its error number.
 */
#ifndef CORE_STORE_H
#define CORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fabric/bytes.h>

#include "core/ids.h"
#include "core/reason.h"

#define STORE_SCHEMA_VERSION 2

typedef struct store store_t;

typedef struct store_options {
    const char *url; /* mysql://user@host:port/database[?socket=/path], or sqlite:/path/to/file */
    const char *password; /* NULL: none */
    uint32_t connect_timeout_ms;
    uint32_t io_timeout_ms;
    bool exclusive; /* SQLite: take and keep the broker's lock on the file; STORE_LOCKED names the
                       holder */
    const char *holder; /* with exclusive: who we are, for the message to others */
} store_options_t;

typedef struct store_cluster {
    uint8_t id[16];
    char name[256];
    uint32_t shards_per_group;
} store_cluster_t;

/* What database this is and how safely it stores, read back from the server, for people and
 * benchmarks. */
typedef struct store_facts {
    char product[64];     /* "MariaDB 10.11.6" */
    char durability[256]; /* "innodb_flush_log_at_trx_commit=1 sync_binlog=1 log_bin=0" */
    bool durable; /* an acknowledged commit survives a power failure, as far as settings tell */
    bool read_only;
} store_facts_t;

typedef struct store_broker {
    incarnation_t incarnation;
    uint32_t machine;
    uint64_t counter; /* raised at each renewal */
    char name[256];
    char router_endpoint[256];
    char pub_endpoint[256];
} store_broker_t;

typedef struct store_join {
    uint32_t machine;     /* leased slot, 0..1023 */
    uint64_t high_id;     /* ids made must be larger */
    uint64_t batches[16]; /* present batch number of each lane's writer row */
    int64_t now_ms;       /* the database's Unix time */
} store_join_t;

typedef struct store_coordinator {
    uint64_t term; /* 0: there has never been one */
    incarnation_t holder;
} store_coordinator_t;

typedef struct store_shard {
    shard_id_t shard;
    incarnation_t home; /* none: no home */
    uint64_t home_epoch;
    uint64_t mark; /* every message of the shard with a smaller id has ended */
} store_shard_t;

typedef struct store_type {
    fabric_bytes_t name;
    uint16_t group;
    fabric_bytes_t description; /* core/type_description.h */
} store_type_t;

typedef struct store_runner {
    incarnation_t incarnation;
    uint32_t weight;
    char name[256];
} store_runner_t;

/* One accepted message. Written once, never changed. */
typedef struct store_message {
    request_id_t id;
    shard_id_t shard;
    uint32_t flags; /* enum request_flag, REQUEST_DURABLE set */
    fabric_bytes_t type;
    fabric_bytes_t entity;
    fabric_bytes_t tag;
    fabric_bytes_t payload;
    fabric_bytes_t traceparent;
    fabric_bytes_t headers;
    call_key_t call;
    const uint8_t *key_hash; /* 32 bytes, or NULL: no primary key */
    int64_t deliver_at_ms;   /* 0: at once */
} store_message_t;

/* The one final reply of a message, or the bare end mark of a tell (status ok, empty payload). */
typedef struct store_reply {
    request_id_t id;
    shard_id_t shard;
    uint8_t status; /* enum reply_status: ok, failure or defect */
    uint32_t error; /* fabric_error_t */
    uint64_t code;  /* the entity's own failure code */
    fabric_bytes_t payload;
} store_reply_t;

/* What a message has been through: kept for the few that have any of it. */
typedef struct store_tally {
    uint32_t attempts;   /* used up: defects, and deaths of a process that ran it alone */
    uint32_t suspicions; /* how often a process died while the message was in flight to it */
} store_tally_t;

typedef struct store_attempt {
    request_id_t id;
    store_tally_t tally; /* replaces the one stored */
} store_attempt_t;

typedef struct store_dead_letter {
    const store_message_t *message; /* a full copy is kept */
    uint32_t error;                 /* fabric_error_t: the cause */
    uint32_t attempts;
    fabric_bytes_t text; /* last error */
} store_dead_letter_t;

/* What one transaction writes. The arrays hold pointers; nothing is copied or changed. Messages of
 * one shard stand in increasing order of id. A reply's message is in the store already or in the
 * same batch. */
typedef struct store_batch {
    uint64_t high_id; /* highest id made so far, for the writer row */
    uint64_t mark;    /* 0, or the new low-water mark of all shards whose home is the writer's
                         incarnation */
    const store_message_t *const *messages;
    size_t message_count;
    const store_reply_t *const *replies;
    size_t reply_count;
    const store_attempt_t *attempts;
    size_t attempt_count;
    const store_dead_letter_t *dead_letters;
    size_t dead_letter_count;
} store_batch_t;

typedef struct store_writer {
    uint32_t machine;
    uint32_t lane;
    incarnation_t incarnation;
    uint64_t batch; /* number of the last batch known to be committed */
} store_writer_t;

/* Which item a STORE_REJECTED is about. */
typedef struct store_rejection {
    enum {
        STORE_ITEM_UNKNOWN,
        STORE_ITEM_MESSAGE,
        STORE_ITEM_REPLY,
        STORE_ITEM_ATTEMPT,
        STORE_ITEM_DEAD_LETTER
    } item;
    size_t index;    /* in its array */
    reason_t reason; /* filled in by the lane: what the database said */
} store_rejection_t;

typedef void store_visit_broker_fn(void *context, const store_broker_t *broker);
typedef void store_visit_shard_fn(void *context, const store_shard_t *shard);
typedef void store_visit_group_fn(void *context, uint16_t number, fabric_bytes_t name);
typedef void store_visit_type_fn(void *context, const store_type_t *type);
typedef void store_visit_runner_fn(void *context, const store_runner_t *runner);
/* A message with its tally so far, and its final reply or NULL. */
typedef void store_visit_message_fn(void *context, const store_message_t *message,
                                    store_tally_t tally, const store_reply_t *reply);

/* An adapter: one constant table. Each function's errors, besides those named: STORE_UNAVAILABLE,
 * STORE_BUSY, and for changing calls STORE_UNKNOWN. `reason`, where there is one, may be NULL. */
typedef struct store_driver {
    const char *scheme; /* of the URL: "mysql", "sqlite" */

    /* Connects. INVALID_CONFIGURATION for a URL that cannot be understood, STORE_LOCKED,
     * STORE_UNAVAILABLE. */
    fabric_error_t (*open)(const store_options_t *options, reason_t *reason, store_t **store);
    /* Never fails, never blocks for long; takes a dead store_t too. */
    void (*close)(store_t **store);

    /* `version` gets the schema version found, 0 when the database holds none of our tables.
     * FOREIGN_DATABASE when it holds tables of these names that are not ours. */
    fabric_error_t (*schema_status)(store_t *store, reason_t *reason, uint32_t *version);
    /* Migrates forward to STORE_SCHEMA_VERSION under a lock, and founds the cluster (random id)
     * where there is none; then name and shards_per_group of `wanted` must agree with what is
     * there: FOREIGN_DATABASE, SHARDS_MISMATCH. WRONG_SCHEMA_VERSION when the database is newer
     * than the program. Harmless when nothing is to be done. */
    fabric_error_t (*schema_apply)(store_t *store, const store_cluster_t *wanted, reason_t *reason);
    /* Everything that must hold before a broker may start, except weak durability, which the caller
     * judges by facts(): WRONG_SCHEMA_VERSION, FOREIGN_DATABASE (name given and different; not
     * InnoDB), SHARDS_MISMATCH (given, not 0, and different), STORE_UNAVAILABLE for a read-only
     * server. `name` may be empty. */
    fabric_error_t (*check)(store_t *store, const char *name, uint32_t shards_per_group,
                            reason_t *reason, store_cluster_t *cluster);
    fabric_error_t (*facts)(store_t *store, store_facts_t *facts);

    /* Membership. Joining leases a machine slot: the one of a former incarnation with the same
     * router endpoint, which is fenced and forgotten by this (on an exclusive store, all others
     * are), else a free one whose writer rows nobody holds. Takes over `lanes` writer rows. BUSY
     * when LIMIT_BROKERS_MAX others are members, since the map has no room for one more, or when
     * no slot is free. */
    fabric_error_t (*broker_join)(store_t *store, const store_broker_t *broker, uint32_t lanes,
                                  store_join_t *join);
    /* Raises the counter. FENCED when the incarnation is no member any more. */
    fabric_error_t (*broker_renew)(store_t *store, incarnation_t incarnation);
    /* Fences our own writers and forgets the broker: the last thing an orderly stop does. */
    fabric_error_t (*broker_leave)(store_t *store, incarnation_t incarnation);
    fabric_error_t (*broker_list)(store_t *store, store_visit_broker_fn *visit, void *context);

    fabric_error_t (*coordinator_read)(store_t *store, store_coordinator_t *coordinator);
    /* Takes the lease row with term + 1 where it still holds `before` (term and holder). FENCED
     * where it does not. `term` gets the new term. */
    fabric_error_t (*coordinator_take)(store_t *store, const store_coordinator_t *before,
                                       incarnation_t holder, uint64_t *term);

    /* One transaction each, beginning with a conditional update of the coordinator row by (term,
     * holder): FENCED where it matches no row. */
    /* Fences the writers of every incarnation that is not among `living`, forgets those brokers,
     * and moves each shard without a living home to `holder`, raising its home epoch. */
    fabric_error_t (*take_homes)(store_t *store, uint64_t term, incarnation_t holder,
                                 const incarnation_t *living, size_t living_count);
    /* Finds or makes a shard group; new shards get `holder` as home, epoch 1. LIMIT_EXCEEDED where
     * shard_map_can_grow says no. */
    fabric_error_t (*group_put)(store_t *store, uint64_t term, incarnation_t holder,
                                fabric_bytes_t name, uint16_t *number);
    /* Stores a type or replaces its description. TYPE_CONFLICT when it is stored with another
     * group. */
    fabric_error_t (*type_put)(store_t *store, uint64_t term, incarnation_t holder,
                               const store_type_t *type);
    fabric_error_t (*runner_put)(store_t *store, uint64_t term, incarnation_t holder,
                                 const store_runner_t *runner);
    fabric_error_t (*runner_remove)(store_t *store, uint64_t term, incarnation_t holder,
                                    incarnation_t runner);

    fabric_error_t (*group_list)(store_t *store, store_visit_group_fn *visit, void *context);
    fabric_error_t (*type_list)(store_t *store, store_visit_type_fn *visit, void *context);
    fabric_error_t (*runner_list)(store_t *store, store_visit_runner_fn *visit, void *context);
    /* All shards, by shard id. */
    fabric_error_t (*shard_list)(store_t *store, store_visit_shard_fn *visit, void *context);

    /* The highest id of all writer rows, whoever holds them, 0 where there is none: no message of
     * writers that are fenced has a larger id. */
    fabric_error_t (*high_id)(store_t *store, uint64_t *high_id);

    /* The hot path. FENCED, STORE_REJECTED (`rejection` says which), STORE_LOST is never answered
     * here. The caller raises writer->batch after OK. */
    fabric_error_t (*commit)(store_t *store, const store_writer_t *writer,
                             const store_batch_t *batch, store_rejection_t *rejection);
    /* Reads the writer row with a lock, so that a commit still running is waited for: `batch` gets
     * its number. FENCED when the row bears another incarnation. */
    fabric_error_t (*settle)(store_t *store, const store_writer_t *writer, uint64_t *batch);

    /* Every message with id >= from and no final reply, in increasing order of id, of all shards.
     */
    fabric_error_t (*load_pending)(store_t *store, request_id_t from, store_visit_message_fn *visit,
                                   void *context);
    /* Looks at the messages with floor < id <= *last, from the largest id down, at most `rows_max` of
     * them. Visits those whose call key is among `calls`, in any order, with their replies where they
     * have any. `*last` gets the largest id that may be left, the floor when none is. */
    fabric_error_t (*find_calls)(store_t *store, request_id_t floor, request_id_t *last,
                                 uint32_t rows_max, const call_key_t *calls, size_t call_count,
                                 store_visit_message_fn *visit, void *context);
    /* The messages that the primary-key hashes (32 bytes each, back to back) stand for, with
     * replies. */
    fabric_error_t (*find_keys)(store_t *store, const uint8_t *hashes, size_t hash_count,
                                store_visit_message_fn *visit, void *context);
    /* The final replies of these messages, where there are any. The visitor gets the message too.
     */
    fabric_error_t (*find_replies)(store_t *store, const request_id_t *ids, size_t id_count,
                                   store_visit_message_fn *visit, void *context);
} store_driver_t;

/* What all adapters share: the first member of every store_t. */
struct store {
    const store_driver_t *driver;
    reason_t
        last_error; /* the database's words and number at its last error; empty: there was none */
};

/* Notes what the database said. The words hold no secrets: neither passwords nor payloads. */
void store_note_error(store_t *store, unsigned number, const char *words);
/* Why a call failed, for people: the database's words where it refused, else the error's meaning. */
const char *store_error_text(const store_t *store, fabric_error_t error);

/* Finds the driver of a URL's scheme among `drivers`, NULL-terminated, and opens it.
 * INVALID_CONFIGURATION names the schemes that exist. */
FABRIC_MUST_USE fabric_error_t store_open(const store_driver_t *const *drivers,
                                          const store_options_t *options, reason_t *reason,
                                          store_t **store);
void store_close(store_t **store); /* takes NULL inside */

#endif
