/* The store port: what the broker needs from a database. Adapters live in mysql/ and sqlite/; tests
 * have one in memory. What holds between its tables: docs/store.md.
 *
 * A store_t is one connection. It belongs to one thread at a time. Every call blocks, for at most
 * io_timeout_ms (connecting: connect_timeout_ms), so only the store actors and the coordinator's
 * thread call it, never the router's.
 *
 * Rules that every adapter keeps, and that tests/conformance checks:
 *  1. An answer of OK from a changing call means: durable on disk.
 *  2. STORE_UNKNOWN means that the connection broke or timed out when a commit may have been under
 *     way. The store_t is then dead: every further call answers STORE_UNAVAILABLE. After an append
 *     or a lane_take the caller opens another store_t and runs the identical call again, which
 *     inserts, or finds its own entry. All other changing calls may be repeated as well.
 *  3. STORE_BUSY means rolled back as a whole (deadlock, lock wait): the identical call may be run
 *     again.
 *  4. STORE_UNAVAILABLE means nothing was changed, and the store_t may be dead.
 *  5. FENCED means that the row which gives the right to the change names somebody else or another
 *     epoch or term: nothing was changed.
 *  6. Ids, keys and payloads are compared and kept as exact bytes.
 *  7. Views handed to visitors are valid during the visit only. A visitor does not call the store.
 *  8. When a call fails because of what the database answered, `last_error` holds the database's
 *     words and its error number.
 *  9. An append locks nothing but its own rows and its anchor. Every other transaction locks the
 *     lane's row, or the coordinator's, first. A process that freezes inside a transaction loses
 *     its session, and with it its locks, after 2 s; a call waits for a lock for at most 1 s.
 */
#ifndef CORE_STORE_H
#define CORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fabric/bytes.h>

#include "core/ids.h"
#include "core/reason.h"
#include "core/store_message.h"

#define STORE_SCHEMA_VERSION 8

/* Of a cluster that is founded without being told. */
#define STORE_SHARDS_PER_GROUP_DEFAULT 300u

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
    uint32_t lanes;
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
    uint64_t id_mark; /* no id that the broker has made is larger */
    char name[256];
    char router_endpoint[256];
    char pub_endpoint[256];
    broker_secret_t secret; /* never to be logged, shown or published */
} store_broker_t;

typedef struct store_join {
    uint32_t machine; /* leased slot, 0..1023 */
    uint64_t high_id; /* ids made must be larger */
    int64_t now_ms;   /* the database's Unix time */
} store_join_t;

typedef struct store_coordinator {
    uint64_t term; /* 0: there has never been one */
    incarnation_t holder;
} store_coordinator_t;

typedef struct store_type {
    fabric_bytes_t name;
    uint16_t group;
    fabric_bytes_t description; /* core/type_description.h; empty: the type is forgotten */
} store_type_t;

/* When the first type of the cluster was stored, by the database's clock. */
typedef struct store_registration {
    bool any; /* one was */
    uint64_t ago_ms;
} store_registration_t;

typedef struct store_runner {
    incarnation_t incarnation;
    uint32_t weight;
    char name[256];
} store_runner_t;

/* ---- lanes, journals and the rows that checkpoints write ---- */

/* A lane's row, with its row of checkpoints. */
typedef struct store_lane {
    uint32_t lane;
    incarnation_t holder; /* none: nobody holds it */
    uint64_t epoch;       /* grows with each holder */
    uint64_t number;      /* the rows are complete as of this entry */
    /* The number that the last checkpoint was to reach: larger than `number` if that checkpoint was
     * cut off. */
    uint64_t begun;
    uint64_t purged_id; /* no purged entry had a larger last id */
    int64_t purged_ms;  /* no purged entry was created later */
} store_lane_t;

/* Who writes to a lane: what its row must say. */
typedef struct store_hold {
    uint32_t lane;
    incarnation_t holder;
    uint64_t epoch;
} store_hold_t;

