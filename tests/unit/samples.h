/* Sample schemas: the structs of the schemas Item, Order and All of schemas/vectors/schemas.txt. */
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

extern const fabric_schema_t item_schema;
extern const fabric_schema_t order_schema;
extern const fabric_schema_t all_schema;

/* The sample of that name, or fabric_schema_empty for "Empty"; NULL for any other. */
const fabric_schema_t *sample_schema(const char *name);

#endif
