/* The data of one in-memory database. Internal to the memory store; everything here is called with its mutex held. */
#ifndef TESTS_MEMORY_MEMORY_DATABASE_H
#define TESTS_MEMORY_MEMORY_DATABASE_H

#include "tests/memory/memory_store.h"

/* A stored message with what has become of it. */
typedef struct memory_message {
    store_message_t message; /* views into `bytes` */
    uint64_t commit;         /* number of the commit that brought it */
    store_tally_t tally;
    store_reply_t *reply; /* NULL: pending; its payload follows it in memory */
    uint64_t reply_commit;
    uint8_t bytes[];
} memory_message_t;

typedef struct memory_dead_letter {
    memory_message_t *copy;
    store_dead_letter_t letter; /* views into `copy` and `text` */
    uint64_t commit;
    uint8_t text[];
} memory_dead_letter_t;

typedef struct memory_writer {
    uint32_t machine;
    uint32_t lane;
    incarnation_t incarnation;
    uint64_t batch;
    uint64_t high_id;
} memory_writer_t;

typedef struct memory_name {
    uint16_t group;
    uint8_t *bytes; /* name, then description */
    size_t name_size;
    size_t description_size;
} memory_name_t;

/* How to take one change of a commit back. */
typedef struct memory_undo {
    enum { MEMORY_UNDO_WRITER, MEMORY_UNDO_MARK, MEMORY_UNDO_TALLY } kind;
    uint64_t commit;
    uint64_t row; /* index of the writer or shard, or request id */
    uint64_t before;
    uint64_t high_id_before;
    store_tally_t tally_before;
} memory_undo_t;

/* A growing array of T: items, count, capacity. */
#define MEMORY_LIST(type)                                                                          \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t count;                                                                              \
        size_t capacity;                                                                           \
    }

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
    MEMORY_LIST(store_broker_t) brokers;
    MEMORY_LIST(memory_writer_t) writers;
    MEMORY_LIST(store_runner_t) runners;
    MEMORY_LIST(memory_name_t) groups; /* item i is group i + 1 */
    MEMORY_LIST(memory_name_t) types;
    MEMORY_LIST(store_shard_t) shards;        /* by shard id */
    MEMORY_LIST(memory_message_t *) messages; /* by request id */
    MEMORY_LIST(memory_dead_letter_t *) dead_letters;
    MEMORY_LIST(memory_undo_t) undo;
    MEMORY_LIST(memory_store_fault_t) faults;
    memory_message_t **keys; /* open addressing by key hash; a power of two of places */
    size_t key_capacity;
    size_t key_count;
    uint64_t commits;
} memory_database_t;

/* Makes room for one more item and returns its place, whose contents are undefined. `list` is evaluated more than once. */
#define MEMORY_APPEND(list)                                                                        \
    (memory_reserve((void **)&(list)->items, &(list)->capacity, (list)->count + 1,                 \
                    sizeof *(list)->items),                                                        \
     &(list)->items[(list)->count++])
void memory_reserve(void **items, size_t *capacity, size_t count, size_t item_size);

void memory_database_clear(memory_database_t *database);

memory_writer_t *memory_find_writer(memory_database_t *database, uint32_t machine, uint32_t lane);
/* Index of the first message with id >= from. */
size_t memory_lower_bound(const memory_database_t *database, uint64_t from);
/* NULL where there is none. */
memory_message_t *memory_find_message(const memory_database_t *database, uint64_t id);
memory_message_t *memory_find_key(const memory_database_t *database, const uint8_t *hash);

/* One commit as a whole: FENCED, STORE_REJECTED or OK. */
fabric_error_t memory_commit(memory_database_t *database, const store_writer_t *writer,
                             const store_batch_t *batch, store_rejection_t *rejection);
/* Takes back all commits after number `commits`. */
void memory_undo_to(memory_database_t *database, uint64_t commits);

#endif