/* One row of a journal. core/journal/ makes and reads `calls` and `body`. */
typedef struct store_entry {
    uint32_t lane;
    uint64_t number; /* in its lane, without gaps; 0 made the lane */
    uint64_t epoch;
    incarnation_t incarnation; /* of the writer */
    uint64_t last_id;          /* the highest request id that the writer had made */
    int64_t created_ms;        /* Unix time */
    uint64_t log_bytes;        /* of all entries of the lane up to this one: calls and bodies */
    uint64_t checksum;         /* of everything else */
    bool adopt;                /* the first entry of a holder; never purged */
    fabric_bytes_t calls;
    fabric_bytes_t body;
} store_entry_t;

#define STORE_APPEND_ENTRIES_MAX 32u

/* An entry that a writer knows to be durable: as long as it is there, so is everything that was
 * committed before it. */
typedef struct store_anchor {
    uint32_t lane;
    uint64_t number;
    uint64_t checksum;
} store_anchor_t;

/* What of the entries is read. */
typedef enum store_entry_part {
    STORE_ENTRY_HEAD,  /* neither calls nor body */
    STORE_ENTRY_CALLS, /* not the body */
    STORE_ENTRY_ALL
} store_entry_part_t;

/* A message that had not ended at a checkpoint. `body` is a record of core/journal/ with all of it.
 * Messages whose time had not come lie apart, by that time: their position is their id, and they
 * were never delivered. */
typedef struct store_pending {
    uint64_t position; /* in its lane */
    uint64_t entity_hash;
    request_id_t id;
    shard_id_t shard;
    int64_t due_ms;  /* the message's time of delivery; 0: none */
    uint64_t number; /* of the entry as of which the row is true */
    uint32_t attempts, crashes;
    fabric_bytes_t type, entity, tag; /* for people: `body` says the same */
    fabric_bytes_t body;
} store_pending_t;

/* Which row of a lane: the rows of one entity lie together, in order. */
typedef struct store_row_key {
    uint64_t entity_hash;
    uint64_t position;
} store_row_key_t;

/* Which row of a scheduled message: they lie in the order of their times, then of their ids. */
typedef struct store_due_key {
    int64_t due_ms;
    uint64_t id;
} store_due_key_t;

/* Where the row of a message lies, which is told by its id alone. */
typedef struct store_place {
    request_id_t id;
    int64_t due_ms; /* of a scheduled message; 0: it is none, and the next two tell */
    uint64_t entity_hash;
    uint64_t position;
} store_place_t;

/* What a message that has a row has been through since. */
typedef struct store_amendment {
    store_row_key_t key;
    uint64_t number;
    uint32_t attempts, crashes;
} store_amendment_t;

typedef struct store_dead_row {
    request_id_t id;
    shard_id_t shard;
    uint64_t number;
    int64_t ended_ms;
    uint32_t error;    /* fabric_error_t: the cause */
    uint32_t attempts; /* defects and crashes */
    fabric_bytes_t type, entity, tag;
    fabric_bytes_t text; /* last error */
    fabric_bytes_t body; /* a record of core/journal/ */
} store_dead_row_t;

/* What a primary key is found by. The hash alone tells keys apart; with that of the entity, the
 * rows of one entity lie together. */
typedef struct store_key_name {
    uint64_t entity_hash; /* of the entity that the key is of */
    uint8_t hash[STORE_KEY_BYTES];
} store_key_name_t;

/* A primary key that stands: the message that has it and, once that has ended, its reply. */
typedef struct store_key {
    uint8_t hash[STORE_KEY_BYTES];
    uint64_t entity_hash;
    uint64_t number; /* of the entry as of which the row is true */
    bool ended;      /* `reply` is set; else only its id and shard are */
    store_reply_t reply;
} store_key_t;

/* Rows of a cleared entity: those of messages with ids below `below`, pending, scheduled or with
 * primary keys. Their number is not known, so slices delete up to `rows_max` of them until there
 * are fewer. Keys are the entity's by its hash alone. */
