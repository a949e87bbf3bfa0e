/* The data of one in-memory database, and its transactions: every change is noted, so that it
 * can be taken back, and done again. Internal to the memory store; everything here is called
 * with the lock held. */
#ifndef TESTS_MEMORY_MEMORY_DATABASE_H
#define TESTS_MEMORY_MEMORY_DATABASE_H

#include "core/hash.h"
#include "core/limits.h"
#include "core/memory.h"
#include "tests/memory/memory_store.h"

/* A growing array of T: items, count, capacity. */
#define MEMORY_LIST(type)                                                                          \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t count;                                                                              \
        size_t capacity;                                                                           \
    }

/* Makes room for one more item and returns its place, whose contents are undefined. `list` is
 * evaluated more than once. */
#define MEMORY_APPEND(list)                                                                        \
    ((list)->items = memory_reserve((list)->items, (list)->count + 1, &(list)->capacity,           \
                                    sizeof *(list)->items),                                        \
     &(list)->items[(list)->count++])

/* Items in the order of their keys. Inserting at the end and removing at the beginning cost
 * nothing. */
typedef struct memory_place {
    uint64_t key;
    void *item;
} memory_place_t;

typedef struct memory_sequence {
    MEMORY_LIST(memory_place_t) places;
    size_t first; /* the places before it are free */
} memory_sequence_t;

/* Index of the first place with a key >= `key`; places.count where there is none. */
size_t memory_sequence_from(const memory_sequence_t *sequence, uint64_t key);
/* NULL where there is none. */
void *memory_sequence_find(const memory_sequence_t *sequence, uint64_t key);
/* The key is not in the sequence. */
void memory_sequence_insert(memory_sequence_t *sequence, uint64_t key, void *item);
/* The key is in the sequence. */
void memory_sequence_remove(memory_sequence_t *sequence, uint64_t key);
/* Frees the items, too. */
void memory_sequence_free(memory_sequence_t *sequence);

/* ---- what the tables hold ---- */

typedef struct memory_entry {
    store_entry_t entry; /* views into `bytes` */
    uint8_t bytes[];
} memory_entry_t;

typedef struct memory_row {
    store_pending_t row; /* views into `bytes` */
    uint8_t bytes[];
} memory_row_t;

typedef struct memory_dead_row {
    store_dead_row_t row; /* views into `bytes` */
    uint8_t bytes[];
} memory_dead_row_t;

typedef struct memory_key {
    store_key_t key; /* its payload is a view into `bytes` */
    uint8_t bytes[];
} memory_key_t;

typedef struct memory_state {
    store_state_t row; /* views into `bytes` */
    uint8_t bytes[];
} memory_state_t;

typedef struct memory_event {
    store_event_t row; /* views into `bytes` */
    uint8_t bytes[];
} memory_event_t;

typedef struct memory_outgoing {
    store_outgoing_t row; /* views into `bytes` */
    uint8_t bytes[];
} memory_outgoing_t;

typedef struct memory_kept {
    store_kept_t kept; /* views into `bytes` */
    uint8_t bytes[];
} memory_kept_t;

/* The rows of one entity: its pending messages, or its events. */
typedef struct memory_entity {
    UT_hash_handle hh;
    uint64_t hash;
    memory_sequence_t rows; /* memory_row_t by position, or memory_event_t by sequence */
} memory_entity_t;

typedef struct memory_lane {
    store_lane_t row;
    memory_sequence_t entries;               /* memory_entry_t by number */
    memory_entity_t *entities;               /* those that have rows, by hash */
    memory_sequence_t dead;                  /* memory_dead_row_t by request id */
    MEMORY_LIST(memory_row_t *) scheduled;   /* by time, then id */
    memory_sequence_t keys;                  /* memory_key_t by a hash of their hashes */
    memory_sequence_t states;                /* memory_state_t by a hash of their names */
    memory_entity_t *histories;              /* those that have events, by a hash of their names */
    MEMORY_LIST(memory_outgoing_t *) outbox; /* by key */
    memory_sequence_t kept;                  /* memory_kept_t by a hash of their names */
} memory_lane_t;

