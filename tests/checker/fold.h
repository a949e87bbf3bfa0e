/* The messages of the entity type Fold, the workload's: each names its call (client, number), folds
 * it into a hash chain in the entity's memory, and answers which run of a handler it was, and where
 * in the chain.
 *
 * A new activation begins an empty chain. Handlers append to the history in $PROBE_FOLDER and take
 * $PROBE_WORK_US each (probe.h).
 */
#ifndef TESTS_CHECKER_FOLD_H
#define TESTS_CHECKER_FOLD_H

#include <fabric/message_type.h>

#include "tests/harness/padding.h"

#define FOLD_TYPE "Fold"
/* An entity's id: the number of its client's load, 1, 2, ..., as "fold-1". */
#define FOLD_ID "fold-%u"

typedef struct fold_request {
    uint32_t client;
    uint32_t entity;
    uint64_t number;
} fold_request_t;

typedef struct fold_message {
    fold_request_t asked;
    padding_t padding;
} fold_message_t;

typedef struct fold_reply {
    uint32_t client; /* whose call it answers */
    uint64_t number;
    uint64_t process, serial; /* the execution */
    uint64_t activation;
    uint64_t delivery;
    uint64_t position;
    uint64_t before, after;
} fold_reply_t;

/* A reply is as large as what it answers. */
typedef struct fold_answer {
    fold_reply_t fold;
    padding_t padding;
} fold_answer_t;

static const fabric_field_t fold_request_fields[] = {FABRIC_U32(fold_request_t, client),
                                                     FABRIC_U32(fold_request_t, entity),
                                                     FABRIC_U64(fold_request_t, number)};
static const fabric_schema_t fold_request_schema =
    FABRIC_SCHEMA("FoldRequest", fold_request_t, fold_request_fields);

static const fabric_field_t fold_message_fields[] = {
    FABRIC_STRUCT(fold_message_t, asked, fold_request_schema),
    FABRIC_BYTES(fold_message_t, padding)};
static const fabric_schema_t fold_message_schema =
    FABRIC_SCHEMA("FoldMessage", fold_message_t, fold_message_fields);

static const fabric_field_t fold_reply_fields[] = {
    FABRIC_U32(fold_reply_t, client),     FABRIC_U64(fold_reply_t, number),
    FABRIC_U64(fold_reply_t, process),    FABRIC_U64(fold_reply_t, serial),
    FABRIC_U64(fold_reply_t, activation), FABRIC_U64(fold_reply_t, delivery),
    FABRIC_U64(fold_reply_t, position),   FABRIC_U64(fold_reply_t, before),
    FABRIC_U64(fold_reply_t, after)};
static const fabric_schema_t fold_reply_schema =
    FABRIC_SCHEMA("FoldReply", fold_reply_t, fold_reply_fields);

static const fabric_field_t fold_answer_fields[] = {
    FABRIC_STRUCT(fold_answer_t, fold, fold_reply_schema), FABRIC_BYTES(fold_answer_t, padding)};
static const fabric_schema_t fold_answer_schema =
    FABRIC_SCHEMA("FoldAnswer", fold_answer_t, fold_answer_fields);

/* Folds its call into the chain. */
static const fabric_message_type_t fold_append = {
    .tag = "Fold", .request = &fold_message_schema, .reply = &fold_answer_schema, .durable = true};
/* Does not change the chain. */
static const fabric_message_type_t fold_echo = {
    .tag = "Echo", .request = &fold_message_schema, .reply = &fold_answer_schema};

/* Decode a payload; false when it does not fit the schema, or its padding is not that of its
 * number. */
bool fold_message_read(fabric_bytes_t payload, fold_request_t *asked);
bool fold_answer_read(fabric_bytes_t payload, fold_reply_t *reply);

#endif