typedef struct store_clear {
    uint64_t entity_hash;
    fabric_bytes_t type, entity; /* empty: not known, the hash tells alone */
    uint64_t below;
    uint32_t rows_max; /* of all three together */
} store_clear_t;

/* How many were deleted. */
typedef struct store_cleared {
    uint32_t pending, scheduled, keys;
} store_cleared_t;

/* One transaction of a checkpoint: at most STORE_SLICE_ROWS_MAX changes, and STORE_SLICE_BYTES_MAX
 * or one change. All changes of one message lie in one slice. */
typedef struct store_slice {
    const store_pending_t *puts; /* inserted, or replaced */
    size_t put_count;
    const store_amendment_t *amendments; /* of rows; one without a row is ignored */
    size_t amendment_count;
    const store_row_key_t *deletes; /* of rows; one without a row is ignored */
    size_t delete_count;
    const store_pending_t *scheduled; /* of messages whose time has not come: as `puts` */
    size_t scheduled_count;
    const store_due_key_t *unscheduled; /* of these rows: as `deletes` */
    size_t unscheduled_count;
    const store_dead_row_t *dead; /* inserted, or replaced */
    size_t dead_count;
    const store_key_t *keys; /* inserted, or replaced */
    size_t key_count;
    /* Inserted, in this order, before the states; ignored where they are there. Of an entity in the
     * order of their sequences, also over the slices of a checkpoint, and before the state that
     * contains them. */
    const store_event_t *events;
    size_t event_count;
    /* Inserted; ignored where they are there. Those of one source lie in one slice, with all else
     * that its end changes. */
    const store_outgoing_t *outgoing;
    size_t outgoing_count;
    const store_outgoing_key_t *sent; /* of rows, which are deleted; one without a row is ignored */
    size_t sent_count;
    const request_id_t *direct; /* messages whose direct results the journal has by now: their rows
                                   are deleted; one without a row is ignored */
    size_t direct_count;
    const store_state_t *states; /* inserted, or replaced; each entity at most once */
    size_t state_count;
    const store_kept_t *kept;   /* inserted, or replaced; those without a cause are deleted, and */
    size_t kept_count;          /* ignored where they have no row; each entity at most once */
    const store_clear_t *clear; /* after all else; its rows_max counts as changes; NULL: none */
    store_cleared_t *cleared;   /* what came of it, after OK; not NULL where `clear` is not */
    uint64_t settled; /* the rows are complete as of this entry: what the last checkpoint reached */
    uint64_t begun;   /* the entry number that this checkpoint is to reach */
    uint64_t newest;  /* the largest entry that a row is as of, if that is above `begun` */
    bool last;        /* with this slice the rows are complete as of `begun` */
} store_slice_t;

/* Who commits the transactions of handlers: the owner of a type's part of a shard, by its token. */
typedef struct store_owner {
    uint32_t lane; /* of the shard */
    shard_id_t shard;
    token_t token;
    fabric_bytes_t type;
} store_owner_t;

#define STORE_SLICE_ROWS_MAX  5000u
#define STORE_SLICE_BYTES_MAX (4u << 20)

/* Which rows of one entity to load: after < position <= until, in order, at most `limit`. */
typedef struct store_range {
    uint64_t entity_hash;
    uint64_t after, until;
    uint32_t limit;
} store_range_t;

/* An entity, by its exact name. */
typedef struct store_entity_name {
    fabric_bytes_t type, entity;
} store_entity_name_t;

/* Which events of one entity to load: those behind sequence `after`, in order, at most `limit`. */
typedef struct store_history {
    store_entity_name_t name;
    uint64_t after;
    uint32_t limit;
} store_history_t;

/* How many outgoing messages to one target lane have rows, and the smallest id among them. */
typedef struct store_outbox {
    uint32_t target_lane;
    uint64_t count;
    uint64_t first;
} store_outbox_t;