typedef struct memory_name {
    uint16_t group;
    uint8_t *bytes; /* name, then description */
    size_t name_size;
    size_t description_size;
} memory_name_t;

typedef MEMORY_LIST(uint8_t) memory_any_list_t;

/* ---- changes ---- */

typedef enum memory_change_kind {
    MEMORY_CHANGE_ENTRY, /* an entry was inserted, or removed; the same of the next eight */
    MEMORY_CHANGE_ROW,
    MEMORY_CHANGE_DEAD,
    MEMORY_CHANGE_SCHEDULED,
    MEMORY_CHANGE_KEY,
    MEMORY_CHANGE_STATE,
    MEMORY_CHANGE_EVENT,
    MEMORY_CHANGE_OUTGOING,
    MEMORY_CHANGE_KEPT,
    MEMORY_CHANGE_BYTES, /* a value at a fixed place was replaced */
    MEMORY_CHANGE_LIST   /* the items of a list were */
} memory_change_kind_t;

/* One change. Taken back, it becomes its own opposite. */
typedef struct memory_change {
    memory_change_kind_t kind;
    bool removed;    /* the first nine: `item` belongs to the change */
    uint64_t commit; /* which transaction made it */
    uint32_t lane;   /* the first nine */
    void *item;      /* the first nine */
    void *place;     /* BYTES: the value; LIST: the memory_any_list_t */
    void *before;    /* BYTES, LIST: what was there */
    size_t size;     /* BYTES: of the value; LIST: of one item */
    size_t count;    /* LIST: how many items were there */
} memory_change_t;

typedef MEMORY_LIST(memory_change_t) memory_changes_t;

/* A transaction whose answer was lost and that the database is still busy with: its changes,
 * taken back. */
typedef struct memory_running {
    memory_store_operation_t operation;
    uint32_t lane;  /* whose row it has locked; MEMORY_NO_LANE: it has not */
    uint32_t delay; /* calls that still come before it */
    memory_changes_t changes;
} memory_running_t;

#define MEMORY_NO_LANE UINT32_MAX

typedef struct memory_database {
    struct memory_database *next;
    char name[128];
    const store_t *holder; /* the store_t that has it exclusively, or NULL */
    char holder_text[160];
    int64_t now_ms;
    uint32_t version; /* of the schema; 0: none */
    bool foreign;
    store_cluster_t cluster;
    store_coordinator_t coordinator;
    int64_t registered_ms;                 /* when the first type was stored; 0: none was */
    uint64_t id_marks[LIMIT_MACHINES_MAX]; /* by slot */
    MEMORY_LIST(store_broker_t) brokers;
    MEMORY_LIST(store_runner_t) runners;
    MEMORY_LIST(memory_name_t) groups; /* item i is group i + 1 */
    MEMORY_LIST(memory_name_t) types;
    MEMORY_LIST(uint8_t *) names; /* the bytes of all groups and types that there ever were */
    memory_lane_t lanes[LIMIT_LANES_MAX];
    uint64_t commits;         /* transactions so far that have changed something and are in force */
    memory_changes_t changes; /* of the last transactions, oldest first */
    MEMORY_LIST(memory_running_t) running;
    MEMORY_LIST(memory_store_fault_t) faults;
} memory_database_t;

/* Frees all that the database holds; it is as new afterwards. */
void memory_database_clear(memory_database_t *database);

/* ---- changing, within a transaction ---- */

