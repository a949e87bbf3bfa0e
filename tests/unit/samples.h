/* Sample schemas: the structs of the schemas Item, Order, All, Shipment, Document and Profile of
 * schemas/vectors/schemas.txt. */
#ifndef TESTS_UNIT_SAMPLES_H
#define TESTS_UNIT_SAMPLES_H

#include <fabric/schema.h>

typedef struct item {
    char sku[13];
    uint32_t quantity;
} item_t;

typedef struct order {
    char id[21];
    bool express;
    uint32_t items_count;
    item_t items[3];
    bool has_note;
    char note[9];
} order_t;

/* A field of every kind. */
typedef struct all {
    bool flag;
    int32_t small;
    int64_t large;
    uint32_t count;
    uint64_t huge;
    double ratio;
    char name[17];
    struct {
        uint32_t size;
        uint8_t data[4];
    } blob;
    item_t item;
    item_t items[2];
    uint32_t items_count;
    bool has_maybe;
    int64_t maybe;
    bool has_word;
    char word[5];
} all_t;

typedef enum shipment_status {
    SHIPMENT_LOST = -7,
    SHIPMENT_OPEN = 0,
    SHIPMENT_SENT = 1,
    SHIPMENT_ARRIVED = 200
} shipment_status_t;

/* Enums and timestamps, a default of each kind that may have one, and an optional field of every
 * kind. */
typedef struct shipment {
    shipment_status_t status;
    int64_t sent_at;
    uint32_t parcels;
    bool insured;
    int32_t floor;
    int64_t offset;
    uint64_t serial;
    double weight;
    char currency[4];
    shipment_status_t before;
    int64_t due;
    bool has_flag, has_small, has_large, has_count, has_huge, has_ratio, has_name, has_blob,
        has_item, has_items, has_status, has_seen;
    bool flag;
    int32_t small;
    int64_t large;
    uint32_t count;
    uint64_t huge;
    double ratio;
    char name[9];
    struct {
        uint32_t size;
        uint8_t data[4];
    } blob;
    item_t item;
    item_t items[2];
    uint32_t items_count;
    shipment_status_t maybe;
    int64_t seen;
} shipment_t;

typedef struct chapter {
    fabric_bytes_t title;
    const uint32_t *pages;
    uint32_t pages_count;
} chapter_t;

/* Views, and lists of everything. */
typedef struct document {
    fabric_bytes_t title;
    fabric_bytes_t body;
    const item_t *items;
    uint32_t items_count;
    const chapter_t *chapters;
    uint32_t chapters_count;
    int64_t numbers[4];
    uint32_t numbers_count;
    char tags[3][9];
    uint32_t tags_count;
    const fabric_bytes_t *words;
    uint32_t words_count;
    const double *samples;
    uint32_t samples_count;
    shipment_status_t states[4];
    uint32_t states_count;
    bool flags[2];
    uint32_t flags_count;
    const int64_t *times;
    uint32_t times_count;
    fabric_bytes_t blobs[2];
    uint32_t blobs_count;
    fabric_bytes_t note;
    bool has_history, has_summary;
    const shipment_status_t *history;
    uint32_t history_count;
    fabric_bytes_t summary;
} document_t;

extern const fabric_schema_t document_schema;
typedef struct label {
    char key[9];
    char value[17];
} label_t;

typedef struct stock {
    fabric_bytes_t key;
    item_t item;
} stock_t;

typedef struct scores {
    char key[9];
    const uint32_t *values;
    uint32_t values_count;
} scores_t;

typedef enum payment_kind {
    PAYMENT_CASH = 0,
    PAYMENT_CARD = 1,
    PAYMENT_TRANSFER = 7
} payment_kind_t;

typedef struct card {
    char number[9];
    uint32_t year;
} card_t;

typedef struct transfer {
    fabric_bytes_t account;
} transfer_t;

typedef struct payment {
    payment_kind_t kind;
    union {
        card_t card;
        transfer_t transfer;
    } as;
} payment_t;

/* Maps and unions. */
typedef struct profile {
    label_t labels[3];
    uint32_t labels_count;
    const stock_t *stock;
    uint32_t stock_count;
    scores_t scores[2];
    uint32_t scores_count;
    payment_t first;
    payment_t payments[2];
    uint32_t payments_count;
    bool has_last, has_notes;
    payment_kind_t last_kind;
    union {
        card_t card;
        transfer_t transfer;
    } last;
    label_t notes[1];
    uint32_t notes_count;
} profile_t;

extern const fabric_schema_t profile_schema;
extern const fabric_choices_t shipment_statuses;
extern const fabric_schema_t shipment_schema;
extern const fabric_schema_t item_schema;
extern const fabric_schema_t order_schema;
extern const fabric_schema_t all_schema;

/* The sample of that name, or fabric_schema_empty for "Empty"; NULL for any other. */
const fabric_schema_t *sample_schema(const char *name);

#endif