/* How many rows of one entity a lane has, and where. */
typedef struct store_backlog {
    uint64_t entity_hash;
    uint64_t count;
    uint64_t first, last; /* positions */
} store_backlog_t;

/* Which entries to delete: those below `before` that are older, or lie before that many bytes. */
typedef struct store_purge {
    uint64_t before;           /* number; one above the checkpoint's counts as the checkpoint's */
    int64_t created_before_ms; /* store_entry.created_ms is smaller */
    uint64_t log_bytes_before; /* store_entry.log_bytes is smaller; 0: by time only */
    /* What oldest_outgoing has told: entries whose last id is larger are deleted for their bytes
     * only; 0: no such bound. */
    uint64_t open_id;
    uint32_t entries_max;
    /* Ends with the entry whose log_bytes is larger by this than that of the first one deleted, so
     * that other writers hardly wait; 0: no such bound. */
    uint64_t bytes_max;
    /* Of primary keys whose messages have ended: up to keys_max of those that were to be kept until
     * before this Unix time, the oldest first. */
    int64_t keys_before_ms;
    uint32_t keys_max; /* 0: none */
} store_purge_t;

typedef struct store_purged {
    uint32_t entries;
    uint64_t bytes; /* of calls and bodies */
    uint32_t keys;
} store_purged_t;

typedef void store_visit_broker_fn(void *context, const store_broker_t *broker);
typedef void store_visit_group_fn(void *context, uint16_t number, fabric_bytes_t name);
typedef void store_visit_type_fn(void *context, const store_type_t *type);
typedef void store_visit_runner_fn(void *context, const store_runner_t *runner);
/* `rows` and `bytes` may be estimates of the server. */
typedef void store_visit_table_fn(void *context, const char *table, uint64_t rows, uint64_t bytes);
typedef void store_visit_lane_fn(void *context, const store_lane_t *lane);
/* false: no more entries are wanted. */
typedef bool store_visit_entry_fn(void *context, const store_entry_t *entry);
/* `range`: the index of the range that the row belongs to. */
typedef void store_visit_pending_fn(void *context, size_t range, const store_pending_t *row);
typedef void store_visit_backlog_fn(void *context, const store_backlog_t *backlog);
typedef void store_visit_place_fn(void *context, const store_place_t *place);
typedef void store_visit_key_fn(void *context, const store_key_t *key);
typedef void store_visit_name_fn(void *context, const store_key_name_t *name);
typedef void store_visit_state_fn(void *context, const store_state_t *state);
typedef void store_visit_kept_fn(void *context, const store_kept_t *kept);
typedef void store_visit_outgoing_fn(void *context, const store_outgoing_t *message);
typedef void store_visit_outbox_fn(void *context, const store_outbox_t *outbox);
/* What a worker has stored as the result of a message. */
typedef void store_visit_direct_fn(void *context, fabric_bytes_t body);
/* `history`: the index of the history that the event belongs to. */
typedef void store_visit_event_fn(void *context, size_t history, const store_event_t *event);

/* An adapter: one constant table. Each function's errors, besides those named: STORE_UNAVAILABLE,
 * STORE_BUSY, and for changing calls STORE_UNKNOWN. `reason`, where there is one, may be NULL. */