/* NULL where the cluster has no such lane. */
memory_lane_t *memory_lane_of(memory_database_t *database, uint32_t lane);
/* Copies the entry. false: its number is taken. */
bool memory_entry_insert(memory_database_t *database, const store_entry_t *entry);
void memory_entry_remove(memory_database_t *database, uint32_t lane, uint64_t number);
/* Copies the row; replaces one with the same key. */
void memory_row_put(memory_database_t *database, uint32_t lane, const store_pending_t *row);
/* NULL where there is none. */
memory_row_t *memory_row_find(const memory_lane_t *lane, store_row_key_t key);
/* A row that is not there is ignored. */
void memory_row_remove(memory_database_t *database, uint32_t lane, store_row_key_t key);
void memory_dead_put(memory_database_t *database, uint32_t lane, const store_dead_row_t *row);
/* The same of a scheduled message. */
void memory_scheduled_put(memory_database_t *database, uint32_t lane, const store_pending_t *row);
void memory_scheduled_remove(memory_database_t *database, uint32_t lane, store_due_key_t key);
/* Index of the first scheduled row that is not before the key. */
size_t memory_scheduled_from(const memory_lane_t *lane, store_due_key_t key);
/* NULL where there is none. */
memory_row_t *memory_scheduled_find(const memory_lane_t *lane, store_due_key_t key);
void memory_key_put(memory_database_t *database, uint32_t lane, const store_key_t *key);
/* Also deletes: where it has no cause. */
void memory_kept_put(memory_database_t *database, uint32_t lane, const store_kept_t *kept);
/* NULL where there is none. */
memory_state_t *memory_state_find(const memory_lane_t *lane, fabric_bytes_t type,
                                  fabric_bytes_t entity);
void memory_state_put(memory_database_t *database, uint32_t lane, const store_state_t *row);
/* NULL where there are none. */
const memory_sequence_t *memory_events_find(const memory_lane_t *lane, fabric_bytes_t type,
                                            fabric_bytes_t entity);
/* One that is there already stays. false: another one is there. */
bool memory_event_put(memory_database_t *database, uint32_t lane, const store_event_t *row);
void memory_outbox_clear(memory_lane_t *lane);
memory_outgoing_t *memory_outgoing_copy(const store_outgoing_t *row);
/* NULL where there is none. */
memory_outgoing_t *memory_outgoing_find(const memory_lane_t *lane, store_outgoing_key_t key);
/* Inserts the row, or takes it out. */
void memory_outgoing_apply(memory_lane_t *lane, memory_outgoing_t *row, bool removed);
/* Index of the first outgoing message whose key is not before this one. */
size_t memory_outgoing_from(const memory_lane_t *lane, store_outgoing_key_t key);
/* One that is there already stays. */
void memory_outgoing_put(memory_database_t *database, uint32_t lane, const store_outgoing_t *row);
/* One that is not there is ignored. */
void memory_outgoing_remove(memory_database_t *database, uint32_t lane, store_outgoing_key_t key);
/* NULL where there is none. */
memory_key_t *memory_key_find(const memory_lane_t *lane, uint64_t entity_hash,
                              const uint8_t hash[STORE_KEY_BYTES]);
void memory_key_remove(memory_database_t *database, uint32_t lane, uint64_t entity_hash,
                       const uint8_t hash[STORE_KEY_BYTES]);
/* To be called before a value of the database is changed: a lane's row, the coordinator, ... */
void memory_note_value(memory_database_t *database, void *value, size_t size);
/* The same before a list's items change. */
#define MEMORY_NOTE_LIST(database, list)                                                           \
    memory_note_list((database), (memory_any_list_t *)(void *)(list), sizeof *(list)->items)
void memory_note_list(memory_database_t *database, memory_any_list_t *list, size_t item_size);

/* ---- transactions ---- */

/* Changes noted from now on belong together. */
void memory_begin(memory_database_t *database);
void memory_commit(memory_database_t *database);
void memory_rollback(memory_database_t *database);
/* Takes the transaction back and keeps it to be carried out later. */
void memory_suspend(memory_database_t *database, memory_store_operation_t operation, uint32_t lane,
                    uint32_t delay);
/* Carries a suspended transaction out, as one of its own. One whose entries find their numbers
 * taken has no effect. */
void memory_resume(memory_database_t *database, size_t index);
/* Gives up a suspended transaction: it is rolled back. */
void memory_abandon(memory_database_t *database, size_t index);
/* Takes back the last `appends` transactions that wrote entries (but for those that made lanes),
 * with all that came after the first of them, and gives up those that are suspended. */
void memory_lose_appends(memory_database_t *database, uint32_t appends);

#endif
