/* The messages of the entity type Teller, whose state is persisted, and whose handlers tell other
 * tellers: shared by its module and the tests of outgoing messages. */
#ifndef TESTS_HARNESS_TELLER_H
#define TESTS_HARNESS_TELLER_H

#include <fabric/message_type.h>

#define TELLER_TYPE   "Teller"
#define TELLER_MODULE "../tests/teller_module.so"

enum { TELLER_REFUSED = 3 };

/* What a teller does for another one. */
typedef struct teller_order {
    char to[32]; /* the other one's id */
    int64_t amount;
} teller_order_t;

typedef struct teller_amount {
    int64_t amount;
} teller_amount_t;

typedef struct teller_parcel {
    fabric_bytes_t bytes; /* all of them alike */
} teller_parcel_t;

/* Also a teller's state. */
typedef struct teller_content {
    int64_t amount;      /* below 0: it has given more than it was given */
    uint64_t given;      /* Give that it has handled */
    uint64_t taken;      /* Take */
    uint64_t counted;    /* Count: numbers that it has told others so far */
    uint64_t next;       /* number of the Number that it awaits */
    uint64_t disordered; /* those that were other ones */
    uint64_t parcels, parcel_bytes;
} teller_content_t;

static const fabric_field_t teller_order_fields[] = {FABRIC_STRING(teller_order_t, to),
                                                     FABRIC_I64(teller_order_t, amount)};
static const fabric_schema_t teller_order_schema =
    FABRIC_SCHEMA("Order", teller_order_t, teller_order_fields);
static const fabric_field_t teller_amount_fields[] = {FABRIC_I64(teller_amount_t, amount)};
static const fabric_schema_t teller_amount_schema =
    FABRIC_SCHEMA("Amount", teller_amount_t, teller_amount_fields);
static const fabric_field_t teller_parcel_fields[] = {FABRIC_BYTES_VIEW(teller_parcel_t, bytes)};
static const fabric_schema_t teller_parcel_schema =
    FABRIC_SCHEMA("Parcel", teller_parcel_t, teller_parcel_fields);
static const fabric_field_t teller_content_fields[] = {
    FABRIC_I64(teller_content_t, amount),  FABRIC_U64(teller_content_t, given),
    FABRIC_U64(teller_content_t, taken),   FABRIC_U64(teller_content_t, counted),
    FABRIC_U64(teller_content_t, next),    FABRIC_U64(teller_content_t, disordered),
    FABRIC_U64(teller_content_t, parcels), FABRIC_U64(teller_content_t, parcel_bytes)};
static const fabric_schema_t teller_content_schema =
    FABRIC_SCHEMA("Teller", teller_content_t, teller_content_fields);

/* ---- what clients ask; all answer with what is there then ---- */

/* Takes the amount out, and tells the other one to Take it. */
static const fabric_message_type_t teller_give = {.tag = "Give",
                                                  .request = &teller_order_schema,
                                                  .reply = &teller_content_schema,
                                                  .durable = true};
/* The same, and fails then: nothing has happened. */
static const fabric_message_type_t teller_refuse = {.tag = "Refuse",
                                                    .request = &teller_order_schema,
                                                    .reply = &teller_content_schema,
                                                    .durable = true};
/* Tells the other one so many numbers, behind those of before. */
static const fabric_message_type_t teller_count = {.tag = "Count",
                                                   .request = &teller_order_schema,
                                                   .reply = &teller_content_schema,
                                                   .durable = true};
/* Sends the other one so many parcels of TELLER_PARCEL_BYTES. */
static const fabric_message_type_t teller_post = {.tag = "Post",
                                                  .request = &teller_order_schema,
                                                  .reply = &teller_content_schema,
                                                  .durable = true};
static const fabric_message_type_t teller_look = {.tag = "Look",
                                                  .request = &fabric_schema_empty,
                                                  .reply = &teller_content_schema,
                                                  .durable = true};

enum { TELLER_PARCEL_BYTES = 900000, TELLER_PARCEL_BYTE = 'p' };

/* ---- what tellers tell each other ---- */

static const fabric_message_type_t teller_take = {.tag = "Take",
                                                  .request = &teller_amount_schema,
                                                  .reply = &fabric_schema_empty,
                                                  .durable = true};
static const fabric_message_type_t teller_number = {.tag = "Number",
                                                    .request = &teller_amount_schema,
                                                    .reply = &fabric_schema_empty,
                                                    .durable = true};
static const fabric_message_type_t teller_receive = {.tag = "Receive",
                                                     .request = &teller_parcel_schema,
                                                     .reply = &fabric_schema_empty,
                                                     .durable = true};

#endif