typedef struct store_driver {
    const char *scheme;      /* of the URL: "mysql", "sqlite" */
    uint32_t slice_rows_max; /* changes of one slice of a checkpoint, so that appends hardly wait;
                                at most STORE_SLICE_ROWS_MAX */
    uint32_t lanes_default;  /* of a cluster that is founded without being told: 1 where the store
                                has one broker, since each lane of an append costs some writes */

    /* Connects. INVALID_CONFIGURATION for a URL that cannot be understood, STORE_LOCKED,
     * STORE_UNAVAILABLE, STORE_UNSAFE where the server does not keep a session's settings. */
    fabric_error_t (*open)(const store_options_t *options, reason_t *reason, store_t **store);
    /* Never fails, never blocks for long; takes a dead store_t too. */
    void (*close)(store_t **store);

    /* `version` gets the schema version found, 0 when the database holds none of our tables.
     * FOREIGN_DATABASE when it holds tables of these names that are not ours. */
    fabric_error_t (*schema_status)(store_t *store, reason_t *reason, uint32_t *version);
    /* Migrates forward to STORE_SCHEMA_VERSION under a lock, and founds the cluster (random id, all
     * lanes with their entries 0; the defaults, and lanes_default,
     * for what is 0 in `wanted`) where there is none; then
     * name, shards_per_group and lanes of `wanted`, where they are given, must agree with what is
     * there: FOREIGN_DATABASE, SHARDS_MISMATCH.
     * WRONG_SCHEMA_VERSION when the database is newer than the program. Harmless when nothing is to
     * be done, and when it was interrupted before. */
    fabric_error_t (*schema_apply)(store_t *store, const store_cluster_t *wanted, reason_t *reason);
    /* Everything that must hold before a broker may start, except weak durability, which the caller
     * judges by facts(): WRONG_SCHEMA_VERSION, FOREIGN_DATABASE (name given and different; not
     * InnoDB), SHARDS_MISMATCH (shards_per_group or lanes given, not 0, and different),
     * STORE_UNSAFE (settings with which appends or fences would not work), STORE_UNAVAILABLE for a
     * read-only server. `wanted->name` may be empty. */
    fabric_error_t (*check)(store_t *store, const store_cluster_t *wanted, reason_t *reason,
                            store_cluster_t *cluster);
    fabric_error_t (*facts)(store_t *store, store_facts_t *facts);
    /* Rows and bytes of each of our tables, for people. */
    fabric_error_t (*table_list)(store_t *store, store_visit_table_fn *visit, void *context);

    /* Membership. Joining leases a machine slot: the one of a former incarnation with the same
     * router endpoint, whose row is deleted by this (on an exclusive store, all others are), else
     * one that no member has. `broker->id_mark` is ignored: the slot's new row begins with the mark
     * of the slot's former holder, which `join->high_id` gets. BUSY when LIMIT_BROKERS_MAX others
     * are members, since the map has no room for one more. */
    fabric_error_t (*broker_join)(store_t *store, const store_broker_t *broker, store_join_t *join);
    /* Raises the counter, and the id mark to at least `id_mark`. FENCED when the incarnation is no
     * member any more. */
    fabric_error_t (*broker_renew)(store_t *store, incarnation_t incarnation, uint64_t id_mark);
    /* Gives up all lanes that the broker holds and forgets it: the last thing an orderly stop does.
     */
    fabric_error_t (*broker_leave)(store_t *store, incarnation_t incarnation);
    fabric_error_t (*broker_list)(store_t *store, store_visit_broker_fn *visit, void *context);

    fabric_error_t (*coordinator_read)(store_t *store, store_coordinator_t *coordinator);
    /* Takes the lease row with term + 1 where it still holds `before` (term and holder). FENCED
     * where it does not. `term` gets the new term. */
    fabric_error_t (*coordinator_take)(store_t *store, const store_coordinator_t *before,
                                       incarnation_t holder, uint64_t *term);

    /* One transaction each, beginning with a conditional update of the coordinator row by (term,
     * holder): FENCED where it matches no row. */
    /* Finds or makes a shard group. LIMIT_EXCEEDED where shard_map_can_grow says no. */
    fabric_error_t (*group_put)(store_t *store, uint64_t term, incarnation_t holder,
                                fabric_bytes_t name, uint16_t *number);
    /* Deletes the row of a broker that is not to go on: it cannot renew any more. The id mark of
     * its slot stays. */
    fabric_error_t (*broker_remove)(store_t *store, uint64_t term, incarnation_t holder,
                                    incarnation_t broker);
    /* Stores a type or replaces its description; the first one that is ever stored sets the time
     * that first_registration tells. TYPE_CONFLICT when it is stored with another group. */
    fabric_error_t (*type_put)(store_t *store, uint64_t term, incarnation_t holder,
                               const store_type_t *type);
    fabric_error_t (*runner_put)(store_t *store, uint64_t term, incarnation_t holder,
                                 const store_runner_t *runner);
    fabric_error_t (*runner_remove)(store_t *store, uint64_t term, incarnation_t holder,
                                    incarnation_t runner);

    fabric_error_t (*group_list)(store_t *store, store_visit_group_fn *visit, void *context);
    fabric_error_t (*type_list)(store_t *store, store_visit_type_fn *visit, void *context);
    fabric_error_t (*runner_list)(store_t *store, store_visit_runner_fn *visit, void *context);
    fabric_error_t (*first_registration)(store_t *store, store_registration_t *registration);

    /* ---- lanes: all of them exist since the cluster was founded, with entry 0 ---- */

    fabric_error_t (*lane_list)(store_t *store, store_visit_lane_fn *visit, void *context);
    /* Under the term, as above. Names `holder` (none: nobody) as the holder with epoch + 1, where
     * the row still has `before`'s holder and epoch; STORE_REJECTED where it has not. Never waits:
     * STORE_BUSY where the row is locked. */
    fabric_error_t (*lane_assign)(store_t *store, uint64_t term, incarnation_t coordinator,
                                  const store_hold_t *before, incarnation_t holder);
    /* The lane has no holder any more; its epoch stays. FENCED where the row is not `hold`'s. */
    fabric_error_t (*lane_give_up)(store_t *store, const store_hold_t *hold);

    /* ---- the journal ---- */

    /* The hot path: one plain insert of one entry or more for each of some lanes, which locks
     * nothing else; at most STORE_APPEND_ENTRIES_MAX. STORE_REJECTED: a number is taken, and
     * nothing was written. */
    fabric_error_t (*append)(store_t *store, const store_entry_t *entries, size_t count);
    /* The same in one statement, but only where the entry of the anchor is there: FENCED where it
     * is not, as in an older copy of the database, and nothing was written. The first entry has no
     * `adopt`. */
    fabric_error_t (*append_after)(store_t *store, const store_anchor_t *anchor,
                                   const store_entry_t *entries, size_t count);
    /* Inserts an entry with `adopt` set, in one transaction with a locking read of the lane's row,
     * which must be `hold`'s: FENCED. STORE_REJECTED: the number is taken. */
    fabric_error_t (*lane_take)(store_t *store, const store_hold_t *hold,
                                const store_entry_t *entry);
    /* For repairs: puts `entry` into its place, whether there is one or not, and raises the lane's
     * purged mark to its last id and creation time. One transaction with a locking read of the
     * lane's row, which must be `hold`'s, whose holder is none: FENCED. */
    fabric_error_t (*journal_replace)(store_t *store, const store_hold_t *hold,
                                      const store_entry_t *entry);
    /* Visits entries with number >= from, in order, until the visitor says false, about `bytes_max`
     * bytes of calls and bodies were visited, or `entries_max` entries. No snapshot stays open
     * after it. */
    fabric_error_t (*read_journal)(store_t *store, uint32_t lane, uint64_t from,
                                   store_entry_part_t part, uint32_t entries_max,
                                   uint64_t bytes_max, store_visit_entry_fn *visit, void *context);
    /* The same from the largest number <= *upto* down. */
    fabric_error_t (*read_journal_back)(store_t *store, uint32_t lane, uint64_t upto,
                                        store_entry_part_t part, uint32_t entries_max,
                                        uint64_t bytes_max, store_visit_entry_fn *visit,
                                        void *context);
    /* One transaction, which begins with a locking read of the lane's row (FENCED), and first
     * raises the purged mark. Deletes from the oldest entry on, up to the first that is to stay;
     * passes over those with `adopt` set. The newest entry and those above the checkpoint stay in
     * any case, since only entries below the checkpoint's number are deleted. Deletes keys as
     * well. */
    fabric_error_t (*purge)(store_t *store, const store_hold_t *hold, const store_purge_t *purge,
                            store_purged_t *purged);

    /* ---- rows ---- */

    /* One transaction, which begins with a locking read of the lane's row: FENCED. STORE_LOST, and
     * nothing was changed: the rows are complete neither as of `settled` nor, since the last slice
     * may be repeated, as of `begun`, or the entry `begun` or `newest` is not there, as in an older
     * copy of the database; or an event is there with the sequence of one of these, and is another
     * one. */
    fabric_error_t (*checkpoint)(store_t *store, const store_hold_t *hold,
                                 const store_slice_t *slice);
    /* Visits the rows of the ranges, range by range. Stops when the bodies of the rows visited
     * reach `bytes_max`, also within a range. `*done` gets how many ranges were read to their ends.
     */
    fabric_error_t (*load_rows)(store_t *store, uint32_t lane, const store_range_t *ranges,
                                size_t count, uint64_t bytes_max, store_visit_pending_fn *visit,
                                void *context, size_t *done);
    /* For each entity that has rows; reads all keys of the lane's rows. */
    fabric_error_t (*list_backlogs)(store_t *store, uint32_t lane, store_visit_backlog_fn *visit,
                                    void *context);
    /* Which of these rows there are: `found[i]` says so. */
    fabric_error_t (*find_rows)(store_t *store, uint32_t lane, const store_row_key_t *keys,
                                size_t count, bool *found);
    /* Visits the rows of scheduled messages behind `after`, in order, at most `limit`; the range is
     * 0. Stops when the bodies of the rows visited reach `bytes_max`. `*ended`: there are no more.
     */
    fabric_error_t (*load_scheduled)(store_t *store, uint32_t lane, store_due_key_t after,
                                     uint32_t limit, uint64_t bytes_max,
                                     store_visit_pending_fn *visit, void *context, bool *ended);
    fabric_error_t (*count_scheduled)(store_t *store, uint32_t lane, uint64_t *count);
    /* Those of one type; reads all of the lane's rows. */
    fabric_error_t (*count_scheduled_type)(store_t *store, uint32_t lane, fabric_bytes_t type,
                                           uint64_t *count);
    /* As find_rows. */
    fabric_error_t (*find_scheduled)(store_t *store, uint32_t lane, const store_due_key_t *keys,
                                     size_t count, bool *found);
    /* Visits where the rows of these messages lie, those of scheduled messages first. There is no
     * index by id: it reads all keys of the lane's rows. */
    fabric_error_t (*find_places)(store_t *store, uint32_t lane, const request_id_t *ids,
                                  size_t count, store_visit_place_fn *visit, void *context);

    /* ---- primary keys ---- */

    /* Visits the rows of these keys that there are, in any order. */
    fabric_error_t (*find_keys)(store_t *store, uint32_t lane, const store_key_name_t *names,
                                size_t count, store_visit_key_fn *visit, void *context);
    /* Visits the names of the rows behind `after`, NULL: of all rows; at most `limit`, in an order
     * of the store's own, which never changes. `*ended`: there are no more. */
    fabric_error_t (*list_keys)(store_t *store, uint32_t lane, const store_key_name_t *after,
                                uint32_t limit, store_visit_name_fn *visit, void *context,
                                bool *ended);

    /* ---- states of entities ---- */

    /* Visits the rows of these entities that there are, in any order. Stops once the states visited
     * reach `bytes_max`, after some more at most. `*done` gets of how many of the first names all
     * rows were visited. */
    fabric_error_t (*load_states)(store_t *store, uint32_t lane, const store_entity_name_t *names,
                                  size_t count, uint64_t bytes_max, store_visit_state_fn *visit,
                                  void *context, size_t *done);

    /* ---- events of entities ---- */

    /* Visits the rows of the histories, history by history. Stops when the rows visited reach
     * `bytes_max` (store_event_bytes), also within a history. `*done` gets how many histories were
     * read to their ends, or limits. */
    fabric_error_t (*load_events)(store_t *store, uint32_t lane, const store_history_t *histories,
                                  size_t count, uint64_t bytes_max, store_visit_event_fn *visit,
                                  void *context, size_t *done);

    /* ---- outgoing messages ---- */

    /* Visits the rows of messages to one target lane behind `after`, in the order of their keys, at
     * most `limit`. Stops when the bytes of the rows visited reach `bytes_max`. `*ended`: there
     * are no more. */
    fabric_error_t (*load_outgoing)(store_t *store, uint32_t lane, uint32_t target_lane,
                                    store_outgoing_key_t after, uint32_t limit, uint64_t bytes_max,
                                    store_visit_outgoing_fn *visit, void *context, bool *ended);
    /* For each target lane to which there are rows; reads all keys of the lane's rows. */
    fabric_error_t (*list_outboxes)(store_t *store, uint32_t lane, store_visit_outbox_fn *visit,
                                    void *context);
    /* An id that is not larger than that of any open outgoing message of any lane, in rows or above
     * its checkpoint: of a lane that has entries above it, the last id of the entry that it has
     * reached counts, or 1 if that entry is gone. At least 1. UINT64_MAX: none is open. */
    fabric_error_t (*oldest_outgoing)(store_t *store, uint64_t *id);

    /* ---- entities that are kept alive ---- */

    /* Visits all of the lane, in any order. */
    fabric_error_t (*list_kept)(store_t *store, uint32_t lane, store_visit_kept_fn *visit,
                                void *context);

    /* ---- transactions of handlers, for workers ----
     *
     * NULL, all of them, where the database cannot have any. direct_begin leaves a transaction
     * open, in which the handler runs statements of its own over direct_connection. Until it has
     * ended, nothing else is called but the following. */

    /* Makes the owner the one that commits: no owner with a smaller token does from now on. Waits
     * for one that is just committing. FENCED: the lane has another epoch, or an owner with a
     * larger token was here. */
    fabric_error_t (*owner_claim)(store_t *store, const store_owner_t *owner);
    /* Begins the transaction of a message, unless it has a direct result already: that one is
     * visited, `*found` is true, and nothing is open. Waits for somebody who is just writing it. */
    fabric_error_t (*direct_begin)(store_t *store, request_id_t id, store_visit_direct_fn *visit,
                                   void *context, bool *found);
    /* The database's own connection, for the handler; valid until the transaction has ended. */
    void *(*direct_connection)(store_t *store);
    /* Whether the transaction is still the one that direct_begin has begun: *stands. It stays
     * open, also after an error. To be called once. */
    fabric_error_t (*direct_check)(store_t *store, bool *stands);
    /* Stores the result of the message and commits, if the lane still has the epoch of the owner's
     * token, and the owner is the one that has claimed last: FENCED. STORE_REJECTED: the message
     * has a direct result. The transaction has ended in any case. */
    fabric_error_t (*direct_commit)(store_t *store, const store_owner_t *owner, request_id_t id,
                                    fabric_bytes_t body);
    void (*direct_roll_back)(store_t *store);
} store_driver_t;

/* What all adapters share: the first member of every store_t. */
struct store {
    const store_driver_t *driver;
    reason_t
        last_error; /* the database's words and number at its last error; empty: there was none */
};

/* Notes what the database said. The words hold no secrets: neither passwords nor payloads. */
void store_note_error(store_t *store, unsigned number, const char *words);
/* Why a call failed, for people: the database's words where it refused, else the error's meaning.
 */
const char *store_error_text(const store_t *store, fabric_error_t error);

/* Finds the driver of a URL's scheme among `drivers`, NULL-terminated, and opens it.
 * INVALID_CONFIGURATION names the schemes that exist. */
FABRIC_MUST_USE fabric_error_t store_open(const store_driver_t *const *drivers,
                                          const store_options_t *options, reason_t *reason,
                                          store_t **store);
void store_close(store_t **store); /* takes NULL inside */

#endif
