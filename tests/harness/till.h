/* The messages of the entity type Till, whose handler writes into the table `till_row` of the
 * brokers' database, shared by its module and its tests. */
#ifndef TESTS_HARNESS_TILL_H
#define TESTS_HARNESS_TILL_H

#include <fabric/message_type.h>

#define TILL_TYPE   "Till"
#define TILL_MODULE "../tests/till_module.so"
#define TILL_TOLD   "told"
/* Without a key: a message that is handled twice has two rows. */
#define TILL_TABLE                                                                                 \
    "CREATE TABLE till_row (till VARBINARY(255) NOT NULL, amount BIGINT NOT NULL) ENGINE = InnoDB"

/* What a handler does after it has written its row. */
typedef enum till_course {
    TILL_REPLY,
    TILL_FAIL,        /* fails */
    TILL_BREAK,       /* has a defect */
    TILL_COMMIT,      /* commits by itself, and replies */
    TILL_COMMIT_MORE, /* commits, begins another transaction, and replies */
    TILL_ROLL_BACK,   /* rolls back by itself, and replies */
    TILL_DEFINE,      /* makes a table, and replies */
    TILL_LEAVE,       /* leaves a result unread, and replies */
    TILL_LATER,       /* wants to answer later */
    TILL_TELL,        /* tells TILL_TOLD to book the same, and replies */
    TILL_TELL_FAIL    /* tells it, and fails */
} till_course_t;

typedef struct till_entry {
    int64_t amount;
    uint32_t course;
} till_entry_t;

typedef struct till_sum {
    int64_t sum; /* of the entity's rows, with this one */
} till_sum_t;

static const fabric_field_t till_entry_fields[] = {FABRIC_I64(till_entry_t, amount),
                                                   FABRIC_U32(till_entry_t, course)};
static const fabric_schema_t till_entry_schema =
    FABRIC_SCHEMA("Entry", till_entry_t, till_entry_fields);
static const fabric_field_t till_sum_fields[] = {FABRIC_I64(till_sum_t, sum)};
static const fabric_schema_t till_sum_schema = FABRIC_SCHEMA("Sum", till_sum_t, till_sum_fields);

/* Writes a row. */
static const fabric_message_type_t till_book = {.tag = "Book",
                                                .request = &till_entry_schema,
                                                .reply = &till_sum_schema,
                                                .durable = true,
                                                .transactional = true};
/* Says whether its handler has a connection: it has none. */
static const fabric_message_type_t till_ping = {
    .tag = "Ping", .request = &fabric_schema_empty, .reply = &till_sum_schema};

#endif
